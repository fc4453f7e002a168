/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine's front: events in, actions out, configuration, what is shown.
 *
 * Invariants: the actions of a step fit DSAA_ACTIONS_MAX (asserted by
 * dropping none: producers check first); bytes of SEND actions live in the
 * arena until the next step; nothing here blocks, allocates or reads a clock.
 */
#include "core/dsaa_engine_private.h"

#include <string.h>

static size_t align16(size_t n)
{
	return (n + 15) & ~(size_t)15;
}

size_t dsaa_engine_size(uint32_t log_entries, uint32_t seen_entries)
{
	return align16(sizeof(struct dsaa_engine)) + align16(dsaa_log_size(log_entries)) +
	       align16(dsaa_seen_size(seen_entries)) +
	       align16(DSAA_DELAY_ENTRIES * sizeof(struct dsaa_delayed)) +
	       align16(DSAA_DELAY_ENTRIES * sizeof(uint32_t));
}

struct dsaa_engine *dsaa_engine_init(void *mem, uint32_t log_entries, uint32_t seen_entries,
				     uint64_t epoch, uint64_t seed, struct dsaa_mono now)
{
	struct dsaa_engine *e = mem;
	uint8_t *at = (uint8_t *)mem + align16(sizeof(*e));

	dsaa_log_init(&e->log, at, log_entries, seed);
	at += align16(dsaa_log_size(log_entries));
	dsaa_seen_init(&e->seen, at, seen_entries, seed);
	at += align16(dsaa_seen_size(seen_entries));
	e->delay.entry = (struct dsaa_delayed *)(void *)at;
	at += align16(DSAA_DELAY_ENTRIES * sizeof(struct dsaa_delayed));
	e->delay.bucket = (uint32_t *)(void *)at;
	dsaa_addrset_init(&e->local_addresses);
	dsaa_seen_init(&e->wanted, e->wanted_slots, DSAA_AUDIT_WANT_SLOTS, seed);
	e->epoch = e->boot_epoch = epoch;
	e->seed = seed;
	e->now = e->started = now;
	e->complete_reason = DSAA_R_NO_LOCAL_SITE;
	for (unsigned i = 0; i <= DSAA_SITES_MAX; i++)
		e->peer[i].site = (dsaa_site_id)i;
	return e;
}

/* ------------------------------------------------------------------ actions */

struct dsaa_action *dsaa_act(struct dsaa_engine *e, enum dsaa_action_type type, dsaa_site_id site)
{
	struct dsaa_action *a;

	if (e->action_count == DSAA_ACTIONS_MAX) {
		/* Cannot happen: one step makes a few actions per peer and the pump checks. A
		 * scratch slot keeps memory safe even so. */
		a = &e->actions[DSAA_ACTIONS_MAX - 1];
	} else {
		a = &e->actions[e->action_count++];
	}
	memset(a, 0, sizeof(*a));
	a->type = type;
	a->site = site;
	return a;
}

bool dsaa_act_send_borrowed(struct dsaa_engine *e, struct dsaa_peer *p, const uint8_t *buf,
			    size_t len)
{
	struct dsaa_action *a;

	if (len > p->room || e->action_count >= DSAA_ACTIONS_MAX - DSAA_ACTIONS_RESERVE)
		return false;
	a = dsaa_act(e, DSAA_ACT_SEND, p->site);
	a->data = buf;
	a->len = len;
	p->room -= len;
	p->last_sent = e->now;
	return true;
}

bool dsaa_act_send(struct dsaa_engine *e, struct dsaa_peer *p, const uint8_t *buf, size_t len)
{
	uint8_t *copy = e->arena + e->arena_used;

	if (len > DSAA_ARENA_LEN - e->arena_used)
		return false;
	memmove(copy, buf, len);
	if (!dsaa_act_send_borrowed(e, p, copy, len))
		return false;
	e->arena_used += len;
	return true;
}

bool dsaa_act_message(struct dsaa_engine *e, struct dsaa_peer *p, const struct dsaa_msg *m)
{
	uint8_t buf[256];
	size_t len = dsaa_wire_encode(buf, sizeof(buf), m);

	return len > 0 && dsaa_act_send(e, p, buf, len);
}

bool dsaa_engine_next_action(struct dsaa_engine *e, struct dsaa_action *act)
{
	if (e->action_head == e->action_count)
		return false;
	*act = e->actions[e->action_head++];
	return true;
}

/* ------------------------------------------------------------------ configuration */

static bool site_config_differs(const struct dsaa_site_config *a, const struct dsaa_site_config *b)
{
	if (a->configured != b->configured || a->sync_addresses != b->sync_addresses)
		return true;
	for (unsigned i = 0; i < a->sync_addresses; i++)
		if (!dsaa_addr_equal(&a->sync_address[i], &b->sync_address[i]))
			return true;
	return false;
}

/* What concerns every session: when it differs, all of them start again. */
static bool common_config_differs(const struct dsaa_engine_config *a,
				  const struct dsaa_engine_config *b)
{
	return a->local != b->local || a->cluster_id != b->cluster_id ||
	       a->mark_mask != b->mark_mask || a->can_connect != b->can_connect;
}

/* Policy decides which of our connections others hold: they need a bulk to learn the new set. */
static bool policy_differs(const struct dsaa_engine_config *a, const struct dsaa_engine_config *b)
{
	return memcmp(a->protocols, b->protocols, sizeof(a->protocols)) ||
	       a->no_syncs != b->no_syncs ||
	       memcmp(a->no_sync, b->no_sync, a->no_syncs * sizeof(a->no_sync[0]));
}

static void gather_sync_addresses(struct dsaa_engine *e)
{
	e->sync_addresses = 0;
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++) {
		const struct dsaa_site_config *c = &e->cfg.site[s];

		for (unsigned i = 0; i < c->sync_addresses; i++)
			e->sync_address[e->sync_addresses++] = c->sync_address[i];
	}
}

static void configure(struct dsaa_engine *e, const struct dsaa_engine_config *cfg)
{
	bool all = common_config_differs(&e->cfg, cfg);
	bool was_running = e->running;

	if (policy_differs(&e->cfg, cfg))
		dsaa_send_bulk_again(e);
	for (unsigned i = 1; i <= DSAA_SITES_MAX; i++) {
		struct dsaa_peer *p = &e->peer[i];
		bool wanted = cfg->site[i].configured && cfg->local && i != cfg->local;

		if (p->configured &&
		    (all || !wanted || site_config_differs(&e->cfg.site[i], &cfg->site[i])))
			dsaa_site_stop(e, p);
	}
	if (memcmp(e->cfg.delay_s, cfg->delay_s, sizeof(cfg->delay_s)) || !cfg->local)
		dsaa_delay_end_all(e);
	e->cfg = *cfg;
	gather_sync_addresses(e);
	e->running = cfg->local != 0;
	if (e->running && !was_running) {
		e->started = e->now;
		e->state_complete = false;
		e->on_demand = true; /* an earlier run may have left some */
	}
	for (unsigned i = 1; i <= DSAA_SITES_MAX; i++) {
		struct dsaa_peer *p = &e->peer[i];

		if (!p->configured && cfg->site[i].configured && cfg->local && i != cfg->local)
			dsaa_site_start(e, p);
	}
	if (!e->running) {
		e->state_complete = false;
		e->complete_reason = cfg->idle_reason ? cfg->idle_reason : DSAA_R_NO_LOCAL_SITE;
	}
	dsaa_act(e, DSAA_ACT_CHANGED, 0);
}

/* ------------------------------------------------------------------ step */

static void stop(struct dsaa_engine *e)
{
	e->stopping = true;
	DSAA_FOREACH_PEER (e, p)
		dsaa_session_close(e, p, DSAA_R_PEER_STOPPING, true);
}

static void tick(struct dsaa_engine *e)
{
	e->more = false;
	if (!e->running || e->stopping)
		return;
	DSAA_FOREACH_PEER (e, p) {
		dsaa_session_tick(e, p);
		dsaa_site_tick(e, p);
		dsaa_differ_tick(e, p);
		dsaa_receive_tick(e, p);
		dsaa_claim_tick(e, p);
	}
	dsaa_drain_tick(e);
	dsaa_site_check_complete(e);
	dsaa_delay_tick(e);
	dsaa_dump_flush(e);
	DSAA_FOREACH_PEER (e, p) {
		dsaa_differ_pump(e, p);
		dsaa_send_pump(e, p);
	}
	/*
	 * a dump begins behind all changes from before it: what a bulk does not name is no longer
	 */
	dsaa_dump_schedule(e);
}

static void resync(struct dsaa_engine *e, dsaa_site_id site)
{
	DSAA_FOREACH_PEER (e, p) {
		if (site && p->site != site)
			continue;
		p->holds = p->in_step = false; /* everything anew, both ways */
		dsaa_session_close(e, p, DSAA_R_RESYNC, true);
	}
}

/* Events that name no peer. */
static void step_common(struct dsaa_engine *e, struct dsaa_event *ev)
{
	switch (ev->type) {
	case DSAA_EV_CONFIG:
		configure(e, ev->config);
		break;
	case DSAA_EV_TICK:
		tick(e);
		break;
	case DSAA_EV_FLOW:
		if (!dsaa_delay_event(e, ev->op, ev->begins, ev->flow))
			dsaa_send_flow_event(e, ev->op, ev->flow);
		break;
	case DSAA_EV_ELSEWHERE:
		dsaa_delay_seen_elsewhere(e, ev->flow);
		break;
	case DSAA_EV_OVERRUN:
		e->overruns++;
		e->on_demand = true;
		dsaa_delay_forget_all(e);
		dsaa_claim_events_lost(e);
		dsaa_send_bulk_again(e);
		break;
	case DSAA_EV_DUMP_FLOW:
		dsaa_dump_flow(e, ev->flow);
		break;
	case DSAA_EV_DUMP_DONE:
		dsaa_dump_done(e, ev->ok);
		break;
	case DSAA_EV_APPLIED:
		if (e->apply == DSAA_FOR_SWEEP || e->apply == DSAA_FOR_ADOPT ||
		    e->apply == DSAA_FOR_AUDIT_SWEEP)
			dsaa_dump_applied(e);
		else
			dsaa_receive_applied(e);
		break;
	case DSAA_EV_ADDRESS:
		if (ev->up)
			dsaa_addrset_add(&e->local_addresses, &ev->address);
		else
			dsaa_addrset_del(&e->local_addresses, &ev->address);
		break;
	case DSAA_EV_RESYNC:
		resync(e, ev->site);
		break;
	case DSAA_EV_AUDIT:
		DSAA_FOREACH_PEER (e, p)
			p->audit_tx_at = e->now;
		break;
	case DSAA_EV_DRAIN:
		dsaa_drain_set(e, ev->up);
		break;
	case DSAA_EV_ROUTES:
		dsaa_drain_routes(e, !ev->up);
		break;
	case DSAA_EV_ROUTES_AWAITED:
		dsaa_drain_await(e, ev->up);
		break;
	case DSAA_EV_LINES:
		dsaa_differ_set(e, ev);
		break;
	case DSAA_EV_TIMEOUTS:
		e->timeouts = *ev->timeouts;
		break;
	case DSAA_EV_EXPECT:
		dsaa_expected_event(e, ev);
		break;
	case DSAA_EV_EXPECTED:
		dsaa_expected_applied(e);
		break;
	case DSAA_EV_STOP:
		stop(e);
		break;
	default:
		break;
	}
}

/* Events of one peer; for a site that is no peer (any more) they mean nothing. */
static void step_peer(struct dsaa_engine *e, struct dsaa_peer *p, struct dsaa_event *ev)
{
	switch (ev->type) {
	case DSAA_EV_CONNECTED:
		dsaa_session_connected(e, p, ev->ok);
		break;
	case DSAA_EV_DISCONNECTED:
		dsaa_session_lost(e, p, ev->reason);
		break;
	case DSAA_EV_ATTEMPT:
		if (p->session == DSAA_SESSION_NONE)
			dsaa_site_session_changed(e, p, ev->reason);
		break;
	case DSAA_EV_RECEIVED:
		dsaa_session_received(e, p, ev);
		break;
	case DSAA_EV_ROOM:
		p->room = ev->room;
		break;
	case DSAA_EV_BFD:
		dsaa_site_bfd(e, p, ev->up);
		break;
	case DSAA_EV_BFD_GONE:
		/* the last word must not keep a dead site alive */
		p->bfd = DSAA_LIVE_UNKNOWN;
		break;
	case DSAA_EV_PROBE:
		dsaa_site_probe(e, p, ev->up);
		break;
	default:
		break;
	}
}

void dsaa_engine_step(struct dsaa_engine *e, struct dsaa_mono now, struct dsaa_event *ev)
{
	e->now = now;
	e->action_head = e->action_count = 0;
	e->arena_used = 0;
	ev->consumed = 0;
	switch (ev->type) {
	case DSAA_EV_CONNECTED:
	case DSAA_EV_DISCONNECTED:
	case DSAA_EV_ATTEMPT:
	case DSAA_EV_RECEIVED:
	case DSAA_EV_ROOM:
	case DSAA_EV_BFD:
	case DSAA_EV_BFD_GONE:
	case DSAA_EV_PROBE:
		if (ev->site >= 1 && ev->site <= DSAA_SITES_MAX && e->peer[ev->site].configured)
			step_peer(e, &e->peer[ev->site], ev);
		else if (ev->type == DSAA_EV_RECEIVED)
			ev->consumed = ev->len; /* nobody's: throw it away */
		break;
	default:
		step_common(e, ev);
		break;
	}
}

unsigned dsaa_engine_tick_ms(const struct dsaa_engine *e)
{
	return e->more ? 0 : 50;
}

/* ------------------------------------------------------------------ what is shown */

void dsaa_history_add(struct dsaa_engine *e, dsaa_site_id site, uint8_t from, uint8_t to,
		      unsigned reason)
{
	dsaa_history_note(e, site ? DSAA_HISTORY_PEER : DSAA_HISTORY_STATE, site, from, to, reason);
}

void dsaa_history_note(struct dsaa_engine *e, enum dsaa_history_kind kind, dsaa_site_id site,
		       uint8_t from, uint8_t to, unsigned reason)
{
	struct dsaa_history *h = &e->history[e->history_count++ % DSAA_HISTORY_MAX];
	struct dsaa_action *a;

	*h = (struct dsaa_history){ .at = e->now,
				    .kind = kind,
				    .site = site,
				    .from = from,
				    .to = to,
				    .reason = reason,
				    .number = e->history_count };
	a = dsaa_act(e, DSAA_ACT_CHANGED, site);
	a->reason = reason;
}

unsigned dsaa_engine_history(const struct dsaa_engine *e, struct dsaa_history *h, unsigned max)
{
	unsigned have = e->history_count < DSAA_HISTORY_MAX ? e->history_count : DSAA_HISTORY_MAX;
	unsigned n = have < max ? have : max;

	for (unsigned i = 0; i < n; i++)
		h[i] = e->history[(e->history_count - n + i) % DSAA_HISTORY_MAX];
	return n;
}

void dsaa_engine_view(const struct dsaa_engine *e, struct dsaa_engine_view *v)
{
	memset(v, 0, sizeof(*v));
	v->local = e->cfg.local;
	v->epoch = e->epoch;
	v->state_complete = e->state_complete;
	v->complete_reason = e->complete_reason;
	v->draining = e->draining;
	v->routes_lost = e->drain.routes_lost;
	v->drain = e->drain.state;
	v->drain_reason = e->drain.reason;
	v->drain_heir = e->drain.heir;
	v->drain_left = e->drain.left;
	v->own_events = e->own_events;
	memcpy(v->skipped, e->skipped, sizeof(v->skipped));
	v->overruns = e->overruns;
	v->log_entries = e->log.entries;
	v->log_live = e->log.live;
	v->adopted = e->adopted;
	v->adopted_on_demand = e->adopted_on_demand;
	v->delayed = e->delay.used;
	v->delayed_ended = e->delayed_ended;
	v->delayed_exempt = e->delayed_exempt;
	v->delayed_no_room = e->delayed_no_room;
}

bool dsaa_engine_replicates(const struct dsaa_engine *e, const struct dsaa_flow *f,
			    unsigned *reason)
{
	return dsaa_send_wanted(e, f, reason);
}

bool dsaa_engine_needs_lookup(const struct dsaa_engine *e, const struct dsaa_flow *f)
{
	return dsaa_send_needs_lookup(e, f);
}

/* A peer that has stopped confirms nothing, so no sample tells of it: this does. */
static uint64_t lag_now_us(const struct dsaa_engine *e, const struct dsaa_peer *p)
{
	const struct dsaa_log_entry *waits;

	if (p->inflight_count)
		return (uint64_t)dsaa_mono_diff_us(e->now, p->inflight[p->inflight_head].oldest);
	waits = p->session == DSAA_SESSION_ESTABLISHED ? dsaa_log_after(&e->log, p->cursor) : NULL;
	return waits ? (uint64_t)dsaa_mono_diff_us(e->now, waits->changed) : 0;
}

bool dsaa_engine_peer_view(const struct dsaa_engine *e, dsaa_site_id site, struct dsaa_peer_view *v)
{
	const struct dsaa_peer *p;

	if (site < 1 || site > DSAA_SITES_MAX || !e->peer[site].configured)
		return false;
	p = &e->peer[site];
	memset(v, 0, sizeof(*v));
	v->site = site;
	v->state = p->state;
	v->reason = p->reason;
	v->since = p->since;
	v->secure = p->secure;
	v->session = p->session == DSAA_SESSION_ESTABLISHED;
	v->bfd = p->bfd;
	v->probe = p->probe;
	v->probe_answered = p->probe_answered;
	v->word = p->word;
	v->peer_complete = p->peer_complete;
	v->peer_draining = p->peer_draining;
	if (dsaa_site_held_back(e, p))
		v->held_back_ms = dsaa_mono_diff_us(p->held_until, e->now) / 1000;
	v->peer_minor = p->minor;
	v->block_differs = dsaa_differs(e, p, DSAA_LINES_BLOCK);
	v->ruleset_differs = dsaa_differs(e, p, DSAA_LINES_RULESET);
	v->adoption_refused = dsaa_differ_forbids_adoption(e, p);
	v->ours_confirmed = p->ours_confirmed;
	v->theirs_complete = p->theirs_complete;
	v->flows_sent = p->sent;
	v->flows_received = p->received;
	v->flows_applied = p->applied;
	memcpy(v->flows_rejected, p->rejected, sizeof(v->flows_rejected));
	v->peer_applied = p->peer_applied;
	v->peer_rejected = p->peer_rejected;
	if (v->session)
		v->backlog = dsaa_log_backlog(&e->log, p->cursor, e->log.entries);
	v->lag_p50_us = dsaa_histogram_percentile_us(&p->lag, 500);
	v->lag_p99_us = dsaa_histogram_percentile_us(&p->lag, 990);
	v->lag_max_us = p->lag.max_us;
	v->lag_now_us = lag_now_us(e, p);
	v->bulk_flows = p->bulk_flows;
	v->bulk_ms = p->bulk_rx_ms;
	v->bulk_done = p->bulk_done;
	v->bulk_at = p->bulk_at;
	v->bulk_sent_flows = p->bulk_tx_count;
	v->bulk_sent_ms = p->bulk_tx_ms;
	v->swept = p->swept;
	v->audit_done = p->audits > 0;
	v->audit_at = p->audit_at;
	v->audit_differences = p->audit_differences;
	v->audit_repaired = p->audit_repaired;
	v->audit_altered = p->audit_were_altered;
	v->audits = p->audits;
	v->expects_sent = p->expects_sent;
	v->expects_applied = p->expects_applied;
	v->sessions = p->sessions;
	v->capabilities = p->capabilities;
	v->bulks_sent = p->bulks_sent;
	v->bulks_received = p->bulks_received;
	v->resumes_sent = p->resumes_sent;
	v->resumes_received = p->resumes_received;
	return true;
}

void dsaa_engine_clear(struct dsaa_engine *e)
{
	DSAA_FOREACH_PEER (e, p) {
		p->sent = p->received = p->applied = p->swept = 0;
		memset(p->rejected, 0, sizeof(p->rejected));
		memset(&p->lag, 0, sizeof(p->lag));
	}
	e->own_events = e->overruns = e->adopted = e->adopted_on_demand = 0;
	e->delayed_ended = e->delayed_exempt = e->delayed_no_room = 0;
	memset(e->skipped, 0, sizeof(e->skipped));
}

const char *dsaa_peer_state_name(enum dsaa_peer_state s)
{
	static const char *const name[] = {
		[DSAA_PEER_IDLE] = "idle",	   [DSAA_PEER_CONNECTING] = "connecting",
		[DSAA_PEER_SYNCING] = "syncing",   [DSAA_PEER_UP] = "up",
		[DSAA_PEER_DOWN] = "down",	   [DSAA_PEER_DEAD] = "dead",
		[DSAA_PEER_ISOLATED] = "isolated", [DSAA_PEER_INCOMPATIBLE] = "incompatible",
		[DSAA_PEER_REFUSED] = "refused",
	};

	return (unsigned)s < sizeof(name) / sizeof(name[0]) ? name[s] : "unknown";
}

/* ------------------------------------------------------------------ announcing */

static bool site_is_dead(const struct dsaa_engine *e, dsaa_site_id site)
{
	return e->peer[site].configured && e->peer[site].state == DSAA_PEER_DEAD;
}

/* The site that has to announce as active: a site, or the primary of active/standby. */
static enum dsaa_advertise_state advertise_of_site(const struct dsaa_engine *e, dsaa_site_id site,
						   const char **reason)
{
	if (site == e->cfg.local) {
		*reason = "this site owns it";
		return DSAA_ADV_ACTIVE;
	}
	if (site > DSAA_SITES_MAX || !e->peer[site].configured) {
		*reason = "its site is not configured";
		return DSAA_ADV_WITHHELD;
	}
	if (site_is_dead(e, site)) {
		*reason = "its site is dead";
		return DSAA_ADV_ACTIVE;
	}
	*reason = "another site is active for it";
	return DSAA_ADV_BACKUP;
}

enum dsaa_advertise_state dsaa_engine_advertise(const struct dsaa_engine *e, dsaa_site_id site,
						const char **reason)
{
	if (!e->running) {
		*reason = dsaa_reason_meaning(e->complete_reason);
		return DSAA_ADV_WITHHELD;
	}
	if (e->stopping || !e->state_complete) {
		*reason = e->stopping ? "dsaad stops" : "state is not complete";
		return DSAA_ADV_WITHHELD;
	}
	if (e->drain.routes_awaited) {
		*reason = "a tracked route has not come yet since the start";
		return DSAA_ADV_WITHHELD;
	}
	if (e->draining) {
		*reason = e->drain.routes_lost ? "a tracked route is missing here" :
						 "this site is drained";
		return DSAA_ADV_DRAIN;
	}
	if (!site && e->cfg.ha_mode == DSAA_HA_PRIMARY_UP)
		site = e->cfg.primary;
	if (!site) {
		*reason = "every site is active for it";
		return DSAA_ADV_ACTIVE;
	}
	return advertise_of_site(e, site, reason);
}

const char *dsaa_advertise_state_name(enum dsaa_advertise_state s)
{
	static const char *const name[] = {
		[DSAA_ADV_WITHHELD] = "withheld",
		[DSAA_ADV_ACTIVE] = "active",
		[DSAA_ADV_BACKUP] = "backup",
		[DSAA_ADV_DRAIN] = "drain",
	};

	return (unsigned)s < sizeof(name) / sizeof(name[0]) ? name[s] : "unknown";
}
