/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loader's rtnetlink, see dsaa_fast_net.h. Main thread.
 */
#include "bpf/dsaa_fast_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <bpf/libbpf.h>
#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/xfrm.h>

#include "bpf/dsaa_fast.h"

enum {
	MESSAGE_LEN = 1024,
	ANSWER_LEN = 32768,
	/* more than any packet: nothing is cut here, the outer packets are fragmented if need be
	 */
	TUNNEL_MTU = 65000,
};

/* Sends MSG and takes the answers; CB (or NULL) sees each. 0 or a negative errno. */
static int talk(int bus, struct nlmsghdr *msg, mnl_cb_t cb, void *arg)
{
	struct mnl_socket *sock = mnl_socket_open2(bus, SOCK_CLOEXEC);
	uint8_t buf[ANSWER_LEN];
	int rc = -1;

	if (!sock)
		return -errno;
	msg->nlmsg_seq = 1;
	if (mnl_socket_bind(sock, 0, MNL_SOCKET_AUTOPID) == 0 &&
	    mnl_socket_sendto(sock, msg, msg->nlmsg_len) > 0) {
		do {
			ssize_t n = mnl_socket_recvfrom(sock, buf, sizeof(buf));

			rc = n <= 0 ? -1 :
				      mnl_cb_run(buf, n, 1, mnl_socket_get_portid(sock), cb, arg);
		} while (rc > 0);
	}
	rc = rc < 0 ? -errno : 0;
	mnl_socket_close(sock);
	return rc;
}

static struct ifinfomsg *link_message(struct nlmsghdr *msg, uint16_t type, uint16_t flags)
{
	struct ifinfomsg *ifi;

	msg->nlmsg_type = type;
	msg->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	ifi = mnl_nlmsg_put_extra_header(msg, sizeof(*ifi));
	ifi->ifi_family = AF_UNSPEC;
	return ifi;
}

/* ------------------------------------------------------------------ interfaces */

static void read_vxlan(const struct nlattr *data, struct dsaa_fast_device *d)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested (a, data) {
		if (mnl_attr_get_type(a) == IFLA_VXLAN_COLLECT_METADATA &&
		    mnl_attr_get_payload_len(a) >= 1)
			d->tunnel = mnl_attr_get_u8(a) != 0;
		if (mnl_attr_get_type(a) == IFLA_VXLAN_PORT && mnl_attr_get_payload_len(a) >= 2)
			d->port = ntohs(mnl_attr_get_u16(a));
	}
}

static void read_linkinfo(const struct nlattr *info, struct dsaa_fast_device *d)
{
	const struct nlattr *a, *data = NULL;
	bool vxlan = false;

	mnl_attr_for_each_nested (a, info) {
		if (mnl_attr_get_type(a) == IFLA_INFO_KIND)
			vxlan = strncmp(mnl_attr_get_str(a), "vxlan",
					mnl_attr_get_payload_len(a)) == 0;
		if (mnl_attr_get_type(a) == IFLA_INFO_DATA)
			data = a;
	}
	if (vxlan && data)
		read_vxlan(data, d);
}

/* What the VXLAN device drops before it reads the packet inside. */
static void read_errors(const struct nlattr *a, struct dsaa_fast_device *d)
{
	struct rtnl_link_stats64 stats = { 0 };
	size_t len = mnl_attr_get_payload_len(a);

	memcpy(&stats, mnl_attr_get_payload(a), len < sizeof(stats) ? len : sizeof(stats));
	d->unreadable = stats.rx_errors;
}

static int on_link(const struct nlmsghdr *msg, void *arg)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(msg);
	struct dsaa_fast_device *d = arg;
	const struct nlattr *a;

	if (msg->nlmsg_type != RTM_NEWLINK)
		return MNL_CB_OK;
	d->ifindex = ifi->ifi_index;
	d->ethernet = ifi->ifi_type == ARPHRD_ETHER;
	d->up = ifi->ifi_flags & IFF_UP;
	mnl_attr_for_each (a, msg, sizeof(*ifi)) {
		if (mnl_attr_get_type(a) == IFLA_ADDRESS &&
		    mnl_attr_get_payload_len(a) == sizeof(d->mac))
			memcpy(d->mac, mnl_attr_get_payload(a), sizeof(d->mac));
		if (mnl_attr_get_type(a) == IFLA_LINKINFO)
			read_linkinfo(a, d);
		if (mnl_attr_get_type(a) == IFLA_STATS64)
			read_errors(a, d);
	}
	return MNL_CB_OK;
}

int dsaa_fast_net_device(const char *name, struct dsaa_fast_device *device)
{
	uint8_t buf[MESSAGE_LEN];
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buf);

	memset(device, 0, sizeof(*device));
	link_message(msg, RTM_GETLINK, 0);
	mnl_attr_put_strz(msg, IFLA_IFNAME, name);
	return talk(NETLINK_ROUTE, msg, on_link, device);
}

/* No address of its own: the device speaks not by itself. Only while it is down. */
static void make_silent(const char *name)
{
	uint8_t buf[MESSAGE_LEN];
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buf);
	struct nlattr *spec, *in6;

	link_message(msg, RTM_NEWLINK, 0);
	mnl_attr_put_strz(msg, IFLA_IFNAME, name);
	spec = mnl_attr_nest_start(msg, IFLA_AF_SPEC);
	in6 = mnl_attr_nest_start(msg, AF_INET6);
	mnl_attr_put_u8(msg, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(msg, in6);
	mnl_attr_nest_end(msg, spec);
	/* a kernel without IPv6 refuses, and gives no address */
	talk(NETLINK_ROUTE, msg, NULL, NULL);
}

/*
 * No GRO behind the tunnel: the card, or the peer, has put together what can be, and a packet would
 * wait for another turn of the softirq. ethtool's oldest call, which all kernels know.
 */
static void leave_as_is(const char *name)
{
	struct ethtool_value off = { .cmd = ETHTOOL_SGRO };
	struct ifreq ifr = { .ifr_data = (void *)&off };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	/* with GRO it works as well, and costs more */
	(void)ioctl(fd, SIOCETHTOOL, &ifr);
	close(fd);
}

int dsaa_fast_net_create(const char *name, uint16_t port, const uint8_t mac[6])
{
	uint8_t buf[MESSAGE_LEN];
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buf);
	struct nlattr *info, *data;
	struct dsaa_fast_device d;
	int rc;

	link_message(msg, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	mnl_attr_put_strz(msg, IFLA_IFNAME, name);
	mnl_attr_put_u32(msg, IFLA_MTU, TUNNEL_MTU);
	mnl_attr_put(msg, IFLA_ADDRESS, 6, mac);
	info = mnl_attr_nest_start(msg, IFLA_LINKINFO);
	mnl_attr_put_strz(msg, IFLA_INFO_KIND, "vxlan");
	data = mnl_attr_nest_start(msg, IFLA_INFO_DATA);
	mnl_attr_put_u8(msg, IFLA_VXLAN_COLLECT_METADATA, 1);
	mnl_attr_put_u8(msg, IFLA_VXLAN_LEARNING, 0);
	mnl_attr_put_u16(msg, IFLA_VXLAN_PORT, htons(port));
	mnl_attr_nest_end(msg, data);
	mnl_attr_nest_end(msg, info);
	rc = talk(NETLINK_ROUTE, msg, NULL, NULL);
	if (rc < 0)
		return rc;
	make_silent(name);
	leave_as_is(name);
	rc = dsaa_fast_net_device(name, &d);
	/* this opens the port */
	if (rc == 0)
		rc = dsaa_fast_net_set_up(d.ifindex);
	if (rc < 0)
		dsaa_fast_net_delete(d.ifindex);
	return rc;
}

int dsaa_fast_net_set_up(unsigned ifindex)
{
	uint8_t buf[MESSAGE_LEN];
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *ifi = link_message(msg, RTM_NEWLINK, 0);

	ifi->ifi_index = (int)ifindex;
	ifi->ifi_flags = ifi->ifi_change = IFF_UP;
	return talk(NETLINK_ROUTE, msg, NULL, NULL);
}

int dsaa_fast_net_delete(unsigned ifindex)
{
	uint8_t buf[MESSAGE_LEN];
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *ifi = link_message(msg, RTM_DELLINK, 0);

	ifi->ifi_index = (int)ifindex;
	return talk(NETLINK_ROUTE, msg, NULL, NULL);
}

/* ------------------------------------------------------------------ filters */

uint32_t dsaa_fast_net_filter(unsigned ifindex)
{
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
			    .attach_point = BPF_TC_INGRESS);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .handle = DSAA_FAST_HANDLE,
			    .priority = DSAA_FAST_PRIORITY);

	return bpf_tc_query(&hook, &opts) == 0 ? opts.prog_id : 0;
}

int dsaa_fast_net_attach(unsigned ifindex, int prog_fd, bool *made)
{
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
			    .attach_point = BPF_TC_INGRESS);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .handle = DSAA_FAST_HANDLE,
			    .priority = DSAA_FAST_PRIORITY, .prog_fd = prog_fd,
			    .flags = BPF_TC_F_REPLACE);
	int rc = bpf_tc_hook_create(&hook);

	*made = rc == 0;
	if (rc < 0 && rc != -EEXIST)
		return rc;
	return bpf_tc_attach(&hook, &opts);
}

static int on_filter(const struct nlmsghdr *msg, void *arg)
{
	if (msg->nlmsg_type == RTM_NEWTFILTER)
		++*(unsigned *)arg;
	return MNL_CB_OK;
}

/* True when a filter of anybody is at PARENT of the interface, or nobody can say. */
static bool has_filters(unsigned ifindex, uint32_t parent)
{
	uint8_t buf[MESSAGE_LEN];
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buf);
	struct tcmsg *tc;
	unsigned n = 0;

	msg->nlmsg_type = RTM_GETTFILTER;
	msg->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	tc = mnl_nlmsg_put_extra_header(msg, sizeof(*tc));
	tc->tcm_family = AF_UNSPEC;
	tc->tcm_ifindex = (int)ifindex;
	tc->tcm_parent = parent;
	return talk(NETLINK_ROUTE, msg, on_filter, &n) < 0 || n > 0;
}

int dsaa_fast_net_detach(unsigned ifindex, bool qdisc)
{
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
			    .attach_point = BPF_TC_INGRESS);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .handle = DSAA_FAST_HANDLE,
			    .priority = DSAA_FAST_PRIORITY);
	int rc = bpf_tc_detach(&hook, &opts);

	if (qdisc && !has_filters(ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)) &&
	    !has_filters(ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS))) {
		hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
		bpf_tc_hook_destroy(&hook);
	}
	/* not there, or the interface is gone: as good as removed */
	return rc == -ENOENT || rc == -EINVAL || rc == -ENODEV ? 0 : rc;
}

/* ------------------------------------------------------------------ IPsec */

static int on_policies(const struct nlmsghdr *msg, void *arg)
{
	const struct xfrmu_spdinfo *info;
	const struct nlattr *a;

	mnl_attr_for_each (a, msg, sizeof(uint32_t)) {
		if (mnl_attr_get_type(a) != XFRMA_SPD_INFO ||
		    mnl_attr_get_payload_len(a) < sizeof(*info))
			continue;
		info = mnl_attr_get_payload(a);
		*(bool *)arg = info->incnt || info->outcnt || info->fwdcnt;
	}
	return MNL_CB_OK;
}

bool dsaa_fast_net_ipsec(void)
{
	uint8_t buf[MESSAGE_LEN];
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buf);
	bool any = false;

	msg->nlmsg_type = XFRM_MSG_GETSPDINFO;
	msg->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	*(uint32_t *)mnl_nlmsg_put_extra_header(msg, sizeof(uint32_t)) = ~0u;
	/* a kernel without IPsec does not answer with numbers */
	talk(NETLINK_XFRM, msg, on_policies, &any);
	return any;
}

/* ------------------------------------------------------------------ conntrack */

void dsaa_fast_net_wake_conntrack(void)
{
	uint8_t buf[MESSAGE_LEN];
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g;

	/* the question for the number of entries loads the module that answers it */
	msg->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET_STATS;
	msg->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	g = mnl_nlmsg_put_extra_header(msg, sizeof(*g));
	g->nfgen_family = AF_UNSPEC;
	g->version = NFNETLINK_V0;
	talk(NETLINK_NETFILTER, msg, NULL, NULL);
}
