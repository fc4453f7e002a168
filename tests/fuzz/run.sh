#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Builds the fuzz targets with clang and libFuzzer, address and undefined-behaviour sanitizers in them, and runs each over the kept
# corpus and then over FUZZ_RUNS inputs made from it. Ends with a table, and exits 1 after a finding, 77 when there is no libFuzzer.
#
#	FUZZ_RUNS=n	inputs per target (20000)
#	FUZZ_SECONDS=n	at most so long per target (no limit)
#	FUZZ_SEED=n	where the inputs' chance begins (1: the same ones every time)
#	FUZZ_TARGETS=	some of the targets (all)
#	FUZZ_KEEP=1	puts what reaches new code into the corpus
#
# A finding stays in tests/fuzz of the build folder; "fuzz_TARGET FILE" there runs it again.

set -u
top=$(readlink -f "${top_srcdir:-$(dirname "$0")/../..}")
out=$PWD/tests/fuzz
runs=${FUZZ_RUNS:-20000}
CLANG=${CLANG:-clang}
flags="-std=gnu11 -w -g -O1 -D_GNU_SOURCE -fno-omit-frame-pointer -fno-sanitize-recover=undefined -I$top"
mkdir -p "$out/core"

has_fuzzer() {
	command -v "$CLANG" >/dev/null || { echo "there is no clang"; return 1; }
	echo 'int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n) { return !d && n; }' >"$out/probe.c"
	"$CLANG" -fsanitize=fuzzer,address,undefined -o "$out/probe" "$out/probe.c" 2>"$out/probe.log" ||
		{ echo "$CLANG has no libFuzzer (Debian: apt install libclang-rt-dev)"; return 1; }
}

# built FILE SOURCE...: FILE is there, and newer than everything that it may be made of.
built() {
	local file=$1
	[ -e "$file" ] && [ -z "$(find "$top/core" "$top/conntrack" "$top/nfq" "$top/tests/fuzz" -name '*.[ch]' -newer "$file" -print -quit)" ]
}

build_core() {
	built "$out/core/done" && return
	(cd "$out/core" && "$CLANG" $flags -fsanitize=fuzzer-no-link,address,undefined -c "$top"/core/*.c) && touch "$out/core/done"
}

# What a target is linked with besides core: the sources as they are.
sources() {
	case $1 in
	netlink) echo "$top"/conntrack/*.c -lmnl -lnetfilter_conntrack ;;
	tunnel | queue) echo "$top"/nfq/*.c -lmnl -lnetfilter_queue -lpthread ;;
	esac
}

build() {
	built "$out/fuzz_$1" && return
	# shellcheck disable=SC2046 # one word per source
	"$CLANG" $flags -fsanitize=fuzzer,address,undefined -o "$out/fuzz_$1" "$top/tests/fuzz/fuzz_$1.c" "$out"/core/*.o $(sources "$1")
}

longest() {
	case $1 in
	session) echo 600 ;;
	*) echo 2048 ;;
	esac
}

# run TARGET: its line of the table.
run() {
	local corpus=$top/tests/fuzz/corpus/$1 log=$out/$1.log found rc=0
	found=$(mktemp -d)
	[ -z "${FUZZ_KEEP:-}" ] || { rm -rf "$found" && found=$corpus && mkdir -p "$found"; }
	"$out/fuzz_$1" -runs="$runs" -max_total_time="${FUZZ_SECONDS:-0}" -seed="${FUZZ_SEED:-1}" -timeout=10 -max_len="$(longest "$1")" \
		-print_final_stats=1 -artifact_prefix="$out/$1-" "$found" "$corpus" >"$log" 2>&1 || rc=1
	[ "$found" = "$corpus" ] || rm -rf "$found"
	printf '%-10s %12s executions %8s a second %6s edges   %s\n' "$1" \
		"$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" "$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")" \
		"$(sed -n 's/.*cov: \([0-9]*\).*/\1/p' "$log" | tail -1)" "$([ $rc = 0 ] && echo "no finding" || echo "FINDING, see $log")"
	return $rc
}

why=$(has_fuzzer) || {
	echo "skipped: $why"
	exit 77
}
build_core || exit 1
passed=0 failed=0
for t in ${FUZZ_TARGETS:-wire session packet netlink tunnel queue}; do
	if build "$t" && run "$t"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
done
echo "$(awk '/^stat::number_of_executed_units/ { n += $2 } END { print n }' "$out"/*.log) executions in all"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
