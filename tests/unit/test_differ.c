/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What two sites should have alike: the lines themselves, the message that
 * tells them, and what the engine does when they differ.
 */
#include "core/dsaa_lines.h"
#include "tests/unit/test.h"
#include "tests/unit/world.h"

static struct world w;

/* ------------------------------------------------------------------ lines */

static void lines(struct dsaa_lines *l, const char *const *text)
{
	dsaa_lines_begin(l);
	for (; *text; text++)
		dsaa_lines_add(l, *text, strlen(*text));
}
#define LINES(l, ...) lines(l, (const char *const[]){ __VA_ARGS__, NULL })

/* The next line that only A has, or "" when there is none. */
static const char *only(const struct dsaa_lines *a, const struct dsaa_lines *b, size_t *at)
{
	static char text[200];
	const char *line;
	size_t len = dsaa_lines_only(a, b, at, &line);

	snprintf(text, sizeof(text), "%.*s", (int)len, len ? line : "");
	return text;
}

static void test_only(void)
{
	static struct dsaa_lines a, b;
	size_t at = 0;

	LINES(&a, "one", "two", "two", "three", "thr");
	LINES(&b, "three", "one", "two", "four");
	CHECK(!strcmp(only(&a, &b, &at), "two"));
	CHECK(!strcmp(only(&a, &b, &at), "thr"));
	CHECK(!strcmp(only(&a, &b, &at), ""));
	at = 0;
	CHECK(!strcmp(only(&b, &a, &at), "four"));
	CHECK(!strcmp(only(&b, &a, &at), ""));
	at = 0;
	CHECK(!strcmp(only(&a, &a, &at), ""));
	CHECK(a.digest != b.digest && a.digest && b.digest);
}

static void test_text_is_harmless(void)
{
	static struct dsaa_lines l;

	LINES(&l, "a\x1b[2Jb\tc\xc3\xa4", "");
	CHECK(l.len == 11 && !memcmp(l.text, "a?[2Jb?c??\n", 11));
	CHECK(dsaa_lines_valid(l.text, l.len) && !l.cut);
	CHECK(dsaa_lines_valid("", 0));
	CHECK(!dsaa_lines_valid("a", 1));
	CHECK(!dsaa_lines_valid("\n", 1));
	CHECK(!dsaa_lines_valid("a\n\nb\n", 5));
	CHECK(!dsaa_lines_valid("a\x1b\n", 3));
	CHECK(!dsaa_lines_valid("a\0\n", 3));
	CHECK(!dsaa_lines_valid("\xff\n", 2));
}

/* The digest goes on where the text ends, so that the cut part is compared, too. */
static void test_too_long(void)
{
	static struct dsaa_lines a, b;
	char line[80];

	dsaa_lines_begin(&a);
	dsaa_lines_begin(&b);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(line, sizeof(line), "site 1 uips eth%u 192.0.2.%u/24", i, i % 256);
		dsaa_lines_add(&a, line, strlen(line));
		if (i == 999)
			strcpy(line, "other");
		dsaa_lines_add(&b, line, strlen(line));
	}
	CHECK(a.cut && b.cut && a.len <= DSAA_LINES_MAX && dsaa_lines_valid(a.text, a.len));
	CHECK(a.len == b.len && !memcmp(a.text, b.text, a.len) && a.digest != b.digest);
}

/* ------------------------------------------------------------------ LINES */

static size_t encode(uint8_t *buf, size_t cap, const struct dsaa_lines *l, uint8_t kind)
{
	struct dsaa_msg m = { .type = DSAA_MSG_LINES };

	m.lines.kind = kind;
	m.lines.cut = l->cut;
	m.lines.digest = l->digest;
	m.lines.text = l->text;
	m.lines.len = l->len;
	return dsaa_wire_encode(buf, cap, &m);
}

static void test_message(void)
{
	static uint8_t buf[DSAA_MSG_MAX];
	static struct dsaa_lines l;
	struct dsaa_msg m;
	size_t len;

	LINES(&l, "cluster-id 7", "hold-time 3000");
	len = encode(buf, sizeof(buf), &l, DSAA_LINES_BLOCK);
	CHECK(len == (size_t)DSAA_MSG_HEADER_LEN + 10 + l.len);
	CHECK(dsaa_wire_decode(buf, len, &m, NULL) == DSAA_R_NONE);
	CHECK(m.type == DSAA_MSG_LINES && m.lines.kind == DSAA_LINES_BLOCK && !m.lines.cut);
	CHECK(m.lines.digest == l.digest && m.lines.len == l.len);
	CHECK(!memcmp(m.lines.text, l.text, l.len));
	buf[DSAA_MSG_HEADER_LEN + 1] = 2; /* cut */
	CHECK(dsaa_wire_decode(buf, len, &m, NULL) == DSAA_R_MALFORMED);
	buf[DSAA_MSG_HEADER_LEN + 1] = 1;
	CHECK(dsaa_wire_decode(buf, len, &m, NULL) == DSAA_R_NONE && m.lines.cut);
	buf[len - 1] = 'x';
	CHECK(dsaa_wire_decode(buf, len, &m, NULL) == DSAA_R_MALFORMED);
	CHECK(!encode(buf, DSAA_MSG_HEADER_LEN + 10 + l.len - 1, &l, DSAA_LINES_BLOCK));
}

/* ------------------------------------------------------------------ the engine */

static void tell(int s, enum dsaa_lines_kind kind, const char *line)
{
	static struct dsaa_lines l;
	struct dsaa_event ev = { .type = DSAA_EV_LINES, .op = kind, .lines = &l };

	LINES(&l, "alike", line);
	world_feed(&w, s, &ev);
}

static void begin(int sites, enum dsaa_ruleset_mismatch mismatch)
{
	world_init(&w, sites);
	for (int s = 1; s <= sites; s++) {
		w.site[s].cfg.ruleset_mismatch = mismatch;
		world_boot(&w, s);
		tell(s, DSAA_LINES_BLOCK, "block");
		tell(s, DSAA_LINES_RULESET, "rules");
	}
	world_run_ms(&w, 1500);
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_UP);
}

static struct dsaa_peer_view view(int s, int peer)
{
	struct dsaa_peer_view v = { 0 };

	dsaa_engine_peer_view(w.site[s].engine, (dsaa_site_id)peer, &v);
	return v;
}

/* How often S has told that it differs (TO 1) from, or is like (0), its peers, for REASON. */
static unsigned told(int s, uint8_t to, unsigned reason)
{
	struct dsaa_history h[DSAA_HISTORY_MAX];
	unsigned n = dsaa_engine_history(w.site[s].engine, h, DSAA_HISTORY_MAX), count = 0;

	for (unsigned i = 0; i < n; i++)
		count += h[i].kind == DSAA_HISTORY_LINES && h[i].to == to && h[i].reason == reason;
	return count;
}

static void test_lines_that_differ(void)
{
	static struct dsaa_lines here, there;
	size_t at = 0;

	begin(2, DSAA_RULESET_WARN);
	world_run_ms(&w, 6000);
	CHECK(!view(1, 2).block_differs && !view(1, 2).ruleset_differs);
	tell(2, DSAA_LINES_BLOCK, "another block");
	world_run_ms(&w, 100);
	CHECK(view(1, 2).block_differs && view(2, 1).block_differs && !view(1, 2).ruleset_differs);
	CHECK(dsaa_engine_lines(w.site[1].engine, 0, DSAA_LINES_BLOCK, &here));
	CHECK(dsaa_engine_lines(w.site[1].engine, 2, DSAA_LINES_BLOCK, &there));
	CHECK(!strcmp(only(&here, &there, &at), "block"));
	at = 0;
	CHECK(!strcmp(only(&there, &here, &at), "another block"));
	/* a roll-out takes a while */
	CHECK(told(1, 1, DSAA_R_BLOCK_DIFFERS) == 0);
	world_run_ms(&w, 5500);
	CHECK(told(1, 1, DSAA_R_BLOCK_DIFFERS) == 1 && told(2, 1, DSAA_R_BLOCK_DIFFERS) == 1);
	tell(1, DSAA_LINES_BLOCK, "another block");
	world_run_ms(&w, 100);
	CHECK(!view(1, 2).block_differs && !view(2, 1).block_differs);
	CHECK(told(1, 0, DSAA_R_BLOCK_DIFFERS) == 1 && told(2, 0, DSAA_R_BLOCK_DIFFERS) == 1);
	CHECK(told(1, 1, DSAA_R_RULESET_DIFFERS) == 0);
	world_free(&w);
}

static void test_short_difference_is_not_told(void)
{
	begin(2, DSAA_RULESET_WARN);
	tell(2, DSAA_LINES_RULESET, "new rules");
	world_run_ms(&w, 3000);
	tell(1, DSAA_LINES_RULESET, "new rules");
	world_run_ms(&w, 9000);
	CHECK(told(1, 1, DSAA_R_RULESET_DIFFERS) == 0 && told(2, 1, DSAA_R_RULESET_DIFFERS) == 0);
	world_free(&w);
}

/* One that does not tell its lines, as an older version does not, is not called different. */
static void test_unknown_is_no_difference(void)
{
	static struct dsaa_lines l;

	begin(2, DSAA_RULESET_REFUSE_ADOPTION);
	tell(2, DSAA_LINES_RULESET, "other rules");
	world_run_ms(&w, 100);
	CHECK(view(1, 2).adoption_refused);
	world_boot(&w, 2);
	world_run_ms(&w, 8000);
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_UP);
	CHECK(!view(1, 2).ruleset_differs && !view(1, 2).adoption_refused);
	CHECK(!dsaa_engine_lines(w.site[1].engine, 2, DSAA_LINES_RULESET, &l));
	world_free(&w);
}

/* A site dies whose rules are not ours: as the operator says. */
static void dies_with_other_rules(enum dsaa_ruleset_mismatch mismatch)
{
	bool refuse = mismatch == DSAA_RULESET_REFUSE_ADOPTION;
	struct dsaa_flow f = world_flow(1, 5, true), its;
	struct dsaa_event changed = { .type = DSAA_EV_FLOW, .op = DSAA_OP_UPSERT, .flow = &its };
	const char *reason;

	begin(2, mismatch);
	world_open(&w, 2, f);
	tell(2, DSAA_LINES_RULESET, "other rules");
	world_run_ms(&w, 200);
	world_kill(&w, 2);
	world_run_ms(&w, 2500);
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_DEAD);
	CHECK(w.site[1].word[2] == (refuse ? DSAA_WORD_UNREACHABLE : DSAA_WORD_ADOPTED));
	CHECK(world_owner(&w, 1, &f) == (refuse ? 2 : 1));
	CHECK(view(1, 2).reason == (refuse ? DSAA_R_RULESET_DIFFERS : DSAA_R_ALL_SILENT));
	/* a packet of one of them changes nothing of that */
	its = *world_find(&w.site[1], &f);
	world_feed(&w, 1, &changed);
	world_run_ms(&w, 500);
	CHECK(w.site[1].word[2] == (refuse ? DSAA_WORD_UNREACHABLE : DSAA_WORD_ADOPTED));
	CHECK(world_owner(&w, 1, &f) == (refuse ? 2 : 1));
	/* new connections to its prefixes are judged by our rules, so we serve them */
	CHECK(dsaa_engine_advertise(w.site[1].engine, 2, &reason) == DSAA_ADV_ACTIVE);
	/* the operator loads the rules that the dead site had */
	tell(1, DSAA_LINES_RULESET, "other rules");
	world_run_ms(&w, 200);
	CHECK(w.site[1].word[2] == DSAA_WORD_ADOPTED && world_owner(&w, 1, &f) == 1);
	CHECK(view(1, 2).reason == DSAA_R_ALL_SILENT);
	world_free(&w);
}

/* One that was left alone comes back with an empty table: what nobody has any more goes. */
static void test_left_alone_comes_back(void)
{
	struct dsaa_flow f = world_flow(1, 5, true);

	begin(2, DSAA_RULESET_REFUSE_ADOPTION);
	world_open(&w, 2, f);
	tell(2, DSAA_LINES_RULESET, "other rules");
	world_run_ms(&w, 200);
	world_kill(&w, 2);
	world_run_ms(&w, 2500);
	CHECK(world_owner(&w, 1, &f) == 2);
	world_boot(&w, 2);
	world_run_ms(&w, 8000);
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_UP && w.site[1].word[2] == DSAA_WORD_ALIVE);
	CHECK(world_owner(&w, 1, &f) == -1 && world_agrees(&w));
	world_free(&w);
}

static void test_no_handover_to_other_rules(void)
{
	struct dsaa_flow f = world_flow(1, 5, true);
	struct dsaa_event drain = { .type = DSAA_EV_DRAIN, .up = true };
	struct dsaa_engine_view v;

	begin(2, DSAA_RULESET_REFUSE_ADOPTION);
	world_open(&w, 2, f);
	tell(1, DSAA_LINES_RULESET, "other rules");
	world_run_ms(&w, 200);
	world_feed(&w, 2, &drain);
	world_run_ms(&w, 4000);
	dsaa_engine_view(w.site[2].engine, &v);
	CHECK(v.drain == DSAA_DRAIN_DRAINING && v.drain_reason == DSAA_R_RULESET_DIFFERS);
	CHECK(world_owner(&w, 1, &f) == 2 && v.drain_left == 1);
	tell(2, DSAA_LINES_RULESET, "other rules");
	world_run_ms(&w, 3000);
	dsaa_engine_view(w.site[2].engine, &v);
	CHECK(v.drain == DSAA_DRAIN_DONE && world_owner(&w, 1, &f) == 1);
	world_free(&w);
}

/* Isolated, or without its daemon: nothing becomes ours, and what can be carried is carried. */
static void test_split_with_other_rules(void)
{
	begin(2, DSAA_RULESET_REFUSE_ADOPTION);
	w.network = true;
	for (int s = 1; s <= 2; s++) {
		struct dsaa_event ev = { .type = DSAA_EV_CONFIG, .config = &w.site[s].cfg };

		w.site[s].cfg.site[1].has_probe = w.site[s].cfg.site[2].has_probe = true;
		world_feed(&w, s, &ev);
	}
	tell(2, DSAA_LINES_RULESET, "other rules");
	world_run_ms(&w, 2000);
	w.cut[1][2] = w.cut[2][1] = true;
	world_run_ms(&w, 3000);
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_ISOLATED);
	CHECK(w.site[1].word[2] == DSAA_WORD_UNREACHABLE);
	w.cut[1][2] = w.cut[2][1] = false;
	world_run_ms(&w, 3000);
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_UP && w.site[1].word[2] == DSAA_WORD_ALIVE);
	world_free(&w);
}

int main(void)
{
	test_only();
	test_text_is_harmless();
	test_too_long();
	test_message();
	test_lines_that_differ();
	test_short_difference_is_not_told();
	test_unknown_is_no_difference();
	dies_with_other_rules(DSAA_RULESET_WARN);
	dies_with_other_rules(DSAA_RULESET_REFUSE_ADOPTION);
	test_left_alone_comes_back();
	test_no_handover_to_other_rules();
	test_split_with_other_rules();
	return TEST_END();
}
