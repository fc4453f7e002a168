# SPDX-License-Identifier: GPL-2.0-or-later
"""
A node: network, mount, process, ipc and host-name namespaces that one idle
process (the holder) keeps alive. Nothing of a node has a name on the host, so
labs side by side cannot collide, and killing the holder removes the node with
all its processes, interfaces, rules and mounts.
"""

import os
import signal
import subprocess
import time

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
HOLDER_MARK = "DSAA_LAB_HOLDER"
# Where everything is slow (an emulated machine, see ./quickstart kernel), programs and waiting get that much more time.
SLOW = float(os.environ.get("DSAA_TEST_SLOW", 1))


class LabError(Exception):
    """What the lab could not do, as a sentence for the operator."""


class Unable(LabError):
    """What this lab cannot do on this kernel, whatever is tried."""


def environment(extra=None):
    """The environment of every program in a node."""
    env = {
        "PATH": PATH,
        "LC_ALL": "C.UTF-8",
        "HOME": os.environ.get("HOME", "/root"),
        "TERM": os.environ.get("TERM", "dumb"),
    }
    env.update(extra or {})
    return env


def start_time(pid):
    """When the process started, in clock ticks, or None; tells a reused pid apart."""
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as f:
            return int(f.read().rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return None


def _has_mark(pid, mark):
    try:
        with open("/proc/%s/environ" % pid, "rb") as f:
            return mark in f.read().split(b"\0")
    except OSError:
        return False


def find_holders(lab_id):
    """Pids of all processes that hold a node of the lab, found without any record."""
    mark = ("%s=%s" % (HOLDER_MARK, lab_id)).encode()
    return [int(p) for p in os.listdir("/proc") if p.isdigit() and _has_mark(p, mark)]


def _children(pid):
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as f:
            return [int(p) for p in f.read().split()]
    except OSError:
        return []


class Node:
    """One node; PID is its holder's, seen from the host."""

    def __init__(self, name, pid, started):
        self.name = name
        self.pid = pid
        self.started = started

    @classmethod
    def create(cls, name, lab_id):
        """
        Starts the holder. It ignores SIGCHLD, so the kernel reaps what daemons
        leave to it; a supervisor that waits for a pid to go never sees a zombie.
        """
        command = ["unshare", "--net", "--mount", "--pid", "--ipc", "--uts", "--fork"]
        command += ["--kill-child=KILL", "--mount-proc", "--propagation", "private"]
        command += ["env", "--ignore-signal=CHLD", "sleep", "infinity"]
        with open(os.devnull, "r+b") as null:
            wrapper = subprocess.Popen(
                command,
                stdin=null,
                stdout=null,
                stderr=null,
                cwd="/",
                env=environment({HOLDER_MARK: lab_id}),
                start_new_session=True,
            )
        deadline = time.monotonic() + 10 * SLOW
        while time.monotonic() < deadline:
            for pid in _children(wrapper.pid):
                if cls._holds(pid):
                    return cls(name, pid, start_time(pid))
            if wrapper.poll() is not None:
                break
            time.sleep(0.005)
        raise LabError("The kernel gave no namespaces for %s." % name)

    @staticmethod
    def _holds(pid):
        """True once the process is past its set-up, that is: it has become sleep."""
        try:
            with open("/proc/%d/comm" % pid, encoding="ascii") as f:
                return f.read().strip() == "sleep"
        except OSError:
            return False

    def alive(self):
        return start_time(self.pid) == self.started

    def enter(self):
        """The command prefix that runs a program in the node."""
        return ["nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-n", "-p", "--"]

    def run(self, command, **kw):
        """Runs a command (list, or text for a shell); see run_program."""
        if isinstance(command, str):
            command = ["sh", "-c", command]
        return run_program(self.enter() + list(command), self.name, **kw)

    def popen(self, command, **kw):
        """
        Starts a program; it dies when the returned process (nsenter) does, and at
        the latest with the lab.
        """
        kw.setdefault("stdin", subprocess.DEVNULL)
        kw.setdefault("cwd", "/")
        bound = ["setpriv", "--pdeathsig", "KILL", "--"]
        return subprocess.Popen(
            self.enter() + bound + list(command),
            env=environment(kw.pop("env", None)),
            **kw
        )

    def pids(self):
        """All pids of the node as the host sees them, without the holder."""
        space = os.stat("/proc/%d/ns/pid" % self.pid).st_ino
        found = []
        for p in os.listdir("/proc"):
            if not p.isdigit() or int(p) == self.pid:
                continue
            try:
                if os.stat("/proc/%s/ns/pid" % p).st_ino == space:
                    found.append(int(p))
            except OSError:
                continue
        return found

    def kill_all(self):
        """SIGKILL to every process of the node but the holder."""
        # From inside the pid namespace -1 means exactly: all but process 1 and the caller.
        self.run(["sh", "-c", "kill -KILL -1"], check=False)


def run_program(command, where, check=True, timeout=30, text_input=None, env=None):
    """
    Runs a program and returns subprocess.CompletedProcess with text output.
    Raises LabError with its last words when it fails and CHECK is set.
    """
    try:
        done = subprocess.run(
            command,
            input=text_input,
            stdin=subprocess.DEVNULL if text_input is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            timeout=timeout * SLOW,
            env=environment(env),
            cwd="/",
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LabError("%s: %s took over %d s." % (where, _words(command), timeout * SLOW))
    if check and done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        why = " / ".join(said[-2:]) or "status %d" % done.returncode
        raise LabError("%s: %s failed: %s" % (where, _words(command), why))
    return done


def _words(command):
    """The command without how a node is entered, cut to a readable length."""
    words = command[command.index("--") + 1 :] if "--" in command else command
    text = " ".join(words)
    return text if len(text) <= 100 else text[:97] + "..."


def remove_holders(lab_id, timeout=10):
    """Kills all holders of a lab and waits until they are gone. Returns True when they are."""
    deadline = time.monotonic() + timeout * SLOW
    while time.monotonic() < deadline:
        left = find_holders(lab_id)
        if not left:
            return True
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.02)
    return False
