/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connection as the kernel's conntrack table knows it, free of any kernel
 * or library type. Edges translate; core compares, encodes and decides.
 *
 * Key: zone, protocol and the original-direction tuple. Two entries of one
 * table can never share it.
 */
#ifndef DSAA_FLOW_H
#define DSAA_FLOW_H

#include "core/dsaa_types.h"

/* IANA protocol numbers that are treated each in a way of its own. */
enum dsaa_proto {
	DSAA_PROTO_ICMP = 1,
	DSAA_PROTO_TCP = 6,
	DSAA_PROTO_UDP = 17,
	DSAA_PROTO_DCCP = 33,
	DSAA_PROTO_GRE = 47,
	DSAA_PROTO_ICMPV6 = 58,
	DSAA_PROTO_SCTP = 132,
	DSAA_PROTO_UDPLITE = 136,
};

/*
 * One direction of a connection. Ports are in host order. For protocols
 * without ports: ICMP and ICMPv6 put the identifier into sport and
 * (type << 8 | code) into dport; GRE puts its keys there; others leave both 0.
 */
struct dsaa_tuple {
	uint8_t src[16];
	uint8_t dst[16];
	uint16_t sport;
	uint16_t dport;
};

/* struct dsaa_flow.status: our own numbers, mapped explicitly at each edge */
enum dsaa_flow_status {
	DSAA_FLOW_SEEN_REPLY = 1 << 0,
	DSAA_FLOW_ASSURED = 1 << 1,
	DSAA_FLOW_SNAT = 1 << 2, /* reply.dst/dport is not orig.src/sport */
	DSAA_FLOW_DNAT = 1 << 3, /* reply.src/sport is not orig.dst/dport */
};

/* How far one direction's sequence numbers were moved by a helper that changed what it carries. */
struct dsaa_seqadj {
	uint32_t position; /* of the last change */
	int32_t before;	   /* offset of what stands before it */
	int32_t after;
};

/* struct dsaa_flow.has: which of the rare parts a connection has; without its bit a part is zero */
enum dsaa_flow_has {
	DSAA_HAS_MASTER = 1 << 0, /* it was expected by another connection */
	DSAA_HAS_SEQADJ = 1 << 1,
	DSAA_HAS_LABELS = 1 << 2,
	DSAA_HAS_REPLY_ZONE = 1 << 3, /* its directions are in different zones */
	/* no part, but of a record that came: its sender has adopted it on demand */
	DSAA_HAS_ON_DEMAND = 1 << 4,
};

enum { DSAA_HELPER_MAX = 16, DSAA_LABELS_LEN = 16 }; /* the name with its NUL */

struct dsaa_flow {
	uint8_t family; /* 4 or 6 */
	uint8_t proto;	/* IANA protocol number */
	uint16_t zone;	/* of the original direction, and of both without DSAA_HAS_REPLY_ZONE */
	struct dsaa_tuple orig;
	struct dsaa_tuple reply; /* as in the table: with NAT applied */
	uint32_t status;	 /* enum dsaa_flow_status */
	uint32_t mark;		 /* the whole conntrack mark, owner bits included */
	uint32_t timeout_s;
	uint64_t start_ns; /* wall clock of creation as the owner's kernel says it; 0 = unknown */

	/* TCP: state by the numbers of the kernel's enum tcp_conntrack (nf_conntrack_tcp.h) */
	uint8_t tcp_state;
	uint8_t tcp_wscale[2]; /* [0] original, [1] reply direction */
	uint8_t tcp_flags
		[2]; /* IP_CT_TCP_FLAG_*: WINDOW_SCALE 0x01, SACK_PERM 0x02, BE_LIBERAL 0x08 */

	/* SCTP: state by enum sctp_conntrack, verification tags; DCCP: state, role */
	uint8_t sctp_state;
	uint8_t dccp_state;
	uint8_t dccp_role;
	uint32_t sctp_vtag[2];
	uint64_t dccp_handshake_seq;

	/* the rare parts */
	uint8_t has; /* enum dsaa_flow_has */
	uint8_t master_proto;
	uint16_t reply_zone;		 /* one of both zones is 0 */
	char helper[DSAA_HELPER_MAX];	 /* the helper's name, padded with NULs; empty: none */
	uint8_t labels[DSAA_LABELS_LEN]; /* in the kernel's order */
	struct dsaa_seqadj seqadj[2];	 /* [0] original, [1] reply direction */
	struct dsaa_tuple master;	 /* its original tuple; family and zone are the same */

	/* the kernel's CTA_ID; meaningful in one kernel only, never sent */
	uint32_t id;
};

/*
 * True for a TCP connection whose handshake the kernel has not seen the end of. Nobody is told of
 * it: a flood of SYNs shall fill one table, not all; and a takeover cannot continue it, because the
 * kernel takes no acknowledgement for an entry that has seen a SYN alone (nf_conntrack_proto_tcp.c,
 * tcp_conntracks). What of it comes to another site reaches its owner by second chance. Not so in a
 * zone, because an owner who is offered a packet looks for it in the default zone alone.
 */
static inline bool dsaa_flow_half_open(const struct dsaa_flow *f)
{
	return f->proto == DSAA_PROTO_TCP && !(f->status & DSAA_FLOW_ASSURED) && !f->zone &&
	       !(f->has & DSAA_HAS_REPLY_ZONE);
}

/*
 * Hash of a flow's key (zone, family, proto, original tuple). SEED makes
 * tables unpredictable; digests that two sites compare use DSAA_DIGEST_SEED.
 */
uint64_t dsaa_flow_key_hash(const struct dsaa_flow *f, uint64_t seed);
#define DSAA_DIGEST_SEED UINT64_C(0x6473616164696765)

/* The zone in which F's reply tuple stands. */
static inline uint16_t dsaa_flow_reply_zone(const struct dsaa_flow *f)
{
	return f->has & DSAA_HAS_REPLY_ZONE ? f->reply_zone : f->zone;
}

/* True when the keys are equal. */
bool dsaa_flow_key_equal(const struct dsaa_flow *a, const struct dsaa_flow *b);
/*
 * Would the kernel take F for the entry that KEY's original tuple names? It looks that up in both
 * directions (net/netfilter/nf_conntrack_netlink.c, ctnetlink_new_conntrack).
 */
bool dsaa_flow_found_by(const struct dsaa_flow *f, const struct dsaa_flow *key);

/*
 * The tuple of an answer to IN of protocol PROTO, when no NAT is done, into
 * OUT (which may be IN). False, and OUT untouched, when there can be no answer
 * (an ICMP type that is not one of a query and its reply).
 */
bool dsaa_tuple_reverse(uint8_t proto, const struct dsaa_tuple *in, struct dsaa_tuple *out);

/*
 * Why the key alone is not one of a possible connection, or NULL when it is:
 * what dsaa_flow_invalid says of family, protocol and original tuple.
 */
const char *dsaa_flow_key_invalid(const struct dsaa_flow *f);

/* True when NAME of DSAA_HELPER_MAX bytes is one of a helper: printable, NULs to its end. */
bool dsaa_helper_name_valid(const char name[DSAA_HELPER_MAX]);

/*
 * Why a flow is not fit to be sent or injected, or NULL when it is: family
 * and protocol known, tuples' families consistent, no all-zero addresses, TCP
 * state in range, status flags only known ones and matching the tuples (SNAT
 * and DNAT derived), the rare parts what their bits say. The text is a constant.
 */
const char *dsaa_flow_invalid(const struct dsaa_flow *f);

/*
 * Digest of what a replica of F must have besides its key, so that one that
 * was altered is found: NAT, the user's bits of the mark (outside of
 * MARK_MASK), whether an answer was seen and it is assured, and the state of
 * its protocol as far as every site learns it. SEED changes from time to time:
 * two states that are taken for one are not the next time. The specification
 * (section 6) has the same list.
 */
uint32_t dsaa_flow_state_digest(const struct dsaa_flow *f, uint32_t mark_mask, uint64_t seed);

/* Sets the SNAT and DNAT bits of F->status from its tuples. */
void dsaa_flow_derive_nat(struct dsaa_flow *f);

/*
 * What this kernel gives a connection without packets, in seconds, by protocol
 * and state (nf_conntrack_*_timeout*). 0: not known, the kernel's own default
 * counts. Index of the states: their numbers in struct dsaa_flow.
 */
struct dsaa_timeouts {
	uint32_t tcp[10];
	uint32_t sctp[10];
	uint32_t dccp[8];
	uint32_t udp, udp_stream;
	uint32_t gre, gre_stream;
	uint32_t icmp, icmpv6;
	uint32_t generic;
};

/*
 * The timeout in seconds that an adopted flow gets: what T says of its
 * protocol and state, never less than the grace of 120 s, which covers the
 * routing change that brings its packets here. Those that only have the grace
 * get up to a minute more, each another part of it: a site's idle connections
 * must not all end in the same second.
 */
uint32_t dsaa_flow_adopted_timeout_s(const struct dsaa_flow *f, const struct dsaa_timeouts *t);
#define DSAA_ADOPTED_GRACE_S  120u
#define DSAA_ADOPTED_SPREAD_S 60u

/*
 * The timeout of a replica: it must not age before its owner says so
 * (deletion, sweep and audit remove it), so it is long: 5 days.
 */
#define DSAA_REPLICA_TIMEOUT_S 432000u

#endif
