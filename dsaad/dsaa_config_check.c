/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rules of the dsaa block that YANG cannot say in a sentence: what is
 * inside an address, and what two lines must not have in common. Looks only at
 * the configuration it is given; a reference to a site that is not configured
 * is no error, since its lines may come later. Main thread.
 */
#include <zebra.h>

#include "dsaad/dsaa_config.h"
#include "printfrr.h"

/* Where a sentence goes; FALSE is the answer of who says one. */
struct complaint {
	char *text;
	size_t len;
};

static bool complain(const struct complaint *to, const char *fmt, ...) PRINTFRR(2, 3);
static bool complain(const struct complaint *to, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintfrr(to->text, to->len, fmt, ap);
	va_end(ap);
	return false;
}

/* ------------------------------------------------------------------ single addresses */

/* Why IPv4 address A (host order) can be no address of a router, or NULL. */
static const char *ipv4_unfit(uint32_t a)
{
	if (a >> 24 == 0)
		return "an address of 0.0.0.0/8 belongs to no interface";
	if (a >> 24 == 127)
		return "a loopback address stays inside one router";
	if (a >> 28 == 0xe)
		return "a multicast address belongs to no single router";
	if (a >> 28 == 0xf)
		return "an address of 240.0.0.0/4 is not unicast";
	return NULL;
}

static const char *ipv6_unfit(const struct in6_addr *a)
{
	if (IN6_IS_ADDR_UNSPECIFIED(a))
		return "the unspecified address belongs to no interface";
	if (IN6_IS_ADDR_LOOPBACK(a))
		return "the loopback address stays inside one router";
	if (IN6_IS_ADDR_MULTICAST(a))
		return "a multicast address belongs to no single router";
	if (IN6_IS_ADDR_V4MAPPED(a))
		return "write an IPv4 address as IPv4";
	if (IN6_IS_ADDR_LINKLOCAL(a))
		return "a link-local address is not unique";
	return NULL;
}

static const char *ipaddr_unfit(const struct ipaddr *ip)
{
	if (IS_IPADDR_V4(ip))
		return ipv4_unfit(ntohl(ip->ipaddr_v4.s_addr));
	return ipv6_unfit(&ip->ipaddr_v6);
}

static bool ipaddr_same(const struct ipaddr *a, const struct ipaddr *b)
{
	if (a->ipa_type != b->ipa_type)
		return false;
	return IS_IPADDR_V4(a) ? IPV4_ADDR_SAME(&a->ipaddr_v4, &b->ipaddr_v4) :
				 IPV6_ADDR_SAME(&a->ipaddr_v6, &b->ipaddr_v6);
}

/* Equal addresses, whatever the prefix lengths. */
static bool host_same(const struct prefix *a, const struct prefix *b)
{
	if (a->family != b->family)
		return false;
	return a->family == AF_INET ? IPV4_ADDR_SAME(&a->u.prefix4, &b->u.prefix4) :
				      IPV6_ADDR_SAME(&a->u.prefix6, &b->u.prefix6);
}

static bool host_is_ipaddr(const struct prefix *p, const struct ipaddr *ip)
{
	struct prefix q = { 0 };

	if (IS_IPADDR_V4(ip)) {
		q.family = AF_INET;
		q.u.prefix4 = ip->ipaddr_v4;
	} else {
		q.family = AF_INET6;
		q.u.prefix6 = ip->ipaddr_v6;
	}
	return host_same(p, &q);
}

static bool check_uips_address(const struct dsaa_uips *u, const struct complaint *to)
{
	const struct prefix *p = &u->address;
	unsigned bits = p->family == AF_INET ? 32 : 128;
	const char *unfit = p->family == AF_INET ? ipv4_unfit(ntohl(p->u.prefix4.s_addr)) :
						   ipv6_unfit(&p->u.prefix6);
	struct prefix net;

	if (unfit)
		return complain(to, "site %u: uips %s %pFX: %s", u->site, u->ifname, p, unfit);
	if (p->prefixlen == 0)
		return complain(to, "site %u: uips %s %pFX: the length of the prefix must not be 0",
				u->site, u->ifname, p);
	if (p->prefixlen > bits - 2u)
		return true;
	prefix_copy(&net, p);
	apply_mask(&net);
	if (host_same(&net, p))
		return complain(to,
				"site %u: uips %s %pFX: this is the address of the network, not of "
				"an interface in it",
				u->site, u->ifname, p);
	if (p->family == AF_INET &&
	    (p->u.prefix4.s_addr | htonl(~0u << (32 - p->prefixlen))) == INADDR_BROADCAST)
		return complain(
			to, "site %u: uips %s %pFX: this is the broadcast address of its network",
			u->site, u->ifname, p);
	return true;
}

/* ------------------------------------------------------------------ one site */

static bool check_sync_addresses(const struct dsaa_config *c, unsigned s,
				 const struct complaint *to)
{
	const struct dsaa_site *site = &c->site[s];

	for (unsigned i = 0; i < site->sync_addresses; i++) {
		const struct ipaddr *ip = &site->sync_address[i];
		const char *unfit = ipaddr_unfit(ip);

		if (unfit)
			return complain(to, "site %u: sync-address %pIA: %s", s, ip, unfit);
		for (unsigned o = 1; o < s; o++)
			for (unsigned k = 0; k < c->site[o].sync_addresses; k++)
				if (ipaddr_same(ip, &c->site[o].sync_address[k]))
					return complain(to,
							"sync-address %pIA is on site %u and on "
							"site %u: it must be on one site only",
							ip, o, s);
	}
	return true;
}

static bool check_uips_pair(const struct dsaa_uips *u, const struct dsaa_uips *v,
			    const struct complaint *to)
{
	if (!host_same(&u->address, &v->address))
		return true;
	if (u->site != v->site)
		return complain(to,
				"uips %pFX is on site %u and on site %u: an address must be on one "
				"site only",
				&u->address, v->site, u->site);
	return complain(to, "site %u: uips %s %pFX: the address is on %s already", u->site,
			u->ifname, &u->address, v->ifname);
}

/* Compares U with every uips before it, and with the sync-addresses of the other sites. */
static bool check_uips_unique(const struct dsaa_config *c, const struct dsaa_uips *u,
			      const struct complaint *to)
{
	const struct dsaa_uips *v;

	for (unsigned s = 1; s <= u->site; s++) {
		frr_each (dsaa_uips_list_const, &c->site[s].uips, v) {
			if (v == u)
				break;
			if (!check_uips_pair(u, v, to))
				return false;
		}
	}
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		for (unsigned i = 0; i < c->site[s].sync_addresses && s != u->site; i++)
			if (host_is_ipaddr(&u->address, &c->site[s].sync_address[i]))
				return complain(to,
						"site %u: uips %s %pFX: the address is the "
						"sync-address of site %u",
						u->site, u->ifname, &u->address, s);
	return true;
}

static bool check_pools(const struct dsaa_config *c, unsigned s, const struct complaint *to)
{
	const struct dsaa_site *site = &c->site[s];

	for (unsigned i = 0; i < site->nat_pools; i++) {
		const struct prefix *p = &site->nat_pool[i];

		for (unsigned o = 1; o < s; o++)
			for (unsigned k = 0; k < c->site[o].nat_pools; k++) {
				const struct prefix *q = &c->site[o].nat_pool[k];

				if (p->family == q->family &&
				    (prefix_match(p, q) || prefix_match(q, p)))
					return complain(to,
							"site %u: nat-pool %pFX overlaps nat-pool "
							"%pFX of site %u",
							s, p, q, o);
			}
	}
	return true;
}

static bool check_site(const struct dsaa_config *c, unsigned s, const struct complaint *to)
{
	const struct dsaa_site *site = &c->site[s];
	const struct dsaa_uips *u;
	const char *unfit;

	if (!check_sync_addresses(c, s, to))
		return false;
	frr_each (dsaa_uips_list_const, &site->uips, u)
		if (!check_uips_address(u, to) || !check_uips_unique(c, u, to))
			return false;
	if (site->has_probe) {
		unfit = ipaddr_unfit(&site->probe);
		if (unfit)
			return complain(to, "site %u: probe %pIA: %s", s, &site->probe, unfit);
	}
	return check_pools(c, s, to);
}

/* ------------------------------------------------------------------ the rest */

static bool check_mark_mask(const struct dsaa_config *c, const struct complaint *to)
{
	unsigned max;

	if (!dsaa_mark_mask_valid(c->mark_mask))
		return complain(to,
				"correction mark-mask 0x%08x: it must be one run of 4 to 16 bits "
				"without a gap",
				c->mark_mask);
	max = dsaa_mark_sites_max(c->mark_mask);
	for (unsigned s = max + 1; s <= DSAA_SITES_MAX; s++)
		if (c->site[s].configured)
			return complain(
				to,
				"site %u: correction mark-mask 0x%08x holds site numbers up to %u",
				s, c->mark_mask, max);
	return true;
}

static bool check_adverts(const struct dsaa_config *c, const struct complaint *to)
{
	const struct dsaa_advert *a;

	frr_each (dsaa_advert_list_const, &c->adverts, a) {
		const struct prefix *p = &a->prefix;

		if (p->family == AF_INET ? IPV4_CLASS_DE(ntohl(p->u.prefix4.s_addr)) :
					   IN6_IS_ADDR_MULTICAST(&p->u.prefix6))
			return complain(to, "advertise %pFX: a multicast prefix is not announced",
					p);
		if (p->family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&p->u.prefix6) &&
		    p->prefixlen >= 10)
			return complain(to, "advertise %pFX: a link-local prefix is not announced",
					p);
		if (p->family == AF_INET && p->prefixlen >= 8 &&
		    ntohl(p->u.prefix4.s_addr) >> 24 == 127)
			return complain(to, "advertise %pFX: a loopback prefix is not announced",
					p);
	}
	return true;
}

static bool check_logical_interfaces(const struct dsaa_config *c, const struct complaint *to)
{
	const char *names[DSAA_IFACES_MAX];
	const struct dsaa_uips *u;
	unsigned n = 0;

	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++) {
		frr_each (dsaa_uips_list_const, &c->site[s].uips, u) {
			unsigned i = 0;

			while (i < n && strcmp(names[i], u->ifname))
				i++;
			if (i < n)
				continue;
			if (n == DSAA_IFACES_MAX)
				return complain(to,
						"site %u: uips %s %pFX: there are %u interfaces "
						"with a uips already, the most there can be",
						s, u->ifname, &u->address, n);
			names[n++] = u->ifname;
		}
	}
	return true;
}

bool dsaa_config_check(const struct dsaa_config *c, char *err, size_t errlen)
{
	const struct complaint to = { err, errlen };

	if (!check_mark_mask(c, &to))
		return false;
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		if (c->site[s].configured && !check_site(c, s, &to))
			return false;
	if (!check_logical_interfaces(c, &to) || !check_adverts(c, &to))
		return false;
	if (c->correction_port && c->correction_port == c->sync_port)
		return complain(&to,
				"correction port %u: it must not be the sync port, which is %u too",
				c->correction_port, c->sync_port);
	if (c->key_file[0] && c->key_file[0] != '/')
		return complain(&to, "sync key-file %s: the path must be absolute, starting with /",
				c->key_file);
	return true;
}
