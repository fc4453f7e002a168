/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine among three sites and under odd timing, in the small world
 * (world.h): what tests/sim found, each cut down to its cause.
 */
#include "tests/unit/test.h"
#include "tests/unit/world.h"

static struct world w;

/* When survivors take what no packet came of: ADOPT_REST_AFTER_MS of core/dsaa_site.c. */
enum { ADOPT_REST_MS = 5000 };

static void begin(int sites)
{
	world_init(&w, sites);
	for (int s = 1; s <= sites; s++)
		world_boot(&w, s);
	world_run_ms(&w, 1500);
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_UP);
}

static void bfd(int s, int peer, bool up)
{
	struct dsaa_event ev = { .type = DSAA_EV_BFD, .site = (dsaa_site_id)peer, .up = up };

	world_feed(&w, s, &ev);
}

static struct dsaa_peer_view view(int s, int peer)
{
	struct dsaa_peer_view v = { 0 };

	dsaa_engine_peer_view(w.site[s].engine, (dsaa_site_id)peer, &v);
	return v;
}

/* Two sites adopt the same connection, one of them before the other knows of the death. */
static void test_adopted_twice_has_one_owner(void)
{
	struct dsaa_flow f = world_flow(1, 5, true);

	begin(3);
	world_open(&w, 3, f);
	world_run_ms(&w, 50);
	bfd(1, 3, true);
	world_kill(&w, 3);
	bfd(1, 3, false);
	world_run_ms(&w, ADOPT_REST_MS + 300);
	CHECK(world_owner(&w, 1, &f) == 1 && world_owner(&w, 2, &f) == 3);
	world_run_ms(&w, 2000);
	CHECK(world_owner(&w, 1, &f) == 1 && world_owner(&w, 2, &f) == 1);
	world_free(&w);
}

/* A packet of F comes to site S, whose data path marks it if it has been told to. */
static void packet(int s, const struct dsaa_flow *f)
{
	struct dsaa_flow *there = world_find(&w.site[s], f);
	unsigned owner = dsaa_mark_owner(there->mark, DSAA_MARK_MASK_DEFAULT);
	struct dsaa_event ev = { .type = DSAA_EV_FLOW, .op = DSAA_OP_UPSERT, .flow = there };

	CHECK(owner && w.site[s].word[owner] == DSAA_WORD_ADOPTED && w.site[s].on_demand[owner]);
	there->mark = dsaa_mark_set_owner(0, DSAA_MARK_MASK_DEFAULT, (unsigned)s);
	world_feed(&w, s, &ev);
}

/* Each survivor gets the connections whose packets come to it; of the rest one gets all. */
static void test_adopted_where_packets_come(void)
{
	struct dsaa_flow to1 = world_flow(1, 5, true), to2 = world_flow(2, 5, true);
	struct dsaa_flow silent = world_flow(3, 5, true);

	begin(3);
	world_open(&w, 3, to1);
	world_open(&w, 3, to2);
	world_open(&w, 3, silent);
	world_run_ms(&w, 50);
	world_kill(&w, 3);
	world_run_ms(&w, 3000);
	CHECK(view(1, 3).state == DSAA_PEER_DEAD && view(2, 3).state == DSAA_PEER_DEAD);
	packet(1, &to1);
	packet(2, &to2);
	world_run_ms(&w, 100);
	CHECK(world_owner(&w, 1, &to1) == 1 && world_owner(&w, 2, &to2) == 2);
	CHECK(world_owner(&w, 1, &silent) == 3 && world_owner(&w, 2, &silent) == 3);
	world_run_ms(&w, ADOPT_REST_MS + 2000);
	CHECK(!w.site[1].on_demand[3] && w.site[1].word[3] == DSAA_WORD_ADOPTED);
	CHECK(world_owner(&w, 1, &to1) == 1 && world_owner(&w, 2, &to1) == 1);
	CHECK(world_owner(&w, 1, &to2) == 2 && world_owner(&w, 2, &to2) == 2);
	CHECK(world_owner(&w, 1, &silent) == world_owner(&w, 2, &silent));
	CHECK(world_owner(&w, 1, &silent) == 1 || world_owner(&w, 1, &silent) == 2);
	world_free(&w);
}

/* A third site hears of the winner before it hears that the loser gave up. */
static void test_third_site_asks_again(void)
{
	struct dsaa_flow older = world_flow(1, 5, true), younger = world_flow(1, 9, true);

	begin(3);
	w.cut[1][2] = w.cut[2][1] = true;
	world_open(&w, 2, younger);
	world_run_ms(&w, 50);
	CHECK(world_owner(&w, 3, &younger) == 2);
	world_open(&w, 1, older);
	world_run_ms(&w, 50);
	CHECK(world_owner(&w, 3, &younger) == 2); /* refused: step 2 */
	w.cut[1][2] = w.cut[2][1] = false;
	world_run_ms(&w, 1500);
	CHECK(world_owner(&w, 1, &older) == 1 && world_owner(&w, 2, &older) == 1);
	CHECK(world_owner(&w, 3, &older) == 1);
	world_free(&w);
}

/* Our entry won, and ended before the peer heard of it: the peer keeps its own, and we hold it. */
static void test_winner_that_ends_at_once(void)
{
	struct dsaa_flow older = world_flow(1, 5, true), younger = world_flow(1, 9, true);

	begin(2);
	w.site[1].room = 0; /* what 1 says does not leave yet */
	world_run_ms(&w, 20);
	world_open(&w, 1, older);
	world_open(&w, 2, younger);
	world_run_ms(&w, 50);
	CHECK(world_owner(&w, 1, &older) == 1 && world_owner(&w, 2, &older) == 2);
	world_close(&w, 1, older);
	w.site[1].room = WORLD_PIPE;
	world_run_ms(&w, 2500);
	CHECK(world_owner(&w, 1, &older) == 2 && world_owner(&w, 2, &older) == 2);
	world_free(&w);
}

/* Somebody deletes replicas: few are asked for one by one, many by a bulk. */
static void test_deleted_replicas_come_back(void)
{
	enum { FEW = 3, MANY = 400 };

	begin(2);
	for (unsigned i = 0; i < MANY; i++)
		world_open(&w, 1, world_flow(i, 5, true));
	world_run_ms(&w, 200);
	for (unsigned i = 0; i < FEW; i++)
		world_close(&w, 2, world_flow(i, 5, true));
	world_run_ms(&w, 3000);
	CHECK(world_agrees(&w));
	CHECK(view(2, 1).bulk_flows == 0);
	for (unsigned i = 0; i < MANY; i++)
		world_close(&w, 2, world_flow(i, 5, true));
	world_run_ms(&w, 8000);
	CHECK(world_agrees(&w));
	CHECK(view(2, 1).bulk_flows == MANY);
	world_free(&w);
}

/* They go while there is no session: resuming it would not bring them back. */
static void test_deleted_without_a_session(void)
{
	struct dsaa_flow f = world_flow(1, 5, true);

	begin(2);
	world_open(&w, 1, f);
	world_run_ms(&w, 200);
	world_disconnect(&w, 1, 2, DSAA_R_TRANSPORT_LOST);
	world_close(&w, 2, f);
	world_run_ms(&w, 3000);
	CHECK(world_agrees(&w) && world_owner(&w, 2, &f) == 1);
	world_free(&w);
}

/* The replica ended by itself, a little earlier than its owner: nothing is asked for. */
static void test_replica_that_ends_first(void)
{
	struct dsaa_flow f = world_flow(1, 5, true);

	begin(2);
	world_open(&w, 1, f);
	world_run_ms(&w, 50);
	world_close(&w, 2, f);
	world_run_ms(&w, 1000);
	CHECK(world_owner(&w, 2, &f) == -1);
	world_close(&w, 1, f);
	world_run_ms(&w, 5000);
	CHECK(world_agrees(&w) && world_owner(&w, 2, &f) == -1);
	CHECK(view(1, 2).flows_sent == 2); /* its begin and its end */
	world_free(&w);
}

/* A change that finds the table full is not forgotten, nor is the state called complete. */
static void test_full_table_is_made_up_for(void)
{
	struct dsaa_flow f = world_flow(1, 5, true);

	begin(2);
	w.site[2].limit = w.site[2].used;
	world_open(&w, 1, f);
	world_run_ms(&w, 100);
	CHECK(world_owner(&w, 2, &f) == -1);
	CHECK(!view(2, 1).theirs_complete && view(2, 1).state == DSAA_PEER_SYNCING);
	CHECK(view(2, 1).reason == DSAA_R_BULK_INCOMPLETE);
	w.site[2].limit = WORLD_TABLE;
	world_run_ms(&w, 6000);
	CHECK(world_owner(&w, 2, &f) == 1);
	CHECK(view(2, 1).theirs_complete && view(2, 1).state == DSAA_PEER_UP);
	world_free(&w);
}

/* BFD calls a site dead whose connection is up, but says nothing yet: it may not have both. */
static void test_dead_while_connecting(void)
{
	world_init(&w, 2);
	w.cut[2][1] = true; /* 1 connects, and hears nothing */
	world_boot(&w, 1);
	world_boot(&w, 2);
	world_run_ms(&w, 100);
	CHECK(w.linked[1][2] && !view(1, 2).session);
	bfd(1, 2, false);
	CHECK(view(1, 2).word == DSAA_WORD_ADOPTED && !w.linked[1][2]);
	w.cut[2][1] = false;
	world_run_ms(&w, 3000);
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_UP && view(1, 2).word == DSAA_WORD_ALIVE);
	world_free(&w);
}

/* The same when the peer comes anew before its old session was known to be lost. */
static void test_dead_while_coming_anew(void)
{
	struct dsaa_event ev = { .type = DSAA_EV_CONNECTED, .site = 2, .ok = true };
	struct dsaa_event hello = { .type = DSAA_EV_RECEIVED, .site = 2 };
	uint8_t buf[128];
	struct dsaa_msg m = { .type = DSAA_MSG_HELLO,
			      .hello = { .major = DSAA_WIRE_MAJOR,
					 .from = 2,
					 .to = 1,
					 .cluster_id = 7,
					 .epoch = 9,
					 .hold_time_ms = 1000 } };

	begin(2);
	bfd(1, 2, false);
	world_run_ms(&w, 2000); /* the session is back before BFD is */
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_UP);
	world_feed(&w, 1, &ev);
	hello.data = buf;
	hello.len = dsaa_wire_encode(buf, sizeof(buf), &m);
	world_feed(&w, 1, &hello);
	CHECK(view(1, 2).word == DSAA_WORD_ADOPTED && !view(1, 2).session); /* re-marking */
	world_free(&w);
}

/* A stranger comes with HELLO: REASON is what we call it, and STATE what we take it for. */
static void refuse_hello(unsigned major, dsaa_site_id from, enum dsaa_peer_state state,
			 unsigned reason)
{
	struct dsaa_event ev = { .type = DSAA_EV_CONNECTED, .site = 2, .ok = true };
	struct dsaa_event hello = { .type = DSAA_EV_RECEIVED, .site = 2 };
	uint8_t buf[128];
	struct dsaa_msg m = { .type = DSAA_MSG_HELLO,
			      .hello = { .major = (uint8_t)major,
					 .from = from,
					 .to = 1,
					 .cluster_id = 7,
					 .epoch = 9,
					 .hold_time_ms = 1000 } };

	world_init(&w, 2);
	world_boot(&w, 1);
	w.linked[1][2] = w.linked[2][1] = true;
	world_feed(&w, 1, &ev);
	hello.data = buf;
	hello.len = dsaa_wire_encode(buf, sizeof(buf), &m);
	world_feed(&w, 1, &hello);
	CHECK(view(1, 2).state == state && view(1, 2).reason == reason);
	CHECK(!view(1, 2).session && !w.linked[1][2]);
	world_run_ms(&w, 3000); /* longer than the hold-time: it is there, so it is not dead */
	CHECK(view(1, 2).state == state && view(1, 2).word == DSAA_WORD_ALIVE);
	world_free(&w);
}

/* Another major version, and a router that claims to be this site. */
static void test_mismatch_is_named(void)
{
	refuse_hello(DSAA_WIRE_MAJOR + 1, 2, DSAA_PEER_INCOMPATIBLE, DSAA_R_VERSION_MISMATCH);
	refuse_hello(DSAA_WIRE_MAJOR, 1, DSAA_PEER_REFUSED, DSAA_R_SAME_SITE);
	refuse_hello(DSAA_WIRE_MAJOR, 3, DSAA_PEER_REFUSED, DSAA_R_UNKNOWN_SITE);
}

/* Only the peer's bfdd has gone: the session knows better, and the peer keeps what is its own. */
static void test_bfd_is_refuted(void)
{
	struct dsaa_flow f = world_flow(1, 5, true);

	begin(2);
	for (int s = 1; s <= 2; s++) {
		struct dsaa_event ev = { .type = DSAA_EV_CONFIG, .config = &w.site[s].cfg };

		w.site[s].cfg.site[3 - s].has_bfd = true;
		world_feed(&w, s, &ev);
	}
	world_run_ms(&w, 1500);
	bfd(1, 2, true);
	world_open(&w, 2, f);
	world_run_ms(&w, 500);
	bfd(1, 2, false);
	world_run_ms(&w, 3000);
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_UP && !world_reason(&w, 1, 2));
	CHECK(view(1, 2).bfd == DSAA_LIVE_DOWN && world_owner(&w, 1, &f) == 2);
	/* it was heard of a moment ago, so BFD is not believed before that has become long */
	bfd(1, 2, true);
	world_kill(&w, 2);
	bfd(1, 2, false);
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_UP);
	world_run_ms(&w, 250);
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_DEAD && world_owner(&w, 1, &f) == 1);
	world_free(&w);
}

/* Site 1 asks for the dump of dead site 3, which the test makes: F as it says it. */
static struct dsaa_flow asked_dump(const struct dsaa_flow *f)
{
	struct dsaa_event tick = { .type = DSAA_EV_TICK };

	world_feed(&w, 1, &tick);
	CHECK(w.site[1].dump_at == 0 && w.site[1].dump_owner == 3);
	w.site[1].dump_at = -1;
	w.site[1].dump_waits = 0;
	return *world_find(&w.site[1], f);
}

/* A packet changes a dead site's connection between the dump and its re-marking. */
static void test_changed_while_adopted(void)
{
	struct dsaa_flow f = world_flow(1, 5, false), dumped;
	struct dsaa_event ev = { .type = DSAA_EV_DUMP_FLOW, .flow = &dumped };
	struct dsaa_event done = { .type = DSAA_EV_DUMP_DONE, .ok = true };

	begin(3);
	world_open(&w, 3, f);
	world_run_ms(&w, 50);
	world_kill(&w, 3);
	world_run_ms(&w, 150); /* BFD takes its time */
	bfd(2, 3, false);
	world_run_ms(&w, 50);
	bfd(1, 3, false);
	w.site[1].dump_waits = 3;
	world_run_ms(&w, ADOPT_REST_MS);
	dumped = asked_dump(&f);
	world_find(&w.site[1], &f)->status |= DSAA_FLOW_SEEN_REPLY;
	world_feed(&w, 1, &ev);
	world_feed(&w, 1, &done);
	world_run_ms(&w, 50);
	CHECK(world_owner(&w, 1, &f) == 1 && world_owner(&w, 2, &f) == 1);
	CHECK(world_find(&w.site[2], &f)->status & DSAA_FLOW_SEEN_REPLY);
	world_free(&w);
}

static void forget_entry(int s, const struct dsaa_flow *f)
{
	*world_find(&w.site[s], f) = w.site[s].table[w.site[s].used - 1];
	w.site[s].used--;
}

/*
 * A dead site's connection ends between dump and re-marking, and begins anew at another site, as it
 * was or the other way round.
 */
static void test_begins_elsewhere_while_adopted(bool reversed)
{
	struct dsaa_flow f = world_flow(1, 5, true), again = f, dumped;
	struct dsaa_event ev = { .type = DSAA_EV_DUMP_FLOW, .flow = &dumped };
	struct dsaa_event done = { .type = DSAA_EV_DUMP_DONE, .ok = true };

	if (reversed) {
		again.orig = f.reply;
		again.reply = f.orig;
	}
	begin(3);
	world_open(&w, 3, f);
	world_run_ms(&w, 50);
	world_kill(&w, 3);
	world_run_ms(&w, 150);
	bfd(1, 3, false);
	world_run_ms(&w, 200);
	bfd(2, 3, false);
	w.site[1].dump_waits = 3;
	world_run_ms(&w, ADOPT_REST_MS - 100);
	dumped = asked_dump(&f);
	world_feed(&w, 1, &ev);
	forget_entry(1, &f);
	forget_entry(2, &f);
	world_open(&w, 2, again);
	world_run_ms(&w, 100);
	CHECK(world_owner(&w, 1, &again) == 2);
	world_feed(&w, 1, &done);
	CHECK(world_owner(&w, 1, &again) == 2 && world_owner(&w, 2, &again) == 2);
	world_free(&w);
}

/* A connection begins anew between the dump that finds its leftover and the leftover's deletion. */
static void test_begins_anew_while_swept(void)
{
	struct dsaa_flow f = world_flow(1, 5, true), dumped;
	struct dsaa_event ev = { .type = DSAA_EV_DUMP_FLOW, .flow = &dumped };
	struct dsaa_event done = { .type = DSAA_EV_DUMP_DONE, .ok = true };
	struct dsaa_event resync = { .type = DSAA_EV_RESYNC };

	begin(2);
	world_open(&w, 2, f);
	world_run_ms(&w, 50);
	world_feed(&w, 1, &resync); /* a bulk, and no resumed session, finds it */
	world_close(&w, 2, f);
	w.site[1].dump_waits = 2;
	world_run_ms(&w, 1000);
	CHECK(w.site[1].dump_at == 0 && w.site[1].dump_owner == 2);
	dumped = *world_find(&w.site[1], &f);
	world_feed(&w, 1, &ev);
	world_open(&w, 2, f);
	world_run_ms(&w, 50);
	CHECK(world_owner(&w, 1, &f) == 2);
	w.site[1].dump_at = -1;
	world_feed(&w, 1, &done);
	CHECK(world_owner(&w, 1, &f) == 2);
	world_free(&w);
}

/* The event of an entry of ours is read after that entry lost against a peer's. */
static void test_late_event_of_the_loser(void)
{
	struct dsaa_flow older = world_flow(1, 5, true), younger = world_flow(1, 9, true);
	struct dsaa_apply op = { .kind = DSAA_APPLY_CREATE, .flow = younger };
	struct dsaa_event late = { .type = DSAA_EV_FLOW, .op = DSAA_OP_UPSERT, .flow = &younger };

	begin(3);
	w.cut[1][3] = w.cut[3][1] = true; /* 3 hears nothing of the winner */
	world_apply(&w.site[2], &op);
	younger = *world_find(&w.site[2], &younger);
	world_open(&w, 1, older);
	world_run_ms(&w, 50);
	CHECK(world_owner(&w, 2, &older) == 1);
	world_feed(&w, 2, &late);
	world_run_ms(&w, 50);
	CHECK(world_owner(&w, 3, &older) == -1);
	/* one that begins later is told, also if the kernel gives it the same number */
	w.cut[1][3] = w.cut[3][1] = false;
	world_run_ms(&w, 3000);
	world_close(&w, 1, older);
	world_run_ms(&w, 50);
	CHECK(world_owner(&w, 3, &older) == -1);
	op.flow = younger;
	world_apply(&w.site[2], &op);
	world_feed(&w, 2, &late);
	world_run_ms(&w, 50);
	CHECK(world_owner(&w, 3, &older) == 2);
	world_free(&w);
}

/* The same where such a connection is held back: it must not be told when its delay is over. */
static void test_late_event_is_not_held(void)
{
	struct dsaa_flow older = world_flow(1, 5, true), younger = world_flow(1, 9, true);
	struct dsaa_apply op = { .kind = DSAA_APPLY_CREATE, .flow = younger };
	struct dsaa_event config = { .type = DSAA_EV_CONFIG };
	struct dsaa_event late = {
		.type = DSAA_EV_FLOW, .op = DSAA_OP_UPSERT, .begins = true, .flow = &younger
	};

	begin(3);
	for (int s = 1; s <= 3; s++) {
		w.site[s].cfg.delay_s[younger.proto] = s == 2;
		w.site[s].cfg.hold_time_ms = 5000;
		config.config = &w.site[s].cfg;
		world_feed(&w, s, &config);
	}
	w.cut[1][3] = w.cut[3][1] = true;
	world_apply(&w.site[2], &op);
	younger = *world_find(&w.site[2], &younger);
	world_open(&w, 1, older);
	world_run_ms(&w, 50);
	CHECK(world_owner(&w, 2, &older) == 1);
	world_feed(&w, 2, &late);
	world_run_ms(&w, 1600);
	CHECK(world_owner(&w, 3, &older) == -1);
	world_free(&w);
}

/* Why nothing runs is told as it is, and so is why nothing is announced. */
static void test_idle_for_a_reason(void)
{
	static const unsigned reasons[] = { DSAA_R_NO_CONNTRACK, DSAA_R_NO_LOCAL_SITE };
	struct dsaa_event config = { .type = DSAA_EV_CONFIG, .config = &w.site[1].cfg };
	struct dsaa_engine_view v;
	const char *why;

	begin(2);
	for (unsigned i = 0; i < 2; i++) {
		w.site[1].cfg.local = 0;
		w.site[1].cfg.idle_reason = i ? DSAA_R_NONE : reasons[i];
		world_feed(&w, 1, &config);
		dsaa_engine_view(w.site[1].engine, &v);
		CHECK(!v.state_complete && v.complete_reason == reasons[i]);
		CHECK(dsaa_engine_advertise(w.site[1].engine, 1, &why) == DSAA_ADV_WITHHELD);
		CHECK(strcmp(why, dsaa_reason_meaning(reasons[i])) == 0);
	}
	world_free(&w);
}

/* A dead site's connections are being re-marked when it leaves the configuration. */
static void test_unconfigured_while_adopted(void)
{
	struct dsaa_flow f = world_flow(1, 5, true), dumped;
	struct dsaa_event tick = { .type = DSAA_EV_TICK };
	struct dsaa_event ev = { .type = DSAA_EV_DUMP_FLOW, .flow = &dumped };
	struct dsaa_event config = { .type = DSAA_EV_CONFIG, .config = &w.site[1].cfg };
	struct dsaa_event done = { .type = DSAA_EV_DUMP_DONE, .ok = true };

	begin(2);
	world_open(&w, 2, f);
	world_run_ms(&w, 50);
	world_kill(&w, 2);
	bfd(1, 2, false);
	world_feed(&w, 1, &tick);
	w.site[1].dump_at = -1;
	dumped = *world_find(&w.site[1], &f);
	world_feed(&w, 1, &ev);
	w.site[1].cfg.site[2].configured = false;
	world_feed(&w, 1, &config);
	world_feed(&w, 1, &done);
	CHECK(world_owner(&w, 1, &f) == 2);
	world_free(&w);
}

/* Two sites miss ours at the same time: who comes while the other is answered is not forgotten. */
static void test_wants_wait_for_their_turn(void)
{
	begin(3);
	for (uint16_t n = 0; n < 100; n++)
		world_open(&w, 1, world_flow(n, 5, true));
	world_run_ms(&w, 200);
	for (uint16_t n = 0; n < 100; n++) {
		world_close(&w, 2, world_flow(n, 5, true));
		world_close(&w, 3, world_flow(n, 5, true));
	}
	world_run_ms(&w, 2600); /* asked for after 2 s, and not once more after 3 */
	CHECK(w.site[2].used == 100 && w.site[3].used == 100);
	CHECK(world_agrees(&w));
	world_free(&w);
}

/* ------------------------------------------------------------------ drain */

static void drain(int s, bool on)
{
	struct dsaa_event ev = { .type = DSAA_EV_DRAIN, .up = on };

	world_feed(&w, s, &ev);
}

static struct dsaa_engine_view own_view(int s)
{
	struct dsaa_engine_view v;

	dsaa_engine_view(w.site[s].engine, &v);
	return v;
}

/* The heir's records win against the drained site's own entries: step 0. */
static void test_drain_hands_over(void)
{
	struct dsaa_flow f = world_flow(1, 5, true), later = world_flow(2, 9, true);
	const char *why;

	begin(2);
	world_open(&w, 1, f);
	world_run_ms(&w, 50);
	drain(1, true);
	CHECK(dsaa_engine_advertise(w.site[1].engine, 0, &why) == DSAA_ADV_DRAIN);
	world_run_ms(&w, 1000);
	CHECK(world_owner(&w, 1, &f) == 1 && world_owner(&w, 2, &f) == 1); /* routing moves first */
	world_run_ms(&w, 3500);
	CHECK(world_owner(&w, 1, &f) == 2 && world_owner(&w, 2, &f) == 2);
	CHECK(own_view(1).drain == DSAA_DRAIN_DONE && own_view(1).drain_left == 0);
	CHECK(own_view(1).drain_heir == 2 && view(2, 1).word == DSAA_WORD_ADOPTED);
	/* what still begins here follows */
	world_open(&w, 1, later);
	world_run_ms(&w, 3000);
	CHECK(world_owner(&w, 1, &later) == 2 && world_owner(&w, 2, &later) == 2);
	drain(1, false);
	world_run_ms(&w, 500);
	CHECK(view(2, 1).word == DSAA_WORD_ALIVE && own_view(1).drain == DSAA_DRAIN_OFF);
	CHECK(world_owner(&w, 1, &f) == 2 && world_agrees(&w)); /* it stays where it is */
	world_free(&w);
}

/*
 * The heir loses what it took, and was not to tell of it: then it lacks the connection that we
 * keep.
 */
static void test_drain_ends_with_all_told(void)
{
	struct dsaa_event config = { .type = DSAA_EV_CONFIG, .config = &w.site[2].cfg };
	struct dsaa_flow f = world_flow(1, 5, true);

	begin(2);
	memset(w.site[2].cfg.protocols, 0, sizeof(w.site[2].cfg.protocols));
	world_feed(&w, 2, &config);
	world_run_ms(&w, 2000);
	world_open(&w, 1, f);
	world_run_ms(&w, 50);
	drain(1, true);
	world_run_ms(&w, 2500);
	CHECK(world_owner(&w, 1, &f) == 1 && world_owner(&w, 2, &f) == 2);
	world_close(&w, 2, f);
	world_run_ms(&w, 50);
	CHECK(world_owner(&w, 2, &f) < 0);
	drain(1, false);
	world_run_ms(&w, 2000);
	CHECK(world_owner(&w, 1, &f) == 1 && world_owner(&w, 2, &f) == 1);
	world_free(&w);
}

static void routes(int s, bool there)
{
	struct dsaa_event ev = { .type = DSAA_EV_ROUTES, .up = there };

	world_feed(&w, s, &ev);
}

/* A router that cannot forward waits for nothing, and serves again by itself. */
static void test_lost_route_hands_over(void)
{
	struct dsaa_flow f = world_flow(1, 5, true);
	const char *why;

	begin(2);
	world_open(&w, 1, f);
	world_run_ms(&w, 50);
	routes(1, false);
	CHECK(dsaa_engine_advertise(w.site[1].engine, 0, &why) == DSAA_ADV_DRAIN);
	world_run_ms(&w, 20);
	CHECK(view(2, 1).word == DSAA_WORD_ADOPTED);
	world_run_ms(&w, 200);
	CHECK(world_owner(&w, 1, &f) == 2 && world_owner(&w, 2, &f) == 2);
	CHECK(own_view(1).routes_lost && own_view(1).draining);
	/* the operator's drain and the route's end each for themselves */
	drain(1, true);
	routes(1, true);
	CHECK(own_view(1).draining && !own_view(1).routes_lost);
	drain(1, false);
	CHECK(!own_view(1).draining);
	CHECK(dsaa_engine_advertise(w.site[1].engine, 0, &why) == DSAA_ADV_ACTIVE);
	world_run_ms(&w, 500);
	CHECK(view(2, 1).word == DSAA_WORD_ALIVE && world_agrees(&w));
	world_free(&w);
}

static void await(int s, bool awaited)
{
	struct dsaa_event ev = { .type = DSAA_EV_ROUTES_AWAITED, .up = awaited };

	world_feed(&w, s, &ev);
}

/* A route that has not come since the start: until then nothing is announced or drained. */
static void test_awaited_route(void)
{
	struct dsaa_flow f = world_flow(1, 5, true);
	const char *why;

	begin(2);
	world_open(&w, 1, f);
	await(2, true);
	world_run_ms(&w, 200);
	CHECK(dsaa_engine_advertise(w.site[2].engine, 0, &why) == DSAA_ADV_WITHHELD);
	CHECK(strstr(why, "tracked route") && !own_view(2).draining);
	CHECK(own_view(2).drain == DSAA_DRAIN_OFF && own_view(2).state_complete);
	drain(1, true);
	world_run_ms(&w, 4000);
	CHECK(world_owner(&w, 1, &f) == 1 && own_view(1).drain_reason == DSAA_R_NO_HEIR);
	await(2, false);
	CHECK(dsaa_engine_advertise(w.site[2].engine, 0, &why) == DSAA_ADV_ACTIVE);
	world_run_ms(&w, 2500);
	CHECK(world_owner(&w, 1, &f) == 2 && world_owner(&w, 2, &f) == 2);
	/* it never came: lost */
	await(1, true);
	routes(1, false);
	await(1, false);
	drain(1, false);
	CHECK(dsaa_engine_advertise(w.site[1].engine, 0, &why) == DSAA_ADV_DRAIN);
	world_free(&w);
}

/* Both have lost it: nobody hands over to one that cannot forward either. */
static void test_lost_route_at_both(void)
{
	struct dsaa_flow f = world_flow(1, 5, true);

	begin(2);
	world_open(&w, 1, f);
	routes(2, false);
	world_run_ms(&w, 200);
	routes(1, false);
	world_run_ms(&w, 2000);
	CHECK(world_owner(&w, 1, &f) == 1 && own_view(1).drain_reason == DSAA_R_NO_HEIR);
	routes(2, true);
	world_run_ms(&w, 2500);
	CHECK(world_owner(&w, 1, &f) == 2 && world_owner(&w, 2, &f) == 2);
	world_free(&w);
}

/* Nobody holds what is ours: it stays, and the reason is told. */
static void test_drain_without_heir(void)
{
	struct dsaa_flow f = world_flow(1, 5, true);

	begin(2);
	world_open(&w, 1, f);
	world_run_ms(&w, 50);
	world_kill(&w, 2);
	world_run_ms(&w, 3000);
	drain(1, true);
	world_run_ms(&w, 4000);
	CHECK(own_view(1).drain == DSAA_DRAIN_DRAINING && own_view(1).drain_left == 1);
	CHECK(own_view(1).drain_reason == DSAA_R_NO_HEIR && world_owner(&w, 1, &f) == 1);
	world_boot(&w, 2);
	world_run_ms(&w, 6000);
	CHECK(own_view(1).drain == DSAA_DRAIN_DONE && world_owner(&w, 1, &f) == 2);
	world_free(&w);
}

/* A third site follows the connection to its new owner. */
static void test_drain_among_three(void)
{
	struct dsaa_flow f = world_flow(1, 5, true);

	begin(3);
	world_open(&w, 3, f);
	world_run_ms(&w, 50);
	drain(3, true);
	world_run_ms(&w, 8000);
	CHECK(own_view(3).drain == DSAA_DRAIN_DONE && own_view(3).drain_heir == 1);
	for (int s = 1; s <= 3; s++)
		CHECK(world_owner(&w, s, &f) == 1);
	world_free(&w);
}

/* ------------------------------------------------------------------ coming and going */

static void test_stopping_site_leaves_its_connections(void)
{
	struct dsaa_event ev = { .type = DSAA_EV_STOP };

	begin(2);
	world_feed(&w, 2, &ev);
	world_run_ms(&w, 20);
	CHECK(view(1, 2).word == DSAA_WORD_ADOPTED && view(1, 2).state == DSAA_PEER_DOWN);
	CHECK(view(1, 2).reason == DSAA_R_PEER_STOPPING);
	world_free(&w);
}

static void die_and_return(int ms)
{
	world_kill(&w, 2);
	world_run_ms(&w, 2500);
	CHECK(view(1, 2).state == DSAA_PEER_DEAD);
	world_boot(&w, 2);
	world_run_ms(&w, ms);
}

/* All links lost, again and again, by two sites that live on: no death, and nobody is held back. */
static void test_lost_links_are_no_flapping(void)
{
	begin(2);
	for (int i = 0; i < 5; i++) {
		w.cut[1][2] = w.cut[2][1] = true;
		world_run_ms(&w, 2500);
		CHECK(view(1, 2).state == DSAA_PEER_DEAD && view(2, 1).state == DSAA_PEER_DEAD);
		w.cut[1][2] = w.cut[2][1] = false;
		world_run_ms(&w, 3000);
		CHECK(view(1, 2).state == DSAA_PEER_UP && view(2, 1).state == DSAA_PEER_UP);
	}
	world_free(&w);
}

static void test_flapping_site_is_held_back(void)
{
	const char *why;

	begin(2);
	die_and_return(3000);
	CHECK(view(1, 2).state == DSAA_PEER_UP && !view(1, 2).held_back_ms);
	die_and_return(3000);
	CHECK(view(1, 2).state == DSAA_PEER_UP);
	die_and_return(3000);
	CHECK(view(1, 2).state == DSAA_PEER_DEAD && view(1, 2).reason == DSAA_R_FLAPPING);
	CHECK(view(1, 2).held_back_ms > 0 && view(1, 2).held_back_ms <= 10000);
	CHECK(view(2, 1).state == DSAA_PEER_REFUSED && view(2, 1).reason == DSAA_R_FLAPPING);
	CHECK(dsaa_engine_advertise(w.site[2].engine, 0, &why) == DSAA_ADV_WITHHELD);
	world_run_ms(&w, 14000);
	CHECK(view(1, 2).state == DSAA_PEER_UP);
	CHECK(dsaa_engine_advertise(w.site[2].engine, 0, &why) == DSAA_ADV_ACTIVE);
	/* once more at once: longer, and no start timer of its own makes it announce */
	die_and_return(18000);
	CHECK(view(1, 2).state == DSAA_PEER_DEAD && view(1, 2).reason == DSAA_R_FLAPPING);
	CHECK(dsaa_engine_advertise(w.site[2].engine, 0, &why) == DSAA_ADV_WITHHELD);
	world_run_ms(&w, 10000);
	CHECK(view(1, 2).state == DSAA_PEER_UP);
	world_free(&w);
}

/* The daemon was killed, the link works: no split brain, whatever is done in one. */
static void test_daemon_gone_is_no_split(void)
{
	struct dsaa_event ev = { .type = DSAA_EV_DISCONNECTED,
				 .site = 2,
				 .reason = DSAA_R_TRANSPORT_LOST };

	world_init(&w, 2);
	w.network = true;
	for (int s = 1; s <= 2; s++) {
		w.site[s].cfg.site[1].has_probe = w.site[s].cfg.site[2].has_probe = true;
		w.site[s].cfg.split_brain = DSAA_SPLIT_DROP;
		world_boot(&w, s);
	}
	world_run_ms(&w, 1500);
	bfd(1, 2, true);
	w.cut[1][2] = w.cut[2][1] = true; /* that it cannot come back at once */
	world_feed(&w, 1, &ev);
	bfd(1, 2, false);
	world_run_ms(&w, 300);
	CHECK(view(1, 2).state == DSAA_PEER_ISOLATED);
	CHECK(view(1, 2).reason == DSAA_R_PEER_DAEMON_GONE);
	CHECK(view(1, 2).word == DSAA_WORD_ADOPTED);
	world_free(&w);
}

/* Active/standby: the primary takes its place again only with the whole state. */
static void test_primary_preempts_when_complete(void)
{
	struct dsaa_flow f = world_flow(1, 5, true);
	const char *why;

	world_init(&w, 2);
	for (int s = 1; s <= 2; s++) {
		w.site[s].cfg.ha_mode = DSAA_HA_PRIMARY_UP;
		w.site[s].cfg.primary = 1;
		world_boot(&w, s);
	}
	world_run_ms(&w, 1500);
	CHECK(dsaa_engine_advertise(w.site[1].engine, 0, &why) == DSAA_ADV_ACTIVE);
	CHECK(dsaa_engine_advertise(w.site[2].engine, 0, &why) == DSAA_ADV_BACKUP);
	world_kill(&w, 1);
	world_run_ms(&w, 2500);
	CHECK(dsaa_engine_advertise(w.site[2].engine, 0, &why) == DSAA_ADV_ACTIVE);
	world_open(&w, 2, f);
	w.site[2].room = 0; /* its state does not leave it */
	world_boot(&w, 1);
	world_run_ms(&w, 2000);
	CHECK(dsaa_engine_advertise(w.site[1].engine, 0, &why) == DSAA_ADV_WITHHELD);
	w.site[2].room = WORLD_PIPE;
	world_run_ms(&w, 4000);
	CHECK(dsaa_engine_advertise(w.site[1].engine, 0, &why) == DSAA_ADV_ACTIVE);
	CHECK(dsaa_engine_advertise(w.site[2].engine, 0, &why) == DSAA_ADV_BACKUP);
	CHECK(world_owner(&w, 1, &f) == 2);
	world_free(&w);
}

static void configure(int s)
{
	struct dsaa_event ev = { .type = DSAA_EV_CONFIG, .config = &w.site[s].cfg };

	world_feed(&w, s, &ev);
	world_run_ms(&w, 3000);
}

/*
 * 2 refuses 1's connection for one of its own that it tells nobody of, and opens another one that
 * it does tell of, and that loses.
 */
static void test_loser_is_told_again(void)
{
	struct dsaa_flow hidden = world_flow(1, 5, true), winner = world_flow(1, 7, true);
	struct dsaa_flow loser = world_flow(1, 9, true);
	struct dsaa_apply op = { .kind = DSAA_APPLY_CREATE, .flow = hidden };

	begin(2);
	w.site[2].cfg.protocols[0] = 0;
	configure(2);
	world_apply(&w.site[2], &op);
	world_open(&w, 1, winner);
	world_run_ms(&w, 50);
	CHECK(world_owner(&w, 1, &winner) == 1 && world_owner(&w, 2, &winner) == 2);
	world_drop_entry(&w.site[2], world_find(&w.site[2], &hidden)); /* its event was lost */
	world_open(&w, 2, loser);
	w.site[2].cfg.protocols[0] = UINT64_MAX;
	configure(2);
	CHECK(world_owner(&w, 1, &winner) == 1 && world_owner(&w, 2, &winner) == 1);
	world_free(&w);
}

/*
 * The last word of a connection waits to be sent, its end is among lost events: the bulk ends it.
 */
static void test_ended_among_lost_events(void)
{
	struct dsaa_flow f = world_flow(1, 5, true);
	struct dsaa_event lost = { .type = DSAA_EV_OVERRUN };

	begin(2);
	world_open(&w, 1, f);
	world_drop_entry(&w.site[1], world_find(&w.site[1], &f));
	world_feed(&w, 1, &lost);
	world_run_ms(&w, 3000);
	CHECK(world_owner(&w, 2, &f) == -1);
	world_free(&w);
}

/* The link is cut, both live, and packets of 1's connection come to 2: there it stays (step 5). */
static void test_adopted_on_demand_stays(void)
{
	struct dsaa_flow f = world_flow(1, 5, true), other = world_flow(3, 5, true);
	struct dsaa_event ev = { .type = DSAA_EV_FLOW, .op = DSAA_OP_UPSERT };
	struct dsaa_engine_view v;

	world_init(&w, 2);
	w.network = true;
	for (int s = 1; s <= 2; s++) {
		w.site[s].cfg.site[1].has_probe = w.site[s].cfg.site[2].has_probe = true;
		world_boot(&w, s);
	}
	world_run_ms(&w, 1500);
	world_open(&w, 1, f);
	world_open(&w, 1, other);
	world_run_ms(&w, 100);
	/* there and back: each time it stays where its packets came last */
	for (int to = 2; to >= 1; to--) {
		w.cut[1][2] = w.cut[2][1] = true;
		world_run_ms(&w, 3000);
		CHECK(view(to, 3 - to).state == DSAA_PEER_ISOLATED);
		CHECK(w.site[to].word[3 - to] == DSAA_WORD_ADOPTED && w.site[to].on_demand[3 - to]);
		ev.flow = world_find(&w.site[to], &f);
		world_find(&w.site[to], &f)->mark = dsaa_mark_set_owner(0, DSAA_MARK_MASK_DEFAULT,
									(unsigned)to);
		world_feed(&w, to, &ev);
		dsaa_engine_view(w.site[to].engine, &v);
		CHECK(v.adopted_on_demand == 1);
		w.cut[1][2] = w.cut[2][1] = false;
		world_run_ms(&w, 6000);
		CHECK(view(to, 3 - to).state == DSAA_PEER_UP && !w.site[to].on_demand[3 - to]);
		CHECK(world_owner(&w, 1, &f) == to && world_owner(&w, 2, &f) == to);
		CHECK(world_owner(&w, 1, &other) == 1 && world_owner(&w, 2, &other) == 1);
		/* and is ours as all else is in the end, so that the next split begins anew */
		CHECK(dsaa_mark_owner(world_find(&w.site[to], &f)->mark, DSAA_MARK_MASK_DEFAULT) ==
		      (unsigned)to);
		world_run_ms(&w, 2 * w.site[to].cfg.audit_interval_ms);
		CHECK(!dsaa_mark_owner(world_find(&w.site[to], &f)->mark, DSAA_MARK_MASK_DEFAULT));
	}
	CHECK(world_agrees(&w));
	world_free(&w);
}

/* Two sites audit a third one at once: one of both waits, and has its turn soon. */
static void test_audits_at_once(void)
{
	struct dsaa_event audit = { .type = DSAA_EV_AUDIT };

	begin(3);
	for (unsigned i = 0; i < 300; i++)
		world_open(&w, 1 + (int)i % 2, world_flow(i, 5, true));
	world_run_ms(&w, 1000);
	for (int round = 1; round <= 5; round++) {
		for (int s = 1; s <= 3; s++)
			world_feed(&w, s, &audit);
		world_run_ms(&w, 2500);
		for (int s = 1; s <= 3; s++)
			for (int p = 1; p <= 3; p++)
				CHECK(s == p || (view(s, p).audits >= (uint64_t)round &&
						 !view(s, p).audit_differences));
	}
	world_free(&w);
}

int main(void)
{
	test_adopted_on_demand_stays();
	test_ended_among_lost_events();
	test_audits_at_once();
	test_loser_is_told_again();
	test_late_event_of_the_loser();
	test_late_event_is_not_held();
	test_idle_for_a_reason();
	test_unconfigured_while_adopted();
	test_begins_anew_while_swept();
	test_changed_while_adopted();
	test_begins_elsewhere_while_adopted(false);
	test_begins_elsewhere_while_adopted(true);
	test_bfd_is_refuted();
	test_dead_while_connecting();
	test_dead_while_coming_anew();
	test_deleted_replicas_come_back();
	test_deleted_without_a_session();
	test_replica_that_ends_first();
	test_full_table_is_made_up_for();
	test_third_site_asks_again();
	test_winner_that_ends_at_once();
	test_adopted_twice_has_one_owner();
	test_adopted_where_packets_come();
	test_wants_wait_for_their_turn();
	test_drain_hands_over();
	test_drain_ends_with_all_told();
	test_lost_route_hands_over();
	test_awaited_route();
	test_lost_route_at_both();
	test_drain_without_heir();
	test_drain_among_three();
	test_stopping_site_leaves_its_connections();
	test_lost_links_are_no_flapping();
	test_flapping_site_is_held_back();
	test_mismatch_is_named();
	test_daemon_gone_is_no_split();
	test_primary_preempts_when_complete();
	return TEST_END();
}
