#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tells when this machine stood still, or one of its processors: a program that only sleeps woke up late. Tests of time fail by that, too.

usage: stalls.py LIMIT

Writes a line "WHEN LENGTH", both in seconds, for each time that it woke up later than LIMIT on any processor; ends with its parent.
"""

import os
import sys
import time

PAUSE = 0.02


def watch(limit, parent):
    before = time.monotonic()
    while os.getppid() == parent:
        time.sleep(PAUSE)
        now = time.monotonic()
        if now - before - PAUSE > limit:
            print("%.3f %.3f" % (time.time(), now - before - PAUSE), flush=True)
        before = now


def main():
    limit, parent, me = float(sys.argv[1]), os.getppid(), os.getpid()
    first, *others = sorted(os.sched_getaffinity(0))
    for processor in others:
        if os.fork() == 0:
            os.sched_setaffinity(0, {processor})
            watch(limit, me)
            return
    os.sched_setaffinity(0, {first})
    watch(limit, parent)


if __name__ == "__main__":
    main()
