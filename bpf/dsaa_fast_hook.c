/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Attaching the programs, see dsaa_fast_hook.h. The system calls of tcx are
 * made directly: libbpf knows them since 1.3, Debian 12 has 1.1.
 */
#include "bpf/dsaa_fast_hook.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "bpf/dsaa_fast_net.h"

/* <linux/bpf.h> of Linux 6.6 */
enum {
	TCX_INGRESS = 46, /* BPF_TCX_INGRESS */
	TCX_MAX = 64,	  /* BPF_MPROG_MAX */
};

struct attach_attr {
	uint32_t target_ifindex, attach_bpf_fd, attach_type, attach_flags;
	uint32_t replace_bpf_fd, relative_fd;
	uint64_t expected_revision;
};

struct query_attr {
	uint32_t target_ifindex, attach_type, query_flags, attach_flags;
	uint64_t prog_ids;
	uint32_t count, padding;
	uint64_t prog_attach_flags, link_ids, link_attach_flags, revision;
};

static int bpf_call(int command, void *attr, unsigned len)
{
	return syscall(__NR_bpf, command, attr, len) < 0 ? -errno : 0;
}

/* The ids of the programs on the interface; their number or a negative errno. */
static int tcx_query(unsigned ifindex, uint32_t ids[TCX_MAX])
{
	struct query_attr q = { .target_ifindex = ifindex,
				.attach_type = TCX_INGRESS,
				.prog_ids = (uint64_t)(uintptr_t)ids,
				.count = TCX_MAX };
	int rc = bpf_call(BPF_PROG_QUERY, &q, sizeof(q));

	return rc < 0 ? rc : (int)q.count;
}

static int tcx_attach(unsigned ifindex, int prog_fd, int old_fd)
{
	struct attach_attr a = { .target_ifindex = ifindex,
				 .attach_bpf_fd = (uint32_t)prog_fd,
				 .attach_type = TCX_INGRESS };

	if (old_fd >= 0) {
		a.attach_flags = BPF_F_REPLACE;
		a.replace_bpf_fd = (uint32_t)old_fd;
	}
	return bpf_call(BPF_PROG_ATTACH, &a, sizeof(a));
}

static int tcx_detach(unsigned ifindex, int prog_fd)
{
	struct attach_attr a = { .target_ifindex = ifindex,
				 .attach_bpf_fd = (uint32_t)prog_fd,
				 .attach_type = TCX_INGRESS };

	return bpf_call(BPF_PROG_DETACH, &a, sizeof(a));
}

/* ------------------------------------------------------------------ leftovers */

/* A descriptor of program ID when it is one of ours, else -1. */
static int open_ours(uint32_t id)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);

	if (fd < 0)
		return -1;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0 &&
	    (strcmp(info.name, "dsaa_to_owner") == 0 || strcmp(info.name, "dsaa_from_peer") == 0 ||
	     strcmp(info.name, "dsaa_from_link") == 0))
		return fd;
	close(fd);
	return -1;
}

static void find_old(struct dsaa_fast_hooks *h, unsigned ifindex)
{
	uint32_t ids[TCX_MAX];
	int n = tcx_query(ifindex, ids), i;

	for (i = 0; i < n && h->olds < DSAA_FAST_HOOKS_OLD_MAX; i++) {
		int fd = open_ours(ids[i]);

		if (fd >= 0)
			h->old[h->olds++] = (struct dsaa_fast_hook_old){ ifindex, fd };
	}
}

void dsaa_fast_hooks_open(struct dsaa_fast_hooks *h)
{
	struct if_nameindex *all = if_nameindex(), *i;
	uint32_t ids[TCX_MAX];

	memset(h, 0, sizeof(*h));
	/* every namespace has an interface lo, and it is the first one */
	h->tcx = tcx_query(1, ids) >= 0;
	for (i = all; h->tcx && i && i->if_index; i++)
		find_old(h, i->if_index);
	if_freenameindex(all);
}

void dsaa_fast_hooks_close(struct dsaa_fast_hooks *h)
{
	while (h->olds > 0)
		close(h->old[--h->olds].fd);
}

/* Takes one leftover of the interface out of the list: its descriptor or -1. */
static int take_old(struct dsaa_fast_hooks *h, unsigned ifindex)
{
	unsigned i;
	int fd;

	for (i = 0; i < h->olds; i++) {
		if (h->old[i].ifindex != ifindex)
			continue;
		fd = h->old[i].fd;
		h->old[i] = h->old[--h->olds];
		return fd;
	}
	return -1;
}

void dsaa_fast_hook_detach_one(unsigned ifindex, int prog_fd)
{
	tcx_detach(ifindex, prog_fd);
}

void dsaa_fast_hooks_sweep(struct dsaa_fast_hooks *h)
{
	while (h->olds > 0) {
		h->olds--;
		tcx_detach(h->old[h->olds].ifindex, h->old[h->olds].fd);
		close(h->old[h->olds].fd);
	}
}

/* ------------------------------------------------------------------ hooks */

bool dsaa_fast_hook_is(const struct dsaa_fast_hooks *h, unsigned ifindex, uint32_t id)
{
	uint32_t ids[TCX_MAX];
	int n, i;

	if (!h->tcx)
		return dsaa_fast_net_filter(ifindex) == id;
	n = tcx_query(ifindex, ids);
	for (i = 0; i < n; i++)
		if (ids[i] == id)
			return true;
	return false;
}

int dsaa_fast_hook_attach(struct dsaa_fast_hooks *h, unsigned ifindex, int prog_fd, bool *made)
{
	int old, rc;

	if (!h->tcx)
		return dsaa_fast_net_attach(ifindex, prog_fd, made);
	*made = false;
	old = take_old(h, ifindex);
	rc = tcx_attach(ifindex, prog_fd, old);
	if (old >= 0)
		close(old);
	/* somebody has taken the old one away */
	if (rc == -ENOENT && old >= 0)
		rc = tcx_attach(ifindex, prog_fd, -1);
	/* of a release, or a kernel, that had no tcx */
	if (rc == 0 && dsaa_fast_net_filter(ifindex))
		dsaa_fast_net_detach(ifindex, false);
	return rc;
}

int dsaa_fast_hook_detach(struct dsaa_fast_hooks *h, unsigned ifindex, int prog_fd, bool qdisc)
{
	int old, rc = 0;

	if (h->tcx && prog_fd >= 0)
		rc = tcx_detach(ifindex, prog_fd);
	while ((old = take_old(h, ifindex)) >= 0) {
		tcx_detach(ifindex, old);
		close(old);
	}
	/* not there, or the interface is gone: as good as removed */
	if (rc == -ENOENT || rc == -ENODEV)
		rc = 0;
	if (dsaa_fast_net_filter(ifindex) || qdisc) {
		int filter = dsaa_fast_net_detach(ifindex, qdisc);

		rc = rc ? rc : filter;
	}
	return rc;
}
