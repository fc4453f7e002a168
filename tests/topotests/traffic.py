#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Traffic of the topotests, run in a host's namespace. Each use ends by itself, or when its standard input ends.

    traffic.py serve ADDRESS...                     TCP and UDP on port 5001, an echo of lines on TCP port 5002
    traffic.py fetch FROM TO BYTES RATE             downloads; one line of JSON tells how it went
    traffic.py udp FROM TO COUNT SIZE PAUSE PORT    sends datagrams and counts the right answers; one line of JSON
    traffic.py hold FROM TO                         a connection that stays: each line of input is sent, its echo printed

What is downloaded is made from its length alone, so that the receiver knows the right checksum by itself. RATE is in bytes per
second, 0 for none. Sending to port 5001 by UDP gives the datagram back.
"""

import hashlib
import json
import os
import random
import select
import socket
import sys
import threading
import time

DATA, ECHO = 5001, 5002
CHUNK = 65536
# Beyond this there is no hope; TCP's own timers allow 15 minutes.
SILENCE = 40


def content(length):
    """Pieces of the LENGTH bytes that stand for a file."""
    made = random.Random(length)
    while length > 0:
        piece = made.randbytes(min(CHUNK, length))
        length -= len(piece)
        yield piece


def bound(kind, address, port=0):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.socket(family, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, port))
    return s


# ------------------------------------------------------------ server


def send_file(s):
    with s, s.makefile("rb") as f:
        length, rate = (int(w) for w in f.readline().split())
        begin, sent = time.monotonic(), 0
        for piece in content(length):
            s.sendall(piece)
            sent += len(piece)
            ahead = sent / rate - (time.monotonic() - begin) if rate else 0
            if ahead > 0:
                time.sleep(ahead)


def echo_lines(s):
    with s, s.makefile("rb") as f:
        for line in f:
            s.sendall(line)


def accept(listener, work):
    def guarded(s):
        try:
            work(s)
        except (OSError, ValueError):
            pass  # the client tells what it missed

    listener.listen(64)
    while True:
        s, _ = listener.accept()
        threading.Thread(target=guarded, args=(s,), daemon=True).start()


def echo_datagrams(s):
    while True:
        data, peer = s.recvfrom(65535)
        try:
            s.sendto(data, peer)
        except OSError:
            pass  # no way back at the moment


def serve(*addresses):
    for a in addresses:
        jobs = [
            (accept, bound(socket.SOCK_STREAM, a, DATA), send_file),
            (accept, bound(socket.SOCK_STREAM, a, ECHO), echo_lines),
            (echo_datagrams, bound(socket.SOCK_DGRAM, a, DATA)),
        ]
        for work, *args in jobs:
            threading.Thread(target=work, args=args, daemon=True).start()
    say({"ready": True})
    sys.stdin.read()
    os._exit(0)


# ------------------------------------------------------------ clients


def say(what):
    print(json.dumps(what), flush=True)


def fetch(source, to, length, rate):
    length = int(length)
    want = hashlib.sha256()
    for piece in content(length):
        want.update(piece)
    found = {"bytes": 0, "right": False, "error": "", "stall": 0.0}
    got = hashlib.sha256()
    begin = last = time.monotonic()
    try:
        with bound(socket.SOCK_STREAM, source) as s:
            s.settimeout(SILENCE)
            s.connect((to, DATA))
            say({"port": s.getsockname()[1]})
            s.sendall(b"%d %d\n" % (length, int(rate)))
            while True:
                data = s.recv(CHUNK)
                now = time.monotonic()
                found["stall"] = max(found["stall"], now - last)
                last = now
                if not data:
                    break
                got.update(data)
                found["bytes"] += len(data)
    except OSError as e:
        found["error"] = str(e) or type(e).__name__
    found["right"] = got.digest() == want.digest()
    found["seconds"] = time.monotonic() - begin
    say(found)


def udp(source, to, count, size, pause, port):
    answered, wrong, sent = set(), 0, 0
    with bound(socket.SOCK_DGRAM, source, int(port)) as s:
        s.connect((to, DATA))
        number = 0
        deadline = time.monotonic()
        while True:
            if number < int(count) and time.monotonic() >= deadline:
                try:
                    s.send(b"%08d" % number + b"x" * (int(size) - 8))
                    sent += 1
                except OSError:
                    pass  # counts as lost
                number += 1
                deadline = time.monotonic() + (float(pause) if number < int(count) else 1.5)
            left = max(0, deadline - time.monotonic())
            if not left and number == int(count):
                break
            if not select.select([s], [], [], left)[0]:
                continue
            try:
                data = s.recv(65535)
            except OSError:
                continue
            if len(data) == int(size) and data[:8].isdigit():
                answered.add(int(data[:8]))
            else:
                wrong += 1
            if len(answered) == int(count):
                break
    say({"sent": sent, "answered": len(answered), "wrong": wrong})


def hold(source, to):
    with bound(socket.SOCK_STREAM, source) as s:
        s.settimeout(SILENCE)
        s.connect((to, ECHO))
        say({"port": s.getsockname()[1]})
        try:
            with s.makefile("rb") as f:
                for line in sys.stdin:
                    begin = time.monotonic()
                    s.sendall(line.encode())
                    back = f.readline().decode()
                    say({"echo": back == line, "seconds": time.monotonic() - begin})
        except OSError as e:
            say({"echo": False, "error": str(e) or type(e).__name__})


if __name__ == "__main__":
    {"serve": serve, "fetch": fetch, "udp": udp, "hold": hold}[sys.argv[1]](*sys.argv[2:])
