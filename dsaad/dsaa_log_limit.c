/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The brake for lines of the log that come again and again, see dsaad.h.
 */
#include <zebra.h>

#include "dsaad/dsaad.h"

#define MINUTE_US INT64_C(60000000)

bool dsaa_log_allowed(struct dsaa_log_limit *l, unsigned *hidden)
{
	struct dsaa_mono now = dsaa_mono_now();

	if (l->at.us && dsaa_mono_diff_us(now, l->at) < MINUTE_US) {
		l->hidden++;
		return false;
	}
	if (hidden)
		*hidden = l->hidden;
	l->at = now;
	l->hidden = 0;
	return true;
}
