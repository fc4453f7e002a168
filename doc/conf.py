# SPDX-License-Identifier: GPL-2.0-or-later
"""Sphinx: the manual (user/) and the specification of the protocol (protocol/), with FRR's directive for a command."""

from docutils.parsers.rst import Directive
from sphinx import addnodes

project = "dsaad"
copyright = "the maintainers of dsaad"
extensions = []
master_doc = "index"
source_suffix = ".rst"
exclude_patterns = ["_build", "man"]
html_theme = "alabaster"
html_theme_options = {"description": "several sites, one stateful firewall, all of them active"}
man_pages = [
    ("user/index", "dsaad-manual", "the manual of dsaad", "", 7),
    ("user/guide-two-sites", "dsaad-two-sites", "a guide to two sites", "", 7),
    ("user/guide-three-sites", "dsaad-three-sites", "a guide to three sites", "", 7),
    ("user/sizing", "dsaad-sizing", "memory, bandwidth, MTU and latency", "", 7),
    ("user/operation", "dsaad-operation", "upgrading, troubleshooting, choice", "", 7),
    ("user/telemetry", "dsaad-telemetry", "watching and alarms", "", 7),
    ("user/metrics", "dsaad-metrics", "every metric of dsaa-exporter", "", 7),
    ("user/lab", "dsaad-lab", "the lab, also in Mininet", "", 7),
    ("user/reasons", "dsaad-reasons", "every reason that dsaad names", "", 7),
    ("protocol/sync", "dsaad-protocol", "the protocol between sites", "", 7),
]


class CliCommand(Directive):
    """.. clicmd:: WORDS, with the text about them below, as in FRR's manual."""

    has_content = True
    required_arguments = 1
    final_argument_whitespace = True

    def run(self):
        words = " ".join(self.arguments[0].split())
        index = addnodes.index(entries=[("single", words, "clicmd-%d" % self.lineno, "", None)])
        description = addnodes.desc(domain="", objtype="clicmd", desctype="clicmd", noindex=True)
        signature = addnodes.desc_signature(words, "", ids=["clicmd-%d" % self.lineno])
        signature += addnodes.desc_name(words, words)
        content = addnodes.desc_content()
        self.state.nested_parse(self.content, self.content_offset, content)
        description += [signature, content]
        return [index, description]


def setup(app):
    app.add_directive("clicmd", CliCommand)
    return {"parallel_read_safe": True}
