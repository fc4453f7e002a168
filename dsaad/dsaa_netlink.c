/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interface addresses and routes over rtnetlink, with libmnl; see dsaa_netlink.h. */
#include <zebra.h>

#include <fcntl.h>
#include <net/if.h>
#include <sys/ioctl.h>

/* Ahead of libfrr's vrf.h, which defines for itself what the kernel's headers have not. */
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "log.h"

#include "dsaad/dsaa_netlink.h"

#ifndef IFA_PROTO
#define IFA_PROTO 11
#endif

/* Our value of IFA_PROTO; 0-3 are the kernel's own (linux/if_addr.h) */
#define IFAPROT_DSAA 0xd5
#define LABEL_SUFFIX ":dsaa"

/* The metric of all routes that zebra installs (ROUTE_INSTALLATION_METRIC in its rt.h) */
#define ZEBRA_KERNEL_METRIC 20

static struct nlmsghdr *begin(char *buf, uint16_t type, uint16_t flags, struct ifaddrmsg **ifa)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = 1;
	*ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(**ifa));
	return nlh;
}

/* Sends NLH and runs CB on the answers until the end. 0 or a negative errno. */
static int talk(struct nlmsghdr *nlh, mnl_cb_t cb, void *arg)
{
	char buf[32768];
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int rc = -1, on = 1;

	/* dumps are filtered by what the request says (Linux 4.20): all of BGP's routes are many */
	if (s)
		mnl_socket_setsockopt(s, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	if (s && mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) == 0 &&
	    mnl_socket_sendto(s, nlh, nlh->nlmsg_len) >= 0) {
		do {
			ssize_t n = mnl_socket_recvfrom(s, buf, sizeof(buf));

			rc = n < 0 ? -1 : mnl_cb_run(buf, n, 1, mnl_socket_get_portid(s), cb, arg);
		} while (rc > 0);
	}
	rc = rc < 0 ? -errno : 0;
	if (s)
		mnl_socket_close(s);
	return rc;
}

static void put_address(struct nlmsghdr *nlh, uint16_t type, const struct prefix *p)
{
	mnl_attr_put(nlh, type, prefix_blen(p), &p->u.prefix);
}

/*
 * "IFNAME:dsaa", cut at its end to fit: tools take what precedes the colon for the interface's
 * name, so that stays whole. False when less than one letter of ours would be left; then there is
 * IFA_PROTO alone.
 */
static bool make_label(char label[IFNAMSIZ], const char *ifname)
{
	strlcpy(label, ifname, IFNAMSIZ);
	strlcat(label, LABEL_SUFFIX, IFNAMSIZ);
	return strlen(label) >= strlen(ifname) + 2;
}

static bool is_our_label(const char *label, ifindex_t ifindex)
{
	size_t len = strlen(label), suffix = strlen(LABEL_SUFFIX);
	char ifname[IF_NAMESIZE], ours[IFNAMSIZ];

	/* also of an interface that was renamed since */
	if (len > suffix && !strcmp(label + len - suffix, LABEL_SUFFIX))
		return true;
	return strchr(label, ':') && if_indextoname(ifindex, ifname) && make_label(ours, ifname) &&
	       !strcmp(label, ours);
}

ifindex_t dsaa_netlink_interface(const char *ifname, bool *up)
{
	struct ifreq ifr = { 0 };
	ifindex_t ifindex = (ifindex_t)if_nametoindex(ifname);
	int fd;

	*up = false;
	if (!ifindex)
		return 0;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return ifindex;
	strlcpy(ifr.ifr_name, ifname, sizeof(ifr.ifr_name));
	*up = ioctl(fd, SIOCGIFFLAGS, &ifr) == 0 && (ifr.ifr_flags & IFF_UP);
	close(fd);
	return ifindex;
}

int dsaa_netlink_address_add(ifindex_t ifindex, const char *ifname, const struct prefix *address)
{
	char buf[256], label[IFNAMSIZ];
	struct in_addr broadcast;
	struct ifaddrmsg *ifa;
	struct nlmsghdr *nlh = begin(buf, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &ifa);

	ifa->ifa_family = address->family;
	ifa->ifa_prefixlen = address->prefixlen;
	ifa->ifa_index = ifindex;
	put_address(nlh, IFA_LOCAL, address);
	put_address(nlh, IFA_ADDRESS, address);
	mnl_attr_put_u8(nlh, IFA_PROTO, IFAPROT_DSAA);
	if (address->family == AF_INET) {
		if (make_label(label, ifname))
			mnl_attr_put_strz(nlh, IFA_LABEL, label);
		if (address->prefixlen < IPV4_MAX_BITLEN - 1) {
			broadcast.s_addr = ipv4_broadcast_addr(address->u.prefix4.s_addr,
							       address->prefixlen);
			mnl_attr_put(nlh, IFA_BROADCAST, sizeof(broadcast), &broadcast);
		}
	} else {
		/*
		 * the address is this site's alone, and must serve at once: no duplicate
		 * detection
		 */
		mnl_attr_put_u32(nlh, IFA_FLAGS, IFA_F_NODAD);
	}
	return talk(nlh, NULL, NULL);
}

/*
 * Opens the switch by which the kernel, when the first IPv4 address of a network is deleted, makes
 * the next one of the interface the first. When it is off, the kernel deletes them all, whoever
 * they belong to. Returns the open file when it was off and is on now, else -1.
 */
static int keep_secondaries(ifindex_t ifindex)
{
	char ifname[IF_NAMESIZE], path[96], value = '1';
	int fd;

	if (!if_indextoname(ifindex, ifname))
		return -1;
	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/promote_secondaries", ifname);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (pread(fd, &value, 1, 0) == 1 && value == '0' && pwrite(fd, "1", 1, 0) == 1)
		return fd;
	close(fd);
	return -1;
}

/* Puts the switch back that keep_secondaries() opened. */
static void keep_secondaries_no_more(int fd)
{
	if (fd < 0)
		return;
	if (pwrite(fd, "0", 1, 0) != 1)
		zlog_warn("promote_secondaries cannot be set back: %m");
	close(fd);
}

int dsaa_netlink_address_del(ifindex_t ifindex, const struct prefix *address)
{
	char buf[256];
	struct ifaddrmsg *ifa;
	struct nlmsghdr *nlh = begin(buf, RTM_DELADDR, NLM_F_ACK, &ifa);
	int rc, fd = -1;

	ifa->ifa_family = address->family;
	ifa->ifa_prefixlen = address->prefixlen;
	ifa->ifa_index = ifindex;
	put_address(nlh, IFA_LOCAL, address);
	put_address(nlh, IFA_ADDRESS, address);
	if (address->family == AF_INET)
		fd = keep_secondaries(ifindex);
	rc = talk(nlh, NULL, NULL);
	keep_secondaries_no_more(fd);
	return rc == -EADDRNOTAVAIL || rc == -ENODEV ? 0 : rc;
}

struct walk {
	void (*cb)(void *arg, const struct dsaa_kernel_address *a);
	void *arg;
};

static void read_attr(const struct nlattr *attr, struct dsaa_kernel_address *a, bool *has_local)
{
	size_t len = mnl_attr_get_payload_len(attr);
	uint16_t type = mnl_attr_get_type(attr);

	switch (type) {
	case IFA_LOCAL:
	case IFA_ADDRESS: /* the peer of a point-to-point link when there is a local one too */
		if (len != (size_t)prefix_blen(&a->address) || (type == IFA_ADDRESS && *has_local))
			return;
		memcpy(&a->address.u.prefix, mnl_attr_get_payload(attr), len);
		*has_local |= type == IFA_LOCAL;
		break;
	case IFA_LABEL:
		if (mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0)
			a->ours |= is_our_label(mnl_attr_get_str(attr), a->ifindex);
		break;
	case IFA_PROTO:
		if (len == 1)
			a->ours |= mnl_attr_get_u8(attr) == IFAPROT_DSAA;
		break;
	}
}

static int one_address(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	struct dsaa_kernel_address a = { 0 };
	const struct nlattr *attr;
	bool has_local = false;
	struct walk *w = arg;

	if (nlh->nlmsg_type != RTM_NEWADDR || mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifa) ||
	    (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6))
		return MNL_CB_OK;
	a.ifindex = ifa->ifa_index;
	a.address.family = ifa->ifa_family;
	a.address.prefixlen = ifa->ifa_prefixlen;
	mnl_attr_for_each (attr, nlh, sizeof(*ifa))
		read_attr(attr, &a, &has_local);
	w->cb(w->arg, &a);
	return MNL_CB_OK;
}

int dsaa_netlink_address_walk(void (*cb)(void *arg, const struct dsaa_kernel_address *a), void *arg)
{
	struct walk w = { .cb = cb, .arg = arg };
	char buf[64];
	struct ifaddrmsg *ifa;
	struct nlmsghdr *nlh = begin(buf, RTM_GETADDR, NLM_F_DUMP, &ifa);

	ifa->ifa_family = AF_UNSPEC;
	return talk(nlh, one_address, &w);
}

static int one_route(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	ifindex_t *ifindex = arg;
	const struct nlattr *attr;

	if (nlh->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(nlh) < sizeof(*rtm) ||
	    rtm->rtm_type != RTN_UNICAST)
		return MNL_CB_OK;
	mnl_attr_for_each (attr, nlh, sizeof(*rtm))
		if (mnl_attr_get_type(attr) == RTA_OIF &&
		    mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
			*ifindex = (ifindex_t)mnl_attr_get_u32(attr);
	return MNL_CB_OK;
}

ifindex_t dsaa_netlink_route_interface(const struct ipaddr *to)
{
	char buf[128];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct rtmsg *rtm;
	ifindex_t ifindex = 0;

	nlh->nlmsg_type = RTM_GETROUTE;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = 1;
	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	rtm->rtm_family = IS_IPADDR_V4(to) ? AF_INET : AF_INET6;
	rtm->rtm_dst_len = IS_IPADDR_V4(to) ? IPV4_MAX_BITLEN : IPV6_MAX_BITLEN;
	mnl_attr_put(nlh, RTA_DST, rtm->rtm_dst_len / 8, &to->ip);
	return talk(nlh, one_route, &ifindex) == 0 ? ifindex : 0;
}

/* ------------------------------------------------------------------ routes of an earlier zebra */

static struct nlmsghdr *begin_route(char *buf, uint16_t type, uint16_t flags, uint8_t family,
				    uint8_t protocol, uint32_t table, struct rtmsg **rtm)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = 1;
	*rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(**rtm));
	(*rtm)->rtm_family = family;
	(*rtm)->rtm_protocol = protocol;
	(*rtm)->rtm_type = RTN_BLACKHOLE;
	mnl_attr_put_u32(nlh, RTA_TABLE, table);
	return nlh;
}

struct leftover_walk {
	void (*cb)(void *arg, const struct prefix *p);
	void *arg;
	uint32_t table;
};

static int one_leftover(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	uint32_t table = 0, metric = 0;
	struct leftover_walk *w = arg;
	const struct nlattr *attr;
	struct prefix p = { 0 };

	if (nlh->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(nlh) < sizeof(*rtm) ||
	    rtm->rtm_type != RTN_BLACKHOLE || rtm->rtm_protocol != RTPROT_ZEBRA ||
	    (rtm->rtm_family != AF_INET && rtm->rtm_family != AF_INET6))
		return MNL_CB_OK;
	p.family = rtm->rtm_family;
	p.prefixlen = rtm->rtm_dst_len;
	mnl_attr_for_each (attr, nlh, sizeof(*rtm)) {
		uint16_t type = mnl_attr_get_type(attr);

		if (type == RTA_DST && mnl_attr_get_payload_len(attr) == (size_t)prefix_blen(&p))
			memcpy(&p.u.prefix, mnl_attr_get_payload(attr), prefix_blen(&p));
		else if (type == RTA_TABLE && mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
			table = mnl_attr_get_u32(attr);
		else if (type == RTA_PRIORITY && mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
			metric = mnl_attr_get_u32(attr);
	}
	if (table == w->table && metric == ZEBRA_KERNEL_METRIC)
		w->cb(w->arg, &p);
	return MNL_CB_OK;
}

int dsaa_netlink_leftover_walk(uint8_t family, uint32_t table,
			       void (*cb)(void *arg, const struct prefix *p), void *arg)
{
	struct leftover_walk w = { .cb = cb, .arg = arg, .table = table };
	char buf[128];
	struct rtmsg *rtm;
	int rc;

	rc = talk(begin_route(buf, RTM_GETROUTE, NLM_F_DUMP, family, RTPROT_ZEBRA, table, &rtm),
		  one_leftover, &w);
	return rc == -ENOENT ? 0 : rc; /* there is no such table */
}

static int change_foreign(uint16_t type, uint16_t flags, const struct prefix *p, uint32_t table,
			  uint32_t metric)
{
	char buf[128];
	struct rtmsg *rtm;
	struct nlmsghdr *nlh = begin_route(buf, type, NLM_F_ACK | flags, p->family, RTPROT_BOOT,
					   table, &rtm);

	rtm->rtm_dst_len = p->prefixlen;
	put_address(nlh, RTA_DST, p);
	mnl_attr_put_u32(nlh, RTA_PRIORITY, metric);
	return talk(nlh, NULL, NULL);
}

/*
 * A route that carries zebra's protocol cannot simply be deleted: rib_delete() puts it back. So a
 * route of somebody else's takes its place in zebra's table, which goes by type and metric, and is
 * deleted then. FRR 10 has the leftover there with metric 0, FRR 8.4 with that of the kernel; in
 * the kernel's metric the highest byte is the distance.
 */
int dsaa_netlink_leftover_del(const struct prefix *p, uint32_t table)
{
	static const uint32_t metric_0 = 1u << 24;
	int rc = change_foreign(RTM_NEWROUTE, NLM_F_REPLACE, p, table, ZEBRA_KERNEL_METRIC);

	if (!rc)
		rc = change_foreign(RTM_DELROUTE, 0, p, table, ZEBRA_KERNEL_METRIC);
	if (!rc)
		rc = change_foreign(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, p, table, metric_0);
	if (!rc)
		rc = change_foreign(RTM_DELROUTE, 0, p, table, metric_0);
	return rc;
}
