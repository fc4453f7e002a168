#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs in the guest of scripts/stock-kernel.sh as its process 1, after init: makes the machine fit for the tests, runs what was ordered,
# says how it ended and switches off.

export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root TERM=dumb
out=/run/kernel-out

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm /run/lock /run/netns /run/frr /var/log/frr
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
# kmod makes this node at the boot of a real machine; the module comes when it is opened
mkdir -p /dev/net
mknod /dev/net/tun c 10 200
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t securityfs securityfs /sys/kernel/security 2>/dev/null
mount --make-rshared /
exec </dev/null >/dev/ttyS0 2>&1
hostname stock-kernel
ip link set lo up
chown frr:frr /run/frr /var/log/frr
dmesg -n 4

# shellcheck source=/dev/null
. $out/order
# shellcheck disable=SC2154 # the order names the folder
cd "$top" || exit 1
read -r up _ </proc/uptime
echo "dsaa-kernel: $(uname -r), $(nproc) processors, up after $up s"
rc=0
if [ "${1:-}" = -- ]; then
	shift
	"$@" || rc=$?
else
	tests/kernel/run.sh "$@" || rc=$?
fi
dmesg >$out/dmesg.log
sync
echo "dsaa-kernel: end $rc"
sleep 1
echo o >/proc/sysrq-trigger
sleep 60
