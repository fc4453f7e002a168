/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sockets of the sync transport, see dsaa_socket.h.
 *
 * Options that only make things better (keep-alive, user timeout, low
 * watermark) are tried and not required: MPTCP sockets refuse some of them,
 * and the session's own hold time finds a silent peer in any case.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4() */
#endif

#include "sync/dsaa_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <linux/mptcp.h>

#include "sync/dsaa_transport.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef SOL_MPTCP
#define SOL_MPTCP 284
#endif

enum {
	LISTEN_BACKLOG = 64,
	KEEPALIVE_IDLE_S = 5,
	KEEPALIVE_INTERVAL_S = 2,
	KEEPALIVE_COUNT = 3,
};

static socklen_t socket_name(struct sockaddr_storage *ss, const struct dsaa_addr *a, uint16_t port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
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

static void socket_address(struct dsaa_addr *a, const struct sockaddr_storage *ss)
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

static void socket_set(int fd, int level, int name, int value)
{
	(void)setsockopt(fd, level, name, &value, sizeof(value));
}

/* A TCP socket; MPTCP when asked for and the kernel agrees. */
static int socket_make(uint8_t family, bool multipath)
{
	int af = family == 4 ? AF_INET : AF_INET6;
	int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
	int fd = -1;

	if (multipath)
		fd = socket(af, type, IPPROTO_MPTCP);
	if (fd < 0)
		fd = socket(af, type, IPPROTO_TCP);
	return fd;
}

/* Options of a connection, either direction. */
static void socket_tune(int fd, uint32_t user_timeout_ms)
{
	socket_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	socket_set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, DSAA_TRANSPORT_NOTSENT_LOWAT);
	socket_set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	socket_set(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
	socket_set(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
	socket_set(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT);
	if (user_timeout_ms)
		socket_set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)user_timeout_ms);
}

static int socket_give_up(int fd)
{
	int error = errno;

	close(fd);
	errno = error;
	return -1;
}

int dsaa_socket_listen(const struct dsaa_addr *addr, uint16_t port, bool multipath)
{
	struct sockaddr_storage ss;
	socklen_t len = socket_name(&ss, addr, port);
	int fd = socket_make(addr->family, multipath);

	if (fd < 0)
		return -1;
	socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (addr->family == 4) {
		socket_set(fd, IPPROTO_IP, IP_FREEBIND, 1);
	} else {
		socket_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
		socket_set(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
	}
	if (bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
		return socket_give_up(fd);
	return fd;
}

int dsaa_socket_connect(const struct dsaa_addr *local, const struct dsaa_addr *remote,
			uint16_t port, bool multipath, uint32_t user_timeout_ms)
{
	struct sockaddr_storage from, to;
	socklen_t from_len = socket_name(&from, local, 0);
	socklen_t to_len = socket_name(&to, remote, port);
	int fd = socket_make(remote->family, multipath);

	if (fd < 0)
		return -1;
	socket_tune(fd, user_timeout_ms);
	if (bind(fd, (struct sockaddr *)&from, from_len) < 0)
		return socket_give_up(fd);
	if (connect(fd, (struct sockaddr *)&to, to_len) < 0 && errno != EINPROGRESS)
		return socket_give_up(fd);
	return fd;
}

int dsaa_socket_accept(int fd, struct dsaa_addr *remote, uint32_t user_timeout_ms)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	int conn = accept4(fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (conn < 0)
		return -1;
	socket_address(remote, &ss);
	socket_tune(conn, user_timeout_ms);
	return conn;
}

int dsaa_socket_error(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return errno;
	return error;
}

void dsaa_socket_abort(int fd)
{
	struct linger hard = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(fd);
}

bool dsaa_socket_is_multipath(int fd)
{
	struct mptcp_info info = { 0 };
	socklen_t len = sizeof(info);

	/* A TCP socket has no such level, and a fallen-back one says so or refuses. */
	if (getsockopt(fd, SOL_MPTCP, MPTCP_INFO, &info, &len) < 0)
		return false;
	return !(info.mptcpi_flags & MPTCP_INFO_FLAG_FALLBACK);
}

static unsigned socket_subflows(int fd, struct dsaa_transport_link *link, unsigned max)
{
	struct {
		struct mptcp_subflow_data head;
		struct mptcp_subflow_addrs addrs[DSAA_TRANSPORT_LINKS_MAX];
	} found = { .head = { .size_subflow_data = sizeof(found.head),
			      .size_user = sizeof(found.addrs[0]) } };
	socklen_t len = sizeof(found);
	unsigned n;

	if (getsockopt(fd, SOL_MPTCP, MPTCP_SUBFLOW_ADDRS, &found, &len) < 0)
		return 0;
	n = found.head.num_subflows < max ? found.head.num_subflows : max;
	for (unsigned i = 0; i < n; i++) {
		struct sockaddr_storage local, remote;

		memcpy(&local, &found.addrs[i].ss_local, sizeof(local));
		memcpy(&remote, &found.addrs[i].ss_remote, sizeof(remote));
		socket_address(&link[i].local, &local);
		socket_address(&link[i].remote, &remote);
	}
	return n;
}

unsigned dsaa_socket_links(int fd, struct dsaa_transport_link *link, unsigned max)
{
	struct sockaddr_storage local = { 0 }, remote = { 0 };
	socklen_t local_len = sizeof(local), remote_len = sizeof(remote);
	unsigned n = 0;

	if (max > DSAA_TRANSPORT_LINKS_MAX)
		max = DSAA_TRANSPORT_LINKS_MAX;
	if (dsaa_socket_is_multipath(fd))
		n = socket_subflows(fd, link, max);
	if (n || getsockname(fd, (struct sockaddr *)&local, &local_len) < 0 ||
	    getpeername(fd, (struct sockaddr *)&remote, &remote_len) < 0)
		return n;
	socket_address(&link[0].local, &local);
	socket_address(&link[0].remote, &remote);
	return 1;
}

bool dsaa_socket_has_user_timeout(int fd)
{
	unsigned ms = 0;
	socklen_t len = sizeof(ms);

	return getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, &len) == 0 && ms > 0;
}
