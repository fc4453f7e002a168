/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The main thread's side of the sync thread: requests go there as posts, what
 * is shown is copied from the engine under its lock, and what changed is logged
 * and told.
 *
 * Threads: main thread; what is called by others says so in dsaad.h.
 */
#include "dsaad/dsaa_sync_private.h"

#include <sys/stat.h>

#include "log.h"

#include "dsaad/dsaa_errors.h"
#include "dsaad/dsaa_nb.h"

enum {
	START_TIMER_MS = 15000,
	AUDIT_INTERVAL_MS = 60000,
	/* how often the key's file is looked at, seconds */
	KEY_CHECK_S = 2,
};

/* By which it is seen that somebody wrote another key, moved one there, or mended its mode. */
struct key_file {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec changed;
};

static struct event *t_key;
/* as it was when the key was read, and when it was last looked at */
static struct key_file key_read, key_seen;
/* why the key cannot be used: in the log once */
static unsigned key_reason;

/* ------------------------------------------------------------------ what changed */

static void log_difference(const struct dsaa_history *h)
{
	const char *what = h->reason == DSAA_R_BLOCK_DIFFERS ? "dsaa block" : "forward policy";

	if (h->to)
		flog_warn(EC_DSAA_DIFFERS, "site %u has another %s: see 'show dsaa differences'",
			  h->site, what);
	else
		zlog_info("site %u has the same %s again", h->site, what);
}

static void log_change(const struct dsaa_history *h)
{
	switch (h->kind) {
	case DSAA_HISTORY_PEER:
		zlog_info("site %u: %s -> %s (%s)", h->site, dsaa_peer_state_name(h->from),
			  dsaa_peer_state_name(h->to), dsaa_reason_name(h->reason));
		break;
	case DSAA_HISTORY_DRAIN:
		zlog_info("drain: %s -> %s (%s)", dsaa_drain_state_name(h->from),
			  dsaa_drain_state_name(h->to), dsaa_reason_name(h->reason));
		break;
	case DSAA_HISTORY_LINES:
		log_difference(h);
		break;
	case DSAA_HISTORY_STATE:
		if (h->reason == DSAA_R_START_TIMER)
			flog_warn(EC_DSAA_INCOMPLETE,
				  "announcing although the state is not complete: %s",
				  dsaa_reason_meaning(h->reason));
		else
			zlog_info("state is complete");
		break;
	}
}

void dsaa_sync_changed(struct event *t)
{
	static unsigned told; /* the number of the last change that was told */
	struct dsaa_history h[DSAA_HISTORY_MAX];
	unsigned n = dsaa_sync_history(h, DSAA_HISTORY_MAX);

	for (unsigned i = 0; i < n; i++) {
		if (h[i].number <= told)
			continue;
		told = h[i].number;
		log_change(&h[i]);
		dsaa_nb_notify_change(&h[i]);
	}
	dsaa_advertise_reconcile();
}

void dsaa_sync_probe(struct event *t)
{
	dsaa_probe_ask((uint8_t)EVENT_VAL(t));
}

/* ------------------------------------------------------------------ requests */

/* A request, to be filled in and sent. */
static struct dsaa_post *new_post(enum dsaa_post_kind kind)
{
	struct dsaa_post *p = XCALLOC(MTYPE_DSAA_POST, sizeof(*p));

	p->kind = kind;
	return p;
}

static struct dsaa_post *new_event(enum dsaa_event_type event)
{
	struct dsaa_post *p = new_post(DSAA_POST_EVENT);

	p->event = event;
	return p;
}

/* The sync thread frees P. */
static void send_post(struct dsaa_post *p)
{
	if (dsaa_sync.thread)
		event_add_event(dsaa_sync.thread->master, dsaa_sync_handle_post, p, 0, NULL);
	else
		XFREE(MTYPE_DSAA_POST, p);
}

void dsaa_sync_stop(void)
{
	EVENT_OFF(t_key);
	if (!dsaa_sync.thread)
		return;
	sem_init(&dsaa_sync.stopped, 0, 0);
	send_post(new_post(DSAA_POST_STOP));
	while (sem_wait(&dsaa_sync.stopped) && errno == EINTR)
		;
	frr_pthread_stop(dsaa_sync.thread, NULL);
	frr_pthread_destroy(dsaa_sync.thread);
	dsaa_sync.thread = NULL;
}

void dsaa_sync_post_address(const struct prefix *prefix, bool added)
{
	struct dsaa_post *p = new_event(DSAA_EV_ADDRESS);

	dsaa_addr_from_prefix(&p->address, prefix);
	p->on = added;
	send_post(p);
}

static void post_flag(enum dsaa_event_type event, uint8_t site, bool on)
{
	struct dsaa_post *p = new_event(event);

	p->site = site;
	p->on = on;
	send_post(p);
}

void dsaa_sync_post_bfd(uint8_t site, enum dsaa_liveness live)
{
	post_flag(live == DSAA_LIVE_UNKNOWN ? DSAA_EV_BFD_GONE : DSAA_EV_BFD, site,
		  live == DSAA_LIVE_UP);
}

void dsaa_sync_post_probe(uint8_t site, bool up)
{
	post_flag(DSAA_EV_PROBE, site, up);
}

void dsaa_sync_post_resync(uint8_t site)
{
	post_flag(DSAA_EV_RESYNC, site, true);
}

void dsaa_sync_post_audit(void)
{
	post_flag(DSAA_EV_AUDIT, 0, true);
}

/* One per connection whose answers come to another site: nothing of a post's size. */
void dsaa_sync_post_elsewhere(uint8_t family, uint8_t proto, const struct dsaa_tuple *t)
{
	struct dsaa_post_elsewhere *x;

	if (!dsaa_sync.thread)
		return;
	x = XCALLOC(MTYPE_DSAA_ELSEWHERE, sizeof(*x));
	x->family = family;
	x->proto = proto;
	x->tuple = *t;
	event_add_event(dsaa_sync.thread->master, dsaa_sync_handle_elsewhere, x, 0, NULL);
}

void dsaa_sync_post_drain(bool on)
{
	post_flag(DSAA_EV_DRAIN, 0, on);
}

void dsaa_sync_post_routes(bool all_there)
{
	post_flag(DSAA_EV_ROUTES, 0, all_there);
}

void dsaa_sync_post_routes_awaited(bool awaited)
{
	post_flag(DSAA_EV_ROUTES_AWAITED, 0, awaited);
}

void dsaa_sync_post_lines(enum dsaa_lines_kind kind, const struct dsaa_lines *l)
{
	struct dsaa_post *p = new_event(DSAA_EV_LINES);

	p->kind_of_lines = kind;
	p->lines = *l;
	send_post(p);
}

/* ------------------------------------------------------------------ the configuration */

static void fill_site(struct dsaa_site_config *c, const struct dsaa_site *s)
{
	c->configured = s->configured;
	strlcpy(c->name, s->name, sizeof(c->name));
	c->sync_addresses = s->sync_addresses;
	for (unsigned i = 0; i < s->sync_addresses; i++)
		dsaa_addr_from_ipaddr(&c->sync_address[i], &s->sync_address[i]);
	c->has_probe = s->has_probe;
	c->has_bfd = dsaa_conf.bfd;
}

static void fill_engine_config(struct dsaa_engine_config *c)
{
	c->cluster_id = dsaa_conf.cluster_id;
	c->local = dsaa_local_site();
	c->ha_mode = dsaa_conf.ha_mode;
	c->primary = dsaa_conf.primary;
	c->split_brain = dsaa_conf.split_brain;
	c->ruleset_mismatch = dsaa_conf.ruleset_mismatch;
	c->mark_mask = dsaa_conf.mark_mask;
	c->hold_time_ms = dsaa_conf.hold_time_ms;
	c->start_timer_ms = START_TIMER_MS;
	c->audit_interval_ms = AUDIT_INTERVAL_MS;
	c->config_digest = dsaa_config_digest();
	memcpy(c->protocols, dsaa_conf.protocols, sizeof(c->protocols));
	memcpy(c->delay_s, dsaa_conf.delay_s, sizeof(c->delay_s));
	for (unsigned i = 0; i < dsaa_conf.no_syncs; i++)
		dsaa_prefix_from_prefix(&c->no_sync[i], &dsaa_conf.no_sync[i]);
	c->no_syncs = dsaa_conf.no_syncs;
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		fill_site(&c->site[s], &dsaa_conf.site[s]);
}

static void fill_transport_config(struct dsaa_transport_config *c)
{
	const struct dsaa_site *here;

	c->local = dsaa_local_site();
	if (!c->local)
		return;
	here = &dsaa_conf.site[c->local];
	c->cluster_id = dsaa_conf.cluster_id;
	c->port = dsaa_conf.sync_port;
	c->secure = !dsaa_conf.insecure;
	c->multipath = true;
	c->user_timeout_ms = dsaa_conf.hold_time_ms;
	c->local_addresses = here->sync_addresses;
	for (unsigned i = 0; i < here->sync_addresses; i++)
		dsaa_addr_from_ipaddr(&c->local_address[i], &here->sync_address[i]);
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++) {
		const struct dsaa_site *there = &dsaa_conf.site[s];
		struct dsaa_transport_peer *p = &c->peer[c->peers];

		if (!there->configured || s == c->local || !there->sync_addresses)
			continue;
		p->site = s;
		p->addresses = there->sync_addresses;
		for (unsigned i = 0; i < there->sync_addresses; i++)
			dsaa_addr_from_ipaddr(&p->address[i], &there->sync_address[i]);
		c->peers++;
	}
}

static struct key_file look_at_key(void)
{
	struct key_file f = { 0 };
	struct stat st;

	if (stat(dsaa_conf.key_file, &st) == 0) {
		f.dev = st.st_dev;
		f.ino = st.st_ino;
		f.size = st.st_size;
		f.changed = st.st_ctim;
	}
	return f;
}

static bool same_key_file(const struct key_file *a, const struct key_file *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/*
 * The operator may have repaired the file, or put another key there. It is read when it has not
 * changed since the last look: half a key would end the session.
 */
static void key_check(struct event *t)
{
	struct key_file before = key_seen;
	bool other;

	key_seen = look_at_key();
	other = !same_key_file(&key_seen, &key_read) && same_key_file(&key_seen, &before);
	if (other && key_reason == DSAA_R_NONE)
		zlog_info("%s has changed: reading the key again", dsaa_conf.key_file);
	if (other || key_reason != DSAA_R_NONE)
		dsaa_sync_configure();
	else
		event_add_timer(master, key_check, NULL, KEY_CHECK_S, &t_key);
}

/* Reads the key; tells the engine why sessions cannot be when there is none. */
static void fill_key(struct dsaa_post *p)
{
	struct dsaa_key key;
	unsigned reason = DSAA_R_NO_KEY;

	EVENT_OFF(t_key);
	p->engine.can_connect = true;
	if (dsaa_conf.insecure)
		return;
	if (dsaa_conf.key_file[0]) {
		key_read = key_seen = look_at_key();
		event_add_timer(master, key_check, NULL, KEY_CHECK_S, &t_key);
	}
	if (dsaa_conf.key_file[0] && dsaa_key_load(dsaa_conf.key_file, &key, &reason)) {
		memcpy(p->key, key.bytes, key.len);
		p->transport.key_len = key.len;
		dsaa_key_wipe(&key);
		key_reason = DSAA_R_NONE;
		return;
	}
	p->engine.can_connect = false;
	p->engine.cannot_reason = reason;
	if (dsaa_conf.enabled && reason != key_reason)
		flog_err(EC_DSAA_KEY, "no session can come up: %s: %s",
			 dsaa_conf.key_file[0] ? dsaa_conf.key_file : "no key file",
			 dsaa_reason_meaning(reason));
	key_reason = reason;
}

/* Once, each time that it comes into force. */
static void say_insecure(void)
{
	static bool said;
	bool insecure = dsaa_conf.enabled && dsaa_conf.insecure;

	if (insecure && !said)
		flog_warn(EC_DSAA_INSECURE, "sync insecure: the sessions are plain text");
	said = insecure;
}

void dsaa_sync_configure(void)
{
	struct dsaa_post *p = new_post(DSAA_POST_CONFIG);

	say_insecure();
	if (dsaa_conf.enabled) {
		fill_engine_config(&p->engine);
		fill_transport_config(&p->transport);
		dsaa_zones_read(&p->zones);
		fill_key(p);
	} else {
		p->engine.mark_mask = dsaa_conf.mark_mask;
	}
	send_post(p);
}

/* ------------------------------------------------------------------ views */

void dsaa_sync_clear(void)
{
	dsaa_sync_take();
	dsaa_engine_clear(dsaa_sync.engine);
	dsaa_sync_release();
}

void dsaa_sync_view(struct dsaa_engine_view *v)
{
	dsaa_sync_take();
	dsaa_engine_view(dsaa_sync.engine, v);
	dsaa_sync_release();
}

bool dsaa_sync_peer_view(uint8_t site, struct dsaa_peer_view *v)
{
	bool found = false;

	dsaa_sync_take();
	found = dsaa_engine_peer_view(dsaa_sync.engine, site, v);
	dsaa_sync_release();
	return found;
}

unsigned dsaa_sync_history(struct dsaa_history *h, unsigned max)
{
	unsigned n = 0;

	dsaa_sync_take();
	n = dsaa_engine_history(dsaa_sync.engine, h, max);
	dsaa_sync_release();
	return n;
}

bool dsaa_sync_lines(uint8_t site, enum dsaa_lines_kind kind, struct dsaa_lines *l)
{
	bool known = false;

	dsaa_sync_take();
	known = dsaa_engine_lines(dsaa_sync.engine, site, kind, l);
	dsaa_sync_release();
	return known;
}

bool dsaa_sync_replicates(const struct dsaa_flow *f, unsigned *reason)
{
	bool yes = false;

	dsaa_sync_take();
	yes = dsaa_engine_replicates(dsaa_sync.engine, f, reason);
	dsaa_sync_release();
	return yes;
}

enum dsaa_advertise_state dsaa_sync_advertise(uint8_t site, const char **reason)
{
	enum dsaa_advertise_state s = DSAA_ADV_WITHHELD;

	dsaa_sync_take();
	s = dsaa_engine_advertise(dsaa_sync.engine, site, reason);
	dsaa_sync_release();
	return s;
}
