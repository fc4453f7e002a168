/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The forward policy as it is read out of the real nf_tables, in network
 * namespaces of its own: the same rules give the same lines whatever the order
 * and the history they were loaded in, and each change shows in the line of its
 * chain or set.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "rules/dsaa_policy.h"
#include "tests/unit/test.h"

static struct dsaa_lines before, now;

/* A namespace without rules. */
static bool begin_anew(void)
{
	return unshare(CLONE_NEWNET) == 0;
}

static void run(const char *tool, const char *text)
{
	FILE *f = popen(tool, "w");

	CHECK(f != NULL);
	if (!f)
		return;
	fputs(text, f);
	CHECK(pclose(f) == 0);
}

static void nft(const char *text)
{
	run("nft -f -", text);
}

/* Reads it again; the last one becomes BEFORE. Returns how many lines are new. */
static unsigned changed(void)
{
	const char *line;
	unsigned count = 0;
	size_t at = 0;

	before = now;
	CHECK(dsaa_policy_read(&now) == 0);
	CHECK(dsaa_lines_valid(now.text, now.len));
	while (dsaa_lines_only(&now, &before, &at, &line))
		count++;
	CHECK(now.cut || (now.digest == before.digest) == (now.len == before.len && count == 0));
	return count;
}

/* True when a line of NOW begins so. */
static bool has(const char *begin)
{
	size_t len = strlen(begin);

	for (size_t at = 0; at < now.len;) {
		const char *line = now.text + at, *end = memchr(line, '\n', now.len - at);

		if (now.len - at >= len && !memcmp(line, begin, len))
			return true;
		at = (size_t)(end - now.text) + 1;
	}
	return false;
}

/* A policy with all that leads elsewhere: jumps, verdict maps, named and nameless sets. */
static const char filter[] =
	"table inet filter {\n"
	" set blocked { type ipv4_addr; flags interval; elements = { 192.0.2.1, 198.51.100.0/24 } "
	"}\n"
	" set seen { type ipv4_addr; size 100; flags dynamic,timeout; timeout 1m; }\n"
	" chain web { tcp dport { 80, 443 } accept; counter; }\n"
	" chain mail { tcp dport 25 accept; }\n"
	" chain elsewhere { drop; }\n"
	" chain forward { type filter hook forward priority 0; policy drop;\n"
	"  ct state established,related counter accept\n"
	"  ip saddr @blocked drop\n"
	"  add @seen { ip saddr }\n"
	"  iifname vmap { \"eth1\" : jump web, \"eth2\" : jump mail }\n"
	" }\n"
	" chain input { type filter hook input priority 0; tcp dport 22 accept; }\n"
	"}\n";

static void test_what_is_read(void)
{
	nft(filter);
	changed();
	CHECK(has("inet filter chain forward (priority 0, policy drop): 4 rules, "));
	CHECK(has("inet filter chain web: 2 rules, ") && has("inet filter chain mail: 1 rule, "));
	CHECK(has("inet filter set blocked: "));
	CHECK(!has("inet filter chain input") && !has("inet filter chain elsewhere"));
	CHECK(!has("inet filter set seen") && !has("inet filter set __"));
	printf("%.*s", (int)now.len, now.text);
}

/* What is no part of it, or no matter of rules. */
static void test_unchanged(void)
{
	nft("add rule inet filter input tcp dport 23 drop\n");
	nft("add rule inet filter elsewhere accept\n");
	nft("add element inet filter seen { 203.0.113.9 }\n");
	nft("add table ip other\nadd chain ip other post { type nat hook postrouting priority 100; "
	    "}\n"
	    "add rule ip other post masquerade\n");
	nft("reset counters\n");
	CHECK(changed() == 0);
}

static void test_each_change_shows(void)
{
	nft("add element inet filter blocked { 203.0.113.7 }\n");
	CHECK(changed() == 1 && has("inet filter set blocked"));
	nft("delete element inet filter blocked { 203.0.113.7 }\n");
	CHECK(changed() == 1);
	nft("insert rule inet filter web tcp dport { 80, 443, 8080 } accept\n");
	CHECK(changed() == 1);
	/* a chain that is led to from now on */
	nft("add rule inet filter mail ip daddr 10.0.0.1 jump elsewhere\n");
	CHECK(changed() == 2 && has("inet filter chain elsewhere: 2 rules, "));
	nft("add chain inet filter forward { policy accept; }\n");
	CHECK(changed() == 1 && has("inet filter chain forward (priority 0, policy accept)"));
	nft("add table ip6 six\nadd chain ip6 six through { type filter hook forward priority 10; "
	    "}\n");
	CHECK(changed() == 1 &&
	      has("ip6 six chain through (priority 10, policy accept): 0 rules, "));
	nft("flush ruleset\n");
	changed();
	CHECK(now.len == 0 && now.digest);
}

/* Another namespace: rules made in another order, with other numbers of sets and handles. */
static void test_history_does_not_matter(void)
{
	nft(filter);
	changed();
	CHECK(begin_anew());
	nft("table ip noise {\n chain c {\n  tcp dport { 1, 2 } accept\n  tcp dport { 3, 4 } "
	    "accept\n }\n}\n");
	nft("table inet filter {\n chain mail { ip saddr { 10.0.0.1, 10.0.0.2 } drop; }\n"
	    " chain forward { type filter hook forward priority 0; policy drop;\n"
	    "  tcp dport { 7, 9 } drop;\n }\n}\n");
	nft("flush chain inet filter mail\nflush chain inet filter forward\n");
	nft(filter);
	CHECK(changed() == 0);
	nft("flush chain inet filter web\nadd rule inet filter web tcp dport { 443, 80 } accept\n"
	    "add rule inet filter web counter packets 7 bytes 700\n");
	CHECK(changed() == 0);
	nft("flush chain inet filter web\nadd rule inet filter web tcp dport { 443, 81 } accept\n"
	    "add rule inet filter web counter\n");
	CHECK(changed() == 1);
}

/* The same through iptables, whose matches nf_tables keeps as the bytes of xtables. */
static void test_iptables(void)
{
	static const char restore[] = "iptables-nft-restore";
	static const char rules[] = "*filter\n:FORWARD DROP [5:50]\n"
				    "-A FORWARD -m conntrack --ctstate %s -j ACCEPT\nCOMMIT\n";
	char text[256];

	CHECK(begin_anew());
	snprintf(text, sizeof(text), rules, "ESTABLISHED");
	run(restore, text);
	changed();
	CHECK(has("ip filter chain FORWARD (priority 0, policy drop): 1 rule, "));
	run(restore, text);
	CHECK(changed() == 0);
	snprintf(text, sizeof(text), rules, "ESTABLISHED,RELATED");
	run(restore, text);
	CHECK(changed() == 1);
}

static void test_generation(void)
{
	uint32_t first, second;

	CHECK(dsaa_policy_generation(&first) == 0);
	CHECK(dsaa_policy_generation(&second) == 0 && first == second);
	nft("add table ip t\n");
	CHECK(dsaa_policy_generation(&second) == 0 && first != second);
}

/* A ruleset that nobody would write by hand is read in a moment. */
static void test_large(void)
{
	FILE *f;

	CHECK(begin_anew());
	f = popen("nft -f -", "w");
	fprintf(f, "table inet large {\n set hosts { type ipv4_addr; }\n");
	for (unsigned i = 0; i < 500; i++)
		fprintf(f, " chain c%u { ip daddr 10.0.%u.1 accept; tcp dport %u drop; }\n", i,
			i % 256, i + 1);
	fprintf(f,
		" chain forward { type filter hook forward priority 0;\n  ip saddr @hosts drop\n");
	for (unsigned i = 0; i < 500; i++)
		fprintf(f, "  tcp sport %u jump c%u\n", i + 1, i);
	fprintf(f, " }\n}\n");
	for (unsigned i = 0; i < 200; i++) {
		fprintf(f, "add element inet large hosts { ");
		for (unsigned k = 0; k < 100; k++)
			fprintf(f, "10.%u.%u.9%s", i, k, k < 99 ? ", " : " }\n");
	}
	CHECK(pclose(f) == 0);
	changed();
	CHECK(now.cut && has("inet large chain c0: 2 rules, "));
	nft("delete element inet large hosts { 10.199.99.9 }\n");
	CHECK(changed() == 0 && now.digest != before.digest); /* in the part that was cut */
}

int main(void)
{
	if (!begin_anew()) {
		printf("skipped: no network namespace: %s\n", strerror(errno));
		return 77;
	}
	if (dsaa_policy_read(&now)) {
		printf("skipped: this kernel has no nf_tables\n");
		return 77;
	}
	CHECK(now.len == 0 && now.digest);
	test_what_is_read();
	test_unchanged();
	test_each_change_shows();
	test_history_does_not_matter();
	test_iptables();
	test_generation();
	test_large();
	return TEST_END();
}
