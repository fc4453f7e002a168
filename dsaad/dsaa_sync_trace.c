/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What "debug dsaa sync" and "debug dsaa conntrack" log: the sessions' messages
 * but for those that come in masses, and what was asked of the kernel's table.
 * None of it comes more often than a few times a second for each peer.
 *
 * Threads: the sync thread.
 */
#include "dsaad/dsaa_sync_private.h"

#include "log.h"

#include "dsaad/dsaa_debug.h"

/* Those that come in masses tell of connections, and are counted. */
static bool is_rare(unsigned type)
{
	switch (type) {
	case DSAA_MSG_KEEPALIVE:
	case DSAA_MSG_FLOWS:
	case DSAA_MSG_ACK:
	case DSAA_MSG_BULK_FLOWS:
	case DSAA_MSG_AUDIT_HASHES:
	case DSAA_MSG_AUDIT_STATES:
	case DSAA_MSG_AUDIT_WANT:
	case DSAA_MSG_AUDIT_FLOWS:
	case DSAA_MSG_EXPECTS:
		return false;
	default:
		return true;
	}
}

void dsaa_sync_trace_message(const char *what, dsaa_site_id site, const uint8_t *data, size_t len)
{
	unsigned type, reason;

	if (!DSAA_DEBUG(DSAA_DEBUG_SYNC) || dsaa_wire_frame(data, len, &reason) <= 0)
		return;
	type = dsaa_wire_type(data);
	if (is_rare(type))
		zlog_debug("site %u: %s %s", site, what, dsaa_wire_type_name(type));
}

void dsaa_sync_trace_applied(const struct dsaa_apply *ops, unsigned count)
{
	static struct dsaa_log_limit limit;
	const struct dsaa_apply *first = NULL;
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
	unsigned refused = 0;

	if (!DSAA_DEBUG(DSAA_DEBUG_CONNTRACK))
		return;
	for (unsigned i = 0; i < count; i++) {
		if (ops[i].result != DSAA_APPLIED_FULL && ops[i].result != DSAA_APPLIED_ERROR)
			continue;
		if (!refused++)
			first = &ops[i];
	}
	if (!first || !dsaa_log_allowed(&limit, NULL))
		return;
	zlog_debug("conntrack: refused %u of %u changes, the first: protocol %u, %s port %u to %s "
		   "port %u: %s",
		   refused, count, first->flow.proto,
		   dsaa_addr_text(first->flow.family, first->flow.orig.src, src),
		   first->flow.orig.sport,
		   dsaa_addr_text(first->flow.family, first->flow.orig.dst, dst),
		   first->flow.orig.dport,
		   first->result == DSAA_APPLIED_FULL ? "the table is full" :
							safe_strerror(first->error));
}
