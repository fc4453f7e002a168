/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sync protocol's decoder: any bytes are framed and decoded without harm,
 * and what was decoded goes through the encoder and comes back the same.
 *
 * The mutator puts magic and length right in most inputs, or nearly all of
 * them would end at the frame.
 */
#include "core/dsaa_wire.h"
#include "tests/fuzz/fuzz.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	size = LLVMFuzzerMutate(data, size, max_size);
	if (size < DSAA_MSG_HEADER_LEN || seed % 16 == 0)
		return size;
	data[0] = DSAA_WIRE_MAGIC >> 8;
	data[1] = DSAA_WIRE_MAGIC & 0xff;
	if (data[2] < DSAA_MSG_SKIPPABLE && seed % 16 != 1)
		data[3] = 0;
	data[4] = data[5] = 0;
	data[6] = (uint8_t)((size - DSAA_MSG_HEADER_LEN) >> 8);
	data[7] = (uint8_t)(size - DSAA_MSG_HEADER_LEN);
	return size;
}

static bool has_records(uint8_t type)
{
	return type == DSAA_MSG_FLOWS || type == DSAA_MSG_BULK_FLOWS ||
	       type == DSAA_MSG_AUDIT_FLOWS;
}

static size_t encode(uint8_t *buf, const struct dsaa_msg *m)
{
	static uint64_t hashes[DSAA_HASHES_PER_MSG_MAX];
	struct dsaa_flows_writer w;
	struct dsaa_msg copy = *m;

	if (has_records(m->type)) {
		dsaa_wire_flows_begin(&w, buf, DSAA_MSG_MAX, m->type, m->flows.epoch,
				      m->flows.bulk_id);
		for (unsigned i = 0; i < m->flows.count; i++)
			FUZZ_CHECK(dsaa_wire_flows_add(&w, &m->flows.records[i]));
		return dsaa_wire_flows_end(&w);
	}
	if (m->type == DSAA_MSG_AUDIT_HASHES || m->type == DSAA_MSG_AUDIT_WANT) {
		for (unsigned i = 0; i < m->hashes.count; i++)
			hashes[i] = dsaa_wire_hash(&m->hashes, i);
		copy.hashes.list = hashes;
	}
	return dsaa_wire_encode(buf, DSAA_MSG_MAX, &copy);
}

static void check_records(const struct dsaa_msg_flows *m)
{
	FUZZ_CHECK(m->count >= 1 && m->count <= DSAA_FLOWS_PER_MSG_MAX);
	for (unsigned i = 0; i < m->count; i++) {
		const struct dsaa_record *r = &m->records[i];

		FUZZ_CHECK(r->op == DSAA_OP_UPSERT || r->op == DSAA_OP_DELETE);
		FUZZ_CHECK(!dsaa_flow_key_invalid(&r->flow));
		FUZZ_CHECK(r->op == DSAA_OP_DELETE || !dsaa_flow_invalid(&r->flow));
	}
}

/* Encoded, decoded and encoded again, M is what it was. */
static void round_trip(const struct dsaa_msg *m)
{
	static uint8_t first[DSAA_MSG_MAX], second[DSAA_MSG_MAX];
	static struct dsaa_record records[DSAA_FLOWS_PER_MSG_MAX];
	size_t len = encode(first, m), again;
	struct dsaa_msg back;
	unsigned reason = DSAA_R_NONE;

	FUZZ_CHECK(len > 0);
	FUZZ_CHECK(dsaa_wire_frame(first, len, &reason) == (long)len);
	FUZZ_CHECK(dsaa_wire_decode(first, len, &back, records) == DSAA_R_NONE);
	FUZZ_CHECK(back.type == m->type);
	again = encode(second, &back);
	FUZZ_CHECK(again == len && !memcmp(first, second, len));
	for (unsigned i = 0; has_records(m->type) && i < m->flows.count; i++)
		FUZZ_CHECK(dsaa_flow_key_equal(&m->flows.records[i].flow, &records[i].flow) &&
			   m->flows.records[i].seq == records[i].seq);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dsaa_record records[DSAA_FLOWS_PER_MSG_MAX];
	unsigned reason = DSAA_R_NONE;
	struct dsaa_msg m;
	long len = dsaa_wire_frame(data, size, &reason);

	FUZZ_CHECK(len >= -1 && len <= (long)size);
	FUZZ_CHECK((len < 0) == (reason != DSAA_R_NONE));
	if (len <= 0)
		return 0;
	reason = dsaa_wire_decode(data, (size_t)len, &m, records);
	FUZZ_CHECK(reason == DSAA_R_NONE || reason == DSAA_R_MALFORMED ||
		   reason == DSAA_R_BAD_FLOW);
	if (reason || m.type >= DSAA_MSG_SKIPPABLE)
		return 0;
	/* of another major version nothing else was read */
	if (m.type == DSAA_MSG_HELLO && m.hello.major != DSAA_WIRE_MAJOR)
		return 0;
	if (has_records(m.type))
		check_records(&m.flows);
	round_trip(&m);
	return 0;
}
