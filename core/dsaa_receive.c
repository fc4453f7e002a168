/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The peers' connections on their way into our kernel.
 *
 * A FLOWS message becomes one APPLY action. What the kernel answers is judged
 * by the ownership rule and may lead to a second and third round:
 *
 *	upsert: CREATE -- exists --> decide --> UPDATE | REPLACE | keep ours
 *	        UPDATE -- absent --> CREATE (it was deleted in between)
 *	delete: LOOKUP -- exists and is the sender's --> DELETE that very entry
 *
 * Then the message is confirmed with ACK. Nothing is applied of a message
 * that is older than what is known (rule 3).
 */
#include "core/dsaa_engine_private.h"

#include <string.h>

enum { APPLY_ROUNDS_MAX = 3 };

/* IP_CT_TCP_FLAG_BE_LIBERAL: the replica has not seen the windows, so it must not judge them. */
#define TCP_BE_LIBERAL 0x08

void dsaa_receive_reset(struct dsaa_peer *p)
{
	p->rx_seq = 0;
	p->bulk_rx = p->bulk_rx_swept = p->want_sweep = false;
	p->theirs_complete = p->ask_bulk = false;
	p->holds = p->catching_up = false; /* until RESUME, or a bulk and its sweep, says so */
	p->session_applied = p->session_rejected = 0;
}

uint64_t dsaa_receive_seen_hash(dsaa_site_id site, const struct dsaa_flow *f)
{
	return dsaa_receive_seen_of(site, dsaa_flow_key_hash(f, DSAA_DIGEST_SEED));
}

void dsaa_receive_hole(struct dsaa_peer *p)
{
	p->holds = false;
	p->holes = true;
}

static void reject(struct dsaa_peer *p, unsigned reason)
{
	p->rejected[reason]++;
	p->session_rejected++;
}

/* Our kernel did not take a record: what we hold of P is not complete until it is told again. */
static void reject_for_now(struct dsaa_peer *p, unsigned reason)
{
	reject(p, reason);
	dsaa_receive_hole(p);
	if (p->bulk_rx) {
		p->bulk_rx_rejected++; /* BULK_DONE says so, and the peer repeats it */
		return;
	}
	dsaa_receive_ask_bulk(p);
}

void dsaa_receive_ask_bulk(struct dsaa_peer *p)
{
	p->theirs_complete = false;
	p->ask_bulk = true;
}

void dsaa_receive_tick(struct dsaa_engine *e, struct dsaa_peer *p)
{
	struct dsaa_msg m = { .type = DSAA_MSG_BULK_REQUEST };

	if (p->session == DSAA_SESSION_ESTABLISHED && p->ask_bulk)
		p->ask_bulk = !dsaa_act_message(e, p, &m);
}

static void applied(struct dsaa_peer *p)
{
	p->applied++;
	p->session_applied++;
}

/* The record's flow as it shall stand in our table. */
static void make_replica(const struct dsaa_engine *e, const struct dsaa_peer *p,
			 struct dsaa_flow *f)
{
	/* its own number, where an owner has 0: see step 5 */
	if (dsaa_mark_owner(f->mark, e->cfg.mark_mask) == p->site)
		f->has |= DSAA_HAS_ON_DEMAND;
	f->mark = dsaa_mark_set_owner(f->mark, e->cfg.mark_mask, p->site);
	f->timeout_s = DSAA_REPLICA_TIMEOUT_S;
	f->id = 0;
	if (f->proto == 6) {
		f->tcp_flags[0] |= TCP_BE_LIBERAL;
		f->tcp_flags[1] |= TCP_BE_LIBERAL;
	}
}

static struct dsaa_apply *add_op(struct dsaa_engine *e, enum dsaa_apply_kind kind,
				 const struct dsaa_flow *f)
{
	struct dsaa_apply *op = &e->ops[e->op_count++];

	op->kind = kind;
	op->result = DSAA_APPLIED_ERROR;
	op->error = 0;
	op->flow = *f;
	return op;
}

static void send_ack(struct dsaa_engine *e, struct dsaa_peer *p)
{
	struct dsaa_msg m = {
		.type = DSAA_MSG_ACK,
		.ack = { .epoch = p->epoch,
			 .seq = p->rx_seq,
			 .applied = p->session_applied,
			 .rejected = p->session_rejected },
	};

	dsaa_act_message(e, p, &m);
}

/* All of what a resumed session had to make up for is in our kernel. */
static void check_caught_up(struct dsaa_peer *p)
{
	if (!p->catching_up || p->rx_seq < p->catch_up_to)
		return;
	p->catching_up = false;
	p->theirs_complete = p->synced_once = true;
}

static void start_apply(struct dsaa_engine *e, struct dsaa_peer *p, enum dsaa_purpose purpose)
{
	struct dsaa_action *a;

	if (!e->op_count) {
		e->apply = DSAA_FOR_NOTHING;
		if (purpose == DSAA_FOR_FLOWS) {
			check_caught_up(p);
			send_ack(e, p);
		}
		return;
	}
	e->apply = purpose;
	e->apply_site = p->site;
	a = dsaa_act(e, DSAA_ACT_APPLY, p->site);
	a->ops = e->ops;
	a->count = e->op_count;
}

/* True while the names of connections that P speaks of are kept: for its sweep, or for an audit. */
static bool keeps_names(const struct dsaa_peer *p)
{
	return dsaa_receive_bulk_names(p) || dsaa_audit_running(p);
}

/*
 * The hashes of what a message names, before anything is done with them: the set of a bulk is far
 * larger than the caches, and so its lines are on their way for all records at once.
 */
static void hash_names(const struct dsaa_engine *e, const struct dsaa_peer *p,
		       const struct dsaa_msg_flows *m, uint64_t *hash)
{
	for (unsigned i = 0; i < m->count; i++) {
		hash[i] = dsaa_flow_key_hash(&m->records[i].flow, DSAA_DIGEST_SEED);
		if (dsaa_receive_bulk_names(p))
			dsaa_seen_prefetch(&e->seen, dsaa_receive_seen_of(p->site, hash[i]));
	}
}

/*
 * The peer speaks of this connection: what it names now is no leftover, and what it deletes now is
 * nothing that is missing.
 */
static void note_named(struct dsaa_engine *e, struct dsaa_peer *p, const struct dsaa_record *r,
		       uint64_t hash, bool bulk)
{
	if (bulk) {
		p->bulk_rx_count++;
		p->bulk_rx_digest ^= hash;
	}
	if (dsaa_audit_running(p))
		dsaa_audit_named(e, p, hash, r->op == DSAA_OP_DELETE);
	if (!dsaa_receive_bulk_names(p))
		return;
	if (r->op == DSAA_OP_DELETE)
		dsaa_seen_mark(&e->seen, dsaa_receive_seen_of(p->site, hash));
	else
		dsaa_seen_add(&e->seen, dsaa_receive_seen_of(p->site, hash));
}

/*
 * Turns the records of a message into operations; counts what is refused at once. Only those of
 * FLOWS (not DUMPED) have a sequence number.
 */
static void take_records(struct dsaa_engine *e, struct dsaa_peer *p, const struct dsaa_msg_flows *m,
			 bool bulk, bool dumped)
{
	uint64_t hash[DSAA_FLOWS_PER_MSG_MAX];
	bool names = keeps_names(p);

	e->op_count = 0;
	e->apply_round = 1;
	if (names)
		hash_names(e, p, m, hash);
	for (unsigned i = 0; i < m->count; i++) {
		struct dsaa_record *r = &m->records[i];

		p->received++;
		if (!dumped && r->seq <= p->rx_seq) {
			reject(p, DSAA_R_STALE);
			continue;
		}
		if (!dumped)
			p->rx_seq = r->seq;
		if (names)
			note_named(e, p, r, hash[i], bulk);
		if (r->op == DSAA_OP_DELETE) {
			dsaa_claim_settled(e, p, &r->flow);
			add_op(e, DSAA_APPLY_LOOKUP, &r->flow);
			continue;
		}
		if (dsaa_send_of_router(e, &r->flow)) {
			/* what the sender forwarded to this very router is ours to track */
			reject(p, DSAA_R_ROUTER_ITSELF);
			continue;
		}
		make_replica(e, p, &r->flow);
		add_op(e, DSAA_APPLY_CREATE, &r->flow);
	}
}

static unsigned receive_flows(struct dsaa_engine *e, struct dsaa_peer *p, const struct dsaa_msg *m)
{
	enum dsaa_purpose purpose = m->type == DSAA_MSG_FLOWS	   ? DSAA_FOR_FLOWS :
				    m->type == DSAA_MSG_BULK_FLOWS ? DSAA_FOR_BULK_FLOWS :
				    m->flows.bulk_id		   ? DSAA_FOR_AUDIT_FLOWS :
								     DSAA_FOR_CLAIMED_FLOWS;
	bool bulk = purpose == DSAA_FOR_BULK_FLOWS;

	if (m->flows.epoch < p->epoch) {
		p->rejected[DSAA_R_STALE] += m->flows.count;
		return DSAA_R_NONE;
	}
	p->epoch = m->flows.epoch;
	if (bulk && (!p->bulk_rx || m->flows.bulk_id != p->bulk_rx_id))
		return DSAA_R_PROTOCOL_ORDER;
	take_records(e, p, &m->flows, bulk, purpose != DSAA_FOR_FLOWS);
	start_apply(e, p, purpose);
	return DSAA_R_NONE;
}

/* ------------------------------------------------------------------ what the kernel answered */

/*
 * Our own entry lost against P's: other peers must not keep it as ours. That the mark is P's in
 * the log tells late events of it from those of a new one, and that it was adopted on demand those
 * from events of the same entry when it is adopted so later.
 */
static void give_up_own(struct dsaa_engine *e, const struct dsaa_peer *p,
			const struct dsaa_flow *own)
{
	struct dsaa_flow lost = *own;

	dsaa_delay_forget(e, own);
	if (dsaa_mark_owner(own->mark, e->cfg.mark_mask) == e->cfg.local)
		lost.has |= DSAA_HAS_ON_DEMAND;
	lost.mark = dsaa_mark_set_owner(own->mark, e->cfg.mark_mask, p->site);
	dsaa_log_put(&e->log, DSAA_OP_DELETE, &lost, e->now);
}

/*
 * Our own entry won, and P, which speaks of its own, has not given that up: when it was told of
 * ours it had another entry, or none of its own yet, or was not told when ours began. So it is told
 * once more; but not while a bulk does so anyway, as after a split in which both have adopted
 * everything.
 */
static void repeat_own(struct dsaa_engine *e, const struct dsaa_peer *p,
		       const struct dsaa_flow *own)
{
	const struct dsaa_log_entry *le = dsaa_log_find(&e->log, own);
	bool without_start = le && le->record.flow.start_ns != own->start_ns;
	bool told = le && le->record.seq > p->cursor && !without_start;
	unsigned reason;

	if ((p->bulk_tx == DSAA_BULK_NONE || without_start) && !told &&
	    dsaa_send_wanted(e, own, &reason))
		dsaa_log_put(&e->log, DSAA_OP_UPSERT, own, e->now);
}

/*
 * The entry has seen more than the record tells of: it is what is left of an earlier connection
 * with the same key, whose end the log no longer told. The kernel takes no status bit back.
 */
static bool is_of_earlier(const struct dsaa_apply *op)
{
	const uint32_t seen = DSAA_FLOW_SEEN_REPLY | DSAA_FLOW_ASSURED;

	return op->existing.status & ~op->flow.status & seen;
}

/*
 * Step 6 as P takes it: before 1.2 a beginning that is not known counts as the earliest, which the
 * first nanosecond is as well.
 */
static enum dsaa_owner_decision decide(const struct dsaa_engine *e, const struct dsaa_peer *p,
				       const struct dsaa_apply *op)
{
	struct dsaa_flow existing = op->existing, incoming = op->flow;

	if (p->minor < 2) {
		existing.start_ns += !existing.start_ns;
		incoming.start_ns += !incoming.start_ns;
	}
	return dsaa_owner_decide(&existing, &incoming, e->cfg.mark_mask, p->site, e->cfg.local);
}

/* An entry stands where the record's shall be. Returns the next round's kind, or -1. */
static int judge_existing(struct dsaa_engine *e, struct dsaa_peer *p, struct dsaa_apply *op)
{
	unsigned owner = dsaa_mark_owner(op->existing.mark, e->cfg.mark_mask);
	bool ours = !owner || owner == e->cfg.local;

	/* step 0; in place, for no packet may find it gone */
	if (ours && dsaa_drain_yields_to(e, p)) {
		give_up_own(e, p, &op->existing);
		return dsaa_flow_key_equal(&op->existing, &op->flow) ? DSAA_APPLY_UPDATE :
								       DSAA_APPLY_REPLACE;
	}
	switch (decide(e, p, op)) {
	case DSAA_OWNER_TAKE:
		if (ours)
			give_up_own(e, p, &op->existing);
		/*
		 * ours goes on seeing packets until it is gone, and an update leaves what they
		 * did
		 */
		return ours || is_of_earlier(op) ? DSAA_APPLY_REPLACE : DSAA_APPLY_UPDATE;
	case DSAA_OWNER_REPLACE:
		if (ours)
			give_up_own(e, p, &op->existing);
		dsaa_claim_gone(e, &op->existing);
		return DSAA_APPLY_REPLACE;
	case DSAA_OWNER_KEEP:
		dsaa_delay_seen_elsewhere(e, &op->existing);
		repeat_own(e, p, &op->existing);
		dsaa_claim_refused(e, p, &op->flow, &op->existing);
		reject(p, DSAA_R_CONFLICT_LOST);
		return -1;
	case DSAA_OWNER_REFUSE:
		dsaa_claim_refused(e, p, &op->flow, &op->existing);
		break;
	}
	reject(p, DSAA_R_NOT_OWNER);
	return -1;
}

static int judge_delete(struct dsaa_engine *e, struct dsaa_peer *p, const struct dsaa_apply *op)
{
	unsigned owner;

	if (op->result == DSAA_APPLIED_ABSENT || !dsaa_flow_key_equal(&op->flow, &op->existing)) {
		p->rejected[DSAA_R_NOT_FOUND]++; /* it is gone already: what was wanted */
		return -1;
	}
	owner = dsaa_mark_owner(op->existing.mark, e->cfg.mark_mask);
	if (owner != p->site) {
		/* it took over what ended there before we gave it up: the next round finds it */
		if ((!owner || owner == e->cfg.local) && dsaa_drain_yields_to(e, p)) {
			dsaa_delay_seen_elsewhere(e, &op->existing);
			repeat_own(e, p, &op->existing);
		}
		reject(p, DSAA_R_NOT_OWNER);
		return -1;
	}
	return DSAA_APPLY_DELETE;
}

/* Returns the kind of operation that this one needs next, or -1 when it is settled. */
static int judge_result(struct dsaa_engine *e, struct dsaa_peer *p, struct dsaa_apply *op)
{
	if (op->result == DSAA_APPLIED_FULL) {
		reject_for_now(p, DSAA_R_TABLE_FULL);
		return -1;
	}
	if (op->result == DSAA_APPLIED_ERROR) {
		reject_for_now(p, DSAA_R_KERNEL_ERROR);
		return -1;
	}
	if (op->result == DSAA_APPLIED_NOWHERE) {
		reject_for_now(p, DSAA_R_BLOCK_DIFFERS);
		return -1;
	}
	switch (op->kind) {
	case DSAA_APPLY_LOOKUP:
		return judge_delete(e, p, op);
	case DSAA_APPLY_DELETE:
		dsaa_claim_gone(e, &op->existing);
		applied(p); /* also when it went by itself meanwhile */
		return -1;
	case DSAA_APPLY_CREATE:
	case DSAA_APPLY_UPDATE:
	case DSAA_APPLY_REPLACE:
		break;
	}
	if (op->result == DSAA_APPLIED_EXISTS)
		return judge_existing(e, p, op);
	if (op->result == DSAA_APPLIED_ABSENT)
		return DSAA_APPLY_CREATE;
	dsaa_claim_settled(e, p, &op->flow);
	dsaa_dump_overtaken(e, &op->flow);
	applied(p);
	if (e->apply == DSAA_FOR_AUDIT_FLOWS)
		p->audit_repaired++;
	return -1;
}

void dsaa_receive_applied(struct dsaa_engine *e)
{
	enum dsaa_purpose purpose = e->apply;
	struct dsaa_peer *p = &e->peer[e->apply_site];
	unsigned kept = 0;

	if (purpose == DSAA_FOR_NOTHING)
		return;
	for (unsigned i = 0; i < e->op_count; i++) {
		int next = judge_result(e, p, &e->ops[i]);

		if (next < 0)
			continue;
		if (e->apply_round == APPLY_ROUNDS_MAX) {
			/* somebody changes this entry as fast as we do: later */
			reject_for_now(p, DSAA_R_KERNEL_ERROR);
			continue;
		}
		if (kept != i)
			e->ops[kept] = e->ops[i];
		e->ops[kept++].kind = (enum dsaa_apply_kind)next;
	}
	e->op_count = kept;
	e->apply_round++;
	if (!p->configured) {
		e->apply = DSAA_FOR_NOTHING;
		return;
	}
	start_apply(e, p, purpose);
	/* bulk records are confirmed by BULK_DONE, changes by ACK (sent when nothing is left) */
}

/* ------------------------------------------------------------------ bulk */

static void bulk_begin(struct dsaa_engine *e, struct dsaa_peer *p, uint32_t id)
{
	bool in_use = false;

	/* an audit would take what the bulk names for its own: it comes again */
	DSAA_FOREACH_PEER (e, q) {
		q->audit_rx = q->audit_sweep = false;
		in_use |= q != p && dsaa_receive_bulk_names(q);
	}
	/* what a sweep has not found named so far may be named yet */
	dsaa_dump_begins_anew(e, p);
	if (!in_use)
		dsaa_seen_clear(&e->seen);
	p->bulk_rx = true;
	dsaa_claim_forget(e, p); /* the bulk names it all */
	p->want_sweep = p->ask_bulk = p->holds = p->holes = p->catching_up = false;
	p->bulks_received++;
	p->bulk_rx_id = id;
	p->bulk_rx_count = p->bulk_rx_digest = p->bulk_rx_rejected = 0;
	p->bulk_rx_started = e->now;
}

static unsigned bulk_end(struct dsaa_engine *e, struct dsaa_peer *p, const struct dsaa_msg_bulk *b)
{
	struct dsaa_msg m = { .type = DSAA_MSG_BULK_DONE };

	if (!p->bulk_rx || b->bulk_id != p->bulk_rx_id)
		return DSAA_R_PROTOCOL_ORDER;
	m.bulk.bulk_id = b->bulk_id;
	m.bulk.count = p->bulk_rx_count;
	m.bulk.digest = p->bulk_rx_digest;
	m.bulk.rejected = p->bulk_rx_rejected;
	dsaa_act_message(e, p, &m);
	p->bulk_rx = false;
	p->bulk_at = e->now;
	p->bulk_rx_ms = (uint32_t)(dsaa_mono_diff_us(e->now, p->bulk_rx_started) / 1000);
	p->bulk_flows = p->bulk_rx_count;
	p->bulk_done = true;
	if (b->count == p->bulk_rx_count && b->digest == p->bulk_rx_digest &&
	    !p->bulk_rx_rejected) {
		p->theirs_complete = true;
		p->synced_once = true;
		p->want_sweep = !e->seen.overflow;
	} else if (p->state == DSAA_PEER_SYNCING) {
		p->reason = DSAA_R_BULK_INCOMPLETE;
	}
	return DSAA_R_NONE;
}

/*
 * The peer goes on where the last session ended, as we claimed in our HELLO. It may begin later
 * than there: what lies between came with the bulk that it confirmed.
 */
unsigned dsaa_receive_resume(struct dsaa_engine *e, struct dsaa_peer *p,
			     const struct dsaa_msg_resume *m)
{
	struct dsaa_msg request = { .type = DSAA_MSG_BULK_REQUEST };

	if (!p->told || m->from < p->told_seq || p->rx_seq || p->bulk_rx)
		return DSAA_R_PROTOCOL_ORDER;
	p->told = false;
	p->rx_seq = m->from;
	if (!p->told_holds) {
		/* we adopted it after our HELLO */
		dsaa_act_message(e, p, &request);
		return DSAA_R_NONE;
	}
	p->holds = p->catching_up = true;
	p->catch_up_to = m->to;
	p->resumes_received++;
	check_caught_up(p);
	send_ack(e, p);
	return DSAA_R_NONE;
}

unsigned dsaa_receive_message(struct dsaa_engine *e, struct dsaa_peer *p, const struct dsaa_msg *m)
{
	switch (m->type) {
	case DSAA_MSG_FLOWS:
	case DSAA_MSG_BULK_FLOWS:
	case DSAA_MSG_AUDIT_FLOWS:
		return receive_flows(e, p, m);
	case DSAA_MSG_BULK_BEGIN:
		bulk_begin(e, p, m->bulk.bulk_id);
		return DSAA_R_NONE;
	case DSAA_MSG_BULK_END:
		return bulk_end(e, p, &m->bulk);
	default:
		return DSAA_R_PROTOCOL_ORDER;
	}
}
