# SPDX-License-Identifier: GPL-2.0-or-later
"""
The configurations of the manual's guides (doc/examples) run in the lab as they are printed: every line is taken, every session comes
up, traffic goes both ways through any two sites, and bgpd tells the neighbours what dsaad's tags say.
"""

import json
import os
import re
import secrets

import pytest

from lab import routing
from lab import topology as topo
from lab.control import Lab, wait_for

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLES = os.path.join(TOP, "doc", "examples")
GUIDES = {"two-sites": (2, "both"), "three-sites": (3, "4")}
PUBLIC = {4: topo.VIP[4], 6: topo.VIP[6]}


@pytest.fixture(scope="module", params=sorted(GUIDES), ids=sorted(GUIDES))
def guide(request):
    sites, family = GUIDES[request.param]
    one = Lab("guide-" + secrets.token_hex(4))
    one.start(sites=sites, family=family, nat="both", config=os.path.join(EXAMPLES, request.param))
    one.guide = request.param
    yield one
    one.stop()


def answered(lab, address, count=3):
    command = ["ping", "-n", "-q", "-c", str(count), "-i", "0.1", "-W", "2", address]
    return int(lab.run("client", command, check=False).stdout.split(" received")[0].split()[-1])


def paths(lab, node, prefix):
    """{the neighbour's address: its path} of a prefix in bgpd of NODE."""
    found = lab.vtysh_json(node, "show bgp ipv4 unicast %s json" % prefix)
    return {p["peer"]["peerId"]: p for p in found.get("paths", [])}


def words(line):
    return re.sub(r"\s+", " ", line.strip())


def test_every_line_is_taken(guide):
    """Whatever the guide prints is in the running configuration; nothing is complained about at the start."""
    for site in guide.top.sites:
        name = "site%d" % site
        with open(guide._file(name, "log", "start.log"), encoding="utf-8", errors="replace") as f:
            said = f.read()
        assert "Unknown command" not in said and "line " not in said, said
        running = {words(line) for line in guide.vtysh(name, "show running-config").splitlines()}
        text = ""
        for part in (name + ".conf", "dsaa.conf"):
            with open(os.path.join(EXAMPLES, guide.guide, part), encoding="utf-8") as f:
                text += f.read()
        text = routing.for_frr(text, guide.state["frr"][0])
        lines = [words(line) for line in text.splitlines() if line.strip() and line.strip()[0] != "!"]
        # what is a default is not shown again
        usual = ("frr defaults", "detect-multiplier 3", "split-brain adopt-on-demand", "advertise-tag active 65001 backup 65002 drain 65003", "ha-mode active-active")
        missing = [line for line in lines if line not in running and not line.startswith(usual) and line not in ("exit", "exit-address-family")]
        assert not missing, "%s: %s" % (name, missing)


def test_traffic_through_any_two_sites(guide):
    """The public address answers, whichever site the packets of each direction take."""
    for forward, back in ((1, 1), (1, 2), (guide.top.sites[-1], 1)):
        guide.path("forward", forward)
        guide.path("return", back)
        for family in guide.top.families:
            assert answered(guide, PUBLIC[family]) == 3, "in by site %d, out by site %d, IPv%d" % (forward, back, family)
    own = [s for s in guide.top.sites if s != 1]
    assert any(
        int(p["packetsSent"]) for s in own for p in guide.vtysh_json("site%d" % s, "show dsaa correction json")["peers"].values()
    )


def test_neighbours_see_the_states(guide):
    """MED and prepending of a backup at the inside router; the community of a site that drains itself at a provider."""
    pool = topo.pool_net(1, 4)
    seen = paths(guide, "inside", pool)
    active, backup = seen[topo.host(topo.in_net(1, 4), 1)], seen[topo.host(topo.in_net(2, 4), 1)]
    assert (active["metric"], active["aspath"]["string"]) == (100, "65010")
    assert backup["metric"] > 100 and backup["aspath"]["string"] == "65010 65010 65010"
    last = guide.top.sites[-1]
    address = topo.host(topo.out_net(last, 4), 1)
    guide.vtysh("site%d" % last, "dsaa drain")

    def drained():
        p = paths(guide, "isp1", topo.SERVICE_NET[4]).get(address, {})
        return "gracefulShutdown" in json.dumps(p) or "graceful-shutdown" in json.dumps(p) or None

    assert wait_for(10, lambda: None if drained() else "no graceful-shutdown community at isp1") is None
    guide.vtysh("site%d" % last, "dsaa drain off")
