#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
A UDP stream with sequence numbers, one socket and port for all its life.

usage: udp_stream.py echo PORT
       udp_stream.py send ADDRESS PORT PACKETS-PER-SECOND

`send` prints one line per event: "s SEQ TIME" and "r SEQ TIME", TIME being the
monotonic clock in seconds, which is the same in all namespaces.
"""

import socket
import struct
import sys
import time

MAGIC = b"dsaa-udp"
SIZE = 200


def echo(port):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind(("::", port))
    while True:
        data, sender = s.recvfrom(2048)
        if data.startswith(MAGIC):
            s.sendto(data, sender)


def receive(s, until):
    """Prints what comes back until the time is reached."""
    while True:
        left = until - time.monotonic()
        if left <= 0:
            return
        s.settimeout(left)
        try:
            data = s.recv(2048)
        except socket.timeout:
            return
        except OSError:
            continue  # an ICMP error: the stream goes on
        if data.startswith(MAGIC) and len(data) == SIZE:
            seq = struct.unpack_from(">I", data, len(MAGIC))[0]
            print("r %d %.4f" % (seq, time.monotonic()), flush=True)


def send(address, port, rate):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.connect((address, port))
    next_time = time.monotonic()
    seq = 0
    while True:
        packet = (MAGIC + struct.pack(">I", seq)).ljust(SIZE, b".")
        print("s %d %.4f" % (seq, time.monotonic()), flush=True)
        try:
            s.send(packet)
        except OSError:
            pass  # counts as lost
        seq += 1
        next_time += 1.0 / rate
        receive(s, next_time)


def main():
    if sys.argv[1] == "echo":
        echo(int(sys.argv[2]))
    else:
        send(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))


if __name__ == "__main__":
    main()
