/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Announcing: each prefix goes to zebra as a blackhole route whose tag says
 * its state; bgpd redistributes it and a route-map turns the tag into MED,
 * prepending, communities. Main thread.
 *
 * FRR 10: in a table of our own (redistribute table-direct), where nothing
 * competes. FRR 8.4 has no such thing: there the route is in the main table
 * with distance 250, so that it never wins over a route by which packets are
 * really forwarded; when it loses, it is not announced, and we say so.
 */
#include <linux/rtnetlink.h>

#include "dsaad/dsaad.h"

#include "log.h"
#include "nexthop.h"
#include "vrf.h"

#include "dsaad/dsaa_debug.h"
#include "dsaad/dsaa_errors.h"
#include "dsaad/dsaa_netlink.h"
#include "dsaad/dsaa_zebra.h"

#define DISTANCE_NEVER_WINS 250
/* zebra has told by then that it uses a route, if it does */
#define ANSWER_MS     1000
#define NOT_PREFERRED "another route is preferred in zebra: it is not announced"

static struct event *t_selected;

static uint32_t tag_of(enum dsaa_advertise_state s)
{
	switch (s) {
	case DSAA_ADV_ACTIVE:
		return dsaa_conf.tag_active;
	case DSAA_ADV_BACKUP:
		return dsaa_conf.tag_backup;
	case DSAA_ADV_DRAIN:
		return dsaa_conf.tag_drain;
	case DSAA_ADV_WITHHELD:
		break;
	}
	return 0;
}

static void fill_route(struct zapi_route *api, const struct dsaa_advert *a)
{
	memset(api, 0, sizeof(*api));
	api->type = ZEBRA_ROUTE_TABLE;
	api->instance = dsaa_zebra_instance(&a->prefix);
	api->vrf_id = VRF_DEFAULT;
	api->safi = SAFI_UNICAST;
	prefix_copy(&api->prefix, &a->prefix);
#ifdef DSAA_FRR_10
	SET_FLAG(api->message, ZAPI_MESSAGE_TABLEID);
	api->tableid = a->table;
#endif
}

static bool send_route(struct dsaa_advert *a, bool add)
{
	struct zclient *zc = dsaa_zebra_client(&a->prefix);
	struct zapi_route api;

	if (!zc || zc->sock < 0)
		return false;
	fill_route(&api, a);
	if (add) {
		zapi_route_set_blackhole(&api, BLACKHOLE_NULL);
		SET_FLAG(api.message, ZAPI_MESSAGE_TAG);
		api.tag = a->tag;
#ifndef DSAA_FRR_10
		SET_FLAG(api.message, ZAPI_MESSAGE_DISTANCE);
		api.distance = DISTANCE_NEVER_WINS;
#endif
	}
	if (DSAA_DEBUG(DSAA_DEBUG_ROUTING))
		zlog_debug("zebra: %s %pFX tag %u", add ? "announce" : "withdraw", &a->prefix,
			   a->tag);
	if (zclient_route_send(add ? ZEBRA_ROUTE_ADD : ZEBRA_ROUTE_DELETE, zc, &api) ==
	    ZCLIENT_SEND_FAILURE) {
		flog_err(EC_DSAA_ZAPI, "zebra does not take the route %pFX", &a->prefix);
		return false;
	}
	return true;
}

/* The kernel table in which zebra installs our routes. */
static uint32_t kernel_table(void)
{
#ifdef DSAA_FRR_10
	return dsaa_conf.advertise_table;
#else
	return RT_TABLE_MAIN;
#endif
}

static void found_leftover(void *arg, const struct prefix *p)
{
	struct dsaa_advert *a;

	frr_each (dsaa_advert_list, &dsaa_conf.adverts, a)
		if (!a->cleared && prefix_same(&a->prefix, p))
			a->leftover = true;
}

static void clear_one(struct dsaa_advert *a)
{
	int rc = -EPERM;

	a->cleared = true;
	if (!a->leftover)
		return;
	a->leftover = false;
	frr_with_privs (&dsaa_privs) {
		rc = dsaa_netlink_leftover_del(&a->prefix, kernel_table());
	}
	if (rc)
		flog_err(EC_DSAA_NETLINK,
			 "advertise %pFX: the route that an earlier zebra left cannot be removed: "
			 "%s",
			 &a->prefix, safe_strerror(-rc));
	else
		zlog_info("advertise %pFX: removed the route that an earlier zebra left",
			  &a->prefix);
}

/*
 * Routes of ours that a killed zebra left in the kernel, and that the next one takes for somebody
 * else's, are taken away: they would win over those we send, and bgpd would not hear of these.
 * Once per prefix and connection to zebra, and before ours is sent: that one looks the same.
 */
static void clear_the_way(void)
{
	bool wanted = false;
	struct dsaa_advert *a;

	frr_each (dsaa_advert_list, &dsaa_conf.adverts, a)
		wanted |= !a->cleared;
	if (!wanted)
		return;
	dsaa_netlink_leftover_walk(AF_INET, kernel_table(), found_leftover, NULL);
	dsaa_netlink_leftover_walk(AF_INET6, kernel_table(), found_leftover, NULL);
	frr_each (dsaa_advert_list, &dsaa_conf.adverts, a)
		clear_one(a);
}

static void forget(struct dsaa_advert *a)
{
	a->installed = a->selected = false;
	a->refused = NULL;
}

void dsaa_advertise_remove(struct dsaa_advert *a)
{
	if (a->installed)
		send_route(a, false);
	forget(a);
}

static void check_selected(struct event *t)
{
	dsaa_advertise_reconcile();
}

/*
 * Why nobody hears of A although we would like it. zebra says nothing about a route that loses from
 * the beginning, so its silence has to do.
 */
static const char *obstacle(const struct dsaa_advert *a)
{
	if (!a->installed)
		return "zebra is not connected";
	if (!a->selected && !a->refused &&
	    dsaa_mono_diff_us(dsaa_mono_now(), a->sent_at) >= ANSWER_MS * 1000)
		return NOT_PREFERRED;
	return a->refused;
}

static void announce(struct dsaa_advert *a)
{
	uint32_t tag = tag_of(a->state);

	if (a->installed && a->table != dsaa_conf.advertise_table)
		dsaa_advertise_remove(a);
	if (!a->installed || a->tag != tag) {
		a->tag = tag;
		a->table = dsaa_conf.advertise_table;
		a->installed = send_route(a, true);
		a->sent_at = dsaa_mono_now();
		event_add_timer_msec(master, check_selected, NULL, ANSWER_MS + 10, &t_selected);
	}
	if (obstacle(a))
		a->reason = obstacle(a);
}

static void reconcile_one(struct dsaa_advert *a)
{
	enum dsaa_advertise_state was = a->state;

	a->state = dsaa_sync_advertise(a->site, &a->reason);
	if (a->state != was)
		zlog_info("advertise %pFX: %s -> %s (%s)", &a->prefix,
			  dsaa_advertise_state_name(was), dsaa_advertise_state_name(a->state),
			  a->reason);
	if (a->state != DSAA_ADV_WITHHELD) {
		announce(a);
		return;
	}
	dsaa_advertise_remove(a);
	a->tag = 0;
}

void dsaa_advertise_reconcile(void)
{
	struct dsaa_advert *a;

	if (dsaa_zebra_connected())
		clear_the_way();
	frr_each (dsaa_advert_list, &dsaa_conf.adverts, a)
		reconcile_one(a);
}

void dsaa_advertise_withdraw_all(void)
{
	struct dsaa_advert *a;

	EVENT_OFF(t_selected);
	frr_each (dsaa_advert_list, &dsaa_conf.adverts, a) {
		if (!a->installed || !dsaa_zebra_connected())
			a->cleared = false;
		dsaa_advertise_remove(a);
	}
	/* what zebra cannot take away */
	clear_the_way();
}

/* What zebra says when it does not use a route of ours; NULL when it does. */
static const char *refusal(enum zapi_route_notify_owner note)
{
	switch (note) {
	case ZAPI_ROUTE_BETTER_ADMIN_WON:
		return NOT_PREFERRED;
	case ZAPI_ROUTE_FAIL_INSTALL:
		return "zebra cannot install the route: it is not announced";
	default:
		return NULL;
	}
}

void dsaa_advertise_notify(const struct prefix *p, enum zapi_route_notify_owner note)
{
	struct dsaa_advert *a;

	frr_each (dsaa_advert_list, &dsaa_conf.adverts, a) {
		if (!prefix_same(&a->prefix, p) || !a->installed)
			continue;
		a->selected = note == ZAPI_ROUTE_INSTALLED;
		if (a->refused == refusal(note))
			continue;
		a->refused = refusal(note);
		if (a->refused)
			zlog_info("advertise %pFX: %s", p, a->refused);
		else
			zlog_info("advertise %pFX: zebra uses the route again", p);
		reconcile_one(a);
	}
}

void dsaa_advertise_replay(const struct zclient *zc)
{
	struct dsaa_advert *a;

	frr_each (dsaa_advert_list, &dsaa_conf.adverts, a) {
		if (dsaa_zebra_client(&a->prefix) != zc)
			continue;
		forget(a);
		a->cleared = false;
	}
	dsaa_advertise_reconcile();
}

void dsaa_advertise_lost(void)
{
	struct dsaa_advert *a;

	frr_each (dsaa_advert_list, &dsaa_conf.adverts, a)
		forget(a);
	dsaa_advertise_reconcile();
}
