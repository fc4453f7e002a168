# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes FRR's own topotest framework, from the FRR source of the SDK, test dsaad. Nothing of it is copied: what does not fit is
replaced at run time, before its conftest.py is loaded, whose hooks and fixtures are then taken over as they are.

It works with the frameworks of FRR 8.4 (micronet), 10.3 and 10.7 (munet).
"""

import importlib.util
import os
import re
import signal
import sys

FRAMEWORK = os.environ["DSAA_TOPOTESTS"]
sys.path.insert(0, FRAMEWORK)
sys.path.insert(0, os.path.dirname(__file__))

from lib import topogen, topotest  # noqa: E402

# The framework ends its namespaces by SIGHUP, and waits half a minute for each that ignores it: under nohup all would.
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def diagnose_env(rundir):
    """In place of the framework's look at the machine, which wants gdb, /proc/modules and daemons that Debian does not build."""
    os.makedirs(rundir, exist_ok=True)
    return True


def only_in_namespaces(setter):
    """Lets a sysctl setter of the framework through for net.*, which a namespace has for itself. The others hold for the host."""

    def set_sysctl(commander, variable, *args, **kwargs):
        if variable.startswith("net."):
            setter(commander, variable, *args, **kwargs)

    return set_sysctl


def with_dsaad(init):
    """Adds dsaad to the daemons that a router may run."""

    def init_router(self, *args, **kwargs):
        init(self, *args, **kwargs)
        self.daemons["dsaad"] = 0
        self.daemons_options["dsaad"] = ""

    return init_router


def with_client_name(run):
    """The framework of FRR 10.7 looks for a started daemon among zebra's clients by its name; zebra calls dsaad by its type, table."""

    def cmd(self, command, *args, **kwargs):
        output = run(self, command, *args, **kwargs)
        if command == "vtysh -c 'show zebra client summary'":
            output = re.sub("^table", "dsaa", output, flags=re.MULTILINE)
        return output

    return cmd


topogen.diagnose_env = diagnose_env
topotest.module_present = lambda *args, **kwargs: False
topotest.sysctl_atleast = only_in_namespaces(topotest.sysctl_atleast)
topotest.sysctl_assure = only_in_namespaces(topotest.sysctl_assure)
topotest.Router.cmd = with_client_name(topotest.Router.cmd)
topotest.Router.__init__ = with_dsaad(topotest.Router.__init__)
topogen.TopoRouter.RD_DSAA = max(topogen.TopoRouter.RD) + 1
topogen.TopoRouter.RD[topogen.TopoRouter.RD_DSAA] = "dsaad"

_spec = importlib.util.spec_from_file_location("frr_topotests_conftest", os.path.join(FRAMEWORK, "conftest.py"))
_framework = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_framework)

# Hooks (pytest_*) and fixtures, by their names.
globals().update({k: v for k, v in vars(_framework).items() if not k.startswith("_")})
