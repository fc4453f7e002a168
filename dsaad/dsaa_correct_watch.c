/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Notices at once when somebody changes the rules, "flush ruleset" before all: until they are there
 * again, foreign packets get into the NAT of this site. What the watch does not see, and the tunnel
 * device, is looked at every two seconds (dsaa_correct.c).
 *
 * A script may change rules or sets of its own thousands of times a second, so the socket is left
 * alone for a while after each reading. If its messages do not fit meanwhile, that counts as a
 * change. Our own changes are read as well, and found to be as they should.
 *
 * To make the table anew costs the packets that wait in the queues, so the pause grows while
 * somebody takes the rules away each time that they come back.
 *
 * Thread: main.
 */
#include "dsaad/dsaa_correct.h"

#include "log.h"

#include "rules/dsaa_rules.h"

enum {
	/* between two readings, milliseconds */
	PAUSE_MS = 20,
	PAUSE_MAX_MS = 500,
	/* without a change of our rules, until all is forgotten; longer than any pause */
	QUIET_MS = 1000,
};

static int watch_fd = -1;
static struct event *t_watch; /* reads, or ends the pause */
static int64_t pause_ms = PAUSE_MS;
static struct dsaa_mono put_back_at;
static bool unread; /* look again, whatever the socket says */

static void watch_ready(struct event *t);

static void pause_over(struct event *t)
{
	if (unread)
		watch_ready(t);
	else
		event_add_read(master, watch_ready, NULL, watch_fd, &t_watch);
}

static void look(void)
{
	struct dsaa_mono now = dsaa_mono_now();
	enum dsaa_correct_found found = dsaa_correct_look();

	unread = found == DSAA_CORRECT_UNREAD;
	if (dsaa_mono_diff_us(now, put_back_at) > QUIET_MS * INT64_C(1000))
		pause_ms = PAUSE_MS;
	if (found != DSAA_CORRECT_CHANGED)
		return;
	pause_ms = MIN(2 * pause_ms, (int64_t)PAUSE_MAX_MS);
	put_back_at = now;
}

static void watch_ready(struct event *t)
{
	if (dsaa_rules_watch_read(watch_fd) || unread)
		look();
	event_add_timer_msec(master, pause_over, NULL, pause_ms, &t_watch);
}

void dsaa_correct_watch_start(void)
{
	static bool said;

	frr_with_privs (&dsaa_privs) {
		watch_fd = dsaa_rules_watch_open();
	}
	if (watch_fd >= 0) {
		event_add_read(master, watch_ready, NULL, watch_fd, &t_watch);
		return;
	}
	if (!said)
		zlog_warn("changes of the table inet dsaa are seen by looking every two seconds "
			  "only: %s",
			  safe_strerror(-watch_fd));
	said = true;
}

void dsaa_correct_watch_stop(void)
{
	EVENT_OFF(t_watch);
	if (watch_fd >= 0)
		close(watch_fd);
	watch_fd = -1;
	unread = false;
}
