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
	uint64_t *slots;   /* hash with bit 0 as the mark; 0: empty */
	uint64_t seed;	   /* of positions: nobody shall choose hashes that pile up */
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
/* HASH is soon added, looked up or marked, without a state: fetches its place from memory. */
void dsaa_seen_prefetch(const struct dsaa_seen *s, uint64_t hash);
bool dsaa_seen_has(const struct dsaa_seen *s, uint64_t hash);
/* Marks HASH as found; false when it is not in the set. */
bool dsaa_seen_mark(struct dsaa_seen *s, uint64_t hash);
/*
 * The next hash without a mark at or after position *AT, which moves on; false
 * at the end. Start with 0. Bit 0 of what comes out is cleared.
 */
bool dsaa_seen_next_unmarked(const struct dsaa_seen *s, uint32_t *at, uint64_t *hash);

/*
 * Sets whose hashes carry a digest of what they stand for. A set holds only
 * such hashes or none: bits 12 to 63 are the hash, bits 1 to 11 the digest,
 * where 0 means "any".
 */
#define DSAA_SEEN_STATE_MASK UINT64_C(0xfff)

/* Of any 32-bit digest the part that a set keeps; never 0. */
static inline uint32_t dsaa_seen_state(uint32_t digest)
{
	return 1 + digest % 2047;
}
/* Adds HASH with STATE (0: any); of a hash that is there already "any" stays or becomes the state. */
void dsaa_seen_add_state(struct dsaa_seen *s, uint64_t hash, uint32_t state);

enum dsaa_seen_match {
	DSAA_SEEN_ABSENT,
	DSAA_SEEN_EQUAL,   /* marked now */
	DSAA_SEEN_DIFFERS, /* there, with another state: not marked */
};
enum dsaa_seen_match dsaa_seen_match_state(struct dsaa_seen *s, uint64_t hash, uint32_t state);
/* Marks HASH, whatever its state; false when it is not in the set. */
bool dsaa_seen_mark_state(struct dsaa_seen *s, uint64_t hash);

/* HASH as the set compares it: bit 0 is not part of it. */
static inline uint64_t dsaa_seen_value(uint64_t hash)
{
	uint64_t value = hash & ~UINT64_C(1);

	return value ? value : 2;
}

#endif
