/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Flows: key, validity, what NAT did, timeouts. Pure; any thread.
 */
#include <string.h>

#include "core/dsaa_flow.h"

/* Ranges of the kernel's states: nf_conntrack_tcp.h, nf_conntrack_sctp.h, nf_conntrack_dccp.h. */
enum {
	TCP_STATE_MAX = 9,   /* SYN_SENT2 */
	SCTP_STATE_MAX = 9,  /* HEARTBEAT_ACKED of older kernels */
	DCCP_STATE_MAX = 7,  /* TIMEWAIT */
	TCP_WSCALE_MAX = 14, /* RFC 7323 2.3 */
};
#define DCCP_SEQ_MAX UINT64_C(0xffffffffffff)
#define STATUS_KNOWN (DSAA_FLOW_SEEN_REPLY | DSAA_FLOW_ASSURED | DSAA_FLOW_SNAT | DSAA_FLOW_DNAT)

static const uint8_t zero_addr[16];

/* ------------------------------------------------------------------ key */

static uint64_t rotl(uint64_t x, unsigned n)
{
	return x << n | x >> (64 - n);
}

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline __attribute__((always_inline)) void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v1 = rotl(s->v1, 13) ^ s->v0;
	s->v0 = rotl(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotl(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotl(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotl(s->v1, 17) ^ s->v2;
	s->v2 = rotl(s->v2, 32);
}

static inline __attribute__((always_inline)) void sip_word(struct sip *s, uint64_t m)
{
	s->v3 ^= m;
	sip_round(s);
	s->v0 ^= m;
}

/* Written out, so that compilers make one load of it. */
static inline uint64_t load_be64(const uint8_t *p)
{
	return (uint64_t)p[0] << 56 | (uint64_t)p[1] << 48 | (uint64_t)p[2] << 40 |
	       (uint64_t)p[3] << 32 | (uint64_t)p[4] << 24 | (uint64_t)p[5] << 16 |
	       (uint64_t)p[6] << 8 | p[7];
}

static inline struct sip sip_begin(uint64_t seed)
{
	uint64_t k1 = ~rotl(seed, 32);

	return (struct sip){ seed ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d),
			     seed ^ UINT64_C(0x6c7967656e657261),
			     k1 ^ UINT64_C(0x7465646279746573) };
}

/* After WORDS words. */
static inline uint64_t sip_end(struct sip *s, unsigned words)
{
	sip_word(s, (uint64_t)words * 8 << 56);
	s->v2 ^= 0xff;
	sip_round(s);
	sip_round(s);
	sip_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

/*
 * SipHash-1-3 (Aumasson and Bernstein) over six words: a peer's traffic
 * chooses the keys, so a weak hash would let it choose the buckets. The words
 * are built from bytes, so that machines of either byte order agree.
 */
uint64_t dsaa_flow_key_hash(const struct dsaa_flow *f, uint64_t seed)
{
	struct sip s = sip_begin(seed);

	sip_word(&s, load_be64(f->orig.src));
	sip_word(&s, load_be64(f->orig.src + 8));
	sip_word(&s, load_be64(f->orig.dst));
	sip_word(&s, load_be64(f->orig.dst + 8));
	sip_word(&s, (uint64_t)f->orig.sport << 48 | (uint64_t)f->orig.dport << 32 |
			     (uint64_t)f->zone << 16 | (uint64_t)f->family << 8 | f->proto);
	return sip_end(&s, 5);
}

static bool tuple_equal(const struct dsaa_tuple *a, const struct dsaa_tuple *b)
{
	return a->sport == b->sport && a->dport == b->dport &&
	       memcmp(a->src, b->src, sizeof(a->src)) == 0 &&
	       memcmp(a->dst, b->dst, sizeof(a->dst)) == 0;
}

bool dsaa_flow_key_equal(const struct dsaa_flow *a, const struct dsaa_flow *b)
{
	return a->family == b->family && a->proto == b->proto && a->zone == b->zone &&
	       tuple_equal(&a->orig, &b->orig);
}

bool dsaa_flow_found_by(const struct dsaa_flow *f, const struct dsaa_flow *key)
{
	return f->family == key->family && f->proto == key->proto && f->zone == key->zone &&
	       (tuple_equal(&f->orig, &key->orig) || tuple_equal(&f->reply, &key->orig));
}

/* ------------------------------------------------------------------ reversing */

/* The ICMP type that answers TYPE, or -1: RFC 792, 950, 4443, 4620. */
static int icmp_answer(uint8_t proto, uint8_t type)
{
	static const uint8_t pairs4[][2] = { { 8, 0 }, { 13, 14 }, { 15, 16 }, { 17, 18 } };
	static const uint8_t pairs6[][2] = { { 128, 129 }, { 139, 140 } };
	const uint8_t(*pairs)[2] = proto == DSAA_PROTO_ICMP ? pairs4 : pairs6;
	size_t n = proto == DSAA_PROTO_ICMP ? sizeof(pairs4) / 2 : sizeof(pairs6) / 2;
	size_t i;

	for (i = 0; i < n; i++) {
		if (pairs[i][0] == type)
			return pairs[i][1];
		if (pairs[i][1] == type)
			return pairs[i][0];
	}
	return -1;
}

static bool is_icmp(uint8_t proto)
{
	return proto == DSAA_PROTO_ICMP || proto == DSAA_PROTO_ICMPV6;
}

bool dsaa_tuple_reverse(uint8_t proto, const struct dsaa_tuple *in, struct dsaa_tuple *out)
{
	struct dsaa_tuple t;
	int answer;

	memcpy(t.src, in->dst, sizeof(t.src));
	memcpy(t.dst, in->src, sizeof(t.dst));
	if (is_icmp(proto)) {
		answer = icmp_answer(proto, (uint8_t)(in->dport >> 8));
		if (answer < 0)
			return false;
		t.sport = in->sport;
		t.dport = (uint16_t)((unsigned)answer << 8 | (in->dport & 0xff));
	} else {
		t.sport = in->dport;
		t.dport = in->sport;
	}
	*out = t;
	return true;
}

/* The SNAT and DNAT bits that F's tuples mean. */
static uint32_t nat_bits(const struct dsaa_flow *f)
{
	bool snat = memcmp(f->reply.dst, f->orig.src, sizeof(f->orig.src)) != 0;
	bool dnat = memcmp(f->reply.src, f->orig.dst, sizeof(f->orig.dst)) != 0;

	if (is_icmp(f->proto)) {
		/* the identifier belongs to the sender of the request in both directions */
		snat = snat || f->reply.sport != f->orig.sport;
	} else {
		snat = snat || f->reply.dport != f->orig.sport;
		dnat = dnat || f->reply.sport != f->orig.dport;
	}
	return (snat ? DSAA_FLOW_SNAT : 0) | (dnat ? DSAA_FLOW_DNAT : 0);
}

/* ------------------------------------------------------------------ state digest */

/* What every site knows of a connection's progress; the numbers are the specification's. */
enum progress { OPENING = 0, ESTABLISHED = 1, CLOSING = 2 };

/* By the kernel's numbers of TCP states; SYN_SENT2 stands behind CLOSE. */
static enum progress tcp_progress(const struct dsaa_flow *f)
{
	if (f->tcp_state >= 4 && f->tcp_state <= 8)
		return CLOSING;
	return f->status & DSAA_FLOW_ASSURED ? ESTABLISHED : OPENING;
}

/* CLOSED, SHUTDOWN_*; HEARTBEAT_SENT (8) opens another path of an association. */
static enum progress sctp_progress(const struct dsaa_flow *f)
{
	if (f->sctp_state >= 5 && f->sctp_state <= 7)
		return CLOSING;
	return f->status & DSAA_FLOW_ASSURED ? ESTABLISHED : OPENING;
}

static uint64_t protocol_word(const struct dsaa_flow *f)
{
	enum progress p;

	switch (f->proto) {
	case DSAA_PROTO_TCP:
		p = tcp_progress(f);
		/* the window scales are known once both ends have said theirs */
		return p != ESTABLISHED ? p :
					  (uint64_t)f->tcp_wscale[0] << 16 |
						  (uint64_t)f->tcp_wscale[1] << 8 | p;
	case DSAA_PROTO_SCTP:
		return sctp_progress(f);
	case DSAA_PROTO_DCCP:
		return f->status & DSAA_FLOW_ASSURED ? ESTABLISHED : OPENING;
	default:
		return f->status & DSAA_FLOW_SEEN_REPLY;
	}
}

uint32_t dsaa_flow_state_digest(const struct dsaa_flow *f, uint32_t mark_mask, uint64_t seed)
{
	struct sip s = sip_begin(seed ^ DSAA_DIGEST_SEED);
	uint64_t hash;

	sip_word(&s, load_be64(f->reply.src));
	sip_word(&s, load_be64(f->reply.src + 8));
	sip_word(&s, load_be64(f->reply.dst));
	sip_word(&s, load_be64(f->reply.dst + 8));
	sip_word(&s, (uint64_t)f->reply.sport << 48 | (uint64_t)f->reply.dport << 32 |
			     (f->mark & ~mark_mask));
	sip_word(&s, (uint64_t)(f->status & DSAA_FLOW_ASSURED) << 32 | protocol_word(f));
	if (f->helper[0]) {
		sip_word(&s, load_be64((const uint8_t *)f->helper));
		sip_word(&s, load_be64((const uint8_t *)f->helper + 8));
	}
	hash = sip_end(&s, f->helper[0] ? 8 : 6);
	return (uint32_t)(hash ^ hash >> 32);
}

/* ------------------------------------------------------------------ NAT */

void dsaa_flow_derive_nat(struct dsaa_flow *f)
{
	f->status &= ~(uint32_t)(DSAA_FLOW_SNAT | DSAA_FLOW_DNAT);
	f->status |= nat_bits(f);
}

/* ------------------------------------------------------------------ validity */

static const char *addr_invalid(uint8_t family, const uint8_t addr[16])
{
	if (family == 4 && memcmp(addr + 4, zero_addr, 12) != 0)
		return "an IPv4 address has bytes beyond the fourth";
	if (memcmp(addr, zero_addr, 16) == 0)
		return "an address is unspecified";
	return NULL;
}

static const char *tuple_invalid(const struct dsaa_flow *f, const struct dsaa_tuple *t)
{
	const char *why = addr_invalid(f->family, t->src);

	return why ? why : addr_invalid(f->family, t->dst);
}

const char *dsaa_flow_key_invalid(const struct dsaa_flow *f)
{
	if (f->family != 4 && f->family != 6)
		return "the address family is neither IPv4 nor IPv6";
	if (f->family == 6 && f->proto == DSAA_PROTO_ICMP)
		return "ICMP within IPv6";
	if (f->family == 4 && f->proto == DSAA_PROTO_ICMPV6)
		return "ICMPv6 within IPv4";
	if (is_icmp(f->proto) && icmp_answer(f->proto, (uint8_t)(f->orig.dport >> 8)) < 0)
		return "an ICMP type that has no answer";
	return tuple_invalid(f, &f->orig);
}

static const char *protocol_invalid(const struct dsaa_flow *f)
{
	switch (f->proto) {
	case DSAA_PROTO_TCP:
		if (f->tcp_state > TCP_STATE_MAX)
			return "the TCP state is out of range";
		if (f->tcp_wscale[0] > TCP_WSCALE_MAX || f->tcp_wscale[1] > TCP_WSCALE_MAX)
			return "the TCP window scale is out of range";
		return NULL;
	case DSAA_PROTO_SCTP:
		return f->sctp_state > SCTP_STATE_MAX ? "the SCTP state is out of range" : NULL;
	case DSAA_PROTO_DCCP:
		if (f->dccp_state > DCCP_STATE_MAX)
			return "the DCCP state is out of range";
		if (f->dccp_role > 1)
			return "the DCCP role is out of range";
		if (f->dccp_handshake_seq > DCCP_SEQ_MAX)
			return "the DCCP sequence number is out of range";
		return NULL;
	default:
		return NULL;
	}
}

bool dsaa_helper_name_valid(const char name[DSAA_HELPER_MAX])
{
	unsigned len = 0;

	while (len < DSAA_HELPER_MAX && name[len] > ' ' && name[len] <= '~')
		len++;
	if (!len || len == DSAA_HELPER_MAX)
		return false;
	for (; len < DSAA_HELPER_MAX; len++)
		if (name[len])
			return false;
	return true;
}

static const char *master_invalid(const struct dsaa_flow *f)
{
	const char *why = tuple_invalid(f, &f->master);

	if (!why && f->master_proto == f->proto && tuple_equal(&f->master, &f->orig))
		return "a connection is its own master";
	return why;
}

/* Most connections have none of them. */
static const char *rare_parts_invalid(const struct dsaa_flow *f)
{
	if (f->has & ~(DSAA_HAS_MASTER | DSAA_HAS_SEQADJ | DSAA_HAS_LABELS | DSAA_HAS_REPLY_ZONE))
		return "unknown parts";
	if (f->helper[0] && !dsaa_helper_name_valid(f->helper))
		return "the helper's name is none";
	/* Linux gives both directions one zone, or one of them none */
	if (f->has & DSAA_HAS_REPLY_ZONE &&
	    (f->zone == f->reply_zone || (f->zone && f->reply_zone)))
		return "the directions' zones are no possible ones";
	return f->has & DSAA_HAS_MASTER ? master_invalid(f) : NULL;
}

const char *dsaa_flow_invalid(const struct dsaa_flow *f)
{
	const char *why = dsaa_flow_key_invalid(f);

	if (!why)
		why = tuple_invalid(f, &f->reply);
	if (!why)
		why = protocol_invalid(f);
	if (!why && (f->has || f->helper[0]))
		why = rare_parts_invalid(f);
	if (why)
		return why;
	if (f->status & ~(uint32_t)STATUS_KNOWN)
		return "unknown status flags";
	if ((f->status & (DSAA_FLOW_SNAT | DSAA_FLOW_DNAT)) != nat_bits(f))
		return "the NAT flags contradict the tuples";
	return NULL;
}

/* ------------------------------------------------------------------ timeouts */

/*
 * Seconds by state; the kernel's defaults (nf_conntrack_proto_*.c). The state
 * 0 (unknown) gets what a connection in doubt gets there.
 */
static const struct dsaa_timeouts defaults = {
	.tcp = { 300, 120, 60, 432000, 120, 60, 30, 120, 10, 120 },
	.sctp = { 30, 10, 10, 10, 210, 3, 3, 3, 30, 210 },
	.dccp = { 240, 240, 480, 480, 43200, 64, 64, 240 },
	.udp = 30,
	.udp_stream = 120,
	.gre = 30,
	.gre_stream = 180,
	.icmp = 30,
	.icmpv6 = 30,
	.generic = 600,
};

#define BY_STATE(table, state) ((table)[(state) < sizeof(table) / sizeof((table)[0]) ? (state) : 0])

static uint32_t timeout_of(const struct dsaa_flow *f, const struct dsaa_timeouts *t)
{
	bool answered = f->status & DSAA_FLOW_SEEN_REPLY;

	switch (f->proto) {
	case DSAA_PROTO_TCP:
		return BY_STATE(t->tcp, f->tcp_state);
	case DSAA_PROTO_SCTP:
		return BY_STATE(t->sctp, f->sctp_state);
	case DSAA_PROTO_DCCP:
		return BY_STATE(t->dccp, f->dccp_state);
	case DSAA_PROTO_UDP:
	case DSAA_PROTO_UDPLITE:
		return answered ? t->udp_stream : t->udp;
	case DSAA_PROTO_GRE:
		return answered ? t->gre_stream : t->gre;
	case DSAA_PROTO_ICMP:
		return t->icmp;
	case DSAA_PROTO_ICMPV6:
		return t->icmpv6;
	default:
		return t->generic;
	}
}

uint32_t dsaa_flow_adopted_timeout_s(const struct dsaa_flow *f, const struct dsaa_timeouts *t)
{
	uint32_t timeout_s = timeout_of(f, t);

	if (!timeout_s)
		timeout_s = timeout_of(f, &defaults);
	if (timeout_s > DSAA_ADOPTED_GRACE_S)
		return timeout_s;
	return DSAA_ADOPTED_GRACE_S +
	       (uint32_t)(dsaa_flow_key_hash(f, DSAA_DIGEST_SEED) % (DSAA_ADOPTED_SPREAD_S + 1));
}
