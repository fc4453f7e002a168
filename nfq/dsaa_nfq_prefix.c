/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much was sent for each prefix of the configuration: the longest one that
 * holds the destination. A prefix keeps its place, and so its counters, from
 * plan to plan. Places are given by the thread that configures, under the
 * lock; the queue threads count, each for itself.
 */
#include "nfq/dsaa_nfq_private.h"

#include <string.h>

static bool same(const struct dsaa_prefix *a, const struct dsaa_prefix *b)
{
	return a->len == b->len && dsaa_addr_equal(&a->addr, &b->addr);
}

/* The place of P, or DSAA_COUNTED_PREFIXES_MAX; all zero means a free one. */
static unsigned place_of(const struct dsaa_nfq *nfq, const struct dsaa_prefix *p)
{
	unsigned i = 0;

	while (i < DSAA_COUNTED_PREFIXES_MAX && !same(&nfq->counted[i].prefix, p))
		i++;
	return i;
}

static bool is_listed(const struct dsaa_nfq_config *c, const struct dsaa_prefix *p)
{
	unsigned i;

	for (i = 0; i < c->prefixes; i++)
		if (same(&c->prefix[i], p))
			return true;
	return false;
}

static void clear(struct dsaa_nfq_counted *counted)
{
	atomic_store_explicit(&counted->packets, 0, memory_order_relaxed);
	atomic_store_explicit(&counted->bytes, 0, memory_order_relaxed);
}

void dsaa_nfq_prefix_plan(struct dsaa_nfq *nfq, struct dsaa_nfq_plan *plan)
{
	static const struct dsaa_prefix none;
	unsigned i, at;

	for (i = 0; i < DSAA_COUNTED_PREFIXES_MAX; i++)
		if (!is_listed(&plan->config, &nfq->counted[i].prefix))
			nfq->counted[i].prefix = none;
	for (i = 0; i < plan->config.prefixes; i++) {
		at = place_of(nfq, &plan->config.prefix[i]);
		if (at == DSAA_COUNTED_PREFIXES_MAX) {
			/* there are as many places as prefixes, so one is free */
			at = place_of(nfq, &none);
			nfq->counted[at].prefix = plan->config.prefix[i];
			clear(&nfq->counted[at]);
		}
		plan->counted[i] = at;
	}
}

void dsaa_nfq_prefix_count(struct dsaa_nfq *nfq, const uint8_t *ip, size_t len)
{
	const struct dsaa_nfq_config *c = &nfq->plan->config;
	uint8_t family = ip[0] >> 4, dst[16] = { 0 };
	unsigned i, best = c->prefixes;
	struct dsaa_nfq_counted *counted;

	memcpy(dst, family == 4 ? ip + 16 : ip + 24, family == 4 ? 4 : 16);
	for (i = 0; i < c->prefixes; i++)
		if (dsaa_prefix_covers(&c->prefix[i], family, dst) &&
		    (best == c->prefixes || c->prefix[i].len > c->prefix[best].len))
			best = i;
	if (best == c->prefixes)
		return;
	counted = &nfq->counted[nfq->plan->counted[best]];
	dsaa_nfq_add(&counted->packets, 1);
	dsaa_nfq_add(&counted->bytes, len);
}

void dsaa_nfq_prefix_clear(struct dsaa_nfq *nfq)
{
	unsigned i;

	for (i = 0; i < DSAA_COUNTED_PREFIXES_MAX; i++)
		clear(&nfq->counted[i]);
}

static void add_counted(struct dsaa_nfq *nfq, const struct dsaa_prefix *prefix, uint64_t *packets,
			uint64_t *bytes)
{
	unsigned i;

	pthread_mutex_lock(&nfq->lock);
	i = prefix->addr.family ? place_of(nfq, prefix) : DSAA_COUNTED_PREFIXES_MAX;
	if (i < DSAA_COUNTED_PREFIXES_MAX) {
		*packets += atomic_load_explicit(&nfq->counted[i].packets, memory_order_relaxed);
		*bytes += atomic_load_explicit(&nfq->counted[i].bytes, memory_order_relaxed);
	}
	pthread_mutex_unlock(&nfq->lock);
}

void dsaa_nfq_prefix_counters(struct dsaa_nfq *nfq, const struct dsaa_prefix *prefix,
			      uint64_t *packets, uint64_t *bytes)
{
	unsigned i;

	*packets = *bytes = 0;
	add_counted(nfq, prefix, packets, bytes);
	for (i = 0; i < nfq->furthers; i++)
		add_counted(nfq->further[i], prefix, packets, bytes);
}
