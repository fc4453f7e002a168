/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who owns a connection: the owner bits of the conntrack mark, and the fixed
 * rule that decides when two sites created the same connection. The steps
 * carry the numbers of doc/protocol ("Ownership").
 */
#ifndef DSAA_OWNER_H
#define DSAA_OWNER_H

#include "core/dsaa_flow.h"

#define DSAA_MARK_MASK_DEFAULT 0xff000000u

/* True when MASK is one contiguous run of at least 4 and at most 16 bits. */
bool dsaa_mark_mask_valid(uint32_t mask);

/* The highest site number that MASK can hold (at most DSAA_SITES_MAX). */
unsigned dsaa_mark_sites_max(uint32_t mask);

/* The site number in MARK; 0 means ours. */
unsigned dsaa_mark_owner(uint32_t mark, uint32_t mask);

/* MARK with its owner bits set to SITE (0 = ours); the other bits stay. */
uint32_t dsaa_mark_set_owner(uint32_t mark, uint32_t mask, unsigned site);

/* What a record about a connection does to an entry that is already here. */
enum dsaa_owner_decision {
	DSAA_OWNER_TAKE,    /* update the entry in place with what the record says */
	DSAA_OWNER_REPLACE, /* the entry stands in the way and loses: delete it, then create */
	DSAA_OWNER_KEEP,    /* the entry stays as it is: the record lost or is stale */
	DSAA_OWNER_REFUSE,  /* the sender does not own what it speaks of */
};

/*
 * Decides about a record INCOMING sent by site SENDER when EXISTING is in the
 * local table (found by the original tuple, or by the reply tuple, in which
 * case its key differs from INCOMING's). LOCAL is this site's number.
 *
 * Step 1: existing entry owned by SENDER -> TAKE (same key) or REPLACE.
 * Step 2: existing entry owned by a third site -> REFUSE.
 * Existing entry is ours: two sites created the same connection:
 * Step 3: assured beats unreplied (not assured).
 * Step 4: one with NAT beats one without.
 * Step 5: one that was adopted on demand beats one that was not. Of EXISTING our own number in the
 *	   mark says so, of INCOMING DSAA_HAS_ON_DEMAND.
 * Step 6: the earlier start_ns wins; not known loses. (A change tells no beginning, so that nobody
 *	   has to look it up; who keeps its entry for that tells it once more, with its beginning.)
 * Step 7: the lower site number wins.
 * The winner being SENDER gives TAKE when the keys are equal, else REPLACE.
 *
 * Both sites see the same two sets of facts, hence decide the same.
 */
enum dsaa_owner_decision dsaa_owner_decide(const struct dsaa_flow *existing,
					   const struct dsaa_flow *incoming, uint32_t mark_mask,
					   dsaa_site_id sender, dsaa_site_id local);

/* The per-site state word that the data path reads. */
enum dsaa_site_word {
	DSAA_WORD_UNKNOWN = 0, /* never heard of: its packets are left alone */
	DSAA_WORD_ALIVE,       /* its packets are carried to it */
	DSAA_WORD_ADOPTED,     /* dead or drained: its connections are ours */
	DSAA_WORD_UNREACHABLE, /* lives, but cannot be reached (split brain) */
};

/* What happens to a packet that arrives here. */
enum dsaa_verdict {
	DSAA_VERDICT_LOCAL,   /* ours: the stack goes on with it */
	DSAA_VERDICT_CORRECT, /* carried to its owner */
	DSAA_VERDICT_HOLD,    /* waits for its state */
	DSAA_VERDICT_NEW,     /* may open a connection here */
	DSAA_VERDICT_DROP,
	DSAA_VERDICT_OFFER, /* second chance: offered to the peers ("correct" to an operator) */
};

/* How the conntrack of the receiving kernel sees the packet. */
enum dsaa_packet_class {
	DSAA_PKT_HAS_ENTRY,   /* belongs to an entry; OWNER tells whose */
	DSAA_PKT_INVALID,     /* no entry, and cannot open one */
	DSAA_PKT_MIDSTREAM,   /* TCP without SYN that would be picked up as new */
	DSAA_PKT_NEW_TO_POOL, /* would open a connection to another site's NAT pool */
	DSAA_PKT_NEW,	      /* may open a connection */
};

struct dsaa_packet_facts {
	enum dsaa_packet_class class;
	unsigned owner;		  /* of the entry, 0 = ours */
	enum dsaa_site_word word; /* of that owner */
	bool to_router;		  /* addressed to a local address, or link-local or multicast */
	bool from_peer;		  /* came through the correction tunnel */
	bool second_chance;	  /* ... and carries the second-chance flag */
	bool any_peer_alive;
	bool refused; /* the operator's policy would drop it: it never stays here */
	/* 'correction hold' is set, it has not waited yet, and answers no SYN (H1) */
	bool may_wait;
};

/*
 * The verdict on a packet and, in *REASON, the enum dsaa_reason that is
 * counted for it. Pure: the queue thread, "show dsaa explain" and the fast
 * path's fixtures all use this function.
 */
enum dsaa_verdict dsaa_owner_verdict(const struct dsaa_packet_facts *facts, unsigned *reason);

#endif
