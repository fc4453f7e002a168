# SPDX-License-Identifier: GPL-2.0-or-later
"""Where dsaad was built without clang, or the kernel has no BTF, correction goes through NFQUEUE, and the daemon says why."""

import json
import os
import subprocess
import time

import pytest

from router import TOP, Router

PLAIN = TOP / "build" / "plain"
CONFIG = """hostname router
interface sync
 ip address 172.16.0.1/24
exit
dsaa
 cluster-id 7
 site 1
  sync-address 172.16.0.1
  uips in 10.1.0.1/24
 exit
 site 2
  sync-address 172.16.0.2
  uips in 10.2.0.1/24
 exit
 sync insecure
exit
"""


def built():
    """A daemon built where there is no clang that works. Made once; what has changed since is compiled again."""
    PLAIN.mkdir(parents=True, exist_ok=True)
    log = TOP / "build" / "logs" / "plain.log"
    if not (PLAIN / "Makefile").exists() or (PLAIN / "Makefile").stat().st_mtime < (TOP / "configure").stat().st_mtime:
        configure = [str(TOP / "configure"), "--prefix=/usr", "--with-frr-sdk=%s" % (TOP / "build" / "sdk"), "CLANG=/nowhere/clang"]
        run(configure, log)
    run(["make", "-j2", "dsaad/dsaad"], log)
    return PLAIN / "dsaad" / "dsaad"


def run(command, log):
    env = dict(os.environ, PATH="/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL="C")
    with open(log, "a", encoding="utf-8") as out:
        subprocess.run(command, cwd=PLAIN, env=env, stdout=out, stderr=out, check=True)


def started(hide):
    """A router on which HIDE(router) has taken something away before the start."""
    r = Router(True)
    try:
        hide(r)
        for name in ("sync", "in"):
            r.run("sh", "-c", "ip link add %s type veth peer name %s-far && ip link set %s up && ip link set %s-far up" % (4 * (name,)), check=True)
        r.write("/etc/frr/frr.conf", CONFIG)
        r.start()
        yield r
    finally:
        r.stop()


def data_path(r, wanted):
    """{dataPath, why} of interface "in", once it is WANTED."""
    end = time.monotonic() + 20
    while True:
        found = json.loads(r.vtysh("show dsaa correction json") or "{}")
        shown = found.get("interfaces", {}).get("in", {})
        if shown.get("dataPath") == wanted or time.monotonic() > end:
            assert shown.get("dataPath") == wanted, found
            return shown["why"], found
        time.sleep(0.2)


def check(r, reason):
    why, found = data_path(r, "nfqueue")
    assert reason in why, why
    assert found["links"]["sync"]["tunnelPath"] == "socket", found
    r.vtysh("configure terminal", "dsaa", "correction mode kernel")
    why, found = data_path(r, "off")
    assert reason in why, why
    assert reason in r.vtysh("show dsaa correction")


@pytest.fixture
def without_clang():
    yield from started(lambda r: r.run("mount", "--bind", str(built()), "/usr/lib/frr/dsaad", check=True))


@pytest.fixture
def without_btf():
    if not os.path.exists("/sys/kernel/btf/vmlinux"):
        pytest.skip("this kernel has no BTF; every other test shows how it is")
    yield from started(lambda r: r.run("mount", "-t", "tmpfs", "tmpfs", "/sys/kernel/btf", check=True))


def test_built_without_clang(without_clang):
    check(without_clang, "built without the kernel path (clang, bpftool or libbpf missing)")


def test_kernel_without_btf(without_btf):
    check(without_btf, "BTF")
