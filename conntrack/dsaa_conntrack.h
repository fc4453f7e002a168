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
	uint64_t echoes;     /* changes of our own, whose events are not passed on */
	uint64_t overruns;   /* events lost: ENOBUFS */
	uint64_t completed;  /* events whose flow was read again, because they told only a part */
	uint64_t vanished;   /* events not told: their entry had gone when it was read again */
	uint64_t unreadable; /* messages that describe no flow that core takes */
	uint64_t expects;    /* expectations told, by events and dumps */
	uint64_t dumped;     /* entries read by dumps */
	uint64_t lessened;   /* creations without a helper, labels or an absent master */
	uint64_t applied[DSAA_APPLY_DELETE + 1][DSAA_APPLIED_ERROR + 1]; /* by kind and result */
};

/*
 * Opens the handle; MARK_MASK is the owner's part of the mark. With EVENTS
 * the events of the namespace are received from now on. Returns NULL with a
 * sentence in ERR. Freed by dsaa_ct_close(), which takes NULL and puts back
 * what dsaa_ct_sysctl_setup() set.
 */
struct dsaa_ct *dsaa_ct_open(uint32_t mark_mask, bool events, char *err, size_t errlen);
/* Our own site's number: in a mark it means ours, as 0 does. */
void dsaa_ct_set_local(struct dsaa_ct *ct, unsigned site);
void dsaa_ct_close(struct dsaa_ct *ct);

/* The descriptor that is readable when events wait. */
int dsaa_ct_event_fd(const struct dsaa_ct *ct);
/*
 * Reads up to MAX events without waiting. Returns their number (echoes of our
 * own changes, which are not told, included), or -ENOBUFS when some were lost
 * (those read before were passed on), or another negative errno.
 *
 * Of an entry without an owner's number, F of NEW and UPDATE is whole, with
 * protocol state; but when it began (start_ns) is 0 unless NEEDS_LOOKUP asks
 * for it. What the event does not say is read from the table, so F may
 * be newer than the event. An event whose entry has gone meanwhile is not
 * told; its DESTROY follows.
 */
struct dsaa_ct_reader {
	void (*event)(void *arg, enum dsaa_ct_event kind, const struct dsaa_flow *f);
	/* it must be read from the table anyway; NULL: never */
	bool (*needs_lookup)(void *arg, const struct dsaa_flow *f);
	void *arg;
};
int dsaa_ct_read_events(struct dsaa_ct *ct, unsigned max, const struct dsaa_ct_reader *reader);

/*
 * Starts a dump of the entries of OWNER (0 = ours; -1 = all). With the number that
 * dsaa_ct_set_local() has set: of those with 0 or that number, and perhaps of others. 0 or a
 * negative errno.
 */
int dsaa_ct_dump_start(struct dsaa_ct *ct, int owner);
/* Reads about MAX entries of it. The kernel fills the next piece only when one is read. */
enum dsaa_ct_dump dsaa_ct_dump_read(struct dsaa_ct *ct, unsigned max,
				    void (*cb)(void *arg, const struct dsaa_flow *f), void *arg);
/* Gives up the running dump, if any; takes NULL. */
void dsaa_ct_dump_cancel(struct dsaa_ct *ct);

/*
 * Performs COUNT operations, DSAA_FLOWS_PER_MSG_MAX per system call, and fills
 * their results (struct dsaa_apply in core/dsaa_engine.h). A CREATE or REPLACE
 * that meets an entry, and a LOOKUP, look for it by the original tuple, then by
 * the reply tuple. An UPDATE of an entry whose NAT differs becomes a REPLACE:
 * the kernel changes no NAT in place.
 */
void dsaa_ct_apply(struct dsaa_ct *ct, struct dsaa_apply *ops, unsigned count);

/*
 * Finds the entry that a packet with tuple T belongs to, in either direction.
 * Returns 1 with *OUT and *REPLY (the packet runs in the reply direction), 0
 * when there is none, or a negative errno.
 */
int dsaa_ct_find(struct dsaa_ct *ct, uint8_t family, uint8_t proto, const struct dsaa_tuple *t,
		 struct dsaa_flow *out, bool *reply);

/* An expectation came (MASTER: the connection as it is now) or went (NULL). */
typedef void dsaa_ct_expect_cb(void *arg, bool gone, const struct dsaa_expect *x,
			       const struct dsaa_flow *master);
/* The descriptor that is readable when events of expectations wait. */
int dsaa_ct_expect_fd(const struct dsaa_ct *ct);
/*
 * Tells up to MAX of them; those of our own changes are left out. 0 or -ENOBUFS when some were
 * lost.
 */
int dsaa_ct_read_expects(struct dsaa_ct *ct, unsigned max, dsaa_ct_expect_cb *cb, void *arg);
/* Tells all that are there. 0 or a negative errno. */
int dsaa_ct_dump_expects(struct dsaa_ct *ct, dsaa_ct_expect_cb *cb, void *arg);
/* Performs COUNT operations and fills their results. */
void dsaa_ct_expect_apply(struct dsaa_ct *ct, struct dsaa_expect_op *ops, unsigned count);

/*
 * Sets what dsaad needs in this namespace (nf_conntrack_events,
 * nf_conntrack_timestamp, nf_conntrack_tcp_be_liberal: all 1) and remembers
 * what was there. What could not be set is told in WARNING as a sentence; else
 * it is empty.
 */
void dsaa_ct_sysctl_setup(struct dsaa_ct *ct, char *warning, size_t len);
/* Puts back what was there, unless somebody has changed it since. */
void dsaa_ct_sysctl_restore(struct dsaa_ct *ct);
/*
 * Reads the timeouts of this namespace; what the kernel does not have stays 0.
 * Some twenty small files: not for every packet.
 */
void dsaa_ct_timeouts(struct dsaa_timeouts *t);
/* Entries in the table now, and how many it takes; 0 when unknown. */
void dsaa_ct_table_size(struct dsaa_ct *ct, uint32_t *count, uint32_t *max);

/* What bounds the sync of this namespace. */
struct dsaa_ct_limits {
	uint32_t count, max, buckets; /* nf_conntrack_count, _max, _buckets; 0: not known */
	int events;		      /* nf_conntrack_events; -1: not known */
	uint32_t event_buffer; /* bytes of the event socket's buffer as the kernel counts them */
};
/*
 * Reads them. Events that somebody has switched off since dsaa_ct_sysctl_setup() are switched on
 * again: without them changes would be missed in silence; L->events is what was found.
 */
void dsaa_ct_limits(struct dsaa_ct *ct, struct dsaa_ct_limits *l);
enum dsaa_ct_limit {
	DSAA_CT_LIMIT_NONE,
	DSAA_CT_LIMIT_EVENTS,
	DSAA_CT_LIMIT_MAX,
	DSAA_CT_LIMIT_BUCKETS,
	DSAA_CT_LIMIT_BUFFER,
};
/*
 * Which of L is too small for NEEDED connections, or set wrongly: the worst, with a sentence with
 * the remedy in TEXT, which is empty when all is well. Pure.
 */
enum dsaa_ct_limit dsaa_ct_limits_warning(const struct dsaa_ct_limits *l, uint64_t needed,
					  char *text, size_t len);

const struct dsaa_ct_counters *dsaa_ct_counters(const struct dsaa_ct *ct);

#endif
