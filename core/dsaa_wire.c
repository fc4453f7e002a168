/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sync protocol's codec. Specification: doc/protocol/sync.rst; section
 * numbers below are its. Pure; any thread.
 *
 * Decoding goes by tables: type -> shortest body, longest body, reader. A
 * message is read whole into a local copy and handed out only when every byte
 * of it made sense, so half of a bad message never has an effect.
 */
#include <string.h>

#include "core/dsaa_buf.h"
#include "core/dsaa_wire.h"

enum {
	HEADER_POS_TYPE = 2,
	HEADER_POS_LENGTH = 4,
	FLOWS_LEN = 10,	     /* epoch, count */
	BULK_FLOWS_LEN = 14, /* epoch, bulk id, count */
	HASHES_LEN = 14,     /* audit id, count, one hash */
	EXPECTS_LEN = 11,    /* epoch, reset, count */
	LINES_LEN = 10,	     /* kind, cut, digest */
	LINES_BODY_MAX = LINES_LEN + DSAA_LINES_MAX,
	STATES_LEN = 18, /* audit id, count, one hash with its state */
	HELLO_LEN = 52,
	HELLO_FOREIGN_LEN = 2, /* all that is read of another major version */
	RECORD_LEN_MIN = 25,   /* a DELETE of IPv4, without its length field */
	FAMILY_MASK = 0x0f,
	FLAG_NO_NAT = 0x10, /* the reply tuple is the reversed original: it does not travel */
	FLAGS_KNOWN = FLAG_NO_NAT,
	ATTR_TCP = 1,
	ATTR_SCTP = 2,
	ATTR_DCCP = 3,
	ATTR_SKIPPABLE = 128,
	ATTR_HELPER = 128,
	ATTR_SEQADJ = 129,
	ATTR_LABELS = 130,
	ATTR_MASTER = 131,
	ATTR_REPLY_ZONE = 132,
	SEQADJ_LEN = 24,
	MASTER_LEN4 = 13, /* protocol, tuple */
	MASTER_LEN6 = 37,
	REPLY_ZONE_LEN = 2,
};

/* ------------------------------------------------------------------ header (2.1) */

static void write_header(struct dsaa_writer *w, uint8_t type)
{
	dsaa_writer_u16(w, DSAA_WIRE_MAGIC);
	dsaa_writer_u8(w, type);
	dsaa_writer_u8(w, 0);
	dsaa_writer_u32(w, 0);
}

/* Puts the body's length into the header; the message's length, or 0 when it does not fit. */
static size_t finish_message(struct dsaa_writer *w)
{
	if (w->len < DSAA_MSG_HEADER_LEN || w->len > DSAA_MSG_MAX)
		return 0;
	dsaa_writer_patch_u32(w, HEADER_POS_LENGTH, (uint32_t)(w->len - DSAA_MSG_HEADER_LEN));
	return w->failed ? 0 : w->len;
}

long dsaa_wire_frame(const uint8_t *buf, size_t len, unsigned *reason)
{
	struct dsaa_reader r;
	uint32_t body;

	/* what cannot become our header is refused at its first byte */
	if ((len >= 1 && buf[0] != DSAA_WIRE_MAGIC >> 8) ||
	    (len >= 2 && buf[1] != (DSAA_WIRE_MAGIC & 0xff)))
		goto refuse;
	if (len < DSAA_MSG_HEADER_LEN)
		return 0;
	dsaa_reader_init(&r, buf, DSAA_MSG_HEADER_LEN);
	dsaa_reader_skip(&r, HEADER_POS_LENGTH);
	body = dsaa_reader_u32(&r);
	if (body > DSAA_MSG_BODY_MAX)
		goto refuse;
	return len < DSAA_MSG_HEADER_LEN + (size_t)body ? 0 : (long)(DSAA_MSG_HEADER_LEN + body);
refuse:
	*reason = DSAA_R_MALFORMED;
	return -1;
}

/* ------------------------------------------------------------------ attributes (3.4) */

static void read_tcp(struct dsaa_reader *r, struct dsaa_flow *f)
{
	f->tcp_state = dsaa_reader_u8(r);
	f->tcp_wscale[0] = dsaa_reader_u8(r);
	f->tcp_wscale[1] = dsaa_reader_u8(r);
	f->tcp_flags[0] = dsaa_reader_u8(r);
	f->tcp_flags[1] = dsaa_reader_u8(r);
}

static void write_tcp(struct dsaa_writer *w, const struct dsaa_flow *f)
{
	dsaa_writer_u8(w, f->tcp_state);
	dsaa_writer_u8(w, f->tcp_wscale[0]);
	dsaa_writer_u8(w, f->tcp_wscale[1]);
	dsaa_writer_u8(w, f->tcp_flags[0]);
	dsaa_writer_u8(w, f->tcp_flags[1]);
}

static void read_sctp(struct dsaa_reader *r, struct dsaa_flow *f)
{
	f->sctp_state = dsaa_reader_u8(r);
	f->sctp_vtag[0] = dsaa_reader_u32(r);
	f->sctp_vtag[1] = dsaa_reader_u32(r);
}

static void write_sctp(struct dsaa_writer *w, const struct dsaa_flow *f)
{
	dsaa_writer_u8(w, f->sctp_state);
	dsaa_writer_u32(w, f->sctp_vtag[0]);
	dsaa_writer_u32(w, f->sctp_vtag[1]);
}

static void read_dccp(struct dsaa_reader *r, struct dsaa_flow *f)
{
	f->dccp_state = dsaa_reader_u8(r);
	f->dccp_role = dsaa_reader_u8(r);
	f->dccp_handshake_seq = dsaa_reader_u64(r);
}

static void write_dccp(struct dsaa_writer *w, const struct dsaa_flow *f)
{
	dsaa_writer_u8(w, f->dccp_state);
	dsaa_writer_u8(w, f->dccp_role);
	dsaa_writer_u64(w, f->dccp_handshake_seq);
}

/* An attribute belongs to one protocol, whose UPSERT records must carry it once. */
static const struct attribute {
	uint8_t type;
	uint8_t len;
	uint8_t proto;
	void (*read)(struct dsaa_reader *r, struct dsaa_flow *f);
	void (*write)(struct dsaa_writer *w, const struct dsaa_flow *f);
} attributes[] = {
	{ ATTR_TCP, 5, DSAA_PROTO_TCP, read_tcp, write_tcp },
	{ ATTR_SCTP, 9, DSAA_PROTO_SCTP, read_sctp, write_sctp },
	{ ATTR_DCCP, 10, DSAA_PROTO_DCCP, read_dccp, write_dccp },
};

/* The attribute that PROTO's records carry, or NULL. */
static const struct attribute *attribute_of(uint8_t proto)
{
	size_t i;

	for (i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++)
		if (attributes[i].proto == proto)
			return &attributes[i];
	return NULL;
}

/* ------------------------------------------------------------------ rare parts (3.4) */

static size_t addr_len(uint8_t family)
{
	return family == 4 ? 4 : 16;
}

static void write_tuple(struct dsaa_writer *w, uint8_t family, const struct dsaa_tuple *t)
{
	dsaa_writer_bytes(w, t->src, addr_len(family));
	dsaa_writer_bytes(w, t->dst, addr_len(family));
	dsaa_writer_u16(w, t->sport);
	dsaa_writer_u16(w, t->dport);
}

/* T is zeroed before. */
static void read_tuple(struct dsaa_reader *r, uint8_t family, struct dsaa_tuple *t)
{
	dsaa_reader_bytes(r, t->src, addr_len(family));
	dsaa_reader_bytes(r, t->dst, addr_len(family));
	t->sport = dsaa_reader_u16(r);
	t->dport = dsaa_reader_u16(r);
}

static void write_seqadj(struct dsaa_writer *w, const struct dsaa_flow *f)
{
	for (unsigned i = 0; i < 2; i++) {
		dsaa_writer_u32(w, f->seqadj[i].position);
		dsaa_writer_u32(w, (uint32_t)f->seqadj[i].before);
		dsaa_writer_u32(w, (uint32_t)f->seqadj[i].after);
	}
}

static void read_seqadj(struct dsaa_reader *r, struct dsaa_flow *f)
{
	for (unsigned i = 0; i < 2; i++) {
		f->seqadj[i].position = dsaa_reader_u32(r);
		f->seqadj[i].before = (int32_t)dsaa_reader_u32(r);
		f->seqadj[i].after = (int32_t)dsaa_reader_u32(r);
	}
}

static void begin_attribute(struct dsaa_writer *w, uint8_t type, size_t len)
{
	dsaa_writer_u8(w, type);
	dsaa_writer_u8(w, (uint8_t)len);
}

static void write_rare_parts(struct dsaa_writer *w, const struct dsaa_flow *f)
{
	size_t helper = 0;

	while (helper < DSAA_HELPER_MAX && f->helper[helper])
		helper++;
	if (helper) {
		begin_attribute(w, ATTR_HELPER, helper);
		dsaa_writer_bytes(w, (const uint8_t *)f->helper, helper);
	}
	if (f->has & DSAA_HAS_SEQADJ) {
		begin_attribute(w, ATTR_SEQADJ, SEQADJ_LEN);
		write_seqadj(w, f);
	}
	if (f->has & DSAA_HAS_LABELS) {
		begin_attribute(w, ATTR_LABELS, DSAA_LABELS_LEN);
		dsaa_writer_bytes(w, f->labels, DSAA_LABELS_LEN);
	}
	if (f->has & DSAA_HAS_MASTER) {
		begin_attribute(w, ATTR_MASTER, f->family == 4 ? MASTER_LEN4 : MASTER_LEN6);
		dsaa_writer_u8(w, f->master_proto);
		write_tuple(w, f->family, &f->master);
	}
	if (f->has & DSAA_HAS_REPLY_ZONE) {
		begin_attribute(w, ATTR_REPLY_ZONE, REPLY_ZONE_LEN);
		dsaa_writer_u16(w, f->reply_zone);
	}
}

/* Notes that F has PART; false when it was there already, or its length is not WANT. */
static bool take_part(struct dsaa_flow *f, enum dsaa_flow_has part, size_t len, size_t want)
{
	if (f->has & part || len != want)
		return false;
	f->has |= (uint8_t)part;
	return true;
}

/*
 * Reads the value V of a skippable attribute, which an UPSERT may have once. False when it is one
 * that we know, but not as it should be.
 */
static bool read_rare_part(struct dsaa_reader *v, uint8_t type, struct dsaa_flow *f)
{
	size_t len = dsaa_reader_left(v);

	switch (type) {
	case ATTR_HELPER:
		if (f->helper[0] || !len || len >= DSAA_HELPER_MAX)
			return false;
		dsaa_reader_bytes(v, (uint8_t *)f->helper, len);
		return dsaa_helper_name_valid(f->helper);
	case ATTR_SEQADJ:
		if (!take_part(f, DSAA_HAS_SEQADJ, len, SEQADJ_LEN))
			return false;
		read_seqadj(v, f);
		return true;
	case ATTR_LABELS:
		if (!take_part(f, DSAA_HAS_LABELS, len, DSAA_LABELS_LEN))
			return false;
		dsaa_reader_bytes(v, f->labels, DSAA_LABELS_LEN);
		return true;
	case ATTR_MASTER:
		if (!take_part(f, DSAA_HAS_MASTER, len, f->family == 4 ? MASTER_LEN4 : MASTER_LEN6))
			return false;
		f->master_proto = dsaa_reader_u8(v);
		read_tuple(v, f->family, &f->master);
		return true;
	case ATTR_REPLY_ZONE:
		if (!take_part(f, DSAA_HAS_REPLY_ZONE, len, REPLY_ZONE_LEN))
			return false;
		f->reply_zone = dsaa_reader_u16(v);
		return true;
	default:
		return true;
	}
}

/*
 * Reads the rest of a record. WANTED is the attribute that it must carry, or NULL. A DELETE has
 * none but those to skip.
 */
static bool read_attributes(struct dsaa_reader *r, struct dsaa_flow *f,
			    const struct attribute *wanted, bool upsert)
{
	struct dsaa_reader value;
	bool seen = false;
	uint8_t type, len;

	while (dsaa_reader_left(r) > 0) {
		type = dsaa_reader_u8(r);
		len = dsaa_reader_u8(r);
		value = dsaa_reader_cut(r, len);
		if (value.failed)
			return false;
		if (type >= ATTR_SKIPPABLE) {
			if (upsert && !read_rare_part(&value, type, f))
				return false;
			continue;
		}
		if (!wanted || type != wanted->type || len != wanted->len || seen)
			return false;
		wanted->read(&value, f);
		seen = true;
	}
	return !r->failed && (seen || !wanted);
}

/* ------------------------------------------------------------------ records (3) */

/* True when F's reply tuple need not travel. */
static bool without_nat(const struct dsaa_flow *f)
{
	struct dsaa_tuple plain;

	return dsaa_tuple_reverse(f->proto, &f->orig, &plain) && plain.sport == f->reply.sport &&
	       plain.dport == f->reply.dport &&
	       memcmp(plain.src, f->reply.src, sizeof(plain.src)) == 0 &&
	       memcmp(plain.dst, f->reply.dst, sizeof(plain.dst)) == 0;
}

static void write_record(struct dsaa_writer *w, const struct dsaa_record *rec)
{
	const struct dsaa_flow *f = &rec->flow;
	const struct attribute *attr = attribute_of(f->proto);
	bool upsert = rec->op == DSAA_OP_UPSERT;
	bool plain = upsert && without_nat(f);
	size_t start = w->len;

	dsaa_writer_u16(w, 0);
	dsaa_writer_u8(w, rec->op);
	dsaa_writer_u8(w, (uint8_t)(f->family | (plain ? FLAG_NO_NAT : 0)));
	dsaa_writer_u8(w, f->proto);
	dsaa_writer_u16(w, f->zone);
	dsaa_writer_u64(w, rec->seq);
	write_tuple(w, f->family, &f->orig);
	if (upsert) {
		if (!plain)
			write_tuple(w, f->family, &f->reply);
		dsaa_writer_u32(w, f->status);
		dsaa_writer_u32(w, f->mark);
		dsaa_writer_u32(w, f->timeout_s);
		dsaa_writer_u64(w, f->start_ns);
		if (attr) {
			dsaa_writer_u8(w, attr->type);
			dsaa_writer_u8(w, attr->len);
			attr->write(w, f);
		}
		if (f->has || f->helper[0])
			write_rare_parts(w, f);
	}
	dsaa_writer_patch_u16(w, start, (uint16_t)(w->len - start - 2));
}

/* The fields of an UPSERT behind the key. */
static unsigned read_upsert(struct dsaa_reader *r, struct dsaa_flow *f, uint8_t flags)
{
	if (!(flags & FLAG_NO_NAT))
		read_tuple(r, f->family, &f->reply);
	else if (!dsaa_tuple_reverse(f->proto, &f->orig, &f->reply))
		return DSAA_R_BAD_FLOW;
	f->status = dsaa_reader_u32(r);
	f->mark = dsaa_reader_u32(r);
	f->timeout_s = dsaa_reader_u32(r);
	f->start_ns = dsaa_reader_u64(r);
	if (!read_attributes(r, f, attribute_of(f->proto), true))
		return DSAA_R_MALFORMED;
	return dsaa_flow_invalid(f) ? DSAA_R_BAD_FLOW : DSAA_R_NONE;
}

/* Reads one record, whose bytes are all of R. */
static unsigned read_record(struct dsaa_reader *r, struct dsaa_record *rec)
{
	struct dsaa_flow *f = &rec->flow;
	uint8_t flags;

	memset(rec, 0, sizeof(*rec));
	rec->op = dsaa_reader_u8(r);
	flags = dsaa_reader_u8(r);
	f->family = flags & FAMILY_MASK;
	flags &= (uint8_t)~FAMILY_MASK;
	f->proto = dsaa_reader_u8(r);
	f->zone = dsaa_reader_u16(r);
	rec->seq = dsaa_reader_u64(r);
	if (r->failed || (flags & ~FLAGS_KNOWN) ||
	    (rec->op != DSAA_OP_UPSERT && rec->op != DSAA_OP_DELETE))
		return DSAA_R_MALFORMED;
	/* without a family the rest has no length */
	if (f->family != 4 && f->family != 6)
		return DSAA_R_BAD_FLOW;
	read_tuple(r, f->family, &f->orig);
	if (r->failed)
		return DSAA_R_MALFORMED;
	if (rec->op == DSAA_OP_UPSERT)
		return read_upsert(r, f, flags);
	if (flags != 0 || !read_attributes(r, f, NULL, false))
		return DSAA_R_MALFORMED;
	return dsaa_flow_key_invalid(f) ? DSAA_R_BAD_FLOW : DSAA_R_NONE;
}

/* ------------------------------------------------------------------ FLOWS (2.5) */

/*
 * The room that the writer may use. What stands in CAP beyond the longest
 * message stays unused.
 */
static size_t flows_cap(size_t cap)
{
	return cap < DSAA_MSG_MAX ? cap : DSAA_MSG_MAX;
}

void dsaa_wire_flows_begin(struct dsaa_flows_writer *w, uint8_t *buf, size_t cap, uint8_t type,
			   uint64_t epoch, uint32_t bulk_id)
{
	struct dsaa_writer out;

	dsaa_writer_init(&out, buf, flows_cap(cap));
	write_header(&out, type);
	dsaa_writer_u64(&out, epoch);
	if (type != DSAA_MSG_FLOWS)
		dsaa_writer_u32(&out, bulk_id);
	dsaa_writer_u16(&out, 0);
	w->buf = buf;
	w->cap = flows_cap(cap);
	w->len = out.failed ? 0 : out.len;
	w->count = 0;
}

bool dsaa_wire_flows_add(struct dsaa_flows_writer *w, const struct dsaa_record *r)
{
	struct dsaa_writer out;

	if (w->len == 0 || w->count == DSAA_FLOWS_PER_MSG_MAX)
		return false;
	dsaa_writer_init(&out, w->buf, w->cap);
	out.len = w->len;
	write_record(&out, r);
	if (out.failed)
		return false;
	w->len = out.len;
	w->count++;
	return true;
}

size_t dsaa_wire_flows_end(struct dsaa_flows_writer *w)
{
	struct dsaa_writer out;
	size_t count_pos;

	if (w->len == 0 || w->count == 0)
		return 0;
	count_pos = DSAA_MSG_HEADER_LEN - 2 +
		    (w->buf[2] == DSAA_MSG_FLOWS ? FLOWS_LEN : BULK_FLOWS_LEN);
	dsaa_writer_init(&out, w->buf, w->cap);
	out.len = w->len;
	dsaa_writer_patch_u16(&out, count_pos, w->count);
	return finish_message(&out);
}

static unsigned read_flows(struct dsaa_reader *r, struct dsaa_msg *m, struct dsaa_record *records)
{
	struct dsaa_reader record;
	unsigned i, why;
	uint16_t len;

	m->flows.epoch = dsaa_reader_u64(r);
	if (m->type != DSAA_MSG_FLOWS)
		m->flows.bulk_id = dsaa_reader_u32(r);
	m->flows.count = dsaa_reader_u16(r);
	m->flows.records = records;
	if (m->flows.count == 0 || m->flows.count > DSAA_FLOWS_PER_MSG_MAX)
		return DSAA_R_MALFORMED;
	for (i = 0; i < m->flows.count; i++) {
		len = dsaa_reader_u16(r);
		if (len < RECORD_LEN_MIN || len > DSAA_RECORD_LEN_MAX - 2)
			return DSAA_R_MALFORMED;
		record = dsaa_reader_cut(r, len);
		why = record.failed ? DSAA_R_MALFORMED : read_record(&record, &records[i]);
		if (why != DSAA_R_NONE)
			return why;
	}
	return DSAA_R_NONE;
}

/* ------------------------------------------------------ other messages (2.3, 2.4, 2.6, 2.7) */

static bool site_valid(dsaa_site_id site)
{
	return site >= 1 && site <= DSAA_SITES_MAX;
}

/*
 * Of another major version only the version itself is read, so that the
 * refusal can have its right name; of a newer minor the tail is left out.
 */
static unsigned read_hello(struct dsaa_reader *r, struct dsaa_msg *m, struct dsaa_record *records)
{
	struct dsaa_msg_hello *h = &m->hello;

	(void)records;
	h->major = dsaa_reader_u8(r);
	h->minor = dsaa_reader_u8(r);
	if (h->major == DSAA_WIRE_MAJOR) {
		if (dsaa_reader_left(r) < HELLO_LEN - HELLO_FOREIGN_LEN)
			return DSAA_R_MALFORMED;
		h->from = dsaa_reader_u8(r);
		h->to = dsaa_reader_u8(r);
		h->cluster_id = dsaa_reader_u32(r);
		h->capabilities = dsaa_reader_u64(r);
		h->epoch = dsaa_reader_u64(r);
		h->config_digest = dsaa_reader_u64(r);
		h->hold_time_ms = dsaa_reader_u32(r);
		h->known_epoch = dsaa_reader_u64(r);
		h->known_seq = dsaa_reader_u64(r);
		if (!site_valid(h->from) || !site_valid(h->to))
			return DSAA_R_MALFORMED;
	}
	dsaa_reader_skip(r, dsaa_reader_left(r));
	return DSAA_R_NONE;
}

static void write_hello(struct dsaa_writer *w, const struct dsaa_msg *m)
{
	const struct dsaa_msg_hello *h = &m->hello;

	dsaa_writer_u8(w, h->major);
	dsaa_writer_u8(w, h->minor);
	dsaa_writer_u8(w, h->from);
	dsaa_writer_u8(w, h->to);
	dsaa_writer_u32(w, h->cluster_id);
	dsaa_writer_u64(w, h->capabilities);
	dsaa_writer_u64(w, h->epoch);
	dsaa_writer_u64(w, h->config_digest);
	dsaa_writer_u32(w, h->hold_time_ms);
	dsaa_writer_u64(w, h->known_epoch);
	dsaa_writer_u64(w, h->known_seq);
}

static unsigned read_refuse(struct dsaa_reader *r, struct dsaa_msg *m, struct dsaa_record *records)
{
	(void)records;
	m->refuse.reason = dsaa_reader_u16(r);
	return DSAA_R_NONE;
}

static void write_refuse(struct dsaa_writer *w, const struct dsaa_msg *m)
{
	dsaa_writer_u16(w, m->refuse.reason);
}

static unsigned read_keepalive(struct dsaa_reader *r, struct dsaa_msg *m,
			       struct dsaa_record *records)
{
	(void)records;
	m->keepalive.state_complete = dsaa_reader_u8(r);
	m->keepalive.draining = dsaa_reader_u8(r);
	if (m->keepalive.state_complete > 1 || m->keepalive.draining > 1)
		return DSAA_R_MALFORMED;
	return DSAA_R_NONE;
}

static void write_keepalive(struct dsaa_writer *w, const struct dsaa_msg *m)
{
	dsaa_writer_u8(w, m->keepalive.state_complete);
	dsaa_writer_u8(w, m->keepalive.draining);
}

static unsigned read_ack(struct dsaa_reader *r, struct dsaa_msg *m, struct dsaa_record *records)
{
	(void)records;
	m->ack.epoch = dsaa_reader_u64(r);
	m->ack.seq = dsaa_reader_u64(r);
	m->ack.applied = dsaa_reader_u64(r);
	m->ack.rejected = dsaa_reader_u64(r);
	return DSAA_R_NONE;
}

static void write_ack(struct dsaa_writer *w, const struct dsaa_msg *m)
{
	dsaa_writer_u64(w, m->ack.epoch);
	dsaa_writer_u64(w, m->ack.seq);
	dsaa_writer_u64(w, m->ack.applied);
	dsaa_writer_u64(w, m->ack.rejected);
}

static unsigned read_resume(struct dsaa_reader *r, struct dsaa_msg *m, struct dsaa_record *records)
{
	(void)records;
	m->resume.from = dsaa_reader_u64(r);
	m->resume.to = dsaa_reader_u64(r);
	return m->resume.from <= m->resume.to ? DSAA_R_NONE : DSAA_R_MALFORMED;
}

static void write_resume(struct dsaa_writer *w, const struct dsaa_msg *m)
{
	dsaa_writer_u64(w, m->resume.from);
	dsaa_writer_u64(w, m->resume.to);
}

/* BEGIN, END and DONE differ in how many of the fields they have. */
static unsigned read_bulk(struct dsaa_reader *r, struct dsaa_msg *m, struct dsaa_record *records)
{
	(void)records;
	m->bulk.bulk_id = dsaa_reader_u32(r);
	if (m->type == DSAA_MSG_BULK_BEGIN)
		return DSAA_R_NONE;
	m->bulk.count = dsaa_reader_u64(r);
	m->bulk.digest = dsaa_reader_u64(r);
	if (m->type == DSAA_MSG_BULK_DONE)
		m->bulk.rejected = dsaa_reader_u64(r);
	return DSAA_R_NONE;
}

static void write_bulk(struct dsaa_writer *w, const struct dsaa_msg *m)
{
	dsaa_writer_u32(w, m->bulk.bulk_id);
	if (m->type == DSAA_MSG_BULK_BEGIN)
		return;
	dsaa_writer_u64(w, m->bulk.count);
	dsaa_writer_u64(w, m->bulk.digest);
	if (m->type == DSAA_MSG_BULK_DONE)
		dsaa_writer_u64(w, m->bulk.rejected);
}

static unsigned read_nothing(struct dsaa_reader *r, struct dsaa_msg *m, struct dsaa_record *records)
{
	(void)r;
	(void)m;
	(void)records;
	return DSAA_R_NONE;
}

static void write_nothing(struct dsaa_writer *w, const struct dsaa_msg *m)
{
	(void)w;
	(void)m;
}

static unsigned read_goodbye(struct dsaa_reader *r, struct dsaa_msg *m, struct dsaa_record *records)
{
	(void)records;
	m->goodbye.reason = dsaa_reader_u16(r);
	return DSAA_R_NONE;
}

static void write_goodbye(struct dsaa_writer *w, const struct dsaa_msg *m)
{
	dsaa_writer_u16(w, m->goodbye.reason);
}

/* How an audit's messages name hashes: BEGIN and END none, the others at least one. */
static const struct naming {
	uint8_t type;
	uint8_t stride; /* bytes of one */
	uint16_t max;
} namings[] = {
	{ DSAA_MSG_AUDIT_HASHES, 8, DSAA_HASHES_PER_MSG_MAX },
	{ DSAA_MSG_AUDIT_WANT, 8, DSAA_HASHES_PER_MSG_MAX },
	{ DSAA_MSG_AUDIT_STATES, 12, DSAA_STATES_PER_MSG_MAX },
};

static const struct naming *naming_of(uint8_t type)
{
	for (size_t i = 0; i < sizeof(namings) / sizeof(namings[0]); i++)
		if (namings[i].type == type)
			return &namings[i];
	return NULL;
}

static unsigned read_hashes(struct dsaa_reader *r, struct dsaa_msg *m, struct dsaa_record *records)
{
	const struct naming *n = naming_of(m->type);
	struct dsaa_msg_hashes *h = &m->hashes;

	(void)records;
	h->audit_id = dsaa_reader_u32(r);
	if (!n)
		return DSAA_R_NONE;
	h->count = dsaa_reader_u16(r);
	h->stride = n->stride;
	if (!h->count || h->count > n->max || dsaa_reader_left(r) != (size_t)h->count * n->stride)
		return DSAA_R_MALFORMED;
	h->bytes = r->data + r->pos;
	dsaa_reader_skip(r, dsaa_reader_left(r));
	return DSAA_R_NONE;
}

static void write_hashes(struct dsaa_writer *w, const struct dsaa_msg *m)
{
	dsaa_writer_u32(w, m->hashes.audit_id);
	if (!naming_of(m->type))
		return;
	dsaa_writer_u16(w, m->hashes.count);
	for (unsigned i = 0; i < m->hashes.count; i++) {
		dsaa_writer_u64(w, m->hashes.list[i]);
		if (m->type == DSAA_MSG_AUDIT_STATES)
			dsaa_writer_u32(w, m->hashes.states[i]);
	}
}

uint64_t dsaa_wire_hash(const struct dsaa_msg_hashes *h, unsigned i)
{
	struct dsaa_reader r;

	dsaa_reader_init(&r, h->bytes + i * h->stride, sizeof(uint64_t));
	return dsaa_reader_u64(&r);
}

uint32_t dsaa_wire_state(const struct dsaa_msg_hashes *h, unsigned i)
{
	struct dsaa_reader r;

	dsaa_reader_init(&r, h->bytes + i * h->stride + sizeof(uint64_t), sizeof(uint32_t));
	return dsaa_reader_u32(&r);
}

static unsigned read_handover(struct dsaa_reader *r, struct dsaa_msg *m,
			      struct dsaa_record *records)
{
	(void)records;
	m->handover.count = dsaa_reader_u64(r);
	return DSAA_R_NONE;
}

static void write_handover(struct dsaa_writer *w, const struct dsaa_msg *m)
{
	dsaa_writer_u64(w, m->handover.count);
}

/* ------------------------------------------------------------------ EXPECTS (2.11) */

/* Every record is read once to see that it can be; who uses them reads them again. */
static unsigned read_expects(struct dsaa_reader *r, struct dsaa_msg *m, struct dsaa_record *records)
{
	struct dsaa_msg_expects *x = &m->expects;
	struct dsaa_expect one;
	bool whole;

	(void)records;
	x->epoch = dsaa_reader_u64(r);
	x->reset = dsaa_reader_u8(r);
	x->count = dsaa_reader_u16(r);
	if (x->reset > 1 || x->count > DSAA_EXPECTS_PER_MSG_MAX || (!x->count && !x->reset))
		return DSAA_R_MALFORMED;
	x->bytes = r->data + r->pos;
	x->len = dsaa_reader_left(r);
	for (unsigned i = 0; i < x->count; i++)
		if (!dsaa_expect_read(r, &one, &whole))
			return DSAA_R_MALFORMED;
	return DSAA_R_NONE;
}

static void write_expects(struct dsaa_writer *w, const struct dsaa_msg *m)
{
	const struct dsaa_msg_expects *x = &m->expects;

	dsaa_writer_u64(w, x->epoch);
	dsaa_writer_u8(w, x->reset);
	dsaa_writer_u16(w, x->count);
	for (unsigned i = 0; i < x->count; i++)
		dsaa_expect_write(w, x->list[i], x->whole[i]);
}

/* ------------------------------------------------------------------ LINES (2.12) */

static unsigned read_lines(struct dsaa_reader *r, struct dsaa_msg *m, struct dsaa_record *records)
{
	struct dsaa_msg_lines *l = &m->lines;

	(void)records;
	l->kind = dsaa_reader_u8(r);
	l->cut = dsaa_reader_u8(r);
	l->digest = dsaa_reader_u64(r);
	l->text = (const char *)r->data + r->pos;
	l->len = (uint16_t)dsaa_reader_left(r);
	dsaa_reader_skip(r, l->len);
	return l->cut <= 1 && dsaa_lines_valid(l->text, l->len) ? DSAA_R_NONE : DSAA_R_MALFORMED;
}

static void write_lines(struct dsaa_writer *w, const struct dsaa_msg *m)
{
	dsaa_writer_u8(w, m->lines.kind);
	dsaa_writer_u8(w, m->lines.cut);
	dsaa_writer_u64(w, m->lines.digest);
	dsaa_writer_bytes(w, (const uint8_t *)m->lines.text, m->lines.len);
}

/* ------------------------------------------------------------------ table (2.2) */

/* Types without a reader are unknown; those without a writer are built record by record. */
static const struct message_type {
	const char *name;
	uint32_t min;
	uint32_t max;
	unsigned (*read)(struct dsaa_reader *r, struct dsaa_msg *m, struct dsaa_record *records);
	void (*write)(struct dsaa_writer *w, const struct dsaa_msg *m);
} types[] = {
	[DSAA_MSG_HELLO] = { "HELLO", HELLO_FOREIGN_LEN, DSAA_MSG_BODY_MAX, read_hello,
			     write_hello },
	[DSAA_MSG_REFUSE] = { "REFUSE", 2, 2, read_refuse, write_refuse },
	[DSAA_MSG_KEEPALIVE] = { "KEEPALIVE", 2, 2, read_keepalive, write_keepalive },
	[DSAA_MSG_FLOWS] = { "FLOWS", FLOWS_LEN, DSAA_MSG_BODY_MAX, read_flows, NULL },
	[DSAA_MSG_ACK] = { "ACK", 32, 32, read_ack, write_ack },
	[DSAA_MSG_BULK_BEGIN] = { "BULK_BEGIN", 4, 4, read_bulk, write_bulk },
	[DSAA_MSG_BULK_FLOWS] = { "BULK_FLOWS", BULK_FLOWS_LEN, DSAA_MSG_BODY_MAX, read_flows,
				  NULL },
	[DSAA_MSG_BULK_END] = { "BULK_END", 20, 20, read_bulk, write_bulk },
	[DSAA_MSG_BULK_DONE] = { "BULK_DONE", 28, 28, read_bulk, write_bulk },
	[DSAA_MSG_BULK_REQUEST] = { "BULK_REQUEST", 0, 0, read_nothing, write_nothing },
	[DSAA_MSG_GOODBYE] = { "GOODBYE", 2, 2, read_goodbye, write_goodbye },
	[DSAA_MSG_AUDIT_BEGIN] = { "AUDIT_BEGIN", 4, 4, read_hashes, write_hashes },
	[DSAA_MSG_AUDIT_HASHES] = { "AUDIT_HASHES", HASHES_LEN, DSAA_MSG_BODY_MAX, read_hashes,
				    write_hashes },
	[DSAA_MSG_AUDIT_END] = { "AUDIT_END", 4, 4, read_hashes, write_hashes },
	[DSAA_MSG_AUDIT_WANT] = { "AUDIT_WANT", HASHES_LEN, DSAA_MSG_BODY_MAX, read_hashes,
				  write_hashes },
	[DSAA_MSG_AUDIT_FLOWS] = { "AUDIT_FLOWS", BULK_FLOWS_LEN, DSAA_MSG_BODY_MAX, read_flows,
				   NULL },
	[DSAA_MSG_RESUME] = { "RESUME", 16, 16, read_resume, write_resume },
	[DSAA_MSG_EXPECTS] = { "EXPECTS", EXPECTS_LEN, DSAA_MSG_BODY_MAX, read_expects,
			       write_expects },
	[DSAA_MSG_AUDIT_STATES] = { "AUDIT_STATES", STATES_LEN, DSAA_MSG_BODY_MAX, read_hashes,
				    write_hashes },
	[DSAA_MSG_HANDOVER] = { "HANDOVER", 8, 8, read_handover, write_handover },
	[DSAA_MSG_AUDIT_BUSY] = { "AUDIT_BUSY", 4, 4, read_hashes, write_hashes },
	[DSAA_MSG_LINES] = { "LINES", LINES_LEN, LINES_BODY_MAX, read_lines, write_lines },
};

static const struct message_type *type_of(uint8_t type)
{
	if (type >= sizeof(types) / sizeof(types[0]) || !types[type].read)
		return NULL;
	return &types[type];
}

unsigned dsaa_wire_type(const uint8_t *buf)
{
	return buf[HEADER_POS_TYPE];
}

const char *dsaa_wire_type_name(unsigned type)
{
	const struct message_type *t = type <= UINT8_MAX ? type_of((uint8_t)type) : NULL;

	return t ? t->name : "?";
}

size_t dsaa_wire_encode(uint8_t *buf, size_t cap, const struct dsaa_msg *m)
{
	const struct message_type *t = type_of(m->type);
	struct dsaa_writer w;

	if (!t || !t->write)
		return 0;
	dsaa_writer_init(&w, buf, cap);
	write_header(&w, m->type);
	t->write(&w, m);
	return finish_message(&w);
}

unsigned dsaa_wire_decode(const uint8_t *buf, size_t len, struct dsaa_msg *m,
			  struct dsaa_record *records)
{
	struct dsaa_msg out = { 0 };
	const struct message_type *t;
	unsigned why = DSAA_R_MALFORMED;
	struct dsaa_reader r;
	uint8_t flags;
	size_t body;

	if (len < DSAA_MSG_HEADER_LEN || dsaa_wire_frame(buf, len, &why) != (long)len)
		return DSAA_R_MALFORMED;
	body = len - DSAA_MSG_HEADER_LEN;
	dsaa_reader_init(&r, buf, len);
	dsaa_reader_skip(&r, 2);
	out.type = dsaa_reader_u8(&r);
	flags = dsaa_reader_u8(&r);
	dsaa_reader_skip(&r, 4);
	t = type_of(out.type);
	if (out.type >= DSAA_MSG_SKIPPABLE && (!t || flags != 0)) {
		/* one that we know, but not with such flags, is not that one */
		if (t)
			out.type = DSAA_MSG_SKIPPED;
		*m = out;
		return DSAA_R_NONE;
	}
	if (!t || flags != 0 || body < t->min || body > t->max)
		return DSAA_R_MALFORMED;
	why = t->read(&r, &out, records);
	if (why != DSAA_R_NONE)
		return why;
	if (!dsaa_reader_done(&r))
		return DSAA_R_MALFORMED;
	*m = out;
	return DSAA_R_NONE;
}
