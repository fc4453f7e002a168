/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is logged for debugging. A flag that was set in the configuration is
 * written back to it; one that was set in the enable node ends with the
 * daemon. The commands belong to the main thread, the flags in force
 * (dsaa_debug_flags) are read by all.
 */
#include <zebra.h>

#include "command.h"
#include "vty.h"

#include "dsaad/dsaa_debug.h"
#include "dsaad/dsaad.h"

#include "dsaad/dsaa_debug_clippy.c"

_Atomic uint32_t dsaa_debug_flags;

static uint32_t debug_terminal, debug_config;

static const struct {
	const char *name;
	const char *text;
	uint32_t flag;
} debugs[] = {
	{ "sync", "Sessions with the other sites", DSAA_DEBUG_SYNC },
	{ "conntrack", "Connection tracking", DSAA_DEBUG_CONNTRACK },
	{ "correction", "Correction", DSAA_DEBUG_CORRECTION },
	{ "routing", "Routes, addresses and liveness", DSAA_DEBUG_ROUTING },
	{ "config", "Configuration", DSAA_DEBUG_CONFIG },
};

static uint32_t debug_flag(const char *name)
{
	for (size_t i = 0; i < array_size(debugs); i++)
		if (!strcmp(name, debugs[i].name))
			return debugs[i].flag;
	return DSAA_DEBUG_ALL;
}

static void debug_set(uint32_t *which, uint32_t flags, bool on)
{
	*which = on ? *which | flags : *which & ~flags;
}

DEFPY(debug_dsaa, debug_dsaa_cmd,
      "[no] debug dsaa <all|sync|conntrack|correction|routing|config>$what",
      NO_STR DEBUG_STR
      "Dual-site active/active\n"
      "Everything\n"
      "Sessions with the other sites\n"
      "Connection tracking\n"
      "Carrying packets to the site that owns their connection\n"
      "Routes, addresses and liveness\n"
      "Configuration\n")
{
	uint32_t flags = debug_flag(what);

	/* What is switched off is off, wherever it was switched on. */
	if (vty->node == CONFIG_NODE || no)
		debug_set(&debug_config, flags, !no);
	if (vty->node != CONFIG_NODE || no)
		debug_set(&debug_terminal, flags, !no);
	atomic_store_explicit(&dsaa_debug_flags, debug_terminal | debug_config,
			      memory_order_relaxed);
	return CMD_SUCCESS;
}

static int show_debugging(struct vty *vty)
{
	vty_out(vty, "DSAA debugging status:\n");
	for (size_t i = 0; i < array_size(debugs); i++)
		if (DSAA_DEBUG(debugs[i].flag))
			vty_out(vty, "  %s debugging is on\n", debugs[i].text);
	cmd_show_lib_debugs(vty);
	return CMD_SUCCESS;
}

/* vtysh has "show debugging" of its own and asks every daemon. */
DEFPY_NOSH(show_debugging_all, show_debugging_all_cmd, "show debugging", SHOW_STR DEBUG_STR)
{
	return show_debugging(vty);
}

DEFPY(show_debugging_dsaa, show_debugging_dsaa_cmd, "show debugging dsaa",
      SHOW_STR DEBUG_STR "Dual-site active/active\n")
{
	return show_debugging(vty);
}

static int write_debug(struct vty *vty)
{
	if (debug_config == DSAA_DEBUG_ALL) {
		vty_out(vty, "debug dsaa all\n");
		return 1;
	}
	for (size_t i = 0; i < array_size(debugs); i++)
		if (debug_config & debugs[i].flag)
			vty_out(vty, "debug dsaa %s\n", debugs[i].name);
	return debug_config != 0;
}

static struct cmd_node debug_node = {
	.name = "debug",
	.node = DEBUG_NODE,
	.prompt = "",
	.config_write = write_debug,
};

void dsaa_debug_init(void)
{
	install_node(&debug_node);
	install_element(ENABLE_NODE, &debug_dsaa_cmd);
	install_element(CONFIG_NODE, &debug_dsaa_cmd);
	install_element(ENABLE_NODE, &show_debugging_all_cmd);
	install_element(ENABLE_NODE, &show_debugging_dsaa_cmd);
}
