/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's own data: the configuration as the operator wrote it, and the
 * entry points of its parts. All of it belongs to the main thread, except
 * where a function says otherwise.
 *
 *	struct dsaa_config -- sites[1..16] -- uips, sync addresses, pools, probe
 *	                   -- adverts, correction interfaces, prefixes
 *
 * A commit changes struct dsaa_config through the northbound callbacks and
 * calls dsaa_config_changed(); once changes have settled the whole is compared with
 * what runs (local site, addresses, routes, sessions, rules).
 */
#ifndef DSAAD_H
#define DSAAD_H

#include <zebra.h>

#include "dsaad/dsaa_compat.h"
#include "if.h"
#include "json.h"
#include "memory.h"
#include "northbound.h"
#include "prefix.h"
#include "privs.h"
#include "typesafe.h"
#include "zclient.h"

#include "core/dsaa_engine.h"
#include "core/dsaa_zone.h"

DECLARE_MGROUP(DSAAD);

extern struct event_loop *master;
extern struct zebra_privs_t dsaa_privs;
/*
 * /dev/net/tun, opened as root before privileges are dropped, since not every system lets others
 * open it; -1 when there is none. Open until the end.
 */
extern int dsaa_tun_device_fd;
/* The interface that is made of it. */
#define DSAA_TUN_NAME "dsaa0"

/*
 * dsaad --sweep: removes what a dsaad that runs no more left in this network namespace, see
 * dsaa_sweep.c. BPFFS: where its maps are pinned, NULL for the usual place. As root, before libfrr
 * starts. Returns the exit status, and says on standard error what could not be done.
 */
int dsaa_sweep(const char *bpffs);

/* ------------------------------------------------------------------ configuration */

PREDECL_DLIST(dsaa_uips_list);
PREDECL_DLIST(dsaa_advert_list);

/* One address of one interface of one site. */
struct dsaa_uips {
	struct dsaa_uips_list_item item;
	uint8_t site;
	char ifname[IFNAMSIZ];
	struct prefix address; /* host address with its mask length */
	/* state, kept by dsaa_uips.c for our own site's */
	bool installed;
	const char *reason; /* constant text: why it is not, or what it waits for */
	char error[96];	    /* the kernel's word when it refused; then reason points here */
	struct dsaa_mono deleted_since; /* the minute in which it was deleted so often by others */
	uint8_t deleted_times;
};

struct dsaa_site {
	bool configured;
	char name[DSAA_SITE_NAME_MAX];
	struct ipaddr sync_address[DSAA_SITE_SYNC_ADDRESSES_MAX];
	uint8_t sync_addresses;
	bool has_probe;
	struct ipaddr probe;
	struct prefix nat_pool[DSAA_NAT_POOLS_MAX];
	uint8_t nat_pools;
	struct dsaa_zone_names zones;
	struct dsaa_uips_list_head uips;
};

/* One prefix to announce; site 0 means all. */
struct dsaa_advert {
	struct dsaa_advert_list_item item;
	struct prefix prefix;
	char vrf[IFNAMSIZ]; /* empty: the default VRF */
	bool repeats;	    /* the list's entry before is of the same prefix */
	uint8_t site;
	/* state, kept by dsaa_advertise.c */
	enum dsaa_advertise_state state;
	const char *reason;
	uint32_t tag;	 /* as sent to zebra */
	uint32_t table;	 /* as sent to zebra, FRR 10 */
	vrf_id_t vrf_id; /* as sent to zebra */
	bool own_table;	 /* as sent to zebra: in a table of our own, not in the VRF's main table */
	bool installed;	 /* zebra was told */
	struct dsaa_mono sent_at;
	bool cleared;	     /* no route of an earlier zebra is in the way any more */
	bool leftover;	     /* one is */
	bool selected;	     /* zebra uses it (owner notification) */
	const char *refused; /* constant text: why zebra does not use it, NULL when it does */
};

enum dsaa_correction_mode {
	DSAA_CORRECTION_AUTO,
	DSAA_CORRECTION_KERNEL,
	DSAA_CORRECTION_NFQUEUE,
	DSAA_CORRECTION_OFF,
	DSAA_CORRECTION_OBSERVE,
};

struct dsaa_config {
	bool enabled; /* a dsaa block exists */
	uint32_t cluster_id;
	enum dsaa_ha_mode ha_mode;
	uint8_t primary;
	uint8_t local_site; /* override, 0 = find out */
	struct dsaa_site site[DSAA_SITES_MAX + 1];

	uint16_t sync_port;
	char key_file[256];
	bool insecure;
	uint64_t protocols[4]; /* bit per protocol */
	uint8_t delay_s[256];  /* by protocol: replicated when it lives longer */
	struct prefix no_sync[DSAA_NO_SYNC_PREFIXES_MAX];
	uint8_t no_syncs;

	char correction_iface[DSAA_IFACES_MAX][IFNAMSIZ]; /* none: all with a uips */
	uint8_t correction_ifaces;
	enum dsaa_correction_mode correction_mode;
	uint32_t mark_mask;
	uint16_t correction_hold_ms;
	uint16_t correction_port; /* 0: sync_port + 1 */

	struct dsaa_advert_list_head adverts;
	uint32_t tag_active, tag_backup, tag_drain;
	uint32_t advertise_table; /* FRR 10: the kernel table of our routes */
	struct dsaa_vrf_table {
		char vrf[IFNAMSIZ];
		uint32_t table;
	} vrf_table[DSAA_VRFS_MAX]; /* FRR 10: the same for those of a VRF */
	uint8_t vrf_tables;

	struct prefix
		track[DSAA_TRACKED_ROUTES_MAX]; /* routes without which a router cannot serve */
	uint8_t tracks;

	bool bfd;
	char bfd_profile[64];
	uint32_t hold_time_ms;
	enum dsaa_split_brain split_brain;
	enum dsaa_ruleset_mismatch ruleset_mismatch;
};

extern struct dsaa_config dsaa_conf;

DECLARE_DLIST(dsaa_uips_list, struct dsaa_uips, item);
DECLARE_DLIST(dsaa_advert_list, struct dsaa_advert, item);

/* dsaa_config.c: the model and what follows from it */
void dsaa_config_init(void);
/* Frees what the model holds; the last call of all. */
void dsaa_config_end(void);
/* Something in dsaa_conf or in the interfaces changed: reconcile once changes have settled. */
void dsaa_config_changed(void);
/*
 * The number of the local site now: the override, or the site one of whose
 * sync-addresses is on an interface, or was and no other site's is; 0 when
 * none (or the block is absent).
 */
uint8_t dsaa_local_site(void);
/* True when P is one of the site's sync-addresses, whatever its length. */
bool dsaa_config_has_sync_address(const struct dsaa_site *site, const struct prefix *p);
/* The tunnel port in force. */
uint16_t dsaa_correction_port(void);
/*
 * Logical interfaces: the sorted names that have a uips on any site or are a correction interface,
 * the same on every site with the same block. Fills NAMES, returns their number; number = index +
 * 1 on the wire.
 */
unsigned dsaa_logical_interfaces(char names[DSAA_IFACES_MAX][IFNAMSIZ]);

/* dsaa_compare.c: what the sites should have alike. */
/* A digest of the dsaa block's text, to compare between sites. */
uint64_t dsaa_config_digest(void);
/* Tells the sync thread our block, and from then on the forward policy. */
void dsaa_compare_reconcile(void);
void dsaa_compare_stop(void);
/* Why the forward policy is not known here; empty when it is. */
const char *dsaa_compare_ruleset_why(void);

/* ------------------------------------------------------------------ zebra, addresses, BFD */

extern struct zclient *dsaa_zclient;
void dsaa_zebra_init(void);
void dsaa_zebra_stop(void);
bool dsaa_zebra_connected(void);
/*
 * Compares the routers' own addresses (on interfaces, and every configured UIPS) with what the
 * sync and queue threads know, and tells them the differences; true when there were any.
 */
bool dsaa_zebra_update_addresses(void);
/*
 * Calls CB for each address of the router, some more than once: those that zebra told of, in any
 * VRF, and the kernel's, since zebra takes back those of an interface without carrier.
 */
/*
 * Whether the interfaces of this VRF are those of our own network namespace: with zebra -n a VRF
 * is a namespace of its own, with its own interface numbers and its own table of connections.
 */
bool dsaa_zebra_vrf_is_here(const struct vrf *vrf);
/* The interface of this name in any VRF that is here, as zebra tells of it; NULL: none. */
struct interface *dsaa_zebra_interface(const char *name);
/* The interface of the default VRF that carries this address; NULL: none. */
struct interface *dsaa_zebra_interface_of(const struct ipaddr *ip);
void dsaa_zebra_walk_addresses(void (*cb)(void *arg, const struct prefix *p), void *arg);
/* True when the interface carries a sync-address of the local site. */
bool dsaa_zebra_is_sync_interface(ifindex_t ifindex);

/*
 * dsaa_uips.c: installs the local site's addresses and removes what is no longer wished. Called
 * after each change of configuration, interface or address.
 */
void dsaa_uips_reconcile(void);
/* Removes all of our addresses (clean stop). */
void dsaa_uips_remove_all(void);

/* dsaa_advertise.c: tells zebra each prefix with its state. */
/* zebra has taken a VRF away, and our routes in it. */
void dsaa_advertise_vrf_gone(vrf_id_t vrf_id);
void dsaa_advertise_reconcile(void);
void dsaa_advertise_withdraw_all(void);
/* Takes one entry out of zebra (before it is freed). */
void dsaa_advertise_remove(struct dsaa_advert *a);
/* zebra's word about one of our routes. */
void dsaa_advertise_notify(const struct prefix *p, vrf_id_t vrf_id, uint32_t table,
			   enum zapi_route_notify_owner note);
/* This client is connected again: everything must be told anew through it. */
void dsaa_advertise_replay(const struct zclient *zc);
/* zebra is away, and our routes with it. */
void dsaa_advertise_lost(void);

/* dsaa_track.c: routes without which this router cannot serve; told to the sync thread. */
void dsaa_track_reconcile(void);
/* zebra is here, or here again: it must be asked anew. */
void dsaa_track_replay(void);
/* zebra's word about what we asked for: the route that leads to MATCH now. */
void dsaa_track_nexthop(const struct prefix *match, const struct zapi_route *route);
/* The state of tracked route I as a constant word: "here", "awaited", "missing", "unknown". */
const char *dsaa_track_state(unsigned i);
void dsaa_track_stop(void);

/* dsaa_bfd.c: one BFD session per peer and sync-address, through bfdd. */
void dsaa_bfd_init(void);
void dsaa_bfd_reconcile(void);
/* What BFD says of the link between the sites' sync-addresses of that index. */
enum dsaa_liveness dsaa_bfd_link(uint8_t site, unsigned link);
void dsaa_bfd_stop(void);

/* dsaa_probe.c: ICMP echo to a peer's probe address through the network. */
void dsaa_probe_init(void);
/* Probes the sites of the configuration; what is new goes to dsaa_sync_post_probe(). */
void dsaa_probe_reconcile(void);
/* Tell of SITE anew: an answer counts only when it was asked for from now on. */
void dsaa_probe_ask(uint8_t site);
void dsaa_probe_stop(void);

/* ------------------------------------------------------------------ the sync thread */

/* dsaa_sync*.c. Callable from the main thread; each takes the lock or posts to the loop. */
void dsaa_sync_start(void);
void dsaa_sync_stop(void); /* says goodbye, joins */
/* Gives the thread a fresh engine and transport configuration made from dsaa_conf. */
void dsaa_sync_configure(void);
void dsaa_sync_post_address(const struct prefix *p, bool added);
/* DSAA_LIVE_UNKNOWN: nobody tells any more; that is not "down". */
void dsaa_sync_post_bfd(uint8_t site, enum dsaa_liveness live);
void dsaa_sync_post_probe(uint8_t site, bool up);
void dsaa_sync_post_resync(uint8_t site);
void dsaa_sync_post_audit(void);
/*
 * Any thread: a packet with this tuple was seen at another site. Its connection is looked up;
 * nothing follows when it is not ours.
 */
void dsaa_sync_post_elsewhere(uint8_t family, uint8_t proto, const struct dsaa_tuple *t);
void dsaa_sync_post_drain(bool on);
/* Are all tracked routes there? */
void dsaa_sync_post_routes(bool all_there);
/* Is one of them awaited, for it has not been there since the start? */
void dsaa_sync_post_routes_awaited(bool awaited);
/* Ours, of this kind, are L from now on (copied). */
void dsaa_sync_post_lines(enum dsaa_lines_kind kind, const struct dsaa_lines *l);
void dsaa_sync_clear(void);
/* Copies for show commands. */
void dsaa_sync_view(struct dsaa_engine_view *v);
bool dsaa_sync_peer_view(uint8_t site, struct dsaa_peer_view *v);
unsigned dsaa_sync_history(struct dsaa_history *h, unsigned max);
/* dsaa_engine_lines() of the running engine. */
bool dsaa_sync_lines(uint8_t site, enum dsaa_lines_kind kind, struct dsaa_lines *l);
/* dsaa_engine_replicates() of the running engine. */
bool dsaa_sync_replicates(const struct dsaa_flow *f, unsigned *reason);
enum dsaa_advertise_state dsaa_sync_advertise(uint8_t site, const char **reason);
/* Monotonic now, and how long ago T was, for show commands. */
struct dsaa_mono dsaa_mono_now(void);

/* A line that may come again and again goes to the log once a minute. Of one thread each. */
struct dsaa_log_limit {
	struct dsaa_mono at; /* when it was last logged */
	unsigned hidden;     /* how often it was not, since */
};
/* Whether it may be logged now; *HIDDEN (or NULL): how often it was not, since it last was. */
bool dsaa_log_allowed(struct dsaa_log_limit *l, unsigned *hidden);

/* What the kernel and the conntrack edge say, for show dsaa sync. */
struct dsaa_sync_kernel {
	uint64_t events_new, events_update, events_destroy, overruns, echoes;
	uint32_t count, max;		/* nf_conntrack_count, _max */
	uint32_t buckets, event_buffer; /* nf_conntrack_buckets; bytes */
	uint64_t needed;		/* connections of all sites together, as far as is known */
	char warning[400];		/* empty, or what is set too small or wrongly */
};
void dsaa_sync_kernel_view(struct dsaa_sync_kernel *k);

/* What carries the session to a site: one connection, or several subflows of it. */
enum { DSAA_SYNC_LINKS_MAX = 8 };
struct dsaa_sync_links {
	bool multipath;
	unsigned count; /* 0: no session */
	struct dsaa_addr local[DSAA_SYNC_LINKS_MAX], remote[DSAA_SYNC_LINKS_MAX];
};
/* As it was half a second ago at most. */
void dsaa_sync_links_view(uint8_t site, struct dsaa_sync_links *l);

/* One connection for show dsaa flow and explain; from the kernel's table. */
typedef bool (*dsaa_flow_cb)(void *arg, const struct dsaa_flow *f); /* false: stop */
/*
 * The main thread waits for a walk, and with it BFD's word of a death and the announcements that
 * follow. So a walk ends after this time, whatever the size of the table.
 */
#define DSAA_FLOW_WALK_MAX_MS 200
enum dsaa_walked {
	DSAA_WALKED_ALL,
	DSAA_WALKED_STOPPED, /* by the callback */
	DSAA_WALKED_CUT,     /* the time was up: there are entries that were not looked at */
	DSAA_WALKED_ERROR,   /* the kernel refuses, and *ERR says why */
};
/* Walks entries of OWNER (0 = ours, -1 = all). */
enum dsaa_walked dsaa_flow_walk(int owner, dsaa_flow_cb cb, void *arg, const char **err);
/*
 * dsaa_rehearse.c: what would become of a site's connections if it died now, without moving
 * anything. Looks at as many connections as a walk does in its time.
 */
struct dsaa_rehearsal {
	uint64_t connections[DSAA_SITES_MAX + 1]; /* that were looked at, by owner */
	uint64_t survive[DSAA_SITES_MAX + 1];
	uint64_t lost[DSAA_SITES_MAX + 1][DSAA_REASONS_MAX];
	uint64_t looked_at;
	bool bounded; /* there are more than were looked at: none of the numbers is the whole */
};
/* False, with *ERR a sentence, when the kernel does not tell. */
bool dsaa_rehearse(struct dsaa_rehearsal *r, const char **err);

/*
 * dsaa_zones.c: the lowest site that has no zone of this name, so that connections in it are not
 * replicated; 0: all have one. Main thread.
 */
unsigned dsaa_zone_missing_at(const char name[DSAA_ZONE_NAME_MAX]);

/* Finds the entry of a packet with this tuple in either direction. */
bool dsaa_flow_find(uint8_t family, uint8_t proto, const struct dsaa_tuple *t,
		    struct dsaa_flow *out, bool *reply_direction);

/* ------------------------------------------------------------------ correction */

/*
 * dsaa_correct.c: rules, tunnel, queue thread and fast path, from dsaa_conf and the peers'
 * states.
 */
/* Loads the fast path's programs, if there are any; before privileges are dropped. */
void dsaa_correct_load(void);
/* Begins to read what the programs tell; once the event loop and the sync thread are there. */
void dsaa_correct_start(void);
void dsaa_correct_reconcile(void);
/* The same, soon. Any thread. */
void dsaa_correct_changed(void);
void dsaa_correct_stop(void); /* removes rules, tunnel and fast path */
void dsaa_correct_clear(void);
/* From the sync thread: the state word of a site, at once. */
void dsaa_correct_site_word(uint8_t site, enum dsaa_site_word word, bool on_demand);
enum dsaa_site_word dsaa_correct_get_word(uint8_t site);
/*
 * From the sync thread, before and after operations on the kernel's table: some may be connections
 * of other sites.
 */
void dsaa_correct_foreign(const struct dsaa_apply *ops, unsigned count);
/* A local address came or went. */
void dsaa_correct_address(const struct prefix *p, bool added);

struct dsaa_correct_peer {
	uint64_t packets_sent, bytes_sent, packets_received, bytes_received;
	uint64_t packets_observed, bytes_observed; /* mode "observe": would have been sent */
	uint64_t packets_sent_kernel;		   /* of those sent: by the fast path */
};
/* What was addressed to a prefix of "advertise" and carried from here to its owner, or would be. */
struct dsaa_correct_prefix {
	uint64_t packets, bytes, packets_observed, bytes_observed;
};
void dsaa_correct_prefix_view(const struct prefix *p, struct dsaa_correct_prefix *v);

/* How fast something grows: over the last seconds, and the fastest since the last clear. */
struct dsaa_rate {
	uint64_t packets_s, bits_s;
	uint64_t peak_packets_s, peak_bits_s;
	struct dsaa_mono peak_at; /* of the bits */
};
/* What is sent to a peer, or would be; what is received from it. */
void dsaa_correct_peer_rate(uint8_t site, struct dsaa_rate *sent, struct dsaa_rate *received);
/* What is sent of a prefix, or would be. */
void dsaa_correct_prefix_rate(const struct prefix *p, struct dsaa_rate *sent);
void dsaa_correct_peer_view(uint8_t site, struct dsaa_correct_peer *v);
/* Packets by enum dsaa_reason. */
void dsaa_correct_reasons(uint64_t packets[DSAA_REASONS_MAX]);
/* The queue into which the operator's rules put what they would drop. */
unsigned dsaa_correct_policy_queue(void);
/* Over how many queues, each with its thread, a site's packets are spread; 0: correction is off. */
unsigned dsaa_correct_queues(void);
/* Packets that wait for their state now ("correction hold"), and that found no room to wait. */
void dsaa_correct_hold_view(uint64_t *waiting, uint64_t *no_room);
/* Why no packet is corrected, or NULL when those of correction interfaces are. */
const char *dsaa_correct_not_running(void);
/* The address is the router's own, or another site's UIPS: packets for it are never corrected. */
bool dsaa_correct_is_router(uint8_t family, const uint8_t bytes[16]);
/* The data path of an interface: "kernel", "nfqueue" or "off", and why. */
const char *dsaa_correct_data_path(const char *ifname, char *why, size_t whylen);

/*
 * By which link corrected packets go to SITE, "LOCAL-REMOTE"; empty while by none.
 * dsaa_correct_link.c, main thread, as what follows.
 */
const char *dsaa_correct_sends_by(uint8_t site);
/* The interfaces of our sync-addresses, each once; how many. */
struct dsaa_correct_link {
	char name[IFNAMSIZ];
	ifindex_t ifindex;
	bool ipv4, ipv6; /* families of the sync-addresses there */
};
unsigned dsaa_correct_links(struct dsaa_correct_link links[DSAA_SITE_SYNC_ADDRESSES_MAX]);
/* What takes tunnel packets there: "link", "device", "socket" or "off", and why (constant text). */
const char *dsaa_correct_link_path(const struct dsaa_correct_link *l, const char **why);

/* ------------------------------------------------------------------ northbound, CLI, show */

extern const struct frr_yang_module_info frr_dsaad_info;
void dsaa_cli_init(void);
void dsaa_vty_init(void);

/* debug dsaa ... */
enum dsaa_debug {
	DSAA_DEBUG_SYNC = 1 << 0,
	DSAA_DEBUG_CONNTRACK = 1 << 1,
	DSAA_DEBUG_CORRECTION = 1 << 2,
	DSAA_DEBUG_ROUTING = 1 << 3,
	DSAA_DEBUG_CONFIG = 1 << 4,
	DSAA_DEBUG_ALL = (1 << 5) - 1,
};
extern _Atomic uint32_t dsaa_debug_flags;
#define DSAA_DEBUG(what) (atomic_load_explicit(&dsaa_debug_flags, memory_order_relaxed) & (what))

/* Conversions between libfrr's and core's addresses. */
void dsaa_addr_from_prefix(struct dsaa_addr *a, const struct prefix *p);
void dsaa_addr_from_ipaddr(struct dsaa_addr *a, const struct ipaddr *ip);
void dsaa_prefix_from_prefix(struct dsaa_prefix *d, const struct prefix *p);
/* An address of core's (FAMILY 4 or 6) as text, in BUF, which is returned. */
const char *dsaa_addr_text(uint8_t family, const uint8_t *bytes, char buf[INET6_ADDRSTRLEN]);

#endif
