# SPDX-License-Identifier: GPL-2.0-or-later
# What the scripts share: a clean environment, messages, and facts about the installed FRR. Sourced by bash, never run.

# The distribution's tools come first: clippy embeds the distribution's python, and so must everything that runs beside it.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C
unset PYTHONPATH PYTHONHOME CDPATH

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=$TOP/build

# die SENTENCE: says what is wrong and ends the script.
die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# need_root WHAT: ends the script with a sentence when it does not run as root.
need_root() {
	[ "$(id -u)" = 0 ] || die "$1 needs root: run it with sudo"
}

# frr_version: the full package version of the installed FRR (8.4.4-1.1~deb12u2), nothing when there is none.
frr_version() {
	dpkg-query -W -f '${db:Status-Status} ${source:Version}\n' frr 2>/dev/null | sed -n 's/^installed //p'
}

# frr_libdir: the folder of the installed libfrr.
frr_libdir() {
	local lib
	lib=$(dpkg-query -L frr 2>/dev/null | grep -m1 '/libfrr\.so\.0$') || return 1
	dirname "$lib"
}

# mirror: where this machine takes Debian's packages from.
mirror() {
	apt-cache madison base-files | awk -F' *[|] *' '{ split($3, w, " "); print w[1] }' | grep -v security | head -n 1
}

# seconds SINCE: the seconds since then (an $EPOCHREALTIME), with one decimal.
seconds() {
	local us=$((${EPOCHREALTIME/[.,]/} - ${1/[.,]/}))
	printf '%d.%d' $((us / 1000000)) $((us / 100000 % 10))
}

# step NAME COMMAND...: runs a command with its output in $LOGS/NAME.log, and prints one line with the seconds it took. When it fails,
# the end of the log is shown and the script ends.
step() {
	local name=$1 begin=$EPOCHREALTIME
	shift
	printf '[%6ss] %-12s' "$(seconds "$START")" "$name"
	# A subshell of its own, so that "set -e" holds in functions as well.
	set +e
	(
		set -e
		"$@"
	) >"$LOGS/$name.log" 2>&1 </dev/null
	local rc=$?
	set -e
	if [ $rc -eq 0 ]; then
		printf ' done in %s s\n' "$(seconds "$begin")"
		return
	fi
	printf ' FAILED after %s s\n' "$(seconds "$begin")"
	tail -n 25 "$LOGS/$name.log" | sed 's/^/    /'
	die "step $name failed; the whole log is $LOGS/$name.log"
}
