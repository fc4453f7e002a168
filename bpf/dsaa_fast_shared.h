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

#define DSAA_FAST_LAYOUT 5

enum dsaa_fast_limits {
	DSAA_FAST_SITES = DSAA_SITES_MAX + 1,	/* by site number; 0 is no site */
	DSAA_FAST_IFACES = DSAA_IFACES_MAX + 1, /* by logical interface; 0 is none */
	DSAA_FAST_PORTS = DSAA_IFACES_MAX,	/* interfaces by ifindex */
	DSAA_FAST_PEERS = DSAA_SITES_MAX * DSAA_SITE_SYNC_ADDRESSES_MAX,
	DSAA_FAST_LOCALS = DSAA_LOCAL_ADDRESSES_MAX,
	DSAA_FAST_REASONS = 128, /* DSAA_REASONS_MAX */
	DSAA_FAST_PREFIXES = DSAA_COUNTED_PREFIXES_MAX,
	DSAA_FAST_ELSEWHERE_LEN = 1 << 16, /* bytes of the ring: some thousand packets */
	/* 8 Mbit: for 400000 connections of other sites one in ten others is looked up in vain */
	DSAA_FAST_FILTER_SHIFT = 17, /* words of the filter, as a power of two */
	DSAA_FAST_FILTER_WORDS = 1 << DSAA_FAST_FILTER_SHIFT,
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
	__u32 filter;	   /* the filter knows all connections of other sites: use it */
	__u32 tunnel_port; /* UDP, network order; 0: nothing is taken straight from the link */
	__u32 elsewhere; /* tell of connections that a peer knows nothing of, by ring "elsewhere" */
};

/* Ring "elsewhere": a packet of a connection of ours that came from a peer as second chance. */
struct dsaa_fast_elsewhere {
	__u32 src[4], dst[4]; /* network order; IPv4: the first word */
	__u16 sport, dport;   /* network order */
	__u8 family;	      /* 4, 6 */
	__u8 proto;
	__u8 unused[2];
};

/*
 * Map "filter": a Bloom filter of one function, two bits for each connection of another site, one
 * for each direction's addresses and ports. A packet whose bit is not set belongs to none of them
 * and needs no look-up. The same for both directions of one tuple; not for other protocols than
 * TCP and UDP, which are not distinguished.
 */
struct dsaa_fast_bit {
	__u32 word; /* < DSAA_FAST_FILTER_WORDS */
	__u64 bit;
};

/* X, Y: the two addresses, IPv6 as dsaa_fast_fold(); all in network order. */
static inline __attribute__((always_inline)) struct dsaa_fast_bit
dsaa_fast_filter_bit(__u32 x, __u32 y, __u16 sport, __u16 dport)
{
	__u64 addresses = ((__u64)(x ^ y) << 32) + x + y;
	__u64 ports = ((__u64)(sport ^ dport) << 20) + sport + dport;
	/* Fibonacci hashing: the high bits of the product depend on all of the sum */
	__u64 hash = (addresses ^ ports * 0xbf58476d1ce4e5b9ull) * 0x9e3779b97f4a7c15ull;
	struct dsaa_fast_bit b = { hash >> (64 - DSAA_FAST_FILTER_SHIFT),
				   1ull << (hash >> (58 - DSAA_FAST_FILTER_SHIFT) & 63) };

	return b;
}

static inline __attribute__((always_inline)) __u32 dsaa_fast_fold(const __u32 a[4])
{
	__u64 sum = ((__u64)a[0] << 32 | a[1]) * 0x9e3779b97f4a7c15ull ^
		    ((__u64)a[2] << 32 | a[3]) * 0xbf58476d1ce4e5b9ull;

	return sum >> 32;
}

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
	__u32 ifindex; /* of the link that frames are put on; 0: the VXLAN device shall send */
	__u32 over;    /* IPv6: ifindex of the link, for which nobody cuts what is too long; or 0 */
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
	__u8 attached;
	__u8 unused[3];
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
	__u64 packets_observed; /* would have been sent */
	__u64 bytes_observed;
};

/* Map "prefixes": the number of the longest prefix that an address lies in. */
struct dsaa_fast_prefix {
	__u32 len; /* of all 128 bits */
	struct dsaa_fast_addr addr;
};

/* Map "prefixes_seen" (per CPU), by that number: what was addressed to it and left for its owner. */
struct dsaa_fast_prefix_count {
	__u64 packets;
	__u64 bytes;
	__u64 packets_observed;
	__u64 bytes_observed;
};

#endif
