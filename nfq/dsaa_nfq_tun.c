/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The TAP device by which corrected packets enter the stack. No route leads
 * there; what can be read from it was put there by the fast path, to be cut.
 *
 * Its frames carry the number of the logical interface and the site in their
 * Ethernet source, 02:d5:aa:INTERFACE:OFFERED:SITE: dsaa_nfq_steer.c sends them on
 * to the interface where they came in first, and the rules tell by it that
 * they came from a peer. Without Ethernet header there they stay here.
 *
 * A packet that was put together from fragments where it arrived is longer
 * than the link it came from. It goes on as fragments: IPv4 is left to the
 * stack (without "don't fragment"), IPv6 is cut here, because a router may not.
 */
#include "nfq/dsaa_nfq_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/virtio_net.h>

#include "nfq/dsaa_nfq_tcp.h"

enum {
	/* the most that a TAP device takes */
	TUN_MTU = 65535 - ETH_HLEN,
	IP6_FRAGMENT_HEADER = 8,
	IP6_HOPBYHOP = 0,
	IP6_ROUTING = 43,
	IP6_FRAGMENT = 44,
	IP6_DEST = 60,
	/* RFC 8200 5: every link passes this */
	IP6_MTU_MIN = 1280,
};

/* RFC 7600: the IPv4 dummy address. Without one, loose rp_filter drops what comes in here. */
static const uint8_t dummy_address[4] = { 192, 0, 0, 8 };
/* The device's own Ethernet address: what is sent to another one is not for this host. */
static const uint8_t own_mac[ETH_ALEN] = { 0x02, 0xd5, 0xaa };

/* ------------------------------------------------------------------ set-up */

static void complain(struct dsaa_nfq_tun *tun, const char *what, const char *value)
{
	if (!tun->why[0])
		snprintf(tun->why, sizeof(tun->why), "%s: %s cannot be set to %s: %s", tun->name,
			 what, value, strerror(errno));
}

static bool write_sysctl(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok;

	if (fd < 0)
		return false;
	ok = write(fd, value, strlen(value)) == (ssize_t)strlen(value);
	close(fd);
	return ok;
}

/*
 * The device forwards whatever the operator set for others, believes no
 * router, and speaks not by itself. rp_filter: the larger one of "all" and the
 * device's counts, so 2 (loose) here wins over a strict 1 for all.
 */
static void set_sysctls(struct dsaa_nfq_tun *tun)
{
	static const struct {
		const char *family, *name, *value;
	} settings[] = {
		{ "ipv4", "rp_filter", "2" },	     { "ipv4", "forwarding", "1" },
		{ "ipv4", "accept_redirects", "0" }, { "ipv4", "send_redirects", "0" },
		{ "ipv6", "accept_ra", "0" },	     { "ipv6", "addr_gen_mode", "1" },
		{ "ipv6", "accept_redirects", "0" }, { "ipv6", "forwarding", "1" },
		{ "ipv6", "disable_ipv6", "0" },
	};
	char path[128];
	unsigned i;

	for (i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", settings[i].family,
			 tun->name, settings[i].name);
		/* a kernel without IPv6 has none of its files */
		if (!write_sysctl(path, settings[i].value) && errno != ENOENT)
			complain(tun, settings[i].name, settings[i].value);
	}
}

/* Gives the device its address; it may be there from before. */
static bool add_address(unsigned ifindex)
{
	uint8_t buf[512];
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buf);
	struct ifaddrmsg *ifa;

	msg->nlmsg_type = RTM_NEWADDR;
	msg->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK;
	ifa = mnl_nlmsg_put_extra_header(msg, sizeof(*ifa));
	ifa->ifa_family = AF_INET;
	ifa->ifa_prefixlen = 32;
	ifa->ifa_scope = RT_SCOPE_LINK;
	ifa->ifa_index = ifindex;
	mnl_attr_put(msg, IFA_LOCAL, sizeof(dummy_address), dummy_address);
	mnl_attr_put(msg, IFA_ADDRESS, sizeof(dummy_address), dummy_address);
	return dsaa_nfq_rtnetlink(msg, sizeof(buf)) == 0 || errno == EEXIST;
}

static void delete_link(unsigned ifindex)
{
	uint8_t buf[512];
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *ifi;

	msg->nlmsg_type = RTM_DELLINK;
	msg->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	ifi = mnl_nlmsg_put_extra_header(msg, sizeof(*ifi));
	ifi->ifi_family = AF_UNSPEC;
	ifi->ifi_index = (int)ifindex;
	dsaa_nfq_rtnetlink(msg, sizeof(buf)); /* gone already is as good */
}

static bool set_link(struct dsaa_nfq_tun *tun)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { 0 };
	bool ok = false;

	if (fd < 0)
		return false;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", tun->name);
	ifr.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(ifr.ifr_hwaddr.sa_data, own_mac, sizeof(own_mac));
	if (ioctl(fd, SIOCSIFHWADDR, &ifr) < 0)
		complain(tun, "its Ethernet address", "02:d5:aa:00:00:00");
	ifr.ifr_mtu = TUN_MTU;
	if (ioctl(fd, SIOCSIFMTU, &ifr) < 0)
		complain(tun, "mtu", "65521");
	if (ioctl(fd, SIOCGIFINDEX, &ifr) == 0) {
		tun->ifindex = ifr.ifr_ifindex;
		if (!add_address(tun->ifindex))
			complain(tun, "its address", "192.0.0.8");
		ok = ioctl(fd, SIOCGIFFLAGS, &ifr) == 0;
		ifr.ifr_flags |= IFF_UP | IFF_NOARP;
		ok = ok && ioctl(fd, SIOCSIFFLAGS, &ifr) == 0;
	}
	close(fd);
	return ok;
}

/* Attaches FD to the device, or finds that it is attached to it already. */
static bool attach(int fd, const char *name)
{
	struct ifreq ifr = { 0 };

	if (ioctl(fd, TUNGETIFF, &ifr) == 0)
		return strncmp(ifr.ifr_name, name, sizeof(ifr.ifr_name)) == 0;
	memset(&ifr, 0, sizeof(ifr));
	ifr.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	return ioctl(fd, TUNSETIFF, &ifr) == 0;
}

bool dsaa_nfq_tun_open(struct dsaa_nfq_tun *tun, const char *name, int device_fd, char *err,
		       size_t errlen)
{
	memset(tun, 0, sizeof(*tun));
	snprintf(tun->name, sizeof(tun->name), "%s", name);
	if (device_fd >= 0)
		tun->fd = fcntl(device_fd, F_DUPFD_CLOEXEC, 0);
	else
		tun->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tun->fd < 0) {
		snprintf(err, errlen, "/dev/net/tun cannot be opened (module tun): %s",
			 strerror(errno));
		return false;
	}
	if (!attach(tun->fd, name)) {
		snprintf(err, errlen, "TAP device %s cannot be made: %s", name, strerror(errno));
		dsaa_nfq_tun_close(tun);
		return false;
	}
	set_sysctls(tun);
	if (!set_link(tun)) {
		snprintf(err, errlen, "TAP device %s cannot be set up: %s", name, strerror(errno));
		dsaa_nfq_tun_close(tun);
		return false;
	}
	return true;
}

void dsaa_nfq_tun_close(struct dsaa_nfq_tun *tun)
{
	if (tun->fd < 0)
		return;
	/* closing is not enough when the caller keeps the descriptor that ours was made from */
	if (tun->ifindex)
		delete_link(tun->ifindex);
	close(tun->fd);
	tun->fd = -1;
}

/* ------------------------------------------------------------------ delivery */

enum {
	PARTS_BEFORE = 2 /* struct virtio_net_hdr and the Ethernet header */
};

/* Writes a packet in COUNT parts, of which the first two are filled in here. */
static bool put_parts(const struct dsaa_nfq_tun *tun, struct virtio_net_hdr *vnet,
		      struct iovec *parts, int count)
{
	struct ethhdr eth = { .h_source = DSAA_MAC_PREFIX };
	const uint8_t *ip = parts[PARTS_BEFORE].iov_base;
	ssize_t n;

	memcpy(eth.h_dest, own_mac, sizeof(eth.h_dest));
	eth.h_source[3] = tun->origin.iface;
	eth.h_source[DSAA_MAC_SECOND_CHANCE] = tun->origin.offered;
	eth.h_source[5] = tun->origin.site;
	eth.h_proto = htons(ip[0] >> 4 == 4 ? ETH_P_IP : ETH_P_IPV6);
	parts[0] = (struct iovec){ vnet, sizeof(*vnet) };
	parts[1] = (struct iovec){ &eth, sizeof(eth) };
	do
		n = writev(tun->fd, parts, count);
	while (n < 0 && errno == EINTR);
	parts[1].iov_base = NULL; /* the header ends with this function */
	return n > 0;
}

static bool put(const struct dsaa_nfq_tun *tun, const uint8_t *data, size_t len)
{
	struct virtio_net_hdr plain = { 0 };
	struct iovec parts[PARTS_BEFORE + 1] = { [PARTS_BEFORE] = { (void *)data, len } };

	return put_parts(tun, &plain, parts, PARTS_BEFORE + 1);
}

static void count(struct dsaa_nfq_tun *tun, bool good)
{
	if (good)
		tun->delivered++;
	else
		tun->failed++;
}

/* Two segments or more, as one packet whose segments and checksum the kernel makes when it must. */
static bool put_joined(const struct dsaa_nfq_tun *tun, const struct dsaa_nfq_join *j)
{
	struct iovec parts[PARTS_BEFORE + 1 + DSAA_NFQ_JOIN_MAX];
	struct virtio_net_hdr vnet = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM };
	uint8_t head[DSAA_NFQ_HEAD];
	size_t len;

	vnet.gso_type = j->first[0] >> 4 == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
	len = dsaa_nfq_join_head(j, head);
	vnet.hdr_len = ETH_HLEN + len;
	vnet.gso_size = j->each;
	vnet.csum_start = ETH_HLEN + j->ip;
	vnet.csum_offset = TCP_CHECKSUM;
	parts[PARTS_BEFORE] = (struct iovec){ head, len };
	memcpy(parts + PARTS_BEFORE + 1, j->data, j->count * sizeof(j->data[0]));
	return put_parts(tun, &vnet, parts, PARTS_BEFORE + 1 + (int)j->count);
}

static bool put_segment(const struct dsaa_nfq_tun *tun, const struct dsaa_nfq_join *j, unsigned i)
{
	/* its headers still stand before its payload */
	return put(tun, (uint8_t *)j->data[i].iov_base - j->head, j->data[i].iov_len + j->head);
}

void dsaa_nfq_tun_flush(struct dsaa_nfq_tun *tun)
{
	struct dsaa_nfq_join *j = &tun->join;
	unsigned i;

	if (j->count > 1 && put_joined(tun, j))
		tun->delivered += j->count;
	else
		for (i = 0; i < j->count; i++)
			count(tun, put_segment(tun, j, i));
	j->count = 0;
}

/* Takes "don't fragment" away, and puts the header's checksum right (RFC 1624). */
static void allow_fragments4(uint8_t *ip)
{
	uint32_t sum;

	if (!(ip[6] & IP4_DF))
		return;
	ip[6] &= ~IP4_DF;
	sum = ((uint32_t)ip[10] << 8 | ip[11]) + (IP4_DF << 8);
	sum = (sum & 0xffff) + (sum >> 16);
	ip[10] = sum >> 8;
	ip[11] = sum;
}

/*
 * RFC 8200 4.5: the headers that every fragment repeats. Returns their length
 * with the place of the last "next header" field in *NEXT; 0 when there is no
 * room behind them.
 */
static size_t per_fragment_headers(const uint8_t *ip, size_t len, size_t *next)
{
	size_t at = IP6_HEADER, keep = IP6_HEADER, field = 6;
	uint8_t proto = ip[6];

	*next = field;
	while (proto == IP6_HOPBYHOP || proto == IP6_ROUTING || proto == IP6_DEST) {
		if (at + 8 > len)
			return 0;
		field = at;
		/* destination options belong to every fragment only before a routing header */
		at += (size_t)ip[at + 1] * 8 + 8;
		if (at > len)
			return 0;
		if (proto != IP6_DEST) {
			keep = at;
			*next = field;
		}
		proto = ip[field];
	}
	/* a fragment is not cut again */
	if (proto == IP6_FRAGMENT)
		return 0;
	return keep + IP6_FRAGMENT_HEADER + 8 <= IP6_MTU_MIN ? keep : 0;
}

static bool deliver_fragments6(struct dsaa_nfq_tun *tun, const uint8_t *ip, size_t len)
{
	uint8_t out[IP6_MTU_MIN], id[4];
	size_t next, keep = per_fragment_headers(ip, len, &next), room, at, n;

	if (!keep || getrandom(id, sizeof(id), 0) != sizeof(id))
		return put(tun, ip, len);
	room = (IP6_MTU_MIN - keep - IP6_FRAGMENT_HEADER) & ~(size_t)7;
	for (at = 0; keep + at < len; at += n) {
		bool last = len - keep - at <= room;
		uint8_t *f = out + keep;

		n = last ? len - keep - at : room;
		memcpy(out, ip, keep);
		out[next] = IP6_FRAGMENT;
		out[4] = (keep - IP6_HEADER + IP6_FRAGMENT_HEADER + n) >> 8;
		out[5] = (keep - IP6_HEADER + IP6_FRAGMENT_HEADER + n) & 0xff;
		f[0] = ip[next];
		f[1] = 0;
		f[2] = at >> 8;
		f[3] = (at & 0xf8) | (last ? 0 : 1);
		memcpy(f + 4, id, sizeof(id));
		memcpy(f + IP6_FRAGMENT_HEADER, ip + keep + at, n);
		if (!put(tun, out, keep + IP6_FRAGMENT_HEADER + n))
			return false;
	}
	return true;
}

/* Packets of another origin are written from here on. */
static void set_origin(struct dsaa_nfq_tun *tun, struct dsaa_nfq_origin origin)
{
	if (tun->origin.iface == origin.iface && tun->origin.site == origin.site &&
	    tun->origin.offered == origin.offered)
		return;
	dsaa_nfq_tun_flush(tun);
	tun->origin = origin;
}

void dsaa_nfq_tun_deliver(struct dsaa_nfq_tun *tun, struct dsaa_nfq_origin origin, uint8_t *data,
			  size_t len, unsigned mtu)
{
	set_origin(tun, origin);
	if (len <= mtu && dsaa_nfq_join_add(&tun->join, data, len))
		return;
	dsaa_nfq_tun_flush(tun);
	if (len > mtu && data[0] >> 4 == 6) {
		count(tun, deliver_fragments6(tun, data, len));
		return;
	}
	if (len > mtu)
		allow_fragments4(data);
	else if (dsaa_nfq_join_add(&tun->join, data, len))
		return;
	count(tun, put(tun, data, len));
}

void dsaa_nfq_tun_serve(struct dsaa_nfq_tun *tun, uint8_t *buf)
{
	struct virtio_net_hdr vnet;
	struct ethhdr eth;
	const struct iovec parts[3] = { { &vnet, sizeof(vnet) },
					{ &eth, sizeof(eth) },
					{ buf, DSAA_NFQ_SLOT } };
	unsigned i;
	ssize_t n;

	for (i = 0; i < DSAA_NFQ_BATCH; i++) {
		/* no offload was asked for: the first header never has anything to say */
		n = readv(tun->fd, parts, 3) - (ssize_t)(sizeof(vnet) + sizeof(eth));
		if (n <= 0)
			return;
		/* anything else is the stack's own, such as a report of multicast groups */
		if (n <= IP6_MTU_MIN || buf[0] >> 4 != 6 || memcmp(eth.h_source, own_mac, 3) != 0)
			continue;
		set_origin(tun,
			   (struct dsaa_nfq_origin){ eth.h_source[3], eth.h_source[5],
						     eth.h_source[DSAA_MAC_SECOND_CHANCE] == 1 });
		deliver_fragments6(tun, buf, n);
	}
}
