#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# "make distcheck" of build/obj with /usr and /etc read-only: a source archive is made and unpacked, and from it everything is
# configured, built, tested, installed below a prefix of its own, and removed without a trace. An installation that strays outside that
# prefix fails. What git knows must all be in the archive. Run by ./quickstart distcheck inside scripts/sandbox.sh, after the set-up.
#
# usage: distcheck.sh [MAKE-ARGUMENT...]      TESTS= leaves out the tests

set -eu
. "$(dirname "$(readlink -f "$0")")/common.sh"

[ "${DSAA_SANDBOX:-}" = 1 ] || die "run ./quickstart distcheck"

# Known to git, but of no use in a released archive.
NOT_RELEASED='^\.gitignore$|^\.ci/'

for f in /usr /etc; do
	mount --bind "$f" "$f"
	mount -o remount,ro,bind "$f"
done

cd "$BUILD/obj"
make distcheck "$@"

archive=$(ls "$BUILD"/obj/dsaad-*.tar.gz)
missing=$(comm -23 <(git -c safe.directory='*' -C "$TOP" ls-files | grep -vE "$NOT_RELEASED" | sort) \
	<(tar -tzf "$archive" | sed -n 's|^[^/]*/||; /./p' | sort))
[ -z "$missing" ] || die "not in the archive: $missing"
made=$(tar -tzf "$archive" | grep -E '\.(log|trs|o|a|pyc)$' || true)
[ -z "$made" ] || die "left by a build, and in the archive: $made"
echo "${archive##*/}: complete, builds, installs below its prefix only"
