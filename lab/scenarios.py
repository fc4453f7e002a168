# SPDX-License-Identifier: GPL-2.0-or-later
"""
What can happen to two sites, each as a short story with a judge: the same as the topotests try, for a person to watch.

    ./quickstart mininet --scenario NAME|all|list       in Mininet; also "scenario NAME" at its prompt
    ./quickstart lab scenario NAME|all|list             in a running lab of two sites

A scenario begins with both sites up and all traffic by site 1, and comes back to that. What it says is what it does; the first thing
that is not as it should be ends it with a sentence, and leaves the network as it is then.
"""

import threading
import time

from lab.control import LabError
from lab.node import Unable
from lab.stage import SITES, Download, Stage, check

# name: function; the first line of its text is what "list" tells
SCENARIOS = {}


def scenario(function):
    SCENARIOS[function.__name__.replace("_", "-")] = function
    return function


# ------------------------------------------------------------ traffic


@scenario
def asymmetric(net):
    """Forward by one site, back by the other, and the other way round: every packet reaches its connection's owner."""
    for owner, other in ((1, 2), (2, 1)):
        net.path(forward=owner, back=other)
        before = net.correction(other)["packetsSent"]
        for c in net.connections():
            c.owned_by(owner)
        for f in net.families:
            stall = Download(net, f, rate=0).whole()
            datagrams, pings = net.datagrams(f), net.pings(f)
            net.say("IPv%d: 6 MB are whole (longest pause %.2f s), %d of 100 datagrams and %d of 5 pings are answered" % (f, stall, datagrams, pings))
            check((datagrams, pings) == (100, 5), "Not all datagrams and pings were answered.")
        sent = net.correction(other)["packetsSent"] - before
        net.say("site %d owns all of it; site %d carried %d packets to it" % (owner, other, sent))
        check(sent > 100, "Site %d carried next to nothing, so the answers cannot have come by it." % other)


@scenario
def correction_modes(net):
    """The same answers carried by the kernel's fast path, and by NFQUEUE: nothing breaks when the mode changes."""
    usual = net.lab.state["options"]["mode"]
    net.path(forward=1, back=2)
    held = net.connections()
    try:
        for mode in ("nfqueue", "kernel"):
            net.mode(mode)
            before = net.correction(2)
            for f in net.families:
                Download(net, f, rate=0).whole()
                check(net.datagrams(f) == 100, "Not all datagrams over IPv%d were answered in mode %s." % (f, mode))
            after = net.correction(2)
            sent, kernel = (after[k] - before[k] for k in ("packetsSent", "packetsSentKernel"))
            net.say("mode %s: downloads and datagrams are whole; site 2 carried %d packets, %d of them in the kernel" % (mode, sent, kernel))
            check(sent > 100, "Site 2 carried next to nothing in mode %s." % mode)
            check((kernel > 0.8 * sent) == (mode == "kernel"), "%d of %d packets went by the kernel in mode %s." % (kernel, sent, mode))
            for c in held:
                c.talk()
    finally:
        net.mode(usual)
    net.say("mode %s again" % usual)


@scenario
def routes_move(net):
    """Routing moves everything to site 2: connections stay with site 1, new ones belong to site 2."""
    held = net.connections()
    net.path(forward=2, back=2)
    before = net.correction(2)["packetsSent"]
    for c in held:
        c.talk()
        c.owned_by(1)
    sent = net.correction(2)["packetsSent"] - before
    net.say("the old connections go on; site 2 carried %d of their packets to site 1" % sent)
    check(sent > 0, "Site 2 carried nothing to the owner.")
    for c in net.connections():
        c.owned_by(2)
    net.say("the new connections belong to site 2")


# ------------------------------------------------------------ failures


@scenario
def site_death(net):
    """Site 1 loses power in the middle of downloads and comes back: no reset, and state before routes."""
    net.path(forward=1, back=2)
    held, resets = net.connections(), net.resets()
    downloads = net.downloads()
    net.say("POWER CUT of site 1, in the middle of downloads that it owns")
    begin = time.monotonic()
    net.lab.cut("site1")
    net.alive = [2]
    net.until(10, lambda: net.peer(2)[0] == "dead", "site 2 does not call site 1 dead")
    net.say("site 2 calls site 1 dead (%s), %.1f s after the cut" % (net.peer(2)[1], time.monotonic() - begin))
    stall = max(d.whole() for d in downloads)
    net.say("the downloads are whole; the longest pause was %.1f s" % stall)
    for c in held + net.connections():
        c.talk()
        c.owned_by(2)
    net.say("old and new connections are site 2's")
    check(net.resets() == resets, "Somebody saw a TCP reset.")
    power(net)
    for c in held:
        c.talk()
        c.owned_by(2)
    net.say("what site 2 has adopted stays there; nobody saw a reset")
    check(net.resets() == resets, "Somebody saw a TCP reset.")


def power(net):
    """Site 1 boots; what it announces must have been complete by then."""
    errors = []

    def boot():
        try:
            net.lab.heal("site1")
        except LabError as e:
            errors.append(str(e))

    net.say("POWER for site 1: it boots with an empty connection table")
    begin, boots = time.monotonic(), threading.Thread(target=boot)
    boots.start()
    early = []

    def back():
        # Asked in this order: what was announced must have been complete by then.
        there = net.announces(1)
        complete = net.show(1).get("stateComplete") is True
        if there and not complete:
            early.append(there)
        return there and complete

    try:
        net.until(60, back, "site 1 does not announce the services")
    finally:
        boots.join()
    check(not errors, errors[0] if errors else "")
    check(not early, "Site 1 announced the services before its state was complete.")
    net.alive = list(SITES)
    bulk = net.show(1, "show dsaa sync")["peers"]["2"]["lastBulk"]
    net.say("it was told %d connections before it announced anything; announced again %.1f s after power" % (bulk["flows"], time.monotonic() - begin))
    net.until_up()


@scenario
def sync_cut(net):
    """The site-sync link is cut and healed: nobody is dead, both sites serve, and each connection keeps its owner."""
    net.path(forward=1, back=1)
    held, resets = net.connections(), net.resets()
    net.lab.cut("sync")
    isolated(net)
    for c in held:
        c.talk()
    for s in SITES:
        check(net.announces(s), "Site %d does not serve any more." % s)
    net.say("connections go on, and both sites announce the services")
    heal_sync(net)
    for c in held:
        c.talk()
        c.owned_by(1)
    check(net.resets() == resets, "Somebody saw a TCP reset.")
    net.say("the connections are site 1's, as before")


@scenario
def split_brain(net):
    """The site-sync link is cut and routing moves the connections to the other site: adopted on demand, and they stay there."""
    net.path(forward=1, back=1)
    held, resets = net.connections(), net.resets()
    for c in held:
        c.owned_by(1)
    adopted = net.show(2, "show dsaa sync")["adoptedOnDemand"]
    net.lab.cut("sync")
    isolated(net)
    net.path(forward=2, back=2)
    for c in held:
        c.talk()
    found = net.show(2, "show dsaa sync")["adoptedOnDemand"] - adopted
    net.say("they go on by site 2, which cannot ask their owner: %d adopted on demand" % found)
    check(found >= len(held), "Site 2 did not adopt all connections that came to it.")
    heal_sync(net)
    for c in held:
        c.owned_by(2)
    net.path(forward=1, back=2)
    for c in held:
        c.talk()
    check(net.resets() == resets, "Somebody saw a TCP reset.")
    net.say("both sites name site 2 as the owner, and site 1 carries packets to it")


def isolated(net):
    net.say("the site-sync link is CUT")
    for s in SITES:
        net.until(10, lambda s=s: net.peer(s)[0] == "isolated", "site %d does not call its peer isolated" % s)
    net.say("both sites call each other isolated (%s): the peer lives, it can only not be asked" % net.peer(1)[1])


def heal_sync(net):
    net.lab.heal("sync")
    net.say("the site-sync link is HEALED")
    net.until_up()
    net.say("both sites are up again and their state is complete")


# ------------------------------------------------------------ operation


@scenario
def drain(net):
    """Site 1 is drained and returns, then site 2: connections are handed over, and none waits."""
    net.path(forward=1, back=2)
    held, resets = net.connections(), net.resets()
    downloads = net.downloads()
    for site in SITES:
        other = 3 - site
        net.vtysh(site, "dsaa drain on")
        net.until(20, lambda site=site: net.show(site)["drain"]["state"] == "drained", "site %d is not drained" % site)
        for c in held:
            c.talk()
            c.owned_by(other)
        net.say("site %d is drained: its connections are site %d's, and its routes are the last choice" % (site, other))
        net.vtysh(site, "dsaa drain off")
        net.until(20, lambda site=site, other=other: net.show(other, "show dsaa site")["sites"][str(site)]["word"] == "alive",
                  "site %d does not hear that site %d is back" % (other, site))
        net.say("site %d is back" % site)
    stall = max(d.whole() for d in downloads)
    net.say("the downloads are whole; the longest pause was %.2f s" % stall)
    check(net.resets() == resets, "Somebody saw a TCP reset.")


@scenario
def dsaad_killed(net):
    """dsaad is killed at the site that carries, then at the owner; watchfrr starts it again: the kernel goes on meanwhile."""
    net.path(forward=1, back=2)
    held, resets = net.connections(), net.resets()
    for site in (2, 1):
        downloads = net.downloads()
        pid = dsaad_pid(net, site)
        net.lab.run("site%d" % site, ["kill", "-KILL", pid])
        net.say("dsaad of site %d is KILLED, in the middle of downloads" % site)
        stall = max(d.whole() for d in downloads)
        net.say("the downloads are whole; the longest pause was %.2f s" % stall)
        net.until(60, lambda site=site, pid=pid: dsaad_pid(net, site) != pid, "watchfrr does not start dsaad of site %d again" % site)
        net.until_up()
        for c in held:
            c.talk()
        net.say("watchfrr has started it again, and the sites agree")
    check(net.resets() == resets, "Somebody saw a TCP reset.")


def dsaad_pid(net, site):
    return net.lab.run("site%d" % site, ["cat", "/run/frr/dsaad.pid"]).stdout.strip()


@scenario
def long_distance(net):
    """The sites are 20 ms apart: new connections over asymmetric paths begin at once, although their state comes late."""
    net.lab.delay("sync", 20)
    try:
        net.say("a packet on the site-sync link takes 20 ms longer, each way")
        for forward, back in ((1, 2), (2, 1)):
            net.path(forward=forward, back=back)
            begin = time.monotonic()
            for c in net.connections():
                c.owned_by(forward)
            spoke = (time.monotonic() - begin) / len(net.families)
            for f in net.families:
                d = Download(net, f, length=300000, rate=0)
                d.whole()
                check(d.seconds < 3, "A download of 300 kB over IPv%d took %.1f s." % (f, d.seconds))
            net.say("a new connection spoke, and both sites named its owner, within %.2f s; 300 kB took %.2f s" % (spoke, d.seconds))
    finally:
        net.lab.delay("sync", 0)


# ------------------------------------------------------------ playing them


def names(word):
    """The scenarios that a word means."""
    if word == "all":
        return list(SCENARIOS)
    if word not in SCENARIOS:
        raise LabError("There is no scenario '%s': %s, or all." % (word, ", ".join(SCENARIOS)))
    return [word]


def listed():
    """What there is, a line each."""
    return ["%-17s %s" % (name, (function.__doc__ or "").splitlines()[0]) for name, function in SCENARIOS.items()]


def play(lab, word, say=print):
    """Plays the scenarios that WORD means, tells how many passed; raises LabError with the first one's fault."""
    wanted, skipped = names(word), []
    for name in wanted:
        say("== %s: %s" % (name, SCENARIOS[name].__doc__.splitlines()[0]))
        stage = Stage(lab, say)
        try:
            stage.until_up()
            lab.path("forward", 1)
            lab.path("return", 1)
            SCENARIOS[name](stage)
            lab.path("forward", 1)
            lab.path("return", 1)
        except Unable as e:
            skipped.append(name)
            say("== %s: not played. %s" % (name, e))
            continue
        except LabError as e:
            raise LabError("Scenario %s failed: %s" % (name, e)) from None
        finally:
            stage.end()
        say("== %s: passed" % name)
    say("Passed: %d of %d%s." % (len(wanted) - len(skipped), len(wanted), ", not played: " + ", ".join(skipped) if skipped else ""))
