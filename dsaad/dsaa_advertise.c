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
#include "dsaad/dsaad.h"

#include "log.h"
#include "nexthop.h"
#include "vrf.h"

#include "dsaad/dsaa_debug.h"
#include "dsaad/dsaa_errors.h"
#include "dsaad/dsaa_zebra.h"

#define DISTANCE_NEVER_WINS 250

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
	api->tableid = dsaa_conf.advertise_table;
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

void dsaa_advertise_remove(struct dsaa_advert *a)
{
	if (a->installed)
		send_route(a, false);
	a->installed = a->selected = false;
}

static void reconcile_one(struct dsaa_advert *a)
{
	enum dsaa_advertise_state was = a->state;
	uint32_t tag;

	a->state = dsaa_sync_advertise(a->site, &a->reason);
	tag = tag_of(a->state);
	if (a->state != was)
		zlog_info("advertise %pFX: %s -> %s (%s)", &a->prefix,
			  dsaa_advertise_state_name(was), dsaa_advertise_state_name(a->state),
			  a->reason);
	if (a->state == DSAA_ADV_WITHHELD) {
		dsaa_advertise_remove(a);
		a->tag = 0;
		return;
	}
	if (a->installed && a->tag == tag)
		return;
	a->tag = tag;
	a->installed = send_route(a, true);
}

void dsaa_advertise_reconcile(void)
{
	struct dsaa_advert *a;

	frr_each (dsaa_advert_list, &dsaa_conf.adverts, a)
		reconcile_one(a);
}

void dsaa_advertise_withdraw_all(void)
{
	struct dsaa_advert *a;

	frr_each (dsaa_advert_list, &dsaa_conf.adverts, a)
		dsaa_advertise_remove(a);
}

void dsaa_advertise_notify(const struct prefix *p, bool selected)
{
	struct dsaa_advert *a;

	frr_each (dsaa_advert_list, &dsaa_conf.adverts, a) {
		if (prefix_cmp(&a->prefix, p) || !a->installed || a->selected == selected)
			continue;
		a->selected = selected;
		if (!selected)
			zlog_info("advertise %pFX: zebra prefers another route: it is not announced", p);
	}
}

void dsaa_advertise_replay(void)
{
	struct dsaa_advert *a;

	frr_each (dsaa_advert_list, &dsaa_conf.adverts, a)
		a->installed = a->selected = false;
	dsaa_advertise_reconcile();
}
