/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's fast path, see dsaa_correct.h. What it needs of the
 * configuration is what the queue thread gets, too. The gate is in
 * dsaa_correct_gate.c.
 */
#include "dsaad/dsaa_correct.h"

#include <pwd.h>

#include "log.h"

#include "dsaad/dsaa_errors.h"

enum {
	/* a new attempt after the fast path could not be made, seconds */
	RETRY_S = 30,
	/* how long the queue thread may take to close the port: tries, a millisecond each */
	PORT_TRIES = 50,
};

static struct dsaa_fast *fast;
static struct dsaa_fast_config config;
static struct dsaa_fast_status status;
static char none[256];	 /* the programs cannot be loaded: why */
static char failed[256]; /* the last attempt failed: why */
static char said[256];	 /* what the log says of that */
static bool running;
static bool maybe_there; /* something may be left in the kernel */
static struct dsaa_mono failed_at;

struct dsaa_fast *dsaa_correct_fast(void)
{
	return fast;
}

/* ------------------------------------------------------------------ loading */

void dsaa_correct_fast_load(void)
{
	struct passwd *pw = dsaa_privs.user ? getpwnam(dsaa_privs.user) : NULL;

	fast = dsaa_fast_load(NULL, pw ? pw->pw_uid : geteuid(), pw ? pw->pw_gid : getegid(), none,
			      sizeof(none));
	maybe_there = fast != NULL;
}

bool dsaa_correct_fast_wanted(void)
{
	return fast && dsaa_conf.correction_mode != DSAA_CORRECTION_NFQUEUE &&
	       dsaa_conf.correction_mode != DSAA_CORRECTION_OFF;
}

/* ------------------------------------------------------------------ applying */

static void make_config(struct dsaa_fast_config *c, const struct dsaa_nfq_config *nfq)
{
	memset(c, 0, sizeof(*c));
	c->local_site = nfq->local_site;
	c->mark_mask = dsaa_conf.mark_mask;
	c->tunnel_port = nfq->tunnel_port;
	strlcpy(c->tun_name, nfq->tun_name, sizeof(c->tun_name));
	c->peers = nfq->peers;
	for (unsigned i = 0; i < nfq->peers; i++) {
		struct dsaa_fast_peer *p = &c->peer[i];

		p->site = nfq->peer[i].site;
		p->links = nfq->peer[i].links;
		for (unsigned j = 0; j < p->links; j++) {
			p->link[j].local = nfq->peer[i].link[j].local;
			p->link[j].remote = nfq->peer[i].link[j].remote;
			p->link[j].ifindex = nfq->peer[i].link[j].ifindex;
		}
		/* as the queue thread: the first link whose address is here */
		while (p->send + 1 < p->links && !nfq->peer[i].link[p->send].ifindex)
			p->send++;
	}
	c->ifaces = nfq->ifaces;
	for (unsigned i = 0; i < nfq->ifaces; i++) {
		strlcpy(c->iface[i].name, nfq->iface[i].name, sizeof(c->iface[i].name));
		c->iface[i].caught = dsaa_correct_is_caught(nfq->iface[i].name);
	}
	c->observe = dsaa_conf.correction_mode == DSAA_CORRECTION_OBSERVE;
	c->elsewhere = dsaa_correct_elsewhere_wanted();
	c->prefixes = nfq->prefixes;
	memcpy(c->prefix, nfq->prefix, sizeof(c->prefix));
}

static bool apply(void)
{
	bool ok = false;

	frr_with_privs (&dsaa_privs) {
		ok = dsaa_fast_apply(fast, &config, &status);
	}
	maybe_there = true;
	return ok;
}

bool dsaa_correct_fast_may_run(const struct dsaa_nfq_config *nfq)
{
	struct dsaa_fast_config *c;
	bool may;

	if (!dsaa_correct_fast_wanted()) {
		failed[0] = said[0] = '\0';
		return false;
	}
	c = XCALLOC(MTYPE_TMP, sizeof(*c));
	make_config(c, nfq);
	/* what failed a short while ago would fail again, and the port is closed for it */
	/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): all of it from XCALLOC() */
	may = !failed[0] || memcmp(c, &config, sizeof(config)) ||
	      dsaa_mono_diff_us(dsaa_mono_now(), failed_at) > RETRY_S * INT64_C(1000000);
	memcpy(&config, c, sizeof(config));
	XFREE(MTYPE_TMP, c);
	return may;
}

/* Once for each reason, and when it has gone. */
static void log_result(void)
{
	static struct dsaa_log_limit of_parts;
	unsigned hidden;

	if (status.repaired && running && dsaa_log_allowed(&of_parts, &hidden))
		flog_warn(EC_DSAA_FAST_PATH,
			  "somebody changed the fast path: %u of its parts put back (%u times "
			  "before)",
			  status.repaired, hidden);
	if (!strcmp(said, failed))
		return;
	strlcpy(said, failed, sizeof(said));
	if (failed[0])
		flog_warn(EC_DSAA_FAST_PATH, "the kernel's fast path does not run: %s", failed);
	else
		zlog_info("the kernel's fast path runs again");
}

bool dsaa_correct_fast_apply(void)
{
	/* when it starts, the queue thread takes a moment to close the port */
	unsigned tries = running ? 1 : PORT_TRIES;

	while (!(running = apply()) && status.port_in_use && --tries)
		usleep(1000);
	strlcpy(failed, running ? "" : status.why, sizeof(failed));
	if (!running)
		failed_at = dsaa_mono_now();
	log_result();
	return running;
}

void dsaa_correct_fast_remove(void)
{
	char err[256];

	running = false;
	if (!fast || !maybe_there)
		return;
	frr_with_privs (&dsaa_privs) {
		if (dsaa_fast_remove(fast, err, sizeof(err)))
			maybe_there = false;
		else
			flog_warn(EC_DSAA_FAST_PATH, "%s", err);
	}
}

bool dsaa_correct_fast_running(void)
{
	return running;
}

/* ------------------------------------------------------------------ views */

const char *dsaa_correct_fast_why(void)
{
	if (!fast)
		return none;
	return running ? status.why : failed;
}

bool dsaa_correct_fast_serves(const char *ifname)
{
	for (unsigned i = 0; running && i < config.ifaces; i++)
		if (!strcmp(config.iface[i].name, ifname))
			return status.kernel[i];
	return false;
}

bool dsaa_correct_fast_is_straight(ifindex_t ifindex, const char **why)
{
	*why = status.not_straight;
	for (unsigned i = 0; i < array_size(status.straight); i++)
		if (running && status.straight[i] == (unsigned)ifindex)
			return true;
	return false;
}

void dsaa_correct_fast_word(uint8_t site, enum dsaa_site_word word)
{
	if (fast)
		dsaa_fast_set_word(fast, site, word);
}

enum dsaa_site_word dsaa_correct_fast_get_word(uint8_t site)
{
	return fast ? dsaa_fast_get_word(fast, site) : DSAA_WORD_UNKNOWN;
}

void dsaa_correct_fast_address(const struct dsaa_addr *a, bool added)
{
	if (fast)
		dsaa_fast_address(fast, a, added);
}

void dsaa_correct_fast_counters(struct dsaa_fast_counters *c)
{
	memset(c, 0, sizeof(*c));
	if (fast)
		dsaa_fast_counters(fast, c);
}

void dsaa_correct_fast_clear(void)
{
	if (fast)
		dsaa_fast_counters_clear(fast);
}
