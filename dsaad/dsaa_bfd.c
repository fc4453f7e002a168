/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * BFD on the site-sync links, through bfdd. Main thread.
 *
 * One session per peer and pair of sync-addresses. A peer is up when any of
 * its sessions is; it is down when one was up and none is any more. A session
 * that never came up (no bfdd, no BFD at the peer yet) says nothing.
 *
 * zebra relays BFD only to clients whose type speaks BFD, and TABLE does not:
 * hence a second client, of type OPENFABRIC with an instance of its own.
 */
#include "dsaad/dsaad.h"

#include "bfd.h"
#include "log.h"
#include "vrf.h"

#include "dsaad/dsaa_debug.h"

#define CLIENT_INSTANCE 3785
#define DETECT_MULTIPLIER 3
#define INTERVAL_MS 100

DEFINE_MTYPE_STATIC(DSAAD, DSAA_BFD, "DSAA BFD session");

struct link {
	struct bfd_session_params *session;
	uint8_t site;
	struct ipaddr local, remote;
	char profile[sizeof(dsaa_conf.bfd_profile)];
	bool up;
};

static struct zclient *client;
static struct link *links[DSAA_SITES_MAX + 1][DSAA_SITE_SYNC_ADDRESSES_MAX];
static bool told_up[DSAA_SITES_MAX + 1];

static void connected(struct zclient *zc)
{
	bfd_client_sendmsg(zc, ZEBRA_BFD_CLIENT_REGISTER, VRF_DEFAULT);
}

void dsaa_bfd_init(void)
{
	/* not "auxiliary": the common handlers of BFD must run for this client */
	struct zclient_options options = zclient_options_default;

	client = zclient_new(master, &options, NULL, 0);
	client->zebra_connected = connected;
	zclient_init(client, ZEBRA_ROUTE_OPENFABRIC, CLIENT_INSTANCE, &dsaa_privs);
	bfd_protocol_integration_init(client, master);
}

static void tell(uint8_t site)
{
	bool up = false;

	for (unsigned i = 0; i < DSAA_SITE_SYNC_ADDRESSES_MAX; i++)
		up |= links[site][i] && links[site][i]->up;
	if (up == told_up[site])
		return;
	told_up[site] = up;
	zlog_info("site %u: BFD says %s", site, up ? "up" : "down");
	dsaa_sync_post_bfd(site, up);
}

static void status_changed(struct bfd_session_params *bsp, const struct bfd_session_status *bss,
			   void *arg)
{
	struct link *l = arg;

	if (bss->state == BSS_UP)
		l->up = true;
	else if (bss->state == BSS_DOWN || bss->state == BSS_ADMIN_DOWN)
		l->up = false;
	if (DSAA_DEBUG(DSAA_DEBUG_ROUTING))
		zlog_debug("BFD to site %u: %s", l->site, bfd_get_status_str(bss->state));
	tell(l->site);
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
	if (!wanted)
		told_up[site] = false;
}

void dsaa_bfd_reconcile(void)
{
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		reconcile_site(s, dsaa_local_site());
}

void dsaa_bfd_stop(void)
{
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		for (unsigned i = 0; i < DSAA_SITE_SYNC_ADDRESSES_MAX; i++)
			remove_link(&links[s][i]);
	if (!client)
		return;
	zclient_stop(client);
	zclient_free(client);
	client = NULL;
}
