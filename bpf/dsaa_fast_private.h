/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loader's object, between dsaa_fast.c and dsaa_fast_counters.c.
 */
#ifndef DSAA_FAST_PRIVATE_H
#define DSAA_FAST_PRIVATE_H

#include <pthread.h>
#include <string.h>
#include <arpa/inet.h>

#include "bpf/dsaa_fast.h"
#include "bpf/dsaa_fast_hook.h"
#include "bpf/dsaa_fast_shared.h"
#include "bpf/dsaa_fast_skel.h"

enum { DSAA_FAST_PATH_LEN = 256 };

struct dsaa_fast {
	struct dsaa_fast_bpf *skel;
	uint32_t prog_id[3]; /* enum prog */
	unsigned link
		[DSAA_SITE_SYNC_ADDRESSES_MAX]; /* site-sync interfaces that are served; 0: free */
	struct dsaa_fast_hooks hooks;
	char dir[DSAA_FAST_PATH_LEN]; /* of the pins; empty: cannot be pinned */
	int dir_fd;		      /* of the same, or -1 */
	char no_pins[128];	      /* then why */
	bool pinned;
	bool applied;			  /* since loading */
	struct dsaa_fast_control control; /* what the map has */
	uint64_t *filter;		  /* the map's memory */
	struct ring_buffer *elsewhere;	  /* NULL: it could not be had */
	void (*on_elsewhere)(uint8_t family, uint8_t proto, const struct dsaa_tuple *t);

	pthread_mutex_t lock; /* words and gate, cleared */
	bool foreign, open;
	uint32_t word[DSAA_FAST_SITES];

	unsigned cpus;
	struct dsaa_fast_counters cleared; /* the counters at the last clear */

	/* by number in map "prefixes"; family 0: free */
	struct dsaa_prefix prefix[DSAA_FAST_PREFIXES];
	struct dsaa_fast_prefix_counters prefix_cleared[DSAA_FAST_PREFIXES];
};

static inline struct dsaa_fast_addr dsaa_fast_key(const struct dsaa_addr *a)
{
	struct dsaa_fast_addr key = { { 0, 0, htonl(0xffff), 0 } };

	if (a->family == 4)
		memcpy(&key.word[3], a->bytes, 4);
	else
		memcpy(key.word, a->bytes, 16);
	return key;
}

/* What an earlier process had put into the map. */
void dsaa_fast_prefixes_read(struct dsaa_fast *f);
/* Makes the map as CONFIG says; a prefix that stays keeps its counters. */
void dsaa_fast_prefixes_fill(struct dsaa_fast *f, const struct dsaa_fast_config *c);

#endif
