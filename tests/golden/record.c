/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes a capture of a session as this source tree speaks it to stdout: two
 * engines in a small world (tests/unit/world.h), every kind of connection,
 * every message that a session can have. What a session of two sites that get
 * along does not have (REFUSE, BULK_REQUEST, GOODBYE) stands at the end.
 *
 * A capture of a minor version is made once, before the next one begins, and
 * is never made again: see README.
 */
#include "tests/golden/text.h"
#include "tests/unit/flows.h"
#include "tests/unit/world.h"

static struct world w;
static struct dsaa_record records[DSAA_FLOWS_PER_MSG_MAX];
static struct dsaa_mono began;

static void print_bytes(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		printf("%s%02x%s", i % 32 ? " " : "  ", data[i],
		       i % 32 == 31 || i == len - 1 ? "\n" : "");
}

/* One message: when, from whom to whom, what it says; its records; its bytes. */
static void print_message(int from, int to, const uint8_t *data, size_t len)
{
	struct dsaa_msg m;
	struct text t;

	if (dsaa_wire_decode(data, len, &m, records) != DSAA_R_NONE) {
		fprintf(stderr, "a message that cannot be decoded\n");
		exit(1);
	}
	text_begin(&t);
	text_message(&t, &m);
	printf("at %d %d>%d %s\n", (int)((w.now.us - began.us) / 1000), from, to, t.s);
	if (m.type == DSAA_MSG_FLOWS || m.type == DSAA_MSG_BULK_FLOWS ||
	    m.type == DSAA_MSG_AUDIT_FLOWS) {
		for (unsigned i = 0; i < m.flows.count; i++) {
			text_begin(&t);
			text_record(&t, &records[i]);
			printf(". %s\n", t.s);
		}
	}
	print_bytes(data, len);
}

/* Everything that waits in the pipe, before it is received. */
static void print_pipe(int from, int to)
{
	const struct world_pipe *p = &w.pipe[from][to];
	unsigned reason;
	size_t at = 0;
	long len;

	while ((len = dsaa_wire_frame(p->buf + at, p->len - at, &reason)) > 0) {
		print_message(from, to, p->buf + at, (size_t)len);
		at += (size_t)len;
	}
}

static void run_ms(int ms)
{
	for (int t = 0; t < ms; t += 10) {
		w.now.us += 10000;
		for (int s = 1; s <= 2; s++)
			world_tick_site(&w, s);
		for (int s = 1; s <= 2; s++) {
			print_pipe(s, 3 - s);
			world_receive(&w, s, 3 - s);
		}
	}
}

/* A connection of PROTO that differs by N, with the states of the middle of its life. */
static struct dsaa_flow flow(uint8_t family, uint8_t proto, uint32_t n)
{
	struct dsaa_flow f = flow_make(family, proto, n);

	f.status = DSAA_FLOW_SEEN_REPLY | (n % 2 ? DSAA_FLOW_ASSURED : 0);
	f.mark = n;
	f.start_ns = UINT64_C(1700000000000000000) + n;
	if (proto == DSAA_PROTO_TCP) {
		f.tcp_state = 3;
		f.tcp_wscale[0] = 7;
		f.tcp_wscale[1] = 9;
		f.tcp_flags[0] = 0x03;
		f.tcp_flags[1] = 0x23;
	}
	if (proto == DSAA_PROTO_SCTP) {
		f.sctp_state = 4;
		f.sctp_vtag[0] = 0x01020304;
		f.sctp_vtag[1] = 0xfffefdfc;
	}
	if (proto == DSAA_PROTO_DCCP) {
		f.dccp_state = 4;
		f.dccp_role = 1;
		f.dccp_handshake_seq = UINT64_C(0xfedcba987654);
	}
	return f;
}

static struct dsaa_flow with_nat(struct dsaa_flow f, bool source, bool destination)
{
	if (source) {
		f.reply.dst[0] = 203;
		f.reply.dport ^= 0x1111;
	}
	if (destination) {
		f.reply.src[0] = 172;
		f.reply.sport ^= 0x2222;
	}
	dsaa_flow_derive_nat(&f);
	return f;
}

/* An expected connection of a helper, with everything that may come with one (since 1.1). */
static struct dsaa_flow with_rare(struct dsaa_flow f, const struct dsaa_flow *master)
{
	strcpy(f.helper, "ftp");
	f.has = DSAA_HAS_SEQADJ | DSAA_HAS_LABELS | DSAA_HAS_MASTER | DSAA_HAS_REPLY_ZONE;
	f.seqadj[0] = (struct dsaa_seqadj){ 1000, -3, 4 };
	f.seqadj[1] = (struct dsaa_seqadj){ 2000, 0, 5 };
	f.labels[0] = 0x80;
	f.labels[15] = 1;
	f.reply_zone = 9;
	f.master_proto = master->proto;
	f.master = master->orig;
	return f;
}

/* Site 1 has one of each kind before the session, and opens one of each during it. */
static void open_all(uint32_t n, bool told)
{
	static const uint8_t protos[] = { 1, 6, 17, 33, 47, 50, 58, 132, 136 };

	for (size_t i = 0; i < sizeof(protos); i++) {
		for (uint8_t family = 4; family <= 6; family += 2) {
			struct dsaa_flow f = flow(family, protos[i], n + (uint32_t)i);
			struct dsaa_apply op = { .kind = DSAA_APPLY_CREATE };
			bool ports = protos[i] != 1 && protos[i] != 58 && protos[i] != 50;

			if ((protos[i] == 1 && family == 6) || (protos[i] == 58 && family == 4))
				continue;
			if (protos[i] == 50)
				f.orig.sport = f.orig.dport = f.reply.sport = f.reply.dport = 0;
			if (protos[i] == 17 && family == 6)
				f.zone = 7;
			if (ports && family == 4)
				f = with_nat(f, i % 2, i % 4 >= 2);
			op.flow = f;
			if (told)
				world_open(&w, 1, f);
			else
				world_apply(&w.site[1], &op);
		}
	}
}

static void print_by_hand(int from, int to, const struct dsaa_msg *m)
{
	uint8_t buf[64];

	print_message(from, to, buf, dsaa_wire_encode(buf, sizeof(buf), m));
}

/*
 * A session that goes on begins with this, in the place of a bulk; hashes as a site of 1.0 wants
 * them; and a site that drains.
 */
static void print_others(int from, int to)
{
	static const uint64_t hashes[] = { 0x0123456789abcdef, 0xfedcba9876543210 };

	print_by_hand(
		from, to,
		&(struct dsaa_msg){ .type = DSAA_MSG_AUDIT_HASHES,
				    .hashes = { .audit_id = 99, .count = 2, .list = hashes } });
	print_by_hand(
		from, to,
		&(struct dsaa_msg){ .type = DSAA_MSG_RESUME, .resume = { .from = 7, .to = 19 } });
	print_by_hand(from, to,
		      &(struct dsaa_msg){ .type = DSAA_MSG_HANDOVER, .handover = { .count = 5 } });
	print_by_hand(from, to,
		      &(struct dsaa_msg){ .type = DSAA_MSG_EXPECTS,
					  .expects = { .epoch = 1000000002, .reset = 1 } });
}

/* What site 2 holds in the end; how long a replica lives is no matter of the protocol. */
static void print_table(void)
{
	for (unsigned i = 0; i < w.site[2].used; i++) {
		struct dsaa_flow f = w.site[2].table[i];
		struct text t;

		f.timeout_s = 0;
		text_begin(&t);
		text_flow(&t, &f);
		text_rare(&t, &f);
		printf("entry %s\n", t.s);
	}
}

/* What site S has to tell of itself. */
static void set_up(int s)
{
	static const char rules[] =
		"inet filter chain forward (priority 0, policy drop): 3 rules, 0123456789abcdef";
	static struct dsaa_lines l;
	struct dsaa_event ev = { .type = DSAA_EV_LINES, .lines = &l };

	dsaa_lines_begin(&l);
	dsaa_lines_add(&l, "cluster-id 7", 12);
	dsaa_lines_add(&l, s == 1 ? "hold-time 1000" : "hold-time 2000", 14);
	ev.op = DSAA_LINES_BLOCK;
	world_feed(&w, s, &ev);
	dsaa_lines_begin(&l);
	dsaa_lines_add(&l, rules, sizeof(rules) - 1);
	ev.op = DSAA_LINES_RULESET;
	world_feed(&w, s, &ev);
}

int main(void)
{
	struct dsaa_event audit = { .type = DSAA_EV_AUDIT };
	struct dsaa_flow f = flow(4, 6, 5000);

	world_init(&w, 2);
	began = w.now;
	open_all(100, false);
	printf("# SPDX-License-Identifier: GPL-2.0-or-later\n");
	printf("# A session of sites 1 and 2 in version %d.%d of the sync protocol; see README.\n",
	       DSAA_WIRE_MAJOR, DSAA_WIRE_MINOR);
	world_boot(&w, 1);
	world_boot(&w, 2);
	set_up(1);
	set_up(2);
	run_ms(700);
	open_all(200, true);
	world_open(&w, 1, f);
	world_open(&w, 1, with_rare(flow(4, 6, 5001), &f));
	world_open(&w, 1, with_rare(flow(6, 6, 5002), &f));
	run_ms(50);
	f.tcp_state = 5;
	f.timeout_s = 7;
	world_open(&w, 1, f);
	world_close(&w, 1, flow(4, 17, 102));
	run_ms(50);
	/* somebody removes replicas at site 2: the audit has something to ask for */
	for (unsigned i = 0; i < 3; i++)
		world_drop_entry(&w.site[2], &w.site[2].table[i * 5]);
	world_feed(&w, 1, &audit);
	run_ms(600);
	print_others(2, 1);
	print_by_hand(2, 1,
		      &(struct dsaa_msg){ .type = DSAA_MSG_AUDIT_BUSY, .hashes.audit_id = 99 });
	print_by_hand(2, 1, &(struct dsaa_msg){ .type = DSAA_MSG_BULK_REQUEST });
	print_by_hand(
		2, 1,
		&(struct dsaa_msg){ .type = DSAA_MSG_REFUSE, .refuse.reason = DSAA_R_MALFORMED });
	print_by_hand(1, 2,
		      &(struct dsaa_msg){ .type = DSAA_MSG_GOODBYE,
					  .goodbye.reason = DSAA_R_PEER_STOPPING });
	print_table();
	world_free(&w);
	return 0;
}
