/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the numbered errors mean, and what an operator can do about them.
 */
#include <zebra.h>

#include "dsaad/dsaa_errors.h"

/* clang-format off */
static struct log_ref dsaa_errors[] = {
	{
		.code = EC_DSAA_NETLINK,
		.title = "dsaad cannot change an address",
		.description = "The kernel refused to add or remove an address of an interface.",
		.suggestion = "See 'show dsaa uips' for the kernel's word; check that dsaad has CAP_NET_ADMIN.",
	},
	{
		.code = EC_DSAA_UIPS_FIGHT,
		.title = "An address is removed again and again",
		.description = "Something else removes an address that the dsaa block wants on an interface.",
		.suggestion = "Find who else manages the addresses of this interface, or take the uips line away.",
	},
	{
		.code = EC_DSAA_ZAPI,
		.title = "dsaad cannot talk to zebra",
		.description = "A route could not be sent to zebra, or zebra refused it.",
		.suggestion = "Check that zebra runs, and look at its log.",
	},
	{
		.code = EC_DSAA_PROBE,
		.title = "dsaad cannot probe a site",
		.description = "The probe address of a site cannot be reached in the way that a probe needs.",
		.suggestion = "Choose a probe address that is not routed over the site-sync link, and check that dsaad has CAP_NET_RAW.",
	},
	{
		.code = EC_DSAA_BFD,
		.title = "dsaad has no BFD",
		.description = "A BFD session was configured, but bfdd does not answer.",
		.suggestion = "Start bfdd, or take the bfd line away.",
	},
	{
		.code = EC_DSAA_KEY,
		.title = "The pre-shared key cannot be used",
		.description = "The key file is missing, too short, or others than its owner may read it.",
		.suggestion = "Create it with 32 random bytes, owned by user frr, mode 600, the same on all sites.",
	},
	{
		.code = EC_DSAA_PEER_REFUSED,
		.title = "A peer was refused",
		.description = "A peer has another key, cluster-id or protocol version, or speaks nonsense.",
		.suggestion = "See 'show dsaa' for the reason; load the same dsaa block and key on all sites.",
	},
	{
		.code = EC_DSAA_CONNTRACK,
		.title = "dsaad cannot use the connection table",
		.description = "The kernel refused to show or change its connection tracking table.",
		.suggestion = "Check that nf_conntrack and nf_conntrack_netlink are there and that dsaad has CAP_NET_ADMIN.",
	},
	{
		.code = EC_DSAA_KERNEL_LIMITS,
		.title = "A limit of the kernel is too small",
		.description = "The connection tracking table, its events or a socket buffer is too small for the traffic.",
		.suggestion = "See 'show dsaa sync' for its name; raise it with sysctl.",
	},
	{
		.code = EC_DSAA_ROUTE_LOST,
		.title = "A tracked route is missing",
		.description = "This router has no route that the configuration says it needs, so it hands its connections over and announces the drain tag.",
		.suggestion = "See 'show dsaa' for the route and 'show ip route'; it serves again when the route is back.",
	},
	{
		.code = EC_DSAA_RULES,
		.title = "The packet rules were changed",
		.description = "Somebody changed or removed the nftables table that catches foreign packets; dsaad installs it again.",
		.suggestion = "Find what touches the table inet dsaa, a 'flush ruleset' for instance; reload your own tables only.",
	},
	{
		.code = EC_DSAA_TUNNEL,
		.title = "The correction tunnel was removed",
		.description = "Somebody removed the TAP device of the correction tunnel; dsaad makes it again.",
		.suggestion = "Find what removes the interface dsaa0, and let it alone.",
	},
	{
		.code = EC_DSAA_QUEUE,
		.title = "Packets are not taken from a queue any more",
		.description = "The thread of a packet queue has ended; the kernel drops what comes to it.",
		.suggestion = "Restart dsaad, and report the kernel's word in the message.",
	},
	{
		.code = EC_DSAA_THREAD,
		.title = "A thread of dsaad does not start",
		.description = "The system refused a thread or its memory.",
		.suggestion = "Check the limits of memory and threads for dsaad.",
	},
	{
		.code = EC_DSAA_SITE_CONFLICT,
		.title = "This router carries sync-addresses of several sites",
		.description = "Interfaces carry sync-addresses of more than one site; this router stays the one that it was, else it is that with the lowest number.",
		.suggestion = "Remove the foreign address, or say which site this is with 'local-site N'.",
	},
	{
		.code = EC_DSAA_INSECURE,
		.title = "The session is plain text",
		.description = "'sync insecure' is configured: who reaches the sync port can change the connection table.",
		.suggestion = "Configure 'sync key-file' on all sites, then 'no sync insecure'.",
	},
	{
		.code = EC_DSAA_IN_THE_WAY,
		.title = "Something slows or stops correction",
		.description = "A site-sync link with a small MTU cuts corrected packets, or a flowtable forwards packets past correction.",
		.suggestion = "Do what the message says.",
	},
	{
		.code = EC_DSAA_DIFFERS,
		.title = "A peer is set up in another way",
		.description = "The dsaa block of a peer, or the rules that forwarded packets pass there, are not those of this site.",
		.suggestion = "See 'show dsaa differences' for the lines; load the same on all sites.",
	},
	{
		.code = EC_DSAA_CONFINE,
		.title = "dsaad has more rights than it needs",
		.description = "A capability or a system call could not be given up for good when dsaad started; all else works.",
		.suggestion = "Start dsaad as root, with CAP_SETPCAP, on a kernel with CONFIG_SECCOMP_FILTER.",
	},
	{
		.code = EC_DSAA_LISTEN,
		.title = "dsaad cannot listen for sessions",
		.description = "The sync port of a sync-address cannot be opened, so the peers that should connect to it cannot.",
		.suggestion = "See who has the port with 'ss -ltnp', or choose another one with 'sync port' on all sites.",
	},
	{
		.code = EC_DSAA_INCOMPLETE,
		.title = "Prefixes are announced although connections are missing",
		.description = "No peer told its connections in time after the start, so this site serves without them.",
		.suggestion = "See 'show dsaa' for the peers that are not up; check the site-sync link and their dsaad.",
	},
	{
		.code = EC_DSAA_SESSION,
		.title = "A session with a peer was lost or cannot begin",
		.description = "The connection to a peer ended, a message did not fit it, or the system refused what sessions need.",
		.suggestion = "See 'show dsaa site'; check the site-sync link, and dsaad's limits of memory and descriptors.",
	},
	{
		.code = EC_DSAA_CORRECTION,
		.title = "Correction does not run",
		.description = "The kernel refused the packet queues, the rules or the tunnel, or there is no fast path and the mode wants one.",
		.suggestion = "See 'show dsaa correction'; check nf_tables, nfnetlink_queue and /dev/net/tun, and that the correction port is free.",
	},
	{
		.code = EC_DSAA_FAST_PATH,
		.title = "The kernel's fast path does not run",
		.description = "Its programs were not taken by the kernel, cannot be removed, or somebody changed them; the packet queues correct meanwhile.",
		.suggestion = "See 'show dsaa correction' for the cause; find who changes dsaad's programs or dsaa-vx, or take 'correction mode nfqueue'.",
	},
	{
		.code = END_FERR,
	},
};
/* clang-format on */

void dsaa_errors_init(void)
{
	log_ref_add(dsaa_errors);
}
