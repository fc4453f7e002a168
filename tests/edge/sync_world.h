/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the transport's tests need: a network namespace of their own, sites
 * with a real transport on its loopback, a loop that drives them, and raw
 * sockets for those who do not play by the rules.
 *
 * Site N has 127.0.1.N and fd00:785::N. Time is the real clock plus
 * world_skew_ms, so that timeouts need no waiting.
 */
#ifndef DSAA_SYNC_WORLD_H
#define DSAA_SYNC_WORLD_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "sync/dsaa_transport.h"
#include "tests/unit/test.h"

enum { PORT = 3785, NODES_MAX = 4 };

static int64_t world_skew_ms;

static inline struct dsaa_mono world_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (struct dsaa_mono){ (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000 +
				   world_skew_ms * 1000 };
}

static inline struct dsaa_addr world_addr(uint8_t family, unsigned n)
{
	struct dsaa_addr a = { .family = family };

	if (family == 4)
		memcpy(a.bytes, (uint8_t[]){ 127, 0, 1, (uint8_t)n }, 4);
	else
		memcpy(a.bytes, (uint8_t[]){ 0xfd, 0, 0x07, 0x85, [15] = (uint8_t)n }, 16);
	return a;
}

/* ------------------------------------------------------------------ a site */

struct node {
	struct dsaa_transport *t;
	dsaa_site_id site;
	/* what the callbacks told, by peer */
	bool up[DSAA_SITES_MAX + 1];
	bool secure[DSAA_SITES_MAX + 1];
	unsigned ups, downs, refusals, writables, listens;
	unsigned down_reason, refused_reason;
	dsaa_site_id refused_site;
	struct dsaa_addr refused_address;
	int listen_error;
	char detail[DSAA_TRANSPORT_DETAIL_MAX];
	unsigned readies;
	/* checking what comes: a counter-based stream, see world_byte() */
	bool verify;
	bool lazy;	    /* consume nothing */
	size_t consume_max; /* per callback, 0: all */
	uint64_t received, sent;
	uint64_t wrong;
	uint8_t last[64]; /* without verify: the newest bytes */
	size_t last_len;
};

static struct node *world_nodes[NODES_MAX];

/* Byte number N of the stream that site FROM sends. */
static inline uint8_t world_byte(dsaa_site_id from, uint64_t n)
{
	return (uint8_t)((n * UINT64_C(2654435761) >> 16) ^ (n >> 3) ^ from);
}

static void node_connected(void *arg, dsaa_site_id site, bool secure)
{
	struct node *n = arg;

	CHECK(!n->up[site]);
	n->up[site] = true;
	n->secure[site] = secure;
	n->ups++;
	CHECK(dsaa_transport_room(n->t, site) == DSAA_TRANSPORT_SEND_BUFFER);
}

static void node_disconnected(void *arg, dsaa_site_id site, unsigned reason, const char *detail)
{
	struct node *n = arg;

	n->up[site] = false;
	n->downs++;
	n->down_reason = reason;
	snprintf(n->detail, sizeof(n->detail), "%s", detail);
	CHECK(dsaa_transport_room(n->t, site) == 0);
}

/* Takes up to MAX (0: all) of what waits from SITE. */
static void node_take(struct node *n, dsaa_site_id site, size_t max)
{
	const uint8_t *buf;
	size_t len, total = 0;

	while ((!max || total < max) && dsaa_transport_peek(n->t, site, &buf, &len)) {
		if (max && len > max - total)
			len = max - total;
		for (size_t i = 0; n->verify && i < len; i++)
			n->wrong += buf[i] != world_byte(site, n->received + i);
		n->last_len = len < sizeof(n->last) ? len : sizeof(n->last);
		memcpy(n->last, buf + len - n->last_len, n->last_len);
		n->received += len;
		total += len;
		dsaa_transport_consume(n->t, site, len);
	}
}

static void node_received(void *arg, dsaa_site_id site)
{
	struct node *n = arg;

	if (!n->lazy)
		node_take(n, site, n->consume_max);
}

static void node_writable(void *arg, dsaa_site_id site, size_t room)
{
	struct node *n = arg;

	n->writables++;
	CHECK(room == dsaa_transport_room(n->t, site));
}

static void node_refused(void *arg, const struct dsaa_addr *address, dsaa_site_id site,
			 unsigned reason, const char *detail)
{
	struct node *n = arg;

	n->refusals++;
	n->refused_reason = reason;
	n->refused_site = site;
	n->refused_address = *address;
	snprintf(n->detail, sizeof(n->detail), "%s", detail);
}

static void node_listening(void *arg, const struct dsaa_addr *address, int error)
{
	struct node *n = arg;

	(void)address;
	n->listens++;
	n->listen_error = error;
}

/* The configuration of SITE in a cluster of three with one link. */
static inline struct dsaa_transport_config node_config(dsaa_site_id site, uint8_t family)
{
	struct dsaa_transport_config c = {
		.local = site,
		.cluster_id = 7,
		.port = PORT,
		.secure = true,
		.multipath = true,
		.key = (const uint8_t *)"sixteen bytes ok",
		.key_len = 16,
		.user_timeout_ms = 2000,
		.local_addresses = 1,
		.local_address = { world_addr(family, site) },
	};

	for (dsaa_site_id s = 1; s <= 3; s++)
		if (s != site)
			c.peer[c.peers++] = (struct dsaa_transport_peer){
				.site = s, .addresses = 1, .address = { world_addr(family, s) }
			};
	return c;
}

static inline void node_open(struct node *n, const struct dsaa_transport_config *config)
{
	static const struct dsaa_transport_callbacks callbacks = {
		.connected = node_connected,
		.disconnected = node_disconnected,
		.received = node_received,
		.writable = node_writable,
		.refused = node_refused,
		.listening = node_listening,
	};
	char err[160] = "";

	memset(n, 0, sizeof(*n));
	n->site = config->local;
	n->t = dsaa_transport_open(config, world_now(), &callbacks, n, err, sizeof(err));
	CHECK(n->t != NULL);
	if (!n->t) {
		printf("dsaa_transport_open: %s\n", err);
		exit(1);
	}
	for (unsigned i = 0; i < NODES_MAX; i++)
		if (!world_nodes[i]) {
			world_nodes[i] = n;
			return;
		}
	abort();
}

static inline void node_close(struct node *n)
{
	for (unsigned i = 0; i < NODES_MAX; i++)
		if (world_nodes[i] == n)
			world_nodes[i] = NULL;
	dsaa_transport_close(n->t);
	n->t = NULL;
}

/* Ends the stream to SITE; the transport does not call back for that. */
static inline void node_drop(struct node *n, dsaa_site_id site)
{
	n->up[site] = false;
	dsaa_transport_drop(n->t, site);
	CHECK(dsaa_transport_room(n->t, site) == 0);
}

/* ------------------------------------------------------------------ the loop */

/* One turn: waits up to MS for any node, then lets those that are ready work. */
static inline void world_turn(int ms)
{
	static int64_t ticked;
	struct pollfd fds[NODES_MAX];
	struct node *nodes[NODES_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < NODES_MAX; i++)
		if (world_nodes[i]) {
			nodes[n] = world_nodes[i];
			fds[n++] = (struct pollfd){ .fd = dsaa_transport_fd(world_nodes[i]->t),
						    .events = POLLIN };
		}
	poll(fds, n, ms);
	for (unsigned i = 0; i < n; i++)
		if (fds[i].revents) {
			nodes[i]->readies++;
			dsaa_transport_ready(nodes[i]->t, world_now());
		}
	if (world_now().us - ticked < 20000)
		return;
	ticked = world_now().us;
	for (unsigned i = 0; i < n; i++)
		dsaa_transport_tick(nodes[i]->t, world_now());
}

/* Turns until CONDITION holds, at most MS of real time; counts it as a check. */
#define WORLD_UNTIL(condition, ms)                                                     \
	do {                                                                           \
		int64_t until_ = world_now().us - world_skew_ms * 1000 + (ms)*1000;    \
		while (!(condition) && world_now().us - world_skew_ms * 1000 < until_) \
			world_turn(5);                                                 \
		CHECK(condition);                                                      \
	} while (0)

static inline void world_for(int ms)
{
	int64_t until = world_now().us + ms * 1000;

	while (world_now().us < until)
		world_turn(5);
}

/* Lets MS of the transports' time pass in one jump. */
static inline void world_skip(int ms)
{
	world_skew_ms += ms;
	for (unsigned i = 0; i < NODES_MAX; i++)
		if (world_nodes[i])
			dsaa_transport_tick(world_nodes[i]->t, world_now());
}

/* ------------------------------------------------------------------ raw sockets */

static inline struct sockaddr_in raw_name(const char *address, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };

	inet_pton(AF_INET, address, &in.sin_addr);
	return in;
}

/* A blocking TCP connection from FROM to TO at the sync port; -1 with errno. */
static inline int raw_connect(const char *from, const char *to)
{
	struct sockaddr_in a = raw_name(from, 0), b = raw_name(to, PORT);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    connect(fd, (struct sockaddr *)&b, sizeof(b)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static inline int raw_listen(const char *address)
{
	struct sockaddr_in a = raw_name(address, PORT);
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	CHECK(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 8) == 0);
	return fd;
}

/* True when the other end of FD closed or reset; throws away what came before. */
static inline bool raw_is_closed(int fd)
{
	char waste[4096];
	ssize_t n;

	do {
		n = recv(fd, waste, sizeof(waste), MSG_DONTWAIT);
	} while (n > 0);
	return n == 0 || (errno != EAGAIN && errno != EINTR);
}

/* ------------------------------------------------------------------ the namespace */

static inline bool world_link(bool up)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok = ioctl(fd, SIOCGIFFLAGS, &ifr) == 0;

	ifr.ifr_flags = (short)(up ? ifr.ifr_flags | IFF_UP : ifr.ifr_flags & ~IFF_UP);
	ok = ok && ioctl(fd, SIOCSIFFLAGS, &ifr) == 0;
	close(fd);
	return ok;
}

/* As linux/ipv6.h has it, which does not go together with netinet/in.h. */
struct world_in6_ifreq {
	struct in6_addr addr;
	uint32_t prefix_len;
	int index;
};

static inline bool world_add_ipv6(unsigned n)
{
	struct dsaa_addr a = world_addr(6, n);
	union {
		struct world_in6_ifreq in6;
		struct ifreq whole; /* a memory checker takes it to be this long */
	} req;
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok;

	memset(&req, 0, sizeof(req));
	req.in6.prefix_len = 128;
	req.in6.index = (int)if_nametoindex("lo");
	memcpy(&req.in6.addr, a.bytes, 16);
	ok = ioctl(fd, SIOCSIFADDR, &req) == 0;
	close(fd);
	return ok;
}

/* Writes TEXT to a file of /proc/sys/net, which is that of our namespace. */
static inline bool world_sysctl(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) > 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

/* False (with the reason printed) when no namespace can be made. */
static inline bool world_enter(void)
{
	if (unshare(CLONE_NEWNET) < 0) {
		printf("skipped: no network namespace can be made: %s\n", strerror(errno));
		return false;
	}
	if (!world_link(true)) {
		printf("skipped: the loopback interface cannot be set up\n");
		return false;
	}
	return true;
}

#endif
