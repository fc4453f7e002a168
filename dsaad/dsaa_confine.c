/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Confinement, see dsaa_confine.h. Main thread, at the start. Knows nothing of
 * libfrr, so that tests/edge/confine_test.c runs it alone.
 *
 * The filter lists what is refused, not what is allowed: libfrr, its modules
 * and the C library differ from version to version in what they call, and a
 * router's daemon must not end, or stand still, because a call is new. On the
 * list is what the kernel would let user frr do with dsaad's capabilities, what
 * dsaad never does, and what an attacker's code begins with. A call that is
 * refused fails as it does in a kernel that is built without it, or for a user
 * who may not make it.
 */
#include "dsaad/dsaa_confine.h"

#include <errno.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

/* clang-format off */
static const int refused[] = {
	/* dsaad runs no program */
	SCMP_SYS(execve), SCMP_SYS(execveat),
	/* FRR's other daemons run as the same user: their memory and descriptors are not ours */
	SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(process_madvise),
	SCMP_SYS(pidfd_getfd), SCMP_SYS(kcmp),
#ifndef __SANITIZE_ADDRESS__ /* at the end its search for leaks stops the threads by it */
	SCMP_SYS(ptrace),
#endif
	/* a namespace of one's own is a way to every capability within it */
	SCMP_SYS(unshare),
	/* large parts of the kernel that a router's daemon has no use for */
	SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register),
	SCMP_SYS(userfaultfd), SCMP_SYS(perf_event_open),
	SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(keyctl),
};
/* clang-format on */

/* Of all others a socket() might load a module of the kernel that nobody else here uses. */
static const int families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET };

static bool is_used(int family)
{
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		if (families[i] == family)
			return true;
	return false;
}

/* Families are an int: the upper half of the register is not the kernel's business, nor ours. */
static int refuse_families(scmp_filter_ctx ctx)
{
	int rc = 0;

	for (int family = 0; family < AF_MAX && rc == 0; family++)
		if (!is_used(family))
			rc = seccomp_rule_add(
				ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
				SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, (scmp_datum_t)family));
	return rc;
}

/*
 * Threads are clone(), which tells its flags in a register (the first, but for s390). The flags of
 * clone3() are in memory, where a filter cannot look; without it the C library takes clone().
 */
static int refuse_user_namespaces(scmp_filter_ctx ctx)
{
#ifdef __s390__
	const unsigned flags = 1;
#else
	const unsigned flags = 0;
#endif
	int rc = seccomp_rule_add(
		ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
		SCMP_CMP(flags, SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER));

	return rc ? rc : seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

static int make_filter(scmp_filter_ctx ctx)
{
	int rc;

	/* calls of another architecture, as a 32-bit program makes them: the default would kill */
	rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
	/* a tree in place of a list */
	if (rc == 0)
		rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]) && rc == 0; i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
	if (rc == 0)
		rc = refuse_families(ctx);
	if (rc == 0)
		rc = refuse_user_namespaces(ctx);
	return rc;
}

/* 0 or a negative errno. */
static int install_filter(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int rc = ctx ? make_filter(ctx) : -ENOMEM;

	if (rc == 0)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	return rc;
}

/* The bounding set; the kernel has fewer capabilities than we ask about. 0 or a negative errno. */
static int drop_capabilities(uint64_t keep)
{
	for (unsigned long cap = 0; cap < 64; cap++) {
		if (keep & UINT64_C(1) << cap || prctl(PR_CAPBSET_READ, cap) != 1)
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -errno;
	}
	return 0;
}

bool dsaa_confine(uint64_t keep, char *why, size_t why_len)
{
	int caps = drop_capabilities(keep), rc;

	/* the filter of who is not root needs it as well */
	rc = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : install_filter();
	if (caps == 0 && rc == 0)
		return true;
	snprintf(why, why_len, "%s: %s", rc ? "system calls" : "capabilities",
		 strerror(rc ? -rc : -caps));
	return false;
}
