#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Correction with real packets: rules, queue thread, tunnel and TAP device of two sites.

    client --- eth0 r1 eth1 --- server      packets of the client go through r1, which does SNAT to its
        \\---- eth0 r2 eth1 ----/            pool; everything that the server sends goes to r2
                r1 === r2 (sync)

Each router runs nfq_mini. There is no state sync: entries of the other site are made by hand, or there are none and second
chance has to do. Run as root; without root it is skipped. The argument is the path of nfq_mini.
"""

import ctypes
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

PREFIX = "nfqt%d" % (os.getpid() % 10000)
# an emulated machine, see ./quickstart kernel, gets more time
SLOW = float(os.environ.get("DSAA_TEST_SLOW", 1))
TIMEOUT = 3.0 * SLOW
MARK1 = 0x01000000
SO_NO_CHECK = 11
UDP_SEGMENT = 103
SO_RCVBUFFORCE = 33

FAMILIES = {
    4: dict(af=socket.AF_INET, C="198.51.100.10", S="10.9.0.10", P="203.0.113.1", pool="203.0.113.0/25", pool2="203.0.113.128/25",
            c1=("192.0.2.1", "192.0.2.2", 30), c2=("192.0.2.5", "192.0.2.6", 30), s1=("10.0.1.1", "10.0.1.2", 30),
            s2=("10.0.2.1", "10.0.2.2", 30), sync=("172.16.0.1", "172.16.0.2", 24), host=32, icmp=socket.IPPROTO_ICMP),
    6: dict(af=socket.AF_INET6, C="2001:db8:c::10", S="2001:db8:9::10", P="2001:db8:a1::1", pool="2001:db8:a1::/64",
            pool2="2001:db8:a2::/64", c1=("2001:db8:1::1", "2001:db8:1::2", 64), c2=("2001:db8:2::1", "2001:db8:2::2", 64),
            s1=("2001:db8:3::1", "2001:db8:3::2", 64), s2=("2001:db8:4::1", "2001:db8:4::2", 64),
            sync=("fd00:16::1", "fd00:16::2", 64), host=128, icmp=socket.IPPROTO_ICMPV6),
}

# ---------------------------------------------------------------- checks

passed = failed = 0


def check(condition, what):
    global passed, failed
    if condition:
        passed += 1
    else:
        failed += 1
        print("FAILED: " + what, flush=True)


# ---------------------------------------------------------------- namespaces

libc = ctypes.CDLL(None, use_errno=True)
HOME = os.open("/proc/self/ns/net", os.O_RDONLY)


class inside:
    """Sockets made within the block belong to that namespace."""

    def __init__(self, name):
        self.path = "/run/netns/%s-%s" % (PREFIX, name)

    def __enter__(self):
        fd = os.open(self.path, os.O_RDONLY)
        if libc.setns(fd, 0) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        os.close(fd)

    def __exit__(self, *unused):
        libc.setns(HOME, 0)


def run(command, may_fail=False):
    done = subprocess.run(command.split(), capture_output=True, text=True)
    if done.returncode and not may_fail:
        raise RuntimeError("%s: %s" % (command, done.stderr))
    return done.stdout


def at(node, command, may_fail=False):
    return run("ip netns exec %s-%s %s" % (PREFIX, node, command), may_fail)


def link(a, ifa, b, ifb, addresses):
    run("ip link add name %s netns %s-%s type veth peer name %s netns %s-%s" % (ifa, PREFIX, a, ifb, PREFIX, b))
    for f in FAMILIES.values():
        one, two, length = f[addresses]
        extra = " nodad" if f["host"] == 128 else ""
        at(a, "ip addr add %s/%d dev %s%s" % (one, length, ifa, extra))
        at(b, "ip addr add %s/%d dev %s%s" % (two, length, ifb, extra))
    at(a, "ip link set %s up" % ifa)
    at(b, "ip link set %s up" % ifb)


FILTER = """
table inet filter {
 chain forward {
  type filter hook forward priority 0; policy drop;
  ct state established,related accept
  iifname "eth0" ct state new accept
 }
}
"""
SNAT = """
table ip nat {
 chain post {
  type nat hook postrouting priority 100
  oifname "eth1" ip saddr %s snat to %s
 }
}
table ip6 nat {
 chain post {
  type nat hook postrouting priority 100
  oifname "eth1" ip6 saddr %s snat to %s
 }
}
"""


def load(node, rules):
    subprocess.run(["ip", "netns", "exec", "%s-%s" % (PREFIX, node), "nft", "-f", "-"], input=rules, text=True, check=True)


def build():
    # the NAT half of the FTP helper: a module that nothing loads by itself, where it is not built in
    run("modprobe -q nf_nat_ftp", may_fail=True)
    for node in ("cl", "srv", "r1", "r2"):
        run("ip netns add %s-%s" % (PREFIX, node))
        at(node, "ip link set lo up")
        at(node, "sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0")
    link("cl", "c1", "r1", "eth0", "c1")
    link("cl", "c2", "r2", "eth0", "c2")
    link("srv", "s1", "r1", "eth1", "s1")
    link("srv", "s2", "r2", "eth1", "s2")
    link("r1", "sync", "r2", "sync", "sync")
    for router in ("r1", "r2"):
        at(router, "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
        load(router, FILTER)
    for f in FAMILIES.values():
        at("cl", "ip addr add %s/%d dev lo" % (f["C"], f["host"]))
        at("srv", "ip addr add %s/%d dev lo" % (f["S"], f["host"]))
        at("cl", "ip route add %s via %s" % (f["S"], f["c1"][1]))
        for target in (f["C"], f["pool"]):
            at("srv", "ip route add %s via %s" % (target, f["s2"][1]))
        at("srv", "ip route add %s via %s" % (f["pool2"], f["s1"][1]))
        for n in "12":
            at("r" + n, "ip route add %s via %s" % (f["C"], f["c" + n][0]))
            at("r" + n, "ip route add %s via %s" % (f["S"], f["s" + n][0]))
    # a strict filter for all: the TAP device must pass nevertheless
    at("r1", "sysctl -qw net.ipv4.conf.all.rp_filter=1")
    load("r1", SNAT % (FAMILIES[4]["C"], FAMILIES[4]["P"], FAMILIES[6]["C"], FAMILIES[6]["P"]))


def destroy():
    for node in ("cl", "srv", "r1", "r2"):
        run("ip netns del %s-%s" % (PREFIX, node), may_fail=True)


# ---------------------------------------------------------------- the daemons


class Site:
    def __init__(self, number, program, mask="ff000000", tun_fd=None, more=(), alive=True, links=(), over=(4, 6)):
        other, node, f4, f6 = 3 - number, "r%d" % number, FAMILIES[4], FAMILIES[6]
        arguments = ["site", str(number), "mask", mask, "iface", "eth0", "iface", "eth1"]
        for f in (f4, f6):
            for where in ("c%d" % number, "s%d" % number):
                arguments += ["address", f[where][1]]
            arguments += ["address", f["sync"][number - 1], "pool", f["pool"] if other == 1 else f["pool2"]]
        for f in (FAMILIES[version] for version in over):
            arguments += ["peer", str(other), f["sync"][number - 1], f["sync"][other - 1], "sync"]
        for version in links:
            arguments += ["link", FAMILIES[version]["sync"][node == "r2"], "sync"]
        arguments += more
        command = ["ip", "netns", "exec", "%s-%s" % (PREFIX, node)]
        if tun_fd is not None:
            # as a daemon that gave up root and kept one capability, with the device opened before
            command += ["setpriv", "--reuid", "65534", "--clear-groups", "--inh-caps", "+net_admin", "--ambient-caps", "+net_admin"]
            arguments += ["tunfd", str(tun_fd)]
        self.process = subprocess.Popen(command + [program] + arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        pass_fds=() if tun_fd is None else (tun_fd,))
        first = self.process.stdout.readline()
        if first != "ready\n":
            raise RuntimeError("nfq_mini: " + first)
        if alive:
            self.word(other, "alive")

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def word(self, site, word):
        answer = self.say("word %d %s" % (site, word))
        if answer != "ok":
            raise RuntimeError(answer)

    def counters(self):
        fields = self.say("counters").split()[1:]
        return {name: int(n) for name, n in (field.split("=") for field in fields)}

    def counter(self, name, at_least=0):
        """The counter, waited for until it is at least so large."""
        end = time.monotonic() + TIMEOUT
        while True:
            n = self.counters().get(name, 0)
            if n >= at_least or time.monotonic() > end:
                return n
            time.sleep(0.02)

    def settled(self):
        """The counters when the last packets of what was before have passed."""
        before = None
        while before != (before := self.counters()):
            time.sleep(0.05)
        return before

    def clear(self):
        self.settled()
        self.say("clear")

    def quit(self):
        answer = self.say("quit")
        self.process.wait(TIMEOUT * 3)
        return answer

    def kill(self):
        self.process.kill()
        self.process.wait()


# ---------------------------------------------------------------- traffic


def sock(node, f, kind, address, port=0):
    with inside(node):
        s = socket.socket(f["af"], kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.settimeout(TIMEOUT)
    s.bind((address, port))
    return s


def foreign_entry(f, proto, sport=0, dport=0, ident=0, node="r2", mark=MARK1):
    """The client's connection through r1, as r1 would have told r2 of it."""
    head = "conntrack -I -t 300 -s %s -d %s -r %s -q %s " % (f["C"], f["S"], f["S"], f["P"])
    # last: conntrack's -u overwrites a mark that stands before it
    tail = " -m 0x%x" % mark
    if proto == "icmp":
        name = "icmp" if f["host"] == 32 else "icmpv6"
        at(node, head + "-p %s --%s-type %d --%s-code 0 --%s-id %d" % (
            name, name, 8 if f["host"] == 32 else 128, name, name, ident) + tail)
        return
    more = " --state ESTABLISHED -u SEEN_REPLY,ASSURED" if proto == "tcp" else ""
    at(node, head + "-p %s --sport %d --dport %d --reply-port-src %d --reply-port-dst %d%s" % (
        proto, sport, dport, dport, sport, more) + tail)


def udp_echo(f, sport, size, entry):
    """A datagram and its answer; the answer's payload is what counts."""
    client = sock("cl", f, socket.SOCK_DGRAM, f["C"], sport)
    server = sock("srv", f, socket.SOCK_DGRAM, f["S"], 7000)
    if entry:
        foreign_entry(f, "udp", sport, 7000)
    payload = os.urandom(size)
    try:
        client.sendto(payload, (f["S"], 7000))
        data, source = server.recvfrom(65535)
        if source[0] != f["P"]:
            return "no SNAT: " + source[0]
        server.sendto(data[::-1], source)
        return client.recvfrom(65535)[0] == payload[::-1] or "other payload"
    except socket.timeout:
        return "no answer"
    finally:
        client.close()
        server.close()


def tcp_transfer(f, sport, size, entry, port=7001):
    """Connects, then takes SIZE bytes each way, and looks at every one of them."""
    there, back = os.urandom(size), os.urandom(size)
    listener = sock("srv", f, socket.SOCK_STREAM, f["S"], port)
    listener.listen(1)
    result = []

    def serve():
        try:
            conn = listener.accept()[0]
            conn.settimeout(TIMEOUT * 3)
            got = b""
            while len(got) < size:
                data = conn.recv(65536)
                if not data:
                    break
                got += data
            conn.sendall(back)
            conn.close()
            result.append(got == there or "other bytes there")
        except OSError as error:
            result.append(str(error))

    if entry:
        foreign_entry(f, "tcp", sport, port)
    thread = threading.Thread(target=serve)
    thread.start()
    client = sock("cl", f, socket.SOCK_STREAM, f["C"], sport)
    client.settimeout(TIMEOUT * 3)
    got = b""
    try:
        client.connect((f["S"], port))
        client.sendall(there)
        while True:
            data = client.recv(65536)
            if not data:
                break
            got += data
    except OSError as error:
        got = str(error)
    client.close()
    thread.join()
    listener.close()
    return (got == back and result == [True]) or "%s of %d %s" % (len(got) if isinstance(got, bytes) else got, size, result)


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ping(f, ident, size, entry):
    with inside("cl"):
        client = socket.socket(f["af"], socket.SOCK_RAW, f["icmp"])
    client.settimeout(TIMEOUT)
    client.bind((f["C"], 0))
    if entry:
        foreign_entry(f, "icmp", ident=ident)
    body = os.urandom(size)
    request, reply = (8, 0) if f["host"] == 32 else (128, 129)
    packet = struct.pack("!BBHHH", request, 0, 0, ident, 1) + body
    packet = packet[:2] + struct.pack("!H", checksum(packet)) + packet[4:]
    client.sendto(packet, (f["S"], 0))
    end = time.monotonic() + TIMEOUT
    try:
        while time.monotonic() < end:
            data = client.recv(65535)
            if f["host"] == 32:
                data = data[20:]
            if data[0] == reply and data[4:6] == packet[4:6]:
                return data[8:] == body or "other payload"
    except socket.timeout:
        pass
    finally:
        client.close()
    return "no answer"


def port_unreachable(f, sport, entry):
    """A datagram to a closed port: the ICMP error has to find its way back."""
    client = sock("cl", f, socket.SOCK_DGRAM, f["C"], sport)
    if entry:
        foreign_entry(f, "udp", sport, 7999)
    client.connect((f["S"], 7999))
    client.send(b"anyone?")
    try:
        client.recv(100)
    except ConnectionRefusedError:
        return True
    except socket.timeout:
        return "no error came"
    finally:
        client.close()
    return "an answer"


# ---------------------------------------------------------------- tunnel packets by hand


def ip4(src, dst, proto, body):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 1, 0, 64, proto, 0, socket.inet_aton(src), socket.inet_aton(dst))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def udp4(src, dst, sport, dport, body=b"hello"):
    return ip4(src, dst, 17, struct.pack("!HHHH", sport, dport, 8 + len(body), 0) + body)


def tcp4(src, dst, sport, dport, flags):
    head = struct.pack("!HHIIBBHHH", sport, dport, 1000, 2000, 0x50, flags, 1000, 0, 0)
    pseudo = socket.inet_aton(src) + socket.inet_aton(dst) + struct.pack("!BBH", 0, 6, len(head))
    return ip4(src, dst, 6, head[:16] + struct.pack("!H", checksum(pseudo + head)) + head[18:])


def encapsulate(inner, source=2, target=1, iface=2, second_chance=False):
    vni = iface | (0x800000 if second_chance else 0)
    mac = lambda site: bytes((2, 0xd5, 0xaa, 0, 0, site))
    return struct.pack("!II", 0x08000000, vni << 8) + mac(target) + mac(source) + b"\x08\x00" + inner


def tunnel(data, node="r2", source=None, checksum=True):
    """Sends DATA to r1's tunnel port."""
    s = sock(node, FAMILIES[4], socket.SOCK_DGRAM, source or FAMILIES[4]["sync"][1])
    s.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 0 if checksum else 1)
    s.sendto(data, (FAMILIES[4]["sync"][0], 3786))
    s.close()


def raw_send(node, packet, dst):
    with inside(node):
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    s.sendto(packet, (dst, 0))
    s.close()


# ---------------------------------------------------------------- the tests


def test_corrected(one, two, entry, base):
    """Everything the server sends goes to the wrong site and has to reach the client."""
    for version, f in FAMILIES.items():
        how = "IPv%d, %s" % (version, "foreign entry" if entry else "no entry")
        port = base + version * 100
        foreign = "foreign" if entry else "second-chance-nat-pool"
        for what, test in (
            ("UDP", lambda: udp_echo(f, port, 100, entry)),
            ("UDP of 8 KB", lambda: udp_echo(f, port + 1, 8000, entry)),
            ("ping", lambda: ping(f, port + 2, 56, entry)),
            ("ping of 4 KB", lambda: ping(f, port + 3, 4000, entry)),
            ("port unreachable", lambda: port_unreachable(f, port + 4, entry)),
            ("TCP", lambda: tcp_transfer(f, port + 5, 300000, entry)),
        ):
            one.clear(), two.clear()
            result = test()
            check(result is True, "%s, %s: %s" % (what, how, result))
            sent, got = two.settled().get("sent1", 0), one.settled()
            check(sent >= 1, "%s, %s: nothing was carried: %s" % (what, how, two.counters()))
            check(got.get("delivered") == sent, "%s, %s: %d sent, %s" % (what, how, sent, got))
            if what.startswith("UDP"):
                check(two.counter(foreign) == 1, "%s, %s: not %s: %s" % (what, how, foreign, two.counters()))


def test_nothing_left(one, two):
    table = at("r1", "conntrack -L") + at("r2", "conntrack -L")
    check("3786" not in table, "the tunnel is tracked")
    listing = at("r2", "conntrack -L -o extended")
    check("src=%s" % FAMILIES[4]["P"] not in [w for w in listing.split()[4:5]], "a wrong entry at r2")


def test_refused(one):
    f = FAMILIES[4]
    good = udp4(f["S"], f["P"], 5, 6)
    cases = (
        ("tunnel-malformed", b"", "an empty datagram"),
        ("tunnel-malformed", encapsulate(good)[:30], "a truncated packet"),
        ("tunnel-malformed", b"\x09" + encapsulate(good)[1:], "wrong flags"),
        ("tunnel-malformed", encapsulate(b"\x95" + good[1:]), "no IP"),
        ("tunnel-malformed", os.urandom(400), "noise"),
        ("tunnel-stranger", encapsulate(good, source=3), "another site's number"),
        ("tunnel-stranger", encapsulate(good, target=4), "not for us"),
        ("tunnel-unknown-interface", encapsulate(good, iface=40), "an unknown interface"),
        ("second-chance-not-ours", encapsulate(good, second_chance=True), "second chance of no connection"),
        ("tunnel-opens", encapsulate(good), "a packet that would open a connection"),
        ("tunnel-opens", encapsulate(tcp4(f["S"], f["C"], 5, 6, 0x10)), "a TCP packet of no connection"),
    )
    for reason, data, what in cases:
        one.clear()
        tunnel(data)
        check(one.counter(reason, 1) == 1, "%s: not %s: %s" % (what, reason, one.counters()))
        check(one.counter("delivered") == 0, "%s: delivered: %s" % (what, one.counters()))
    at("cl", "ip route add %s via %s" % (f["sync"][0], f["c1"][1]))
    one.clear()
    tunnel(encapsulate(good), "cl", f["c1"][0])
    check(one.counter("tunnel-stranger", 1) == 1, "a stranger's datagram: %s" % one.counters())
    one.clear()
    at("cl", "ip addr add %s/32 dev lo" % f["sync"][1])
    at("r1", "sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0")
    tunnel(encapsulate(good), "cl", f["sync"][1])
    check(one.counter("tunnel-stranger", 1) == 1, "the peer's address on another interface: %s" % one.counters())
    at("r1", "sysctl -qw net.ipv4.conf.all.rp_filter=1")


HELPER = """
table inet ftp {
 ct helper ftp { type "ftp" protocol tcp; }
 chain pre {
  type filter hook prerouting priority 0
  tcp dport 21 ct helper set "ftp"
 }
}
"""


def test_expected(one, two, port):
    """The data connection of FTP begins at r2, which has not heard that r1 expects it: second chance opens it there, once."""
    f = FAMILIES[4]
    load("r1", HELPER)
    listener, data = (sock(node, f, socket.SOCK_STREAM, f[a], n) for node, a, n in (("srv", "S", 21), ("cl", "C", port + 1)))
    listener.listen(1), data.listen(1)
    client = sock("cl", f, socket.SOCK_STREAM, f["C"], port)
    client.connect((f["S"], 21))
    control = listener.accept()[0]
    control.settimeout(TIMEOUT)
    # the helper reads no first line
    client.sendall(b"USER x\r\n")
    control.recv(100)
    client.sendall(b"PORT %s,%d,%d\r\n" % (f["C"].replace(".", ",").encode(), (port + 1) >> 8, (port + 1) & 255))
    n = [int(x) for x in control.recv(100).split()[1].split(b",")]
    target = ".".join(str(x) for x in n[:4]), n[4] * 256 + n[5]
    check(target[0] == f["P"], "FTP: the helper did not translate: %s" % (target,))
    one.clear(), two.clear()
    # another port beside it is not expected
    for to, expected in ((target[1] + 7, False), (target[1], True)):
        server = sock("srv", f, socket.SOCK_STREAM, f["S"], 20)
        server.settimeout(TIMEOUT if expected else 0.3)
        try:
            server.connect((target[0], to))
            server.sendall(b"data")
            check(expected and data.accept()[0].recv(10) == b"data", "FTP: the data connection")
        except OSError as error:
            check(not expected, "FTP: the data connection: %s" % error)
        server.close()
        if not expected:
            check(one.counter("second-chance-not-ours", 1) >= 1, "FTP, not expected: %s" % one.counters())
            check(one.settled().get("delivered", 0) == 0, "FTP, not expected: counted twice: %s" % one.counters())
    check(two.counter("second-chance-nat-pool", 2) >= 2, "FTP: no second chance: %s" % two.counters())
    check(one.counter("delivered", 1) >= 1 and one.counter("tunnel-opens") == 0, "FTP: %s" % one.counters())
    for s in (client, control, listener, data):
        s.close()
    at("r1", "nft delete table inet ftp")


def test_loop(one):
    """r1 has the connection as one of site 2: what site 2 sends of it must not travel on."""
    f = FAMILIES[4]
    foreign_entry(f, "udp", 4000, 4001, node="r1", mark=0x02000000)
    one.clear()
    tunnel(encapsulate(udp4(f["S"], f["P"], 4001, 4000)))
    check(one.counter("loop", 1) == 1, "loop: %s" % one.counters())
    check(one.counter("sent2") == 0, "loop: travelled on")
    one.clear()
    tunnel(encapsulate(udp4(f["S"], f["P"], 4001, 4000), second_chance=True))
    check(one.counter("second-chance-not-ours", 1) == 1, "second chance of a replica: %s" % one.counters())


def test_router_itself(one):
    """What is addressed to the router is left to the router."""
    f = FAMILIES[4]
    one.clear()
    raw_send("cl", tcp4(f["c1"][0], f["c1"][1], 999, 998, 0x10), f["c1"][1])
    check(one.counter("to-router", 1) >= 1, "a stray ACK to the router: %s" % one.counters())
    check(one.counter("sent2") == 0, "a stray ACK to the router was offered")
    listener = sock("r1", f, socket.SOCK_STREAM, f["c1"][1], 1790)
    listener.listen(1)
    client = sock("cl", f, socket.SOCK_STREAM, f["c1"][0])
    client.connect((f["c1"][1], 1790))
    conn = listener.accept()[0]
    conn.sendall(b"hello")
    check(client.recv(10) == b"hello", "a connection to the router itself")
    for s in (client, conn, listener):
        s.close()


def test_own_untouched(one, two):
    """A connection that is symmetric at r1 costs nothing and is counted nowhere."""
    for f in FAMILIES.values():
        at("srv", "ip route replace %s via %s" % (f["pool"], f["s1"][1]))
    one.clear(), two.clear()
    for f in FAMILIES.values():
        result = tcp_transfer(f, 30000, 300000, False)
        check(result is True, "symmetric TCP: %s" % result)
        check(udp_echo(f, 30001, 8000, False) is True, "symmetric UDP")
    check(one.counters() == {} and two.counters() == {}, "own connections: %s %s" % (one.counters(), two.counters()))
    for f in FAMILIES.values():
        at("srv", "ip route replace %s via %s" % (f["pool"], f["s2"][1]))


def reported(node, sport, traffic, last):
    """What the kernel of NODE says of the connections from SPORT during TRAFFIC, until LAST is said: "NEW SYN_SENT", ..."""
    command = ["ip", "netns", "exec", "%s-%s" % (PREFIX, node), "conntrack", "-E", "-b", "1048576"]
    with subprocess.Popen(["stdbuf", "-oL"] + command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as listener:
        said = []

        def listen():
            for line in listener.stdout:
                words = line.split()
                if any(w in words for w in ("sport=%d" % sport, "dport=%d" % sport)):
                    said.append(" ".join([words[0].strip("[]")] + [w for w in words if w.isupper() and "_" in w or w == "ESTABLISHED"]))

        thread = threading.Thread(target=listen)
        thread.start()
        time.sleep(0.3 * SLOW)
        traffic()
        end = time.monotonic() + TIMEOUT
        while not any(last in s for s in said) and time.monotonic() < end:
            time.sleep(0.02)
        listener.kill()
        thread.join()
    return said


def test_events():
    """What peers must know is reported, once: of a handshake its end alone; once TCP closes, its states are."""
    f = FAMILIES[4]
    at("srv", "ip route replace %s via %s" % (f["pool"], f["s1"][1]))
    said = reported("r1", 30100, lambda: tcp_transfer(f, 30100, 20000, False), "TIME_WAIT")
    check(said[:1] == ["UPDATE ESTABLISHED"], "events of a handshake: %s" % said)
    check(len(said) >= 3 and said[1].endswith("_WAIT") and said[-1] == "UPDATE TIME_WAIT", "events of the end: %s" % said)
    server = sock("srv", f, socket.SOCK_DGRAM, f["S"], 7100)
    # bits in the place of TCP's flags, and nothing in that place
    for sport, body in ((30101, b"\xff" * 64), (30102, b"\x00" * 64), (30103, b"x")):
        def exchange():
            client = sock("cl", f, socket.SOCK_DGRAM, f["C"], sport)
            for _ in range(3):
                client.sendto(body, (f["S"], 7100))
                server.sendto(body, server.recvfrom(100)[1])
                client.recvfrom(100)
            client.close()
        said = reported("r1", sport, exchange, "UPDATE")
        check(said == ["NEW", "UPDATE"], "events of UDP, %d bytes: %s" % (len(body), said))
    server.close()
    at("srv", "ip route replace %s via %s" % (f["pool"], f["s2"][1]))


def test_hold(two):
    """A packet of unknown connection waits for its state, as long as it may; memory is bounded."""
    f, bound = FAMILIES[4], 2048
    server = sock("srv", f, socket.SOCK_DGRAM, f["S"], 4701)
    client = sock("cl", f, socket.SOCK_DGRAM, f["C"], 4700)
    client.sendto(b"x", (f["S"], 4701))
    source = server.recvfrom(10)[1]
    # its state comes in time
    two.say("hold 2500")
    two.clear()
    server.sendto(b"first", source)
    server.sendto(b"second", source)
    check(two.counter("waiting", 2) == 2, "nothing waits: %s" % two.counters())
    foreign_entry(f, "udp", 4700, 4701)
    check(client.recv(10) == b"first" and client.recv(10) == b"second", "what waited")
    check(two.counter("held", 2) == 2 and two.counters().get("waiting", 0) == 0, "held: %s" % two.counters())
    # with an entry nothing waits; other queues are not disturbed while something waits
    server.sendto(b"third", (f["P"], 9))
    server.sendto(b"fourth", source)
    check(client.recv(10) == b"fourth", "a known connection waited")
    check(two.counter("foreign", 1) == 1 and two.counter("waiting", 1) == 1, "beside: %s" % two.counters())
    # its state does not come: judged as without waiting
    check(two.counter("second-chance-nat-pool", 1) == 1, "not judged after its time: %s" % two.counters())
    check(two.counters().get("waiting", 0) == 0, "waits still: %s" % two.counters())
    # no more than there is room for
    two.clear()
    for _ in range(bound + 500):
        server.sendto(b"x", (f["P"], 9))
    check(two.counter("second-chance-nat-pool", 500) >= 500, "not judged at once: %s" % two.counters())
    counters = two.counters()
    check(counters.get("hold-full") == 500 and counters.get("waiting") == bound, "full: %s" % counters)
    check(two.counter("second-chance-nat-pool", bound + 500) == bound + 500, "all judged: %s" % two.counters())
    two.say("hold 0")
    server.close(), client.close()
    at("r2", "conntrack -F")


def test_policy(one, two):
    """What the operator would drop is offered before: the answer of a connection without NAT, whose state never comes."""
    plain = {4: "198.51.100.77", 6: "2001:db8:c::77"}
    for version, f in FAMILIES.items():
        at("cl", "ip addr add %s/%d dev lo" % (plain[version], f["host"]))
        at("srv", "ip route add %s via %s" % (plain[version], f["s2"][1]))
        for n in "12":
            at("r" + n, "ip route add %s via %s" % (plain[version], f["c" + n][0]))
    load("r2", "delete table inet filter")
    for tables in ("iptables", "ip6tables"):
        for rule in ("-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT", "-i eth0 -j ACCEPT",
                     "-m conntrack --ctstate NEW -j NFQUEUE --queue-num 37871"):
            at("r2", tables + "-nft -A FORWARD " + rule)
        at("r2", tables + "-nft -P FORWARD DROP")
    for version, f in FAMILIES.items():
        client = sock("cl", f, socket.SOCK_DGRAM, plain[version], 4800)
        server = sock("srv", f, socket.SOCK_DGRAM, f["S"], 4801)
        level, option, kind = (0, 12, 2) if version == 4 else (41, 51, 52)
        client.setsockopt(level, option, 1)
        client.sendto(b"ask", (f["S"], 4801))
        source = server.recvfrom(10)[1]
        check(source[0] == plain[version], "NAT where there should be none: %s" % source[0])
        one.clear(), two.clear()
        for i in range(20):
            server.sendto(b"%d" % i, source)
        hops = set()
        for i in range(20):
            data, control, _, _ = client.recvmsg(100, 100)
            check(data == b"%d" % i, "IPv%d, answer %d: %s" % (version, i, data))
            hops.add(struct.unpack("i", control[0][2][:4])[0])
        check(hops == {63}, "IPv%d: hops left %s, not 63" % (version, hops))
        check(two.counter("second-chance-policy", 20) == 20, "policy: %s" % two.counters())
        check(one.counter("delivered", 20) == 20, "policy: %s" % one.counters())
        # nobody's: refused there, and nothing came in
        server.sendto(b"stray", (plain[version], 4999))
        check(one.counter("second-chance-not-ours", 1) == 1, "a stray packet: %s" % one.counters())
        # no peer can be asked
        two.word(1, "unreachable")
        server.sendto(b"x", source)
        check(two.counter("refused", 1) == 1, "no peer: %s" % two.counters())
        two.word(1, "alive")
        # its state comes while it waits
        two.say("hold 2500")
        server.sendto(b"waits", source)
        check(two.counter("waiting", 1) == 1, "policy: nothing waits: %s" % two.counters())
        at("r2", "conntrack -I -t 300 -p udp -s %s -d %s -r %s -q %s --sport 4800 --dport 4801 --reply-port-src 4801 "
           "--reply-port-dst 4800 -m 0x%x" % (plain[version], f["S"], f["S"], plain[version], MARK1))
        check(client.recv(10) == b"waits", "policy: what waited")
        check(two.counter("held", 1) == 1, "policy: %s" % two.counters())
        two.say("hold 0")
        client.close(), server.close()
    for tables in ("iptables", "ip6tables"):
        at("r2", tables + "-nft -P FORWARD ACCEPT")
        at("r2", tables + "-nft -F FORWARD")
    load("r2", FILTER)
    at("r2", "conntrack -F")


def test_words(two):
    f = FAMILIES[4]
    foreign_entry(f, "udp", 4100, 4101)
    server = sock("srv", f, socket.SOCK_DGRAM, f["S"], 4101)
    for word, reason in (("alive", "foreign"), ("unreachable", "owner-unreachable"), ("alive", "foreign")):
        two.word(1, word)
        two.clear()
        server.sendto(b"x", (f["P"], 4100))
        check(two.counter(reason, 1) == 1, "%s: not %s: %s" % (word, reason, two.counters()))
    two.word(1, "adopted")
    two.clear()
    server.sendto(b"x", (f["P"], 4100))
    raw_send("srv", tcp4(f["S"], f["P"], 1, 2, 0x12), f["P"])
    time.sleep(0.2)
    check(two.counters() == {}, "adopted: %s" % two.counters())
    server.close()
    two.word(1, "alive")


def test_reconfigure(one, two):
    """A running connection notices nothing when both sites are configured over and over."""
    stop = threading.Event()

    def disturb():
        while not stop.is_set():
            if one.say("reconfigure") != "ok" or two.say("reconfigure") != "ok":
                check(False, "reconfigure")
                return
            time.sleep(0.005)

    thread = threading.Thread(target=disturb)
    thread.start()
    result = tcp_transfer(FAMILIES[4], 31000, 1000000, True, 7100)
    stop.set()
    thread.join()
    check(result is True, "TCP while reconfiguring: %s" % result)
    check("ready=2" in one.say("status"), "tunnel sockets: " + one.say("status"))


def large_packets():
    """What entered the stack of r1 by the TAP device."""
    return int(at("r1", "cat /sys/class/net/dsaa0/statistics/rx_packets"))


def train(one, two, mtu, version, port):
    """A transfer over a link of MTU: segments sent, and how many packets they were at the stack of r1."""
    one.clear(), two.clear()
    before = large_packets()
    result = tcp_transfer(FAMILIES[version], port, 2000000, True, 7101)
    check(result is True, "TCP over a link of MTU %d, IPv%d: %s" % (mtu, version, result))
    sent, got = two.settled().get("sent1", 0), one.settled()
    check(sent >= 1000 and got.get("delivered") == sent, "MTU %d: %d sent, %s" % (mtu, sent, got))
    return sent, large_packets() - before


def test_trains(one, two):
    """Segments go over the link as trains where its MTU lets them, else one by one, and change between both at any time."""
    for mtu in (9000, 1500, 1600, 1400, 9000):
        for router in ("r1", "r2"):
            at(router, "ip link set sync mtu %d" % mtu)
            Site.say(one if router == "r1" else two, "reconfigure")
        for version in FAMILIES:
            # segments join on their way when they come fast, which they do not while others have the processors
            for again in range(4):
                sent, entered = train(one, two, mtu, version, 31100 + mtu % 97 + version + 100 * again)
                most = sent // 2 if SLOW == 1 else sent
                if entered < most:
                    break
            check(entered < most, "MTU %d: of %d segments %d entered the stack alone" % (mtu, sent, entered))
        at("r2", "conntrack -D -p tcp --orig-port-dst 7101", may_fail=True)


def transfer_with(f, port, mss, size=2000000):
    """The server sends SIZE bytes to a client that takes segments of MSS (0: any): how long they were that it got, or what was wrong."""
    listener = sock("srv", f, socket.SOCK_STREAM, f["S"], port)
    listener.listen(1)
    foreign_entry(f, "tcp", port, port)
    data = os.urandom(size)

    def serve():
        conn = listener.accept()[0]
        try:
            conn.sendall(data)
        finally:
            conn.close()

    thread = threading.Thread(target=serve)
    thread.start()
    client, got = sock("cl", f, socket.SOCK_STREAM, f["C"], port), b""
    if mss:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss)
    client.settimeout(TIMEOUT * 3)
    try:
        client.connect((f["S"], port))
        while more := client.recv(1 << 20):
            got += more
            # tcpi_rcv_mss of struct tcp_info
            length = struct.unpack_from("I", client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 20)[0]
    except OSError as error:
        return "%d bytes, then %s" % (len(got), error)
    finally:
        thread.join()
        client.close(), listener.close()
    return length if got == data else "%d bytes, other ones" % len(got)


def test_large(two):
    """Large packets come to the queue whole, and leave it as segments as long as the sender's, however short the receiver wants them;
    even where a longer one would divide them.
    """
    for version, f in FAMILIES.items():
        whole = 1500 - (20 if version == 4 else 40) - 32
        for n, each in enumerate((whole, whole // 2, 536)):
            two.clear()
            with inside("r2"):
                before = sum(queued("r2").values())
            # the option of TCP's timestamps takes twelve bytes
            length = transfer_with(f, 31900 + 10 * version + n, 0 if each == whole else each + 12)
            check(length == each, "IPv%d, segments of %d: %s" % (version, each, length))
            counters = two.settled()
            sent = counters.get("foreign", 0)
            check(2000000 // each <= sent == counters.get("sent1") < 2600000 // each, "segments of %d: %s" % (each, counters))
            with inside("r2"):
                packets = sum(queued("r2").values()) - before
            # a slow machine sends smaller packets
            check(packets < sent // (3 if SLOW == 1 else 2), "segments of %d: the queue had %d packets for %d" % (each, packets, sent))
    at("r2", "conntrack -F")


def test_large_udp(two):
    """A train of datagrams that the server gives to its kernel as one: only the kernel knows how long each is."""
    for version, f in FAMILIES.items():
        client, server = sock("cl", f, socket.SOCK_DGRAM, f["C"], 4700), sock("srv", f, socket.SOCK_DGRAM, f["S"], 4701)
        client.sendto(b"opens it at r1", (f["S"], 4701))
        target = server.recvfrom(100)[1]
        foreign_entry(f, "udp", 4700, 4701)
        two.clear()
        parts = [os.urandom(1001) for _ in range(20)] + [b"the last is shorter"]
        server.sendmsg([b"".join(parts)], [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("H", 1001))], 0, target)
        got = []
        try:
            for _ in parts:
                got.append(client.recvfrom(65535)[0])
        except socket.timeout:
            pass
        check(got == parts, "IPv%d: a train of UDP: %d of %d datagrams" % (version, len(got), len(parts)))
        check(two.settled().get("foreign") == len(parts), "IPv%d: a train of UDP: %s" % (version, two.counters()))
        client.close(), server.close()


SEEN = """
table inet seen {
 chain forward {
  type filter hook forward priority -5
  iifname "eth1" counter comment "eth1"
  iifname "dsaa0" counter comment "dsaa0"
 }
}
"""


def test_interface(one):
    """What peers carried to r1 enters by the interface where it would have come in, or by dsaa0 when the kernel cannot do that."""

    def traffic(base, entered):
        at("r1", "nft add table inet seen")
        at("r1", "nft delete table inet seen")
        load("r1", SEEN)
        for version, f in FAMILIES.items():
            check(udp_echo(f, base + version, 8000, True) is True, "IPv%d: UDP by %s" % (version, entered))
            check(tcp_transfer(f, base + version, 300000, True, 7102) is True, "IPv%d: TCP by %s" % (version, entered))
        text = at("r1", "nft list table inet seen")
        packets = {name: int(n) for n, name in re.findall(r'counter packets (\d+) bytes \d+ comment "([^"]*)"', text)}
        for name, n in packets.items():
            check((n > 4) == (name == entered), "by %s: %s" % (entered, packets))

    traffic(31300, "eth1")
    at("r1", "tc filter del dev dsaa0 parent ffff:")
    traffic(31310, "dsaa0")
    at("r1", "nft delete table inet seen")
    at("r2", "conntrack -F")


def queued(node):
    """{queue: packets that went through} of the queues of site 1 in a node."""
    with open("/proc/net/netfilter/nfnetlink_queue") as f:
        lines = [line.split() for line in f]
    first = 37850 + 22
    return {int(words[0]) - first: int(words[7]) for words in lines if first <= int(words[0]) < first + 8}


def test_spread(two):
    """The packets of foreign connections are spread over the queues by their addresses; each connection keeps its order, with whole
    datagrams and fragments by turns.
    """
    f, each, sources = FAMILIES[4], 50, ["10.9.0.%d" % n for n in range(101, 125)]
    client = sock("cl", f, socket.SOCK_DGRAM, f["C"], 4600)
    # all of them wait there until they are read, whatever net.core.rmem_max says
    client.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)
    servers, net = [], "10.9.0.96/27"
    for node, way in (("cl", f["c1"][1]), ("r1", f["s1"][0]), ("r2", f["s2"][0])):
        at(node, "ip route add %s via %s" % (net, way))
    for source in sources:
        at("srv", "ip addr add %s/32 dev lo" % source)
        servers.append(sock("srv", f, socket.SOCK_DGRAM, source, 4601))
        client.sendto(b"opens it at r1", (source, 4601))
        servers[-1].recvfrom(100)
        foreign_entry({**f, "S": source}, "udp", 4600, 4601)
    two.clear()
    with inside("r2"):
        before = queued("r2")
    for n in range(each):
        for server in servers:
            server.sendto(b"%d " % n + b"x" * (4000 if n % 7 == 3 else 0), (f["P"], 4600))
    counters = two.settled()
    check(counters.get("foreign") == each * len(sources), "spread: counted %s" % counters)
    with inside("r2"):
        after = queued("r2")
    grown = {q: after[q] - before[q] for q in after}
    check(len(grown) == 3 and all(grown.values()), "spread: queues %s" % grown)
    check(sum(grown.values()) == each * len(sources), "spread: queues %s" % grown)
    got = {source: [] for source in sources}
    try:
        for _ in range(each * len(sources)):
            data, source = client.recvfrom(65535)
            number, rest = data.split(b" ")
            got[source[0]].append(int(number) if len(rest) in (0, 4000) else "cut")
    except socket.timeout:
        pass
    wrong = {source: numbers for source, numbers in got.items() if numbers != list(range(each))}
    check(not wrong, "spread: not in order, or lost: %s" % wrong)
    for server, source in zip(servers, sources):
        server.close()
        at("srv", "ip addr del %s/32 dev lo" % source)
    for node in ("cl", "r1", "r2"):
        at(node, "ip route del " + net)
    client.close()


def test_overload(two):
    """Packets that the kernel could not hand over are counted, every one."""
    f, count = FAMILIES[4], 40000
    foreign_entry(f, "udp", 4500, 4501)
    server = sock("srv", f, socket.SOCK_DGRAM, f["S"], 4501)
    server.connect((f["P"], 4500))
    two.clear()
    two.process.send_signal(signal.SIGSTOP)
    for n in range(count):
        server.send(b"x")
        if n % 500 == 499:
            time.sleep(0.002)  # a busy machine drops what waits for its network stack, and counts that elsewhere
    two.process.send_signal(signal.SIGCONT)
    two.settled()
    server.send(b"the gap shows when the next one comes")
    counters = two.settled()
    check(counters.get("queue-overload", 0) > 0, "no overload: %s" % counters)
    total = sum(counters.get(name, 0) for name in ("foreign", "queue-overload", "send-failed"))
    check(total == count + 1, "overload: %d of %d counted: %s" % (total, count + 1, counters))
    server.close()


def test_queue_gone(two):
    """The daemon is gone, the rules are there: nothing foreign leaks, the rest goes on."""
    f = FAMILIES[4]
    two.kill()
    with inside("cl"):
        sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
    sniffer.bind(("c2", 0x0800))
    check(udp_echo(f, 4200, 50, True) == "no answer", "an answer without a daemon")
    check(not select.select([sniffer], [], [], 0.2)[0], "a foreign packet leaked")
    sniffer.close()
    at("cl", "ip route replace %s via %s" % (f["S"], f["c2"][1]))
    server = sock("srv", f, socket.SOCK_DGRAM, f["S"], 4203)
    client = sock("cl", f, socket.SOCK_DGRAM, f["C"], 4202)
    client.sendto(b"own", (f["S"], 4203))
    data, source = server.recvfrom(100)
    server.sendto(data, source)
    check(client.recv(100) == b"own", "own connections without a daemon")
    at("cl", "ip route replace %s via %s" % (f["S"], f["c1"][1]))
    client.close(), server.close()


def test_masks(program):
    """The owner bits may lie anywhere in the mark; the user's bits beside them do not matter."""
    for mask, mark in (("000000f0", 0x10), ("00000ff0", 0xabc0001f), ("f0000000", 0x1fffffff)):
        one, two = Site(1, program, mask), Site(2, program, mask)
        f = FAMILIES[4]
        foreign_entry(f, "udp", 4300, 4301, mark=mark)
        server = sock("srv", f, socket.SOCK_DGRAM, f["S"], 4301)
        server.sendto(b"x", (f["P"], 4300))
        check(two.counter("foreign", 1) == 1, "mask %s: %s" % (mask, two.counters()))
        server.close()
        at("r2", "conntrack -D -p udp --orig-port-src 4300")
        check(one.quit() == "ok" and two.quit() == "ok", "quit")
    check("dsaa" not in at("r1", "nft list tables"), "the table is left over")
    check("dsaa0" not in at("r1", "ip link"), "the TAP device is left over")


def test_unprivileged(program):
    """Without root, with CAP_NET_ADMIN and an open /dev/net/tun, all works."""
    with inside("r1"):
        fd = os.open("/dev/net/tun", os.O_RDWR)
    # the build may lie where only root may look
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        try:
            one, two = Site(1, shutil.copy(program, folder), tun_fd=fd), Site(2, program)
        finally:
            os.close(fd)
    check(one.say("status").endswith("why="), "not root: " + one.say("status"))
    for f in FAMILIES.values():
        check(udp_echo(f, 4400, 3000, True) is True, "not root: UDP")
    check(one.counter("delivered", 2) == 2, "not root: %s" % one.counters())
    at("r1", "ip link del dsaa0")
    check("removed the TAP device" in one.say("status"), "a removed device: " + one.say("status"))
    check(udp_echo(FAMILIES[4], 4401, 50, True) == "no answer", "an answer without a device")
    check(one.counter("deliver-failed", 1) == 1, "a removed device: %s" % one.counters())
    check(one.quit() == "ok" and two.quit() == "ok", "quit")


def run_all(program):
    one, two = Site(1, program), Site(2, program)
    test_own_untouched(one, two)
    test_events()
    test_corrected(one, two, True, 20000)
    test_corrected(one, two, False, 21000)
    test_nothing_left(one, two)
    test_refused(one)
    test_loop(one)
    test_expected(one, two, 26000)
    test_router_itself(one)
    test_hold(two)
    test_policy(one, two)
    test_words(two)
    test_reconfigure(one, two)
    test_trains(one, two)
    test_large(two)
    test_large_udp(two)
    test_spread(two)
    test_overload(two)
    test_interface(one)
    test_queue_gone(two)
    check(one.quit() == "ok", "quit of r1")
    test_unprivileged(program)
    test_masks(program)


def main():
    if os.geteuid() != 0:
        print("skipped: needs root")
        return 77
    program = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "tests/edge/nfq_mini")
    try:
        build()
        run_all(program)
    finally:
        destroy()
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
