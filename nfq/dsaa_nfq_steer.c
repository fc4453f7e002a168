/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sends what is written into the TAP device on to the interface where it came
 * in first, as if it had arrived there: rp_filter, rules that name an incoming
 * interface, and whatever else the operator does with packets from there hold.
 * The kernel's means are an ingress qdisc with one u32 filter per logical
 * interface, that looks at the Ethernet source, and the action mirred.
 *
 * What cannot be steered (no Ethernet header there, no such module in the
 * kernel) enters by the TAP device itself. The thread that configures.
 */
#include "nfq/dsaa_nfq_private.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>

enum {
	/* the first of all u32 tables, which is always there */
	U32_TABLE = 0x80000000,
	PRIORITY = 1,
	/* place of the Ethernet source, from the network header */
	ETHER_SOURCE = -8,
};

int dsaa_nfq_rtnetlink(struct nlmsghdr *msg, size_t len)
{
	struct mnl_socket *sock = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int rc = -1;

	if (!sock)
		return -1;
	if (mnl_socket_bind(sock, 0, MNL_SOCKET_AUTOPID) == 0 &&
	    mnl_socket_sendto(sock, msg, msg->nlmsg_len) > 0) {
		ssize_t n = mnl_socket_recvfrom(sock, msg, len);

		if (n > 0)
			rc = mnl_cb_run(msg, n, 0, mnl_socket_get_portid(sock), NULL, NULL);
	}
	mnl_socket_close(sock);
	return rc < 0 ? -1 : 0;
}

static struct nlmsghdr *message(void *buf, uint16_t type, uint16_t flags, unsigned device,
				uint32_t handle, uint32_t parent, uint32_t info)
{
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buf);
	struct tcmsg *tc;

	msg->nlmsg_type = type;
	msg->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	tc = mnl_nlmsg_put_extra_header(msg, sizeof(*tc));
	tc->tcm_family = AF_UNSPEC;
	tc->tcm_ifindex = (int)device;
	tc->tcm_handle = handle;
	tc->tcm_parent = parent;
	tc->tcm_info = info;
	return msg;
}

static bool add_qdisc(unsigned device)
{
	uint8_t buf[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *msg = message(buf, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, device,
				       TC_H_MAKE(TC_H_INGRESS, 0), TC_H_INGRESS, 0);

	mnl_attr_put_strz(msg, TCA_KIND, "ingress");
	return dsaa_nfq_rtnetlink(msg, sizeof(buf)) == 0 || errno == EEXIST;
}

/* The filter of logical interface NUMBER, without its content. */
static struct nlmsghdr *filter(void *buf, uint16_t type, uint16_t flags, unsigned device,
			       unsigned number)
{
	struct nlmsghdr *msg = message(buf, type, flags, device, U32_TABLE | number,
				       TC_H_MAKE(TC_H_INGRESS, 0),
				       TC_H_MAKE(PRIORITY << 16, htons(ETH_P_ALL)));

	mnl_attr_put_strz(msg, TCA_KIND, "u32");
	return msg;
}

static void del_filter(unsigned device, unsigned number)
{
	uint8_t buf[MNL_SOCKET_BUFFER_SIZE];

	/* gone already is as good */
	dsaa_nfq_rtnetlink(filter(buf, RTM_DELTFILTER, 0, device, number), sizeof(buf));
}

/* The action: to the ingress of TO, and that was all. */
static void put_redirect(struct nlmsghdr *msg, unsigned to)
{
	const struct tc_mirred parms = { .action = TC_ACT_STOLEN,
					 .eaction = TCA_INGRESS_REDIR,
					 .ifindex = to };
	struct nlattr *actions = mnl_attr_nest_start(msg, TCA_U32_ACT);
	struct nlattr *first = mnl_attr_nest_start(msg, 1);
	struct nlattr *options;

	mnl_attr_put_strz(msg, TCA_ACT_KIND, "mirred");
	options = mnl_attr_nest_start(msg, TCA_ACT_OPTIONS);
	mnl_attr_put(msg, TCA_MIRRED_PARMS, sizeof(parms), &parms);
	mnl_attr_nest_end(msg, options);
	mnl_attr_nest_end(msg, first);
	mnl_attr_nest_end(msg, actions);
}

static bool add_filter(unsigned device, unsigned number, unsigned to)
{
	uint8_t buf[MNL_SOCKET_BUFFER_SIZE], prefix[4] = DSAA_MAC_PREFIX;
	struct nlmsghdr *msg = filter(buf, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, device,
				      number);
	/* the selector ends in an array without length: its one key follows */
	struct tc_u32_sel sel = { .flags = TC_U32_TERMINAL, .nkeys = 1 };
	struct tc_u32_key key = { .mask = 0xffffffff, .off = ETHER_SOURCE };
	uint8_t match[sizeof(sel) + sizeof(key)];
	struct nlattr *options = mnl_attr_nest_start(msg, TCA_OPTIONS);

	prefix[3] = number;
	memcpy(&key.val, prefix, sizeof(prefix));
	memcpy(match, &sel, sizeof(sel));
	memcpy(match + sizeof(sel), &key, sizeof(key));
	put_redirect(msg, to);
	mnl_attr_put(msg, TCA_U32_SEL, sizeof(match), match);
	mnl_attr_nest_end(msg, options);
	return dsaa_nfq_rtnetlink(msg, sizeof(buf)) == 0;
}

/* The interface's index now if frames can be sent on to it, else 0. */
static unsigned target(int fd, const struct dsaa_nfq_iface *iface)
{
	struct ifreq ifr = { 0 };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", iface->name);
	if (!iface->ifindex || ioctl(fd, SIOCGIFHWADDR, &ifr) < 0 ||
	    ifr.ifr_hwaddr.sa_family != ARPHRD_ETHER)
		return 0;
	return iface->ifindex;
}

static void steer_one(struct dsaa_nfq_steer *s, unsigned device, unsigned number, unsigned to)
{
	if (s->to[number - 1] == to)
		return;
	if (s->to[number - 1])
		del_filter(device, number);
	s->to[number - 1] = 0;
	if (to && add_filter(device, number, to))
		s->to[number - 1] = to;
	else if (to)
		snprintf(s->why, sizeof(s->why),
			 "corrected packets enter by the tunnel's device: tc u32 with mirred: %s",
			 strerror(errno));
}

void dsaa_nfq_steer_apply(struct dsaa_nfq_steer *s, unsigned device,
			  const struct dsaa_nfq_config *c)
{
	int fd;
	unsigned i;

	s->why[0] = '\0';
	if (!s->qdisc)
		s->qdisc = add_qdisc(device);
	if (!s->qdisc) {
		snprintf(s->why, sizeof(s->why),
			 "corrected packets enter by the tunnel's device: tc ingress: %s",
			 strerror(errno));
		return;
	}
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	for (i = 0; i < DSAA_IFACES_MAX; i++)
		steer_one(s, device, i + 1, i < c->ifaces ? target(fd, &c->iface[i]) : 0);
	close(fd);
}
