/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The connections of the benchmark, by number: clients of 198.18.0.0/16 to one
 * port of one server (the network that RFC 2544 sets aside for benchmarks).
 */
#ifndef BENCH_FLOWS_H
#define BENCH_FLOWS_H

#include <stdint.h>

#define FLOW_CLIENTS	 0xc6120001u /* 198.18.0.1 */
#define FLOW_SERVER	 0xc613000au /* 198.19.0.10 */
#define FLOW_SERVER_PORT 443u
#define FLOW_PORTS_BITS	 14
#define FLOW_PORT_FIRST	 1024u
#define FLOWS_MAX	 (1u << 21)

static inline uint32_t flow_client(uint32_t number)
{
	return FLOW_CLIENTS + (number >> FLOW_PORTS_BITS);
}

static inline uint32_t flow_port(uint32_t number)
{
	return FLOW_PORT_FIRST + (number & ((1u << FLOW_PORTS_BITS) - 1));
}

/* The number of the connection from CLIENT and PORT, or FLOWS_MAX: none of ours. */
static inline uint32_t flow_number(uint32_t client, uint32_t port)
{
	uint32_t at = client - FLOW_CLIENTS;

	if (at >= (FLOWS_MAX >> FLOW_PORTS_BITS) || port < FLOW_PORT_FIRST ||
	    (port - FLOW_PORT_FIRST) >> FLOW_PORTS_BITS)
		return FLOWS_MAX;
	return at << FLOW_PORTS_BITS | (port - FLOW_PORT_FIRST);
}

#endif
