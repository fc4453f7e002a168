/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Comparing addresses and prefixes. Pure; any thread.
 */
#include <string.h>

#include "core/dsaa_types.h"

/* Bytes that an address of FAMILY has; 0 for no family. */
static size_t addr_len(uint8_t family)
{
	if (family == 4)
		return 4;
	return family == 6 ? 16 : 0;
}

bool dsaa_addr_equal(const struct dsaa_addr *a, const struct dsaa_addr *b)
{
	if (a->family != b->family)
		return false;
	return memcmp(a->bytes, b->bytes, addr_len(a->family)) == 0;
}

bool dsaa_prefix_covers(const struct dsaa_prefix *p, uint8_t family, const uint8_t bytes[16])
{
	unsigned whole = p->len / 8, bits = p->len % 8;
	uint8_t mask;

	if (p->addr.family != family || addr_len(family) == 0 || p->len > addr_len(family) * 8)
		return false;
	if (memcmp(p->addr.bytes, bytes, whole) != 0)
		return false;
	if (bits == 0)
		return true;
	mask = (uint8_t)(0xff << (8 - bits));
	return ((p->addr.bytes[whole] ^ bytes[whole]) & mask) == 0;
}
