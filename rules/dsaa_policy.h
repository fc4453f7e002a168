/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The forward policy: everything in the operator's nf_tables ruleset (that of
 * iptables-nft included) that decides whether a packet is forwarded, as lines
 * that two sites can compare. A connection that moves to another site must
 * not meet other rules there.
 *
 * Seen are the filter chains at the forward hook of families ip, ip6 and inet,
 * the chains that they lead to, and the sets that those look into. Counters,
 * what quotas have used, handles, comments and the elements of sets that packets
 * fill or time empties are left out. Interfaces by number (iif, oif) count by
 * their number; rules of iptables-legacy are not seen.
 *
 * Any thread, one at a time. Needs CAP_NET_ADMIN effective in the calling thread.
 */
#ifndef DSAA_POLICY_H
#define DSAA_POLICY_H

#include "core/dsaa_lines.h"

/*
 * The number of the ruleset's generation, which grows with each change: cheap. 0, or a
 * negative errno (the kernel has no nf_tables, no permission).
 */
int dsaa_policy_generation(uint32_t *generation);

/*
 * Makes L the policy of now: one line per chain and per named set, sorted, with
 * how much is in it and a digest. 0, or a negative errno: then L is not to be used
 * (-EINTR: the ruleset changed meanwhile).
 */
int dsaa_policy_read(struct dsaa_lines *l);

#endif
