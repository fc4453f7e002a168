/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The probe: ICMP echo to another site's probe address, through the network.
 * It tells a dead site from one that only the site-sync link does not reach.
 * Main thread.
 *
 * Every site with a probe address is asked every INTERVAL_MS, also while all is
 * well: when the session and BFD fall silent, the silence here has lasted as
 * long, and nothing is left to wait for. "Silent" means that an echo waits for
 * its answer longer than SILENT_MS and twice the way's usual time. The engine
 * may ask anew (dsaa_probe_ask): then an answer says "alive" only if its echo
 * left after that, since one that was on its way says nothing about now.
 *
 * An answer counts when it comes from the probed address with our identifier,
 * a recent sequence number and our random cookie, so that no stray packet keeps
 * a dead site alive. A route over the site-sync link would prove nothing: then
 * it is not asked and counts as silent. The echo is bound to the interface that
 * was looked at.
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

#define INTERVAL_MS 50
#define SILENT_MS   150
/* the way's time while no answer has told it */
#define FIRST_RTT_US 200000
/* an answer may be this many echoes late */
#define RECENT_TIMES 64
#define BEHIND_MAX   1000
/* changes within a minute that are logged one by one */
#define CHANGES_LOGGED 6

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
	bool ever; /* it answered at least once */
	int fd;
	struct ipaddr target; /* as the socket was opened for it */
	struct dsaa_log_limit complained;
	unsigned changes;			/* between alive and silent, in this minute */
	uint16_t seq;				/* of the last echo */
	uint16_t answered;			/* of the newest one that was answered */
	struct dsaa_mono sent_at[RECENT_TIMES]; /* by sequence number */
	struct dsaa_mono waiting_since; /* when the oldest echo left that is newer than that */
	struct dsaa_mono asked;		/* answers to older echoes do not count */
	int64_t rtt_us;			/* smoothed */
	uint64_t cookie;
	struct event *t_send, *t_read, *t_minute;
};

static struct probe probes[DSAA_SITES_MAX + 1];

void dsaa_probe_init(void)
{
	for (unsigned s = 0; s <= DSAA_SITES_MAX; s++) {
		probes[s].site = s;
		probes[s].fd = -1;
	}
}

static const char *state_of(const struct probe *p)
{
	return p->told_up ? "alive" : "silent";
}

static void minute_is_over(struct event *t)
{
	struct probe *p = EVENT_ARG(t);

	if (p->changes > CHANGES_LOGGED)
		zlog_info("site %u: its probe address is %s, after %u changes within a minute",
			  p->site, state_of(p), p->changes);
	p->changes = 0;
}

/* A way that loses echoes changes many times a second: then one line tells of the minute. */
static void log_state(struct probe *p)
{
	if (!p->t_minute)
		event_add_timer(master, minute_is_over, p, 60, &p->t_minute);
	if (++p->changes <= CHANGES_LOGGED)
		zlog_info("site %u: its probe address is %s", p->site, state_of(p));
}

static void tell(struct probe *p, bool up)
{
	if (p->told && p->told_up == up)
		return;
	p->told = true;
	p->told_up = up;
	p->ever |= up;
	log_state(p);
	dsaa_sync_post_probe(p->site, up);
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
	if (dsaa_log_allowed(&p->complained, NULL))
		flog_warn(EC_DSAA_PROBE,
			  "site %u: the way to its probe address %pIA is the site-sync link; it is "
			  "not asked and counts as silent",
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

	p->seq++;
	p->sent_at[p->seq % RECENT_TIMES] = dsaa_mono_now();
	if ((uint16_t)(p->seq - p->answered) > BEHIND_MAX)
		p->answered = p->seq - BEHIND_MAX; /* the numbers must not come round */
	if ((uint16_t)(p->answered + 1) == p->seq)
		p->waiting_since = p->sent_at[p->seq % RECENT_TIMES];
	if (!ifindex)
		return;
	e.type = v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
	e.id = htons((uint16_t)(p->cookie ^ p->site));
	e.seq = htons(p->seq);
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
	return su.sa.sa_family == AF_INET ? su.sin.sin_addr.s_addr == from->sin.sin_addr.s_addr :
					    !memcmp(&su.sin6.sin6_addr, &from->sin6.sin6_addr, 16);
}

/* Is the packet of LEN bytes at BUF the answer to one of the last echoes of P? Then of which. */
static bool is_answer(const struct probe *p, const uint8_t *buf, size_t len, bool v4, uint16_t *seq)
{
	size_t skip = v4 && len > 0 ? (size_t)(buf[0] & 0x0f) * 4 : 0;
	struct echo e;

	if (len < skip + sizeof(e))
		return false;
	memcpy(&e, buf + skip, sizeof(e));
	*seq = ntohs(e.seq);
	return e.type == (v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY) &&
	       e.id == htons((uint16_t)(p->cookie ^ p->site)) && e.cookie == p->cookie &&
	       (uint16_t)(p->seq - *seq) < RECENT_TIMES;
}

static void take_answer(struct probe *p, uint16_t seq)
{
	struct dsaa_mono sent = p->sent_at[seq % RECENT_TIMES];
	int64_t took_us = dsaa_mono_diff_us(dsaa_mono_now(), sent);
	uint16_t newer = seq - p->answered;

	p->rtt_us += (took_us - p->rtt_us) / 8;
	/* newer than the newest: all echoes up to it wait no longer */
	if (newer && newer <= BEHIND_MAX) {
		p->answered = seq;
		p->waiting_since = p->sent_at[(uint16_t)(seq + 1) % RECENT_TIMES];
	}
	if (dsaa_mono_reached(sent, p->asked))
		tell(p, true);
}

static void read_answers(struct probe *p)
{
	union sockunion from = { 0 };
	uint8_t buf[512];

	for (;;) {
		socklen_t flen = sizeof(from);
		ssize_t n = recvfrom(p->fd, buf, sizeof(buf), MSG_DONTWAIT, &from.sa, &flen);
		uint16_t seq;

		if (n <= 0)
			return;
		if (from_target(p, &from) &&
		    is_answer(p, buf, (size_t)n, from.sa.sa_family == AF_INET, &seq))
			take_answer(p, seq);
	}
}

static void read_ready(struct event *t)
{
	struct probe *p = EVENT_ARG(t);

	event_add_read(master, read_ready, p, p->fd, &p->t_read);
	read_answers(p);
}

static void close_socket(struct probe *p)
{
	EVENT_OFF(p->t_read);
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	p->told = false;
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
		if (dsaa_log_allowed(&p->complained, NULL))
			flog_err(EC_DSAA_PROBE, "site %u cannot be probed: %m", p->site);
		return false;
	}
	filter_replies(p->fd, v4);
	if (getrandom(&p->cookie, sizeof(p->cookie), 0) != sizeof(p->cookie))
		p->cookie = (uint64_t)dsaa_mono_now().us;
	p->answered = p->seq;
	p->rtt_us = FIRST_RTT_US;
	event_add_read(master, read_ready, p, p->fd, &p->t_read);
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
	p->ever = false;
	if (open_socket(p))
		return true;
	tell(p, false);
	return false;
}

/* Nothing came although an answer was due. */
static bool is_silent(struct probe *p)
{
	struct dsaa_mono now = dsaa_mono_now();

	/* one that waits in the socket while we had no time is an answer */
	read_answers(p);
	return p->seq != p->answered && dsaa_mono_diff_us(now, p->waiting_since) >=
						SILENT_MS * INT64_C(1000) + 2 * p->rtt_us;
}

/*
 * The site speaks to us, but its probe address never did: that is to be mended before it is
 * needed.
 */
static void complain_if_wrong(struct probe *p)
{
	struct dsaa_peer_view v;

	if (p->ever || !dsaa_sync_peer_view(p->site, &v) || v.state != DSAA_PEER_UP)
		return;
	if (dsaa_log_allowed(&p->complained, NULL))
		flog_warn(EC_DSAA_PROBE,
			  "site %u is up, but its probe address %pIA never answered: its silence "
			  "will prove nothing",
			  p->site, &p->target);
}

static void next_echo(struct event *t)
{
	struct probe *p = EVENT_ARG(t);

	event_add_timer_msec(master, next_echo, p, INTERVAL_MS, &p->t_send);
	if (!prepare(p))
		return;
	if (is_silent(p)) {
		tell(p, false);
		complain_if_wrong(p);
	}
	send_echo(p);
}

static void set(struct probe *p, bool on)
{
	if (p->on == on)
		return;
	p->on = on;
	EVENT_OFF(p->t_send);
	EVENT_OFF(p->t_minute);
	p->changes = 0;
	close_socket(p);
	if (on)
		event_add_event(master, next_echo, p, 0, &p->t_send);
}

void dsaa_probe_reconcile(void)
{
	uint8_t local = dsaa_local_site();

	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		set(&probes[s], dsaa_conf.enabled && local && s != local &&
					dsaa_conf.site[s].configured &&
					dsaa_conf.site[s].has_probe);
}

void dsaa_probe_ask(uint8_t site)
{
	struct probe *p = &probes[site];

	p->asked = dsaa_mono_now();
	p->told = false;
	if (!p->on)
		return;
	EVENT_OFF(p->t_send);
	event_add_event(master, next_echo, p, 0, &p->t_send);
}

void dsaa_probe_stop(void)
{
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		set(&probes[s], false);
}
