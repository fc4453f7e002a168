/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rules against the real nf_tables, in a network namespace of its own:
 * from nothing to the limits, applied over and over, refused as a whole, and
 * removed without a trace.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "rules/dsaa_rules.h"
#include "tests/unit/test.h"

static struct dsaa_rules_config smallest(void)
{
	return (struct dsaa_rules_config){
		.mark_mask = 0xff000000,
		.queue_base = DSAA_QUEUE_BASE_DEFAULT,
		.queues = 1,
		.tunnel_port = 3786,
		.tun_name = "dsaa0",
	};
}

/* Everything that the limits allow. */
static void fill(struct dsaa_rules_config *c)
{
	unsigned i;

	c->second_chance = true;
	for (i = 0; i < DSAA_IFACES_MAX; i++)
		snprintf(c->iface[c->ifaces++], DSAA_RULES_NAME_LEN, "interface%u", i);
	for (i = 1; i <= DSAA_SITES_MAX; i++)
		c->foreign[c->foreigns++] = i;
	for (i = 0; i < DSAA_RULES_POOLS_MAX; i++) {
		struct dsaa_prefix *p = &c->pool[c->pools++];

		p->addr.family = i % 2 ? 4 : 6;
		p->addr.bytes[0] = 0x20;
		p->addr.bytes[1] = i & 0xff;
		p->addr.bytes[2] = i >> 8;
		p->len = i % (i % 2 ? 33 : 129);
	}
	for (i = 0; i < DSAA_RULES_PEERS_MAX; i++) {
		struct dsaa_addr *a = &c->peer[c->peers++];

		a->family = i % 2 ? 4 : 6;
		a->bytes[0] = 0x20;
		a->bytes[1] = i;
	}
}

/* How many lines of "nft list table" contain TEXT; -1 without the tool. */
static int listed(const char *text)
{
	FILE *f = popen("nft list table inet dsaa 2>/dev/null", "r");
	char line[1024];
	int count = 0, lines = 0;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		lines++;
		count += strstr(line, text) != NULL;
	}
	return pclose(f) == 0 || lines ? count : 0;
}

static void test_applied(void)
{
	static struct dsaa_rules_config c;
	struct dsaa_rules_status st;
	unsigned i, rules;

	c = smallest();
	CHECK(dsaa_rules_apply(&c, &st) == 0);
	CHECK(st.installed);
	CHECK(listed("chain correct") == 1);
	CHECK(listed("udp dport 3786") == 0);
	fill(&c);
	for (i = 0; i < 5; i++)
		CHECK(dsaa_rules_apply(&c, &st) == 0);
	CHECK(st.rules > DSAA_RULES_POOLS_MAX);
	CHECK(listed("udp dport 3786") == 3);
	CHECK(listed("notrack") == 2 * DSAA_RULES_PEERS_MAX);
	CHECK(listed("goto offer_pool") == DSAA_RULES_POOLS_MAX);
	/* the same by refilling what stands, and then with fewer foreign sites */
	rules = st.rules;
	CHECK(dsaa_rules_refill(&c, &st) == 0 && st.rules == rules);
	CHECK(listed("goto offer_pool") == DSAA_RULES_POOLS_MAX);
	CHECK(listed("notrack") == 2 * DSAA_RULES_PEERS_MAX);
	c.foreigns--;
	CHECK(dsaa_rules_refill(&c, &st) == 0 && st.rules == rules - 2);
	/* a site whose connections become ours one by one: its number gives way to ours */
	c.local = 1;
	c.on_demand[c.on_demands++] = 2;
	CHECK(dsaa_rules_refill(&c, &st) == 0 && st.rules == rules - 1);
	CHECK(listed("ct mark set ") == 1);
	c.mark_mask = 0;
	CHECK(dsaa_rules_refill(&c, &st) == -EINVAL && st.rules == rules - 1);
	/* the old is gone when the new is there */
	c = smallest();
	CHECK(dsaa_rules_apply(&c, &st) == 0);
	CHECK(listed("udp dport 3786") == 0);
	/* nothing stands: nothing is refilled */
	CHECK(dsaa_rules_remove(NULL, 0) == 0);
	CHECK(dsaa_rules_refill(&c, &st) == -ENOENT);
	CHECK(dsaa_rules_apply(&c, &st) == 0);
	printf("queue: %s, event mask: %s\n", st.native_queue ? "nf_tables" : "xt NFQUEUE",
	       st.event_mask ? "yes" : "no");
}

static uint64_t state_now(unsigned rules)
{
	unsigned count = 0;
	uint64_t state = 0, again = 0;

	CHECK(dsaa_rules_present(&state, &count) == 1 && count == rules);
	CHECK(dsaa_rules_present(&again, &count) == 1 && again == state);
	return state;
}

static double ms_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start->tv_sec) * 1e3 + (now.tv_nsec - start->tv_nsec) / 1e6;
}

/* How long it takes to look, milliseconds. */
static double looking_ms(void)
{
	struct timespec start;
	unsigned count;
	uint64_t state;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (unsigned i = 0; i < 20; i++)
		CHECK(dsaa_rules_present(&state, &count) == 1);
	return ms_since(&start) / 20;
}

/* A table made anew, or refilled, can be told from what it was, though it looks the same. */
static void test_present(void)
{
	static struct dsaa_rules_config c;
	struct dsaa_rules_status st;
	uint64_t state, now;
	unsigned count;

	c = smallest();
	CHECK(dsaa_rules_apply(&c, &st) == 0);
	printf("looked at %u rules in %.2f ms\n", st.rules, looking_ms());
	fill(&c);
	CHECK(dsaa_rules_apply(&c, &st) == 0);
	state = state_now(st.rules);
	printf("looked at %u rules in %.2f ms\n", st.rules, looking_ms());
	CHECK(dsaa_rules_refill(&c, &st) == 0);
	now = state_now(st.rules);
	CHECK(now != state);
	c.foreigns--;
	CHECK(dsaa_rules_refill(&c, &st) == 0);
	state = state_now(st.rules);
	CHECK(now != state);
	CHECK(dsaa_rules_apply(&c, &st) == 0);
	CHECK(state_now(st.rules) != state);
	CHECK(dsaa_rules_remove(NULL, 0) == 0);
	CHECK(dsaa_rules_present(&now, &count) == 0 && count == 0);
}

/* Whatever somebody does to the table is seen, until it is made anew. */
static void test_changed(void)
{
	static const struct {
		const char *does;
		const char *undoes; /* NULL: nothing does */
	} t[] = {
		{ "add chain inet dsaa somebody", "delete chain inet dsaa somebody" },
		{ "add rule inet dsaa correct accept", NULL },
		{ "insert rule inet dsaa others accept", NULL },
		{ "flush chain inet dsaa correct", NULL },
		{ "flush table inet dsaa", NULL },
		{ "delete rule inet dsaa others handle "
		  "$(nft -a list chain inet dsaa others | sed -n 's/.*# handle //p' | tail -1)",
		  NULL },
		{ "add table inet dsaa '{ flags dormant; }'", "add table inet dsaa" },
		{ "delete element inet dsaa interfaces '{ \"interface1\" }'",
		  "add element inet dsaa interfaces '{ \"interface1\" }'" },
		{ "add element inet dsaa interfaces '{ \"more\" }'",
		  "delete element inet dsaa interfaces '{ \"more\" }'" },
		{ "flush set inet dsaa interfaces", NULL },
	};
	static struct dsaa_rules_config c;
	struct dsaa_rules_status st;
	char line[256];

	c = smallest();
	fill(&c);
	for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		uint64_t state, now;
		unsigned count;

		CHECK(dsaa_rules_apply(&c, &st) == 0);
		state = state_now(st.rules);
		snprintf(line, sizeof(line), "nft %s", t[i].does);
		CHECK(system(line) == 0);
		CHECK(dsaa_rules_present(&now, &count) == 1 && now != state);
		if (!t[i].undoes)
			continue;
		snprintf(line, sizeof(line), "nft %s", t[i].undoes);
		CHECK(system(line) == 0);
		CHECK(state_now(st.rules) == state);
	}
}

static bool told_once(int fd)
{
	bool told = dsaa_rules_watch_read(fd), again = dsaa_rules_watch_read(fd);

	return told && !again;
}

/* Changes of our table are told, also when messages are lost; those of others' are not. */
static void test_watch(void)
{
	static struct dsaa_rules_config c;
	struct dsaa_rules_status st;
	int fd = dsaa_rules_watch_open(), small = 1;

	CHECK(fd >= 0 && !dsaa_rules_watch_read(fd));
	c = smallest();
	CHECK(dsaa_rules_apply(&c, &st) == 0);
	CHECK(told_once(fd));
	CHECK(dsaa_rules_refill(&c, &st) == 0);
	CHECK(told_once(fd));
	CHECK(system("nft 'add table inet dsaa2; add table ip dsaa; add chain ip dsaa correct; "
		     "add rule ip dsaa correct accept; add set ip dsaa a { type mark; }; "
		     "add element ip dsaa a { 1 }'") == 0);
	CHECK(!dsaa_rules_watch_read(fd));
	CHECK(system("nft flush chain inet dsaa correct") == 0);
	CHECK(told_once(fd));
	CHECK(system("nft flush set inet dsaa interfaces; nft add chain inet dsaa somebody") == 0);
	CHECK(told_once(fd));
	CHECK(system("nft flush ruleset") == 0);
	CHECK(told_once(fd));
	/* what does not fit may have been about us */
	CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)) == 0);
	CHECK(system("for i in 1 2 3 4 5 6 7 8; do nft add table ip t$i; done") == 0);
	CHECK(told_once(fd));
	close(fd);
	/* nobody reads nor can read it: no peace */
	CHECK(dsaa_rules_watch_read(fd));
}

/* Where the tunnel's packets are looked for: at the site-sync interfaces, or at all. */
static void test_links(void)
{
	static struct dsaa_rules_config c;
	struct dsaa_rules_status st;

	c = smallest();
	c.peer[c.peers++] = (struct dsaa_addr){ .family = 4, .bytes = { 172, 16, 0, 2 } };
	c.links = 2;
	c.link[0].addr = (struct dsaa_addr){ .family = 4, .bytes = { 172, 16, 0, 1 } };
	c.link[1].addr = (struct dsaa_addr){ .family = 4, .bytes = { 172, 16, 1, 1 } };
	strcpy(c.link[0].iface, "lo");
	strcpy(c.link[1].iface, "lo");
	CHECK(dsaa_rules_apply(&c, &st) == 0);
	/* Linux 5.10 */
	if (st.ingress) {
		CHECK(listed("hook ingress device \"lo\"") == 1);
		CHECK(listed("hook prerouting priority raw") == 0);
		CHECK(listed("hook prerouting") == 1);
		CHECK(listed("hook input") == 1);
		CHECK(listed("frag-off") == 1);
	}
	/* BFD's as well: a site whose table is full is not dead */
	CHECK(listed("udp dport 3784 goto peers_") == 2);
	CHECK(listed("udp dport 4784 goto peers_") == 2);
	CHECK(listed("notrack") == 2);
	CHECK(dsaa_rules_refill(&c, &st) == 0);
	CHECK(listed("notrack") == 2);
	/* no such device now: its packets are found all the same */
	strcpy(c.link[1].iface, "gone");
	CHECK(dsaa_rules_apply(&c, &st) == 0 && st.event_mask);
	/* since Linux 6.16 the hook waits for it */
	CHECK(st.ingress || listed("hook prerouting priority raw") == 1);
	CHECK(st.ingress || listed("hook ingress") == 0);
	CHECK(listed("notrack") == 2);
	/* IPv6, whose fragments the operator's rules would see */
	strcpy(c.link[1].iface, "lo");
	c.link[1].addr.family = 6;
	CHECK(dsaa_rules_apply(&c, &st) == 0 && !st.ingress);
	CHECK(listed("hook prerouting priority raw") == 1 && listed("notrack") == 2);
	/* whatever way packets are found, the tunnel ends at its own addresses */
	CHECK(listed("hook input") == 1);
	CHECK(listed("172.16.0.1 accept") == 1 && listed("counter packets 0 bytes 0 drop") == 4);
	CHECK(listed("udp dport 3784 goto peers_") == 2);
}

/* What is out of range is refused with a sentence, and what was there stays. */
static void test_refused(void)
{
	static struct dsaa_rules_config good, c;
	struct dsaa_rules_status st;

	good = smallest();
	fill(&good);
	CHECK(dsaa_rules_apply(&good, &st) == 0);
#define REFUSED(change)                                      \
	do {                                                 \
		c = good;                                    \
		change;                                      \
		CHECK(dsaa_rules_apply(&c, &st) == -EINVAL); \
		CHECK(!st.installed && st.why[0]);           \
	} while (0)
	REFUSED(c.mark_mask = 0);
	REFUSED(c.mark_mask = 0xff00ff00);
	REFUSED(c.mark_mask = 0x7);
	REFUSED(c.queue_base = 65535);
	REFUSED(c.queues = 0);
	REFUSED(c.queues = DSAA_QUEUE_SPREAD_MAX + 1);
	REFUSED(c.tunnel_port = 0);
	REFUSED(c.tun_name[0] = '\0');
	REFUSED(memset(c.tun_name, 'x', sizeof(c.tun_name)));
	REFUSED(c.ifaces = DSAA_IFACES_MAX + 1);
	REFUSED(c.iface[3][0] = '\0');
	REFUSED(memset(c.iface[3], 'x', sizeof(c.iface[3])));
	REFUSED(c.foreigns = DSAA_SITES_MAX + 1);
	REFUSED(c.foreign[0] = 0);
	REFUSED(c.foreign[0] = DSAA_SITES_MAX + 1);
	REFUSED(c.on_demands = DSAA_SITES_MAX + 1);
	REFUSED((c.local = 1, c.on_demand[c.on_demands++] = 0));
	REFUSED((c.local = 0, c.on_demand[c.on_demands++] = 2));
	REFUSED(c.mark_mask = 0xf); /* holds 15 sites, not 16 */
	REFUSED(c.pools = DSAA_RULES_POOLS_MAX + 1);
	REFUSED(c.pool[1].len = 33);
	REFUSED(c.pool[2].len = 129);
	REFUSED(c.pool[0].addr.family = 0);
	REFUSED(c.peers = DSAA_RULES_PEERS_MAX + 1);
	REFUSED(c.peer[0].family = 5);
	CHECK(listed("goto offer_pool") == DSAA_RULES_POOLS_MAX);
}

static void test_removed(void)
{
	char why[100];

	CHECK(dsaa_rules_remove(why, sizeof(why)) == 0);
	CHECK(why[0] == '\0');
	CHECK(listed("table") == 0);
	CHECK(dsaa_rules_remove(why, sizeof(why)) == 0);
	CHECK(dsaa_rules_remove(NULL, 0) == 0);
}

/* Last: gives up root for good. */
static void test_unprivileged(void)
{
	static struct dsaa_rules_config c;
	struct dsaa_rules_status st;
	char why[100];

	c = smallest();
	if (setresuid(65534, 65534, 65534) != 0)
		return;
	CHECK(dsaa_rules_apply(&c, &st) == -EPERM);
	CHECK(!st.installed && strstr(st.why, "CAP_NET_ADMIN"));
	CHECK(dsaa_rules_remove(why, sizeof(why)) == -EPERM);
	CHECK(dsaa_rules_watch_open() == -EPERM);
}

int main(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0) {
		printf("skipped: needs root and a network namespace\n");
		return 77;
	}
	if (system("nft --version >/dev/null 2>&1") != 0) {
		printf("skipped: needs the nft tool\n");
		return 77;
	}
	test_applied();
	test_present();
	test_changed();
	test_watch();
	test_links();
	test_refused();
	test_removed();
	test_unprivileged();
	return TEST_END();
}
