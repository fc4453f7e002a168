/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Operational state through the northbound. Main thread.
 *
 * A list entry is a pointer to what it tells about: a site, an address or a
 * prefix of dsaa_conf, or a place in an array of this file that stands for an
 * interface or a reason. Nothing is kept between two calls.
 *
 * Most leaves are numbers of a view: a table names the member for each, so
 * that the leaf and what it shows stand in one line.
 */
#include <zebra.h>

#include "printfrr.h"

#include "dsaad/dsaa_nb.h"
#include "dsaad/dsaa_view.h"
#include "dsaad/dsaad.h"

/* ------------------------------------------------------------------ numbers */

struct number {
	const char *leaf;
	size_t offset, size;
};
#define NUMBER(name, type, member)                                                      \
	{                                                                               \
		name, offsetof(struct type, member), sizeof(((struct type *)0)->member) \
	}

/* The leaf that XPATH ends with: FRR 8.4 writes the module's name before it. */
static const char *leaf_of(const char *xpath)
{
	const char *leaf = strrchr(xpath, '/') + 1, *colon = strchr(leaf, ':');

	return colon ? colon + 1 : leaf;
}

static struct yang_data *number(const char *xpath, const struct number *table, size_t count,
				const void *view)
{
	const char *leaf = leaf_of(xpath), *at;
	uint64_t value = 0;
	char text[24];

	while (count && strcmp(table->leaf, leaf))
		table++, count--;
	assert(count);
	at = (const char *)view + table->offset;
	switch (table->size) {
	case sizeof(uint8_t):
		value = *(const uint8_t *)at;
		break;
	case sizeof(uint32_t):
		value = *(const uint32_t *)at;
		break;
	case sizeof(uint64_t):
		value = *(const uint64_t *)at;
		break;
	}
	snprintf(text, sizeof(text), "%" PRIu64, value);
	return yang_data_new(xpath, text);
}

/* ------------------------------------------------------------------ this site */

struct state_numbers {
	struct dsaa_engine_view e;
	struct dsaa_sync_kernel k;
};

static const struct number state_numbers[] = {
	NUMBER("local-site", state_numbers, e.local),
	NUMBER("drain-heir", state_numbers, e.drain_heir),
	NUMBER("connections", state_numbers, k.count),
	NUMBER("connections-max", state_numbers, k.max),
	NUMBER("connections-needed", state_numbers, k.needed),
	NUMBER("own-events", state_numbers, e.own_events),
	NUMBER("overruns", state_numbers, e.overruns),
	NUMBER("adopted", state_numbers, e.adopted),
	NUMBER("adopted-on-demand", state_numbers, e.adopted_on_demand),
	NUMBER("log-entries", state_numbers, e.log_live),
	NUMBER("delayed", state_numbers, e.delayed),
};

struct yang_data *dsaa_nb_state_number(struct nb_cb_get_elem_args *args)
{
	struct state_numbers v = { 0 };

	dsaa_view_engine(&v.e);
	dsaa_sync_kernel_view(&v.k);
	return number(args->xpath, state_numbers, array_size(state_numbers), &v);
}

struct yang_data *dsaa_nb_state_digest(struct nb_cb_get_elem_args *args)
{
	char text[20];

	snprintf(text, sizeof(text), "%016" PRIx64, dsaa_config_digest());
	return yang_data_new_string(args->xpath, text);
}

struct yang_data *dsaa_nb_state_complete(struct nb_cb_get_elem_args *args)
{
	struct dsaa_engine_view v;

	dsaa_view_engine(&v);
	return yang_data_new_bool(args->xpath, v.state_complete);
}

struct yang_data *dsaa_nb_state_reason(struct nb_cb_get_elem_args *args)
{
	struct dsaa_engine_view v;

	dsaa_view_engine(&v);
	return yang_data_new_string(args->xpath, dsaa_reason_name(v.complete_reason));
}

struct yang_data *dsaa_nb_state_drain(struct nb_cb_get_elem_args *args)
{
	struct dsaa_engine_view v;

	dsaa_view_engine(&v);
	return yang_data_new_string(args->xpath, dsaa_drain_state_name(v.drain));
}

/* ------------------------------------------------------------------ addresses */

const void *dsaa_nb_uips_next(struct nb_cb_get_next_args *args)
{
	uint8_t local = dsaa_local_site();
	const struct dsaa_uips *u = args->list_entry;

	if (!local)
		return NULL;
	return u ? dsaa_uips_list_const_next(&dsaa_conf.site[local].uips, u) :
		   dsaa_uips_list_const_first(&dsaa_conf.site[local].uips);
}

int dsaa_nb_uips_keys(struct nb_cb_get_keys_args *args)
{
	const struct dsaa_uips *u = args->list_entry;

	args->keys->num = 2;
	strlcpy(args->keys->key[0], u->ifname, sizeof(args->keys->key[0]));
	snprintfrr(args->keys->key[1], sizeof(args->keys->key[1]), "%pFX", &u->address);
	return NB_OK;
}

const void *dsaa_nb_uips_lookup(struct nb_cb_lookup_entry_args *args)
{
	const struct dsaa_uips *u;
	char address[PREFIX_STRLEN];

	frr_each (dsaa_uips_list_const, &dsaa_conf.site[dsaa_local_site()].uips, u) {
		snprintfrr(address, sizeof(address), "%pFX", &u->address);
		if (!strcmp(u->ifname, args->keys->key[0]) && !strcmp(address, args->keys->key[1]))
			return u;
	}
	return NULL;
}

struct yang_data *dsaa_nb_uips_interface(struct nb_cb_get_elem_args *args)
{
	const struct dsaa_uips *u = args->list_entry;

	return yang_data_new_string(args->xpath, u->ifname);
}

struct yang_data *dsaa_nb_uips_address(struct nb_cb_get_elem_args *args)
{
	const struct dsaa_uips *u = args->list_entry;
	char address[PREFIX_STRLEN];

	snprintfrr(address, sizeof(address), "%pFX", &u->address);
	return yang_data_new_string(args->xpath, address);
}

struct yang_data *dsaa_nb_uips_installed(struct nb_cb_get_elem_args *args)
{
	const struct dsaa_uips *u = args->list_entry;

	return yang_data_new_bool(args->xpath, u->installed);
}

struct yang_data *dsaa_nb_uips_reason(struct nb_cb_get_elem_args *args)
{
	return yang_data_new_string(args->xpath, dsaa_view_uips_reason(args->list_entry));
}

/* ------------------------------------------------------------------ interfaces */

/* Entry i stands for logical interface i; what it holds means nothing. */
static const char interface_entries[DSAA_IFACES_MAX];

static void interface_name(const void *entry, char name[IFNAMSIZ])
{
	char names[DSAA_IFACES_MAX][IFNAMSIZ];
	unsigned i = (const char *)entry - interface_entries;

	strlcpy(name, i < dsaa_logical_interfaces(names) ? names[i] : "", IFNAMSIZ);
}

const void *dsaa_nb_interface_next(struct nb_cb_get_next_args *args)
{
	char names[DSAA_IFACES_MAX][IFNAMSIZ];
	unsigned i = args->list_entry ?
			     (unsigned)((const char *)args->list_entry - interface_entries) + 1 :
			     0;

	return i < dsaa_logical_interfaces(names) ? &interface_entries[i] : NULL;
}

int dsaa_nb_interface_keys(struct nb_cb_get_keys_args *args)
{
	args->keys->num = 1;
	interface_name(args->list_entry, args->keys->key[0]);
	return NB_OK;
}

const void *dsaa_nb_interface_lookup(struct nb_cb_lookup_entry_args *args)
{
	char names[DSAA_IFACES_MAX][IFNAMSIZ];
	unsigned n = dsaa_logical_interfaces(names);

	for (unsigned i = 0; i < n; i++)
		if (!strcmp(names[i], args->keys->key[0]))
			return &interface_entries[i];
	return NULL;
}

struct yang_data *dsaa_nb_interface_name(struct nb_cb_get_elem_args *args)
{
	char name[IFNAMSIZ];

	interface_name(args->list_entry, name);
	return yang_data_new_string(args->xpath, name);
}

struct yang_data *dsaa_nb_interface_data_path(struct nb_cb_get_elem_args *args)
{
	char name[IFNAMSIZ], why[160];

	interface_name(args->list_entry, name);
	return yang_data_new_string(args->xpath, dsaa_correct_data_path(name, why, sizeof(why)));
}

struct yang_data *dsaa_nb_interface_why(struct nb_cb_get_elem_args *args)
{
	char name[IFNAMSIZ], why[160];

	interface_name(args->list_entry, name);
	dsaa_correct_data_path(name, why, sizeof(why));
	return yang_data_new_string(args->xpath, why);
}

/* ------------------------------------------------------------------ site-sync interfaces */

static const char link_entries[DSAA_SITE_SYNC_ADDRESSES_MAX];

/* False when it has gone since the list was begun; then it has no name. */
static bool get_link(const void *entry, struct dsaa_correct_link *l)
{
	struct dsaa_correct_link all[DSAA_SITE_SYNC_ADDRESSES_MAX];
	unsigned i = (const char *)entry - link_entries, n = dsaa_correct_links(all);

	memset(l, 0, sizeof(*l));
	if (i < n)
		*l = all[i];
	return i < n;
}

const void *dsaa_nb_link_next(struct nb_cb_get_next_args *args)
{
	struct dsaa_correct_link all[DSAA_SITE_SYNC_ADDRESSES_MAX];
	unsigned i = args->list_entry ? (const char *)args->list_entry - link_entries + 1 : 0;

	return i < dsaa_correct_links(all) ? &link_entries[i] : NULL;
}

int dsaa_nb_link_keys(struct nb_cb_get_keys_args *args)
{
	struct dsaa_correct_link l;

	get_link(args->list_entry, &l);
	args->keys->num = 1;
	strlcpy(args->keys->key[0], l.name, sizeof(args->keys->key[0]));
	return NB_OK;
}

const void *dsaa_nb_link_lookup(struct nb_cb_lookup_entry_args *args)
{
	struct dsaa_correct_link all[DSAA_SITE_SYNC_ADDRESSES_MAX];
	unsigned n = dsaa_correct_links(all);

	for (unsigned i = 0; i < n; i++)
		if (!strcmp(all[i].name, args->keys->key[0]))
			return &link_entries[i];
	return NULL;
}

struct yang_data *dsaa_nb_link_name(struct nb_cb_get_elem_args *args)
{
	struct dsaa_correct_link l;

	get_link(args->list_entry, &l);
	return yang_data_new_string(args->xpath, l.name);
}

struct yang_data *dsaa_nb_link_tunnel_path(struct nb_cb_get_elem_args *args)
{
	struct dsaa_correct_link l;
	const char *why;

	if (!get_link(args->list_entry, &l))
		return NULL;
	return yang_data_new_string(args->xpath, dsaa_correct_link_path(&l, &why));
}

struct yang_data *dsaa_nb_link_why(struct nb_cb_get_elem_args *args)
{
	struct dsaa_correct_link l;
	const char *why;

	if (!get_link(args->list_entry, &l))
		return NULL;
	dsaa_correct_link_path(&l, &why);
	return yang_data_new_string(args->xpath, why);
}

/* ------------------------------------------------------------------ peers */

static uint8_t peer_number(const void *entry)
{
	return (const struct dsaa_site *)entry - dsaa_conf.site;
}

const void *dsaa_nb_peer_next(struct nb_cb_get_next_args *args)
{
	unsigned s = args->list_entry ? peer_number(args->list_entry) : 0;

	for (s++; s <= DSAA_SITES_MAX; s++)
		if (dsaa_view_is_peer(s))
			return &dsaa_conf.site[s];
	return NULL;
}

int dsaa_nb_peer_keys(struct nb_cb_get_keys_args *args)
{
	args->keys->num = 1;
	snprintf(args->keys->key[0], sizeof(args->keys->key[0]), "%u",
		 peer_number(args->list_entry));
	return NB_OK;
}

const void *dsaa_nb_peer_lookup(struct nb_cb_lookup_entry_args *args)
{
	unsigned long s = strtoul(args->keys->key[0], NULL, 10);

	return s <= DSAA_SITES_MAX && dsaa_view_is_peer(s) ? &dsaa_conf.site[s] : NULL;
}

static struct dsaa_peer_view peer_view(const struct nb_cb_get_elem_args *args)
{
	struct dsaa_peer_view v;

	dsaa_view_peer(peer_number(args->list_entry), &v);
	return v;
}

struct yang_data *dsaa_nb_peer_site(struct nb_cb_get_elem_args *args)
{
	return yang_data_new_uint8(args->xpath, peer_number(args->list_entry));
}

struct yang_data *dsaa_nb_peer_state(struct nb_cb_get_elem_args *args)
{
	return yang_data_new_string(args->xpath, dsaa_peer_state_name(peer_view(args).state));
}

struct yang_data *dsaa_nb_peer_reason(struct nb_cb_get_elem_args *args)
{
	return yang_data_new_string(args->xpath, dsaa_reason_name(peer_view(args).reason));
}

struct peer_numbers {
	struct dsaa_peer_view v;
	struct dsaa_correct_peer c;
	uint64_t age_ms, rejected;
};

static const struct number peer_numbers[] = {
	NUMBER("state-age", peer_numbers, age_ms),
	NUMBER("flows-sent", peer_numbers, v.flows_sent),
	NUMBER("flows-received", peer_numbers, v.flows_received),
	NUMBER("flows-applied", peer_numbers, v.flows_applied),
	NUMBER("flows-rejected", peer_numbers, rejected),
	NUMBER("peer-applied", peer_numbers, v.peer_applied),
	NUMBER("peer-rejected", peer_numbers, v.peer_rejected),
	NUMBER("backlog", peer_numbers, v.backlog),
	NUMBER("lag-p50", peer_numbers, v.lag_p50_us),
	NUMBER("lag-p99", peer_numbers, v.lag_p99_us),
	NUMBER("lag-max", peer_numbers, v.lag_max_us),
	NUMBER("lag-now", peer_numbers, v.lag_now_us),
	NUMBER("last-bulk-flows", peer_numbers, v.bulk_flows),
	NUMBER("last-bulk-duration", peer_numbers, v.bulk_ms),
	NUMBER("audits", peer_numbers, v.audits),
	NUMBER("last-audit-differences", peer_numbers, v.audit_differences),
	NUMBER("last-audit-repaired", peer_numbers, v.audit_repaired),
	NUMBER("sessions", peer_numbers, v.sessions),
	NUMBER("packets-sent", peer_numbers, c.packets_sent),
	NUMBER("bytes-sent", peer_numbers, c.bytes_sent),
	NUMBER("packets-received", peer_numbers, c.packets_received),
	NUMBER("bytes-received", peer_numbers, c.bytes_received),
	NUMBER("packets-observed", peer_numbers, c.packets_observed),
	NUMBER("bytes-observed", peer_numbers, c.bytes_observed),
};

struct yang_data *dsaa_nb_peer_number(struct nb_cb_get_elem_args *args)
{
	struct peer_numbers n = { .v = peer_view(args) };

	dsaa_correct_peer_view(peer_number(args->list_entry), &n.c);
	n.age_ms = dsaa_view_age_ms(n.v.since);
	for (unsigned r = 0; r < DSAA_REASONS_MAX; r++)
		n.rejected += n.v.flows_rejected[r];
	return number(args->xpath, peer_numbers, array_size(peer_numbers), &n);
}

static const struct number peer_flags[] = {
	NUMBER("session", dsaa_peer_view, session),
	NUMBER("secure", dsaa_peer_view, secure),
	NUMBER("peer-complete", dsaa_peer_view, peer_complete),
	NUMBER("peer-draining", dsaa_peer_view, peer_draining),
	NUMBER("configuration-differs", dsaa_peer_view, block_differs),
	NUMBER("ruleset-differs", dsaa_peer_view, ruleset_differs),
	NUMBER("adoption-refused", dsaa_peer_view, adoption_refused),
};

struct yang_data *dsaa_nb_peer_flag(struct nb_cb_get_elem_args *args)
{
	const char *leaf = leaf_of(args->xpath);
	struct dsaa_peer_view v = peer_view(args);
	unsigned i = 0;

	while (strcmp(peer_flags[i].leaf, leaf)) {
		i++;
		assert(i < array_size(peer_flags));
	}
	return yang_data_new_bool(args->xpath,
				  *(const bool *)((const char *)&v + peer_flags[i].offset));
}

struct yang_data *dsaa_nb_peer_bfd(struct nb_cb_get_elem_args *args)
{
	return yang_data_new_string(
		args->xpath, dsaa_conf.bfd ? dsaa_view_liveness(peer_view(args).bfd) : "off");
}

struct yang_data *dsaa_nb_peer_probe(struct nb_cb_get_elem_args *args)
{
	const struct dsaa_site *site = args->list_entry;

	return yang_data_new_string(
		args->xpath, site->has_probe ? dsaa_view_liveness(peer_view(args).probe) : "off");
}

/* ------------------------------------------------------------------ reasons */

/* The number of reason NAME, or 0. */
static unsigned reason_number(const char *name)
{
	for (unsigned r = dsaa_reason_next(0); r < DSAA_REASONS_MAX; r = dsaa_reason_next(r))
		if (!strcmp(dsaa_reason_name(r), name))
			return r;
	return 0;
}

/* The next reason after R that COUNT has, DSAA_REASONS_MAX when there is none. */
static unsigned next_counted(unsigned r, const uint64_t count[DSAA_REASONS_MAX])
{
	do
		r = dsaa_reason_next(r);
	while (r < DSAA_REASONS_MAX && !count[r]);
	return r;
}

static int reason_key(struct yang_list_keys *keys, unsigned r)
{
	keys->num = 1;
	strlcpy(keys->key[0], dsaa_reason_name(r), sizeof(keys->key[0]));
	return NB_OK;
}

/* An entry stands for a peer and a reason; what it holds means nothing. */
static const char rejected_entries[DSAA_SITES_MAX + 1][DSAA_REASONS_MAX];

static unsigned rejected_site(const void *entry)
{
	return ((const char *)entry - rejected_entries[0]) / DSAA_REASONS_MAX;
}

static unsigned rejected_reason(const void *entry)
{
	return ((const char *)entry - rejected_entries[0]) % DSAA_REASONS_MAX;
}

const void *dsaa_nb_rejected_next(struct nb_cb_get_next_args *args)
{
	unsigned site = peer_number(args->parent_list_entry);
	unsigned r = args->list_entry ? rejected_reason(args->list_entry) : 0;
	struct dsaa_peer_view v;

	dsaa_view_peer(site, &v);
	r = next_counted(r, v.flows_rejected);
	return r < DSAA_REASONS_MAX ? &rejected_entries[site][r] : NULL;
}

int dsaa_nb_rejected_keys(struct nb_cb_get_keys_args *args)
{
	return reason_key(args->keys, rejected_reason(args->list_entry));
}

const void *dsaa_nb_rejected_lookup(struct nb_cb_lookup_entry_args *args)
{
	unsigned r = reason_number(args->keys->key[0]);

	return r ? &rejected_entries[peer_number(args->parent_list_entry)][r] : NULL;
}

struct yang_data *dsaa_nb_rejected_reason(struct nb_cb_get_elem_args *args)
{
	return yang_data_new_string(args->xpath,
				    dsaa_reason_name(rejected_reason(args->list_entry)));
}

struct yang_data *dsaa_nb_rejected_flows(struct nb_cb_get_elem_args *args)
{
	struct dsaa_peer_view v;

	dsaa_view_peer(rejected_site(args->list_entry), &v);
	return yang_data_new_uint64(args->xpath,
				    v.flows_rejected[rejected_reason(args->list_entry)]);
}

/* An entry stands for the reason of its number. */
static const char packet_entries[DSAA_REASONS_MAX];

const void *dsaa_nb_packet_reason_next(struct nb_cb_get_next_args *args)
{
	unsigned r = args->list_entry ? (const char *)args->list_entry - packet_entries : 0;
	uint64_t packets[DSAA_REASONS_MAX];

	dsaa_correct_reasons(packets);
	r = next_counted(r, packets);
	return r < DSAA_REASONS_MAX ? &packet_entries[r] : NULL;
}

int dsaa_nb_packet_reason_keys(struct nb_cb_get_keys_args *args)
{
	return reason_key(args->keys, (const char *)args->list_entry - packet_entries);
}

const void *dsaa_nb_packet_reason_lookup(struct nb_cb_lookup_entry_args *args)
{
	unsigned r = reason_number(args->keys->key[0]);

	return r ? &packet_entries[r] : NULL;
}

struct yang_data *dsaa_nb_packet_reason_reason(struct nb_cb_get_elem_args *args)
{
	unsigned r = (const char *)args->list_entry - packet_entries;

	return yang_data_new_string(args->xpath, dsaa_reason_name(r));
}

struct yang_data *dsaa_nb_packet_reason_packets(struct nb_cb_get_elem_args *args)
{
	uint64_t packets[DSAA_REASONS_MAX];

	dsaa_correct_reasons(packets);
	return yang_data_new_uint64(args->xpath,
				    packets[(const char *)args->list_entry - packet_entries]);
}

/* ------------------------------------------------------------------ prefixes */

/* The entry after A, or the first one when A is NULL, that is in a VRF or is not. */
static const struct dsaa_advert *next_advert(const struct dsaa_advert *a, bool in_vrf)
{
	do {
		a = a ? dsaa_advert_list_const_next(&dsaa_conf.adverts, a) :
			dsaa_advert_list_const_first(&dsaa_conf.adverts);
	} while (a && (a->vrf[0] != 0) != in_vrf);
	return a;
}

static const struct dsaa_advert *find_advert(const char *vrf, const char *prefix)
{
	const struct dsaa_advert *a;
	struct prefix p;

	if (!str2prefix(prefix, &p))
		return NULL;
	frr_each (dsaa_advert_list_const, &dsaa_conf.adverts, a)
		if (prefix_same(&a->prefix, &p) && !strcmp(a->vrf, vrf))
			return a;
	return NULL;
}

const void *dsaa_nb_prefix_next(struct nb_cb_get_next_args *args)
{
	return next_advert(args->list_entry, false);
}

int dsaa_nb_prefix_keys(struct nb_cb_get_keys_args *args)
{
	const struct dsaa_advert *a = args->list_entry;

	args->keys->num = 1;
	snprintfrr(args->keys->key[0], sizeof(args->keys->key[0]), "%pFX", &a->prefix);
	return NB_OK;
}

const void *dsaa_nb_prefix_lookup(struct nb_cb_lookup_entry_args *args)
{
	return find_advert("", args->keys->key[0]);
}

const void *dsaa_nb_vrf_prefix_next(struct nb_cb_get_next_args *args)
{
	return next_advert(args->list_entry, true);
}

int dsaa_nb_vrf_prefix_keys(struct nb_cb_get_keys_args *args)
{
	const struct dsaa_advert *a = args->list_entry;

	args->keys->num = 2;
	strlcpy(args->keys->key[0], a->vrf, sizeof(args->keys->key[0]));
	snprintfrr(args->keys->key[1], sizeof(args->keys->key[1]), "%pFX", &a->prefix);
	return NB_OK;
}

const void *dsaa_nb_vrf_prefix_lookup(struct nb_cb_lookup_entry_args *args)
{
	return find_advert(args->keys->key[0], args->keys->key[1]);
}

struct yang_data *dsaa_nb_vrf_prefix_vrf(struct nb_cb_get_elem_args *args)
{
	const struct dsaa_advert *a = args->list_entry;

	return yang_data_new_string(args->xpath, a->vrf);
}

struct yang_data *dsaa_nb_prefix_prefix(struct nb_cb_get_elem_args *args)
{
	const struct dsaa_advert *a = args->list_entry;

	return yang_data_new_prefix(args->xpath, &a->prefix);
}

struct yang_data *dsaa_nb_prefix_state(struct nb_cb_get_elem_args *args)
{
	const struct dsaa_advert *a = args->list_entry;

	return yang_data_new_string(args->xpath, dsaa_advertise_state_name(a->state));
}

struct yang_data *dsaa_nb_prefix_reason(struct nb_cb_get_elem_args *args)
{
	return yang_data_new_string(args->xpath, dsaa_view_advert_reason(args->list_entry));
}

struct yang_data *dsaa_nb_prefix_tag(struct nb_cb_get_elem_args *args)
{
	const struct dsaa_advert *a = args->list_entry;

	return yang_data_new_uint32(args->xpath, a->tag);
}
