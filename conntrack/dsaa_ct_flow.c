/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctnetlink messages to flows and back. Attributes are read by length:
 * whatever does not have the length that the kernel gives it is not read.
 */
#include "conntrack/dsaa_ct_flow.h"

#include <arpa/inet.h>
#include <endian.h>
#include <string.h>

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

/*
 * The TCP flags that another kernel can use. The others describe packets that
 * only this one has seen (unacknowledged data, highest acknowledgement).
 */
#define TCP_FLAGS                                                                             \
	(IP_CT_TCP_FLAG_WINDOW_SCALE | IP_CT_TCP_FLAG_SACK_PERM | IP_CT_TCP_FLAG_CLOSE_INIT | \
	 IP_CT_TCP_FLAG_BE_LIBERAL)

/* ------------------------------------------------------------------ reading */

/*
 * libmnl's walk over attributes, in line: a message has some thirty of them, three messages are
 * read per connection, and five calls into a shared library per attribute were a tenth of all that
 * the daemon does at the sending site. As strict as libmnl, and never beyond the end.
 */
static inline size_t left_at(const struct nlattr *a, const char *end)
{
	return (const char *)a < end ? (size_t)(end - (const char *)a) : 0;
}

static inline bool attr_ok(const struct nlattr *a, const char *end)
{
	size_t left = left_at(a, end);

	return left >= sizeof(*a) && a->nla_len >= sizeof(*a) && a->nla_len <= left;
}

static inline const struct nlattr *attr_next(const struct nlattr *a)
{
	return (const struct nlattr *)((const char *)a + MNL_ALIGN(a->nla_len));
}

static inline unsigned attr_type(const struct nlattr *a)
{
	return a->nla_type & NLA_TYPE_MASK;
}

static inline size_t attr_len(const struct nlattr *a)
{
	return a->nla_len - MNL_ATTR_HDRLEN;
}

static inline const void *attr_payload(const struct nlattr *a)
{
	return (const char *)a + MNL_ATTR_HDRLEN;
}

#define FOREACH_ATTR(a, first, end) \
	for ((a) = (const struct nlattr *)(first); attr_ok((a), (end)); (a) = attr_next(a))
#define FOREACH_NESTED(a, nest) \
	FOREACH_ATTR (a, attr_payload(nest), (const char *)(nest) + (nest)->nla_len)

static inline bool has_len(const struct nlattr *a, size_t len)
{
	return attr_len(a) == len;
}

static inline uint8_t get_u8(const struct nlattr *a)
{
	return has_len(a, 1) ? *(const uint8_t *)attr_payload(a) : 0;
}

static inline uint16_t get_be16(const struct nlattr *a)
{
	uint16_t v = 0;

	if (has_len(a, sizeof(v)))
		memcpy(&v, attr_payload(a), sizeof(v));
	return ntohs(v);
}

static inline uint32_t get_be32(const struct nlattr *a)
{
	uint32_t v = 0;

	if (has_len(a, sizeof(v)))
		memcpy(&v, attr_payload(a), sizeof(v));
	return ntohl(v);
}

static inline uint64_t get_be64(const struct nlattr *a)
{
	uint64_t v = 0;

	if (has_len(a, sizeof(v)))
		memcpy(&v, attr_payload(a), sizeof(v));
	return be64toh(v);
}

static inline void get_address(const struct nlattr *a, uint8_t address[16], size_t len)
{
	if (has_len(a, len))
		memcpy(address, attr_payload(a), len);
}

static void parse_ip(const struct nlattr *nest, struct dsaa_tuple *t)
{
	const struct nlattr *a;

	FOREACH_NESTED (a, nest) {
		switch (attr_type(a)) {
		case CTA_IP_V4_SRC:
			get_address(a, t->src, 4);
			break;
		case CTA_IP_V4_DST:
			get_address(a, t->dst, 4);
			break;
		case CTA_IP_V6_SRC:
			get_address(a, t->src, 16);
			break;
		case CTA_IP_V6_DST:
			get_address(a, t->dst, 16);
			break;
		}
	}
}

static void parse_proto(const struct nlattr *nest, struct dsaa_tuple *t, uint8_t *proto)
{
	const struct nlattr *a;

	FOREACH_NESTED (a, nest) {
		switch (attr_type(a)) {
		case CTA_PROTO_NUM:
			*proto = get_u8(a);
			break;
		case CTA_PROTO_SRC_PORT:
		case CTA_PROTO_ICMP_ID:
		case CTA_PROTO_ICMPV6_ID:
			t->sport = get_be16(a);
			break;
		case CTA_PROTO_DST_PORT:
			t->dport = get_be16(a);
			break;
		case CTA_PROTO_ICMP_TYPE:
		case CTA_PROTO_ICMPV6_TYPE:
			t->dport = (uint16_t)(t->dport & 0xff) | (uint16_t)(get_u8(a) << 8);
			break;
		case CTA_PROTO_ICMP_CODE:
		case CTA_PROTO_ICMPV6_CODE:
			t->dport = (uint16_t)((t->dport & 0xff00) | get_u8(a));
			break;
		}
	}
}

/* ZONE is that of this direction only (CT --zone-orig), when it has one of its own. */
static void parse_tuple(const struct nlattr *nest, struct dsaa_tuple *t, uint8_t *proto,
			uint16_t *zone)
{
	const struct nlattr *a;

	FOREACH_NESTED (a, nest) {
		switch (attr_type(a)) {
		case CTA_TUPLE_IP:
			parse_ip(a, t);
			break;
		case CTA_TUPLE_PROTO:
			parse_proto(a, t, proto);
			break;
		case CTA_TUPLE_ZONE:
			*zone = get_be16(a);
			break;
		}
	}
}

void dsaa_ct_flow_parse_tuple(const struct nlattr *nest, struct dsaa_tuple *t, uint8_t *proto)
{
	uint16_t ignored;

	*proto = 0;
	parse_tuple(nest, t, proto, &ignored);
}

static uint8_t tcp_flags(const struct nlattr *a)
{
	struct nf_ct_tcp_flags fl;

	if (!has_len(a, sizeof(fl)))
		return 0;
	memcpy(&fl, attr_payload(a), sizeof(fl));
	return fl.flags & TCP_FLAGS;
}

static void parse_tcp(const struct nlattr *nest, struct dsaa_flow *f)
{
	const struct nlattr *a;

	FOREACH_NESTED (a, nest) {
		switch (attr_type(a)) {
		case CTA_PROTOINFO_TCP_STATE:
			f->tcp_state = get_u8(a);
			break;
		case CTA_PROTOINFO_TCP_WSCALE_ORIGINAL:
			f->tcp_wscale[0] = get_u8(a);
			break;
		case CTA_PROTOINFO_TCP_WSCALE_REPLY:
			f->tcp_wscale[1] = get_u8(a);
			break;
		case CTA_PROTOINFO_TCP_FLAGS_ORIGINAL:
			f->tcp_flags[0] = tcp_flags(a);
			break;
		case CTA_PROTOINFO_TCP_FLAGS_REPLY:
			f->tcp_flags[1] = tcp_flags(a);
			break;
		}
	}
}

static void parse_sctp(const struct nlattr *nest, struct dsaa_flow *f)
{
	const struct nlattr *a;

	FOREACH_NESTED (a, nest) {
		switch (attr_type(a)) {
		case CTA_PROTOINFO_SCTP_STATE:
			f->sctp_state = get_u8(a);
			break;
		case CTA_PROTOINFO_SCTP_VTAG_ORIGINAL:
			f->sctp_vtag[0] = get_be32(a);
			break;
		case CTA_PROTOINFO_SCTP_VTAG_REPLY:
			f->sctp_vtag[1] = get_be32(a);
			break;
		}
	}
}

static void parse_dccp(const struct nlattr *nest, struct dsaa_flow *f)
{
	const struct nlattr *a;

	FOREACH_NESTED (a, nest) {
		switch (attr_type(a)) {
		case CTA_PROTOINFO_DCCP_STATE:
			f->dccp_state = get_u8(a);
			break;
		case CTA_PROTOINFO_DCCP_ROLE:
			f->dccp_role = get_u8(a);
			break;
		case CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ:
			f->dccp_handshake_seq = get_be64(a);
			break;
		}
	}
}

static void parse_protoinfo(const struct nlattr *nest, struct dsaa_flow *f)
{
	const struct nlattr *a;

	FOREACH_NESTED (a, nest) {
		switch (attr_type(a)) {
		case CTA_PROTOINFO_TCP:
			parse_tcp(a, f);
			break;
		case CTA_PROTOINFO_SCTP:
			parse_sctp(a, f);
			break;
		case CTA_PROTOINFO_DCCP:
			parse_dccp(a, f);
			break;
		}
	}
}

/* Only the bits that mean something to another site; NAT bits follow from the tuples. */
static uint32_t parse_status(uint32_t kernel)
{
	return ((kernel & IPS_SEEN_REPLY) ? DSAA_FLOW_SEEN_REPLY : 0) |
	       ((kernel & IPS_ASSURED) ? DSAA_FLOW_ASSURED : 0);
}

static uint64_t parse_start(const struct nlattr *nest)
{
	const struct nlattr *a;

	FOREACH_NESTED (a, nest) {
		if (attr_type(a) == CTA_TIMESTAMP_START)
			return get_be64(a);
	}
	return 0;
}

static void parse_help(const struct nlattr *nest, struct dsaa_flow *f)
{
	const struct nlattr *a;

	FOREACH_NESTED (a, nest) {
		const char *name = attr_payload(a);
		size_t len = attr_len(a);

		if (attr_type(a) != CTA_HELP_NAME)
			continue;
		len = strnlen(name, len);
		if (len < DSAA_HELPER_MAX)
			memcpy(f->helper, name, len);
	}
	/* a name that core does not take is as good as none */
	if (!dsaa_helper_name_valid(f->helper))
		memset(f->helper, 0, sizeof(f->helper));
}

static void parse_seqadj(const struct nlattr *nest, struct dsaa_flow *f, unsigned direction)
{
	struct dsaa_seqadj *s = &f->seqadj[direction];
	const struct nlattr *a;

	FOREACH_NESTED (a, nest) {
		switch (attr_type(a)) {
		case CTA_SEQADJ_CORRECTION_POS:
			s->position = get_be32(a);
			break;
		case CTA_SEQADJ_OFFSET_BEFORE:
			s->before = (int32_t)get_be32(a);
			break;
		case CTA_SEQADJ_OFFSET_AFTER:
			s->after = (int32_t)get_be32(a);
			break;
		}
	}
	f->has |= DSAA_HAS_SEQADJ;
}

static void parse_labels(const struct nlattr *a, struct dsaa_flow *f)
{
	static const uint8_t none[DSAA_LABELS_LEN];

	if (!has_len(a, DSAA_LABELS_LEN) || !memcmp(attr_payload(a), none, sizeof(none)))
		return;
	memcpy(f->labels, attr_payload(a), DSAA_LABELS_LEN);
	f->has |= DSAA_HAS_LABELS;
}

/* What few connections have. */
static void parse_rare(const struct nlattr *a, struct dsaa_flow *f)
{
	uint16_t ignored;

	switch (attr_type(a)) {
	case CTA_HELP:
		parse_help(a, f);
		break;
	case CTA_SEQ_ADJ_ORIG:
		parse_seqadj(a, f, 0);
		break;
	case CTA_SEQ_ADJ_REPLY:
		parse_seqadj(a, f, 1);
		break;
	case CTA_LABELS:
		parse_labels(a, f);
		break;
	case CTA_TUPLE_MASTER:
		parse_tuple(a, &f->master, &f->master_proto, &ignored);
		f->has |= DSAA_HAS_MASTER;
		break;
	}
}

static void parse_attr(const struct nlattr *a, struct dsaa_flow *f)
{
	uint8_t ignored;

	switch (attr_type(a)) {
	case CTA_TUPLE_ORIG:
		parse_tuple(a, &f->orig, &f->proto, &f->zone);
		break;
	case CTA_TUPLE_REPLY:
		parse_tuple(a, &f->reply, &ignored, &f->reply_zone);
		break;
	case CTA_STATUS:
		f->status = parse_status(get_be32(a));
		break;
	case CTA_PROTOINFO:
		parse_protoinfo(a, f);
		break;
	case CTA_TIMEOUT:
		f->timeout_s = get_be32(a);
		break;
	case CTA_MARK:
		f->mark = get_be32(a);
		break;
	case CTA_ID:
		f->id = get_be32(a);
		break;
	case CTA_ZONE:
		f->zone = f->reply_zone = get_be16(a);
		break;
	case CTA_TIMESTAMP:
		f->start_ns = parse_start(a);
		break;
	default:
		parse_rare(a, f);
		break;
	}
}

bool dsaa_ct_flow_parse(const struct nlmsghdr *nlh, struct dsaa_flow *f)
{
	const struct nfgenmsg *g = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *a;

	memset(f, 0, sizeof(*f));
	/* the kernel pads attributes; libmnl takes the padding for granted and would read it */
	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*g) || nlh->nlmsg_len % MNL_ALIGNTO)
		return false;
	f->family = g->nfgen_family == AF_INET ? 4 : g->nfgen_family == AF_INET6 ? 6 : 0;
	FOREACH_ATTR (a, (const char *)g + MNL_ALIGN(sizeof(*g)),
		      (const char *)nlh + nlh->nlmsg_len)
		parse_attr(a, f);
	if (f->zone != f->reply_zone)
		f->has |= DSAA_HAS_REPLY_ZONE;
	else
		f->reply_zone = 0;
	dsaa_flow_derive_nat(f);
	return dsaa_flow_invalid(f) == NULL;
}

bool dsaa_ct_flow_leaves_out(const struct nlmsghdr *nlh)
{
	const char *first = (const char *)mnl_nlmsg_get_payload(nlh) +
			    MNL_ALIGN(sizeof(struct nfgenmsg));
	const struct nlattr *a;

	FOREACH_ATTR (a, first, (const char *)nlh + nlh->nlmsg_len) {
		if (attr_type(a) == CTA_STATUS)
			return get_be32(a) & (IPS_EXPECTED | IPS_SEQ_ADJUST | IPS_HELPER);
	}
	return false;
}

/* ------------------------------------------------------------------ writing */

static void put_be16(struct nlmsghdr *nlh, uint16_t type, uint16_t v)
{
	mnl_attr_put_u16(nlh, type, htons(v));
}

static void put_be32(struct nlmsghdr *nlh, uint16_t type, uint32_t v)
{
	mnl_attr_put_u32(nlh, type, htonl(v));
}

static void put_proto(struct nlmsghdr *nlh, uint8_t proto, const struct dsaa_tuple *t)
{
	mnl_attr_put_u8(nlh, CTA_PROTO_NUM, proto);
	switch (proto) {
	case IPPROTO_ICMP:
		put_be16(nlh, CTA_PROTO_ICMP_ID, t->sport);
		mnl_attr_put_u8(nlh, CTA_PROTO_ICMP_TYPE, (uint8_t)(t->dport >> 8));
		mnl_attr_put_u8(nlh, CTA_PROTO_ICMP_CODE, (uint8_t)t->dport);
		break;
	case IPPROTO_ICMPV6:
		put_be16(nlh, CTA_PROTO_ICMPV6_ID, t->sport);
		mnl_attr_put_u8(nlh, CTA_PROTO_ICMPV6_TYPE, (uint8_t)(t->dport >> 8));
		mnl_attr_put_u8(nlh, CTA_PROTO_ICMPV6_CODE, (uint8_t)t->dport);
		break;
	default:
		put_be16(nlh, CTA_PROTO_SRC_PORT, t->sport);
		put_be16(nlh, CTA_PROTO_DST_PORT, t->dport);
		break;
	}
}

/* ZONE: of this direction only; 0: none. */
static void put_tuple_zone(struct nlmsghdr *nlh, uint16_t type, uint8_t family, uint8_t proto,
			   const struct dsaa_tuple *t, uint16_t zone)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, type);
	struct nlattr *inner = mnl_attr_nest_start(nlh, CTA_TUPLE_IP);

	if (family == 4) {
		mnl_attr_put(nlh, CTA_IP_V4_SRC, 4, t->src);
		mnl_attr_put(nlh, CTA_IP_V4_DST, 4, t->dst);
	} else {
		mnl_attr_put(nlh, CTA_IP_V6_SRC, 16, t->src);
		mnl_attr_put(nlh, CTA_IP_V6_DST, 16, t->dst);
	}
	mnl_attr_nest_end(nlh, inner);
	inner = mnl_attr_nest_start(nlh, CTA_TUPLE_PROTO);
	put_proto(nlh, proto, t);
	mnl_attr_nest_end(nlh, inner);
	if (zone)
		put_be16(nlh, CTA_TUPLE_ZONE, zone);
	mnl_attr_nest_end(nlh, nest);
}

void dsaa_ct_flow_put_tuple(struct nlmsghdr *nlh, uint16_t type, uint8_t family, uint8_t proto,
			    const struct dsaa_tuple *t)
{
	put_tuple_zone(nlh, type, family, proto, t, 0);
}

void dsaa_ct_flow_put_zone(struct nlmsghdr *nlh, const struct dsaa_flow *f)
{
	if (f->zone)
		put_be16(nlh, CTA_ZONE, f->zone);
}

void dsaa_ct_flow_put_reply_zone(struct nlmsghdr *nlh, const struct dsaa_flow *f)
{
	if (dsaa_flow_reply_zone(f))
		put_be16(nlh, CTA_ZONE, dsaa_flow_reply_zone(f));
}

static void put_seqadj(struct nlmsghdr *nlh, uint16_t type, const struct dsaa_seqadj *s)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, type);

	put_be32(nlh, CTA_SEQADJ_CORRECTION_POS, s->position);
	put_be32(nlh, CTA_SEQADJ_OFFSET_BEFORE, (uint32_t)s->before);
	put_be32(nlh, CTA_SEQADJ_OFFSET_AFTER, (uint32_t)s->after);
	mnl_attr_nest_end(nlh, nest);
}

static void put_seqadjs(struct nlmsghdr *nlh, const struct dsaa_flow *f)
{
	put_seqadj(nlh, CTA_SEQ_ADJ_ORIG, &f->seqadj[0]);
	put_seqadj(nlh, CTA_SEQ_ADJ_REPLY, &f->seqadj[1]);
}

/* The rare parts of a new entry. */
static void put_rare(struct nlmsghdr *nlh, const struct dsaa_flow *f)
{
	struct nlattr *nest;

	if (f->helper[0]) {
		nest = mnl_attr_nest_start(nlh, CTA_HELP);
		mnl_attr_put_strz(nlh, CTA_HELP_NAME, f->helper);
		mnl_attr_nest_end(nlh, nest);
	}
	if (f->has & DSAA_HAS_SEQADJ)
		put_seqadjs(nlh, f);
	if (f->has & DSAA_HAS_LABELS)
		mnl_attr_put(nlh, CTA_LABELS, DSAA_LABELS_LEN, f->labels);
	if (f->has & DSAA_HAS_MASTER)
		dsaa_ct_flow_put_tuple(nlh, CTA_TUPLE_MASTER, f->family, f->master_proto,
				       &f->master);
}

/*
 * The reply tuple as it would be without NAT. The kernel wants this one and
 * applies CTA_NAT_SRC and CTA_NAT_DST to it itself (ctnetlink_setup_nat).
 * ICMP's reply keeps its own type; only its identifier is the original one.
 */
static struct dsaa_tuple plain_reply(const struct dsaa_flow *f)
{
	struct dsaa_tuple t;

	memcpy(t.src, f->orig.dst, sizeof(t.src));
	memcpy(t.dst, f->orig.src, sizeof(t.dst));
	if (f->proto == IPPROTO_ICMP || f->proto == IPPROTO_ICMPV6) {
		t.sport = f->orig.sport;
		t.dport = f->reply.dport;
	} else {
		t.sport = f->orig.dport;
		t.dport = f->orig.sport;
	}
	return t;
}

/* One address and one port: minimum and maximum are the same, so there is nothing to choose. */
static void put_nat(struct nlmsghdr *nlh, uint16_t type, uint8_t family, const uint8_t address[16],
		    uint16_t port)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, type), *inner;

	if (family == 4) {
		mnl_attr_put(nlh, CTA_NAT_V4_MINIP, 4, address);
		mnl_attr_put(nlh, CTA_NAT_V4_MAXIP, 4, address);
	} else {
		mnl_attr_put(nlh, CTA_NAT_V6_MINIP, 16, address);
		mnl_attr_put(nlh, CTA_NAT_V6_MAXIP, 16, address);
	}
	if (port) { /* none: a protocol without ports */
		inner = mnl_attr_nest_start(nlh, CTA_NAT_PROTO);
		put_be16(nlh, CTA_PROTONAT_PORT_MIN, port);
		put_be16(nlh, CTA_PROTONAT_PORT_MAX, port);
		mnl_attr_nest_end(nlh, inner);
	}
	mnl_attr_nest_end(nlh, nest);
}

/*
 * With NAT in one direction the other is pinned too: for a direction that is
 * left out the kernel may choose another port when the tuple is taken, and
 * the entry would silently differ from its owner's. So it says EEXIST.
 */
static void put_nats(struct nlmsghdr *nlh, const struct dsaa_flow *f)
{
	bool icmp = f->proto == IPPROTO_ICMP || f->proto == IPPROTO_ICMPV6;

	if (!(f->status & (DSAA_FLOW_SNAT | DSAA_FLOW_DNAT)))
		return;
	put_nat(nlh, CTA_NAT_SRC, f->family, f->reply.dst, icmp ? f->reply.sport : f->reply.dport);
	put_nat(nlh, CTA_NAT_DST, f->family, f->reply.src, icmp ? f->orig.sport : f->reply.sport);
}

static void put_tcp_flags(struct nlmsghdr *nlh, uint16_t type, uint8_t flags)
{
	/* the mask says which bits the kernel takes from the flags: only those that are set */
	struct nf_ct_tcp_flags fl = { .flags = flags & TCP_FLAGS, .mask = flags & TCP_FLAGS };

	mnl_attr_put(nlh, type, sizeof(fl), &fl);
}

static void put_tcp(struct nlmsghdr *nlh, const struct dsaa_flow *f)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, CTA_PROTOINFO_TCP);

	mnl_attr_put_u8(nlh, CTA_PROTOINFO_TCP_STATE, f->tcp_state);
	mnl_attr_put_u8(nlh, CTA_PROTOINFO_TCP_WSCALE_ORIGINAL, f->tcp_wscale[0]);
	mnl_attr_put_u8(nlh, CTA_PROTOINFO_TCP_WSCALE_REPLY, f->tcp_wscale[1]);
	put_tcp_flags(nlh, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, f->tcp_flags[0]);
	put_tcp_flags(nlh, CTA_PROTOINFO_TCP_FLAGS_REPLY, f->tcp_flags[1]);
	mnl_attr_nest_end(nlh, nest);
}

static void put_sctp(struct nlmsghdr *nlh, const struct dsaa_flow *f)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, CTA_PROTOINFO_SCTP);

	mnl_attr_put_u8(nlh, CTA_PROTOINFO_SCTP_STATE, f->sctp_state);
	put_be32(nlh, CTA_PROTOINFO_SCTP_VTAG_ORIGINAL, f->sctp_vtag[0]);
	put_be32(nlh, CTA_PROTOINFO_SCTP_VTAG_REPLY, f->sctp_vtag[1]);
	mnl_attr_nest_end(nlh, nest);
}

/* Kernels without DCCP tracking (6.16 and later) pass over this. */
static void put_dccp(struct nlmsghdr *nlh, const struct dsaa_flow *f)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, CTA_PROTOINFO_DCCP);

	mnl_attr_put_u8(nlh, CTA_PROTOINFO_DCCP_STATE, f->dccp_state);
	mnl_attr_put_u8(nlh, CTA_PROTOINFO_DCCP_ROLE, f->dccp_role);
	mnl_attr_put_u64(nlh, CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ, htobe64(f->dccp_handshake_seq));
	mnl_attr_nest_end(nlh, nest);
}

static void put_protoinfo(struct nlmsghdr *nlh, const struct dsaa_flow *f)
{
	struct nlattr *nest;

	if (f->proto != IPPROTO_TCP && f->proto != IPPROTO_SCTP && f->proto != IPPROTO_DCCP)
		return;
	nest = mnl_attr_nest_start(nlh, CTA_PROTOINFO);
	if (f->proto == IPPROTO_TCP)
		put_tcp(nlh, f);
	else if (f->proto == IPPROTO_SCTP)
		put_sctp(nlh, f);
	else
		put_dccp(nlh, f);
	mnl_attr_nest_end(nlh, nest);
}

static uint32_t kernel_status(uint32_t status)
{
	return IPS_CONFIRMED | (status & DSAA_FLOW_SEEN_REPLY ? IPS_SEEN_REPLY : 0) |
	       (status & DSAA_FLOW_ASSURED ? IPS_ASSURED : 0);
}

void dsaa_ct_flow_put_new(struct nlmsghdr *nlh, const struct dsaa_flow *f)
{
	struct dsaa_tuple reply = plain_reply(f);
	bool split = f->has & DSAA_HAS_REPLY_ZONE;

	put_tuple_zone(nlh, CTA_TUPLE_ORIG, f->family, f->proto, &f->orig, split ? f->zone : 0);
	put_tuple_zone(nlh, CTA_TUPLE_REPLY, f->family, f->proto, &reply,
		       split ? f->reply_zone : 0);
	if (!split)
		dsaa_ct_flow_put_zone(nlh, f);
	put_be32(nlh, CTA_STATUS, kernel_status(f->status));
	put_be32(nlh, CTA_TIMEOUT, f->timeout_s);
	put_be32(nlh, CTA_MARK, f->mark);
	put_protoinfo(nlh, f);
	put_nats(nlh, f);
	if (f->has || f->helper[0])
		put_rare(nlh, f);
}

static bool protoinfo_equal(const struct dsaa_flow *a, const struct dsaa_flow *b)
{
	return a->tcp_state == b->tcp_state && !memcmp(a->tcp_wscale, b->tcp_wscale, 2) &&
	       !memcmp(a->tcp_flags, b->tcp_flags, 2) && a->sctp_state == b->sctp_state &&
	       !memcmp(a->sctp_vtag, b->sctp_vtag, sizeof(a->sctp_vtag)) &&
	       a->dccp_state == b->dccp_state && a->dccp_role == b->dccp_role &&
	       a->dccp_handshake_seq == b->dccp_handshake_seq;
}

void dsaa_ct_flow_put_update(struct nlmsghdr *nlh, const struct dsaa_flow *f,
			     const struct dsaa_flow *existing)
{
	uint32_t status = f->status | existing->status;
	uint32_t news = DSAA_FLOW_SEEN_REPLY | DSAA_FLOW_ASSURED;

	dsaa_ct_flow_put_tuple(nlh, CTA_TUPLE_ORIG, f->family, f->proto, &f->orig);
	dsaa_ct_flow_put_zone(nlh, f);
	/* the kernel takes no bit back, and refuses a status without the expected bit of an
	 * expected connection: say it only when it adds something, and as the entry has it */
	if ((status & news) != (existing->status & news))
		put_be32(nlh, CTA_STATUS,
			 kernel_status(status) |
				 (existing->has & DSAA_HAS_MASTER ? IPS_EXPECTED : 0));
	put_be32(nlh, CTA_TIMEOUT, f->timeout_s);
	put_be32(nlh, CTA_MARK, f->mark);
	if (!protoinfo_equal(f, existing))
		put_protoinfo(nlh, f);
	if (f->has & DSAA_HAS_SEQADJ && memcmp(f->seqadj, existing->seqadj, sizeof(f->seqadj)))
		put_seqadjs(nlh, f);
	if (f->has & DSAA_HAS_LABELS && memcmp(f->labels, existing->labels, sizeof(f->labels)))
		mnl_attr_put(nlh, CTA_LABELS, DSAA_LABELS_LEN, f->labels);
}
