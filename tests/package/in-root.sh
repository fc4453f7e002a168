#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The test of the package, inside a root with stock FRR; run by run.sh. Ends with "N passed, N failed".

set -u
cd /root || exit 1
DEB=/root/frr-dsaa.deb
passed=0 failed=0

# ok WHAT COMMAND...: the command must succeed.
ok() {
	local what=$1 out
	shift
	if out=$("$@" 2>&1); then
		passed=$((passed + 1))
		echo "ok      $what"
	else
		failed=$((failed + 1))
		printf 'FAILED  %s\n' "$what"
		echo "$out" | tail -n 20 | sed 's/^/        /'
	fi
}

not() { ! "$@"; }

# Every file, folder and link with mode, owner and content. Logs, and caches that any installation renews, are left out.
snapshot() {
	find /usr /etc /var/lib/frr -xdev \( -path /etc/ld.so.cache -o -path /etc/resolv.conf -o -name __pycache__ \) -prune -o \
		-printf '%y %m %u %g %p -> %l\n' 2>/dev/null | sort
	find /usr /etc -xdev \( -path /etc/ld.so.cache -o -path /etc/resolv.conf -o -name __pycache__ \) -prune -o -type f -print0 |
		sort -z | xargs -0 sha256sum
}

same() { snapshot >/root/now && diff "$1" /root/now; }
stock_verifies() { [ -z "$(dpkg -V frr frr-pythontools)" ]; }
installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' frr-dsaa 2>/dev/null)" = installed ]; }
diverted() { [ "$(dpkg-divert --listpackage "$1")" = frr-dsaa ] && [ -f "$1.frr" ] && [ -x "$1" ]; }
answers() { vtysh -c "$1" | grep -q "$2"; }

# soon COMMAND...: within 20 seconds.
soon() {
	local _
	for _ in $(seq 100); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.2
	done
	"$@"
}

start() {
	mkdir -p /run/frr
	chown frr:frr /run/frr
	/usr/lib/frr/frrinit.sh start </dev/null >/root/start.log 2>&1
}
stop() { /usr/lib/frr/frrinit.sh stop </dev/null >/dev/null 2>&1; }
# FRR's reload starts watchfrr anew, which in FRR 10 keeps its output open for ever: so not into a pipe.
reload() { /usr/lib/frr/frrinit.sh reload </dev/null >/root/reload.log 2>&1 || { cat /root/reload.log; return 1; }; }
no_daemons() { ! pgrep -x 'dsaad|zebra|watchfrr'; }
dsaad_pid() { cat /run/frr/dsaad.pid; }
other_pid() { [ -s /run/frr/dsaad.pid ] && [ "$(dsaad_pid)" != "$1" ] && kill -0 "$(dsaad_pid)"; }

block() {
	cat <<-END
	log syslog warnings
	!
	dsaa
	 cluster-id $1
	 site 1
	  sync-address 172.31.0.1
	 exit
	 site 2
	  sync-address 172.31.0.2
	 exit
	 sync insecure
	exit
	!
	END
}

# A block with correction: the rules, the tunnel, the address and the fast path are then in the kernel.
live_block() {
	block 9 | sed -e 's/^ site 1$/&\n  uips edge 192.0.2.1\/24/' -e 's/^ site 2$/&\n  uips edge 192.0.2.2\/24\n  probe 192.0.2.9/' \
		-e 's/^ sync insecure/ correction mode auto\n&/'
}

# What dsaad puts into the kernel, each by itself. The tunnel device ends with the process, all else outlives a killed one.
has_table() { nft list tables | grep -q 'inet dsaa$'; }
has_tunnel() { ip link show dsaa0 >/dev/null 2>&1; }
has_filter() { /root/filters.py edge; }
has_address() { ip -o addr show dev edge | grep -q 192.0.2.1/; }
pins() { find /sys/fs/bpf/dsaa -type f -printf '%i %p\n' 2>/dev/null | sort; }
has_pins() { [ -n "$(pins)" ]; }
stays_there() {
	local rc=0 what
	for what in has_table has_filter has_address has_pins; do
		$what || { echo "missing: $what"; rc=1; }
	done
	[ $rc -eq 0 ] || vtysh -c 'show dsaa correction'
	return $rc
}
all_there() { stays_there && has_tunnel; }
nothing_left() {
	local rc=0 what
	for what in has_table has_tunnel has_filter has_address has_pins; do
		! $what || { echo "left: $what"; rc=1; }
	done
	[ -z "$(tc qdisc show dev edge clsact)" ] || { echo "left: the clsact qdisc"; rc=1; }
	return $rc
}

runs_installed() { [ "$(readlink "/proc/$(dsaad_pid)/exe")" = /usr/lib/frr/dsaad ]; }
zebra_runs() { pgrep -x zebra; }

snapshot >/root/before
ok "stock FRR is as its packages say" stock_verifies

ok "installs" dpkg -i $DEB
ok "vtysh is diverted" diverted /usr/bin/vtysh
ok "frr-reload.py is diverted" diverted /usr/lib/frr/frr-reload.py
ok "/etc/frr/daemons is not edited" dpkg -V frr
ok "stock FRR verifies under the diversion" stock_verifies
ok "our own files verify" sh -c '[ -z "$(dpkg -V frr-dsaa)" ]'
ok "has a man page" test -e /usr/share/man/man8/dsaad.8.gz
ok "has the YANG module" test -e /usr/share/yang/frr-dsaad.yang

ip link add sync type veth peer name sync-peer && ip addr add 172.31.0.1/24 dev sync && ip link set sync up && ip link set sync-peer up
cp -a /etc/frr/daemons /etc/frr/frr.conf /root/
echo '[ ! -r /etc/frr/daemons.dsaad ] || . /etc/frr/daemons.dsaad' >>/etc/frr/daemons
block 7 >/etc/frr/frr.conf
ok "frr.service starts, stops and reloads by frrinit.sh" sh -c \
	'[ $(grep -Ec "^Exec(Start|Stop|Reload)=/usr/lib/frr/frrinit.sh (start|stop|reload)" /lib/systemd/system/frr.service) = 3 ]'
ok "frrinit.sh starts it" start
ok "show dsaa answers" soon answers "show dsaa json" '"clusterId":7'
ok "it knows its site" soon answers "show dsaa json" '"localSite":1'
ok "watchfrr supervises it" soon answers "show watchfrr" "dsaad"
ok "it runs as frr" sh -c '[ "$(ps -o user= -p "$(cat /run/frr/dsaad.pid)")" = frr ]'
block 8 >/etc/frr/frr.conf
ok "frrinit.sh reload changes the block" reload
ok "the change is there" soon answers "show dsaa json" '"clusterId":8'
old=$(dsaad_pid)
kill -9 "$old"
ok "watchfrr starts it again after kill -9" soon other_pid "$old"
ok "and it has its configuration again" soon answers "show dsaa json" '"clusterId":8'
ok "frrinit.sh stops it" stop
ok "nothing runs" soon no_daemons

dpkg-deb -R $DEB /root/next
sed -i 's/^Version: .*/&+next/' /root/next/DEBIAN/control
dpkg-deb -b /root/next /root/next.deb >/dev/null
ok "upgrades" dpkg -i /root/next.deb
ok "vtysh is diverted after the upgrade" diverted /usr/bin/vtysh
ok "frr-reload.py is diverted after the upgrade" diverted /usr/lib/frr/frr-reload.py
ok "starts after the upgrade" start
ok "answers after the upgrade" soon answers "show dsaa json" '"clusterId":8'
ok "stops after the upgrade" stop
soon no_daemons

# A connection of site 2, which answers its probe, so that it lives and keeps it: without foreign connections no filter is attached.
unshare -n sleep 3600 &
far=$!
ip link add edge type veth peer name edge-peer && ip link set edge up
until ip link set edge-peer netns $far; do sleep 0.1; done
nsenter -t $far -n sh -c 'ip link set lo up; ip addr add 192.0.2.9/24 dev edge-peer; ip link set edge-peer up'
conntrack -I -p tcp -s 198.51.100.7 -d 198.51.100.8 --sport 7 --dport 80 --state ESTABLISHED -u SEEN_REPLY,ASSURED -t 3600 -m 0x02000000 >/dev/null 2>&1
live_block >/etc/frr/frr.conf
ok "starts with correction on" start
ok "rules, tunnel, address, filter and pins are in the kernel" soon all_there
sed -i 's/+next/+later/' /root/next/DEBIAN/control
dpkg-deb -b /root/next /root/later.deb >/dev/null
old=$(dsaad_pid)
pins >/root/pins
touch /root/watching
/root/filters.py edge /root/watching >/root/watched & # the filter may not be away for a moment
watcher=$!
ok "upgrades while it corrects" dpkg -i /root/later.deb
ok "the new dsaad is started" soon other_pid "$old"
ok "from the new file" runs_installed
ok "with its configuration" soon answers "show dsaa json" '"clusterId":9'
ok "and its data path" soon all_there
rm /root/watching
wait $watcher
watched=$?
ok "the same maps are pinned as before" sh -c 'find /sys/fs/bpf/dsaa -type f -printf "%i %p\n" | sort | diff /root/pins -'
ok "the filter was there all the time" sh -c "tail -n 15 /root/watched; exit $watched"
ok "the other site's connection is still its own" sh -c "conntrack -L -p tcp 2>/dev/null | grep -q mark=33554432"

ok "removes while it corrects" dpkg -r frr-dsaa
ok "nothing of it is left in the kernel" nothing_left
ok "no dsaad runs" sh -c '! pgrep -x dsaad'
ok "zebra goes on" zebra_runs
stop
soon no_daemons

ok "installs again" dpkg -i $DEB
ok "starts again" start
ok "all is in the kernel again" soon all_there
# shellcheck disable=SC2046 # one word per process
kill -9 $(pidof watchfrr) $(dsaad_pid)
ok "a killed dsaad leaves all but the tunnel" stays_there
stop

ok "removes" dpkg -r frr-dsaa
ok "what the killed dsaad left is gone" nothing_left
ok "vtysh is stock again" not diverted /usr/bin/vtysh
cp -a /root/frr.conf /etc/frr/frr.conf
ok "stock FRR starts with the line still in /etc/frr/daemons" start
ok "stock vtysh answers" soon answers "show version" FRRouting
ok "stops" stop
soon no_daemons
cp -a /root/daemons /etc/frr/daemons
ok "purges" dpkg -P frr-dsaa
ok "not known to dpkg any more" not installed
ok "every file is byte for byte as before" same /root/before
ok "stock FRR is as its packages say, after" stock_verifies
ok "no diversion is left" sh -c '! dpkg-divert --list | grep -q frr-dsaa'

# A first installation that fails half way, and one over a diversion made by hand.
dpkg-divert --local --rename --divert /usr/bin/vtysh.frr --add /usr/bin/vtysh >/dev/null
ok "refuses beside dsaad-divert" not dpkg -i $DEB
dpkg-divert --local --rename --remove /usr/bin/vtysh >/dev/null
dpkg -P frr-dsaa >/dev/null 2>&1
ok "and leaves nothing behind" same /root/before

kill $far
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
