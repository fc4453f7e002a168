/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * In place of dsaa_fast.c where clang, bpftool or libbpf were missing when this
 * was built: nothing loads, and the reason says why. Any thread.
 */
#include "bpf/dsaa_fast.h"

#include <stdio.h>
#include <string.h>

struct dsaa_fast *dsaa_fast_load(const char *bpffs, uid_t uid, gid_t gid, char *err, size_t errlen)
{
	(void)bpffs;
	(void)uid;
	(void)gid;
	snprintf(err, errlen, "built without the kernel path (clang, bpftool or libbpf missing)");
	return NULL;
}

void dsaa_fast_close(struct dsaa_fast *fast)
{
	(void)fast;
}

bool dsaa_fast_apply(struct dsaa_fast *fast, const struct dsaa_fast_config *config,
		     struct dsaa_fast_status *status)
{
	(void)fast;
	(void)config;
	memset(status, 0, sizeof(*status));
	return false;
}

bool dsaa_fast_remove(struct dsaa_fast *fast, char *err, size_t errlen)
{
	(void)fast;
	(void)err;
	(void)errlen;
	return true;
}

bool dsaa_fast_sweep(const char *bpffs, char *err, size_t errlen)
{
	(void)bpffs;
	(void)err;
	(void)errlen;
	return true;
}

int dsaa_fast_elsewhere_fd(const struct dsaa_fast *fast)
{
	(void)fast;
	return -1;
}

void dsaa_fast_elsewhere_read(struct dsaa_fast *fast,
			      void (*cb)(uint8_t family, uint8_t proto, const struct dsaa_tuple *t))
{
	(void)fast;
	(void)cb;
}

void dsaa_fast_set_word(struct dsaa_fast *fast, dsaa_site_id site, enum dsaa_site_word word)
{
	(void)fast;
	(void)site;
	(void)word;
}

enum dsaa_site_word dsaa_fast_get_word(struct dsaa_fast *fast, dsaa_site_id site)
{
	(void)fast;
	(void)site;
	return DSAA_WORD_UNKNOWN;
}

void dsaa_fast_set_foreign(struct dsaa_fast *fast, bool any)
{
	(void)fast;
	(void)any;
}

void dsaa_fast_filter_add(struct dsaa_fast *fast, uint8_t family, const struct dsaa_tuple *tuple)
{
	(void)fast;
	(void)family;
	(void)tuple;
}

void dsaa_fast_filter_reset(struct dsaa_fast *fast)
{
	(void)fast;
}

void dsaa_fast_filter_complete(struct dsaa_fast *fast)
{
	(void)fast;
}

bool dsaa_fast_filter_is_complete(const struct dsaa_fast *fast)
{
	(void)fast;
	return true;
}

unsigned dsaa_fast_filter_full(const struct dsaa_fast *fast)
{
	(void)fast;
	return 0;
}

bool dsaa_fast_address(struct dsaa_fast *fast, const struct dsaa_addr *addr, bool added)
{
	(void)fast;
	(void)addr;
	(void)added;
	return true;
}

void dsaa_fast_counters(struct dsaa_fast *f, struct dsaa_fast_counters *out)
{
	(void)f;
	memset(out, 0, sizeof(*out));
}

void dsaa_fast_counters_clear(struct dsaa_fast *fast)
{
	(void)fast;
}

bool dsaa_fast_prefix_counters(struct dsaa_fast *fast, const struct dsaa_prefix *prefix,
			       struct dsaa_fast_prefix_counters *counters)
{
	(void)fast;
	(void)prefix;
	memset(counters, 0, sizeof(*counters));
	return false;
}
