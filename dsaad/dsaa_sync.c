/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sync thread: it drives the engine. Kernel events, bytes of peers and
 * the operator's wishes go in; what the engine decides is carried out.
 *
 *	main thread --post--> [ lock: step -> actions ] --> transport, ctnetlink
 *	             <-event-- changed, probe, site words
 *
 * Threads: dsaa_sync_start() is called by the main thread, all else here runs in
 * the sync thread. `lock` guards the engine; the sync thread holds it for one
 * step and its actions, the main thread while it copies a view. Transport and
 * conntrack handles belong to the sync thread alone. It keeps CAP_NET_ADMIN
 * raised: the kernel checks the thread that sends each netlink message.
 */
#include "dsaad/dsaa_sync_private.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "lib_errors.h"
#include "log.h"
#include "monotime.h"

#include "dsaad/dsaa_errors.h"

DEFINE_MTYPE(DSAAD, DSAA_POST, "DSAA posted request");
DEFINE_MTYPE(DSAAD, DSAA_ELSEWHERE, "DSAA connection seen elsewhere");

enum {
	/*
	 * When events come often, what has come waits so long for company: a turn costs as much as
	 * several events, and the changes of a young connection become one record.
	 */
	EVENTS_GATHER_US = 400,
	EVENTS_OFTEN_US = 5000,
	/* how long libfrr waits while there is much to do, and how long we wait for more to do */
	HOT_TURN_US = 20000,
	HOT_QUIET_US = 1000,
	KERNEL_VIEW_US = 500000,
};

/* ------------------------------------------------------------------ state */

struct dsaa_sync_state dsaa_sync;

/* of the engine and the views; taken by dsaa_sync_take() only */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static int hot_fd = -1;	   /* readable when the transport or conntrack has something */
static int64_t ct_read_at; /* when events were read last, us */
static struct event *t_tick, *t_hot, *t_changed;

/*
 * Who waits for the lock has the turn: the sync thread, which takes the lock again as soon as it
 * gave it back, does not get it before one who waits. A mutex alone would keep show commands
 * waiting as long as there is something to do, where both threads share a processor.
 */
void dsaa_sync_take(void)
{
	pthread_mutex_lock(&turn);
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&turn);
}

void dsaa_sync_release(void)
{
	pthread_mutex_unlock(&lock);
}

struct dsaa_mono dsaa_mono_now(void)
{
	struct timeval tv;

	monotime(&tv);
	return (struct dsaa_mono){ (int64_t)tv.tv_sec * 1000000 + tv.tv_usec };
}

bool dsaa_sync_may_log(dsaa_site_id site, unsigned reason)
{
	static struct dsaa_log_limit limit[DSAA_SITES_MAX + 1][DSAA_REASONS_MAX];

	return dsaa_log_allowed(&limit[site][reason % DSAA_REASONS_MAX], NULL);
}

/* ------------------------------------------------------------------ carrying out actions */

/* Everything but APPLY, which comes last. */
static void carry_out(const struct dsaa_action *a)
{
	switch (a->type) {
	case DSAA_ACT_CONNECT:
		if (DSAA_DEBUG(DSAA_DEBUG_SYNC))
			zlog_debug("site %u: connecting to its sync-address number %u", a->site,
				   a->address + 1);
		if (!dsaa_sync.transport ||
		    !dsaa_transport_connect(dsaa_sync.transport, a->site, a->address)) {
			struct dsaa_event ev = { .type = DSAA_EV_DISCONNECTED,
						 .site = a->site,
						 .reason = DSAA_R_CONNECT_FAILED };
			dsaa_sync_step(&ev);
		}
		break;
	case DSAA_ACT_DISCONNECT:
		if (dsaa_sync.transport)
			dsaa_transport_drop(dsaa_sync.transport, a->site);
		break;
	case DSAA_ACT_SEND:
		dsaa_sync_trace_message("sent", a->site, a->data, a->len);
		if (!dsaa_sync.transport ||
		    !dsaa_transport_send(dsaa_sync.transport, a->site, a->data, a->len))
			flog_err(EC_DSAA_SESSION, "site %u: %zu bytes do not fit the send buffer",
				 a->site, a->len);
		break;
	case DSAA_ACT_DUMP:
		dsaa_sync_start_dump(a);
		break;
	case DSAA_ACT_DUMP_CANCEL:
		dsaa_ct_dump_cancel(dsaa_sync.ct);
		dsaa_sync.dumping = false;
		break;
	case DSAA_ACT_SITE_WORD:
		dsaa_correct_site_word(a->site, a->word, a->up);
		break;
	case DSAA_ACT_PROBE:
		if (a->up)
			event_add_event(master, dsaa_sync_probe, NULL, a->site, NULL);
		break;
	case DSAA_ACT_CHANGED:
		event_add_event(master, dsaa_sync_changed, NULL, 0, &t_changed);
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
void dsaa_sync_step(struct dsaa_event *ev)
{
	struct dsaa_action acts[256], apply = { 0 }, expect = { 0 };
	unsigned n = 0;

	dsaa_engine_step(dsaa_sync.engine, dsaa_mono_now(), ev);
	while (n < array_size(acts) && dsaa_engine_next_action(dsaa_sync.engine, &acts[n])) {
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

		dsaa_zones_apply(dsaa_sync.ct, apply.ops, apply.count);
		dsaa_sync_trace_applied(apply.ops, apply.count);
		dsaa_sync_step(&done);
	}
	if (expect.count) {
		struct dsaa_event done = { .type = DSAA_EV_EXPECTED };

		dsaa_zones_expect_apply(dsaa_sync.ct, expect.expects, expect.count);
		dsaa_sync_step(&done);
	}
	for (unsigned i = 0; i < n; i++)
		carry_out(&acts[i]);
}

void dsaa_sync_locked_step(struct dsaa_event *ev)
{
	dsaa_sync_take();
	dsaa_sync_step(ev);
	dsaa_sync_release();
}

void dsaa_sync_tell_room(dsaa_site_id site)
{
	struct dsaa_event ev = { .type = DSAA_EV_ROOM, .site = site };

	ev.room = dsaa_sync.transport ? dsaa_transport_room(dsaa_sync.transport, site) : 0;
	dsaa_sync_step(&ev);
}

void dsaa_sync_hot_add(int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };

	if (epoll_ctl(hot_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
		flog_err_sys(EC_LIB_SYSTEM_CALL, "epoll_ctl: %m");
}

/* ------------------------------------------------------------------ the loop */

static void hot_ready(struct event *t);

static void tick(struct event *t)
{
	static int64_t last_copy;
	struct dsaa_event ev = { .type = DSAA_EV_TICK };

	if (dsaa_sync.transport)
		dsaa_transport_tick(dsaa_sync.transport, dsaa_mono_now());
	dsaa_sync_take();
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		dsaa_sync_tell_room(s);
	dsaa_sync_step(&ev);
	if (dsaa_sync.ct && dsaa_mono_now().us - last_copy > KERNEL_VIEW_US) {
		last_copy = dsaa_mono_now().us;
		dsaa_sync_copy_kernel_view();
		dsaa_sync_copy_links_view();
	}
	dsaa_sync_release();
	t_tick = NULL;
	if (dsaa_sync_dump_due() || !dsaa_engine_tick_ms(dsaa_sync.engine)) {
		EVENT_OFF(t_hot);
		hot_ready(NULL);
	} else {
		dsaa_sync_arm();
	}
}

/* Schedules the tick, and wakes the hot loop when there is work that no descriptor tells of. */
void dsaa_sync_arm(void)
{
	unsigned ms = dsaa_sync_dump_due() ? 0 : dsaa_engine_tick_ms(dsaa_sync.engine);

	if (!ms)
		EVENT_OFF(t_tick);
	event_add_timer_msec(dsaa_sync.thread->master, tick, NULL, ms, &t_tick);
}

/*
 * Waits until the transport or conntrack's events are readable. False when nothing came for a
 * while, so there is no haste.
 */
static bool hot_wait(bool *transport_ready, bool *ct_ready)
{
	bool more = dsaa_sync_dump_due() || !dsaa_engine_tick_ms(dsaa_sync.engine);
	struct timespec timeout = { .tv_nsec = more ? 0 : HOT_QUIET_US * 1000 };
	struct pollfd fds[2] = {
		{ .fd = dsaa_sync.transport ? dsaa_transport_fd(dsaa_sync.transport) : -1,
		  .events = POLLIN },
		{ .fd = dsaa_sync.ct ? dsaa_ct_event_fd(dsaa_sync.ct) : -1, .events = POLLIN },
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

	if (!more && !dsaa_sync_dump_due() && dsaa_mono_now().us - ct_read_at < EVENTS_OFTEN_US)
		nanosleep(&gather, NULL);
	more = dsaa_sync_read_events() >= DSAA_SYNC_EVENTS_PER_TURN;
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
			dsaa_transport_ready(dsaa_sync.transport, dsaa_mono_now());
		if (ct_ready)
			hot_events();
		if (dsaa_sync_dump_due())
			dsaa_sync_read_dump();
		dsaa_sync_locked_step(&ev);
		if (dsaa_mono_now().us >= end)
			break;
	}
	event_add_read(dsaa_sync.thread->master, hot_ready, NULL, hot_fd, &t_hot);
	dsaa_sync_arm();
}

/* ------------------------------------------------------------------ requests */

static void handle_config(struct dsaa_post *p)
{
	struct dsaa_event anew = { .type = DSAA_EV_RESYNC };
	bool zones_changed;

	if (dsaa_sync.ct && dsaa_sync.ct_mask != p->engine.mark_mask)
		dsaa_sync_close_ct();
	dsaa_sync.ct_mask = p->engine.mark_mask;
	dsaa_sync.wanted_config = p->engine;
	zones_changed = dsaa_zones_configure(&p->zones);
	dsaa_sync_configure_transport(p);
	/* a daemon without a dsaa block leaves the kernel alone */
	if (p->engine.local && !dsaa_sync.ct)
		dsaa_sync_open_ct(); /* tells the engine, now or when it succeeds */
	else
		dsaa_sync_tell_config();
	if (!p->engine.local)
		dsaa_sync_close_ct();
	if (!dsaa_sync.transport)
		dsaa_sync_open_transport();
	/* what is in the log, and what the peers' entries stand for here, has the old numbers */
	if (zones_changed)
		dsaa_sync_locked_step(&anew);
}

static void handle_stop(void)
{
	struct dsaa_event ev = { .type = DSAA_EV_STOP };

	dsaa_sync_locked_step(&ev);
	dsaa_sync_close_transport();
	dsaa_sync_forget_key();
	if (dsaa_sync.ct) {
		dsaa_ct_sysctl_restore(dsaa_sync.ct);
		dsaa_sync_close_ct();
	}
	EVENT_OFF(t_tick);
}

void dsaa_sync_handle_elsewhere(struct event *t)
{
	struct dsaa_post_elsewhere *x = EVENT_ARG(t);
	struct dsaa_flow f, copy;
	struct dsaa_event ev = { .type = DSAA_EV_ELSEWHERE };
	bool reply;

	if (dsaa_sync.ct &&
	    dsaa_ct_find(dsaa_sync.ct, x->family, x->proto, &x->tuple, &f, &reply) == 1 &&
	    !dsaa_mark_owner(f.mark, dsaa_sync.ct_mask))
		ev.flow = dsaa_zones_told(&f, &copy);
	if (ev.flow)
		dsaa_sync_locked_step(&ev);
	XFREE(MTYPE_DSAA_ELSEWHERE, x);
	dsaa_sync_arm();
}

static void handle_event(const struct dsaa_post *p)
{
	struct dsaa_event ev = { .type = p->event,
				 .site = p->site,
				 .up = p->on,
				 .address = p->address,
				 .op = p->kind_of_lines,
				 .lines = &p->lines };

	dsaa_sync_locked_step(&ev);
}

void dsaa_sync_handle_post(struct event *t)
{
	struct dsaa_post *p = EVENT_ARG(t);

	switch (p->kind) {
	case DSAA_POST_CONFIG:
		handle_config(p);
		break;
	case DSAA_POST_EVENT:
		handle_event(p);
		break;
	case DSAA_POST_STOP:
		handle_stop();
		XFREE(MTYPE_DSAA_POST, p);
		sem_post(&dsaa_sync.stopped);
		return;
	}
	explicit_bzero(p->key, sizeof(p->key));
	XFREE(MTYPE_DSAA_POST, p);
	dsaa_sync_arm();
}

/* ------------------------------------------------------------------ the start */

/* First event of the thread. */
static void thread_started(struct event *t)
{
	/* raised for good, in this thread only: see the head of this file */
	dsaa_privs.change(ZPRIVS_RAISE);
	event_add_read(dsaa_sync.thread->master, hot_ready, NULL, hot_fd, &t_hot);
	dsaa_sync_arm();
}

void dsaa_sync_start(void)
{
	size_t size = dsaa_engine_size(DSAA_LOG_ENTRIES_DEFAULT, DSAA_SEEN_ENTRIES_DEFAULT);
	struct timespec wall;
	uint64_t seed;
	/* zeroed, and pages that are never touched cost nothing */
	/* cppcheck-suppress invalidFunctionArg ; -1 is what an anonymous mapping asks for */
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int rc;

	if (mem == MAP_FAILED) {
		flog_err_sys(EC_LIB_SYSTEM_CALL, "no memory for the engine (%zu bytes): %m", size);
		exit(1);
	}
	clock_gettime(CLOCK_REALTIME, &wall);
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = (uint64_t)wall.tv_nsec ^ (uint64_t)getpid() << 32;
	dsaa_sync.engine = dsaa_engine_init(
		mem, DSAA_LOG_ENTRIES_DEFAULT, DSAA_SEEN_ENTRIES_DEFAULT,
		(uint64_t)wall.tv_sec * 1000000 + wall.tv_nsec / 1000, seed, dsaa_mono_now());
	hot_fd = epoll_create1(EPOLL_CLOEXEC);
	if (hot_fd < 0) {
		flog_err_sys(EC_LIB_SYSTEM_CALL, "epoll_create1: %m");
		exit(1);
	}
	dsaa_sync.thread = frr_pthread_new(NULL, "dsaa sync", "dsaa-sync");
	rc = frr_pthread_run(dsaa_sync.thread, NULL);
	if (rc) {
		flog_err(EC_DSAA_THREAD, "the sync thread does not start: %s", safe_strerror(rc));
		exit(1);
	}
	frr_pthread_wait_running(dsaa_sync.thread);
	event_add_event(dsaa_sync.thread->master, thread_started, NULL, 0, NULL);
}
