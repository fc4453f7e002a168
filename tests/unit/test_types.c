/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses, prefixes, reasons, numbers of queues, and the reader and writer of bytes. */
#include "core/dsaa_buf.h"
#include "core/dsaa_queue.h"
#include "core/dsaa_reason.h"
#include "core/dsaa_types.h"
#include "tests/unit/test.h"

static void test_addresses(void)
{
	struct dsaa_addr a = { 4, { 192, 0, 2, 1 } }, b = a, none = { 0 };

	CHECK(dsaa_addr_equal(&a, &b));
	b.bytes[3] = 2;
	CHECK(!dsaa_addr_equal(&a, &b));
	b = a;
	b.family = 6;
	CHECK(!dsaa_addr_equal(&a, &b));
	CHECK(dsaa_addr_equal(&none, &none) && !dsaa_addr_equal(&none, &a));
}

/* Every length of both families against the address that differs in bit LEN or LEN - 1. */
static void test_prefix_lengths(void)
{
	for (unsigned family = 4; family <= 6; family += 2) {
		unsigned bits = family == 4 ? 32 : 128;

		for (unsigned len = 0; len <= bits; len++) {
			struct dsaa_prefix p = { { (uint8_t)family, { 0x5a, 0xa5 } },
						 (uint8_t)len };
			uint8_t in[16] = { 0x5a, 0xa5 }, out[16] = { 0x5a, 0xa5 };

			CHECK(dsaa_prefix_covers(&p, (uint8_t)family, in));
			if (len < bits) {
				in[len / 8] ^= (uint8_t)(0x80 >> len % 8);
				CHECK(dsaa_prefix_covers(&p, (uint8_t)family, in));
			}
			if (len > 0) {
				out[(len - 1) / 8] ^= (uint8_t)(0x80 >> (len - 1) % 8);
				CHECK(!dsaa_prefix_covers(&p, (uint8_t)family, out));
			}
			CHECK(!dsaa_prefix_covers(&p, family == 4 ? 6 : 4, in));
		}
	}
}

static void test_prefix_bad(void)
{
	struct dsaa_prefix p = { { 4, { 10 } }, 33 };
	uint8_t ten[16] = { 10 };

	CHECK(!dsaa_prefix_covers(&p, 4, ten));
	p.addr.family = 6;
	p.len = 129;
	CHECK(!dsaa_prefix_covers(&p, 6, ten));
	p.len = 255;
	CHECK(!dsaa_prefix_covers(&p, 6, ten));
	p.addr.family = 0;
	p.len = 0;
	CHECK(!dsaa_prefix_covers(&p, 0, ten));
}

static void test_reasons(void)
{
	unsigned r, n = 0, last = 0;

	CHECK(strcmp(dsaa_reason_name(DSAA_R_NONE), "none") == 0);
	CHECK(strcmp(dsaa_reason_name(DSAA_R_WRONG_KEY), "wrong-key") == 0);
	CHECK(strcmp(dsaa_reason_name(DSAA_R_UNREADABLE), "packet-unreadable") == 0);
	for (r = dsaa_reason_next(0); r < DSAA_REASONS_MAX; r = dsaa_reason_next(r)) {
		CHECK(r > last && ++n < DSAA_REASONS_MAX);
		CHECK(strcmp(dsaa_reason_name(r), "unknown") != 0);
		CHECK(dsaa_reason_meaning(r)[0] != 0 && dsaa_reason_remedy(r) != NULL);
		for (unsigned o = 0; o < r; o++)
			CHECK(strcmp(dsaa_reason_name(o), dsaa_reason_name(r)) != 0 ||
			      strcmp(dsaa_reason_name(o), "unknown") == 0);
		last = r;
	}
	CHECK(r == DSAA_REASONS_MAX && last == DSAA_R_UNREADABLE);
	static const unsigned none[] = { 63, 127, 128, 129, 65535, ~0u };

	for (unsigned i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		CHECK(strcmp(dsaa_reason_name(none[i]), "unknown") == 0);
		CHECK(dsaa_reason_meaning(none[i])[0] == 0 && dsaa_reason_remedy(none[i])[0] == 0);
		CHECK(dsaa_reason_next(none[i]) >= 32);
	}
	CHECK(dsaa_reason_next(~0u) == DSAA_REASONS_MAX);
}

static void test_reader(void)
{
	static const uint8_t in[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
	struct dsaa_reader r, part;
	uint8_t out[4] = { 9, 9, 9, 9 };

	dsaa_reader_init(&r, in, sizeof(in));
	CHECK(dsaa_reader_u8(&r) == 1 && dsaa_reader_u16(&r) == 0x0203);
	CHECK(dsaa_reader_u32(&r) == 0x04050607);
	CHECK(dsaa_reader_u64(&r) == UINT64_C(0x08090a0b0c0d0e0f));
	CHECK(dsaa_reader_left(&r) == 1 && !dsaa_reader_done(&r));
	dsaa_reader_skip(&r, 0);
	CHECK(dsaa_reader_u16(&r) == 0 && r.failed && dsaa_reader_left(&r) == 0);
	/* the failure stays, even for what would fit */
	CHECK(dsaa_reader_u8(&r) == 0 && !dsaa_reader_done(&r));
	dsaa_reader_bytes(&r, out, sizeof(out));
	CHECK(out[0] == 0 && out[3] == 0);
	dsaa_reader_init(&r, in, sizeof(in));
	part = dsaa_reader_cut(&r, 3);
	CHECK(!part.failed && dsaa_reader_left(&part) == 3 && dsaa_reader_u8(&part) == 1);
	CHECK(dsaa_reader_u8(&r) == 4);
	part = dsaa_reader_cut(&r, SIZE_MAX);
	CHECK(part.failed && r.failed && dsaa_reader_u8(&part) == 0);
	dsaa_reader_init(&r, NULL, 0);
	CHECK(dsaa_reader_done(&r) && dsaa_reader_u8(&r) == 0 && r.failed);
	dsaa_reader_init(&r, in, sizeof(in));
	dsaa_reader_skip(&r, SIZE_MAX);
	CHECK(r.failed);
}

static void test_writer(void)
{
	static const uint8_t want[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0xaa };
	uint8_t out[17];
	struct dsaa_writer w;

	memset(out, 0xee, sizeof(out));
	dsaa_writer_init(&w, out, 16);
	dsaa_writer_u8(&w, 1);
	dsaa_writer_u16(&w, 0x0203);
	dsaa_writer_u32(&w, 0x04050607);
	dsaa_writer_u64(&w, UINT64_C(0x08090a0b0c0d0e0f));
	dsaa_writer_bytes(&w, (const uint8_t *)"\xaa", 1);
	CHECK(!w.failed && w.len == 16 && memcmp(out, want, 16) == 0);
	dsaa_writer_bytes(&w, NULL, 0);
	CHECK(!w.failed);
	dsaa_writer_u8(&w, 1);
	CHECK(w.failed && w.len == 16 && out[16] == 0xee);
	dsaa_writer_patch_u16(&w, 0, 7);
	CHECK(out[1] == 2);
	w.failed = false;
	dsaa_writer_patch_u16(&w, 14, 0x0102);
	CHECK(!w.failed && out[14] == 1 && out[15] == 2);
	dsaa_writer_patch_u16(&w, 15, 7);
	CHECK(w.failed);
	w.failed = false;
	dsaa_writer_patch_u32(&w, SIZE_MAX, 7);
	CHECK(w.failed);
}

/* Each number is of one queue alone, and tells its class. */
static void test_queues(void)
{
	bool taken[DSAA_QUEUES] = { false };
	unsigned class, turn, n, used = 0;

	for (class = 1; class < DSAA_QUEUE_CLASSES; class ++)
		for (turn = 0; turn < DSAA_QUEUE_SPREAD_MAX; turn++) {
			if (class > DSAA_SITES_MAX && turn > 0)
				continue;
			n = dsaa_queue_number(class, turn);
			CHECK(n < DSAA_QUEUES_RULES && !taken[n] && !dsaa_queue_is_cut(n));
			CHECK(dsaa_queue_class(n) == class);
			taken[n] = true;
			if (class > DSAA_SITES_MAX)
				continue;
			n = dsaa_queue_cut_number(class, turn);
			CHECK(n < DSAA_QUEUES && !taken[n] && dsaa_queue_is_cut(n));
			CHECK(dsaa_queue_class(n) == class);
			taken[n] = true;
		}
	for (n = 0; n < DSAA_QUEUES; n++) {
		CHECK(taken[n] == (dsaa_queue_class(n) != 0));
		used += taken[n];
	}
	CHECK(used == 5 + 2 * DSAA_SITES_MAX * DSAA_QUEUE_SPREAD_MAX);
	CHECK(dsaa_queue_class(DSAA_QUEUES) == 0 && !dsaa_queue_is_cut(DSAA_QUEUES));
	/* operators' own rules say it */
	CHECK(DSAA_QUEUE_BASE_DEFAULT + dsaa_queue_number(DSAA_QUEUE_POLICY, 0) == 37871);
}

int main(void)
{
	test_addresses();
	test_prefix_lengths();
	test_prefix_bad();
	test_reasons();
	test_queues();
	test_reader();
	test_writer();
	return TEST_END();
}
