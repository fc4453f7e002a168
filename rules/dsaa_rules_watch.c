/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tells when our table may have changed. The kernel sends all changes of all
 * tables, when a transaction is through, to whoever joined the group; what
 * names another table is passed over unread. What has changed must be asked for
 * (dsaa_rules_present()): the messages do not tell whose change it was.
 */
#include "rules/dsaa_rules.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

enum {
	/* the kernel fills up to a page or 8 KiB; what does not fit counts as a change */
	RECEIVE_LEN = 16384,
	/* others may write faster than we read: the rest is for the next time */
	AT_ONCE_MAX = 256,
	/* chains, rules, sets, elements, objects and flowtables name their table by this, too */
	ATTR_TABLE = NFTA_TABLE_NAME,
};

_Static_assert((int)NFTA_CHAIN_TABLE == ATTR_TABLE && (int)NFTA_RULE_TABLE == ATTR_TABLE &&
		       (int)NFTA_SET_TABLE == ATTR_TABLE &&
		       (int)NFTA_SET_ELEM_LIST_TABLE == ATTR_TABLE &&
		       (int)NFTA_OBJ_TABLE == ATTR_TABLE && (int)NFTA_FLOWTABLE_TABLE == ATTR_TABLE,
	       "all name their table by the same attribute");

int dsaa_rules_watch_open(void)
{
	struct sockaddr_nl group = {
		.nl_family = AF_NETLINK,
		.nl_groups = 1 << (NFNLGRP_NFTABLES - 1),
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
	int rc;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&group, sizeof(group)) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

static bool is_ours(const struct nlmsghdr *nlh)
{
	const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;

	if (nlh->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES ||
	    (nlh->nlmsg_type & 0xff) == NFT_MSG_NEWGEN ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(*nfg) || nfg->nfgen_family != NFPROTO_INET)
		return false;
	mnl_attr_for_each (attr, nlh, sizeof(*nfg))
		if (mnl_attr_get_type(attr) == ATTR_TABLE)
			return mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0 &&
			       strcmp(mnl_attr_get_str(attr), DSAA_RULES_TABLE) == 0;
	return false;
}

/* One datagram holds many messages. */
static bool names_ours(const void *buf, size_t len)
{
	const struct nlmsghdr *nlh = buf;
	int left;

	for (left = (int)len; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left))
		if (is_ours(nlh))
			return true;
	return false;
}

bool dsaa_rules_watch_read(int fd)
{
	_Alignas(struct nlmsghdr) uint8_t buf[RECEIVE_LEN];
	bool changed = false;

	for (unsigned i = 0; i < AT_ONCE_MAX; i++) {
		ssize_t n = recv(fd, buf, sizeof(buf), MSG_TRUNC);

		if (n < 0 && errno == EINTR)
			continue;
		/* ENOBUFS: some were lost. Any other error must not look like peace. */
		if (n < 0 && errno != ENOBUFS)
			return changed || (errno != EAGAIN && errno != EWOULDBLOCK);
		if (!changed)
			changed = n < 0 || (size_t)n > sizeof(buf) || names_ours(buf, (size_t)n);
	}
	return changed;
}
