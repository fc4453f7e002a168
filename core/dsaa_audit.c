/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The audit: does a peer's kernel hold what we own, and nothing else of us?
 *
 *	owner                              holder of the replicas
 *	dump of what is ours
 *	AUDIT_BEGIN, STATES..., END  --->  a set of hashes with their states
 *	                                   dump of the owner's replicas:
 *	                                   not in the set: deleted (extra)
 *	                                   in the set, same state: marked
 *	                             <---  WANT: what has no mark (missing, altered)
 *	dump, AUDIT_FLOWS            --->  created again, or put right
 *
 * To a peer of version 1.0 HASHES go, without states: it finds no altered ones.
 *
 * All of it travels in the order of the session, so what changes meanwhile is
 * known: a connection that the log says is deleted is not named, a record that
 * arrives between BEGIN and the comparison counts as named, and a deletion as
 * marked. So what differs, differs.
 *
 * One audit of one peer at a time on the receiving side, because the set is
 * shared; one that finds it in use is answered with BUSY, and begins anew soon.
 */
#include "core/dsaa_engine_private.h"

/* When an audit is begun anew that found the peer busy with another one. */
enum { BUSY_RETRY_MS = 1000 };

bool dsaa_audit_running(const struct dsaa_peer *p)
{
	return p->audit_rx || p->audit_sweep;
}

/* Each site a little later than the one before it: those that started together fall out of step. */
static struct dsaa_mono next_time(const struct dsaa_engine *e)
{
	uint32_t spread = e->cfg.audit_interval_ms / 64 * (e->cfg.local % 8);

	return dsaa_mono_add_ms(e->now, e->cfg.audit_interval_ms + spread);
}

static bool may_be_told(const struct dsaa_engine *e, const struct dsaa_peer *p)
{
	return p->state == DSAA_PEER_UP && p->bulk_tx == DSAA_BULK_NONE &&
	       e->cfg.audit_interval_ms && dsaa_mono_reached(e->now, p->audit_tx_at);
}

static void take_kept_wants(struct dsaa_engine *e);

enum dsaa_purpose dsaa_audit_due(struct dsaa_engine *e, dsaa_site_id *site)
{
	if (!e->wanted_site)
		take_kept_wants(e);
	if (e->wanted_site) {
		*site = e->wanted_site;
		return DSAA_FOR_AUDIT_ANSWER;
	}
	DSAA_FOREACH_PEER (e, p) {
		*site = p->site;
		if (p->audit_sweep)
			return DSAA_FOR_AUDIT_SWEEP;
		if (p->state == DSAA_PEER_UP && !p->audit_tx_at.us)
			p->audit_tx_at = next_time(e);
		else if (may_be_told(e, p))
			return DSAA_FOR_AUDIT;
	}
	return DSAA_FOR_NOTHING;
}

/* ------------------------------------------------------------------ telling */

void dsaa_audit_begin(struct dsaa_engine *e)
{
	struct dsaa_msg m = { .type = DSAA_MSG_AUDIT_BEGIN };

	m.hashes.audit_id = ++e->audit_id;
	e->hash_count = 0;
	DSAA_FOREACH_PEER (e, p) {
		if (!may_be_told(e, p))
			continue;
		p->audit_tx_at = next_time(e);
		p->audit_tx = dsaa_act_message(e, p, &m);
	}
}

static bool takes_states(const struct dsaa_peer *p)
{
	return p->minor >= 1;
}

/* Tells those peers that take states, or those that do not, the hashes that wait. */
static void tell(struct dsaa_engine *e, bool states)
{
	struct dsaa_msg m = { .type = states ? DSAA_MSG_AUDIT_STATES : DSAA_MSG_AUDIT_HASHES };
	uint8_t *buf = e->bulk_buf[states];
	size_t len = 0;

	m.hashes.audit_id = e->audit_id;
	m.hashes.count = (uint16_t)e->hash_count;
	m.hashes.list = e->hashes;
	m.hashes.states = e->states;
	DSAA_FOREACH_PEER (e, p) {
		if (!p->audit_tx || takes_states(p) != states)
			continue;
		if (!len)
			len = dsaa_wire_encode(buf, DSAA_MSG_MAX, &m);
		p->audit_tx = dsaa_act_send_borrowed(e, p, buf, len);
	}
}

/* At most once a step: both buffers are free then. */
void dsaa_audit_flush(struct dsaa_engine *e)
{
	if (!e->hash_count)
		return;
	tell(e, false);
	tell(e, true);
	e->hash_count = 0;
}

void dsaa_audit_flow(struct dsaa_engine *e, const struct dsaa_flow *f)
{
	struct dsaa_record r;

	if (!dsaa_send_dumped_record(e, f, &r))
		return;
	e->states[e->hash_count] = dsaa_flow_state_digest(&r.flow, e->cfg.mark_mask, e->audit_id);
	e->hashes[e->hash_count++] = dsaa_flow_key_hash(f, DSAA_DIGEST_SEED);
	if (e->hash_count == DSAA_STATES_PER_MSG_MAX)
		dsaa_audit_flush(e);
}

void dsaa_audit_end(struct dsaa_engine *e)
{
	struct dsaa_msg m = { .type = DSAA_MSG_AUDIT_END };

	dsaa_audit_flush(e);
	m.hashes.audit_id = e->audit_id;
	DSAA_FOREACH_PEER (e, p) {
		if (p->audit_tx)
			dsaa_act_message(e, p, &m);
		p->audit_tx = false;
	}
}

/* ------------------------------------------------------------------ answering */

void dsaa_audit_answer_begin(struct dsaa_engine *e)
{
	dsaa_send_begin_writer(e, DSAA_MSG_AUDIT_FLOWS, e->wanted_id);
}

void dsaa_audit_answer_flush(struct dsaa_engine *e)
{
	struct dsaa_peer *p = &e->peer[e->wanted_site];
	uint16_t count = e->bulk_writer.count;
	size_t len = dsaa_wire_flows_end(&e->bulk_writer);

	if (len && dsaa_act_send_borrowed(e, p, e->bulk_writer.buf, len))
		p->sent += count;
	dsaa_audit_answer_begin(e);
}

void dsaa_audit_answer_flow(struct dsaa_engine *e, const struct dsaa_flow *f)
{
	struct dsaa_record r;
	uint64_t hash = dsaa_flow_key_hash(f, DSAA_DIGEST_SEED);

	if (dsaa_seen_match_state(&e->wanted, hash, 0) == DSAA_SEEN_ABSENT ||
	    !dsaa_send_dumped_record(e, f, &r) || dsaa_wire_flows_add(&e->bulk_writer, &r))
		return;
	dsaa_audit_answer_flush(e);
	dsaa_wire_flows_add(&e->bulk_writer, &r);
}

void dsaa_audit_answer_end(struct dsaa_engine *e)
{
	dsaa_audit_answer_flush(e);
	e->wanted_site = 0;
}

/* One is answered at a time. Claims are few, so they wait; an audit's comes again with the next. */
static void keep_wants(struct dsaa_peer *p, const struct dsaa_msg_hashes *h)
{
	if (h->audit_id)
		return;
	for (unsigned i = 0; i < h->count && p->kept_wants_count < DSAA_CLAIMS_MAX; i++)
		p->kept_wants[p->kept_wants_count++] = dsaa_wire_hash(h, i);
}

static void take_kept_wants(struct dsaa_engine *e)
{
	DSAA_FOREACH_PEER (e, p) {
		if (!p->kept_wants_count)
			continue;
		dsaa_seen_clear(&e->wanted);
		for (unsigned i = 0; i < p->kept_wants_count; i++)
			dsaa_seen_add_state(&e->wanted, p->kept_wants[i], 0);
		p->kept_wants_count = 0;
		e->wanted_site = p->site;
		e->wanted_id = 0;
		return;
	}
}

static void take_wanted(struct dsaa_engine *e, struct dsaa_peer *p, const struct dsaa_msg_hashes *h)
{
	if (e->wanted_site) {
		keep_wants(p, h);
		return;
	}
	dsaa_seen_clear(&e->wanted);
	for (unsigned i = 0; i < h->count; i++)
		dsaa_seen_add_state(&e->wanted, dsaa_wire_hash(h, i), 0);
	e->wanted_site = p->site;
	e->wanted_id = h->audit_id;
}

/* ------------------------------------------------------------------ comparing */

static bool set_is_free(struct dsaa_engine *e)
{
	DSAA_FOREACH_PEER (e, p)
		if (dsaa_receive_bulk_names(p) || p->audit_rx || p->audit_sweep)
			return false;
	return true;
}

static void take_begin(struct dsaa_engine *e, struct dsaa_peer *p, uint32_t id)
{
	struct dsaa_msg busy = { .type = DSAA_MSG_AUDIT_BUSY, .hashes = { .audit_id = id } };

	p->audit_rx = false; /* one of its own that it did not end */
	if (!set_is_free(e)) {
		dsaa_act_message(e, p, &busy);
		return;
	}
	dsaa_seen_clear(&e->seen);
	p->audit_rx = true;
	p->audit_rx_id = id;
	p->audit_states = takes_states(p);
	p->audit_found = p->audit_fixed = p->audit_altered = 0;
}

/*
 * What is deleted, or begins while our table is compared, is nothing that is missing: the dump may
 * have passed its place.
 */
void dsaa_audit_named(struct dsaa_engine *e, const struct dsaa_peer *p, uint64_t hash, bool deleted)
{
	hash = dsaa_receive_seen_of(p->site, hash);
	if (p->audit_states) {
		if (!deleted)
			dsaa_seen_add_state(&e->seen, hash, 0); /* newer than the state told */
		if (deleted || p->audit_sweep)
			dsaa_seen_mark_state(&e->seen, hash);
		return;
	}
	if (!deleted)
		dsaa_seen_add(&e->seen, hash);
	if (deleted || p->audit_sweep)
		dsaa_seen_mark(&e->seen, hash);
}

static void take_hashes(struct dsaa_engine *e, const struct dsaa_peer *p,
			const struct dsaa_msg_hashes *h, bool states)
{
	for (unsigned i = 0; i < h->count; i++) {
		uint64_t hash = dsaa_receive_seen_of(p->site, dsaa_wire_hash(h, i));

		if (states)
			dsaa_seen_add_state(&e->seen, hash, dsaa_seen_state(dsaa_wire_state(h, i)));
		else
			dsaa_seen_add(&e->seen, hash);
	}
}

unsigned dsaa_audit_message(struct dsaa_engine *e, struct dsaa_peer *p, const struct dsaa_msg *m)
{
	const struct dsaa_msg_hashes *h = &m->hashes;
	bool ours = p->audit_rx && h->audit_id == p->audit_rx_id;

	switch (m->type) {
	case DSAA_MSG_AUDIT_BEGIN:
		take_begin(e, p, h->audit_id);
		break;
	case DSAA_MSG_AUDIT_HASHES:
	case DSAA_MSG_AUDIT_STATES:
		/* which of both follows from the versions of the session */
		if ((m->type == DSAA_MSG_AUDIT_STATES) != takes_states(p))
			return DSAA_R_PROTOCOL_ORDER;
		if (ours)
			take_hashes(e, p, h, p->audit_states);
		break;
	case DSAA_MSG_AUDIT_END:
		p->audit_sweep = ours && !e->seen.overflow;
		p->audit_rx = false;
		break;
	case DSAA_MSG_AUDIT_BUSY:
		/* of the one that was begun last; what it waits for takes a while */
		if (h->audit_id == e->audit_id)
			p->audit_tx_at = dsaa_mono_add_ms(e->now, BUSY_RETRY_MS);
		break;
	default:
		take_wanted(e, p, h);
		break;
	}
	return DSAA_R_NONE;
}

bool dsaa_audit_is_extra(struct dsaa_engine *e, struct dsaa_peer *p, const struct dsaa_flow *f)
{
	uint64_t hash = dsaa_receive_seen_hash(p->site, f);
	enum dsaa_seen_match match;
	uint32_t digest;

	if (!p->audit_sweep)
		return false;
	if (p->audit_states) {
		digest = dsaa_flow_state_digest(f, e->cfg.mark_mask, p->audit_rx_id);
		match = dsaa_seen_match_state(&e->seen, hash, dsaa_seen_state(digest));
	} else {
		match = dsaa_seen_mark(&e->seen, hash) ? DSAA_SEEN_EQUAL : DSAA_SEEN_ABSENT;
	}
	p->audit_altered += match == DSAA_SEEN_DIFFERS;
	p->audit_found += match == DSAA_SEEN_ABSENT;
	return match == DSAA_SEEN_ABSENT;
}

/* Asks for what is missing, or for everything when that is less work. */
static void ask(struct dsaa_engine *e, struct dsaa_peer *p, unsigned missing)
{
	struct dsaa_msg m = { .type = DSAA_MSG_AUDIT_WANT };
	size_t len;

	if (missing > DSAA_AUDIT_WANT_MAX) {
		m.type = DSAA_MSG_BULK_REQUEST;
		dsaa_act_message(e, p, &m);
		return;
	}
	m.hashes.audit_id = p->audit_rx_id;
	m.hashes.count = (uint16_t)missing;
	m.hashes.list = e->hashes;
	e->bulk_turn = !e->bulk_turn;
	len = dsaa_wire_encode(e->bulk_buf[e->bulk_turn], DSAA_MSG_MAX, &m);
	dsaa_act_send_borrowed(e, p, e->bulk_buf[e->bulk_turn], len);
}

void dsaa_audit_compared(struct dsaa_engine *e, struct dsaa_peer *p)
{
	unsigned missing = 0;
	uint64_t hash;
	uint32_t at = 0;

	if (!p->audit_sweep)
		return;
	p->audit_sweep = false;
	while (missing <= DSAA_AUDIT_WANT_MAX && dsaa_seen_next_unmarked(&e->seen, &at, &hash)) {
		/* the owner compares only the bits that a set with states keeps */
		if (p->audit_states)
			hash &= ~DSAA_SEEN_STATE_MASK;
		e->hashes[missing++] = dsaa_receive_seen_of(p->site, hash);
	}
	p->audit_differences = p->audit_found + missing;
	p->audit_were_altered = p->audit_altered;
	p->audit_repaired = p->audit_fixed; /* AUDIT_FLOWS add theirs */
	p->audit_at = e->now;
	p->audits++;
	if (missing)
		ask(e, p, missing);
}

void dsaa_audit_forget(struct dsaa_engine *e, struct dsaa_peer *p)
{
	p->audit_tx = p->audit_rx = p->audit_sweep = false;
	p->audit_tx_at.us = 0;
	p->kept_wants_count = 0;
	if (e->wanted_site == p->site)
		e->wanted_site = 0;
}
