/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between engine and kernel: the engine knows zones by the numbers that travel
 * (core/dsaa_zone.h), the kernel by this router's. Private to dsaa_sync*.c and
 * dsaa_zones.c; sync thread, unless said otherwise.
 */
#ifndef DSAA_ZONES_H
#define DSAA_ZONES_H

#include "conntrack/dsaa_conntrack.h"
#include "core/dsaa_zone.h"

/* Main thread: what dsaa_conf makes of the zones; logs which of them do not travel, once. */
void dsaa_zones_read(struct dsaa_zone_map *m);

/* M holds from now on. True: it is another one than before. */
bool dsaa_zones_configure(const struct dsaa_zone_map *m);

/* F as the engine shall see it: F itself, or COPY; NULL: its zone does not travel. */
const struct dsaa_flow *dsaa_zones_told(const struct dsaa_flow *f, struct dsaa_flow *copy);
const struct dsaa_expect *dsaa_zones_expect_told(const struct dsaa_expect *x,
						 struct dsaa_expect *copy);

/*
 * dsaa_ct_apply() and dsaa_ct_expect_apply() for what the engine wants. What is of a zone that does
 * not exist here is not carried out: its result is DSAA_APPLIED_NOWHERE, or for an expectation
 * an error.
 */
void dsaa_zones_apply(struct dsaa_ct *ct, struct dsaa_apply *ops, unsigned count);
void dsaa_zones_expect_apply(struct dsaa_ct *ct, struct dsaa_expect_op *ops, unsigned count);

/* A dump found F, a peer's, in a zone that does not travel any more: it goes. */
void dsaa_zones_strand(struct dsaa_ct *ct, const struct dsaa_flow *f);

#endif
