#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
A wire that delays and loses packets, where the kernel has no netem: joins the
interfaces that it is given, in the namespace where it runs. What comes in by
one leaves by all others MSEC milliseconds later; LOSS per cent of it never.

usage: wire.py MSEC LOSS INTERFACE INTERFACE...      runs until it is killed; says "ready" when it joins them
"""

import heapq
import random
import select
import socket
import sys
import time

ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_IGNORE_OUTGOING = 23
PACKET_VNET_HDR = 15
SO_RCVBUFFORCE = 33
BUFFER = 32 << 20
# Longest packet: a bundle that the sender's stack did not cut, and how it is to be cut.
LONGEST = 65536 + 256
READS_PER_TURN = 64


def open_port(name):
    """A packet socket that takes and gives packets as they are on NAME, offloads included."""
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    s.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    for option in (SO_RCVBUFFORCE, 32):  # SO_SNDBUFFORCE
        s.setsockopt(socket.SOL_SOCKET, option, BUFFER)
    s.setblocking(False)
    s.bind((name, ETH_P_ALL))
    return s


def take(port, ports, due, number, waiting, loss):
    """Puts what waits at PORT into the queue. Returns the next number, which keeps the order."""
    for _ in range(READS_PER_TURN):
        try:
            packet = port.recv(LONGEST)
        except BlockingIOError:
            break
        if random.random() * 100 < loss:
            continue
        for other in ports:
            if other is not port:
                heapq.heappush(waiting, (due, number, other, packet))
                number += 1
    return number


def give(waiting):
    """Sends what is due."""
    now = time.monotonic()
    while waiting and waiting[0][0] <= now:
        _, _, port, packet = heapq.heappop(waiting)
        try:
            port.send(packet)
        except OSError:
            pass  # a wire has no memory either


def run(ms, loss, names):
    ports = [open_port(n) for n in names]
    poll = select.epoll()
    by_fd = {p.fileno(): p for p in ports}
    for fd in by_fd:
        poll.register(fd, select.EPOLLIN)
    print("ready", flush=True)
    waiting, number = [], 0
    while True:
        left = max(0, waiting[0][0] - time.monotonic()) if waiting else -1
        for fd, _ in poll.poll(left):
            number = take(by_fd[fd], ports, time.monotonic() + ms / 1000, number, waiting, loss)
        give(waiting)


def main():
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    run(float(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])


if __name__ == "__main__":
    main()
