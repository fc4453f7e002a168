/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The codec of the sync protocol: round trips, every truncation, every flipped
 * bit, each length at its edge. Messages are decoded from memory of exactly
 * their length, so that the sanitizer sees every read beyond.
 */
#include <stdlib.h>

#include "core/dsaa_wire.h"
#include "tests/unit/flows.h"

static uint8_t buf[DSAA_MSG_MAX + 16];
static struct dsaa_record records[DSAA_FLOWS_PER_MSG_MAX];

/* Decodes a copy of LEN bytes in memory of that very size. */
static unsigned decode(const uint8_t *data, size_t len, struct dsaa_msg *m)
{
	uint8_t *copy = malloc(len ? len : 1);
	unsigned why;

	memcpy(copy, data, len);
	why = dsaa_wire_decode(copy, len, m, records);
	free(copy);
	return why;
}

static void set_length(uint8_t *msg, size_t body)
{
	msg[4] = (uint8_t)(body >> 24);
	msg[5] = (uint8_t)(body >> 16);
	msg[6] = (uint8_t)(body >> 8);
	msg[7] = (uint8_t)body;
}

/* The message M of TYPE with every field set to something of its own. */
static struct dsaa_msg sample(uint8_t type)
{
	struct dsaa_msg m;

	memset(&m, 0, sizeof(m));
	m.type = type;
	switch (type) {
	case DSAA_MSG_HELLO:
		m.hello = (struct dsaa_msg_hello){ DSAA_WIRE_MAJOR,
						   9,
						   1,
						   16,
						   0x01020304,
						   UINT64_C(0x1122334455667788),
						   ~UINT64_C(1),
						   5,
						   3000,
						   77,
						   UINT64_C(0x8899aabbccddeeff) };
		break;
	case DSAA_MSG_REFUSE:
		m.refuse.reason = 0xfedc;
		break;
	case DSAA_MSG_KEEPALIVE:
		m.keepalive = (struct dsaa_msg_keepalive){ 1, 0 };
		break;
	case DSAA_MSG_ACK:
		m.ack = (struct dsaa_msg_ack){ 1, UINT64_MAX, 3, UINT64_C(1) << 40 };
		break;
	case DSAA_MSG_BULK_BEGIN:
		m.bulk.bulk_id = 0xdeadbeef;
		break;
	case DSAA_MSG_BULK_DONE:
		m.bulk.rejected = 4;
		__attribute__((fallthrough));
	case DSAA_MSG_BULK_END:
		m.bulk.bulk_id = 7;
		m.bulk.count = 1000000;
		m.bulk.digest = UINT64_C(0xabcdef0123456789);
		break;
	case DSAA_MSG_RESUME:
		m.resume = (struct dsaa_msg_resume){ 5, UINT64_MAX };
		break;
	case DSAA_MSG_AUDIT_BUSY:
		m.hashes.audit_id = 0xdeadbeef;
		break;
	case DSAA_MSG_GOODBYE:
		m.goodbye.reason = DSAA_R_PEER_STOPPING;
		break;
	default:
		break;
	}
	return m;
}

/* Encodes COUNT random records; their originals go to SENT. */
static size_t random_flows(uint8_t type, unsigned count, struct dsaa_record *sent)
{
	struct dsaa_flows_writer w;

	dsaa_wire_flows_begin(&w, buf, sizeof(buf), type, 0x1234, 0x5678);
	for (unsigned i = 0; i < count; i++) {
		memset(&sent[i], 0, sizeof(sent[i]));
		sent[i].op = test_random() % 4 ? DSAA_OP_UPSERT : DSAA_OP_DELETE;
		sent[i].seq = test_random();
		sent[i].flow = flow_random();
		CHECK(dsaa_wire_flows_add(&w, &sent[i]));
	}
	return dsaa_wire_flows_end(&w);
}

static bool record_equal(const struct dsaa_record *got, const struct dsaa_record *sent)
{
	struct dsaa_flow want = sent->flow;

	if (got->op != sent->op || got->seq != sent->seq)
		return false;
	if (sent->op == DSAA_OP_DELETE) {
		memset(&want, 0, sizeof(want));
		want.family = sent->flow.family;
		want.proto = sent->flow.proto;
		want.zone = sent->flow.zone;
		want.orig = sent->flow.orig;
	}
	/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): padding as well */
	return memcmp(&got->flow, &want, sizeof(want)) == 0;
}

static void test_hashes(void)
{
	static uint64_t list[DSAA_HASHES_PER_MSG_MAX + 1];
	struct dsaa_msg m = { .type = DSAA_MSG_AUDIT_HASHES }, got;
	size_t len;

	for (unsigned i = 0; i <= DSAA_HASHES_PER_MSG_MAX; i++)
		list[i] = test_random();
	m.hashes.audit_id = 77;
	m.hashes.list = list;
	for (unsigned count = 1; count <= DSAA_HASHES_PER_MSG_MAX; count += 1333) {
		bool same = true;

		m.hashes.count = (uint16_t)count;
		len = dsaa_wire_encode(buf, sizeof(buf), &m);
		/* the hashes stay in the buffer: not through decode(), which frees its copy */
		CHECK(dsaa_wire_decode(buf, len, &got, NULL) == DSAA_R_NONE);
		CHECK(got.hashes.audit_id == 77 && got.hashes.count == count);
		for (unsigned i = 0; i < count; i++)
			same &= dsaa_wire_hash(&got.hashes, i) == list[i];
		CHECK(same);
	}
	/* none, one too many, a count that is not what is there */
	m.hashes.count = 0;
	len = dsaa_wire_encode(buf, sizeof(buf), &m);
	CHECK(decode(buf, len, &got) == DSAA_R_MALFORMED);
	m.hashes.count = DSAA_HASHES_PER_MSG_MAX + 1;
	len = dsaa_wire_encode(buf, sizeof(buf), &m);
	CHECK(len > 0 && decode(buf, len, &got) == DSAA_R_MALFORMED);
	m.hashes.count = 2;
	len = dsaa_wire_encode(buf, sizeof(buf), &m);
	buf[13] = 3;
	CHECK(decode(buf, len, &got) == DSAA_R_MALFORMED);
	buf[13] = 1;
	CHECK(decode(buf, len, &got) == DSAA_R_MALFORMED);
}

static void test_resume_goes_forward(void)
{
	struct dsaa_msg m = { .type = DSAA_MSG_RESUME, .resume = { .from = 7, .to = 7 } }, got;
	size_t len = dsaa_wire_encode(buf, sizeof(buf), &m);

	CHECK(decode(buf, len, &got) == DSAA_R_NONE);
	m.resume.to = 6;
	len = dsaa_wire_encode(buf, sizeof(buf), &m);
	CHECK(decode(buf, len, &got) == DSAA_R_MALFORMED);
}

static void test_messages(void)
{
	for (unsigned type = 0; type < 256; type++) {
		struct dsaa_msg m = sample((uint8_t)type), got;
		size_t len = dsaa_wire_encode(buf, sizeof(buf), &m);
		unsigned reason = 0;

		if (type == DSAA_MSG_AUDIT_HASHES || type == DSAA_MSG_AUDIT_WANT ||
		    type == DSAA_MSG_AUDIT_STATES || type == DSAA_MSG_EXPECTS ||
		    type == DSAA_MSG_LINES)
			continue; /* test_hashes, test_states, test_expects, test_differ.c */
		if (type < DSAA_MSG_HELLO ||
		    (type > DSAA_MSG_RESUME && type != DSAA_MSG_HANDOVER &&
		     type != DSAA_MSG_AUDIT_BUSY) ||
		    type == DSAA_MSG_FLOWS || type == DSAA_MSG_BULK_FLOWS ||
		    type == DSAA_MSG_AUDIT_FLOWS) {
			CHECK(len == 0);
			continue;
		}
		CHECK(len >= DSAA_MSG_HEADER_LEN);
		memset(&got, 0xee, sizeof(got));
		CHECK(decode(buf, len, &got) == DSAA_R_NONE && got.type == type);
		/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): padding as well */
		CHECK(memcmp(&got, &m, sizeof(got)) == 0);
		for (size_t cap = 0; cap < len; cap++) {
			uint8_t *small = malloc(cap ? cap : 1);

			CHECK(dsaa_wire_encode(small, cap, &m) == 0);
			free(small);
			CHECK(dsaa_wire_frame(buf, cap, &reason) == 0);
		}
		CHECK(dsaa_wire_frame(buf, len, &reason) == (long)len);
		CHECK(dsaa_wire_frame(buf, len + 5, &reason) == (long)len);
	}
}

/* The fields that compare as bytes were zeroed by flow_make and by the decoder. */
static void test_flows_round_trip(void)
{
	static struct dsaa_record sent[DSAA_FLOWS_PER_MSG_MAX];
	struct dsaa_msg m;

	for (unsigned round = 0; round < 300; round++) {
		uint8_t type = round % 2 ? DSAA_MSG_FLOWS : DSAA_MSG_BULK_FLOWS;
		unsigned count = round < 2 ? DSAA_FLOWS_PER_MSG_MAX : 1 + round % 128;
		size_t len = random_flows(type, count, sent);

		CHECK(len > 0 && len <= DSAA_MSG_MAX);
		CHECK(decode(buf, len, &m) == DSAA_R_NONE && m.type == type);
		CHECK(m.flows.epoch == 0x1234 && m.flows.count == count);
		CHECK(m.flows.bulk_id == (type == DSAA_MSG_FLOWS ? 0 : 0x5678));
		CHECK(m.flows.records == records);
		for (unsigned i = 0; i < count; i++)
			CHECK(record_equal(&records[i], &sent[i]));
	}
}

static void test_writer_limits(void)
{
	struct dsaa_record r = { DSAA_OP_UPSERT, 1, flow_make(6, DSAA_PROTO_TCP, 1) };
	struct dsaa_flows_writer w;
	unsigned n;

	/* no record is no message; the 129th record does not go in */
	dsaa_wire_flows_begin(&w, buf, sizeof(buf), DSAA_MSG_FLOWS, 1, 0);
	CHECK(dsaa_wire_flows_end(&w) == 0);
	for (n = 0; dsaa_wire_flows_add(&w, &r); n++)
		;
	CHECK(n == DSAA_FLOWS_PER_MSG_MAX && dsaa_wire_flows_end(&w) > 0);
	/* the least room that the header promises holds any record */
	for (n = 0; n < 2000; n++) {
		struct dsaa_msg m;
		size_t len;

		r.flow = flow_random();
		dsaa_wire_flows_begin(&w, buf, DSAA_MSG_HEADER_LEN + 16 + DSAA_RECORD_LEN_MAX,
				      DSAA_MSG_BULK_FLOWS, 1, 2);
		CHECK(dsaa_wire_flows_add(&w, &r));
		len = dsaa_wire_flows_end(&w);
		CHECK(decode(buf, len, &m) == DSAA_R_NONE && m.flows.count == 1);
		/* one byte less than it needs */
		dsaa_wire_flows_begin(&w, buf, len - 1, DSAA_MSG_BULK_FLOWS, 1, 2);
		CHECK(!dsaa_wire_flows_add(&w, &r) && dsaa_wire_flows_end(&w) == 0);
		dsaa_wire_flows_begin(&w, buf, len, DSAA_MSG_BULK_FLOWS, 1, 2);
		CHECK(dsaa_wire_flows_add(&w, &r) && dsaa_wire_flows_end(&w) == len);
	}
	for (size_t cap = 0; cap < 18; cap++) {
		dsaa_wire_flows_begin(&w, buf, cap, DSAA_MSG_FLOWS, 1, 0);
		CHECK(!dsaa_wire_flows_add(&w, &r) && dsaa_wire_flows_end(&w) == 0);
	}
}

static void test_frame(void)
{
	uint8_t h[8] = { 0xd5, 0xaa, DSAA_MSG_KEEPALIVE, 0, 0, 0, 0, 2 };
	unsigned reason = 0;

	CHECK(dsaa_wire_frame(h, 0, &reason) == 0 && dsaa_wire_frame(h, 1, &reason) == 0);
	CHECK(dsaa_wire_frame(h, 8, &reason) == 0 && reason == 0);
	h[0] = 'G';
	CHECK(dsaa_wire_frame(h, 1, &reason) == -1 && reason == DSAA_R_MALFORMED);
	h[0] = 0xd5;
	h[1] = 0;
	CHECK(dsaa_wire_frame(h, 1, &reason) == 0 && dsaa_wire_frame(h, 2, &reason) == -1);
	h[1] = 0xaa;
	set_length(h, DSAA_MSG_BODY_MAX);
	CHECK(dsaa_wire_frame(h, 8, &reason) == 0);
	set_length(h, DSAA_MSG_BODY_MAX + 1);
	CHECK(dsaa_wire_frame(h, 8, &reason) == -1);
	set_length(h, UINT32_MAX);
	CHECK(dsaa_wire_frame(h, 8, &reason) == -1);
}

/* Every message cut at every byte, with the length it had and with one that fits the cut. */
static void truncate_all(size_t len)
{
	uint8_t *copy = malloc(len);
	struct dsaa_msg m;

	for (size_t cut = 0; cut < len; cut++) {
		memcpy(copy, buf, cut);
		CHECK(decode(copy, cut, &m) == DSAA_R_MALFORMED);
		if (cut < DSAA_MSG_HEADER_LEN)
			continue;
		set_length(copy, cut - DSAA_MSG_HEADER_LEN);
		/* of another major version two bytes are enough, not of ours */
		CHECK(decode(copy, cut, &m) != DSAA_R_NONE);
	}
	free(copy);
}

/* One byte more than there should be: refused except behind a HELLO. */
static void append_one(size_t len)
{
	struct dsaa_msg m;

	buf[len] = 0;
	CHECK(decode(buf, len + 1, &m) == DSAA_R_MALFORMED);
	set_length(buf, len + 1 - DSAA_MSG_HEADER_LEN);
	CHECK((decode(buf, len + 1, &m) == DSAA_R_NONE) == (buf[2] == DSAA_MSG_HELLO));
}

/* Each bit flipped: no crash, and what passes is still a valid flow of its own. */
static void flip_all(size_t len)
{
	uint8_t *copy = malloc(len);
	struct dsaa_msg m;

	for (size_t bit = 0; bit < len * 8; bit++) {
		memcpy(copy, buf, len);
		copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (dsaa_wire_decode(copy, len, &m, records) != DSAA_R_NONE)
			continue;
		if (m.type != DSAA_MSG_FLOWS && m.type != DSAA_MSG_BULK_FLOWS)
			continue;
		CHECK(m.flows.count >= 1 && m.flows.count <= DSAA_FLOWS_PER_MSG_MAX);
		for (unsigned i = 0; i < m.flows.count; i++)
			CHECK(records[i].op == DSAA_OP_DELETE ?
				      !dsaa_flow_key_invalid(&records[i].flow) :
				      !dsaa_flow_invalid(&records[i].flow));
	}
	free(copy);
}

static void test_damage(void)
{
	static struct dsaa_record sent[DSAA_FLOWS_PER_MSG_MAX];

	for (unsigned type = DSAA_MSG_HELLO; type <= DSAA_MSG_GOODBYE; type++) {
		for (unsigned round = 0; round < 20; round++) {
			struct dsaa_msg m = sample((uint8_t)type);
			bool flows = type == DSAA_MSG_FLOWS || type == DSAA_MSG_BULK_FLOWS;
			size_t len = flows ? random_flows(type, 1 + round % 5, sent) :
					     dsaa_wire_encode(buf, sizeof(buf), &m);

			truncate_all(len);
			flip_all(len);
			append_one(len);
			if (!flows)
				break;
		}
	}
}

static void test_random_bytes(void)
{
	struct dsaa_msg m;

	for (unsigned n = 0; n < 200000; n++) {
		size_t len = DSAA_MSG_HEADER_LEN + test_random() % 120;

		for (size_t i = 0; i < len; i++)
			buf[i] = (uint8_t)(test_random() % 3 ? test_random() % 8 : test_random());
		buf[0] = 0xd5;
		buf[1] = 0xaa;
		buf[2] = (uint8_t)(test_random() % 13);
		buf[3] = 0;
		set_length(buf, len - DSAA_MSG_HEADER_LEN);
		decode(buf, len, &m);
		test_passed++;
	}
}

static void test_hello_rules(void)
{
	struct dsaa_msg m = sample(DSAA_MSG_HELLO), got;
	size_t len = dsaa_wire_encode(buf, sizeof(buf), &m);

	/* a newer minor appends: known fields are read, the tail is left */
	memset(buf + len, 0x77, 100);
	set_length(buf, len + 100 - DSAA_MSG_HEADER_LEN);
	CHECK(decode(buf, len + 100, &got) == DSAA_R_NONE);
	/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): padding as well */
	CHECK(memcmp(&got, &m, sizeof(m)) == 0);
	set_length(buf, DSAA_MSG_BODY_MAX);
	CHECK(decode(buf, DSAA_MSG_MAX, &got) == DSAA_R_NONE);
	/* another major may look like anything behind its version */
	buf[8] = 2;
	set_length(buf, 2);
	CHECK(decode(buf, 10, &got) == DSAA_R_NONE && got.hello.major == 2 && got.hello.from == 0);
	set_length(buf, 1);
	CHECK(decode(buf, 9, &got) == DSAA_R_MALFORMED);
	for (unsigned site = 0; site < 256; site++) {
		m.hello.from = (dsaa_site_id)site;
		m.hello.to = 1;
		len = dsaa_wire_encode(buf, sizeof(buf), &m);
		CHECK((decode(buf, len, &got) == DSAA_R_NONE) ==
		      (site >= 1 && site <= DSAA_SITES_MAX));
		m.hello.from = 1;
		m.hello.to = (dsaa_site_id)site;
		len = dsaa_wire_encode(buf, sizeof(buf), &m);
		CHECK((decode(buf, len, &got) == DSAA_R_NONE) ==
		      (site >= 1 && site <= DSAA_SITES_MAX));
	}
}

static void test_states(void)
{
	static uint64_t list[DSAA_STATES_PER_MSG_MAX + 1];
	static uint32_t states[DSAA_STATES_PER_MSG_MAX + 1];
	struct dsaa_msg m = { .type = DSAA_MSG_AUDIT_STATES }, got;
	unsigned reason;
	size_t len;

	for (unsigned i = 0; i <= DSAA_STATES_PER_MSG_MAX; i++) {
		list[i] = test_random();
		states[i] = (uint32_t)test_random();
	}
	m.hashes.audit_id = 78;
	m.hashes.list = list;
	m.hashes.states = states;
	for (unsigned count = 1; count <= DSAA_STATES_PER_MSG_MAX; count += 4999) {
		bool same = true;

		m.hashes.count = (uint16_t)count;
		len = dsaa_wire_encode(buf, sizeof(buf), &m);
		CHECK(len == DSAA_MSG_HEADER_LEN + 6 + 12 * count);
		CHECK(dsaa_wire_frame(buf, len, &reason) == (long)len);
		CHECK(dsaa_wire_decode(buf, len, &got, NULL) == DSAA_R_NONE);
		CHECK(got.hashes.audit_id == 78 && got.hashes.count == count);
		for (unsigned i = 0; i < count; i++)
			same &= dsaa_wire_hash(&got.hashes, i) == list[i] &&
				dsaa_wire_state(&got.hashes, i) == states[i];
		CHECK(same);
	}
	/* the count is one off, and beyond the limit */
	m.hashes.count = 3;
	len = dsaa_wire_encode(buf, sizeof(buf), &m);
	buf[DSAA_MSG_HEADER_LEN + 5] = 2;
	CHECK(decode(buf, len, &got) == DSAA_R_MALFORMED);
	m.hashes.count = DSAA_STATES_PER_MSG_MAX + 1;
	len = dsaa_wire_encode(buf, sizeof(buf), &m);
	CHECK(len > 0 && decode(buf, len, &got) == DSAA_R_MALFORMED);
}

static struct dsaa_expect expect_make(uint8_t family, unsigned n)
{
	struct dsaa_flow f = flow_make(family, DSAA_PROTO_TCP, n);
	struct dsaa_expect x = { .family = family,
				 .proto = DSAA_PROTO_TCP,
				 .zone = (uint16_t)n,
				 .tuple = f.reply,
				 .master_proto = DSAA_PROTO_TCP,
				 .master = f.orig,
				 .timeout_s = 300,
				 .flags = n & 7,
				 .class = n & 255 };

	x.tuple.sport = 0;
	memset(x.mask.src, 0xff, family == 4 ? 4 : 16);
	memcpy(x.mask.dst, x.mask.src, sizeof(x.mask.dst));
	x.mask.dport = 0xffff;
	if (n & 1)
		memcpy(x.helper, "ftp", 3);
	if (n & 2) {
		x.has_nat = true;
		x.nat_dir = n >> 2 & 1;
		x.nat_proto = DSAA_PROTO_TCP;
		x.nat = f.orig;
		memcpy(x.fn, "nat-follow-master", 17);
	}
	return x;
}

static void test_expects(void)
{
	struct dsaa_expect x[DSAA_EXPECTS_PER_MSG_MAX], got;
	const struct dsaa_expect *list[DSAA_EXPECTS_PER_MSG_MAX + 1];
	bool whole[DSAA_EXPECTS_PER_MSG_MAX + 1] = { false }, is_whole;
	struct dsaa_msg m = { .type = DSAA_MSG_EXPECTS }, out;
	struct dsaa_reader r;
	unsigned taken = 0;
	size_t len;

	for (unsigned i = 0; i < DSAA_EXPECTS_PER_MSG_MAX; i++) {
		x[i] = expect_make(i & 8 ? 6 : 4, i);
		list[i] = &x[i];
		whole[i] = i % 5 != 0;
	}
	list[DSAA_EXPECTS_PER_MSG_MAX] = &x[0];
	m.expects.epoch = 9;
	m.expects.list = list;
	m.expects.whole = whole;
	m.expects.count = DSAA_EXPECTS_PER_MSG_MAX;
	len = dsaa_wire_encode(buf, sizeof(buf), &m);
	CHECK(dsaa_wire_decode(buf, len, &out, NULL) == DSAA_R_NONE);
	CHECK(out.expects.epoch == 9 && out.expects.count == DSAA_EXPECTS_PER_MSG_MAX);
	dsaa_reader_init(&r, out.expects.bytes, out.expects.len);
	for (unsigned i = 0; i < out.expects.count; i++) {
		CHECK(dsaa_expect_read(&r, &got, &is_whole) && is_whole == whole[i]);
		CHECK(dsaa_expect_key_equal(&got, &x[i]));
		/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): padding as well */
		CHECK(!is_whole || !memcmp(&got, &x[i], sizeof(got)));
	}
	/* none is only with a reset, and more than the limit are none */
	m.expects.count = 0;
	len = dsaa_wire_encode(buf, sizeof(buf), &m);
	CHECK(decode(buf, len, &out) == DSAA_R_MALFORMED);
	m.expects.reset = 1;
	len = dsaa_wire_encode(buf, sizeof(buf), &m);
	CHECK(decode(buf, len, &out) == DSAA_R_NONE && out.expects.reset == 1);
	buf[DSAA_MSG_HEADER_LEN + 8] = 2;
	CHECK(decode(buf, len, &out) == DSAA_R_MALFORMED);
	m.expects.count = DSAA_EXPECTS_PER_MSG_MAX + 1;
	len = dsaa_wire_encode(buf, sizeof(buf), &m);
	CHECK(decode(buf, len, &out) == DSAA_R_MALFORMED);
	/* every cut of one, and one with any bytes changed: refused, or one that can be */
	m.expects.count = 1;
	list[0] = &x[7];
	whole[0] = true;
	len = dsaa_wire_encode(buf, sizeof(buf), &m);
	for (size_t cut = DSAA_MSG_HEADER_LEN; cut < len; cut++) {
		set_length(buf, cut - DSAA_MSG_HEADER_LEN);
		CHECK(decode(buf, cut, &out) == DSAA_R_MALFORMED);
	}
	for (unsigned i = 0; i < 20000; i++) {
		len = dsaa_wire_encode(buf, sizeof(buf), &m);
		for (unsigned n = 1 + test_random() % 4; n; n--)
			buf[DSAA_MSG_HEADER_LEN + test_random() % (len - DSAA_MSG_HEADER_LEN)] =
				(uint8_t)test_random();
		if (dsaa_wire_decode(buf, len, &out, NULL) != DSAA_R_NONE || !out.expects.count)
			continue;
		taken++;
		dsaa_reader_init(&r, out.expects.bytes, out.expects.len);
		CHECK(dsaa_expect_read(&r, &got, &is_whole) &&
		      !dsaa_expect_invalid(&got, is_whole));
	}
	CHECK(taken > 100 && taken < 20000);
}

static void test_type_rules(void)
{
	for (unsigned type = 0; type < 256; type++) {
		struct dsaa_msg m = sample(DSAA_MSG_BULK_REQUEST), got;
		bool known = (type >= DSAA_MSG_HELLO && type <= DSAA_MSG_GOODBYE) ||
			     type == DSAA_MSG_AUDIT_STATES || type == DSAA_MSG_EXPECTS ||
			     type == DSAA_MSG_HANDOVER || type == DSAA_MSG_LINES ||
			     type == DSAA_MSG_AUDIT_BUSY;
		size_t len = dsaa_wire_encode(buf, sizeof(buf), &m) + 3;

		buf[2] = (uint8_t)type;
		set_length(buf, 3);
		memset(&got, 0, sizeof(got));
		if (known)
			continue;
		CHECK((decode(buf, len, &got) == DSAA_R_NONE) == (type >= DSAA_MSG_SKIPPABLE));
		CHECK(got.type == (type >= DSAA_MSG_SKIPPABLE ? type : 0));
	}
	struct dsaa_msg m = sample(DSAA_MSG_KEEPALIVE), got;
	size_t len = dsaa_wire_encode(buf, sizeof(buf), &m);

	/* of a skippable type flags that only a newer version knows */
	buf[2] = DSAA_MSG_AUDIT_STATES;
	buf[3] = 1;
	CHECK(decode(buf, len, &got) == DSAA_R_NONE && got.type == DSAA_MSG_SKIPPED);
	buf[2] = DSAA_MSG_KEEPALIVE;
	buf[3] = 1; /* reserved flags */
	CHECK(decode(buf, len, &got) == DSAA_R_MALFORMED);
	buf[3] = 0;
	buf[8] = 2; /* neither 0 nor 1 */
	CHECK(decode(buf, len, &got) == DSAA_R_MALFORMED);
	CHECK(decode(buf, 0, &got) == DSAA_R_MALFORMED && decode(buf, 7, &got) == DSAA_R_MALFORMED);
}

/* Where the fields of the only record of a FLOWS message stand. */
enum { COUNT = 16, RECORD = 18, OP = 20, FAMILY = 21, PROTO = 22 };

static size_t one_record(uint8_t op, struct dsaa_flow f)
{
	struct dsaa_record r = { op, 1, f };
	struct dsaa_flows_writer w;

	dsaa_wire_flows_begin(&w, buf, sizeof(buf), DSAA_MSG_FLOWS, 1, 0);
	CHECK(dsaa_wire_flows_add(&w, &r));
	return dsaa_wire_flows_end(&w);
}

/* Appends TYPE, LEN and that many zeroes to the only record of the message of LENGTH. */
static size_t append_attribute(size_t length, uint8_t type, uint8_t len)
{
	size_t record = length - OP + 2u + len;

	buf[length] = type;
	buf[length + 1] = len;
	memset(buf + length + 2, 0, len);
	buf[RECORD] = (uint8_t)(record >> 8);
	buf[RECORD + 1] = (uint8_t)record;
	set_length(buf, length + 2u + len - DSAA_MSG_HEADER_LEN);
	return length + 2u + len;
}

/* What decoding says of a UDP record with attribute TYPE of LEN bytes VALUE, TIMES times. */
static unsigned with_part(uint8_t type, const void *value, uint8_t len, unsigned times)
{
	size_t at = one_record(DSAA_OP_UPSERT, flow_make(4, DSAA_PROTO_UDP, 1));
	struct dsaa_msg m;

	while (times--) {
		size_t end = append_attribute(at, type, len);

		memcpy(buf + at + 2, value, len);
		at = end;
	}
	return decode(buf, at, &m);
}

/* The rare parts: each once, with its length and a possible value. */
static void test_rare_parts(void)
{
	static const uint8_t master[37] = { 6, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 0, 2 };
	static const uint8_t self[13] = { 17, 192, 0, 0, 1, 10, 0, 0, 2, 0, 1, 1, 187 };
	static const uint8_t zone[4] = { 0, 9 }, zeroes[64];
	static const char longest[] = "fifteen-letters", bad[] = "f\nt", gap[] = "f\0t";
	static const struct {
		uint8_t type, len;
		const void *value;
		unsigned want;
	} parts[] = {
		{ 128, 3, "ftp", DSAA_R_NONE },
		{ 128, 15, longest, DSAA_R_NONE },
		{ 128, 16, longest, DSAA_R_MALFORMED },
		{ 128, 0, "", DSAA_R_MALFORMED },
		{ 128, 3, bad, DSAA_R_MALFORMED },
		{ 128, 3, gap, DSAA_R_MALFORMED },
		{ 128, 3, "f t", DSAA_R_MALFORMED },
		{ 129, 24, zeroes, DSAA_R_NONE },
		{ 129, 23, zeroes, DSAA_R_MALFORMED },
		{ 129, 25, zeroes, DSAA_R_MALFORMED },
		{ 130, 16, zeroes, DSAA_R_NONE },
		{ 130, 8, zeroes, DSAA_R_MALFORMED },
		{ 131, 13, master, DSAA_R_NONE },
		{ 131, 13, zeroes, DSAA_R_BAD_FLOW },
		{ 131, 13, self, DSAA_R_BAD_FLOW },
		{ 131, 37, master, DSAA_R_MALFORMED }, /* of IPv6 */
		{ 132, 2, zone, DSAA_R_NONE },
		{ 132, 2, zeroes, DSAA_R_BAD_FLOW }, /* the key's zone */
		{ 132, 4, zone, DSAA_R_MALFORMED },
	};

	for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		CHECK(with_part(parts[i].type, parts[i].value, parts[i].len, 1) == parts[i].want);
		CHECK(with_part(parts[i].type, parts[i].value, parts[i].len, 2) != DSAA_R_NONE);
	}
}

static void test_attributes(void)
{
	struct dsaa_flow udp = flow_make(4, DSAA_PROTO_UDP, 1),
			 tcp = flow_make(4, DSAA_PROTO_TCP, 1);
	struct dsaa_msg m;
	size_t len;

	for (unsigned type = 0; type < 256; type++) {
		for (unsigned size = 0; size < 256; size += 51) {
			bool skipped = type >= 128;
			/* of 128 to 132 none is of such a length */
			bool unknown = type > 132;

			len = append_attribute(one_record(DSAA_OP_UPSERT, udp), (uint8_t)type,
					       (uint8_t)size);
			CHECK((decode(buf, len, &m) == DSAA_R_NONE) == unknown);
			len = append_attribute(one_record(DSAA_OP_DELETE, udp), (uint8_t)type,
					       (uint8_t)size);
			CHECK((decode(buf, len, &m) == DSAA_R_NONE) == skipped);
			len = append_attribute(one_record(DSAA_OP_UPSERT, tcp), (uint8_t)type,
					       (uint8_t)size);
			CHECK((decode(buf, len, &m) == DSAA_R_NONE) == unknown);
		}
	}
	/* TCP's own attribute: missing, twice, too short, too long */
	len = one_record(DSAA_OP_UPSERT, tcp);
	CHECK(buf[len - 7] == 1 && buf[len - 6] == 5);
	append_attribute(len, 1, 5);
	CHECK(decode(buf, len + 7, &m) == DSAA_R_MALFORMED);
	append_attribute(len - 7, 1, 5);
	CHECK(decode(buf, len, &m) == DSAA_R_NONE);
	append_attribute(len - 7, 200, 5);
	CHECK(decode(buf, len, &m) == DSAA_R_MALFORMED);
	append_attribute(len - 7, 1, 4);
	CHECK(decode(buf, len - 1, &m) == DSAA_R_MALFORMED);
	append_attribute(len - 7, 1, 6);
	CHECK(decode(buf, len + 1, &m) == DSAA_R_MALFORMED);
	/* an attribute that runs out of its record */
	len = one_record(DSAA_OP_UPSERT, udp);
	append_attribute(len, 200, 5);
	buf[len + 1] = 6;
	CHECK(decode(buf, len + 7, &m) == DSAA_R_MALFORMED);
	/* the longest record there may be, and one byte more */
	len = one_record(DSAA_OP_UPSERT, udp);
	len = append_attribute(len, 200, 255);
	len = append_attribute(len, 201, (uint8_t)(DSAA_RECORD_LEN_MAX + RECORD - len - 2));
	CHECK(len == RECORD + DSAA_RECORD_LEN_MAX && decode(buf, len, &m) == DSAA_R_NONE);
	len = one_record(DSAA_OP_UPSERT, udp);
	len = append_attribute(len, 200, 255);
	len = append_attribute(len, 201, (uint8_t)(DSAA_RECORD_LEN_MAX + RECORD - len - 1));
	CHECK(decode(buf, len, &m) == DSAA_R_MALFORMED);
}

static void test_record_rules(void)
{
	struct dsaa_flow f = flow_make(4, DSAA_PROTO_UDP, 1), bad;
	struct dsaa_msg m;
	size_t len = one_record(DSAA_OP_UPSERT, f);

	/* without NAT the reply tuple does not travel */
	CHECK(len == RECORD + 2 + 13 + 12 + 20);
	CHECK(buf[FAMILY] == 0x14 && decode(buf, len, &m) == DSAA_R_NONE);
	for (unsigned op = 0; op < 256; op++) {
		buf[OP] = (uint8_t)op;
		CHECK((decode(buf, len, &m) == DSAA_R_NONE) == (op == DSAA_OP_UPSERT));
	}
	buf[OP] = DSAA_OP_UPSERT;
	for (unsigned family = 0; family < 256; family++) {
		buf[FAMILY] = (uint8_t)family;
		CHECK((decode(buf, len, &m) == DSAA_R_NONE) == (family == 0x14));
	}
	buf[FAMILY] = 0x15;
	CHECK(decode(buf, len, &m) == DSAA_R_BAD_FLOW);
	buf[FAMILY] = 0x14;
	for (unsigned count = 0; count < 65536; count += 1 + count / 7) {
		buf[COUNT] = (uint8_t)(count >> 8);
		buf[COUNT + 1] = (uint8_t)count;
		CHECK((decode(buf, len, &m) == DSAA_R_NONE) == (count == 1));
	}
	one_record(DSAA_OP_DELETE, f);
	buf[FAMILY] = 0x14; /* a deletion has no reply tuple to leave out */
	CHECK(decode(buf, RECORD + 2 + 13 + 12, &m) == DSAA_R_MALFORMED);
	/* impossible flows have a reason of their own */
	bad = f;
	memset(bad.orig.src, 0, 16);
	CHECK(decode(buf, one_record(DSAA_OP_DELETE, bad), &m) == DSAA_R_BAD_FLOW);
	CHECK(decode(buf, one_record(DSAA_OP_UPSERT, bad), &m) == DSAA_R_BAD_FLOW);
	bad = f;
	bad.status = DSAA_FLOW_SNAT;
	CHECK(decode(buf, one_record(DSAA_OP_UPSERT, bad), &m) == DSAA_R_BAD_FLOW);
	CHECK(decode(buf, one_record(DSAA_OP_DELETE, bad), &m) == DSAA_R_NONE);
	bad = flow_make(4, DSAA_PROTO_ICMP, 1);
	bad.orig.dport = 3 << 8;
	CHECK(decode(buf, one_record(DSAA_OP_UPSERT, bad), &m) == DSAA_R_BAD_FLOW);
	len = one_record(DSAA_OP_UPSERT, flow_make(4, DSAA_PROTO_ICMP, 1));
	buf[RECORD + 2 + 13 + 10] = 3; /* unanswerable type where the reply was left out */
	CHECK(decode(buf, len, &m) == DSAA_R_BAD_FLOW);
	len = one_record(DSAA_OP_UPSERT, flow_make(6, DSAA_PROTO_UDP, 1));
	buf[PROTO] = DSAA_PROTO_ICMP;
	CHECK(decode(buf, len, &m) == DSAA_R_BAD_FLOW);
}

/* The example of the specification (3.6), which check-spec.py compares with these bytes. */
static const uint8_t example[] = {
	0xd5, 0xaa, 0x04, 0x00, 0x00, 0x00, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x02, 0x00, 0x01, 0x00, 0x34, 0x01, 0x14, 0x06, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x07, 0xc0, 0x00, 0x02, 0x01, 0xcb, 0x00, 0x71, 0x09, 0x9c, 0x40, 0x01, 0xbb,
	0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x01, 0x2c, 0x17, 0x97, 0x9c,
	0xfe, 0x36, 0x2a, 0x00, 0x00, 0x01, 0x05, 0x03, 0x07, 0x07, 0x03, 0x03,
};

static void test_example(void)
{
	struct dsaa_flows_writer w;
	struct dsaa_record r;
	struct dsaa_msg m;

	memset(&r, 0, sizeof(r));
	r.op = DSAA_OP_UPSERT;
	r.seq = 7;
	r.flow.family = 4;
	r.flow.proto = DSAA_PROTO_TCP;
	memcpy(r.flow.orig.src, "\xc0\x00\x02\x01", 4);
	memcpy(r.flow.orig.dst, "\xcb\x00\x71\x09", 4);
	r.flow.orig.sport = 40000;
	r.flow.orig.dport = 443;
	dsaa_tuple_reverse(r.flow.proto, &r.flow.orig, &r.flow.reply);
	r.flow.status = DSAA_FLOW_SEEN_REPLY | DSAA_FLOW_ASSURED;
	r.flow.mark = 5;
	r.flow.timeout_s = 300;
	r.flow.start_ns = UINT64_C(1700000000000000000);
	r.flow.tcp_state = 3;
	r.flow.tcp_wscale[0] = r.flow.tcp_wscale[1] = 7;
	r.flow.tcp_flags[0] = r.flow.tcp_flags[1] = 3;
	dsaa_wire_flows_begin(&w, buf, sizeof(buf), DSAA_MSG_FLOWS, 2, 0);
	CHECK(dsaa_wire_flows_add(&w, &r));
	CHECK(dsaa_wire_flows_end(&w) == sizeof(example));
	CHECK(memcmp(buf, example, sizeof(example)) == 0);
	CHECK(decode(example, sizeof(example), &m) == DSAA_R_NONE && m.flows.epoch == 2);
	CHECK(record_equal(&records[0], &r));
}

int main(void)
{
	test_example();
	test_messages();
	test_resume_goes_forward();
	test_hashes();
	test_states();
	test_expects();
	test_flows_round_trip();
	test_writer_limits();
	test_frame();
	test_damage();
	test_random_bytes();
	test_hello_rules();
	test_type_rules();
	test_attributes();
	test_rare_parts();
	test_record_rules();
	return TEST_END();
}
