#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Fails when a layer knows what it must not: core <- edges (conntrack, sync, rules, nfq, bpf) <- dsaad.
#  - an include against the direction, of another edge, or of a library that is not the layer's own;
#  - a symbol that core needs from outside beyond memcpy and its kind;
#  - a symbol that an edge takes from libfrr.
#
# usage: check-layers.sh [BUILD-FOLDER]      default build/obj; its libraries must have been built

set -eu
. "$(dirname "$0")/common.sh"

OBJ=${1:-$BUILD/obj}
EDGES="conntrack sync rules nfq bpf"
# What core may include from the system: types and limits only, nothing that does something.
CORE_SYSTEM="assert.h|inttypes.h|limits.h|stdalign.h|stdarg.h|stdbool.h|stddef.h|stdint.h|string.h"
CORE_SYMBOLS="memcpy|memmove|memset|memcmp|memchr"
COMPILER_SYMBOLS="_GLOBAL_OFFSET_TABLE_|__stack_chk_fail|__memcpy_chk|__memset_chk|__memmove_chk"
SANITIZER_SYMBOLS="__asan_.*|__ubsan_.*|__sanitizer_.*"
# Folders of the third-party libraries that are some layer's own.
LIBRARIES="bpf/|libmnl/|libnetfilter_conntrack/|libnetfilter_queue/|libnftnl/|openssl/|libyang/|json-c/|lib/|vtysh/|zebra\.h|config\.h"

errors=0
complain() {
	echo "$*"
	errors=$((errors + 1))
}

# own_libraries LAYER: what it may use of LIBRARIES.
own_libraries() {
	case $1 in
	conntrack) echo "libmnl/|libnetfilter_conntrack/" ;;
	sync) echo "openssl/" ;;
	rules) echo "libmnl/|libnftnl/" ;;
	nfq) echo "libmnl/|libnetfilter_queue/" ;;
	bpf) echo "libmnl/|bpf/" ;;
	*) echo "nothing" ;;
	esac
}

# quoted_include LAYER FILE HEADER: our own headers, by their folder.
quoted_include() {
	case $3 in
	core/*) ;;
	"$1"/*) ;;
	*/*) complain "$2 includes \"$3\", which $1 must not know" ;;
	*) [ -e "$TOP/$1/$3" ] || complain "$2 includes \"$3\", which is no header of $1" ;;
	esac
}

# system_include LAYER FILE HEADER
system_include() {
	if [ "$1" = core ]; then
		[[ $3 =~ ^($CORE_SYSTEM)$ ]] || complain "$2 includes <$3>, which core must not use"
	elif [[ $3 =~ ^($LIBRARIES) ]] && ! [[ $3 =~ ^($(own_libraries "$1")) ]]; then
		complain "$2 includes <$3>, which is not $1's own library"
	fi
}

check_includes() {
	local layer=$1 file kind header
	while IFS=: read -r file kind header; do
		if [ "$kind" = '"' ]; then
			quoted_include "$layer" "$file" "$header"
		else
			system_include "$layer" "$file" "$header"
		fi
	done < <(cd "$TOP" && grep -HE '^[[:space:]]*#[[:space:]]*include' "$layer"/*.[ch] 2>/dev/null |
		sed -nE 's/^([^:]*):[^<"]*([<"])([^>"]*)[>"].*/\1:\2:\3/p')
}

# needed LIBRARY: the symbols it needs and does not define itself.
needed() {
	comm -23 <(nm -u "$1" | awk 'NF == 2 { print $2 }' | sort -u) <(nm --defined-only "$1" | awk 'NF == 3 { print $3 }' | sort -u)
}

check_core_symbols() {
	local lib=$OBJ/libdsaacore.a allowed="$CORE_SYMBOLS|$COMPILER_SYMBOLS" s
	[ -e "$lib" ] || die "$lib is not built"
	grep -q 'fsanitize=' "$OBJ/Makefile" && allowed="$allowed|$SANITIZER_SYMBOLS"
	for s in $(needed "$lib"); do
		[[ $s =~ ^($allowed)$ ]] || complain "core needs the symbol $s ($(users "$lib" "$s"))"
	done
}

# users LIBRARY SYMBOL: the objects that need it.
users() {
	nm -uA "$1" | awk -v s="$2" '$NF == s { sub(/:$/, "", $1); n = split($1, p, ":"); print p[n] }' | tr '\n' ' '
}

check_edge_symbols() {
	local lib=$OBJ/libdsaa$1.a s
	[ -e "$lib" ] || die "$lib is not built"
	for s in $(comm -12 <(needed "$lib") <(nm -D --defined-only "$(frr_libdir)/libfrr.so.0" | awk '{ print $3 }' | sort -u)); do
		# What the C library has as well is taken from there.
		nm -D --defined-only "$libc" | awk '{ sub(/@.*/, "", $3); print $3 }' | grep -qx "$s" ||
			complain "$1 takes the symbol $s from libfrr ($(users "$lib" "$s"))"
	done
}

libc=$(ldd /bin/sh | sed -n 's/.*libc\.so\.6 => \([^ ]*\) .*/\1/p')
check_includes core
check_core_symbols
for edge in $EDGES; do
	check_includes "$edge"
	check_edge_symbols "$edge"
done
[ $errors -eq 0 ] || die "$errors layering errors"
echo "layers: nothing known that must not be"
