#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Makes the captured screens of the manual anew, in this folder, from the daemon that is built: needs root and ./quickstart setup.

usage: capture.py [mininet] [scenario] [shows] [top] [dashboard]     all of them without a word; also "make -C doc captures"

  mininet.txt                     mininet.script, typed at Mininet's prompt
  scenario-list.txt, scenario.txt ./quickstart mininet --scenario list, and site-death
  show-NAME.txt                   the show commands of site 2, where the answers of what site 1 owns arrive
  dsaa-top.txt, dsaa-top-dead.txt dsaa-top at site 2, while site 1 owns what CLIENTS clients do; before and after site 1's death
  dashboard.svg                   the dashboard while the same clients are at work, WATCHED_S seconds before and after site 1's death
"""

import contextlib
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, TOP)
sys.dont_write_bytecode = True

import dashboard as picture  # noqa: E402
from lab import topology as topo  # noqa: E402
from lab.control import Lab, LabError  # noqa: E402
from lab.stage import TRAFFIC, Connection, Download, Stage  # noqa: E402

PYTHON = "/usr/bin/python3"
NAME = "capture"
CLIENTS, PAUSE_S = 30, 0.025
WATCHED_S = 90
# dsaa-top's own functions: --once has no rates.
SCREEN = """
import importlib.machinery, importlib.util, time
loader = importlib.machinery.SourceFileLoader("top", %r)
top = importlib.util.module_from_spec(importlib.util.spec_from_loader("top", loader))
loader.exec_module(top)
before = top.ask("vtysh")
time.sleep(1)
print("\\n".join(top.screen(top.ask("vtysh"), before, 24, 80)))
"""
# Short connections, one after the other, each of a port of its own.
SHORT = """
import subprocess
while True:
    subprocess.run(%r, stdout=subprocess.DEVNULL)
"""


def keep(name, text):
    with open(os.path.join(HERE, name), "w", encoding="utf-8") as f:
        f.write("\n".join(line.rstrip() for line in text.strip("\n").splitlines()) + "\n")
    print("%s: %d lines" % (name, len(text.splitlines())), flush=True)


def sites(*words):
    """What lab/mininet/sites.py printed."""
    command = [PYTHON, os.path.join(TOP, "lab/mininet/sites.py"), "--name", NAME] + list(words)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    if done.returncode != 0:
        sys.exit("capture: %s" % done.stdout)
    return done.stdout


def from_line(text, pattern):
    """TEXT without what stands before the line that PATTERN is found in."""
    return text[re.search("^.*" + pattern, text, re.M).start() :]


def mininet():
    said = sites("--script", os.path.join(HERE, "mininet.script"))
    keep("mininet.txt", from_line(said, "sites are up") + "mininet> exit\n")


def scenario():
    keep("scenario-list.txt", sites("--scenario", "list"))
    keep("scenario.txt", from_line(sites("--scenario", "site-death"), "^== site-death"))


# What is typed, by the file's name. PORT is that of a connection which site 1 owns.
SHOWS = {
    "dsaa": "show dsaa",
    "site": "show dsaa site",
    "uips": "show dsaa uips",
    "sync": "show dsaa sync",
    "flow": "show dsaa flow owner 1",
    "correction": "show dsaa correction",
    "advertise": "show dsaa advertise",
    "explain": "show dsaa explain tcp 203.0.113.10 PORT 10.9.1.10 5002",
    "events": "show dsaa events",
}


def shows():
    lab = Lab(NAME)
    lab.start(family="4")
    stage = Stage(lab, print)
    try:
        lab.path("return", 2)
        held = [Connection(stage, 4) for _ in range(2)]
        Download(stage, 4, rate=0).whole()
        lab.vtysh("site1", "dsaa audit")
        time.sleep(2)
        for name, command in SHOWS.items():
            command = command.replace("PORT", str(held[0].port))
            keep("show-%s.txt" % name, "site2# %s\n%s" % (command, lab.vtysh("site2", command)))
    finally:
        stage.end()
        lab.stop()


def screen(lab):
    return lab.run("site2", [PYTHON, "-c", SCREEN % os.path.join(TOP, "telemetry/dsaa-top")]).stdout


@contextlib.contextmanager
def clients_at_work():
    """The lab, with return traffic through site 2, and programs whose connections site 1 owns."""
    lab = Lab(NAME)
    programs = []
    lab.start(family="4")
    try:
        programs.append(lab.popen("server", TRAFFIC + ["serve", topo.SERVER[4]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        programs[0].stdout.readline()
        lab.path("return", 2)
        ends = [topo.CLIENT[4], topo.SERVER[4]]
        for _ in range(CLIENTS):
            words = TRAFFIC + ["udp"] + ends + ["100000", "200", str(PAUSE_S), "0"]
            programs.append(lab.popen("client", words, stdout=subprocess.DEVNULL))
        programs.append(lab.popen("client", [PYTHON, "-c", SHORT % (TRAFFIC + ["fetch"] + ends + ["1000", "0"])]))
        yield lab
    finally:
        for p in programs:
            p.kill()
            p.wait()
        lab.stop()


def top():
    with clients_at_work() as lab:
        time.sleep(20)
        keep("dsaa-top.txt", screen(lab))
        lab.cut("site1")
        time.sleep(3)
        keep("dsaa-top-dead.txt", screen(lab))


def watch(lab, samples, sites_alive):
    """Asks the exporters for WATCHED_S seconds."""
    end = time.monotonic() + WATCHED_S
    while time.monotonic() < end:
        values = {}
        for site in sites_alive:
            said = lab.run(site, [PYTHON, os.path.join(TOP, "telemetry/dsaa-exporter")]).stdout
            values.update(picture.read(said, site))
        samples.append((time.monotonic(), values))
        time.sleep(2)


def dashboard():
    samples = []
    with clients_at_work() as lab:
        watch(lab, samples, ("site1", "site2"))
        lab.cut("site1")
        watch(lab, samples, ("site2",))
    keep("dashboard.svg", picture.draw(os.path.join(TOP, "telemetry/grafana/dsaa.json"), samples))


def main():
    all_of_them = {"mininet": mininet, "scenario": scenario, "shows": shows, "top": top, "dashboard": dashboard}
    wanted = sys.argv[1:] or list(all_of_them)
    if not set(wanted) <= set(all_of_them):
        sys.exit(__doc__)
    try:
        for word in wanted:
            all_of_them[word]()
    except LabError as e:
        sys.exit("capture: %s" % e)


if __name__ == "__main__":
    main()
