/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "show dsaa flow" and "show dsaa explain": single connections, from the
 * kernel's table. Main thread.
 */
#include <zebra.h>

#include "command.h"
#include "json.h"
#include "printfrr.h"
#include "vty.h"

#include "dsaad/dsaa_config.h"
#include "dsaad/dsaa_vty.h"
#include "dsaad/dsaad.h"

#include "dsaad/dsaa_vty_flow_clippy.c"

#define FLOWS_SHOWN_MAX 10000

/* ------------------------------------------------------------------ a connection as text */

/* By the numbers of the kernel's enum tcp_conntrack. */
static const char *const tcp_states[] = {
	"NONE",	      "SYN_SENT", "SYN_RECV",  "ESTABLISHED", "FIN_WAIT",
	"CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE",	      "SYN_SENT2",
};

static const char *tcp_state(const struct dsaa_flow *f)
{
	return f->tcp_state < array_size(tcp_states) ? tcp_states[f->tcp_state] : "UNKNOWN";
}

static bool is_icmp(uint8_t proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

static unsigned owner_of(const struct dsaa_flow *f)
{
	unsigned owner = dsaa_mark_owner(f->mark, dsaa_conf.mark_mask);

	return owner ? owner : dsaa_local_site();
}

static void tuple_text(struct vty *vty, const struct dsaa_flow *f, const struct dsaa_tuple *t)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];

	vty_out(vty, " src=%s dst=%s", dsaa_addr_text(f->family, t->src, src),
		dsaa_addr_text(f->family, t->dst, dst));
	if (is_icmp(f->proto))
		vty_out(vty, " type=%u code=%u id=%u", t->dport >> 8, t->dport & 0xff, t->sport);
	else if (t->sport || t->dport)
		vty_out(vty, " sport=%u dport=%u", t->sport, t->dport);
}

/* The name that this site gives the zone, or NULL. */
static const char *zone_name(uint16_t zone)
{
	const struct dsaa_zone_names *names = &dsaa_conf.site[dsaa_local_site()].zones;

	for (unsigned i = 0; i < names->count; i++)
		if (names->zone[i].number == zone)
			return names->zone[i].name;
	return NULL;
}

static void flow_text(struct vty *vty, const struct dsaa_flow *f)
{
	const char *zone = zone_name(f->zone);
	char proto[8];

	vty_out(vty, "%-8s %u %u", dsaa_protocol_text(f->proto, proto), f->proto, f->timeout_s);
	if (f->proto == IPPROTO_TCP)
		vty_out(vty, " %s", tcp_state(f));
	tuple_text(vty, f, &f->orig);
	if (!(f->status & DSAA_FLOW_SEEN_REPLY))
		vty_out(vty, " [UNREPLIED]");
	tuple_text(vty, f, &f->reply);
	if (f->status & DSAA_FLOW_ASSURED)
		vty_out(vty, " [ASSURED]");
	vty_out(vty, " mark=%u", f->mark);
	if (f->zone)
		vty_out(vty, " zone=%u", f->zone);
	if (zone)
		vty_out(vty, "(%s)", zone);
	vty_out(vty, " owner=%u\n", owner_of(f));
}

static struct json_object *tuple_json(const struct dsaa_flow *f, const struct dsaa_tuple *t)
{
	struct json_object *o = json_object_new_object();
	char text[INET6_ADDRSTRLEN];

	json_object_string_add(o, "src", dsaa_addr_text(f->family, t->src, text));
	json_object_string_add(o, "dst", dsaa_addr_text(f->family, t->dst, text));
	if (is_icmp(f->proto)) {
		json_object_int_add(o, "type", t->dport >> 8);
		json_object_int_add(o, "code", t->dport & 0xff);
		json_object_int_add(o, "id", t->sport);
	} else {
		json_object_int_add(o, "sport", t->sport);
		json_object_int_add(o, "dport", t->dport);
	}
	return o;
}

static struct json_object *flow_json(const struct dsaa_flow *f)
{
	struct json_object *o = json_object_new_object();
	char proto[8];

	json_object_int_add(o, "owner", owner_of(f));
	json_object_string_add(o, "protocol", dsaa_protocol_text(f->proto, proto));
	json_object_int_add(o, "protocolNumber", f->proto);
	json_object_object_add(o, "original", tuple_json(f, &f->orig));
	json_object_object_add(o, "reply", tuple_json(f, &f->reply));
	if (f->proto == IPPROTO_TCP)
		json_object_string_add(o, "tcpState", tcp_state(f));
	json_object_boolean_add(o, "seenReply", f->status & DSAA_FLOW_SEEN_REPLY);
	json_object_boolean_add(o, "assured", f->status & DSAA_FLOW_ASSURED);
	json_object_boolean_add(o, "snat", f->status & DSAA_FLOW_SNAT);
	json_object_boolean_add(o, "dnat", f->status & DSAA_FLOW_DNAT);
	json_object_int_add(o, "mark", f->mark);
	json_object_int_add(o, "zone", f->zone);
	if (zone_name(f->zone))
		json_object_string_add(o, "zoneName", zone_name(f->zone));
	json_object_int_add(o, "timeout", f->timeout_s);
	return o;
}

/* ------------------------------------------------------------------ show dsaa flow */

struct flow_show {
	struct vty *vty;
	bool json;
	int owner;		 /* as in marks, -1: all */
	struct dsaa_addr filter; /* family 0: none */
	uint64_t shown;
	uint64_t max;
	enum dsaa_walked walked;
	const char *err;
};

static bool tuple_has(const struct dsaa_tuple *t, const uint8_t a[16], size_t len)
{
	return !memcmp(t->src, a, len) || !memcmp(t->dst, a, len);
}

static bool flow_matches(const struct dsaa_flow *f, const struct dsaa_addr *a)
{
	size_t len = a->family == 4 ? 4 : 16;

	if (!a->family)
		return true;
	return f->family == a->family &&
	       (tuple_has(&f->orig, a->bytes, len) || tuple_has(&f->reply, a->bytes, len));
}

/* At once: a tree of all of them would need many times the memory of the text. */
static void flow_json_line(struct flow_show *s, const struct dsaa_flow *f)
{
	struct json_object *o = flow_json(f);

	vty_out(s->vty, "%s\n%s", s->shown > 1 ? "," : "",
		json_object_to_json_string_ext(o, JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_free(o);
}

static bool flow_show_one(void *arg, const struct dsaa_flow *f)
{
	struct flow_show *s = arg;

	if (!flow_matches(f, &s->filter))
		return true;
	if (s->shown == s->max)
		return false;
	s->shown++;
	if (s->json)
		flow_json_line(s, f);
	else
		flow_text(s->vty, f);
	return true;
}

/* The command that lists what S asks for in a process of its own, and so has all the time. */
static const char *instead(const struct flow_show *s, char *buf, size_t len)
{
	char address[INET6_ADDRSTRLEN];
	size_t n = strlcpy(buf, "conntrack -L", len);

	if (s->filter.family == 6)
		n += snprintf(buf + n, len - n, " -f ipv6");
	if (s->owner >= 0)
		n += snprintf(buf + n, len - n, " -m 0x%x/0x%x",
			      dsaa_mark_set_owner(0, dsaa_conf.mark_mask, s->owner),
			      dsaa_conf.mark_mask);
	if (s->filter.family)
		snprintf(buf + n, len - n, " | grep -wF %s",
			 dsaa_addr_text(s->filter.family, s->filter.bytes, address));
	return buf;
}

static void flows_json_end(const struct flow_show *s)
{
	struct json_object *o = json_object_new_object();
	bool late = s->walked == DSAA_WALKED_CUT, full = s->walked == DSAA_WALKED_STOPPED;
	bool failed = s->walked == DSAA_WALKED_ERROR;
	char command[160];

	json_object_boolean_add(o, "insecure", dsaa_conf.insecure);
	json_object_int_add(o, "count", s->shown);
	json_object_boolean_add(o, "truncated", late || full);
	json_object_string_add(o, "truncatedBy", late ? "time" : full ? "limit" : "");
	json_object_string_add(o, "instead", late ? instead(s, command, sizeof(command)) : "");
	json_object_string_add(o, "error", !failed ? "" : s->err ? s->err : "failed");
	/* the object was opened before the first connection */
	vty_out(s->vty, "\n],%s\n",
		json_object_to_json_string_ext(o, JSON_C_TO_STRING_NOSLASHESCAPE) + 1);
	json_object_free(o);
}

static int flows_text_end(const struct flow_show *s)
{
	char command[160];

	if (s->walked == DSAA_WALKED_ERROR) {
		vty_out(s->vty, "%% The connections cannot be read: %s\n",
			s->err ? s->err : "failed");
		return CMD_WARNING;
	}
	vty_out(s->vty, "%" PRIu64 " connection%s%s\n", s->shown, s->shown == 1 ? "" : "s",
		s->walked == DSAA_WALKED_STOPPED ? ", and more: add 'all' to see them" : "");
	if (s->walked == DSAA_WALKED_CUT)
		vty_out(s->vty,
			"%% Not all: the table is too large to be read here, and a part of it was "
			"not looked at.\n%% Instead: %s\n",
			instead(s, command, sizeof(command)));
	if (dsaa_conf.insecure)
		vty_out(s->vty, "%% INSECURE: the sessions are plain text ('sync insecure')\n");
	return CMD_SUCCESS;
}

/* The owner as it stands in marks: 0 is ours, -1 everybody. */
static int owner_in_marks(const char *typed, long owner)
{
	if (!typed)
		return -1;
	return owner == dsaa_local_site() ? 0 : owner;
}

DEFPY(show_dsaa_flow, show_dsaa_flow_cmd,
      "show dsaa flow [owner (0-16)$owner] [<A.B.C.D|X:X::X:X>$address] [all$all] [json]$json",
      SHOW_STR DSAA_STR "Connections with their owner\n"
			"Only those of one site\n"
			"Number of the site, 0 for the local one\n"
			"Only those from or to this IPv4 address\n"
			"Only those from or to this IPv6 address\n"
			"All of them, not only the first 10000\n" JSON_STR)
{
	struct flow_show s = {
		.vty = vty,
		.json = json,
		.owner = owner_in_marks(owner_str, owner),
		.max = all ? UINT64_MAX : FLOWS_SHOWN_MAX,
	};

	if (address && sockunion_family(address) == AF_INET) {
		s.filter.family = 4;
		memcpy(s.filter.bytes, &address->sin.sin_addr, 4);
	} else if (address) {
		s.filter.family = 6;
		memcpy(s.filter.bytes, &address->sin6.sin6_addr, 16);
	}
	if (json)
		vty_out(vty, "{ \"flows\": [");
	s.walked = dsaa_flow_walk(s.owner, flow_show_one, &s, &s.err);
	if (!json)
		return flows_text_end(&s);
	flows_json_end(&s);
	return CMD_SUCCESS;
}

/* ------------------------------------------------------------------ show dsaa explain */

/* Everything that is known about a packet, and what follows. */
struct explanation {
	struct dsaa_packet_facts facts;
	bool found;
	struct dsaa_flow flow;
	bool reply_direction;
	enum dsaa_verdict verdict;
	unsigned reason;
	const char *not_running; /* why nothing is corrected, or NULL */
	/* TCP without entry: what happens to a packet without SYN */
	bool has_midstream;
	enum dsaa_verdict midstream_verdict;
	unsigned midstream_reason;
};

/* The contract's word: a second chance is a correction to an operator. */
static const char *verdict_name(enum dsaa_verdict v)
{
	switch (v) {
	case DSAA_VERDICT_LOCAL:
		return "local";
	case DSAA_VERDICT_CORRECT:
	case DSAA_VERDICT_OFFER:
		return "correct";
	case DSAA_VERDICT_HOLD:
		return "hold";
	case DSAA_VERDICT_NEW:
		return "new";
	case DSAA_VERDICT_DROP:
		return "drop";
	}
	return "drop";
}

static bool any_peer_alive(void)
{
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		if (dsaa_view_is_peer(s) && dsaa_correct_get_word(s) == DSAA_WORD_ALIVE)
			return true;
	return false;
}

/* In the NAT pool of another site. */
static bool to_foreign_pool(const struct prefix *dst)
{
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		for (unsigned i = 0; dsaa_view_is_peer(s) && i < dsaa_conf.site[s].nat_pools; i++)
			if (dsaa_conf.site[s].nat_pool[i].family == dst->family &&
			    prefix_match(&dsaa_conf.site[s].nat_pool[i], dst))
				return true;
	return false;
}

/* What would be corrected is the stack's own business while nothing is. */
static void note_not_running(const struct explanation *x, enum dsaa_verdict *verdict,
			     unsigned *reason)
{
	if (!x->not_running || *verdict == DSAA_VERDICT_LOCAL || *verdict == DSAA_VERDICT_NEW)
		return;
	*verdict = DSAA_VERDICT_LOCAL;
	*reason = DSAA_R_NOT_CORRECTED;
}

/* The reason in words, or what is behind it. */
static const char *reason_text(const struct explanation *x, unsigned reason)
{
	return reason == DSAA_R_NOT_CORRECTED ? x->not_running : dsaa_reason_meaning(reason);
}

static void explain(struct explanation *x, uint8_t proto, const struct prefix *src, uint16_t sport,
		    const struct prefix *dst, uint16_t dport)
{
	uint8_t family = src->family == AF_INET ? 4 : 6;
	size_t len = family == 4 ? 4 : 16;
	struct dsaa_tuple t = { .sport = sport, .dport = dport };

	memset(x, 0, sizeof(*x));
	memcpy(t.src, &src->u.prefix, len);
	memcpy(t.dst, &dst->u.prefix, len);
	x->found = dsaa_flow_find(family, proto, &t, &x->flow, &x->reply_direction);
	x->facts.to_router = dsaa_correct_is_router(family, t.dst);
	x->facts.any_peer_alive = any_peer_alive();
	x->facts.may_wait = dsaa_conf.correction_hold_ms != 0;
	if (x->found) {
		x->facts.class = DSAA_PKT_HAS_ENTRY;
		x->facts.owner = dsaa_mark_owner(x->flow.mark, dsaa_conf.mark_mask);
		if (x->facts.owner && x->facts.owner == dsaa_local_site())
			x->facts.owner = 0;
		if (x->facts.owner)
			x->facts.word = dsaa_correct_get_word(x->facts.owner);
	} else {
		x->facts.class = to_foreign_pool(dst) ? DSAA_PKT_NEW_TO_POOL : DSAA_PKT_NEW;
	}
	x->not_running = dsaa_correct_not_running();
	x->verdict = dsaa_owner_verdict(&x->facts, &x->reason);
	note_not_running(x, &x->verdict, &x->reason);
	if (!x->found && proto == IPPROTO_TCP) {
		struct dsaa_packet_facts facts = x->facts;

		facts.class = DSAA_PKT_MIDSTREAM;
		x->has_midstream = true;
		x->midstream_verdict = dsaa_owner_verdict(&facts, &x->midstream_reason);
		note_not_running(x, &x->midstream_verdict, &x->midstream_reason);
	}
}

static const char *known_name(const struct explanation *x)
{
	return !x->found ? "unknown" : x->facts.owner ? "foreign" : "local";
}

static void explain_json(struct vty *vty, const struct explanation *x)
{
	struct json_object *o = json_object_new_object();

	json_object_boolean_add(o, "insecure", dsaa_conf.insecure);
	json_object_int_add(o, "owner",
			    !x->found	   ? 0 :
			    x->facts.owner ? x->facts.owner :
					     dsaa_local_site());
	json_object_string_add(o, "known", known_name(x));
	json_object_string_add(o, "verdict", verdict_name(x->verdict));
	json_object_string_add(o, "reason", dsaa_reason_name(x->reason));
	json_object_string_add(o, "reasonText", reason_text(x, x->reason));
	if (x->has_midstream) {
		json_object_string_add(o, "verdictWithoutSyn", verdict_name(x->midstream_verdict));
		json_object_string_add(o, "reasonWithoutSyn",
				       dsaa_reason_name(x->midstream_reason));
	}
	if (x->found) {
		json_object_string_add(o, "direction", x->reply_direction ? "reply" : "original");
		json_object_object_add(o, "flow", flow_json(&x->flow));
	}
	vty_json(vty, o);
}

static void explain_text(struct vty *vty, const struct explanation *x)
{
	unsigned owner = x->facts.owner ? x->facts.owner : dsaa_local_site();

	if (dsaa_conf.insecure)
		vty_out(vty, "%% INSECURE: the sessions are plain text ('sync insecure')\n");
	if (x->found) {
		vty_out(vty, "Entry:   ");
		flow_text(vty, &x->flow);
		vty_out(vty, "Packet:  in %s direction\n",
			x->reply_direction ? "reply" : "original");
		vty_out(vty, "Owner:   site %u (%s), %s\n", owner, dsaa_view_site_name(owner),
			x->facts.owner ? "by the owner bits of the entry's mark" :
					 "this site: the entry's mark has no owner bits");
	} else {
		vty_out(vty, "Entry:   none\nOwner:   unknown\n");
	}
	vty_out(vty, "Verdict: %s, %s: %s\n", verdict_name(x->verdict), dsaa_reason_name(x->reason),
		reason_text(x, x->reason));
	if (x->has_midstream)
		vty_out(vty, "         without SYN: %s, %s: %s\n",
			verdict_name(x->midstream_verdict), dsaa_reason_name(x->midstream_reason),
			reason_text(x, x->midstream_reason));
}

DEFPY(show_dsaa_explain, show_dsaa_explain_cmd,
      "show dsaa explain <tcp|udp|icmp|icmpv6|sctp|dccp|udplite|gre|esp|ah|(0-255)>$protocol "
      "<A.B.C.D|X:X::X:X>$src (0-65535)$sport <A.B.C.D|X:X::X:X>$dst (0-65535)$dport [json]$json",
      SHOW_STR DSAA_STR "What happens to a packet that arrives here now, and why\n"
			"TCP\n"
			"UDP\n"
			"ICMP, or ICMPv6 with IPv6 addresses\n"
			"ICMPv6\n"
			"SCTP\n"
			"DCCP\n"
			"UDP-Lite\n"
			"GRE\n"
			"IPsec ESP\n"
			"IPsec AH\n"
			"Protocol by its number\n"
			"Source address\n"
			"Source address\n"
			"Source port; for ICMP the identifier\n"
			"Destination address\n"
			"Destination address\n"
			"Destination port; for ICMP 256 times the type plus the code\n" JSON_STR)
{
	int number = dsaa_protocol_number(protocol);
	struct prefix from, to;
	struct explanation x;

	if (number < 0) {
		vty_out(vty, "%% Protocol %s: it is a number from 1 to 255\n", protocol);
		return CMD_WARNING;
	}
	if (sockunion_family(src) != sockunion_family(dst)) {
		vty_out(vty, "%% %s and %s are not of one family\n", src_str, dst_str);
		return CMD_WARNING;
	}
	sockunion2hostprefix(src, &from);
	sockunion2hostprefix(dst, &to);
	if (number == IPPROTO_ICMP && from.family == AF_INET6)
		number = IPPROTO_ICMPV6;
	explain(&x, number, &from, sport, &to, dport);
	if (json)
		explain_json(vty, &x);
	else
		explain_text(vty, &x);
	return CMD_SUCCESS;
}

void dsaa_vty_flow_init(void)
{
	install_element(VIEW_NODE, &show_dsaa_flow_cmd);
	install_element(VIEW_NODE, &show_dsaa_explain_cmd);
}
