#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Prefixes that are announced in a VRF: one dsaad with a real zebra and a real bgpd that has an instance for the VRF. Where the kernel
has VRF devices the VRF is one; elsewhere it is a network namespace (zebra -n), which FRR treats alike as far as routes go.

Needs root and an installed FRR. DSAAD names the binary (default: dsaad/dsaad below the current folder).
Prints "N passed, N failed" last; exit 77 means skipped.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import test_cli
from test_cli import DSAAD, NETNS, ZEBRA, Vty, World, check, wait

BGPD = os.environ.get("BGPD", "/usr/lib/frr/bgpd")
VRF = "red"

BLOCK = """\
dsaa
cluster-id 7
site 1
sync-address 172.16.0.1
exit
site 2
sync-address 172.16.0.2
exit
advertise 10.9.0.0/16 all
advertise 10.9.0.0/16 all vrf red
advertise 10.8.0.0/16 site 2 vrf red
advertise 2001:db8:9::/48 all vrf red
advertise 10.7.0.0/16 all vrf green
"""


def version():
    text = subprocess.run((ZEBRA, "--version"), capture_output=True, text=True).stdout
    return tuple(int(n) for n in re.findall(r"version (\d+)\.(\d+)", text)[0])


FRR_10 = version() >= (10, 0)
# FRR 10.7 has nothing but table-direct for a VRF.
DIRECT = version() >= (10, 7)
# The default VRF's and the VRF's: where bgpd takes IPv4 and IPv6 from.
SOURCES = [
    ("table-direct 3785", "table-direct 3785") if FRR_10 else ("table 85", "table"),
    ("table-direct 3786", "table-direct 3786") if DIRECT else ("table", "table"),
]


def bgpd_conf():
    text = ""
    for vrf, (ipv4, ipv6) in zip(("", " vrf " + VRF), SOURCES):
        text += "router bgp 65010%s\n bgp router-id 192.0.2.1\n" % vrf
        text += " address-family ipv4 unicast\n  redistribute %s route-map DSAA\n exit-address-family\n" % ipv4
        text += " address-family ipv6 unicast\n  redistribute %s route-map DSAA\n exit-address-family\n" % ipv6
    for n, (tag, metric) in enumerate(((65001, 100), (65002, 200), (65003, 300))):
        text += "route-map DSAA permit %d\n match tag %d\n set metric %d\n" % (10 * n + 10, tag, metric)
    return text


class VrfWorld(World):
    """A namespace with zebra, bgpd and dsaad in it, and a VRF that comes and goes."""

    def __init__(self):
        super().__init__()
        with open(self.dir + "/bgpd.conf", "w") as f:
            f.write(bgpd_conf())
        self.devices = self.run("ip", "link", "add", "try", "type", "vrf", "table", "99").returncode == 0
        if self.devices:
            self.run("ip", "link", "del", "try")

    def add_vrf(self):
        if self.devices:
            self.ip("-n", NETNS, "link", "add", VRF, "type", "vrf", "table", "10")
            self.ip("-n", NETNS, "link", "set", VRF, "up")
            return
        self.ip("netns", "add", VRF)
        self.ip("-n", VRF, "link", "set", "lo", "up")

    def del_vrf(self):
        if self.devices:
            self.ip("-n", NETNS, "link", "del", VRF)
        else:
            self.ip("netns", "del", VRF)

    def start(self, daemon, *options):
        if daemon == "zebra" and not self.devices:
            options += ("-n",)
        if daemon == "bgpd":
            options += ("-p", "0", "-f", self.dir + "/bgpd.conf")
        super().start(daemon, *options)

    def tell_bgpd(self):
        """
        bgpd does not ask for the table of a VRF that it did not know when it read the line, or that has become another one since: the
        line is typed again.
        """
        if not DIRECT:
            return
        v = Vty(self.dir + "/bgpd.vty")
        v.run("configure terminal")
        v.run("router bgp 65010 vrf " + VRF)
        for family, source in zip(("ipv4", "ipv6"), SOURCES[1]):
            v.run("address-family %s unicast" % family)
            v.run("no redistribute " + source)
            v.run("redistribute %s route-map DSAA" % source)
            v.run("exit-address-family")
        v.run("end")
        v.sock.close()

    def bgp(self, vrf):
        """{prefix: metric} of what bgpd's instance for the VRF has, both families; an empty name: the default one."""
        v, found = Vty(self.dir + "/bgpd.vty"), {}
        for family in ("ipv4", "ipv6"):
            text = v.text("show bgp%s %s unicast json" % (" vrf " + vrf if vrf else "", family))
            for prefix, paths in json.loads(text or "{}").get("routes", {}).items():
                found[prefix] = paths[0].get("metric")
        v.sock.close()
        return found

    def becomes(self, vrf, expected, seconds=6):
        good = wait(lambda: self.bgp(vrf) == expected, seconds)
        return good, self.bgp(vrf)

    def close(self):
        self.stop("bgpd")
        super().close()
        if os.path.exists("/run/netns/" + VRF):
            self.del_vrf()


test_cli.PATHS["bgpd"] = BGPD

IN_VRF = {"10.9.0.0/16": 100, "10.8.0.0/16": 200, "2001:db8:9::/48": 100}
DEFAULT = {"10.9.0.0/16": 100}
NO_VRF = "the VRF is not there"


def shown(vty, vrf, prefix):
    return vty.json("show dsaa advertise json")["vrfs"][vrf]["prefixes"][prefix]


def reason(vty, vrf, prefix):
    return shown(vty, vrf, prefix)["reason"]


def test_announced(world, vty):
    refused = vty.configure(BLOCK.splitlines())
    check("the block is taken", not refused, refused)
    check("no VRF: withheld", shown(vty, VRF, "10.9.0.0/16")["state"] == "withheld", vty.text("show dsaa advertise"))
    check("and said", wait(lambda: reason(vty, VRF, "10.9.0.0/16") == NO_VRF, 20), vty.text("show dsaa advertise"))
    check("the default VRF's is announced", *world.becomes("", DEFAULT, 20))
    world.add_vrf()
    if DIRECT:
        said = lambda: reason(vty, VRF, "2001:db8:9::/48") == "the VRF has no advertise-table"
        check("a VRF without a table: said", wait(said, 10), vty.text("show dsaa advertise"))
        world.tell_bgpd()
    refused = vty.configure(["dsaa", "advertise-table 3786 vrf " + VRF])
    check("a table for the VRF", not refused, refused)
    check("announced in the VRF, by tag", *world.becomes(VRF, IN_VRF, 10))
    check("and not in the default VRF", *world.becomes("", DEFAULT))
    check("what is shown", shown(vty, VRF, "10.8.0.0/16")["state"] == "backup", vty.text("show dsaa advertise"))
    check("the VRF that is not there", shown(vty, "green", "10.7.0.0/16")["state"] == "withheld", vty.text("show dsaa advertise"))
    used = lambda: all(shown(vty, VRF, p)["selected"] for p in IN_VRF)
    check("zebra uses them", wait(used), vty.text("show dsaa advertise"))


def test_state(vty):
    text = vty.text("show yang operational-data /frr-dsaad:dsaad/state")
    state = json.loads(text)["frr-dsaad:dsaad"]["state"]
    found = {(p["vrf"], p["prefix"]): p["state"] for p in state["vrf-prefix"]}
    wanted = {(VRF, "10.9.0.0/16"): "active", (VRF, "10.8.0.0/16"): "backup", (VRF, "2001:db8:9::/48"): "active"}
    wanted[("green", "10.7.0.0/16")] = "withheld"
    check("the YANG state tells them", found == wanted, text)
    check("apart from those of the default VRF", [p["prefix"] for p in state["prefix"]] == ["10.9.0.0/16"], text)


def test_changes(world, vty):
    vty.configure(["dsaa", "no advertise 10.9.0.0/16 vrf red"])
    less = {p: m for p, m in IN_VRF.items() if p != "10.9.0.0/16"}
    check("one is withdrawn in the VRF", *world.becomes(VRF, less))
    check("and stays in the default VRF", *world.becomes("", DEFAULT))
    vty.configure(["dsaa", "advertise 10.9.0.0/16 site 2 vrf red"])
    check("it comes back with another tag", *world.becomes(VRF, {**IN_VRF, "10.9.0.0/16": 200}))
    vty.configure(["dsaa", "advertise 10.9.0.0/16 all vrf red"])
    check("and with the first one", *world.becomes(VRF, IN_VRF))


def test_restarts(world):
    world.stop("dsaad", signal.SIGKILL)
    check("dsaad is killed: nothing is left in the VRF", *world.becomes(VRF, {}, 10))
    world.start("dsaad", "-f", world.dir + "/dsaad.conf")
    vty = world.vty()
    check("it starts again", *world.becomes(VRF, IN_VRF, 30))
    world.stop("bgpd")
    world.start("bgpd")
    wait(lambda: os.path.exists(world.dir + "/bgpd.vty"), 5)
    time.sleep(1)
    world.tell_bgpd()
    check("bgpd starts again", *world.becomes(VRF, IN_VRF, 15))
    world.stop("zebra")
    time.sleep(1)
    world.start("zebra")
    check("zebra starts again", *world.becomes(VRF, IN_VRF, 30))
    check("the default VRF's too", *world.becomes("", DEFAULT, 10))
    used = lambda: all(shown(vty, VRF, p)["selected"] for p in IN_VRF)
    check("and uses them", wait(used, 10), vty.text("show dsaa advertise"))
    return vty


def test_vrf_goes(world, vty):
    world.del_vrf()
    check("the VRF goes: said", wait(lambda: reason(vty, VRF, "10.9.0.0/16") == NO_VRF, 10), vty.text("show dsaa advertise"))
    check("nothing is lost in the default VRF", *world.becomes("", DEFAULT))
    world.add_vrf()
    wait(lambda: reason(vty, VRF, "2001:db8:9::/48") != NO_VRF, 10)
    world.tell_bgpd()
    check("it comes back: announced again", *world.becomes(VRF, IN_VRF, 15))


def test_uips(world, vty):
    """An interface in a VRF carries its UIPS like any other."""
    if not world.devices:
        print("note: this kernel has no VRF devices: no interface of this namespace can be in a VRF")
        return
    world.ip("-n", NETNS, "link", "set", "eth0", "master", VRF)
    vty.configure(["dsaa", "site 1", "uips eth0 192.0.2.1/24"])
    entry = lambda: [u for u in vty.json("show dsaa uips json")["interfaces"]["eth0"] if u["site"] == 1][0]
    check("a uips in the VRF", wait(lambda: entry()["installed"], 5), vty.text("show dsaa uips"))
    path = lambda: vty.json("show dsaa correction json")["interfaces"].get("eth0", {}).get("dataPath")
    check("it is corrected", wait(lambda: path() in ("kernel", "nfqueue"), 5), vty.text("show dsaa correction"))
    vty.configure(["dsaa", "site 1", "no uips eth0 192.0.2.1/24"])
    world.ip("-n", NETNS, "link", "set", "eth0", "nomaster")


def main():
    if os.geteuid() != 0:
        print("skipped: needs root")
        return 77
    for path in (DSAAD, ZEBRA, BGPD):
        if not os.access(path, os.X_OK):
            print("skipped: there is no " + path)
            return 77
    if not os.environ.get("DSAA_SANDBOX"):
        # zebra -n takes every namespace of the machine for a VRF
        sandbox = os.path.join(HERE, "../../scripts/sandbox.sh")
        os.execv(sandbox, [sandbox, sys.executable, os.path.abspath(__file__)])
    world = VrfWorld()
    try:
        with open(world.dir + "/dsaad.conf", "w") as f:
            f.write(BLOCK + "advertise-table 3786 vrf red\n")
        for daemon in ("zebra", "bgpd", "dsaad"):
            world.start(daemon)
        vty = world.vty()
        test_announced(world, vty)
        test_state(vty)
        test_changes(world, vty)
        vty = test_restarts(world)
        test_vrf_goes(world, vty)
        test_uips(world, vty)
    except (EOFError, OSError, ValueError, KeyError) as err:
        check("the test runs to its end", False, repr(err))
    finally:
        if test_cli.failed:
            for daemon in ("dsaad", "zebra"):
                print("---- end of %s.log\n%s" % (daemon, "".join(open("%s/%s.log" % (world.dir, daemon)).readlines()[-25:])))
        world.close()
    print("%d passed, %d failed" % (test_cli.passed, test_cli.failed))
    return 1 if test_cli.failed else 0


if __name__ == "__main__":
    sys.exit(main())
