#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs a command inside another distribution's root folder, in namespaces of its own (mount, network, pid, ipc, uts), so that
# network namespaces, FRR and the lab work in there as they do on a machine of that distribution. All of it ends with the command.
#
# usage: in-root.sh ROOT COMMAND [ARGUMENT...]
#
# The root becomes a mount point and is entered by pivot_root: under a plain chroot "ip netns" fails, because "/" is no mount point.

set -eu
. "$(dirname "$0")/common.sh"

# enter ROOT COMMAND...: second half, already inside the namespaces.
enter() {
	local root=$1 old
	shift
	mount --bind "$root" "$root"
	mount -t proc proc "$root/proc"
	mount -t sysfs sysfs "$root/sys"
	mount -t tmpfs tmpfs "$root/run"
	mkdir -p "$root/run/lock" "$root/run/netns"
	mount --rbind /dev "$root/dev"
	mount -t tmpfs tmpfs "$root/dev/shm"
	mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup" 2>/dev/null || true
	# How names are resolved belongs to the machine, not to the distribution.
	cat /etc/resolv.conf >"$root/etc/resolv.conf" 2>/dev/null || true
	# Without a network of its own (the usual way) the root still wants its loopback.
	ip link set lo up
	cd "$root"
	# A name of its own: two may enter the same root at once.
	old=$(mktemp -d .old-root.XXXXXX)
	pivot_root . "$old"
	umount -l "/$old"
	rmdir "/$old"
	mount --make-rshared /
	cd /
	exec env -i HOME=/root TERM="${TERM:-dumb}" LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive PATH="$PATH" "$@"
}

if [ "${1:-}" = --enter ]; then
	shift
	enter "$@"
fi

[ $# -ge 2 ] || die "usage: in-root.sh ROOT COMMAND [ARGUMENT...]"
need_root "entering a root folder"
root=$(readlink -f "$1")
[ -x "$root/bin/sh" ] || die "$1 is not the root of a distribution"
shift
# DSAA_IN_ROOT_NET=host keeps the machine's network: installing packages needs it.
net=--net
[ "${DSAA_IN_ROOT_NET:-}" != host ] || net=
exec unshare --mount $net --pid --ipc --uts --fork --kill-child --propagation private \
	"$(readlink -f "$0")" --enter "$root" "$@"
