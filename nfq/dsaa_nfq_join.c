/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Joins TCP segments that followed each other into one large packet, as a
 * network card or the kernel does on reception (GRO), before they are given to
 * the stack: it passes once instead of forty times. What comes out when it is
 * cut again is, bit for bit, what came in; only the IPv4 identification of
 * packets that may not be fragmented is not kept (RFC 6864 4.1).
 *
 * Two segments are joined when they differ in nothing but sequence number,
 * length, PSH, checksums and identification, when the second begins where the
 * first ends, and when both checksums are right: a new checksum must not hide
 * a broken one. The first of them gives the length of each; a shorter one, or
 * one that says PSH, is the last.
 *
 * Pure but for its object; the queue thread.
 */
#include "nfq/dsaa_nfq_private.h"

#include <string.h>

enum {
	IP4_HEADER = 20,
	IP6_HEADER = 40,
	TCP_HEADER = 20,
	PROTO_TCP = 6,
	/* IPv4 */
	IP4_LENGTH = 2,
	IP4_ID = 4,
	IP4_FLAGS = 6,
	IP4_DF = 0x40,
	IP4_TTL = 8,
	IP4_PROTO = 9,
	IP4_CHECKSUM = 10,
	IP4_ADDRESSES = 12,
	/* IPv6 */
	IP6_LENGTH = 4,
	IP6_PROTO = 6,
	IP6_ADDRESSES = 8,
	/* TCP */
	TCP_SEQ = 4,
	TCP_ACK = 8,
	TCP_OFFSET = 12,
	TCP_FLAGS = 13,
	TCP_WINDOW = 14,
	TCP_CHECKSUM = 16,
	TCP_URGENT = 18,
	FLAG_PSH = 0x08,
	FLAG_ACK = 0x10,
	PACKET_MAX = 65535,
};

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

static void put16(uint8_t *p, uint32_t value)
{
	p[0] = value >> 8;
	p[1] = value;
}

/* ------------------------------------------------------------------ checksums (RFC 1071) */

/*
 * The sum of LEN bytes as 32-bit words of this machine's byte order: a carry
 * cannot be lost in 64 bits, and the order of bytes does not matter before the
 * end (RFC 1071 2.B).
 */
static uint64_t sum_bytes(const uint8_t *p, size_t len)
{
	uint64_t a = 0, b = 0, w;
	uint32_t rest = 0;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&w, p, 8);
		a += (uint32_t)w;
		b += w >> 32;
	}
	if (len >= 4) {
		memcpy(&rest, p, 4);
		a += rest;
		p += 4;
		len -= 4;
	}
	rest = 0;
	memcpy(&rest, p, len);
	return a + b + rest;
}

static uint16_t fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* The pseudo-header of TCP with LEN bytes from its header on. */
static uint64_t pseudo_header(const uint8_t *ip, size_t len)
{
	uint8_t tail[4] = { 0, PROTO_TCP, len >> 8, len };

	return (ip[0] >> 4 == 4 ? sum_bytes(ip + IP4_ADDRESSES, 8) :
				  sum_bytes(ip + IP6_ADDRESSES, 32)) +
	       sum_bytes(tail, sizeof(tail));
}

static bool checksum_right(const uint8_t *ip, size_t iplen, size_t len)
{
	return fold(pseudo_header(ip, len - iplen) + sum_bytes(ip + iplen, len - iplen)) == 0xffff;
}

/* ------------------------------------------------------------------ segments */

/* The length of the IP header when this is whole TCP data that can be joined, else 0. */
static size_t data_segment(const uint8_t *ip, size_t len, size_t *head)
{
	size_t iplen;

	if (len < IP4_HEADER)
		return 0;
	if (ip[0] == 0x45) {
		iplen = IP4_HEADER;
		/* reserved flag, "more fragments" and offset are all 0 */
		if (ip[IP4_PROTO] != PROTO_TCP || (get16(ip + IP4_FLAGS) & ~(IP4_DF << 8)) != 0)
			return 0;
	} else if (ip[0] >> 4 == 6 && len > IP6_HEADER && ip[IP6_PROTO] == PROTO_TCP) {
		iplen = IP6_HEADER;
	} else {
		return 0;
	}
	if (len < iplen + TCP_HEADER)
		return 0;
	*head = iplen + (size_t)(ip[iplen + TCP_OFFSET] >> 4) * 4;
	if (*head < iplen + TCP_HEADER || *head >= len || (ip[iplen + TCP_OFFSET] & 0x0f) != 0 ||
	    (ip[iplen + TCP_FLAGS] & ~FLAG_PSH) != FLAG_ACK)
		return 0;
	return iplen;
}

static bool same(const uint8_t *a, const uint8_t *b, size_t from, size_t to)
{
	return memcmp(a + from, b + from, to - from) == 0;
}

/* The IP headers differ in nothing but length, checksum and identification. */
static bool same_ip(const struct dsaa_nfq_join *j, const uint8_t *ip)
{
	const uint8_t *first = j->first;

	if (first[0] >> 4 == 6)
		return same(first, ip, 0, IP6_LENGTH) && same(first, ip, IP6_PROTO, IP6_HEADER);
	if (!same(first, ip, 0, IP4_LENGTH) || !same(first, ip, IP4_FLAGS, IP4_CHECKSUM) ||
	    !same(first, ip, IP4_ADDRESSES, IP4_HEADER))
		return false;
	return (ip[IP4_FLAGS] & IP4_DF) ||
	       get16(ip + IP4_ID) == ((get16(first + IP4_ID) + j->count) & 0xffff);
}

/* The TCP headers differ in nothing but sequence number, PSH and checksum. */
static bool same_tcp(const struct dsaa_nfq_join *j, const uint8_t *ip)
{
	const uint8_t *a = j->first + j->ip, *b = ip + j->ip;

	return same(a, b, 0, TCP_SEQ) && same(a, b, TCP_ACK, TCP_FLAGS) &&
	       same(a, b, TCP_WINDOW, TCP_CHECKSUM) && same(a, b, TCP_URGENT, j->head - j->ip);
}

static void append(struct dsaa_nfq_join *j, uint8_t *ip, size_t payload)
{
	j->data[j->count++] = (struct iovec){ ip + j->head, payload };
	j->payload += payload;
	j->next_seq = get32(ip + j->ip + TCP_SEQ) + (uint32_t)payload;
	j->push = ip[j->ip + TCP_FLAGS] & FLAG_PSH;
	j->closed = payload < j->each || j->push || j->count == DSAA_NFQ_JOIN_MAX;
}

static void begin(struct dsaa_nfq_join *j, uint8_t *ip, size_t iplen, size_t head, size_t len)
{
	j->count = 0;
	j->payload = 0;
	j->first = ip;
	j->ip = iplen;
	j->head = head;
	j->each = len - head;
	append(j, ip, len - head);
}

bool dsaa_nfq_join_add(struct dsaa_nfq_join *j, uint8_t *ip, size_t len)
{
	size_t head, iplen;

	if (j->count && j->closed)
		return false;
	iplen = data_segment(ip, len, &head);
	if (!iplen)
		return false;
	if (j->count == 0) {
		begin(j, ip, iplen, head, len);
		return true;
	}
	if (j->ip != iplen || j->head != head || len - head > j->each ||
	    j->payload + len > PACKET_MAX || get32(ip + iplen + TCP_SEQ) != j->next_seq ||
	    !same_ip(j, ip) || !same_tcp(j, ip) || !checksum_right(ip, iplen, len))
		return false;
	/* the first one's is looked at when it has found company */
	if (j->count == 1 && !checksum_right(j->first, iplen, j->head + j->each))
		return false;
	append(j, ip, len - head);
	return true;
}

size_t dsaa_nfq_join_head(const struct dsaa_nfq_join *j, uint8_t head[DSAA_NFQ_JOIN_HEAD])
{
	uint8_t *tcp = head + j->ip;
	uint16_t sum;

	memcpy(head, j->first, j->head);
	if (head[0] >> 4 == 4) {
		put16(head + IP4_LENGTH, (uint32_t)(j->head + j->payload));
		put16(head + IP4_CHECKSUM, 0);
		sum = (uint16_t)~fold(sum_bytes(head, IP4_HEADER));
		memcpy(head + IP4_CHECKSUM, &sum, sizeof(sum));
	} else {
		put16(head + IP6_LENGTH, (uint32_t)(j->head - j->ip + j->payload));
	}
	if (j->push)
		tcp[TCP_FLAGS] |= FLAG_PSH;
	sum = fold(pseudo_header(head, j->head - j->ip + j->payload));
	memcpy(tcp + TCP_CHECKSUM, &sum, sizeof(sum));
	return j->head;
}
