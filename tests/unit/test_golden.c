/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The captures of tests/golden: what sites of this and of the previous minor
 * version say is still understood, byte by byte, and an engine of today holds
 * a whole session with them, in the place of either site.
 */
#include "tests/golden/text.h"
#include "tests/unit/flows.h"
#include "tests/unit/world.h"

enum {
	MESSAGES_MAX = 128,
	ENTRIES_MAX = 128,
	LINE_MAX_LEN = 4096,
	/* how long the engine may take to come to the point where an answer to it fits, ms */
	PATIENCE_MS = 2000,
};

struct message {
	int at_ms, from, to;
	char text[LINE_MAX_LEN];
	unsigned records;
	char record[DSAA_FLOWS_PER_MSG_MAX][512];
	uint8_t *bytes;
	size_t len;
};

static struct message messages[MESSAGES_MAX];
static unsigned message_count;
static char entries[ENTRIES_MAX][512];
static unsigned entry_count;
static struct dsaa_record records[DSAA_FLOWS_PER_MSG_MAX];
static struct world w;

/* ------------------------------------------------------------------ reading */

static void read_hex(struct message *m, const char *line)
{
	unsigned byte;
	int used;

	while (sscanf(line, " %2x%n", &byte, &used) == 1) {
		m->bytes = realloc(m->bytes, m->len + 1);
		m->bytes[m->len++] = (uint8_t)byte;
		line += used;
	}
}

static void read_line(char *line)
{
	struct message *m = message_count ? &messages[message_count - 1] : NULL;
	int used = 0;

	line[strcspn(line, "\n")] = '\0';
	if (!strncmp(line, "at ", 3) && message_count < MESSAGES_MAX) {
		m = &messages[message_count++];
		CHECK(sscanf(line, "at %d %d>%d %n", &m->at_ms, &m->from, &m->to, &used) == 3);
		snprintf(m->text, sizeof(m->text), "%s", line + used);
	} else if (m && !strncmp(line, ". ", 2) && m->records < DSAA_FLOWS_PER_MSG_MAX) {
		snprintf(m->record[m->records++], sizeof(m->record[0]), "%.500s", line + 2);
	} else if (m && !strncmp(line, "  ", 2)) {
		read_hex(m, line);
	} else if (!strncmp(line, "entry ", 6) && entry_count < ENTRIES_MAX) {
		snprintf(entries[entry_count++], sizeof(entries[0]), "%.500s", line + 6);
	}
}

static bool read_capture(const char *name)
{
	const char *top = getenv("top_srcdir");
	static char line[1 << 20];
	char path[512];
	FILE *file;

	for (unsigned i = 0; i < message_count; i++)
		free(messages[i].bytes);
	memset(messages, 0, sizeof(messages));
	message_count = entry_count = 0;
	snprintf(path, sizeof(path), "%s/tests/golden/%s", top ? top : ".", name);
	file = fopen(path, "r");
	CHECK(file != NULL);
	if (!file)
		return false;
	while (fgets(line, sizeof(line), file))
		read_line(line);
	fclose(file);
	CHECK(message_count > 20 && entry_count > 20);
	return true;
}

/* ------------------------------------------------------------------ decoding */

static bool has_records(uint8_t type)
{
	return type == DSAA_MSG_FLOWS || type == DSAA_MSG_BULK_FLOWS ||
	       type == DSAA_MSG_AUDIT_FLOWS;
}

static void same_text(const char *said, const char *read)
{
	CHECK(!strcmp(said, read));
	if (strcmp(said, read))
		printf("  the capture: %s\n  read:        %s\n", said, read);
}

static void test_decode(unsigned minor)
{
	bool seen[256] = { false };

	for (unsigned i = 0; i < message_count; i++) {
		struct message *g = &messages[i];
		struct dsaa_msg m;
		unsigned why = 0;
		struct text t;

		CHECK(dsaa_wire_frame(g->bytes, g->len, &why) == (long)g->len);
		CHECK(dsaa_wire_decode(g->bytes, g->len, &m, records) == DSAA_R_NONE);
		text_begin(&t);
		text_message(&t, &m);
		same_text(g->text, t.s);
		seen[m.type] = true;
		CHECK((has_records(m.type) ? m.flows.count : 0) == g->records);
		for (unsigned r = 0; has_records(m.type) && r < g->records; r++) {
			text_begin(&t);
			text_record(&t, &records[r]);
			same_text(g->record[r], t.s);
		}
	}
	for (unsigned type = DSAA_MSG_HELLO; type <= DSAA_MSG_AUDIT_FLOWS; type++)
		CHECK(seen[type]);
	CHECK(minor == 0 ||
	      (seen[DSAA_MSG_RESUME] && seen[DSAA_MSG_HANDOVER] && seen[DSAA_MSG_EXPECTS] &&
	       seen[DSAA_MSG_AUDIT_STATES] && seen[DSAA_MSG_LINES] && seen[DSAA_MSG_AUDIT_BUSY]));
}

/* ------------------------------------------------------------------ a session with the old site */

/* The connections that the capture's site 1 had, from its records: ours when we take its place. */
static void fill_site_1(void)
{
	for (unsigned i = 0; i < message_count; i++) {
		struct dsaa_msg m;

		if (messages[i].bytes[2] != DSAA_MSG_BULK_FLOWS)
			continue;
		dsaa_wire_decode(messages[i].bytes, messages[i].len, &m, records);
		for (unsigned r = 0; r < m.flows.count; r++) {
			struct dsaa_apply op = { .kind = DSAA_APPLY_CREATE,
						 .flow = records[r].flow };

			world_apply(&w.site[1], &op);
		}
	}
}

/* True when site S sends a message of TYPE within a while; what it sends is thrown away. */
static bool wait_for(int s, uint8_t type)
{
	struct world_pipe *p = &w.pipe[s][3 - s];

	for (int ms = 0; ms < PATIENCE_MS; ms += 10) {
		size_t at = 0;
		unsigned why;
		long len;

		while ((len = dsaa_wire_frame(p->buf + at, p->len - at, &why)) > 0) {
			if (p->buf[at + 2] == type)
				return true;
			at += (size_t)len;
		}
		w.now.us += 10000;
		world_tick_site(&w, s);
	}
	return false;
}

/* An answer makes sense only once its question was asked. */
static void ask_first(int s, uint8_t answer)
{
	struct dsaa_event audit = { .type = DSAA_EV_AUDIT };

	if (answer == DSAA_MSG_BULK_DONE)
		CHECK(wait_for(s, DSAA_MSG_BULK_END));
	if (answer == DSAA_MSG_AUDIT_WANT) {
		world_feed(&w, s, &audit);
		CHECK(wait_for(s, DSAA_MSG_AUDIT_END));
	}
}

static void hear(int s, const struct message *g)
{
	struct dsaa_event ev = { .type = DSAA_EV_RECEIVED,
				 .site = (dsaa_site_id)(3 - s),
				 .data = g->bytes,
				 .len = g->len };

	world_feed(&w, s, &ev);
	CHECK(ev.consumed == g->len);
}

/* What record.c puts behind the session: it ends one, or belongs into another one. */
static bool is_of_another_session(const struct message *g)
{
	uint8_t type = g->bytes[2];

	return type == DSAA_MSG_REFUSE || type == DSAA_MSG_GOODBYE || type == DSAA_MSG_RESUME ||
	       type == DSAA_MSG_HANDOVER || type == DSAA_MSG_EXPECTS ||
	       (type == DSAA_MSG_AUDIT_HASHES && g->from == 2);
}

/* What the site S of today says, the old one does not hear: its words are given. */
static void play(int s)
{
	struct dsaa_event ev = { .type = DSAA_EV_CONNECTED, .site = (dsaa_site_id)(3 - s) };
	struct dsaa_peer_view v;

	world_init(&w, 2);
	w.site[s].cfg.hold_time_ms = 10000;
	if (s == 1)
		fill_site_1();
	world_boot(&w, s);
	w.linked[1][2] = w.linked[2][1] = true;
	world_feed(&w, s, &ev);
	for (unsigned i = 0; i < message_count; i++) {
		const struct message *g = &messages[i];

		if (g->to != s || is_of_another_session(g))
			continue;
		ask_first(s, g->bytes[2]);
		hear(s, g);
		CHECK(dsaa_engine_peer_view(w.site[s].engine, (dsaa_site_id)(3 - s), &v) &&
		      v.session);
		if (g->bytes[2] == DSAA_MSG_BULK_REQUEST)
			CHECK(wait_for(s, DSAA_MSG_BULK_BEGIN));
		else
			world_tick_site(&w, s);
	}
}

static void check_up(int s)
{
	struct dsaa_peer_view v;

	dsaa_engine_peer_view(w.site[s].engine, (dsaa_site_id)(3 - s), &v);
	CHECK(v.ours_confirmed && v.theirs_complete);
	CHECK(v.sessions == 1);
	for (unsigned i = 0; i < DSAA_REASONS_MAX; i++)
		CHECK(v.flows_rejected[i] == 0);
	CHECK(world_state(&w, s, 3 - s) == DSAA_PEER_UP);
}

/* A record of the table, as the capture says it. */
static bool holds(const char *entry)
{
	for (unsigned i = 0; i < w.site[2].used; i++) {
		struct dsaa_flow f = w.site[2].table[i];
		struct text t;

		f.timeout_s = 0;
		text_begin(&t);
		text_flow(&t, &f);
		text_rare(&t, &f);
		if (!strcmp(t.s, entry))
			return true;
	}
	printf("  not held: %s\n", entry);
	return false;
}

static void test_session_with_old_owner(void)
{
	play(2);
	check_up(2);
	CHECK(w.site[2].used == entry_count);
	for (unsigned i = 0; i < entry_count; i++)
		CHECK(holds(entries[i]));
	world_free(&w);
}

static void test_session_with_old_receiver(void)
{
	play(1);
	/* it asked for everything once more in the end, and has not confirmed that */
	CHECK(world_state(&w, 1, 2) == DSAA_PEER_UP);
	world_free(&w);
}

int main(void)
{
	static const char *const captures[] = { "session-1.0.txt", "session-1.1.txt",
						"session-1.2.txt" };

	for (size_t i = 0; i < sizeof(captures) / sizeof(captures[0]); i++) {
		if (!read_capture(captures[i]))
			continue;
		test_decode((unsigned)i);
		test_session_with_old_owner();
		test_session_with_old_receiver();
	}
	for (unsigned i = 0; i < message_count; i++)
		free(messages[i].bytes);
	return TEST_END();
}
