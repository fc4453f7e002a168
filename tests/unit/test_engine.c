/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine in a small world (world.h): sites start, synchronise, conflict,
 * die, return, and refuse each other. No kernel, no network, one process.
 */
#include "tests/unit/test.h"
#include "tests/unit/world.h"

static struct world w;

static void begin(int sites)
{
	world_init(&w, sites);
}

static void boot_all(void)
{
	for (int s = 1; s <= w.sites; s++)
		world_boot(&w, s);
	world_run_ms(&w, 500);
}

static bool complete(int s)
{
	struct dsaa_engine_view v;

	dsaa_engine_view(w.site[s].engine, &v);
	return v.state_complete;
}

static struct dsaa_peer_view view(int s, int peer)
{
	struct dsaa_peer_view v = { 0 };

	dsaa_engine_peer_view(w.site[s].engine, (dsaa_site_id)peer, &v);
	return v;
}

static void test_bulk_and_changes(void)
{
	begin(2);
	for (unsigned n = 0; n < 1000; n++) {
		struct dsaa_apply op = { .kind = DSAA_APPLY_CREATE,
					 .flow = world_flow(n * 2, 1, true) };
		world_apply(&w.site[1], &op);
	}
	boot_all();
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_UP);
	CHECK(world_state(&w, 2, 1) == DSAA_PEER_UP);
	CHECK(complete(1) && complete(2));
	CHECK(w.site[2].used == 1000 && world_agrees(&w));

	struct dsaa_flow f = world_tcp(3, 5, true), g = world_flow(2, 1, true);

	world_open(&w, 2, f);
	world_close(&w, 1, g);
	world_run_ms(&w, 50);
	CHECK(world_owner(&w, 1, &f) == 2);
	CHECK(world_owner(&w, 2, &g) == -1);
	CHECK(world_agrees(&w));

	struct dsaa_flow *replica = world_find(&w.site[1], &f);

	CHECK(replica && replica->timeout_s == DSAA_REPLICA_TIMEOUT_S);
	CHECK(replica && (replica->tcp_flags[0] & 8) && (replica->tcp_flags[1] & 8));
	world_free(&w);
}

static void test_nothing_announced_before_complete(void)
{
	const char *reason;

	begin(2);
	world_boot(&w, 1);
	world_run_ms(&w, 1000);
	CHECK(!complete(1));
	CHECK(dsaa_engine_advertise(w.site[1].engine, 0, &reason) == DSAA_ADV_WITHHELD);
	world_run_ms(&w, 5000);
	CHECK(complete(1));
	CHECK(dsaa_engine_advertise(w.site[1].engine, 1, &reason) == DSAA_ADV_ACTIVE);
	CHECK(dsaa_engine_advertise(w.site[1].engine, 9, &reason) == DSAA_ADV_WITHHELD);
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_DEAD);
	CHECK(dsaa_engine_advertise(w.site[1].engine, 2, &reason) == DSAA_ADV_ACTIVE);
	world_boot(&w, 2);
	world_run_ms(&w, 3000);
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_UP);
	CHECK(dsaa_engine_advertise(w.site[1].engine, 2, &reason) == DSAA_ADV_BACKUP);
	world_free(&w);
}

static void test_adoption_and_return(void)
{
	struct dsaa_flow f = world_flow(1, 5, true), g = world_flow(3, 5, true);

	begin(2);
	boot_all();
	world_open(&w, 1, f);
	world_open(&w, 2, g);
	world_run_ms(&w, 50);
	CHECK(world_owner(&w, 2, &f) == 1);
	CHECK(w.site[2].word[1] == DSAA_WORD_ALIVE);
	world_kill(&w, 1);
	world_run_ms(&w, 800);
	CHECK(world_state(&w, 2, 1) == DSAA_PEER_UP); /* hold time not over */
	world_run_ms(&w, 1500);
	CHECK(world_state(&w, 2, 1) == DSAA_PEER_DEAD);
	CHECK(w.site[2].word[1] == DSAA_WORD_ADOPTED);
	CHECK(world_owner(&w, 2, &f) == 2);
	CHECK(world_find(&w.site[2], &f)->timeout_s < DSAA_REPLICA_TIMEOUT_S + 1);
	world_boot(&w, 1);
	world_run_ms(&w, 6000);
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_UP && world_state(&w, 2, 1) == DSAA_PEER_UP);
	CHECK(world_owner(&w, 1, &f) == 2); /* what was adopted stays */
	CHECK(w.site[2].word[1] == DSAA_WORD_ALIVE);
	CHECK(world_agrees(&w));
	world_free(&w);
}

static void test_bfd_speeds_up_and_protects(void)
{
	struct dsaa_event ev = { .type = DSAA_EV_BFD, .site = 1, .up = true };

	begin(2);
	boot_all();
	world_feed(&w, 2, &ev);
	world_disconnect(&w, 1, 2, DSAA_R_TRANSPORT_LOST);
	w.cut[1][2] = w.cut[2][1] = true;
	world_run_ms(&w, 3000);
	CHECK(world_state(&w, 2, 1) == DSAA_PEER_DOWN); /* BFD up: the router lives */
	CHECK(w.site[2].word[1] == DSAA_WORD_ALIVE);
	ev.up = false;
	world_feed(&w, 2, &ev);
	CHECK(world_state(&w, 2, 1) == DSAA_PEER_DEAD);
	world_free(&w);
}

static void test_bfd_that_went_mute_protects_nobody(void)
{
	struct dsaa_event ev = { .type = DSAA_EV_BFD, .site = 1, .up = true };
	struct dsaa_peer_view v;

	begin(2);
	boot_all();
	world_feed(&w, 2, &ev);
	ev.type = DSAA_EV_BFD_GONE;
	world_feed(&w, 2, &ev);
	CHECK(dsaa_engine_peer_view(w.site[2].engine, 1, &v) && v.bfd == DSAA_LIVE_UNKNOWN);
	CHECK(world_state(&w, 2, 1) == DSAA_PEER_UP); /* that is not "down" */
	world_kill(&w, 1);
	world_run_ms(&w, 3000);
	CHECK(world_state(&w, 2, 1) == DSAA_PEER_DEAD);
	world_free(&w);
}

static void test_probe_tells_isolation(void)
{
	begin(2);
	for (int s = 1; s <= 2; s++)
		w.site[s].cfg.site[1].has_probe = w.site[s].cfg.site[2].has_probe = true;
	w.site[1].cfg.split_brain = w.site[2].cfg.split_brain = DSAA_SPLIT_DROP;
	w.network = true;
	boot_all();
	w.cut[1][2] = w.cut[2][1] = true;
	world_run_ms(&w, 3000);
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_ISOLATED);
	CHECK(w.site[1].word[2] == DSAA_WORD_UNREACHABLE);
	CHECK(!complete(1) == false);
	w.cut[1][2] = w.cut[2][1] = false;
	world_run_ms(&w, 5000);
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_UP);
	CHECK(w.site[1].word[2] == DSAA_WORD_ALIVE);
	w.network = false;
	world_kill(&w, 2);
	world_run_ms(&w, 3000);
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_DEAD);
	world_free(&w);
}

static void test_conflict_has_one_owner(void)
{
	/* [who is assured][who is older] */
	for (int assured = 0; assured <= 3; assured++)
		for (int older = 0; older <= 2; older++) {
			begin(2);
			boot_all();
			struct dsaa_flow a = world_flow(1, older == 1 ? 5 : 9, assured & 1);
			struct dsaa_flow b = world_flow(1, older == 2 ? 5 : 9, assured & 2);

			world_open(&w, 1, a);
			world_open(&w, 2, b);
			world_run_ms(&w, 200);
			CHECK(world_owner(&w, 1, &a) == world_owner(&w, 2, &a));
			int want = assured == 1 ? 1 : assured == 2 ? 2 : older == 2 ? 2 : 1;
			CHECK(world_owner(&w, 1, &a) == want);
			world_free(&w);
		}
}

/* Ours stands in the way of the peer's, which has not heard of it. */
static struct dsaa_flow begin_conflict(void)
{
	struct dsaa_flow ours = world_flow(1, 5, true);

	begin(2);
	world_open(&w, 1, ours);
	world_open(&w, 2, world_flow(1, 9, true));
	w.site[1].dump_stands = true;
	boot_all();
	CHECK(view(1, 2).bulks_received == 1 && world_owner(&w, 1, &ours) == 1);
	return ours;
}

/* It goes, and the event of its end is among lost ones. */
static void end_conflict(const struct dsaa_flow *ours)
{
	struct dsaa_event lost = { .type = DSAA_EV_OVERRUN };

	world_drop_entry(&w.site[1], world_find(&w.site[1], ours));
	world_feed(&w, 1, &lost);
	w.site[1].dump_stands = false;
	world_run_ms(&w, 7000);
	CHECK(world_owner(&w, 2, ours) == 2);
	CHECK(world_owner(&w, 1, ours) == 2 && world_agrees(&w));
	world_free(&w);
}

static void test_conflict_ends_unheard(void)
{
	struct dsaa_flow ours = begin_conflict();

	end_conflict(&ours);
}

/* However often events are lost while it stands: the claim is not given up, and asks in peace. */
static void test_conflict_outlives_lost_events(void)
{
	struct dsaa_flow ours = begin_conflict();
	struct dsaa_event lost = { .type = DSAA_EV_OVERRUN };
	uint64_t received = view(1, 2).flows_received;

	for (int i = 0; i < 60; i++) {
		world_feed(&w, 1, &lost);
		world_run_ms(&w, 500);
	}
	CHECK(world_owner(&w, 1, &ours) == 1 && world_owner(&w, 2, &ours) == 2);
	received = view(1, 2).flows_received - received;
	CHECK(received >= 4 && received <= 6); /* the answers of half a minute */
	end_conflict(&ours);
}

static void test_reversed_entry_is_replaced(void)
{
	struct dsaa_flow f = world_flow(1, 5, true), r = f;

	begin(2);
	boot_all();
	r.orig = f.reply;
	r.reply = f.orig;
	r.status = 0;
	r.start_ns = 9;
	/* the reply outran the state and opened a reversed entry at site 2 */
	w.cut[1][2] = w.cut[2][1] = true;
	world_open(&w, 1, f);
	world_open(&w, 2, r);
	w.cut[1][2] = w.cut[2][1] = false;
	world_run_ms(&w, 300);
	CHECK(world_owner(&w, 2, &f) == 1);
	CHECK(world_owner(&w, 2, &r) == -1);
	CHECK(world_owner(&w, 1, &f) == 1);
	world_free(&w);
}

static void test_refusals_are_named(void)
{
	begin(2);
	w.site[2].cfg.cluster_id = 8;
	boot_all();
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_REFUSED);
	CHECK(world_reason(&w, 1, 2) == DSAA_R_CLUSTER_MISMATCH);
	CHECK(world_reason(&w, 2, 1) == DSAA_R_CLUSTER_MISMATCH);
	world_run_ms(&w, 3000);
	CHECK(world_state(&w, 2, 1) == DSAA_PEER_REFUSED); /* it lives: never adopted */
	world_free(&w);
}

static void test_garbage_changes_nothing(void)
{
	struct dsaa_event ev = { .type = DSAA_EV_RECEIVED,
				 .site = 1,
				 .data = (const uint8_t *)"GET / HTTP/1.1\r\n\r\n",
				 .len = 18 };

	begin(2);
	boot_all();
	world_open(&w, 1, world_flow(1, 1, true));
	world_run_ms(&w, 50);
	world_feed(&w, 2, &ev);
	CHECK(world_state(&w, 2, 1) == DSAA_PEER_REFUSED);
	CHECK(world_reason(&w, 2, 1) == DSAA_R_MALFORMED);
	CHECK(w.site[2].used == 1);
	world_free(&w);
}

static void test_router_itself_is_left_out(void)
{
	struct dsaa_flow f = world_flow(1, 1, true);
	struct dsaa_event ev = { .type = DSAA_EV_ADDRESS, .up = true };
	struct dsaa_engine_view v;

	begin(2);
	boot_all();
	ev.address.family = 4;
	memcpy(ev.address.bytes, f.orig.src, 4);
	world_feed(&w, 1, &ev);
	world_open(&w, 1, f);
	world_run_ms(&w, 100);
	CHECK(world_owner(&w, 2, &f) == -1);
	dsaa_engine_view(w.site[1].engine, &v);
	CHECK(v.skipped[DSAA_R_ROUTER_ITSELF] == 1);
	world_free(&w);
}

static void test_sweep_and_overrun(void)
{
	struct dsaa_flow f = world_flow(1, 1, true), g = world_flow(3, 1, true);
	struct dsaa_event ev = { .type = DSAA_EV_OVERRUN };

	begin(2);
	boot_all();
	world_open(&w, 1, f);
	world_run_ms(&w, 50);
	/* the event of g's birth and of f's death are lost */
	world_drop_entry(&w.site[1], world_find(&w.site[1], &f));
	struct dsaa_apply op = { .kind = DSAA_APPLY_CREATE, .flow = g };
	world_apply(&w.site[1], &op);
	world_feed(&w, 1, &ev);
	world_run_ms(&w, 2000);
	CHECK(world_owner(&w, 2, &f) == -1);
	CHECK(world_owner(&w, 2, &g) == 1);
	world_free(&w);
}

/* The log still has what was true before events were lost: the table knows better. */
static void test_overrun_outdates_the_log(void)
{
	struct dsaa_flow f = world_flow(1, 1, false), g = world_flow(3, 1, true);
	struct dsaa_event ev = { .type = DSAA_EV_OVERRUN };
	struct dsaa_apply op = { .kind = DSAA_APPLY_CREATE, .flow = g };

	begin(2);
	boot_all();
	world_open(&w, 1, f);
	world_open(&w, 1, g);
	world_close(&w, 1, g);
	world_run_ms(&w, 50);
	/* f becomes assured, g begins anew, and nobody hears of it */
	world_find(&w.site[1], &f)->status = DSAA_FLOW_SEEN_REPLY | DSAA_FLOW_ASSURED;
	world_apply(&w.site[1], &op);
	world_feed(&w, 1, &ev);
	world_run_ms(&w, 2000);
	CHECK(world_owner(&w, 2, &g) == 1);
	CHECK(world_find(&w.site[2], &f)->status & DSAA_FLOW_ASSURED);
	world_free(&w);
}

static void test_full_table_is_not_called_complete(void)
{
	begin(2);
	for (unsigned n = 0; n < 50; n++)
		world_open(&w, 1, world_flow(n * 2, 1, true));
	w.site[1].alive = true;
	w.site[2].limit = 20;
	for (unsigned n = 0; n < 50; n++) {
		struct dsaa_apply op = { .kind = DSAA_APPLY_CREATE,
					 .flow = world_flow(n * 2, 1, true) };
		world_apply(&w.site[1], &op);
	}
	boot_all();
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_SYNCING);
	CHECK(world_reason(&w, 1, 2) == DSAA_R_BULK_INCOMPLETE);
	CHECK(!complete(2));
	w.site[2].limit = WORLD_TABLE;
	world_run_ms(&w, 8000);
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_UP && complete(2));
	CHECK(world_agrees(&w));
	world_free(&w);
}

static void test_slow_peer_gets_the_newest(void)
{
	begin(2);
	boot_all();
	w.site[1].room = 0; /* the peer does not read */
	for (unsigned n = 0; n < 3000; n++)
		world_open(&w, 1, world_flow((n % 1500) * 2, 1, n >= 1500));
	world_run_ms(&w, 200);
	CHECK(w.site[2].used == 0);
	w.site[1].room = WORLD_PIPE;
	world_run_ms(&w, 3000);
	CHECK(w.site[2].used == w.site[1].used && world_agrees(&w));
	world_free(&w);
}

/* ------------------------------------------------------------------ whose bulk comes first */

enum {
	YIELD_OWN = 10, /* connections of site 2 that only a bulk can tell */
	YIELD_THEIRS = 100
};

/* Entry N of site S, of which no event tells. */
static void put(int s, unsigned n)
{
	struct dsaa_apply op = { .kind = DSAA_APPLY_CREATE, .flow = world_flow(n, 1, true) };

	world_apply(&w.site[s], &op);
}

/* Site 1 serves; site 2 comes, and the bulk that site 1 has begun stands still. */
static void begin_yielding(void)
{
	begin(2);
	world_boot(&w, 1);
	for (unsigned n = 0; n < YIELD_THEIRS; n++)
		put(1, n * 2);
	for (unsigned n = 0; n < YIELD_OWN; n++)
		put(2, 2001 + n * 2);
	world_run_ms(&w, 6000);
	CHECK(complete(1)); /* nobody is there */
	w.site[1].dump_stands = true;
	world_boot(&w, 2);
	for (int i = 0; i < 500 && !view(2, 1).bulks_received; i++)
		world_run_ms(&w, 10);
	CHECK(view(2, 1).bulks_received == 1);
}

static void end_yielding(unsigned more)
{
	w.site[1].dump_stands = false;
	world_run_ms(&w, 2500);
	CHECK(complete(2) && view(1, 2).ours_confirmed && view(2, 1).ours_confirmed);
	CHECK(world_agrees(&w) && w.site[1].used == YIELD_THEIRS + YIELD_OWN + more);
	world_free(&w);
}

/* A site that comes back hears a complete one out before its own bulk; changes do not wait. */
static void test_bulk_of_the_complete_goes_first(void)
{
	begin_yielding();
	world_run_ms(&w, 500);
	world_open(&w, 2, world_flow(3001, 1, true));
	world_run_ms(&w, 50);
	CHECK(!complete(2) && view(2, 1).bulks_sent == 0);
	CHECK(w.site[1].used == YIELD_THEIRS + 1);
	end_yielding(1);
}

static void test_yielding_outlives_lost_events(void)
{
	struct dsaa_event lost = { .type = DSAA_EV_OVERRUN };

	begin_yielding();
	world_feed(&w, 2, &lost);
	world_run_ms(&w, 500);
	CHECK(view(2, 1).bulks_sent == 0);
	end_yielding(0);
}

static void test_yielding_ends_with_the_session(void)
{
	begin_yielding();
	world_run_ms(&w, 500);
	world_disconnect(&w, 1, 2, DSAA_R_TRANSPORT_LOST);
	end_yielding(0);
}

/* The bulk that is waited for never ends: until the site is complete by its timer, or for 30 s. */
static void test_yielding_has_a_limit(void)
{
	for (int timer = 0; timer < 2; timer++) {
		int limit_ms = timer ? 20000 : 30000;

		begin_yielding();
		if (!timer) {
			w.site[2].cfg.start_timer_ms = 60000;
			world_feed(&w, 2,
				   &(struct dsaa_event){ .type = DSAA_EV_CONFIG,
							 .config = &w.site[2].cfg });
		}
		world_run_ms(&w, limit_ms - 1000);
		CHECK(view(2, 1).bulks_sent == 0 && !complete(2));
		world_run_ms(&w, 2000);
		CHECK(view(2, 1).bulks_sent == 1 && complete(2) == timer);
		CHECK(view(2, 1).ours_confirmed && w.site[1].used == YIELD_THEIRS + YIELD_OWN);
		world_free(&w);
	}
}

/* A connection that a bulk has read and not sent yet changes: the bulk comes first. */
static void test_bulk_is_not_overtaken(void)
{
	struct dsaa_flow f = world_flow(1, 1, false), g = world_flow(3, 1, true);
	struct dsaa_event tick = { .type = DSAA_EV_TICK }, lost = { .type = DSAA_EV_OVERRUN };
	struct dsaa_event dumped = { .type = DSAA_EV_DUMP_FLOW };

	begin(2);
	boot_all();
	world_run_ms(&w, 1000);
	world_open(&w, 1, f);
	world_open(&w, 1, g);
	world_feed(&w, 1, &lost);
	world_feed(&w, 1, &tick); /* the dump begins */
	CHECK(w.site[1].dump_at == 0);
	for (int i = 0; i < 2; i++) {
		struct dsaa_flow copy = w.site[1].table[i];

		dumped.flow = &copy;
		world_feed(&w, 1, &dumped);
	}
	w.site[1].dump_at = 2;
	f.status = DSAA_FLOW_SEEN_REPLY | DSAA_FLOW_ASSURED;
	world_open(&w, 1, f);
	world_close(&w, 1, g);
	world_feed(&w, 1, &tick);
	world_run_ms(&w, 100);
	CHECK(world_find(&w.site[2], &f)->status & DSAA_FLOW_ASSURED);
	CHECK(world_owner(&w, 2, &g) == -1);
	world_free(&w);
}

/* A connection ended and began anew while the peer did not read: nothing of the first is left. */
static void test_earlier_connection_leaves_nothing(void)
{
	struct dsaa_flow f = world_flow(1, 1, true), again = world_flow(1, 2, false);

	begin(2);
	boot_all();
	world_open(&w, 1, f);
	world_run_ms(&w, 50);
	w.site[1].room = 0;
	world_run_ms(&w, 20);
	world_close(&w, 1, f);
	world_open(&w, 1, again);
	w.site[1].room = WORLD_PIPE;
	world_run_ms(&w, 50);
	CHECK(world_owner(&w, 2, &f) == 1);
	CHECK(world_find(&w.site[2], &f)->status == again.status);
	world_free(&w);
}

/* A site that dies before its probe could answer once is dead all the same. */
static void test_death_before_first_probe(void)
{
	begin(2);
	for (int s = 1; s <= 2; s++)
		w.site[s].cfg.site[1].has_probe = w.site[s].cfg.site[2].has_probe = true;
	world_boot(&w, 1);
	world_boot(&w, 2);
	for (int ms = 0; ms < 1000 && world_state(&w, 1, 2) != DSAA_PEER_UP; ms += 10)
		world_run_ms(&w, 10);
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_UP && !view(1, 2).probe_answered);
	w.cut[1][2] = w.cut[2][1] = true;
	world_run_ms(&w, 3000);
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_DEAD);
	CHECK(view(1, 2).word == DSAA_WORD_ADOPTED);
	world_free(&w);
}

/* A probe that was wrong from the beginning: its silence is no proof that the site died. */
static void test_wrong_probe_is_no_death(void)
{
	begin(2);
	for (int s = 1; s <= 2; s++)
		w.site[s].cfg.site[1].has_probe = w.site[s].cfg.site[2].has_probe = true;
	boot_all();
	world_run_ms(&w, 2000); /* the site spoke, and the probe had its time */
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_UP);
	w.cut[1][2] = w.cut[2][1] = true;
	world_run_ms(&w, 3000);
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_ISOLATED);
	CHECK(view(1, 2).reason == DSAA_R_PROBE_UNPROVEN);
	w.network = true; /* somebody mends the route to it */
	world_run_ms(&w, 300);
	CHECK(view(1, 2).reason == DSAA_R_PROBE_ALIVE);
	w.network = false; /* and from now on it counts */
	world_run_ms(&w, 300);
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_DEAD);
	world_free(&w);
}

static void audit_now(void)
{
	struct dsaa_event ev = { .type = DSAA_EV_AUDIT };

	for (int s = 1; s <= w.sites; s++)
		world_feed(&w, s, &ev);
	world_run_ms(&w, 300);
}

/* Replicas deleted, altered and added behind the daemon's back are found and put right. */
static void test_audit_repairs(void)
{
	begin(2);
	boot_all();
	for (unsigned n = 0; n < 1000; n++)
		world_open(&w, 1, world_flow(n * 2, 1, true));
	world_run_ms(&w, 100);
	CHECK(w.site[2].used == 1000);
	audit_now();
	CHECK(view(2, 1).audit_done && view(2, 1).audit_differences == 0);
	for (unsigned n = 0; n < 100; n++) {
		struct dsaa_flow f = world_flow(n * 14, 1, true);

		world_drop_entry(&w.site[2], world_find(&w.site[2], &f));
	}
	struct dsaa_flow altered = world_flow(2, 1, true), added = world_flow(9001, 1, true);
	struct dsaa_apply op = { .kind = DSAA_APPLY_CREATE };

	world_find(&w.site[2], &altered)->mark = 0;
	added.mark = dsaa_mark_set_owner(0, DSAA_MARK_MASK_DEFAULT, 1);
	op.flow = added;
	world_apply(&w.site[2], &op);
	audit_now();
	CHECK(view(2, 1).audit_differences == 102);
	CHECK(view(2, 1).audit_repaired == 102);
	CHECK(w.site[2].used == 1000 && world_agrees(&w));
	audit_now();
	CHECK(view(2, 1).audit_differences == 0 && view(2, 1).audit_repaired == 0);
	world_free(&w);
}

/* What changes while the audit runs is no difference. */
static void test_audit_under_change(void)
{
	begin(2);
	boot_all();
	for (unsigned n = 0; n < 500; n++)
		world_open(&w, 1, world_flow(n * 2, 1, true));
	world_run_ms(&w, 100);
	for (unsigned round = 0; round < 20; round++) {
		struct dsaa_event ev = { .type = DSAA_EV_AUDIT };

		world_feed(&w, 1, &ev);
		for (unsigned n = 0; n < 25; n++) {
			world_close(&w, 1, world_flow((round * 25 + n) * 2, 1, true));
			world_open(&w, 1, world_flow((500 + round * 25 + n) * 2, 1, true));
			if (n % 8 == 0)
				world_run_ms(&w, 10);
		}
		world_run_ms(&w, 100);
		CHECK(view(2, 1).audit_differences == 0);
	}
	CHECK(view(2, 1).audits >= 20);
	CHECK(world_agrees(&w) && w.site[2].used == 500);
	world_free(&w);
}

/* More is missing than an audit asks for: a bulk brings it. */
static void test_audit_of_a_flushed_table(void)
{
	static struct dsaa_flow kept;

	begin(2);
	boot_all();
	for (unsigned n = 0; n < 1000; n++)
		world_open(&w, 1, world_flow(n * 2, 1, true));
	kept = world_flow(5, 1, true);
	world_open(&w, 2, kept);
	world_run_ms(&w, 100);
	w.site[2].used = 0; /* conntrack -F, and the events of it mean nothing to an owner */
	audit_now();
	world_run_ms(&w, 500);
	CHECK(view(2, 1).audit_differences == 1000);
	CHECK(w.site[2].used == 1000);
	world_free(&w);
}

/* ------------------------------------------------------------------ resuming */

enum {
	RESUME_KNOWN = 300,
	RESUME_LOG = 1 << 10
}; /* connections before the cut; the log of world.h */

/* Two sites in step, site 1 with RESUME_KNOWN connections; then the link is cut. */
static void begin_cut(void)
{
	begin(2);
	w.site[1].cfg.hold_time_ms = w.site[2].cfg.hold_time_ms = 60000;
	boot_all();
	for (unsigned n = 0; n < RESUME_KNOWN; n++)
		world_open(&w, 1, world_flow(n * 2, 1, false));
	world_run_ms(&w, 500);
	CHECK(view(1, 2).bulks_sent == 1 && view(2, 1).bulks_received == 1);
	w.cut[1][2] = w.cut[2][1] = true;
	world_disconnect(&w, 1, 2, DSAA_R_TRANSPORT_LOST);
}

/* What happens at site 1 meanwhile: some end, some change, some begin. */
static void change_while_cut(void)
{
	for (unsigned n = 0; n < 100; n++) {
		world_close(&w, 1, world_flow(n * 2, 1, false));
		world_open(&w, 1, world_flow((100 + n) * 2, 1, true));
		world_open(&w, 1, world_flow((RESUME_KNOWN + n) * 2, 1, true));
	}
	world_run_ms(&w, 100);
}

static void heal(void)
{
	w.cut[1][2] = w.cut[2][1] = false;
	world_run_ms(&w, 3000);
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_UP && world_state(&w, 2, 1) == DSAA_PEER_UP);
	CHECK(w.site[2].used == w.site[1].used && world_agrees(&w));
	for (unsigned i = 0; i < w.site[1].used; i++) {
		const struct dsaa_flow *f = &w.site[1].table[i], *r = world_find(&w.site[2], f);

		CHECK(r && r->status == f->status);
	}
}

static bool resumed(int from, int to)
{
	return view(from, to).resumes_sent == 1 && view(to, from).resumes_received == 1 &&
	       view(from, to).bulks_sent == 1 && view(to, from).bulks_received == 1;
}

static void test_resume_tells_only_what_changed(void)
{
	uint64_t sent;

	begin_cut();
	change_while_cut();
	sent = view(1, 2).flows_sent;
	heal();
	CHECK(resumed(1, 2) && resumed(2, 1));
	CHECK(view(1, 2).flows_sent - sent == 300);
	/* and once more, with nothing to tell */
	world_disconnect(&w, 1, 2, DSAA_R_TRANSPORT_LOST);
	heal();
	CHECK(view(1, 2).resumes_sent == 2 && view(1, 2).bulks_sent == 1);
	CHECK(view(1, 2).flows_sent - sent == 300);
	world_free(&w);
}

/* What was on its way when the link was cut comes again, and is not counted as stale. */
static void test_resume_repeats_what_was_on_its_way(void)
{
	begin_cut();
	heal();
	w.cut[1][2] = true; /* sent, and never received */
	change_while_cut();
	world_disconnect(&w, 1, 2, DSAA_R_TRANSPORT_LOST);
	w.cut[2][1] = true;
	world_run_ms(&w, 500);
	heal();
	CHECK(view(1, 2).bulks_sent == 1);
	CHECK(view(2, 1).flows_rejected[DSAA_R_STALE] == 0);
	world_free(&w);
}

/* The log reaches back as far as it has entries, deletions included, and not one further. */
static void test_resume_ends_where_the_log_ends(void)
{
	for (unsigned changes = RESUME_LOG - 2; changes <= RESUME_LOG + 2; changes++) {
		begin_cut();
		world_close(&w, 1, world_flow(0, 1, false)); /* the first that is forgotten */
		for (unsigned n = 1; n < changes; n++)
			world_open(&w, 1, world_flow((RESUME_KNOWN + n) * 2, 1, true));
		heal();
		CHECK(resumed(1, 2) == (changes <= RESUME_LOG));
		CHECK(view(1, 2).resumes_sent == (changes <= RESUME_LOG));
		world_free(&w);
	}
}

/* The same connections again and again: the log holds each once, but its places are used up. */
static void test_resume_after_much_of_the_same(void)
{
	begin_cut();
	world_close(&w, 1, world_flow(0, 1, false));
	for (unsigned n = 0; n < 5 * RESUME_LOG; n++)
		world_open(&w, 1, world_flow(2 + n % 7 * 2, 1, n % 2));
	heal();
	CHECK(!resumed(1, 2)); /* the deletion is no longer told */
	world_free(&w);
}

/* What the bulk brought need not be in the log any more. */
static void test_resume_behind_a_bulk(void)
{
	begin(2);
	w.site[1].cfg.hold_time_ms = w.site[2].cfg.hold_time_ms = 60000;
	world_boot(&w, 1);
	for (unsigned n = 0; n < 2 * RESUME_LOG; n++)
		world_open(&w, 1, world_flow(n * 2, 1, true));
	world_boot(&w, 2);
	world_run_ms(&w, 1000);
	CHECK(w.site[2].used == 2 * RESUME_LOG);
	world_disconnect(&w, 1, 2, DSAA_R_TRANSPORT_LOST);
	world_close(&w, 1, world_flow(2, 1, true));
	heal();
	CHECK(resumed(1, 2));
	world_free(&w);
}

/* The bulk is confirmed, but what it did not name is not yet swept. */
static void test_no_resume_before_the_sweep(void)
{
	struct dsaa_flow f = world_flow(0, 1, false);

	begin_cut();
	heal();
	world_drop_entry(&w.site[1], world_find(&w.site[1], &f)); /* and nobody heard of it */
	world_feed(&w, 1, &(struct dsaa_event){ .type = DSAA_EV_OVERRUN });
	for (int i = 0; i < 300 && view(1, 2).bulks_sent < 2; i++) {
		w.now.us += 10000;
		world_tick_site(&w, 1);
		world_receive(&w, 2, 1);
	}
	/* site 2 receives, and gets no turn to sweep */
	for (int i = 0; i < 5; i++) {
		world_receive(&w, 1, 2);
		world_receive(&w, 2, 1);
	}
	CHECK(view(1, 2).ours_confirmed && world_owner(&w, 2, &f) == 1);
	world_disconnect(&w, 1, 2, DSAA_R_TRANSPORT_LOST);
	heal();
	CHECK(view(2, 1).bulks_received == 3);
	world_free(&w);
}

static void test_no_resume_after_a_restart(void)
{
	for (int s = 1; s <= 2; s++) {
		begin_cut();
		w.now.us += 1;
		world_boot(&w, s); /* the daemon; its kernel keeps the table */
		change_while_cut();
		heal();
		CHECK(view(1, 2).resumes_sent == 0 && view(1, 2).bulks_sent >= 1);
		CHECK(view(2, 1).resumes_received == 0);
		world_free(&w);
	}
}

static void test_no_resume_of_half_a_bulk(void)
{
	begin_cut();
	w.site[1].room = 0;
	w.cut[1][2] = w.cut[2][1] = false;
	world_feed(&w, 1, &(struct dsaa_event){ .type = DSAA_EV_RESYNC });
	world_run_ms(&w, 1000);
	w.site[1].room = WORLD_PIPE;
	for (int i = 0; i < 100 && view(1, 2).bulks_sent < 2; i++) {
		/* until it has begun; its end is never received */
		w.now.us += 10000;
		world_tick_site(&w, 2);
		world_receive(&w, 2, 1);
		world_tick_site(&w, 1);
		w.pipe[1][2].len -= w.pipe[1][2].len > 100 ? 100 : 0;
		world_receive(&w, 1, 2);
	}
	CHECK(view(1, 2).bulks_sent == 2);
	world_disconnect(&w, 1, 2, DSAA_R_TRANSPORT_LOST);
	change_while_cut();
	heal();
	CHECK(view(1, 2).resumes_sent == 0 && view(1, 2).bulks_sent == 3);
	world_free(&w);
}

static void test_no_resume_after_lost_events(void)
{
	struct dsaa_event lost = { .type = DSAA_EV_OVERRUN };
	struct dsaa_flow f = world_flow(0, 1, false);

	begin_cut();
	world_drop_entry(&w.site[1], world_find(&w.site[1], &f)); /* and nobody heard of it */
	world_feed(&w, 1, &lost);
	world_run_ms(&w, 1500);
	heal();
	CHECK(view(1, 2).resumes_sent == 0 && view(1, 2).bulks_sent == 2);
	CHECK(resumed(2, 1)); /* the other way nothing was lost */
	world_free(&w);
}

/* The one that called the other dead changed its entries: it needs them all anew. */
static void test_no_resume_after_adoption(void)
{
	begin(2);
	boot_all();
	for (unsigned n = 0; n < 50; n++)
		world_open(&w, 1, world_flow(n * 2, 1, true));
	world_run_ms(&w, 100);
	w.cut[1][2] = w.cut[2][1] = true;
	world_run_ms(&w, 4000);
	CHECK(world_state(&w, 2, 1) == DSAA_PEER_DEAD);
	w.cut[1][2] = w.cut[2][1] = false;
	world_run_ms(&w, 6000);
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_UP && world_agrees(&w));
	CHECK(view(2, 1).resumes_received == 0);
	world_free(&w);
}

/* A table that was full, or a connection that was kept from the peer, leaves a hole. */
static void test_no_resume_with_holes(void)
{
	begin(2);
	w.site[1].cfg.hold_time_ms = w.site[2].cfg.hold_time_ms = 60000;
	boot_all();
	w.site[2].limit = 10;
	for (unsigned n = 0; n < 20; n++)
		world_open(&w, 1, world_flow(n * 2, 1, true));
	world_run_ms(&w, 100);
	CHECK(view(2, 1).flows_rejected[DSAA_R_TABLE_FULL] == 10);
	w.site[2].limit = WORLD_TABLE;
	world_disconnect(&w, 1, 2, DSAA_R_TRANSPORT_LOST);
	world_run_ms(&w, 2000);
	CHECK(view(2, 1).resumes_received == 0 && view(2, 1).bulks_received == 2);
	CHECK(w.site[2].used == 20 && world_agrees(&w));
	/* now it holds all of it */
	world_disconnect(&w, 1, 2, DSAA_R_TRANSPORT_LOST);
	world_run_ms(&w, 2000);
	CHECK(view(2, 1).resumes_received == 1 && view(2, 1).bulks_received == 2);
	world_free(&w);
}

/* Records of a zone that a site does not know are refused; when it knows it, they are there. */
static void test_zone_that_is_not_here(void)
{
	begin(2);
	boot_all();
	w.site[2].no_zone = 7;
	for (unsigned n = 0; n < 20; n++) {
		struct dsaa_flow f = world_flow(n * 2, 1, true);

		f.zone = n % 2 ? 7 : 0;
		world_open(&w, 1, f);
	}
	world_run_ms(&w, 100);
	CHECK(w.site[2].used == 10);
	CHECK(view(2, 1).flows_rejected[DSAA_R_BLOCK_DIFFERS] >= 10);
	CHECK(!view(2, 1).theirs_complete);
	w.site[2].no_zone = 0;
	world_run_ms(&w, 20000);
	CHECK(w.site[2].used == 20 && view(2, 1).theirs_complete && world_agrees(&w));
	world_free(&w);
}

/* Whatever happens between and during sessions, a resumed one ends in step. */
static void test_random_resumes_agree(void)
{
	uint64_t resumes = 0, bulks = 0;

	for (unsigned seed = 1; seed <= 150; seed++) {
		unsigned state = seed;

		begin(2);
		w.site[1].cfg.hold_time_ms = w.site[2].cfg.hold_time_ms = 60000;
		w.site[1].cfg.audit_interval_ms = w.site[2].cfg.audit_interval_ms = 0;
		boot_all();
		for (int i = 0; i < 400; i++) {
			unsigned r = (unsigned)rand_r(&state), s = 1 + r % 2;
			/* each site its own: nothing to fight over */
			struct dsaa_flow f = world_flow(((r >> 8) % 200 * 2 + s) * 2, 1,
							(r >> 20) & 1);

			if ((r >> 4) % 32 == 0)
				world_disconnect(&w, 1, 2, DSAA_R_TRANSPORT_LOST);
			else if ((r >> 4) % 32 < 4)
				world_run_ms(&w, 10 + (int)(r >> 16) % 400);
			else if ((r >> 4) % 32 < 12)
				world_close(&w, (int)s, f);
			else
				world_open(&w, (int)s, f);
		}
		world_run_ms(&w, 4000);
		CHECK(world_state(&w, 1, 2) == DSAA_PEER_UP);
		CHECK(world_agrees(&w));
		resumes += view(1, 2).resumes_sent + view(2, 1).resumes_sent;
		bulks += view(1, 2).bulks_sent + view(2, 1).bulks_sent;
		world_free(&w);
	}
	CHECK(resumes > 2 * bulks);
}

/* ------------------------------------------------------------------ sync delay */

/* Two sites, of which the first tells TCP after 2 s; the bulk is long over. */
static void begin_delay(void)
{
	begin(2);
	w.site[1].cfg.delay_s[DSAA_PROTO_UDP] = 2;
	boot_all();
	world_run_ms(&w, 3000);
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_UP);
}

static struct dsaa_engine_view engine_view(int s)
{
	struct dsaa_engine_view v;

	dsaa_engine_view(w.site[s].engine, &v);
	return v;
}

static void test_delay_leaves_out_the_short(void)
{
	struct dsaa_flow lasting = world_flow(9002, 1, false);

	begin_delay();
	world_open(&w, 1, lasting);
	for (unsigned n = 0; n < 100; n++) {
		world_open(&w, 1, world_flow(n * 2, 1, false));
		world_run_ms(&w, 10);
	}
	CHECK(engine_view(1).delayed == 101);
	for (unsigned n = 0; n < 100; n++)
		world_close(&w, 1, world_flow(n * 2, 1, false));
	lasting.status = DSAA_FLOW_SEEN_REPLY | DSAA_FLOW_ASSURED;
	world_open(&w, 1, lasting); /* changes */
	CHECK(engine_view(1).delayed == 1 && engine_view(1).delayed_ended == 100);
	world_run_ms(&w, 900);
	CHECK(w.site[2].used == 0 && view(1, 2).flows_sent == 0);
	world_run_ms(&w, 600);
	CHECK(view(1, 2).flows_sent == 1 && engine_view(1).delayed == 0);
	CHECK(world_find(&w.site[2], &lasting)->status & DSAA_FLOW_ASSURED);
	/* the other site has no delay, and changes of what was told are told at once */
	world_open(&w, 2, world_flow(11, 1, false));
	world_close(&w, 1, lasting);
	world_run_ms(&w, 30);
	CHECK(world_agrees(&w) && w.site[2].used == 1);
	world_free(&w);
}

/* Neither events nor bulk nor audit tell of what is half-open, and nobody hears of its end. */
static void test_half_open_is_left_out(void)
{
	struct dsaa_flow f = world_tcp(1, 1, false), g = world_tcp(3, 1, false);
	struct dsaa_flow z = world_tcp(5, 1, false);
	struct dsaa_apply op = { .kind = DSAA_APPLY_CREATE, .flow = g };

	begin(2);
	world_apply(&w.site[1], &op);
	boot_all(); /* a bulk */
	world_open(&w, 1, f);
	audit_now();
	CHECK(w.site[2].used == 0 && view(1, 2).flows_sent == 0);
	CHECK(view(2, 1).audit_done && view(2, 1).audit_differences == 0);
	CHECK(engine_view(1).skipped[DSAA_R_HALF_OPEN] == 1);
	/* one of a zone is told at once */
	z.zone = 7;
	world_open(&w, 1, z);
	world_run_ms(&w, 50);
	CHECK(world_owner(&w, 2, &z) == 1);
	world_close(&w, 1, z);
	world_run_ms(&w, 50);
	CHECK(w.site[2].used == 0 && view(1, 2).flows_sent == 2);
	world_close(&w, 1, g);
	world_run_ms(&w, 100);
	CHECK(view(1, 2).flows_sent == 2);
	f = world_tcp(1, 1, true);
	world_open(&w, 1, f);
	world_run_ms(&w, 100);
	CHECK(world_owner(&w, 2, &f) == 1 && view(1, 2).flows_sent == 3);
	audit_now();
	CHECK(view(2, 1).audit_differences == 0);
	world_close(&w, 1, f);
	world_run_ms(&w, 100);
	CHECK(w.site[2].used == 0 && view(1, 2).flows_sent == 4);
	world_free(&w);
}

/* Of TCP the delay counts from the first packet; one that is still half-open then is told later. */
static void test_delay_of_a_handshake(void)
{
	struct dsaa_flow quick = world_tcp(2, 1, false), slow = world_tcp(4, 1, false);

	begin_delay();
	w.site[1].cfg.delay_s[DSAA_PROTO_TCP] = 2;
	boot_all();
	world_run_ms(&w, 3000);
	world_open(&w, 1, quick);
	world_open(&w, 1, slow);
	world_run_ms(&w, 100);
	quick = world_tcp(2, 1, true);
	world_open(&w, 1, quick);
	CHECK(engine_view(1).delayed == 2);
	world_run_ms(&w, 1500);
	CHECK(w.site[2].used == 0);
	world_run_ms(&w, 900);
	CHECK(engine_view(1).delayed == 0 && w.site[2].used == 1);
	CHECK(world_owner(&w, 2, &quick) == 1);
	slow = world_tcp(4, 1, true);
	world_open(&w, 1, slow);
	world_run_ms(&w, 30);
	CHECK(world_owner(&w, 2, &slow) == 1);
	world_free(&w);
}

/*
 * Longer and shorter delays beside each other, each in its time; what begins anew begins to wait
 * anew.
 */
static void test_delay_of_each_protocol(void)
{
	struct dsaa_flow f = world_flow(2, 1, false), g = world_flow(4, 1, false);
	struct dsaa_flow h = world_flow(6, 1, false);

	begin(2);
	f.proto = DSAA_PROTO_UDPLITE;
	h.proto = DSAA_PROTO_GRE;
	w.site[1].cfg.delay_s[DSAA_PROTO_UDPLITE] = 60;
	w.site[1].cfg.delay_s[DSAA_PROTO_UDP] = 1;
	w.site[1].cfg.hold_time_ms = w.site[2].cfg.hold_time_ms = 10000;
	boot_all();
	world_run_ms(&w, 3000);
	world_open(&w, 1, f);
	world_open(&w, 1, g);
	world_open(&w, 1, h);
	world_run_ms(&w, 990);
	CHECK(world_owner(&w, 2, &h) == 1 && w.site[2].used == 1);
	world_run_ms(&w, 300);
	CHECK(world_owner(&w, 2, &g) == 1 && w.site[2].used == 2);
	world_run_ms(&w, 30000);
	world_close(&w, 1, f);
	world_open(&w, 1, f);
	world_run_ms(&w, 59900);
	CHECK(w.site[2].used == 2);
	world_run_ms(&w, 500);
	CHECK(w.site[2].used == 3 && world_agrees(&w));
	world_free(&w);
}

/* A packet of it at another site, or the other site's own entry: the peer must know now. */
static void test_delay_exempts_what_is_seen_elsewhere(void)
{
	struct dsaa_flow f = world_flow(2, 1, true), g = world_flow(4, 1, true), other = g;
	struct dsaa_event ev = { .type = DSAA_EV_ELSEWHERE, .flow = &f };

	begin_delay();
	world_open(&w, 1, f);
	world_open(&w, 1, g);
	world_feed(&w, 1, &ev);
	world_run_ms(&w, 30);
	CHECK(world_owner(&w, 2, &f) == 1 && w.site[2].used == 1);
	world_feed(&w, 1, &ev); /* and once more: nothing to do */
	other.status = 0;
	other.start_ns = 5;
	world_open(&w, 2, other);
	world_run_ms(&w, 50);
	CHECK(world_owner(&w, 2, &g) == 1 && world_owner(&w, 1, &g) == 1);
	CHECK(engine_view(1).delayed_exempt == 2 && engine_view(1).delayed == 0);
	/* one that is held and loses is told no more */
	f = world_flow(6, 9, false);
	other = world_flow(6, 1, true);
	world_open(&w, 1, f);
	world_open(&w, 2, other);
	world_run_ms(&w, 3000);
	CHECK(world_owner(&w, 1, &f) == 2 && world_agrees(&w));
	world_free(&w);
}

/* A bulk and an audit leave out what is held; a change of the delay ends all of it. */
static void test_delay_holds_against_bulk_and_audit(void)
{
	struct dsaa_event resync = { .type = DSAA_EV_RESYNC };
	struct dsaa_event config = { .type = DSAA_EV_CONFIG, .config = &w.site[1].cfg };

	begin_delay();
	w.site[1].cfg.delay_s[DSAA_PROTO_UDP] = 30;
	world_feed(&w, 1, &config);
	for (unsigned n = 0; n < 50; n++)
		world_open(&w, 1, world_flow(n * 2, 1, true));
	world_feed(&w, 1, &resync);
	world_run_ms(&w, 2000);
	audit_now();
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_UP && w.site[2].used == 0);
	CHECK(view(2, 1).audit_done && view(2, 1).audit_differences == 0);
	w.site[1].cfg.delay_s[DSAA_PROTO_UDP] = 0;
	world_feed(&w, 1, &config);
	world_run_ms(&w, 50);
	CHECK(w.site[2].used == 50 && world_agrees(&w));
	world_free(&w);
}

/* Events were lost: what is held may have changed, or be gone. */
static void test_delay_ends_with_lost_events(void)
{
	struct dsaa_flow f = world_flow(2, 1, false), g = world_flow(4, 1, false);
	struct dsaa_event lost = { .type = DSAA_EV_OVERRUN };

	begin_delay();
	world_open(&w, 1, f);
	world_open(&w, 1, g);
	world_find(&w.site[1], &f)->status = DSAA_FLOW_SEEN_REPLY | DSAA_FLOW_ASSURED;
	world_drop_entry(&w.site[1], world_find(&w.site[1], &g));
	world_feed(&w, 1, &lost);
	CHECK(engine_view(1).delayed == 0);
	world_run_ms(&w, 3000);
	CHECK(w.site[2].used == 1 && world_find(&w.site[2], &f)->status & DSAA_FLOW_ASSURED);
	world_free(&w);
}

/* What the kernel had queued before it lost more is read after the news of it; its end is lost. */
static void test_delay_ends_with_the_dump_of_lost_events(void)
{
	struct dsaa_flow f = world_flow(2, 1, false);
	struct dsaa_event lost = { .type = DSAA_EV_OVERRUN };

	begin_delay();
	world_feed(&w, 1, &lost);
	world_run_ms(&w, 100);
	/* the dump for this one has to wait */
	world_feed(&w, 1, &lost);
	world_open(&w, 1, f);
	CHECK(engine_view(1).delayed == 1);
	world_drop_entry(&w.site[1], world_find(&w.site[1], &f));
	world_run_ms(&w, 4000);
	CHECK(engine_view(1).delayed == 0 && w.site[2].used == 0);
	world_free(&w);
}

/* No more memory than the fixed places: what finds none is told at once. */
static void test_delay_is_bounded(void)
{
	struct dsaa_event ev = { .type = DSAA_EV_FLOW, .op = DSAA_OP_UPSERT, .begins = true };

	begin_delay();
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned n = 0; n < DSAA_DELAY_ENTRIES + 10; n++) {
			struct dsaa_flow f = world_flow(n % 4096 * 2, 1, true);

			f.orig.dport = f.reply.sport = (uint16_t)(1 + n / 4096);
			ev.flow = &f;
			world_feed(&w, 1, &ev);
		}
		CHECK(engine_view(1).delayed == DSAA_DELAY_ENTRIES);
		CHECK(engine_view(1).delayed_no_room == 10 * (round + 1));
		ev.op = DSAA_OP_DELETE;
		for (unsigned n = 0; n < DSAA_DELAY_ENTRIES + 10; n++) {
			struct dsaa_flow f = world_flow(n % 4096 * 2, 1, true);

			f.orig.dport = f.reply.sport = (uint16_t)(1 + n / 4096);
			ev.flow = &f;
			world_feed(&w, 1, &ev);
		}
		ev.op = DSAA_OP_UPSERT;
		CHECK(engine_view(1).delayed == 0);
	}
	CHECK(engine_view(1).delayed_ended == 3 * DSAA_DELAY_ENTRIES);
	world_free(&w);
}

/* What a peer that stops reading has not confirmed is not hidden by what it had before. */
static void test_lag_of_a_stopped_peer(void)
{
	struct dsaa_event room = { .type = DSAA_EV_ROOM, .site = 2 };

	begin(2);
	w.site[1].cfg.hold_time_ms = w.site[2].cfg.hold_time_ms = 60000;
	boot_all();
	world_open(&w, 1, world_flow(2, 1, true));
	world_run_ms(&w, 50);
	CHECK(view(1, 2).lag_now_us == 0 && view(1, 2).lag_max_us <= 30000);
	/* sent, and not received; then not even sent */
	w.cut[1][2] = w.cut[2][1] = true;
	world_open(&w, 1, world_flow(4, 1, true));
	world_run_ms(&w, 1000);
	CHECK(view(1, 2).lag_now_us >= 980000 && view(1, 2).lag_max_us <= 30000);
	w.cut[1][2] = w.cut[2][1] = false;
	world_run_ms(&w, 50);
	CHECK(view(1, 2).lag_now_us == 0);
	CHECK(view(1, 2).lag_max_us >= 1000000 && view(1, 2).lag_max_us <= 1100000);
	w.site[1].room = 0;
	world_feed(&w, 1, &room);
	world_open(&w, 1, world_flow(6, 1, true));
	world_run_ms(&w, 500);
	CHECK(view(1, 2).lag_now_us >= 480000 && view(1, 2).lag_now_us <= 520000);
	/* clearing begins the maximum anew */
	dsaa_engine_clear(w.site[1].engine);
	CHECK(view(1, 2).lag_max_us == 0 && view(1, 2).lag_now_us >= 480000);
	world_free(&w);
}

/*
 * A lost session's time counts: what was changed before it is confirmed after the next one began.
 */
static void test_lag_over_a_lost_session(void)
{
	begin_cut();
	world_open(&w, 1, world_flow(9000, 1, true));
	world_run_ms(&w, 1500);
	heal();
	CHECK(view(1, 2).lag_max_us >= 1500000 && view(1, 2).lag_now_us == 0);
	world_free(&w);
}

static void random_step(unsigned *seed)
{
	unsigned r = (unsigned)rand_r(seed);
	int s = 1 + (int)(r % (unsigned)w.sites), o = 1 + (int)((r >> 4) % (unsigned)w.sites);
	struct dsaa_flow f = world_flow((r >> 8) % 64 * 2, 1 + (r >> 16) % 8, (r >> 20) & 1);

	switch ((r >> 24) % 8) {
	case 0:
		world_disconnect(&w, s, o, DSAA_R_TRANSPORT_LOST);
		break;
	case 1:
		if (w.site[s].alive && world_owner(&w, s, &f) == s)
			world_close(&w, s, f);
		break;
	case 2:
		world_run_ms(&w, 20);
		break;
	default:
		if (w.site[s].alive)
			world_open(&w, s, f);
		break;
	}
}

static void test_random_worlds_agree(void)
{
	for (unsigned seed = 1; seed <= 200; seed++) {
		unsigned state = seed;

		begin(2);
		boot_all();
		for (int i = 0; i < 300; i++)
			random_step(&state);
		world_run_ms(&w, 6000);
		if (!world_agrees(&w))
			printf("seed %u: sites differ (%u and %u entries)\n", seed, w.site[1].used,
			       w.site[2].used);
		CHECK(world_agrees(&w));
		world_free(&w);
	}
}

int main(void)
{
	test_bulk_and_changes();
	test_nothing_announced_before_complete();
	test_adoption_and_return();
	test_bfd_speeds_up_and_protects();
	test_bfd_that_went_mute_protects_nobody();
	test_probe_tells_isolation();
	test_wrong_probe_is_no_death();
	test_death_before_first_probe();
	test_conflict_has_one_owner();
	test_conflict_ends_unheard();
	test_conflict_outlives_lost_events();
	test_reversed_entry_is_replaced();
	test_refusals_are_named();
	test_garbage_changes_nothing();
	test_half_open_is_left_out();
	test_router_itself_is_left_out();
	test_sweep_and_overrun();
	test_overrun_outdates_the_log();
	test_full_table_is_not_called_complete();
	test_slow_peer_gets_the_newest();
	test_bulk_of_the_complete_goes_first();
	test_yielding_outlives_lost_events();
	test_yielding_ends_with_the_session();
	test_yielding_has_a_limit();
	test_bulk_is_not_overtaken();
	test_earlier_connection_leaves_nothing();
	test_audit_repairs();
	test_audit_under_change();
	test_audit_of_a_flushed_table();
	test_resume_tells_only_what_changed();
	test_resume_repeats_what_was_on_its_way();
	test_resume_ends_where_the_log_ends();
	test_resume_after_much_of_the_same();
	test_resume_behind_a_bulk();
	test_no_resume_before_the_sweep();
	test_no_resume_after_a_restart();
	test_no_resume_of_half_a_bulk();
	test_no_resume_after_lost_events();
	test_no_resume_after_adoption();
	test_no_resume_with_holes();
	test_zone_that_is_not_here();
	test_random_resumes_agree();
	test_lag_of_a_stopped_peer();
	test_lag_over_a_lost_session();
	test_delay_leaves_out_the_short();
	test_delay_of_a_handshake();
	test_delay_of_each_protocol();
	test_delay_exempts_what_is_seen_elsewhere();
	test_delay_holds_against_bulk_and_audit();
	test_delay_ends_with_lost_events();
	test_delay_ends_with_the_dump_of_lost_events();
	test_delay_is_bounded();
	test_random_worlds_agree();
	return TEST_END();
}
