/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A histogram of durations with logarithmic buckets (8 per power of two, so
 * within 9 %), from which percentiles are read. Used for sync lag.
 */
#ifndef DSAA_HISTOGRAM_H
#define DSAA_HISTOGRAM_H

#include "core/dsaa_types.h"

#define DSAA_HISTOGRAM_BUCKETS 256

struct dsaa_histogram {
	uint32_t count[DSAA_HISTOGRAM_BUCKETS];
	uint64_t total;
	uint64_t max_us;
};

/* Adds one duration; negative ones count as 0. At 2^31 samples all counts are halved. */
void dsaa_histogram_add(struct dsaa_histogram *h, int64_t us);
/* The duration in microseconds below which PERMILLE of 1000 samples lie; 0 without samples. */
uint64_t dsaa_histogram_percentile_us(const struct dsaa_histogram *h, unsigned permille);

#endif
