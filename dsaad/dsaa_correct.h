/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's fast path as dsaa_correct.c runs it (dsaa_correct_fast.c,
 * dsaa_correct_gate.c), how much it does (dsaa_correct_rate.c), and what others do to the rules
 * (dsaa_correct_watch.c).
 * Main thread, but for dsaa_correct_fast_word() and dsaa_correct_foreign(), which any thread may
 * call.
 */
#ifndef DSAA_CORRECT_H
#define DSAA_CORRECT_H

#include "dsaad/dsaad.h"

#include "bpf/dsaa_fast.h"
#include "nfq/dsaa_nfq.h"

/* Loads the programs; before privileges are dropped. A system that cannot has no fast path. */
void dsaa_correct_fast_load(void);

/* True when the configured mode uses the fast path and the programs could be loaded. */
bool dsaa_correct_fast_wanted(void);

/*
 * Takes over what NFQ and the configuration say, and tells whether to try: the fast path is wanted,
 * and the same did not fail a short while ago. If so, NFQ is to be send_only, because the tunnel's
 * port belongs to the kernel then.
 */
bool dsaa_correct_fast_may_run(const struct dsaa_nfq_config *nfq);
/* Tries, or looks after it when it runs. False when it does not: dsaa_correct_fast_why(). */
bool dsaa_correct_fast_apply(void);
/* Takes all of it out of the kernel; nothing when nothing is there. */
void dsaa_correct_fast_remove(void);
bool dsaa_correct_fast_running(void);

/* Why there is no fast path, or what is not as it should be; empty when all is well. */
const char *dsaa_correct_fast_why(void);
/* True when the fast path serves the interface. */
bool dsaa_correct_fast_serves(const char *ifname);
/*
 * True when the fast path takes tunnel packets at the interface before the stack; else *WHY, or
 * NULL.
 */
bool dsaa_correct_fast_is_straight(ifindex_t ifindex, const char **why);

void dsaa_correct_fast_word(uint8_t site, enum dsaa_site_word word);
/* The word that the kernel has: after a start that of the last process. */
enum dsaa_site_word dsaa_correct_fast_get_word(uint8_t site);
void dsaa_correct_fast_address(const struct dsaa_addr *a, bool added);

/* Counters since the last clear; zero without the fast path. */
void dsaa_correct_fast_counters(struct dsaa_fast_counters *c);
void dsaa_correct_fast_clear(void);

/* The loaded programs, or NULL. Any thread. */
struct dsaa_fast *dsaa_correct_fast(void);

/* dsaa_correct_gate.c: from time to time, whether connections of other sites are here. */
void dsaa_correct_gate_check(void);
void dsaa_correct_gate_stop(void);
bool dsaa_correct_gate_is_open(void);

/*
 * dsaa_correct_link.c: fills in the links to the site of P, the one first by which packets shall
 * go. Main thread.
 */
void dsaa_correct_make_links(struct dsaa_nfq_peer *p);

/* dsaa_correct_rate.c: from time to time, and when counters are cleared. */
void dsaa_correct_rate_sample(void);
/* Nothing is corrected any more: the rates are zero, the peaks stay. */
void dsaa_correct_rate_stop(void);
void dsaa_correct_rate_clear(void);

/* dsaa_correct_warn.c: what stands in the way; sentences in TEXT, how many. Main thread. */
enum {
	DSAA_WARNINGS_MAX = 8,
	DSAA_WARNING_LEN = 240,
};
unsigned dsaa_correct_warnings(char text[DSAA_WARNINGS_MAX][DSAA_WARNING_LEN]);
/* Logs what is new among them; from time to time. */
void dsaa_correct_say_warnings(void);

/* dsaa_correct_watch.c, while rules are wanted. Main thread. */
void dsaa_correct_watch_start(void);
void dsaa_correct_watch_stop(void);

/* dsaa_correct_elsewhere.c: main thread, once, when the programs are loaded. */
void dsaa_correct_elsewhere_start(void);
/* Whether the peers may not know of a connection that is ours ("sync delay"). Main thread. */
bool dsaa_correct_elsewhere_wanted(void);
/*
 * A packet with tuple T, of a connection of ours, came from a peer that knows nothing of it. First
 * queue thread.
 */
void dsaa_correct_elsewhere(uint8_t family, uint8_t proto, const struct dsaa_tuple *t);

/* dsaa_correct_trace.c: what "debug dsaa correction" shows. */
struct dsaa_trace_filter {
	bool set;		   /* else everything */
	uint8_t protocol;	   /* 0: any */
	struct dsaa_addr src, dst; /* family 0: any */
	int sport, dport;	   /* -1: any */
};
/* Main thread. */
void dsaa_correct_trace_filter(const struct dsaa_trace_filter *f);
/* Whether to show packets at all. Main thread. */
void dsaa_correct_trace_on(bool on);
/* The queue thread. */
void dsaa_correct_trace(void *arg, const struct dsaa_nfq_trace *t);

/* dsaa_correct.c: looks at the rules in the kernel; what is not as it should be is made anew. */
enum dsaa_correct_found {
	DSAA_CORRECT_WELL,    /* or there are none, and need not be */
	DSAA_CORRECT_CHANGED, /* somebody changed them */
	DSAA_CORRECT_UNREAD,  /* the kernel did not tell: look again */
};
enum dsaa_correct_found dsaa_correct_look(void);

/* dsaa_correct.c: the interfaces on which foreign packets are caught. */
bool dsaa_correct_is_caught(const char *ifname);
#endif
