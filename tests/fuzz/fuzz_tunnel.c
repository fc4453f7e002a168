/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The receiving end of the correction tunnel: datagrams, alone and in trains,
 * from the check of their sender to what is written into the TUN device (here
 * /dev/null): joined, or as fragments.
 *
 * Input: flags, then datagrams, each with its length (2 bytes) before it.
 */
#include <fcntl.h>

#include "nfq/dsaa_nfq_private.h"
#include "tests/fuzz/fuzz.h"

enum { LOCAL = 1, PEER = 2, BUFFER = 1 << 17 };

static struct dsaa_nfq nfq;
static struct dsaa_nfq_plan plan;
static struct dsaa_nfq_socket sock;
static struct dsaa_nfq_words words;

/* Looks at the packet as the conntrack edge would. */
static int find(void *arg, const struct dsaa_packet *p, unsigned *owner)
{
	(void)arg;
	*owner = p->tuple.sport % 3;
	return p->tuple.dport % 2;
}

static void set_up(void)
{
	struct dsaa_nfq_peer *peer = &plan.config.peer[0];

	plan.config.local_site = LOCAL;
	plan.config.ifaces = 2;
	plan.config.peers = 1;
	plan.mtu[0] = 1500;
	plan.mtu[1] = 1280;
	peer->site = PEER;
	peer->links = 1;
	peer->link[0].remote = (struct dsaa_addr){ 4, { 192, 0, 2, 2 } };
	plan.of_link[0][0] = &sock;
	nfq.plan = &plan;
	nfq.find = find;
	nfq.words = &words;
	nfq.tun.fd = open("/dev/null", O_WRONLY);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t buffer[BUFFER];
	struct fuzz_input in = { data, size };
	uint8_t *at = buffer;
	unsigned count = 0;
	uint8_t flags;

	if (!nfq.plan)
		set_up();
	flags = fuzz_u8(&in);
	while (in.size > 2 && count < DSAA_NFQ_IN) {
		struct dsaa_nfq_datagram *d = &nfq.datagrams[count++];
		size_t len = fuzz_u16(&in);

		if (len > in.size)
			len = in.size;
		if (len > (size_t)(buffer + BUFFER - at))
			break;
		/* what is delivered may be changed: never the input itself */
		memcpy(at, in.data, len);
		*d = (struct dsaa_nfq_datagram){ .data = at, .len = len, .each = len };
		if (flags & 1)
			d->each = (flags >> 2) * 24 + 62;
		d->source = plan.config.peer[0].link[0].remote;
		if (flags & 2)
			d->source.bytes[3]++; /* a stranger */
		at += len;
		in.data += len;
		in.size -= len;
	}
	dsaa_nfq_receive(&nfq, &sock, count);
	FUZZ_CHECK(nfq.tun.join.count == 0); /* flushed: nothing points into the buffer any more */
	return 0;
}
