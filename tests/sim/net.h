/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fake site-sync network: between two sites one TCP connection after the
 * other, each of which may be slow, stall in one direction, or break at any
 * byte, noticed by both ends, by one, or by none.
 *
 * What an end hears of it waits here until the world takes it: bytes that
 * have arrived, the end of the stream, the answer to an attempt.
 */
#ifndef TESTS_SIM_NET_H
#define TESTS_SIM_NET_H

#include <stddef.h>

#include "tests/sim/random.h"

enum {
	SIM_SITES = 4,
	SIM_CONNECTIONS = 4, /* of a pair of sites, old ones included */
	SIM_CONNECTIONS_ALL = (SIM_SITES + 1) * (SIM_SITES + 1) * SIM_CONNECTIONS,
	SIM_BUFFER = 512 << 10,
};

/* One direction. */
struct sim_pipe {
	uint8_t *buf;
	size_t len;	/* sent and not yet taken */
	size_t arrived; /* of these, what the other end can read */
	bool fin;	/* the sender closed: after LEN bytes the stream ends */
	bool broken;	/* nothing more arrives; ARRIVED bytes are all */
	uint8_t *old;	/* a message that was taken before */
	size_t old_len;
};

/* What an end of a connection believes. */
enum sim_end { SIM_END_NONE, SIM_END_TRYING, SIM_END_UP };

struct sim_connection {
	bool used;
	int site[2]; /* [0] connected, [1] accepted */
	enum sim_end end[2];
	bool told[2];		 /* that it is up */
	int64_t due_us[2];	 /* when each end is told that it is up */
	int64_t fail_us;	 /* when the attempt fails; 0: it does not */
	int64_t broken_us[2];	 /* when each end notices that it broke; 0: not yet, or never */
	struct sim_pipe pipe[2]; /* [0] from site[0] to site[1] */
};

struct sim_net {
	struct sim_random *random;
	int64_t now_us;
	size_t capacity;			    /* of a pipe */
	unsigned slowness;			    /* bytes arrive in one of so many steps */
	bool blocked[SIM_SITES + 1][SIM_SITES + 1]; /* [from][to] */
	struct sim_connection connections[SIM_CONNECTIONS_ALL];
};

void sim_net_init(struct sim_net *n, struct sim_random *random);
void sim_net_free(struct sim_net *n);

/* Connections of A and B, either way round: number I, or NULL at the end. */
struct sim_connection *sim_net_connection(struct sim_net *n, int a, int b, unsigned i);
/* Which end of C is site S. */
static inline int sim_net_end(const struct sim_connection *c, int s)
{
	return c->site[1] == s;
}

/* FROM starts an attempt; LISTENING: somebody would accept. */
void sim_net_connect(struct sim_net *n, int from, int to, bool listening);
/* The connection that S believes to have with PEER (up, told), or NULL. */
struct sim_connection *sim_net_current(struct sim_net *n, int s, int peer);
size_t sim_net_room(struct sim_net *n, int s, int peer);
/* False when there is no connection or no room. */
bool sim_net_send(struct sim_net *n, int s, int peer, const uint8_t *data, size_t len);
/* S closes: what it sent still arrives. */
void sim_net_drop(struct sim_net *n, int s, int peer);
/* S's process or router is gone. RESET: its kernel tells the peers. */
void sim_net_vanish(struct sim_net *n, int s, bool reset);
/* Breaks the connection of A and B at some byte. SILENTLY: nobody is told. */
void sim_net_break(struct sim_net *n, int a, int b, bool silently);
/* Bytes travel. */
void sim_net_step(struct sim_net *n, int64_t now_us);
/* Forgets connections that neither end knows any more. */
void sim_net_collect(struct sim_net *n);

#endif
