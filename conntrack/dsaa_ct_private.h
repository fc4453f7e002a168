/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The inside of a conntrack handle, shared by the files of this folder only. */
#ifndef DSAA_CT_PRIVATE_H
#define DSAA_CT_PRIVATE_H

#include <libmnl/libmnl.h>

#include "conntrack/dsaa_conntrack.h"

enum {
	DSAA_CT_EVENT_BUFFER = 32 << 20,  /* socket buffer: a burst of some 100k events */
	DSAA_CT_EXPECT_BUFFER = 4 << 20,  /* ... some 10k events of expectations */
	DSAA_CT_COMMAND_BUFFER = 4 << 20, /* answers to a whole batch */
	DSAA_CT_READ_LEN = 64 << 10,
	/* the longest change is some 600 bytes; REPLACE makes two messages of one operation */
	DSAA_CT_MESSAGE_MAX = 768,
	/* names of helpers that this kernel turned out not to have */
	DSAA_CT_NO_HELPERS_MAX = 8,
	DSAA_CT_BATCH_LEN = 2 * DSAA_FLOWS_PER_MSG_MAX * DSAA_CT_MESSAGE_MAX,
	/* events that are read, and completed by look-ups, in one batch */
	DSAA_CT_EVENTS_PER_TURN = 64,
	/*
	 * an event, or the answer to a look-up, is some 300 bytes; a security label may double it
	 */
	DSAA_CT_EVENT_MAX = 2048,
	/* entries of our own making that are remembered; a power of two */
	DSAA_CT_KNOWN = 1 << 14,
};

/* An entry that we made or changed last; dsaa_ct_known.c. */
struct dsaa_ct_known {
	bool valid;
	struct dsaa_flow flow;
};

struct dsaa_ct_told {
	enum dsaa_ct_event kind;
	bool partial; /* it has rare parts, which the event may have left out */
	bool gone;    /* not to be told: its entry is not there any more */
	struct dsaa_flow flow;
};

struct dsaa_ct {
	uint32_t mark_mask;
	unsigned local; /* our own site's number, 0: not known */
	struct mnl_socket *events, *commands, *dumps, *expects;
	uint32_t command_portid; /* what our own changes carry in their events */
	uint32_t seq;
	bool dumping, dump_inconsistent;
	uint32_t dump_seq;
	struct dsaa_ct_counters counters;
	bool timestamps; /* the kernel notes when connections begin */
	char no_helper[DSAA_CT_NO_HELPERS_MAX][DSAA_HELPER_MAX];
	unsigned no_helpers;
	/* events read and not yet told, and the look-ups that complete some of them */
	struct dsaa_ct_told event[DSAA_CT_EVENTS_PER_TURN];
	struct dsaa_apply look[DSAA_CT_EVENTS_PER_TURN];
	bool labels; /* connections of this namespace have labels; they may come at any time */
	uint64_t known_seed;
	unsigned known_count; /* so many of them are valid */
	struct dsaa_ct_known known[DSAA_CT_KNOWN];
	/* values found in the namespace; -1: not changed */
	int old_events, old_timestamp, old_liberal;
	char read_buf[DSAA_CT_READ_LEN];
	/* of its own: who is told an entry may change the table before the next one is read */
	char dump_buf[DSAA_CT_READ_LEN];
	char batch[DSAA_CT_BATCH_LEN];
	struct dsaa_ct_inbox *inbox; /* what it holds is used before it receives again */
};

/* dsaa_ct_receive.c. A place for datagrams; freed by free(). NULL: no memory. */
struct dsaa_ct_inbox *dsaa_ct_inbox_new(void);
/*
 * Receives up to MAX (at most DSAA_CT_EVENTS_PER_TURN) datagrams of netlink socket FD without
 * waiting. Returns how many, or a negative errno.
 */
int dsaa_ct_inbox_receive(struct dsaa_ct_inbox *in, int fd, unsigned max);
/* The I-th of them and its length; NULL: not the kernel's word, or not all of it. */
const struct nlmsghdr *dsaa_ct_inbox_at(const struct dsaa_ct_inbox *in, unsigned i, int *len);

/*
 * Begins a ctnetlink message of TYPE (IPCTNL_MSG_CT_*) at BUF; its sequence
 * number is the handle's next.
 */
struct nlmsghdr *dsaa_ct_message(struct dsaa_ct *ct, void *buf, uint16_t type, uint16_t flags,
				 uint8_t family);

/* The number in net.netfilter.NAME, or -1; _write: false when it could not be written. */
int dsaa_ct_sysctl_read(const char *name);
bool dsaa_ct_sysctl_write(const char *name, int value);

/*
 * Looks COUNT (at most DSAA_FLOWS_PER_MSG_MAX) LOOKUP operations up by their
 * original tuples only; not counted.
 */
void dsaa_ct_get(struct dsaa_ct *ct, struct dsaa_apply *ops, unsigned count);

/*
 * dsaa_ct_known.c. Answers the CREATE of a connection whose entry is known to be there, and is what
 * OP would update: EXISTS, with existing filled in but for its id. False: ask the kernel.
 */
bool dsaa_ct_known_answer(struct dsaa_ct *ct, struct dsaa_apply *op);
/* OP has been carried out. */
void dsaa_ct_known_note(struct dsaa_ct *ct, const struct dsaa_apply *op);
/* Something happened to the entry of F's key. */
void dsaa_ct_known_forget(struct dsaa_ct *ct, const struct dsaa_flow *f);
/* Anything may have happened. */
void dsaa_ct_known_clear(struct dsaa_ct *ct);

#endif
