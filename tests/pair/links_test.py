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


def main():
    need_root()
    test_without_mptcp()
    test_with_mptcp()
    finish()


main()
