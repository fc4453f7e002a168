/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two sites with real connection tables: an engine and a conntrack handle
 * each, in routers of their own, with a pipe between the engines:
 *
 *	              +-- site 1 --+
 *	    client ---+            +--- server
 *	              +-- site 2 --+
 *
 * What the owner has, the other kernel has; what somebody alters there is put
 * right; what a dead owner had is adopted with the timeouts of this kernel;
 * FTP finds its data connections through either site, also after the owner
 * died. Namespaces without a name, which vanish with the process.
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
#include <time.h>
#include <unistd.h>

#include "conntrack/dsaa_conntrack.h"
#include "tests/unit/test.h"

#define MASK DSAA_MARK_MASK_DEFAULT

enum { SITE1, SITE2, CLIENT, SERVER, NODES };

enum {
	LOG_ENTRIES = 1 << 15,
	SEEN_ENTRIES = 1 << 16,
	PIPE = 4 << 20,
	MANY = 20000,
	SOME = 2000, /* that are put in the way of the audit */
};

/* ------------------------------------------------------------------ two sites */

struct site {
	int ns;
	dsaa_site_id id;
	struct dsaa_engine *engine;
	struct dsaa_ct *ct, *tool; /* what dsaad has; what somebody else changes the table with */
	bool alive, dumping;
	enum dsaa_site_word word; /* of the other one */
	uint8_t *pipe;		  /* towards the other one */
	size_t piped;
};

static struct site sites[2];
static bool linked;
static int ns[NODES];

static struct dsaa_mono now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (struct dsaa_mono){ (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000 };
}

static void enter(int node)
{
	if (setns(ns[node], CLONE_NEWNET)) {
		perror("setns");
		exit(1);
	}
}

static void step(struct site *s, struct dsaa_event *ev);

static struct site *other(const struct site *s)
{
	return s == &sites[0] ? &sites[1] : &sites[0];
}

static void feed(struct site *s, enum dsaa_event_type type)
{
	struct dsaa_event ev = {
		.type = type, .site = other(s)->id, .ok = true, .reason = DSAA_R_TRANSPORT_LOST
	};

	step(s, &ev);
}

static void carry_out(struct site *s, const struct dsaa_action *a)
{
	struct dsaa_timeouts t;
	struct dsaa_event ev = { .type = DSAA_EV_TIMEOUTS, .timeouts = &t };

	switch (a->type) {
	case DSAA_ACT_CONNECT:
		linked = sites[0].alive && sites[1].alive;
		sites[0].piped = sites[1].piped = 0;
		for (unsigned i = 0; linked && i < 2; i++)
			feed(&sites[i], DSAA_EV_CONNECTED);
		if (!linked)
			feed(s, DSAA_EV_DISCONNECTED);
		break;
	case DSAA_ACT_DISCONNECT:
		if (linked && other(s)->alive)
			feed(other(s), DSAA_EV_DISCONNECTED);
		linked = false;
		break;
	case DSAA_ACT_SEND:
		if (linked && s->piped + a->len <= PIPE) {
			memcpy(s->pipe + s->piped, a->data, a->len);
			s->piped += a->len;
		}
		break;
	case DSAA_ACT_DUMP:
		enter(s->id - 1);
		dsaa_ct_timeouts(&t);
		step(s, &ev);
		s->dumping = !dsaa_ct_dump_start(s->ct, a->site);
		CHECK(s->dumping);
		break;
	case DSAA_ACT_DUMP_CANCEL:
		dsaa_ct_dump_cancel(s->ct);
		s->dumping = false;
		break;
	case DSAA_ACT_SITE_WORD:
		s->word = a->word;
		break;
	default:
		break;
	}
}

/* As dsaad/dsaa_sync.c does it. */
static void step(struct site *s, struct dsaa_event *ev)
{
	struct dsaa_action acts[256], apply = { 0 }, expects = { 0 };
	unsigned n = 0;

	dsaa_engine_step(s->engine, now(), ev);
	while (n < 256 && dsaa_engine_next_action(s->engine, &acts[n])) {
		if (acts[n].type == DSAA_ACT_SEND)
			carry_out(s, &acts[n]);
		else if (acts[n].type == DSAA_ACT_APPLY)
			apply = acts[n];
		else if (acts[n].type == DSAA_ACT_EXPECT)
			expects = acts[n];
		else
			n++;
	}
	if (apply.count) {
		struct dsaa_event done = { .type = DSAA_EV_APPLIED,
					   .ops = apply.ops,
					   .count = apply.count };

		dsaa_ct_apply(s->ct, apply.ops, apply.count);
		step(s, &done);
	}
	if (expects.count) {
		struct dsaa_event done = { .type = DSAA_EV_EXPECTED };

		dsaa_ct_expect_apply(s->ct, expects.expects, expects.count);
		step(s, &done);
	}
	for (unsigned i = 0; i < n; i++)
		carry_out(s, &acts[i]);
}

static void on_event(void *arg, enum dsaa_ct_event kind, const struct dsaa_flow *f)
{
	struct dsaa_event ev = { .type = DSAA_EV_FLOW, .flow = f };

	ev.op = kind == DSAA_CT_EVENT_DESTROY ? DSAA_OP_DELETE : DSAA_OP_UPSERT;
	step(arg, &ev);
}

static void on_expect(void *arg, bool gone, const struct dsaa_expect *x,
		      const struct dsaa_flow *master)
{
	struct dsaa_event ev = { .type = DSAA_EV_EXPECT, .expect = x, .flow = master };

	ev.op = gone ? DSAA_OP_DELETE : DSAA_OP_UPSERT;
	step(arg, &ev);
}

static void on_dumped(void *arg, const struct dsaa_flow *f)
{
	struct dsaa_event ev = { .type = DSAA_EV_DUMP_FLOW, .flow = f };

	step(arg, &ev);
}

static void hear(struct site *s)
{
	struct site *from = other(s);
	size_t at = 0;

	while (linked && at < from->piped) {
		struct dsaa_event ev = { .type = DSAA_EV_RECEIVED,
					 .site = from->id,
					 .data = from->pipe + at,
					 .len = from->piped - at };

		step(s, &ev);
		if (!ev.consumed)
			break;
		at += ev.consumed;
	}
	if (!linked)
		return;
	from->piped -= at;
	memmove(from->pipe, from->pipe + at, from->piped);
}

static bool needs_lookup(void *arg, const struct dsaa_flow *f)
{
	const struct site *s = arg;

	return dsaa_engine_needs_lookup(s->engine, f);
}

static void turn(struct site *s)
{
	struct dsaa_event room = { .type = DSAA_EV_ROOM,
				   .site = other(s)->id,
				   .room = linked ? PIPE - s->piped : 0 };

	struct dsaa_ct_reader reader = { .event = on_event,
					 .needs_lookup = needs_lookup,
					 .arg = s };

	if (dsaa_ct_read_events(s->ct, 512, &reader) == -ENOBUFS)
		feed(s, DSAA_EV_OVERRUN);
	dsaa_ct_read_expects(s->ct, 64, on_expect, s);
	hear(s);
	step(s, &room);
	if (s->dumping && dsaa_engine_dump_ready(s->engine)) {
		enum dsaa_ct_dump rc = dsaa_ct_dump_read(s->ct, 512, on_dumped, s);
		struct dsaa_event done = { .type = DSAA_EV_DUMP_DONE,
					   .ok = rc == DSAA_CT_DUMP_DONE };

		s->dumping = rc == DSAA_CT_DUMP_MORE && s->dumping;
		if (rc != DSAA_CT_DUMP_MORE)
			step(s, &done);
	}
	feed(s, DSAA_EV_TICK);
}

/* Lets the sites work until CONDITION holds, at most MS; false when it never did. */
static bool until(bool (*condition)(void), unsigned ms)
{
	int64_t end = now().us + (int64_t)ms * 1000;

	do {
		for (unsigned i = 0; i < 2; i++)
			if (sites[i].alive)
				turn(&sites[i]);
		if (condition && condition())
			return true;
		usleep(200);
	} while (now().us < end);
	return false;
}

static struct dsaa_peer_view view(struct site *s)
{
	struct dsaa_peer_view v = { 0 };

	dsaa_engine_peer_view(s->engine, other(s)->id, &v);
	return v;
}

static bool both_up(void)
{
	return view(&sites[0]).state == DSAA_PEER_UP && view(&sites[1]).state == DSAA_PEER_UP;
}

static bool start_site(unsigned i)
{
	struct site *s = &sites[i];
	static uint64_t epoch = 1000;
	struct dsaa_engine_config c = { .cluster_id = 7,
					.can_connect = true,
					.mark_mask = MASK,
					.hold_time_ms = 3000,
					.start_timer_ms = 2000,
					.audit_interval_ms = 3600000 };
	struct dsaa_event ev = { .type = DSAA_EV_CONFIG, .config = &c };
	char text[160];

	s->id = (dsaa_site_id)(i + 1);
	c.local = s->id;
	memset(c.protocols, 0xff, sizeof(c.protocols));
	for (unsigned n = 1; n <= 2; n++) {
		c.site[n].configured = true;
		c.site[n].sync_addresses = 1;
		c.site[n].sync_address[0].family = 4;
		memcpy(c.site[n].sync_address[0].bytes, (uint8_t[]){ 172, 16, 0, (uint8_t)n }, 4);
	}
	enter((int)i);
	s->ct = dsaa_ct_open(MASK, true, text, sizeof(text));
	s->tool = dsaa_ct_open(MASK, false, text, sizeof(text));
	if (!s->ct || !s->tool) {
		printf("%s\n", text);
		return false;
	}
	dsaa_ct_set_local(s->ct, (unsigned)s->id);
	dsaa_ct_sysctl_setup(s->ct, text, sizeof(text));
	s->engine = dsaa_engine_init(calloc(1, dsaa_engine_size(LOG_ENTRIES, SEEN_ENTRIES)),
				     LOG_ENTRIES, SEEN_ENTRIES, ++epoch, 99 + i, now());
	s->pipe = malloc(PIPE);
	s->alive = true;
	step(s, &ev);
	return true;
}

static void stop_site(unsigned i)
{
	struct site *s = &sites[i];

	dsaa_ct_close(s->ct);
	dsaa_ct_close(s->tool);
	free(s->engine);
	free(s->pipe);
	memset(s, 0, sizeof(*s));
}

/* Site 1 loses power: the other one hears nothing more. */
static void kill_site_1(void)
{
	sites[0].alive = linked = false;
	feed(&sites[1], DSAA_EV_DISCONNECTED);
}

/* ------------------------------------------------------------------ tables */

static struct dsaa_flow connection(unsigned n)
{
	static const uint8_t protos[] = { 6, 6, 17, 1, 132, 47, 136, 50 };
	struct dsaa_flow f = {
		.family = 4, .proto = protos[n % 8], .timeout_s = 7200, .mark = n & 0xfff
	};

	memcpy(f.orig.src, (uint8_t[]){ 192, 0, (uint8_t)(n >> 8), (uint8_t)n }, 4);
	memcpy(f.orig.dst, (uint8_t[]){ 198, 51, 100, (uint8_t)(1 + (n >> 16)) }, 4);
	if (f.proto == DSAA_PROTO_ICMP) {
		f.orig.sport = 9;
		f.orig.dport = 8 << 8;
	} else if (f.proto != 50) {
		f.orig.sport = (uint16_t)(1024 + n % 50000);
		f.orig.dport = 80;
	}
	dsaa_tuple_reverse(f.proto, &f.orig, &f.reply);
	if (n % 5 == 0)
		memcpy(f.reply.dst, (uint8_t[]){ 203, 0, (uint8_t)(n >> 8), (uint8_t)n }, 4);
	if (n % 3)
		f.status = DSAA_FLOW_SEEN_REPLY | (n % 2 ? DSAA_FLOW_ASSURED : 0);
	if (f.proto == DSAA_PROTO_TCP) {
		f.status |= DSAA_FLOW_SEEN_REPLY |
			    DSAA_FLOW_ASSURED; /* else it is told to nobody */
		f.tcp_state = (uint8_t)(1 + n / 8 % 8);
		f.tcp_wscale[0] = f.tcp_wscale[1] = 7;
		f.tcp_flags[0] = f.tcp_flags[1] = 0x0b;
	}
	if (f.proto == DSAA_PROTO_SCTP)
		f.sctp_state = 4;
	dsaa_flow_derive_nat(&f);
	return f;
}

/*
 * COUNT connections from FIRST on, changed by EDIT (or NULL), with the tool of S; how many were
 * OK.
 */
static unsigned with_tool(struct site *s, enum dsaa_apply_kind kind, unsigned first, unsigned count,
			  void (*edit)(struct dsaa_flow *f, unsigned n))
{
	static struct dsaa_apply ops[DSAA_FLOWS_PER_MSG_MAX];
	unsigned ok = 0;

	for (unsigned done = 0; done < count;) {
		unsigned k = 0;

		for (; k < DSAA_FLOWS_PER_MSG_MAX && done < count; k++, done++) {
			memset(&ops[k], 0, sizeof(ops[k]));
			ops[k].kind = kind == DSAA_APPLY_CREATE ? kind : DSAA_APPLY_LOOKUP;
			ops[k].flow = connection(first + done);
			if (kind == DSAA_APPLY_CREATE && edit)
				edit(&ops[k].flow, first + done);
		}
		dsaa_ct_apply(s->tool, ops, k);
		for (unsigned i = 0; kind != DSAA_APPLY_CREATE && i < k; i++) {
			ops[i].flow = ops[i].existing;
			if (edit)
				edit(&ops[i].flow, first + done - k + i);
			ops[i].kind = kind;
		}
		if (kind != DSAA_APPLY_CREATE)
			dsaa_ct_apply(s->tool, ops, k);
		for (unsigned i = 0; i < k; i++)
			ok += ops[i].result == DSAA_APPLIED_OK;
	}
	return ok;
}

struct table {
	unsigned entries, wrong_owner, short_lived, long_lived;
	uint64_t digest;
	unsigned owner;
};

static void count_entry(void *arg, const struct dsaa_flow *f)
{
	struct table *t = arg;

	if (f->orig.dst[0] != 198)
		return; /* not of connection() */
	t->entries++;
	t->wrong_owner += dsaa_mark_owner(f->mark, MASK) != t->owner;
	t->short_lived += f->timeout_s < DSAA_ADOPTED_GRACE_S - 20;
	t->long_lived += f->timeout_s > DSAA_REPLICA_TIMEOUT_S - 600;
	t->digest += dsaa_flow_key_hash(f, 1) ^ dsaa_flow_state_digest(f, MASK, 1);
}

/* What S has of OWNER in its kernel. */
static struct table table(struct site *s, unsigned owner)
{
	struct table t = { .owner = owner };
	enum dsaa_ct_dump rc;

	do {
		memset(&t, 0, sizeof(t));
		t.owner = owner;
		CHECK(!dsaa_ct_dump_start(s->tool, (int)owner));
		while ((rc = dsaa_ct_dump_read(s->tool, 4096, count_entry, &t)) ==
		       DSAA_CT_DUMP_MORE)
			;
	} while (rc != DSAA_CT_DUMP_DONE);
	return t;
}

static bool tables_agree(void)
{
	static int64_t next;
	struct table ours, theirs;

	if (now().us < next)
		return false;
	ours = table(&sites[0], 0);
	theirs = table(&sites[1], 1);
	next = now().us + 100000;
	return ours.entries == theirs.entries && ours.digest == theirs.digest;
}

/* ------------------------------------------------------------------ replicas, audit, adoption */

static void test_replicas(void)
{
	struct table t;

	CHECK(until(both_up, 10000));
	CHECK(with_tool(&sites[0], DSAA_APPLY_CREATE, 0, MANY, NULL) == MANY);
	CHECK(until(tables_agree, 20000));
	t = table(&sites[1], 1);
	CHECK(t.entries == MANY && !t.wrong_owner);
	CHECK(t.long_lived == MANY); /* none of them ages */
}

static void end_soon(struct dsaa_flow *f, unsigned n)
{
	(void)n;
	f->timeout_s = 1;
}

static bool first_are_gone(void)
{
	return tables_agree() && table(&sites[1], 1).entries == MANY - 100;
}

/* What the owner lets die is gone here, too. */
static void test_owner_lets_die(void)
{
	CHECK(with_tool(&sites[0], DSAA_APPLY_UPDATE, 0, 100, end_soon) == 100);
	CHECK(until(first_are_gone, 10000));
	CHECK(with_tool(&sites[0], DSAA_APPLY_CREATE, 0, 100, NULL) == 100);
	CHECK(until(tables_agree, 10000));
}

/* The user's mark, the NAT, whether an answer was seen. */
static void alter(struct dsaa_flow *f, unsigned n)
{
	switch (n % 3) {
	case 0:
		f->mark ^= 0x800;
		break;
	case 1:
		memcpy(f->reply.dst, (uint8_t[]){ 203, 1, (uint8_t)(n >> 8), (uint8_t)n }, 4);
		dsaa_flow_derive_nat(f);
		break;
	default:
		f->mark ^= 0x400;
		f->status |= DSAA_FLOW_SEEN_REPLY | DSAA_FLOW_ASSURED;
		break;
	}
}

static void as_of_site_1(struct dsaa_flow *f, unsigned n)
{
	(void)n;
	f->mark = dsaa_mark_set_owner(f->mark, MASK, 1);
}

static bool audited(void)
{
	struct dsaa_peer_view v = view(&sites[1]);

	return v.audits && v.audit_repaired >= v.audit_differences;
}

/* Random deletions, alterations and additions behind the daemon's back. */
static void test_audit(void)
{
	unsigned deleted = 0, altered = 0;
	struct dsaa_peer_view v;

	for (unsigned n = 0; n < SOME; n++) {
		unsigned which = n * 10 + (unsigned)(test_random() % 10);

		if (n % 2)
			deleted += with_tool(&sites[1], DSAA_APPLY_DELETE, which, 1, NULL);
		else
			altered += with_tool(&sites[1], DSAA_APPLY_UPDATE, which, 1, alter);
	}
	CHECK(deleted == SOME / 2 && altered == SOME / 2);
	CHECK(with_tool(&sites[1], DSAA_APPLY_CREATE, MANY, 500, as_of_site_1) == 500);
	CHECK(!tables_agree());
	until(NULL, 200);
	CHECK(view(&sites[1]).audits == 0);
	feed(&sites[0], DSAA_EV_AUDIT);
	CHECK(until(audited, 20000));
	v = view(&sites[1]);
	printf("audit: %u deleted, %u altered, 500 added: %llu differences, %llu of them altered, "
	       "%llu repaired\n",
	       deleted, altered, (unsigned long long)v.audit_differences,
	       (unsigned long long)v.audit_altered, (unsigned long long)v.audit_repaired);
	/*
	 * eleven bits of a digest are compared: one in 2047 of the altered waits for the next
	 * audit
	 */
	CHECK(v.audit_altered >= altered - altered / 100 && v.audit_altered <= altered);
	CHECK(v.audit_differences >= deleted + altered - altered / 100 + 500);
	CHECK(v.audit_repaired == v.audit_differences);
	/* nothing is left to find */
	feed(&sites[0], DSAA_EV_AUDIT);
	until(NULL, 1500);
	v = view(&sites[1]);
	CHECK(v.audits == 2 && v.audit_differences <= altered / 100);
	CHECK(until(tables_agree, 5000));
}

static bool all_adopted(void)
{
	struct dsaa_engine_view v;

	dsaa_engine_view(sites[1].engine, &v);
	return v.adopted >= MANY;
}

static void test_adoption(void)
{
	struct table t;

	/* what the operator gives, not what Linux does */
	enter(SITE2);
	CHECK(system("echo 1234 >/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established") ==
	      0);
	kill_site_1();
	CHECK(until(all_adopted, 15000));
	CHECK(sites[1].word == DSAA_WORD_ADOPTED);
	until(NULL, 500);
	CHECK(table(&sites[1], 1).entries == 0);
	t = table(&sites[1], 0);
	CHECK(t.entries == MANY && !t.wrong_owner && !t.short_lived);
	CHECK(!t.long_lived); /* none waits its five days any more */
}

#include "tests/edge/conntrack_ftp.h"

int main(void)
{
	if (geteuid() || system("nft --version >/dev/null && ip -V >/dev/null 2>&1")) {
		printf("skipped: needs root, ip and nft\n");
		return 77;
	}
	if (!make_world() || !start_site(0) || !start_site(1))
		return 1;
	test_replicas();
	test_owner_lets_die();
	test_audit();
	test_adoption();
	stop_site(0);
	stop_site(1);
	test_ftp();
	return TEST_END();
}
