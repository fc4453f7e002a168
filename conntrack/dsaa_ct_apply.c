/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changes to the table, in batches: all operations of a round go to the
 * kernel in one sendmsg, which handles them before it returns. Messages carry
 * no ACK flag, so only failures and found entries answer; they name their
 * operation by sequence number, and silence means success.
 *
 * A CREATE that meets an existing entry needs to know which: the entry may
 * stand in its original tuple's place or in its reply tuple's. Two more
 * rounds of look-ups tell. A LOOKUP looks in both places as well. Of an entry
 * that we made ourselves a moment ago we know (dsaa_ct_known.c).
 */
#include "conntrack/dsaa_conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "conntrack/dsaa_ct_flow.h"
#include "conntrack/dsaa_ct_private.h"

/* What one message of a round was for. */
struct sent {
	struct dsaa_apply *op;
	bool may_fail; /* the deletion before a creation: its failure says nothing */
};

struct round {
	size_t len;
	uint32_t first_seq;
	unsigned count;
	struct sent sent[2 * DSAA_FLOWS_PER_MSG_MAX];
};

/* The arrays stay as they are: thousands of small rounds a second. */
static void round_init(struct round *r)
{
	r->len = 0;
	r->count = 0;
}

static struct nlmsghdr *begin(struct dsaa_ct *ct, struct round *r, struct dsaa_apply *op,
			      uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh = dsaa_ct_message(ct, ct->batch + r->len, type, flags,
					       op->flow.family);

	if (!r->count)
		r->first_seq = nlh->nlmsg_seq;
	r->sent[r->count++] = (struct sent){ .op = op };
	return nlh;
}

static void end(struct round *r, struct nlmsghdr *nlh)
{
	r->len += MNL_ALIGN(nlh->nlmsg_len);
}

static void add_create(struct dsaa_ct *ct, struct round *r, struct dsaa_apply *op)
{
	struct nlmsghdr *nlh = begin(ct, r, op, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL);

	dsaa_ct_flow_put_new(nlh, &op->flow);
	end(r, nlh);
}

/*
 * CTA_ID: that very entry and no other that took its place. The kernel makes
 * it from the entry's address and original tuple (nf_ct_get_id), so only a
 * successor with the same tuple in the same memory is taken for it.
 */
static void add_delete(struct dsaa_ct *ct, struct round *r, struct dsaa_apply *op, bool may_fail)
{
	struct nlmsghdr *nlh = begin(ct, r, op, IPCTNL_MSG_CT_DELETE, 0);
	const struct dsaa_flow *f = &op->existing;

	dsaa_ct_flow_put_tuple(nlh, CTA_TUPLE_ORIG, f->family, f->proto, &f->orig);
	dsaa_ct_flow_put_zone(nlh, f);
	mnl_attr_put_u32(nlh, CTA_ID, htonl(f->id));
	r->sent[r->count - 1].may_fail = may_fail;
	end(r, nlh);
}

static void add_get(struct dsaa_ct *ct, struct round *r, struct dsaa_apply *op,
		    const struct dsaa_tuple *t)
{
	struct nlmsghdr *nlh = begin(ct, r, op, IPCTNL_MSG_CT_GET, 0);

	dsaa_ct_flow_put_tuple(nlh, CTA_TUPLE_ORIG, op->flow.family, op->flow.proto, t);
	if (t == &op->flow.reply)
		dsaa_ct_flow_put_reply_zone(nlh, &op->flow);
	else
		dsaa_ct_flow_put_zone(nlh, &op->flow);
	end(r, nlh);
}

static void add_update(struct dsaa_ct *ct, struct round *r, struct dsaa_apply *op)
{
	struct nlmsghdr *nlh = begin(ct, r, op, IPCTNL_MSG_CT_NEW, 0);

	dsaa_ct_flow_put_update(nlh, &op->flow, &op->existing);
	end(r, nlh);
}

static void add_op(struct dsaa_ct *ct, struct round *r, struct dsaa_apply *op)
{
	switch (op->kind) {
	case DSAA_APPLY_CREATE:
		add_create(ct, r, op);
		break;
	case DSAA_APPLY_REPLACE:
		add_delete(ct, r, op, true);
		add_create(ct, r, op);
		break;
	case DSAA_APPLY_UPDATE:
		add_update(ct, r, op);
		break;
	case DSAA_APPLY_LOOKUP:
		add_get(ct, r, op, &op->flow.orig);
		break;
	case DSAA_APPLY_DELETE:
		add_delete(ct, r, op, false);
		break;
	}
}

static void set_error(struct dsaa_apply *op, int error)
{
	op->error = error;
	switch (error) {
	case EEXIST:
		op->result = DSAA_APPLIED_EXISTS;
		break;
	case ENOENT:
		op->result = DSAA_APPLIED_ABSENT;
		break;
	case ENOMEM: /* nf_conntrack_alloc: the table is full */
	case ENFILE:
	case EMFILE:
		op->result = DSAA_APPLIED_FULL;
		break;
	default:
		op->result = DSAA_APPLIED_ERROR;
		break;
	}
}

static void one_answer(struct round *r, const struct nlmsghdr *nlh)
{
	uint32_t index = nlh->nlmsg_seq - r->first_seq;
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);
	struct sent *s;

	if (index >= r->count)
		return; /* of an earlier round that ended with an error */
	s = &r->sent[index];
	if (nlh->nlmsg_type == NLMSG_ERROR) {
		if (mnl_nlmsg_get_payload_len(nlh) >= sizeof(*e) && e->error && !s->may_fail)
			set_error(s->op, -e->error);
		return;
	}
	s->op->error = 0;
	s->op->result = dsaa_ct_flow_parse(nlh, &s->op->existing) ? DSAA_APPLIED_EXISTS :
								    DSAA_APPLIED_ERROR;
}

/* Answers are missing, so silence means nothing. */
static void all_failed(struct round *r, int error)
{
	for (unsigned i = 0; i < r->count; i++)
		set_error(r->sent[i].op, error);
}

/* The kernel has answered all of R when sendto returns; this takes the answers. */
static void read_answers(struct dsaa_ct *ct, struct round *r)
{
	for (;;) {
		int len, got = dsaa_ct_inbox_receive(ct->inbox, mnl_socket_get_fd(ct->commands),
						     DSAA_CT_EVENTS_PER_TURN);

		if (got == -ENOBUFS)
			all_failed(r, ENOBUFS);
		else if (got < 0 && got != -EINTR)
			return;
		for (int i = 0; i < got; i++) {
			const struct nlmsghdr *nlh = dsaa_ct_inbox_at(ct->inbox, (unsigned)i, &len);

			if (!nlh)
				all_failed(r, EMSGSIZE);
			else
				for (; mnl_nlmsg_ok(nlh, len); nlh = mnl_nlmsg_next(nlh, &len))
					one_answer(r, nlh);
		}
	}
}

static void run(struct dsaa_ct *ct, struct round *r)
{
	if (!r->count)
		return;
	if (mnl_socket_sendto(ct->commands, ct->batch, r->len) < 0) {
		all_failed(r, errno);
		return;
	}
	read_answers(ct, r);
}

/*
 * The kernel changes neither NAT nor helper of an entry, nor the zone of its answers: one that has
 * another needs to be made anew. A helper that is not told is kept.
 */
static bool must_be_new(const struct dsaa_apply *op)
{
	const struct dsaa_flow *f = &op->flow, *there = &op->existing;

	return there->id && dsaa_flow_key_equal(f, there) &&
	       (memcmp(&f->reply, &there->reply, sizeof(f->reply)) ||
		dsaa_flow_reply_zone(f) != dsaa_flow_reply_zone(there) ||
		(f->helper[0] && memcmp(f->helper, there->helper, sizeof(f->helper))));
}

/* This kernel was asked for that helper before, and has it not. */
static bool lacks_helper(const struct dsaa_ct *ct, const char name[DSAA_HELPER_MAX])
{
	for (unsigned i = 0; i < ct->no_helpers; i++)
		if (!memcmp(ct->no_helper[i], name, DSAA_HELPER_MAX))
			return true;
	return false;
}

/* What a successful operation of this kind is, unless an answer says otherwise. */
static void presume(struct dsaa_ct *ct, struct dsaa_apply *op)
{
	op->error = 0;
	if (op->flow.helper[0] && lacks_helper(ct, op->flow.helper))
		memset(op->flow.helper, 0, sizeof(op->flow.helper));
	if (op->kind == DSAA_APPLY_UPDATE && must_be_new(op))
		op->kind = DSAA_APPLY_REPLACE;
	op->result = op->kind == DSAA_APPLY_LOOKUP ? DSAA_APPLIED_ABSENT : DSAA_APPLIED_OK;
}

static bool collided(const struct dsaa_apply *op)
{
	return (op->kind == DSAA_APPLY_CREATE || op->kind == DSAA_APPLY_REPLACE) &&
	       op->result == DSAA_APPLIED_EXISTS;
}

/*
 * Of a connection that a DELETE record names only the key is known. The kernel refuses to look for
 * what then stands there for the reply of ICMPv6: a type that is no echo.
 */
static bool has_reply(const struct dsaa_flow *f)
{
	static const struct dsaa_tuple none;

	return memcmp(&f->reply, &none, sizeof(none)) != 0;
}

/*
 * Finds what stands in the way of the creations that failed. What is not found
 * by the original tuple is looked for by the reply tuple; when that fails as
 * well the obstacle has gone meanwhile: ABSENT.
 */
static void find_obstacles(struct dsaa_ct *ct, struct dsaa_apply *ops, unsigned count,
			   const bool *answered)
{
	struct round by_orig, by_reply;

	round_init(&by_orig);
	round_init(&by_reply);
	for (unsigned i = 0; i < count; i++) {
		if (answered[i] || !collided(&ops[i]))
			continue;
		ops[i].result = DSAA_APPLIED_ABSENT;
		add_get(ct, &by_orig, &ops[i], &ops[i].flow.orig);
	}
	run(ct, &by_orig);
	/* ABSENT is also what a first look-up by the original tuple answered */
	for (unsigned i = 0; i < count; i++)
		if (ops[i].kind != DSAA_APPLY_UPDATE && ops[i].kind != DSAA_APPLY_DELETE &&
		    ops[i].result == DSAA_APPLIED_ABSENT && has_reply(&ops[i].flow))
			add_get(ct, &by_reply, &ops[i], &ops[i].flow.reply);
	run(ct, &by_reply);
}

/*
 * An expected connection's status cannot be told, because its expected bit is
 * not known here: EBUSY. Everything else of the update is said without it.
 */
static void update_without_status(struct dsaa_ct *ct, struct dsaa_apply *ops, unsigned count)
{
	struct round r;

	round_init(&r);
	for (unsigned i = 0; i < count; i++) {
		struct dsaa_apply *op = &ops[i];

		if (op->kind != DSAA_APPLY_UPDATE || op->result != DSAA_APPLIED_ERROR ||
		    op->error != EBUSY)
			continue;
		op->existing.status |= op->flow.status;
		presume(ct, op);
		add_update(ct, &r, op);
	}
	run(ct, &r);
}

/* Takes from F what this kernel, or this namespace, may be without. False when nothing is left. */
static bool leave_out(struct dsaa_ct *ct, struct dsaa_apply *op)
{
	struct dsaa_flow *f = &op->flow;

	/* its master has gone, or is not replicated: it lives on without */
	if (op->error == ENOENT && f->has & DSAA_HAS_MASTER) {
		f->has &= (uint8_t)~DSAA_HAS_MASTER;
		memset(&f->master, 0, sizeof(f->master));
		f->master_proto = 0;
		return true;
	}
	if (f->has & DSAA_HAS_LABELS) {
		f->has &= (uint8_t)~DSAA_HAS_LABELS;
		memset(f->labels, 0, sizeof(f->labels));
		return true;
	}
	if (!f->helper[0])
		return false;
	if (ct->no_helpers < DSAA_CT_NO_HELPERS_MAX && op->error == EOPNOTSUPP)
		memcpy(ct->no_helper[ct->no_helpers++], f->helper, DSAA_HELPER_MAX);
	memset(f->helper, 0, sizeof(f->helper));
	return true;
}

/*
 * A connection without its helper, labels or master is better than none: what failed with one of
 * them is tried without. Each turn leaves one more out.
 */
static void create_with_less(struct dsaa_ct *ct, struct dsaa_apply *ops, unsigned count)
{
	struct round r;

	for (unsigned turn = 0; turn < 3; turn++) {
		round_init(&r);
		for (unsigned i = 0; i < count; i++) {
			struct dsaa_apply *op = &ops[i];

			if ((op->kind != DSAA_APPLY_CREATE && op->kind != DSAA_APPLY_REPLACE) ||
			    (op->result != DSAA_APPLIED_ERROR &&
			     op->result != DSAA_APPLIED_ABSENT) ||
			    !leave_out(ct, op))
				continue;
			/* what a REPLACE deletes first is gone by now */
			op->error = 0;
			op->result = DSAA_APPLIED_OK;
			add_create(ct, &r, op);
			ct->counters.lessened++;
		}
		if (!r.count)
			return;
		run(ct, &r);
	}
}

void dsaa_ct_get(struct dsaa_ct *ct, struct dsaa_apply *ops, unsigned count)
{
	struct round r;

	round_init(&r);
	for (unsigned i = 0; i < count; i++) {
		presume(ct, &ops[i]);
		add_get(ct, &r, &ops[i], &ops[i].flow.orig);
	}
	run(ct, &r);
}

static void apply_batch(struct dsaa_ct *ct, struct dsaa_apply *ops, unsigned count)
{
	bool answered[DSAA_FLOWS_PER_MSG_MAX];
	struct round r;

	round_init(&r);
	for (unsigned i = 0; i < count; i++) {
		answered[i] = dsaa_ct_known_answer(ct, &ops[i]);
		if (answered[i])
			continue;
		presume(ct, &ops[i]);
		add_op(ct, &r, &ops[i]);
	}
	run(ct, &r);
	update_without_status(ct, ops, count);
	create_with_less(ct, ops, count);
	find_obstacles(ct, ops, count, answered);
	for (unsigned i = 0; i < count; i++) {
		if (!answered[i])
			dsaa_ct_known_note(ct, &ops[i]);
		ct->counters.applied[ops[i].kind][ops[i].result]++;
		ct->counters.echoes += ops[i].kind != DSAA_APPLY_LOOKUP &&
				       ops[i].result == DSAA_APPLIED_OK;
	}
}

void dsaa_ct_apply(struct dsaa_ct *ct, struct dsaa_apply *ops, unsigned count)
{
	for (unsigned done = 0; done < count; done += DSAA_FLOWS_PER_MSG_MAX)
		apply_batch(ct, ops + done,
			    count - done < DSAA_FLOWS_PER_MSG_MAX ? count - done :
								    DSAA_FLOWS_PER_MSG_MAX);
}
