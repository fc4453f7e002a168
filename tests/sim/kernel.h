/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A fake conntrack table with the habits of the real one, as the conntrack
 * edge shows it to the engine:
 *
 * - an entry stands in the table under both its tuples, so a new one collides
 *   with whatever has one of its tuples, in either direction;
 * - an UPDATE finds its entry by tuple in either direction, takes back no
 *   status bit, changes neither NAT nor the time of creation;
 * - events wait in a buffer that can overrun; the newest state is read when an
 *   event is (ct_read_events completes it), so an event can be newer than
 *   what caused it; what the daemon itself does makes no event;
 * - a dump reads ahead: what it tells may be gone or changed already.
 */
#ifndef TESTS_SIM_KERNEL_H
#define TESTS_SIM_KERNEL_H

#include "core/dsaa_engine.h"
#include "tests/sim/random.h"

enum {
	SIM_KERNEL_SLOTS = 512,
	SIM_KERNEL_EVENTS = 512,
	SIM_KERNEL_AHEAD = 64,
};

struct sim_entry {
	bool present;
	struct dsaa_flow flow;
};

struct sim_kernel_event {
	uint8_t op;
	bool begins;
	struct dsaa_flow flow;
};

struct sim_kernel {
	struct sim_random *random;
	struct sim_entry slot[SIM_KERNEL_SLOTS];
	unsigned used, limit;
	uint32_t next_id;
	uint32_t mark_mask;
	unsigned site;	 /* whose it is */
	int64_t wall_ns; /* of this router, moved by the world */
	bool timestamps; /* entries have a time of creation */
	bool early_drop; /* a full table throws out what is not assured */

	bool listening; /* a daemon has its socket open */
	struct sim_kernel_event event[SIM_KERNEL_EVENTS];
	unsigned event_head, events, event_limit;
	bool overrun;

	bool dumping;
	int dump_owner; /* what the daemon asked for */
	bool dump_ours; /* that is its own number */
	unsigned dump_at;
	struct dsaa_flow ahead[SIM_KERNEL_AHEAD];
	unsigned ahead_at, aheads;
};

void sim_kernel_init(struct sim_kernel *k, struct sim_random *random, uint32_t mark_mask,
		     unsigned site);
/* The router lost power: nothing is left. */
void sim_kernel_reset(struct sim_kernel *k);
/* A daemon opens (ON) or loses its sockets. */
void sim_kernel_listen(struct sim_kernel *k, bool on);

/* The entry that has tuple T (of family and protocol of LIKE) in either direction, or NULL. */
struct dsaa_flow *sim_kernel_find(struct sim_kernel *k, const struct dsaa_flow *like,
				  const struct dsaa_tuple *t);
/* The entry of F's key, or NULL. */
struct dsaa_flow *sim_kernel_find_key(struct sim_kernel *k, const struct dsaa_flow *f);
/* The next entry from slot *AT on, which moves on; NULL at the end. */
struct dsaa_flow *sim_kernel_next(struct sim_kernel *k, unsigned *at);

/* A packet creates an entry; NULL when the table is full or something stands in its way. */
struct dsaa_flow *sim_kernel_create(struct sim_kernel *k, const struct dsaa_flow *f);
/* A packet, or somebody with a tool, has changed entry F. */
void sim_kernel_changed(struct sim_kernel *k, const struct dsaa_flow *f);
/* Entry F goes: timeout, or somebody with a tool. */
void sim_kernel_destroy(struct sim_kernel *k, struct dsaa_flow *f);

/* What dsaa_ct_apply() does for one operation. */
void sim_kernel_apply(struct sim_kernel *k, struct dsaa_apply *op);

enum sim_read { SIM_READ_NOTHING, SIM_READ_FLOW, SIM_READ_OVERRUN, SIM_READ_SKIPPED };
/* Reads one event; what is not told (vanished) is SKIPPED. */
enum sim_read sim_kernel_read(struct sim_kernel *k, const struct dsaa_engine *engine, uint8_t *op,
			      bool *begins, struct dsaa_flow *f);

void sim_kernel_dump_start(struct sim_kernel *k, int owner, bool ours);
/* The next entry of the dump; false at its end. */
bool sim_kernel_dump_read(struct sim_kernel *k, struct dsaa_flow *f);

#endif
