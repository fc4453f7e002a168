#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
dsaa-exporter and dsaa-top on JSON that a lab's site answered: the text against the grammar of Prometheus' format, each number of the
JSON against the metrics, and dsaa-top on a terminal of 80 by 24.

Prints "N passed, N failed" last.
"""

import fcntl
import importlib.machinery
import importlib.util
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
TELEMETRY = os.path.join(HERE, "../../telemetry")
VTYSH = os.path.join(HERE, "vtysh")
# Numbers of the JSON that are no measurement: what is configured, or known from elsewhere.
NO_METRIC = {"main:clusterId", "main:localSite", "main:peers.sinceMsec", "correction:port", "correction:policyQueue", "correction:queues",
             "correction:hold.msec"}

passed = failed = 0


def check(name, good, detail=""):
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
        print("FAILED: %s %s" % (name, detail))


def run(tool, *args, vtysh=VTYSH):
    return subprocess.run([sys.executable, os.path.join(TELEMETRY, tool), "--vtysh", vtysh, *args], capture_output=True, text=True,
                          timeout=30, check=True).stdout


def parse(text):
    """{(metric, labels): value} of Prometheus text; every line that is not of its grammar is a failure."""
    found, kinds, helps, done, last = {}, {}, set(), set(), None
    label = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\n"])*"'
    line_form = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(%s(?:,%s)*)\})? (-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)" % (label, label))
    check("the text ends with a newline", text.endswith("\n"))
    for line in text.splitlines():
        comment = re.fullmatch(r"# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)", line)
        if comment:
            word, metric, rest = comment.groups()
            check("%s of %s comes once" % (word, metric), metric not in (helps if word == "HELP" else kinds))
            if word == "HELP":
                helps.add(metric)
            else:
                check("type of %s" % metric, rest in ("counter", "gauge"), rest)
                kinds[metric] = rest
            continue
        form = line_form.fullmatch(line)
        check("a line of the format", form, line)
        if not form:
            continue
        metric, labels, value = form.groups()
        check("%s has type and help before it" % metric, metric in kinds and metric in helps)
        check("counters end with _total, gauges do not: %s" % metric, (kinds.get(metric) == "counter") == metric.endswith("_total"))
        check("lines of %s stand together" % metric, metric == last or metric not in done)
        done.add(metric)
        last = metric
        key = (metric, labels or "")
        check("%s %s comes once" % key, key not in found)
        found[key] = float(value)
    return found


def numbers(tree, path=()):
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from numbers(value, path + (key,))
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield path + (key,), value


def load_exporter():
    loader = importlib.machinery.SourceFileLoader("exporter", os.path.join(TELEMETRY, "dsaa-exporter"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("exporter", loader))
    loader.exec_module(module)
    return module


def test_exporter():
    exporter = load_exporter()
    found = parse(run("dsaa-exporter"))
    check("dsaa_up is 1", found.get(("dsaa_up", "")) == 1)
    check("the peer's state", found.get(("dsaa_peer_state", 'site="2",state="up"')) == 1)
    for name in exporter.COMMANDS:
        with open(os.path.join(HERE, "show-%s.json" % name), encoding="utf-8") as f:
            tree = json.load(f)
        for path, value in numbers(tree):
            plain = "%s:%s" % (name, ".".join(p for p in path if not re.fullmatch(r"[0-9]+", p)))
            rows = [m for m in exporter.METRICS if m[0] == name and len(m[1].split(".")) == len(path) and
                    all(a in ("*", b) for a, b in zip(m[1].split("."), path))]
            check("%s has a metric" % plain, rows or plain in NO_METRIC)
            for m in rows:
                keys = [b for a, b in zip(m[1].split("."), path) if a == "*"]
                labels = ",".join('%s="%s"' % pair for pair in zip(m[2], keys))
                check("%s{%s} is the number of the JSON" % (m[3], labels), found.get((m[3], labels)) == value)
    dead = parse(run("dsaa-exporter", vtysh="/bin/false"))
    check("a dead daemon is told by dsaa_up alone", dead == {("dsaa_up", ""): 0.0}, dead)
    names = set(re.findall(r"dsaa_[a-z0-9_]+", open(os.path.join(TELEMETRY, "grafana/dsaa.json"), encoding="utf-8").read()))
    known = {m[3] for m in exporter.METRICS} | {"dsaa_up", "dsaa_peer_state"}
    check("the dashboard asks only for metrics that exist", names and names <= known, names - known)


def test_top():
    once = run("dsaa-top", "--once")
    lines = once.splitlines()
    check("a screen fits 80 by 24", len(lines) <= 24 and all(len(l) <= 80 for l in lines))
    # the live screen leaves the last column alone
    check("no column is cut off", any(l.endswith("COR</s") and len(l) < 80 for l in lines), lines)
    check("it names the peer and its state", re.search(r"^2 +lyon +up ", once, re.M))
    check("it says when dsaad does not answer", "does not answer" in run("dsaa-top", "--once", vtysh="/bin/false"))
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        tool = os.path.join(TELEMETRY, "dsaa-top")
        time.sleep(0.3)
        os.execv(sys.executable, [sys.executable, tool, "--vtysh", VTYSH])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    data, end = b"", time.monotonic() + 15
    while b"LAST EVENTS" not in data and time.monotonic() < end and select.select([terminal], [], [], 5)[0]:
        try:
            data += os.read(terminal, 65536)
        except OSError:
            break
    check("it draws on a terminal", b"lyon" in data and b"LAST EVENTS" in data, data[-300:])
    os.write(terminal, b"q")
    end = time.monotonic() + 15
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                os.read(terminal, 65536)
            except OSError:
                pass
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            check("q ends it well", os.waitstatus_to_exitcode(status) == 0)
            return
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    check("q ends it", False)


test_exporter()
test_top()
print("%d passed, %d failed" % (passed, failed))
sys.exit(failed != 0)
