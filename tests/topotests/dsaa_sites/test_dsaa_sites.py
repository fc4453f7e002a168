# SPDX-License-Identifier: GPL-2.0-or-later
"""Two sites that are one firewall: what they announce, share, correct, refuse and adopt.

                  out1 +--- site1 ---+ in1
    isp (clients) -----+             +----- inside (servers)
                  out2 +--- site2 ---+ in2
                             sync: site1 === site2

isp and inside run stock FRR and know nothing of dsaad. isp prefers site 1, inside prefers site 2: every connection goes in through
site 1 and its answers come back through site 2. Servers 10 and 2001:db8:9::10 are reached with source NAT to the site's own pool,
servers 11 without.
"""

import json
import os
import shlex
import subprocess
import sys

import pytest

from dsaatopo import show, start, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
TRAFFIC = "/usr/bin/python3 %s/traffic.py" % HERE
KEY = "/etc/frr/dsaa.key"
CLIENT = {4: "203.0.113.10", 6: "2001:db8:c::10"}
SNATTED = {4: "10.9.1.10", 6: "2001:db8:9::10"}
PLAIN = {4: "10.9.1.11", 6: "2001:db8:9::11"}
POOL = {(1, 4): "10.201.0", (1, 6): "2001:db8:201:", (2, 4): "10.202.0", (2, 6): "2001:db8:202:"}
OWNED_BY_1 = "mark=%d" % (1 << 24)

BLOCK = """dsaa
 cluster-id 7
 site 1
  name paris
  sync-address 172.16.0.1
  uips eth0 192.0.2.1/24
  uips eth0 2001:db8:1::1/64
  uips eth1 10.1.0.1/24
  uips eth1 2001:db8:a1::1/64
  probe 192.0.2.1
  nat-pool 10.201.0.0/24
  nat-pool 2001:db8:201::/64
 exit
 site 2
  name lyon
  sync-address 172.16.0.2
  uips eth0 198.51.100.1/24
  uips eth0 2001:db8:2::1/64
  uips eth1 10.2.0.1/24
  uips eth1 2001:db8:a2::1/64
  probe 198.51.100.1
  nat-pool 10.202.0.0/24
  nat-pool 2001:db8:202::/64
 exit
 sync key-file {key}
 advertise 10.9.0.0/16 all
 advertise 203.0.112.0/20 all
 advertise 10.201.0.0/24 site 1
 advertise 10.202.0.0/24 site 2
 advertise 2001:db8:9::/48 all
 advertise 2001:db8:c::/47 all
 advertise 2001:db8:201::/64 site 1
 advertise 2001:db8:202::/64 site 2
 bfd
 hold-time 1500
exit
!
route-map DSAA permit 10
 match tag 65001
 set metric 100
 set community 65010:1
exit
route-map DSAA permit 20
 match tag 65002
 set metric 200
 set community 65010:2
exit
!
"""


def redistribute():
    """How bgpd takes dsaad's routes, by FRR version."""
    out = subprocess.run(["/usr/lib/frr/zebra", "--version"], stdout=subprocess.PIPE, check=True, text=True).stdout
    if int(out.split()[2].split(".")[0]) < 10:
        return "redistribute table 85 route-map DSAA", "redistribute table route-map DSAA"
    return ("redistribute table-direct 3785 route-map DSAA",) * 2


def bgp(asn, router_id, peers, networks=(), redistributes=(None, None)):
    """A router bgp block; peers: [(address, asn, weight)], networks: prefixes."""
    lines = ["router bgp %d" % asn, " bgp router-id %s" % router_id, " no bgp ebgp-requires-policy"]
    lines += [" no bgp default ipv4-unicast"]
    for address, peer_asn, _ in peers:
        lines += [" neighbor %s remote-as %d" % (address, peer_asn), " neighbor %s bfd" % address]
        lines += [" neighbor %s timers 1 3" % address, " neighbor %s timers connect 1" % address]
    for afi, six in (("ipv4", False), ("ipv6", True)):
        lines.append(" address-family %s unicast" % afi)
        for address, _, weight in peers:
            if (":" in address) == six:
                lines.append("  neighbor %s activate" % address)
                if weight:
                    lines.append("  neighbor %s weight %d" % (address, weight))
        lines += ["  network %s" % n for n in networks if (":" in n) == six]
        if redistributes[six]:
            lines.append("  " + redistributes[six])
        lines.append(" exit-address-family")
    return "\n".join(lines) + "\nexit\n!\n"


def interface(name, *addresses):
    words = ["ipv6" if ":" in a else "ip" for a in addresses]
    return "interface %s\n%s\nexit\n!\n" % (
        name,
        "\n".join(" %s address %s" % pair for pair in zip(words, addresses)),
    )


def configs():
    isp = interface("lo", CLIENT[4] + "/32", CLIENT[6] + "/128")
    isp += interface("isp-eth0", "192.0.2.11/24", "2001:db8:1::11/64")
    isp += interface("isp-eth1", "198.51.100.11/24", "2001:db8:2::11/64")
    isp += bgp(
        65101,
        "10.255.0.11",
        [("192.0.2.1", 65010, 200), ("2001:db8:1::1", 65010, 200)]
        + [("198.51.100.1", 65010, 0), ("2001:db8:2::1", 65010, 0)],
        ["203.0.113.10/32", "2001:db8:c::10/128", "192.0.2.0/24", "198.51.100.0/24"],
    )
    inside = interface("lo", *(a + "/32" for a in (SNATTED[4], PLAIN[4])))
    inside += interface("lo", *(a + "/128" for a in (SNATTED[6], PLAIN[6])))
    inside += interface("inside-eth0", "10.1.0.10/24", "2001:db8:a1::10/64")
    inside += interface("inside-eth1", "10.2.0.10/24", "2001:db8:a2::10/64")
    inside += bgp(
        65200,
        "10.255.0.20",
        [("10.1.0.1", 65010, 0), ("2001:db8:a1::1", 65010, 0)]
        + [("10.2.0.1", 65010, 200), ("2001:db8:a2::1", 65010, 200)],
        [a + "/32" for a in (SNATTED[4], PLAIN[4])] + [a + "/128" for a in (SNATTED[6], PLAIN[6])],
    )
    found = {"isp": (isp, ["bgpd", "bfdd"]), "inside": (inside, ["bgpd", "bfdd"])}
    out, inn = {1: "192.0.2.", 2: "198.51.100."}, {1: "10.1.0.", 2: "10.2.0."}
    for s in (1, 2):
        text = interface("sync0", "172.16.0.%d/24" % s) + BLOCK.format(key=KEY)
        peers = [(out[s] + "11", 65101, 0), ("2001:db8:%d::11" % s, 65101, 0)]
        peers += [(inn[s] + "10", 65200, 0), ("2001:db8:a%d::10" % s, 65200, 0)]
        text += bgp(65010, "10.255.0.%d" % s, peers, (), redistribute())
        found["site%d" % s] = (text, ["bgpd", "bfdd", "dsaad"])
    return found


def build(tgen):
    for name in ("isp", "inside", "site1", "site2"):
        tgen.add_router(name)
    for s in (1, 2):
        site = tgen.gears["site%d" % s]
        tgen.add_link(tgen.gears["isp"], site, "isp-eth%d" % (s - 1), "eth0")
        tgen.add_link(tgen.gears["inside"], site, "inside-eth%d" % (s - 1), "eth1")
    tgen.add_link(tgen.gears["site1"], tgen.gears["site2"], "sync0", "sync0")


def firewall(site):
    """Default drop; client traffic to the servers 10 leaves with an address of the site's own pool."""
    return """
    table inet firewall {
      chain forward {
        type filter hook forward priority 0; policy drop;
        ct state invalid drop
        ct state established,related accept
        iifname eth0 oifname eth1 ct state new accept
      }
      chain post {
        type nat hook postrouting priority 100;
        oifname eth1 ip daddr %s snat ip to %s.1-%s.14
        oifname eth1 ip6 daddr %s snat ip6 to %s:1-%s:e
      }
    }""" % (SNATTED[4], POOL[site, 4], POOL[site, 4], SNATTED[6], POOL[site, 6], POOL[site, 6])


def run(router, command):
    return router.run("sh -c %s" % shlex.quote(command))


def prepare(tgen):
    for name, router in tgen.routers().items():
        run(router, "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
        run(router, "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $f; done")
        if name.startswith("site"):
            run(router, "ip link set sync0 mtu 9000")
            run(router, "printf '%%s' %s | nft -f -" % shlex.quote(firewall(int(name[-1]))))
            put_key(router, "the key of the topotests, 32 bytes.")


def put_key(router, content):
    run(router, "printf %s > {0}; chown frr:frr {0}; chmod 600 {0}".format(KEY) % shlex.quote(content))


@pytest.fixture(scope="module")
def tgen():
    t = start(build, sys.modules[__name__], configs(), prepare)
    run(t.gears["inside"], TRAFFIC + " serve > /tmp/dsaa-serve.log 2>&1 & echo $! > /tmp/dsaa-serve.pid")
    yield t
    run(t.gears["inside"], "kill $(cat /tmp/dsaa-serve.pid); rm -f /tmp/dsaa-serve.*")
    t.stop_topology()


def peer(tgen, s):
    """What site S says of the other one."""
    answer = show(tgen.gears["site%d" % s], "show dsaa") or {}
    return answer.get("peers", {}).get(str(3 - s), {})


def both_up(tgen):
    return all(
        peer(tgen, s).get("state") == "up" and show(tgen.gears["site%d" % s], "show dsaa")["stateComplete"]
        for s in (1, 2)
    )


def correction(tgen, s):
    return show(tgen.gears["site%d" % s], "show dsaa correction")


def conntrack(tgen, s, options=""):
    return run(tgen.gears["site%d" % s], "conntrack -L -f ipv4 %s 2>/dev/null; conntrack -L -f ipv6 %s 2>/dev/null" % (options, options))


def routes(router, afi, prefix):
    """{neighbour: path} of a prefix in a third-party router's BGP table."""
    answer = json.loads(router.vtysh_cmd("show bgp %s unicast %s json" % (afi, prefix)) or "{}")
    return {p["peer"]["peerId"]: p for p in answer.get("paths", [])}


def client(tgen, arguments):
    return run(tgen.gears["isp"], TRAFFIC + " " + arguments)


def start_client(tgen, arguments, log):
    run(tgen.gears["isp"], "%s %s > %s 2>&1 &" % (TRAFFIC, arguments, log))


def forward_and_return_are_split(tgen):
    isp, inside = tgen.gears["isp"], tgen.gears["inside"]
    ways = [
        (isp, "ip route get %s" % SNATTED[4], "via 192.0.2.1 "),
        (isp, "ip -6 route get %s" % SNATTED[6], "dev isp-eth0"),
        (inside, "ip route get %s" % CLIENT[4], "via 10.2.0.1 "),
        (inside, "ip route get %s.1" % POOL[1, 4], "via 10.2.0.1 "),
        (inside, "ip -6 route get %s" % CLIENT[6], "dev inside-eth1"),
        (inside, "ip -6 route get %s:1" % POOL[1, 6], "dev inside-eth1"),
    ]
    return all(way in run(router, command) for router, command, way in ways)


# ------------------------------------------------------------------ the sites come up


def test_sessions_are_up_and_encrypted(tgen):
    wait_for(lambda: both_up(tgen), "both sites up and complete", 40)
    for s in (1, 2):
        assert peer(tgen, s)["secure"]


def test_each_site_has_its_own_addresses(tgen):
    one, two = (run(tgen.gears["site%d" % s], "ip -o addr show") for s in (1, 2))
    assert "192.0.2.1/24" in one and "eth0:dsaa" in one and "2001:db8:a1::1/64" in one
    assert "198.51.100.1" not in one
    assert "198.51.100.1/24" in two and "2001:db8:2::1/64" in two and "192.0.2.1/" not in two


def test_prefixes_are_announced_with_their_state(tgen):
    """Active everywhere, active here and backup there, as MED and community that the route-map made of the tags."""
    isp, inside = tgen.gears["isp"], tgen.gears["inside"]
    expected = [
        (isp, "ipv4", "10.9.0.0/16", "192.0.2.1", 100),
        (isp, "ipv4", "10.9.0.0/16", "198.51.100.1", 100),
        (isp, "ipv6", "2001:db8:9::/48", "2001:db8:1::1", 100),
        (inside, "ipv4", "10.201.0.0/24", "10.1.0.1", 100),
        (inside, "ipv4", "10.201.0.0/24", "10.2.0.1", 200),
        (inside, "ipv4", "10.202.0.0/24", "10.1.0.1", 200),
        (inside, "ipv6", "2001:db8:201::/64", "2001:db8:a1::1", 100),
        (inside, "ipv6", "2001:db8:201::/64", "2001:db8:a2::1", 200),
    ]
    for router, afi, prefix, neighbour, med in expected:
        path = wait_for(
            lambda: routes(router, afi, prefix).get(neighbour), "%s from %s" % (prefix, neighbour), 40
        )
        assert path.get("metric", path.get("med")) == med, (prefix, neighbour, path)
        assert ("65010:1" if med == 100 else "65010:2") in path["community"]["string"]


def test_routes_are_split(tgen):
    wait_for(lambda: forward_and_return_are_split(tgen), "forward through site 1, return through site 2", 40)


def test_routers_own_connections_are_not_shared(tgen):
    """BGP, BFD and the session itself are in each kernel, and in no other."""
    for s in (1, 2):
        assert "dport=179" in conntrack(tgen, s, "-p tcp")
        assert "mark=16777216" not in conntrack(tgen, s, "-p tcp")
        assert show(tgen.gears["site%d" % s], "show dsaa sync")["skipped"]["router-itself"] > 0


# ------------------------------------------------------------------ asymmetric traffic


@pytest.mark.parametrize("family", (4, 6))
@pytest.mark.parametrize("servers", (SNATTED, PLAIN), ids=("snat", "plain"))
def test_tcp(tgen, family, servers):
    before = correction(tgen, 2)["peers"]["1"]["packetsSent"]
    out = client(tgen, "tcp %s %s 3000000" % (CLIENT[family], servers[family]))
    assert out.startswith("ok 3000000"), out
    sent = correction(tgen, 2)["peers"]["1"]["packetsSent"] - before
    assert sent > 1000, "only %d packets of 3 MB were corrected" % sent


@pytest.mark.parametrize("family", (4, 6))
@pytest.mark.parametrize("servers", (SNATTED, PLAIN), ids=("snat", "plain"))
@pytest.mark.parametrize("size", (64, 8000), ids=("small", "fragments"))
def test_udp(tgen, family, servers, size):
    """The first answer may outrun the state of an untranslated connection; no other may be lost."""
    back = int(client(tgen, "udp %s %s 20 %d" % (CLIENT[family], servers[family], size)) or 0)
    assert back >= (20 if servers is SNATTED else 19), "%d of 20 came back" % back


@pytest.mark.parametrize("family", (4, 6))
@pytest.mark.parametrize("servers", (SNATTED, PLAIN), ids=("snat", "plain"))
def test_ping(tgen, family, servers):
    out = run(
        tgen.gears["isp"],
        "ping -%d -c 10 -i 0.1 -W 1 -I %s %s" % (family, CLIENT[family], servers[family]),
    )
    assert " 0% packet loss" in out, out


def test_counters_tell_it(tgen):
    sent, received = correction(tgen, 2), correction(tgen, 1)
    assert sent["reasons"]["foreign"] > 4000
    assert received["reasons"]["delivered"] >= sent["reasons"]["foreign"]
    for answer in (sent, received):
        assert not {"loop", "tunnel-malformed", "tunnel-stranger", "queue-overload"} & set(answer["reasons"])


# ------------------------------------------------------------------ state in the other kernel


def test_connection_is_in_the_other_kernel(tgen):
    """With its NAT and its owner, from the first packets until it is deleted."""
    log = "/tmp/dsaa-hold.log"
    start_client(tgen, "hold %s %s 3" % (CLIENT[4], SNATTED[4]), log)
    wait_for(lambda: "answered" in run(tgen.gears["isp"], "cat " + log), "an answer")
    port = run(tgen.gears["isp"], "cat " + log).split()[1]
    entry = wait_for(lambda: conntrack(tgen, 2, "-p tcp --sport %s" % port), "the replica")
    assert OWNED_BY_1 in entry and "ESTABLISHED" in entry and "dst=10.201.0." in entry, entry
    assert "mark=0" in conntrack(tgen, 1, "-p tcp --sport %s" % port)
    why = show(tgen.gears["site2"], "show dsaa explain tcp %s 5000 %s %s" % reply_of(entry))
    assert (why["owner"], why["known"], why["verdict"]) == (1, "foreign", "correct"), why
    wait_for(lambda: run(tgen.gears["isp"], "cat " + log).count("answered") == 3, "three answers")
    run(tgen.gears["site1"], "conntrack -D -p tcp --sport %s" % port)
    wait_for(lambda: not conntrack(tgen, 2, "-p tcp --sport %s" % port), "the replica's end")


def reply_of(entry):
    """Server, translated client and its port, of a conntrack line."""
    words = entry.split()
    value = [w.split("=", 1)[1] for w in words if w.startswith(("src=", "dst=", "dport="))]
    return value[3], value[4], value[5]


def test_audit_restores_what_was_deleted(tgen):
    client(tgen, "udp %s %s 2 64" % (CLIENT[4], SNATTED[4]))
    wait_for(lambda: OWNED_BY_1 in conntrack(tgen, 2, "-p udp --dport 5000"), "a replica")
    run(tgen.gears["site2"], "conntrack -D -p udp --orig-port-dst 5000 --mark 0x1000000/0xff000000")
    assert OWNED_BY_1 not in conntrack(tgen, 2, "-p udp --dport 5000")
    tgen.gears["site1"].vtysh_cmd("dsaa audit")
    wait_for(lambda: OWNED_BY_1 in conntrack(tgen, 2, "-p udp --dport 5000"), "the replica again")
    audit = show(tgen.gears["site2"], "show dsaa sync")["peers"]["1"]["lastAudit"]
    assert audit["differences"] >= 1 and audit["repaired"] == audit["differences"], audit


# ------------------------------------------------------------------ who is refused


def say(router, source, text):
    """Sends TEXT to site 1's sync port from an address of the router; returns what the program printed."""
    code = (
        "import socket;s=socket.socket();s.settimeout(3);s.bind((%r,0));s.connect(('172.16.0.1',3785));"
        "s.sendall(%r);print(repr(s.recv(100)))" % (source, text)
    )
    return run(router, "/usr/bin/python3 -c %s 2>&1" % shlex.quote(code))


def test_garbage_on_the_sync_port_changes_nothing(tgen):
    sessions = show(tgen.gears["site1"], "show dsaa sync")["peers"]["2"]["sessions"]
    say(tgen.gears["site2"], "172.16.0.2", b"GET / HTTP/1.1\r\n\r\n" * 10)
    say(tgen.gears["site2"], "172.16.0.2", bytes(range(256)))
    assert peer(tgen, 1)["state"] == "up"
    assert show(tgen.gears["site1"], "show dsaa sync")["peers"]["2"]["sessions"] == sessions


def tunnel_packets(router, source, count):
    """Sends packets to site 1's tunnel port whose VXLAN header is right, and nothing else."""
    code = (
        "import socket;s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);s.bind((%r,0));"
        "[s.sendto(bytes([8,0,0,0,0,0,1,0])+bytes(64),('172.16.0.1',3786)) for _ in range(%d)]"
    ) % (source, count)
    run(router, "/usr/bin/python3 -c %s" % shlex.quote(code))


def test_strangers_are_refused(tgen):
    """On the sync port and on the tunnel; from the peer's own address, what cannot be read is refused too."""
    site1, site2 = tgen.gears["site1"], tgen.gears["site2"]
    run(site2, "ip addr add 172.16.0.99/24 dev sync0")
    say(site2, "172.16.0.99", b"hello")
    for source, reason in (("172.16.0.99", "tunnel-stranger"), ("172.16.0.2", "tunnel-malformed")):
        tunnel_packets(site2, source, 5)
        wait_for(lambda: correction(tgen, 1)["reasons"].get(reason) == 5, "five packets refused as " + reason)
    run(site2, "ip addr del 172.16.0.99/24 dev sync0")
    assert peer(tgen, 1)["state"] == "up"
    assert "stranger" in run(site1, "cat %s/site1/dsaad.log" % site1.logdir)


def test_another_key_is_refused_by_name(tgen):
    site2 = tgen.gears["site2"]
    put_key(site2, "quite another key of 32 bytes....")
    site2.vtysh_cmd("configure terminal\ndsaa\nno sync key-file\nsync key-file %s\n" % KEY)
    for s in (1, 2):
        state = wait_for(lambda: peer(tgen, s).get("state") == "refused" and peer(tgen, s), "a refusal", 20)
        assert state["reason"] == "wrong-key", state
    put_key(site2, "the key of the topotests, 32 bytes.")
    site2.vtysh_cmd("configure terminal\ndsaa\nno sync key-file\nsync key-file %s\n" % KEY)
    wait_for(lambda: both_up(tgen), "both up again", 30)


def test_another_cluster_is_refused_by_name(tgen):
    site2 = tgen.gears["site2"]
    site2.vtysh_cmd("configure terminal\ndsaa\ncluster-id 8\n")
    for s in (1, 2):
        state = wait_for(lambda: peer(tgen, s).get("state") == "refused" and peer(tgen, s), "a refusal", 20)
        assert state["reason"] == "cluster-mismatch", state
    site2.vtysh_cmd("configure terminal\ndsaa\ncluster-id 7\n")
    wait_for(lambda: both_up(tgen), "both up again", 30)


def test_exposed_key_is_refused(tgen):
    site2 = tgen.gears["site2"]
    run(site2, "chmod 644 " + KEY)
    site2.vtysh_cmd("configure terminal\ndsaa\nno sync key-file\nsync key-file %s\n" % KEY)
    state = wait_for(lambda: peer(tgen, 2).get("reason") == "key-exposed" and peer(tgen, 2), "its reason", 20)
    assert state["state"] != "up"
    run(site2, "chmod 600 " + KEY)
    site2.vtysh_cmd("configure terminal\ndsaa\nno sync key-file\nsync key-file %s\n" % KEY)
    wait_for(lambda: both_up(tgen), "both up again", 30)


# ------------------------------------------------------------------ faults


def transfer(tgen, log, megabytes=8):
    """Starts a download of that many MB at 1 MB/s."""
    start_client(tgen, "tcp %s %s %d 1000000" % (CLIENT[4], SNATTED[4], megabytes * 1000000), log)
    wait_for(lambda: OWNED_BY_1 in conntrack(tgen, 2, "-p tcp --dport 5000 --state ESTABLISHED"), "the transfer")


# In the order in which FRR starts them.
ALL_DAEMONS = ("mgmtd", "zebra", "staticd", "bfdd", "bgpd", "dsaad")


def running(router):
    """The daemons that the router runs, of ALL_DAEMONS."""
    names = run(router, "ls /var/run/frr").split()
    return [d for d in ALL_DAEMONS if d + ".pid" in names]


def kill(router, *daemons):
    for d in daemons:
        run(router, "kill -9 $(cat /var/run/frr/{0}.pid); rm -f /var/run/frr/{0}.pid /var/run/frr/{0}.vty".format(d))


def start_again(router, *daemons):
    """As watchfrr would: the daemons, then the configuration."""
    for d in daemons:
        log = "%s/%s/%s-again.log" % (router.logdir, router.name, d)
        run(router, "/usr/lib/frr/%s -d -A 127.0.0.1 --log file:%s > /dev/null 2>&1 < /dev/null" % (d, log))
    run(router, "vtysh -f %s/%s/given-frr.conf > /dev/null 2>&1" % (router.logdir, router.name))


def test_dsaad_is_killed(tgen):
    """Its peer, its address, its rules and its connections stay; the next one takes over."""
    site1, log = tgen.gears["site1"], "/tmp/dsaa-killed.log"
    transfer(tgen, log, 6)
    kill(site1, "dsaad")
    assert "table inet dsaa" in run(site1, "nft list tables")
    start_again(site1, "dsaad")
    wait_for(lambda: both_up(tgen), "both up again", 30)
    wait_for(lambda: run(tgen.gears["isp"], "cat " + log), "the end of the transfer", 40)
    assert run(tgen.gears["isp"], "cat " + log).startswith("ok 6000000")
    assert run(site1, "nft list tables").count("inet dsaa") == 1
    assert run(site1, "ip -o addr show dev eth0").count("192.0.2.1/24") == 1


def test_zebra_and_bgpd_are_killed(tgen):
    """Everything is announced again."""
    site1, isp = tgen.gears["site1"], tgen.gears["isp"]
    for daemon in ("zebra", "bgpd"):
        kill(site1, daemon)
        start_again(site1, daemon)
        wait_for(
            lambda: routes(isp, "ipv4", "10.9.0.0/16").get("192.0.2.1")
            and routes(isp, "ipv6", "2001:db8:9::/48").get("2001:db8:1::1"),
            "the announcement after %s was killed" % daemon,
            60,
        )
    wait_for(lambda: both_up(tgen), "both up", 30)


def test_rules_are_put_back(tgen):
    site1 = tgen.gears["site1"]
    run(site1, "nft delete table inet dsaa")
    wait_for(lambda: "table inet dsaa" in run(site1, "nft list tables"), "the rules again")


# ------------------------------------------------------------------ a site dies, and comes back


RST = "nft add table inet rst; nft 'add chain inet rst c { type filter hook input priority -300; }'; " \
      "nft 'add rule inet rst c tcp flags & rst == rst tcp sport 5000 counter'; " \
      "nft 'add rule inet rst c tcp flags & rst == rst tcp dport 5000 counter'"


def resets(router):
    return sum(int(w) for w in run(router, "nft list table inet rst | sed -n 's/.*packets \\([0-9]*\\).*/\\1/p'").split())


def test_a_site_dies(tgen):
    """Its connections go on at the other one: no reset, nothing missing."""
    wait_for(lambda: forward_and_return_are_split(tgen), "the split routes", 40)
    site1, log = tgen.gears["site1"], "/tmp/dsaa-dies.log"
    for name in ("isp", "inside"):
        run(tgen.gears[name], RST)
    transfer(tgen, log)
    run(site1, "nft add table inet cut; for h in prerouting output; do nft \"add chain inet cut $h "
               "{ type filter hook $h priority -500; policy drop; }\"; done")
    kill(site1, *running(site1))
    wait_for(lambda: peer(tgen, 2).get("state") == "dead", "site 1 dead", 10, 0.05)
    wait_for(lambda: "mark=0" in conntrack(tgen, 2, "-p tcp --dport 5000 --state ESTABLISHED"), "adoption", 10)
    wait_for(lambda: run(tgen.gears["isp"], "cat " + log), "the end of the transfer", 40)
    assert run(tgen.gears["isp"], "cat " + log).startswith("ok 8000000")
    assert resets(tgen.gears["isp"]) == resets(tgen.gears["inside"]) == 0
    assert show(tgen.gears["site2"], "show dsaa advertise")["prefixes"]["10.201.0.0/24"]["state"] == "active"


def test_the_site_comes_back(tgen):
    """Its state first, then its routes."""
    site1, isp = tgen.gears["site1"], tgen.gears["isp"]
    wait_for(lambda: "192.0.2.1" not in routes(isp, "ipv4", "10.9.0.0/16"), "the dead site's routes to go", 20)
    run(site1, "conntrack -F; nft delete table inet dsaa; nft delete table inet cut")
    start_again(site1, *(d for d in ALL_DAEMONS if os.path.exists("/usr/lib/frr/" + d)))
    wait_for(lambda: show(site1, "show dsaa"), "dsaad", 20)
    seen = []

    def watch():
        # the routes are asked first: were they there before the state was complete, it would show
        there = "192.0.2.1" in routes(isp, "ipv4", "10.9.0.0/16")
        complete = (show(site1, "show dsaa") or {}).get("stateComplete", False)
        seen.append((there, complete))
        return there and complete

    wait_for(watch, "state and routes of site 1", 60, 0.05)
    assert (True, False) not in seen
    wait_for(lambda: both_up(tgen), "both up", 30)
