/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Texts that two sites compare line by line. */
#include "core/dsaa_lines.h"

#include <string.h>

/* Fowler, Noll, Vo: draft-eastlake-fnv */
uint64_t dsaa_lines_hash(uint64_t h, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	while (len--)
		h = (h ^ *p++) * UINT64_C(0x100000001b3);
	return h;
}

void dsaa_lines_begin(struct dsaa_lines *l)
{
	l->digest = DSAA_LINES_SEED;
	l->cut = false;
	l->len = 0;
}

static bool printable(char c)
{
	return c >= ' ' && c <= '~';
}

void dsaa_lines_add(struct dsaa_lines *l, const char *line, size_t len)
{
	char *at = l->text + l->len;

	l->digest = dsaa_lines_hash(l->digest, line, len);
	l->digest = dsaa_lines_hash(l->digest, "\n", 1);
	if (!l->digest)
		l->digest = 1; /* 0 is taken: not known */
	if (!len)
		return;
	if (l->cut || len + 1 > sizeof(l->text) - l->len) {
		l->cut = true; /* and none that is shorter behind it */
		return;
	}
	for (size_t i = 0; i < len; i++)
		at[i] = printable(line[i]) ? line[i] : '?';
	at[len] = '\n';
	l->len = (uint16_t)(l->len + len + 1);
}

bool dsaa_lines_valid(const char *text, size_t len)
{
	if (len && (text[0] == '\n' || text[len - 1] != '\n'))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!printable(text[i]) && (text[i] != '\n' || (i && text[i - 1] == '\n')))
			return false;
	return true;
}

/* The line of L at AT, and where the next one begins. */
static size_t line_at(const struct dsaa_lines *l, size_t at, size_t *next)
{
	const char *end = memchr(l->text + at, '\n', l->len - at);
	size_t len = end ? (size_t)(end - l->text) - at : l->len - at;

	*next = at + len + (end != NULL);
	return len;
}

/* How often the first UPTO bytes of L have this line. */
static unsigned count(const struct dsaa_lines *l, size_t upto, const char *line, size_t len)
{
	unsigned found = 0;

	for (size_t at = 0, next; at < upto; at = next)
		if (line_at(l, at, &next) == len && !memcmp(l->text + at, line, len))
			found++;
	return found;
}

size_t dsaa_lines_only(const struct dsaa_lines *a, const struct dsaa_lines *b, size_t *at,
		       const char **line)
{
	while (*at < a->len) {
		size_t len, next;

		*line = a->text + *at;
		len = line_at(a, *at, &next);
		*at = next;
		if (len && count(a, next, *line, len) > count(b, b->len, *line, len))
			return len;
	}
	return 0;
}
