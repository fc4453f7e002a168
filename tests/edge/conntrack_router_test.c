/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The conntrack edge on routers that forward real connections:
 *
 *	              +-- router 1 --+
 *	    client ---+              +--- server
 *	              +-- router 2 --+
 *
 * Both routers SNAT to one pool address. What the events of router 1 tell is
 * put into router 2's table; then both ends are routed through router 2, and
 * the connections go on. Four network namespaces without a name, which vanish
 * with the process.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conntrack/dsaa_conntrack.h"
#include "tests/unit/test.h"

#define MASK DSAA_MARK_MASK_DEFAULT
/* CONNMARK of the routers' rule: set by a long packet, not by a change of state */
#define MARKED 0x77u

enum { CLIENT, SERVER, ROUTER1, ROUTER2, NODES };

enum {
	TCP_PORT = 5001,
	UDP_PORT = 5002,
	LONG_PACKET = 900,
	WAIT_MS = 2000,
	EVENTS_KEPT = 256,
};

static int ns[NODES];

struct told {
	enum dsaa_ct_event kind;
	struct dsaa_flow flow;
};
static struct told told[EVENTS_KEPT];
static unsigned tolds;

/* ------------------------------------------------------------------ namespaces */

static void enter(int node)
{
	if (setns(ns[node], CLONE_NEWNET)) {
		perror("setns");
		exit(1);
	}
}

/* Runs a shell command in NODE; false when it failed. */
__attribute__((format(printf, 2, 3))) static bool in(int node, const char *format, ...)
{
	char command[512];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	enter(node);
	if (!system(command))
		return true;
	printf("failed: %s\n", command);
	return false;
}

/* The namespace this thread is in now, as a descriptor that ip(8) can name, too. */
static int this_ns(void)
{
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

/* veth A in node X, B in node Y. */
static bool join(int x, const char *a, int y, const char *b)
{
	return in(x, "ip link add %s type veth peer name %s netns /proc/%d/fd/%d", a, b,
		  (int)getpid(), ns[y]) &&
	       in(x, "ip link set %s up", a) && in(y, "ip link set %s up", b);
}

static bool make_router(int r, int n)
{
	return join(CLIENT, n == 1 ? "r1" : "r2", r, "in") &&
	       join(SERVER, n == 1 ? "r1" : "r2", r, "out") &&
	       in(CLIENT,
		  "ip addr add 10.%d.0.1/24 dev r%d && "
		  "ip addr add 2001:db8:%d::1/64 dev r%d nodad",
		  n, n, n, n) &&
	       in(SERVER,
		  "ip addr add 10.%d.1.1/24 dev r%d && "
		  "ip addr add 2001:db8:%d:1::1/64 dev r%d nodad",
		  n, n, n, n) &&
	       in(r,
		  "ip addr add 10.%d.0.254/24 dev in && ip addr add 10.%d.1.254/24 dev out && "
		  "ip addr add 2001:db8:%d::fe/64 dev in nodad && "
		  "ip addr add 2001:db8:%d:1::fe/64 dev out nodad && "
		  "echo 1 >/proc/sys/net/ipv4/ip_forward && "
		  "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding && "
		  "echo 0 >/proc/sys/net/netfilter/nf_conntrack_tcp_loose && "
		  "ip route add 192.0.2.1 via 10.%d.0.1 && "
		  "ip route add 198.51.100.1 via 10.%d.1.1 && "
		  "ip route add 2001:db8:a::1 via 2001:db8:%d::1 && "
		  "ip route add 2001:db8:b::1 via 2001:db8:%d:1::1",
		  n, n, n, n, n, n, n, n) &&
	       in(r,
		  "nft -f - <<E\n"
		  "table inet t {\n"
		  " chain nat { type nat hook postrouting priority 100;\n"
		  "  oifname out snat ip to 203.0.113.1\n"
		  "  oifname out snat ip6 to 2001:db8:c::1\n }\n"
		  " chain marker { type filter hook forward priority 0;\n"
		  "  meta length > %d ct mark set 0x%x\n }\n"
		  " chain strict { type filter hook forward priority 1;\n"
		  "  ct state { new, established, related } accept\n  drop\n }\n}\nE",
		  LONG_PACKET, MARKED);
}

/* Both ends reach each other, and the server the pool, through router N. */
static bool route_through(int n)
{
	return in(CLIENT,
		  "ip route replace 198.51.100.1 via 10.%d.0.254 src 192.0.2.1 && "
		  "ip route replace 2001:db8:b::1 via 2001:db8:%d::fe src 2001:db8:a::1",
		  n, n) &&
	       in(SERVER,
		  "ip route replace 203.0.113.1 via 10.%d.1.254 src 198.51.100.1 && "
		  "ip route replace 2001:db8:c::1 via 2001:db8:%d:1::fe src 2001:db8:b::1",
		  n, n);
}

/* Until duplicate address detection is done, IPv6 neighbours may not answer. */
static bool settle(void)
{
	bool ok = true;

	for (int i = 0; i < NODES; i++)
		ok = ok && in(i, "for i in $(seq 100); do "
				 "[ -z \"$(ip -6 addr show tentative)\" ] && exit 0; sleep 0.05; "
				 "done; exit 1");
	return ok;
}

static bool make_nodes(void)
{
	for (int i = 0; i < NODES; i++) {
		if (unshare(CLONE_NEWNET))
			return false;
		ns[i] = this_ns();
		if (ns[i] < 0 || !in(i, "ip link set lo up && cd /proc/sys/net/ipv4/conf && "
					"echo 0 >all/rp_filter && echo 0 >default/rp_filter"))
			return false;
	}
	return in(CLIENT, "ip addr add 192.0.2.1/32 dev lo && "
			  "ip addr add 2001:db8:a::1/128 dev lo nodad") &&
	       in(SERVER, "ip addr add 198.51.100.1/32 dev lo && "
			  "ip addr add 2001:db8:b::1/128 dev lo nodad") &&
	       make_router(ROUTER1, 1) && make_router(ROUTER2, 2) && route_through(1) && settle();
}

/* ------------------------------------------------------------------ connections */

struct connection {
	int family, type;
	uint16_t port; /* the client's */
	int client, server;
};

static socklen_t address(struct sockaddr_storage *ss, int family, const char *text4,
			 const char *text6, uint16_t port)
{
	struct sockaddr_in *a4 = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *a6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	ss->ss_family = (sa_family_t)family;
	if (family == AF_INET) {
		inet_pton(AF_INET, text4, &a4->sin_addr);
		a4->sin_port = htons(port);
		return sizeof(*a4);
	}
	inet_pton(AF_INET6, text6, &a6->sin6_addr);
	a6->sin6_port = htons(port);
	return sizeof(*a6);
}

static int bound(int node, int family, int type, uint16_t port)
{
	struct sockaddr_storage ss;
	struct timeval wait = { .tv_sec = WAIT_MS / 1000 };
	int one = 1, s;

	enter(node);
	s = socket(family, type | SOCK_CLOEXEC, 0);
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	if (bind(s, (struct sockaddr *)&ss,
		 address(&ss, family, node == CLIENT ? "192.0.2.1" : "198.51.100.1",
			 node == CLIENT ? "2001:db8:a::1" : "2001:db8:b::1", port)))
		perror("bind");
	return s;
}

/* The server hears the client's datagram and answers to where it came from: to the pool. */
static bool udp_handshake(struct connection *c)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	char byte;

	return send(c->client, "?", 1, 0) == 1 &&
	       recvfrom(c->server, &byte, 1, 0, (struct sockaddr *)&from, &len) == 1 &&
	       !connect(c->server, (struct sockaddr *)&from, len);
}

static bool open_connection(struct connection *c, int family, int type)
{
	uint16_t port = type == SOCK_STREAM ? TCP_PORT : UDP_PORT;
	struct sockaddr_storage ss;
	socklen_t len = address(&ss, family, "198.51.100.1", "2001:db8:b::1", port);
	static uint16_t opened;
	int listener = bound(SERVER, family, type, port);

	c->family = family;
	c->type = type;
	c->port = (uint16_t)(port + 1000 + 10 * opened++);
	if (type == SOCK_STREAM && listen(listener, 1))
		return false;
	c->client = bound(CLIENT, family, type, c->port);
	if (connect(c->client, (struct sockaddr *)&ss, len))
		return false;
	if (type == SOCK_DGRAM) {
		c->server = listener;
		return udp_handshake(c);
	}
	c->server = accept(listener, NULL, NULL);
	close(listener);
	return c->server >= 0;
}

/* TCP and UDP over IPv4 and IPv6, from fresh ports. */
static void open_connections(struct connection c[4])
{
	for (int i = 0; i < 4; i++)
		CHECK(open_connection(&c[i], i % 2 ? AF_INET6 : AF_INET,
				      i / 2 ? SOCK_DGRAM : SOCK_STREAM));
}

static bool pass_one(int from, int to, size_t len)
{
	static char out[2 * LONG_PACKET], in_[2 * LONG_PACKET];
	size_t got = 0;

	memset(out, 'x', len);
	if (send(from, out, len, MSG_NOSIGNAL) != (ssize_t)len)
		return false;
	while (got < len) {
		ssize_t n = recv(to, in_ + got, len - got, 0);

		if (n <= 0)
			return false;
		got += (size_t)n;
	}
	return true;
}

/* LEN bytes there and back again. */
static bool pass(const struct connection *c, size_t len)
{
	return pass_one(c->client, c->server, len) && pass_one(c->server, c->client, len);
}

/* ------------------------------------------------------------------ what was told */

static void tell(void *arg, enum dsaa_ct_event kind, const struct dsaa_flow *f)
{
	(void)arg;
	if (tolds < EVENTS_KEPT)
		told[tolds++] = (struct told){ .kind = kind, .flow = *f };
}

static bool always(void *arg, const struct dsaa_flow *f)
{
	(void)arg;
	(void)f;
	return true;
}

/* WITH_START: events shall say when their connections began, which the kernel's do not. */
static void read_events(struct dsaa_ct *ct, bool with_start)
{
	struct dsaa_ct_reader reader = { .event = tell,
					 .needs_lookup = with_start ? always : NULL };

	tolds = 0;
	CHECK(dsaa_ct_read_events(ct, 10000, &reader) >= 0);
}

static bool is_of(const struct dsaa_flow *f, const struct connection *c)
{
	return f->family == (c->family == AF_INET ? 4 : 6) &&
	       f->proto == (c->type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP) &&
	       f->orig.sport == c->port;
}

/* The last thing of KIND that was told of C, or NULL. */
static const struct dsaa_flow *last_told(const struct connection *c, enum dsaa_ct_event kind)
{
	for (unsigned i = tolds; i; i--)
		if (told[i - 1].kind == kind && is_of(&told[i - 1].flow, c))
			return &told[i - 1].flow;
	return NULL;
}

/* The last thing that was told of C while it lived, or NULL. */
static const struct dsaa_flow *last_change(const struct connection *c)
{
	for (unsigned i = tolds; i; i--)
		if (told[i - 1].kind != DSAA_CT_EVENT_DESTROY && is_of(&told[i - 1].flow, c))
			return &told[i - 1].flow;
	return NULL;
}

static bool is_pool(const struct dsaa_flow *f)
{
	uint8_t pool[16] = { 0 };

	inet_pton(f->family == 4 ? AF_INET : AF_INET6,
		  f->family == 4 ? "203.0.113.1" : "2001:db8:c::1", pool);
	return !memcmp(f->reply.dst, pool, sizeof(pool));
}

/* Whatever event it was: what peers need is in it. */
static void check_whole(const struct dsaa_flow *f)
{
	CHECK(is_pool(f));
	CHECK((f->status & (DSAA_FLOW_SNAT | DSAA_FLOW_DNAT)) == DSAA_FLOW_SNAT);
	CHECK(f->timeout_s > 0 && f->id);
	if (f->proto != IPPROTO_TCP)
		return;
	CHECK(f->tcp_state == 3);
	CHECK(f->tcp_wscale[0] && f->tcp_wscale[1]);
	CHECK((f->tcp_flags[0] & 0x01) && (f->tcp_flags[1] & 0x01));
	CHECK(!((f->tcp_flags[0] | f->tcp_flags[1]) & 0xf0));
}

/* ------------------------------------------------------------------ tests */

static void test_events_tell_whole_flows(struct dsaa_ct *ct1, struct connection c[4])
{
	read_events(ct1, true);
	for (int i = 0; i < 4; i++) {
		const struct dsaa_flow *f = last_change(&c[i]);

		CHECK(f != NULL);
		if (!f)
			continue;
		check_whole(f);
		CHECK(f->start_ns > UINT64_C(1000000000) * 1600000000);
		if (f->proto == IPPROTO_TCP)
			CHECK(f->status & DSAA_FLOW_ASSURED);
	}
	CHECK(dsaa_ct_counters(ct1)->completed >= 4);
}

/*
 * A rule that marks a connection makes an event that says nothing of TCP's state, so the table is
 * asked; of UDP it says all, and nobody wants to know when that began.
 */
static void test_mark_change_tells_state(struct dsaa_ct *ct1, struct connection c[4])
{
	read_events(ct1, false);
	for (int i = 0; i < 4; i++) {
		const struct dsaa_flow *f;

		CHECK(pass_one(c[i].client, c[i].server, LONG_PACKET + 100));
		read_events(ct1, false);
		f = last_told(&c[i], DSAA_CT_EVENT_UPDATE);
		CHECK(f && f->mark == MARKED);
		if (!f)
			continue;
		check_whole(f);
		CHECK(!f->start_ns == (f->proto == IPPROTO_UDP));
	}
}

/* Copies C's entry into the other router as a replica of site 1. */
static void replicate(struct dsaa_ct *ct2, const struct connection *c)
{
	struct dsaa_apply op = { .kind = DSAA_APPLY_CREATE };
	const struct dsaa_flow *f = last_change(c);

	CHECK(f != NULL);
	if (!f)
		return;
	op.flow = *f;
	op.flow.mark = dsaa_mark_set_owner(f->mark, MASK, 1);
	op.flow.timeout_s = DSAA_REPLICA_TIMEOUT_S;
	if (c->type == SOCK_STREAM) {
		/* IP_CT_TCP_FLAG_BE_LIBERAL */
		op.flow.tcp_flags[0] |= 0x08;
		op.flow.tcp_flags[1] |= 0x08;
	}
	dsaa_ct_apply(ct2, &op, 1);
	CHECK(op.result == DSAA_APPLIED_OK);
	op.kind = DSAA_APPLY_LOOKUP;
	dsaa_ct_apply(ct2, &op, 1);
	CHECK(op.result == DSAA_APPLIED_EXISTS);
	CHECK(!memcmp(&op.existing.orig, &op.flow.orig, sizeof(op.flow.orig)));
	CHECK(!memcmp(&op.existing.reply, &op.flow.reply, sizeof(op.flow.reply)));
	CHECK(op.existing.status == op.flow.status);
	CHECK(op.existing.mark == op.flow.mark);
	CHECK(op.existing.tcp_state == op.flow.tcp_state);
	CHECK(!memcmp(op.existing.tcp_wscale, op.flow.tcp_wscale, 2));
	CHECK(!memcmp(op.existing.tcp_flags, op.flow.tcp_flags, 2));
}

/*
 * Adoption of a replica that packets use already: it becomes ours with no
 * packet lost, and what the packets have changed meanwhile stays.
 */
static void adopt(struct dsaa_ct *ct2, const struct connection *c)
{
	struct dsaa_apply op = { .kind = DSAA_APPLY_LOOKUP };
	const struct dsaa_flow *f = last_change(c);

	if (!f)
		return;
	op.flow = *f;
	dsaa_ct_apply(ct2, &op, 1);
	CHECK(op.result == DSAA_APPLIED_EXISTS && dsaa_mark_owner(op.existing.mark, MASK) == 1);
	op.kind = DSAA_APPLY_UPDATE;
	op.flow = op.existing;
	op.flow.mark = dsaa_mark_set_owner(op.existing.mark, MASK, 0);
	op.flow.timeout_s = dsaa_flow_adopted_timeout_s(&op.flow, &(struct dsaa_timeouts){ 0 });
	dsaa_ct_apply(ct2, &op, 1);
	CHECK(op.result == DSAA_APPLIED_OK);
}

static void test_takeover(struct dsaa_ct *ct2, struct connection c[4])
{
	uint64_t echoes = dsaa_ct_counters(ct2)->echoes;

	for (int i = 0; i < 4; i++)
		replicate(ct2, &c[i]);
	CHECK(route_through(2));
	for (int i = 0; i < 4; i++) {
		CHECK(pass(&c[i], 100));
		adopt(ct2, &c[i]);
		CHECK(pass(&c[i], LONG_PACKET + 100));
	}
	read_events(ct2, true);
	CHECK(dsaa_ct_counters(ct2)->echoes > echoes);
	/* the connections were not opened anew: nothing but our own creations was NEW */
	for (int i = 0; i < 4; i++)
		CHECK(!last_told(&c[i], DSAA_CT_EVENT_NEW));
	/* an adopted entry's mark change tells the state, as any other's */
	for (int i = 0; i < 4; i++) {
		const struct dsaa_flow *f = last_told(&c[i], DSAA_CT_EVENT_UPDATE);

		CHECK(f && f->mark == MARKED);
		if (f)
			check_whole(f);
	}
}

/* Without a replica the same switch of routes breaks the connection: the test can fail. */
static void test_takeover_needs_replicas(struct dsaa_ct *ct2, const struct connection *c)
{
	struct dsaa_apply op = { .kind = DSAA_APPLY_LOOKUP };

	for (unsigned i = 0; i < tolds; i++)
		if (is_of(&told[i].flow, c))
			op.flow = told[i].flow;
	dsaa_ct_apply(ct2, &op, 1);
	CHECK(op.result == DSAA_APPLIED_EXISTS);
	op.kind = DSAA_APPLY_DELETE;
	dsaa_ct_apply(ct2, &op, 1);
	CHECK(op.result == DSAA_APPLIED_OK);
	CHECK(!pass_one(c->server, c->client, 100));
}

/* What somebody else deletes is told with the whole key and its mark. */
static void test_destroy(struct dsaa_ct *ct1, const struct connection *c)
{
	char err[160];
	struct dsaa_ct *other;
	struct dsaa_apply op = { .kind = DSAA_APPLY_LOOKUP };
	const struct dsaa_flow *f;

	enter(ROUTER1);
	other = dsaa_ct_open(MASK, false, err, sizeof(err));
	for (unsigned i = 0; i < tolds; i++)
		if (is_of(&told[i].flow, c))
			op.flow = told[i].flow;
	dsaa_ct_apply(other, &op, 1);
	CHECK(op.result == DSAA_APPLIED_EXISTS);
	op.kind = DSAA_APPLY_DELETE;
	dsaa_ct_apply(other, &op, 1);
	CHECK(op.result == DSAA_APPLIED_OK);
	read_events(ct1, true);
	f = last_told(c, DSAA_CT_EVENT_DESTROY);
	CHECK(f && is_pool(f) && f->mark == MARKED && f->id == op.existing.id);
	dsaa_ct_close(other);
}

static struct dsaa_ct *open_at(int node)
{
	char text[160];
	struct dsaa_ct *ct;

	enter(node);
	ct = dsaa_ct_open(MASK, true, text, sizeof(text));
	if (!ct) {
		printf("%s\n", text);
		exit(1);
	}
	dsaa_ct_sysctl_setup(ct, text, sizeof(text));
	CHECK(!text[0]);
	return ct;
}

int main(void)
{
	struct connection c[4];
	struct dsaa_ct *ct1, *ct2;

	if (geteuid() || unshare(CLONE_NEWNET)) {
		printf("skipped: needs root to make network namespaces\n");
		return 77;
	}
	if (system("command -v ip nft >/dev/null && nft list tables >/dev/null 2>&1")) {
		printf("skipped: needs ip and nft\n");
		return 77;
	}
	if (!make_nodes())
		return 1;
	ct1 = open_at(ROUTER1);
	ct2 = open_at(ROUTER2);
	open_connections(c);
	test_events_tell_whole_flows(ct1, c);
	test_takeover(ct2, c);
	test_takeover_needs_replicas(ct2, &c[0]);
	for (int i = 0; i < 4; i++) {
		close(c[i].client);
		close(c[i].server);
	}
	/* once more from the beginning, now about router 1 alone */
	CHECK(route_through(1));
	open_connections(c);
	test_mark_change_tells_state(ct1, c);
	test_destroy(ct1, &c[3]);
	dsaa_ct_close(ct1);
	dsaa_ct_close(ct2);
	return TEST_END();
}
