/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * BFD on the site-sync links, through bfdd. Main thread.
 *
 * One session per peer and pair of sync-addresses. What is told of a peer:
 *
 *	up       one of its sessions is up
 *	down     none is up, and one was and went down
 *	unknown  nobody can say: bfdd or zebra is away, the other end switched
 *	         its session off, or none was ever up
 *
 * "unknown" matters: an "up" that nobody watches any more would keep a dead
 * site alive, and a "down" that only means that bfdd has started again would
 * bury a living one.
 *
 * zebra relays BFD only to clients whose type speaks BFD, and TABLE does not:
 * hence a second client, of type OPENFABRIC with an instance of its own.
 */
#include "dsaad/dsaad.h"

#include <signal.h>

#include "bfd.h"
#include "libfrr.h"
#include "log.h"
#include "vrf.h"

#include "dsaad/dsaa_debug.h"
#include "dsaad/dsaa_errors.h"
#include "dsaad/dsaa_zebra.h"

/* zebra keeps eight bits of it with routes, of which this client has none */
#define CLIENT_INSTANCE	  3785
#define DETECT_MULTIPLIER 3
#define INTERVAL_MS	  100
/* zebra says nothing when bfdd or the connection itself dies */
#define WATCH_S 1
/* a session that is not up by then is worth a line in the log */
#define SILENT_S 30

DEFINE_MTYPE_STATIC(DSAAD, DSAA_BFD, "DSAA BFD session");

struct link {
	struct bfd_session_params *session;
	uint8_t site;
	struct ipaddr local, remote;
	char profile[sizeof(dsaa_conf.bfd_profile)];
	enum dsaa_liveness live;
	struct dsaa_mono unknown_since;
	bool complained;
};

static struct zclient *client;
static struct link *links[DSAA_SITES_MAX + 1][DSAA_SITE_SYNC_ADDRESSES_MAX];
static enum dsaa_liveness told[DSAA_SITES_MAX + 1];
static pid_t bfdd; /* that told us last; 0: not known */
static struct event *t_watch;

#define FOREACH_LINK(l)                                                        \
	for (unsigned s_ = 1; s_ <= DSAA_SITES_MAX; s_++)                      \
		for (unsigned i_ = 0; i_ < DSAA_SITE_SYNC_ADDRESSES_MAX; i_++) \
			if (((l) = links[s_][i_]))

/* ------------------------------------------------------------------ what is told */

static const char *live_name(enum dsaa_liveness live)
{
	return live == DSAA_LIVE_UP ? "up" : live == DSAA_LIVE_DOWN ? "down" : "nothing";
}

static void tell(uint8_t site)
{
	enum dsaa_liveness live = DSAA_LIVE_UNKNOWN;

	for (unsigned i = 0; i < DSAA_SITE_SYNC_ADDRESSES_MAX; i++) {
		const struct link *l = links[site][i];

		if (!l || l->live == DSAA_LIVE_UNKNOWN || live == DSAA_LIVE_UP)
			continue;
		live = l->live;
	}
	if (live == told[site])
		return;
	told[site] = live;
	zlog_info("site %u: BFD says %s", site, live_name(live));
	dsaa_sync_post_bfd(site, live);
}

static void set_live(struct link *l, enum dsaa_liveness live)
{
	if (l->live == live)
		return;
	if (live == DSAA_LIVE_UNKNOWN) {
		l->unknown_since = dsaa_mono_now();
		l->complained = false;
	}
	l->live = live;
	/* corrected packets take the link that lives */
	dsaa_correct_changed();
}

/* What is known of all sessions is out of date. */
static void forget_all(const char *why)
{
	bool knew = false;
	struct link *l;

	FOREACH_LINK (l) {
		knew |= l->live != DSAA_LIVE_UNKNOWN;
		set_live(l, DSAA_LIVE_UNKNOWN);
	}
	if (knew)
		zlog_info("BFD: %s", why);
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		tell(s);
}

static void status_changed(struct bfd_session_params *bsp, const struct bfd_session_status *bss,
			   void *arg)
{
	struct link *l = arg;

	if (DSAA_DEBUG(DSAA_DEBUG_ROUTING))
		zlog_debug("BFD to site %u, %pIA: %s", l->site, &l->remote,
			   bfd_get_status_str(bss->state));
	switch (bss->state) {
	case BSS_UP:
		set_live(l, DSAA_LIVE_UP);
		break;
	case BSS_DOWN:
		/* a session begins with "down": that says nothing yet */
		if (l->live == DSAA_LIVE_UP)
			set_live(l, DSAA_LIVE_DOWN);
		break;
	case BSS_ADMIN_DOWN: /* RFC 5882, 3.2: no word about the path */
	case BSS_UNKNOWN:
		set_live(l, DSAA_LIVE_UNKNOWN);
		break;
	}
	tell(l->site);
}

/* ------------------------------------------------------------------ is bfdd there */

/* The process number in bfdd's file; 0 when there is none. */
static pid_t read_pid(void)
{
	char path[PATH_MAX];
	int pid = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/bfdd.pid", DSAA_RUN_DIR);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%d", &pid) != 1)
		pid = 0;
	fclose(f);
	return pid;
}

static bool bfdd_is_gone(void)
{
	return bfdd > 0 && kill(bfdd, 0) < 0 && errno == ESRCH;
}

static void complain(struct link *l, struct dsaa_mono now)
{
	if (l->complained || l->live != DSAA_LIVE_UNKNOWN ||
	    dsaa_mono_diff_us(now, l->unknown_since) < SILENT_S * INT64_C(1000000))
		return;
	l->complained = true;
	flog_warn(EC_DSAA_BFD, "site %u: no BFD session to %pIA so far", l->site, &l->remote);
}

static void watch(struct event *t)
{
	struct dsaa_mono now = dsaa_mono_now();
	struct link *l;

	event_add_timer(master, watch, NULL, WATCH_S, &t_watch);
	if (client->sock < 0) {
		forget_all("zebra is away");
		dsaa_zebra_hurry(client);
	}
	if (bfdd_is_gone())
		forget_all("bfdd is away");
	FOREACH_LINK (l)
		complain(l, now);
}

/* bfdd has started, or has found zebra again: it knows nothing of us. */
static int replay(ZAPI_CALLBACK_ARGS)
{
	bfdd = read_pid();
	forget_all("bfdd starts anew");
#ifdef DSAA_FRR_10
	return zclient_bfd_session_replay(cmd, zclient, length, vrf_id);
#else
	return 0; /* libfrr has done it already */
#endif
}

static void connected(struct zclient *zc)
{
	struct link *l;

	bfdd = read_pid();
	forget_all("zebra starts anew");
	/* those that bfdd was told of earlier; bfdd itself may have connected before us */
	zclient_bfd_session_replay(ZEBRA_BFD_DEST_REPLAY, zc, 0, VRF_DEFAULT);
	/* and those made while there was no connection */
	FOREACH_LINK (l)
		bfd_sess_install(l->session);
}

/* ------------------------------------------------------------------ life */

static zclient_handler *const handlers[] = {
	[ZEBRA_BFD_DEST_REPLAY] = replay,
#ifdef DSAA_FRR_10
	[ZEBRA_INTERFACE_BFD_DEST_UPDATE] = zclient_bfd_session_update,
#endif
};

void dsaa_bfd_init(void)
{
	struct zclient_options options = dsaa_zclient_options_aside;

	client = zclient_new(master, &options, handlers, array_size(handlers));
	client->zebra_connected = connected;
	zclient_init(client, ZEBRA_ROUTE_OPENFABRIC, CLIENT_INSTANCE, &dsaa_privs);
	bfd_protocol_integration_init(client, master);
	event_add_timer(master, watch, NULL, WATCH_S, &t_watch);
}

static void remove_link(struct link **l)
{
	if (!*l)
		return;
	bfd_sess_free(&(*l)->session);
	XFREE(MTYPE_DSAA_BFD, *l);
}

static void add_link(struct link **slot, uint8_t site, const struct ipaddr *local,
		     const struct ipaddr *remote)
{
	struct link *l = XCALLOC(MTYPE_DSAA_BFD, sizeof(*l));

	l->site = site;
	l->local = *local;
	l->remote = *remote;
	l->unknown_since = dsaa_mono_now();
	strlcpy(l->profile, dsaa_conf.bfd_profile, sizeof(l->profile));
	l->session = bfd_sess_new(status_changed, l);
	if (local->ipa_type == IPADDR_V4)
		bfd_sess_set_ipv4_addrs(l->session, (struct in_addr *)&local->ipaddr_v4,
					(struct in_addr *)&remote->ipaddr_v4);
	else
		bfd_sess_set_ipv6_addrs(l->session, (struct in6_addr *)&local->ipaddr_v6,
					(struct in6_addr *)&remote->ipaddr_v6);
	if (l->profile[0])
		bfd_sess_set_profile(l->session, l->profile);
	else
		bfd_sess_set_timers(l->session, DETECT_MULTIPLIER, INTERVAL_MS, INTERVAL_MS);
	if (client->sock >= 0)
		bfd_sess_install(l->session);
	*slot = l;
}

/* True when L is what the configuration wants for this pair of addresses. */
static bool link_is(const struct link *l, const struct ipaddr *local, const struct ipaddr *remote)
{
	return l && !ipaddr_cmp(&l->local, local) && !ipaddr_cmp(&l->remote, remote) &&
	       !strcmp(l->profile, dsaa_conf.bfd_profile);
}

static void reconcile_site(uint8_t site, uint8_t local)
{
	const struct dsaa_site *here = &dsaa_conf.site[local], *there = &dsaa_conf.site[site];
	bool wanted = dsaa_conf.enabled && dsaa_conf.bfd && local && site != local &&
		      there->configured;

	for (unsigned i = 0; i < DSAA_SITE_SYNC_ADDRESSES_MAX; i++) {
		struct link **l = &links[site][i];
		const struct ipaddr *from = &here->sync_address[i], *to = &there->sync_address[i];
		bool pair = wanted && i < here->sync_addresses && i < there->sync_addresses &&
			    from->ipa_type == to->ipa_type;

		if (pair && link_is(*l, from, to))
			continue;
		remove_link(l);
		if (pair)
			add_link(l, site, from, to);
	}
	tell(site);
	/* the engine may have begun anew with this peer; a "down" told twice would cut a session */
	if (told[site] == DSAA_LIVE_UP)
		dsaa_sync_post_bfd(site, DSAA_LIVE_UP);
}

void dsaa_bfd_reconcile(void)
{
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		reconcile_site(s, dsaa_local_site());
}

enum dsaa_liveness dsaa_bfd_link(uint8_t site, unsigned link)
{
	const struct link *l = links[site][link];

	return l ? l->live : DSAA_LIVE_UNKNOWN;
}

void dsaa_bfd_stop(void)
{
	EVENT_OFF(t_watch);
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		for (unsigned i = 0; i < DSAA_SITE_SYNC_ADDRESSES_MAX; i++)
			remove_link(&links[s][i]);
	if (!client)
		return;
	zclient_stop(client);
	zclient_free(client);
	client = NULL;
}
