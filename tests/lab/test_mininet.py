# SPDX-License-Identifier: GPL-2.0-or-later
"""
The lab in Mininet, driven by a script at its prompt: it comes up, carries traffic, scenarios are played, a link and a site are cut;
nothing is left behind. All scenarios: check_scenarios.py.
"""

import os
import re
import secrets
import subprocess

import pytest

from lab.control import STATE_ROOT

pytest.importorskip("mininet", reason="Debian's package mininet is not installed")

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.path.join(TOP, "lab/mininet/sites.py")
# Limits of the host that Mininet would raise.
LIMITS = ["/proc/sys/net/core/wmem_max", "/proc/sys/net/core/rmem_max", "/proc/sys/fs/file-max", "/proc/sys/kernel/pty/max"]
PING = "client ping -n -q -c 3 -i 0.2 -W 2 10.9.1.10"
SCRIPT = """\
site1 vtysh -c "show dsaa"
{ping}
scenario nowhere
scenario split-brain
scenario long-distance
path return 2
{ping}
link isp2 client down
link isp1 out1 down
isp1 ip -br link show dev out1
nodes
cut site1
client sleep 1
{ping}
cut nowhere
delay 10
"""


def host():
    """What must be as before: interfaces, limits, and the hook for firewall rules of the host."""
    links = subprocess.run(["ip", "-br", "link"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return re.findall(r"^\S+", links, re.M), [open(p, encoding="ascii").read() for p in LIMITS]


def named(name):
    """Pids of processes whose command line or folder has the lab's name."""
    found = []
    for p in os.listdir("/proc"):
        if p.isdigit() and int(p) != os.getpid():
            try:
                with open("/proc/%s/mountinfo" % p, encoding="utf-8") as f:
                    if "/dsaa-lab/%s/" % name in f.read():
                        found.append(int(p))
            except OSError:
                continue
    return found


def test_a_script_at_the_prompt(tmp_path):
    name = "mn-" + secrets.token_hex(4)
    script = tmp_path / "script"
    script.write_text(SCRIPT.format(ping=PING))
    before = host()
    command = ["/usr/bin/python3", PROGRAM, "--name", name, "--family", "4", "--script", str(script)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    # Mininet gives its nodes a terminal, and iproute2 of Debian 13 is coloured there
    said = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    assert done.returncode == 0, said
    assert "Peer 2 (lyon): up" in said, said
    assert "There is no scenario 'nowhere'" in said, said
    assert "== split-brain: passed" in said, said
    assert "== long-distance: not played. This kernel has no netem" in said or "== long-distance: passed" in said, said
    assert "Return traffic goes through site 2." in said and "site1 is cut." in said, said
    assert re.findall(r"(\d+) received", said) == ["3", "3", "3"], said
    assert re.search(r"^out1@\S+ +DOWN ", said, re.M), said
    assert "'nowhere' is neither a node" in said, said
    assert "no netem" in said or "10 ms later" in said, said
    assert host() == before
    assert not os.path.exists(os.path.join(STATE_ROOT, name))
    assert not named(name)
