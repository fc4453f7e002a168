/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The router's own addresses (any VRF), counted because one address may be on
 * several interfaces. Fixed memory; what does not fit is refused.
 */
#ifndef DSAA_ADDRSET_H
#define DSAA_ADDRSET_H

#include "core/dsaa_types.h"

struct dsaa_addrset {
	struct {
		struct dsaa_addr addr; /* family 0: empty */
		uint32_t count;
	} slots[2 * DSAA_LOCAL_ADDRESSES_MAX];
	uint32_t used;
};

void dsaa_addrset_init(struct dsaa_addrset *s);
/* Adds one use of ADDR; false when the set is full. */
bool dsaa_addrset_add(struct dsaa_addrset *s, const struct dsaa_addr *addr);
/* Takes one use away; false when it was not there. */
bool dsaa_addrset_del(struct dsaa_addrset *s, const struct dsaa_addr *addr);
/* True when the address of FAMILY (4, 6) in BYTES (16, see dsaa_addr) is in the set. */
bool dsaa_addrset_has(const struct dsaa_addrset *s, uint8_t family, const uint8_t bytes[16]);
/*
 * True when the address can only be the router's own business: unspecified,
 * loopback, link-local, multicast, limited broadcast (RFC 6890, RFC 4291).
 */
bool dsaa_addr_is_special(uint8_t family, const uint8_t bytes[16]);

#endif
