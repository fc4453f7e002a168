/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The translation of ctnetlink messages (conntrack/dsaa_ct_flow.h) without a
 * kernel: what is written is read back, and hostile messages (every cut,
 * every length, random bytes) are refused or read, and never crash.
 * Needs no privilege; run it with --enable-sanitize.
 */
#include <arpa/inet.h>
#include <stdlib.h>

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "conntrack/dsaa_ct_flow.h"
#include "tests/unit/flows.h"

enum { MESSAGE_MAX = 768, MUTATIONS = 200000 };

static struct nlmsghdr *begin(void *buf, uint8_t family)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g;

	nlh->nlmsg_type = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_NEW;
	g = mnl_nlmsg_put_extra_header(nlh, sizeof(*g));
	g->nfgen_family = family == 4 ? AF_INET : AF_INET6;
	return nlh;
}

/* What a creation of F says, which the kernel would tell alike but for NAT and time. */
static struct nlmsghdr *message(void *buf, const struct dsaa_flow *f)
{
	struct nlmsghdr *nlh = begin(buf, f->family);

	dsaa_ct_flow_put_new(nlh, f);
	return nlh;
}

static void test_longest_message_fits(void)
{
	static _Alignas(8) char buf[4 * MESSAGE_MAX];
	unsigned longest = 0;

	for (unsigned i = 0; i < 20000; i++) {
		struct dsaa_flow f = flow_random();
		struct nlmsghdr *nlh;

		f.zone |= 1;
		nlh = message(buf, &f);
		longest = nlh->nlmsg_len > longest ? nlh->nlmsg_len : longest;
	}
	CHECK(longest > 300 && longest <= MESSAGE_MAX);
}

/* Flows without NAT: their reply tuple travels as it is. */
static void test_what_is_written_is_read(void)
{
	static _Alignas(8) char buf[MESSAGE_MAX];

	for (unsigned i = 0; i < 20000; i++) {
		struct dsaa_flow f = flow_random(), got;

		dsaa_tuple_reverse(f.proto, &f.orig, &f.reply);
		dsaa_flow_derive_nat(&f);
		f.start_ns = 0;
		f.tcp_flags[0] &= 0x0f;
		f.tcp_flags[1] &= 0x0f;
		if (!dsaa_ct_flow_parse(message(buf, &f), &got)) {
			CHECK(!"a flow that was written is not read");
			continue;
		}
		CHECK(dsaa_flow_key_equal(&f, &got));
		CHECK(!memcmp(&f.reply, &got.reply, sizeof(f.reply)));
		CHECK(f.status == got.status && f.mark == got.mark);
		CHECK(f.timeout_s == got.timeout_s);
		CHECK(f.tcp_state == got.tcp_state && !memcmp(f.tcp_wscale, got.tcp_wscale, 2) &&
		      !memcmp(f.tcp_flags, got.tcp_flags, 2));
		CHECK(f.sctp_state == got.sctp_state && f.sctp_vtag[0] == got.sctp_vtag[0] &&
		      f.sctp_vtag[1] == got.sctp_vtag[1]);
		CHECK(f.has == got.has && !memcmp(f.helper, got.helper, sizeof(f.helper)) &&
		      !memcmp(f.labels, got.labels, sizeof(f.labels)) &&
		      !memcmp(f.seqadj, got.seqadj, sizeof(f.seqadj)) &&
		      !memcmp(&f.master, &got.master, sizeof(f.master)) &&
		      f.reply_zone == got.reply_zone);
		CHECK(f.dccp_state == got.dccp_state && f.dccp_role == got.dccp_role &&
		      f.dccp_handshake_seq == got.dccp_handshake_seq);
	}
}

/* Flags that describe packets of one kernel do not leave it, nor enter another. */
static void test_internal_tcp_flags_stay(void)
{
	static _Alignas(8) char buf[MESSAGE_MAX];
	struct dsaa_flow f = flow_make(4, DSAA_PROTO_TCP, 1), got;

	f.tcp_flags[0] = f.tcp_flags[1] = 0xff;
	CHECK(dsaa_ct_flow_parse(message(buf, &f), &got));
	CHECK(got.tcp_flags[0] == 0x0f && got.tcp_flags[1] == 0x0f);
}

/* A zone of one direction only: the other one is in none. */
static void test_directional_zone(void)
{
	static _Alignas(8) char buf[MESSAGE_MAX];
	struct dsaa_flow f = flow_make(4, DSAA_PROTO_UDP, 1), got;

	f.has = DSAA_HAS_REPLY_ZONE;
	f.zone = 7;
	CHECK(dsaa_ct_flow_parse(message(buf, &f), &got) && got.zone == 7);
	CHECK(got.has == DSAA_HAS_REPLY_ZONE && got.reply_zone == 0);
	f.zone = 0;
	f.reply_zone = 9;
	CHECK(dsaa_ct_flow_parse(message(buf, &f), &got) && got.zone == 0);
	CHECK(got.has == DSAA_HAS_REPLY_ZONE && dsaa_flow_reply_zone(&got) == 9);
	f.has = 0;
	f.reply_zone = 0;
	f.zone = 7;
	CHECK(dsaa_ct_flow_parse(message(buf, &f), &got) && got.zone == 7 && !got.has);
	CHECK(dsaa_flow_reply_zone(&got) == 7);
}

static void test_unknown_attributes_are_skipped(void)
{
	static _Alignas(8) char buf[2 * MESSAGE_MAX];
	struct dsaa_flow f = flow_make(6, DSAA_PROTO_TCP, 1), got;
	struct nlmsghdr *nlh = message(buf, &f);

	for (unsigned type = CTA_MAX + 1; type < CTA_MAX + 20; type++)
		mnl_attr_put_u64(nlh, (uint16_t)type, UINT64_MAX);
	CHECK(dsaa_ct_flow_parse(nlh, &got) && dsaa_flow_key_equal(&f, &got));
	/* an attribute of another length than the kernel's is not read */
	mnl_attr_put_u64(nlh, CTA_MARK, UINT64_MAX);
	CHECK(dsaa_ct_flow_parse(nlh, &got) && got.mark == 0);
}

static void test_a_message_without_tuples_is_none(void)
{
	static _Alignas(8) char buf[MESSAGE_MAX];
	struct dsaa_flow got;
	struct nlmsghdr *nlh = begin(buf, 4);

	CHECK(!dsaa_ct_flow_parse(nlh, &got));
	nlh->nlmsg_len = MNL_NLMSG_HDRLEN; /* not even the family */
	CHECK(!dsaa_ct_flow_parse(nlh, &got));
}

/* Reads the message from memory of its exact size, so that a checker sees every step outside. */
static bool parse_exactly(const void *bytes, size_t len)
{
	void *copy = malloc(len);
	struct nlmsghdr *nlh = copy;
	struct dsaa_flow got;
	bool ok;

	memcpy(copy, bytes, len);
	nlh->nlmsg_len = (uint32_t)len;
	ok = dsaa_ct_flow_parse(nlh, &got);
	/* what is taken is fit for core, whatever was mangled */
	CHECK(!ok || !dsaa_flow_invalid(&got));
	free(copy);
	return ok;
}

static void test_every_cut(void)
{
	static _Alignas(8) char buf[MESSAGE_MAX];

	for (unsigned i = 0; i < 200; i++) {
		struct dsaa_flow f = flow_random();
		struct nlmsghdr *nlh = message(buf, &f);

		for (size_t len = MNL_NLMSG_HDRLEN; len <= nlh->nlmsg_len; len++)
			parse_exactly(buf, len);
	}
}

static void test_mutations(void)
{
	static _Alignas(8) char buf[MESSAGE_MAX], mangled[MESSAGE_MAX];
	unsigned taken = 0;

	for (unsigned i = 0; i < MUTATIONS; i++) {
		struct dsaa_flow f = flow_random();
		size_t len = message(buf, &f)->nlmsg_len;

		memcpy(mangled, buf, len);
		for (unsigned n = 1 + test_random() % 8; n; n--)
			mangled[MNL_NLMSG_HDRLEN + test_random() % (len - MNL_NLMSG_HDRLEN)] =
				(char)test_random();
		taken += parse_exactly(mangled, len);
	}
	/* both outcomes were seen, so the test tests something */
	CHECK(taken > MUTATIONS / 100 && taken < MUTATIONS);
}

int main(void)
{
	test_longest_message_fits();
	test_what_is_written_is_read();
	test_internal_tcp_flags_stay();
	test_directional_zone();
	test_unknown_attributes_are_skipped();
	test_a_message_without_tuples_is_none();
	test_every_cut();
	test_mutations();
	return TEST_END();
}
