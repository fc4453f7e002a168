/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The packet filter rules of dsaad: one nf_tables table "inet dsaa" of our
 * own, replaced whole in one transaction. It keeps the tunnel and the peers'
 * BFD out of conntrack, limits conntrack's events to those that are read, and puts the packets that
 * need a decision into queues (core/dsaa_queue.h).
 *
 *	link (ingress of the site-sync interfaces), raw_out (output, -300)
 *	    the tunnel's and BFD's packets from and to the peers are not tracked
 *	raw_in (input, -300)
 *	    the tunnel's packets to us by another interface than that of the sync-address,
 *	    and those without its header: dropped and counted
 *	raw (prerouting, -300)
 *	    in place of link and raw_in where that is not enough: see dsaa_rules.c
 *	correct (prerouting, -149: after the operator's mangle rules, before DNAT)
 *	    TCP that closes reports its changes of state from now on
 *	    established and ours: left alone, after two rules; all else -> others
 *	others
 *	    not tracked (the tunnel itself, BFD): left alone, unless from a peer
 *	    new connections report assured, destroy, and changes of mark, label,
 *	    helper and sequence numbers; those of other protocols than TCP, and
 *	    of zones, that they are there as well; other protocols than TCP the
 *	    first answer and their states, too
 *	    from a peer (by the TAP device, or with a site's address as Ethernet
 *	    source): what has no entry or a foreign one -> queue
 *	    not from a correction interface: left alone
 *	    a foreign site's number in the mark -> queue of that site, no bypass;
 *	    one that is adopted on demand -> our own number in the mark
 *	    second chance: INVALID, TCP NEW without SYN, NEW to a foreign NAT
 *	    pool -> queue, with bypass (without a daemon the stack goes on)
 *
 * Packets that the router itself sends are never touched.
 *
 * Any thread, one at a time. Every call needs CAP_NET_ADMIN effective in the
 * calling thread (nfnetlink looks at the caller of send, not at the opener).
 */
#ifndef DSAA_RULES_H
#define DSAA_RULES_H

#include "core/dsaa_queue.h"
#include "core/dsaa_types.h"

/* Our table, of family inet, and its set: the correction interfaces. */
#define DSAA_RULES_TABLE "dsaa"
#define DSAA_RULES_SET	 "interfaces"

enum dsaa_rules_limits {
	DSAA_RULES_NAME_LEN = 16, /* an interface's name with its NUL */
	DSAA_RULES_POOLS_MAX = DSAA_SITES_MAX * DSAA_NAT_POOLS_MAX,
	DSAA_RULES_PEERS_MAX = DSAA_SITES_MAX * DSAA_SITE_SYNC_ADDRESSES_MAX,
};

struct dsaa_rules_config {
	uint32_t mark_mask;   /* dsaa_mark_mask_valid() */
	uint16_t queue_base;  /* queues base .. base + DSAA_QUEUES - 1 */
	unsigned queues;      /* over which a site's packets are spread, 1..DSAA_QUEUE_SPREAD_MAX */
	uint16_t tunnel_port; /* UDP */
	char tun_name[DSAA_RULES_NAME_LEN];
	/* packets that come in here are looked at */
	char iface[DSAA_IFACES_MAX][DSAA_RULES_NAME_LEN];
	unsigned ifaces;
	/* the sites whose connections are foreign: every other configured site but the adopted */
	dsaa_site_id foreign[DSAA_SITES_MAX];
	unsigned foreigns;
	/*
	 * adopted sites of whose connections each becomes ours with its first packet: its mark
	 * says so
	 */
	dsaa_site_id on_demand[DSAA_SITES_MAX];
	unsigned on_demands;
	dsaa_site_id local; /* our own number, which is put into those marks */
	bool second_chance; /* some peer can be asked */
	bool tcp_begins;    /* a TCP connection's first packet is an event, too */
	/* the other sites' NAT pools, for second chance */
	struct dsaa_prefix pool[DSAA_RULES_POOLS_MAX];
	unsigned pools;
	/* our own sync-addresses, and the interface of each: tunnel packets come in there only */
	struct {
		struct dsaa_addr addr;
		char iface[DSAA_RULES_NAME_LEN];
		unsigned ifindex; /* another one by the same name needs the hooks made anew */
	} link[DSAA_SITE_SYNC_ADDRESSES_MAX];
	unsigned links;
	/* the peers' sync-addresses, for the tunnel and BFD */
	struct dsaa_addr peer[DSAA_RULES_PEERS_MAX];
	unsigned peers;
};

struct dsaa_rules_status {
	bool installed;
	bool native_queue; /* nf_tables' own queue expression; else the xt NFQUEUE target */
	bool ingress;	   /* chain link, so that packets of others do not pass chain raw */
	bool event_mask;   /* events are limited; else every change of a connection is reported */
	unsigned rules;	   /* how many were installed */
	char why[160];	   /* why not installed, or what is missing; empty when all is well */
};

/*
 * Installs what CONFIG says in place of what was there. Optional parts that
 * the kernel does not know are left out and named in STATUS. Returns 0, or a
 * negative errno: then the rules that were there before are still there, and
 * STATUS->why tells why (-EINVAL: CONFIG is out of range).
 */
int dsaa_rules_apply(const struct dsaa_rules_config *config, struct dsaa_rules_status *status);

/*
 * The same while the table stands as an earlier call left it, with the same interfaces: its rules
 * alone are replaced, with the features that STATUS (of that call) tells of. The hooks stay, for
 * when one goes the kernel drops every packet that waits in any queue (nf_queue_nf_hook_drop() in
 * net/netfilter/nf_queue.c). On an error the old rules are still there, and STATUS is as it was.
 */
int dsaa_rules_refill(const struct dsaa_rules_config *config, struct dsaa_rules_status *status);

/*
 * Whether the table is there: 1, 0, or a negative errno. *STATE is made of its handle and flags, of
 * the number of its chains and sets, of the handles of its rules, and of the elements of its set:
 * another one than after dsaa_rules_apply() or dsaa_rules_refill() means that somebody changed it,
 * or made it anew, as "nft -f" does with what "nft list ruleset" said. *RULES: how many it has.
 */
int dsaa_rules_present(uint64_t *state, unsigned *rules);

/*
 * A socket that becomes readable when anybody changes anything in nf_tables (also ourselves), or a
 * negative errno. It is the caller's to close, and gives no work while it waits.
 */
int dsaa_rules_watch_open(void);

/*
 * Reads what came there. True when our table may have changed: a message names it, or some were
 * lost. Reads no more than a bounded number at once. Needs no capability.
 */
bool dsaa_rules_watch_read(int fd);

/*
 * Flowtables in anybody's tables: packets that they forward pass no rule. How
 * many, with "TABLE/NAME, ..." cut to LEN bytes in NAMES, or a negative errno;
 * 0 as well when the kernel knows none.
 */
int dsaa_rules_flowtables(char *names, size_t len);

/*
 * Tunnel packets to one of our sync-addresses that were dropped since the table was installed:
 * those that came in elsewhere, and those without the tunnel's header, which the kernel's tunnel
 * device would drop without a word. 0 or a negative errno.
 */
int dsaa_rules_refused(uint64_t *strangers, uint64_t *malformed);

/* Removes the table, if it is there. 0 or a negative errno, with a sentence in WHY (or NULL). */
int dsaa_rules_remove(char *why, size_t whylen);

#endif
