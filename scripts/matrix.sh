#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs check and demo inside the root of another Debian, on a fresh clone of the last commit. The root is made once, by debootstrap, and
# kept; the SDK in it, and the root of the package test, are kept as well, everything else is built anew.
#
# Debian sid is best effort: what it holds today may not build tomorrow, and an index past its validity date is taken all the same.
#
# usage: matrix.sh 12|13|sid [check|demo|package]...      exits 77 when there is no root and none can be made here

set -eu
. "$(dirname "$(readlink -f "$0")")/common.sh"

LOGS=$BUILD/logs
# shellcheck disable=SC2034 # step() of common.sh reads it
START=$EPOCHREALTIME

# make_root: under another name until it is complete, so that an interrupted run leaves no half of one.
make_root() {
	rm -rf "$root.new"
	debootstrap --variant=minbase --include=ca-certificates,git "$suite" "$root.new" "$(mirror)" || return 1
	[ "$suite" != sid ] || echo 'Acquire::Check-Valid-Until "false";' >"$root.new/etc/apt/apt.conf.d/80dsaad-sid"
	mkdir -p "$(dirname "$root")"
	mv "$root.new" "$root"
}

clone() {
	local here=$root/srv/$folder kept
	rm -rf "$here.kept"
	mkdir -p "$here.kept"
	for kept in sdk package-root package-root.list; do
		[ ! -e "$here/build/$kept" ] || mv "$here/build/$kept" "$here.kept/"
	done
	rm -rf "$here"
	git clone -q --no-hardlinks "$TOP" "$here"
	mv "$here.kept" "$here/build"
}

case ${1:-} in
12) suite=bookworm root=${DSAA_ROOT12:-/var/tmp/dsaa-root12} ;;
13) suite=trixie root=${DSAA_ROOT13:-/var/tmp/dsaa-root13} ;;
sid) suite=sid root=${DSAA_ROOTSID:-/var/tmp/dsaa-rootsid} ;;
*) die "which Debian? usage: ./quickstart matrix 12|13|sid" ;;
esac
shift
# Two matrices at once in one root want clones of two names.
folder=${DSAA_ROOT_CLONE:-dsaad}
need_root "the matrix"
command -v debootstrap >/dev/null || "$TOP/scripts/packages.sh"
mkdir -p "$LOGS"
# In a subshell, which step() ends when it fails.
[ -e "$root" ] || (step "root-$suite" make_root) || {
	echo "skipped: no root of Debian $suite can be made here, see $LOGS/root-$suite.log"
	exit 77
}
step clone clone

echo "== Debian $suite: setup"
DSAA_IN_ROOT_NET=host "$TOP/scripts/in-root.sh" "$root" "/srv/$folder/quickstart" setup
[ "$suite" != sid ] || echo "== Debian sid is best effort: what fails below may be sid's own"
rc=0
failed=
[ $# -gt 0 ] || set -- check demo
for command in "$@"; do
	echo "== Debian $suite: $command"
	# The package test makes a root of stock FRR with debootstrap; its daemons run in a network of their own all the same.
	net=
	[ "$command" != package ] || net=host
	DSAA_IN_ROOT_NET=$net "$TOP/scripts/in-root.sh" "$root" "/srv/$folder/quickstart" "$command" || { rc=1; failed="$failed $command"; }
done
frr=$("$TOP/scripts/in-root.sh" "$root" dpkg-query -W -f '${Version}' frr)
word="no failure"
[ -z "$failed" ] || word="failed:$failed"
[ "$suite" != sid ] || word="$word (best effort: what fails may be sid's own)"
echo "== Debian $suite, FRR $frr: $*: $word"
exit $rc
