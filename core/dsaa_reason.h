/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every reason that dsaad counts, shows or sends, in one list: number, enum
 * name, the name in CLI, JSON and logs, what it means, what an operator can
 * do. Numbers travel in REFUSE messages: never reuse or renumber one.
 */
#ifndef DSAA_REASON_H
#define DSAA_REASON_H

/* clang-format off */
#define DSAA_REASON_LIST(X)                                                                       \
	X(0, NONE, "none", "nothing to tell", "")                                                 \
	/* why a session is not up (1-31); these may travel on the wire */                         \
	X(1, WRONG_KEY, "wrong-key", "the TLS handshake failed: the pre-shared keys differ",       \
	  "put the same key file on all sites")                                                   \
	X(2, CLUSTER_MISMATCH, "cluster-mismatch", "the peer has another cluster-id",             \
	  "set the same cluster-id on all sites, or another sync-address")                        \
	X(3, VERSION_MISMATCH, "version-mismatch", "the peer speaks another major version",       \
	  "upgrade the older site")                                                               \
	X(4, SAME_SITE, "same-site", "the peer says that it is this site",                        \
	  "check local-site and the sync-addresses on both routers")                              \
	X(5, UNKNOWN_SITE, "unknown-site", "the peer is not the site that its address belongs to", \
	  "load the same dsaa block on all sites")                                                \
	X(6, MALFORMED, "malformed-message", "the peer sent a message that cannot be read",       \
	  "upgrade the sites to the same release; if it stays, report it")                        \
	X(7, STRANGER, "stranger", "a connection came from an address of no configured site",     \
	  "filter the sync port; check the sync-addresses")                                       \
	X(8, SECURITY_MISMATCH, "security-mismatch", "one side speaks TLS, the other plain text", \
	  "configure 'sync key-file' or 'sync insecure' alike on all sites")                      \
	X(9, HOLD_EXPIRED, "hold-time-expired", "nothing was heard from the peer for the hold time", \
	  "check the site-sync link and the load of both routers")                                \
	X(10, TRANSPORT_LOST, "connection-lost", "the connection of the session ended",           \
	  "check the site-sync link and the peer's dsaad")                                        \
	X(11, NO_KEY, "no-key", "no key is configured, and 'sync insecure' is not said",          \
	  "configure 'sync key-file'")                                                            \
	X(12, KEY_UNREADABLE, "key-unreadable", "the key file cannot be read, or is too short",   \
	  "check that the file exists, belongs to user frr, and holds 16 bytes or more")          \
	X(13, KEY_EXPOSED, "key-exposed", "others than its owner may read the key file",          \
	  "chmod 600 the key file")                                                               \
	X(14, PEER_STOPPING, "peer-stopping", "the peer said that it stops",                    \
	  "see why it was stopped, if you did not stop it")                                     \
	X(15, CONFIG_CHANGED, "configuration-changed", "the configuration of the session changed", "") \
	X(16, CONNECT_FAILED, "connect-failed", "no connection could be made to the peer",        \
	  "check the site-sync link, the route to the sync-address and the peer's dsaad")         \
	X(17, BFD_DOWN, "bfd-down", "BFD says that the peer is down on the site-sync link",       \
	  "check the site-sync link")                                                             \
	X(18, NO_LOCAL_SITE, "no-local-site", "no interface carries a sync-address of any site",  \
	  "configure the address of the site-sync link, or 'local-site N'")                       \
	X(19, RESYNC, "resync", "the operator asked for a resync", "")                            \
	X(20, BULK_INCOMPLETE, "bulk-incomplete", "the peer could not apply the whole bulk",      \
	  "look at flowsRejected on the peer; raise nf_conntrack_max")                            \
	X(21, START_TIMER, "start-timer", "no peer answered before the start timer ended",      \
	  "check the site-sync link and the other sites' dsaad; this site serves alone")        \
	X(22, ALL_SILENT, "all-silent", "session, BFD and probe are all silent: the site is dead", \
	  "see why that site is down")                                                          \
	X(23, PROBE_ALIVE, "probe-alive", "the site answers through the network, but its dsaad does not on the site-sync link", \
	  "repair the site-sync link, or see why the peer's dsaad does not run")                                                            \
	X(24, PROTOCOL_ORDER, "protocol-order", "the peer sent a message that its state does not allow", \
	  "upgrade the sites to the same release; if it stays, report it")                        \
	X(25, TOO_MANY, "too-many-connections", "more unfinished connections from one address than are let in", \
	  "filter the sync port; look for what connects there")                                   \
	X(26, HANDSHAKE_TIMEOUT, "handshake-timeout", "a connection came in, but no handshake followed", \
	  "filter the sync port; check the site-sync link")                                       \
	X(27, PEER_DAEMON_GONE, "peer-daemon-gone", "the site answers through the network, and its dsaad ended while the site-sync link worked", \
	  "see why the peer's dsaad does not run; watchfrr starts it again")                      \
	X(28, FLAPPING, "flapping", "the site died three times in a minute: held back for a while", \
	  "find why it dies; it is let in again when the time is over")                           \
	X(29, HANDED_OVER, "handed-over", "no connection is left here: the router can be switched off", "") \
	X(30, NO_HEIR, "no-heir", "no peer is up that holds all of our connections",               \
	  "see show dsaa site; drain again when a peer is up")                                    \
	X(31, ROUTE_LOST, "route-lost", "a tracked route is missing here, so another site shall serve", \
	  "see show dsaa for the route, and why the router has lost it")                          \
	/* why a flow was not applied or not sent (32-47) */                                       \
	X(32, NOT_OWNER, "not-owner", "the sender does not own the connection", "")               \
	X(33, STALE, "stale", "the record is older than what is known", "")                       \
	X(34, CONFLICT_LOST, "conflict-lost", "both sites created the connection; the other one keeps it", "") \
	X(35, TABLE_FULL, "table-full", "the kernel's conntrack table is full",                   \
	  "raise net.netfilter.nf_conntrack_max")                                                 \
	X(36, KERNEL_ERROR, "kernel-error", "the kernel refused the entry", "see debug dsaa conntrack") \
	X(37, ROUTER_ITSELF, "router-itself", "a connection of a router itself is never replicated", "") \
	X(38, BAD_FLOW, "malformed-flow", "the record describes no possible connection",        \
	  "upgrade the sites to the same release; if it stays, report it")                      \
	X(39, NOT_FOUND, "not-found", "the connection to delete is not here", "")                 \
	X(40, FILTERED, "filtered", "'sync protocol' or 'no sync prefix' excludes it",          \
	  "nothing, unless it shall outlive its site")                                          \
	X(41, BACKLOG, "not-yet-replicated", "it changed a moment ago, and no peer has confirmed that", "") \
	X(42, NO_KEEPER, "no-keeper", "no peer is up that holds all of our connections",          \
	  "see show dsaa site")                                                                   \
	X(43, EXPECT_FAILED, "expectation-refused", "the kernel could not take what a helper expects", \
	  "load the same helpers on all sites; raise nf_conntrack_expect_max")                     \
	X(44, HALF_OPEN, "half-open", "a TCP connection is replicated when its handshake is complete", "") \
	/* why a site is what it is, known here alone (48-63) */                                   \
	X(48, PROBE_UNPROVEN, "probe-never-answered", "the site-sync link is silent, and so is a probe that never answered: no proof of a death", \
	  "set a probe address that the other sites reach through the network; see show dsaa site") \
	X(49, BLOCK_DIFFERS, "configuration-differs", "the peer's dsaa block has other lines than ours", \
	  "see show dsaa differences; load the same dsaa block on all sites")                     \
	X(50, RULESET_DIFFERS, "ruleset-differs", "the filter rules that forwarded packets pass are not the same at the peer", \
	  "see show dsaa differences; load the same rules on all sites")                           \
	X(51, NO_CONNTRACK, "no-conntrack", "the kernel's connections cannot be read and changed", \
	  "see the warning of show dsaa sync")                                                   \
	/* what happened to a packet (64-127) */                                                   \
	X(64, FOREIGN, "foreign", "carried to the site that owns its connection", "")             \
	X(65, OFFERED_INVALID, "second-chance-invalid", "no entry, cannot open one: offered to the peers", "") \
	X(66, OFFERED_MIDSTREAM, "second-chance-midstream", "TCP without entry and without SYN: offered to the peers", "") \
	X(67, OFFERED_POOL, "second-chance-nat-pool", "to another site's NAT pool: offered to the peers", "") \
	X(68, ADOPTED, "adopted", "its owner is dead: treated as ours", "")                       \
	X(69, OWNER_UNREACHABLE, "owner-unreachable", "its owner cannot be reached, and it may not become ours: dropped", \
	  "repair the site-sync link; see split-brain and ruleset-mismatch")                      \
	X(70, TO_ROUTER, "to-router", "addressed to the router itself: left to the stack", "")    \
	X(71, NO_PEER, "no-peer", "no entry and no peer to ask: left to the stack", "")           \
	X(72, LOCAL, "local", "our own connection", "")                                           \
	X(73, OPENS, "opens-here", "may open a connection here", "")                              \
	X(74, OFFERED_POLICY, "second-chance-policy", "the operator's policy would refuse it: offered to the peers", "") \
	X(75, HELD, "held", "waited for the state of its connection, which came: carried to its owner", "") \
	X(76, REFUSED, "refused", "the operator's policy refuses it, and it is no other site's: dropped", \
	  "see the operator's own rules")                                                         \
	X(77, NOT_CORRECTED, "not-corrected", "correction does not run here: left to the stack",  \
	  "see show dsaa correction for why")                                                     \
	X(79, WOULD_CORRECT, "would-correct", "observed: would have been carried to the site that owns its connection", "") \
	X(80, RX_DELIVERED, "delivered", "came from a peer and was processed here", "")           \
	X(81, RX_STRANGER, "tunnel-stranger", "a tunnel packet from no configured peer: refused", \
	  "filter the tunnel port on other interfaces")                                           \
	X(82, RX_MALFORMED, "tunnel-malformed", "a tunnel packet that cannot be read: refused", \
	  "filter the tunnel port on other interfaces; check that all sites are of the same release") \
	X(83, RX_UNKNOWN_INTERFACE, "tunnel-unknown-interface", "a tunnel packet for an interface that is not configured", \
	  "load the same dsaa block on all sites")                                                \
	X(84, RX_NOT_OURS, "second-chance-not-ours", "a peer offered a packet of no connection of ours: dropped", "") \
	X(85, RX_LOOP, "loop", "a peer sent a packet of a connection that is not ours: dropped", \
	  "see show dsaa explain on both sites")                                                  \
	X(86, RX_OPENS, "tunnel-opens", "a corrected packet would open a connection: dropped", "") \
	X(87, QUEUE_OVERLOAD, "queue-overload", "the kernel dropped packets because the queue was full", \
	  "see why correction goes through the queue in show dsaa correction; it is slower than the fast path") \
	X(88, SEND_FAILED, "send-failed", "the tunnel packet could not be sent",                  \
	  "check the site-sync link and its MTU")                                                 \
	X(89, TUN_FAILED, "deliver-failed", "the packet could not be handed to the stack",      \
	  "check that the interface of the packet is up")                                       \
	X(90, UNREADABLE, "packet-unreadable", "a queued packet that cannot be read: dropped", "")
/* clang-format on */

enum dsaa_reason {
#define DSAA_REASON_ENUM(num, name, text, meaning, remedy) DSAA_R_##name = (num),
	DSAA_REASON_LIST(DSAA_REASON_ENUM)
#undef DSAA_REASON_ENUM
		DSAA_REASONS_MAX = 128,
};

/* The short name of a reason ("wrong-key"); "unknown" for a number of no reason. */
const char *dsaa_reason_name(unsigned reason);
/* One sentence on what it means; empty for an unknown number. */
const char *dsaa_reason_meaning(unsigned reason);
/* What an operator can do; may be empty. */
const char *dsaa_reason_remedy(unsigned reason);
/* The next number after REASON that has a name, or DSAA_REASONS_MAX; start with 0. */
unsigned dsaa_reason_next(unsigned reason);

#endif
