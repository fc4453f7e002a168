/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * FTP through the two sites of conntrack_sites_test.c, whose last part this
 * is: both translate the client to one pool address, let only connections to
 * port 21 in, and have the FTP helper. The control connection runs through
 * site 1, the data connections come in through site 2.
 */
#ifndef TESTS_EDGE_CONNTRACK_FTP_H
#define TESTS_EDGE_CONNTRACK_FTP_H

#define POOL	       "203.0.113.1"
#define CLIENT_ADDRESS "192.0.2.1"
#define SERVER_ADDRESS "198.51.100.200"

/* ------------------------------------------------------------------ namespaces */

__attribute__((format(printf, 2, 3))) static bool in(int node, const char *format, ...)
{
	char command[2048];
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
	       in(CLIENT, "ip addr add 10.%d.0.1/24 dev r%d", n, n) &&
	       in(SERVER, "ip addr add 10.%d.1.1/24 dev r%d", n, n) &&
	       in(r,
		  "ip addr add 10.%d.0.254/24 dev in && ip addr add 10.%d.1.254/24 dev out && "
		  "echo 1 >/proc/sys/net/ipv4/ip_forward && "
		  "echo 0 >/proc/sys/net/netfilter/nf_conntrack_tcp_loose && "
		  "ip route add " CLIENT_ADDRESS " via 10.%d.0.1 && "
		  "ip route add " SERVER_ADDRESS " via 10.%d.1.1",
		  n, n, n, n) &&
	       in(r, "nft -f - <<E\n"
		     "table ip t {\n"
		     " chain nat { type nat hook postrouting priority 100;\n"
		     "  oifname out snat to " POOL "\n }\n"
		     " chain strict { type filter hook forward priority 1;\n"
		     "  ct state { established, related } accept\n"
		     "  tcp dport 21 ct state new accept\n  drop\n }\n}\nE");
}

/*
 * False when this kernel, or this nft, has no FTP helper. Where its half for
 * NAT is a module, nobody else loads it.
 */
static bool add_helper(int r)
{
	if (system("modprobe -q nf_nat_ftp 2>/dev/null"))
		errno = 0; /* built in, or absent: the test tells */
	return in(r, "nft -f - <<E\n"
		     "table ip h {\n"
		     " ct helper ftp { type \"ftp\" protocol tcp\n }\n"
		     " chain pre { type filter hook prerouting priority 0;\n"
		     "  tcp dport 21 ct helper set \"ftp\"\n }\n}\nE");
}

static bool make_world(void)
{
	/* its settings are to be had only when it is there */
	if (system("modprobe -q nf_conntrack 2>/dev/null"))
		errno = 0; /* built in */
	for (int i = 0; i < NODES; i++) {
		if (unshare(CLONE_NEWNET))
			return false;
		ns[i] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
		if (ns[i] < 0 || !in(i, "ip link set lo up"))
			return false;
	}
	return in(CLIENT, "ip addr add " CLIENT_ADDRESS "/32 dev lo") &&
	       in(SERVER, "ip addr add " SERVER_ADDRESS "/32 dev lo") && make_router(SITE1, 1) &&
	       make_router(SITE2, 2);
}

/* The client's packets go through site C, the server's through site S. */
static bool route(int c, int s)
{
	return in(CLIENT, "ip route replace " SERVER_ADDRESS " via 10.%d.0.254 src " CLIENT_ADDRESS,
		  c) &&
	       in(SERVER, "ip route replace " POOL " via 10.%d.1.254 src " SERVER_ADDRESS, s);
}

/* ------------------------------------------------------------------ sockets */

static int listen_in(int node, const char *address, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int s, one = 1;

	enter(node);
	s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	inet_pton(AF_INET, address, &a.sin_addr);
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	CHECK(!bind(s, (struct sockaddr *)&a, sizeof(a)) && !listen(s, 4));
	return s;
}

/* Connects from NODE; the sites work meanwhile. -1 when nobody accepts within two seconds. */
static int connect_from(int node, const char *address, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct pollfd p = { .events = POLLOUT };
	int error = 0;
	socklen_t len = sizeof(error);

	enter(node);
	p.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	inet_pton(AF_INET, address, &a.sin_addr);
	(void)!connect(p.fd, (struct sockaddr *)&a, sizeof(a)); /* in progress, or poll() tells */
	for (unsigned i = 0; i < 200 && poll(&p, 1, 0) == 0; i++)
		until(NULL, 10);
	if (poll(&p, 1, 0) == 1 && !getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &error, &len) && !error)
		return p.fd;
	close(p.fd);
	return -1;
}

static int accept_on(int s)
{
	int fd = -1;

	for (unsigned i = 0; i < 200 && fd < 0; i++) {
		fd = accept4(s, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			until(NULL, 10);
	}
	return fd;
}

/* Sends LINE on FROM and waits until it came out of TO, as it is then in GOT. */
static bool pass(int from, const char *line, int to, char *got, size_t size)
{
	size_t have = 0;

	if (send(from, line, strlen(line), MSG_NOSIGNAL) != (ssize_t)strlen(line))
		return false;
	for (unsigned i = 0; i < 300; i++) {
		ssize_t n = recv(to, got + have, size - 1 - have, 0);

		have += n > 0 ? (size_t)n : 0;
		got[have] = '\0';
		if (have && got[have - 1] == '\n')
			return true;
		until(NULL, 10);
	}
	return false;
}

/* ------------------------------------------------------------------ the conversation */

static char line[256];
static int control_client, control_server;

/* Of these descriptors those that could be opened. */
static void close_all(int a, int b, int c)
{
	if (a >= 0)
		close(a);
	if (b >= 0)
		close(b);
	if (c >= 0)
		close(c);
}

/* The server connects to where the PORT command that it got says. Data must come through. */
static void active_data(uint16_t port, const char *what)
{
	unsigned h1, h2, h3, h4, p1, p2;
	int listener = listen_in(CLIENT, CLIENT_ADDRESS, port), data, accepted;
	char text[80], address[16];

	snprintf(text, sizeof(text), "PORT 192,0,2,1,%d,%d\r\n", port >> 8, port & 0xff);
	CHECK(pass(control_client, text, control_server, line, sizeof(line)));
	CHECK(sscanf(line, "PORT %u,%u,%u,%u,%u,%u", &h1, &h2, &h3, &h4, &p1, &p2) == 6);
	snprintf(address, sizeof(address), "%u.%u.%u.%u", h1, h2, h3, h4);
	CHECK(!strcmp(address, POOL)); /* the helper has put the pool's address there */
	until(NULL, 100);
	data = connect_from(SERVER, address, (uint16_t)(p1 << 8 | p2));
	accepted = data < 0 ? -1 : accept_on(listener);
	CHECK(data >= 0 && accepted >= 0);
	if (data < 0 || accepted < 0)
		printf("  %s: no data connection\n", what);
	else
		CHECK(pass(data, "what you asked for\n", accepted, line, sizeof(line)));
	close_all(data, accepted, listener);
	CHECK(pass(control_server, "226 done\r\n", control_client, line, sizeof(line)));
	CHECK(!strcmp(line, "226 done\r\n"));
}

/* The client connects to where the server's answer says. */
static void passive_data(uint16_t port, const char *what)
{
	int listener = listen_in(SERVER, SERVER_ADDRESS, port), data, accepted;
	char text[80];

	CHECK(pass(control_client, "PASV\r\n", control_server, line, sizeof(line)));
	snprintf(text, sizeof(text), "227 Entering Passive Mode (198,51,100,200,%d,%d)\r\n",
		 port >> 8, port & 0xff);
	CHECK(pass(control_server, text, control_client, line, sizeof(line)));
	until(NULL, 100);
	data = connect_from(CLIENT, SERVER_ADDRESS, port);
	accepted = data < 0 ? -1 : accept_on(listener);
	CHECK(data >= 0 && accepted >= 0);
	if (data < 0 || accepted < 0)
		printf("  %s: no data connection\n", what);
	else
		CHECK(pass(data, "what I bring\n", accepted, line, sizeof(line)));
	close_all(data, accepted, listener);
}

static bool log_in(void)
{
	int listener = listen_in(SERVER, SERVER_ADDRESS, 21);

	control_client = connect_from(CLIENT, SERVER_ADDRESS, 21);
	control_server = accept_on(listener);
	close(listener);
	return control_client >= 0 && control_server >= 0 &&
	       pass(control_server, "220 hello\r\n", control_client, line, sizeof(line)) &&
	       pass(control_client, "USER me\r\n", control_server, line, sizeof(line)) &&
	       pass(control_server, "331 password\r\n", control_client, line, sizeof(line)) &&
	       pass(control_client, "PASS me\r\n", control_server, line, sizeof(line)) &&
	       pass(control_server, "230 welcome\r\n", control_client, line, sizeof(line));
}

static unsigned masters, helped, moved;

static void look_at_control(void *arg, const struct dsaa_flow *f)
{
	(void)arg;
	if (f->proto != DSAA_PROTO_TCP || f->orig.dport != 21)
		return;
	masters++;
	helped += !strcmp(f->helper, "ftp");
	moved += f->has & DSAA_HAS_SEQADJ && f->seqadj[0].after != 0;
}

/* The control connection of OWNER in the table of S: is it there, with helper and moved numbers? */
static void look(struct site *s, unsigned owner)
{
	masters = helped = moved = 0;
	CHECK(!dsaa_ct_dump_start(s->tool, (int)owner));
	while (dsaa_ct_dump_read(s->tool, 4096, look_at_control, NULL) == DSAA_CT_DUMP_MORE)
		;
}

static bool dead(void)
{
	struct dsaa_engine_view v;

	dsaa_engine_view(sites[1].engine, &v);
	return sites[1].word == DSAA_WORD_ADOPTED && v.adopted > 0;
}

static void test_ftp(void)
{
	for (int i = SITE1; i <= SITE2; i++) {
		if (!add_helper(i)) {
			printf("no FTP helper here: not tested\n");
			return;
		}
		CHECK(in(i, "conntrack -F 2>/dev/null"));
	}
	CHECK(start_site(0) && start_site(1));
	CHECK(until(both_up, 10000));
	CHECK(route(1, 1));
	CHECK(log_in());
	/* the same site for all: it works without us */
	active_data(50001, "active, one site");
	look(&sites[0], 0);
	CHECK(masters == 1 && helped == 1 && moved == 1);
	passive_data(50002, "passive, one site");
	until(NULL, 300);
	look(&sites[1], 1);
	CHECK(masters == 1 && helped == 1 && moved == 1);

	/* an expectation is on its way: site 1 dies, and the data comes through site 2 */
	{
		int listener = listen_in(CLIENT, CLIENT_ADDRESS, 50003), data, accepted;

		CHECK(pass(control_client, "PORT 192,0,2,1,195,83\r\n", control_server, line,
			   sizeof(line)));
		until(NULL, 200);
		CHECK(view(&sites[0]).expects_sent >= 3 && view(&sites[1]).expects_applied >= 3);
		kill_site_1();
		CHECK(until(dead, 10000));
		CHECK(route(2, 2));
		data = connect_from(SERVER, POOL, 50003);
		accepted = data < 0 ? -1 : accept_on(listener);
		CHECK(data >= 0 && accepted >= 0);
		CHECK(accepted >= 0 && pass(data, "late\n", accepted, line, sizeof(line)));
		close_all(data, accepted, listener);
	}
	/* the control connection lives on there: its helper reads, its numbers are moved on */
	CHECK(pass(control_server, "226 done\r\n", control_client, line, sizeof(line)));
	CHECK(pass(control_client, "NOOP\r\n", control_server, line, sizeof(line)));
	CHECK(pass(control_server, "200 ok\r\n", control_client, line, sizeof(line)));
	active_data(50004, "active, after the takeover");
	passive_data(50005, "passive, after the takeover");
	look(&sites[1], 0);
	CHECK(masters == 1 && helped == 1 && moved == 1);
	close(control_client);
	close(control_server);
}

#endif
