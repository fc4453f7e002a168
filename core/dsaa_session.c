/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The conversation with one peer, from the connection to the goodbye.
 *
 * The site with the lower number connects, the other accepts, so two
 * connections can never cross. Both ends send HELLO first and accept nothing
 * else before the other's. A message is decoded whole or the session ends
 * with a named reason; no half of a message ever changes anything.
 *
 * Timers, all driven by the tick: reconnecting backs off from 50 to 500 ms (100 ms where nobody
 * listens, 5 s after a refusal), and takes the peer's next sync-address each time; a keepalive
 * leaves when nothing else did for a third of the shorter hold time; the session ends when nothing
 * came for ours.
 */
#include "core/dsaa_engine_private.h"

static bool we_connect(const struct dsaa_engine *e, const struct dsaa_peer *p)
{
	return e->cfg.local < p->site;
}

static void schedule_connect(struct dsaa_engine *e, struct dsaa_peer *p, unsigned reason)
{
	bool refused = p->state == DSAA_PEER_REFUSED || p->state == DSAA_PEER_INCOMPATIBLE;
	uint32_t max_ms = reason == DSAA_R_CONNECT_FAILED ? DSAA_RECONNECT_ABSENT_MS :
							    DSAA_RECONNECT_MAX_MS;
	struct dsaa_mono soonest = dsaa_mono_add_ms(e->now, DSAA_RECONNECT_MIN_MS);

	/* counted from the last attempt's start: one that nobody answered was a pause in itself */
	p->connect_at = refused ? dsaa_mono_add_ms(e->now, DSAA_REFUSED_RETRY_MS) :
				  dsaa_mono_add_ms(p->opened_at, p->backoff_ms);
	if (dsaa_mono_reached(soonest, p->connect_at))
		p->connect_at = soonest;
	p->backoff_ms *= 2;
	if (p->backoff_ms > max_ms)
		p->backoff_ms = max_ms;
}

/* Tells what we hold of the peer's, if that is all of it: then it need not start from nothing. */
static void send_hello(struct dsaa_engine *e, struct dsaa_peer *p)
{
	struct dsaa_msg m = {
		.type = DSAA_MSG_HELLO,
		.hello = {
			.major = DSAA_WIRE_MAJOR,
			.minor = DSAA_WIRE_MINOR,
			.from = e->cfg.local,
			.to = p->site,
			.cluster_id = e->cfg.cluster_id,
			.epoch = e->epoch,
			.config_digest = e->cfg.config_digest,
			.hold_time_ms = e->cfg.hold_time_ms,
			.capabilities = DSAA_CAPABILITIES |
					(e->state_complete ? DSAA_CAP_SERVES : 0),
			.known_epoch = p->holds ? p->epoch : 0,
			.known_seq = p->holds ? p->rx_seq : 0,
		},
	};

	p->told = p->told_holds = p->holds;
	p->told_seq = m.hello.known_seq;
	dsaa_act_message(e, p, &m);
}

static void send_keepalive(struct dsaa_engine *e, struct dsaa_peer *p)
{
	struct dsaa_msg m = {
		.type = DSAA_MSG_KEEPALIVE,
		.keepalive = { .state_complete = e->state_complete && !e->drain.routes_awaited,
			       .draining = e->draining },
	};

	dsaa_act_message(e, p, &m);
}

void dsaa_session_connected(struct dsaa_engine *e, struct dsaa_peer *p, bool secure)
{
	if (p->session >= DSAA_SESSION_OPEN) {
		/* the peer came anew, so the old session is one that it no longer knows of */
		p->session = DSAA_SESSION_NONE;
		p->lost_at = e->now;
		dsaa_dump_forget(e, p);
		dsaa_site_session_changed(e, p, DSAA_R_TRANSPORT_LOST);
	}
	/*
	 * While the connections of a dead site are being re-marked, its number must not get new
	 * ones: it has to try again in a moment.
	 */
	if (p->adopting || e->stopping) {
		dsaa_act(e, DSAA_ACT_DISCONNECT, p->site)->reason = DSAA_R_RESYNC;
		p->session = DSAA_SESSION_NONE;
		schedule_connect(e, p, DSAA_R_RESYNC);
		return;
	}
	p->session = DSAA_SESSION_OPEN;
	p->secure = secure;
	p->opened_at = p->last_received = e->now;
	if (p->room < DSAA_ROOM_RESERVE)
		p->room = DSAA_ROOM_RESERVE; /* a new connection's buffer is empty */
	/* one that is held back is refused when its own hello is here */
	if (!dsaa_site_held_back(e, p))
		send_hello(e, p);
}

/* The transport is gone, whoever ended it. */
static void ended(struct dsaa_engine *e, struct dsaa_peer *p, unsigned reason)
{
	bool was_up = p->session == DSAA_SESSION_ESTABLISHED;
	/* closed while the link still carried it: then its end has closed it */
	bool closed = reason == DSAA_R_PEER_STOPPING ||
		      (reason == DSAA_R_TRANSPORT_LOST &&
		       dsaa_mono_diff_us(e->now, p->last_received) <
			       (int64_t)e->cfg.hold_time_ms * 1000 / 2);

	p->session = DSAA_SESSION_NONE;
	p->ours_confirmed = p->theirs_complete = false;
	p->bulk_tx = DSAA_BULK_NONE;
	p->room = 0;
	if (was_up) {
		p->lost_at = e->now;
		p->daemon_gone = closed;
		p->backoff_ms = DSAA_RECONNECT_MIN_MS;
	}
	dsaa_dump_forget(e, p);
	dsaa_site_session_changed(e, p, reason);
	schedule_connect(e, p, reason);
}

void dsaa_session_lost(struct dsaa_engine *e, struct dsaa_peer *p, unsigned reason)
{
	if (p->session != DSAA_SESSION_NONE)
		ended(e, p, reason);
}

void dsaa_session_close(struct dsaa_engine *e, struct dsaa_peer *p, unsigned reason, bool notify)
{
	if (p->session == DSAA_SESSION_NONE)
		return;
	if (notify && p->session >= DSAA_SESSION_OPEN) {
		struct dsaa_msg m = { .type = DSAA_MSG_GOODBYE };

		m.goodbye.reason = (uint16_t)reason;
		dsaa_act_message(e, p, &m);
	}
	dsaa_act(e, DSAA_ACT_DISCONNECT, p->site)->reason = reason;
	ended(e, p, reason);
}

/* Ends a session whose peer did wrong, and tells it why. */
static void refuse(struct dsaa_engine *e, struct dsaa_peer *p, unsigned reason)
{
	struct dsaa_msg m = { .type = DSAA_MSG_REFUSE };

	p->rejected[reason]++;
	m.refuse.reason = (uint16_t)reason;
	dsaa_act_message(e, p, &m);
	dsaa_session_close(e, p, reason, false);
}

static unsigned check_hello(const struct dsaa_engine *e, const struct dsaa_peer *p,
			    const struct dsaa_msg_hello *h)
{
	if (h->major != DSAA_WIRE_MAJOR)
		return DSAA_R_VERSION_MISMATCH;
	if (h->cluster_id != e->cfg.cluster_id)
		return DSAA_R_CLUSTER_MISMATCH;
	if (h->from == e->cfg.local)
		return DSAA_R_SAME_SITE;
	if (h->from != p->site || h->to != e->cfg.local)
		return DSAA_R_UNKNOWN_SITE;
	return dsaa_site_held_back(e, p) ? DSAA_R_FLAPPING : DSAA_R_NONE;
}

/* Both ends speak the lower of the two minor versions. */
static uint8_t lower_minor(unsigned theirs)
{
	unsigned ours = DSAA_WIRE_MINOR;

	return (uint8_t)(theirs < ours ? theirs : ours);
}

static unsigned receive_hello(struct dsaa_engine *e, struct dsaa_peer *p,
			      const struct dsaa_msg_hello *h)
{
	bool held = dsaa_site_held_back(e, p);
	unsigned reason;

	if (h->capabilities & DSAA_CAP_SERVES)
		dsaa_site_lived_on(p);
	if (held && !dsaa_site_held_back(e, p))
		send_hello(e, p);
	reason = check_hello(e, p, h);
	if (reason)
		return reason;
	p->session = DSAA_SESSION_ESTABLISHED;
	p->sessions++;
	p->death_counted = false; /* it came back from that */
	p->backoff_ms = DSAA_RECONNECT_MIN_MS;
	p->minor = lower_minor(h->minor);
	p->capabilities = h->capabilities & DSAA_CAPABILITIES;
	p->serves = h->capabilities & DSAA_CAP_SERVES;
	p->hold_time_ms = h->hold_time_ms;
	p->epoch = h->epoch;
	dsaa_differ_start(e, p);
	dsaa_receive_reset(p);
	dsaa_send_start(e, p, h->known_epoch, h->known_seq);
	dsaa_site_session_changed(e, p, DSAA_R_NONE);
	return DSAA_R_NONE;
}

/* The peer refuses us: its reason is the one to show, if it is one of a session. */
static unsigned told_reason(uint16_t reason)
{
	return reason >= DSAA_R_WRONG_KEY && reason < DSAA_R_NOT_OWNER ? reason :
									 DSAA_R_TRANSPORT_LOST;
}

/* Returns NONE, or why the session must end. */
static unsigned receive_established(struct dsaa_engine *e, struct dsaa_peer *p,
				    const struct dsaa_msg *m)
{
	switch (m->type) {
	case DSAA_MSG_KEEPALIVE:
		p->peer_complete = m->keepalive.state_complete;
		dsaa_site_draining(e, p, m->keepalive.draining);
		return DSAA_R_NONE;
	case DSAA_MSG_HANDOVER:
		dsaa_drain_inherit(e, p);
		return DSAA_R_NONE;
	case DSAA_MSG_ACK:
		dsaa_send_ack(e, p, &m->ack);
		return DSAA_R_NONE;
	case DSAA_MSG_BULK_DONE:
		dsaa_send_bulk_done(e, p, &m->bulk);
		return DSAA_R_NONE;
	case DSAA_MSG_BULK_REQUEST:
		dsaa_send_bulk_requested(e, p);
		return DSAA_R_NONE;
	case DSAA_MSG_RESUME:
		return dsaa_receive_resume(e, p, &m->resume);
	case DSAA_MSG_FLOWS:
	case DSAA_MSG_BULK_BEGIN:
	case DSAA_MSG_BULK_FLOWS:
	case DSAA_MSG_BULK_END:
	case DSAA_MSG_AUDIT_FLOWS:
		return dsaa_receive_message(e, p, m);
	case DSAA_MSG_EXPECTS:
		return dsaa_expected_message(e, p, &m->expects);
	case DSAA_MSG_LINES:
		dsaa_differ_received(p, &m->lines);
		return DSAA_R_NONE;
	case DSAA_MSG_AUDIT_BEGIN:
	case DSAA_MSG_AUDIT_HASHES:
	case DSAA_MSG_AUDIT_STATES:
	case DSAA_MSG_AUDIT_END:
	case DSAA_MSG_AUDIT_WANT:
	case DSAA_MSG_AUDIT_BUSY:
		return dsaa_audit_message(e, p, m);
	default:
		return m->type >= DSAA_MSG_SKIPPABLE ? DSAA_R_NONE : DSAA_R_PROTOCOL_ORDER;
	}
}

static void receive_message(struct dsaa_engine *e, struct dsaa_peer *p, const struct dsaa_msg *m)
{
	unsigned reason;

	p->last_received = e->now;
	if (m->type == DSAA_MSG_REFUSE || m->type == DSAA_MSG_GOODBYE) {
		dsaa_session_close(e, p,
				   told_reason(m->type == DSAA_MSG_REFUSE ? m->refuse.reason :
									    m->goodbye.reason),
				   false);
		return;
	}
	if (m->type == DSAA_MSG_HELLO)
		reason = p->session == DSAA_SESSION_OPEN ? receive_hello(e, p, &m->hello) :
							   DSAA_R_PROTOCOL_ORDER;
	else if (p->session == DSAA_SESSION_ESTABLISHED)
		reason = receive_established(e, p, m);
	else
		reason = DSAA_R_PROTOCOL_ORDER;
	if (reason)
		refuse(e, p, reason);
}

void dsaa_session_received(struct dsaa_engine *e, struct dsaa_peer *p, struct dsaa_event *ev)
{
	struct dsaa_msg m;
	unsigned reason = DSAA_R_NONE;
	long len;

	if (p->session < DSAA_SESSION_OPEN) {
		ev->consumed = ev->len;
		return;
	}
	len = dsaa_wire_frame(ev->data, ev->len, &reason);
	if (len == 0)
		return;
	if (len < 0) {
		refuse(e, p, reason);
		return;
	}
	ev->consumed = (size_t)len;
	reason = dsaa_wire_decode(ev->data, (size_t)len, &m, e->rx);
	if (reason)
		refuse(e, p, reason);
	else
		receive_message(e, p, &m);
}

static uint32_t keepalive_ms(const struct dsaa_engine *e, const struct dsaa_peer *p)
{
	uint32_t hold = e->cfg.hold_time_ms;

	if (p->hold_time_ms >= 300 && p->hold_time_ms < hold)
		hold = p->hold_time_ms;
	if (e->cfg.site[p->site].has_bfd && hold / 3 > DSAA_KEEPALIVE_BFD_MS)
		return DSAA_KEEPALIVE_BFD_MS;
	return hold / 3;
}

static void connect(struct dsaa_engine *e, struct dsaa_peer *p)
{
	uint8_t addresses = e->cfg.site[p->site].sync_addresses;

	if (!addresses)
		return;
	p->session = DSAA_SESSION_CONNECTING;
	p->opened_at = e->now;
	dsaa_act(e, DSAA_ACT_CONNECT, p->site)->address = p->next_address % addresses;
	p->next_address = (uint8_t)((p->next_address + 1) % addresses);
}

void dsaa_session_tick(struct dsaa_engine *e, struct dsaa_peer *p)
{
	int64_t silent_us = dsaa_mono_diff_us(e->now, p->last_received);

	switch (p->session) {
	case DSAA_SESSION_NONE:
		if (e->cfg.can_connect && we_connect(e, p) && !p->adopting &&
		    dsaa_mono_reached(e->now, p->connect_at))
			connect(e, p);
		break;
	case DSAA_SESSION_CONNECTING:
		if (dsaa_mono_reached(e->now,
				      dsaa_mono_add_ms(p->opened_at, DSAA_CONNECT_TIMEOUT_MS)))
			dsaa_session_close(e, p, DSAA_R_CONNECT_FAILED, false);
		break;
	case DSAA_SESSION_OPEN:
	case DSAA_SESSION_ESTABLISHED:
		if (silent_us >= (int64_t)e->cfg.hold_time_ms * 1000)
			dsaa_session_close(e, p, DSAA_R_HOLD_EXPIRED, true);
		else if (p->session == DSAA_SESSION_ESTABLISHED &&
			 dsaa_mono_reached(e->now,
					   dsaa_mono_add_ms(p->last_sent, keepalive_ms(e, p))))
			send_keepalive(e, p);
		break;
	}
}
