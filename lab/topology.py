# SPDX-License-Identifier: GPL-2.0-or-later
"""
The lab's network as tables: who is on which wire, with which address.

    client --- isp1 ---+--- site1 ---+--- inside --- server
           \\-- isp2 ---+--- site2 ---+        (site1 === site2: sync)

Everything is computed from the number of sites and the address families, so
that what the routing, firewall and namespace parts use is the same table.
Nothing here touches the machine.
"""

import ipaddress

ISPS = (1, 2)
SITE_AS = 65010
INSIDE_AS = 65200
CLUSTER_ID = 7
SITE_NAMES = ("paris", "lyon", "oslo", "rome", "bonn", "bern", "graz", "nice")
SITES_MAX = len(SITE_NAMES)
SYNC_MTU = 9000

# Networks by family. OUT and IN take the site, LINK the provider.
CLIENT_NET = {4: "203.0.113.0/24", 6: "2001:db8:c0::/48"}
CLIENT = {4: "203.0.113.10", 6: "2001:db8:c0::10"}
# What the sites announce inside for all clients together.
CLIENTS_NET = {4: "203.0.112.0/20", 6: "2001:db8:c0::/44"}
SERVICE_NET = {4: "10.9.0.0/16", 6: "2001:db8:9::/48"}
SERVER_NET = {4: "10.9.1.0/24", 6: "2001:db8:9:1::/64"}
SERVER = {4: "10.9.1.10", 6: "2001:db8:9:1::10"}
VIP = {4: "10.9.255.1", 6: "2001:db8:9:ffff::1"}


def isp_as(isp):
    """The AS number of a provider."""
    return 65100 + isp


def out_net(site, family):
    """The segment between the providers and a site."""
    if family == 6:
        return "2001:db8:%x::/64" % site
    known = {1: "192.0.2.0/24", 2: "198.51.100.0/24"}
    return known.get(site, "198.18.%d.0/24" % site)


def in_net(site, family):
    """The segment between a site and the inside router."""
    return "2001:db8:a%x::/64" % site if family == 6 else "10.%d.0.0/24" % site


def sync_net(family):
    """The site-sync link."""
    return "fd00:172:16::/64" if family == 6 else "172.16.0.0/24"


def client_link(isp, family):
    """The wire between the client and a provider."""
    return "2001:db8:f:%x::/64" % isp if family == 6 else "100.64.%d.0/24" % isp


def pool_net(site, family):
    """The addresses that a site's source NAT uses."""
    if family == 6:
        return "2001:db8:%x::/64" % (0x200 + site)
    return "10.%d.0.0/24" % (200 + site)


def host(net, number):
    """Address NUMBER of a network, without its length. IPv6 reads it as hex digits."""
    n = ipaddress.ip_network(net)
    if n.version == 6:
        number = int(str(number), 16)
    return str(n.network_address + number)


def with_len(net, number):
    """Address NUMBER of a network, with its length."""
    return "%s/%d" % (host(net, number), ipaddress.ip_network(net).prefixlen)


class Iface:
    """One interface: where it is, its MAC, and its addresses by family."""

    def __init__(self, node, name, mac, addresses, uips=False, mtu=1500):
        self.node = node
        self.name = name
        self.mac = mac
        self.addresses = addresses  # {family: "address/length"}
        self.uips = uips  # the addresses are dsaad's to install
        self.mtu = mtu


class Segment:
    """One wire or switch with the interfaces on it. The site-sync link is a switch: it can be delayed."""

    def __init__(self, name, ifaces):
        self.name = name
        self.ifaces = ifaces

    def is_wire(self):
        return len(self.ifaces) == 2 and self.name != "sync"


class Topology:
    """All nodes and segments of a lab with SITES sites and the given families."""

    def __init__(self, sites, families):
        self.sites = list(range(1, sites + 1))
        self.families = tuple(families)
        self.segments = []
        self._macs = 0
        self._build()

    # -- nodes

    def site_nodes(self):
        return ["site%d" % s for s in self.sites]

    def third_party(self):
        """The routers that run stock FRR and know nothing of dsaad."""
        return ["isp%d" % i for i in ISPS] + ["inside"]

    def routers(self):
        return self.third_party() + self.site_nodes()

    def nodes(self):
        return ["client"] + self.third_party() + self.site_nodes() + ["server"]

    def node_ifaces(self, node):
        return [i for s in self.segments for i in s.ifaces if i.node == node]

    # -- links

    def _iface(self, node, name, net_of, number, **kw):
        self._macs += 1
        # not 02:d5:aa: by that prefix the sites know what came through the tunnel
        mac = "02:1a:b0:00:%02x:%02x" % (self._macs >> 8, self._macs & 0xFF)
        addresses = {f: with_len(net_of(f), number) for f in self.families}
        return Iface(node, name, mac, addresses, **kw)

    def _build(self):
        for isp in ISPS:
            self._client_wire(isp)
        for s in self.sites:
            self._site_segments(s)
        self.segments.append(
            Segment(
                "sync",
                [
                    self._iface("site%d" % s, "sync0", sync_net, s, mtu=SYNC_MTU)
                    for s in self.sites
                ],
            )
        )
        self.segments.append(
            Segment(
                "servers",
                [
                    self._iface("inside", "server", lambda f: SERVER_NET[f], 1),
                    self._iface("server", "eth0", lambda f: SERVER_NET[f], 10),
                ],
            )
        )

    def _client_wire(self, isp):
        def net(family):
            return client_link(isp, family)

        node = "isp%d" % isp
        self.segments.append(
            Segment(
                "client%d" % isp,
                [
                    self._iface("client", node, net, 2),
                    self._iface(node, "client", net, 1),
                ],
            )
        )

    def _site_segments(self, s):
        def outside(family):
            return out_net(s, family)

        def inside(family):
            return in_net(s, family)

        node = "site%d" % s
        providers = [
            self._iface("isp%d" % i, "out%d" % s, outside, 10 + i) for i in ISPS
        ]
        self.segments.append(
            Segment(
                "out%d" % s,
                [self._iface(node, "eth0", outside, 1, uips=True)] + providers,
            )
        )
        self.segments.append(
            Segment(
                "in%d" % s,
                [
                    self._iface(node, "eth1", inside, 1, uips=True),
                    self._iface("inside", "in%d" % s, inside, 10),
                ],
            )
        )

    # -- what cuts need

    def neighbours(self, node):
        """The nodes that share a segment with NODE."""
        found = set()
        for seg in self.segments:
            members = [i.node for i in seg.ifaces]
            if node in members:
                found.update(members)
        found.discard(node)
        return sorted(found)

    def facing(self, sender, receiver):
        """Pairs (receiver's interface, sender's interface) of the segments both are on."""
        pairs = []
        for seg in self.segments:
            for r in seg.ifaces:
                for s in seg.ifaces:
                    if r.node == receiver and s.node == sender:
                        pairs.append((r, s, seg.name))
        return pairs
