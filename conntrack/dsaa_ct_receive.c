/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Many datagrams by one system call: the kernel sends each event, and each
 * answer to a look-up, alone. Only what the kernel itself sent, and whole, is
 * handed on. One thread.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* recvmmsg() */
#endif

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <linux/netlink.h>

#include "conntrack/dsaa_ct_private.h"

struct dsaa_ct_inbox {
	struct mmsghdr msg[DSAA_CT_EVENTS_PER_TURN];
	struct iovec iov[DSAA_CT_EVENTS_PER_TURN];
	struct sockaddr_nl from[DSAA_CT_EVENTS_PER_TURN];
	char buf[DSAA_CT_EVENTS_PER_TURN][DSAA_CT_EVENT_MAX];
};

struct dsaa_ct_inbox *dsaa_ct_inbox_new(void)
{
	struct dsaa_ct_inbox *in = calloc(1, sizeof(*in));

	for (unsigned i = 0; in && i < DSAA_CT_EVENTS_PER_TURN; i++) {
		in->iov[i] = (struct iovec){ in->buf[i], DSAA_CT_EVENT_MAX };
		in->msg[i].msg_hdr = (struct msghdr){ .msg_name = &in->from[i],
						      .msg_iov = &in->iov[i],
						      .msg_iovlen = 1 };
	}
	return in;
}

int dsaa_ct_inbox_receive(struct dsaa_ct_inbox *in, int fd, unsigned max)
{
	int got;

	/* the kernel changes it to what it wrote */
	for (unsigned i = 0; i < max; i++)
		in->msg[i].msg_hdr.msg_namelen = sizeof(in->from[i]);
	got = recvmmsg(fd, in->msg, max, MSG_DONTWAIT, NULL);
	return got < 0 ? -errno : got;
}

const struct nlmsghdr *dsaa_ct_inbox_at(const struct dsaa_ct_inbox *in, unsigned i, int *len)
{
	const struct msghdr *h = &in->msg[i].msg_hdr;

	if (h->msg_namelen < sizeof(in->from[i]) || in->from[i].nl_pid || h->msg_flags & MSG_TRUNC)
		return NULL;
	*len = (int)in->msg[i].msg_len;
	return (const struct nlmsghdr *)in->buf[i];
}
