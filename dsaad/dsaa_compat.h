/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one place that knows libfrr's versions: sources are written for the
 * names of FRR 10, and 8.4 gets them here.
 */
#ifndef DSAA_COMPAT_H
#define DSAA_COMPAT_H

#if __has_include("frrevent.h")

#include "frrevent.h"
#define DSAA_FRR_10 1

/* 10.7 has no other name for it any more. */
#ifndef EVENT_OFF
#define EVENT_OFF(thread) event_cancel(&(thread))
#endif

#else

/* FRR 8.4: the event loop is called thread. */
#include "thread.h"
#define event_loop	     thread_master
#define event		     thread
#define event_add_read	     thread_add_read
#define event_add_write	     thread_add_write
#define event_add_timer	     thread_add_timer
#define event_add_timer_msec thread_add_timer_msec
#define event_add_event	     thread_add_event
#define event_execute	     thread_execute
#define event_cancel	     thread_cancel
#define event_cancel_async   thread_cancel_async
#define event_is_scheduled   thread_is_scheduled
#define EVENT_ARG	     THREAD_ARG
#define EVENT_FD	     THREAD_FD
#define EVENT_VAL	     THREAD_VAL
#define EVENT_OFF	     THREAD_OFF

/* Says which of libfrr's own debugs are on; 8.4 has none to say. */
#define cmd_show_lib_debugs(vty) \
	do {                     \
	} while (0)

#endif

#include "if.h"
#include "linklist.h"
#include "zclient.h"

/*
 * Options of a client beside the main one. Only that one may keep libfrr's list of interfaces: the
 * same news read twice, at different times, deletes an interface that has just come back. 10 can
 * leave them unread; in 8.4 zebra must be asked not to send them.
 */
#ifdef DSAA_FRR_10
#define dsaa_zclient_options_aside ((struct zclient_options){ .auxiliary = true })
#else
#define dsaa_zclient_options_aside ((struct zclient_options){ .synchronous = true })
#endif

/* Where daemons keep their process numbers and sockets, after -N. */
#ifdef DSAA_FRR_10
#define DSAA_RUN_DIR frr_runstatedir
#else
#define DSAA_RUN_DIR frr_vtydir
#endif

/*
 * Walks the addresses of interface IFP: C is a struct connected *. Nothing
 * may be removed meanwhile.
 */
#ifdef DSAA_FRR_10
#define dsaa_for_each_connected(ifp, c) frr_each (if_connected, (ifp)->connected, c)
#else
#define dsaa_for_each_connected(ifp, c)                                  \
	for (struct listnode *c##_node = listhead((ifp)->connected);     \
	     c##_node && ((c) = listgetdata(c##_node), (void)(c), true); \
	     c##_node = listnextnode(c##_node))
#endif

/* Whether VALUE fits the type of NODE; libyang 5 took the context out of the question. */
#if LY_VERSION_MAJOR >= 5
#define dsaa_value_fits(node, value) \
	(lyd_value_validate(node, value, strlen(value), NULL, NULL, NULL) == LY_SUCCESS)
#else
#define dsaa_value_fits(node, value)                                                        \
	(lyd_value_validate(ly_native_ctx, node, value, strlen(value), NULL, NULL, NULL) == \
	 LY_SUCCESS)
#endif

/*
 * The entry VALUE of the leaf-list NAME ("./x"): 8.4 wants the value beside
 * the path and writes the predicate itself, 10 wants the predicate.
 */
#ifdef DSAA_FRR_10
#define dsaa_cli_enqueue_leaf_list(vty, name, op, value)                     \
	do {                                                                 \
		char xpath_[XPATH_MAXLEN];                                   \
		snprintf(xpath_, sizeof(xpath_), "%s[.='%s']", name, value); \
		nb_cli_enqueue_change(vty, xpath_, op, NULL);                \
	} while (0)
#else
#define dsaa_cli_enqueue_leaf_list nb_cli_enqueue_change
#endif

#endif
