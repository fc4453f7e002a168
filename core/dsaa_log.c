/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The compacted log, see dsaa_log.h. The slot of sequence S is S modulo the
 * ring's size, so a sequence finds its slot without a search; a hash table
 * over the same slots finds the live entry of a key. One thread.
 *
 * Forgetting a superseded slot costs no reader anything, since the newer state
 * stands further on: only the sequence of the last live entry that was
 * forgotten (LOST) decides who has fallen off.
 */
#include <string.h>

#include "core/dsaa_assert.h"
#include "core/dsaa_log.h"

size_t dsaa_log_size(uint32_t entries)
{
	return (size_t)entries * (sizeof(struct dsaa_log_entry) + sizeof(uint32_t));
}

void dsaa_log_init(struct dsaa_log *log, void *mem, uint32_t entries, uint64_t seed)
{
	dsaa_assert(entries > 0 && (entries & (entries - 1)) == 0);
	dsaa_assert(((uintptr_t)mem & 7) == 0);
	memset(log, 0, sizeof(*log));
	log->ring = mem;
	log->buckets = (uint32_t *)(void *)(log->ring + entries);
	log->entries = entries;
	log->first = 1;
	log->next = 1;
	log->seed = seed;
}

static uint32_t slot_of(const struct dsaa_log *log, uint64_t seq)
{
	return (uint32_t)(seq & (log->entries - 1));
}

static uint32_t bucket_of(const struct dsaa_log *log, const struct dsaa_flow *flow)
{
	return (uint32_t)dsaa_flow_key_hash(flow, log->seed) & (log->entries - 1);
}

/* Takes the live entry in SLOT out of its chain; it is superseded or forgotten then. */
static void entry_kill(struct dsaa_log *log, uint32_t slot)
{
	struct dsaa_log_entry *entry = &log->ring[slot];
	uint32_t *link = &log->buckets[entry->bucket];

	while (*link != slot + 1) {
		dsaa_assert(*link != 0);
		link = &log->ring[*link - 1].hash_next;
	}
	*link = entry->hash_next;
	entry->hash_next = 0;
	entry->record.seq = 0;
	log->live--;
}

/* The slot + 1 of the live entry of FLOW's key, which belongs to BUCKET, or 0. */
static uint32_t entry_find(const struct dsaa_log *log, uint32_t bucket,
			   const struct dsaa_flow *flow)
{
	uint32_t at = log->buckets[bucket];

	while (at != 0 && !dsaa_flow_key_equal(&log->ring[at - 1].record.flow, flow))
		at = log->ring[at - 1].hash_next;
	return at;
}

/* Makes room for one more slot. */
static void forget_oldest(struct dsaa_log *log)
{
	uint32_t slot = slot_of(log, log->first);

	if (log->ring[slot].record.seq != 0) {
		log->lost = log->first;
		entry_kill(log, slot);
	}
	log->first++;
}

uint64_t dsaa_log_put(struct dsaa_log *log, uint8_t op, const struct dsaa_flow *flow,
		      struct dsaa_mono now)
{
	uint32_t bucket = bucket_of(log, flow), old = entry_find(log, bucket, flow), slot;
	struct dsaa_log_entry *entry;

	if (old)
		entry_kill(log, old - 1);
	if (log->next - log->first == log->entries)
		forget_oldest(log);
	slot = slot_of(log, log->next);
	entry = &log->ring[slot];
	entry->record.op = op;
	entry->record.seq = log->next;
	entry->record.flow = *flow;
	entry->changed = now;
	entry->bucket = bucket;
	entry->hash_next = log->buckets[bucket];
	log->buckets[bucket] = slot + 1;
	log->live++;
	return log->next++;
}

const struct dsaa_log_entry *dsaa_log_after(const struct dsaa_log *log, uint64_t cursor)
{
	uint64_t seq;

	if (cursor >= log->next)
		return NULL;
	seq = cursor < log->first ? log->first : cursor + 1;
	for (; seq < log->next; seq++)
		if (log->ring[slot_of(log, seq)].record.seq != 0)
			return &log->ring[slot_of(log, seq)];
	return NULL;
}

const struct dsaa_log_entry *dsaa_log_find(const struct dsaa_log *log, const struct dsaa_flow *flow)
{
	uint32_t at = entry_find(log, bucket_of(log, flow), flow);

	return at ? &log->ring[at - 1] : NULL;
}

bool dsaa_log_reaches(const struct dsaa_log *log, uint64_t cursor)
{
	return cursor >= log->lost && cursor < log->next;
}

uint64_t dsaa_log_last(const struct dsaa_log *log)
{
	return log->next - 1;
}

const struct dsaa_log_entry *dsaa_log_at(const struct dsaa_log *log, uint64_t seq)
{
	const struct dsaa_log_entry *entry;

	if (seq < log->first || seq >= log->next)
		return NULL;
	entry = &log->ring[slot_of(log, seq)];
	return entry->record.seq == seq ? entry : NULL;
}

/* Counts from the newest: what is superseded lies among the old ones. */
uint32_t dsaa_log_backlog(const struct dsaa_log *log, uint64_t cursor, uint32_t limit)
{
	uint64_t stop = cursor < log->first ? log->first - 1 : cursor;
	uint64_t seq = log->next - 1;
	uint32_t count = 0;

	for (; seq > stop && count < limit && count < log->live; seq--)
		if (log->ring[slot_of(log, seq)].record.seq != 0)
			count++;
	return count;
}
