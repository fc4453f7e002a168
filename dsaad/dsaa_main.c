/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dsaad: start, signals and end of the daemon. Main thread.
 */
#include <zebra.h>

#include "dsaad/dsaa_compat.h"
#include "command.h"
#include "filter.h"
#include "getopt.h"
#include "if.h"
#include "libfrr.h"
#include "log.h"
#include "northbound.h"
#include "privs.h"
#include "sigevent.h"
#include "vrf.h"
#include <lib/version.h>

extern const struct frr_yang_module_info frr_dsaad_info;
void dsaa_vty_init(void);

struct event_loop *master;

static zebra_capabilities_t dsaa_caps[] = { ZCAP_NET_ADMIN, ZCAP_NET_RAW };

struct zebra_privs_t dsaa_privs = {
	.user = FRR_USER,
	.group = FRR_GROUP,
	.vty_group = VTY_GROUP,
	.caps_p = dsaa_caps,
	.cap_num_p = array_size(dsaa_caps),
	.cap_num_i = 0,
};

static struct option longopts[] = { { 0 } };

static void dsaa_sigterm(void)
{
	zlog_notice("Terminating on signal");
	frr_fini();
	exit(0);
}

static void dsaa_sigusr1(void)
{
	zlog_rotate();
}

static struct frr_signal_t dsaa_signals[] = {
	{ .signal = SIGUSR1, .handler = &dsaa_sigusr1 },
	{ .signal = SIGINT, .handler = &dsaa_sigterm },
	{ .signal = SIGTERM, .handler = &dsaa_sigterm },
};

static const struct frr_yang_module_info *const dsaa_yang_modules[] = {
	&frr_filter_info,
	&frr_interface_info,
	&frr_vrf_info,
	&frr_dsaad_info,
};

/* clang-format off */
FRR_DAEMON_INFO(dsaad, DSAA,
	.vty_port = 2699,
	.proghelp = "Dual-site active/active: one stateful firewall, all sites active.",
	.signals = dsaa_signals,
	.n_signals = array_size(dsaa_signals),
	.privs = &dsaa_privs,
	.yang_modules = dsaa_yang_modules,
	.n_yang_modules = array_size(dsaa_yang_modules),
);
/* clang-format on */

int main(int argc, char **argv)
{
	frr_preinit(&dsaad_di, argc, argv);
	frr_opt_add("", longopts, "");
	for (;;) {
		int opt = frr_getopt(argc, argv, NULL);

		if (opt == EOF)
			break;
		if (opt != 0)
			frr_help_exit(1);
	}

	master = frr_init();
	vrf_init(NULL, NULL, NULL, NULL);
	dsaa_vty_init();

	frr_config_fork();
	frr_run(master);
	return 0;
}
