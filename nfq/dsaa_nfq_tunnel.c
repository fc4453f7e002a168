/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tunnel's UDP sockets: one per local sync-address, not connected, because
 * several peers may share it. The outer packets may be fragmented, so that a
 * full-size packet passes a site-sync link of the same MTU.
 */
#include "nfq/dsaa_nfq_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

socklen_t dsaa_nfq_sockaddr(struct sockaddr_storage *out, const struct dsaa_addr *a, uint16_t port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)out;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	if (a->family == 4) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, a->bytes, 4);
		return sizeof(*in);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	memcpy(&in6->sin6_addr, a->bytes, 16);
	return sizeof(*in6);
}

static bool set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

/* The address need not be there yet (FREEBIND): the socket works as soon as it is. */
static bool set_options(int fd, uint8_t family)
{
	if (!set(fd, SOL_SOCKET, SO_RCVBUFFORCE, DSAA_NFQ_RCVBUF))
		set(fd, SOL_SOCKET, SO_RCVBUF, DSAA_NFQ_RCVBUF);
	if (!set(fd, SOL_SOCKET, SO_SNDBUFFORCE, DSAA_NFQ_RCVBUF))
		set(fd, SOL_SOCKET, SO_SNDBUF, DSAA_NFQ_RCVBUF);
	/* a kernel without it hands over one by one */
	set(fd, IPPROTO_UDP, UDP_GRO, 1);
	if (family == 4)
		return set(fd, IPPROTO_IP, IP_FREEBIND, 1) &&
		       set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT) &&
		       set(fd, IPPROTO_IP, IP_PKTINFO, 1);
	return set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) && set(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1) &&
	       set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT) &&
	       set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
}

struct dsaa_nfq_socket *dsaa_nfq_socket_open(const struct dsaa_addr *local, uint16_t port,
					     bool send_only)
{
	struct dsaa_nfq_socket *s = calloc(1, sizeof(*s));
	struct sockaddr_storage addr;
	socklen_t len;
	unsigned i;

	if (!s)
		return NULL;
	s->train_max = SIZE_MAX;
	s->local = *local;
	s->port = port;
	s->send_only = send_only;
	for (i = 0; i < DSAA_NFQ_OUT; i++)
		s->iov[i][0] = (struct iovec){ s->header[i], DSAA_ENCAP_LEN };
	len = dsaa_nfq_sockaddr(&addr, local, send_only ? 0 : port);
	s->fd = socket(addr.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd >= 0 && set_options(s->fd, local->family) &&
	    bind(s->fd, (struct sockaddr *)&addr, len) == 0)
		return s;
	s->error = errno;
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	return s;
}

void dsaa_nfq_socket_close(struct dsaa_nfq_socket *s)
{
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

/* ------------------------------------------------------------------ reading */

static void addr_from(struct dsaa_addr *a, const struct sockaddr_storage *ss)
{
	memset(a, 0, sizeof(*a));
	if (ss->ss_family == AF_INET) {
		a->family = 4;
		memcpy(a->bytes, &((const struct sockaddr_in *)ss)->sin_addr, 4);
	} else if (ss->ss_family == AF_INET6) {
		a->family = 6;
		memcpy(a->bytes, &((const struct sockaddr_in6 *)ss)->sin6_addr, 16);
	}
}

/* What the kernel says beside: where it came in, and how long the parts of a train are. */
static void read_control(struct msghdr *msg, struct dsaa_nfq_datagram *d)
{
	struct cmsghdr *c;
	int each;

	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			d->ifindex = ((struct in_pktinfo *)CMSG_DATA(c))->ipi_ifindex;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			d->ifindex = ((struct in6_pktinfo *)CMSG_DATA(c))->ipi6_ifindex;
		} else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
			memcpy(&each, CMSG_DATA(c), sizeof(each));
			if (each > 0)
				d->each = each;
		}
	}
}

int dsaa_nfq_socket_read(struct dsaa_nfq_socket *s, struct dsaa_nfq_room *room,
			 struct dsaa_nfq_datagram *datagrams)
{
	struct mmsghdr msgs[DSAA_NFQ_IN];
	struct iovec iov[DSAA_NFQ_IN];
	struct sockaddr_storage from[DSAA_NFQ_IN];
	_Alignas(struct cmsghdr) char control[DSAA_NFQ_IN][CMSG_SPACE(sizeof(struct in6_pktinfo)) +
							   CMSG_SPACE(sizeof(int))];
	int n, i;

	for (i = 0; i < DSAA_NFQ_IN; i++) {
		iov[i] = (struct iovec){ room->large[i], sizeof(room->large[i]) };
		msgs[i].msg_hdr = (struct msghdr){
			.msg_name = &from[i],
			.msg_namelen = sizeof(from[i]),
			.msg_iov = &iov[i],
			.msg_iovlen = 1,
			.msg_control = control[i],
			.msg_controllen = sizeof(control[i]),
		};
	}
	n = recvmmsg(s->fd, msgs, DSAA_NFQ_IN, MSG_DONTWAIT, NULL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	for (i = 0; i < n; i++) {
		datagrams[i].data = iov[i].iov_base;
		datagrams[i].len = datagrams[i].each = msgs[i].msg_len;
		datagrams[i].ifindex = 0;
		read_control(&msgs[i].msg_hdr, &datagrams[i]);
		addr_from(&datagrams[i].source, &from[i]);
	}
	return n;
}
