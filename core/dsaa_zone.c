/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/dsaa_zone.h"

#include <string.h>

/* ------------------------------------------------------------------ making the map */

/* The number that NAMES give NAME, or 0. */
static uint16_t number_of(const struct dsaa_zone_names *names, const char *name)
{
	for (unsigned i = 0; i < names->count; i++)
		if (!memcmp(names->zone[i].name, name, DSAA_ZONE_NAME_MAX))
			return names->zone[i].number;
	return 0;
}

unsigned dsaa_zone_unnamed_at(const struct dsaa_zone_names *const site[DSAA_SITES_MAX + 1],
			      const char *name)
{
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		if (site[s] && !number_of(site[s], name))
			return s;
	return 0;
}

static bool is_taken(const struct dsaa_zone_map *m, uint16_t number)
{
	unsigned from = 0, to = m->taken;

	while (from < to) {
		unsigned middle = (from + to) / 2;

		if (m->number[middle] == number)
			return true;
		if (m->number[middle] < number)
			from = middle + 1;
		else
			to = middle;
	}
	return false;
}

static void take(struct dsaa_zone_map *m, uint16_t number)
{
	unsigned at = m->taken;

	if (is_taken(m, number))
		return;
	for (; at && m->number[at - 1] > number; at--)
		m->number[at] = m->number[at - 1];
	m->number[at] = number;
	m->taken++;
}

void dsaa_zone_map_make(struct dsaa_zone_map *m,
			const struct dsaa_zone_names *const site[DSAA_SITES_MAX + 1],
			unsigned local)
{
	unsigned first = 0;

	memset(m, 0, sizeof(*m));
	for (unsigned s = DSAA_SITES_MAX; s; s--) {
		if (!site[s])
			continue;
		first = s;
		for (unsigned i = 0; i < site[s]->count; i++)
			take(m, site[s]->zone[i].number);
	}
	for (unsigned i = 0; site[local] && i < site[local]->count; i++) {
		const char *name = site[local]->zone[i].name;

		if (dsaa_zone_unnamed_at(site, name))
			continue;
		m->zone[m->count].here = site[local]->zone[i].number;
		m->zone[m->count++].told = number_of(site[first], name);
	}
}

/* ------------------------------------------------------------------ translating */

typedef bool translate(const struct dsaa_zone_map *m, uint16_t *zone);

static bool told(const struct dsaa_zone_map *m, uint16_t *zone)
{
	for (unsigned i = 0; i < m->count; i++) {
		if (m->zone[i].here == *zone) {
			*zone = m->zone[i].told;
			return true;
		}
	}
	return !is_taken(m, *zone);
}

static bool here(const struct dsaa_zone_map *m, uint16_t *zone)
{
	for (unsigned i = 0; i < m->count; i++) {
		if (m->zone[i].told == *zone) {
			*zone = m->zone[i].here;
			return true;
		}
	}
	return !is_taken(m, *zone);
}

static bool translate_flow(const struct dsaa_zone_map *m, struct dsaa_flow *f, translate *t)
{
	uint16_t zone = f->zone, reply = f->reply_zone;

	/* zone 0 has no name, and is where nearly all connections are */
	if ((zone && !t(m, &zone)) || (reply && !t(m, &reply)))
		return false;
	f->zone = zone;
	f->reply_zone = reply;
	return true;
}

bool dsaa_zone_flow_told(const struct dsaa_zone_map *m, struct dsaa_flow *f)
{
	return translate_flow(m, f, told);
}

bool dsaa_zone_flow_here(const struct dsaa_zone_map *m, struct dsaa_flow *f)
{
	return translate_flow(m, f, here);
}

bool dsaa_zone_expect_told(const struct dsaa_zone_map *m, struct dsaa_expect *x)
{
	return !x->zone || told(m, &x->zone);
}

bool dsaa_zone_expect_here(const struct dsaa_zone_map *m, struct dsaa_expect *x)
{
	return !x->zone || here(m, &x->zone);
}
