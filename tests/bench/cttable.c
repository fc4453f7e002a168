/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looks into, and fills, the conntrack tables of namespaces for sync.py.
 *
 *	cttable fill NETNS COUNT MARK    creates COUNT established connections
 *	cttable compare NETNS-A NETNS-B  what of A's connections is in B
 *	cttable await NETNS COUNT QUIET  waits for COUNT entries, until none came for QUIET seconds
 *	cttable dump NETNS               reads the table, and looks at nothing
 *	cttable deaf NETNS               asks for all events, and reads none, until its input ends
 *
 * compare needs no probe that would disturb the load: with
 * nf_conntrack_timestamp each kernel notes when an entry came into its table,
 * and the namespaces share one clock. So the time from the event in A to the
 * entry in B is the difference of the two.
 *
 * fill uses batches without acknowledgements, the quickest way in that there
 * is; its time is what a transfer cannot be quicker than. dump, and fill beside
 * a deaf listener, are what the kernel itself does of a transfer. One thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <endian.h>
#include <libmnl/libmnl.h>

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "flows.h"

enum {
	BATCH = 128,
	MESSAGE_MAX = 512,
	READ_LEN = 256 << 10,
	ESTABLISHED = TCP_CONNTRACK_ESTABLISHED
};

static char buffer[READ_LEN];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A ctnetlink socket in the namespace NAME; this process stays in it. */
static struct mnl_socket *open_in(const char *name)
{
	char path[256];
	struct mnl_socket *s;
	int size = 16 << 20, fd;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		die(name);
	close(fd);
	s = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!s || mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0)
		die("netlink");
	setsockopt(mnl_socket_get_fd(s), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	setsockopt(mnl_socket_get_fd(s), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return s;
}

static struct nlmsghdr *message(void *at, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(at);
	struct nfgenmsg *g;

	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	g = mnl_nlmsg_put_extra_header(nlh, sizeof(*g));
	g->nfgen_family = AF_INET;
	return nlh;
}

/* ------------------------------------------------------------------ fill */

static void put_tuple(struct nlmsghdr *nlh, uint16_t type, uint32_t src, uint32_t dst,
		      uint32_t sport, uint32_t dport)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, type);
	struct nlattr *inner = mnl_attr_nest_start(nlh, CTA_TUPLE_IP);

	mnl_attr_put_u32(nlh, CTA_IP_V4_SRC, htonl(src));
	mnl_attr_put_u32(nlh, CTA_IP_V4_DST, htonl(dst));
	mnl_attr_nest_end(nlh, inner);
	inner = mnl_attr_nest_start(nlh, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(nlh, CTA_PROTO_NUM, IPPROTO_TCP);
	mnl_attr_put_u16(nlh, CTA_PROTO_SRC_PORT, htons((uint16_t)sport));
	mnl_attr_put_u16(nlh, CTA_PROTO_DST_PORT, htons((uint16_t)dport));
	mnl_attr_nest_end(nlh, inner);
	mnl_attr_nest_end(nlh, nest);
}

static void put_tcp(struct nlmsghdr *nlh)
{
	const uint8_t flags = IP_CT_TCP_FLAG_WINDOW_SCALE | IP_CT_TCP_FLAG_BE_LIBERAL;
	struct nf_ct_tcp_flags fl = { .flags = flags, .mask = flags };
	struct nlattr *nest = mnl_attr_nest_start(nlh, CTA_PROTOINFO);
	struct nlattr *inner = mnl_attr_nest_start(nlh, CTA_PROTOINFO_TCP);

	mnl_attr_put_u8(nlh, CTA_PROTOINFO_TCP_STATE, ESTABLISHED);
	mnl_attr_put_u8(nlh, CTA_PROTOINFO_TCP_WSCALE_ORIGINAL, 7);
	mnl_attr_put_u8(nlh, CTA_PROTOINFO_TCP_WSCALE_REPLY, 7);
	mnl_attr_put(nlh, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, sizeof(fl), &fl);
	mnl_attr_put(nlh, CTA_PROTOINFO_TCP_FLAGS_REPLY, sizeof(fl), &fl);
	mnl_attr_nest_end(nlh, inner);
	mnl_attr_nest_end(nlh, nest);
}

static size_t put_connection(char *at, uint32_t number, uint32_t mark)
{
	struct nlmsghdr *nlh = message(at, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL);
	uint32_t client = flow_client(number), port = flow_port(number);

	put_tuple(nlh, CTA_TUPLE_ORIG, client, FLOW_SERVER, port, FLOW_SERVER_PORT);
	put_tuple(nlh, CTA_TUPLE_REPLY, FLOW_SERVER, client, FLOW_SERVER_PORT, port);
	mnl_attr_put_u32(nlh, CTA_STATUS, htonl(IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED));
	mnl_attr_put_u32(nlh, CTA_TIMEOUT, htonl(432000));
	mnl_attr_put_u32(nlh, CTA_MARK, htonl(mark));
	put_tcp(nlh);
	return MNL_ALIGN(nlh->nlmsg_len);
}

/* Only failures answer. Returns how many there were. */
static unsigned read_failures(struct mnl_socket *s)
{
	unsigned failed = 0;

	while (recv(mnl_socket_get_fd(s), buffer, sizeof(buffer), MSG_DONTWAIT) > 0)
		failed++;
	return failed;
}

static int fill(const char *netns, uint32_t count, uint32_t mark)
{
	struct mnl_socket *s = open_in(netns);
	static char batch[BATCH * MESSAGE_MAX];
	unsigned failed = 0;
	double begin = now();

	for (uint32_t done = 0; done < count;) {
		size_t len = 0;

		for (unsigned i = 0; i < BATCH && done < count; i++)
			len += put_connection(batch + len, done++, mark);
		if (mnl_socket_sendto(s, batch, len) < 0)
			die("send");
		failed += read_failures(s);
	}
	printf("{\"seconds\": %.4f, \"failed\": %u}\n", now() - begin, failed);
	mnl_socket_close(s);
	return failed != 0;
}

/* ------------------------------------------------------------------ compare */

struct entry {
	uint64_t start_ns; /* 0: the kernel noted none */
	uint8_t state;
	uint8_t there;
	uint8_t assured;
};

static const struct nlattr *find(const struct nlattr *nest, uint16_t type)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested (a, nest)
		if (mnl_attr_get_type(a) == type)
			return a;
	return NULL;
}

static uint32_t number_of(const struct nlattr *tuple)
{
	const struct nlattr *ip = find(tuple, CTA_TUPLE_IP), *proto = find(tuple, CTA_TUPLE_PROTO);
	const struct nlattr *src = ip ? find(ip, CTA_IP_V4_SRC) : NULL;
	const struct nlattr *port = proto ? find(proto, CTA_PROTO_SRC_PORT) : NULL;

	if (!src || !port)
		return FLOWS_MAX;
	return flow_number(ntohl(mnl_attr_get_u32(src)), ntohs(mnl_attr_get_u16(port)));
}

static void take(const struct nlmsghdr *nlh, struct entry *table)
{
	struct entry e = { .there = 1 };
	uint32_t number = FLOWS_MAX;
	const struct nlattr *a, *b;

	mnl_attr_for_each (a, nlh, sizeof(struct nfgenmsg)) {
		switch (mnl_attr_get_type(a)) {
		case CTA_TUPLE_ORIG:
			number = number_of(a);
			break;
		case CTA_STATUS:
			e.assured = !!(ntohl(mnl_attr_get_u32(a)) & IPS_ASSURED);
			break;
		case CTA_PROTOINFO:
			b = find(a, CTA_PROTOINFO_TCP);
			b = b ? find(b, CTA_PROTOINFO_TCP_STATE) : NULL;
			e.state = b ? mnl_attr_get_u8(b) : 0;
			break;
		case CTA_TIMESTAMP:
			b = find(a, CTA_TIMESTAMP_START);
			e.start_ns = b ? be64toh(mnl_attr_get_u64(b)) : 0;
			break;
		}
	}
	if (number < FLOWS_MAX)
		table[number] = e;
}

/* Reads the whole table, into TABLE or into nothing. */
static void dump_into(const char *netns, struct entry *table)
{
	struct mnl_socket *s = open_in(netns);
	struct nlmsghdr *nlh = message(buffer, IPCTNL_MSG_CT_GET, NLM_F_DUMP);

	if (mnl_socket_sendto(s, nlh, nlh->nlmsg_len) < 0)
		die("dump");
	for (;;) {
		int len = (int)recv(mnl_socket_get_fd(s), buffer, sizeof(buffer), 0);

		if (len < 0)
			die("dump");
		for (nlh = (void *)buffer; mnl_nlmsg_ok(nlh, len);
		     nlh = mnl_nlmsg_next(nlh, &len)) {
			if (nlh->nlmsg_type == NLMSG_DONE || nlh->nlmsg_type == NLMSG_ERROR) {
				mnl_socket_close(s);
				return;
			}
			if (table)
				take(nlh, table);
		}
	}
}

static struct entry *dump(const char *netns)
{
	struct entry *table = calloc(FLOWS_MAX, sizeof(*table));

	if (!table)
		die("dump");
	dump_into(netns, table);
	return table;
}

static int dump_only(const char *netns)
{
	double begin = now();

	dump_into(netns, NULL);
	printf("{\"seconds\": %.4f}\n", now() - begin);
	return 0;
}

/* The kernel makes each event's message for it, and then has nowhere to put it. */
static int deaf(const char *netns)
{
	const unsigned groups[] = { NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_UPDATE,
				    NFNLGRP_CONNTRACK_DESTROY };
	struct mnl_socket *s = open_in(netns);

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (mnl_socket_setsockopt(s, NETLINK_ADD_MEMBERSHIP, (void *)&groups[i],
					  sizeof(groups[i])))
			die("membership");
	puts("listening");
	fflush(stdout);
	while (getchar() != EOF)
		;
	mnl_socket_close(s);
	return 0;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a - *(const double *)b;

	return (x > 0) - (x < 0);
}

static double share(const double *sorted, uint32_t count, double part)
{
	return count ? sorted[(uint32_t)((count - 1) * part)] : 0;
}

static int compare(const char *name_a, const char *name_b)
{
	struct entry *a = dump(name_a), *b = dump(name_b);
	double *ms = calloc(FLOWS_MAX, sizeof(*ms));
	uint32_t in_a = 0, in_b = 0, missing = 0, differ = 0, extra = 0, timed = 0;
	uint64_t last_a = 0, last_b = 0;

	if (!ms)
		die("memory");
	for (uint32_t i = 0; i < FLOWS_MAX; i++) {
		in_a += a[i].there;
		in_b += b[i].there;
		missing += a[i].there && !b[i].there;
		extra += b[i].there && !a[i].there;
		if (!a[i].there || !b[i].there)
			continue;
		differ += a[i].state != b[i].state || a[i].assured != b[i].assured;
		last_a = a[i].start_ns > last_a ? a[i].start_ns : last_a;
		last_b = b[i].start_ns > last_b ? b[i].start_ns : last_b;
		if (a[i].start_ns && b[i].start_ns)
			ms[timed++] = ((double)b[i].start_ns - (double)a[i].start_ns) / 1e6;
	}
	qsort(ms, timed, sizeof(*ms), by_value);
	printf("{\"a\": %u, \"b\": %u, \"missing\": %u, \"differ\": %u, \"extra\": %u, \"timed\": "
	       "%u, ",
	       in_a, in_b, missing, differ, extra, timed);
	printf("\"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f, \"max\": %.3f, \"behind\": %.3f}\n",
	       share(ms, timed, 0.5), share(ms, timed, 0.9), share(ms, timed, 0.99),
	       share(ms, timed, 1), ((double)last_b - (double)last_a) / 1e9);
	return 0;
}

/* ------------------------------------------------------------------ await */

static unsigned entries(void)
{
	static const char file[] = "/proc/sys/net/netfilter/nf_conntrack_count";
	char text[16] = "";
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		die(file);
	close(fd);
	return (unsigned)atoi(text);
}

/*
 * The seconds since the start until COUNT entries were there, or, when none came for QUIET
 * seconds, until the last one came; and since the first one.
 */
static int await(const char *netns, unsigned count, double quiet)
{
	static const struct timespec pause = { 0, 2000000 };
	double begin = now(), first = 0, last = begin;
	unsigned before, have;

	mnl_socket_close(open_in(netns));
	before = have = entries();
	while (have < count && now() - last < quiet) {
		nanosleep(&pause, NULL);
		have = entries();
		if (have == before)
			continue;
		before = have;
		last = now();
		first = first > 0 ? first : last;
	}
	printf("{\"count\": %u, \"seconds\": %.3f, \"from_first\": %.3f}\n", have, last - begin,
	       first > 0 ? last - first : 0);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "await"))
		return await(argv[2], (unsigned)atol(argv[3]), atof(argv[4]));
	if (argc == 5 && !strcmp(argv[1], "fill") && strtoul(argv[3], NULL, 0) <= FLOWS_MAX)
		return fill(argv[2], (uint32_t)strtoul(argv[3], NULL, 0),
			    (uint32_t)strtoul(argv[4], NULL, 0));
	if (argc == 4 && !strcmp(argv[1], "compare"))
		return compare(argv[2], argv[3]);
	if (argc == 3 && !strcmp(argv[1], "dump"))
		return dump_only(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "deaf"))
		return deaf(argv[2]);
	return 2;
}
