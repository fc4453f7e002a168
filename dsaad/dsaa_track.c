/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tracked routes: a router that has lost one of them cannot forward, though it
 * is alive, and another site shall serve (core/dsaa_drain.c). Main thread.
 *
 * zebra's nexthop tracking tells which route leads to a prefix, the default
 * route left aside; one that we announce ourselves does not count. That a
 * route is gone is believed at once, that it is back only when it stays.
 *
 * A router that starts has no routes yet: bgpd learns them while dsaad learns
 * the state. One that was never there since the start is awaited for a while:
 * until then nothing is announced, and nothing is drained either.
 *
 * Without zebra nothing is known and nothing changes: the kernel forwards as
 * before. A zebra that starts anew has swept the kernel's routes: what it has
 * not learned yet is missing indeed.
 */
#include "dsaad/dsaa_zebra.h"

#include "log.h"
#include "vrf.h"

#include "dsaad/dsaa_debug.h"
#include "dsaad/dsaa_errors.h"

/* How long all routes must be there before this router serves again. */
enum { BACK_MS = 2000 };
/*
 * How long after the start a route is awaited: a bgpd that starts with everybody else has its
 * sessions and routes in 5 to 20 s.
 */
enum { AWAIT_MS = 30000 };

enum track_state { TRACK_UNKNOWN, TRACK_HERE, TRACK_MISSING };

static struct tracked {
	struct prefix prefix; /* the host address that zebra is asked for */
	enum track_state state;
	bool seen; /* was there since the start */
} tracked[DSAA_TRACKED_ROUTES_MAX];
static unsigned count;

static bool said_missing, said_awaited; /* what the sync thread knows */
static struct event *t_back;		/* all are there: wait whether they stay */
static struct event *t_started;		/* runs while routes are awaited */
static bool started;			/* it began to run, long ago or not */

/* zebra tracks addresses: the first one of the prefix stands for it. */
static void make_host(struct prefix *host, const struct prefix *p)
{
	memset(host, 0, sizeof(*host));
	prefix_copy(host, p);
	host->prefixlen = host->family == AF_INET ? IPV4_MAX_BITLEN : IPV6_MAX_BITLEN;
}

static void ask_zebra(int command, const struct tracked *t)
{
	if (dsaa_zebra_connected())
		zclient_send_rnh(dsaa_zclient, command, &t->prefix, SAFI_UNICAST, false, false,
				 VRF_DEFAULT);
}

/* It may still come for the first time; also before zebra has said anything of it. */
static bool is_awaited(const struct tracked *t)
{
	return t_started && !t->seen && t->state != TRACK_HERE;
}

static bool any_missing(void)
{
	for (unsigned i = 0; i < count; i++)
		if (tracked[i].state == TRACK_MISSING && !is_awaited(&tracked[i]))
			return true;
	return false;
}

static bool any_awaited(void)
{
	for (unsigned i = 0; i < count; i++)
		if (is_awaited(&tracked[i]))
			return true;
	return false;
}

static void say_awaited(bool awaited)
{
	if (said_awaited == awaited)
		return;
	said_awaited = awaited;
	zlog_info("%s", awaited ? "nothing is announced until the tracked routes have come" :
				  "the tracked routes are awaited no longer");
	dsaa_sync_post_routes_awaited(awaited);
}

static void say(bool missing)
{
	if (said_missing == missing)
		return;
	said_missing = missing;
	if (missing)
		flog_warn(EC_DSAA_ROUTE_LOST,
			  "a tracked route is missing: another site shall serve in our place");
	else
		zlog_info("all tracked routes are here again");
	dsaa_sync_post_routes(!missing);
}

static void back(struct event *t)
{
	say(false);
}

static void judge(void)
{
	bool missing = any_missing();

	/* what is missing for good is told first, so that nothing is announced as active between */
	if (missing || !said_missing) {
		EVENT_OFF(t_back);
		say(missing);
	} else if (!t_back) {
		event_add_timer_msec(master, back, NULL, BACK_MS, &t_back);
	}
	say_awaited(any_awaited());
}

/* What has not come by now is missing. */
static void started_long_ago(struct event *t)
{
	judge();
}

void dsaa_track_nexthop(const struct prefix *match, const struct zapi_route *route)
{
	/* our own announcement would lead nowhere */
	bool here = route->nexthop_num && route->type != ZEBRA_ROUTE_TABLE;

	for (unsigned i = 0; i < count; i++) {
		struct tracked *t = &tracked[i];
		enum track_state state = here ? TRACK_HERE : TRACK_MISSING;

		if (!prefix_same(&t->prefix, match) || t->state == state)
			continue;
		t->state = state;
		t->seen |= here;
		if (DSAA_DEBUG(DSAA_DEBUG_ROUTING))
			zlog_debug("tracked route %pFX: %s", &dsaa_conf.track[i],
				   dsaa_track_state(i));
	}
	judge();
}

void dsaa_track_replay(void)
{
	for (unsigned i = 0; i < count; i++)
		ask_zebra(ZEBRA_NEXTHOP_REGISTER, &tracked[i]);
}

static bool unchanged(unsigned wanted)
{
	struct prefix host;

	if (wanted != count)
		return false;
	for (unsigned i = 0; i < count; i++) {
		make_host(&host, &dsaa_conf.track[i]);
		if (!prefix_same(&host, &tracked[i].prefix))
			return false;
	}
	return true;
}

/* What was known of this prefix, if it is in the list of OLDS. */
static struct tracked known(const struct prefix *host, const struct tracked *old, unsigned olds)
{
	struct tracked t = { .state = TRACK_UNKNOWN };

	for (unsigned i = 0; i < olds; i++)
		if (prefix_same(host, &old[i].prefix))
			return old[i];
	t.prefix = *host;
	return t;
}

void dsaa_track_reconcile(void)
{
	unsigned wanted = dsaa_conf.enabled ? dsaa_conf.tracks : 0, olds = count;
	struct tracked old[DSAA_TRACKED_ROUTES_MAX];
	struct prefix host;

	if (!started && dsaa_conf.enabled) {
		started = true;
		event_add_timer_msec(master, started_long_ago, NULL, AWAIT_MS, &t_started);
	}
	if (unchanged(wanted))
		return;
	memcpy(old, tracked, sizeof(old));
	for (unsigned i = 0; i < count; i++)
		ask_zebra(ZEBRA_NEXTHOP_UNREGISTER, &tracked[i]);
	count = wanted;
	for (unsigned i = 0; i < count; i++) {
		make_host(&host, &dsaa_conf.track[i]);
		tracked[i] = known(&host, old, olds);
		ask_zebra(ZEBRA_NEXTHOP_REGISTER, &tracked[i]);
	}
	judge();
}

const char *dsaa_track_state(unsigned i)
{
	static const char *const name[] = {
		[TRACK_UNKNOWN] = "unknown",
		[TRACK_HERE] = "here",
		[TRACK_MISSING] = "missing",
	};

	if (i >= count)
		return name[TRACK_UNKNOWN];
	return is_awaited(&tracked[i]) ? "awaited" : name[tracked[i].state];
}

void dsaa_track_stop(void)
{
	EVENT_OFF(t_back);
	EVENT_OFF(t_started);
	count = 0;
}
