#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
An HTTP server for one large download. The content is a random block repeated
with a running number in each, so nothing is stored and nothing can be guessed.

usage: http_server.py PORT MEGABYTES BYTES-PER-SECOND
Prints the content's length and sha256 when it is ready, then serves:
  /download   all of it, paced      /small   its first megabyte
"""

import hashlib
import http.server
import os
import socket
import socketserver
import struct
import sys

BLOCK = 1000 * 1000
SO_MAX_PACING_RATE = 47


class Content:
    """LENGTH bytes that differ in every block."""

    def __init__(self, megabytes):
        self.blocks = megabytes
        self.length = megabytes * BLOCK
        self._random = os.urandom(BLOCK - 8)

    def block(self, number):
        return struct.pack(">Q", number) + self._random

    def sha256(self, blocks):
        digest = hashlib.sha256()
        for n in range(blocks):
            digest.update(self.block(n))
        return digest.hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """GET of the two paths; everything else is 404."""

    content = None
    rate = 0

    def do_GET(self):
        blocks = {"/download": self.content.blocks, "/small": 1}.get(self.path)
        if blocks is None:
            self.send_error(404)
            return
        if blocks > 1:
            self.connection.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, self.rate)
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(blocks * BLOCK))
        self.end_headers()
        for n in range(blocks):
            self.wfile.write(self.content.block(n))

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    """IPv6 socket that takes IPv4 as well."""

    address_family = socket.AF_INET6
    daemon_threads = True

    def server_bind(self):
        # Not http.server's own: it asks the DNS for its name, which no node has.
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "server", self.server_address[1]


def main():
    port, megabytes, rate = (int(a) for a in sys.argv[1:4])
    Handler.content = Content(megabytes)
    Handler.rate = rate
    server = Server(("::", port), Handler)
    whole = Handler.content.sha256(megabytes)
    print(Handler.content.length, whole, Handler.content.sha256(1), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
