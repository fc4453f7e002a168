# SPDX-License-Identifier: GPL-2.0-or-later
"""The rebuilt vtysh has every command of the stock one, in every node, and dsaad's on top."""

import re


def commands(router):
    """Every command of every node, as vtysh's own "find" tells them: "  (node)  command"."""
    return set(router.vtysh("find .").splitlines())


def without_dsaad(line):
    """A line without dsaad in the list of daemons that some commands take."""
    return re.sub(r"\|dsaad>", ">", line)


def test_no_stock_command_is_lost(stock, router):
    theirs = commands(stock)
    ours = {without_dsaad(line) for line in commands(router)}
    # The list is real: it has commands of far-apart places.
    assert len(theirs) > 3000
    assert any("rpki cache" in line for line in theirs)
    lost = sorted(theirs - ours)
    assert not lost, "%d commands lost, the first: %s" % (len(lost), lost[:20])


def test_only_dsaad_adds_commands(stock, router):
    added = {without_dsaad(line) for line in commands(router)} - commands(stock)
    assert added
    foreign = sorted(line for line in added if "dsaa" not in line)
    assert not foreign, foreign


def test_every_dsaad_node_can_be_left(router):
    have = commands(router)
    for node in ("dsaa", "dsaa site"):
        for word in ("exit", "quit", "end"):
            assert "  (%s)  %s" % (node, word) in have
