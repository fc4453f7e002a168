# SPDX-License-Identifier: GPL-2.0-or-later
"""Forward through site 1, return through site 2: everything works, because site 2 carries what is not its own to site 1. The network is
drawn in twosites.py.
"""

import json
import re

import pytest

import twosites
from dsaatopo import wait_for
from twosites import FAMILIES, NATTED, PLAIN, POOL_RANGE, SERVER, SITES

SOURCES = [NATTED, PLAIN]
IDS = ["snat", "plain"]
EVERY = pytest.mark.parametrize("family", FAMILIES)
BOTH = pytest.mark.parametrize("source", SOURCES, ids=IDS)
MEGABYTES = 1000 * 1000


@pytest.fixture(scope="module")
def net():
    yield from twosites.fixture(__name__, timers=twosites.CALM)


@pytest.fixture(autouse=True, scope="module", params=["auto", "nfqueue"])
def split(net, request):
    """All of it by the fast path, where the kernel has one, and all of it by the queue."""
    net.prefer(forward=1, back=2)
    net.mode(request.param)


@pytest.fixture(autouse=True)
def no_loops(net):
    """Each test: nothing went round, no reset was seen, the paths were as they should be."""
    resets, before = net.resets(), [net.correction(s) for s in SITES]
    yield
    after = [net.correction(s) for s in SITES]
    assert net.resets() == resets
    for s in SITES:
        for reason in ("loop", "tunnel-malformed", "tunnel-stranger", "send-failed", "deliver-failed", "queue-overload"):
            assert after[s - 1][2].get(reason, 0) == before[s - 1][2].get(reason, 0), (s, reason)
    # Site 1 owns all of it and sends nothing away: what it sent back would be on its way for ever.
    assert after[0][0] == before[0][0]


def corrected(net):
    """Packets that site 2 sent, and that site 1 received."""
    return net.correction(2)[0], net.correction(1)[1]


def lost_between(net):
    """{counter: packets}: what the kernels say that they lost on the way from site 2 to site 1, on a machine that is too busy."""
    lost = {}
    for interface in ("sync", "dsaa0"):
        for link in json.loads(net.run(2, "ip -s -j link show dev %s 2>/dev/null || echo []" % interface)):
            lost["site 2: %s" % interface] = link["stats64"]["tx"]["dropped"]
    for site, counters in ((1, ("IpReasmFails", "UdpRcvbufErrors")), (2, ("IpFragFails", "IpOutDiscards"))):
        for line in net.run(site, "nstat -azs").splitlines():
            if line.startswith(counters):
                name, packets = line.split()[:2]
                lost["site %d: %s" % (site, name)] = int(packets)
    return lost


class Carried:
    """Counts what goes from site 2 to site 1 from now on."""

    def __init__(self, net):
        self.net = net
        self.before, self.lost_before = corrected(net), lost_between(net)

    def so_far(self):
        return [now - then for now, then in zip(corrected(self.net), self.before)]

    def check(self, least):
        """Both counters rose, by at least that many packets and alike; what is missing a kernel must have counted as lost."""
        try:
            wait_for(lambda: len(set(self.so_far())) == 1, "site 1 to count what site 2 sent", 5)
        except AssertionError:
            pass  # told below, with all that is known
        sent, received = self.so_far()
        lost = {k: n - self.lost_before.get(k, 0) for k, n in lost_between(self.net).items()}
        assert sent >= least
        assert 0 <= sent - received <= sum(lost.values()), (sent, received, lost, [self.net.correction(s) for s in SITES])


def interface_packets(net, site, interface, way):
    # not from /sys: the one that a router of the framework sees need not be that of its namespace
    link = json.loads(net.router(site).run("ip -s -j link show dev " + interface))[0]
    return link["stats64"][way]["packets"]


@EVERY
@BOTH
def test_tcp(net, source, family):
    """Some MB with their checksum."""
    carried = Carried(net)
    length = 8 * MEGABYTES
    found = twosites.check_fetched(net.fetch(source[family], SERVER[family], length), length)
    assert found["stall"] < 3
    # Segments may be as large as offloading makes them.
    carried.check(length // 65536)


@EVERY
@BOTH
def test_the_way_it_takes(net, source, family):
    """The answers come to site 2 from inside and leave through site 1; none is routed on by site 2."""
    length = 2 * MEGABYTES
    out1, out2, in2 = (interface_packets(net, s, i, w) for s, i, w in ((1, "out", "tx"), (2, "out", "tx"), (2, "in", "rx")))
    twosites.check_fetched(net.fetch(source[family], SERVER[family], length), length)
    least = length // 65536
    assert interface_packets(net, 2, "in", "rx") - in2 >= least
    assert interface_packets(net, 1, "out", "tx") - out1 >= least
    assert interface_packets(net, 2, "out", "tx") - out2 < least


@EVERY
@BOTH
def test_translated_by_the_owner(net, source, family):
    """Source NAT to the pool of site 1, and the same in the kernel of site 2."""
    h = net.hold(source[family], SERVER[family])
    h.say()

    def entry(site):
        return next((e for e in net.entries(site, source[family], "tcp") if e["sport"] == str(h.port)), None)

    wait_for(lambda: entry(2) and entry(2)["owner"] == 1, "the entry at site 2", 5)
    assert entry(1)["owner"] == 0
    seen_by_server = net.router("server").run("ss -Htn state established '( sport = 5002 )'")
    low = POOL_RANGE[1, family].split("-")[0]
    want = source[family] if source is PLAIN else low[: -len(low.split("." if family == 4 else ":")[-1])]
    assert want in seen_by_server
    assert entry(1)["rdst"].startswith(want) and entry(2)["rdst"] == entry(1)["rdst"]
    h.end()


@EVERY
@BOTH
def test_udp(net, source, family):
    """Without NAT the first answers may be faster than the state; then site 2 does not know them yet, and drops them."""
    carried = Carried(net)
    found = net.udp(source[family], SERVER[family], count=50, size=300, pause=0.02)
    assert found["wrong"] == 0
    assert found["answered"] >= (50 if source is NATTED else 48), found
    carried.check(48)


@EVERY
@BOTH
def test_big_udp(net, source, family):
    """Datagrams of several fragments, both ways."""
    carried = Carried(net)
    found = net.udp(source[family], SERVER[family], count=20, size=6000, pause=0.05)
    assert found["wrong"] == 0
    assert found["answered"] >= (20 if source is NATTED else 18), found
    carried.check(18)


@EVERY
@BOTH
def test_ping(net, source, family):
    carried = Carried(net)
    assert net.ping(source[family], SERVER[family], 20) >= (20 if source is NATTED else 19)
    carried.check(19)


@EVERY
def test_big_ping(net, family):
    carried = Carried(net)
    assert net.ping(NATTED[family], SERVER[family], 10, size=4000) == 10
    carried.check(10)


@EVERY
@BOTH
def test_icmp_errors_come_back(net, source, family):
    """A UDP port that nobody listens on: the server's error takes the other way, and reaches the client's socket."""
    code = (
        "import socket,sys; s=socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM);"
        "s.bind((sys.argv[1], 0)); s.connect((sys.argv[2], 5999)); s.settimeout(1); n=0\n"
        "for _ in range(5):\n"
        "  try: s.send(b'x'); s.recv(9)\n"
        "  except ConnectionRefusedError: n+=1\n"
        "  except OSError: pass\n"
        "print('refused', n)"
    )
    out = net.router("client").run('/usr/bin/python3 -c "%s" %s %s' % (code, source[family], SERVER[family]))
    assert int(re.search(r"refused (\d+)", out).group(1)) >= 3, out


@EVERY
def test_ttl_is_as_if_it_had_arrived_at_its_owner(net, family):
    """The tunnel is no hop: the client sees the TTL that the direct way gives."""
    command = "ping -n -c 3 -i 0.1 -W 2 -I %s %s" % (NATTED[family], SERVER[family])
    split = set(re.findall(r"ttl=(\d+)", net.router("client").run(command)))
    net.prefer(back=1)
    direct = set(re.findall(r"ttl=(\d+)", net.router("client").run(command)))
    net.prefer(back=2)
    assert split == direct and len(split) == 1


@EVERY
def test_forward_may_change_too(net, family):
    """A connection of site 1 whose forward packets now come to site 2 as well."""
    h = net.hold(NATTED[family], SERVER[family])
    h.say()
    net.prefer(forward=2)
    carried = Carried(net)
    for _ in range(3):
        h.say()
    carried.check(3)
    net.prefer(forward=1)
    h.say()
    h.end()


def test_a_packet_without_connection_goes_nowhere(net):
    """Second chance: site 2 offers it to site 1, which does not know it either; it is dropped there and counted, once."""
    before = net.correction(1)[2].get("second-chance-not-ours", 0)
    # To an address of site 1's pool, from the servers' side.
    code = (
        "import socket; s=socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('10.9.1.10', 7777))\n"
        "for _ in range(3): s.sendto(b'stray', ('10.201.0.9', 7777))"
    )
    net.run("server", '/usr/bin/python3 -c "%s"' % code)
    wait_for(lambda: net.correction(1)[2].get("second-chance-not-ours", 0) >= before + 3, "the packets to be counted", 5)
    assert net.correction(1)[2]["second-chance-not-ours"] == before + 3


def test_several_at_once(net):
    length = 3 * MEGABYTES
    programs = [net.fetch(a[f], SERVER[f], length) for a in SOURCES for f in FAMILIES for _ in range(2)]
    for p in programs:
        twosites.check_fetched(p, length)


def test_data_path_is_shown(net):
    for s in SITES:
        shown = net.show(s, "show dsaa correction")["interfaces"]
        for name in ("in", "out"):
            assert shown[name]["dataPath"] in ("nfqueue", "kernel")
            assert shown[name]["why"]
