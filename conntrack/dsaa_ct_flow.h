/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Translation between ctnetlink messages and struct dsaa_flow.
 *
 * Written on libmnl: libnetfilter_conntrack keeps one ICMP identifier for
 * both directions, so it loses a connection whose identifier NAT changed.
 * Attribute meanings: linux/netfilter/nfnetlink_conntrack.h and the kernel's
 * nf_conntrack_netlink.c. No socket, no state, any thread.
 */
#ifndef DSAA_CT_FLOW_H
#define DSAA_CT_FLOW_H

#include <libmnl/libmnl.h>

#include "core/dsaa_expect.h"
#include "core/dsaa_flow.h"

/* Fills F from message NLH. False when it is none that core takes (dsaa_flow_invalid). */
bool dsaa_ct_flow_parse(const struct nlmsghdr *nlh, struct dsaa_flow *f);

/*
 * True when the connection of event NLH has one of the rare parts (a master, moved sequence
 * numbers, a helper), which events tell only when they change. Labels have no sign of their own.
 */
bool dsaa_ct_flow_leaves_out(const struct nlmsghdr *nlh);

/* Fills T, which is zeroed, and *PROTO from a nested tuple. */
void dsaa_ct_flow_parse_tuple(const struct nlattr *nest, struct dsaa_tuple *t, uint8_t *proto);

/* Fills X from a message about an expectation. False when it is none that core takes. */
bool dsaa_ct_expect_parse(const struct nlmsghdr *nlh, struct dsaa_expect *x);

/* Appends the tuple of F's original direction (KEY) or any tuple T as attribute TYPE. */
void dsaa_ct_flow_put_tuple(struct nlmsghdr *nlh, uint16_t type, uint8_t family, uint8_t proto,
			    const struct dsaa_tuple *t);
/*
 * Appends the zone in which F's original tuple stands, when it is one; _reply_zone: its reply
 * tuple.
 */
void dsaa_ct_flow_put_zone(struct nlmsghdr *nlh, const struct dsaa_flow *f);
void dsaa_ct_flow_put_reply_zone(struct nlmsghdr *nlh, const struct dsaa_flow *f);
/* Appends everything that a new entry needs. */
void dsaa_ct_flow_put_new(struct nlmsghdr *nlh, const struct dsaa_flow *f);
/* Appends what turns entry EXISTING into F; says nothing of what is equal. */
void dsaa_ct_flow_put_update(struct nlmsghdr *nlh, const struct dsaa_flow *f,
			     const struct dsaa_flow *existing);

#endif
