/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the sites should have alike, told to the peers line by line
 * (core/dsaa_differ.c): the dsaa block, and the rules that a forwarded packet
 * passes (rules/dsaa_policy.c). Main thread.
 *
 * The lines are the configuration's own words with what is left out filled in, so
 * that a default that one site changed shows at both. Left out are local-site
 * and the key file, which may differ from router to router.
 */
#include "dsaad/dsaad.h"

#include "log.h"
#include "printfrr.h"

#include "dsaad/dsaa_config.h"
#include "dsaad/dsaa_debug.h"
#include "dsaad/dsaa_errors.h"
#include "rules/dsaa_policy.h"

/* How often the kernel is asked whether the ruleset changed. */
enum { POLL_S = 2 };

static struct event *t_poll;
static bool policy_known;
static uint32_t policy_generation; /* that it was read at */
static char policy_why[64];	   /* why it is not known */

/* ------------------------------------------------------------------ the block */

static void line(struct dsaa_lines *l, const char *fmt, ...) PRINTFRR(2, 3);
static void line(struct dsaa_lines *l, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintfrr(text, sizeof(text), fmt, ap);
	va_end(ap);
	dsaa_lines_add(l, text, strlen(text));
}

static void site_lines(struct dsaa_lines *l, unsigned s)
{
	const struct dsaa_site *site = &dsaa_conf.site[s];
	const struct dsaa_uips *u;

	line(l, "site %u name %s", s, site->name);
	for (unsigned i = 0; i < site->sync_addresses; i++)
		line(l, "site %u sync-address %pIA", s, &site->sync_address[i]);
	frr_each (dsaa_uips_list_const, &site->uips, u)
		line(l, "site %u uips %s %pFX", s, u->ifname, &u->address);
	if (site->has_probe)
		line(l, "site %u probe %pIA", s, &site->probe);
	for (unsigned i = 0; i < site->nat_pools; i++)
		line(l, "site %u nat-pool %pFX", s, &site->nat_pool[i]);
	for (unsigned i = 0; i < site->zones.count; i++)
		line(l, "site %u zone %s %u", s, site->zones.zone[i].name,
		     site->zones.zone[i].number);
}

static void sync_lines(struct dsaa_lines *l)
{
	const struct dsaa_config *c = &dsaa_conf;
	char number[8];

	line(l, "sync port %u", c->sync_port);
	line(l, "%ssync insecure", c->insecure ? "" : "no ");
	line(l, "sync delay %u", c->delay_s[0]); /* no protocol: what holds for all others */
	for (unsigned p = 1; p < array_size(c->delay_s); p++) {
		if (!(c->protocols[p / 64] & (UINT64_C(1) << p % 64)))
			line(l, "sync protocol %s no", dsaa_protocol_text(p, number));
		if (c->delay_s[p] != c->delay_s[0])
			line(l, "sync delay %u protocol %s", c->delay_s[p],
			     dsaa_protocol_text(p, number));
	}
	for (unsigned i = 0; i < c->no_syncs; i++)
		line(l, "no sync prefix %pFX", &c->no_sync[i]);
}

static void correction_lines(struct dsaa_lines *l)
{
	static const char *const modes[] = {
		[DSAA_CORRECTION_AUTO] = "auto",       [DSAA_CORRECTION_KERNEL] = "kernel",
		[DSAA_CORRECTION_NFQUEUE] = "nfqueue", [DSAA_CORRECTION_OFF] = "off",
		[DSAA_CORRECTION_OBSERVE] = "observe",
	};
	const struct dsaa_config *c = &dsaa_conf;

	for (unsigned i = 0; i < c->correction_ifaces; i++)
		line(l, "correction interface %s", c->correction_iface[i]);
	line(l, "correction mode %s", modes[c->correction_mode]);
	line(l, "correction mark-mask 0x%08x", c->mark_mask);
	line(l, "correction hold %u", c->correction_hold_ms);
	line(l, "correction port %u", dsaa_correction_port());
}

static void routing_lines(struct dsaa_lines *l)
{
	static const char *const splits[] = {
		[DSAA_SPLIT_ADOPT_ON_DEMAND] = "adopt-on-demand",
		[DSAA_SPLIT_DROP] = "drop",
		[DSAA_SPLIT_PRIMARY] = "primary",
	};
	const struct dsaa_config *c = &dsaa_conf;
	const struct dsaa_advert *a;

	frr_each (dsaa_advert_list_const, &c->adverts, a) {
		const char *vrf = a->vrf[0] ? " vrf " : "";

		if (a->site)
			line(l, "advertise %pFX site %u%s%s", &a->prefix, a->site, vrf, a->vrf);
		else
			line(l, "advertise %pFX all%s%s", &a->prefix, vrf, a->vrf);
	}
	line(l, "advertise-tag active %u backup %u drain %u", c->tag_active, c->tag_backup,
	     c->tag_drain);
	line(l, "advertise-table %u", c->advertise_table);
	for (unsigned i = 0; i < c->vrf_tables; i++)
		line(l, "advertise-table %u vrf %s", c->vrf_table[i].table, c->vrf_table[i].vrf);
	for (unsigned i = 0; i < c->tracks; i++)
		line(l, "track route %pFX", &c->track[i]);
	if (!c->bfd)
		line(l, "no bfd");
	else
		line(l, "bfd%s%s", c->bfd_profile[0] ? " profile " : "", c->bfd_profile);
	line(l, "hold-time %u", c->hold_time_ms);
	line(l, "split-brain %s", splits[c->split_brain]);
	line(l, "ruleset-mismatch %s",
	     c->ruleset_mismatch == DSAA_RULESET_WARN ? "warn" : "refuse-adoption");
}

static void block_lines(struct dsaa_lines *l)
{
	const struct dsaa_config *c = &dsaa_conf;

	dsaa_lines_begin(l);
	line(l, "cluster-id %u", c->cluster_id);
	if (c->ha_mode == DSAA_HA_PRIMARY_UP)
		line(l, "ha-mode primary-up %u", c->primary);
	else
		line(l, "ha-mode active-active");
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		if (c->site[s].configured)
			site_lines(l, s);
	sync_lines(l);
	correction_lines(l);
	routing_lines(l);
}

uint64_t dsaa_config_digest(void)
{
	static struct dsaa_lines l;

	block_lines(&l);
	return l.digest;
}

/* ------------------------------------------------------------------ the ruleset */

static void policy_unknown(int rc)
{
	static struct dsaa_lines none;

	if (policy_known)
		dsaa_sync_post_lines(DSAA_LINES_RULESET, &none);
	policy_known = false;
	snprintf(policy_why, sizeof(policy_why), "%s", rc ? safe_strerror(-rc) : "");
}

/* Reads it when it is new; one that changes meanwhile is read at the next turn. */
static void policy_read(void)
{
	static struct dsaa_lines l;
	uint32_t generation = 0;
	int rc = 0;

	frr_with_privs (&dsaa_privs) {
		rc = dsaa_policy_generation(&generation);
		if (rc == 0 && (!policy_known || generation != policy_generation))
			rc = dsaa_policy_read(&l);
		else if (rc == 0)
			generation = 0; /* nothing new */
	}
	if (rc == -EINTR)
		return;
	if (rc) {
		policy_unknown(rc);
		return;
	}
	if (!generation)
		return;
	policy_known = true;
	policy_generation = generation;
	dsaa_sync_post_lines(DSAA_LINES_RULESET, &l);
	if (DSAA_DEBUG(DSAA_DEBUG_CONFIG))
		zlog_debug("forward policy of generation %u: digest %016" PRIx64, generation,
			   l.digest);
}

static void poll_policy(struct event *t)
{
	policy_read();
	event_add_timer(master, poll_policy, NULL, POLL_S, &t_poll);
}

const char *dsaa_compare_ruleset_why(void)
{
	return policy_known ? "" : policy_why;
}

/* ------------------------------------------------------------------ life */

void dsaa_compare_reconcile(void)
{
	static struct dsaa_lines l;

	if (!dsaa_local_site()) {
		dsaa_compare_stop();
		return;
	}
	block_lines(&l);
	dsaa_sync_post_lines(DSAA_LINES_BLOCK, &l);
	if (!t_poll)
		poll_policy(NULL);
}

void dsaa_compare_stop(void)
{
	event_cancel(&t_poll);
	policy_unknown(0);
}
