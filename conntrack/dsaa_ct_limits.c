/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this namespace's conntrack is set to: timeouts by protocol and state.
 * The names are those of the kernel's nf_conntrack_standalone.c; a protocol
 * that it was built without has none. Reads /proc; any thread.
 */
#include "conntrack/dsaa_conntrack.h"

#include <stdio.h>
#include <string.h>

#include "conntrack/dsaa_ct_private.h"

/* By the number of the state; NULL: the kernel has no timeout of its own for it. */
static const char *const tcp_names[] = {
	NULL,	      "syn_sent", "syn_recv",  "established", "fin_wait",
	"close_wait", "last_ack", "time_wait", "close",	      "syn_sent",
};
static const char *const sctp_names[] = {
	NULL,		 "closed",	  "cookie_wait",	 "cookie_echoed", "established",
	"shutdown_sent", "shutdown_recd", "shutdown_ack_sent", "heartbeat_sent",
};
static const char *const dccp_names[] = {
	NULL, "request", "respond", "partopen", "open", "closereq", "closing", "timewait",
};

static uint32_t timeout(const char *name)
{
	char file[80];
	int value;

	snprintf(file, sizeof(file), "nf_conntrack_%s", name);
	value = dsaa_ct_sysctl_read(file);
	return value > 0 ? (uint32_t)value : 0;
}

static void by_state(uint32_t *to, const char *proto, const char *const *names, unsigned count)
{
	char name[64];

	for (unsigned i = 0; i < count; i++) {
		if (!names[i])
			continue;
		snprintf(name, sizeof(name), "%s_timeout_%s", proto, names[i]);
		to[i] = timeout(name);
	}
}

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

void dsaa_ct_timeouts(struct dsaa_timeouts *t)
{
	memset(t, 0, sizeof(*t));
	by_state(t->tcp, "tcp", tcp_names, COUNT(tcp_names));
	by_state(t->sctp, "sctp", sctp_names, COUNT(sctp_names));
	by_state(t->dccp, "dccp", dccp_names, COUNT(dccp_names));
	t->udp = timeout("udp_timeout");
	t->udp_stream = timeout("udp_timeout_stream");
	t->gre = timeout("gre_timeout");
	t->gre_stream = timeout("gre_timeout_stream");
	t->icmp = timeout("icmp_timeout");
	t->icmpv6 = timeout("icmpv6_timeout");
	t->generic = timeout("generic_timeout");
}
