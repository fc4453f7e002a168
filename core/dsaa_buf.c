/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sticky-error reader and writer, see dsaa_buf.h. Every length is compared
 * with what is left before anything is added to a position, so nothing can
 * overflow whatever the length says.
 */
#include <string.h>

#include "core/dsaa_buf.h"

void dsaa_reader_init(struct dsaa_reader *r, const uint8_t *data, size_t len)
{
	r->data = data;
	r->len = len;
	r->pos = 0;
	r->failed = false;
}

size_t dsaa_reader_left(const struct dsaa_reader *r)
{
	return r->failed ? 0 : r->len - r->pos;
}

bool dsaa_reader_done(const struct dsaa_reader *r)
{
	return !r->failed && r->pos == r->len;
}

/* The next LEN bytes, or NULL (and failed) when they are not there. */
static const uint8_t *reader_take(struct dsaa_reader *r, size_t len)
{
	const uint8_t *at;

	if (dsaa_reader_left(r) < len) {
		r->failed = true;
		return NULL;
	}
	at = r->data + r->pos;
	r->pos += len;
	return at;
}

/* A big-endian integer of LEN (1..8) bytes. */
static uint64_t reader_int(struct dsaa_reader *r, size_t len)
{
	const uint8_t *at = reader_take(r, len);
	uint64_t value = 0;
	size_t i;

	if (!at)
		return 0;
	for (i = 0; i < len; i++)
		value = value << 8 | at[i];
	return value;
}

uint8_t dsaa_reader_u8(struct dsaa_reader *r)
{
	return (uint8_t)reader_int(r, 1);
}

uint16_t dsaa_reader_u16(struct dsaa_reader *r)
{
	return (uint16_t)reader_int(r, 2);
}

uint32_t dsaa_reader_u32(struct dsaa_reader *r)
{
	return (uint32_t)reader_int(r, 4);
}

uint64_t dsaa_reader_u64(struct dsaa_reader *r)
{
	return reader_int(r, 8);
}

void dsaa_reader_bytes(struct dsaa_reader *r, uint8_t *out, size_t len)
{
	const uint8_t *at;

	if (len == 0)
		return;
	at = reader_take(r, len);
	if (at)
		memcpy(out, at, len);
	else
		memset(out, 0, len);
}

void dsaa_reader_skip(struct dsaa_reader *r, size_t len)
{
	reader_take(r, len);
}

struct dsaa_reader dsaa_reader_cut(struct dsaa_reader *r, size_t len)
{
	const uint8_t *at = reader_take(r, len);
	struct dsaa_reader part = { .data = at, .len = at ? len : 0, .failed = !at };

	return part;
}

void dsaa_writer_init(struct dsaa_writer *w, uint8_t *data, size_t cap)
{
	w->data = data;
	w->cap = cap;
	w->len = 0;
	w->failed = false;
}

/* Room for LEN more bytes, or NULL (and failed). */
static uint8_t *writer_take(struct dsaa_writer *w, size_t len)
{
	uint8_t *at;

	if (w->failed || w->cap - w->len < len) {
		w->failed = true;
		return NULL;
	}
	at = w->data + w->len;
	w->len += len;
	return at;
}

/* Stores the LEN (1..8) low bytes of VALUE at AT, big endian. */
static void store_int(uint8_t *at, uint64_t value, size_t len)
{
	while (len-- > 0) {
		at[len] = (uint8_t)value;
		value >>= 8;
	}
}

static void writer_int(struct dsaa_writer *w, uint64_t value, size_t len)
{
	uint8_t *at = writer_take(w, len);

	if (at)
		store_int(at, value, len);
}

void dsaa_writer_u8(struct dsaa_writer *w, uint8_t value)
{
	writer_int(w, value, 1);
}

void dsaa_writer_u16(struct dsaa_writer *w, uint16_t value)
{
	writer_int(w, value, 2);
}

void dsaa_writer_u32(struct dsaa_writer *w, uint32_t value)
{
	writer_int(w, value, 4);
}

void dsaa_writer_u64(struct dsaa_writer *w, uint64_t value)
{
	writer_int(w, value, 8);
}

void dsaa_writer_bytes(struct dsaa_writer *w, const uint8_t *bytes, size_t len)
{
	uint8_t *at = writer_take(w, len);

	if (at && len)
		memcpy(at, bytes, len);
}

static void writer_patch(struct dsaa_writer *w, size_t pos, uint64_t value, size_t len)
{
	if (w->failed || pos > w->len || w->len - pos < len) {
		w->failed = true;
		return;
	}
	store_int(w->data + pos, value, len);
}

void dsaa_writer_patch_u16(struct dsaa_writer *w, size_t pos, uint16_t value)
{
	writer_patch(w, pos, value, 2);
}

void dsaa_writer_patch_u32(struct dsaa_writer *w, size_t pos, uint32_t value)
{
	writer_patch(w, pos, value, 4);
}
