/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The fake network, see net.h. */
#include "tests/sim/net.h"

#include <stdlib.h>
#include <string.h>

#define FOREACH_CONNECTION(n, c)                              \
	for (struct sim_connection *c = (n)->connections;     \
	     c < (n)->connections + SIM_CONNECTIONS_ALL; c++) \
		if (c->used)

void sim_net_init(struct sim_net *n, struct sim_random *random)
{
	memset(n, 0, sizeof(*n));
	n->random = random;
	n->capacity = SIM_BUFFER;
	n->slowness = 1;
}

static void release(struct sim_connection *c)
{
	for (int d = 0; d < 2; d++) {
		free(c->pipe[d].buf);
		free(c->pipe[d].old);
	}
	memset(c, 0, sizeof(*c));
}

void sim_net_free(struct sim_net *n)
{
	FOREACH_CONNECTION (n, c)
		release(c);
}

struct sim_connection *sim_net_connection(struct sim_net *n, int a, int b, unsigned i)
{
	if (i >= SIM_CONNECTIONS)
		return NULL;
	if (a > b)
		return sim_net_connection(n, b, a, i);
	return &n->connections[(unsigned)(a * (SIM_SITES + 1) + b) * SIM_CONNECTIONS + i];
}

static int64_t later(struct sim_net *n, unsigned low_ms, unsigned high_ms)
{
	return n->now_us + (int64_t)sim_random_range(n->random, low_ms, high_ms) * 1000;
}

/* A free place, or that of a connection that one end forgot long ago. */
static struct sim_connection *place(struct sim_net *n, int a, int b)
{
	struct sim_connection *c;

	for (unsigned i = 0; (c = sim_net_connection(n, a, b, i)); i++)
		if (!c->used)
			return c;
	c = sim_net_connection(n, a, b, 0);
	for (unsigned i = 0; i < SIM_CONNECTIONS; i++) {
		struct sim_connection *o = sim_net_connection(n, a, b, i);

		if (o->end[0] != SIM_END_UP && o->end[1] != SIM_END_UP)
			c = o;
	}
	release(c);
	return c;
}

void sim_net_connect(struct sim_net *n, int from, int to, bool listening)
{
	struct sim_connection *c = place(n, from, to);
	bool open = !n->blocked[from][to] && !n->blocked[to][from];

	c->used = true;
	c->site[0] = from;
	c->site[1] = to;
	c->end[0] = SIM_END_TRYING;
	for (int d = 0; d < 2; d++)
		c->pipe[d].buf = malloc(SIM_BUFFER);
	if (!open || !listening) {
		/* refused at once, or nobody answers */
		c->fail_us = open ? later(n, 0, 30) : later(n, 1000, 5000);
		return;
	}
	c->end[1] = SIM_END_TRYING;
	c->due_us[0] = later(n, 0, 40);
	c->due_us[1] = later(n, 0, 40);
}

struct sim_connection *sim_net_current(struct sim_net *n, int s, int peer)
{
	struct sim_connection *c;

	for (unsigned i = 0; (c = sim_net_connection(n, s, peer, i)); i++)
		if (c->used && c->end[sim_net_end(c, s)] == SIM_END_UP)
			return c;
	return NULL;
}

size_t sim_net_room(struct sim_net *n, int s, int peer)
{
	struct sim_connection *c = sim_net_current(n, s, peer);
	const struct sim_pipe *p;

	if (!c)
		return 0;
	p = &c->pipe[sim_net_end(c, s)];
	return p->len < n->capacity ? n->capacity - p->len : 0;
}

bool sim_net_send(struct sim_net *n, int s, int peer, const uint8_t *data, size_t len)
{
	struct sim_connection *c = sim_net_current(n, s, peer);
	struct sim_pipe *p;

	if (!c || len > sim_net_room(n, s, peer))
		return false;
	p = &c->pipe[sim_net_end(c, s)];
	memcpy(p->buf + p->len, data, len);
	p->len += len;
	return true;
}

static void leave(struct sim_connection *c, int end)
{
	c->end[end] = SIM_END_NONE;
	c->pipe[end].fin = true;
	/* what was on its way to this end is of no use to anybody */
	c->pipe[!end].broken = true;
	c->pipe[!end].len = c->pipe[!end].arrived = 0;
}

void sim_net_drop(struct sim_net *n, int s, int peer)
{
	struct sim_connection *c;

	for (unsigned i = 0; (c = sim_net_connection(n, s, peer, i)); i++)
		if (c->used && c->end[sim_net_end(c, s)] != SIM_END_NONE)
			leave(c, sim_net_end(c, s));
}

/* Whatever is on its way stops at some byte. */
static void break_pipe(struct sim_net *n, struct sim_pipe *p)
{
	if (p->broken)
		return;
	p->broken = true;
	p->arrived += sim_random_below(n->random, (unsigned)(p->len - p->arrived) + 1);
	p->len = p->arrived;
}

void sim_net_vanish(struct sim_net *n, int s, bool reset)
{
	FOREACH_CONNECTION (n, c) {
		int end = sim_net_end(c, s);

		if ((c->site[0] != s && c->site[1] != s) || c->end[end] == SIM_END_NONE)
			continue;
		break_pipe(n, &c->pipe[end]);
		leave(c, end);
		if (reset)
			c->broken_us[!end] = later(n, 0, 20);
		else
			c->pipe[end].fin = false;
	}
}

void sim_net_break(struct sim_net *n, int a, int b, bool silently)
{
	struct sim_connection *c;

	for (unsigned i = 0; (c = sim_net_connection(n, a, b, i)); i++) {
		if (!c->used)
			continue;
		for (int d = 0; d < 2; d++) {
			break_pipe(n, &c->pipe[d]);
			if (!silently)
				c->broken_us[d] = later(n, 0, 300);
		}
	}
}

void sim_net_step(struct sim_net *n, int64_t now_us)
{
	n->now_us = now_us;
	FOREACH_CONNECTION (n, c) {
		for (int d = 0; d < 2; d++) {
			struct sim_pipe *p = &c->pipe[d];

			if (p->broken || n->blocked[c->site[d]][c->site[!d]] ||
			    !sim_random_once_in(n->random, n->slowness))
				continue;
			if (sim_random_once_in(n->random, 4))
				p->arrived += sim_random_below(n->random,
							       (unsigned)(p->len - p->arrived) + 1);
			else
				p->arrived = p->len;
		}
	}
}

void sim_net_collect(struct sim_net *n)
{
	FOREACH_CONNECTION (n, c)
		if (c->end[0] == SIM_END_NONE && c->end[1] == SIM_END_NONE)
			release(c);
}
