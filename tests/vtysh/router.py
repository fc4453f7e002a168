# SPDX-License-Identifier: GPL-2.0-or-later
"""One router with the staged FRR, in namespaces of its own (mount, network, pid, uts), started the way a router does it: frrinit.sh."""

import os
import pathlib
import subprocess
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
STAGE = TOP / "build" / "stage"

# /etc, /run and the log folder of FRR belong to the namespace; the staged files cover the host's where the router is dsaad's.
PREPARE = r"""
set -e
mount --make-rprivate /
for d in /etc/frr /run/frr /var/log/frr; do
    mkdir -p $d
    mount -t tmpfs -o mode=755 tmpfs $d
    chown frr:frr $d
done
[ "$(readlink -f /var/run)" = /run ] || mount --bind /run/frr /var/run/frr
if [ -n "$STAGE" ]; then
    mount --bind "$STAGE/usr/lib/frr" /usr/lib/frr
    mount --bind "$STAGE/usr/bin/vtysh" /usr/bin/vtysh
fi
ip link set lo up
# FRR 10.7 shows the machine's name, whatever frr.conf calls the router, and frr-reload.py then changes it each time.
hostname router
echo ready
# The first process of a pid namespace has to take in orphans, as a shell does while it waits. It ends with the test, however that
# ends: then standard input ends.
exec 3<&0
cat <&3 >/dev/null &
wait $!
"""

DAEMONS = """
bgpd=yes
bfdd=yes
vtysh_enable=yes
zebra_options="-A 127.0.0.1"
mgmtd_options="-A 127.0.0.1"
bgpd_options="-A 127.0.0.1"
staticd_options="-A 127.0.0.1"
bfdd_options="-A 127.0.0.1"
"""

DAEMONS_DSAAD = """
DAEMONS="$DAEMONS dsaad"
dsaad=yes
dsaad_options="-A 127.0.0.1"
"""


class Router:
    """dsaad says whether it is a site's router (staged files, dsaad running) or a stock one."""

    def __init__(self, dsaad=True):
        env = dict(os.environ, PATH="/usr/sbin:/usr/bin:/sbin:/bin", STAGE=str(STAGE) if dsaad else "")
        # When the first process of the pid namespace ends, everything in there ends.
        self.holder = subprocess.Popen(
            ["unshare", "--mount", "--net", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc", "bash", "-c", PREPARE],
            stdout=subprocess.PIPE,
            stdin=subprocess.PIPE,
            env=env,
            text=True,
        )
        if self.holder.stdout.readline().strip() != "ready":
            raise RuntimeError("the namespaces of a router could not be made")
        with open("/proc/%d/task/%d/children" % (self.holder.pid, self.holder.pid), encoding="ascii") as f:
            self.pid = f.read().split()[0]
        self.write("/etc/frr/daemons", DAEMONS + (DAEMONS_DSAAD if dsaad else ""))
        self.write("/etc/frr/vtysh.conf", "service integrated-vtysh-config\n")
        self.write("/etc/frr/frr.conf", "hostname router\n")

    def run(self, *command, text=None, check=False):
        """Runs a command in the router; the result has returncode, stdout and stderr."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            # Files, not pipes: daemons that keep stderr open would hold a pipe for ever.
            done = subprocess.run(
                ["nsenter", "-t", self.pid, "-m", "-n", "-p", "-u", *command],
                input=text if text is not None else "",
                stdout=out,
                stderr=err,
                text=True,
                timeout=120,
                check=False,
                env=dict(PATH="/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL="C", HOME="/root", VTYSH_PAGER="cat"),
            )
            out.seek(0)
            err.seek(0)
            done.stdout, done.stderr = out.read(), err.read()
        if check and done.returncode != 0:
            raise RuntimeError("%s: %d\n%s%s" % (" ".join(command), done.returncode, done.stdout, done.stderr))
        return done

    def write(self, path, text):
        self.run("sh", "-c", 'cat >"$1" && chown frr:frr "$1" && chmod 640 "$1"', "sh", path, text=text, check=True)

    def read(self, path):
        return self.run("cat", path, check=True).stdout

    def vtysh(self, *commands):
        """Output of the commands, which are given in one vtysh session."""
        arguments = [a for c in commands for a in ("-c", c)]
        return self.run("vtysh", *arguments, check=True).stdout

    def start(self):
        self.run("/usr/lib/frr/frrinit.sh", "start", check=True)

    def stop(self):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()
        self.holder.stdin.close()
