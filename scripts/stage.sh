#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Lays out in build/stage what a site's router looks like with dsaad: a copy of the installed FRR's daemons with dsaad and the patched
# frr-reload.py among them, and the rebuilt vtysh. Lab and topotests mount it over /usr/lib/frr and /usr/bin/vtysh of a mount namespace;
# the host's own files are never touched. Files that did not change are left alone, so running labs keep working.
#
# usage: stage.sh [BUILD-FOLDER [STAGE-FOLDER]]      default: build/obj and build/stage

set -eu
. "$(dirname "$0")/common.sh"

OBJ=$(realpath "${1:-$BUILD/obj}")
STAGE=$(realpath -m "${2:-$BUILD/stage}")

# put SOURCE TARGET: replaces TARGET when its content differs, by a rename, so that who runs the old one is not disturbed.
put() {
	cmp -s "$1" "$2" && return
	mkdir -p "${2%/*}"
	cp -a "$1" "$2.new"
	mv -f "$2.new" "$2"
}

[ -x "$OBJ/dsaad/dsaad" ] && [ -x "$OBJ/vtysh/vtysh" ] || die "nothing is built in $OBJ yet: run make there"

version=$(frr_version)
if [ "$(cat "$STAGE/VERSION" 2>/dev/null)" != "$version" ]; then
	rm -rf "$STAGE"
	mkdir -p "$STAGE/usr/lib" "$STAGE/usr/bin"
	cp -a /usr/lib/frr "$STAGE/usr/lib/frr"
	echo "$version" >"$STAGE/VERSION"
fi
put "$OBJ/dsaad/dsaad" "$STAGE/usr/lib/frr/dsaad"
put "$OBJ/vtysh/frr-reload.py" "$STAGE/usr/lib/frr/frr-reload.py"
put "$OBJ/vtysh/vtysh" "$STAGE/usr/bin/vtysh"
