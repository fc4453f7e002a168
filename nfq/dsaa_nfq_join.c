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
#include "nfq/dsaa_nfq_tcp.h"

#include <string.h>

static bool checksum_right(const uint8_t *ip, size_t iplen, size_t len)
{
	return dsaa_nfq_fold(dsaa_nfq_pseudo_header(ip, DSAA_PROTO_TCP, len - iplen) +
			     dsaa_nfq_sum(ip + iplen, len - iplen)) == 0xffff;
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
	       dsaa_nfq_get16(ip + IP4_ID) ==
		       ((dsaa_nfq_get16(first + IP4_ID) + j->count) & 0xffff);
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
	j->next_seq = dsaa_nfq_get32(ip + j->ip + TCP_SEQ) + (uint32_t)payload;
	j->push = ip[j->ip + TCP_FLAGS] & TCP_FLAG_PSH;
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
	iplen = dsaa_nfq_tcp_data(ip, len, &head);
	if (!iplen)
		return false;
	if (j->count == 0) {
		begin(j, ip, iplen, head, len);
		return true;
	}
	if (j->ip != iplen || j->head != head || len - head > j->each ||
	    j->payload + len > DSAA_PACKET_MAX ||
	    dsaa_nfq_get32(ip + iplen + TCP_SEQ) != j->next_seq || !same_ip(j, ip) ||
	    !same_tcp(j, ip) || !checksum_right(ip, iplen, len))
		return false;
	/* the first one's is looked at when it has found company */
	if (j->count == 1 && !checksum_right(j->first, iplen, j->head + j->each))
		return false;
	append(j, ip, len - head);
	return true;
}

size_t dsaa_nfq_join_head(const struct dsaa_nfq_join *j, uint8_t head[DSAA_NFQ_HEAD])
{
	uint8_t *tcp = head + j->ip;
	uint16_t sum;

	memcpy(head, j->first, j->head);
	dsaa_nfq_ip_set_length(head, j->head + j->payload);
	if (j->push)
		tcp[TCP_FLAGS] |= TCP_FLAG_PSH;
	sum = dsaa_nfq_fold(
		dsaa_nfq_pseudo_header(head, DSAA_PROTO_TCP, j->head - j->ip + j->payload));
	memcpy(tcp + TCP_CHECKSUM, &sum, sizeof(sum));
	return j->head;
}
