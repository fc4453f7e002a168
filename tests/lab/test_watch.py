# SPDX-License-Identifier: GPL-2.0-or-later
"""How the topotests tell a RST that breaks a connection from one that answers a late segment: real segments in a network namespace."""

import os
import re
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
WATCH = os.path.join(HERE, "..", "topotests", "watch.nft")

# Two sockets over lo, and a raw socket for the copy that comes in late. What each case leaves is printed: "rst late".
PROGRAM = r"""
import json, socket, struct, subprocess, sys, time

case, family, host = sys.argv[1], *{"4": (socket.AF_INET, "127.0.0.1"), "6": (socket.AF_INET6, "::1")}[sys.argv[2]]
PORT = 5001

listener = socket.socket(family)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind((host, PORT))
listener.listen()

def connection(port=0):
    client = socket.socket(family)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    client.bind((host, port))
    client.connect((host, PORT))
    return client, listener.accept()[0]

def abort(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()

def end(first, second):
    first.close()
    assert second.recv(1) == b""
    second.close()
    time.sleep(0.1)

def late_segment(to):
    raw = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP)
    address = socket.inet_pton(family, host)
    segment = struct.pack("!HHIIBBHHH", PORT, to, 1, 1, 0x50, 0x10, 512, 0, 0)
    length = struct.pack("!II", 20, 6) if family == socket.AF_INET6 else struct.pack("!HH", 6, 20)
    text = address + address + length + segment
    total = sum(struct.unpack("!%dH" % (len(text) // 2), text))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    raw.sendto(segment[:16] + struct.pack("!H", ~total & 0xFFFF) + segment[18:], (host, 0))

client, server = connection()
port = client.getsockname()[1]
if case == "alive":
    abort(client)
elif case == "one-fin":
    server.shutdown(socket.SHUT_WR)
    time.sleep(0.1)
    abort(client)
elif case in ("late", "reused"):
    # who closes first keeps the connection for a minute, and would not answer with RST
    end(server, client)
    if case == "late":
        late_segment(port)
    else:
        client, server = connection(port)
        abort(client)
elif case == "in-order":
    end(server, client)
time.sleep(0.2)
shown = json.loads(subprocess.check_output(["nft", "-j", "list", "counters", "table", "inet", "watch"]))
found = {o["counter"]["name"]: o["counter"]["packets"] for o in shown["nftables"] if "counter" in o}
print(found["rst"], found["late"])
"""


def counted(case, family):
    shell = 'ip link set lo up && nft -f "$1" && exec "$2" -c "$3" "$4" "$5"'
    found = subprocess.run(
        ["unshare", "-n", "/bin/sh", "-c", shell, "sh", WATCH, sys.executable, PROGRAM, case, family], capture_output=True, text=True, check=False
    )
    assert re.fullmatch(r"\d+ \d+\n", found.stdout), found.stdout + found.stderr
    return tuple(int(n) for n in found.stdout.split())


@pytest.mark.parametrize("family", ["4", "6"])
@pytest.mark.parametrize(
    "case, expected",
    [("in-order", (0, 0)), ("alive", (1, 0)), ("one-fin", (1, 0)), ("late", (0, 1)), ("reused", (1, 0))],
)
def test_resets_are_told_apart(case, expected, family):
    assert counted(case, family) == expected
