/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Streams of TCP segments for the tests of joining and cutting them; checksums
 * are made the plain way, unlike in the code under test.
 */
#ifndef TESTS_EDGE_NFQ_STREAM_H
#define TESTS_EDGE_NFQ_STREAM_H

#include <string.h>

#include "tests/unit/test.h"

enum {
	SEGMENTS = 50,
	ROOM = 2048,
	IP6 = 40,
	IP4 = 20,
	DF = 0x40,
	PSH = 0x08,
	ACK = 0x10,
};

/* A stream as it came in, and as it is to be cut again. */
struct stream {
	uint8_t packet[SEGMENTS][ROOM];
	size_t len[SEGMENTS];
	unsigned count;
};

static inline uint32_t sum16(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static inline uint16_t fold16(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static inline void put16(uint8_t *p, uint32_t v)
{
	p[0] = v >> 8;
	p[1] = v;
}

static inline size_t ip_header(const uint8_t *ip)
{
	return ip[0] >> 4 == 4 ? IP4 : IP6;
}

static inline uint32_t pseudo(const uint8_t *ip, size_t len)
{
	return (ip[0] >> 4 == 4 ? sum16(ip + 12, 8) : sum16(ip + 8, 32)) + 6 + (uint32_t)len;
}

/* Puts lengths and checksums right: the plain way, unlike the code under test. */
static inline void finish(uint8_t *ip, size_t len)
{
	size_t h = ip_header(ip);

	if (h == IP4) {
		put16(ip + 2, len);
		put16(ip + 10, 0);
		put16(ip + 10, (uint16_t)~fold16(sum16(ip, IP4)));
	} else {
		put16(ip + 4, len - IP6);
	}
	put16(ip + h + 16, 0);
	put16(ip + h + 16, (uint16_t)~fold16(pseudo(ip, len - h) + sum16(ip + h, len - h)));
}

static inline void make_packet(uint8_t *ip, uint8_t family, unsigned number, uint32_t seq,
			       unsigned options, size_t payload, size_t *len)
{
	size_t h = family == 4 ? IP4 : IP6, i;
	uint8_t *tcp = ip + h;

	memset(ip, 0, ROOM);
	ip[0] = family == 4 ? 0x45 : 0x60;
	if (family == 4) {
		put16(ip + 4, 0xfff0 + number);
		ip[8] = 61;
		ip[9] = 6;
	} else {
		ip[6] = 6;
		ip[7] = 61;
	}
	for (i = 0; i < (family == 4 ? 8 : 32); i++)
		ip[(family == 4 ? 12 : 8) + i] = 10 + i;
	put16(tcp, 443);
	put16(tcp + 2, 50000);
	put16(tcp + 4, seq >> 16);
	put16(tcp + 6, seq);
	put16(tcp + 10, 777);
	tcp[12] = (5 + options) << 4;
	tcp[13] = ACK;
	put16(tcp + 14, 5000);
	memset(tcp + 20, 1, options * 4);
	for (i = 0; i < payload; i++)
		tcp[20 + options * 4 + i] = test_random();
	*len = h + 20 + options * 4 + payload;
	finish(ip, *len);
}

static inline void make_stream(struct stream *s, uint8_t family, unsigned count, size_t each,
			       size_t last, unsigned options)
{
	uint32_t seq = 0xffffff00;

	s->count = count;
	for (unsigned i = 0; i < count; i++) {
		size_t payload = i == count - 1 ? last : each;

		make_packet(s->packet[i], family, i, seq, options, payload, &s->len[i]);
		seq += payload;
	}
}

#endif
