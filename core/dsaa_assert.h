/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Assertions of core, which may not call abort(). For errors of the
 * programmer only, never for anything that came from outside.
 */
#ifndef DSAA_ASSERT_H
#define DSAA_ASSERT_H

#define dsaa_assert(condition)                         \
	do {                                           \
		if (__builtin_expect(!(condition), 0)) \
			__builtin_trap();              \
	} while (0)

#endif
