# SPDX-License-Identifier: GPL-2.0-or-later
"""What two sites announce and tell each other, and whom they refuse. The network is drawn in twosites.py."""

import time

import pytest

import twosites
from dsaatopo import wait_for
from twosites import CLIENTS_NET, COMMUNITY, FAMILIES, KEY, MED, NATTED, PLAIN, POOL, SERVER, SERVICE_NET, SITES, SYNC, TAG

SOURCES = [NATTED, PLAIN]
IDS = ["snat", "plain"]
STRANGER = "172.16.0.99"


@pytest.fixture(scope="module")
def net():
    yield from twosites.fixture(__name__)


@pytest.fixture(scope="module")
def held(net):
    """Connections through site 1 that stay open: {source: Held}."""
    net.prefer(forward=1, back=1)
    found = {a[f]: net.hold(a[f], SERVER[f]) for a in SOURCES for f in FAMILIES}
    for h in found.values():
        h.say()
    return found


def type_in(net, site, *lines):
    words = "".join(" -c '%s'" % line for line in ("configure terminal", "dsaa") + lines)
    said = net.router(site).run("vtysh" + words + " 2>&1")
    assert said.strip() == "", said


def wait_up(net):
    wait_for(lambda: all(net.peer(s)[0] == "up" and net.complete(s) for s in SITES), "both sites up", 30)


def owned_by_1(net):
    """What site 2 holds for site 1: {(protocol, source, port)}."""
    text = net.router(2).run("conntrack -L 2>/dev/null; conntrack -L -f ipv6 2>/dev/null")
    entries = [twosites.entry(line) for line in text.splitlines() if "src=" in line]
    return {(e["line"].split()[0], e["src"], e.get("sport")) for e in entries if e["owner"] == 1}


# ------------------------------------------------------------ advertisement


def test_sessions_are_up_and_secret(net):
    for s in SITES:
        answer = net.show(s)
        assert answer["localSite"] == s
        assert answer["insecure"] is False
        assert answer["peers"][str(3 - s)]["secure"] is True


def test_bgp_sessions_run_from_uips(net):
    for s in SITES:
        shown = net.router(s).run("ss -Htn state established '( dport = 179 or sport = 179 )'")
        own = {twosites.OUT[s, 4] % 1, twosites.OUT[s, 6] % 1, twosites.IN[s, 4] % 1, twosites.IN[s, 6] % 1}
        local = {line.split()[2].rsplit(":", 1)[0].strip("[]") for line in shown.splitlines()}
        assert local == own


@pytest.mark.parametrize("family", FAMILIES)
def test_announced_by_every_site(net, family):
    active = MED["active"], COMMUNITY["active"]
    for name, prefix in (("outside", SERVICE_NET[family]), ("inside", CLIENTS_NET[family])):
        wait_for(lambda: net.paths(name, prefix) == {1: active, 2: active}, "%s active from both sites" % prefix, 10)


@pytest.mark.parametrize("family", FAMILIES)
def test_announced_by_one_site_and_its_backup(net, family):
    for s in SITES:
        prefix = POOL[s, family]
        want = {s: (MED["active"], COMMUNITY["active"]), 3 - s: (MED["backup"], COMMUNITY["backup"])}
        wait_for(lambda: net.paths("inside", prefix) == want, "%s active from site %d, backup from the other" % (prefix, s), 10)
        assert net.via("inside", prefix.split("/")[0] + ("1" if family == 6 else "")) == s


def test_states_are_shown(net):
    for s in SITES:
        shown = net.show(s, "show dsaa advertise")["prefixes"]
        for f in FAMILIES:
            for prefix, state in ((SERVICE_NET[f], "active"), (POOL[s, f], "active"), (POOL[3 - s, f], "backup")):
                assert (shown[prefix]["state"], shown[prefix]["tag"]) == (state, TAG[state])


def test_a_new_line_is_announced_and_taken_back(net):
    for s in SITES:
        type_in(net, s, "advertise 10.9.128.0/17 site 2")
        net.router(s).run("vtysh -c 'configure terminal' -c 'ip prefix-list OUT-IPV4 seq 50 permit 10.9.128.0/17'")
    wait_for(lambda: net.paths("outside", "10.9.128.0/17").get(2, (0,))[0] == MED["active"], "it from site 2", 10)
    wait_for(lambda: net.paths("outside", "10.9.128.0/17").get(1, (0,))[0] == MED["backup"], "it from site 1", 10)
    for s in SITES:
        type_in(net, s, "no advertise 10.9.128.0/17")
    wait_for(lambda: net.paths("outside", "10.9.128.0/17") == {}, "it to be withdrawn", 10)


# ------------------------------------------------------------ state sync


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("source", SOURCES, ids=IDS)
def test_tcp_is_in_the_other_kernel(net, held, source, family):
    """With its NAT, its state, and its owner in the mark."""
    port = str(held[source[family]].port)

    def there(site):
        found = [e for e in net.entries(site, source[family], "tcp") if e["sport"] == port]
        return found[0] if found else {}

    mine = there(1)
    assert mine["owner"] == 0
    wait_for(lambda: there(2).get("state") == "ESTABLISHED" and "ASSURED" in there(2)["flags"], "the entry at site 2", 5)
    copy = there(2)
    assert copy["owner"] == 1
    for key in ("src", "dst", "sport", "dport", "rsrc", "rdst", "rsport", "rdport"):
        assert copy[key] == mine[key]
    if source is NATTED:
        low, high = twosites.POOL_RANGE[1, family].split("-")
        inside = low.rsplit("." if family == 4 else ":", 1)[0]
        assert copy["rdst"].startswith(inside), "not translated to the pool of site 1"
    else:
        assert copy["rdst"] == source[family]


@pytest.mark.parametrize("family", FAMILIES)
def test_udp_and_icmp_are_in_the_other_kernel(net, held, family):
    assert net.udp(PLAIN[family], SERVER[family], 3, port=5999)["answered"] == 3
    assert net.ping(PLAIN[family], SERVER[family], 3) == 3
    icmp = "icmpv6" if family == 6 else "icmp"

    def copies(proto):
        return [e for e in net.entries(2, PLAIN[family], proto) if e["owner"] == 1]

    wait_for(lambda: [e for e in copies("udp") if e["sport"] == "5999"], "the UDP entry at site 2", 5)
    wait_for(lambda: copies(icmp), "the ICMP entry at site 2", 5)
    assert "UNREPLIED" not in copies(icmp)[0]["flags"]


def test_the_shows_tell_it(net, held):
    for f in FAMILIES:
        port = held[NATTED[f]].port
        there = net.show(2, "show dsaa explain tcp %s %d %s 5002" % (NATTED[f], port, SERVER[f]))
        assert (there["owner"], there["known"], there["verdict"]) == (1, "foreign", "correct")
        here = net.show(1, "show dsaa explain tcp %s %d %s 5002" % (NATTED[f], port, SERVER[f]))
        assert (here["owner"], here["known"], here["verdict"]) == (1, "local", "local")
    sent, got = (net.show(s, "show dsaa sync")["peers"][str(3 - s)] for s in SITES)
    assert sent["flowsSent"] >= 4
    assert got["flowsApplied"] >= 4
    assert got["flowsRejected"] == {}
    assert got["lagMsecP50"] < 1000


def test_deletes(net, held):
    h = net.hold(PLAIN[4], SERVER[4])
    h.say()

    def copies():
        return [e for e in net.entries(2, PLAIN[4], "tcp") if e["sport"] == str(h.port)]

    wait_for(copies, "the entry at site 2", 5)
    h.end()
    net.run(1, "conntrack -D -p tcp -s %s --sport %d" % (PLAIN[4], h.port))
    wait_for(lambda: not copies(), "the entry to go at site 2", 5)


def test_audit_restores_what_was_deleted(net, held):
    port = str(held[PLAIN[4]].port)

    def copies():
        return [e for e in net.entries(2, PLAIN[4], "tcp") if e["sport"] == port]

    wait_for(copies, "a replica", 5)
    net.run(2, "conntrack -D -p tcp -s %s --sport %s" % (PLAIN[4], port))
    net.router(1).vtysh_cmd("dsaa audit")
    wait_for(copies, "the replica again", 10)
    held[PLAIN[4]].say()


def test_routers_own_connections_stay_at_home(net, held):
    """BGP, BFD, the session and the tunnel, and one that site 1 opens to the server: nothing of them at site 2."""
    text = net.router("server").run("ss -Hltn")
    assert ":5002 " in text
    net.run(1, "exec 3<>/dev/tcp/%s/5002; echo hello >&3; read -t 5 line <&3; [ \"$line\" = hello ]; sleep 0.5" % SERVER[4])
    own = {twosites.OUT[1, f] % 1 for f in FAMILIES} | {twosites.IN[1, f] % 1 for f in FAMILIES} | {SYNC[1], SYNC[2]}
    assert [e for e in net.entries(1, twosites.IN[1, 4] % 1, "tcp") if e["dport"] == "5002"], "site 1 has it"
    for proto, source, port in owned_by_1(net):
        assert source not in own, (proto, source, port)
        assert source in (set(NATTED.values()) | set(PLAIN.values())), (proto, source, port)
    assert net.show(1, "show dsaa sync")["skipped"].get("router-itself", 0) > 0


def test_excluded_prefix_is_not_replicated(net, held):
    for s in SITES:
        type_in(net, s, "no sync prefix %s/32" % PLAIN[4])
    wait_up(net)
    h = net.hold(PLAIN[4], SERVER[4])
    k = net.hold(NATTED[4], SERVER[4])
    wait_for(lambda: [e for e in net.entries(2, NATTED[4], "tcp") if e["sport"] == str(k.port)], "the other one at site 2", 5)
    assert not [e for e in net.entries(2, PLAIN[4], "tcp") if e["sport"] == str(h.port)]
    for s in SITES:
        type_in(net, s, "sync prefix %s/32" % PLAIN[4])
    h.end()
    k.end()
    wait_up(net)


def test_bulk_after_a_lost_session(net, held):
    """What happened while the link was down is told when it is back; what ended meanwhile is swept."""
    gone = net.hold(PLAIN[6], SERVER[6])
    gone.say()
    wait_for(lambda: ("tcp", PLAIN[6], str(gone.port)) in owned_by_1(net), "the entry at site 2", 5)
    net.cut_sync()
    wait_for(lambda: all(net.peer(s)[0] in ("down", "isolated") for s in SITES), "the loss of the session", 15)
    gone.end()
    net.run(1, "conntrack -D -f ipv6 -p tcp -s %s --sport %d" % (PLAIN[6], gone.port))
    new = net.hold(NATTED[6], SERVER[6])
    net.cut_sync(False)
    wait_up(net)
    wait_for(lambda: ("tcp", NATTED[6], str(new.port)) in owned_by_1(net), "the new entry at site 2", 5)
    wait_for(lambda: ("tcp", PLAIN[6], str(gone.port)) not in owned_by_1(net), "the old entry to go", 5)
    new.say()
    new.end()
    for h in held.values():
        h.say()


# ------------------------------------------------------------ who is refused


def test_wrong_key(net, held):
    before = owned_by_1(net)
    twosites.write(net.router(2), "/etc/frr/other.key", KEY[::-1] + "\n")
    type_in(net, 2, "sync key-file /etc/frr/other.key")
    for s in SITES:
        wait_for(lambda: net.peer(s) == ("refused", "wrong-key"), "the refusal at site %d" % s, 15)
    new = net.hold(PLAIN[4], SERVER[4])
    for h in list(held.values()) + [new]:
        h.say()
    assert ("tcp", PLAIN[4], str(new.port)) not in owned_by_1(net)
    assert {e for e in before if e[0] == "tcp" and e[1:] in {(a, str(h.port)) for a, h in held.items()}} <= owned_by_1(net)
    type_in(net, 2, "sync key-file /etc/frr/dsaa.key")
    wait_up(net)
    wait_for(lambda: ("tcp", PLAIN[4], str(new.port)) in owned_by_1(net), "the new connection at site 2", 5)
    new.end()


def test_exposed_key(net, held):
    """Others may read it: refused with that reason, until they may not."""
    twosites.write(net.router(2), "/etc/frr/other.key", KEY + "\n", mode="644")
    type_in(net, 2, "sync key-file /etc/frr/other.key")
    wait_for(lambda: net.peer(2)[1] == "key-exposed" and net.peer(2)[0] != "up", "the refusal", 15)
    net.run(2, "chmod 600 /etc/frr/other.key")
    wait_up(net)
    type_in(net, 2, "sync key-file /etc/frr/dsaa.key")
    wait_up(net)


def test_rewritten_key(net, held):
    """Another key in the same file is taken without a command, and so is the right one when it is back."""
    twosites.write(net.router(2), "/etc/frr/dsaa.key", KEY[::-1] + "\n")
    for s in SITES:
        wait_for(lambda: net.peer(s) == ("refused", "wrong-key"), "the refusal at site %d" % s, 15)
    net.run(2, "rm /etc/frr/dsaa.key")
    wait_for(lambda: net.peer(2)[1] == "key-unreadable", "the missing file to be told", 10)
    twosites.write(net.router(2), "/etc/frr/dsaa.key", KEY + "\n")
    wait_up(net)


def test_other_cluster(net, held):
    before = owned_by_1(net)
    type_in(net, 2, "cluster-id 8")
    for s in SITES:
        wait_for(lambda: net.peer(s) == ("refused", "cluster-mismatch"), "the refusal at site %d" % s, 15)
    for h in held.values():
        h.say()
    assert {e for e in before if e[0] == "tcp" and e[1:] in {(a, str(h.port)) for a, h in held.items()}} <= owned_by_1(net)
    type_in(net, 2, "cluster-id 7")
    wait_up(net)


def swap(net, site, old, new):
    """Router SITE gets other sync-addresses of site 1 and 2; its own one says which of them it is."""
    lines = ["site 1", "no sync-address " + old[1], "exit", "site 2", "no sync-address " + old[2], "sync-address " + new[2], "exit"]
    type_in(net, site, *lines, "site 1", "sync-address " + new[1], "exit")


def test_two_routers_claim_one_site(net, held):
    """Both name the cause. Nobody is site 2 any more, and site 1 goes on with what it has."""
    swapped = {1: SYNC[2], 2: SYNC[1]}
    swap(net, 2, SYNC, swapped)
    for s in SITES:
        said = lambda: (net.show(s).get("localSite"), net.show(s).get("peers", {}).get("2", {}).get("reason"))
        wait_for(lambda: said() in ((1, "same-site"), (1, "unknown-site")), "router %d to say so" % s, 15)
    for h in held.values():
        h.say()
    swap(net, 2, swapped, SYNC)
    wait_up(net)
    net.wait_ready()
    for h in held.values():
        h.say()


GARBAGE = r'''
import os, socket, sys
source, to, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
for n in range(4):
    s = socket.socket()
    s.bind((source, 0))
    s.settimeout(5)
    try:
        s.connect((to, 3785))
        s.sendall([b"GET / HTTP/1.0\r\n\r\n", os.urandom(size), b"\x16\x03\x03" + os.urandom(size), b"DSAA" + bytes(size)][n])
        while s.recv(4096):
            pass
    except OSError:
        pass
    s.close()
print("done")
'''


@pytest.mark.parametrize("source", [SYNC[2], STRANGER], ids=["the peer's address", "a stranger's"])
def test_garbage_on_the_sync_port(net, held, source):
    """The session goes on, nothing changes, and the log tells it at most once for each reason."""
    net.run(2, "ip addr replace %s/32 dev sync" % STRANGER)
    before, sessions = owned_by_1(net), net.show(1, "show dsaa sync")["peers"]["2"]["sessions"]
    out = net.router(2).run("/usr/bin/python3 - %s %s 20000 <<'EOF'%sEOF" % (source, SYNC[1], GARBAGE))
    assert "done" in out, out
    assert net.peer(1)[0] == net.peer(2)[0] == "up"
    assert net.show(1, "show dsaa sync")["peers"]["2"]["sessions"] == sessions
    for h in held.values():
        h.say()
    assert {e for e in before if e[0] == "tcp"} <= owned_by_1(net)
    log = net.router(1).run("grep 'refused a connection from %s' dsaad.log" % source).splitlines()
    reasons = [line.split(": ")[-1] for line in log]
    assert reasons and len(reasons) == len(set(reasons)), log


VXLAN = r'''
import socket, struct, sys
kind, source, to, port = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
def checksum(b):
    n = sum(struct.unpack("!%dH" % (len(b) // 2), b))
    n = (n & 0xffff) + (n >> 16)
    return ~((n & 0xffff) + (n >> 16)) & 0xffff
src, dst = socket.inet_aton(sys.argv[5]), socket.inet_aton(sys.argv[6])
udp = struct.pack("!HHHH", 4444, 5001, 12, 0) + b"evil"
ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 32, 1, 0, 64, 17, 0, src, dst)
ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
ether = b"\x02\xd5\xaa\0\0\x01" + b"\x02\xd5\xaa\0\0\x02" + b"\x08\x00"
vni = 9 if kind == "interface" else 1
packet = struct.pack("!II", 0x08000000, vni << 8) + ether + ip + udp
if kind == "malformed":
    packet = packet[:20]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((source, 0))
for n in range(5):
    s.sendto(packet, (to, port))
print("sent")
'''

TUNNEL = [
    ("stranger", STRANGER, "tunnel-stranger"),
    ("malformed", SYNC[2], "tunnel-malformed"),
    ("interface", SYNC[2], "tunnel-unknown-interface"),
    ("opens", SYNC[2], "tunnel-opens"),
]


@pytest.mark.parametrize("kind,source,reason", TUNNEL, ids=[t[0] for t in TUNNEL])
def test_tunnel_packets_that_are_refused(net, held, kind, source, reason):
    """They open nothing, reach nobody, and are counted by reason."""
    net.run(2, "ip addr replace %s/32 dev sync" % STRANGER)
    before = net.correction(1)[2].get(reason, 0)
    victim = "203.0.113.77"
    out = net.router(2).run(
        "/usr/bin/python3 - %s %s %s %d %s %s <<'EOF'%sEOF" % (kind, source, SYNC[1], twosites.PORT + 1, victim, SERVER[4], VXLAN)
    )
    assert "sent" in out, out
    wait_for(lambda: net.correction(1)[2].get(reason, 0) >= before + 5, "%s to be counted, now %r" % (reason, net.correction(1)[2]), 5)
    for s in SITES:
        assert not net.entries(s, victim, "udp")
    for h in held.values():
        h.say()


@pytest.mark.parametrize("to", [SYNC[1], twosites.OUT[1, 4] % 1], ids=["to the sync-address", "to another address of the router"])
def test_tunnel_packet_on_another_interface(net, held, to):
    """From outside with the peer's address as its source: never taken for the peer's."""
    victim = "203.0.113.78"
    received, refused = net.correction(1)[1], net.correction(1)[2].get("tunnel-stranger", 0)
    net.run("outside", "ip addr add %s/32 dev lo && ip route add %s via %s" % (SYNC[2], SYNC[1], twosites.OUT[1, 4] % 1))
    out = net.router("outside").run(
        "/usr/bin/python3 - opens %s %s %d %s %s <<'EOF'%sEOF" % (SYNC[2], to, twosites.PORT + 1, victim, SERVER[4], VXLAN)
    )
    net.run("outside", "ip addr del %s/32 dev lo; ip route del %s" % (SYNC[2], SYNC[1]))
    assert "sent" in out, out
    for h in held.values():
        h.say()
    assert net.correction(1)[1] == received
    assert net.correction(1)[2].get("tunnel-stranger", 0) == refused + 5
    assert not net.entries(1, victim, "udp")


# ------------------------------------------------------------ completeness


def test_nothing_is_announced_before_state_is_complete(net, held):
    """Site 2 starts without a word from site 1: it withholds, until it has the whole state."""
    net.cut_sync()
    net.kill(2, "dsaad")
    wait_for(lambda: all(2 not in net.paths("outside", SERVICE_NET[f]) for f in FAMILIES), "the routes of site 2 to go", 20)
    net.run(2, "conntrack -D -m 0x01000000/0xff000000 >/dev/null 2>&1; conntrack -D -f ipv6 -m 0x01000000/0xff000000 >/dev/null 2>&1 || true")
    begin = time.monotonic()
    net.restart(2, "dsaad")
    wait_for(lambda: net.show(2).get("localSite") == 2, "site 2 to know itself", 10)

    def announced():
        """Whether the peers have a prefix of site 2; never while it is not complete."""
        # Asked in this order: what was announced must have been complete by then.
        there = [p for f in FAMILIES for p in (SERVICE_NET[f],) if 2 in net.paths("outside", p)]
        there += [p for f in FAMILIES for p in (CLIENTS_NET[f], POOL[2, f]) if 2 in net.paths("inside", p)]
        assert not there or net.complete(2), there
        return len(there) == 6

    while time.monotonic() < begin + 5:
        assert not announced()
    assert net.complete(2) is False
    assert {p["state"] for p in net.show(2, "show dsaa advertise")["prefixes"].values()} == {"withheld"}
    net.cut_sync(False)
    wait_for(announced, "everything announced again", 30, 0.05)
    wanted = {("tcp", a, str(h.port)) for a, h in held.items()}
    assert wanted <= owned_by_1(net)
    for h in held.values():
        h.say()
