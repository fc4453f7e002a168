/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs simulated worlds, one per seed: some seconds in which clients send and
 * things break, then silence, in which all living sites must come to agree,
 * and stay so.
 *
 *	SEEDS=n     how many (3000)     SEED0=s    the first (1)
 *	FAULTS=m    bits of enum sim_fault that may be drawn (all)
 *	TRACE=1     tell what happens    KEY=n      ... to connection n
 *
 * A failure prints its seed; SEED0=seed SEEDS=1 runs it again, step by step
 * the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world.h"

enum {
	BUSY_STEPS_MIN = 300,
	BUSY_STEPS_MAX = 1500,
	/* the longest waits: start timer, a bulk's retry, two audits of all with all */
	QUIET_STEPS_MAX = 6000,
	STAYS_STEPS = 300,
};

static unsigned long long number(const char *name, unsigned long long otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static void steps(struct sim_world *w, unsigned n)
{
	while (n-- && !w->failed)
		sim_world_step(w);
}

/*
 * How often states were brought in step, by changes only and by all of it, since the daemons'
 * start.
 */
static void count_starts(const struct sim_world *w, uint64_t *resumes, uint64_t *bulks)
{
	for (int s = 1; s <= w->sites; s++) {
		if (!w->site[s].engine)
			continue;
		DSAA_FOREACH_PEER_CONST (w->site[s].engine, p) {
			*resumes += p->resumes_sent;
			*bulks += p->bulks_sent;
		}
	}
}

/* All is healed and quiet: do the sites agree, soon, and then for good? */
static void settle(struct sim_world *w)
{
	char why[200] = "";
	uint64_t sent, resumes = 0, resumed = 0, bulks = 0;

	for (unsigned i = 0; i < QUIET_STEPS_MAX && !w->failed; i += 10) {
		steps(w, 10);
		if (!w->failed && sim_check_agree(w, why, sizeof(why)))
			break;
	}
	if (w->failed)
		return;
	if (!sim_check_agree(w, why, sizeof(why))) {
		sim_fail(w, "the sites do not agree: %s", why);
		return;
	}
	sim_say(w, "agreed");
	sent = w->records_sent;
	count_starts(w, &resumes, &bulks);
	steps(w, STAYS_STEPS);
	count_starts(w, &resumed, &bulks);
	if (!w->failed && !sim_check_agree(w, why, sizeof(why)))
		sim_fail(w, "the sites agreed, and do no longer: %s", why);
	/* a session that only now was found broken repeats what was not confirmed */
	if (w->records_sent != sent && resumed == resumes)
		sim_fail(w, "the sites agreed, and still tell each other changes");
}

struct totals {
	uint64_t steps, resumes, bulks, on_demand;
};

/* True when the world of SEED held. */
static bool run(uint64_t seed, unsigned faults, struct totals *total)
{
	struct sim_world *w = malloc(sizeof(*w));
	bool ok;

	sim_world_init(w, seed, faults);
	steps(w, sim_random_range(&w->random, BUSY_STEPS_MIN, BUSY_STEPS_MAX));
	w->busy = false;
	if (!w->failed)
		sim_faults_heal(w);
	settle(w);
	ok = !w->failed;
	total->steps += w->steps;
	total->on_demand += w->on_demand;
	count_starts(w, &total->resumes, &total->bulks);
	if (!ok)
		printf("SEED0=%llu SEEDS=1: %d sites, faults %03x, audit %u ms, at %.2f s: %s\n",
		       (unsigned long long)seed, w->sites, w->faults, w->audit_interval_ms,
		       (double)w->now.us / 1e6, w->why);
	sim_world_free(w);
	free(w);
	return ok;
}

int main(void)
{
	unsigned long long seeds = number("SEEDS", 3000), first = number("SEED0", 1);
	unsigned faults = (unsigned)number("FAULTS", SIM_FAULTS_ALL);
	unsigned long long failed = 0;
	struct totals total = { 0 };

	sim_trace = number("TRACE", 0);
	sim_trace_key = (int)number("KEY", (unsigned long long)-1);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (unsigned long long seed = first; seed < first + seeds; seed++)
		failed += !run(seed, faults, &total);
	printf("%.0f simulated seconds, %llu bulks, %llu resumes, %llu adopted on demand\n",
	       (double)total.steps * SIM_STEP_US / 1e6, (unsigned long long)total.bulks,
	       (unsigned long long)total.resumes, (unsigned long long)total.on_demand);
	printf("%llu passed, %llu failed\n", seeds - failed, failed);
	return failed ? 1 : 0;
}
