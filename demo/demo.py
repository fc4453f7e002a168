#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
The demo: two sites that are one firewall, on real traffic. A script over the
lab's commands; every figure is measured, none is taken for granted.

  (a) forward through one site, return through the other
  (b) the site that owns the connections loses power in the middle of a download
  (c) it comes back: state complete first, then its routes
"""

import argparse
import json
import os
import signal
import socket
import sys
import threading
import time

sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from demo import programs as prog  # noqa: E402
from lab import topology as topo  # noqa: E402
from lab.control import TOP, Lab, LabError, in_parallel, wait_for  # noqa: E402

PICTURE = """
               +-- isp1 --+  192.0.2.0/24     +-- site1 (paris) --+  10.1.0.0/24
     client ---+          +-------------------+        ||         +--- inside --- server
  203.0.113.10 +-- isp2 --+  198.51.100.0/24  +-- site2 (lyon) ---+  10.2.0.0/24   10.9.1.10

   isp1, isp2, inside  stock FRR: BGP and BFD, nothing else
   site1, site2        FRR with dsaad, a default-drop stateful firewall, and source NAT
                       to the site's own pool: 10.201.0.0/24 and 10.202.0.0/24
   ||                  the site-sync link: state and corrected packets, no routing
"""

MEGABYTES = 240
RATE = 20 * 1000 * 1000  # bytes per second: paced so that the power cut falls in the middle
CUT_AT = 0.4
LOST_PERCENT_A = 1.0


class Timeline:
    """Prints what happens with the seconds since the demo began."""

    def __init__(self):
        self.begin = time.monotonic()
        self._lock = threading.Lock()

    def say(self, text, when=None):
        seconds = (when or time.monotonic()) - self.begin
        with self._lock:
            print("[%6.1f s] %s" % (seconds, text), flush=True)

    def head(self, text):
        with self._lock:
            print("\n%s\n%s" % (text, "-" * len(text)), flush=True)


class Part:
    """One of the three things shown: what was checked, and what was not as it should be."""

    def __init__(self, letter, title):
        self.letter = letter
        self.title = title
        self.begin = time.monotonic()
        self.figures = []  # (what, value)
        self.faults = []
        self.done = False

    def figure(self, what, value):
        self.figures.append((what, value))

    def check(self, good, fault):
        if not good:
            self.faults.append(fault)

    @property
    def passed(self):
        return self.done and not self.faults


class Watch(threading.Thread):
    """Notes when a condition first holds; asks every PAUSE seconds."""

    def __init__(self, condition, pause=0.05):
        super().__init__(daemon=True)
        self._condition = condition
        self._pause = pause
        self._quit = threading.Event()
        self.when = None
        self.start()

    def run(self):
        while not self._quit.is_set():
            try:
                if self._condition():
                    self.when = time.monotonic()
                    return
            except LabError:
                pass
            self._quit.wait(self._pause)

    def result(self, seconds):
        """When it held, or None after SECONDS."""
        self.join(seconds)
        self._quit.set()
        return self.when


class Demo:
    """The whole run. Programs and parts are attributes, so that the end can report them."""

    def __init__(self, options):
        self.options = options
        self.time = Timeline()
        self.say = self.time.say
        self.lab = Lab("demo")
        self.programs = prog.Programs(self.lab)
        self.parts = []
        self.address = {}

    # ------------------------------------------------------------ the run

    def run(self):
        """Returns True when all three parts passed."""
        print(PICTURE)
        self.time.head("The lab")
        self.say("starting: namespaces, FRR, dsaad")
        self.lab.start(family=self.options.family, mode=self.options.mode, nat="snat")
        self.say("up: BGP and BFD sessions up, dsaad on both sites says: state complete")
        self._paths()
        self._programs()
        for part in (self.part_a, self.part_b, self.part_c):
            part()
        return self._report()

    def _part(self, letter, title):
        part = Part(letter, title)
        self.parts.append(part)
        self.time.head("(%s) %s" % (letter, title))
        return part

    def _paths(self):
        self.lab.path("forward", 1)
        self.lab.path("return", 2)
        self.say("providers send to site 1, the inside router answers through site 2")

    def _programs(self):
        families = self.lab.top.families
        first, last = families[0], families[-1]
        server = topo.SERVER
        self.rst = [prog.RstWatch(self.programs, n) for n in ("client", "server")]
        self.http = prog.HttpServer(self.programs, MEGABYTES, RATE)
        self.udp = prog.UdpStream(self.programs, server[first])
        self.pings = {f: prog.Ping(self.programs, server[f]) for f in families}
        self.ssh = prog.SshSession(self.programs, server[last])
        self.http_address = server[first]
        if not self.ssh.answers_within(15):
            self.say("the ssh session does not answer")
        self.say(
            "client: ssh session to %s open, UDP stream 50/s to %s, ping to %s"
            % (server[last], server[first], ", ".join(server[f] for f in families))
        )

    # ------------------------------------------------------------ (a)

    def part_a(self):
        part = self._part("a", "Forward through site 1, return through site 2")
        before = {s: self._correction(s) for s in self.lab.top.sites}
        bytes_before = self._interface_bytes()
        begin = time.monotonic()
        download = self._download_with_progress(90)
        self._check_download(part, download)
        time.sleep(1.2)
        after = {s: self._correction(s) for s in self.lab.top.sites}
        self._show_interfaces(bytes_before)
        self._check_correction(part, before, after)
        self._check_streams(part, begin, LOST_PERCENT_A, 1.0)
        self._check_rst(part)
        part.done = True

    def _download_with_progress(self, seconds):
        download = prog.Download(self.programs, self.http_address)
        self.say("curl http://%s/download starts" % prog.url_host(self.http_address))
        marks = [0.25, 0.5, 0.75]
        while download.is_alive() and time.monotonic() < download.begin + seconds:
            download.join(0.1)
            if marks and download.received >= marks[0] * self.http.length:
                self.say("download at %d %%" % (100 * marks.pop(0)))
        return download

    def _check_download(self, part, download):
        part.check(not download.is_alive(), "the download did not end")
        if download.is_alive():
            part.figure("download", "%.0f MB, not ended" % (download.received / 1e6))
            return
        right = download.sha256 == self.http.sha256
        self.say(
            "download: %.1f MB in %.1f s, sha256 %s..., %s"
            % (
                download.received / 1e6,
                download.seconds,
                download.sha256[:12],
                "the server's" if right else "WRONG (%s)" % (download.error or "differs"),
            )
        )
        part.check(right, "the download's sha256 is wrong: %s" % (download.error or "it differs"))
        part.figure("download, MB", "%.0f" % (download.received / 1e6))
        part.figure("download, MB/s", "%.1f" % download.rate)
        part.figure("download, longest stall s", "%.2f" % download.longest_stall)
        part.figure("download, sha256", "right" if right else "WRONG")

    def _correction(self, site):
        """(packets sent, packets received) of a site, all peers together, and the reasons."""
        found = self.lab.vtysh_json("site%d" % site, "show dsaa correction json")
        peers = found.get("peers", {}).values()
        return {
            "sent": sum(p.get("packetsSent", 0) for p in peers),
            "sentBytes": sum(p.get("bytesSent", 0) for p in peers),
            "received": sum(p.get("packetsReceived", 0) for p in peers),
            "reasons": found.get("reasons", {}),
        }

    def _check_correction(self, part, before, after):
        sent = after[2]["sent"] - before[2]["sent"]
        volume = after[2]["sentBytes"] - before[2]["sentBytes"]
        received = after[1]["received"] - before[1]["received"]
        self.say(
            "show dsaa correction: site 2 sent %d packets (%.0f MB) to their owner site 1,"
            " which received %d" % (sent, volume / 1e6, received)
        )
        for site in self.lab.top.sites:
            reasons = self._new_reasons(before[site], after[site])
            self.say("  site %d by reason: %s" % (site, reasons or "nothing"))
        part.figure("corrected, packets sent by site 2", "%d" % sent)
        part.figure("corrected, packets received by site 1", "%d" % received)
        part.check(
            volume > 0.9 * self.http.length and sent > 0,
            "site 2 corrected only %.0f MB of the download" % (volume / 1e6),
        )
        part.check(received >= 0.98 * sent, "site 1 received %d of %d" % (received, sent))

    @staticmethod
    def _new_reasons(before, after):
        new = {
            r: n - before["reasons"].get(r, 0)
            for r, n in after["reasons"].items()
            if n > before["reasons"].get(r, 0)
        }
        return ", ".join("%s %d" % (r, n) for r, n in sorted(new.items()))

    def _interface_bytes(self):
        """Bytes received and sent by every interface of the sites."""
        found = {}
        for node in self.lab.top.site_nodes():
            links = json.loads(self.lab.run(node, ["ip", "-j", "-s", "link"]).stdout)
            for link in links:
                stats = link.get("stats64", {})
                for way in ("rx", "tx"):
                    found[node, link["ifname"], way] = stats.get(way, {}).get("bytes", 0)
        return found

    def _show_interfaces(self, before):
        now = self._interface_bytes()

        def grown(node, name, way):
            key = (node, name, way)
            return (now.get(key, 0) - before.get(key, 0)) / 1e6

        self.say(
            "the way back: site2 eth1 in %.0f MB, sync0 %.0f MB, site1 eth0 out %.0f MB"
            " (site2 eth0 out %.1f MB)"
            % (
                grown("site2", "eth1", "rx"),
                grown("site2", "sync0", "tx"),
                grown("site1", "eth0", "tx"),
                grown("site2", "eth0", "tx"),
            )
        )

    def _check_streams(self, part, begin, loss, silence):
        """ssh, UDP and ping since BEGIN, with at most LOSS percent and SILENCE seconds."""
        answers, wait = self.ssh.since(begin)
        alive = self.ssh.answers_within(10)
        end = time.monotonic() - 1.0
        udp = self.udp.between(begin, end)
        self.say(
            "ssh answered %d commands, longest wait %.2f s; UDP lost %d of %d, longest silence"
            " %.2f s" % (answers, wait, udp.lost, udp.sent, udp.silence)
        )
        part.figure("ssh, answers", "%d" % answers)
        part.figure("ssh, longest wait s", "%.2f" % wait)
        part.figure("UDP, lost of sent", "%d of %d" % (udp.lost, udp.sent))
        part.figure("UDP, longest silence s", "%.2f" % udp.silence)
        part.check(alive, self.ssh.ended or "the ssh session does not answer")
        self._check_stream(part, "the UDP stream", udp, loss, silence)
        for family, ping in self.pings.items():
            p = ping.between(begin, end)
            part.figure("ping IPv%d, lost of sent" % family, "%d of %d" % (p.lost, p.sent))
            self._check_stream(part, "ping IPv%d" % family, p, loss, silence)

    @staticmethod
    def _check_stream(part, name, figures, loss, silence):
        part.check(
            figures.loss <= loss,
            "%s lost %d of %d packets" % (name, figures.lost, figures.sent),
        )
        part.check(
            figures.silence <= silence,
            "%s was silent for %.1f s" % (name, figures.silence),
        )

    def _check_rst(self, part):
        broken = [line for watch in self.rst for line in watch.resets.broken]
        late = [line for watch in self.rst for line in watch.resets.late]
        self.say(
            "tcpdump at client and server: %d RST of a connection, %d in answer to segments that"
            " came after its end" % (len(broken), len(late))
        )
        for line in broken[:3] + late[:3]:
            self.say("  %s" % line)
        part.figure("RST of a connection", "%d" % len(broken))
        part.figure("RST after its end", "%d" % len(late))
        part.check(not broken, "%d RST seen" % len(broken))

    # ------------------------------------------------------------ (b)

    def part_b(self):
        part = self._part("b", "Site 1 loses power in the middle of a download")
        begin = time.monotonic()
        download = prog.Download(self.programs, self.http_address)
        self.say("curl starts again; site 1 owns the connection")
        while download.is_alive() and download.received < CUT_AT * self.http.length:
            download.join(0.05)
        at = 100.0 * download.received / self.http.length
        in_middle = download.is_alive() and at < 90
        part.check(in_middle, "the download was not in its middle at the power cut")
        cut = self._power_cut(part, at)
        marks = [m for m in (0.5, 0.75) if 100 * m > at]
        while download.is_alive() and time.monotonic() < begin + 100:
            download.join(0.1)
            if marks and download.received >= marks[0] * self.http.length:
                self.say("download at %d %%" % (100 * marks.pop(0)))
        self._check_download(part, download)
        time.sleep(1.2)
        self._check_streams(part, begin, 25.0, 5.0)
        self._check_rst(part)
        self.say("%.1f s since the power cut" % (time.monotonic() - cut))
        part.done = True

    def _power_cut(self, part, at):
        """Cuts site 1 and tells what follows; returns when it was."""
        service = topo.SERVICE_NET[self.lab.top.families[0]]
        self.say("POWER CUT of site 1, download at %.0f %%" % at)
        cut = time.monotonic()
        switch = Watch(lambda: self.lab.route_site("isp1", service) == 2)
        dead = Watch(lambda: self._peer_state("site2", "1") == "dead", 0.1)
        self.lab.cut("site1")
        seen = []
        for watch, text, figure in (
            (switch, "isp1 sends to site 2 (BFD, BGP)", "BGP switched after s"),
            (dead, "site 2 calls site 1 dead and adopts its connections", "adopted after s"),
        ):
            when = watch.result(15)
            part.check(when is not None, "not seen in 15 s: %s" % text)
            if when:
                seen.append((when, text))
                part.figure(figure, "%.1f" % (when - cut))
        for when, text in sorted(seen):
            self.say("%s, %.1f s after the cut" % (text, when - cut), when)
        return cut

    def _peer_state(self, node, peer):
        found = self.lab.vtysh_json(node, "show dsaa json")
        return found.get("peers", {}).get(peer, {}).get("state")

    # ------------------------------------------------------------ (c)

    def part_c(self):
        part = self._part("c", "Site 1 gets power again")
        begin = time.monotonic()
        errors = []

        def boot():
            try:
                self.lab.heal("site1")
            except LabError as e:
                errors.append(str(e))

        boots = threading.Thread(target=boot)
        self.say("POWER for site 1: empty connection table, FRR starts as at boot")
        boots.start()
        self._watch_return(part, begin)
        boots.join()
        for e in errors:
            part.check(False, e)
        if not errors:
            self._show_bulk(part)
            self._check_back(part, begin)
            self._show_corrected_back(part)
        part.done = True

    def _watch_return(self, part, begin):
        """Asks site 1 for its state and isp1 for its routes in turn, until both are there."""
        complete = route = None
        too_early = False
        while time.monotonic() < begin + 60 and not (complete and route):
            complete = complete or (self._state_complete("site1") and time.monotonic())
            if not route and self._announced("isp1", 1):
                route = time.monotonic()
                # Seen before the answer of site 1: ask again before judging.
                complete = complete or (self._state_complete("site1") and route)
                too_early = not complete
            time.sleep(0.05)
        part.check(complete, "site 1 did not get its state complete in 60 s")
        part.check(route, "isp1 got no route from site 1 in 60 s")
        part.check(not too_early, "isp1 had the route before the state was complete")
        for when, text, figure in (
            (complete, "site 1 says: state complete", "state complete after s"),
            (route, "isp1 has the route through site 1 in its BGP table", "route after s"),
        ):
            if when:
                self.say("%s, %.1f s after power" % (text, when - begin), when)
                part.figure(figure, "%.1f" % (when - begin))

    def _show_bulk(self, part):
        """What site 1 was told before it announced anything."""
        found = self.lab.vtysh_json("site1", "show dsaa sync json")
        bulk = found.get("peers", {}).get("2", {}).get("lastBulk", {})
        self.say("bulk from site 2: %s flows in %s ms" % (bulk.get("flows"), bulk.get("msec")))
        part.figure("bulk, flows", "%s" % bulk.get("flows"))
        part.check((bulk.get("flows") or 0) > 0, "site 1 got no flow from site 2")

    def _state_complete(self, node):
        try:
            found = self.lab.vtysh_json(node, "show dsaa json")
        except LabError:
            return False  # not up yet
        states = [p.get("state") for p in found.get("peers", {}).values()]
        return found.get("stateComplete") is True and states == ["up"]

    def _announced(self, isp, site):
        """True when the provider's BGP table has the services' prefix from the site."""
        family = self.lab.top.families[0]
        try:
            found = self.lab.vtysh_json(
                isp, "show bgp ipv%d unicast %s json" % (family, topo.SERVICE_NET[family])
            )
        except LabError:
            return False
        address = topo.host(topo.out_net(site, family), 1)
        return any(p.get("peer", {}).get("peerId") == address for p in found.get("paths", []))

    def _check_back(self, part, begin):
        service = topo.SERVICE_NET[self.lab.top.families[0]]
        late = wait_for(20, lambda: None if self.lab.route_site("isp1", service) == 1 else "x")
        part.check(late is None, "isp1 does not send to site 1 again")
        self.say("isp1 sends to site 1 again")
        time.sleep(3)
        small = prog.Download(self.programs, self.http_address, "/small")
        small.join(20)
        right = small.sha256 == self.http.small_sha256 and not small.is_alive()
        self.say("a new download, begun at site 1: %s" % ("right" if right else "WRONG"))
        part.figure("new download, sha256", "right" if right else "WRONG")
        part.check(right, "a new download failed: %s" % (small.error or "it did not end"))
        time.sleep(1.2)
        self._check_streams(part, begin, 25.0, 5.0)
        self._check_rst(part)

    def _show_corrected_back(self, part):
        """The connections that site 2 adopted reach site 1 again, which carries them to site 2."""
        sent = self._correction(1)["sent"]
        self.say("site 1 sent %d packets of adopted connections to their owner site 2" % sent)
        part.figure("corrected, packets sent by site 1", "%d" % sent)
        part.check(sent > 0, "site 1 corrected nothing, though site 2 owns the old connections")

    # ------------------------------------------------------------ the end

    def _report(self):
        self.time.head("Figures")
        names = []
        for part in self.parts:
            names += [n for n, _ in part.figures if n not in names]
        print("%-40s %14s %14s %14s" % ("", "(a) asymmetric", "(b) power cut", "(c) back"))
        for name in names:
            cells = [dict(p.figures).get(name, "") for p in self.parts]
            print(("%-40s" + " %14s" * len(cells)) % tuple([name] + cells))
        return report_parts(self.parts)


def report_parts(parts):
    """PASS or FAIL for each of the three, and why; True when all passed."""
    print()
    for letter, title in (
        ("a", "asymmetric traffic works, by correction"),
        ("b", "a site dies, its connections live on"),
        ("c", "back: state complete first, then routes"),
    ):
        part = next((p for p in parts if p.letter == letter), None)
        good = part is not None and part.passed
        print("%s  (%s) %s" % ("PASS" if good else "FAIL", letter, title))
        for fault in part.faults if part else ["not reached"]:
            print("      %s" % fault)
        if part and not part.done and not part.faults:
            print("      not finished")
    return len(parts) == 3 and all(p.passed for p in parts)


def keep_evidence(demo):
    """After a failure: the logs, and what the sites say, in a folder that stays."""
    folder = os.path.join(TOP, "build", "logs", "demo")
    try:
        demo.lab.keep_logs(folder)
        in_parallel([lambda n=n: ask(demo.lab, n, folder) for n in demo.lab.top.routers()])
    except (LabError, OSError, AttributeError) as e:
        print("demo: not all logs could be kept: %s" % e, file=sys.stderr)
    print("Logs and what the routers said at the end: %s" % os.path.relpath(folder, TOP))


def ask(lab, node, folder):
    """Writes what a router says about itself into the folder."""
    shows = ["show bgp summary", "show ip bgp", "show bgp ipv6", "show ip route"]
    if node in lab.top.site_nodes():
        shows += ["show dsaa", "show dsaa site", "show dsaa uips", "show dsaa sync"]
        shows += ["show dsaa correction", "show dsaa advertise", "show dsaa events"]
    text = ""
    for show in shows:
        text += "# %s\n%s\n" % (show, lab.vtysh(node, show, check=False))
    for command in (["nft", "list", "ruleset"], ["conntrack", "-L"], ["ip", "addr"]):
        if node in lab.top.site_nodes():
            text += "# %s\n%s\n" % (" ".join(command), lab.run(node, command, check=False).stdout)
    os.makedirs(os.path.join(folder, node), exist_ok=True)
    with open(os.path.join(folder, node, "state.txt"), "w", encoding="utf-8") as f:
        f.write(text)


def alone():
    """Holds a name that goes with this process; False when another demo has it."""
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        lock.bind("\0dsaa-demo")
    except OSError:
        return None
    return lock


def arguments():
    parser = argparse.ArgumentParser(prog="demo", description=__doc__.strip().split("\n")[0])
    parser.add_argument("--family", default="both", choices=("4", "6", "both"))
    parser.add_argument("--mode", default="auto", choices=("auto", "kernel", "nfqueue"))
    return parser.parse_args()


def main():
    # Being asked to end is like Ctrl-C: everything is removed.
    # Both are set: a shell starts background jobs with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    options = arguments()
    lock = alone()
    if lock is None:
        print("demo: another demo runs on this machine.", file=sys.stderr)
        return 1
    demo = Demo(options)
    good = False
    try:
        demo.lab.stop()  # what a killed demo may have left
        good = demo.run()
        if not good:
            keep_evidence(demo)
    except LabError as e:
        print("\ndemo: %s" % e, file=sys.stderr)
        if demo.parts:
            report_parts(demo.parts)
            keep_evidence(demo)
    except KeyboardInterrupt:
        print("\ndemo: interrupted.", file=sys.stderr)
    except BrokenPipeError:
        # Who read our output has gone; what follows is written to nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        demo.programs.end()
        demo.lab.stop()
    seconds = time.monotonic() - demo.time.begin
    print("\nThe demo %s after %.0f s." % ("passed" if good else "FAILED", seconds))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
