# SPDX-License-Identifier: GPL-2.0-or-later
"""What dsaad's topotests share, the same over the frameworks of all supported FRR versions."""

import json
import os
import time

from lib.topogen import Topogen, TopoRouter

# See ./quickstart kernel: an emulated machine gets more time.
SLOW = float(os.environ.get("DSAA_TEST_SLOW", 1))

DAEMONS = {
    "zebra": TopoRouter.RD_ZEBRA,
    "bgpd": TopoRouter.RD_BGP,
    "bfdd": TopoRouter.RD_BFD,
    "staticd": TopoRouter.RD_STATIC,
    "dsaad": TopoRouter.RD_DSAA,
}


def start(build, module, configs, prepare=None):
    """Builds a topology and starts its routers; returns the Topogen, whose stop_topology() ends it all.

    build(tgen) adds routers and links. configs: {router name: (unified frr.conf as text, names of its daemons)}. prepare(tgen), if
    given, is called when links are up and before FRR starts: addresses, firewall rules, sysctls of the namespaces.
    """
    tgen = Topogen(build, module.__name__)
    tgen.start_topology()
    try:
        for router in tgen.routers().values():
            give_own_folders(router)
        if prepare:
            prepare(tgen)
        for name, (text, daemons) in configs.items():
            configure(tgen.gears[name], text, daemons)
        tgen.start_router()
    except BaseException:
        tgen.stop_topology()
        raise
    return tgen


def give_own_folders(router):
    """Mounts the folders that FRR writes to afresh, in the router's mount namespace.

    The framework of 10.3 does so while the router's process has not left the framework's own namespace yet: it takes entering that one for
    the router's. Routers then share /etc/frr, and the last configuration wins.
    """
    for folder in ("/etc/frr", "/var/run/frr"):
        router.run("mount -t tmpfs tmpfs {0}; chown frr:frr {0}; chmod 755 {0}".format(folder))


def configure(router, text, daemons):
    """Gives a router its unified configuration and the daemons it is to run; zebra always."""
    path = os.path.join(router.logdir, router.name, "given-frr.conf")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    router.load_config(TopoRouter.RD_FRR, path)
    for daemon in dict.fromkeys(["zebra", *daemons]):
        router.load_config(DAEMONS[daemon], "")


def show(router, command):
    """The JSON that a show command answers ("json" is added), or None while there is none to be had."""
    try:
        return json.loads(router.vtysh_cmd(command + " json"))
    except ValueError:
        return None


def wait_for(probe, what, seconds=30, pause=0.25):
    """Waits until probe() gives something true and returns that; fails the test with a sentence and the last value otherwise."""
    seconds *= SLOW
    deadline = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("%s did not come about within %s s; last seen: %r" % (what, seconds, value))
        time.sleep(pause)
