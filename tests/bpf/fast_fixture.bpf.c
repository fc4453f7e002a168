/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The programs of the fast path, and one more: dsaa_from_peer without a tunnel.
 * A packet of a test run has no tunnel header, so the peer's address and the
 * number come with it: in cb[0] the IPv4 address, in cb[1] the VNI.
 */
#include "bpf/dsaa_fast.bpf.c"

SEC("tc")
int fixture_from_peer(struct __sk_buff *skb)
{
	struct dsaa_fast_addr from = { { 0, 0, bpf_htonl(0xffff), 0 } };

	from.word[3] = skb->cb[0];
	return from_peer(skb, &from, skb->cb[1]);
}
