/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the programs have counted, see dsaa_fast.h: sums over the processors,
 * less what they were at the last clear.
 */
#include "bpf/dsaa_fast_private.h"

#include <bpf/bpf.h>

#include "bpf/dsaa_fast_net.h"

/* ------------------------------------------------------------------ counters */

static void sum_reason(struct dsaa_fast *f, uint32_t i, struct dsaa_fast_counters *out)
{
	struct dsaa_fast_reason r[f->cpus];
	unsigned cpu;

	if (bpf_map_lookup_elem(bpf_map__fd(f->skel->maps.reasons), &i, r) < 0)
		return;
	for (cpu = 0; cpu < f->cpus; cpu++) {
		out->packets[i] += r[cpu].packets;
		out->bytes[i] += r[cpu].bytes;
	}
}

static void sum_peer(struct dsaa_fast *f, uint32_t i, struct dsaa_fast_counters *out)
{
	struct dsaa_fast_peer_count p[f->cpus];
	unsigned cpu;

	if (bpf_map_lookup_elem(bpf_map__fd(f->skel->maps.peers_seen), &i, p) < 0)
		return;
	for (cpu = 0; cpu < f->cpus; cpu++) {
		out->peer[i].packets_sent += p[cpu].packets_sent;
		out->peer[i].bytes_sent += p[cpu].bytes_sent;
		out->peer[i].packets_received += p[cpu].packets_received;
		out->peer[i].bytes_received += p[cpu].bytes_received;
		out->peer[i].packets_observed += p[cpu].packets_observed;
		out->peer[i].bytes_observed += p[cpu].bytes_observed;
	}
}

static struct dsaa_fast_prefix_counters sum_prefix(struct dsaa_fast *f, uint32_t i)
{
	struct dsaa_fast_prefix_count c[f->cpus];
	struct dsaa_fast_prefix_counters out = { 0 };
	unsigned cpu;

	if (bpf_map_lookup_elem(bpf_map__fd(f->skel->maps.prefixes_seen), &i, c) < 0)
		return out;
	for (cpu = 0; cpu < f->cpus; cpu++) {
		out.packets += c[cpu].packets;
		out.bytes += c[cpu].bytes;
		out.packets_observed += c[cpu].packets_observed;
		out.bytes_observed += c[cpu].bytes_observed;
	}
	return out;
}

static void sum(struct dsaa_fast *f, struct dsaa_fast_counters *out)
{
	struct dsaa_fast_device d;
	unsigned i;

	memset(out, 0, sizeof(*out));
	for (i = dsaa_reason_next(0); i < DSAA_REASONS_MAX; i = dsaa_reason_next(i))
		sum_reason(f, i, out);
	for (i = 1; i <= DSAA_SITES_MAX; i++)
		sum_peer(f, i, out);
	if (dsaa_fast_net_device(DSAA_FAST_DEVICE, &d) == 0)
		out->packets[DSAA_R_RX_MALFORMED] += d.unreadable;
}

void dsaa_fast_counters(struct dsaa_fast *f, struct dsaa_fast_counters *out)
{
	const struct dsaa_fast_counters *old = &f->cleared;
	unsigned i;

	sum(f, out);
	pthread_mutex_lock(&f->lock);
	for (i = 0; i < DSAA_REASONS_MAX; i++) {
		/* the device was made again: its errors began anew */
		out->packets[i] -= old->packets[i] < out->packets[i] ? old->packets[i] :
								       out->packets[i];
		out->bytes[i] -= old->bytes[i];
	}
	for (i = 1; i <= DSAA_SITES_MAX; i++) {
		out->peer[i].packets_sent -= old->peer[i].packets_sent;
		out->peer[i].bytes_sent -= old->peer[i].bytes_sent;
		out->peer[i].packets_received -= old->peer[i].packets_received;
		out->peer[i].bytes_received -= old->peer[i].bytes_received;
		out->peer[i].packets_observed -= old->peer[i].packets_observed;
		out->peer[i].bytes_observed -= old->peer[i].bytes_observed;
	}
	pthread_mutex_unlock(&f->lock);
}

void dsaa_fast_counters_clear(struct dsaa_fast *f)
{
	struct dsaa_fast_counters now;
	unsigned i;

	sum(f, &now);
	pthread_mutex_lock(&f->lock);
	f->cleared = now;
	for (i = 0; i < DSAA_FAST_PREFIXES; i++)
		if (f->prefix[i].addr.family)
			f->prefix_cleared[i] = sum_prefix(f, i);
	pthread_mutex_unlock(&f->lock);
}

/* ------------------------------------------------------------------ prefixes */

static struct dsaa_fast_prefix prefix_key(const struct dsaa_prefix *p)
{
	return (struct dsaa_fast_prefix){ .len = p->len + (p->addr.family == 4 ? 96 : 0),
					  .addr = dsaa_fast_key(&p->addr) };
}

static bool same(const struct dsaa_prefix *a, const struct dsaa_prefix *b)
{
	return a->len == b->len && dsaa_addr_equal(&a->addr, &b->addr);
}

static void to_prefix(struct dsaa_prefix *out, const struct dsaa_fast_prefix *key)
{
	bool v4 = !key->addr.word[0] && !key->addr.word[1] && key->addr.word[2] == htonl(0xffff) &&
		  key->len >= 96;

	memset(out, 0, sizeof(*out));
	out->addr.family = v4 ? 4 : 6;
	out->len = key->len - (v4 ? 96 : 0);
	memcpy(out->addr.bytes, v4 ? &key->addr.word[3] : key->addr.word, v4 ? 4 : 16);
}

void dsaa_fast_prefixes_read(struct dsaa_fast *f)
{
	int fd = bpf_map__fd(f->skel->maps.prefixes);
	struct dsaa_fast_prefix key, *from = NULL;
	uint32_t number;

	while (bpf_map_get_next_key(fd, from, &key) == 0) {
		from = &key;
		if (bpf_map_lookup_elem(fd, &key, &number) == 0 && number < DSAA_FAST_PREFIXES)
			to_prefix(&f->prefix[number], &key);
	}
}

static bool is_listed(const struct dsaa_fast_config *c, const struct dsaa_prefix *p)
{
	unsigned i;

	for (i = 0; i < c->prefixes; i++)
		if (same(&c->prefix[i], p))
			return true;
	return false;
}

/* The number of the prefix, or DSAA_FAST_PREFIXES; with P all zero, a free one. */
static uint32_t number_of(const struct dsaa_fast *f, const struct dsaa_prefix *p)
{
	uint32_t i = 0;

	while (i < DSAA_FAST_PREFIXES && !same(&f->prefix[i], p))
		i++;
	return i;
}

static void add_prefix(struct dsaa_fast *f, const struct dsaa_prefix *p)
{
	static const struct dsaa_prefix none;
	struct dsaa_fast_prefix_count zeros[f->cpus];
	struct dsaa_fast_prefix key = prefix_key(p);
	uint32_t i = number_of(f, &none);

	if (i == DSAA_FAST_PREFIXES)
		return;
	memset(zeros, 0, sizeof(zeros));
	bpf_map_update_elem(bpf_map__fd(f->skel->maps.prefixes_seen), &i, zeros, BPF_ANY);
	if (bpf_map_update_elem(bpf_map__fd(f->skel->maps.prefixes), &key, &i, BPF_ANY) < 0)
		return;
	f->prefix[i] = *p;
	memset(&f->prefix_cleared[i], 0, sizeof(f->prefix_cleared[i]));
}

void dsaa_fast_prefixes_fill(struct dsaa_fast *f, const struct dsaa_fast_config *c)
{
	struct dsaa_fast_prefix key;
	unsigned i;

	for (i = 0; i < DSAA_FAST_PREFIXES; i++) {
		if (!f->prefix[i].addr.family || is_listed(c, &f->prefix[i]))
			continue;
		key = prefix_key(&f->prefix[i]);
		bpf_map_delete_elem(bpf_map__fd(f->skel->maps.prefixes), &key);
		memset(&f->prefix[i], 0, sizeof(f->prefix[i]));
	}
	for (i = 0; i < c->prefixes; i++)
		if (c->prefix[i].addr.family && number_of(f, &c->prefix[i]) == DSAA_FAST_PREFIXES)
			add_prefix(f, &c->prefix[i]);
}

bool dsaa_fast_prefix_counters(struct dsaa_fast *f, const struct dsaa_prefix *p,
			       struct dsaa_fast_prefix_counters *out)
{
	uint32_t i = number_of(f, p);
	const struct dsaa_fast_prefix_counters *old = &f->prefix_cleared[i];

	memset(out, 0, sizeof(*out));
	if (i == DSAA_FAST_PREFIXES || !p->addr.family)
		return false;
	*out = sum_prefix(f, i);
	out->packets -= old->packets;
	out->bytes -= old->bytes;
	out->packets_observed -= old->packets_observed;
	out->bytes_observed -= old->bytes_observed;
	return true;
}
