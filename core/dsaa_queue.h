/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which packets wait in which NFQUEUE: the rules put them there, the queue
 * threads take them out; both know only this list. The number of a queue is
 * the configured base plus one of these, so that the class of a packet and
 * the owner of its connection come with the queue and need no further look.
 *
 * The packets of a site's connections are many: they are spread over several
 * queues, each with a thread of its own. The kernel chooses by a hash of both
 * addresses, in whichever order, and the protocol (nfqueue_hash() in
 * include/net/netfilter/nf_queue.h), so that the packets of a connection, and
 * all fragments of a datagram, stay in one queue and in their order.
 */
#ifndef DSAA_QUEUE_H
#define DSAA_QUEUE_H

#include <stdbool.h>

#include "core/dsaa_limits.h"

enum dsaa_queue {
	/* 1..DSAA_SITES_MAX: the packet has an entry, owned by the site of that number; spread */
	DSAA_QUEUE_INVALID = DSAA_SITES_MAX + 1, /* no entry, cannot open one */
	DSAA_QUEUE_MIDSTREAM,			 /* TCP without SYN, would be picked up as new */
	DSAA_QUEUE_POOL, /* would open a connection to another site's NAT pool */
	DSAA_QUEUE_PEER, /* came from a peer and has no entry, or a foreign one */
	/*
	 * the operator's own rules put it here in place of dropping it: documented, never
	 * renumber
	 */
	DSAA_QUEUE_POLICY,
	DSAA_QUEUE_CLASSES,
	/* queues of one site at most; their numbers are behind those above, site by site */
	DSAA_QUEUE_SPREAD_MAX = 8,
	DSAA_QUEUES_OF_SITES = DSAA_SITES_MAX * DSAA_QUEUE_SPREAD_MAX,
	/* numbers that the rules use, counted from the base; those above come first */
	DSAA_QUEUES_RULES = DSAA_QUEUE_CLASSES + DSAA_QUEUES_OF_SITES,
	/*
	 * all that are taken: behind them, for each of a site a second one, by way of which a
	 * thread has the kernel cut large packets
	 */
	DSAA_QUEUES = DSAA_QUEUES_RULES + DSAA_QUEUES_OF_SITES,
};

/*
 * The number, without the base, of queue TURN (from 0) of CLASS: a site number or enum dsaa_queue.
 */
static inline unsigned dsaa_queue_number(unsigned class, unsigned turn)
{
	if (class > DSAA_SITES_MAX)
		return class;
	return DSAA_QUEUE_CLASSES + (class - 1) * DSAA_QUEUE_SPREAD_MAX + turn;
}

/* The number, without the base, of the second queue of a site. */
static inline unsigned dsaa_queue_cut_number(unsigned site, unsigned turn)
{
	return dsaa_queue_number(site, turn) + DSAA_QUEUES_OF_SITES;
}

/* Whether the number, without the base, is that of a second queue. */
static inline bool dsaa_queue_is_cut(unsigned number)
{
	return number >= DSAA_QUEUES_RULES && number < DSAA_QUEUES;
}

/* The class of a queue by its number without the base; 0: of none. */
static inline unsigned dsaa_queue_class(unsigned number)
{
	if (dsaa_queue_is_cut(number))
		number -= DSAA_QUEUES_OF_SITES;
	if (number < DSAA_QUEUE_CLASSES)
		return number > DSAA_SITES_MAX ? number : 0;
	return number < DSAA_QUEUES_RULES ?
		       (number - DSAA_QUEUE_CLASSES) / DSAA_QUEUE_SPREAD_MAX + 1 :
		       0;
}

/* Where the queues begin unless the caller says otherwise. */
#define DSAA_QUEUE_BASE_DEFAULT 37850u

#endif
