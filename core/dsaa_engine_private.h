/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of the engine, shared by its files and by nobody else:
 *
 *	dsaa_engine.c   dispatch, actions, configuration, views
 *	dsaa_site.c     is a site alive: peer states, adoption, completeness
 *	dsaa_session.c  the conversation with one peer: hello to goodbye
 *	dsaa_send.c     our connections towards the peers: log, bulk
 *	dsaa_delay.c    our connections that are not told yet
 *	dsaa_receive.c  the peers' connections into our kernel
 *	dsaa_claim.c    replicas that we should have and have not
 *	dsaa_drain.c    handing our connections over before we are switched off
 *	dsaa_expected.c what helpers expect, ours and theirs
 *	dsaa_dump.c     the one running kernel dump and what it is for
 *	dsaa_audit.c    is what the peers hold of us what we have
 */
#ifndef DSAA_ENGINE_PRIVATE_H
#define DSAA_ENGINE_PRIVATE_H

#include "core/dsaa_engine.h"
#include "core/dsaa_histogram.h"
#include "core/dsaa_log.h"
#include "core/dsaa_seen.h"

enum {
	DSAA_ACTIONS_MAX = 256,
	/* kept free of SEND, for what must not be lost */
	DSAA_ACTIONS_RESERVE = 64,
	/* what one step may send to all peers together */
	DSAA_ARENA_LEN = 4 * DSAA_MSG_MAX,
	/* room kept free for everything that is not a flow */
	DSAA_ROOM_RESERVE = 4096,
	DSAA_INFLIGHT_MAX = 256,
	DSAA_RECONNECT_MIN_MS = 50,
	DSAA_RECONNECT_MAX_MS = 500,
	/* where nobody listens: one packet there and back; the state of a restart waits for it */
	DSAA_RECONNECT_ABSENT_MS = 100,
	DSAA_REFUSED_RETRY_MS = 5000,
	DSAA_CONNECT_TIMEOUT_MS = 6000,
	DSAA_BULK_RETRY_MS = 5000,
	/* a site that is not complete gives others so long to begin a bulk before its own ... */
	DSAA_BULK_YIELD_MS = 100,
	/* ... and that of a complete one so long to end */
	DSAA_BULK_YIELD_MAX_MS = 30000,
	/*
	 * Beside BFD a session speaks so often; one that has been silent for so long confirms a BFD
	 * that says down; and one that goes on for so long refutes it.
	 */
	DSAA_KEEPALIVE_BFD_MS = 50,
	DSAA_BFD_CONFIRM_MS = 120,
	DSAA_BFD_DOUBT_MS = 1000,
	/* a probe that never answered while its site spoke for so long proves nothing by silence */
	DSAA_PROBE_PROVES_MS = 1000,
	/* a site that dies so often within the time is held back, longer each time */
	DSAA_DEATHS = 3,
	DSAA_DEATHS_WITHIN_MS = 60000,
	DSAA_HOLD_BACK_MIN_MS = 10000,
	DSAA_HOLD_BACK_MAX_MS = 320000,
	/* at most half of a message, so that the end of a dump fills no third one */
	DSAA_BULK_HELD_MAX = DSAA_FLOWS_PER_MSG_MAX / 2,
	DSAA_BULK_RETRY_MAX_MS = 20000,
	/* how many missing connections one audit asks for; beyond that a bulk is cheaper */
	DSAA_AUDIT_WANT_MAX = 4096,
	DSAA_AUDIT_WANT_SLOTS = 2 * DSAA_AUDIT_WANT_MAX,
	DSAA_CLAIMS_MAX = 256,
};

/* The transport and the hello, per peer. */
enum dsaa_session_state {
	DSAA_SESSION_NONE,
	DSAA_SESSION_CONNECTING, /* we asked the edge to connect */
	DSAA_SESSION_OPEN,	 /* transport up, our hello sent, theirs awaited */
	DSAA_SESSION_ESTABLISHED,
};

enum dsaa_bulk_state {
	DSAA_BULK_NONE,
	DSAA_BULK_PENDING, /* waits for the dump */
	DSAA_BULK_RUNNING,
	DSAA_BULK_ENDED, /* all sent, the peer's DONE awaited */
};

/* A FLOWS message that the peer has not confirmed yet; for lag. */
struct dsaa_inflight {
	uint64_t last_seq;
	struct dsaa_mono oldest, newest; /* when its first and last change happened */
};

struct dsaa_peer {
	dsaa_site_id site;
	bool configured;

	/* site state, dsaa_site.c */
	enum dsaa_peer_state state;
	unsigned reason;
	struct dsaa_mono since;
	enum dsaa_liveness bfd, probe;
	bool probe_answered;	      /* at least once since the site is configured */
	bool probe_missed;	      /* it never did, while the site spoke for long enough */
	struct dsaa_mono bfd_changed; /* when it last spoke */
	struct dsaa_mono bfd_down_at; /* when BFD said down; 0: judged, or it did not */
	bool probing;
	enum dsaa_site_word word;
	bool on_demand;		     /* ADOPTED, but only what packets come of */
	struct dsaa_mono lost_at;    /* when the session ended, or the engine started */
	struct dsaa_mono refused_at; /* the last time that one of us refused the other */
	bool left_alone;	     /* dead, but its connections may not become ours */
	bool adopting;		     /* its connections are being re-marked as ours */
	struct dsaa_mono adopt_at;   /* when that begins; before, the data path marks some */
	bool adopt_again;	     /* one of them came or changed while that went on */
	bool synced_once;	     /* we held its whole state at least once */
	bool daemon_gone;	     /* its session was closed while the link still carried it */
	struct dsaa_mono died[DSAA_DEATHS]; /* the last times, 0: never */
	unsigned deaths;
	bool death_counted;    /* the last one is among them */
	uint32_t hold_back_ms; /* the last interval for which it was held back */
	struct dsaa_mono held_until;

	/* session, dsaa_session.c */
	enum dsaa_session_state session;
	struct dsaa_mono connect_at, opened_at, last_received, last_sent;
	uint32_t backoff_ms;
	uint8_t next_address;
	bool secure;
	uint8_t minor;	       /* that both speak */
	uint64_t capabilities; /* that both have */
	uint32_t hold_time_ms; /* the peer's */
	bool peer_complete, peer_draining;
	bool serves; /* its HELLO said that its state is complete */
	uint64_t sessions;

	/* what it should have as we have it, dsaa_differ.c */
	struct dsaa_lines lines[DSAA_LINES_KINDS]; /* outlive the session */
	uint8_t lines_due;		/* ours that it has not been told, bit per kind */
	bool differs[DSAA_LINES_KINDS]; /* what was told of them */
	struct dsaa_mono differs_since[DSAA_LINES_KINDS];

	/* sending, dsaa_send.c */
	size_t room;
	uint64_t cursor;
	enum dsaa_bulk_state bulk_tx;
	uint32_t bulk_tx_id;
	uint64_t bulk_tx_count, bulk_tx_digest;
	struct dsaa_mono bulk_tx_started, bulk_tx_at;
	uint32_t bulk_tx_ms, bulk_retry_ms;
	bool ours_confirmed;
	/*
	 * It confirmed a bulk, and no other one is owed since: with BASE, the log's last when its
	 * first session with that bulk began, it may go on from where it is. Outlives the session.
	 */
	bool in_step;
	uint64_t base;
	bool resuming; /* it went on so; its word that it has all up to resume_to is awaited */
	uint64_t resume_to;
	struct dsaa_inflight inflight[DSAA_INFLIGHT_MAX];
	uint32_t inflight_head, inflight_count;
	struct dsaa_histogram lag;

	/* receiving, dsaa_receive.c */
	uint64_t epoch, rx_seq;
	bool bulk_rx, bulk_rx_swept; /* a bulk is coming in; the sweep after it is done */
	bool want_sweep;
	uint32_t bulk_rx_id;
	uint64_t bulk_rx_count, bulk_rx_digest, bulk_rx_rejected;
	struct dsaa_mono bulk_rx_started, bulk_at;
	uint32_t bulk_rx_ms;
	uint64_t bulk_flows;
	bool bulk_done;
	bool theirs_complete;
	bool ask_bulk; /* our kernel did not take all of its changes: ask for everything */
	/*
	 * Our kernel holds all that it owned at RX_SEQ of EPOCH and nothing else of it. Outlives
	 * the session: it is what our next HELLO claims.
	 */
	bool holds;
	bool holes;	       /* since the last bulk began something of it was not taken */
	bool told, told_holds; /* our HELLO of this session claimed that; it is still true */
	uint64_t told_seq;
	bool catching_up; /* it resumed, and has not yet told all up to catch_up_to */
	uint64_t catch_up_to;
	struct dsaa_mono
		lost_many_at; /* when to ask for more replicas that vanished than claims hold */

	/* audit, dsaa_audit.c */
	bool audit_tx;		      /* it is being told our hashes */
	struct dsaa_mono audit_tx_at; /* when the next one is due */
	bool audit_rx, audit_sweep;   /* its hashes come in; the comparison is due */
	bool audit_states;	      /* they come with states, so the set has them, too */
	uint32_t audit_rx_id;
	/* of the running audit: not the owner's, deleted so far, altered */
	uint64_t audit_found, audit_fixed, audit_altered;
	struct dsaa_mono audit_at;
	uint64_t audit_differences, audit_repaired, audit_were_altered, audits;
	uint64_t kept_wants[DSAA_CLAIMS_MAX]; /* it asked for these while another was answered */
	unsigned kept_wants_count;

	/* expectations, dsaa_expected.c */
	uint64_t expect_cursor;
	bool expect_reset; /* the next message is the first of the session */
	uint64_t expects_sent, expects_applied;

	/* counters */
	uint64_t sent, received, applied, swept;
	uint64_t bulks_sent, bulks_received, resumes_sent, resumes_received;
	uint64_t rejected[DSAA_REASONS_MAX];
	uint64_t session_applied, session_rejected; /* told in ACK */
	uint64_t peer_applied, peer_rejected;
};

/* A record that is asked for, now or later: see dsaa_claim.c. */
struct dsaa_claim {
	dsaa_site_id site; /* that claims it; 0: free */
	uint8_t tries;
	bool due;		/* what stood in its place has gone */
	struct dsaa_mono at;	/* when to ask for it */
	uint64_t key, obstacle; /* hashes of keys */
};

/* An expectation in our kernel, see dsaa_expected.c. */
struct dsaa_expected {
	dsaa_site_id site; /* whose; 0: ours */
	bool gone;	   /* ours, and no more: peers have yet to hear of it */
	bool named;	   /* by the message that is being read */
	uint64_t changed;  /* ours: number of the last change */
	struct dsaa_mono until;
	struct dsaa_expect x;
};

/* What the running dump, or the running APPLY, is for. */
enum dsaa_purpose {
	DSAA_FOR_NOTHING,
	DSAA_FOR_BULK,	       /* dump: send what is ours */
	DSAA_FOR_SWEEP,	       /* dump, apply: delete replicas that the bulk did not name */
	DSAA_FOR_ADOPT,	       /* dump, apply: re-mark a dead site's connections */
	DSAA_FOR_AUDIT,	       /* dump: tell hashes of what is ours */
	DSAA_FOR_AUDIT_SWEEP,  /* dump, apply: compare replicas with the hashes that were told */
	DSAA_FOR_DRAIN,	       /* dump: count what is still ours */
	DSAA_FOR_AUDIT_ANSWER, /* dump: send the connections that an audit found missing */
	DSAA_FOR_FLOWS,	       /* apply: records of a FLOWS message */
	DSAA_FOR_BULK_FLOWS,
	DSAA_FOR_AUDIT_FLOWS,
	DSAA_FOR_CLAIMED_FLOWS,
};

/* A connection that 'sync delay' holds back; places are index + 1, 0 is none. */
struct dsaa_delayed {
	struct dsaa_flow flow; /* its newest state */
	uint32_t hash_next;    /* of the bucket, or of the free ones */
	uint32_t next, prev;   /* in the same slot */
	uint16_t slot;
	bool maybe_told; /* a dump may have told of it before it was held */
};

struct dsaa_delay {
	struct dsaa_delayed *entry; /* DSAA_DELAY_ENTRIES, of the engine's memory */
	uint32_t *bucket;	    /* as many */
	uint32_t slot[DSAA_DELAY_SLOTS];
	uint32_t free;	/* given back */
	uint32_t fresh; /* how many were ever used: the memory of the others was never touched */
	uint32_t used;
	int64_t turned; /* number of the last slot that was due */
};

struct dsaa_engine {
	struct dsaa_engine_config cfg;
	struct dsaa_mono now, started;
	uint64_t epoch, seed;
	uint64_t boot_epoch; /* the first of this run: the log knows everything since */
	bool running;	     /* a local site is known */
	bool state_complete;
	unsigned complete_reason;
	bool draining, stopping;
	struct {
		enum dsaa_drain_state state;
		unsigned reason;
		bool wanted, routes_lost; /* why: the operator, a tracked route */
		bool routes_awaited;	  /* since the start: not yet a reason to drain */
		bool asked;		  /* somebody to take over */
		dsaa_site_id heir;
		struct dsaa_mono next; /* when ours are counted next */
		uint64_t count, left;  /* in the running count; at the last one */
	} drain;
	struct dsaa_peer peer[DSAA_SITES_MAX + 1];
	struct dsaa_addrset local_addresses;
	struct dsaa_addr
		sync_address[DSAA_SITES_MAX * DSAA_SITE_SYNC_ADDRESSES_MAX]; /* all sites' */
	unsigned sync_addresses;
	struct dsaa_timeouts timeouts;
	struct dsaa_log log;
	struct dsaa_seen seen;
	struct dsaa_delay delay;

	struct dsaa_lines lines[DSAA_LINES_KINDS]; /* ours, by kind */

	/* actions of this step */
	struct dsaa_action actions[DSAA_ACTIONS_MAX];
	unsigned action_head, action_count;
	uint8_t arena[DSAA_ARENA_LEN];
	size_t arena_used;
	bool more; /* there is more to send than one step takes */

	/* dump */
	enum dsaa_purpose dump;
	dsaa_site_id dump_site;
	uint64_t dump_log_seq; /* the log's last when it began */
	struct dsaa_flows_writer bulk_writer;
	/* two in turn: the one that was sent last is read until the next step */
	uint8_t bulk_buf[2][DSAA_MSG_MAX];
	unsigned bulk_turn;
	struct dsaa_flow held[DSAA_BULK_HELD_MAX]; /* expected ones, told last */
	unsigned held_count;
	uint32_t bulk_id;
	struct dsaa_seen wanted; /* what wanted_site misses of us */
	uint64_t wanted_slots[DSAA_AUDIT_WANT_SLOTS];
	dsaa_site_id wanted_site; /* 0: nobody asked */
	uint32_t wanted_id;
	uint32_t audit_id;
	uint64_t hashes[DSAA_HASHES_PER_MSG_MAX];
	uint32_t states[DSAA_STATES_PER_MSG_MAX]; /* beside the hashes that are told */
	unsigned hash_count;
	struct dsaa_mono told_by_dump_at; /* the last time that a dump told of a connection */
	bool bulk_again;		  /* events were lost: everybody needs a bulk */
	struct dsaa_mono bulk_last;	  /* when the last dump for a bulk began: a pace */
	struct dsaa_apply dump_ops[DSAA_FLOWS_PER_MSG_MAX];
	unsigned dump_op_count;
	bool on_demand;	    /* some entry of ours may have been adopted on demand */
	bool dump_finished; /* the kernel has told all; the last batch is on its way */

	/* apply: one at a time */
	enum dsaa_purpose apply;
	dsaa_site_id apply_site;
	unsigned apply_round;
	struct dsaa_apply ops[DSAA_FLOWS_PER_MSG_MAX];
	unsigned op_count;
	struct dsaa_record rx[DSAA_FLOWS_PER_MSG_MAX];
	unsigned rx_count;

	struct dsaa_claim claim[DSAA_CLAIMS_MAX];
	unsigned claims, claim_next;

	struct dsaa_expected expect[DSAA_EXPECTS_MAX];
	uint64_t expect_hash[DSAA_EXPECTS_MAX];
	unsigned expects;
	uint64_t expect_seq;
	struct dsaa_expect_op expect_op[DSAA_EXPECT_OPS_MAX];
	unsigned expect_ops;

	/* counters, history */
	uint64_t own_events, overruns, adopted, adopted_on_demand;
	uint64_t delayed_ended, delayed_exempt, delayed_no_room;
	uint64_t skipped[DSAA_REASONS_MAX];
	struct dsaa_history history[DSAA_HISTORY_MAX];
	unsigned history_count; /* ever */
};

/* Runs BODY for each configured peer P of engine E. */
#define DSAA_FOREACH_PEER(e, p)                                                         \
	for (struct dsaa_peer *p = &(e)->peer[1]; p <= &(e)->peer[DSAA_SITES_MAX]; p++) \
		if (p->configured)

/* The same for reading only. */
#define DSAA_FOREACH_PEER_CONST(e, p)                                                         \
	for (const struct dsaa_peer *p = &(e)->peer[1]; p <= &(e)->peer[DSAA_SITES_MAX]; p++) \
		if (p->configured)

/* dsaa_engine.c */
struct dsaa_action *dsaa_act(struct dsaa_engine *e, enum dsaa_action_type type, dsaa_site_id site);
/* Sends LEN bytes at BUF (copied) to P; false when neither arena nor room takes them. */
bool dsaa_act_send(struct dsaa_engine *e, struct dsaa_peer *p, const uint8_t *buf, size_t len);
/* The same without a copy: BUF must stay as it is until the next step. */
bool dsaa_act_send_borrowed(struct dsaa_engine *e, struct dsaa_peer *p, const uint8_t *buf,
			    size_t len);
/*
 * Encodes and sends M. Control messages always find the reserve, unless the peer stopped reading.
 */
bool dsaa_act_message(struct dsaa_engine *e, struct dsaa_peer *p, const struct dsaa_msg *m);
/* The same for any kind of change. */
void dsaa_history_note(struct dsaa_engine *e, enum dsaa_history_kind kind, dsaa_site_id site,
		       uint8_t from, uint8_t to, unsigned reason);
/* Notes a change of a peer, or with SITE 0 of our state's completeness. */
void dsaa_history_add(struct dsaa_engine *e, dsaa_site_id site, uint8_t from, uint8_t to,
		      unsigned reason);

/* dsaa_site.c */
void dsaa_site_start(struct dsaa_engine *e, struct dsaa_peer *p);
void dsaa_site_stop(struct dsaa_engine *e, struct dsaa_peer *p);
void dsaa_site_tick(struct dsaa_engine *e, struct dsaa_peer *p);
void dsaa_site_bfd(struct dsaa_engine *e, struct dsaa_peer *p, bool up);
void dsaa_site_probe(struct dsaa_engine *e, struct dsaa_peer *p, bool up);
/* The session changed (established, synchronised, lost for REASON): move the state. */
void dsaa_site_session_changed(struct dsaa_engine *e, struct dsaa_peer *p, unsigned reason);
void dsaa_site_check_complete(struct dsaa_engine *e);

/* dsaa_session.c */
void dsaa_session_connected(struct dsaa_engine *e, struct dsaa_peer *p, bool secure);
void dsaa_session_lost(struct dsaa_engine *e, struct dsaa_peer *p, unsigned reason);
/* Ends the session from our side; the peer is told why when NOTIFY. */
void dsaa_session_close(struct dsaa_engine *e, struct dsaa_peer *p, unsigned reason, bool notify);
void dsaa_session_received(struct dsaa_engine *e, struct dsaa_peer *p, struct dsaa_event *ev);
void dsaa_session_tick(struct dsaa_engine *e, struct dsaa_peer *p);

/* dsaa_send.c */
/*
 * The session begins: everything follows, or only what changed since KNOWN_EPOCH, KNOWN_SEQ (what
 * the peer's HELLO claims to hold).
 */
void dsaa_send_start(struct dsaa_engine *e, struct dsaa_peer *p, uint64_t known_epoch,
		     uint64_t known_seq);
/* Changes were missed, or what is told of changed: nobody is up to date without a bulk. */
void dsaa_send_bulk_again(struct dsaa_engine *e);
void dsaa_send_flow_event(struct dsaa_engine *e, uint8_t op, const struct dsaa_flow *f);
/*
 * F was re-marked as ours, and has just been read. Unlike an event's, it cannot be older than the
 * moment at which an entry in its place was given up: one that was handed over keeps its id.
 */
void dsaa_send_flow_adopted(struct dsaa_engine *e, const struct dsaa_flow *f);
/* True when an event may be older than what a dump has told of its connection. */
bool dsaa_send_dump_may_have_told(const struct dsaa_engine *e);
/* dsaa_engine_needs_lookup(). */
bool dsaa_send_needs_lookup(const struct dsaa_engine *e, const struct dsaa_flow *f);
/* True when F, which an event tells of, is one of ours that has just lost against a peer's. */
bool dsaa_send_is_given_up(const struct dsaa_engine *e, const struct dsaa_flow *f);
void dsaa_send_pump(struct dsaa_engine *e, struct dsaa_peer *p);
void dsaa_send_ack(struct dsaa_engine *e, struct dsaa_peer *p, const struct dsaa_msg_ack *ack);
void dsaa_send_bulk_done(struct dsaa_engine *e, struct dsaa_peer *p, const struct dsaa_msg_bulk *b);
/* P misses some of ours. */
void dsaa_send_bulk_requested(struct dsaa_engine *e, struct dsaa_peer *p);
void dsaa_send_bulk_begin(struct dsaa_engine *e);
void dsaa_send_bulk_flow(struct dsaa_engine *e, const struct dsaa_flow *f);
/* Sends what is in the writer. */
void dsaa_send_bulk_flush(struct dsaa_engine *e);
void dsaa_send_bulk_end(struct dsaa_engine *e);
/* Begins a message of TYPE (BULK_FLOWS, AUDIT_FLOWS) in the writer that dumps fill. */
void dsaa_send_begin_writer(struct dsaa_engine *e, uint8_t type, uint32_t id);
/*
 * The record that tells F, a dumped connection, as it is now: newer when it changed since the dump
 * began. False when it is not to be told, or gone meanwhile.
 */
bool dsaa_send_dumped_record(struct dsaa_engine *e, const struct dsaa_flow *f,
			     struct dsaa_record *r);
/* True when F is a connection of ours that others may know; else *REASON says why not. */
bool dsaa_send_permitted(const struct dsaa_engine *e, const struct dsaa_flow *f, unsigned *reason);
/* True when they shall know it now. */
bool dsaa_send_wanted(const struct dsaa_engine *e, const struct dsaa_flow *f, unsigned *reason);

/* Ownership rule 6: it leads to or from this router itself, before or after NAT. */
bool dsaa_send_of_router(const struct dsaa_engine *e, const struct dsaa_flow *f);

/* dsaa_delay.c */
/* True when the event of F is not to be told now: F is held, or ended while it was. */
bool dsaa_delay_event(struct dsaa_engine *e, uint8_t op, bool beginning, const struct dsaa_flow *f);
bool dsaa_delay_holds(struct dsaa_engine *e, const struct dsaa_flow *f);
/* F is no longer ours. */
void dsaa_delay_forget(struct dsaa_engine *e, const struct dsaa_flow *f);
/* A packet of F, or F itself, was seen at another site: if it is held, it is told now. */
void dsaa_delay_seen_elsewhere(struct dsaa_engine *e, const struct dsaa_flow *f);
/* Events were lost: nothing is held any more, and the bulk that is due tells all. */
void dsaa_delay_forget_all(struct dsaa_engine *e);
/* Tells all that is held. */
void dsaa_delay_end_all(struct dsaa_engine *e);
void dsaa_delay_tick(struct dsaa_engine *e);

/* dsaa_receive.c */
/* A key in the set of what a bulk or an audit named, which all peers share. */
uint64_t dsaa_receive_seen_hash(dsaa_site_id site, const struct dsaa_flow *f);
/* The same from the key's hash; applied twice it gives the hash back. */
static inline uint64_t dsaa_receive_seen_of(dsaa_site_id site, uint64_t hash)
{
	return hash ^ site * UINT64_C(0x9e3779b97f4a7c16);
}
/* What P's bulk named is in that set, for the sweep that follows. */
static inline bool dsaa_receive_bulk_names(const struct dsaa_peer *p)
{
	return p->bulk_rx || p->want_sweep;
}
void dsaa_receive_reset(struct dsaa_peer *p);
/* Something that P owns is not in our kernel: only a bulk or an audit can tell it again. */
void dsaa_receive_hole(struct dsaa_peer *p);
/* Handles RESUME; a reason other than NONE ends the session. */
unsigned dsaa_receive_resume(struct dsaa_engine *e, struct dsaa_peer *p,
			     const struct dsaa_msg_resume *m);
/* Handles FLOWS, BULK_*; a reason other than NONE ends the session. */
unsigned dsaa_receive_message(struct dsaa_engine *e, struct dsaa_peer *p, const struct dsaa_msg *m);
void dsaa_receive_applied(struct dsaa_engine *e);
/* What we hold of P is not complete: it is asked to tell everything again. */
void dsaa_receive_ask_bulk(struct dsaa_peer *p);
/* Asks for what our kernel could not take. */
void dsaa_receive_tick(struct dsaa_engine *e, struct dsaa_peer *p);

/* dsaa_audit.c */
/* True while records of P must be remembered as named by its owner. */
bool dsaa_audit_running(const struct dsaa_peer *p);
/* P speaks of the connection with key hash HASH while its audit runs: no leftover, not missing. */
void dsaa_audit_named(struct dsaa_engine *e, const struct dsaa_peer *p, uint64_t hash,
		      bool deleted);
/*
 * Is an audit to be told, compared or answered now? Then what the dump is for, and of which site.
 */
enum dsaa_purpose dsaa_audit_due(struct dsaa_engine *e, dsaa_site_id *site);
void dsaa_audit_begin(struct dsaa_engine *e);
void dsaa_audit_flow(struct dsaa_engine *e, const struct dsaa_flow *f);
/* Sends the hashes that wait. */
void dsaa_audit_flush(struct dsaa_engine *e);
void dsaa_audit_end(struct dsaa_engine *e);
void dsaa_audit_answer_begin(struct dsaa_engine *e);
void dsaa_audit_answer_flow(struct dsaa_engine *e, const struct dsaa_flow *f);
/* Sends what is in the writer. */
void dsaa_audit_answer_flush(struct dsaa_engine *e);
void dsaa_audit_answer_end(struct dsaa_engine *e);
/* True when replica F was not named: it must go. One that was altered counts as missing. */
bool dsaa_audit_is_extra(struct dsaa_engine *e, struct dsaa_peer *p, const struct dsaa_flow *f);
/* The comparison is done: ask for what is missing. */
void dsaa_audit_compared(struct dsaa_engine *e, struct dsaa_peer *p);
unsigned dsaa_audit_message(struct dsaa_engine *e, struct dsaa_peer *p, const struct dsaa_msg *m);
void dsaa_audit_forget(struct dsaa_engine *e, struct dsaa_peer *p);

/* dsaa_claim.c */
/* CLAIMED of P was refused, because OBSTACLE, a third site's or ours, stands in its place. */
void dsaa_claim_refused(struct dsaa_engine *e, const struct dsaa_peer *p,
			const struct dsaa_flow *claimed, const struct dsaa_flow *obstacle);
/* REPLICA, P's, vanished from our kernel, and not by our hand. */
void dsaa_claim_lost(struct dsaa_engine *e, struct dsaa_peer *p, const struct dsaa_flow *replica);
/* OBSTACLE has gone, or become ours: who was refused because of it is asked again. */
void dsaa_claim_gone(struct dsaa_engine *e, const struct dsaa_flow *obstacle);
/* Events were lost, perhaps those of obstacles: all that was refused is asked for in a while. */
void dsaa_claim_events_lost(struct dsaa_engine *e);
/* P's F is in the table, or P has given it up. */
void dsaa_claim_settled(struct dsaa_engine *e, const struct dsaa_peer *p,
			const struct dsaa_flow *f);
void dsaa_claim_tick(struct dsaa_engine *e, struct dsaa_peer *p);
/* P tells everything anew, or nothing any more: what was to be asked of it is forgotten. */
void dsaa_claim_forget(struct dsaa_engine *e, struct dsaa_peer *p);

/* The drained site P has asked us to take over its connections. */
void dsaa_site_inherit(struct dsaa_engine *e, struct dsaa_peer *p);
/* What P says of its own drain. */
void dsaa_site_draining(struct dsaa_engine *e, struct dsaa_peer *p, bool draining);
/* What is left of the dead site's connections is re-marked from now on. */
void dsaa_site_adopts_rest(struct dsaa_engine *e, struct dsaa_peer *p);
/* P was taken for dead, but its state is complete: it lived on, and only the links were lost. */
void dsaa_site_lived_on(struct dsaa_peer *p);
/* True while P may have no session because it dies too often. */
bool dsaa_site_held_back(const struct dsaa_engine *e, const struct dsaa_peer *p);

/* dsaa_differ.c */
/* Ours, of the kind that EV tells, are these from now on. */
void dsaa_differ_set(struct dsaa_engine *e, const struct dsaa_event *ev);
/* A session begins: what is known is to be told. */
void dsaa_differ_start(struct dsaa_engine *e, struct dsaa_peer *p);
void dsaa_differ_pump(struct dsaa_engine *e, struct dsaa_peer *p);
void dsaa_differ_received(struct dsaa_peer *p, const struct dsaa_msg_lines *m);
/* Notes a difference that has lasted, and its end. */
void dsaa_differ_tick(struct dsaa_engine *e, struct dsaa_peer *p);
/* Both are known, and differ (enum dsaa_lines_kind). */
bool dsaa_differs(const struct dsaa_engine *e, const struct dsaa_peer *p, unsigned kind);
/* Its rules differ, and the operator wants nothing adopted then. */
bool dsaa_differ_forbids_adoption(const struct dsaa_engine *e, const struct dsaa_peer *p);

/* dsaa_drain.c */
/* The operator's word. */
void dsaa_drain_set(struct dsaa_engine *e, bool on);
/* A tracked route is missing, or none is any more. */
void dsaa_drain_routes(struct dsaa_engine *e, bool lost);
void dsaa_drain_await(struct dsaa_engine *e, bool awaited);
/* Asks an heir as soon as there is one, when nothing can be forwarded here. */
void dsaa_drain_tick(struct dsaa_engine *e);
/* True when our connections shall be counted by a dump. */
bool dsaa_drain_due(struct dsaa_engine *e);
void dsaa_drain_begin(struct dsaa_engine *e);
void dsaa_drain_flow(struct dsaa_engine *e, const struct dsaa_flow *f);
void dsaa_drain_counted(struct dsaa_engine *e);
/* True when P's records win against our own entries, because we asked it to take over. */
bool dsaa_drain_yields_to(const struct dsaa_engine *e, const struct dsaa_peer *p);
/* P asks us to take over. */
void dsaa_drain_inherit(struct dsaa_engine *e, struct dsaa_peer *p);

/* dsaa_expected.c */
/* A new session: P is told everything. */
void dsaa_expected_start(struct dsaa_peer *p);
/* Tells P what it may hear now. */
void dsaa_expected_pump(struct dsaa_engine *e, struct dsaa_peer *p);
unsigned dsaa_expected_message(struct dsaa_engine *e, struct dsaa_peer *p,
			       const struct dsaa_msg_expects *m);
/* DSAA_EV_EXPECT and DSAA_EV_EXPECTED. */
void dsaa_expected_event(struct dsaa_engine *e, const struct dsaa_event *ev);
void dsaa_expected_applied(struct dsaa_engine *e);
/* P is dead: what its helpers expected is ours now. */
void dsaa_expected_adopt(struct dsaa_engine *e, const struct dsaa_peer *p);

/* dsaa_dump.c */
void dsaa_dump_schedule(struct dsaa_engine *e);
void dsaa_dump_flow(struct dsaa_engine *e, const struct dsaa_flow *f);
/* Sends what the dump has gathered: it must not be overtaken by what changed after it was read. */
void dsaa_dump_flush(struct dsaa_engine *e);
void dsaa_dump_done(struct dsaa_engine *e, bool ok);
/* The batch of a sweep or an adoption came back from the kernel. */
void dsaa_dump_applied(struct dsaa_engine *e);
/*
 * A record of a peer has just made, or taken, the entry of F: what a dump saw there before, and was
 * to be re-marked as ours, is not there any more.
 */
void dsaa_dump_overtaken(struct dsaa_engine *e, const struct dsaa_flow *f);
/* P must take no further part in a running dump. */
void dsaa_dump_forget(struct dsaa_engine *e, struct dsaa_peer *p);
/* P tells all anew: a sweep that compares with what it told before ends here. */
void dsaa_dump_begins_anew(struct dsaa_engine *e, const struct dsaa_peer *p);

#endif
