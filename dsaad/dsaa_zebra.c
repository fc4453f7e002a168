/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The connection to zebra: interfaces, addresses, and the sockets through
 * which routes are announced. Main thread.
 *
 * libfrr keeps the interfaces and their addresses as zebra tells them. This
 * file compares the whole set with what was told to the other parts each time
 * something changes, so that a repeated or lost message (zebra restarted)
 * cannot make their sets drift.
 */
#include "dsaad/dsaa_zebra.h"

#include "log.h"
#include "vrf.h"

#include "dsaad/dsaa_debug.h"
#include "dsaad/dsaa_netlink.h"

/*
 * Routes of type TABLE are told apart by instance. bgpd takes an instance for IPv4 only (IPv6 has
 * it by table-direct alone), and loses one that it reads before it knows the VRF: so there are
 * routes without, of a client of instance 0.
 */
struct zclient *dsaa_zclient;
static struct zclient *zclient_plain;

/* The addresses that the other parts know of: sorted, each once. */
static struct prefix *known;
static size_t known_count;
static struct event *t_addresses;

bool dsaa_zebra_connected(void)
{
	return dsaa_zclient && dsaa_zclient->sock >= 0;
}

/* Whether A has no instance. */
static bool is_plain(const struct dsaa_advert *a)
{
	return !a->own_table && (a->vrf[0] || a->prefix.family == AF_INET6);
}

struct zclient *dsaa_zebra_client(const struct dsaa_advert *a)
{
	return is_plain(a) ? zclient_plain : dsaa_zclient;
}

uint16_t dsaa_zebra_instance(const struct dsaa_advert *a)
{
	return is_plain(a) ? 0 : DSAA_ZEBRA_INSTANCE;
}

/* ------------------------------------------------------------------ addresses */

static int compare(const void *a, const void *b)
{
	return prefix_cmp(a, b);
}

/* A growing list of host addresses. */
struct addresses {
	struct prefix *list;
	size_t count, room;
};

static void add_address(struct addresses *a, const struct prefix *p)
{
	struct prefix *host;

	if (a->count == a->room) {
		a->room = a->room ? 2 * a->room : 64;
		a->list = XREALLOC(MTYPE_TMP, a->list, a->room * sizeof(a->list[0]));
	}
	host = &a->list[a->count++];
	memset(host, 0, sizeof(*host));
	prefix_copy(host, p);
	host->prefixlen = host->family == AF_INET ? IPV4_MAX_BITLEN : IPV6_MAX_BITLEN;
}

bool dsaa_zebra_vrf_is_here(const struct vrf *vrf)
{
	return vrf->vrf_id == VRF_DEFAULT || !vrf_is_backend_netns();
}

struct interface *dsaa_zebra_interface(const char *name)
{
	struct interface *ifp;
	struct vrf *vrf;

	RB_FOREACH (vrf, vrf_name_head, &vrfs_by_name) {
		ifp = dsaa_zebra_vrf_is_here(vrf) ? if_lookup_by_name_vrf(name, vrf) : NULL;
		if (ifp)
			return ifp;
	}
	return NULL;
}

struct interface *dsaa_zebra_interface_of(const struct ipaddr *ip)
{
	return if_lookup_address_local(&ip->ip, IS_IPADDR_V4(ip) ? AF_INET : AF_INET6, VRF_DEFAULT);
}

struct kernel_walk {
	void (*cb)(void *arg, const struct prefix *p);
	void *arg;
};

static void kernel_address(void *arg, const struct dsaa_kernel_address *a)
{
	struct kernel_walk *w = arg;

	w->cb(w->arg, &a->address);
}

void dsaa_zebra_walk_addresses(void (*cb)(void *arg, const struct prefix *p), void *arg)
{
	struct kernel_walk w = { .cb = cb, .arg = arg };
	struct interface *ifp;
	struct connected *c;
	struct vrf *vrf;

	RB_FOREACH (vrf, vrf_name_head, &vrfs_by_name) {
		if (!dsaa_zebra_vrf_is_here(vrf))
			continue;
		FOR_ALL_INTERFACES (vrf, ifp)
			dsaa_for_each_connected (ifp, c)
				cb(arg, c->address);
	}
	/* a list that changes meanwhile is told of again */
	dsaa_netlink_address_walk(kernel_address, &w);
}

static void add_any(void *arg, const struct prefix *p)
{
	add_address(arg, p);
}

/*
 * Every UIPS is a router's own from the moment that it is configured: it may take a while until it
 * is on the interface and zebra has told so, and its connections must not be shared meanwhile.
 */
static void collect_uips(struct addresses *a)
{
	struct dsaa_uips *u;

	if (!dsaa_conf.enabled)
		return;
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		frr_each (dsaa_uips_list, &dsaa_conf.site[s].uips, u)
			add_address(a, &u->address);
}

/* All of them, sorted, each once. */
static void collect(struct addresses *a)
{
	size_t unique = 0;

	memset(a, 0, sizeof(*a));
	dsaa_zebra_walk_addresses(add_any, a);
	collect_uips(a);
	if (a->count)
		qsort(a->list, a->count, sizeof(a->list[0]), compare);
	for (size_t i = 0; i < a->count; i++)
		if (!unique || prefix_cmp(&a->list[unique - 1], &a->list[i]))
			a->list[unique++] = a->list[i];
	a->count = unique;
}

static void tell(const struct prefix *p, bool added)
{
	dsaa_sync_post_address(p, added);
	dsaa_correct_address(p, added);
}

bool dsaa_zebra_update_addresses(void)
{
	struct addresses now;
	size_t i = 0, j = 0;
	bool changed = false;

	collect(&now);
	while (i < known_count || j < now.count) {
		int order = i == known_count ? 1 :
			    j == now.count   ? -1 :
					       prefix_cmp(&known[i], &now.list[j]);

		if (order < 0)
			tell(&known[i++], false);
		else if (order > 0)
			tell(&now.list[j++], true);
		else
			i++, j++;
		changed |= order != 0;
	}
	XFREE(MTYPE_TMP, known);
	known = now.list;
	known_count = now.count;
	return changed;
}

bool dsaa_zebra_is_sync_interface(ifindex_t ifindex)
{
	const struct dsaa_site *here = &dsaa_conf.site[dsaa_local_site()];
	struct interface *ifp;
	struct connected *c;
	struct vrf *vrf;

	RB_FOREACH (vrf, vrf_name_head, &vrfs_by_name)
		FOR_ALL_INTERFACES (vrf, ifp) {
			if (ifp->ifindex != ifindex || !dsaa_zebra_vrf_is_here(vrf))
				continue;
			dsaa_for_each_connected (ifp, c)
				if (dsaa_config_has_sync_address(here, c->address))
					return true;
		}
	return false;
}

/* Even when the set is the same: an address may have moved to another interface. */
static void addresses_changed(struct event *t)
{
	dsaa_zebra_update_addresses();
	dsaa_uips_reconcile();
	dsaa_config_changed();
}

static void schedule_addresses(void)
{
	event_add_event(master, addresses_changed, NULL, 0, &t_addresses);
}

/* ------------------------------------------------------- what went while zebra was away */

/*
 * A zebra that starts tells what there is, and not what there is no more. So a while after we found
 * it, those addresses and VRFs go of which it has not told.
 */
#define SWEEP_S 3

struct seen {
	ifindex_t ifindex;
	struct prefix address;
};

static struct seen *seen;
static size_t seen_count, seen_room;
static struct event *t_sweep;

/* All bytes are set, so that entries can be compared as they are. */
static void fill_seen(struct seen *s, const struct connected *c)
{
	memset(s, 0, sizeof(*s));
	s->ifindex = c->ifp->ifindex;
	prefix_copy(&s->address, c->address);
}

static void note_seen(const struct connected *c)
{
	if (!t_sweep)
		return;
	if (seen_count == seen_room) {
		seen_room = seen_room ? 2 * seen_room : 64;
		seen = XREALLOC(MTYPE_TMP, seen, seen_room * sizeof(seen[0]));
	}
	fill_seen(&seen[seen_count++], c);
}

static int compare_seen(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct seen));
}

/* An address of the interface of which zebra has not told; NULL when there is none. */
static struct connected *find_unseen(struct interface *ifp)
{
	struct connected *c;
	struct seen key;

	dsaa_for_each_connected (ifp, c) {
		fill_seen(&key, c);
		if (!seen_count || !bsearch(&key, seen, seen_count, sizeof(seen[0]), compare_seen))
			return c;
	}
	return NULL;
}

static void sweep_interface(struct interface *ifp)
{
	struct connected *c;
	struct prefix p;

	while ((c = find_unseen(ifp))) {
		prefix_copy(&p, c->address);
		zlog_info("address %pFX of %s went while zebra was away", &p, ifp->name);
		c = connected_delete_by_prefix(ifp, &p);
		connected_free(&c);
	}
}

/* A VRF that zebra told of by this connection says so in its "info", which libfrr leaves to us. */
static void forget_told_vrfs(void)
{
	struct vrf *vrf;

	RB_FOREACH (vrf, vrf_name_head, &vrfs_by_name)
		vrf->info = NULL;
}

static int vrf_told(ZAPI_CALLBACK_ARGS)
{
	struct vrf *vrf = vrf_lookup_by_id(vrf_id);

	if (vrf)
		vrf->info = vrf;
	return 0;
}

static void sweep_vrfs(void)
{
	struct vrf *vrf, *next;

	RB_FOREACH_SAFE (vrf, vrf_name_head, &vrfs_by_name, next) {
		if (vrf->vrf_id == VRF_DEFAULT || !vrf_is_enabled(vrf) || vrf->info)
			continue;
		zlog_info("the VRF %s went while zebra was away", vrf->name);
		vrf_delete(vrf);
	}
}

static void sweep(struct event *t)
{
	struct interface *ifp;
	struct vrf *vrf;

	if (seen_count)
		qsort(seen, seen_count, sizeof(seen[0]), compare_seen);
	if (dsaa_zebra_connected()) {
		sweep_vrfs();
		RB_FOREACH (vrf, vrf_name_head, &vrfs_by_name)
			FOR_ALL_INTERFACES (vrf, ifp)
				sweep_interface(ifp);
	}
	XFREE(MTYPE_TMP, seen);
	seen_count = seen_room = 0;
	schedule_addresses();
}

static void schedule_sweep(void)
{
	EVENT_OFF(t_sweep);
	seen_count = 0;
	forget_told_vrfs();
	event_add_timer(master, sweep, NULL, SWEEP_S, &t_sweep);
}

/* ------------------------------------------------------------------ messages */

static int address_message(ZAPI_CALLBACK_ARGS)
{
	struct connected *c = zebra_interface_address_read(cmd, zclient->ibuf, vrf_id);

	if (!c)
		return 0;
	if (cmd == ZEBRA_INTERFACE_ADDRESS_ADD)
		note_seen(c);
	if (DSAA_DEBUG(DSAA_DEBUG_ROUTING))
		zlog_debug("address %pFX %s on %s", c->address,
			   cmd == ZEBRA_INTERFACE_ADDRESS_ADD ? "came" : "went", c->ifp->name);
	if (cmd == ZEBRA_INTERFACE_ADDRESS_DELETE)
		connected_free(&c);
	schedule_addresses();
	return 0;
}

static int interface_changed(struct interface *ifp)
{
	schedule_addresses();
	return 0;
}

/* ------------------------------------------------------------------ VRFs */

static int vrf_came(struct vrf *vrf)
{
	schedule_addresses();
	return 0;
}

static int vrf_went(struct vrf *vrf)
{
	dsaa_advertise_vrf_gone(vrf->vrf_id);
	schedule_addresses();
	return 0;
}

#ifndef DSAA_FRR_10
/* FRR 10 tells of an interface that changes its VRF as of one that goes and one that comes. */
static int interface_moved(ZAPI_CALLBACK_ARGS)
{
	vrf_id_t to;
	struct interface *ifp = zebra_interface_vrf_update_read(zclient->ibuf, vrf_id, &to);

	if (ifp) {
		if_update_to_new_vrf(ifp, to);
		schedule_addresses();
	}
	return 0;
}
#endif

/* ------------------------------------------------------------------ routes */

static int route_notify(ZAPI_CALLBACK_ARGS)
{
	enum zapi_route_notify_owner note;
	struct prefix p;
	uint32_t table;

	if (!zapi_route_notify_decode(zclient->ibuf, &p, &table, &note, NULL, NULL))
		return -1;
	if (DSAA_DEBUG(DSAA_DEBUG_ROUTING))
		zlog_debug("zebra: route %pFX note %d", &p, note);
	dsaa_advertise_notify(&p, vrf_id, table, note);
	return 0;
}

#ifdef DSAA_FRR_10
static void nexthop_update(struct vrf *vrf, struct prefix *match, struct zapi_route *route)
{
	dsaa_track_nexthop(match, route);
}
#else
static int nexthop_update(ZAPI_CALLBACK_ARGS)
{
	struct zapi_route route;
	struct prefix match;

	if (!zapi_nexthop_update_decode(zclient->ibuf, &match, &route))
		return -1;
	dsaa_track_nexthop(&match, &route);
	return 0;
}
#endif

/* ------------------------------------------------------------------ the connections */

/*
 * libfrr tries again 10 s after the connection was lost, later every 60 s; traffic that waits for
 * our routes should not.
 */
#define WATCH_S 1

static struct event *t_watch;

void dsaa_zebra_hurry(struct zclient *zc)
{
	if (!zc || zc->sock >= 0)
		return;
	EVENT_OFF(zc->t_connect);
	zclient_start(zc);
}

static void watch(struct event *t)
{
	static bool was_connected;

	event_add_timer(master, watch, NULL, WATCH_S, &t_watch);
	if (was_connected && !dsaa_zebra_connected()) {
		zlog_warn("zebra is away");
		dsaa_advertise_lost();
	}
	was_connected = dsaa_zebra_connected();
	dsaa_zebra_hurry(dsaa_zclient);
	dsaa_zebra_hurry(zclient_plain);
}

static zclient_handler *const handlers[] = {
	[ZEBRA_VRF_ADD] = vrf_told,
	[ZEBRA_INTERFACE_ADDRESS_ADD] = address_message,
	[ZEBRA_INTERFACE_ADDRESS_DELETE] = address_message,
	[ZEBRA_ROUTE_NOTIFY_OWNER] = route_notify,
#ifndef DSAA_FRR_10
	[ZEBRA_NEXTHOP_UPDATE] = nexthop_update,
	[ZEBRA_INTERFACE_VRF_UPDATE] = interface_moved,
#endif
};

static void connected(struct zclient *zc)
{
	zlog_info("connected to zebra");
	zclient_send_reg_requests(zc, VRF_DEFAULT);
#ifdef DSAA_FRR_10
	zebra_route_notify_send(ZEBRA_ROUTE_NOTIFY_REQUEST, zc, true);
#endif
	schedule_sweep();
	schedule_addresses();
	dsaa_advertise_replay(zc);
	dsaa_track_replay();
}

static zclient_handler *const handlers_plain[] = {
	[ZEBRA_ROUTE_NOTIFY_OWNER] = route_notify,
};

static void connected_plain(struct zclient *zc)
{
#ifdef DSAA_FRR_10
	zebra_route_notify_send(ZEBRA_ROUTE_NOTIFY_REQUEST, zc, true);
#endif
	dsaa_advertise_replay(zc);
}

static struct zclient *open_client(struct zclient_options options, zclient_handler *const *list,
				   size_t n, uint16_t instance,
				   void (*on_connected)(struct zclient *))
{
	struct zclient *zc;

#ifndef DSAA_FRR_10
	options.receive_notify = true;
#endif
	zc = zclient_new(master, &options, list, n);
	zc->zebra_connected = on_connected;
	/* zebra drops a dead client's routes of this type and instance: say what we use */
	zclient_init(zc, ZEBRA_ROUTE_TABLE, instance, &dsaa_privs);
	return zc;
}

void dsaa_zebra_init(void)
{
	vrf_init(NULL, vrf_came, vrf_went, NULL);
#ifdef DSAA_FRR_10
	hook_register_prio(if_real, 0, interface_changed);
	hook_register_prio(if_up, 0, interface_changed);
	hook_register_prio(if_down, 0, interface_changed);
	hook_register_prio(if_unreal, 0, interface_changed);
#else
	if_zapi_callbacks(interface_changed, interface_changed, interface_changed,
			  interface_changed);
#endif
	zclient_plain = open_client(dsaa_zclient_options_aside, handlers_plain,
				    array_size(handlers_plain), 0, connected_plain);
	dsaa_zclient = open_client(zclient_options_default, handlers, array_size(handlers),
				   DSAA_ZEBRA_INSTANCE, connected);
#ifdef DSAA_FRR_10
	dsaa_zclient->nexthop_update = nexthop_update;
#endif
	event_add_timer(master, watch, NULL, WATCH_S, &t_watch);
}

static void close_client(struct zclient **zc)
{
	if (!*zc)
		return;
	zclient_stop(*zc);
	zclient_free(*zc);
	*zc = NULL;
}

void dsaa_zebra_stop(void)
{
	EVENT_OFF(t_addresses);
	EVENT_OFF(t_sweep);
	EVENT_OFF(t_watch);
	XFREE(MTYPE_TMP, seen);
	close_client(&zclient_plain);
	close_client(&dsaa_zclient);
	XFREE(MTYPE_TMP, known);
	known_count = 0;
}
