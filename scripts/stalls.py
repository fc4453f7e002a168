#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tells when this machine stood still: a program that only sleeps woke up late. Tests of time fail by that, too.

usage: stalls.py LIMIT

Writes a line "WHEN LENGTH", both in seconds, for each time that it woke up later than LIMIT; ends with its parent.
"""

import os
import sys
import time

PAUSE = 0.02


def main():
    limit, parent = float(sys.argv[1]), os.getppid()
    before = time.monotonic()
    while os.getppid() == parent:
        time.sleep(PAUSE)
        now = time.monotonic()
        if now - before - PAUSE > limit:
            print("%.3f %.3f" % (time.time(), now - before - PAUSE), flush=True)
        before = now


if __name__ == "__main__":
    main()
