# SPDX-License-Identifier: GPL-2.0-or-later
"""dsaad runs on one router, takes its block, answers, writes it back, and survives a stop of zebra.

    r1 --- s1
"""

import sys

import pytest

from dsaatopo import show, start, wait_for

BLOCK = """dsaa
 cluster-id 7
 site 1
  name paris
  sync-address 172.16.0.1
 exit
 site 2
  name lyon
  sync-address 172.16.0.2
 exit
exit
"""

CONFIG = """hostname r1
!
interface r1-eth0
 ip address 172.16.0.1/24
exit
!
""" + BLOCK


def build(tgen):
    tgen.add_switch("s1").add_link(tgen.add_router("r1"))


@pytest.fixture(scope="module")
def tgen():
    t = start(build, sys.modules[__name__], {"r1": (CONFIG, ["dsaad"])})
    yield t
    t.stop_topology()


def test_show(tgen):
    r1 = tgen.gears["r1"]
    answer = wait_for(lambda: show(r1, "show dsaa"), "an answer to show dsaa")
    assert answer["clusterId"] == 7


def test_local_site_is_found_by_its_sync_address(tgen):
    r1 = tgen.gears["r1"]
    wait_for(lambda: (show(r1, "show dsaa") or {}).get("localSite") == 1, "local site 1")


def test_without_a_key_there_is_no_session(tgen):
    """The peer is named with the reason why it is not up."""
    state = show(tgen.gears["r1"], "show dsaa")["peers"]["2"]
    assert state["state"] != "up"
    assert state["reason"]


def test_running_config_is_what_was_given(tgen):
    shown = tgen.gears["r1"].vtysh_cmd("show running-config")
    position = 0
    for line in BLOCK.splitlines():
        found = shown.find("\n" + line + "\n", position)
        assert found >= 0, "%r is missing, or not in its place, in:\n%s" % (line, shown)
        position = found


def test_daemon_outlives_zebra(tgen):
    r1 = tgen.gears["r1"]
    r1.run("kill -9 $(cat /var/run/frr/zebra.pid)")
    assert wait_for(lambda: show(r1, "show dsaa"), "an answer without zebra")["clusterId"] == 7


def test_threads_are_confined(tgen):
    """Whatever runs in the daemon has three capabilities at most and the filter of system calls."""
    r1 = tgen.gears["r1"]
    tasks = "/proc/$(cat /var/run/frr/dsaad.pid)/task"
    text = r1.cmd("cat %s/*/status" % tasks)
    assert text.count("Name:") >= 3, text
    for line in ("CapPrm:\t0000000000003400", "CapBnd:\t0000000000003400", "NoNewPrivs:\t1", "Seccomp:\t2"):
        assert text.count(line) == text.count("Name:"), (line, text)
    assert "Uid:\t0" not in text
