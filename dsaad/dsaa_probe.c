/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The probe: ICMP echo to another site's probe address, through the network.
 * It tells a dead site from one that only the site-sync link does not reach.
 * Main thread.
 *
 * Asked while the engine wants it: every INTERVAL_MS; SILENT_TIMES without an
 * answer is "silent", the first answer is "alive" (so a site must be nearer
 * than their product). An answer counts when it comes from the probed address
 * with our identifier, a recent sequence number and our random cookie, so that
 * no stray packet keeps a dead site alive. A route over the site-sync link
 * would prove nothing: then it is not asked and counts as silent. The echo is
 * bound to the interface that was looked at.
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
#include "dsaad/dsaa_netlink.h"

#define INTERVAL_MS  100
#define SILENT_TIMES 3
/* an answer may be this many echoes late */
#define RECENT_TIMES 10
#define MINUTE_US    INT64_C(60000000)

/* linux/icmp.h has it, which cannot be included beside netinet/ip_icmp.h */
#ifndef ICMP_FILTER
#define ICMP_FILTER 1
#endif

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
	struct ipaddr target; /* as the socket was opened for it */
	struct dsaa_mono complained;
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

/* Something an operator must know, at most once a minute. */
static bool may_complain(struct probe *p)
{
	struct dsaa_mono now = dsaa_mono_now();

	if (p->complained.us && dsaa_mono_diff_us(now, p->complained) < MINUTE_US)
		return false;
	p->complained = now;
	return true;
}

static socklen_t target_sockaddr(const struct probe *p, union sockunion *su)
{
	memset(su, 0, sizeof(*su));
	if (IS_IPADDR_V4(&p->target)) {
		su->sin.sin_family = AF_INET;
		su->sin.sin_addr = p->target.ipaddr_v4;
		return sizeof(su->sin);
	}
	su->sin6.sin6_family = AF_INET6;
	su->sin6.sin6_addr = p->target.ipaddr_v6;
	return sizeof(su->sin6);
}

/* The interface by which to ask, 0 when there is none but the site-sync link. */
static ifindex_t way_through_network(struct probe *p)
{
	ifindex_t ifindex = dsaa_netlink_route_interface(&p->target);

	if (!ifindex || !dsaa_zebra_is_sync_interface(ifindex))
		return ifindex;
	if (may_complain(p))
		flog_warn(EC_DSAA_PROBE,
			  "site %u: the way to its probe address %pIA is the site-sync link; it is not asked and counts as silent",
			  p->site, &p->target);
	return 0;
}

/* Sends the SIZE bytes at DATA by this interface and no other. */
static ssize_t send_by(struct probe *p, ifindex_t ifindex, void *data, size_t size)
{
	union sockunion su;
	struct iovec iov = { .iov_base = data, .iov_len = size };
	union {
		struct cmsghdr header;
		uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control = { 0 };
	struct msghdr msg = { .msg_name = &su, .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c = &control.header;

	msg.msg_namelen = target_sockaddr(p, &su);
	msg.msg_control = &control;
	if (IS_IPADDR_V4(&p->target)) {
		struct in_pktinfo info = { .ipi_ifindex = ifindex };

		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		msg.msg_controllen = CMSG_SPACE(sizeof(info));
	} else {
		struct in6_pktinfo info = { .ipi6_ifindex = ifindex };

		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		msg.msg_controllen = CMSG_SPACE(sizeof(info));
	}
	return sendmsg(p->fd, &msg, MSG_DONTWAIT);
}

static void send_echo(struct probe *p)
{
	ifindex_t ifindex = way_through_network(p);
	bool v4 = IS_IPADDR_V4(&p->target);
	struct echo e = { 0 };

	if (!ifindex)
		return;
	e.type = v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
	e.id = htons((uint16_t)(p->cookie ^ p->site));
	e.seq = htons(++p->seq);
	e.cookie = p->cookie;
	if (v4) /* the kernel fills in that of ICMPv6 */
		e.checksum = in_cksum(&e, sizeof(e));
	if (send_by(p, ifindex, &e, sizeof(e)) < 0 && DSAA_DEBUG(DSAA_DEBUG_ROUTING))
		zlog_debug("probe of site %u: %s", p->site, safe_strerror(errno));
}

static bool from_target(const struct probe *p, const union sockunion *from)
{
	union sockunion su;

	target_sockaddr(p, &su);
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
	       (uint16_t)(p->seq - ntohs(e.seq)) < RECENT_TIMES;
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

static void close_socket(struct probe *p)
{
	EVENT_OFF(p->t_read);
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	p->told = false;
	p->unanswered = 0;
}

/* Only echo replies are of use, and a router sees many other messages. */
static void filter_replies(int fd, bool v4)
{
	uint32_t all_but_reply = ~(UINT32_C(1) << ICMP_ECHOREPLY);
	struct icmp6_filter filter;

	if (v4) {
		setsockopt(fd, SOL_RAW, ICMP_FILTER, &all_but_reply, sizeof(all_but_reply));
		return;
	}
	ICMP6_FILTER_SETBLOCKALL(&filter);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
	setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter));
}

static bool open_socket(struct probe *p)
{
	bool v4 = IS_IPADDR_V4(&p->target);

	frr_with_privs (&dsaa_privs) {
		p->fd = socket(v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			       v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	}
	if (p->fd < 0) {
		if (may_complain(p))
			flog_err(EC_DSAA_PROBE, "site %u cannot be probed: %m", p->site);
		return false;
	}
	filter_replies(p->fd, v4);
	if (getrandom(&p->cookie, sizeof(p->cookie), 0) != sizeof(p->cookie))
		p->cookie = (uint64_t)dsaa_mono_now().us;
	event_add_read(master, read_answer, p, p->fd, &p->t_read);
	return true;
}

/* Follows the configuration, which may have changed since the last echo. False: nobody to ask. */
static bool prepare(struct probe *p)
{
	const struct dsaa_site *there = &dsaa_conf.site[p->site];

	if (p->fd >= 0 && there->has_probe && !ipaddr_cmp(&p->target, &there->probe))
		return true;
	close_socket(p);
	if (!there->has_probe)
		return false;
	p->target = there->probe;
	if (open_socket(p))
		return true;
	tell(p, false);
	return false;
}

static void next_echo(struct event *t)
{
	struct probe *p = EVENT_ARG(t);

	event_add_timer_msec(master, next_echo, p, INTERVAL_MS, &p->t_send);
	if (!prepare(p))
		return;
	if (p->unanswered >= SILENT_TIMES)
		tell(p, false);
	else
		p->unanswered++;
	send_echo(p);
}

void dsaa_probe_set(uint8_t site, bool on)
{
	struct probe *p = &probes[site];

	if (p->on == on)
		return;
	p->on = on;
	EVENT_OFF(p->t_send);
	close_socket(p);
	if (on)
		event_add_event(master, next_echo, p, 0, &p->t_send);
}

void dsaa_probe_stop(void)
{
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		dsaa_probe_set(s, false);
}
