/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What can be asked of dsaad through the northbound beside configuration and
 * state: drain, resync, rehearsal; and what it tells by itself. Main thread.
 *
 * FRR 8.4 gives input and output as lists of strings with their paths, FRR 10
 * as trees: input() and output() hide that.
 */
#include <zebra.h>

#include "command.h"
#include "northbound_cli.h"

#include "dsaad/dsaa_nb.h"
#include "dsaad/dsaa_view.h"
#include "dsaad/dsaad.h"

#ifdef DSAA_FRR_10
/* libyang renamed it between 2 and 3 */
#ifdef LYD_NEW_VAL_OUTPUT
#define NEW_OUTPUT LYD_NEW_VAL_OUTPUT
#else
#define NEW_OUTPUT LYD_NEW_PATH_OUTPUT
#endif
#endif

/* The text of input leaf NAME, NULL when it was not given. */
static const char *input(const struct nb_cb_rpc_args *args, const char *name)
{
#ifdef DSAA_FRR_10
	return yang_dnode_exists(args->input, name) ?
		       yang_dnode_get_string(args->input, "%s", name) :
		       NULL;
#else
	struct yang_data *d = args->input ? yang_data_list_find(args->input, "%s/input/%s",
								args->xpath, name) :
					    NULL;

	return d ? d->value : NULL;
#endif
}

static void output(struct nb_cb_rpc_args *args, const char *path, const char *value)
{
#ifdef DSAA_FRR_10
	lyd_new_path(args->output, NULL, path, value, NEW_OUTPUT, NULL);
#else
	char xpath[XPATH_MAXLEN];

	if (!args->output)
		return;
	snprintf(xpath, sizeof(xpath), "%s/output/%s", args->xpath, path);
	listnode_add(args->output, yang_data_new_string(xpath, value));
#endif
}

static void output_number(struct nb_cb_rpc_args *args, uint64_t n, const char *path)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, n);
	output(args, path, text);
}

static int refuse(struct nb_cb_rpc_args *args, const char *why)
{
	snprintf(args->errmsg, args->errmsg_len, "%s", why);
	return NB_ERR_INCONSISTENCY;
}

int dsaa_nb_rpc_drain(struct nb_cb_rpc_args *args)
{
	const char *on = input(args, "on");

	if (!dsaa_local_site())
		return refuse(args, "the local site is not known, so nothing can be drained");
	dsaa_sync_post_drain(!on || !strcmp(on, "true"));
	return NB_OK;
}

int dsaa_nb_rpc_resync(struct nb_cb_rpc_args *args)
{
	const char *text = input(args, "site");
	unsigned long site = text ? strtoul(text, NULL, 10) : 0;

	if (!dsaa_local_site())
		return refuse(args, "the local site is not known, so there is no peer");
	if (text && !dsaa_view_is_peer(site)) {
		snprintf(args->errmsg, args->errmsg_len, "Site %s is not a configured peer", text);
		return NB_ERR_INCONSISTENCY;
	}
	dsaa_sync_post_resync(site);
	return NB_OK;
}

int dsaa_nb_rpc_audit(struct nb_cb_rpc_args *args)
{
	if (!dsaa_local_site())
		return refuse(args, "the local site is not known, so there is no peer");
	dsaa_sync_post_audit();
	return NB_OK;
}

int dsaa_nb_rpc_clear(struct nb_cb_rpc_args *args)
{
	dsaa_sync_clear();
	dsaa_correct_clear();
	return NB_OK;
}

static void output_site(struct nb_cb_rpc_args *args, const struct dsaa_rehearsal *r, unsigned s)
{
	char path[96];

	snprintf(path, sizeof(path), "site[number='%u']/connections", s);
	output_number(args, r->connections[s], path);
	snprintf(path, sizeof(path), "site[number='%u']/survive", s);
	output_number(args, r->survive[s], path);
	for (unsigned n = dsaa_reason_next(0); n < DSAA_REASONS_MAX; n = dsaa_reason_next(n)) {
		if (!r->lost[s][n])
			continue;
		snprintf(path, sizeof(path), "site[number='%u']/lost[reason='%s']/connections", s,
			 dsaa_reason_name(n));
		output_number(args, r->lost[s][n], path);
	}
}

int dsaa_nb_rpc_rehearse(struct nb_cb_rpc_args *args)
{
	struct dsaa_rehearsal r;
	const char *err = "";

	if (!dsaa_rehearse(&r, &err))
		return refuse(args, err);
	output(args, "bounded", r.bounded ? "true" : "false");
	output_number(args, r.looked_at, "looked-at");
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		if (dsaa_conf.site[s].configured)
			output_site(args, &r, s);
	return NB_OK;
}

int dsaa_nb_call(struct vty *vty, const char *rpc, const char *name, const char *value)
{
#ifdef DSAA_FRR_10
	if (name)
		nb_cli_rpc_enqueue(vty, name, value);
	return nb_cli_rpc(vty, rpc, NULL);
#else
	struct list *in = yang_data_list_new(), *out = yang_data_list_new();
	char xpath[XPATH_MAXLEN];
	int rc;

	if (name) {
		snprintf(xpath, sizeof(xpath), "%s/input/%s", rpc, name);
		listnode_add(in, yang_data_new_string(xpath, value));
	}
	rc = nb_cli_rpc(vty, rpc, in, out);
	list_delete(&in);
	list_delete(&out);
	return rc;
#endif
}

/* ------------------------------------------------------------------ notifications */

const char *dsaa_nb_change_name(const struct dsaa_history *h, uint8_t state)
{
	switch (h->kind) {
	case DSAA_HISTORY_PEER:
		return dsaa_peer_state_name(state);
	case DSAA_HISTORY_DRAIN:
		return dsaa_drain_state_name(state);
	case DSAA_HISTORY_LINES:
		return state ? "different" : "alike";
	case DSAA_HISTORY_STATE:
		break;
	}
	return state ? "complete" : "not complete";
}

static void add(struct list *arguments, const char *xpath, const char *leaf, const char *value)
{
	char path[XPATH_MAXLEN];

	snprintf(path, sizeof(path), "%s/%s", xpath, leaf);
	listnode_add(arguments, yang_data_new_string(path, value));
}

/* The name of the notification, and in *WHAT what it tells of where it tells of several things. */
static const char *notification(const struct dsaa_history *h, const char **what)
{
	*what = NULL;
	switch (h->kind) {
	case DSAA_HISTORY_PEER:
		return "/frr-dsaad:peer-state-changed";
	case DSAA_HISTORY_LINES:
		*what = h->reason == DSAA_R_BLOCK_DIFFERS ? "configuration" : "ruleset";
		return "/frr-dsaad:peer-compared";
	case DSAA_HISTORY_DRAIN:
		*what = "drain";
		break;
	case DSAA_HISTORY_STATE:
		*what = "state";
		break;
	}
	return "/frr-dsaad:local-state-changed";
}

void dsaa_nb_notify_change(const struct dsaa_history *h)
{
	const char *what, *xpath = notification(h, &what);
	struct list *arguments = yang_data_list_new();
	char site[4];

	if (h->site) {
		snprintf(site, sizeof(site), "%u", h->site);
		add(arguments, xpath, "site", site);
	}
	if (what)
		add(arguments, xpath, "what", what);
	add(arguments, xpath, "from", dsaa_nb_change_name(h, h->from));
	add(arguments, xpath, "to", dsaa_nb_change_name(h, h->to));
	add(arguments, xpath, "reason", dsaa_reason_name(h->reason));
	/* frees the list */
	nb_notification_send(xpath, arguments);
}
