/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections of ours of which a packet came from a peer that knows nothing of
 * them. If 'sync delay' is why, the peer shall know it now. The first queue
 * thread meets them when it answers second chances; the fast path's programs,
 * which answer most of them, tell by a ring that the main thread reads.
 */
#include "dsaad/dsaa_correct.h"

enum {
	TOLD = 256, /* a power of two */
	AGAIN_US = 500000,
};

/* Once is enough, so packets that follow at once are not told again. Of one thread. */
struct told {
	uint64_t hash;
	int64_t at_us;
};

static struct event *t_ring;

static bool told_lately(struct told told[TOLD], const struct dsaa_flow *f)
{
	uint64_t hash = dsaa_flow_key_hash(f, DSAA_DIGEST_SEED);
	struct told *t = &told[hash % TOLD];
	int64_t now_us = dsaa_mono_now().us;

	if (t->hash == hash && now_us - t->at_us < AGAIN_US)
		return true;
	*t = (struct told){ hash, now_us };
	return false;
}

bool dsaa_correct_elsewhere_wanted(void)
{
	for (unsigned i = 0; i < array_size(dsaa_conf.delay_s); i++)
		if (dsaa_conf.delay_s[i])
			return true;
	return false;
}

static void tell(struct told told[TOLD], uint8_t family, uint8_t proto, const struct dsaa_tuple *t)
{
	struct dsaa_flow f = { .family = family, .proto = proto, .orig = *t };

	if (!told_lately(told, &f))
		dsaa_sync_post_elsewhere(family, proto, t);
}

void dsaa_correct_elsewhere(uint8_t family, uint8_t proto, const struct dsaa_tuple *t)
{
	static struct told told[TOLD];

	tell(told, family, proto, t);
}

/* ------------------------------------------------------------------ what the programs tell */

static void on_packet(uint8_t family, uint8_t proto, const struct dsaa_tuple *t)
{
	static struct told told[TOLD];

	tell(told, family, proto, t);
}

static void ring_ready(struct event *thread)
{
	struct dsaa_fast *fast = dsaa_correct_fast();

	event_add_read(thread->master, ring_ready, NULL, dsaa_fast_elsewhere_fd(fast), &t_ring);
	dsaa_fast_elsewhere_read(fast, on_packet);
}

void dsaa_correct_elsewhere_start(void)
{
	struct dsaa_fast *fast = dsaa_correct_fast();
	int fd = fast ? dsaa_fast_elsewhere_fd(fast) : -1;

	if (fd >= 0)
		event_add_read(master, ring_ready, NULL, fd, &t_ring);
}
