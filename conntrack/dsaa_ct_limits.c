/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this namespace's conntrack is set to: timeouts by protocol and state,
 * and the limits that a table of several sites' connections meets.
 * The names are those of the kernel's nf_conntrack_standalone.c; a protocol
 * that it was built without has none. Reads /proc; any thread.
 */
#include "conntrack/dsaa_conntrack.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "conntrack/dsaa_ct_private.h"

/* By the number of the state; NULL: the kernel has no timeout of its own for it. */
static const char *const tcp_names[] = {
	NULL,	      "syn_sent", "syn_recv",  "established", "fin_wait",
	"close_wait", "last_ack", "time_wait", "close",	      "syn_sent",
};
static const char *const sctp_names[] = { NULL,
					  "closed",
					  "cookie_wait",
					  "cookie_echoed",
					  "established",
					  "shutdown_sent",
					  "shutdown_recd",
					  "shutdown_ack_sent",
					  "heartbeat_sent" };
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

/* ------------------------------------------------------------------ limits */

enum {
	/* a burst of some 25k events; below that a busy router loses some now and then */
	EVENT_BUFFER_MIN = 8 << 20,
	/* entries to a bucket of the hash table, two of them for each connection */
	CHAIN_MAX = 4,
};

void dsaa_ct_limits(struct dsaa_ct *ct, struct dsaa_ct_limits *l)
{
	int buckets = dsaa_ct_sysctl_read("nf_conntrack_buckets"), buffer = 0;
	socklen_t len = sizeof(buffer);

	memset(l, 0, sizeof(*l));
	dsaa_ct_table_size(ct, &l->count, &l->max);
	l->buckets = buckets > 0 ? (uint32_t)buckets : 0;
	l->events = dsaa_ct_sysctl_read("nf_conntrack_events");
	if (l->events >= 0 && l->events != 1)
		dsaa_ct_sysctl_write("nf_conntrack_events", 1);
	if (ct->events &&
	    !getsockopt(mnl_socket_get_fd(ct->events), SOL_SOCKET, SO_RCVBUF, &buffer, &len))
		l->event_buffer = (uint32_t)buffer;
}

enum dsaa_ct_limit dsaa_ct_limits_warning(const struct dsaa_ct_limits *l, uint64_t needed,
					  char *text, size_t len)
{
	text[0] = '\0';
	if (needed < l->count)
		needed = l->count;
	if (l->events >= 0 && l->events != 1) {
		snprintf(text, len,
			 "nf_conntrack_events was %d, dsaad sets it to 1: find who changes it, "
			 "or changes are missed",
			 l->events);
		return DSAA_CT_LIMIT_EVENTS;
	}
	if (l->max && needed > (uint64_t)l->max / 4 * 3) {
		snprintf(text, len,
			 "all sites together have %llu connections, nf_conntrack_max is %u: raise "
			 "it to %llu at least",
			 (unsigned long long)needed, l->max, 2ULL * needed);
		return DSAA_CT_LIMIT_MAX;
	}
	if (l->buckets && needed * 2 > (uint64_t)l->buckets * CHAIN_MAX) {
		snprintf(text, len,
			 "nf_conntrack_buckets is %u for %llu connections: raise it to %llu",
			 l->buckets, (unsigned long long)needed, (unsigned long long)needed);
		return DSAA_CT_LIMIT_BUCKETS;
	}
	if (l->event_buffer && l->event_buffer < EVENT_BUFFER_MIN) {
		snprintf(text, len,
			 "the buffer for conntrack events has %u KiB only: raise "
			 "net.core.rmem_max, or give dsaad CAP_NET_ADMIN",
			 l->event_buffer / 1024);
		return DSAA_CT_LIMIT_BUFFER;
	}
	return DSAA_CT_LIMIT_NONE;
}
