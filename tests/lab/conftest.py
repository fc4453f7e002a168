# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes the lab importable, and starts one without dsaad for all tests of this folder."""

import os
import secrets
import sys

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, TOP)

from lab.control import Lab  # noqa: E402


def pytest_configure(config):
    if os.geteuid() != 0:
        pytest.exit("the lab's tests need root", returncode=1)


@pytest.fixture(scope="session")
def lab():
    """A running lab whose sites get addresses and routes from the lab, not from dsaad."""
    one = Lab("test-" + secrets.token_hex(4))
    one.start(static_uips=True)
    yield one
    one.stop()
