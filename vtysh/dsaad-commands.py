#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes vtysh's side of dsaad's commands, from the cross-references in the dsaad binary.

usage: dsaad-commands.py XREF.JSON DSAAD_NODES.INC.C OUTPUT.C

XREF.JSON is what FRR's xrelfo makes of the binary. The commands that vtysh must act on itself (they enter a node) are written by hand
in DSAAD_NODES.INC.C; each must be word for word one of the daemon's, and every one that the daemon calls so (FRR 10 tells) must be
there, or the build ends.
"""

import json
import re
import sys


def fail(sentence):
    sys.exit("dsaad-commands: " + sentence)


def normal(command):
    """The command as it is matched: without variable names and with single blanks."""
    return " ".join(re.sub(r"\$[A-Za-z_][A-Za-z0-9_]*", "", command).split())


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def handwritten(path):
    """The commands of the hand-written part, less exit and quit, which every node has."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    commands = re.findall(r'^DEFUNSH\(VTYSH_DSAAD,\s*\w+,\s*\w+,\s*"([^"]*)"', text, flags=re.M)
    return {normal(c) for c in commands} - {"exit", "quit"}


def dsaad_commands(xref):
    """(name, specification) of each command that is defined in dsaad's own sources."""
    for name, origins in sorted(xref["cli"].items()):
        for spec in origins.values():
            if "dsaa" in spec["defun"]["file"].rsplit("/", 1)[-1]:
                yield name, spec


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        xref = json.load(f)
    by_hand = handwritten(sys.argv[2])
    seen = set()
    definitions = []
    installs = []
    for name, spec in dsaad_commands(xref):
        command = normal(spec["string"])
        attributes = spec.get("attrs", [])
        if command in by_hand:
            seen.add(command)
            continue
        if "nosh" in attributes:
            fail('"%s" enters a node: write it into dsaad_nodes.inc.c' % command)
        macro = "DEFSH_HIDDEN" if "hidden" in attributes else "DEFSH"
        definitions.append(
            "%s(VTYSH_DSAAD, %s_vtysh, %s,\n\t%s)" % (macro, name, quoted(spec["string"]), quoted(spec["doc"]))
        )
        for node in spec.get("nodes", []):
            installs.append("\tinstall_element((enum node_type)%d, &%s_vtysh);" % (node["node"], name))
    if by_hand - seen:
        fail("dsaad has no command %s" % ", ".join('"%s"' % c for c in sorted(by_hand - seen)))
    if not definitions:
        fail("the dsaad binary has no commands of its own")

    with open(sys.argv[3], "w", encoding="utf-8") as f:
        f.write("/* Made by dsaad-commands.py from the dsaad binary. */\n")
        f.write('#include <zebra.h>\n\n#include "command.h"\n#include "vtysh/vtysh.h"\n\n')
        f.write("void vtysh_dsaad_install_commands(void);\n\n")
        f.write("\n\n".join(definitions))
        f.write("\n\nvoid vtysh_dsaad_install_commands(void)\n{\n%s\n}\n" % "\n".join(installs))


if __name__ == "__main__":
    main()
