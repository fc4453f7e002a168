/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What show commands and the northbound's state say alike, also while there
 * is no dsaa block, no local site or no peer. Main thread.
 */
#ifndef DSAA_VIEW_H
#define DSAA_VIEW_H

#include "dsaad/dsaad.h"

/* True for a configured site that is not the local one. */
bool dsaa_view_is_peer(unsigned site);

/* The engine's own state; with the reason when nothing runs. */
void dsaa_view_engine(struct dsaa_engine_view *v);

/* The state of peer SITE; idle with a reason when the engine does not know it (yet). */
void dsaa_view_peer(uint8_t site, struct dsaa_peer_view *v);

/* Why prefix A is in its state; a sentence, never NULL. */
const char *dsaa_view_advert_reason(const struct dsaa_advert *a);

/* Why address U is not installed; constant text, empty when it is. */
const char *dsaa_view_uips_reason(const struct dsaa_uips *u);

/* "up", "down" or "unknown". */
const char *dsaa_view_liveness(enum dsaa_liveness l);

/* For how many milliseconds T has been past. */
int64_t dsaa_view_age_ms(struct dsaa_mono t);

/* The name of SITE, or "-" when it has none. */
const char *dsaa_view_site_name(unsigned site);

#endif
