/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the sync thread share; nobody else includes this.
 *
 *	dsaa_sync.c		the thread: lock, steps and actions, loop, requests
 *	dsaa_sync_session.c	sessions with the peers (sync/)
 *	dsaa_sync_kernel.c	the kernel's table: events, dumps, limits (conntrack/)
 *	dsaa_sync_main.c	the main thread's side: requests, views, what is logged
 */
#ifndef DSAA_SYNC_PRIVATE_H
#define DSAA_SYNC_PRIVATE_H

#include "dsaad/dsaad.h"

#include <semaphore.h>

#include "frr_pthread.h"

#include "conntrack/dsaa_conntrack.h"
#include "dsaad/dsaa_zones.h"
#include "sync/dsaa_key.h"
#include "sync/dsaa_transport.h"

DECLARE_MTYPE(DSAA_POST);
DECLARE_MTYPE(DSAA_ELSEWHERE);

/* conntrack events read before the peers get their turn */
enum { DSAA_SYNC_EVENTS_PER_TURN = 512 };

struct dsaa_sync_state {
	/* guarded by the lock */
	struct dsaa_engine *engine;
	struct frr_pthread *thread;
	/* posted when the last request of the main thread is done */
	sem_t stopped;

	/* the sync thread's alone */
	struct dsaa_transport *transport; /* NULL: no sessions can be */
	struct dsaa_ct *ct;		  /* NULL: the table cannot be read */
	uint32_t ct_mask;
	bool dumping;
	struct dsaa_engine_config wanted_config; /* the newest, also while ct is closed */
};
extern struct dsaa_sync_state dsaa_sync;

/* ------------------------------------------------------------------ dsaa_sync.c */

/* The lock of the engine and the views; any thread. */
void dsaa_sync_take(void);
void dsaa_sync_release(void);
/* One step of the engine, and its actions. The caller has the lock; locked_step() takes it. */
void dsaa_sync_step(struct dsaa_event *ev);
void dsaa_sync_locked_step(struct dsaa_event *ev);
/* Tells the engine how much may be sent to SITE. The caller has the lock. */
void dsaa_sync_tell_room(dsaa_site_id site);
/* Schedules the next tick as the engine wants it. */
void dsaa_sync_arm(void);
/* FD makes the hot loop run; closing it is enough to end that. */
void dsaa_sync_hot_add(int fd);
/* True once a minute per site and reason: peers that err must not fill the log. */
bool dsaa_sync_may_log(dsaa_site_id site, unsigned reason);

/* ------------------------------------------------------------------ dsaa_sync_session.c */

struct dsaa_post;
/* Closes the sessions when the configuration in P is another one, which is kept. */
void dsaa_sync_configure_transport(struct dsaa_post *p);
void dsaa_sync_open_transport(void);
void dsaa_sync_close_transport(void);
/* Forgets the key. */
void dsaa_sync_forget_key(void);
/* For dsaa_sync_links_view(). The caller has the lock. */
void dsaa_sync_copy_links_view(void);

/* ------------------------------------------------------------------ dsaa_sync_kernel.c */

/* Opens the table, now or when it can be, and tells the engine. */
void dsaa_sync_open_ct(void);
void dsaa_sync_close_ct(void);
/* The engine runs only while the kernel's table can be read and changed. */
void dsaa_sync_tell_config(void);
/* Reads a turn of events. Returns how many, or a negative errno when some were lost. */
int dsaa_sync_read_events(void);
/* DSAA_ACT_DUMP. The caller has the lock. */
void dsaa_sync_start_dump(const struct dsaa_action *a);
/* A dump runs, and the engine takes more of it. */
bool dsaa_sync_dump_due(void);
/* A turn of the dump, if the engine takes it. */
void dsaa_sync_read_dump(void);
/* For dsaa_sync_kernel_view(). The caller has the lock. */
void dsaa_sync_copy_kernel_view(void);

/* ------------------------------------------------------------------ dsaa_sync_trace.c */

/* WHAT happened with the message at DATA: "sent" or "received". */
void dsaa_sync_trace_message(const char *what, dsaa_site_id site, const uint8_t *data, size_t len);
/* What the kernel answered. */
void dsaa_sync_trace_applied(const struct dsaa_apply *ops, unsigned count);

/* ------------------------------------------------------------------ requests of the main thread */

/* What the main thread asks for. */
enum dsaa_post_kind {
	DSAA_POST_CONFIG,
	DSAA_POST_EVENT, /* a step of the engine with this event */
	DSAA_POST_STOP,
};

struct dsaa_post {
	enum dsaa_post_kind kind;
	/* of DSAA_POST_EVENT: what it takes of site, on, address and lines, dsaa_engine.h says */
	enum dsaa_event_type event;
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

/*
 * A packet that a peer sent here as second chance. It may have been processed since, so the table
 * is asked now: an answer that ends its connection leaves nothing to tell of.
 */
struct dsaa_post_elsewhere {
	uint8_t family, proto;
	struct dsaa_tuple tuple;
};

/* Sync thread: does what the event's argument asks for, and frees it. */
void dsaa_sync_handle_post(struct event *t);
void dsaa_sync_handle_elsewhere(struct event *t);

/* ------------------------------------------------------------------ dsaa_sync_main.c */

/* Main thread: something that is shown or announced changed. */
void dsaa_sync_changed(struct event *t);
/* Main thread: the engine wants to know of the site in the event's value. */
void dsaa_sync_probe(struct event *t);

#endif
