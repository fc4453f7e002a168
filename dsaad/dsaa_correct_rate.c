/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much is corrected per second, now and at its peak: for each peer, both
 * ways, and for each prefix of "advertise". So there is a number for the
 * question what the site-sync link must carry. In mode "observe" it is what
 * would be sent. Main thread.
 *
 * The rate is that of the time between two samples, which dsaa_correct.c takes
 * every other second.
 */
#include "dsaad/dsaa_correct.h"

/* One thing that is counted. */
struct gauge {
	uint64_t packets, bytes; /* at the last sample */
	struct dsaa_rate rate;
};

static struct gauge to_peer[DSAA_SITES_MAX + 1], from_peer[DSAA_SITES_MAX + 1];
static struct prefix_gauge {
	struct prefix prefix;
	struct gauge sent;
} of_prefix[DSAA_COUNTED_PREFIXES_MAX];
static unsigned prefixes;
static struct dsaa_mono sampled_at;

static uint64_t per_second(uint64_t n, int64_t us)
{
	return n * 1000000 / us;
}

/* The counters are now PACKETS and BYTES; US since the last sample. */
static void sample(struct gauge *g, uint64_t packets, uint64_t bytes, int64_t us)
{
	struct dsaa_rate *r = &g->rate;

	/* less than before: cleared, or counted by somebody else since */
	r->packets_s = packets < g->packets ? 0 : per_second(packets - g->packets, us);
	r->bits_s = bytes < g->bytes ? 0 : per_second((bytes - g->bytes) * 8, us);
	g->packets = packets;
	g->bytes = bytes;
	if (r->packets_s > r->peak_packets_s)
		r->peak_packets_s = r->packets_s;
	if (r->bits_s > r->peak_bits_s) {
		r->peak_bits_s = r->bits_s;
		r->peak_at = sampled_at;
	}
}

static void sample_peers(int64_t us)
{
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++) {
		struct dsaa_correct_peer v;

		if (!dsaa_conf.site[s].configured || s == dsaa_local_site())
			continue;
		dsaa_correct_peer_view(s, &v);
		sample(&to_peer[s], v.packets_sent + v.packets_observed,
		       v.bytes_sent + v.bytes_observed, us);
		sample(&from_peer[s], v.packets_received, v.bytes_received, us);
	}
}

static struct prefix_gauge *find(const struct prefix *p)
{
	for (unsigned i = 0; i < prefixes; i++)
		if (prefix_same(&of_prefix[i].prefix, p))
			return &of_prefix[i];
	return NULL;
}

/* Forgets the prefixes that are not configured any more, and learns the new ones. */
static void follow_config(void)
{
	struct prefix_gauge *now = XCALLOC(MTYPE_TMP, sizeof(of_prefix));
	struct dsaa_advert *a;
	unsigned n = 0;

	frr_each (dsaa_advert_list, &dsaa_conf.adverts, a) {
		struct prefix_gauge *old = find(&a->prefix);
		struct dsaa_correct_prefix v;

		if (n == DSAA_COUNTED_PREFIXES_MAX)
			break;
		if (a->repeats)
			continue;
		if (old) {
			now[n++] = *old;
			continue;
		}
		dsaa_correct_prefix_view(&a->prefix, &v);
		now[n].prefix = a->prefix;
		now[n].sent.packets = v.packets + v.packets_observed;
		now[n++].sent.bytes = v.bytes + v.bytes_observed;
	}
	memcpy(of_prefix, now, sizeof(of_prefix));
	prefixes = n;
	XFREE(MTYPE_TMP, now);
}

static void sample_prefixes(int64_t us)
{
	follow_config();
	for (unsigned i = 0; i < prefixes; i++) {
		struct dsaa_correct_prefix v;

		dsaa_correct_prefix_view(&of_prefix[i].prefix, &v);
		sample(&of_prefix[i].sent, v.packets + v.packets_observed,
		       v.bytes + v.bytes_observed, us);
	}
}

void dsaa_correct_rate_sample(void)
{
	struct dsaa_mono now = dsaa_mono_now();
	int64_t us = dsaa_mono_diff_us(now, sampled_at);

	if (us <= 0)
		return;
	if (!sampled_at.us) {
		sampled_at = now;
		return;
	}
	sampled_at = now;
	sample_peers(us);
	sample_prefixes(us);
}

void dsaa_correct_rate_stop(void)
{
	for (unsigned s = 0; s <= DSAA_SITES_MAX; s++) {
		to_peer[s].rate.packets_s = to_peer[s].rate.bits_s = 0;
		from_peer[s].rate.packets_s = from_peer[s].rate.bits_s = 0;
	}
	for (unsigned i = 0; i < prefixes; i++)
		of_prefix[i].sent.rate.packets_s = of_prefix[i].sent.rate.bits_s = 0;
}

void dsaa_correct_rate_clear(void)
{
	memset(to_peer, 0, sizeof(to_peer));
	memset(from_peer, 0, sizeof(from_peer));
	memset(of_prefix, 0, sizeof(of_prefix));
	prefixes = 0;
	sampled_at = dsaa_mono_now();
}

void dsaa_correct_peer_rate(uint8_t site, struct dsaa_rate *sent, struct dsaa_rate *received)
{
	*sent = to_peer[site].rate;
	*received = from_peer[site].rate;
}

void dsaa_correct_prefix_rate(const struct prefix *p, struct dsaa_rate *sent)
{
	const struct prefix_gauge *g = find(p);

	memset(sent, 0, sizeof(*sent));
	if (g)
		*sent = g->sent.rate;
}
