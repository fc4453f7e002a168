# SPDX-License-Identifier: GPL-2.0-or-later
"""Correction is right in every respect: what went through site 1 comes back through site 2, and nobody can tell from what arrives.

Each test runs with NFQUEUE alone and with what 'auto' finds. The network is drawn in twosites.py; here the sites let more protocols
in, and translate a service's address to the server's.
"""

import json
import os
import re
import subprocess
import time

import pytest

import twosites
from dsaatopo import wait_for
from twosites import FAMILIES, IN, NATTED, OUT, PLAIN, SERVER, SITES

HERE = os.path.dirname(os.path.abspath(__file__))
MEGABYTE = 1000 * 1000
EVERY = pytest.mark.parametrize("family", FAMILIES)
BOTH = pytest.mark.parametrize("source", [NATTED, PLAIN], ids=["snat", "plain"])
SERVICE = {4: "10.9.0.99", 6: "2001:db8:9:99::1"}
MORE = """
add rule inet firewall forward iifname "out" oifname "in" meta l4proto { 47, 50, 132, 253 } accept
add chain inet firewall prerouting { type nat hook prerouting priority dstnat; }
add rule inet firewall prerouting iifname "out" ip daddr %s dnat ip to %s
add rule inet firewall prerouting iifname "out" ip6 daddr %s dnat ip6 to %s
""" % (SERVICE[4], SERVER[4], SERVICE[6], SERVER[6])
SEEN = """
table inet seen {
	counter by_in { }
	counter by_other { }
	chain forward {
		type filter hook forward priority -5;
		oifname "out" iifname "in" counter name by_in
		oifname "out" iifname != "in" counter name by_other
	}
}
"""


@pytest.fixture(scope="module")
def net():
    # The first test finds both sites ready, the next start from what the one before left.
    for n in twosites.fixture(__name__, timers=twosites.CALM):
        for s in SITES:
            n.run(s, "nft -f -", MORE)
        n.prefer(forward=1, back=2)
        yield n


@pytest.fixture(params=["nfqueue", "auto"], scope="module", autouse=True)
def mode(net, request):
    """All sites use that data path."""
    want = {"nfqueue": "nfqueue", "auto": "kernel"}[request.param]
    for s in SITES:
        configure(net, s, "correction mode %s" % request.param)

    def paths():
        return {net.show(s, "show dsaa correction")["interfaces"][i]["dataPath"] for s in SITES for i in ("in", "out")}

    if want == "kernel" and not os.path.exists("/sys/kernel/btf/vmlinux"):
        pytest.skip("this kernel has no fast path")
    wait_for(lambda: paths() == {want}, "all interfaces to be served by %s" % want, 40)
    return request.param


@pytest.fixture(autouse=True, scope="module")
def nothing_wrong(net, mode):
    """No test leaves anything behind that would tell of an error; looked at once per data path."""
    before = [net.correction(s)[2] for s in SITES]
    yield
    for s in SITES:
        after = net.correction(s)[2]
        for reason in ("tunnel-malformed", "tunnel-stranger", "send-failed", "deliver-failed", "queue-overload", "packet-unreadable"):
            assert after.get(reason, 0) == before[s - 1].get(reason, 0), (s, reason)


@pytest.fixture(autouse=True)
def no_reset(net):
    resets = net.resets()
    yield
    assert net.resets() == resets, net.resets_told()


def configure(net, site, *lines):
    net.router(site).vtysh_multicmd("configure terminal\ndsaa\n%s\nend\n" % "\n".join(lines))


def probe(net, name, *words):
    command = ["/usr/bin/python3", os.path.join(HERE, "probe.py"), *[str(w) for w in words]]
    p = net.router(name).popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    net.programs.append(p)
    return p


def answers(net, *words):
    return twosites.told(probe(net, "client", *words))


class Answering:
    """A program at the server for the time of the block."""

    def __init__(self, net, *words):
        self.program = probe(net, "server", *words)

    def __enter__(self):
        assert twosites.told(self.program) == {"ready": True}

    def __exit__(self, *_):
        self.end()

    def end(self):
        """What the program says at last."""
        self.program.stdin.close()
        said = self.program.stdout.read()
        self.program.wait(10)
        return json.loads(said) if said else {}


def sent(net):
    return net.correction(2)[0]


def reason(net, site, name):
    return net.correction(site)[2].get(name, 0)


def where_packets_go(net):
    """{router: {counter: n}} of all that may lose a packet, or tells what became of it."""
    found = {}
    for name in ("outside", 1, 2, "inside"):
        text = net.run(name, "nstat -asz 'Ip*Discards' 'Ip*NoRoutes' 'Ip*Errors' 'Udp*Errors' 'Icmp*OutDestUnreachs' 'IpForwDatagrams'; "
                             "conntrack -S 2>/dev/null | tr ' ' '\\n' | sed -n 's/^\\(insert_failed\\|drop\\|early_drop\\|invalid\\)=/ct-\\1 /p'; "
                             "awk '{ print \"queue-full\", $6; print \"queue-user\", $7 }' /proc/net/netfilter/nfnetlink_queue 2>/dev/null")
        counters = {}
        for line in text.splitlines():
            words = line.split()
            if len(words) > 1 and not line.startswith("#"):
                counters[words[0]] = counters.get(words[0], 0) + int(words[1])
        if name in SITES:
            counters.update(net.correction(name)[2])
        found[name] = counters
    return found


def fetch(net, source, to, length=3 * MEGABYTE):
    before = sent(net)
    twosites.check_fetched(net.fetch(source, to, length), length)
    wait_for(lambda: sent(net) - before >= length // 65536, "the packets to be counted", 5)


# ------------------------------------------------------------ what a packet looks like


@EVERY
@BOTH
def test_ttl_and_dscp(net, source, family):
    """As after one router less than it passed: the tunnel is none; DSCP and ECN as the server set them."""
    with Answering(net, "echo", SERVER[family], 5100, 0xB9):
        before = sent(net)
        found = answers(net, "ask", source[family], SERVER[family], 5100, 0x2A, 10, 100)
        assert found["answers"] >= (10 if source is NATTED else 8), found
        assert (found["ttl"], found["tos"]) == ([61], [0xB9]), found
        assert sent(net) - before >= 8


@EVERY
def test_interface_and_rp_filter(net, family):
    """The owner sees them come in by the interface of that name, with a strict filter for all."""
    net.run(1, "nft -f -", SEEN)
    net.run(1, "for i in all in out; do sysctl -qw net.ipv4.conf.$i.rp_filter=1; done")
    try:
        fetch(net, NATTED[family], SERVER[family])
        assert net.udp(NATTED[family], SERVER[family], count=5, size=6000, pause=0.02)["answered"] == 5
        assert net.ping(NATTED[family], SERVER[family], 5, size=3000) == 5
        shown = json.loads(net.run(1, "nft -j list counters table inet seen"))["nftables"]
        packets = {o["counter"]["name"]: o["counter"]["packets"] for o in shown if "counter" in o}
        assert packets["by_in"] > 50 and packets["by_other"] == 0, packets
    finally:
        net.run(1, "nft delete table inet seen; for i in all in out; do sysctl -qw net.ipv4.conf.$i.rp_filter=0; done")


@EVERY
@BOTH
def test_dnat(net, source, family):
    """Translated by the owner, alone and together with SNAT to its pool."""
    fetch(net, source[family], SERVICE[family])
    found = net.udp(source[family], SERVICE[family], count=10, size=300, pause=0.02)
    assert found["wrong"] == 0 and found["answered"] >= (10 if source is NATTED else 8), found


@EVERY
def test_without_offload(net, family):
    """Checksums that the hosts make themselves, segments that nobody joins or cuts."""
    off = "ethtool -K %s tx %s rx %s tso %s gso %s gro %s"
    for name in ("client", "server"):
        net.run(name, off % ("eth0", *["off"] * 5))
    try:
        fetch(net, NATTED[family], SERVER[family], MEGABYTE)
    finally:
        for name in ("client", "server"):
            net.run(name, off % ("eth0", *["on"] * 5))
    fetch(net, NATTED[family], SERVER[family])


# ------------------------------------------------------------ length


@EVERY
def test_fragments(net, family):
    # the largest of them leaves room for the tunnel's headers in one outer packet
    for size in (1400, 1473, 8000, 65400):
        before = sent(net)
        found = net.udp(NATTED[family], SERVER[family], count=5, size=size, pause=0.02)
        assert (found["answered"], found["wrong"]) == (5, 0), (size, found)
        assert sent(net) - before >= 5


@EVERY
def test_path_mtu_behind_the_owner(net, family):
    """The owner's way out is narrow: the server learns it from the owner, and the transfer goes on."""
    for name, interface in ((1, "out"), ("outside", "out1")):
        net.run(name, "ip link set %s mtu 1400" % interface)
    try:
        fetch(net, NATTED[family], SERVER[family], 2 * MEGABYTE)
    finally:
        for name, interface in ((1, "out"), ("outside", "out1")):
            net.run(name, "ip link set %s mtu 1500" % interface)
        net.run("server", "ip -%d route flush cache" % family)


@EVERY
def test_path_mtu_error_is_corrected(net, family):
    """Before the server it is narrow: the error goes back by the other site, and the client gets it with the right number."""
    net.run("inside", "ip link set server mtu 1300")
    try:
        before = sent(net)
        found = answers(net, "mtu", NATTED[family], SERVER[family], 1400)
        assert found == {"mtu": 1300}
        assert sent(net) > before
    finally:
        net.run("inside", "ip link set server mtu 1500")
        net.run("client", "ip -%d route flush cache" % family)


def test_small_site_sync_link_is_told(net):
    warnings = net.show(2, "show dsaa correction")["warnings"]
    assert any("sync has MTU 1500" in w and "1550" in w for w in warnings), warnings
    net.run(2, "ip link set sync mtu 1600")
    try:
        wait_for(lambda: not net.show(2, "show dsaa correction")["warnings"], "the warning to go", 5)
    finally:
        net.run(2, "ip link set sync mtu 1500")


# ------------------------------------------------------------ protocols


@EVERY
@BOTH
def test_other_protocols(net, source, family):
    """GRE, ESP, SCTP, and one that nobody knows. What outruns its state without NAT has its second chance, and so has GRE, whose replica
    the kernel forgets with the first packet."""
    protocols = [47, 50, 132, 253]
    servers = {p: Answering(net, "raw-echo", SERVER[family], p) for p in protocols}
    refuse_by_queue(net, True)
    try:
        for s in servers.values():
            s.__enter__()
        before, counted = sent(net), where_packets_go(net)
        asking = {p: probe(net, "client", "raw-ask", source[family], SERVER[family], p, 5, 500) for p in protocols}
        found = {p: twosites.told(program) for p, program in asking.items()}
        moved = where_packets_go(net)
        corrected = sent(net) - before
    finally:
        refuse_by_queue(net, False)
        answered = {p: s.end().get("answered") for p, s in servers.items()}
    counted = {n: {k: v - counted[n].get(k, 0) for k, v in now.items() if v != counted[n].get(k, 0)} for n, now in moved.items()}
    assert not any(f["lost"] for f in found.values()), "asked: %s; answered: %s; counted: %s" % (found, answered, counted)
    assert corrected >= 20


@EVERY
@pytest.mark.parametrize("kind", ["udp", "icmp"])
def test_traceroute(net, family, kind):
    """Each hop answers; what inside and the server say comes back by site 2."""
    before = sent(net)
    hops = answers(net, "trace", NATTED[family], SERVER[family], kind)["hops"]
    assert len(hops) == 4 and None not in hops, hops
    assert hops[1] == OUT[1, family] % 1 and hops[3] == SERVER[family], hops
    assert sent(net) - before >= 2


@EVERY
def test_the_router_itself(net, family):
    """What is addressed to a site's router is never carried away, whatever way it takes."""
    before = [net.correction(s)[0] for s in SITES]
    for s in SITES:
        assert net.ping(PLAIN[family], OUT[s, family] % 1, 3) == 3
    text = net.run("server", "ping -n -q -c 3 -i 0.1 -W 2 -I %s %s" % (SERVER[family], IN[2, family] % 1))
    assert "3 received" in text
    assert [net.correction(s)[0] for s in SITES] == before


# ------------------------------------------------------------ zones

# What is forwarded between the two hosts' networks is tracked in a zone of its own.
ZONES = """
table inet zones {
	chain prerouting {
		type filter hook prerouting priority raw;
		iifname "out" ip saddr 203.0.113.0/24 ct zone set %(number)d
		iifname "out" ip6 saddr 2001:db8:c0::/64 ct zone set %(number)d
		iifname "in" ip saddr 10.9.0.0/16 ct zone set %(number)d
		iifname "in" ip6 saddr 2001:db8:9::/48 ct zone set %(number)d
	}
}
"""
ZONE = {1: 10, 2: 20}


def name_zones(net, no=""):
    for s in SITES:
        text = "".join("site %d\n%szone red %s\nexit\n" % (at, no, ZONE[at]) for at in SITES)
        configure(net, s, text)
    wait_for(lambda: all(net.complete(s) for s in SITES), "the state to be complete again", 20)


@pytest.fixture
def zones(net):
    for s in SITES:
        net.run(s, "nft -f -", ZONES % {"number": ZONE[s]})
    name_zones(net)
    yield
    for s in SITES:
        net.run(s, "nft delete table inet zones")
    name_zones(net, "no ")


def flows(net, site, source, port):
    found = net.show(site, "show dsaa flow %s" % source)["flows"]
    return [f for f in found if f["original"].get("sport") == port]


@EVERY
@BOTH
def test_zone_has_another_number_there(net, zones, source, family):
    """Zone 10 of site 1 is zone 20 of site 2: answers that come in there find the connection, and go to its owner."""
    before = sent(net)
    h = net.hold(source[family], SERVER[family])
    h.say()
    there = wait_for(lambda: flows(net, 2, source[family], h.port), "the connection at site 2", 5)
    here = flows(net, 1, source[family], h.port)
    assert [(f["zone"], f["zoneName"], f["owner"]) for f in here] == [(10, "red", 1)], here
    assert [(f["zone"], f["zoneName"], f["owner"]) for f in there] == [(20, "red", 1)], there
    fetch(net, source[family], SERVER[family])
    assert sent(net) > before + 10
    h.end()
    wait_for(lambda: not [f for f in flows(net, 2, source[family], h.port) if f["tcpState"] == "ESTABLISHED"], "its end at site 2", 5)


def test_zone_that_a_site_lacks(net, zones):
    """It is not replicated, and show dsaa site says why; what was replicated before goes. With the line it is back."""
    h = net.hold(PLAIN[4], SERVER[4])
    h.say()
    wait_for(lambda: flows(net, 2, PLAIN[4], h.port), "the connection at site 2", 5)
    for s in SITES:
        configure(net, s, "site 2\nno zone red\nexit\n")
    wait_for(lambda: not flows(net, 2, PLAIN[4], h.port), "its end at site 2", 20)
    wait_for(lambda: all(net.complete(s) for s in SITES), "the state to be complete", 20)
    told = net.show(1, "show dsaa site")["sites"]["1"]["zones"]
    assert told == {"red": {"number": 10, "replicated": False, "missingAtSite": 2}}, told
    assert "not replicated: site 2 has none" in net.router(1).vtysh_cmd("show dsaa site")
    name_zones(net)
    wait_for(lambda: flows(net, 2, PLAIN[4], h.port), "the connection at site 2", 20)
    h.say()
    h.end()


# ------------------------------------------------------------ FTP

HELPER = """
table inet ftp {
	ct helper ftp { type "ftp" protocol tcp; }
	chain prerouting {
		type filter hook prerouting priority 0;
		tcp dport 21 ct helper set "ftp"
	}
}
"""


def program(net, name, *words):
    command = ["/usr/bin/python3", os.path.join(HERE, "ftp.py"), *[str(w) for w in words]]
    p = net.router(name).popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    net.programs.append(p)
    return p


@pytest.fixture
def ftp(net):
    """Both sites read FTP, and let in only what it expects; the server serves."""
    for s in SITES:
        if "rror" in net.router(s).run("nft -f - <<< '%s' 2>&1" % HELPER):
            pytest.skip("this kernel has no FTP helper")
        net.run(s, "nft insert rule inet firewall forward iifname out oifname in tcp dport 5003-65535 ct state new drop comment only-expected")
    served = program(net, "server", "serve", *[SERVER[f] for f in FAMILIES])
    assert twosites.told(served) == {"ready": True}
    yield
    served.kill()
    net.prefer(forward=1, back=2)
    for s in SITES:
        net.run(s, "nft delete table inet ftp; nft -a list chain inet firewall forward | sed -n 's/.*only-expected.*handle //p' | "
                   "while read h; do nft delete rule inet firewall forward handle $h; done")


@pytest.mark.parametrize("how", ["active", "passive"])
def test_ftp_data_at_the_other_site(net, ftp, how):
    """The data connection begins at site 2, which knows from site 1 that it is expected: it belongs to the control connection's
    owner, who translates it.
    """
    length = 2 * MEGABYTE
    clients = [program(net, "client", "get", NATTED[f], SERVER[f], how, length) for f in FAMILIES]
    ports = [str(twosites.told(c, "ready")["ready"]) for c in clients]
    if how == "passive":
        net.prefer(forward=2, back=1)
    for f, client, port in zip(FAMILIES, clients, ports):
        wait_for(lambda: port in [e["sport"] for e in net.entries(2, NATTED[f], "tcp", 21)], "the control connection at site 2", 5)
        before, expected = sent(net), reason(net, 1, "delivered")
        client.stdin.write("\n")
        client.stdin.flush()
        assert twosites.told(client) == {"bytes": length}, (how, f)
        wait_for(lambda: sent(net) - before >= length // 65536, "the packets to be counted", 5)
        assert reason(net, 1, "delivered") > expected
        begun_by = NATTED[f] if how == "passive" else SERVER[f]
        # of this test: those before it had other ports
        data = [[e for e in net.entries(s, begun_by, "tcp") if e["dport"] not in ("21", "5001", "5002")] for s in SITES]
        assert data[0] and {e["owner"] for e in data[0]} == {0}, data
        assert {e["owner"] for e in data[1]} <= {1}, data


# ------------------------------------------------------------ unknown connections


def refuse_by_queue(net, on):
    """The operator's last rule of site 2: to queue 37871 instead of the drop; with iptables where nf_tables has no queue."""
    if not on:
        net.run(2, "nft -a list chain inet firewall forward | sed -n 's/.*second-chance.*handle //p' | while read h; do "
                   "nft delete rule inet firewall forward handle $h; done; iptables-nft -F FORWARD; ip6tables-nft -F FORWARD")
        return
    native = net.router(2).run("nft -c add rule inet firewall forward queue to 37871 2>&1").strip() == ""
    if native:
        net.run(2, "nft add rule inet firewall forward iifname in queue to 37871 comment second-chance")
        return
    net.run(2, "nft add rule inet firewall forward iifname in ct state new accept comment second-chance")
    for tables in ("iptables-nft", "ip6tables-nft"):
        net.run(2, tables + " -A FORWARD -i in -m conntrack --ctstate NEW -j NFQUEUE --queue-num 37871")


@EVERY
def test_answers_without_state(net, family):
    """UDP without NAT whose state never comes: the operator's policy hands it over, and nothing is lost."""
    host = "%s/%d" % (PLAIN[family], 32 if family == 4 else 128)
    for s in SITES:
        configure(net, s, "no sync prefix %s" % host)
    refuse_by_queue(net, True)
    try:
        offered, delivered = reason(net, 2, "second-chance-policy"), reason(net, 1, "delivered")
        found = net.udp(PLAIN[family], SERVER[family], count=50, size=300, pause=0.01)
        assert (found["answered"], found["wrong"]) == (50, 0), found
        wait_for(lambda: reason(net, 2, "second-chance-policy") - offered >= 50, "the second chances to be counted", 5)
        wait_for(lambda: reason(net, 1, "delivered") - delivered >= 50, "their delivery to be counted", 5)
        assert not [e for e in net.entries(2, SERVER[family], "udp")], "a wrong entry at site 2"
        # What is nobody's is nobody's: dropped once, by the other site.
        strays = reason(net, 1, "second-chance-not-ours")
        code = "import socket; s=socket.socket(socket.AF_INET%s, socket.SOCK_DGRAM); s.sendto(b'stray', ('%s', 9))"
        net.run("server", '/usr/bin/python3 -c "%s"' % (code % ("" if family == 4 else "6", PLAIN[family])))
        wait_for(lambda: reason(net, 1, "second-chance-not-ours") == strays + 1, "the stray packet to be refused", 5)
    finally:
        refuse_by_queue(net, False)
        for s in SITES:
            configure(net, s, "sync prefix %s" % host)


@EVERY
def test_answers_that_wait(net, family):
    """The same with 'correction hold': what outruns its state waits for it."""
    for s in SITES:
        configure(net, s, "correction hold 300")
    refuse_by_queue(net, True)
    try:
        for port in range(7100, 7110):
            found = net.udp(PLAIN[family], SERVER[family], count=2, size=100, pause=0.05, port=port)
            assert (found["answered"], found["wrong"]) == (2, 0), found
        shown = net.show(2, "show dsaa correction")["hold"]
        assert shown["msec"] == 300 and shown["waiting"] == 0 and shown["noRoom"] == 0, shown
    finally:
        refuse_by_queue(net, False)
        for s in SITES:
            configure(net, s, "no correction hold")


def test_handshakes_do_not_wait(net):
    """Nobody tells of a half-open connection, so its SYN-ACK must not wait for state."""
    for s in SITES:
        configure(net, s, "correction hold 900")
    code = (
        "import socket, time\ns = socket.socket()\ns.bind((\"%s\", 0))\nbegin = time.monotonic()\n"
        "s.connect((\"%s\", 5002))\nprint(time.monotonic() - begin)" % (NATTED[4], SERVER[4])
    )
    try:
        times = sorted(float(net.run("client", "/usr/bin/python3 -c '%s'" % code)) for _ in range(5))
        assert times[2] < 0.4, times
    finally:
        for s in SITES:
            configure(net, s, "no correction hold")


@EVERY
def test_seen_elsewhere_ends_the_delay(net, family):
    """A connection that 'sync delay' holds back is told at once when one of its packets comes in at the other site."""
    for s in SITES:
        configure(net, s, "sync delay 60 protocol udp")
    refuse_by_queue(net, True)
    try:
        before = net.show(1, "show dsaa sync")["delay"]["exempt"]
        found = net.udp(PLAIN[family], SERVER[family], count=10, size=100, pause=0.1)
        assert (found["answered"], found["wrong"]) == (10, 0), found
        wait_for(lambda: net.entries(2, PLAIN[family], "udp"), "the connection to be told", 5)
        assert net.show(1, "show dsaa sync")["delay"]["exempt"] > before
    finally:
        refuse_by_queue(net, False)
        for s in SITES:
            configure(net, s, "no sync delay protocol udp")


def test_explain_says_hold(net):
    for s in SITES:
        configure(net, s, "correction hold 300")
    try:
        shown = net.show(2, "show dsaa explain tcp %s 80 %s 1234" % (SERVER[4], PLAIN[4]))
        assert (shown["known"], shown["verdictWithoutSyn"], shown["reasonWithoutSyn"]) == ("unknown", "hold", "held"), shown
    finally:
        for s in SITES:
            configure(net, s, "no correction hold")


def test_explain_says_that_nothing_is_corrected(net):
    """What would be corrected is local while correction is off; the other site's own address is its router's in any mode."""
    h = net.hold(PLAIN[4], SERVER[4])
    h.say()
    ask = "show dsaa explain tcp %s 5002 %s %d" % (SERVER[4], PLAIN[4], h.port)
    wait_for(lambda: net.show(2, ask)["verdict"] == "correct", "the connection of site 1 at site 2", 5)
    before = net.run(2, "vtysh -c 'show running-config'")
    mode = re.search(r"correction mode (\w+)", before)
    net.mode("off")
    try:
        shown = net.show(2, ask)
        assert (shown["known"], shown["verdict"], shown["reason"]) == ("foreign", "local", "not-corrected"), shown
        assert shown["reasonText"] == "correction mode off", shown
        text = net.run(2, "vtysh -c 'show dsaa correction'")
        assert "No packet is corrected: correction mode off" in text and "second chance in queue" not in text, text
    finally:
        net.mode(mode[1] if mode else "auto")
    shown = net.show(2, "show dsaa explain tcp %s 80 %s 1234" % (SERVER[4], twosites.OUT[1, 4] % 1))
    assert shown["reasonWithoutSyn"] == "to-router", shown
    h.end()


# ------------------------------------------------------------ what must not be


def test_flowtable_is_told(net):
    table = "table inet operator {\n flowtable fast {\n hook ingress priority 0; devices = { in, out };\n }\n}\n"
    said = net.router(2).run("nft -f - <<< '%s' 2>&1" % table)
    if "No such file" in said or "not supported" in said:
        pytest.skip("this kernel has no flowtables")
    assert not said
    try:
        warnings = net.show(2, "show dsaa correction")["warnings"]
        assert any("operator/fast" in w for w in warnings), warnings
    finally:
        net.run(2, "nft delete table inet operator")


# ------------------------------------------------------------ why


def log_lines(net, site, text):
    router = net.router(site)
    return router.run("grep -ch '%s' %s/%s/dsaad.log || true" % (text, router.logdir, router.name)).strip()


def test_each_packet_has_one_reason(net):
    """What site 2 got from inside and did not own is counted once there, and once at site 1."""
    before = [net.correction(s)[2] for s in SITES]
    assert net.ping(NATTED[4], SERVER[4], 20) == 20
    time.sleep(0.3)
    risen = [
        {r: n - b.get(r, 0) for r, n in net.correction(s)[2].items() if n != b.get(r, 0)} for s, b in zip(SITES, before)
    ]
    assert sum(risen[1].values()) == 20 and set(risen[1]) <= {"foreign", "second-chance-invalid", "second-chance-nat-pool"}, risen
    assert risen[0] == {"delivered": 20}, risen


def test_debug(net, mode):
    """Packets of one connection, in either direction, and no more lines a second than are of use."""
    router = net.router(2)
    target = "icmp %s any %s any" % (SERVER[4], "any")
    router.vtysh_cmd("debug dsaa correction %s" % target)
    assert target in router.vtysh_cmd("show debugging dsaa")
    count = lambda: int(log_lines(net, 2, "correction: protocol 1,"))
    before = count()
    assert net.ping(NATTED[4], SERVER[4], 5) == 5
    net.udp(NATTED[4], SERVER[4], count=5)
    wait_for(lambda: count() >= before + 5, "the packets in the log", 5)
    assert count() == before + 5
    assert log_lines(net, 2, "correction: protocol 17,") == "0"
    router.vtysh_cmd("debug dsaa correction icmp any any %s any" % PLAIN[6].replace("2001", "2002"))
    assert net.ping(NATTED[4], SERVER[4], 5) == 5
    assert count() == before + 5
    # of all connections, but not all packets
    router.vtysh_cmd("debug dsaa correction")
    begin = time.monotonic()
    net.run("client", "ping -n -q -c 400 -i 0.002 -W 2 -I %s %s" % (NATTED[4], SERVER[4]))
    assert net.ping(NATTED[4], SERVER[4], 15) == 15
    seconds = time.monotonic() - begin
    assert 50 <= count() - before - 5 <= min(350, 50 * (seconds + 1)), (count() - before - 5, seconds)
    assert int(log_lines(net, 2, "correction: [0-9]* more packets were not shown")) > 0
    router.vtysh_cmd("no debug dsaa correction")
    assert "orrection" not in router.vtysh_cmd("show debugging dsaa")
    assert re.search(r"not of one family", router.vtysh_cmd("debug dsaa correction any 10.0.0.1 any 2001:db8::1 any"))


# ------------------------------------------------------------ last, because of what its connection sends after its end


def test_no_loop(net):
    """Each site believes that the other owns it: nothing goes round, it is counted, and the audit puts it right."""
    h = net.hold(NATTED[4], SERVER[4])
    h.say()
    wait_for(lambda: [e for e in net.entries(2, NATTED[4], "tcp") if e["sport"] == str(h.port) and e["owner"] == 1], "the replica", 5)
    loops = reason(net, 2, "loop")
    net.run(1, "conntrack -U -p tcp -s %s --sport %d -m 0x02000000" % (NATTED[4], h.port))
    h.program.stdin.write("lost\n")
    h.program.stdin.flush()
    wait_for(lambda: reason(net, 2, "loop") > loops, "the loop to be counted at site 2", 10)
    # Each packet of the client makes one step, and one only.
    tried = [net.correction(s)[0] for s in SITES]
    time.sleep(1)
    assert all(net.correction(s)[0] - tried[s - 1] < 10 for s in SITES)

    def repaired():
        for s in SITES:
            net.router(s).vtysh_cmd("dsaa audit")
        owners = [[e["owner"] for e in net.entries(s, NATTED[4], "tcp") if e["sport"] == str(h.port)] for s in SITES]
        return owners in ([[0], [1]], [[2], [0]], [[], []]) and owners

    wait_for(repaired, "the audit to put it right", 15, 1)
    # What the client's kernel sends of it for minutes is none of the next test's.
    net.run("client", "nft add table inet over; nft add chain inet over out '{ type filter hook output priority 0; }'; "
                      "nft add rule inet over out tcp sport %d drop" % h.port)
    h.program.kill()
