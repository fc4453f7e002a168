/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dsaad/dsaad.h"

#include "log.h"

#include "dsaad/dsaa_correct.h"
#include "dsaad/dsaa_zones.h"

/* ------------------------------------------------------------------ main thread */

static void sites_of(const struct dsaa_zone_names *site[DSAA_SITES_MAX + 1])
{
	for (unsigned s = 0; s <= DSAA_SITES_MAX; s++)
		site[s] = dsaa_conf.site[s].configured ? &dsaa_conf.site[s].zones : NULL;
}

unsigned dsaa_zone_missing_at(const char name[DSAA_ZONE_NAME_MAX])
{
	const struct dsaa_zone_names *site[DSAA_SITES_MAX + 1];

	sites_of(site);
	return dsaa_zone_unnamed_at(site, name);
}

/* Zones that do not travel, since the last time: the operator may be half way through his lines. */
static void say_missing(const struct dsaa_zone_names *names)
{
	static struct dsaa_zone_names said;
	struct dsaa_zone_names now = { 0 };

	for (unsigned i = 0; i < names->count; i++) {
		const char *name = names->zone[i].name;
		unsigned missing = dsaa_zone_missing_at(name), k = 0;

		if (!missing)
			continue;
		memcpy(&now.zone[now.count++], &names->zone[i], sizeof(now.zone[0]));
		while (k < said.count && strcmp(said.zone[k].name, name))
			k++;
		if (k == said.count)
			zlog_info("connections in the zone %s are not replicated while site %u has "
				  "no zone of that name",
				  name, missing);
	}
	said = now;
}

void dsaa_zones_read(struct dsaa_zone_map *m)
{
	const struct dsaa_zone_names *site[DSAA_SITES_MAX + 1];
	unsigned local = dsaa_local_site();

	sites_of(site);
	dsaa_zone_map_make(m, site, local);
	if (local)
		say_missing(&dsaa_conf.site[local].zones);
}

/* ------------------------------------------------------------------ towards the engine */

static struct dsaa_zone_map map;

bool dsaa_zones_configure(const struct dsaa_zone_map *m)
{
	/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): zeroed with its padding */
	if (!memcmp(&map, m, sizeof(map)))
		return false;
	memcpy(&map, m, sizeof(map));
	return true;
}

const struct dsaa_flow *dsaa_zones_told(const struct dsaa_flow *f, struct dsaa_flow *copy)
{
	if (!f->zone && !f->reply_zone)
		return f;
	*copy = *f;
	return dsaa_zone_flow_told(&map, copy) ? copy : NULL;
}

const struct dsaa_expect *dsaa_zones_expect_told(const struct dsaa_expect *x,
						 struct dsaa_expect *copy)
{
	if (!x->zone)
		return x;
	*copy = *x;
	return dsaa_zone_expect_told(&map, copy) ? copy : NULL;
}

/* ------------------------------------------------------------------ towards the kernel */

/* COUNT operations whose zones are here. */
static void carry_out(struct dsaa_ct *ct, struct dsaa_apply *ops, unsigned count)
{
	if (!count)
		return;
	dsaa_correct_foreign(ops, count);
	dsaa_ct_apply(ct, ops, count);
	dsaa_correct_foreign(ops, count);
	for (unsigned i = 0; i < count; i++) {
		/* all have come from a number that travels, and have one */
		(void)dsaa_zone_flow_told(&map, &ops[i].flow);
		(void)dsaa_zone_flow_told(&map, &ops[i].existing);
	}
}

static bool make_here(struct dsaa_apply *op)
{
	if (!dsaa_zone_flow_here(&map, &op->flow))
		return false;
	/* what it met, if it has met anything yet, has been here */
	(void)dsaa_zone_flow_here(&map, &op->existing);
	return true;
}

void dsaa_zones_apply(struct dsaa_ct *ct, struct dsaa_apply *ops, unsigned count)
{
	unsigned from = 0;

	for (unsigned i = 0; i < count; i++) {
		if (make_here(&ops[i]))
			continue;
		carry_out(ct, ops + from, i - from);
		ops[i].result = DSAA_APPLIED_NOWHERE;
		from = i + 1;
	}
	carry_out(ct, ops + from, count - from);
}

void dsaa_zones_expect_apply(struct dsaa_ct *ct, struct dsaa_expect_op *ops, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		ops[i].error = EINVAL;
		if (!dsaa_zone_expect_here(&map, &ops[i].x))
			continue;
		dsaa_ct_expect_apply(ct, &ops[i], 1);
		(void)dsaa_zone_expect_told(&map, &ops[i].x);
	}
}

void dsaa_zones_strand(struct dsaa_ct *ct, const struct dsaa_flow *f)
{
	struct dsaa_apply op = { .kind = DSAA_APPLY_DELETE, .flow = *f, .existing = *f };

	dsaa_ct_apply(ct, &op, 1);
}
