#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Prepares the FRR SDK in build/sdk: the source of the FRR version that is installed here, configured as the distribution configures
# it, with its generated headers and its code generator clippy. libfrr itself is not built: dsaad links the installed one.
# Nothing is done when the SDK of that version is there already.
#
# usage: frr-sdk.sh [DIRECTORY]      DIRECTORY defaults to build/sdk
#
# Layout afterwards: DIRECTORY/src (source), DIRECTORY/src/build (generated headers, lib/clippy), DIRECTORY/vtysh (stock vtysh's
# commands as C), DIRECTORY/VERSION (the stamp).

set -eu
. "$(dirname "$0")/common.sh"

SDK=$(realpath -m "${1:-$BUILD/sdk}")
STAMP_FORMAT=3		# grows when what this script leaves behind changes

# source_entries FILE: the apt source entries of FILE that carry one of the addresses in $uris, as deb-src entries.
source_entries() {
	case $1 in
	*.sources)
		awk -v uris="$uris" '
		function known(text,   i, n, u) {
			n = split(uris, u, " ")
			for (i = 1; i <= n; i++)
				if (index(text, u[i]))
					return 1
			return 0
		}
		BEGIN { RS = ""; FS = "\n" }
		{
			out = ""; use = 1; uri = ""
			for (i = 1; i <= NF; i++) {
				if ($i ~ /^#/)
					continue
				if (tolower($i) ~ /^enabled:[ \t]*(no|false|0|off)/ ||
				    (tolower($i) ~ /^types:/ && $i !~ /[ \t:]deb([ \t]|$)/))
					use = 0
				if (tolower($i) ~ /^types:/)
					$i = "Types: deb-src"
				out = out $i "\n"
			}
			if (use && known(out))
				print out
		}' "$1" ;;
	*)
		local u
		for u in $uris; do
			grep -E '^deb[[:space:]]' "$1" | grep -F " $u" | sed 's/^deb/deb-src/' || true
		done | sort -u ;;
	esac
}

# apt_source_options: an apt configuration of our own in $tmp, made from the host's, which only knows source packages.
# The host's sources and lists stay as they are.
apt_source_options() {
	local f
	uris=$(apt-cache madison frr | awk -F' *[|] *' '{ split($3, w, " "); sub("/$", "", w[1]); print w[1] }' | sort -u)
	[ -n "$uris" ] || die "apt knows no place that offers frr; run apt-get update"
	mkdir -p "$tmp/sources.d" "$tmp/lists/partial"
	for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
		[ -e "$f" ] || continue
		source_entries "$f" >"$tmp/sources.d/dsaad-${f##*/}"
	done
	mv "$tmp/sources.d/dsaad-sources.list" "$tmp/sources.d/dsaad-main.list" 2>/dev/null || true
	# The sandbox user of apt may not enter a folder that only root can read.
	chmod 755 "$tmp" "$tmp/sources.d" "$tmp/lists"
	apt_options=(-o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$tmp/sources.d"
		-o "Dir::State::lists=$tmp/lists" -o APT::Sandbox::User=root)
}

# fetch_upstream_source: Debian sid can offer a package whose revision of the source is gone, but not yet FRR's own archive of that
# version. Without Debian's patches that is enough for headers and code generators; what does not fit shows when vtysh's commands are
# compared.
fetch_upstream_source() {
	apt-get "${apt_options[@]}" source -q --tar-only "frr=$version" || return 1
	echo "NOTE: this is FRR's own source of $version, without Debian's patches"
	tar -xf frr_*.orig.tar.*
}

fetch_source() {
	local d
	apt_source_options
	apt-get "${apt_options[@]}" update -q
	rm -rf "$SDK"
	mkdir -p "$SDK/fetch"
	cd "$SDK/fetch"
	apt-get "${apt_options[@]}" source -q "frr=$version" || fetch_upstream_source ||
		die "the source of frr $version is not offered any more: upgrade the installed frr, then run this again"
	for d in frr-*/; do
		[ -e "$d/configure.ac" ] || continue
		mv "$d" "$SDK/src"
		rm -rf "$SDK/fetch"
		return
	done
	die "the source package of frr $version holds no frr-* folder"
}

# configure_flags: puts into $flags what the installed FRR says it was configured with (that decides which commands and which
# structures exist), less what only concerns documents and how the package was built.
configure_flags() {
	local all f
	all=$(/usr/lib/frr/zebra --version | sed -n '/^configured with:/,$p' | tail -n +2)
	[ -n "$all" ] || die "zebra --version does not tell how FRR was configured"
	eval "all=($all)"
	flags=()
	for f in "${all[@]}"; do
		case $f in
		--enable-doc* | --enable-werror | --disable-silent-rules | --disable-dependency-tracking | --disable-option-checking) ;;
		--*) flags+=("$f") ;;
		esac
	done
}

configure_source() {
	cd "$SDK/src"
	autoreconf -fi
	mkdir -p build
	cd build
	configure_flags
	../configure "${flags[@]}" --disable-doc --disable-werror PYTHON=/usr/bin/python3
}

generate() {
	local extra=
	cd "$SDK/src/build"
	# Headers of 10.x include this one, which is itself generated.
	if grep -q 'lib/mgmt\.pb-c\.h' Makefile; then
		extra=lib/mgmt.pb-c.h
	fi
	make -j2 lib/clippy $extra
}

# stock_vtysh: leaves in $SDK/vtysh the commands of stock vtysh as C (vtysh_cmd*.c) and its list of daemons (vtysh_daemons.h).
stock_vtysh() {
	cd "$SDK/src/build"
	mkdir -p "$SDK/vtysh"
	if [ -e ../python/xref2vtysh.py ]; then
		make lib/vtysh_daemons.h
		commands_of_binaries
		cp lib/vtysh_daemons.h vtysh/vtysh_cmd*.c "$SDK/vtysh/"
	else
		# 8.4: from the sources, by extract.pl.
		make vtysh/vtysh_daemons.h vtysh/vtysh_cmd.c
		cp vtysh/vtysh_daemons.h vtysh/vtysh_cmd.c "$SDK/vtysh/"
	fi
}

# commands_of_binaries: FRR 10 makes vtysh_cmd.c from the cross-references in its binaries; the installed ones serve as well, and are
# exactly what vtysh will talk to. Which daemon a command belongs to is read from the name of the file, and for loadable modules
# from its folder, so copies are laid out as FRR's own build has them.
commands_of_binaries() {
	local f name dir libdir files=() split=()
	libdir=$(frr_libdir)
	for f in $(dpkg-query -L frr frr-snmp frr-rpki-rtrlib | sort -u); do
		name=${f##*/}
		case $f in
		/usr/lib/frr/*.*) continue ;;
		/usr/lib/frr/frr-reload) continue ;;
		/usr/lib/frr/fabricd) dir=isisd ;;
		/usr/lib/frr/pim6d) dir=pimd ;;
		/usr/lib/frr/*) dir=$name ;;
		"$libdir"/modules/dplane_*.so) dir=zebra ;;
		"$libdir"/modules/*_*.so) dir=${name%%_*} ;;
		"$libdir"/libmgmt_be_nb.so.0) dir=mgmtd ;;
		"$libdir"/libfrr.so.0 | "$libdir"/libfrrcares.so.0) dir=lib ;;
		*) continue ;;
		esac
		[ -f "$f" ] || continue
		mkdir -p "../stock/$dir"
		cp -L "$f" "../stock/$dir/$name"
		files+=("$dir/$name")
	done
	for f in $(sed -n 's|^\t\(vtysh/vtysh_cmd\.[0-9]*\.c\) .*|\1|p' Makefile); do
		split+=("$PWD/$f")
	done
	# The binaries name their sources as seen from a folder right below FRR's source; that is where xrelfo has to run.
	cd ../stock
	../build/lib/clippy ../python/xrelfo.py -o frr.xref "${files[@]}" -c "$SDK/src/build/vtysh/vtysh_cmd.c" "${split[@]}"
	cd ../build
}

version=$(frr_version)
[ -n "$version" ] || die "FRR is not installed; run scripts/packages.sh"
stamp="$version format $STAMP_FORMAT"
[ "$(cat "$SDK/VERSION" 2>/dev/null)" != "$stamp" ] || exit 0

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
fetch_source
configure_source
generate
stock_vtysh
echo "$stamp" >"$SDK/VERSION"
