/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Configuration through the northbound. Main thread.
 *
 * A commit is read whole: validation builds a struct dsaa_config from the
 * candidate tree and checks it, the end of the commit builds it again and puts
 * it in force. The callbacks of single nodes only say that the node is
 * supported. So what runs is always what the tree says, whatever the order or
 * number of changes in one commit, and no rule can be missed by a callback.
 */
#include <zebra.h>

#include "dsaad/dsaa_config.h"
#include "dsaad/dsaa_nb.h"
#include "dsaad/dsaad.h"
#include "printfrr.h"

/* A configuration being read from a tree, and the first thing wrong with it. */
struct load {
	struct dsaa_config *c;
	char *err;
	size_t errlen;
	bool failed;
};

static void load_failed(struct load *l, const char *fmt, ...) PRINTFRR(2, 3);
static void load_failed(struct load *l, const char *fmt, ...)
{
	va_list ap;

	if (l->failed)
		return;
	l->failed = true;
	va_start(ap, fmt);
	vsnprintfrr(l->err, l->errlen, fmt, ap);
	va_end(ap);
}

/* ------------------------------------------------------------------ sites */

static uint8_t site_of(const struct lyd_node *dnode)
{
	return yang_dnode_get_uint8(dnode, "../id");
}

static int load_sync_address(const struct lyd_node *dnode, void *arg)
{
	struct load *l = arg;
	struct dsaa_site *site = &l->c->site[site_of(dnode)];

	if (site->sync_addresses == array_size(site->sync_address))
		load_failed(l, "site %u: sync-address %s is one too many, a site has at most %u",
			    site_of(dnode), yang_dnode_get_string(dnode, NULL),
			    DSAA_SITE_SYNC_ADDRESSES_MAX);
	else
		yang_dnode_get_ip(&site->sync_address[site->sync_addresses++], dnode, NULL);
	return YANG_ITER_CONTINUE;
}

static int load_uips(const struct lyd_node *dnode, void *arg)
{
	const char *address = yang_dnode_get_string(dnode, "./address");
	struct load *l = arg;
	struct prefix p;

	if (!str2prefix(address, &p))
		load_failed(
			l,
			"site %u: uips %s %s: it is not an address with the length of its prefix",
			site_of(dnode), yang_dnode_get_string(dnode, "./interface"), address);
	else
		dsaa_config_add_uips(l->c, site_of(dnode),
				     yang_dnode_get_string(dnode, "./interface"), &p);
	return YANG_ITER_CONTINUE;
}

static int load_nat_pool(const struct lyd_node *dnode, void *arg)
{
	struct load *l = arg;
	struct dsaa_site *site = &l->c->site[site_of(dnode)];

	if (site->nat_pools == array_size(site->nat_pool))
		load_failed(l, "site %u: nat-pool %s is one too many, a site has at most %u",
			    site_of(dnode), yang_dnode_get_string(dnode, NULL), DSAA_NAT_POOLS_MAX);
	else
		yang_dnode_get_prefix(&site->nat_pool[site->nat_pools++], dnode, NULL);
	return YANG_ITER_CONTINUE;
}

static int load_zone(const struct lyd_node *dnode, void *arg)
{
	const char *name = yang_dnode_get_string(dnode, "./name");
	struct load *l = arg;
	struct dsaa_zone_names *zones = &l->c->site[site_of(dnode)].zones;

	if (zones->count == array_size(zones->zone)) {
		load_failed(l, "site %u: zone %s is one too many, a site has at most %u",
			    site_of(dnode), name, DSAA_ZONES_MAX);
		return YANG_ITER_CONTINUE;
	}
	strlcpy(zones->zone[zones->count].name, name, DSAA_ZONE_NAME_MAX);
	zones->zone[zones->count++].number = yang_dnode_get_uint16(dnode, "./number");
	return YANG_ITER_CONTINUE;
}

static int load_site(const struct lyd_node *dnode, void *arg)
{
	struct load *l = arg;
	struct dsaa_site *site = &l->c->site[yang_dnode_get_uint8(dnode, "./id")];

	site->configured = true;
	if (yang_dnode_exists(dnode, "./name"))
		strlcpy(site->name, yang_dnode_get_string(dnode, "./name"), sizeof(site->name));
	if (yang_dnode_exists(dnode, "./probe")) {
		site->has_probe = true;
		yang_dnode_get_ip(&site->probe, dnode, "./probe");
	}
	yang_dnode_iterate(load_sync_address, l, dnode, "./sync-address");
	yang_dnode_iterate(load_uips, l, dnode, "./uips");
	yang_dnode_iterate(load_nat_pool, l, dnode, "./nat-pool");
	yang_dnode_iterate(load_zone, l, dnode, "./zone");
	return YANG_ITER_CONTINUE;
}

/* ------------------------------------------------------------------ sync */

static void exclude(struct dsaa_config *c, unsigned protocol)
{
	c->protocols[protocol / 64] &= ~(UINT64_C(1) << (protocol % 64));
}

static int load_excluded_protocol(const struct lyd_node *dnode, void *arg)
{
	const char *name = yang_dnode_get_string(dnode, NULL);
	int protocol = dsaa_protocol_number(name);
	struct load *l = arg;

	if (protocol < 0) {
		load_failed(l,
			    "sync protocol %s: it is one of tcp, udp, icmp, sctp, dccp, udplite, "
			    "gre, esp, ah, or a number from 1 to 255",
			    name);
		return YANG_ITER_CONTINUE;
	}
	exclude(l->c, protocol);
	if (protocol == IPPROTO_ICMP)
		exclude(l->c, IPPROTO_ICMPV6);
	return YANG_ITER_CONTINUE;
}

static int load_protocol_delay(const struct lyd_node *dnode, void *arg)
{
	const char *name = yang_dnode_get_string(dnode, "./protocol");
	int protocol = dsaa_protocol_number(name);
	struct load *l = arg;

	if (protocol < 0) {
		load_failed(l,
			    "sync delay protocol %s: it is one of tcp, udp, icmp, sctp, dccp, "
			    "udplite, gre, esp, ah, or a number from 1 to 255",
			    name);
		return YANG_ITER_CONTINUE;
	}
	l->c->delay_s[protocol] = yang_dnode_get_uint8(dnode, "./delay");
	if (protocol == IPPROTO_ICMP)
		l->c->delay_s[IPPROTO_ICMPV6] = l->c->delay_s[protocol];
	return YANG_ITER_CONTINUE;
}

static int load_excluded_prefix(const struct lyd_node *dnode, void *arg)
{
	struct load *l = arg;

	if (l->c->no_syncs == array_size(l->c->no_sync))
		load_failed(l, "no sync prefix %s is one too many, there are at most %u",
			    yang_dnode_get_string(dnode, NULL), DSAA_NO_SYNC_PREFIXES_MAX);
	else
		yang_dnode_get_prefix(&l->c->no_sync[l->c->no_syncs++], dnode, NULL);
	return YANG_ITER_CONTINUE;
}

static void load_sync(struct load *l, const struct lyd_node *dnode)
{
	struct dsaa_config *c = l->c;

	c->sync_port = yang_dnode_get_uint16(dnode, "./sync/port");
	c->insecure = yang_dnode_get_bool(dnode, "./sync/insecure");
	if (yang_dnode_exists(dnode, "./sync/key-file"))
		strlcpy(c->key_file, yang_dnode_get_string(dnode, "./sync/key-file"),
			sizeof(c->key_file));
	yang_dnode_iterate(load_excluded_protocol, l, dnode, "./sync/excluded-protocol");
	memset(c->delay_s, yang_dnode_get_uint8(dnode, "./sync/delay"), sizeof(c->delay_s));
	yang_dnode_iterate(load_protocol_delay, l, dnode, "./sync/protocol-delay");
	yang_dnode_iterate(load_excluded_prefix, l, dnode, "./sync/excluded-prefix");
}

/* ------------------------------------------------------------------ correction, routing */

static int load_correction_interface(const struct lyd_node *dnode, void *arg)
{
	struct load *l = arg;

	if (l->c->correction_ifaces == array_size(l->c->correction_iface))
		load_failed(l, "correction interface %s is one too many, there are at most %u",
			    yang_dnode_get_string(dnode, NULL), DSAA_IFACES_MAX);
	else
		strlcpy(l->c->correction_iface[l->c->correction_ifaces++],
			yang_dnode_get_string(dnode, NULL), IFNAMSIZ);
	return YANG_ITER_CONTINUE;
}

static void load_correction(struct load *l, const struct lyd_node *dnode)
{
	struct dsaa_config *c = l->c;

	c->correction_mode = yang_dnode_get_enum(dnode, "./correction/mode");
	c->mark_mask = yang_dnode_get_uint32(dnode, "./correction/mark-mask");
	c->correction_hold_ms = yang_dnode_get_uint16(dnode, "./correction/hold");
	if (yang_dnode_exists(dnode, "./correction/port"))
		c->correction_port = yang_dnode_get_uint16(dnode, "./correction/port");
	yang_dnode_iterate(load_correction_interface, l, dnode, "./correction/interface");
}

static int load_advertise(const struct lyd_node *dnode, void *arg)
{
	const char *site = yang_dnode_get_string(dnode, "./site");
	struct load *l = arg;
	struct prefix p;

	const char *vrf = "";

	if (yang_dnode_exists(dnode, "./vrf"))
		vrf = yang_dnode_get_string(dnode, "./vrf");
	yang_dnode_get_prefix(&p, dnode, "./prefix");
	dsaa_config_add_advert(l->c, vrf, &p, strcmp(site, "all") ? atoi(site) : 0);
	return YANG_ITER_CONTINUE;
}

static int load_vrf_table(const struct lyd_node *dnode, void *arg)
{
	const char *vrf = yang_dnode_get_string(dnode, "./vrf");
	struct load *l = arg;
	struct dsaa_vrf_table *t = &l->c->vrf_table[l->c->vrf_tables];

	if (l->c->vrf_tables == array_size(l->c->vrf_table)) {
		load_failed(l,
			    "advertise-table for the VRF %s is one too many, there are at most %u",
			    vrf, DSAA_VRFS_MAX);
		return YANG_ITER_CONTINUE;
	}
	strlcpy(t->vrf, vrf, sizeof(t->vrf));
	t->table = yang_dnode_get_uint16(dnode, "./table");
	l->c->vrf_tables++;
	return YANG_ITER_CONTINUE;
}

static int load_track(const struct lyd_node *dnode, void *arg)
{
	struct load *l = arg;

	if (l->c->tracks == array_size(l->c->track))
		load_failed(l, "track route %s is one too many, there are at most %u",
			    yang_dnode_get_string(dnode, NULL), DSAA_TRACKED_ROUTES_MAX);
	else
		yang_dnode_get_prefix(&l->c->track[l->c->tracks++], dnode, NULL);
	return YANG_ITER_CONTINUE;
}

static void load_routing(struct load *l, const struct lyd_node *dnode)
{
	struct dsaa_config *c = l->c;

	yang_dnode_iterate(load_advertise, l, dnode, "./advertise");
	yang_dnode_iterate(load_advertise, l, dnode, "./vrf-advertise");
	yang_dnode_iterate(load_vrf_table, l, dnode, "./vrf-advertise-table");
	yang_dnode_iterate(load_track, l, dnode, "./track/route");
	c->tag_active = yang_dnode_get_uint32(dnode, "./advertise-tag/active");
	c->tag_backup = yang_dnode_get_uint32(dnode, "./advertise-tag/backup");
	c->tag_drain = yang_dnode_get_uint32(dnode, "./advertise-tag/drain");
	c->advertise_table = yang_dnode_get_uint16(dnode, "./advertise-table");
	c->bfd = yang_dnode_exists(dnode, "./bfd");
	if (yang_dnode_exists(dnode, "./bfd/profile"))
		strlcpy(c->bfd_profile, yang_dnode_get_string(dnode, "./bfd/profile"),
			sizeof(c->bfd_profile));
}

/*
 * Reads the block at DNODE. Returns a configuration, to be freed by the
 * caller, or NULL with a sentence in ERR.
 */
static struct dsaa_config *load_block(const struct lyd_node *dnode, char *err, size_t errlen)
{
	struct load l = { .c = dsaa_config_new(), .err = err, .errlen = errlen };

	l.c->enabled = true;
	if (yang_dnode_exists(dnode, "./cluster-id"))
		l.c->cluster_id = yang_dnode_get_uint32(dnode, "./cluster-id");
	l.c->ha_mode = yang_dnode_get_enum(dnode, "./ha-mode");
	if (yang_dnode_exists(dnode, "./primary-site"))
		l.c->primary = yang_dnode_get_uint8(dnode, "./primary-site");
	if (yang_dnode_exists(dnode, "./local-site"))
		l.c->local_site = yang_dnode_get_uint8(dnode, "./local-site");
	l.c->hold_time_ms = yang_dnode_get_uint32(dnode, "./hold-time");
	l.c->split_brain = yang_dnode_get_enum(dnode, "./split-brain");
	l.c->ruleset_mismatch = yang_dnode_get_enum(dnode, "./ruleset-mismatch");
	yang_dnode_iterate(load_site, &l, dnode, "./site");
	load_sync(&l, dnode);
	load_correction(&l, dnode);
	load_routing(&l, dnode);
	dsaa_config_sort(l.c);
	if (!l.failed)
		return l.c;
	dsaa_config_free(l.c);
	return NULL;
}

/* ------------------------------------------------------------------ callbacks */

int dsaa_nb_pre_validate(struct nb_cb_pre_validate_args *args)
{
	struct dsaa_config *c = load_block(args->dnode, args->errmsg, args->errmsg_len);
	bool ok;

	if (!c)
		return NB_ERR_VALIDATION;
	ok = dsaa_config_check(c, args->errmsg, args->errmsg_len);
	dsaa_config_free(c);
	return ok ? NB_OK : NB_ERR_VALIDATION;
}

int dsaa_nb_create(struct nb_cb_create_args *args)
{
	return NB_OK;
}

int dsaa_nb_modify(struct nb_cb_modify_args *args)
{
	return NB_OK;
}

int dsaa_nb_destroy(struct nb_cb_destroy_args *args)
{
	return NB_OK;
}

int dsaa_nb_block_destroy(struct nb_cb_destroy_args *args)
{
	if (args->event == NB_EV_APPLY)
		dsaa_config_adopt(NULL);
	return NB_OK;
}

void dsaa_nb_apply_finish(struct nb_cb_apply_finish_args *args)
{
	char err[256];
	struct dsaa_config *c = load_block(args->dnode, err, sizeof(err));

	/* Validation read the same tree with the same function. */
	assert(c);
	dsaa_config_adopt(c);
}
