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
	uint64_t *slots;
	uint32_t capacity; /* power of two */
	uint32_t used;
	bool overflow; /* an add did not fit: absence means nothing any more */
};

size_t dsaa_seen_size(uint32_t capacity);
/* MEM is zeroed, 8-byte aligned, dsaa_seen_size bytes, borrowed. */
void dsaa_seen_init(struct dsaa_seen *s, void *mem, uint32_t capacity);
/* Empties the set. */
void dsaa_seen_clear(struct dsaa_seen *s);
/* Adds HASH; at three quarters full sets overflow instead. */
void dsaa_seen_add(struct dsaa_seen *s, uint64_t hash);
bool dsaa_seen_has(const struct dsaa_seen *s, uint64_t hash);

#endif
