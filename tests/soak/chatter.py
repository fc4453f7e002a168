#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Many connections that talk a little, all the time: each sends a numbered line
(TCP) or datagram (UDP) a few times a second and awaits its echo.

    chatter.py serve PORT
    chatter.py talk ADDRESS PORT TCP-CONNECTIONS UDP-FLOWS

talk prints a line of JSON each second: how many live, the longest silence of
each kind within that second, and every connection that ended or heard wrong.
A TCP connection that ends is opened again, so that the load stays.
"""

import asyncio
import json
import socket
import sys
import time

PAUSE_S = 0.2


class Talk:
    """What one connection did: when it was last answered, and how it ended."""

    def __init__(self, kind, number):
        self.name = "%s-%d" % (kind, number)
        self.kind = kind
        self.answered = time.monotonic()
        self.open = False


class Chatter:
    def __init__(self, address, port):
        self.address = address
        self.port = port
        self.talks = []
        self.faults = []

    async def tcp(self, talk):
        """One TCP connection after the other, for ever."""
        while True:
            try:
                reader, writer = await asyncio.wait_for(
                    asyncio.open_connection(self.address, self.port), 5)
            except (OSError, asyncio.TimeoutError):
                await asyncio.sleep(0.5)
                continue
            talk.open = True
            talk.answered = time.monotonic()
            try:
                await self._tcp_lines(talk, reader, writer)
            except OSError as e:
                self.faults.append("%s: %s" % (talk.name, e))
            talk.open = False
            writer.close()

    async def _tcp_lines(self, talk, reader, writer):
        number = 0
        while True:
            number += 1
            line = b"%s %d\n" % (talk.name.encode(), number)
            writer.write(line)
            heard = await reader.readline()
            if heard != line:
                self.faults.append("%s: heard %r instead of %r" % (talk.name, heard, line))
                return
            talk.answered = time.monotonic()
            await asyncio.sleep(PAUSE_S)

    async def udp(self, talk):
        """One UDP flow from one port; what is lost is lost."""

        class Echo(asyncio.DatagramProtocol):
            def datagram_received(self, data, _):
                if data.split()[0] == talk.name.encode():
                    talk.answered = time.monotonic()

        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            Echo, remote_addr=(self.address, self.port))
        talk.open = True
        number = 0
        while True:
            number += 1
            transport.sendto(b"%s %d" % (talk.name.encode(), number))
            await asyncio.sleep(PAUSE_S)

    def _report(self):
        now = time.monotonic()
        said = {"at": now, "faults": self.faults}
        for kind in ("tcp", "udp"):
            live = [t for t in self.talks if t.kind == kind and t.open]
            said[kind] = {
                "open": len(live),
                "silence": max([now - t.answered for t in live], default=0.0),
                "longest": max(live, key=lambda t: now - t.answered).name if live else "",
            }
        self.faults = []
        print(json.dumps(said), flush=True)

    async def run(self, tcp, udp):
        tasks = []
        for kind, count in (("tcp", tcp), ("udp", udp)):
            for number in range(count):
                talk = Talk(kind, number)
                self.talks.append(talk)
                tasks.append(asyncio.ensure_future(getattr(self, kind)(talk)))
        while True:
            await asyncio.sleep(1)
            self._report()


async def serve(port):
    async def tcp(reader, writer):
        try:
            while line := await reader.readline():
                writer.write(line)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    class Echo(asyncio.DatagramProtocol):
        def connection_made(self, transport):
            self.transport = transport

        def datagram_received(self, data, address):
            self.transport.sendto(data, address)

    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(tcp, None, port, backlog=1024)
    # one socket per family: an answer must leave with the address that was asked
    for family in (socket.AF_INET, socket.AF_INET6):
        s = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.bind(("", port))
        await loop.create_datagram_endpoint(Echo, sock=s)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


def main():
    if sys.argv[1] == "serve":
        asyncio.run(serve(int(sys.argv[2])))
    else:
        address, port, tcp, udp = sys.argv[2], *map(int, sys.argv[3:6])
        asyncio.run(Chatter(address, port).run(tcp, udp))


if __name__ == "__main__":
    main()
