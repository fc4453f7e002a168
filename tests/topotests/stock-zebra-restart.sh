#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Shows what stock FRR does when zebra alone is killed and started again: three routers in a row, zebra, bgpd and bfdd of the installed
# FRR, no dsaad. The one in the middle loses its zebra; the script tells which BGP and BFD sessions are up before, SECONDS after,
# and after bfdd was started again, which is the way out that doc/user/operation.rst names. It is a race: bfdd and bgpd both look for
# zebra once a second, and the sessions are lost when bfdd finds it first. Nothing passes or fails here.
#
#   left 192.0.2.11 ---- 192.0.2.1 middle 10.1.0.1 ---- 10.1.0.10 right      (and IPv6; left and right are passive)
#
# usage: in a root of the Debian in question: scripts/sandbox.sh tests/topotests/stock-zebra-restart.sh [RUNS [SECONDS]]

set -eu
runs=${1:-1} seconds=${2:-40}
[ -n "${DSAA_SANDBOX:-}" ] || { echo "run it in scripts/sandbox.sh" >&2; exit 1; }
# each router's daemons have a path of their own below it (-N)
run=/var/run/frr
mkdir -p $run
chown frr:frr $run
mount -t tmpfs -o mode=755,uid="$(id -u frr)",gid="$(id -g frr)" tmpfs $run
trap stop_all EXIT

stop_all() {
	local f n
	for f in "$run"/*/*.pid; do
		[ ! -e "$f" ] || kill "$(cat "$f")" 2>/dev/null || true
	done
	sleep 1
	for n in left middle right; do ip netns del "zr-$n" 2>/dev/null || true; done
	rm -rf "${run:?}"/*
}

# start ROUTER DAEMON: with its part of the configuration.
start() {
	ip netns exec "zr-$1" "/usr/lib/frr/$2" -d -A 127.0.0.1 -N "$1" -f "$run/$1/$2.conf" \
		--log "file:$run/$1/$2.log" --log-level debug >/dev/null 2>&1 </dev/null
}

ask() {
	vtysh -N "$1" -c "$2" 2>/dev/null
}

# neighbors AS ADDRESS...: the lines of bgpd for them.
neighbors() {
	local as=$1 a f=4
	shift
	for a in "$@"; do
		printf ' neighbor %s %s\n' "$a" "remote-as $as" "$a" bfd "$a" "timers 3 9" "$a" "timers connect 1"
		[ -z "${passive:-}" ] || echo " neighbor $a passive"
		case $a in *:*) f=6 ;; *) f=4 ;; esac
		printf ' address-family ipv%s unicast\n  neighbor %s activate\n exit-address-family\n' $f "$a"
	done
}

# router NAME ID AS LINES-OF-NEIGHBORS
router() {
	local d=$run/$1
	mkdir -p "$d"
	chown frr:frr "$d"
	: >"$d/zebra.conf"
	: >"$d/bfdd.conf"
	printf 'router bgp %s\n bgp router-id %s\n no bgp ebgp-requires-policy\n no bgp default ipv4-unicast\n%s\n' "$3" "$2" "$4" >"$d/bgpd.conf"
	for daemon in zebra bfdd bgpd; do start "$1" $daemon; done
}

# established: of the four sessions of the router in the middle, which are; and at whom BFD is up, as its neighbours say.
state() {
	local up bfd
	up=$(ask middle "show bgp summary established" | awk '$1 ~ /[.:]/ && $2 == 4 { printf " %s", $1 }')
	bfd=$(for n in left right; do ask $n "show bfd peers brief" | awk '$4 == "up" || $NF == "up" { printf " %s", $3 }'; done)
	printf '  %-28s BGP:%s\n  %-28s BFD:%s\n' "$1" "${up:- none}" "" "${bfd:- none}"
}

one_run() {
	local n
	for n in left middle right; do
		ip netns add "zr-$n"
		ip -n "zr-$n" link set dev lo up
		ip netns exec "zr-$n" sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0 \
			net.ipv4.conf.all.forwarding=1 net.ipv6.conf.all.forwarding=1
	done
	ip link add out netns zr-middle type veth peer name m netns zr-left
	ip link add in netns zr-middle type veth peer name m netns zr-right
	ip -n zr-left addr add 192.0.2.11/24 dev m
	ip -n zr-left addr add 2001:db8:1::11/64 dev m
	ip -n zr-right addr add 10.1.0.10/24 dev m
	ip -n zr-right addr add 2001:db8:a1::10/64 dev m
	ip -n zr-middle addr add 192.0.2.1/24 dev out
	ip -n zr-middle addr add 2001:db8:1::1/64 dev out
	ip -n zr-middle addr add 10.1.0.1/24 dev in
	ip -n zr-middle addr add 2001:db8:a1::1/64 dev in
	for n in left right; do ip -n "zr-$n" link set dev m up; done
	for n in in out; do ip -n zr-middle link set dev $n up; done
	sleep 1
	router left 10.255.0.11 65101 "$(passive=y neighbors 65010 192.0.2.1 2001:db8:1::1)"
	router right 10.255.0.10 65200 "$(passive=y neighbors 65010 10.1.0.1 2001:db8:a1::1)"
	router middle 10.255.0.1 65010 "$(neighbors 65101 192.0.2.11 2001:db8:1::11; neighbors 65200 10.1.0.10 2001:db8:a1::10)"
	sleep 15
	state "before"
	kill -9 "$(cat "$run/middle/zebra.pid")"
	sleep 0.3
	start middle zebra
	sleep "$seconds"
	state "$seconds s after zebra's restart"
	awk '/ starting: / { who = "" } / says hello / { sub(/ routes.*/, ""); who = who " " $NF }
		END { print "  found zebra again, in this order:" who }' "$run/middle/zebra.log"
	kill -9 "$(cat "$run/middle/bfdd.pid")"
	sleep 0.3
	start middle bfdd
	sleep 10
	state "10 s after bfdd's restart"
	stop_all
}

/usr/lib/frr/zebra --version | head -n 1
for i in $(seq "$runs"); do
	echo "run $i:"
	one_run
done
