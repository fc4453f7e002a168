/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What dsaad gives up for good when it starts, beyond what libfrr drops: so
 * that who takes it over by a fault has no more of the router than dsaad needs.
 */
#ifndef DSAA_CONFINE_H
#define DSAA_CONFINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Confines the process: no capability outside KEEP (1 << CAP_...) can be got
 * any more, no program that is run gets new privileges, and system calls that
 * dsaad never makes are refused with an error; none ends the process. Main
 * thread, while it is the only one, as root, and after all that needs more.
 * False when something of it is not to be had; WHY then says what, and all
 * the rest is done.
 */
bool dsaa_confine(uint64_t keep, char *why, size_t why_len);

#endif
