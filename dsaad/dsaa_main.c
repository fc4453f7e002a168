/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dsaad: start, signals and end of the daemon. Main thread.
 *
 * libfrr forks into the background in frr_config_fork(), and threads do not
 * survive a fork: so everything that has a thread or a socket of its own
 * starts in the first event of the main loop, which runs after it, and before
 * the configuration is read.
 *
 * A clean stop takes back all that dsaad gave to others, in the order that
 * loses the least: routes first, so that traffic goes elsewhere, then the
 * session, the rules and the addresses. With --retain, and after a crash, all
 * but the session stays, and the next start takes it over.
 */
#include <zebra.h>

#include <fcntl.h>
#include <linux/capability.h>

#include <lib/version.h>
#include "command.h"
#include "filter.h"
#include "getopt.h"
#include "libfrr.h"
#include "log.h"
#include "privs.h"
#include "sigevent.h"
#include "vrf.h"
#include "vty.h"

#include "dsaad/dsaa_confine.h"
#include "dsaad/dsaa_debug.h"
#include "dsaad/dsaa_errors.h"
#include "dsaad/dsaad.h"

struct event_loop *master;

/* Addresses, rules and conntrack; raw sockets for probes; ports below 1024 if so configured. */
static zebra_capabilities_t dsaa_caps[] = { ZCAP_NET_ADMIN, ZCAP_NET_RAW, ZCAP_BIND };
/* the same as the kernel numbers them, for dsaa_confine() */
static const uint64_t kept_caps = UINT64_C(1) << CAP_NET_ADMIN | UINT64_C(1) << CAP_NET_RAW |
				  UINT64_C(1) << CAP_NET_BIND_SERVICE;

struct zebra_privs_t dsaa_privs = {
	.user = FRR_USER,
	.group = FRR_GROUP,
	.vty_group = VTY_GROUP,
	.caps_p = dsaa_caps,
	.cap_num_p = array_size(dsaa_caps),
	.cap_num_i = 0,
};

int dsaa_tun_device_fd = -1;

static bool retain;
static char unconfined[80]; /* what could not be given up */
static struct event *start_event;

enum { OPTION_SWEEP = 5000 }; /* above those of libfrr */

static const struct option longopts[] = {
	{ "retain", no_argument, NULL, 'r' },
	{ "sweep", optional_argument, NULL, OPTION_SWEEP },
	{ 0 },
};

/* ------------------------------------------------------------------ signals */

static struct frr_daemon_info dsaad_di;

static void dsaa_sighup(void)
{
	zlog_info("SIGHUP received");
	vty_read_config(NULL, dsaad_di.config_file, config_default);
}

static void dsaa_sigterm(void)
{
	zlog_notice("terminating on signal%s", retain ? ", addresses and rules stay" : "");
	if (!retain)
		dsaa_advertise_withdraw_all();
	dsaa_probe_stop();
	dsaa_track_stop();
	dsaa_compare_stop();
	dsaa_bfd_stop();
	dsaa_sync_stop();
	if (!retain) {
		dsaa_correct_stop();
		dsaa_uips_remove_all();
	}
	dsaa_zebra_stop();
	dsaa_config_end();
	vrf_terminate();
	frr_fini();
	exit(0);
}

static void dsaa_sigusr1(void)
{
	zlog_rotate();
}

static struct frr_signal_t dsaa_signals[] = {
	{ .signal = SIGHUP, .handler = &dsaa_sighup },
	{ .signal = SIGUSR1, .handler = &dsaa_sigusr1 },
	{ .signal = SIGINT, .handler = &dsaa_sigterm },
	{ .signal = SIGTERM, .handler = &dsaa_sigterm },
};

/* ------------------------------------------------------------------ start */

static const struct frr_yang_module_info *const dsaa_yang_modules[] = {
	&frr_filter_info,
	&frr_interface_info,
	&frr_vrf_info,
	&frr_dsaad_info,
};

/* clang-format off */
FRR_DAEMON_INFO(dsaad, DSAA,
	.vty_port = 2699,
	.proghelp = "Dual-site active/active: several routers as one stateful firewall.",
	.signals = dsaa_signals,
	.n_signals = array_size(dsaa_signals),
	.privs = &dsaa_privs,
	.yang_modules = dsaa_yang_modules,
	.n_yang_modules = array_size(dsaa_yang_modules),
);
/* clang-format on */

static void dsaa_start(struct event *e)
{
	if (unconfined[0])
		flog_warn(EC_DSAA_CONFINE, "dsaad could do more than it needs to: %s", unconfined);
	dsaa_sync_start();
	dsaa_probe_init();
	dsaa_correct_start();
	dsaa_config_changed();
}

static void dsaa_options(int argc, char **argv)
{
	frr_opt_add(
		"r", longopts,
		"  -r, --retain       Keep addresses, rules and tunnel at the end\n"
		"      --sweep[=DIR]  Only remove what a dsaad that is gone left (DIR: bpffs)\n");
	for (;;) {
		int opt = frr_getopt(argc, argv, NULL);

		if (opt == EOF)
			return;
		switch (opt) {
		case 0:
			break;
		case 'r':
			retain = true;
			break;
		case OPTION_SWEEP:
			exit(dsaa_sweep(optarg));
		default:
			frr_help_exit(1);
		}
	}
}

int main(int argc, char **argv)
{
	frr_preinit(&dsaad_di, argc, argv);
	dsaa_options(argc, argv);
	dsaa_tun_device_fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	dsaa_correct_load();
	dsaa_confine(kept_caps, unconfined, sizeof(unconfined));

	master = frr_init();
	/* the first event of all: what others tell the engine before it is there is lost */
	event_add_event(master, dsaa_start, NULL, 0, &start_event);
	dsaa_errors_init();
	dsaa_config_init();
	dsaa_zebra_init();
	dsaa_bfd_init();
	dsaa_cli_init();
	dsaa_vty_init();
	dsaa_debug_init();

	frr_config_fork();
	frr_run(master);
	return 0;
}
