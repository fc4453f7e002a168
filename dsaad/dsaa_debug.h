/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The "debug dsaa" commands. Main thread; the flags themselves are atomic.
 */
#ifndef DSAA_DEBUG_H
#define DSAA_DEBUG_H

/* Installs the commands. */
void dsaa_debug_init(void);

#endif
