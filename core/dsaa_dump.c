/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's table is read by one dump at a time, for one purpose:
 *
 *	adopt  re-mark a dead site's connections as ours (first: until it is
 *	       done, the dead site may not come back)
 *	bulk   tell peers all that is ours; all that wait share one dump
 *	drain  count what is still ours while it is handed over (dsaa_drain.c)
 *	sweep  delete replicas that a finished bulk did not name
 *	settle what was adopted on demand becomes ours like all else, when every
 *	       peer has been told so: until then our own number in the mark says it
 *	audit  tell, compare and answer (dsaa_audit.c), when nothing else waits
 *
 * What is ours has 0 in its mark, or our own number: while there may be any of
 * the second kind, the kernel is asked for both.
 *
 * A dump is read only as fast as what it feeds takes it. Deletions and
 * re-markings go to the kernel in batches, each while the dump pauses.
 */
#include "core/dsaa_engine_private.h"

/* Where there are no audits: half of the time that peers are up before what was adopted settles. */
#define SETTLE_MS 5000

#include <string.h>

enum { BULK_PACE_MS = 1000 };

static bool dumps_ours(enum dsaa_purpose purpose)
{
	return purpose == DSAA_FOR_BULK || purpose == DSAA_FOR_AUDIT ||
	       purpose == DSAA_FOR_AUDIT_ANSWER || purpose == DSAA_FOR_DRAIN;
}

static void start(struct dsaa_engine *e, enum dsaa_purpose purpose, dsaa_site_id site)
{
	e->dump = purpose;
	e->dump_site = site;
	e->dump_op_count = 0;
	e->dump_finished = false;
	e->dump_log_seq = dsaa_log_last(&e->log);
	if (dumps_ours(purpose))
		site = e->on_demand ? e->cfg.local : 0;
	dsaa_act(e, DSAA_ACT_DUMP, site);
}

/*
 * While we are not complete, the first bulk of a site that is comes before ours: until it is there
 * we announce nothing, and our own dump would walk through the whole table at the same time. The
 * price: what began here while our daemon was down, and does not change, peers hear that much
 * later. What they hold of us stays until our bulk is there, and changes go out meanwhile.
 */
static bool yields_to_a_bulk(const struct dsaa_engine *e)
{
	if (e->state_complete)
		return false;
	DSAA_FOREACH_PEER_CONST (e, p) {
		if (p->session == DSAA_SESSION_ESTABLISHED && p->serves && p->bulk_rx &&
		    !p->synced_once &&
		    !dsaa_mono_reached(
			    e->now, dsaa_mono_add_ms(p->bulk_rx_started, DSAA_BULK_YIELD_MAX_MS)))
			return true;
	}
	return false;
}

static bool schedule_bulk(struct dsaa_engine *e)
{
	bool pending = false;

	if (yields_to_a_bulk(e))
		return false;
	if (e->bulk_again && e->bulk_last.us &&
	    !dsaa_mono_reached(e->now, dsaa_mono_add_ms(e->bulk_last, BULK_PACE_MS)))
		return false;
	/*
	 * Events that the kernel had queued before it lost others come after the news of the loss:
	 * what they brought may have ended among the lost ones, and the dump will not tell of it.
	 */
	if (e->bulk_again)
		dsaa_delay_forget_all(e);
	DSAA_FOREACH_PEER (e, p) {
		if (p->session != DSAA_SESSION_ESTABLISHED)
			continue;
		if (e->bulk_again &&
		    (p->bulk_tx == DSAA_BULK_NONE || p->bulk_tx == DSAA_BULK_ENDED)) {
			p->bulk_tx = DSAA_BULK_PENDING;
			p->bulk_tx_at = e->now;
		}
		pending |= p->bulk_tx == DSAA_BULK_PENDING &&
			   dsaa_mono_reached(e->now, p->bulk_tx_at);
	}
	e->bulk_again = false;
	if (!pending)
		return false;
	start(e, DSAA_FOR_BULK, 0);
	dsaa_send_bulk_begin(e);
	return true;
}

/*
 * True when nobody is left whom step 5 would have to convince. One that seems dead may have been
 * cut off only; and who is up may lack what two audits would have told it.
 */
static bool all_are_told(const struct dsaa_engine *e)
{
	int64_t settled_us = (int64_t)(e->cfg.audit_interval_ms ?: SETTLE_MS) * 1000 * 2;

	DSAA_FOREACH_PEER_CONST (e, p) {
		if (p->state != DSAA_PEER_UP || dsaa_mono_diff_us(e->now, p->since) < settled_us)
			return false;
	}
	return true;
}

static void schedule_audit(struct dsaa_engine *e)
{
	dsaa_site_id site = 0;
	enum dsaa_purpose purpose = dsaa_audit_due(e, &site);

	if (purpose == DSAA_FOR_NOTHING)
		return;
	start(e, purpose, site);
	if (purpose == DSAA_FOR_AUDIT)
		dsaa_audit_begin(e);
	else if (purpose == DSAA_FOR_AUDIT_ANSWER)
		dsaa_audit_answer_begin(e);
}

void dsaa_dump_schedule(struct dsaa_engine *e)
{
	if (e->dump != DSAA_FOR_NOTHING)
		return;
	DSAA_FOREACH_PEER (e, p) {
		if (p->adopting && dsaa_mono_reached(e->now, p->adopt_at)) {
			dsaa_site_adopts_rest(e, p);
			start(e, DSAA_FOR_ADOPT, p->site);
			return;
		}
	}
	if (schedule_bulk(e))
		return;
	DSAA_FOREACH_PEER (e, p) {
		if (p->want_sweep && p->session == DSAA_SESSION_ESTABLISHED) {
			start(e, DSAA_FOR_SWEEP, p->site);
			return;
		}
	}
	if (dsaa_drain_due(e)) {
		start(e, DSAA_FOR_DRAIN, 0);
		dsaa_drain_begin(e);
		return;
	}
	if (e->on_demand && all_are_told(e)) {
		e->on_demand = false;
		start(e, DSAA_FOR_ADOPT, e->cfg.local);
		return;
	}
	schedule_audit(e);
}

/* True when the running dump becomes messages to P. */
static bool is_fed(const struct dsaa_engine *e, const struct dsaa_peer *p)
{
	return (e->dump == DSAA_FOR_BULK && p->bulk_tx == DSAA_BULK_RUNNING) ||
	       (e->dump == DSAA_FOR_AUDIT && p->audit_tx) ||
	       (e->dump == DSAA_FOR_AUDIT_ANSWER && p->site == e->dump_site);
}

bool dsaa_engine_dump_ready(const struct dsaa_engine *e)
{
	if (e->dump == DSAA_FOR_NOTHING || e->dump_finished)
		return false;
	DSAA_FOREACH_PEER_CONST (e, p) {
		if (is_fed(e, p) && p->room < DSAA_MSG_MAX + 2 * DSAA_ROOM_RESERVE)
			return false;
	}
	return true;
}

/* Thins out the batch: what KEEP says no to goes. ARG is KEEP's own. */
static void keep_some(struct dsaa_engine *e,
		      bool (*keep)(struct dsaa_engine *e, const struct dsaa_flow *f,
				   const struct dsaa_flow *arg),
		      const struct dsaa_flow *arg)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < e->dump_op_count; i++) {
		if (!keep(e, &e->dump_ops[i].flow, arg))
			continue;
		if (kept != i)
			e->dump_ops[kept] = e->dump_ops[i];
		kept++;
	}
	e->dump_op_count = kept;
}

/* Not what its owner has named since the dump told it: that is alive again. */
static bool is_unnamed(struct dsaa_engine *e, const struct dsaa_flow *f,
		       const struct dsaa_flow *unused)
{
	uint64_t hash = dsaa_receive_seen_hash(e->dump_site, f);
	bool states = e->dump == DSAA_FOR_AUDIT_SWEEP && e->peer[e->dump_site].audit_states;

	(void)unused;
	return !e->seen.overflow &&
	       !(states ? dsaa_seen_mark_state(&e->seen, hash) : dsaa_seen_mark(&e->seen, hash));
}

static bool is_untouched(struct dsaa_engine *e, const struct dsaa_flow *f,
			 const struct dsaa_flow *made)
{
	(void)e;
	return !dsaa_flow_found_by(made, f);
}

static void apply_batch(struct dsaa_engine *e)
{
	struct dsaa_action *a;

	if (e->dump == DSAA_FOR_SWEEP || e->dump == DSAA_FOR_AUDIT_SWEEP)
		keep_some(e, is_unnamed, NULL);
	if (!e->dump_op_count)
		return;
	e->apply = e->dump;
	e->apply_site = e->dump_site;
	a = dsaa_act(e, DSAA_ACT_APPLY, e->dump_site);
	a->ops = e->dump_ops;
	a->count = e->dump_op_count;
}

static void add_op(struct dsaa_engine *e, enum dsaa_apply_kind kind, const struct dsaa_flow *f,
		   const struct dsaa_flow *existing)
{
	struct dsaa_apply *op = &e->dump_ops[e->dump_op_count++];

	op->kind = kind;
	op->result = DSAA_APPLIED_ERROR;
	op->error = 0;
	op->flow = *f;
	op->existing = *existing;
	if (e->dump_op_count == DSAA_FLOWS_PER_MSG_MAX)
		apply_batch(e);
}

static void adopt_flow(struct dsaa_engine *e, const struct dsaa_flow *f)
{
	struct dsaa_flow ours = *f;

	ours.mark = dsaa_mark_set_owner(f->mark, e->cfg.mark_mask, 0);
	ours.timeout_s = dsaa_flow_adopted_timeout_s(f, &e->timeouts);
	add_op(e, DSAA_APPLY_UPDATE, &ours, f);
}

static void sweep_flow(struct dsaa_engine *e, const struct dsaa_flow *f)
{
	uint64_t hash = dsaa_receive_seen_hash(e->dump_site, f);

	if (!dsaa_seen_has(&e->seen, hash))
		add_op(e, DSAA_APPLY_DELETE, f, f);
}

void dsaa_dump_flow(struct dsaa_engine *e, const struct dsaa_flow *f)
{
	unsigned owner = dsaa_mark_owner(f->mark, e->cfg.mark_mask);

	/* a kernel that cannot filter sends everything */
	switch (e->dump) {
	case DSAA_FOR_BULK:
		dsaa_send_bulk_flow(e, f);
		break;
	case DSAA_FOR_ADOPT:
		if (owner == e->dump_site)
			adopt_flow(e, f);
		break;
	case DSAA_FOR_SWEEP:
		if (owner == e->dump_site && !e->seen.overflow)
			sweep_flow(e, f);
		break;
	case DSAA_FOR_AUDIT:
		dsaa_audit_flow(e, f);
		break;
	case DSAA_FOR_AUDIT_ANSWER:
		dsaa_audit_answer_flow(e, f);
		break;
	case DSAA_FOR_DRAIN:
		dsaa_drain_flow(e, f);
		break;
	case DSAA_FOR_AUDIT_SWEEP:
		if (owner == e->dump_site && dsaa_audit_is_extra(e, &e->peer[owner], f))
			add_op(e, DSAA_APPLY_DELETE, f, f);
		break;
	default:
		break;
	}
}

void dsaa_dump_flush(struct dsaa_engine *e)
{
	if (e->dump == DSAA_FOR_AUDIT)
		dsaa_audit_flush(e);
	else if (e->dump == DSAA_FOR_BULK && e->bulk_writer.count)
		dsaa_send_bulk_flush(e);
	else if (e->dump == DSAA_FOR_AUDIT_ANSWER && e->bulk_writer.count)
		dsaa_audit_answer_flush(e);
}

/* The running dump has done its work. */
static void finish(struct dsaa_engine *e)
{
	struct dsaa_peer *p = &e->peer[e->dump_site];
	enum dsaa_purpose purpose = e->dump;

	e->dump = DSAA_FOR_NOTHING;
	if (purpose == DSAA_FOR_ADOPT) {
		p->adopting = p->adopt_again;
		p->adopt_again = false;
		/* its state word stays ADOPTED until it comes back */
	} else if (purpose == DSAA_FOR_SWEEP) {
		p->want_sweep = false;
		p->bulk_rx_swept = true;
		/* while its connections move on here, we do not hold what it last said of them */
		p->holds = !p->holes && p->word != DSAA_WORD_ADOPTED;
	} else if (purpose == DSAA_FOR_AUDIT_SWEEP) {
		dsaa_audit_compared(e, p);
	}
}

void dsaa_dump_done(struct dsaa_engine *e, bool ok)
{
	if (e->dump == DSAA_FOR_NOTHING)
		return;
	if (!ok) {
		/* the table changed its shape under the dump, or the kernel failed: once more */
		DSAA_FOREACH_PEER (e, p) {
			if (p->bulk_tx == DSAA_BULK_RUNNING)
				p->bulk_tx = DSAA_BULK_PENDING;
			p->audit_tx = false;
		}
		e->on_demand |= e->dump == DSAA_FOR_ADOPT && e->dump_site == e->cfg.local;
		e->dump_op_count = 0;
		e->dump = DSAA_FOR_NOTHING;
		return;
	}
	if (dumps_ours(e->dump)) {
		if (e->dump == DSAA_FOR_BULK)
			dsaa_send_bulk_end(e);
		else if (e->dump == DSAA_FOR_AUDIT)
			dsaa_audit_end(e);
		else if (e->dump == DSAA_FOR_DRAIN)
			dsaa_drain_counted(e);
		else
			dsaa_audit_answer_end(e);
		finish(e);
		return;
	}
	e->dump_finished = true;
	apply_batch(e);
	if (!e->dump_op_count)
		finish(e);
}

/*
 * What was just re-marked is ours, and may have changed between the dump and its re-marking: the
 * data path took it for ours at once, but the events of that were a foreign entry's. What changes
 * from now on is told by events.
 */
static void count_adopted(struct dsaa_engine *e, const struct dsaa_apply *op)
{
	if (op->result != DSAA_APPLIED_EXISTS || !dsaa_flow_key_equal(&op->existing, &op->flow))
		return; /* it has ended meanwhile */
	e->adopted++;
	dsaa_send_flow_adopted(e, &op->existing); /* further sites shall know */
}

static void count_applied(struct dsaa_engine *e, struct dsaa_apply *op)
{
	struct dsaa_peer *p = &e->peer[e->dump_site];

	if (op->kind == DSAA_APPLY_LOOKUP)
		count_adopted(e, op);
	if (op->result != DSAA_APPLIED_OK)
		return;
	dsaa_claim_gone(e, &op->flow);
	if (e->apply == DSAA_FOR_SWEEP) {
		p->swept++;
		return;
	}
	if (e->apply == DSAA_FOR_AUDIT_SWEEP) {
		p->audit_fixed++;
		return;
	}
	op->kind = DSAA_APPLY_LOOKUP; /* adopted: look at it again */
	e->dump_ops[e->dump_op_count++] = *op;
}

void dsaa_dump_applied(struct dsaa_engine *e)
{
	unsigned count = e->dump_op_count;

	e->dump_op_count = 0;
	for (unsigned i = 0; i < count; i++)
		count_applied(e, &e->dump_ops[i]);
	e->apply = DSAA_FOR_NOTHING;
	if (e->dump_op_count)
		apply_batch(e);
	else if (e->dump_finished)
		finish(e);
}

void dsaa_dump_overtaken(struct dsaa_engine *e, const struct dsaa_flow *f)
{
	if (e->dump == DSAA_FOR_ADOPT)
		keep_some(e, is_untouched, f);
}

static void cancel(struct dsaa_engine *e)
{
	e->dump = DSAA_FOR_NOTHING;
	e->dump_op_count = 0;
	dsaa_act(e, DSAA_ACT_DUMP_CANCEL, 0);
}

void dsaa_dump_begins_anew(struct dsaa_engine *e, const struct dsaa_peer *p)
{
	if (e->dump == DSAA_FOR_AUDIT_SWEEP ||
	    (e->dump == DSAA_FOR_SWEEP && e->dump_site == p->site))
		cancel(e);
}

void dsaa_dump_forget(struct dsaa_engine *e, struct dsaa_peer *p)
{
	bool running = false;

	p->bulk_tx = DSAA_BULK_NONE;
	p->bulk_rx = p->want_sweep = false;
	dsaa_audit_forget(e, p);
	dsaa_claim_forget(e, p);
	if (e->dump == DSAA_FOR_BULK || e->dump == DSAA_FOR_AUDIT) {
		DSAA_FOREACH_PEER (e, q)
			running |= is_fed(e, q);
	} else {
		running = e->dump_site != p->site || (e->dump == DSAA_FOR_ADOPT && p->adopting);
	}
	if (e->dump != DSAA_FOR_NOTHING && !running)
		cancel(e);
}
