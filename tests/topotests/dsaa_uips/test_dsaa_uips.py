# SPDX-License-Identifier: GPL-2.0-or-later
"""UIPS: the local site's addresses are on the interfaces, whatever happens to them; nobody else's are ever touched.

    r1 --- out, in, sync; later also late
"""

import json
import sys

import pytest

from dsaatopo import show, start, wait_for
from twosites import kill, run, start_daemon

BLOCK = """dsaa
 cluster-id 7
 site 1
  sync-address 172.16.0.1
  uips in 10.1.0.1/24
  uips in 10.1.0.2/24
  uips in 2001:db8:a1::1/64
  uips late 10.3.0.1/24
  uips late 2001:db8:a3::1/64
  uips out 192.0.2.1/24
 exit
 site 2
  sync-address 172.16.0.2
  uips in 10.2.0.1/24
  uips out 198.51.100.1/24
 exit
exit
"""

# The operator's own: one beside, one in the same network, and one that the block wishes too.
OPERATOR = {"in": ["10.1.0.200/24", "10.8.0.1/16", "2001:db8:a1::200/64"], "out": ["192.0.2.200/24"]}
OURS = {"in": ["10.1.0.1/24", "10.1.0.2/24", "2001:db8:a1::1/64"], "out": ["192.0.2.1/24"]}
LATE = ["10.3.0.1/24", "2001:db8:a3::1/64"]

CONFIG = """hostname r1
interface sync
 ip address 172.16.0.1/24
exit
""" + BLOCK


def build(tgen):
    r1 = tgen.add_router("r1")
    for name in ("out", "in", "sync"):
        tgen.add_switch("s-" + name).add_link(r1, nodeif=name)


@pytest.fixture(scope="module")
def r1():
    t = start(build, sys.modules[__name__], {"r1": (CONFIG, ["dsaad"])})
    router = t.gears["r1"]
    # After the start: the framework takes away all addresses before it.
    for name in OPERATOR:
        for a in OPERATOR[name]:
            run(router, "ip addr add %s dev %s" % (a, name))
    yield router
    t.stop_topology()


# ------------------------------------------------------------ helpers


def kernel(router, interface):
    """{address/length: entry of ip -j addr} of an interface; empty when there is none."""
    try:
        links = json.loads(router.run("ip -j addr show dev %s 2>/dev/null" % interface))
    except ValueError:
        return {}
    found = [a for link in links for a in link.get("addr_info", []) if a.get("scope") == "global"]
    return {"%s/%d" % (a["local"], a["prefixlen"]): a for a in found}


def wrong(router, late=(), ours=OURS):
    """{interface: addresses} where they are not exactly ours, the operator's and LATE."""
    want = {i: ours[i] + OPERATOR[i] for i in OURS}
    want.update({"late": list(late), "sync": ["172.16.0.1/24"]})
    there = {i: sorted(kernel(router, i)) for i in want}
    return {i: there[i] for i in want if there[i] != sorted(want[i])}


def settle(router, what, seconds=15, **want):
    """Waits until nothing is wrong any more."""
    last = []

    def right():
        last[:] = [wrong(router, **want)]
        return not last[0]

    try:
        wait_for(right, what, seconds)
    except AssertionError:
        raise AssertionError("%s: after %s s still %r" % (what, seconds, last[0])) from None


def shown(router, interface):
    """{address: entry} of show dsaa uips."""
    answer = show(router, "show dsaa uips") or {}
    return {u["address"]: u for u in answer.get("interfaces", {}).get(interface, [])}


def add_link(router, name):
    run(router, "ip link add %s type veth peer name %s-peer && ip link set %s-peer up && ip link set %s up" % (name, name, name, name))


# ------------------------------------------------------------ tests


def test_installed_with_a_label(r1):
    settle(r1, "the addresses")
    for name in OURS:
        there = kernel(r1, name)
        for a in OURS[name]:
            if ":" not in a:
                assert there[a]["label"] == name + ":dsaa"
            assert shown(r1, name)[a]["installed"] is True
        for a in OPERATOR[name]:
            assert ":dsaa" not in there[a].get("label", "")


def test_ipv6_serves_at_once(r1):
    """Duplicate address detection would keep it tentative for a second or two."""
    assert not kernel(r1, "in")["2001:db8:a1::1/64"].get("tentative")


def test_another_sites_are_not_installed(r1):
    u = shown(r1, "in")["10.2.0.1/24"]
    assert (u["site"], u["local"], u["installed"]) == (2, False, False)
    assert u["reason"]


def test_zebra_shows_them_and_frr_conf_does_not(r1):
    text = r1.run("vtysh -c 'show interface in'")
    assert "10.1.0.1/24" in text and "2001:db8:a1::1/64" in text
    lines = r1.run("vtysh -c 'show running-config'").splitlines()
    assert not [line for line in lines if line.startswith((" ip address 10.1.", " ipv6 address 2001:db8:a1"))]


def test_put_back(r1):
    run(r1, "ip addr del 10.1.0.2/24 dev in; ip addr del 2001:db8:a1::1/64 dev in")
    settle(r1, "the deleted addresses")
    # With the first address of a network the kernel deletes the others; the operator has to look after his own.
    run(r1, "ip addr flush dev in to 10.1.0.0/24; ip addr flush dev out label out:dsaa")
    run(r1, "ip addr replace 10.1.0.200/24 dev in; ip addr replace 192.0.2.200/24 dev out")
    settle(r1, "the flushed addresses")
    assert kernel(r1, "in")["10.1.0.1/24"]["label"] == "in:dsaa"


def test_put_back_although_zebra_is_away(r1):
    kill(r1, "zebra")
    run(r1, "ip addr del 10.1.0.2/24 dev in")
    settle(r1, "the address")
    start_daemon(r1, "zebra")
    wait_for(lambda: (show(r1, "show dsaa") or {}).get("zebra"), "zebra connected again", 20)
    assert not wrong(r1)


def test_waits_for_an_interface(r1):
    for a in LATE:
        u = shown(r1, "late")[a]
        assert u["local"] and not u["installed"]
        assert "missing" in u["reason"]
    add_link(r1, "late")
    settle(r1, "the late addresses", late=LATE)
    wait_for(lambda: all(shown(r1, "late")[a]["installed"] for a in LATE), "them to be shown")


def test_interface_that_is_down(r1):
    """The kernel drops IPv6 addresses then; they come back with it."""
    run(r1, "ip link set late down")
    run(r1, "ip link set late up")
    settle(r1, "the addresses of the interface", late=LATE)


def test_interface_vanishes_and_returns(r1):
    run(r1, "ip link del late")
    wait_for(lambda: not any(shown(r1, "late")[a]["installed"] for a in LATE), "the addresses to be missed")
    assert all("missing" in shown(r1, "late")[a]["reason"] for a in LATE)
    assert not wrong(r1)
    add_link(r1, "late")
    settle(r1, "the addresses again", late=LATE)


def test_lines_come_and_go(r1):
    def type_in(line):
        assert r1.run("vtysh -c 'configure terminal' -c dsaa -c 'site 1' -c '%s' 2>&1" % line).strip() == ""

    type_in("uips late 10.3.0.9/24")
    settle(r1, "the new address", late=LATE + ["10.3.0.9/24"])
    # The first of a network: the kernel takes all secondaries with it.
    type_in("no uips late 10.3.0.1/24")
    settle(r1, "the other one alone", late=["10.3.0.9/24", LATE[1]])
    type_in("no uips late 10.3.0.9/24")
    type_in("uips late 10.3.0.1/24")
    settle(r1, "the addresses as before", late=LATE)


def test_operators_address_is_used_as_it_is(r1):
    """The block wishes what is there already: it is shown, and stays when the wish goes."""
    wish = "-c 'configure terminal' -c dsaa -c 'site 1' -c '%s out 192.0.2.200/24'"
    r1.run("vtysh " + wish % "uips")
    u = wait_for(lambda: shown(r1, "out").get("192.0.2.200/24"), "the wish")
    wait_for(lambda: shown(r1, "out")["192.0.2.200/24"]["installed"], "it to be seen")
    u = shown(r1, "out")["192.0.2.200/24"]
    assert "not ours" in u["reason"]
    r1.run("vtysh " + wish % "no uips")
    wait_for(lambda: "192.0.2.200/24" not in shown(r1, "out"), "the wish to go")
    assert not wrong(r1, LATE)
    assert kernel(r1, "out")["192.0.2.200/24"].get("label") == "out"


def test_killed_and_started_again(r1):
    """Its addresses stay meanwhile; what the new configuration no longer wishes goes."""
    r1.run("vtysh -c write")
    before = kernel(r1, "in")
    kill(r1, "dsaad")
    assert not wrong(r1, LATE), "a killed daemon takes nothing with it"
    run(r1, "sed -i '/uips in 10.1.0.2/d; s/uips out 192.0.2.1/uips out 192.0.2.9/' /etc/frr/frr.conf")
    start_daemon(r1, "dsaad")
    settle(r1, "the wished ones alone", 20, late=LATE, ours={"out": ["192.0.2.9/24"], "in": ["10.1.0.1/24", "2001:db8:a1::1/64"]})
    # Not taken away and put back: that would have cost every connection of the router.
    same = kernel(r1, "in")["2001:db8:a1::1/64"]
    assert same == before["2001:db8:a1::1/64"]


def test_killed_and_started_without_a_block(r1):
    kill(r1, "dsaad")
    run(r1, "sed -i '/^dsaa$/,/^exit$/d' /etc/frr/frr.conf")
    start_daemon(r1, "dsaad")
    settle(r1, "no leftover", 30, ours={"in": [], "out": []})


def test_no_dsaa_removes_ours_alone(r1):
    text = "".join(" -c '%s'" % line.strip() for line in BLOCK.splitlines())
    assert r1.run("vtysh -c 'configure terminal'" + text + " 2>&1").strip() == ""
    settle(r1, "the addresses", late=LATE)
    assert r1.run("vtysh -c 'configure terminal' -c 'no dsaa' 2>&1").strip() == ""
    settle(r1, "ours to go", ours={"in": [], "out": []})
    assert r1.run("sysctl -n net.ipv4.conf.in.promote_secondaries").strip() == "0", "a setting of the operator's was changed"
