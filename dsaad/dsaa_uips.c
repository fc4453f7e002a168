/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * UIPS: keeps the local site's addresses on the interfaces. Main thread.
 *
 * Each time something changes, and every few seconds, the wishes are compared
 * with the kernel's addresses: what is missing is added, what carries our mark
 * and is no longer wished is deleted, an operator's address is used as it is.
 * Wishes of an interface that is not there wait for it.
 */
#include "dsaad/dsaad.h"

#include "log.h"
#include "vrf.h"

#include "dsaad/dsaa_debug.h"
#include "dsaad/dsaa_errors.h"
#include "dsaad/dsaa_netlink.h"

/* somebody may change an address while zebra, which would tell us, is away */
#define CHECK_S 5
/* this often within a minute is a fight, not an accident */
#define FIGHT_TIMES 5

/* a daemon that starts gets its configuration within this time, if it has any */
#define CONFIG_WAIT_S 10

static struct event *t_check;
static bool had_block; /* a dsaa block was there since the start */

/* All addresses of the namespace, collected for one comparison. */
struct snapshot {
	struct dsaa_kernel_address *list;
	size_t count, room;
};

static void collect(void *arg, const struct dsaa_kernel_address *a)
{
	struct snapshot *s = arg;

	if (s->count == s->room) {
		s->room = s->room ? 2 * s->room : 64;
		s->list = XREALLOC(MTYPE_TMP, s->list, s->room * sizeof(s->list[0]));
	}
	s->list[s->count++] = *a;
}

static const struct dsaa_kernel_address *find(const struct snapshot *s, ifindex_t ifindex,
					      const struct prefix *p)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->list[i].ifindex == ifindex && prefix_same(&s->list[i].address, p))
			return &s->list[i];
	return NULL;
}

/* Adding the same address again and again means that somebody else deletes it. */
static void note_put_back(struct dsaa_uips *u)
{
	static struct dsaa_mono since;
	static unsigned times;
	struct dsaa_mono now = dsaa_mono_now();

	if (dsaa_mono_diff_us(now, since) > 60000000) {
		since = now;
		times = 0;
	}
	if (++times == 1)
		zlog_info("uips %s %pFX was deleted by somebody: put back", u->ifname, &u->address);
	else if (times == FIGHT_TIMES)
		flog_warn(EC_DSAA_UIPS_FIGHT, "uips %s %pFX is deleted again and again", u->ifname,
			  &u->address);
}

static void install(struct dsaa_uips *u, const struct interface *ifp)
{
	int rc = -EPERM;

	frr_with_privs (&dsaa_privs) {
		rc = dsaa_netlink_address_add(ifp->ifindex, ifp->name, &u->address);
	}
	if (rc) {
		snprintf(u->error, sizeof(u->error), "the kernel refuses: %s", safe_strerror(-rc));
		u->reason = u->error;
		if (u->installed)
			flog_err(EC_DSAA_NETLINK, "uips %s %pFX: %s", u->ifname, &u->address,
				 safe_strerror(-rc));
		u->installed = false;
		return;
	}
	if (u->installed)
		note_put_back(u);
	else
		zlog_info("uips %s %pFX installed", u->ifname, &u->address);
	u->installed = true;
	u->reason = NULL;
}

static void wait_for(struct dsaa_uips *u, const char *reason)
{
	if (u->installed)
		zlog_info("uips %s %pFX: %s", u->ifname, &u->address, reason);
	u->installed = false;
	u->reason = reason;
}

static void reconcile_one(struct dsaa_uips *u, const struct snapshot *s)
{
	const struct interface *ifp = if_lookup_by_name(u->ifname, VRF_DEFAULT);
	const struct dsaa_kernel_address *there;

	if (!ifp || ifp->ifindex == IFINDEX_INTERNAL) {
		wait_for(u, dsaa_zebra_connected() ? "interface missing" :
						     "interface unknown: zebra is not connected");
		return;
	}
	there = find(s, ifp->ifindex, &u->address);
	if (!there) {
		install(u, ifp);
		return;
	}
	u->installed = true;
	u->reason = there->ours ? NULL : "already there, not ours";
}

static bool wished(const struct dsaa_kernel_address *a)
{
	uint8_t local = dsaa_local_site();
	struct interface *ifp = if_lookup_by_index(a->ifindex, VRF_DEFAULT);
	struct dsaa_uips *u;

	frr_each (dsaa_uips_list, &dsaa_conf.site[local].uips, u)
		if (prefix_same(&u->address, &a->address) && ifp && !strcmp(ifp->name, u->ifname))
			return true;
	return false;
}

static void remove_unwished(const struct snapshot *s, bool all)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct dsaa_kernel_address *a = &s->list[i];

		if (!a->ours || (!all && wished(a)))
			continue;
		zlog_info("uips %pFX removed from %s", &a->address,
			  ifindex2ifname(a->ifindex, VRF_DEFAULT));
		frr_with_privs (&dsaa_privs) {
			dsaa_netlink_address_del(a->ifindex, &a->address);
		}
	}
}

static void explain_others(void)
{
	struct dsaa_uips *u;

	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++) {
		if (s == dsaa_local_site())
			continue;
		frr_each (dsaa_uips_list, &dsaa_conf.site[s].uips, u) {
			u->installed = false;
			u->reason = dsaa_local_site() ? "another site's" :
							dsaa_reason_meaning(DSAA_R_NO_LOCAL_SITE);
		}
	}
}

/* What an earlier run left behind is removed only when nobody configures us any more. */
static bool config_is_late(void)
{
	static struct dsaa_mono first;

	if (!first.us)
		first = dsaa_mono_now();
	return dsaa_mono_diff_us(dsaa_mono_now(), first) > CONFIG_WAIT_S * INT64_C(1000000);
}

static void check(struct event *t)
{
	dsaa_uips_reconcile();
}

void dsaa_uips_reconcile(void)
{
	uint8_t local = dsaa_local_site();
	struct snapshot s = { 0 };
	struct dsaa_uips *u;
	int rc = dsaa_netlink_address_walk(collect, &s);

	EVENT_OFF(t_check);
	event_add_timer(master, check, NULL, CHECK_S, &t_check);
	if (rc) {
		flog_err(EC_DSAA_NETLINK, "the kernel's addresses cannot be read: %s",
			 safe_strerror(-rc));
		return;
	}
	explain_others();
	if (local) {
		frr_each (dsaa_uips_list, &dsaa_conf.site[local].uips, u)
			reconcile_one(u, &s);
		remove_unwished(&s, false);
		had_block = true;
	} else if (!dsaa_conf.enabled && (had_block || config_is_late())) {
		/*
		 * The block is gone. While it is there but the site is not known (zebra away, the
		 * site-sync link without its address), everything stays as it is.
		 */
		remove_unwished(&s, true);
		had_block = false;
	}
	XFREE(MTYPE_TMP, s.list);
}

void dsaa_uips_address_event(struct interface *ifp, const struct prefix *p, bool added)
{
	dsaa_uips_reconcile();
}

void dsaa_uips_remove_all(void)
{
	struct snapshot s = { 0 };

	EVENT_OFF(t_check);
	if (dsaa_netlink_address_walk(collect, &s) == 0)
		remove_unwished(&s, true);
	XFREE(MTYPE_TMP, s.list);
}
