#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's fast path with real packets, in the network of nfq_correct_test.py: the same traffic, and what is its own.

Entries of the other site are made by hand. Run as root; without root, or without the fast path, it is skipped. The argument is
the path of nfq_mini.
"""

import ctypes
import os
import re
import select
import socket
import struct
import subprocess
import sys
import tempfile

import nfq_correct_test as base
from nfq_correct_test import FAMILIES, MARK1, Site, at, check, foreign_entry, inside, load, sock, tunnel

# of <linux/in.h>, not in the socket module
IP_RECVTTL = 12

SEEN = """
table inet seen {
 chain forward {
  type filter hook forward priority -5
  iifname "eth1" counter comment "eth1"
  iifname "dsaa0" counter comment "dsaa0"
  iifname "dsaa-vx" counter comment "dsaa-vx"
  meta mark != 0 counter comment "marked"
 }
}
"""


def seen():
    """Packets forwarded at r1 by the interface they came in, and those that carry a mark."""
    text = at("r1", "nft list table inet seen")
    return {name: int(n) for n, name in re.findall(r'counter packets (\d+) bytes \d+ comment "([^"]*)"', text)}


BPF_PROG_DETACH, BPF_PROG_GET_FD_BY_ID, BPF_OBJ_GET_INFO_BY_FD, BPF_PROG_QUERY, BPF_TCX_INGRESS = 9, 13, 15, 16, 46


def bpf(command, data):
    """The system call, since the tools of Debian 12 know no tcx; (result, DATA as the kernel left it)."""
    buf = ctypes.create_string_buffer(data, len(data))
    return base.libc.syscall(321 if os.uname().machine == "x86_64" else 280, command, buf, len(data)), buf.raw


def tcx_programs(node, ifname, wanted=b"dsaa_to_owner"):
    """Descriptors of our programs that hang there by tcx; None when the kernel has no tcx."""
    with inside(node):
        ids = (ctypes.c_uint32 * 64)()
        query = struct.pack("=IIIIQIIQQQQ", socket.if_nametoindex(ifname), BPF_TCX_INGRESS, 0, 0, ctypes.addressof(ids), 64, 0, 0, 0, 0, 0)
        result, answer = bpf(BPF_PROG_QUERY, query)
    if result < 0:
        return None
    fds = []
    for n in range(struct.unpack_from("=I", answer, 24)[0]):
        fd = bpf(BPF_PROG_GET_FD_BY_ID, struct.pack("=III", ids[n], 0, 0))[0]
        info = ctypes.create_string_buffer(256)
        bpf(BPF_OBJ_GET_INFO_BY_FD, struct.pack("=IIQ", fd, 256, ctypes.addressof(info)))
        # struct bpf_prog_info: name after 64 bytes
        if info.raw[64:80].rstrip(b"\0") == wanted:
            fds.append(fd)
        else:
            os.close(fd)
    return fds


def bpf_programs(node):
    """How many of our programs are at eth1."""
    fds = tcx_programs(node, "eth1")
    filters = at(node, "tc filter show dev eth1 ingress", may_fail=True).count("name dsaa_to_owner")
    for fd in fds or []:
        os.close(fd)
    return filters + len(fds or [])


def take_away(node):
    """Somebody removes our program from eth1."""
    at(node, "tc filter del dev eth1 ingress pref 3785", may_fail=True)
    with inside(node):
        index = socket.if_nametoindex("eth1")
    for fd in tcx_programs(node, "eth1") or []:
        with inside(node):
            bpf(BPF_PROG_DETACH, struct.pack("=IIIIIIQ", index, fd, BPF_TCX_INGRESS, 0, 0, 0, 0))
        os.close(fd)


def test_original_interface(two):
    """TTL, DSCP, interface and marks at the owner are as if the packet had come in there; rp_filter is strict."""
    for version, f in FAMILIES.items():
        v4, port = version == 4, 22000 + version
        client = sock("cl", f, socket.SOCK_DGRAM, f["C"], port)
        server = sock("srv", f, socket.SOCK_DGRAM, f["S"], 7000)
        level = socket.IPPROTO_IP if v4 else socket.IPPROTO_IPV6
        client.setsockopt(level, IP_RECVTTL if v4 else socket.IPV6_RECVHOPLIMIT, 1)
        client.setsockopt(level, socket.IP_RECVTOS if v4 else socket.IPV6_RECVTCLASS, 1)
        server.setsockopt(level, socket.IP_TOS if v4 else socket.IPV6_TCLASS, 0xb8)
        foreign_entry(f, "udp", port, 7000)
        client.sendto(b"x", (f["S"], 7000))
        source = server.recvfrom(100)[1]
        two.clear()
        before = seen()
        server.sendto(b"y", source)
        data, control, _, peer = client.recvmsg(100, 200)
        values = {c[1]: int.from_bytes(c[2][:4], "little") for c in control}
        ttl = values.get(socket.IP_TTL if v4 else socket.IPV6_HOPLIMIT)
        tos = values.get(socket.IP_TOS if v4 else socket.IPV6_TCLASS)
        after = seen()
        check(ttl == 63, "IPv%d: TTL %s" % (version, ttl))
        check(tos == 0xb8, "IPv%d: DSCP %s" % (version, tos))
        check(peer[0] == f["S"], "IPv%d: from %s" % (version, peer[0]))
        check(two.counter("kernel-foreign", 1) == 1, "IPv%d: not in the kernel: %s" % (version, two.counters()))
        check(after["eth1"] == before["eth1"] + 1, "IPv%d: not from eth1: %s" % (version, after))
        check(after["dsaa0"] == before["dsaa0"] and after["dsaa-vx"] == 0 and after["marked"] == 0,
              "IPv%d: device or mark: %s" % (version, after))
        client.close(), server.close()


def test_slow_path_behind(one, two):
    """What the programs leave is carried by the queue thread, and judged behind the original interface."""
    f = FAMILIES[4]
    one.clear(), two.clear()
    check(base.ping(f, 23000, 4000, True) is True, "a ping of fragments")
    check(two.settled().get("kernel-foreign", 0) == 0 and two.counter("foreign", 1) == 1, "ping: %s" % two.counters())
    check(one.counter("kernel-delivered", 1) == 1, "ping at the owner: %s" % one.counters())


def through_device(node):
    return int(at(node, "cat /sys/class/net/dsaa-vx/statistics/rx_packets"))


def links_served(node):
    """How many programs take tunnel packets from the site-sync link before the stack; None: there is no tcx."""
    fds = tcx_programs(node, "sync", b"dsaa_from_link")
    for fd in fds or []:
        os.close(fd)
    return None if fds is None else len(fds)


def test_straight(one):
    """Plain tunnel packets are taken before the stack, all others by the device; with IPsec all by the device."""
    if links_served("r1") is None:
        return
    check(links_served("r1") == 1, "nothing hangs at the site-sync link")
    for version, f in FAMILIES.items():
        entry = (f, "udp", 24100, 24101)
        foreign_entry(*entry)
        server = sock("srv", f, socket.SOCK_DGRAM, f["S"], 24101)
        client = sock("cl", f, socket.SOCK_DGRAM, f["C"], 24100)
        client.sendto(b"x", (f["S"], 24101))
        server.recvfrom(100)

        def answer(size, device, what):
            one.clear()
            before = through_device("r1")
            server.sendto(b"y" * size, (f["P"], 24100))
            check(len(client.recvfrom(10000)[0]) == size, "IPv%d, %s: it did not come" % (version, what))
            check(one.counter("kernel-delivered", 1) == 1, "IPv%d, %s: %s" % (version, what, one.counters()))
            came = through_device("r1") - before
            check(came == device, "IPv%d, %s: %d by the device" % (version, what, came))

        # mixed families: the tunnel is IPv4 for both
        answer(100, 0, "plain")
        answer(1400, 0, "large")
        at("r1", "ip xfrm policy add src 192.0.2.77/32 dst 192.0.2.78/32 dir in tmpl proto esp mode transport")
        check(one.say("fast").startswith("ok") and links_served("r1") == 0, "IPsec, and the link is served")
        answer(100, 1, "with IPsec")
        at("r1", "ip xfrm policy flush")
        check(one.say("fast").startswith("ok") and links_served("r1") == 1, "IPsec is gone, and the link is not served")
        answer(100, 0, "plain again")
        server.close(), client.close()


def by_device(node):
    """Packets that the tunnel's device sent."""
    return int(at(node, "cat /sys/class/net/dsaa-vx/statistics/tx_packets"))


def tunnel_frame(tap):
    """The next frame of the tunnel that comes in at the site-sync link of r1: outer IPv4 header, UDP and the rest; None: none came."""
    while select.select([tap], [], [], 2)[0]:
        frame = tap.recv(20000)[14:]
        if frame[9] == 17 and frame[22:24] == struct.pack("!H", 3786):
            return frame[:20], frame[20:28], frame[28:]
    return None


def test_on_link(two):
    """Outer headers that are put on without the stack are those that the tunnel's device writes; what is not plain is left to it."""
    if links_served("r2") is None:
        return
    with inside("r1"):
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    tap.bind(("sync", 3))
    for version, f in FAMILIES.items():
        entry = (f, "udp", 24200, 24201)
        foreign_entry(*entry)
        server = sock("srv", f, socket.SOCK_DGRAM, f["S"], 24201)
        client = sock("cl", f, socket.SOCK_DGRAM, f["C"], 24200)
        client.sendto(b"x", (f["S"], 24201))
        server.recvfrom(100)

        def answer(size, tos, device, what):
            while select.select([tap], [], [], 0)[0]:
                tap.recv(20000)
            level = (socket.IPPROTO_IP, socket.IP_TOS) if version == 4 else (socket.IPPROTO_IPV6, socket.IPV6_TCLASS)
            server.setsockopt(*level, tos)
            before = by_device("r2")
            server.sendto(b"y" * size, (f["P"], 24200))
            check(len(client.recvfrom(10000)[0]) == size, "IPv%d, %s: it did not come" % (version, what))
            sent = by_device("r2") - before
            check(sent == device, "IPv%d, %s: %d by the device" % (version, what, sent))
            return tunnel_frame(tap)

        for tos in (0, 0xb9, 0xba, 0xbb):
            at("r2", "ip xfrm policy add src 192.0.2.77/32 dst 192.0.2.78/32 dir out tmpl proto esp mode transport")
            check(two.say("fast").startswith("ok"), "IPsec")
            theirs = answer(100, tos, 1, "with IPsec, tos %x" % tos)
            at("r2", "ip xfrm policy flush")
            check(two.say("fast").startswith("ok"), "IPsec is gone")
            ours = answer(100, tos, 0, "tos %x" % tos)
            check(ours and theirs, "IPv%d, tos %x: no frame" % (version, tos))
            if not ours or not theirs:
                continue
            # but for what is chance: identification, checksum; source port
            plain = lambda ip: ip[:4] + ip[6:10] + ip[12:]
            check(plain(ours[0]) == plain(theirs[0]), "IPv%d, tos %x: outer header\n%s\n%s" % (version, tos, ours[0].hex(), theirs[0].hex()))
            check(ours[1][2:] == theirs[1][2:], "IPv%d, tos %x: UDP %s %s" % (version, tos, ours[1].hex(), theirs[1].hex()))
            # of the two packets inside; IPv6 has none of both
            packet = lambda data: data[:22] + (plain(data[22:42]) + data[42:] if version == 4 else data[22:])
            check(packet(ours[2]) == packet(theirs[2]), "IPv%d, tos %x: inside\n%s\n%s" % (version, tos, ours[2].hex(), theirs[2].hex()))
            check(base.checksum(ours[0]) == 0, "IPv%d, tos %x: checksum" % (version, tos))
            check(int.from_bytes(ours[1][:2], "big") >= 49152, "IPv%d: source port %s" % (version, ours[1].hex()))
        at("r2", "ip neigh flush dev sync")
        answer(100, 0, 1, "the neighbour is not known")
        answer(100, 0, 0, "the neighbour is known again")
        answer(1450, 0, 1, "longer than the link takes")
        server.close(), client.close()
    tap.close()


def icmp_echo(src, dst, ident):
    body = b"\x00\x00" + b"\0\0" + ident.to_bytes(2, "big") + b"\0\1"
    return base.ip4(src, dst, 1, body[:2] + base.checksum(body).to_bytes(2, "big") + body[4:])


def test_refused(one):
    f = FAMILIES[4]
    good = base.udp4(f["S"], f["P"], 5, 6)
    wrap = base.encapsulate
    cases = (
        ("tunnel-malformed", wrap(b"\x95" + good[1:]), "no IP"),
        ("tunnel-malformed", wrap(good[:2] + b"\xff\xff" + good[4:]), "longer than it is"),
        ("tunnel-malformed", wrap(good, iface=0x4000), "a number of no interface"),
        ("tunnel-malformed", wrap(good)[:8] + b"\x06" + wrap(good)[9:], "an Ethernet address of no site"),
        ("tunnel-stranger", wrap(good, source=3), "another site's number"),
        ("tunnel-stranger", wrap(good, target=4), "not for us"),
        ("tunnel-unknown-interface", wrap(good, iface=40), "an unknown interface"),
        ("second-chance-not-ours", wrap(base.tcp4(f["S"], f["C"], 5, 6, 0x10), second_chance=True), "second chance of no connection"),
    )
    # refused by the queue thread, behind the original interface, where conntrack knows what is expected
    opens = (
        (wrap(good), "a packet that would open a connection"),
        (wrap(base.tcp4(f["S"], f["C"], 5, 6, 0x02)), "a TCP packet that would open a connection"),
        (wrap(base.tcp4(f["S"], f["C"], 5, 6, 0x10)), "a TCP packet of no connection"),
        (wrap(icmp_echo(f["S"], f["P"], 77)), "an echo reply of no connection"),
    )
    # with a checksum of UDP by the device, without it straight from the link
    for checksum in (True, False):
        for reason, data, what in cases:
            one.clear()
            tunnel(data, checksum=checksum)
            check(one.counter("kernel-" + reason, 1) == 1, "%s: not %s: %s" % (what, reason, one.counters()))
            check(one.counter("delivered") == 0, "%s: delivered: %s" % (what, one.counters()))
        for data, what in opens:
            one.clear()
            tunnel(data, checksum=checksum)
            check(one.counter("tunnel-opens", 1) == 1, "%s: not refused: %s" % (what, one.counters()))
            check(one.settled().get("delivered", 0) == 0, "%s: counted as delivered and refused: %s" % (what, one.counters()))
    at("cl", "ip route replace %s via %s" % (f["sync"][0], f["c1"][1]))
    one.clear()
    tunnel(wrap(good), "cl", f["c1"][0])
    # by the table
    check(one.counter("tunnel-stranger", 1) == 1, "a stranger's packet: %s" % one.counters())


def test_loop(one):
    f = FAMILIES[4]
    foreign_entry(f, "udp", 24000, 24001, node="r1", mark=0x02000000)
    foreign_entry(f, "icmp", ident=78, node="r1", mark=0x02000000)
    for inner in (base.udp4(f["S"], f["P"], 24001, 24000), icmp_echo(f["S"], f["P"], 78)):
        one.clear()
        tunnel(base.encapsulate(inner))
        check(one.counter("loop", 1) == 1, "loop: %s" % one.counters())
        check(one.settled().get("delivered", 0) == 0, "loop: counted twice: %s" % one.counters())
        check(one.counter("sent2") == 0, "loop: travelled on: %s" % one.counters())


def test_forged_source(two):
    """A host that sends with a site's Ethernet address has its packets judged as a peer's: they travel no further."""
    f = FAMILIES[4]
    foreign_entry(f, "udp", 25000, 25001)
    with inside("srv"):
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind(("s2", 0))
    dst = bytes.fromhex(at("r2", "cat /sys/class/net/eth1/address").strip().replace(":", ""))
    two.clear()
    s.send(dst + bytes((2, 0xd5, 0xaa, 0, 0, 1)) + b"\x08\x00" + base.udp4(f["S"], f["P"], 25001, 25000))
    check(two.counter("loop", 1) == 1 and two.counter("kernel-foreign") == 0, "forged source, foreign: %s" % two.counters())
    s.send(dst + bytes((2, 0xd5, 0xaa, 0, 0, 1)) + b"\x08\x00" + base.tcp4(f["S"], f["C"], 5, 6, 0x02))
    check(two.counter("tunnel-opens", 1) == 1, "forged source, a new connection: %s" % two.counters())
    s.close()


def test_to_router(two):
    """A packet for the router itself, of an entry that says otherwise, is counted once."""
    f = FAMILIES[4]
    at("r2", "conntrack -I -p udp -s %s -d %s --sport 25100 --dport 25101 -t 60 --mark %d" % (f["S"], f["s2"][1], MARK1))
    server = sock("srv", f, socket.SOCK_DGRAM, f["S"], 25100)
    two.clear()
    server.sendto(b"x", (f["s2"][1], 25101))
    check(two.counter("to-router", 1) == 1 and two.settled().get("to-router") == 1, "to the router: %s" % two.counters())
    check(two.counter("sent1") == 0, "to the router: carried away")
    server.close()


def test_words(two):
    f = FAMILIES[4]
    foreign_entry(f, "udp", 26000, 26001)
    server = sock("srv", f, socket.SOCK_DGRAM, f["S"], 26001)
    for word, reason in (("alive", "foreign"), ("unreachable", "owner-unreachable"), ("adopted", None), ("alive", "foreign")):
        two.word(1, word)
        two.clear()
        server.sendto(b"x", (f["P"], 26000))
        counters = two.settled() if reason is None else {}
        if reason:
            check(two.counter("kernel-" + reason, 1) == 1, "%s: not %s: %s" % (word, reason, two.counters()))
        else:
            check(not any(n in counters for n in ("foreign", "owner-unreachable", "sent1")), "adopted: %s" % counters)
    check(bpf_programs("r2") == 1, "nothing hangs at eth1")
    check(two.say("gate 0").startswith("ok") and bpf_programs("r2") == 0, "the gate is closed, and something hangs at eth1")
    two.clear()
    server.sendto(b"x", (f["P"], 26000))
    check(two.counter("foreign", 1) == 1 and two.counter("kernel-foreign") == 0, "the gate: %s" % two.counters())
    two.say("gate 1")
    check(bpf_programs("r2") == 1, "the gate is open, and nothing hangs at eth1")
    two.say("observe 1")
    two.clear()
    server.sendto(b"x", (f["P"], 26000))
    # nfq_mini's rules are as ever, so the queue thread carries it
    check(two.counter("kernel-would-correct", 1) == 1 and two.counter("foreign", 1) == 1, "observe: %s" % two.counters())
    two.say("observe 0")
    server.close()


def test_filter(two):
    """Only what the filter knows is looked up; the slow path carries the rest."""
    f = FAMILIES[4]
    for port, known in ((26100, False), (26101, True), (26102, True)):
        foreign_entry(f, "udp", port, 26001)
        if known:
            two.say("know %s 26001 %s %d" % (f["S"], f["P"], port))
    check(two.say("fill 100") == "ok 100", "filling")
    server = sock("srv", f, socket.SOCK_DGRAM, f["S"], 26001)
    two.clear()
    for port in (26100, 26101, 26102):
        server.sendto(b"x", (f["P"], port))
    check(two.counter("foreign", 3) == 3 and two.counter("kernel-foreign") == 2, "the filter: %s" % two.counters())
    two.say("forget")
    two.clear()
    server.sendto(b"x", (f["P"], 26100))
    check(two.counter("kernel-foreign", 1) == 1, "without the filter: %s" % two.counters())
    server.close()


def test_beside_others(two):
    """Other people's filters before and behind ours see the packets that ours lets go; ours is repaired."""
    take_away("r2")
    check(bpf_programs("r2") == 0, "it could not be taken away")
    check(two.say("fast").startswith("ok pinned=1 repaired=1 kernel=11"), "not repaired")
    check(bpf_programs("r2") == 1, "the program is not back")
    at("r2", "ip link set dsaa-vx down")
    check("repaired=1" in two.say("fast"), "the device is not up again")
    at("r2", "ip link del dsaa-vx")
    check(two.say("fast").startswith("ok pinned=1"), "the device is not made again")
    check(base.udp_echo(FAMILIES[4], 27000, 100, True) is True, "after the repair")
    at("r2", "tc qdisc add dev eth1 clsact", may_fail=True)
    at("r2", "tc filter add dev eth1 ingress protocol all pref 60000 u32 match u32 0 0 action mirred egress mirror dev lo", True)


def test_survives(program, two, bpffs):
    """Killed, it goes on; started again, it knows what it knew."""
    f = FAMILIES[4]
    two.word(1, "alive")
    two.kill()
    check(base.udp_echo(f, 28000, 100, True) is True, "UDP without a process")
    check(base.tcp_transfer(f, 28001, 300000, True) is True, "TCP without a process")
    again = Site(2, program, more=["fast", bpffs], alive=False)
    check(base.udp_echo(f, 28002, 100, True) is True, "UDP after the restart, with no word told again")
    check(again.counter("kernel-foreign", 3) >= 3, "the counters are kept: %s" % again.counters())
    check(bpf_programs("r2") == 1, "not one program, but %d" % bpf_programs("r2"))
    check(links_served("r2") in (None, 1), "not one program at the site-sync link, but %s" % links_served("r2"))
    again.word(1, "alive")
    return again


def test_owner_away(one):
    """The owner's daemon is killed: what comes through the tunnel reaches its connection (P1), and opens none (P4)."""
    f = FAMILIES[4]
    good = base.udp4(f["S"], f["P"], 5, 6)
    client = sock("cl", f, socket.SOCK_DGRAM, f["C"], 6)
    one.kill()
    for port, entry in ((28100, True), (28200, False)):
        check(base.udp_echo(f, port, 100, entry) is True, "UDP without the owner's process")
        check(base.tcp_transfer(f, port + 1, 300000, entry) is True, "TCP without the owner's process")
    for inner in (good, base.udp4(f["S"], f["C"], 5, 6), base.tcp4(f["S"], f["C"], 5, 6, 0x02)):
        for second_chance in (False, True):
            tunnel(base.encapsulate(inner, second_chance=second_chance), checksum=False)
    client.settimeout(0.3)
    try:
        check(not client.recv(10), "a packet of no connection passed the owner")
    except socket.timeout:
        check("sport=5 " not in at("r1", "conntrack -L", may_fail=True), "a packet of a peer opened a connection at the owner")
    client.close()


def test_removed(node):
    links = at(node, "ip -o link")
    check("dsaa-vx" not in links, "%s: the device is left" % node)
    check("clsact" not in at(node, "tc qdisc show dev eth0"), "%s: a qdisc is left" % node)
    check(bpf_programs(node) == 0, "%s: a program is left" % node)
    check(not links_served(node), "%s: a program is left at the site-sync link" % node)


def test_swept(program, dsaad, bpffs):
    """What a killed daemon leaves goes with "dsaad --sweep", and nothing else does."""
    site = Site(2, program, more=["fast", bpffs])
    site.say("fast")
    at("r2", "ip addr add 192.0.2.99/32 dev eth0 label eth0:dsaa")
    sweep = ["ip", "netns", "exec", base.PREFIX + "-r2", dsaad, "--sweep=" + bpffs]
    done = subprocess.run(sweep, capture_output=True, text=True)
    check(done.returncode == 1 and "runs here" in done.stderr, "swept while it runs: %s" % done)
    check("inet dsaa" in at("r2", "nft list tables") and bpf_programs("r2") == 1, "swept though it runs")
    site.kill()
    check("inet dsaa" in at("r2", "nft list tables") and bpf_programs("r2") == 1, "nothing is left to be swept")
    # the folder of r1 is there, too
    pins = len(os.listdir(bpffs + "/dsaa"))
    done = subprocess.run(sweep, capture_output=True, text=True)
    check(done.returncode == 0, "sweep: %s" % done)
    test_removed("r2")
    check("inet dsaa" not in at("r2", "nft list tables"), "the table is left")
    check("inet filter" in at("r2", "nft list tables"), "another one's table is gone")
    check(len(os.listdir(bpffs + "/dsaa")) == pins - 1, "pins are left")
    addresses = at("r2", "ip addr show dev eth0")
    check("192.0.2.99" not in addresses and "192.0.2.6" in addresses, "addresses: %s" % addresses)
    check(subprocess.run(sweep).returncode == 0, "a second sweep")


def run_mixed(program, kernel, bpffs):
    """One site with the fast path, the other one without; as on a wire, where no half-made checksum travels."""
    for node in ("r1", "r2"):
        at(node, "ethtool -K sync tx off gso off tso off")
    sites = {n: Site(n, program, more=["fast", bpffs] if n == kernel else []) for n in (1, 2)}
    for version, f in FAMILIES.items():
        how = "fast path at site %d only, IPv%d" % (kernel, version)
        port = 29000 + 1000 * kernel + version * 100
        for what, test in (
            ("UDP", lambda: base.udp_echo(f, port, 100, True)),
            ("UDP of 8 KB", lambda: base.udp_echo(f, port + 1, 8000, True)),
            ("ping", lambda: base.ping(f, port + 2, 56, True)),
            ("port unreachable", lambda: base.port_unreachable(f, port + 3, True)),
            ("TCP", lambda: base.tcp_transfer(f, port + 4, 300000, True)),
            ("TCP, no entry", lambda: base.tcp_transfer(f, port + 5, 300000, False)),
        ):
            result = test()
            check(result is True, "%s, %s: %s %s %s" % (what, how, result, sites[1].counters(), sites[2].counters()))
    for site in sites.values():
        check(site.quit() == "ok", "quit")
    for node in ("r1", "r2"):
        at(node, "ethtool -K sync tx on gso on tso on")


def run_all(program, bpffs):
    fast = ["fast", bpffs]
    one, two = (Site(n, program, more=fast, links=(4,)) for n in (1, 2))
    # kernels before 5.10 have no such hook
    print("tunnel packets are looked for %s" % ("at the link" if "hook ingress" in at("r2", "nft list table inet dsaa") else "in all packets"))
    load("r1", SEEN)
    at("r2", "sysctl -qw net.ipv4.conf.all.rp_filter=1")
    check(two.say("fast") == "ok pinned=1 repaired=0 kernel=11 why=", "status: " + two.say("fast"))
    base.test_own_untouched(one, two)
    base.test_corrected(one, two, True, 20000)
    base.test_corrected(one, two, False, 21000)
    check("3786" not in at("r1", "conntrack -L") + at("r2", "conntrack -L"), "the tunnel is tracked")
    test_original_interface(two)
    test_slow_path_behind(one, two)
    test_straight(one)
    test_on_link(two)
    test_refused(one)
    test_loop(one)
    base.test_expected(one, two, 26000)
    base.test_router_itself(one)
    test_forged_source(two)
    test_to_router(two)
    test_words(two)
    test_filter(two)
    test_mtu(one, two)
    test_beside_others(two)
    two = test_survives(program, two, bpffs)
    test_owner_away(one)
    one = Site(1, program, more=fast, links=(4,))
    check(one.quit() == "ok", "quit of r1")
    at("r2", "tc filter del dev eth1 ingress pref 60000", may_fail=True)
    check(two.quit() == "ok", "quit of r2")
    test_removed("r1")
    test_over_ipv6(program, bpffs)
    test_removed("r2")
    test_swept(program, os.path.join(os.path.dirname(program), "../../dsaad/dsaad"), bpffs)
    test_clsact(program, bpffs)
    run_mixed(program, 1, bpffs)
    run_mixed(program, 2, bpffs)


def test_mtu(one, two):
    """Path MTU discovery through site-sync links of MTU 1500 and 9000, with a narrow way behind the owner: the owner's error reaches the
    server, and what it sends then arrives.
    """
    way = lambda width: [at("r1", "ip route replace %s via %s mtu lock %d" % (f["C"], f["c1"][0], width)) for f in FAMILIES.values()]
    port = 38000
    for mtu in (1500, 9000):
        for node in ("r1", "r2"):
            at(node, "ip link set sync mtu %d" % mtu)
        for width in (1500, 1300):
            way(width)
            for version, f in FAMILIES.items():
                what = "site-sync link of %d, way of %d, IPv%d" % (mtu, width, version)
                two.clear()
                port += 2
                check(base.tcp_transfer(f, port, 500000, True) is True, "TCP: " + what)
                check(base.udp_echo(f, port + 1, 1200, True) is True, "UDP: " + what)
                check(two.counter("kernel-foreign", 5) >= 5, "not by the fast path: %s %s" % (what, two.counters()))
                if width < 1500:
                    route = at("srv", "ip route get %s" % f["P"])
                    check("mtu 1300" in route, "no path MTU at the server: %s: %s" % (what, route))
                at("srv", "ip -%d route flush cache" % version)
    for node in ("r1", "r2"):
        at(node, "ip link set sync mtu 1500")
    way(1500)


def test_over_ipv6(program, bpffs):
    """Sync-addresses of IPv6, whose packets the kernel's tunnel device does not fragment: what is too long for the link takes the queue."""
    one, two = (Site(n, program, more=["fast", bpffs], over=(6, 4)) for n in (1, 2))
    port = 39000
    for mtu in (1500, 1570):
        for node in ("r1", "r2"):
            at(node, "ip link set sync mtu %d" % mtu)
        check(two.say("fast").startswith("ok"), "over IPv6: " + two.say("fast"))
        for version, f in FAMILIES.items():
            what = "over IPv6, link of %d, IPv%d inside" % (mtu, version)
            for offload in (True, False):
                two.clear()
                port += 2
                at("srv", "ethtool -K s2 tso %s gso %s" % (("on" if offload else "off",) * 2))
                check(base.tcp_transfer(f, port, 500000, True) is True, "TCP: %s" % what)
                check(base.udp_echo(f, port + 1, 1200, True) is True, "UDP: %s" % what)
                check(two.counter("kernel-foreign", 1) >= 1, "nothing by the fast path: %s %s" % (what, two.counters()))
                if mtu == 1570:
                    check(two.counter("foreign") == two.counter("kernel-foreign"), "something by the queue: %s %s" % (what, two.counters()))
            at("srv", "ethtool -K s2 tso on gso on")
    for node in ("r1", "r2"):
        at(node, "ip link set sync mtu 1500")
    check(one.quit() == "ok" and two.quit() == "ok", "over IPv6: quit")


def test_clsact(program, bpffs):
    """Where the kernel has no tcx: filters of cls_bpf, before and behind those of others, which stay."""
    at("r2", "tc qdisc add dev eth1 clsact", may_fail=True)
    at("r2", "tc filter add dev eth1 ingress protocol all pref 100 u32 match u32 0 0 action mirred egress mirror dev lo continue")
    at("r2", "tc filter add dev eth1 ingress protocol all pref 60000 u32 match u32 0 0 action mirred egress mirror dev lo")
    filters = lambda: at("r2", "tc filter show dev eth1 ingress")
    theirs = lambda: [p in filters() for p in ("pref 100 ", "pref 60000 ")]
    more = ["kernel", "old", "fast", bpffs]
    one, two = Site(1, program, more=more), Site(2, program, more=more)
    check(two.say("fast") == "ok pinned=1 repaired=0 kernel=11 why=", "no tcx: " + two.say("fast"))
    check("dsaa_to_owner" in filters() and "dsaa_from_peer" in at("r2", "tc filter show dev dsaa-vx ingress"), "no tcx: no filters")
    check(not any(tcx_programs("r2", d) or links_served("r2") for d in ("eth0", "eth1")), "no tcx: a program hangs there by it")
    base.test_corrected(one, two, True, 35000)
    base.test_corrected(one, two, False, 36000)
    two.clear()
    check(base.udp_echo(FAMILIES[4], 36900, 100, True) is True, "no tcx: UDP")
    check(two.counter("kernel-foreign", 1) >= 1, "no tcx: the program behind another's filter: %s" % two.counters())
    check(theirs() == [True, True], "others' filters: " + filters())
    at("r2", "tc filter del dev eth1 ingress pref 3785")
    check("repaired=1" in two.say("fast") and "dsaa_to_owner" in filters(), "no tcx: not repaired")
    two.say("gate 0")
    check("dsaa_to_owner" not in filters() and theirs() == [True, True], "no foreign flow: " + filters())
    two.say("gate 1")
    check("dsaa_to_owner" in filters(), "a foreign flow: " + filters())
    # the same router with a new kernel: its process finds the filter, and leaves one program
    two.kill()
    check(base.udp_echo(FAMILIES[4], 37000, 100, True) is True, "no tcx: UDP without a process")
    two = Site(2, program, more=["fast", bpffs])
    two.say("fast")
    check(bpf_programs("r2") == 1 and theirs() == [True, True], "a filter and a program: " + filters())
    check(base.udp_echo(FAMILIES[4], 37001, 100, True) is True, "after the upgrade")
    check(one.quit() == "ok" and two.quit() == "ok", "no tcx: quit")
    check(theirs() == [True, True] and "dsaa" not in filters(), "others' filters at the end: " + filters())
    for node in ("r1", "r2"):
        at(node, "tc qdisc del dev eth1 clsact", node == "r1")
        test_removed(node)
        check("clsact" not in at(node, "tc qdisc show"), "%s: a qdisc is left" % node)


def available(program, bpffs):
    """Why there is no fast path here, or nothing."""
    done = subprocess.run(["ip", "netns", "exec", base.PREFIX + "-r1", program, "site", "1", "fast", bpffs], input="quit\n",
                          capture_output=True, text=True)
    return done.stdout[5:].strip() if done.stdout.startswith("none ") else ""


def main():
    if os.geteuid() != 0:
        print("skipped: needs root")
        return 77
    program = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "tests/edge/nfq_mini")
    bpffs = tempfile.mkdtemp(prefix="dsaa-bpffs-")
    subprocess.run(["mount", "-t", "bpf", "bpf", bpffs], check=True)
    try:
        base.build()
        why = available(program, bpffs)
        if why:
            print("skipped: " + why)
            return 77
        run_all(program, bpffs)
    finally:
        base.destroy()
        subprocess.run(["umount", bpffs])
        os.rmdir(bpffs)
    print("%d passed, %d failed" % (base.passed, base.failed))
    return 1 if base.failed else 0


if __name__ == "__main__":
    sys.exit(main())
