/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interface addresses over rtnetlink (zapi has no message for them). Our own
 * carry a mark, so that they are recognised after a restart and an operator's
 * are never touched: IFA_PROTO where the kernel has it (Linux 5.18), and the
 * label "IFNAME:dsaa" for IPv4.
 *
 * Synchronous; main thread; add and del need CAP_NET_ADMIN effective.
 */
#ifndef DSAA_NETLINK_H
#define DSAA_NETLINK_H

#include "dsaad/dsaad.h"

struct dsaa_kernel_address {
	ifindex_t ifindex;
	struct prefix address; /* with its mask length */
	bool ours;
};

/* Adds ADDRESS to the interface. 0 (also when it is there), or a negative errno. */
int dsaa_netlink_address_add(ifindex_t ifindex, const char *ifname, const struct prefix *address);
/* Deletes it. 0 (also when it is not there), or a negative errno. */
int dsaa_netlink_address_del(ifindex_t ifindex, const struct prefix *address);
/* Calls CB for each address in this namespace. 0 or a negative errno. */
int dsaa_netlink_address_walk(void (*cb)(void *arg, const struct dsaa_kernel_address *a),
			      void *arg);

#endif
