# SPDX-License-Identifier: GPL-2.0-or-later
"""A scenario is played in the plain lab; what cannot be played is refused with a sentence. All scenarios: check_scenarios.py."""

import secrets

import pytest

from lab import scenarios, stage
from lab.control import Lab, LabError


@pytest.fixture(scope="module")
def sites():
    one = Lab("test-" + secrets.token_hex(4))
    one.start(family="4")
    yield one
    one.stop()


def test_a_scenario_passes(sites):
    said = []
    scenarios.play(sites, "asymmetric", said.append)
    assert said[-2:] == ["== asymmetric: passed", "Passed: 1 of 1."], said
    assert "lab_watch" not in sites.run("client", ["nft", "list", "tables"]).stdout


def test_what_is_wrong_is_a_sentence(sites, monkeypatch):
    """Carried by nobody, because correction is off: the first connection gets no answer."""
    monkeypatch.setattr(stage, "ANSWER_S", 3)
    for s in sites.top.site_nodes():
        sites.vtysh(s, "configure terminal", "dsaa", "correction mode off")
    said = []
    with pytest.raises(LabError, match="Scenario asymmetric failed: A connection over IPv4 failed"):
        scenarios.play(sites, "asymmetric", said.append)
    assert "== asymmetric: passed" not in said


def test_refusals(sites, lab):
    with pytest.raises(LabError, match="There is no scenario 'nowhere'"):
        scenarios.play(sites, "nowhere")
    with pytest.raises(LabError, match="for a lab of two sites with dsaad"):
        scenarios.play(lab, "asymmetric", lambda text: None)
