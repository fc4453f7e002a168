/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The maps of the fast path and the counting in them. For dsaa_fast.bpf.c only.
 */
#ifndef DSAA_FAST_MAPS_H
#define DSAA_FAST_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/dsaa_fast_shared.h"
#include "core/dsaa_types.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct dsaa_fast_control);
} control SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, DSAA_FAST_SITES);
	__type(key, __u32);
	__type(value, __u32);
} words SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, DSAA_FAST_SITES);
	__type(key, __u32);
	__type(value, struct dsaa_fast_site);
} sites SEC(".maps");

/* Whose address it is from which a tunnel packet came. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DSAA_FAST_PEERS);
	__type(key, struct dsaa_fast_addr);
	__type(value, __u32);
} peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, DSAA_FAST_IFACES);
	__type(key, __u32);
	__type(value, struct dsaa_fast_iface);
} ifaces SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DSAA_FAST_PORTS);
	__type(key, __u32);
	__type(value, struct dsaa_fast_port);
} ports SEC(".maps");

/* The router's own addresses. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DSAA_FAST_LOCALS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct dsaa_fast_addr);
	__type(value, __u32);
} locals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DSAA_FAST_REASONS);
	__type(key, __u32);
	__type(value, struct dsaa_fast_reason);
} reasons SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DSAA_FAST_SITES);
	__type(key, __u32);
	__type(value, struct dsaa_fast_peer_count);
} peers_seen SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, DSAA_FAST_FILTER_WORDS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
} filter SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, DSAA_FAST_PREFIXES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct dsaa_fast_prefix);
	__type(value, __u32);
} prefixes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DSAA_FAST_PREFIXES);
	__type(key, __u32);
	__type(value, struct dsaa_fast_prefix_count);
} prefixes_seen SEC(".maps");

static __always_inline __u32 ip_bytes(const struct __sk_buff *skb)
{
	return skb->len - ETH_HLEN;
}

/* What GRO or TSO put together counts as the packets it is made of. */
static __always_inline __u32 wire_packets(const struct __sk_buff *skb)
{
	return skb->gso_segs ? skb->gso_segs : 1;
}

/* Read by the daemon; not pinned, for what nobody read is not worth to be kept. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, DSAA_FAST_ELSEWHERE_LEN);
} elsewhere SEC(".maps");

/* What a packet counts as; it is taken before the packet is changed. */
struct size {
	__u32 packets;
	__u32 bytes;
};

static __always_inline struct size size_of(const struct __sk_buff *skb)
{
	return (struct size){ wire_packets(skb), ip_bytes(skb) };
}

static __always_inline void count_as(const struct size *size, __u32 reason)
{
	struct dsaa_fast_reason *r = bpf_map_lookup_elem(&reasons, &reason);

	if (!r)
		return;
	r->packets += size->packets;
	r->bytes += size->bytes;
}

static __always_inline void count(const struct __sk_buff *skb, __u32 reason)
{
	struct size size = size_of(skb);

	count_as(&size, reason);
}

/* TO: where the packet is addressed to. OBSERVED: it was not sent, only would have been. */
static __always_inline void count_sent(const struct size *size, __u32 site,
				       const struct dsaa_fast_addr *to, bool observed)
{
	struct dsaa_fast_peer_count *p = bpf_map_lookup_elem(&peers_seen, &site);
	struct dsaa_fast_prefix key = { .len = 128, .addr = *to };
	struct dsaa_fast_prefix_count *c;
	__u32 *number;

	if (!p)
		return;
	*(observed ? &p->packets_observed : &p->packets_sent) += size->packets;
	*(observed ? &p->bytes_observed : &p->bytes_sent) += size->bytes;
	number = bpf_map_lookup_elem(&prefixes, &key);
	c = number ? bpf_map_lookup_elem(&prefixes_seen, number) : NULL;
	if (!c)
		return;
	*(observed ? &c->packets_observed : &c->packets) += size->packets;
	*(observed ? &c->bytes_observed : &c->bytes) += size->bytes;
}

static __always_inline void count_received(const struct __sk_buff *skb, __u32 site)
{
	struct dsaa_fast_peer_count *p = bpf_map_lookup_elem(&peers_seen, &site);

	if (!p)
		return;
	p->packets_received += wire_packets(skb);
	p->bytes_received += ip_bytes(skb);
}

#endif
