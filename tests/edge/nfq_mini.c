/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A daemon of nothing but correction, for tests: rules and queue thread of one
 * site in the network namespace it is started in. Other sites' state is what
 * it is told. Arguments say how the site is made, see usage(); then it obeys
 * lines on standard input, each answered by one line:
 *
 *	word SITE alive|adopted|unreachable|unknown	sets a state word and the rules
 *	fast					makes the fast path as configured, tells how it is
 *	gate 0|1					whether foreign connections are here
 *	fill N					makes N connections of the first peer, tells the
 *							filter of them, and that it knows all
 *	forget					empties the filter, which is not used any more
 *	know SRC SPORT DST DPORT			tells the filter of one more
 *	observe 0|1					counts only, or acts
 *	reconfigure					hands the thread the same again
 *	hold MS						what packets of unknown connection may wait
 *	counters					reasons and peers, as name=value, "kernel-" before
 *							those of the fast path alone
 *	clear, status, quit
 *
 * With "kernel old" before "fast" it sees a kernel without tcx (before Linux 6.6).
 *
 * With "fast BPFFS" among the arguments the kernel's fast path works, too; when
 * the process is killed, it stays.
 *
 * The main thread obeys, others run the queues.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <libnetfilter_conntrack/libnetfilter_conntrack.h>

#include "bpf/dsaa_fast.h"
#include "nfq/dsaa_nfq.h"
#include "rules/dsaa_rules.h"

/* queues, and threads, of each site */
enum { QUEUES = 3 };

static struct dsaa_nfq_config nfq_config = {
	.queue_base = DSAA_QUEUE_BASE_DEFAULT,
	.queues = QUEUES,
	.tunnel_port = 3786,
	.tun_name = "dsaa0",
	.tun_device_fd = -1,
};
static struct dsaa_rules_config rules_config = {
	.mark_mask = DSAA_MARK_MASK_DEFAULT,
	.queue_base = DSAA_QUEUE_BASE_DEFAULT,
	.queues = QUEUES,
	.tunnel_port = 3786,
	.tun_name = "dsaa0",
};
static struct dsaa_addrset addresses;
static struct dsaa_nfq_words words;
static int stop_fd;
static struct dsaa_fast *fast; /* NULL: not wanted */
static struct dsaa_fast_config fast_config;
static const char *bpffs;

static void usage(void)
{
	fprintf(stderr,
		"nfq_mini site N mask HEX tunfd N fast BPFFS iface NAME address A pool PREFIX "
		"peer N LOCAL REMOTE IFNAME link LOCAL IFNAME ...\n");
	exit(2);
}

/* ------------------------------------------------------------------ an old kernel */

/* bpf() refuses what only tcx wants of it here, as it does where tcx is not known. */
static void forget_tcx(void)
{
#define LOAD(field)  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IF(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, n, 0)
	struct sock_filter code[] = {
		LOAD(nr),
		IF(__NR_bpf, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		LOAD(args[0]),
		IF(BPF_PROG_ATTACH, 3),
		IF(BPF_PROG_DETACH, 2),
		IF(BPF_PROG_QUERY, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
	};
	struct sock_fprog filter = { sizeof(code) / sizeof(code[0]), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, 2, &filter))
		perror("seccomp");
}

/* ------------------------------------------------------------------ arguments */

static struct dsaa_addr to_addr(const char *text)
{
	struct dsaa_addr a = { .family = strchr(text, ':') ? 6 : 4 };

	if (inet_pton(a.family == 6 ? AF_INET6 : AF_INET, text, a.bytes) != 1)
		usage();
	return a;
}

static void add_pool(char *text)
{
	struct dsaa_prefix *p = &rules_config.pool[rules_config.pools++];
	char *slash = strchr(text, '/');

	if (!slash)
		usage();
	*slash = '\0';
	p->addr = to_addr(text);
	p->len = atoi(slash + 1);
}

static void add_iface(const char *name)
{
	struct dsaa_nfq_iface *i = &nfq_config.iface[nfq_config.ifaces++];

	snprintf(i->name, sizeof(i->name), "%s", name);
	i->ifindex = if_nametoindex(name);
	snprintf(rules_config.iface[rules_config.ifaces++], DSAA_RULES_NAME_LEN, "%s", name);
}

/*
 * Tunnel packets come in there only, says the table; without it that is the queue thread's to
 * say.
 */
static void add_rules_link(const char *local, const char *ifname)
{
	unsigned n = rules_config.links++;

	rules_config.link[n].addr = to_addr(local);
	rules_config.link[n].ifindex = if_nametoindex(ifname);
	snprintf(rules_config.link[n].iface, DSAA_RULES_NAME_LEN, "%s", ifname);
}

/* A further link when the peer is there already. */
static void add_peer(unsigned site, const char *local, const char *remote, const char *ifname)
{
	struct dsaa_nfq_peer *p = nfq_config.peer;

	while (p < nfq_config.peer + nfq_config.peers && p->site != site)
		p++;
	if (p == nfq_config.peer + nfq_config.peers)
		nfq_config.peers++;
	p->site = site;
	p->link[p->links].local = to_addr(local);
	p->link[p->links].remote = to_addr(remote);
	p->link[p->links].ifindex = if_nametoindex(ifname);
	rules_config.peer[rules_config.peers++] = p->link[p->links].remote;
	p->links++;
}

static void read_arguments(char **arg)
{
	struct dsaa_addr a;

	for (; arg[0]; arg += 2) {
		if (!arg[1])
			usage();
		if (strcmp(arg[0], "site") == 0) {
			nfq_config.local_site = atoi(arg[1]);
		} else if (strcmp(arg[0], "mask") == 0) {
			rules_config.mark_mask = strtoul(arg[1], NULL, 16);
		} else if (strcmp(arg[0], "tunfd") == 0) {
			nfq_config.tun_device_fd = atoi(arg[1]);
		} else if (strcmp(arg[0], "kernel") == 0) {
			forget_tcx();
		} else if (strcmp(arg[0], "fast") == 0) {
			bpffs = arg[1];
		} else if (strcmp(arg[0], "iface") == 0) {
			add_iface(arg[1]);
		} else if (strcmp(arg[0], "pool") == 0) {
			add_pool(arg[1]);
		} else if (strcmp(arg[0], "address") == 0) {
			a = to_addr(arg[1]);
			dsaa_addrset_add(&addresses, &a);
		} else if (strcmp(arg[0], "link") == 0 && arg[2]) {
			add_rules_link(arg[1], arg[2]);
			arg++;
		} else if (strcmp(arg[0], "peer") == 0 && arg[2] && arg[3] && arg[4]) {
			add_peer(atoi(arg[1]), arg[2], arg[3], arg[4]);
			arg += 3;
		} else {
			usage();
		}
	}
}

/* ------------------------------------------------------------------ fast path */

static void make_fast_config(void)
{
	const struct dsaa_nfq_config *c = &nfq_config;
	unsigned i, j;

	memset(&fast_config, 0, sizeof(fast_config));
	fast_config.local_site = c->local_site;
	fast_config.mark_mask = rules_config.mark_mask;
	fast_config.tunnel_port = c->tunnel_port;
	memcpy(fast_config.tun_name, c->tun_name, sizeof(fast_config.tun_name));
	fast_config.peers = c->peers;
	for (i = 0; i < c->peers; i++) {
		fast_config.peer[i].site = c->peer[i].site;
		fast_config.peer[i].links = c->peer[i].links;
		for (j = 0; j < c->peer[i].links; j++) {
			fast_config.peer[i].link[j].local = c->peer[i].link[j].local;
			fast_config.peer[i].link[j].remote = c->peer[i].link[j].remote;
			fast_config.peer[i].link[j].ifindex = c->peer[i].link[j].ifindex;
		}
	}
	fast_config.ifaces = c->ifaces;
	for (i = 0; i < c->ifaces; i++) {
		memcpy(fast_config.iface[i].name, c->iface[i].name, DSAA_FAST_NAME_LEN);
		fast_config.iface[i].caught = true;
	}
}

static bool load_fast(char *err, size_t errlen)
{
	unsigned i;

	fast = dsaa_fast_load(bpffs, geteuid(), getegid(), err, errlen);
	if (!fast)
		return false;
	make_fast_config();
	nfq_config.send_only = true;
	for (i = 0; i < 2 * DSAA_LOCAL_ADDRESSES_MAX; i++)
		if (addresses.slots[i].addr.family)
			dsaa_fast_address(fast, &addresses.slots[i].addr, true);
	for (i = 1; i <= DSAA_SITES_MAX; i++)
		words.word[i] = dsaa_fast_get_word(fast, i);
	return true;
}

static bool apply_fast(struct dsaa_fast_status *st)
{
	return dsaa_fast_apply(fast, &fast_config, st);
}

static void show_fast(void)
{
	struct dsaa_fast_status st;
	unsigned i;

	printf("%s", apply_fast(&st) ? "ok" : "error");
	printf(" pinned=%d repaired=%u kernel=", st.pinned, st.repaired);
	for (i = 0; i < fast_config.ifaces; i++)
		printf("%d", st.kernel[i]);
	printf(" why=%s\n", st.why);
}

/* ------------------------------------------------------------------ conntrack */

struct found {
	bool yes;
	uint32_t mark;
};

static int on_found(enum nf_conntrack_msg_type type, struct nf_conntrack *ct, void *arg)
{
	struct found *f = arg;

	(void)type;
	f->yes = true;
	f->mark = nfct_get_attr_u32(ct, ATTR_MARK);
	return NFCT_CB_CONTINUE;
}

static struct nf_conntrack *to_ct(const struct dsaa_packet *p)
{
	struct nf_conntrack *ct = nfct_new();
	const struct dsaa_tuple *t = &p->tuple;

	if (!ct)
		return NULL;
	nfct_set_attr_u8(ct, ATTR_L3PROTO, p->family == 4 ? AF_INET : AF_INET6);
	nfct_set_attr_u8(ct, ATTR_L4PROTO, p->tuple_proto);
	nfct_set_attr(ct, p->family == 4 ? ATTR_IPV4_SRC : ATTR_IPV6_SRC, t->src);
	nfct_set_attr(ct, p->family == 4 ? ATTR_IPV4_DST : ATTR_IPV6_DST, t->dst);
	if (p->tuple_proto == DSAA_PROTO_ICMP || p->tuple_proto == DSAA_PROTO_ICMPV6) {
		nfct_set_attr_u8(ct, ATTR_ICMP_TYPE, t->dport >> 8);
		nfct_set_attr_u8(ct, ATTR_ICMP_CODE, t->dport & 0xff);
		nfct_set_attr_u16(ct, ATTR_ICMP_ID, htons(t->sport));
	} else {
		nfct_set_attr_u16(ct, ATTR_PORT_SRC, htons(t->sport));
		nfct_set_attr_u16(ct, ATTR_PORT_DST, htons(t->dport));
	}
	return ct;
}

static int find(void *arg, const struct dsaa_packet *p, unsigned *owner)
{
	struct nfct_handle *h = arg;
	struct nf_conntrack *ct = to_ct(p);
	struct found f = { false, 0 };

	if (!ct)
		return -1;
	nfct_callback_register(h, NFCT_T_ALL, on_found, &f);
	nfct_query(h, NFCT_Q_GET, ct);
	nfct_callback_unregister(h);
	nfct_destroy(ct);
	*owner = dsaa_mark_owner(f.mark, rules_config.mark_mask);
	return f.yes;
}

/* ------------------------------------------------------------------ connections of a peer */

static void know(const char *src, unsigned sport, const char *dst, unsigned dport)
{
	struct dsaa_addr from = to_addr(src), to = to_addr(dst);
	struct dsaa_tuple t = { .sport = sport, .dport = dport };

	memcpy(t.src, from.bytes, sizeof(t.src));
	memcpy(t.dst, to.bytes, sizeof(t.dst));
	dsaa_fast_filter_add(fast, from.family, &t);
}

static bool add_entry(const char *src, unsigned sport, const char *dst, unsigned dport,
		      uint32_t mark)
{
	struct nf_conntrack *ct = nfct_new();
	bool ok;

	nfct_set_attr_u8(ct, ATTR_L3PROTO, AF_INET);
	nfct_set_attr_u32(ct, ATTR_IPV4_SRC, inet_addr(src));
	nfct_set_attr_u32(ct, ATTR_IPV4_DST, inet_addr(dst));
	nfct_set_attr_u8(ct, ATTR_L4PROTO, IPPROTO_UDP);
	nfct_set_attr_u16(ct, ATTR_PORT_SRC, htons(sport));
	nfct_set_attr_u16(ct, ATTR_PORT_DST, htons(dport));
	nfct_setobjopt(ct, NFCT_SOPT_SETUP_REPLY);
	nfct_set_attr_u32(ct, ATTR_TIMEOUT, 600);
	nfct_set_attr_u32(ct, ATTR_MARK, mark);
	ok = nfct_query(nfq_config.find_arg, NFCT_Q_CREATE, ct) == 0;
	nfct_destroy(ct);
	return ok;
}

static void fill(unsigned count)
{
	uint32_t mark = dsaa_mark_set_owner(0, rules_config.mark_mask, nfq_config.peer[0].site);
	unsigned i, made = 0;
	char src[20], dst[20];

	for (i = 0; i < count; i++) {
		snprintf(src, sizeof(src), "198.18.%u.%u", i >> 8 & 255, i & 255);
		snprintf(dst, sizeof(dst), "198.19.0.%u", i % 250 + 1);
		know(src, 1024 + i % 60000, dst, 53);
		made += add_entry(src, 1024 + i % 60000, dst, 53, mark);
	}
	dsaa_fast_filter_complete(fast);
	printf("ok %u\n", made);
}

/* ------------------------------------------------------------------ commands */

static bool apply_rules(void)
{
	struct dsaa_rules_status st;
	unsigned i;

	rules_config.foreigns = 0;
	rules_config.second_chance = false;
	for (i = 1; i <= DSAA_SITES_MAX; i++) {
		if (i == nfq_config.local_site)
			continue;
		if (words.word[i] == DSAA_WORD_ALIVE)
			rules_config.second_chance = true;
		if (words.word[i] != DSAA_WORD_ADOPTED)
			rules_config.foreign[rules_config.foreigns++] = i;
	}
	/* a narrow mask holds fewer sites */
	while (rules_config.foreigns && rules_config.foreign[rules_config.foreigns - 1] >
						dsaa_mark_sites_max(rules_config.mark_mask))
		rules_config.foreigns--;
	if (dsaa_rules_apply(&rules_config, &st) == 0)
		return true;
	printf("error %s\n", st.why);
	return false;
}

static void set_word(unsigned site, const char *name)
{
	static const char *const names[] = { "unknown", "alive", "adopted", "unreachable" };
	unsigned i;

	for (i = 0; i < 4; i++)
		if (strcmp(names[i], name) == 0 && site >= 1 && site <= DSAA_SITES_MAX) {
			words.word[site] = i;
			if (fast)
				dsaa_fast_set_word(fast, site, i);
			if (apply_rules())
				printf("ok\n");
			return;
		}
	printf("error word\n");
}

/* What the table refused since the last clear; it does so only for the links that it knows. */
static void add_refused(struct dsaa_nfq_counters *c, bool clear)
{
	static uint64_t strangers_before, malformed_before;
	uint64_t strangers, malformed;

	if (dsaa_rules_refused(&strangers, &malformed) < 0)
		return;
	if (clear) {
		strangers_before = strangers;
		malformed_before = malformed;
		return;
	}
	c->reason[DSAA_R_RX_STRANGER] += strangers - strangers_before;
	c->reason[DSAA_R_RX_MALFORMED] += malformed - malformed_before;
}

static void show_counters(struct dsaa_nfq *nfq)
{
	struct dsaa_fast_counters k = { 0 };
	struct dsaa_nfq_counters c;
	unsigned i;

	dsaa_nfq_counters(nfq, &c);
	add_refused(&c, false);
	if (fast)
		dsaa_fast_counters(fast, &k);
	printf("ok");
	for (i = 0; i < DSAA_REASONS_MAX; i++) {
		if (k.packets[i])
			printf(" kernel-%s=%llu", dsaa_reason_name(i),
			       (unsigned long long)k.packets[i]);
		c.reason[i] += k.packets[i];
	}
	c.reason[DSAA_R_RX_DELIVERED] -= c.taken_back < c.reason[DSAA_R_RX_DELIVERED] ?
						 c.taken_back :
						 c.reason[DSAA_R_RX_DELIVERED];
	for (i = 0; i <= DSAA_SITES_MAX; i++) {
		c.peer[i].packets_sent += k.peer[i].packets_sent;
		c.peer[i].packets_received += k.peer[i].packets_received;
	}
	if (c.waiting || c.hold_full)
		printf(" waiting=%llu hold-full=%llu", (unsigned long long)c.waiting,
		       (unsigned long long)c.hold_full);
	for (i = 0; i < DSAA_REASONS_MAX; i++)
		if (c.reason[i])
			printf(" %s=%llu", dsaa_reason_name(i), (unsigned long long)c.reason[i]);
	for (i = 0; i <= DSAA_SITES_MAX; i++)
		if (c.peer[i].packets_sent || c.peer[i].packets_received)
			printf(" sent%u=%llu received%u=%llu", i,
			       (unsigned long long)c.peer[i].packets_sent, i,
			       (unsigned long long)c.peer[i].packets_received);
	printf("\n");
}

static void show_status(struct dsaa_nfq *nfq)
{
	struct dsaa_nfq_status st;

	dsaa_nfq_status(nfq, &st);
	printf("ok tun=%u links=%u ready=%u why=%s\n", st.tun_ifindex, st.links, st.links_ready,
	       st.why);
}

static void clear_counters(struct dsaa_nfq *nfq)
{
	dsaa_nfq_counters_clear(nfq);
	add_refused(NULL, true);
	if (fast)
		dsaa_fast_counters_clear(fast);
	printf("ok\n");
}

static void obey(struct dsaa_nfq *nfq, char *line)
{
	static char reconfigure[] = "reconfigure\n";
	char word[64], to[64], err[200];
	unsigned site, port;

	if (sscanf(line, "hold %u", &site) == 1) {
		nfq_config.hold_ms = site;
		line = reconfigure;
	}
	if (sscanf(line, "word %u %31s", &site, word) == 2)
		set_word(site, word);
	else if (strcmp(line, "reconfigure\n") == 0)
		printf("%s\n",
		       dsaa_nfq_reconfigure(nfq, &nfq_config, err, sizeof(err)) ? "ok" : err);
	else if (strcmp(line, "counters\n") == 0)
		show_counters(nfq);
	else if (strcmp(line, "status\n") == 0)
		show_status(nfq);
	else if (strcmp(line, "clear\n") == 0)
		clear_counters(nfq);
	else if (fast && strcmp(line, "fast\n") == 0)
		show_fast();
	else if (fast && sscanf(line, "gate %u", &site) == 1)
		dsaa_fast_set_foreign(fast, site), show_fast();
	else if (fast && sscanf(line, "fill %u", &site) == 1)
		fill(site);
	else if (fast && strcmp(line, "forget\n") == 0)
		dsaa_fast_filter_reset(fast), printf("ok\n");
	else if (fast && sscanf(line, "know %63s %u %63s %u", word, &site, to, &port) == 4)
		know(word, site, to, port), printf("ok\n");
	else if (fast && sscanf(line, "observe %u", &site) == 1)
		fast_config.observe = site, show_fast();
	else
		printf("error command\n");
}

struct server {
	pthread_t thread;
	struct dsaa_nfq *nfq;
	unsigned number;
};

static void *serve(void *arg)
{
	const struct server *s = arg;
	int rc = dsaa_nfq_run(s->nfq, s->number, stop_fd);

	if (rc < 0)
		fprintf(stderr, "nfq_mini: queue thread %u ended: %s\n", s->number, strerror(-rc));
	return NULL;
}

int main(int argc, char **argv)
{
	struct dsaa_fast_status fast_status;
	struct dsaa_nfq *nfq;
	struct server server[QUEUES];
	char line[256], err[200];
	uint64_t one = 1;
	unsigned i;

	(void)argc;
	setvbuf(stdout, NULL, _IOLBF, 0);
	read_arguments(argv + 1);
	nfq_config.addresses = &addresses;
	nfq_config.words = &words;
	nfq_config.find = find;
	nfq_config.find_arg = nfct_open(CONNTRACK, 0);
	stop_fd = eventfd(0, 0);
	if (bpffs && !load_fast(err, sizeof(err))) {
		printf("none %s\n", err);
		return 0;
	}
	nfq = dsaa_nfq_open(&nfq_config, err, sizeof(err));
	if (!nfq || !nfq_config.find_arg || !apply_rules()) {
		printf("error %s\n", nfq ? "rules or conntrack" : err);
		return 1;
	}
	if (fast && !apply_fast(&fast_status)) {
		printf("none %s\n", fast_status.why);
		return 0;
	}
	for (i = 0; i < QUEUES; i++) {
		server[i].nfq = nfq;
		server[i].number = i;
		pthread_create(&server[i].thread, NULL, serve, &server[i]);
	}
	printf("ready\n");
	while (fgets(line, sizeof(line), stdin) && strcmp(line, "quit\n") != 0)
		obey(nfq, line);
	if (write(stop_fd, &one, sizeof(one)) < 0)
		return 1;
	for (i = 0; i < QUEUES; i++)
		pthread_join(server[i].thread, NULL);
	if (fast && !dsaa_fast_remove(fast, err, sizeof(err)))
		fprintf(stderr, "nfq_mini: %s\n", err);
	dsaa_fast_close(fast);
	dsaa_nfq_close(nfq);
	nfct_close(nfq_config.find_arg);
	printf("%s\n", dsaa_rules_remove(err, sizeof(err)) == 0 ? "ok" : err);
	return 0;
}
