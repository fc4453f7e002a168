#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
The YANG module against the code: every leaf of the configuration has its command and its line in "show running-config", every
command sets a leaf; every node of the model has its callbacks and a description, every callback its node; words and limits are those
of the code. With yanglint the module is compiled, and right and wrong data are given to it.

Prints "N passed, N failed" last.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.environ.get("top_srcdir") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
MODULE = "yang/frr-dsaad.yang"
CONFIG, STATE = "/dsaad/dsaa", "/dsaad/state"
# Limits of the model: (the node, the statement, the constant of core/dsaa_limits.h).
LIMITS = [
    (CONFIG + "/site/sync-address", "max-elements", "DSAA_SITE_SYNC_ADDRESSES_MAX"),
    (CONFIG + "/site/nat-pool", "max-elements", "DSAA_NAT_POOLS_MAX"),
    (CONFIG + "/sync/excluded-prefix", "max-elements", "DSAA_NO_SYNC_PREFIXES_MAX"),
    (CONFIG + "/correction/interface", "max-elements", "DSAA_IFACES_MAX"),
    (CONFIG + "/track/route", "max-elements", "DSAA_TRACKED_ROUTES_MAX"),
    (CONFIG + "/vrf-advertise-table", "max-elements", "DSAA_VRFS_MAX"),
    (CONFIG + "/site/zone", "max-elements", "DSAA_ZONES_MAX"),
]
NODES = ("container", "list", "leaf", "leaf-list")
# A unit is told by each number whose name does not say what is counted.
TIMES = ("hold", "hold-time", "delay", "state-age", "last-bulk-duration", "lag-p50", "lag-p99", "lag-max", "lag-now")

passed = failed = 0


def check(name, good, detail=""):
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
        print("FAILED: %s%s" % (name, ": %s" % (detail,) if detail else ""))


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as f:
        return f.read()


class Statement:
    """One statement of YANG: keyword, argument, what is in its braces."""

    def __init__(self, word, argument, parts, parent=None):
        self.word, self.argument, self.parts = word, argument, parts
        self.parent = parent
        for p in parts:
            p.parent = self

    def all(self, *words):
        return [p for p in self.parts if p.word in words]

    def value(self, word):
        found = self.all(word)
        return found[0].argument if found else None

    def path(self):
        """Where it is in the data, without the module's name."""
        if self.word == "module":
            return ""
        above = self.parent.path()
        return above + "/" + self.argument if self.word in NODES + ("rpc", "notification") else above


def parse(text):
    """The statements of a module; the RFC's string joining is not used here."""
    tokens = re.findall(r'//[^\n]*|/\*.*?\*/|"(?:[^"\\]|\\.)*"|\'[^\']*\'|[{};]|[^\s{};]+', text, re.S)
    tokens = [t for t in tokens if not t.startswith(("//", "/*"))]

    def statements(i):
        found = []
        while i < len(tokens) and tokens[i] != "}":
            word, i = tokens[i], i + 1
            argument = ""
            if tokens[i] not in "{;":
                argument, i = tokens[i].strip("\"'"), i + 1
            parts = []
            if tokens[i] == "{":
                parts, i = statements(i + 1)
            found.append(Statement(word, argument, parts))
            i += 1
        return found, i

    module = statements(0)[0][0]
    expand(module, {g.argument: g for g in module.all("grouping")})
    return module


def copy_of(statement):
    return Statement(statement.word, statement.argument, [copy_of(p) for p in statement.parts])


def expand(statement, groupings):
    """Puts what a grouping holds in the place of each "uses"; the groupings themselves go."""
    parts = []
    for p in statement.parts:
        if p.word == "grouping":
            continue
        if p.word == "uses":
            used = copy_of(groupings[p.argument]).parts
            parts += [u for u in used if u.word != "description"]
        else:
            parts.append(p)
    statement.parts = parts
    for p in parts:
        p.parent = statement
        expand(p, groupings)


def walk(statement):
    yield statement
    for p in statement.parts:
        yield from walk(p)


def typed(module, statement):
    """The type statement, through typedefs of this module."""
    t = statement.all("type")[0]
    named = [d for d in module.all("typedef") if d.argument == t.argument]
    return typed(module, named[0]) if named else t


# ------------------------------------------------------------ the code


def callbacks():
    """{path: names of the callbacks} of dsaa_nb.c."""
    text, found = read("dsaad/dsaa_nb.c"), {}
    names = dict(re.findall(r'#define (DSAA_\w+)\s+"([^"]*)"', read("dsaad/dsaa_nb.h")))
    for macro, rest, cbs in re.findall(r'\.xpath = (DSAA_\w+)(?: "([^"]*)")?,\s*\.cbs = \{(.*?)\},\n\t\t\}', text, re.S):
        found[(names[macro] + rest).replace("/frr-dsaad:", "/")] = dict(re.findall(r"\.(\w+) = (\w+),", cbs))
    return found


def commands():
    """[(name, the command's words, body)] of dsaa_cli.c."""
    text = read("dsaad/dsaa_cli.c")
    for name, rest, body in re.findall(r"\nDEFPY_YANG\w*\((\w+),\s*\w+,\s*(.*?)\)\n\{(.*?)\n\}", text, re.S):
        spec = re.match(r'\s*((?:"(?:[^"\\]|\\.)*"\s*)+),?', rest).group(1)
        yield name, "".join(re.findall(r'"([^"]*)"', spec)), body


def paths_of(body, functions):
    """The nodes that a command's body names, below the block, with those of the functions that it calls."""
    for name, text in functions.items():
        if re.search(r"\b%s\(" % name, body):
            body += text
    # a leaf of an entry that is made before
    below = r'strlcat\(x?path, "(/[a-z-]+)"'
    found = {entry + leaf for leaf in re.findall(below, body) for entry in re.findall(r'"(/[a-z-]+)\[', body)}
    for text in re.findall(r'"((?:\./|/)[a-z][^" ]*)"', re.sub(below, "", body)):
        text = re.sub(r"\[[^]]*\]", "", text)
        found.add(re.sub(r"^\.?/", "/", text))
    return found


# ------------------------------------------------------------ what is compared


def compare_model(module):
    """Descriptions, units, key leaves, callbacks."""
    have, cbs = set(), callbacks()
    for s in walk(module):
        if s.word in NODES + ("typedef", "enum", "rpc", "notification", "revision", "module"):
            check("%s %s %s is described" % (s.path(), s.word, s.argument), s.value("description"))
        if s.word in ("leaf", "leaf-list") and s.argument in TIMES:
            named = [d for d in module.all("typedef") if d.argument == s.value("type")]
            check("%s has its unit" % s.path(), s.value("units") or any(d.value("units") for d in named))
        if s.word in NODES:
            have.add(s.path())
        if s.word == "rpc":
            have.add(s.path())
            check("%s has its callback" % s.path(), "rpc" in cbs.get(s.path(), {}))
    for path in cbs:
        check("the callbacks of %s have a node" % path, path in have)
    for s in walk(module):
        if s.word not in NODES or not s.path().startswith((CONFIG, STATE)):
            continue
        mine = cbs.get(s.path(), {})
        if s.path().startswith(STATE + "/"):
            wanted = {"leaf": ["get_elem"], "list": ["get_next", "get_keys", "lookup_entry"]}.get(s.word, [])
        else:
            wanted = config_callbacks(s)
        missing = [w for w in wanted if w not in mine]
        check("%s has its callbacks" % s.path(), not missing, missing)


def config_callbacks(s):
    """What the northbound wants for a node of the configuration."""
    if s.word == "container":
        return ["create", "destroy"] if s.all("presence") else []
    if s.word in ("list", "leaf-list"):
        return ["create", "destroy"]
    if s.parent.word == "list" and s.argument in s.parent.value("key").split():
        return []
    fixed = s.all("default") or s.all("mandatory")
    return ["modify"] if fixed else ["modify", "destroy"]


def compare_commands(module):
    """Each leaf of the configuration has a command that sets it and one that shows it; each command has a leaf."""
    text = read("dsaad/dsaa_cli.c")
    functions = dict(re.findall(r"\nstatic (?:int|bool) (set_\w+|\w+_xpath)\(.*?\n\{(.*?)\n\}", text, re.S))
    leaves = {s.path()[len(CONFIG) :]: s for s in walk(module) if s.word in NODES[1:] and s.path().startswith(CONFIG + "/")}
    cbs, set_by = callbacks(), set()
    for name, spec, body in commands():
        paths = paths_of(body, {k: v for k, v in functions.items() if k not in ("set_leaf", "set_leaf_list")})
        # in the node of a site the paths are below it
        known = {p if p in leaves else "/site" + p for p in paths if p in leaves or "/site" + p in leaves}
        block = name in ("dsaa_block", "no_dsaa_block")
        check("command \"%s\" sets what the model knows" % spec, known or block, paths)
        for p in paths - {"/bfd"}:
            check("command \"%s\": the model has %s" % (spec, p), p in leaves or "/site" + p in leaves)
        if not name.startswith("no_"):
            # what sets a leaf of an entry makes the entry
            set_by |= known | {p.rsplit("/", 1)[0] for p in known}
    for path, s in leaves.items():
        parent = path.rsplit("/", 1)[0]
        key = s.parent.word == "list" and s.argument in s.parent.value("key").split()
        check("a command sets %s" % path, path in set_by or key and parent in set_by)
        shown = [p for p in (path, parent) if "cli_show" in cbs.get(CONFIG + p, {})]
        # "ha-mode primary-up 1" is one line
        check("a line shows %s" % path, shown or path == "/primary-site")
    for s in walk(module):
        if s.word in ("leaf", "leaf-list") and s.path().startswith(CONFIG) and typed(module, s).argument == "enumeration":
            compare_words(module, s)


def compare_words(module, leaf):
    """The words of an enumeration are those of its command."""
    words = {e.argument for e in typed(module, leaf).all("enum")}
    functions = " ".join(spec for _, spec, _ in commands())
    choices = [set(re.sub(r" \([^)]*\)\$?\w*", "", c).split("|")) for c in re.findall(r"<([^<>]*)>", functions)]
    check("%s has the words of a command" % leaf.path(), any(words <= c for c in choices), words)


def compare_limits(module):
    text = read("core/dsaa_limits.h")
    nodes = {s.path(): s for s in walk(module) if s.word in NODES}
    for path, word, constant in LIMITS:
        value = re.search(r"\b%s = (\d+)" % constant, text).group(1)
        check("%s: %s is %s" % (path, word, constant), nodes[path].value(word) == value)
    sites = re.search(r"\bDSAA_SITES_MAX = (\d+)", text).group(1)
    site = [d for d in module.all("typedef") if d.argument == "site-id"][0]
    check("a site-id is 1 to DSAA_SITES_MAX", site.all("type")[0].value("range") == "1.." + sites)
    for constant, path in (("dsaa_peer_state_name", "/peer/state"), ("dsaa_advertise_state_name", "/prefix/state"), ("dsaa_drain_state_name", "/drain")):
        source = "".join(read("core/" + f) for f in sorted(os.listdir(os.path.join(TOP, "core"))) if f.endswith(".c"))
        body = re.search(r"\nconst char \*%s\(.*?\n\}" % constant, source, re.S).group(0)
        names = set(re.findall(r'= "([^"]*)"', body)) - {"unknown"}
        words = {e.argument for e in nodes[STATE + path].all("type")[0].all("enum")}
        check("%s has the words of %s()" % (STATE + path, constant), words == names, words ^ names)


# ------------------------------------------------------------ yanglint

RIGHT = {
    "cluster-id": 7,
    "ha-mode": "primary-up",
    "primary-site": 1,
    "site": [
        {"id": 1, "sync-address": ["172.16.0.1", "fd00::1"], "uips": [{"interface": "eth0", "address": "192.0.2.1/24"}, {"interface": "eth0", "address": "2001:db8::1/64"}]},
        {"id": 2, "name": "lyon", "nat-pool": ["10.202.0.0/24"], "probe": "2001:db8:2::1",
         "zone": [{"name": "red", "number": 10}, {"name": "blue", "number": 20}]},
    ],
    "sync": {"port": 4000, "key-file": "/etc/frr/dsaa.key", "excluded-protocol": ["gre", "99"], "protocol-delay": [{"protocol": "udp", "delay": 3}]},
    "correction": {"interface": ["eth0"], "mode": "observe", "mark-mask": 267386880, "hold": 20, "port": 4001},
    "advertise": [{"prefix": "10.9.0.0/16", "site": "all"}, {"prefix": "2001:db8:9::/48", "site": 2}],
    "vrf-advertise": [{"vrf": "red", "prefix": "10.9.0.0/16", "site": 2}, {"vrf": "blue", "prefix": "10.9.0.0/16", "site": "all"}],
    "vrf-advertise-table": [{"vrf": "red", "table": 3786}, {"vrf": "blue", "table": 3787}],
    "bfd": {"profile": "quick"},
    "track": {"route": ["0.0.0.0/0"]},
}
WRONG = {
    "a cluster-id of 0": {"cluster-id": 0},
    "ha-mode primary-up without a primary site": {"ha-mode": "primary-up"},
    "a primary site with active-active": {"primary-site": 1},
    "site 17": {"site": [{"id": 17}]},
    "the name of a site that starts with a dot": {"site": [{"id": 1, "name": ".x"}]},
    "two zones of one number": {"site": [{"id": 1, "zone": [{"name": "red", "number": 10}, {"name": "blue", "number": 10}]}]},
    "a zone without a number": {"site": [{"id": 1, "zone": [{"name": "red"}]}]},
    "a zone of number 0": {"site": [{"id": 1, "zone": [{"name": "red", "number": 0}]}]},
    "the name of a zone with 16 letters": {"site": [{"id": 1, "zone": [{"name": "a" * 16, "number": 1}]}]},
    "five sync-addresses": {"site": [{"id": 1, "sync-address": ["10.0.0.%d" % n for n in range(1, 6)]}]},
    "a uips without the length of its prefix": {"site": [{"id": 1, "uips": [{"interface": "a", "address": "10.0.0.1"}]}]},
    "a uips with a length of 33": {"site": [{"id": 1, "uips": [{"interface": "a", "address": "10.0.0.1/33"}]}]},
    "an interface of 16 letters": {"correction": {"interface": ["a" * 16]}},
    "a key file of no absolute path": {"sync": {"key-file": "dsaa.key"}},
    "a protocol that nobody knows": {"sync": {"excluded-protocol": ["tpc"]}},
    "protocol 256": {"sync": {"excluded-protocol": ["256"]}},
    "a delay of 61 seconds": {"sync": {"delay": 61}},
    "a protocol's delay without a delay": {"sync": {"protocol-delay": [{"protocol": "tcp"}]}},
    "the tunnel on the port of the session": {"sync": {"port": 4000}, "correction": {"port": 4000}},
    "the tunnel on the session's usual port": {"correction": {"port": 3785}},
    "a hold of 1001 milliseconds": {"correction": {"hold": 1001}},
    "a prefix without a site": {"advertise": [{"prefix": "10.9.0.0/16"}]},
    "a tag of 0": {"advertise-tag": {"active": 0}},
    "an advertise-table of 65536": {"advertise-table": 65536},
    "two VRFs with one advertise-table": {"vrf-advertise-table": [{"vrf": "red", "table": 4000}, {"vrf": "blue", "table": 4000}]},
    "a VRF with the default VRF's advertise-table": {"vrf-advertise-table": [{"vrf": "red", "table": 3785}]},
    "a VRF's advertise-table of 0": {"vrf-advertise-table": [{"vrf": "red", "table": 0}]},
    "the name of a VRF with 16 letters": {"vrf-advertise": [{"vrf": "a" * 16, "prefix": "10.9.0.0/16", "site": 2}]},
    "a hold-time of 299": {"hold-time": 299},
    "17 tracked routes": {"track": {"route": ["10.%d.0.0/16" % n for n in range(17)]}},
    "a policy that nobody knows": {"split-brain": "toss"},
    "a mismatch that nobody knows": {"ruleset-mismatch": "drop"},
}


def run_yanglint():
    lint = shutil.which("yanglint")
    if not lint:
        print("note: there is no yanglint here, so the module is not compiled (Debian: libyang2-tools, libyang-tools)")
        return
    module = os.path.join(TOP, MODULE)
    folder = os.path.dirname(module)
    done = subprocess.run([lint, "-f", "tree", "-p", folder, module], capture_output=True, text=True)
    check("yanglint has nothing to say", done.returncode == 0 and not done.stderr, done.stderr)
    check("yanglint prints the tree", "frr-dsaad" in done.stdout)

    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "data.json")

        def taken(block):
            with open(path, "w", encoding="utf-8") as f:
                json.dump({"frr-dsaad:dsaad": {"dsaa": block}}, f)
            return subprocess.run([lint, "-t", "config", "-p", folder, module, path], capture_output=True, text=True)

        done = taken(RIGHT)
        check("right data is taken", done.returncode == 0, done.stderr)
        for what, block in WRONG.items():
            check("refused: " + what, taken(block).returncode != 0)


top = parse(read(MODULE))
compare_model(top)
compare_commands(top)
compare_limits(top)
run_yanglint()
print("%d passed, %d failed" % (passed, failed))
sys.exit(failed != 0)
