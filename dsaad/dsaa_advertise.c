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
 * For a VRF it is in the VRF's main table with FRR 10 as well: bgpd loses a
 * table-direct that it reads before it knows the VRF (bgp_redistribute_set()
 * keeps the unknown VRF, zclient_send_table_direct() sends it), which is the
 * usual order at a start, and 10.3 refuses it for IPv6.
 */
#include <linux/rtnetlink.h>

#include "dsaad/dsaad.h"

#include "log.h"
#include "nexthop.h"
#include <lib/version.h>
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
	bool own_table; /* one of our own, not the VRF's main table */
};

/* The bgpd of FRR 10.7 has no other way any more: "redistribute table" is gone. */
static bool vrf_needs_own_table(void)
{
	unsigned major = 0, minor = 0;

	sscanf(FRR_VERSION, "%u.%u", &major, &minor);
	return major > 10 || (major == 10 && minor >= 7);
}

static uint32_t table_of_vrf(const char *name)
{
	for (unsigned i = 0; i < dsaa_conf.vrf_tables; i++)
		if (!strcmp(dsaa_conf.vrf_table[i].vrf, name))
			return dsaa_conf.vrf_table[i].table;
	return 0;
}

/* A table of our own is of the default VRF for zebra, whichever VRF's bgpd asks for it. */
static const char *own_place(struct place *place, uint32_t table)
{
	place->vrf_id = VRF_DEFAULT;
	place->table = table;
	place->own_table = true;
	return table ? NULL : "the VRF has no advertise-table";
}

/* Finds the place of A; returns why there is none, constant text, or NULL. */
static const char *find_place(const struct dsaa_advert *a, struct place *place)
{
	const char *name = a->vrf[0] ? a->vrf : VRF_DEFAULT_NAME;
	struct vrf *vrf = vrf_lookup_by_name(name);

	if (!vrf || !vrf_is_enabled(vrf))
		return "the VRF is not there";
	if (a->vrf[0] && vrf_needs_own_table())
		return own_place(place, table_of_vrf(name));
#ifdef DSAA_FRR_10
	if (!a->vrf[0])
		return own_place(place, dsaa_conf.advertise_table);
#endif
	place->vrf_id = vrf->vrf_id;
	place->table = a->vrf[0] && !vrf_is_backend_netns() ? vrf->data.l.table_id : RT_TABLE_MAIN;
	place->own_table = false;
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
	api->instance = dsaa_zebra_instance(a);
	api->vrf_id = a->vrf_id;
	api->safi = SAFI_UNICAST;
	prefix_copy(&api->prefix, &a->prefix);
	if (a->own_table) {
		SET_FLAG(api->message, ZAPI_MESSAGE_TABLEID);
		api->tableid = a->table;
	}
}

static bool send_route(struct dsaa_advert *a, bool add)
{
	struct zclient *zc = dsaa_zebra_client(a);
	struct zapi_route api;

	if (!zc || zc->sock < 0)
		return false;
	fill_route(&api, a);
	if (add) {
		zapi_route_set_blackhole(&api, BLACKHOLE_NULL);
		SET_FLAG(api.message, ZAPI_MESSAGE_TAG);
		api.tag = a->tag;
		if (!a->own_table) {
			SET_FLAG(api.message, ZAPI_MESSAGE_DISTANCE);
			api.distance = DISTANCE_NEVER_WINS;
		}
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

static void announce(struct dsaa_advert *a, const struct place *place)
{
	uint32_t tag = tag_of(a->state);

	if (a->installed && (a->table != place->table || a->vrf_id != place->vrf_id ||
			     a->own_table != place->own_table))
		dsaa_advertise_remove(a);
	if (!a->installed || a->tag != tag) {
		a->tag = tag;
		a->table = place->table;
		a->vrf_id = place->vrf_id;
		a->own_table = place->own_table;
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
	struct place place = { 0 };
	const char *nowhere;

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

/* Whether zebra means A. The number of a main table is not looked at: zebra has it by VRF. */
static bool is_of(const struct dsaa_advert *a, vrf_id_t vrf_id, uint32_t table)
{
	return a->installed && a->vrf_id == vrf_id && (!a->own_table || a->table == table);
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
		if (dsaa_zebra_client(a) != zc)
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
