/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The site-sync links of correction: by which one packets go to a peer; and, for
 * those who read, what takes the tunnel's packets that come in: the fast path's
 * program before the stack, the tunnel's device behind it, or the queue thread's
 * socket. Main thread.
 */
#include "dsaad/dsaa_correct.h"

#include "log.h"

static char sends_by[DSAA_SITES_MAX + 1][2 * INET6_ADDRSTRLEN];

/* ------------------------------------------------------------------ by which link */

static bool carries_session(const struct dsaa_nfq_link *link, const struct dsaa_sync_links *session)
{
	for (unsigned i = 0; i < session->count; i++)
		if (dsaa_addr_equal(&session->local[i], &link->local))
			return true;
	return false;
}

/*
 * Link INDEX to SITE, at our interface IFP (or NULL); 0 is best. BFD knows first and for each link;
 * without its word, the link of the session has proved itself. An interface that is down keeps its
 * address, and packets for it would be lost in silence.
 */
static unsigned rank(uint8_t site, unsigned index, const struct interface *ifp,
		     const struct dsaa_nfq_link *link, const struct dsaa_sync_links *session)
{
	if (!ifp || !if_is_operative(ifp))
		return 3;
	switch (dsaa_bfd_link(site, index)) {
	case DSAA_LIVE_UP:
		return 0;
	case DSAA_LIVE_DOWN:
		return 2;
	case DSAA_LIVE_UNKNOWN:
		break;
	}
	return carries_session(link, session) ? 0 : 1;
}

/* Behind those of P that are as good. */
static void insert(struct dsaa_nfq_peer *p, unsigned ranks[], const struct dsaa_nfq_link *link,
		   unsigned its_rank)
{
	unsigned at = p->links++;

	for (; at && ranks[at - 1] > its_rank; at--) {
		p->link[at] = p->link[at - 1];
		ranks[at] = ranks[at - 1];
	}
	p->link[at] = *link;
	ranks[at] = its_rank;
}

static void note_first(const struct dsaa_nfq_peer *p)
{
	static struct dsaa_log_limit limit[DSAA_SITES_MAX + 1];
	char local[INET6_ADDRSTRLEN], remote[INET6_ADDRSTRLEN], text[sizeof(sends_by[0])] = "";
	const struct dsaa_nfq_link *l = &p->link[0];
	char *before = sends_by[p->site];

	if (p->links && l->ifindex)
		snprintf(text, sizeof(text), "%s-%s",
			 dsaa_addr_text(l->local.family, l->local.bytes, local),
			 dsaa_addr_text(l->remote.family, l->remote.bytes, remote));
	if (before[0] && text[0] && strcmp(before, text) && dsaa_log_allowed(&limit[p->site], NULL))
		zlog_info("site %u: corrected packets go by %s now", p->site, text);
	strlcpy(before, text, sizeof(sends_by[0]));
}

/* Link I of two sites joins their I-th sync-addresses, when both have one of the same family. */
void dsaa_correct_make_links(struct dsaa_nfq_peer *p)
{
	const struct dsaa_site *here = &dsaa_conf.site[dsaa_local_site()];
	const struct dsaa_site *there = &dsaa_conf.site[p->site];
	unsigned ranks[DSAA_SITE_SYNC_ADDRESSES_MAX];
	struct dsaa_sync_links session;

	dsaa_sync_links_view(p->site, &session);
	for (unsigned i = 0; i < there->sync_addresses && i < here->sync_addresses; i++) {
		struct interface *ifp = dsaa_zebra_interface_of(&here->sync_address[i]);
		struct dsaa_nfq_link link = { .ifindex = ifp ? ifp->ifindex : 0 };

		if (here->sync_address[i].ipa_type != there->sync_address[i].ipa_type)
			continue;
		dsaa_addr_from_ipaddr(&link.local, &here->sync_address[i]);
		dsaa_addr_from_ipaddr(&link.remote, &there->sync_address[i]);
		insert(p, ranks, &link, rank(p->site, i, ifp, &link, &session));
	}
	note_first(p);
}

const char *dsaa_correct_sends_by(uint8_t site)
{
	return sends_by[site];
}

/* ------------------------------------------------------------------ what takes packets */

unsigned dsaa_correct_links(struct dsaa_correct_link links[DSAA_SITE_SYNC_ADDRESSES_MAX])
{
	const struct dsaa_site *here = &dsaa_conf.site[dsaa_local_site()];
	unsigned n = 0;

	for (unsigned i = 0; dsaa_local_site() && i < here->sync_addresses; i++) {
		struct interface *ifp = dsaa_zebra_interface_of(&here->sync_address[i]);
		unsigned k = 0;

		while (ifp && k < n && links[k].ifindex != ifp->ifindex)
			k++;
		if (!ifp)
			continue;
		if (k == n) {
			memset(&links[k], 0, sizeof(links[k]));
			strlcpy(links[k].name, ifp->name, sizeof(links[k].name));
			links[k].ifindex = ifp->ifindex;
			n++;
		}
		if (here->sync_address[i].ipa_type == IPADDR_V4)
			links[k].ipv4 = true;
		else
			links[k].ipv6 = true;
	}
	return n;
}

const char *dsaa_correct_link_path(const struct dsaa_correct_link *l, const char **why)
{
	const char *none;

	if (dsaa_conf.correction_mode == DSAA_CORRECTION_OFF) {
		*why = "correction mode off";
		return "off";
	}
	if (!dsaa_correct_fast_running()) {
		*why = "taken by the queue thread, from a socket";
		return "socket";
	}
	if (!dsaa_correct_fast_is_straight(l->ifindex, &none)) {
		*why = none ? none : "the interface has no Ethernet header";
		return "device";
	}
	if (!l->ipv4) {
		*why = "packets over IPv6 are left to the tunnel's device";
		return "device";
	}
	*why = l->ipv6 ? "taken before the stack; fragments and packets over IPv6 by dsaa-vx" :
			 "taken before the stack; fragments by dsaa-vx";
	return "link";
}
