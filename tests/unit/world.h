/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small world for the engine: N sites in one process, each with an engine,
 * a fake conntrack table and a fake clock; between each pair a byte pipe that
 * can be cut. Everything is deterministic.
 */
#ifndef TESTS_UNIT_WORLD_H
#define TESTS_UNIT_WORLD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/dsaa_engine.h"

#define WORLD_SITES 3
#define WORLD_TABLE 4096
#define WORLD_PIPE  (1 << 20)

struct world_pipe {
	uint8_t *buf;
	size_t len;
};

struct world_site {
	struct dsaa_engine *engine;
	struct dsaa_engine_config cfg;
	bool alive;
	struct dsaa_flow table[WORLD_TABLE];
	unsigned used, limit;
	uint16_t no_zone; /* does not exist here; 0: all do */
	uint32_t next_id;
	/* running dump: position, owner, or -1 */
	int dump_at;
	unsigned dump_owner;
	unsigned dump_waits; /* dumps of this owner are left to the test; 0: none */
	bool dump_stands;    /* no dump gets any further */
	enum dsaa_site_word word[WORLD_SITES + 1];
	bool on_demand[WORLD_SITES + 1];
	bool probing[WORLD_SITES + 1];
	size_t room; /* what its transport takes per peer */
};

struct world {
	int sites;
	struct dsaa_mono now;
	struct world_site site[WORLD_SITES + 1];
	struct world_pipe pipe[WORLD_SITES + 1][WORLD_SITES + 1]; /* [from][to] */
	bool linked[WORLD_SITES + 1][WORLD_SITES + 1];
	bool cut[WORLD_SITES + 1][WORLD_SITES + 1]; /* the link is cut, both ways */
	bool network;				    /* probes answer */
};

static inline void world_feed(struct world *w, int s, struct dsaa_event *ev);

static inline struct dsaa_flow *world_find(struct world_site *s, const struct dsaa_flow *f)
{
	for (unsigned i = 0; i < s->used; i++)
		if (dsaa_flow_key_equal(&s->table[i], f))
			return &s->table[i];
	return NULL;
}

/* As the kernel looks an entry up that is to be changed: by one tuple, in both directions. */
static inline struct dsaa_flow *world_find_both(struct world_site *s, const struct dsaa_flow *f)
{
	for (unsigned i = 0; i < s->used; i++)
		if (dsaa_flow_found_by(&s->table[i], f))
			return &s->table[i];
	return NULL;
}

/* An entry whose original tuple is F's reply tuple would collide in a kernel. */
static inline struct dsaa_flow *world_find_reversed(struct world_site *s, const struct dsaa_flow *f)
{
	for (unsigned i = 0; i < s->used; i++)
		if (s->table[i].proto == f->proto && s->table[i].family == f->family &&
		    !memcmp(&s->table[i].orig, &f->reply, sizeof(f->reply)))
			return &s->table[i];
	return NULL;
}

static inline void world_drop_entry(struct world_site *s, struct dsaa_flow *f)
{
	*f = s->table[--s->used];
}

static inline void world_insert(struct world_site *s, struct dsaa_apply *op)
{
	struct dsaa_flow *there = world_find(s, &op->flow);

	if (!there)
		there = world_find_reversed(s, &op->flow);
	if (there) {
		op->existing = *there;
		op->result = DSAA_APPLIED_EXISTS;
		return;
	}
	if (s->used == s->limit) {
		op->result = DSAA_APPLIED_FULL;
		return;
	}
	s->table[s->used] = op->flow;
	s->table[s->used].has &= (uint8_t)~DSAA_HAS_ON_DEMAND; /* no part of an entry */
	s->table[s->used++].id = ++s->next_id;
	op->result = DSAA_APPLIED_OK;
}

static inline void world_apply(struct world_site *s, struct dsaa_apply *op)
{
	struct dsaa_flow *there = world_find(s, &op->flow);

	if (s->no_zone && op->flow.zone == s->no_zone) {
		op->result = DSAA_APPLIED_NOWHERE;
		return;
	}
	op->result = DSAA_APPLIED_OK;
	switch (op->kind) {
	case DSAA_APPLY_CREATE:
		world_insert(s, op);
		break;
	case DSAA_APPLY_UPDATE:
		there = world_find_both(s, &op->flow);
		if (!there) {
			op->result = DSAA_APPLIED_ABSENT;
		} else {
			struct dsaa_flow old = *there;

			*there = op->flow;
			there->has &= (uint8_t)~DSAA_HAS_ON_DEMAND;
			there->id = old.id;
			there->orig = old.orig;
			there->reply = old.reply;
			/* as the kernel does: it takes none of these back */
			there->status |= old.status & (DSAA_FLOW_SEEN_REPLY | DSAA_FLOW_ASSURED);
		}
		break;
	case DSAA_APPLY_REPLACE:
		for (unsigned i = 0; i < s->used; i++)
			if (s->table[i].id == op->existing.id)
				world_drop_entry(s, &s->table[i]);
		world_insert(s, op);
		break;
	case DSAA_APPLY_LOOKUP:
		op->result = there ? DSAA_APPLIED_EXISTS : DSAA_APPLIED_ABSENT;
		if (there)
			op->existing = *there;
		break;
	case DSAA_APPLY_DELETE:
		if (there && there->id == op->existing.id)
			world_drop_entry(s, there);
		else
			op->result = DSAA_APPLIED_ABSENT;
		break;
	}
}

static inline void world_disconnect(struct world *w, int a, int b, unsigned reason)
{
	struct dsaa_event ev = { .type = DSAA_EV_DISCONNECTED, .reason = reason };

	if (!w->linked[a][b])
		return;
	w->linked[a][b] = w->linked[b][a] = false;
	w->pipe[a][b].len = w->pipe[b][a].len = 0;
	ev.site = (dsaa_site_id)b;
	world_feed(w, a, &ev);
	ev.type = DSAA_EV_DISCONNECTED;
	ev.site = (dsaa_site_id)a;
	world_feed(w, b, &ev);
}

static inline void world_connect(struct world *w, int a, int b)
{
	struct dsaa_event ev = { .type = DSAA_EV_CONNECTED, .ok = true };

	if (!w->site[b].alive || w->cut[a][b] || !w->site[b].cfg.site[a].configured) {
		ev.type = DSAA_EV_DISCONNECTED;
		ev.reason = DSAA_R_CONNECT_FAILED;
		ev.site = (dsaa_site_id)b;
		world_feed(w, a, &ev);
		return;
	}
	w->linked[a][b] = w->linked[b][a] = true;
	ev.site = (dsaa_site_id)b;
	world_feed(w, a, &ev);
	ev.site = (dsaa_site_id)a;
	world_feed(w, b, &ev);
}

static inline void world_act(struct world *w, int s, const struct dsaa_action *a)
{
	struct world_site *site = &w->site[s];
	struct world_pipe *p = &w->pipe[s][a->site];

	switch (a->type) {
	case DSAA_ACT_CONNECT:
		world_connect(w, s, a->site);
		break;
	case DSAA_ACT_DISCONNECT:
		/* what was sent before still arrives: the other end reads it first */
		for (int i = 0; i < 8 && w->linked[s][a->site] && p->len; i++) {
			struct dsaa_event ev = { .type = DSAA_EV_RECEIVED,
						 .data = p->buf,
						 .len = p->len,
						 .site = (dsaa_site_id)s };
			world_feed(w, a->site, &ev);
			if (!ev.consumed || !w->linked[s][a->site])
				break;
			memmove(p->buf, p->buf + ev.consumed, p->len - ev.consumed);
			p->len -= ev.consumed;
		}
		world_disconnect(w, s, a->site, DSAA_R_TRANSPORT_LOST);
		break;
	case DSAA_ACT_SITE_WORD:
		site->word[a->site] = a->word;
		site->on_demand[a->site] = a->up;
		break;
	case DSAA_ACT_PROBE:
		site->probing[a->site] = a->up;
		break;
	case DSAA_ACT_DUMP:
		site->dump_at = 0;
		site->dump_owner = a->site;
		break;
	case DSAA_ACT_DUMP_CANCEL:
		site->dump_at = -1;
		break;
	default:
		break;
	}
}

static inline void world_feed(struct world *w, int s, struct dsaa_event *ev)
{
	struct world_site *site = &w->site[s];
	struct dsaa_action acts[256], apply = { 0 };
	unsigned n = 0;

	if (!site->alive)
		return;
	dsaa_engine_step(site->engine, w->now, ev);
	while (dsaa_engine_next_action(site->engine, &acts[n])) {
		struct dsaa_action *a = &acts[n];

		if (a->type == DSAA_ACT_APPLY) {
			apply = *a;
		} else if (a->type == DSAA_ACT_SEND) {
			struct world_pipe *p = &w->pipe[s][a->site];

			if (w->linked[s][a->site] && p->len + a->len <= WORLD_PIPE) {
				memcpy(p->buf + p->len, a->data, a->len);
				p->len += a->len;
			}
		} else {
			n++;
		}
	}
	if (apply.count) {
		struct dsaa_event done = { .type = DSAA_EV_APPLIED,
					   .ops = apply.ops,
					   .count = apply.count };

		for (unsigned i = 0; i < apply.count; i++)
			world_apply(site, &apply.ops[i]);
		world_feed(w, s, &done);
	}
	for (unsigned i = 0; i < n; i++)
		world_act(w, s, &acts[i]);
}

static inline void world_receive(struct world *w, int from, int to)
{
	struct world_pipe *p = &w->pipe[from][to];

	while (p->len && w->linked[from][to] && !w->cut[from][to]) {
		struct dsaa_event ev = { .type = DSAA_EV_RECEIVED,
					 .site = (dsaa_site_id)from,
					 .data = p->buf,
					 .len = p->len };

		world_feed(w, to, &ev);
		if (!ev.consumed || ev.consumed > p->len)
			break;
		memmove(p->buf, p->buf + ev.consumed, p->len - ev.consumed);
		p->len -= ev.consumed;
	}
}

/* As dsaa_ct_dump_start() filters. */
static inline bool world_is_dumped(int s, unsigned owner, unsigned wanted)
{
	return wanted == (unsigned)s ? !(owner & ~wanted) : owner == wanted;
}

static inline void world_dump(struct world *w, int s)
{
	struct world_site *site = &w->site[s];

	if (site->dump_stands || (site->dump_waits && site->dump_owner == site->dump_waits))
		return;
	while (site->alive && site->dump_at >= 0 && dsaa_engine_dump_ready(site->engine)) {
		struct dsaa_event ev = { .type = DSAA_EV_DUMP_DONE, .ok = true };
		struct dsaa_flow copy;
		bool found = false;

		while (site->dump_at < (int)site->used && !found) {
			copy = site->table[site->dump_at++];
			found = world_is_dumped(s,
						dsaa_mark_owner(copy.mark, DSAA_MARK_MASK_DEFAULT),
						site->dump_owner);
		}
		if (found) {
			ev.type = DSAA_EV_DUMP_FLOW;
			ev.flow = &copy;
		} else {
			site->dump_at = -1;
		}
		world_feed(w, s, &ev);
	}
}

static inline void world_tick_site(struct world *w, int s)
{
	struct dsaa_event ev = { .type = DSAA_EV_ROOM };

	for (int p = 1; p <= w->sites; p++) {
		if (p == s)
			continue;
		ev.type = DSAA_EV_ROOM;
		ev.site = (dsaa_site_id)p;
		ev.room = w->site[s].room > w->pipe[s][p].len ?
				  w->site[s].room - w->pipe[s][p].len :
				  0;
		world_feed(w, s, &ev);
		if (w->site[s].probing[p]) {
			ev.type = DSAA_EV_PROBE;
			ev.up = w->network && w->site[p].alive;
			world_feed(w, s, &ev);
		}
	}
	ev.type = DSAA_EV_TICK;
	world_feed(w, s, &ev);
	world_dump(w, s);
}

static inline void world_run_ms(struct world *w, int ms)
{
	for (int t = 0; t < ms; t += 10) {
		w->now.us += 10000;
		for (int s = 1; s <= w->sites; s++)
			world_tick_site(w, s);
		for (int a = 1; a <= w->sites; a++)
			for (int b = 1; b <= w->sites; b++)
				if (a != b)
					world_receive(w, a, b);
	}
}

/* Starts the daemon of site S: a new engine over the table that is there. */
static inline void world_boot(struct world *w, int s)
{
	struct world_site *site = &w->site[s];
	struct dsaa_event ev = { .type = DSAA_EV_CONFIG, .config = &site->cfg };
	void *mem = calloc(1, dsaa_engine_size(1 << 10, 1 << 13));

	free(site->engine);
	site->engine = dsaa_engine_init(mem, 1 << 10, 1 << 13, (uint64_t)w->now.us + 1, 7, w->now);
	site->alive = true;
	site->dump_at = -1;
	world_feed(w, s, &ev);
}

/* The router of S loses power: nobody is told. */
static inline void world_kill(struct world *w, int s)
{
	w->site[s].alive = false;
	w->site[s].used = 0;
	w->site[s].dump_at = -1;
	memset(w->site[s].probing, 0, sizeof(w->site[s].probing));
}

static inline void world_init(struct world *w, int sites)
{
	memset(w, 0, sizeof(*w));
	w->sites = sites;
	w->now.us = 1000000000;
	for (int s = 1; s <= sites; s++) {
		struct dsaa_engine_config *c = &w->site[s].cfg;

		w->site[s].limit = WORLD_TABLE;
		w->site[s].room = WORLD_PIPE;
		c->cluster_id = 7;
		c->local = (dsaa_site_id)s;
		c->can_connect = true;
		c->mark_mask = DSAA_MARK_MASK_DEFAULT;
		c->hold_time_ms = 1000;
		c->start_timer_ms = 5000;
		c->audit_interval_ms = 60000;
		memset(c->protocols, 0xff, sizeof(c->protocols));
		for (int p = 1; p <= sites; p++) {
			c->site[p].configured = true;
			c->site[p].sync_addresses = 1;
			c->site[p].sync_address[0].family = 4;
			c->site[p].sync_address[0].bytes[3] = (uint8_t)p;
			w->pipe[s][p].buf = malloc(WORLD_PIPE);
		}
	}
}

static inline void world_free(struct world *w)
{
	for (int s = 1; s <= w->sites; s++) {
		free(w->site[s].engine);
		for (int p = 1; p <= w->sites; p++)
			free(w->pipe[s][p].buf);
	}
}

/*
 * A UDP connection number N between 10.1.x.x and 10.9.1.1; START_NS is the age that decides
 * conflicts.
 */
static inline struct dsaa_flow world_flow(unsigned n, uint64_t start_ns, bool assured)
{
	struct dsaa_flow f = {
		.family = 4, .proto = DSAA_PROTO_UDP, .timeout_s = 100, .start_ns = start_ns
	};

	f.orig.src[0] = 10;
	f.orig.src[1] = 1;
	f.orig.src[2] = (uint8_t)(n >> 8);
	f.orig.src[3] = (uint8_t)(n & 0xff) | 1;
	f.orig.dst[0] = 10;
	f.orig.dst[1] = 9;
	f.orig.dst[2] = f.orig.dst[3] = 1;
	f.orig.sport = (uint16_t)(1024 + n);
	f.orig.dport = 80;
	memcpy(f.reply.src, f.orig.dst, 16);
	memcpy(f.reply.dst, f.orig.src, 16);
	f.reply.sport = f.orig.dport;
	f.reply.dport = f.orig.sport;
	f.status = assured ? DSAA_FLOW_SEEN_REPLY | DSAA_FLOW_ASSURED : 0;
	return f;
}

/* The same of TCP: half-open, or established. */
static inline struct dsaa_flow world_tcp(unsigned n, uint64_t start_ns, bool established)
{
	struct dsaa_flow f = world_flow(n, start_ns, established);

	f.proto = DSAA_PROTO_TCP;
	f.tcp_state = established ? 3 : 1;
	return f;
}

/*
 * The kernel of site S sees a connection begin or change. Its events do not say when it began; the
 * edge reads that where the engine needs it.
 */
static inline void world_open(struct world *w, int s, struct dsaa_flow f)
{
	struct dsaa_apply op = { .kind = DSAA_APPLY_CREATE, .flow = f };
	struct dsaa_event ev = { .type = DSAA_EV_FLOW, .op = DSAA_OP_UPSERT };

	world_apply(&w->site[s], &op);
	if (op.result == DSAA_APPLIED_EXISTS) {
		op.kind = DSAA_APPLY_UPDATE;
		op.flow.mark = op.existing.mark;
		world_apply(&w->site[s], &op);
	}
	ev.begins = op.result == DSAA_APPLIED_OK && op.kind == DSAA_APPLY_CREATE;
	ev.flow = world_find(&w->site[s], &f);
	if (!ev.flow)
		return;
	f = *ev.flow;
	if (w->site[s].engine && !dsaa_engine_needs_lookup(w->site[s].engine, &f))
		f.start_ns = 0;
	ev.flow = &f;
	world_feed(w, s, &ev);
}

static inline void world_close(struct world *w, int s, struct dsaa_flow f)
{
	struct dsaa_flow *there = world_find(&w->site[s], &f);
	struct dsaa_event ev = { .type = DSAA_EV_FLOW, .op = DSAA_OP_DELETE };
	struct dsaa_flow gone;

	if (!there)
		return;
	gone = *there;
	world_drop_entry(&w->site[s], there);
	ev.flow = &gone;
	world_feed(w, s, &ev);
}

static inline int world_owner(struct world *w, int s, const struct dsaa_flow *f)
{
	struct dsaa_flow *there = world_find(&w->site[s], f);
	unsigned owner;

	if (!there)
		return -1;
	owner = dsaa_mark_owner(there->mark, DSAA_MARK_MASK_DEFAULT);
	return owner ? (int)owner : s;
}

static inline enum dsaa_peer_state world_state(struct world *w, int s, int peer)
{
	struct dsaa_peer_view v;

	return dsaa_engine_peer_view(w->site[s].engine, (dsaa_site_id)peer, &v) ? v.state :
										  DSAA_PEER_IDLE;
}

static inline unsigned world_reason(struct world *w, int s, int peer)
{
	struct dsaa_peer_view v;

	return dsaa_engine_peer_view(w->site[s].engine, (dsaa_site_id)peer, &v) ? v.reason : 0;
}

/*
 * The invariant of a quiet world: all living sites hold the same connections with the same owner.
 */
static inline bool world_agrees(struct world *w)
{
	for (int a = 1; a <= w->sites; a++)
		for (int b = 1; w->site[a].alive && b <= w->sites; b++) {
			if (a == b || !w->site[b].alive)
				continue;
			if (w->site[a].used != w->site[b].used)
				return false;
			for (unsigned i = 0; i < w->site[a].used; i++) {
				struct dsaa_flow *f = &w->site[a].table[i];

				if (world_owner(w, a, f) != world_owner(w, b, f))
					return false;
			}
		}
	return true;
}

#endif
