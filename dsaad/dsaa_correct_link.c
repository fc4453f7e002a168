/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What takes the tunnel's packets that come in at the site-sync interfaces: the
 * fast path's program before the stack, the tunnel's device behind it, or the
 * queue thread's socket. For those who read; main thread.
 */
#include "dsaad/dsaa_correct.h"

static struct interface *interface_of(const struct ipaddr *ip)
{
	return if_lookup_address_local(&ip->ip, ip->ipa_type == IPADDR_V4 ? AF_INET : AF_INET6,
				       VRF_DEFAULT);
}

unsigned dsaa_correct_links(struct dsaa_correct_link links[DSAA_SITE_SYNC_ADDRESSES_MAX])
{
	const struct dsaa_site *here = &dsaa_conf.site[dsaa_local_site()];
	unsigned n = 0;

	for (unsigned i = 0; dsaa_local_site() && i < here->sync_addresses; i++) {
		struct interface *ifp = interface_of(&here->sync_address[i]);
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
