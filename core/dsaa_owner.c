/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ownership: mark bits, the rule for two creators, the verdict on a packet.
 * The steps carry the numbers of doc/protocol/sync.rst. Pure; any thread.
 *
 * The rules of ownership, and where each is kept:
 *
 *	rule 1	the mark says who owns	here; dsaa_receive.c make_replica()
 *	rule 2	only owners speak	here, steps 1 and 2; dsaa_send_wanted()
 *	rule 3	nothing older counts	dsaa_receive.c, epoch and sequence
 *	rule 4	two creators		here, steps 3 to 7
 *	rule 5	a dead site's are ours	here, L4; dsaa_site.c adopt(), dsaa_dump.c
 *	rule 6	the router's own	dsaa_send_of_router()
 */
#include "core/dsaa_owner.h"
#include "core/dsaa_reason.h"

/* ------------------------------------------------------------------ mark */

bool dsaa_mark_mask_valid(uint32_t mask)
{
	unsigned bits;
	uint32_t run;

	if (mask == 0)
		return false;
	run = mask >> __builtin_ctz(mask);
	if ((run & (run + 1)) != 0)
		return false;
	for (bits = 0; run; run >>= 1)
		bits++;
	return bits >= 4 && bits <= 16;
}

unsigned dsaa_mark_sites_max(uint32_t mask)
{
	uint32_t highest;

	if (mask == 0)
		return 0;
	highest = mask >> __builtin_ctz(mask);
	return highest < DSAA_SITES_MAX ? highest : DSAA_SITES_MAX;
}

unsigned dsaa_mark_owner(uint32_t mark, uint32_t mask)
{
	return mask == 0 ? 0 : (mark & mask) >> __builtin_ctz(mask);
}

uint32_t dsaa_mark_set_owner(uint32_t mark, uint32_t mask, unsigned site)
{
	if (mask == 0)
		return mark;
	return (mark & ~mask) | (((uint32_t)site << __builtin_ctz(mask)) & mask);
}

/* ------------------------------------------------------------------ two creators */

static bool has_nat(const struct dsaa_flow *f)
{
	return f->status & (DSAA_FLOW_SNAT | DSAA_FLOW_DNAT);
}

/*
 * Steps 3 to 7: true when the connection of the sender beats ours. Each step
 * compares what an entry is by itself, so the steps together are an order:
 * three sites that created one connection cannot go round in a circle.
 */
static bool sender_wins(const struct dsaa_flow *ours, const struct dsaa_flow *theirs,
			uint32_t mark_mask, dsaa_site_id sender, dsaa_site_id local)
{
	bool ours_on_demand = dsaa_mark_owner(ours->mark, mark_mask) == local;
	bool theirs_on_demand = theirs->has & DSAA_HAS_ON_DEMAND;
	bool ours_assured = ours->status & DSAA_FLOW_ASSURED;
	bool theirs_assured = theirs->status & DSAA_FLOW_ASSURED;

	/* step 3 */
	if (ours_assured != theirs_assured)
		return theirs_assured;
	/* step 4 */
	if (has_nat(ours) != has_nat(theirs))
		return has_nat(theirs);
	/* step 5: packets came there while the sites were cut off from each other */
	if (ours_on_demand != theirs_on_demand)
		return theirs_on_demand;
	/* step 6: 0, not known, loses to all that is known */
	if (ours->start_ns != theirs->start_ns)
		return theirs->start_ns && (!ours->start_ns || theirs->start_ns < ours->start_ns);
	/* step 7 */
	return sender < local;
}

enum dsaa_owner_decision dsaa_owner_decide(const struct dsaa_flow *existing,
					   const struct dsaa_flow *incoming, uint32_t mark_mask,
					   dsaa_site_id sender, dsaa_site_id local)
{
	unsigned owner = dsaa_mark_owner(existing->mark, mark_mask);
	enum dsaa_owner_decision win = dsaa_flow_key_equal(existing, incoming) ? DSAA_OWNER_TAKE :
										 DSAA_OWNER_REPLACE;

	/* nobody can tell us about our own connections */
	if (sender == local || sender == 0)
		return DSAA_OWNER_REFUSE;
	/* step 1 */
	if (owner == sender)
		return win;
	/* step 2; our own number in a mark means ours as 0 does */
	if (owner != 0 && owner != local)
		return DSAA_OWNER_REFUSE;
	/* steps 3 to 7 */
	return sender_wins(existing, incoming, mark_mask, sender, local) ? win : DSAA_OWNER_KEEP;
}

/* ------------------------------------------------------------------ verdict */

static enum dsaa_verdict say(enum dsaa_verdict verdict, unsigned *reason, unsigned because)
{
	*reason = because;
	return verdict;
}

/* Rules P1 to P4: the packet came through the correction tunnel. It never travels on. */
static enum dsaa_verdict verdict_from_peer(const struct dsaa_packet_facts *f, unsigned *reason)
{
	bool ours = f->owner == 0 || f->word == DSAA_WORD_ADOPTED;

	if (f->class == DSAA_PKT_HAS_ENTRY && ours)
		return say(DSAA_VERDICT_LOCAL, reason, DSAA_R_RX_DELIVERED); /* P1 */
	if (f->class == DSAA_PKT_HAS_ENTRY)
		return say(DSAA_VERDICT_DROP, reason, DSAA_R_RX_LOOP); /* P2 */
	if (f->second_chance)
		return say(DSAA_VERDICT_DROP, reason, DSAA_R_RX_NOT_OURS); /* P3 */
	return say(DSAA_VERDICT_DROP, reason, DSAA_R_RX_OPENS);		   /* P4 */
}

/* Rules L2 to L6: the packet belongs to an entry. */
static enum dsaa_verdict verdict_entry(const struct dsaa_packet_facts *f, unsigned *reason)
{
	if (f->owner == 0)
		return say(DSAA_VERDICT_LOCAL, reason, DSAA_R_LOCAL); /* L2 */
	switch (f->word) {
	case DSAA_WORD_ALIVE:
		return say(DSAA_VERDICT_CORRECT, reason, DSAA_R_FOREIGN); /* L3 */
	case DSAA_WORD_ADOPTED:
		return say(DSAA_VERDICT_LOCAL, reason, DSAA_R_ADOPTED); /* L4 */
	case DSAA_WORD_UNREACHABLE:
		return say(DSAA_VERDICT_DROP, reason, DSAA_R_OWNER_UNREACHABLE); /* L5 */
	case DSAA_WORD_UNKNOWN:
		break;
	}
	return say(DSAA_VERDICT_LOCAL, reason, DSAA_R_LOCAL); /* L6 */
}

/* Rules L7 to L9, and H1: no entry. */
static enum dsaa_verdict verdict_no_entry(const struct dsaa_packet_facts *f, unsigned *reason)
{
	if (f->class == DSAA_PKT_NEW)
		return say(DSAA_VERDICT_NEW, reason, DSAA_R_OPENS); /* L7 */
	if (!f->any_peer_alive)
		return say(DSAA_VERDICT_LOCAL, reason, DSAA_R_NO_PEER); /* L8 */
	if (f->may_wait)
		return say(DSAA_VERDICT_HOLD, reason, DSAA_R_HELD); /* H1 */
	if (f->class == DSAA_PKT_MIDSTREAM)			    /* L9 */
		return say(DSAA_VERDICT_OFFER, reason, DSAA_R_OFFERED_MIDSTREAM);
	if (f->class == DSAA_PKT_NEW_TO_POOL)
		return say(DSAA_VERDICT_OFFER, reason, DSAA_R_OFFERED_POOL);
	return say(DSAA_VERDICT_OFFER, reason, DSAA_R_OFFERED_INVALID);
}

/* Rules R1 to R4, and H1: the operator's policy would drop the packet, and hands it over before. */
static enum dsaa_verdict verdict_refused(const struct dsaa_packet_facts *f, unsigned *reason)
{
	bool entry = f->class == DSAA_PKT_HAS_ENTRY;

	if (f->from_peer || f->to_router)
		return say(DSAA_VERDICT_DROP, reason, DSAA_R_REFUSED); /* R1 */
	if (entry && f->owner != 0 && f->word == DSAA_WORD_ALIVE)
		return say(DSAA_VERDICT_CORRECT, reason, DSAA_R_FOREIGN); /* R2 */
	if (entry || !f->any_peer_alive)
		return say(DSAA_VERDICT_DROP, reason, DSAA_R_REFUSED); /* R4 */
	if (f->may_wait)
		return say(DSAA_VERDICT_HOLD, reason, DSAA_R_HELD);    /* H1 */
	return say(DSAA_VERDICT_OFFER, reason, DSAA_R_OFFERED_POLICY); /* R3 */
}

enum dsaa_verdict dsaa_owner_verdict(const struct dsaa_packet_facts *facts, unsigned *reason)
{
	if (facts->refused)
		return verdict_refused(facts, reason);
	if (facts->from_peer)
		return verdict_from_peer(facts, reason);
	if (facts->to_router)
		return say(DSAA_VERDICT_LOCAL, reason, DSAA_R_TO_ROUTER); /* L1 */
	if (facts->class == DSAA_PKT_HAS_ENTRY)
		return verdict_entry(facts, reason);
	return verdict_no_entry(facts, reason);
}
