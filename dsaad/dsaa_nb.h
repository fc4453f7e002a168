/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The northbound callbacks of module frr-dsaad. Main thread.
 */
#ifndef DSAA_NB_H
#define DSAA_NB_H

#include "northbound.h"

#define DSAA_XPATH	 "/frr-dsaad:dsaad/dsaa"
#define DSAA_STATE_XPATH "/frr-dsaad:dsaad/state"

/* dsaa_nb_config.c */
int dsaa_nb_pre_validate(struct nb_cb_pre_validate_args *args);
int dsaa_nb_create(struct nb_cb_create_args *args);
int dsaa_nb_modify(struct nb_cb_modify_args *args);
int dsaa_nb_destroy(struct nb_cb_destroy_args *args);
int dsaa_nb_block_destroy(struct nb_cb_destroy_args *args);
void dsaa_nb_apply_finish(struct nb_cb_apply_finish_args *args);

/* dsaa_nb_state.c */
/* Numbers, by the name of the leaf: of the daemon, of a peer. */
struct yang_data *dsaa_nb_state_number(struct nb_cb_get_elem_args *args);
struct yang_data *dsaa_nb_peer_number(struct nb_cb_get_elem_args *args);
struct yang_data *dsaa_nb_state_digest(struct nb_cb_get_elem_args *args);
struct yang_data *dsaa_nb_state_complete(struct nb_cb_get_elem_args *args);
struct yang_data *dsaa_nb_state_reason(struct nb_cb_get_elem_args *args);
struct yang_data *dsaa_nb_state_drain(struct nb_cb_get_elem_args *args);
const void *dsaa_nb_uips_next(struct nb_cb_get_next_args *args);
int dsaa_nb_uips_keys(struct nb_cb_get_keys_args *args);
const void *dsaa_nb_uips_lookup(struct nb_cb_lookup_entry_args *args);
struct yang_data *dsaa_nb_uips_interface(struct nb_cb_get_elem_args *args);
struct yang_data *dsaa_nb_uips_address(struct nb_cb_get_elem_args *args);
struct yang_data *dsaa_nb_uips_installed(struct nb_cb_get_elem_args *args);
struct yang_data *dsaa_nb_uips_reason(struct nb_cb_get_elem_args *args);
const void *dsaa_nb_interface_next(struct nb_cb_get_next_args *args);
int dsaa_nb_interface_keys(struct nb_cb_get_keys_args *args);
const void *dsaa_nb_interface_lookup(struct nb_cb_lookup_entry_args *args);
struct yang_data *dsaa_nb_interface_name(struct nb_cb_get_elem_args *args);
struct yang_data *dsaa_nb_interface_data_path(struct nb_cb_get_elem_args *args);
struct yang_data *dsaa_nb_interface_why(struct nb_cb_get_elem_args *args);
const void *dsaa_nb_link_next(struct nb_cb_get_next_args *args);
int dsaa_nb_link_keys(struct nb_cb_get_keys_args *args);
const void *dsaa_nb_link_lookup(struct nb_cb_lookup_entry_args *args);
struct yang_data *dsaa_nb_link_name(struct nb_cb_get_elem_args *args);
struct yang_data *dsaa_nb_link_tunnel_path(struct nb_cb_get_elem_args *args);
struct yang_data *dsaa_nb_link_why(struct nb_cb_get_elem_args *args);
const void *dsaa_nb_peer_next(struct nb_cb_get_next_args *args);
int dsaa_nb_peer_keys(struct nb_cb_get_keys_args *args);
const void *dsaa_nb_peer_lookup(struct nb_cb_lookup_entry_args *args);
struct yang_data *dsaa_nb_peer_site(struct nb_cb_get_elem_args *args);
struct yang_data *dsaa_nb_peer_state(struct nb_cb_get_elem_args *args);
struct yang_data *dsaa_nb_peer_reason(struct nb_cb_get_elem_args *args);
struct yang_data *dsaa_nb_peer_flag(struct nb_cb_get_elem_args *args);
struct yang_data *dsaa_nb_peer_bfd(struct nb_cb_get_elem_args *args);
struct yang_data *dsaa_nb_peer_probe(struct nb_cb_get_elem_args *args);
const void *dsaa_nb_rejected_next(struct nb_cb_get_next_args *args);
int dsaa_nb_rejected_keys(struct nb_cb_get_keys_args *args);
const void *dsaa_nb_rejected_lookup(struct nb_cb_lookup_entry_args *args);
struct yang_data *dsaa_nb_rejected_reason(struct nb_cb_get_elem_args *args);
struct yang_data *dsaa_nb_rejected_flows(struct nb_cb_get_elem_args *args);
const void *dsaa_nb_packet_reason_next(struct nb_cb_get_next_args *args);
int dsaa_nb_packet_reason_keys(struct nb_cb_get_keys_args *args);
const void *dsaa_nb_packet_reason_lookup(struct nb_cb_lookup_entry_args *args);
struct yang_data *dsaa_nb_packet_reason_reason(struct nb_cb_get_elem_args *args);
struct yang_data *dsaa_nb_packet_reason_packets(struct nb_cb_get_elem_args *args);
const void *dsaa_nb_prefix_next(struct nb_cb_get_next_args *args);
int dsaa_nb_prefix_keys(struct nb_cb_get_keys_args *args);
const void *dsaa_nb_prefix_lookup(struct nb_cb_lookup_entry_args *args);
const void *dsaa_nb_vrf_prefix_next(struct nb_cb_get_next_args *args);
int dsaa_nb_vrf_prefix_keys(struct nb_cb_get_keys_args *args);
const void *dsaa_nb_vrf_prefix_lookup(struct nb_cb_lookup_entry_args *args);
struct yang_data *dsaa_nb_vrf_prefix_vrf(struct nb_cb_get_elem_args *args);
struct yang_data *dsaa_nb_prefix_prefix(struct nb_cb_get_elem_args *args);
struct yang_data *dsaa_nb_prefix_state(struct nb_cb_get_elem_args *args);
struct yang_data *dsaa_nb_prefix_reason(struct nb_cb_get_elem_args *args);
struct yang_data *dsaa_nb_prefix_tag(struct nb_cb_get_elem_args *args);

/* dsaa_cli.c: the lines of "show running-config" */
void dsaa_cli_show_block(struct vty *vty, const struct lyd_node *dnode, bool defaults);
void dsaa_cli_show_block_end(struct vty *vty, const struct lyd_node *dnode);
void dsaa_cli_show_cluster_id(struct vty *vty, const struct lyd_node *dnode, bool defaults);
void dsaa_cli_show_ha_mode(struct vty *vty, const struct lyd_node *dnode, bool defaults);
void dsaa_cli_show_local_site(struct vty *vty, const struct lyd_node *dnode, bool defaults);
void dsaa_cli_show_site(struct vty *vty, const struct lyd_node *dnode, bool defaults);
void dsaa_cli_show_site_end(struct vty *vty, const struct lyd_node *dnode);
void dsaa_cli_show_site_name(struct vty *vty, const struct lyd_node *dnode, bool defaults);
void dsaa_cli_show_sync_address(struct vty *vty, const struct lyd_node *dnode, bool defaults);
void dsaa_cli_show_uips(struct vty *vty, const struct lyd_node *dnode, bool defaults);
void dsaa_cli_show_probe(struct vty *vty, const struct lyd_node *dnode, bool defaults);
void dsaa_cli_show_nat_pool(struct vty *vty, const struct lyd_node *dnode, bool defaults);
void dsaa_cli_show_zone(struct vty *vty, const struct lyd_node *dnode, bool defaults);
void dsaa_cli_show_sync_port(struct vty *vty, const struct lyd_node *dnode, bool defaults);
void dsaa_cli_show_key_file(struct vty *vty, const struct lyd_node *dnode, bool defaults);
void dsaa_cli_show_insecure(struct vty *vty, const struct lyd_node *dnode, bool defaults);
void dsaa_cli_show_protocol(struct vty *vty, const struct lyd_node *dnode, bool defaults);
void dsaa_cli_show_delay(struct vty *vty, const struct lyd_node *dnode, bool defaults);
void dsaa_cli_show_protocol_delay(struct vty *vty, const struct lyd_node *dnode, bool defaults);
void dsaa_cli_show_track(struct vty *vty, const struct lyd_node *dnode, bool defaults);
void dsaa_cli_show_no_sync(struct vty *vty, const struct lyd_node *dnode, bool defaults);
void dsaa_cli_show_correction_interface(struct vty *vty, const struct lyd_node *dnode,
					bool defaults);
void dsaa_cli_show_correction_mode(struct vty *vty, const struct lyd_node *dnode, bool defaults);
void dsaa_cli_show_mark_mask(struct vty *vty, const struct lyd_node *dnode, bool defaults);
void dsaa_cli_show_hold(struct vty *vty, const struct lyd_node *dnode, bool defaults);
void dsaa_cli_show_correction_port(struct vty *vty, const struct lyd_node *dnode, bool defaults);
void dsaa_cli_show_advertise(struct vty *vty, const struct lyd_node *dnode, bool defaults);
void dsaa_cli_show_advertise_tag(struct vty *vty, const struct lyd_node *dnode, bool defaults);
void dsaa_cli_show_advertise_table(struct vty *vty, const struct lyd_node *dnode, bool defaults);
void dsaa_cli_show_vrf_advertise_table(struct vty *vty, const struct lyd_node *dnode,
				       bool defaults);
void dsaa_cli_show_bfd(struct vty *vty, const struct lyd_node *dnode, bool defaults);
void dsaa_cli_show_hold_time(struct vty *vty, const struct lyd_node *dnode, bool defaults);
void dsaa_cli_show_ruleset_mismatch(struct vty *vty, const struct lyd_node *dnode, bool defaults);
void dsaa_cli_show_split_brain(struct vty *vty, const struct lyd_node *dnode, bool defaults);

/* dsaa_nb_rpc.c */
struct dsaa_history;
#define DSAA_RPC_DRAIN	  "/frr-dsaad:drain"
#define DSAA_RPC_RESYNC	  "/frr-dsaad:resync"
#define DSAA_RPC_AUDIT	  "/frr-dsaad:audit"
#define DSAA_RPC_CLEAR	  "/frr-dsaad:clear-counters"
#define DSAA_RPC_REHEARSE "/frr-dsaad:failover-rehearse"
int dsaa_nb_rpc_drain(struct nb_cb_rpc_args *args);
int dsaa_nb_rpc_resync(struct nb_cb_rpc_args *args);
int dsaa_nb_rpc_audit(struct nb_cb_rpc_args *args);
int dsaa_nb_rpc_clear(struct nb_cb_rpc_args *args);
int dsaa_nb_rpc_rehearse(struct nb_cb_rpc_args *args);
/* Calls one of them for a command, with one input leaf or none (NAME NULL). */
int dsaa_nb_call(struct vty *vty, const char *rpc, const char *name, const char *value);
/* Tells the northbound's clients of a change. */
void dsaa_nb_notify_change(const struct dsaa_history *h);
/* The names of what a change leads from and to. */
const char *dsaa_nb_change_name(const struct dsaa_history *h, uint8_t state);

#endif
