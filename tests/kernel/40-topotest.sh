#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Topotests that say more on a stock kernel: flowtables in the operator's ruleset, which not every kernel has, and the protocols that a
# kernel tracks, or not, by what it was built with. A test that is skipped here has failed.

. "$(dirname "$0")/lib.sh"

topotest() {
	local out summary rc=0
	out=$("$TOP/tests/topotests/run.sh" "$@" 2>&1) || rc=$?
	summary=$(grep -E '^=+ .* in [0-9.]+s' <<<"$out" | tail -n 1)
	printf '%s\n' "$out" "$summary"
	[ $rc = 0 ] && [[ $summary != *skipped* ]]
}
export -f topotest
export TOP

part flowtable 1800 bash -c 'topotest dsaa_correction -k flowtable'
part other-protocols 1800 bash -c 'topotest dsaa_correction -k "other_protocols and auto"'
