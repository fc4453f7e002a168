/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Replicas that we should have and have not: records that the ownership rule
 * refused because of an entry that may go, and entries that vanished.
 *
 * Two sites that created one connection agree between them who keeps it, and
 * the loser tells everybody that it has none. A third site may hear of the
 * winner first, while it still holds the loser's: then it refuses the winner
 * (step 2), and would be left with nothing when the loser's goes. And our own
 * entry, which won against a peer's, may end before that peer has heard of it:
 * then the peer keeps its own, and we would have refused it.
 *
 * So a refused record is remembered, and asked for (AUDIT_WANT, number 0) as
 * soon as what stood in its place has gone, or has become ours, or may have:
 * when events were lost.
 *
 * A replica that is deleted in our kernel, and not by us, was deleted by
 * somebody else, or by the kernel that saw the connection's end go by. Its
 * owner will say so in the second case; if he does not, it is asked for.
 *
 * Bounded: the oldest claims are forgotten, and left to the audit. Of vanished
 * replicas that do not fit, everything is asked for: they are many.
 */
#include "core/dsaa_engine_private.h"

/* An answer may find the peer busy with another one. */
enum { CLAIM_TRIES_MAX = 4, CLAIM_RETRY_MS = 1000, CLAIMS_PER_MSG_MAX = 28 };

/*
 * When events were lost, most obstacles still stand, and each answer is a walk through the owner's
 * whole table: they are asked for as often as that.
 */
enum { CLAIM_EVENTS_LOST_MS = 5000 };

/* What the owner may need to say that a connection has ended, with the kernels' timers apart. */
enum { CLAIM_LOST_AFTER_MS = 2000 };

static uint64_t hash_of(const struct dsaa_flow *f)
{
	return dsaa_seen_value(dsaa_flow_key_hash(f, DSAA_DIGEST_SEED));
}

static void drop(struct dsaa_engine *e, struct dsaa_claim *c)
{
	c->site = 0;
	e->claims--;
}

#define FOREACH_CLAIM(e, c)                                                            \
	for (struct dsaa_claim *c = (e)->claim; c < (e)->claim + DSAA_CLAIMS_MAX; c++) \
		if (c->site)

static struct dsaa_claim *find(struct dsaa_engine *e, dsaa_site_id site, uint64_t key)
{
	FOREACH_CLAIM (e, c)
		if (c->site == site && c->key == key)
			return c;
	return NULL;
}

/* The claim of that site and key, an old one or the oldest's place. */
static struct dsaa_claim *take(struct dsaa_engine *e, dsaa_site_id site, uint64_t key)
{
	struct dsaa_claim *c = e->claims ? find(e, site, key) : NULL;

	if (!c) {
		c = &e->claim[e->claim_next++ % DSAA_CLAIMS_MAX];
		if (c->site)
			dsaa_receive_hole(&e->peer[c->site]);
		e->claims += !c->site;
	}
	*c = (struct dsaa_claim){ .site = site, .key = key };
	return c;
}

void dsaa_claim_refused(struct dsaa_engine *e, const struct dsaa_peer *p,
			const struct dsaa_flow *claimed, const struct dsaa_flow *obstacle)
{
	take(e, p->site, hash_of(claimed))->obstacle = hash_of(obstacle);
}

void dsaa_claim_lost(struct dsaa_engine *e, struct dsaa_peer *p, const struct dsaa_flow *replica)
{
	struct dsaa_mono at;
	struct dsaa_claim *c;

	if (p->session != DSAA_SESSION_ESTABLISHED) {
		dsaa_receive_hole(p); /* so the next session begins with a bulk */
		p->told_holds = false;
		return;
	}
	at = dsaa_mono_add_ms(e->now, CLAIM_LOST_AFTER_MS);
	if (e->claims == DSAA_CLAIMS_MAX) {
		if (!p->lost_many_at.us)
			p->lost_many_at = at;
		dsaa_receive_hole(p);
		return;
	}
	c = take(e, p->site, hash_of(replica));
	c->due = true;
	c->at = at;
}

void dsaa_claim_gone(struct dsaa_engine *e, const struct dsaa_flow *obstacle)
{
	uint64_t key;

	if (!e->claims)
		return;
	key = hash_of(obstacle);
	FOREACH_CLAIM (e, c) {
		if (c->obstacle != key || c->due)
			continue;
		c->due = true;
		c->at = e->now;
	}
}

/* Where an obstacle stands all the same, the answer is refused, and the claim remembered anew. */
void dsaa_claim_events_lost(struct dsaa_engine *e)
{
	FOREACH_CLAIM (e, c) {
		if (c->due)
			continue;
		c->due = true;
		c->at = dsaa_mono_add_ms(e->now, CLAIM_EVENTS_LOST_MS);
	}
}

void dsaa_claim_settled(struct dsaa_engine *e, const struct dsaa_peer *p, const struct dsaa_flow *f)
{
	struct dsaa_claim *c = e->claims ? find(e, p->site, hash_of(f)) : NULL;

	if (c)
		drop(e, c);
}

void dsaa_claim_tick(struct dsaa_engine *e, struct dsaa_peer *p)
{
	struct dsaa_msg m = { .type = DSAA_MSG_AUDIT_WANT };
	uint64_t list[CLAIMS_PER_MSG_MAX];

	if (p->session != DSAA_SESSION_ESTABLISHED)
		return;
	if (p->lost_many_at.us && dsaa_mono_reached(e->now, p->lost_many_at)) {
		p->lost_many_at.us = 0;
		dsaa_receive_ask_bulk(p);
	}
	/* P reads its table for one purpose at a time: while that is its bulk, no other */
	if (!e->claims || p->bulk_rx)
		return;
	FOREACH_CLAIM (e, c) {
		if (c->site != p->site || !c->due || !dsaa_mono_reached(e->now, c->at) ||
		    m.hashes.count == CLAIMS_PER_MSG_MAX)
			continue;
		list[m.hashes.count++] = c->key;
		c->at = dsaa_mono_add_ms(e->now, CLAIM_RETRY_MS);
		if (++c->tries == CLAIM_TRIES_MAX) {
			drop(e, c);
			dsaa_receive_hole(p);
		}
	}
	m.hashes.list = list;
	if (m.hashes.count)
		dsaa_act_message(e, p, &m);
}

/* What is still claimed then only a bulk can bring. */
void dsaa_claim_forget(struct dsaa_engine *e, struct dsaa_peer *p)
{
	p->lost_many_at.us = 0;
	FOREACH_CLAIM (e, c) {
		if (c->site != p->site)
			continue;
		drop(e, c);
		dsaa_receive_hole(p);
	}
}
