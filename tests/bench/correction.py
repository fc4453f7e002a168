#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What correction costs: the kernel's fast path and the queue against the symmetric path, all in one run.

The network is that of tests/edge/nfq_correct_test.py with a site-sync link of MTU 9000; the client's connections go through r1 and
are SNATed there, what the server sends goes to r1 (symmetric) or to r2 (to be corrected).

TCP: samples in turns, symmetric, corrected, symmetric, ... with both daemons at work all the time, so that a noisy machine troubles
both alike. Each corrected sample is compared with the mean of the two symmetric ones beside it; the median of those ratios counts,
and the quartiles are shown. The noise is the same figure made of symmetric samples alone: what it differs from 1, no row can tell.
The sender's congestion control is the machine's own. One that paces (BBR) leaves the processors idle at times, and hides some of
what the detour costs, so the kernel's path is shown with Reno, too; there sender, receiver and both routers share all processors
without a pause.

A card spreads what comes in over its queues, and so over the processors. A veth has one queue and does not, so the routers spread
what comes in at the site-sync link by RPS, as the manual's chapter on sizing says for a link of one queue; without it, unwrapping
waits for whatever else the one processor does. What it costs not to do so is shown in a row of its own.

Small packets: processor time of all that works on them (sender, softirq threads, queue thread), in each of several rounds, one row
after the other; medians are shown, and ratios to the row they are compared with.

usage: correction.py NFQ_MINI BLAST [ROUNDS]      needs root; exit 1 when a figure of "must" is missed
"""

import os
import select
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "edge"))
import nfq_correct_test as base  # noqa: E402
from nfq_correct_test import FAMILIES, Site, at, foreign_entry, inside, sock  # noqa: E402

F = FAMILIES[4]
base.THREADS = 0
# corrected samples of TCP by path, one more symmetric; what counts of each sample is what comes after its start
PAIRS = {"kernel": 16, "one": 8, "reno": 8, "queue": 6}
SECONDS = 1.7
START = 0.3
# quartiles of the noise further apart than this, or others' share of the processors: the machine is too loud for the ratios of TCP
LOUD_SPREAD = 0.15
LOUD_OTHERS = 0.10
# short runs and many of them: the least disturbed one counts
PACKETS = 15000
RUNS = 12
TURNS = 8
# connections of the other site, beside those that are measured
FOREIGN = 10000
PROBES = 300
# of one's own packets: name, what is compared, and with what
OWN_RATIOS = (("own-hook", "cpu-stopped", "cpu-own-hook"), ("own-no-foreign", "cpu-stopped", "cpu-own-kernel-closed"),
              ("own-foreign", "cpu-stopped", "cpu-own-kernel"), ("own-to-own", "cpu-own-kernel-closed", "cpu-own-kernel"))
SO_TIMESTAMPNS = 35

MUST = {"tcp-kernel": (">=", 0.80), "cpu-kernel": ("<=", 2.3), "own-no-foreign": (">=", 0.98), "own-foreign": (">=", 0.93),
        "tcp-queue": (">=", 0.16)}


# ---------------------------------------------------------------- states of the network


class Sites:
    """Both sites run, with or without the fast path."""

    def __init__(self, program, bpffs=None, gate=1):
        more = ["fast", bpffs] if bpffs else []
        self.sites = [Site(n, program, more=more, links=(4,)) for n in (1, 2)]
        for site in self.sites:
            if bpffs:
                site.say("gate %d" % gate)
        self.fast = bpffs is not None
        if self.fast and gate:
            for site in self.sites:
                if site.say("fill %d" % FOREIGN) != "ok %d" % FOREIGN:
                    raise RuntimeError("the table could not be filled")

    def know(self, sport, dport):
        """The connection that was put into the table of r2, as the daemon tells of each."""
        if self.fast:
            self.sites[1].say("know %s %d %s %d" % (F["S"], sport, F["P"], dport))

    def pids(self):
        return [site.process.pid for site in self.sites]

    def quit(self):
        for site in self.sites:
            site.quit()


def returns_by(router):
    for target in (F["C"], F["pool"]):
        at("srv", "ip route replace %s via %s" % (target, F["s%d" % router][1]))


def spread(on):
    """RPS over all processors, or none, of what comes in at the routers' site-sync link."""
    mask = "%x" % ((1 << min(os.cpu_count(), 32)) - 1 if on else 0)
    for router in ("r1", "r2"):
        words = "ip netns exec %s-%s tee /sys/class/net/sync/queues/rx-0/rps_cpus" % (base.PREFIX, router)
        subprocess.run(words.split(), input=mask, stdout=subprocess.DEVNULL, text=True, check=True)


# ---------------------------------------------------------------- TCP


def throughput(port, control=None):
    """Megabits per second that the client receives; CONTROL: the sender's congestion control, if not the machine's."""
    listener = sock("srv", F, socket.SOCK_STREAM, F["S"], port)
    if control:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, control.encode())
    listener.listen(1)
    foreign_entry(F, "tcp", port, port)
    child = os.fork()
    if child == 0:
        try:
            conn = listener.accept()[0]
            data, end = b"x" * 262144, time.monotonic() + START + SECONDS
            while time.monotonic() < end:
                conn.sendall(data)
            conn.close()
        finally:
            os._exit(0)
    client = sock("cl", F, socket.SOCK_STREAM, F["C"], port)
    client.connect((F["S"], port))
    buf, got, begin = bytearray(1 << 20), 0, None
    first = time.monotonic() + START
    while n := client.recv_into(buf):
        if begin is not None:
            got += n
        elif (now := time.monotonic()) >= first:
            begin = now
    seconds = time.monotonic() - begin
    os.waitpid(child, 0)
    client.close(), listener.close()
    at("r2", "conntrack -D -p tcp --orig-port-src %d" % port, may_fail=True)
    return got * 8 / seconds / 1e6


def processors():
    """Ticks of all processors: at work for anybody (or for another guest of the host), and in all."""
    with open("/proc/stat") as f:
        ticks = [int(n) for n in f.readline().split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def others():
    """The share of the processors that others use, while nothing of ours is to be done."""
    busy, total = processors()
    time.sleep(0.2)
    now, all_now = processors()
    return (now - busy) / max(1, all_now - total)


def tcp_samples(name, sites, port, rows, control=None):
    """Symmetric and corrected in turns; a port for each, for an entry may outlive its connection."""
    symmetric, corrected = [], []
    for i in range(2 * PAIRS[name] + 1):
        rows.setdefault("others", []).append(others())
        sites.know(port + i, port + i)
        returns_by(2 if i % 2 else 1)
        (corrected if i % 2 else symmetric).append(throughput(port + i, control))
    returns_by(1)
    rows["tcp-symmetric-" + name], rows["tcp-" + name] = symmetric, corrected


def ratios(symmetric, of, step):
    """Each of OF to the mean of what was measured before and after it; OF[i] lies between SYMMETRIC[i] and [i + STEP]."""
    return [one * 2 / (symmetric[i] + symmetric[i + step]) for i, one in enumerate(of)]


def quartiles(values):
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return middle, low, high


# ---------------------------------------------------------------- small packets


def runtime_ns(pids):
    """Processor time of the processes and of the softirq threads."""
    total = 0
    for pid in pids:
        for task in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/schedstat" % (pid, task)) as f:
                total += int(f.read().split()[0])
    return total


def softirq_pids():
    return [int(p) for p in subprocess.run(["pgrep", "^ksoftirqd/"], capture_output=True, text=True).stdout.split()]




def packet_ns(blast, router, port, pids, dead=False):
    """Nanoseconds of a packet server -> router ... -> client; DEAD: of sending it to nobody. And the share that arrived."""
    mac = "02:00:00:00:00:99" if dead else at("r%d" % router, "cat /sys/class/net/eth1/address").strip()
    received = lambda: int(at("cl", "cat /sys/class/net/c1/statistics/rx_packets")) + int(
        at("cl", "cat /sys/class/net/c2/statistics/rx_packets"))
    workers = softirq_pids() + pids
    before, others = received(), runtime_ns(workers)
    out = at("srv", "%s s%d %s %s %s 7000 %d %d" % (blast, router, mac, F["S"], F["P"], port, PACKETS))
    sent, own = (int(x) for x in out.split())
    while (now := received()) != before and now - before < sent:
        last, _ = now, time.sleep(0.05)
        if received() == last:
            break
    arrived = received() - before
    total = own + runtime_ns(workers) - others
    return total / sent, 1.0 if dead else arrived / sent


def best_ns(*arguments, **more):
    """The least of several: what disturbs a run only makes it longer."""
    return min(packet_ns(*arguments, **more) for _ in range(RUNS))


def open_flow(port):
    """The client's UDP flow through r1, answered once so that both directions were seen."""
    client = sock("cl", F, socket.SOCK_DGRAM, F["C"], port)
    server = sock("srv", F, socket.SOCK_DGRAM, F["S"], 7000)
    client.sendto(b"x", (F["S"], 7000))
    server.sendto(b"y", server.recvfrom(10)[1])
    client.recvfrom(10)
    return client, server


# ---------------------------------------------------------------- latency


def tap(node, ifname):
    with inside(node):
        s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
    s.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    s.bind((ifname, 3))
    return s


def stamps(s, want):
    """When each of our numbered packets passed the tap."""
    seen = {}
    while len(seen) < want and select.select([s], [], [], 0.3)[0]:
        data, control, _, _ = s.recvmsg(200, 200)
        if data[9] == 17 and data[28:32] == b"TAP!":
            sec, ns = struct.unpack("qq", control[0][2][:16])
            seen[data[32:36]] = sec * 1e9 + ns
    return seen


def latency(port, device):
    """Microseconds from eth1 of r2 to DEVICE of r1: p50, p99."""
    client, server = open_flow(port)
    foreign_entry(F, "udp", port, 7000)
    returns_by(2)
    here, there = tap("r2", "eth1"), tap("r1", device)
    for i in range(PROBES):
        server.sendto(b"TAP!" + struct.pack("!I", i), (F["P"], port))
        time.sleep(0.002)
    a, b = stamps(here, PROBES), stamps(there, PROBES)
    times = sorted((b[k] - a[k]) / 1e3 for k in a if k in b)
    for s in (client, server, here, there):
        s.close()
    returns_by(1)
    return (times[len(times) // 2], times[len(times) * 99 // 100]) if len(times) > PROBES // 2 else None


# ---------------------------------------------------------------- rounds


def own_ns(blast, port):
    """Of a packet of the client's own flow through r1, in the state that the network is in."""
    flow = open_flow(port)
    ns = best_ns(blast, 1, port, [])[0]
    for s in flow:
        s.close()
    return ns


class EmptyHook:
    """The least that rules at the place of dsaad's can cost: a chain without any."""

    def __init__(self):
        base.load("r1", "table inet nobody { chain empty { type filter hook prerouting priority -149; }; }")

    def quit(self):
        at("r1", "nft delete table inet nobody")


def own_rows(program, blast, bpffs, port, add):
    """Stopped, without and with foreign flows, in turns: what the machine does meanwhile troubles all alike. The ratios are those of
    one turn, to the state before or behind it.
    """
    states = {"cpu-stopped": None, "cpu-own-hook": EmptyHook, "cpu-own-kernel-closed": lambda: Sites(program, bpffs, 0),
              "cpu-own-kernel": lambda: Sites(program, bpffs, 1)}
    for turn in range(TURNS):
        ns = {}
        for name, make in list(states.items())[::1 if turn % 2 else -1]:
            state = make() if make else None
            try:
                ns[name] = own_ns(blast, port + turn)
            finally:
                if state:
                    state.quit()
            add(name, ns[name])
            for router in ("r1", "r2"):
                at(router, "conntrack -F")
        for name, to, of in OWN_RATIOS:
            add(name, ns[to] / ns[of])


def one_round(program, blast, bpffs, number, rows):
    port = 40000 + number * 50
    add = lambda name, value: rows.setdefault(name, []).append(value)
    returns_by(1)
    add("send", best_ns(blast, 1, port, [], dead=True)[0])
    own_rows(program, blast, bpffs, port, add)
    for name, fast in (("queue", None), ("kernel", bpffs)):
        port += 10
        sites = Sites(program, fast)
        try:
            returns_by(1)
            flow = open_flow(port + 2)
            foreign_entry(F, "udp", port + 2, 7000)
            sites.know(7000, port + 2)
            sites.know(7000, port + 5)
            returns_by(2)
            ns, arrived = best_ns(blast, 2, port + 2, sites.pids() if name == "queue" else [])
            add("cpu-corrected-" + name, ns)
            add("arrived-" + name, arrived)
            for s in flow:
                s.close()
            returns_by(1)
            if number == 0:
                spread(True)
                tcp_samples(name, sites, 50000 if name == "kernel" else 51000, rows)
                if name == "kernel":
                    tcp_samples("reno", sites, 52000, rows, "reno")
                spread(False)
            if number == 0 and name == "kernel":
                tcp_samples("one", sites, 53000, rows)
            if number == 0:
                rows["latency-" + name] = latency(port + 5, "eth1" if name == "kernel" else "dsaa0")
        finally:
            sites.quit()
    for router in ("r1", "r2"):
        at(router, "conntrack -F")


def verdict(name, ratio):
    """What follows a ratio that must be reached, and whether it is."""
    sign, limit = MUST[name]
    reached = ratio >= limit if sign == ">=" else ratio <= limit
    return reached, "  %s %.2f%s" % (sign, limit, "" if reached else "  MISSED")


def show_tcp(rows):
    """True when TCP is as fast as it must be."""
    good = True
    with open("/proc/sys/net/ipv4/tcp_congestion_control") as f:
        own = f.read().strip()
    print("%-42s %10s %7s  must" % ("TCP, Mbit/s: medians, ratio of neighbours", "", "ratio"))
    for name, text in (("kernel", "in the kernel, " + own), ("one", "the same, link not spread"),
                       ("reno", "in the kernel, reno"), ("queue", "by the queue, " + own)):
        symmetric, corrected = rows["tcp-symmetric-" + name], rows["tcp-" + name]
        middle, low, high = quartiles(ratios(symmetric, corrected, 1))
        reached, must = verdict("tcp-" + name, middle) if "tcp-" + name in MUST else (True, "")
        good &= reached
        print("%-42s %10.0f" % ("symmetric (%d samples)" % len(symmetric), statistics.median(symmetric)))
        print("%-42s %10.0f %7.2f%s" % ("corrected %s (%d)" % (text, len(corrected)), statistics.median(corrected), middle, must))
        middle, less, more = quartiles(ratios(symmetric, symmetric[1:-1], 2))
        print("  quartiles of the ratio %.2f to %.2f; noise, symmetric to itself: %.2f, %.2f to %.2f" % (low, high, middle, less, more))
        if more - less > LOUD_SPREAD:
            print("  the machine was too loud: what this row says is uncertain")
    load = statistics.mean(rows["others"])
    print("others used %.0f %% of the processors between the samples%s" % (
        load * 100, ": too much, measure again when they are gone" if load > LOUD_OTHERS else ""))
    return good


def show_packets(rows):
    """True when small packets cost no more than they may."""
    m = {name: statistics.median(v) for name, v in rows.items() if not name.startswith("latency")}
    net = lambda name: m[name] - m["send"]
    stopped, own = m["cpu-stopped"], m["cpu-own-kernel-closed"]
    table = (
        ("sending alone, ns a packet", m["send"], None, None),
        ("forwarded locally, dsaad stopped", stopped, None, None),
        ("a hook without a rule (rate to stopped)", m["cpu-own-hook"], None, m["own-hook"]),
        ("own, no foreign flow (rate to stopped)", own, "own-no-foreign", m["own-no-foreign"]),
        ("own, foreign flows exist (rate to stopped)", m["cpu-own-kernel"], "own-foreign", m["own-foreign"]),
        ("own, foreign flows exist (to no foreign)", m["cpu-own-kernel"], None, m["own-to-own"]),
        ("corrected in the kernel (to own)", m["cpu-corrected-kernel"], "cpu-kernel",
         m["cpu-corrected-kernel"] / m["cpu-own-kernel"]),
        ("  the same, less sending", net("cpu-corrected-kernel"), None, net("cpu-corrected-kernel") / net("cpu-own-kernel")),
        ("corrected by the queue (to own)", m["cpu-corrected-queue"], None, m["cpu-corrected-queue"] / m["cpu-own-kernel"]),
    )
    good = True
    print("%-42s %10s %7s  must" % ("small packets, medians of %d rounds" % len(rows["send"]), "", "ratio"))
    for text, value, must, ratio in table:
        line = "%-42s %10.0f %7s" % (text, value, "" if ratio is None else "%.3f" % ratio)
        if must:
            reached, more = verdict(must, ratio)
            good &= reached
            line += more
        print(line)
    for text, name in (("a hook without a rule", "own-hook"), ("no foreign flow", "own-no-foreign"), ("foreign flows exist", "own-foreign")):
        print("  own, %s: quartiles of %d ratios %.3f to %.3f" % ((text, len(rows[name])) + quartiles(rows[name])[1:]))
    print("arrived at the client: kernel %.3f, queue %.3f" % (m["arrived-kernel"], m["arrived-queue"]))
    for name in ("kernel", "queue"):
        if rows.get("latency-" + name):
            print("wrong site to owner's stack, %s: p50 %.0f us, p99 %.0f us" % ((name,) + rows["latency-" + name]))
        else:
            print("wrong site to owner's stack, %s: not measured, fewer than half of the probes arrived" % name)
    return good


def show(rows):
    """The table; true when all that must be reached is."""
    reached = [show_tcp(rows), show_packets(rows)]
    return all(reached)


def main():
    if os.geteuid() != 0:
        print("skipped: needs root")
        return 77
    program, blast = (os.path.abspath(a) for a in sys.argv[1:3])
    bpffs = tempfile.mkdtemp(prefix="dsaa-bpffs-")
    subprocess.run(["mount", "-t", "bpf", "bpf", bpffs], check=True)
    rows = {}
    try:
        base.build()
        for router in ("r1", "r2"):
            at(router, "ip link set sync mtu 9000")
        for number in range(int(sys.argv[3]) if len(sys.argv) > 3 else 5):
            one_round(program, blast, bpffs, number, rows)
    finally:
        base.destroy()
        subprocess.run(["umount", bpffs])
        os.rmdir(bpffs)
    return 0 if show(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
