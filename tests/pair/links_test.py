#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Two real daemons joined by two site-sync links: one of them fails under load, silently and with its carrier, and nothing is lost.
With MPTCP over both the session stays; without it, another one comes up on the other link and goes on where the first ended."""

import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from pair import SITES, Pair, check, finish, ip, need_root, wait


def links(site):
    return site.sync()["links"]


def on(site, link):
    return any("172.16.%d." % link in text for text in links(site))


def lose(pair, how, load, begin):
    """Link of the session goes away under load, and comes back when another one carries it."""
    one, two = pair.site[1], pair.site[2]
    link = 0 if on(one, 0) else 1
    before = [s.sync() for s in (one, two)]
    process = one.flows(begin, 500, load)
    time.sleep(1.5)
    if how == "silently":
        pair.cut(link)
    else:
        ip("-n", one.ns, "link", "set", "sync%d" % link, "down")
    check("%s: the other link carries it" % how, wait(lambda: on(one, 1 - link) and not on(one, link), 9), links(one))
    check("%s: up" % how, pair.up(6), one.sync())
    check("%s: the load" % how, process.wait() == 0)
    check("%s: nothing is missing" % how, pair.settled(), pair.missing())
    if how == "silently":
        pair.heal(link)
    else:
        ip("-n", one.ns, "link", "set", "sync%d" % link, "up")
    return before, [s.sync() for s in (one, two)]


def test_without_mptcp():
    with Pair(links=2, mptcp=0) as pair:
        check("up", pair.up(30))
        check("one link", wait(lambda: len(links(pair.site[1])) == 1, 3) and not pair.site[1].sync()["multipath"], links(pair.site[1]))
        for n, how in enumerate(("silently", "with its carrier")):
            before, after = lose(pair, how, 6, n * 10000)
            for b, a in zip(before, after):
                check("%s: resumed" % how, a["resumesSent"] == b["resumesSent"] + 1 and a["bulksSent"] == b["bulksSent"], a)


def endpoints(pair):
    """As the manual says. False when this kernel or its tools have none."""
    for s in SITES:
        site = pair.site[s]
        for args in (("limits", "set", "subflow", "4", "add_addr_accepted", "4"),) + tuple(
            ("endpoint", "add", "172.16.%d.%d" % (n, s), "dev", "sync%d" % n) + (("subflow", "fullmesh") if s == 1 else ("signal",))
            for n in range(2)
        ):
            if subprocess.run(site.command("ip", "mptcp", *args), capture_output=True).returncode:
                return False
    return True


def test_with_mptcp():
    with Pair(links=2, mptcp=1) as pair:
        if not endpoints(pair):
            print("MPTCP is left out: this kernel has none")
            return
        check("up", pair.up(30))
        for s in SITES:
            pair.site[s].vty.run("dsaa resync")  # a session that began with the endpoints
        check("up again", wait(lambda: pair.up(1) and len(links(pair.site[1])) >= 2, 15), links(pair.site[1]))
        check("multipath is shown", pair.site[1].sync()["multipath"] and on(pair.site[1], 0) and on(pair.site[1], 1), links(pair.site[1]))
        one = pair.site[1]
        before = one.sync()["sessions"]
        process = one.flows(0, 500, 6)
        time.sleep(1.5)
        pair.cut(0)
        check("the load", process.wait() == 0)
        check("nothing is missing", pair.settled(), pair.missing())
        found = one.sync()
        check("no new bulk", found["bulksSent"] <= 3, found)
        print("one of two links lost silently: %d new sessions" % (found["sessions"] - before))


# a segment of the server's, of the first connection of tests/pair/flows.c, as it comes in at the wrong site
ANSWER = """
import socket, struct, sys
mac = bytes.fromhex(open("/sys/class/net/in/address").read().strip().replace(":", ""))
tcp = struct.pack(">HHIIBBHHH", 443, 1024, 1, 1, 0x50, 0x10, 1000, 0, 0)
ends = socket.inet_aton("10.9.2.10"), socket.inet_aton("198.18.0.0")
ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40, 1, 0, 64, 6, 0, *ends)
words = struct.unpack(">10H", ip)
total = sum(words)
total = (total & 0xffff) + (total >> 16)
ip = ip[:10] + struct.pack(">H", ~total & 0xffff) + ip[12:]
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("in-peer", 0))
for _ in range(20):
    s.send(mac + bytes(6) + b"\\x08\\0" + ip + tcp)
"""


def test_correction_follows(mode):
    """Corrected packets leave a link that is lost, silently or not, as the session does."""
    more = "".join("site %d\nuips in 10.%d.0.1/24\nexit\n" % (s, s) for s in SITES) + "correction mode " + mode
    with Pair(links=2, mptcp=0, more=more) as pair:
        one, two = pair.site[1], pair.site[2]
        for site in (one, two):
            ip("-n", site.ns, "link", "add", "in", "type", "veth", "peer", "name", "in-peer")
            for name in ("in", "in-peer"):
                ip("-n", site.ns, "link", "set", name, "up")

        def correction(site):
            return site.vty.json("show dsaa correction json")

        def carried():
            return correction(one)["peers"]["2"]["packetsReceived"]

        def by(link):
            return "172.16.%d." % link in correction(two)["peers"]["1"]["link"]

        def answers_arrive():
            before = carried()
            two.run("/usr/bin/python3", "-c", ANSWER)
            return wait(lambda: carried() == before + 20, 1)

        check("%s: up" % mode, pair.up(30))
        check("%s: corrects" % mode, wait(lambda: correction(two)["interfaces"].get("in", {}).get("dataPath") in ("kernel", "nfqueue"), 15),
              correction(two))
        one.flows(0, 100, 1).wait()
        check("%s: settled" % mode, pair.settled(), pair.missing())
        first = 0 if on(one, 0) else 1
        check("%s: arrive" % mode, answers_arrive(), correction(two))
        # without BFD the session's link is looked at every two seconds
        check("%s: by the session's link" % mode, wait(lambda: by(first), 5), correction(two)["peers"])
        pair.cut(first)
        # the fast path's program takes packets before the cut
        check("%s: by the other link" % mode, wait(lambda: by(1 - first), 12), correction(two)["peers"])
        check("%s: arrive there" % mode, answers_arrive(), correction(two))
        pair.heal(first)
        ip("-n", two.ns, "link", "set", "sync%d" % (1 - first), "down")
        check("%s: arrive when it has no carrier" % mode, wait(answers_arrive, 12), correction(two))


def main():
    need_root()
    test_without_mptcp()
    test_with_mptcp()
    for mode in ("nfqueue", "auto"):
        test_correction_follows(mode)
    finish()


main()
