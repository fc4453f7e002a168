# SPDX-License-Identifier: GPL-2.0-or-later
"""
Three sites, full mesh: packets are carried to whichever site owns their connection; each of the three may die, be cut off or drained,
and every connection goes on, with one owner that all sites agree on. The tests are one story.
"""

import json
import os
import secrets
import subprocess

import pytest

from lab import topology as topo
from lab.control import TOP, Lab, LabError, wait_for

TRAFFIC = ["/usr/bin/python3", os.path.join(TOP, "tests", "topotests", "traffic.py")]
CLIENT, SERVER = topo.CLIENT[4], topo.SERVER[4]
ECHO = 5002
SITES = (1, 2, 3)
# Further clients, whose addresses no site translates: routing can tell each of them its own way.
PLAIN = {2: "203.0.112.22", 3: "203.0.112.33"}
# An echo that takes longer than this waited for more than TCP's patience with one lost packet.
STALL_S = 3


def until(seconds, check, what):
    """CHECK returns None, or what is so instead."""
    last = wait_for(seconds, check)
    assert last is None, "%s: %s" % (what, last)


class Held:
    """A TCP connection that stays open; say() proves that it lives."""

    def __init__(self, lab, client=CLIENT):
        self.lab, self.client = lab, client
        self.program = lab.popen("client", TRAFFIC + ["hold", client, SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = json.loads(self.program.stdout.readline())["port"]

    def say(self):
        self.program.stdin.write("hello\n")
        self.program.stdin.flush()
        answer = json.loads(self.program.stdout.readline())
        assert answer["echo"], answer
        assert answer["seconds"] < STALL_S, answer

    def owner(self, site):
        """Whom SITE takes for its owner; None when it does not know the connection."""
        found = self.lab.vtysh_json("site%d" % site, "show dsaa explain tcp %s %d %s %d json" % (self.client, self.port, SERVER, ECHO))
        return found["owner"] if found["known"] else None

    def end(self):
        self.program.stdin.close()
        self.program.wait(10)


class Net:
    """The running lab, as these tests see it."""

    def __init__(self):
        self.lab = Lab("three-" + secrets.token_hex(4))
        self.lab.start(sites=3, family="4", nat="snat", bfd="3x100")
        self.server = self.lab.popen("server", TRAFFIC + ["serve", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert json.loads(self.server.stdout.readline()) == {"ready": True}

    def add_plain_clients(self):
        for n, address in PLAIN.items():
            self.lab.run("client", ["ip", "addr", "add", address + "/32", "dev", "lo"])
            for isp in topo.ISPS:
                self.lab.run("isp%d" % isp, ["ip", "route", "add", address, "via", topo.host(topo.client_link(isp, 4), 2)])
            for site in SITES:
                self.lab.run("site%d" % site, ["ip", "route", "add", address, "via", topo.host(topo.out_net(site, 4), 11)])

    def lead(self, site):
        """All packets of the plain client of this number come to SITE, in both directions, whatever BGP prefers."""
        for isp in topo.ISPS:
            table = str(100 + site)
            self.lab.run("isp%d" % isp, ["ip", "route", "add", "default", "via", topo.host(topo.out_net(site, 4), 1), "table", table])
            self.lab.run("isp%d" % isp, ["ip", "rule", "add", "from", PLAIN[site], "lookup", table])
        self.lab.run("inside", ["ip", "route", "add", PLAIN[site], "via", topo.host(topo.in_net(site, 4), 1)])

    def prefer(self, forward, back):
        self.lab.path("forward", forward)
        self.lab.path("return", back)

    def show(self, site, command="show dsaa"):
        return self.lab.vtysh_json("site%d" % site, command + " json")

    def peers(self, site):
        """{peer: (state, reason)} as SITE says."""
        try:
            return {int(n): (p["state"], p["reason"]) for n, p in self.show(site)["peers"].items()}
        except LabError as e:
            return {0: (str(e), "")}

    def wait_up(self, seconds=30):
        def missing():
            for s in SITES:
                found = self.peers(s)
                if [state for state, _ in found.values()] != ["up", "up"]:
                    return "site %d: %s" % (s, found)
                if not self.show(s)["stateComplete"]:
                    return "site %d is not complete" % s
            return None

        until(seconds, missing, "all sites up")

    def drains(self, site):
        """How often a lost route has made SITE drain itself, as far back as its events go."""
        events = self.show(site, "show dsaa events")["events"]
        return [e for e in events if e["what"] == "drain" and e["reason"] == "route-lost"]

    def sent(self, site, peer):
        return self.show(site, "show dsaa correction")["peers"][str(peer)]["packetsSent"]

    def agreed(self, held, sites=SITES, seconds=10, wanted=None):
        """Waits until all of SITES name one and the same owner, and returns it."""

        def differ():
            found = [held.owner(s) for s in sites]
            if len(set(found)) == 1 and found[0] in (wanted or sites):
                return None
            return found

        until(seconds, differ, "one owner")
        return held.owner(sites[0])

    def audited_equal(self):
        """An audit from now on finds nothing, at any site, of any other."""
        pairs = [(s, p) for s in SITES for p in SITES if s != p]
        before = {pair: self.audit(*pair)["audits"] for pair in pairs}
        for s in SITES:
            self.lab.vtysh("site%d" % s, "dsaa audit")
        for pair in pairs:
            until(10, lambda pair=pair: None if self.audit(*pair)["audits"] > before[pair] else "none at site %d of %d" % pair, "audit")
            assert not self.audit(*pair)["differences"], "site %d, of site %d: %s" % (*pair, self.audit(*pair))

    def audit(self, site, peer):
        return self.show(site, "show dsaa sync")["peers"][str(peer)]["lastAudit"]

    def stop(self):
        self.server.stdin.close()
        self.lab.stop()


@pytest.fixture(scope="module")
def net():
    one = Net()
    yield one
    one.stop()


@pytest.fixture(scope="module")
def held(net):
    """Connections of each site, that last through all of it: {site: Held}."""
    found = {}
    for s in SITES:
        net.prefer(s, s)
        found[s] = Held(net.lab)
        found[s].say()
        assert net.agreed(found[s], wanted=[s]) == s
    return found


def all_speak(held):
    for h in held.values():
        h.say()


def test_each_holds_what_the_others_own(net, held):
    net.wait_up()
    net.audited_equal()
    for s in SITES:
        peers = net.show(s, "show dsaa sync")["peers"]
        assert set(peers) == {str(p) for p in SITES if p != s}
        assert all(p["flowsApplied"] >= 1 for p in peers.values())


def test_a_start_is_no_drain(net, held):
    """The tracked routes came some seconds after dsaad: it waited for them, and drained nothing meanwhile."""
    for s in SITES:
        assert set(net.show(s)["trackedRoutes"].values()) == {"here"}
        assert not net.drains(s), net.drains(s)


def test_corrected_to_any_owner(net, held):
    """Forward by one site, back by another, owned by the third or one of them: all of it arrives."""
    for forward, back in ((1, 2), (2, 3), (3, 1)):
        net.prefer(forward, back)
        before = {(s, p): net.sent(s, p) for s in (forward, back) for p in SITES if p != s}
        all_speak(held)
        for s in (forward, back):
            for p in SITES:
                if p != s:
                    assert net.sent(s, p) > before[s, p], "site %d carried nothing to site %d" % (s, p)
        for s, h in held.items():
            assert net.agreed(h) == s, "being carried does not change the owner"


def test_one_link_of_the_mesh_is_cut(net, held):
    """Sites 1 and 2 lose each other, both still see site 3: nobody is dead, everything goes on, and then all agree again."""
    net.prefer(1, 2)
    fresh = Held(net.lab)
    fresh.say()
    net.lab.cut("site1-site2")
    until(5, lambda: None if net.peers(1)[2][0] == net.peers(2)[1][0] == "isolated" else (net.peers(1), net.peers(2)), "isolated")
    assert [net.peers(s)[3][0] for s in (1, 2)] == ["up", "up"]
    assert {state for state, _ in net.peers(3).values()} == {"up"}
    all_speak(held)
    fresh.say()
    net.lab.heal("site1-site2")
    net.wait_up()
    for h in list(held.values()) + [fresh]:
        net.agreed(h)
    net.audited_equal()
    all_speak(held)
    fresh.say()
    fresh.end()


def test_a_site_dies(net, held):
    """
    Each survivor takes those of its connections that routing brings there; those of which packets come to both of them, too, have one
    owner in the end.
    """
    net.prefer(1, 1)
    net.add_plain_clients()
    split = {s: [Held(net.lab, PLAIN[s]) for _ in range(5)] for s in PLAIN}
    more = [Held(net.lab) for _ in range(5)]
    for h in more + split[2] + split[3]:
        h.say()
        net.agreed(h, wanted=[1])
    # half of them to each of the others already, which carry them to site 1
    for s in split:
        net.lead(s)
        for h in split[s]:
            h.say()
            assert net.agreed(h) == 1
    # when site 1 has gone, the way there leads through site 2, the way back through site 3
    net.prefer(2, 3)
    for h in more:
        h.say()
    net.lab.cut("site1")
    # within five seconds: who is silent for longer is taken by either of them
    for h in split[2] + split[3] + list(held.values()) + more:
        h.say()
    for s in (2, 3):
        until(5, lambda s=s: None if net.peers(s)[1] == ("dead", "all-silent") else net.peers(s), "site 1 is dead")
    for h in list(held.values()) + more:
        assert net.agreed(h, (2, 3)) in (2, 3)
    for s in split:
        for h in split[s]:
            assert net.agreed(h, (2, 3), wanted=[s]) == s, "it lives where its packets come"
            h.say()
            h.end()
    fresh = Held(net.lab)
    fresh.say()
    assert net.agreed(fresh, (2, 3), wanted=[2]) == 2
    fresh.end()
    for h in more:
        h.say()
        h.end()


def test_it_comes_back(net, held):
    """It learns everything first; what others have adopted stays theirs."""
    owners = {s: net.agreed(h, (2, 3)) for s, h in held.items()}
    net.lab.heal("site1")
    net.wait_up(45)
    for s, h in held.items():
        assert net.agreed(h) == owners[s]
    net.audited_equal()
    net.prefer(1, 2)
    all_speak(held)
    for s, h in held.items():
        assert net.agreed(h) == owners[s]


def test_one_against_two(net, held):
    """Site 1 is cut off from both others, and its connections come to those two: adopted on demand, by one of them in the end."""
    net.prefer(1, 1)
    mine = Held(net.lab)
    mine.say()
    assert net.agreed(mine, wanted=[1]) == 1
    for s in (2, 3):
        net.lab.cut("site1-site%d" % s)
    until(5, lambda: None if {p[0] for p in net.peers(1).values()} == {"isolated"} else net.peers(1), "site 1 is isolated")
    net.prefer(2, 3)
    mine.say()
    all_speak(held)
    for s in (2, 3):
        net.lab.heal("site1-site%d" % s)
    net.wait_up()
    for h in list(held.values()) + [mine]:
        net.agreed(h)
    assert mine.owner(1) in (2, 3), "it stays where it lives"
    net.audited_equal()
    net.prefer(1, 2)
    mine.say()
    all_speak(held)
    mine.end()


def test_a_drained_site_hands_over(net, held):
    net.prefer(2, 2)
    mine = Held(net.lab)
    mine.say()
    assert net.agreed(mine, wanted=[2]) == 2
    net.lab.vtysh("site2", "dsaa drain")
    until(15, lambda: None if net.show(2)["drain"]["state"] == "drained" else net.show(2)["drain"], "site 2 is drained")
    for h in list(held.values()) + [mine]:
        assert net.agreed(h) in (1, 3)
        h.say()
    net.lab.reboot("site2")
    net.wait_up(45)
    assert not net.drains(2), "it has lost nothing that it never had"
    for h in list(held.values()) + [mine]:
        assert net.agreed(h) in (1, 3)
        h.say()
    net.audited_equal()
    mine.end()


def test_nobody_saw_a_reset(net, held):
    all_speak(held)
    for h in held.values():
        h.end()
