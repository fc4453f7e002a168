# SPDX-License-Identifier: GPL-2.0-or-later
"""What sync.py measures on: two routers in namespaces, joined by a site-sync link, and the daemons of either kind on them.

    (198.18.0.0/16) cl ==[ r1 ]== sv (198.19.0.0/16)        cl, sv: TUN devices that flowgen feeds
                          sync
                            |  (wire.py when the link is to delay and lose)
                          sync
                         [ r2 ]

The load goes through r1 only; r2 shall have its connections. Both daemons of a pair are pinned to one core, what makes the load to
another, all as real-time processes, which conntrackd is by itself. conntrackd runs as its manual recommends for a kernel
that is the cache (FTFW, DisableExternalCache on), with large buffers.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

DAEMON_CORE = "1"
LOAD_CORE = "0"
# conntrackd makes itself a real-time process (SCHED_RR 99). All that is measured gets the same, else what else runs on the machine
# would be measured too.
FIRST = ["chrt", "--rr", "99"]
TUNS = {"cl": "198.18.0.0/16", "sv": "198.19.0.0/16"}
ADDRESS = {1: "172.31.9.1", 2: "172.31.9.2"}
SYSCTLS = ("net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0", "net.netfilter.nf_conntrack_timestamp=1",
           "net.netfilter.nf_conntrack_events=1", "net.netfilter.nf_conntrack_tcp_timeout_syn_sent=600",
           "net.netfilter.nf_conntrack_tcp_timeout_syn_recv=600")
# Connections are tracked because a rule asks for their state, as on any firewall; the site-sync link is not.
BASE_RULES = """table inet base {
 chain forward {
  type filter hook forward priority 0
  ct state new,established,related accept
 }
 chain in {
  type filter hook prerouting priority -300
  iifname "sync" notrack
 }
 chain out {
  type filter hook output priority -300
  oifname "sync" notrack
 }
}
"""
# The events of TCP that dsaad asks its kernel for, for the second set of rows.
MASK_RULES = """table inet mask {
 chain mask {
  type filter hook prerouting priority -149
  ct state new,related ct event set destroy,assured
 }
}
"""

CONNTRACKD = """Sync {
 Mode FTFW {
  ResendQueueSize 131072
  ACKWindowSize 300
  DisableExternalCache on
 }
 UDP {
  IPv4_address %(here)s
  IPv4_Destination_Address %(there)s
  Port 3780
  Interface sync
  SndSocketBuffer 24985600
  RcvSocketBuffer 24985600
  Checksum on
 }
}
General {
 Systemd off
 HashSize 262144
 HashLimit 2097152
 LogFile %(dir)s/conntrackd.log
 Syslog off
 LockFile %(dir)s/conntrackd.lock
 UNIX { Path %(dir)s/conntrackd.ctl }
 NetlinkBufferSize 33554432
 NetlinkBufferSizeMaxGrowth 134217728
 Filter From Userspace {
  Protocol Accept { TCP UDP }
  Address Ignore { IPv4_address 127.0.0.1 IPv4_address 172.31.9.1 IPv4_address 172.31.9.2 }
 }
}
"""

DSAAD = """hostname r%(site)d
dsaa
 cluster-id 9
 site 1
  name one
  sync-address 172.31.9.1
 exit
 site 2
  name two
  sync-address 172.31.9.2
 exit
 sync key-file %(dir)s/dsaa.key
 correction mode nfqueue
exit
"""


def run(*words, check=True, text=None):
    done = subprocess.run(words, input=text, capture_output=True, text=True)
    if check and done.returncode:
        sys.exit("sync.py: %s: %s" % (" ".join(words), (done.stderr or done.stdout).strip()))
    return done.stdout


def wait(check, seconds, pause=0.05):
    """Calls CHECK until it is true, at most SECONDS. Returns what it said last."""
    end = time.monotonic() + seconds
    while True:
        good = check()
        if good or time.monotonic() > end:
            return good
        time.sleep(pause)


class Process:
    """A daemon in a namespace, pinned; it dies with stop()."""

    def __init__(self, netns, words, log, core=DAEMON_CORE):
        words = ["ip", "netns", "exec", netns] + FIRST + ["taskset", "-c", core] + words
        self.popen = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.pid = self.popen.pid  # every word executes the next one

    def cpu(self):
        """Processor seconds of all its threads."""
        total = 0
        try:
            for task in os.listdir("/proc/%d/task" % self.pid):
                with open("/proc/%d/task/%s/schedstat" % (self.pid, task)) as f:
                    total += int(f.read().split()[0])
        except OSError:
            pass
        return total / 1e9

    def resident(self):
        """Megabytes that are resident: (now, at most so far)."""
        words = {}
        with open("/proc/%d/status" % self.pid) as f:
            for line in f:
                name, _, value = line.partition(":")
                words[name] = value.split()
        return int(words["VmRSS"][0]) / 1024, int(words["VmHWM"][0]) / 1024

    def stop(self, how=signal.SIGTERM):
        if self.popen.poll() is None:
            self.popen.send_signal(how)
        try:
            self.popen.wait(10)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()


class Lab:
    """The namespaces; TOOLS is the folder of flowgen and cttable."""

    def __init__(self, tools, dsaad, zebra):
        self.tools, self.dsaad, self.zebra = tools, dsaad, zebra
        self.core = {1: DAEMON_CORE, 2: DAEMON_CORE}
        self.dir = tempfile.mkdtemp(prefix="dsaa-bench-")
        os.chmod(self.dir, 0o755)
        self.wire = None
        tag = "bench%d" % os.getpid()
        self.netns = {1: tag + "-r1", 2: tag + "-r2", "wire": tag + "-w"}

    def at(self, node, *words, **kw):
        return run("ip", "netns", "exec", self.netns[node], *words, **kw)

    def build(self, delayed=None):
        """DELAYED: (milliseconds, per cent of loss) of the site-sync link."""
        for node in (1, 2):
            ns = self.netns[node]
            run("ip", "netns", "add", ns)
            run("ip", "-n", ns, "link", "set", "lo", "up")
            self.at(node, "sysctl", "-qw", *SYSCTLS)
            self.at(node, "nft", "-f", "-", text=BASE_RULES)
        if delayed:
            self._delayed_link(*delayed)
        else:
            run("ip", "link", "add", "sync", "netns", self.netns[1], "type", "veth", "peer", "name", "sync", "netns",
                self.netns[2])
        for node in (1, 2):
            run("ip", "-n", self.netns[node], "addr", "add", ADDRESS[node] + "/30", "dev", "sync")
            run("ip", "-n", self.netns[node], "link", "set", "sync", "up")
        for name, net in TUNS.items():
            self.at(1, "ip", "tuntap", "add", "dev", name, "mode", "tun")
            run("ip", "-n", self.netns[1], "link", "set", name, "up")
            run("ip", "-n", self.netns[1], "route", "add", net, "dev", name)

    def _delayed_link(self, ms, loss):
        ns = self.netns["wire"]
        run("ip", "netns", "add", ns)
        for node in (1, 2):
            run("ip", "link", "add", "sync", "netns", self.netns[node], "type", "veth", "peer", "name", "p%d" % node, "netns", ns)
            # every packet of its own, as on a real link: loss shall not strike a bundle of forty
            self.at(node, "ethtool", "-K", "sync", "tso", "off", "gso", "off", "gro", "off")
            run("ip", "-n", ns, "link", "set", "p%d" % node, "up")
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lab", "wire.py")
        self.wire = subprocess.Popen(["ip", "netns", "exec", ns] + FIRST + ["taskset", "-c", LOAD_CORE, sys.executable,
                                      program, str(ms), str(loss), "p1", "p2"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def remove(self):
        if self.wire:
            self.wire.kill()
            self.wire.wait()
            self.wire = None
        for ns in self.netns.values():
            subprocess.run(["ip", "netns", "del", ns], capture_output=True)

    def close(self):
        self.remove()
        shutil.rmtree(self.dir, ignore_errors=True)

    def count(self, node):
        return int(self.at(node, "cat", "/proc/sys/net/netfilter/nf_conntrack_count"))

    def flush(self, node):
        self.at(node, "conntrack", "-F", check=False)

    def mask(self):
        self.at(1, "nft", "-f", "-", text=MASK_RULES)

    def tool(self, name, *words, node=None, core=LOAD_CORE):
        enter = ["ip", "netns", "exec", self.netns[node]] if node else []
        return run(*enter, *FIRST, "taskset", "-c", core, os.path.join(self.tools, name), *(str(w) for w in words))

    def fill(self, node, count, mark=0, core=LOAD_CORE):
        return json.loads(self.tool("cttable", "fill", self.netns[node], count, mark, core=core))["seconds"]

    def dump(self, node):
        """Seconds that it takes to read the table of NODE, and do nothing with it."""
        return json.loads(self.tool("cttable", "dump", self.netns[node], core=DAEMON_CORE))["seconds"]

    def compare(self):
        return json.loads(self.tool("cttable", "compare", self.netns[1], self.netns[2]))

    def load(self, count, rate, batch):
        """Opens connections through r1; returns how many per second there were."""
        n, seconds, _cpu = (float(w) for w in self.tool("flowgen", "cl", "sv", count, rate, batch, node=1).split())
        return n / seconds


class Deaf:
    """Somebody at NODE who asks for all events and reads none: the least that the kernel has to do for any listener."""

    def __init__(self, lab, node):
        self.process = subprocess.Popen([os.path.join(lab.tools, "cttable"), "deaf", lab.netns[node]], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.process.stdout.readline()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


class Conntrackd:
    """Two conntrackd."""

    name = "conntrackd"
    masked = False

    def __init__(self, lab):
        self.lab = lab
        self.process = {}

    def prepare(self):
        if self.masked:
            self.lab.mask()

    def start(self, node):
        folder = "%s/c%d" % (self.lab.dir, node)
        os.makedirs(folder, exist_ok=True)
        with open(folder + "/conf", "w") as f:
            f.write(CONNTRACKD % {"here": ADDRESS[node], "there": ADDRESS[3 - node], "dir": folder})
        with open(folder + "/out", "w") as log:
            self.process[node] = Process(self.lab.netns[node], ["conntrackd", "-C", folder + "/conf"], log)
        self.folder = folder

    def ready(self):
        time.sleep(2)

    def serves(self, node):
        """True when NODE is at work, also without the other."""
        return True

    def resync(self, node):
        """Asks the peer for all it has, once the daemon of NODE can be asked."""
        words = ("conntrackd", "-C", "%s/c%d/conf" % (self.lab.dir, node), "-n")
        ctl = "%s/c%d/conntrackd.ctl" % (self.lab.dir, node)
        wait(lambda: os.path.exists(ctl), 10, 0.01)
        time.sleep(0.2)
        self.lab.at(node, *words, check=False)

    def working(self):
        return sum(p.cpu() for p in self.process.values())

    def stop(self):
        for p in self.process.values():
            p.stop()


class ConntrackdMasked(Conntrackd):
    """The same with the kernel telling only what dsaad wants to hear."""

    name = "conntrackd, dsaad's event mask"
    masked = True


class Dsaad:
    """Two dsaad, each with a zebra."""

    name = "dsaad"

    def __init__(self, lab):
        self.lab = lab
        self.process, self.zebra = {}, {}

    def prepare(self):
        pass

    def _folder(self, node):
        return "%s/d%d" % (self.lab.dir, node)

    def _options(self, node, name):
        d = self._folder(node)
        return ["-A", "127.0.0.1", "-P", "0", "--vty_socket", d, "-z", d + "/zserv.api", "-i", "%s/%s.pid" % (d, name),
                "--log", "file:%s/%s.log" % (d, name)]

    def start(self, node):
        """Starts dsaad of a router. Both zebras and configurations are there before: what a restart takes is dsaad's alone."""
        for n in (1, 2):
            self._start_zebra(n)
        with open(self._folder(node) + "/dsaad.out", "w") as log:
            self.process[node] = Process(self.lab.netns[node], [self.lab.dsaad, "-f", self._folder(node) + "/dsaad.conf"]
                                         + self._options(node, "dsaad"), log, self.lab.core[node])

    def _start_zebra(self, node):
        d = self._folder(node)
        if node not in self.zebra:
            os.makedirs(d)
            with open(d + "/dsaa.key", "w") as f:
                f.write("6265" * 16 + "\n")
            os.chmod(d + "/dsaa.key", 0o600)
            with open(d + "/dsaad.conf", "w") as f:
                f.write(DSAAD % {"site": node, "dir": d})
            for path in (d, d + "/dsaa.key", d + "/dsaad.conf"):
                shutil.chown(path, "frr", "frr")
            with open(d + "/zebra.out", "w") as log:
                self.zebra[node] = Process(self.lab.netns[node], [self.lab.zebra] + self._options(node, "zebra"), log)
            wait(lambda: os.path.exists(d + "/zserv.api"), 10)

    def show(self, node, command):
        path = self._folder(node) + "/dsaad.vty"
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(20)
                s.connect(path)
                s.sendall(b"enable\0")
                s.recv(4096)
                s.sendall(command.encode() + b" json\0")
                data = b""
                while not (len(data) >= 4 and data[-4:-1] == b"\0\0\0"):
                    part = s.recv(65536)
                    if not part:
                        return {}
                    data += part
            return json.loads(data[:-4].decode())
        except (OSError, ValueError):
            return {}

    def up(self):
        """True when both hold the other's state."""
        return all(self.show(n, "show dsaa").get("peers", {}).get(str(3 - n), {}).get("state") == "up" for n in (1, 2))

    def ready(self):
        if not wait(self.up, 20):
            for n in (1, 2):
                with open(self._folder(n) + "/dsaad.log") as f:
                    print(f.read()[-2000:], file=sys.stderr)
            sys.exit("sync.py: dsaad does not come up: %s" % self.show(1, "show dsaa"))

    def serves(self, node):
        """True when NODE has waited long enough for the other, and announces its prefixes."""
        return self.show(node, "show dsaa").get("stateComplete", False)

    def resync(self, node):
        pass  # it asks by itself

    def working(self):
        return sum(p.cpu() for p in self.process.values())

    def stop(self):
        for p in list(self.process.values()) + list(self.zebra.values()):
            p.stop()
