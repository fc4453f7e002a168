# SPDX-License-Identifier: GPL-2.0-or-later
# What the tests of a stock kernel share; sourced by bash in the guest, never run.

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
OBJ=$TOP/build/obj
OUT=/run/kernel-out
RESULTS=${RESULTS:-$OUT/results}

# part NAME SECONDS COMMAND...: one test with its output in OUT/NAME.log; 0 is passed, 77 skipped (the reason is its last line), all else
# failed. The guest is slow: give it ten times what the machine needs.
part() {
	local name=$1 limit=$2 begin=$SECONDS rc=0 word=passed why=
	shift 2
	[ -z "${PARTS:-}" ] || grep -qE "$PARTS" <<<"$name" || return 0
	timeout -k 10 "$limit" "$@" >"$OUT/$name.log" 2>&1 </dev/null || rc=$?
	case $rc in
	0) why=$(tail -n 1 "$OUT/$name.log") ;;
	77) word=skipped why=$(grep -m 1 -i '^skipped' "$OUT/$name.log" || tail -n 1 "$OUT/$name.log") ;;
	124 | 137) word=FAILED why="no end within $limit s" ;;
	*) word=FAILED why="ended with $rc" ;;
	esac
	echo "$word $name in $((SECONDS - begin)) s: $why" | tee -a "$RESULTS"
	if [ "$word" = FAILED ]; then
		tail -n 30 "$OUT/$name.log" | sed 's/^/    /'
	fi
}
