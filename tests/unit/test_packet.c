/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The packet parser and the tunnel's header on good, cut and hostile input.
 * Everything is read from memory of exactly its length.
 */
#include <stdlib.h>

#include "core/dsaa_encap.h"
#include "core/dsaa_packet.h"
#include "core/dsaa_reason.h"
#include "tests/unit/flows.h"

static uint8_t pkt[70000];
static size_t pkt_len;

static void put16(size_t at, unsigned value)
{
	pkt[at] = (uint8_t)(value >> 8);
	pkt[at + 1] = (uint8_t)value;
}

/* Starts a packet from address 1 to address 2 (or back) with LEN bytes of zeroed payload. */
static size_t start(unsigned family, uint8_t proto, size_t len, bool back)
{
	static const uint8_t net[3] = { 192, 0, 2 };
	size_t header = family == 4 ? 20 : 40;

	memset(pkt, 0, header + len);
	if (family == 4) {
		pkt[0] = 0x45;
		put16(2, (unsigned)(header + len));
		pkt[9] = proto;
		memcpy(pkt + 12, net, sizeof(net));
		memcpy(pkt + 16, net, sizeof(net));
		pkt[15] = back ? 2 : 1;
		pkt[19] = back ? 1 : 2;
	} else {
		pkt[0] = 0x60;
		put16(4, (unsigned)len);
		pkt[6] = proto;
		pkt[8] = pkt[24] = 0x20;
		pkt[23] = back ? 2 : 1;
		pkt[39] = back ? 1 : 2;
	}
	pkt_len = header + len;
	return header;
}

static unsigned parse_len(size_t len, struct dsaa_packet *p)
{
	uint8_t *copy = malloc(len ? len : 1);
	unsigned why;

	memcpy(copy, pkt, len);
	memset(p, 0xee, sizeof(*p));
	why = dsaa_packet_parse(copy, len, p);
	free(copy);
	return why;
}

static unsigned parse(struct dsaa_packet *p)
{
	return parse_len(pkt_len, p);
}

/* No proper part of the packet is readable; bytes behind it do no harm. */
static void check_cuts(void)
{
	struct dsaa_packet p, longer;

	for (size_t cut = 0; cut < pkt_len; cut++)
		CHECK(parse_len(cut, &p) == DSAA_R_UNREADABLE);
	CHECK(parse(&p) == DSAA_R_NONE);
	CHECK(parse_len(pkt_len + 6, &longer) == DSAA_R_NONE);
	CHECK(memcmp(&p.tuple, &longer.tuple, sizeof(p.tuple)) == 0);
	CHECK(longer.total_len == pkt_len);
}

static bool from1to2(const struct dsaa_packet *p)
{
	unsigned last = p->family == 4 ? 3 : 15;

	return p->tuple.src[last] == 1 && p->tuple.dst[last] == 2;
}

static void test_transports(void)
{
	static const struct {
		uint8_t proto;
		uint8_t min;
	} rows[] = { { 6, 20 }, { 17, 8 }, { 136, 8 }, { 132, 12 }, { 33, 12 } };
	struct dsaa_packet p;

	for (unsigned n = 0; n < 2 * sizeof(rows) / sizeof(rows[0]); n++) {
		unsigned family = n % 2 ? 4 : 6;
		size_t l4 = start(family, rows[n / 2].proto, rows[n / 2].min, false);

		put16(l4, 1234);
		put16(l4 + 2, 65535);
		CHECK(parse(&p) == DSAA_R_NONE && p.family == family);
		CHECK(p.proto == rows[n / 2].proto && p.tuple_proto == p.proto && from1to2(&p));
		CHECK(p.tuple.sport == 1234 && p.tuple.dport == 65535 && !p.fragment);
		CHECK(!p.icmp_error && !p.tcp_syn && p.total_len == pkt_len);
		check_cuts();
		/* a header that claims less than the transport needs */
		start(family, rows[n / 2].proto, rows[n / 2].min - 1u, false);
		CHECK(parse(&p) == DSAA_R_UNREADABLE);
	}
	/* a protocol without ports, with nothing in it */
	start(4, 50, 0, false);
	CHECK(parse(&p) == DSAA_R_NONE && p.tuple.sport == 0 && p.tuple.dport == 0);
	start(6, 59, 0, false);
	CHECK(parse(&p) == DSAA_R_NONE && p.proto == 59);
}

static void test_tcp_flags(void)
{
	struct dsaa_packet p;

	for (unsigned flags = 0; flags < 256; flags++) {
		size_t l4 = start(4, 6, 20, false);

		pkt[l4 + 13] = (uint8_t)flags;
		CHECK(parse(&p) == DSAA_R_NONE && p.tcp_syn == ((flags & 0x12) == 0x02) &&
		      p.tcp_answer == ((flags & 0x12) == 0x12 || flags & 0x04));
	}
}

static void test_ip4_header(void)
{
	struct dsaa_packet p;

	for (unsigned first = 0; first < 256; first++) {
		size_t header = (first & 15) * 4;

		start(4, 17, 60, false);
		pkt[0] = (uint8_t)first;
		/* read as IPv6 it has a length of its own, and protocol 0 */
		CHECK((parse(&p) == DSAA_R_NONE && p.family == 4) ==
		      (first >> 4 == 4 && header >= 20));
	}
	/* options */
	start(4, 17, 40 + 8, false);
	pkt[0] = 0x4f;
	put16(60, 7);
	CHECK(parse(&p) == DSAA_R_NONE && p.tuple.sport == 7);
	check_cuts();
	/* total length below the header, below the options, beyond the bytes */
	start(4, 50, 8, false);
	put16(2, 19);
	CHECK(parse(&p) == DSAA_R_UNREADABLE);
	put16(2, 0);
	CHECK(parse(&p) == DSAA_R_UNREADABLE);
	put16(2, 29);
	CHECK(parse(&p) == DSAA_R_UNREADABLE);
	put16(2, 20);
	CHECK(parse(&p) == DSAA_R_NONE && p.total_len == 20);
	start(4, 50, 65535 - 20, false);
	CHECK(parse(&p) == DSAA_R_NONE && p.total_len == 65535);
}

static void test_fragments(void)
{
	struct dsaa_packet p;
	size_t l4 = start(4, 17, 8, false);

	put16(l4, 5);
	put16(6, 0x4000); /* do not fragment */
	CHECK(parse(&p) == DSAA_R_NONE && !p.fragment && p.tuple.sport == 5);
	put16(6, 0x2000); /* first of more */
	CHECK(parse(&p) == DSAA_R_NONE && p.fragment && p.tuple.sport == 5);
	put16(6, 0x0001); /* last */
	CHECK(parse(&p) == DSAA_R_NONE && p.fragment && p.tuple.sport == 0 && from1to2(&p));
	/* a first fragment may be too short for ports */
	start(4, 6, 2, false);
	put16(6, 0x2000);
	CHECK(parse(&p) == DSAA_R_NONE && p.fragment && p.tuple.sport == 0 && !p.tcp_syn);
	/* a later one that looks like an ICMP error is none */
	l4 = start(4, 1, 40, false);
	pkt[l4] = 3;
	put16(6, 0x0004);
	CHECK(parse(&p) == DSAA_R_NONE && !p.icmp_error && p.tuple.dport == 0);
	/* IPv6: whole, first, later */
	l4 = start(6, 44, 16, false);
	pkt[l4] = 17;
	put16(l4 + 8, 5);
	CHECK(parse(&p) == DSAA_R_NONE && !p.fragment && p.proto == 17 && p.tuple.sport == 5);
	pkt[l4 + 3] = 1;
	CHECK(parse(&p) == DSAA_R_NONE && p.fragment && p.tuple.sport == 5);
	pkt[l4 + 3] = 8;
	CHECK(parse(&p) == DSAA_R_NONE && p.fragment && p.proto == 17 && p.tuple.sport == 0);
	pkt[l4] = 60; /* what stands in a later fragment is not a header */
	CHECK(parse(&p) == DSAA_R_NONE && p.proto == 60);
}

static void test_extensions(void)
{
	static const uint8_t kinds[] = { 0, 43, 60, 51 };
	struct dsaa_packet p;
	size_t l4;

	for (unsigned n = 1; n <= DSAA_IP6_EXTENSIONS_MAX + 1; n++) {
		start(6, 0, n * 16 + 8, false);
		for (unsigned i = 0; i < n; i++) {
			bool auth = kinds[i % 4] == 51;

			if (i == 0)
				pkt[6] = kinds[0];
			pkt[40 + i * 16] = i + 1 == n ? 17 : kinds[(i + 1) % 4];
			pkt[40 + i * 16 + 1] = auth ? 2 : 1;
		}
		put16(40 + n * 16, 99);
		if (n <= DSAA_IP6_EXTENSIONS_MAX) {
			CHECK(parse(&p) == DSAA_R_NONE && p.proto == 17 && p.tuple.sport == 99);
			check_cuts();
		} else {
			CHECK(parse(&p) == DSAA_R_UNREADABLE);
		}
	}
	/* one that says it is longer than the packet */
	l4 = start(6, 60, 16, false);
	pkt[l4] = 17;
	pkt[l4 + 1] = 255;
	CHECK(parse(&p) == DSAA_R_UNREADABLE);
	start(6, 60, 1, false);
	CHECK(parse(&p) == DSAA_R_UNREADABLE);
	start(6, 44, 7, false);
	CHECK(parse(&p) == DSAA_R_UNREADABLE);
}

static void test_icmp(void)
{
	struct dsaa_packet p;
	size_t l4 = start(4, 1, 8, false);

	pkt[l4] = 8;
	put16(l4 + 4, 777);
	CHECK(parse(&p) == DSAA_R_NONE && p.tuple.sport == 777 && p.tuple.dport == 8 << 8);
	check_cuts();
	pkt[l4] = 9; /* router advertisement: no identifier there */
	CHECK(parse(&p) == DSAA_R_NONE && p.tuple.sport == 0 && p.tuple.dport == 9 << 8);
	l4 = start(6, 58, 8, false);
	pkt[l4] = 129;
	put16(l4 + 4, 777);
	CHECK(parse(&p) == DSAA_R_NONE && p.tuple.sport == 777 && p.tuple.dport == 129 << 8);
	start(6, 58, 4, false);
	pkt[40] = 135;
	CHECK(parse(&p) == DSAA_R_NONE && p.tuple.sport == 0);
}

static void test_gre(void)
{
	struct dsaa_packet p;
	size_t l4 = start(4, 47, 8, false);

	put16(l4 + 6, 42);
	CHECK(parse(&p) == DSAA_R_NONE && p.tuple.dport == 0);
	put16(l4, 0x2001);
	put16(l4 + 2, 0x880b);
	CHECK(parse(&p) == DSAA_R_NONE && p.tuple.dport == 42 && p.tuple.sport == 0);
	start(4, 47, 4, false);
	put16(l4, 0x2001);
	put16(l4 + 2, 0x880b);
	CHECK(parse(&p) == DSAA_R_NONE && p.tuple.dport == 0);
}

/* An error from 1 to 2 about a packet of PROTO from 2 to 1, quoted with QUOTE bytes of payload. */
static size_t start_error(unsigned family, uint8_t proto, size_t quote)
{
	size_t header = family == 4 ? 20 : 40, inner = header + 8;
	uint8_t copy[128];

	start(family, proto, quote, true);
	/* as it was on the way: longer than what is quoted */
	put16(family == 4 ? 2 : 4, 1400);
	put16(header, 443);
	put16(header + 2, 5000);
	memcpy(copy, pkt, pkt_len);
	start(family, family == 4 ? 1 : 58, 8 + header + quote, false);
	memcpy(pkt + inner, copy, header + quote);
	pkt[header] = family == 4 ? 11 : 3;
	return inner;
}

static void test_icmp_errors(void)
{
	struct dsaa_packet p;

	for (unsigned family = 4; family <= 6; family += 2) {
		start_error(family, 17, 8);
		CHECK(parse(&p) == DSAA_R_NONE && p.icmp_error && p.tuple_proto == 17);
		CHECK(p.proto == (family == 4 ? 1 : 58) && from1to2(&p));
		CHECK(p.tuple.sport == 5000 && p.tuple.dport == 443 && !p.tcp_syn);
		check_cuts();
		/* TCP is quoted with eight bytes of its twenty */
		start_error(family, 6, 8);
		CHECK(parse(&p) == DSAA_R_NONE && p.tuple_proto == 6 && p.tuple.sport == 5000);
		start_error(family, 6, 7);
		CHECK(parse(&p) == DSAA_R_UNREADABLE);
		start_error(family, 50, 0);
		CHECK(parse(&p) == DSAA_R_NONE && p.tuple_proto == 50 && p.tuple.sport == 0);
	}
}

static void test_icmp_errors_about_icmp(void)
{
	struct dsaa_packet p;
	size_t inner = start_error(4, 1, 8);

	/* a reply to an echo is lost: the error belongs to the request's direction */
	put16(inner + 20, 0);
	put16(inner + 24, 777);
	CHECK(parse(&p) == DSAA_R_NONE && p.icmp_error && p.tuple_proto == 1);
	CHECK(p.tuple.sport == 777 && p.tuple.dport == 8 << 8 && from1to2(&p));
	/* an error about an error, another family, a later fragment, no IP */
	put16(inner + 20, 3 << 8);
	CHECK(parse(&p) == DSAA_R_UNREADABLE);
	inner = start_error(4, 17, 60);
	pkt[inner] = 0x60;
	CHECK(parse(&p) == DSAA_R_UNREADABLE);
	inner = start_error(4, 17, 8);
	put16(inner + 6, 1);
	CHECK(parse(&p) == DSAA_R_UNREADABLE);
	inner = start_error(4, 17, 8);
	pkt[inner] = 0x15;
	CHECK(parse(&p) == DSAA_R_UNREADABLE);
	start(4, 1, 8, false);
	pkt[20] = 3;
	CHECK(parse(&p) == DSAA_R_UNREADABLE);
}

static void test_hostile(void)
{
	struct dsaa_packet p;

	for (unsigned n = 0; n < 300000; n++) {
		size_t len = test_random() % 160;

		for (size_t i = 0; i < len; i++)
			pkt[i] = (uint8_t)test_random();
		pkt[0] = test_random() % 2 ? 0x45 : 0x60;
		if (pkt[0] == 0x45 && len > 20) {
			put16(2, (unsigned)len);
			put16(6, 0);
			pkt[9] = test_random() % 2 ? 1 : pkt[9];
			pkt[20] = 3;
			pkt[28] = 0x45;
		} else if (len > 40) {
			static const uint8_t next[] = { 0, 43, 44, 51, 60, 58 };

			put16(4, (unsigned)len - 40);
			pkt[6] = next[test_random() % 6];
			pkt[40] = next[test_random() % 6];
			pkt[41] %= 4;
			pkt[48] = next[test_random() % 6];
		}
		if (parse_len(len, &p) == DSAA_R_NONE)
			CHECK(p.total_len <= len && (p.family == 4 || p.family == 6));
	}
}

/* ------------------------------------------------------------------ tunnel header */

static unsigned decap(size_t len, struct dsaa_encap *e)
{
	uint8_t *copy = malloc(len ? len : 1);
	unsigned why;

	memcpy(copy, pkt, len);
	why = dsaa_encap_decode(copy, len, e);
	free(copy);
	return why;
}

/* A tunnel packet from site 3 to site 4 around an empty UDP packet; its length. */
static size_t tunnel(uint8_t family, uint16_t iface, bool second_chance)
{
	struct dsaa_encap e = { iface, second_chance, 3, 4, family };

	start(family, 17, 8, false);
	memmove(pkt + DSAA_ENCAP_LEN, pkt, pkt_len);
	dsaa_encap_encode(pkt, &e);
	return DSAA_ENCAP_LEN + pkt_len;
}

static void test_encap_bytes(void)
{
	static const uint8_t want[DSAA_ENCAP_LEN] = { 8, 0, 0, 0, 0x80, 0,    5, 0, 2, 0xd5, 0xaa,
						      0, 0, 4, 2, 0xd5, 0xaa, 0, 0, 3, 8,    0 };

	tunnel(4, 5, true);
	CHECK(memcmp(pkt, want, sizeof(want)) == 0);
}

static void test_encap_round_trip(void)
{
	struct dsaa_encap e;

	for (unsigned n = 0; n < 4 * (DSAA_IFACES_MAX + 2); n++) {
		uint16_t iface = (uint16_t)(n / 4);
		size_t len = tunnel(n & 1 ? 4 : 6, iface, n & 2);
		bool good = iface >= 1 && iface <= DSAA_IFACES_MAX;

		CHECK((decap(len, &e) == DSAA_R_NONE) == good);
		if (good)
			CHECK(e.iface == iface && e.second_chance == !!(n & 2) && e.from == 3 &&
			      e.to == 4 && e.family == (n & 1 ? 4 : 6));
		for (size_t cut = 0; cut < len; cut++)
			CHECK(decap(cut, &e) == DSAA_R_RX_MALFORMED);
		CHECK((decap(len + 6, &e) == DSAA_R_NONE) == good);
	}
}

/* Every bit of the header matters: flipped, it is refused or means something else. */
static void test_encap_bits(void)
{
	struct dsaa_encap e, same;
	size_t len = tunnel(4, 5, false);

	CHECK(decap(len, &same) == DSAA_R_NONE);
	for (unsigned bit = 0; bit < DSAA_ENCAP_LEN * 8; bit++) {
		unsigned byte = bit / 8;
		bool number = byte == 4 || byte == 6 || byte == 13 || byte == 19;

		len = tunnel(4, 5, false);
		pkt[byte] ^= (uint8_t)(0x80 >> bit % 8);
		if (decap(len, &e) == DSAA_R_RX_MALFORMED)
			test_passed++;
		else
			CHECK(number && (e.iface != same.iface || e.from != same.from ||
					 e.to != same.to || e.second_chance));
	}
}

static void test_encap_inner(void)
{
	struct dsaa_encap e;
	size_t len;

	for (unsigned site = 0; site < 256; site++) {
		len = tunnel(6, 1, false);
		pkt[13] = (uint8_t)site;
		CHECK((decap(len, &e) == DSAA_R_NONE) == (site >= 1 && site <= DSAA_SITES_MAX));
		len = tunnel(6, 1, false);
		pkt[19] = (uint8_t)site;
		CHECK((decap(len, &e) == DSAA_R_NONE) == (site >= 1 && site <= DSAA_SITES_MAX));
	}
	len = tunnel(4, 1, false);
	pkt[DSAA_ENCAP_LEN] = 0x65; /* version against ethertype */
	CHECK(decap(len, &e) == DSAA_R_RX_MALFORMED);
	pkt[DSAA_ENCAP_LEN] = 0x44; /* header shorter than any */
	CHECK(decap(len, &e) == DSAA_R_RX_MALFORMED);
	pkt[DSAA_ENCAP_LEN] = 0x45;
	put16(DSAA_ENCAP_LEN + 2, 19);
	CHECK(decap(len, &e) == DSAA_R_RX_MALFORMED);
	put16(DSAA_ENCAP_LEN + 2, 29);
	CHECK(decap(len, &e) == DSAA_R_RX_MALFORMED);
	len = tunnel(6, 1, false);
	put16(DSAA_ENCAP_LEN + 4, 9);
	CHECK(decap(len, &e) == DSAA_R_RX_MALFORMED);
	put16(20, 0x0806); /* ARP */
	CHECK(decap(len, &e) == DSAA_R_RX_MALFORMED);
}

int main(void)
{
	test_transports();
	test_tcp_flags();
	test_ip4_header();
	test_fragments();
	test_extensions();
	test_icmp();
	test_gre();
	test_icmp_errors();
	test_icmp_errors_about_icmp();
	test_hostile();
	test_encap_bytes();
	test_encap_round_trip();
	test_encap_bits();
	test_encap_inner();
	return TEST_END();
}
