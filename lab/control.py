# SPDX-License-Identifier: GPL-2.0-or-later
"""
The lab's commands as a class; lab.py is its command line, demo and tests use
it directly. What runs is recorded in /run/dsaa-lab/NAME/state.json; the nodes
themselves are found through their holders (node.py), so that a lab can be
removed even when its record is damaged.
"""

import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import threading
import time

from lab import firewall, routing
from lab import topology as topo
from lab.node import SLOW, LabError, Node, environment, find_holders, remove_holders, run_program

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STATE_ROOT = "/run/dsaa-lab"
STAGE = os.path.join(TOP, "build", "stage")
FRR_LIB = "/usr/lib/frr"
DELAY_MAX_MS = 10000
# The folder of a node's own files, as the node sees it.
NODE_DATA = "/run/lab"
# Where FRR's daemons keep crash logs by pid; it makes the folder when there is none.
FRR_TMP = "/var/tmp/frr"
# Kernel routes of FRR, by protocol number: zebra, bgp, static.
FRR_ROUTE_PROTOCOLS = (11, 186, 196)

OPTIONS = {
    "sites": 2,
    "family": "both",
    "nat": "snat",
    "mode": "auto",
    "static_uips": False,
    "bfd": "4x100",
    # A folder with NODE.conf, NODE.nft and dsaa.conf for the sites in the place of the lab's own.
    "config": None,
}

SYSCTLS = """\
net.ipv4.ip_forward=%(forward)d
net.ipv6.conf.all.forwarding=%(forward)d
net.ipv6.conf.default.forwarding=%(forward)d
net.ipv4.conf.all.rp_filter=0
net.ipv4.conf.default.rp_filter=0
net.ipv4.conf.all.send_redirects=0
net.ipv4.conf.default.send_redirects=0
net.ipv6.conf.all.accept_dad=0
net.ipv6.conf.default.accept_dad=0
net.ipv6.conf.default.accept_ra=0
"""

PREPARE = """\
set -e
hostname %(name)s
mount --bind %(dir)s/etc /etc/frr
mkdir -p /var/log/frr
mount --bind %(dir)s/log /var/log/frr
%(binds)s
mkdir %(dir)s/run
mount -t tmpfs -o mode=755 tmpfs %(dir)s/run
mkdir %(dir)s/run/lab %(dir)s/run/frr %(dir)s/run/sshd %(dir)s/run/lock
mount --bind %(dir)s/data %(dir)s/run/lab
chown frr:frr %(dir)s/run/frr
for d in /var/tmp/frr /var/lib/frr; do
	[ ! -d $d ] || { mount -t tmpfs tmpfs $d; chown frr:frr $d; }
done
ip link set lo up
sysctl -q -p %(dir)s/sysctl.conf
mount --rbind %(dir)s/run /run
"""

SITE_BOOT = """\
conntrack -F 2>/dev/null || true
nft delete table inet dsaa 2>/dev/null || true
ip link del dsaa0 2>/dev/null || true
ip link del dsaa-vx 2>/dev/null || true
rm -rf /sys/fs/bpf/dsaa
for i in %(uips)s; do
	tc qdisc del dev $i clsact 2>/dev/null || true
	ip addr flush dev $i scope global
done
nft -f %(data)s/firewall.nft
"""

FORGET_ROUTES = """\
for p in %s; do
	ip -4 route flush table all proto $p 2>/dev/null
	ip -6 route flush table all proto $p 2>/dev/null
done
ip nexthop flush 2>/dev/null
rm -rf /run/frr/*
"""


def need_root():
    if os.geteuid() != 0:
        raise LabError("The lab needs root: run it with sudo.")


def wait_for(seconds, check, pause=0.1):
    """Calls CHECK until it returns None, at most SECONDS; returns its last word."""
    deadline = time.monotonic() + seconds * SLOW
    while True:
        missing = check()
        if missing is None or time.monotonic() > deadline:
            return missing
        time.sleep(pause)


def in_parallel(jobs):
    """Runs the functions in threads and raises the first error after all have ended."""
    errors = []

    def guarded(job):
        try:
            job()
        except Exception as e:  # handed to the caller below
            errors.append(e)

    threads = [threading.Thread(target=guarded, args=(j,)) for j in jobs]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]


def frr_version():
    """The version of the installed FRR, as a list of numbers."""
    done = run_program([FRR_LIB + "/zebra", "--version"], "FRR")
    found = re.search(r"version (\d+)\.(\d+)", done.stdout)
    if not found:
        raise LabError("zebra does not tell its version.")
    return [int(n) for n in found.groups()]


class Lab:
    """One lab by its name. Every method raises LabError with a sentence."""

    # What makes a node ready, as a shell script.
    prepare = PREPARE

    def __init__(self, name="default"):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,30}", name):
            raise LabError("'%s' is no name for a lab: letters, digits, - and _." % name)
        self.name = name
        self.dir = os.path.join(STATE_ROOT, name)
        self.state = None
        self.top = None
        self.nodes = {}

    # ------------------------------------------------------------ the record

    def _read(self):
        try:
            with open(self._file("state.json"), encoding="utf-8") as f:
                return json.load(f)
        except (OSError, ValueError):
            return None

    def _write(self):
        new = self._file("state.json.new")
        with open(new, "w", encoding="utf-8") as f:
            json.dump(self.state, f, indent=1)
        os.replace(new, self._file("state.json"))

    def _file(self, *parts):
        return os.path.join(self.dir, *parts)

    def _adopt(self, state):
        """Makes the objects from a record."""
        self.state = state
        families = {"4": (4,), "6": (6,), "both": (4, 6)}[state["options"]["family"]]
        self.top = topo.Topology(state["options"]["sites"], families)
        self.nodes = {n: Node(n, p, t) for n, (p, t) in state["nodes"].items()}

    def open(self):
        """Attaches to the running lab; every command but start begins with it."""
        need_root()
        state = self._read()
        if state is None:
            raise LabError("Lab %s is not started." % self.name)
        self._adopt(state)
        dead = [n for n in self.nodes.values() if not n.alive()]
        if state["phase"] != "running" or dead:
            raise LabError(
                "Lab %s is not whole: remove it with 'lab stop' and start it again."
                % self.name
            )
        return self

    @contextlib.contextmanager
    def _changing(self):
        """One change at a time; the record is read anew under the lock."""
        self.open()
        with open(self._file("lock"), "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._adopt(self._read() or self.state)
            yield
            self._write()

    # ------------------------------------------------------------ start

    def start(self, say=lambda text: None, **options):
        """Builds the lab and waits until all of it works. Cleans up when it cannot."""
        need_root()
        wanted = dict(OPTIONS, **options)
        self._check_options(wanted)
        if self._read() is not None or os.path.isdir(self.dir):
            if self._somebody_runs():
                raise LabError("Lab %s runs already." % self.name)
            self.stop()
        begin = time.monotonic()
        os.makedirs(self.dir, mode=0o755)
        try:
            self._build(wanted, say)
            self._wait_ready(say)
            self.state["phase"] = "running"
            self._write()
        except LabError:
            say("it does not come up; its logs are in %s" % self.keep_logs())
            self.stop()
            raise
        except BaseException:
            self.stop()
            raise
        return time.monotonic() - begin

    def _somebody_runs(self):
        state = self._read()
        return bool(state and find_holders(state["id"]))

    @staticmethod
    def _check_options(o):
        if not 1 <= o["sites"] <= topo.SITES_MAX:
            raise LabError("The lab has 1 to %d sites." % topo.SITES_MAX)
        for key, words in (
            ("family", ("4", "6", "both")),
            ("nat", ("none", "snat", "dnat", "both")),
            ("mode", ("auto", "kernel", "nfqueue")),
        ):
            if o[key] not in words:
                raise LabError("--%s is one of %s." % (key, ", ".join(words)))
        if not re.fullmatch(r"[1-9]\d?x[1-9]\d{1,4}", o["bfd"]):
            raise LabError("--bfd is MULTIPLIERxMSEC, as 4x100.")
        if o["config"] and not os.path.isfile(os.path.join(o["config"], "dsaa.conf")):
            raise LabError("%s has no dsaa.conf." % o["config"])
        if not os.access(FRR_LIB + "/frrinit.sh", os.X_OK):
            raise LabError("FRR is not installed: run './quickstart setup' first.")
        staged = os.path.join(STAGE, "usr/lib/frr/dsaad")
        if not o["static_uips"] and not os.access(staged, os.X_OK):
            raise LabError("dsaad is not built: run './quickstart setup' first.")

    def _build(self, options, say):
        self._adopt(
            {
                "id": secrets.token_hex(8),
                "phase": "starting",
                "options": options,
                "frr": frr_version(),
                "nodes": {},
                "cuts": [],
                "delay": None,
                "made_frr_tmp": not os.path.isdir(FRR_TMP),
            }
        )
        self._write()
        # Every node mounts its own over it, so the machine's must be there.
        os.makedirs(FRR_TMP, exist_ok=True)
        say("namespaces and links")
        in_parallel([lambda n=n: self._create(n) for n in self._all_nodes()])
        self.state["nodes"] = {n: [o.pid, o.started] for n, o in self.nodes.items()}
        self._write()
        self._write_files()
        in_parallel([lambda n=n: self._prepare(n) for n in self._all_nodes()])
        self._wire()
        # All ends are up before the first address: IPv6 waits for the other end.
        in_parallel([lambda n=n: self._links_up(n) for n in self.top.nodes()])
        in_parallel([lambda n=n: self._address(n) for n in self.top.nodes()])
        say("FRR on %s" % ", ".join(self.top.routers()))
        in_parallel([lambda n=n: self._boot(n) for n in self.top.routers()])

    def _all_nodes(self):
        return self.top.nodes() + ["switch"]

    def _create(self, name):
        self.nodes[name] = Node.create(name, self.state["id"])

    # -- files of the nodes

    def _write_files(self):
        key = secrets.token_hex(32) + "\n"
        for name in self._all_nodes():
            for part in ("etc", "log", "data"):
                os.makedirs(self._file(name, part))
            forward = name not in ("client", "server", "switch")
            self._put(name, "sysctl.conf", SYSCTLS % {"forward": forward})
            if name in self.top.routers():
                self._put(name, "etc/frr.conf", self._frr_conf(name))
                self._put(name, "etc/vtysh.conf", "service integrated-vtysh-config\n")
                self._put(name, "etc/daemons", self._daemons(name))
            if name in self.top.site_nodes():
                self._put(name, "etc/dsaa.key", key, 0o600)
                text = self._given(name + ".nft") or firewall.site_firewall(
                    self.top, self._site(name), self.state["options"]["nat"]
                )
                self._put(name, "data/firewall.nft", text)
            for part in ("etc", "log"):
                self._give_to_frr(self._file(name, part))

    def _put(self, node, path, text, mode=0o644):
        full = self._file(node, path)
        with open(os.open(full, os.O_WRONLY | os.O_CREAT, mode), "w") as f:
            f.write(text)

    @staticmethod
    def _give_to_frr(folder):
        for path in [folder] + [os.path.join(folder, p) for p in os.listdir(folder)]:
            shutil.chown(path, "frr", "frr")

    def _site(self, node):
        """The site number of a site node."""
        return int(node[4:])

    def _given(self, file):
        """A file of the folder that was given with --config, or nothing."""
        path = os.path.join(self.state["options"]["config"] or "/nonexistent", file)
        if not os.path.isfile(path):
            return ""
        with open(path, encoding="utf-8") as f:
            return f.read()

    def _frr_conf(self, name):
        o = self.state["options"]
        if name in self.top.site_nodes() and self._given(name + ".conf"):
            text = self._given(name + ".conf") + self._given("dsaa.conf")
            return routing.for_frr(text, self.state["frr"][0])
        if name == "inside":
            return routing.inside_conf(self.top, o["bfd"])
        if name.startswith("isp"):
            return routing.isp_conf(self.top, int(name[3:]), o["bfd"])
        return routing.site_conf(
            self.top,
            self._site(name),
            o["nat"],
            o["mode"],
            self.state["frr"][0],
            o["bfd"],
            with_dsaad=not o["static_uips"],
        )

    def _daemons(self, name):
        text = routing.DAEMONS
        if SLOW > 1:
            # watchfrr kills a daemon that takes over 20 s to start
            text += 'watchfrr_options="-T %d -t %d"\n' % (20 * SLOW, 10 * SLOW)
        if name in self.top.site_nodes() and not self.state["options"]["static_uips"]:
            text += routing.DAEMONS_DSAA
        return text

    def _prepare(self, name):
        """Mounts, host name and sysctls of a node."""
        binds = ""
        if name in self.top.site_nodes() and not self.state["options"]["static_uips"]:
            for path in ("usr/lib/frr", "usr/bin/vtysh"):
                staged = os.path.join(STAGE, path)
                binds += "mount --bind '%s' /%s\n" % (staged, path)
        script = self.prepare % {"name": name, "dir": self._file(name), "binds": binds}
        self.nodes[name].run(["sh", "-s"], text_input=script)

    # -- wires

    def _wire(self):
        """Creates all links, directly in their namespaces."""
        lines = []
        for number, seg in enumerate(self.top.segments):
            lines += self._segment_lines(number, seg)
        switch = self.nodes["switch"]
        run_program(["ip", "-batch", "-"], "links", text_input="\n".join(lines) + "\n")
        ports = run_program(
            ["nsenter", "-t", str(switch.pid), "-n", "ip", "-j", "link"], "switch"
        )
        names = {p["ifname"] for p in json.loads(ports.stdout)}
        up = []
        for number, seg in enumerate(self.top.segments):
            if seg.is_wire():
                continue
            up.append("link add %s type bridge mcast_snooping 0" % seg.name)
            up.append("link set %s up mtu %d" % (seg.name, seg.ifaces[0].mtu))
            for n in range(len(seg.ifaces)):
                port = "p%d-%d" % (number, n)
                if port not in names:
                    raise LabError("The switch misses port %s." % port)
                up.append("link set %s master %s up" % (port, seg.name))
        switch.run(["ip", "-batch", "-"], text_input="\n".join(up) + "\n")

    def _segment_lines(self, number, seg):
        """A wire for two interfaces, a switch for more or for one alone."""
        new = "link add %s netns %d mtu %d address %s type %s"
        mine = [
            (i.name, self.nodes[i.node].pid, i.mtu, i.mac, i) for i in seg.ifaces
        ]
        if seg.is_wire():
            a, b = mine
            peer = "veth peer name %s netns %d mtu %d address %s" % b[:4]
            return [new % (a[:4] + (peer,))]
        lines = []
        for n, one in enumerate(mine):
            port = ("p%d-%d" % (number, n), self.nodes["switch"].pid, one[2])
            peer = "veth peer name %s netns %d mtu %d" % port
            lines.append(new % (one[:4] + (peer,)))
        return lines

    def _links_up(self, name):
        lines = ["link set %s up\n" % i.name for i in self.top.node_ifaces(name)]
        self.nodes[name].run(["ip", "-batch", "-"], text_input="".join(lines))

    def _address(self, name):
        """Addresses and default routes of a node, without what dsaad installs."""
        lines = []
        for iface in self.top.node_ifaces(name):
            if not iface.uips:
                lines += self._address_lines(iface)
        if name == "client":
            lines += self._client_lines()
        elif name == "server":
            for f in self.top.families:
                via = topo.host(topo.SERVER_NET[f], 1)
                lines.append("route add default via %s" % via)
        self.nodes[name].run(["ip", "-batch", "-"], text_input="\n".join(lines) + "\n")

    @staticmethod
    def _address_lines(iface):
        return [
            "addr add %s dev %s%s" % (a, iface.name, " nodad" if f == 6 else "")
            for f, a in iface.addresses.items()
        ]

    def _client_lines(self):
        lines = []
        for f in self.top.families:
            own = "%s/128" if f == 6 else "%s/32"
            lines.append("addr add %s dev lo nodad" % (own % topo.CLIENT[f]))
            for isp in topo.ISPS:
                via = topo.host(topo.client_link(isp, f), 1)
                lines.append(
                    "route add default via %s dev isp%d src %s metric %d"
                    % (via, isp, topo.CLIENT[f], 100 * isp)
                )
        return lines

    # ------------------------------------------------------------ boot

    def _boot(self, name):
        """What a router does when it gets power: nothing of an earlier life remains."""
        node = self.nodes[name]
        node.run(FORGET_ROUTES % " ".join(str(p) for p in FRR_ROUTE_PROTOCOLS), check=False)
        if name in self.top.site_nodes():
            self._boot_site(name)
        self._apply_cuts([name] + self.top.neighbours(name))
        self._start_frr(name)

    def _boot_site(self, name):
        uips = [i for i in self.top.node_ifaces(name) if i.uips]
        words = {"uips": " ".join(i.name for i in uips), "data": NODE_DATA}
        self.nodes[name].run("set -e\n" + SITE_BOOT % words)
        if self.state["options"]["static_uips"]:
            lines = [line for i in uips for line in self._address_lines(i)]
            text = "\n".join(lines) + "\n"
            self.nodes[name].run(["ip", "-batch", "-"], text_input=text)

    def _start_frr(self, name):
        # The daemons keep what they inherit open, so it must not be a pipe of ours.
        log = "/var/log/frr/start.log"
        start = "exec %s/frrinit.sh start >>%s 2>&1 </dev/null" % (FRR_LIB, log)
        done = self.nodes[name].run(start, check=False, timeout=60)
        if done.returncode != 0:
            raise LabError("FRR does not start on %s: see %s." % (name, log))

    # ------------------------------------------------------------ ready?

    def _wait_ready(self, say):
        say("waiting for BGP and BFD")
        missing = wait_for(30, self._bgp_missing, pause=0.2)
        missing = missing or wait_for(10, self._bfd_missing, pause=0.2)
        if missing:
            raise LabError(missing)
        if not self.state["options"]["static_uips"]:
            say("waiting for dsaad")
            missing = wait_for(20, self._dsaa_missing, pause=0.2)
            if missing:
                raise LabError(missing)
        missing = wait_for(10, self._routes_missing, pause=0.2)
        if missing:
            raise LabError(missing)

    def _bgp_missing(self):
        """None when every session of every third-party router is up, else a sentence."""
        for name in self.top.third_party():
            try:
                found = self.vtysh_json(name, "show bgp summary json")
            except LabError:
                return "BGP does not answer on %s." % name
            for f in self.top.families:
                peers = found.get("ipv%dUnicast" % f, {}).get("peers", {})
                for site in self.top.sites:
                    net = topo.in_net if name == "inside" else topo.out_net
                    address = topo.host(net(site, f), 1)
                    if peers.get(address, {}).get("state") != "Established":
                        return "The BGP session of %s with site%d (%s) does not come up." % (
                            name,
                            site,
                            address,
                        )
        return None

    def _bfd_missing(self):
        """None when BFD watches every session of the third-party routers, else a sentence."""
        for name in self.top.third_party():
            found = self.vtysh_json(name, "show bfd peers json")
            up = [p for p in found if p.get("status") == "up"]
            if len(up) < len(self.top.sites) * len(self.top.families):
                return "BFD does not come up on %s." % name
        return None

    def _dsaa_missing(self):
        for name in self.top.site_nodes():
            try:
                found = self.vtysh_json(name, "show dsaa json")
            except LabError as e:
                return "dsaad does not answer on %s: %s" % (name, e)
            for peer, p in found.get("peers", {}).items():
                if p.get("state") != "up":
                    return "On %s the peer %s is %s: %s." % (
                        name,
                        peer,
                        p.get("state"),
                        p.get("reason"),
                    )
            if len(found.get("peers", {})) != len(self.top.sites) - 1:
                return "On %s dsaad does not know all sites." % name
            if not found.get("stateComplete"):
                return "The state of %s does not get complete." % name
        return None

    def _routes_missing(self):
        for name, prefixes in self._watched().items():
            for prefix in prefixes:
                if self.route_site(name, prefix) is None:
                    return "%s has no route to %s through a site." % (name, prefix)
        for name in self.top.site_nodes():
            for f in self.top.families:
                for prefix in (topo.SERVER_NET[f], topo.CLIENT_NET[f]):
                    if not self._kernel_routes(name, prefix):
                        return "%s has no route to %s." % (name, prefix)
        return None

    def _kernel_routes(self, node, prefix):
        """The kernel's routes to exactly this prefix."""
        family = "-6" if ":" in prefix else "-4"
        done = self.run(node, ["ip", "-j", family, "route", "show", prefix])
        return json.loads(done.stdout or "[]")

    def _watched(self):
        """The prefixes by which the third-party routers choose a site."""
        services = [topo.SERVICE_NET[f] for f in self.top.families]
        back = [topo.CLIENTS_NET[f] for f in self.top.families]
        if self.state["options"]["nat"] in ("snat", "both"):
            back += [topo.pool_net(s, f) for s in self.top.sites for f in self.top.families]
        return {"isp%d" % i: services for i in topo.ISPS} | {"inside": back}

    def route_site(self, node, prefix):
        """The site to which NODE's kernel sends PREFIX now, or None."""
        family = 6 if ":" in prefix else 4
        for route in self._kernel_routes(node, prefix):
            for site in self.top.sites:
                for net in (topo.in_net, topo.out_net):
                    if route.get("gateway") == topo.host(net(site, family), 1):
                        return site
        return None

    # ------------------------------------------------------------ commands

    def node(self, name):
        """The node, or a sentence."""
        if name not in self.nodes or name == "switch":
            raise LabError(
                "There is no node '%s': the nodes are %s."
                % (name, ", ".join(self.top.nodes()))
            )
        return self.nodes[name]

    def router(self, name):
        node = self.node(name)
        if name not in self.top.routers():
            raise LabError("%s is no router: it has no vtysh." % name)
        return node

    def run(self, node, command, **kw):
        """Runs a command in a node: subprocess.CompletedProcess, text output."""
        return self.node(node).run(command, **kw)

    def data(self, node):
        """The folder that the node sees as NODE_DATA, for files to be put there."""
        self.node(node)
        return self._file(node, "data")

    def popen(self, node, command, **kw):
        """Starts a program in a node; it dies with the returned process."""
        return self.node(node).popen(command, **kw)

    def vtysh(self, node, *commands, check=True, timeout=30):
        """Runs vtysh commands on a router and returns what they print."""
        argv = ["vtysh"]
        for c in commands:
            argv += ["-c", c]
        done = self.router(node).run(argv, check=check, timeout=timeout)
        return done.stdout

    def vtysh_json(self, node, command):
        """One show command with json, parsed."""
        text = self.vtysh(node, command)
        try:
            return json.loads(text)
        except ValueError:
            words = text.strip().splitlines()
            raise LabError(
                "'%s' on %s answers no JSON%s"
                % (command, node, ": " + words[0] if words else ".")
            )

    # -- path

    def path(self, direction, site):
        """
        Makes the third-party routers prefer SITE: 'forward' at the providers for
        what comes from the client, 'return' at the inside router. Returns the
        seconds until their kernels had it.
        """
        with self._changing():
            if direction not in ("forward", "return"):
                raise LabError("A path is 'forward' or 'return', not '%s'." % direction)
            if site not in self.top.sites:
                raise LabError(
                    "There is no site %s: the sites are %s."
                    % (site, ", ".join(str(s) for s in self.top.sites))
                )
            begin = time.monotonic()
            at = ["isp%d" % i for i in topo.ISPS] if direction == "forward" else ["inside"]
            in_parallel([lambda n=n: self._prefer(n, site) for n in at])
            missing = wait_for(10, lambda: self._path_missing(at, site))
            if missing:
                raise LabError(missing)
            return time.monotonic() - begin

    def _prefer(self, node, site):
        commands = ["configure terminal"]
        for f in self.top.families:
            for s in self.top.sites:
                wish = routing.PREFERRED if s == site else routing.USUAL
                commands += [
                    "route-map %s permit 10" % routing.preference_map_name(s, f),
                    "set local-preference %d" % wish,
                    "exit",
                ]
        commands.append("end")
        for f in self.top.families:
            commands.append("clear bgp ipv%d unicast * soft in" % f)
        self.vtysh(node, *commands)

    def _path_missing(self, at, site):
        for name in at:
            for prefix in self._watched()[name]:
                found = self.route_site(name, prefix)
                if found != site:
                    return "%s still sends %s %s: does site%d announce it?" % (
                        name,
                        prefix,
                        "to site%d" % found if found else "nowhere",
                        site,
                    )
        return None

    # -- cuts

    def cut(self, what, oneway=False):
        """Power cut of a node, or a cut of 'sync' or of a link 'a-b'."""
        with self._changing():
            word = self._cut_word(what, oneway)
            if word in self.state["cuts"]:
                raise LabError("%s is cut already." % what)
            self.state["cuts"].append(word)
            self._apply_cuts(self.top.nodes())
            if word in self.top.routers():
                self.nodes[word].kill_all()

    def heal(self, what, oneway=False):
        """Takes a cut back. A router boots: its FRR is started anew."""
        with self._changing():
            word = self._cut_word(what, oneway)
            if word not in self.state["cuts"]:
                raise LabError("%s is not cut." % what)
            self.state["cuts"].remove(word)
            if word in self.top.routers():
                self._boot(word)
            else:
                self._apply_cuts(self.top.nodes())

    # -- delay

    def delay(self, what, ms, loss=0.0):
        """
        Lets every packet on the site-sync link take MS milliseconds longer and LOSS per cent
        of them get lost; both 0: as it was. A program joins the switch's ports in the bridge's place.
        """
        with self._changing():
            if what != "sync":
                raise LabError("Only the site-sync link can be delayed: lab delay sync MSEC [LOSS%].")
            if not 0 <= ms <= DELAY_MAX_MS or not 0 <= loss <= 100:
                raise LabError("The delay is 0 to %d ms, the loss 0 to 100 %%." % DELAY_MAX_MS)
            switch = self.nodes["switch"]
            switch.kill_all()
            self.state["delay"] = [ms, loss] if ms or loss else None
            self._cut_tunnel_bundles(bool(self.state["delay"]))
            number = [s.name for s in self.top.segments].index("sync")
            ports = ["p%d-%d" % (number, n) for n in range(len(self.top.sites))]
            master = "nomaster" if self.state["delay"] else "master sync"
            lines = "".join("link set %s %s\n" % (port, master) for port in ports)
            switch.run(["ip", "-batch", "-"], text_input=lines)
            if self.state["delay"]:
                self._start_wire(switch, ms, loss, ports)

    def _cut_tunnel_bundles(self, cut):
        """A packet socket, which the wire is made of, cannot take a bundle of tunnelled packets: the sites cut them while it is there."""
        word = "off" if cut else "on"
        for name in self.top.site_nodes():
            both = ["tx-udp_tnl-segmentation", word, "tx-udp_tnl-csum-segmentation", word]
            self.nodes[name].run(["ethtool", "-K", "sync0"] + both)

    def _start_wire(self, switch, ms, loss, ports):
        """The program lives as long as the switch, or until it is killed."""
        words = [sys.executable, os.path.join(TOP, "lab", "wire.py"), str(ms), str(loss)]
        path = self._file("switch", "log", "wire.log")
        with open(path, "w", encoding="utf-8") as log:
            wire = subprocess.Popen(
                switch.enter() + words + ports,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(),
                cwd="/",
                start_new_session=True,
            )

        def missing():
            with open(path, encoding="utf-8") as log:
                said = log.read()
            return None if said.startswith("ready") or wire.poll() is not None else said or "silent"

        # Until it has its ports every packet would be lost.
        if wait_for(10, missing) is not None or wire.poll() is not None:
            raise LabError("The program that delays packets did not start, see %s." % path)

    def reboot(self, name):
        """A router is shut down and started again, as an administrator does it."""
        with self._changing():
            node = self.router(name)
            node.run("%s/frrinit.sh stop </dev/null >>/var/log/frr/start.log 2>&1" % FRR_LIB, check=False)
            node.kill_all()
            self._boot(name)

    def _cut_word(self, what, oneway):
        """The checked, canonical word of a cut: NODE, sync, a-b or a>b (one way)."""
        if what == "sync" or what in self.top.nodes():
            if oneway:
                raise LabError("--oneway needs a link a-b.")
            return what
        ends = what.split("-")
        if len(ends) != 2:
            raise LabError(
                "'%s' is neither a node nor 'sync' nor a link a-b of two nodes." % what
            )
        for end in ends:
            self.node(end)
        if not self.top.facing(ends[0], ends[1]):
            raise LabError("There is no link between %s and %s." % tuple(ends))
        return ">".join(ends) if oneway else "-".join(sorted(ends))

    def _drops(self):
        """What each node drops because of all cuts: {node: {interface: MACs or None}}."""
        drops = {}
        for word in self.state["cuts"]:
            for receiver, sender in self._cut_pairs(word):
                macs = drops.setdefault(receiver.node, {}).setdefault(receiver.name, set())
                macs.add(sender.mac)
        for word in self.state["cuts"]:
            if word in self.top.nodes():
                for iface in self.top.node_ifaces(word):
                    drops.setdefault(word, {})[iface.name] = None
        return drops

    def _cut_pairs(self, word):
        """(receiver's, sender's) interfaces that a cut silences."""
        if word == "sync":
            sites = self.top.site_nodes()
            both = [(a, b) for a in sites for b in sites if a != b]
            segment = "sync"
        elif word in self.top.nodes():
            both = [(word, n) for n in self.top.neighbours(word)]
            both += [(n, word) for n in self.top.neighbours(word)]
            segment = None
        elif ">" in word:
            both = [tuple(word.split(">"))]
            segment = None
        else:
            a, b = word.split("-")
            both = [(a, b), (b, a)]
            segment = None
        return [
            (receiver, sender)
            for s, r in both
            for receiver, sender, name in self.top.facing(s, r)
            if segment in (None, name)
        ]

    def _apply_cuts(self, names):
        """Loads the drop tables of the nodes; a cut node's own first."""
        drops = self._drops()
        for name in sorted(names, key=lambda n: n not in self.state["cuts"]):
            text = firewall.cut_table(drops.get(name, {}))
            self.nodes[name].run(["nft", "-f", "-"], text_input=text)

    # -- status, stop

    def status(self):
        """What runs, as a dictionary."""
        self.open()
        found = {
            "name": self.name,
            "options": self.state["options"],
            "cuts": self.state["cuts"],
            "delay": self.state["delay"],
            "nodes": {},
            "paths": {},
        }
        for name in self.top.nodes():
            found["nodes"][name] = {
                "pid": self.nodes[name].pid,
                "daemons": self._running(name),
            }
        for name, prefixes in self._watched().items():
            found["paths"][name] = {p: self.route_site(name, p) for p in prefixes}
        found["dsaa"] = {}
        for name in self.top.site_nodes():
            if "dsaad" in found["nodes"][name]["daemons"]:
                try:
                    found["dsaa"][name] = self.vtysh_json(name, "show dsaa json")
                except LabError as e:
                    found["dsaa"][name] = {"error": str(e)}
        return found

    def _running(self, name):
        """Names of the programs that run in a node."""
        names = []
        for pid in self.nodes[name].pids():
            try:
                with open("/proc/%d/comm" % pid, encoding="ascii", errors="replace") as f:
                    names.append(f.read().strip())
            except OSError:
                continue
        return sorted(set(names))

    def keep_logs(self, folder=None):
        """Copies the logs of the nodes to a folder that outlives the lab; returns it."""
        folder = folder or os.path.join(TOP, "build", "logs", "lab-" + self.name)
        shutil.rmtree(folder, ignore_errors=True)
        for name in self.nodes:
            source = self._file(name, "log")
            if os.path.isdir(source) and os.listdir(source):
                shutil.copytree(source, os.path.join(folder, name))
        return folder

    def stop(self):
        """Removes everything; nothing to remove is no error. Returns True when there was."""
        need_root()
        state = self._read()
        if state and not remove_holders(state["id"]):
            raise LabError("Some processes of lab %s do not end." % self.name)
        was = os.path.isdir(self.dir)
        shutil.rmtree(self.dir, ignore_errors=True)
        if os.path.isdir(self.dir):
            raise LabError("%s cannot be removed." % self.dir)
        with contextlib.suppress(OSError):
            os.rmdir(STATE_ROOT)
            if state and state.get("made_frr_tmp"):
                os.rmdir(FRR_TMP)
        self.nodes = {}
        return was


def exec_in(node, command):
    """Replaces this process by the command in the node, on this terminal."""
    from lab.node import environment

    argv = node.enter() + command
    os.execvpe(argv[0], argv, environment())


__all__ = ["Lab", "LabError", "exec_in", "wait_for"]
