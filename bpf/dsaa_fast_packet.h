/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading packets, and asking the kernel's conntrack table about them. For
 * dsaa_fast.bpf.c only.
 */
#ifndef DSAA_FAST_PACKET_H
#define DSAA_FAST_PACKET_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "core/dsaa_owner.h"

/* RFC 791 3.1: "more fragments" and the offset */
#define IP4_FRAGMENT 0x3fff
#define IP4_DF	     0x4000
/* ports of TCP and UDP; the rest of their headers does not matter here */
#define PORTS_LEN 4

/* Of the kernel's struct only what is read; CO-RE finds where it lies. */
struct nf_conn {
	__u32 mark;
} __attribute__((preserve_access_index));

/* As all kernels know it that have the function: 12 bytes. */
struct bpf_ct_opts___dsaa {
	__s32 netns_id;
	__s32 error;
	__u8 l4proto;
	__u8 dir;
	__u8 reserved[2];
};

extern struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *skb, struct bpf_sock_tuple *tuple,
					 __u32 tuple_size, struct bpf_ct_opts___dsaa *opts,
					 __u32 opts_size) __ksym;
extern void bpf_ct_release(struct nf_conn *ct) __ksym;

struct packet {
	struct bpf_sock_tuple tuple;
	__u32 tuple_size;
	__u8 family;
	__u8 proto;
};

/* The tuple of an IPv4 packet of TCP or UDP, without options, no fragment. */
static __always_inline bool read4(struct __sk_buff *skb, struct packet *p)
{
	const __u32 need = ETH_HLEN + sizeof(struct iphdr) + PORTS_LEN;
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct iphdr *ip;
	__be16 *port;

	if (data + need > end) {
		if (bpf_skb_pull_data(skb, need))
			return false;
		data = (void *)(long)skb->data;
		end = (void *)(long)skb->data_end;
		if (data + need > end)
			return false;
	}
	ip = data + ETH_HLEN;
	if (ip->version != 4 || ip->ihl != 5 || ip->frag_off & bpf_htons(IP4_FRAGMENT))
		return false;
	if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP)
		return false;
	port = (void *)(ip + 1);
	p->family = 4;
	p->proto = ip->protocol;
	p->tuple_size = sizeof(p->tuple.ipv4);
	p->tuple.ipv4.saddr = ip->saddr;
	p->tuple.ipv4.daddr = ip->daddr;
	p->tuple.ipv4.sport = port[0];
	p->tuple.ipv4.dport = port[1];
	return true;
}

/* The same of IPv6, without extension headers. */
static __always_inline bool read6(struct __sk_buff *skb, struct packet *p)
{
	const __u32 need = ETH_HLEN + sizeof(struct ipv6hdr) + PORTS_LEN;
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ipv6hdr *ip;
	__be16 *port;

	if (data + need > end) {
		if (bpf_skb_pull_data(skb, need))
			return false;
		data = (void *)(long)skb->data;
		end = (void *)(long)skb->data_end;
		if (data + need > end)
			return false;
	}
	ip = data + ETH_HLEN;
	if (ip->version != 6 || (ip->nexthdr != IPPROTO_TCP && ip->nexthdr != IPPROTO_UDP))
		return false;
	port = (void *)(ip + 1);
	p->family = 6;
	p->proto = ip->nexthdr;
	p->tuple_size = sizeof(p->tuple.ipv6);
	__builtin_memcpy(p->tuple.ipv6.saddr, &ip->saddr, 16);
	__builtin_memcpy(p->tuple.ipv6.daddr, &ip->daddr, 16);
	p->tuple.ipv6.sport = port[0];
	p->tuple.ipv6.dport = port[1];
	return true;
}

/*
 * Reads what a look-up needs; false for what is left to the slow path: fragments, options and
 * extension headers, and protocols that the kernel's function does not look up (all but TCP and
 * UDP, so also ICMP).
 */
static __always_inline bool read_packet(struct __sk_buff *skb, struct packet *p)
{
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return read4(skb, p);
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return read6(skb, p);
	return false;
}

/* RFC 9293 3.1: the byte of the flags, and those that say how a connection begins */
#define TCP_FLAGS     13
#define TCP_SYN	      0x02
#define TCP_BEGINNING 0x17 /* FIN, SYN, RST, ACK */

/* Could be the first of a connection: all of UDP, and TCP with SYN alone. */
static __always_inline bool may_open(struct __sk_buff *skb, const struct packet *p)
{
	__u32 ip = p->family == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	__u8 flags = 0;

	if (p->proto != IPPROTO_TCP)
		return true;
	return bpf_skb_load_bytes(skb, ETH_HLEN + ip + TCP_FLAGS, &flags, sizeof(flags)) == 0 &&
	       (flags & TCP_BEGINNING) == TCP_SYN;
}

/* Looks the connection up in either direction; true with its mark in *MARK. */
static __always_inline bool find_mark(struct __sk_buff *skb, struct packet *p, __u32 *mark)
{
	struct bpf_ct_opts___dsaa opts = { .netns_id = -1, .l4proto = p->proto };
	struct nf_conn *ct;

	/* one call each: the verifier wants to know the size */
	if (p->family == 4)
		ct = bpf_skb_ct_lookup(skb, &p->tuple, sizeof(p->tuple.ipv4), &opts, sizeof(opts));
	else
		ct = bpf_skb_ct_lookup(skb, &p->tuple, sizeof(p->tuple.ipv6), &opts, sizeof(opts));
	if (!ct)
		return false;
	*mark = ct->mark;
	bpf_ct_release(ct);
	return true;
}

/*
 * A number that spreads connections over the tunnel's source ports, hence over the receiver's
 * queues and cores. The kernel would find its own by reading the packet once more.
 */
static __always_inline __u32 flow_hash(const struct packet *p)
{
	__u64 sum;

	if (p->family == 4)
		sum = ((__u64)p->tuple.ipv4.saddr << 32 | p->tuple.ipv4.daddr) ^
		      ((__u64)p->tuple.ipv4.sport << 16 | p->tuple.ipv4.dport);
	else
		sum = ((__u64)p->tuple.ipv6.saddr[3] << 32 | p->tuple.ipv6.daddr[3]) ^
		      ((__u64)p->tuple.ipv6.saddr[1] << 32 | p->tuple.ipv6.daddr[1]) ^
		      ((__u64)p->tuple.ipv6.sport << 16 | p->tuple.ipv6.dport);
	/* Fibonacci hashing: the high bits of the product depend on all of the sum */
	return (sum * 0x9e3779b97f4a7c15ull) >> 32;
}

/* core's dsaa_mark_owner(), with ours as 0. */
static __always_inline __u32 owner_of(__u32 mark, const struct dsaa_fast_control *c)
{
	__u32 owner = (mark & c->mark_mask) >> (c->mark_shift & 31);

	return owner == c->local_site || owner > DSAA_SITES_MAX ? 0 : owner;
}

static __always_inline __u32 word_of(__u32 site)
{
	__u32 *word = bpf_map_lookup_elem(&words, &site);

	return word ? *word : DSAA_WORD_UNKNOWN;
}

/* Where it is addressed to. */
static __always_inline void destination(const struct packet *p, struct dsaa_fast_addr *a)
{
	if (p->family == 4) {
		a->word[0] = a->word[1] = 0;
		a->word[2] = bpf_htonl(0xffff);
		a->word[3] = p->tuple.ipv4.daddr;
	} else {
		__builtin_memcpy(a->word, p->tuple.ipv6.daddr, sizeof(a->word));
	}
}

/* Whether A, its destination, is the router itself (core's dsaa_addr_is_special, and its own). */
static __always_inline bool to_router(const struct packet *p, const struct dsaa_fast_addr *a)
{
	if (p->family == 4) {
		__u32 ip = bpf_ntohl(a->word[3]);

		/* this network, loopback, link-local, multicast, broadcast */
		if (ip >> 24 == 0 || ip >> 24 == 127 || ip >> 16 == 0xa9fe || ip >> 28 == 0xe ||
		    ip == 0xffffffff)
			return true;
	} else {
		__u32 first = bpf_ntohl(a->word[0]);

		if (first >> 22 == 0xfe80 >> 6 || first >> 24 == 0xff ||
		    (!a->word[0] && !a->word[1] && !a->word[2] && bpf_ntohl(a->word[3]) <= 1))
			return true;
	}
	return bpf_map_lookup_elem(&locals, a) != NULL;
}

/* False when no connection of another site has these addresses and ports. */
static __always_inline bool may_be_foreign(const struct packet *p)
{
	struct dsaa_fast_bit b;
	__u64 *word;

	if (p->family == 4)
		b = dsaa_fast_filter_bit(p->tuple.ipv4.saddr, p->tuple.ipv4.daddr,
					 p->tuple.ipv4.sport, p->tuple.ipv4.dport);
	else
		b = dsaa_fast_filter_bit(dsaa_fast_fold(p->tuple.ipv6.saddr),
					 dsaa_fast_fold(p->tuple.ipv6.daddr), p->tuple.ipv6.sport,
					 p->tuple.ipv6.dport);
	word = bpf_map_lookup_elem(&filter, &b.word);
	return !word || *word & b.bit;
}

#endif
