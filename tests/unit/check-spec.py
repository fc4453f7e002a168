#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares doc/protocol/sync.rst with the code: message types and lengths, attributes, limits, the example,
the steps and rules of ownership. Prints "N passed, N failed"."""

import os
import re
import sys

TOP = os.environ.get("top_srcdir", os.path.join(os.path.dirname(__file__), "..", ".."))


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        return file.read()


SPEC = read("doc/protocol/sync.rst")
WIRE_C = read("core/dsaa_wire.c")
WIRE_H = read("core/dsaa_wire.h")
LIMITS = read("core/dsaa_limits.h")
FLOW_H = read("core/dsaa_flow.h")
RECEIVE_C = read("core/dsaa_receive.c")
OWNER_C = read("core/dsaa_owner.c")
REASONS = dict(re.findall(r'X\(\d+, (\w+), "([\w-]+)"', read("core/dsaa_reason.h")))
RESULTS = []


def check(what, spec, code):
    RESULTS.append(spec == code)
    if spec != code:
        print(f"{what}: the specification says {spec}, the code {code}")


def number(name, *texts):
    """The value of an enum member, simple sums of members included."""
    for text in (WIRE_C, WIRE_H, LIMITS, FLOW_H):
        found = re.search(rf"\b{name} = ([^,/\n]+)", text)
        if found:
            return sum(int(t, 0) if t[0].isdigit() else number(t) for t in found[1].split(" + "))
    raise KeyError(name)


def value(text):
    return int(text) if text.isdigit() else number(text)


def check_messages():
    spec = {m[1]: (int(m[0]), int(m[2]), int(m[3])) for m in re.findall(r"^(\d+) +([A-Z_]+) +(\d+) +(\d+) ", SPEC, re.M)}
    code = {
        name: (number("DSAA_MSG_" + name), value(low), value(high))
        for name, low, high in re.findall(r"\[DSAA_MSG_(\w+)\] = \{ \"\1\",\s+(\w+),\s+(\w+),\s", WIRE_C)
    }
    check("messages", spec, code)


def check_attributes():
    spec = [list(map(str, m)) for m in re.findall(r"^(\d+) +(\d+) +(TCP|SCTP|DCCP) ", SPEC, re.M)]
    code = [
        [str(number(kind)), length, proto]
        for kind, length, proto in re.findall(r"\{ (ATTR_\w+), (\d+), DSAA_PROTO_(\w+), ", WIRE_C)
    ]
    check("attributes", spec, code)
    spec = re.findall(r"^(1[23]\d) +[\d, -]+ (?:helper|sequence|labels|master|zone)\b", SPEC, re.M)
    code = [n for kind, n in re.findall(r"ATTR_(\w+) = (\d+)", WIRE_C) if int(n) >= 128 and kind != "SKIPPABLE"]
    check("attributes of any protocol", spec, code)


def check_numbers():
    def said(pattern):
        found = re.search(pattern, SPEC)
        return int(found[1], 0) if found else None

    check("longest body", said(r"length of the body, at most (\d+)"), number("DSAA_MSG_BODY_MAX"))
    check("records", said(r"count of records, 1 to (\d+)"), number("DSAA_FLOWS_PER_MSG_MAX"))
    check("shortest record", said(r"not counting itself, (\d+) to"), number("RECORD_LEN_MIN"))
    check("longest record", said(r"not counting itself, \d+ to (\d+)"), number("DSAA_RECORD_LEN_MAX") - 2)
    check("sites", said(r"sender, 1 to (\d+)"), number("DSAA_SITES_MAX"))
    check("hello", said(r"The body has (\d+) bytes"), number("HELLO_LEN"))
    version = re.search(r"^Version (\d+)\.(\d+)\.", SPEC, re.M)
    check("major", version[1], re.search(r"DSAA_WIRE_MAJOR (\d+)", WIRE_H)[1])
    check("minor", version[2], re.search(r"DSAA_WIRE_MINOR (\d+)", WIRE_H)[1])


def check_capabilities():
    spec = re.findall(r"^(\d+) +([A-Z]+) +1\.\d+ ", SPEC, re.M)
    code = re.findall(r"DSAA_CAP_(\w+)\s+\(UINT64_C\(1\) << (\d+)\)", WIRE_H)
    check("capabilities", spec, [(bit, name) for name, bit in code])


def check_dissector():
    lua = read("doc/protocol/dsaa.lua")
    spec = {int(m[0]): m[1] for m in re.findall(r"^(\d+) +([A-Z_]+) +\d+ +\d+ ", SPEC, re.M)}
    code = {int(n): name for n, name in re.findall(r"\[(\d+)\] = \"([A-Z_]{3,})\"", lua.split("OPERATIONS")[0])}
    check("messages of the dissector", code, spec)


def check_example():
    text = re.search(r"3\.6 Example.*?::\n\n(.*?)\n\n", SPEC, re.S)[1]
    code = re.search(r"example\[\] = \{(.*?)\}", read("tests/unit/test_wire.c"), re.S)[1]
    check("example", text.split(), [byte[2:] for byte in re.findall(r"0x[0-9a-f]{2}", code)])


def check_ownership():
    """Each rule's reasons are those that the code gives where it names the rule."""
    code = {}
    for line in OWNER_C.splitlines():
        found = re.search(r"DSAA_R_(\w+)\);\s*/\* ([PLRH]\d) \*/", line)
        if found:
            code.setdefault(found[2], set()).add(REASONS[found[1]])
    spec = {}
    for rule, body in re.findall(r"^([PLRH]\d)\n((?:   .*\n)+)", SPEC, re.M):
        spec[rule] = re.findall(r"``([\w-]+)``", body)
    check("rules", sorted(spec), ["H1"] + [f"L{n}" for n in range(1, 10)] + [f"P{n}" for n in range(1, 5)] + [f"R{n}" for n in range(1, 5)])
    for rule, reasons in code.items():
        check(rule, set(spec.get(rule, [])), reasons)
    steps = re.findall(r"^Step (\d)$", SPEC, re.M)
    check("steps", steps, list("01234567"))
    tests = read("tests/unit/test_owner.c") + read("tests/unit/test_engine_sites.c")
    for what, text in (("code", OWNER_C + RECEIVE_C), ("tests", tests)):
        check("steps in " + what, [s for s in steps if re.search(rf"step {s}\b", text)], steps)
    numbers = re.findall(r"^Rule (\d)$", SPEC, re.M)
    check("rules of ownership", numbers, list("123456"))
    for what, text in (("code", OWNER_C), ("tests", read("tests/unit/test_rules.c"))):
        check("rules in " + what, [n for n in numbers if re.search(rf"rule[_ ]{n}(?!\d)", text)], numbers)
    for reason in re.findall(r"\(``([\w-]+)``\)", SPEC):
        check("reason " + reason, reason in REASONS.values(), True)


check_messages()
check_attributes()
check_numbers()
check_capabilities()
check_dissector()
check_example()
check_ownership()
print(f"{sum(RESULTS)} passed, {len(RESULTS) - sum(RESULTS)} failed")
sys.exit(0 if all(RESULTS) else 1)
