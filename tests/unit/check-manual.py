#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
The manual against the code: every reason with its meaning and remedy, every numbered error, every command and every leaf of
the YANG configuration, every metric and panel. What is missing is named.

usage: check-manual.py [--write]     --write makes doc/user/reasons.rst and metrics.rst anew from the code

Prints "N passed, N failed" last.
"""

import importlib.machinery
import importlib.util
import json
import os
import re
import sys

sys.dont_write_bytecode = True

TOP = os.environ.get("top_srcdir") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
REASONS = "doc/user/reasons.rst"
METRICS = "doc/user/metrics.rst"
METRICS_HEAD = """.. SPDX-License-Identifier: GPL-2.0-or-later
.. Made by tests/unit/check-manual.py --write from telemetry/dsaa-exporter; do not edit.

*******
Metrics
*******

Every metric that ``dsaa-exporter`` tells, with its labels and its help text. Beside those of the table: ``dsaa_up`` (gauge), 1 while dsaad
answers, and ``dsaa_peer_state{site, state}`` (gauge), 1 for the state that the peer is in and 0 for all others.
"""
GROUPS = ((1, 31, "Why a session is not up"), (32, 63, "Why a connection was not applied or not sent"),
          (64, 127, "What happened to a packet"))
HEAD = """.. SPDX-License-Identifier: GPL-2.0-or-later
.. Made by tests/unit/check-manual.py --write from core/dsaa_reason.h and dsaad/dsaa_errors.c; do not edit.

*******
Reasons
*******

Every reason that commands, JSON and logs name, and every numbered error of the log. There are no others.
"""
# Leaves that stand in the manual as part of another word, not under their own name.
WORDS_OF_LEAF = {"primary-site": "primary-up", "excluded-protocol": "sync protocol", "excluded-prefix": "no sync prefix",
                 "protocol-delay": "sync delay"}

passed = failed = 0


def check(name, good):
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
        print("FAILED: " + name)


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as f:
        return f.read()


def strings(text):
    """The C string literals of TEXT, joined."""
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', text)).replace('\\"', '"')


def reasons():
    """(number, name, meaning, remedy) of the one list."""
    found = re.findall(r'X\((\d+), \w+, "([^"]+)",((?:\s*\\?\s*"[^"]*",?)+)\s*\)', read("core/dsaa_reason.h"))
    for number, name, rest in found:
        parts = re.findall(r'"((?:[^"\\]|\\.)*)"', rest)
        assert len(parts) == 2, (name, parts)
        yield int(number), name, parts[0], parts[1]


def errors():
    """(code, title, description, suggestion) of the numbered errors."""
    for entry in re.findall(r"\{\s*\.code = (EC_\w+),(.*?)\n\t\}", read("dsaad/dsaa_errors.c"), re.S):
        fields = [strings(re.search(r"\.%s = (.*?),(?:\n|$)" % f, entry[1], re.S).group(1)) for f in ("title", "description", "suggestion")]
        yield (entry[0], *fields)


def reasons_rst():
    out = [HEAD]
    for low, high, title in GROUPS:
        out.append("\n%s\n%s\n" % (title, "=" * len(title)))
        for number, name, meaning, remedy in reasons():
            if low <= number <= high:
                out.append("\n``%s`` (%d)\n   %s.%s\n" % (name, number, meaning[0].upper() + meaning[1:],
                           "\n   *What to do:* %s." % (remedy or "nothing; it is told so that you know")))
    out.append("\nNumbered errors of the log\n==========================\n")
    for code, title, description, suggestion in errors():
        out.append("\n``%s``: %s\n   %s\n   *What to do:* %s\n" % (code, title, description, suggestion))
    return "".join(out)


def metrics():
    """(metric, type, labels, help) of the exporter."""
    spec = importlib.util.spec_from_loader("exporter", importlib.machinery.SourceFileLoader("exporter", os.path.join(TOP, "telemetry/dsaa-exporter")))
    exporter = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(exporter)
    for _, _, labels, name, kind, text in exporter.METRICS:
        yield name, kind, labels, text


def metrics_rst():
    out = [METRICS_HEAD]
    for name, kind, labels, text in metrics():
        words = "".join("{%s}" % ", ".join(labels)) if labels else ""
        out.append("\n``%s%s`` (%s)\n   %s.\n" % (name, words, kind, text))
    return "".join(out)


def commands():
    """(name, the words that open it) of each command but the negative forms."""
    for path in sorted(os.listdir(os.path.join(TOP, "dsaad"))):
        if not path.endswith(".c"):
            continue
        for name, rest in re.findall(r"\nDEFPY\w*\((\w+),\s*\w+,\s*(.*?)\)\n\{", read("dsaad/" + path), re.S):
            spec = re.match(r'\s*"([^"]*)"', rest)
            if not spec:
                continue
            words = []
            for w in re.sub(r"\[no(\$\w+)?\] ?", "", spec.group(1)).split():
                if not re.fullmatch(r"[a-z][a-z-]*", w):
                    break
                words.append(w)
            if words and words[0] != "no":
                yield name, " ".join(words)


def leaves():
    """The names of the configuration's leaves and leaf-lists."""
    text = read("yang/frr-dsaad.yang").split("container state {")[0]
    return sorted(set(re.findall(r"^\s*leaf(?:-list)? ([a-z-]+) \{", text, re.M)))


if sys.argv[1:] == ["--write"]:
    with open(os.path.join(TOP, REASONS), "w", encoding="utf-8") as out_file:
        out_file.write(reasons_rst())
    with open(os.path.join(TOP, METRICS), "w", encoding="utf-8") as out_file:
        out_file.write(metrics_rst())
    sys.exit(0)

all_reasons = list(reasons())
numbers = re.findall(r"^\s*X\((\d+), ", read("core/dsaa_reason.h"), re.M)
check("every line of core/dsaa_reason.h is read here", [str(r[0]) for r in all_reasons] == numbers)
check("%s is that of the code: run tests/unit/check-manual.py --write" % REASONS, read(REASONS) == reasons_rst())
check("%s is that of the exporter: run tests/unit/check-manual.py --write" % METRICS, read(METRICS) == metrics_rst())
check("each metric has a help of its own", len({m[3] for m in metrics()}) == len(list(metrics())))
for panel in json.loads(read("telemetry/grafana/dsaa.json"))["panels"]:
    check("doc/user/telemetry.rst tells the panel \"%s\"" % panel["title"], "   * - %s\n" % panel["title"] in read("doc/user/telemetry.rst"))
    for target in panel.get("targets", []):
        check("doc/user/telemetry.rst has the query %s" % target["expr"], "``%s``" % target["expr"] in read("doc/user/telemetry.rst"))
        known = {m[0] for m in metrics()} | {"dsaa_up", "dsaa_peer_state"}
        asked = set(re.findall(r"dsaa_\w+", target["expr"]))
        check("the query %s asks for what there is" % target["expr"], asked <= known)
for page in sorted(os.listdir(os.path.join(TOP, "doc/user"))):
    if page.endswith(".rst"):
        check("doc/index.rst, doc/conf.py and doc/subdir.am name %s" % page, all(word in read(f) for f, word in (("doc/index.rst", "user/" + page[:-4]), ("doc/conf.py", '"user/%s"' % page[:-4]), ("doc/subdir.am", "doc/user/" + page))))
        for target in re.findall(r"literalinclude:: (\S+)|:diff: (\S+)", read("doc/user/" + page)):
            path = os.path.normpath("doc/user/" + (target[0] or target[1]))
            check("%s: %s is there" % (page, path), os.path.exists(os.path.join(TOP, path)))
for target in sorted(set(re.findall(r"``make (bench-\w+)", "".join(read("doc/user/" + f) for f in os.listdir(os.path.join(TOP, "doc/user")) if f.endswith(".rst"))))):
    makes = read("tests/bench/subdir.am") + read("tests/edge/subdir.am")
    check("make %s is there, as the manual says" % target, "\n%s:" % target in makes)
code = "".join(read("dsaad/" + f) for f in os.listdir(os.path.join(TOP, "dsaad")) if f.endswith(".c") and f != "dsaa_errors.c")
known = re.findall(r"^\t(EC_DSAA_\w+)", read("dsaad/dsaa_errors.h"), re.M)
check("each numbered error is described", sorted(known) == sorted(e[0] for e in errors()))
for number in known:
    check("%s is logged" % number, re.search(r"\b%s\b" % number, code))
for name in re.findall(r"^  notification ([a-z-]+) \{", read("yang/frr-dsaad.yang"), re.M):
    check("doc/user/index.rst tells the notification %s" % name, "``%s``" % name in read("doc/user/index.rst"))
manual = "\n".join(read("doc/user/" + f) for f in sorted(os.listdir(os.path.join(TOP, "doc/user"))) if f.endswith(".rst"))
# A command may be told with a choice in it: sync|conntrack|correction.
flat = re.sub(r"\s+", " ", manual)
for command, opening in commands():
    check("doc/user tells the command \"%s\" (%s)" % (opening, command), opening in flat)
for leaf in leaves():
    check("doc/user tells the YANG leaf %s" % leaf, leaf in flat or WORDS_OF_LEAF.get(leaf, leaf) in flat)

print("%d passed, %d failed" % (passed, failed))
sys.exit(failed != 0)
