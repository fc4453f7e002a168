/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "show dsaa site", "show dsaa uips" and "show dsaa advertise": the sites, their
 * addresses, and what is announced of them. Main thread.
 */
#include <zebra.h>

#include "command.h"
#include "json.h"
#include "printfrr.h"
#include "vrf.h"
#include "vty.h"

#include "dsaad/dsaa_config.h"
#include "dsaad/dsaa_vty.h"

#include "dsaad/dsaa_vty_site_clippy.c"

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
	struct json_object *o = dsaa_vty_object_at(sites, s);
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
	dsaa_vty_reason_json(o, pv.reason);
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
			dsaa_vty_age(pv.since, age));
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

void dsaa_vty_site_init(void)
{
	install_element(VIEW_NODE, &show_dsaa_site_cmd);
	install_element(VIEW_NODE, &show_dsaa_uips_cmd);
	install_element(VIEW_NODE, &show_dsaa_advertise_cmd);
}
