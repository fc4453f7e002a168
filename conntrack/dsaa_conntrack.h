/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's conntrack table over ctnetlink: events, dumps, changes,
 * look-ups. Edge: knows core and libmnl only.
 *
 * One thread per handle. Every call needs CAP_NET_ADMIN effective in the
 * calling thread: nfnetlink checks the sender of each message.
 */
#ifndef DSAA_CONNTRACK_H
#define DSAA_CONNTRACK_H

#include "core/dsaa_engine.h"

struct dsaa_ct;

enum dsaa_ct_event {
	DSAA_CT_EVENT_NEW,
	DSAA_CT_EVENT_UPDATE,
	DSAA_CT_EVENT_DESTROY,
	DSAA_CT_EVENTS,
};

enum dsaa_ct_dump {
	DSAA_CT_DUMP_MORE,  /* not finished; call again when the engine takes more */
	DSAA_CT_DUMP_DONE,  /* all entries were told */
	DSAA_CT_DUMP_ERROR, /* failed or inconsistent: start over */
};

struct dsaa_ct_counters {
	uint64_t events[DSAA_CT_EVENTS];
	uint64_t echoes;     /* events of our own changes, not passed on */
	uint64_t overruns;   /* ENOBUFS on the event socket */
	uint64_t unreadable; /* messages that describe no flow that core takes */
	uint64_t dumped;     /* entries read by dumps */
	uint64_t applied[DSAA_APPLY_DELETE + 1][DSAA_APPLIED_ERROR + 1]; /* by kind and result */
};

/*
 * Opens the handle; MARK_MASK is the owner's part of the mark. With EVENTS
 * the events of the namespace are received from now on. Returns NULL with a
 * sentence in ERR. Freed by dsaa_ct_close(), which takes NULL.
 */
struct dsaa_ct *dsaa_ct_open(uint32_t mark_mask, bool events, char *err, size_t errlen);
void dsaa_ct_close(struct dsaa_ct *ct);

/* The descriptor that is readable when events wait. */
int dsaa_ct_event_fd(const struct dsaa_ct *ct);
/*
 * Reads up to MAX events without waiting. Returns their number, or -ENOBUFS
 * when the kernel had to drop some (those read before were passed on), or
 * another negative errno.
 */
int dsaa_ct_read_events(struct dsaa_ct *ct, unsigned max,
			void (*cb)(void *arg, enum dsaa_ct_event kind, const struct dsaa_flow *f),
			void *arg);

/* Starts a dump of the entries of OWNER (0 = ours; -1 = all). 0 or a negative errno. */
int dsaa_ct_dump_start(struct dsaa_ct *ct, int owner);
/* Reads about MAX entries of it. The kernel fills the next piece only when one is read. */
enum dsaa_ct_dump dsaa_ct_dump_read(struct dsaa_ct *ct, unsigned max,
				    void (*cb)(void *arg, const struct dsaa_flow *f), void *arg);
void dsaa_ct_dump_cancel(struct dsaa_ct *ct);

/*
 * Performs COUNT (at most DSAA_FLOWS_PER_MSG_MAX) operations in few system
 * calls and fills their results (struct dsaa_apply in core/dsaa_engine.h).
 */
void dsaa_ct_apply(struct dsaa_ct *ct, struct dsaa_apply *ops, unsigned count);

/*
 * Finds the entry that a packet with tuple T belongs to, in either direction.
 * Returns 1 with *OUT and *REPLY (the packet runs in the reply direction), 0
 * when there is none, or a negative errno.
 */
int dsaa_ct_find(struct dsaa_ct *ct, uint8_t family, uint8_t proto, const struct dsaa_tuple *t,
		 struct dsaa_flow *out, bool *reply);

/*
 * Sets what dsaad needs in this namespace (nf_conntrack_events=1,
 * nf_conntrack_timestamp=1) and remembers what was there. What could not be
 * set, or is too small, is told in WARNING as a sentence; else it is empty.
 */
void dsaa_ct_sysctl_setup(struct dsaa_ct *ct, char *warning, size_t len);
void dsaa_ct_sysctl_restore(struct dsaa_ct *ct);
/* Entries in the table now, and how many it takes; 0 when unknown. */
void dsaa_ct_table_size(struct dsaa_ct *ct, uint32_t *count, uint32_t *max);

const struct dsaa_ct_counters *dsaa_ct_counters(const struct dsaa_ct *ct);

#endif
