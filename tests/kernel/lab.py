#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
The whole of dsaad on a stock kernel, with FRR as it is installed: the lab with two sites, a download that comes back through the
other site, then the power cut of the site that owns it. What "show dsaa" says is printed as it is.

usage: lab.py [auto|kernel|nfqueue]
"""

import os
import sys
import time

sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from demo import programs as prog  # noqa: E402
from lab import topology as topo  # noqa: E402
from lab.control import Lab, LabError, wait_for  # noqa: E402

MEGABYTES = 10
RATE = 500 * 1000
# An emulated machine stands still for that long now and then.
BFD = "4x1000"

faults = []


def check(good, fault):
    if not good:
        faults.append(fault)
        print("FAILED: " + fault, flush=True)


def say(text):
    print("[%6.1f s] %s" % (time.monotonic() - BEGIN, text), flush=True)


def show(lab, site, *commands):
    for command in commands:
        print("site%d# %s\n%s" % (site, command, lab.vtysh("site%d" % site, command)), flush=True)


def peer_is(lab, at, site, state):
    try:
        return lab.vtysh_json("site%d" % at, "show dsaa json")["peers"][str(site)]["state"] == state
    except LabError:
        return False


def paths(lab, mode):
    """Each interface is corrected the way MODE promises; auto promises the kernel's."""
    wanted = "nfqueue" if mode == "nfqueue" else "kernel"
    for site in lab.top.sites:
        found = lab.vtysh_json("site%d" % site, "show dsaa correction json")
        for name, interface in found["interfaces"].items():
            check(interface["dataPath"] == wanted, "site%d: %s is corrected by %s: %s" % (
                site, name, interface["dataPath"], interface["why"]))
        check(not found["warnings"], "site%d warns: %s" % (site, found["warnings"]))


def download(lab, mode):
    lab.path("forward", 1)
    lab.path("return", 2)
    say("forward through site 1, return through site 2")
    programs = prog.Programs(lab)
    server = prog.HttpServer(programs, MEGABYTES, RATE)
    first = prog.Download(programs, topo.SERVER[4])
    wait_for(30, lambda: None if first.received > server.length // 4 else "not begun", pause=0.2)
    say("a quarter of the download is there")
    sent = lab.vtysh_json("site2", "show dsaa correction json")["peers"]["1"]["packetsSent"]
    check(sent > 0, "site 2 corrected nothing")
    show(lab, 2, "show dsaa correction", "show dsaa")
    lab.cut("site1")
    say("site 1 has lost its power")
    missing = wait_for(30, lambda: None if peer_is(lab, 2, 1, "dead") else "site 2 does not take site 1 for dead")
    check(missing is None, missing)
    say("site 2 takes it for dead")
    first.join(150)
    check(first.sha256 == server.sha256, "the download: %s of %d bytes, %s" % (first.received, server.length, first.error))
    say("the download has ended: %d bytes, longest silence %.1f s" % (first.received, first.longest_stall))
    show(lab, 2, "show dsaa events", "show dsaa")
    lab.heal("site1")
    missing = wait_for(30, lambda: None if peer_is(lab, 2, 1, "up") else "site 1 does not come back")
    check(missing is None, missing)
    say("site 1 is back")
    programs.end()


def main():
    mode = sys.argv[1] if len(sys.argv) > 1 else "auto"
    lab = Lab("kernel")
    try:
        lab.start(say=say, mode=mode, nat="snat", bfd=BFD)
        say("the lab is up")
        paths(lab, mode)
        download(lab, mode)
    except LabError as error:
        check(False, str(error))
        for site in (1, 2):
            print(lab.run("site%d" % site, "tail -n 20 /var/log/frr/*", check=False).stdout)
    finally:
        lab.stop()
    print("%d faults" % len(faults))
    return 1 if faults else 0


BEGIN = time.monotonic()
if __name__ == "__main__":
    sys.exit(main())
