/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What two sites should have alike, as lines of text: so that both can say not
 * only that they differ, but in which lines. Pure data; any thread, one at a
 * time per object.
 */
#ifndef DSAA_LINES_H
#define DSAA_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/dsaa_limits.h"

/* What is compared. The numbers travel in LINES messages: never reuse one. */
enum dsaa_lines_kind {
	DSAA_LINES_BLOCK = 1,	/* the dsaa block of the configuration */
	DSAA_LINES_RULESET = 2, /* the filter rules that a forwarded packet passes */
	DSAA_LINES_KINDS = 3,	/* one more than the last */
};

struct dsaa_lines {
	uint64_t digest; /* of all lines, also of those that were cut; 0: not known */
	bool cut;	 /* there are more than fit TEXT */
	uint16_t len;
	char text[DSAA_LINES_MAX]; /* each line ends in a newline; no NUL behind the last */
};

/* Makes L the empty text, whose digest is not 0. */
void dsaa_lines_begin(struct dsaa_lines *l);
/*
 * Adds LINE of LEN bytes, without newline. What is not printable ASCII is
 * replaced by '?': the text goes to other sites' terminals and logs.
 */
void dsaa_lines_add(struct dsaa_lines *l, const char *line, size_t len);
/* True when TEXT is whole lines of printable ASCII, none of them empty: for what a peer sends. */
bool dsaa_lines_valid(const char *text, size_t len);

/*
 * The next line of A that B does not have as often as A had it so far; *AT is where
 * to go on, 0 at first. Returns its length with *LINE inside of A (not NUL
 * terminated), or 0 when there is none.
 */
size_t dsaa_lines_only(const struct dsaa_lines *a, const struct dsaa_lines *b, size_t *at,
		       const char **line);

/* FNV-1a, 64 bits: not a secret, only equal for equal bytes. Start with DSAA_LINES_SEED. */
#define DSAA_LINES_SEED UINT64_C(0xcbf29ce484222325)
uint64_t dsaa_lines_hash(uint64_t h, const void *bytes, size_t len);

#endif
