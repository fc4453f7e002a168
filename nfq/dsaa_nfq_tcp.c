/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TCP over IP as bytes. Pure.
 */
#include "nfq/dsaa_nfq_private.h"

#include <string.h>

#include "nfq/dsaa_nfq_tcp.h"

/*
 * As 32-bit words of this machine's byte order: a carry cannot be lost in 64 bits, and the order
 * of bytes does not matter before the end (RFC 1071 2.B).
 */
uint64_t dsaa_nfq_sum(const uint8_t *p, size_t len)
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

uint16_t dsaa_nfq_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

uint64_t dsaa_nfq_pseudo_header(const uint8_t *ip, uint8_t proto, size_t len)
{
	uint8_t tail[4] = { 0, proto, len >> 8, len };

	return (ip[0] >> 4 == 4 ? dsaa_nfq_sum(ip + IP4_ADDRESSES, 8) :
				  dsaa_nfq_sum(ip + IP6_ADDRESSES, 32)) +
	       dsaa_nfq_sum(tail, sizeof(tail));
}

size_t dsaa_nfq_tcp_data(const uint8_t *ip, size_t len, size_t *head)
{
	size_t iplen;

	if (len < IP4_HEADER)
		return 0;
	if (ip[0] == 0x45) {
		iplen = IP4_HEADER;
		if (ip[IP4_PROTO] != DSAA_PROTO_TCP || dsaa_nfq_ip4_is_fragment(ip))
			return 0;
	} else if (ip[0] >> 4 == 6 && len > IP6_HEADER && ip[IP6_PROTO] == DSAA_PROTO_TCP) {
		iplen = IP6_HEADER;
	} else {
		return 0;
	}
	if (len < iplen + TCP_HEADER)
		return 0;
	*head = iplen + (size_t)(ip[iplen + TCP_OFFSET] >> 4) * 4;
	if (*head < iplen + TCP_HEADER || *head >= len || (ip[iplen + TCP_OFFSET] & 0x0f) != 0 ||
	    (ip[iplen + TCP_FLAGS] & ~TCP_FLAG_PSH) != TCP_FLAG_ACK)
		return 0;
	return iplen;
}

void dsaa_nfq_ip_set_length(uint8_t *ip, size_t len)
{
	uint16_t sum;

	if (ip[0] >> 4 == 6) {
		dsaa_nfq_put16(ip + IP6_LENGTH, (uint32_t)(len - IP6_HEADER));
		return;
	}
	dsaa_nfq_put16(ip + IP4_LENGTH, (uint32_t)len);
	dsaa_nfq_put16(ip + IP4_CHECKSUM, 0);
	sum = (uint16_t)~dsaa_nfq_fold(dsaa_nfq_sum(ip, IP4_HEADER));
	memcpy(ip + IP4_CHECKSUM, &sum, sizeof(sum));
}
