#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Two real daemons with 'sync delay': short connections do not travel, long ones do, and each protocol has its own delay."""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from pair import Pair, check, finish, need_root, wait

EVENTS_LATE = 2.5  # a dump excuses so much: see core/dsaa_delay.c


def held(site):
    return site.vty.json("show dsaa sync json")["delay"]


def test_short_and_long(pair):
    one, two = pair.site[1], pair.site[2]
    time.sleep(EVENTS_LATE)
    sent = one.sync()["flowsSent"]
    short = one.flows(0, 1000, 3, 500)
    time.sleep(1)
    long_lived = one.flows(10000, 10, 1)
    short.wait()
    long_lived.wait()
    check("short ones are counted", wait(lambda: held(one)["endedBefore"] == 3000), held(one))
    check("long ones arrive", wait(lambda: len(two.entries(1)) == 10, 5), len(two.entries(1)))
    check("nothing else travelled", one.sync()["flowsSent"] - sent == 10, one.sync()["flowsSent"] - sent)
    check("nothing is held", held(one)["held"] == 0, held(one))
    check("what was told ends at once", pair.settled())


def test_of_a_protocol(pair):
    """The line of the protocol counts; without it the line for all."""
    one, two = pair.site[1], pair.site[2]
    for site in (one, two):
        check("configured", not site.configure("dsaa\nsync delay 60 protocol tcp"))
    one.flows(20000, 20, 1).wait()
    time.sleep(3)
    check("held", held(one)["held"] == 20 and len(two.entries(1)) == 10, held(one))
    for site in (one, two):
        check("configured", not site.configure("dsaa\nno sync delay protocol tcp"))
    check("told when the delay changes", wait(lambda: len(two.entries(1)) == 30, 3), held(one))
    block = one.vty.run("show running-config")[1]
    check("written", " sync delay 2\n" in block and "protocol tcp" not in block, block)


def main():
    need_root()
    with Pair(more="sync delay 2") as pair:
        if check("both sites come up", pair.up(30), pair.site[1].sync()):
            test_short_and_long(pair)
            test_of_a_protocol(pair)
    finish()


main()
