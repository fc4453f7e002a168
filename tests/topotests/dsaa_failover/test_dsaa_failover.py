# SPDX-License-Identifier: GPL-2.0-or-later
"""A site loses power in the middle of transfers: the other one carries on with its connections. It comes back: first the state, then
its routes. Then the same the other way round. The network is drawn in twosites.py.

The tests are one story and build on each other.
"""

import time

import pytest

import twosites
from dsaatopo import wait_for
from twosites import CLIENTS_NET, COMMUNITY, FAMILIES, MED, NATTED, PLAIN, POOL, SERVER, SERVICE_NET, SITES

SOURCES = [a[f] for a in (NATTED, PLAIN) for f in FAMILIES]
LENGTH, RATE = 6000000, 1500000


@pytest.fixture(scope="module")
def net():
    yield from twosites.fixture(__name__)


@pytest.fixture(scope="module")
def held(net):
    """Connections that last through all of it."""
    net.prefer(forward=1, back=2)
    found = {a: net.hold(a, SERVER[6 if ":" in a else 4]) for a in SOURCES}
    for h in found.values():
        h.say()
    return found


def announced(net, site):
    """The prefixes that the third-party routers have from a site."""
    found = [SERVICE_NET[f] for f in FAMILIES if site in net.paths("outside", SERVICE_NET[f])]
    return found + [p for f in FAMILIES for p in (CLIENTS_NET[f], POOL[1, f], POOL[2, f]) if site in net.paths("inside", p)]


def transfers(net):
    found = [net.fetch(a, SERVER[6 if ":" in a else 4], LENGTH, RATE) for a in SOURCES]
    time.sleep(1.2)  # into the middle: they take four seconds
    return found


def entry_of(net, site, source, port):
    found = [e for e in net.entries(site, source, "tcp") if e["sport"] == str(port)]
    return found[0] if found else None


def check_adoption(net, held, dead):
    """The power of a site goes during transfers that are its own."""
    alive = 3 - dead
    adopted = net.show(alive, "show dsaa sync")["adopted"]
    resets = net.resets()
    programs = transfers(net)
    for p, source in zip(programs, SOURCES):
        assert entry_of(net, dead, source, p.port)["owner"] == 0
        wait_for(lambda: entry_of(net, alive, source, p.port), "the connection at the other site", 5)
        assert entry_of(net, alive, source, p.port)["owner"] == dead
    begin = time.monotonic()
    net.power_off(dead)
    wait_for(lambda: net.peer(alive)[0] == "dead", "site %d to be found dead" % dead, 10, 0.1)
    print("found dead after %.1f s" % (time.monotonic() - begin))
    for p in programs:
        found = twosites.check_fetched(p, LENGTH)
        print(found)
        assert found["stall"] < 10
    for h in held.values():
        h.say()
    assert net.resets() == resets, "somebody saw a reset"
    for p, source in list(zip(programs, SOURCES)) + [(h, a) for a, h in held.items()]:
        wait_for(lambda: (entry_of(net, alive, source, p.port) or {}).get("owner") == 0, "the connection to be adopted", 5)
    assert net.show(alive, "show dsaa sync")["adopted"] >= adopted + len(programs) + len(held)


def check_return(net, held, site):
    """Power again: nothing is announced before the whole state is there."""
    net.power_on(site)
    wait_for(lambda: net.show(site).get("localSite") == site, "site %d to know itself" % site, 15)
    early = []

    def back():
        # Asked in this order: what was announced must have been complete by then.
        there = announced(net, site)
        complete = net.complete(site)
        if there and not complete:
            early.append(there)
        return complete and len(there) == 8

    wait_for(back, "site %d to announce everything" % site, 45, 0.05)
    assert not early
    wait_for(lambda: all(net.peer(s)[0] == "up" for s in SITES), "the sites up", 20)
    copies = net.show(site, "show dsaa sync")["peers"][str(3 - site)]
    assert copies["lastBulk"]["flows"] >= len(held)
    for source, h in held.items():
        assert entry_of(net, site, source, h.port)["owner"] == 3 - site, "it was told who owns it"
        h.say()


def test_connections_go_through_both(net, held):
    for source, h in held.items():
        assert entry_of(net, 1, source, h.port)["owner"] == 0
        assert entry_of(net, 2, source, h.port)["owner"] == 1


def test_site_1_dies(net, held):
    check_adoption(net, held, 1)


def test_the_other_one_announces_for_both(net):
    active = MED["active"], COMMUNITY["active"]
    for f in FAMILIES:
        wait_for(lambda: net.paths("outside", SERVICE_NET[f]) == {2: active}, "the service from site 2 alone", 15)
        for prefix in (CLIENTS_NET[f], POOL[1, f], POOL[2, f]):
            wait_for(lambda: net.paths("inside", prefix) == {2: active}, "%s, active, from site 2 alone" % prefix, 15)


def test_new_connections_work(net):
    for source in SOURCES:
        to = SERVER[6 if ":" in source else 4]
        twosites.check_fetched(net.fetch(source, to, 300000), 300000)
        assert net.ping(source, to, 3) == 3


def test_site_1_comes_back(net, held):
    check_return(net, held, 1)


def test_both_serve_again(net, held):
    """Site 2 keeps what it adopted, the returned site takes new connections, and both ways are corrected."""
    net.prefer(forward=1, back=2)
    resets = net.resets()
    for source, h in held.items():
        h.say()
        assert entry_of(net, 2, source, h.port)["owner"] == 0
    for source in SOURCES:
        to = SERVER[6 if ":" in source else 4]
        p = net.fetch(source, to, 300000)
        twosites.check_fetched(p, 300000)
        assert entry_of(net, 1, source, p.port)["owner"] == 0
    wait_for(lambda: net.paths("inside", POOL[1, 4]) == {1: (MED["active"], COMMUNITY["active"]), 2: (MED["backup"], COMMUNITY["backup"])},
             "site 2 to be backup again", 10)
    assert net.resets() == resets


def test_site_2_dies(net, held):
    """It owns what it adopted before and what begins there now."""
    net.prefer(forward=2, back=1)
    check_adoption(net, held, 2)


def test_site_2_comes_back(net, held):
    check_return(net, held, 2)


# ------------------------------------------------------------ active/standby


def wait_primary(net, site):
    """Third-party routers have no preference of their own: what they hear makes them send everything through SITE."""
    states = {site: (MED["active"], COMMUNITY["active"]), 3 - site: (MED["backup"], COMMUNITY["backup"])}
    for f in FAMILIES:
        wait_for(lambda: net.paths("outside", SERVICE_NET[f]) == states, "the service from the primary", 15)
        wait_for(lambda: net.paths("inside", CLIENTS_NET[f]) == states, "the clients from the primary", 15)
        wait_for(lambda: net.via("outside", SERVER[f]) == net.via("inside", PLAIN[f]) == site, "all through the primary", 15)


def test_primary_takes_its_place_when_complete(net, held):
    """ha-mode primary-up: the other site serves only while the primary is away, and keeps the connections that it took."""
    for s in SITES:
        type_in(net, s, "ha-mode primary-up 1")
        type_in(net, s, "split-brain primary")
    said = net.run(1, "cp -p /etc/frr/frr.conf /etc/frr/frr.conf.before && vtysh -c 'write memory' 2>&1")
    assert "[OK]" in said, said
    net.let_med_decide()
    wait_primary(net, 1)
    begun = {f: net.hold(PLAIN[f], SERVER[f]) for f in FAMILIES}
    for f, h in begun.items():
        assert entry_of(net, 1, PLAIN[f], h.port)["owner"] == 0
        wait_for(lambda: (entry_of(net, 2, PLAIN[f], h.port) or {}).get("owner") == 1, "the copy at the standby", 5)
    resets = net.resets()
    net.power_off(1)
    for f in FAMILIES:
        wait_for(lambda: net.paths("outside", SERVICE_NET[f]) == {2: (MED["active"], COMMUNITY["active"])}, "the standby to take over", 15)
    everybody = list(held.items()) + [(PLAIN[f], h) for f, h in begun.items()]
    for source, h in everybody:
        h.say()
        wait_for(lambda: entry_of(net, 2, source, h.port)["owner"] == 0, "the connection to be adopted", 5)
    check_return(net, held, 1)
    assert net.show(1)["haMode"] == net.show(2)["haMode"] == "primary-up"
    wait_primary(net, 1)
    for source, h in everybody:
        h.say()
        assert entry_of(net, 1, source, h.port)["owner"] == 2, "carried to where it lives"
    assert net.resets() == resets
    for h in begun.values():
        h.end()


def test_primary_alone_goes_on_in_a_split(net, held):
    """split-brain primary: all packets come to the primary, which goes on with the connections of the site that it has lost."""
    resets, (sent, _, _) = net.resets(), net.correction(1)
    net.cut_sync()
    wait_for(lambda: all(net.peer(s) == ("isolated", "probe-alive") for s in SITES), "both to be isolated", 10)
    words = [net.show(s, "show dsaa site")["sites"][str(3 - s)]["word"] for s in SITES]
    assert words == ["adopted", "unreachable"]
    for h in held.values():
        h.say()
    assert net.correction(1)[0] == sent, "nothing was carried"
    net.cut_sync(on=False)
    wait_for(lambda: all(net.peer(s)[0] == "up" for s in SITES), "the sites up", 20)
    for source, h in held.items():
        owners = lambda: (entry_of(net, 1, source, h.port)["owner"], entry_of(net, 2, source, h.port)["owner"])
        wait_for(lambda: owners()[0] in (0, 1) and owners()[1] == 1, "the connection to stay with the primary", 10)
        h.say()
    assert net.resets() == resets
    for s in SITES:
        type_in(net, s, "no split-brain")
        type_in(net, s, "no ha-mode")
    net.run(1, "mv /etc/frr/frr.conf.before /etc/frr/frr.conf")
    net.prefer(forward=1, back=2)


# ------------------------------------------------------------ sites that are not set up alike

EXTRA = "table inet extra {\n chain more {\n  type filter hook forward priority 5\n  tcp dport 9 drop\n }\n}\n"
REFUSE = "ruleset-mismatch refuse-adoption"


def differences(net, site, what):
    return net.show(site, "show dsaa differences")["peers"][str(3 - site)][what]


def type_in(net, site, line):
    said = net.run(site, "vtysh -c 'configure terminal' -c dsaa -c '%s' 2>&1" % line)
    assert said.strip() == "", said


def test_lines_that_differ_are_shown_at_both_ends(net, held):
    since = net.now(1)
    for s in SITES:
        for what in ("configuration", "ruleset"):
            wait_for(lambda: differences(net, s, what)["known"], "site %d to know the other one" % s, 10)
            assert differences(net, s, what)["differs"] is False, differences(net, s, what)
    type_in(net, 2, REFUSE)
    net.run(2, "nft -f -", EXTRA)
    wait_for(lambda: differences(net, 1, "ruleset")["differs"], "the other rules to be seen", 10)
    for s, mine, yours in ((2, "onlyHere", "onlyThere"), (1, "onlyThere", "onlyHere")):
        wait_for(lambda: differences(net, s, "configuration")["differs"], "the other block to be seen", 5)
        assert differences(net, s, "configuration")[mine] == [REFUSE]
        assert differences(net, s, "configuration")[yours] == ["ruleset-mismatch warn"]
        found = differences(net, s, "ruleset")
        assert len(found[mine]) == 1 and found[mine][0].startswith("inet extra chain more (priority 5, policy accept): 1 rule, ")
        assert found[yours] == []
    type_in(net, 1, REFUSE)
    wait_for(lambda: not differences(net, 2, "configuration")["differs"], "the blocks to be alike again", 5)
    for s in SITES:
        assert net.show(s)["peers"][str(3 - s)]["adoptionRefused"] is True
        assert net.rehearse(s)[str(3 - s)]["survive"] == 0
    told = ("ruleset", "alike", "different", "ruleset-differs")
    wait_for(lambda: told in net.causes(1, since), "the event", 10)
    assert not [c for c in net.causes(1, since) if c[0] == "configuration"], "it did not last"
    assert "its connections will not be adopted" in net.run(1, "vtysh -c 'show dsaa differences'")


def test_connections_under_other_rules_are_not_adopted(net, held):
    """Site 1 dies: its connections wait at site 2 until that one has its rules, and go on then."""
    resets = net.resets()
    net.power_off(1)
    wait_for(lambda: net.peer(2) == ("dead", "ruleset-differs"), "site 1 to be dead, and left alone", 10)
    assert net.show(2, "show dsaa site")["sites"]["1"]["word"] == "unreachable"
    for f in FAMILIES:
        wait_for(lambda: set(net.paths("outside", SERVICE_NET[f])) == {2}, "the service from site 2 alone", 15)
    for source, h in held.items():
        assert entry_of(net, 2, source, h.port)["owner"] == 1
    p = net.fetch(PLAIN[4], SERVER[4], 300000)
    twosites.check_fetched(p, 300000)
    net.run(2, "nft delete table inet extra")
    wait_for(lambda: net.peer(2) == ("dead", "all-silent"), "the adoption", 10)
    for source, h in held.items():
        h.say()
        wait_for(lambda: entry_of(net, 2, source, h.port)["owner"] == 0, "the connection to be adopted", 5)
    assert net.resets() == resets
    check_return(net, held, 1)
    type_in(net, 2, "no ruleset-mismatch")


# ------------------------------------------------------------ the survivor has no room


def test_a_site_dies_while_the_other_table_is_full(net, held):
    """What the survivor holds it takes over without any room; what begins anew has to wait for some."""
    for s in SITES:
        type_in(net, s, "no sync prefix " + twosites.FILLING)
    resets = net.resets()
    net.fill(1)
    net.power_off(2)
    wait_for(lambda: net.peer(1) == ("dead", "all-silent"), "site 2 to be found dead", 10, 0.1)
    for source, h in held.items():
        h.say()
        wait_for(lambda: entry_of(net, 1, source, h.port)["owner"] == 0, "the connection to be adopted", 10)
    assert net.resets() == resets
    assert int(net.run(1, "conntrack -C")) >= int(net.run(1, "cat /proc/sys/net/netfilter/nf_conntrack_max")) - 50, "it was full all the time"
    assert "nf_conntrack_max" in net.show(1, "show dsaa sync")["kernel"]["warning"]
    net.run(1, "conntrack -D -s %s >/dev/null 2>&1; true" % twosites.FILLING)
    check_return(net, held, 2)
    type_in(net, 1, "sync prefix " + twosites.FILLING)
