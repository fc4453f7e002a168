#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
The operator's interface of one dsaad with a real zebra, in a network namespace of its own: the dsaa block written and read
back, every wrong line and the sentence that refuses it, every show command with its published keys.

Needs root and an installed FRR. DSAAD names the binary (default: dsaad/dsaad below the current folder).
Prints "N passed, N failed" last; exit 77 means skipped.
"""

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
ZEBRA = os.environ.get("ZEBRA", "/usr/lib/frr/zebra")
PATHS = {"zebra": ZEBRA, "dsaad": DSAAD}
NETNS = "dsaa-cli-%d" % os.getpid()

passed = failed = 0


def check(name, good, detail=""):
    global passed, failed
    if good:
        passed += 1
        return
    failed += 1
    print("FAILED: %s%s" % (name, "\n    " + str(detail).replace("\n", "\n    ") if detail else ""))


class Vty:
    """A session on a daemon's vty socket, as vtysh has it."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(path)
        self.run("enable")

    def run(self, line):
        """Returns (code, text); code 0 is success."""
        self.sock.sendall(line.encode() + b"\0")
        data = b""
        while not (len(data) >= 4 and data[-4:-1] == b"\0\0\0"):
            part = self.sock.recv(65536)
            if not part:
                raise EOFError("the daemon closed the session at: " + line)
            data += part
        return data[-1], data[:-4].decode()

    def text(self, line):
        return self.run(line)[1]

    def json(self, line):
        return json.loads(self.text(line))

    def block(self):
        """The dsaa block of the running configuration."""
        found = re.search(r"^dsaa\n.*?^exit\n", self.text("show running-config"), re.M | re.S)
        return found.group(0) if found else ""

    def configure(self, lines):
        """Types LINES in the configuration node; returns those that were refused, with the answers."""
        refused = []
        self.run("end")
        self.run("configure terminal")
        for line in lines:
            code, text = self.run(line.strip())
            if code:
                refused.append((line.strip(), code, text))
        self.run("end")
        return refused


class World:
    """A namespace with zebra and dsaad in it."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="dsaa-cli-")
        shutil.chown(self.dir, "frr", "frr")
        os.chmod(self.dir, 0o755)
        self.ip("netns", "add", NETNS)
        self.ip("-n", NETNS, "link", "set", "lo", "up")
        for name in ("eth0", "sync0"):
            self.ip("-n", NETNS, "link", "add", name, "type", "veth", "peer", "name", name + "p")
            self.ip("-n", NETNS, "link", "set", name, "up")
            self.ip("-n", NETNS, "link", "set", name + "p", "up")
        self.ip("-n", NETNS, "addr", "add", "172.16.0.1/24", "dev", "sync0")

    @staticmethod
    def ip(*args):
        subprocess.run(("ip",) + args, check=True)

    def run(self, *args):
        return subprocess.run(("ip", "netns", "exec", NETNS) + args, capture_output=True, text=True)

    def pid(self, daemon):
        try:
            return int(open("%s/%s.pid" % (self.dir, daemon)).read())
        except (OSError, ValueError):
            return 0

    def start(self, daemon, *options):
        subprocess.run(
            ("ip", "netns", "exec", NETNS, PATHS[daemon], "-d", "-A", "127.0.0.1", "-P", "0", "--vty_socket", self.dir)
            + ("-z", self.dir + "/zserv.api", "-i", "%s/%s.pid" % (self.dir, daemon))
            + ("--log", "file:%s/%s.log" % (self.dir, daemon))
            + options,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=open("%s/%s.err" % (self.dir, daemon), "w"),
        )

    def stop(self, daemon, how=signal.SIGTERM):
        pid = self.pid(daemon)
        if not pid:
            return
        try:
            os.kill(pid, how)
        except ProcessLookupError:
            return
        wait(lambda: not alive(pid), 10)
        if alive(pid):
            os.kill(pid, signal.SIGKILL)
            check("%s ends within 10 s" % daemon, False)
        if os.path.exists("%s/%s.pid" % (self.dir, daemon)):
            os.unlink("%s/%s.pid" % (self.dir, daemon))

    def vty(self):
        wait(lambda: os.path.exists(self.dir + "/dsaad.vty"), 10)
        return Vty(self.dir + "/dsaad.vty")

    def restart(self, *options, how=signal.SIGTERM):
        self.stop("dsaad", how)
        self.start("dsaad", *options)
        return self.vty()

    def close(self):
        self.stop("dsaad")
        self.stop("zebra")
        self.ip("netns", "del", NETNS)
        shutil.rmtree(self.dir)


def alive(pid):
    try:
        return open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def wait(true, seconds=5):
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


# ---------------------------------------------------------------- the block

BLOCK = """\
dsaa
 cluster-id 7
 ha-mode primary-up 2
 site 1
  name paris
  sync-address 172.16.0.1
  sync-address 2001:db8:16::1
  uips eth0 192.0.2.1/24
  uips eth0 2001:db8:1::1/64
  uips eth1 10.1.0.1/24
  probe 192.0.2.1
  nat-pool 203.0.113.0/29
  zone blue 20
  zone red 10
 exit
 site 2
  name lyon
  sync-address 172.16.0.2
  sync-address 2001:db8:16::2
  uips eth0 198.51.100.1/24
  uips eth1 10.2.0.1/24
  probe 198.51.100.1
  nat-pool 203.0.113.8/29
  zone red 20
 exit
 sync port 4000
 sync key-file /nonexistent/dsaa.key
 sync insecure
 sync protocol udp no
 sync protocol 99 no
 sync delay 5
 sync delay 0 protocol udp
 no sync prefix 10.99.0.0/16
 no sync prefix 2001:db8:99::/48
 correction interface eth0
 correction mode nfqueue
 correction mark-mask 0xf8000000
 correction hold 20
 correction port 4002
 advertise 203.0.113.0/28 site 1
 advertise 10.9.0.0/16 all
 advertise 2001:db8:9::/48 site 2
 advertise 10.9.0.0/16 site 2 vrf red
 advertise 2001:db8:9::/48 all vrf red
 advertise 10.9.0.0/16 all vrf blue
 advertise-tag active 1 backup 2 drain 3
 advertise-table 4000
 advertise-table 4001 vrf red
 advertise-table 4002 vrf blue
 bfd profile fast
 hold-time 5000
 track route 10.9.1.0/24
 track route 2001:db8:9:1::/64
 ruleset-mismatch refuse-adoption
 split-brain primary
exit
"""

# Lines that cannot stand beside others of the block above, or would make this another site.
OTHER_LINES = ["ha-mode active-active", "local-site 2", "no sync insecure", "bfd"]

# What the block above needs to be empty again.
UNDO = """\
dsaa
no cluster-id
no ha-mode
site 1
no name
no sync-address 172.16.0.1
no sync-address 2001:db8:16::1
no uips eth0 192.0.2.1/24
no uips eth0 2001:db8:1::1/64
no uips eth1 10.1.0.1/24
no probe
no nat-pool 203.0.113.0/29
no zone red
no zone blue 20
exit
no site 1
no site 2
no sync port
no sync key-file
no sync insecure
sync protocol udp
sync protocol 99
no sync delay
no sync delay protocol udp
sync prefix 10.99.0.0/16
sync prefix 2001:db8:99::/48
no correction interface eth0
no correction mode
no correction mark-mask
no correction hold
no correction port
no advertise 203.0.113.0/28
no advertise 10.9.0.0/16 all
no advertise 2001:db8:9::/48 site 2
no advertise 10.9.0.0/16 vrf red
no advertise 2001:db8:9::/48 all vrf red
no advertise 10.9.0.0/16 all vrf blue
no advertise-tag
no advertise-table
no advertise-table vrf red
no advertise-table 4002 vrf blue
no bfd profile
no bfd
no hold-time
no track route 10.9.1.0/24
no track route 2001:db8:9:1::/64
no split-brain
no ruleset-mismatch
"""

# (where, line, what the sentence must contain). The first two words of a sentence are often enough.
TOP, SITE1, SITE2 = ["dsaa"], ["dsaa", "site 1"], ["dsaa", "site 2"]
WRONG = [
    (TOP, "cluster-id 0", ["cluster-id 0", "1 to 4294967295"]),
    (TOP, "track route 10.9.1.1/24", ["track route 10.9.1.1/24", "10.9.1.0/24"]),
    (TOP, "site 0", ["site 0", "1 to 16"]),
    (TOP, "site 17", ["site 17", "1 to 16"]),
    (TOP, "local-site 17", ["local-site 17", "1 to 16"]),
    (TOP, "ha-mode primary-up 17", ["ha-mode primary-up 17", "1 to 16"]),
    (TOP, "primary-up 0", ["primary-up 0", "1 to 16"]),
    (TOP, "sync port 0", ["sync port 0", "1 to 65535"]),
    (TOP, "sync port 65536", ["sync port 65536"]),
    (TOP, "sync port 4002", ["4002", "must not be the sync port"]),
    (TOP, "sync key-file etc/dsaa.key", ["etc/dsaa.key", "absolute"]),
    (TOP, "sync protocol 0 no", ["sync protocol 0"]),
    (TOP, "sync delay 61", ["sync delay 61", "0 to 60"]),
    (TOP, "sync delay 61 protocol tcp", ["sync delay 61", "0 to 60"]),
    (TOP, "sync delay 5 protocol 256", ["sync delay protocol 256"]),
    (TOP, "sync protocol 256 no", ["sync protocol 256"]),
    (TOP, "no sync prefix 10.99.1.0/16", ["10.99.1.0/16", "the prefix is 10.99.0.0/16"]),
    (TOP, "correction mark-mask 0xff00ff00", ["0xff00ff00", "4 to 16 bits"]),
    (TOP, "correction mark-mask 0xe0000000", ["0xe0000000", "4 to 16 bits"]),
    (TOP, "correction mark-mask 0xffff8000", ["0xffff8000", "4 to 16 bits"]),
    (TOP, "correction mark-mask 0", ["0x00000000", "4 to 16 bits"]),
    (TOP, "correction mark-mask 0x1ff000000", ["0x1ff000000", "32 bits"]),
    (TOP, "correction mark-mask top", ["top", "0xff000000"]),
    (TOP, "correction hold 1001", ["correction hold 1001", "0 to 1000"]),
    (TOP, "correction port 0", ["correction port 0", "1 to 65535"]),
    (TOP, "correction port 4000", ["4000", "must not be the sync port"]),
    (TOP, "correction interface a-name-too-long-for-linux", ["a-name-too-long-for-linux", "1 to 15"]),
    (TOP, "advertise 10.9.1.1/16 site 1", ["10.9.1.1/16", "the prefix is 10.9.0.0/16"]),
    (TOP, "advertise 2001:db8:9::1/48 all", ["2001:db8:9::1/48", "the prefix is 2001:db8:9::/48"]),
    (TOP, "advertise 10.8.0.0/16 site 17", ["17", "1 to 16"]),
    (TOP, "advertise 224.0.0.0/4 all", ["224.0.0.0/4", "multicast"]),
    (TOP, "advertise ff00::/8 all", ["ff00::/8", "multicast"]),
    (TOP, "advertise-tag active 0", ["advertise-tag active 0", "1 to 4294967295"]),
    (TOP, "advertise-table 70000", ["advertise-table 70000"]),
    (TOP, "advertise-table 0 vrf red", ["advertise-table 0", "1 to 65535"]),
    (TOP, "advertise-table 4001 vrf green", ["4001 vrf green", "VRF red"]),
    (TOP, "advertise-table 4000 vrf red", ["4000 vrf red", "VRF default"]),
    (TOP, "advertise-table 4001", ["4001 vrf default", "VRF red"]),
    (TOP, "advertise-table 4003 vrf a-name-too-long-for-linux", ["a-name-too-long-for-linux", "1 to 15"]),
    (TOP, "advertise 10.8.0.0/16 all vrf a/b", ["a/b", "letters"]),
    (TOP, "advertise 10.9.1.1/16 all vrf red", ["10.9.1.1/16", "the prefix is 10.9.0.0/16"]),
    (TOP, "hold-time 299", ["hold-time 299", "300 to 60000"]),
    (TOP, "hold-time 60001", ["hold-time 60001", "300 to 60000"]),
    (TOP, "bfd profile " + "x" * 64, ["1 to 63"]),
    (SITE2, "zone red 0", ["zone red 0", "1 to 65535"]),
    (SITE2, "zone red 65536", ["65536", "1 to 65535"]),
    (SITE2, "zone green 20", ["zone green 20", "the zone red"]),
    (SITE2, "zone a-name-that-is-too-long 3", ["a-name-that-is-too-long", "1 to 15"]),
    (SITE2, "zone a/b 3", ["a/b", "letters"]),
    (SITE2, "name -lyon", ["-lyon", "letter or digit"]),
    (SITE2, "name " + "x" * 32, ["1 to 31"]),
    (SITE2, "sync-address 172.16.0.1", ["172.16.0.1", "site 1", "site 2"]),
    (SITE2, "sync-address 224.0.0.5", ["224.0.0.5", "multicast"]),
    (SITE2, "sync-address 127.0.0.1", ["127.0.0.1", "loopback"]),
    (SITE2, "sync-address fe80::1", ["fe80::1", "link-local"]),
    (SITE2, "uips eth0 192.0.2.1/24", ["192.0.2.1/24", "site 1", "site 2"]),
    (SITE2, "uips eth0 192.0.2.1/25", ["192.0.2.1/25", "site 1", "site 2"]),
    (SITE2, "uips eth1 198.51.100.1/24", ["198.51.100.1/24", "eth0"]),
    (SITE2, "uips eth1 172.16.0.1/24", ["172.16.0.1/24", "sync-address of site 1"]),
    (SITE2, "uips eth1 10.7.0.0/24", ["10.7.0.0/24", "network"]),
    (SITE2, "uips eth1 2001:db8:7::/64", ["2001:db8:7::/64", "network"]),
    (SITE2, "uips eth1 10.7.0.255/24", ["10.7.0.255/24", "broadcast"]),
    (SITE2, "uips eth1 224.1.1.1/24", ["224.1.1.1/24", "multicast"]),
    (SITE2, "uips eth1 ff02::5/64", ["ff02::5/64", "multicast"]),
    (SITE2, "uips eth1 127.0.0.1/8", ["127.0.0.1/8", "loopback"]),
    (SITE2, "uips eth1 ::1/128", ["::1/128", "loopback"]),
    (SITE2, "uips eth1 0.0.0.0/0", ["0.0.0.0/0"]),
    (SITE2, "uips eth1 10.7.0.1/0", ["10.7.0.1/0", "must not be 0"]),
    (SITE2, "uips a-name-too-long-for-linux 10.7.0.1/24", ["a-name-too-long-for-linux", "1 to 15"]),
    (SITE2, "uips e'] 10.7.0.1/24", ["e']", "letters"]),
    (SITE2, "probe 239.1.1.1", ["239.1.1.1", "multicast"]),
    (SITE2, "nat-pool 203.0.113.9/29", ["203.0.113.9/29", "the prefix is 203.0.113.8/29"]),
    (SITE2, "nat-pool 203.0.113.4/30", ["203.0.113.4/30", "203.0.113.0/29", "site 1"]),
]

SHOWS = {
    "show dsaa": ["clusterId", "localSite", "haMode", "stateComplete", "peers"],
    "show dsaa site": ["sites"],
    "show dsaa uips": ["interfaces"],
    "show dsaa sync": ["peers"],
    "show dsaa flow": ["flows"],
    "show dsaa flow owner 1": ["flows"],
    "show dsaa flow owner 2 10.1.2.3": ["flows"],
    "show dsaa flow 2001:db8::1 all": ["flows"],
    "show dsaa correction": ["peers", "reasons", "interfaces"],
    "show dsaa advertise": ["prefixes"],
    "show dsaa explain tcp 10.1.2.3 1234 10.4.5.6 80": ["owner", "known", "verdict", "reason"],
    "show dsaa explain udp 2001:db8::1 1234 2001:db8::2 53": ["owner", "known", "verdict", "reason"],
    "show dsaa explain icmp 10.1.2.3 77 10.4.5.6 2048": ["owner", "known", "verdict", "reason"],
    "show dsaa explain 47 10.1.2.3 0 10.4.5.6 0": ["owner", "known", "verdict", "reason"],
    "show dsaa events": ["events"],
    "show dsaa differences": ["peers", "rulesetUnknown"],
}


def test_shows(vty, when):
    for line, keys in SHOWS.items():
        code, text = vty.run(line)
        check("%s: %s" % (when, line), code == 0 and text, (code, text))
        code, text = vty.run(line + " json")
        try:
            answer = json.loads(text)
        except ValueError as err:
            check("%s: %s json parses" % (when, line), False, "%s\n%s" % (err, text))
            continue
        missing = [key for key in keys if key not in answer]
        check("%s: %s json" % (when, line), code == 0 and not missing, (code, missing))


def test_block(world, vty):
    refused = vty.configure(BLOCK.splitlines())
    check("the whole block is accepted", not refused, refused)
    # libyang 3 sorts what libyang 2 leaves in the order it was typed
    written = vty.block()
    check("running-config has the block's lines", sorted(written.splitlines()) == sorted(BLOCK.splitlines()), written)
    check("the block ends with exit", written.endswith("\nexit\n"), written)
    digest = vty.json("show dsaa json")["configDigest"]

    vty = world.restart()
    check("a fresh daemon has no block", vty.block() == "", vty.block())
    refused = vty.configure(written.splitlines())
    check("what was written is accepted", not refused, refused)
    check("and written again alike", vty.block() == written, vty.block())
    check("the digest is that of the same block", vty.json("show dsaa json")["configDigest"] == digest)

    # the same lines in another order
    vty.configure(["no dsaa"])
    check("no dsaa removes all", vty.block() == "", vty.block())
    sites = re.findall(r"^ site .*?^ exit\n", written, re.M | re.S)
    rest = re.sub(r"^ site .*?^ exit\n", "", written, flags=re.M | re.S).splitlines()[1:-1]
    turned = ["dsaa"] + [line for line in reversed(rest) if "port" not in line and "mark-mask" not in line]
    for site in reversed(sites):
        lines = site.splitlines()
        turned += [lines[0]] + list(reversed(lines[1:-1])) + [lines[-1]]
    turned += [line for line in rest if "port" in line or "mark-mask" in line] + ["exit"]
    refused = vty.configure(turned)
    check("any order of lines is accepted", not refused, refused)
    check("and gives the same digest", vty.json("show dsaa json")["configDigest"] == digest)
    vty.configure(["dsaa", "local-site 2"])
    check("local-site is no part of the digest", vty.json("show dsaa json")["configDigest"] == digest)
    wait(lambda: vty.json("show dsaa json")["localSite"] == 2)
    check("local-site overrides", vty.json("show dsaa json")["localSite"] == 2)
    vty.configure(["dsaa", "no local-site", "hold-time 5001"])
    check("another line gives another digest", vty.json("show dsaa json")["configDigest"] != digest)
    vty.configure(["dsaa", "hold-time 5000"])
    wait(lambda: vty.json("show dsaa json")["localSite"] == 1)
    check("the local site follows from a sync-address", vty.json("show dsaa json")["localSite"] == 1)
    return vty


def lines_of(text):
    """(where, line) of each line of the block TEXT, but those that leave a block: WHERE is the lines that lead there."""
    where, found = ("dsaa",), []
    for line in text.splitlines()[1:-1]:
        if line == " exit":
            where = ("dsaa",)
            continue
        found.append((where, line.strip()))
        if line.startswith(" site "):
            where = ("dsaa", line.strip())
    return found


def opposite(line):
    """What frr-reload types to take LINE away."""
    return line[3:] if line.startswith("no ") else "no " + line


def written_lines():
    """Patterns of the lines that "show running-config" can write, from the source."""
    top = os.environ.get("top_srcdir", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
    with open(os.path.join(top, "dsaad/dsaa_cli.c")) as f:
        for form in re.findall(r'vty_out\(vty, " +([^" ][^"]*?)(?:\\n)?"', f.read()):
            if form != "exit":
                yield re.sub(r"%[a-z0-9]+", ".*", form)


def test_no_of_each_line(vty):
    """frr-reload takes a line away by its opposite, and looks no further when that is accepted."""
    lines = lines_of(vty.block())
    for form in written_lines():
        check("this test has a line '%s'" % form, any(re.search(form, line) for line in OTHER_LINES + [x[1] for x in lines]))
    for where, line in lines:
        gone = [x for x in lines if x == (where, line) or line in x[0]]
        refused = vty.configure(where + (opposite(line),))
        left = lines_of(vty.block())
        check("'%s' takes away '%s'" % (opposite(line), line), not refused and sorted(left) == sorted(set(lines) - set(gone)), (refused, left))
        for back in gone:
            vty.configure(back[0] + (back[1],))
        check("and it is put back", sorted(lines_of(vty.block())) == sorted(lines), vty.block())
    for line in OTHER_LINES:
        vty.configure(("dsaa", line))
        refused = vty.configure(("dsaa", opposite(line)))
        check("'%s' takes away '%s'" % (opposite(line), line), not refused and (("dsaa",), line) not in lines_of(vty.block()), refused)
        for where, again in lines:
            vty.configure(where + (again,))
    vty.configure(("dsaa", "no bfd profile", "no sync protocol 98"))
    now = lines_of(vty.block())
    check("'no bfd profile' leaves BFD on", (("dsaa",), "bfd") in now, now)
    check("'no sync protocol P' is 'sync protocol P no'", (("dsaa",), "sync protocol 98 no") in now, now)
    vty.configure(("dsaa", "bfd profile fast", "sync protocol 98"))
    check("the block is as it was", sorted(lines_of(vty.block())) == sorted(lines), vty.block())


def test_wrong_lines(vty):
    before = vty.block()
    for where, line, words in WRONG:
        vty.run("end")
        for step in ["configure terminal"] + where:
            vty.run(step)
        code, text = vty.run(line)
        check("refused: " + line, code == 13, (code, text))
        check("says why: " + line, all(word in text for word in words), text)
        vty.run("end")
        check("nothing applied: " + line, vty.block() == before, vty.block())
    refused = vty.configure(["dsaa", "site 1"] + ["sync-address 172.20.0.%d" % i for i in range(1, 4)])
    check("the fifth sync-address is refused", len(refused) == 1 and "at most 4" in refused[0][2], refused)
    vty.configure(["dsaa", "site 1"] + ["no sync-address 172.20.0.%d" % i for i in range(1, 4)])
    vty.configure(["dsaa", "correction mark-mask 0xf0000000"])
    refused = vty.configure(["dsaa", "site 16", "exit"])
    check("a site that the mark-mask cannot hold is refused", refused and "up to 15" in refused[0][2], refused)
    vty.configure(["dsaa", "no correction mark-mask", "site 16"])
    refused = vty.configure(["dsaa", "correction mark-mask 0xf0000000"])
    check("a mark-mask that cannot hold a site is refused", refused and "site 16" in refused[0][2], refused)
    vty.configure(["dsaa", "no site 16", "correction mark-mask 0xf8000000"])
    check("and the block is as it was", vty.block() == before, vty.block())


def test_late_sites(vty):
    refused = vty.configure(["dsaa", "advertise 10.8.0.0/16 site 9", "primary-up 9"])
    check("a site that is not there yet may be named", not refused, refused)
    wait(lambda: vty.json("show dsaa json")["localSite"] == 1)
    prefix = vty.json("show dsaa advertise json")["prefixes"]["10.8.0.0/16"]
    check("and the reason is shown", "not configured" in prefix["reason"], prefix)
    vty.configure(["dsaa", "no advertise 10.8.0.0/16", "ha-mode primary-up 2"])


def test_views(vty):
    wait(lambda: vty.json("show dsaa json")["localSite"] == 1)
    dsaa = vty.json("show dsaa json")
    check("show dsaa", (dsaa["clusterId"], dsaa["localSite"], dsaa["haMode"]) == (7, 1, "primary-up"), dsaa)
    check("show dsaa: the peer", list(dsaa["peers"]) == ["2"] and dsaa["peers"]["2"]["state"] in STATES, dsaa)
    check("insecure is said aloud", dsaa["insecure"] and "INSECURE" in vty.text("show dsaa"))
    for line in SHOWS:
        check("insecure is said in " + line, "INSECURE" in vty.text(line), vty.text(line))
    peer = vty.json("show dsaa sync json")["peers"]["2"]
    keys = "state flowsSent flowsReceived flowsApplied flowsRejected lagMsecP50 lagMsecP99 backlog lastBulk lastAudit"
    check("show dsaa sync: keys", not set(keys.split()) - set(peer), peer)
    check("show dsaa sync: lastBulk", not {"flows", "msec"} - set(peer["lastBulk"]), peer)
    check("show dsaa sync: lastAudit", not {"differences", "repaired"} - set(peer["lastAudit"]), peer)
    correction = vty.json("show dsaa correction json")
    keys = {"packetsSent", "bytesSent", "packetsReceived", "bytesReceived"}
    check("show dsaa correction: keys", not keys - set(correction["peers"]["2"]), correction)
    paths = [i["dataPath"] in ("kernel", "nfqueue", "off") and i["why"] for i in correction["interfaces"].values()]
    check("show dsaa correction: each interface has a path and why", paths and all(paths), correction)
    uips = vty.json("show dsaa uips json")["interfaces"]
    entry = [u for u in uips["eth0"] if u["address"] == "192.0.2.1/24"][0]
    check("show dsaa uips: keys", not {"site", "address", "local", "installed", "reason"} - set(entry), entry)
    check("show dsaa uips: local", entry["local"] and entry["site"] == 1, entry)
    prefix = vty.json("show dsaa advertise json")["prefixes"]["203.0.113.0/28"]
    check("show dsaa advertise: keys", not {"state", "reason", "tag"} - set(prefix), prefix)
    check("show dsaa advertise: state", prefix["state"] in ("active", "backup", "drain", "withheld"), prefix)
    answer = vty.json("show dsaa explain tcp 10.1.2.3 1234 10.4.5.6 80 json")
    check("explain: words", answer["known"] in ("local", "foreign", "unknown"), answer)
    check("explain: verdict", answer["verdict"] in ("local", "correct", "hold", "new", "drop"), answer)
    code, text = vty.run("show dsaa explain tcp 10.1.2.3 1 2001:db8::1 2")
    check("explain: two families are refused", code and "one family" in text, text)
    try:
        state = json.loads(vty.text("show yang operational-data /frr-dsaad:dsaad"))["frr-dsaad:dsaad"]["state"]
        check("YANG state: local site", state["local-site"] == 1, state)
        check("YANG state: peer", state["peer"][0]["site"] == 2 and state["peer"][0]["state"] in STATES, state)
        check("YANG state: prefixes", len(state["prefix"]) == 3, state)
        check("YANG state: each prefix is told of", all({"state", "reason", "tag"} <= set(p) for p in state["prefix"]), state)
        check("YANG state: prefixes of VRFs", {(p["vrf"], p["state"]) for p in state["vrf-prefix"]} == {("red", "withheld"), ("blue", "withheld")}, state)
    except (ValueError, KeyError) as err:
        check("YANG state", False, repr(err) + vty.text("show yang operational-data /frr-dsaad:dsaad"))


    for rpc in ("dsaa audit", "clear dsaa counters"):
        code, text = vty.run(rpc)
        check(rpc, code == 0, (code, text))


def test_insecure_warning(world, vty):
    """One line in the log each time that it comes into force, none when something else is configured."""

    def warnings():
        with open("%s/dsaad.log" % world.dir) as f:
            return sum("the sessions are plain text" in line for line in f)

    def configured(line, insecure):
        vty.configure(["dsaa", line])
        wait(lambda: vty.json("show dsaa json")["insecure"] == insecure)
        time.sleep(0.3)  # until the lines are settled

    before = warnings()
    check("sync insecure is in the log", before)
    configured("hold-time 5001", True)
    configured("hold-time 5000", True)
    check("and not repeated", warnings() == before, (before, warnings()))
    configured("no sync insecure", False)
    configured("sync insecure", True)
    check("but when it comes into force again", warnings() == before + 1, (before, warnings()))


def state_leaves():
    """Paths of the leaves of the state that are always there, as the module has them; below a list: of its entries."""
    top = os.environ.get("top_srcdir", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
    with open(os.path.join(top, "yang/frr-dsaad.yang")) as f:
        text = f.read().split("container state {")[1].split("\n    }\n")[0]
    path, found = [], []
    for line in re.findall(r"^ *(?:list|leaf|type|enum|container) [\w:-]+ \{|^ *\w[\w:-]* .*\{$|^ *\}", text, re.M):
        words = line.split()
        if words == ["}"]:
            if path:
                path.pop()
            continue
        path.append(words[1] if words[0] in ("list", "leaf") else "")
        if words[0] == "leaf":
            found.append("/".join(p for p in path if p))
    return found


def test_yang_state(vty):
    """
    Every leaf of the state tells something, but those of lists that nothing has gone into yet; JSON and XML alike. What a grouping
    holds is told of by tests/unit/check-yang.py.
    """
    text = vty.text("show yang operational-data /frr-dsaad:dsaad/state")
    try:
        state = json.loads(text)["frr-dsaad:dsaad"]["state"]
    except (ValueError, KeyError) as err:
        check("show yang operational-data", False, repr(err) + text)
        return
    leaves = state_leaves()
    check("the leaves of the state are found", len(leaves) > 50, leaves)
    for path in leaves:
        first, _, rest = path.partition("/")
        if first == "packet-reason" or rest.startswith("rejected/"):
            continue
        there = first in state if not rest else any(rest in entry for entry in state.get(first, []))
        check("the state has " + path, there, text)
    check("the state's digest", state["configuration-digest"] == vty.json("show dsaa json")["configDigest"], text)
    uips = {u["address"] for u in state["uips"]}
    check("the state's uips are the local site's", uips == {"192.0.2.1/24", "2001:db8:1::1/64", "10.1.0.1/24"}, text)
    shown = vty.json("show dsaa correction json")["interfaces"]
    check("the state's interfaces", {i["name"]: i["data-path"] for i in state["interface"]} == {n: shown[n]["dataPath"] for n in shown}, text)
    xml = vty.text("show yang operational-data /frr-dsaad:dsaad/state format xml")
    check("the state as XML", "<local-site>1</local-site>" in xml and xml.count("<address>") == 3, xml)


def test_candidate(world):
    """Started with --tcli: lines change the candidate, and a commit takes all of it or nothing."""
    vty = world.restart("--tcli")
    block = [line for line in BLOCK.splitlines() if not line.startswith(" sync insecure")]

    def type_lines(lines):
        vty.run("end")
        vty.run("configure terminal")
        return [(line.strip(), text) for line in lines for code, text in [vty.run(line.strip())] if code]

    refused = type_lines(block)
    check("a candidate takes the block", not refused, refused)
    check("nothing runs before the commit", vty.block() == "", vty.block())
    candidate = vty.text("show configuration candidate")
    check("the candidate shows the block", all(line in candidate.splitlines() for line in block), candidate)
    code, text = vty.run("commit check")
    check("commit check", code == 0 and "success" in text, (code, text))
    check("commit check changes nothing", vty.block() == "", vty.block())
    code, text = vty.run("commit")
    check("commit", code == 0 and "success" in text, (code, text))
    running = vty.block()
    check("the whole block runs", sorted(running.splitlines()) == sorted(block), running)

    # right lines and two that cannot be together: each is right by itself, so that only the commit can know
    for why, lines, words in (
        ("an address of two sites", ["dsaa", "hold-time 4000", "site 2", "sync-address 172.16.0.1", "exit"], "one site only"),
        ("overlapping pools", ["dsaa", "hold-time 4000", "site 2", "nat-pool 203.0.113.4/30", "exit"], "overlaps"),
        ("a mask too small", ["dsaa", "hold-time 4000", "site 16", "exit", "correction mark-mask 0xf0000000"], "up to 15"),
    ):
        refused = type_lines(lines + ["exit"])
        check("the candidate takes " + why, not refused, refused)
        for line in ("commit check", "commit"):
            code, text = vty.run(line)
            check("%s refuses %s" % (line, why), code and words in text, (code, text))
        check("nothing of it runs: " + why, vty.block() == running, vty.block())
        vty.run("discard")
        code, text = vty.run("show configuration compare running candidate")
        check("discard", "dsaa" not in text and "hold-time" not in text, text)

    # a file replaces the block as a whole, or not at all
    path = world.dir + "/candidate.json"
    for good, port in ((False, 4000), (True, 4001)):
        with open(path, "w") as f:
            json.dump({"frr-dsaad:dsaad": {"dsaa": {"cluster-id": 8, "sync": {"port": 4000}, "correction": {"port": port}}}}, f)
        os.chmod(path, 0o644)
        type_lines([])
        vty.run("configuration load file json %s replace" % path)
        code, text = vty.run("commit")
        check("a file with %s port" % ("another" if good else "the session's"), good == (code == 0), (code, text))
        check("the reason is told", good or "must not be the sync port" in text, text)
        wanted = "dsaa\n cluster-id 8\n sync port 4000\n correction port 4001\nexit\n" if good else running
        check("what runs then", vty.block() == wanted, vty.block())
        vty.run("discard")
    type_lines(["no dsaa"])
    vty.run("commit")
    check("a commit takes the block away", vty.block() == "", vty.block())


STATES = "idle connecting syncing up down dead isolated incompatible refused".split()


def test_flows(world, vty):
    """Entries made by hand in the kernel's table: one of our own, one of site 2's."""
    common = ("conntrack", "-I", "-t", "300", "-d", "198.51.100.9")
    made = [
        world.run(*common, *options.split())
        for options in (
            "-p tcp -s 10.0.0.5 --sport 1111 --dport 80 --state ESTABLISHED -u ASSURED,SEEN_REPLY",
            "-p udp -s 10.0.0.6 --sport 53 --dport 53 -u SEEN_REPLY --mark %d" % (2 << 27 | 5),
            "-p icmp -s 10.0.0.7 --icmp-type 8 --icmp-code 0 --icmp-id 77",
        )
    ]
    if any(m.returncode for m in made):
        print("note: no entries can be made here, so connections are not shown: " + made[0].stderr.strip())
        return
    lines = vty.text("show dsaa flow").splitlines()
    ours = [line for line in lines if "src=10.0.0.5 dst=198.51.100.9 sport=1111 dport=80" in line]
    check("show dsaa flow: ours", ours and "ESTABLISHED" in ours[0] and "[ASSURED]" in ours[0] and "owner=1" in ours[0], lines)
    check("show dsaa flow: icmp", any("type=8 code=0 id=77 [UNREPLIED]" in line for line in lines), lines)
    theirs = vty.json("show dsaa flow owner 2 json")
    check("show dsaa flow owner 2", [f["protocol"] for f in theirs["flows"]] == ["udp"], theirs)
    check("show dsaa flow owner 2: mark", theirs["flows"][0]["mark"] == 2 << 27 | 5, theirs)
    both = vty.json("show dsaa flow owner 1 198.51.100.9 json")
    check("show dsaa flow owner 1 ADDRESS", both["count"] == 2, both)
    check("show dsaa flow ADDRESS", vty.json("show dsaa flow 10.0.0.5 json")["count"] == 1)
    for words, expected in (
        ("tcp 10.0.0.5 1111 198.51.100.9 80", (1, "local", "local")),
        ("tcp 198.51.100.9 80 10.0.0.5 1111", (1, "local", "local")),
        ("udp 10.0.0.6 53 198.51.100.9 53", (2, "foreign")),
        ("udp 198.51.100.9 53 10.0.0.6 53", (2, "foreign")),
        ("icmp 10.0.0.7 77 198.51.100.9 2048", (1, "local", "local")),
        ("tcp 10.0.0.5 1112 198.51.100.9 80", (0, "unknown", "new")),
        ("tcp 10.0.0.5 1112 172.16.0.1 80", (0, "unknown", "local")),
    ):
        answer = vty.json("show dsaa explain %s json" % words)
        got = (answer["owner"], answer["known"], answer["verdict"])
        check("show dsaa explain " + words, got[: len(expected)] == expected, answer)


def test_large_table(world, vty):
    """A table that cannot be read in the time of a show command: it says so, in each form, and does not keep the daemon busy."""
    fill = os.path.abspath("tests/bench/fill")
    if not os.access(fill, os.X_OK):
        print("note: tests/bench/fill is not built, so no large table is shown")
        return
    if world.run(fill, "0", "250000").returncode:
        print("note: no table of 250000 connections can be made here, so no large one is shown")
        world.run("conntrack", "-F")
        return
    for line, command in (
        ("show dsaa flow all", "conntrack -L"),
        ("show dsaa flow owner 1 all", "conntrack -L -m 0x0/0xf8000000"),
        ("show dsaa flow 203.0.113.77", "conntrack -L | grep -wF 203.0.113.77"),
    ):
        begin = time.monotonic()
        text = vty.text(line)
        took = time.monotonic() - begin
        if took < 0.2 and "Not all" not in text:
            continue  # a machine that reads all of it in the time
        check(line + ": that it is cut is said", "Not all: " in text and "Instead: %s\n" % command in text, text[-400:])
        check(line + ": within its time", took < 5, took)
        answer = vty.json(line + " json")
        cut = (answer["truncated"], answer["truncatedBy"], answer["instead"], answer["error"])
        check(line + " json: that it is cut is said", cut == (True, "time", command, ""), cut)
        check(line + " json: what it counts", answer["count"] == len(answer["flows"]) < 250000, answer["count"])
    few = vty.json("show dsaa flow json")
    cut = (few["count"], few["truncated"], few["truncatedBy"], few["instead"])
    check("show dsaa flow json: the limit", cut == (10000, True, "limit", ""), cut)
    answer = vty.json("dsaa failover rehearse json")
    text = vty.text("dsaa failover rehearse")
    if answer["lookedAt"] < 250000:
        counted = sum(s["connections"] for s in answer["sites"].values())
        check("dsaa failover rehearse json", answer["bounded"] and counted <= answer["lookedAt"], answer)
        check("dsaa failover rehearse: that it is cut is said", "only " in text and "were looked at" in text, text)
    world.run("conntrack", "-F")
    text = vty.text("dsaa failover rehearse")
    check("dsaa failover rehearse: all of a small one", "looked at" not in text and "connections" in text, text)


def test_operations(vty):
    for line in ("dsaa resync", "dsaa resync site 2", "dsaa drain", "dsaa drain on", "dsaa drain off", "clear dsaa counters"):
        code, text = vty.run(line)
        check(line, code == 0, (code, text))
    code, text = vty.run("dsaa resync site 9")
    check("dsaa resync site 9 is refused", code and "Site 9" in text, (code, text))
    vty.run("debug dsaa sync")
    check("debug dsaa sync", "Sessions" in vty.text("show debugging dsaa"), vty.text("show debugging dsaa"))
    check("a debug of the enable node is not written", "debug dsaa" not in vty.text("show running-config"))
    vty.configure(["debug dsaa correction"])
    check("a debug of the configuration is written", "\ndebug dsaa correction\n" in vty.text("show running-config"))
    vty.run("no debug dsaa all")
    check("no debug dsaa all", "is on" not in vty.text("show debugging dsaa"), vty.text("show debugging dsaa"))
    check("and is written no more", "debug dsaa" not in vty.text("show running-config"))
    vty.configure(["debug dsaa all"])
    check("debug dsaa all is one line", "\ndebug dsaa all\n" in vty.text("show running-config"))
    vty.configure(["no debug dsaa all"])


def test_undo(vty):
    refused = vty.configure(UNDO.splitlines())
    check("every line can be undone", not refused, refused)
    check("and nothing is left", vty.block() == "dsaa\nexit\n", vty.block())
    test_shows(vty, "with an empty block")


def test_file(world):
    """A file with wrong lines in it: the others are in force."""
    path = world.dir + "/dsaad.conf"
    with open(path, "w") as f:
        f.write("dsaa\n cluster-id 9\n site 1\n  sync-address 172.16.0.1\n  uips eth0 10.0.0.0/24\n  name one\n exit\n")
        f.write(" hold-time 7\n split-brain drop\nexit\n")
    vty = world.restart("-f", path)
    wait(lambda: "split-brain drop" in vty.block())
    expected = "dsaa\n cluster-id 9\n site 1\n  name one\n  sync-address 172.16.0.1\n exit\n split-brain drop\nexit\n"
    check("wrong lines of a file do not take the others with them", vty.block() == expected, vty.block())
    # so also when vtysh announces a whole configuration
    vty.configure(["no dsaa"])
    vty.run("configure terminal")
    vty.run("XFRR_start_configuration")
    codes = [vty.run(line)[0] for line in ("dsaa", "cluster-id 9", "hold-time 7", "split-brain drop", "exit")]
    vty.run("XFRR_end_configuration")
    vty.run("end")
    check("each line answers for itself", codes == [0, 0, 13, 0, 0], codes)
    check("and the right ones are in force", vty.block() == "dsaa\n cluster-id 9\n split-brain drop\nexit\n", vty.block())
    return vty


def rules(world):
    return "table inet dsaa" in world.run("nft", "list", "tables").stdout


def test_stop(world, vty):
    block = [line for line in BLOCK.splitlines() if "correction mode" not in line]
    vty.configure(block)
    if not wait(lambda: rules(world), 8):
        print("note: no rules appear here, so their end is not tested")
        return
    vty = world.restart("-r")
    check("a clean stop takes the rules away", not rules(world))
    vty.configure(block)
    wait(lambda: rules(world), 8)
    world.stop("dsaad")
    check("with --retain they stay", rules(world))
    world.start("dsaad")
    world.vty().configure(block)
    time.sleep(1)
    world.stop("dsaad")
    check("and the next start takes them over", not rules(world))
    world.start("dsaad")


def test_confined(world):
    """Every thread has three capabilities at most, gets no others, and has the filter of system calls."""
    ours = {"CapPrm": "0000000000003400", "CapBnd": "0000000000003400", "NoNewPrivs": "1", "Seccomp": "2"}
    tasks = "/proc/%d/task" % world.pid("dsaad")
    for task in os.listdir(tasks):
        with open("%s/%s/status" % (tasks, task)) as f:
            status = dict(line.split(":\t") for line in f.read().splitlines())
        got = {name: status[name] for name in ours}
        check("thread %s is confined" % status["Name"], got == ours, got)
        check("thread %s is not root's" % status["Name"], "0" not in status["Uid"].split(), status["Uid"])
        check("no capability is inherited", int(status["CapInh"], 16) == int(status["CapAmb"], 16) == 0)
    with open("%s/dsaad.log" % world.dir) as f:
        check("and nothing is said of it", "more than it needs" not in f.read())


def main():
    if os.geteuid() != 0:
        print("skipped: needs root")
        return 77
    for path in (DSAAD, ZEBRA):
        if not os.access(path, os.X_OK):
            print("skipped: there is no " + path)
            return 77
    world = World()
    try:
        world.start("zebra")
        world.start("dsaad")
        vty = world.vty()
        test_shows(vty, "without a block")
        vty = test_block(world, vty)
        test_shows(vty, "with the block")
        test_confined(world)
        test_no_of_each_line(vty)
        test_wrong_lines(vty)
        test_late_sites(vty)
        test_views(vty)
        test_insecure_warning(world, vty)
        test_yang_state(vty)
        test_flows(world, vty)
        test_large_table(world, vty)
        test_operations(vty)
        world.stop("zebra")
        test_shows(vty, "without zebra")
        check("show dsaa says that zebra is gone", wait(lambda: not vty.json("show dsaa json")["zebra"]))
        test_undo(vty)
        world.start("zebra")
        test_candidate(world)
        vty = test_file(world)
        test_stop(world, vty)
    except (EOFError, OSError, ValueError, KeyError) as err:
        check("the test runs to its end", False, repr(err))
    finally:
        for daemon in ("dsaad",):
            log = "%s/%s.log" % (world.dir, daemon)
            if failed and os.path.exists(log):
                print("---- end of %s.log\n%s" % (daemon, "".join(open(log).readlines()[-25:])))
        world.close()
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
