/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fast path of correction: loads the programs of dsaa_fast.bpf.c, makes the
 * VXLAN device of the tunnel, attaches the one to the other and fills the maps.
 * Edge: knows core, libbpf, libmnl and the kernel's interfaces.
 *
 * What is attached goes on without the process: filters hold the programs, the
 * programs hold the maps. The maps are pinned too, in BPFFS/dsaa/COOKIE-LAYOUT
 * (COOKIE: of the network namespace), so that the next start takes over state
 * words and counters. Only dsaa_fast_remove() and dsaa_fast_sweep() end it.
 *
 * While no connection of another site is here, nothing hangs on the interfaces,
 * so that all others cost nothing: dsaa_fast_set_foreign() closes and opens, and
 * the next dsaa_fast_apply() takes away or attaches. While there are some, a
 * filter tells most packets of others without a look-up: every connection of
 * another site has to be told by dsaa_fast_filter_add().
 *
 * Threads: main thread; dsaa_fast_set_word(), dsaa_fast_set_foreign(),
 * dsaa_fast_filter_add() and dsaa_fast_counters() may be called by any thread between load and
 * close.
 *
 * Privileges: dsaa_fast_load wants CAP_SYS_ADMIN (or CAP_BPF and CAP_PERFMON)
 * and CAP_NET_ADMIN, so it is called before a daemon gives up root; apply,
 * remove and sweep want CAP_NET_ADMIN, the rest nothing.
 */
#ifndef DSAA_FAST_H
#define DSAA_FAST_H

#include <sys/types.h>

#include "core/dsaa_flow.h"
#include "core/dsaa_owner.h"
#include "core/dsaa_reason.h"

struct dsaa_fast;

enum dsaa_fast_constants {
	DSAA_FAST_NAME_LEN = 16, /* an interface's name with its NUL */
	DSAA_FAST_PRIORITY = 3785,
	DSAA_FAST_HANDLE = 0xd5aa,
};

#define DSAA_FAST_DEVICE "dsaa-vx"
#define DSAA_FAST_BPFFS	 "/sys/fs/bpf"

struct dsaa_fast_link {
	struct dsaa_addr local; /* our sync-address; family 0: the kernel chooses */
	struct dsaa_addr remote;
	unsigned ifindex; /* of our sync-address; 0: not here */
};

struct dsaa_fast_peer {
	dsaa_site_id site;
	unsigned links; /* packets from any of them are taken */
	unsigned send;	/* the one that is used to send, < links */
	struct dsaa_fast_link link[DSAA_SITE_SYNC_ADDRESSES_MAX];
};

/* A logical interface; its number on the wire is its place in the table plus one. */
struct dsaa_fast_ifname {
	char name[DSAA_FAST_NAME_LEN];
	bool caught; /* foreign packets are caught here */
};

struct dsaa_fast_config {
	dsaa_site_id local_site;
	uint32_t mark_mask;		   /* dsaa_mark_mask_valid() */
	uint16_t tunnel_port;		   /* UDP, both ends */
	bool observe;			   /* count, touch nothing */
	bool elsewhere;			   /* tell what dsaa_fast_elsewhere_read() reads */
	char tun_name[DSAA_FAST_NAME_LEN]; /* the slow path's TAP device */

	unsigned peers;
	struct dsaa_fast_peer peer[DSAA_SITES_MAX];
	unsigned ifaces;
	struct dsaa_fast_ifname iface[DSAA_IFACES_MAX];
	unsigned prefixes; /* for which corrected packets are counted */
	struct dsaa_prefix prefix[DSAA_COUNTED_PREFIXES_MAX];
};

struct dsaa_fast_status {
	bool running;	     /* the tunnel's device is up and has its program */
	bool pinned;	     /* the next start finds the maps */
	bool attached;	     /* on the interfaces; not while no foreign connection is here */
	unsigned vx_ifindex; /* 0: no device */
	/* site-sync interfaces whose tunnel packets are taken before the stack: ifindexes, or 0 */
	unsigned straight[DSAA_SITE_SYNC_ADDRESSES_MAX];
	const char *not_straight;     /* why that is none of them; NULL: nothing forbids it */
	unsigned repaired;	      /* what somebody had removed, and this apply put back */
	bool port_in_use;	      /* why it does not run: somebody has the tunnel's port */
	bool kernel[DSAA_IFACES_MAX]; /* by place: the fast path serves it */
	char why[256];		      /* what is not as it should be; empty when all is well */
};

/*
 * Loads the programs, and takes over the maps that an earlier process pinned
 * below BPFFS (NULL: DSAA_FAST_BPFFS, mounted when it is not). The pins are
 * given to UID and GID, so that a daemon without root can remove them. Nothing
 * is attached yet, and what is attached is not touched. NULL with the reason
 * in ERR.
 */
struct dsaa_fast *dsaa_fast_load(const char *bpffs, uid_t uid, gid_t gid, char *err, size_t errlen);

/* Frees the object; what is attached stays. NULL is allowed. */
void dsaa_fast_close(struct dsaa_fast *fast);

/*
 * Makes the kernel as CONFIG says: device, filters, maps. Called again it
 * repairs what somebody removed; cheap when all is there. True when the tunnel
 * runs; single interfaces may still be missing, see STATUS.
 */
bool dsaa_fast_apply(struct dsaa_fast *fast, const struct dsaa_fast_config *config,
		     struct dsaa_fast_status *status);

/* Takes everything away: filters, qdiscs that were made for them, device, pins. May be applied
 * again. */
bool dsaa_fast_remove(struct dsaa_fast *fast, char *err, size_t errlen);

/* The same without a loaded object: for leftovers in this network namespace. */
bool dsaa_fast_sweep(const char *bpffs, char *err, size_t errlen);

/*
 * Packets of connections of ours that came from a peer that knew nothing of them. The descriptor is
 * readable when there is one to be read; -1: there will be none.
 */
int dsaa_fast_elsewhere_fd(const struct dsaa_fast *fast);
/* Hands all that there is to CB: family, protocol, and the tuple of the packet. */
void dsaa_fast_elsewhere_read(struct dsaa_fast *fast, void (*cb)(uint8_t family, uint8_t proto,
								 const struct dsaa_tuple *t));

/* The state word of a site: the programs see it with the next packet. */
void dsaa_fast_set_word(struct dsaa_fast *fast, dsaa_site_id site, enum dsaa_site_word word);
/* What the kernel has, which right after loading is what the last process told it. */
enum dsaa_site_word dsaa_fast_get_word(struct dsaa_fast *fast, dsaa_site_id site);

/*
 * Whether connections of other sites are in the kernel's table. While there are none, packets are
 * not looked up. Say true before the first is put there; it is true after loading.
 */
void dsaa_fast_set_foreign(struct dsaa_fast *fast, bool any);

/*
 * Tells of a connection of another site by one of its tuples: before it is put into the kernel's
 * table, and once more afterwards, because the filter may have been emptied in between. What the
 * filter does not know, the programs do not find (the nft table does).
 */
void dsaa_fast_filter_add(struct dsaa_fast *fast, uint8_t family, const struct dsaa_tuple *tuple);
/*
 * Empties the filter, because it knows too many that are gone; every packet is looked up until
 * dsaa_fast_filter_complete() says that all there are have been told again. Main thread.
 */
void dsaa_fast_filter_reset(struct dsaa_fast *fast);
void dsaa_fast_filter_complete(struct dsaa_fast *fast);
/* False after a reset, and after a load that found none. */
bool dsaa_fast_filter_is_complete(const struct dsaa_fast *fast);
/* How many percent of the packets of others are looked up in vain. */
unsigned dsaa_fast_filter_full(const struct dsaa_fast *fast);

/* An address of the router itself, which came or went. False when there are too many. */
bool dsaa_fast_address(struct dsaa_fast *fast, const struct dsaa_addr *addr, bool added);

struct dsaa_fast_counters {
	uint64_t packets[DSAA_REASONS_MAX]; /* by enum dsaa_reason */
	uint64_t bytes[DSAA_REASONS_MAX];   /* of IP */
	struct {
		uint64_t packets_sent, bytes_sent, packets_received, bytes_received;
		uint64_t packets_observed, bytes_observed; /* would have been sent */
	} peer[DSAA_SITES_MAX + 1];			   /* by site number */
};

/* The counters since the last clear. */
void dsaa_fast_counters(struct dsaa_fast *f, struct dsaa_fast_counters *out);
void dsaa_fast_counters_clear(struct dsaa_fast *fast);

/* What was addressed to a prefix of the configuration and sent to its owner, or would have been. */
struct dsaa_fast_prefix_counters {
	uint64_t packets, bytes, packets_observed, bytes_observed;
};

/* False when the prefix is not counted. */
bool dsaa_fast_prefix_counters(struct dsaa_fast *fast, const struct dsaa_prefix *prefix,
			       struct dsaa_fast_prefix_counters *counters);

#endif
