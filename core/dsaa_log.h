/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The compacted log: the newest state of each changed connection, in the
 * order of change, bounded. Peers read it through cursors.
 *
 * Invariants: at most one live entry per key; sequence numbers grow by one
 * per put and are never reused; memory is what the caller gave at the start.
 * A put on a full log forgets the oldest slot; if that was a live entry, a
 * reader whose cursor is before it has fallen off and needs a bulk.
 */
#ifndef DSAA_LOG_H
#define DSAA_LOG_H

#include "core/dsaa_flow.h"
#include "core/dsaa_wire.h"

struct dsaa_log_entry {
	struct dsaa_record record; /* record.seq 0: superseded or empty */
	struct dsaa_mono changed;  /* when the event was seen here; for lag */
	uint32_t hash_next;	   /* index + 1 within the bucket's chain */
	uint32_t bucket;	   /* whose chain that is */
};

struct dsaa_log {
	struct dsaa_log_entry *ring;
	uint32_t *buckets; /* index + 1, 0 = empty */
	uint32_t entries;  /* ring size, power of two */
	uint64_t first;	   /* sequence of the oldest slot still in the ring */
	uint64_t next;	   /* sequence the next put gets; starts at 1 */
	uint64_t lost;	   /* highest sequence of a live entry that was forgotten; 0 = none */
	uint32_t live;	   /* entries not superseded */
	uint64_t seed;
};

/* Bytes of memory that a log of ENTRIES (a power of two) needs. */
size_t dsaa_log_size(uint32_t entries);

/* Initialises LOG in MEM (zeroed, 8-byte aligned, dsaa_log_size bytes; borrowed until the end). */
void dsaa_log_init(struct dsaa_log *log, void *mem, uint32_t entries, uint64_t seed);

/* Puts FLOW's new state; supersedes an older entry of the same key. Returns its sequence. */
uint64_t dsaa_log_put(struct dsaa_log *log, uint8_t op, const struct dsaa_flow *flow,
		      struct dsaa_mono now);

/*
 * The first live entry with a sequence greater than CURSOR, or NULL when
 * there is none. Valid until the next put.
 */
const struct dsaa_log_entry *dsaa_log_after(const struct dsaa_log *log, uint64_t cursor);

/* The live entry of FLOW's key, or NULL. */
const struct dsaa_log_entry *dsaa_log_find(const struct dsaa_log *log,
					   const struct dsaa_flow *flow);

/* True when a reader at CURSOR has missed nothing; false for a cursor from the future. */
bool dsaa_log_reaches(const struct dsaa_log *log, uint64_t cursor);

/* Sequence of the newest put, 0 when there was none. */
uint64_t dsaa_log_last(const struct dsaa_log *log);

/* The entry whose sequence is SEQ, when it is still live, else NULL. */
const struct dsaa_log_entry *dsaa_log_at(const struct dsaa_log *log, uint64_t seq);

/* How many live entries a reader at CURSOR has before it, at most LIMIT (bounded work). */
uint32_t dsaa_log_backlog(const struct dsaa_log *log, uint64_t cursor, uint32_t limit);

#endif
