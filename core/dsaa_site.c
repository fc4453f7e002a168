/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is a site alive, and whose are its connections.
 *
 *	            connect          hello             both bulks confirmed
 *	  idle --> connecting --> syncing --------------------> up
 *	              ^  ^           | <-- a kernel was full -- |
 *	              |  |           | session lost              | session lost
 *	              |  |           v                           v
 *	              |  +-------- down <-----------------------+
 *	              |             |  \
 *	   connected  |   all       |   \ the probe answers, the link does not
 *	              |   silent    v    v
 *	              +---------- dead  isolated
 *
 *	refused, incompatible: the peer is there, but a session may not be; the
 *	cause is in the reason, and we go on trying, slowly.
 *
 * down -> isolated tells by its reason whether the link is cut (probe-alive) or
 * only the daemon ended (peer-daemon-gone: its connection was closed while the
 * link carried it); a peer that says goodbye is of the second kind.
 *
 * A site that dies too often (DSAA_DEATHS within a minute) is held back: its
 * hello is refused (flapping) for a while that doubles. A site that is refused
 * so stays incomplete, and announces nothing. One that says that it serves did
 * not die, the links did: that does not count.
 *
 * A living site may hand its connections to us (dsaa_drain.c): then its word is
 * ADOPTED until it drains no more.
 *
 * A site is dead when session, BFD and probe are all silent: those of them
 * that are configured. Then its word becomes ADOPTED at once, and re-marking
 * its entries follows in the background (dsaa_dump.c), after a while in which
 * packets tell who of several survivors gets what. The silence of a probe
 * that did not answer while the site spoke, for a second or more, is no
 * evidence: a wrong probe address must not make a cut link a death. (One that
 * had no such time is believed: a site may die as soon as it has come.)
 */
#include "core/dsaa_engine_private.h"

#include <string.h>

/* A refused peer tries every 5 s: when it has not for three times that, it is gone. */
#define REFUSED_FORGET_US (3 * (int64_t)DSAA_REFUSED_RETRY_MS * 1000)

/*
 * For so long the packets of a dead site's connections say which survivor has them: routing takes
 * about a second to turn, and who sends waits longer between tries than that.
 */
enum { ADOPT_REST_AFTER_MS = 5000 };

static void tell_word(struct dsaa_engine *e, struct dsaa_peer *p, enum dsaa_site_word word,
		      bool on_demand)
{
	struct dsaa_action *a;

	if (p->word == word && p->on_demand == on_demand)
		return;
	p->word = word;
	p->on_demand = on_demand;
	if (word == DSAA_WORD_ADOPTED) {
		dsaa_receive_hole(p); /* its connections move on here without it */
		p->told_holds = false;
	}
	a = dsaa_act(e, DSAA_ACT_SITE_WORD, p->site);
	a->word = word;
	a->up = on_demand;
}

static void set_word(struct dsaa_engine *e, struct dsaa_peer *p, enum dsaa_site_word word)
{
	tell_word(e, p, word, false);
}

static void set_state(struct dsaa_engine *e, struct dsaa_peer *p, enum dsaa_peer_state state,
		      unsigned reason)
{
	enum dsaa_peer_state from = p->state;

	if (from == state && p->reason == reason)
		return;
	p->state = state;
	p->reason = reason;
	if (from != state) {
		p->since = e->now;
		dsaa_history_add(e, p->site, (uint8_t)from, (uint8_t)state, reason);
	}
}

static void set_probing(struct dsaa_engine *e, struct dsaa_peer *p, bool on)
{
	if (p->probing == on || !e->cfg.site[p->site].has_probe)
		return;
	p->probing = on;
	if (on)
		p->probe = DSAA_LIVE_UNKNOWN;
	dsaa_act(e, DSAA_ACT_PROBE, p->site)->up = on;
}

/* All counters and the whole state of a peer, as if it had never been heard of. */
static void forget(struct dsaa_peer *p)
{
	dsaa_site_id site = p->site;

	memset(p, 0, sizeof(*p));
	p->site = site;
}

void dsaa_site_start(struct dsaa_engine *e, struct dsaa_peer *p)
{
	forget(p);
	p->configured = true;
	p->since = p->lost_at = p->connect_at = e->now;
	p->backoff_ms = DSAA_RECONNECT_MIN_MS;
	if (e->cfg.can_connect)
		set_state(e, p, DSAA_PEER_CONNECTING, DSAA_R_NONE);
	else
		set_state(e, p, DSAA_PEER_IDLE, e->cfg.cannot_reason);
	/*
	 * What an earlier run of this daemon left in the kernel under the peer's number is the
	 * peer's until it is known to be dead.
	 */
	set_word(e, p, DSAA_WORD_ALIVE);
}

void dsaa_site_stop(struct dsaa_engine *e, struct dsaa_peer *p)
{
	dsaa_session_close(e, p, DSAA_R_CONFIG_CHANGED, true);
	p->adopting = false; /* what is left under its number is nobody's business any more */
	dsaa_dump_forget(e, p);
	set_probing(e, p, false);
	set_word(e, p, DSAA_WORD_UNKNOWN);
	p->configured = false;
}

/* The session is gone: how long we wait for it before the site may be called dead. */
static int64_t grace_us(const struct dsaa_engine *e, const struct dsaa_peer *p)
{
	/* BFD watches the same link, faster: once it says down, nothing is left to wait for */
	if (p->bfd == DSAA_LIVE_DOWN)
		return 0;
	/* a site that was never heard of may be booting just like we are */
	if (!p->sessions)
		return (int64_t)e->cfg.start_timer_ms * 1000;
	return (int64_t)e->cfg.hold_time_ms * 1000;
}

/*
 * Its connections are ours from now on: at once by the word, and re-marked behind it.
 *
 * BY_PACKETS: others take them as well, and each connection shall live where routing brings its
 * packets: the first of them marks it (5.6 of the protocol), and that beats who only holds it. What
 * no packet came of for a while is then taken by all, who settle it between them by 5.1.
 */
static void take_over(struct dsaa_engine *e, struct dsaa_peer *p, bool by_packets)
{
	e->epoch++; /* what we say of these connections from now on is ours to say */
	p->adopting = true;
	p->adopt_at = dsaa_mono_add_ms(e->now, by_packets ? ADOPT_REST_AFTER_MS : 0);
	dsaa_expected_adopt(e, p);
	tell_word(e, p, DSAA_WORD_ADOPTED, by_packets);
}

static bool others_survive(struct dsaa_engine *e, const struct dsaa_peer *dead)
{
	DSAA_FOREACH_PEER (e, p)
		if (p != dead && p->session == DSAA_SESSION_ESTABLISHED)
			return true;
	return false;
}

/* Each death too many doubles the time for which it may not come back. */
static void note_death(struct dsaa_engine *e, struct dsaa_peer *p)
{
	struct dsaa_mono *oldest = &p->died[p->deaths % DSAA_DEATHS];
	struct dsaa_mono last = p->died[(p->deaths + DSAA_DEATHS - 1) % DSAA_DEATHS];
	struct dsaa_mono first;

	if (last.us && dsaa_mono_reached(e->now, dsaa_mono_add_ms(last, DSAA_HOLD_BACK_MAX_MS)))
		p->hold_back_ms = 0; /* it was well for long: begin anew */
	*oldest = e->now;
	p->deaths++;
	p->death_counted = true;
	first = p->died[p->deaths % DSAA_DEATHS];
	if (!first.us)
		return;
	/* a site that was let in again and dies at once needs no three times */
	if (!p->hold_back_ms &&
	    dsaa_mono_reached(e->now, dsaa_mono_add_ms(first, DSAA_DEATHS_WITHIN_MS)))
		return;
	p->hold_back_ms = p->hold_back_ms ? 2 * p->hold_back_ms : DSAA_HOLD_BACK_MIN_MS;
	if (p->hold_back_ms > DSAA_HOLD_BACK_MAX_MS)
		p->hold_back_ms = DSAA_HOLD_BACK_MAX_MS;
	p->held_until = dsaa_mono_add_ms(e->now, p->hold_back_ms);
}

void dsaa_site_lived_on(struct dsaa_peer *p)
{
	if (!p->death_counted)
		return;
	p->death_counted = false;
	p->deaths--;
	p->died[p->deaths % DSAA_DEATHS].us = 0;
	/* a site that serves anyway, and is refused, is the other half of a split */
	p->held_until.us = 0;
}

void dsaa_site_adopts_rest(struct dsaa_engine *e, struct dsaa_peer *p)
{
	set_word(e, p, DSAA_WORD_ADOPTED);
}

bool dsaa_site_held_back(const struct dsaa_engine *e, const struct dsaa_peer *p)
{
	return p->held_until.us && !dsaa_mono_reached(e->now, p->held_until);
}

/*
 * It is dead. Its connections become ours, unless its forward policy was another one and the
 * operator wants each connection to live under the rules that let it in: then they wait for it.
 */
static void die(struct dsaa_engine *e, struct dsaa_peer *p)
{
	p->left_alone = dsaa_differ_forbids_adoption(e, p);
	if (p->left_alone)
		set_word(e, p, DSAA_WORD_UNREACHABLE);
	else
		take_over(e, p, p->sessions && others_survive(e, p));
	if (p->sessions)
		note_death(e, p);
	set_state(e, p, DSAA_PEER_DEAD,
		  p->left_alone		    ? DSAA_R_RULESET_DIFFERS :
		  dsaa_site_held_back(e, p) ? DSAA_R_FLAPPING :
					      DSAA_R_ALL_SILENT);
}

/* It stays dead; has what forbade the adoption gone? */
static void judge_dead(struct dsaa_engine *e, struct dsaa_peer *p)
{
	if (!p->left_alone || dsaa_differ_forbids_adoption(e, p))
		return;
	p->left_alone = false;
	take_over(e, p, others_survive(e, p));
	p->reason = DSAA_R_ALL_SILENT;
	dsaa_history_add(e, p->site, DSAA_PEER_DEAD, DSAA_PEER_DEAD, p->reason);
}

void dsaa_site_inherit(struct dsaa_engine *e, struct dsaa_peer *p)
{
	if (p->adopting)
		return; /* it asks again while something is left */
	if (dsaa_differ_forbids_adoption(e, p))
		return; /* it knows, and chose us only because it is set up otherwise */
	p->peer_draining = true;
	take_over(e, p, false);
}

void dsaa_site_draining(struct dsaa_engine *e, struct dsaa_peer *p, bool draining)
{
	p->peer_draining = draining;
	/* what begins there from now on stays there; what was handed over is marked as ours */
	if (!draining && !p->adopting)
		set_word(e, p, DSAA_WORD_ALIVE);
}

/*
 * How the isolated site's packets are treated: as the operator's split-brain policy says.
 * Without its daemon there is no split: its kernel goes on with what reaches it, and so do we with
 * what reaches us. That is ours from then on: the entry there may end meanwhile, for want of the
 * packets that come here. Where it may not be ours, it is carried to that kernel as before.
 */
static enum dsaa_site_word isolated_word(const struct dsaa_engine *e, const struct dsaa_peer *p)
{
	bool may_adopt = !dsaa_differ_forbids_adoption(e, p);

	if (p->daemon_gone)
		return may_adopt ? DSAA_WORD_ADOPTED : DSAA_WORD_ALIVE;
	if (!may_adopt)
		return DSAA_WORD_UNREACHABLE;
	switch (e->cfg.split_brain) {
	case DSAA_SPLIT_ADOPT_ON_DEMAND:
		return DSAA_WORD_ADOPTED;
	case DSAA_SPLIT_PRIMARY:
		return e->cfg.primary == e->cfg.local ? DSAA_WORD_ADOPTED : DSAA_WORD_UNREACHABLE;
	case DSAA_SPLIT_DROP:
		break;
	}
	return DSAA_WORD_UNREACHABLE;
}

static unsigned isolated_reason(const struct dsaa_peer *p)
{
	/* a probe that did not even answer while the site spoke tells nothing by its silence */
	if (p->probe == DSAA_LIVE_DOWN)
		return DSAA_R_PROBE_UNPROVEN;
	return p->daemon_gone ? DSAA_R_PEER_DAEMON_GONE : DSAA_R_PROBE_ALIVE;
}

/*
 * It refuses, or is refused: so it is there, as long as it goes on and BFD did not lose it since.
 */
static bool still_refused(const struct dsaa_engine *e, const struct dsaa_peer *p)
{
	if (p->bfd == DSAA_LIVE_DOWN && !dsaa_mono_reached(p->refused_at, p->bfd_changed))
		return false;
	return dsaa_mono_diff_us(e->now, p->refused_at) < REFUSED_FORGET_US;
}

/* No session: dead, isolated, or still to be waited for? */
static void judge_silence(struct dsaa_engine *e, struct dsaa_peer *p)
{
	bool has_probe = e->cfg.site[p->site].has_probe;
	enum dsaa_site_word word;

	if (p->state == DSAA_PEER_DEAD)
		judge_dead(e, p);
	if (p->state == DSAA_PEER_DEAD || p->state == DSAA_PEER_IDLE)
		return;
	/* it has just connected; that it says nothing more ends the session in a hold time */
	if (p->session == DSAA_SESSION_OPEN)
		return;
	if (p->state == DSAA_PEER_REFUSED || p->state == DSAA_PEER_INCOMPATIBLE) {
		if (still_refused(e, p))
			return;
		set_state(e, p, DSAA_PEER_DOWN, DSAA_R_CONNECT_FAILED);
		p->lost_at = e->now;
	}
	set_probing(e, p, true);
	if (p->bfd == DSAA_LIVE_UP)
		return; /* the router lives and the link works: only its dsaad is missing */
	if (dsaa_mono_diff_us(e->now, p->lost_at) < grace_us(e, p))
		return;
	if (has_probe && p->probe == DSAA_LIVE_UNKNOWN)
		return; /* the question is on its way */
	if (!has_probe || (p->probe == DSAA_LIVE_DOWN && !p->probe_missed)) {
		die(e, p);
		return;
	}
	if (p->sessions && (p->state != DSAA_PEER_ISOLATED || p->reason == DSAA_R_PROBE_UNPROVEN)) {
		set_state(e, p, DSAA_PEER_ISOLATED, isolated_reason(p));
		word = isolated_word(e, p);
		tell_word(e, p, word, word == DSAA_WORD_ADOPTED);
	}
}

/*
 * BFD says down. That is so when a link fails, but also when only the peer's bfdd or zebra went: a
 * session that still speaks knows better.
 */
static void judge_bfd(struct dsaa_engine *e, struct dsaa_peer *p)
{
	if (!p->bfd_down_at.us)
		return;
	if (dsaa_mono_reached(e->now, dsaa_mono_add_ms(p->last_received, DSAA_BFD_CONFIRM_MS)))
		dsaa_session_close(e, p, DSAA_R_BFD_DOWN,
				   true); /* if only one way is cut, it hears why */
	else if (!dsaa_mono_reached(e->now, dsaa_mono_add_ms(p->bfd_down_at, DSAA_BFD_DOUBT_MS)))
		return;
	p->bfd_down_at.us = 0;
}

/* The site speaks for so long that its probe would have answered, were it the right one. */
static void judge_probe(struct dsaa_peer *p)
{
	if (!p->probe_answered && dsaa_mono_diff_us(p->last_received, p->opened_at) >=
					  (int64_t)DSAA_PROBE_PROVES_MS * 1000)
		p->probe_missed = true;
}

void dsaa_site_tick(struct dsaa_engine *e, struct dsaa_peer *p)
{
	if (p->session == DSAA_SESSION_ESTABLISHED) {
		judge_bfd(e, p);
		judge_probe(p);
	}
	if (p->session != DSAA_SESSION_ESTABLISHED)
		judge_silence(e, p);
	else if (p->state == DSAA_PEER_SYNCING && p->theirs_complete && p->ours_confirmed)
		set_state(e, p, DSAA_PEER_UP, DSAA_R_NONE);
	else if (p->state == DSAA_PEER_UP && !(p->theirs_complete && p->ours_confirmed))
		set_state(e, p, DSAA_PEER_SYNCING, DSAA_R_BULK_INCOMPLETE);
}

void dsaa_site_bfd(struct dsaa_engine *e, struct dsaa_peer *p, bool up)
{
	p->bfd = up ? DSAA_LIVE_UP : DSAA_LIVE_DOWN;
	p->bfd_changed = e->now;
	p->bfd_down_at = e->now;
	if (up) {
		p->bfd_down_at.us = 0;
		return;
	}
	if (p->session == DSAA_SESSION_ESTABLISHED) {
		judge_bfd(e, p);
		return;
	}
	if (p->session == DSAA_SESSION_OPEN)
		dsaa_session_close(e, p, DSAA_R_BFD_DOWN, true);
	judge_silence(e, p);
}

void dsaa_site_probe(struct dsaa_engine *e, struct dsaa_peer *p, bool up)
{
	p->probe = up ? DSAA_LIVE_UP : DSAA_LIVE_DOWN;
	if (up) {
		p->probe_answered = true;
		p->probe_missed = false;
	}
	if (p->probing && p->session != DSAA_SESSION_ESTABLISHED)
		judge_silence(e, p);
}

/* Reasons for which a peer that is there gets no session, or gives none. */
static bool refuses(unsigned reason)
{
	switch (reason) {
	case DSAA_R_VERSION_MISMATCH:
	case DSAA_R_WRONG_KEY:
	case DSAA_R_CLUSTER_MISMATCH:
	case DSAA_R_SAME_SITE:
	case DSAA_R_UNKNOWN_SITE:
	case DSAA_R_SECURITY_MISMATCH:
	case DSAA_R_MALFORMED:
	case DSAA_R_PROTOCOL_ORDER:
	case DSAA_R_BAD_FLOW:
	case DSAA_R_FLAPPING:
		return true;
	default:
		return false;
	}
}

/* The state that a failed session leaves behind. */
static enum dsaa_peer_state state_after_loss(const struct dsaa_peer *p, unsigned reason)
{
	/* one more failed attempt says nothing new of a site whose connections we hold */
	if (p->state == DSAA_PEER_DEAD || (p->state == DSAA_PEER_ISOLATED && !refuses(reason)))
		return p->state;
	if (refuses(reason))
		return reason == DSAA_R_VERSION_MISMATCH ? DSAA_PEER_INCOMPATIBLE :
							   DSAA_PEER_REFUSED;
	if ((p->state == DSAA_PEER_REFUSED || p->state == DSAA_PEER_INCOMPATIBLE) &&
	    reason == DSAA_R_CONNECT_FAILED)
		return DSAA_PEER_DOWN; /* it is no longer there to refuse */
	if (p->state == DSAA_PEER_REFUSED || p->state == DSAA_PEER_INCOMPATIBLE)
		return p->state;
	return p->sessions ? DSAA_PEER_DOWN : DSAA_PEER_CONNECTING;
}

void dsaa_site_session_changed(struct dsaa_engine *e, struct dsaa_peer *p, unsigned reason)
{
	if (p->session == DSAA_SESSION_ESTABLISHED) {
		p->daemon_gone = p->left_alone = false;
		set_probing(e, p, false);
		set_word(e, p, DSAA_WORD_ALIVE);
		set_state(e, p, DSAA_PEER_SYNCING, DSAA_R_NONE);
		return;
	}
	/* nobody there carries packets to us any more, nor takes those that we would carry */
	if (reason == DSAA_R_PEER_STOPPING)
		set_word(e, p,
			 dsaa_differ_forbids_adoption(e, p) ? DSAA_WORD_UNREACHABLE :
							      DSAA_WORD_ADOPTED);
	enum dsaa_peer_state next = state_after_loss(p, reason);
	bool explains = reason != DSAA_R_TRANSPORT_LOST && reason != DSAA_R_CONNECT_FAILED &&
			reason != DSAA_R_CONFIG_CHANGED;
	bool failed_again = next == p->state &&
			    (next == DSAA_PEER_DEAD || next == DSAA_PEER_ISOLATED);

	if (next == DSAA_PEER_REFUSED || next == DSAA_PEER_INCOMPATIBLE)
		p->refused_at = e->now;
	/* one more failed attempt keeps the reason that explains the state, unless it says more */
	if (failed_again && explains)
		p->reason = reason;
	else if (next != p->state || explains || p->reason == DSAA_R_NONE)
		set_state(e, p, next, reason);
	judge_silence(e, p);
}

/* True when nothing is to be expected from P that we would have to wait for. */
static bool peer_settled(const struct dsaa_peer *p)
{
	return p->synced_once || (p->state == DSAA_PEER_DEAD && !p->adopting);
}

void dsaa_site_check_complete(struct dsaa_engine *e)
{
	int64_t waited_us = dsaa_mono_diff_us(e->now, e->started);
	int64_t limit_us = (int64_t)e->cfg.start_timer_ms * 1000;
	bool missing = false, receiving = false, held = false;
	unsigned reason = DSAA_R_NONE;

	if (e->state_complete)
		return;
	DSAA_FOREACH_PEER (e, p) {
		if (peer_settled(p))
			continue;
		missing = true;
		reason = p->reason;
		if (p->session == DSAA_SESSION_ESTABLISHED)
			receiving = true;
		/* it lives, and will let us in: until then it serves, and we would lose packets */
		held |= p->state == DSAA_PEER_REFUSED && p->reason == DSAA_R_FLAPPING;
	}
	/* a peer that is telling us its state is worth more patience than one that is silent */
	if (missing && (held || waited_us < (receiving ? 4 * limit_us : limit_us))) {
		e->complete_reason = reason;
		return;
	}
	e->state_complete = true;
	e->complete_reason = missing ? DSAA_R_START_TIMER : DSAA_R_NONE;
	dsaa_history_add(e, 0, 0, 1, e->complete_reason);
}
