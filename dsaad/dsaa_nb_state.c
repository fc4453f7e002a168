/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Operational state through the northbound. Main thread.
 *
 * A list entry is a pointer to the entry in dsaa_conf that it tells about: a
 * site, or a prefix to announce. Nothing is kept between two calls.
 */
#include <zebra.h>

#include "printfrr.h"

#include "dsaad/dsaa_nb.h"
#include "dsaad/dsaa_view.h"
#include "dsaad/dsaad.h"

struct yang_data *dsaa_nb_state_local_site(struct nb_cb_get_elem_args *args)
{
	return yang_data_new_uint8(args->xpath, dsaa_local_site());
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

struct yang_data *dsaa_nb_peer_flows_sent(struct nb_cb_get_elem_args *args)
{
	return yang_data_new_uint64(args->xpath, peer_view(args).flows_sent);
}

struct yang_data *dsaa_nb_peer_flows_received(struct nb_cb_get_elem_args *args)
{
	return yang_data_new_uint64(args->xpath, peer_view(args).flows_received);
}

struct yang_data *dsaa_nb_peer_flows_applied(struct nb_cb_get_elem_args *args)
{
	return yang_data_new_uint64(args->xpath, peer_view(args).flows_applied);
}

struct yang_data *dsaa_nb_peer_flows_rejected(struct nb_cb_get_elem_args *args)
{
	struct dsaa_peer_view v = peer_view(args);
	uint64_t sum = 0;

	for (unsigned r = 0; r < DSAA_REASONS_MAX; r++)
		sum += v.flows_rejected[r];
	return yang_data_new_uint64(args->xpath, sum);
}

struct yang_data *dsaa_nb_peer_backlog(struct nb_cb_get_elem_args *args)
{
	return yang_data_new_uint32(args->xpath, peer_view(args).backlog);
}

struct yang_data *dsaa_nb_peer_packets_sent(struct nb_cb_get_elem_args *args)
{
	struct dsaa_correct_peer v;

	dsaa_correct_peer_view(peer_number(args->list_entry), &v);
	return yang_data_new_uint64(args->xpath, v.packets_sent);
}

struct yang_data *dsaa_nb_peer_packets_received(struct nb_cb_get_elem_args *args)
{
	struct dsaa_correct_peer v;

	dsaa_correct_peer_view(peer_number(args->list_entry), &v);
	return yang_data_new_uint64(args->xpath, v.packets_received);
}

/* ------------------------------------------------------------------ prefixes */

const void *dsaa_nb_prefix_next(struct nb_cb_get_next_args *args)
{
	const struct dsaa_advert *a = args->list_entry;

	return a ? dsaa_advert_list_const_next(&dsaa_conf.adverts, a) :
		   dsaa_advert_list_const_first(&dsaa_conf.adverts);
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
	const struct dsaa_advert *a;
	struct prefix p;

	if (!str2prefix(args->keys->key[0], &p))
		return NULL;
	frr_each (dsaa_advert_list_const, &dsaa_conf.adverts, a)
		if (prefix_same(&a->prefix, &p))
			return a;
	return NULL;
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
