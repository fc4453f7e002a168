# SPDX-License-Identifier: GPL-2.0-or-later
"""The network of the topotests that need two sites with traffic through them.

                    192.0.2.0/24               10.1.0.0/24
             +------------------ site1 ------------------+
   client -- outside            sync ||                 inside -- server
             +------------------ site2 ------------------+
                   198.51.100.0/24             10.2.0.0/24

outside and inside are third-party routers with stock zebra, bgpd and bfdd. The sites have a default-drop stateful firewall of their
own; it translates the client's first address to the owner site's pool and leaves the second as it is, so every test can take either.
The sites' addresses outside and inside are their UIPS: dsaad installs them. Everything exists in IPv4 and IPv6.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import time

import dsaatopo
from dsaatopo import SLOW, show, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
FAMILIES = (4, 6)
SITES = (1, 2)
NATTED = {4: "203.0.113.10", 6: "2001:db8:c0::10"}
PLAIN = {4: "203.0.113.20", 6: "2001:db8:c0::20"}
CLIENT_NET = {4: "203.0.113.0/24", 6: "2001:db8:c0::/64"}
CLIENTS_NET = {4: "203.0.112.0/20", 6: "2001:db8:c0::/44"}
SERVER = {4: "10.9.1.10", 6: "2001:db8:9:1::10"}
SERVER_NET = {4: "10.9.1.0/24", 6: "2001:db8:9:1::/64"}
SERVICE_NET = {4: "10.9.0.0/16", 6: "2001:db8:9::/48"}
POOL = {(1, 4): "10.201.0.0/24", (2, 4): "10.202.0.0/24", (1, 6): "2001:db8:201::/64", (2, 6): "2001:db8:202::/64"}
POOL_RANGE = {
    (1, 4): "10.201.0.1-10.201.0.14",
    (2, 4): "10.202.0.1-10.202.0.14",
    (1, 6): "2001:db8:201::1-2001:db8:201::e",
    (2, 6): "2001:db8:202::1-2001:db8:202::e",
}
OUT = {(1, 4): "192.0.2.%s", (2, 4): "198.51.100.%s", (1, 6): "2001:db8:1::%s", (2, 6): "2001:db8:2::%s"}
IN = {(1, 4): "10.1.0.%s", (2, 4): "10.2.0.%s", (1, 6): "2001:db8:a1::%s", (2, 6): "2001:db8:a2::%s"}
SYNC = {1: "172.16.0.1", 2: "172.16.0.2"}
LENGTH = {4: 24, 6: 64}
FILLING = "198.19.0.0/16"  # of nobody: what fills a table
OUTSIDE, INSIDE = "11", "10"  # the third-party routers' numbers on the segments
SITE_AS, OUTSIDE_AS, INSIDE_AS = 65010, 65101, 65200
KEY = "9c1185a5c5e9fc54612808977ee8f548b2258d31"
PORT = 3785
MED = {"active": 100, "backup": 200, "drain": 300}
COMMUNITY = {"active": "65010:1", "backup": "65010:2", "drain": "65010:3"}
TAG = {"active": 65001, "backup": 65002, "drain": 65003}

# ------------------------------------------------------------ configuration


def frr_major():
    text = subprocess.run(["/usr/lib/frr/zebra", "--version"], stdout=subprocess.PIPE, check=True, text=True).stdout
    return int(re.search(r"version (\d+)\.", text).group(1))


class Timers:
    """How soon a neighbour counts as gone. A machine that stands still for longer makes neighbours go that are well."""

    def __init__(self, bfd, hold, bgp):
        self.bfd, self.hold, self.bgp = bfd, hold, bgp  # ms between four packets, ms, s and s


QUICK = Timers(bfd=150, hold=1500, bgp="3 9")
CALM = Timers(bfd=1500, hold=10000, bgp="10 60")  # for tests in which nobody has to go


def dsaa_block(more="", cluster=7, timers=QUICK):
    """The same text for every site. MORE: further lines of the block."""
    lines = ["dsaa", " cluster-id %d" % cluster]
    for s in SITES:
        lines += [" site %d" % s, "  name %s" % ("paris", "lyon")[s - 1], "  sync-address %s" % SYNC[s]]
        for f in FAMILIES:
            lines.append("  uips in %s/%d" % (IN[s, f] % 1, LENGTH[f]))
            lines.append("  uips out %s/%d" % (OUT[s, f] % 1, LENGTH[f]))
        lines.append("  probe %s" % (OUT[s, 4] % 1))
        lines += ["  nat-pool %s" % POOL[s, f] for f in FAMILIES]
        lines.append(" exit")
    lines.append(" sync key-file /etc/frr/dsaa.key")
    for f in FAMILIES:
        lines += [" advertise %s all" % SERVICE_NET[f], " advertise %s all" % CLIENTS_NET[f]]
        lines += [" advertise %s site %d" % (POOL[s, f], s) for s in SITES]
    lines += [" bfd profile neighbours", " hold-time %d" % timers.hold]
    lines += [" " + line for line in more.splitlines()]
    return "\n".join(lines) + "\nexit\n"


def bfd(timers):
    return "bfd\n profile neighbours\n  detect-multiplier 4\n  transmit-interval %d\n  receive-interval %d\n exit\nexit\n" % (
        timers.bfd,
        timers.bfd,
    )


def site_name(s):
    return "site%d" % s


def bgp(asn, router_id, peers, per_family, passive, timers):
    """peers: [(family, address, asn, [lines of the address family])]; per_family(f): further lines."""
    lines = ["router bgp %d" % asn, " bgp router-id %s" % router_id, " no bgp ebgp-requires-policy"]
    lines += [" no bgp default ipv4-unicast", " bgp bestpath compare-routerid"]
    for _, address, remote, _ in peers:
        for words in ("remote-as %d" % remote, "bfd profile neighbours", "timers " + timers.bgp, "timers connect 1", "advertisement-interval 0"):
            lines.append(" neighbor %s %s" % (address, words))
        if passive:
            lines.append(" neighbor %s passive" % address)
    for f in FAMILIES:
        lines += [" address-family ipv%d unicast" % f, "  maximum-paths 1"]
        lines += ["  " + line for line in per_family(f)]
        for family, address, _, rules in peers:
            if family == f:
                lines += ["  neighbor %s %s" % (address, words) for words in ["activate"] + rules]
        lines.append(" exit-address-family")
    return "\n".join(lines) + "\nexit\n"


def addresses(interfaces):
    return "".join(
        "interface %s\n%sexit\n"
        % (name, "".join(" %s address %s\n" % ("ipv6" if ":" in a else "ip", a) for a in interfaces[name]))
        for name in interfaces
    )


def third_party_conf(name, asn, router_id, number, nets, own_interface, own_addresses, announced, letter, timers):
    """outside or inside: sees both sites, prefers one by local preference."""
    interfaces = {own_interface: own_addresses}
    peers = []
    text = ""
    for s in SITES:
        interfaces["%s%d" % (letter, s)] = ["%s/%d" % (nets[s, f] % number, LENGTH[f]) for f in FAMILIES]
        for f in FAMILIES:
            text += preference(s, f, 100)
            peers.append((f, nets[s, f] % 1, SITE_AS, ["soft-reconfiguration inbound", "route-map FROM-%d-IPV%d in" % (s, f)]))
    return "hostname %s\n%s%s%s%s" % (
        name,
        addresses(interfaces),
        bfd(timers),
        text,
        bgp(asn, router_id, peers, lambda f: ["network %s" % n for n in [announced[f]] + reached(letter, nets, f)], True, timers),
    )


def reached(letter, nets, family):
    """What else outside announces: the sites' own networks, by which they look for each other (probe)."""
    return ["%s/%d" % (nets[s, family] % 0, LENGTH[family]) for s in SITES] if letter == "out" and family == 4 else []


def preference(site, family, value):
    text = "route-map FROM-%d-IPV%d permit 10\n set local-preference %d\n" % (site, family, value)
    return text + (" set ipv6 next-hop prefer-global\n" if family == 6 else "") + "exit\n"


def redistribute(family):
    """How bgpd takes dsaad's routes: FRR 8.4 has no table-direct, and no instance of IPv6 routes."""
    if frr_major() >= 10:
        return "redistribute table-direct 3785 route-map DSAA"
    return "redistribute table%s route-map DSAA" % ("" if family == 6 else " 85")


def site_conf(s, block, timers=QUICK):
    text = "hostname site%d\n" % s + addresses({"sync": [SYNC[s] + "/24"]}) + bfd(timers)
    for n, state in enumerate(("active", "backup", "drain")):
        text += "route-map DSAA permit %d\n match tag %d\n set metric %d\n set community %s\nexit\n" % (
            10 * (n + 1),
            TAG[state],
            MED[state],
            COMMUNITY[state],
        )
    peers = []
    for f in FAMILIES:
        word = "ipv6" if f == 6 else "ip"
        text += "%s prefix-list OUT-IPV%d seq 5 permit %s\n" % (word, f, SERVICE_NET[f])
        for n, net in enumerate([CLIENTS_NET[f]] + [POOL[k, f] for k in SITES]):
            text += "%s prefix-list IN-IPV%d seq %d permit %s\n" % (word, f, 5 + n, net)
        peers.append((f, OUT[s, f] % OUTSIDE, OUTSIDE_AS, ["prefix-list OUT-IPV%d out" % f]))
        peers.append((f, IN[s, f] % INSIDE, INSIDE_AS, ["prefix-list IN-IPV%d out" % f]))
    return text + bgp(SITE_AS, "10.255.0.%d" % s, peers, lambda f: [redistribute(f)], False, timers) + block


def host_conf(name, own):
    return "hostname %s\n" % name + addresses({"eth0": own})


FIREWALL = """table inet firewall {
	chain input {
		type filter hook input priority filter; policy drop;
		iifname "lo" accept
		ct state established,related accept
		iifname "sync" accept
		meta l4proto { icmp, ipv6-icmp } accept
		iifname { "out", "in" } tcp dport 179 accept
		iifname { "out", "in" } udp dport { 3784, 4784 } accept
	}
	chain forward {
		type filter hook forward priority filter; policy drop;
		ct state invalid drop
		ct state established,related accept
		tcp flags & (fin|syn|rst|ack) != syn drop
		iifname "out" oifname "in" meta l4proto { tcp, udp, icmp, ipv6-icmp } accept
	}
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		oifname "in" ip saddr %s snat ip to %s
		oifname "in" ip6 saddr %s snat ip6 to %s
	}
}
"""

# Counts the resets that a host receives.
WATCH = os.path.join(HERE, "watch.nft")

# ------------------------------------------------------------ the network


class TwoSites:
    """A running network. Methods fail the test with a sentence."""

    def __init__(self, module, more="", ready=True, timers=QUICK):
        self.tgen = None
        self.programs = []
        self.cuts = set()
        configs = {site_name(s): (site_conf(s, dsaa_block(more, timers=timers), timers), ["bgpd", "bfdd", "dsaad"]) for s in SITES}
        client_net = {4: "203.0.113.%s", 6: "2001:db8:c0::%s"}
        server_net = {4: "10.9.1.%s", 6: "2001:db8:9:1::%s"}
        gateway = {f: client_net[f] % 1 for f in FAMILIES}, {f: server_net[f] % 1 for f in FAMILIES}
        configs["outside"] = third_party_conf(
            "outside", OUTSIDE_AS, "10.255.0.11", OUTSIDE, OUT, "client", ["%s/%d" % (gateway[0][f], LENGTH[f]) for f in FAMILIES], CLIENT_NET, "out", timers
        ), ["bgpd", "bfdd"]
        configs["inside"] = third_party_conf(
            "inside", INSIDE_AS, "10.255.0.10", INSIDE, IN, "server", ["%s/%d" % (gateway[1][f], LENGTH[f]) for f in FAMILIES], SERVER_NET, "in", timers
        ), ["bgpd", "bfdd"]
        own = ["%s/%d" % (a[f], LENGTH[f]) for a in (NATTED, PLAIN) for f in FAMILIES]
        configs["client"] = host_conf("client", own), []
        configs["server"] = host_conf("server", ["%s/%d" % (SERVER[f], LENGTH[f]) for f in FAMILIES]), []
        self.tgen = dsaatopo.start(self._build, module, configs, self._prepare)
        try:
            for name, g in zip(("client", "server"), gateway):
                for f in FAMILIES:
                    self.run(name, "ip -%d route add default via %s" % (f, g[f]))
            if ready:
                self.wait_ready()
                self.serve()
        except BaseException:
            self.stop()
            raise

    @staticmethod
    def _build(tgen):
        r = {n: tgen.add_router(n) for n in ("client", "outside", "site1", "site2", "inside", "server")}
        wires = {"w1": [("client", "eth0"), ("outside", "client")], "w2": [("inside", "server"), ("server", "eth0")]}
        wires["w3"] = [("site1", "sync"), ("site2", "sync")]
        for s in SITES:
            wires["o%d" % s] = [("outside", "out%d" % s), (site_name(s), "out")]
            wires["i%d" % s] = [(site_name(s), "in"), ("inside", "in%d" % s)]
        for name, ends in wires.items():
            switch = tgen.add_switch(name)
            for router, interface in ends:
                switch.add_link(r[router], nodeif=interface)

    def _prepare(self, tgen):
        for name in ("client", "outside", "site1", "site2", "inside", "server"):
            # A test does not wait for duplicate address detection.
            run(tgen.gears[name], "for i in all default; do sysctl -qw net.ipv6.conf.$i.accept_dad=0 net.ipv4.conf.$i.rp_filter=0; done")
            run(tgen.gears[name], "sysctl -qw net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0")
        for s in SITES:
            router = tgen.gears[site_name(s)]
            write(router, "/etc/frr/dsaa.key", KEY + "\n")
            rules = FIREWALL % (NATTED[4], POOL_RANGE[s, 4], NATTED[6], POOL_RANGE[s, 6])
            run(router, "nft -f -", rules)
        for name in ("client", "server"):
            run(tgen.gears[name], "nft -f %s" % shlex.quote(WATCH))

    def router(self, name):
        return self.tgen.gears[site_name(name) if isinstance(name, int) else name]

    def run(self, name, command, text=None):
        return run(self.router(name), command, text)

    def stop(self):
        for p in self.programs:
            p.stdin.close()
            try:
                p.wait(5)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        self.tgen.stop_topology()

    # ---- what is so now

    def show(self, site, command="show dsaa"):
        return show(self.router(site), command) or {}

    def rehearse(self, site):
        """dsaa failover rehearse: {site: {...}}."""
        return json.loads(self.router(site).run("vtysh -c 'dsaa failover rehearse json'"))["sites"]

    def complete(self, site):
        return self.show(site).get("stateComplete") is True

    def peer(self, site):
        """What SITE says about the other one: (state, reason)."""
        p = self.show(site).get("peers", {}).get(str(3 - site), {})
        return p.get("state"), p.get("reason")

    def paths(self, name, prefix):
        """The paths that outside or inside has for a prefix: {site: (MED, community)}."""
        family = 6 if ":" in prefix else 4
        nets = OUT if name == "outside" else IN
        sites = {nets[s, family] % 1: s for s in SITES}
        table = show(self.router(name), "show bgp ipv%d unicast %s" % (family, prefix)) or {}
        found = {}
        for p in table.get("paths", []):
            s = sites.get(p.get("peer", {}).get("peerId"))
            if s:
                found[s] = p.get("metric"), p.get("community", {}).get("string")
        return found

    def via(self, name, address):
        """The site to which the kernel of outside or inside sends ADDRESS, or None."""
        family = 6 if ":" in address else 4
        nets = OUT if name == "outside" else IN
        text = self.router(name).run("ip -j -%d route get %s" % (family, address))
        try:
            gateway = json.loads(text)[0].get("gateway")
        except (ValueError, IndexError):
            return None
        return {nets[s, family] % 1: s for s in SITES}.get(gateway)

    def entries(self, site, source, proto, dport=None):
        """The conntrack entries of SITE whose original source is SOURCE, as dictionaries (see entry)."""
        family = "ipv6" if ":" in source else "ipv4"
        text = self.router(site).run("conntrack -L -f %s -p %s -s %s 2>/dev/null" % (family, proto, source))
        found = [entry(line) for line in text.splitlines() if "src=" in line]
        return [e for e in found if dport is None or e.get("dport") == str(dport)]

    def correction(self, site):
        """(packets sent, packets received, {reason: n}) of a site towards the other."""
        c = self.show(site, "show dsaa correction")
        p = c.get("peers", {}).get(str(3 - site), {})
        return p.get("packetsSent", 0), p.get("packetsReceived", 0), c.get("reasons", {})

    def paths_used(self, site):
        """{interface: {dataPath, why}} of a site."""
        return self.show(site, "show dsaa correction")["interfaces"]

    def mode(self, mode):
        """Sets the correction mode of both sites, and waits until it is in force; "auto" means what the kernel can."""
        path = {"nfqueue": ("nfqueue",), "off": ("off",), "observe": ("off",), "kernel": ("kernel",)}.get(mode, ("kernel", "nfqueue"))
        for s in SITES:
            self.run(s, "vtysh -c 'configure terminal' -c dsaa -c 'correction mode %s'" % mode)
        for s in SITES:
            wait_for(lambda: all(i["dataPath"] in path for i in self.paths_used(s).values()), "mode %s at site %d" % (mode, s), 10)
        # the change is made once it has settled
        time.sleep(0.3)

    def resets(self):
        """Resets of a living connection that client and server have received."""
        return self._watched("rst")

    def late_resets(self):
        """Resets that they have received after both ends of the connection had said FIN."""
        return self._watched("late")

    def _watched(self, counter):
        shown = [json.loads(self.run(n, "nft -j list counter inet watch %s" % counter)) for n in ("client", "server")]
        return sum(o["counter"]["packets"] for s in shown for o in s["nftables"] if "counter" in o)

    def resets_told(self):
        """Of which ports they were, at client and server."""
        return [self.run(n, "nft list set inet watch ports") for n in ("client", "server")]

    # ---- waiting

    def missing(self):
        """The first thing that is not yet as it shall be, or None."""
        for s in SITES:
            if self.peer(s)[0] != "up":
                return "site%d: peer %s" % (s, self.peer(s))
            if not self.complete(s):
                return "site%d: state not complete" % s
        for f in FAMILIES:
            for s in SITES:
                if s not in self.paths("outside", SERVICE_NET[f]):
                    return "outside: no %s from site%d" % (SERVICE_NET[f], s)
                if len([p for p in (CLIENTS_NET[f], POOL[1, f], POOL[2, f]) if s in self.paths("inside", p)]) != 3:
                    return "inside: clients or pools of IPv%d missing from site%d" % (f, s)
                if INSIDE not in self.router(s).run("ip -%d route get %s" % (f, SERVER[f])):
                    return "site%d: no route to %s" % (s, SERVER[f])
        return None

    def wait_ready(self, seconds=45):
        last = []

        def ready():
            last[:] = [self.missing()]
            return last[0] is None

        try:
            wait_for(ready, "two sites ready", seconds)
        except AssertionError as e:
            raise AssertionError("%s: %s" % (e, last[0])) from None

    def prefer(self, forward=None, back=None):
        """Sends what goes from client to server through site FORWARD, and the way back through site BACK."""
        for name, site, targets in (
            ("outside", forward, {f: [SERVER[f]] for f in FAMILIES}),
            ("inside", back, {f: [NATTED[f]] + [POOL[s, f].split("/")[0] + ("1" if f == 6 else "") for s in SITES] for f in FAMILIES}),
        ):
            if site is None:
                continue
            text = "".join(preference(s, f, 200 if s == site else 100) for s in SITES for f in FAMILIES)
            lines = "configure terminal\n" + text + "end\n" + "".join("clear bgp ipv%d unicast * soft in\n" % f for f in FAMILIES)
            self.router(name).vtysh_multicmd(lines)
            for f in FAMILIES:
                for t in targets[f]:
                    wait_for(lambda t=t, n=name, s=site: self.via(n, t) == s, "%s sends %s to site%d" % (name, t, site), 15)

    def let_med_decide(self):
        """Takes back what prefer() set: the sites' own word (MED) says where everything goes."""
        text = "".join(preference(s, f, 100) for s in SITES for f in FAMILIES)
        lines = "configure terminal\n" + text + "end\n" + "".join("clear bgp ipv%d unicast * soft in\n" % f for f in FAMILIES)
        for name in ("outside", "inside"):
            self.router(name).vtysh_multicmd(lines)

    # ---- power and wires

    # Whose interfaces see a site's frames: they drop what comes from it; its own drop what comes to it.
    def _facing(self, site):
        return [("outside", "out%d" % site), ("inside", "in%d" % site), (3 - site, "sync")]

    def _drop(self, name, interfaces):
        chains = "".join(
            'chain %s-in {\n type filter hook ingress device "%s" priority -500;\n drop\n}\n' % (i, i) for i in interfaces
        )
        self.run(name, "nft -f -", "table netdev cut { }\ndelete table netdev cut\ntable netdev cut {\n%s}\n" % chains)

    def power_off(self, site):
        """Nothing goes in or out any more, nobody is told; then its daemons are gone."""
        for name, interface in self._facing(site):
            self._drop(name, [interface])
        self._drop(site, ["out", "in", "sync"])
        for daemon in ("dsaad", "bgpd", "bfdd", "zebra"):
            self.run(site, "kill -9 $(cat /var/run/frr/%s.pid)" % daemon)

    def power_on(self, site):
        """As after a boot: no connections, no addresses, no rules but the firewall's."""
        self.run(site, "conntrack -F >/dev/null 2>&1; nft delete table inet dsaa; ip link del dsaa0 || true")
        self.run(site, "for i in in out; do ip addr flush dev $i scope global; done")
        self.run(site, "for p in 186 196 11; do for f in 4 6; do ip -$f route flush table all proto $p; done; done; ip nexthop flush || true")
        for name, _ in self._facing(site) + [(site, "")]:
            self.run(name, "nft delete table netdev cut || true")
        for daemon in ("zebra", "bgpd", "bfdd", "dsaad"):
            self.restart(site, daemon, load=False)
        self.load(site)

    def cut_sync(self, on=True, towards=SITES):
        """The site-sync link drops everything, or only what goes towards some sites."""
        for s in towards:
            if on:
                self._drop(s, ["sync"])
            else:
                self.run(s, "nft delete table netdev cut")

    def cut_cable(self, site, side, on=True):
        """The wire between a site and outside ("out") or inside ("in") drops everything; carrier stays."""
        far = ("outside", "out%d" % site) if side == "out" else ("inside", "in%d" % site)
        for name, interface in (far, (site, side)):
            if on:
                self._drop(name, [interface])
            else:
                self.run(name, "nft delete table netdev cut")

    def causes(self, site, since):
        """The changes that a site tells of since a time of its own clock: [(what, from, to, reason)]."""
        events = self.show(site, "show dsaa events")["events"]
        return [(e["what"], e["from"], e["to"], e["reason"]) for e in events if e["time"] >= since]

    def now(self, site):
        """The clock of show dsaa events."""
        return self.run(site, "date +%Y-%m-%dT%H:%M:%S").strip()

    def kill(self, site, daemon):
        kill(self.router(site), daemon)

    def restart(self, site, daemon, load=True, environment=""):
        start_daemon(self.router(site), daemon, load, environment)

    def load(self, site):
        self.run(site, "vtysh -b -n")

    def watched(self, name):
        """The neighbours whose BFD session is up at a router."""
        return {p["peer"] for p in show(self.router(name), "show bfd peers") or [] if p["status"] == "up"}

    def register_bfd_again(self, site):
        """After zebra alone has begun anew: what the manual (Operation) tells to do then. FRR's bfdd forgets all sessions when it loses
        zebra, and asks for them once it is back; bgpd does not hear that when it comes back to zebra later than bfdd. Stock FRR does
        so without dsaad, too: stock-zebra-restart.sh. So bfdd is started again when bgpd is back.
        """
        wait_for(lambda: re.search(r"^bgp\s", self.router(site).vtysh_cmd("show zebra client summary"), re.M), "bgpd to find zebra", 30)
        kill(self.router(site), "bfdd")
        self.restart(site, "bfdd")

    def fill(self, site):
        """Connections of FILLING that the kernel may not drop early, until the site's table is full; others may end meanwhile."""
        for part in range(8):
            self.run(
                site,
                "cd /proc/sys/net/netfilter; n=$(($(cat nf_conntrack_max) - $(cat nf_conntrack_count) + 50)); "
                "seq 0 $n | awk '{ printf \"-I -p tcp -s 198.19.%%d.%%d -d 198.18.0.1 --sport %%d --dport %d --state ESTABLISHED -t 900 "
                "-u SEEN_REPLY,ASSURED\\n\", $1 / 4096 %% 256, $1 / 16 %% 256, 1024 + $1 %% 16 }' >/tmp/dsaa-fill; "
                "conntrack -R /tmp/dsaa-fill >/dev/null 2>&1; rm /tmp/dsaa-fill; true" % (9 + part),
            )
            held, room = (int(self.run(site, "cat /proc/sys/net/netfilter/nf_conntrack_" + what)) for what in ("count", "max"))
            if held >= room:
                return
        raise AssertionError("the table has %d of %d entries, and does not fill" % (held, room))

    # ---- traffic

    def _program(self, name, *words):
        command = ["/usr/bin/python3", os.path.join(HERE, "traffic.py"), *[str(w) for w in words]]
        p = self.router(name).popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.programs.append(p)
        return p

    def serve(self):
        p = self._program("server", "serve", *[SERVER[f] for f in FAMILIES])
        assert told(p) == {"ready": True}

    def fetch(self, source, to, length, rate=0):
        """Starts a download; see fetched()."""
        p = self._program("client", "fetch", source, to, length, rate)
        p.port = told(p, "port")["port"]
        return p

    def udp(self, source, to, count=20, size=200, pause=0.05, port=0):
        """Sends datagrams and waits for the answers; returns {sent, answered, wrong}."""
        return told(self._program("client", "udp", source, to, count, size, pause, port))

    def ping(self, source, to, count=10, size=56):
        """Number of echo requests answered."""
        text = self.router("client").run(
            "ping -n -q -c %d -i 0.1 -W 2 -s %d -I %s %s" % (count, size, source, to)
        )
        return int(re.search(r"(\d+) received", text).group(1))

    def hold(self, source, to):
        return Held(self._program("client", "hold", source, to))


class Held:
    """A connection that stays open; say() proves that it lives."""

    def __init__(self, program):
        self.program = program
        self.port = told(program, "port")["port"]

    def say(self, word="hello"):
        """The seconds until the echo came; fails when it does not."""
        self.program.stdin.write(word + "\n")
        self.program.stdin.flush()
        answer = told(self.program)
        assert answer["echo"], answer
        return answer["seconds"]

    def end(self):
        self.program.stdin.close()
        self.program.wait(10)


def told(program, key=None):
    """The next line of JSON that a traffic program prints; it must have KEY."""
    line = program.stdout.readline()
    if not line:
        raise AssertionError("the traffic program ended: %s" % program.stderr.read())
    found = json.loads(line)
    assert key is None or key in found, "the traffic program says: %r" % found
    return found


def check_fetched(program, length):
    """Waits for the end of a download; it must be whole and right."""
    found = told(program)
    assert found["right"], "download of %d bytes: %r" % (length, found)
    assert found["bytes"] == length
    return found


# ------------------------------------------------------------ routers


def run(router, command, text=None):
    """Runs a shell command in the router; fails the test when it fails."""
    p = router.popen(
        ["/bin/bash", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    out, _ = p.communicate(text or "", timeout=60 * SLOW)
    assert p.returncode == 0, "%s: %s: %s" % (router.name, command, out)
    return out


def write(router, path, text, mode="600"):
    """Writes a file that belongs to frr."""
    quoted = shlex.quote(path)
    run(router, "cat >%s && chown frr:frr %s && chmod %s %s" % (quoted, quoted, mode, quoted), text)


def kill(router, daemon):
    """SIGKILL, and waits until the process is gone."""
    run(router, "p=$(cat /var/run/frr/%s.pid); kill -9 $p; while [ -d /proc/$p ] && ! grep -q '^State:.Z' /proc/$p/status; do sleep 0.02; done" % daemon)


def start_daemon(router, daemon, load=True, environment=""):
    """Starts a daemon the way watchfrr does: options, then its part of frr.conf. ENVIRONMENT: "NAME=value ..." of its own."""
    options = "-s 90000000" if daemon == "zebra" else ""
    # As the framework starts it, but with log and error files of its own.
    log = "%s/%s/%s.again" % (router.logdir, router.name, daemon)
    run(
        router,
        "%s /usr/lib/frr/%s -d %s --command-log-always --log file:%s.log --log-level debug >%s.out 2>%s.err </dev/null"
        % (environment, daemon, options, log, log, log),
    )
    if load:
        wait_for(lambda: "is not running" not in router.run("vtysh -d %s -c 'show version' 2>&1" % daemon), "%s to answer" % daemon, 10)
        run(router, "vtysh -b -n -d %s" % daemon)


def entry(line):
    """One line of conntrack -L: keys of the original direction, those of the reply with 'r', flags, mark."""
    found = {"line": line, "flags": re.findall(r"\[(\w+)\]", line), "mark": 0}
    for key, value in re.findall(r"(\w+)=(\S+)", line):
        if key == "mark":
            found["mark"] = int(value)
        elif key in found:
            found["r" + key] = value
        else:
            found[key] = value
    found["owner"] = found["mark"] >> 24
    state = re.match(r"\w+\s+\d+\s+\d+\s+([A-Z_]+)\s", line)
    found["state"] = state.group(1) if state else ""
    return found


def fixture(module, **options):
    """For @pytest.fixture(scope="module"): the network, which ends with the module's tests."""
    net = TwoSites(sys.modules[module], **options)
    try:
        yield net
    finally:
        net.stop()
