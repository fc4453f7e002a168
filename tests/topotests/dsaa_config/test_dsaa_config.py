# SPDX-License-Identifier: GPL-2.0-or-later
"""The dsaa block as an operator meets it: typed in vtysh in any order, wrong lines, written, read at a start, taken away. What it does
in the kernel is looked at each time.

    r1 --- out, in, sync
"""

import json
import re
import shlex
import sys

import pytest

from dsaatopo import show, start, wait_for
from twosites import kill, run, start_daemon, write

# Each line that the block knows, but 'local-site' and 'sync insecure', which would hide what is looked at.
BLOCK = """dsaa
 cluster-id 7
 ha-mode primary-up 1
 site 1
  name paris
  sync-address 172.16.0.1
  sync-address fd00:172:16::1
  uips in 10.1.0.1/24
  uips in 2001:db8:a1::1/64
  uips out 192.0.2.1/24
  uips out 2001:db8:1::1/64
  probe 192.0.2.1
  nat-pool 10.201.0.0/24
  nat-pool 2001:db8:201::/64
 exit
 site 2
  name lyon
  sync-address 172.16.0.2
  sync-address fd00:172:16::2
  uips in 10.2.0.1/24
  uips out 198.51.100.1/24
  probe 2001:db8:2::1
  nat-pool 10.202.0.0/24
 exit
 sync port 4000
 sync key-file /etc/frr/dsaa.key
 sync protocol gre no
 sync protocol 99 no
 no sync prefix 10.99.0.0/16
 no sync prefix 2001:db8:99::/48
 correction interface in
 correction interface out
 correction mode nfqueue
 correction mark-mask 0x0ff00000
 correction hold 20
 correction port 4002
 advertise 10.9.0.0/16 all
 advertise 203.0.113.0/28 site 1
 advertise 2001:db8:9::/48 site 2
 advertise-tag active 101 backup 102 drain 103
 bfd profile quick
 hold-time 2000
 split-brain drop
exit
"""

# What is typed: no line where the block has it. Both ports go last: each is compared with what the other one is then.
TYPED = """dsaa
split-brain drop
site 2
probe 2001:db8:2::1
nat-pool 10.202.0.0/24
uips out 198.51.100.1/24
sync-address 172.16.0.2
uips in 10.2.0.1/24
name lyon
sync-address fd00:172:16::2
hold-time 2000
advertise-tag drain 103 active 101
advertise 2001:db8:9::/48 site 2
bfd profile quick
site 1
uips out 2001:db8:1::1/64
uips in 2001:db8:a1::1/64
nat-pool 2001:db8:201::/64
nat-pool 10.201.0.0/24
probe 192.0.2.1
exit
correction hold 20
correction mark-mask 0x0ff00000
advertise 203.0.113.0/28 site 1
correction mode nfqueue
correction interface out
no sync prefix 2001:db8:99::/48
sync protocol 99 no
advertise 10.9.0.0/16 all
no sync prefix 10.99.0.0/16
correction interface in
sync protocol gre no
sync key-file /etc/frr/dsaa.key
advertise-tag backup 102
exit
dsaa
site 1
uips in 10.1.0.1/24
sync-address 172.16.0.1
sync-address fd00:172:16::1
uips out 192.0.2.1/24
name paris
exit
primary-up 1
correction port 4002
sync port 4000
cluster-id 7
end
"""

# Lines that are refused, where they are typed, and what the sentence must name: the value and the rule.
WRONG = [
    ("", "cluster-id 0", ["cluster-id 0", "1 to 4294967295"]),
    ("", "site 17", ["site 17", "1 to 16"]),
    ("", "sync port 70000", ["70000", "1 to 65535"]),
    ("", "sync port 4002", ["4002", "must not be the sync port"]),
    ("", "sync key-file dsaa.key", ["dsaa.key", "absolute"]),
    ("", "correction mark-mask 0xff00ff00", ["0xff00ff00", "one run"]),
    ("", "correction hold 1001", ["1001", "0 to 1000"]),
    ("", "advertise 10.9.1.0/16 all", ["10.9.1.0/16", "10.9.0.0/16"]),
    ("", "advertise 224.0.0.0/8 all", ["224.0.0.0/8", "multicast"]),
    ("", "hold-time 100", ["100", "300 to 60000"]),
    ("site 2", "sync-address 172.16.0.1", ["172.16.0.1", "one site only"]),
    ("site 2", "uips out 192.0.2.1/24", ["192.0.2.1/24", "one site only"]),
    ("site 2", "uips out 198.51.100.0/24", ["198.51.100.0/24", "address of the network"]),
    ("site 2", "uips out 172.16.0.1/24", ["172.16.0.1/24", "sync-address"]),
    ("site 2", "nat-pool 10.201.0.128/25", ["10.201.0.128/25", "overlaps", "10.201.0.0/24"]),
    ("site 2", "probe 127.0.0.1", ["127.0.0.1", "loopback"]),
]

CONFIG = """hostname r1
interface sync
 ip address 172.16.0.1/24
 ipv6 address fd00:172:16::1/64
exit
"""

OURS = {"in": ["10.1.0.1/24", "2001:db8:a1::1/64"], "out": ["192.0.2.1/24", "2001:db8:1::1/64"]}


def build(tgen):
    r1 = tgen.add_router("r1")
    for name in ("out", "in", "sync"):
        tgen.add_switch("s-" + name).add_link(r1, nodeif=name)


@pytest.fixture(scope="module")
def r1():
    def prepare(t):
        write(t.gears["r1"], "/etc/frr/dsaa.key", "a key of the topotests, long enough\n")

    t = start(build, sys.modules[__name__], {"r1": (CONFIG, ["bgpd", "bfdd", "dsaad"])}, prepare)
    yield t.gears["r1"]
    t.stop_topology()


# ------------------------------------------------------------ helpers


def configure(router, lines):
    """Types the lines in one vtysh; what it says."""
    words = "".join(" -c %s" % shlex.quote(line.strip()) for line in ["configure terminal"] + lines)
    return router.run("vtysh" + words + " 2>&1")


def block(router):
    """The dsaa block of the running configuration, as text."""
    found = re.search(r"^dsaa\n(?: .*\n)*exit\n", router.run("vtysh -c 'show running-config'"), re.M)
    return found.group(0) if found else ""


def sections(text):
    """{section: sorted lines}: lists are shown sorted or as typed, by the version of libyang; the rest has its place."""
    found, section = {}, ""
    for line in text.splitlines():
        if line.startswith(" site "):
            section = line
        elif line == " exit":
            section = ""
        found.setdefault(section, []).append(line)
    return {s: sorted(found[s]) for s in found}


def addresses(router, interface):
    """Global addresses that an interface has."""
    text = router.run("ip -o addr show dev %s scope global" % interface)
    return sorted(re.findall(r"inet6? (\S+)", text))


def blackholes(router):
    """Prefixes of the blackhole routes in all tables of the kernel."""
    text = router.run("ip -4 route show table all type blackhole; ip -6 route show table all type blackhole")
    return sorted(re.findall(r"blackhole (\S+)", text))


def has_rules(router):
    return "table inet dsaa" in router.run("nft list tables").splitlines()


def has_tunnel(router):
    return "dsaa0" in router.run("ip -o link")


def installed(router):
    return all(addresses(router, i) == OURS[i] for i in OURS) and has_rules(router) and has_tunnel(router)


def nothing_installed(router):
    return not any(addresses(router, i) for i in OURS) and not has_rules(router) and not has_tunnel(router)


# ------------------------------------------------------------ tests


def test_typed_in_a_strange_order(r1):
    said = configure(r1, TYPED.splitlines())
    assert said.strip() == "", said
    shown = block(r1)
    assert sections(shown) == sections(BLOCK)
    # What is no list keeps its place.
    fixed = [line for line in BLOCK.splitlines() if re.match(r" (cluster|ha-|sync port|sync key|correction mode|hold|split)", line)]
    assert [line for line in shown.splitlines() if line in fixed] == fixed


def test_it_is_in_force(r1):
    wait_for(lambda: installed(r1), "addresses, rules and tunnel")
    answer = show(r1, "show dsaa")
    assert (answer["clusterId"], answer["localSite"], answer["haMode"]) == (7, 1, "primary-up")
    assert show(r1, "show dsaa correction")["port"] == 4002
    wait_for(lambda: ":4000 " in r1.run("ss -Hltn"), "a listener on the sync port")
    wait_for(lambda: "172.16.0.2" in r1.run("vtysh -c 'show bfd peers brief'"), "a BFD session with the peer")


def test_yang_state(r1):
    """What the northbound tells through vtysh is what the show commands say."""
    text = r1.run("vtysh -c 'show yang operational-data /frr-dsaad:dsaad/state dsaad'")
    state = json.loads(text)["frr-dsaad:dsaad"]["state"]
    answer = show(r1, "show dsaa")
    assert (state["local-site"], state["configuration-digest"]) == (1, answer["configDigest"])
    assert [(p["site"], p["state"] != "up") for p in state["peer"]] == [(2, True)]
    assert {u["address"]: u["installed"] for u in state["uips"]} == {a: True for i in OURS for a in OURS[i]}
    assert {p["prefix"] for p in state["prefix"]} == set(show(r1, "show dsaa advertise")["prefixes"])


@pytest.mark.parametrize("where,line,words", WRONG, ids=[w[1] for w in WRONG])
def test_wrong_line(r1, where, line, words):
    """It is refused with a sentence that names the value and the rule; nothing is applied."""
    before, digest = block(r1), show(r1, "show dsaa")["configDigest"]
    said = configure(r1, ["dsaa"] + ([where] if where else []) + [line])
    missing = [w for w in words if w not in said]
    assert not missing, said
    assert block(r1) == before
    assert show(r1, "show dsaa")["configDigest"] == digest


def test_right_lines_beside_a_wrong_one_hold(r1):
    before = block(r1)
    write(r1, "/etc/frr/lines", "dsaa\n hold-time 2500\n hold-time 7\n correction hold 21\nexit\n")
    said = r1.run("vtysh -f /etc/frr/lines 2>&1")
    assert "hold-time 7" in said and "300 to 60000" in said
    assert block(r1) == before.replace("hold-time 2000", "hold-time 2500").replace("correction hold 20", "correction hold 21")
    assert configure(r1, ["dsaa", "hold-time 2000", "correction hold 20"]).strip() == ""
    assert block(r1) == before


def test_written_and_read_at_a_start(r1):
    before, digest = block(r1), show(r1, "show dsaa")["configDigest"]
    r1.run("vtysh -c write")
    assert before in r1.run("cat /etc/frr/frr.conf")
    pid = r1.run("cat /var/run/frr/dsaad.pid").strip()
    run(r1, "kill %s; while [ -d /proc/%s ]; do sleep 0.02; done" % (pid, pid))
    assert nothing_installed(r1), "a clean stop leaves nothing"
    start_daemon(r1, "dsaad")
    assert block(r1) == before
    wait_for(lambda: installed(r1), "all of it again")
    assert show(r1, "show dsaa")["configDigest"] == digest


def test_routes_follow_the_block(r1):
    """Without a peer state is complete at once; then the prefixes are zebra's."""
    configure(r1, ["dsaa", "no site 2"])
    configure(r1, ["dsaa", "advertise 2001:db8:9::/48 all"])
    v4, v6 = ["10.9.0.0/16", "203.0.113.0/28"], "2001:db8:9::/48"
    wait_for(lambda: [p for p in blackholes(r1) if p in v4] == v4 and v6 in blackholes(r1), "the prefixes in the kernel", 40)
    shown = show(r1, "show dsaa advertise")["prefixes"]
    assert (shown["203.0.113.0/28"]["state"], shown["203.0.113.0/28"]["tag"]) == ("active", 101)
    configure(r1, ["dsaa", "no advertise 203.0.113.0/28"])
    wait_for(lambda: "203.0.113.0/28" not in blackholes(r1), "the prefix to go")
    assert "10.9.0.0/16" in blackholes(r1)


def test_no_dsaa_removes_everything(r1):
    assert installed(r1) and blackholes(r1)
    said = configure(r1, ["no dsaa"])
    assert said.strip() == "", said
    assert block(r1) == ""
    wait_for(lambda: nothing_installed(r1), "addresses, rules and tunnel to go")
    wait_for(lambda: not blackholes(r1), "the routes to go")
    wait_for(lambda: ":4000 " not in r1.run("ss -Hltn"), "the listener to go")
    wait_for(lambda: "172.16.0.2" not in r1.run("vtysh -c 'show bfd peers brief'"), "the BFD session to go")
    assert not re.search(r"fwmark|lookup 3785", r1.run("ip rule; ip -6 rule"))
    assert addresses(r1, "sync") == ["172.16.0.1/24", "fd00:172:16::1/64"], "the operator's own stay"


def test_the_whole_file_at_a_start(r1):
    """The block as it stands in the manual, in frr.conf, read by vtysh -b."""
    write(r1, "/etc/frr/frr.conf", CONFIG + BLOCK, "640")
    kill(r1, "dsaad")
    start_daemon(r1, "dsaad")
    assert sections(block(r1)) == sections(BLOCK)
    wait_for(lambda: installed(r1), "addresses, rules and tunnel")
