/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `sync delay`: connections of ours that the peers are not told of yet,
 * because they may end before that is worth it.
 *
 * A connection that begins is held for its protocol's delay, and told when it
 * still lives then, in its newest state; when it ends before, nobody hears of
 * it. It is told at once when a packet of it was seen at another site, or when
 * a peer speaks of the same connection. What is held stands in no bulk and no
 * audit either. Of TCP the time counts from the first packet, so it is held while it is half-open,
 * which nobody is told of anyway: when the delay ends before the handshake, that tells it.
 *
 * A wheel of slots, turned by the tick: no timer per connection. The memory is
 * a fixed number of entries; when all are in use, connections are told as if
 * there were no delay.
 *
 * A dump is ahead of the events: it may have told of a connection before we
 * hear that it began. So the end of one that began about then is told, too.
 * When events were lost, what is held is not known to be true any more: it is
 * let go, and the bulk that follows tells what the table has.
 */
#include "core/dsaa_engine_private.h"

#include <string.h>

enum {
	SLOT_US = 250000,
	/* told in one step at most */
	TELL_MAX = 4096,
};

_Static_assert(DSAA_DELAY_SLOTS *(int64_t)SLOT_US > (DSAA_DELAY_MAX_S + 1) * INT64_C(1000000),
	       "the longest delay fits the wheel");

/* ------------------------------------------------------------------ entries, by index + 1 */

static uint32_t *bucket_of(struct dsaa_engine *e, const struct dsaa_flow *f)
{
	return &e->delay.bucket[dsaa_flow_key_hash(f, e->seed) % DSAA_DELAY_ENTRIES];
}

static uint32_t find(struct dsaa_engine *e, const struct dsaa_flow *f)
{
	uint32_t at = e->delay.used ? *bucket_of(e, f) : 0;

	while (at && !dsaa_flow_key_equal(&e->delay.entry[at - 1].flow, f))
		at = e->delay.entry[at - 1].hash_next;
	return at;
}

static uint32_t take(struct dsaa_delay *d)
{
	uint32_t at = d->free;

	if (at)
		d->free = d->entry[at - 1].hash_next;
	else if (d->fresh < DSAA_DELAY_ENTRIES)
		at = ++d->fresh;
	return at;
}

static void release(struct dsaa_engine *e, uint32_t at)
{
	struct dsaa_delay *d = &e->delay;
	struct dsaa_delayed *h = &d->entry[at - 1];
	uint32_t *link = bucket_of(e, &h->flow);

	while (*link != at)
		link = &d->entry[*link - 1].hash_next;
	*link = h->hash_next;
	if (h->prev)
		d->entry[h->prev - 1].next = h->next;
	else
		d->slot[h->slot] = h->next;
	if (h->next)
		d->entry[h->next - 1].prev = h->prev;
	h->hash_next = d->free;
	d->free = at;
	d->used--;
}

static void hold(struct dsaa_engine *e, uint32_t at, const struct dsaa_flow *f, bool maybe_told)
{
	struct dsaa_delay *d = &e->delay;
	struct dsaa_delayed *h = &d->entry[at - 1];
	int64_t due_us = e->now.us + e->cfg.delay_s[f->proto] * INT64_C(1000000);
	uint32_t *bucket = bucket_of(e, f);

	h->flow = *f;
	h->maybe_told = maybe_told;
	h->slot = (uint16_t)((due_us / SLOT_US + 1) % DSAA_DELAY_SLOTS);
	h->hash_next = *bucket;
	*bucket = at;
	h->prev = 0;
	h->next = d->slot[h->slot];
	if (h->next)
		d->entry[h->next - 1].prev = at;
	d->slot[h->slot] = at;
	if (!d->used++)
		d->turned = e->now.us / SLOT_US; /* nothing was held: nothing was due */
}

static void tell(struct dsaa_engine *e, uint32_t at)
{
	struct dsaa_flow f = e->delay.entry[at - 1].flow;
	unsigned reason;

	release(e, at);
	if (dsaa_send_wanted(e, &f, &reason))
		dsaa_log_put(&e->log, DSAA_OP_UPSERT, &f, e->now);
}

/* ------------------------------------------------------------------ what happens to them */

/*
 * It ended while it was held. True when nobody needs to hear of it. A running dump may have read
 * it before that, and only the log keeps that from being told.
 */
static bool ended(struct dsaa_engine *e, uint32_t at)
{
	bool maybe_told = e->delay.entry[at - 1].maybe_told || e->dump != DSAA_FOR_NOTHING;

	release(e, at);
	e->delayed_ended++;
	return !maybe_told;
}

/* It begins. True when it is held from now on. */
static bool begins(struct dsaa_engine *e, const struct dsaa_flow *f)
{
	const struct dsaa_log_entry *told = dsaa_log_find(&e->log, f);
	uint32_t at;

	if (!e->cfg.delay_s[f->proto] || (told && told->record.op == DSAA_OP_UPSERT) ||
	    dsaa_send_is_given_up(e, f))
		return false;
	at = take(&e->delay);
	if (!at) {
		e->delayed_no_room++;
		return false;
	}
	hold(e, at, f, dsaa_send_dump_may_have_told(e));
	return true;
}

bool dsaa_delay_event(struct dsaa_engine *e, uint8_t op, bool beginning, const struct dsaa_flow *f)
{
	uint32_t at = find(e, f);
	unsigned reason;
	bool maybe_told;

	if (!e->running || (!at && (!beginning || op == DSAA_OP_DELETE)))
		return false;
	if (op == DSAA_OP_DELETE) {
		dsaa_claim_gone(e, f);
		return ended(e, at);
	}
	if (!dsaa_send_permitted(e, f, &reason)) {
		if (at)
			release(e, at);
		return false;
	}
	if (!beginning) {
		e->delay.entry[at - 1].flow = *f;
		return true;
	}
	maybe_told = at && e->delay.entry[at - 1].maybe_told;
	if (at)
		release(e, at);
	if (maybe_told || !begins(e, f))
		return false;
	e->own_events++;
	return true;
}

bool dsaa_delay_holds(struct dsaa_engine *e, const struct dsaa_flow *f)
{
	return find(e, f) != 0;
}

void dsaa_delay_forget(struct dsaa_engine *e, const struct dsaa_flow *f)
{
	uint32_t at = find(e, f);

	if (at)
		release(e, at);
}

void dsaa_delay_seen_elsewhere(struct dsaa_engine *e, const struct dsaa_flow *f)
{
	uint32_t at = find(e, f);

	if (!at)
		return;
	tell(e, at);
	e->delayed_exempt++;
}

void dsaa_delay_end_all(struct dsaa_engine *e)
{
	for (unsigned s = 0; s < DSAA_DELAY_SLOTS; s++)
		while (e->delay.slot[s])
			tell(e, e->delay.slot[s]);
}

void dsaa_delay_forget_all(struct dsaa_engine *e)
{
	for (unsigned s = 0; s < DSAA_DELAY_SLOTS; s++)
		while (e->delay.slot[s])
			release(e, e->delay.slot[s]);
}

void dsaa_delay_tick(struct dsaa_engine *e)
{
	struct dsaa_delay *d = &e->delay;
	int64_t now = e->now.us / SLOT_US;
	unsigned told = 0;

	while (d->used && d->turned < now) {
		uint32_t *slot = &d->slot[(d->turned + 1) % DSAA_DELAY_SLOTS];

		while (*slot && told < TELL_MAX) {
			tell(e, *slot);
			told++;
		}
		if (*slot) {
			e->more = true;
			return;
		}
		d->turned++;
	}
}
