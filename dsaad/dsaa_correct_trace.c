/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "debug dsaa correction": a line for each packet that a queue thread has
 * judged, or took from a peer, of one connection if so wished. At most
 * LINES_PER_S lines a second; how many were left out is told with the next.
 *
 * The filter belongs to the main thread, which hands the queue threads a copy
 * under the lock; they ask for it only while debugging is on.
 */
#include "dsaad/dsaa_correct.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <pthread.h>

#include "log.h"

#define LINES_PER_S 50

/* under the lock: */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct dsaa_trace_filter filter;
static int64_t second;
static unsigned lines, left_out;

void dsaa_correct_trace_filter(const struct dsaa_trace_filter *f)
{
	pthread_mutex_lock(&lock);
	filter = *f;
	pthread_mutex_unlock(&lock);
}

static bool side_matches(const struct dsaa_trace_filter *f, const struct dsaa_packet *p,
			 bool turned)
{
	const struct dsaa_tuple *t = &p->tuple;
	const uint8_t *src = turned ? t->dst : t->src, *dst = turned ? t->src : t->dst;
	uint16_t sport = turned ? t->dport : t->sport, dport = turned ? t->sport : t->dport;
	size_t len = p->family == 4 ? 4 : 16;

	return (!f->src.family ||
		(f->src.family == p->family && !memcmp(f->src.bytes, src, len))) &&
	       (!f->dst.family ||
		(f->dst.family == p->family && !memcmp(f->dst.bytes, dst, len))) &&
	       (f->sport < 0 || f->sport == sport) && (f->dport < 0 || f->dport == dport);
}

/* In either direction: what is asked for is a connection. */
static bool matches(const struct dsaa_packet *p)
{
	struct dsaa_trace_filter f;

	pthread_mutex_lock(&lock);
	f = filter;
	pthread_mutex_unlock(&lock);
	if (!f.set)
		return true;
	return (!f.protocol || f.protocol == p->tuple_proto) &&
	       (side_matches(&f, p, false) || side_matches(&f, p, true));
}

/* Whether this second has room for one more line. */
static bool room(void)
{
	int64_t now = dsaa_mono_now().us / 1000000;
	unsigned hidden = 0;
	bool fits;

	pthread_mutex_lock(&lock);
	if (now != second) {
		hidden = left_out;
		second = now;
		lines = left_out = 0;
	}
	fits = lines < LINES_PER_S;
	if (fits)
		lines++;
	else
		left_out++;
	pthread_mutex_unlock(&lock);
	if (hidden)
		zlog_debug("correction: %u more packets were not shown", hidden);
	return fits;
}

static void show_packet(const struct dsaa_nfq_trace *t, const struct dsaa_packet *p)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN], where[48], name[IFNAMSIZ];

	if (t->from_peer)
		snprintf(where, sizeof(where), "from site %u", t->site);
	else
		snprintf(where, sizeof(where), "by %s",
			 if_indextoname(t->indev, name) ? name : "an interface that is gone");
	zlog_debug("correction: protocol %u, %s port %u to %s port %u%s, %zu bytes, %s: %s",
		   p->tuple_proto, dsaa_addr_text(p->family, p->tuple.src, src), p->tuple.sport,
		   dsaa_addr_text(p->family, p->tuple.dst, dst), p->tuple.dport,
		   p->icmp_error ? " (an ICMP error about it)" : "", t->len, where,
		   dsaa_reason_name(t->reason));
}

void dsaa_correct_trace(void *arg, const struct dsaa_nfq_trace *t)
{
	struct dsaa_packet p;

	if (dsaa_packet_parse(t->data, t->len, &p) == DSAA_R_NONE) {
		if (matches(&p) && room())
			show_packet(t, &p);
	} else if (room()) {
		zlog_debug("correction: a packet of %zu bytes that cannot be read, %s: %s", t->len,
			   t->from_peer ? "by the tunnel" : "queued", dsaa_reason_name(t->reason));
	}
}
