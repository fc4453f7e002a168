/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages of the sync protocol as text, for the captures of tests/golden: one
 * line for a message, one for each of its records. A field that a newer minor
 * version brings is only told when it is set, so that the text of an older
 * capture stays the same.
 */
#ifndef TESTS_GOLDEN_TEXT_H
#define TESTS_GOLDEN_TEXT_H

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/dsaa_wire.h"

struct text {
	char s[4096];
	size_t len;
};

__attribute__((format(printf, 2, 3))) static inline void text_add(struct text *t, const char *fmt,
								  ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->s + t->len, sizeof(t->s) - t->len, fmt, ap);
	va_end(ap);
	if (n > 0 && t->len + (size_t)n < sizeof(t->s))
		t->len += (size_t)n;
}

static inline void text_begin(struct text *t)
{
	t->len = 0;
	t->s[0] = '\0';
}

static inline const char *text_type(uint8_t type)
{
	static const char *const names[] = {
		[DSAA_MSG_HELLO] = "HELLO",
		[DSAA_MSG_REFUSE] = "REFUSE",
		[DSAA_MSG_KEEPALIVE] = "KEEPALIVE",
		[DSAA_MSG_FLOWS] = "FLOWS",
		[DSAA_MSG_ACK] = "ACK",
		[DSAA_MSG_BULK_BEGIN] = "BULK_BEGIN",
		[DSAA_MSG_BULK_FLOWS] = "BULK_FLOWS",
		[DSAA_MSG_BULK_END] = "BULK_END",
		[DSAA_MSG_BULK_DONE] = "BULK_DONE",
		[DSAA_MSG_BULK_REQUEST] = "BULK_REQUEST",
		[DSAA_MSG_GOODBYE] = "GOODBYE",
		[DSAA_MSG_AUDIT_BEGIN] = "AUDIT_BEGIN",
		[DSAA_MSG_AUDIT_HASHES] = "AUDIT_HASHES",
		[DSAA_MSG_AUDIT_END] = "AUDIT_END",
		[DSAA_MSG_AUDIT_WANT] = "AUDIT_WANT",
		[DSAA_MSG_AUDIT_FLOWS] = "AUDIT_FLOWS",
		[DSAA_MSG_RESUME] = "RESUME",
		[DSAA_MSG_HANDOVER] = "HANDOVER",
		[DSAA_MSG_EXPECTS] = "EXPECTS",
		[DSAA_MSG_LINES] = "LINES",
		[DSAA_MSG_AUDIT_BUSY] = "AUDIT_BUSY",
		[DSAA_MSG_AUDIT_STATES] = "AUDIT_STATES",
	};

	return type < sizeof(names) / sizeof(names[0]) && names[type] ? names[type] : "SKIPPABLE";
}

static inline void text_tuple(struct text *t, uint8_t family, const struct dsaa_tuple *tuple)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
	int af = family == 4 ? AF_INET : AF_INET6;

	inet_ntop(af, tuple->src, src, sizeof(src));
	inet_ntop(af, tuple->dst, dst, sizeof(dst));
	text_add(t, " %s %u > %s %u", src, tuple->sport, dst, tuple->dport);
}

static inline void text_flow(struct text *t, const struct dsaa_flow *f)
{
	text_add(t, "proto %u zone %u", f->proto, f->zone);
	text_tuple(t, f->family, &f->orig);
	text_add(t, " reply");
	text_tuple(t, f->family, &f->reply);
	text_add(t, " status %" PRIx32 " mark %08" PRIx32 " timeout %" PRIu32 " start %" PRIu64,
		 f->status, f->mark, f->timeout_s, f->start_ns);
	if (f->proto == DSAA_PROTO_TCP)
		text_add(t, " tcp %u scale %u %u flags %02x %02x", f->tcp_state, f->tcp_wscale[0],
			 f->tcp_wscale[1], f->tcp_flags[0], f->tcp_flags[1]);
	if (f->proto == DSAA_PROTO_SCTP)
		text_add(t, " sctp %u vtag %08" PRIx32 " %08" PRIx32, f->sctp_state,
			 f->sctp_vtag[0], f->sctp_vtag[1]);
	if (f->proto == DSAA_PROTO_DCCP)
		text_add(t, " dccp %u role %u seq %" PRIu64, f->dccp_state, f->dccp_role,
			 f->dccp_handshake_seq);
}

/* What records carry since 1.1. */
static inline void text_rare(struct text *t, const struct dsaa_flow *f)
{
	if (f->helper[0])
		text_add(t, " helper %.*s", DSAA_HELPER_MAX, f->helper);
	for (unsigned i = 0; (f->has & DSAA_HAS_SEQADJ) && i < 2; i++)
		text_add(t, " moved %" PRIu32 " %" PRId32 " %" PRId32, f->seqadj[i].position,
			 f->seqadj[i].before, f->seqadj[i].after);
	for (unsigned i = 0; (f->has & DSAA_HAS_LABELS) && i < DSAA_LABELS_LEN; i++)
		text_add(t, "%s%02x", i ? "" : " labels ", f->labels[i]);
	if (f->has & DSAA_HAS_REPLY_ZONE)
		text_add(t, " reply-zone %u", f->reply_zone);
	if (f->has & DSAA_HAS_MASTER) {
		text_add(t, " master %u", f->master_proto);
		text_tuple(t, f->family, &f->master);
	}
}

static inline void text_record(struct text *t, const struct dsaa_record *r)
{
	text_add(t, "%s seq %" PRIu64 " ", r->op == DSAA_OP_DELETE ? "delete" : "upsert", r->seq);
	if (r->op == DSAA_OP_UPSERT) {
		text_flow(t, &r->flow);
		text_rare(t, &r->flow);
		return;
	}
	text_add(t, "proto %u zone %u", r->flow.proto, r->flow.zone);
	text_tuple(t, r->flow.family, &r->flow.orig);
}

static inline void text_hashes(struct text *t, const struct dsaa_msg_hashes *h)
{
	text_add(t, " audit %" PRIu32, h->audit_id);
	for (unsigned i = 0; i < h->count; i++)
		text_add(t, " %016" PRIx64, dsaa_wire_hash(h, i));
}

static inline void text_states(struct text *t, const struct dsaa_msg_hashes *h)
{
	text_add(t, " audit %" PRIu32, h->audit_id);
	for (unsigned i = 0; i < h->count; i++)
		text_add(t, " %016" PRIx64 ":%" PRIx32, dsaa_wire_hash(h, i),
			 dsaa_wire_state(h, i));
}

/* The message without its records. */
static inline void text_message(struct text *t, const struct dsaa_msg *m)
{
	text_add(t, "%s", text_type(m->type));
	switch (m->type) {
	case DSAA_MSG_HELLO:
		text_add(t,
			 " version %u.%u from %u to %u cluster %" PRIu32 " capabilities %" PRIx64
			 " epoch %" PRIu64 " digest %" PRIx64 " hold %" PRIu32 " known %" PRIu64
			 " %" PRIu64,
			 m->hello.major, m->hello.minor, m->hello.from, m->hello.to,
			 m->hello.cluster_id, m->hello.capabilities, m->hello.epoch,
			 m->hello.config_digest, m->hello.hold_time_ms, m->hello.known_epoch,
			 m->hello.known_seq);
		break;
	case DSAA_MSG_REFUSE:
		text_add(t, " reason %u", m->refuse.reason);
		break;
	case DSAA_MSG_GOODBYE:
		text_add(t, " reason %u", m->goodbye.reason);
		break;
	case DSAA_MSG_KEEPALIVE:
		text_add(t, " complete %u draining %u", m->keepalive.state_complete,
			 m->keepalive.draining);
		break;
	case DSAA_MSG_FLOWS:
		text_add(t, " epoch %" PRIu64 " records %u", m->flows.epoch, m->flows.count);
		break;
	case DSAA_MSG_BULK_FLOWS:
	case DSAA_MSG_AUDIT_FLOWS:
		text_add(t, " epoch %" PRIu64 " id %" PRIu32 " records %u", m->flows.epoch,
			 m->flows.bulk_id, m->flows.count);
		break;
	case DSAA_MSG_ACK:
		text_add(t,
			 " epoch %" PRIu64 " seq %" PRIu64 " applied %" PRIu64 " rejected %" PRIu64,
			 m->ack.epoch, m->ack.seq, m->ack.applied, m->ack.rejected);
		break;
	case DSAA_MSG_BULK_BEGIN:
	case DSAA_MSG_BULK_END:
	case DSAA_MSG_BULK_DONE:
		text_add(t, " id %" PRIu32, m->bulk.bulk_id);
		if (m->type != DSAA_MSG_BULK_BEGIN)
			text_add(t, " count %" PRIu64 " digest %016" PRIx64, m->bulk.count,
				 m->bulk.digest);
		if (m->type == DSAA_MSG_BULK_DONE)
			text_add(t, " rejected %" PRIu64, m->bulk.rejected);
		break;
	case DSAA_MSG_RESUME:
		text_add(t, " from %" PRIu64 " to %" PRIu64, m->resume.from, m->resume.to);
		break;
	case DSAA_MSG_EXPECTS:
		text_add(t, " epoch %" PRIu64 " reset %u count %u", m->expects.epoch,
			 m->expects.reset, m->expects.count);
		break;
	case DSAA_MSG_LINES:
		text_add(t, " kind %u cut %u digest %016" PRIx64 " bytes %u", m->lines.kind,
			 m->lines.cut, m->lines.digest, m->lines.len);
		break;
	case DSAA_MSG_HANDOVER:
		text_add(t, " count %" PRIu64, m->handover.count);
		break;
	case DSAA_MSG_AUDIT_STATES:
		text_states(t, &m->hashes);
		break;
	case DSAA_MSG_AUDIT_BEGIN:
	case DSAA_MSG_AUDIT_HASHES:
	case DSAA_MSG_AUDIT_END:
	case DSAA_MSG_AUDIT_WANT:
	case DSAA_MSG_AUDIT_BUSY:
		text_hashes(t, &m->hashes);
		break;
	default:
		break;
	}
}

#endif
