/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which packets wait in which NFQUEUE: the rules put them there, the queue
 * thread takes them out; both know only this list. The number of a queue is
 * the configured base plus one of these, so that the class of a packet and
 * the owner of its connection come with the queue and need no further look.
 */
#ifndef DSAA_QUEUE_H
#define DSAA_QUEUE_H

#include "core/dsaa_limits.h"

enum dsaa_queue {
	/* 1..DSAA_SITES_MAX: the packet has an entry, owned by the site of that number */
	DSAA_QUEUE_INVALID = DSAA_SITES_MAX + 1, /* no entry, cannot open one */
	DSAA_QUEUE_MIDSTREAM,			 /* TCP without SYN, would be picked up as new */
	DSAA_QUEUE_POOL, /* would open a connection to another site's NAT pool */
	DSAA_QUEUE_PEER, /* came from a peer and has no entry, or a foreign one */
	/*
	 * the operator's own rules put it here in place of dropping it: documented, never
	 * renumber
	 */
	DSAA_QUEUE_POLICY,
	DSAA_QUEUES, /* numbers taken, counted from the base */
};

/* Where the queues begin unless the caller says otherwise. */
#define DSAA_QUEUE_BASE_DEFAULT 37850u

#endif
