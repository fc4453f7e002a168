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
