/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration model: its life, the change to a new one, and what follows
 * from it (local site, logical interfaces). Main thread.
 *
 * Everything in struct dsaa_config is kept sorted, so two routers with the
 * same lines in any order have the same model, hence the same digest, the same
 * ranks of sync-addresses and the same logical interfaces.
 */
#include <zebra.h>

#include "dsaad/dsaa_config.h"
#include "dsaad/dsaa_errors.h"
#include "dsaad/dsaad.h"
#include "log.h"
#include "printfrr.h"
#include "vrf.h"

DEFINE_MGROUP(DSAAD, "dsaad");
DEFINE_MTYPE_STATIC(DSAAD, CONFIG, "configuration");
DEFINE_MTYPE_STATIC(DSAAD, UIPS, "address of a site");
DEFINE_MTYPE_STATIC(DSAAD, ADVERT, "prefix to announce");

struct dsaa_config dsaa_conf;

static struct event *changed_event;
static uint8_t local_site;

/* ------------------------------------------------------------------ protocols */

static const struct {
	const char *name;
	uint8_t number;
} protocols[] = {
	{ "tcp", IPPROTO_TCP },	      { "udp", IPPROTO_UDP },	{ "icmp", IPPROTO_ICMP },
	{ "sctp", IPPROTO_SCTP },     { "dccp", IPPROTO_DCCP }, { "udplite", IPPROTO_UDPLITE },
	{ "gre", IPPROTO_GRE },	      { "esp", IPPROTO_ESP },	{ "ah", IPPROTO_AH },
	{ "icmpv6", IPPROTO_ICMPV6 },
};

int dsaa_protocol_number(const char *name)
{
	char *end;
	unsigned long n;

	for (size_t i = 0; i < array_size(protocols); i++)
		if (!strcmp(name, protocols[i].name))
			return protocols[i].number;
	n = strtoul(name, &end, 10);
	if (!isdigit((unsigned char)*name) || *end || n < 1 || n > 255)
		return -1;
	return n;
}

const char *dsaa_protocol_name(uint8_t p)
{
	for (size_t i = 0; i < array_size(protocols); i++)
		if (protocols[i].number == p)
			return protocols[i].name;
	return NULL;
}

const char *dsaa_protocol_text(uint8_t p, char number[8])
{
	const char *name = dsaa_protocol_name(p);

	snprintf(number, 8, "%u", p);
	return name ? name : number;
}

/* ------------------------------------------------------------------ life */

static void config_defaults(struct dsaa_config *c)
{
	c->sync_port = 3785;
	memset(c->protocols, 0xff, sizeof(c->protocols));
	c->mark_mask = DSAA_MARK_MASK_DEFAULT;
	c->tag_active = 65001;
	c->tag_backup = 65002;
	c->tag_drain = 65003;
	c->advertise_table = 3785;
	c->hold_time_ms = 3000;
}

static void config_lists_init(struct dsaa_config *c)
{
	for (unsigned s = 0; s <= DSAA_SITES_MAX; s++)
		dsaa_uips_list_init(&c->site[s].uips);
	dsaa_advert_list_init(&c->adverts);
}

struct dsaa_config *dsaa_config_new(void)
{
	struct dsaa_config *c = XCALLOC(MTYPE_CONFIG, sizeof(*c));

	config_defaults(c);
	config_lists_init(c);
	return c;
}

static void uips_free(struct dsaa_uips *u)
{
	XFREE(MTYPE_UIPS, u);
}

static void advert_free(struct dsaa_advert *a)
{
	XFREE(MTYPE_ADVERT, a);
}

static void config_lists_free(struct dsaa_config *c)
{
	struct dsaa_advert *a;
	struct dsaa_uips *u;

	for (unsigned s = 0; s <= DSAA_SITES_MAX; s++)
		while ((u = dsaa_uips_list_pop(&c->site[s].uips)))
			uips_free(u);
	while ((a = dsaa_advert_list_pop(&c->adverts)))
		advert_free(a);
}

void dsaa_config_free(struct dsaa_config *c)
{
	if (!c)
		return;
	config_lists_free(c);
	XFREE(MTYPE_CONFIG, c);
}

void dsaa_config_init(void)
{
	config_defaults(&dsaa_conf);
	config_lists_init(&dsaa_conf);
}

void dsaa_config_end(void)
{
	event_cancel(&changed_event);
	config_lists_free(&dsaa_conf);
}

/* ------------------------------------------------------------------ building one */

/*
 * By interface, family, length and address: prefix_cmp() alone takes all addresses of one network
 * for the same.
 */
static int uips_cmp(const struct dsaa_uips *u, const char *ifname, const struct prefix *p)
{
	int d = strcmp(u->ifname, ifname);

	if (!d)
		d = prefix_cmp(&u->address, p);
	return d ? d : memcmp(u->address.u.val, p->u.val, prefix_blen(p));
}

struct dsaa_uips *dsaa_config_add_uips(struct dsaa_config *c, uint8_t site, const char *ifname,
				       const struct prefix *address)
{
	struct dsaa_uips *u = XCALLOC(MTYPE_UIPS, sizeof(*u));
	struct dsaa_uips *at, *before = NULL;

	u->site = site;
	strlcpy(u->ifname, ifname, sizeof(u->ifname));
	prefix_copy(&u->address, address);
	frr_each (dsaa_uips_list, &c->site[site].uips, at) {
		if (uips_cmp(at, ifname, address) > 0)
			break;
		before = at;
	}
	dsaa_uips_list_add_after(&c->site[site].uips, before, u);
	return u;
}

static int advert_cmp(const struct dsaa_advert *a, const struct dsaa_advert *b)
{
	int order = prefix_cmp(&a->prefix, &b->prefix);

	return order ? order : strcmp(a->vrf, b->vrf);
}

struct dsaa_advert *dsaa_config_add_advert(struct dsaa_config *c, const char *vrf,
					   const struct prefix *p, uint8_t site)
{
	struct dsaa_advert *a = XCALLOC(MTYPE_ADVERT, sizeof(*a));
	struct dsaa_advert *at, *before = NULL, *after;

	a->site = site;
	prefix_copy(&a->prefix, p);
	strlcpy(a->vrf, vrf, sizeof(a->vrf));
	frr_each (dsaa_advert_list, &c->adverts, at) {
		if (advert_cmp(at, a) > 0)
			break;
		before = at;
	}
	dsaa_advert_list_add_after(&c->adverts, before, a);
	a->repeats = before && prefix_same(&before->prefix, p);
	after = dsaa_advert_list_next(&c->adverts, a);
	if (after)
		after->repeats = prefix_same(&after->prefix, p);
	return a;
}

static int ipaddr_order(const void *va, const void *vb)
{
	const struct ipaddr *a = va, *b = vb;

	if (a->ipa_type != b->ipa_type)
		return IS_IPADDR_V4(a) ? -1 : 1;
	if (IS_IPADDR_V4(a))
		return memcmp(&a->ipaddr_v4, &b->ipaddr_v4, sizeof(a->ipaddr_v4));
	return memcmp(&a->ipaddr_v6, &b->ipaddr_v6, sizeof(a->ipaddr_v6));
}

static int prefix_order(const void *a, const void *b)
{
	return prefix_cmp(a, b);
}

static int name_order(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int zone_order(const void *va, const void *vb)
{
	/* what is compared first is the name */
	return strcmp(va, vb);
}

static int vrf_table_order(const void *va, const void *vb)
{
	const struct dsaa_vrf_table *a = va, *b = vb;

	return strcmp(a->vrf, b->vrf);
}

void dsaa_config_sort(struct dsaa_config *c)
{
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++) {
		struct dsaa_site *site = &c->site[s];

		qsort(site->sync_address, site->sync_addresses, sizeof(site->sync_address[0]),
		      ipaddr_order);
		qsort(site->nat_pool, site->nat_pools, sizeof(site->nat_pool[0]), prefix_order);
		qsort(site->zones.zone, site->zones.count, sizeof(site->zones.zone[0]), zone_order);
	}
	qsort(c->no_sync, c->no_syncs, sizeof(c->no_sync[0]), prefix_order);
	qsort(c->track, c->tracks, sizeof(c->track[0]), prefix_order);
	qsort(c->correction_iface, c->correction_ifaces, sizeof(c->correction_iface[0]),
	      name_order);
	qsort(c->vrf_table, c->vrf_tables, sizeof(c->vrf_table[0]), vrf_table_order);
}

/* ------------------------------------------------------------------ putting one in force */

/* Entries of FROM that are in TO as well take the place of TO's: they carry state. */
static void uips_keep(struct dsaa_uips_list_head *from, struct dsaa_uips_list_head *to)
{
	struct dsaa_uips *old, *new;

	frr_each_safe (dsaa_uips_list, from, old) {
		frr_each_safe (dsaa_uips_list, to, new) {
			if (uips_cmp(new, old->ifname, &old->address))
				continue;
			dsaa_uips_list_del(from, old);
			dsaa_uips_list_add_after(to, new, old);
			dsaa_uips_list_del(to, new);
			uips_free(new);
			break;
		}
	}
}

static void adverts_keep(struct dsaa_advert_list_head *from, struct dsaa_advert_list_head *to)
{
	struct dsaa_advert *old, *new;

	frr_each_safe (dsaa_advert_list, from, old) {
		frr_each_safe (dsaa_advert_list, to, new) {
			if (advert_cmp(new, old))
				continue;
			old->site = new->site;
			old->repeats = new->repeats;
			dsaa_advert_list_del(from, old);
			dsaa_advert_list_add_after(to, new, old);
			dsaa_advert_list_del(to, new);
			advert_free(new);
			break;
		}
	}
}

void dsaa_config_adopt(struct dsaa_config *c)
{
	struct dsaa_uips_list_head uips[DSAA_SITES_MAX + 1];
	struct dsaa_advert_list_head adverts;
	struct dsaa_advert *a;
	struct dsaa_uips *u;

	if (!c)
		c = dsaa_config_new();

	dsaa_advert_list_init(&adverts);
	adverts_keep(&dsaa_conf.adverts, &c->adverts);
	dsaa_advert_list_swap_all(&adverts, &c->adverts);
	while ((a = dsaa_advert_list_pop(&dsaa_conf.adverts))) {
		dsaa_advertise_remove(a);
		advert_free(a);
	}
	for (unsigned s = 0; s <= DSAA_SITES_MAX; s++) {
		dsaa_uips_list_init(&uips[s]);
		uips_keep(&dsaa_conf.site[s].uips, &c->site[s].uips);
		dsaa_uips_list_swap_all(&uips[s], &c->site[s].uips);
		while ((u = dsaa_uips_list_pop(&dsaa_conf.site[s].uips)))
			uips_free(u);
	}

	/* The heads of lists point to themselves: they are made anew after the copy. */
	dsaa_conf = *c;
	config_lists_init(&dsaa_conf);
	dsaa_advert_list_swap_all(&dsaa_conf.adverts, &adverts);
	for (unsigned s = 0; s <= DSAA_SITES_MAX; s++)
		dsaa_uips_list_swap_all(&dsaa_conf.site[s].uips, &uips[s]);
	dsaa_config_free(c);
	dsaa_config_changed();
}

/* ------------------------------------------------------------------ local site */

bool dsaa_config_has_sync_address(const struct dsaa_site *site, const struct prefix *p)
{
	for (unsigned i = 0; i < site->sync_addresses; i++) {
		const struct ipaddr *ip = &site->sync_address[i];

		if (p->family == AF_INET && IS_IPADDR_V4(ip) &&
		    IPV4_ADDR_SAME(&p->u.prefix4, &ip->ipaddr_v4))
			return true;
		if (p->family == AF_INET6 && IS_IPADDR_V6(ip) &&
		    IPV6_ADDR_SAME(&p->u.prefix6, &ip->ipaddr_v6))
			return true;
	}
	return false;
}

static void note_sites(void *arg, const struct prefix *p)
{
	uint32_t *found = arg;

	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		if (dsaa_conf.site[s].configured &&
		    dsaa_config_has_sync_address(&dsaa_conf.site[s], p))
			*found |= 1u << s;
}

/* Which of the sites in the bit mask FOUND this is, when the last time it was BEFORE; 0: none. */
static uint8_t choose_site(uint32_t found, uint8_t before)
{
	static uint32_t complained;
	uint8_t site = (found & (1u << before)) ? before : ffs(found) - 1;

	if ((found & (found - 1)) && found != complained)
		flog_warn(EC_DSAA_SITE_CONFLICT,
			  "interfaces carry sync-addresses of several sites; this is taken for "
			  "site %u",
			  site);
	complained = found;
	return site;
}

/*
 * A router does not forget which site it is while the block is there: a sync-address can go with
 * its interface, and the loss of the site-sync link must not stop the service.
 */
static uint8_t find_local_site(void)
{
	static uint8_t before;
	uint32_t found = 0;

	if (!dsaa_conf.enabled || dsaa_conf.local_site) {
		before = 0;
		return dsaa_conf.enabled && dsaa_conf.site[dsaa_conf.local_site].configured ?
			       dsaa_conf.local_site :
			       0;
	}
	dsaa_zebra_walk_addresses(note_sites, &found);
	if (found)
		before = choose_site(found, before);
	else if (!dsaa_conf.site[before].configured)
		before = 0;
	return before;
}

uint8_t dsaa_local_site(void)
{
	return local_site;
}

/* ------------------------------------------------------------------ reconciliation */

/*
 * A block is typed or loaded line by line, and half a block must not act: with
 * one site and no peer yet, the state would be complete, and prefixes would be
 * announced. So everything waits until there was no change for SETTLE_MS, but
 * never longer than SETTLE_MAX_MS.
 */
#define SETTLE_MS     50
#define SETTLE_MAX_MS 1000

static struct dsaa_mono first_change;

static void config_reconcile(struct event *e)
{
	uint8_t now = find_local_site();

	if (now != local_site) {
		if (now)
			zlog_info("this is site %u (%s)", now, dsaa_conf.site[now].name);
		else
			zlog_info(
				"the local site is not known: no interface carries a sync-address");
		local_site = now;
	}
	if (DSAA_DEBUG(DSAA_DEBUG_CONFIG))
		zlog_debug("configuration or interfaces changed, digest %016" PRIx64,
			   dsaa_config_digest());
	dsaa_zebra_update_addresses();
	dsaa_uips_reconcile();
	dsaa_sync_configure();
	dsaa_compare_reconcile();
	dsaa_correct_reconcile();
	dsaa_bfd_reconcile();
	dsaa_probe_reconcile();
	dsaa_track_reconcile();
	dsaa_advertise_reconcile();
}

void dsaa_config_changed(void)
{
	struct dsaa_mono now = dsaa_mono_now();

	if (!changed_event)
		first_change = now;
	else if (dsaa_mono_diff_us(now, first_change) > (SETTLE_MAX_MS - SETTLE_MS) * 1000)
		return;
	event_cancel(&changed_event);
	event_add_timer_msec(master, config_reconcile, NULL, SETTLE_MS, &changed_event);
}

/* ------------------------------------------------------------------ what follows from it */

uint16_t dsaa_correction_port(void)
{
	if (dsaa_conf.correction_port)
		return dsaa_conf.correction_port;
	return dsaa_conf.sync_port < 65535 ? dsaa_conf.sync_port + 1 : 65534;
}

/* Adds IFNAME to the N names unless it is among them; returns their number. */
static unsigned add_name(char names[DSAA_IFACES_MAX][IFNAMSIZ], unsigned n, const char *ifname)
{
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(names[i], ifname))
			return n;
	if (n < DSAA_IFACES_MAX)
		strlcpy(names[n++], ifname, IFNAMSIZ);
	return n;
}

unsigned dsaa_logical_interfaces(char names[DSAA_IFACES_MAX][IFNAMSIZ])
{
	const struct dsaa_uips *u;
	unsigned n = 0;

	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		frr_each (dsaa_uips_list_const, &dsaa_conf.site[s].uips, u)
			n = add_name(names, n, u->ifname);
	for (unsigned i = 0; i < dsaa_conf.correction_ifaces; i++)
		n = add_name(names, n, dsaa_conf.correction_iface[i]);
	qsort(names, n, IFNAMSIZ, name_order);
	return n;
}

/* ------------------------------------------------------------------ conversions */

void dsaa_addr_from_prefix(struct dsaa_addr *a, const struct prefix *p)
{
	memset(a, 0, sizeof(*a));
	if (p->family == AF_INET) {
		a->family = 4;
		memcpy(a->bytes, &p->u.prefix4, 4);
	} else if (p->family == AF_INET6) {
		a->family = 6;
		memcpy(a->bytes, &p->u.prefix6, 16);
	}
}

void dsaa_addr_from_ipaddr(struct dsaa_addr *a, const struct ipaddr *ip)
{
	memset(a, 0, sizeof(*a));
	if (IS_IPADDR_V4(ip)) {
		a->family = 4;
		memcpy(a->bytes, &ip->ipaddr_v4, 4);
	} else if (IS_IPADDR_V6(ip)) {
		a->family = 6;
		memcpy(a->bytes, &ip->ipaddr_v6, 16);
	}
}

void dsaa_prefix_from_prefix(struct dsaa_prefix *d, const struct prefix *p)
{
	dsaa_addr_from_prefix(&d->addr, p);
	d->len = p->prefixlen;
}

const char *dsaa_addr_text(uint8_t family, const uint8_t *bytes, char buf[INET6_ADDRSTRLEN])
{
	/* fails for a family alone that it does not know */
	return inet_ntop(family == 4 ? AF_INET : AF_INET6, bytes, buf, INET6_ADDRSTRLEN);
}
