/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets of unknown connection that wait for their state ("correction hold").
 * The kernel keeps the packet in its queue; here is a copy, because it may
 * have to be carried away. Each is judged anew when an entry for it has come,
 * or when its time is over, and then it does not wait again.
 *
 * Its entry is looked for after 1, 2, 4, ... milliseconds: a look costs some
 * microseconds, and state that has not come at once takes longer. When one has
 * its entry, all of its connection go, in their order.
 *
 * Bounded: DSAA_NFQ_HELD_MAX packets, DSAA_NFQ_HELD_BYTES bytes; what finds no
 * room is judged at once, and counted. The first queue thread.
 */
#include "nfq/dsaa_nfq_private.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t dsaa_nfq_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void tell_waiting(struct dsaa_nfq *nfq)
{
	atomic_store_explicit(&nfq->tally.waiting, nfq->hold->count, memory_order_relaxed);
}

bool dsaa_nfq_hold_add(struct dsaa_nfq *nfq, struct dsaa_nfq_packet *p)
{
	struct dsaa_nfq_hold *hold = nfq->hold;
	struct dsaa_nfq_held *h;
	uint8_t *copy = NULL;

	if (hold->count < DSAA_NFQ_HELD_MAX && hold->bytes + p->len <= DSAA_NFQ_HELD_BYTES)
		copy = malloc(p->len);
	if (!copy) {
		dsaa_nfq_add(&nfq->tally.hold_full, 1);
		return false;
	}
	memcpy(copy, p->data, p->len);
	p->held = true;
	h = &hold->held[hold->count++];
	memset(h, 0, sizeof(*h));
	h->packet = *p;
	h->packet.data = copy;
	h->since_ms = dsaa_nfq_now_ms();
	h->due_ms = h->since_ms + nfq->plan->config.hold_ms;
	h->look_ms = h->since_ms + 1;
	h->over = false;
	/* what cannot be read has no entry to look for: all 0 */
	dsaa_packet_parse(copy, p->len, &h->parsed);
	hold->bytes += p->len;
	tell_waiting(nfq);
	return true;
}

static uint64_t next_ms(const struct dsaa_nfq_held *h)
{
	return h->look_ms < h->due_ms ? h->look_ms : h->due_ms;
}

int dsaa_nfq_hold_timeout(const struct dsaa_nfq *nfq, int timeout_ms)
{
	const struct dsaa_nfq_hold *hold = nfq->hold;
	uint64_t first = UINT64_MAX, now;
	unsigned i;

	if (!hold->count)
		return timeout_ms;
	for (i = 0; i < hold->count; i++)
		if (next_ms(&hold->held[i]) < first)
			first = next_ms(&hold->held[i]);
	now = dsaa_nfq_now_ms();
	first = first > now ? first - now : 0;
	return timeout_ms >= 0 && (uint64_t)timeout_ms < first ? timeout_ms : (int)first;
}

static bool same_connection(const struct dsaa_packet *a, const struct dsaa_packet *b)
{
	return a->family == b->family && a->tuple_proto == b->tuple_proto &&
	       memcmp(&a->tuple, &b->tuple, sizeof(a->tuple)) == 0;
}

/* Sees which wait no longer. */
static void look(struct dsaa_nfq *nfq, uint64_t now)
{
	struct dsaa_nfq_hold *hold = nfq->hold;
	unsigned i, j, owner;

	for (i = 0; i < hold->count; i++) {
		struct dsaa_nfq_held *h = &hold->held[i];

		h->over |= now >= h->due_ms;
		if (h->over || now < h->look_ms)
			continue;
		/* as long again as it has waited so far */
		h->look_ms = 2 * now - h->since_ms + 1;
		if (dsaa_nfq_find_entry(nfq, &h->packet, &owner) != 1)
			continue;
		for (j = 0; j < hold->count; j++)
			hold->held[j].over |= same_connection(&hold->held[j].parsed, &h->parsed);
	}
}

/* Moves the packets that wait no longer to nfq->packets; their order stays. How many. */
static unsigned take_over(struct dsaa_nfq *nfq)
{
	struct dsaa_nfq_hold *hold = nfq->hold;
	unsigned i, kept = 0, taken = 0;

	for (i = 0; i < hold->count; i++) {
		struct dsaa_nfq_held *h = &hold->held[i];

		if (taken < DSAA_NFQ_BATCH && h->over) {
			hold->bytes -= h->packet.len;
			h->packet.waited = true;
			nfq->packets[taken++] = h->packet;
		} else {
			if (kept != i)
				hold->held[kept] = *h;
			kept++;
		}
	}
	hold->count = kept;
	return taken;
}

void dsaa_nfq_hold_serve(struct dsaa_nfq *nfq)
{
	const uint8_t *copy[DSAA_NFQ_BATCH];
	unsigned n, i;

	if (!nfq->hold->count)
		return;
	look(nfq, dsaa_nfq_now_ms());
	do {
		n = take_over(nfq);
		for (i = 0; i < n; i++)
			copy[i] = nfq->packets[i].data;
		dsaa_nfq_judge(nfq, nfq->packets, n);
		dsaa_nfq_queues_verdict(&nfq->queues, DSAA_LANE_OFFER, nfq->packets, n, true);
		for (i = 0; i < n; i++)
			free((void *)copy[i]);
	} while (n == DSAA_NFQ_BATCH);
	tell_waiting(nfq);
}

void dsaa_nfq_hold_clear(struct dsaa_nfq *nfq)
{
	unsigned i;

	for (i = 0; i < nfq->hold->count; i++)
		free((void *)nfq->hold->held[i].packet.data);
	nfq->hold->count = 0;
	nfq->hold->bytes = 0;
	tell_waiting(nfq);
}
