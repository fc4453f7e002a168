/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads a packet as far as correction needs, see dsaa_packet.h. Pure; any
 * thread.
 *
 * Every read is preceded by a comparison with what is there: `have` is always
 * the number of bytes that both exist and belong to the packet. A quoted
 * packet (ICMP error) is usually cut short, so its own length is not believed.
 */
#include <string.h>

#include "core/dsaa_packet.h"
#include "core/dsaa_reason.h"

enum {
	IP6_HOPBYHOP = 0,
	IP6_ROUTING = 43,
	IP6_FRAGMENT = 44,
	IP6_AUTH = 51,
	IP6_DEST = 60,
	TCP_FLAG_SYN = 0x02,
	TCP_FLAG_RST = 0x04,
	TCP_FLAG_ACK = 0x10,
	GRE_PPTP_PROTOCOL = 0x880b, /* RFC 2637 4.1 */
};

/* The network layer, read. */
struct layer3 {
	uint8_t family;
	uint8_t proto;
	uint8_t src[16], dst[16];
	bool fragment;
	bool later_fragment; /* nothing of the transport header is in it */
	const uint8_t *l4;
	size_t have;  /* bytes at l4 */
	size_t total; /* as the header says */
};

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* RFC 791 3.1. QUOTED: what follows the header may be cut short. */
static bool read_ip4(const uint8_t *p, size_t len, bool quoted, struct layer3 *l)
{
	size_t header, total;
	uint16_t offset;

	if (len < 20)
		return false;
	header = (size_t)(p[0] & 0x0f) * 4;
	total = be16(p + 2);
	if (header < 20 || header > len || total < header || (total > len && !quoted))
		return false;
	offset = be16(p + 6);
	l->family = 4;
	l->proto = p[9];
	memcpy(l->src, p + 12, 4);
	memcpy(l->dst, p + 16, 4);
	l->later_fragment = (offset & 0x1fff) != 0;
	l->fragment = (offset & 0x3fff) != 0;
	l->l4 = p + header;
	l->have = (total < len ? total : len) - header;
	l->total = total;
	return true;
}

/*
 * Steps over IPv6 extension headers (RFC 8200 4). The same ones as the
 * kernel's conntrack, so that both see the same protocol. On return L->l4 is
 * behind them.
 */
static bool skip_extensions(struct layer3 *l)
{
	unsigned headers;
	size_t step;

	for (headers = 0; headers <= DSAA_IP6_EXTENSIONS_MAX; headers++) {
		switch (l->proto) {
		case IP6_HOPBYHOP:
		case IP6_ROUTING:
		case IP6_DEST:
			step = l->have < 2 ? 8 : (size_t)l->l4[1] * 8 + 8;
			break;
		case IP6_AUTH: /* RFC 4302 2.2: in units of four bytes, less two */
			step = l->have < 2 ? 8 : (size_t)l->l4[1] * 4 + 8;
			break;
		case IP6_FRAGMENT:
			step = 8;
			break;
		default:
			return true;
		}
		if (l->have < step)
			return false;
		if (l->proto == IP6_FRAGMENT) {
			l->later_fragment = (be16(l->l4 + 2) & 0xfff8) != 0;
			l->fragment = l->later_fragment || (l->l4[3] & 1);
		}
		l->proto = l->l4[0];
		l->l4 += step;
		l->have -= step;
		if (l->later_fragment)
			return true;
	}
	return false;
}

static bool read_ip6(const uint8_t *p, size_t len, bool quoted, struct layer3 *l)
{
	size_t total;

	if (len < 40)
		return false;
	total = 40 + (size_t)be16(p + 4);
	if ((total > len && !quoted) || total > DSAA_PACKET_MAX)
		return false;
	l->family = 6;
	l->proto = p[6];
	memcpy(l->src, p + 8, 16);
	memcpy(l->dst, p + 24, 16);
	l->l4 = p + 40;
	l->have = (total < len ? total : len) - 40;
	l->total = total;
	return skip_extensions(l);
}

static bool read_layer3(const uint8_t *p, size_t len, bool quoted, struct layer3 *l)
{
	memset(l, 0, sizeof(*l));
	if (len == 0)
		return false;
	if (p[0] >> 4 == 4)
		return read_ip4(p, len, quoted, l);
	return p[0] >> 4 == 6 && read_ip6(p, len, quoted, l);
}

/* The shortest transport header there is, by protocol. */
static size_t header_min(uint8_t proto)
{
	switch (proto) {
	case DSAA_PROTO_TCP:
		return 20;
	case DSAA_PROTO_UDP:
	case DSAA_PROTO_UDPLITE:
	case DSAA_PROTO_ICMP:
		return 8;
	case DSAA_PROTO_ICMPV6:
		return 4; /* RFC 4443 2.1; queries have 8 */
	case DSAA_PROTO_SCTP:
	case DSAA_PROTO_DCCP:
		return 12;
	case DSAA_PROTO_GRE:
		return 4;
	default:
		return 0;
	}
}

/* ICMP that answers or asks carries an identifier; the rest belongs to no connection. */
static void read_icmp(const struct layer3 *l, struct dsaa_tuple *t)
{
	struct dsaa_tuple answer;

	t->dport = be16(l->l4);
	if (l->have >= 6 && dsaa_tuple_reverse(l->proto, t, &answer))
		t->sport = be16(l->l4 + 4);
}

/* Fills T with addresses and what the transport header at L->l4 says, as far as it is there. */
static void read_tuple(const struct layer3 *l, struct dsaa_tuple *t)
{
	memset(t, 0, sizeof(*t));
	memcpy(t->src, l->src, sizeof(t->src));
	memcpy(t->dst, l->dst, sizeof(t->dst));
	if (l->later_fragment || l->have < 4)
		return;
	switch (l->proto) {
	case DSAA_PROTO_TCP:
	case DSAA_PROTO_UDP:
	case DSAA_PROTO_UDPLITE:
	case DSAA_PROTO_SCTP:
	case DSAA_PROTO_DCCP:
		t->sport = be16(l->l4);
		t->dport = be16(l->l4 + 2);
		break;
	case DSAA_PROTO_ICMP:
	case DSAA_PROTO_ICMPV6:
		read_icmp(l, t);
		break;
	case DSAA_PROTO_GRE:
		/* only the enhanced GRE of PPTP has a key that conntrack looks at: the call id */
		if ((l->l4[1] & 7) == 1 && be16(l->l4 + 2) == GRE_PPTP_PROTOCOL && l->have >= 8)
			t->dport = be16(l->l4 + 6);
		break;
	default:
		break;
	}
}

/* RFC 792; RFC 4443 2.1: error messages have the high bit of the type clear. */
static bool is_icmp_error(const struct layer3 *l)
{
	if (l->later_fragment || l->have < 8)
		return false;
	if (l->family == 4 && l->proto == DSAA_PROTO_ICMP)
		return (l->l4[0] >= 3 && l->l4[0] <= 5) || l->l4[0] == 11 || l->l4[0] == 12;
	return l->family == 6 && l->proto == DSAA_PROTO_ICMPV6 && l->l4[0] < 128;
}

/*
 * The packet that the error OUTER quotes went the other way, so its tuple is
 * reversed. One that cannot be told a connection by is refused: a later
 * fragment, an error about an error, less than the ports.
 */
static bool read_quote(const struct layer3 *outer, struct dsaa_packet *p)
{
	struct dsaa_tuple tuple;
	struct layer3 inner;

	if (!read_layer3(outer->l4 + 8, outer->have - 8, true, &inner))
		return false;
	if (inner.family != outer->family || inner.later_fragment)
		return false;
	/* the kernel quotes 8 bytes of it at least */
	if (inner.have < header_min(inner.proto) && inner.have < 8)
		return false;
	read_tuple(&inner, &tuple);
	if (!dsaa_tuple_reverse(inner.proto, &tuple, &p->tuple))
		return false;
	p->icmp_error = true;
	p->tuple_proto = inner.proto;
	return true;
}

unsigned dsaa_packet_parse(const uint8_t *data, size_t len, struct dsaa_packet *p)
{
	struct dsaa_packet out;
	struct layer3 l;

	memset(&out, 0, sizeof(out));
	if (!read_layer3(data, len, false, &l))
		return DSAA_R_UNREADABLE;
	if (!l.fragment && l.have < header_min(l.proto))
		return DSAA_R_UNREADABLE;
	out.family = l.family;
	out.proto = l.proto;
	out.tuple_proto = l.proto;
	out.fragment = l.fragment;
	out.total_len = (uint16_t)l.total;
	if (is_icmp_error(&l)) {
		if (!read_quote(&l, &out))
			return DSAA_R_UNREADABLE;
	} else {
		read_tuple(&l, &out.tuple);
	}
	if (l.proto == DSAA_PROTO_TCP && !l.later_fragment && l.have >= 14) {
		uint8_t flags = l.l4[13] & (TCP_FLAG_SYN | TCP_FLAG_ACK);

		out.tcp_syn = flags == TCP_FLAG_SYN;
		out.tcp_answer = flags == (TCP_FLAG_SYN | TCP_FLAG_ACK) || l.l4[13] & TCP_FLAG_RST;
	}
	*p = out;
	return DSAA_R_NONE;
}
