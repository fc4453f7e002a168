#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The test of the package, inside a root with stock FRR; run by run.sh. Ends with "N passed, N failed".

set -u
cd /root
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
	local i
	for i in $(seq 100); do
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
ok "frrinit.sh starts it" start
ok "show dsaa answers" soon answers "show dsaa json" '"clusterId":7'
ok "it knows its site" soon answers "show dsaa json" '"localSite":1'
ok "watchfrr supervises it" soon answers "show watchfrr" "dsaad"
ok "it runs as frr" sh -c '[ "$(ps -o user= -p "$(cat /run/frr/dsaad.pid)")" = frr ]'
block 8 >/etc/frr/frr.conf
ok "frrinit.sh reload changes the block" /usr/lib/frr/frrinit.sh reload
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

ok "removes" dpkg -r frr-dsaa
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

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
