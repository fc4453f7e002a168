/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cutting large packets: what comes of one is, bit for bit, the segments that
 * it was made of; and only as long as the kernel's own cut is known.
 */
#include "nfq/dsaa_nfq_private.h"

#include "tests/edge/nfq_stream.h"

enum {
	LARGE = 65535,
	UDP = 8,
};

/* The large packet that the kernel makes of S: the sum of the pseudo-header alone stands in it. */
static struct dsaa_nfq_packet join(uint8_t *out, const struct stream *s)
{
	size_t h = ip_header(s->packet[0]), head = h + (size_t)(s->packet[0][h + 12] >> 4) * 4;
	struct dsaa_nfq_packet p = { .data = out, .len = head, .large = true, .unsummed = true };

	memcpy(out, s->packet[0], head);
	for (unsigned i = 0; i < s->count; i++) {
		memcpy(out + p.len, s->packet[i] + head, s->len[i] - head);
		p.len += s->len[i] - head;
		out[h + 13] |= s->packet[i][h + 13] & PSH;
	}
	finish(out, p.len);
	put16(out + h + 16, fold16(pseudo(out, p.len - h)));
	return p;
}

/* Learns from the segment of LEN bytes at IP; for good, for a test may be slow. */
static void learn(struct dsaa_nfq *nfq, uint8_t *ip, size_t len, unsigned indev)
{
	struct dsaa_nfq_packet p = { .data = ip, .len = len, .indev = indev };

	dsaa_nfq_cut_learn(nfq, &p);
	for (unsigned i = 0; i < DSAA_NFQ_SIZES; i++)
		if (nfq->size[i].each)
			nfq->size[i].until_ms = UINT64_MAX;
}

static void check_cut(const struct dsaa_nfq_packet *p, const struct stream *s)
{
	uint8_t out[ROOM];
	size_t at = 0, n;

	for (unsigned i = 0; i < s->count; i++, at += n) {
		n = dsaa_nfq_cut_segment(p, at, out);
		CHECK(p->head + n == s->len[i]);
		memcpy(out + p->head, p->data + p->head + at, n);
		CHECK(memcmp(out, s->packet[i], s->len[i]) == 0);
	}
	CHECK(p->head + at == p->len);
}

static void test_whole_streams(void)
{
	static struct dsaa_nfq nfq;
	static struct stream s;
	static uint8_t large[LARGE];

	for (unsigned family = 4; family <= 6; family += 2)
		for (unsigned turn = 0; turn < 300; turn++) {
			size_t each = 1 + test_random() % 1250, last = 1 + test_random() % each;
			unsigned count = 2 + test_random() % (SEGMENTS - 1);
			struct dsaa_nfq_packet p;

			make_stream(&s, family, count, each, last, test_random() % 11);
			if (turn % 2) {
				s.packet[count - 1][ip_header(s.packet[0]) + 13] |= PSH;
				finish(s.packet[count - 1], s.len[count - 1]);
			}
			memset(&nfq, 0, sizeof(nfq));
			p = join(large, &s);
			CHECK(!dsaa_nfq_cut_prepare(&nfq, &p) && p.each == 0);
			learn(&nfq, s.packet[0], s.len[0], 0);
			/* the last one is shorter: it does not count */
			learn(&nfq, s.packet[count - 1], s.len[count - 1], 0);
			CHECK(dsaa_nfq_cut_prepare(&nfq, &p) && p.each == each);
			check_cut(&p, &s);
		}
}

/* Of another connection, or of the same addresses by another interface, nothing is known. */
static void test_others(void)
{
	static struct dsaa_nfq nfq;
	static struct stream s, other;
	static uint8_t large[LARGE];
	struct dsaa_nfq_packet p;

	make_stream(&s, 4, 4, 1000, 1000, 3);
	learn(&nfq, s.packet[0], s.len[0], 7);
	p = join(large, &s);
	CHECK(!dsaa_nfq_cut_prepare(&nfq, &p));
	p.indev = 7;
	CHECK(dsaa_nfq_cut_prepare(&nfq, &p) && p.each == 1000);
	for (unsigned byte = 12; byte < 24; byte++) {
		other = s;
		for (unsigned i = 0; i < s.count; i++) {
			other.packet[i][byte]++;
			finish(other.packet[i], other.len[i]);
		}
		p = join(large, &other);
		p.indev = 7;
		CHECK(!dsaa_nfq_cut_prepare(&nfq, &p));
	}
	make_stream(&other, 6, 4, 1000, 1000, 3);
	p = join(large, &other);
	p.indev = 7;
	CHECK(!dsaa_nfq_cut_prepare(&nfq, &p));
}

/* A path may have become narrower: what was learned holds for a tenth of a second. */
static void test_time(void)
{
	static struct dsaa_nfq nfq;
	static struct stream s;
	static uint8_t large[LARGE];
	struct dsaa_nfq_packet p, first;
	uint64_t before, after;
	unsigned i;

	make_stream(&s, 6, 4, 1200, 1200, 3);
	first = (struct dsaa_nfq_packet){ .data = s.packet[0], .len = s.len[0] };
	before = dsaa_nfq_now_ms();
	dsaa_nfq_cut_learn(&nfq, &first);
	after = dsaa_nfq_now_ms();
	for (i = 0; i < DSAA_NFQ_SIZES && !nfq.size[i].each; i++)
		;
	CHECK(i < DSAA_NFQ_SIZES);
	if (i == DSAA_NFQ_SIZES)
		return;
	CHECK(nfq.size[i].until_ms >= before + 100 && nfq.size[i].until_ms <= after + 100);
	nfq.size[i].until_ms = dsaa_nfq_now_ms();
	p = join(large, &s);
	CHECK(!dsaa_nfq_cut_prepare(&nfq, &p));
	make_stream(&s, 6, 4, 1100, 1100, 3);
	learn(&nfq, s.packet[0], s.len[0], 0);
	p = join(large, &s);
	CHECK(dsaa_nfq_cut_prepare(&nfq, &p) && p.each == 1100);
	check_cut(&p, &s);
}

/* What is not plain TCP data is the kernel's. */
static void test_not_ours(void)
{
	static struct dsaa_nfq nfq;
	static struct stream s;
	static uint8_t large[LARGE];
	static const struct {
		unsigned byte;
		uint8_t value;
	} changes[] = { { 0, 0x46 },
			{ 6, 0x20 },
			{ 9, 17 },
			{ 9, 132 },
			{ IP4 + 13, ACK | 1 },
			{ IP4 + 13, ACK | 2 },
			{ IP4 + 13, ACK | 0x80 } };
	struct dsaa_nfq_packet p;

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		make_stream(&s, 4, 4, 1000, 1000, 3);
		learn(&nfq, s.packet[0], s.len[0], 0);
		p = join(large, &s);
		CHECK(dsaa_nfq_cut_prepare(&nfq, &p));
		large[changes[i].byte] = changes[i].value;
		p.each = 0;
		CHECK(!dsaa_nfq_cut_prepare(&nfq, &p) && p.each == 0);
	}
}

/* ------------------------------------------------------------------ checksums */

/*
 * One packet of TCP or UDP without its checksum, with a FIELD for it: it is made of the sum of the
 * pseudo-header. What holds another one is no packet of ours: it may be an inner one's.
 */
static void check_made(uint8_t *ip, size_t len, size_t field)
{
	static struct dsaa_nfq nfq;
	struct dsaa_nfq_packet p = { .data = ip, .len = len, .unsummed = true };
	size_t h = ip_header(ip);
	uint32_t proto = ip[h == IP4 ? 9 : 6], sum = fold16(pseudo(ip, len - h) - 6 + proto);

	put16(ip + field, sum ^ 1);
	CHECK(!dsaa_nfq_cut_prepare(&nfq, &p));
	put16(ip + field, 0);
	CHECK(!dsaa_nfq_cut_prepare(&nfq, &p));
	put16(ip + field, sum);
	CHECK(dsaa_nfq_cut_prepare(&nfq, &p));
	CHECK(fold16(pseudo(ip, len - h) - 6 + proto + sum16(ip + h, len - h)) == 0xffff);
	CHECK(proto == 6 || ip[field] || ip[field + 1]);
}

static void make_udp(uint8_t *ip, unsigned family, size_t payload, size_t *len)
{
	size_t h = family == 4 ? IP4 : IP6;

	make_packet(ip, family, 0, 1, 0, payload, len);
	ip[h == IP4 ? 9 : 6] = 17;
	*len = h + UDP + payload;
	if (h == IP4) {
		put16(ip + 2, *len);
		put16(ip + 10, 0);
		put16(ip + 10, (uint16_t)~fold16(sum16(ip, IP4)));
	} else {
		put16(ip + 4, *len - IP6);
	}
	put16(ip + h + 4, UDP + payload);
}

static void test_checksums(void)
{
	uint8_t ip[ROOM];
	size_t len;

	for (unsigned family = 4; family <= 6; family += 2) {
		size_t h = family == 4 ? IP4 : IP6;

		for (size_t payload = 0; payload < 40; payload++) {
			make_packet(ip, family, 0, 1, payload % 11, payload, &len);
			check_made(ip, len, h + 16);
			make_udp(ip, family, payload, &len);
			check_made(ip, len, h + 6);
		}
		/* a sum whose complement is 0, which would say that there is none */
		make_udp(ip, family, 2, &len);
		put16(ip + h + 6, 0);
		put16(ip + h + UDP, 0);
		put16(ip + h + UDP,
		      (uint16_t)~fold16(pseudo(ip, len - h) - 6 + 17 + sum16(ip + h, len - h)));
		check_made(ip, len, h + 6);
		CHECK(ip[h + 6] == 0xff && ip[h + 7] == 0xff);
	}
}

static void test_checksums_not_ours(void)
{
	static struct dsaa_nfq nfq;
	uint8_t ip[ROOM], before[ROOM];
	struct dsaa_nfq_packet p = { .data = ip, .unsummed = true };
	size_t len;

	make_packet(ip, 4, 0, 1, 0, 100, &len);
	memcpy(before, ip, len);
	/* SCTP, a fragment, TCP that ends too early, and a UDP that lies of its length */
	ip[9] = 132;
	p.len = len;
	CHECK(!dsaa_nfq_cut_prepare(&nfq, &p));
	ip[9] = 6;
	ip[7] = 1;
	CHECK(!dsaa_nfq_cut_prepare(&nfq, &p));
	ip[7] = 0;
	p.len = IP4 + 19;
	CHECK(!dsaa_nfq_cut_prepare(&nfq, &p));
	CHECK(memcmp(before, ip, len) == 0);
	make_udp(ip, 4, 20, &len);
	p.len = len - 1;
	CHECK(!dsaa_nfq_cut_prepare(&nfq, &p));
	/* options of IP are no hindrance */
	make_packet(ip, 4, 0, 1, 0, 100, &len);
	memmove(ip + IP4 + 4, ip + IP4, len - IP4);
	memset(ip + IP4, 1, 4);
	ip[0] = 0x46;
	p.len = len + 4;
	put16(ip + IP4 + 4 + 16, fold16(pseudo(ip, len - IP4)));
	CHECK(dsaa_nfq_cut_prepare(&nfq, &p));
	CHECK(fold16(pseudo(ip, len - IP4) + sum16(ip + IP4 + 4, len - IP4)) == 0xffff);
}

int main(void)
{
	test_whole_streams();
	test_others();
	test_time();
	test_not_ours();
	test_checksums();
	test_checksums_not_ours();
	return TEST_END();
}
