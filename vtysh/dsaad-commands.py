#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes vtysh's side of dsaad's commands, from the cross-references in the dsaad binary.

usage: dsaad-commands.py XREF.JSON DSAAD_NODES.INC.C OUTPUT.C OUTPUT.H

XREF.JSON is what FRR's xrelfo makes of the binary. The commands that vtysh must act on itself, because they enter a node, are written
by hand in DSAAD_NODES.INC.C, where NAME_STRING and NAME_DOC stand for the words and the help of dsaad's command NAME; OUTPUT.H defines
these. All others go into OUTPUT.C whole. A command that dsaad says enters a node (FRR 10 tells) and is not written by hand ends the
build, and so does one written by hand that dsaad does not have. Files are only written when their text changes.
"""

import json
import os
import re
import sys

# Commands that vtysh has itself, and with which it asks every daemon.
VTYSH_HAS = {"show debugging"}


def fail(sentence):
    sys.exit("dsaad-commands: " + sentence)


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def handwritten(path):
    """The names of dsaad's commands that the hand-written part defines; its exit and quit are FRR's own."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    literal = set(re.findall(r'^DEFUNSH\([^"{]*"([^"]*)"', text, flags=re.M)) - {"exit", "quit"}
    if literal:
        fail("say NAME_STRING and NAME_DOC in dsaad_nodes.inc.c instead of %s" % ", ".join(sorted(literal)))
    return set(re.findall(r"\b(\w+)_STRING\b", text))


def dsaad_commands(xref):
    """(name, specification) of each command that is defined in dsaad's own sources."""
    for name, origins in sorted(xref["cli"].items()):
        for spec in origins.values():
            if "dsaa" in spec["defun"]["file"].rsplit("/", 1)[-1]:
                yield name, spec


def write_if_changed(path, text):
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            if f.read() == text:
                return
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def entry_macros(name, spec):
    return "#define %s_STRING %s\n#define %s_DOC %s\n" % (name, quoted(spec["string"]), name, quoted(spec["doc"]))


def definition(name, spec):
    macro = "DEFSH_HIDDEN" if "hidden" in spec.get("attrs", []) else "DEFSH"
    return "%s(VTYSH_DSAAD, %s_vtysh, %s,\n\t%s)\n" % (macro, name, quoted(spec["string"]), quoted(spec["doc"]))


def main():
    xref_path, nodes_path, source_path, header_path = sys.argv[1:]
    with open(xref_path, encoding="utf-8") as f:
        xref = json.load(f)
    by_hand = handwritten(nodes_path)
    entries, definitions, installs = {}, [], []
    for name, spec in dsaad_commands(xref):
        if name in by_hand:
            entries[name] = entry_macros(name, spec)
            continue
        if spec["string"] in VTYSH_HAS:
            continue
        if "nosh" in spec.get("attrs", []):
            fail('"%s" (%s) enters a node: write it into dsaad_nodes.inc.c' % (spec["string"], name))
        definitions.append(definition(name, spec))
        for node in spec.get("nodes", []):
            installs.append("\tinstall_element((enum node_type)%d, &%s_vtysh);\n" % (node["node"], name))
    missing = sorted(by_hand - set(entries))
    if missing:
        fail("dsaad has no command %s" % ", ".join(missing))
    if not definitions:
        fail("the dsaad binary has no commands of its own")

    head = "/* Made by dsaad-commands.py from the dsaad binary. */\n"
    write_if_changed(header_path, head + "".join(entries.values()))
    write_if_changed(
        source_path,
        head
        + '#include <zebra.h>\n\n#include "command.h"\n#include "vtysh/vtysh.h"\n\n'
        + "void vtysh_dsaad_install_commands(void);\n\n"
        + "\n".join(definitions)
        + "\nvoid vtysh_dsaad_install_commands(void)\n{\n"
        + "".join(installs)
        + "}\n",
    )


if __name__ == "__main__":
    main()
