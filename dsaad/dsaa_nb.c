/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which callback serves which node of module frr-dsaad. No other code is here.
 */
#include <zebra.h>

#include "dsaad/dsaa_nb.h"
#include "dsaad/dsaad.h"

/* clang-format off */
const struct frr_yang_module_info frr_dsaad_info = {
	.name = "frr-dsaad",
	.nodes = {
		{
			.xpath = DSAA_XPATH,
			.cbs = {
				.create = dsaa_nb_create,
				.destroy = dsaa_nb_block_destroy,
				.pre_validate = dsaa_nb_pre_validate,
				.apply_finish = dsaa_nb_apply_finish,
				.cli_show = dsaa_cli_show_block,
				.cli_show_end = dsaa_cli_show_block_end,
			},
		},
		{
			.xpath = DSAA_XPATH "/cluster-id",
			.cbs = {
				.modify = dsaa_nb_modify,
				.destroy = dsaa_nb_destroy,
				.cli_show = dsaa_cli_show_cluster_id,
			},
		},
		{
			.xpath = DSAA_XPATH "/ha-mode",
			.cbs = {
				.modify = dsaa_nb_modify,
				.cli_show = dsaa_cli_show_ha_mode,
			},
		},
		{
			.xpath = DSAA_XPATH "/primary-site",
			.cbs = {
				.modify = dsaa_nb_modify,
				.destroy = dsaa_nb_destroy,
			},
		},
		{
			.xpath = DSAA_XPATH "/local-site",
			.cbs = {
				.modify = dsaa_nb_modify,
				.destroy = dsaa_nb_destroy,
				.cli_show = dsaa_cli_show_local_site,
			},
		},
		{
			.xpath = DSAA_XPATH "/site",
			.cbs = {
				.create = dsaa_nb_create,
				.destroy = dsaa_nb_destroy,
				.cli_show = dsaa_cli_show_site,
				.cli_show_end = dsaa_cli_show_site_end,
			},
		},
		{
			.xpath = DSAA_XPATH "/site/name",
			.cbs = {
				.modify = dsaa_nb_modify,
				.destroy = dsaa_nb_destroy,
				.cli_show = dsaa_cli_show_site_name,
			},
		},
		{
			.xpath = DSAA_XPATH "/site/sync-address",
			.cbs = {
				.create = dsaa_nb_create,
				.destroy = dsaa_nb_destroy,
				.cli_show = dsaa_cli_show_sync_address,
			},
		},
		{
			.xpath = DSAA_XPATH "/site/uips",
			.cbs = {
				.create = dsaa_nb_create,
				.destroy = dsaa_nb_destroy,
				.cli_show = dsaa_cli_show_uips,
			},
		},
		{
			.xpath = DSAA_XPATH "/site/probe",
			.cbs = {
				.modify = dsaa_nb_modify,
				.destroy = dsaa_nb_destroy,
				.cli_show = dsaa_cli_show_probe,
			},
		},
		{
			.xpath = DSAA_XPATH "/site/nat-pool",
			.cbs = {
				.create = dsaa_nb_create,
				.destroy = dsaa_nb_destroy,
				.cli_show = dsaa_cli_show_nat_pool,
			},
		},
		{
			.xpath = DSAA_XPATH "/site/zone",
			.cbs = {
				.create = dsaa_nb_create,
				.destroy = dsaa_nb_destroy,
				.cli_show = dsaa_cli_show_zone,
			},
		},
		{
			.xpath = DSAA_XPATH "/site/zone/number",
			.cbs = {
				.modify = dsaa_nb_modify,
			},
		},
		{
			.xpath = DSAA_XPATH "/sync/port",
			.cbs = {
				.modify = dsaa_nb_modify,
				.cli_show = dsaa_cli_show_sync_port,
			},
		},
		{
			.xpath = DSAA_XPATH "/sync/key-file",
			.cbs = {
				.modify = dsaa_nb_modify,
				.destroy = dsaa_nb_destroy,
				.cli_show = dsaa_cli_show_key_file,
			},
		},
		{
			.xpath = DSAA_XPATH "/sync/insecure",
			.cbs = {
				.modify = dsaa_nb_modify,
				.cli_show = dsaa_cli_show_insecure,
			},
		},
		{
			.xpath = DSAA_XPATH "/sync/excluded-protocol",
			.cbs = {
				.create = dsaa_nb_create,
				.destroy = dsaa_nb_destroy,
				.cli_show = dsaa_cli_show_protocol,
			},
		},
		{
			.xpath = DSAA_XPATH "/sync/delay",
			.cbs = {
				.modify = dsaa_nb_modify,
				.cli_show = dsaa_cli_show_delay,
			},
		},
		{
			.xpath = DSAA_XPATH "/sync/protocol-delay",
			.cbs = {
				.create = dsaa_nb_create,
				.destroy = dsaa_nb_destroy,
				.cli_show = dsaa_cli_show_protocol_delay,
			},
		},
		{
			.xpath = DSAA_XPATH "/sync/protocol-delay/delay",
			.cbs = {
				.modify = dsaa_nb_modify,
			},
		},
		{
			.xpath = DSAA_XPATH "/sync/excluded-prefix",
			.cbs = {
				.create = dsaa_nb_create,
				.destroy = dsaa_nb_destroy,
				.cli_show = dsaa_cli_show_no_sync,
			},
		},
		{
			.xpath = DSAA_XPATH "/correction/interface",
			.cbs = {
				.create = dsaa_nb_create,
				.destroy = dsaa_nb_destroy,
				.cli_show = dsaa_cli_show_correction_interface,
			},
		},
		{
			.xpath = DSAA_XPATH "/correction/mode",
			.cbs = {
				.modify = dsaa_nb_modify,
				.cli_show = dsaa_cli_show_correction_mode,
			},
		},
		{
			.xpath = DSAA_XPATH "/correction/mark-mask",
			.cbs = {
				.modify = dsaa_nb_modify,
				.cli_show = dsaa_cli_show_mark_mask,
			},
		},
		{
			.xpath = DSAA_XPATH "/correction/hold",
			.cbs = {
				.modify = dsaa_nb_modify,
				.cli_show = dsaa_cli_show_hold,
			},
		},
		{
			.xpath = DSAA_XPATH "/correction/port",
			.cbs = {
				.modify = dsaa_nb_modify,
				.destroy = dsaa_nb_destroy,
				.cli_show = dsaa_cli_show_correction_port,
			},
		},
		{
			.xpath = DSAA_XPATH "/advertise",
			.cbs = {
				.create = dsaa_nb_create,
				.destroy = dsaa_nb_destroy,
				.cli_show = dsaa_cli_show_advertise,
			},
		},
		{
			.xpath = DSAA_XPATH "/advertise/site",
			.cbs = {
				.modify = dsaa_nb_modify,
			},
		},
		{
			.xpath = DSAA_XPATH "/vrf-advertise",
			.cbs = {
				.create = dsaa_nb_create,
				.destroy = dsaa_nb_destroy,
				.cli_show = dsaa_cli_show_advertise,
			},
		},
		{
			.xpath = DSAA_XPATH "/vrf-advertise/site",
			.cbs = {
				.modify = dsaa_nb_modify,
			},
		},
		{
			.xpath = DSAA_XPATH "/advertise-tag",
			.cbs = {
				.cli_show = dsaa_cli_show_advertise_tag,
			},
		},
		{
			.xpath = DSAA_XPATH "/advertise-tag/active",
			.cbs = {
				.modify = dsaa_nb_modify,
			},
		},
		{
			.xpath = DSAA_XPATH "/advertise-tag/backup",
			.cbs = {
				.modify = dsaa_nb_modify,
			},
		},
		{
			.xpath = DSAA_XPATH "/advertise-tag/drain",
			.cbs = {
				.modify = dsaa_nb_modify,
			},
		},
		{
			.xpath = DSAA_XPATH "/advertise-table",
			.cbs = {
				.modify = dsaa_nb_modify,
				.cli_show = dsaa_cli_show_advertise_table,
			},
		},
		{
			.xpath = DSAA_XPATH "/vrf-advertise-table",
			.cbs = {
				.create = dsaa_nb_create,
				.destroy = dsaa_nb_destroy,
				.cli_show = dsaa_cli_show_vrf_advertise_table,
			},
		},
		{
			.xpath = DSAA_XPATH "/vrf-advertise-table/table",
			.cbs = {
				.modify = dsaa_nb_modify,
			},
		},
		{
			.xpath = DSAA_XPATH "/bfd",
			.cbs = {
				.create = dsaa_nb_create,
				.destroy = dsaa_nb_destroy,
				.cli_show = dsaa_cli_show_bfd,
			},
		},
		{
			.xpath = DSAA_XPATH "/bfd/profile",
			.cbs = {
				.modify = dsaa_nb_modify,
				.destroy = dsaa_nb_destroy,
			},
		},
		{
			.xpath = DSAA_XPATH "/hold-time",
			.cbs = {
				.modify = dsaa_nb_modify,
				.cli_show = dsaa_cli_show_hold_time,
			},
		},
		{
			.xpath = DSAA_XPATH "/track/route",
			.cbs = {
				.create = dsaa_nb_create,
				.destroy = dsaa_nb_destroy,
				.cli_show = dsaa_cli_show_track,
			},
		},
		{
			.xpath = DSAA_XPATH "/ruleset-mismatch",
			.cbs = {
				.modify = dsaa_nb_modify,
				.cli_show = dsaa_cli_show_ruleset_mismatch,
			},
		},
		{
			.xpath = DSAA_XPATH "/split-brain",
			.cbs = {
				.modify = dsaa_nb_modify,
				.cli_show = dsaa_cli_show_split_brain,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/local-site",
			.cbs = {
				.get_elem = dsaa_nb_state_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/configuration-digest",
			.cbs = {
				.get_elem = dsaa_nb_state_digest,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/state-complete",
			.cbs = {
				.get_elem = dsaa_nb_state_complete,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/reason",
			.cbs = {
				.get_elem = dsaa_nb_state_reason,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/drain",
			.cbs = {
				.get_elem = dsaa_nb_state_drain,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/drain-heir",
			.cbs = {
				.get_elem = dsaa_nb_state_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/connections",
			.cbs = {
				.get_elem = dsaa_nb_state_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/connections-max",
			.cbs = {
				.get_elem = dsaa_nb_state_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/connections-needed",
			.cbs = {
				.get_elem = dsaa_nb_state_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/own-events",
			.cbs = {
				.get_elem = dsaa_nb_state_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/overruns",
			.cbs = {
				.get_elem = dsaa_nb_state_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/adopted",
			.cbs = {
				.get_elem = dsaa_nb_state_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/adopted-on-demand",
			.cbs = {
				.get_elem = dsaa_nb_state_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/log-entries",
			.cbs = {
				.get_elem = dsaa_nb_state_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/delayed",
			.cbs = {
				.get_elem = dsaa_nb_state_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/uips",
			.cbs = {
				.get_next = dsaa_nb_uips_next,
				.get_keys = dsaa_nb_uips_keys,
				.lookup_entry = dsaa_nb_uips_lookup,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/uips/interface",
			.cbs = {
				.get_elem = dsaa_nb_uips_interface,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/uips/address",
			.cbs = {
				.get_elem = dsaa_nb_uips_address,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/uips/installed",
			.cbs = {
				.get_elem = dsaa_nb_uips_installed,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/uips/reason",
			.cbs = {
				.get_elem = dsaa_nb_uips_reason,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/interface",
			.cbs = {
				.get_next = dsaa_nb_interface_next,
				.get_keys = dsaa_nb_interface_keys,
				.lookup_entry = dsaa_nb_interface_lookup,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/interface/name",
			.cbs = {
				.get_elem = dsaa_nb_interface_name,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/interface/data-path",
			.cbs = {
				.get_elem = dsaa_nb_interface_data_path,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/interface/why",
			.cbs = {
				.get_elem = dsaa_nb_interface_why,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/site-sync-interface",
			.cbs = {
				.get_next = dsaa_nb_link_next,
				.get_keys = dsaa_nb_link_keys,
				.lookup_entry = dsaa_nb_link_lookup,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/site-sync-interface/name",
			.cbs = {
				.get_elem = dsaa_nb_link_name,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/site-sync-interface/tunnel-path",
			.cbs = {
				.get_elem = dsaa_nb_link_tunnel_path,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/site-sync-interface/why",
			.cbs = {
				.get_elem = dsaa_nb_link_why,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer",
			.cbs = {
				.get_next = dsaa_nb_peer_next,
				.get_keys = dsaa_nb_peer_keys,
				.lookup_entry = dsaa_nb_peer_lookup,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/site",
			.cbs = {
				.get_elem = dsaa_nb_peer_site,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/state",
			.cbs = {
				.get_elem = dsaa_nb_peer_state,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/reason",
			.cbs = {
				.get_elem = dsaa_nb_peer_reason,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/state-age",
			.cbs = {
				.get_elem = dsaa_nb_peer_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/session",
			.cbs = {
				.get_elem = dsaa_nb_peer_flag,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/secure",
			.cbs = {
				.get_elem = dsaa_nb_peer_flag,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/bfd",
			.cbs = {
				.get_elem = dsaa_nb_peer_bfd,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/probe",
			.cbs = {
				.get_elem = dsaa_nb_peer_probe,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/peer-complete",
			.cbs = {
				.get_elem = dsaa_nb_peer_flag,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/peer-draining",
			.cbs = {
				.get_elem = dsaa_nb_peer_flag,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/configuration-differs",
			.cbs = {
				.get_elem = dsaa_nb_peer_flag,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/ruleset-differs",
			.cbs = {
				.get_elem = dsaa_nb_peer_flag,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/adoption-refused",
			.cbs = {
				.get_elem = dsaa_nb_peer_flag,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/flows-sent",
			.cbs = {
				.get_elem = dsaa_nb_peer_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/flows-received",
			.cbs = {
				.get_elem = dsaa_nb_peer_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/flows-applied",
			.cbs = {
				.get_elem = dsaa_nb_peer_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/flows-rejected",
			.cbs = {
				.get_elem = dsaa_nb_peer_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/rejected",
			.cbs = {
				.get_next = dsaa_nb_rejected_next,
				.get_keys = dsaa_nb_rejected_keys,
				.lookup_entry = dsaa_nb_rejected_lookup,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/rejected/reason",
			.cbs = {
				.get_elem = dsaa_nb_rejected_reason,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/rejected/flows",
			.cbs = {
				.get_elem = dsaa_nb_rejected_flows,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/peer-applied",
			.cbs = {
				.get_elem = dsaa_nb_peer_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/peer-rejected",
			.cbs = {
				.get_elem = dsaa_nb_peer_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/backlog",
			.cbs = {
				.get_elem = dsaa_nb_peer_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/lag-p50",
			.cbs = {
				.get_elem = dsaa_nb_peer_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/lag-p99",
			.cbs = {
				.get_elem = dsaa_nb_peer_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/lag-max",
			.cbs = {
				.get_elem = dsaa_nb_peer_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/lag-now",
			.cbs = {
				.get_elem = dsaa_nb_peer_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/last-bulk-flows",
			.cbs = {
				.get_elem = dsaa_nb_peer_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/last-bulk-duration",
			.cbs = {
				.get_elem = dsaa_nb_peer_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/audits",
			.cbs = {
				.get_elem = dsaa_nb_peer_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/last-audit-differences",
			.cbs = {
				.get_elem = dsaa_nb_peer_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/last-audit-repaired",
			.cbs = {
				.get_elem = dsaa_nb_peer_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/sessions",
			.cbs = {
				.get_elem = dsaa_nb_peer_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/packets-sent",
			.cbs = {
				.get_elem = dsaa_nb_peer_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/bytes-sent",
			.cbs = {
				.get_elem = dsaa_nb_peer_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/packets-received",
			.cbs = {
				.get_elem = dsaa_nb_peer_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/bytes-received",
			.cbs = {
				.get_elem = dsaa_nb_peer_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/packets-observed",
			.cbs = {
				.get_elem = dsaa_nb_peer_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/peer/bytes-observed",
			.cbs = {
				.get_elem = dsaa_nb_peer_number,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/packet-reason",
			.cbs = {
				.get_next = dsaa_nb_packet_reason_next,
				.get_keys = dsaa_nb_packet_reason_keys,
				.lookup_entry = dsaa_nb_packet_reason_lookup,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/packet-reason/reason",
			.cbs = {
				.get_elem = dsaa_nb_packet_reason_reason,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/packet-reason/packets",
			.cbs = {
				.get_elem = dsaa_nb_packet_reason_packets,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/prefix",
			.cbs = {
				.get_next = dsaa_nb_prefix_next,
				.get_keys = dsaa_nb_prefix_keys,
				.lookup_entry = dsaa_nb_prefix_lookup,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/prefix/prefix",
			.cbs = {
				.get_elem = dsaa_nb_prefix_prefix,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/prefix/state",
			.cbs = {
				.get_elem = dsaa_nb_prefix_state,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/prefix/reason",
			.cbs = {
				.get_elem = dsaa_nb_prefix_reason,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/prefix/tag",
			.cbs = {
				.get_elem = dsaa_nb_prefix_tag,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/vrf-prefix",
			.cbs = {
				.get_next = dsaa_nb_vrf_prefix_next,
				.get_keys = dsaa_nb_vrf_prefix_keys,
				.lookup_entry = dsaa_nb_vrf_prefix_lookup,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/vrf-prefix/vrf",
			.cbs = {
				.get_elem = dsaa_nb_vrf_prefix_vrf,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/vrf-prefix/prefix",
			.cbs = {
				.get_elem = dsaa_nb_prefix_prefix,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/vrf-prefix/state",
			.cbs = {
				.get_elem = dsaa_nb_prefix_state,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/vrf-prefix/reason",
			.cbs = {
				.get_elem = dsaa_nb_prefix_reason,
			},
		},
		{
			.xpath = DSAA_STATE_XPATH "/vrf-prefix/tag",
			.cbs = {
				.get_elem = dsaa_nb_prefix_tag,
			},
		},
		{
			.xpath = DSAA_RPC_DRAIN,
			.cbs = {
				.rpc = dsaa_nb_rpc_drain,
			},
		},
		{
			.xpath = DSAA_RPC_RESYNC,
			.cbs = {
				.rpc = dsaa_nb_rpc_resync,
			},
		},
		{
			.xpath = DSAA_RPC_AUDIT,
			.cbs = {
				.rpc = dsaa_nb_rpc_audit,
			},
		},
		{
			.xpath = DSAA_RPC_CLEAR,
			.cbs = {
				.rpc = dsaa_nb_rpc_clear,
			},
		},
		{
			.xpath = DSAA_RPC_REHEARSE,
			.cbs = {
				.rpc = dsaa_nb_rpc_rehearse,
			},
		},
		{
			.xpath = NULL,
		},
	},
};
/* clang-format on */
