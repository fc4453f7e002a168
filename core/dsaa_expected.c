/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Expectations between the sites: ours to the peers, theirs into our kernel.
 *
 * One bounded table holds both. An entry of ours has the number of its last
 * change; a peer is told what is newer than its cursor, once it has been told
 * the master: what the log still holds for it, and a bulk that runs, go first.
 * A deleted one stays as a tombstone until every peer has heard of it. The
 * first message of a session says RESET: the peer forgets what it holds of us
 * and the message does not name.
 *
 * A peer's expectation lives here as long as the peer says. When a packet uses
 * it up here, it is put back: the packet itself goes to the owner, whose own
 * expectation it uses up, and the owner's word then takes ours away.
 *
 * Helpers move sequence numbers when they rewrite what they found, and the
 * kernel tells nothing of that; so with each expectation its master is told
 * again as it is now.
 */
#include "core/dsaa_engine_private.h"

#include <string.h>

enum { TIMEOUT_MARGIN_S = 60 };

static struct dsaa_expected *find(struct dsaa_engine *e, const struct dsaa_expect *x)
{
	uint64_t hash = dsaa_expect_key_hash(x, e->seed) | 1;

	for (unsigned i = 0; i < e->expects; i++)
		if (e->expect_hash[i] == hash && dsaa_expect_key_equal(&e->expect[i].x, x))
			return &e->expect[i];
	return NULL;
}

static void drop(struct dsaa_engine *e, const struct dsaa_expected *at)
{
	unsigned i = (unsigned)(at - e->expect), last = --e->expects;

	e->expect[i] = e->expect[last];
	e->expect_hash[i] = e->expect_hash[last];
}

/* True when each peer has heard, or will be told all anew, what changed last with AT. */
static bool all_heard(const struct dsaa_engine *e, const struct dsaa_expected *at)
{
	DSAA_FOREACH_PEER_CONST (e, p)
		if (p->session == DSAA_SESSION_ESTABLISHED && p->minor >= 1 && p->expect_cursor &&
		    p->expect_cursor < at->changed)
			return false;
	return true;
}

/* Removes the tombstones that all have heard of. */
static void collect(struct dsaa_engine *e)
{
	for (unsigned i = 0; i < e->expects;)
		if (e->expect[i].gone && all_heard(e, &e->expect[i]))
			drop(e, &e->expect[i]);
		else
			i++;
}

/* The entry of X, made when it is not there; NULL when the table is full. */
static struct dsaa_expected *put(struct dsaa_engine *e, const struct dsaa_expect *x)
{
	struct dsaa_expected *at = find(e, x);

	if (!at && e->expects == DSAA_EXPECTS_MAX)
		collect(e);
	if (!at && e->expects == DSAA_EXPECTS_MAX)
		return NULL;
	if (!at) {
		at = &e->expect[e->expects];
		memset(at, 0, sizeof(*at));
		e->expect_hash[e->expects++] = dsaa_expect_key_hash(x, e->seed) | 1;
	}
	at->x = *x;
	at->gone = false;
	at->until = dsaa_mono_add_ms(e->now, (int64_t)x->timeout_s * 1000);
	return at;
}

static void ours_changed(struct dsaa_engine *e, struct dsaa_expected *at)
{
	at->site = 0;
	at->changed = ++e->expect_seq;
}

/* ------------------------------------------------------------------ into our kernel */

static void add_op(struct dsaa_engine *e, dsaa_site_id site, bool add, const struct dsaa_expect *x)
{
	struct dsaa_expect_op *op;

	if (e->expect_ops == DSAA_EXPECT_OPS_MAX)
		return;
	op = &e->expect_op[e->expect_ops++];
	op->site = site;
	op->add = add;
	op->error = 0;
	op->x = *x;
	if (add)
		op->x.timeout_s += TIMEOUT_MARGIN_S;
}

static void start_ops(struct dsaa_engine *e)
{
	struct dsaa_action *a;

	if (!e->expect_ops)
		return;
	a = dsaa_act(e, DSAA_ACT_EXPECT, 0);
	a->expects = e->expect_op;
	a->count = e->expect_ops;
}

void dsaa_expected_applied(struct dsaa_engine *e)
{
	for (unsigned i = 0; i < e->expect_ops; i++) {
		const struct dsaa_expect_op *op = &e->expect_op[i];
		struct dsaa_expected *at = find(e, &op->x);
		struct dsaa_peer *p = &e->peer[op->site];

		if (!op->add)
			continue;
		if (!op->error) {
			p->expects_applied++;
			continue;
		}
		p->rejected[op->not_owner ? DSAA_R_NOT_OWNER : DSAA_R_EXPECT_FAILED]++;
		if (at && at->site == op->site)
			drop(e, at);
	}
	e->expect_ops = 0;
}

/* P starts over: what it does not name in this message goes. */
static void reset(struct dsaa_engine *e, const struct dsaa_peer *p)
{
	for (unsigned i = 0; i < e->expects;) {
		struct dsaa_expected *at = &e->expect[i];

		if (at->site != p->site || at->named) {
			at->named = false;
			i++;
			continue;
		}
		add_op(e, p->site, false, &at->x);
		drop(e, at);
	}
}

static void take(struct dsaa_engine *e, struct dsaa_peer *p, const struct dsaa_expect *x, bool add)
{
	struct dsaa_expected *at = find(e, x);

	/* nobody speaks of what another site expects */
	if (at && at->site != p->site) {
		p->rejected[DSAA_R_NOT_OWNER]++;
		return;
	}
	if (!add && at)
		drop(e, at);
	if (add) {
		at = put(e, x);
		if (!at) {
			p->rejected[DSAA_R_EXPECT_FAILED]++;
			return;
		}
		at->site = p->site;
		at->named = true;
	}
	add_op(e, p->site, add, x);
}

unsigned dsaa_expected_message(struct dsaa_engine *e, struct dsaa_peer *p,
			       const struct dsaa_msg_expects *m)
{
	struct dsaa_reader r;
	struct dsaa_expect x;
	bool add;

	if (m->epoch < p->epoch) {
		p->rejected[DSAA_R_STALE] += m->count;
		return DSAA_R_NONE;
	}
	e->expect_ops = 0;
	dsaa_reader_init(&r, m->bytes, m->len);
	for (unsigned i = 0; i < m->count; i++)
		if (dsaa_expect_read(&r, &x, &add))
			take(e, p, &x, add);
	if (m->reset)
		reset(e, p);
	for (unsigned i = 0; i < e->expects; i++)
		e->expect[i].named = false;
	start_ops(e);
	return DSAA_R_NONE;
}

/* ------------------------------------------------------------------ from our kernel */

static void ours_came(struct dsaa_engine *e, const struct dsaa_expect *x,
		      const struct dsaa_flow *master)
{
	struct dsaa_expected *at;
	unsigned reason;

	if (!dsaa_send_wanted(e, master, &reason))
		return;
	dsaa_send_flow_event(e, DSAA_OP_UPSERT, master);
	at = put(e, x);
	if (at)
		ours_changed(e, at);
	else
		e->skipped[DSAA_R_EXPECT_FAILED]++;
}

/* It was used up or ended, by nobody's word. */
static void one_went(struct dsaa_engine *e, const struct dsaa_expect *x)
{
	struct dsaa_expected *at = find(e, x);

	if (!at || at->gone)
		return;
	if (!at->site) {
		at->gone = true;
		ours_changed(e, at);
		return;
	}
	if (e->peer[at->site].word == DSAA_WORD_ALIVE && !dsaa_mono_reached(e->now, at->until)) {
		e->expect_ops = 0;
		add_op(e, at->site, true, &at->x);
		start_ops(e);
		return;
	}
	drop(e, at);
}

void dsaa_expected_event(struct dsaa_engine *e, const struct dsaa_event *ev)
{
	unsigned owner;

	if (!e->running)
		return;
	if (ev->op == DSAA_OP_DELETE) {
		one_went(e, ev->expect);
		return;
	}
	if (!ev->flow || dsaa_expect_invalid(ev->expect, true))
		return;
	owner = dsaa_mark_owner(ev->flow->mark, e->cfg.mark_mask);
	if (!owner || owner == e->cfg.local) {
		ours_came(e, ev->expect, ev->flow);
	} else if (owner <= DSAA_SITES_MAX && !find(e, ev->expect)) {
		/* left by an earlier run of this daemon */
		struct dsaa_expected *at = put(e, ev->expect);

		if (at)
			at->site = (dsaa_site_id)owner;
	}
}

void dsaa_expected_adopt(struct dsaa_engine *e, const struct dsaa_peer *p)
{
	for (unsigned i = 0; i < e->expects; i++)
		if (e->expect[i].site == p->site)
			ours_changed(e, &e->expect[i]);
}

/* ------------------------------------------------------------------ to the peers */

/* The entry of ours whose change follows CURSOR, or NULL. */
static const struct dsaa_expected *next_change(const struct dsaa_engine *e, uint64_t cursor)
{
	const struct dsaa_expected *next = NULL;

	for (unsigned i = 0; i < e->expects; i++) {
		const struct dsaa_expected *at = &e->expect[i];

		if (!at->site && at->changed > cursor && (!next || at->changed < next->changed))
			next = at;
	}
	return next;
}

/* True when P knows the master as it is. */
static bool master_told(const struct dsaa_engine *e, const struct dsaa_peer *p,
			const struct dsaa_expected *at)
{
	struct dsaa_flow master = dsaa_expect_master(&at->x);
	const struct dsaa_log_entry *le = dsaa_log_find(&e->log, &master);

	return !le || le->record.seq <= p->cursor;
}

void dsaa_expected_start(struct dsaa_peer *p)
{
	p->expect_cursor = 0;
	p->expect_reset = true;
}

void dsaa_expected_pump(struct dsaa_engine *e, struct dsaa_peer *p)
{
	const struct dsaa_expect *list[DSAA_EXPECTS_PER_MSG_MAX];
	bool whole[DSAA_EXPECTS_PER_MSG_MAX];
	struct dsaa_msg m = { .type = DSAA_MSG_EXPECTS };
	const struct dsaa_expected *at;
	uint64_t cursor = p->expect_cursor;
	uint8_t *buf = e->arena + e->arena_used;
	size_t len;

	if (p->minor < 1 || (!p->expect_reset && cursor == e->expect_seq) ||
	    (p->bulk_tx != DSAA_BULK_NONE && p->bulk_tx != DSAA_BULK_ENDED) ||
	    DSAA_ARENA_LEN - e->arena_used < DSAA_MSG_MAX || p->room < DSAA_MSG_MAX)
		return;
	while (m.expects.count < DSAA_EXPECTS_PER_MSG_MAX && (at = next_change(e, cursor))) {
		if (!at->gone && !master_told(e, p, at))
			break;
		list[m.expects.count] = &at->x;
		whole[m.expects.count++] = !at->gone;
		cursor = at->changed;
	}
	if (!m.expects.count && !p->expect_reset)
		return;
	m.expects.epoch = e->epoch;
	m.expects.reset = p->expect_reset;
	m.expects.list = list;
	m.expects.whole = whole;
	len = dsaa_wire_encode(buf, DSAA_MSG_MAX, &m);
	if (!len || !dsaa_act_send_borrowed(e, p, buf, len))
		return;
	e->arena_used += len;
	p->expect_reset = false;
	p->expect_cursor = cursor;
	p->expects_sent += m.expects.count;
	e->more |= cursor != e->expect_seq && next_change(e, cursor) &&
		   master_told(e, p, next_change(e, cursor));
}
