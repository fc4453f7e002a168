#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Reads the code without running it; run by ./quickstart lint after the set-up. Each check prints one line, and what it found; the last
# line counts. The tools are those of Debian 12 (clang 14, cppcheck 2.10): newer ones format otherwise and ask for other things.
#
# usage: lint.sh [--quick | CHECK...]      --quick: format and style alone, of which format is left out where there is another clang-format

set -eu
. "$(dirname "$(readlink -f "$0")")/common.sh"

LINT=$BUILD/lint
CHECKS="format style python shell cppcheck gcc clang tidy"
CLANG_VERSION=14
# What cppcheck says that is not wrong here:
#  variableScope                 declarations stand where the block of the function begins, as FRR's do
#  shadowFunction, shadowVariable    a local may be called as a function of the file is
#  unusedStructMember            layouts of the kernel are written down whole
#  arithOperationsOnVoidPointer  GNU C has it
#  usleepCalled, rand_rCalled, getpwnamCalled    obsolescent, but right where they stand: waits of a millisecond, replay from a seed,
#                                before there is a second thread
# In the tests it also takes what is written through a pointer, by a system call or a callback, for what is never written or read.
CPPCHECK_NOT="variableScope shadowFunction shadowVariable unusedStructMember arithOperationsOnVoidPointer usleepCalled rand_rCalled
	getpwnamCalled unreadVariable:tests/* redundantAssignment:tests/* knownConditionTrueFalse:tests/* unassignedVariable:tests/*"

# tracked PATTERN...: files of the project.
tracked() {
	git -c safe.directory='*' ls-files -- "$@"
}

scripts_of() {
	tracked | xargs -d '\n' grep -lE "^#!$1" 2>/dev/null || true
}

# version COMMAND: the first number of its version.
version() {
	"$1" --version 2>/dev/null | sed -nE 's/.*version:? ([0-9]+).*/\1/p' | head -n 1
}

check_format() {
	tracked '*.c' '*.h' | xargs clang-format --dry-run -Werror 2>&1 | grep -E ': (error|warning):' || true
}

check_style() {
	"$TOP/scripts/check-style.py" | grep -v '^style: ' || true
}

check_python() {
	{ tracked '*.py'; scripts_of '/usr/bin/python3'; } | sort -u | xargs pyflakes3 || true
}

check_shell() {
	scripts_of '/bin/(ba)?sh' | xargs shellcheck -x -f gcc -S warning || true
}

check_cppcheck() {
	local not=() id
	set -f
	for id in $CPPCHECK_NOT; do
		not+=("--suppress=$id")
	done
	set +f
	tracked '*.c' | xargs cppcheck -q -j"$(nproc)" --enable=warning,performance,portability,style --inline-suppr --std=c11 \
		--platform=unix64 -I. --library=posix --library=scripts/cppcheck.xml "${not[@]}" --suppress='unmatchedSuppression' \
		--template='{file}:{line}: {severity}: {message} [{id}]' 2>&1 | sort -u
}

# build COMPILER FLAGS: every program with -Wall -Wextra -Werror; what the compiler says, and the end of the log when there is no
# warning but the build failed.
build() {
	local dir=$LINT/$1
	mkdir -p "$dir"
	[ "$dir/Makefile" -nt "$TOP/configure" ] ||
		(cd "$dir" && "$TOP/configure" -q --with-frr-sdk="$BUILD/sdk" --enable-werror CC="$1" CFLAGS="$2") >"$dir.log" 2>&1 ||
		{ tail -n 5 "$dir.log"; return; }
	make -C "$dir" -k -j"$(nproc)" programs >"$dir.log" 2>&1 && return
	grep -E ': (warning|error): ' "$dir.log" | sort -u || tail -n 5 "$dir.log"
}

check_gcc() {
	build gcc "-g -O2"
}

# What clang writes down of each compilation is what clang-tidy goes by.
check_clang() {
	mkdir -p "$LINT/commands"
	build clang "-g -O1 -Wno-unused-command-line-argument -gen-cdb-fragment-path $LINT/commands"
}

# compile_commands: merges what clang wrote down; prints the files that are still there, without those that were generated.
compile_commands() {
	/usr/bin/python3 - "$LINT" "$TOP" <<-'END'
		import json, os, pathlib, sys
		lint, top = map(pathlib.Path, sys.argv[1:])
		by_file = {}
		for f in sorted((lint / "commands").iterdir(), key=lambda p: p.stat().st_mtime):
		    entry = json.loads(f.read_text().rstrip().rstrip(","))
		    path = os.path.realpath(os.path.join(entry["directory"], entry["file"]))
		    if os.path.exists(path) and not path.startswith(str(lint)):
		        by_file[path] = entry
		(lint / "compile_commands.json").write_text(json.dumps(list(by_file.values())))
		print("\n".join(sorted(by_file)))
	END
}

# One process per file: in one for several, clang 14 mistakes the va_list of the second. Its findings in what bpftool generated are
# left out.
check_tidy() {
	local files rc=0
	[ -d "$LINT/commands" ] || check_clang
	files=$(compile_commands)
	[ -n "$files" ] || { echo "clang wrote down nothing that it compiled"; return; }
	xargs -n 1 -P "$(nproc)" clang-tidy --quiet -p "$LINT" <<<"$files" >"$LINT/tidy.log" 2>/dev/null || rc=$?
	grep -E ': (warning|error): ' "$LINT/tidy.log" | grep -v '_skel\.h:' | sed -E "s|^(.*/)?\.\./\.\./\.\./||; s|^$TOP/||" | sort -u || true
	# of findings it is 123
	[ $rc -lt 124 ] || echo "clang-tidy did not run to its end"
}

# run CHECK: its findings below its line.
run() {
	local begin=$EPOCHREALTIME found
	"check_$1" >"$LINT/$1.txt" 2>&1
	found=$(wc -l <"$LINT/$1.txt")
	printf '%-10s %3d findings  %6s s\n' "$1" "$found" "$(seconds "$begin")"
	sed 's/^/    /' "$LINT/$1.txt"
	checks=$((checks + 1))
	findings=$((findings + found))
}

cd "$TOP"
mkdir -p "$LINT"
checks=0 findings=0
if [ "${1:-}" = --quick ]; then
	shift
	set -- style
	if [ "$(version clang-format)" = $CLANG_VERSION ] && tracked >/dev/null 2>&1; then
		set -- format style
	fi
fi
[ $# -gt 0 ] || set -- $CHECKS
[ "$*" = style ] || tracked >/dev/null 2>&1 || die "git alone knows which files are the project's: run it in a work tree"
for c in "$@"; do
	case $c in
	format | tidy) [ "$(version "clang-$c")" = $CLANG_VERSION ] || die "clang-$c $CLANG_VERSION is needed, that of Debian 12" ;;
	style | python | shell | cppcheck | gcc | clang) ;;
	*) die "no such check: $c; there are $CHECKS" ;;
	esac
	run "$c"
done
echo "lint: $checks checks, $findings findings"
[ $findings -eq 0 ]
