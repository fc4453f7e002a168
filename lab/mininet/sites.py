#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
The lab's network as a Mininet topology, with Mininet's prompt: type at any host or router, break links and watch.

    ./quickstart mininet                            two sites, then the prompt
    ./quickstart mininet --sites 3 --family 4       see --help
    ./quickstart mininet --scenario all             plays the scenarios (lab/scenarios.py) and ends
    mininet> site1 vtysh                            any command at any node
    mininet> client ping 10.9.1.10
    mininet> link isp1 out1 down                    Mininet's own: both ends lose their carrier ("links" lists them)
    mininet> cut site1                              power cut: nobody is told anything; heal ends it
    mininet> path return 2                          by which site the inside router answers
    mininet> scenario site-death                    one of the scenarios, here and now

Nodes, addresses, configurations and cuts are those of lab/ (lab/README.md); Mininet makes the namespaces and the links. What is on
more than two interfaces is a bridge in a namespace of its own, so nothing has a name on the host. What was started is ended by its
process number, one by one; "mn -c", which kills by name, is neither needed nor used.
"""

import argparse
import contextlib
import os
import secrets
import signal
import sys

# Started as a program, this folder would be taken for the package "mininet".
sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

try:
    import mininet.net
    from mininet.cli import CLI
    from mininet.log import setLogLevel
    from mininet.node import Node as MininetNode
    from mininet.node import Switch
    from mininet.topo import Topo
except ImportError:
    sys.exit("mininet: Debian's package mininet is not installed: run './quickstart setup' first.")

from lab import scenarios  # noqa: E402
from lab import topology as topo  # noqa: E402
from lab.control import DELAY_MAX_MS, Lab, LabError  # noqa: E402
from lab.node import HOLDER_MARK, Node, Unable, start_time  # noqa: E402


class Bridge(Switch):
    """A bridge in a namespace of its own. Mininet's LinuxBridge is one in the host's."""

    # Mininet looks here for the address of a word that names a switch, as that of an interface may ("ip link show out1").
    controlIntf = None

    def __init__(self, name, **params):
        params["inNamespace"] = True
        # Switches of Mininet are numbered by their names: these have none.
        params.setdefault("dpid", "1")
        Switch.__init__(self, name, **params)

    def start(self, controllers):
        self.cmd("ip link add br0 type bridge mcast_snooping 0; ip link set br0 up")
        for intf in self.intfList():
            if intf.name != "lo":
                self.cmd("ip link set %s master br0 up" % intf.name)

    def stop(self, deleteIntfs=True):
        self.cmd("ip link del br0")
        Switch.stop(self, deleteIntfs)


class Sites(Topo):
    """The lab's tables (lab.topology) as a Mininet topology; also for "mn --custom lab/mininet/sites.py --topo sites"."""

    def build(self, sites=2, families=(4, 6)):
        self.table = topo.Topology(sites, families)
        for name in self.table.nodes():
            self.addHost(name, ip=None, cls=MininetNode)
        for seg in self.table.segments:
            if seg.is_wire():
                a, b = seg.ifaces
                self._link(a.node, b.node, a.name, b.name, a.mac, b.mac)
                continue
            self.addSwitch(self.switch_name(seg), cls=Bridge)
            for n, iface in enumerate(seg.ifaces):
                self._link(iface.node, self.switch_name(seg), iface.name, "p%d" % n, iface.mac, "06" + iface.mac[2:])

    def _link(self, a, b, name_a, name_b, mac_a, mac_b):
        self.addLink(a, b, intfName1=name_a, intfName2=name_b, addr1=mac_a, addr2=mac_b)

    @staticmethod
    def switch_name(seg):
        """out1, in1, sync: the segments' own names."""
        return seg.name


topos = {"sites": Sites}
FAMILIES = {"4": (4,), "6": (6,), "both": (4, 6)}


class Inside(Node):
    """A Mininet node as lab/ uses nodes. It shares the host's pids, so what runs in it is found by its network namespace."""

    def __init__(self, name, pid, mark):
        Node.__init__(self, name, pid, start_time(pid))
        self.mark = mark

    def enter(self):
        return ["nsenter", "-t", str(self.pid), "-m", "-n", "--"]

    def run(self, command, **kw):
        kw["env"] = dict(kw.get("env") or {}, **{HOLDER_MARK: self.mark})
        return Node.run(self, command, **kw)

    def pids(self):
        space, found = os.stat("/proc/%d/ns/net" % self.pid).st_ino, []
        for p in os.listdir("/proc"):
            if p.isdigit() and int(p) != self.pid:
                with contextlib.suppress(OSError):
                    if os.stat("/proc/%s/ns/net" % p).st_ino == space:
                        found.append(int(p))
        return found

    def kill_all(self):
        """Until none is left: a supervisor may have started another one meanwhile."""
        for _ in range(50):
            left = self.pids()
            if not left:
                return
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


class MininetLab(Lab):
    """The lab over nodes and links that Mininet has made. One process owns it: there is nothing to attach to."""

    # The host's name is shared with the host; /sys is fresh in a node.
    prepare = Lab.prepare.replace("hostname %(name)s\n", "").replace(
        "ip link set lo up\n", "mount -t bpf bpf /sys/fs/bpf || true\nip link set lo up\n"
    )

    def __init__(self, name="mininet"):
        Lab.__init__(self, name)
        self.net = None
        self.mark = secrets.token_hex(8)

    def _build(self, options, say):
        say("namespaces and links, by Mininet")
        # All that is started from here on carries the mark, by which the rest is found when this process dies.
        os.environ[HOLDER_MARK] = self.mark
        # It would raise limits of the whole host.
        mininet.net.fixLimits = lambda: None
        sites = Sites(sites=options["sites"], families=FAMILIES[options["family"]])
        self.net = mininet.net.Mininet(topo=sites, controller=None, waitConnected=False)
        self.net.start()
        Lab._build(self, options, say)

    def _adopt(self, state):
        state["id"] = self.mark
        state["owner"] = [os.getpid(), start_time(os.getpid())]
        self.state = state
        self.top = topo.Topology(state["options"]["sites"], FAMILIES[state["options"]["family"]])

    def _all_nodes(self):
        return self.top.nodes()

    def _create(self, name):
        self.nodes[name] = Inside(name, self.net.get(name).pid, self.mark)

    def _wire(self):
        """The links are there; what is left is their MTU."""
        for seg in self.top.segments:
            for n, i in enumerate(seg.ifaces):
                self.nodes[i.node].run(["ip", "link", "set", i.name, "mtu", str(i.mtu)])
                if not seg.is_wire():
                    self.net.get(seg.name).cmd("ip link set p%d mtu %d" % (n, i.mtu))

    def open(self):
        return self

    @contextlib.contextmanager
    def _changing(self):
        yield
        self._write()

    def _somebody_runs(self):
        owner = (self._read() or {}).get("owner")
        return bool(owner and start_time(owner[0]) == owner[1])

    def stop(self):
        """The programs in the nodes first, by their numbers; then Mininet's links and shells; then what an earlier life left."""
        for node in self.nodes.values():
            with contextlib.suppress(OSError):
                node.kill_all()
        if self.net:
            self.net.stop()
            self.net = None
        return Lab.stop(self)

    def delay(self, what, ms, loss=0.0):
        """As in the plain lab, by the kernel's netem: Unable where there is none."""
        if what != "sync" or not 0 <= ms <= DELAY_MAX_MS or not 0 <= loss <= 100:
            raise LabError("Only the site-sync link can be delayed, by 0 to %d ms, with a loss of 0 to 100 %%." % DELAY_MAX_MS)
        if not self._has_netem():
            raise Unable(
                "This kernel has no netem, so Mininet can neither delay nor lose packets here.\n"
                "'./quickstart lab delay sync MSEC [LOSS%]' does it in user space, outside of Mininet."
            )
        rule = "replace dev sync0 root netem delay %gms loss %g%%" % (ms, loss) if ms or loss else "del dev sync0 root"
        for name in self.top.site_nodes():
            self.nodes[name].run("tc qdisc " + rule, check=bool(ms or loss))

    def _has_netem(self):
        """Tried where it does no harm."""
        done = self.nodes["client"].run("tc qdisc add dev lo root netem delay 1ms && tc qdisc del dev lo root", check=False)
        return done.returncode == 0


class Prompt(CLI):
    """Mininet's prompt with the lab's own words."""

    def __init__(self, lab, **kw):
        self.lab = lab
        CLI.__init__(self, lab.net, **kw)

    def onecmd(self, line):
        """The lines of a script are shown as if they were typed."""
        if self.inputFile:
            print("%s%s" % (self.prompt, line.rstrip()), flush=True)
        return CLI.onecmd(self, line)

    def _do(self, call, said):
        try:
            call()
            print(said, flush=True)
        except LabError as e:
            print("lab: %s" % e, flush=True)

    def do_path(self, line):
        """path forward|return SITE: by which site packets of that direction go, by preference at the third-party routers"""
        words = line.split()
        if len(words) != 2 or not words[1].isdigit():
            print("path forward|return SITE")
            return
        self._do(lambda: self.lab.path(words[0], int(words[1])), "%s traffic goes through site %s." % (words[0].capitalize(), words[1]))

    def do_cut(self, line):
        """cut NODE|sync|A-B: power cut of a node, the site-sync link, or a link; nobody is told anything"""
        self._do(lambda: self.lab.cut(line.strip()), "%s is cut." % line.strip())

    def do_heal(self, line):
        """heal NODE|sync|A-B: ends a cut; a router boots"""
        self._do(lambda: self.lab.heal(line.strip()), "%s is healed." % line.strip())

    def do_paths(self, _line):
        """paths: to which site each third-party router sends what"""
        for node, prefixes in self.lab._watched().items():
            for prefix in prefixes:
                site = self.lab.route_site(node, prefix)
                print("%-7s %-20s -> %s" % (node, prefix, "site%d" % site if site else "nowhere"))

    def do_delay(self, line):
        """delay MSEC [LOSS%]: delay and loss on the site-sync link, by the kernel's netem; 0 ends it"""
        words = line.replace("%", "").split()
        if not words or len(words) > 2 or not all(w.replace(".", "", 1).isdigit() for w in words):
            print("delay MSEC [LOSS%]")
            return
        ms, loss = float(words[0]), float(words[1]) if len(words) > 1 else 0.0
        self._do(lambda: self.lab.delay("sync", ms, loss), "Packets on the site-sync link: %g ms later each way, %g %% lost." % (ms, loss))

    def do_scenario(self, line):
        """scenario NAME|all|list: plays what can happen to two sites, and judges it; the network stays as it is then"""
        word = line.strip()
        if word in ("", "list"):
            print("\n".join(scenarios.listed()))
            return
        try:
            scenarios.play(self.lab, word, lambda text: print(text, flush=True))
        except LabError as e:
            print("lab: %s" % e, flush=True)


def main():
    p = argparse.ArgumentParser(prog="quickstart mininet", description="The lab's network with Mininet's prompt.")
    p.add_argument("--name", default="mininet")
    p.add_argument("--sites", type=int, default=2)
    p.add_argument("--family", default="both", help="4, 6 or both")
    p.add_argument("--nat", default="snat", help="none, snat, dnat or both")
    p.add_argument("--mode", default="auto", help="auto, kernel or nfqueue")
    p.add_argument("--bfd", default="4x100", help="multiplier and interval, as 4x100")
    p.add_argument("--config", metavar="FOLDER", help="site1.conf, site1.nft, ... and dsaa.conf for the sites")
    p.add_argument("--script", metavar="FILE", help="lines for the prompt, shown as if they were typed; ends behind them")
    p.add_argument("--scenario", metavar="NAME|all|list", help="plays what can happen to two sites, judges it, and ends")
    args = p.parse_args()
    if args.scenario == "list":
        print("\n".join(scenarios.listed()))
        return 0
    if os.geteuid() != 0:
        sys.exit("mininet: Mininet needs root: run it with sudo.")
    setLogLevel("output")
    lab = MininetLab(args.name)
    options = {k: v for k, v in vars(args).items() if k not in ("name", "script", "scenario")}
    options["config"] = args.config and os.path.abspath(args.config)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    status = 1
    try:
        if args.scenario:
            scenarios.names(args.scenario)
        seconds = lab.start(lambda text: print("  %s" % text, flush=True), **options)
        hint = "" if args.scenario else " Type help, or a node and a command: site1 vtysh"
        print("%d sites are up after %.1f s.%s" % (args.sites, seconds, hint), flush=True)
        if args.scenario:
            scenarios.play(lab, args.scenario, lambda text: print(text, flush=True))
        else:
            Prompt(lab, script=args.script)
        status = 0
    except LabError as e:
        print("mininet: %s" % e, file=sys.stderr)
    except KeyboardInterrupt:
        print("mininet: interrupted.", file=sys.stderr)
    finally:
        lab.stop()
    return status


if __name__ == "__main__":
    sys.exit(main())
