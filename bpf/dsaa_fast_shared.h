/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the programs of the fast path (dsaa_fast.bpf.c) and their loader share:
 * limits and the contents of the maps. Both sides include this file; nothing of
 * it is written down twice.
 *
 * Maps are kept over a restart of dsaad, so a change of any layout or meaning
 * here needs another DSAA_FAST_LAYOUT: then nothing old is taken over.
 */
#ifndef DSAA_FAST_SHARED_H
#define DSAA_FAST_SHARED_H

#include <linux/types.h>

#include "core/dsaa_limits.h"

#define DSAA_FAST_LAYOUT 1

/*
 * The mark of a packet between dsaa_from_peer and the second look at ingress of
 * the interface it came in from originally, which takes it off again: nothing
 * else in the kernel sees it.
 */
#define DSAA_FAST_MARK 0xd5aad5aau

enum dsaa_fast_limits {
	DSAA_FAST_SITES = DSAA_SITES_MAX + 1,	/* by site number; 0 is no site */
	DSAA_FAST_IFACES = DSAA_IFACES_MAX + 1, /* by logical interface; 0 is none */
	DSAA_FAST_PORTS = DSAA_IFACES_MAX,	/* interfaces by ifindex */
	DSAA_FAST_PEERS = DSAA_SITES_MAX * DSAA_SITE_SYNC_ADDRESSES_MAX,
	DSAA_FAST_LOCALS = DSAA_LOCAL_ADDRESSES_MAX,
	DSAA_FAST_REASONS = 128, /* DSAA_REASONS_MAX */
};

/*
 * Map "words": the state word of each site (enum dsaa_site_word) by its number.
 * Number 0 is the gate: while it is 0, no packet is looked up, because no
 * foreign connection is here, or none of which a packet could be carried.
 */
#define DSAA_FAST_GATE 0

/* Map "control", one of it. */
struct dsaa_fast_control {
	__u32 mark_mask;
	__u32 mark_shift; /* of the lowest bit in the mask */
	__u32 local_site;
	__u32 vx_ifindex;  /* the VXLAN device */
	__u32 tun_ifindex; /* the TAP device of the slow path, 0: none */
	__u32 observe;	   /* count what would be carried, touch nothing */
};

/* An address in network order; IPv4 as ::ffff:a.b.c.d. */
struct dsaa_fast_addr {
	__u32 word[4];
};

/* Map "sites", by site number: where its packets are sent to. */
struct dsaa_fast_site {
	__u32 family; /* 4, 6; 0: nowhere */
	/* IPv4: one number in host order (as bpf_tunnel_key has it); IPv6: network order */
	__u32 remote[4];
	__u32 local[4];
};

/* Map "ifaces", by logical interface: where packets for it are delivered. */
struct dsaa_fast_iface {
	__u32 ifindex; /* 0: not here */
	__u8 mac[6];
	__u8 ethernet; /* 0: has no Ethernet header; delivered through the TAP device */
	__u8 unused;
};

/* Map "ports", by ifindex. */
struct dsaa_fast_port {
	__u16 iface;	 /* number of the logical interface */
	__u8 caught;	 /* foreign packets are caught here */
	__u8 made_qdisc; /* the clsact qdisc is ours */
};

/* Map "reasons" (per CPU), by enum dsaa_reason. Packets are those of the wire, before GRO. */
struct dsaa_fast_reason {
	__u64 packets;
	__u64 bytes; /* of IP */
};

/* Map "peers_seen" (per CPU), by site number. */
struct dsaa_fast_peer_count {
	__u64 packets_sent;
	__u64 bytes_sent;
	__u64 packets_received;
	__u64 bytes_received;
};

#endif
