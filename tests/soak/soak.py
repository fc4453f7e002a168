#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
A lab under random faults, one at a time, for as long as one likes:

    soak.py [--minutes N] [--seed S] [--tcp N] [--udp N] [--fault NAME]... [lab's options]

Connections talk all the time. After each fault both sites must come back to
"up" and "complete"; no connection may end or hear anything wrong, none may be
silent for longer than the fault allows; an audit must find the same state on
both sides. Prints one line per fault and exits non-zero with the first that
did harm, leaving evidence. The same seed gives the same faults.
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[0] = os.path.dirname(os.path.dirname(HERE))

from demo.programs import NODE_DATA, PYTHON, Programs  # noqa: E402
from lab import topology as topo  # noqa: E402
from lab.control import Lab, LabError, wait_for  # noqa: E402

PORT = 7000
TALK = re.compile(r"\d (?P<state>[A-Z_]+ )?(?P<key>src=\S+ dst=\S+ sport=\d+ dport=%d) .*mark=(?P<mark>\d+)" % PORT)


class Harm(Exception):
    """What a fault did that it must not."""


class Listener(threading.Thread):
    """Reads what one chatter says."""

    def __init__(self, programs, address, tcp, udp):
        super().__init__(daemon=True)
        script = programs.put_file("client", os.path.join(HERE, "chatter.py"))
        command = [PYTHON, script, "talk", address, str(PORT), str(tcp), str(udp)]
        self._process = programs.start("client", command, stdout=subprocess.PIPE, text=True)
        self.address = address
        self.wanted = {"tcp": tcp, "udp": udp}
        self._lock = threading.Lock()
        self.now = {}
        self.faults = []
        self.silence = {"tcp": 0.0, "udp": 0.0}
        self.start()

    def run(self):
        for line in self._process.stdout:
            said = json.loads(line)
            with self._lock:
                self.now = said
                self.faults += said["faults"]
                for kind in self.silence:
                    self.silence[kind] = max(self.silence[kind], said[kind]["silence"])

    def take(self):
        """(faults, longest silences) since the last call."""
        with self._lock:
            found = self.faults, dict(self.silence)
            self.faults, self.silence = [], {"tcp": 0.0, "udp": 0.0}
        return found

    def settled(self):
        """None when all are open and answered, else a sentence."""
        with self._lock:
            for kind, wanted in self.wanted.items():
                now = self.now.get(kind, {"open": 0, "silence": 99, "longest": ""})
                if now["open"] < wanted:
                    return "%s: %d of %d %s are open" % (self.address, now["open"], wanted, kind)
                if now["silence"] > 1.5:
                    return "%s: %s is silent for %.1f s" % (
                        self.address, now["longest"], now["silence"])
        return None


class SoakPrograms(Programs):
    def put_file(self, node, path):
        name = os.path.basename(path)
        with open(path, "rb") as source, open(os.path.join(self.lab.data(node), name), "wb") as f:
            f.write(source.read())
        return "%s/%s" % (NODE_DATA, name)


# ---------------------------------------------------------------- the faults

class Faults:
    """Each method does a fault and undoes it; its second value is the silence it may cause, s."""

    def __init__(self, lab, rng):
        self.lab = lab
        self.rng = rng

    def _site(self):
        return self.rng.choice(self.lab.top.site_nodes())

    def _signal(self, signal, daemon):
        site = self._site()
        self.lab.run(site, "kill -%s $(cat /var/run/frr/%s.pid)" % (signal, daemon))
        return site

    def _kill(self, daemon):
        """Started again by hand: watchfrr does it at once only the first time in a minute."""
        site = self._signal("KILL", daemon)
        time.sleep(self.rng.choice((0.2, 1, 3)))
        self.lab.run(site, "/usr/lib/frr/watchfrr.sh restart %s >/dev/null 2>&1 </dev/null" % daemon)
        return site

    def power_cut(self):
        """A site loses power and comes back after some seconds."""
        site = self._site()
        self.lab.cut(site)
        time.sleep(self.rng.choice((2, 6, 12)))
        self.lab.heal(site)
        return site

    def sync_cut(self):
        """The site-sync link is away for a while."""
        self.lab.cut("sync")
        seconds = self.rng.choice((0.3, 2, 6, 12))
        time.sleep(seconds)
        self.lab.heal("sync")
        return "%.1f s" % seconds

    def outside_cut(self):
        """The cable between a provider and a site."""
        link = "isp%d-%s" % (self.rng.choice(topo.ISPS), self._site())
        self.lab.cut(link)
        time.sleep(self.rng.choice((1, 5)))
        self.lab.heal(link)
        return link

    def inside_cut(self):
        link = "inside-%s" % self._site()
        self.lab.cut(link)
        time.sleep(self.rng.choice((1, 5)))
        self.lab.heal(link)
        return link

    def dsaad_killed(self):
        return self._kill("dsaad")

    def dsaad_stopped(self):
        """SIGSTOP for two seconds: a starved process."""
        site = self._signal("STOP", "dsaad")
        time.sleep(2)
        self.lab.run(site, "kill -CONT $(cat /var/run/frr/dsaad.pid)")
        return site

    def zebra_killed(self):
        return self._kill("zebra")

    def bgpd_killed(self):
        return self._kill("bgpd")

    def bfdd_killed(self):
        return self._kill("bfdd")

    def paths_swapped(self):
        """Routing changes its mind about both directions."""
        forward, back = self.rng.choice(self.lab.top.sites), self.rng.choice(self.lab.top.sites)
        self.lab.path("forward", forward)
        self.lab.path("return", back)
        return "%d/%d" % (forward, back)

    def replicas_deleted(self):
        """Somebody deletes what a site holds for the others."""
        site = self._site()
        other = self.rng.choice([s for s in self.lab.top.sites if "site%d" % s != site])
        self.lab.run(site, "conntrack -D -m %d/0xff000000" % (other << 24), check=False)
        return site

    def rules_deleted(self):
        site = self._site()
        self.lab.run(site, "nft delete table inet dsaa", check=False)
        return site


ALLOWED_SILENCE_S = {
    # what a TCP connection may be without an answer: retransmission doubles its wait
    "power_cut": 4.0,
    "outside_cut": 4.0,
    "inside_cut": 4.0,
    "bgpd_killed": 4.0,
    "zebra_killed": 4.0,
    "rules_deleted": 4.0,
}


# ---------------------------------------------------------------- the run

class Soak:
    def __init__(self, options):
        self.options = options
        self.rng = random.Random(options.seed)
        self.lab = Lab(options.name)
        self.begin = time.monotonic()
        self.listeners = []

    def say(self, text):
        print("[%6.1f s] %s" % (time.monotonic() - self.begin, text), flush=True)

    def run(self):
        o = self.options
        self.lab.start(family=o.family, nat=o.nat, mode=o.mode, sites=o.sites)
        programs = SoakPrograms(self.lab)
        try:
            self._programs(programs)
            self._settle("the start", 30)
            faults = Faults(self.lab, self.rng)
            names = o.fault or sorted(n for n in vars(Faults) if not n.startswith("_"))
            number = 0
            while time.monotonic() < self.begin + 60 * o.minutes:
                number += 1
                self._one(faults, self.rng.choice(names), number)
            self.say("%d faults, no harm; seed %d" % (number, o.seed))
        except Harm as e:
            self.say("HARM: %s (seed %d)" % (e, o.seed))
            self._evidence()
            return 1
        finally:
            programs.end()
            if not o.keep:
                self.lab.stop()
        return 0

    def _programs(self, programs):
        script = programs.put_file("server", os.path.join(HERE, "chatter.py"))
        server = programs.start("server", [PYTHON, script, "serve", str(PORT)],
                                stdout=subprocess.PIPE, text=True)
        if server.stdout.readline() != "ready\n":
            raise LabError("The chatter's server does not start.")
        for family in self.lab.top.families:
            self.listeners.append(Listener(programs, topo.SERVER[family],
                                           self.options.tcp, self.options.udp))

    def _one(self, faults, name, number):
        for listener in self.listeners:
            listener.take()
        begin = time.monotonic()
        what = getattr(faults, name)()
        self._settle("%s %s" % (name, what), 60)
        took = time.monotonic() - begin
        harm, silence = [], {"tcp": 0.0, "udp": 0.0}
        for listener in self.listeners:
            ended, longest = listener.take()
            harm += ended
            silence = {k: max(silence[k], longest[k]) for k in silence}
        self.say("%3d %-17s %-14s settled after %4.1f s; longest silence tcp %.1f s, udp %.1f s"
                 % (number, name, what, took, silence["tcp"], silence["udp"]))
        if harm:
            raise Harm("%s %s: %s" % (name, what, "; ".join(harm[:5])))
        if silence["tcp"] > ALLOWED_SILENCE_S.get(name, 3.0):
            raise Harm("%s %s: a TCP connection was silent for %.1f s" % (name, what, silence["tcp"]))

    def _settle(self, after, seconds):
        missing = wait_for(seconds, self._missing, 0.3)
        if missing:
            raise Harm("after %s: %s" % (after, missing))

    def _missing(self):
        for node in self.lab.top.site_nodes():
            try:
                found = self.lab.vtysh_json(node, "show dsaa json")
            except LabError as e:
                return "%s: %s" % (node, e)
            if not found.get("stateComplete"):
                return "%s: the state is not complete" % node
            for peer, p in found.get("peers", {}).items():
                if p.get("state") != "up":
                    return "%s: peer %s is %s (%s)" % (node, peer, p.get("state"), p.get("reason"))
        try:
            missing = self.lab._routes_missing()
        except LabError as e:
            return str(e)
        for listener in self.listeners:
            missing = missing or listener.settled()
        return missing or self._tables_differ()

    def _owners(self, site):
        """{connection: owner} of the talks in a site's kernel."""
        found = {}
        for family in ("ipv4", "ipv6"):
            for line in self.lab.run("site%d" % site, "conntrack -L -f %s" % family).stdout.splitlines():
                m = TALK.search(line)
                if m and not m["state"] in ("TIME_WAIT ", "CLOSE ", "LAST_ACK "):
                    found[m["key"]] = (int(m["mark"]) >> 24) or site
        return found

    def _tables_differ(self):
        """None when all sites hold the same connections with the same owners."""
        tables = {site: self._owners(site) for site in self.lab.top.sites}
        for a in tables:
            for b in tables:
                for key, owner in tables[a].items():
                    if tables[b].get(key) != owner:
                        return "site%d says that %s is of site %d, site%d: %s" % (
                            a, key, owner, b, tables[b].get(key))
        return None

    def _evidence(self):
        folder = self.lab.keep_logs()
        for node in self.lab.top.site_nodes():
            path = os.path.join(folder, node + ".txt")
            with open(path, "w", encoding="utf-8") as f:
                for command in ("", " site", " sync", " correction", " events", " advertise"):
                    f.write("# show dsaa%s\n%s\n" % (
                        command, self.lab.vtysh(node, "show dsaa" + command, check=False)))
                f.write(self.lab.run(node, "conntrack -L -o extended,id", check=False).stdout)
                f.write(self.lab.run(node, "ip route; ip -6 route; ip addr", check=False).stdout)
        self.say("evidence: %s" % folder)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--minutes", type=float, default=5)
    p.add_argument("--seed", type=int, default=int(time.time()))
    p.add_argument("--tcp", type=int, default=40, help="connections per family")
    p.add_argument("--udp", type=int, default=10, help="flows per family")
    p.add_argument("--fault", action="append", help="only these faults")
    p.add_argument("--name", default="soak")
    p.add_argument("--family", default="both")
    p.add_argument("--nat", default="snat")
    p.add_argument("--mode", default="auto")
    p.add_argument("--sites", type=int, default=2)
    p.add_argument("--keep", action="store_true", help="leave the lab running")
    return Soak(p.parse_args()).run()


if __name__ == "__main__":
    sys.exit(main())
