# SPDX-License-Identifier: GPL-2.0-or-later
"""
What a scenario (scenarios.py) does and asks, over any running lab: the plain one or Mininet's. A Stage has a server at work, and
watches client and server for TCP resets; end() ends what it started. Whatever is not as it should be raises Failed with a sentence.

The programs of client and server are those of the topotests (tests/topotests/traffic.py).
"""

import json
import os
import select
import subprocess
import time

from lab import topology as topo
from lab.control import TOP, wait_for
from lab.node import LabError

TRAFFIC = ["/usr/bin/python3", os.path.join(TOP, "tests", "topotests", "traffic.py")]
ECHO_PORT = 5002
# What traffic.py serves as TCP's content, and at which pace for a download that must be in its middle for some seconds.
LENGTH, RATE = 6000000, 1500000
SITES = (1, 2)
# Until a program that says nothing is given up: traffic.py itself gives up after 40 s.
ANSWER_S = 45
# Longer than this an answer or a download may not pause: TCP doubles its patience, so a short outage costs some seconds.
STALL_S = 8
WATCH = """\
table inet lab_watch
delete table inet lab_watch
table inet lab_watch {
	counter rst { }
	chain in {
		type filter hook input priority filter;
		tcp flags & rst == rst counter name rst
	}
}
"""


class Failed(LabError):
    """A scenario saw something that must not be, as a sentence."""


def check(good, sentence):
    if not good:
        raise Failed(sentence)


class Program:
    """One run of traffic.py; its answers are lines of JSON."""

    def __init__(self, lab, node, *words):
        self.process = lab.popen(node, TRAFFIC + [str(w) for w in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def told(self):
        """Its next answer; None when it says nothing more, or not in time. What it said at its end is never waited for: the pipe is closed then."""
        ready = select.select([self.process.stdout], [], [], ANSWER_S)[0]
        line = self.process.stdout.readline() if ready else ""
        return json.loads(line) if line else None

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Connection:
    """A TCP connection of the client that stays open; talk() proves that it lives."""

    def __init__(self, stage, family):
        self.stage, self.family = stage, family
        self.program = stage.program("client", "hold", topo.CLIENT[family], topo.SERVER[family])
        self.port = self._answer()["port"]
        self.name = "the connection of port %d (IPv%d)" % (self.port, family)
        self.talk()

    def _answer(self):
        found = self.program.told() or {"error": "no answer"}
        check("error" not in found, "A connection over IPv%d failed: %s." % (self.family, found.get("error")))
        return found

    def talk(self):
        """One line there and back."""
        self.program.process.stdin.write("hello\n")
        self.program.process.stdin.flush()
        found = self._answer()
        check(found["echo"], "What came back over %s is not what was sent." % self.name)
        check(found["seconds"] < STALL_S, "%s answered after %.1f s only." % (self.name, found["seconds"]))

    def owner(self, site):
        """Whom SITE takes for its owner, or None."""
        words = (topo.CLIENT[self.family], self.port, topo.SERVER[self.family], ECHO_PORT)
        found = self.stage.show(site, "show dsaa explain tcp %s %d %s %d" % words)
        return found.get("owner") if found.get("known") != "unknown" else None

    def owned_by(self, site):
        """Waits until all sites that answer name SITE."""
        for s in self.stage.alive:
            self.stage.until(10, lambda s=s: self.owner(s) == site, "site %d does not name site %d as the owner of %s" % (s, site, self.name))


class Download:
    """Some seconds of TCP whose content is known; whole() waits for its end."""

    def __init__(self, stage, family, length=LENGTH, rate=RATE):
        self.family, self.length, self.seconds = family, length, None
        self.program = stage.program("client", "fetch", topo.CLIENT[family], topo.SERVER[family], length, rate)

    def whole(self):
        found = self.program.told() or {}
        if "port" in found:
            found = self.program.told()
        check(found, "A download over IPv%d does not end." % self.family)
        check(not found["error"], "A download over IPv%d failed: %s." % (self.family, found["error"]))
        check(found["right"], "A download over IPv%d is damaged: %d of %d bytes." % (self.family, found["bytes"], self.length))
        check(found["stall"] < STALL_S, "A download over IPv%d stood still for %.1f s." % (self.family, found["stall"]))
        self.seconds = found["seconds"]
        return found["stall"]


class Stage:
    """The lab with actors on it. SAY(text) tells the spectator what happens."""

    def __init__(self, lab, say):
        if lab.top.sites != list(SITES) or lab.state["options"]["static_uips"]:
            raise LabError("The scenarios are for a lab of two sites with dsaad.")
        self.lab, self.families = lab, lab.top.families
        self._begin, self._say = time.monotonic(), say
        self._programs = []
        # the sites that have power
        self.alive = list(SITES)
        for node in ("client", "server"):
            lab.run(node, ["nft", "-f", "-"], text_input=WATCH)
        server = self.program("server", "serve", *(topo.SERVER[f] for f in self.families))
        check(server.told() == {"ready": True}, "The server does not start.")

    def say(self, text):
        self._say("%6.1f s  %s" % (time.monotonic() - self._begin, text))

    def end(self):
        for p in reversed(self._programs):
            p.end()
        self._programs = []
        for node in ("client", "server"):
            self.lab.run(node, ["nft", "delete", "table", "inet", "lab_watch"], check=False)

    # ------------------------------------------------------------ actors

    def program(self, node, *words):
        found = Program(self.lab, node, *words)
        self._programs.append(found)
        return found

    def connections(self):
        """A connection of each family."""
        return [Connection(self, f) for f in self.families]

    def downloads(self, **kw):
        """A download of each family, in its middle."""
        found = [Download(self, f, **kw) for f in self.families]
        time.sleep(1.2)
        return found

    def datagrams(self, family, count=100):
        """How many of COUNT datagrams are answered."""
        found = self.program("client", "udp", topo.CLIENT[family], topo.SERVER[family], count, 100, 0.01, 0).told()
        return found["answered"] if found else 0

    def pings(self, family, count=5):
        command = ["ping", "-n", "-q", "-c", str(count), "-i", "0.1", "-W", "2", topo.SERVER[family]]
        return int(self.lab.run("client", command, check=False).stdout.split(" received")[0].split()[-1])

    # ------------------------------------------------------------ what is done

    def path(self, forward, back):
        self.lab.path("forward", forward)
        self.lab.path("return", back)
        self.say("packets of the client go by site %d, answers by site %d" % (forward, back))

    def mode(self, mode):
        """The correction mode of both sites, in force. "auto" is what this kernel can."""
        for s in SITES:
            self.vtysh(s, "configure terminal", "dsaa", "correction mode %s" % mode)
        for s in SITES:
            self.until(40, lambda s=s: self.data_path(s) in ({mode}, {"kernel"} if mode == "auto" else {mode}), "site %d does not correct by %s" % (s, mode))
        time.sleep(0.3)

    def vtysh(self, site, *commands):
        return self.lab.vtysh("site%d" % site, *commands)

    # ------------------------------------------------------------ what is so now

    def show(self, site, command="show dsaa"):
        return self.lab.vtysh_json("site%d" % site, command + " json")

    def peer(self, site):
        """What SITE says about the other one: (state, reason)."""
        found = self.show(site).get("peers", {}).get(str(3 - site), {})
        return found.get("state"), found.get("reason")

    def correction(self, site):
        """SITE's counters of packets to and from the other one."""
        return self.show(site, "show dsaa correction")["peers"][str(3 - site)]

    def data_path(self, site):
        return {i["dataPath"] for i in self.show(site, "show dsaa correction")["interfaces"].values()}

    def resets(self):
        """TCP resets that client and server have received."""
        shown = [json.loads(self.lab.run(n, ["nft", "-j", "list", "counter", "inet", "lab_watch", "rst"]).stdout) for n in ("client", "server")]
        return sum(o["counter"]["packets"] for s in shown for o in s["nftables"] if "counter" in o)

    def announces(self, site):
        """Whether the providers' BGP has the services from SITE."""
        family = self.families[0]
        command = "show bgp ipv%d unicast %s json" % (family, topo.SERVICE_NET[family])
        paths = self.lab.vtysh_json("isp1", command).get("paths", [])
        return any(p.get("peer", {}).get("peerId") == topo.host(topo.out_net(site, family), 1) for p in paths)

    def until(self, seconds, holds, otherwise):
        """Waits until HOLDS() is true; a daemon that does not answer yet is not."""

        def missing():
            try:
                return None if holds() else otherwise
            except LabError as e:
                return "%s (%s)" % (otherwise, e)

        last = wait_for(seconds, missing)
        check(last is None, "After %d s %s." % (seconds, last))

    def until_up(self, seconds=40):
        """Both sites see each other, know everything, and announce."""
        for s in SITES:
            self.until(seconds, lambda s=s: self.peer(s)[0] == "up", "site %d does not see its peer up" % s)
            self.until(seconds, lambda s=s: self.show(s).get("stateComplete"), "the state of site %d is not complete" % s)
            self.until(seconds, lambda s=s: self.announces(s), "site %d does not announce the services" % s)
