#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Copies FRR's vtysh and teaches the copy about dsaad.

usage: patch-vtysh.py FRR-SOURCE/vtysh VTYSH_DAEMONS.H OUTPUT-FOLDER

vtysh compiles in the daemons it talks to, so a daemon from outside FRR's tree needs a vtysh of its own. The edit is a handful of
insertions, each at an anchor that FRR 8.4 to 10.x share; an anchor that is not found exactly once ends the build with its name.
Files are only written when their text changes, so that an unchanged vtysh is not compiled again.
"""

import os
import re
import sys

# A bit that no FRR daemon uses, well above theirs.
FLAG = "0x40000000"


def replace_once(text, pattern, replacement, anchor):
    """Replaces the one place where PATTERN matches; ends the program when there is not exactly one."""
    text, count = re.subn(pattern, replacement, text, flags=re.M | re.S)
    if count != 1:
        sys.exit("patch-vtysh: anchor found %d times instead of once: %s" % (count, anchor))
    return text


def patch_header(text):
    """A flag bit for dsaad, and dsaad among the daemons that commands for all go to."""
    text = replace_once(text, r"^(#define VTYSH_WAS_ACTIVE\b)", r"#define VTYSH_DSAAD %s\n\1" % FLAG, "VTYSH_WAS_ACTIVE")
    text = replace_once(text, r"^(#define\s+VTYSH_ALL\s+(?:\\\n\s*)?)", r"\1VTYSH_DSAAD | ", "VTYSH_ALL")
    # FRR 10 tells the size of the client table in the header.
    return re.sub(r"vtysh_client\[(\d+)\]", lambda m: "vtysh_client[%d]" % (int(m.group(1)) + 1), text)


def patch_shell(text):
    """dsaad in the table of clients; its nodes and commands after all others."""
    text = replace_once(
        text,
        r"^(struct vtysh_client vtysh_client\[\] = \{.*?)(\n\};)",
        r'\1\n\t{.name = "dsaad", .flag = VTYSH_DSAAD},\2',
        "table of clients",
    )
    text = replace_once(
        text,
        r"^(void vtysh_init_vty\(void\)\n\{)(.*?)^\}",
        r'#include "vtysh/dsaad_nodes.inc.c"\n\n\1\2\tvtysh_dsaad_init();\n}',
        "vtysh_init_vty",
    )
    return replace_once(
        text, r'^#include "(?:lib|vtysh)/vtysh_daemons\.h"$', '#include "vtysh/vtysh_daemons.h"', "vtysh_daemons.h"
    )


def patch_config(text):
    """A "dsaa" line of a daemon's configuration opens a block; what is indented below it stays there, in its order."""
    text = replace_once(
        text,
        r'^(\t\telse if \(strncmp\(line, "bfd", strlen\("bfd"\)\) == 0\))',
        r'\t\telse if (strmatch(line, "dsaa"))\n\t\t\tconfig = config_get(DSAA_NODE, line);\n\1',
        "block of bfd in vtysh_config_parse_line",
    )
    text = keep_nested_lines(text)
    return replace_once(
        text, r'^#include "vtysh/vtysh\.h"$', '#include "vtysh/vtysh.h"\n#include "dsaad/dsaa_nodes.h"', "include of vtysh.h"
    )


def keep_nested_lines(text):
    """Indented lines of other daemons have rules by how they begin ("vrrp", "key"); those of dsaa are all kept as they come."""
    return replace_once(
        text,
        r"^(\t\tif \(config\) \{\n)(\t\t\tif \(config->index == KEYCHAIN_NODE)",
        r"\1\t\t\tif (config->index == DSAA_NODE) {\n"
        r"\t\t\t\tconfig_add_line(config->line, line);\n"
        r"\t\t\t\tbreak;\n"
        r"\t\t\t}\n\2",
        "indented lines in vtysh_config_parse_line",
    )


def patch_daemons(text):
    """dsaad in the list of daemon names ("show log-filter dsaad", "log-filter ...")."""
    text = replace_once(text, r'^(#define DAEMONS_LIST "<.*)>"$', r'\1|dsaad>"', "DAEMONS_LIST")
    return replace_once(text, r'^(#define DAEMONS_STR ".*)"$', r'\1For the dsaad daemon\\n"', "DAEMONS_STR")


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def write_if_changed(path, text):
    if not os.path.exists(path) or read(path) != text:
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)


def main():
    source, daemons, output = sys.argv[1:]
    edits = {
        "vtysh.h": patch_header,
        "vtysh.c": patch_shell,
        "vtysh_config.c": patch_config,
        "vtysh_main.c": str,
        "vtysh_user.c": str,
        "vtysh_user.h": str,
    }
    os.makedirs(output, exist_ok=True)
    for name, edit in edits.items():
        write_if_changed(os.path.join(output, name), edit(read(os.path.join(source, name))))
    write_if_changed(os.path.join(output, "vtysh_daemons.h"), patch_daemons(read(daemons)))


if __name__ == "__main__":
    main()
