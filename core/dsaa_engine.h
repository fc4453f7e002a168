/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine: everything that dsaad decides, as one pure state machine.
 *
 *	step(now, event) -> actions
 *
 * Events carry what the edges saw; actions carry what they shall do. Every
 * action that can fail reports its result as an event. The engine reads no
 * clock, does no I/O and allocates nothing: the same events give the same
 * actions, so it can be tested, fuzzed and simulated.
 *
 * Use: dsaa_engine_init() in memory of the caller; then for each event
 * dsaa_engine_step(), and dsaa_engine_next_action() until it returns false.
 * An action's pointers are valid until the next step. One thread at a time.
 */
#ifndef DSAA_ENGINE_H
#define DSAA_ENGINE_H

#include "core/dsaa_addrset.h"
#include "core/dsaa_flow.h"
#include "core/dsaa_lines.h"
#include "core/dsaa_owner.h"
#include "core/dsaa_reason.h"
#include "core/dsaa_wire.h"

/* ------------------------------------------------------------------ configuration */

struct dsaa_site_config {
	bool configured;
	char name[DSAA_SITE_NAME_MAX];
	struct dsaa_addr sync_address[DSAA_SITE_SYNC_ADDRESSES_MAX];
	uint8_t sync_addresses;
	bool has_probe;
	bool has_bfd;
};

enum dsaa_ha_mode { DSAA_HA_ACTIVE_ACTIVE, DSAA_HA_PRIMARY_UP };
enum dsaa_split_brain { DSAA_SPLIT_ADOPT_ON_DEMAND, DSAA_SPLIT_DROP, DSAA_SPLIT_PRIMARY };
enum dsaa_ruleset_mismatch { DSAA_RULESET_WARN, DSAA_RULESET_REFUSE_ADOPTION };

struct dsaa_engine_config {
	uint32_t cluster_id;
	dsaa_site_id local;   /* 0: nothing runs, for this reason: */
	unsigned idle_reason; /* enum dsaa_reason; NONE: no sync-address is here */
	enum dsaa_ha_mode ha_mode;
	dsaa_site_id primary;
	enum dsaa_split_brain split_brain;
	enum dsaa_ruleset_mismatch ruleset_mismatch;
	bool can_connect;	/* false: no usable key and not insecure */
	unsigned cannot_reason; /* enum dsaa_reason shown then */
	uint32_t mark_mask;
	uint32_t hold_time_ms;	    /* default 3000 */
	uint32_t audit_interval_ms; /* 0: no audit */
	uint32_t start_timer_ms; /* how long state may stay incomplete for lack of peers, 15000 */
	uint64_t config_digest;
	uint64_t protocols[4]; /* bit per IP protocol number that is replicated */
	uint8_t delay_s[256];  /* by IP protocol: told only when it lives longer, seconds */
	struct dsaa_prefix no_sync[DSAA_NO_SYNC_PREFIXES_MAX];
	uint16_t no_syncs;
	struct dsaa_site_config site[DSAA_SITES_MAX + 1]; /* index = site number */
};

/* ------------------------------------------------------------------ events */

enum dsaa_event_type {
	DSAA_EV_CONFIG,	      /* config: the whole new configuration (copied) */
	DSAA_EV_TICK,	      /* at least every 50 ms */
	DSAA_EV_CONNECTED,    /* site: authenticated transport is up (either direction) */
	DSAA_EV_DISCONNECTED, /* site, reason */
	DSAA_EV_ATTEMPT,      /* site, reason: an inbound attempt was refused; not authenticated, so
				 it explains why there is no session, and never ends one */
	DSAA_EV_RECEIVED,     /* site, data/len: bytes waiting; consumed is set to what was used.
				 Step again with the rest until consumed is 0. */
	DSAA_EV_ROOM,	      /* site, room: bytes that the transport's buffer takes now */
	DSAA_EV_FLOW,	      /* flow, op: UPSERT (new, changed) or DELETE from this kernel */
	DSAA_EV_ELSEWHERE,    /* flow of ours: a packet of it was seen at another site */
	DSAA_EV_OVERRUN,      /* conntrack events were lost */
	DSAA_EV_DUMP_FLOW,    /* flow: of the running dump */
	DSAA_EV_DUMP_DONE,    /* ok: false when it must be repeated */
	DSAA_EV_APPLIED,      /* ops/count: the array of the APPLY action with results filled in */
	DSAA_EV_ADDRESS,      /* address, added: a local address came or went */
	DSAA_EV_BFD,	      /* site, up */
	DSAA_EV_BFD_GONE,     /* site: nobody tells about BFD any more; that is not "down" */
	DSAA_EV_PROBE,	/* site, up: answer seen, or declared silent by the edge; at any time */
	DSAA_EV_RESYNC, /* site (0 = all): operator's command */
	DSAA_EV_AUDIT,	/* audit now */
	DSAA_EV_DRAIN,	/* up: drain on, else off */
	DSAA_EV_ROUTES, /* up: this router has all tracked routes, else it cannot serve */
	/* up: one has not come yet since the start, so nothing is announced yet; else none is */
	DSAA_EV_ROUTES_AWAITED,
	DSAA_EV_EXPECT,	  /* op, expect: UPSERT or DELETE in this kernel; flow: its master as it is
				 now, of an UPSERT */
	DSAA_EV_EXPECTED, /* the operations of the EXPECT action are done */
	DSAA_EV_LINES,	  /* op: enum dsaa_lines_kind, lines (copied): ours, as they are now */
	DSAA_EV_TIMEOUTS, /* timeouts (copied): what this kernel gives adopted connections */
	DSAA_EV_STOP,	  /* daemon stops: say goodbye */
};

/* What shall be done with one entry of the kernel's table, and what came of it. */
enum dsaa_apply_kind {
	DSAA_APPLY_CREATE,  /* must not exist */
	DSAA_APPLY_UPDATE,  /* by original tuple */
	DSAA_APPLY_REPLACE, /* delete existing.id, then create */
	DSAA_APPLY_LOOKUP,  /* only tell what is there */
	DSAA_APPLY_DELETE,  /* existing.id */
};
enum dsaa_apply_result {
	DSAA_APPLIED_OK,
	DSAA_APPLIED_EXISTS, /* existing is filled in (CREATE, LOOKUP) */
	DSAA_APPLIED_ABSENT, /* LOOKUP, UPDATE, DELETE: nothing there */
	DSAA_APPLIED_FULL,   /* the kernel's table is full */
	DSAA_APPLIED_ERROR,  /* anything else; error is the errno */
	DSAA_APPLIED_NOWHERE /* its zone does not exist here; the kernel was not asked */
};
struct dsaa_apply {
	enum dsaa_apply_kind kind;
	enum dsaa_apply_result result;
	int error;
	struct dsaa_flow flow;
	struct dsaa_flow existing;
	uint32_t cookie; /* the engine's own */
};

/* What shall be done with one expectation of the kernel's. */
struct dsaa_expect_op {
	dsaa_site_id site; /* whose it is: ADD only if its master is that site's, else NOT_OWNER */
	bool add;	   /* else take it away; that it is gone already is no error */
	bool not_owner;
	int error; /* result: 0 or an errno */
	struct dsaa_expect x;
};

struct dsaa_event {
	enum dsaa_event_type type;
	dsaa_site_id site;
	unsigned reason;
	bool up;
	bool ok;
	uint8_t op;
	bool begins; /* FLOW: it is new in the table, not changed */
	const struct dsaa_engine_config *config;
	const uint8_t *data;
	size_t len;
	size_t consumed;
	size_t room;
	const struct dsaa_flow *flow;
	const struct dsaa_apply *ops;
	unsigned count;
	struct dsaa_addr address;
	const struct dsaa_timeouts *timeouts;
	const struct dsaa_expect *expect;
	const struct dsaa_lines *lines;
};

/* ------------------------------------------------------------------ actions */

enum dsaa_action_type {
	DSAA_ACT_CONNECT,    /* site, address: index of its sync-address to try */
	DSAA_ACT_DISCONNECT, /* site, reason */
	DSAA_ACT_SEND,	     /* site, data/len: never more than the room that was told */
	DSAA_ACT_APPLY,	     /* ops/count: once all other actions of the step are taken, perform,
				fill results, give back as DSAA_EV_APPLIED before any other
				event; at most one per step */
	DSAA_ACT_EXPECT,     /* expects/count: after APPLY, perform, fill results, give back as
				DSAA_EV_EXPECTED before any other event; at most one per step */
	DSAA_ACT_DUMP,	     /* site: dump entries with this owner (0: ours; our own number: those
				of ours that have it, too), as DSAA_EV_DUMP_FLOW while
				dsaa_engine_dump_ready(); others among them do no harm */
	DSAA_ACT_DUMP_CANCEL,
	DSAA_ACT_SITE_WORD, /* site, word: for the data path, at once; up: ADOPTED on demand only,
			       so the first packet puts our own number into its entry's mark */
	DSAA_ACT_PROBE,	    /* site, up: tell anew, by an answer to an echo of now or later, or that
				it is silent (true); false: no longer awaited */
	DSAA_ACT_CHANGED,   /* site, reason: something that is shown or announced changed (state of
				a peer, state complete, drain); text in dsaa_engine_history() */
};

struct dsaa_action {
	enum dsaa_action_type type;
	dsaa_site_id site;
	unsigned reason;
	bool up;
	uint8_t address;
	enum dsaa_site_word word;
	const uint8_t *data;
	size_t len;
	struct dsaa_apply *ops;
	struct dsaa_expect_op *expects;
	unsigned count;
};

/* ------------------------------------------------------------------ what is shown */

enum dsaa_peer_state {
	DSAA_PEER_IDLE,
	DSAA_PEER_CONNECTING,
	DSAA_PEER_SYNCING,
	DSAA_PEER_UP,
	DSAA_PEER_DOWN,
	DSAA_PEER_DEAD,
	DSAA_PEER_ISOLATED,
	DSAA_PEER_INCOMPATIBLE,
	DSAA_PEER_REFUSED,
};

enum dsaa_liveness { DSAA_LIVE_UNKNOWN, DSAA_LIVE_UP, DSAA_LIVE_DOWN };

struct dsaa_peer_view {
	dsaa_site_id site;
	enum dsaa_peer_state state;
	unsigned reason;	/* why it is not up; DSAA_R_NONE when it is */
	struct dsaa_mono since; /* of the state */
	bool secure;
	bool session; /* hello exchanged */
	enum dsaa_liveness bfd;
	enum dsaa_liveness probe;
	bool probe_answered; /* at least once since the site is configured */
	enum dsaa_site_word word;
	bool peer_complete; /* what the peer says of its own state */
	bool peer_draining;
	int64_t held_back_ms; /* it dies too often: no session for so long; 0: none of that */
	uint8_t peer_minor;
	bool block_differs, ruleset_differs; /* from ours, as it told them last */
	bool adoption_refused;		     /* for that: its connections will not become ours */
	bool ours_confirmed;		     /* the peer holds our state */
	bool theirs_complete;		     /* we hold the peer's state */
	uint64_t flows_sent, flows_received, flows_applied;
	uint64_t flows_rejected[DSAA_REASONS_MAX]; /* by reason, as we rejected them */
	uint64_t peer_applied, peer_rejected;	   /* what the peer says about ours */
	uint32_t backlog;
	uint64_t lag_p50_us, lag_p99_us, lag_max_us; /* of what the peer confirmed */
	uint64_t lag_now_us; /* how old the oldest change is that it has not confirmed; 0: none */
	uint64_t bulk_flows; /* last bulk received */
	uint32_t bulk_ms;
	bool bulk_done;
	struct dsaa_mono bulk_at;
	uint64_t bulk_sent_flows;
	uint32_t bulk_sent_ms;
	uint64_t swept;
	/* the last audit of the peer's connections in our kernel */
	bool audit_done;
	struct dsaa_mono audit_at;
	uint64_t audit_differences, audit_repaired;
	uint64_t audit_altered;			/* of the differences */
	uint64_t audits;			/* finished since the daemon's start */
	uint64_t expects_sent, expects_applied; /* expectations of helpers */
	uint64_t sessions;			/* how many came up so far */
	uint64_t capabilities;			/* that both have */
	/* how states were brought in step since the daemon's start: all of it, or only changes */
	uint64_t bulks_sent, bulks_received, resumes_sent, resumes_received;
};

/* What has become of "dsaa drain" at this site. */
enum dsaa_drain_state {
	DSAA_DRAIN_OFF,
	DSAA_DRAIN_DRAINING,	 /* routing is to follow, or nobody can take over yet */
	DSAA_DRAIN_HANDING_OVER, /* the heir takes our connections */
	DSAA_DRAIN_DONE,	 /* none is left */
};
const char *dsaa_drain_state_name(enum dsaa_drain_state s);

struct dsaa_engine_view {
	dsaa_site_id local;
	uint64_t epoch;
	bool state_complete;
	unsigned complete_reason; /* why not, or why although (DSAA_R_START_TIMER) */
	bool draining;
	bool routes_lost; /* that is why, or also why */
	enum dsaa_drain_state drain;
	unsigned drain_reason;
	dsaa_site_id drain_heir;	    /* 0: none */
	uint64_t drain_left;		    /* connections of ours at the last count */
	uint64_t own_events;		    /* conntrack events of our own flows */
	uint64_t skipped[DSAA_REASONS_MAX]; /* not sent, by reason */
	uint64_t overruns;
	uint32_t log_entries, log_live;
	uint64_t adopted;	    /* connections re-marked since the start */
	uint64_t adopted_on_demand; /* by a packet that came here: in a split, or of a dead site */
	uint32_t delayed;	    /* connections held back now by 'sync delay' */
	/* those that ended before they were told, were told early, or had to be for lack of room */
	uint64_t delayed_ended, delayed_exempt, delayed_no_room;
};

enum dsaa_history_kind {
	DSAA_HISTORY_PEER,  /* from, to: enum dsaa_peer_state */
	DSAA_HISTORY_STATE, /* of this site: is its state complete, 0 or 1 */
	DSAA_HISTORY_DRAIN, /* of this site: enum dsaa_drain_state */
	DSAA_HISTORY_LINES, /* of a peer: does it differ from us in what the reason says, 0 or 1 */
};

/* The last changes, newest last. */
struct dsaa_history {
	struct dsaa_mono at;
	enum dsaa_history_kind kind;
	dsaa_site_id site; /* 0: this site */
	uint8_t from, to;  /* as the kind says */
	unsigned reason;
	unsigned number; /* of this change since the start: 1, 2, ... */
};
#define DSAA_HISTORY_MAX 128

struct dsaa_engine;

/* Bytes of zeroed, 16-byte aligned memory for an engine with these sizes (powers of two). */
size_t dsaa_engine_size(uint32_t log_entries, uint32_t seen_entries);
/*
 * Initialises it there. EPOCH must be greater than at any earlier start (wall
 * clock in microseconds will do); SEED makes hash tables unpredictable.
 */
struct dsaa_engine *dsaa_engine_init(void *mem, uint32_t log_entries, uint32_t seen_entries,
				     uint64_t epoch, uint64_t seed, struct dsaa_mono now);
void dsaa_engine_step(struct dsaa_engine *e, struct dsaa_mono now, struct dsaa_event *ev);
/* Takes the next action; false when there is none. */
bool dsaa_engine_next_action(struct dsaa_engine *e, struct dsaa_action *act);
/* True while the running dump may be read further (back-pressure of the peers). */
bool dsaa_engine_dump_ready(const struct dsaa_engine *e);
/* Milliseconds until the next TICK is useful, at most 50. */
unsigned dsaa_engine_tick_ms(const struct dsaa_engine *e);

void dsaa_engine_view(const struct dsaa_engine *e, struct dsaa_engine_view *v);
/*
 * True when F, an entry of our kernel, is a connection of ours that the peers are told; else
 * *REASON says why not.
 */
bool dsaa_engine_replicates(const struct dsaa_engine *e, const struct dsaa_flow *f,
			    unsigned *reason);
/*
 * True when F, of an event, must be read from the table again before it is told: it would be
 * misunderstood without the time at which it began (start_ns), which events do not say, or a dump
 * may have told something newer.
 */
bool dsaa_engine_needs_lookup(const struct dsaa_engine *e, const struct dsaa_flow *f);
/* False when SITE is not a configured peer. */
bool dsaa_engine_peer_view(const struct dsaa_engine *e, dsaa_site_id site,
			   struct dsaa_peer_view *v);
/*
 * Copies the lines that SITE (0: this one) has, as it told them last; it may be gone since. False
 * when they are not known.
 */
bool dsaa_engine_lines(const struct dsaa_engine *e, dsaa_site_id site, enum dsaa_lines_kind kind,
		       struct dsaa_lines *l);
/* Copies up to MAX of the newest changes, oldest first; returns their number. */
unsigned dsaa_engine_history(const struct dsaa_engine *e, struct dsaa_history *h, unsigned max);
/* Zeroes the counters and histograms of all peers. */
void dsaa_engine_clear(struct dsaa_engine *e);

const char *dsaa_peer_state_name(enum dsaa_peer_state s);

/* How a prefix is announced by this site now. */
enum dsaa_advertise_state {
	DSAA_ADV_WITHHELD,
	DSAA_ADV_ACTIVE,
	DSAA_ADV_BACKUP,
	DSAA_ADV_DRAIN,
};
/*
 * The state of a prefix that belongs to SITE (0 = all sites), with the reason
 * in *REASON as a constant sentence.
 */
enum dsaa_advertise_state dsaa_engine_advertise(const struct dsaa_engine *e, dsaa_site_id site,
						const char **reason);
const char *dsaa_advertise_state_name(enum dsaa_advertise_state s);

#endif
