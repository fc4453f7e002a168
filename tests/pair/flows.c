/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes connections begin, and end, in the connection table of this network
 * namespace, at a rate, as forwarding would; but without packets, so that it
 * costs little and every connection is known by its number.
 *
 * usage: flows FIRST RATE SECONDS [LIFE_MS]
 *	LIFE_MS: how long each lives (0, the default: they stay).
 *	Prints how many began and ended; exit 1 when the kernel did not take all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conntrack/dsaa_conntrack.h"

enum { TIMEOUT_S = 3600, STEP_MS = 10, TCP_ESTABLISHED = 3 };

static struct dsaa_apply ops[DSAA_FLOWS_PER_MSG_MAX];
static struct dsaa_ct *ct;
static unsigned refused;

static void make_flow(struct dsaa_flow *f, unsigned n)
{
	/* 198.18.N.N:1024.. -> 10.9.2.10:443 */
	const uint8_t client[] = { 198, 18, (uint8_t)(n >> 14), (uint8_t)(n >> 6) };
	const uint8_t server[] = { 10, 9, 2, 10 };

	memset(f, 0, sizeof(*f));
	f->family = 4;
	f->proto = 6;
	memcpy(f->orig.src, client, sizeof(client));
	memcpy(f->orig.dst, server, sizeof(server));
	f->orig.sport = (uint16_t)(1024 + n % 64);
	f->orig.dport = 443;
	dsaa_tuple_reverse(f->proto, &f->orig, &f->reply);
	f->status = DSAA_FLOW_SEEN_REPLY | DSAA_FLOW_ASSURED;
	f->timeout_s = TIMEOUT_S;
	f->tcp_state = TCP_ESTABLISHED;
}

static void apply(enum dsaa_apply_kind kind, unsigned first, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		ops[i].kind = kind;
		make_flow(&ops[i].flow, first + i);
	}
	dsaa_ct_apply(ct, ops, count);
	for (unsigned i = 0; kind == DSAA_APPLY_CREATE && i < count; i++)
		refused += ops[i].result != DSAA_APPLIED_OK;
	if (kind != DSAA_APPLY_LOOKUP)
		return;
	for (unsigned i = 0; i < count; i++)
		ops[i].kind = DSAA_APPLY_DELETE;
	dsaa_ct_apply(ct, ops, count);
}

/* Numbers FROM to TO, in batches. */
static void apply_all(enum dsaa_apply_kind kind, unsigned from, unsigned to)
{
	while (from < to) {
		unsigned n = to - from < DSAA_FLOWS_PER_MSG_MAX ? to - from :
								  DSAA_FLOWS_PER_MSG_MAX;

		apply(kind, from, n);
		from += n;
	}
}

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static unsigned due(long ms, unsigned rate)
{
	return ms > 0 ? (unsigned)((uint64_t)ms * rate / 1000) : 0;
}

int main(int argc, char **argv)
{
	unsigned first = argc > 3 ? (unsigned)atoi(argv[1]) : 0, began = 0, ended = 0;
	unsigned rate = argc > 3 ? (unsigned)atoi(argv[2]) : 0;
	long length = argc > 3 ? atol(argv[3]) * 1000 : 0, life = argc > 4 ? atol(argv[4]) : 0;
	const struct timespec pause = { .tv_nsec = STEP_MS * 1000000 };
	long start = now_ms();
	char err[160];

	ct = dsaa_ct_open(DSAA_MARK_MASK_DEFAULT, false, err, sizeof(err));
	if (!ct) {
		fprintf(stderr, "%s\n", err);
		return 1;
	}
	for (long at = 0, last = 0; last < length + life; at = now_ms() - start) {
		unsigned begin = due(at < length ? at : length, rate);
		unsigned end = life ? due(at - life < length ? at - life : length, rate) : 0;

		apply_all(DSAA_APPLY_CREATE, first + began, first + begin);
		began = begin;
		apply_all(DSAA_APPLY_LOOKUP, first + ended, first + end);
		ended = end;
		last = at; /* the last turn is behind the end: nothing is left out */
		nanosleep(&pause, NULL);
	}
	dsaa_ct_close(ct);
	printf("%u %u\n", began, ended);
	return refused ? 1 : 0;
}
