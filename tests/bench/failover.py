#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the network feels when a site dies, is drained, or loses its daemon or its site-sync link.

Everything runs in a lab of its own (lab/README.md) with BFD at 3 x 50 ms, third-party routers with BFD on their BGP sessions, and
source NAT. Streams and connections are those of streams.c: every loss and pause is known, in both directions. Prints one line per
figure and its parts; a line with a goal is missed or reached.

usage: failover.py STREAMS FILL [--quick] [--only WORD,...] [--keep]      needs root; exit 1 when a goal is missed

WORDs: power, power-asymmetric, many, adoption, drain, daemon, sync.
"""

import argparse
import collections
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, TOP)
from lab import topology as topo  # noqa: E402
from lab.control import Lab, wait_for  # noqa: E402

BFD = "3x50"
RATE = 1000
UDP_PORT, TCP_PORT = 7000, 7001
SOURCES = ["203.0.113.%d" % n for n in range(20, 36)]
TABLE_MAX = "/proc/sys/net/netfilter/nf_conntrack_max"
# Connections that are made at a time, to be replicated before the next.
PORTION = 20000


def offset():
    """What to add to the monotonic clock to get the wall clock."""
    return time.time() - time.monotonic()


class Bench:
    """The lab, the programs in it, and what came out."""

    def __init__(self, args):
        self.quick = args.quick
        self.lab = Lab("bench-failover")
        self.rows = []
        self.missed = False
        self.programs = args.programs
        self.servers = []
        self.deaths = []

    # ---------------------------------------------------------------- programs

    def start(self):
        self.lab.stop()
        self.lab.start(family="4", nat="snat", bfd=BFD)
        for node in ("client", "server", "site1", "site2"):
            for program in self.programs:
                shutil.copy(program, self.lab.data(node))
        for source in SOURCES:
            self.lab.run("client", "ip addr add %s/32 dev lo" % source)
        self.servers = [self.popen("server", "udp-server", UDP_PORT, RATE), self.popen("server", "tcp-server", TCP_PORT)]

    def stop(self):
        for p in self.servers:
            p.stdin.close()
            p.wait(5)
        self.lab.stop()

    def kill_site(self):
        """Site 1 loses power; never three times in a minute, or it would be held back."""
        if len(self.deaths) >= 2:
            time.sleep(max(0, self.deaths[-2] + 65 - time.monotonic()))
        self.deaths.append(time.monotonic())
        self.lab.cut("site1")

    def popen(self, node, *words, program="streams"):
        command = ["/run/lab/" + program] + [str(w) for w in words]
        return self.lab.popen(node, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    # ---------------------------------------------------------------- the lab

    def ready(self, forward=1, back=1):
        """All sites up and complete, traffic on the wished paths, and no connection of an earlier measurement."""

        def missing():
            return self.lab._bgp_missing() or self.lab._bfd_missing() or self.lab._dsaa_missing() or self.lab._routes_missing()

        bad = wait_for(60, missing, 0.2)
        if bad:
            raise SystemExit("the lab does not come up again: " + bad)
        self.lab.path("forward", forward)
        self.lab.path("return", back)
        time.sleep(1)

    def events(self, site, since):
        """[(monotonic time, event)] of a site since then."""
        found = self.lab.vtysh_json("site%d" % site, "show dsaa events json")["events"]
        for e in found:
            stamp = time.mktime(time.strptime(e["time"][:19], "%Y-%m-%dT%H:%M:%S")) + float(e["time"][19:])
            e["at"] = stamp - offset()
        return [e for e in found if e["at"] >= since]

    def peer_state(self, site, state):
        other = str(3 - site)

        def check():
            now = self.lab.vtysh_json("site%d" % site, "show dsaa json")["peers"][other]["state"]
            return None if now == state else "at site %d its peer is %s instead of %s" % (site, now, state)

        bad = wait_for(30, check, 0.1)
        if bad:
            raise SystemExit(bad)

    # ---------------------------------------------------------------- results

    def row(self, what, value, unit, goal=None, parts=""):
        bad = goal is not None and value > goal
        self.missed |= bad
        said = "" if goal is None else "  goal <= %-6g %s" % (goal, "MISSED" if bad else "reached")
        line = "%-74s %9.1f %-5s%s%s" % (what, value, unit, said, "  (%s)" % parts if parts else "")
        self.rows.append(line)
        print(line, flush=True)


class Stream:
    """A UDP connection with 1 kHz in each direction."""

    def __init__(self, bench, source=topo.CLIENT[4]):
        self.bench = bench
        self.program = bench.popen("client", "udp-client", source, topo.SERVER[4], UDP_PORT, RATE)
        if self.program.stdout.readline().strip() != "hears":
            raise SystemExit("a stream does not get through")

    def end(self):
        """What was lost and the longest pause of each direction: {"up": {...}, "down": {...}}."""
        self.program.stdin.close()
        found = {}
        for p in (self.bench.servers[0], self.program):
            one = json.loads(p.stdout.readline())
            found[one["stream"]] = one
        self.program.wait(10)
        if found["up"]["lost"] < 0 or found["up"]["firstLost"] == 1:
            raise SystemExit("a stream changed its translated address: the server heard a part of it from another one: %s" % found)
        return found


def end_all(streams):
    """Ends streams one after the other: (packets lost, packets sent, [reports])."""
    reports = [r for s in streams for r in s.end().values()]
    return sum(r["lost"] for r in reports), sum(r["sent"] for r in reports), reports


@contextlib.contextmanager
def routes_watched(bench):
    """Yields a list that holds, at the end, (monotonic time, node, line) of each change of a route of the third-party routers."""
    found, running = [], []
    for node in ("isp1", "inside"):
        p = bench.lab.popen(node, ["ip", "-ts", "-o", "monitor", "route"], stdout=subprocess.PIPE, text=True)
        running.append((node, p))
    try:
        yield found
    finally:
        for node, p in running:
            p.terminate()
            for line in p.stdout.read().splitlines():
                m = re.match(r"\[([-0-9T:]+)(\.\d+)\] (.*)", line)
                if m:
                    at = time.mktime(time.strptime(m.group(1), "%Y-%m-%dT%H:%M:%S")) + float(m.group(2))
                    found.append((at - offset(), node, m.group(3)))


def moved_at(changes, node, prefix, gateway, since):
    """When the kernel of NODE got the route to PREFIX by GATEWAY, or None."""
    for at, where, line in sorted(changes):
        if where == node and at >= since and line.startswith(prefix) and gateway in line:
            return at
    return None


# ------------------------------------------------------------------ a site dies


def power(bench, back, say):
    """A site loses power: the longest silence of the stream, and what it was made of."""
    bench.ready(1, back)
    stream = Stream(bench)
    time.sleep(2)
    with routes_watched(bench) as changes:
        cut = time.monotonic()
        bench.kill_site()
        time.sleep(3)
    found = stream.end()
    worst = max(found.values(), key=lambda r: r["gapMsec"])
    begin = worst["gapFrom"]
    dead = [e["at"] for e in bench.events(2, cut) if e["what"] == "peer" and e["to"] == "dead"]
    parts = ["detection and decision %.0f ms" % ((dead[0] - begin) * 1000 if dead else -1)]
    for node, prefix, net, word in (
        ("isp1", topo.SERVICE_NET[4], topo.out_net, "forward"),
        ("inside", topo.pool_net(1, 4), topo.in_net, "return"),
    ):
        at = moved_at(changes, node, prefix, topo.host(net(2, 4), 1), cut)
        if at:
            parts.append("%s routing %.0f ms" % (word, (at - begin) * 1000))
    parts.append("lost %d up, %d down" % (found["up"]["lost"], found["down"]["lost"]))
    bench.lab.heal("site1")
    say(worst["gapMsec"], parts)


def measure_power(bench, back, words):
    """The worst of some cuts."""
    worst = []

    def say(gap, parts):
        worst.append((gap, ", ".join(parts)))

    for _ in range(1 if bench.quick else 3):
        power(bench, back, say)
    gap, parts = max(worst)
    bench.row("site dies: longest silence of a 1 kHz stream, %s, worst of %d" % (words, len(worst)), gap, "ms", 400, parts)


def send_half_back(bench):
    """Static routes at the inside router send what goes to some of the pool's addresses through site 2: half of all connections.
    Returns these addresses and the number of connections.
    """
    table = bench.lab.run("site1", "conntrack -L -p tcp --dport %d 2>/dev/null" % TCP_PORT).stdout
    count = collections.Counter(re.findall(r"dst=(10\.201\.0\.\d+) sport", table))
    chosen, asymmetric = [], 0
    for address, n in count.most_common():
        if 2 * (asymmetric + n) > 1.04 * sum(count.values()):
            continue
        chosen.append(address)
        asymmetric += n
        bench.lab.run("inside", "ip route add %s via %s" % (address, topo.host(topo.in_net(2, 4), 1)))
    return chosen, asymmetric


def measure_many(bench):
    """Many TCP connections of a site that dies, half of them corrected."""
    n = 1000 if bench.quick else 10000
    bench.ready(1, 1)
    program = bench.popen("client", "tcp-client", topo.SERVER[4], TCP_PORT, 1000, n, *SOURCES)
    if program.stdout.readline().strip() != "open":
        raise SystemExit("the connections do not come up")
    bad = wait_for(60, lambda: missing_copies(bench, n), 0.2)
    if bad:
        raise SystemExit(bad)
    routed, asymmetric = send_half_back(bench)
    time.sleep(5)
    bench.kill_site()
    time.sleep(8)
    program.stdin.close()
    found = json.loads(program.stdout.readline())
    for address in routed:
        bench.lab.run("inside", "ip route del %s" % address)
    bench.lab.heal("site1")
    bad = found["reset"] + found["failed"] + found["stalled"] + n - found["opened"]
    parts = "%d asymmetric, %d reset, %d failed, %d stalled over 3 s, longest wait %.0f ms" % (
        asymmetric, found["reset"], found["failed"], found["stalled"], found["worstMsec"])
    bench.row("site dies: of %d live TCP connections with SNAT, reset or stalled over 3 s" % n, bad, "", 0, parts)


def measure_adoption(bench):
    """From the decision that a site is dead to its first packet that is treated as ours."""
    n = 20000 if bench.quick else 500000
    bench.ready(1, 1)
    stream = Stream(bench)
    # its packets now reach site 2, which does not own it
    bench.lab.path("forward", 2)
    # in portions, each replicated before the next: the figure is about the adoption, not about the way there
    for first in range(0, n, PORTION):
        bench.lab.run("site1", "/run/lab/fill %d %d" % (first, PORTION), timeout=60)
        bad = wait_for(60, lambda: missing_copies(bench, first + PORTION), 0.2)
        if bad:
            raise SystemExit(bad)
    bench.peer_state(2, "up")
    watcher = bench.popen("site2", "leaving", "eth1", UDP_PORT)
    time.sleep(1)
    cut = time.monotonic()
    bench.kill_site()
    time.sleep(3)
    watcher.stdin.close()
    left = [float(line) - offset() for line in watcher.stdout.read().split()]
    dead = [e["at"] for e in bench.events(2, cut) if e["what"] == "peer" and e["to"] == "dead"]
    if not dead:
        raise SystemExit("site 1 was not found dead")
    # events are told in whole milliseconds, cut off
    after = [t for t in left if t >= dead[0] - 0.001]
    value = (after[0] - dead[0]) * 1000 if after else 1e6
    before = len([t for t in left if cut < t < dead[0] - 0.001])
    begin = time.monotonic()
    bad = wait_for(60, lambda: None if adopted(bench) >= n else "not all are re-marked", 0.5)
    stream.end()
    parts = "%d packets passed before it; re-marked in the background within %.1f s" % (before, time.monotonic() - begin + 3)
    parts = bad or parts
    bench.row("adoption of %d connections: decision to first packet treated as ours" % n, max(value, 0), "ms", 10, parts)
    bench.lab.run("site2", "conntrack -F 2>/dev/null", check=False)
    bench.lab.heal("site1")


def missing_copies(bench, n):
    """None when site 2 has at least N connections, else a sentence."""
    text = bench.lab.run("site2", "cat /proc/sys/net/netfilter/nf_conntrack_count").stdout.strip()
    return None if int(text) >= n else "site 2 has only %s of %d connections" % (text, n)


def adopted(bench):
    return bench.lab.vtysh_json("site2", "show dsaa sync json")["adopted"]


# ------------------------------------------------------------------ somebody works on a site


def drained(bench):
    """None when site 1 has handed over everything and no route leads to it."""
    shown = bench.lab.vtysh_json("site1", "show dsaa json")
    if not shown.get("draining"):
        return "site 1 is not being drained"
    if not shown.get("drain", {}).get("done"):
        return "site 1 still holds connections: %s" % shown.get("drain")
    for node, prefixes in bench.lab._watched().items():
        for prefix in prefixes:
            if bench.lab.route_site(node, prefix) != 2:
                return "%s still sends %s to site 1" % (node, prefix)
    return None


def measure_drain(bench):
    """Drain, reboot and return of a site, with streams that began on either."""
    bench.ready(1, 1)
    streams = [Stream(bench, s) for s in SOURCES[:1 if bench.quick else 2]]
    bench.lab.vtysh("site1", "dsaa drain on")
    begin = time.monotonic()
    bad = wait_for(30, lambda: drained(bench), 0.1)
    if bad:
        end_all(streams)
        bench.row("drain, reboot and return: " + bad, 1, "", 0)
        return
    took = time.monotonic() - begin
    bench.lab.reboot("site1")
    bench.ready(1, 1)
    time.sleep(2)
    lost, sent, reports = end_all(streams)
    bench.row("drain, reboot and return of a site: packets lost, 1 kHz both ways", lost, "", 0,
              "of %d; drained after %.1f s; longest silence %.0f ms%s" % (sent, took, max(r["gapMsec"] for r in reports), lost_where(reports)))


def lost_where(reports):
    return "".join("; %s lost %d-%d" % (r["stream"], r["firstLost"], r["lastLost"]) for r in reports if r["lost"])


def measure_daemon(bench):
    """dsaad alone is killed, at the owner and at the other site, and started again by watchfrr."""
    for back, words in ((1, "symmetric"), (2, "asymmetric")):
        bench.ready(1, back)
        streams = [Stream(bench)]
        for site in ("site1",) if bench.quick else ("site1", "site2"):
            pid = bench.lab.run(site, "cat /run/frr/dsaad.pid").stdout.strip()
            bench.lab.run(site, "kill -KILL %s" % pid)
            time.sleep(2)
            bad = wait_for(90, bench.lab._dsaa_missing, 0.2)
            if bad:
                raise SystemExit("after dsaad was killed: " + bad)
            time.sleep(1)
        lost, sent, reports = end_all(streams)
        bench.row("dsaad killed and restarted by watchfrr: packets lost, %s" % words, lost, "", 0,
                  "of %d; longest silence %.0f ms%s" % (sent, max(r["gapMsec"] for r in reports), lost_where(reports)))


def measure_sync(bench):
    """The site-sync link is cut and comes back, both sites alive."""
    bench.ready(1, 1)
    streams = [Stream(bench)]
    bench.lab.cut("sync")
    bench.peer_state(1, "isolated")
    bench.peer_state(2, "isolated")
    time.sleep(3)
    bench.lab.heal("sync")
    bench.peer_state(1, "up")
    bench.peer_state(2, "up")
    time.sleep(2)
    lost, sent, reports = end_all(streams)
    bench.row("site-sync link cut and back, symmetric connections: packets lost", lost, "", 0,
              "of %d; longest silence %.0f ms%s" % (sent, max(r["gapMsec"] for r in reports), lost_where(reports)))


MEASURES = {
    "power": lambda b: measure_power(b, 1, "symmetric"),
    "power-asymmetric": lambda b: measure_power(b, 2, "asymmetric"),
    "many": measure_many,
    "adoption": measure_adoption,
    "drain": measure_drain,
    "daemon": measure_daemon,
    "sync": measure_sync,
}


@contextlib.contextmanager
def big_table(entries):
    """The host's limit of connections holds for all namespaces: raised while we run."""
    with open(TABLE_MAX, encoding="ascii") as f:
        was = int(f.read())
    if was >= entries:
        yield
        return
    with open(TABLE_MAX, "w", encoding="ascii") as f:
        f.write("%d\n" % entries)
    try:
        yield
    finally:
        with open(TABLE_MAX, "w", encoding="ascii") as f:
            f.write("%d\n" % was)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("programs", nargs=2)
    parser.add_argument("--quick", action="store_true", help="fewer connections and rounds")
    parser.add_argument("--only", default=",".join(MEASURES), help="comma separated")
    parser.add_argument("--keep", action="store_true", help="leave the lab running")
    args = parser.parse_args()
    bench = Bench(args)
    words = args.only.split(",")
    with big_table(100000 if args.quick or "adoption" not in words else 1200000):
        bench.start()
        try:
            for word in words:
                MEASURES[word](bench)
        except BaseException:
            print("logs of the lab: %s" % bench.lab.keep_logs())
            raise
        finally:
            if not args.keep:
                bench.stop()
    print("\nfailover: %s" % ("a goal is missed" if bench.missed else "every goal is reached"))
    return 1 if bench.missed else 0


if __name__ == "__main__":
    sys.exit(main())
