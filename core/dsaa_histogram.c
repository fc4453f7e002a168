/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Histogram of durations, see dsaa_histogram.h. Pure; one thread per object.
 *
 * Values below 8 have a bucket each; above, each power of two is cut into
 * eight. The last bucket takes all that is longer (2^34 us, nearly 5 hours).
 */
#include "core/dsaa_histogram.h"

enum { SUB_BITS = 3, SUB = 1 << SUB_BITS };
#define HALVE_AT (UINT64_C(1) << 31)

static unsigned bucket_of(uint64_t us)
{
	unsigned power, index;

	if (us < SUB)
		return (unsigned)us;
	power = 63 - (unsigned)__builtin_clzll(us);
	index = (power - SUB_BITS + 1) * SUB + ((us >> (power - SUB_BITS)) & (SUB - 1));
	return index < DSAA_HISTOGRAM_BUCKETS ? index : DSAA_HISTOGRAM_BUCKETS - 1;
}

/* The middle of bucket INDEX: at most 6 % away from every value in it. */
static uint64_t bucket_middle_us(unsigned index)
{
	unsigned shift;
	uint64_t low;

	if (index < 2 * SUB)
		return index;
	shift = index / SUB - 1;
	low = (uint64_t)(SUB + index % SUB) << shift;
	return low + (UINT64_C(1) << shift) / 2;
}

static void halve(struct dsaa_histogram *h)
{
	unsigned i;

	h->total = 0;
	for (i = 0; i < DSAA_HISTOGRAM_BUCKETS; i++) {
		h->count[i] /= 2;
		h->total += h->count[i];
	}
}

void dsaa_histogram_add(struct dsaa_histogram *h, int64_t us)
{
	uint64_t value = us < 0 ? 0 : (uint64_t)us;

	h->count[bucket_of(value)]++;
	h->total++;
	if (value > h->max_us)
		h->max_us = value;
	if (h->total >= HALVE_AT)
		halve(h);
}

uint64_t dsaa_histogram_percentile_us(const struct dsaa_histogram *h, unsigned permille)
{
	uint64_t rank, below = 0, middle;
	unsigned i;

	if (h->total == 0)
		return 0;
	if (permille >= 1000)
		return h->max_us;
	rank = (h->total * permille + 999) / 1000;
	if (rank == 0)
		rank = 1;
	for (i = 0; i < DSAA_HISTOGRAM_BUCKETS - 1; i++) {
		below += h->count[i];
		if (below >= rank)
			break;
	}
	/* what is in the last bucket may be anything up to the maximum */
	if (i == DSAA_HISTOGRAM_BUCKETS - 1)
		return h->max_us;
	middle = bucket_middle_us(i);
	return middle < h->max_us ? middle : h->max_us;
}
