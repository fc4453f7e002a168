# SPDX-License-Identifier: GPL-2.0-or-later
"""How the demo tells a RST that breaks a connection from one that answers a late segment."""

from demo.programs import Resets

CLIENT, SERVER = "203.0.113.10.45764", "10.9.1.10.8080"


def line(source, to, flags, word="IP"):
    return "16:44:53.711484 eth0  Out %s %s > %s: Flags [%s], seq 1, win 0, length 0" % (word, source, to, flags)


def resets(*lines):
    found = Resets()
    for text in lines:
        found.add(text)
    return len(found.broken), len(found.late)


def test_reset_of_a_living_connection():
    begun = [line(CLIENT, SERVER, "S"), line(SERVER, CLIENT, "S.")]
    assert resets(*begun, line(CLIENT, SERVER, "R.")) == (1, 0)
    assert resets(*begun, line(SERVER, CLIENT, "F."), line(CLIENT, SERVER, "R")) == (1, 0), "only one end has finished"
    assert resets(line(SERVER, CLIENT, "R.")) == (1, 0), "its beginning was not seen"


def test_reset_after_the_end():
    ended = [line(SERVER, CLIENT, "FP."), line(CLIENT, SERVER, "F.")]
    assert resets(*ended, line(CLIENT, SERVER, "R"), line(CLIENT, SERVER, "R")) == (0, 2)
    other = "203.0.113.10.45766"
    assert resets(*ended, line(other, SERVER, "R")) == (1, 0), "of another connection"
    assert resets(*ended, line(CLIENT, SERVER, "S"), line(SERVER, CLIENT, "R.")) == (1, 0), "the ports are used again"


def test_ipv6_and_other_lines():
    client, server = "2001:db8:c0::10.50000", "2001:db8:9:1::10.2222"
    ended = [line(server, client, "F.", "IP6"), line(client, server, "F.", "IP6")]
    assert resets(*ended, line(client, server, "R", "IP6"), "16 packets captured") == (0, 1)
