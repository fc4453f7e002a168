/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Drives the engines over the fake kernels and the fake network, see world.h. */
#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool sim_trace;
int sim_trace_key = -1;

/* ------------------------------------------------------------------ telling */

void sim_fail(struct sim_world *w, const char *fmt, ...)
{
	va_list ap;

	if (w->failed)
		return;
	w->failed = true;
	va_start(ap, fmt);
	vsnprintf(w->why, sizeof(w->why), fmt, ap);
	va_end(ap);
}

void sim_say(const struct sim_world *w, const char *fmt, ...)
{
	va_list ap;

	if (!sim_trace)
		return;
	printf("%8.2f  ", (double)w->now.us / 1e6);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

/* Clients are 10.1.0.N+1 and fd01::N+1; either end may be the origin of an entry. */
int sim_flow_number(const struct dsaa_flow *f)
{
	const uint8_t *a = f->orig.src, *b = f->orig.dst;
	int last = f->family == 4 ? 3 : 15;

	if (f->family == 4)
		return a[0] == 10 && a[1] == 1 ? a[last] - 1 : b[1] == 1 ? b[last] - 1 : -1;
	return a[1] == 1 ? a[last] - 1 : b[1] == 1 ? b[last] - 1 : -1;
}

void sim_say_flow(const struct sim_world *w, int s, const char *what, const struct dsaa_flow *f)
{
	if (sim_trace_key < 0 || sim_flow_number(f) != sim_trace_key)
		return;
	printf("%8.2f  site %d: %-22s proto %u %s status %x mark %08x state %u start %lld id %u "
	       "nat %u.%u.%u.%u:%u\n",
	       (double)w->now.us / 1e6, s, what, f->proto,
	       f->orig.sport >= f->orig.dport ? "orig" : "rev ", f->status, f->mark, f->tcp_state,
	       (long long)f->start_ns, f->id, f->reply.dst[0], f->reply.dst[1], f->reply.dst[2],
	       f->reply.dst[3], f->reply.dport);
}

/* ------------------------------------------------------------------ actions */

static bool listening(const struct sim_world *w, int s, int from)
{
	return w->site[s].daemon && w->site[s].cfg.local && w->site[s].cfg.site[from].configured;
}

static void act(struct sim_world *w, int s, const struct dsaa_action *a)
{
	struct sim_site *site = &w->site[s];

	switch (a->type) {
	case DSAA_ACT_CONNECT:
		sim_net_connect(&w->net, s, a->site, listening(w, a->site, s));
		break;
	case DSAA_ACT_DISCONNECT:
		sim_say(w, "site %d: drops the connection to %u, reason %u", s, a->site, a->reason);
		sim_net_drop(&w->net, s, a->site);
		break;
	case DSAA_ACT_DUMP:
		sim_kernel_dump_start(&site->kernel, a->site, a->site == s);
		break;
	case DSAA_ACT_DUMP_CANCEL:
		site->kernel.dumping = false;
		break;
	case DSAA_ACT_SITE_WORD:
		sim_say(w, "site %d: word of %u is %d", s, a->site, a->word);
		if (a->site <= SIM_SITES)
			site->word[a->site] = a->word, site->on_demand[a->site] = a->up;
		break;
	case DSAA_ACT_PROBE:
		if (a->site <= SIM_SITES)
			site->probe_up[a->site] = false; /* to be told anew */
		break;
	default:
		break;
	}
}

static void send_data(struct sim_world *w, int s, const struct dsaa_action *a)
{
	if (a->len >= 12 && (a->data[2] == DSAA_MSG_FLOWS))
		w->records_sent++;
	sim_say(w, "site %d: sends type %u, %zu bytes to %u", s, a->data[2], a->len, a->site);
	if (!sim_net_send(&w->net, s, a->site, a->data, a->len) &&
	    sim_net_current(&w->net, s, a->site))
		sim_fail(w, "site %d sends %zu bytes to %u where %zu fit", s, a->len, a->site,
			 sim_net_room(&w->net, s, a->site));
}

/* dsaad crashes before its next action. */
static bool crashes(struct sim_world *w, int s)
{
	if (!w->busy || !(w->faults & SIM_FAULT_DAEMON) ||
	    !sim_random_once_in(&w->random, SIM_CRASH_ONCE_IN))
		return false;
	sim_world_stop(w, s, false);
	w->site[s].boot_us = w->now.us + sim_random_range(&w->random, 10, 1000) * 1000;
	return true;
}

static void apply(struct sim_world *w, int s, struct dsaa_action *a)
{
	static const char *const kinds[] = { "create", "update", "replace", "lookup", "delete" };
	struct sim_site *site = &w->site[s];
	struct dsaa_event done = { .type = DSAA_EV_APPLIED, .ops = a->ops, .count = a->count };

	if (++site->applies > 8)
		sim_fail(w, "site %d: more than 8 rounds of APPLY", s);
	for (unsigned i = 0; i < a->count && !w->failed; i++) {
		char what[40];

		if (crashes(w, s))
			break;

		sim_check_apply(w, s, &a->ops[i]);
		sim_kernel_apply(&site->kernel, &a->ops[i]);
		snprintf(what, sizeof(what), "%s -> %d", kinds[a->ops[i].kind], a->ops[i].result);
		sim_say_flow(w, s, what, &a->ops[i].flow);
	}
	sim_traffic_between(w, s);
	if (!w->failed)
		sim_world_feed(w, s, &done);
	site->applies--;
}

void sim_world_feed(struct sim_world *w, int s, struct dsaa_event *ev)
{
	struct sim_site *site = &w->site[s];
	struct dsaa_action acts[DSAA_ACTIONS_MAX], to_apply = { 0 };
	unsigned n = 0;

	if (!site->daemon || w->failed)
		return;
	if (ev->type == DSAA_EV_FLOW)
		sim_say_flow(w, s, ev->op == DSAA_OP_DELETE ? "event destroy" : "event", ev->flow);
	else if (ev->type == DSAA_EV_DUMP_FLOW)
		sim_say_flow(w, s, "dumped", ev->flow);
	dsaa_engine_step(site->engine, w->now, ev);
	if (ev->type == DSAA_EV_RECEIVED && ev->consumed > ev->len)
		sim_fail(w, "site %d consumed more than there was", s);
	sim_check_engine(w, s);
	while (n < DSAA_ACTIONS_MAX && dsaa_engine_next_action(site->engine, &acts[n])) {
		sim_check_action(w, s, &acts[n]);
		if (crashes(w, s))
			return;
		if (acts[n].type == DSAA_ACT_SEND)
			send_data(w, s, &acts[n]);
		else if (acts[n].type == DSAA_ACT_APPLY)
			to_apply = acts[n];
		else
			n++;
	}
	if (to_apply.count)
		apply(w, s, &to_apply);
	for (unsigned i = 0; i < n && !w->failed && site->daemon; i++)
		act(w, s, &acts[i]);
}

/* ------------------------------------------------------------------ network */

static void tell_room(struct sim_world *w, int s, int peer)
{
	struct dsaa_event ev = { .type = DSAA_EV_ROOM,
				 .site = (dsaa_site_id)peer,
				 .room = sim_net_room(&w->net, s, peer) };

	sim_world_feed(w, s, &ev);
}

static void tell_disconnected(struct sim_world *w, int s, int peer, unsigned reason)
{
	struct dsaa_event ev = { .type = DSAA_EV_DISCONNECTED,
				 .site = (dsaa_site_id)peer,
				 .reason = reason };

	sim_world_feed(w, s, &ev);
}

/* The stream is up at this end; one that was up before is replaced, which may be told or not. */
static void end_comes_up(struct sim_world *w, int s, int peer, struct sim_connection *c)
{
	struct dsaa_event ev = { .type = DSAA_EV_CONNECTED,
				 .site = (dsaa_site_id)peer,
				 .ok = true };

	if (sim_net_current(&w->net, s, peer)) {
		struct sim_connection *old = sim_net_current(&w->net, s, peer);
		int end = sim_net_end(old, s);

		old->end[end] = SIM_END_NONE;
		old->broken_us[!end] = w->now.us + 1;
		if (sim_random_once_in(&w->random, 2))
			tell_disconnected(w, s, peer, DSAA_R_TRANSPORT_LOST);
		if (!w->site[s].daemon)
			return;
	}
	c->end[sim_net_end(c, s)] = SIM_END_UP;
	tell_room(w, s, peer);
	sim_world_feed(w, s, &ev);
}

/* A message that changes nothing when it comes twice, however late: FLOWS, ACK, KEEPALIVE. */
static bool may_come_again(uint8_t type)
{
	return type == DSAA_MSG_FLOWS || type == DSAA_MSG_ACK || type == DSAA_MSG_KEEPALIVE;
}

/* LEN bytes of P were taken; some message that was taken before comes once more. */
static void comes_again(struct sim_world *w, int s, int peer, struct sim_pipe *p, size_t len)
{
	struct dsaa_event ev = { .type = DSAA_EV_RECEIVED, .site = (dsaa_site_id)peer };

	if (may_come_again(p->buf[2]) && (!p->old || sim_random_once_in(&w->random, 3))) {
		free(p->old);
		p->old = malloc(len);
		memcpy(p->old, p->buf, len);
		p->old_len = len;
	}
	if (!p->old || !sim_random_once_in(&w->random, 8))
		return;
	ev.data = p->old;
	ev.len = p->old_len;
	sim_say(w, "site %d: type %u of %d once more", s, p->old[2], peer);
	sim_world_feed(w, s, &ev);
}

static void end_receives(struct sim_world *w, int s, int peer, struct sim_connection *c)
{
	int end = sim_net_end(c, s);
	struct sim_pipe *p = &c->pipe[!end];

	while (p->arrived && c->end[end] == SIM_END_UP && !w->failed) {
		struct dsaa_event ev = { .type = DSAA_EV_RECEIVED,
					 .site = (dsaa_site_id)peer,
					 .data = p->buf,
					 .len = p->arrived };

		tell_room(w, s, peer);
		sim_world_feed(w, s, &ev);
		if (!ev.consumed || !p->arrived)
			return; /* more is needed, or the engine closed it */
		if (w->faults & SIM_FAULT_AGAIN)
			comes_again(w, s, peer, p, ev.consumed);
		if (!p->arrived)
			return;
		memmove(p->buf, p->buf + ev.consumed, p->len - ev.consumed);
		p->len -= ev.consumed;
		p->arrived -= ev.consumed;
	}
}

static bool end_is_over(const struct sim_world *w, const struct sim_connection *c, int end)
{
	const struct sim_pipe *p = &c->pipe[!end];
	bool fin = p->fin && p->arrived == p->len && !p->broken &&
		   !w->net.blocked[c->site[!end]][c->site[end]];

	return fin || (c->broken_us[end] && w->now.us >= c->broken_us[end]);
}

static void end_step(struct sim_world *w, struct sim_connection *c, int end)
{
	int s = c->site[end], peer = c->site[!end];

	if (c->end[end] == SIM_END_TRYING && c->fail_us && w->now.us >= c->fail_us) {
		c->end[end] = SIM_END_NONE;
		tell_disconnected(w, s, peer, DSAA_R_CONNECT_FAILED);
	} else if (c->end[end] == SIM_END_TRYING && c->due_us[end] && w->now.us >= c->due_us[end]) {
		end_comes_up(w, s, peer, c);
	} else if (c->end[end] == SIM_END_TRYING && c->broken_us[end] &&
		   w->now.us >= c->broken_us[end]) {
		c->end[end] = SIM_END_NONE;
		if (end == 0)
			tell_disconnected(w, s, peer, DSAA_R_CONNECT_FAILED);
	} else if (c->end[end] == SIM_END_UP) {
		end_receives(w, s, peer, c);
		if (c->end[end] == SIM_END_UP && end_is_over(w, c, end)) {
			c->end[end] = SIM_END_NONE;
			tell_disconnected(w, s, peer, DSAA_R_TRANSPORT_LOST);
		}
	}
}

static void network_step(struct sim_world *w)
{
	struct sim_connection *c;

	sim_net_step(&w->net, w->now.us);
	for (int a = 1; a <= w->sites; a++)
		for (int b = a + 1; b <= w->sites; b++)
			for (unsigned i = 0; (c = sim_net_connection(&w->net, a, b, i)); i++)
				for (int end = 0; c->used && end < 2; end++)
					if (w->site[c->site[end]].daemon)
						end_step(w, c, end);
	sim_net_collect(&w->net);
}

/* ------------------------------------------------------------------ a site */

static void site_events(struct sim_world *w, int s)
{
	struct sim_site *site = &w->site[s];
	unsigned max = sim_random_below(&w->random, 40);

	while (max-- && site->daemon && !w->failed) {
		struct dsaa_flow f;
		struct dsaa_event ev = { .type = DSAA_EV_FLOW, .flow = &f };

		switch (sim_kernel_read(&site->kernel, site->engine, &ev.op, &ev.begins, &f)) {
		case SIM_READ_NOTHING:
			return;
		case SIM_READ_OVERRUN:
			ev.type = DSAA_EV_OVERRUN;
			sim_say(w, "site %d: overrun", s);
			break;
		case SIM_READ_FLOW:
			break;
		case SIM_READ_SKIPPED:
			continue;
		}
		sim_world_feed(w, s, &ev);
	}
}

static void site_dump(struct sim_world *w, int s)
{
	struct sim_site *site = &w->site[s];
	unsigned max = sim_random_below(&w->random, w->busy ? 60 : 300);

	for (int p = 1; p <= w->sites; p++)
		if (p != s)
			tell_room(w, s, p);
	while (max-- && site->daemon && site->kernel.dumping && !w->failed &&
	       dsaa_engine_dump_ready(site->engine)) {
		struct dsaa_flow f;
		struct dsaa_event ev = { .type = DSAA_EV_DUMP_FLOW, .flow = &f };
		bool fails = w->busy && (w->faults & SIM_FAULT_DUMP) &&
			     sim_random_once_in(&w->random, 300);

		if (fails)
			site->kernel.dumping = false;
		if (fails || !sim_kernel_dump_read(&site->kernel, &f)) {
			ev.type = DSAA_EV_DUMP_DONE;
			ev.ok = !fails;
		}
		sim_world_feed(w, s, &ev);
	}
}

static void site_liveness(struct sim_world *w, int s)
{
	struct sim_site *site = &w->site[s];

	for (int p = 1; p <= w->sites; p++) {
		struct dsaa_event ev = { .site = (dsaa_site_id)p };
		bool link = w->site[p].power && !w->net.blocked[s][p] && !w->net.blocked[p][s];

		if (p == s)
			continue;
		/* each is asked all the time: an answer is told at once, silence takes a while */
		ev.up = w->site[p].power;
		if (w->probes &&
		    ((ev.up && !site->probe_up[p]) || sim_random_once_in(&w->random, 20))) {
			ev.type = DSAA_EV_PROBE;
			site->probe_up[p] = ev.up;
			sim_world_feed(w, s, &ev);
		}
		if (w->bfd && site->bfd[p] != link && sim_random_once_in(&w->random, 10)) {
			site->bfd[p] = link;
			ev.type = DSAA_EV_BFD;
			ev.up = link;
			sim_world_feed(w, s, &ev);
		}
	}
}

static void site_step(struct sim_world *w, int s)
{
	struct sim_site *site = &w->site[s];
	struct dsaa_event ev = { .type = DSAA_EV_TICK };

	if (!site->power && site->boot_us && w->now.us >= site->boot_us) {
		sim_say(w, "site %d: powered on", s);
		site->power = true;
		site->boot_us = w->now.us + sim_random_below(&w->random, 1000) * 1000;
	}
	if (site->power && !site->daemon && site->boot_us && w->now.us >= site->boot_us)
		sim_world_boot(w, s);
	if (!site->daemon)
		return;
	site_liveness(w, s);
	site_events(w, s);
	if (w->now.us >= site->next_tick_us || !dsaa_engine_tick_ms(site->engine)) {
		site->next_tick_us = w->now.us + sim_random_range(&w->random, 1, 5) * SIM_STEP_US;
		for (int p = 1; p <= w->sites; p++)
			if (p != s)
				tell_room(w, s, p);
		sim_world_feed(w, s, &ev);
	}
	if (site->daemon && site->kernel.dumping) {
		site_dump(w, s);
		sim_world_feed(w, s, &ev);
	}
}

void sim_world_step(struct sim_world *w)
{
	w->now.us += SIM_STEP_US;
	w->steps++;
	for (int s = 1; s <= w->sites; s++)
		w->site[s].kernel.wall_ns += SIM_STEP_US * 1000;
	if (w->busy) {
		sim_faults_step(w);
		sim_traffic_step(w);
	}
	for (int s = 1; s <= w->sites && !w->failed; s++)
		site_step(w, s);
	if (!w->failed)
		network_step(w);
	if (!w->failed && w->steps % SIM_CHECK_OWNERS_STEPS == 0)
		sim_check_owners(w);
}

/* ------------------------------------------------------------------ life and death of a site */

void sim_world_boot(struct sim_world *w, int s)
{
	struct sim_site *site = &w->site[s];
	struct dsaa_event ev = { .type = DSAA_EV_CONFIG, .config = &site->cfg };
	void *mem = calloc(1, dsaa_engine_size(w->log_entries, w->seen_entries));

	sim_say(w, "site %d: dsaad starts", s);
	free(site->engine);
	site->engine = dsaa_engine_init(mem, w->log_entries, w->seen_entries,
					(uint64_t)(site->kernel.wall_ns / 1000),
					sim_random_u64(&w->random), w->now);
	site->daemon = true;
	site->boot_us = 0;
	site->next_tick_us = w->now.us;
	sim_kernel_listen(&site->kernel, true);
	sim_world_feed(w, s, &ev);
}

void sim_world_stop(struct sim_world *w, int s, bool gracefully)
{
	struct sim_site *site = &w->site[s];
	struct dsaa_event ev = { .type = DSAA_EV_STOP };

	sim_say(w, "site %d: dsaad %s", s, gracefully ? "stops" : "crashes");
	if (gracefully)
		sim_world_feed(w, s, &ev);
	else
		sim_net_vanish(&w->net, s, true);
	site->daemon = false;
	sim_kernel_listen(&site->kernel, false);
	memset(site->probe_up, 0, sizeof(site->probe_up));
	memset(site->bfd, 0, sizeof(site->bfd));
}

void sim_world_power_off(struct sim_world *w, int s)
{
	struct sim_site *site = &w->site[s];

	sim_say(w, "site %d: power lost", s);
	if (site->daemon)
		sim_world_stop(w, s, false);
	sim_net_vanish(&w->net, s, false);
	site->power = false;
	sim_kernel_reset(&site->kernel);
	memset(site->word, 0, sizeof(site->word));
	memset(site->on_demand, 0, sizeof(site->on_demand));
}

static void configure(struct sim_world *w, int s)
{
	struct dsaa_engine_config *c = &w->site[s].cfg;

	c->cluster_id = 7;
	c->local = (dsaa_site_id)s;
	c->can_connect = true;
	c->mark_mask = SIM_MARK_MASK;
	c->hold_time_ms = 600;
	c->start_timer_ms = 3000;
	c->audit_interval_ms = w->audit_interval_ms;
	c->split_brain = (enum dsaa_split_brain)(w->seed % 3);
	c->primary = 1;
	c->protocols[0] = UINT64_C(1) << DSAA_PROTO_TCP | UINT64_C(1) << DSAA_PROTO_UDP;
	c->delay_s[DSAA_PROTO_UDP] = w->seed % 4 == 3; /* in some worlds, one second */
	c->no_syncs = 1;
	c->no_sync[0] = (struct dsaa_prefix){ { 4, { 10, 7 } }, 16 };
	for (int p = 1; p <= w->sites; p++) {
		c->site[p].configured = true;
		c->site[p].has_probe = w->probes;
		c->site[p].has_bfd = w->bfd;
		c->site[p].sync_addresses = 1;
		c->site[p].sync_address[0] = (struct dsaa_addr){ 4, { 172, 16, 0, (uint8_t)p } };
	}
}

void sim_world_init(struct sim_world *w, uint64_t seed, unsigned faults)
{
	struct sim_random *r = &w->random;

	memset(w, 0, sizeof(*w));
	w->seed = seed;
	r->state = seed;
	w->now.us = 1000000;
	w->sites = (int)sim_random_range(r, 2, SIM_SITES);
	/* a run with few kinds of faults tells more than one with all of them */
	w->faults = faults & (unsigned)sim_random_u64(r);
	w->faults &= (unsigned)sim_random_u64(r);
	w->flows = sim_random_range(r, 8, sim_random_once_in(r, 3) ? SIM_FLOWS_MAX : 48);
	w->audit_interval_ms = sim_random_below(r, 2) || (w->faults & SIM_FAULT_BEHIND) ? 3000 : 0;
	/* without audit the log must reach as far back as a dump takes */
	w->log_entries = w->audit_interval_ms ? 32u << sim_random_below(r, 6) : 4096;
	w->seen_entries = 2048;
	w->probes = sim_random_below(r, 2);
	w->bfd = sim_random_below(r, 2);
	sim_net_init(&w->net, r);
	if (w->faults & SIM_FAULT_SLOW) {
		w->net.capacity = sim_random_range(r, 80, 200) << 10;
		w->net.slowness = sim_random_range(r, 1, 8);
	}
	for (int s = 1; s <= w->sites; s++) {
		struct sim_site *site = &w->site[s];

		sim_kernel_init(&site->kernel, r, SIM_MARK_MASK, (unsigned)s);
		site->kernel.wall_ns = INT64_C(1700000000000000000);
		if (w->faults & SIM_FAULT_CLOCK) {
			site->kernel.wall_ns += (int64_t)sim_random_below(r, 20000) * 1000000;
			site->kernel.timestamps = !sim_random_once_in(r, 6);
		}
		site->kernel.early_drop = (w->faults & SIM_FAULT_BEHIND) &&
					  sim_random_once_in(r, 2);
		configure(w, s);
		site->power = true;
		site->boot_us = w->now.us + sim_random_below(r, 3000) * 1000;
	}
	w->busy = true;
}

void sim_world_free(struct sim_world *w)
{
	for (int s = 1; s <= w->sites; s++)
		free(w->site[s].engine);
	sim_net_free(&w->net);
}
