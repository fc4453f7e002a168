#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What clang-format does not see, and what holds for every kind of file: complaints as FILE:LINE: SENTENCE, exit code 1 if any.

usage: check-style.py      in a work tree of git, or in an unpacked source archive
"""

import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
# Columns, a tab being 8: those of .clang-format for C, wider where nobody reads in a terminal of 80.
COLUMNS = {".c": 100, ".h": 100, ".py": 160, ".sh": 160, ".rst": 160}
# Not text, or the words of others, or what a program wrote.
LEFT_OUT = re.compile(r"^tests/fuzz/corpus/|^COPYING$|^build/|^tests/golden/.*\.txt$|\.png$|^doc/(user|images|examples)/.*\.(txt|svg)$")
LICENCE = "SPDX-License-Identifier: GPL-2.0-or-later"
PROGRAMS = (".c", ".h", ".py", ".sh", ".am", ".ac", ".yang")
COMMENT = re.compile(r'"(?:\\.|[^"\\])*"|/\*.*?\*/|(//)', re.S)
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")


def files():
    """The files of the project, relative to its top."""
    git = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", TOP, "ls-files", "-z"], capture_output=True, check=False
    )
    if git.returncode == 0:
        names = git.stdout.decode().split("\0")
    else:
        names = [str(p.relative_to(TOP)) for p in TOP.rglob("*") if p.is_file()]
    return sorted(n for n in names if n and not LEFT_OUT.search(n) and (TOP / n).is_file())


def check_line(suffix, line):
    """The sentences about one line of a file of that kind."""
    if line != line.rstrip():
        yield "blanks at the end"
    width = len(line.expandtabs(8))
    # what is told to somebody is not cut, so that it can be searched for
    if width > COLUMNS.get(suffix, width) and '"' not in line:
        yield "%d columns, at most %d" % (width, COLUMNS[suffix])
    if re.match(r"(<{7}|>{7}) ", line):
        yield "a conflict of a merge"
    if suffix in PROGRAMS and UNFINISHED.search(line):
        yield "something unfinished"


def check_c(text):
    """Comments are /* */; an include stands once."""
    for found in COMMENT.finditer(text):
        if found.group(1):
            yield text.count("\n", 0, found.start()) + 1, "a comment with //"
    seen = set()
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#include"):
            if line in seen:
                yield number, "included twice"
            seen.add(line)


def check(name):
    """The complaints about one file, as (line, sentence)."""
    try:
        text = (TOP / name).read_bytes().decode()
    except UnicodeDecodeError:
        return
    suffix = pathlib.PurePath(name).suffix
    lines = text.splitlines()
    if suffix in PROGRAMS and not any(LICENCE in line for line in lines[:3]):
        yield 1, "no line with " + LICENCE
    if text and not text.endswith("\n"):
        yield len(lines), "no end of line at the end of the file"
    if text.endswith("\n\n"):
        yield len(lines), "empty lines at the end of the file"
    for number, line in enumerate(lines, 1):
        for sentence in check_line(suffix, line):
            yield number, sentence
    if suffix in (".c", ".h"):
        yield from check_c(text)


def main():
    found = 0
    names = files()
    for name in names:
        for number, sentence in check(name):
            print("%s:%d: %s" % (name, number, sentence))
            found += 1
    print("style: %d files, %d findings" % (len(names), found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
