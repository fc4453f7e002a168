/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The probe: ICMP echo to another site's probe address, through the network.
 * It tells a dead site from one that only the site-sync link does not reach.
 * Main thread.
 *
 * Asked while the engine wants it: every INTERVAL_MS; SILENT_TIMES without an
 * answer is "silent", the first answer is "alive". An answer counts when it
 * comes from the probed address with our identifier, a recent sequence number
 * and our random cookie, so that no stray packet keeps a dead site alive. A
 * route over the site-sync link would prove nothing: then it is not asked and
 * counts as silent.
 */
#include "dsaad/dsaad.h"

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <sys/random.h>

#include "checksum.h"
#include "log.h"
#include "sockopt.h"
#include "vrf.h"

#include "dsaad/dsaa_debug.h"
#include "dsaad/dsaa_errors.h"

#define INTERVAL_MS 100
#define SILENT_TIMES 3

struct echo {
	uint8_t type, code;
	uint16_t checksum;
	uint16_t id, seq;
	uint64_t cookie;
} __attribute__((packed));

struct probe {
	uint8_t site;
	bool on, told, told_up;
	int fd;
	uint16_t seq;
	unsigned unanswered;
	uint64_t cookie;
	struct event *t_send, *t_read;
};

static struct probe probes[DSAA_SITES_MAX + 1];

void dsaa_probe_init(void)
{
	for (unsigned s = 0; s <= DSAA_SITES_MAX; s++) {
		probes[s].site = s;
		probes[s].fd = -1;
	}
}

static void tell(struct probe *p, bool up)
{
	if (p->told && p->told_up == up)
		return;
	p->told = true;
	p->told_up = up;
	zlog_info("site %u: its probe address is %s", p->site, up ? "alive" : "silent");
	dsaa_sync_post_probe(p->site, up);
}

static socklen_t target(const struct probe *p, union sockunion *su)
{
	const struct ipaddr *ip = &dsaa_conf.site[p->site].probe;

	memset(su, 0, sizeof(*su));
	if (ip->ipa_type == IPADDR_V4) {
		su->sin.sin_family = AF_INET;
		su->sin.sin_addr = ip->ipaddr_v4;
		return sizeof(su->sin);
	}
	su->sin6.sin6_family = AF_INET6;
	su->sin6.sin6_addr = ip->ipaddr_v6;
	return sizeof(su->sin6);
}

/* The address from which packets to SU leave, found by connecting a UDP socket. */
static bool source_of(union sockunion *su, socklen_t len, union sockunion *source)
{
	socklen_t slen = sizeof(*source);
	int fd = socket(su->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok;

	if (fd < 0)
		return false;
	if (su->sa.sa_family == AF_INET)
		su->sin.sin_port = htons(9);
	else
		su->sin6.sin6_port = htons(9);
	ok = connect(fd, &su->sa, len) == 0 && getsockname(fd, &source->sa, &slen) == 0;
	close(fd);
	su->sin.sin_port = 0; /* the same place in both families */
	return ok;
}

/* True when the way to the probe address does not lead over the site-sync link. */
static bool through_network(struct probe *p, union sockunion *su, socklen_t len)
{
	const struct dsaa_site *here = &dsaa_conf.site[dsaa_local_site()];
	union sockunion source;

	if (!source_of(su, len, &source))
		return false;
	for (unsigned i = 0; i < here->sync_addresses; i++) {
		const struct ipaddr *sync = &here->sync_address[i];
		const void *from = source.sa.sa_family == AF_INET ?
					   (const void *)&source.sin.sin_addr :
					   (const void *)&source.sin6.sin6_addr;

		if ((sync->ipa_type == IPADDR_V4) == (source.sa.sa_family == AF_INET) &&
		    !memcmp(&sync->ip, from, source.sa.sa_family == AF_INET ? 4 : 16))
			return false;
	}
	return true;
}

static void send_echo(struct probe *p)
{
	struct echo e = { 0 };
	union sockunion su;
	socklen_t len = target(p, &su);
	bool v4 = su.sa.sa_family == AF_INET;

	if (!through_network(p, &su, len))
		return;
	e.type = v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
	e.id = htons((uint16_t)(p->cookie ^ p->site));
	e.seq = htons(++p->seq);
	e.cookie = p->cookie;
	if (v4) /* the kernel fills in that of ICMPv6 */
		e.checksum = in_cksum(&e, sizeof(e));
	if (sendto(p->fd, &e, sizeof(e), MSG_DONTWAIT, &su.sa, len) < 0 &&
	    DSAA_DEBUG(DSAA_DEBUG_ROUTING))
		zlog_debug("probe of site %u: %s", p->site, safe_strerror(errno));
}

static bool from_target(const struct probe *p, const union sockunion *from)
{
	union sockunion su;

	target(p, &su);
	if (su.sa.sa_family != from->sa.sa_family)
		return false;
	return su.sa.sa_family == AF_INET ?
		       su.sin.sin_addr.s_addr == from->sin.sin_addr.s_addr :
		       !memcmp(&su.sin6.sin6_addr, &from->sin6.sin6_addr, 16);
}

/* Is the packet of LEN bytes at BUF the answer to one of the last echoes of P? */
static bool is_answer(const struct probe *p, const uint8_t *buf, size_t len, bool v4)
{
	size_t skip = v4 && len > 0 ? (size_t)(buf[0] & 0x0f) * 4 : 0;
	struct echo e;

	if (len < skip + sizeof(e))
		return false;
	memcpy(&e, buf + skip, sizeof(e));
	return e.type == (v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY) &&
	       e.id == htons((uint16_t)(p->cookie ^ p->site)) && e.cookie == p->cookie &&
	       (uint16_t)(p->seq - ntohs(e.seq)) < SILENT_TIMES;
}

static void read_answer(struct event *t)
{
	struct probe *p = EVENT_ARG(t);
	union sockunion from;
	socklen_t flen = sizeof(from);
	uint8_t buf[512];
	ssize_t n;

	event_add_read(master, read_answer, p, p->fd, &p->t_read);
	n = recvfrom(p->fd, buf, sizeof(buf), MSG_DONTWAIT, &from.sa, &flen);
	if (n <= 0 || !from_target(p, &from) ||
	    !is_answer(p, buf, (size_t)n, from.sa.sa_family == AF_INET))
		return;
	p->unanswered = 0;
	tell(p, true);
}

static void next_echo(struct event *t)
{
	struct probe *p = EVENT_ARG(t);

	if (p->unanswered >= SILENT_TIMES)
		tell(p, false);
	p->unanswered++;
	send_echo(p);
	event_add_timer_msec(master, next_echo, p, INTERVAL_MS, &p->t_send);
}

static int open_socket(bool v4)
{
	int fd = -1;

	frr_with_privs (&dsaa_privs) {
		fd = socket(v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			    v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	}
	if (fd >= 0 && !v4) {
		struct icmp6_filter filter;

		ICMP6_FILTER_SETBLOCKALL(&filter);
		ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
		setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter));
	}
	return fd;
}

static void start(struct probe *p)
{
	p->fd = open_socket(dsaa_conf.site[p->site].probe.ipa_type == IPADDR_V4);
	if (p->fd < 0) {
		flog_err(EC_DSAA_PROBE, "site %u cannot be probed: %m", p->site);
		tell(p, false);
		return;
	}
	if (getrandom(&p->cookie, sizeof(p->cookie), 0) != sizeof(p->cookie))
		p->cookie = (uint64_t)dsaa_mono_now().us;
	p->unanswered = 0;
	event_add_read(master, read_answer, p, p->fd, &p->t_read);
	event_add_event(master, next_echo, p, 0, &p->t_send);
}

void dsaa_probe_set(uint8_t site, bool on)
{
	struct probe *p = &probes[site];

	if (p->on == on)
		return;
	p->on = on;
	p->told = false;
	EVENT_OFF(p->t_send);
	EVENT_OFF(p->t_read);
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	if (on && dsaa_conf.site[site].has_probe)
		start(p);
}

void dsaa_probe_stop(void)
{
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		dsaa_probe_set(s, false);
}
