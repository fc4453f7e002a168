#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The tests of a stock kernel, inside its guest (scripts/stock-kernel.sh): every script of this folder whose name begins with a digit, or
# those that are named; "edge" names 10-edge.sh, too. Each sources lib.sh and runs its parts with "part".
#
# usage: run.sh [TEST...]

here=$(dirname "$(readlink -f "$0")")
export RESULTS=/run/kernel-out/results
: >"$RESULTS"
for script in "$here"/[0-9]*.sh; do
	name=$(basename "$script" .sh)
	if [ $# -gt 0 ]; then
		case " $* " in
		*" $name "* | *" ${name#*-} "*) ;;
		*) continue ;;
		esac
	fi
	echo "== $name"
	bash "$script" || echo "FAILED $name ended with $?" >>"$RESULTS"
done
echo "== $(grep -c ^passed "$RESULTS") passed, $(grep -c ^FAILED "$RESULTS") failed, $(grep -c ^skipped "$RESULTS") skipped"
grep ^FAILED "$RESULTS"
[ -s "$RESULTS" ] && ! grep -q ^FAILED "$RESULTS"
