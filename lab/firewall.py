# SPDX-License-Identifier: GPL-2.0-or-later
"""
nftables texts: the operator's own firewall of a site, and the lab's cuts.

A cut drops frames where they arrive, in the netdev ingress hook, so that
nobody is told anything: carrier stays, neighbours stay, packets just vanish.
"""

from lab import topology as topo

FIREWALL = """\
add table inet firewall
delete table inet firewall
table inet firewall {
	chain input {
		type filter hook input priority filter; policy drop;
		iifname "lo" accept
		ct state established,related accept
		iifname "sync0" accept
		meta l4proto { icmp, ipv6-icmp } accept
		iifname { "eth0", "eth1" } tcp dport 179 accept
		iifname { "eth0", "eth1" } udp dport { 3784, 4784 } accept
		counter comment "input dropped"
	}
	chain forward {
		type filter hook forward priority filter; policy drop;
		ct state invalid counter drop
		ct state established,related accept
		tcp flags & (fin|syn|rst|ack) != syn counter drop
		iifname "eth0" oifname "eth1" meta l4proto { tcp, udp, icmp, ipv6-icmp } accept
		counter comment "forward dropped"
	}
%s}
"""

DNAT_CHAIN = """\
	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
%s	}
"""

SNAT_CHAIN = """\
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
%s	}
"""

NFT_FAMILY = {4: "ip", 6: "ip6"}


def site_firewall(top, site, nat):
    """The operator's default-drop firewall with the NAT that the options ask for."""
    chains = ""
    if nat in ("dnat", "both"):
        chains += DNAT_CHAIN % "".join(_dnat(f) for f in top.families)
    if nat in ("snat", "both"):
        chains += SNAT_CHAIN % "".join(_snat(site, f) for f in top.families)
    return FIREWALL % chains


def _dnat(family):
    ip = NFT_FAMILY[family]
    return '\t\tiifname "eth0" %s daddr %s dnat %s to %s\n' % (
        ip,
        topo.VIP[family],
        ip,
        topo.SERVER[family],
    )


def _snat(site, family):
    ip = NFT_FAMILY[family]
    pool = topo.pool_net(site, family)
    return '\t\toifname "eth1" %s saddr %s snat %s to %s-%s\n' % (
        ip,
        topo.CLIENT_NET[family],
        ip,
        topo.host(pool, 1),
        topo.host(pool, 14 if family == 4 else "e"),
    )


NO_OUTPUT = """\
table inet lab_cut {
	chain output {
		type filter hook output priority -500; policy drop;
	}
}
"""


def cut_table(drops):
    """
    The tables that drop frames: DROPS is {interface: set of source MACs, or None
    for all}. Loading them replaces those before, in one moment; an empty DROPS
    removes them. A node that is dead altogether says nothing either.
    """
    text = "add table netdev lab_cut\ndelete table netdev lab_cut\n"
    text += "add table inet lab_cut\ndelete table inet lab_cut\n"
    if drops and None in drops.values():
        text += NO_OUTPUT
    if not drops:
        return text
    text += "table netdev lab_cut {\n"
    for iface in sorted(drops):
        macs = drops[iface]
        match = "" if macs is None else "ether saddr { %s } " % ", ".join(sorted(macs))
        text += "\tchain %s {\n" % iface
        text += '\t\ttype filter hook ingress device "%s" priority -500;\n' % iface
        text += "\t\t%scounter drop\n\t}\n" % match
    return text + "}\n"
