#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
The whole of dsaad on a stock kernel, with FRR as it is installed: the lab with two sites, a download that comes back through the
other site, then the power cut of the site that owns it. What "show dsaa" says is printed as it is.

With "protocols", in the place of both: GRE, ESP, SCTP and a protocol that nobody knows, each answered through the other site; and a
flowtable in the operator's rules, of which "show dsaa correction" has to tell.

usage: lab.py [auto|kernel|nfqueue|protocols]
"""

import json
import os
import subprocess
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
PROBE = os.path.join(sys.path[0], "tests", "topotests", "dsaa_correction", "probe.py")
# GRE, ESP, SCTP, and one for experiments (RFC 3692)
PROTOCOLS = (47, 50, 132, 253)
ASKED = 5
FLOWTABLE = """
table inet operator {
	flowtable fast {
		hook ingress priority 0; devices = { eth0, eth1 };
	}
	chain forward {
		type filter hook forward priority 10;
		ct state established flow add @fast
	}
}
"""

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


def corrected(lab):
    """Packets that site 2 has carried to site 1."""
    return lab.vtysh_json("site2", "show dsaa correction json")["peers"]["1"]["packetsSent"]


def download(lab, mode):
    lab.path("forward", 1)
    lab.path("return", 2)
    say("forward through site 1, return through site 2")
    programs = prog.Programs(lab)
    server = prog.HttpServer(programs, MEGABYTES, RATE)
    first = prog.Download(programs, topo.SERVER[4])
    wait_for(30, lambda: None if first.received > server.length // 4 else "not begun", pause=0.2)
    say("a quarter of the download is there")
    check(corrected(lab) > 0, "site 2 corrected nothing")
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


def probe(lab, node, *words):
    return lab.popen(node, ["/usr/bin/python3", PROBE] + [str(w) for w in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def protocols(lab):
    for site in lab.top.sites:
        lab.run("site%d" % site, "nft add rule inet firewall forward iifname eth0 oifname eth1 meta l4proto { %s } accept" % ", ".join(
            str(p) for p in PROTOCOLS))
    lab.path("forward", 1)
    lab.path("return", 2)
    say("forward through site 1, return through site 2")
    servers = [probe(lab, "server", "raw-echo", topo.SERVER[4], p) for p in PROTOCOLS]
    for server in servers:
        server.stdout.readline()
    before = corrected(lab)
    asking = {p: probe(lab, "client", "raw-ask", topo.CLIENT[4], topo.SERVER[4], p, ASKED, 500) for p in PROTOCOLS}
    for protocol, program in asking.items():
        lost = json.loads(program.communicate()[0] or '{"lost": "all"}')["lost"]
        say("protocol %d: %d packets, without an answer: %s" % (protocol, ASKED, lost))
        check(lost == [], "protocol %d: without an answer: %s" % (protocol, lost))
    sent = corrected(lab) - before
    say("site 2 has corrected %d packets" % sent)
    check(sent >= ASKED * len(PROTOCOLS), "site 2 has corrected only %d packets" % sent)
    for server in servers:
        server.stdin.close()
        server.wait()
    show(lab, 2, "show dsaa correction")


def flowtable(lab):
    """A stock kernel has them: where it has none, nothing is shown, and that is a fault."""
    lab.run("site2", ["nft", "-f", "-"], text_input=FLOWTABLE)
    warnings = lab.vtysh_json("site2", "show dsaa correction json")["warnings"]
    say("site 2 warns: %s" % warnings)
    check(any("operator/fast" in w for w in warnings), "nothing is said of the flowtable")


def main():
    what = sys.argv[1] if len(sys.argv) > 1 else "auto"
    mode = "auto" if what == "protocols" else what
    lab = Lab("kernel")
    try:
        lab.start(say=say, mode=mode, nat="snat", bfd=BFD)
        say("the lab is up")
        paths(lab, mode)
        if what == "protocols":
            protocols(lab)
            flowtable(lab)
        else:
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
