/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bounded set of hashes with linear probing, see dsaa_seen.h. One thread.
 *
 * 0 marks an empty slot; the hash 0 is kept as 1. That two of 2^64 hashes are
 * one costs nothing: the worst is a replica that one sweep leaves standing.
 */
#include <string.h>

#include "core/dsaa_assert.h"
#include "core/dsaa_seen.h"

size_t dsaa_seen_size(uint32_t capacity)
{
	return (size_t)capacity * sizeof(uint64_t);
}

void dsaa_seen_init(struct dsaa_seen *s, void *mem, uint32_t capacity)
{
	dsaa_assert(capacity >= 4 && (capacity & (capacity - 1)) == 0);
	dsaa_assert(((uintptr_t)mem & 7) == 0);
	s->slots = mem;
	s->capacity = capacity;
	s->used = 0;
	s->overflow = false;
}

void dsaa_seen_clear(struct dsaa_seen *s)
{
	/* untouched pages stay untouched when there was nothing in it */
	if (s->used)
		memset(s->slots, 0, dsaa_seen_size(s->capacity));
	s->used = 0;
	s->overflow = false;
}

/* The slot that holds HASH, or the empty one where it belongs. A quarter is always empty. */
static uint64_t *seen_slot(const struct dsaa_seen *s, uint64_t hash)
{
	uint32_t at = (uint32_t)(hash >> 32 ^ hash) & (s->capacity - 1);

	while (s->slots[at] != 0 && s->slots[at] != hash)
		at = (at + 1) & (s->capacity - 1);
	return &s->slots[at];
}

void dsaa_seen_add(struct dsaa_seen *s, uint64_t hash)
{
	uint64_t *slot;

	if (hash == 0)
		hash = 1;
	slot = seen_slot(s, hash);
	if (*slot == hash)
		return;
	if (s->used >= s->capacity / 4 * 3) {
		s->overflow = true;
		return;
	}
	*slot = hash;
	s->used++;
}

bool dsaa_seen_has(const struct dsaa_seen *s, uint64_t hash)
{
	if (hash == 0)
		hash = 1;
	return *seen_slot(s, hash) == hash;
}
