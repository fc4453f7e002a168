/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Small types shared by all of core: time, addresses, prefixes.
 *
 * Time is a type of its own, so that a wall-clock value or a bare number
 * cannot be passed where a monotonic time is meant.
 */
#ifndef DSAA_TYPES_H
#define DSAA_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/dsaa_limits.h"

/* Monotonic time in microseconds. Only edges read a clock. */
struct dsaa_mono {
	int64_t us;
};

static inline struct dsaa_mono dsaa_mono_add_ms(struct dsaa_mono t, int64_t ms)
{
	return (struct dsaa_mono){ t.us + ms * 1000 };
}

static inline int64_t dsaa_mono_diff_us(struct dsaa_mono later, struct dsaa_mono earlier)
{
	return later.us - earlier.us;
}

static inline bool dsaa_mono_reached(struct dsaa_mono now, struct dsaa_mono deadline)
{
	return now.us >= deadline.us;
}

/* Address family as the IP version: 4, 6, or 0 for "no address". */
struct dsaa_addr {
	uint8_t family;
	uint8_t bytes[16]; /* network order; IPv4 uses the first four, the rest is zero */
};

struct dsaa_prefix {
	struct dsaa_addr addr;
	uint8_t len;
};

/* True when both are the same address of the same family. */
bool dsaa_addr_equal(const struct dsaa_addr *a, const struct dsaa_addr *b);

/* True when ADDR (of family FAMILY, 16 bytes as in dsaa_addr) lies inside P. */
bool dsaa_prefix_covers(const struct dsaa_prefix *p, uint8_t family, const uint8_t bytes[16]);

/* A number of a site, 1..DSAA_SITES_MAX. */
typedef uint8_t dsaa_site_id;

#endif
