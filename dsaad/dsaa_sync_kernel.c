/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sync thread's side of the kernel's connection table: its events and
 * dumps become events of the engine, its limits what "show dsaa sync" says.
 *
 * Threads: the sync thread, but for dsaa_sync_kernel_view().
 */
#include "dsaad/dsaa_sync_private.h"

#include "log.h"

#include "dsaad/dsaa_debug.h"
#include "dsaad/dsaa_errors.h"

enum {
	EXPECTS_PER_TURN = 64,
	DUMP_ENTRIES_PER_TURN = 512,
	RETRY_MS = 1000,
};

static struct event *t_expect, *t_retry_ct;
/* kernel's word, copied for show commands under the lock */
static struct dsaa_sync_kernel kernel_view;
/* entries that the running dump has told */
static unsigned dumped;
/* what could not be set when conntrack was opened; empty: nothing */
static char setup_warning[160];

/* ------------------------------------------------------------------ events */

static void on_ct_event(void *arg, enum dsaa_ct_event kind, const struct dsaa_flow *f)
{
	struct dsaa_flow copy;
	struct dsaa_event ev = { .type = DSAA_EV_FLOW, .flow = dsaa_zones_told(f, &copy) };

	if (!ev.flow)
		return;
	ev.op = kind == DSAA_CT_EVENT_DESTROY ? DSAA_OP_DELETE : DSAA_OP_UPSERT;
	ev.begins = kind == DSAA_CT_EVENT_NEW;
	dsaa_sync_step(&ev);
}

static bool needs_lookup(void *arg, const struct dsaa_flow *f)
{
	struct dsaa_flow copy;
	const struct dsaa_flow *told = dsaa_zones_told(f, &copy);

	return told && dsaa_engine_needs_lookup(dsaa_sync.engine, told);
}

int dsaa_sync_read_events(void)
{
	static const struct dsaa_ct_reader reader = { .event = on_ct_event,
						      .needs_lookup = needs_lookup };
	static struct dsaa_log_limit limit;
	struct dsaa_event ev = { .type = DSAA_EV_OVERRUN };
	int rc;

	dsaa_sync_take();
	rc = dsaa_ct_read_events(dsaa_sync.ct, DSAA_SYNC_EVENTS_PER_TURN, &reader);
	if (rc == -ENOBUFS)
		dsaa_sync_step(&ev);
	dsaa_sync_release();
	if (rc == -ENOBUFS && DSAA_DEBUG(DSAA_DEBUG_CONNTRACK) && dsaa_log_allowed(&limit, NULL))
		zlog_debug("conntrack: events were lost, the table will be read");
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
	dsaa_sync_step(&ev);
}

static void expect_ready(struct event *t)
{
	struct dsaa_event ev = { .type = DSAA_EV_TICK };

	event_add_read(dsaa_sync.thread->master, expect_ready, NULL,
		       dsaa_ct_expect_fd(dsaa_sync.ct), &t_expect);
	dsaa_sync_take();
	/* those that were lost are told by the table, or end by themselves */
	if (dsaa_ct_read_expects(dsaa_sync.ct, EXPECTS_PER_TURN, on_expect, NULL) == -ENOBUFS)
		dsaa_ct_dump_expects(dsaa_sync.ct, on_expect, NULL);
	dsaa_sync_step(&ev);
	dsaa_sync_release();
	dsaa_sync_arm();
}

/* ------------------------------------------------------------------ dumps */

/* What adoption gives follows the operator's sysctls as they are when it begins. */
static void tell_timeouts(void)
{
	struct dsaa_timeouts t;
	struct dsaa_event ev = { .type = DSAA_EV_TIMEOUTS, .timeouts = &t };

	dsaa_ct_timeouts(&t);
	dsaa_sync_step(&ev);
}

void dsaa_sync_start_dump(const struct dsaa_action *a)
{
	if (a->site)
		tell_timeouts();
	dsaa_sync.dumping = dsaa_ct_dump_start(dsaa_sync.ct, a->site) == 0;
	dumped = 0;
	if (DSAA_DEBUG(DSAA_DEBUG_CONNTRACK))
		zlog_debug("conntrack: %s the table, owner %u",
			   dsaa_sync.dumping ? "reading" : "cannot read", a->site);
	if (!dsaa_sync.dumping) {
		struct dsaa_event ev = { .type = DSAA_EV_DUMP_DONE };

		dsaa_sync_step(&ev);
	}
}

static void on_dump_flow(void *arg, const struct dsaa_flow *f)
{
	struct dsaa_flow copy;
	struct dsaa_event ev = { .type = DSAA_EV_DUMP_FLOW, .flow = dsaa_zones_told(f, &copy) };

	dumped++;
	if (ev.flow)
		dsaa_sync_step(&ev);
	else if (dsaa_mark_owner(f->mark, dsaa_sync.ct_mask))
		dsaa_zones_strand(dsaa_sync.ct, f);
}

bool dsaa_sync_dump_due(void)
{
	return dsaa_sync.dumping && dsaa_engine_dump_ready(dsaa_sync.engine);
}

void dsaa_sync_read_dump(void)
{
	enum dsaa_ct_dump rc;

	dsaa_sync_take();
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		dsaa_sync_tell_room(s);
	if (dsaa_sync_dump_due()) {
		rc = dsaa_ct_dump_read(dsaa_sync.ct, DUMP_ENTRIES_PER_TURN, on_dump_flow, NULL);
		if (rc != DSAA_CT_DUMP_MORE) {
			struct dsaa_event done = { .type = DSAA_EV_DUMP_DONE,
						   .ok = rc == DSAA_CT_DUMP_DONE };

			dsaa_sync.dumping = false;
			if (DSAA_DEBUG(DSAA_DEBUG_CONNTRACK))
				zlog_debug("conntrack: read %u entries%s", dumped,
					   done.ok ? "" : ", not all: once more");
			dsaa_sync_step(&done);
		}
	}
	dsaa_sync_release();
}

/* ------------------------------------------------------------------ opening and closing */

void dsaa_sync_tell_config(void)
{
	struct dsaa_engine_config c = dsaa_sync.wanted_config;
	struct dsaa_event ev = { .type = DSAA_EV_CONFIG, .config = &c };

	if (dsaa_sync.ct) {
		dsaa_ct_set_local(dsaa_sync.ct, c.local);
	} else if (c.local) {
		c.local = 0;
		c.idle_reason = DSAA_R_NO_CONNTRACK;
	}
	dsaa_sync_locked_step(&ev);
}

static void open_ct(struct event *t)
{
	char err[160];

	if (dsaa_sync.ct)
		return;
	dsaa_sync.ct = dsaa_ct_open(dsaa_sync.ct_mask, true, err, sizeof(err));
	if (!dsaa_sync.ct) {
		if (dsaa_sync_may_log(0, DSAA_R_KERNEL_ERROR))
			flog_err(EC_DSAA_CONNTRACK, "conntrack cannot be opened: %s", err);
		dsaa_sync_take();
		snprintf(kernel_view.warning, sizeof(kernel_view.warning),
			 "conntrack cannot be opened: %s", err);
		dsaa_sync_release();
		event_add_timer_msec(dsaa_sync.thread->master, open_ct, NULL, RETRY_MS,
				     &t_retry_ct);
		return;
	}
	dsaa_sync_take();
	dsaa_ct_sysctl_setup(dsaa_sync.ct, setup_warning, sizeof(setup_warning));
	strlcpy(kernel_view.warning, setup_warning, sizeof(kernel_view.warning));
	if (setup_warning[0])
		flog_warn(EC_DSAA_KERNEL_LIMITS, "%s", setup_warning);
	dsaa_sync_release();
	dsaa_sync_hot_add(dsaa_ct_event_fd(dsaa_sync.ct));
	event_add_read(dsaa_sync.thread->master, expect_ready, NULL,
		       dsaa_ct_expect_fd(dsaa_sync.ct), &t_expect);
	dsaa_sync_tell_config();
	/* what is expected already, ours and what an earlier run put here */
	dsaa_sync_take();
	dsaa_ct_dump_expects(dsaa_sync.ct, on_expect, NULL);
	dsaa_sync_release();
}

void dsaa_sync_open_ct(void)
{
	open_ct(NULL);
}

void dsaa_sync_close_ct(void)
{
	EVENT_OFF(t_retry_ct);
	if (!dsaa_sync.ct)
		return;
	EVENT_OFF(t_expect);
	if (dsaa_sync.dumping) {
		struct dsaa_event ev = { .type = DSAA_EV_DUMP_DONE };

		dsaa_sync.dumping = false;
		dsaa_sync_locked_step(&ev);
	}
	dsaa_ct_close(dsaa_sync.ct);
	dsaa_sync.ct = NULL;
}

/* ------------------------------------------------------------------ what is shown */

/* Ours and all peers' connections, as the last bulks counted them. */
static uint64_t connections_of_all(void)
{
	uint64_t theirs = 0, ours = 0;

	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++) {
		struct dsaa_peer_view v;

		if (!dsaa_engine_peer_view(dsaa_sync.engine, (dsaa_site_id)s, &v))
			continue;
		theirs += v.bulk_flows;
		ours = v.bulk_sent_flows > ours ? v.bulk_sent_flows : ours;
	}
	return ours + theirs;
}

/* Each kind is told when it comes, and at most one in a minute: a table may be about to fill. */
static void log_limit(enum dsaa_ct_limit kind, const char *text)
{
	static struct dsaa_log_limit limit;
	static enum dsaa_ct_limit told;

	if (kind == DSAA_CT_LIMIT_NONE) {
		told = kind;
	} else if (kind != told && dsaa_log_allowed(&limit, NULL)) {
		told = kind;
		flog_warn(EC_DSAA_KERNEL_LIMITS, "%s", text);
	}
}

/* What is too small is shown all the time. */
static void check_limits(void)
{
	struct dsaa_ct_limits l;
	char now[200];

	dsaa_ct_limits(dsaa_sync.ct, &l);
	kernel_view.count = l.count;
	kernel_view.max = l.max;
	kernel_view.buckets = l.buckets;
	kernel_view.event_buffer = l.event_buffer;
	kernel_view.needed = connections_of_all();
	log_limit(dsaa_ct_limits_warning(&l, kernel_view.needed, now, sizeof(now)), now);
	snprintf(kernel_view.warning, sizeof(kernel_view.warning), "%s%s%s", setup_warning,
		 setup_warning[0] && now[0] ? "; " : "", now);
}

void dsaa_sync_copy_kernel_view(void)
{
	const struct dsaa_ct_counters *c = dsaa_ct_counters(dsaa_sync.ct);

	kernel_view.events_new = c->events[DSAA_CT_EVENT_NEW];
	kernel_view.events_update = c->events[DSAA_CT_EVENT_UPDATE];
	kernel_view.events_destroy = c->events[DSAA_CT_EVENT_DESTROY];
	kernel_view.overruns = c->overruns;
	kernel_view.echoes = c->echoes;
	check_limits();
}

void dsaa_sync_kernel_view(struct dsaa_sync_kernel *k)
{
	dsaa_sync_take();
	*k = kernel_view;
	dsaa_sync_release();
}
