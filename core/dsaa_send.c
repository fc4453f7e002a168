/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Our connections on their way to the peers.
 *
 * Changes go into the compacted log; each peer reads it through its cursor as
 * fast as its transport takes it, so a slow peer gets fewer, newer records. A
 * bulk (dsaa_dump.c runs the dump) is sent beside it, changes first. The peer
 * confirms both: ACK for the log, BULK_DONE with count and digest for a bulk.
 *
 * A bulk record may be older than a change that was sent before it: the
 * kernel fills dump buffers ahead of us. So a dumped connection that changed
 * since the dump began is sent as the log knows it, and not at all when the
 * log says that it was deleted. What the log knows from before the dump counts
 * for nothing: the events of later changes may have been lost.
 */
#include "core/dsaa_engine_private.h"

#include <string.h>

/* How long an event may wait in the kernel before we read it; an overrun comes sooner. */
enum { LATE_EVENT_MS = 2000 };

static bool excluded_by_prefix(const struct dsaa_engine *e, const struct dsaa_flow *f)
{
	for (unsigned i = 0; i < e->cfg.no_syncs; i++) {
		const struct dsaa_prefix *p = &e->cfg.no_sync[i];

		if (dsaa_prefix_covers(p, f->family, f->orig.src) ||
		    dsaa_prefix_covers(p, f->family, f->orig.dst) ||
		    dsaa_prefix_covers(p, f->family, f->reply.src) ||
		    dsaa_prefix_covers(p, f->family, f->reply.dst))
			return true;
	}
	return false;
}

/* A sync-address of any site is a router's own, also before zebra has told ours. */
static bool is_sync_address(const struct dsaa_engine *e, uint8_t family, const uint8_t bytes[16])
{
	for (unsigned i = 0; i < e->sync_addresses; i++)
		if (e->sync_address[i].family == family &&
		    !memcmp(e->sync_address[i].bytes, bytes, 16))
			return true;
	return false;
}

static bool is_router(const struct dsaa_engine *e, uint8_t family, const uint8_t bytes[16])
{
	return dsaa_addrset_has(&e->local_addresses, family, bytes) ||
	       dsaa_addr_is_special(family, bytes) || is_sync_address(e, family, bytes);
}

bool dsaa_send_of_router(const struct dsaa_engine *e, const struct dsaa_flow *f)
{
	return is_router(e, f->family, f->orig.src) || is_router(e, f->family, f->reply.src) ||
	       dsaa_addr_is_special(f->family, f->orig.dst);
}

bool dsaa_send_permitted(const struct dsaa_engine *e, const struct dsaa_flow *f, unsigned *reason)
{
	unsigned owner = dsaa_mark_owner(f->mark, e->cfg.mark_mask);

	if (owner && owner != e->cfg.local) {
		*reason = DSAA_R_NOT_OWNER;
		return false;
	}
	/* one odd entry of our kernel must not make the peer refuse a whole message */
	if (dsaa_flow_invalid(f)) {
		*reason = DSAA_R_BAD_FLOW;
		return false;
	}
	if (dsaa_send_of_router(e, f)) {
		*reason = DSAA_R_ROUTER_ITSELF;
		return false;
	}
	if (!(e->cfg.protocols[f->proto / 64] & (UINT64_C(1) << (f->proto % 64))) ||
	    excluded_by_prefix(e, f)) {
		*reason = DSAA_R_FILTERED;
		return false;
	}
	return true;
}

bool dsaa_send_wanted(const struct dsaa_engine *e, const struct dsaa_flow *f, unsigned *reason)
{
	if (!dsaa_send_permitted(e, f, reason))
		return false;
	*reason = DSAA_R_HALF_OPEN;
	return !dsaa_flow_half_open(f);
}

/*
 * A connection of a dead site that the dump of its adoption may have passed already: an expected
 * one inherits its master's mark, also of a master that has not been re-marked yet.
 */
static void note_left_behind(struct dsaa_engine *e, const struct dsaa_flow *f)
{
	unsigned owner = dsaa_mark_owner(f->mark, e->cfg.mark_mask);
	struct dsaa_peer *p;

	if (!owner || owner > DSAA_SITES_MAX || owner == e->cfg.local)
		return;
	p = &e->peer[owner];
	/* a site that is coming back has its word on its connections itself */
	if (!p->configured || p->left_alone || p->state != DSAA_PEER_DEAD ||
	    p->session >= DSAA_SESSION_OPEN)
		return;
	if (p->adopting)
		p->adopt_again = true;
	else
		p->adopting = true;
}

/* A replica went, and not by our hand: its owner may want to tell it again. */
static void note_lost(struct dsaa_engine *e, const struct dsaa_flow *f)
{
	unsigned owner = dsaa_mark_owner(f->mark, e->cfg.mark_mask);

	if (owner && owner <= DSAA_SITES_MAX && e->peer[owner].configured)
		dsaa_claim_lost(e, &e->peer[owner], f);
}

/*
 * F, which an event tells of, may be an entry of ours that has just lost against a peer's and is
 * gone: the event waited in the kernel meanwhile. (Only for a while: the kernel may use the id
 * again.)
 */
static const struct dsaa_log_entry *may_be_given_up(const struct dsaa_engine *e,
						    const struct dsaa_flow *f)
{
	const struct dsaa_log_entry *le = dsaa_log_find(&e->log, f);
	bool on_demand = dsaa_mark_owner(f->mark, e->cfg.mark_mask) == e->cfg.local;

	/* a packet has brought it back: that is no event of before */
	if (on_demand && le && !(le->record.flow.has & DSAA_HAS_ON_DEMAND))
		return NULL;
	if (!le || le->record.op != DSAA_OP_DELETE || le->record.flow.id != f->id ||
	    !dsaa_mark_owner(le->record.flow.mark, e->cfg.mark_mask) ||
	    dsaa_mono_reached(e->now, dsaa_mono_add_ms(le->changed, LATE_EVENT_MS)))
		return NULL;
	return le;
}

bool dsaa_send_is_given_up(const struct dsaa_engine *e, const struct dsaa_flow *f)
{
	const struct dsaa_log_entry *le = may_be_given_up(e, f);

	return le && le->record.flow.start_ns == f->start_ns;
}

/* Of two connections that the sites created, one that tells no beginning loses since 1.2. */
static bool takes_no_start(const struct dsaa_peer *p)
{
	return p->minor >= 2;
}

bool dsaa_send_dump_may_have_told(const struct dsaa_engine *e)
{
	return e->told_by_dump_at.us &&
	       !dsaa_mono_reached(e->now, dsaa_mono_add_ms(e->told_by_dump_at, LATE_EVENT_MS));
}

bool dsaa_send_needs_lookup(const struct dsaa_engine *e, const struct dsaa_flow *f)
{
	DSAA_FOREACH_PEER_CONST (e, p)
		if (p->session == DSAA_SESSION_ESTABLISHED && !takes_no_start(p))
			return true;
	return dsaa_send_dump_may_have_told(e) || may_be_given_up(e, f);
}

/*
 * The data path has put our own number where another site's was: in a split a packet of it came
 * here. The log says whether that is news.
 */
static void note_on_demand(struct dsaa_engine *e, const struct dsaa_flow *f)
{
	const struct dsaa_log_entry *le;

	if (dsaa_mark_owner(f->mark, e->cfg.mark_mask) != e->cfg.local)
		return;
	e->on_demand = true;
	le = dsaa_log_find(&e->log, f);
	if (!le || le->record.op != DSAA_OP_UPSERT || le->record.flow.id != f->id ||
	    dsaa_mark_owner(le->record.flow.mark, e->cfg.mark_mask) != e->cfg.local)
		e->adopted_on_demand++;
}

void dsaa_send_flow_event(struct dsaa_engine *e, uint8_t op, const struct dsaa_flow *f)
{
	unsigned reason;

	if (!e->running)
		return;
	if (op == DSAA_OP_DELETE)
		dsaa_claim_gone(e, f);
	else
		note_on_demand(e, f); /* also what is not replicated now may be later */
	if (!dsaa_send_wanted(e, f, &reason)) {
		/* a replica's event is not "one of ours that is left out" */
		if (reason != DSAA_R_NOT_OWNER && op == DSAA_OP_UPSERT)
			e->skipped[reason]++;
		else if (op == DSAA_OP_UPSERT)
			note_left_behind(e, f);
		else if (reason == DSAA_R_NOT_OWNER)
			note_lost(e, f);
		return;
	}
	e->own_events++;
	if (op == DSAA_OP_DELETE || !dsaa_send_is_given_up(e, f))
		dsaa_log_put(&e->log, op, f, e->now);
}

void dsaa_send_flow_adopted(struct dsaa_engine *e, const struct dsaa_flow *f)
{
	unsigned reason;

	if (!e->running || !dsaa_send_wanted(e, f, &reason))
		return;
	e->own_events++;
	dsaa_log_put(&e->log, DSAA_OP_UPSERT, f, e->now);
}

void dsaa_send_bulk_again(struct dsaa_engine *e)
{
	e->bulk_again = true;
	DSAA_FOREACH_PEER (e, p)
		p->in_step = false;
}

static void owe_bulk(struct dsaa_engine *e, struct dsaa_peer *p)
{
	p->in_step = p->resuming = false;
	p->base = p->cursor = dsaa_log_last(&e->log);
	p->inflight_count = 0;
}

/*
 * True when the peer, which claims to hold what this run owned at a sequence, lacks nothing but
 * what the log still tells. What it was sent before BASE came with the bulk.
 */
static bool may_resume(const struct dsaa_engine *e, const struct dsaa_peer *p, uint64_t known_epoch,
		       uint64_t from)
{
	/* what was put into the log while it was away may lack what it needs */
	return (p->capabilities & DSAA_CAP_RESUME) && takes_no_start(p) && p->in_step &&
	       known_epoch >= e->boot_epoch && known_epoch <= e->epoch &&
	       dsaa_log_reaches(&e->log, from);
}

void dsaa_send_start(struct dsaa_engine *e, struct dsaa_peer *p, uint64_t known_epoch,
		     uint64_t known_seq)
{
	uint64_t from = known_seq > p->base ? known_seq : p->base;
	struct dsaa_msg m = { .type = DSAA_MSG_RESUME,
			      .resume = { .from = from, .to = dsaa_log_last(&e->log) } };

	dsaa_expected_start(p);
	p->ours_confirmed = false;
	p->bulk_tx = DSAA_BULK_NONE;
	if (may_resume(e, p, known_epoch, from) && dsaa_act_message(e, p, &m)) {
		p->cursor = from;
		p->inflight_count = 0;
		p->resuming = true;
		p->resume_to = m.resume.to;
		p->resumes_sent++;
	} else {
		owe_bulk(e, p);
		p->bulk_tx = DSAA_BULK_PENDING;
		p->bulk_tx_at = e->now;
		if (!e->state_complete)
			p->bulk_tx_at = dsaa_mono_add_ms(e->now, DSAA_BULK_YIELD_MS);
		p->bulk_retry_ms = 0;
	}
	p->last_sent.us = 0; /* the peer shall hear our state at once */
}

static void remember_inflight(struct dsaa_peer *p, uint64_t last_seq, struct dsaa_mono oldest,
			      struct dsaa_mono newest)
{
	struct dsaa_inflight *i;

	if (p->inflight_count == DSAA_INFLIGHT_MAX)
		return; /* lag is sampled, not booked: the oldest samples are the telling ones */
	i = &p->inflight[(p->inflight_head + p->inflight_count++) % DSAA_INFLIGHT_MAX];
	*i = (struct dsaa_inflight){ .last_seq = last_seq, .oldest = oldest, .newest = newest };
}

/*
 * The change after CURSOR, or NULL. An expected connection whose master changed after it moves
 * behind the master: a peer that has not been told of both must hear of the master first.
 */
static const struct dsaa_log_entry *next_change(struct dsaa_engine *e, uint64_t cursor)
{
	const struct dsaa_log_entry *le, *master;
	/* each moves once: a hostile peer's records may be each other's masters */
	const uint64_t last = dsaa_log_last(&e->log);
	struct dsaa_log_entry child;
	struct dsaa_flow key;

	while ((le = dsaa_log_after(&e->log, cursor)) && le->record.flow.has & DSAA_HAS_MASTER &&
	       le->record.op == DSAA_OP_UPSERT) {
		key = le->record.flow;
		key.proto = key.master_proto;
		key.orig = key.master;
		master = dsaa_log_find(&e->log, &key);
		if (!master || master->record.seq < le->record.seq || le->record.seq > last)
			break;
		child = *le;
		dsaa_log_put(&e->log, child.record.op, &child.record.flow, child.changed);
	}
	return le;
}

/* Makes one FLOWS message of what follows P's cursor. False when nothing was to be sent. */
static bool send_changes(struct dsaa_engine *e, struct dsaa_peer *p)
{
	struct dsaa_mono oldest = { 0 }, newest = { 0 };
	struct dsaa_flows_writer w;
	const struct dsaa_log_entry *le;
	uint64_t cursor = p->cursor;
	uint8_t *buf = e->arena + e->arena_used;
	size_t len;

	if (p->room < DSAA_MSG_MAX + DSAA_ROOM_RESERVE)
		return false;
	if (DSAA_ARENA_LEN - e->arena_used < DSAA_MSG_MAX ||
	    e->action_count >= DSAA_ACTIONS_MAX - DSAA_ACTIONS_RESERVE) {
		e->more = true;
		return false;
	}
	/* encoded where it is sent from: no copy on the way of every change */
	dsaa_wire_flows_begin(&w, buf, DSAA_MSG_MAX, DSAA_MSG_FLOWS, e->epoch, 0);
	while ((le = next_change(e, cursor)) && dsaa_wire_flows_add(&w, &le->record)) {
		if (cursor == p->cursor)
			oldest = le->changed;
		newest = le->changed;
		cursor = le->record.seq;
	}
	len = dsaa_wire_flows_end(&w);
	if (!len)
		return false;
	dsaa_act_send_borrowed(e, p, buf, len);
	e->arena_used += len;
	p->sent += w.count;
	p->cursor = cursor;
	remember_inflight(p, cursor, oldest, newest);
	return true;
}

void dsaa_send_pump(struct dsaa_engine *e, struct dsaa_peer *p)
{
	if (p->session != DSAA_SESSION_ESTABLISHED)
		return;
	if (!dsaa_log_reaches(&e->log, p->cursor)) {
		/* it fell off the log's end: only a bulk can tell it what it missed */
		owe_bulk(e, p);
		if (p->bulk_tx == DSAA_BULK_RUNNING)
			dsaa_send_bulk_again(e);
		else
			p->bulk_tx = DSAA_BULK_PENDING;
	}
	while (send_changes(e, p))
		;
	dsaa_expected_pump(e, p);
}

void dsaa_send_ack(struct dsaa_engine *e, struct dsaa_peer *p, const struct dsaa_msg_ack *ack)
{
	p->peer_applied = ack->applied;
	p->peer_rejected = ack->rejected;
	if (p->resuming && ack->seq >= p->resume_to) {
		p->resuming = false;
		p->ours_confirmed = true;
	}
	while (p->inflight_count && p->inflight[p->inflight_head].last_seq <= ack->seq) {
		struct dsaa_inflight *i = &p->inflight[p->inflight_head];

		dsaa_histogram_add(&p->lag, dsaa_mono_diff_us(e->now, i->oldest));
		if (i->newest.us != i->oldest.us)
			dsaa_histogram_add(&p->lag, dsaa_mono_diff_us(e->now, i->newest));
		p->inflight_head = (p->inflight_head + 1) % DSAA_INFLIGHT_MAX;
		p->inflight_count--;
	}
}

/* ------------------------------------------------------------------ bulk */

void dsaa_send_begin_writer(struct dsaa_engine *e, uint8_t type, uint32_t id)
{
	e->bulk_turn = !e->bulk_turn;
	dsaa_wire_flows_begin(&e->bulk_writer, e->bulk_buf[e->bulk_turn], DSAA_MSG_MAX, type,
			      e->epoch, id);
}

static void begin_writer(struct dsaa_engine *e)
{
	dsaa_send_begin_writer(e, DSAA_MSG_BULK_FLOWS, e->bulk_id);
}

void dsaa_send_bulk_begin(struct dsaa_engine *e)
{
	struct dsaa_msg m = { .type = DSAA_MSG_BULK_BEGIN };

	e->bulk_id++;
	e->held_count = 0;
	e->bulk_last = e->now;
	m.bulk.bulk_id = e->bulk_id;
	begin_writer(e);
	DSAA_FOREACH_PEER (e, p) {
		if (p->bulk_tx != DSAA_BULK_PENDING || !dsaa_mono_reached(e->now, p->bulk_tx_at) ||
		    !dsaa_act_message(e, p, &m))
			continue;
		/*
		 * What did not fit yet the bulk tells newer. Told behind BEGIN it would count as
		 * named, also when its end was among lost events.
		 */
		p->base = p->cursor = dsaa_log_last(&e->log);
		p->in_step = false;
		p->bulk_tx = DSAA_BULK_RUNNING;
		p->bulk_tx_id = e->bulk_id;
		p->bulk_tx_count = p->bulk_tx_digest = 0;
		p->bulk_tx_started = e->now;
		p->bulks_sent++;
	}
}

void dsaa_send_bulk_flush(struct dsaa_engine *e)
{
	uint16_t count = e->bulk_writer.count;
	size_t len = dsaa_wire_flows_end(&e->bulk_writer);

	if (len) {
		DSAA_FOREACH_PEER (e, p) {
			if (p->bulk_tx != DSAA_BULK_RUNNING)
				continue;
			if (dsaa_act_send_borrowed(e, p, e->bulk_writer.buf, len))
				p->sent += count;
			else /* dump_ready() said there was room: start over rather than lose */
				p->bulk_tx = DSAA_BULK_PENDING;
		}
	}
	begin_writer(e);
}

bool dsaa_send_dumped_record(struct dsaa_engine *e, const struct dsaa_flow *f,
			     struct dsaa_record *r)
{
	const struct dsaa_log_entry *le;
	unsigned reason;

	if (!dsaa_send_wanted(e, f, &reason) || dsaa_delay_holds(e, f))
		return false;
	/* what was put before the dump began counts for nothing: the table says what is newer */
	le = dsaa_log_last(&e->log) > e->dump_log_seq ? dsaa_log_find(&e->log, f) : NULL;
	if (le && le->record.seq <= e->dump_log_seq)
		le = NULL;
	if (le && le->record.op == DSAA_OP_DELETE)
		return false;
	memset(r, 0, sizeof(*r));
	r->op = DSAA_OP_UPSERT;
	r->flow = le ? le->record.flow : *f;
	if (!r->flow.start_ns && r->flow.id == f->id)
		r->flow.start_ns = f->start_ns;
	if (e->dump != DSAA_FOR_AUDIT)
		e->told_by_dump_at = e->now;
	return true;
}

static void add_to_bulk(struct dsaa_engine *e, const struct dsaa_flow *f)
{
	struct dsaa_record r;
	uint64_t hash;

	if (!dsaa_send_dumped_record(e, f, &r))
		return;
	if (!dsaa_wire_flows_add(&e->bulk_writer, &r)) {
		dsaa_send_bulk_flush(e);
		if (!dsaa_wire_flows_add(&e->bulk_writer, &r))
			return; /* a record always fits an empty message */
	}
	hash = dsaa_flow_key_hash(f, DSAA_DIGEST_SEED);
	DSAA_FOREACH_PEER (e, p) {
		if (p->bulk_tx == DSAA_BULK_RUNNING) {
			p->bulk_tx_count++;
			p->bulk_tx_digest ^= hash;
		}
	}
}

void dsaa_send_bulk_flow(struct dsaa_engine *e, const struct dsaa_flow *f)
{
	/* expected ones wait for the end, because their masters may still come */
	if (f->has & DSAA_HAS_MASTER && e->held_count < DSAA_BULK_HELD_MAX)
		e->held[e->held_count++] = *f;
	else
		add_to_bulk(e, f);
}

void dsaa_send_bulk_end(struct dsaa_engine *e)
{
	for (unsigned i = 0; i < e->held_count; i++)
		add_to_bulk(e, &e->held[i]);
	e->held_count = 0;
	dsaa_send_bulk_flush(e);
	DSAA_FOREACH_PEER (e, p) {
		struct dsaa_msg m = { .type = DSAA_MSG_BULK_END };

		if (p->bulk_tx != DSAA_BULK_RUNNING)
			continue;
		m.bulk.bulk_id = p->bulk_tx_id;
		m.bulk.count = p->bulk_tx_count;
		m.bulk.digest = p->bulk_tx_digest;
		p->bulk_tx = dsaa_act_message(e, p, &m) ? DSAA_BULK_ENDED : DSAA_BULK_PENDING;
	}
}

/* P's kernel does not hold all of ours. What keeps failing is repeated more and more slowly. */
static void repeat_bulk(struct dsaa_engine *e, struct dsaa_peer *p)
{
	uint32_t again_ms = 2 * p->bulk_retry_ms;

	if (!again_ms ||
	    dsaa_mono_reached(e->now, dsaa_mono_add_ms(p->bulk_tx_at, 2 * DSAA_BULK_RETRY_MAX_MS)))
		again_ms = DSAA_BULK_RETRY_MS;
	p->bulk_retry_ms = again_ms < DSAA_BULK_RETRY_MAX_MS ? again_ms : DSAA_BULK_RETRY_MAX_MS;
	p->ours_confirmed = false;
	p->bulk_tx = DSAA_BULK_PENDING;
	p->bulk_tx_at = dsaa_mono_add_ms(e->now, p->bulk_retry_ms);
}

void dsaa_send_bulk_requested(struct dsaa_engine *e, struct dsaa_peer *p)
{
	/* a bulk that P has not yet answered has what it misses: P asked before it saw its end */
	p->in_step = p->resuming = false;
	if (p->bulk_tx == DSAA_BULK_NONE)
		repeat_bulk(e, p);
}

void dsaa_send_bulk_done(struct dsaa_engine *e, struct dsaa_peer *p, const struct dsaa_msg_bulk *b)
{
	if (p->bulk_tx != DSAA_BULK_ENDED || b->bulk_id != p->bulk_tx_id)
		return; /* of a bulk that was started over */
	p->bulk_tx_ms = (uint32_t)(dsaa_mono_diff_us(e->now, p->bulk_tx_started) / 1000);
	p->bulk_tx = DSAA_BULK_NONE;
	if (b->count == p->bulk_tx_count && b->digest == p->bulk_tx_digest && !b->rejected) {
		p->ours_confirmed = true;
		p->in_step = !e->bulk_again;
		return;
	}
	if (p->state == DSAA_PEER_SYNCING)
		p->reason = DSAA_R_BULK_INCOMPLETE;
	repeat_bulk(e, p);
}
