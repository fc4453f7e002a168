/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bounded set of hashes with linear probing, see dsaa_seen.h. One thread.
 *
 * 0 is an empty slot, bit 0 of a slot its mark. That two of 2^63 hashes are
 * one costs nothing: the worst is a replica that one sweep leaves standing.
 */
#include <string.h>

#include "core/dsaa_assert.h"
#include "core/dsaa_seen.h"

size_t dsaa_seen_size(uint32_t capacity)
{
	return (size_t)capacity * sizeof(uint64_t);
}

void dsaa_seen_init(struct dsaa_seen *s, void *mem, uint32_t capacity, uint64_t seed)
{
	dsaa_assert(capacity >= 4 && (capacity & (capacity - 1)) == 0);
	dsaa_assert(((uintptr_t)mem & 7) == 0);
	s->slots = mem;
	s->capacity = capacity;
	s->seed = seed;
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

/* Where the search for VALUE begins. */
static uint32_t home(const struct dsaa_seen *s, uint64_t value)
{
	uint64_t mixed = (value ^ s->seed) * UINT64_C(0x9e3779b97f4a7c15);

	return (uint32_t)(mixed >> 32) & (s->capacity - 1);
}

/* The slot that holds HASH, or the empty one where it belongs. A quarter is always empty. */
static uint64_t *seen_slot(const struct dsaa_seen *s, uint64_t hash)
{
	uint32_t at = home(s, hash);

	while (s->slots[at] != 0 && dsaa_seen_value(s->slots[at]) != hash)
		at = (at + 1) & (s->capacity - 1);
	return &s->slots[at];
}

void dsaa_seen_add(struct dsaa_seen *s, uint64_t hash)
{
	uint64_t *slot;

	hash = dsaa_seen_value(hash);
	slot = seen_slot(s, hash);
	if (*slot)
		return;
	if (s->used >= s->capacity / 4 * 3) {
		s->overflow = true;
		return;
	}
	*slot = hash;
	s->used++;
}

void dsaa_seen_prefetch(const struct dsaa_seen *s, uint64_t hash)
{
	__builtin_prefetch(&s->slots[home(s, dsaa_seen_value(hash))], 1);
}

bool dsaa_seen_has(const struct dsaa_seen *s, uint64_t hash)
{
	return *seen_slot(s, dsaa_seen_value(hash)) != 0;
}

bool dsaa_seen_mark(struct dsaa_seen *s, uint64_t hash)
{
	uint64_t *slot = seen_slot(s, dsaa_seen_value(hash));

	if (!*slot)
		return false;
	*slot |= 1;
	return true;
}

bool dsaa_seen_next_unmarked(const struct dsaa_seen *s, uint32_t *at, uint64_t *hash)
{
	for (; *at < s->capacity; (*at)++) {
		if (!s->slots[*at] || s->slots[*at] & 1)
			continue;
		*hash = s->slots[(*at)++];
		return true;
	}
	return false;
}

/* ------------------------------------------------------------------ with a state */

static uint64_t state_value(uint64_t hash)
{
	uint64_t value = hash & ~DSAA_SEEN_STATE_MASK;

	return value ? value : DSAA_SEEN_STATE_MASK + 1;
}

/* As seen_slot(), for a set of hashes with states. */
static uint64_t *state_slot(const struct dsaa_seen *s, uint64_t hash)
{
	uint64_t value = state_value(hash);
	uint32_t at = home(s, value);

	while (s->slots[at] != 0 && (s->slots[at] & ~DSAA_SEEN_STATE_MASK) != value)
		at = (at + 1) & (s->capacity - 1);
	return &s->slots[at];
}

void dsaa_seen_add_state(struct dsaa_seen *s, uint64_t hash, uint32_t state)
{
	uint64_t *slot = state_slot(s, hash);

	if (!*slot && s->used >= s->capacity / 4 * 3) {
		s->overflow = true;
		return;
	}
	if (!*slot)
		s->used++;
	else if (!(*slot & DSAA_SEEN_STATE_MASK & ~UINT64_C(1)))
		state = 0;
	*slot = state_value(hash) | (*slot & 1) | state << 1;
}

enum dsaa_seen_match dsaa_seen_match_state(struct dsaa_seen *s, uint64_t hash, uint32_t state)
{
	uint64_t *slot = state_slot(s, hash);
	uint32_t there = (*slot & DSAA_SEEN_STATE_MASK) >> 1;

	if (!*slot)
		return DSAA_SEEN_ABSENT;
	if (there && there != state)
		return DSAA_SEEN_DIFFERS;
	*slot |= 1;
	return DSAA_SEEN_EQUAL;
}

bool dsaa_seen_mark_state(struct dsaa_seen *s, uint64_t hash)
{
	uint64_t *slot = state_slot(s, hash);

	if (!*slot)
		return false;
	*slot |= 1;
	return true;
}
