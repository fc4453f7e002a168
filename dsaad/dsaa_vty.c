/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "show dsaa", the commands of the enable node, and what all answers have in
 * common (dsaa_vty.h). Main thread.
 */
#include <zebra.h>

#include "command.h"
#include "json.h"
#include "printfrr.h"
#include "vrf.h"
#include "vty.h"

#include "dsaad/dsaa_config.h"
#include "dsaad/dsaa_correct.h"
#include "dsaad/dsaa_nb.h"
#include "dsaad/dsaa_vty.h"

#include "dsaad/dsaa_vty_clippy.c"

/* ------------------------------------------------------------------ all answers */

const char *dsaa_vty_age(struct dsaa_mono t, char buf[32])
{
	int64_t s = dsaa_mono_diff_us(dsaa_mono_now(), t) / 1000000;

	if (s < 0)
		s = 0;
	if (s < 86400)
		snprintf(buf, 32, "%02d:%02d:%02d", (int)(s / 3600), (int)(s / 60 % 60),
			 (int)(s % 60));
	else
		snprintf(buf, 32, "%" PRId64 "d%02dh%02dm", s / 86400, (int)(s / 3600 % 24),
			 (int)(s / 60 % 60));
	return buf;
}

struct json_object *dsaa_vty_answer_new(void)
{
	struct json_object *o = json_object_new_object();

	json_object_boolean_add(o, "insecure", dsaa_conf.insecure);
	return o;
}

int dsaa_vty_answer(struct vty *vty, struct json_object *o)
{
	return vty_json(vty, o);
}

bool dsaa_vty_head(struct vty *vty)
{
	if (!dsaa_conf.enabled) {
		vty_out(vty, "%% No dsaa block is configured\n");
		return false;
	}
	if (dsaa_conf.insecure)
		vty_out(vty, "%% INSECURE: the sessions are plain text ('sync insecure')\n");
	return true;
}

struct json_object *dsaa_vty_reasons_json(const uint64_t n[DSAA_REASONS_MAX])
{
	struct json_object *o = json_object_new_object();

	for (unsigned r = dsaa_reason_next(0); r < DSAA_REASONS_MAX; r = dsaa_reason_next(r))
		if (n[r])
			json_object_int_add(o, dsaa_reason_name(r), n[r]);
	return o;
}

void dsaa_vty_reasons(struct vty *vty, const char *indent, const uint64_t n[DSAA_REASONS_MAX])
{
	for (unsigned r = dsaa_reason_next(0); r < DSAA_REASONS_MAX; r = dsaa_reason_next(r))
		if (n[r])
			vty_out(vty, "%s%-26s %12" PRIu64 "  %s\n", indent, dsaa_reason_name(r),
				n[r], dsaa_reason_meaning(r));
}

struct json_object *dsaa_vty_object_at(struct json_object *parent, unsigned site)
{
	struct json_object *o = json_object_new_object();
	char key[8];

	snprintf(key, sizeof(key), "%u", site);
	json_object_object_add(parent, key, o);
	return o;
}

void dsaa_vty_reason_json(struct json_object *o, unsigned reason)
{
	json_object_string_add(o, "reason", reason ? dsaa_reason_name(reason) : "");
	json_object_string_add(o, "reasonText", reason ? dsaa_reason_meaning(reason) : "");
	json_object_string_add(o, "remedy", reason ? dsaa_reason_remedy(reason) : "");
}

void dsaa_vty_reason(struct vty *vty, unsigned reason)
{
	if (!reason)
		return;
	vty_out(vty, ", %s: %s", dsaa_reason_name(reason), dsaa_reason_meaning(reason));
	if (dsaa_reason_remedy(reason)[0])
		vty_out(vty, " (%s)", dsaa_reason_remedy(reason));
}

/* ------------------------------------------------------------------ show dsaa */

static const char *ha_mode_name(void)
{
	return dsaa_conf.ha_mode == DSAA_HA_PRIMARY_UP ? "primary-up" : "active-active";
}

static void drain_json(struct json_object *o, const struct dsaa_engine_view *v)
{
	struct json_object *d = json_object_new_object();

	json_object_string_add(d, "state", dsaa_drain_state_name(v->drain));
	json_object_boolean_add(d, "done", v->drain == DSAA_DRAIN_DONE);
	json_object_boolean_add(d, "routeLost", v->routes_lost);
	json_object_int_add(d, "heir", v->drain_heir);
	json_object_int_add(d, "connectionsLeft", v->drain_left);
	dsaa_vty_reason_json(d, v->drain_reason);
	json_object_object_add(o, "drain", d);
}

static void tracked_json(struct json_object *o)
{
	struct json_object *routes = json_object_new_object();
	char text[PREFIX_STRLEN];

	for (unsigned i = 0; i < dsaa_conf.tracks; i++) {
		snprintfrr(text, sizeof(text), "%pFX", &dsaa_conf.track[i]);
		json_object_string_add(routes, text, dsaa_track_state(i));
	}
	json_object_object_add(o, "trackedRoutes", routes);
}

static void drain_text(struct vty *vty, const struct dsaa_engine_view *v)
{
	if (v->drain == DSAA_DRAIN_OFF)
		return;
	vty_out(vty, "Drain: %s%s", dsaa_drain_state_name(v->drain),
		v->routes_lost ? ", a tracked route is missing" : "");
	if (v->drain_heir)
		vty_out(vty, ", to site %u (%s)", v->drain_heir,
			dsaa_view_site_name(v->drain_heir));
	vty_out(vty, ", %" PRIu64 " connections left here", v->drain_left);
	dsaa_vty_reason(vty, v->drain_reason);
	vty_out(vty, "\n");
}

static void show_dsaa_json(struct vty *vty)
{
	struct json_object *o = dsaa_vty_answer_new(), *peers = json_object_new_object();
	struct json_object *adverts = json_object_new_object();
	struct dsaa_engine_view v;
	struct dsaa_advert *a;

	dsaa_view_engine(&v);
	json_object_boolean_add(o, "enabled", dsaa_conf.enabled);
	json_object_int_add(o, "clusterId", dsaa_conf.cluster_id);
	json_object_int_add(o, "localSite", v.local);
	json_object_string_add(o, "localSiteName", v.local ? dsaa_conf.site[v.local].name : "");
	json_object_string_add(o, "haMode", ha_mode_name());
	if (dsaa_conf.ha_mode == DSAA_HA_PRIMARY_UP)
		json_object_int_add(o, "primarySite", dsaa_conf.primary);
	json_object_boolean_add(o, "stateComplete", v.state_complete);
	json_object_string_add(o, "stateReason",
			       v.complete_reason ? dsaa_reason_name(v.complete_reason) : "");
	json_object_boolean_add(o, "draining", v.draining);
	drain_json(o, &v);
	tracked_json(o);
	json_object_boolean_add(o, "zebra", dsaa_zebra_connected());
	json_object_string_addf(o, "configDigest", "%016" PRIx64, dsaa_config_digest());
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++) {
		struct json_object *p;
		struct dsaa_peer_view pv;

		if (!dsaa_view_is_peer(s))
			continue;
		dsaa_view_peer(s, &pv);
		p = dsaa_vty_object_at(peers, s);
		json_object_string_add(p, "name", dsaa_conf.site[s].name);
		json_object_string_add(p, "state", dsaa_peer_state_name(pv.state));
		dsaa_vty_reason_json(p, pv.reason);
		json_object_int_add(p, "sinceMsec", dsaa_view_age_ms(pv.since));
		json_object_boolean_add(p, "secure", pv.secure);
		json_object_boolean_add(p, "configDiffers", pv.block_differs);
		json_object_boolean_add(p, "rulesetDiffers", pv.ruleset_differs);
		json_object_boolean_add(p, "adoptionRefused", pv.adoption_refused);
	}
	json_object_object_add(o, "peers", peers);
	frr_each (dsaa_advert_list, &dsaa_conf.adverts, a) {
		char key[PREFIX_STRLEN];

		if (a->vrf[0])
			continue;
		snprintfrr(key, sizeof(key), "%pFX", &a->prefix);
		json_object_string_add(adverts, key, dsaa_advertise_state_name(a->state));
	}
	json_object_object_add(o, "advertise", adverts);
	dsaa_vty_answer(vty, o);
}

static void show_dsaa_peer(struct vty *vty, unsigned s)
{
	struct dsaa_peer_view pv;
	char age[32];

	dsaa_view_peer(s, &pv);
	vty_out(vty, "Peer %u (%s): %s since %s", s, dsaa_view_site_name(s),
		dsaa_peer_state_name(pv.state), dsaa_vty_age(pv.since, age));
	dsaa_vty_reason(vty, pv.reason);
	vty_out(vty, "\n");
	if (pv.block_differs)
		vty_out(vty, "  its dsaa block differs: see show dsaa differences\n");
	if (pv.ruleset_differs)
		vty_out(vty, "  its forward policy differs%s: see show dsaa differences\n",
			pv.adoption_refused ? ", so its connections will not be adopted" : "");
}

static void show_dsaa_text(struct vty *vty)
{
	struct dsaa_engine_view v;
	struct dsaa_sync_kernel k;
	struct dsaa_advert *a;

	if (!dsaa_vty_head(vty))
		return;
	dsaa_view_engine(&v);
	if (v.local)
		vty_out(vty, "Site: %u (%s), cluster %u\n", v.local, dsaa_view_site_name(v.local),
			dsaa_conf.cluster_id);
	else
		vty_out(vty, "Site: unknown, cluster %u\n", dsaa_conf.cluster_id);
	vty_out(vty, "Mode: %s", ha_mode_name());
	if (dsaa_conf.ha_mode == DSAA_HA_PRIMARY_UP)
		vty_out(vty, ", primary site %u%s", dsaa_conf.primary,
			dsaa_conf.site[dsaa_conf.primary].configured ? "" : " (not configured)");
	vty_out(vty, "%s\n", v.draining ? ", draining" : "");
	vty_out(vty, "State: %s", v.state_complete ? "complete" : "not complete");
	dsaa_vty_reason(vty, v.complete_reason);
	vty_out(vty, "\n");
	dsaa_sync_kernel_view(&k);
	if (k.warning[0])
		vty_out(vty, "%% %s\n", k.warning);
	drain_text(vty, &v);
	for (unsigned i = 0; i < dsaa_conf.tracks; i++)
		vty_out(vty, "Tracked route %pFX: %s\n", &dsaa_conf.track[i], dsaa_track_state(i));
	if (!dsaa_zebra_connected())
		vty_out(vty, "Zebra: not connected\n");
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		if (dsaa_view_is_peer(s))
			show_dsaa_peer(vty, s);
	frr_each (dsaa_advert_list, &dsaa_conf.adverts, a)
		vty_out(vty, "Advertise %pFX%s%s: %s, %s\n", &a->prefix, a->vrf[0] ? " vrf " : "",
			a->vrf, dsaa_advertise_state_name(a->state), dsaa_view_advert_reason(a));
}

DEFPY(show_dsaa, show_dsaa_cmd, "show dsaa [json]$json", SHOW_STR DSAA_STR JSON_STR)
{
	if (json)
		show_dsaa_json(vty);
	else
		show_dsaa_text(vty);
	return CMD_SUCCESS;
}

/* ------------------------------------------------------------------ enable node */

DEFPY(dsaa_resync, dsaa_resync_cmd, "dsaa resync [site (1-16)$site]",
      DSAA_STR "Transfer and compare all connections anew\n"
	       "With one site only\n"
	       "Number of the site\n")
{
	/* asked for here: the northbound would call it an internal inconsistency */
	if (site && !dsaa_view_is_peer(site)) {
		vty_out(vty, "%% Site %ld is not a configured peer\n", (long)site);
		return CMD_WARNING;
	}
	return dsaa_nb_call(vty, DSAA_RPC_RESYNC, site ? "site" : NULL, site_str);
}

DEFPY(dsaa_audit, dsaa_audit_cmd, "dsaa audit",
      DSAA_STR "Have the peers compare what they hold of our connections now\n")
{
	if (!dsaa_local_site()) {
		vty_out(vty, "%% The local site is not known, so there is no peer\n");
		return CMD_WARNING;
	}
	return dsaa_nb_call(vty, DSAA_RPC_AUDIT, NULL, NULL);
}

DEFPY(dsaa_drain, dsaa_drain_cmd, "dsaa drain [<on|off>$what]",
      DSAA_STR "Move new connections to the other sites, and hand the existing ones over\n"
	       "Start, which is the default\n"
	       "End\n")
{
	return dsaa_nb_call(vty, DSAA_RPC_DRAIN, "on",
			    !what || !strcmp(what, "on") ? "true" : "false");
}

static void rehearsal_json(struct vty *vty, const struct dsaa_rehearsal *r)
{
	struct json_object *o = dsaa_vty_answer_new(), *sites = json_object_new_object();

	json_object_boolean_add(o, "bounded", r->bounded);
	json_object_int_add(o, "lookedAt", r->looked_at);
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++) {
		struct json_object *site;

		if (!dsaa_conf.site[s].configured)
			continue;
		site = dsaa_vty_object_at(sites, s);
		json_object_int_add(site, "connections", r->connections[s]);
		json_object_int_add(site, "survive", r->survive[s]);
		json_object_object_add(site, "lost", dsaa_vty_reasons_json(r->lost[s]));
	}
	json_object_object_add(o, "sites", sites);
	dsaa_vty_answer(vty, o);
}

static void rehearsal_text(struct vty *vty, const struct dsaa_rehearsal *r)
{
	if (r->bounded)
		vty_out(vty,
			"%% The table is too large to be read here: only %" PRIu64
			" connections were looked at, and\n"
			"%% the numbers are those of these alone; 'conntrack -C' counts all\n",
			r->looked_at);
	vty_out(vty, "%-28s %12s %12s\n", "If this site were lost",
		r->bounded ? "of these" : "connections", "survive");
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++) {
		if (!dsaa_conf.site[s].configured)
			continue;
		vty_out(vty, "%4u  %-22s %12" PRIu64 " %12" PRIu64 "%s\n", s,
			dsaa_view_site_name(s), r->connections[s], r->survive[s],
			s == dsaa_local_site() ? "" : "  as far as it told us: ask there too");
		dsaa_vty_reasons(vty, "      lost: ", r->lost[s]);
	}
}

DEFPY(dsaa_rehearse_failover, dsaa_rehearse_failover_cmd, "dsaa failover rehearse [json]$json",
      DSAA_STR "Loss of a site\n"
	       "How many connections would survive, and why the others would not; nothing is "
	       "moved\n" JSON_STR)
{
	struct dsaa_rehearsal r;
	const char *err = "";

	if (!dsaa_rehearse(&r, &err)) {
		vty_out(vty, "%% %s\n", err);
		return CMD_WARNING;
	}
	if (json)
		rehearsal_json(vty, &r);
	else
		rehearsal_text(vty, &r);
	return CMD_SUCCESS;
}

DEFPY(clear_dsaa_counters, clear_dsaa_counters_cmd, "clear dsaa counters",
      CLEAR_STR DSAA_STR "Counters of sync and correction\n")
{
	return dsaa_nb_call(vty, DSAA_RPC_CLEAR, NULL, NULL);
}

void dsaa_vty_init(void)
{
	install_element(VIEW_NODE, &show_dsaa_cmd);
	install_element(ENABLE_NODE, &dsaa_resync_cmd);
	install_element(ENABLE_NODE, &dsaa_audit_cmd);
	install_element(ENABLE_NODE, &dsaa_drain_cmd);
	install_element(ENABLE_NODE, &dsaa_rehearse_failover_cmd);
	install_element(ENABLE_NODE, &clear_dsaa_counters_cmd);
	dsaa_vty_correct_init();
	dsaa_vty_differ_init();
	dsaa_vty_flow_init();
	dsaa_vty_site_init();
	dsaa_vty_sync_init();
}
