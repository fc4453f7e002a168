# SPDX-License-Identifier: GPL-2.0-or-later
"""
The lab itself: its commands do what they say, refuse what they cannot do with
one sentence, and leave nothing behind. The sites run without dsaad here.
"""

import json
import os
import secrets
import signal
import subprocess
import time

import pytest

from lab import firewall, routing
from lab import topology as topo
from lab.control import STATE_ROOT, Lab, LabError, wait_for
from lab.node import find_holders

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SERVERS = [topo.SERVER[4], topo.SERVER[6]]


def cli(*words, timeout=60):
    """Runs the command line; (status, output, errors)."""
    done = subprocess.run(
        ["/usr/bin/python3", os.path.join(TOP, "lab/lab.py")] + list(words),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=timeout,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


def pings(lab, address, count=3, wait=1):
    """How many of COUNT pings from the client are answered."""
    command = ["ping", "-n", "-q", "-c", str(count), "-i", "0.1", "-W", str(wait), address]
    shown = lab.run("client", command, check=False).stdout
    return int(shown.split(" received")[0].split()[-1])


def arrives(lab, seconds, node, prefix, site):
    """True when the node sends the prefix to the site within that time."""
    return wait_for(seconds, lambda: lab.route_site(node, prefix) != site or None) is None


def snat_address(lab, site):
    """The pool address that the site gave to the client's latest echo, or None."""
    shown = lab.run("site%d" % site, ["conntrack", "-L", "-p", "icmp"], check=False).stdout
    hits = [line for line in shown.splitlines() if "src=" + topo.CLIENT[4] in line]
    return hits[-1].split("dst=")[2].split()[0] if hits else None


# ---------------------------------------------------------------- texts


def test_dsaa_block_is_the_same_on_every_site():
    top = topo.Topology(2, (4, 6))
    confs = [routing.site_conf(top, s, "snat", "auto", 8) for s in top.sites]
    blocks = [c[c.index("\ndsaa\n") :] for c in confs]
    assert blocks[0] == blocks[1]
    assert "nat-pool 10.201.0.0/24" in blocks[0]
    assert confs[0] != confs[1]


def test_block_has_no_pool_without_source_nat():
    top = topo.Topology(2, (4,))
    assert "nat-pool" not in routing.dsaa_block(top, "dnat", "auto")


def test_tables_have_no_address_twice():
    top = topo.Topology(topo.SITES_MAX, (4, 6))
    ifaces = [i for s in top.segments for i in s.ifaces]
    assert len({i.mac for i in ifaces}) == len(ifaces)
    addresses = [a for i in ifaces for a in i.addresses.values()]
    assert len(set(addresses)) == len(addresses)


def test_redistribute_by_frr_version():
    top = topo.Topology(2, (4, 6))
    old = routing.site_conf(top, 1, "snat", "auto", 8)
    new = routing.site_conf(top, 1, "snat", "auto", 10)
    assert "redistribute table 85 route-map DSAA" in old
    assert new.count("redistribute table-direct 3785 route-map DSAA") == 2


def test_no_cut_means_no_table():
    assert "table netdev lab_cut {" not in firewall.cut_table({})


# ---------------------------------------------------------------- a running lab


@pytest.mark.parametrize("address", SERVERS)
def test_client_reaches_server(lab, address):
    assert pings(lab, address) == 3


def test_path_moves_both_families(lab):
    for site in (2, 1):
        lab.path("forward", site)
        lab.path("return", site)
        for address in SERVERS:
            assert pings(lab, address) == 3
        for node, routes in lab.status()["paths"].items():
            assert set(routes.values()) == {site}, node
        assert snat_address(lab, site).startswith("10.20%d.0." % site)


def test_asymmetric_traffic_needs_dsaad(lab):
    """The filters are strict: without correction the answer dies at the other site."""
    lab.path("forward", 1)
    lab.path("return", 2)
    assert pings(lab, SERVERS[0]) == 0
    lab.path("return", 1)
    assert pings(lab, SERVERS[0]) == 3


def test_server_cannot_open_towards_the_client(lab):
    done = lab.run("server", ["ping", "-c", "1", "-W", "1", topo.CLIENT[4]], check=False)
    assert done.returncode != 0


def test_link_cut_one_way(lab):
    lab.cut("client-isp1", oneway=True)
    assert pings(lab, SERVERS[0], 2) == 0
    isp = lab.run("isp1", ["nft", "list", "tables"]).stdout
    client = lab.run("client", ["nft", "list", "tables"]).stdout
    assert "lab_cut" in isp and "lab_cut" not in client
    lab.heal("client-isp1", oneway=True)
    assert pings(lab, SERVERS[0]) == 3


def test_cut_of_one_pair_leaves_the_segment(lab):
    """isp1 loses site1 on a segment that isp2 shares: isp2 keeps it."""
    lab.cut("site1-isp1")
    assert arrives(lab, 3, "isp1", topo.SERVICE_NET[4], 2)
    assert lab.route_site("isp2", topo.SERVICE_NET[4]) == 1
    lab.heal("isp1-site1")
    assert arrives(lab, 15, "isp1", topo.SERVICE_NET[4], 1)


def test_sync_cut(lab):
    ping = ["ping", "-c", "1", "-W", "1", topo.host(topo.sync_net(4), 2)]
    assert lab.run("site1", ping, check=False).returncode == 0
    lab.cut("sync")
    assert lab.run("site1", ping, check=False).returncode != 0
    lab.heal("sync")
    assert lab.run("site1", ping, check=False).returncode == 0


def test_sync_delay(lab):
    """60 ms each way is a round trip of 120 ms; after it ends the link is as it was."""

    def round_trip_ms(count=3):
        ping = ["ping", "-q", "-c", str(count), "-i", "0.2", topo.host(topo.sync_net(4), 2)]
        said = lab.run("site1", ping, check=False).stdout
        return float(said.split("= ")[1].split("/")[0]) if "= " in said else None

    lab.delay("sync", 60)
    assert 120 <= round_trip_ms() < 200
    lab.delay("sync", 0, 100)
    assert round_trip_ms(1) is None
    lab.delay("sync", 0)
    assert round_trip_ms() < 60
    assert lab.status()["delay"] is None


def test_power_cut_and_boot(lab):
    lab.cut("site1")
    assert arrives(lab, 2, "isp1", topo.SERVICE_NET[4], 2), "BFD did not notice"
    assert lab.status()["nodes"]["site1"]["daemons"] == []
    assert arrives(lab, 2, "inside", topo.CLIENTS_NET[4], 2)
    assert pings(lab, SERVERS[0]) == 3
    # What a dead router still holds must not be there after its boot.
    lab.run("site1", ["nft", "add table inet dsaa"])
    lab.run("site1", ["ip", "addr", "add", "192.0.2.77/24", "dev", "eth0"])
    lab.heal("site1")
    tables = lab.run("site1", ["nft", "list", "tables"]).stdout
    assert "dsaa" not in tables and "lab_cut" not in tables and "firewall" in tables
    assert "192.0.2.77" not in lab.run("site1", ["ip", "addr"]).stdout
    assert arrives(lab, 20, "isp1", topo.SERVICE_NET[4], 1)
    assert "bgpd" in lab.status()["nodes"]["site1"]["daemons"]


def test_refusals_of_a_running_lab(lab):
    for call, words in (
        (lambda: lab.path("forward", 3), "There is no site 3"),
        (lambda: lab.path("sideways", 1), "not 'sideways'"),
        (lambda: lab.cut("moon"), "neither a node nor"),
        (lambda: lab.cut("isp1-inside"), "no link between"),
        (lambda: lab.cut("sync", oneway=True), "--oneway needs a link"),
        (lambda: lab.heal("site2"), "is not cut"),
        (lambda: lab.vtysh("client", "show version"), "no router"),
        (lambda: lab.run("switch", ["true"]), "no node 'switch'"),
        (lambda: Lab(lab.name).start(static_uips=True), "runs already"),
    ):
        with pytest.raises(LabError) as caught:
            call()
        assert words in str(caught.value)


def test_commands_of_the_command_line(lab):
    name = ["--name", lab.name]
    assert cli(*name, "exec", "server", "hostname")[:2] == (0, "server\n")
    assert cli(*name, "exec", "server", "--", "sh", "-c", "exit 7")[0] == 7
    assert "isp1" in cli("vtysh", *name, "isp1", "-c", "show running-config")[1]
    found = json.loads(cli(*name, "status", "--json")[1])
    assert set(found["nodes"]) == set(lab.top.nodes())
    assert cli(*name, "path", "forward", "site1")[0] == 0


@pytest.mark.parametrize(
    "words",
    [
        ["exec", "mars", "true"],
        ["exec", "client"],
        ["vtysh", "client"],
        ["path", "forward", "x"],
        ["path", "forward", "9"],
        ["cut", "nothing"],
        ["heal", "site1"],
        ["delay", "sync", "x"],
        ["delay", "moon", "20"],
        ["delay", "sync", "-1"],
        ["dance"],
        ["start", "--sites", "x"],
    ],
)
def test_refused_with_one_sentence(lab, words):
    status, _, said = cli("--name", lab.name, *words)
    assert status != 0
    assert said.startswith("lab: ") and len(said.strip().splitlines()) == 1, said


# ---------------------------------------------------------------- beginning and end


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["path", "forward", "1"],
        ["exec", "client", "true"],
        ["cut", "site1"],
        ["start", "--sites", "99"],
        ["start", "--nat", "maybe"],
        ["start", "--family", "5"],
        ["start", "--mode", "magic"],
    ],
)
def test_refused_without_a_lab(words):
    status, _, said = cli("--name", "test-absent", *words)
    assert status != 0
    assert said.startswith("lab: ") and len(said.strip().splitlines()) == 1, said
    assert not os.path.exists(os.path.join(STATE_ROOT, "test-absent"))


def test_bad_name_is_refused():
    status, _, said = cli("--name", "../x", "stop")
    assert status != 0 and "is no name" in said


def test_stop_twice_is_fine():
    assert cli("--name", "test-absent", "stop")[0] == 0


@pytest.mark.parametrize("number, seconds", [(signal.SIGINT, 0.2), (signal.SIGTERM, 2)])
def test_interrupted_start_leaves_nothing(number, seconds):
    name = "test-" + secrets.token_hex(4)
    command = ["/usr/bin/python3", os.path.join(TOP, "lab/lab.py"), "--name", name, "start"]
    start = subprocess.Popen(
        command + ["--static-uips"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    folder = os.path.join(STATE_ROOT, name)
    assert wait_for(10, lambda: None if os.path.exists(folder + "/state.json") else "late") is None
    with open(folder + "/state.json", encoding="utf-8") as f:
        lab_id = json.load(f)["id"]
    time.sleep(seconds)
    start.send_signal(number)
    assert start.wait(20) != 0
    assert not os.path.exists(folder)
    assert find_holders(lab_id) == []


def test_killed_start_is_removed_by_stop():
    """After a SIGKILL the record may not even name the nodes; stop finds them."""
    name = "test-" + secrets.token_hex(4)
    command = ["/usr/bin/python3", os.path.join(TOP, "lab/lab.py"), "--name", name, "start"]
    start = subprocess.Popen(
        command + ["--static-uips"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    folder = os.path.join(STATE_ROOT, name)
    assert wait_for(10, lambda: None if os.path.exists(folder + "/state.json") else "late") is None
    with open(folder + "/state.json", encoding="utf-8") as f:
        lab_id = json.load(f)["id"]
    assert wait_for(5, lambda: None if find_holders(lab_id) else "late", 0.01) is None
    start.kill()
    start.wait()
    assert "stop" in cli("--name", name, "status")[2]
    assert cli("--name", name, "stop")[0] == 0
    assert find_holders(lab_id) == [] and not os.path.exists(folder)


def test_two_labs_side_by_side(lab):
    other = Lab("test-" + secrets.token_hex(4))
    other.start(static_uips=True, sites=1, family="4", nat="dnat")
    try:
        assert pings(other, topo.VIP[4]) == 3
        assert pings(other, topo.SERVER[4]) == 3
        assert pings(lab, topo.SERVER[4]) == 3
    finally:
        other.stop()
    assert pings(lab, topo.SERVER[4]) == 3
