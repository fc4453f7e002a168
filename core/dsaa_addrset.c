/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The router's own addresses: open addressing with linear probing, at most
 * half full, no tombstones (a deletion moves what follows up). Not locked:
 * the owner copies the set for other threads.
 */
#include <string.h>

#include "core/dsaa_addrset.h"

enum { SLOTS = 2 * DSAA_LOCAL_ADDRESSES_MAX };
_Static_assert((SLOTS & (SLOTS - 1)) == 0, "slots are a power of two");

void dsaa_addrset_init(struct dsaa_addrset *s)
{
	memset(s, 0, sizeof(*s));
}

/* ADDR with nothing behind an IPv4 address; false when it is no address. */
static bool normalise(struct dsaa_addr *out, uint8_t family, const uint8_t bytes[16])
{
	if (family != 4 && family != 6)
		return false;
	memset(out, 0, sizeof(*out));
	out->family = family;
	memcpy(out->bytes, bytes, family == 4 ? 4 : 16);
	return true;
}

/*
 * By multiplication (Knuth, TAOCP 3, 6.4): the operator chooses these addresses, no stranger. Asked
 * for twice with each connection, so by words and not by bytes.
 */
static uint32_t home_of(const struct dsaa_addr *a)
{
	uint64_t high, low;

	memcpy(&high, a->bytes, sizeof(high));
	memcpy(&low, a->bytes + sizeof(high), sizeof(low));
	high = (high ^ a->family) * UINT64_C(0x9e3779b97f4a7c15);
	low = (low ^ high >> 32) * UINT64_C(0xc2b2ae3d27d4eb4f);
	return (uint32_t)((high ^ low) >> 40) & (SLOTS - 1);
}

/* The slot that holds A, or the empty one where it belongs. */
static uint32_t slot_of(const struct dsaa_addrset *s, const struct dsaa_addr *a)
{
	uint32_t at = home_of(a);

	while (s->slots[at].addr.family != 0 && !dsaa_addr_equal(&s->slots[at].addr, a))
		at = (at + 1) & (SLOTS - 1);
	return at;
}

bool dsaa_addrset_add(struct dsaa_addrset *s, const struct dsaa_addr *addr)
{
	struct dsaa_addr a;
	uint32_t at;

	if (!normalise(&a, addr->family, addr->bytes))
		return false;
	at = slot_of(s, &a);
	if (s->slots[at].addr.family == 0) {
		if (s->used == DSAA_LOCAL_ADDRESSES_MAX)
			return false;
		s->slots[at].addr = a;
		s->slots[at].count = 0;
		s->used++;
	}
	if (s->slots[at].count == UINT32_MAX)
		return false;
	s->slots[at].count++;
	return true;
}

/* Empties slot HOLE and moves up those behind it that may not stand behind a gap. */
static void remove_slot(struct dsaa_addrset *s, uint32_t hole)
{
	uint32_t at = hole;

	for (;;) {
		uint32_t home;

		at = (at + 1) & (SLOTS - 1);
		if (s->slots[at].addr.family == 0)
			break;
		home = home_of(&s->slots[at].addr);
		/* stays if its home lies after the hole, up to itself */
		if (((at - home) & (SLOTS - 1)) < ((at - hole) & (SLOTS - 1)))
			continue;
		s->slots[hole] = s->slots[at];
		hole = at;
	}
	memset(&s->slots[hole], 0, sizeof(s->slots[hole]));
	s->used--;
}

bool dsaa_addrset_del(struct dsaa_addrset *s, const struct dsaa_addr *addr)
{
	struct dsaa_addr a;
	uint32_t at;

	if (!normalise(&a, addr->family, addr->bytes))
		return false;
	at = slot_of(s, &a);
	if (s->slots[at].addr.family == 0)
		return false;
	if (--s->slots[at].count == 0)
		remove_slot(s, at);
	return true;
}

bool dsaa_addrset_has(const struct dsaa_addrset *s, uint8_t family, const uint8_t bytes[16])
{
	struct dsaa_addr a;

	if (!normalise(&a, family, bytes))
		return false;
	return s->slots[slot_of(s, &a)].addr.family != 0;
}

static bool special4(const uint8_t *b)
{
	static const uint8_t broadcast[4] = { 255, 255, 255, 255 };

	return b[0] == 0 || b[0] == 127 || (b[0] == 169 && b[1] == 254) || (b[0] & 0xf0) == 224 ||
	       memcmp(b, broadcast, sizeof(broadcast)) == 0;
}

static bool special6(const uint8_t *b)
{
	static const uint8_t zero[15];

	if (b[0] == 0xff || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80))
		return true;
	return memcmp(b, zero, sizeof(zero)) == 0 && b[15] <= 1;
}

bool dsaa_addr_is_special(uint8_t family, const uint8_t bytes[16])
{
	if (family == 4)
		return special4(bytes);
	return family == 6 && special6(bytes);
}
