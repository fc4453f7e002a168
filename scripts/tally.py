#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Counts what the parts of a check passed, failed and skipped; says what failed or was skipped and where to read on.

usage: tally.py RESULTS BUILD-FOLDER LOGS

RESULTS holds NAME.rc (exit code) of each part that ran, and NAME.xml (junit) where pytest ran it. The tests of "make check" leave
.trs files and logs in the build folder. A program counts as one test, however many checks it makes; what of it was skipped, by its
closing line "N passed, N failed, N skipped", is told and counted apart.
"""

import pathlib
import re
import sys
import xml.etree.ElementTree

LINE = re.compile(r"^(?:\w+: *)?(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.M)
LONGEST = 1500  # characters of a reason


class Tally:
    def __init__(self, logs):
        self.logs = logs
        self.passed = self.failed = self.skipped = 0

    def add_passed(self, count=1):
        self.passed += count

    def add_failed(self, what, log, why=""):
        self.failed += 1
        print("FAILED   %s: %ssee %s" % (what, why and why + "; ", log))

    def add_skipped(self, what, reason, count=1):
        self.skipped += count
        print("skipped  %s: %s" % (what, " ".join(reason.split()) or "no reason given"))


def skip_reason(text):
    """The line of a test's output that tells why it, or a part of it, was skipped."""
    lines = [l for l in text.splitlines() if re.search(r"skip", l, re.I) and not LINE.match(l)]
    return lines[-1].strip() if lines else ""


def first_line(text):
    """What a failed test says in short."""
    line = text.split("\n", 1)[0].strip()
    return line if len(line) <= LONGEST else line[:LONGEST] + "..."


def count_program(tally, trs):
    """One program of "make check": by its own closing line if it has one, and by automake's verdict."""
    log = trs.with_suffix(".log")
    name = log.stem
    verdict = re.search(r"^:test-result: (\w+)", trs.read_text(), re.M)
    verdict = verdict.group(1) if verdict else "ERROR"
    text = log.read_text(errors="replace")
    counts = LINE.findall(text)
    if verdict == "SKIP":
        tally.add_skipped(name, skip_reason(text))
        return
    passed, failed, skipped = (int(n or 0) for n in counts[-1]) if counts else (0, 0, 0)
    if failed or verdict != "PASS":
        tally.add_failed("%s (%d of %d checks)" % (name, failed, passed + failed) if counts else name, log)
    else:
        tally.add_passed()
    if skipped:
        tally.add_skipped(name, skip_reason(text), skipped)


def count_pytest(tally, part, path):
    """The cases of one pytest run."""
    log = tally.logs / (part + ".log")
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        name = "%s: %s.%s" % (part, case.get("classname", ""), case.get("name", ""))
        skipped = case.find("skipped")
        wrong = [e for e in (case.find("failure"), case.find("error")) if e is not None]
        if wrong:
            tally.add_failed(name, log, first_line(wrong[0].get("message", "")))
        elif skipped is not None:
            tally.add_skipped(name, skipped.get("message", ""))
        else:
            tally.add_passed()


def count_part(tally, rc, build):
    part = rc.stem
    code = int(rc.read_text())
    before = tally.failed
    if part == "unit":
        for trs in sorted(build.rglob("*.trs")):
            count_program(tally, trs)
    elif rc.with_suffix(".xml").exists():
        count_pytest(tally, part, rc.with_suffix(".xml"))
    elif code == 0:
        tally.add_passed()
    # Some parts can fail without any test of theirs failing: a build error, a crash of the runner. Exit code 5 of pytest: no tests.
    if code != 0 and tally.failed == before:
        tally.add_failed("%s (exit code %d)" % (part, code), tally.logs / (part + ".log"))


def main():
    results, build, logs = (pathlib.Path(p) for p in sys.argv[1:])
    tally = Tally(logs)
    for rc in sorted(results.glob("*.rc"), key=lambda p: p.stat().st_mtime):
        count_part(tally, rc, build)
    print("%d passed, %d failed, %d skipped" % (tally.passed, tally.failed, tally.skipped))
    return 1 if tally.failed or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main())
