/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Conntrack zones by name: a zone, that of a VRF for instance, may have another
 * number on each router. A name that all sites have travels under the number
 * that the site with the lowest number gives it; zones without a name travel
 * under their own.
 */
#ifndef DSAA_ZONE_H
#define DSAA_ZONE_H

#include "core/dsaa_expect.h"
#include "core/dsaa_flow.h"

/* The zones that one site names. */
struct dsaa_zone_names {
	unsigned count;
	struct {
		char name[DSAA_ZONE_NAME_MAX]; /* padded with NULs */
		uint16_t number; /* on that site's router; not 0, and of one name only */
	} zone[DSAA_ZONES_MAX];
};

/* What one site makes of them. */
struct dsaa_zone_map {
	unsigned count;
	struct {
		uint16_t here, told;
	} zone[DSAA_ZONES_MAX];
	/*
	 * Numbers that a name has on some site, in order: what is not above does not travel under
	 * one of them, for it would be taken for another zone.
	 */
	unsigned taken;
	uint16_t number[DSAA_SITES_MAX * DSAA_ZONES_MAX];
};

/*
 * Fills M for site LOCAL. SITE has the names of each site by its number, NULL: there is no such
 * site. Zeroed first, padding and all, so that two maps can be compared.
 */
void dsaa_zone_map_make(struct dsaa_zone_map *m,
			const struct dsaa_zone_names *const site[DSAA_SITES_MAX + 1],
			unsigned local);
/* The lowest site of SITE that does not have the name, or 0: all have it. */
unsigned dsaa_zone_unnamed_at(const struct dsaa_zone_names *const site[DSAA_SITES_MAX + 1],
			      const char *name);

/*
 * From this router's numbers to those that travel. False: F's zone does not travel; F is then as it
 * was.
 */
bool dsaa_zone_flow_told(const struct dsaa_zone_map *m, struct dsaa_flow *f);
/* The other way round. False: the zone does not exist here. */
bool dsaa_zone_flow_here(const struct dsaa_zone_map *m, struct dsaa_flow *f);
/* The same for expectations. */
bool dsaa_zone_expect_told(const struct dsaa_zone_map *m, struct dsaa_expect *x);
bool dsaa_zone_expect_here(const struct dsaa_zone_map *m, struct dsaa_expect *x);

#endif
