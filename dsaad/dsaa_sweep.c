/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "dsaad --sweep": takes away what a dsaad that was killed, or ended with
 * --retain, left in the kernel of this network namespace: the rules, the fast
 * path with its pins, the addresses. For the package's removal, and for whoever
 * does without dsaad from now on.
 *
 * Not swept: routes, which zebra takes back when its client has been gone for
 * a while; replicas in conntrack, whose owner bits only the configuration
 * knows: they expire.
 *
 * Main thread, as root, before libfrr is started: no daemon, no configuration.
 */
#include <zebra.h>

#include <net/if.h>

#include "prefix.h"

#include "bpf/dsaa_fast.h"
#include "dsaad/dsaa_netlink.h"
#include "dsaad/dsaad.h"
#include "rules/dsaa_rules.h"

enum { ADDRESSES_AT_ONCE = 256 };

struct ours {
	struct dsaa_kernel_address list[ADDRESSES_AT_ONCE];
	unsigned count;
	bool more;
};

static void collect(void *arg, const struct dsaa_kernel_address *a)
{
	struct ours *o = arg;

	if (!a->ours)
		return;
	if (o->count < ADDRESSES_AT_ONCE)
		o->list[o->count++] = *a;
	else
		o->more = true;
}

static bool complain(const char *what, int rc)
{
	fprintf(stderr, "dsaad: %s: %s\n", what, safe_strerror(-rc));
	return false;
}

/* Deletes the addresses that carry our mark; a list that changes meanwhile is read again. */
static bool sweep_addresses(void)
{
	static struct ours o;
	unsigned i, tries = 10;
	int rc;

	do {
		o = (struct ours){ 0 };
		rc = dsaa_netlink_address_walk(collect, &o);
		if (rc && rc != -EINTR)
			return complain("the addresses cannot be read", rc);
		for (i = 0; !rc && i < o.count; i++) {
			rc = dsaa_netlink_address_del(o.list[i].ifindex, &o.list[i].address);
			if (rc)
				return complain("an address cannot be deleted", rc);
		}
	} while ((rc || o.more) && --tries);
	return rc == 0 && !o.more;
}

int dsaa_sweep(const char *bpffs)
{
	char why[256];
	bool ok = true;

	/* it lives as long as the process that made it */
	if (if_nametoindex(DSAA_TUN_NAME)) {
		fprintf(stderr,
			"dsaad: not swept, since a dsaad runs here (interface %s): it takes all "
			"away when it is stopped\n",
			DSAA_TUN_NAME);
		return 1;
	}
	/* what carries packets away first, then the rules that guard it */
	if (!dsaa_fast_sweep(bpffs, why, sizeof(why))) {
		fprintf(stderr, "dsaad: %s\n", why);
		ok = false;
	}
	if (dsaa_rules_remove(why, sizeof(why)) < 0) {
		fprintf(stderr, "dsaad: %s\n", why);
		ok = false;
	}
	return sweep_addresses() && ok ? 0 : 1;
}
