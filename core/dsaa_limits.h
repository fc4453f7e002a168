/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every limit of dsaad, in one place. Each is enforced where the named thing
 * is created or parsed; what goes past a limit is refused and counted.
 */
#ifndef DSAA_LIMITS_H
#define DSAA_LIMITS_H

enum dsaa_limits {
	/* sites, numbered 1..DSAA_SITES_MAX; number 0 means "ours" in a mark */
	DSAA_SITES_MAX = 16,
	DSAA_SITE_NAME_MAX = 32, /* bytes with the final NUL */
	DSAA_SITE_SYNC_ADDRESSES_MAX = 4,
	DSAA_LOCAL_ADDRESSES_MAX = 4096,
	DSAA_NO_SYNC_PREFIXES_MAX = 64,
	DSAA_TRACKED_ROUTES_MAX = 16,
	DSAA_NAT_POOLS_MAX = 64,
	DSAA_VRFS_MAX = 64,
	DSAA_ZONES_MAX = 64,	 /* that a site has names for */
	DSAA_ZONE_NAME_MAX = 16, /* bytes with the final NUL: as long as a VRF's */
	DSAA_IFACES_MAX = 64,	 /* logical interfaces, see dsaa_encap.h */

	/* sync protocol, see doc/protocol */
	DSAA_MSG_HEADER_LEN = 8,
	DSAA_MSG_BODY_MAX = 65000,
	DSAA_MSG_MAX = DSAA_MSG_HEADER_LEN + DSAA_MSG_BODY_MAX,
	DSAA_FLOWS_PER_MSG_MAX = 128,
	DSAA_HASHES_PER_MSG_MAX = 8000,
	DSAA_STATES_PER_MSG_MAX = 5000,
	DSAA_RECORD_LEN_MAX = 480, /* one encoded flow record */
	DSAA_LINES_MAX = 16000,	   /* bytes of the lines that sites compare, of one kind */

	/* expectations of helpers, ours and the peers' together; changes of them in one step */
	DSAA_EXPECTS_MAX = 1024,
	DSAA_EXPECTS_PER_MSG_MAX = 64,
	DSAA_EXPECT_OPS_MAX = DSAA_EXPECTS_MAX + DSAA_EXPECTS_PER_MSG_MAX,

	/* compacted log of changed connections */
	DSAA_LOG_ENTRIES_DEFAULT = 1 << 16,
	/* connections that 'sync delay' holds back, and the longest delay in seconds */
	DSAA_DELAY_ENTRIES = 1 << 16,
	DSAA_DELAY_SLOTS = 256,
	DSAA_DELAY_MAX_S = 60,
	/* key hashes remembered while a bulk is received (power of two) */
	DSAA_SEEN_ENTRIES_DEFAULT = 1 << 21,

	/* correction */
	DSAA_PACKET_MAX = 65535,
	DSAA_VNI_MAX = 0xffffff,
	DSAA_COUNTED_PREFIXES_MAX =
		256,		      /* of "advertise", for which corrected packets are counted */
	DSAA_IP6_EXTENSIONS_MAX = 16, /* extension headers of a packet that are stepped over */
};

#endif
