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
 *
 * For a VRF, FRR 10 has a further table, which its own bgpd instance is told to
 * redistribute: zebra takes table-direct from the default VRF alone, whatever
 * VRF asks (zebra_redistribute_is_table_direct()). FRR 8.4: the route is in the
 * VRF's main table.
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

/* Where zebra is to have a route of ours. */
struct place {
	vrf_id_t vrf_id;
	uint32_t table; /* the kernel's */
};

#ifdef DSAA_FRR_10
static uint32_t table_of_vrf(const char *name)
{
	for (unsigned i = 0; i < dsaa_conf.vrf_tables; i++)
		if (!strcmp(dsaa_conf.vrf_table[i].vrf, name))
			return dsaa_conf.vrf_table[i].table;
	return 0;
}
#endif

/* Finds the place of A; returns why there is none, constant text, or NULL. */
static const char *find_place(const struct dsaa_advert *a, struct place *place)
{
	const char *name = a->vrf[0] ? a->vrf : VRF_DEFAULT_NAME;
	struct vrf *vrf = vrf_lookup_by_name(name);

	if (!vrf || !vrf_is_enabled(vrf))
		return "the VRF is not there";
#ifdef DSAA_FRR_10
	place->vrf_id = VRF_DEFAULT;
	place->table = a->vrf[0] ? table_of_vrf(name) : dsaa_conf.advertise_table;
	if (!place->table)
		return "the VRF has no advertise-table";
#else
	place->vrf_id = vrf->vrf_id;
	place->table = a->vrf[0] && !vrf_is_backend_netns() ? vrf->data.l.table_id : RT_TABLE_MAIN;
#endif
	return NULL;
}

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
	api->vrf_id = a->vrf_id;
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

/* Whether A is to be in this table, and what an earlier zebra left was not looked for yet. */
static bool uncleared_in(const struct dsaa_advert *a, uint32_t table)
{
	struct place place;

	return !a->cleared && !find_place(a, &place) && place.table == table;
}

static void found_leftover(void *arg, const struct prefix *p)
{
	const uint32_t *table = arg;
	struct dsaa_advert *a;

	frr_each (dsaa_advert_list, &dsaa_conf.adverts, a)
		if (prefix_same(&a->prefix, p) && uncleared_in(a, *table))
			a->leftover = true;
}

static void clear_one(struct dsaa_advert *a, uint32_t table)
{
	int rc = -EPERM;

	a->cleared = true;
	if (!a->leftover)
		return;
	a->leftover = false;
	frr_with_privs (&dsaa_privs) {
		rc = dsaa_netlink_leftover_del(&a->prefix, table);
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
static void clear_table(uint32_t table)
{
	struct dsaa_advert *a;

	dsaa_netlink_leftover_walk(AF_INET, table, found_leftover, &table);
	dsaa_netlink_leftover_walk(AF_INET6, table, found_leftover, &table);
	frr_each (dsaa_advert_list, &dsaa_conf.adverts, a)
		if (uncleared_in(a, table))
			clear_one(a, table);
}

static void clear_the_way(void)
{
	struct dsaa_advert *a;
	struct place place;

	frr_each (dsaa_advert_list, &dsaa_conf.adverts, a)
		if (!a->cleared && !find_place(a, &place))
			clear_table(place.table);
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

#ifndef DSAA_FRR_10
/*
 * The bgpd of FRR 8.4 asks zebra once for all routes of an instance, in the VRF of whichever of its
 * own instances comes first (bgp_redistribute_set() knows no VRF there); the others hear of changes
 * alone, and of nothing when bgpd starts anew. So those of VRFs are sent again from time to time:
 * zebra passes them on, and a bgpd that has them already does nothing. IPv6 has no instance.
 */
#define AGAIN_S 10

static struct event *t_again;

static bool needs_again(const struct dsaa_advert *a)
{
	return a->installed && a->vrf_id != VRF_DEFAULT && a->prefix.family == AF_INET;
}

static void send_again(struct event *t)
{
	struct dsaa_advert *a;

	frr_each (dsaa_advert_list, &dsaa_conf.adverts, a)
		if (needs_again(a)) {
			send_route(a, true);
			event_add_timer(master, send_again, NULL, AGAIN_S, &t_again);
		}
}

static void schedule_again(const struct dsaa_advert *a)
{
	if (needs_again(a))
		event_add_timer(master, send_again, NULL, AGAIN_S, &t_again);
}
#else
static void schedule_again(const struct dsaa_advert *a)
{
}
#endif

static void announce(struct dsaa_advert *a, const struct place *place)
{
	uint32_t tag = tag_of(a->state);

	if (a->installed && (a->table != place->table || a->vrf_id != place->vrf_id))
		dsaa_advertise_remove(a);
	if (!a->installed || a->tag != tag) {
		a->tag = tag;
		a->table = place->table;
		a->vrf_id = place->vrf_id;
		a->installed = send_route(a, true);
		a->sent_at = dsaa_mono_now();
		schedule_again(a);
		event_add_timer_msec(master, check_selected, NULL, ANSWER_MS + 10, &t_selected);
	}
	if (obstacle(a))
		a->reason = obstacle(a);
}

static void reconcile_one(struct dsaa_advert *a)
{
	enum dsaa_advertise_state was = a->state;
	const char *nowhere;
	struct place place;

	a->state = dsaa_sync_advertise(a->site, &a->reason);
	nowhere = find_place(a, &place);
	if (nowhere && a->state != DSAA_ADV_WITHHELD) {
		a->state = DSAA_ADV_WITHHELD;
		a->reason = nowhere;
	}
	if (a->state != was)
		zlog_info("advertise %pFX%s%s: %s -> %s (%s)", &a->prefix, a->vrf[0] ? " vrf " : "",
			  a->vrf, dsaa_advertise_state_name(was),
			  dsaa_advertise_state_name(a->state), a->reason);
	if (a->state != DSAA_ADV_WITHHELD) {
		announce(a, &place);
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
#ifndef DSAA_FRR_10
	EVENT_OFF(t_again);
#endif
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

/* Whether zebra means A. FRR 8.4 has a table by VRF, the number of which it knows itself. */
static bool is_of(const struct dsaa_advert *a, vrf_id_t vrf_id, uint32_t table)
{
#ifdef DSAA_FRR_10
	if (a->table != table)
		return false;
#endif
	return a->installed && a->vrf_id == vrf_id;
}

void dsaa_advertise_notify(const struct prefix *p, vrf_id_t vrf_id, uint32_t table,
			   enum zapi_route_notify_owner note)
{
	struct dsaa_advert *a;

	frr_each (dsaa_advert_list, &dsaa_conf.adverts, a) {
		if (!prefix_same(&a->prefix, p) || !is_of(a, vrf_id, table))
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

void dsaa_advertise_vrf_gone(vrf_id_t vrf_id)
{
	struct dsaa_advert *a;

	frr_each (dsaa_advert_list, &dsaa_conf.adverts, a)
		if (a->vrf_id == vrf_id) {
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
