# SPDX-License-Identifier: GPL-2.0-or-later
"""Daemons are killed and started again, or stopped for a while; cables and the site-sync link are cut; interfaces vanish and return;
others take our rules away: connections go on, the cause is told, everything is announced again, and nothing is left over. The
network is drawn in twosites.py.
"""

import re
import time

import pytest

import twosites
from dsaatopo import wait_for
from twosites import CLIENTS_NET, FAMILIES, FILLING, IN, NATTED, OUT, PLAIN, POOL, SERVER, SERVICE_NET, SITES

LENGTH, RATE = 6000000, 1000000
DSAA_TABLE = "3785"


@pytest.fixture(scope="module")
def net():
    yield from twosites.fixture(__name__)


@pytest.fixture(scope="module")
def held(net):
    """Connections of site 1 that last through all of it."""
    net.prefer(forward=1, back=2)
    found = {a[f]: net.hold(a[f], SERVER[f]) for a in (NATTED, PLAIN) for f in FAMILIES}
    for h in found.values():
        h.say()
    return found


@pytest.fixture(scope="module", autouse=True)
def as_it_was(net, held):
    """What each site's kernel has when all is well: every test must come back to exactly this."""
    net.wait_ready()
    return {s: kernel(net, s) for s in SITES}


# ------------------------------------------------------------ helpers


def kernel(net, site):
    """Routes, rules, addresses, links and nft tables of a site, without what differs between two makings of the same."""
    text = net.router(site).run(
        "for f in 4 6; do ip -$f route show table all; ip -$f rule; done; ip -o addr show; ip -o link | cut -d: -f2; nft list tables; "
        "nft -s list table inet dsaa; ls /sys/fs/bpf/dsaa 2>/dev/null"
    )
    lines = set()
    for line in text.splitlines():
        line = re.sub(r"nhid \d+ |@if\d+|^\d+: |(valid|preferred)_lft \w+|handle \d+|expires \w+|\\", "", line)
        line = re.sub(r"\s+", " ", line).strip()
        # Link-local addresses and the kernel's cached exceptions come and go by themselves.
        if line and "fe80:" not in line and "cache" not in line:
            lines.add(line)
    return lines


def settle(net, as_it_was):
    """All is up and announced, and each kernel has what it had."""
    net.wait_ready(40)
    last = {}

    def same():
        now = {s: kernel(net, s) for s in SITES}
        last.update({s: {"missing": as_it_was[s] - now[s], "left over": now[s] - as_it_was[s]} for s in SITES})
        return now == as_it_was

    try:
        wait_for(same, "kernels as before", 20, 0.5)
    except AssertionError:
        raise AssertionError("the kernels are not as before: %r" % last) from None


class Transfer:
    """A download that lasts six seconds, and must be whole at its end. It may stall: a site whose zebra or bgpd has just begun anew has
    no routes for some seconds, and TCP doubles its patience each time.
    """

    def __init__(self, net, family=4, source=NATTED):
        self.net = net
        self.resets = net.resets()
        self.program = net.fetch(source[family], SERVER[family], LENGTH, RATE)
        time.sleep(0.7)

    def check(self):
        found = twosites.check_fetched(self.program, LENGTH)
        print(found, "resets after the end of a connection: %d" % self.net.late_resets())
        assert self.net.resets() == self.resets, "somebody saw a reset: %s; the download: %s" % (self.net.resets_told(), self.program.port)


def announced(net, site):
    found = [f for f in FAMILIES if site in net.paths("outside", SERVICE_NET[f])]
    return found + [p for f in FAMILIES for p in (CLIENTS_NET[f], POOL[1, f], POOL[2, f]) if site in net.paths("inside", p)]


def owned_by(net, site, source, port):
    """Whom the entry of a connection at SITE belongs to; None without an entry."""
    found = [e["owner"] for e in net.entries(site, source, "tcp") if e["sport"] == str(port)]
    return found[0] if found else None


# ------------------------------------------------------------ daemons


@pytest.mark.parametrize("site, daemon", [(1, "zebra"), (2, "bgpd"), (1, "bfdd")])
def test_killed_and_restarted(net, held, as_it_was, site, daemon):
    t = Transfer(net)
    net.kill(site, daemon)
    assert net.show(site).get("localSite") == site, "dsaad goes on"
    net.restart(site, daemon)
    if daemon == "zebra":
        net.register_bfd_again(site)
    t.check()
    settle(net, as_it_was)
    net.prefer(forward=1, back=2)
    # what is watched before, is watched after: else the next death is noticed by BGP's hold time only
    for name, nets in (("outside", OUT), ("inside", IN)):
        assert net.watched(name) == {nets[s, f] % 1 for s in SITES for f in FAMILIES}
    for source, h in held.items():
        h.say()
        assert owned_by(net, 1, source, h.port) == 0
        assert owned_by(net, 2, source, h.port) == 1


WATCHFRR = "/usr/lib/frr/watchfrr -d -i 1 -T 10 --min-restart-interval 1 zebra bgpd bfdd dsaad >watchfrr.out 2>&1 </dev/null"


@pytest.mark.parametrize("site", [1])
def test_dsaad_is_killed_under_supervision(net, held, as_it_was, site):
    """watchfrr starts it again; meanwhile its rules and addresses stay. (Its TUN device cannot.)"""
    net.run(site, "cat >/etc/frr/daemons", 'DAEMONS="$DAEMONS dsaad"\nbgpd=yes\nbfdd=yes\ndsaad=yes\nvtysh_enable=yes\n')
    net.run(site, WATCHFRR + " || { cat watchfrr.out; false; }")
    try:
        t = Transfer(net)
        pid = net.router(site).run("cat /var/run/frr/dsaad.pid")
        net.kill(site, "dsaad")
        gone = {line for line in as_it_was[site] - kernel(net, site) if not re.search("blackhole|unreachable|dsaa0", line)}
        assert not gone, "it took something with it"
        wait_for(lambda: net.show(site).get("localSite") == site, "watchfrr to start it again", 30)
        assert net.router(site).run("cat /var/run/frr/dsaad.pid") != pid
        t.check()
        settle(net, as_it_was)
    finally:
        net.run(site, "kill $(cat /var/run/frr/watchfrr.pid)")
    net.prefer(forward=1, back=2)
    for h in held.values():
        h.say()


@pytest.mark.parametrize("site", [1])
def test_connections_survive_dsaad(net, held, as_it_was, site):
    """Killed three times in a row: every connection still has one owner, the same at both sites."""
    for _ in range(3):
        net.kill(site, "dsaad")
        net.restart(site, "dsaad")
    settle(net, as_it_was)
    net.prefer(forward=1, back=2)
    for source, h in held.items():
        h.say()

        def owners():
            return owned_by(net, 1, source, h.port), owned_by(net, 2, source, h.port)

        wait_for(lambda: owners() in ((0, 1), (2, 0)), "one owner of the connection from %s, not %r" % (source, owners()), 10)


def test_what_ended_meanwhile_is_gone(net, held, as_it_was):
    """Connections that end while site 2's dsaad is away leave nothing there."""
    net.prefer(forward=1, back=1)
    gone = net.hold(PLAIN[4], SERVER[4])
    gone.say()
    wait_for(lambda: owned_by(net, 2, PLAIN[4], gone.port) == 1, "the entry at site 2", 5)
    net.kill(2, "dsaad")
    gone.end()
    net.run(1, "conntrack -D -p tcp -s %s --sport %d" % (PLAIN[4], gone.port))
    net.restart(2, "dsaad")
    settle(net, as_it_was)
    wait_for(lambda: owned_by(net, 2, PLAIN[4], gone.port) is None, "the entry to go", 10)
    net.prefer(forward=1, back=2)


# ------------------------------------------------------------ drain


def test_drain_and_back(net, held, as_it_was):
    """Connections of site 1 become site 2's without a pause, and stay there; so they come back by draining site 2."""
    since = net.now(1)
    t = Transfer(net)
    rehearsal = net.rehearse(1)
    assert rehearsal["1"]["connections"] >= len(held) and rehearsal["1"]["survive"] == rehearsal["1"]["connections"]
    for site in SITES:
        other = 3 - site
        net.router(site).vtysh_cmd("dsaa drain on")
        wait_for(lambda: net.show(site)["drain"]["state"] == "drained", "site %d to be drained" % site, 20)
        assert net.show(site)["drain"]["heir"] == other and net.show(site)["drain"]["connectionsLeft"] == 0
        assert net.show(other, "show dsaa site")["sites"][str(site)]["word"] == "drained-to-us"
        assert net.show(site, "show dsaa advertise")["prefixes"][SERVICE_NET[4]]["state"] == "drain"
        for source, h in held.items():
            h.say()
            assert owned_by(net, other, source, h.port) == 0 and owned_by(net, site, source, h.port) == other
        net.router(site).vtysh_cmd("dsaa drain off")
        wait_for(lambda: net.show(other, "show dsaa site")["sites"][str(site)]["word"] == "alive", "site %d to be back" % site, 10)
    t.check()
    assert ("drain", "handing-over", "drained", "handed-over") in net.causes(1, since)
    settle(net, as_it_was)


# ------------------------------------------------------------ cuts


@pytest.mark.parametrize("side", ["out", "in"])
def test_cable_is_cut(net, held, as_it_was, side):
    """Of the owner: its connections may stall, for nobody else can reach its neighbours for it; none is reset."""
    t = Transfer(net)
    net.cut_cable(1, side)
    prefix = SERVICE_NET[4] if side == "out" else POOL[1, 4]
    name = "outside" if side == "out" else "inside"
    wait_for(lambda: 1 not in net.paths(name, prefix), "site 1 to be missed", 10)
    assert net.peer(2)[0] == "up", "the sites are well"
    new = net.hold(PLAIN[4], SERVER[4]) if side == "out" else None
    net.cut_cable(1, side, on=False)
    settle(net, as_it_was)
    net.prefer(forward=1, back=2)
    t.check()
    for h in list(held.values()) + ([new] if new else []):
        h.say()
    if new:
        new.end()


@pytest.mark.parametrize("towards", [SITES, (1,)], ids=["both", "one-way"])
def test_sync_link_is_cut(net, held, as_it_was, towards):
    """Both ways, or one: nobody is dead, both serve on, and after it each connection has one owner."""
    since = net.now(1)
    net.prefer(forward=1, back=1)
    t = Transfer(net)
    net.cut_sync(towards=towards)
    wait_for(lambda: all(net.peer(s)[0] == "isolated" for s in SITES), "both to be isolated", 10)
    assert all(net.peer(s)[1] == "probe-alive" for s in SITES)
    assert all(net.show(s, "show dsaa site")["sites"][str(3 - s)]["probe"] == "up" for s in SITES)
    for h in held.values():
        h.say()
    net.cut_sync(on=False, towards=towards)
    t.check()
    settle(net, as_it_was)
    assert not [c for c in net.causes(1, since) if "dead" in c]
    for source, h in held.items():
        assert (owned_by(net, 1, source, h.port), owned_by(net, 2, source, h.port)) == (0, 1)
    net.prefer(forward=1, back=2)
    for h in held.values():
        h.say()


def test_adopted_on_demand_stays(net, held, as_it_was):
    """Site 1's connections come to site 2 while the sites have lost each other: they go on there, and stay there."""
    net.prefer(forward=1, back=1)
    moved = {f: net.hold(NATTED[f], SERVER[f]) for f in FAMILIES}
    t = Transfer(net)
    for f, h in moved.items():
        h.say()
        wait_for(lambda: owned_by(net, 2, NATTED[f], h.port) == 1, "the copy at site 2", 5)
    adopted = net.show(2, "show dsaa sync")["adoptedOnDemand"]
    net.cut_sync()
    wait_for(lambda: all(net.peer(s)[0] == "isolated" for s in SITES), "both to be isolated", 10)
    net.prefer(forward=2, back=2)
    for f, h in moved.items():
        h.say()
        assert owned_by(net, 2, NATTED[f], h.port) == 2, "our own number: adopted on demand"
    t.check()
    assert net.show(2, "show dsaa sync")["adoptedOnDemand"] >= adopted + len(moved)
    net.cut_sync(on=False)
    settle(net, as_it_was)
    for f, h in moved.items():
        wait_for(lambda: owned_by(net, 1, NATTED[f], h.port) == 2, "site 1 to give it up", 10)
        assert owned_by(net, 2, NATTED[f], h.port) in (0, 2)
    # its packets may come in at site 1 again, and are carried to where it lives
    net.prefer(forward=1, back=2)
    for h in list(moved.values()) + list(held.values()):
        h.say()
    for source, h in held.items():
        assert (owned_by(net, 1, source, h.port), owned_by(net, 2, source, h.port)) == (0, 1), "no packet of it came to site 2"
    for h in moved.values():
        h.end()


# ------------------------------------------------------------ time


@pytest.mark.parametrize("site, daemons", [(2, "dsaad"), (1, "zebra bgpd bfdd dsaad")], ids=["dsaad", "all"])
def test_starved_for_two_seconds(net, held, as_it_was, site, daemons):
    """A site whose daemons get no processor is not dead: its kernel goes on."""
    since = net.now(3 - site)
    t = Transfer(net)
    pids = "for d in %s; do cat /var/run/frr/$d.pid; done" % daemons
    net.run(site, "kill -STOP $(%s)" % pids)
    time.sleep(2)
    net.run(site, "kill -CONT $(%s)" % pids)
    t.check()
    settle(net, as_it_was)
    assert not [c for c in net.causes(3 - site, since) if "dead" in c]
    net.prefer(forward=1, back=2)
    for source, h in held.items():
        h.say()
        assert (owned_by(net, 1, source, h.port), owned_by(net, 2, source, h.port)) == (0, 1)


def test_both_start_at_once(net, held, as_it_was):
    t = Transfer(net)
    for s in SITES:
        net.kill(s, "dsaad")
    for s in SITES:
        net.restart(s, "dsaad")
    t.check()
    settle(net, as_it_was)
    for source, h in held.items():
        h.say()
        assert (owned_by(net, 1, source, h.port), owned_by(net, 2, source, h.port)) == (0, 1)


def test_comes_back_with_older_configuration(net, held, as_it_was):
    """Its block lacks a line that the others have: it works, and the difference is seen."""
    digest = net.show(1)["configDigest"]
    net.router(2).run("vtysh -c 'configure terminal' -c 'dsaa' -c 'no advertise %s'" % CLIENTS_NET[6])
    net.kill(2, "dsaad")
    net.restart(2, "dsaad", load=False)
    block = twosites.dsaa_block().replace(" advertise %s all\n" % CLIENTS_NET[6], "")
    net.run(2, "cat >/tmp/older.conf && vtysh -f /tmp/older.conf; rm /tmp/older.conf", block)
    wait_for(lambda: all(net.peer(s)[0] == "up" for s in SITES), "the sites up", 20)
    assert net.show(2)["configDigest"] != digest
    wait_for(lambda: net.paths("inside", CLIENTS_NET[6]).get(2) is None, "site 2 not to announce it", 10)
    for h in held.values():
        h.say()
    net.router(2).run("vtysh -c 'configure terminal' -c 'dsaa' -c 'advertise %s all'" % CLIENTS_NET[6])
    wait_for(lambda: net.show(2)["configDigest"] == digest, "the same block again", 5)
    settle(net, as_it_was)
    net.prefer(forward=1, back=2)


def test_clock_is_stepped(net, held, as_it_was):
    """At site 1, an hour ahead while dsaad runs, then an hour back; then dsaad begins anew with that older time. Only the real clock of
    dsaad's own process is moved (libfaketime).
    """
    step = "/tmp/dsaa-clock"
    library = net.run(1, "ls /usr/lib/*/faketime/libfaketime.so.1").strip()
    faked = "LD_PRELOAD=%s DONT_FAKE_MONOTONIC=1 FAKETIME_NO_CACHE=1 FAKETIME_TIMESTAMP_FILE=%s" % (library, step)

    def clock(seconds):
        net.run(1, "echo '%+d' >%s.new && chmod 644 %s.new && mv %s.new %s" % (seconds, step, step, step, step))

    def hour():
        return time.strptime(net.show(1, "show dsaa events")["events"][-1]["time"][:13], "%Y-%m-%dT%H").tm_hour

    try:
        clock(0)
        net.kill(1, "dsaad")
        net.restart(1, "dsaad", environment=faked)
        settle(net, as_it_was)
        t = Transfer(net)
        since = net.now(2)
        for seconds in (3600, -3600):
            clock(seconds)
            for h in held.values():
                h.say()
            time.sleep(1)
            assert all(net.peer(s)[0] == "up" for s in SITES)
        assert not net.causes(2, since), "nobody noticed anything"
        net.kill(1, "dsaad")
        net.restart(1, "dsaad", environment=faked)
        t.check()
        settle(net, as_it_was)
        assert hour() == time.localtime(time.time() - 3600).tm_hour, "the clock was not moved: nothing was tried"
    finally:
        net.kill(1, "dsaad")
        net.run(1, "rm -f " + step)
        net.restart(1, "dsaad")
    settle(net, as_it_was)
    for source, h in held.items():
        h.say()
        assert (owned_by(net, 1, source, h.port), owned_by(net, 2, source, h.port)) == (0, 1)


# ------------------------------------------------------------ a full table


def test_full_table_at_the_survivor(net, held, as_it_was):
    """What finds no room is told, is no reason to lose what has room, and comes once there is room. (The kernel drops one of its
    unfinished connections now and then to make some, so that the copy may come earlier.) BFD of the site-sync link needs no room.
    """
    for s in SITES:
        net.run(s, "vtysh -c 'configure terminal' -c dsaa -c 'no sync prefix %s'" % FILLING)
    # whatever room BFD has is taken away from it
    bfd = "-p udp -s %s --dport 3784" % twosites.SYNC[1]
    tracked = net.run(2, "conntrack -L %s 2>/dev/null" % bfd).strip()
    net.run(2, "conntrack -D %s >/dev/null 2>&1; true" % bfd)
    net.fill(2)
    since = net.now(1)
    new = net.hold(PLAIN[4], SERVER[4])
    new.say()

    def refused():
        # more of them than what ended since has left room for
        net.run("client", "/usr/bin/python3 -c 'import socket\nfor i in range(200):\n s = socket.socket(type=socket.SOCK_DGRAM)\n "
                          "s.bind((\"%s\", 0))\n s.sendto(b\"x\", (\"%s\", 5003))'" % (PLAIN[4], SERVER[4]))
        return net.show(2, "show dsaa sync")["peers"]["1"]["flowsRejected"].get("table-full", 0)

    wait_for(refused, "the refusal to be told", 10)
    for h in held.values():
        h.say()
    assert not tracked, tracked
    assert [net.show(s, "show dsaa site")["sites"][str(3 - s)]["bfd"] for s in SITES] == ["up", "up"]
    # "syncing" as long as something is missing: it is not called complete
    assert all(net.peer(s)[0] in ("up", "syncing") for s in SITES) and not [c for c in net.causes(1, since) if "dead" in c]
    net.run(2, "conntrack -D -s %s >/dev/null 2>&1; true" % FILLING)
    net.router(1).vtysh_cmd("dsaa audit")
    wait_for(lambda: owned_by(net, 2, PLAIN[4], new.port) == 1, "the copy, now that there is room", 20)
    for s in SITES:
        net.run(s, "vtysh -c 'configure terminal' -c dsaa -c 'sync prefix %s'" % FILLING)
    settle(net, as_it_was)
    for h in held.values():
        h.say()
    new.say()
    new.end()


# ------------------------------------------------------------ interfaces


def take_away(net, site, interface):
    """Moves an interface into a namespace of its own: here it is gone. Returns the process that keeps it."""
    pid = net.run(site, "unshare -n sleep 300 >/dev/null 2>&1 </dev/null & echo $!; sleep 0.2").strip()
    net.run(site, "ip link set %s netns %s" % (interface, pid))
    return pid


def give_back(net, site, interface, pid):
    net.run(site, "nsenter -t %s -n ip link set %s netns $(cat /var/run/frr/zebra.pid); ip link set %s up; kill %s" % (pid, interface, interface, pid))


@pytest.mark.parametrize("interface", ["in"])
def test_interface_vanishes_and_returns(net, held, as_it_was, interface):
    """At site 2, while the answers of site 1's connections come in there."""
    t = Transfer(net)
    pid = take_away(net, 2, interface)
    wait_for(lambda: not any(u["installed"] for u in net.show(2, "show dsaa uips")["interfaces"][interface]), "it to be missed", 10)
    assert net.show(2, "show dsaa correction")["interfaces"][interface]["dataPath"] == "off"
    t.check()
    for h in held.values():
        h.say()
    give_back(net, 2, interface, pid)
    settle(net, as_it_was)
    assert net.show(2, "show dsaa correction")["interfaces"][interface]["dataPath"] in ("nfqueue", "kernel")
    # It is another one for the kernel now; what the other site carries here must come in through it, and what comes in be carried.
    net.prefer(forward=2, back=1)
    new = {f: net.hold(NATTED[f], SERVER[f]) for f in FAMILIES}
    net.prefer(forward=1, back=2)
    received, sent = net.correction(2)[1], net.correction(2)[0]
    for h in list(new.values()) + list(held.values()):
        h.say()
    assert net.correction(2)[1] > received
    assert net.correction(2)[0] > sent
    for h in new.values():
        h.end()


def test_sync_interface_is_down_and_up(net, held, as_it_was):
    net.run(1, "ip link set sync down")
    wait_for(lambda: all(net.peer(s)[0] != "up" for s in SITES), "the session to be lost", 10)
    net.run(1, "ip link set sync up")
    settle(net, as_it_was)
    net.prefer(forward=1, back=2)
    for h in held.values():
        h.say()


# ------------------------------------------------------------ what others take away


def test_who_takes_again_and_again(net, held, as_it_was):
    """Put back each time; the log tells of it once a minute."""
    router = net.router(1)
    # its own log has ended with the first process
    log = "%s/%s/again.log" % (router.logdir, router.name)
    net.run(1, "vtysh -d dsaad -c 'configure terminal' -c 'log file %s'" % log)
    for _ in range(4):
        net.run(1, "nft delete table inet dsaa")
        wait_for(lambda: "table inet dsaa" in router.run("nft list tables"), "the rules", 10)
    # none of these four, if there was another one within the last minute
    assert router.run("cat %s" % log).count("somebody") <= 1
    net.run(1, "vtysh -d dsaad -c 'configure terminal' -c 'no log file'")
    settle(net, as_it_was)
    for h in held.values():
        h.say()


LAST_RULE = "$(nft -a list chain inet dsaa others | sed -n 's/.*# handle //p' | tail -1)"
BACK = """
    exec 2>/dev/null
    nft -s list table inet dsaa >was
    nft %s
    began=$(date +%%s%%N)
    while :; do
        ms=$((($(date +%%s%%N) - began) / 1000000))
        nft -s list table inet dsaa | cmp -s - was && echo $ms && exit
        [ $ms -lt 5000 ] || exit
    done
"""


@pytest.mark.parametrize(
    "does",
    [
        "delete table inet dsaa",
        "flush table inet dsaa",
        "flush chain inet dsaa correct",
        "delete rule inet dsaa others handle " + LAST_RULE,
        "insert rule inet dsaa correct accept",
    ],
)
def test_rules_are_put_back_at_once(net, held, as_it_was, does):
    """Until they are back, foreign packets are lost, or get a second translation."""
    ms = net.router(1).run(BACK % does).strip()
    print("back after %s ms" % ms)
    assert ms and int(ms) < 500, "the table is not as it was before 'nft %s'" % does
    settle(net, as_it_was)
    for h in held.values():
        h.say()


def test_what_others_take_is_put_back(net, held, as_it_was):
    """The rules and the tunnel."""
    net.run(1, "nft delete table inet dsaa; ip link del dsaa0")
    wait_for(lambda: "table inet dsaa" in net.router(1).run("nft list tables"), "the rules", 10)
    wait_for(lambda: "dsaa0" in net.router(1).run("ip -o link"), "the tunnel", 10)
    settle(net, as_it_was)
    for h in held.values():
        h.say()
