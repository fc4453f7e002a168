/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the programs hang: at ingress of an interface, by tcx where the kernel
 * has it (Linux 6.6), else as a clsact filter. Both outlive the process, pins
 * or not, are replaced in one step, and run beside other people's programs:
 * by tcx after those of tcx and before all filters; as a filter with priority
 * DSAA_FAST_PRIORITY, after what an operator numbers by hand, before what the
 * kernel numbers. Inside bpf/ only; main thread; wants CAP_NET_ADMIN.
 */
#ifndef DSAA_FAST_HOOK_H
#define DSAA_FAST_HOOK_H

#include "core/dsaa_types.h"
#include "bpf/dsaa_fast_shared.h"

enum { DSAA_FAST_HOOKS_OLD_MAX = DSAA_FAST_PORTS + DSAA_SITE_SYNC_ADDRESSES_MAX + 1 };

struct dsaa_fast_hooks {
	bool tcx;
	/* what an earlier process left by tcx: only its descriptor allows to replace it */
	struct dsaa_fast_hook_old {
		unsigned ifindex;
		int fd;
	} old[DSAA_FAST_HOOKS_OLD_MAX];
	unsigned olds;
};

/* Finds out what the kernel has, and what is left; as root, or leftovers are not found. */
void dsaa_fast_hooks_open(struct dsaa_fast_hooks *h);
void dsaa_fast_hooks_close(struct dsaa_fast_hooks *h);

/* True when program ID is there. */
bool dsaa_fast_hook_is(const struct dsaa_fast_hooks *h, unsigned ifindex, uint32_t id);
/* Puts the program there, in place of what was ours; *MADE when a qdisc had to be made. */
int dsaa_fast_hook_attach(struct dsaa_fast_hooks *h, unsigned ifindex, int prog_fd, bool *made);
/* Takes the program away by tcx, nothing else. */
void dsaa_fast_hook_detach_one(unsigned ifindex, int prog_fd);
/* Takes away what an earlier process left and this one has put nothing in the place of. */
void dsaa_fast_hooks_sweep(struct dsaa_fast_hooks *h);
/* Takes the program (-1: none) and leftovers away, and the qdisc as dsaa_fast_net_detach(). */
int dsaa_fast_hook_detach(struct dsaa_fast_hooks *h, unsigned ifindex, int prog_fd, bool qdisc);

#endif
