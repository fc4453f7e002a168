/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keys, validity, NAT and timeouts of flows. */
#include "tests/unit/flows.h"

static void test_key(void)
{
	struct dsaa_flow a, b;

	for (unsigned i = 0; i < 1000; i++) {
		a = flow_random();
		b = a;
		/* what is not of the key has no influence */
		b.mark ^= 1;
		b.reply.sport ^= 1;
		b.status ^= 1;
		b.id = 99;
		CHECK(dsaa_flow_key_equal(&a, &b));
		CHECK(dsaa_flow_key_hash(&a, 5) == dsaa_flow_key_hash(&b, 5));
		CHECK(dsaa_flow_key_hash(&a, 5) != dsaa_flow_key_hash(&a, 6));
		switch (i % 7) {
		case 0:
			b.orig.src[i % 16] ^= 1;
			break;
		case 1:
			b.orig.dst[i % 16] ^= 0x80;
			break;
		case 2:
			b.orig.sport ^= 0x100;
			break;
		case 3:
			b.orig.dport ^= 1;
			break;
		case 4:
			b.zone ^= 1;
			break;
		case 5:
			b.proto ^= 1;
			break;
		default:
			b.family ^= 2;
			break;
		}
		CHECK(!dsaa_flow_key_equal(&a, &b));
		CHECK(dsaa_flow_key_hash(&a, 5) != dsaa_flow_key_hash(&b, 5));
	}
}

/* Two sites compare digests: the value may never change with the machine or the release. */
static void test_hash_is_fixed(void)
{
	struct dsaa_flow f = flow_make(4, DSAA_PROTO_TCP, 0x01020304);

	CHECK(dsaa_flow_key_hash(&f, DSAA_DIGEST_SEED) == UINT64_C(0x5915001745397c50));
}

static void test_reverse(void)
{
	struct dsaa_tuple t = { { 1 }, { 2 }, 10, 20 }, r;

	CHECK(dsaa_tuple_reverse(DSAA_PROTO_UDP, &t, &r));
	CHECK(r.src[0] == 2 && r.dst[0] == 1 && r.sport == 20 && r.dport == 10);
	CHECK(dsaa_tuple_reverse(DSAA_PROTO_UDP, &r, &r));
	CHECK(memcmp(&r, &t, sizeof(r)) == 0);
	for (unsigned type = 0; type < 256; type++) {
		static const uint8_t answered4[] = { 0, 8, 13, 14, 15, 16, 17, 18 };
		static const uint8_t answered6[] = { 128, 129, 139, 140 };
		bool in4 = memchr(answered4, (int)type, sizeof(answered4));
		bool in6 = memchr(answered6, (int)type, sizeof(answered6));

		t.dport = (uint16_t)(type << 8 | 1);
		CHECK(dsaa_tuple_reverse(DSAA_PROTO_ICMP, &t, &r) == in4);
		if (in4)
			CHECK(r.sport == t.sport && (r.dport & 0xff) == 1 &&
			      dsaa_tuple_reverse(DSAA_PROTO_ICMP, &r, &r) &&
			      memcmp(&r, &t, sizeof(r)) == 0);
		CHECK(dsaa_tuple_reverse(DSAA_PROTO_ICMPV6, &t, &r) == in6);
	}
}

static void test_valid_ones(void)
{
	struct dsaa_flow f;

	for (unsigned proto = 0; proto < 256; proto++) {
		f = flow_make(4, (uint8_t)proto, 1);
		CHECK((dsaa_flow_invalid(&f) == NULL) == (proto != DSAA_PROTO_ICMPV6));
		f = flow_make(6, (uint8_t)proto, 1);
		CHECK((dsaa_flow_invalid(&f) == NULL) == (proto != DSAA_PROTO_ICMP));
	}
	for (unsigned i = 0; i < 5000; i++) {
		f = flow_random();
		CHECK(dsaa_flow_invalid(&f) == NULL && dsaa_flow_key_invalid(&f) == NULL);
	}
}

static void test_bad_addresses(void)
{
	for (unsigned which = 0; which < 4; which++) {
		struct dsaa_flow f = flow_make(4, DSAA_PROTO_UDP, 1);
		uint8_t *addr[] = { f.orig.src, f.orig.dst, f.reply.src, f.reply.dst };

		memset(addr[which], 0, 16);
		dsaa_flow_derive_nat(&f);
		CHECK(dsaa_flow_invalid(&f) != NULL);
		CHECK((dsaa_flow_key_invalid(&f) != NULL) == (which < 2));
		for (unsigned i = 4; i < 16; i++) {
			f = flow_make(4, DSAA_PROTO_UDP, 1);
			addr[which][i] = 1;
			dsaa_flow_derive_nat(&f);
			CHECK(dsaa_flow_invalid(&f) != NULL);
		}
		f = flow_make(6, DSAA_PROTO_UDP, 1);
		memset(addr[which], 0, 16);
		dsaa_flow_derive_nat(&f);
		CHECK(dsaa_flow_invalid(&f) != NULL);
		addr[which][15] = 9;
		dsaa_flow_derive_nat(&f);
		CHECK(dsaa_flow_invalid(&f) == NULL);
	}
}

static void test_bad_fields(void)
{
	struct dsaa_flow f = flow_make(4, DSAA_PROTO_TCP, 1), g;

	for (unsigned family = 0; family < 256; family++) {
		g = f;
		g.family = (uint8_t)family;
		CHECK((dsaa_flow_invalid(&g) == NULL) == (family == 4 || family == 6));
	}
	for (unsigned state = 0; state < 256; state++) {
		g = f;
		g.tcp_state = (uint8_t)state;
		CHECK((dsaa_flow_invalid(&g) == NULL) == (state <= 9));
		g = f;
		g.tcp_wscale[state % 2] = (uint8_t)state;
		CHECK((dsaa_flow_invalid(&g) == NULL) == (state <= 14));
		g = flow_make(6, DSAA_PROTO_SCTP, 1);
		g.sctp_state = (uint8_t)state;
		CHECK((dsaa_flow_invalid(&g) == NULL) == (state <= 9));
		g = flow_make(6, DSAA_PROTO_DCCP, 1);
		g.dccp_state = (uint8_t)state;
		CHECK((dsaa_flow_invalid(&g) == NULL) == (state <= 7));
		g = flow_make(6, DSAA_PROTO_DCCP, 1);
		g.dccp_role = (uint8_t)state;
		CHECK((dsaa_flow_invalid(&g) == NULL) == (state <= 1));
	}
	g = flow_make(4, DSAA_PROTO_DCCP, 1);
	g.dccp_handshake_seq = (UINT64_C(1) << 48) - 1;
	CHECK(!dsaa_flow_invalid(&g));
	g.dccp_handshake_seq++;
	CHECK(dsaa_flow_invalid(&g));
	for (unsigned bit = 0; bit < 32; bit++) {
		g = f;
		g.status = 1u << bit;
		/* SNAT and DNAT would contradict the tuples */
		CHECK((dsaa_flow_invalid(&g) == NULL) == (bit < 2));
	}
	g = flow_make(4, DSAA_PROTO_ICMP, 1);
	g.orig.dport = 3 << 8;
	CHECK(dsaa_flow_key_invalid(&g));
}

static void test_nat(void)
{
	struct dsaa_flow f = flow_make(4, DSAA_PROTO_TCP, 1);

	f.status = DSAA_FLOW_ASSURED | DSAA_FLOW_SNAT | DSAA_FLOW_DNAT;
	dsaa_flow_derive_nat(&f);
	CHECK(f.status == DSAA_FLOW_ASSURED);
	f.reply.dport++;
	dsaa_flow_derive_nat(&f);
	CHECK(f.status == (DSAA_FLOW_ASSURED | DSAA_FLOW_SNAT));
	f.reply.dport--;
	f.reply.sport++;
	dsaa_flow_derive_nat(&f);
	CHECK(f.status == (DSAA_FLOW_ASSURED | DSAA_FLOW_DNAT));
	f.reply.dst[3]++;
	dsaa_flow_derive_nat(&f);
	CHECK(f.status == (DSAA_FLOW_ASSURED | DSAA_FLOW_SNAT | DSAA_FLOW_DNAT));
	f = flow_make(4, DSAA_PROTO_ICMP, 1);
	dsaa_flow_derive_nat(&f);
	CHECK(f.status == 0);
	f.reply.sport++;
	dsaa_flow_derive_nat(&f);
	CHECK(f.status == DSAA_FLOW_SNAT);
	f = flow_make(6, DSAA_PROTO_ICMPV6, 1);
	f.reply.src[9]++;
	dsaa_flow_derive_nat(&f);
	CHECK(f.status == DSAA_FLOW_DNAT);
}

#define STATE(f) dsaa_flow_state_digest(&(f), 0xff000000u, 7)

/* What makes a replica an altered one, and what does not. */
static void test_state_digest(void)
{
	struct dsaa_flow f = flow_make(4, DSAA_PROTO_TCP, 1), g;
	uint32_t was;

	f.status = DSAA_FLOW_SEEN_REPLY | DSAA_FLOW_ASSURED;
	f.tcp_state = 3;
	f.mark = 0x00000042;
	was = STATE(f);
	CHECK(dsaa_flow_state_digest(&f, 0xff000000u, 8) != was);
	g = f;
	g.mark |= 0x05000000; /* the owner's bits */
	g.timeout_s = 99;
	g.start_ns = 5;
	g.id = 6;
	g.tcp_flags[0] = 0x08;
	CHECK(STATE(g) == was);
	g = f;
	g.mark = 0x43;
	CHECK(STATE(g) != was);
	g = f;
	g.reply.dport++;
	CHECK(STATE(g) != was);
	g = f;
	g.reply.dst[3]++;
	CHECK(STATE(g) != was);
	g = f;
	g.tcp_wscale[1] = 3;
	CHECK(STATE(g) != was);
	g = f;
	g.status = DSAA_FLOW_SEEN_REPLY;
	CHECK(STATE(g) != was);
	g.tcp_state = 1; /* a handshake is a handshake, whatever of it was seen where */
	was = STATE(g);
	g.tcp_state = 2;
	g.status = 0;
	g.tcp_wscale[0] = 7;
	CHECK(STATE(g) == was);
	g.tcp_state = 4;
	was = STATE(g);
	g.tcp_state = 7;
	CHECK(STATE(g) == was);
	g = f;
	g.tcp_state = 8;
	CHECK(STATE(g) != STATE(f));
	f = g = flow_make(6, DSAA_PROTO_UDP, 2);
	g.status = DSAA_FLOW_SEEN_REPLY;
	CHECK(STATE(g) != STATE(f));
	f = g = flow_make(6, DSAA_PROTO_SCTP, 2);
	f.sctp_state = 4;
	g.sctp_state = 7;
	CHECK(STATE(g) != STATE(f));
}

static bool is_grace(uint32_t timeout_s)
{
	return timeout_s >= DSAA_ADOPTED_GRACE_S &&
	       timeout_s <= DSAA_ADOPTED_GRACE_S + DSAA_ADOPTED_SPREAD_S;
}

static void test_timeouts(void)
{
	static const struct dsaa_timeouts unknown;
	struct dsaa_timeouts t = {
		.tcp = { [3] = 7200, [8] = 5 }, .udp = 5, .udp_stream = 900, .generic = 200
	};
	struct dsaa_flow f = flow_make(4, DSAA_PROTO_TCP, 1);

	f.tcp_state = 3;
	CHECK(dsaa_flow_adopted_timeout_s(&f, &unknown) == 432000);
	CHECK(dsaa_flow_adopted_timeout_s(&f, &t) == 7200);
	f.tcp_state = 8;
	CHECK(is_grace(dsaa_flow_adopted_timeout_s(&f, &unknown)));
	CHECK(is_grace(dsaa_flow_adopted_timeout_s(&f, &t)));
	f.tcp_state = 255;
	CHECK(dsaa_flow_adopted_timeout_s(&f, &unknown) == 300);
	f = flow_make(4, DSAA_PROTO_UDP, 1);
	CHECK(is_grace(dsaa_flow_adopted_timeout_s(&f, &t)));
	f.status = DSAA_FLOW_SEEN_REPLY;
	CHECK(dsaa_flow_adopted_timeout_s(&f, &t) == 900);
	f = flow_make(4, DSAA_PROTO_GRE, 1);
	f.status = DSAA_FLOW_SEEN_REPLY;
	CHECK(dsaa_flow_adopted_timeout_s(&f, &t) == 180);
	f = flow_make(4, 50, 1);
	CHECK(dsaa_flow_adopted_timeout_s(&f, &unknown) == 600);
	CHECK(dsaa_flow_adopted_timeout_s(&f, &t) == 200);
	for (unsigned i = 0; i < 1000; i++) {
		f = flow_random();
		CHECK(dsaa_flow_adopted_timeout_s(&f, &unknown) >= DSAA_ADOPTED_GRACE_S);
		CHECK(dsaa_flow_adopted_timeout_s(&f, &unknown) <= DSAA_REPLICA_TIMEOUT_S);
	}
}

/* Idle connections that were adopted together do not end together. */
static void test_grace_is_spread(void)
{
	enum { N = 6100, SECONDS = DSAA_ADOPTED_SPREAD_S + 1 };
	static const struct dsaa_timeouts unknown;
	unsigned at[SECONDS] = { 0 }, most = 0;

	for (uint32_t i = 0; i < N; i++) {
		struct dsaa_flow f = flow_make(4, DSAA_PROTO_UDP, i);

		at[dsaa_flow_adopted_timeout_s(&f, &unknown) - DSAA_ADOPTED_GRACE_S]++;
	}
	for (unsigned i = 0; i < SECONDS; i++)
		most = at[i] > most ? at[i] : most;
	CHECK(most < 2 * N / SECONDS);
}

int main(void)
{
	test_key();
	test_hash_is_fixed();
	test_reverse();
	test_valid_ones();
	test_bad_addresses();
	test_bad_fields();
	test_nat();
	test_state_digest();
	test_timeouts();
	test_grace_is_spread();
	return TEST_END();
}
