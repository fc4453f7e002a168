/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is our table still there, as we made it? Operators reload their rules with
 * "flush ruleset", which takes everybody's tables away; others flush one table
 * or chain. And: is there a flowtable, and what has been counted?
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
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "core/dsaa_lines.h"

enum {
	RECEIVE_LEN = 32768, /* what the kernel fills in one go of a dump */
	/* a dump that others disturb with changes of their own rules begins anew, so many times */
	TRIES_MAX = 8,
};

static const char table[] = DSAA_RULES_TABLE;

/* Sends NLH and runs CB on the answers until the end. 0 or a negative errno. */
static int talk(struct mnl_socket *s, const struct nlmsghdr *nlh, mnl_cb_t cb, void *arg)
{
	char buf[RECEIVE_LEN];
	int rc = 1;

	if (mnl_socket_sendto(s, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	while (rc > 0) {
		ssize_t n = mnl_socket_recvfrom(s, buf, sizeof(buf));

		rc = n < 0 ? -1 :
			     mnl_cb_run(buf, n, nlh->nlmsg_seq, mnl_socket_get_portid(s), cb, arg);
	}
	return rc < 0 ? -errno : 0;
}

/* ------------------------------------------------------------------ the state */

struct state {
	uint64_t digest, elements;
	unsigned rules;
};

static void mix(struct state *state, uint64_t word)
{
	state->digest = dsaa_lines_hash(state->digest, &word, sizeof(word));
}

/* The table itself: how many chains and sets it has, and whether it is dormant (flags). */
static int one_table(const struct nlmsghdr *nlh, void *arg)
{
	struct nftnl_table *t = nftnl_table_alloc();

	if (t && nftnl_table_nlmsg_parse(nlh, t) == 0) {
		mix(arg, nftnl_table_get_u64(t, NFTNL_TABLE_HANDLE));
		mix(arg, nftnl_table_get_u32(t, NFTNL_TABLE_USE));
		mix(arg, nftnl_table_get_u32(t, NFTNL_TABLE_FLAGS));
	}
	if (t)
		nftnl_table_free(t);
	return MNL_CB_OK;
}

static int read_table(struct mnl_socket *s, struct state *state)
{
	struct nftnl_table *t = nftnl_table_alloc();
	struct nlmsghdr *nlh;
	char buf[256];

	if (!t)
		return -ENOMEM;
	nlh = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETTABLE, NFPROTO_INET, NLM_F_ACK, 1);
	nftnl_table_set_str(t, NFTNL_TABLE_NAME, table);
	nftnl_table_nlmsg_build_payload(nlh, t);
	nftnl_table_free(t);
	return talk(s, nlh, one_table, state);
}

/* No two rules of a table ever have the same handle: what they say need not be read. */
static int one_handle(const struct nlmsghdr *nlh, void *arg)
{
	struct state *state = arg;
	const struct nlattr *attr;

	mnl_attr_for_each (attr, nlh, sizeof(struct nfgenmsg))
		if (mnl_attr_get_type(attr) == NFTA_RULE_HANDLE &&
		    mnl_attr_validate(attr, MNL_TYPE_U64) == 0)
			mix(state, mnl_attr_get_u64(attr));
	state->rules++;
	return MNL_CB_OK;
}

/* The rules of all chains, or of CHAIN. */
static int dump_rules(struct mnl_socket *s, const char *chain, mnl_cb_t cb, void *arg)
{
	struct nftnl_rule *r = nftnl_rule_alloc();
	struct nlmsghdr *nlh;
	char buf[256];

	if (!r)
		return -ENOMEM;
	nlh = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETRULE, NFPROTO_INET, NLM_F_DUMP, 2);
	nftnl_rule_set_str(r, NFTNL_RULE_TABLE, table);
	if (chain)
		nftnl_rule_set_str(r, NFTNL_RULE_CHAIN, chain);
	nftnl_rule_nlmsg_build_payload(nlh, r);
	nftnl_rule_free(r);
	return talk(s, nlh, cb, arg);
}

/* They are in no order, so the digest is a sum. */
static int one_element(struct nftnl_set_elem *e, void *arg)
{
	struct state *state = arg;
	uint32_t len = 0;
	const void *key = nftnl_set_elem_get(e, NFTNL_SET_ELEM_KEY, &len);

	if (key)
		state->elements += dsaa_lines_hash(DSAA_LINES_SEED, key, len);
	return 0;
}

static int some_elements(const struct nlmsghdr *nlh, void *arg)
{
	struct nftnl_set *set = nftnl_set_alloc();

	if (set && nftnl_set_elems_nlmsg_parse(nlh, set) == 0)
		nftnl_set_elem_foreach(set, one_element, arg);
	if (set)
		nftnl_set_free(set);
	return MNL_CB_OK;
}

static int read_elements(struct mnl_socket *s, struct state *state)
{
	struct nftnl_set *set = nftnl_set_alloc();
	struct nlmsghdr *nlh;
	char buf[256];
	int rc;

	if (!set)
		return -ENOMEM;
	nlh = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETSETELEM, NFPROTO_INET, NLM_F_DUMP, 3);
	nftnl_set_set_str(set, NFTNL_SET_TABLE, table);
	nftnl_set_set_str(set, NFTNL_SET_NAME, DSAA_RULES_SET);
	nftnl_set_elems_nlmsg_build_payload(nlh, set);
	nftnl_set_free(set);
	rc = talk(s, nlh, some_elements, state);
	mix(state, state->elements);
	return rc == -ENOENT ? 0 : rc; /* the table is not as we made it, which its use says */
}

static int read_state(struct state *state)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	int rc;

	*state = (struct state){ .digest = DSAA_LINES_SEED };
	if (!s)
		return -errno;
	rc = mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : read_table(s, state);
	if (rc == 0)
		rc = dump_rules(s, NULL, one_handle, state);
	if (rc == 0)
		rc = read_elements(s, state);
	mnl_socket_close(s);
	return rc;
}

int dsaa_rules_present(uint64_t *state, unsigned *rules)
{
	struct state seen;
	unsigned tries = 0;
	int rc;

	do {
		rc = read_state(&seen);
	} while (rc == -EINTR && ++tries < TRIES_MAX);
	*state = rc ? 0 : seen.digest;
	*rules = rc ? 0 : seen.rules;
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
	char buf[256];

	return talk(s,
		    nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETFLOWTABLE, NFPROTO_UNSPEC, NLM_F_DUMP, 1),
		    one_flowtable, f);
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

int dsaa_rules_refused(uint64_t *strangers, uint64_t *malformed)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	int rc;

	*strangers = *malformed = 0;
	if (!s)
		return -errno;
	rc = mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 ?
		     -errno :
		     dump_rules(s, "tunnel_in", one_rule, strangers);
	if (rc == 0)
		rc = dump_rules(s, "no_tunnel", one_rule, malformed);
	mnl_socket_close(s);
	return rc;
}
