#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The test programs that speak with the kernel: nf_tables rules, conntrack, the queue, the BPF programs, what the daemon gives up.

. "$(dirname "$0")/lib.sh"

cd "$OBJ" || exit 1
export srcdir=$TOP PYTHONDONTWRITEBYTECODE=1
for t in edge/confine_test edge/rules_test edge/policy_test edge/conntrack_flow_test edge/conntrack_test edge/conntrack_router_test \
	edge/conntrack_sites_test bpf/fast_test edge/nfq_join_test edge/nfq_cut_test edge/sync_transport_test; do
	part "$(basename $t)" 300 "tests/$t"
done
for t in nfq_correct_test fast_correct_test; do
	part $t 600 /usr/bin/python3 "$TOP/tests/edge/$t.py"
done
