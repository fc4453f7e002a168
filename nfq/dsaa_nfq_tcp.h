/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TCP over IP as bytes: where the fields are, and the checksums of RFC 1071.
 * For those files of nfq/ that join segments, or cut them.
 */
#ifndef DSAA_NFQ_TCP_H
#define DSAA_NFQ_TCP_H

#include "core/dsaa_flow.h"

enum dsaa_nfq_fields {
	IP4_HEADER = 20,
	IP4_LENGTH = 2,
	IP4_ID = 4,
	IP4_FLAGS = 6,
	IP4_DF = 0x40,
	IP4_TTL = 8,
	IP4_PROTO = 9,
	IP4_CHECKSUM = 10,
	IP4_ADDRESSES = 12,

	IP6_HEADER = 40,
	IP6_LENGTH = 4,
	IP6_PROTO = 6,
	IP6_ADDRESSES = 8,

	TCP_HEADER = 20,
	TCP_PORTS = 0,
	TCP_SEQ = 4,
	TCP_ACK = 8,
	TCP_OFFSET = 12,
	TCP_FLAGS = 13,
	TCP_WINDOW = 14,
	TCP_CHECKSUM = 16,
	TCP_URGENT = 18,
	TCP_FLAG_PSH = 0x08,
	TCP_FLAG_ACK = 0x10,

	UDP_HEADER = 8,
	UDP_LENGTH = 4,
	UDP_CHECKSUM = 6,
};

static inline uint32_t dsaa_nfq_get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t dsaa_nfq_get32(const uint8_t *p)
{
	return dsaa_nfq_get16(p) << 16 | dsaa_nfq_get16(p + 2);
}

static inline void dsaa_nfq_put16(uint8_t *p, uint32_t value)
{
	p[0] = value >> 8;
	p[1] = value;
}

static inline void dsaa_nfq_put32(uint8_t *p, uint32_t value)
{
	dsaa_nfq_put16(p, value >> 16);
	dsaa_nfq_put16(p + 2, value);
}

/* IPv4: "more fragments", an offset, or the flag that nobody may set. */
static inline bool dsaa_nfq_ip4_is_fragment(const uint8_t *ip)
{
	return (dsaa_nfq_get16(ip + IP4_FLAGS) & ~(IP4_DF << 8)) != 0;
}

/* The sum of LEN bytes, to be added to others and folded at the end. */
uint64_t dsaa_nfq_sum(const uint8_t *p, size_t len);
/* That of the pseudo-header at IP, of PROTO with LEN bytes from its header on. */
uint64_t dsaa_nfq_pseudo_header(const uint8_t *ip, uint8_t proto, size_t len);
/* A sum as 16 bits in the order of the packet; the checksum is its complement. */
uint16_t dsaa_nfq_fold(uint64_t sum);

/*
 * The length of the IP header when the packet of LEN bytes is TCP data with no flags but ACK and
 * PSH, whole and without options of IP; with that of all headers in *HEAD. Else 0.
 */
size_t dsaa_nfq_tcp_data(const uint8_t *ip, size_t len, size_t *head);
/* The IP header says LEN from here on, and has the checksum for it. IPv4 without options. */
void dsaa_nfq_ip_set_length(uint8_t *ip, size_t len);

#endif
