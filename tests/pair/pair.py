# SPDX-License-Identifier: GPL-2.0-or-later
"""Two sites with real daemons (zebra, dsaad) in network namespaces, joined by one or more site-sync links; no traffic but what
a test makes. Used by the tests of this folder, each of which prints "N passed, N failed" last and exits 77 when it is skipped."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

DSAAD = os.path.abspath(os.environ.get("DSAAD", "dsaad/dsaad"))
FLOWS = os.path.abspath(os.environ.get("FLOWS", "tests/pair/flows"))
ZEBRA = os.environ.get("ZEBRA", "/usr/lib/frr/zebra")
SITES = (1, 2)

passed = failed = 0


def check(name, good, detail=""):
    global passed, failed
    if good:
        passed += 1
        return True
    failed += 1
    print("FAILED: %s%s" % (name, "\n    " + str(detail).replace("\n", "\n    ") if detail != "" else ""), flush=True)
    return False


def finish():
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(1 if failed else 0)


def skip(reason):
    print("skipped: " + reason)
    sys.exit(77)


def need_root():
    if os.geteuid() != 0 or not os.path.exists(ZEBRA) or not shutil.which("conntrack"):
        skip("needs root, FRR and conntrack")


def wait(true, seconds=10, pause=0.05):
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
    return True


def ip(*args, fails=False):
    subprocess.run(("ip",) + args, check=not fails, stderr=subprocess.DEVNULL if fails else None)


class Vty:
    """A session on a daemon's vty socket, as vtysh has it."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(path)
        self.run("enable")

    def run(self, line):
        self.sock.sendall(line.encode() + b"\0")
        data = b""
        while not (len(data) >= 4 and data[-4:-1] == b"\0\0\0"):
            part = self.sock.recv(65536)
            if not part:
                raise EOFError("the daemon closed the session at: " + line)
            data += part
        return data[-1], data[:-4].decode()

    def json(self, line):
        return json.loads(self.run(line)[1])


class Site:
    def __init__(self, number):
        self.number = number
        self.ns = "dsaa-pair-%d-%d" % (os.getpid(), number)
        self.dir = tempfile.mkdtemp(prefix="dsaa-pair-")
        shutil.chown(self.dir, "frr", "frr")
        os.chmod(self.dir, 0o755)
        self.vty_now = None
        ip("netns", "add", self.ns)
        ip("-n", self.ns, "link", "set", "lo", "up")

    def command(self, *args):
        return ("ip", "netns", "exec", self.ns) + args

    def run(self, *args, fails=False):
        return subprocess.run(self.command(*args), check=not fails, capture_output=True, text=True).stdout

    def sysctl(self, name, value):
        path = "/proc/sys/" + name.replace(".", "/")
        return subprocess.run(self.command("sh", "-c", "echo %s >%s" % (value, path)), stderr=subprocess.DEVNULL).returncode == 0

    def start(self, daemon):
        subprocess.run(
            self.command({"zebra": ZEBRA, "dsaad": DSAAD}[daemon], "-d", "-A", "127.0.0.1", "-P", "0", "--vty_socket", self.dir)
            + ("-z", self.dir + "/zserv.api", "-i", "%s/%s.pid" % (self.dir, daemon))
            + ("--log", "file:%s/%s.log" % (self.dir, daemon)),
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=open("%s/%s.err" % (self.dir, daemon), "w"),
        )

    def pid(self, daemon="dsaad"):
        try:
            return int(open("%s/%s.pid" % (self.dir, daemon)).read())
        except (OSError, ValueError):
            return 0

    def runs(self, daemon="dsaad"):
        try:
            return open("/proc/%d/stat" % self.pid(daemon)).read().rsplit(")", 1)[1].split()[0] not in "ZX"
        except OSError:
            return False

    def stop(self, daemon="dsaad", how=signal.SIGTERM):
        pid = self.pid(daemon)
        if pid and self.runs(daemon):
            os.kill(pid, how)
            if how != signal.SIGSTOP and not wait(lambda: not self.runs(daemon), 10):
                os.kill(pid, signal.SIGKILL)
        if os.path.exists("%s/%s.pid" % (self.dir, daemon)):
            os.unlink("%s/%s.pid" % (self.dir, daemon))
        self.vty_now = None

    @property
    def vty(self):
        if not self.vty_now:
            wait(lambda: os.path.exists(self.dir + "/dsaad.vty"), 10)
            self.vty_now = Vty(self.dir + "/dsaad.vty")
        return self.vty_now

    def configure(self, block):
        refused = []
        self.vty.run("configure terminal")
        for line in block.splitlines():
            code, text = self.vty.run(line.strip())
            if code:
                refused.append((line, text))
        self.vty.run("end")
        return refused

    def sync(self):
        """What 'show dsaa sync' says of the other site."""
        return self.vty.json("show dsaa sync json")["peers"][str(3 - self.number)]

    def entries(self, owner=None):
        """{(source, port): (state and flags)} of what tests/pair/flows made, of one owner."""
        found = {}
        out = self.run("conntrack", "-L", "-d", "10.9.2.10", fails=True)
        for line in out.splitlines():
            m = re.search(r"(\S+) src=(\S+) dst=\S+ sport=(\d+) .*?(\[ASSURED\])? mark=(\d+)", line)
            if m and (owner is None or int(m[5]) >> 24 == owner):
                found[m[2], int(m[3])] = (m[1], bool(m[4]))
        return found

    def rss_kib(self):
        return int(re.search(r"VmRSS:\s+(\d+)", open("/proc/%d/status" % self.pid()).read())[1])

    def flows(self, first, rate, seconds, life_ms=0):
        args = [str(a) for a in (first, rate, seconds, life_ms)]
        return subprocess.Popen(self.command(FLOWS, *args), stdout=subprocess.PIPE, text=True)

    def close(self):
        for daemon in ("dsaad", "zebra"):
            self.stop(daemon)
        ip("netns", "del", self.ns, fails=True)
        shutil.rmtree(self.dir, ignore_errors=True)


class Pair:
    """LINKS site-sync links; MORE: further lines of the block; MPTCP: the sysctl, None leaves it as it is."""

    def __init__(self, links=1, more="", mptcp=None, insecure=True):
        self.links = links
        self.site = {}
        try:
            self.build(more, mptcp, insecure)
        except BaseException:
            self.close()
            raise

    def build(self, more, mptcp, insecure):
        for s in SITES:
            self.site[s] = Site(s)
        one, two = self.site[1], self.site[2]
        for n in range(self.links):
            ip("-n", one.ns, "link", "add", "sync%d" % n, "type", "veth", "peer", "name", "sync%d" % n, "netns", two.ns)
        for s, site in self.site.items():
            if mptcp is not None:
                site.sysctl("net.mptcp.enabled", mptcp)
            for n in range(self.links):
                ip("-n", site.ns, "link", "set", "sync%d" % n, "up")
                ip("-n", site.ns, "addr", "add", "172.16.%d.%d/24" % (n, s), "dev", "sync%d" % n)
            site.start("zebra")
        self.block = self.make_block(more, insecure)
        for site in self.site.values():
            self.start_dsaad(site)

    def make_block(self, more, insecure):
        lines = ["dsaa", "cluster-id 7", "correction mode off", "hold-time 4000"]
        lines.append("sync insecure" if insecure else "sync key-file %s" % self.key())
        for s in SITES:
            lines += ["site %d" % s] + ["sync-address 172.16.%d.%d" % (n, s) for n in range(self.links)] + ["exit"]
        return "\n".join(lines + more.splitlines())

    def key(self):
        path = self.site[1].dir + "/key"
        with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
            file.write("0123456789abcdef0123456789abcdef\n")
        shutil.chown(path, "frr", "frr")
        return path

    def start_dsaad(self, site):
        site.start("dsaad")
        refused = site.configure(self.block)
        assert not refused, refused

    def up(self, seconds=20):
        return wait(lambda: all(self.site[s].sync()["state"] == "up" for s in SITES), seconds)

    def cut(self, link=0, sites=SITES):
        """Silently: packets that arrive by the link are dropped, the carrier stays."""
        for s in sites:
            self.site[s].run("nft", "add table inet cut%d" % link)
            self.site[s].run("nft", "add chain inet cut%d c { type filter hook prerouting priority -400; }" % link)
            self.site[s].run("nft", "add rule inet cut%d c iifname sync%d drop" % (link, link))

    def heal(self, link=0, sites=SITES):
        for s in sites:
            self.site[s].run("nft", "delete table inet cut%d" % link, fails=True)

    def settled(self, seconds=20):
        """Both up, nothing on its way, and site 2 holds what site 1 owns, and the other way round."""

        def same():
            if not all(x.sync()["state"] == "up" and not x.sync()["backlog"] for x in self.site.values()):
                return False
            return self.missing() == 0

        return wait(same, seconds, 0.3)

    def missing(self):
        """How many connections differ between the kernels, both ways."""
        one, two = self.site[1], self.site[2]
        differ = 0
        for owner, holder in ((one, two), (two, one)):
            own, held = owner.entries(0), holder.entries(owner.number)
            differ += sum(1 for k, v in own.items() if held.get(k) != v) + len(set(held) - set(own))
        return differ

    def close(self):
        for site in self.site.values():
            site.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if failed:
            for s, site in self.site.items():
                log = site.dir + "/dsaad.log"
                text = open(log).read() if os.path.exists(log) else ""
                print("--- site %d\n%s" % (s, text[-3000:]))
        self.close()
