/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration commands of the dsaa block, and the lines that "show
 * running-config" writes for it. Main thread.
 *
 * Every line is a commit of its own, also while a file is read: one wrong line
 * must not take the rest of the block with it. So commands use
 * nb_cli_apply_changes_clear_pending(), which never joins lines.
 *
 * The range of a number in a command is wider than what YANG allows, so that a
 * wrong number is answered with a sentence of the YANG module instead of
 * "Unknown command".
 */
#include <zebra.h>

#include "command.h"
#include "northbound_cli.h"
#include "printfrr.h"
#include "vrf.h"
#include "vty.h"

#include "dsaad/dsaa_config.h"
#include "dsaad/dsaa_nb.h"
#include "dsaad/dsaa_nodes.h"
#include "dsaad/dsaad.h"

#include "dsaad/dsaa_cli_clippy.c"

#define DSAA_STR	"Dual-site active/active\n"
#define SYNC_STR	"Replication of connections\n"
#define CORRECTION_STR	"Carrying packets to the site that owns their connection\n"
#define SITE_NUMBER_STR "Number of a site, 1 to 16\n"

/* ------------------------------------------------------------------ helpers */

/* Says why a line is refused, in the form that libfrr uses for a failed commit. */
static int refuse(struct vty *vty, const char *fmt, ...) PRINTFRR(2, 3);
static int refuse(struct vty *vty, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintfrr(text, sizeof(text), fmt, ap);
	va_end(ap);
	vty_out(vty, "%% Configuration failed.\n\nError type: validation\nError description: %s\n",
		text);
	return CMD_WARNING_CONFIG_FAILED;
}

/*
 * The sentence that the YANG module has for the range of a number, NULL when there is none. libyang
 * itself says it only for numbers that fit into the type.
 */
static const char *range_rule(const struct lysc_node *snode)
{
	const struct lysc_type *type = snode->nodetype == LYS_LEAFLIST ?
					       ((const struct lysc_node_leaflist *)snode)->type :
					       ((const struct lysc_node_leaf *)snode)->type;
	const struct lysc_range *range;

	switch (type->basetype) {
	case LY_TYPE_UINT8:
	case LY_TYPE_UINT16:
	case LY_TYPE_UINT32:
		range = ((const struct lysc_type_num *)type)->range;
		return range ? range->emsg : NULL;
	default:
		return NULL;
	}
}

/*
 * Checks VALUE against the YANG type of the node at XPATH (below the block).
 * Says "WORDS VALUE: the rule" when it does not fit.
 */
static bool fits(struct vty *vty, const char *words, const char *xpath, const char *value)
{
	char path[XPATH_MAXLEN];
	const struct ly_err_item *e;
	struct nb_node *node;
	const char *rule;

	snprintf(path, sizeof(path), DSAA_XPATH "%s", xpath);
	node = nb_node_find(path);
	assert(node);
	rule = range_rule(node->snode);
	ly_err_clean(ly_native_ctx, NULL);
	if (dsaa_value_fits(node->snode, value))
		return true;
	e = ly_err_last(ly_native_ctx);
	if (!rule)
		rule = e && e->msg ? e->msg : "the value is not allowed";
	refuse(vty, "%s %s: %s", words, value, rule);
	ly_err_clean(ly_native_ctx, NULL);
	return false;
}

static int apply(struct vty *vty)
{
	return nb_cli_apply_changes_clear_pending(vty, NULL);
}

/* Sets a leaf to VALUE, or back to its default or absence when NO. */
static int set_leaf(struct vty *vty, const char *words, const char *xpath, const char *value,
		    bool no)
{
	char path[XPATH_MAXLEN];

	if (!no && !fits(vty, words, xpath, value))
		return CMD_WARNING_CONFIG_FAILED;
	snprintf(path, sizeof(path), DSAA_XPATH "%s", xpath);
	nb_cli_enqueue_change(vty, path, no ? NB_OP_DESTROY : NB_OP_MODIFY, no ? NULL : value);
	return apply(vty);
}

/* Entries of a leaf-list, and whether one is VALUE. */
struct entries {
	const char *value;
	unsigned count;
	bool has;
};

static int count_entry(const struct lyd_node *dnode, void *arg)
{
	struct entries *e = arg;

	e->count++;
	if (!strcmp(yang_dnode_get_string(dnode, NULL), e->value))
		e->has = true;
	return YANG_ITER_CONTINUE;
}

/*
 * Checks max-elements of the leaf-list NAME ("./x", schema path XPATH): libyang's own sentence names no
 * value.
 */
static bool has_room(struct vty *vty, const char *words, const char *name, const char *xpath,
		     const char *value)
{
	const struct lyd_node *at = yang_dnode_get(vty->candidate_config->dnode, VTY_CURR_XPATH);
	struct entries e = { .value = value };
	char path[XPATH_MAXLEN];
	uint32_t max;

	snprintf(path, sizeof(path), DSAA_XPATH "%s", xpath);
	max = ((const struct lysc_node_leaflist *)nb_node_find(path)->snode)->max;
	if (at)
		yang_dnode_iterate(count_entry, &e, at, "%s", name);
	if (e.has || e.count < max)
		return true;
	refuse(vty, "%s %s is one too many, there are at most %u", words, value, max);
	return false;
}

/* Adds VALUE to the leaf-list NAME ("./x", schema path XPATH), or takes it out. */
static int set_leaf_list(struct vty *vty, const char *words, const char *name, const char *xpath,
			 const char *value, bool no)
{
	if (!no && (!fits(vty, words, xpath, value) || !has_room(vty, words, name, xpath, value)))
		return CMD_WARNING_CONFIG_FAILED;
	dsaa_cli_enqueue_leaf_list(vty, name, no ? NB_OP_DESTROY : NB_OP_CREATE, value);
	return apply(vty);
}

/* Refuses a prefix with host bits, and writes a right one to TEXT. */
static bool prefix_text(struct vty *vty, const char *words, const char *typed,
			char text[PREFIX_STRLEN])
{
	struct prefix p, net;

	if (!str2prefix(typed, &p)) {
		refuse(vty, "%s %s: it is not a prefix", words, typed);
		return false;
	}
	prefix_copy(&net, &p);
	apply_mask(&net);
	snprintfrr(text, PREFIX_STRLEN, "%pFX", &net);
	if (prefix_same(&p, &net))
		return true;
	refuse(vty, "%s %s: bits after the length of the prefix are set, the prefix is %s", words,
	       typed, text);
	return false;
}

/* ------------------------------------------------------------------ the block */

DEFPY_YANG_NOSH(dsaa_block, dsaa_block_cmd, "dsaa", DSAA_STR)
{
	int ret;

	nb_cli_enqueue_change(vty, DSAA_XPATH, NB_OP_CREATE, NULL);
	ret = apply(vty);
	if (ret == CMD_SUCCESS)
		VTY_PUSH_XPATH(DSAA_NODE, DSAA_XPATH);
	return ret;
}

DEFPY_YANG(no_dsaa_block, no_dsaa_block_cmd, "no dsaa", NO_STR DSAA_STR)
{
	nb_cli_enqueue_change(vty, DSAA_XPATH, NB_OP_DESTROY, NULL);
	return apply(vty);
}

void dsaa_cli_show_block(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, "!\ndsaa\n");
}

void dsaa_cli_show_block_end(struct vty *vty, const struct lyd_node *dnode)
{
	vty_out(vty, "exit\n!\n");
}

DEFPY_YANG(dsaa_cluster_id, dsaa_cluster_id_cmd, "cluster-id (0-4294967295)$id",
	   "The number that all sites of one cluster share\n"
	   "Cluster number, 1 to 4294967295\n")
{
	return set_leaf(vty, "cluster-id", "/cluster-id", id_str, false);
}

DEFPY_YANG(no_dsaa_cluster_id, no_dsaa_cluster_id_cmd, "no cluster-id [(0-4294967295)]",
	   NO_STR "The number that all sites of one cluster share\n"
		  "Cluster number\n")
{
	return set_leaf(vty, "cluster-id", "/cluster-id", NULL, true);
}

void dsaa_cli_show_cluster_id(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, " cluster-id %s\n", yang_dnode_get_string(dnode, NULL));
}

static int set_primary(struct vty *vty, const char *words, const char *site)
{
	if (!fits(vty, words, "/primary-site", site))
		return CMD_WARNING_CONFIG_FAILED;
	nb_cli_enqueue_change(vty, DSAA_XPATH "/ha-mode", NB_OP_MODIFY, "primary-up");
	nb_cli_enqueue_change(vty, DSAA_XPATH "/primary-site", NB_OP_MODIFY, site);
	return apply(vty);
}

static int set_active_active(struct vty *vty)
{
	nb_cli_enqueue_change(vty, DSAA_XPATH "/primary-site", NB_OP_DESTROY, NULL);
	nb_cli_enqueue_change(vty, DSAA_XPATH "/ha-mode", NB_OP_MODIFY, "active-active");
	return apply(vty);
}

DEFPY_YANG(dsaa_ha_mode, dsaa_ha_mode_cmd, "ha-mode <active-active|primary-up (0-4294967295)$site>",
	   "How the sites share the work\n"
	   "Every site processes traffic\n"
	   "The primary site processes all traffic while it is up\n" SITE_NUMBER_STR)
{
	return site_str ? set_primary(vty, "ha-mode primary-up", site_str) : set_active_active(vty);
}

DEFPY_YANG(no_dsaa_ha_mode, no_dsaa_ha_mode_cmd,
	   "no ha-mode [<active-active|primary-up [(0-4294967295)]>]",
	   NO_STR "How the sites share the work\n"
		  "Every site processes traffic\n"
		  "The primary site processes all traffic while it is up\n" SITE_NUMBER_STR)
{
	return set_active_active(vty);
}

DEFPY_YANG(dsaa_primary_up, dsaa_primary_up_cmd, "primary-up (0-4294967295)$site",
	   "The primary site processes all traffic while it is up\n" SITE_NUMBER_STR)
{
	return set_primary(vty, "primary-up", site_str);
}

DEFPY_YANG(no_dsaa_primary_up, no_dsaa_primary_up_cmd, "no primary-up [(0-4294967295)]",
	   NO_STR "The primary site processes all traffic while it is up\n" SITE_NUMBER_STR)
{
	return set_active_active(vty);
}

void dsaa_cli_show_ha_mode(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	if (yang_dnode_get_enum(dnode, NULL) == DSAA_HA_PRIMARY_UP)
		vty_out(vty, " ha-mode primary-up %s\n",
			yang_dnode_get_string(dnode, "../primary-site"));
	else
		vty_out(vty, " ha-mode active-active\n");
}

DEFPY_YANG(set_local_site, dsaa_local_site_cmd, "local-site (0-4294967295)$site",
	   "The site that this router belongs to\n" SITE_NUMBER_STR)
{
	return set_leaf(vty, "local-site", "/local-site", site_str, false);
}

DEFPY_YANG(no_dsaa_local_site, no_dsaa_local_site_cmd, "no local-site [(0-4294967295)]",
	   NO_STR "The site that this router belongs to\n" SITE_NUMBER_STR)
{
	return set_leaf(vty, "local-site", "/local-site", NULL, true);
}

void dsaa_cli_show_local_site(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, " local-site %s\n", yang_dnode_get_string(dnode, NULL));
}

/* ------------------------------------------------------------------ site */

DEFPY_YANG_NOSH(dsaa_site, dsaa_site_cmd, "site (0-4294967295)$site",
		"One site of the cluster\n" SITE_NUMBER_STR)
{
	char xpath[XPATH_MAXLEN];
	int ret;

	if (!fits(vty, "site", "/site/id", site_str))
		return CMD_WARNING_CONFIG_FAILED;
	snprintf(xpath, sizeof(xpath), DSAA_XPATH "/site[id='%ld']", (long)site);
	nb_cli_enqueue_change(vty, xpath, NB_OP_CREATE, NULL);
	ret = apply(vty);
	if (ret == CMD_SUCCESS)
		VTY_PUSH_XPATH(DSAA_SITE_NODE, xpath);
	return ret;
}

DEFPY_YANG(no_dsaa_site, no_dsaa_site_cmd, "no site (0-4294967295)$site",
	   NO_STR "One site of the cluster\n" SITE_NUMBER_STR)
{
	char xpath[XPATH_MAXLEN];

	if (!fits(vty, "site", "/site/id", site_str))
		return CMD_WARNING_CONFIG_FAILED;
	snprintf(xpath, sizeof(xpath), DSAA_XPATH "/site[id='%ld']", (long)site);
	nb_cli_enqueue_change(vty, xpath, NB_OP_DESTROY, NULL);
	return apply(vty);
}

void dsaa_cli_show_site(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, " site %s\n", yang_dnode_get_string(dnode, "./id"));
}

void dsaa_cli_show_site_end(struct vty *vty, const struct lyd_node *dnode)
{
	vty_out(vty, " exit\n");
}

DEFPY_YANG(dsaa_site_name, dsaa_site_name_cmd, "name WORD$name",
	   "A name for people\n"
	   "Letters, digits and _ . -, at most 31\n")
{
	if (!fits(vty, "name", "/site/name", name))
		return CMD_WARNING_CONFIG_FAILED;
	nb_cli_enqueue_change(vty, "./name", NB_OP_MODIFY, name);
	return apply(vty);
}

DEFPY_YANG(no_dsaa_site_name, no_dsaa_site_name_cmd, "no name [WORD]",
	   NO_STR "A name for people\n"
		  "The name\n")
{
	nb_cli_enqueue_change(vty, "./name", NB_OP_DESTROY, NULL);
	return apply(vty);
}

void dsaa_cli_show_site_name(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, "  name %s\n", yang_dnode_get_string(dnode, NULL));
}

DEFPY_YANG(dsaa_sync_address, dsaa_sync_address_cmd, "[no] sync-address <A.B.C.D|X:X::X:X>$address",
	   NO_STR "An address of this site on a site-sync link\n"
		  "IPv4 address\n"
		  "IPv6 address\n")
{
	char text[INET6_ADDRSTRLEN];

	snprintfrr(text, sizeof(text), "%pSU", address);
	return set_leaf_list(vty, "sync-address", "./sync-address", "/site/sync-address", text, no);
}

void dsaa_cli_show_sync_address(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, "  sync-address %s\n", yang_dnode_get_string(dnode, NULL));
}

DEFPY_YANG(dsaa_uips, dsaa_uips_cmd, "[no] uips IFNAME$ifname <A.B.C.D/M|X:X::X:X/M>$address",
	   NO_STR
	   "An address of an interface, configured while this is the local site\n" INTERFACE_STR
	   "IPv4 address with the length of its prefix\n"
	   "IPv6 address with the length of its prefix\n")
{
	char xpath[XPATH_MAXLEN];

	if (!fits(vty, "uips", "/site/uips/interface", ifname))
		return CMD_WARNING_CONFIG_FAILED;
	snprintfrr(xpath, sizeof(xpath), "./uips[interface='%s'][address='%pFX']", ifname, address);
	nb_cli_enqueue_change(vty, xpath, no ? NB_OP_DESTROY : NB_OP_CREATE, NULL);
	return apply(vty);
}

void dsaa_cli_show_uips(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, "  uips %s %s\n", yang_dnode_get_string(dnode, "./interface"),
		yang_dnode_get_string(dnode, "./address"));
}

DEFPY_YANG(dsaa_probe, dsaa_probe_cmd, "probe <A.B.C.D|X:X::X:X>$address",
	   "Where other sites look for this one through the network\n"
	   "IPv4 address\n"
	   "IPv6 address\n")
{
	nb_cli_enqueue_change(vty, "./probe", NB_OP_MODIFY, address_str);
	return apply(vty);
}

DEFPY_YANG(no_dsaa_probe, no_dsaa_probe_cmd, "no probe [<A.B.C.D|X:X::X:X>]",
	   NO_STR "Where other sites look for this one through the network\n"
		  "IPv4 address\n"
		  "IPv6 address\n")
{
	nb_cli_enqueue_change(vty, "./probe", NB_OP_DESTROY, NULL);
	return apply(vty);
}

void dsaa_cli_show_probe(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, "  probe %s\n", yang_dnode_get_string(dnode, NULL));
}

DEFPY_YANG(dsaa_nat_pool, dsaa_nat_pool_cmd, "[no] nat-pool <A.B.C.D/M|X:X::X:X/M>$prefix",
	   NO_STR "Addresses that the source NAT of this site uses\n"
		  "IPv4 prefix\n"
		  "IPv6 prefix\n")
{
	char text[PREFIX_STRLEN];

	if (!prefix_text(vty, "nat-pool", prefix_str, text))
		return CMD_WARNING_CONFIG_FAILED;
	return set_leaf_list(vty, "nat-pool", "./nat-pool", "/site/nat-pool", text, no);
}

void dsaa_cli_show_nat_pool(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, "  nat-pool %s\n", yang_dnode_get_string(dnode, NULL));
}

/* A zone that shall have a number, and the other one of the site that has it. */
struct zone_use {
	const char *name, *number, *by;
	unsigned count; /* of the others */
};

static int note_zone_use(const struct lyd_node *dnode, void *arg)
{
	const char *name = yang_dnode_get_string(dnode, "./name");
	struct zone_use *u = arg;

	if (!strcmp(name, u->name))
		return YANG_ITER_CONTINUE;
	u->count++;
	if (!strcmp(yang_dnode_get_string(dnode, "./number"), u->number))
		u->by = name;
	return YANG_ITER_CONTINUE;
}

/* The rules of YANG for all zones of the site, in a sentence with the values. */
static bool zone_is_free(struct vty *vty, const char *name, const char *number)
{
	const struct lyd_node *at = yang_dnode_get(vty->candidate_config->dnode, VTY_CURR_XPATH);
	struct zone_use u = { .name = name, .number = number };

	if (at)
		yang_dnode_iterate(note_zone_use, &u, at, "./zone");
	if (u.by)
		refuse(vty, "zone %s %s: this is the number of the zone %s", name, number, u.by);
	else if (u.count == DSAA_ZONES_MAX)
		refuse(vty, "zone %s %s is one too many, a site has at most %u", name, number,
		       DSAA_ZONES_MAX);
	return !u.by && u.count < DSAA_ZONES_MAX;
}

DEFPY_YANG(dsaa_zone, dsaa_zone_cmd, "zone NAME$name (0-4294967295)$number",
	   "A conntrack zone of the router of this site\n"
	   "Name, alike on all sites, such as that of the VRF\n"
	   "Number on this site, 1 to 65535\n")
{
	char path[XPATH_MAXLEN], words[8 + DSAA_ZONE_NAME_MAX];

	if (!fits(vty, "zone", "/site/zone/name", name))
		return CMD_WARNING_CONFIG_FAILED;
	snprintf(words, sizeof(words), "zone %s", name);
	if (!fits(vty, words, "/site/zone/number", number_str) ||
	    !zone_is_free(vty, name, number_str))
		return CMD_WARNING_CONFIG_FAILED;
	snprintf(path, sizeof(path), "./zone[name='%s']", name);
	nb_cli_enqueue_change(vty, path, NB_OP_CREATE, NULL);
	strlcat(path, "/number", sizeof(path));
	nb_cli_enqueue_change(vty, path, NB_OP_MODIFY, number_str);
	return apply(vty);
}

DEFPY_YANG(no_dsaa_zone, no_dsaa_zone_cmd, "no zone NAME$name [(0-4294967295)]",
	   NO_STR "A conntrack zone of the router of this site\n"
		  "Name\n"
		  "Number\n")
{
	char path[XPATH_MAXLEN];

	if (!fits(vty, "zone", "/site/zone/name", name))
		return CMD_WARNING_CONFIG_FAILED;
	snprintf(path, sizeof(path), "./zone[name='%s']", name);
	nb_cli_enqueue_change(vty, path, NB_OP_DESTROY, NULL);
	return apply(vty);
}

void dsaa_cli_show_zone(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, "  zone %s %s\n", yang_dnode_get_string(dnode, "./name"),
		yang_dnode_get_string(dnode, "./number"));
}

/* ------------------------------------------------------------------ sync */

/*
 * The session's port and the tunnel's must differ: the same rule as in YANG, in a sentence with
 * the value.
 */
static bool ports_differ(struct vty *vty, const char *words, long port, const char *other)
{
	const struct lyd_node *root = vty->candidate_config->dnode;
	char path[XPATH_MAXLEN];

	snprintf(path, sizeof(path), DSAA_XPATH "%s", other);
	if (!yang_dnode_exists(root, path) || port != yang_dnode_get_uint16(root, "%s", path))
		return true;
	refuse(vty, "%s %ld: the correction port must not be the sync port", words, port);
	return false;
}

DEFPY_YANG(dsaa_sync_port, dsaa_sync_port_cmd, "sync port (0-4294967295)$port",
	   SYNC_STR "TCP port of the session\n"
		    "Port, 1 to 65535\n")
{
	if (!ports_differ(vty, "sync port", port, "/correction/port"))
		return CMD_WARNING_CONFIG_FAILED;
	return set_leaf(vty, "sync port", "/sync/port", port_str, false);
}

DEFPY_YANG(no_dsaa_sync_port, no_dsaa_sync_port_cmd, "no sync port [(0-4294967295)]",
	   NO_STR SYNC_STR "TCP port of the session\n"
			   "Port\n")
{
	return set_leaf(vty, "sync port", "/sync/port", NULL, true);
}

void dsaa_cli_show_sync_port(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, " sync port %s\n", yang_dnode_get_string(dnode, NULL));
}

DEFPY_YANG(dsaa_key_file, dsaa_key_file_cmd, "sync key-file WORD$path",
	   SYNC_STR "File with the pre-shared key\n"
		    "Absolute path\n")
{
	return set_leaf(vty, "sync key-file", "/sync/key-file", path, false);
}

DEFPY_YANG(no_dsaa_key_file, no_dsaa_key_file_cmd, "no sync key-file [WORD]",
	   NO_STR SYNC_STR "File with the pre-shared key\n"
			   "Absolute path\n")
{
	return set_leaf(vty, "sync key-file", "/sync/key-file", NULL, true);
}

void dsaa_cli_show_key_file(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, " sync key-file %s\n", yang_dnode_get_string(dnode, NULL));
}

DEFPY_YANG(dsaa_insecure, dsaa_insecure_cmd, "[no] sync insecure",
	   NO_STR SYNC_STR
	   "Plain text: who reaches the sync port can change the connection table\n")
{
	return set_leaf(vty, "sync insecure", "/sync/insecure", no ? "false" : "true", false);
}

void dsaa_cli_show_insecure(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, " %ssync insecure\n", yang_dnode_get_bool(dnode, NULL) ? "" : "no ");
}

/* "icmp" for 1 and "icmp": one protocol has one name in the tree. */
static const char *protocol_word(const char *typed)
{
	int number = dsaa_protocol_number(typed);
	const char *name = number > 0 ? dsaa_protocol_name(number) : NULL;

	return name && number != IPPROTO_ICMPV6 ? name : typed;
}

DEFPY_YANG(dsaa_sync_protocol, dsaa_sync_protocol_cmd,
	   "[no$no1] sync protocol "
	   "<tcp|udp|icmp|sctp|dccp|udplite|gre|esp|ah|(0-4294967295)>$protocol [no$no2]",
	   NO_STR SYNC_STR "Replicate connections of this protocol, which is the default\n"
			   "TCP\n"
			   "UDP\n"
			   "ICMP and ICMPv6\n"
			   "SCTP\n"
			   "DCCP\n"
			   "UDP-Lite\n"
			   "GRE\n"
			   "IPsec ESP\n"
			   "IPsec AH\n"
			   "Any protocol by its number, 1 to 255\n"
			   "Do not replicate them\n")
{
	/*
	 * "sync protocol P no" is the line in the configuration, "no sync protocol P" another way to
	 * type it; so "no sync protocol P no", which frr-reload sends, takes it away.
	 */
	bool replicate = !no1 == !no2;

	if (!fits(vty, "sync protocol", "/sync/excluded-protocol", protocol))
		return CMD_WARNING_CONFIG_FAILED;
	return set_leaf_list(vty, "sync protocol", "./sync/excluded-protocol",
			     "/sync/excluded-protocol", protocol_word(protocol), replicate);
}

void dsaa_cli_show_protocol(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, " sync protocol %s no\n", yang_dnode_get_string(dnode, NULL));
}

DEFPY_YANG(dsaa_sync_delay, dsaa_sync_delay_cmd,
	   "sync delay (0-4294967295)$seconds [protocol "
	   "<tcp|udp|icmp|sctp|dccp|udplite|gre|esp|ah|(0-4294967295)>$protocol]",
	   SYNC_STR "Replicate only connections that live longer\n"
		    "Seconds, 0 to 60\n"
		    "Those of this protocol\n"
		    "TCP\n"
		    "UDP\n"
		    "ICMP and ICMPv6\n"
		    "SCTP\n"
		    "DCCP\n"
		    "UDP-Lite\n"
		    "GRE\n"
		    "IPsec ESP\n"
		    "IPsec AH\n"
		    "Any protocol by its number, 1 to 255\n")
{
	char xpath[XPATH_MAXLEN];

	if (!protocol)
		return set_leaf(vty, "sync delay", "/sync/delay", seconds_str, false);
	if (!fits(vty, "sync delay", "/sync/delay", seconds_str) ||
	    !fits(vty, "sync delay protocol", "/sync/excluded-protocol", protocol))
		return CMD_WARNING_CONFIG_FAILED;
	snprintf(xpath, sizeof(xpath), "./sync/protocol-delay[protocol='%s']/delay",
		 protocol_word(protocol));
	nb_cli_enqueue_change(vty, xpath, NB_OP_MODIFY, seconds_str);
	return apply(vty);
}

DEFPY_YANG(no_dsaa_sync_delay, no_dsaa_sync_delay_cmd,
	   "no sync delay [(0-4294967295)] [protocol "
	   "<tcp|udp|icmp|sctp|dccp|udplite|gre|esp|ah|(0-4294967295)>$protocol]",
	   NO_STR SYNC_STR "Replicate only connections that live longer\n"
			   "Seconds\n"
			   "Those of this protocol\n"
			   "TCP\n"
			   "UDP\n"
			   "ICMP and ICMPv6\n"
			   "SCTP\n"
			   "DCCP\n"
			   "UDP-Lite\n"
			   "GRE\n"
			   "IPsec ESP\n"
			   "IPsec AH\n"
			   "Any protocol by its number, 1 to 255\n")
{
	char xpath[XPATH_MAXLEN];

	if (!protocol)
		return set_leaf(vty, "sync delay", "/sync/delay", NULL, true);
	if (!fits(vty, "sync delay protocol", "/sync/excluded-protocol", protocol))
		return CMD_WARNING_CONFIG_FAILED;
	snprintf(xpath, sizeof(xpath), "./sync/protocol-delay[protocol='%s']",
		 protocol_word(protocol));
	nb_cli_enqueue_change(vty, xpath, NB_OP_DESTROY, NULL);
	return apply(vty);
}

void dsaa_cli_show_delay(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, " sync delay %s\n", yang_dnode_get_string(dnode, NULL));
}

void dsaa_cli_show_protocol_delay(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, " sync delay %s protocol %s\n", yang_dnode_get_string(dnode, "./delay"),
		yang_dnode_get_string(dnode, "./protocol"));
}

DEFPY_YANG(dsaa_no_sync, dsaa_no_sync_cmd, "[no] sync prefix <A.B.C.D/M|X:X::X:X/M>$prefix",
	   "Never replicate\n" SYNC_STR "Connections from or to these addresses\n"
	   "IPv4 prefix\n"
	   "IPv6 prefix\n")
{
	char text[PREFIX_STRLEN];

	if (!prefix_text(vty, no ? "no sync prefix" : "sync prefix", prefix_str, text))
		return CMD_WARNING_CONFIG_FAILED;
	return set_leaf_list(vty, "no sync prefix", "./sync/excluded-prefix",
			     "/sync/excluded-prefix", text, !no);
}

void dsaa_cli_show_no_sync(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, " no sync prefix %s\n", yang_dnode_get_string(dnode, NULL));
}

/* ------------------------------------------------------------------ correction */

DEFPY_YANG(dsaa_correction_interface, dsaa_correction_interface_cmd,
	   "[no] correction interface IFNAME$ifname",
	   NO_STR CORRECTION_STR "Where foreign packets are caught\n" INTERFACE_STR)
{
	return set_leaf_list(vty, "correction interface", "./correction/interface",
			     "/correction/interface", ifname, no);
}

void dsaa_cli_show_correction_interface(struct vty *vty, const struct lyd_node *dnode,
					bool defaults)
{
	vty_out(vty, " correction interface %s\n", yang_dnode_get_string(dnode, NULL));
}

DEFPY_YANG(dsaa_correction_mode, dsaa_correction_mode_cmd,
	   "correction mode <auto|kernel|nfqueue|off|observe>$mode",
	   CORRECTION_STR "Which data path is used\n"
			  "Kernel fast path where the kernel can, NFQUEUE for the rest\n"
			  "Kernel fast path, NFQUEUE for what it leaves\n"
			  "NFQUEUE only\n"
			  "No correction\n"
			  "No correction: only count what would be corrected\n")
{
	return set_leaf(vty, "correction mode", "/correction/mode", mode, false);
}

DEFPY_YANG(no_dsaa_correction_mode, no_dsaa_correction_mode_cmd,
	   "no correction mode [<auto|kernel|nfqueue|off|observe>]",
	   NO_STR CORRECTION_STR "Which data path is used\n"
				 "Kernel fast path where the kernel can, NFQUEUE for the rest\n"
				 "Kernel fast path, NFQUEUE for what it leaves\n"
				 "NFQUEUE only\n"
				 "No correction\n"
				 "No correction: only count what would be corrected\n")
{
	return set_leaf(vty, "correction mode", "/correction/mode", NULL, true);
}

void dsaa_cli_show_correction_mode(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, " correction mode %s\n", yang_dnode_get_string(dnode, NULL));
}

DEFPY_YANG(dsaa_mark_mask, dsaa_mark_mask_cmd, "correction mark-mask WORD$mask",
	   CORRECTION_STR "The bits of the conntrack mark that hold the owner\n"
			  "One run of 4 to 16 bits, as 0xff000000\n")
{
	unsigned long long value;
	char *end, text[16];

	errno = 0;
	value = strtoull(mask, &end, 0);
	if (!isdigit((unsigned char)*mask) || *end || errno || value > UINT32_MAX)
		return refuse(
			vty,
			"correction mark-mask %s: it is no number of 32 bits, such as 0xff000000",
			mask);
	snprintf(text, sizeof(text), "%llu", value);
	return set_leaf(vty, "correction mark-mask", "/correction/mark-mask", text, false);
}

DEFPY_YANG(no_dsaa_mark_mask, no_dsaa_mark_mask_cmd, "no correction mark-mask [WORD]",
	   NO_STR CORRECTION_STR "The bits of the conntrack mark that hold the owner\n"
				 "Mask\n")
{
	return set_leaf(vty, "correction mark-mask", "/correction/mark-mask", NULL, true);
}

void dsaa_cli_show_mark_mask(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, " correction mark-mask 0x%08x\n", yang_dnode_get_uint32(dnode, NULL));
}

DEFPY_YANG(dsaa_hold, dsaa_hold_cmd, "correction hold (0-4294967295)$ms",
	   CORRECTION_STR "How long a packet of unknown connection may wait for its state\n"
			  "Milliseconds, 0 to 1000\n")
{
	return set_leaf(vty, "correction hold", "/correction/hold", ms_str, false);
}

DEFPY_YANG(no_dsaa_hold, no_dsaa_hold_cmd, "no correction hold [(0-4294967295)]",
	   NO_STR CORRECTION_STR "How long a packet of unknown connection may wait for its state\n"
				 "Milliseconds\n")
{
	return set_leaf(vty, "correction hold", "/correction/hold", NULL, true);
}

void dsaa_cli_show_hold(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, " correction hold %s\n", yang_dnode_get_string(dnode, NULL));
}

DEFPY_YANG(set_correction_port, dsaa_correction_port_cmd, "correction port (0-4294967295)$port",
	   CORRECTION_STR "UDP port of the tunnel, by default the port after that of the session\n"
			  "Port, 1 to 65535\n")
{
	if (!ports_differ(vty, "correction port", port, "/sync/port"))
		return CMD_WARNING_CONFIG_FAILED;
	return set_leaf(vty, "correction port", "/correction/port", port_str, false);
}

DEFPY_YANG(no_dsaa_correction_port, no_dsaa_correction_port_cmd,
	   "no correction port [(0-4294967295)]",
	   NO_STR CORRECTION_STR "UDP port of the tunnel\n"
				 "Port\n")
{
	return set_leaf(vty, "correction port", "/correction/port", NULL, true);
}

void dsaa_cli_show_correction_port(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, " correction port %s\n", yang_dnode_get_string(dnode, NULL));
}

/* ------------------------------------------------------------------ advertise */

/*
 * Where the prefix TYPED is announced, in the VRF of this name or, without one, in the default VRF.
 * False, and said, when it is no prefix or the VRF cannot be.
 */
static bool advertise_xpath(struct vty *vty, const char *words, const char *typed, const char *vrf,
			    char *xpath, size_t len)
{
	char text[PREFIX_STRLEN];

	if (!prefix_text(vty, words, typed, text))
		return false;
	if (!vrf || !strcmp(vrf, VRF_DEFAULT_NAME)) {
		snprintf(xpath, len, DSAA_XPATH "/advertise[prefix='%s']", text);
		return true;
	}
	if (!fits(vty, "vrf", "/vrf-advertise/vrf", vrf))
		return false;
	snprintf(xpath, len, DSAA_XPATH "/vrf-advertise[vrf='%s'][prefix='%s']", vrf, text);
	return true;
}

DEFPY_YANG(dsaa_advertise, dsaa_advertise_cmd,
	   "advertise <A.B.C.D/M|X:X::X:X/M>$prefix <site (0-4294967295)$site|all> [vrf NAME$vrf]",
	   "A prefix to announce\n"
	   "IPv4 prefix\n"
	   "IPv6 prefix\n"
	   "One site is active, the others are backup\n" SITE_NUMBER_STR
	   "Every site is active\n" VRF_CMD_HELP_STR)
{
	char xpath[XPATH_MAXLEN];

	if (!advertise_xpath(vty, "advertise", prefix_str, vrf, xpath, sizeof(xpath)))
		return CMD_WARNING_CONFIG_FAILED;
	if (site_str && !fits(vty, "advertise site", "/local-site", site_str))
		return CMD_WARNING_CONFIG_FAILED;
	nb_cli_enqueue_change(vty, xpath, NB_OP_CREATE, NULL);
	strlcat(xpath, "/site", sizeof(xpath));
	nb_cli_enqueue_change(vty, xpath, NB_OP_MODIFY, site_str ? site_str : "all");
	return apply(vty);
}

DEFPY_YANG(no_dsaa_advertise, no_dsaa_advertise_cmd,
	   "no advertise <A.B.C.D/M|X:X::X:X/M>$prefix [<site (0-4294967295)|all>] [vrf NAME$vrf]",
	   NO_STR "A prefix to announce\n"
		  "IPv4 prefix\n"
		  "IPv6 prefix\n"
		  "One site is active, the others are backup\n" SITE_NUMBER_STR
		  "Every site is active\n" VRF_CMD_HELP_STR)
{
	char xpath[XPATH_MAXLEN];

	if (!advertise_xpath(vty, "no advertise", prefix_str, vrf, xpath, sizeof(xpath)))
		return CMD_WARNING_CONFIG_FAILED;
	nb_cli_enqueue_change(vty, xpath, NB_OP_DESTROY, NULL);
	return apply(vty);
}

void dsaa_cli_show_advertise(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	const char *site = yang_dnode_get_string(dnode, "./site");

	vty_out(vty, " advertise %s %s%s", yang_dnode_get_string(dnode, "./prefix"),
		strcmp(site, "all") ? "site " : "", site);
	if (yang_dnode_exists(dnode, "./vrf"))
		vty_out(vty, " vrf %s", yang_dnode_get_string(dnode, "./vrf"));
	vty_out(vty, "\n");
}

DEFPY_YANG(dsaa_advertise_tag, dsaa_advertise_tag_cmd,
	   "advertise-tag {active (0-4294967295)$active|backup (0-4294967295)$backup|drain "
	   "(0-4294967295)$drain}",
	   "The tags that tell bgpd the state of a prefix\n"
	   "Active\n"
	   "Tag, 1 to 4294967295\n"
	   "Backup\n"
	   "Tag, 1 to 4294967295\n"
	   "Drain\n"
	   "Tag, 1 to 4294967295\n")
{
	if ((active_str &&
	     !fits(vty, "advertise-tag active", "/advertise-tag/active", active_str)) ||
	    (backup_str &&
	     !fits(vty, "advertise-tag backup", "/advertise-tag/backup", backup_str)) ||
	    (drain_str && !fits(vty, "advertise-tag drain", "/advertise-tag/drain", drain_str)))
		return CMD_WARNING_CONFIG_FAILED;
	if (active_str)
		nb_cli_enqueue_change(vty, DSAA_XPATH "/advertise-tag/active", NB_OP_MODIFY,
				      active_str);
	if (backup_str)
		nb_cli_enqueue_change(vty, DSAA_XPATH "/advertise-tag/backup", NB_OP_MODIFY,
				      backup_str);
	if (drain_str)
		nb_cli_enqueue_change(vty, DSAA_XPATH "/advertise-tag/drain", NB_OP_MODIFY,
				      drain_str);
	return apply(vty);
}

DEFPY_YANG(no_dsaa_advertise_tag, no_dsaa_advertise_tag_cmd,
	   "no advertise-tag [{active (0-4294967295)|backup (0-4294967295)|drain (0-4294967295)}]",
	   NO_STR "The tags that tell bgpd the state of a prefix\n"
		  "Active\n"
		  "Tag\n"
		  "Backup\n"
		  "Tag\n"
		  "Drain\n"
		  "Tag\n")
{
	nb_cli_enqueue_change(vty, DSAA_XPATH "/advertise-tag/active", NB_OP_DESTROY, NULL);
	nb_cli_enqueue_change(vty, DSAA_XPATH "/advertise-tag/backup", NB_OP_DESTROY, NULL);
	nb_cli_enqueue_change(vty, DSAA_XPATH "/advertise-tag/drain", NB_OP_DESTROY, NULL);
	return apply(vty);
}

void dsaa_cli_show_advertise_tag(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, " advertise-tag active %s backup %s drain %s\n",
		yang_dnode_get_string(dnode, "./active"), yang_dnode_get_string(dnode, "./backup"),
		yang_dnode_get_string(dnode, "./drain"));
}

/* Where a table that a VRF wants is in use already. */
struct table_use {
	const char *table, *vrf;
	const char *by; /* the VRF that has it */
};

static int note_table_use(const struct lyd_node *dnode, void *arg)
{
	const char *vrf = yang_dnode_get_string(dnode, "./vrf");
	struct table_use *u = arg;

	if (strcmp(vrf, u->vrf) && !strcmp(yang_dnode_get_string(dnode, "./table"), u->table))
		u->by = vrf;
	return YANG_ITER_CONTINUE;
}

/*
 * Each VRF has a table of its own: the same rule as in YANG, in a sentence with the values.
 * Otherwise the prefixes of one would be announced in the other.
 */
static bool table_is_free(struct vty *vty, const char *table, const char *vrf)
{
	const struct lyd_node *root = vty->candidate_config->dnode;
	struct table_use u = { .table = table, .vrf = vrf };

	yang_dnode_iterate(note_table_use, &u, root, DSAA_XPATH "/vrf-advertise-table");
	if (strcmp(vrf, VRF_DEFAULT_NAME) &&
	    yang_dnode_exists(root, DSAA_XPATH "/advertise-table") &&
	    !strcmp(yang_dnode_get_string(root, DSAA_XPATH "/advertise-table"), table))
		u.by = VRF_DEFAULT_NAME;
	if (!u.by)
		return true;
	refuse(vty, "advertise-table %s vrf %s: this is the advertise-table of the VRF %s", table,
	       vrf, u.by);
	return false;
}

/* Sets the table of the VRF, or of the default VRF; takes it back without a TABLE. */
static int set_advertise_table(struct vty *vty, const char *table, const char *vrf)
{
	char path[XPATH_MAXLEN];

	if (table && !table_is_free(vty, table, vrf ? vrf : VRF_DEFAULT_NAME))
		return CMD_WARNING_CONFIG_FAILED;
	if (!vrf || !strcmp(vrf, VRF_DEFAULT_NAME))
		return set_leaf(vty, "advertise-table", "/advertise-table", table, !table);
	if (!fits(vty, "vrf", "/vrf-advertise-table/vrf", vrf) ||
	    (table && !fits(vty, "advertise-table", "/vrf-advertise-table/table", table)))
		return CMD_WARNING_CONFIG_FAILED;
	snprintf(path, sizeof(path), DSAA_XPATH "/vrf-advertise-table[vrf='%s']", vrf);
	nb_cli_enqueue_change(vty, path, table ? NB_OP_CREATE : NB_OP_DESTROY, NULL);
	if (table) {
		strlcat(path, "/table", sizeof(path));
		nb_cli_enqueue_change(vty, path, NB_OP_MODIFY, table);
	}
	return apply(vty);
}

DEFPY_YANG(dsaa_advertise_table, dsaa_advertise_table_cmd,
	   "advertise-table (0-4294967295)$table [vrf NAME$vrf]",
	   "The table, or instance, from which bgpd takes the prefixes\n"
	   "Table number, 1 to 65535\n" VRF_CMD_HELP_STR)
{
	return set_advertise_table(vty, table_str, vrf);
}

DEFPY_YANG(no_dsaa_advertise_table, no_dsaa_advertise_table_cmd,
	   "no advertise-table [(0-4294967295)] [vrf NAME$vrf]",
	   NO_STR "The table, or instance, from which bgpd takes the prefixes\n"
		  "Table number\n" VRF_CMD_HELP_STR)
{
	return set_advertise_table(vty, NULL, vrf);
}

void dsaa_cli_show_vrf_advertise_table(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, " advertise-table %s vrf %s\n", yang_dnode_get_string(dnode, "./table"),
		yang_dnode_get_string(dnode, "./vrf"));
}

void dsaa_cli_show_advertise_table(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, " advertise-table %s\n", yang_dnode_get_string(dnode, NULL));
}

/* ------------------------------------------------------------------ liveness */

DEFPY_YANG(dsaa_bfd, dsaa_bfd_cmd, "bfd [profile WORD$profile]",
	   "BFD watches the peers on the site-sync links\n"
	   "Use a profile of bfdd\n"
	   "Name of the profile\n")
{
	if (profile && !fits(vty, "bfd profile", "/bfd/profile", profile))
		return CMD_WARNING_CONFIG_FAILED;
	nb_cli_enqueue_change(vty, DSAA_XPATH "/bfd", NB_OP_CREATE, NULL);
	if (profile)
		nb_cli_enqueue_change(vty, DSAA_XPATH "/bfd/profile", NB_OP_MODIFY, profile);
	return apply(vty);
}

/* With the name the whole line goes, as frr-reload expects; without it only the profile. */
DEFPY_YANG(no_dsaa_bfd, no_dsaa_bfd_cmd, "no bfd [profile$profile [WORD$name]]",
	   NO_STR "BFD watches the peers on the site-sync links\n"
		  "Use no profile; with its name: no BFD\n"
		  "Name of the profile\n")
{
	nb_cli_enqueue_change(vty, profile && !name ? DSAA_XPATH "/bfd/profile" : DSAA_XPATH "/bfd",
			      NB_OP_DESTROY, NULL);
	return apply(vty);
}

void dsaa_cli_show_bfd(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	if (yang_dnode_exists(dnode, "./profile"))
		vty_out(vty, " bfd profile %s\n", yang_dnode_get_string(dnode, "./profile"));
	else
		vty_out(vty, " bfd\n");
}

DEFPY_YANG(dsaa_hold_time, dsaa_hold_time_cmd, "hold-time (0-4294967295)$ms",
	   "A peer that is silent for this long is down\n"
	   "Milliseconds, 300 to 60000\n")
{
	return set_leaf(vty, "hold-time", "/hold-time", ms_str, false);
}

DEFPY_YANG(no_dsaa_hold_time, no_dsaa_hold_time_cmd, "no hold-time [(0-4294967295)]",
	   NO_STR "A peer that is silent for this long is down\n"
		  "Milliseconds\n")
{
	return set_leaf(vty, "hold-time", "/hold-time", NULL, true);
}

void dsaa_cli_show_hold_time(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, " hold-time %s\n", yang_dnode_get_string(dnode, NULL));
}

DEFPY_YANG(dsaa_track, dsaa_track_cmd, "[no] track route <A.B.C.D/M|X:X::X:X/M>$prefix",
	   NO_STR "What this router needs to serve\n"
		  "A route; without it the other sites take over\n"
		  "IPv4 prefix\n"
		  "IPv6 prefix\n")
{
	char text[PREFIX_STRLEN];

	if (!prefix_text(vty, "track route", prefix_str, text))
		return CMD_WARNING_CONFIG_FAILED;
	return set_leaf_list(vty, "track route", "./track/route", "/track/route", text, no);
}

void dsaa_cli_show_track(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, " track route %s\n", yang_dnode_get_string(dnode, NULL));
}

DEFPY_YANG(dsaa_split_brain, dsaa_split_brain_cmd,
	   "split-brain <adopt-on-demand|drop|primary>$policy",
	   "Connections of a site that lives, but cannot be reached on the site-sync link\n"
	   "A connection is adopted when a packet of it arrives here\n"
	   "Packets of them are dropped\n"
	   "The primary site adopts them, the others drop\n")
{
	return set_leaf(vty, "split-brain", "/split-brain", policy, false);
}

DEFPY_YANG(no_dsaa_split_brain, no_dsaa_split_brain_cmd,
	   "no split-brain [<adopt-on-demand|drop|primary>]",
	   NO_STR "Connections of a site that lives, but cannot be reached on the site-sync link\n"
		  "A connection is adopted when a packet of it arrives here\n"
		  "Packets of them are dropped\n"
		  "The primary site adopts them, the others drop\n")
{
	return set_leaf(vty, "split-brain", "/split-brain", NULL, true);
}

void dsaa_cli_show_split_brain(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, " split-brain %s\n", yang_dnode_get_string(dnode, NULL));
}

DEFPY_YANG(dsaa_ruleset_mismatch, dsaa_ruleset_mismatch_cmd,
	   "ruleset-mismatch <warn|refuse-adoption>$what",
	   "A peer with other filter rules for forwarded packets\n"
	   "Is told of\n"
	   "Its connections are never adopted\n")
{
	return set_leaf(vty, "ruleset-mismatch", "/ruleset-mismatch", what, false);
}

DEFPY_YANG(no_dsaa_ruleset_mismatch, no_dsaa_ruleset_mismatch_cmd,
	   "no ruleset-mismatch [<warn|refuse-adoption>]",
	   NO_STR "A peer with other filter rules for forwarded packets\n"
		  "Is told of\n"
		  "Its connections are never adopted\n")
{
	return set_leaf(vty, "ruleset-mismatch", "/ruleset-mismatch", NULL, true);
}

void dsaa_cli_show_ruleset_mismatch(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, " ruleset-mismatch %s\n", yang_dnode_get_string(dnode, NULL));
}

/* ------------------------------------------------------------------ nodes */

static int write_block(struct vty *vty)
{
	const struct lyd_node *dnode = yang_dnode_get(running_config->dnode, DSAA_XPATH);

	if (!dnode)
		return 0;
	nb_cli_show_dnode_cmds(vty, dnode, false);
	return 1;
}

static struct cmd_node dsaa_node = {
	.name = "dsaa",
	.node = DSAA_NODE,
	.parent_node = CONFIG_NODE,
	.prompt = "%s(config-dsaa)# ",
	.config_write = write_block,
};

static struct cmd_node dsaa_site_node = {
	.name = "dsaa site",
	.node = DSAA_SITE_NODE,
	.parent_node = DSAA_NODE,
	.prompt = "%s(config-dsaa-site)# ",
};

void dsaa_cli_init(void)
{
	install_node(&dsaa_node);
	install_default(DSAA_NODE);
	install_node(&dsaa_site_node);
	install_default(DSAA_SITE_NODE);

	install_element(CONFIG_NODE, &dsaa_block_cmd);
	install_element(CONFIG_NODE, &no_dsaa_block_cmd);
	install_element(DSAA_NODE, &dsaa_cluster_id_cmd);
	install_element(DSAA_NODE, &no_dsaa_cluster_id_cmd);
	install_element(DSAA_NODE, &dsaa_ha_mode_cmd);
	install_element(DSAA_NODE, &no_dsaa_ha_mode_cmd);
	install_element(DSAA_NODE, &dsaa_primary_up_cmd);
	install_element(DSAA_NODE, &no_dsaa_primary_up_cmd);
	install_element(DSAA_NODE, &dsaa_local_site_cmd);
	install_element(DSAA_NODE, &no_dsaa_local_site_cmd);

	install_element(DSAA_NODE, &dsaa_site_cmd);
	install_element(DSAA_NODE, &no_dsaa_site_cmd);
	install_element(DSAA_SITE_NODE, &dsaa_site_name_cmd);
	install_element(DSAA_SITE_NODE, &no_dsaa_site_name_cmd);
	install_element(DSAA_SITE_NODE, &dsaa_sync_address_cmd);
	install_element(DSAA_SITE_NODE, &dsaa_uips_cmd);
	install_element(DSAA_SITE_NODE, &dsaa_probe_cmd);
	install_element(DSAA_SITE_NODE, &no_dsaa_probe_cmd);
	install_element(DSAA_SITE_NODE, &dsaa_nat_pool_cmd);
	install_element(DSAA_SITE_NODE, &dsaa_zone_cmd);
	install_element(DSAA_SITE_NODE, &no_dsaa_zone_cmd);

	install_element(DSAA_NODE, &dsaa_sync_port_cmd);
	install_element(DSAA_NODE, &no_dsaa_sync_port_cmd);
	install_element(DSAA_NODE, &dsaa_key_file_cmd);
	install_element(DSAA_NODE, &no_dsaa_key_file_cmd);
	install_element(DSAA_NODE, &dsaa_insecure_cmd);
	install_element(DSAA_NODE, &dsaa_sync_protocol_cmd);
	install_element(DSAA_NODE, &dsaa_sync_delay_cmd);
	install_element(DSAA_NODE, &no_dsaa_sync_delay_cmd);
	install_element(DSAA_NODE, &dsaa_no_sync_cmd);
	install_element(DSAA_NODE, &dsaa_track_cmd);

	install_element(DSAA_NODE, &dsaa_correction_interface_cmd);
	install_element(DSAA_NODE, &dsaa_correction_mode_cmd);
	install_element(DSAA_NODE, &no_dsaa_correction_mode_cmd);
	install_element(DSAA_NODE, &dsaa_mark_mask_cmd);
	install_element(DSAA_NODE, &no_dsaa_mark_mask_cmd);
	install_element(DSAA_NODE, &dsaa_hold_cmd);
	install_element(DSAA_NODE, &no_dsaa_hold_cmd);
	install_element(DSAA_NODE, &dsaa_correction_port_cmd);
	install_element(DSAA_NODE, &no_dsaa_correction_port_cmd);

	install_element(DSAA_NODE, &dsaa_advertise_cmd);
	install_element(DSAA_NODE, &no_dsaa_advertise_cmd);
	install_element(DSAA_NODE, &dsaa_advertise_tag_cmd);
	install_element(DSAA_NODE, &no_dsaa_advertise_tag_cmd);
	install_element(DSAA_NODE, &dsaa_advertise_table_cmd);
	install_element(DSAA_NODE, &no_dsaa_advertise_table_cmd);
	install_element(DSAA_NODE, &dsaa_bfd_cmd);
	install_element(DSAA_NODE, &no_dsaa_bfd_cmd);
	install_element(DSAA_NODE, &dsaa_hold_time_cmd);
	install_element(DSAA_NODE, &no_dsaa_hold_time_cmd);
	install_element(DSAA_NODE, &dsaa_split_brain_cmd);
	install_element(DSAA_NODE, &no_dsaa_split_brain_cmd);
	install_element(DSAA_NODE, &dsaa_ruleset_mismatch_cmd);
	install_element(DSAA_NODE, &no_dsaa_ruleset_mismatch_cmd);
}
