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

#include "dsaad/dsaa_config.h"
#include "dsaad/dsaa_correct.h"
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

/* Which packets "debug dsaa correction" shows; as typed, to be written back. */
static struct dsaa_trace_filter trace_filter;
static char trace_text[160];

static void set_filter(const struct dsaa_trace_filter *f, const char *text)
{
	trace_filter = *f;
	strlcpy(trace_text, text, sizeof(trace_text));
	dsaa_correct_trace_filter(&trace_filter);
}

static void flags_changed(void)
{
	atomic_store_explicit(&dsaa_debug_flags, debug_terminal | debug_config,
			      memory_order_relaxed);
	dsaa_correct_trace_on(DSAA_DEBUG(DSAA_DEBUG_CORRECTION));
}

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
      NO_STR DEBUG_STR "Dual-site active/active\n"
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
	if (flags & DSAA_DEBUG_CORRECTION)
		set_filter(&(struct dsaa_trace_filter){ 0 }, "");
	flags_changed();
	return CMD_SUCCESS;
}

/* An address as typed; "any" leaves *A empty. */
static void filter_address(struct dsaa_addr *a, const char *typed)
{
	a->family = inet_pton(AF_INET, typed, a->bytes) == 1  ? 4 :
		    inet_pton(AF_INET6, typed, a->bytes) == 1 ? 6 :
								0;
}

static int filter_port(const char *typed)
{
	return strcmp(typed, "any") ? atoi(typed) : -1;
}

DEFPY(debug_dsaa_packets, debug_dsaa_packets_cmd,
      "debug dsaa correction "
      "<any|tcp|udp|icmp|icmpv6|sctp|dccp|udplite|gre|esp|ah|(1-255)>$protocol "
      "<any|A.B.C.D|X:X::X:X>$src <any|(0-65535)>$sport <any|A.B.C.D|X:X::X:X>$dst "
      "<any|(0-65535)>$dport",
      DEBUG_STR "Dual-site active/active\n"
		"Carrying packets to the site that owns their connection\n"
		"Any protocol\n"
		"TCP\n"
		"UDP\n"
		"ICMP\n"
		"ICMPv6\n"
		"SCTP\n"
		"DCCP\n"
		"UDP-Lite\n"
		"GRE\n"
		"IPsec ESP\n"
		"IPsec AH\n"
		"Protocol by its number\n"
		"Any source\n"
		"Source address; packets the other way are shown, too\n"
		"Source address; packets the other way are shown, too\n"
		"Any source port\n"
		"Source port\n"
		"Any destination\n"
		"Destination address\n"
		"Destination address\n"
		"Any destination port\n"
		"Destination port\n")
{
	struct dsaa_trace_filter f = { .set = true };
	char text[sizeof(trace_text)];

	f.protocol = strcmp(protocol, "any") ? dsaa_protocol_number(protocol) : 0;
	filter_address(&f.src, src);
	filter_address(&f.dst, dst);
	if (f.src.family && f.dst.family && f.src.family != f.dst.family) {
		vty_out(vty, "%% %s and %s are not of one family\n", src, dst);
		return CMD_WARNING;
	}
	f.sport = filter_port(sport);
	f.dport = filter_port(dport);
	snprintf(text, sizeof(text), " %s %s %s %s %s", protocol, src, sport, dst, dport);
	set_filter(&f, text);
	debug_set(vty->node == CONFIG_NODE ? &debug_config : &debug_terminal, DSAA_DEBUG_CORRECTION,
		  true);
	flags_changed();
	return CMD_SUCCESS;
}

static int show_debugging(struct vty *vty)
{
	vty_out(vty, "DSAA debugging status:\n");
	for (size_t i = 0; i < array_size(debugs); i++)
		if (DSAA_DEBUG(debugs[i].flag))
			vty_out(vty, "  %s debugging is on%s\n", debugs[i].text,
				debugs[i].flag == DSAA_DEBUG_CORRECTION && trace_text[0] ?
					trace_text :
					"");
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
	if (debug_config == DSAA_DEBUG_ALL && !trace_text[0]) {
		vty_out(vty, "debug dsaa all\n");
		return 1;
	}
	for (size_t i = 0; i < array_size(debugs); i++)
		if (debug_config & debugs[i].flag)
			vty_out(vty, "debug dsaa %s%s\n", debugs[i].name,
				debugs[i].flag == DSAA_DEBUG_CORRECTION ? trace_text : "");
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
	install_element(ENABLE_NODE, &debug_dsaa_packets_cmd);
	install_element(CONFIG_NODE, &debug_dsaa_packets_cmd);
	install_element(ENABLE_NODE, &show_debugging_all_cmd);
	install_element(ENABLE_NODE, &show_debugging_dsaa_cmd);
}
