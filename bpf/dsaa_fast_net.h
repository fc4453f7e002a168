/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the loader wants of rtnetlink: the VXLAN device, filters, facts about
 * interfaces. Inside bpf/ only. Every call opens a socket of its own.
 */
#ifndef DSAA_FAST_NET_H
#define DSAA_FAST_NET_H

#include "core/dsaa_types.h"

struct dsaa_fast_device {
	unsigned ifindex;
	uint8_t mac[6];
	bool ethernet;
	bool up;
	bool tunnel;	     /* a VXLAN device in external mode */
	uint16_t port;	     /* of the tunnel */
	uint64_t unreadable; /* tunnel packets that the device itself refused */
};

/* Facts about interface NAME: 0, or a negative errno (-ENODEV: not there). */
int dsaa_fast_net_device(const char *name, struct dsaa_fast_device *device);

/* Makes a VXLAN device in external mode, with MAC, and sets it up: 0 or a negative errno. */
int dsaa_fast_net_create(const char *name, uint16_t port, const uint8_t mac[6]);
int dsaa_fast_net_set_up(unsigned ifindex);
int dsaa_fast_net_delete(unsigned ifindex);

/* The program of our filter at ingress of an interface: its id; 0: there is none. */
uint32_t dsaa_fast_net_filter(unsigned ifindex);
/* Puts our filter there, in place of what was ours; *MADE when the qdisc had to be made. */
int dsaa_fast_net_attach(unsigned ifindex, int prog_fd, bool *made);
/* Takes our filter away, and the qdisc if QDISC says so and nobody else uses it. */
int dsaa_fast_net_detach(unsigned ifindex, bool qdisc);

/* True when IPsec policies are there, which only the stack looks at. */
bool dsaa_fast_net_ipsec(void);

/* Makes the kernel load what conntrack is made of (its functions for programs live there). */
void dsaa_fast_net_wake_conntrack(void);

#endif
