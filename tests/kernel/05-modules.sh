#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# dsaad on a machine that has just booted, started by FRR's own script: first without the kernel modules it needs, which come one by one,
# then with all of them, none of which is loaded. What is absent has to be named in "show dsaa"; what is there has to be loaded.
# Runs first: later ones load modules.

. "$(dirname "$0")/lib.sh"

# What dsaad uses, in the order in which their absence shows.
MODULES="nf_conntrack_netlink tun nfnetlink_queue nft_ct nft_queue vxlan"
ABSENT=/etc/modprobe.d/dsaa-absent.conf
CONFIG="hostname alone
log file /var/log/frr/frr.log informational
interface eth0
exit
dsaa
 cluster-id 7
 site 1
  sync-address 172.16.0.1
  uips eth0 192.0.2.1/24
 exit
 site 2
  sync-address 172.16.0.2
 exit
exit
"

prepare() {
	mount --bind "$TOP/build/stage/usr/lib/frr" /usr/lib/frr
	mount --bind "$TOP/build/stage/usr/bin/vtysh" /usr/bin/vtysh
	ip link add eth0 type veth peer name far0
	ip link add sync0 type veth peer name far1
	for i in eth0 far0 sync0 far1; do
		ip link set $i up
	done
	ip addr add 172.16.0.1/24 dev sync0
	printf '%s' "$CONFIG" >/etc/frr/frr.conf
	{
		sed -n '/^vtysh_enable/p; /_options=/p' /etc/frr/daemons
		cat "$TOP/debian/daemons.dsaad"
		# it kills a daemon that takes over 20 s to start
		echo 'watchfrr_options="-T 200 -t 100"'
	} >/run/daemons
	cp /run/daemons /etc/frr/daemons
	chown frr:frr /etc/frr/*
}

absent() {
	local m
	# at no moment is one not named that shall be absent: dsaad asks again all the time
	for m in "$@"; do
		echo "install $m /bin/false"
		# it would do in its place
		[ "$m" != nft_queue ] || echo "install xt_NFQUEUE /bin/false"
	done >$ABSENT.new
	mv $ABSENT.new $ABSENT
}

# told WORD: what "show dsaa" and "show dsaa correction" say holds that word.
told() {
	for _ in $(seq 15); do
		{
			vtysh -c 'show dsaa' -c 'show dsaa sync' -c 'show dsaa correction' -c 'show dsaa correction json'
		} >/run/told 2>&1
		! grep -q "$1" /run/told || return 0
		sleep 1
	done
	return 1
}

without() {
	local rc=0 m left
	# shellcheck disable=SC2086 # one word per module
	absent $MODULES
	/usr/lib/frr/frrinit.sh start >/run/start.log 2>&1 </dev/null
	left=$MODULES
	for m in $MODULES; do
		# shellcheck disable=SC2086 # one word per module
		absent $left
		# one that has come is found without a restart, but the programs of the fast path are loaded at the start
		/usr/lib/frr/watchfrr.sh restart dsaad >/run/start.log 2>&1 </dev/null
		if told "\b$m\b"; then
			echo "without $m and later ones: named"
		else
			echo "without $left: $m is not named, but:"
			sed '/^{/,$d' /run/told
			grep -h '"why"' /run/told
			lsmod | grep -E "^(${MODULES// /|}) "
			tail -n 20 /var/log/frr/frr.log
			rc=1
		fi
		left=${left#"$m"}
		left=${left# }
	done
	absent
	return $rc
}

with() {
	absent
	/usr/lib/frr/frrinit.sh start >/run/start.log 2>&1 </dev/null
	told '"dataPath": *"kernel"' && ! grep -iE 'no fast path|cannot|missing' /run/told
	local rc=$?
	[ $rc = 0 ] || cat /run/told
	/usr/lib/frr/frrinit.sh stop >/run/start.log 2>&1 </dev/null
	"$TOP/build/stage/usr/lib/frr/dsaad" --sweep
	[ $rc != 0 ] || echo "the fast path runs, the modules were loaded"
	return $rc
}

case ${1:-} in
with | without) "$1" ; exit ;;
esac
prepare
for m in $MODULES; do
	! grep -q "^$m " /proc/modules || echo "$m is loaded already: the tests before this one have asked for it"
done
part modules-loaded 200 "$0" with
for m in tun vxlan nft_queue nfnetlink_queue nf_conntrack_netlink nft_ct; do
	modprobe -r $m
done
part modules-absent 500 "$0" without
/usr/lib/frr/frrinit.sh stop >/run/start.log 2>&1 </dev/null
"$TOP/build/stage/usr/lib/frr/dsaad" --sweep
ip link del eth0
ip link del sync0
# pytest and others want the folders as a package leaves them
umount /usr/bin/vtysh /usr/lib/frr
