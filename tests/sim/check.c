/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What must hold: after every step, of every action, and when all is quiet. */
#include <stdio.h>
#include <string.h>

#include "tests/sim/world.h"

/* ------------------------------------------------------------------ after every step */

static void check_set(struct sim_world *w, int s, const struct dsaa_seen *set)
{
	if (set->used > set->capacity / 4 * 3)
		sim_fail(w, "site %d: a set of hashes is fuller than it may be", s);
}

void sim_check_engine(struct sim_world *w, int s)
{
	const struct dsaa_engine *e = w->site[s].engine;

	if (e->log.live > e->log.entries || e->log.next - e->log.first > e->log.entries)
		sim_fail(w, "site %d: the log is over its bound", s);
	check_set(w, s, &e->seen);
	check_set(w, s, &e->wanted);
	if (e->claims > DSAA_CLAIMS_MAX)
		sim_fail(w, "site %d: more claims than fit", s);
	if (e->action_count >= DSAA_ACTIONS_MAX)
		sim_fail(w, "site %d: actions were lost", s);
	if (e->arena_used > DSAA_ARENA_LEN || e->op_count > DSAA_FLOWS_PER_MSG_MAX ||
	    e->dump_op_count > DSAA_FLOWS_PER_MSG_MAX || e->hash_count > DSAA_HASHES_PER_MSG_MAX)
		sim_fail(w, "site %d: an array is over its bound", s);
	DSAA_FOREACH_PEER_CONST (e, p) {
		if (p->inflight_count > DSAA_INFLIGHT_MAX)
			sim_fail(w, "site %d: more in flight than fits", s);
		/*
		 * one that drains hands over what it owns; its word follows when all is re-marked
		 */
		if (p->session == DSAA_SESSION_ESTABLISHED && w->drained)
			continue;
		if (p->session == DSAA_SESSION_ESTABLISHED && p->word == DSAA_WORD_ADOPTED)
			sim_fail(w, "site %d: site %u is adopted and has a session", s, p->site);
		if (p->session == DSAA_SESSION_ESTABLISHED && p->adopting)
			sim_fail(w, "site %d: site %u is being adopted and has a session", s,
				 p->site);
		if (p->state == DSAA_PEER_UP && p->session != DSAA_SESSION_ESTABLISHED)
			sim_fail(w, "site %d: site %u is up without a session", s, p->site);
	}
}

void sim_check_action(struct sim_world *w, int s, const struct dsaa_action *a)
{
	if (a->type == DSAA_ACT_APPLY && (!a->count || a->count > DSAA_FLOWS_PER_MSG_MAX))
		sim_fail(w, "site %d: APPLY of %u operations", s, a->count);
	if (a->type != DSAA_ACT_CHANGED && (!a->site || a->site > w->sites) &&
	    a->type != DSAA_ACT_DUMP && a->type != DSAA_ACT_DUMP_CANCEL)
		sim_fail(w, "site %d: action %d for site %u", s, a->type, a->site);
}

/* ------------------------------------------------------------------ what an operation may touch */

static uint32_t version(const struct dsaa_flow *f)
{
	return f->mark & SIM_VERSION_MASK;
}

/*
 * Record R is older than replica THERE, which is what its living owner has. (Not when ownership has
 * gone to and fro while sites were cut off, and what came back was older. And where entries have no
 * time of creation an event tells what was when it happened, which a dump may have overtaken: for
 * the moment until the next event.)
 */
static bool is_stale(struct sim_world *w, int s, const struct dsaa_flow *r,
		     const struct dsaa_flow *there)
{
	unsigned owner = dsaa_mark_owner(there->mark, SIM_MARK_MASK);
	const struct dsaa_flow *own;

	if (!owner || owner != dsaa_mark_owner(r->mark, SIM_MARK_MASK) ||
	    !dsaa_flow_key_equal(there, r) || version(r) >= version(there) ||
	    w->tampered[s][sim_flow_number(there)] || w->went_back[owner][sim_flow_number(there)])
		return false;
	own = sim_kernel_find_key(&w->site[owner].kernel, there);
	return own && own->start_ns && !dsaa_mark_owner(own->mark, SIM_MARK_MASK) &&
	       version(own) >= version(there);
}

/*
 * What S adopted on demand stays there: only a site that says the same may get it, or one
 * whose entry is assured, or has NAT, where this one is not.
 */
static void check_stays(struct sim_world *w, int s, const struct dsaa_apply *op,
			const struct dsaa_flow *there, int sender)
{
	const uint32_t nat = DSAA_FLOW_SNAT | DSAA_FLOW_DNAT;
	int n = sim_flow_number(there);

	if (w->adopted_id[s][n] != there->id || w->tampered[s][n] ||
	    (op->flow.has & DSAA_HAS_ON_DEMAND) ||
	    (op->flow.status & ~op->existing.status & (DSAA_FLOW_ASSURED | nat)))
		return;
	sim_fail(w, "site %d gives connection %d, which it adopted on demand, back to %d", s, n,
		 sender);
}

/*
 * Three rules: an entry of ours only gives way to a record that wins against
 * it; an entry of another site only to that site's own word, or to us when we
 * adopt it; and no word that is older than what is there changes anything.
 * What the operation knows of the entry must still be true, but for what
 * packets do between two system calls.
 */
void sim_check_apply(struct sim_world *w, int s, const struct dsaa_apply *op)
{
	struct sim_site *site = &w->site[s];
	const struct dsaa_flow *of = op->kind == DSAA_APPLY_UPDATE ? &op->flow : &op->existing;
	const struct dsaa_flow *there;
	unsigned owner, sender = dsaa_mark_owner(op->flow.mark, SIM_MARK_MASK);
	enum dsaa_owner_decision d;

	if (op->kind == DSAA_APPLY_CREATE || op->kind == DSAA_APPLY_LOOKUP)
		return;
	there = sim_kernel_find(&site->kernel, of, &of->orig);
	if (!there || (op->kind != DSAA_APPLY_UPDATE && there->id != op->existing.id))
		return;
	owner = dsaa_mark_owner(there->mark, SIM_MARK_MASK);
	if (op->kind == DSAA_APPLY_DELETE) {
		/* but for one that somebody marked as ours a moment ago */
		if ((!owner || (int)owner == s) && !w->tampered[s][sim_flow_number(there)])
			sim_fail(w, "site %d deletes an entry of its own (connection %d)", s,
				 sim_flow_number(there));
		return;
	}
	if (!sender) { /* adoption; its mark may have been tampered with since it was dumped */
		if (owner && (int)owner != s && site->word[owner] != DSAA_WORD_ADOPTED &&
		    !w->tampered[s][sim_flow_number(there)])
			sim_fail(w, "site %d adopts connection %d of living site %u", s,
				 sim_flow_number(there), owner);
		return;
	}
	if (dsaa_drain_yields_to(site->engine, &site->engine->peer[sender])) {
		/* step 0: the heir has it, and whoever adopts it later does that anew */
		w->adopted_id[s][sim_flow_number(there)] = 0;
		return;
	}
	d = dsaa_owner_decide(&op->existing, &op->flow, SIM_MARK_MASK, (dsaa_site_id)sender,
			      (dsaa_site_id)s);
	if (d != DSAA_OWNER_TAKE && d != DSAA_OWNER_REPLACE)
		sim_fail(w, "site %d gives connection %d of %u to %u against the rule", s,
			 sim_flow_number(there), owner, sender);
	if (!owner || (int)owner == s) {
		check_stays(w, s, op, there, (int)sender);
		w->went_back[s][sim_flow_number(there)] |= version(&op->flow) < version(there);
	}
	if (is_stale(w, s, &op->flow, there))
		sim_fail(w, "site %d: an older record changes connection %d of %u", s,
			 sim_flow_number(there), owner);
}

/* ------------------------------------------------------------------ two living owners */

/*
 * Each holds what the other told, and each hears the other. Then both may own a connection for as
 * long as the second word takes: a change on its way, or what was refused for a third site's sake
 * (dsaa_claim.c asks again after a second), or a dump after an overrun.
 */
static bool in_touch(const struct sim_world *w, int a, int b)
{
	return w->site[a].daemon && w->site[b].daemon && !w->net.blocked[a][b] &&
	       !w->net.blocked[b][a] && w->site[a].engine->peer[b].state == DSAA_PEER_UP &&
	       w->site[b].engine->peer[a].state == DSAA_PEER_UP;
}

/* The connections that S owns and tells others about. */
static void find_owned(struct sim_world *w, int s, bool owned[SIM_FLOWS_MAX])
{
	const struct dsaa_flow *f;
	unsigned at = 0, reason;

	memset(owned, 0, SIM_FLOWS_MAX * sizeof(owned[0]));
	if (!w->site[s].daemon)
		return;
	while ((f = sim_kernel_next(&w->site[s].kernel, &at)))
		if (dsaa_send_wanted(w->site[s].engine, f, &reason))
			owned[sim_flow_number(f)] = true;
}

static void check_pair(struct sim_world *w, int a, int b, const bool *of_a, const bool *of_b)
{
	/* what somebody altered is the audit's to repair, in its own time */
	bool touch = in_touch(w, a, b) && !(w->faults & SIM_FAULT_BEHIND);

	for (unsigned n = 0; n < w->flows; n++) {
		uint16_t *steps = &w->both_own[a][b][n];

		*steps = touch && of_a[n] && of_b[n] ? *steps + SIM_CHECK_OWNERS_STEPS : 0;
		/* what is held back by 'sync delay' is told that much later */
		if (*steps > SIM_BOTH_OWN_STEPS_MAX +
				     (w->site[1].cfg.delay_s[DSAA_PROTO_UDP] ? SIM_DELAY_STEPS : 0))
			sim_fail(w, "sites %d and %d both own connection %u for %u ms", a, b, n,
				 *steps * SIM_STEP_US / 1000);
	}
}

void sim_check_owners(struct sim_world *w)
{
	static bool owned[SIM_SITES + 1][SIM_FLOWS_MAX];

	for (int s = 1; s <= w->sites; s++)
		find_owned(w, s, owned[s]);
	for (int a = 1; a <= w->sites; a++)
		for (int b = a + 1; b <= w->sites; b++)
			check_pair(w, a, b, owned[a], owned[b]);
}

/* ------------------------------------------------------------------ when all is quiet */

#define DISAGREE(...) (snprintf(why, len, __VA_ARGS__), false)

static bool lives(const struct sim_world *w, int s)
{
	return w->site[s].daemon && w->site[s].power;
}

static bool sessions_agree(const struct sim_world *w, int s, char *why, size_t len)
{
	const struct dsaa_engine *e = w->site[s].engine;

	if (!e->state_complete)
		return DISAGREE("site %d: state is not complete", s);
	for (int p = 1; p <= w->sites; p++) {
		struct dsaa_peer_view v;

		if (p == s || !dsaa_engine_peer_view(e, (dsaa_site_id)p, &v))
			continue;
		if (!lives(w, p)) {
			if (v.state != DSAA_PEER_DEAD || w->site[s].word[p] != DSAA_WORD_ADOPTED)
				return DISAGREE("site %d: dead site %d is %s, word %d", s, p,
						dsaa_peer_state_name(v.state), w->site[s].word[p]);
			continue;
		}
		/* one that drains may have handed over to us */
		if (v.state != DSAA_PEER_UP ||
		    (w->site[s].word[p] != DSAA_WORD_ALIVE &&
		     !(v.peer_draining && w->site[s].word[p] == DSAA_WORD_ADOPTED)))
			return DISAGREE("site %d: site %d is %s (%s), word %d", s, p,
					dsaa_peer_state_name(v.state), dsaa_reason_name(v.reason),
					w->site[s].word[p]);
		if (!v.ours_confirmed || !v.theirs_complete || v.backlog)
			return DISAGREE("site %d: site %d confirmed %d complete %d backlog %u", s,
					p, v.ours_confirmed, v.theirs_complete, v.backlog);
	}
	return true;
}

/*
 * What travels of a connection, compared; TCP flags but for the one that replicas get. An entry
 * that was handed over became a replica in place: it may have seen a last packet more than the
 * heir's.
 */
static bool same_state(const struct sim_world *w, const struct dsaa_flow *own,
		       const struct dsaa_flow *replica)
{
	if (w->drained && !(own->status & ~replica->status))
		return true;
	return !memcmp(&own->reply, &replica->reply, sizeof(own->reply)) &&
	       own->status == replica->status && own->tcp_state == replica->tcp_state &&
	       !memcmp(own->tcp_wscale, replica->tcp_wscale, 2) &&
	       !((own->mark ^ replica->mark) & ~(uint32_t)SIM_MARK_MASK) &&
	       replica->timeout_s == DSAA_REPLICA_TIMEOUT_S;
}

/* Everybody holds own entry F of S, as it is. */
static bool own_agrees(struct sim_world *w, int s, const struct dsaa_flow *f, char *why, size_t len)
{
	unsigned reason;
	bool wanted = dsaa_send_wanted(w->site[s].engine, f, &reason);
	int n = sim_flow_number(f);

	for (int o = 1; o <= w->sites; o++) {
		const struct dsaa_flow *replica;

		if (o == s || !lives(w, o))
			continue;
		replica = sim_kernel_find_key(&w->site[o].kernel, f);
		if (!wanted && replica && (int)dsaa_mark_owner(replica->mark, SIM_MARK_MASK) == s)
			return DISAGREE("site %d holds connection %d of %d, which %s excludes", o,
					n, s, dsaa_reason_name(reason));
		if (!wanted)
			continue;
		if (!replica)
			return DISAGREE("site %d misses connection %d of %d", o, n, s);
		if ((int)dsaa_mark_owner(replica->mark, SIM_MARK_MASK) != s)
			return DISAGREE("connection %d of %d belongs to %u at %d", n, s,
					dsaa_mark_owner(replica->mark, SIM_MARK_MASK), o);
		/*
		 * audit looks at keys and owners: a state that was altered stays until the next
		 * change
		 */
		if (!w->tampered[o][n] && !same_state(w, f, replica))
			return DISAGREE(
				"connection %d of %d has another state at %d: status %x %x, "
				"state %u %u, mark %x %x, timeout %u",
				n, s, o, f->status, replica->status, f->tcp_state,
				replica->tcp_state, f->mark, replica->mark, replica->timeout_s);
	}
	return true;
}

/* Replica F at S has an owner that knows it. */
static bool replica_agrees(struct sim_world *w, int s, unsigned owner, const struct dsaa_flow *f,
			   char *why, size_t len)
{
	const struct dsaa_flow *own;
	unsigned theirs;

	if (owner > (unsigned)w->sites || !lives(w, (int)owner))
		return DISAGREE("site %d holds connection %d of dead site %u", s,
				sim_flow_number(f), owner);
	own = sim_kernel_find_key(&w->site[owner].kernel, f);
	theirs = own ? dsaa_mark_owner(own->mark, SIM_MARK_MASK) : 0;
	if (!own || (theirs && theirs != owner))
		return DISAGREE("site %d holds connection %d of %u, which %s", s,
				sim_flow_number(f), owner,
				own ? "says it is another's" : "does not have it");
	return true;
}

static bool all_live(const struct sim_world *w)
{
	for (int s = 1; s <= w->sites; s++)
		if (!lives(w, s))
			return false;
	return true;
}

static bool table_agrees(struct sim_world *w, int s, char *why, size_t len)
{
	const struct dsaa_flow *f;
	unsigned at = 0;

	while ((f = sim_kernel_next(&w->site[s].kernel, &at))) {
		unsigned owner = dsaa_mark_owner(f->mark, SIM_MARK_MASK);
		bool ours = !owner || (int)owner == s;

		if ((int)owner == s && all_live(w))
			return DISAGREE("site %d: connection %d is not settled", s,
					sim_flow_number(f));
		if (ours ? !own_agrees(w, s, f, why, len) :
			   !replica_agrees(w, s, owner, f, why, len))
			return false;
	}
	return true;
}

bool sim_check_agree(struct sim_world *w, char *why, size_t len)
{
	for (int s = 1; s <= w->sites; s++) {
		if (w->site[s].gone)
			continue;
		if (!lives(w, s))
			return DISAGREE("site %d does not run yet", s);
		if (!sessions_agree(w, s, why, len) || !table_agrees(w, s, why, len))
			return false;
	}
	return true;
}
