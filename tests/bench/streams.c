/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Traffic whose every loss and pause is known: numbered UDP streams in both
 * directions, and many TCP connections that ask and wait for the answer.
 * Times are of the monotonic clock, which all namespaces share. Single thread.
 *
 * usage: streams udp-server PORT RATE
 *	  streams udp-client SOURCE DESTINATION PORT RATE
 *	  streams tcp-server PORT
 *	  streams tcp-client DESTINATION PORT PERIOD-MS CONNECTIONS SOURCE...
 *	  streams leaving IFNAME PORT
 *
 * Each ends when its standard input ends, and then prints one JSON object per
 * stream, or about all connections. A UDP client first stops sending, says
 * so, and hears out what is still on its way. A line "open" tells that all
 * connections of a TCP client are up, "hears" that the first answer came.
 * "leaving" prints the wall clock's time of each IPv4 UDP packet to PORT that
 * leaves by the interface.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	UDP_LEN = 64,
	UDP_PEERS_MAX = 64,    /* streams in the life of a server, ended ones among them */
	UDP_SEQ_MAX = 1 << 20, /* 17 minutes at 1 kHz */
	HEAR_OUT_MS = 1500,
	CONNECTIONS_MAX = 20000,
	OPENING_MAX = 128, /* connections that are being opened at a time */
	TCP_LEN = 32,
	EVENTS = 256,
	STALL_US = 3000000,
};

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static socklen_t address(const char *text, uint16_t port, struct sockaddr_storage *a)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)a;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)a;

	memset(a, 0, sizeof(*a));
	if (strchr(text, ':')) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		if (inet_pton(AF_INET6, text, &v6->sin6_addr) != 1)
			die(text);
		return sizeof(*v6);
	}
	v4->sin_family = AF_INET;
	v4->sin_port = htons(port);
	if (inet_pton(AF_INET, text, &v4->sin_addr) != 1)
		die(text);
	return sizeof(*v4);
}

static int open_socket(int family, int type)
{
	int one = 1, fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return fd;
}

/* A socket that takes both families. */
static int open_any(int type, uint16_t port)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int zero = 0, fd = open_socket(AF_INET6, type);

	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		die("bind");
	return fd;
}

/* True when the standard input has ended. */
static bool stdin_ended(void)
{
	struct pollfd p = { .fd = 0, .events = POLLIN };
	char buf[64];

	return poll(&p, 1, 0) > 0 && read(0, buf, sizeof(buf)) <= 0;
}

/* ------------------------------------------------------------------ UDP */

/* One direction as its receiver sees it. */
struct heard {
	uint32_t received, repeated, highest;
	int64_t last_us, gap_us, gap_from_us;
	uint8_t *seen; /* by sequence number */
};

struct peer {
	struct sockaddr_storage to;
	socklen_t to_len;
	uint32_t sent;
	int64_t next_us;
	bool stopped;
	uint32_t total; /* what the other end says that it sent, once it is over */
	struct heard h;
};

static void hear(struct heard *h, uint32_t seq)
{
	int64_t now = now_us();

	if (seq == 0 || seq >= UDP_SEQ_MAX)
		return;
	if (!h->seen)
		h->seen = calloc(UDP_SEQ_MAX, 1);
	if (h->seen[seq]) {
		h->repeated++;
		return;
	}
	h->seen[seq] = 1;
	h->received++;
	if (seq > h->highest)
		h->highest = seq;
	if (h->last_us && now - h->last_us > h->gap_us) {
		h->gap_us = now - h->last_us;
		h->gap_from_us = h->last_us;
	}
	h->last_us = now;
}

static void say_heard(const char *what, const struct peer *p, uint32_t peer_sent)
{
	const struct heard *h = &p->h;
	uint32_t first = 0, last = 0;

	for (uint32_t i = 1; i <= peer_sent && h->seen; i++) {
		if (h->seen[i])
			continue;
		first = first ? first : i;
		last = i;
	}
	printf("{\"stream\":\"%s\",\"sent\":%u,\"received\":%u,\"lost\":%d,\"repeated\":%u,"
	       "\"firstLost\":%u,\"lastLost\":%u,\"gapMsec\":%.1f,\"gapFrom\":%.6f,\"ownSent\":%u}"
	       "\n",
	       what, peer_sent, h->received, (int)(peer_sent - h->received), h->repeated, first,
	       last, h->gap_us / 1000.0, h->gap_from_us / 1e6, p->sent);
	fflush(stdout);
}

/* "number of this packet, how many were sent in all (0: not over yet)" */
static void send_one(int fd, struct peer *p, uint32_t seq, uint32_t total)
{
	uint8_t buf[UDP_LEN] = { 0 };
	uint32_t words[2] = { htonl(seq), htonl(total) };

	memcpy(buf, words, sizeof(words));
	/* what cannot be sent is lost, and will be counted as that */
	if (sendto(fd, buf, sizeof(buf), 0, (struct sockaddr *)&p->to, p->to_len) < 0)
		return;
}

static void send_due(int fd, struct peer *p, int64_t period_us)
{
	int64_t now = now_us();

	if (!p->next_us)
		p->next_us = now;
	while (!p->stopped && p->next_us <= now && p->sent < UDP_SEQ_MAX - 1) {
		send_one(fd, p, ++p->sent, 0);
		p->next_us += period_us;
	}
}

static struct peer *find_peer(struct peer *peers, unsigned *n, const struct sockaddr_storage *a,
			      socklen_t len)
{
	for (unsigned i = 0; i < *n; i++)
		if (peers[i].to_len == len && !memcmp(&peers[i].to, a, len))
			return &peers[i];
	if (*n == UDP_PEERS_MAX) {
		errno = ENOBUFS;
		die("more streams than this server has room for");
	}
	peers[*n].to = *a;
	peers[*n].to_len = len;
	return &peers[(*n)++];
}

/* Reads all that waits; STRANGERS makes new peers. */
static void read_all(int fd, struct peer *peers, unsigned *n, bool strangers)
{
	struct sockaddr_storage from;
	uint32_t words[2];
	uint8_t buf[UDP_LEN];

	for (;;) {
		socklen_t len = sizeof(from);
		ssize_t got;
		struct peer *p;

		memset(&from, 0, sizeof(from));
		got = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);
		if (got < 0 && errno != EAGAIN)
			continue; /* an ICMP error of an earlier packet */
		if (got < 0)
			return;
		if (got != UDP_LEN)
			continue;
		p = strangers ? find_peer(peers, n, &from, len) : &peers[0];
		memcpy(words, buf, sizeof(words));
		hear(&p->h, ntohl(words[0]));
		if (!words[1] || p->stopped)
			continue;
		p->stopped = true;
		p->total = ntohl(words[1]);
		if (!strangers)
			continue;
		/* the client's end: tell ours, three times, for this must arrive */
		for (int i = 0; i < 3; i++)
			send_one(fd, p, 0, p->sent);
		say_heard("up", p, p->total);
	}
}

static void udp_server(uint16_t port, unsigned rate)
{
	struct peer *peers = calloc(UDP_PEERS_MAX, sizeof(*peers));
	int fd = open_any(SOCK_DGRAM, port), size = 4 << 20;
	unsigned n = 0;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	while (!stdin_ended()) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		poll(&p, 1, 1);
		read_all(fd, peers, &n, true);
		for (unsigned i = 0; i < n; i++)
			send_due(fd, &peers[i], 1000000 / rate);
	}
	free(peers);
}

/* What is on its way may still arrive. */
static void hear_out(int fd, struct peer *p)
{
	unsigned one = 1;

	for (int i = 0; i < HEAR_OUT_MS / 5; i++) {
		usleep(1000);
		read_all(fd, p, &one, false);
	}
}

static void udp_client(const char *source, const char *destination, uint16_t port, unsigned rate)
{
	struct peer *p = calloc(1, sizeof(*p));
	struct sockaddr_storage from;
	socklen_t len = address(source, 0, &from);
	int fd = open_socket(from.ss_family, SOCK_DGRAM), size = 4 << 20;
	int64_t end = 0;
	unsigned one = 1;
	bool told = false;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	p->to_len = address(destination, port, &p->to);
	if (bind(fd, (struct sockaddr *)&from, len) < 0)
		die(source);
	while (!end || now_us() < end) {
		struct pollfd w = { .fd = fd, .events = POLLIN };

		poll(&w, 1, 1);
		read_all(fd, p, &one, false);
		if (!told && p->h.received) {
			told = true;
			printf("hears\n");
			fflush(stdout);
		}
		if (p->stopped)
			break;
		if (end)
			continue;
		send_due(fd, p, 1000000 / rate);
		if (!stdin_ended())
			continue;
		/* what is on its way may still arrive at the server before it counts */
		hear_out(fd, p);
		end = now_us() + HEAR_OUT_MS * 1000;
		for (int i = 0; i < 3; i++)
			send_one(fd, p, 0, p->sent);
	}
	hear_out(fd, p);
	say_heard(p->stopped ? "down" : "down-unconfirmed", p,
		  p->stopped ? p->total : p->h.highest);
}

/* ------------------------------------------------------------------ TCP */

struct connection {
	int fd;
	bool open, waiting, dead;
	int64_t asked_us, next_us, worst_us;
};

static struct connection *connections;
static unsigned reset, failed, opened, opening, created;

static void raise_limits(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		die("getrlimit");
	r.rlim_cur = r.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &r) < 0)
		die("setrlimit");
}

static void watch(int ep, int fd, uint32_t events, uint64_t id)
{
	struct epoll_event e = { .events = events, .data.u64 = id };

	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) < 0)
		die("epoll_ctl");
}

static void serve_one(int fd)
{
	uint8_t buf[4096];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n > 0 && write(fd, buf, (size_t)n) == n)
		return;
	if (n < 0 && errno == EAGAIN)
		return;
	close(fd);
}

static void tcp_server(uint16_t port)
{
	int ep = epoll_create1(EPOLL_CLOEXEC), fd = open_any(SOCK_STREAM, port), one = 1;
	struct epoll_event e[EVENTS];

	if (listen(fd, 4096) < 0)
		die("listen");
	watch(ep, fd, EPOLLIN, (uint64_t)fd);
	watch(ep, 0, EPOLLIN, 0);
	for (;;) {
		int n = epoll_wait(ep, e, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			int at = (int)e[i].data.u64;

			if (at == 0 && stdin_ended())
				return;
			if (at != fd) {
				serve_one(at);
				continue;
			}
			for (int c; (c = accept4(fd, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
				setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
				watch(ep, c, EPOLLIN, (uint64_t)c);
			}
		}
	}
}

static void lose(struct connection *c, int error)
{
	if (error == ECONNRESET)
		reset++;
	else
		failed++;
	if (!c->open)
		opening--;
	c->dead = true;
	close(c->fd);
}

/* The longest silence counts, also of what is not answered yet. */
static void note_wait(struct connection *c)
{
	int64_t waited = now_us() - c->asked_us;

	if (c->waiting && waited > c->worst_us)
		c->worst_us = waited;
}

static void ask(struct connection *c, int64_t period_us)
{
	uint8_t buf[TCP_LEN] = { 0 };

	c->asked_us = now_us();
	c->next_us += period_us;
	if (write(c->fd, buf, sizeof(buf)) != sizeof(buf)) {
		lose(c, errno);
		return;
	}
	c->waiting = true;
}

static void take_event(struct connection *c)
{
	uint8_t buf[TCP_LEN];
	int error = 0;
	socklen_t len = sizeof(error);
	ssize_t n;

	if (c->dead)
		return;
	if (!c->open) {
		getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		if (error) {
			lose(c, error);
			return;
		}
		c->open = true;
		opened++;
		opening--;
	}
	n = read(c->fd, buf, sizeof(buf));
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		lose(c, n ? errno : ECONNRESET);
		return;
	}
	note_wait(c);
	c->waiting = false;
}

static void create(int ep, unsigned i, const char *source, const char *destination, uint16_t port)
{
	struct sockaddr_storage from, to;
	socklen_t from_len = address(source, 0, &from), to_len = address(destination, port, &to);
	struct connection *c = &connections[i];
	int one = 1;

	c->fd = open_socket(to.ss_family, SOCK_STREAM);
	setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (bind(c->fd, (struct sockaddr *)&from, from_len) < 0)
		die(source);
	opening++;
	if (connect(c->fd, (struct sockaddr *)&to, to_len) < 0 && errno != EINPROGRESS)
		lose(c, errno);
	else
		watch(ep, c->fd, EPOLLIN | EPOLLOUT | EPOLLET, i);
}

static void say_connections(unsigned n)
{
	unsigned stalled = 0;
	int64_t worst = 0;

	for (unsigned i = 0; i < n; i++) {
		struct connection *c = &connections[i];

		if (c->dead)
			continue;
		note_wait(c);
		stalled += c->worst_us > STALL_US;
		if (c->worst_us > worst)
			worst = c->worst_us;
	}
	printf("{\"connections\":%u,\"opened\":%u,\"reset\":%u,\"failed\":%u,\"stalled\":%u,"
	       "\"worstMsec\":%.1f}\n",
	       n, opened, reset, failed, stalled, worst / 1000.0);
	fflush(stdout);
}

static void tcp_client(char **argv, int argc)
{
	const char *destination = argv[0];
	uint16_t port = (uint16_t)atoi(argv[1]);
	int64_t period_us = atoi(argv[2]) * INT64_C(1000);
	unsigned n = (unsigned)atoi(argv[3]);
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event e[EVENTS];
	bool told = false;

	if (n > CONNECTIONS_MAX)
		n = CONNECTIONS_MAX;
	connections = calloc(n, sizeof(*connections));
	while (!stdin_ended()) {
		int got = epoll_wait(ep, e, EVENTS, 2);
		int64_t now = now_us();

		for (int i = 0; i < got; i++)
			take_event(&connections[e[i].data.u64]);
		for (; created < n && opening < OPENING_MAX; created++)
			create(ep, created, argv[4 + created % (unsigned)(argc - 4)], destination,
			       port);
		if (opened + reset + failed < n)
			continue;
		for (unsigned i = 0; i < n; i++) {
			struct connection *c = &connections[i];

			if (!told) /* spread over the period */
				c->next_us = now + period_us * i / n;
			if (!c->dead && !c->waiting && c->next_us <= now)
				ask(c, period_us);
		}
		if (!told) {
			told = true;
			printf("open\n");
			fflush(stdout);
		}
	}
	say_connections(n);
}

/* ------------------------------------------------------------------ watching */

/* The time of one packet that leaves to PORT, 0 for any other. */
static double leaving_at(int fd, uint16_t port)
{
	struct sockaddr_ll from;
	union {
		struct cmsghdr header;
		uint8_t bytes[CMSG_SPACE(sizeof(struct timespec))];
	} control;
	uint8_t buf[128] = { 0 };
	struct iovec iov = { .iov_base = buf, .iov_len = sizeof(buf) };
	struct msghdr m = { .msg_name = &from,
			    .msg_namelen = sizeof(from),
			    .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &m, 0);
	struct timespec t;
	size_t ip;

	if (n < 28)
		return 0;
	ip = (size_t)(buf[0] & 0x0f) * 4;
	if (from.sll_pkttype != PACKET_OUTGOING || buf[9] != IPPROTO_UDP || (size_t)n < ip + 4 ||
	    (buf[ip + 2] << 8 | buf[ip + 3]) != port)
		return 0;
	if (control.header.cmsg_type != SO_TIMESTAMPNS)
		return 0;
	memcpy(&t, CMSG_DATA(&control.header), sizeof(t));
	return (double)t.tv_sec + t.tv_nsec / 1e9;
}

static void leaving(const char *ifname, uint16_t port)
{
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ALL)), one = 1;
	struct sockaddr_ll a = { .sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_ALL),
				 .sll_ifindex = (int)if_nametoindex(ifname) };

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)) < 0)
		die(ifname);
	while (!stdin_ended()) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		double at = poll(&p, 1, 50) > 0 ? leaving_at(fd, port) : 0;

		if (at > 0)
			printf("%.6f\n", at);
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	raise_limits();
	if (!strcmp(what, "udp-server") && argc == 4)
		udp_server((uint16_t)atoi(argv[2]), (unsigned)atoi(argv[3]));
	else if (!strcmp(what, "udp-client") && argc == 6)
		udp_client(argv[2], argv[3], (uint16_t)atoi(argv[4]), (unsigned)atoi(argv[5]));
	else if (!strcmp(what, "tcp-server") && argc == 3)
		tcp_server((uint16_t)atoi(argv[2]));
	else if (!strcmp(what, "tcp-client") && argc > 6)
		tcp_client(argv + 2, argc - 2);
	else if (!strcmp(what, "leaving") && argc == 4)
		leaving(argv[2], (uint16_t)atoi(argv[3]));
	else
		return 2;
	return 0;
}
