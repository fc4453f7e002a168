/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bounded set of 64-bit key hashes: what a bulk has named. The sweep after
 * it deletes the replicas that are not in the set. Open addressing in memory
 * of the caller; pages that are never touched cost nothing.
 */
#ifndef DSAA_SEEN_H
#define DSAA_SEEN_H

#include "core/dsaa_types.h"

struct dsaa_seen {
	uint64_t *slots; /* hash with bit 0 as the mark; 0: empty */
	uint64_t seed;	 /* of positions: nobody shall choose hashes that pile up */
	uint32_t capacity; /* power of two */
	uint32_t used;
	bool overflow; /* an add did not fit: absence means nothing any more */
};

size_t dsaa_seen_size(uint32_t capacity);
/* MEM is zeroed, 8-byte aligned, dsaa_seen_size bytes, borrowed. */
void dsaa_seen_init(struct dsaa_seen *s, void *mem, uint32_t capacity, uint64_t seed);
/* Empties the set. */
void dsaa_seen_clear(struct dsaa_seen *s);
/* Adds HASH; at three quarters full sets overflow instead. */
void dsaa_seen_add(struct dsaa_seen *s, uint64_t hash);
bool dsaa_seen_has(const struct dsaa_seen *s, uint64_t hash);
/* Marks HASH as found; false when it is not in the set. */
bool dsaa_seen_mark(struct dsaa_seen *s, uint64_t hash);
/*
 * The next hash without a mark at or after position *AT, which moves on; false
 * at the end. Start with 0. Bit 0 of what comes out is cleared.
 */
bool dsaa_seen_next_unmarked(const struct dsaa_seen *s, uint32_t *at, uint64_t *hash);
/* HASH as the set compares it: bit 0 is not part of it. */
static inline uint64_t dsaa_seen_value(uint64_t hash)
{
	return hash & ~UINT64_C(1) ? hash & ~UINT64_C(1) : 2;
}

#endif
