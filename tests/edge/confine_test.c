/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a process cannot do any more after dsaa_confine(), and what it still
 * can: each call is made before and after, by number where the C library would
 * hide it. Needs root.
 */
#include <errno.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dsaad/dsaa_confine.h"
#include "tests/unit/test.h"

static const uint64_t keep = UINT64_C(1) << CAP_NET_ADMIN | UINT64_C(1) << CAP_NET_RAW;

/* What a line of /proc/self/status says, read as a number of that base. */
static unsigned long long status(const char *name, int base)
{
	FILE *f = fopen("/proc/self/status", "re");
	unsigned long long value = ~0ULL;
	char line[256];

	CHECK(f);
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':')
			value = strtoull(line + strlen(name) + 1, NULL, base);
	if (f)
		fclose(f);
	return value;
}

/* How a child ends that runs WHAT, as waitpid() tells it. */
static int child(int (*what)(void))
{
	pid_t pid = fork();
	int how = -1;

	if (pid == 0)
		_exit(what());
	CHECK(pid > 0 && waitpid(pid, &how, 0) == pid);
	return how;
}

static int run_program(void)
{
	char name[] = "true", *argv[] = { name, NULL }, *env[] = { NULL };

	execve("/bin/true", argv, env);
	return errno;
}

static int trace_me(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 ? errno : 0;
}

/* The numbers of another architecture's calls: an error, or no such calls, but not SIGSYS. */
static int call_as_another(void)
{
#ifdef __x86_64__
	long result = 20; /* getpid() of i386 */

	if (syscall(0x40000000 | SYS_getpid) != -1 || errno != ENOSYS) /* of x32 */
		return 1;
	__asm__ volatile("int $0x80" : "+a"(result) : : "memory");
	return result != -ENOSYS;
#else
	return 0;
#endif
}

static long read_own_memory(void)
{
	char from = 1, to = 0;
	struct iovec local = { &to, 1 }, remote = { &from, 1 };

	return syscall(SYS_process_vm_readv, getpid(), &local, 1, &remote, 1, 0);
}

static void *answer(void *arg)
{
	*(int *)arg = 1;
	return NULL;
}

static void test_before(void)
{
	CHECK(status("NoNewPrivs", 10) == 0);
	CHECK(unshare(0) == 0);
	CHECK(read_own_memory() == 1);
	CHECK(child(run_program) == 0);
	CHECK(child(trace_me) == 0);
}

static void test_status(void)
{
	CHECK(status("NoNewPrivs", 10) == 1);
	CHECK(status("Seccomp", 10) == 2);
	CHECK(status("CapBnd", 16) == keep);
}

static void test_refused(void)
{
	static const int few[] = { SYS_io_uring_setup, SYS_userfaultfd, SYS_perf_event_open,
				   SYS_keyctl,	       SYS_add_key,	SYS_request_key,
				   SYS_kcmp,	       SYS_execveat };

	CHECK(unshare(0) == -1 && errno == EPERM);
	CHECK(read_own_memory() == -1 && errno == EPERM);
	CHECK(child(run_program) == EPERM << 8);
#ifndef __SANITIZE_ADDRESS__
	CHECK(child(trace_me) == EPERM << 8);
#endif
	for (size_t i = 0; i < sizeof(few) / sizeof(few[0]); i++)
		CHECK(syscall(few[i], 0, 0, 0, 0, 0) == -1 && errno == EPERM);
	CHECK(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0) == -1 && errno == EPERM);
	CHECK(syscall(SYS_clone3, NULL, 0) == -1 && errno == ENOSYS);
	CHECK(WIFEXITED(child(call_as_another)) || WTERMSIG(child(call_as_another)) == SIGSEGV);
}

static void test_sockets(void)
{
	static const int used[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET };
	static const int other[] = { AF_ALG, AF_VSOCK, AF_BLUETOOTH, AF_RDS, AF_TIPC, AF_XDP };

	for (size_t i = 0; i < sizeof(used) / sizeof(used[0]); i++) {
		int fd = socket(used[i], SOCK_DGRAM | SOCK_CLOEXEC, 0);

		CHECK(fd >= 0);
		if (fd >= 0)
			close(fd);
	}
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
		CHECK(syscall(SYS_socket, other[i], SOCK_DGRAM, 0) == -1);
		CHECK(errno == EAFNOSUPPORT);
		/* the kernel looks at the lower half of the register alone */
		CHECK(syscall(SYS_socket, 1L << 32 | other[i], SOCK_DGRAM, 0) == -1);
		CHECK(errno == EAFNOSUPPORT);
	}
}

static void test_still_there(void)
{
	pthread_t thread;
	int answered = 0;

	CHECK(pthread_create(&thread, NULL, answer, &answered) == 0);
	CHECK(pthread_join(thread, NULL) == 0 && answered);
	CHECK(WIFEXITED(child(getpid)));
	/* what no kernel has */
	CHECK(syscall(1023) == -1 && errno == ENOSYS);
}

int main(void)
{
	char why[80] = "";

	if (geteuid() != 0) {
		printf("skipped: needs root\n");
		return 77;
	}
	test_before();
	CHECK(dsaa_confine(keep, why, sizeof(why)));
	if (why[0])
		printf("%s\n", why);
	test_status();
	test_refused();
	test_sockets();
	test_still_there();
	return TEST_END();
}
