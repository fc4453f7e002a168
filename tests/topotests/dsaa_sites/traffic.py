#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Real traffic for the topotests, run inside the routers' namespaces.

serve                                    TCP and UDP, on all addresses, until it is killed
tcp FROM TO BYTES [BYTES-PER-SECOND]     downloads, compares the hash, prints "ok BYTES SECONDS"
udp FROM TO COUNT SIZE                   sends and waits for each echo, prints how many came back
hold FROM TO SECONDS                     opens a TCP connection, prints "open PORT" and keeps it, answering each second
"""

import hashlib
import socket
import struct
import sys
import threading
import time

PORT = 5000
CHUNK = b"".join(struct.pack("!I", n * 2654435761 % 2**32) for n in range(4096))


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def serve_one(conn):
    """The client says how many bytes it wants at which rate; 0 means: echo."""
    with conn:
        head = conn.recv(16, socket.MSG_WAITALL)
        if len(head) < 16:
            return
        wanted, rate = struct.unpack("!QQ", head)
        if not wanted:
            while True:
                data = conn.recv(4096)
                if not data:
                    return
                conn.sendall(data)
        begin, sent = time.monotonic(), 0
        while sent < wanted:
            part = CHUNK[: min(len(CHUNK), wanted - sent)]
            conn.sendall(part)
            sent += len(part)
            if rate:
                time.sleep(max(0.0, begin + sent / rate - time.monotonic()))


def serve():
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.bind(("::", PORT))

    def echo():
        while True:
            data, peer, local = receive_with_address(udp)
            udp.sendmsg([data], local, 0, peer)

    udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    threading.Thread(target=echo, daemon=True).start()
    tcp = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    tcp.bind(("::", PORT))
    tcp.listen(64)
    print("ready", flush=True)
    while True:
        conn, _ = tcp.accept()
        threading.Thread(target=serve_one, args=(conn,), daemon=True).start()


def receive_with_address(sock):
    """The answer must come from the address that was asked: it is taken from the packet's info."""
    data, ancillary, _, peer = sock.recvmsg(65536, socket.CMSG_SPACE(20))
    info = [(l, t, d[:16] + struct.pack("I", 0)) for l, t, d in ancillary if t == socket.IPV6_PKTINFO]
    return data, peer, info


def connect(source, to):
    s = socket.socket(family(to), socket.SOCK_STREAM)
    s.bind((source, 0))
    s.settimeout(30)
    s.connect((to, PORT))
    return s


def tcp(source, to, wanted, rate):
    begin = time.monotonic()
    s = connect(source, to)
    s.sendall(struct.pack("!QQ", wanted, rate))
    got, want, left = hashlib.sha256(), hashlib.sha256(), wanted
    while left:
        data = s.recv(65536)
        if not data:
            sys.exit("the connection ended with %d bytes missing" % left)
        got.update(data)
        left -= len(data)
    for done in range(0, wanted, len(CHUNK)):
        want.update(CHUNK[: min(len(CHUNK), wanted - done)])
    if got.digest() != want.digest():
        sys.exit("what came is not what was sent")
    print("ok %d %.2f" % (wanted, time.monotonic() - begin))


def udp(source, to, count, size):
    s = socket.socket(family(to), socket.SOCK_DGRAM)
    s.bind((source, 0))
    s.settimeout(0.5)
    back = 0
    for n in range(count):
        data = (struct.pack("!I", n) * (size // 4 + 1))[:size]
        s.sendto(data, (to, PORT))
        try:
            back += s.recv(65536) == data
        except socket.timeout:
            continue
    print(back)


def hold(source, to, seconds):
    s = connect(source, to)
    s.sendall(struct.pack("!QQ", 0, 0))
    print("open %d" % s.getsockname()[1], flush=True)
    for _ in range(seconds):
        s.sendall(b"still here")
        if s.recv(64, socket.MSG_PEEK) == b"":
            sys.exit("closed")
        s.recv(64)
        print("answered", flush=True)
        time.sleep(1)


if __name__ == "__main__":
    what, args = sys.argv[1], sys.argv[2:]
    if what == "serve":
        serve()
    elif what == "tcp":
        tcp(args[0], args[1], int(args[2]), int(args[3]) if len(args) > 3 else 0)
    elif what == "udp":
        udp(args[0], args[1], int(args[2]), int(args[3]))
    elif what == "hold":
        hold(args[0], args[1], int(args[2]))
