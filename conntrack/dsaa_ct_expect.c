/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Expectations: events, a dump, and changes (NFNL_SUBSYS_CTNETLINK_EXP).
 *
 * The kernel takes an expectation only for a master that is in its table and
 * has a helper. It gives a new one the helper's own timeout whatever is asked;
 * only a second message changes it. Attribute meanings:
 * nf_conntrack_netlink.c, ctnetlink_exp_*.
 */
#include "conntrack/dsaa_conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "conntrack/dsaa_ct_flow.h"
#include "conntrack/dsaa_ct_private.h"

static struct nlmsghdr *message(struct dsaa_ct *ct, void *buf, uint16_t type, uint16_t flags,
				uint8_t family)
{
	struct nlmsghdr *nlh = dsaa_ct_message(ct, buf, type, flags, family);

	nlh->nlmsg_type = (NFNL_SUBSYS_CTNETLINK_EXP << 8) | type;
	return nlh;
}

/* ------------------------------------------------------------------ reading */

static uint32_t get_be32(const struct nlattr *a)
{
	return mnl_attr_get_payload_len(a) == 4 ? ntohl(mnl_attr_get_u32(a)) : 0;
}

static void get_name(const struct nlattr *a, char *name, size_t size)
{
	size_t len = strnlen(mnl_attr_get_payload(a), mnl_attr_get_payload_len(a));

	if (len < size)
		memcpy(name, mnl_attr_get_payload(a), len);
}

static void parse_nat(const struct nlattr *nest, struct dsaa_expect *x)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested (a, nest) {
		switch (mnl_attr_get_type(a)) {
		case CTA_EXPECT_NAT_DIR:
			x->nat_dir = get_be32(a);
			break;
		case CTA_EXPECT_NAT_TUPLE:
			dsaa_ct_flow_parse_tuple(a, &x->nat, &x->nat_proto);
			x->has_nat = true;
			break;
		}
	}
}

static void parse_attr(const struct nlattr *a, struct dsaa_expect *x)
{
	uint8_t ignored;

	switch (mnl_attr_get_type(a)) {
	case CTA_EXPECT_TUPLE:
		dsaa_ct_flow_parse_tuple(a, &x->tuple, &x->proto);
		break;
	case CTA_EXPECT_MASK:
		dsaa_ct_flow_parse_tuple(a, &x->mask, &ignored);
		break;
	case CTA_EXPECT_MASTER:
		dsaa_ct_flow_parse_tuple(a, &x->master, &x->master_proto);
		break;
	case CTA_EXPECT_TIMEOUT:
		x->timeout_s = get_be32(a);
		break;
	case CTA_EXPECT_FLAGS:
		/* one that user space made is an ordinary one elsewhere */
		x->flags = get_be32(a) & ~(uint32_t)NF_CT_EXPECT_USERSPACE;
		break;
	case CTA_EXPECT_CLASS:
		x->class = get_be32(a);
		break;
	case CTA_EXPECT_ZONE:
		if (mnl_attr_get_payload_len(a) == 2)
			x->zone = ntohs(mnl_attr_get_u16(a));
		break;
	case CTA_EXPECT_HELP_NAME:
		get_name(a, x->helper, sizeof(x->helper));
		break;
	case CTA_EXPECT_FN:
		get_name(a, x->fn, sizeof(x->fn));
		break;
	case CTA_EXPECT_NAT:
		parse_nat(a, x);
		break;
	}
}

bool dsaa_ct_expect_parse(const struct nlmsghdr *nlh, struct dsaa_expect *x)
{
	const struct nfgenmsg *g = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *a;

	memset(x, 0, sizeof(*x));
	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*g) || nlh->nlmsg_len % MNL_ALIGNTO)
		return false;
	x->family = g->nfgen_family == AF_INET ? 4 : g->nfgen_family == AF_INET6 ? 6 : 0;
	mnl_attr_for_each (a, nlh, sizeof(*g))
		parse_attr(a, x);
	return !dsaa_expect_invalid(x, true);
}

/* The master of X as it is in the table: DSAA_APPLIED_EXISTS and what stands there. */
static enum dsaa_apply_result find_master(struct dsaa_ct *ct, const struct dsaa_expect *x,
					  struct dsaa_flow *master)
{
	static struct dsaa_apply op; /* large; one thread a handle, and no handle keeps it */

	memset(&op, 0, sizeof(op));
	op.kind = DSAA_APPLY_LOOKUP;
	op.flow = dsaa_expect_master(x);
	dsaa_ct_get(ct, &op, 1);
	*master = op.existing;
	return op.result;
}

static void tell(struct dsaa_ct *ct, const struct nlmsghdr *nlh, dsaa_ct_expect_cb *cb, void *arg)
{
	bool gone = (nlh->nlmsg_type & 0xff) == IPCTNL_MSG_EXP_DELETE;
	struct dsaa_flow master;
	struct dsaa_expect x;

	if ((nlh->nlmsg_type >> 8) != NFNL_SUBSYS_CTNETLINK_EXP ||
	    (nlh->nlmsg_pid && nlh->nlmsg_pid == ct->command_portid))
		return;
	if (!dsaa_ct_expect_parse(nlh, &x)) {
		ct->counters.unreadable++;
		return;
	}
	ct->counters.expects++;
	if (gone)
		cb(arg, true, &x, NULL);
	else if (find_master(ct, &x, &master) == DSAA_APPLIED_EXISTS)
		cb(arg, false, &x, &master);
}

int dsaa_ct_expect_fd(const struct dsaa_ct *ct)
{
	return ct->expects ? mnl_socket_get_fd(ct->expects) : -1;
}

int dsaa_ct_read_expects(struct dsaa_ct *ct, unsigned max, dsaa_ct_expect_cb *cb, void *arg)
{
	_Alignas(8) char buf[4096];

	for (unsigned n = 0; n < max; n++) {
		struct nlmsghdr *nlh = (struct nlmsghdr *)buf;
		struct sockaddr_nl from = { 0 };
		socklen_t from_len = sizeof(from);
		ssize_t got = recvfrom(mnl_socket_get_fd(ct->expects), buf, sizeof(buf),
				       MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);

		if (got < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		if (from.nl_pid || !mnl_nlmsg_ok(nlh, (int)got))
			ct->counters.unreadable++;
		else
			tell(ct, nlh, cb, arg);
	}
	return 0;
}

int dsaa_ct_dump_expects(struct dsaa_ct *ct, dsaa_ct_expect_cb *cb, void *arg)
{
	/* a socket of its own: the masters are looked up between its messages */
	struct mnl_socket *s = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	_Alignas(8) char buf[32768];
	struct nlmsghdr *nlh = message(ct, buf, IPCTNL_MSG_EXP_GET, NLM_F_DUMP, 0);
	uint32_t seq = nlh->nlmsg_seq;
	int rc = -EIO;

	if (s && mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) >= 0 &&
	    mnl_socket_sendto(s, nlh, nlh->nlmsg_len) >= 0)
		rc = 1;
	while (rc > 0) {
		/* the kernel has answered, or goes on with the next read: nothing to wait for */
		ssize_t got = recv(mnl_socket_get_fd(s), buf, sizeof(buf), MSG_DONTWAIT);
		int len = (int)got;

		if (got < 0) {
			rc = errno == EINTR ? 1 : -errno;
			continue;
		}
		for (nlh = (struct nlmsghdr *)buf; mnl_nlmsg_ok(nlh, len);
		     nlh = mnl_nlmsg_next(nlh, &len)) {
			if (nlh->nlmsg_seq != seq)
				continue;
			if (nlh->nlmsg_type == NLMSG_DONE || nlh->nlmsg_type == NLMSG_ERROR)
				rc = 0;
			else
				tell(ct, nlh, cb, arg);
		}
	}
	if (s)
		mnl_socket_close(s);
	return rc;
}

/* ------------------------------------------------------------------ changing */

static void put_key(struct nlmsghdr *nlh, const struct dsaa_expect *x)
{
	dsaa_ct_flow_put_tuple(nlh, CTA_EXPECT_TUPLE, x->family, x->proto, &x->tuple);
	if (x->zone)
		mnl_attr_put_u16(nlh, CTA_EXPECT_ZONE, htons(x->zone));
}

static void put_details(struct nlmsghdr *nlh, const struct dsaa_expect *x)
{
	struct nlattr *nest;

	dsaa_ct_flow_put_tuple(nlh, CTA_EXPECT_MASK, x->family, x->proto, &x->mask);
	dsaa_ct_flow_put_tuple(nlh, CTA_EXPECT_MASTER, x->family, x->master_proto, &x->master);
	mnl_attr_put_u32(nlh, CTA_EXPECT_TIMEOUT, htonl(x->timeout_s));
	mnl_attr_put_u32(nlh, CTA_EXPECT_FLAGS, htonl(x->flags));
	mnl_attr_put_u32(nlh, CTA_EXPECT_CLASS, htonl(x->class));
	if (x->helper[0])
		mnl_attr_put_strz(nlh, CTA_EXPECT_HELP_NAME, x->helper);
	if (x->fn[0])
		mnl_attr_put_strz(nlh, CTA_EXPECT_FN, x->fn);
	if (!x->has_nat)
		return;
	nest = mnl_attr_nest_start(nlh, CTA_EXPECT_NAT);
	mnl_attr_put_u32(nlh, CTA_EXPECT_NAT_DIR, htonl(x->nat_dir));
	dsaa_ct_flow_put_tuple(nlh, CTA_EXPECT_NAT_TUPLE, x->family, x->nat_proto, &x->nat);
	mnl_attr_nest_end(nlh, nest);
}

/* Sends NLH and returns what the kernel says: 0 or an errno. */
static int ask(struct dsaa_ct *ct, struct nlmsghdr *nlh)
{
	uint32_t seq = nlh->nlmsg_seq;

	if (mnl_socket_sendto(ct->commands, nlh, nlh->nlmsg_len) < 0)
		return errno;
	for (;;) {
		ssize_t got = recv(mnl_socket_get_fd(ct->commands), ct->read_buf,
				   sizeof(ct->read_buf), MSG_DONTWAIT);
		int len = (int)got;

		if (got < 0 && errno != EINTR)
			return errno;
		for (nlh = (struct nlmsghdr *)ct->read_buf; got > 0 && mnl_nlmsg_ok(nlh, len);
		     nlh = mnl_nlmsg_next(nlh, &len)) {
			const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);

			if (nlh->nlmsg_seq == seq && nlh->nlmsg_type == NLMSG_ERROR &&
			    mnl_nlmsg_get_payload_len(nlh) >= sizeof(*err))
				return -err->error;
		}
	}
}

static int add(struct dsaa_ct *ct, const struct dsaa_expect *x)
{
	struct nlmsghdr *nlh = message(ct, ct->batch, IPCTNL_MSG_EXP_NEW, NLM_F_CREATE | NLM_F_ACK,
				       x->family);
	int error;

	put_key(nlh, x);
	put_details(nlh, x);
	error = ask(ct, nlh);
	if (error)
		return error;
	/* it is there now, so the same again is a change of its timeout */
	nlh = message(ct, ct->batch, IPCTNL_MSG_EXP_NEW, NLM_F_ACK, x->family);
	put_key(nlh, x);
	put_details(nlh, x);
	return ask(ct, nlh);
}

static int take_away(struct dsaa_ct *ct, const struct dsaa_expect *x)
{
	struct nlmsghdr *nlh = message(ct, ct->batch, IPCTNL_MSG_EXP_DELETE, NLM_F_ACK, x->family);
	int error;

	put_key(nlh, x);
	error = ask(ct, nlh);
	return error == ENOENT ? 0 : error;
}

static void apply_one(struct dsaa_ct *ct, struct dsaa_expect_op *op)
{
	struct dsaa_flow master;

	op->not_owner = false;
	if (!op->add) {
		op->error = take_away(ct, &op->x);
		return;
	}
	if (find_master(ct, &op->x, &master) != DSAA_APPLIED_EXISTS) {
		op->error = ENOENT;
		return;
	}
	op->not_owner = dsaa_mark_owner(master.mark, ct->mark_mask) != op->site;
	op->error = op->not_owner ? EPERM : add(ct, &op->x);
}

void dsaa_ct_expect_apply(struct dsaa_ct *ct, struct dsaa_expect_op *ops, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		apply_one(ct, &ops[i]);
}
