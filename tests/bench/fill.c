/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fills the connection table of this namespace with established connections
 * that differ in addresses and ports, as forwarding would have made them.
 *
 * usage: fill FIRST COUNT      numbers of connections; exit 1 when the kernel did not take all
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conntrack/dsaa_conntrack.h"

enum { TIMEOUT_S = 3600, TCP_ESTABLISHED = 3 };

static void make_flow(struct dsaa_flow *f, unsigned n)
{
	/* 198.19.N.N:1024.. -> 10.9.1.10:443 */
	const uint8_t client[] = { 198, 19, (uint8_t)(n >> 16), (uint8_t)(n >> 8) };
	const uint8_t server[] = { 10, 9, 1, 10 };

	memset(f, 0, sizeof(*f));
	f->family = 4;
	f->proto = 6;
	memcpy(f->orig.src, client, sizeof(client));
	memcpy(f->orig.dst, server, sizeof(server));
	f->orig.sport = (uint16_t)(1024 + n % 256);
	f->orig.dport = 443;
	memcpy(f->reply.src, server, sizeof(server));
	memcpy(f->reply.dst, client, sizeof(client));
	f->reply.sport = f->orig.dport;
	f->reply.dport = f->orig.sport;
	f->status = DSAA_FLOW_SEEN_REPLY | DSAA_FLOW_ASSURED;
	f->timeout_s = TIMEOUT_S;
	f->tcp_state = TCP_ESTABLISHED;
	f->tcp_flags[0] = f->tcp_flags[1] = 0x08;
}

int main(int argc, char **argv)
{
	static struct dsaa_apply ops[DSAA_FLOWS_PER_MSG_MAX];
	unsigned first = argc > 2 ? (unsigned)atoi(argv[1]) : 0, made = 0;
	unsigned count = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
	char err[160];
	struct dsaa_ct *ct = dsaa_ct_open(DSAA_MARK_MASK_DEFAULT, false, err, sizeof(err));

	if (!ct) {
		fprintf(stderr, "%s\n", err);
		return 1;
	}
	for (unsigned at = 0; at < count; at += DSAA_FLOWS_PER_MSG_MAX) {
		unsigned n = count - at < DSAA_FLOWS_PER_MSG_MAX ? count - at :
								   DSAA_FLOWS_PER_MSG_MAX;

		memset(ops, 0, sizeof(ops));
		for (unsigned i = 0; i < n; i++) {
			ops[i].kind = DSAA_APPLY_CREATE;
			make_flow(&ops[i].flow, first + at + i);
		}
		dsaa_ct_apply(ct, ops, n);
		for (unsigned i = 0; i < n; i++)
			made += ops[i].result == DSAA_APPLIED_OK;
	}
	dsaa_ct_close(ct);
	printf("%u\n", made);
	return made == count ? 0 : 1;
}
