/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel left to whoever sends a packet on: a large packet that is to
 * be cut into the segments of the wire (GSO), and a checksum that is still to
 * be made. The queues of foreign connections give out packets in that state,
 * for it is there that most of the work was: of 64 KB, the kernel made 45
 * packets with a message for each.
 *
 * It does not tell how long the segments were (nfnetlink_queue has no word for
 * gso_size), and to guess is no way: longer ones than the sender's may not fit
 * a link behind the owner. So the kernel cuts the first large packet of a
 * connection itself: the packet is sent on to a second queue, which gives out
 * segments, and for SIZE_LIFE_MS from then on the length of the first of them
 * counts. What is not plain TCP always goes that way.
 *
 * The queue thread that owns the object.
 */
#include "nfq/dsaa_nfq_private.h"
#include "nfq/dsaa_nfq_tcp.h"

#include <string.h>

enum {
	/* a path's MTU that shrinks is followed after so long: a round-trip time or two */
	SIZE_LIFE_MS = 100,
};

/* ------------------------------------------------------------------ sizes */

/* The place of the connection of P, which is TCP, with its name in KEY. */
static struct dsaa_nfq_size *place_of(struct dsaa_nfq *nfq, const struct dsaa_nfq_packet *p,
				      size_t iplen, uint8_t key[DSAA_NFQ_SIZE_KEY])
{
	const uint8_t *ip = p->data;
	uint64_t hash = 0, w;
	size_t i;

	memset(key, 0, DSAA_NFQ_SIZE_KEY);
	memcpy(key, ip + iplen + TCP_PORTS, 4);
	/* two zones may have a connection of the same addresses each */
	memcpy(key + 4, &p->indev, 4);
	if (iplen == IP4_HEADER)
		memcpy(key + 8, ip + IP4_ADDRESSES, 8);
	else
		memcpy(key + 8, ip + IP6_ADDRESSES, 32);
	/* whoever makes two fall together has one of them cut by the kernel, no more */
	for (i = 0; i < DSAA_NFQ_SIZE_KEY; i += sizeof(w)) {
		memcpy(&w, key + i, sizeof(w));
		hash = (hash ^ w) * UINT64_C(0x9e3779b97f4a7c15);
	}
	return &nfq->size[hash >> 32 & (DSAA_NFQ_SIZES - 1)];
}

void dsaa_nfq_cut_learn(struct dsaa_nfq *nfq, const struct dsaa_nfq_packet *p)
{
	uint8_t key[DSAA_NFQ_SIZE_KEY];
	struct dsaa_nfq_size *place;
	size_t head, iplen = dsaa_nfq_tcp_data(p->data, p->len, &head);
	uint64_t now;

	if (!iplen)
		return;
	place = place_of(nfq, p, iplen, key);
	now = dsaa_nfq_now_ms();
	/* the first segment tells: the last may be shorter */
	if (now < place->until_ms && memcmp(place->key, key, sizeof(key)) == 0)
		return;
	memcpy(place->key, key, sizeof(key));
	place->each = (uint16_t)(p->len - head);
	place->until_ms = now + SIZE_LIFE_MS;
}

/* The length of each segment's payload, or 0. */
static uint16_t find_size(struct dsaa_nfq *nfq, const struct dsaa_nfq_packet *p, size_t iplen)
{
	uint8_t key[DSAA_NFQ_SIZE_KEY];
	const struct dsaa_nfq_size *place = place_of(nfq, p, iplen, key);

	if (memcmp(place->key, key, sizeof(key)) != 0 || dsaa_nfq_now_ms() >= place->until_ms)
		return 0;
	return place->each;
}

/* ------------------------------------------------------------------ checksums */

/* The length of the IP header with the place of a checksum behind it, 0 when we do not know it. */
static size_t transport(const struct dsaa_nfq_packet *p, uint8_t *proto, size_t *field)
{
	const uint8_t *ip = p->data;
	size_t iplen = ip[0] >> 4 == 4 ? (size_t)(ip[0] & 0x0f) * 4 : IP6_HEADER;

	*proto = ip[0] >> 4 == 4 ? ip[IP4_PROTO] : ip[IP6_PROTO];
	if (iplen < IP4_HEADER || (ip[0] >> 4 == 4 && dsaa_nfq_ip4_is_fragment(ip)))
		return 0;
	if (*proto == DSAA_PROTO_TCP && p->len >= iplen + TCP_HEADER) {
		*field = iplen + TCP_CHECKSUM;
		return iplen;
	}
	if (*proto == DSAA_PROTO_UDP && p->len >= iplen + UDP_HEADER &&
	    dsaa_nfq_get16(ip + iplen + UDP_LENGTH) == p->len - iplen) {
		*field = iplen + UDP_CHECKSUM;
		return iplen;
	}
	return 0;
}

/*
 * The kernel does not tell whose checksum it is: of a packet that holds another one (a tunnel's) it
 * can be that one's. What is to be completed holds the sum of the pseudo-header.
 */
static bool make_checksum(const struct dsaa_nfq_packet *p)
{
	uint8_t *ip = (uint8_t *)p->data, proto; /* in a buffer of ours */
	size_t field, iplen = transport(p, &proto, &field);
	uint16_t sum;

	if (!iplen)
		return false;
	sum = dsaa_nfq_fold(dsaa_nfq_pseudo_header(ip, proto, p->len - iplen));
	if (memcmp(ip + field, &sum, sizeof(sum)) != 0)
		return false;
	/* so it is part of the sum */
	sum = (uint16_t)~dsaa_nfq_fold(dsaa_nfq_sum(ip + iplen, p->len - iplen));
	/* RFC 768: 0 says that there is none */
	/* cppcheck-suppress knownConditionTrueFalse ; of all sums one is 0 */
	if (sum == 0 && proto == DSAA_PROTO_UDP)
		sum = 0xffff;
	memcpy(ip + field, &sum, sizeof(sum));
	return true;
}

/* ------------------------------------------------------------------ cutting */

bool dsaa_nfq_cut_prepare(struct dsaa_nfq *nfq, struct dsaa_nfq_packet *p)
{
	size_t iplen, head;

	if (!p->large)
		return !p->unsummed || make_checksum(p);
	iplen = dsaa_nfq_tcp_data(p->data, p->len, &head);
	if (!iplen)
		return false;
	p->each = find_size(nfq, p, iplen);
	p->head = (uint16_t)head;
	return p->each != 0;
}

size_t dsaa_nfq_cut_segment(const struct dsaa_nfq_packet *p, size_t at, uint8_t head[DSAA_NFQ_HEAD])
{
	size_t left = p->len - p->head - at, len = left < p->each ? left : p->each;
	size_t iplen = p->data[0] >> 4 == 4 ? IP4_HEADER : IP6_HEADER;
	uint8_t *tcp = head + iplen;
	uint16_t sum = 0;

	memcpy(head, p->data, p->head);
	if (iplen == IP4_HEADER)
		dsaa_nfq_put16(head + IP4_ID,
			       dsaa_nfq_get16(head + IP4_ID) + (uint32_t)(at / p->each));
	dsaa_nfq_ip_set_length(head, p->head + len);
	dsaa_nfq_put32(tcp + TCP_SEQ, dsaa_nfq_get32(tcp + TCP_SEQ) + (uint32_t)at);
	/* cppcheck-suppress knownConditionTrueFalse ; the last segment alone is all that is left */
	if (len < left)
		tcp[TCP_FLAGS] &= (uint8_t)~TCP_FLAG_PSH;
	memcpy(tcp + TCP_CHECKSUM, &sum, sizeof(sum));
	sum = (uint16_t)~dsaa_nfq_fold(
		dsaa_nfq_pseudo_header(head, DSAA_PROTO_TCP, p->head - iplen + len) +
		dsaa_nfq_sum(tcp, p->head - iplen) + dsaa_nfq_sum(p->data + p->head + at, len));
	memcpy(tcp + TCP_CHECKSUM, &sum, sizeof(sum));
	return len;
}
