/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sync thread: it drives the engine. Kernel events, bytes of peers and
 * the operator's wishes go in; what the engine decides is carried out.
 *
 *	main thread --post--> [ lock: step -> actions ] --> transport, ctnetlink
 *	             <-event-- changed, probe, site words
 *
 * Threads: the functions declared in dsaad.h are called by the main thread;
 * static ones whose comment does not say otherwise run in the sync thread.
 * `lock` guards the engine; the sync thread holds it for one step and its
 * actions, the main thread while it copies a view. Transport and conntrack
 * handles belong to the sync thread alone. It keeps CAP_NET_ADMIN raised: the
 * kernel checks the thread that sends each netlink message.
 */
#include "dsaad/dsaad.h"

#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "frr_pthread.h"
#include "lib_errors.h"
#include "log.h"
#include "monotime.h"

#include "conntrack/dsaa_conntrack.h"
#include "dsaad/dsaa_errors.h"
#include "dsaad/dsaa_nb.h"
#include "dsaad/dsaa_zones.h"
#include "sync/dsaa_key.h"
#include "sync/dsaa_transport.h"

DEFINE_MTYPE_STATIC(DSAAD, DSAA_POST, "DSAA posted request");
DEFINE_MTYPE_STATIC(DSAAD, DSAA_ELSEWHERE, "DSAA connection seen elsewhere");

enum {
	/* conntrack events read before the peers get their turn */
	EVENTS_PER_TURN = 512,
	/*
	 * When events come often, what has come waits so long for company: a turn costs as much as
	 * several events, and the changes of a young connection become one record.
	 */
	EVENTS_GATHER_US = 400,
	EVENTS_OFTEN_US = 5000,
	/* how long libfrr waits while there is much to do, and how long we wait for more to do */
	HOT_TURN_US = 20000,
	HOT_QUIET_US = 1000,
	EXPECTS_PER_TURN = 64,
	DUMP_ENTRIES_PER_TURN = 512,
	START_TIMER_MS = 15000,
	AUDIT_INTERVAL_MS = 60000,
	/* one log line per site and reason in this time, seconds */
	REFUSED_LOG_S = 60,
	RETRY_MS = 1000,
	/* how often a key that cannot be used is read again, seconds */
	KEY_RETRY_S = 2,
	KERNEL_VIEW_US = 500000,
};

/* ------------------------------------------------------------------ state */

/* of the engine and the views; taken by take() only */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static struct dsaa_engine *engine;
static struct frr_pthread *thread;

/* main thread only */
static struct event *t_key;

/* sync thread only */
static struct dsaa_transport *transport;
static struct dsaa_transport_config transport_config;
static uint8_t transport_key[DSAA_KEY_LEN_MAX];
static struct dsaa_ct *ct;
static uint32_t ct_mask;
static bool dumping;
static int hot_fd = -1;	   /* readable when the transport or conntrack has something */
static int64_t ct_read_at; /* when events were read last, us */
static struct dsaa_engine_config wanted_config; /* the newest, also while conntrack is closed */
static struct event *t_tick, *t_hot, *t_expect, *t_retry_ct;

/* posted when the last request of the main thread is done */
static sem_t stopped;

/* What the main thread asks for. */
enum post_kind {
	POST_CONFIG,
	POST_ADDRESS,
	POST_BFD,
	POST_BFD_GONE,
	POST_PROBE,
	POST_RESYNC,
	POST_AUDIT,
	POST_DRAIN,
	POST_ROUTES,
	POST_ROUTES_AWAITED,
	POST_LINES,
	POST_STOP,
};

struct post {
	enum post_kind kind;
	uint8_t site;
	bool on;
	enum dsaa_lines_kind kind_of_lines;
	struct dsaa_addr address;
	struct dsaa_engine_config engine;
	struct dsaa_transport_config transport;
	struct dsaa_lines lines;
	struct dsaa_zone_map zones;
	uint8_t key[DSAA_KEY_LEN_MAX];
};

/* kernel's word, copied for show commands under the lock */
static struct dsaa_sync_kernel kernel_view;
/* sync thread: what could not be set when conntrack was opened; empty: nothing */
static char setup_warning[sizeof(kernel_view.warning)];
static struct dsaa_sync_links links_view[DSAA_SITES_MAX + 1];

/*
 * Who waits for the lock has the turn: the sync thread, which takes the lock again as soon as it
 * gave it back, does not get it before one who waits. A mutex alone would keep show commands
 * waiting as long as there is something to do, where both threads share a processor.
 */
static void take(void)
{
	pthread_mutex_lock(&turn);
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&turn);
}

static void release(void)
{
	pthread_mutex_unlock(&lock);
}

struct dsaa_mono dsaa_mono_now(void)
{
	struct timeval tv;

	monotime(&tv);
	return (struct dsaa_mono){ (int64_t)tv.tv_sec * 1000000 + tv.tv_usec };
}

/* ------------------------------------------------------------------ towards the main thread */

static struct event *t_changed;

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
			flog_warn(EC_DSAA_PEER_REFUSED,
				  "announcing although the state is not complete: %s",
				  dsaa_reason_meaning(h->reason));
		else
			zlog_info("state is complete");
		break;
	}
}

/* Main thread: something that is shown or announced changed. */
static void changed_in_main(struct event *t)
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

/* Main thread: the engine wants to know of the site in VAL. */
static void probe_in_main(struct event *t)
{
	dsaa_probe_ask((uint8_t)EVENT_VAL(t));
}

/* ------------------------------------------------------------------ carrying out actions */

static void step(struct dsaa_event *ev);
static void arm(void);
static void hot_ready(struct event *t);

/* What adoption gives follows the operator's sysctls as they are when it begins. */
static void tell_timeouts(void)
{
	struct dsaa_timeouts t;
	struct dsaa_event ev = { .type = DSAA_EV_TIMEOUTS, .timeouts = &t };

	dsaa_ct_timeouts(&t);
	step(&ev);
}

static void act_dump(const struct dsaa_action *a)
{
	if (a->site)
		tell_timeouts();
	dumping = dsaa_ct_dump_start(ct, a->site) == 0;
	if (!dumping) {
		struct dsaa_event ev = { .type = DSAA_EV_DUMP_DONE };

		step(&ev);
	}
}

/* Everything but APPLY, which comes last. */
static void carry_out(const struct dsaa_action *a)
{
	switch (a->type) {
	case DSAA_ACT_CONNECT:
		if (!transport || !dsaa_transport_connect(transport, a->site, a->address)) {
			struct dsaa_event ev = { .type = DSAA_EV_DISCONNECTED,
						 .site = a->site,
						 .reason = DSAA_R_CONNECT_FAILED };
			step(&ev);
		}
		break;
	case DSAA_ACT_DISCONNECT:
		if (transport)
			dsaa_transport_drop(transport, a->site);
		break;
	case DSAA_ACT_SEND:
		if (!transport || !dsaa_transport_send(transport, a->site, a->data, a->len))
			flog_err(EC_DSAA_THREAD, "site %u: %zu bytes do not fit the send buffer",
				 a->site, a->len);
		break;
	case DSAA_ACT_DUMP:
		act_dump(a);
		break;
	case DSAA_ACT_DUMP_CANCEL:
		dsaa_ct_dump_cancel(ct);
		dumping = false;
		break;
	case DSAA_ACT_SITE_WORD:
		dsaa_correct_site_word(a->site, a->word, a->up);
		break;
	case DSAA_ACT_PROBE:
		if (a->up)
			event_add_event(master, probe_in_main, NULL, a->site, NULL);
		break;
	case DSAA_ACT_CHANGED:
		event_add_event(master, changed_in_main, NULL, 0, &t_changed);
		break;
	case DSAA_ACT_APPLY:
	case DSAA_ACT_EXPECT:
		break;
	}
}

/*
 * One step under the lock, then its actions. SEND points into the engine, so
 * those are carried out first, before any action that may step again.
 */
static void step(struct dsaa_event *ev)
{
	struct dsaa_action acts[256], apply = { 0 }, expect = { 0 };
	unsigned n = 0;

	dsaa_engine_step(engine, dsaa_mono_now(), ev);
	while (n < array_size(acts) && dsaa_engine_next_action(engine, &acts[n])) {
		if (acts[n].type == DSAA_ACT_SEND)
			carry_out(&acts[n]);
		else if (acts[n].type == DSAA_ACT_APPLY)
			apply = acts[n];
		else if (acts[n].type == DSAA_ACT_EXPECT)
			expect = acts[n];
		else
			n++;
	}
	if (apply.count) {
		struct dsaa_event done = { .type = DSAA_EV_APPLIED,
					   .ops = apply.ops,
					   .count = apply.count };

		dsaa_zones_apply(ct, apply.ops, apply.count);
		step(&done);
	}
	if (expect.count) {
		struct dsaa_event done = { .type = DSAA_EV_EXPECTED };

		dsaa_zones_expect_apply(ct, expect.expects, expect.count);
		step(&done);
	}
	for (unsigned i = 0; i < n; i++)
		carry_out(&acts[i]);
}

static void locked_step(struct dsaa_event *ev)
{
	take();
	step(ev);
	release();
}

static void tell_room(dsaa_site_id site)
{
	struct dsaa_event ev = { .type = DSAA_EV_ROOM, .site = site };

	ev.room = transport ? dsaa_transport_room(transport, site) : 0;
	step(&ev);
}

/* FD makes the hot loop run; closing it is enough to end that. */
static void hot_add(int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };

	if (epoll_ctl(hot_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
		flog_err_sys(EC_LIB_SYSTEM_CALL, "epoll_ctl: %m");
}

/* ------------------------------------------------------------------ transport */

/* True once a minute per site and reason: peers that err must not fill the log. */
static bool may_log(dsaa_site_id site, unsigned reason)
{
	static int64_t last[DSAA_SITES_MAX + 1][DSAA_REASONS_MAX];
	int64_t now = dsaa_mono_now().us, *at = &last[site][reason % DSAA_REASONS_MAX];

	if (*at && now - *at < REFUSED_LOG_S * INT64_C(1000000))
		return false;
	*at = now;
	return true;
}

static void on_connected(void *arg, dsaa_site_id site, bool secure)
{
	struct dsaa_event ev = { .type = DSAA_EV_CONNECTED, .site = site, .ok = secure };

	take();
	tell_room(site);
	step(&ev);
	release();
}

static void on_disconnected(void *arg, dsaa_site_id site, unsigned reason, const char *detail)
{
	struct dsaa_event ev = { .type = DSAA_EV_DISCONNECTED, .site = site, .reason = reason };

	if (reason != DSAA_R_CONNECT_FAILED && may_log(site, reason))
		flog_warn(EC_DSAA_PEER_REFUSED, "site %u: session ended: %s (%s)", site,
			  dsaa_reason_name(reason), detail);
	locked_step(&ev);
}

/* One message per step: each step consumes at most one. */
static void on_received(void *arg, dsaa_site_id site)
{
	const uint8_t *buf;
	size_t len;

	take();
	while (transport && dsaa_transport_peek(transport, site, &buf, &len)) {
		struct dsaa_event ev = {
			.type = DSAA_EV_RECEIVED, .site = site, .data = buf, .len = len
		};

		tell_room(site);
		step(&ev);
		if (!ev.consumed)
			break;
		dsaa_transport_consume(transport, site, ev.consumed);
		release();
		take();
	}
	release();
}

static void on_writable(void *arg, dsaa_site_id site, size_t room)
{
	struct dsaa_event tick = { .type = DSAA_EV_TICK };

	take();
	tell_room(site);
	step(&tick);
	release();
	arm();
}

static void on_refused(void *arg, const struct dsaa_addr *address, dsaa_site_id site,
		       unsigned reason, const char *detail)
{
	struct dsaa_event ev = { .type = DSAA_EV_ATTEMPT, .site = site, .reason = reason };
	char text[INET6_ADDRSTRLEN] = "?";

	inet_ntop(address->family == 4 ? AF_INET : AF_INET6, address->bytes, text, sizeof(text));
	if (may_log(site, reason))
		flog_warn(EC_DSAA_PEER_REFUSED, "refused a connection from %s: %s (%s)", text,
			  dsaa_reason_name(reason), detail);
	if (site)
		locked_step(&ev);
}

static void on_listening(void *arg, const struct dsaa_addr *address, int error)
{
	char text[INET6_ADDRSTRLEN] = "?";

	inet_ntop(address->family == 4 ? AF_INET : AF_INET6, address->bytes, text, sizeof(text));
	if (error)
		flog_warn(EC_DSAA_PEER_REFUSED, "cannot listen on %s: %s", text,
			  safe_strerror(error));
	else if (DSAA_DEBUG(DSAA_DEBUG_SYNC))
		zlog_debug("listening on %s", text);
}

static const struct dsaa_transport_callbacks callbacks = {
	.connected = on_connected,
	.disconnected = on_disconnected,
	.received = on_received,
	.writable = on_writable,
	.refused = on_refused,
	.listening = on_listening,
};

static void close_transport(void)
{
	if (!transport)
		return;
	dsaa_transport_close(transport);
	transport = NULL;
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++) {
		struct dsaa_event ev = { .type = DSAA_EV_DISCONNECTED,
					 .site = s,
					 .reason = DSAA_R_CONFIG_CHANGED };
		locked_step(&ev);
	}
}

static void open_transport(void)
{
	char err[160];

	if (!transport_config.local || (transport_config.secure && !transport_config.key_len))
		return;
	transport_config.key = transport_key;
	transport = dsaa_transport_open(&transport_config, dsaa_mono_now(), &callbacks, NULL, err,
					sizeof(err));
	if (!transport) {
		flog_err(EC_DSAA_KEY, "no sessions: %s", err);
		return;
	}
	hot_add(dsaa_transport_fd(transport));
}

/* The key is compared apart: the pointer in the configuration is not its content. */
static void configure_transport(struct post *p)
{
	p->transport.key = NULL;
	transport_config.key = NULL;
	/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): zeroed with its padding */
	if (transport && !memcmp(&transport_config, &p->transport, sizeof(transport_config)) &&
	    !memcmp(transport_key, p->key, sizeof(transport_key)))
		return;
	close_transport();
	/* with its padding, which is compared too */
	memcpy(&transport_config, &p->transport, sizeof(transport_config));
	memcpy(transport_key, p->key, sizeof(transport_key));
}

/* ------------------------------------------------------------------ conntrack */

static void on_ct_event(void *arg, enum dsaa_ct_event kind, const struct dsaa_flow *f)
{
	struct dsaa_flow copy;
	struct dsaa_event ev = { .type = DSAA_EV_FLOW, .flow = dsaa_zones_told(f, &copy) };

	if (!ev.flow)
		return;
	ev.op = kind == DSAA_CT_EVENT_DESTROY ? DSAA_OP_DELETE : DSAA_OP_UPSERT;
	ev.begins = kind == DSAA_CT_EVENT_NEW;
	step(&ev);
}

static bool needs_lookup(void *arg, const struct dsaa_flow *f)
{
	struct dsaa_flow copy;
	const struct dsaa_flow *told = dsaa_zones_told(f, &copy);

	return told && dsaa_engine_needs_lookup(engine, told);
}

/* Reads a turn of events. Returns how many, or a negative errno when some were lost. */
static int read_ct(void)
{
	static const struct dsaa_ct_reader reader = { .event = on_ct_event,
						      .needs_lookup = needs_lookup };
	struct dsaa_event ev = { .type = DSAA_EV_OVERRUN };
	int rc;

	take();
	rc = dsaa_ct_read_events(ct, EVENTS_PER_TURN, &reader);
	if (rc == -ENOBUFS)
		step(&ev);
	release();
	return rc;
}

static void on_expect(void *arg, bool gone, const struct dsaa_expect *x,
		      const struct dsaa_flow *master)
{
	struct dsaa_expect copy;
	struct dsaa_flow its;
	struct dsaa_event ev = { .type = DSAA_EV_EXPECT,
				 .expect = dsaa_zones_expect_told(x, &copy) };

	ev.flow = master ? dsaa_zones_told(master, &its) : NULL;
	if (!ev.expect || (master && !ev.flow))
		return;
	ev.op = gone ? DSAA_OP_DELETE : DSAA_OP_UPSERT;
	step(&ev);
}

static void expect_ready(struct event *t)
{
	struct dsaa_event ev = { .type = DSAA_EV_TICK };

	event_add_read(thread->master, expect_ready, NULL, dsaa_ct_expect_fd(ct), &t_expect);
	take();
	/* those that were lost are told by the table, or end by themselves */
	if (dsaa_ct_read_expects(ct, EXPECTS_PER_TURN, on_expect, NULL) == -ENOBUFS)
		dsaa_ct_dump_expects(ct, on_expect, NULL);
	step(&ev);
	release();
	arm();
}

static void on_dump_flow(void *arg, const struct dsaa_flow *f)
{
	struct dsaa_flow copy;
	struct dsaa_event ev = { .type = DSAA_EV_DUMP_FLOW, .flow = dsaa_zones_told(f, &copy) };

	if (ev.flow)
		step(&ev);
	else if (dsaa_mark_owner(f->mark, ct_mask))
		dsaa_zones_strand(ct, f);
}

static bool dump_due(void)
{
	return dumping && dsaa_engine_dump_ready(engine);
}

/* A turn of the dump, if the engine takes it. */
static void read_dump(void)
{
	enum dsaa_ct_dump rc;

	take();
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		tell_room(s);
	if (dump_due()) {
		rc = dsaa_ct_dump_read(ct, DUMP_ENTRIES_PER_TURN, on_dump_flow, NULL);
		if (rc != DSAA_CT_DUMP_MORE) {
			struct dsaa_event done = { .type = DSAA_EV_DUMP_DONE,
						   .ok = rc == DSAA_CT_DUMP_DONE };

			dumping = false;
			step(&done);
		}
	}
	release();
}

/* The engine runs only while the kernel's table can be read and changed. */
static void tell_config(void)
{
	struct dsaa_engine_config c = wanted_config;
	struct dsaa_event ev = { .type = DSAA_EV_CONFIG, .config = &c };

	if (ct)
		dsaa_ct_set_local(ct, c.local);
	else
		c.local = 0;
	locked_step(&ev);
}

static void open_ct(struct event *t)
{
	char err[sizeof(kernel_view.warning) - 32];

	if (ct)
		return;
	ct = dsaa_ct_open(ct_mask, true, err, sizeof(err));
	if (!ct) {
		if (may_log(0, DSAA_R_KERNEL_ERROR))
			flog_err(EC_DSAA_CONNTRACK, "conntrack cannot be opened: %s", err);
		take();
		snprintf(kernel_view.warning, sizeof(kernel_view.warning),
			 "conntrack cannot be opened: %s", err);
		release();
		event_add_timer_msec(thread->master, open_ct, NULL, RETRY_MS, &t_retry_ct);
		return;
	}
	take();
	dsaa_ct_sysctl_setup(ct, setup_warning, sizeof(setup_warning));
	strlcpy(kernel_view.warning, setup_warning, sizeof(kernel_view.warning));
	if (setup_warning[0])
		flog_warn(EC_DSAA_KERNEL_LIMITS, "%s", setup_warning);
	release();
	hot_add(dsaa_ct_event_fd(ct));
	event_add_read(thread->master, expect_ready, NULL, dsaa_ct_expect_fd(ct), &t_expect);
	tell_config();
	/* what is expected already, ours and what an earlier run put here */
	take();
	dsaa_ct_dump_expects(ct, on_expect, NULL);
	release();
}

static void close_ct(void)
{
	EVENT_OFF(t_retry_ct);
	if (!ct)
		return;
	EVENT_OFF(t_expect);
	if (dumping) {
		struct dsaa_event ev = { .type = DSAA_EV_DUMP_DONE };

		dumping = false;
		locked_step(&ev);
	}
	dsaa_ct_close(ct);
	ct = NULL;
}

/* Ours and all peers' connections, as the last bulks counted them. */
static uint64_t connections_of_all(void)
{
	uint64_t theirs = 0, ours = 0;

	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++) {
		struct dsaa_peer_view v;

		if (!dsaa_engine_peer_view(engine, (dsaa_site_id)s, &v))
			continue;
		theirs += v.bulk_flows;
		ours = v.bulk_sent_flows > ours ? v.bulk_sent_flows : ours;
	}
	return ours + theirs;
}

/* What is too small is shown all the time, and told to the log once. */
static void check_limits(void)
{
	static bool told;
	struct dsaa_ct_limits l;
	char now[sizeof(kernel_view.warning)];

	dsaa_ct_limits(ct, &l);
	kernel_view.count = l.count;
	kernel_view.max = l.max;
	kernel_view.buckets = l.buckets;
	kernel_view.event_buffer = l.event_buffer;
	kernel_view.needed = connections_of_all();
	if (setup_warning[0])
		return;
	dsaa_ct_limits_warning(&l, kernel_view.needed, now, sizeof(now));
	/* events that were switched on again are told, but no lasting state */
	if (now[0] && !told)
		flog_warn(EC_DSAA_KERNEL_LIMITS, "%s", now);
	told = now[0] != '\0';
	strlcpy(kernel_view.warning, now, sizeof(kernel_view.warning));
}

static void copy_links_view(void)
{
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++) {
		struct dsaa_sync_links *l = &links_view[s];
		struct dsaa_transport_info info;

		memset(l, 0, sizeof(*l));
		if (!transport || !dsaa_transport_info(transport, s, &info) || !info.connected)
			continue;
		l->multipath = info.multipath;
		for (unsigned i = 0; i < info.links && i < DSAA_SYNC_LINKS_MAX; i++) {
			l->local[i] = info.link[i].local;
			l->remote[i] = info.link[i].remote;
			l->count++;
		}
	}
}

static void copy_kernel_view(void)
{
	const struct dsaa_ct_counters *c = dsaa_ct_counters(ct);

	kernel_view.events_new = c->events[DSAA_CT_EVENT_NEW];
	kernel_view.events_update = c->events[DSAA_CT_EVENT_UPDATE];
	kernel_view.events_destroy = c->events[DSAA_CT_EVENT_DESTROY];
	kernel_view.overruns = c->overruns;
	kernel_view.echoes = c->echoes;
	check_limits();
}

/* ------------------------------------------------------------------ the loop */

static void tick(struct event *t)
{
	static int64_t last_copy;
	struct dsaa_event ev = { .type = DSAA_EV_TICK };

	if (transport)
		dsaa_transport_tick(transport, dsaa_mono_now());
	take();
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		tell_room(s);
	step(&ev);
	if (ct && dsaa_mono_now().us - last_copy > KERNEL_VIEW_US) {
		last_copy = dsaa_mono_now().us;
		copy_kernel_view();
		copy_links_view();
	}
	release();
	t_tick = NULL;
	if (dump_due() || !dsaa_engine_tick_ms(engine)) {
		EVENT_OFF(t_hot);
		hot_ready(NULL);
	} else {
		arm();
	}
}

/* Schedules the tick, and wakes the hot loop when there is work that no descriptor tells of. */
static void arm(void)
{
	unsigned ms = dump_due() ? 0 : dsaa_engine_tick_ms(engine);

	if (!ms)
		EVENT_OFF(t_tick);
	event_add_timer_msec(thread->master, tick, NULL, ms, &t_tick);
}

/*
 * Waits until the transport or conntrack's events are readable. False when nothing came for a
 * while, so there is no haste.
 */
static bool hot_wait(bool *transport_ready, bool *ct_ready)
{
	bool more = dump_due() || !dsaa_engine_tick_ms(engine);
	struct timespec timeout = { .tv_nsec = more ? 0 : HOT_QUIET_US * 1000 };
	struct pollfd fds[2] = {
		{ .fd = transport ? dsaa_transport_fd(transport) : -1, .events = POLLIN },
		{ .fd = ct ? dsaa_ct_event_fd(ct) : -1, .events = POLLIN },
	};
	int n = ppoll(fds, array_size(fds), &timeout, NULL);

	*transport_ready = n > 0 && fds[0].revents;
	*ct_ready = n > 0 && fds[1].revents;
	return n > 0 || more;
}

/*
 * A turn of events. They gather first when they come often, but not when there are more than one
 * turn reads. Meanwhile the transport waits too: what the peers confirm is taken in one go.
 */
static void hot_events(void)
{
	static const struct timespec gather = { .tv_nsec = EVENTS_GATHER_US * 1000 };
	static bool more;

	if (!more && !dump_due() && dsaa_mono_now().us - ct_read_at < EVENTS_OFTEN_US)
		nanosleep(&gather, NULL);
	more = read_ct() >= EVENTS_PER_TURN;
	ct_read_at = dsaa_mono_now().us;
}

/*
 * Moves what is hot: events to the peers, their records into the kernel, a dump. It stays here
 * while there is something to do, because a turn of libfrr's loop costs as much as several
 * connections; but not for long, because libfrr's timers and the main thread's requests wait.
 */
static void hot_ready(struct event *t)
{
	int64_t end = dsaa_mono_now().us + HOT_TURN_US;
	bool transport_ready, ct_ready;

	while (hot_wait(&transport_ready, &ct_ready)) {
		struct dsaa_event ev = { .type = DSAA_EV_TICK };

		if (transport_ready)
			dsaa_transport_ready(transport, dsaa_mono_now());
		if (ct_ready)
			hot_events();
		if (dump_due())
			read_dump();
		locked_step(&ev);
		if (dsaa_mono_now().us >= end)
			break;
	}
	event_add_read(thread->master, hot_ready, NULL, hot_fd, &t_hot);
	arm();
}

static void handle_config(struct post *p)
{
	struct dsaa_event anew = { .type = DSAA_EV_RESYNC };
	bool zones_changed;

	if (ct && ct_mask != p->engine.mark_mask)
		close_ct();
	ct_mask = p->engine.mark_mask;
	wanted_config = p->engine;
	zones_changed = dsaa_zones_configure(&p->zones);
	configure_transport(p);
	/* a daemon without a dsaa block leaves the kernel alone */
	if (p->engine.local && !ct)
		open_ct(NULL); /* tells the engine, now or when it succeeds */
	else
		tell_config();
	if (!p->engine.local)
		close_ct();
	if (!transport)
		open_transport();
	/* what is in the log, and what the peers' entries stand for here, has the old numbers */
	if (zones_changed)
		locked_step(&anew);
}

static void handle_stop(void)
{
	struct dsaa_event ev = { .type = DSAA_EV_STOP };

	locked_step(&ev);
	close_transport();
	explicit_bzero(transport_key, sizeof(transport_key));
	if (ct) {
		dsaa_ct_sysctl_restore(ct);
		close_ct();
	}
	EVENT_OFF(t_tick);
}

/*
 * A packet that a peer sent here as second chance. It may have been processed since, so the table
 * is asked now: an answer that ends its connection leaves nothing to tell of.
 */
struct elsewhere {
	uint8_t family, proto;
	struct dsaa_tuple tuple;
};

static void handle_elsewhere(struct event *t)
{
	struct elsewhere *x = EVENT_ARG(t);
	struct dsaa_flow f, copy;
	struct dsaa_event ev = { .type = DSAA_EV_ELSEWHERE };
	bool reply;

	if (ct && dsaa_ct_find(ct, x->family, x->proto, &x->tuple, &f, &reply) == 1 &&
	    !dsaa_mark_owner(f.mark, ct_mask))
		ev.flow = dsaa_zones_told(&f, &copy);
	if (ev.flow)
		locked_step(&ev);
	XFREE(MTYPE_DSAA_ELSEWHERE, x);
	arm();
}

static void handle_post(struct event *t)
{
	struct post *p = EVENT_ARG(t);
	struct dsaa_event ev = { .site = p->site, .up = p->on, .address = p->address };

	switch (p->kind) {
	case POST_CONFIG:
		handle_config(p);
		break;
	case POST_STOP:
		handle_stop();
		XFREE(MTYPE_DSAA_POST, p);
		sem_post(&stopped);
		return;
	case POST_ADDRESS:
		ev.type = DSAA_EV_ADDRESS;
		locked_step(&ev);
		break;
	case POST_BFD:
		ev.type = DSAA_EV_BFD;
		locked_step(&ev);
		break;
	case POST_BFD_GONE:
		ev.type = DSAA_EV_BFD_GONE;
		locked_step(&ev);
		break;
	case POST_PROBE:
		ev.type = DSAA_EV_PROBE;
		locked_step(&ev);
		break;
	case POST_RESYNC:
		ev.type = DSAA_EV_RESYNC;
		locked_step(&ev);
		break;
	case POST_AUDIT:
		ev.type = DSAA_EV_AUDIT;
		locked_step(&ev);
		break;
	case POST_ROUTES:
		ev.type = DSAA_EV_ROUTES;
		locked_step(&ev);
		break;
	case POST_ROUTES_AWAITED:
		ev.type = DSAA_EV_ROUTES_AWAITED;
		locked_step(&ev);
		break;
	case POST_LINES:
		ev.type = DSAA_EV_LINES;
		ev.op = p->kind_of_lines;
		ev.lines = &p->lines;
		locked_step(&ev);
		break;
	case POST_DRAIN:
		ev.type = DSAA_EV_DRAIN;
		locked_step(&ev);
		break;
	}
	explicit_bzero(p->key, sizeof(p->key));
	XFREE(MTYPE_DSAA_POST, p);
	arm();
}

/* First event of the thread. */
static void thread_started(struct event *t)
{
	/* raised for good, in this thread only: see the head of this file */
	dsaa_privs.change(ZPRIVS_RAISE);
	event_add_read(thread->master, hot_ready, NULL, hot_fd, &t_hot);
	arm();
}

/* ------------------------------------------------------------------ main thread's side */

static struct post *new_post(enum post_kind kind)
{
	struct post *p = XCALLOC(MTYPE_DSAA_POST, sizeof(*p));

	p->kind = kind;
	return p;
}

static void send_post(struct post *p)
{
	if (thread)
		event_add_event(thread->master, handle_post, p, 0, NULL);
	else
		XFREE(MTYPE_DSAA_POST, p);
}

void dsaa_sync_start(void)
{
	size_t size = dsaa_engine_size(DSAA_LOG_ENTRIES_DEFAULT, DSAA_SEEN_ENTRIES_DEFAULT);
	struct timespec wall;
	uint64_t seed;
	/* zeroed, and pages that are never touched cost nothing */
	/* cppcheck-suppress invalidFunctionArg ; -1 is what an anonymous mapping asks for */
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED) {
		flog_err_sys(EC_LIB_SYSTEM_CALL, "no memory for the engine (%zu bytes): %m", size);
		exit(1);
	}
	clock_gettime(CLOCK_REALTIME, &wall);
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = (uint64_t)wall.tv_nsec ^ (uint64_t)getpid() << 32;
	engine = dsaa_engine_init(mem, DSAA_LOG_ENTRIES_DEFAULT, DSAA_SEEN_ENTRIES_DEFAULT,
				  (uint64_t)wall.tv_sec * 1000000 + wall.tv_nsec / 1000, seed,
				  dsaa_mono_now());
	hot_fd = epoll_create1(EPOLL_CLOEXEC);
	if (hot_fd < 0) {
		flog_err_sys(EC_LIB_SYSTEM_CALL, "epoll_create1: %m");
		exit(1);
	}
	thread = frr_pthread_new(NULL, "dsaa sync", "dsaa-sync");
	frr_pthread_run(thread, NULL);
	frr_pthread_wait_running(thread);
	event_add_event(thread->master, thread_started, NULL, 0, NULL);
}

void dsaa_sync_stop(void)
{
	EVENT_OFF(t_key);
	if (!thread)
		return;
	sem_init(&stopped, 0, 0);
	send_post(new_post(POST_STOP));
	while (sem_wait(&stopped) && errno == EINTR)
		;
	frr_pthread_stop(thread, NULL);
	frr_pthread_destroy(thread);
	thread = NULL;
}

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

/* Main thread: the operator may have repaired the key file by now. */
static void key_retry(struct event *t)
{
	dsaa_sync_configure();
}

/* Reads the key; tells the engine why sessions cannot be when there is none, and tries again. */
static void fill_key(struct post *p)
{
	static unsigned said; /* the problem that the log has: each is told once */
	struct dsaa_key key;
	unsigned reason = DSAA_R_NO_KEY;

	EVENT_OFF(t_key);
	p->engine.can_connect = true;
	if (dsaa_conf.insecure)
		return;
	if (dsaa_conf.key_file[0] && dsaa_key_load(dsaa_conf.key_file, &key, &reason)) {
		memcpy(p->key, key.bytes, key.len);
		p->transport.key_len = key.len;
		dsaa_key_wipe(&key);
		said = DSAA_R_NONE;
		return;
	}
	p->engine.can_connect = false;
	p->engine.cannot_reason = reason;
	if (dsaa_conf.key_file[0])
		event_add_timer(master, key_retry, NULL, KEY_RETRY_S, &t_key);
	if (dsaa_conf.enabled && reason != said)
		flog_err(EC_DSAA_KEY, "no session can come up: %s: %s",
			 dsaa_conf.key_file[0] ? dsaa_conf.key_file : "no key file",
			 dsaa_reason_meaning(reason));
	said = reason;
}

void dsaa_sync_configure(void)
{
	struct post *p = new_post(POST_CONFIG);

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

void dsaa_sync_post_address(const struct prefix *prefix, bool added)
{
	struct post *p = new_post(POST_ADDRESS);

	dsaa_addr_from_prefix(&p->address, prefix);
	p->on = added;
	send_post(p);
}

static void post_flag(enum post_kind kind, uint8_t site, bool on)
{
	struct post *p = new_post(kind);

	p->site = site;
	p->on = on;
	send_post(p);
}

void dsaa_sync_post_bfd(uint8_t site, enum dsaa_liveness live)
{
	post_flag(live == DSAA_LIVE_UNKNOWN ? POST_BFD_GONE : POST_BFD, site, live == DSAA_LIVE_UP);
}

void dsaa_sync_post_probe(uint8_t site, bool up)
{
	post_flag(POST_PROBE, site, up);
}

void dsaa_sync_post_resync(uint8_t site)
{
	post_flag(POST_RESYNC, site, true);
}

void dsaa_sync_post_audit(void)
{
	post_flag(POST_AUDIT, 0, true);
}

/* One per connection whose answers come to another site: nothing of a post's size. */
void dsaa_sync_post_elsewhere(uint8_t family, uint8_t proto, const struct dsaa_tuple *t)
{
	struct elsewhere *x;

	if (!thread)
		return;
	x = XCALLOC(MTYPE_DSAA_ELSEWHERE, sizeof(*x));
	x->family = family;
	x->proto = proto;
	x->tuple = *t;
	event_add_event(thread->master, handle_elsewhere, x, 0, NULL);
}

void dsaa_sync_post_drain(bool on)
{
	post_flag(POST_DRAIN, 0, on);
}

void dsaa_sync_post_routes(bool all_there)
{
	post_flag(POST_ROUTES, 0, all_there);
}

void dsaa_sync_post_routes_awaited(bool awaited)
{
	post_flag(POST_ROUTES_AWAITED, 0, awaited);
}

void dsaa_sync_post_lines(enum dsaa_lines_kind kind, const struct dsaa_lines *l)
{
	struct post *p = new_post(POST_LINES);

	p->kind_of_lines = kind;
	p->lines = *l;
	send_post(p);
}

void dsaa_sync_clear(void)
{
	take();
	dsaa_engine_clear(engine);
	release();
}

void dsaa_sync_view(struct dsaa_engine_view *v)
{
	take();
	dsaa_engine_view(engine, v);
	release();
}

bool dsaa_sync_peer_view(uint8_t site, struct dsaa_peer_view *v)
{
	bool found = false;

	take();
	found = dsaa_engine_peer_view(engine, site, v);
	release();
	return found;
}

unsigned dsaa_sync_history(struct dsaa_history *h, unsigned max)
{
	unsigned n = 0;

	take();
	n = dsaa_engine_history(engine, h, max);
	release();
	return n;
}

bool dsaa_sync_lines(uint8_t site, enum dsaa_lines_kind kind, struct dsaa_lines *l)
{
	bool known = false;

	take();
	known = dsaa_engine_lines(engine, site, kind, l);
	release();
	return known;
}

bool dsaa_sync_replicates(const struct dsaa_flow *f, unsigned *reason)
{
	bool yes = false;

	take();
	yes = dsaa_engine_replicates(engine, f, reason);
	release();
	return yes;
}

enum dsaa_advertise_state dsaa_sync_advertise(uint8_t site, const char **reason)
{
	enum dsaa_advertise_state s = DSAA_ADV_WITHHELD;

	take();
	s = dsaa_engine_advertise(engine, site, reason);
	release();
	return s;
}

void dsaa_sync_links_view(uint8_t site, struct dsaa_sync_links *l)
{
	take();
	*l = links_view[site];
	release();
}

void dsaa_sync_kernel_view(struct dsaa_sync_kernel *k)
{
	take();
	*k = kernel_view;
	release();
}
