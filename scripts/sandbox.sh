#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs a command in namespaces of its own (mount, network, pid, ipc, uts): what it starts, mounts, names or sets in a network ends with
# it, and it sees nothing of the host's network. Files are the host's.
#
# usage: sandbox.sh COMMAND [ARGUMENT...]

set -eu
. "$(dirname "$0")/common.sh"

if [ "${1:-}" = --inside ]; then
	shift
	mount -t proc proc /proc
	mount -t sysfs sysfs /sys
	mkdir -p /run/netns
	mount -t tmpfs -o mode=755 tmpfs /run/netns
	mount --make-shared /run/netns
	ip link set lo up
	# Not exec: the first process of the namespace has to take in orphans. What bash starts in the background ignores
	# interrupts; tests that interrupt something would wait in vain.
	env --default-signal=INT,QUIT "$@" &
	child=$!
	trap 'kill -TERM $child 2>/dev/null' INT TERM
	rc=0
	wait $child || rc=$?
	exit $rc
fi

need_root "the sandbox"
export DSAA_SANDBOX=1
exec unshare --mount --net --pid --ipc --uts --fork --kill-child --propagation private "$(readlink -f "$0")" --inside "$@"
