/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of reasons, generated from the one list. Pure; any thread.
 */
#include "core/dsaa_reason.h"

struct reason_text {
	const char *name;
	const char *meaning;
	const char *remedy;
};

/* Numbers of no reason have null pointers. */
static const struct reason_text reasons[DSAA_REASONS_MAX] = {
#define REASON_ROW(num, name, text, meaning, remedy) [num] = { text, meaning, remedy },
	DSAA_REASON_LIST(REASON_ROW)
#undef REASON_ROW
};

const char *dsaa_reason_name(unsigned reason)
{
	if (reason >= DSAA_REASONS_MAX || !reasons[reason].name)
		return "unknown";
	return reasons[reason].name;
}

const char *dsaa_reason_meaning(unsigned reason)
{
	if (reason >= DSAA_REASONS_MAX || !reasons[reason].name)
		return "";
	return reasons[reason].meaning;
}

const char *dsaa_reason_remedy(unsigned reason)
{
	if (reason >= DSAA_REASONS_MAX || !reasons[reason].name)
		return "";
	return reasons[reason].remedy;
}

unsigned dsaa_reason_next(unsigned reason)
{
	unsigned next;

	if (reason >= DSAA_REASONS_MAX)
		return DSAA_REASONS_MAX;
	for (next = reason + 1; next < DSAA_REASONS_MAX; next++)
		if (reasons[next].name)
			return next;
	return DSAA_REASONS_MAX;
}
