/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading and writing bytes with sticky errors: the first access beyond the
 * end marks the buffer as failed; from then on reads return zero and writes do
 * nothing. So a decoder reads all its fields and asks once. All integers are
 * big endian. Neither side ever touches a byte outside of what it was given.
 * Any thread; one at a time per object.
 */
#ifndef DSAA_BUF_H
#define DSAA_BUF_H

#include "core/dsaa_types.h"

struct dsaa_reader {
	const uint8_t *data; /* borrowed */
	size_t len;
	size_t pos;
	bool failed;
};

/* Reads from LEN bytes at DATA (borrowed). */
void dsaa_reader_init(struct dsaa_reader *r, const uint8_t *data, size_t len);
/* Bytes not read yet; 0 once failed. */
size_t dsaa_reader_left(const struct dsaa_reader *r);
/* True when nothing failed and every byte was read. */
bool dsaa_reader_done(const struct dsaa_reader *r);
/* Big-endian integers; 0 beyond the end. */
uint8_t dsaa_reader_u8(struct dsaa_reader *r);
uint16_t dsaa_reader_u16(struct dsaa_reader *r);
uint32_t dsaa_reader_u32(struct dsaa_reader *r);
uint64_t dsaa_reader_u64(struct dsaa_reader *r);
/* Copies LEN bytes to OUT, or zeroes them when they are not there. */
void dsaa_reader_bytes(struct dsaa_reader *r, uint8_t *out, size_t len);
/* Steps over LEN bytes. */
void dsaa_reader_skip(struct dsaa_reader *r, size_t len);
/*
 * Cuts the next LEN bytes out into a reader of their own, which has failed if they are not there.
 */
struct dsaa_reader dsaa_reader_cut(struct dsaa_reader *r, size_t len);

struct dsaa_writer {
	uint8_t *data; /* borrowed */
	size_t cap;
	size_t len;
	bool failed;
};

/* Writes into CAP bytes at DATA (borrowed). */
void dsaa_writer_init(struct dsaa_writer *w, uint8_t *data, size_t cap);
void dsaa_writer_u8(struct dsaa_writer *w, uint8_t value);
void dsaa_writer_u16(struct dsaa_writer *w, uint16_t value);
void dsaa_writer_u32(struct dsaa_writer *w, uint32_t value);
void dsaa_writer_u64(struct dsaa_writer *w, uint64_t value);
void dsaa_writer_bytes(struct dsaa_writer *w, const uint8_t *bytes, size_t len);
/* Overwrites bytes that were written already; fails when they were not. */
void dsaa_writer_patch_u16(struct dsaa_writer *w, size_t pos, uint16_t value);
void dsaa_writer_patch_u32(struct dsaa_writer *w, size_t pos, uint32_t value);

#endif
