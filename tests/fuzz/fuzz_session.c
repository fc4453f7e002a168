/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A live engine, site 1, over a small fake kernel, with peers 2 and 3 that say
 * whatever the input says: raw bytes, and messages that the encoder made, so
 * that the deep states are reached as well.
 *
 * Input: a list of steps, one byte that tells which and its operands. Checked
 * after every step: the engine's bounds, and what it does to the kernel: no
 * entry of ours goes but by the ownership rule, no entry of a third site at
 * all.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "core/dsaa_engine_private.h"
#include "tests/fuzz/fuzz.h"

enum {
	LOCAL = 1,
	SITES = 3,
	SLOTS = 48,
	FLOWS = 32, /* different connections */
	LOG = 16,
	SEEN = 64,
	BATCH_MAX = 12,
	STEPS_MAX = 200,
	ROOM = 200000,
};

static struct {
	struct dsaa_engine *e;
	void *mem;
	struct dsaa_engine_config cfg;
	struct dsaa_mono now;
	struct dsaa_flow table[SLOTS];
	unsigned used, limit, next_id;
	int dump_at; /* -1: none */
	uint64_t seq[SITES + 1];
	enum dsaa_site_word word[SITES + 1];
} w;

static void feed(struct dsaa_event *ev);

/* ------------------------------------------------------------------ connections */

/* Number N: pairs of them are each other's reverse, or share a NAT address. */
static struct dsaa_flow flow_number(unsigned n)
{
	struct dsaa_flow f = { .family = 4,
			       .proto = n & 2 ? DSAA_PROTO_UDP : DSAA_PROTO_TCP,
			       .timeout_s = 60 };
	struct dsaa_tuple t;

	n %= FLOWS;
	memcpy(f.orig.src, (uint8_t[]){ 10, 1, 0, (uint8_t)(n / 4 + 1) }, 4);
	memcpy(f.orig.dst, (uint8_t[]){ 10, 9, 0, 1 }, 4);
	f.orig.sport = 1000 + n / 4;
	f.orig.dport = 80;
	dsaa_tuple_reverse(f.proto, &f.orig, &f.reply);
	if (n % 8 == 4) { /* two of them to the same address and port */
		f.reply.dst[3] = 99;
		f.reply.dport = (uint16_t)(3000 + n / 16);
	}
	if (n % 4 == 3) { /* an answer that came first */
		t = f.orig;
		f.orig = f.reply;
		f.reply = t;
	}
	if (f.proto == DSAA_PROTO_TCP)
		f.tcp_state = 3;
	dsaa_flow_derive_nat(&f);
	return f;
}

static struct dsaa_flow some_flow(struct fuzz_input *in)
{
	struct dsaa_flow f = flow_number(fuzz_u8(in));
	uint8_t how = fuzz_u8(in);

	f.status |= how & (DSAA_FLOW_SEEN_REPLY | DSAA_FLOW_ASSURED);
	f.start_ns = (uint64_t)(how >> 2 & 7) * 1000;
	if (f.proto == DSAA_PROTO_TCP)
		f.tcp_state = 1 + (how >> 5);
	return f;
}

/* ------------------------------------------------------------------ kernel */

static bool meets(const struct dsaa_flow *a, const struct dsaa_tuple *t, uint8_t proto)
{
	return a->proto == proto &&
	       (!memcmp(&a->orig, t, sizeof(*t)) || !memcmp(&a->reply, t, sizeof(*t)));
}

static struct dsaa_flow *find(const struct dsaa_flow *f)
{
	for (unsigned i = 0; i < w.used; i++)
		if (meets(&w.table[i], &f->orig, f->proto))
			return &w.table[i];
	return NULL;
}

static struct dsaa_flow *obstacle(const struct dsaa_flow *f)
{
	struct dsaa_flow *there = find(f);

	for (unsigned i = 0; !there && i < w.used; i++)
		if (meets(&w.table[i], &f->reply, f->proto))
			there = &w.table[i];
	return there;
}

static void drop(struct dsaa_flow *f)
{
	*f = w.table[--w.used];
}

static void create(struct dsaa_apply *op)
{
	struct dsaa_flow *there = obstacle(&op->flow);

	op->result = DSAA_APPLIED_OK;
	if (there) {
		op->existing = *there;
		op->result = DSAA_APPLIED_EXISTS;
	} else if (w.used >= w.limit) {
		op->result = DSAA_APPLIED_FULL;
	} else {
		w.table[w.used] = op->flow;
		w.table[w.used++].id = ++w.next_id;
	}
}

static unsigned owner_of(const struct dsaa_flow *f)
{
	return dsaa_mark_owner(f->mark, w.cfg.mark_mask);
}

/* May OP touch THERE? The same rules as tests/sim/check.c has. */
static void check_touch(const struct dsaa_apply *op, const struct dsaa_flow *there)
{
	unsigned owner = owner_of(there), sender = owner_of(&op->flow);
	enum dsaa_owner_decision d;

	if (op->kind == DSAA_APPLY_DELETE) {
		FUZZ_CHECK(owner && owner != LOCAL);
		return;
	}
	if (!sender) { /* adoption */
		FUZZ_CHECK(!owner || w.word[owner] == DSAA_WORD_ADOPTED);
		return;
	}
	d = dsaa_owner_decide(there, &op->flow, w.cfg.mark_mask, (dsaa_site_id)sender, LOCAL);
	FUZZ_CHECK(d == DSAA_OWNER_TAKE || d == DSAA_OWNER_REPLACE);
}

static struct dsaa_flow *target(const struct dsaa_apply *op)
{
	struct dsaa_flow *there = find(op->kind == DSAA_APPLY_UPDATE ? &op->flow : &op->existing);

	if (there && op->kind != DSAA_APPLY_UPDATE && there->id != op->existing.id)
		there = NULL;
	return there;
}

static void apply_one(struct dsaa_apply *op)
{
	struct dsaa_flow *there;

	if (op->kind == DSAA_APPLY_CREATE) {
		create(op);
		return;
	}
	if (op->kind == DSAA_APPLY_LOOKUP) {
		there = obstacle(&op->flow);
		op->result = there ? DSAA_APPLIED_EXISTS : DSAA_APPLIED_ABSENT;
		if (there)
			op->existing = *there;
		return;
	}
	there = target(op);
	if (there)
		check_touch(op, there);
	op->result = there ? DSAA_APPLIED_OK : DSAA_APPLIED_ABSENT;
	if (op->kind == DSAA_APPLY_UPDATE && there) {
		there->mark = op->flow.mark;
		there->status |= op->flow.status;
		there->tcp_state = op->flow.tcp_state;
	} else if (op->kind == DSAA_APPLY_DELETE && there) {
		drop(there);
	} else if (op->kind == DSAA_APPLY_REPLACE) {
		if (there)
			drop(there);
		create(op);
	}
}

/* ------------------------------------------------------------------ engine */

static void check_engine(void)
{
	const struct dsaa_engine *e = w.e;

	FUZZ_CHECK(e->log.live <= e->log.entries && e->log.next - e->log.first <= e->log.entries);
	FUZZ_CHECK(e->seen.used <= e->seen.capacity / 4 * 3);
	FUZZ_CHECK(e->wanted.used <= e->wanted.capacity / 4 * 3);
	FUZZ_CHECK(e->claims <= DSAA_CLAIMS_MAX);
	FUZZ_CHECK(e->action_count < DSAA_ACTIONS_MAX && e->arena_used <= DSAA_ARENA_LEN);
	FUZZ_CHECK(e->op_count <= DSAA_FLOWS_PER_MSG_MAX &&
		   e->dump_op_count <= DSAA_FLOWS_PER_MSG_MAX &&
		   e->hash_count <= DSAA_HASHES_PER_MSG_MAX);
	DSAA_FOREACH_PEER_CONST (e, p) {
		bool up = p->session == DSAA_SESSION_ESTABLISHED;

		FUZZ_CHECK(p->inflight_count <= DSAA_INFLIGHT_MAX);
		FUZZ_CHECK(!up || (p->word != DSAA_WORD_ADOPTED && !p->adopting));
		FUZZ_CHECK(up || p->state != DSAA_PEER_UP);
	}
}

static void act(const struct dsaa_action *a)
{
	switch (a->type) {
	case DSAA_ACT_SEND:
		FUZZ_CHECK(a->len <= ROOM && a->len >= DSAA_MSG_HEADER_LEN && a->site > LOCAL);
		break;
	case DSAA_ACT_DUMP:
		w.dump_at = 0;
		break;
	case DSAA_ACT_DUMP_CANCEL:
		w.dump_at = -1;
		break;
	case DSAA_ACT_SITE_WORD:
		FUZZ_CHECK(a->site > LOCAL && a->site <= SITES);
		w.word[a->site] = a->word;
		break;
	default:
		break;
	}
}

static void feed(struct dsaa_event *ev)
{
	struct dsaa_action a, apply = { 0 };
	struct dsaa_event done = { .type = DSAA_EV_APPLIED };

	dsaa_engine_step(w.e, w.now, ev);
	check_engine();
	while (dsaa_engine_next_action(w.e, &a)) {
		if (a.type == DSAA_ACT_APPLY)
			apply = a;
		else
			act(&a);
	}
	if (!apply.count)
		return;
	FUZZ_CHECK(apply.count <= DSAA_FLOWS_PER_MSG_MAX);
	for (unsigned i = 0; i < apply.count; i++)
		apply_one(&apply.ops[i]);
	done.ops = apply.ops;
	done.count = apply.count;
	feed(&done);
}

/*
 * The engine's memory, all zero, with a page behind it that may not be touched.
 * Of its 18 MB an input touches a few pages; giving those back to the kernel
 * instead of writing all of them doubles the inputs per second.
 */
static void clear_memory(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t size = (dsaa_engine_size(LOG, SEEN) + page - 1) / page * page;
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS;

	if (!w.mem) {
		/* cppcheck-suppress invalidFunctionArg ; -1 is what anonymous memory asks for */
		w.mem = mmap(NULL, size + page, PROT_READ | PROT_WRITE, flags, -1, 0);
		if (w.mem == MAP_FAILED || mprotect((uint8_t *)w.mem + size, page, PROT_NONE))
			abort();
	} else if (madvise(w.mem, size, MADV_DONTNEED)) {
		abort();
	}
}

static void set_up(void)
{
	struct dsaa_event ev = { .type = DSAA_EV_CONFIG, .config = &w.cfg };

	clear_memory();
	w.used = w.next_id = 0;
	w.limit = SLOTS;
	w.dump_at = -1;
	w.now.us = 1000000;
	memset(w.seq, 0, sizeof(w.seq));
	memset(w.word, 0, sizeof(w.word));
	w.cfg.cluster_id = 7;
	w.cfg.local = LOCAL;
	w.cfg.can_connect = true;
	w.cfg.mark_mask = DSAA_MARK_MASK_DEFAULT;
	w.cfg.hold_time_ms = 1000;
	w.cfg.start_timer_ms = 2000;
	w.cfg.audit_interval_ms = 1000;
	memset(w.cfg.protocols, 0xff, sizeof(w.cfg.protocols));
	for (int s = 1; s <= SITES; s++) {
		w.cfg.site[s].configured = true;
		w.cfg.site[s].sync_addresses = 1;
		w.cfg.site[s].sync_address[0] = (struct dsaa_addr){ 4, { 172, 16, 0, (uint8_t)s } };
	}
	w.cfg.site[SITES].has_probe = true;
	w.e = dsaa_engine_init(w.mem, LOG, SEEN, 1000, 7, w.now);
	feed(&ev);
}

/* ------------------------------------------------------------------ what peers say */

static void receive(dsaa_site_id site, const uint8_t *data, size_t len)
{
	struct dsaa_event ev = { .type = DSAA_EV_RECEIVED, .site = site };
	/* of exactly this length, so that reading past it is seen */
	uint8_t *copy = malloc(len ? len : 1);
	size_t at = 0;

	memcpy(copy, data, len);
	while (at < len) {
		ev.type = DSAA_EV_RECEIVED;
		ev.data = copy + at;
		ev.len = len - at;
		feed(&ev);
		FUZZ_CHECK(ev.consumed <= ev.len);
		if (!ev.consumed)
			break;
		at += ev.consumed;
	}
	free(copy);
}

static void say(dsaa_site_id site, const struct dsaa_msg *m)
{
	static uint8_t buf[DSAA_MSG_MAX];

	receive(site, buf, dsaa_wire_encode(buf, sizeof(buf), m));
}

static void say_hello(struct fuzz_input *in, dsaa_site_id site)
{
	struct dsaa_msg m = { .type = DSAA_MSG_HELLO };
	uint8_t odd = fuzz_u8(in);

	m.hello = (struct dsaa_msg_hello){ .major = DSAA_WIRE_MAJOR,
					   .minor = DSAA_WIRE_MINOR,
					   .from = site,
					   .to = LOCAL,
					   .cluster_id = 7,
					   .epoch = 5 + odd % 4,
					   .hold_time_ms = 1000 };
	m.hello.known_epoch = odd & 16 ? w.e->epoch : odd & 32;
	m.hello.known_seq = odd & 64 ? dsaa_log_last(&w.e->log) : odd % 8;
	if (odd > 250)
		m.hello.cluster_id++;
	w.seq[site] = 0;
	say(site, &m);
}

static void say_flows(struct fuzz_input *in, dsaa_site_id site, uint8_t type)
{
	static uint8_t buf[DSAA_MSG_MAX];
	struct dsaa_flows_writer fw;
	unsigned count = 1 + fuzz_u8(in) % BATCH_MAX;
	uint8_t odd = fuzz_u8(in);

	dsaa_wire_flows_begin(&fw, buf, sizeof(buf), type, w.e->peer[site].epoch + (odd > 250),
			      w.e->peer[site].bulk_rx_id + (odd > 240));
	for (unsigned i = 0; i < count; i++) {
		struct dsaa_record r = { .op = DSAA_OP_UPSERT, .flow = some_flow(in) };

		if (type == DSAA_MSG_FLOWS) {
			r.seq = ++w.seq[site] - (odd % 16 == 1);
			if (odd & 16 && i % 2)
				r.op = DSAA_OP_DELETE;
		}
		dsaa_wire_flows_add(&fw, &r);
	}
	receive(site, buf, dsaa_wire_flows_end(&fw));
}

/* A bulk's or audit's beginning or end, with the right numbers most of the time. */
static void say_bulk(struct fuzz_input *in, dsaa_site_id site, uint8_t type)
{
	const struct dsaa_peer *p = &w.e->peer[site];
	struct dsaa_msg m = { .type = type };
	uint8_t odd = fuzz_u8(in);

	if (type >= DSAA_MSG_AUDIT_BEGIN) {
		m.hashes.audit_id = type == DSAA_MSG_AUDIT_BEGIN ? odd : p->audit_rx_id;
		say(site, &m);
		return;
	}
	m.bulk.bulk_id = type == DSAA_MSG_BULK_BEGIN ? odd :
			 type == DSAA_MSG_BULK_END   ? p->bulk_rx_id :
						       p->bulk_tx_id;
	m.bulk.count = type == DSAA_MSG_BULK_END ? p->bulk_rx_count : p->bulk_tx_count;
	m.bulk.digest = type == DSAA_MSG_BULK_END ? p->bulk_rx_digest : p->bulk_tx_digest;
	m.bulk.count += odd > 250;
	m.bulk.rejected = odd > 240;
	say(site, &m);
}

static void say_hashes(struct fuzz_input *in, dsaa_site_id site, uint8_t type)
{
	uint64_t list[BATCH_MAX];
	struct dsaa_msg m = { .type = type };

	m.hashes.audit_id = type == DSAA_MSG_AUDIT_WANT ? fuzz_u8(in) : w.e->peer[site].audit_rx_id;
	m.hashes.count = (uint16_t)(1 + fuzz_u8(in) % BATCH_MAX);
	m.hashes.list = list;
	for (unsigned i = 0; i < m.hashes.count; i++) {
		struct dsaa_flow f = some_flow(in);

		list[i] = dsaa_flow_key_hash(&f, DSAA_DIGEST_SEED);
	}
	say(site, &m);
}

static void say_something(struct fuzz_input *in, dsaa_site_id site)
{
	struct dsaa_msg m = { .type = (uint8_t)(1 + fuzz_u8(in) % 16) };

	switch (m.type) {
	case DSAA_MSG_HELLO:
		say_hello(in, site);
		break;
	case DSAA_MSG_FLOWS:
	case DSAA_MSG_BULK_FLOWS:
	case DSAA_MSG_AUDIT_FLOWS:
		say_flows(in, site, m.type);
		break;
	case DSAA_MSG_BULK_BEGIN:
	case DSAA_MSG_BULK_END:
	case DSAA_MSG_BULK_DONE:
	case DSAA_MSG_AUDIT_BEGIN:
	case DSAA_MSG_AUDIT_END:
		say_bulk(in, site, m.type);
		break;
	case DSAA_MSG_AUDIT_HASHES:
	case DSAA_MSG_AUDIT_WANT:
		say_hashes(in, site, m.type);
		break;
	case DSAA_MSG_ACK:
		m.ack.epoch = w.e->epoch;
		m.ack.seq = fuzz_u8(in);
		say(site, &m);
		break;
	case DSAA_MSG_REFUSE:
	case DSAA_MSG_GOODBYE:
		m.goodbye.reason = fuzz_u8(in);
		say(site, &m);
		break;
	default:
		say(site, &m);
		break;
	}
}

/* Bytes of the input as they are, in one piece or byte by byte. */
static void say_raw(struct fuzz_input *in, dsaa_site_id site)
{
	size_t len = fuzz_u8(in);

	if (len > in->size)
		len = in->size;
	receive(site, in->data, len);
	in->data += len;
	in->size -= len;
}

/* ------------------------------------------------------------------ what else happens */

static void tick(unsigned ms)
{
	struct dsaa_event ev = { .type = DSAA_EV_ROOM, .room = ROOM };

	w.now.us += (int64_t)ms * 1000;
	for (ev.site = LOCAL + 1; ev.site <= SITES; ev.site++)
		feed(&ev);
	ev.type = DSAA_EV_TICK;
	feed(&ev);
}

static void dump(unsigned count)
{
	while (count-- && w.dump_at >= 0 && dsaa_engine_dump_ready(w.e)) {
		struct dsaa_event ev = { .type = DSAA_EV_DUMP_DONE, .ok = true };
		struct dsaa_flow copy;

		if (w.dump_at < (int)w.used) {
			copy = w.table[w.dump_at++];
			ev.type = DSAA_EV_DUMP_FLOW;
			ev.flow = &copy;
		} else {
			w.dump_at = -1;
		}
		feed(&ev);
	}
}

/*
 * A packet opens, changes or ends a connection here, or comes to another site. As with the edge,
 * the event says when it began only where that is needed.
 */
static void packet(struct fuzz_input *in)
{
	struct dsaa_flow f = some_flow(in), told;
	struct dsaa_flow *there = obstacle(&f);
	struct dsaa_event ev = { .type = DSAA_EV_FLOW, .op = DSAA_OP_UPSERT, .flow = &told };
	uint8_t how = there ? fuzz_u8(in) : 1;

	if (!there) {
		if (w.used >= w.limit)
			return;
		there = &w.table[w.used++];
		*there = f;
		there->id = ++w.next_id;
	}
	if (how % 2)
		there->status |= f.status & (DSAA_FLOW_SEEN_REPLY | DSAA_FLOW_ASSURED);
	told = *there;
	if (how % 2 && how & 0x80) {
		ev.type = DSAA_EV_ELSEWHERE;
	} else if (how % 2) {
		if (!dsaa_engine_needs_lookup(w.e, &told))
			told.start_ns = 0;
	} else {
		drop(there);
		ev.op = DSAA_OP_DELETE;
	}
	feed(&ev);
}

static void link_event(struct fuzz_input *in, dsaa_site_id site)
{
	static const enum dsaa_event_type types[] = {
		DSAA_EV_CONNECTED, DSAA_EV_CONNECTED, DSAA_EV_DISCONNECTED, DSAA_EV_BFD,
		DSAA_EV_PROBE,	   DSAA_EV_BFD_GONE,  DSAA_EV_ATTEMPT,	    DSAA_EV_ROOM,
	};
	uint8_t how = fuzz_u8(in);
	struct dsaa_event ev = { .type = types[how % 8],
				 .site = site,
				 .up = how & 8,
				 .ok = true,
				 .reason = how >> 4,
				 .room = (size_t)how << 9 };

	feed(&ev);
}

static void operator_event(struct fuzz_input *in)
{
	static const enum dsaa_event_type types[] = { DSAA_EV_OVERRUN, DSAA_EV_RESYNC,
						      DSAA_EV_AUDIT, DSAA_EV_DRAIN,
						      DSAA_EV_CONFIG };
	uint8_t how = fuzz_u8(in);
	struct dsaa_event ev = {
		.type = types[how % 5], .site = how >> 4 & 3, .up = how & 8, .config = &w.cfg
	};

	if (ev.type == DSAA_EV_CONFIG)
		w.cfg.site[2].configured = how & 16;
	feed(&ev);
}

static void step(struct fuzz_input *in)
{
	uint8_t what = fuzz_u8(in);
	dsaa_site_id site = (dsaa_site_id)(LOCAL + 1 + (what >> 7));

	switch (what % 12) {
	case 0:
		say_raw(in, site);
		break;
	case 1:
		link_event(in, site);
		break;
	case 2:
		operator_event(in);
		break;
	case 3:
	case 4:
		packet(in);
		break;
	case 5:
		tick(fuzz_u8(in) * 10);
		break;
	case 6:
		tick(50);
		dump(fuzz_u8(in));
		break;
	case 7:
		w.limit = w.used + fuzz_u8(in) % SLOTS;
		w.limit = w.limit > SLOTS ? SLOTS : w.limit;
		break;
	default:
		say_something(in, site);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };

	w.cfg.site[2].configured = true;
	set_up();
	for (unsigned i = 0; i < STEPS_MAX && in.size; i++)
		step(&in);
	tick(50);
	dump(SLOTS + 1);
	return 0;
}
