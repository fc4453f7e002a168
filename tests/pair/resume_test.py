#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Two real daemons under a load of connections: the site-sync link is cut for 5 s and healed, and only what changed is told; a peer
that is stopped, or gone for long, costs no memory, and has everything afterwards."""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from pair import Pair, check, finish, need_root, wait

# What the log, the kernel's socket buffers and the allocator may still take after the log was filled once.
RSS_SLACK_KIB = 4096


def test_cut_under_load(pair):
    one, two = pair.site[1], pair.site[2]
    before = two.sync()
    load = [one.flows(0, 1000, 11, 4000), two.flows(50000, 200, 11, 4000)]
    time.sleep(2.5)
    pair.cut()
    check("the loss is noticed", wait(lambda: one.sync()["state"] == "down" and two.sync()["state"] == "down", 7))
    time.sleep(1)
    pair.heal()
    check("the session comes back", pair.up(6), one.sync())
    for p in load:
        check("the load", p.wait() == 0, p.stdout.read())
    check("nothing is missing, nothing left over", pair.settled(), pair.missing())
    for site in (one, two):
        found = site.sync()
        check("resumed", found["resumesSent"] == 1 and found["resumesReceived"] == 1, found)
        check("no further bulk", found["bulksSent"] == 1 and found["bulksReceived"] == 1, found)
        check("nothing refused", not found["flowsRejected"].get("stale"), found)
    check("it was a session of its own", two.sync()["sessions"] == before["sessions"] + 1)


def fill_log(site, first):
    """So many changes that the log has been full once, and that no connection stays."""
    done = site.flows(first, 25000, 2, 200)
    done.wait()


def test_stopped_peer(pair):
    """SIGSTOP: its kernel takes what fits its buffers, then nothing."""
    one, two = pair.site[1], pair.site[2]
    fill_log(one, 100000)
    check("settled", pair.settled())
    before = one.rss_kib()
    os.kill(two.pid(), signal.SIGSTOP)
    try:
        one.flows(200000, 20000, 3, 300).wait()
        one.flows(300000, 200, 3).wait()
        grown = one.rss_kib() - before
    finally:
        os.kill(two.pid(), signal.SIGCONT)
    check("memory stays", grown < RSS_SLACK_KIB, "%d KiB more" % grown)
    check("it gets everything", pair.settled(30), pair.missing())
    print("peer stopped: %d KiB more" % grown)


def test_peer_gone_for_long(pair):
    """What an hour brings is more than the log holds."""
    one, two = pair.site[1], pair.site[2]
    before = one.rss_kib()
    bulks = one.sync()["bulksSent"]
    two.stop()
    for i in range(2):
        one.flows(400000 + i * 100000, 25000, 2, 100).wait()
    one.flows(900000, 200, 1).wait()
    grown = one.rss_kib() - before
    check("memory stays", grown < RSS_SLACK_KIB, "%d KiB more" % grown)
    pair.start_dsaad(two)
    check("it gets everything", pair.up(30) and pair.settled(30), pair.missing())
    check("by a bulk", one.sync()["bulksSent"] == bulks + 1 and one.sync()["resumesSent"] <= 2, one.sync())
    print("peer gone: %d KiB more" % grown)


def test_what_debug_tells(pair):
    """A session that begins anew, in the log of "debug dsaa sync" and "debug dsaa conntrack", and nothing of it without them."""
    one = pair.site[1]

    def logged():
        with open(one.dir + "/dsaad.log") as log:
            return log.read()

    before = len(logged())
    one.vty.run("dsaa resync")
    check("up again", pair.up(30) and pair.settled(30), pair.missing())
    check("silent without debug", "HELLO" not in logged()[before:] and "conntrack:" not in logged()[before:], logged()[before:])
    one.vty.run("debug dsaa sync")
    one.vty.run("debug dsaa conntrack")
    before = len(logged())
    one.vty.run("dsaa resync")
    check("up once more", pair.up(30) and pair.settled(30), pair.missing())
    text = logged()[before:]
    for line in ("connected, plain text", "sent HELLO", "received HELLO", "sent BULK_BEGIN", "received BULK_DONE", "reading the table, owner 1"):
        check("the log tells: " + line, line in text, text)
    check("and how much was read", "conntrack: read " in text, text)
    check("not each of what comes in masses", "BULK_FLOWS" not in text and "KEEPALIVE" not in text, text)
    one.vty.run("no debug dsaa all")


def main():
    need_root()
    with Pair() as pair:
        if check("both sites come up", pair.up(30), pair.site[1].sync()):
            test_cut_under_load(pair)
            test_stopped_peer(pair)
            test_peer_gone_for_long(pair)
            test_what_debug_tells(pair)
    finish()


main()
