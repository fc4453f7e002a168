/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What only the kernel can do or say at once: interface addresses (zapi has no
 * message for them), and by which interface a packet would leave.
 *
 * Our own addresses carry a mark, so that they are recognised after a restart
 * and an operator's are never touched: IFA_PROTO where the kernel has it
 * (Linux 5.18), and the label "IFNAME:dsaa" for IPv4.
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

/*
 * The index of interface IFNAME of this namespace, 0 when there is none; *UP says if it is switched
 * on. From the kernel, since what zebra told may be old while it is away.
 */
ifindex_t dsaa_netlink_interface(const char *ifname, bool *up);
/* Adds ADDRESS to the interface. 0, or a negative errno: -EEXIST when it is there. */
int dsaa_netlink_address_add(ifindex_t ifindex, const char *ifname, const struct prefix *address);
/* Deletes it. 0 (also when it is not there), or a negative errno. */
int dsaa_netlink_address_del(ifindex_t ifindex, const struct prefix *address);
/*
 * Calls CB for each address in this namespace. 0 or a negative errno: after -EINTR the list changed
 * meanwhile, and what was told is not to be used.
 */
int dsaa_netlink_address_walk(void (*cb)(void *arg, const struct dsaa_kernel_address *a),
			      void *arg);
/*
 * The interface by which a packet to TO leaves now; 0 when there is no route, or when it leads to
 * this router itself.
 */
ifindex_t dsaa_netlink_route_interface(const struct ipaddr *to);
/*
 * Blackhole routes that zebra installed for clients of type TABLE, in kernel table TABLE: calls CB
 * for each. 0 or a negative errno.
 */
int dsaa_netlink_leftover_walk(uint8_t family, uint32_t table,
			       void (*cb)(void *arg, const struct prefix *p), void *arg);
/*
 * Removes one of them, that an earlier zebra left: the next one may take it for a route of the
 * kernel (its clean-up compares times in whole seconds), which then wins over the one that we
 * announce. Call it only while zebra has none of ours. 0 or a negative errno. Needs CAP_NET_ADMIN.
 */
int dsaa_netlink_leftover_del(const struct prefix *p, uint32_t table);

#endif
