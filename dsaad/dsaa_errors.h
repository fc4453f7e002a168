/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers of the errors and warnings that an operator must act on. Each has a
 * description and a remedy in dsaa_errors.c ("show error all").
 */
#ifndef DSAA_ERRORS_H
#define DSAA_ERRORS_H

#include "ferr.h"

/* libfrr's daemons end at 0x11ffffff, zebra has 0xf1... */
#define DSAA_FERR_START 0x5d000001

enum dsaa_log_refs {
	EC_DSAA_NETLINK = DSAA_FERR_START,
	EC_DSAA_UIPS_FIGHT,
	EC_DSAA_ZAPI,
	EC_DSAA_PROBE,
	EC_DSAA_BFD,
	EC_DSAA_KEY,
	EC_DSAA_PEER_REFUSED,
	EC_DSAA_CONNTRACK,
	EC_DSAA_KERNEL_LIMITS,
	EC_DSAA_RULES,
	EC_DSAA_TUNNEL,
	EC_DSAA_QUEUE,
	EC_DSAA_THREAD,
	EC_DSAA_SITE_CONFLICT,
	EC_DSAA_INSECURE,
	EC_DSAA_IN_THE_WAY,
	EC_DSAA_ROUTE_LOST,
	EC_DSAA_DIFFERS,
	EC_DSAA_CONFINE,
	EC_DSAA_LISTEN,
	EC_DSAA_INCOMPLETE,
	EC_DSAA_SESSION,
	EC_DSAA_CORRECTION,
	EC_DSAA_FAST_PATH,
};

/* Makes the descriptions known to libfrr. Main thread, once. */
void dsaa_errors_init(void);

#endif
