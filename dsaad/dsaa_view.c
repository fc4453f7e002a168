/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Views for show commands and the northbound's state. Main thread.
 */
#include <zebra.h>

#include "dsaad/dsaa_view.h"

bool dsaa_view_is_peer(unsigned site)
{
	return site >= 1 && site <= DSAA_SITES_MAX && dsaa_conf.site[site].configured &&
	       site != dsaa_local_site();
}

void dsaa_view_engine(struct dsaa_engine_view *v)
{
	memset(v, 0, sizeof(*v));
	dsaa_sync_view(v);
	/* What runs follows the configuration by one event: never show an older local site. */
	v->local = dsaa_local_site();
	if (v->local)
		return;
	v->state_complete = false;
	v->complete_reason = dsaa_conf.enabled ? DSAA_R_NO_LOCAL_SITE : DSAA_R_NONE;
}

void dsaa_view_peer(uint8_t site, struct dsaa_peer_view *v)
{
	struct dsaa_engine_view e;

	if (dsaa_local_site() && dsaa_sync_peer_view(site, v))
		return;
	dsaa_view_engine(&e);
	memset(v, 0, sizeof(*v));
	v->site = site;
	v->state = DSAA_PEER_IDLE;
	v->reason = dsaa_local_site() && e.complete_reason != DSAA_R_NO_CONNTRACK ?
			    DSAA_R_CONFIG_CHANGED :
			    e.complete_reason;
	v->since = dsaa_mono_now();
}

const char *dsaa_view_advert_reason(const struct dsaa_advert *a)
{
	if (!dsaa_local_site())
		return "the local site is not known: no interface carries a sync-address";
	if (a->site && !dsaa_conf.site[a->site].configured)
		return "the site it belongs to is not configured";
	return a->reason ? a->reason : "";
}

const char *dsaa_view_site_name(unsigned site)
{
	return site <= DSAA_SITES_MAX && dsaa_conf.site[site].name[0] ? dsaa_conf.site[site].name :
									"-";
}

const char *dsaa_view_liveness(enum dsaa_liveness l)
{
	return l == DSAA_LIVE_UP ? "up" : l == DSAA_LIVE_DOWN ? "down" : "unknown";
}

const char *dsaa_view_uips_reason(const struct dsaa_uips *u)
{
	if (!dsaa_local_site())
		return "the local site is not known";
	if (u->site != dsaa_local_site())
		return "belongs to another site";
	if (u->reason)
		return u->reason;
	return u->installed ? "" : "not yet installed";
}

int64_t dsaa_view_age_ms(struct dsaa_mono t)
{
	return dsaa_mono_diff_us(dsaa_mono_now(), t) / 1000;
}
