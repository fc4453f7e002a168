#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Copies the installed frr-reload.py and teaches the copy that "dsaa" opens a block, "site N" a block within it, and that the address
of a uips line is that of an interface.

usage: patch-reload.py FRR-RELOAD.PY OUTPUT
"""

import re
import sys

# Indented as the entry it is put before, which differs between FRR versions.
ENTRY = r'\1"dsaa": {"site ": {}},\n'

# A block that goes whole takes its sub-blocks with it: "no site 1" after "no dsaa" would make the block again.
SKIP = """            elif (
                len(running_ctx_keys) > 1
                and running_ctx_keys[0] == "dsaa"
                and (running_ctx_keys[:1], None) in lines_to_del
            ):
                continue

"""

# FRR cuts an IPv6 address with a length down to its network, except in "ipv6 address".
UIPS = """    if line.startswith("uips "):
        words, _, prefix = line.rpartition(" ")
        address, _, length = prefix.partition("/")
        try:
            return "%s %s/%s" % (words, IPv6Address(address), length)
        except ValueError:
            return line

"""


def insert_before(text, pattern, addition, anchor):
    """Puts ADDITION before the one place where PATTERN matches; ends the program when there is not exactly one."""
    text, count = re.subn(pattern, lambda m: m.expand(addition) + m.group(0), text, flags=re.M)
    if count != 1:
        sys.exit("patch-reload: anchor found %d times instead of once: %s" % (count, anchor))
    return text


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        text = f.read()
    text = insert_before(text, r'^( +)"bfd": \{"peer ', ENTRY, "bfd in the table of contexts")
    text = insert_before(
        text, r"^            # same thing for a pseudowire sub-context", SKIP, "sub-contexts of l2vpn in the comparison"
    )
    text = insert_before(text, r'^    norm_line = ""\n', UIPS, "the line in get_normalized_ipv6_line")
    with open(sys.argv[2], "w", encoding="utf-8") as f:
        f.write(text)


if __name__ == "__main__":
    main()
