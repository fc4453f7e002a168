/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nf_tables transactions with libnftnl. All messages stand one after the other
 * in one buffer, because the kernel takes a transaction only as one send. The
 * number of a message (its netlink sequence) tells which feature it needed, so
 * that an error can be laid at the right door.
 */
#include "rules/dsaa_nft.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <libnftnl/batch.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/x_tables.h>
#include <linux/netfilter/xt_NFQUEUE.h>

enum {
	/* no message is longer: the largest are a rule (under 1 KiB) and 64 set elements */
	MESSAGE_MAX = 8192,
	BUFFER_STEP = 1 << 16,
	MESSAGES_MAX = 4096,
	DEVICES_MAX = 16,
	/* numbers of the nft tool (datatype, byte order), only for its listing */
	NFT_TYPE_IFNAME = 41,
	NFT_HOST_ENDIAN = 1,
	IFNAME_LEN = 16,
};

static void fail(struct dsaa_nft *t, int error)
{
	if (!t->error)
		t->error = error;
}

void dsaa_nft_begin(struct dsaa_nft *t, const char *table)
{
	memset(t, 0, sizeof(*t));
	t->table = table;
	t->feature = calloc(MESSAGES_MAX, sizeof(*t->feature));
	if (!t->feature)
		fail(t, -ENOMEM);
}

void dsaa_nft_end(struct dsaa_nft *t)
{
	if (t->rule)
		nftnl_rule_free(t->rule);
	free(t->buf);
	free(t->feature);
	memset(t, 0, sizeof(*t));
}

/* Where the next message is written; NULL after an error. */
static void *message_room(struct dsaa_nft *t)
{
	uint8_t *buf;

	if (t->error)
		return NULL;
	if (t->messages == MESSAGES_MAX) {
		fail(t, -E2BIG);
		return NULL;
	}
	if (t->cap - t->len < MESSAGE_MAX) {
		buf = realloc(t->buf, t->cap + BUFFER_STEP);
		if (!buf) {
			fail(t, -ENOMEM);
			return NULL;
		}
		t->buf = buf;
		t->cap += BUFFER_STEP;
	}
	return t->buf + t->len;
}

static struct nlmsghdr *message_begin(struct dsaa_nft *t, uint16_t type, uint16_t flags)
{
	void *room;

	/* the first message of a transaction stands before all others */
	if (t->messages == 0 && !t->error) {
		room = message_room(t);
		if (!room)
			return NULL;
		t->len += nftnl_batch_begin(room, t->messages++)->nlmsg_len;
	}
	room = message_room(t);
	if (!room)
		return NULL;
	return nftnl_nlmsg_build_hdr(room, type, NFPROTO_INET, flags, t->messages);
}

static void message_end(struct dsaa_nft *t, const struct nlmsghdr *msg,
			enum dsaa_nft_feature feature)
{
	t->feature[t->messages++] = feature;
	t->len += NLMSG_ALIGN(msg->nlmsg_len);
}

/* ------------------------------------------------------------------ objects */

static void table_message(struct dsaa_nft *t, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *msg = message_begin(t, type, flags);
	struct nftnl_table *table;

	if (!msg)
		return;
	table = nftnl_table_alloc();
	if (!table) {
		fail(t, -ENOMEM);
		return;
	}
	nftnl_table_set_u32(table, NFTNL_TABLE_FAMILY, NFPROTO_INET);
	nftnl_table_set_str(table, NFTNL_TABLE_NAME, t->table);
	nftnl_table_nlmsg_build_payload(msg, table);
	nftnl_table_free(table);
	message_end(t, msg, DSAA_NFT_BASIC);
}

void dsaa_nft_table_replace(struct dsaa_nft *t)
{
	/* made first, so that there always is one to delete */
	table_message(t, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_ACK);
	table_message(t, NFT_MSG_DELTABLE, 0);
	table_message(t, NFT_MSG_NEWTABLE, NLM_F_CREATE);
}

void dsaa_nft_table_refill(struct dsaa_nft *t)
{
	t->refill = true;
}

void dsaa_nft_table_delete(struct dsaa_nft *t)
{
	table_message(t, NFT_MSG_DELTABLE, NLM_F_ACK);
}

static void chain_message(struct dsaa_nft *t, struct nftnl_chain *chain, const char *name,
			  enum dsaa_nft_feature feature)
{
	struct nlmsghdr *msg = message_begin(t, NFT_MSG_NEWCHAIN, NLM_F_CREATE);

	if (!msg)
		return;
	nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, t->table);
	nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, name);
	nftnl_chain_nlmsg_build_payload(msg, chain);
	message_end(t, msg, feature);
}

/* Takes all its rules out of a chain that is there: a deletion without a handle. */
static void flush_chain(struct dsaa_nft *t, const char *name)
{
	struct nftnl_rule *any = nftnl_rule_alloc();
	struct nlmsghdr *msg;

	if (!any) {
		fail(t, -ENOMEM);
		return;
	}
	msg = message_begin(t, NFT_MSG_DELRULE, NLM_F_ACK);
	if (msg) {
		nftnl_rule_set_u32(any, NFTNL_RULE_FAMILY, NFPROTO_INET);
		nftnl_rule_set_str(any, NFTNL_RULE_TABLE, t->table);
		nftnl_rule_set_str(any, NFTNL_RULE_CHAIN, name);
		nftnl_rule_nlmsg_build_payload(msg, any);
		message_end(t, msg, DSAA_NFT_BASIC);
	}
	nftnl_rule_free(any);
}

void dsaa_nft_chain(struct dsaa_nft *t, const char *name)
{
	struct nftnl_chain *chain;

	if (t->refill) {
		flush_chain(t, name);
		return;
	}
	chain = nftnl_chain_alloc();
	if (!chain) {
		fail(t, -ENOMEM);
		return;
	}
	chain_message(t, chain, name, DSAA_NFT_BASIC);
	nftnl_chain_free(chain);
}

/* DEVICES: NULL when the hook belongs to none. */
static void hooked_chain(struct dsaa_nft *t, const char *name, uint32_t hook, int32_t prio,
			 const char **devices)
{
	struct nftnl_chain *chain;

	if (t->refill) {
		flush_chain(t, name);
		return;
	}
	chain = nftnl_chain_alloc();
	if (!chain) {
		fail(t, -ENOMEM);
		return;
	}
	nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, "filter");
	nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, hook);
	nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, prio);
	nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, NF_ACCEPT);
	if (devices)
		nftnl_chain_set_array(chain, NFTNL_CHAIN_DEVICES, devices);
	chain_message(t, chain, name, devices ? DSAA_NFT_INGRESS : DSAA_NFT_BASIC);
	nftnl_chain_free(chain);
}

void dsaa_nft_base_chain(struct dsaa_nft *t, const char *name, uint32_t hook, int32_t prio)
{
	hooked_chain(t, name, hook, prio, NULL);
}

void dsaa_nft_ingress_chain(struct dsaa_nft *t, const char *name, const char (*devices)[16],
			    unsigned count, int32_t prio)
{
	const char *list[DEVICES_MAX + 1] = { NULL };
	unsigned i;

	if (count > DEVICES_MAX) {
		fail(t, -E2BIG);
		return;
	}
	for (i = 0; i < count; i++)
		list[i] = devices[i];
	hooked_chain(t, name, NF_INET_INGRESS, prio, list);
}

/* Without it the nft tool shows the names as empty strings. */
static void set_byteorder(struct nftnl_set *set)
{
	struct nftnl_udata_buf *u = nftnl_udata_buf_alloc(64);

	if (!u)
		return;
	if (nftnl_udata_put_u32(u, NFTNL_UDATA_SET_KEYBYTEORDER, NFT_HOST_ENDIAN))
		nftnl_set_set_data(set, NFTNL_SET_USERDATA, nftnl_udata_buf_data(u),
				   nftnl_udata_buf_len(u));
	nftnl_udata_buf_free(u);
}

static bool set_add(struct nftnl_set *set, const char *key, uint32_t len)
{
	struct nftnl_set_elem *elem = nftnl_set_elem_alloc();

	if (!elem)
		return false;
	nftnl_set_elem_set(elem, NFTNL_SET_ELEM_KEY, key, len);
	nftnl_set_elem_add(set, elem); /* owned by the set now */
	return true;
}

void dsaa_nft_set_ifnames(struct dsaa_nft *t, const char *name, const char (*names)[16],
			  unsigned count)
{
	struct nftnl_set *set;
	struct nlmsghdr *msg;
	unsigned i;

	if (t->refill)
		return;
	set = nftnl_set_alloc();
	if (!set) {
		fail(t, -ENOMEM);
		return;
	}
	nftnl_set_set_str(set, NFTNL_SET_TABLE, t->table);
	nftnl_set_set_str(set, NFTNL_SET_NAME, name);
	nftnl_set_set_u32(set, NFTNL_SET_FAMILY, NFPROTO_INET);
	nftnl_set_set_u32(set, NFTNL_SET_ID, ++t->sets);
	nftnl_set_set_u32(set, NFTNL_SET_KEY_TYPE, NFT_TYPE_IFNAME);
	nftnl_set_set_u32(set, NFTNL_SET_KEY_LEN, IFNAME_LEN);
	set_byteorder(set);
	msg = message_begin(t, NFT_MSG_NEWSET, NLM_F_CREATE);
	if (msg) {
		nftnl_set_nlmsg_build_payload(msg, set);
		message_end(t, msg, DSAA_NFT_BASIC);
	}
	for (i = 0; i < count; i++)
		if (!set_add(set, names[i], IFNAME_LEN))
			fail(t, -ENOMEM);
	msg = count ? message_begin(t, NFT_MSG_NEWSETELEM, NLM_F_CREATE) : NULL;
	if (msg) {
		nftnl_set_elems_nlmsg_build_payload(msg, set);
		message_end(t, msg, DSAA_NFT_BASIC);
	}
	nftnl_set_free(set);
}

/* ------------------------------------------------------------------ rules */

void dsaa_nft_rule(struct dsaa_nft *t, const char *chain)
{
	if (t->error)
		return;
	t->rule_feature = DSAA_NFT_BASIC;
	t->rule = nftnl_rule_alloc();
	if (!t->rule) {
		fail(t, -ENOMEM);
		return;
	}
	nftnl_rule_set_u32(t->rule, NFTNL_RULE_FAMILY, NFPROTO_INET);
	nftnl_rule_set_str(t->rule, NFTNL_RULE_TABLE, t->table);
	nftnl_rule_set_str(t->rule, NFTNL_RULE_CHAIN, chain);
}

void dsaa_nft_rule_end(struct dsaa_nft *t)
{
	struct nlmsghdr *msg = message_begin(t, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);

	if (msg) {
		nftnl_rule_nlmsg_build_payload(msg, t->rule);
		message_end(t, msg, t->rule_feature);
		t->rules++;
	}
	if (t->rule)
		nftnl_rule_free(t->rule);
	t->rule = NULL;
}

/* A new expression at the end of the rule, which owns it; NULL after an error. */
static struct nftnl_expr *expr(struct dsaa_nft *t, const char *name)
{
	struct nftnl_expr *e;

	if (t->error || !t->rule)
		return NULL;
	e = nftnl_expr_alloc(name);
	if (!e) {
		fail(t, -ENOMEM);
		return NULL;
	}
	nftnl_rule_add_expr(t->rule, e);
	return e;
}

void dsaa_nft_meta(struct dsaa_nft *t, uint32_t key)
{
	struct nftnl_expr *e = expr(t, "meta");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_DREG, NFT_REG_1);
}

void dsaa_nft_ct(struct dsaa_nft *t, uint32_t key)
{
	struct nftnl_expr *e = expr(t, "ct");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_KEY, key);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_DREG, NFT_REG_1);
}

void dsaa_nft_payload(struct dsaa_nft *t, uint32_t base, uint32_t offset, uint32_t len)
{
	struct nftnl_expr *e = expr(t, "payload");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, len);
}

static void bitwise(struct dsaa_nft *t, const void *mask, const void * xor, uint32_t len)
{
	struct nftnl_expr *e = expr(t, "bitwise");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_LEN, len);
	nftnl_expr_set(e, NFTNL_EXPR_BITWISE_MASK, mask, len);
	nftnl_expr_set(e, NFTNL_EXPR_BITWISE_XOR, xor, len);
}

void dsaa_nft_and(struct dsaa_nft *t, const void *mask, uint32_t len)
{
	static const uint8_t zero[16];

	bitwise(t, mask, zero, len);
}

static void compare(struct dsaa_nft *t, uint32_t op, const void *data, uint32_t len)
{
	struct nftnl_expr *e = expr(t, "cmp");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, op);
	nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, data, len);
}

void dsaa_nft_is(struct dsaa_nft *t, const void *data, uint32_t len)
{
	compare(t, NFT_CMP_EQ, data, len);
}

void dsaa_nft_is_not(struct dsaa_nft *t, const void *data, uint32_t len)
{
	compare(t, NFT_CMP_NEQ, data, len);
}

void dsaa_nft_is_below(struct dsaa_nft *t, const void *data, uint32_t len)
{
	compare(t, NFT_CMP_LT, data, len);
}

void dsaa_nft_not_in(struct dsaa_nft *t, const char *name)
{
	struct nftnl_expr *e = expr(t, "lookup");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
	nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, name);
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SET_ID, t->sets);
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
}

static void verdict(struct dsaa_nft *t, int code, const char *chain)
{
	struct nftnl_expr *e = expr(t, "immediate");

	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, (uint32_t)code);
	if (chain)
		nftnl_expr_set_str(e, NFTNL_EXPR_IMM_CHAIN, chain);
}

void dsaa_nft_accept(struct dsaa_nft *t)
{
	verdict(t, NF_ACCEPT, NULL);
}

void dsaa_nft_drop(struct dsaa_nft *t)
{
	verdict(t, NF_DROP, NULL);
}

void dsaa_nft_goto(struct dsaa_nft *t, const char *chain)
{
	verdict(t, NFT_GOTO, chain);
}

void dsaa_nft_notrack(struct dsaa_nft *t)
{
	expr(t, "notrack");
}

void dsaa_nft_counter(struct dsaa_nft *t)
{
	expr(t, "counter");
}

void dsaa_nft_ct_mark(struct dsaa_nft *t, uint32_t keep, uint32_t set)
{
	struct nftnl_expr *e;

	dsaa_nft_ct(t, NFT_CT_MARK);
	bitwise(t, &keep, &set, sizeof(keep));
	e = expr(t, "ct");
	if (!e)
		return;
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_KEY, NFT_CT_MARK);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_SREG, NFT_REG_1);
}

void dsaa_nft_event_mask(struct dsaa_nft *t, uint32_t events)
{
	struct nftnl_expr *e = expr(t, "immediate");

	if (e) {
		nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_1);
		nftnl_expr_set(e, NFTNL_EXPR_IMM_DATA, &events, sizeof(events));
	}
	e = expr(t, "ct");
	if (e) {
		nftnl_expr_set_u32(e, NFTNL_EXPR_CT_KEY, NFT_CT_EVENTMASK);
		nftnl_expr_set_u32(e, NFTNL_EXPR_CT_SREG, NFT_REG_1);
	}
	t->rule_feature = DSAA_NFT_EVENT_MASK;
}

static void queue_native(struct dsaa_nft *t, uint16_t number, uint16_t total, bool bypass)
{
	struct nftnl_expr *e = expr(t, "queue");

	if (e) {
		nftnl_expr_set_u16(e, NFTNL_EXPR_QUEUE_NUM, number);
		nftnl_expr_set_u16(e, NFTNL_EXPR_QUEUE_TOTAL, total);
		nftnl_expr_set_u16(e, NFTNL_EXPR_QUEUE_FLAGS, bypass ? NFT_QUEUE_FLAG_BYPASS : 0);
	}
	t->rule_feature = DSAA_NFT_QUEUE_NATIVE;
}

static void queue_xt(struct dsaa_nft *t, uint16_t number, uint16_t total, bool bypass)
{
	struct nftnl_expr *e = expr(t, "target");
	size_t len = XT_ALIGN(sizeof(struct xt_NFQ_info_v3));
	struct xt_NFQ_info_v3 *info;

	t->rule_feature = DSAA_NFT_QUEUE_XT;
	if (!e)
		return;
	/* the expression takes it over and frees it */
	info = calloc(1, len);
	if (!info) {
		fail(t, -ENOMEM);
		return;
	}
	info->queuenum = number;
	info->queues_total = total;
	info->flags = bypass ? NFQ_FLAG_BYPASS : 0;
	nftnl_expr_set_str(e, NFTNL_EXPR_TG_NAME, "NFQUEUE");
	nftnl_expr_set_u32(e, NFTNL_EXPR_TG_REV, 3);
	nftnl_expr_set(e, NFTNL_EXPR_TG_INFO, info, len);
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the expression has it now */
}

void dsaa_nft_queues(struct dsaa_nft *t, bool native, uint16_t number, uint16_t total, bool bypass)
{
	dsaa_nft_counter(t);
	if (native)
		queue_native(t, number, total, bypass);
	else
		queue_xt(t, number, total, bypass);
}

void dsaa_nft_queue(struct dsaa_nft *t, bool native, uint16_t number, bool bypass)
{
	dsaa_nft_queues(t, native, number, 1, bypass);
}

/* ------------------------------------------------------------------ sending */

/*
 * The first error that the kernel reported, 0 when it took all, -EPROTO when
 * it answered nothing. All answers are there when send has returned: nfnetlink
 * works through a transaction in the caller's context.
 */
static int read_answers(struct dsaa_nft *t, int fd, enum dsaa_nft_feature *feature)
{
	uint8_t buf[16384];
	bool heard = false;

	for (;;) {
		ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		struct nlmsghdr *msg = (struct nlmsghdr *)buf;
		int left;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return heard ? 0 : -EPROTO;
		if (n < 0)
			return -errno;
		for (left = (int)n; mnl_nlmsg_ok(msg, left); msg = mnl_nlmsg_next(msg, &left)) {
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(msg);

			if (msg->nlmsg_type != NLMSG_ERROR ||
			    mnl_nlmsg_get_payload_len(msg) < sizeof(*e))
				continue;
			heard = true;
			if (e->error == 0)
				continue;
			if (msg->nlmsg_seq < t->messages)
				*feature = t->feature[msg->nlmsg_seq];
			return e->error;
		}
	}
}

/* The whole transaction has to fit the socket's send buffer. */
static bool send_all(int fd, const struct dsaa_nft *t)
{
	int room = (int)t->len + BUFFER_STEP, one = 1;
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	ssize_t n;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	n = sendto(fd, t->buf, t->len, 0, (struct sockaddr *)&kernel, sizeof(kernel));
	if (n >= 0 && (size_t)n != t->len)
		errno = EMSGSIZE;
	return n >= 0 && (size_t)n == t->len;
}

int dsaa_nft_commit(struct dsaa_nft *t, enum dsaa_nft_feature *feature)
{
	struct mnl_socket *sock;
	void *room = message_room(t);
	int rc;

	*feature = DSAA_NFT_BASIC;
	if (!room)
		return t->error;
	t->len += nftnl_batch_end(room, t->messages++)->nlmsg_len;

	sock = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!sock)
		return -errno;
	if (mnl_socket_bind(sock, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    !send_all(mnl_socket_get_fd(sock), t))
		rc = -errno;
	else
		rc = read_answers(t, mnl_socket_get_fd(sock), feature);
	mnl_socket_close(sock);
	return rc;
}
