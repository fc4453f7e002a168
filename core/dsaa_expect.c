/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Expectations: key, validity, and their records on the wire
 * (doc/protocol/sync.rst, 2.11). Pure; any thread.
 */
#include <string.h>

#include "core/dsaa_expect.h"

enum {
	OP_EXPECT = 1,
	OP_FORGET = 2,
	FLAGS_MAX = 0x7, /* NF_CT_EXPECT_PERMANENT, INACTIVE, USERSPACE */
	CLASS_MAX = 255,
};

static bool tuple_equal(const struct dsaa_tuple *a, const struct dsaa_tuple *b)
{
	return a->sport == b->sport && a->dport == b->dport &&
	       memcmp(a->src, b->src, sizeof(a->src)) == 0 &&
	       memcmp(a->dst, b->dst, sizeof(a->dst)) == 0;
}

bool dsaa_expect_key_equal(const struct dsaa_expect *a, const struct dsaa_expect *b)
{
	return a->family == b->family && a->proto == b->proto && a->zone == b->zone &&
	       tuple_equal(&a->tuple, &b->tuple) && tuple_equal(&a->mask, &b->mask);
}

uint64_t dsaa_expect_key_hash(const struct dsaa_expect *x, uint64_t seed)
{
	struct dsaa_flow f = {
		.family = x->family, .proto = x->proto, .zone = x->zone, .orig = x->tuple
	};

	return dsaa_flow_key_hash(&f, seed);
}

struct dsaa_flow dsaa_expect_master(const struct dsaa_expect *x)
{
	return (struct dsaa_flow){
		.family = x->family, .proto = x->master_proto, .zone = x->zone, .orig = x->master
	};
}

/* The bytes behind an address of FAMILY. */
static bool tail_is_zero(uint8_t family, const uint8_t address[16])
{
	static const uint8_t zero[12];

	return family == 6 || memcmp(address + 4, zero, sizeof(zero)) == 0;
}

static const char *tuple_invalid(uint8_t family, const struct dsaa_tuple *t)
{
	return tail_is_zero(family, t->src) && tail_is_zero(family, t->dst) ?
		       NULL :
		       "an IPv4 address has bytes beyond the fourth";
}

/* A name is printable to its end, and zeroes behind; it may be empty. */
static bool name_valid(const char *name, unsigned size)
{
	unsigned len = 0;

	while (len < size && name[len] > ' ' && name[len] <= '~')
		len++;
	if (len == size)
		return false;
	for (; len < size; len++)
		if (name[len])
			return false;
	return true;
}

static const char *details_invalid(const struct dsaa_expect *x)
{
	struct dsaa_flow master = dsaa_expect_master(x);

	if (dsaa_flow_key_invalid(&master))
		return "the master is no possible connection";
	if (x->flags > FLAGS_MAX || x->class > CLASS_MAX)
		return "flags or class are out of range";
	if (x->has_nat && (x->nat_dir > 1 || tuple_invalid(x->family, &x->nat)))
		return "the NAT is out of range";
	if (!name_valid(x->helper, sizeof(x->helper)) || !name_valid(x->fn, sizeof(x->fn)))
		return "a name is none";
	return NULL;
}

const char *dsaa_expect_invalid(const struct dsaa_expect *x, bool whole)
{
	static const uint8_t zero[16];
	const char *why;

	if (x->family != 4 && x->family != 6)
		return "the address family is neither IPv4 nor IPv6";
	why = tuple_invalid(x->family, &x->tuple);
	if (!why)
		why = tuple_invalid(x->family, &x->mask);
	if (why)
		return why;
	/* one that fits everybody's packets is a hole, and no helper makes it */
	if (memcmp(x->tuple.dst, zero, sizeof(zero)) == 0)
		return "the expected destination is unspecified";
	return whole ? details_invalid(x) : NULL;
}

/* ------------------------------------------------------------------ on the wire */

static size_t addr_len(uint8_t family)
{
	return family == 4 ? 4 : 16;
}

static void write_tuple(struct dsaa_writer *w, uint8_t family, const struct dsaa_tuple *t)
{
	dsaa_writer_bytes(w, t->src, addr_len(family));
	dsaa_writer_bytes(w, t->dst, addr_len(family));
	dsaa_writer_u16(w, t->sport);
	dsaa_writer_u16(w, t->dport);
}

/* T is zeroed before. */
static void read_tuple(struct dsaa_reader *r, uint8_t family, struct dsaa_tuple *t)
{
	dsaa_reader_bytes(r, t->src, addr_len(family));
	dsaa_reader_bytes(r, t->dst, addr_len(family));
	t->sport = dsaa_reader_u16(r);
	t->dport = dsaa_reader_u16(r);
}

static void write_name(struct dsaa_writer *w, const char *name)
{
	uint8_t len = 0;

	while (name[len])
		len++;
	dsaa_writer_u8(w, len);
	dsaa_writer_bytes(w, (const uint8_t *)name, len);
}

/* False when it does not fit SIZE with its NUL. */
static bool read_name(struct dsaa_reader *r, char *name, size_t size)
{
	uint8_t len = dsaa_reader_u8(r);

	if (len >= size)
		return false;
	dsaa_reader_bytes(r, (uint8_t *)name, len);
	return !memchr(name, 0, len);
}

void dsaa_expect_write(struct dsaa_writer *w, const struct dsaa_expect *x, bool whole)
{
	size_t start = w->len;

	dsaa_writer_u16(w, 0);
	dsaa_writer_u8(w, whole ? OP_EXPECT : OP_FORGET);
	dsaa_writer_u8(w, x->family);
	dsaa_writer_u8(w, x->proto);
	dsaa_writer_u16(w, x->zone);
	write_tuple(w, x->family, &x->tuple);
	write_tuple(w, x->family, &x->mask);
	if (whole) {
		dsaa_writer_u8(w, x->master_proto);
		write_tuple(w, x->family, &x->master);
		dsaa_writer_u32(w, x->timeout_s);
		dsaa_writer_u32(w, x->flags);
		dsaa_writer_u32(w, x->class);
		write_name(w, x->helper);
		write_name(w, x->fn);
		dsaa_writer_u8(w, x->has_nat);
	}
	if (whole && x->has_nat) {
		dsaa_writer_u8(w, (uint8_t)x->nat_dir);
		dsaa_writer_u8(w, x->nat_proto);
		write_tuple(w, x->family, &x->nat);
	}
	dsaa_writer_patch_u16(w, start, (uint16_t)(w->len - start - 2));
}

static bool read_details(struct dsaa_reader *r, struct dsaa_expect *x)
{
	uint8_t has_nat;

	x->master_proto = dsaa_reader_u8(r);
	read_tuple(r, x->family, &x->master);
	x->timeout_s = dsaa_reader_u32(r);
	x->flags = dsaa_reader_u32(r);
	x->class = dsaa_reader_u32(r);
	if (!read_name(r, x->helper, sizeof(x->helper)) || !read_name(r, x->fn, sizeof(x->fn)))
		return false;
	has_nat = dsaa_reader_u8(r);
	if (has_nat > 1)
		return false;
	x->has_nat = has_nat;
	if (!has_nat)
		return true;
	x->nat_dir = dsaa_reader_u8(r);
	x->nat_proto = dsaa_reader_u8(r);
	read_tuple(r, x->family, &x->nat);
	return true;
}

bool dsaa_expect_read(struct dsaa_reader *all, struct dsaa_expect *x, bool *whole)
{
	struct dsaa_reader r = dsaa_reader_cut(all, dsaa_reader_u16(all));
	uint8_t op = dsaa_reader_u8(&r);

	memset(x, 0, sizeof(*x));
	*whole = op == OP_EXPECT;
	x->family = dsaa_reader_u8(&r);
	x->proto = dsaa_reader_u8(&r);
	x->zone = dsaa_reader_u16(&r);
	if (r.failed || (op != OP_EXPECT && op != OP_FORGET) || (x->family != 4 && x->family != 6))
		return false;
	read_tuple(&r, x->family, &x->tuple);
	read_tuple(&r, x->family, &x->mask);
	if (*whole && !read_details(&r, x))
		return false;
	/* what a newer version appends is left out */
	return !r.failed && !dsaa_expect_invalid(x, *whole);
}
