/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fast path of correction, in the kernel (tc, ingress).
 *
 *	dsaa_to_owner	on each interface where foreign packets are caught, while there are any
 *	dsaa_from_peer	on the VXLAN device of the tunnel
 *	dsaa_from_link	on the site-sync interfaces: takes the plain case before the stack,
 *			which would spend as much on the outer packet as on the one inside
 *
 *	wrong site			owner
 *	eth1 -> to_owner -> dsaa-vx ==> dsaa-vx -> from_peer -> eth1 -> the stack
 *
 * Verdicts are those of core's dsaa_owner_verdict(); rule numbers as there.
 * What cannot be read here (read_packet) and what has no entry goes on to the
 * stack, where the nft table and the queue thread look at it.
 *
 * Every verdict "goes on" is TC_ACT_UNSPEC, so that other people's filters
 * behind ours get the packet as if ours were not there.
 *
 * A packet for the owner leaves with the two sites' addresses of
 * core/dsaa_encap.h in its Ethernet header. They are still in the source
 * address when it comes in at the owner's original interface: by it
 * dsaa_to_owner knows that the packet travels no further, and the nft table
 * what came from a peer. Whoever forges it has his own packets judged more
 * strictly, no more.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/dsaa_fast_link.h"
#include "bpf/dsaa_fast_maps.h"
#include "bpf/dsaa_fast_packet.h"
#include "core/dsaa_encap.h"
#include "core/dsaa_reason.h"

#define VNI_KNOWN_BITS (DSAA_VNI_SECOND_CHANCE | 0xffffu)
#define IP4_DF_OFFSET  (ETH_HLEN + __builtin_offsetof(struct iphdr, frag_off))
#define IP4_SUM_OFFSET (ETH_HLEN + __builtin_offsetof(struct iphdr, check))
/* No link has less (RFC 8200 5); what fits needs no further look. */
#define MTU_ALWAYS 1280

static const __u8 mac_prefix[5] = { 0x02, 0xd5, 0xaa, 0x00, 0x00 };

static __always_inline struct dsaa_fast_control *get_control(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&control, &zero);
}

static __always_inline int drop(const struct __sk_buff *skb, __u32 reason)
{
	count(skb, reason);
	return TC_ACT_SHOT;
}

/* ------------------------------------------------------------------ to the owner */

/* Kernels before 6.0 do not let the sender's address be chosen, nor know the longer struct. */
static __always_inline __u32 tunnel_key_size(void)
{
	return bpf_core_field_exists(struct bpf_tunnel_key, local_ipv4) ?
		       sizeof(struct bpf_tunnel_key) :
		       __builtin_offsetof(struct bpf_tunnel_key, local_ipv4);
}

/* Where the tunnel ends, and which number travels in its header. */
static __always_inline long set_tunnel(struct __sk_buff *skb, const struct dsaa_fast_site *to,
				       __u32 vni)
{
	struct bpf_tunnel_key key = { .tunnel_id = vni, .tunnel_ttl = TUNNEL_TTL };

	if (to->family == 4) {
		key.remote_ipv4 = to->remote[0];
		key.local_ipv4 = to->local[0];
		return bpf_skb_set_tunnel_key(skb, &key, tunnel_key_size(), BPF_F_ZERO_CSUM_TX);
	}
	/* a receiver in user space takes no IPv6 datagram without a checksum */
	__builtin_memcpy(key.remote_ipv6, to->remote, sizeof(key.remote_ipv6));
	__builtin_memcpy(key.local_ipv6, to->local, sizeof(key.local_ipv6));
	return bpf_skb_set_tunnel_key(skb, &key, tunnel_key_size(), BPF_F_TUNINFO_IPV6);
}

/*
 * The VXLAN device lets no IPv6 packet be fragmented that it has put around one of ours, and drops
 * what is longer than the link takes; the queue thread's socket has it fragmented.
 */
static __always_inline bool is_too_long(struct __sk_buff *skb, const struct packet *p,
					const struct dsaa_fast_site *to)
{
	__u32 wire, mtu = 0;

	if (to->family != 6 || !to->over || bpf_check_mtu(skb, to->over, &mtu, 0, 0) < 0)
		return false;
	wire = wire_bytes(skb, p);
	return !wire || wire + DSAA_OVERHEAD6 > mtu;
}

static __always_inline int carry(struct __sk_buff *skb, const struct packet *p,
				 const struct dsaa_fast_control *c, __u32 owner,
				 const struct dsaa_fast_addr *to)
{
	__u8 macs[12] = { 0x02, 0xd5, 0xaa, 0, 0, owner, 0x02, 0xd5, 0xaa, 0, 0, c->local_site };
	struct dsaa_fast_site *site = bpf_map_lookup_elem(&sites, &owner);
	__u32 ifindex = skb->ifindex;
	struct dsaa_fast_port *port = bpf_map_lookup_elem(&ports, &ifindex);
	const struct size size = size_of(skb);
	__u32 to_ifindex = c->vx_ifindex;

	if (!port)
		return drop(skb, DSAA_R_RX_UNKNOWN_INTERFACE);
	if (!site || !site->family)
		return drop(skb, DSAA_R_SEND_FAILED);
	if (is_too_long(skb, p, site))
		return TC_ACT_UNSPEC;
	if (site->ifindex && wrap(skb, p, c, site, port->iface, macs)) {
		to_ifindex = site->ifindex;
	} else if (!c->vx_ifindex || set_tunnel(skb, site, port->iface) ||
		   bpf_skb_store_bytes(skb, 0, macs, sizeof(macs), 0)) {
		return drop(skb, DSAA_R_SEND_FAILED);
	}
	bpf_set_hash(skb, flow_hash(p));
	count_as(&size, DSAA_R_FOREIGN);
	count_sent(&size, owner, to, false);
	return bpf_redirect(to_ifindex, 0);
}

/* Rules L2 to L6, and L1 for what would be touched. */
static __always_inline int judge(struct __sk_buff *skb, const struct packet *p,
				 const struct dsaa_fast_control *c, __u32 owner)
{
	__u32 word = word_of(owner);
	struct dsaa_fast_addr to;

	if (word == DSAA_WORD_ADOPTED) {
		count(skb, DSAA_R_ADOPTED); /* L4 */
		return TC_ACT_UNSPEC;
	}
	if (word != DSAA_WORD_ALIVE && word != DSAA_WORD_UNREACHABLE)
		return TC_ACT_UNSPEC; /* L6 */
	destination(p, &to);
	if (to_router(p, &to))
		return TC_ACT_UNSPEC; /* L1; the queue thread sees it, too, and counts it */
	if (c->observe) {
		const struct size size = size_of(skb);

		count_as(&size, DSAA_R_WOULD_CORRECT);
		count_sent(&size, owner, &to, true);
		return TC_ACT_UNSPEC;
	}
	if (word == DSAA_WORD_UNREACHABLE)
		return drop(skb, DSAA_R_OWNER_UNREACHABLE); /* L5 */
	return carry(skb, p, c, owner, &to);		    /* L3 */
}

/* The Ethernet source is a site's address: a peer sent it, and it travels no further. */
static __always_inline bool is_delivered(const struct __sk_buff *skb)
{
	const __u8 *mac = (void *)(long)skb->data + ETH_ALEN;

	/* the slow path writes the interface's number behind the prefix */
	return (void *)(mac + ETH_ALEN) > (void *)(long)skb->data_end ||
	       (*(const __u32 *)mac & bpf_htonl(0xffffff00)) == bpf_htonl(0x02d5aa00);
}

SEC("tc")
int dsaa_to_owner(struct __sk_buff *skb)
{
	struct dsaa_fast_control *c;
	struct packet p;
	__u32 mark, owner;

	if (!word_of(DSAA_FAST_GATE))
		return TC_ACT_UNSPEC;
	/* a tagged packet comes in again at the interface of its VLAN */
	if (skb->pkt_type != PACKET_HOST || skb->vlan_present || is_delivered(skb))
		return TC_ACT_UNSPEC;
	c = get_control();
	if (!c || !read_packet(skb, &p) || (c->filter && !may_be_foreign(&p)) ||
	    !find_mark(skb, &p, &mark))
		return TC_ACT_UNSPEC;
	owner = owner_of(mark, c);
	if (!owner)
		return TC_ACT_UNSPEC; /* L2 */
	return judge(skb, &p, c, owner);
}

/* ------------------------------------------------------------------ from a peer */

/* The tunnel's header: whose address it came from, and the number in it. False: not the kernel's.
 */
static __always_inline bool read_tunnel(struct __sk_buff *skb, struct dsaa_fast_addr *from,
					__u32 *vni)
{
	const __u32 size = __builtin_offsetof(struct bpf_tunnel_key, local_ipv4);
	struct bpf_tunnel_key key = {};

	if (bpf_skb_get_tunnel_key(skb, &key, size, 0) == 0) {
		from->word[0] = from->word[1] = 0;
		from->word[2] = bpf_htonl(0xffff);
		from->word[3] = bpf_htonl(key.remote_ipv4);
	} else if (bpf_skb_get_tunnel_key(skb, &key, size, BPF_F_TUNINFO_IPV6) == 0) {
		__builtin_memcpy(from->word, key.remote_ipv6, sizeof(from->word));
	} else {
		return false;
	}
	*vni = key.tunnel_id;
	return true;
}

static __always_inline bool is_site_mac(const __u8 *mac)
{
	__u32 i;

	for (i = 0; i < sizeof(mac_prefix); i++)
		if (mac[i] != mac_prefix[i])
			return false;
	return mac[5] != 0 && mac[5] <= DSAA_SITES_MAX;
}

/* True when the first LEN bytes can be read directly; they may lie elsewhere afterwards. */
static __always_inline bool have(struct __sk_buff *skb, __u32 len)
{
	return (void *)(long)skb->data + len <= (void *)(long)skb->data_end ||
	       (skb->len >= len && bpf_skb_pull_data(skb, len) == 0);
}

/* The packet is IP, and as long as its header says (GRO leaves that to the segments). */
static __always_inline bool ip_fits(struct __sk_buff *skb)
{
	void *data, *end;
	__u32 len = ip_bytes(skb);

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip;

		if (!have(skb, ETH_HLEN + sizeof(*ip)))
			return false;
		data = (void *)(long)skb->data;
		end = (void *)(long)skb->data_end;
		ip = data + ETH_HLEN;
		return (void *)(ip + 1) <= end && ip->version == 4 && ip->ihl >= 5 &&
		       bpf_ntohs(ip->tot_len) >= ip->ihl * 4 &&
		       (skb->gso_size || bpf_ntohs(ip->tot_len) <= len);
	}
	if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip;

		if (!have(skb, ETH_HLEN + sizeof(*ip)))
			return false;
		data = (void *)(long)skb->data;
		end = (void *)(long)skb->data_end;
		ip = data + ETH_HLEN;
		return (void *)(ip + 1) <= end && ip->version == 6 &&
		       (skb->gso_size || sizeof(*ip) + bpf_ntohs(ip->payload_len) <= len);
	}
	return false;
}

/*
 * The checks of the tunnel, in the order of nfq/dsaa_nfq_in.c. DSAA_R_NONE with the peer's number
 * in *SITE, or the reason to drop it.
 */
static __always_inline __u32 check_tunnel(struct __sk_buff *skb, const struct dsaa_fast_addr *from,
					  __u32 vni, const struct dsaa_fast_control *c, __u32 *site)
{
	__u32 *peer = bpf_map_lookup_elem(&peers, from);
	struct ethhdr *eth;

	if (!peer)
		return DSAA_R_RX_STRANGER;
	*site = *peer;
	if (!ip_fits(skb))
		return DSAA_R_RX_MALFORMED;
	eth = (void *)(long)skb->data;
	if ((void *)(eth + 1) > (void *)(long)skb->data_end)
		return DSAA_R_RX_MALFORMED;
	if (vni & ~VNI_KNOWN_BITS || !(vni & 0xffff) || (vni & 0xffff) > DSAA_IFACES_MAX ||
	    !is_site_mac(eth->h_source) || !is_site_mac(eth->h_dest))
		return DSAA_R_RX_MALFORMED;
	if (eth->h_source[5] != *site || eth->h_dest[5] != c->local_site)
		return DSAA_R_RX_STRANGER;
	return DSAA_R_NONE;
}

/* The daemon may hold the connection back ("sync delay"): the peer shall know it now. */
static __always_inline void tell_elsewhere(const struct packet *p)
{
	struct dsaa_fast_elsewhere e = { .family = p->family, .proto = p->proto };

	if (p->family == 4) {
		e.src[0] = p->tuple.ipv4.saddr;
		e.dst[0] = p->tuple.ipv4.daddr;
		e.sport = p->tuple.ipv4.sport;
		e.dport = p->tuple.ipv4.dport;
	} else {
		__builtin_memcpy(e.src, p->tuple.ipv6.saddr, sizeof(e.src));
		__builtin_memcpy(e.dst, p->tuple.ipv6.daddr, sizeof(e.dst));
		e.sport = p->tuple.ipv6.sport;
		e.dport = p->tuple.ipv6.dport;
	}
	/* a full ring loses it: the next packet tells the same */
	bpf_ringbuf_output(&elsewhere, &e, sizeof(e), 0);
}

/*
 * Rules P1 to P3. What cannot be looked up here, what could open a connection, and P4, is
 * delivered: behind the original interface the nft table lets through only what belongs to a
 * connection of ours, or begins one that a connection of ours expects (the data connection of
 * FTP), which only conntrack knows.
 */
static __always_inline __u32 judge_from_peer(struct __sk_buff *skb,
					     const struct dsaa_fast_control *c, bool second_chance)
{
	struct packet p;
	__u32 mark, owner;

	if (!read_packet(skb, &p))
		return DSAA_R_RX_DELIVERED;
	if (!find_mark(skb, &p, &mark)) /* P3, P4 */
		return second_chance && !may_open(skb, &p) ? DSAA_R_RX_NOT_OURS :
							     DSAA_R_RX_DELIVERED;
	owner = owner_of(mark, c);
	if (!owner && second_chance && c->elsewhere)
		tell_elsewhere(&p);
	if (!owner || word_of(owner) == DSAA_WORD_ADOPTED)
		return DSAA_R_RX_DELIVERED; /* P1 */
	return DSAA_R_RX_LOOP;		    /* P2 */
}

/* Takes "don't fragment" off an IPv4 packet, so that the stack can cut it again. */
static __always_inline void allow_fragments4(struct __sk_buff *skb)
{
	__be16 before, after;

	if (bpf_skb_load_bytes(skb, IP4_DF_OFFSET, &before, sizeof(before)))
		return;
	after = before & ~bpf_htons(IP4_DF);
	if (after == before || bpf_l3_csum_replace(skb, IP4_SUM_OFFSET, before, after, 2))
		return;
	bpf_skb_store_bytes(skb, IP4_DF_OFFSET, &after, sizeof(after), 0);
}

/* Longer than the link it came from: it was put together from fragments by the peer. */
static __always_inline bool is_reassembled(struct __sk_buff *skb, __u32 ifindex)
{
	__u32 mtu = 0;

	return !skb->gso_size && ip_bytes(skb) > MTU_ALWAYS &&
	       bpf_check_mtu(skb, ifindex, &mtu, 0, 0) == BPF_MTU_CHK_RET_FRAG_NEEDED;
}

/*
 * To the interface it came in from originally. Two kinds take the TAP device instead: packets for
 * an interface without Ethernet header come in from there; reassembled IPv6 is handed to the
 * queue thread that reads there, because nobody in the kernel cuts IPv6 that is forwarded.
 */
static __always_inline int deliver(struct __sk_buff *skb, const struct dsaa_fast_iface *iface,
				   const struct dsaa_fast_control *c, __u32 site, __u32 vni)
{
	__u8 number = vni & 0xff, offered = 1;
	__u64 flags = BPF_F_INGRESS;
	__u32 to = iface->ifindex;

	if (!iface->ethernet)
		to = c->tun_ifindex;
	if (is_reassembled(skb, iface->ifindex)) {
		if (skb->protocol == bpf_htons(ETH_P_IP)) {
			allow_fragments4(skb);
		} else {
			to = c->tun_ifindex;
			flags = 0;
		}
	}
	count_received(skb, site);
	/* the queue thread reads in the source where it belongs */
	if (!flags && bpf_skb_store_bytes(skb, ETH_ALEN + 3, &number, sizeof(number), 0))
		return drop(skb, DSAA_R_TUN_FAILED);
	if (!to || bpf_skb_store_bytes(skb, 0, iface->mac, sizeof(iface->mac), 0))
		return drop(skb, DSAA_R_TUN_FAILED);
	/* for the queue thread, if it gets it from the rules */
	if (vni & DSAA_VNI_SECOND_CHANCE &&
	    bpf_skb_store_bytes(skb, ETH_ALEN + DSAA_MAC_SECOND_CHANCE, &offered, sizeof(offered),
				0))
		return drop(skb, DSAA_R_TUN_FAILED);
	/* the operator's marks on the outer packet are none of the inner one's */
	skb->mark = 0;
	count(skb, DSAA_R_RX_DELIVERED);
	return bpf_redirect(to, flags);
}

static __always_inline int from_peer(struct __sk_buff *skb, const struct dsaa_fast_addr *from,
				     __u32 vni)
{
	struct dsaa_fast_control *c = get_control();
	__u32 number = vni & 0xffff, site = 0, reason;
	struct dsaa_fast_iface *iface;

	if (!c)
		return TC_ACT_SHOT;
	reason = check_tunnel(skb, from, vni, c, &site);
	if (reason != DSAA_R_NONE)
		return drop(skb, reason);
	iface = bpf_map_lookup_elem(&ifaces, &number);
	if (!iface || !iface->ifindex)
		return drop(skb, DSAA_R_RX_UNKNOWN_INTERFACE);
	reason = judge_from_peer(skb, c, vni & DSAA_VNI_SECOND_CHANCE);
	if (reason != DSAA_R_RX_DELIVERED) {
		count_received(skb, site);
		return drop(skb, reason);
	}
	return deliver(skb, iface, c, site, vni);
}

SEC("tc")
int dsaa_from_peer(struct __sk_buff *skb)
{
	struct dsaa_fast_addr from;
	__u32 vni;

	if (!read_tunnel(skb, &from, &vni))
		return drop(skb, DSAA_R_RX_STRANGER);
	return from_peer(skb, &from, vni);
}

/* ------------------------------------------------------------------ straight from the link */

static __always_inline void to_key(struct dsaa_fast_addr *a, __be32 ip)
{
	a->word[0] = a->word[1] = 0;
	a->word[2] = bpf_htonl(0xffff);
	a->word[3] = ip;
}

/*
 * All that is not plain goes on to the stack, hence to the VXLAN device: fragments, what GRO has
 * put together (the tunnel's marks in it can be taken off there only), strangers.
 */
SEC("tc")
int dsaa_from_link(struct __sk_buff *skb)
{
	const __u32 need = ETH_HLEN + sizeof(struct outer);
	struct dsaa_fast_control *c;
	struct dsaa_fast_addr from, to;
	struct ethhdr inner;
	struct outer *o;
	__u32 vni;

	if (skb->protocol != bpf_htons(ETH_P_IP) || skb->pkt_type != PACKET_HOST ||
	    skb->vlan_present || skb->gso_size)
		return TC_ACT_UNSPEC;
	c = get_control();
	if (!c || !c->tunnel_port || !have(skb, need))
		return TC_ACT_UNSPEC;
	o = (void *)(long)skb->data + ETH_HLEN;
	if ((void *)(o + 1) > (void *)(long)skb->data_end || o->ip.protocol != IPPROTO_UDP ||
	    o->udp.dest != c->tunnel_port || !is_plain(skb, o))
		return TC_ACT_UNSPEC;
	to_key(&from, o->ip.saddr);
	to_key(&to, o->ip.daddr);
	vni = bpf_ntohl(o->vni) >> 8;
	inner = o->eth;
	if (!bpf_map_lookup_elem(&peers, &from) || !bpf_map_lookup_elem(&locals, &to) ||
	    !unwrap(skb, inner.h_proto))
		return TC_ACT_UNSPEC;
	if (bpf_skb_store_bytes(skb, 0, &inner, sizeof(inner), 0))
		return drop(skb, DSAA_R_RX_MALFORMED);
	return from_peer(skb, &from, vni);
}

/* The kernel gives its conntrack functions to programs under the GPL only. */
char dsaa_license[] SEC("license") = "GPL";
