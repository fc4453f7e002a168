# SPDX-License-Identifier: GPL-2.0-or-later
"""
All scenarios of lab/scenarios.py by the commands that a person types, in the plain lab and in Mininet: about three minutes, so not a
part of ./quickstart check, which plays some of them (test_mininet.py, test_scenarios.py). "make check-scenarios" in build/obj runs this.
"""

import os
import secrets
import subprocess

import pytest

from lab.scenarios import SCENARIOS

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PYTHON = "/usr/bin/python3"


def command(*words):
    done = subprocess.run([PYTHON] + list(words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=500)
    return done.returncode, done.stdout


def check(said, unable=()):
    for name in SCENARIOS:
        assert "== %s: passed\n" % name in said or (name in unable and "== %s: not played. " % name in said), said


def test_in_mininet():
    pytest.importorskip("mininet", reason="Debian's package mininet is not installed")
    name = "mn-" + secrets.token_hex(4)
    status, said = command(os.path.join(TOP, "lab/mininet/sites.py"), "--name", name, "--scenario", "all")
    print(said)
    assert status == 0, said
    check(said, unable=["long-distance"])


def test_in_the_plain_lab():
    lab = [os.path.join(TOP, "lab/lab.py"), "--name", "test-" + secrets.token_hex(4)]
    status, said = command(*lab, "start")
    assert status == 0, said
    try:
        status, said = command(*lab, "scenario", "all")
    finally:
        command(*lab, "stop")
    print(said)
    assert status == 0, said
    check(said)
