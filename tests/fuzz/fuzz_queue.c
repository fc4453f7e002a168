/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sending end of the correction tunnel: packets as the queue of a foreign
 * connection gives them out, large or without checksum, and as the kernel has
 * cut them; from the look at their header to the datagrams, which a socket
 * refuses that is none (/dev/null).
 *
 * Input: packets, each with flags and its length (2 bytes) before it.
 */
#include <fcntl.h>
#include <unistd.h>

#include "nfq/dsaa_nfq_private.h"
#include "tests/fuzz/fuzz.h"

enum {
	LOCAL = 1,
	PEER = 2,
	IFINDEX = 7,
	PACKETS = 16,
	BUFFER = 1 << 17,
	/* flags */
	IS_LARGE = 1,
	IS_UNSUMMED = 2,
	WAS_CUT = 4,
	IS_FORWARDED = 8,
	IS_REPEATED = 16, /* the bytes behind it are there eight times */
};

static struct dsaa_nfq nfq;
static struct dsaa_nfq_plan plan;
static struct dsaa_nfq_socket *sock;
static struct dsaa_nfq_words words;

static void set_up(void)
{
	const struct dsaa_addr local = { 4, { 127, 0, 0, 1 } };
	struct dsaa_nfq_peer *peer = &plan.config.peer[0];

	sock = dsaa_nfq_socket_open(&local, 3786, true);
	if (!sock)
		abort();
	if (sock->fd >= 0)
		close(sock->fd);
	sock->fd = open("/dev/null", O_WRONLY);
	plan.config.local_site = LOCAL;
	plan.config.ifaces = 1;
	plan.config.iface[0].ifindex = IFINDEX;
	plan.config.peers = 1;
	peer->site = PEER;
	peer->links = 1;
	plan.sockets = 1;
	plan.socket[0] = sock;
	plan.of_link[0][0] = sock;
	plan.peer_of[PEER] = peer;
	words.word[PEER] = DSAA_WORD_ALIVE;
	nfq.plan = &plan;
	nfq.words = &words;
}

static uint64_t counted(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < DSAA_REASONS_MAX; i++)
		n += atomic_load(&nfq.tally.reason[i]);
	return n;
}

/* Each packet is counted, or is to be cut; one that was cut already is not cut again. */
static void judge(unsigned count)
{
	unsigned done = 0, judged;
	uint64_t before;

	while (done < count) {
		before = counted();
		judged = dsaa_nfq_judge(&nfq, nfq.packets + done, count - done);
		FUZZ_CHECK(counted() >= before + judged);
		FUZZ_CHECK(sock->waiting == 0);
		done += judged;
		if (done == count)
			break;
		FUZZ_CHECK(nfq.packets[done].to_be_cut && !nfq.packets[done].was_cut);
		done++;
	}
}

static size_t copy(uint8_t *at, const uint8_t *data, size_t len, bool repeated)
{
	size_t n = 0;

	for (unsigned i = 0; i < (repeated ? 8 : 1); i++, n += len)
		memcpy(at + n, data, len);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t buffer[BUFFER];
	struct fuzz_input in = { data, size };
	uint8_t *at = buffer;
	unsigned count = 0;

	if (!nfq.plan)
		set_up();
	memset(nfq.size, 0, sizeof(nfq.size));
	while (in.size > 3 && count < PACKETS) {
		struct dsaa_nfq_packet *p = &nfq.packets[count];
		uint8_t flags = fuzz_u8(&in);
		size_t len = fuzz_u16(&in);

		if (len > in.size)
			len = in.size;
		if (8 * len > (size_t)(buffer + BUFFER - at))
			break;
		*p = (struct dsaa_nfq_packet){ .data = at, .queue = PEER, .indev = IFINDEX };
		p->len = (uint32_t)copy(at, in.data, len, flags & IS_REPEATED);
		p->large = flags & IS_LARGE;
		p->unsummed = flags & IS_UNSUMMED;
		p->was_cut = flags & WAS_CUT;
		p->forwarded = flags & IS_FORWARDED;
		if (p->was_cut)
			dsaa_nfq_cut_learn(&nfq, p);
		at += p->len;
		in.data += len;
		in.size -= len;
		count++;
	}
	judge(count);
	return 0;
}
