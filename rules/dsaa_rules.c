/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the table "inet dsaa" says, rule by rule. The order inside a chain is
 * the order of the functions that fill it.
 *
 * "No entry" is said as: conntrack state NEW and status not CONFIRMED. State
 * NEW alone is not enough: it is also the state of further packets of a
 * connection that is in the table but has seen no answer yet.
 */
#include "rules/dsaa_rules.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>

#include "core/dsaa_encap.h"
#include "core/dsaa_flow.h"
#include "core/dsaa_owner.h"
#include "rules/dsaa_nft.h"

enum {
	PRIO_RAW = -300,     /* before conntrack (-200) */
	PRIO_CORRECT = -149, /* after mangle (-150), before DNAT (-100) */

	/* the bits of nf_tables' ct state (NF_CT_STATE_BIT in the kernel) */
	STATE_INVALID = 1 << 0,
	STATE_ESTABLISHED = 1 << 1,
	STATE_RELATED = 1 << 2,
	STATE_NEW = 1 << 3,
	STATE_UNTRACKED = 1 << 6,

	/* offsets in packets */
	ETHER_SRC = 6,
	IP4_FRAG_OFF = 6,
	IP4_SRC = 12,
	IP4_DST = 16,
	IP6_SRC = 8,
	IP6_DST = 24,
	UDP_DST_PORT = 2,
	UDP_LEN = 4,
	UDP_DATA = 8,
	BFD_PORT = 3784,	  /* RFC 5881 */
	BFD_MULTIHOP_PORT = 4784, /* RFC 5883 */
	TCP_OFFSET_FLAGS = 12,	  /* data offset, flags, window */
	TCP_FLAGS = 13,
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
	TCP_ACK = 0x10,
};

static const char table[] = DSAA_RULES_TABLE;

/* The names of the chains and the set, as "nft list table inet dsaa" shows them. */
static const char raw[] = "raw", raw_in[] = "raw_in", raw_out[] = "raw_out", link[] = "link",
		  tunnel_in[] = "tunnel_in", no_tunnel[] = "no_tunnel", peers_in[] = "peers_in",
		  peers_out[] = "peers_out", correct[] = "correct", others[] = "others",
		  untracked[] = "untracked", from_peer[] = "from_peer", owned[] = "owned",
		  offer_pool[] = "offer_pool", ifaces[] = DSAA_RULES_SET;

/* ------------------------------------------------------------------ conditions */

static void when_u32(struct dsaa_nft *t, uint32_t mask, uint32_t value)
{
	dsaa_nft_and(t, &mask, sizeof(mask));
	dsaa_nft_is(t, &value, sizeof(value));
}

static void when_any_u32(struct dsaa_nft *t, uint32_t mask)
{
	static const uint32_t none;

	dsaa_nft_and(t, &mask, sizeof(mask));
	dsaa_nft_is_not(t, &none, sizeof(none));
}

static void when_state(struct dsaa_nft *t, uint32_t states)
{
	dsaa_nft_ct(t, NFT_CT_STATE);
	when_any_u32(t, states);
}

/* The packet would open a connection: NEW and not in the table yet. */
static void when_opening(struct dsaa_nft *t)
{
	when_state(t, STATE_NEW);
	dsaa_nft_ct(t, NFT_CT_STATUS);
	when_u32(t, IPS_CONFIRMED, 0);
}

static void when_proto(struct dsaa_nft *t, uint8_t proto)
{
	dsaa_nft_meta(t, NFT_META_L4PROTO);
	dsaa_nft_is(t, &proto, sizeof(proto));
}

static void when_family(struct dsaa_nft *t, uint8_t family)
{
	uint8_t proto = family == 4 ? NFPROTO_IPV4 : NFPROTO_IPV6;

	dsaa_nft_meta(t, NFT_META_NFPROTO);
	dsaa_nft_is(t, &proto, sizeof(proto));
}

/* The source (or destination) address lies in PREFIX. */
static void when_prefix(struct dsaa_nft *t, const struct dsaa_prefix *prefix, bool source)
{
	bool v4 = prefix->addr.family == 4;
	unsigned len = v4 ? 4 : 16, i;
	uint8_t mask[16] = { 0 }, net[16];

	when_family(t, prefix->addr.family);
	if (v4)
		dsaa_nft_payload(t, NFT_PAYLOAD_NETWORK_HEADER, source ? IP4_SRC : IP4_DST, len);
	else
		dsaa_nft_payload(t, NFT_PAYLOAD_NETWORK_HEADER, source ? IP6_SRC : IP6_DST, len);
	for (i = 0; i < prefix->len; i++)
		mask[i / 8] |= 0x80 >> i % 8;
	for (i = 0; i < len; i++)
		net[i] = prefix->addr.bytes[i] & mask[i];
	if (prefix->len < len * 8)
		dsaa_nft_and(t, mask, len);
	dsaa_nft_is(t, net, len);
}

static void when_from(struct dsaa_nft *t, const char name[DSAA_RULES_NAME_LEN])
{
	char padded[DSAA_RULES_NAME_LEN] = { 0 };

	memcpy(padded, name, strnlen(name, sizeof(padded) - 1));
	dsaa_nft_meta(t, NFT_META_IIFNAME);
	dsaa_nft_is(t, padded, sizeof(padded));
}

static void when_not_from(struct dsaa_nft *t, const char name[DSAA_RULES_NAME_LEN])
{
	char padded[DSAA_RULES_NAME_LEN] = { 0 };

	memcpy(padded, name, strnlen(name, sizeof(padded) - 1));
	dsaa_nft_meta(t, NFT_META_IIFNAME);
	dsaa_nft_is_not(t, padded, sizeof(padded));
}

/*
 * The Ethernet source is a site's address (core/dsaa_encap.h): it came from a peer, and was
 * delivered on the interface where it came in first.
 */
static void when_from_site(struct dsaa_nft *t)
{
	static const uint8_t prefix[] = DSAA_MAC_PREFIX;

	dsaa_nft_payload(t, NFT_PAYLOAD_LL_HEADER, ETHER_SRC, sizeof(prefix));
	dsaa_nft_is(t, prefix, sizeof(prefix));
}

/* ------------------------------------------------------------------ chains */

/*
 * The tunnel's and BFD's packets from (or to) one peer are not tracked; no further rule of the
 * chain for them.
 */
static void add_notrack(struct dsaa_nft *t, const char *chain, const struct dsaa_addr *peer,
			bool source)
{
	struct dsaa_prefix host = { .addr = *peer, .len = peer->family == 4 ? 32 : 128 };

	dsaa_nft_rule(t, chain);
	when_prefix(t, &host, source);
	dsaa_nft_notrack(t);
	dsaa_nft_accept(t);
	dsaa_nft_rule_end(t);
}

/*
 * The kernel's tunnel device takes packets from any interface: whoever can send by the peer's
 * address from another side ends here. Only rules of this chain that refuse a stranger count.
 */
static void add_stranger(struct dsaa_nft *t, const struct dsaa_rules_config *c, unsigned i)
{
	struct dsaa_prefix host = { .addr = c->link[i].addr,
				    .len = c->link[i].addr.family == 4 ? 32 : 128 };

	dsaa_nft_rule(t, tunnel_in);
	when_prefix(t, &host, false);
	when_not_from(t, c->link[i].iface);
	dsaa_nft_counter(t);
	dsaa_nft_drop(t);
	dsaa_nft_rule_end(t);
}

/* What is addressed to the tunnel but has not its header, or not all of it (core/dsaa_encap.h). */
static void add_malformed(struct dsaa_nft *t, const struct dsaa_rules_config *c, unsigned i)
{
	static const uint8_t least[2] = { 0, UDP_DATA + DSAA_ENCAP_LEN }, flags[4] = { 0x08 };
	struct dsaa_prefix host = { .addr = c->link[i].addr,
				    .len = c->link[i].addr.family == 4 ? 32 : 128 };

	dsaa_nft_rule(t, tunnel_in);
	when_prefix(t, &host, false);
	dsaa_nft_payload(t, NFT_PAYLOAD_TRANSPORT_HEADER, UDP_LEN, sizeof(least));
	dsaa_nft_is_below(t, least, sizeof(least));
	dsaa_nft_goto(t, no_tunnel);
	dsaa_nft_rule_end(t);

	dsaa_nft_rule(t, tunnel_in);
	when_prefix(t, &host, false);
	dsaa_nft_payload(t, NFT_PAYLOAD_TRANSPORT_HEADER, UDP_DATA, sizeof(flags));
	dsaa_nft_is_not(t, flags, sizeof(flags));
	dsaa_nft_goto(t, no_tunnel);
	dsaa_nft_rule_end(t);
}

/*
 * The tunnel ends at our sync-addresses alone. The kernel's tunnel device takes packets to any
 * address of the router, behind which no interface was asked for.
 */
static void add_elsewhere(struct dsaa_nft *t, const struct dsaa_rules_config *c)
{
	unsigned i;

	for (i = 0; i < c->links; i++) {
		struct dsaa_prefix host = { .addr = c->link[i].addr,
					    .len = c->link[i].addr.family == 4 ? 32 : 128 };

		dsaa_nft_rule(t, tunnel_in);
		when_prefix(t, &host, false);
		dsaa_nft_accept(t);
		dsaa_nft_rule_end(t);
	}
	dsaa_nft_rule(t, tunnel_in);
	dsaa_nft_counter(t);
	dsaa_nft_drop(t);
	dsaa_nft_rule_end(t);
}

/* UDP to PORT goes on in chain TO. */
static void add_goto_port(struct dsaa_nft *t, const char *chain, uint16_t number, const char *to)
{
	uint8_t port[2] = { number >> 8, number & 0xff };

	dsaa_nft_rule(t, chain);
	when_proto(t, DSAA_PROTO_UDP);
	dsaa_nft_payload(t, NFT_PAYLOAD_TRANSPORT_HEADER, UDP_DST_PORT, sizeof(port));
	dsaa_nft_is(t, port, sizeof(port));
	dsaa_nft_goto(t, to);
	dsaa_nft_rule_end(t);
}

/*
 * BFD's packets to and from a peer. No BFD packet is ever answered by the port that it came from,
 * so a tracked one is never more than half a connection: the first that the kernel gives up for a
 * new one when its table is full, and the next packet then finds no room. A site whose table is
 * full is not dead.
 */
static void add_bfd(struct dsaa_nft *t, const char *chain, const char *to)
{
	add_goto_port(t, chain, BFD_PORT, to);
	add_goto_port(t, chain, BFD_MULTIHOP_PORT, to);
}

/*
 * A hook at prerouting costs every packet that is forwarded 1 to 2 % of its way, so the tunnel's
 * packets are looked for at the ingress of the site-sync interfaces instead. What is fragmented
 * there is known by the peer's address alone: of one packet all fragments or none are tracked.
 *
 * Not for IPv6: there the router puts untracked fragments together behind the operator's rules for
 * input, which would have to know single fragments.
 */
static bool ingress_is_enough(const struct dsaa_rules_config *c)
{
	unsigned i;

	for (i = 0; i < c->links; i++)
		if (c->link[i].addr.family != 4)
			return false;
	return c->links > 0;
}

static void add_link_chain(struct dsaa_nft *t, const struct dsaa_rules_config *c)
{
	char names[DSAA_SITE_SYNC_ADDRESSES_MAX][DSAA_RULES_NAME_LEN] = { { 0 } };
	unsigned count = 0, i, j;

	for (i = 0; i < c->links; i++) {
		for (j = 0; j < count && strcmp(names[j], c->link[i].iface) != 0; j++)
			;
		if (j == count)
			memcpy(names[count++], c->link[i].iface, sizeof(names[0]));
	}
	dsaa_nft_ingress_chain(t, link, (const char(*)[16])names, count, PRIO_RAW);
}

static void add_fragments(struct dsaa_nft *t)
{
	static const uint8_t fragment[2] = { 0x3f, 0xff }, none[2];

	dsaa_nft_rule(t, link);
	when_family(t, 4);
	when_proto(t, DSAA_PROTO_UDP);
	dsaa_nft_payload(t, NFT_PAYLOAD_NETWORK_HEADER, IP4_FRAG_OFF, sizeof(fragment));
	dsaa_nft_and(t, fragment, sizeof(fragment));
	dsaa_nft_is_not(t, none, sizeof(none));
	dsaa_nft_goto(t, peers_in);
	dsaa_nft_rule_end(t);
}

static void add_raw_chains(struct dsaa_nft *t, const struct dsaa_rules_config *c, bool ingress)
{
	dsaa_nft_chain(t, tunnel_in);
	dsaa_nft_chain(t, no_tunnel);
	dsaa_nft_chain(t, peers_in);
	dsaa_nft_chain(t, peers_out);
	if (ingress)
		add_link_chain(t, c);
	else
		dsaa_nft_base_chain(t, raw, NF_INET_PRE_ROUTING, PRIO_RAW);
	dsaa_nft_base_chain(t, raw_in, NF_INET_LOCAL_IN, PRIO_RAW);
	dsaa_nft_base_chain(t, raw_out, NF_INET_LOCAL_OUT, PRIO_RAW);
}

static void add_raw(struct dsaa_nft *t, const struct dsaa_rules_config *c, bool ingress)
{
	unsigned i;

	add_raw_chains(t, c, ingress);
	for (i = 0; i < c->links; i++) {
		add_stranger(t, c, i);
		add_malformed(t, c, i);
	}
	/* while zebra is away no interface is known: what runs goes on */
	if (c->links)
		add_elsewhere(t, c);
	dsaa_nft_rule(t, no_tunnel);
	dsaa_nft_counter(t);
	dsaa_nft_drop(t);
	dsaa_nft_rule_end(t);
	for (i = 0; i < c->peers; i++) {
		add_notrack(t, peers_in, &c->peer[i], true);
		add_notrack(t, peers_out, &c->peer[i], false);
	}
	if (c->peers == 0)
		return;
	add_goto_port(t, raw_out, c->tunnel_port, peers_out);
	add_bfd(t, raw_out, peers_out);
	add_goto_port(t, raw_in, c->tunnel_port, tunnel_in);
	/* the tunnel's first: there are the most of them */
	add_goto_port(t, ingress ? link : raw, c->tunnel_port, peers_in);
	add_bfd(t, ingress ? link : raw, peers_in);
	if (ingress)
		add_fragments(t);
}

/*
 * What a TCP connection reports: that it is established (ASSURED), gone; and the rare changes that
 * its replicas must follow. Nobody is told of it before (dsaa_flow_half_open()), so what it does up
 * to then only costs: an event is more work for the kernel than the packet that makes it.
 */
#define EVENTS_TCP                                                                       \
	(1u << IPCT_DESTROY | 1u << IPCT_ASSURED | 1u << IPCT_HELPER | 1u << IPCT_MARK | \
	 1u << IPCT_SEQADJ | 1u << IPCT_LABEL)
/* ... and that it is there; RELATED is NEW of an expected one. */
#define EVENTS_BEGIN (1u << IPCT_NEW | 1u << IPCT_RELATED)
/*
 * Without a handshake the first answer is all that tells that a connection is one. And once TCP
 * closes, with its first answer long behind it, a replica that still says ESTABLISHED would outlive
 * a takeover by days.
 */
#define EVENTS_MORE (EVENTS_TCP | EVENTS_BEGIN | 1u << IPCT_PROTOINFO | 1u << IPCT_REPLY)

/*
 * The flags of TCP that closes; asking for the protocol, too, would cost each packet more. Four
 * bytes, which nf_tables reads and masks without a call.
 */
static void load_closing_flags(struct dsaa_nft *t)
{
	const uint8_t flags[] = { 0, TCP_FIN | TCP_RST, 0, 0 };

	dsaa_nft_payload(t, NFT_PAYLOAD_TRANSPORT_HEADER, TCP_OFFSET_FLAGS, sizeof(flags));
	dsaa_nft_and(t, flags, sizeof(flags));
}

/*
 * The mask counts when the packet has passed, so it holds for the change that this FIN makes; of a
 * connection that nobody was told of there is nothing to say. What is not TCP, and has such bits
 * there by chance, is given the mask that it has already, or keeps it.
 */
static void add_closing_events(struct dsaa_nft *t)
{
	const uint32_t none = 0;

	dsaa_nft_rule(t, others);
	load_closing_flags(t);
	dsaa_nft_is_not(t, &none, sizeof(none));
	dsaa_nft_ct(t, NFT_CT_STATUS);
	when_any_u32(t, IPS_ASSURED);
	dsaa_nft_event_mask(t, EVENTS_MORE);
	dsaa_nft_rule_end(t);
}

/* A TCP connection of another zone than the default one tells its first packet all the same. */
static void add_zone_events(struct dsaa_nft *t)
{
	const uint16_t none = 0;

	dsaa_nft_rule(t, others);
	when_state(t, STATE_NEW | STATE_RELATED);
	when_proto(t, DSAA_PROTO_TCP);
	dsaa_nft_ct(t, NFT_CT_ZONE);
	dsaa_nft_is_not(t, &none, sizeof(none));
	dsaa_nft_event_mask(t, EVENTS_TCP | EVENTS_BEGIN);
	dsaa_nft_rule_end(t);
}

static void add_events(struct dsaa_nft *t, bool tcp_begins)
{
	const uint8_t tcp = DSAA_PROTO_TCP;

	dsaa_nft_rule(t, others);
	when_state(t, STATE_NEW | STATE_RELATED);
	when_proto(t, tcp);
	dsaa_nft_event_mask(t, EVENTS_TCP | (tcp_begins ? EVENTS_BEGIN : 0));
	dsaa_nft_rule_end(t);
	if (!tcp_begins)
		add_zone_events(t);

	dsaa_nft_rule(t, others);
	when_state(t, STATE_NEW | STATE_RELATED);
	dsaa_nft_meta(t, NFT_META_L4PROTO);
	dsaa_nft_is_not(t, &tcp, sizeof(tcp));
	dsaa_nft_event_mask(t, EVENTS_MORE);
	dsaa_nft_rule_end(t);
}

/* The mark carries some site's number: see chain "owned". */
static void add_goto_owned(struct dsaa_nft *t, const struct dsaa_rules_config *c, const char *chain)
{
	dsaa_nft_rule(t, chain);
	dsaa_nft_ct(t, NFT_CT_MARK);
	when_any_u32(t, c->mark_mask);
	dsaa_nft_goto(t, owned);
	dsaa_nft_rule_end(t);
}

/* Queues of each foreign site; a number that is not foreign (adopted) falls through. No bypass. */
static void fill_owned(struct dsaa_nft *t, const struct dsaa_rules_config *c, bool native)
{
	unsigned i;

	for (i = 0; i < c->foreigns; i++) {
		dsaa_nft_rule(t, owned);
		dsaa_nft_ct(t, NFT_CT_MARK);
		when_u32(t, c->mark_mask, dsaa_mark_set_owner(0, c->mark_mask, c->foreign[i]));
		dsaa_nft_queues(t, native, c->queue_base + dsaa_queue_number(c->foreign[i], 0),
				c->queues, false);
		dsaa_nft_rule_end(t);
	}
	for (i = 0; i < c->on_demands; i++) {
		dsaa_nft_rule(t, owned);
		dsaa_nft_ct(t, NFT_CT_MARK);
		when_u32(t, c->mark_mask, dsaa_mark_set_owner(0, c->mark_mask, c->on_demand[i]));
		dsaa_nft_ct_mark(t, ~c->mark_mask, dsaa_mark_set_owner(0, c->mark_mask, c->local));
		dsaa_nft_rule_end(t);
	}
}

/* What peers carried here must belong to a connection of ours. No bypass. */
static void fill_from_peer(struct dsaa_nft *t, const struct dsaa_rules_config *c, bool native)
{
	unsigned i;

	for (i = 0; i < c->foreigns; i++) {
		dsaa_nft_rule(t, from_peer);
		dsaa_nft_ct(t, NFT_CT_MARK);
		when_u32(t, c->mark_mask, dsaa_mark_set_owner(0, c->mark_mask, c->foreign[i]));
		dsaa_nft_queue(t, native, c->queue_base + DSAA_QUEUE_PEER, false);
		dsaa_nft_rule_end(t);
	}

	dsaa_nft_rule(t, from_peer);
	when_state(t, STATE_INVALID | STATE_UNTRACKED);
	dsaa_nft_queue(t, native, c->queue_base + DSAA_QUEUE_PEER, false);
	dsaa_nft_rule_end(t);

	dsaa_nft_rule(t, from_peer);
	when_opening(t);
	dsaa_nft_queue(t, native, c->queue_base + DSAA_QUEUE_PEER, false);
	dsaa_nft_rule_end(t);
}

/* Packets without an entry that cannot, or should not, open a connection here. Bypass. */
static void add_second_chance(struct dsaa_nft *t, const struct dsaa_rules_config *c, bool native)
{
	const uint8_t flags = TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK, syn = TCP_SYN;
	unsigned i;

	dsaa_nft_rule(t, others);
	when_state(t, STATE_INVALID);
	dsaa_nft_queue(t, native, c->queue_base + DSAA_QUEUE_INVALID, true);
	dsaa_nft_rule_end(t);

	dsaa_nft_rule(t, others);
	when_proto(t, DSAA_PROTO_TCP);
	when_opening(t);
	dsaa_nft_payload(t, NFT_PAYLOAD_TRANSPORT_HEADER, TCP_FLAGS, sizeof(flags));
	dsaa_nft_and(t, &flags, sizeof(flags));
	dsaa_nft_is_not(t, &syn, sizeof(syn));
	dsaa_nft_queue(t, native, c->queue_base + DSAA_QUEUE_MIDSTREAM, true);
	dsaa_nft_rule_end(t);

	for (i = 0; i < c->pools; i++) {
		dsaa_nft_rule(t, others);
		when_opening(t);
		when_prefix(t, &c->pool[i], false);
		dsaa_nft_goto(t, offer_pool);
		dsaa_nft_rule_end(t);
	}
	dsaa_nft_rule(t, offer_pool);
	dsaa_nft_queue(t, native, c->queue_base + DSAA_QUEUE_POOL, true);
	dsaa_nft_rule_end(t);
}

/*
 * Nearly all packets are of connections that are ours and established, and do not close them: one
 * rule for those, whatever way they came, because no other of this table wants them. What it
 * cannot read (there is no connection, or no such byte) is of the rest. One comparison for all
 * three words would have fewer expressions, and be slower: the processor waits when it reads at
 * once what was written in parts.
 */
static void add_not_ours(struct dsaa_nft *t, const struct dsaa_rules_config *c, bool closing)
{
	const uint32_t established = STATE_ESTABLISHED, none = 0;

	dsaa_nft_rule(t, correct);
	dsaa_nft_ct(t, NFT_CT_MARK);
	when_u32(t, c->mark_mask, 0);
	/* a packet has one state: no need to mask it */
	dsaa_nft_ct(t, NFT_CT_STATE);
	dsaa_nft_is(t, &established, sizeof(established));
	if (closing) {
		load_closing_flags(t);
		dsaa_nft_is(t, &none, sizeof(none));
	}
	dsaa_nft_accept(t);
	dsaa_nft_rule_end(t);

	dsaa_nft_rule(t, correct);
	dsaa_nft_goto(t, others);
	dsaa_nft_rule_end(t);
}

static void add_from_peer(struct dsaa_nft *t, const struct dsaa_rules_config *c, const char *chain)
{
	dsaa_nft_rule(t, chain);
	when_from(t, c->tun_name);
	dsaa_nft_goto(t, from_peer);
	dsaa_nft_rule_end(t);

	dsaa_nft_rule(t, chain);
	when_from_site(t);
	dsaa_nft_goto(t, from_peer);
	dsaa_nft_rule_end(t);
}

static void add_correct(struct dsaa_nft *t, const struct dsaa_rules_config *c,
			const struct dsaa_rules_status *status)
{
	bool native = status->native_queue;

	dsaa_nft_chain(t, owned);
	dsaa_nft_chain(t, from_peer);
	dsaa_nft_chain(t, offer_pool);
	dsaa_nft_chain(t, untracked);
	dsaa_nft_chain(t, others);
	dsaa_nft_set_ifnames(t, ifaces, c->iface, c->ifaces);
	dsaa_nft_base_chain(t, correct, NF_INET_PRE_ROUTING, PRIO_CORRECT);
	add_not_ours(t, c, status->event_mask);

	/* the tunnel's own packets, above all: neither events nor second chance are for them */
	dsaa_nft_rule(t, others);
	when_state(t, STATE_UNTRACKED);
	dsaa_nft_goto(t, untracked);
	dsaa_nft_rule_end(t);
	add_from_peer(t, c, untracked);

	if (status->event_mask) {
		add_closing_events(t);
		add_events(t, c->tcp_begins);
	}
	add_from_peer(t, c, others);

	dsaa_nft_rule(t, others);
	dsaa_nft_meta(t, NFT_META_IIFNAME);
	dsaa_nft_not_in(t, ifaces);
	dsaa_nft_accept(t);
	dsaa_nft_rule_end(t);

	add_goto_owned(t, c, others);
	if (c->second_chance)
		add_second_chance(t, c, native);
	fill_owned(t, c, native);
	fill_from_peer(t, c, native);
}

/* ------------------------------------------------------------------ applying */

static bool name_ok(const char name[DSAA_RULES_NAME_LEN])
{
	return name[0] != '\0' && memchr(name, '\0', DSAA_RULES_NAME_LEN);
}

static bool addr_ok(const struct dsaa_addr *a, unsigned len)
{
	return (a->family == 4 && len <= 32) || (a->family == 6 && len <= 128);
}

static bool site_ok(const struct dsaa_rules_config *c, dsaa_site_id site)
{
	return site != 0 && site <= dsaa_mark_sites_max(c->mark_mask);
}

/* Why CONFIG cannot be made into rules, or NULL. */
static const char *config_wrong(const struct dsaa_rules_config *c)
{
	unsigned i;

	if (!dsaa_mark_mask_valid(c->mark_mask))
		return "the mark mask is not one run of 4 to 16 bits";
	if (c->queue_base > UINT16_MAX - DSAA_QUEUES)
		return "the queue base is too high";
	if (c->queues == 0 || c->queues > DSAA_QUEUE_SPREAD_MAX)
		return "a site has no queue, or too many";
	if (c->tunnel_port == 0 || !name_ok(c->tun_name))
		return "the tunnel has no port or no name";
	if (c->ifaces > DSAA_IFACES_MAX || c->foreigns > DSAA_SITES_MAX ||
	    c->on_demands > DSAA_SITES_MAX || c->pools > DSAA_RULES_POOLS_MAX ||
	    c->peers > DSAA_RULES_PEERS_MAX)
		return "more interfaces, sites, pools or peers than the limits allow";
	for (i = 0; i < c->ifaces; i++)
		if (!name_ok(c->iface[i]))
			return "an interface has no name";
	for (i = 0; i < c->foreigns; i++)
		if (!site_ok(c, c->foreign[i]))
			return "a site's number does not fit the mark mask";
	for (i = 0; i < c->on_demands; i++)
		if (!site_ok(c, c->on_demand[i]) || !site_ok(c, c->local))
			return "a site's number does not fit the mark mask";
	for (i = 0; i < c->pools; i++)
		if (!addr_ok(&c->pool[i].addr, c->pool[i].len))
			return "a NAT pool is no prefix";
	if (c->links > DSAA_SITE_SYNC_ADDRESSES_MAX)
		return "more sync-addresses than the limits allow";
	for (i = 0; i < c->links; i++)
		if (!addr_ok(&c->link[i].addr, 0) || !name_ok(c->link[i].iface))
			return "a sync-address is no address, or its interface has no name";
	for (i = 0; i < c->peers; i++)
		if (!addr_ok(&c->peer[i], 0))
			return "a peer's sync-address is no address";
	return NULL;
}

/* One try with the features in STATUS; REFILL: the table stands, and only its rules are new. */
static int try_apply(const struct dsaa_rules_config *c, struct dsaa_rules_status *status,
		     bool refill, enum dsaa_nft_feature *refused)
{
	struct dsaa_nft t;
	int rc;

	dsaa_nft_begin(&t, table);
	if (refill)
		dsaa_nft_table_refill(&t);
	else
		dsaa_nft_table_replace(&t);
	add_raw(&t, c, status->ingress);
	add_correct(&t, c, status);
	rc = dsaa_nft_commit(&t, refused);
	if (rc == 0 || !refill)
		status->rules = t.rules;
	dsaa_nft_end(&t);
	return rc;
}

static void explain(struct dsaa_rules_status *status, int rc, enum dsaa_nft_feature refused)
{
	status->installed = rc == 0;
	if (rc == 0 && !status->event_mask)
		snprintf(status->why, sizeof(status->why),
			 "the kernel cannot limit conntrack events (ct event set): more are read "
			 "than needed");
	else if (rc == 0)
		status->why[0] = '\0';
	else if (rc == -EPERM || rc == -EACCES)
		snprintf(status->why, sizeof(status->why),
			 "the kernel refused the rules: CAP_NET_ADMIN is missing");
	else if (refused == DSAA_NFT_QUEUE_XT)
		snprintf(status->why, sizeof(status->why),
			 "the kernel has neither nf_tables queue (nft_queue) nor xt NFQUEUE with "
			 "nft_compat: %s",
			 strerror(-rc));
	else if (rc == -ENOENT || rc == -EOPNOTSUPP)
		snprintf(status->why, sizeof(status->why),
			 "the kernel lacks a part of nf_tables (modules nf_tables, nft_ct): %s",
			 strerror(-rc));
	else
		snprintf(status->why, sizeof(status->why), "the kernel refused the rules: %s",
			 strerror(-rc));
}

int dsaa_rules_apply(const struct dsaa_rules_config *config, struct dsaa_rules_status *status)
{
	const char *wrong = config_wrong(config);
	enum dsaa_nft_feature refused = DSAA_NFT_BASIC;
	int rc;

	memset(status, 0, sizeof(*status));
	if (wrong) {
		snprintf(status->why, sizeof(status->why), "%s", wrong);
		return -EINVAL;
	}
	status->native_queue = true;
	status->event_mask = true;
	status->ingress = ingress_is_enough(config);
	for (;;) {
		rc = try_apply(config, status, false, &refused);
		if (rc == 0 || rc == -EPERM)
			break;
		/* each turn gives up one feature that the kernel refused: at most four turns */
		if (refused == DSAA_NFT_QUEUE_NATIVE && status->native_queue)
			status->native_queue = false;
		else if (refused == DSAA_NFT_EVENT_MASK && status->event_mask)
			status->event_mask = false;
		else if (refused == DSAA_NFT_INGRESS && status->ingress)
			status->ingress = false;
		else
			break;
	}
	explain(status, rc, refused);
	return rc;
}

int dsaa_rules_refill(const struct dsaa_rules_config *config, struct dsaa_rules_status *status)
{
	enum dsaa_nft_feature refused;

	return config_wrong(config) ? -EINVAL : try_apply(config, status, true, &refused);
}

int dsaa_rules_remove(char *why, size_t whylen)
{
	enum dsaa_nft_feature refused;
	struct dsaa_nft t;
	int rc;

	dsaa_nft_begin(&t, table);
	dsaa_nft_table_delete(&t);
	rc = dsaa_nft_commit(&t, &refused);
	dsaa_nft_end(&t);
	if (rc == -ENOENT)
		rc = 0;
	if (why && whylen)
		snprintf(why, whylen, "%s%s", rc ? "the kernel did not remove the rules: " : "",
			 rc ? strerror(-rc) : "");
	return rc;
}
