/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The set of seen hashes, the set of local addresses, the histogram. */
#include <stdlib.h>

#include "core/dsaa_addrset.h"
#include "core/dsaa_histogram.h"
#include "core/dsaa_seen.h"
#include "tests/unit/test.h"

static void test_seen(void)
{
	enum { CAPACITY = 1024, FITS = CAPACITY / 4 * 3 };
	void *mem = calloc(1, dsaa_seen_size(CAPACITY));
	uint64_t hashes[FITS];
	struct dsaa_seen s;

	dsaa_seen_init(&s, mem, CAPACITY, 5);
	CHECK(!dsaa_seen_has(&s, 0) && !dsaa_seen_has(&s, 5));
	for (unsigned n = 0; n < FITS; n++) {
		/* half of them meet at one slot */
		hashes[n] = n % 2 ? test_random() : (uint64_t)n << 52 | (uint64_t)n << 20;
		dsaa_seen_add(&s, hashes[n]);
		dsaa_seen_add(&s, hashes[n]);
	}
	CHECK(s.used == FITS && !s.overflow);
	for (unsigned n = 0; n < FITS; n++)
		CHECK(dsaa_seen_has(&s, hashes[n]));
	for (unsigned n = 0; n < 10000; n++)
		CHECK(!dsaa_seen_has(&s, test_random()));
	/* one that is there is no overflow, a new one is */
	dsaa_seen_add(&s, hashes[0]);
	CHECK(!s.overflow);
	dsaa_seen_add(&s, UINT64_C(0x123456789abcdef));
	CHECK(s.overflow && s.used == FITS && !dsaa_seen_has(&s, UINT64_C(0x123456789abcdef)));
	dsaa_seen_clear(&s);
	CHECK(s.used == 0 && !s.overflow && !dsaa_seen_has(&s, hashes[0]));
	dsaa_seen_add(&s, 0);
	CHECK(dsaa_seen_has(&s, 0) && s.used == 1);
	dsaa_seen_clear(&s);
	CHECK(!dsaa_seen_has(&s, 0));
	free(mem);
}

static struct dsaa_addr addr4(uint32_t n)
{
	return (struct dsaa_addr){ 4, { 10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n } };
}

static void test_addrset_full(void)
{
	struct dsaa_addrset *s = malloc(sizeof(*s));
	struct dsaa_addr a;

	dsaa_addrset_init(s);
	for (uint32_t n = 0; n < DSAA_LOCAL_ADDRESSES_MAX; n++) {
		a = addr4(n);
		CHECK(dsaa_addrset_add(s, &a));
	}
	a = addr4(DSAA_LOCAL_ADDRESSES_MAX);
	CHECK(!dsaa_addrset_add(s, &a) && !dsaa_addrset_has(s, 4, a.bytes));
	/* a second use of one that is there needs no room */
	a = addr4(17);
	CHECK(dsaa_addrset_add(s, &a) && s->used == DSAA_LOCAL_ADDRESSES_MAX);
	CHECK(dsaa_addrset_del(s, &a) && dsaa_addrset_has(s, 4, a.bytes));
	CHECK(dsaa_addrset_del(s, &a) && !dsaa_addrset_has(s, 4, a.bytes));
	CHECK(!dsaa_addrset_del(s, &a));
	a = addr4(DSAA_LOCAL_ADDRESSES_MAX);
	CHECK(dsaa_addrset_add(s, &a) && dsaa_addrset_has(s, 4, a.bytes));
	free(s);
}

static void test_addrset_families(void)
{
	struct dsaa_addrset *s = malloc(sizeof(*s));
	struct dsaa_addr a = { 4, { 32, 1, 2, 3 } }, none = { 0 }, odd = { 5, { 1 } };
	uint8_t dirty[16] = { 32, 1, 2, 3, 99 };

	dsaa_addrset_init(s);
	CHECK(!dsaa_addrset_add(s, &none) && !dsaa_addrset_add(s, &odd));
	CHECK(!dsaa_addrset_del(s, &none) && !dsaa_addrset_has(s, 0, none.bytes));
	CHECK(dsaa_addrset_add(s, &a));
	CHECK(dsaa_addrset_has(s, 4, dirty) && !dsaa_addrset_has(s, 6, a.bytes));
	a.family = 6;
	CHECK(dsaa_addrset_add(s, &a) && dsaa_addrset_has(s, 6, a.bytes));
	CHECK(!dsaa_addrset_has(s, 6, dirty) && s->used == 2);
	free(s);
}

/* Random adds and deletes of a few thousand addresses, counted beside it. */
static void test_addrset_model(void)
{
	enum { N = 4000 };
	struct dsaa_addrset *s = malloc(sizeof(*s));
	static unsigned count[N];
	unsigned used = 0;

	dsaa_addrset_init(s);
	for (unsigned i = 0; i < 60000; i++) {
		uint32_t n = (uint32_t)(test_random() % N);
		struct dsaa_addr a = addr4(n * 7919);

		if (test_random() % 2) {
			CHECK(dsaa_addrset_add(s, &a));
			used += count[n]++ == 0;
		} else {
			CHECK(dsaa_addrset_del(s, &a) == (count[n] > 0));
			if (count[n])
				used -= --count[n] == 0;
		}
		CHECK(s->used == used);
	}
	for (uint32_t n = 0; n < N; n++) {
		struct dsaa_addr a = addr4(n * 7919);

		CHECK(dsaa_addrset_has(s, 4, a.bytes) == (count[n] > 0));
	}
	free(s);
}

static void test_special(void)
{
	static const struct {
		struct dsaa_addr addr;
		bool special;
	} rows[] = {
		{ { 4, { 0, 0, 0, 0 } }, true },
		{ { 4, { 1, 0, 0, 0 } }, false },
		{ { 4, { 126, 255, 255, 255 } }, false },
		{ { 4, { 127, 0, 0, 1 } }, true },
		{ { 4, { 128, 0, 0, 1 } }, false },
		{ { 4, { 169, 253, 255, 255 } }, false },
		{ { 4, { 169, 254, 0, 0 } }, true },
		{ { 4, { 169, 255, 0, 0 } }, false },
		{ { 4, { 223, 255, 255, 255 } }, false },
		{ { 4, { 224, 0, 0, 5 } }, true },
		{ { 4, { 239, 255, 255, 255 } }, true },
		{ { 4, { 240, 0, 0, 1 } }, false },
		{ { 4, { 255, 255, 255, 254 } }, false },
		{ { 4, { 255, 255, 255, 255 } }, true },
		{ { 6, { 0 } }, true },
		{ { 6, { [15] = 1 } }, true },
		{ { 6, { [15] = 2 } }, false },
		{ { 6, { [14] = 1 } }, false },
		{ { 6, { 0xfe, 0x7f } }, false },
		{ { 6, { 0xfe, 0x80 } }, true },
		{ { 6, { 0xfe, 0xbf } }, true },
		{ { 6, { 0xfe, 0xc0 } }, false },
		{ { 6, { 0xff, 2 } }, true },
		{ { 6, { 0x20, 1, 0x0d, 0xb8 } }, false },
		{ { 0, { 0 } }, false },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK(dsaa_addr_is_special(rows[i].addr.family, rows[i].addr.bytes) ==
		      rows[i].special);
}

/* Hashes with a state: equal, other, any; what is altered is not marked, so it is asked for. */
static void test_seen_states(void)
{
	static uint64_t slots[1024];
	struct dsaa_seen s;
	uint64_t hash, asked = 0;
	uint32_t at = 0;

	dsaa_seen_init(&s, slots, 1024, 5);
	for (uint64_t i = 1; i <= 700; i++)
		dsaa_seen_add_state(&s, i << 12 | 0x5a5, dsaa_seen_state((uint32_t)(i * 77)));
	CHECK(s.used == 700 && !s.overflow);
	for (uint64_t i = 1; i <= 700; i++) {
		uint32_t state = dsaa_seen_state((uint32_t)(i * 77));

		/* the lowest bits of the hash are not compared */
		CHECK(dsaa_seen_match_state(&s, i << 12, state % 2047 + 1) == DSAA_SEEN_DIFFERS);
		if (i % 2)
			CHECK(dsaa_seen_match_state(&s, i << 12 | 0xa5a, state) == DSAA_SEEN_EQUAL);
	}
	CHECK(dsaa_seen_match_state(&s, UINT64_C(701) << 12, 1) == DSAA_SEEN_ABSENT);
	/* any: told before or after the state */
	dsaa_seen_add_state(&s, UINT64_C(2) << 12, 0);
	dsaa_seen_add_state(&s, UINT64_C(2) << 12, 9);
	CHECK(dsaa_seen_match_state(&s, UINT64_C(2) << 12, 1234) == DSAA_SEEN_EQUAL);
	CHECK(dsaa_seen_mark_state(&s, UINT64_C(4) << 12));
	CHECK(!dsaa_seen_mark_state(&s, UINT64_C(900) << 12));
	while (dsaa_seen_next_unmarked(&s, &at, &hash)) {
		CHECK((hash >> 12) % 2 == 0 && hash >> 12 != 2 && hash >> 12 != 4);
		asked++;
	}
	CHECK(asked == 348);
	/* a hash of nothing but low bits has a place, too; a full set says so */
	dsaa_seen_clear(&s);
	dsaa_seen_add_state(&s, 3, 1);
	CHECK(dsaa_seen_match_state(&s, 0xfff, 1) == DSAA_SEEN_EQUAL);
	for (uint64_t i = 2; i < 800; i++)
		dsaa_seen_add_state(&s, i << 12, 1);
	CHECK(s.overflow);
	for (uint32_t d = 0; d < 5000; d++)
		CHECK(dsaa_seen_state(d) >= 1 && dsaa_seen_state(d) <= 2047);
}

static void test_histogram(void)
{
	static struct dsaa_histogram h;
	uint64_t p;

	CHECK(dsaa_histogram_percentile_us(&h, 500) == 0);
	dsaa_histogram_add(&h, -5);
	CHECK(h.total == 1 && h.max_us == 0 && dsaa_histogram_percentile_us(&h, 1000) == 0);
	/* one value alone is found again within 9 %, whatever its size */
	for (uint64_t v = 1; v < UINT64_C(17000000000); v = v * 5 / 4 + 1) {
		memset(&h, 0, sizeof(h));
		dsaa_histogram_add(&h, (int64_t)v);
		dsaa_histogram_add(&h, INT64_C(17000000000));
		p = dsaa_histogram_percentile_us(&h, 1);
		CHECK(p * 100 >= v * 91 && p * 100 <= v * 109);
		CHECK(dsaa_histogram_percentile_us(&h, 500) == p);
		CHECK(dsaa_histogram_percentile_us(&h, 1000) == UINT64_C(17000000000));
	}
	memset(&h, 0, sizeof(h));
	for (int64_t v = 1; v <= 10000; v++)
		dsaa_histogram_add(&h, v);
	p = dsaa_histogram_percentile_us(&h, 500);
	CHECK(p > 4600 && p < 5400);
	p = dsaa_histogram_percentile_us(&h, 990);
	CHECK(p > 9000 && p <= 10000);
	CHECK(dsaa_histogram_percentile_us(&h, 0) == 1);
	CHECK(dsaa_histogram_percentile_us(&h, 5000) == 10000);
	dsaa_histogram_add(&h, INT64_MAX);
	CHECK(h.max_us == INT64_MAX && dsaa_histogram_percentile_us(&h, 1000) == INT64_MAX);
	p = dsaa_histogram_percentile_us(&h, 500);
	CHECK(p > 4600 && p < 5400);
}

static void test_histogram_halves(void)
{
	static struct dsaa_histogram h;

	h.count[1] = 0x7fffffff - 1;
	h.total = 0x7fffffff - 1;
	dsaa_histogram_add(&h, 1);
	CHECK(h.total == 0x7fffffff);
	dsaa_histogram_add(&h, 3);
	CHECK(h.total == 0x3fffffff && h.count[1] == 0x3fffffff && h.count[3] == 0);
	CHECK(dsaa_histogram_percentile_us(&h, 500) == 1);
}

int main(void)
{
	test_seen();
	test_seen_states();
	test_addrset_full();
	test_addrset_families();
	test_addrset_model();
	test_special();
	test_histogram();
	test_histogram_halves();
	return TEST_END();
}
