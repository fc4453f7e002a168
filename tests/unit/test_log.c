/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The compacted log against a plain model: order, compaction, wrap, fall-off. */
#include <stdlib.h>

#include "core/dsaa_log.h"
#include "tests/unit/flows.h"

static const struct dsaa_mono at = { 1000 };

/* A log of ENTRIES in fresh memory; the caller frees log->ring. */
static void log_make(struct dsaa_log *log, uint32_t entries)
{
	void *mem = calloc(1, dsaa_log_size(entries));

	CHECK(mem != NULL);
	if (!mem)
		exit(1);
	dsaa_log_init(log, mem, entries, 42);
}

static uint64_t put(struct dsaa_log *log, uint32_t key)
{
	struct dsaa_flow f = flow_make(4, DSAA_PROTO_UDP, key);

	return dsaa_log_put(log, DSAA_OP_UPSERT, &f, at);
}

static void test_empty(void)
{
	struct dsaa_flow f = flow_make(4, DSAA_PROTO_UDP, 1);
	struct dsaa_log log;

	log_make(&log, 8);
	CHECK(dsaa_log_last(&log) == 0 && !dsaa_log_after(&log, 0) && !dsaa_log_find(&log, &f));
	CHECK(dsaa_log_reaches(&log, 0) && !dsaa_log_reaches(&log, 1));
	CHECK(!dsaa_log_at(&log, 0) && !dsaa_log_at(&log, 1) && !dsaa_log_at(&log, UINT64_MAX));
	CHECK(dsaa_log_backlog(&log, 0, 100) == 0 && !dsaa_log_after(&log, UINT64_MAX));
	free(log.ring);
}

static void test_order_and_compaction(void)
{
	struct dsaa_flow f = flow_make(4, DSAA_PROTO_UDP, 1);
	const struct dsaa_log_entry *e;
	struct dsaa_log log;

	log_make(&log, 8);
	CHECK(put(&log, 1) == 1 && put(&log, 2) == 2 && put(&log, 3) == 3);
	f.timeout_s = 77;
	CHECK(dsaa_log_put(&log, DSAA_OP_DELETE, &f, (struct dsaa_mono){ 5 }) == 4);
	CHECK(log.live == 3 && dsaa_log_last(&log) == 4);
	e = dsaa_log_after(&log, 0);
	CHECK(e && e->record.seq == 2);
	e = dsaa_log_after(&log, 2);
	CHECK(e && e->record.seq == 3);
	e = dsaa_log_after(&log, 3);
	CHECK(e && e->record.seq == 4 && e->record.op == DSAA_OP_DELETE);
	CHECK(e && e->record.flow.timeout_s == 77 && e->changed.us == 5);
	CHECK(!dsaa_log_after(&log, 4) && dsaa_log_find(&log, &f) == e);
	CHECK(!dsaa_log_at(&log, 1) && dsaa_log_at(&log, 4) == e);
	CHECK(dsaa_log_backlog(&log, 0, 100) == 3 && dsaa_log_backlog(&log, 0, 2) == 2);
	CHECK(dsaa_log_backlog(&log, 0, 0) == 0 && dsaa_log_backlog(&log, 3, 100) == 1);
	CHECK(dsaa_log_backlog(&log, 4, 100) == 0 && dsaa_log_backlog(&log, 99, 100) == 0);
	free(log.ring);
}

static void test_falling_off(void)
{
	struct dsaa_log log;

	log_make(&log, 8);
	for (uint32_t n = 1; n <= 8; n++)
		put(&log, n);
	CHECK(dsaa_log_reaches(&log, 0) && log.live == 8);
	put(&log, 9);
	/* number 1 is gone: who had it has missed nothing, who had not needs a bulk */
	CHECK(!dsaa_log_reaches(&log, 0) && dsaa_log_reaches(&log, 1) && log.live == 8);
	CHECK(dsaa_log_after(&log, 0)->record.seq == 2 && !dsaa_log_at(&log, 1));
	CHECK(dsaa_log_backlog(&log, 0, 100) == 8);
	CHECK(dsaa_log_reaches(&log, 9) && !dsaa_log_reaches(&log, 10));
	free(log.ring);
}

/* One busy connection pushes nobody off while what it overruns is superseded. */
static void test_busy_connection(void)
{
	struct dsaa_log log;

	log_make(&log, 8);
	for (unsigned n = 0; n < 1000; n++)
		put(&log, 1);
	CHECK(dsaa_log_reaches(&log, 0) && log.live == 1);
	CHECK(dsaa_log_after(&log, 0)->record.seq == 1000);
	CHECK(dsaa_log_backlog(&log, 0, 100) == 1);
	put(&log, 2);
	for (unsigned n = 0; n < 7; n++)
		put(&log, 1);
	CHECK(dsaa_log_reaches(&log, 0) && log.live == 2);
	put(&log, 1);
	CHECK(!dsaa_log_reaches(&log, 1000) && dsaa_log_reaches(&log, 1001) && log.live == 1);
	free(log.ring);
}

/* Superseding the very entry that the wrap is about to forget loses nothing. */
static void test_supersede_at_wrap(void)
{
	struct dsaa_log log;

	log_make(&log, 4);
	for (uint32_t n = 1; n <= 4; n++)
		put(&log, n);
	CHECK(put(&log, 1) == 5);
	CHECK(dsaa_log_reaches(&log, 0) && log.live == 4);
	CHECK(dsaa_log_after(&log, 0)->record.seq == 2);
	free(log.ring);
	log_make(&log, 1);
	CHECK(put(&log, 1) == 1);
	CHECK(put(&log, 1) == 2 && dsaa_log_reaches(&log, 0));
	CHECK(put(&log, 2) == 3 && !dsaa_log_reaches(&log, 1) && dsaa_log_reaches(&log, 2));
	free(log.ring);
}

enum { KEYS = 300, RING = 64 };

/* Compares LOG with LAST, the sequence of each key's newest put. */
static void compare(const struct dsaa_log *log, const uint64_t last[KEYS])
{
	uint64_t next = dsaa_log_last(log) + 1, oldest = next > RING ? next - RING : 1, lost = 0;
	const struct dsaa_log_entry *e;
	uint32_t live = 0, walked = 0;

	for (uint32_t k = 0; k < KEYS; k++) {
		struct dsaa_flow f = flow_make(4, DSAA_PROTO_UDP, k);

		e = dsaa_log_find(log, &f);
		CHECK((e != NULL) == (last[k] != 0 && last[k] >= oldest));
		CHECK(!e || (e->record.seq == last[k] && dsaa_log_at(log, last[k]) == e));
		live += e != NULL;
	}
	CHECK(log->live == live && dsaa_log_backlog(log, 0, RING + 1) == live);
	for (e = dsaa_log_after(log, 0); e; e = dsaa_log_after(log, lost)) {
		CHECK(e->record.seq > lost && e->record.seq >= oldest);
		lost = e->record.seq;
		walked++;
	}
	CHECK(walked == live);
}

/*
 * Thousands of random puts. A reader that follows with random pauses ends with
 * the newest state of every key, or is told that it fell off.
 */
static void test_model(void)
{
	uint64_t last[KEYS] = { 0 }, heard[KEYS] = { 0 }, cursor = 0;
	const struct dsaa_log_entry *e;
	struct dsaa_log log;
	unsigned fell = 0;

	log_make(&log, RING);
	for (unsigned n = 0; n < 20000; n++) {
		uint32_t key = (uint32_t)(test_random() % (n % 2000 < 1000 ? 20 : KEYS));

		last[key] = put(&log, key);
		if (n % 97 == 0)
			compare(&log, last);
		if (test_random() % 40 != 0)
			continue;
		if (!dsaa_log_reaches(&log, cursor)) {
			memcpy(heard, last, sizeof(heard)); /* a bulk */
			cursor = dsaa_log_last(&log);
			fell++;
		}
		while ((e = dsaa_log_after(&log, cursor)) != NULL) {
			heard[e->record.flow.orig.sport] = cursor = e->record.seq;
		}
		CHECK(memcmp(heard, last, sizeof(heard)) == 0);
	}
	CHECK(fell > 0 && fell < 400);
	free(log.ring);
}

int main(void)
{
	test_empty();
	test_order_and_compaction();
	test_falling_off();
	test_busy_connection();
	test_supersede_at_wrap();
	test_model();
	return TEST_END();
}
