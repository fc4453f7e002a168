/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What breaks, and how it is mended at the end. See enum sim_fault. */
#include <string.h>

#include "tests/sim/world.h"

static int any_site(struct sim_world *w)
{
	return (int)sim_random_range(&w->random, 1, (unsigned)w->sites);
}

static int another_site(struct sim_world *w, int s)
{
	int o = (int)sim_random_range(&w->random, 1, (unsigned)w->sites - 1);

	return o < s ? o : o + 1;
}

static int64_t in_ms(struct sim_world *w, unsigned low, unsigned high)
{
	return w->now.us + (int64_t)sim_random_range(&w->random, low, high) * 1000;
}

static void fault_cut(struct sim_world *w)
{
	int a = any_site(w), b = another_site(w, a);
	bool silently = sim_random_once_in(&w->random, 3);

	sim_say(w, "fault: connection of %d and %d breaks%s", a, b, silently ? " silently" : "");
	sim_net_break(&w->net, a, b, silently);
}

static void fault_partition(struct sim_world *w)
{
	int a = any_site(w), b = another_site(w, a);
	bool both = sim_random_below(&w->random, 2);

	sim_say(w, "fault: nothing passes from %d to %d%s", a, b, both ? " and back" : "");
	w->net.blocked[a][b] = true;
	w->heal_us[a][b] = in_ms(w, 50, sim_random_once_in(&w->random, 2) ? 500 : 4000);
	if (both) {
		w->net.blocked[b][a] = true;
		w->heal_us[b][a] = w->heal_us[a][b];
	}
}

static void fault_daemon(struct sim_world *w)
{
	int s = any_site(w);

	if (!w->site[s].daemon)
		return;
	sim_world_stop(w, s, sim_random_once_in(&w->random, 2));
	w->site[s].boot_us = in_ms(w, 10, sim_random_once_in(&w->random, 2) ? 300 : 4000);
}

static void fault_router(struct sim_world *w)
{
	int s = any_site(w);

	if (!w->site[s].power)
		return;
	sim_world_power_off(w, s);
	w->site[s].boot_us = in_ms(w, 1000, 6000);
}

static void fault_overrun(struct sim_world *w)
{
	struct sim_site *site = &w->site[any_site(w)];

	site->kernel.event_limit = sim_random_below(&w->random, 4);
	site->overrun_until_us = in_ms(w, 20, 500);
}

static void fault_full(struct sim_world *w)
{
	struct sim_site *site = &w->site[any_site(w)];

	sim_say(w, "fault: table of %d is full", (int)(site - w->site));
	site->kernel.limit = site->kernel.used + sim_random_below(&w->random, 3);
	site->full_until_us = in_ms(w, 100, 3000);
}

static void fault_clock(struct sim_world *w)
{
	struct sim_site *site = &w->site[any_site(w)];

	site->kernel.wall_ns += ((int64_t)sim_random_below(&w->random, 10000) - 5000) * 1000000;
}

static void reconfigure(struct sim_world *w, int s)
{
	struct dsaa_event ev = { .type = DSAA_EV_CONFIG, .config = &w->site[s].cfg };

	sim_world_feed(w, s, &ev);
}

/* 'sync protocol' changes on all sites, one after the other; or a site goes and comes at one. */
static void fault_config(struct sim_world *w)
{
	int s = any_site(w), o = another_site(w, s);
	struct dsaa_engine_config *c = &w->site[s].cfg;

	switch (sim_random_below(&w->random, 3)) {
	case 0:
		sim_say(w, "fault: sync protocol of %d", s);
		c->protocols[0] ^= UINT64_C(1) << DSAA_PROTO_UDP;
		break;
	case 1:
		sim_say(w, "fault: site %d is configured at %d: %d", o, s, !c->site[o].configured);
		c->site[o].configured = !c->site[o].configured;
		/* one that is no peer need not be told: its word counts as that of any stranger */
		memset(w->adopted_id, 0, sizeof(w->adopted_id));
		break;
	case 2:
		c->hold_time_ms = sim_random_range(&w->random, 300, 1200);
		break;
	}
	reconfigure(w, s);
}

static void fault_operator(struct sim_world *w)
{
	int s = any_site(w);
	struct dsaa_event ev = { .up = sim_random_below(&w->random, 2) };

	switch (sim_random_below(&w->random, 5)) {
	case 0:
		ev.type = DSAA_EV_RESYNC;
		ev.site = (dsaa_site_id)sim_random_below(&w->random, (unsigned)w->sites + 1);
		break;
	case 1:
		ev.type = DSAA_EV_DRAIN;
		break;
	case 2:
		ev.type = DSAA_EV_AUDIT;
		break;
	case 3:
		ev.type = DSAA_EV_ROUTES;
		break;
	case 4:
		ev.type = DSAA_EV_ROUTES_AWAITED;
		break;
	}
	w->drained |= ev.type == DSAA_EV_DRAIN || ev.type == DSAA_EV_ROUTES;
	sim_world_feed(w, s, &ev);
}

/* Somebody with conntrack(8). */
static void fault_behind(struct sim_world *w)
{
	int s = any_site(w);
	struct sim_kernel *k = &w->site[s].kernel;
	unsigned at = sim_random_below(&w->random, SIM_KERNEL_SLOTS);
	struct dsaa_flow *f = sim_kernel_next(k, &at);
	unsigned owner = f ? dsaa_mark_owner(f->mark, SIM_MARK_MASK) : 0;

	if (!owner)
		return;
	sim_say_flow(w, s, "tampered with", f);
	w->tampered[s][sim_flow_number(f)] = true;
	/*
	 * nobody audits the number of a site that is dead: leave that one out where sites may die
	 */
	switch (sim_random_below(&w->random, w->faults & SIM_FAULT_ROUTER ? 2 : 3)) {
	case 0:
		sim_kernel_destroy(k, f);
		break;
	case 1:
		f->mark = dsaa_mark_set_owner(f->mark, SIM_MARK_MASK, 0);
		f->timeout_s = 100;
		sim_kernel_changed(k, f);
		break;
	case 2:
		f->mark = dsaa_mark_set_owner(f->mark, SIM_MARK_MASK, (unsigned)another_site(w, s));
		sim_kernel_changed(k, f);
		break;
	}
}

static const struct {
	unsigned fault;
	unsigned once_in; /* steps */
	void (*happen)(struct sim_world *w);
} faults[] = {
	{ SIM_FAULT_CUT, 120, fault_cut },	     { SIM_FAULT_PARTITION, 200, fault_partition },
	{ SIM_FAULT_DAEMON, 250, fault_daemon },     { SIM_FAULT_ROUTER, 400, fault_router },
	{ SIM_FAULT_OVERRUN, 100, fault_overrun },   { SIM_FAULT_FULL, 200, fault_full },
	{ SIM_FAULT_CLOCK, 100, fault_clock },	     { SIM_FAULT_CONFIG, 200, fault_config },
	{ SIM_FAULT_OPERATOR, 100, fault_operator }, { SIM_FAULT_BEHIND, 40, fault_behind },
};

static void mend_what_is_due(struct sim_world *w)
{
	for (int s = 1; s <= w->sites; s++) {
		struct sim_site *site = &w->site[s];

		for (int o = 1; o <= w->sites; o++)
			if (w->now.us >= w->heal_us[s][o])
				w->net.blocked[s][o] = false;
		if (w->now.us >= site->full_until_us)
			site->kernel.limit = SIM_KERNEL_SLOTS;
		if (w->now.us >= site->overrun_until_us)
			site->kernel.event_limit = SIM_KERNEL_EVENTS;
	}
}

void sim_faults_step(struct sim_world *w)
{
	mend_what_is_due(w);
	for (unsigned i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		if ((w->faults & faults[i].fault) &&
		    sim_random_once_in(&w->random, faults[i].once_in))
			faults[i].happen(w);
}

/* The operator's drain ends, and all tracked routes are there. */
static void undrain(struct sim_world *w, int s)
{
	struct dsaa_event drain = { .type = DSAA_EV_DRAIN };
	struct dsaa_event routes = { .type = DSAA_EV_ROUTES, .up = true };
	struct dsaa_event awaited = { .type = DSAA_EV_ROUTES_AWAITED };

	sim_world_feed(w, s, &drain);
	sim_world_feed(w, s, &routes);
	sim_world_feed(w, s, &awaited);
}

void sim_faults_heal(struct sim_world *w)
{
	sim_say(w, "all faults end");
	w->net.slowness = 1;
	w->net.capacity = SIM_BUFFER;
	memset(w->net.blocked, 0, sizeof(w->net.blocked));
	for (int s = 1; s <= w->sites; s++) {
		struct sim_site *site = &w->site[s];

		site->kernel.limit = SIM_KERNEL_SLOTS;
		site->kernel.event_limit = SIM_KERNEL_EVENTS;
		site->cfg.protocols[0] |= UINT64_C(1) << DSAA_PROTO_UDP;
		for (int o = 1; o <= w->sites; o++)
			site->cfg.site[o].configured = true;
		site->cfg.hold_time_ms = 600;
		if (site->daemon) {
			undrain(w, s);
			reconfigure(w, s);
		} else if (!site->gone)
			site->boot_us = in_ms(w, 0, 100);
	}
	/* one site may be gone for good: the others live on with what it had */
	if ((w->faults & SIM_FAULT_ROUTER) && w->sites > 2 && sim_random_once_in(&w->random, 2)) {
		int s = any_site(w);

		if (w->site[s].power)
			sim_world_power_off(w, s);
		w->site[s].gone = true;
		w->site[s].boot_us = 0;
	}
}
