/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The fake conntrack table, see kernel.h. */
#include "tests/sim/kernel.h"

#include <string.h>

void sim_kernel_init(struct sim_kernel *k, struct sim_random *random, uint32_t mark_mask,
		     unsigned site)
{
	memset(k, 0, sizeof(*k));
	k->random = random;
	k->mark_mask = mark_mask;
	k->site = site;
	k->limit = SIM_KERNEL_SLOTS;
	k->event_limit = SIM_KERNEL_EVENTS;
	k->timestamps = true;
}

void sim_kernel_reset(struct sim_kernel *k)
{
	for (unsigned i = 0; i < SIM_KERNEL_SLOTS; i++)
		k->slot[i].present = false;
	k->used = 0;
	sim_kernel_listen(k, false);
}

void sim_kernel_listen(struct sim_kernel *k, bool on)
{
	k->listening = on;
	k->events = 0;
	k->overrun = false;
	k->dumping = false;
}

/* ------------------------------------------------------------------ finding */

static bool same_place(const struct dsaa_flow *a, const struct dsaa_flow *b)
{
	return a->family == b->family && a->proto == b->proto && a->zone == b->zone;
}

struct dsaa_flow *sim_kernel_find(struct sim_kernel *k, const struct dsaa_flow *like,
				  const struct dsaa_tuple *t)
{
	for (unsigned i = 0; i < SIM_KERNEL_SLOTS; i++) {
		struct dsaa_flow *f = &k->slot[i].flow;

		if (k->slot[i].present && same_place(f, like) &&
		    (!memcmp(&f->orig, t, sizeof(*t)) || !memcmp(&f->reply, t, sizeof(*t))))
			return f;
	}
	return NULL;
}

struct dsaa_flow *sim_kernel_find_key(struct sim_kernel *k, const struct dsaa_flow *f)
{
	struct dsaa_flow *there = sim_kernel_find(k, f, &f->orig);

	return there && dsaa_flow_key_equal(there, f) ? there : NULL;
}

struct dsaa_flow *sim_kernel_next(struct sim_kernel *k, unsigned *at)
{
	while (*at < SIM_KERNEL_SLOTS)
		if (k->slot[(*at)++].present)
			return &k->slot[*at - 1].flow;
	return NULL;
}

/* ------------------------------------------------------------------ changing */

static void tell(struct sim_kernel *k, uint8_t op, bool begins, const struct dsaa_flow *f)
{
	struct sim_kernel_event *ev;

	if (!k->listening)
		return;
	if (k->events >= k->event_limit) {
		k->overrun = true;
		return;
	}
	ev = &k->event[(k->event_head + k->events++) % SIM_KERNEL_EVENTS];
	ev->op = op;
	ev->begins = begins;
	ev->flow = *f;
}

static struct dsaa_flow *insert(struct sim_kernel *k, const struct dsaa_flow *f)
{
	unsigned at = sim_random_below(k->random, SIM_KERNEL_SLOTS);

	while (k->slot[at].present)
		at = (at + 1) % SIM_KERNEL_SLOTS;
	k->slot[at].present = true;
	k->slot[at].flow = *f;
	k->slot[at].flow.id = ++k->next_id;
	k->slot[at].flow.has &= (uint8_t)~DSAA_HAS_ON_DEMAND; /* no part of an entry */
	k->slot[at].flow.start_ns = k->timestamps ? (uint64_t)k->wall_ns : 0;
	k->used++;
	return &k->slot[at].flow;
}

static void drop(struct sim_kernel *k, const struct dsaa_flow *f)
{
	for (unsigned i = 0; i < SIM_KERNEL_SLOTS; i++)
		if (&k->slot[i].flow == f)
			k->slot[i].present = false;
	k->used--;
}

void sim_kernel_destroy(struct sim_kernel *k, struct dsaa_flow *f)
{
	tell(k, DSAA_OP_DELETE, false, f);
	drop(k, f);
}

/* nf_conntrack's early_drop: one of a few entries that is not assured makes room. */
static bool has_room(struct sim_kernel *k)
{
	unsigned at = sim_random_below(k->random, SIM_KERNEL_SLOTS);

	if (k->used < k->limit)
		return true;
	for (unsigned i = 0; k->early_drop && i < SIM_KERNEL_SLOTS; i++) {
		struct sim_entry *e = &k->slot[(at + i) % SIM_KERNEL_SLOTS];

		if (!e->present || e->flow.status & DSAA_FLOW_ASSURED)
			continue;
		sim_kernel_destroy(k, &e->flow);
		return k->used < k->limit;
	}
	return false;
}

struct dsaa_flow *sim_kernel_create(struct sim_kernel *k, const struct dsaa_flow *f)
{
	struct dsaa_flow *made;

	if (sim_kernel_find(k, f, &f->orig) || sim_kernel_find(k, f, &f->reply) || !has_room(k))
		return NULL;
	made = insert(k, f);
	tell(k, DSAA_OP_UPSERT, true, made);
	return made;
}

void sim_kernel_changed(struct sim_kernel *k, const struct dsaa_flow *f)
{
	tell(k, DSAA_OP_UPSERT, false, f);
}

/* ------------------------------------------------------------------ what the daemon does */

static void apply_lookup(struct sim_kernel *k, struct dsaa_apply *op)
{
	const struct dsaa_flow *there = sim_kernel_find(k, &op->flow, &op->flow.orig);

	if (!there)
		there = sim_kernel_find(k, &op->flow, &op->flow.reply);
	op->result = there ? DSAA_APPLIED_EXISTS : DSAA_APPLIED_ABSENT;
	if (there)
		op->existing = *there;
}

static void apply_create(struct sim_kernel *k, struct dsaa_apply *op)
{
	apply_lookup(k, op);
	if (op->result == DSAA_APPLIED_EXISTS)
		return;
	if (!has_room(k)) {
		op->result = DSAA_APPLIED_FULL;
		return;
	}
	insert(k, &op->flow);
	op->result = DSAA_APPLIED_OK;
}

static bool delete_existing(struct sim_kernel *k, const struct dsaa_flow *existing)
{
	struct dsaa_flow *there = sim_kernel_find(k, existing, &existing->orig);

	if (!there || there->id != existing->id)
		return false;
	drop(k, there);
	return true;
}

static bool same_state(const struct dsaa_flow *a, const struct dsaa_flow *b)
{
	return a->tcp_state == b->tcp_state && !memcmp(a->tcp_wscale, b->tcp_wscale, 2) &&
	       !memcmp(a->tcp_flags, b->tcp_flags, 2);
}

static void update(struct dsaa_flow *there, const struct dsaa_apply *op)
{
	there->status |= op->flow.status & (DSAA_FLOW_SEEN_REPLY | DSAA_FLOW_ASSURED);
	there->timeout_s = op->flow.timeout_s;
	there->mark = op->flow.mark;
	/* put_update says nothing of what is as it was in EXISTING */
	if (same_state(&op->flow, &op->existing))
		return;
	there->tcp_state = op->flow.tcp_state;
	memcpy(there->tcp_wscale, op->flow.tcp_wscale, 2);
	memcpy(there->tcp_flags, op->flow.tcp_flags, 2);
}

static void apply_update(struct sim_kernel *k, struct dsaa_apply *op)
{
	struct dsaa_flow *there = sim_kernel_find(k, &op->flow, &op->flow.orig);

	op->result = there ? DSAA_APPLIED_OK : DSAA_APPLIED_ABSENT;
	if (there)
		update(there, op);
}

/* The edge makes an entry whose NAT differs anew: the kernel changes none in place. */
static bool nat_differs(const struct dsaa_apply *op)
{
	return op->existing.id && dsaa_flow_key_equal(&op->flow, &op->existing) &&
	       memcmp(&op->flow.reply, &op->existing.reply, sizeof(op->flow.reply));
}

void sim_kernel_apply(struct sim_kernel *k, struct dsaa_apply *op)
{
	if (op->kind == DSAA_APPLY_UPDATE && nat_differs(op))
		op->kind = DSAA_APPLY_REPLACE;
	switch (op->kind) {
	case DSAA_APPLY_CREATE:
		apply_create(k, op);
		break;
	case DSAA_APPLY_UPDATE:
		apply_update(k, op);
		break;
	case DSAA_APPLY_REPLACE:
		delete_existing(k, &op->existing);
		apply_create(k, op);
		break;
	case DSAA_APPLY_LOOKUP:
		apply_lookup(k, op);
		break;
	case DSAA_APPLY_DELETE:
		op->result = delete_existing(k, &op->existing) ? DSAA_APPLIED_OK :
								 DSAA_APPLIED_ABSENT;
		break;
	}
}

/* ------------------------------------------------------------------ events */

/* What the edge reads again: it knows no state, or no time of creation where that is needed. */
static bool is_incomplete(const struct sim_kernel *k, const struct sim_kernel_event *ev,
			  const struct dsaa_engine *engine)
{
	unsigned owner = dsaa_mark_owner(ev->flow.mark, k->mark_mask);

	if (ev->op == DSAA_OP_DELETE || (owner && owner != k->site))
		return false;
	return (ev->flow.proto == DSAA_PROTO_TCP && sim_random_once_in(k->random, 4)) ||
	       dsaa_engine_needs_lookup(engine, &ev->flow);
}

enum sim_read sim_kernel_read(struct sim_kernel *k, const struct dsaa_engine *engine, uint8_t *op,
			      bool *begins, struct dsaa_flow *f)
{
	struct sim_kernel_event ev;

	if (k->overrun) {
		k->overrun = false;
		return SIM_READ_OVERRUN;
	}
	if (!k->events)
		return SIM_READ_NOTHING;
	ev = k->event[k->event_head];
	k->event_head = (k->event_head + 1) % SIM_KERNEL_EVENTS;
	k->events--;
	if (ev.op != DSAA_OP_DELETE)
		ev.flow.start_ns = 0;
	if (is_incomplete(k, &ev, engine)) {
		const struct dsaa_flow *there = sim_kernel_find(k, &ev.flow, &ev.flow.orig);

		if (!there || there->id != ev.flow.id)
			return SIM_READ_SKIPPED;
		ev.flow = *there;
	}
	*op = ev.op;
	*begins = ev.begins;
	*f = ev.flow;
	return SIM_READ_FLOW;
}

/* ------------------------------------------------------------------ dump */

void sim_kernel_dump_start(struct sim_kernel *k, int owner, bool ours)
{
	k->dumping = true;
	k->dump_owner = owner;
	k->dump_ours = ours;
	k->dump_at = k->aheads = k->ahead_at = 0;
}

/* As dsaa_ct_dump_start() filters. */
static bool is_dumped(const struct sim_kernel *k, int owner)
{
	return k->dump_ours ? !(owner & ~k->dump_owner) : owner == k->dump_owner;
}

/* The kernel fills the next piece. */
static void read_ahead(struct sim_kernel *k)
{
	unsigned want = sim_random_range(k->random, 1, SIM_KERNEL_AHEAD);

	k->aheads = k->ahead_at = 0;
	while (k->aheads < want) {
		const struct dsaa_flow *f = sim_kernel_next(k, &k->dump_at);

		if (!f)
			return;
		if (is_dumped(k, (int)dsaa_mark_owner(f->mark, k->mark_mask)))
			k->ahead[k->aheads++] = *f;
	}
}

bool sim_kernel_dump_read(struct sim_kernel *k, struct dsaa_flow *f)
{
	bool filled = k->ahead_at == k->aheads;

	if (filled)
		read_ahead(k);
	if (!k->aheads) {
		k->dumping = false;
		return false;
	}
	*f = k->ahead[k->ahead_at++];
	/* fill the next piece as soon as this one is taken: one is always ahead */
	if (!filled && k->ahead_at == k->aheads)
		read_ahead(k);
	return true;
}
