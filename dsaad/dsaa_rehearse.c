/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A rehearsal: how many connections would survive the death of each site, and
 * why the others would not. Main thread; only looks.
 *
 * Ours survive when a peer holds them: a peer that is up and has confirmed all
 * of ours, but for what changed since. Those of another site survive when we
 * hold them, so what we hold is counted; what its kernel has and never told is
 * known only there, and so is told by the same command there.
 */
#include "dsaad/dsaad.h"

#include "dsaad/dsaa_view.h"

static bool look(void *arg, const struct dsaa_flow *f)
{
	struct dsaa_rehearsal *r = arg;
	unsigned owner = dsaa_mark_owner(f->mark, dsaa_conf.mark_mask), reason;

	r->looked_at++;
	if (!owner)
		owner = dsaa_local_site();
	if (owner > DSAA_SITES_MAX)
		return true;
	if (owner != dsaa_local_site()) {
		r->connections[owner]++;
		r->survive[owner]++;
		return true;
	}
	if (dsaa_sync_replicates(f, &reason)) {
		r->connections[owner]++;
		r->survive[owner]++;
	} else if (reason != DSAA_R_ROUTER_ITSELF) {
		/* those of the router itself end with it, and are nobody else's */
		r->connections[owner]++;
		r->lost[owner][reason]++;
	}
	return true;
}

static void lose(struct dsaa_rehearsal *r, unsigned site, uint64_t n, unsigned reason)
{
	if (n > r->survive[site])
		n = r->survive[site];
	r->survive[site] -= n;
	r->lost[site][reason] += n;
}

/* Of ours: what no peer holds, or would take over. */
static void judge_ours(struct dsaa_rehearsal *r)
{
	unsigned no_keeper = DSAA_R_NO_KEEPER;
	uint64_t backlog = UINT64_MAX;

	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++) {
		struct dsaa_peer_view v;

		if (!dsaa_view_is_peer(s))
			continue;
		dsaa_view_peer(s, &v);
		if (v.state != DSAA_PEER_UP || !v.ours_confirmed)
			continue;
		if (v.adoption_refused)
			no_keeper = DSAA_R_RULESET_DIFFERS;
		else if (v.backlog < backlog)
			backlog = v.backlog;
	}
	if (backlog == UINT64_MAX)
		lose(r, dsaa_local_site(), backlog, no_keeper);
	else
		lose(r, dsaa_local_site(), backlog, DSAA_R_BACKLOG);
}

/* Of a peer's: what it told us, and our kernel did not take. */
static void judge_theirs(struct dsaa_rehearsal *r, unsigned s)
{
	static const unsigned refusals[] = { DSAA_R_TABLE_FULL, DSAA_R_KERNEL_ERROR };
	struct dsaa_peer_view v;

	dsaa_view_peer(s, &v);
	if (v.adoption_refused)
		lose(r, s, UINT64_MAX, DSAA_R_RULESET_DIFFERS);
	if (v.theirs_complete)
		return;
	for (unsigned i = 0; i < array_size(refusals); i++) {
		r->connections[s] += v.flows_rejected[refusals[i]];
		r->lost[s][refusals[i]] += v.flows_rejected[refusals[i]];
	}
}

bool dsaa_rehearse(struct dsaa_rehearsal *r, const char **err)
{
	enum dsaa_walked walked;

	memset(r, 0, sizeof(*r));
	if (!dsaa_local_site()) {
		*err = "the local site is not known";
		return false;
	}
	walked = dsaa_flow_walk(-1, look, r, err);
	if (walked == DSAA_WALKED_ERROR)
		return false;
	r->bounded = walked == DSAA_WALKED_CUT;
	judge_ours(r);
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		if (dsaa_view_is_peer(s))
			judge_theirs(r, s);
	return true;
}
