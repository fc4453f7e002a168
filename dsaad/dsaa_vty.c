/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The dsaa block's commands and northbound callbacks. Main thread.
 */
#include <zebra.h>

#include "dsaad/dsaa_compat.h"
#include "dsaad/dsaa_nodes.h"
#include "command.h"
#include "json.h"
#include "northbound.h"
#include "northbound_cli.h"
#include "vty.h"

extern const struct frr_yang_module_info frr_dsaad_info;
void dsaa_vty_init(void);

#include "dsaad/dsaa_vty_clippy.c"

#define DSAA_XPATH "/frr-dsaad:dsaad/dsaa"

DEFPY_YANG_NOSH(dsaa_block, dsaa_block_cmd, "dsaa", "Dual-site active/active\n")
{
	int ret;

	nb_cli_enqueue_change(vty, DSAA_XPATH, NB_OP_CREATE, NULL);
	ret = nb_cli_apply_changes(vty, NULL);
	if (ret == CMD_SUCCESS)
		VTY_PUSH_XPATH(DSAA_NODE, DSAA_XPATH);
	return ret;
}

DEFPY_YANG(no_dsaa_block, no_dsaa_block_cmd, "no dsaa", NO_STR "Dual-site active/active\n")
{
	nb_cli_enqueue_change(vty, DSAA_XPATH, NB_OP_DESTROY, NULL);
	return nb_cli_apply_changes(vty, NULL);
}

DEFPY_YANG(dsaa_cluster_id, dsaa_cluster_id_cmd, "[no] cluster-id (1-4294967295)$id",
	   NO_STR "The number that all sites of one cluster share\n"
		  "Cluster number\n")
{
	nb_cli_enqueue_change(vty, "./cluster-id", no ? NB_OP_DESTROY : NB_OP_MODIFY, id_str);
	return nb_cli_apply_changes(vty, NULL);
}

DEFPY_YANG_NOSH(dsaa_site, dsaa_site_cmd, "site (1-16)$id",
		"One site of the cluster\n"
		"Site number\n")
{
	char xpath[XPATH_MAXLEN];
	int ret;

	snprintf(xpath, sizeof(xpath), DSAA_XPATH "/site[id='%s']", id_str);
	nb_cli_enqueue_change(vty, xpath, NB_OP_CREATE, NULL);
	ret = nb_cli_apply_changes(vty, NULL);
	if (ret == CMD_SUCCESS)
		VTY_PUSH_XPATH(DSAA_SITE_NODE, xpath);
	return ret;
}

DEFPY_YANG(no_dsaa_site, no_dsaa_site_cmd, "no site (1-16)$id",
	   NO_STR "One site of the cluster\n"
		  "Site number\n")
{
	char xpath[XPATH_MAXLEN];

	snprintf(xpath, sizeof(xpath), DSAA_XPATH "/site[id='%s']", id_str);
	nb_cli_enqueue_change(vty, xpath, NB_OP_DESTROY, NULL);
	return nb_cli_apply_changes(vty, NULL);
}

DEFPY_YANG(dsaa_site_name, dsaa_site_name_cmd, "[no] name WORD$name",
	   NO_STR "A name for people\n"
		  "Name\n")
{
	nb_cli_enqueue_change(vty, "./name", no ? NB_OP_DESTROY : NB_OP_MODIFY, name);
	return nb_cli_apply_changes(vty, NULL);
}

DEFPY(show_dsaa, show_dsaa_cmd, "show dsaa [json]$json",
      SHOW_STR "Dual-site active/active\n" JSON_STR)
{
	const struct lyd_node *dnode = yang_dnode_get(running_config->dnode, DSAA_XPATH);
	uint32_t id = 0;

	if (dnode && yang_dnode_exists(dnode, "./cluster-id"))
		id = yang_dnode_get_uint32(dnode, "./cluster-id");
	if (json) {
		struct json_object *o = json_object_new_object();

		json_object_int_add(o, "clusterId", id);
		vty_json(vty, o);
	} else {
		vty_out(vty, "Cluster %u\n", id);
	}
	return CMD_SUCCESS;
}

static int dsaa_nb_create(struct nb_cb_create_args *args)
{
	return NB_OK;
}

static int dsaa_nb_modify(struct nb_cb_modify_args *args)
{
	return NB_OK;
}

static int dsaa_nb_destroy(struct nb_cb_destroy_args *args)
{
	return NB_OK;
}

static void dsaa_block_show(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, "!\ndsaa\n");
}

static void dsaa_block_show_end(struct vty *vty, const struct lyd_node *dnode)
{
	vty_out(vty, "exit\n!\n");
}

static void dsaa_cluster_id_show(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, " cluster-id %s\n", yang_dnode_get_string(dnode, NULL));
}

static void dsaa_site_show(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, " site %s\n", yang_dnode_get_string(dnode, "./id"));
}

static void dsaa_site_show_end(struct vty *vty, const struct lyd_node *dnode)
{
	vty_out(vty, " exit\n");
}

static void dsaa_site_name_show(struct vty *vty, const struct lyd_node *dnode, bool defaults)
{
	vty_out(vty, "  name %s\n", yang_dnode_get_string(dnode, NULL));
}

/* clang-format off */
const struct frr_yang_module_info frr_dsaad_info = {
	.name = "frr-dsaad",
	.nodes = {
		{
			.xpath = DSAA_XPATH,
			.cbs = {
				.create = dsaa_nb_create,
				.destroy = dsaa_nb_destroy,
				.cli_show = dsaa_block_show,
				.cli_show_end = dsaa_block_show_end,
			},
		},
		{
			.xpath = DSAA_XPATH "/cluster-id",
			.cbs = {
				.modify = dsaa_nb_modify,
				.destroy = dsaa_nb_destroy,
				.cli_show = dsaa_cluster_id_show,
			},
		},
		{
			.xpath = DSAA_XPATH "/site",
			.cbs = {
				.create = dsaa_nb_create,
				.destroy = dsaa_nb_destroy,
				.cli_show = dsaa_site_show,
				.cli_show_end = dsaa_site_show_end,
			},
		},
		{
			.xpath = DSAA_XPATH "/site/name",
			.cbs = {
				.modify = dsaa_nb_modify,
				.destroy = dsaa_nb_destroy,
				.cli_show = dsaa_site_name_show,
			},
		},
		{
			.xpath = NULL,
		},
	},
};
/* clang-format on */

static int dsaa_config_write(struct vty *vty)
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
	.config_write = dsaa_config_write,
};

static struct cmd_node dsaa_site_node = {
	.name = "dsaa site",
	.node = DSAA_SITE_NODE,
	.parent_node = DSAA_NODE,
	.prompt = "%s(config-dsaa-site)# ",
};

/* Installs the nodes and commands. */
void dsaa_vty_init(void)
{
	install_node(&dsaa_node);
	install_default(DSAA_NODE);
	install_node(&dsaa_site_node);
	install_default(DSAA_SITE_NODE);
	install_element(CONFIG_NODE, &dsaa_block_cmd);
	install_element(CONFIG_NODE, &no_dsaa_block_cmd);
	install_element(DSAA_NODE, &dsaa_cluster_id_cmd);
	install_element(DSAA_NODE, &dsaa_site_cmd);
	install_element(DSAA_NODE, &no_dsaa_site_cmd);
	install_element(DSAA_SITE_NODE, &dsaa_site_name_cmd);
	install_element(VIEW_NODE, &show_dsaa_cmd);
}
