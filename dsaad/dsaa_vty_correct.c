/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "show dsaa correction". Main thread.
 */
#include <zebra.h>

#include "command.h"
#include "json.h"
#include "printfrr.h"
#include "vty.h"

#include "dsaad/dsaa_config.h"
#include "dsaad/dsaa_correct.h"
#include "dsaad/dsaa_vty.h"

#include "dsaad/dsaa_vty_correct_clippy.c"

/* ------------------------------------------------------------------ show dsaa correction */

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

	if (!dsaa_correct_queues()) {
		vty_out(vty, "No packet is corrected: %s\n\n", dsaa_correct_not_running());
		return;
	}
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
	json_object_string_add(p, "link", dsaa_correct_sends_by(site));
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
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		if (dsaa_view_is_peer(s) && dsaa_correct_sends_by(s)[0])
			vty_out(vty, "Packets to site %u go by %s\n", s, dsaa_correct_sends_by(s));
}

static void correction_json(struct vty *vty)
{
	struct json_object *o = dsaa_vty_answer_new(), *peers = json_object_new_object();
	struct json_object *interfaces = json_object_new_object();
	char names[DSAA_IFACES_MAX][IFNAMSIZ], why[400];
	uint64_t reasons[DSAA_REASONS_MAX] = { 0 };
	unsigned n = dsaa_logical_interfaces(names);

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
	json_object_object_add(o, "reasons", dsaa_vty_reasons_json(reasons));
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
	char names[DSAA_IFACES_MAX][IFNAMSIZ], why[400];
	uint64_t reasons[DSAA_REASONS_MAX] = { 0 };
	unsigned n;

	if (!dsaa_vty_head(vty))
		return;
	vty_out(vty, "Tunnel port %u, owner bits 0x%08x\n", dsaa_correction_port(),
		dsaa_conf.mark_mask);
	hold_text(vty);
	n = dsaa_logical_interfaces(names);
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
	dsaa_vty_reasons(vty, "", reasons);
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

void dsaa_vty_correct_init(void)
{
	install_element(VIEW_NODE, &show_dsaa_correction_cmd);
}
