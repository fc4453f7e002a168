/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one place that knows libfrr's versions: sources are written for the names of FRR 10, and 8.4 gets them here.
 */
#ifndef DSAA_COMPAT_H
#define DSAA_COMPAT_H

#if __has_include("frrevent.h")

#include "frrevent.h"
#define DSAA_FRR_10 1

#else

/* FRR 8.4: the event loop is called thread. */
#include "thread.h"
#define event_loop thread_master
#define event thread
#define event_add_read thread_add_read
#define event_add_write thread_add_write
#define event_add_timer thread_add_timer
#define event_add_timer_msec thread_add_timer_msec
#define event_add_event thread_add_event
#define event_execute thread_execute
#define event_cancel thread_cancel
#define event_cancel_async thread_cancel_async
#define event_is_scheduled thread_is_scheduled
#define EVENT_ARG THREAD_ARG
#define EVENT_FD THREAD_FD
#define EVENT_OFF THREAD_OFF

#endif

#endif
