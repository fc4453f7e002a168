/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The correction tunnel's header: VXLAN (RFC 7348) around an Ethernet frame
 * around the packet. The VNI carries the number of the logical interface and
 * the second-chance flag; both data paths (userspace, tc-BPF) use this.
 *
 *   VNI bit 23     second chance: process only if the connection is yours
 *   VNI bits 15-0  logical interface, 1..DSAA_IFACES_MAX: the rank of the
 *                  interface's name among all names with a uips or a
 *                  "correction interface" line, sorted
 *
 * The Ethernet addresses are locally administered: 02:d5:aa:00:00:SITE. In what
 * the owner hands to its own stack, byte 4 of the source is 1 when the packet
 * came with the second-chance flag.
 */
#ifndef DSAA_ENCAP_H
#define DSAA_ENCAP_H

#include "core/dsaa_types.h"

#define DSAA_ENCAP_LEN 22 /* VXLAN 8 + Ethernet 14 */
/* what a packet grows by on a link of IPv4, or of IPv6: IP, UDP and that */
#define DSAA_OVERHEAD4	       (20 + 8 + DSAA_ENCAP_LEN)
#define DSAA_OVERHEAD6	       (40 + 8 + DSAA_ENCAP_LEN)
#define DSAA_VNI_SECOND_CHANCE 0x800000u

/* The first bytes of all these addresses. */
#define DSAA_MAC_PREFIX          \
	{                        \
		0x02, 0xd5, 0xaa \
	}

/* The byte of the source address that tells of second chance behind the tunnel. */
#define DSAA_MAC_SECOND_CHANCE 4

struct dsaa_encap {
	uint16_t iface;
	bool second_chance;
	dsaa_site_id from;
	dsaa_site_id to;
	uint8_t family; /* of the packet, 4 or 6 */
};

/* Writes the header of DSAA_ENCAP_LEN bytes. */
void dsaa_encap_encode(uint8_t buf[DSAA_ENCAP_LEN], const struct dsaa_encap *e);

/*
 * Reads it from LEN bytes of a UDP payload. Returns DSAA_R_NONE, or
 * DSAA_R_RX_MALFORMED (short, wrong flags, reserved bits, inner IP version or length that
 * does not fit the ethertype and LEN, numbers out of range); the packet begins at
 * DSAA_ENCAP_LEN and is as long as its own header says: padding may follow.
 */
unsigned dsaa_encap_decode(const uint8_t *buf, size_t len, struct dsaa_encap *e);

#endif
