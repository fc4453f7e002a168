/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Zones by name: what one site tells, the others put where that name is there, or nowhere. */
#include "core/dsaa_zone.h"
#include "tests/unit/test.h"

static struct dsaa_zone_names names[DSAA_SITES_MAX + 1];
static const struct dsaa_zone_names *site[DSAA_SITES_MAX + 1];
static struct dsaa_zone_map map[DSAA_SITES_MAX + 1];

static void forget(void)
{
	memset(names, 0, sizeof(names));
	memset(site, 0, sizeof(site));
}

static void name_it(unsigned s, const char *name, uint16_t number)
{
	struct dsaa_zone_names *n = &names[s];

	site[s] = n;
	snprintf(n->zone[n->count].name, DSAA_ZONE_NAME_MAX, "%s", name);
	n->zone[n->count++].number = number;
}

static void make(void)
{
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		dsaa_zone_map_make(&map[s], site, s);
}

/* Where an entry of zone A of site FROM is at site TO; -1: not told, -2: refused. */
static int at(unsigned from, uint16_t a, unsigned to)
{
	struct dsaa_flow f = { .zone = a };

	if (!dsaa_zone_flow_told(&map[from], &f)) {
		CHECK(f.zone == a);
		return -1;
	}
	return dsaa_zone_flow_here(&map[to], &f) ? f.zone : -2;
}

static void test_no_names(void)
{
	forget();
	site[1] = &names[1];
	site[2] = &names[2];
	make();
	CHECK(at(1, 0, 2) == 0 && at(1, 7, 2) == 7 && at(2, 65535, 1) == 65535);
}

static void test_other_numbers(void)
{
	forget();
	name_it(1, "red", 10);
	name_it(1, "blue", 20);
	name_it(2, "blue", 10);
	name_it(2, "red", 30);
	make();
	CHECK(at(1, 10, 2) == 30 && at(2, 30, 1) == 10);
	CHECK(at(1, 20, 2) == 10 && at(2, 10, 1) == 20);
	CHECK(at(1, 0, 2) == 0 && at(1, 5, 2) == 5);
	/* a number without a name here that has one elsewhere: nobody may take it for that */
	CHECK(at(1, 30, 2) == -1 && at(2, 20, 1) == -1);
	CHECK(!dsaa_zone_unnamed_at(site, names[1].zone[0].name));
}

static void test_not_everywhere(void)
{
	forget();
	name_it(1, "red", 10);
	name_it(2, "red", 20);
	name_it(2, "green", 30);
	name_it(3, "red", 10);
	name_it(3, "green", 31);
	make();
	CHECK(at(1, 10, 2) == 20 && at(2, 20, 3) == 10 && at(3, 10, 1) == 10);
	CHECK(at(2, 30, 3) == -1 && at(3, 31, 2) == -1 && at(1, 30, 2) == -1);
	CHECK(dsaa_zone_unnamed_at(site, names[2].zone[1].name) == 1);
}

/* The peer's block has other lines than ours. */
static void test_blocks_differ(void)
{
	struct dsaa_flow f = { .zone = 20 };
	struct dsaa_expect x = { .zone = 20 };

	forget();
	name_it(1, "red", 10);
	name_it(2, "red", 20);
	make();
	/* site 2 has no such lines yet, and tells its 20 as 20 */
	CHECK(!dsaa_zone_flow_here(&map[1], &f) && f.zone == 20);
	CHECK(!dsaa_zone_expect_here(&map[1], &x) && x.zone == 20);
}

static void test_directions(void)
{
	struct dsaa_flow f = { .reply_zone = 10, .has = DSAA_HAS_REPLY_ZONE };
	struct dsaa_expect x = { .zone = 10 };

	forget();
	name_it(1, "red", 10);
	name_it(2, "red", 20);
	make();
	CHECK(dsaa_zone_flow_told(&map[1], &f) && dsaa_zone_flow_here(&map[2], &f));
	CHECK(f.zone == 0 && f.reply_zone == 20);
	CHECK(dsaa_zone_expect_told(&map[1], &x) && dsaa_zone_expect_here(&map[2], &x));
	CHECK(x.zone == 20);
	f.reply_zone = 10; /* has no name at site 2, and one at site 1 */
	CHECK(!dsaa_zone_flow_told(&map[2], &f) && f.zone == 0 && f.reply_zone == 10);
}

/* Whatever the names: what is told arrives in the zone of that name, and comes back as it was. */
static void test_all_of_them(void)
{
	for (unsigned round = 0; round < 300; round++) {
		char name[8];

		forget();
		for (unsigned s = 1; s <= 3; s++) {
			site[s] = &names[s];
			for (unsigned n = 0; n < DSAA_ZONES_MAX; n++) {
				snprintf(name, sizeof(name), "z%u", n);
				if (test_random() % 16)
					name_it(s, name, 1 + (n * 7 + s * (round % 9)) % 97);
			}
		}
		make();
		for (uint16_t zone = 0; zone < 120; zone++) {
			int there = at(1, zone, 2);

			CHECK(there != -2);
			CHECK(there < 0 || at(2, (uint16_t)there, 1) == zone);
			CHECK(there < 0 || at(1, zone, 3) == at(2, (uint16_t)there, 3));
		}
	}
}

int main(void)
{
	test_no_names();
	test_other_numbers();
	test_not_everywhere();
	test_blocks_differ();
	test_directions();
	test_all_of_them();
	return TEST_END();
}
