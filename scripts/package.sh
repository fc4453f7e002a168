#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Builds the Debian packages of the last commit into build/package, for the FRR that is installed here; run by ./quickstart package
# after the set-up. Ends with the names of the packages and what lintian says of them; its errors fail.

set -eu
. "$(dirname "$(readlink -f "$0")")/common.sh"

need() {
	local p missing=
	for p in "$@"; do
		dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || missing="$missing $p"
	done
	[ -z "$missing" ] || DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
}

need debhelper lintian
out=$BUILD/package
rm -rf "$out"
mkdir -p "$out/dsaad"
git -C "$TOP" archive HEAD | tar -x -C "$out/dsaad"
cd "$out/dsaad"
# -d: whether all is there was looked after by packages.sh; pkg-config and libyang have other names from one Debian to the next.
DSAA_FRR_SDK=$BUILD/sdk DEB_BUILD_OPTIONS="parallel=$(nproc) nocheck ${DEB_BUILD_OPTIONS:-}" dpkg-buildpackage -b -us -uc -d
cd "$out"
ls -l ./*.deb
lintian --allow-root --fail-on error ./*.changes
