/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What dsaa_advertise.c needs to know of the connection to zebra. Main thread. */
#ifndef DSAA_ZEBRA_H
#define DSAA_ZEBRA_H

#include "dsaad/dsaad.h"

/* The number by which bgpd asks for our routes: "redistribute table 3785", "table-direct 3785". */
#define DSAA_ZEBRA_INSTANCE 3785

/* The client, and the instance number, under which a route for P is announced. */
struct zclient *dsaa_zebra_client(const struct prefix *p);
uint16_t dsaa_zebra_instance(const struct prefix *p);

#endif
