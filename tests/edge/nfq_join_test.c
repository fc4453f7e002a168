/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Joining TCP segments: what is joined must come apart again as it was, and
 * segments that differ in anything that matters must not be joined.
 */
#include "nfq/dsaa_nfq_private.h"

#include "tests/edge/nfq_stream.h"

/* How many of S join from the first on. */
static unsigned join(struct dsaa_nfq_join *j, struct stream *s)
{
	unsigned n = 0;

	memset(j, 0, sizeof(*j));
	while (n < s->count && dsaa_nfq_join_add(j, s->packet[n], s->len[n]))
		n++;
	return n;
}

/* Cuts what was joined as the kernel does, and compares. */
static void check_cut(const struct dsaa_nfq_join *j, const struct stream *s)
{
	uint8_t head[DSAA_NFQ_HEAD], out[ROOM];
	size_t len = dsaa_nfq_join_head(j, head), h = ip_header(head), total = j->payload;
	uint32_t seq = (uint32_t)s->packet[0][h + 4] << 24 | s->packet[0][h + 5] << 16 |
		       s->packet[0][h + 6] << 8 | s->packet[0][h + 7];

	/* the kernel goes on from the sum of the pseudo-header */
	CHECK(fold16(pseudo(head, len - h + total)) == (head[h + 16] << 8 | head[h + 17]));
	CHECK(h == IP6 || fold16(sum16(head, IP4)) == 0xffff);
	CHECK((h == IP4 ? (size_t)(head[2] << 8 | head[3]) :
			  (size_t)(head[4] << 8 | head[5]) + IP6) == len + total);
	for (unsigned i = 0; i < j->count; i++) {
		size_t n = i < j->count - 1 ? j->each : total - (j->count - 1) * j->each;

		CHECK(n == j->data[i].iov_len);
		memcpy(out, head, len);
		memcpy(out + len, j->data[i].iov_base, n);
		put16(out + h + 4, seq >> 16);
		put16(out + h + 6, seq);
		seq += n;
		if (i < j->count - 1)
			out[h + 13] &= ~PSH;
		if (h == IP4)
			put16(out + 4, (head[4] << 8 | head[5]) + i);
		finish(out, len + n);
		CHECK(len + n == s->len[i] && memcmp(out, s->packet[i], len + n) == 0);
	}
}

static void test_whole_streams(void)
{
	static struct stream s;
	struct dsaa_nfq_join j;

	for (unsigned family = 4; family <= 6; family += 2)
		for (unsigned turn = 0; turn < 300; turn++) {
			size_t each = 1 + test_random() % 1300, last = 1 + test_random() % each;
			unsigned count = 2 + test_random() % (SEGMENTS - 1);

			make_stream(&s, family, count, each, last, test_random() % 11);
			if (turn % 2) {
				s.packet[count - 1][ip_header(s.packet[0]) + 13] |= PSH;
				finish(s.packet[count - 1], s.len[count - 1]);
			}
			CHECK(join(&j, &s) == count);
			check_cut(&j, &s);
			CHECK(j.closed == (turn % 2 || last < each));
		}
}

/*
 * What must not be joined to the first: one bit changed anywhere in the headers, but the checks
 * put right.
 */
static void test_every_bit_of_the_headers(void)
{
	static struct stream s;
	struct dsaa_nfq_join j;

	for (unsigned family = 4; family <= 6; family += 2) {
		size_t h = family == 4 ? IP4 : IP6, head = h + 20 + 12;

		for (size_t bit = 0; bit < head * 8; bit++) {
			size_t byte = bit / 8, tcp = byte - h;
			bool length = family == 4 ? byte == 2 || byte == 3 : byte == 4 || byte == 5;
			bool checksum = (family == 4 && (byte == 10 || byte == 11)) ||
					(byte >= h && (tcp == 16 || tcp == 17));
			bool push = byte >= h && tcp == 13 && (1u << bit % 8) == PSH;

			if (length || checksum)
				continue;
			make_stream(&s, family, 2, 100, 100, 3);
			s.packet[1][byte] ^= 1u << bit % 8;
			/* a changed version or header length would have the sum put elsewhere */
			if (byte != 0)
				finish(s.packet[1], s.len[1]);
			CHECK(join(&j, &s) == (push ? 2 : 1));
		}
	}
}

/* A broken checksum, of either of two or of a later one, stays alone. */
static void test_broken(void)
{
	static struct stream s;
	struct dsaa_nfq_join j;

	for (unsigned family = 4; family <= 6; family += 2)
		for (unsigned which = 0; which < 4; which++) {
			make_stream(&s, family, 4, 1000, 1000, 3);
			s.packet[which][s.len[which] - 1 - test_random() % 900] ^= 4;
			CHECK(join(&j, &s) == (which == 0 ? 1 : which));
		}
}

static void test_ends(void)
{
	static struct stream s;
	struct dsaa_nfq_join j;

	/* a longer one after the first, a shorter one in the middle, PSH in the middle */
	make_stream(&s, 4, 2, 100, 101, 3);
	CHECK(join(&j, &s) == 1);
	make_stream(&s, 4, 3, 100, 100, 3);
	make_packet(s.packet[1], 4, 1, 0xffffff00 + 100, 3, 50, &s.len[1]);
	CHECK(join(&j, &s) == 2 && j.closed);
	make_stream(&s, 6, 3, 100, 100, 3);
	s.packet[1][IP6 + 13] |= PSH;
	finish(s.packet[1], s.len[1]);
	CHECK(join(&j, &s) == 2);
	/* no data, fragments, cut-off packets */
	make_stream(&s, 4, 1, 0, 0, 3);
	CHECK(join(&j, &s) == 0);
	make_stream(&s, 4, 1, 100, 100, 3);
	s.packet[0][6] = 0x20;
	CHECK(join(&j, &s) == 0);
	for (size_t len = 0; len <= 52; len++) {
		make_stream(&s, 4, 1, 100, 100, 3);
		memset(&j, 0, sizeof(j));
		CHECK(!dsaa_nfq_join_add(&j, s.packet[0], len));
	}
	/* identification: with "don't fragment" it does not matter, without it must count on */
	make_stream(&s, 4, 3, 100, 100, 3);
	for (unsigned i = 0; i < 3; i++) {
		s.packet[i][6] = DF;
		put16(s.packet[i] + 4, 7 * i);
		finish(s.packet[i], s.len[i]);
	}
	CHECK(join(&j, &s) == 3);
}

/* Never longer than an IP packet can be. */
static void test_largest(void)
{
	static struct stream s;
	struct dsaa_nfq_join j;

	make_stream(&s, 4, 50, 1448, 1448, 3);
	CHECK(join(&j, &s) == 45);
	CHECK(j.head + j.payload <= 65535);
	check_cut(&j, &s);
}

int main(void)
{
	test_whole_streams();
	test_every_bit_of_the_headers();
	test_broken();
	test_ends();
	test_largest();
	return TEST_END();
}
