/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The programs of the fast path against core's dsaa_owner_verdict(), case by
 * case: the kernel runs them on packets made here, with entries in a conntrack
 * table of a network namespace of their own. Verdict and reason must agree.
 * Needs root and a kernel that loads the programs; else it is skipped.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack_tcp.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "bpf/dsaa_fast_shared.h"
#include "core/dsaa_encap.h"
#include "core/dsaa_owner.h"
#include "core/dsaa_reason.h"
#include "tests/bpf/fast_fixture_skel.h"
#include "tests/unit/test.h"

enum {
	LOCAL = 2,
	PEER = 1,
	THIRD = 3,
	MASK_SHIFT = 24,
	IFACE = 7,
	PORT_NONE = 900,   /* of no connection */
	PORT_ENTRY = 1000, /* + owner */
	OWNERS = 20,
};

static struct fast_fixture_bpf *skel;
static uint32_t lo = 1;

/* ------------------------------------------------------------------ packets */

struct fixture {
	uint8_t family;
	uint8_t proto;
	bool to_router;
	bool fragment;
	bool syn;
	bool host; /* from somebody to the interface (lo: zeros), not between sites */
	unsigned port;
};

static const uint8_t addr6[2][16] = { { 0x20, 1, 0xd, 0xb8, [15] = 1 },
				      { 0x20, 1, 0xd, 0xb8, [15] = 2 } };

static void put_addresses(void *ip, const struct fixture *x)
{
	struct ipv6hdr *v6 = ip;
	struct iphdr *v4 = ip;

	if (x->family == 4) {
		v4->saddr = htonl(0x0a000001);
		v4->daddr = htonl(x->to_router ? 0x0a000003 : 0x0a000002);
		return;
	}
	memcpy(&v6->saddr, addr6[0], 16);
	memcpy(&v6->daddr, addr6[1], 16);
	if (x->to_router)
		((uint8_t *)&v6->daddr)[15] = 3;
}

/* Writes the packet of X, by default with the Ethernet header that a peer gives; its length. */
static size_t make_packet(uint8_t *buf, const struct fixture *x)
{
	/* two bytes more, so that the IP header is aligned, as in a driver's buffer */
	_Alignas(4) uint8_t room[2 + 128] = { 0 };
	struct ethhdr *eth = (struct ethhdr *)(room + 2);
	uint8_t mac[12] = { 2, 0xd5, 0xaa, 0, 0, LOCAL, 2, 0xd5, 0xaa, 0, 0, PEER };
	uint16_t ports[2] = { htons(x->port), htons(80) };
	void *ip = room + 2 + ETH_HLEN, *l4;

	memcpy(eth, mac, sizeof(mac));
	if (x->host)
		memset(eth, 0, 2 * ETH_ALEN);
	if (x->family == 4) {
		struct iphdr *h = ip;

		eth->h_proto = htons(ETH_P_IP);
		h->version = 4;
		h->ihl = 5;
		h->tot_len = htons(60);
		h->ttl = 64;
		h->protocol = x->proto;
		h->frag_off = htons(x->fragment ? 0x2000 : 0);
		l4 = h + 1;
	} else {
		struct ipv6hdr *h = ip;

		eth->h_proto = htons(ETH_P_IPV6);
		h->version = 6;
		h->payload_len = htons(40);
		h->nexthdr = x->fragment ? 44 : x->proto;
		l4 = h + 1;
	}
	put_addresses(ip, x);
	memcpy(l4, ports, sizeof(ports));
	if (x->proto == IPPROTO_TCP)
		((uint8_t *)l4)[13] = x->syn ? 0x02 : 0x10;
	memcpy(buf, room + 2, 128);
	return ETH_HLEN + (x->family == 4 ? 60 : 80);
}

/* ------------------------------------------------------------------ the kernel's table */

static bool add_entry(uint8_t family, uint8_t proto, unsigned port, bool to_router, unsigned owner)
{
	struct nfct_handle *h = nfct_open(CONNTRACK, 0);
	struct nf_conntrack *ct = nfct_new();
	uint32_t src = htonl(0x0a000001), dst = htonl(to_router ? 0x0a000003 : 0x0a000002);
	uint8_t dst6[16];
	int rc;

	memcpy(dst6, addr6[1], 16);
	dst6[15] = to_router ? 3 : 2;
	nfct_set_attr_u8(ct, ATTR_L3PROTO, family == 4 ? AF_INET : AF_INET6);
	nfct_set_attr_u8(ct, ATTR_L4PROTO, proto);
	nfct_set_attr(ct, family == 4 ? ATTR_IPV4_SRC : ATTR_IPV6_SRC,
		      family == 4 ? (void *)&src : (void *)addr6[0]);
	nfct_set_attr(ct, family == 4 ? ATTR_IPV4_DST : ATTR_IPV6_DST,
		      family == 4 ? (void *)&dst : (void *)dst6);
	nfct_set_attr_u16(ct, ATTR_PORT_SRC, htons(port));
	nfct_set_attr_u16(ct, ATTR_PORT_DST, htons(80));
	nfct_setobjopt(ct, NFCT_SOPT_SETUP_REPLY);
	nfct_set_attr_u32(ct, ATTR_TIMEOUT, 300);
	nfct_set_attr_u32(ct, ATTR_MARK, owner << MASK_SHIFT | 0x1234);
	if (proto == IPPROTO_TCP)
		nfct_set_attr_u8(ct, ATTR_TCP_STATE, TCP_CONNTRACK_ESTABLISHED);
	rc = nfct_query(h, NFCT_Q_CREATE, ct);
	nfct_destroy(ct);
	nfct_close(h);
	return rc == 0;
}

/* One entry for each owner, family, protocol and kind of destination. */
static bool fill_table(void)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };
	bool ok = true;
	unsigned i, owner;

	for (i = 0; i < 8; i++)
		for (owner = 0; owner < OWNERS; owner++)
			ok &= add_entry(i & 1 ? 6 : 4, protos[i >> 1 & 1], PORT_ENTRY + owner,
					i & 4, owner);
	return ok;
}

/* ------------------------------------------------------------------ maps */

static void put(const struct bpf_map *map, const void *key, const void *value)
{
	CHECK(bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY) == 0);
}

static void set_word(uint32_t site, uint32_t word)
{
	put(skel->maps.words, &site, &word);
}

static void fill_maps(void)
{
	struct dsaa_fast_control control = { .mark_mask = DSAA_MARK_MASK_DEFAULT,
					     .mark_shift = MASK_SHIFT,
					     .local_site = LOCAL,
					     .vx_ifindex = lo };
	struct dsaa_fast_site site = { .family = 4, .remote = { 0xac100001 } };
	struct dsaa_fast_addr a = { { 0, 0, htonl(0xffff), htonl(0xac100001) } };
	struct dsaa_fast_iface iface = { .ifindex = lo, .ethernet = 1 };
	struct dsaa_fast_port port = { .iface = IFACE, .caught = 1 };
	uint32_t zero = 0, one = 1, n = IFACE, i;

	put(skel->maps.control, &zero, &control);
	for (i = 1; i < DSAA_FAST_SITES; i++)
		put(skel->maps.sites, &i, &site);
	put(skel->maps.peers, &a, &one);
	put(skel->maps.ifaces, &n, &iface);
	put(skel->maps.ports, &lo, &port);
	a.word[3] = htonl(0x0a000003);
	put(skel->maps.locals, &a, &one);
	memcpy(a.word, addr6[1], 16);
	((uint8_t *)a.word)[15] = 3;
	put(skel->maps.locals, &a, &one);
	set_word(DSAA_FAST_GATE, 1);
}

/* How many packets have been counted for REASON since the last call for it. */
static uint64_t counted(uint32_t reason)
{
	static uint64_t before[DSAA_REASONS_MAX];
	struct dsaa_fast_reason r[libbpf_num_possible_cpus()];
	uint64_t n = 0, old = before[reason];
	int i;

	if (bpf_map_lookup_elem(bpf_map__fd(skel->maps.reasons), &reason, r) < 0)
		return 0;
	for (i = 0; i < libbpf_num_possible_cpus(); i++)
		n += r[i].packets;
	before[reason] = n;
	return n - old;
}

/* ------------------------------------------------------------------ cases */

static int run(const struct bpf_program *prog, const struct fixture *fixture, uint32_t vni,
	       uint8_t *out)
{
	struct fixture x = *fixture;
	struct __sk_buff ctx = { .cb = { htonl(0xac100001), vni } };
	uint8_t packet[128];
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_out = out,
			    .data_size_out = 128, .ctx_in = &ctx, .ctx_size_in = sizeof(ctx));

	x.host = prog == skel->progs.dsaa_to_owner;
	opts.data_size_in = make_packet(packet, &x);
	if (bpf_prog_test_run_opts(bpf_program__fd(prog), &opts) < 0) {
		printf("test run: %s\n", strerror(errno));
		return -2;
	}
	return (int)opts.retval;
}

/* What the program has to answer when core says VERDICT. */
static int expected(enum dsaa_verdict verdict)
{
	if (verdict == DSAA_VERDICT_CORRECT)
		return TC_ACT_REDIRECT;
	return verdict == DSAA_VERDICT_DROP ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

static struct dsaa_packet_facts facts_of(const struct fixture *x, unsigned owner,
					 enum dsaa_site_word word)
{
	struct dsaa_packet_facts f = { .class = DSAA_PKT_HAS_ENTRY, .any_peer_alive = true };

	/* as the queue thread: our own number, and numbers of no site, mean ours */
	f.owner = owner == LOCAL || owner > DSAA_SITES_MAX ? 0 : owner;
	f.word = f.owner ? word : DSAA_WORD_UNKNOWN;
	f.to_router = x->to_router;
	if (x->port == PORT_NONE)
		f.class = DSAA_PKT_NEW;
	return f;
}

static void check_to_owner(const struct fixture *x, unsigned owner, enum dsaa_site_word word)
{
	struct dsaa_packet_facts f = facts_of(x, owner, word);
	uint8_t out[128];
	unsigned reason;
	enum dsaa_verdict verdict = dsaa_owner_verdict(&f, &reason);
	int got = run(skel->progs.dsaa_to_owner, x, 0, out);

	CHECK(got == expected(verdict));
	if (verdict == DSAA_VERDICT_CORRECT || verdict == DSAA_VERDICT_DROP)
		CHECK(counted(reason) == 1);
	if (verdict == DSAA_VERDICT_CORRECT) {
		uint8_t mac[12] = { 2, 0xd5, 0xaa, 0, 0, f.owner, 2, 0xd5, 0xaa, 0, 0, LOCAL };

		CHECK(memcmp(out, mac, sizeof(mac)) == 0);
	}
}

static void check_from_peer(const struct fixture *x, unsigned owner, enum dsaa_site_word word,
			    bool second)
{
	struct dsaa_packet_facts f = facts_of(x, owner, word);
	uint8_t out[128];
	unsigned reason;
	int got;

	f.from_peer = true;
	f.second_chance = second;
	dsaa_owner_verdict(&f, &reason);
	/*
	 * whether it is expected, conntrack says behind this; if not, the nft table sends it to the
	 * queue
	 */
	if (reason == DSAA_R_RX_OPENS ||
	    (reason == DSAA_R_RX_NOT_OURS && (x->proto != IPPROTO_TCP || x->syn)))
		reason = DSAA_R_RX_DELIVERED;
	got = run(skel->progs.fixture_from_peer, x, IFACE | (second ? DSAA_VNI_SECOND_CHANCE : 0),
		  out);
	CHECK(got == (reason == DSAA_R_RX_DELIVERED ? TC_ACT_REDIRECT : TC_ACT_SHOT));
	CHECK(counted(reason) == 1);
}

static void check_all(const struct fixture *x, unsigned owner)
{
	enum dsaa_site_word word;

	for (word = DSAA_WORD_UNKNOWN; word <= DSAA_WORD_UNREACHABLE; word++) {
		if (owner > 0 && owner <= DSAA_SITES_MAX)
			set_word(owner, word);
		check_to_owner(x, owner, word);
		check_from_peer(x, owner, word, false);
		check_from_peer(x, owner, word, true);
	}
}

static void test_verdicts(void)
{
	struct fixture x;
	unsigned i, owner;

	for (i = 0; i < 8; i++) {
		x = (struct fixture){ .family = i & 1 ? 6 : 4,
				      .proto = i & 2 ? IPPROTO_UDP : IPPROTO_TCP,
				      .to_router = i & 4 };
		x.port = PORT_NONE;
		check_all(&x, 0);
		x.syn = true;
		check_all(&x, 0);
		for (owner = 0; owner < OWNERS; owner++) {
			x.port = PORT_ENTRY + owner;
			check_all(&x, owner);
		}
	}
}

/* What the programs do not look at goes on, whatever its connection is. */
static void test_left_alone(void)
{
	struct fixture x = { .family = 4, .proto = IPPROTO_UDP, .port = PORT_ENTRY + PEER };
	uint8_t out[128];

	set_word(PEER, DSAA_WORD_ALIVE);
	CHECK(run(skel->progs.dsaa_to_owner, &x, 0, out) == TC_ACT_REDIRECT);
	x.fragment = true;
	CHECK(run(skel->progs.dsaa_to_owner, &x, 0, out) == TC_ACT_UNSPEC);
	x.family = 6;
	CHECK(run(skel->progs.dsaa_to_owner, &x, 0, out) == TC_ACT_UNSPEC);
	x = (struct fixture){ .family = 4, .proto = IPPROTO_ICMP, .port = PORT_ENTRY + PEER };
	CHECK(run(skel->progs.dsaa_to_owner, &x, 0, out) == TC_ACT_UNSPEC);
	CHECK(run(skel->progs.fixture_from_peer, &x, IFACE, out) == TC_ACT_REDIRECT);
	x.proto = IPPROTO_UDP;
	set_word(DSAA_FAST_GATE, 0);
	CHECK(run(skel->progs.dsaa_to_owner, &x, 0, out) == TC_ACT_UNSPEC);
	set_word(DSAA_FAST_GATE, 1);
}

static void use_filter(bool use)
{
	struct dsaa_fast_control control;
	uint32_t zero = 0;

	CHECK(bpf_map_lookup_elem(bpf_map__fd(skel->maps.control), &zero, &control) == 0);
	control.filter = use;
	put(skel->maps.control, &zero, &control);
}

/* Sets the bit of X, seen from the other end: both directions have the same one. */
static void tell_filter(const struct fixture *x)
{
	struct dsaa_fast_bit b;
	uint32_t w[2][4];
	uint64_t word;

	memcpy(w, addr6, sizeof(w));
	if (x->family == 4)
		b = dsaa_fast_filter_bit(htonl(0x0a000002), htonl(0x0a000001), htons(80),
					 htons(x->port));
	else
		b = dsaa_fast_filter_bit(dsaa_fast_fold(w[1]), dsaa_fast_fold(w[0]), htons(80),
					 htons(x->port));
	CHECK(b.word < DSAA_FAST_FILTER_WORDS);
	CHECK(bpf_map_lookup_elem(bpf_map__fd(skel->maps.filter), &b.word, &word) == 0);
	word |= b.bit;
	put(skel->maps.filter, &b.word, &word);
}

/* Packets that the filter does not know, and those from a site, are not looked up. */
static void test_filter(void)
{
	struct fixture x = { .proto = IPPROTO_TCP, .port = PORT_ENTRY + PEER };
	struct fixture other = { .proto = IPPROTO_TCP, .port = PORT_ENTRY + THIRD };
	uint8_t out[128];

	set_word(PEER, DSAA_WORD_ALIVE);
	set_word(THIRD, DSAA_WORD_ALIVE);
	use_filter(true);
	for (x.family = 4; x.family <= 6; x.family += 2) {
		other.family = x.family;
		CHECK(run(skel->progs.dsaa_to_owner, &x, 0, out) == TC_ACT_UNSPEC);
		tell_filter(&x);
		CHECK(run(skel->progs.dsaa_to_owner, &x, 0, out) == TC_ACT_REDIRECT);
		CHECK(run(skel->progs.dsaa_to_owner, &other, 0, out) == TC_ACT_UNSPEC);
	}
	use_filter(false);
	CHECK(run(skel->progs.dsaa_to_owner, &other, 0, out) == TC_ACT_REDIRECT);
}

static void test_from_site(void)
{
	static const uint8_t forms[][4] = { { 2, 0xd5, 0xaa, 0 },
					    { 2, 0xd5, 0xaa, IFACE },
					    { 2, 0xd5, 0xab, 0 } };
	struct fixture x = {
		.family = 4, .proto = IPPROTO_UDP, .host = true, .port = PORT_ENTRY + PEER
	};
	uint8_t packet[128];
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet);
	unsigned i;

	opts.data_size_in = make_packet(packet, &x);
	for (i = 0; i < 3; i++) {
		memcpy(packet + ETH_ALEN, forms[i], sizeof(forms[i]));
		CHECK(bpf_prog_test_run_opts(bpf_program__fd(skel->progs.dsaa_to_owner), &opts) ==
		      0);
		CHECK((int)opts.retval == (i < 2 ? TC_ACT_UNSPEC : TC_ACT_REDIRECT));
	}
}

static void test_tunnel(void)
{
	static const struct {
		uint32_t vni;
		unsigned reason;
	} cases[] = {
		{ IFACE, DSAA_R_RX_DELIVERED },
		{ 0, DSAA_R_RX_MALFORMED },
		{ DSAA_IFACES_MAX, DSAA_R_RX_UNKNOWN_INTERFACE },
		{ DSAA_IFACES_MAX + 1, DSAA_R_RX_MALFORMED },
		{ 0x10000 | IFACE, DSAA_R_RX_MALFORMED },
		{ 0x400000 | IFACE, DSAA_R_RX_MALFORMED },
		{ 0x800000, DSAA_R_RX_MALFORMED },
	};
	struct fixture x = { .family = 4, .proto = IPPROTO_UDP, .port = PORT_ENTRY };
	uint8_t out[128];
	unsigned i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		counted(cases[i].reason);
		run(skel->progs.fixture_from_peer, &x, cases[i].vni, out);
		CHECK(counted(cases[i].reason) == 1);
	}
}

static void test_speed(void)
{
	struct fixture x = { .family = 4, .proto = IPPROTO_UDP, .host = true, .port = PORT_ENTRY };
	uint8_t packet[128];
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .repeat = 200000);
	unsigned gate;

	opts.data_size_in = make_packet(packet, &x);
	for (gate = 0; gate <= 1; gate++) {
		set_word(DSAA_FAST_GATE, gate);
		CHECK(bpf_prog_test_run_opts(bpf_program__fd(skel->progs.dsaa_to_owner), &opts) ==
		      0);
		printf("an own packet, gate %s: %u ns\n", gate ? "open" : "closed", opts.duration);
	}
}

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

int main(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0) {
		printf("skipped: needs root\n");
		return 77;
	}
	libbpf_set_print(quiet);
	skel = fast_fixture_bpf__open_and_load();
	if (!skel) {
		printf("skipped: the kernel does not load the programs: %s\n", strerror(errno));
		return 77;
	}
	CHECK(fill_table());
	fill_maps();
	test_verdicts();
	test_left_alone();
	test_filter();
	test_from_site();
	test_tunnel();
	test_speed();
	fast_fixture_bpf__destroy(skel);
	return TEST_END();
}
