#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Installs the Debian packages that building, testing and the lab need, on Debian 12 and 13. Ends within a second when all are there.
# No service of the host is started or enabled by it: a package whose unit is new to this host has that unit disabled.
#
# usage: packages.sh [--lint | --kernel] [--list]     --lint, --kernel: those of that command of ./quickstart, too; --list prints the
# packages and installs nothing

set -eu
. "$(dirname "$0")/common.sh"

BUILD_TOOLS="build-essential dpkg-dev autoconf automake libtool pkg-config bison flex gawk git ca-certificates texinfo
	python3 python3-dev protobuf-c-compiler"
LIBRARIES="libjson-c-dev libcap-dev libelf-dev libreadline-dev libpcre2-dev libc-ares-dev libpam0g-dev libssl-dev
	libprotobuf-c-dev libsnmp-dev librtr-dev lua5.3 liblua5.3-dev
	libmnl-dev libnetfilter-conntrack-dev libnetfilter-queue-dev libnftnl-dev libseccomp-dev"
# Correction in the kernel; without them everything builds all the same.
FAST_PATH="clang bpftool libbpf-dev"
# clang's sanitizers and libFuzzer, for tests/fuzz (3 MB); without them that is skipped.
FUZZ="libclang-rt-dev"
# Not used, but stock vtysh has the commands of the SNMP and RPKI modules, so the rebuilt one reads them from there.
FRR="frr frr-pythontools frr-snmp frr-rpki-rtrlib"
TESTS="python3-pytest python3-yaml procps psmisc kmod netbase iproute2 iputils-ping nftables iptables conntrack conntrackd tcpdump tshark ethtool iperf3 curl
	openssh-client openssh-server openssl debootstrap libfaketime"
# The manual and the lab in Mininet; yanglint for the YANG module is yanglint().
DOC="python3-sphinx mininet"
# Only for ./quickstart lint.
LINT="clang-format clang-tidy cppcheck shellcheck pyflakes3"
# Only for ./quickstart kernel.
KERNEL="qemu-system-x86 busybox-static xz-utils cpio"

# The units that these packages bring; whoever wants them enables them himself.
UNITS="frr ssh conntrackd"

packages() {
	echo $BUILD_TOOLS $LIBRARIES $FAST_PATH $FUZZ $FRR $TESTS $DOC $more "$(libyang_dev)" "$(yanglint)"
}

# libyang_dev: Debian 12 calls it libyang2-dev, later ones libyang-dev.
libyang_dev() {
	local p
	for p in libyang-dev libyang2-dev; do
		if installed "$p"; then
			echo "$p"
			return
		fi
	done
	if apt-cache show libyang-dev 2>/dev/null | grep -q '^Package: libyang-dev$'; then
		echo libyang-dev
	else
		echo libyang2-dev
	fi
}

# yanglint: the package that has it, by the version of libyang.
yanglint() {
	local p
	for p in libyang2-tools libyang3-tools; do
		if installed "$p" || apt-cache show "$p" 2>/dev/null | grep -q "^Package: $p\$"; then
			echo "$p"
			return
		fi
	done
	echo libyang-tools
}

installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# missing: those of the packages that are not installed, one per line. One dpkg-query for all keeps the usual case quick.
missing() {
	packages | tr -s ' \t' '\n' | sort -u >"$tmp/want"
	xargs dpkg-query -W -f '${db:Status-Status} ${Package}\n' <"$tmp/want" 2>/dev/null |
		sed -n 's/^installed //p' | sort -u >"$tmp/have" || true
	comm -23 "$tmp/want" "$tmp/have"
}

# hold_services: asks invoke-rc.d to start nothing while packages are unpacked; an administrator's own policy stays as it is.
hold_services() {
	[ -e /usr/sbin/policy-rc.d ] && return
	printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
	chmod 755 /usr/sbin/policy-rc.d
	policy_is_ours=1
}

cleanup() {
	[ -z "$policy_is_ours" ] || rm -f /usr/sbin/policy-rc.d
	rm -rf "$tmp"
}

unit_known() {
	[ -e "/lib/systemd/system/$1.service" ] || [ -e "/etc/init.d/$1" ]
}

install_packages() {
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
		-o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 "$@"
}

policy_is_ours=
tmp=$(mktemp -d)
trap cleanup EXIT
trap 'exit 130' INT TERM

more=
case ${1:-} in
--lint) more=$LINT; shift ;;
--kernel) more=$KERNEL; shift ;;
esac
if [ "${1:-}" = --list ]; then
	packages | tr -s ' \t' '\n'
	exit 0
fi

[ -n "$(missing)" ] || exit 0
need_root "installing packages"
new_units=
for u in $UNITS; do
	unit_known "$u" || new_units="$new_units $u"
done
hold_services
# An index that is missing or too old shows as an install that fails: then, and only then, it is fetched again. A fresh
# index may also tell another name for libyang.
# shellcheck disable=SC2046 # one word per package
install_packages $(missing) || {
	apt-get update -q
	install_packages $(missing)
}
for u in $new_units; do
	if command -v systemctl >/dev/null; then
		systemctl --quiet disable "$u.service" 2>/dev/null || true
	fi
done
left=$(missing)
[ -z "$left" ] || die "these packages could not be installed:" $left
