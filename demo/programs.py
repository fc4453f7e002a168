# SPDX-License-Identifier: GPL-2.0-or-later
"""
The real programs whose connections the demo follows, each in its node: curl,
ssh and sshd, ping, the UDP stream, and tcpdump looking for RST.
"""

import hashlib
import os
import re
import shutil
import subprocess
import threading
import time

from lab.control import NODE_DATA, LabError

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"
HTTP_PORT = 8080
SSH_PORT = 2222
UDP_PORT = 5000
# Segments that begin a connection, and those that end one: SYN, FIN and RST are the bits 2, 1 and 4.
ENDS_FILTER = "(ip and tcp[tcpflags] & 7 != 0) or (ip6 and ip6[6] = 6 and ip6[53] & 7 != 0)"
SSHD_CONFIG = """\
Port %d
HostKey %s/host_key
AuthorizedKeysFile %s/user_key.pub
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
PidFile none
"""


def url_host(address):
    return "[%s]" % address if ":" in address else address


class Programs:
    """All programs of one demo; end() ends those that still run."""

    def __init__(self, lab):
        self.lab = lab
        self._running = []

    def start(self, node, command, **kw):
        kw.setdefault("stderr", subprocess.DEVNULL)
        process = self.lab.popen(node, command, **kw)
        self._running.append(process)
        return process

    def end(self):
        for p in self._running:
            if p.poll() is None:
                p.kill()
            p.wait()

    def put(self, node, name):
        """Copies one of the demo's scripts into the node; returns its path there."""
        shutil.copy(os.path.join(HERE, name), self.lab.data(node))
        return "%s/%s" % (NODE_DATA, name)


class HttpServer:
    """The download server; knows what must arrive."""

    def __init__(self, programs, megabytes, rate):
        script = programs.put("server", "http_server.py")
        words = [PYTHON, script, str(HTTP_PORT), str(megabytes), str(rate)]
        process = programs.start("server", words, stdout=subprocess.PIPE, text=True)
        said = process.stdout.readline().split()
        if len(said) != 3:
            raise LabError("The HTTP server does not start.")
        self.length = int(said[0])
        self.sha256 = said[1]
        self.small_sha256 = said[2]


class Download(threading.Thread):
    """One run of curl. What it writes is counted and hashed here."""

    def __init__(self, programs, address, path="/download"):
        super().__init__(daemon=True)
        url = "http://%s:%d%s" % (url_host(address), HTTP_PORT, path)
        command = ["curl", "-q", "--silent", "--show-error", "--fail", "--max-time", "150"]
        self._process = programs.start(
            "client",
            command + [url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._digest = hashlib.sha256()
        self.received = 0
        self.longest_stall = 0.0
        self.seconds = None
        self.error = None
        self.begin = time.monotonic()
        self.start()

    def run(self):
        last = time.monotonic()
        while True:
            data = self._process.stdout.read1(1 << 18)
            now = time.monotonic()
            self.longest_stall = max(self.longest_stall, now - last)
            last = now
            if not data:
                break
            self._digest.update(data)
            self.received += len(data)
        said = self._process.stderr.read().decode(errors="replace").strip()
        if self._process.wait() != 0:
            self.error = said or "curl ended with %d" % self._process.returncode
        self.seconds = time.monotonic() - self.begin

    @property
    def sha256(self):
        return self._digest.hexdigest()

    @property
    def rate(self):
        """Megabytes per second."""
        return self.received / 1e6 / self.seconds


class SshSession(threading.Thread):
    """
    An interactive ssh session with a terminal, kept open all the time: twice a
    second a command is typed, and its answer awaited.
    """

    def __init__(self, programs, address):
        super().__init__(daemon=True)
        self._programs = programs
        self.answers = []  # (when asked, seconds until the answer)
        self.waiting_since = None
        self.ended = None
        self._lock = threading.Lock()
        self._answered = threading.Event()
        self._wanted = None
        self._server(address)
        self._client(address)
        self.start()

    def _keys(self, node, names):
        folder = self._programs.lab.data(node)
        for name in names:
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f"]
            self._programs.lab.run(node, command + ["%s/%s" % (NODE_DATA, name)])
        return folder

    def _server(self, address):
        lab = self._programs.lab
        folder = self._keys("server", ["host_key", "user_key"])
        with open(os.path.join(folder, "sshd_config"), "w", encoding="ascii") as f:
            f.write(SSHD_CONFIG % (SSH_PORT, NODE_DATA, NODE_DATA))
        # sshd refuses an account whose password is locked, which it is on many machines.
        with open(os.path.join(folder, "shadow"), "w", encoding="ascii") as f:
            f.write("root:*:20000:0:99999:7:::\nsshd:*:20000:0:99999:7:::\n")
        lab.run("server", ["mount", "--bind", NODE_DATA + "/shadow", "/etc/shadow"])
        config = "%s/sshd_config" % NODE_DATA
        self._programs.start("server", ["/usr/sbin/sshd", "-D", "-f", config])
        for _ in range(100):
            shown = lab.run("server", ["ss", "-Hltn", "sport = :%d" % SSH_PORT]).stdout
            if shown.strip():
                break
            time.sleep(0.05)
        else:
            raise LabError("sshd does not start in the server node.")
        key = os.path.join(lab.data("client"), "user_key")
        shutil.copy(os.path.join(folder, "user_key"), key)
        os.chmod(key, 0o600)

    def _client(self, address):
        command = ["ssh", "-F", "/dev/null", "-tt", "-i", NODE_DATA + "/user_key"]
        for option in (
            "IdentitiesOnly=yes",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "ConnectTimeout=10",
        ):
            command += ["-o", option]
        command += ["-p", str(SSH_PORT), "root@" + address, "exec sh"]
        self._process = self._programs.start(
            "client", command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._process.stdout:
            with self._lock:
                if self._wanted and self._wanted in line:
                    self._answered.set()
        self.ended = "the ssh session ended"
        self._answered.set()

    def run(self):
        number = 0
        while self.ended is None:
            number += 1
            asked = time.monotonic()
            with self._lock:
                self._answered.clear()
                self.waiting_since = asked
                # The terminal echoes what is typed, so the answer must differ from it.
                self._wanted = b"answer-%d-" % (number * 7)
            try:
                self._process.stdin.write(b"echo answer-$((%d*7))-\n" % number)
                self._process.stdin.flush()
            except OSError:
                self.ended = "the ssh session ended"
                return
            self._answered.wait()
            if self.ended is None:
                self.answers.append((asked, time.monotonic() - asked))
                self.waiting_since = None
                time.sleep(0.5)

    def since(self, begin):
        """(answers, longest wait) of what was asked since then, the open question included."""
        found = [s for t, s in self.answers if t >= begin]
        waits = list(found)
        if self.waiting_since is not None:
            waits.append(time.monotonic() - max(self.waiting_since, begin))
        return len(found), max(waits, default=0.0)

    def answers_within(self, seconds):
        """True when a question asked from now on is answered in that time."""
        begin = time.monotonic()
        while time.monotonic() < begin + seconds:
            if self.ended:
                return False
            if self.since(begin)[0]:
                return True
            time.sleep(0.05)
        return False


class Figures:
    """What a stream of numbered packets did in a window of time."""

    def __init__(self, sent, lost, silence):
        self.sent = sent
        self.lost = lost
        self.silence = silence

    @property
    def loss(self):
        return 100.0 * self.lost / self.sent if self.sent else 100.0


class UdpStream(threading.Thread):
    """50 packets a second there and back; every one is followed."""

    RATE = 50

    def __init__(self, programs, address):
        super().__init__(daemon=True)
        script = programs.put("server", "udp_stream.py")
        programs.start("server", [PYTHON, script, "echo", str(UDP_PORT)])
        time.sleep(0.3)
        script = programs.put("client", "udp_stream.py")
        command = [PYTHON, script, "send", address, str(UDP_PORT), str(self.RATE)]
        self._process = programs.start("client", command, stdout=subprocess.PIPE, text=True)
        self.sent = {}
        self.received = {}
        self.start()

    def run(self):
        for line in self._process.stdout:
            kind, seq, when = line.split()
            {"s": self.sent, "r": self.received}[kind][int(seq)] = float(when)

    def between(self, begin, end):
        """The figures of what was sent between two times."""
        sent = [q for q, t in list(self.sent.items()) if begin <= t < end]
        lost = [q for q in sent if q not in self.received]
        times = sorted(t for t in list(self.received.values()) if begin <= t < end)
        marks = [begin] + times + [end]
        silence = max(b - a for a, b in zip(marks, marks[1:]))
        return Figures(len(sent), len(lost), silence)


class Ping(threading.Thread):
    """ping, ten times a second."""

    INTERVAL = 0.1

    def __init__(self, programs, address):
        super().__init__(daemon=True)
        command = ["ping", "-n", "-i", str(self.INTERVAL), address]
        self._process = programs.start("client", command, stdout=subprocess.PIPE, text=True)
        self.received = {}  # sequence number: when
        self.start()

    def run(self):
        for line in self._process.stdout:
            found = re.search(r"icmp_seq=(\d+) .*time=", line)
            if found:
                self.received[int(found.group(1))] = time.monotonic()

    def between(self, begin, end):
        """The figures, counted by the sequence numbers that arrived in the window."""
        seen = sorted((t, q) for q, t in list(self.received.items()) if begin <= t < end)
        if len(seen) < 2:
            sent = int((end - begin) / self.INTERVAL)
            return Figures(sent, sent, end - begin)
        sent = max(q for _, q in seen) - min(q for _, q in seen) + 1
        marks = [begin] + [t for t, _ in seen] + [end]
        silence = max(b - a for a, b in zip(marks, marks[1:]))
        return Figures(sent, sent - len(seen), silence)


class Resets:
    """
    Tells the RST that break a connection from those that answer a segment which
    came late: a copy of what had arrived already, when both ends had said FIN.
    Nothing is lost by these; the kernel knows the connection no more. Segments
    are late on a busy machine: the first answers of a connection can be sooner
    than its state, have their second chance through dsaad, and are overtaken by
    those that take the fast path when the state has come.
    """

    _LINE = re.compile(r"\bIP6? (\S+) > (\S+): Flags \[([^\]]*)\]")

    def __init__(self):
        self.broken = []  # lines of tcpdump
        self.late = []
        self._ended = {}  # both ends of a connection: those that have said FIN

    def add(self, line):
        """Takes the next line that tcpdump prints."""
        found = self._LINE.search(line)
        if not found:
            return
        source, to, flags = found.groups()
        ended = self._ended.setdefault(frozenset((source, to)), set())
        if "S" in flags:
            ended.clear()
        if "F" in flags:
            ended.add(source)
        if "R" in flags:
            (self.late if len(ended) == 2 else self.broken).append(line)


class RstWatch(threading.Thread):
    """tcpdump in a node; what it sees is sorted by Resets."""

    def __init__(self, programs, node):
        super().__init__(daemon=True)
        command = ["tcpdump", "-n", "-l", "-i", "any", ENDS_FILTER]
        self._process = programs.start(
            node, command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.resets = Resets()
        for line in self._process.stderr:
            if "listening on" in line:
                break
        else:
            raise LabError("tcpdump does not start in %s." % node)
        self.start()

    def run(self):
        for line in self._process.stdout:
            self.resets.add(line.strip())
