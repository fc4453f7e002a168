/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether connections of other sites are in the kernel's table, and which: what
 * the fast path must know to leave all other packets alone.
 *
 * The gate is open while there are any. The sync thread opens it before it puts
 * the first one there; the main thread closes it when a while later it finds
 * none. The filter knows their tuples; the sync thread adds each, the main
 * thread empties it when it knows too many that are gone, and fills it again
 * from the table. Both searches are one dump in pieces, so that the main thread
 * does other things in between.
 *
 * Where this is wrong for a moment, a packet takes the slow path: the rules find
 * foreign packets without gate or filter.
 *
 * Threads: main thread, but for dsaa_correct_foreign(), which the sync thread
 * calls.
 */
#include "dsaad/dsaa_correct.h"

#include "log.h"

#include "conntrack/dsaa_conntrack.h"

enum {
	/* how often the table is searched, seconds */
	SEARCH_S = 10,
	/* how often the filter is made anew at most, seconds */
	RENEW_S = 60,
	/* of the filter's bits: more make it of little use */
	FULL_PERCENT = 25,
	/* entries read at once */
	PIECE = 512,
};

static _Atomic bool gate = true;
static _Atomic bool recent = true; /* the sync thread put some there since the last search */

/* the search */
static struct dsaa_ct *ct;
static uint32_t ct_mask;
static struct event *t_piece;
static unsigned site; /* whose connections are searched for; 0: no search runs */
static bool renewing; /* the filter is made anew, else any one ends the search */
static bool found;
static struct dsaa_mono searched_at, renewed_at;

/* ------------------------------------------------------------------ the sync thread's */

static void tell_filter(struct dsaa_fast *fast, const struct dsaa_flow *f)
{
	if (f->proto != DSAA_PROTO_TCP && f->proto != DSAA_PROTO_UDP)
		return;
	dsaa_fast_filter_add(fast, f->family, &f->orig);
	dsaa_fast_filter_add(fast, f->family, &f->reply);
}

void dsaa_correct_foreign(const struct dsaa_apply *ops, unsigned count)
{
	struct dsaa_fast *fast = dsaa_correct_fast();

	if (!fast)
		return;
	/* of another site or not: a bit too many does no harm */
	for (unsigned i = 0; i < count; i++)
		if (ops[i].kind != DSAA_APPLY_LOOKUP && ops[i].kind != DSAA_APPLY_DELETE)
			tell_filter(fast, &ops[i].flow);
	atomic_store(&recent, true);
	if (atomic_exchange(&gate, true))
		return;
	dsaa_fast_set_foreign(fast, true);
	dsaa_correct_changed();
}

/* ------------------------------------------------------------------ search */

/*
 * The sync thread may put one there just now: either it saw the gate closed and opens it, or its
 * word is seen here. Bits that are lost in between it tells again afterwards.
 */
static void close_gate(struct dsaa_fast *fast)
{
	atomic_store(&gate, false);
	dsaa_fast_set_foreign(fast, false);
	dsaa_fast_filter_reset(fast);
	dsaa_fast_filter_complete(fast);
	if (atomic_load(&recent)) {
		atomic_store(&gate, true);
		dsaa_fast_set_foreign(fast, true);
	}
	dsaa_correct_changed();
}

static void end_search(bool complete)
{
	dsaa_ct_dump_cancel(ct);
	site = 0;
	searched_at = dsaa_mono_now();
	if (!complete)
		return;
	if (!found && !atomic_load(&recent))
		close_gate(dsaa_correct_fast());
	else if (renewing)
		dsaa_fast_filter_complete(dsaa_correct_fast());
}

static void one_found(void *arg, const struct dsaa_flow *f)
{
	found = true;
	if (renewing)
		tell_filter(dsaa_correct_fast(), f);
}

/*
 * Begins with the next site that may have connections here; whatever its word, which may change
 * meanwhile. DONE: there is none any more.
 */
static enum dsaa_ct_dump next_site(void)
{
	while (++site <= DSAA_SITES_MAX)
		if (dsaa_conf.site[site].configured && site != dsaa_local_site())
			return dsaa_ct_dump_start(ct, (int)site) == 0 ? DSAA_CT_DUMP_MORE :
									DSAA_CT_DUMP_ERROR;
	return DSAA_CT_DUMP_DONE;
}

static void search_piece(struct event *t)
{
	enum dsaa_ct_dump rc = DSAA_CT_DUMP_ERROR;

	frr_with_privs (&dsaa_privs) {
		rc = dsaa_ct_dump_read(ct, PIECE, one_found, NULL);
		if (rc == DSAA_CT_DUMP_DONE)
			rc = next_site();
	}
	if (rc != DSAA_CT_DUMP_MORE || (found && !renewing))
		end_search(rc != DSAA_CT_DUMP_ERROR);
	else
		event_add_event(master, search_piece, NULL, 0, &t_piece);
}

static bool open_ct(void)
{
	char err[160];

	if (ct && ct_mask != dsaa_conf.mark_mask) {
		dsaa_ct_close(ct);
		ct = NULL;
	}
	ct_mask = dsaa_conf.mark_mask;
	if (!ct)
		ct = dsaa_ct_open(ct_mask, false, err, sizeof(err));
	return ct != NULL;
}

static void begin_search(bool renew)
{
	bool begun = false;

	atomic_store(&recent, false);
	found = false;
	renewing = renew;
	site = 0;
	if (renew) {
		renewed_at = dsaa_mono_now();
		dsaa_fast_filter_reset(dsaa_correct_fast());
	}
	frr_with_privs (&dsaa_privs) {
		begun = open_ct() && next_site() == DSAA_CT_DUMP_MORE;
	}
	if (begun)
		event_add_event(master, search_piece, NULL, 0, &t_piece);
	else
		site = 0;
}

static bool passed(struct dsaa_mono since, int64_t seconds)
{
	return !since.us || dsaa_mono_diff_us(dsaa_mono_now(), since) > seconds * INT64_C(1000000);
}

void dsaa_correct_gate_check(void)
{
	struct dsaa_fast *fast = dsaa_correct_fast();
	bool renew;

	if (site || !dsaa_correct_fast_running() || !atomic_load(&gate))
		return;
	renew = !dsaa_fast_filter_is_complete(fast) ||
		(dsaa_fast_filter_full(fast) > FULL_PERCENT && passed(renewed_at, RENEW_S));
	if (renew || (!atomic_exchange(&recent, false) && passed(searched_at, SEARCH_S)))
		begin_search(renew);
}

void dsaa_correct_gate_stop(void)
{
	EVENT_OFF(t_piece);
	if (site)
		end_search(false);
}

bool dsaa_correct_gate_is_open(void)
{
	return atomic_load(&gate);
}
