/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of the sync transport with real sockets in a network namespace of
 * their own: who gets in and who does not, what both ends are told, and that
 * streams are whole under load, loss of the peer and attack.
 */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "tests/edge/sync_world.h"

#define MPTCP_SYSCTL "/proc/sys/net/mptcp/enabled"

static const uint64_t MIB = 1 << 20;

/* Slow checkers (valgrind) do with less. */
static bool brief;

/* Opens sites 1 and 2 and lets them listen. */
static void pair_open(struct node *a, struct node *b, const struct dsaa_transport_config *ca,
		      const struct dsaa_transport_config *cb)
{
	node_open(a, ca);
	node_open(b, cb);
	WORLD_UNTIL(a->listens && b->listens, 1000);
	CHECK(a->listen_error == 0 && b->listen_error == 0);
}

static void pair_up(struct node *a, struct node *b)
{
	CHECK(dsaa_transport_connect(a->t, b->site, 0));
	CHECK(!dsaa_transport_connect(a->t, b->site, 0));
	WORLD_UNTIL(a->up[b->site] && b->up[a->site], 3000);
}

static void pair_close(struct node *a, struct node *b)
{
	node_close(a);
	node_close(b);
}

/* A word each way arrives. */
static void pair_talk(struct node *a, struct node *b)
{
	a->last_len = b->last_len = 0;
	CHECK(dsaa_transport_send(a->t, b->site,
				  (const uint8_t *)"\xd5\xaa"
						   "from a",
				  8));
	WORLD_UNTIL(b->last_len == 8, 1000);
	CHECK(dsaa_transport_send(b->t, a->site,
				  (const uint8_t *)"\xd5\xaa"
						   "from b",
				  8));
	WORLD_UNTIL(a->last_len == 8, 1000);
	CHECK(memcmp(b->last,
		     "\xd5\xaa"
		     "from a",
		     8) == 0);
	CHECK(memcmp(a->last,
		     "\xd5\xaa"
		     "from b",
		     8) == 0);
}

/* Sends on in random pieces until TOTAL bytes of the checked stream are queued. */
static void pour(struct node *from, dsaa_site_id to, uint64_t total, size_t piece_max)
{
	static uint8_t piece[65536];

	while (from->sent < total) {
		size_t len = test_random() % piece_max + 1;

		if (len > total - from->sent)
			len = (size_t)(total - from->sent);
		for (size_t i = 0; i < len; i++)
			piece[i] = world_byte(from->site, from->sent + i);
		if (!dsaa_transport_send(from->t, to, piece, len))
			return;
		from->sent += len;
	}
}

/* ------------------------------------------------------------------ who gets in */

static void test_good_key(uint8_t family, bool multipath)
{
	struct dsaa_transport_config ca = node_config(1, family), cb = node_config(2, family);
	struct dsaa_transport_info info;
	struct node a, b;

	ca.multipath = cb.multipath = multipath;
	pair_open(&a, &b, &ca, &cb);
	pair_up(&a, &b);
	CHECK(a.secure[2] && b.secure[1]);
	pair_talk(&a, &b);
	CHECK(dsaa_transport_info(a.t, 2, &info) && info.connected && info.secure && !info.inbound);
	CHECK(strcmp(info.cipher, "TLS_AES_128_GCM_SHA256") == 0);
	CHECK(info.multipath == multipath);
	CHECK(info.user_timeout || multipath);
	CHECK(dsaa_addr_equal(&info.remote, &cb.local_address[0]));
	CHECK(dsaa_transport_info(b.t, 1, &info) && info.inbound && info.multipath == multipath);
	CHECK(dsaa_addr_equal(&info.remote, &ca.local_address[0]));
	CHECK(info.bytes_sent == 8 && info.bytes_received == 8);
	CHECK(dsaa_transport_info(a.t, 3, &info) && !info.connected);
	CHECK(!dsaa_transport_info(a.t, 1, &info) && !dsaa_transport_info(a.t, 0, &info));
	CHECK(!dsaa_transport_info(a.t, 200, &info));
	/* an end that is told by the other side */
	node_drop(&b, 1);
	WORLD_UNTIL(!a.up[2], 1000);
	CHECK(a.down_reason == DSAA_R_TRANSPORT_LOST && b.downs == 0);
	/* and once more */
	pair_up(&a, &b);
	pair_talk(&a, &b);
	CHECK(dsaa_transport_counters(a.t)->connected == 2);
	pair_close(&a, &b);
}

static void test_plain(void)
{
	struct dsaa_transport_config ca = node_config(1, 4), cb = node_config(2, 4);
	struct node a, b;

	ca.secure = cb.secure = false;
	pair_open(&a, &b, &ca, &cb);
	/* The side that accepts waits for the first byte. */
	CHECK(dsaa_transport_connect(a.t, 2, 0));
	WORLD_UNTIL(a.up[2], 1000);
	CHECK(!a.secure[2] && !b.up[1]);
	CHECK(dsaa_transport_send(a.t, 2, (const uint8_t *)"\xd5\xaa", 2));
	WORLD_UNTIL(b.up[1], 1000);
	CHECK(!b.secure[1]);
	pair_talk(&a, &b);
	pair_close(&a, &b);
}

/* A connects to B with these configurations; both shall be told REASON. */
static void refused_pair(struct dsaa_transport_config *ca, struct dsaa_transport_config *cb,
			 unsigned reason_a, unsigned reason_b)
{
	struct node a, b;

	pair_open(&a, &b, ca, cb);
	CHECK(dsaa_transport_connect(a.t, 2, 0));
	if (!ca->secure) {
		WORLD_UNTIL(a.up[2], 1000);
		CHECK(dsaa_transport_send(a.t, 2, (const uint8_t *)"\xd5\xaa hello", 8));
	}
	WORLD_UNTIL(a.downs && b.refusals, 2000);
	if (a.down_reason != reason_a || b.refused_reason != reason_b)
		printf("told %s and %s\n", dsaa_reason_name(a.down_reason),
		       dsaa_reason_name(b.refused_reason));
	CHECK(a.down_reason == reason_a);
	CHECK(b.refused_reason == reason_b && b.refused_site == 1);
	CHECK(dsaa_transport_counters(b.t)->refused[reason_b] == 1);
	CHECK(b.ups == 0 && b.downs == 0);
	/* It costs nothing later: the next one is judged afresh. */
	CHECK(dsaa_transport_connect(a.t, 2, 0));
	if (!ca->secure) {
		WORLD_UNTIL(a.up[2], 1000);
		CHECK(dsaa_transport_send(a.t, 2, (const uint8_t *)"\xd5\xaa hello", 8));
	}
	WORLD_UNTIL(a.downs == 2 && b.refusals == 2, 2000);
	pair_close(&a, &b);
}

static void test_refusals(void)
{
	struct dsaa_transport_config ca = node_config(1, 4), cb = node_config(2, 4);

	cb.key = (const uint8_t *)"sixteen bytes KO";
	refused_pair(&ca, &cb, DSAA_R_WRONG_KEY, DSAA_R_WRONG_KEY);

	cb = node_config(2, 4);
	cb.cluster_id = 70;
	refused_pair(&ca, &cb, DSAA_R_CLUSTER_MISMATCH, DSAA_R_CLUSTER_MISMATCH);
	cb.cluster_id = UINT32_MAX;
	refused_pair(&ca, &cb, DSAA_R_CLUSTER_MISMATCH, DSAA_R_CLUSTER_MISMATCH);

	/* the address of site 1 says that it is site 9 */
	cb = node_config(2, 4);
	ca.local = 9;
	refused_pair(&ca, &cb, DSAA_R_UNKNOWN_SITE, DSAA_R_UNKNOWN_SITE);
	/* ... or that it is site 2 itself */
	ca = node_config(1, 4);
	ca.local = 2;
	ca.peers = 1;
	ca.peer[0].site = 3;
	cb.local = 2;
	struct node a, b;
	ca.peer[0].address[0] = world_addr(4, 2);
	pair_open(&a, &b, &ca, &cb);
	CHECK(dsaa_transport_connect(a.t, 3, 0));
	WORLD_UNTIL(a.downs && b.refusals, 2000);
	CHECK(a.down_reason == DSAA_R_UNKNOWN_SITE && b.refused_reason == DSAA_R_SAME_SITE);
	pair_close(&a, &b);

	/* one side without TLS */
	ca = node_config(1, 4);
	cb = node_config(2, 4);
	cb.secure = false;
	refused_pair(&ca, &cb, DSAA_R_SECURITY_MISMATCH, DSAA_R_SECURITY_MISMATCH);
	ca.secure = false;
	cb.secure = true;
	refused_pair(&ca, &cb, DSAA_R_SECURITY_MISMATCH, DSAA_R_SECURITY_MISMATCH);
}

static void test_stranger(void)
{
	struct dsaa_transport_config ca = node_config(1, 4), cb = node_config(2, 4);
	struct node a, b;
	int fd;

	pair_open(&a, &b, &ca, &cb);
	pair_up(&a, &b);
	fd = raw_connect("127.0.9.9", "127.0.1.2");
	CHECK(fd >= 0);
	WORLD_UNTIL(b.refusals == 1, 1000);
	CHECK(b.refused_reason == DSAA_R_STRANGER && b.refused_site == 0);
	CHECK(b.refused_address.family == 4 &&
	      memcmp(b.refused_address.bytes, "\x7f\0\x09\x09", 4) == 0);
	CHECK(raw_is_closed(fd));
	close(fd);
	pair_talk(&a, &b);
	pair_close(&a, &b);
}

/* ------------------------------------------------------------------ connections fail */

static void test_connect_fails(void)
{
	struct dsaa_transport_config ca = node_config(1, 4);
	struct node a;
	int fd;

	node_open(&a, &ca);
	CHECK(!dsaa_transport_connect(a.t, 0, 0));
	CHECK(!dsaa_transport_connect(a.t, 1, 0));
	CHECK(!dsaa_transport_connect(a.t, 9, 0));
	CHECK(!dsaa_transport_connect(a.t, 255, 0));
	CHECK(!dsaa_transport_connect(a.t, 2, 1));
	CHECK(dsaa_transport_connect(a.t, 2, 0));
	CHECK(a.downs == 0); /* never out of connect itself */
	WORLD_UNTIL(a.downs == 1, 1000);
	CHECK(a.down_reason == DSAA_R_CONNECT_FAILED);
	/* someone who accepts and says nothing */
	fd = raw_listen("127.0.1.2");
	CHECK(dsaa_transport_connect(a.t, 2, 0));
	world_for(100);
	CHECK(a.downs == 1);
	world_skip(DSAA_TRANSPORT_HANDSHAKE_MS);
	CHECK(a.downs == 2 && a.down_reason == DSAA_R_CONNECT_FAILED);
	/* an attempt that is dropped is not told */
	CHECK(dsaa_transport_connect(a.t, 2, 0));
	node_drop(&a, 2);
	world_for(50);
	CHECK(a.downs == 2);
	CHECK(!dsaa_transport_send(a.t, 2, (const uint8_t *)"x", 1));
	close(fd);
	node_close(&a);

	/* no address of that family */
	ca.peer[0].address[0] = world_addr(6, 2);
	node_open(&a, &ca);
	CHECK(dsaa_transport_connect(a.t, 2, 0));
	CHECK(a.downs == 0);
	WORLD_UNTIL(a.downs == 1, 1000);
	CHECK(a.down_reason == DSAA_R_CONNECT_FAILED);
	node_close(&a);
}

static void test_listen_retry(void)
{
	struct dsaa_transport_config ca = node_config(1, 4);
	struct node a;
	int fd = raw_listen("127.0.1.1");

	node_open(&a, &ca);
	WORLD_UNTIL(a.listens == 1, 1000);
	CHECK(a.listen_error == EADDRINUSE);
	world_skip(DSAA_TRANSPORT_LISTEN_RETRY_MS);
	world_for(50);
	CHECK(a.listens == 1); /* the same again is not told */
	close(fd);
	world_skip(DSAA_TRANSPORT_LISTEN_RETRY_MS);
	CHECK(a.listens == 2 && a.listen_error == 0);
	node_close(&a);

	/* an address that is not there yet can be listened on */
	ca.local_address[0] = (struct dsaa_addr){ 4, { 192, 0, 2, 1 } };
	ca.local_address[1] = (struct dsaa_addr){ 6, { 0x20, 1, 0xd, 0xb8, [15] = 1 } };
	ca.local_addresses = 2;
	node_open(&a, &ca);
	WORLD_UNTIL(a.listens == 2, 1000);
	CHECK(a.listen_error == 0);
	node_close(&a);
}

static void test_bad_config(void)
{
	struct dsaa_transport_config good = node_config(1, 4), c;
	static const struct dsaa_transport_callbacks none;
	char err[160];

#define REFUSED(change)                                                                      \
	do {                                                                                 \
		c = good;                                                                    \
		change;                                                                      \
		err[0] = '\0';                                                               \
		CHECK(!dsaa_transport_open(&c, world_now(), &none, NULL, err, sizeof(err))); \
		CHECK(err[0] != '\0');                                                       \
	} while (0)
	REFUSED(c.local = 0);
	REFUSED(c.local = DSAA_SITES_MAX + 1);
	REFUSED(c.port = 0);
	REFUSED(c.key = NULL);
	REFUSED(c.key_len = 15);
	REFUSED(c.local_addresses = DSAA_SITE_SYNC_ADDRESSES_MAX + 1);
	REFUSED(c.local_address[0].family = 5);
	REFUSED(c.peers = DSAA_SITES_MAX + 1);
	REFUSED(c.peer[0].site = 0);
	REFUSED(c.peer[0].site = 1);
	REFUSED(c.peer[0].site = DSAA_SITES_MAX + 1);
	REFUSED(c.peer[0].site = c.peer[1].site);
	REFUSED(c.peer[0].addresses = DSAA_SITE_SYNC_ADDRESSES_MAX + 1);
	REFUSED(c.peer[0].address[0].family = 0);
	REFUSED(c.peer[0].address[0] = c.peer[1].address[0]);
	REFUSED(c.peer[0].address[0] = c.local_address[0]);
#undef REFUSED
}

/* ------------------------------------------------------------------ load */

/* TOTAL bytes each way at once; B is slow to take them. */
static void test_transfer(bool secure, bool multipath, uint64_t total, size_t piece_max)
{
	struct dsaa_transport_config ca = node_config(1, 4), cb = node_config(2, 4);
	struct node a, b;
	struct dsaa_mono begin;
	int64_t us;

	ca.secure = cb.secure = secure;
	ca.multipath = cb.multipath = multipath;
	pair_open(&a, &b, &ca, &cb);
	a.verify = b.verify = true;
	CHECK(dsaa_transport_connect(a.t, 2, 0));
	WORLD_UNTIL(a.up[2], 2000);
	if (!secure) {
		/* the first byte must be ours, the checked stream begins after it */
		CHECK(dsaa_transport_send(a.t, 2, (const uint8_t *)"\xd5", 1));
		b.verify = false;
	}
	WORLD_UNTIL(b.up[1] && (secure || b.received == 1), 2000);
	b.verify = true;
	b.received = 0;
	begin = world_now();
	while ((a.received < total || b.received < total) &&
	       world_now().us - begin.us < 120 * INT64_C(1000000)) {
		pour(&a, 2, total, piece_max);
		pour(&b, 1, total, piece_max);
		/* Slow in turns: nothing, a little, all. */
		b.lazy = test_random() % 3 == 0;
		b.consume_max = test_random() % 2 ? 30000 : 0;
		world_turn(1);
		if (!b.lazy)
			node_take(&b, 1, b.consume_max);
		CHECK(dsaa_transport_room(a.t, 2) <= DSAA_TRANSPORT_SEND_BUFFER);
	}
	us = world_now().us - begin.us;
	CHECK(a.received == total && b.received == total);
	CHECK(a.wrong == 0 && b.wrong == 0);
	CHECK(a.downs == 0 && b.downs == 0);
	CHECK(a.writables > 0 && b.writables > 0);
	printf("%s, %s: %u MiB each way in pieces up to %zu bytes, checked: %.1f MiB/s\n",
	       secure ? "TLS" : "plain", multipath ? "MPTCP" : "TCP", (unsigned)(total / MIB),
	       piece_max, 2.0 * (double)total / (double)MIB / ((double)us / 1e6));
	pair_close(&a, &b);
}

/* A peer that never reads costs a bounded buffer, and goes on when it reads again. */
static void test_never_reads(bool secure)
{
	struct dsaa_transport_config ca = node_config(1, 4), cb = node_config(2, 4);
	struct dsaa_transport_info info;
	struct node a, b;
	uint64_t total;
	unsigned readies;

	ca.secure = cb.secure = secure;
	pair_open(&a, &b, &ca, &cb);
	CHECK(dsaa_transport_connect(a.t, 2, 0));
	WORLD_UNTIL(a.up[2], 1000);
	b.lazy = true;
	CHECK(dsaa_transport_send(a.t, 2, (const uint8_t *)"\xd5", 1));
	WORLD_UNTIL(b.up[1], 1000);
	for (int i = 0; i < 100; i++) {
		pour(&a, 2, UINT64_MAX, 65536);
		world_turn(2);
	}
	CHECK(dsaa_transport_room(a.t, 2) < 65536);
	CHECK(dsaa_transport_info(b.t, 1, &info));
	CHECK(info.receive_queued == DSAA_TRANSPORT_RECV_BUFFER);
	total = a.sent;
	/* Waiting costs nothing. */
	readies = a.readies + b.readies;
	world_for(300);
	CHECK(a.readies + b.readies - readies < 10);
	b.lazy = false;
	node_take(&b, 1, 1);
	CHECK(b.received == 1 && b.last[0] == 0xd5);
	b.received = 0;
	b.verify = true;
	node_take(&b, 1, 0);
	WORLD_UNTIL(b.received == total, 5000);
	CHECK(b.wrong == 0);
	WORLD_UNTIL(dsaa_transport_room(a.t, 2) == DSAA_TRANSPORT_SEND_BUFFER, 1000);
	pair_close(&a, &b);
}

/* What was queued before a drop arrives; then the end is told. */
static void test_drop_flushes(bool secure)
{
	struct dsaa_transport_config ca = node_config(1, 4), cb = node_config(2, 4);
	struct node a, b;
	uint64_t total;

	ca.secure = cb.secure = secure;
	pair_open(&a, &b, &ca, &cb);
	CHECK(dsaa_transport_connect(a.t, 2, 0));
	WORLD_UNTIL(a.up[2], 1000);
	CHECK(dsaa_transport_send(a.t, 2, (const uint8_t *)"\xd5", 1));
	WORLD_UNTIL(b.up[1] && b.received == 1, 1000);
	b.received = 0;
	b.verify = true;
	pour(&a, 2, brief ? MIB / 8 : UINT64_MAX, 65536);
	total = a.sent;
	CHECK(brief || total > MIB - 65536);
	node_drop(&a, 2);
	WORLD_UNTIL(!b.up[1], 2000);
	CHECK(b.received == total && b.wrong == 0 && b.down_reason == DSAA_R_TRANSPORT_LOST);
	CHECK(a.downs == 0);
	pair_close(&a, &b);
}

/* ------------------------------------------------------------------ peers that go */

/* Site 1 in a process of its own; it connects, says a word and waits to be killed. */
static pid_t spawn_peer(void)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	struct dsaa_transport_config ca = node_config(1, 4);
	static struct node a;

	memset(world_nodes, 0, sizeof(world_nodes));
	node_open(&a, &ca);
	dsaa_transport_connect(a.t, 2, 0);
	for (;;)
		world_turn(100);
}

static void test_peer_killed(void)
{
	struct dsaa_transport_config cb = node_config(2, 4);
	struct node b;
	pid_t pid;

	node_open(&b, &cb);
	WORLD_UNTIL(b.listens, 1000);
	for (unsigned i = 1; i <= 3; i++) {
		pid = spawn_peer();
		CHECK(pid > 0);
		WORLD_UNTIL(b.up[1], 3000);
		CHECK(kill(pid, SIGKILL) == 0);
		waitpid(pid, NULL, 0);
		WORLD_UNTIL(!b.up[1], 1000);
		CHECK(b.ups == i && b.downs == i && b.down_reason == DSAA_R_TRANSPORT_LOST);
	}
	node_close(&b);
}

/* The peer lost its state and connects anew while this side still believes in the old stream. */
static void test_replaced(void)
{
	struct dsaa_transport_config ca = node_config(1, 4), cb = node_config(2, 4);
	struct node a, b, again;

	pair_open(&a, &b, &ca, &cb);
	pair_up(&a, &b);
	node_open(&again, &ca); /* cannot listen, but connect */
	CHECK(dsaa_transport_connect(again.t, 2, 0));
	WORLD_UNTIL(again.up[2] && b.ups == 2, 2000);
	CHECK(b.downs == 1 && b.up[1] && b.down_reason == DSAA_R_TRANSPORT_LOST);
	WORLD_UNTIL(!a.up[2], 1000);
	pair_talk(&again, &b);
	node_close(&again);
	pair_close(&a, &b);
}

/* The link goes without a word: what is not acknowledged ends the stream. */
static void test_silent_loss(void)
{
	struct dsaa_transport_config ca = node_config(1, 4), cb = node_config(2, 4);
	struct dsaa_transport_info info;
	struct node a, b;

	ca.multipath = cb.multipath = false;
	ca.user_timeout_ms = cb.user_timeout_ms = 600;
	pair_open(&a, &b, &ca, &cb);
	pair_up(&a, &b);
	CHECK(dsaa_transport_info(b.t, 1, &info) && info.user_timeout);
	CHECK(world_link(false));
	CHECK(dsaa_transport_send(a.t, 2, (const uint8_t *)"lost", 4));
	WORLD_UNTIL(!a.up[2], 5000);
	CHECK(a.down_reason == DSAA_R_TRANSPORT_LOST);
	CHECK(world_link(true));
	CHECK(dsaa_transport_connect(a.t, 2, 0));
	WORLD_UNTIL(a.up[2] && b.up[1], 3000);
	pair_talk(&a, &b);
	pair_close(&a, &b);
}

/* ------------------------------------------------------------------ attacks */

static void test_flood(void)
{
	struct dsaa_transport_config ca = node_config(1, 4), cb = node_config(2, 4);
	const struct dsaa_transport_counters *counters;
	struct node a, b;
	int fd[200];
	unsigned closed = 0;

	pair_open(&a, &b, &ca, &cb);
	pair_up(&a, &b);
	counters = dsaa_transport_counters(b.t);
	for (unsigned i = 0; i < 200; i++) {
		fd[i] = raw_connect("127.0.1.1", "127.0.1.2");
		CHECK(fd[i] >= 0);
		world_turn(0);
	}
	WORLD_UNTIL(counters->accepted == 201, 2000);
	for (unsigned i = 0; i < 200; i++)
		closed += raw_is_closed(fd[i]);
	CHECK(closed == 200 - DSAA_TRANSPORT_PENDING_PER_SITE);
	CHECK(counters->refused[DSAA_R_TOO_MANY] == closed);
	pair_talk(&a, &b); /* the stream that is up does not care */
	CHECK(a.downs == 0 && b.downs == 0);
	/* Another site is not shut out. */
	struct dsaa_transport_config cc = node_config(3, 4);
	struct node c;
	node_open(&c, &cc);
	CHECK(dsaa_transport_connect(c.t, 2, 0));
	WORLD_UNTIL(c.up[2] && b.up[3], 2000);
	node_close(&c);
	/* The half-open ones time out, and then the site gets in again. */
	node_drop(&a, 2);
	WORLD_UNTIL(!b.up[1], 1000);
	world_skip(DSAA_TRANSPORT_HANDSHAKE_MS);
	CHECK(counters->refused[DSAA_R_HANDSHAKE_TIMEOUT] == DSAA_TRANSPORT_PENDING_PER_SITE);
	for (unsigned i = 0; i < 200; i++)
		close(fd[i]);
	world_for(50);
	pair_up(&a, &b);
	pair_close(&a, &b);
}

/* Sends LEN bytes as if from site 1; waits until site 2 refused it. */
static void throw_at(struct node *b, const uint8_t *bytes, size_t len)
{
	unsigned before = b->refusals;
	int fd = raw_connect("127.0.1.1", "127.0.1.2");

	CHECK(fd >= 0);
	if (fd < 0)
		return;
	CHECK(send(fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len);
	shutdown(fd, SHUT_WR);
	WORLD_UNTIL(b->refusals > before, 1000);
	close(fd);
}

/* The first message that site 1 sends to site 2 in TLS. */
static size_t catch_hello(uint8_t *buf, size_t cap)
{
	struct dsaa_transport_config ca = node_config(1, 4);
	struct node a;
	int fd = raw_listen("127.0.1.2"), conn = -1;
	ssize_t n = -1;

	node_open(&a, &ca);
	CHECK(dsaa_transport_connect(a.t, 2, 0));
	for (int i = 0; i < 200 && n <= 0; i++) {
		world_turn(5);
		if (conn < 0)
			conn = accept(fd, NULL, NULL);
		if (conn >= 0)
			n = recv(conn, buf, cap, MSG_DONTWAIT);
	}
	CHECK(n > 100);
	close(conn);
	close(fd);
	node_close(&a);
	return n > 0 ? (size_t)n : 0;
}

static void test_garbage(bool secure)
{
	struct dsaa_transport_config ca = node_config(1, 4), cb = node_config(2, 4);
	uint8_t hello[4096], bytes[4096];
	size_t len = catch_hello(hello, sizeof(hello));
	struct node a, b;

	ca.secure = cb.secure = secure;
	pair_open(&a, &b, &ca, &cb);
	CHECK(dsaa_transport_connect(a.t, 2, 0));
	WORLD_UNTIL(a.up[2], 2000);
	CHECK(dsaa_transport_send(a.t, 2, (const uint8_t *)"\xd5", 1));
	WORLD_UNTIL(b.up[1], 2000);
	throw_at(&b, (const uint8_t *)"GET / HTTP/1.0\r\n\r\n", 18);
	CHECK(b.refused_reason == DSAA_R_MALFORMED && b.refused_site == 1);
	throw_at(&b, hello, 0);
	CHECK(b.refused_reason == DSAA_R_TRANSPORT_LOST);
	if (secure) {
		throw_at(&b, hello, len); /* replayed whole: it proves nothing without its secret */
		CHECK(b.refused_reason == DSAA_R_TRANSPORT_LOST);
		throw_at(&b, (const uint8_t *)"\xd5\xaa", 2);
	} else {
		throw_at(&b, hello, len);
	}
	CHECK(b.refused_reason == DSAA_R_SECURITY_MISMATCH);
	for (unsigned i = 0; i < 400; i++) {
		size_t n = test_random() % len + 1;

		memcpy(bytes, hello, len);
		switch (i % 4) {
		case 0: /* cut off */
			break;
		case 1: /* a few bytes changed */
			n = len;
			for (unsigned j = 0; j <= i % 7; j++)
				bytes[test_random() % len] = (uint8_t)test_random();
			break;
		case 2: /* changed where the identity and the binder are */
			n = len;
			bytes[len - 1 - test_random() % 70] = (uint8_t)test_random();
			break;
		default: /* noise */
			for (size_t j = 0; j < n; j++)
				bytes[j] = (uint8_t)test_random();
			bytes[0] = secure ? 0x16 : 0x15;
			break;
		}
		throw_at(&b, bytes, n);
	}
	CHECK(b.ups == 1 && b.downs == 0 && a.downs == 0);
	pair_talk(&a, &b);
	pair_close(&a, &b);
}

/* A self-signed certificate with its key into CTX. */
static bool rogue_certificate(SSL_CTX *ctx)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	bool ok = key && cert && ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) &&
		  X509_gmtime_adj(X509_getm_notBefore(cert), 0) &&
		  X509_gmtime_adj(X509_getm_notAfter(cert), 3600) && X509_set_pubkey(cert, key) &&
		  X509_sign(cert, key, EVP_sha256()) && SSL_CTX_use_certificate(ctx, cert) == 1 &&
		  SSL_CTX_use_PrivateKey(ctx, key) == 1;

	X509_free(cert);
	EVP_PKEY_free(key);
	return ok;
}

/* A TLS server with a certificate and without the key must not be believed. */
static void test_rogue_server(void)
{
	struct dsaa_transport_config ca = node_config(1, 4);
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	SSL *ssl = SSL_new(ctx);
	struct node a;
	int fd = raw_listen("127.0.1.2"), conn = -1;

	CHECK(rogue_certificate(ctx));
	SSL_free(ssl);
	ssl = SSL_new(ctx);
	node_open(&a, &ca);
	CHECK(dsaa_transport_connect(a.t, 2, 0));
	for (int i = 0; i < 200 && a.downs == 0; i++) {
		world_turn(5);
		if (conn < 0 && (conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK)) >= 0)
			SSL_set_fd(ssl, conn);
		if (conn >= 0)
			(void)SSL_accept(ssl);
	}
	CHECK(a.downs == 1 && a.ups == 0 && a.down_reason == DSAA_R_WRONG_KEY);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	close(conn);
	close(fd);
	node_close(&a);
}

/* A TLS client without any key is refused. */
static void test_rogue_client(void)
{
	struct dsaa_transport_config cb = node_config(2, 4);
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	struct node b;
	int fd;

	node_open(&b, &cb);
	WORLD_UNTIL(b.listens, 1000);
	fd = raw_connect("127.0.1.1", "127.0.1.2");
	CHECK(fd >= 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	SSL_set_fd(ssl, fd);
	for (int i = 0; i < 200 && b.refusals == 0; i++) {
		CHECK(SSL_connect(ssl) != 1);
		world_turn(5);
	}
	CHECK(b.refusals == 1 && b.refused_reason == DSAA_R_MALFORMED && b.ups == 0);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	close(fd);
	node_close(&b);
}

/* Without descriptors the daemon neither spins nor forgets to listen. */
static void test_no_descriptors(void)
{
	struct dsaa_transport_config ca = node_config(1, 4), cb = node_config(2, 4);
	struct rlimit old, low;
	struct node a, b;
	unsigned readies;
	int top;

	pair_open(&a, &b, &ca, &cb);
	CHECK(dsaa_transport_connect(a.t, 2, 0));
	top = dup(0);
	close(top);
	getrlimit(RLIMIT_NOFILE, &old);
	low = old;
	low.rlim_cur = (rlim_t)top;
	CHECK(setrlimit(RLIMIT_NOFILE, &low) == 0);
	world_for(100);
	readies = b.readies;
	world_for(300);
	CHECK(b.readies - readies < 10);
	CHECK(dsaa_transport_counters(b.t)->accept_errors >= 1 && !b.up[1]);
	setrlimit(RLIMIT_NOFILE, &old);
	world_skip(DSAA_TRANSPORT_LISTEN_RETRY_MS);
	WORLD_UNTIL(a.up[2] && b.up[1], 2000);
	pair_close(&a, &b);
}

/* ------------------------------------------------------------------ several links, fallback */

/* The second address of a peer is reached from our second address. */
static void test_second_link(void)
{
	struct dsaa_transport_config ca = node_config(1, 4), cb = node_config(2, 4);
	struct dsaa_transport_info info;
	struct node a, b;

	ca.local_addresses = cb.local_addresses = 2;
	ca.local_address[1] = world_addr(6, 1);
	cb.local_address[1] = world_addr(6, 2);
	ca.peer[0].addresses = cb.peer[0].addresses = 2;
	ca.peer[0].address[1] = world_addr(6, 2);
	cb.peer[0].address[1] = world_addr(6, 1);
	pair_open(&a, &b, &ca, &cb);
	CHECK(dsaa_transport_connect(a.t, 2, 1));
	WORLD_UNTIL(a.up[2] && b.up[1], 2000);
	CHECK(dsaa_transport_info(b.t, 1, &info) && info.remote.family == 6);
	CHECK(dsaa_addr_equal(&info.local, &cb.local_address[1]));
	pair_talk(&a, &b);
	pair_close(&a, &b);
}

/* MPTCP at one end only, and a kernel without it: TCP is spoken. */
static void test_fallback(void)
{
	struct dsaa_transport_config ca = node_config(1, 4), cb = node_config(2, 4);
	struct dsaa_transport_info info;
	struct node a, b;

	for (unsigned i = 0; i < 2; i++) {
		ca.multipath = i == 0;
		cb.multipath = i == 1;
		pair_open(&a, &b, &ca, &cb);
		pair_up(&a, &b);
		pair_talk(&a, &b);
		CHECK(dsaa_transport_info(a.t, 2, &info) && !info.multipath);
		CHECK(dsaa_transport_info(b.t, 1, &info) && !info.multipath);
		pair_close(&a, &b);
	}
	if (!world_sysctl(MPTCP_SYSCTL, "0")) {
		printf("MPTCP cannot be switched off here: not tested\n");
		return;
	}
	ca.multipath = cb.multipath = true;
	pair_open(&a, &b, &ca, &cb);
	pair_up(&a, &b);
	pair_talk(&a, &b);
	CHECK(dsaa_transport_info(a.t, 2, &info) && !info.multipath && info.user_timeout);
	pair_close(&a, &b);
	CHECK(world_sysctl(MPTCP_SYSCTL, "1"));
}

/* ------------------------------------------------------------------ */

static bool has_multipath(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 262);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

int main(void)
{
	bool multipath, ipv6;
	uint64_t total;

	if (!world_enter())
		return 77;
	brief = getenv("DSAA_TEST_SHORT") != NULL;
	total = brief ? 4 * MIB : 50 * MIB;
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* SIGPIPE stays at its default: one would end this program. */
	multipath = has_multipath();
	ipv6 = world_add_ipv6(1) && world_add_ipv6(2);
	printf("the kernel has %sMPTCP, %sIPv6\n", multipath ? "" : "no ", ipv6 ? "" : "no ");
	test_bad_config();
	test_good_key(4, false);
	if (multipath)
		test_good_key(4, true);
	if (ipv6) {
		test_good_key(6, false);
		test_second_link();
	}
	test_plain();
	test_refusals();
	test_stranger();
	test_connect_fails();
	test_listen_retry();
	test_never_reads(true);
	test_never_reads(false);
	test_drop_flushes(true);
	test_drop_flushes(false);
	test_peer_killed();
	test_replaced();
	test_flood();
	test_garbage(true);
	test_garbage(false);
	test_rogue_server();
	test_rogue_client();
	if (!brief) /* valgrind has a descriptor limit of its own: it accepts, then closes */
		test_no_descriptors();
	if (multipath)
		test_fallback();
	test_transfer(true, true, total, 65536);
	test_transfer(true, false, total, 2048);
	test_transfer(false, false, total, 65536);
	test_silent_loss();
	return TEST_END();
}
