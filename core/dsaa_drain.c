/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Handing our connections over to another site, so that this router can be
 * switched off.
 *
 *	drain on --> draining --- routing has moved ---> handing over
 *	                ^                                    |  ^
 *	                |   one left, or began here meanwhile |  | every second:
 *	                +<--------- drained <-----------------+--+ count, ask again
 *	                                    none of ours is left
 *
 * We announce the drain tag, wait until routing has followed, then ask one
 * peer, the heir, to take over (HANDOVER). The heir treats our connections as
 * its own at that moment (our word there becomes ADOPTED) and re-marks them
 * behind it, as after a death; each record by which it tells so wins against
 * our entry (step 0 of the ownership rule), which becomes a replica in place.
 * At every moment at least one of the two processes a packet, whichever of
 * them it reaches. Connections that still begin here are handed over in the
 * next round. Nothing here is final: "drain off" ends it, and what was handed
 * over stays where it is.
 *
 * A router that has lost a tracked route drains itself until the route is back.
 * It waits for nothing then: what it keeps for itself it cannot forward. One
 * that has just started has not lost what it waits for: it announces nothing
 * until all are there, and has nothing to hand over.
 */
#include "core/dsaa_engine_private.h"

enum {
	/* BGP and the kernels' routes have followed the drain tag by then */
	SETTLE_MS = 2000,
	ROUND_MS = 1000,
};

static void set_state(struct dsaa_engine *e, enum dsaa_drain_state state, unsigned reason)
{
	if (e->drain.state == state && e->drain.reason == reason)
		return;
	if (e->drain.state != state)
		dsaa_history_note(e, DSAA_HISTORY_DRAIN, 0, (uint8_t)e->drain.state, (uint8_t)state,
				  reason);
	e->drain.state = state;
	e->drain.reason = reason;
}

/* Begins or ends it, as its causes say. */
static void follow_causes(struct dsaa_engine *e, unsigned reason)
{
	bool on = e->drain.wanted || e->drain.routes_lost;

	if (e->draining == on)
		return;
	/*
	 * What is still ours the heir may have taken, and then lost by itself: it has no replica of
	 * it now, and nobody would ever tell it again.
	 */
	if (!on && e->drain.asked)
		dsaa_send_bulk_again(e);
	e->drain.asked = false;
	e->draining = on;
	e->drain.next = dsaa_mono_add_ms(e->now, SETTLE_MS);
	e->drain.heir = 0;
	e->drain.left = 0;
	set_state(e, on ? DSAA_DRAIN_DRAINING : DSAA_DRAIN_OFF, reason);
	dsaa_act(e, DSAA_ACT_CHANGED, 0);
	DSAA_FOREACH_PEER (e, p)
		p->last_sent.us = 0; /* the next keepalive tells it */
}

void dsaa_drain_set(struct dsaa_engine *e, bool on)
{
	e->drain.wanted = on;
	follow_causes(e, DSAA_R_NONE);
}

/* P can take over: it holds all that is ours, serves, and is not about to leave itself. */
static bool can_inherit(const struct dsaa_engine *e, const struct dsaa_peer *p)
{
	return p->configured && p->state == DSAA_PEER_UP && p->ours_confirmed && p->peer_complete &&
	       !p->peer_draining && !dsaa_differ_forbids_adoption(e, p);
}

static struct dsaa_peer *choose_heir(struct dsaa_engine *e)
{
	if (e->drain.heir && can_inherit(e, &e->peer[e->drain.heir]))
		return &e->peer[e->drain.heir];
	e->drain.heir = 0;
	DSAA_FOREACH_PEER (e, p) {
		if (!can_inherit(e, p))
			continue;
		e->drain.heir = p->site;
		return p;
	}
	return NULL;
}

static void ask(struct dsaa_engine *e, struct dsaa_peer *heir)
{
	struct dsaa_msg m = { .type = DSAA_MSG_HANDOVER };

	e->drain.asked = true;
	m.handover.count = e->drain.left;
	dsaa_act_message(e, heir, &m);
}

void dsaa_drain_routes(struct dsaa_engine *e, bool lost)
{
	if (e->drain.routes_lost == lost)
		return;
	e->drain.routes_lost = lost;
	follow_causes(e, DSAA_R_ROUTE_LOST);
	if (!lost)
		return;
	e->drain.heir = 0;
	e->drain.next = e->now;
	dsaa_drain_tick(e);
}

void dsaa_drain_await(struct dsaa_engine *e, bool awaited)
{
	if (e->drain.routes_awaited == awaited)
		return;
	e->drain.routes_awaited = awaited;
	dsaa_act(e, DSAA_ACT_CHANGED, 0);
	DSAA_FOREACH_PEER (e, p)
		p->last_sent.us = 0; /* the next keepalive tells whether we announce */
}

void dsaa_drain_tick(struct dsaa_engine *e)
{
	struct dsaa_peer *heir;

	/* what is asked for again in each round need not wait for the first one, nor be counted */
	if (!e->drain.routes_lost || e->drain.heir)
		return;
	heir = choose_heir(e);
	if (heir)
		ask(e, heir);
}

static unsigned why_no_heir(struct dsaa_engine *e)
{
	DSAA_FOREACH_PEER (e, p)
		if (dsaa_differ_forbids_adoption(e, p))
			return DSAA_R_RULESET_DIFFERS;
	return DSAA_R_NO_HEIR;
}

bool dsaa_drain_due(struct dsaa_engine *e)
{
	return e->draining && dsaa_mono_reached(e->now, e->drain.next);
}

void dsaa_drain_begin(struct dsaa_engine *e)
{
	e->drain.count = 0;
}

void dsaa_drain_flow(struct dsaa_engine *e, const struct dsaa_flow *f)
{
	unsigned reason;

	if (dsaa_send_wanted(e, f, &reason))
		e->drain.count++;
}

void dsaa_drain_counted(struct dsaa_engine *e)
{
	struct dsaa_peer *heir;

	e->drain.next = dsaa_mono_add_ms(e->now, ROUND_MS);
	if (!e->draining)
		return;
	e->drain.left = e->drain.count;
	if (!e->drain.left) {
		set_state(e, DSAA_DRAIN_DONE, DSAA_R_HANDED_OVER);
		return;
	}
	heir = choose_heir(e);
	if (!heir) {
		set_state(e, DSAA_DRAIN_DRAINING, why_no_heir(e));
		return;
	}
	set_state(e, DSAA_DRAIN_HANDING_OVER, DSAA_R_NONE);
	ask(e, heir);
}

bool dsaa_drain_yields_to(const struct dsaa_engine *e, const struct dsaa_peer *p)
{
	return e->draining && e->drain.heir == p->site;
}

void dsaa_drain_inherit(struct dsaa_engine *e, struct dsaa_peer *p)
{
	/* what we do not hold, or are about to leave ourselves, is better left where it is */
	if (e->draining || e->drain.routes_awaited || e->stopping || !p->theirs_complete)
		return;
	dsaa_site_inherit(e, p);
}

const char *dsaa_drain_state_name(enum dsaa_drain_state s)
{
	static const char *const name[] = {
		[DSAA_DRAIN_OFF] = "off",
		[DSAA_DRAIN_DRAINING] = "draining",
		[DSAA_DRAIN_HANDING_OVER] = "handing-over",
		[DSAA_DRAIN_DONE] = "drained",
	};

	return (unsigned)s < sizeof(name) / sizeof(name[0]) ? name[s] : "unknown";
}
