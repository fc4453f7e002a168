/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vtysh's side of dsaad's nodes. patch-vtysh.py includes this text into vtysh.c ahead of
 * vtysh_init_vty(), because leaving a node is a static function there. The commands that enter
 * a node stand here, with their words and help from the dsaad binary; all others come from there
 * whole (dsaad-commands.py).
 */
#include "dsaad/dsaa_nodes.h"
#include "vtysh/dsaad_commands.h"

void vtysh_dsaad_install_commands(void);

static struct cmd_node vtysh_dsaa_node = {
	.name = "dsaa",
	.node = DSAA_NODE,
	.parent_node = CONFIG_NODE,
	.prompt = "%s(config-dsaa)# ",
};

static struct cmd_node vtysh_dsaa_site_node = {
	.name = "dsaa site",
	.node = DSAA_SITE_NODE,
	.parent_node = DSAA_NODE,
	.prompt = "%s(config-dsaa-site)# ",
};

DEFUNSH(VTYSH_DSAAD, vtysh_dsaa, vtysh_dsaa_cmd, dsaa_block_cmd_STRING, dsaa_block_cmd_DOC)
{
	vty->node = DSAA_NODE;
	return CMD_SUCCESS;
}

DEFUNSH(VTYSH_DSAAD, vtysh_dsaa_site, vtysh_dsaa_site_cmd, dsaa_site_cmd_STRING, dsaa_site_cmd_DOC)
{
	vty->node = DSAA_SITE_NODE;
	return CMD_SUCCESS;
}

DEFUNSH(VTYSH_DSAAD, vtysh_exit_dsaa, vtysh_exit_dsaa_cmd, "exit",
	"Exit current mode and down to previous mode\n")
{
	return vtysh_exit(vty);
}

DEFUNSH(VTYSH_DSAAD, vtysh_quit_dsaa, vtysh_quit_dsaa_cmd, "quit",
	"Exit current mode and down to previous mode\n")
{
	return vtysh_exit(vty);
}

/* Installs dsaad's nodes and commands, after all of FRR's. */
static void vtysh_dsaad_init(void)
{
	install_node(&vtysh_dsaa_node);
	install_element(DSAA_NODE, &vtysh_exit_dsaa_cmd);
	install_element(DSAA_NODE, &vtysh_quit_dsaa_cmd);
	install_element(DSAA_NODE, &vtysh_end_all_cmd);
	install_element(CONFIG_NODE, &vtysh_dsaa_cmd);

	install_node(&vtysh_dsaa_site_node);
	install_element(DSAA_SITE_NODE, &vtysh_exit_dsaa_cmd);
	install_element(DSAA_SITE_NODE, &vtysh_quit_dsaa_cmd);
	install_element(DSAA_SITE_NODE, &vtysh_end_all_cmd);
	install_element(DSAA_NODE, &vtysh_dsaa_site_cmd);

	vtysh_dsaad_install_commands();
}
