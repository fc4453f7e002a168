/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What stands in the way of correction without stopping it: site-sync links
 * with a small MTU, flowtables of the operator. Told in "show dsaa correction"
 * and, when it changes, in the log. Main thread.
 */
#include "dsaad/dsaa_correct.h"

#include "log.h"

#include "core/dsaa_encap.h"
#include "dsaad/dsaa_errors.h"
#include "rules/dsaa_rules.h"

enum {
	/* how often the operator's ruleset is searched, seconds */
	SEARCH_S = 10,
};

/* The largest MTU among the interfaces on which foreign packets are caught. */
static unsigned largest_mtu(const char **name)
{
	char names[DSAA_IFACES_MAX][IFNAMSIZ];
	unsigned n = dsaa_logical_interfaces(names), mtu = 0;

	for (unsigned i = 0; i < n; i++) {
		struct interface *ifp = dsaa_zebra_interface(names[i]);

		if (!ifp || !dsaa_correct_is_caught(names[i]) || (unsigned)ifp->mtu <= mtu)
			continue;
		mtu = ifp->mtu;
		*name = ifp->name;
	}
	return mtu;
}

/* One sentence per site-sync link that is too small. */
static unsigned warn_mtu(char text[DSAA_WARNINGS_MAX][DSAA_WARNING_LEN], unsigned n)
{
	const struct dsaa_site *site = &dsaa_conf.site[dsaa_local_site()];
	const char *caught = NULL;
	unsigned mtu = largest_mtu(&caught);

	for (unsigned i = 0; mtu && i < site->sync_addresses && n < DSAA_WARNINGS_MAX; i++) {
		const struct ipaddr *ip = &site->sync_address[i];
		bool v4 = ip->ipa_type == IPADDR_V4;
		struct interface *ifp = dsaa_zebra_interface_of(ip);
		unsigned need = mtu + (v4 ? DSAA_OVERHEAD4 : DSAA_OVERHEAD6);

		if (ifp && (unsigned)ifp->mtu < need)
			snprintf(text[n++], DSAA_WARNING_LEN,
				 "site-sync interface %s has MTU %u: full packets of %s (MTU %u) "
				 "go over it in fragments; set it to %u or more",
				 ifp->name, (unsigned)ifp->mtu, caught, mtu, need);
	}
	return n;
}

static unsigned warn_flowtables(char text[DSAA_WARNINGS_MAX][DSAA_WARNING_LEN], unsigned n)
{
	char names[100];
	int found = 0;

	frr_with_privs (&dsaa_privs) {
		found = dsaa_rules_flowtables(names, sizeof(names));
	}
	if (found > 0 && n < DSAA_WARNINGS_MAX)
		snprintf(text[n++], DSAA_WARNING_LEN,
			 "%d flowtable(s) in your ruleset (%s): packets that they forward are not "
			 "corrected; offload no connections that may be asymmetric",
			 found, names);
	return n;
}

unsigned dsaa_correct_warnings(char text[DSAA_WARNINGS_MAX][DSAA_WARNING_LEN])
{
	unsigned n = 0;

	if (!dsaa_local_site() || dsaa_conf.correction_mode == DSAA_CORRECTION_OFF)
		return 0;
	n = warn_mtu(text, n);
	return warn_flowtables(text, n);
}

static bool among(char (*text)[DSAA_WARNING_LEN], unsigned n, const char *one)
{
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(text[i], one))
			return true;
	return false;
}

void dsaa_correct_say_warnings(void)
{
	static char said[DSAA_WARNINGS_MAX][DSAA_WARNING_LEN];
	static unsigned count;
	static struct dsaa_mono searched_at;
	char text[DSAA_WARNINGS_MAX][DSAA_WARNING_LEN];
	unsigned n;

	if (searched_at.us &&
	    dsaa_mono_diff_us(dsaa_mono_now(), searched_at) < SEARCH_S * INT64_C(1000000))
		return;
	searched_at = dsaa_mono_now();
	n = dsaa_correct_warnings(text);
	for (unsigned i = 0; i < n; i++)
		if (!among(said, count, text[i]))
			flog_warn(EC_DSAA_IN_THE_WAY, "correction: %s", text[i]);
	memcpy(said, text, sizeof(said[0]) * n);
	count = n;
}
