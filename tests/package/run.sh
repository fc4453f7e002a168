#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Installs, upgrades, removes and purges the packages of build/package in a copy of a root that holds stock FRR and nothing of ours; what
# is looked at is in in-root.sh. The root without our package (build/package-root) is made once, by debootstrap, and kept.
#
# usage: run.sh      as root; the second half of ./quickstart package

set -eu
. "$(dirname "$(readlink -f "$0")")/../../scripts/common.sh"

need_root "the test of the packages"
deb=$(ls "$BUILD"/package/frr-dsaa_*.deb 2>/dev/null) || die "there is no package: run ./quickstart package first"
base=$BUILD/package-root

# What the package needs, without what it says of versions; frr-pythontools is recommended only.
dependencies() {
	dpkg-deb -f "$deb" Depends | tr ',' '\n' | sed -e 's/([^)]*)//; s/|.*//; s/:any//; s/ //g'
	echo frr-pythontools conntrack iproute2 nftables procps
}

make_base() {
	local suite mirror
	. /etc/os-release
	suite=$VERSION_CODENAME
	mirror=$(apt-cache madison base-files | awk -F' *[|] *' '{ split($3, w, " "); print w[1] }' | grep -v security | head -n 1)
	rm -rf "$base.new"
	debootstrap --variant=minbase "$suite" "$base.new" "$mirror"
	cp -a /etc/apt/sources.list* "$base.new/etc/apt/" 2>/dev/null || true
	printf '#!/bin/sh\nexit 101\n' >"$base.new/usr/sbin/policy-rc.d"
	chmod 755 "$base.new/usr/sbin/policy-rc.d"
	DSAA_IN_ROOT_NET=host "$TOP/scripts/in-root.sh" "$base.new" sh -c \
		"apt-get update -q && apt-get install -y -q --no-install-recommends $(dependencies | tr '\n' ' ')"
	dependencies >"$base.new.list"
	mv "$base.new" "$base"
	mv "$base.new.list" "$base.list"
}

# A root that was made for other dependencies is made anew.
dependencies | cmp -s - "$base.list" || rm -rf "$base"
[ -e "$base" ] || make_base
root=$(mktemp -d "$BUILD/package-test.XXXXXX")
trap 'rm -rf "$root"' EXIT
cp -a "$base/." "$root/"
cp "$deb" "$root/root/frr-dsaa.deb"
cp "$TOP/tests/package/in-root.sh" "$root/root/test.sh"
cp "$TOP/tests/package/filters.py" "$root/root/"
"$TOP/scripts/in-root.sh" "$root" bash /root/test.sh
