#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Copies the installed frr-reload.py and teaches the copy that "dsaa" opens a block, and "site N" a block within it.

usage: patch-reload.py FRR-RELOAD.PY OUTPUT
"""

import re
import sys

ENTRY = '            "dsaa": {"site ": {}},\n'


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        text = f.read()
    text, count = re.subn(r'^(            "bfd": \{"peer ")', lambda m: ENTRY + m.group(1), text, flags=re.M)
    if count != 1:
        sys.exit("patch-reload: the entry of bfd in the table of contexts was found %d times instead of once" % count)
    with open(sys.argv[2], "w", encoding="utf-8") as f:
        f.write(text)


if __name__ == "__main__":
    main()
