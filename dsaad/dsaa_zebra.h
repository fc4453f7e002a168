/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What dsaa_advertise.c and dsaa_bfd.c need to know of the connection to zebra. Main thread. */
#ifndef DSAA_ZEBRA_H
#define DSAA_ZEBRA_H

#include "dsaad/dsaad.h"

/*
 * The instance of our routes of type TABLE; on FRR 8.4 bgpd asks for it by "redistribute table 85".
 * zebra_rib_route_entry_new() takes eight bits of it, so a larger one would be cut, and a dead
 * client's routes would stay.
 */
#define DSAA_ZEBRA_INSTANCE 85

/*
 * The client, and the instance number, under which A is announced: in a table of our own (FRR 10)
 * or in the main table of its VRF.
 */
struct zclient *dsaa_zebra_client(const struct dsaa_advert *a);
uint16_t dsaa_zebra_instance(const struct dsaa_advert *a);
/* Tries at once to connect again, when ZC has lost its connection. */
void dsaa_zebra_hurry(struct zclient *zc);

#endif
