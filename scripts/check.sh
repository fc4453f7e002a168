#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs all tests, or the parts that are named; run by ./quickstart check inside scripts/sandbox.sh, after the set-up. The last line
# alone tells how many tests passed, failed and were skipped.
#
# usage: check.sh [style] [layers] [unit] [vtysh] [lab] [topotests]

set -eu
. "$(dirname "$0")/common.sh"

LOGS=$BUILD/logs
START=$EPOCHREALTIME
PYTEST="/usr/bin/python3 -m pytest -q -p no:cacheprovider"

# part NAME COMMAND...: runs a part of the tests, output in $LOGS/NAME.log; its failure is counted by tally.py, not acted on here.
part() {
	local name=$1 begin=$EPOCHREALTIME rc=0
	shift
	case " $wanted " in
	*" $name "*) ;;
	*) return ;;
	esac
	printf '[%6ss] %-12s' "$(seconds "$START")" "$name"
	"$@" >"$LOGS/$name.log" 2>&1 </dev/null || rc=$?
	echo "$rc" >"$results/$name.rc"
	word=FAILED
	[ $rc -ne 0 ] || word="done"
	printf ' %s in %s s%s\n' "$word" "$(seconds "$begin")" "$(stood_still "$begin")"
}

# stood_still BEGIN: how long the machine stood still since then, if it did so for longer than tests of time bear.
stood_still() {
	awk -v begin="$1" '$1 >= begin { n++; if ($2 > most) most = $2 }
		END { if (n) printf " (the machine stood still %d times, %.1f s at most)", n, most }' "$results/stalls"
}

unit_tests() {
	make -C "$BUILD/obj" check
}

# pytest_in FOLDER NAME: the folder's tests, with their results for tally.py.
pytest_in() {
	cd "$TOP/$1"
	PYTHONDONTWRITEBYTECODE=1 $PYTEST --junitxml="$results/$2.xml" .
}

topotests() {
	"$TOP/tests/topotests/run.sh" --junitxml="$results/topotests.xml"
}

# The settings of the whole machine that a topotest framework, a lab or a load test would like to write. net.* is not among them: that
# belongs to the sandbox's network namespace.
HOST_SETTINGS="/proc/sys/kernel/core_pattern /proc/sys/kernel/core_uses_pid /proc/sys/kernel/pty/max /proc/sys/fs/file-max
	/proc/sys/fs/suid_dumpable /proc/sys/fs/inotify/max_user_watches /proc/sys/kernel/printk
	/sys/module/nf_conntrack/parameters/hashsize"

host_settings() {
	local f
	for f in $HOST_SETTINGS; do
		[ ! -r "$f" ] || echo "$f $(tr -s '\t' ' ' <"$f")"
	done | sort
}

# strangers: the processes of the sandbox that are neither ancestors nor children of this script; a test left them.
strangers() {
	ps -e -o pid=,ppid=,stat=,args= | awk -v me=$$ '
	{ parent[$1] = $2; line[$1] = $0; zombie[$1] = $3 ~ /^Z/ }
	END {
		for (p = me; p in parent; p = parent[p])
			known[p] = 1
		for (p in parent) {
			q = p
			while (q in parent && q != me)
				q = parent[q]
			if (q != me && !known[p] && !zombie[p])
				print line[p]
		}
	}'
}

# hygiene: what the tests left behind. Named namespaces, processes in the sandbox, settings of the host; settings are put back.
hygiene() {
	local rc=0 left f v
	left=$(ip netns list)
	[ -z "$left" ] || { echo "network namespaces left:" $left; rc=1; }
	left=$(strangers)
	[ -z "$left" ] || { printf 'processes left:\n%s\n' "$left"; rc=1; }
	host_settings >"$results/settings.after"
	while read -r f v; do
		echo "setting of the host changed by a test, put back: $f $v"
		echo "$v" >"$f"
		rc=1
	done < <(comm -23 "$results/settings.before" "$results/settings.after")
	return $rc
}

# sanitizers: what they found in any process. Nobody reads the standard error of a daemon in a lab, nor how it ended, so it goes into
# files, which a daemon's user must be able to write.
sanitizers() {
	local f rc=0
	for f in "$findings"/*; do
		[ -e "$f" ] || continue
		echo "--- ${f##*/}"
		cat "$f"
		rc=1
	done
	return $rc
}

wanted=${*:-style layers unit vtysh lab topotests}
mkdir -p "$LOGS"
results=$(mktemp -d)
"$TOP/scripts/stalls.py" 0.3 >"$results/stalls" &
watcher=$!
trap 'kill $watcher; rm -rf "$results"' EXIT
# A test runner that takes an interrupt for itself would leave this script to go on.
trap 'exit 130' INT TERM
host_settings >"$results/settings.before"
if grep -q 'fsanitize=' "$BUILD/obj/Makefile"; then
	findings=$results/sanitizers
	chmod 711 "$results"
	mkdir -m 1777 "$findings"
	# libfaketime stands before them in one test
	export ASAN_OPTIONS=log_path=$findings/found:log_exe_name=1:verify_asan_link_order=0
	# it always writes to standard error, and ends the process: a test fails
	export UBSAN_OPTIONS=print_stacktrace=1
fi

part style "$TOP/scripts/lint.sh" --quick
part layers "$TOP/scripts/check-layers.sh" "$BUILD/obj"
part unit unit_tests
part vtysh pytest_in tests/vtysh vtysh
! ls "$TOP"/tests/lab/test_*.py >/dev/null 2>&1 || part lab pytest_in tests/lab lab
part topotests topotests
wanted="$wanted hygiene sanitizers"
part hygiene hygiene
[ -z "${findings:-}" ] || part sanitizers sanitizers

/usr/bin/python3 "$TOP/scripts/tally.py" "$results" "$BUILD/obj" "$LOGS"
