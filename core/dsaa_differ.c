/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is the peer set up as we are? Both ends tell each other the lines of their
 * dsaa block and of their forward policy (LINES, 2.12 of the protocol), at the
 * begin of a session and whenever they change, and each compares for itself.
 *
 * A difference is told once it has lasted for a while: operators change one
 * router after the other. What depends on it (adoption, where the operator wants
 * equal rules) does not wait. What is not known is no difference.
 */
#include "core/dsaa_engine_private.h"

#include <string.h>

/* A roll-out that takes longer than this is worth a word. */
enum { LASTS_MS = 5000 };

static bool kind_valid(unsigned kind)
{
	return kind > 0 && kind < DSAA_LINES_KINDS;
}

static void due_at_peers(struct dsaa_engine *e, unsigned kind)
{
	DSAA_FOREACH_PEER (e, p)
		p->lines_due |= 1u << kind;
}

void dsaa_differ_set(struct dsaa_engine *e, const struct dsaa_event *ev)
{
	const struct dsaa_lines *new = ev->lines;
	struct dsaa_lines *l;

	if (!kind_valid(ev->op))
		return;
	l = &e->lines[ev->op];
	if (l->digest == new->digest && l->len == new->len && l->cut == new->cut &&
	    !memcmp(l->text, new->text, new->len))
		return;
	*l = *new;
	due_at_peers(e, ev->op);
}

void dsaa_differ_start(struct dsaa_engine *e, struct dsaa_peer *p)
{
	/* what it told in the last session it may not have any more, nor be able to tell */
	p->lines_due = 0;
	for (unsigned kind = 1; kind < DSAA_LINES_KINDS; kind++) {
		p->lines[kind].digest = 0;
		if (e->lines[kind].digest)
			p->lines_due |= 1u << kind;
	}
}

static bool send_lines(struct dsaa_engine *e, struct dsaa_peer *p, unsigned kind)
{
	const struct dsaa_lines *l = &e->lines[kind];
	struct dsaa_msg m = { .type = DSAA_MSG_LINES };
	uint8_t *buf = e->arena + e->arena_used;
	size_t len;

	m.lines.kind = (uint8_t)kind;
	m.lines.cut = l->cut;
	m.lines.digest = l->digest;
	m.lines.text = l->text;
	m.lines.len = l->len;
	len = dsaa_wire_encode(buf, DSAA_ARENA_LEN - e->arena_used, &m);
	return len && dsaa_act_send(e, p, buf, len);
}

void dsaa_differ_pump(struct dsaa_engine *e, struct dsaa_peer *p)
{
	if (p->session != DSAA_SESSION_ESTABLISHED)
		return;
	for (unsigned kind = 1; kind < DSAA_LINES_KINDS; kind++)
		if ((p->lines_due & (1u << kind)) && send_lines(e, p, kind))
			p->lines_due &= (uint8_t) ~(1u << kind);
}

void dsaa_differ_received(struct dsaa_peer *p, const struct dsaa_msg_lines *m)
{
	struct dsaa_lines *l;

	if (!kind_valid(m->kind))
		return; /* of a newer minor version */
	l = &p->lines[m->kind];
	l->digest = m->digest;
	l->cut = m->cut;
	l->len = m->len;
	memcpy(l->text, m->text, m->len);
}

/* Both sides are known, so that "no difference" means something. */
static bool known(const struct dsaa_engine *e, const struct dsaa_peer *p, unsigned kind)
{
	return e->lines[kind].digest && p->lines[kind].digest;
}

bool dsaa_differs(const struct dsaa_engine *e, const struct dsaa_peer *p, unsigned kind)
{
	return known(e, p, kind) && e->lines[kind].digest != p->lines[kind].digest;
}

bool dsaa_differ_forbids_adoption(const struct dsaa_engine *e, const struct dsaa_peer *p)
{
	return e->cfg.ruleset_mismatch == DSAA_RULESET_REFUSE_ADOPTION &&
	       dsaa_differs(e, p, DSAA_LINES_RULESET);
}

static unsigned reason_of(unsigned kind)
{
	return kind == DSAA_LINES_BLOCK ? DSAA_R_BLOCK_DIFFERS : DSAA_R_RULESET_DIFFERS;
}

void dsaa_differ_tick(struct dsaa_engine *e, struct dsaa_peer *p)
{
	for (unsigned kind = 1; kind < DSAA_LINES_KINDS; kind++) {
		bool differs = dsaa_differs(e, p, kind);

		if (differs == p->differs[kind] || !known(e, p, kind)) {
			p->differs_since[kind] = e->now;
			continue;
		}
		if (differs &&
		    !dsaa_mono_reached(e->now, dsaa_mono_add_ms(p->differs_since[kind], LASTS_MS)))
			continue;
		p->differs[kind] = differs;
		dsaa_history_note(e, DSAA_HISTORY_LINES, p->site, !differs, differs,
				  reason_of(kind));
	}
}

bool dsaa_engine_lines(const struct dsaa_engine *e, dsaa_site_id site, enum dsaa_lines_kind kind,
		       struct dsaa_lines *l)
{
	const struct dsaa_lines *from = NULL;

	if (!site)
		from = &e->lines[kind];
	else if (site <= DSAA_SITES_MAX && e->peer[site].configured)
		from = &e->peer[site].lines[kind];
	if (!from || !from->digest)
		return false;
	*l = *from;
	return true;
}
