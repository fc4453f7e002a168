# SPDX-License-Identifier: GPL-2.0-or-later
"""Routers for the tests of vtysh; each module gets its own, started once."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from router import Router  # noqa: E402


def started(dsaad):
    r = Router(dsaad)
    try:
        r.start()
        yield r
    finally:
        r.stop()


@pytest.fixture(scope="module")
def router():
    """A site's router: staged FRR with dsaad, rebuilt vtysh."""
    yield from started(True)


@pytest.fixture(scope="module")
def stock():
    """A router as the distribution ships it."""
    yield from started(False)
