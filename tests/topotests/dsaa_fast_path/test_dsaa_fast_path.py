# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's fast path as the daemon runs it: which data path is used and why, what goes on without dsaad, changes of the mode under
traffic, and how much is corrected. Forward through site 1, return through site 2. The network is drawn in twosites.py.
"""

import time

import pytest

import twosites
from dsaatopo import wait_for
from twosites import FAMILIES, NATTED, PLAIN, SERVER, SITES

PACKETS, PAUSE = 200, 0.02


@pytest.fixture(scope="module")
def net():
    yield from twosites.fixture(__name__, timers=twosites.CALM)


@pytest.fixture(autouse=True, scope="module")
def split(net):
    net.prefer(forward=1, back=2)
    found = net.paths_used(2)["out"]
    if found["dataPath"] != "kernel":
        pytest.skip("no fast path here: " + found["why"])


@pytest.fixture(autouse=True)
def auto(net):
    yield
    net.mode("auto")


def kernel_sent(net, site=2):
    return net.show(site, "show dsaa correction")["peers"][str(3 - site)]["packetsSentKernel"]


def stream(net, family=4, count=PACKETS):
    """Datagrams that are answered, running in the background; the first have passed."""
    p = net._program("client", "udp", NATTED[family], SERVER[family], count, 200, PAUSE, 0)
    time.sleep(1)
    return p


@pytest.mark.parametrize("family", FAMILIES)
def test_tcp_and_udp_in_the_kernel(net, family):
    """What the queue carries is the beginning of a connection, until its state is here."""
    before, sent = kernel_sent(net), net.correction(2)[0]
    twosites.check_fetched(net.fetch(PLAIN[family], SERVER[family], 4000000), 4000000)
    assert net.udp(NATTED[family], SERVER[family], count=50, pause=0.02)["answered"] == 50
    kernel, all_sent = kernel_sent(net) - before, net.correction(2)[0] - sent
    assert kernel >= 0.8 * all_sent > 50, (kernel, all_sent)


def links(net, site):
    """{interface: {tunnelPath, why}} of a site."""
    return net.show(site, "show dsaa correction")["links"]


def test_site_sync_interfaces_are_told(net):
    """Which way corrected packets come in: by the program at the link, and with an IPsec policy by the tunnel's device."""
    link = links(net, 1)["sync"]
    if link["tunnelPath"] == "device" and "no tcx" in link["why"]:
        pytest.skip(link["why"])
    assert link["tunnelPath"] == "link", link
    text = net.router(1).vtysh_cmd("show dsaa correction")
    assert "Site-sync" in text and link["why"] in text, text
    policy = "src 172.31.0.1 dst 172.31.0.2 dir in"
    if "rror" in net.router(1).run("ip xfrm policy add %s tmpl proto esp mode tunnel level use 2>&1" % policy):
        return
    try:
        wait_for(lambda: links(net, 1)["sync"] == {"tunnelPath": "device", "why": "IPsec policies exist"}, "the device to take all", 10)
        assert net.udp(NATTED[4], SERVER[4], count=20, pause=0.02)["answered"] == 20
    finally:
        net.run(1, "ip xfrm policy flush")
    wait_for(lambda: links(net, 1)["sync"]["tunnelPath"] == "link", "the program to be back", 10)


def test_the_rest_by_the_queue(net):
    before, sent = kernel_sent(net), net.correction(2)[0]
    assert net.ping(PLAIN[4], SERVER[4]) == 10
    assert net.correction(2)[0] - sent >= 10
    assert kernel_sent(net) - before < 10


def test_tunnel_is_not_tracked(net):
    for s in SITES:
        assert "dport=%d" % (twosites.PORT + 1) not in net.run(s, "conntrack -L 2>/dev/null")


@pytest.mark.parametrize("away", [2, 1])
def test_without_dsaad(net, away):
    """Not one packet of a connection in the kernel is lost, forth or back, while dsaad is away nor when it comes back: that of the
    site which corrects (2), or the owner's (1).
    """
    p = stream(net)
    net.kill(away, "dsaad")
    time.sleep(1)
    net.restart(away, "dsaad")
    found = twosites.told(p)
    assert found["sent"] == found["answered"] == PACKETS, found
    wait_for(lambda: net.peer(away)[0] == net.peer(3 - away)[0] == "up", "the session again", 20)
    assert net.paths_used(away)["in"]["dataPath"] == "kernel"


def test_modes_under_traffic(net):
    """Each change may cost packets of a few milliseconds, and no connection."""
    h = net.hold(NATTED[4], SERVER[4])
    p = stream(net, count=400)
    download = net.fetch(PLAIN[4], SERVER[4], 4000000, 500000)
    for mode in ("nfqueue", "kernel", "nfqueue", "auto"):
        net.mode(mode)
        assert {i["dataPath"] for i in net.paths_used(2).values()} == {"nfqueue" if mode == "nfqueue" else "kernel"}
        assert (links(net, 2)["sync"]["tunnelPath"] == "socket") == (mode == "nfqueue")
        assert h.say() < 3
    found = twosites.told(p)
    # 8 changes, on two sites
    assert found["answered"] >= found["sent"] - 20, found
    twosites.check_fetched(download, 4000000)
    h.end()


def test_off(net):
    """Nothing is left in the kernel; back on, all is there again."""
    net.mode("off")
    for s in SITES:
        links = net.run(s, "ip -br link")
        assert "dsaa-vx" not in links and "dsaa0" not in links
        assert "dsaa" not in net.run(s, "nft list tables")
        assert "dsaa_" not in net.run(s, "tc filter show dev in ingress; tc filter show dev out ingress")
    net.mode("auto")
    assert net.udp(NATTED[4], SERVER[4], count=20, pause=0.02)["answered"] == 20


def test_observe(net):
    """Counts what would go, sends nothing, and touches no packet."""
    net.mode("observe")
    h = {i["dataPath"] for i in net.paths_used(2).values()}
    assert h == {"off"}, h
    sent, before = net.correction(2)[0], net.show(2, "show dsaa correction")["peers"]["1"]["packetsObserved"]
    # without NAT it works, because site 2 forwards by the entry that it has
    net.udp(PLAIN[4], SERVER[4], count=50, pause=0.02)
    after = net.show(2, "show dsaa correction")
    assert net.correction(2)[0] == sent
    assert after["peers"]["1"]["packetsObserved"] > before
    assert after["reasons"]["would-correct"] > 0
    assert sum(p["packetsObserved"] for p in after["prefixes"].values()) == after["peers"]["1"]["packetsObserved"]


@pytest.mark.parametrize("mode", ["auto", "nfqueue"])
def test_how_much(net, mode):
    """Per peer and per prefix of "advertise", with the rate now and at its peak."""
    net.mode(mode)
    for s in SITES:
        net.run(s, "vtysh -c 'clear dsaa counters'")
    time.sleep(2.5)
    length = 2000000
    twosites.check_fetched(net.fetch(PLAIN[4], SERVER[4], length, 500000), length)
    time.sleep(2.5)
    shown = net.show(2, "show dsaa correction")
    peer, prefixes = shown["peers"]["1"], shown["prefixes"]
    assert peer["bytesSent"] > length
    assert sum(p["bytesSent"] for p in prefixes.values()) == peer["bytesSent"], shown
    assert sum(p["packetsSent"] for p in prefixes.values()) == peer["packetsSent"], shown
    busiest = max(prefixes.values(), key=lambda p: p["bytesSent"])
    for found in (peer, busiest):
        # about 4 Mbit/s on the way
        assert 1000000 < found["rateSent"]["peakBitsPerSec"] < 40000000, found
    assert net.show(1, "show dsaa correction")["peers"]["2"]["rateReceived"]["peakBitsPerSec"] > 1000000


def test_no_rate_when_off(net):
    """What was corrected a second ago is no rate any more when correction is switched off."""

    def rate():
        return net.show(2, "show dsaa correction")["peers"]["1"]["rateSent"]

    net.mode("auto")
    p = stream(net, count=400)
    wait_for(lambda: rate()["packetsPerSec"] > 0, "a rate", 10)
    net.mode("off")
    assert rate()["packetsPerSec"] == rate()["bitsPerSec"] == 0 and rate()["peakPacketsPerSec"] > 0, rate()
    net.mode("auto")
    twosites.told(p)


def test_no_dsaa(net):
    """Last: the router is no site any more. Nothing of ours is left in its kernel."""

    def left():
        text = net.run(2, "nft list tables; ip -br link; tc filter show dev in ingress; tc filter show dev out ingress; "
                          "tc filter show dev sync ingress; bpftool net 2>/dev/null || true")
        return [line for line in text.splitlines() if "dsaa" in line]

    assert len(left()) >= 3, left()
    net.run(2, "vtysh -c 'configure terminal' -c 'no dsaa'")
    wait_for(lambda: not left(), "all of ours to be gone", 10)
