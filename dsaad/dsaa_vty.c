/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The show commands, and the commands of the enable node. Main thread; what
 * other threads own is copied by the functions of dsaad.h.
 *
 * Each show command exists once: it fills a JSON object with the published
 * keys, or writes lines. All of them answer without a dsaa block, without
 * zebra and without peers.
 */
#include <zebra.h>

#include "command.h"
#include "json.h"
#include "printfrr.h"
#include "vrf.h"
#include "vty.h"

#include "dsaad/dsaa_correct.h"
#include "dsaad/dsaa_config.h"
#include "dsaad/dsaa_nb.h"
#include "dsaad/dsaa_view.h"
#include "dsaad/dsaad.h"

#include "dsaad/dsaa_vty_clippy.c"

#define DSAA_STR "Dual-site active/active\n"

/* ------------------------------------------------------------------ helpers */

/* Time since T as text: "00:01:02", or "3d04h05m" from a day on. */
static const char *age_text(struct dsaa_mono t, char buf[32])
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

static const char *ha_mode_name(void)
{
	return dsaa_conf.ha_mode == DSAA_HA_PRIMARY_UP ? "primary-up" : "active-active";
}

/* Every answer says aloud that the session is plain text. */
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

/* First lines of every text answer; false when there is nothing more to tell. */
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

/* {REASON: n} of those that are not 0. */
static struct json_object *reasons_json(const uint64_t n[DSAA_REASONS_MAX])
{
	struct json_object *o = json_object_new_object();

	for (unsigned r = dsaa_reason_next(0); r < DSAA_REASONS_MAX; r = dsaa_reason_next(r))
		if (n[r])
			json_object_int_add(o, dsaa_reason_name(r), n[r]);
	return o;
}

static void reasons_text(struct vty *vty, const char *indent, const uint64_t n[DSAA_REASONS_MAX])
{
	for (unsigned r = dsaa_reason_next(0); r < DSAA_REASONS_MAX; r = dsaa_reason_next(r))
		if (n[r])
			vty_out(vty, "%s%-26s %12" PRIu64 "  %s\n", indent, dsaa_reason_name(r),
				n[r], dsaa_reason_meaning(r));
}

static struct json_object *object_at(struct json_object *parent, unsigned site)
{
	struct json_object *o = json_object_new_object();
	char key[8];

	snprintf(key, sizeof(key), "%u", site);
	json_object_object_add(parent, key, o);
	return o;
}

static void reason_json(struct json_object *o, unsigned reason)
{
	json_object_string_add(o, "reason", reason ? dsaa_reason_name(reason) : "");
	json_object_string_add(o, "reasonText", reason ? dsaa_reason_meaning(reason) : "");
	json_object_string_add(o, "remedy", reason ? dsaa_reason_remedy(reason) : "");
}

/* ", REASON: what it means; what to do" */
static void reason_text(struct vty *vty, unsigned reason)
{
	if (!reason)
		return;
	vty_out(vty, ", %s: %s", dsaa_reason_name(reason), dsaa_reason_meaning(reason));
	if (dsaa_reason_remedy(reason)[0])
		vty_out(vty, " (%s)", dsaa_reason_remedy(reason));
}

/* ------------------------------------------------------------------ show dsaa */

static void drain_json(struct json_object *o, const struct dsaa_engine_view *v)
{
	struct json_object *d = json_object_new_object();

	json_object_string_add(d, "state", dsaa_drain_state_name(v->drain));
	json_object_boolean_add(d, "done", v->drain == DSAA_DRAIN_DONE);
	json_object_boolean_add(d, "routeLost", v->routes_lost);
	json_object_int_add(d, "heir", v->drain_heir);
	json_object_int_add(d, "connectionsLeft", v->drain_left);
	reason_json(d, v->drain_reason);
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
	reason_text(vty, v->drain_reason);
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
		p = object_at(peers, s);
		json_object_string_add(p, "name", dsaa_conf.site[s].name);
		json_object_string_add(p, "state", dsaa_peer_state_name(pv.state));
		reason_json(p, pv.reason);
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
		dsaa_peer_state_name(pv.state), age_text(pv.since, age));
	reason_text(vty, pv.reason);
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
	reason_text(vty, v.complete_reason);
	vty_out(vty, "\n");
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

/* ------------------------------------------------------------------ show dsaa site */

static const char *site_role(unsigned s)
{
	if (dsaa_conf.ha_mode == DSAA_HA_ACTIVE_ACTIVE)
		return "active";
	return s == dsaa_conf.primary ? "primary" : "secondary";
}

/* Whose the site's connections are for a packet that arrives here now. */
static const char *word_name(const struct dsaa_peer_view *v)
{
	switch (v->word) {
	case DSAA_WORD_ALIVE:
		return "alive";
	case DSAA_WORD_ADOPTED:
		return v->session && v->peer_draining ? "drained-to-us" : "adopted";
	case DSAA_WORD_UNREACHABLE:
		return "unreachable";
	case DSAA_WORD_UNKNOWN:
		break;
	}
	return "unknown";
}

static struct json_object *zones_json(const struct dsaa_site *site)
{
	struct json_object *o = json_object_new_object();

	for (unsigned i = 0; i < site->zones.count; i++) {
		const char *name = site->zones.zone[i].name;
		struct json_object *zone = json_object_new_object();
		unsigned missing = dsaa_zone_missing_at(name);

		json_object_int_add(zone, "number", site->zones.zone[i].number);
		json_object_boolean_add(zone, "replicated", !missing);
		if (missing)
			json_object_int_add(zone, "missingAtSite", missing);
		json_object_object_add(o, name, zone);
	}
	return o;
}

static void zones_text(struct vty *vty, const struct dsaa_site *site)
{
	for (unsigned i = 0; i < site->zones.count; i++) {
		const char *name = site->zones.zone[i].name;
		unsigned missing = dsaa_zone_missing_at(name);

		vty_out(vty, "      zone %s %u", name, site->zones.zone[i].number);
		if (missing)
			vty_out(vty, " (not replicated: site %u has none)", missing);
		vty_out(vty, "\n");
	}
}

static void show_site_json(struct json_object *sites, unsigned s)
{
	const struct dsaa_site *site = &dsaa_conf.site[s];
	struct json_object *o = object_at(sites, s);
	struct json_object *l = json_object_new_array(), *pools = json_object_new_array();
	struct dsaa_peer_view pv;
	char text[PREFIX_STRLEN];

	json_object_string_add(o, "name", site->name);
	json_object_boolean_add(o, "local", s == dsaa_local_site());
	json_object_string_add(o, "role", site_role(s));
	for (unsigned i = 0; i < site->sync_addresses; i++) {
		snprintfrr(text, sizeof(text), "%pIA", &site->sync_address[i]);
		json_object_array_add(l, json_object_new_string(text));
	}
	json_object_object_add(o, "syncAddresses", l);
	for (unsigned i = 0; i < site->nat_pools; i++) {
		snprintfrr(text, sizeof(text), "%pFX", &site->nat_pool[i]);
		json_object_array_add(pools, json_object_new_string(text));
	}
	json_object_object_add(o, "natPools", pools);
	json_object_object_add(o, "zones", zones_json(site));
	if (site->has_probe)
		json_object_string_addf(o, "probeAddress", "%pIA", &site->probe);
	if (s == dsaa_local_site())
		return;
	dsaa_view_peer(s, &pv);
	json_object_string_add(o, "state", dsaa_peer_state_name(pv.state));
	reason_json(o, pv.reason);
	json_object_int_add(o, "sinceMsec", dsaa_view_age_ms(pv.since));
	json_object_string_add(o, "session", pv.session ? "up" : "down");
	json_object_boolean_add(o, "secure", pv.secure);
	json_object_string_add(o, "bfd", dsaa_conf.bfd ? dsaa_view_liveness(pv.bfd) : "off");
	json_object_string_add(o, "probe", site->has_probe ? dsaa_view_liveness(pv.probe) : "off");
	json_object_boolean_add(o, "probeAnswered", pv.probe_answered);
	json_object_boolean_add(o, "peerComplete", pv.peer_complete);
	json_object_boolean_add(o, "peerDraining", pv.peer_draining);
	json_object_string_add(o, "word", word_name(&pv));
	json_object_int_add(o, "heldBackMsec", pv.held_back_ms);
	json_object_int_add(o, "sessions", pv.sessions);
}

static void show_site_text(struct vty *vty, unsigned s)
{
	const struct dsaa_site *site = &dsaa_conf.site[s];
	bool local = s == dsaa_local_site();
	struct dsaa_peer_view pv;
	char age[32];

	if (local) {
		vty_out(vty, "%4u  %-16s %-10s %-13s %-8s %-8s %-8s %s", s, dsaa_view_site_name(s),
			site_role(s), "local", "-", "-", "-", "-");
	} else {
		dsaa_view_peer(s, &pv);
		vty_out(vty, "%4u  %-16s %-10s %-13s %-8s %-8s %-8s %s", s, dsaa_view_site_name(s),
			site_role(s), dsaa_peer_state_name(pv.state), pv.session ? "up" : "down",
			dsaa_conf.bfd ? dsaa_view_liveness(pv.bfd) : "off",
			site->has_probe ? dsaa_view_liveness(pv.probe) : "off",
			age_text(pv.since, age));
	}
	vty_out(vty, "\n");
	vty_out(vty, "      sync-address");
	for (unsigned i = 0; i < site->sync_addresses; i++)
		vty_out(vty, " %pIA", &site->sync_address[i]);
	vty_out(vty, site->sync_addresses ? "" : " none");
	if (site->has_probe)
		vty_out(vty, ", probe %pIA%s", &site->probe,
			local || pv.probe_answered ? "" : " (never answered)");
	for (unsigned i = 0; i < site->nat_pools; i++)
		vty_out(vty, "%s%pFX", i ? " " : ", nat-pool ", &site->nat_pool[i]);
	if (!local)
		vty_out(vty, ", its connections: %s", word_name(&pv));
	if (!local && pv.held_back_ms)
		vty_out(vty, ", held back for %" PRId64 " s", pv.held_back_ms / 1000);
	vty_out(vty, "\n");
	zones_text(vty, site);
}

DEFPY(show_dsaa_site, show_dsaa_site_cmd, "show dsaa site [json]$json",
      SHOW_STR DSAA_STR "The sites of the cluster\n" JSON_STR)
{
	struct json_object *o, *sites;

	if (json) {
		o = dsaa_vty_answer_new();
		sites = json_object_new_object();
		for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
			if (dsaa_conf.site[s].configured)
				show_site_json(sites, s);
		json_object_object_add(o, "sites", sites);
		dsaa_vty_answer(vty, o);
		return CMD_SUCCESS;
	}
	if (!dsaa_vty_head(vty))
		return CMD_SUCCESS;
	vty_out(vty, "%4s  %-16s %-10s %-13s %-8s %-8s %-8s %s\n", "Site", "Name", "Role", "State",
		"Session", "BFD", "Probe", "Since");
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		if (dsaa_conf.site[s].configured)
			show_site_text(vty, s);
	return CMD_SUCCESS;
}

/* ------------------------------------------------------------------ show dsaa uips */

static void uips_json(struct json_object *list, const struct dsaa_uips *u)
{
	struct json_object *o = json_object_new_object();
	bool local = u->site == dsaa_local_site();

	json_object_int_add(o, "site", u->site);
	json_object_string_addf(o, "address", "%pFX", &u->address);
	json_object_boolean_add(o, "local", local);
	json_object_boolean_add(o, "installed", local && u->installed);
	json_object_string_add(o, "reason", dsaa_view_uips_reason(u));
	json_object_array_add(list, o);
}

static void uips_text(struct vty *vty, const struct dsaa_uips *u)
{
	bool local = u->site == dsaa_local_site();
	char address[PREFIX_STRLEN];

	snprintfrr(address, sizeof(address), "%pFX", &u->address);
	vty_out(vty, "%-15s %4u  %-43s %-5s %-9s %s\n", u->ifname, u->site, address,
		local ? "yes" : "no", local && u->installed ? "yes" : "no",
		dsaa_view_uips_reason(u));
}

DEFPY(show_dsaa_uips, show_dsaa_uips_cmd, "show dsaa uips [json]$json",
      SHOW_STR DSAA_STR "Addresses of the interfaces of each site\n" JSON_STR)
{
	struct json_object *o = NULL, *interfaces = NULL, *list = NULL;
	char names[DSAA_IFACES_MAX][IFNAMSIZ];
	unsigned n = dsaa_logical_interfaces(names);
	struct dsaa_uips *u;

	if (json) {
		o = dsaa_vty_answer_new();
		interfaces = json_object_new_object();
	} else if (!dsaa_vty_head(vty)) {
		return CMD_SUCCESS;
	} else {
		vty_out(vty, "%-15s %4s  %-43s %-5s %-9s %s\n", "Interface", "Site", "Address",
			"Local", "Installed", "Reason");
	}
	for (unsigned i = 0; i < n; i++) {
		if (json) {
			list = json_object_new_array();
			json_object_object_add(interfaces, names[i], list);
		}
		for (unsigned s = 1; s <= DSAA_SITES_MAX; s++) {
			frr_each (dsaa_uips_list, &dsaa_conf.site[s].uips, u) {
				if (strcmp(u->ifname, names[i]))
					continue;
				if (json)
					uips_json(list, u);
				else
					uips_text(vty, u);
			}
		}
	}
	if (json) {
		json_object_object_add(o, "interfaces", interfaces);
		dsaa_vty_answer(vty, o);
	}
	return CMD_SUCCESS;
}

/* ------------------------------------------------------------------ show dsaa sync */

/* How sessions began, since the daemon's start: with all connections, or with what had changed. */
static void starts_json(struct json_object *o, const struct dsaa_peer_view *v)
{
	json_object_int_add(o, "bulksSent", v->bulks_sent);
	json_object_int_add(o, "bulksReceived", v->bulks_received);
	json_object_int_add(o, "resumesSent", v->resumes_sent);
	json_object_int_add(o, "resumesReceived", v->resumes_received);
	json_object_int_add(o, "minorVersion", v->peer_minor);
	json_object_boolean_add(o, "canResume", v->capabilities & DSAA_CAP_RESUME);
}

static void link_text(char text[2 * INET6_ADDRSTRLEN + 4], const struct dsaa_sync_links *l,
		      unsigned i)
{
	char local[INET6_ADDRSTRLEN] = "?", remote[INET6_ADDRSTRLEN] = "?";

	inet_ntop(l->local[i].family == 4 ? AF_INET : AF_INET6, l->local[i].bytes, local,
		  sizeof(local));
	inet_ntop(l->remote[i].family == 4 ? AF_INET : AF_INET6, l->remote[i].bytes, remote,
		  sizeof(remote));
	snprintf(text, 2 * INET6_ADDRSTRLEN + 4, "%s-%s", local, remote);
}

/* Which links carry the session. */
static void links_json(struct json_object *o, unsigned s)
{
	struct json_object *list = json_object_new_array();
	char text[2 * INET6_ADDRSTRLEN + 4];
	struct dsaa_sync_links l;

	dsaa_sync_links_view(s, &l);
	for (unsigned i = 0; i < l.count; i++) {
		link_text(text, &l, i);
		json_object_array_add(list, json_object_new_string(text));
	}
	json_object_boolean_add(o, "multipath", l.multipath);
	json_object_object_add(o, "links", list);
}

static void links_text(struct vty *vty, unsigned s)
{
	char text[2 * INET6_ADDRSTRLEN + 4];
	struct dsaa_sync_links l;

	dsaa_sync_links_view(s, &l);
	if (!l.count)
		return;
	vty_out(vty, "  links%s:", l.multipath ? " (multipath)" : "");
	for (unsigned i = 0; i < l.count; i++) {
		link_text(text, &l, i);
		vty_out(vty, " %s", text);
	}
	vty_out(vty, "\n");
}

static void sync_peer_json(struct json_object *peers, unsigned s)
{
	struct json_object *o = object_at(peers, s), *bulk = json_object_new_object();
	struct json_object *audit = json_object_new_object();
	struct dsaa_peer_view v;

	dsaa_view_peer(s, &v);
	json_object_string_add(o, "state", dsaa_peer_state_name(v.state));
	reason_json(o, v.reason);
	json_object_int_add(o, "sinceMsec", dsaa_view_age_ms(v.since));
	json_object_boolean_add(o, "secure", v.secure);
	json_object_int_add(o, "flowsSent", v.flows_sent);
	json_object_int_add(o, "flowsReceived", v.flows_received);
	json_object_int_add(o, "flowsApplied", v.flows_applied);
	json_object_object_add(o, "flowsRejected", reasons_json(v.flows_rejected));
	json_object_int_add(o, "peerApplied", v.peer_applied);
	json_object_int_add(o, "peerRejected", v.peer_rejected);
	json_object_double_add(o, "lagMsecP50", v.lag_p50_us / 1000.0);
	json_object_double_add(o, "lagMsecP99", v.lag_p99_us / 1000.0);
	json_object_double_add(o, "lagMsecMax", v.lag_max_us / 1000.0);
	json_object_double_add(o, "lagMsecNow", v.lag_now_us / 1000.0);
	json_object_int_add(o, "backlog", v.backlog);
	json_object_int_add(bulk, "flows", v.bulk_flows);
	json_object_int_add(bulk, "msec", v.bulk_ms);
	json_object_boolean_add(bulk, "done", v.bulk_done);
	if (v.bulk_done)
		json_object_int_add(bulk, "ageMsec", dsaa_view_age_ms(v.bulk_at));
	json_object_int_add(bulk, "sentFlows", v.bulk_sent_flows);
	json_object_int_add(bulk, "sentMsec", v.bulk_sent_ms);
	json_object_int_add(bulk, "swept", v.swept);
	json_object_object_add(o, "lastBulk", bulk);
	starts_json(o, &v);
	links_json(o, s);
	json_object_int_add(audit, "differences", v.audit_differences);
	json_object_int_add(audit, "repaired", v.audit_repaired);
	json_object_int_add(audit, "altered", v.audit_altered);
	json_object_boolean_add(audit, "done", v.audit_done);
	json_object_int_add(audit, "audits", v.audits);
	if (v.audit_done)
		json_object_int_add(audit, "ageMsec", dsaa_view_age_ms(v.audit_at));
	json_object_object_add(o, "lastAudit", audit);
	json_object_int_add(o, "expectationsSent", v.expects_sent);
	json_object_int_add(o, "expectationsApplied", v.expects_applied);
	json_object_boolean_add(o, "oursConfirmed", v.ours_confirmed);
	json_object_boolean_add(o, "theirsComplete", v.theirs_complete);
	json_object_int_add(o, "sessions", v.sessions);
}

static void sync_json(struct vty *vty)
{
	struct json_object *o = dsaa_vty_answer_new(), *peers = json_object_new_object();
	struct json_object *kernel = json_object_new_object(), *delay = json_object_new_object();
	struct dsaa_sync_kernel k = { 0 };
	struct dsaa_engine_view v;

	dsaa_view_engine(&v);
	dsaa_sync_kernel_view(&k);
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		if (dsaa_view_is_peer(s))
			sync_peer_json(peers, s);
	json_object_object_add(o, "peers", peers);
	json_object_boolean_add(o, "stateComplete", v.state_complete);
	json_object_int_add(o, "ownEvents", v.own_events);
	json_object_object_add(o, "skipped", reasons_json(v.skipped));
	json_object_int_add(o, "overruns", v.overruns);
	json_object_int_add(o, "logEntries", v.log_entries);
	json_object_int_add(o, "logLive", v.log_live);
	json_object_int_add(o, "adopted", v.adopted);
	json_object_int_add(o, "adoptedOnDemand", v.adopted_on_demand);
	json_object_int_add(delay, "held", v.delayed);
	json_object_int_add(delay, "endedBefore", v.delayed_ended);
	json_object_int_add(delay, "exempt", v.delayed_exempt);
	json_object_int_add(delay, "noRoom", v.delayed_no_room);
	json_object_object_add(o, "delay", delay);
	json_object_int_add(kernel, "eventsNew", k.events_new);
	json_object_int_add(kernel, "eventsUpdate", k.events_update);
	json_object_int_add(kernel, "eventsDestroy", k.events_destroy);
	json_object_int_add(kernel, "overruns", k.overruns);
	json_object_int_add(kernel, "echoes", k.echoes);
	json_object_int_add(kernel, "count", k.count);
	json_object_int_add(kernel, "max", k.max);
	json_object_int_add(kernel, "buckets", k.buckets);
	json_object_int_add(kernel, "eventBufferBytes", k.event_buffer);
	json_object_int_add(kernel, "connectionsOfAllSites", k.needed);
	json_object_string_add(kernel, "warning", k.warning);
	json_object_object_add(o, "kernel", kernel);
	dsaa_vty_answer(vty, o);
}

static void sync_peer_text(struct vty *vty, unsigned s)
{
	struct dsaa_peer_view v;
	uint64_t rejected = 0;
	char age[32];

	dsaa_view_peer(s, &v);
	for (unsigned r = 0; r < DSAA_REASONS_MAX; r++)
		rejected += v.flows_rejected[r];
	vty_out(vty, "Peer %u (%s): %s since %s", s, dsaa_view_site_name(s),
		dsaa_peer_state_name(v.state), age_text(v.since, age));
	reason_text(vty, v.reason);
	vty_out(vty, "\n");
	links_text(vty, s);
	vty_out(vty,
		"  flows: sent %" PRIu64 ", received %" PRIu64 ", applied %" PRIu64
		", rejected %" PRIu64 "\n",
		v.flows_sent, v.flows_received, v.flows_applied, rejected);
	reasons_text(vty, "    ", v.flows_rejected);
	vty_out(vty, "  of ours, the peer applied %" PRIu64 " and rejected %" PRIu64 "\n",
		v.peer_applied, v.peer_rejected);
	vty_out(vty,
		"  lag: p50 %.1f ms, p99 %.1f ms, max %.1f ms; not confirmed for %.1f ms; backlog "
		"%u\n",
		v.lag_p50_us / 1000.0, v.lag_p99_us / 1000.0, v.lag_max_us / 1000.0,
		v.lag_now_us / 1000.0, v.backlog);
	if (v.bulk_done)
		vty_out(vty,
			"  last bulk: %" PRIu64 " flows in %.3f s, %s ago; swept %" PRIu64 "\n",
			v.bulk_flows, v.bulk_ms / 1000.0, age_text(v.bulk_at, age), v.swept);
	else
		vty_out(vty, "  last bulk: none\n");
	vty_out(vty,
		"  sessions: %" PRIu64 "; bulks sent %" PRIu64 ", received %" PRIu64
		"; resumed by us %" PRIu64 ", by the peer %" PRIu64 "\n",
		v.sessions, v.bulks_sent, v.bulks_received, v.resumes_sent, v.resumes_received);
	if (v.audit_done)
		vty_out(vty,
			"  last audit: %s ago, %" PRIu64 " differences (%" PRIu64
			" altered), %" PRIu64 " repaired; %" PRIu64 " audits\n",
			age_text(v.audit_at, age), v.audit_differences, v.audit_altered,
			v.audit_repaired, v.audits);
	else
		vty_out(vty, "  last audit: none\n");
}

static void sync_text(struct vty *vty)
{
	struct dsaa_sync_kernel k = { 0 };
	struct dsaa_engine_view v;

	if (!dsaa_vty_head(vty))
		return;
	dsaa_view_engine(&v);
	dsaa_sync_kernel_view(&k);
	vty_out(vty, "State: %s", v.state_complete ? "complete" : "not complete");
	reason_text(vty, v.complete_reason);
	vty_out(vty,
		"\nKernel: %u of %u connections; events: new %" PRIu64 ", update %" PRIu64
		", destroy %" PRIu64 ", our own %" PRIu64 ", lost %" PRIu64 " times\n",
		k.count, k.max, k.events_new, k.events_update, k.events_destroy, k.echoes,
		k.overruns);
	if (k.warning[0])
		vty_out(vty, "%% %s\n", k.warning);
	vty_out(vty,
		"Log: %u of %u entries, %" PRIu64 " changes of our connections, %" PRIu64
		" connections adopted, %" PRIu64 " on demand\n",
		v.log_live, v.log_entries, v.own_events, v.adopted, v.adopted_on_demand);
	reasons_text(vty, "  not sent: ", v.skipped);
	if (v.delayed || v.delayed_ended || v.delayed_exempt || v.delayed_no_room)
		vty_out(vty,
			"  held back by 'sync delay': %u; ended before they were told %" PRIu64
			", seen elsewhere %" PRIu64 ", no room %" PRIu64 "\n",
			v.delayed, v.delayed_ended, v.delayed_exempt, v.delayed_no_room);
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		if (dsaa_view_is_peer(s))
			sync_peer_text(vty, s);
}

DEFPY(show_dsaa_sync, show_dsaa_sync_cmd, "show dsaa sync [json]$json",
      SHOW_STR DSAA_STR "Replication of connections\n" JSON_STR)
{
	if (json)
		sync_json(vty);
	else
		sync_text(vty);
	return CMD_SUCCESS;
}

/* ------------------------------------------------------------------ show dsaa correction */

/* The interfaces with a uips and those named in the configuration, each once. */
static unsigned correction_interfaces(char names[2 * DSAA_IFACES_MAX][IFNAMSIZ])
{
	unsigned n = dsaa_logical_interfaces(names);

	for (unsigned i = 0; i < dsaa_conf.correction_ifaces; i++) {
		unsigned k = 0;

		while (k < n && strcmp(names[k], dsaa_conf.correction_iface[i]))
			k++;
		if (k == n)
			strlcpy(names[n++], dsaa_conf.correction_iface[i], IFNAMSIZ);
	}
	return n;
}

static struct json_object *warnings_json(void)
{
	struct json_object *list = json_object_new_array();
	char text[DSAA_WARNINGS_MAX][DSAA_WARNING_LEN];
	unsigned n = dsaa_correct_warnings(text);

	for (unsigned i = 0; i < n; i++)
		json_object_array_add(list, json_object_new_string(text[i]));
	return list;
}

static void warnings_text(struct vty *vty)
{
	char text[DSAA_WARNINGS_MAX][DSAA_WARNING_LEN];
	unsigned n = dsaa_correct_warnings(text);

	for (unsigned i = 0; i < n; i++)
		vty_out(vty, "%% %s\n", text[i]);
}

static struct json_object *hold_json(void)
{
	struct json_object *h = json_object_new_object();
	uint64_t waiting, no_room;

	dsaa_correct_hold_view(&waiting, &no_room);
	json_object_int_add(h, "msec", dsaa_conf.correction_hold_ms);
	json_object_int_add(h, "waiting", waiting);
	json_object_int_add(h, "noRoom", no_room);
	return h;
}

static void hold_text(struct vty *vty)
{
	uint64_t waiting, no_room;

	dsaa_correct_hold_view(&waiting, &no_room);
	vty_out(vty, "Packets of foreign connections wait in %u queues\n", dsaa_correct_queues());
	vty_out(vty, "Packets your rules would refuse get their second chance in queue %u\n",
		dsaa_correct_policy_queue());
	if (dsaa_conf.correction_hold_ms)
		vty_out(vty, "Hold %u ms: %" PRIu64 " waiting now, %" PRIu64 " found no room\n",
			dsaa_conf.correction_hold_ms, waiting, no_room);
	warnings_text(vty);
	vty_out(vty, "\n");
}

static void rate_json(struct json_object *o, const char *key, const struct dsaa_rate *r)
{
	struct json_object *j = json_object_new_object();

	json_object_int_add(j, "packetsPerSec", r->packets_s);
	json_object_int_add(j, "bitsPerSec", r->bits_s);
	json_object_int_add(j, "peakPacketsPerSec", r->peak_packets_s);
	json_object_int_add(j, "peakBitsPerSec", r->peak_bits_s);
	json_object_object_add(o, key, j);
}

static struct json_object *correction_peer_json(unsigned site)
{
	struct json_object *p = json_object_new_object();
	struct dsaa_correct_peer v = { 0 };
	struct dsaa_rate sent, received;

	dsaa_correct_peer_view(site, &v);
	dsaa_correct_peer_rate(site, &sent, &received);
	json_object_int_add(p, "packetsSent", v.packets_sent);
	json_object_int_add(p, "bytesSent", v.bytes_sent);
	json_object_int_add(p, "packetsReceived", v.packets_received);
	json_object_int_add(p, "bytesReceived", v.bytes_received);
	json_object_int_add(p, "packetsSentKernel", v.packets_sent_kernel);
	json_object_int_add(p, "packetsObserved", v.packets_observed);
	json_object_int_add(p, "bytesObserved", v.bytes_observed);
	rate_json(p, "rateSent", &sent);
	rate_json(p, "rateReceived", &received);
	return p;
}

static struct json_object *correction_prefixes_json(void)
{
	struct json_object *prefixes = json_object_new_object();
	char key[PREFIX_STRLEN];
	struct dsaa_advert *a;

	frr_each (dsaa_advert_list, &dsaa_conf.adverts, a) {
		struct json_object *o;
		struct dsaa_correct_prefix v;
		struct dsaa_rate sent;

		if (a->repeats)
			continue;
		o = json_object_new_object();
		dsaa_correct_prefix_view(&a->prefix, &v);
		dsaa_correct_prefix_rate(&a->prefix, &sent);
		json_object_int_add(o, "packetsSent", v.packets);
		json_object_int_add(o, "bytesSent", v.bytes);
		json_object_int_add(o, "packetsObserved", v.packets_observed);
		json_object_int_add(o, "bytesObserved", v.bytes_observed);
		rate_json(o, "rateSent", &sent);
		snprintfrr(key, sizeof(key), "%pFX", &a->prefix);
		json_object_object_add(prefixes, key, o);
	}
	return prefixes;
}

/* One line of how much is sent, or in mode "observe" would be, and how fast. */
static void rate_text(struct vty *vty, const char *what, uint64_t packets, uint64_t bytes,
		      const struct dsaa_rate *r)
{
	vty_out(vty, "%-38s %12" PRIu64 " %15" PRIu64 " %10" PRIu64 " %10.1f %10.1f\n", what,
		packets, bytes, r->packets_s, r->bits_s / 1e6, r->peak_bits_s / 1e6);
}

static void rates_text(struct vty *vty)
{
	char name[PREFIX_STRLEN + 8];
	struct dsaa_advert *a;

	vty_out(vty, "\n%-38s %12s %15s %10s %10s %10s\n",
		dsaa_conf.correction_mode == DSAA_CORRECTION_OBSERVE ? "Would go" : "Goes",
		"Packets", "bytes", "now pkt/s", "Mbit/s", "peak");
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++) {
		struct dsaa_correct_peer v = { 0 };
		struct dsaa_rate sent, received;

		if (!dsaa_view_is_peer(s))
			continue;
		dsaa_correct_peer_view(s, &v);
		dsaa_correct_peer_rate(s, &sent, &received);
		snprintf(name, sizeof(name), "to site %u", s);
		rate_text(vty, name, v.packets_sent + v.packets_observed,
			  v.bytes_sent + v.bytes_observed, &sent);
		snprintf(name, sizeof(name), "from site %u", s);
		rate_text(vty, name, v.packets_received, v.bytes_received, &received);
	}
	frr_each (dsaa_advert_list, &dsaa_conf.adverts, a) {
		struct dsaa_correct_prefix v;
		struct dsaa_rate sent;

		if (a->repeats)
			continue;
		dsaa_correct_prefix_view(&a->prefix, &v);
		dsaa_correct_prefix_rate(&a->prefix, &sent);
		snprintfrr(name, sizeof(name), "of %pFX", &a->prefix);
		rate_text(vty, name, v.packets + v.packets_observed, v.bytes + v.bytes_observed,
			  &sent);
	}
}

static struct json_object *tunnel_links_json(void)
{
	struct dsaa_correct_link l[DSAA_SITE_SYNC_ADDRESSES_MAX];
	struct json_object *links = json_object_new_object();
	unsigned n = dsaa_correct_links(l);

	for (unsigned i = 0; i < n; i++) {
		struct json_object *o = json_object_new_object();
		const char *why;

		json_object_string_add(o, "tunnelPath", dsaa_correct_link_path(&l[i], &why));
		json_object_string_add(o, "why", why);
		json_object_object_add(links, l[i].name, o);
	}
	return links;
}

static void tunnel_links_text(struct vty *vty)
{
	struct dsaa_correct_link l[DSAA_SITE_SYNC_ADDRESSES_MAX];
	unsigned n = dsaa_correct_links(l);

	if (n)
		vty_out(vty, "\n%-15s %-9s %s\n", "Site-sync", "Tunnel", "Why");
	for (unsigned i = 0; i < n; i++) {
		const char *why, *path = dsaa_correct_link_path(&l[i], &why);

		vty_out(vty, "%-15s %-9s %s\n", l[i].name, path, why);
	}
}

static void correction_json(struct vty *vty)
{
	struct json_object *o = dsaa_vty_answer_new(), *peers = json_object_new_object();
	struct json_object *interfaces = json_object_new_object();
	char names[2 * DSAA_IFACES_MAX][IFNAMSIZ], why[400];
	uint64_t reasons[DSAA_REASONS_MAX] = { 0 };
	unsigned n = correction_interfaces(names);

	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++) {
		char number[8];

		if (!dsaa_view_is_peer(s))
			continue;
		snprintf(number, sizeof(number), "%u", s);
		json_object_object_add(peers, number, correction_peer_json(s));
	}
	dsaa_correct_reasons(reasons);
	for (unsigned i = 0; i < n; i++) {
		struct json_object *p = json_object_new_object();

		why[0] = '\0';
		json_object_string_add(p, "dataPath",
				       dsaa_correct_data_path(names[i], why, sizeof(why)));
		json_object_string_add(p, "why", why);
		json_object_object_add(interfaces, names[i], p);
	}
	json_object_object_add(o, "peers", peers);
	json_object_object_add(o, "reasons", reasons_json(reasons));
	json_object_object_add(o, "interfaces", interfaces);
	json_object_object_add(o, "links", tunnel_links_json());
	json_object_object_add(o, "prefixes", correction_prefixes_json());
	json_object_object_add(o, "hold", hold_json());
	json_object_object_add(o, "warnings", warnings_json());
	json_object_int_add(o, "policyQueue", dsaa_correct_policy_queue());
	json_object_int_add(o, "queues", dsaa_correct_queues());
	json_object_int_add(o, "port", dsaa_correction_port());
	json_object_string_addf(o, "markMask", "0x%08x", dsaa_conf.mark_mask);
	dsaa_vty_answer(vty, o);
}

static void correction_text(struct vty *vty)
{
	char names[2 * DSAA_IFACES_MAX][IFNAMSIZ], why[400];
	uint64_t reasons[DSAA_REASONS_MAX] = { 0 };
	unsigned n;

	if (!dsaa_vty_head(vty))
		return;
	vty_out(vty, "Tunnel port %u, owner bits 0x%08x\n", dsaa_correction_port(),
		dsaa_conf.mark_mask);
	hold_text(vty);
	n = correction_interfaces(names);
	vty_out(vty, "%-15s %-9s %s\n", "Interface", "Data path", "Why");
	for (unsigned i = 0; i < n; i++) {
		const char *path;

		why[0] = '\0';
		path = dsaa_correct_data_path(names[i], why, sizeof(why));
		vty_out(vty, "%-15s %-9s %s\n", names[i], path, why);
	}
	tunnel_links_text(vty);
	vty_out(vty, "\n%-22s %12s %15s %12s %15s\n", "Peer", "Sent packets", "bytes",
		"Recv packets", "bytes");
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++) {
		struct dsaa_correct_peer v = { 0 };

		if (!dsaa_view_is_peer(s))
			continue;
		dsaa_correct_peer_view(s, &v);
		vty_out(vty, "%4u %-17s %12" PRIu64 " %15" PRIu64 " %12" PRIu64 " %15" PRIu64 "\n",
			s, dsaa_view_site_name(s), v.packets_sent, v.bytes_sent, v.packets_received,
			v.bytes_received);
	}
	rates_text(vty);
	vty_out(vty, "\n%-26s %12s  %s\n", "Reason", "Packets", "Meaning");
	dsaa_correct_reasons(reasons);
	reasons_text(vty, "", reasons);
}

DEFPY(show_dsaa_correction, show_dsaa_correction_cmd, "show dsaa correction [json]$json",
      SHOW_STR DSAA_STR "Carrying packets to the site that owns their connection\n" JSON_STR)
{
	if (json)
		correction_json(vty);
	else
		correction_text(vty);
	return CMD_SUCCESS;
}

/* ------------------------------------------------------------------ show dsaa advertise */

static void advert_json(struct json_object *prefixes, const struct dsaa_advert *a)
{
	struct json_object *o = json_object_new_object();
	char key[PREFIX_STRLEN];

	snprintfrr(key, sizeof(key), "%pFX", &a->prefix);
	json_object_string_add(o, "state", dsaa_advertise_state_name(a->state));
	json_object_string_add(o, "reason", dsaa_view_advert_reason(a));
	json_object_int_add(o, "tag", a->tag);
	if (a->site)
		json_object_int_add(o, "site", a->site);
	else
		json_object_string_add(o, "site", "all");
	json_object_boolean_add(o, "installed", a->installed);
	json_object_boolean_add(o, "selected", a->selected);
	json_object_object_add(prefixes, key, o);
}

/* The prefixes of a VRF in VRFS, made with the first of them. */
static struct json_object *prefixes_of(struct json_object *vrfs, const char *vrf)
{
	struct json_object *o, *prefixes;

	if (json_object_object_get_ex(vrfs, vrf, &o)) {
		json_object_object_get_ex(o, "prefixes", &prefixes);
		return prefixes;
	}
	o = json_object_new_object();
	prefixes = json_object_new_object();
	json_object_object_add(o, "prefixes", prefixes);
	json_object_object_add(vrfs, vrf, o);
	return prefixes;
}

static void show_advertise_json(struct vty *vty)
{
	struct json_object *o = dsaa_vty_answer_new(), *prefixes = json_object_new_object();
	struct json_object *vrfs = json_object_new_object();
	struct dsaa_advert *a;

	frr_each (dsaa_advert_list, &dsaa_conf.adverts, a)
		advert_json(a->vrf[0] ? prefixes_of(vrfs, a->vrf) : prefixes, a);
	json_object_object_add(o, "prefixes", prefixes);
	json_object_object_add(o, "vrfs", vrfs);
	dsaa_vty_answer(vty, o);
}

static void show_advertise_text(struct vty *vty)
{
	char text[PREFIX_STRLEN], site[8];
	struct dsaa_advert *a;

	vty_out(vty, "%-43s %-15s %4s %-9s %10s %-9s %s\n", "Prefix", "VRF", "Site", "State", "Tag",
		"In zebra", "Reason");
	frr_each (dsaa_advert_list, &dsaa_conf.adverts, a) {
		snprintfrr(text, sizeof(text), "%pFX", &a->prefix);
		snprintf(site, sizeof(site), "%u", a->site);
		vty_out(vty, "%-43s %-15s %4s %-9s %10u %-9s %s\n", text,
			a->vrf[0] ? a->vrf : VRF_DEFAULT_NAME, a->site ? site : "all",
			dsaa_advertise_state_name(a->state), a->tag,
			a->selected  ? "selected" :
			a->installed ? "installed" :
				       "no",
			dsaa_view_advert_reason(a));
	}
}

DEFPY(show_dsaa_advertise, show_dsaa_advertise_cmd, "show dsaa advertise [json]$json",
      SHOW_STR DSAA_STR "Announced prefixes\n" JSON_STR)
{
	if (json)
		show_advertise_json(vty);
	else if (dsaa_vty_head(vty))
		show_advertise_text(vty);
	return CMD_SUCCESS;
}

/* ------------------------------------------------------------------ show dsaa events */

static void event_time(const struct dsaa_history *h, char buf[40])
{
	int64_t ago_us = dsaa_mono_diff_us(dsaa_mono_now(), h->at);
	struct timespec now;
	int64_t ms;
	struct tm tm;
	time_t s;

	clock_gettime(CLOCK_REALTIME, &now);
	ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - ago_us / 1000;
	s = ms / 1000;
	localtime_r(&s, &tm);
	strftime(buf, 40, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + strlen(buf), 40 - strlen(buf), ".%03d", (int)(ms % 1000));
}

static const char *event_what(const struct dsaa_history *h)
{
	switch (h->kind) {
	case DSAA_HISTORY_PEER:
		return "peer";
	case DSAA_HISTORY_DRAIN:
		return "drain";
	case DSAA_HISTORY_LINES:
		return h->reason == DSAA_R_BLOCK_DIFFERS ? "configuration" : "ruleset";
	case DSAA_HISTORY_STATE:
		break;
	}
	return "state";
}

static void event_json(struct json_object *list, const struct dsaa_history *h)
{
	struct json_object *o = json_object_new_object();
	char time[40];

	event_time(h, time);
	json_object_string_add(o, "time", time);
	json_object_int_add(o, "ageMsec", dsaa_view_age_ms(h->at));
	json_object_int_add(o, "site", h->site ? h->site : dsaa_local_site());
	json_object_string_add(o, "what", event_what(h));
	json_object_string_add(o, "from", dsaa_nb_change_name(h, h->from));
	json_object_string_add(o, "to", dsaa_nb_change_name(h, h->to));
	reason_json(o, h->reason);
	json_object_array_add(list, o);
}

static void event_text(struct vty *vty, const struct dsaa_history *h)
{
	char time[40];

	event_time(h, time);
	if (h->site)
		vty_out(vty, "%s  %s %u (%s): %s -> %s", time, event_what(h), h->site,
			dsaa_view_site_name(h->site), dsaa_nb_change_name(h, h->from),
			dsaa_nb_change_name(h, h->to));
	else
		vty_out(vty, "%s  %s: %s -> %s", time, event_what(h),
			dsaa_nb_change_name(h, h->from), dsaa_nb_change_name(h, h->to));
	reason_text(vty, h->reason);
	vty_out(vty, "\n");
}

DEFPY(show_dsaa_events, show_dsaa_events_cmd, "show dsaa events [json]$json",
      SHOW_STR DSAA_STR "The last changes of state, newest last\n" JSON_STR)
{
	struct dsaa_history h[DSAA_HISTORY_MAX];
	unsigned n = dsaa_sync_history(h, DSAA_HISTORY_MAX);
	struct json_object *o, *list;

	if (json) {
		o = dsaa_vty_answer_new();
		list = json_object_new_array();
		for (unsigned i = 0; i < n; i++)
			event_json(list, &h[i]);
		json_object_object_add(o, "events", list);
		dsaa_vty_answer(vty, o);
		return CMD_SUCCESS;
	}
	if (!dsaa_vty_head(vty))
		return CMD_SUCCESS;
	for (unsigned i = 0; i < n; i++)
		event_text(vty, &h[i]);
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
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++) {
		struct json_object *site;

		if (!dsaa_conf.site[s].configured)
			continue;
		site = object_at(sites, s);
		json_object_int_add(site, "connections", r->connections[s]);
		json_object_int_add(site, "survive", r->survive[s]);
		json_object_object_add(site, "lost", reasons_json(r->lost[s]));
	}
	json_object_object_add(o, "sites", sites);
	dsaa_vty_answer(vty, o);
}

static void rehearsal_text(struct vty *vty, const struct dsaa_rehearsal *r)
{
	if (r->bounded)
		vty_out(vty, "%% There are more connections; the first %d were looked at\n",
			DSAA_REHEARSE_MAX);
	vty_out(vty, "%-28s %12s %12s\n", "If this site were lost", "connections", "survive");
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++) {
		if (!dsaa_conf.site[s].configured)
			continue;
		vty_out(vty, "%4u  %-22s %12" PRIu64 " %12" PRIu64 "%s\n", s,
			dsaa_view_site_name(s), r->connections[s], r->survive[s],
			s == dsaa_local_site() ? "" : "  as far as it told us: ask there too");
		reasons_text(vty, "      lost: ", r->lost[s]);
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
	install_element(VIEW_NODE, &show_dsaa_site_cmd);
	install_element(VIEW_NODE, &show_dsaa_uips_cmd);
	install_element(VIEW_NODE, &show_dsaa_sync_cmd);
	install_element(VIEW_NODE, &show_dsaa_correction_cmd);
	install_element(VIEW_NODE, &show_dsaa_advertise_cmd);
	install_element(VIEW_NODE, &show_dsaa_events_cmd);
	install_element(ENABLE_NODE, &dsaa_resync_cmd);
	install_element(ENABLE_NODE, &dsaa_audit_cmd);
	install_element(ENABLE_NODE, &dsaa_drain_cmd);
	install_element(ENABLE_NODE, &dsaa_rehearse_failover_cmd);
	install_element(ENABLE_NODE, &clear_dsaa_counters_cmd);
	dsaa_vty_differ_init();
	dsaa_vty_flow_init();
}
