/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is our table still there? Operators reload their rules with "flush ruleset",
 * which takes everybody's tables away. And: is there a flowtable, and what has
 * been counted?
 */
#include "rules/dsaa_rules.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/flowtable.h>
#include <libnftnl/rule.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

/* The answer to GETTABLE: the table's handle, and how many chains and sets it has. */
static int one_table(const struct nlmsghdr *nlh, void *arg)
{
	struct nftnl_table *t = nftnl_table_alloc();
	uint64_t *state = arg;

	if (t && nftnl_table_nlmsg_parse(nlh, t) == 0)
		*state = nftnl_table_get_u64(t, NFTNL_TABLE_HANDLE) << 16 ^
			 nftnl_table_get_u32(t, NFTNL_TABLE_USE);
	if (t)
		nftnl_table_free(t);
	return MNL_CB_OK;
}

static int ask(struct mnl_socket *s, uint64_t *state)
{
	char buf[4096];
	struct nftnl_table *t = nftnl_table_alloc();
	struct nlmsghdr *nlh;
	int rc = 1;

	if (!t)
		return -ENOMEM;
	nlh = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETTABLE, NFPROTO_INET, NLM_F_ACK, 1);
	nftnl_table_set_str(t, NFTNL_TABLE_NAME, "dsaa");
	nftnl_table_nlmsg_build_payload(nlh, t);
	nftnl_table_free(t);
	if (mnl_socket_sendto(s, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	while (rc > 0) {
		ssize_t n = mnl_socket_recvfrom(s, buf, sizeof(buf));

		rc = n < 0 ? -1 : mnl_cb_run(buf, n, 1, mnl_socket_get_portid(s), one_table, state);
	}
	return rc < 0 ? -errno : 0;
}

int dsaa_rules_present(uint64_t *state)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	int rc;

	*state = 0;
	if (!s)
		return -errno;
	rc = mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : ask(s, state);
	mnl_socket_close(s);
	return rc == -ENOENT ? 0 : rc < 0 ? rc : 1;
}

/* ------------------------------------------------------------------ flowtables */

struct found {
	char *names;
	size_t len;
	int count;
};

static int one_flowtable(const struct nlmsghdr *nlh, void *arg)
{
	struct nftnl_flowtable *t = nftnl_flowtable_alloc();
	struct found *f = arg;
	size_t used = strlen(f->names);

	if (t && nftnl_flowtable_nlmsg_parse(nlh, t) == 0) {
		snprintf(f->names + used, f->len - used, "%s%s/%s", used ? ", " : "",
			 nftnl_flowtable_get_str(t, NFTNL_FLOWTABLE_TABLE),
			 nftnl_flowtable_get_str(t, NFTNL_FLOWTABLE_NAME));
		f->count++;
	}
	if (t)
		nftnl_flowtable_free(t);
	return MNL_CB_OK;
}

static int list_flowtables(struct mnl_socket *s, struct found *f)
{
	char buf[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETFLOWTABLE, NFPROTO_UNSPEC,
						     NLM_F_DUMP, 1);
	int rc = 1;

	if (mnl_socket_sendto(s, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	while (rc > 0) {
		ssize_t n = mnl_socket_recvfrom(s, buf, sizeof(buf));

		rc = n < 0 ? -1 : mnl_cb_run(buf, n, 1, mnl_socket_get_portid(s), one_flowtable, f);
	}
	return rc < 0 ? -errno : 0;
}

int dsaa_rules_flowtables(char *names, size_t len)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	struct found f = { names, len, 0 };
	int rc;

	names[0] = '\0';
	if (!s)
		return -errno;
	rc = mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : list_flowtables(s, &f);
	mnl_socket_close(s);
	/* a kernel without flowtables does not know the question */
	return rc == 0 || rc == -EOPNOTSUPP || rc == -EINVAL ? f.count : rc;
}

/* ------------------------------------------------------------------ counters */

static int one_expr(struct nftnl_expr *e, void *arg)
{
	uint64_t *packets = arg;

	if (strcmp(nftnl_expr_get_str(e, NFTNL_EXPR_NAME), "counter") == 0)
		*packets += nftnl_expr_get_u64(e, NFTNL_EXPR_CTR_PACKETS);
	return 0;
}

static int one_rule(const struct nlmsghdr *nlh, void *arg)
{
	struct nftnl_rule *r = nftnl_rule_alloc();

	if (r && nftnl_rule_nlmsg_parse(nlh, r) == 0)
		nftnl_expr_foreach(r, one_expr, arg);
	if (r)
		nftnl_rule_free(r);
	return MNL_CB_OK;
}

/* Adds up the counters of CHAIN. */
static int ask_rules(struct mnl_socket *s, const char *chain, uint64_t *packets)
{
	struct nftnl_rule *r = nftnl_rule_alloc();
	char buf[16384];
	struct nlmsghdr *nlh;
	int rc = 1;

	if (!r)
		return -ENOMEM;
	nlh = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETRULE, NFPROTO_INET, NLM_F_DUMP, 1);
	nftnl_rule_set_str(r, NFTNL_RULE_TABLE, "dsaa");
	nftnl_rule_set_str(r, NFTNL_RULE_CHAIN, chain);
	nftnl_rule_nlmsg_build_payload(nlh, r);
	nftnl_rule_free(r);
	if (mnl_socket_sendto(s, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	while (rc > 0) {
		ssize_t n = mnl_socket_recvfrom(s, buf, sizeof(buf));

		rc = n < 0 ? -1 :
			     mnl_cb_run(buf, n, 1, mnl_socket_get_portid(s), one_rule, packets);
	}
	return rc < 0 ? -errno : 0;
}

int dsaa_rules_refused(uint64_t *strangers, uint64_t *malformed)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	int rc;

	*strangers = *malformed = 0;
	if (!s)
		return -errno;
	rc = mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno :
							     ask_rules(s, "tunnel_in", strangers);
	if (rc == 0)
		rc = ask_rules(s, "no_tunnel", malformed);
	mnl_socket_close(s);
	return rc;
}
