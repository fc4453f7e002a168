/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * N sites in one process: real engines over fake kernels and a fake network,
 * in steps of 10 ms. Everything follows from the seed.
 *
 *	traffic.c  connections of clients: packets arrive at any site
 *	faults.c   what breaks
 *	world.c    drives the engines as dsaad's sync thread does
 *	check.c    what must hold after every step, and when all is quiet
 */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "core/dsaa_engine_private.h"
#include "tests/sim/kernel.h"
#include "tests/sim/net.h"

enum {
	SIM_STEP_US = 10000,
	SIM_FLOWS_MAX = 160, /* connections that clients may have */
	SIM_MARK_MASK = 0xff000000,
	SIM_CRASH_ONCE_IN = 5000, /* actions and operations */
	SIM_CHECK_OWNERS_STEPS = 10,
	SIM_DELAY_STEPS = 130, /* 'sync delay 1' at most, where a world has it */
	SIM_BOTH_OWN_STEPS_MAX = 300,
	SIM_VERSION_MASK = 0x00ffffff, /* the user's bits of the mark, see traffic.c */
};

/* What may go wrong in a run; each seed draws a set of these. */
enum sim_fault {
	SIM_FAULT_CUT = 1 << 0,	      /* a connection breaks at any byte */
	SIM_FAULT_PARTITION = 1 << 1, /* nothing passes, in one direction or both */
	SIM_FAULT_DAEMON = 1 << 2,    /* dsaad crashes, at any action, or is restarted; the table
					 stays */
	SIM_FAULT_ROUTER = 1 << 3,    /* the router loses power; the table is empty */
	SIM_FAULT_OVERRUN = 1 << 4,   /* conntrack events are lost */
	SIM_FAULT_FULL = 1 << 5,      /* a table is full for a while */
	SIM_FAULT_CLOCK = 1 << 6,     /* wall clocks differ and step */
	SIM_FAULT_DUMP = 1 << 7,      /* dumps fail, and must be repeated */
	SIM_FAULT_CONFIG = 1 << 8,    /* policy and sites change */
	SIM_FAULT_OPERATOR = 1 << 9,  /* resync, drain, audit */
	SIM_FAULT_SLOW = 1 << 10,     /* little room in the send buffers, slow network */
	SIM_FAULT_BEHIND = 1 << 11, /* replicas removed, altered, added behind the daemon's back */
	SIM_FAULT_AGAIN = 1 << 12,  /* changes are told once more, late */
	SIM_FAULTS_ALL = (1 << 13) - 1,
};

struct sim_site {
	struct sim_kernel kernel;
	bool power;	 /* the router runs */
	bool daemon;	 /* dsaad runs */
	bool gone;	 /* for good */
	int64_t boot_us; /* when what is down comes back; 0: not planned */
	struct dsaa_engine_config cfg;
	struct dsaa_engine *engine;
	bool on_demand[SIM_SITES + 1];
	enum dsaa_site_word word[SIM_SITES + 1]; /* the data path's; outlives the daemon */
	bool probe_up[SIM_SITES + 1];		 /* as told last */
	bool bfd[SIM_SITES + 1];		 /* what was told */
	int64_t next_tick_us;
	int64_t full_until_us, overrun_until_us;
	unsigned applies; /* nesting */
};

struct sim_world {
	bool drained; /* some site was told to drain */
	uint64_t seed;
	struct sim_random random;
	struct dsaa_mono now;
	int sites;
	struct sim_site site[SIM_SITES + 1];
	struct sim_net net;
	unsigned faults;
	unsigned flows; /* how many connections clients have */
	unsigned log_entries, seen_entries;
	uint32_t audit_interval_ms;
	bool probes, bfd;
	bool tampered[SIM_SITES + 1][SIM_FLOWS_MAX]; /* with the replica at this site */
	/* this site gave its entry up to one with an older state, so what follows is older, too */
	bool went_back[SIM_SITES + 1][SIM_FLOWS_MAX];
	bool busy;	  /* clients send, things break */
	uint32_t version; /* of the last change of any connection by its packets */
	/* for how long two sites that are in touch have both owned a connection, in steps */
	uint16_t both_own[SIM_SITES + 1][SIM_SITES + 1][SIM_FLOWS_MAX];
	int64_t heal_us[SIM_SITES + 1][SIM_SITES + 1]; /* when a blocked direction opens */
	uint64_t steps, records_sent, on_demand;
	/* the entry that a site adopted on demand last, by connection */
	uint32_t adopted_id[SIM_SITES + 1][SIM_FLOWS_MAX];
	/* failure */
	bool failed;
	char why[256];
};

extern bool sim_trace;	  /* tell what happens */
extern int sim_trace_key; /* ... to this connection of clients; -1: none */

void sim_world_init(struct sim_world *w, uint64_t seed, unsigned faults);
void sim_world_free(struct sim_world *w);
/* One step of 10 ms. */
void sim_world_step(struct sim_world *w);
/* Feeds site S's engine one event, and carries out what it decides. */
void sim_world_feed(struct sim_world *w, int s, struct dsaa_event *ev);
/* Starts dsaad of S over the table that is there. */
void sim_world_boot(struct sim_world *w, int s);
/* Ends it; GRACEFULLY: it says goodbye. */
void sim_world_stop(struct sim_world *w, int s, bool gracefully);
void sim_world_power_off(struct sim_world *w, int s);
/* Remembers the first failure. */
void sim_fail(struct sim_world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sim_say(const struct sim_world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The number of the client's connection that F is about, or -1. */
int sim_flow_number(const struct dsaa_flow *f);
void sim_say_flow(const struct sim_world *w, int s, const char *what, const struct dsaa_flow *f);

/* traffic.c */
void sim_traffic_step(struct sim_world *w);
/* Packets that arrive at S just now, between two system calls of its daemon. */
void sim_traffic_between(struct sim_world *w, int s);

/* faults.c */
void sim_faults_step(struct sim_world *w);
/* Everything that is broken is mended, but for what is gone for good. */
void sim_faults_heal(struct sim_world *w);

/* check.c */
void sim_check_engine(struct sim_world *w, int s);
void sim_check_action(struct sim_world *w, int s, const struct dsaa_action *a);
void sim_check_apply(struct sim_world *w, int s, const struct dsaa_apply *op);
/* Every SIM_CHECK_OWNERS_STEPS. */
void sim_check_owners(struct sim_world *w);
/* True when all living sites agree; else why not is in WHY. */
bool sim_check_agree(struct sim_world *w, char *why, size_t len);

#endif
