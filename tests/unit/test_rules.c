/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The six rules of ownership (doc/protocol/sync.rst, section 5), each kept by whole engines in
 * the small world.
 */
#include "tests/unit/test.h"
#include "tests/unit/world.h"

static struct world w;

static void begin(int sites)
{
	world_init(&w, sites);
	for (int s = 1; s <= sites; s++)
		world_boot(&w, s);
	world_run_ms(&w, 1500);
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_UP);
}

static struct dsaa_peer_view view(int s, int peer)
{
	struct dsaa_peer_view v = { 0 };

	dsaa_engine_peer_view(w.site[s].engine, (dsaa_site_id)peer, &v);
	return v;
}

/* Site FROM tells site TO of F as if it were its own. */
static void tell(int from, int to, uint64_t epoch, uint64_t seq, const struct dsaa_flow *f)
{
	static uint8_t buf[DSAA_MSG_MAX];
	struct dsaa_record r = { .op = DSAA_OP_UPSERT, .seq = seq, .flow = *f };
	struct dsaa_event ev = { .type = DSAA_EV_RECEIVED, .site = (dsaa_site_id)from };
	struct dsaa_flows_writer fw;

	dsaa_wire_flows_begin(&fw, buf, sizeof(buf), DSAA_MSG_FLOWS, epoch, 0);
	dsaa_wire_flows_add(&fw, &r);
	ev.data = buf;
	ev.len = dsaa_wire_flows_end(&fw);
	world_feed(&w, to, &ev);
}

static struct dsaa_flow reversed(const struct dsaa_flow *f)
{
	struct dsaa_flow r = *f;

	r.orig = f->reply;
	r.reply = f->orig;
	dsaa_flow_derive_nat(&r);
	return r;
}

static void test_rule_1_mark_tells_the_owner(void)
{
	struct dsaa_flow f = world_flow(1, 5, true);

	begin(2);
	f.mark = 0x00345678;
	world_open(&w, 1, f);
	world_run_ms(&w, 50);
	CHECK(world_find(&w.site[2], &f)->mark == 0x01345678);
	CHECK(world_find(&w.site[1], &f)->mark == 0x00345678);
	world_free(&w);
}

static void test_rule_2_only_the_owner_speaks(void)
{
	struct dsaa_flow f = world_tcp(1, 5, true), odd = f;

	begin(3);
	world_open(&w, 1, f);
	world_run_ms(&w, 50);
	odd.tcp_state = 7;
	tell(3, 2, UINT64_MAX, 1000, &odd);
	CHECK(world_owner(&w, 2, &f) == 1 && world_find(&w.site[2], &f)->tcp_state == 3);
	CHECK(view(2, 3).flows_rejected[DSAA_R_NOT_OWNER] == 1);
	world_free(&w);
}

static void test_rule_3_nothing_older_counts(void)
{
	struct dsaa_flow f = world_tcp(1, 5, true), odd = f;

	begin(2);
	tell(1, 2, UINT64_MAX, 1000, &f);
	odd.tcp_state = 7;
	tell(1, 2, UINT64_MAX, 1000, &odd);	/* the same once more */
	tell(1, 2, UINT64_MAX - 1, 2000, &odd); /* of an earlier run */
	CHECK(world_find(&w.site[2], &f)->tcp_state == 3);
	CHECK(view(2, 1).flows_rejected[DSAA_R_STALE] == 2);
	/* an entry in the way is no reason to remove it */
	odd = world_flow(2, 9, true);
	f = world_flow(2, 5, true);
	world_open(&w, 2, f);
	tell(1, 2, UINT64_MAX, 1001, &odd);
	CHECK(world_owner(&w, 2, &f) == 2);
	CHECK(view(2, 1).flows_rejected[DSAA_R_CONFLICT_LOST] == 1);
	world_free(&w);
}

/* Sites 1 and 2 create A and B before either hears of the other; who has it then, everywhere? */
static int owner_of_both(struct dsaa_flow a, struct dsaa_flow b, const struct dsaa_flow *right)
{
	int owner;

	begin(3);
	w.cut[1][2] = w.cut[2][1] = true;
	world_open(&w, 2, b);
	world_open(&w, 1, a);
	world_run_ms(&w, 50);
	w.cut[1][2] = w.cut[2][1] = false;
	world_run_ms(&w, 2500);
	owner = world_owner(&w, 1, right);
	for (int s = 1; s <= 3; s++) {
		CHECK(world_owner(&w, s, right) == owner && w.site[s].used == 1);
		CHECK(!memcmp(&w.site[s].table[0].orig, &right->orig, sizeof(right->orig)));
		CHECK(!memcmp(&w.site[s].table[0].reply, &right->reply, sizeof(right->reply)));
	}
	world_free(&w);
	return owner;
}

static void test_rule_4_two_creators(void)
{
	struct dsaa_flow a = world_flow(1, 9, false), b = world_flow(1, 5, false);

	CHECK(owner_of_both(a, b, &a) == 2); /* the older */
	b.start_ns = 9;
	CHECK(owner_of_both(a, b, &a) == 1); /* the lower number */
	b.status |= DSAA_FLOW_SEEN_REPLY | DSAA_FLOW_ASSURED;
	a.start_ns = 5;
	CHECK(owner_of_both(a, b, &a) == 2); /* assured */
}

/*
 * An answer came to the other site before the state did, and opened an entry the wrong way round.
 */
static void test_rule_4_answer_came_first(void)
{
	struct dsaa_flow f = world_flow(1, 5, false), r = reversed(&f), t;

	r.start_ns = 6;
	CHECK(owner_of_both(f, r, &f) == 1);
	CHECK(owner_of_both(r, f, &f) == 2); /* the right one at the higher number */
	/* with NAT, whatever the clocks say */
	f.reply.dst[3] = 200;
	f.reply.dport = 4000;
	dsaa_flow_derive_nat(&f);
	for (int skew = 0; skew < 2; skew++) {
		r = reversed(&f);
		t = r;
		/* the answer's entry knows nothing of the client behind the NAT */
		memcpy(r.reply.src, t.orig.dst, 16);
		r.reply.sport = t.orig.dport;
		memcpy(r.reply.dst, t.orig.src, 16);
		r.reply.dport = t.orig.sport;
		dsaa_flow_derive_nat(&r);
		r.start_ns = skew ? 1 : 6;
		CHECK(!(r.status & (DSAA_FLOW_SNAT | DSAA_FLOW_DNAT)));
		CHECK(owner_of_both(f, r, &f) == 1);
		CHECK(owner_of_both(r, f, &f) == 2);
	}
}

/*
 * Who is owed a bulk, and has no room for it yet, is told the beginning of ours all the same: it is
 * what decides.
 */
static void test_rule_4_while_a_bulk_waits(void)
{
	struct dsaa_flow a = world_flow(1, 5, false), b = world_flow(1, 7, false);

	begin(2);
	world_run_ms(&w, 3000);
	w.site[2].limit = w.site[2].used + 1;
	world_open(&w, 1, world_flow(10, 1, false));
	world_open(&w, 1, world_flow(12, 1, false));
	world_run_ms(&w, 8000);
	CHECK(view(1, 2).bulks_sent > 1 && !view(1, 2).ours_confirmed);
	w.site[2].limit = w.site[2].used + 1;
	world_open(&w, 2, b);
	world_open(&w, 1, a);
	world_run_ms(&w, 500);
	CHECK(world_owner(&w, 1, &a) == 1 && world_owner(&w, 2, &a) == 1);
	world_free(&w);
}

static void test_rule_5_adopted_at_once(void)
{
	struct dsaa_event down = { .type = DSAA_EV_BFD, .site = 2 };
	struct dsaa_flow f = world_flow(1, 5, true);

	begin(2);
	world_open(&w, 2, f);
	world_run_ms(&w, 50);
	world_kill(&w, 2);
	world_run_ms(&w, 150); /* BFD takes its time, and the session is silent as well */
	world_feed(&w, 1, &down);
	/* no entry was touched, and all are ours */
	CHECK(w.site[1].word[2] == DSAA_WORD_ADOPTED && world_owner(&w, 1, &f) == 2);
	world_run_ms(&w, 200);
	CHECK(world_owner(&w, 1, &f) == 1);
	world_free(&w);
}

static void test_rule_6_the_routers_own(void)
{
	struct dsaa_flow own = world_flow(1, 5, true), to_peer = world_flow(2, 5, true);
	struct dsaa_event ev = { .type = DSAA_EV_ADDRESS, .up = true, .address = { .family = 4 } };
	struct dsaa_engine_view v;

	begin(2);
	memcpy(ev.address.bytes, own.orig.src, 16);
	world_feed(&w, 1, &ev);
	memcpy(ev.address.bytes, to_peer.reply.dst, 16);
	world_feed(&w, 2, &ev);
	world_open(&w, 1, own);
	memcpy(ev.address.bytes, to_peer.orig.src, 16);
	world_open(&w, 1, to_peer);
	world_run_ms(&w, 50);
	dsaa_engine_view(w.site[1].engine, &v);
	CHECK(world_owner(&w, 2, &own) == -1 && v.skipped[DSAA_R_ROUTER_ITSELF] == 1);
	CHECK(world_owner(&w, 2, &to_peer) == -1);
	CHECK(view(2, 1).flows_rejected[DSAA_R_ROUTER_ITSELF] == 1);
	world_free(&w);
}

int main(void)
{
	test_rule_1_mark_tells_the_owner();
	test_rule_2_only_the_owner_speaks();
	test_rule_3_nothing_older_counts();
	test_rule_4_two_creators();
	test_rule_4_answer_came_first();
	test_rule_4_while_a_bulk_waits();
	test_rule_5_adopted_at_once();
	test_rule_6_the_routers_own();
	return TEST_END();
}
