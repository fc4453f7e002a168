#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""FTP between two hosts of the topotests, as far as the kernel's helper is concerned.

    ftp.py serve ADDRESS...                       port 21; refuses data connections of another host than the control connection's
    ftp.py get FROM TO active|passive BYTES       logs in and tells {"ready"}; a line on standard input starts the download; tells
                                                  how many bytes came, and the port of the control connection
"""

import ftplib
import json
import re
import socket
import sys
import threading
import time

# Between the server's answer and the client's connection, as on the Internet.
ROUND_TRIP = 0.1


def say(what):
    print(json.dumps(what), flush=True)


class Session:
    """One control connection at the server."""

    def __init__(self, s):
        self.s, self.host = s, s.getpeername()[0]
        self.target, self.listener = None, None

    def answer(self, text):
        self.s.sendall(text.encode() + b"\r\n")

    def listen(self):
        self.listener = socket.create_server((self.s.getsockname()[0], 0), family=self.s.family)
        return self.listener.getsockname()[1]

    def data(self):
        if self.target:
            return socket.create_connection(self.target, timeout=5)
        self.listener.settimeout(5)
        d, peer = self.listener.accept()
        if peer[0] != self.host:
            d.close()
            raise OSError("a stranger")
        return d

    def retrieve(self, length):
        try:
            with self.data() as d:
                self.answer("150 it comes")
                d.sendall(b"f" * int(length))
        except OSError as e:
            self.answer("425 %s" % e)
        else:
            self.answer("226 done")

    def obey(self, word, rest):
        if word == "PORT":
            n = rest.split(",")
            self.target = ".".join(n[:4]), int(n[4]) * 256 + int(n[5])
            self.answer("200 ok")
        elif word == "EPRT":
            _, _, host, port, _ = rest.split("|")
            self.target = host, int(port)
            self.answer("200 ok")
        elif word == "PASV":
            port, host = self.listen(), self.s.getsockname()[0]
            self.answer("227 Entering Passive Mode (%s,%d,%d)" % (host.replace(".", ","), port >> 8, port & 255))
        elif word == "EPSV":
            self.answer("229 Entering Extended Passive Mode (|||%d|)" % self.listen())
        elif word == "RETR":
            self.retrieve(rest)
        elif word == "QUIT":
            self.answer("221 bye")
        else:
            self.answer("230 ok" if word in ("USER", "PASS") else "200 ok")

    def run(self):
        self.answer("220 ready")
        for line in self.s.makefile("r", newline="\n"):
            match = re.match(r"(\w+) ?(.*?)\r?\n", line)
            self.obey(match.group(1).upper(), match.group(2))


def serve(*addresses):
    for a in addresses:
        s = socket.create_server((a, 21), family=socket.AF_INET6 if ":" in a else socket.AF_INET)

        def accept(s=s):
            while True:
                threading.Thread(target=Session(s.accept()[0]).run, daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
    say({"ready": True})
    sys.stdin.read()


class Client(ftplib.FTP):
    def makepasv(self):
        found = super().makepasv()
        time.sleep(ROUND_TRIP)
        return found


def get(source, to, how, length):
    got = []
    with Client(source_address=(source, 0), timeout=10) as f:
        f.connect(to, 21)
        f.login()
        f.set_pasv(how == "passive")
        say({"ready": f.sock.getsockname()[1]})
        sys.stdin.readline()
        f.retrbinary("RETR " + length, got.append)
        say({"bytes": sum(len(g) for g in got)})


if __name__ == "__main__":
    {"serve": serve, "get": get}[sys.argv[1]](*sys.argv[2:])
