/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Conntrack messages as the kernel sends them, and worse: what is read from
 * one can be written into one, and means the same then.
 */
#include <linux/netfilter/nfnetlink.h>

#include "conntrack/dsaa_ct_flow.h"
#include "tests/fuzz/fuzz.h"

enum { ROOM = 4096, HEADERS = NLMSG_HDRLEN + 4 };

static struct nlmsghdr *begin(uint8_t *buf, uint8_t family)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(nlh, sizeof(*g));

	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8;
	g->nfgen_family = family;
	return nlh;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t in[ROOM] __attribute__((aligned(8))), out[ROOM] __attribute__((aligned(8)));
	struct dsaa_flow f, back;
	struct nlmsghdr *nlh;

	if (!size || size > ROOM - HEADERS - 1)
		return 0;
	memset(in, 0, HEADERS);
	nlh = begin(in, data[0] & 1 ? 2 : 10);
	memcpy(in + nlh->nlmsg_len, data + 1, size - 1);
	nlh->nlmsg_len += (uint32_t)size - 1;
	if (!dsaa_ct_flow_parse(nlh, &f))
		return 0;
	FUZZ_CHECK(!dsaa_flow_invalid(&f));
	nlh = begin(out, f.family == 4 ? 2 : 10);
	dsaa_ct_flow_put_new(nlh, &f);
	FUZZ_CHECK(nlh->nlmsg_len < ROOM);
	/* NAT travels apart from the reply tuple there, so only the key must come back */
	FUZZ_CHECK(dsaa_ct_flow_parse(nlh, &back) && dsaa_flow_key_equal(&f, &back));
	nlh = begin(out, f.family == 4 ? 2 : 10);
	dsaa_ct_flow_put_update(nlh, &f, &back);
	FUZZ_CHECK(nlh->nlmsg_len < ROOM);
	return 0;
}
