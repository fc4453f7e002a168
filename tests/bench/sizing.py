#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The figures that the manual's chapter on sizing names, in a lab of its own (lab/README.md).

  wire       bytes on the site-sync link for each connection, both directions, as its interface counts them: short TCP connections (one
             question, one answer, closed), and those that stay
  memory     resident memory of dsaad and the kernel's entries, with so many connections
  tunnel     bytes that correction adds to a packet
  latency    what a delay of the site-sync link costs: the lag of the state, the time of a question and answer that is corrected one way,
             how many of 200 new connections over asymmetric paths are made, and how long the slowest takes

usage: sizing.py [--connections N] [--only WORD,...]      needs root and the lab; prints one line per figure
"""

import argparse
import os
import re
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, TOP)
sys.dont_write_bytecode = True
from lab import topology as topo  # noqa: E402
from lab.control import Lab  # noqa: E402

PORT = 7007
SERVER = """
import socket, sys
s = socket.create_server(("", %d), backlog=4096, family=socket.AF_INET)
import threading
def serve(c):
    with c:
        while c.recv(64):
            c.sendall(b"answer")
while True:
    c, _ = s.accept()
    threading.Thread(target=serve, args=(c,), daemon=True).start()
""" % PORT
# ADDRESS COUNT KEEP: opens COUNT connections one after the other; prints failures, the slowest and the median, in ms. KEEP leaves them
# open for so many seconds.
CLIENT = """
import socket, statistics, sys, time
address, count, keep = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
times, failed, held = [], 0, []
for _ in range(count):
    begin = time.monotonic()
    try:
        c = socket.create_connection((address, %d), timeout=4)
        c.sendall(b"question")
        if not c.recv(64):
            raise OSError("no answer")
        times.append((time.monotonic() - begin) * 1000)
        held.append(c) if keep else c.close()
    except OSError:
        failed += 1
print(failed, max(times or [0]), statistics.median(times or [0]), flush=True)
time.sleep(keep)
""" % PORT


class Sizing:
    """The lab and what is measured in it."""

    def __init__(self, connections):
        self.connections = connections
        self.lab = Lab("sizing-%d" % os.getpid())

    def start(self):
        self.lab.start(family="4", nat="snat")
        for node, name, text in (("server", "server.py", SERVER), ("client", "client.py", CLIENT)):
            with open(os.path.join(self.lab.data(node), name), "w", encoding="ascii") as f:
                f.write(text)
        self.server = self.lab.popen("server", ["python3", "/run/lab/server.py"])
        time.sleep(0.5)

    def connect(self, count, keep=0):
        command = ["python3", "/run/lab/client.py", topo.SERVER[4], str(count), str(keep)]
        return [float(n) for n in self.lab.run("client", command, timeout=500).stdout.split()]

    def link_bytes(self):
        text = self.lab.run("site1", ["cat", "/proc/net/dev"]).stdout
        found = re.search(r"sync0:\s*(.*)", text).group(1).split()
        return int(found[0]) + int(found[8])

    def peer(self):
        return self.lab.vtysh_json("site1", "show dsaa sync json")["peers"]["2"]

    def settle(self):
        """Waits until nothing changes any more: closed connections stay in TIME_WAIT."""
        while self.peer()["backlog"]:
            time.sleep(0.1)
        time.sleep(1)

    # ---------------------------------------------------------------- figures

    def wire(self):
        time.sleep(2)
        begin, started = self.link_bytes(), time.monotonic()
        time.sleep(5)
        idle = (self.link_bytes() - begin) / (time.monotonic() - started)
        print("site-sync link at rest (keepalives, BFD): %.0f bytes/s" % idle)
        for what, keep in (("a short TCP connection", 0), ("a TCP connection that stays", 1)):
            before, records, begin = self.link_bytes(), self.peer()["flowsSent"], time.monotonic()
            self.connect(self.connections, keep)
            self.settle()
            took = time.monotonic() - begin
            total = self.link_bytes() - before - idle * took
            told = self.peer()["flowsSent"] - records
            print("%-28s %4.0f bytes on the link, %.1f records" % (what + ":", total / self.connections, told / self.connections))

    def memory(self):
        pid = self.lab.run("site1", "cat /var/run/frr/dsaad.pid").stdout.strip()

        def resident():
            return int(self.lab.run("site1", "grep VmRSS /proc/%s/status" % pid).stdout.split()[1]) / 1024

        print("dsaad resident: %.0f MB with %s connections" % (resident(), self.lab.run("site1", "conntrack -C").stdout.strip()))
        slab = self.lab.run("site1", "grep '^nf_conntrack ' /proc/slabinfo", check=False).stdout.split()
        if len(slab) > 3:
            print("an entry of the kernel's table: %s bytes, and its extensions" % slab[3])

    def tunnel(self):
        """A corrected packet of known length, as the link's interface counts it."""
        self.lab.path("forward", 1)
        self.lab.path("return", 2)
        self.lab.run("client", ["ping", "-q", "-c", "3", "-i", "0.2", topo.SERVER[4]], check=False)
        for size in (100, 1400):
            before = self.lab.vtysh_json("site2", "show dsaa correction json")["peers"]["1"]
            bytes_before = self.link_bytes()
            self.lab.run("client", ["ping", "-q", "-f", "-c", "2000", "-s", str(size), topo.SERVER[4]], check=False, timeout=60)
            time.sleep(1)
            sent = self.link_bytes() - bytes_before
            after = self.lab.vtysh_json("site2", "show dsaa correction json")["peers"]["1"]
            packets = after["packetsSent"] - before["packetsSent"]
            print("a corrected IPv4 packet of %d bytes: %.0f on the link with Ethernet" % (size + 28, sent / max(packets, 1)))
        self.lab.path("return", 1)

    def latency(self):
        for ms in (0, 5, 20, 50, 100):
            self.lab.delay("sync", ms)
            time.sleep(2)
            self.lab.path("return", 1)
            self.lab.vtysh("site1", "clear dsaa counters")
            self.connect(200)
            self.settle()
            lag = self.peer()
            self.lab.path("return", 2)
            failed, slowest, median = self.connect(200)
            self.lab.path("return", 1)
            up = self.peer()["state"]
            print(
                "%3d ms each way: peer %s; lag p50 %.1f ms, p99 %.1f ms; asymmetric: %d of 200 made, median %.1f ms, slowest %.1f ms"
                % (ms, up, lag["lagMsecP50"], lag["lagMsecP99"], 200 - failed, median, slowest)
            )
        self.lab.delay("sync", 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=5000)
    parser.add_argument("--only", default="wire,memory,tunnel,latency")
    args = parser.parse_args()
    s = Sizing(args.connections)
    try:
        s.start()
        for word in args.only.split(","):
            getattr(s, word)()
            sys.stdout.flush()
    finally:
        s.lab.stop()


if __name__ == "__main__":
    main()
