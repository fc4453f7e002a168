#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets of every kind between two hosts of the topotests; each answer is one line of JSON.

    probe.py echo ADDRESS PORT TOS                   UDP: every datagram goes back with that TOS or traffic class
    probe.py ask FROM TO PORT TOS COUNT SIZE         sends datagrams, one after the other; tells answers, hops left and TOS of these
    probe.py raw-echo ADDRESS PROTOCOL               packets of an IP protocol go back as they came (SCTP: INIT is acknowledged);
                                                     at the end tells how many
    probe.py raw-ask FROM TO PROTOCOL COUNT SIZE     sends such packets, one after the other; tells which had no answer, and how long
                                                     the slowest took
    probe.py trace FROM TO udp|icmp                  who answers for each number of hops
    probe.py mtu FROM TO SIZE                        datagrams that may not be cut; tells the path MTU that the errors give
"""

import json
import os
import select
import socket
import struct
import sys
import threading
import time

PATIENCE = 5.0  # a packet is lost or not: how long it takes is for the benchmarks
SCTP = 132
# of <linux/in.h> and <linux/in6.h>
V4 = dict(af=socket.AF_INET, level=socket.IPPROTO_IP, ttl=2, recvttl=12, tos=1, recvtos=13, mtu_discover=10, mtu=14,
          icmp=socket.IPPROTO_ICMP, exceeded=11, unreachable=3, ping=8, pong=0, got_ttl=2, got_tos=1)
V6 = dict(af=socket.AF_INET6, level=socket.IPPROTO_IPV6, ttl=16, recvttl=51, tos=67, recvtos=66, mtu_discover=23, mtu=24,
          icmp=socket.IPPROTO_ICMPV6, exceeded=3, unreachable=1, ping=128, pong=129, got_ttl=52, got_tos=67)


def say(what):
    print(json.dumps(what), flush=True)


def family(address):
    return V6 if ":" in address else V4


def bound(f, kind, address, port=0, proto=0):
    s = socket.socket(f["af"], kind, proto)
    s.bind((address, port))
    return s


def until_told(job, *arguments, then=lambda: None):
    threading.Thread(target=job, args=arguments, daemon=True).start()
    say({"ready": True})
    sys.stdin.read()
    then()
    os._exit(0)


# ------------------------------------------------------------ UDP


def echo(address, port, tos):
    f = family(address)
    s = bound(f, socket.SOCK_DGRAM, address, int(port))
    s.setsockopt(f["level"], f["tos"], int(tos))

    def answer():
        while True:
            data, peer = s.recvfrom(65535)
            s.sendto(data, peer)

    until_told(answer)


def ask(source, to, port, tos, count, size):
    f = family(source)
    s = bound(f, socket.SOCK_DGRAM, source)
    s.connect((to, int(port)))
    s.setsockopt(f["level"], f["tos"], int(tos))
    s.setsockopt(f["level"], f["recvttl"], 1)
    s.setsockopt(f["level"], f["recvtos"], 1)
    found = {"answers": 0, "ttl": [], "tos": []}
    for n in range(int(count)):
        data = b"%08d" % n + os.urandom(int(size) - 8)
        s.send(data)
        if not select.select([s], [], [], PATIENCE)[0]:
            continue
        back, control, _, _ = s.recvmsg(65535, 200)
        found["answers"] += back == data
        for level, kind, value in control:
            for name in ("ttl", "tos"):
                if level == f["level"] and kind == f["got_" + name]:
                    number = value[0] if len(value) < 4 else struct.unpack("i", value[:4])[0]
                    found[name] = sorted(set(found[name] + [number]))
    say(found)


# ------------------------------------------------------------ other protocols


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def sctp(sport, dport, tag, kind):
    """RFC 9260: an INIT (1) or INIT ACK (2)."""
    body = struct.pack("!IIHHI", 77, 65536, 1, 1, 1)
    packet = struct.pack("!HHII", sport, dport, tag, 0) + struct.pack("!BBH", kind, 0, 4 + len(body)) + body
    return packet[:8] + struct.pack("<I", crc32c(packet)) + packet[12:]


def payload(f, data):
    """A raw IPv4 socket gives the IP header, too."""
    return data if f is V6 else data[(data[0] & 15) * 4 :]


def raw_echo(address, protocol):
    f = family(address)
    s = bound(f, socket.SOCK_RAW, address, proto=int(protocol))
    answered = [0]

    def answer():
        while True:
            data, peer = s.recvfrom(65535)
            answered[0] += 1
            data = payload(f, data)
            if int(protocol) == SCTP:
                sport, dport = struct.unpack("!HH", data[:4])
                data = sctp(dport, sport, 77, 2)
            s.sendto(data, (peer[0], 0))

    until_told(answer, then=lambda: say({"answered": answered[0]}))


def has_come(f, s, want):
    """True when WANT comes within a patient time, whatever else does."""
    end = time.monotonic() + PATIENCE
    while select.select([s], [], [], max(0, end - time.monotonic()))[0]:
        if payload(f, s.recvfrom(65535)[0]) == want:
            return True
    return False


def raw_ask(source, to, protocol, count, size):
    f = family(source)
    s = bound(f, socket.SOCK_RAW, source, proto=int(protocol))
    lost, slowest = [], 0
    for n in range(int(count)):
        if int(protocol) == SCTP:
            data, want = sctp(5000 + n, 6000, 0, 1), sctp(6000, 5000 + n, 77, 2)
        elif int(protocol) == 47:  # RFC 2784: no options, carries IPv4
            data = want = struct.pack("!HH", 0, 0x0800) + b"%08d" % n + os.urandom(int(size))
        else:
            data = want = struct.pack("!II", 4711, n) + os.urandom(int(size))
        begin = time.monotonic()
        s.sendto(data, (to, 0))
        if has_come(f, s, want):
            slowest = max(slowest, time.monotonic() - begin)
        else:
            lost.append(n)
    say({"lost": lost, "slowest_ms": round(1000 * slowest)})


# ------------------------------------------------------------ traceroute, path MTU


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def trace(source, to, kind):
    f = family(source)
    hops, ident = [], os.getpid() & 0xFFFF
    icmp = bound(f, socket.SOCK_RAW, source, proto=f["icmp"])
    for ttl in range(1, 8):
        if kind == "udp":
            s = bound(f, socket.SOCK_DGRAM, source, 40000 + ttl)
            s.setsockopt(f["level"], f["ttl"], ttl)
            s.sendto(b"x" * 20, (to, 33434 + ttl))
        else:
            packet = struct.pack("!BBHHH", f["ping"], 0, 0, ident, ttl)
            packet = packet[:2] + struct.pack("!H", checksum(packet)) + packet[4:]
            icmp.setsockopt(f["level"], f["ttl"], ttl)
            icmp.sendto(packet, (to, 0))
        who, final = None, False
        end = time.monotonic() + PATIENCE
        while who is None and select.select([icmp], [], [], max(0, end - time.monotonic()))[0]:
            data, peer = icmp.recvfrom(2000)
            data = payload(f, data)
            ours = struct.pack("!H", 33434 + ttl) in data[8:] if kind == "udp" else struct.pack("!HH", ident, ttl) in data[4:]
            if ours and data[0] in (f["exceeded"], f["unreachable"], f["pong"]):
                who, final = peer[0], data[0] != f["exceeded"]
        hops.append(who)
        if final:
            break
    say({"hops": hops})


def mtu(source, to, size):
    f = family(source)
    s = bound(f, socket.SOCK_DGRAM, source)
    s.setsockopt(f["level"], f["mtu_discover"], 2)  # never cut
    s.connect((to, 5001))
    for _ in range(5):
        try:
            s.send(b"x" * int(size))
        except OSError:
            break
        time.sleep(0.3)
    say({"mtu": s.getsockopt(f["level"], f["mtu"])})


if __name__ == "__main__":
    {"echo": echo, "ask": ask, "raw-echo": raw_echo, "raw-ask": raw_ask, "trace": trace, "mtu": mtu}[sys.argv[1]](*sys.argv[2:])
