/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tunnel's outer headers, put on and taken off without the stack and the
 * VXLAN device: what a packet costs between two sites is mostly what the stack
 * spends on the outer packet. IPv4 links with an Ethernet header only; what is
 * not plain is left to the device. For dsaa_fast.bpf.c only.
 */
#ifndef DSAA_FAST_LINK_H
#define DSAA_FAST_LINK_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/dsaa_fast_maps.h"
#include "bpf/dsaa_fast_packet.h"

/* <linux/bpf.h> of Linux 6.2 */
#define ADJ_ROOM_DECAP_L3_IPV6 (1ull << 8)
#define TUNNEL_TTL	       64
/* RFC 7348 5: source ports from the dynamic range, with as many bits of the flow's hash */
#define SOURCE_PORT_FIRST 49152
#define SOURCE_PORT_SHIFT 18
#define AF_INET		  2
/* RFC 3168 5: the two bits of ECN */
#define ECN_MASK 3
#define ECN_ECT0 2
#define ECN_CE	 3
/* RFC 7348 5 */
#define VXLAN_VNI_IS_VALID bpf_htonl(0x08000000)
/* RFC 9293 3.1: the byte whose upper half is the length of the header, in words */
#define TCP_DATA_OFFSET 12

/* Behind Ethernet: IPv4 without options, UDP, VXLAN, Ethernet. */
struct outer {
	struct iphdr ip;
	struct udphdr udp;
	__be32 flags, vni;
	struct ethhdr eth;
} __attribute__((packed));

/* The checksum of an IPv4 header without options; of one with a right checksum in it: 0. */
static __always_inline __u16 ip_sum(void *ip)
{
	__s64 sum = bpf_csum_diff(NULL, 0, ip, sizeof(struct iphdr), 0);

	sum = (sum & 0xffff) + (sum >> 16 & 0xffff);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/*
 * The plain case: one whole IPv4 packet of the tunnel, to this router, without a checksum of UDP,
 * not marked by a congested router on the way (that has to be told to the packet inside).
 */
static __always_inline bool is_plain(const struct __sk_buff *skb, struct outer *o)
{
	__u32 len = ip_bytes(skb);

	return o->ip.version == 4 && o->ip.ihl == 5 &&
	       !(o->ip.frag_off & bpf_htons(IP4_FRAGMENT)) && (o->ip.tos & ECN_MASK) != ECN_CE &&
	       bpf_ntohs(o->ip.tot_len) == len && !o->udp.check &&
	       bpf_ntohs(o->udp.len) == len - sizeof(o->ip) && o->flags == VXLAN_VNI_IS_VALID &&
	       !(o->vni & bpf_htonl(0xff)) && !ip_sum(o);
}

/* Takes the outer headers off, behind those of Ethernet. False: nothing was touched. */
static __always_inline bool unwrap(struct __sk_buff *skb, __be16 inner)
{
	__u64 flags = BPF_F_ADJ_ROOM_NO_CSUM_RESET;

	/* kernels before 6.2 cannot be told, and refuse */
	if (inner == bpf_htons(ETH_P_IPV6))
		flags |= ADJ_ROOM_DECAP_L3_IPV6;
	else if (inner != bpf_htons(ETH_P_IP))
		return false;
	if (bpf_skb_adjust_room(skb, -(__s32)sizeof(struct outer), BPF_ADJ_ROOM_MAC, flags))
		return false;
	/* what a device has checked: one checksum less, that of the outer UDP */
	bpf_csum_level(skb, BPF_CSUM_LEVEL_DEC);
	bpf_set_hash_invalid(skb);
	return true;
}

/* ------------------------------------------------------------------ putting on */

/* The bytes of IP in the longest packet that goes on the wire; 0: nobody can say. */
static __always_inline __u32 wire_bytes(struct __sk_buff *skb, const struct packet *p)
{
	__u32 ip = p->family == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	__u8 words;

	if (!skb->gso_size)
		return ip_bytes(skb);
	if (p->proto != IPPROTO_TCP ||
	    bpf_skb_load_bytes(skb, ETH_HLEN + ip + TCP_DATA_OFFSET, &words, sizeof(words)))
		return 0;
	return ip + (words >> 4) * 4 + skb->gso_size;
}

/* The frame's Ethernet header. False: it does not go straight over that link, or is too long. */
static __always_inline bool find_neighbour(struct __sk_buff *skb, const struct dsaa_fast_site *to,
					   __u32 bytes, struct ethhdr *eth)
{
	struct bpf_fib_lookup fib = {
		.family = AF_INET,
		.l4_protocol = IPPROTO_UDP,
		.tot_len = bytes,
		.ipv4_src = bpf_htonl(to->local[0]),
		.ipv4_dst = bpf_htonl(to->remote[0]),
		.ifindex = to->ifindex,
	};

	if (bpf_fib_lookup(skb, &fib, sizeof(fib), BPF_FIB_LOOKUP_OUTPUT) !=
		    BPF_FIB_LKUP_RET_SUCCESS ||
	    fib.ifindex != to->ifindex)
		return false;
	__builtin_memcpy(eth->h_dest, fib.dmac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, fib.smac, ETH_ALEN);
	eth->h_proto = bpf_htons(ETH_P_IP);
	return true;
}

/* RFC 6040 4.1: the outer packet's ECN field is the inner one's. */
static __always_inline __u8 outer_ecn(struct __sk_buff *skb, const struct packet *p)
{
	__u8 head[2] = { 0 }, ecn;

	bpf_skb_load_bytes(skb, ETH_HLEN, head, sizeof(head));
	/* IPv6 has the traffic class across two bytes (RFC 8200 3) */
	ecn = (p->family == 4 ? head[1] : head[1] >> 4) & ECN_MASK;
	/* the kernel's tunnels say so since they carry CE inside only (INET_ECN_encapsulate) */
	return ecn == ECN_CE ? ECN_ECT0 : ecn;
}

/*
 * Puts all outer headers before the packet, whose Ethernet header inside gets the addresses MACS.
 * False: nothing was touched, and the VXLAN device shall do it.
 */
static __always_inline bool wrap(struct __sk_buff *skb, const struct packet *p,
				 const struct dsaa_fast_control *c, const struct dsaa_fast_site *to,
				 __u32 vni, const __u8 macs[12])
{
	const __u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 |
			    BPF_F_ADJ_ROOM_ENCAP_L4_UDP | BPF_F_ADJ_ROOM_ENCAP_L2(ETH_HLEN) |
			    BPF_F_ADJ_ROOM_ENCAP_L2_ETH;
	struct {
		struct ethhdr eth;
		struct outer o;
	} __attribute__((packed)) w = {};
	__u32 len = ip_bytes(skb) + sizeof(w.o), wire = wire_bytes(skb, p);

	if (to->family != 4 || len > 0xffff || !wire ||
	    !find_neighbour(skb, to, wire + sizeof(w.o), &w.eth))
		return false;
	w.o.ip.version = 4;
	w.o.ip.ihl = 5;
	w.o.ip.tos = outer_ecn(skb, p);
	w.o.ip.tot_len = bpf_htons(len);
	w.o.ip.id = bpf_get_prandom_u32();
	w.o.ip.ttl = TUNNEL_TTL;
	w.o.ip.protocol = IPPROTO_UDP;
	w.o.ip.saddr = bpf_htonl(to->local[0]);
	w.o.ip.daddr = bpf_htonl(to->remote[0]);
	w.o.ip.check = ip_sum(&w.o);
	w.o.udp.source = bpf_htons(SOURCE_PORT_FIRST + (flow_hash(p) >> SOURCE_PORT_SHIFT));
	w.o.udp.dest = c->tunnel_port;
	w.o.udp.len = bpf_htons(len - sizeof(w.o.ip));
	w.o.flags = VXLAN_VNI_IS_VALID;
	w.o.vni = bpf_htonl(vni << 8);
	__builtin_memcpy(&w.o.eth, macs, 2 * ETH_ALEN);
	w.o.eth.h_proto = p->family == 4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	if (bpf_skb_adjust_room(skb, sizeof(w.o), BPF_ADJ_ROOM_MAC, flags))
		return false;
	/* cannot fail: that many bytes have just been made */
	bpf_skb_store_bytes(skb, 0, &w, sizeof(w), 0);
	return true;
}

#endif
