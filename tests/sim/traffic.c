/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What clients and servers do: packets of a fixed set of connections arrive at
 * any site, as routing likes, and are carried to the owner as the data path
 * would. Entries begin, become assured, close and time out.
 *
 * The kinds of connections, by number: with SNAT to a pool of the site that
 * opens them, with SNAT to one address and port that two of them share, with
 * DNAT, without; TCP and UDP; IPv4 and IPv6; UDP whose answers may come first
 * (reversed entries); and some that are not to be replicated.
 *
 * The user's bits of an entry's mark count every change that packets make,
 * over all connections: what is older is smaller.
 */
#include <string.h>

#include "tests/sim/world.h"

static void put_addr(uint8_t family, uint8_t out[16], uint8_t net, uint8_t last)
{
	memset(out, 0, 16);
	if (family == 4) {
		out[0] = 10;
		out[1] = net;
		out[3] = last;
	} else {
		out[0] = 0xfd;
		out[1] = net;
		out[15] = last;
	}
}

static bool may_be_reversed(unsigned n)
{
	/* not one with SNAT: its answers go to an address that no client has */
	return n % 4 == 3 && n % 3 != 1 && n % 7 != 2;
}

/* Connection N as a packet of its origin opens it at site S. */
static struct dsaa_flow opened(unsigned n, int s)
{
	struct dsaa_flow f = { .family = n % 5 ? 4 : 6,
			       .proto = n % 4 < 2 ? DSAA_PROTO_TCP : DSAA_PROTO_UDP,
			       .timeout_s = 100 };

	put_addr(f.family, f.orig.src, 1, (uint8_t)(n + 1));
	put_addr(f.family, f.orig.dst, 9, 1);
	f.orig.sport = (uint16_t)(10000 + n);
	f.orig.dport = 443;
	if (n % 23 == 5)
		f.proto = DSAA_PROTO_UDPLITE; /* no 'sync protocol' */
	if (n % 23 == 6)
		put_addr(f.family, f.orig.dst, 7, 1); /* 'no sync prefix', in IPv4 */
	dsaa_tuple_reverse(f.proto, &f.orig, &f.reply);
	if (n % 7 == 2) {
		put_addr(f.family, f.reply.dst, 5, 99); /* shared by two */
		f.reply.dport = (uint16_t)(30000 + n / 14);
	} else if (n % 3 == 1) {
		put_addr(f.family, f.reply.dst, 5, (uint8_t)s);
		f.reply.dport = (uint16_t)(20000 + n);
	} else if (n % 3 == 2) {
		put_addr(f.family, f.reply.src, 8, 1);
	}
	if (f.proto == DSAA_PROTO_TCP)
		f.tcp_state = 1;
	dsaa_flow_derive_nat(&f);
	return f;
}

static void put_version(struct sim_world *w, struct dsaa_flow *f)
{
	f->mark = (f->mark & SIM_MARK_MASK) | (++w->version & SIM_VERSION_MASK);
}

/* Something about ENTRY moves, as a packet in this direction moves it. True when it did. */
static bool progress(struct sim_world *w, struct dsaa_flow *f, bool reply)
{
	struct dsaa_flow before = *f;
	struct sim_random *r = &w->random;

	if (reply)
		f->status |= DSAA_FLOW_SEEN_REPLY;
	if (f->proto == DSAA_PROTO_TCP) {
		if (f->tcp_state == 1 && reply)
			f->tcp_state = 2;
		else if (f->tcp_state == 2 && !reply)
			f->tcp_state = 3;
		else if (f->tcp_state >= 3 && f->tcp_state < 7 && sim_random_once_in(r, 4))
			f->tcp_state++;
		if (f->tcp_state == 2)
			f->tcp_wscale[0] = f->tcp_wscale[1] = 7;
		if (f->tcp_state >= 3)
			f->status |= DSAA_FLOW_ASSURED;
	} else if (f->status & DSAA_FLOW_SEEN_REPLY && !reply && sim_random_once_in(r, 2)) {
		f->status |= DSAA_FLOW_ASSURED;
	}
	/* or a rule of the operator's marks it */
	/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): a copy, padding and all */
	return memcmp(&before, f, sizeof(before)) != 0 || sim_random_once_in(r, 10);
}

static void pass(struct sim_world *w, int s, struct dsaa_flow *f, bool reply)
{
	unsigned owner = dsaa_mark_owner(f->mark, SIM_MARK_MASK);

	if (!progress(w, f, reply))
		return;
	/* what a site that is cut off does to a replica is no word of its owner */
	if (!owner || (int)owner == s)
		put_version(w, f);
	sim_say_flow(w, s, "packet", f);
	sim_kernel_changed(&w->site[s].kernel, f);
}

/* The packet came through the tunnel: it is processed by its owner or by nobody. */
static void corrected(struct sim_world *w, int to, const struct dsaa_flow *like, bool reply)
{
	struct sim_site *site = &w->site[to];
	struct dsaa_flow *f = site->power ? sim_kernel_find(&site->kernel, like, &like->orig) :
					    NULL;
	unsigned owner = f ? dsaa_mark_owner(f->mark, SIM_MARK_MASK) : 0;

	if (f && (!owner || (int)owner == to ||
		  (owner <= SIM_SITES && site->word[owner] == DSAA_WORD_ADOPTED)))
		pass(w, to, f, reply);
}

/* The rule that the data path has while the sites are cut off from each other. */
static void adopt_on_demand(struct sim_world *w, int s, struct dsaa_flow *f)
{
	f->mark = dsaa_mark_set_owner(f->mark, SIM_MARK_MASK, (unsigned)s);
	f->timeout_s = 100;
	put_version(w, f);
	w->on_demand++;
	w->adopted_id[s][sim_flow_number(f)] = f->id;
	sim_say_flow(w, s, "adopts on demand", f);
	sim_kernel_changed(&w->site[s].kernel, f);
}

/* The packet has an entry at S. */
static void has_entry(struct sim_world *w, int s, struct dsaa_flow *f, bool reply)
{
	unsigned owner = dsaa_mark_owner(f->mark, SIM_MARK_MASK);

	if (!owner || (int)owner == s || owner > SIM_SITES) {
		pass(w, s, f, reply);
		return;
	}
	switch (w->site[s].word[owner]) {
	case DSAA_WORD_ALIVE:
		if (!w->net.blocked[s][owner])
			corrected(w, (int)owner, f, reply);
		break;
	case DSAA_WORD_ADOPTED:
		if (w->site[s].on_demand[owner])
			adopt_on_demand(w, s, f);
		pass(w, s, f, reply);
		break;
	case DSAA_WORD_UNKNOWN:
		pass(w, s, f, reply);
		break;
	case DSAA_WORD_UNREACHABLE:
		break;
	}
}

/*
 * The packet has no entry at S and opens none: it is offered to the others. Who owns its connection
 * hears that it was seen there, or does not, when its data path has much to tell.
 */
static void second_chance(struct sim_world *w, int s, const struct dsaa_flow *like)
{
	for (int o = 1; o <= w->sites; o++) {
		struct sim_site *site = &w->site[o];
		struct dsaa_event ev = { .type = DSAA_EV_ELSEWHERE };
		struct dsaa_flow copy, *f;

		if (o == s || w->net.blocked[s][o] || !site->power)
			continue;
		f = sim_kernel_find(&site->kernel, like, &like->orig);
		if (!f || dsaa_mark_owner(f->mark, SIM_MARK_MASK))
			continue;
		corrected(w, o, f, true);
		copy = *f;
		ev.flow = &copy;
		if (site->daemon && !sim_random_once_in(&w->random, 4))
			sim_world_feed(w, o, &ev);
	}
}

static void packet(struct sim_world *w, int s, unsigned n, bool reply)
{
	struct sim_site *site = &w->site[s];
	struct dsaa_flow f = opened(n, s), reversed;
	struct dsaa_flow *there = sim_kernel_find(&site->kernel, &f, &f.orig);

	if (there) {
		has_entry(w, s, there, reply);
		return;
	}
	if (reply && !may_be_reversed(n)) {
		second_chance(w, s, &f);
		return;
	}
	put_version(w, &f);
	reversed = f;
	if (reply) {
		reversed.orig = f.reply;
		reversed.reply = f.orig;
		dsaa_flow_derive_nat(&reversed);
		there = sim_kernel_create(&site->kernel, &reversed);
	} else {
		there = sim_kernel_create(&site->kernel, &f);
	}
	if (there)
		sim_say_flow(w, s, "opens", there);
}

static bool expires(struct sim_world *w, const struct dsaa_flow *f)
{
	if (f->proto == DSAA_PROTO_TCP && f->tcp_state >= 5)
		return sim_random_once_in(&w->random, 3);
	return sim_random_once_in(&w->random, f->status & DSAA_FLOW_ASSURED ? 30 : 8);
}

/* One random entry of S that ages may time out. */
static void age(struct sim_world *w, int s)
{
	struct sim_kernel *k = &w->site[s].kernel;
	unsigned at = sim_random_below(&w->random, SIM_KERNEL_SLOTS);
	struct dsaa_flow *f = sim_kernel_next(k, &at);

	if (!f || f->timeout_s == DSAA_REPLICA_TIMEOUT_S || !expires(w, f))
		return;
	sim_say_flow(w, s, "expires", f);
	sim_kernel_destroy(k, f);
}

void sim_traffic_between(struct sim_world *w, int s)
{
	if (!w->busy || !sim_random_once_in(&w->random, 8))
		return;
	packet(w, s, sim_random_below(&w->random, w->flows), sim_random_below(&w->random, 2));
	age(w, s);
}

void sim_traffic_step(struct sim_world *w)
{
	unsigned packets = sim_random_below(&w->random, 6);

	for (unsigned i = 0; i < packets; i++) {
		unsigned n = sim_random_below(&w->random, w->flows);
		/* routing is mostly stable */
		int s = sim_random_once_in(&w->random, 4) ?
				(int)sim_random_range(&w->random, 1, (unsigned)w->sites) :
				(int)(n % (unsigned)w->sites) + 1;

		if (w->site[s].power)
			packet(w, s, n, sim_random_below(&w->random, 2));
	}
	for (int s = 1; s <= w->sites; s++)
		if (w->site[s].power)
			age(w, s);
}
