# SPDX-License-Identifier: GPL-2.0-or-later
"""
FRR configuration texts: the third-party routers (stock zebra, bgpd, bfdd), and
the sites with their dsaa block, which is the same text on every site.
"""

from lab import topology as topo

# Where bgpd finds dsaad's routes: a kernel table on FRR 10, an instance before.
ADVERTISE_TABLE = 3785
ADVERTISE_INSTANCE = 85
TAGS = {"active": 65001, "backup": 65002, "drain": 65003}
MEDS = {"active": 100, "backup": 200, "drain": 300}
# What `path` prefers; the default of BGP is 100.
PREFERRED = 200
USUAL = 100

DAEMONS = """\
bgpd=yes
bfdd=yes
vtysh_enable=yes
zebra_options="  -A 127.0.0.1 -s 90000000"
mgmtd_options="  -A 127.0.0.1"
bgpd_options="   -A 127.0.0.1"
staticd_options="-A 127.0.0.1"
bfdd_options="   -A 127.0.0.1"
"""
DAEMONS_DSAA = """\
DAEMONS="$DAEMONS dsaad"
dsaad=yes
dsaad_options="  -A 127.0.0.1"
"""

HEAD = """\
frr defaults traditional
hostname %s
log file /var/log/frr/frr.log informational
log timestamp precision 3
service integrated-vtysh-config
"""

# The hold timers stand behind BFD.
BFD = """\
bfd
 profile lab
  detect-multiplier %(multiplier)d
  transmit-interval %(msec)d
  receive-interval %(msec)d
 exit
exit
"""


def bfd_profile(words):
    """The BFD profile of all routers; WORDS "4x100" means that a cut is noticed after 4 x 100 ms."""
    multiplier, msec = words.split("x")
    return BFD % {"multiplier": int(multiplier), "msec": int(msec)}


def family_words(family):
    """The words for a family in bgpd and staticd."""
    return "ipv6" if family == 6 else "ipv4", "ipv6" if family == 6 else "ip"


class Router:
    """Collects the BGP part of one router's frr.conf."""

    def __init__(self, name, asn, router_id, families):
        self.name = name
        self.asn = asn
        self.router_id = router_id
        self.peers = []
        self.af = {f: [] for f in families}

    def peer(self, family, address, asn, description, rules=()):
        """
        A neighbour with BFD; RULES are lines of its address family. The sites open
        the sessions, so that no two attempts collide.
        """
        if self.asn != topo.SITE_AS:
            rules = ["soft-reconfiguration inbound"] + list(rules)
        self.peers += [
            "neighbor %s remote-as %d" % (address, asn),
            "neighbor %s description %s" % (address, description),
            "neighbor %s bfd profile lab" % address,
            "neighbor %s timers 3 9" % address,
            "neighbor %s timers connect 1" % address,
        ]
        if self.asn != topo.SITE_AS:
            self.peers.append("neighbor %s passive" % address)
        self.af[family].append("neighbor %s activate" % address)
        for rule in rules:
            self.af[family].append("neighbor %s %s" % (address, rule))

    def text(self):
        lines = ["router bgp %d" % self.asn]
        lines += [
            " bgp router-id %s" % self.router_id,
            " no bgp ebgp-requires-policy",
            " no bgp default ipv4-unicast",
            " bgp bestpath compare-routerid",
        ]
        lines += [" " + line for line in self.peers]
        for family, words in self.af.items():
            lines.append(" address-family %s unicast" % family_words(family)[0])
            lines.append("  maximum-paths 1")
            lines += ["  " + line for line in words]
            lines.append(" exit-address-family")
        return "\n".join(lines) + "\nexit\n"


def preference_map(site, family, preference):
    """The route-map by which a third-party router prefers one site: `path` rewrites it."""
    lines = [
        "route-map %s permit 10" % preference_map_name(site, family),
        " set local-preference %d" % preference,
    ]
    if family == 6:
        lines.append(" set ipv6 next-hop prefer-global")
    return "\n".join(lines + ["exit"]) + "\n"


def preference_map_name(site, family):
    return "FROM-SITE%d-IPV%d" % (site, family)


def _preference_maps(top):
    return "".join(
        preference_map(s, f, USUAL) for s in top.sites for f in top.families
    )


def isp_conf(top, isp, bfd):
    """frr.conf of a provider: the client's prefix, and one session per site and family."""
    router = Router(
        "isp%d" % isp, topo.isp_as(isp), "10.255.0.%d" % (10 + isp), top.families
    )
    static = ""
    for family in top.families:
        word = family_words(family)[1]
        client = topo.host(topo.client_link(isp, family), 2)
        static += "%s route %s %s\n" % (word, topo.CLIENT_NET[family], client)
        router.af[family].append("network %s" % topo.CLIENT_NET[family])
        for site in top.sites:
            router.af[family].append("network %s" % topo.out_net(site, family))
            router.peer(
                family,
                topo.host(topo.out_net(site, family), 1),
                topo.SITE_AS,
                "site%d" % site,
                ["route-map %s in" % preference_map_name(site, family)],
            )
    return HEAD % router.name + static + bfd_profile(bfd) + _preference_maps(top) + router.text()


def inside_conf(top, bfd):
    """frr.conf of the inside router: announces the servers' network to every site."""
    router = Router("inside", topo.INSIDE_AS, "10.255.0.20", top.families)
    for family in top.families:
        router.af[family].append("network %s" % topo.SERVER_NET[family])
        for site in top.sites:
            router.peer(
                family,
                topo.host(topo.in_net(site, family), 1),
                topo.SITE_AS,
                "site%d" % site,
                ["route-map %s in" % preference_map_name(site, family)],
            )
    return HEAD % router.name + bfd_profile(bfd) + _preference_maps(top) + router.text()


# ---------------------------------------------------------------- sites

# MED decides between active and backup. A site that is drained asks by the community of RFC 8326 to be
# the last choice, which stands above any preference that a neighbour has.
DSAA_MAP = "".join(
    "route-map DSAA permit %d\n match tag %d\n set metric %d\n%sexit\n"
    % (10 * (n + 1), TAGS[state], MEDS[state], more)
    for n, (state, more) in enumerate(
        (("active", ""), ("backup", ""), ("drain", " set community graceful-shutdown\n"))
    )
)


def advertised(top, nat):
    """
    [(prefix, site or None for all)] in the order of the dsaa block. The way back to
    the clients is announced by dsaad too, and not what the providers said: so it
    is withheld as the rest until the state is complete.
    """
    pools = nat in ("snat", "both")
    found = [(topo.SERVICE_NET[f], None) for f in top.families]
    found += [(topo.CLIENTS_NET[f], None) for f in top.families]
    for site in top.sites if pools else ():
        found += [(topo.pool_net(site, f), site) for f in top.families]
    return found


def dsaa_block(top, nat, mode):
    """The dsaa block, the same on every site."""
    lines = ["dsaa", " cluster-id %d" % topo.CLUSTER_ID, " ha-mode active-active"]
    for site in top.sites:
        lines += _dsaa_site(top, site, nat)
    lines += [" sync port 3785", " sync key-file /etc/frr/dsaa.key"]
    lines += [" correction mode %s" % mode]
    for prefix, site in advertised(top, nat):
        lines.append(
            " advertise %s %s" % (prefix, "site %d" % site if site else "all")
        )
    lines.append(
        " advertise-tag active %(active)d backup %(backup)d drain %(drain)d" % TAGS
    )
    for family in top.families:
        lines += [" track route %s" % n[family] for n in (topo.SERVER_NET, topo.CLIENT_NET)]
    lines += [" bfd profile lab", " hold-time 1500", "exit"]
    return "\n".join(lines) + "\n"


def _dsaa_site(top, site, nat):
    first = top.families[0]
    lines = [" site %d" % site, "  name %s" % topo.SITE_NAMES[site - 1]]
    lines.append("  sync-address %s" % topo.host(topo.sync_net(first), site))
    for iface in top.node_ifaces("site%d" % site):
        if iface.uips:
            for family in top.families:
                lines.append("  uips %s %s" % (iface.name, iface.addresses[family]))
    lines.append("  probe %s" % topo.host(topo.out_net(site, first), 1))
    if nat in ("snat", "both"):
        for family in top.families:
            lines.append("  nat-pool %s" % topo.pool_net(site, family))
    return lines + [" exit"]


def for_frr(text, frr_major):
    """A configuration that was written for FRR 10, in the words of the installed one."""
    if frr_major >= 10:
        return text
    found, family = [], 4
    for line in text.splitlines():
        if line.strip().startswith("address-family ipv"):
            family = 6 if "ipv6" in line else 4
        if line.strip().startswith("redistribute table-direct"):
            line = "  " + _redistribute(family, frr_major, True)
        found.append(line)
    return "\n".join(found) + "\n"


def _redistribute(family, frr_major, with_dsaad):
    """How bgpd takes dsaad's routes; without dsaad they are static ones."""
    if not with_dsaad:
        return "redistribute static route-map DSAA"
    if family == 6 and frr_major < 10:
        # There IPv6 routes of type table have no instance towards bgpd.
        return "redistribute table route-map DSAA"
    if frr_major < 10:
        return "redistribute table %d route-map DSAA" % ADVERTISE_INSTANCE
    return "redistribute table-direct %d route-map DSAA" % ADVERTISE_TABLE


def _site_filters(top):
    """What a site says to whom: services to the providers, pools and clients inside."""
    text = ""
    for family in top.families:
        ip = family_words(family)[1]
        pools = [topo.pool_net(s, family) for s in top.sites]
        to_isp = [topo.SERVICE_NET[family]]
        for name, nets in (
            ("TO-ISP", to_isp),
            ("TO-INSIDE", pools + [topo.CLIENTS_NET[family]]),
        ):
            for n, net in enumerate(nets):
                words = (ip, name, family, 5 * (n + 1), net)
                text += "%s prefix-list %s-IPV%d seq %d permit %s\n" % words
    return text


def site_conf(top, site, nat, mode, frr_major, bfd="4x100", with_dsaad=True):
    """frr.conf of a site router. Without dsaad static routes stand in, always active."""
    router = Router("site%d" % site, topo.SITE_AS, "10.255.0.%d" % site, top.families)
    static = ""
    for family in top.families:
        router.af[family].append(_redistribute(family, frr_major, with_dsaad))
        for isp in topo.ISPS:
            router.peer(
                family,
                topo.host(topo.out_net(site, family), 10 + isp),
                topo.isp_as(isp),
                "isp%d" % isp,
                ["prefix-list TO-ISP-IPV%d out" % family],
            )
        router.peer(
            family,
            topo.host(topo.in_net(site, family), 10),
            topo.INSIDE_AS,
            "inside",
            ["prefix-list TO-INSIDE-IPV%d out" % family],
        )
    if with_dsaad:
        block = dsaa_block(top, nat, mode)
    else:
        block = ""
        static = _static_advertise(top, site, nat)
    return (
        HEAD % router.name
        + static
        + bfd_profile(bfd)
        + _site_filters(top)
        + DSAA_MAP
        + router.text()
        + block
    )


def _static_advertise(top, site, nat):
    text = ""
    for prefix, owner in advertised(top, nat):
        state = "active" if owner in (None, site) else "backup"
        word = "ipv6 route" if ":" in prefix else "ip route"
        text += "%s %s blackhole tag %d\n" % (word, prefix, TAGS[state])
    return text
