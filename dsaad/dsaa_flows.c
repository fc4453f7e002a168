/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looking into the kernel's table for show commands. Main thread; a handle of
 * its own, opened when first needed, so that a long listing never delays the
 * sync thread.
 */
#include "dsaad/dsaad.h"

#include <poll.h>

#include "conntrack/dsaa_conntrack.h"

/* Entries read per call: the listing's callback may stop in between, and the clock is looked at. */
#define ENTRIES_PER_READ 256

static struct dsaa_ct *handle(const char **err)
{
	static struct dsaa_ct *ct;
	static uint32_t mask;
	static char text[160];

	if (ct && mask != dsaa_conf.mark_mask) {
		dsaa_ct_close(ct);
		ct = NULL;
	}
	if (!ct) {
		mask = dsaa_conf.mark_mask;
		ct = dsaa_ct_open(mask, false, text, sizeof(text));
		*err = text;
	}
	return ct;
}

struct walk {
	dsaa_flow_cb cb;
	void *arg;
	bool stopped;
};

static void walk_one(void *arg, const struct dsaa_flow *f)
{
	struct walk *w = arg;

	if (!w->stopped)
		w->stopped = !w->cb(w->arg, f);
}

static bool time_is_up(struct dsaa_mono start)
{
	return dsaa_mono_diff_us(dsaa_mono_now(), start) >= DSAA_FLOW_WALK_MAX_MS * INT64_C(1000);
}

static enum dsaa_walked walk(struct dsaa_ct *ct, int owner, struct walk *w, const char **err)
{
	struct dsaa_mono start = dsaa_mono_now();
	enum dsaa_ct_dump rc = DSAA_CT_DUMP_MORE;
	int error = dsaa_ct_dump_start(ct, owner);
	bool late = false;

	if (error) {
		*err = safe_strerror(-error);
		return DSAA_WALKED_ERROR;
	}
	while (rc == DSAA_CT_DUMP_MORE && !w->stopped && !late) {
		rc = dsaa_ct_dump_read(ct, ENTRIES_PER_READ, walk_one, w);
		late = time_is_up(start);
	}
	dsaa_ct_dump_cancel(ct);
	if (w->stopped)
		return DSAA_WALKED_STOPPED;
	if (rc == DSAA_CT_DUMP_MORE)
		return DSAA_WALKED_CUT;
	*err = "the dump was interrupted";
	return rc == DSAA_CT_DUMP_DONE ? DSAA_WALKED_ALL : DSAA_WALKED_ERROR;
}

enum dsaa_walked dsaa_flow_walk(int owner, dsaa_flow_cb cb, void *arg, const char **err)
{
	struct walk w = { .cb = cb, .arg = arg };
	enum dsaa_walked walked = DSAA_WALKED_ERROR;

	frr_with_privs (&dsaa_privs) {
		struct dsaa_ct *ct = handle(err);

		if (ct)
			walked = walk(ct, owner, &w, err);
	}
	return walked;
}

bool dsaa_flow_find(uint8_t family, uint8_t proto, const struct dsaa_tuple *t,
		    struct dsaa_flow *out, bool *reply_direction)
{
	const char *err;
	int rc = 0;

	frr_with_privs (&dsaa_privs) {
		struct dsaa_ct *ct = handle(&err);

		rc = ct ? dsaa_ct_find(ct, family, proto, t, out, reply_direction) : 0;
	}
	return rc == 1;
}
