/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The conntrack edge against the kernel's real table, in a network namespace
 * of its own: every kind of change, NAT both ways, collisions, owner-filtered
 * dumps, events of real packets, and what a full-size batch costs.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "conntrack/dsaa_conntrack.h"
#include "conntrack/dsaa_ct_flow.h"
#include "tests/unit/test.h"

#define MASK DSAA_MARK_MASK_DEFAULT

static struct dsaa_ct *ct;

static void put4(uint8_t a[16], const char *text)
{
	inet_pton(AF_INET, text, a);
}

static void plain_reply(struct dsaa_flow *f)
{
	memcpy(f->reply.src, f->orig.dst, 16);
	memcpy(f->reply.dst, f->orig.src, 16);
	f->reply.sport = f->orig.dport;
	f->reply.dport = f->orig.sport;
}

static struct dsaa_flow flow4(uint8_t proto, uint16_t sport, unsigned site)
{
	struct dsaa_flow f = { .family = 4,
			       .proto = proto,
			       .timeout_s = 600,
			       .status = DSAA_FLOW_SEEN_REPLY | DSAA_FLOW_ASSURED };

	put4(f.orig.src, "10.1.0.9");
	put4(f.orig.dst, "10.9.1.10");
	f.orig.sport = sport;
	f.orig.dport = 80;
	plain_reply(&f);
	f.mark = dsaa_mark_set_owner(0x1234, MASK, site);
	if (proto == IPPROTO_TCP) {
		f.tcp_state = 3;
		f.tcp_wscale[0] = 7;
		f.tcp_wscale[1] = 9;
		f.tcp_flags[0] = f.tcp_flags[1] = 0x0b;
	}
	return f;
}

static struct dsaa_flow flow6(uint8_t proto, uint16_t sport, unsigned site)
{
	struct dsaa_flow f = flow4(proto, sport, site);

	f.family = 6;
	memset(&f.orig, 0, 32);
	inet_pton(AF_INET6, "2001:db8:1::9", f.orig.src);
	inet_pton(AF_INET6, "2001:db8:9::10", f.orig.dst);
	plain_reply(&f);
	return f;
}

static struct dsaa_apply one(enum dsaa_apply_kind kind, const struct dsaa_flow *f,
			     const struct dsaa_flow *existing)
{
	struct dsaa_apply op = { .kind = kind, .flow = *f };

	if (existing)
		op.existing = *existing;
	dsaa_ct_apply(ct, &op, 1);
	return op;
}

static bool same_entry(const struct dsaa_flow *want, const struct dsaa_flow *got)
{
	return dsaa_flow_key_equal(want, got) &&
	       !memcmp(&want->reply, &got->reply, sizeof(want->reply)) && want->mark == got->mark &&
	       (want->status & 3) == (got->status & 3) && want->tcp_state == got->tcp_state &&
	       !memcmp(want->tcp_wscale, got->tcp_wscale, 2) &&
	       !memcmp(want->tcp_flags, got->tcp_flags, 2);
}

/* What is put in comes out again, and goes away. */
static void round_trip(struct dsaa_flow f)
{
	struct dsaa_apply op;

	dsaa_flow_derive_nat(&f);
	op = one(DSAA_APPLY_CREATE, &f, NULL);
	CHECK(op.result == DSAA_APPLIED_OK);
	op = one(DSAA_APPLY_LOOKUP, &f, NULL);
	CHECK(op.result == DSAA_APPLIED_EXISTS);
	CHECK(same_entry(&f, &op.existing));
	CHECK(op.existing.timeout_s > 500 && op.existing.timeout_s <= 600);
	op = one(DSAA_APPLY_DELETE, &f, &op.existing);
	CHECK(op.result == DSAA_APPLIED_OK);
	CHECK(one(DSAA_APPLY_LOOKUP, &f, NULL).result == DSAA_APPLIED_ABSENT);
}

static struct dsaa_flow ping(struct dsaa_flow f)
{
	bool v6 = f.family == 6;

	f.proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	f.tcp_state = f.tcp_wscale[0] = f.tcp_wscale[1] = f.tcp_flags[0] = f.tcp_flags[1] = 0;
	f.orig.sport = f.reply.sport = 777;
	f.orig.dport = v6 ? 128 << 8 : 8 << 8;
	f.reply.dport = v6 ? 129 << 8 : 0;
	return f;
}

static void test_round_trips(void)
{
	for (int v6 = 0; v6 <= 1; v6++) {
		struct dsaa_flow (*make)(uint8_t, uint16_t, unsigned) = v6 ? flow6 : flow4;
		struct dsaa_flow f = make(IPPROTO_TCP, 1000, 1);

		round_trip(f);
		round_trip(make(IPPROTO_UDP, 1000, 1));
		round_trip(ping(f));
		/* SNAT, with another port */
		f.reply.dst[v6 ? 15 : 3] ^= 0x40;
		f.reply.dport = 4711;
		round_trip(f);
		/* and DNAT too */
		f.reply.src[v6 ? 15 : 3] ^= 0x20;
		f.reply.sport = 8080;
		round_trip(f);
		/* DNAT only */
		memcpy(f.reply.dst, f.orig.src, 16);
		f.reply.dport = f.orig.sport;
		round_trip(f);
		/* a ping whose identifier SNAT changed */
		f = ping(make(IPPROTO_TCP, 1000, 1));
		f.reply.dst[v6 ? 15 : 3] ^= 0x40;
		f.reply.sport = 778;
		round_trip(f);
	}
	struct dsaa_flow gre = flow4(47, 0, 1);

	gre.orig.sport = gre.orig.dport = gre.reply.sport = gre.reply.dport = 0;
	round_trip(gre);
}

static void test_update(void)
{
	struct dsaa_flow f = flow4(IPPROTO_TCP, 2000, 1), g = f;
	struct dsaa_apply op;

	f.status = 0;
	f.tcp_state = 1;
	CHECK(one(DSAA_APPLY_CREATE, &f, NULL).result == DSAA_APPLIED_OK);
	op = one(DSAA_APPLY_CREATE, &g, NULL);
	CHECK(op.result == DSAA_APPLIED_EXISTS && same_entry(&f, &op.existing));
	op = one(DSAA_APPLY_UPDATE, &g, &op.existing);
	CHECK(op.result == DSAA_APPLIED_OK);
	op = one(DSAA_APPLY_LOOKUP, &g, NULL);
	CHECK(same_entry(&g, &op.existing));
	/* adoption: mark and timeout only; the user's bits stay */
	g = op.existing;
	g.mark = dsaa_mark_set_owner(g.mark, MASK, 0);
	g.timeout_s = 120;
	CHECK(one(DSAA_APPLY_UPDATE, &g, &op.existing).result == DSAA_APPLIED_OK);
	op = one(DSAA_APPLY_LOOKUP, &g, NULL);
	CHECK(op.existing.mark == 0x1234 && op.existing.timeout_s <= 120);
	CHECK(op.existing.tcp_state == 3);
	one(DSAA_APPLY_DELETE, &g, &op.existing);
	CHECK(one(DSAA_APPLY_UPDATE, &g, &g).result == DSAA_APPLIED_ABSENT);
}

static void delete_by_lookup(const struct dsaa_flow *f)
{
	struct dsaa_apply op = one(DSAA_APPLY_LOOKUP, f, NULL);

	CHECK(one(DSAA_APPLY_DELETE, f, &op.existing).result == DSAA_APPLIED_OK);
}

static void test_sctp(void)
{
	struct dsaa_flow f = flow4(IPPROTO_SCTP, 2100, 1);
	struct dsaa_apply op;

	f.sctp_state = 4; /* established */
	f.sctp_vtag[0] = 0x01020304;
	f.sctp_vtag[1] = 0xa0b0c0d0;
	CHECK(one(DSAA_APPLY_CREATE, &f, NULL).result == DSAA_APPLIED_OK);
	op = one(DSAA_APPLY_LOOKUP, &f, NULL);
	CHECK(op.existing.sctp_state == 4 && op.existing.sctp_vtag[0] == f.sctp_vtag[0] &&
	      op.existing.sctp_vtag[1] == f.sctp_vtag[1]);
	delete_by_lookup(&f);
}

/* The same tuples in two zones are two connections. */
static void test_zones(void)
{
	struct dsaa_flow f = flow4(IPPROTO_TCP, 2200, 1), g = f;
	struct dsaa_apply op;

	g.zone = 7;
	CHECK(one(DSAA_APPLY_CREATE, &g, NULL).result == DSAA_APPLIED_OK);
	CHECK(one(DSAA_APPLY_LOOKUP, &f, NULL).result == DSAA_APPLIED_ABSENT);
	CHECK(one(DSAA_APPLY_CREATE, &f, NULL).result == DSAA_APPLIED_OK);
	op = one(DSAA_APPLY_LOOKUP, &g, NULL);
	CHECK(op.result == DSAA_APPLIED_EXISTS && op.existing.zone == 7);
	delete_by_lookup(&f);
	CHECK(one(DSAA_APPLY_LOOKUP, &g, NULL).result == DSAA_APPLIED_EXISTS);
	delete_by_lookup(&g);
}

/* The kernel changes no NAT: an update that needs another makes the entry anew. */
static void test_update_of_nat(void)
{
	struct dsaa_flow ours = flow4(IPPROTO_UDP, 2300, 0), theirs;
	struct dsaa_apply op;

	put4(ours.reply.dst, "203.0.113.1");
	dsaa_flow_derive_nat(&ours);
	theirs = ours;
	theirs.mark = dsaa_mark_set_owner(theirs.mark, MASK, 2);
	put4(theirs.reply.dst, "203.0.113.129");
	theirs.reply.dport = 61000;
	one(DSAA_APPLY_CREATE, &ours, NULL);
	op = one(DSAA_APPLY_CREATE, &theirs, NULL);
	CHECK(op.result == DSAA_APPLIED_EXISTS && same_entry(&ours, &op.existing));
	op = one(DSAA_APPLY_UPDATE, &theirs, &op.existing);
	CHECK(op.result == DSAA_APPLIED_OK);
	op = one(DSAA_APPLY_LOOKUP, &theirs, NULL);
	CHECK(op.result == DSAA_APPLIED_EXISTS && same_entry(&theirs, &op.existing));
	delete_by_lookup(&theirs);
}

/*
 * What a connection's packets look like after NAT is taken by another one:
 * the kernel may not choose another port by itself, in no direction.
 */
static void test_nat_is_never_chosen(void)
{
	for (int dnat = 0; dnat <= 1; dnat++) {
		struct dsaa_flow f = flow4(IPPROTO_TCP, 2400, 1), other;
		struct dsaa_apply op;

		if (dnat)
			put4(f.reply.src, "10.77.0.1");
		else
			put4(f.reply.dst, "203.0.113.1");
		dsaa_flow_derive_nat(&f);
		/* an entry without NAT whose reply tuple is the same */
		other = f;
		memcpy(other.orig.src, f.reply.dst, 16);
		memcpy(other.orig.dst, f.reply.src, 16);
		dsaa_flow_derive_nat(&other);
		CHECK(one(DSAA_APPLY_CREATE, &other, NULL).result == DSAA_APPLIED_OK);
		op = one(DSAA_APPLY_CREATE, &f, NULL);
		CHECK(op.result == DSAA_APPLIED_EXISTS);
		CHECK(dsaa_flow_key_equal(&op.existing, &other));
		/* and a look-up finds it by the reply tuple, too */
		op = one(DSAA_APPLY_LOOKUP, &f, NULL);
		CHECK(op.result == DSAA_APPLIED_EXISTS &&
		      dsaa_flow_key_equal(&op.existing, &other));
		delete_by_lookup(&other);
	}
}

/* Creates F as an expected child of MASTER, which no operation of the edge can. */
static bool create_expected(const struct dsaa_flow *f, const struct dsaa_flow *master)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	static _Alignas(8) char buf[1024];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(nlh, sizeof(*g));
	ssize_t n;

	nlh->nlmsg_type = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_NEW;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK;
	g->nfgen_family = AF_INET;
	dsaa_ct_flow_put_new(nlh, f);
	dsaa_ct_flow_put_tuple(nlh, CTA_TUPLE_MASTER, 4, master->proto, &master->orig);
	if (!s || mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(s, nlh, nlh->nlmsg_len) < 0)
		return false;
	n = mnl_socket_recvfrom(s, buf, sizeof(buf));
	mnl_socket_close(s);
	nlh = (struct nlmsghdr *)buf;
	return n > 0 && nlh->nlmsg_type == NLMSG_ERROR &&
	       ((struct nlmsgerr *)mnl_nlmsg_get_payload(nlh))->error == 0;
}

/* An expected connection refuses every status without its expected bit: the rest is updated. */
static void test_expected(void)
{
	struct dsaa_flow master = flow4(IPPROTO_TCP, 2500, 0), child = master, now;
	struct dsaa_apply op;

	child.orig.sport = 2501;
	child.orig.dport = 20;
	child.status = 0;
	child.tcp_state = 1;
	plain_reply(&child);
	one(DSAA_APPLY_CREATE, &master, NULL);
	CHECK(create_expected(&child, &master));
	now = child;
	now.status = DSAA_FLOW_SEEN_REPLY | DSAA_FLOW_ASSURED;
	now.tcp_state = 3;
	now.mark = dsaa_mark_set_owner(now.mark, MASK, 3);
	op = one(DSAA_APPLY_LOOKUP, &child, NULL);
	CHECK(one(DSAA_APPLY_UPDATE, &now, &op.existing).result == DSAA_APPLIED_OK);
	op = one(DSAA_APPLY_LOOKUP, &child, NULL);
	CHECK(op.existing.tcp_state == 3 && op.existing.mark == now.mark);
	delete_by_lookup(&child);
	delete_by_lookup(&master);
}

/* Creates F and tells what stands in the table then. */
static struct dsaa_flow created(const struct dsaa_flow *f)
{
	struct dsaa_apply op = one(DSAA_APPLY_CREATE, f, NULL);

	CHECK(op.result == DSAA_APPLIED_OK);
	op = one(DSAA_APPLY_LOOKUP, f, NULL);
	CHECK(op.result == DSAA_APPLIED_EXISTS);
	return op.existing;
}

/* Helper and moved sequence numbers, told at the creation and in an update. */
static void test_helper(void)
{
	struct dsaa_flow f = flow4(IPPROTO_TCP, 2600, 1), got, other;
	struct dsaa_apply op;

	f.orig.dport = 21;
	plain_reply(&f);
	memcpy(f.helper, "ftp", 3);
	f.has = DSAA_HAS_SEQADJ;
	f.seqadj[0] = (struct dsaa_seqadj){ 0x80000001, -3, 5 };
	f.seqadj[1] = (struct dsaa_seqadj){ 77, 0, -1 };
	got = created(&f);
	if (!got.helper[0]) {
		printf("this kernel has no FTP helper: not tested\n");
		delete_by_lookup(&f);
		return;
	}
	CHECK(!strcmp(got.helper, "ftp") && got.has == DSAA_HAS_SEQADJ);
	CHECK(!memcmp(got.seqadj, f.seqadj, sizeof(f.seqadj)));
	f.seqadj[0].after = 9;
	CHECK(one(DSAA_APPLY_UPDATE, &f, &got).result == DSAA_APPLIED_OK);
	op = one(DSAA_APPLY_LOOKUP, &f, NULL);
	CHECK(op.existing.seqadj[0].after == 9 && op.existing.id == got.id);
	/* an entry without the helper is made anew: the kernel gives none to one that is there */
	delete_by_lookup(&f);
	other = f;
	memset(other.helper, 0, sizeof(other.helper));
	got = created(&other);
	CHECK(!got.helper[0]);
	CHECK(one(DSAA_APPLY_UPDATE, &f, &got).result == DSAA_APPLIED_OK);
	op = one(DSAA_APPLY_LOOKUP, &f, NULL);
	CHECK(!strcmp(op.existing.helper, "ftp"));
	delete_by_lookup(&f);
	/* one that no kernel has: the connection lives without it, and it is asked for once */
	memcpy(f.helper, "no-such", 8);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t before = dsaa_ct_counters(ct)->lessened;

		got = created(&f);
		CHECK(!got.helper[0] && same_entry(&f, &got));
		CHECK(dsaa_ct_counters(ct)->lessened == before + (i == 0));
		delete_by_lookup(&f);
	}
}

static void test_labels(void)
{
	struct dsaa_flow f = flow4(IPPROTO_UDP, 2700, 1), got;
	struct dsaa_apply op;

	f.has = DSAA_HAS_LABELS;
	f.labels[0] = 0x06;
	f.labels[15] = 0x80;
	/* no rule of the namespace uses labels: the rest of the connection stands */
	got = created(&f);
	CHECK(same_entry(&f, &got));
	delete_by_lookup(&f);
	if (system("nft add rule inet t c ct label set 127")) {
		printf("nft knows no labels: not tested\n");
		return;
	}
	got = created(&f);
	CHECK(got.has == DSAA_HAS_LABELS && !memcmp(got.labels, f.labels, sizeof(f.labels)));
	f.labels[3] = 0x10;
	CHECK(one(DSAA_APPLY_UPDATE, &f, &got).result == DSAA_APPLIED_OK);
	op = one(DSAA_APPLY_LOOKUP, &f, NULL);
	CHECK(!memcmp(op.existing.labels, f.labels, sizeof(f.labels)));
	delete_by_lookup(&f);
}

/* A child with its master, in one batch; and one whose master is nowhere. */
static void test_master(void)
{
	static struct dsaa_apply ops[2];
	struct dsaa_flow master = flow4(IPPROTO_TCP, 2800, 1), child, got;

	child = flow4(IPPROTO_TCP, 2801, 1);
	child.orig.dport = 20;
	child.status = 0;
	child.tcp_state = 1;
	plain_reply(&child);
	child.has = DSAA_HAS_MASTER;
	child.master_proto = IPPROTO_TCP;
	child.master = master.orig;
	ops[0] = (struct dsaa_apply){ .kind = DSAA_APPLY_CREATE, .flow = master };
	ops[1] = (struct dsaa_apply){ .kind = DSAA_APPLY_CREATE, .flow = child };
	dsaa_ct_apply(ct, ops, 2);
	CHECK(ops[0].result == DSAA_APPLIED_OK && ops[1].result == DSAA_APPLIED_OK);
	got = one(DSAA_APPLY_LOOKUP, &child, NULL).existing;
	CHECK(got.has == DSAA_HAS_MASTER && got.master_proto == IPPROTO_TCP);
	CHECK(!memcmp(&got.master, &master.orig, sizeof(master.orig)));
	child.status = DSAA_FLOW_SEEN_REPLY | DSAA_FLOW_ASSURED;
	child.tcp_state = 3;
	CHECK(one(DSAA_APPLY_UPDATE, &child, &got).result == DSAA_APPLIED_OK);
	got = one(DSAA_APPLY_LOOKUP, &child, NULL).existing;
	CHECK(same_entry(&child, &got) && got.has == DSAA_HAS_MASTER);
	delete_by_lookup(&child);
	delete_by_lookup(&master);
	got = created(&child);
	CHECK(same_entry(&child, &got) && !got.has);
	delete_by_lookup(&child);
}

/* CT --zone-orig, --zone-reply: found by both tuples, each in its own zone. */
static void test_directional_zones(void)
{
	for (int reply = 0; reply <= 1; reply++) {
		struct dsaa_flow f = flow4(IPPROTO_TCP, 2900, 1), plain, got, away;
		struct dsaa_apply op;

		f.has = DSAA_HAS_REPLY_ZONE;
		f.zone = reply ? 0 : 7;
		f.reply_zone = reply ? 7 : 0;
		got = created(&f);
		CHECK(same_entry(&f, &got) && got.has == DSAA_HAS_REPLY_ZONE);
		CHECK(got.reply_zone == f.reply_zone);
		CHECK(one(DSAA_APPLY_UPDATE, &f, &got).result == DSAA_APPLIED_OK);
		/* by the reply tuple it is found in the zone of that direction */
		away = f;
		away.orig.sport++;
		op = one(DSAA_APPLY_LOOKUP, &away, NULL);
		CHECK(op.result == DSAA_APPLIED_EXISTS && dsaa_flow_key_equal(&op.existing, &f));
		/* made anew for one whose answers are in the same zone */
		plain = f;
		plain.has = 0;
		plain.reply_zone = 0;
		CHECK(one(DSAA_APPLY_UPDATE, &plain, &got).result == DSAA_APPLIED_OK);
		got = one(DSAA_APPLY_LOOKUP, &plain, NULL).existing;
		CHECK(!got.has && got.zone == f.zone);
		delete_by_lookup(&plain);
	}
}

/*
 * Protocols that conntrack knows by their addresses only, and those with ports of their own kind.
 */
static void test_other_protocols(void)
{
	static const uint8_t without_ports[] = { 50, 51, 2, 89, 112, 4, 103 };

	for (unsigned i = 0; i < sizeof(without_ports); i++) {
		struct dsaa_flow f = flow4(without_ports[i], 0, 1);

		f.orig.dport = f.reply.sport = 0;
		round_trip(f);
		put4(f.reply.dst, "203.0.113.1"); /* SNAT of an address */
		round_trip(f);
	}
	round_trip(flow4(IPPROTO_UDPLITE, 1000, 1));
	round_trip(flow6(IPPROTO_UDPLITE, 1000, 1));
}

static void test_dccp(void)
{
	struct dsaa_flow f = flow4(DSAA_PROTO_DCCP, 2150, 1), got;

	f.dccp_state = 4; /* open */
	f.dccp_role = 1;
	f.dccp_handshake_seq = 0x123456789abc;
	if (access("/proc/sys/net/netfilter/nf_conntrack_dccp_timeout_open", R_OK)) {
		/* it knows such a connection by its addresses, as that of any other protocol */
		printf("this kernel does not track DCCP's states: not tested\n");
		return;
	}
	got = created(&f);
	CHECK(same_entry(&f, &got));
	CHECK(got.dccp_state == 4 && got.dccp_handshake_seq == f.dccp_handshake_seq);
	delete_by_lookup(&f);
}

static void test_delete_takes_that_very_entry(void)
{
	struct dsaa_flow f = flow4(IPPROTO_UDP, 3000, 1);
	struct dsaa_apply op;

	one(DSAA_APPLY_CREATE, &f, NULL);
	op = one(DSAA_APPLY_LOOKUP, &f, NULL);
	op.existing.id ^= 1;
	CHECK(one(DSAA_APPLY_DELETE, &f, &op.existing).result == DSAA_APPLIED_ABSENT);
	CHECK(one(DSAA_APPLY_LOOKUP, &f, NULL).result == DSAA_APPLIED_EXISTS);
	op.existing.id ^= 1;
	CHECK(one(DSAA_APPLY_DELETE, &f, &op.existing).result == DSAA_APPLIED_OK);
}

static void test_reversed_entry_is_found_and_replaced(void)
{
	struct dsaa_flow f = flow4(IPPROTO_UDP, 4000, 1), reversed = f;
	struct dsaa_apply op;

	reversed.orig = f.reply;
	reversed.reply = f.orig;
	reversed.mark = 0;
	CHECK(one(DSAA_APPLY_CREATE, &reversed, NULL).result == DSAA_APPLIED_OK);
	op = one(DSAA_APPLY_CREATE, &f, NULL);
	CHECK(op.result == DSAA_APPLIED_EXISTS);
	CHECK(dsaa_flow_key_equal(&op.existing, &reversed));
	op = one(DSAA_APPLY_REPLACE, &f, &op.existing);
	CHECK(op.result == DSAA_APPLIED_OK);
	op = one(DSAA_APPLY_LOOKUP, &f, NULL);
	CHECK(op.result == DSAA_APPLIED_EXISTS && same_entry(&f, &op.existing));
	one(DSAA_APPLY_DELETE, &f, &op.existing);
}

static void test_find_in_both_directions(void)
{
	struct dsaa_flow f = flow4(IPPROTO_TCP, 5000, 2), out;
	struct dsaa_apply op;
	bool reply;

	put4(f.reply.dst, "10.201.0.5"); /* SNAT */
	dsaa_flow_derive_nat(&f);
	one(DSAA_APPLY_CREATE, &f, NULL);
	CHECK(dsaa_ct_find(ct, 4, IPPROTO_TCP, &f.orig, &out, &reply) == 1 && !reply);
	CHECK(dsaa_ct_find(ct, 4, IPPROTO_TCP, &f.reply, &out, &reply) == 1 && reply);
	CHECK(dsaa_mark_owner(out.mark, MASK) == 2);
	CHECK(dsaa_ct_find(ct, 4, IPPROTO_UDP, &f.reply, &out, &reply) == 0);
	op = one(DSAA_APPLY_LOOKUP, &f, NULL);
	one(DSAA_APPLY_DELETE, &f, &op.existing);
}

static unsigned dumped, dumped_wrong, want_owner;

static void count_dumped(void *arg, const struct dsaa_flow *f)
{
	(void)arg;
	dumped++;
	dumped_wrong += dsaa_mark_owner(f->mark, MASK) != want_owner;
}

static unsigned dump(unsigned owner)
{
	enum dsaa_ct_dump rc;

	dumped = dumped_wrong = 0;
	want_owner = owner;
	CHECK(dsaa_ct_dump_start(ct, (int)owner) == 0);
	while ((rc = dsaa_ct_dump_read(ct, 64, count_dumped, NULL)) == DSAA_CT_DUMP_MORE)
		;
	CHECK(rc == DSAA_CT_DUMP_DONE);
	CHECK(dumped_wrong == 0);
	return dumped;
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* KIND for N connections of SITE in full batches; returns how many had RESULT. */
static unsigned batches(enum dsaa_apply_kind kind, unsigned n, unsigned site,
			enum dsaa_apply_result result)
{
	static struct dsaa_apply ops[DSAA_FLOWS_PER_MSG_MAX];
	unsigned ok = 0;

	for (unsigned i = 0; i < n; i += DSAA_FLOWS_PER_MSG_MAX) {
		unsigned k = 0;

		for (; k < DSAA_FLOWS_PER_MSG_MAX && i + k < n; k++) {
			struct dsaa_flow f = flow4(IPPROTO_TCP, (uint16_t)(1 + (i + k) % 60000),
						   site);

			f.orig.dst[2] = (uint8_t)((i + k) / 60000 + 16 * site);
			plain_reply(&f);
			ops[k].kind = kind;
			ops[k].flow = ops[k].existing = f;
		}
		dsaa_ct_apply(ct, ops, k);
		for (unsigned j = 0; j < k; j++)
			ok += ops[j].result == result;
	}
	return ok;
}

/* More operations than one batch takes, of several kinds: each has its own result. */
static void test_mixed_batches(void)
{
	enum { N = 3 * DSAA_FLOWS_PER_MSG_MAX + 5 };
	static struct dsaa_apply ops[N];
	struct dsaa_ct_counters before = *dsaa_ct_counters(ct);
	unsigned wrong = 0, created = 0;

	for (unsigned i = 0; i < N; i++) {
		ops[i].kind = i % 3 == 0 ? DSAA_APPLY_CREATE : DSAA_APPLY_LOOKUP;
		ops[i].flow = flow4(IPPROTO_UDP, (uint16_t)(10000 + i - i % 3), 5);
		ops[i].flow.orig.dport += i % 3 == 2; /* the third of each is not there */
		plain_reply(&ops[i].flow);
		created += i % 3 == 0;
	}
	dsaa_ct_apply(ct, ops, N);
	for (unsigned i = 0; i < N; i++)
		wrong += ops[i].result != (i % 3 == 0 ? DSAA_APPLIED_OK :
					   i % 3 == 1 ? DSAA_APPLIED_EXISTS :
							DSAA_APPLIED_ABSENT);
	CHECK(wrong == 0);
	CHECK(dsaa_ct_counters(ct)->applied[DSAA_APPLY_CREATE][DSAA_APPLIED_OK] -
		      before.applied[DSAA_APPLY_CREATE][DSAA_APPLIED_OK] ==
	      created);
	CHECK(dump(5) == created);
}

static void test_batches_and_dumps(void)
{
	const unsigned n = 50000;
	double t = seconds();

	CHECK(batches(DSAA_APPLY_CREATE, n, 1, DSAA_APPLIED_OK) == n);
	printf("create: %.0f/s", n / (seconds() - t));
	t = seconds();
	CHECK(batches(DSAA_APPLY_UPDATE, n, 1, DSAA_APPLIED_OK) == n);
	printf(", update: %.0f/s", n / (seconds() - t));
	CHECK(batches(DSAA_APPLY_CREATE, 1000, 2, DSAA_APPLIED_OK) == 1000);
	CHECK(batches(DSAA_APPLY_CREATE, 300, 2, DSAA_APPLIED_EXISTS) == 300);
	t = seconds();
	CHECK(dump(1) == n);
	printf(", dump: %.0f/s\n", n / (seconds() - t));
	CHECK(dump(2) == 1000);
	CHECK(dump(3) == 0);
	/* a dump that is given up half-way does not disturb the next */
	CHECK(dsaa_ct_dump_start(ct, 1) == 0);
	dsaa_ct_dump_read(ct, 10, count_dumped, NULL);
	CHECK(dump(2) == 1000);
}

/*
 * A full table says so, and takes entries again when there is room. The limit
 * is the machine's and cannot be lowered here, so this needs it to be small.
 */
static void test_full_table(void)
{
	enum { TOO_MUCH = 300000, PER_SITE = 60000 };
	struct dsaa_flow f = flow4(IPPROTO_UDP, 7000, 9), other = flow4(IPPROTO_TCP, 1, 15);
	struct dsaa_apply op;
	uint32_t count, max;

	dsaa_ct_table_size(ct, &count, &max);
	if (!max || max > TOO_MUCH || getenv("DSAA_TEST_SHORT")) {
		printf("a full table is not tested: nf_conntrack_max is %u\n", max);
		return;
	}
	/* sites 8 to 14; batches() makes other addresses for each */
	for (unsigned site = 8; site < 15; site++)
		batches(DSAA_APPLY_CREATE, PER_SITE, site, DSAA_APPLIED_OK);
	dsaa_ct_table_size(ct, &count, &max);
	CHECK(count >= max && count < max + 2 * DSAA_FLOWS_PER_MSG_MAX);
	CHECK(one(DSAA_APPLY_CREATE, &f, NULL).result == DSAA_APPLIED_FULL);
	CHECK(dsaa_ct_counters(ct)->applied[DSAA_APPLY_CREATE][DSAA_APPLIED_FULL] > PER_SITE);
	/* what is there can still be read, changed and deleted */
	other.orig.dst[2] = 16 * 8;
	plain_reply(&other);
	op = one(DSAA_APPLY_LOOKUP, &other, NULL);
	CHECK(op.result == DSAA_APPLIED_EXISTS);
	CHECK(one(DSAA_APPLY_UPDATE, &op.existing, &op.existing).result == DSAA_APPLIED_OK);
	CHECK(one(DSAA_APPLY_DELETE, &op.existing, &op.existing).result == DSAA_APPLIED_OK);
	CHECK(one(DSAA_APPLY_CREATE, &f, NULL).result == DSAA_APPLIED_OK);
}

static unsigned events[DSAA_CT_EVENTS];

static void count_event(void *arg, enum dsaa_ct_event kind, const struct dsaa_flow *f)
{
	(void)arg;
	if (f->proto == IPPROTO_UDP && f->orig.dport == 9999)
		events[kind]++;
}

static const struct dsaa_ct_reader counting = { .event = count_event };

/* A real UDP packet over loopback makes an event; our own changes make none. */
static void test_events(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(9999),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct dsaa_flow f = flow4(IPPROTO_UDP, 6000, 1);
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	uint64_t before;

	/* the batches before made more events than the buffer takes: the loss is told */
	while (dsaa_ct_read_events(ct, 100000, &counting) != 0)
		;
	memset(events, 0, sizeof(events));
	before = dsaa_ct_counters(ct)->echoes;
	f.orig.dport = 9999;
	plain_reply(&f);
	one(DSAA_APPLY_CREATE, &f, NULL);
	CHECK(sendto(s, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) == 1);
	CHECK(dsaa_ct_read_events(ct, 1000, &counting) >= 1);
	CHECK(events[DSAA_CT_EVENT_NEW] == 1);
	CHECK(dsaa_ct_counters(ct)->echoes == before + 1);
	CHECK(system("conntrack -D -p udp --dport 9999 -s 127.0.0.1 >/dev/null 2>&1") == 0);
	dsaa_ct_read_events(ct, 1000, &counting);
	CHECK(events[DSAA_CT_EVENT_DESTROY] == 1);
	close(s);
}

/* Deletes F's entry as somebody else: with another handle. */
static void delete_behind_our_back(const struct dsaa_flow *f)
{
	char err[160];
	struct dsaa_ct *other = dsaa_ct_open(MASK, false, err, sizeof(err));
	struct dsaa_apply op = { .kind = DSAA_APPLY_LOOKUP, .flow = *f };

	dsaa_ct_apply(other, &op, 1);
	CHECK(op.result == DSAA_APPLIED_EXISTS);
	op.kind = DSAA_APPLY_DELETE;
	dsaa_ct_apply(other, &op, 1);
	CHECK(op.result == DSAA_APPLIED_OK);
	dsaa_ct_close(other);
}

static void drain_events(void)
{
	while (dsaa_ct_read_events(ct, 1000, &counting) > 0)
		;
}

/*
 * An entry of our own making is known: no look-up says that it is there. Who deleted it is noticed
 * at the latest by the UPDATE, and by its event.
 */
static void test_known_entries(void)
{
	struct dsaa_flow young = flow4(IPPROTO_TCP, 6000, 1), grown, other;
	struct dsaa_apply op;

	young.status = 0;
	young.tcp_state = 1;
	grown = flow4(IPPROTO_TCP, 6000, 1);
	drain_events();
	CHECK(one(DSAA_APPLY_CREATE, &young, NULL).result == DSAA_APPLIED_OK);
	op = one(DSAA_APPLY_CREATE, &grown, NULL);
	CHECK(op.result == DSAA_APPLIED_EXISTS && !op.existing.id); /* the kernel tells an id */
	CHECK(dsaa_mark_owner(op.existing.mark, MASK) == 1);
	CHECK(one(DSAA_APPLY_UPDATE, &grown, &op.existing).result == DSAA_APPLIED_OK);
	op = one(DSAA_APPLY_LOOKUP, &grown, NULL);
	CHECK(op.result == DSAA_APPLIED_EXISTS && same_entry(&grown, &op.existing));
	/* less than is there, another owner, another NAT: the kernel is asked */
	CHECK(one(DSAA_APPLY_CREATE, &young, NULL).existing.id);
	other = flow4(IPPROTO_TCP, 6000, 2);
	CHECK(one(DSAA_APPLY_CREATE, &other, NULL).existing.id);
	other = grown;
	put4(other.reply.dst, "10.201.0.5");
	dsaa_flow_derive_nat(&other);
	CHECK(one(DSAA_APPLY_CREATE, &other, NULL).existing.id);
	/* one that is assured is not remembered: the kernel is asked */
	CHECK(one(DSAA_APPLY_UPDATE, &grown, &grown).result == DSAA_APPLIED_OK);
	CHECK(one(DSAA_APPLY_CREATE, &grown, NULL).existing.id);
	delete_by_lookup(&grown);
	/* its event is not read yet */
	CHECK(one(DSAA_APPLY_CREATE, &young, NULL).result == DSAA_APPLIED_OK);
	delete_behind_our_back(&young);
	op = one(DSAA_APPLY_CREATE, &grown, NULL);
	CHECK(op.result == DSAA_APPLIED_EXISTS);
	CHECK(one(DSAA_APPLY_UPDATE, &grown, &op.existing).result == DSAA_APPLIED_ABSENT);
	CHECK(one(DSAA_APPLY_CREATE, &grown, NULL).result == DSAA_APPLIED_OK);
	delete_by_lookup(&grown);
	/* and now it is */
	CHECK(one(DSAA_APPLY_CREATE, &young, NULL).result == DSAA_APPLIED_OK);
	delete_behind_our_back(&young);
	drain_events();
	CHECK(one(DSAA_APPLY_CREATE, &grown, NULL).result == DSAA_APPLIED_OK);
	delete_by_lookup(&grown);
}

static int sysctl(const char *name)
{
	char path[96], text[16] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/netfilter/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (read(fd, text, sizeof(text) - 1) <= 0)
		text[0] = '\0';
	close(fd);
	return text[0] ? atoi(text) : -1;
}

/* What is known by its key alone, as a DELETE record names it, is absent, and no error. */
static void test_lookup_by_key(void)
{
	static const uint8_t protos[] = { 1, 6, 17, 47, 58, 132 };
	struct dsaa_apply op;

	for (unsigned i = 0; i < sizeof(protos); i++) {
		memset(&op, 0, sizeof(op));
		op.kind = DSAA_APPLY_LOOKUP;
		op.flow.family = protos[i] == 1 ? 4 : 6;
		op.flow.proto = protos[i];
		memset(op.flow.orig.src, 0x20, op.flow.family == 4 ? 4 : 16);
		memset(op.flow.orig.dst, 0x21, op.flow.family == 4 ? 4 : 16);
		op.flow.orig.sport = 77;
		/* echo request, where it is ICMP; a port otherwise */
		op.flow.orig.dport = (protos[i] == 1 ? 8 : 128) << 8;
		dsaa_ct_apply(ct, &op, 1);
		CHECK(op.result == DSAA_APPLIED_ABSENT);
	}
}

/* WORD: NULL for no warning. */
static void warning_is(struct dsaa_ct_limits l, uint64_t needed, enum dsaa_ct_limit kind,
		       const char *word)
{
	char text[160];

	CHECK(dsaa_ct_limits_warning(&l, needed, text, sizeof(text)) == kind);
	CHECK(word ? strstr(text, word) != NULL : !text[0]);
}

/* Each limit that is too small is named, with what would do. */
static void test_limits(void)
{
	const struct dsaa_ct_limits good = {
		.count = 10, .max = 1000, .buckets = 1000, .events = 1, .event_buffer = 64 << 20
	};
	struct dsaa_ct_limits l = good;

	warning_is(good, 700, DSAA_CT_LIMIT_NONE, NULL);
	warning_is(good, 800, DSAA_CT_LIMIT_MAX, "nf_conntrack_max is 1000");
	l.count = 900;
	warning_is(l, 0, DSAA_CT_LIMIT_MAX, "raise it to 1800");
	l = good;
	l.buckets = 200;
	warning_is(l, 401, DSAA_CT_LIMIT_BUCKETS, "nf_conntrack_buckets");
	warning_is(l, 399, DSAA_CT_LIMIT_NONE, NULL);
	l = good;
	l.event_buffer = 212992;
	warning_is(l, 0, DSAA_CT_LIMIT_BUFFER, "208 KiB");
	l = good;
	l.events = 0;
	warning_is(l, 0, DSAA_CT_LIMIT_EVENTS, "nf_conntrack_events was 0");
	/* what is real: the large buffer was given, and events that were switched off are back */
	CHECK(system("echo 0 >/proc/sys/net/netfilter/nf_conntrack_events") == 0);
	dsaa_ct_limits(ct, &l);
	CHECK(l.events == 0 && l.event_buffer >= 32 << 20 && l.max && l.buckets);
	dsaa_ct_limits(ct, &l);
	CHECK(l.events == 1);
}

/* A handle that closes leaves the namespace as it was, but for what others have set since. */
static void test_sysctls(void)
{
	int events = sysctl("nf_conntrack_events"), stamps = sysctl("nf_conntrack_timestamp");
	char text[160];
	struct dsaa_ct *other = dsaa_ct_open(MASK, false, text, sizeof(text));

	CHECK(dsaa_ct_event_fd(other) == -1);
	dsaa_ct_sysctl_setup(other, text, sizeof(text));
	CHECK(!text[0]);
	CHECK(sysctl("nf_conntrack_events") == 1 && sysctl("nf_conntrack_timestamp") == 1);
	dsaa_ct_close(other);
	CHECK(sysctl("nf_conntrack_events") == events);
	CHECK(sysctl("nf_conntrack_timestamp") == stamps);

	other = dsaa_ct_open(MASK, false, text, sizeof(text));
	dsaa_ct_sysctl_setup(other, text, sizeof(text));
	CHECK(system("echo 0 >/proc/sys/net/netfilter/nf_conntrack_events") == 0);
	dsaa_ct_sysctl_restore(other);
	CHECK(sysctl("nf_conntrack_events") == 0);
	CHECK(sysctl("nf_conntrack_timestamp") == stamps);
	dsaa_ct_close(other);
	dsaa_ct_close(NULL);
	dsaa_ct_dump_cancel(NULL);
}

int main(void)
{
	char err[160], warning[160];
	uint32_t count, max;

	if (geteuid() || unshare(CLONE_NEWNET)) {
		printf("skipped: needs root to make a network namespace\n");
		return 77;
	}
	/* a rule that looks at the state makes the namespace track connections */
	if (system("ip link set lo up && nft add table inet t && nft 'add chain inet t c "
		   "{ type filter hook output priority 0; }' && "
		   "nft add rule inet t c ct state new accept")) {
		printf("skipped: ip and nft are needed\n");
		return 77;
	}
	test_sysctls();
	ct = dsaa_ct_open(MASK, true, err, sizeof(err));
	if (!ct) {
		printf("%s\n", err);
		return 1;
	}
	dsaa_ct_sysctl_setup(ct, warning, sizeof(warning));
	CHECK(!warning[0]);
	dsaa_ct_table_size(ct, &count, &max);
	CHECK(max > 0);
	test_lookup_by_key();
	test_limits();
	test_round_trips();
	test_sctp();
	test_zones();
	test_other_protocols();
	test_dccp();
	test_helper();
	test_labels();
	test_master();
	test_directional_zones();
	test_update();
	test_update_of_nat();
	test_nat_is_never_chosen();
	test_expected();
	test_delete_takes_that_very_entry();
	test_reversed_entry_is_found_and_replaced();
	test_find_in_both_directions();
	test_mixed_batches();
	test_batches_and_dumps();
	test_events();
	test_known_entries();
	test_full_table();
	dsaa_ct_sysctl_restore(ct);
	dsaa_ct_close(ct);
	return TEST_END();
}
