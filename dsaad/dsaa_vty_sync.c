/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "show dsaa sync" and "show dsaa events": the sessions with the peers. Main
 * thread.
 */
#include <zebra.h>

#include "command.h"
#include "json.h"
#include "printfrr.h"
#include "vty.h"

#include "dsaad/dsaa_config.h"
#include "dsaad/dsaa_nb.h"
#include "dsaad/dsaa_vty.h"

#include "dsaad/dsaa_vty_sync_clippy.c"

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
	const struct dsaa_addr *local = &l->local[i], *remote = &l->remote[i];
	char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];

	snprintf(text, 2 * INET6_ADDRSTRLEN + 4, "%s-%s",
		 dsaa_addr_text(local->family, local->bytes, from),
		 dsaa_addr_text(remote->family, remote->bytes, to));
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
	struct json_object *o = dsaa_vty_object_at(peers, s), *bulk = json_object_new_object();
	struct json_object *audit = json_object_new_object();
	struct dsaa_peer_view v;

	dsaa_view_peer(s, &v);
	json_object_string_add(o, "state", dsaa_peer_state_name(v.state));
	dsaa_vty_reason_json(o, v.reason);
	json_object_int_add(o, "sinceMsec", dsaa_view_age_ms(v.since));
	json_object_boolean_add(o, "secure", v.secure);
	json_object_int_add(o, "flowsSent", v.flows_sent);
	json_object_int_add(o, "flowsReceived", v.flows_received);
	json_object_int_add(o, "flowsApplied", v.flows_applied);
	json_object_object_add(o, "flowsRejected", dsaa_vty_reasons_json(v.flows_rejected));
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
	json_object_object_add(o, "skipped", dsaa_vty_reasons_json(v.skipped));
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
		dsaa_peer_state_name(v.state), dsaa_vty_age(v.since, age));
	dsaa_vty_reason(vty, v.reason);
	vty_out(vty, "\n");
	links_text(vty, s);
	vty_out(vty,
		"  flows: sent %" PRIu64 ", received %" PRIu64 ", applied %" PRIu64
		", rejected %" PRIu64 "\n",
		v.flows_sent, v.flows_received, v.flows_applied, rejected);
	dsaa_vty_reasons(vty, "    ", v.flows_rejected);
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
			v.bulk_flows, v.bulk_ms / 1000.0, dsaa_vty_age(v.bulk_at, age), v.swept);
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
			dsaa_vty_age(v.audit_at, age), v.audit_differences, v.audit_altered,
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
	dsaa_vty_reason(vty, v.complete_reason);
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
	dsaa_vty_reasons(vty, "  not sent: ", v.skipped);
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
	dsaa_vty_reason_json(o, h->reason);
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
	dsaa_vty_reason(vty, h->reason);
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

void dsaa_vty_sync_init(void)
{
	install_element(VIEW_NODE, &show_dsaa_sync_cmd);
	install_element(VIEW_NODE, &show_dsaa_events_cmd);
}
