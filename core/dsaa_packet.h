/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads as much of an IP packet as correction needs: addresses, protocol,
 * ports. Never trusts a length field beyond the bytes that are there.
 */
#ifndef DSAA_PACKET_H
#define DSAA_PACKET_H

#include "core/dsaa_flow.h"

struct dsaa_packet {
	uint8_t family;
	uint8_t proto;	     /* the transport protocol after IPv6 extension headers */
	bool fragment;	     /* not the whole datagram: ports may be missing */
	bool icmp_error;     /* quotes another packet: TUPLE is that packet's tuple, reversed, so
			    that it looks like a packet of the same direction as the error */
	bool tcp_syn;	     /* SYN set, ACK not set */
	bool tcp_answer;     /* SYN and ACK set, or RST: what answers a SYN */
	uint8_t tuple_proto; /* protocol of TUPLE (differs from proto for an ICMP error) */
	struct dsaa_tuple tuple; /* as in dsaa_flow.h */
	uint16_t total_len;
};

/*
 * Parses LEN bytes at DATA. Returns DSAA_R_NONE or DSAA_R_UNREADABLE (no IP,
 * shorter than its headers say). Sources: RFC 791, 8200, 792, 4443.
 */
unsigned dsaa_packet_parse(const uint8_t *data, size_t len, struct dsaa_packet *p);

#endif
