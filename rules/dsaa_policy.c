/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads the forward policy out of the kernel: all sets, chains and rules are
 * dumped once, then the chains are walked from the forward hook on.
 *
 * A rule is what libnftnl prints of its expressions. Anonymous sets have
 * numbers that tell the order in which they were made, so their content stands
 * for their name.
 */
#include "rules/dsaa_policy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

enum {
	RECEIVE_LEN = 65536, /* what the kernel fills at most */
	TEXT_LEN = 2048,
	LINE_LEN = 512,
};

/* A name in a table: of a chain or a set. */
struct place {
	uint16_t family;
	char *table, *name;
};

struct chain {
	struct place at;
	bool base, reached;
	int32_t prio;
	uint32_t policy;
	unsigned rules;
	uint64_t digest;
};

struct set {
	struct place at;
	bool anonymous, changes; /* its elements come and go by packets or time */
	bool read;
	unsigned elements;
	uint64_t digest;
};

/* What a chain leads to: another chain, or a set (which may lead to chains). */
struct ref {
	size_t chain;
	bool to_set;
	char *name;
};

struct reader {
	struct mnl_socket *s;
	uint32_t seq;
	char *buf; /* RECEIVE_LEN */
	int error;

	struct chain *chain;
	size_t chains;
	struct set *set;
	size_t sets;
	struct ref *ref;
	size_t refs;

	size_t rule_of;		 /* chain of the rule that is read */
	struct set *elements_of; /* set whose elements are read */
};

/* ------------------------------------------------------------------ lists */

/* Room for one more behind the COUNT elements of SIZE bytes at *LIST, zeroed, or NULL. */
static void *grow(struct reader *r, void *list, size_t *count, size_t size)
{
	void **at = list;
	void *more = *at;

	/* doubled at powers of two */
	if (!(*count & (*count - 1)))
		more = realloc(*at, (*count ? 2 * *count : 1) * size);
	if (!more) {
		r->error = -ENOMEM;
		return NULL;
	}
	*at = more;
	memset((char *)more + *count * size, 0, size);
	return (char *)more + (*count)++ * size;
}

static char *copy(struct reader *r, const char *text)
{
	char *new = text ? strdup(text) : NULL;

	if (!new)
		r->error = text ? -ENOMEM : -EPROTO;
	return new;
}

static bool place_set(struct reader *r, struct place *p, uint32_t family, const char *table,
		      const char *name)
{
	p->family = (uint16_t)family;
	p->table = copy(r, table);
	p->name = copy(r, name);
	return p->table && p->name;
}

static bool place_is(const struct place *p, uint32_t family, const char *table, const char *name)
{
	return p->table && p->name && p->family == family && !strcmp(p->table, table) &&
	       !strcmp(p->name, name);
}

static struct chain *find_chain(struct reader *r, uint32_t family, const char *table,
				const char *name)
{
	/* most often the one that was asked for last: rules are told chain by chain */
	if (r->rule_of < r->chains && place_is(&r->chain[r->rule_of].at, family, table, name))
		return &r->chain[r->rule_of];
	for (size_t i = 0; i < r->chains; i++)
		if (place_is(&r->chain[i].at, family, table, name))
			return &r->chain[i];
	return NULL;
}

static struct set *find_set(struct reader *r, uint32_t family, const char *table, const char *name)
{
	for (size_t i = 0; i < r->sets; i++)
		if (place_is(&r->set[i].at, family, table, name))
			return &r->set[i];
	return NULL;
}

static void add_ref(struct reader *r, size_t chain, bool to_set, const char *name)
{
	struct ref *ref = grow(r, &r->ref, &r->refs, sizeof(*ref));

	if (!ref)
		return;
	ref->chain = chain;
	ref->to_set = to_set;
	ref->name = copy(r, name);
}

static void reader_free(struct reader *r)
{
	for (size_t i = 0; i < r->chains; i++) {
		free(r->chain[i].at.table);
		free(r->chain[i].at.name);
	}
	for (size_t i = 0; i < r->sets; i++) {
		free(r->set[i].at.table);
		free(r->set[i].at.name);
	}
	for (size_t i = 0; i < r->refs; i++)
		free(r->ref[i].name);
	free(r->chain);
	free(r->set);
	free(r->ref);
	free(r->buf);
	if (r->s)
		mnl_socket_close(r->s);
}

static int reader_open(struct reader *r)
{
	memset(r, 0, sizeof(*r));
	r->buf = malloc(RECEIVE_LEN);
	if (!r->buf)
		return -ENOMEM;
	r->s = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!r->s || mnl_socket_bind(r->s, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	return 0;
}

/* ------------------------------------------------------------------ asking */

/* Sends the request in r->buf and gives each answer to CB. */
static int ask(struct reader *r, const struct nlmsghdr *request, mnl_cb_t cb)
{
	uint32_t seq = request->nlmsg_seq;
	int rc = 1;

	if (mnl_socket_sendto(r->s, request, request->nlmsg_len) < 0)
		return -errno;
	while (rc > 0) {
		ssize_t n = mnl_socket_recvfrom(r->s, r->buf, RECEIVE_LEN);

		if (n < 0)
			return -errno;
		rc = mnl_cb_run(r->buf, (size_t)n, seq, mnl_socket_get_portid(r->s), cb, r);
	}
	return rc < 0 ? -errno : r->error;
}

static int dump(struct reader *r, uint16_t type, mnl_cb_t cb)
{
	return ask(r, nftnl_nlmsg_build_hdr(r->buf, type, NFPROTO_UNSPEC, NLM_F_DUMP, ++r->seq),
		   cb);
}

/* Families whose forward hook sees routed packets. */
static bool family_forwards(uint32_t family)
{
	return family == NFPROTO_IPV4 || family == NFPROTO_IPV6 || family == NFPROTO_INET;
}

static int one_chain(const struct nlmsghdr *nlh, void *arg)
{
	struct nftnl_chain *c = nftnl_chain_alloc();
	struct reader *r = arg;
	struct chain *chain;
	uint32_t family;

	if (!c || nftnl_chain_nlmsg_parse(nlh, c) < 0)
		goto out;
	family = nftnl_chain_get_u32(c, NFTNL_CHAIN_FAMILY);
	if (!family_forwards(family))
		goto out;
	chain = grow(r, &r->chain, &r->chains, sizeof(*chain));
	if (!chain || !place_set(r, &chain->at, family, nftnl_chain_get_str(c, NFTNL_CHAIN_TABLE),
				 nftnl_chain_get_str(c, NFTNL_CHAIN_NAME)))
		goto out;
	chain->digest = DSAA_LINES_SEED;
	if (!nftnl_chain_is_set(c, NFTNL_CHAIN_HOOKNUM))
		goto out;
	chain->prio = nftnl_chain_get_s32(c, NFTNL_CHAIN_PRIO);
	chain->policy = nftnl_chain_get_u32(c, NFTNL_CHAIN_POLICY);
	chain->base = nftnl_chain_get_u32(c, NFTNL_CHAIN_HOOKNUM) == NF_INET_FORWARD &&
		      !strcmp(nftnl_chain_get_str(c, NFTNL_CHAIN_TYPE), "filter");
out:
	if (c)
		nftnl_chain_free(c);
	return r->error ? MNL_CB_STOP : MNL_CB_OK;
}

static int one_set(const struct nlmsghdr *nlh, void *arg)
{
	struct nftnl_set *s = nftnl_set_alloc();
	struct reader *r = arg;
	uint32_t family, flags;
	struct set *set;

	if (!s || nftnl_set_nlmsg_parse(nlh, s) < 0)
		goto out;
	family = nftnl_set_get_u32(s, NFTNL_SET_FAMILY);
	if (!family_forwards(family))
		goto out;
	set = grow(r, &r->set, &r->sets, sizeof(*set));
	if (!set || !place_set(r, &set->at, family, nftnl_set_get_str(s, NFTNL_SET_TABLE),
			       nftnl_set_get_str(s, NFTNL_SET_NAME)))
		goto out;
	flags = nftnl_set_get_u32(s, NFTNL_SET_FLAGS);
	set->anonymous = flags & NFT_SET_ANONYMOUS;
	set->changes = flags & (NFT_SET_TIMEOUT | NFT_SET_EVAL);
out:
	if (s)
		nftnl_set_free(s);
	return r->error ? MNL_CB_STOP : MNL_CB_OK;
}

/* ------------------------------------------------------------------ rules */

static void digest(struct chain *c, const void *bytes, size_t len)
{
	c->digest = dsaa_lines_hash(c->digest, bytes, len);
}

/* As libnftnl prints it. */
static void digest_text(struct chain *c, struct nftnl_expr *e)
{
	char text[TEXT_LEN];
	int len = nftnl_expr_snprintf(text, sizeof(text), e, NFTNL_OUTPUT_DEFAULT, 0);

	if (len > 0)
		digest(c, text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1);
}

/* Of a match or target of xtables libnftnl prints only the name. */
static void digest_info(struct chain *c, struct nftnl_expr *e, uint16_t attr)
{
	uint32_t len = 0;
	const void *info = nftnl_expr_get(e, attr, &len);

	if (info)
		digest(c, info, len);
}

static void lookup_expr(struct reader *r, struct chain *c, struct nftnl_expr *e)
{
	const char *name = nftnl_expr_get_str(e, NFTNL_EXPR_LOOKUP_SET);
	struct set *set = name ? find_set(r, c->at.family, c->at.table, name) : NULL;
	uint32_t words[3] = { nftnl_expr_get_u32(e, NFTNL_EXPR_LOOKUP_SREG),
			      nftnl_expr_get_u32(e, NFTNL_EXPR_LOOKUP_DREG),
			      nftnl_expr_get_u32(e, NFTNL_EXPR_LOOKUP_FLAGS) };

	digest(c, words, sizeof(words));
	if (!name)
		return;
	if (!set || !set->anonymous)
		digest(c, name, strlen(name));
	add_ref(r, r->rule_of, true, name);
}

static int one_expr(struct nftnl_expr *e, void *arg)
{
	const char *name = nftnl_expr_get_str(e, NFTNL_EXPR_NAME);
	struct reader *r = arg;
	struct chain *c = &r->chain[r->rule_of];
	uint64_t bytes;

	digest(c, name, strlen(name) + 1);
	if (!strcmp(name, "counter") || !strcmp(name, "last"))
		return 0;
	if (!strcmp(name, "quota")) {
		bytes = nftnl_expr_get_u64(e, NFTNL_EXPR_QUOTA_BYTES);
		digest(c, &bytes, sizeof(bytes));
		return 0;
	}
	if (!strcmp(name, "lookup")) {
		lookup_expr(r, c, e);
		return 0;
	}
	digest_text(c, e);
	if (!strcmp(name, "match"))
		digest_info(c, e, NFTNL_EXPR_MT_INFO);
	else if (!strcmp(name, "target"))
		digest_info(c, e, NFTNL_EXPR_TG_INFO);
	else if (!strcmp(name, "immediate") && nftnl_expr_is_set(e, NFTNL_EXPR_IMM_CHAIN))
		add_ref(r, r->rule_of, false, nftnl_expr_get_str(e, NFTNL_EXPR_IMM_CHAIN));
	return 0;
}

static int one_rule(const struct nlmsghdr *nlh, void *arg)
{
	struct nftnl_rule *rule = nftnl_rule_alloc();
	struct reader *r = arg;
	struct chain *c = NULL;

	if (rule && nftnl_rule_nlmsg_parse(nlh, rule) == 0)
		c = find_chain(r, nftnl_rule_get_u32(rule, NFTNL_RULE_FAMILY),
			       nftnl_rule_get_str(rule, NFTNL_RULE_TABLE),
			       nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN));
	if (c) {
		r->rule_of = (size_t)(c - r->chain);
		c->rules++;
		digest(c, "rule", 4);
		nftnl_expr_foreach(rule, one_expr, r);
	}
	if (rule)
		nftnl_rule_free(rule);
	return r->error ? MNL_CB_STOP : MNL_CB_OK;
}

/* ------------------------------------------------------------------ elements of sets */

static uint64_t hash_attr(uint64_t h, struct nftnl_set_elem *e, uint16_t attr)
{
	uint32_t len = 0;
	const void *bytes = nftnl_set_elem_is_set(e, attr) ? nftnl_set_elem_get(e, attr, &len) :
							     NULL;

	h = dsaa_lines_hash(h, &len, sizeof(len));
	return bytes ? dsaa_lines_hash(h, bytes, len) : h;
}

/* The sum does not depend on the order, in which hash tables differ from boot to boot. */
static int one_element(struct nftnl_set_elem *e, void *arg)
{
	static const uint16_t attrs[] = { NFTNL_SET_ELEM_KEY,	  NFTNL_SET_ELEM_KEY_END,
					  NFTNL_SET_ELEM_FLAGS,	  NFTNL_SET_ELEM_DATA,
					  NFTNL_SET_ELEM_VERDICT, NFTNL_SET_ELEM_OBJREF };
	struct reader *r = arg;
	struct set *s = r->elements_of;
	const char *to = NULL;
	uint64_t h = DSAA_LINES_SEED;

	for (size_t i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++)
		h = hash_attr(h, e, attrs[i]);
	if (nftnl_set_elem_is_set(e, NFTNL_SET_ELEM_CHAIN))
		to = nftnl_set_elem_get_str(e, NFTNL_SET_ELEM_CHAIN);
	if (to) {
		h = dsaa_lines_hash(h, to, strlen(to));
		add_ref(r, r->rule_of, false, to);
	}
	s->elements++;
	s->digest += h;
	return 0;
}

static int one_part(const struct nlmsghdr *nlh, void *arg)
{
	struct nftnl_set *s = nftnl_set_alloc();
	struct reader *r = arg;

	if (s && nftnl_set_elems_nlmsg_parse(nlh, s) == 0)
		nftnl_set_elem_foreach(s, one_element, r);
	if (s)
		nftnl_set_free(s);
	return r->error ? MNL_CB_STOP : MNL_CB_OK;
}

/* Reads the elements of SET, which chain FROM looks into; chains that they name become its refs. */
static int read_set(struct reader *r, struct set *set, size_t from)
{
	struct nftnl_set *s = nftnl_set_alloc();
	struct nlmsghdr *nlh;

	if (!s)
		return -ENOMEM;
	nlh = nftnl_nlmsg_build_hdr(r->buf, NFT_MSG_GETSETELEM, set->at.family, NLM_F_DUMP,
				    ++r->seq);
	nftnl_set_set_str(s, NFTNL_SET_TABLE, set->at.table);
	nftnl_set_set_str(s, NFTNL_SET_NAME, set->at.name);
	nftnl_set_elems_nlmsg_build_payload(nlh, s);
	nftnl_set_free(s);
	set->read = true;
	r->elements_of = set;
	r->rule_of = from;
	return ask(r, nlh, one_part);
}

/* ------------------------------------------------------------------ the walk */

static int follow(struct reader *r, const struct ref *ref)
{
	struct chain *from = &r->chain[ref->chain], *to;
	struct set *set;
	int rc = 0;

	if (!ref->to_set) {
		to = find_chain(r, from->at.family, from->at.table, ref->name);
		if (to)
			to->reached = true;
		return 0;
	}
	set = find_set(r, from->at.family, from->at.table, ref->name);
	if (!set || set->changes)
		return 0;
	if (!set->read)
		rc = read_set(r, set, ref->chain);
	if (set->anonymous)
		digest(&r->chain[ref->chain], &set->digest, sizeof(set->digest));
	return rc;
}

/* Follows every reference of a chain that is reached, once each, until nothing new is. */
static int walk(struct reader *r)
{
	bool *done = NULL;
	bool again = true;
	size_t room = 0;
	int rc = 0;

	while (again && rc == 0) {
		again = false;
		for (size_t i = 0; i < r->refs && rc == 0; i++) {
			struct ref ref = r->ref[i];

			if (i >= room) {
				bool *more = realloc(done, r->refs * sizeof(*done));

				if (!more) {
					rc = -ENOMEM;
					break;
				}
				done = more;
				memset(done + room, 0, (r->refs - room) * sizeof(*done));
				room = r->refs;
			}
			if (done[i] || !r->chain[ref.chain].reached)
				continue;
			done[i] = again = true;
			rc = follow(r, &ref);
		}
	}
	free(done);
	return rc;
}

/* ------------------------------------------------------------------ lines */

static const char *family_name(unsigned family)
{
	return family == NFPROTO_IPV4 ? "ip" : family == NFPROTO_IPV6 ? "ip6" : "inet";
}

static int order(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void chain_line(char *line, const struct chain *c)
{
	int n = snprintf(line, LINE_LEN, "%s %s chain %s", family_name(c->at.family), c->at.table,
			 c->at.name);

	if (n < 0 || n >= LINE_LEN)
		return;
	if (c->base)
		n += snprintf(line + n, (size_t)(LINE_LEN - n),
			      " (priority %" PRId32 ", policy %s)", c->prio,
			      c->policy == NF_DROP ? "drop" : "accept");
	if (n < LINE_LEN)
		snprintf(line + n, (size_t)(LINE_LEN - n), ": %u rule%s, %016" PRIx64, c->rules,
			 c->rules == 1 ? "" : "s", c->digest);
}

static void set_line(char *line, const struct set *s)
{
	snprintf(line, LINE_LEN, "%s %s set %s: %u element%s, %016" PRIx64,
		 family_name(s->at.family), s->at.table, s->at.name, s->elements,
		 s->elements == 1 ? "" : "s", s->digest);
}

/* What was reached, as sorted lines: kernels list tables in the order in which they were made. */
static int write_lines(struct reader *r, struct dsaa_lines *l)
{
	size_t most = r->chains + r->sets, n = 0;
	char *text = malloc(most * LINE_LEN + 1), **line = malloc((most + 1) * sizeof(*line));

	if (text && line) {
		for (size_t i = 0; i < r->chains; i++)
			if (r->chain[i].reached)
				chain_line(line[n] = text + n * LINE_LEN, &r->chain[i]), n++;
		for (size_t i = 0; i < r->sets; i++)
			if (r->set[i].read && !r->set[i].anonymous)
				set_line(line[n] = text + n * LINE_LEN, &r->set[i]), n++;
		qsort(line, n, sizeof(*line), order);
		dsaa_lines_begin(l);
		for (size_t i = 0; i < n; i++)
			dsaa_lines_add(l, line[i], strlen(line[i]));
	}
	free(text);
	free(line);
	return text && line ? 0 : -ENOMEM;
}

static int read_all(struct reader *r)
{
	int rc = dump(r, NFT_MSG_GETCHAIN, one_chain);

	if (rc == 0)
		rc = dump(r, NFT_MSG_GETSET, one_set);
	if (rc == 0)
		rc = dump(r, NFT_MSG_GETRULE, one_rule);
	if (rc)
		return rc;
	for (size_t i = 0; i < r->chains; i++)
		r->chain[i].reached = r->chain[i].base;
	return walk(r);
}

int dsaa_policy_read(struct dsaa_lines *l)
{
	struct reader r;
	int rc = reader_open(&r);

	if (rc == 0)
		rc = read_all(&r);
	if (rc == 0)
		rc = write_lines(&r, l);
	reader_free(&r);
	return rc;
}

/* ------------------------------------------------------------------ generation */

static int one_generation(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *attr;
	struct reader *r = arg;

	mnl_attr_for_each (attr, nlh, sizeof(struct nfgenmsg))
		if (mnl_attr_get_type(attr) == NFTA_GEN_ID &&
		    mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
			r->refs = ntohl(mnl_attr_get_u32(attr));
	return MNL_CB_OK;
}

int dsaa_policy_generation(uint32_t *generation)
{
	struct reader r;
	int rc = reader_open(&r);

	if (rc == 0)
		rc = ask(&r,
			 nftnl_nlmsg_build_hdr(r.buf, NFT_MSG_GETGEN, NFPROTO_UNSPEC, NLM_F_ACK,
					       ++r.seq),
			 one_generation);
	*generation = (uint32_t)r.refs;
	r.refs = 0;
	reader_free(&r);
	return rc;
}
