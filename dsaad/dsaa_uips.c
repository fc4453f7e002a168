/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * UIPS: keeps the local site's addresses on the interfaces. Main thread.
 *
 * Each time something changes, and every few seconds, the wishes are compared
 * with the kernel's addresses: what carries our mark and is no longer wished
 * is deleted, what is missing is added, an operator's address is used as it
 * is. Wishes of an interface that is not there, or is down, wait for it.
 *
 * The kernel is asked and not zebra's copy, so that addresses are kept while
 * zebra is away as well.
 */
#include "dsaad/dsaad.h"

#include "log.h"

#include "dsaad/dsaa_debug.h"
#include "dsaad/dsaa_errors.h"
#include "dsaad/dsaa_netlink.h"

/* somebody may change an address while zebra, which would tell us, is away */
#define CHECK_S 5
/* an address deleted this often within a minute is fought over: then only CHECK_S puts it back */
#define FIGHT_TIMES 5
#define MINUTE_US   INT64_C(60000000)
/* a daemon that starts gets its configuration within this time, if it has any */
#define CONFIG_WAIT_US INT64_C(10000000)
/*
 * A block is loaded line by line: what an earlier run left behind is not taken away, only to be
 * put back by the next line, which would cost the router's connections.
 */
#define BLOCK_WAIT_US INT64_C(3000000)

static struct event *t_check;

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

/* False when the kernel does not tell; that is in the log then. */
static bool take(struct snapshot *s)
{
	static struct dsaa_log_limit limit;
	int rc = -EINTR;

	for (unsigned i = 0; i < 5 && rc == -EINTR; i++) {
		s->count = 0;
		rc = dsaa_netlink_address_walk(collect, s);
	}
	/* a list that changes all the time is read at the next check */
	if (rc && rc != -EINTR && dsaa_log_allowed(&limit, NULL))
		flog_err(EC_DSAA_NETLINK, "the kernel's addresses cannot be read: %s",
			 safe_strerror(-rc));
	return rc == 0;
}

/* The entry of address P on the interface: with P's length if there is one, else with any. */
static const struct dsaa_kernel_address *find(const struct snapshot *s, ifindex_t ifindex,
					      const struct prefix *p)
{
	const struct dsaa_kernel_address *other = NULL;

	for (size_t i = 0; i < s->count; i++) {
		const struct dsaa_kernel_address *a = &s->list[i];

		if (a->ifindex != ifindex || a->address.family != p->family ||
		    memcmp(&a->address.u.prefix, &p->u.prefix, prefix_blen(p)))
			continue;
		if (a->address.prefixlen == p->prefixlen)
			return a;
		other = a;
	}
	return other;
}

/* ------------------------------------------------------------------ what is missing */

/* Our address is gone: counts how often, and says so at most twice a minute. */
static void note_deleted(struct dsaa_uips *u)
{
	struct dsaa_mono now = dsaa_mono_now();

	if (!u->deleted_times || dsaa_mono_diff_us(now, u->deleted_since) > MINUTE_US) {
		u->deleted_since = now;
		u->deleted_times = 0;
	}
	if (u->deleted_times == FIGHT_TIMES)
		return;
	if (++u->deleted_times == 1)
		zlog_info("uips %s %pFX was deleted by somebody: it is put back", u->ifname,
			  &u->address);
	else if (u->deleted_times == FIGHT_TIMES)
		flog_warn(EC_DSAA_UIPS_FIGHT, "uips %s %pFX is deleted again and again", u->ifname,
			  &u->address);
}

static bool is_fought_over(const struct dsaa_uips *u)
{
	return u->deleted_times >= FIGHT_TIMES &&
	       dsaa_mono_diff_us(dsaa_mono_now(), u->deleted_since) <= MINUTE_US;
}

/* The kernel refused with errno RC: shown as long as it lasts, logged once. */
static void refused(struct dsaa_uips *u, int rc)
{
	char error[sizeof(u->error)];

	snprintf(error, sizeof(error), "the kernel refuses: %s%s", safe_strerror(rc),
		 rc == EACCES && u->address.family == AF_INET6 ? " (IPv6 is switched off)" : "");
	if (u->reason != u->error || strcmp(u->error, error))
		flog_err(EC_DSAA_NETLINK, "uips %s %pFX: %s", u->ifname, &u->address, error);
	strlcpy(u->error, error, sizeof(u->error));
	u->reason = u->error;
	u->installed = false;
}

static void wait_for(struct dsaa_uips *u, const char *reason)
{
	if (u->installed)
		zlog_info("uips %s %pFX: %s", u->ifname, &u->address, reason);
	u->installed = false;
	u->reason = reason;
}

static void install(struct dsaa_uips *u, ifindex_t ifindex, bool periodic)
{
	int rc = -EPERM;

	if (u->installed)
		note_deleted(u);
	if (is_fought_over(u) && !periodic) {
		u->installed = false;
		u->reason = "somebody deletes it again and again";
		return;
	}
	frr_with_privs (&dsaa_privs) {
		rc = dsaa_netlink_address_add(ifindex, u->ifname, &u->address);
	}
	if (rc == -ENODEV) { /* it went away this very moment */
		wait_for(u, "interface missing");
		return;
	}
	if (rc) {
		refused(u, -rc);
		return;
	}
	if (!u->installed && !is_fought_over(u))
		zlog_info("uips %s %pFX installed", u->ifname, &u->address);
	u->installed = true;
	u->reason = NULL;
}

static void reconcile_one(struct dsaa_uips *u, const struct snapshot *s, bool periodic)
{
	const struct dsaa_kernel_address *there;
	ifindex_t ifindex;
	bool up;

	ifindex = dsaa_netlink_interface(u->ifname, &up);
	if (!ifindex) {
		wait_for(u, "interface missing");
		return;
	}
	there = find(s, ifindex, &u->address);
	if (there && there->address.prefixlen == u->address.prefixlen) {
		u->installed = true;
		u->reason = !there->ours ? "already there, not ours" :
			    up		 ? NULL :
					   "interface is down";
	} else if (there && !there->ours) {
		u->installed = true;
		u->reason = "already there with another prefix length, not ours";
	} else if (!up) {
		wait_for(u, "interface is down");
	} else {
		install(u, ifindex, periodic);
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
			u->reason = dsaa_local_site() ?
					    "another site's" :
				    dsaa_zebra_connected() ?
					    dsaa_reason_meaning(DSAA_R_NO_LOCAL_SITE) :
					    "zebra is not connected: the local site is not known";
		}
	}
}

/* ------------------------------------------------------------------ what is too much */

static bool is_wished_by(uint8_t site, const struct dsaa_kernel_address *a, const char *ifname)
{
	struct dsaa_uips *u;

	frr_each (dsaa_uips_list, &dsaa_conf.site[site].uips, u)
		if (prefix_same(&u->address, &a->address) && !strcmp(ifname, u->ifname))
			return true;
	return false;
}

/*
 * While the block is there and the site is not known (its sync-address is gone, zebra has not told
 * yet), what any site has stays: it may well be ours.
 */
static bool is_wished(const struct dsaa_kernel_address *a)
{
	uint8_t local = dsaa_local_site();
	char ifname[IF_NAMESIZE];

	if (!if_indextoname(a->ifindex, ifname))
		return false;
	if (local)
		return is_wished_by(local, a, ifname);
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		if (is_wished_by(s, a, ifname))
			return true;
	return false;
}

/* Deletes those of our addresses that are not wished, or ALL; true when one was deleted. */
static bool remove_unwished(const struct snapshot *s, bool all)
{
	static struct dsaa_log_limit limit;
	char ifname[IF_NAMESIZE];
	bool removed = false;

	for (size_t i = 0; i < s->count; i++) {
		const struct dsaa_kernel_address *a = &s->list[i];
		int rc = -EPERM;

		if (!a->ours || (!all && is_wished(a)))
			continue;
		if (!if_indextoname(a->ifindex, ifname))
			continue; /* the interface went away with it */
		frr_with_privs (&dsaa_privs) {
			rc = dsaa_netlink_address_del(a->ifindex, &a->address);
		}
		if (!rc)
			zlog_info("uips %s %pFX removed", ifname, &a->address);
		else if (dsaa_log_allowed(&limit, NULL))
			flog_err(EC_DSAA_NETLINK, "uips %s %pFX cannot be removed: %s", ifname,
				 &a->address, safe_strerror(-rc));
		removed |= !rc;
	}
	return removed;
}

/* May what is not wished be removed already, or is the configuration still on its way? */
static bool may_remove(void)
{
	static struct dsaa_mono started, enabled_since;
	static bool was_enabled;
	struct dsaa_mono now = dsaa_mono_now();

	if (!started.us)
		started = now;
	if (dsaa_conf.enabled && !enabled_since.us)
		enabled_since = now;
	was_enabled |= dsaa_conf.enabled;
	if (dsaa_conf.enabled)
		return dsaa_mono_diff_us(now, enabled_since) >= BLOCK_WAIT_US;
	return was_enabled || dsaa_mono_diff_us(now, started) >= CONFIG_WAIT_US;
}

/* ------------------------------------------------------------------ entry points */

static void check(struct event *t);

static void reconcile(bool periodic)
{
	uint8_t local = dsaa_local_site();
	struct snapshot s = { 0 };
	struct dsaa_uips *u;
	bool known;

	/* not put off by what happens meanwhile */
	event_add_timer(master, check, NULL, CHECK_S, &t_check);
	explain_others();
	known = take(&s);
	/* a network's first address takes the others with it, so look again */
	if (known && may_remove() && remove_unwished(&s, !dsaa_conf.enabled))
		known = take(&s);
	if (known && local)
		frr_each (dsaa_uips_list, &dsaa_conf.site[local].uips, u)
			reconcile_one(u, &s, periodic);
	XFREE(MTYPE_TMP, s.list);
}

static void check(struct event *t)
{
	reconcile(true);
}

void dsaa_uips_reconcile(void)
{
	reconcile(false);
}

void dsaa_uips_remove_all(void)
{
	struct snapshot s = { 0 };

	EVENT_OFF(t_check);
	if (take(&s))
		remove_unwished(&s, true);
	XFREE(MTYPE_TMP, s.list);
}
