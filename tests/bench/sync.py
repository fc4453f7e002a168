#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How fast, complete and small state sync is: dsaad beside conntrackd, on the same machine, under the same load, in one run.

Every figure is the median of several rounds; in each round all daemons are measured one after the other, so that a noisy machine
troubles all alike. "Spread" is how far the rounds are apart, of their median. Nothing counts that the kernel of the second router
does not confirm: cttable compares the two tables, entry by entry, with the times at which they came in.

  rate      new TCP connections of three packets per second, the highest of a series of steps after which every entry is there, and
            established, within SETTLE seconds of the end of the load
  cost      at 18,000 per second: processor time of both daemons per connection, and the time from the event at the first router to
            the entry at the second
  restart   so many entries at the first router, which serves, none at the second: from the start of the second's daemon until its
            kernel has all; beside it the time that bare injection takes, under the same conditions
  loss      5,000 per second while the site-sync link takes 20 ms and loses 5 % of the packets in each direction
  memory    resident, both daemons, after the longest restart

What of this is the kernel's own work, which no daemon can do without, is measured beside it: the highest rate of the load with
somebody who asks for the events and reads none; and the time to read so many entries at the first router and to create them at the
second, beside such a listener. "Apart": the same restart with each end on a core of its own, as two routers have them.

usage: sync.py TOOLS DSAAD [--zebra ZEBRA] [--quick] [--rounds N] [--only PART,...] [--kinds KIND,...] [--keep FILE]
--keep FILE  what is measured is written there after each part, and not measured again when the file has it

Needs root, conntrackd and the figures of one machine at peace. Exit 1 when a bold line is missed.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
from synclab import DAEMON_CORE, LOAD_CORE, Conntrackd, ConntrackdMasked, Deaf, Dsaad, Lab, wait  # noqa: E402

KINDS = {"conntrackd": Conntrackd, "masked": ConntrackdMasked, "dsaad": Dsaad}
BATCH = 16
LOAD_S = 5.0
SETTLE = 6.0
STEP = 1.08
START = {"conntrackd": 30000, "masked": 36000, "dsaad": 46000}
COST_RATE = 18000
LOSS = {"ms": 20, "percent": 5, "rate": 5000}
QUIET_S = 6.0
CEILING_LOAD = 200000
# mark of entries that belong to site 1, as dsaad sets it at site 2
OWNER_1 = 0x01000000

# what must be reached: (row, figure, test in words, function of dsaad's and conntrackd's median)
MUST = (
    ("rate", "highest rate", "at least 2 x conntrackd", lambda d, c: d >= 2 * c),
    ("cost", "cpu", "at most half of conntrackd's", lambda d, c: d <= c / 2),
    ("cost", "p50", "at most 1 ms", lambda d, c: d <= 1),
    ("cost", "p99", "at most 10 ms", lambda d, c: d <= 10),
    ("cost", "missing", "none", lambda d, c: d == 0),
    ("loss", "missing", "none", lambda d, c: d == 0),
    ("memory", "MB", "under 128 MB", lambda d, c: d < 128),
)


def say(text):
    print(text, file=sys.stderr, flush=True)


# ---------------------------------------------------------------- measuring


class Pair:
    """The two daemons of a kind on a fresh lab."""

    def __init__(self, args, kind, delayed=None):
        self.lab = Lab(args.tools, args.dsaad, args.zebra)
        self.lab.build(delayed)
        self.daemons = KINDS[kind](self.lab)
        self.daemons.prepare()

    def start(self):
        for node in (1, 2):
            self.daemons.start(node)
        self.daemons.ready()
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.daemons.stop()
        self.lab.close()

    def idle(self, seconds=20):
        """Waits until the daemons have nothing to do."""
        def still():
            before = self.daemons.working()
            time.sleep(0.25)
            return self.daemons.working() - before < 0.02
        return wait(still, seconds, 0)

    def empty(self):
        self.lab.flush(1)
        self.idle()
        self.lab.flush(2)
        self.idle()

    def attempt(self, rate, seconds):
        """
        One load. Returns (what the tables say, connections per second that there were, processor seconds from its beginning
        until the daemons rest, less what they use at rest).
        """
        self.empty()
        before, begin = self.daemons.working(), time.monotonic()
        time.sleep(0.5)
        resting = (self.daemons.working() - before) / (time.monotonic() - begin)
        before, begin = self.daemons.working(), time.monotonic()
        real = self.lab.load(int(rate * seconds), rate, BATCH)
        end = time.monotonic() + SETTLE
        found = self.lab.compare()
        while (found["missing"] or found["differ"]) and time.monotonic() < end:
            time.sleep(0.3)
            found = self.lab.compare()
        self.idle()
        used = self.daemons.working() - before
        return found, real, used - resting * (time.monotonic() - begin)


def measure_rate(args, kind, known):
    """The highest rate that is complete; KNOWN is the last round's."""
    rate, good, bad, note = known or START[kind], 0, None, None
    while True:
        with Pair(args, kind) as pair:
            pair.start()
            while True:
                found, real, _ = pair.attempt(rate, LOAD_S)
                whole = not found["missing"] and not found["differ"]
                say("    %6d/s (%6.0f): missing %d, not established %d, last entry %.2f s after the last event"
                    % (rate, real, found["missing"], found["differ"], found["behind"]))
                if whole:
                    good = max(good, real)
                else:
                    bad = rate
                if real < 0.97 * rate:
                    note = "the load generator's limit"
                if bad or note:
                    break
                rate *= STEP
        if good or rate < 2000:
            return {"highest rate": good, "behind": found["behind"], "note": note if not bad else None}
        rate, bad, note = rate / STEP, None, None


def measure_ceiling(args, _kind, _known):
    """The load at full speed, and a listener who reads nothing: what no daemon can come above."""
    lab = Lab(args.tools, args.dsaad, args.zebra)
    try:
        lab.build()
        lab.mask()
        with Deaf(lab, 1):
            return {"rate": lab.load(CEILING_LOAD, 10 * CEILING_LOAD, BATCH)}
    finally:
        lab.close()


def measure_cost(args, kind, _known):
    with Pair(args, kind) as pair:
        pair.start()
        pair.attempt(COST_RATE, 1)
        found, real, cpu = pair.attempt(COST_RATE, 4)
        return {"cpu": cpu * 1e6 / found["a"], "p50": found["p50"], "p90": found["p90"], "p99": found["p99"], "max": found["max"],
                "missing": found["missing"] + found["differ"], "real": real}


def measure_loss(args, kind, _known):
    with Pair(args, kind, (LOSS["ms"], LOSS["percent"])) as pair:
        pair.start()
        found, real, cpu = pair.attempt(LOSS["rate"], 4)
        return {"missing": found["missing"] + found["differ"], "p50": found["p50"], "p99": found["p99"], "max": found["max"],
                "cpu": cpu * 1e6 / found["a"], "real": real}


def bare_injection(lab, count):
    """Seconds, the median of three: the first one often waits for memory that the kernel has to find."""
    seconds = []
    for _ in range(3):
        seconds.append(lab.fill(2, count, OWNER_1, core=DAEMON_CORE))
        lab.flush(2)
    return statistics.median(seconds)


def kernel_alone(lab, count):
    """Seconds of what the kernel has to do of a restart, one after the other on the daemons' core."""
    read = lab.dump(1)
    with Deaf(lab, 1):
        created = lab.fill(2, count, OWNER_1, core=DAEMON_CORE)
    lab.flush(2)
    return read + created


def restart(args, kind, count, apart=False):
    with Pair(args, kind) as pair:
        lab = pair.lab
        if apart:
            lab.core[1] = LOAD_CORE
        lab.fill(1, count)
        bare = bare_injection(lab, count)
        kernel = {"kernel of bare": kernel_alone(lab, count) / bare} if kind == "dsaad" else {}
        pair.daemons.start(1)
        time.sleep(2)
        if not wait(lambda: pair.daemons.serves(1), 60):
            sys.exit("sync.py: the first %s does not serve" % pair.daemons.name)
        pair.idle(60)
        await_words = [os.path.join(args.tools, "cttable"), "await", lab.netns[2], str(count), str(QUIET_S)]
        watch = subprocess.Popen(await_words, stdout=subprocess.PIPE, text=True)
        pair.daemons.start(2)
        pair.daemons.resync(2)
        done = json.loads(watch.communicate()[0])
        found = lab.compare()
        pair.idle()
        now = [p.resident() for p in pair.daemons.process.values()]
        return {"entries": found["a"] - found["missing"], "missing": found["missing"], "differ": found["differ"],
                "seconds": done["seconds"], "from first": done["from_first"], "bare": bare, "of bare": done["seconds"] / bare, **kernel,
                "MB": max(m[0] for m in now), "peak MB": max(m[1] for m in now)}


def measure_restart(args, kind, _known):
    return {str(n): restart(args, kind, n) for n in args.counts}


def measure_apart(args, kind, _known):
    return {str(n): restart(args, kind, n, apart=True) for n in args.counts}


# measured with dsaad alone
OURS_ALONE = ("ceiling", "apart")
PARTS = {"ceiling": measure_ceiling, "rate": measure_rate, "cost": measure_cost, "restart": measure_restart, "apart": measure_apart,
         "loss": measure_loss}


# ---------------------------------------------------------------- the table


class Noise:
    """How much of the machine others used, while and as we measured: all processor time less that of our own children."""

    def __init__(self):
        self.begin, self.busy = time.monotonic(), self._busy()

    @staticmethod
    def _busy():
        with open("/proc/stat") as f:
            user, nice, system = (int(n) for n in f.readline().split()[1:4])
        times = os.times()
        return (user + nice + system) / os.sysconf("SC_CLK_TCK") - sum(times[:4])

    def share(self):
        """Per cent of one processor."""
        return 100 * (self._busy() - self.busy) / (time.monotonic() - self.begin)


def flat(result, at=()):
    """{("500000", "seconds"): 3.1, ...}"""
    found = {}
    for key, value in result.items():
        if isinstance(value, dict):
            found.update(flat(value, at + (key,)))
        elif isinstance(value, (int, float)):
            found[at + (key,)] = value
    return found


class Figures:
    """What was measured: part -> kind -> rounds."""

    def __init__(self, measured):
        self.measured = measured

    def all(self, part, kind, *key):
        rounds = self.measured.get(part, {}).get(kind, [])
        return [flat(r)[key] for r in rounds if key in flat(r)]

    def median(self, part, kind, *key):
        values = self.all(part, kind, *key)
        return statistics.median(values) if values else None

    def spread(self, part, kind, *key):
        values = self.all(part, kind, *key)
        middle = statistics.median(values) if values else 0
        return (max(values) - min(values)) / middle if middle else 0

    def worst(self, part, kind, *key):
        """Of what is missing no median counts."""
        values = self.all(part, kind, *key)
        return max(values) if values else None


def rows(args):
    """(what is shown, part, key, format, which of the rounds)"""
    yield "highest complete rate, connections/s", "rate", ("highest rate",), "%.0f", "median"
    yield "  the load alone, with a listener who reads nothing", "ceiling", ("rate",), "%.0f", "median"
    yield "  last entry behind the last event there, s", "rate", ("behind",), "%.2f", "median"
    yield "processor time per connection at 18k/s, both ends, us", "cost", ("cpu",), "%.1f", "median"
    yield "event to entry at 18k/s, p50, ms", "cost", ("p50",), "%.2f", "median"
    yield "  p99, ms", "cost", ("p99",), "%.2f", "median"
    yield "  missing or not established, worst round", "cost", ("missing",), "%d", "worst"
    for n in args.counts:
        yield "restart with %d entries: missing, worst round" % n, "restart", (str(n), "missing"), "%d", "worst"
        yield "  until all were there, s", "restart", (str(n), "seconds"), "%.2f", "median"
        yield "  of them from the first entry on, s", "restart", (str(n), "from first"), "%.2f", "median"
        yield "  bare injection beside it, s", "restart", (str(n), "bare"), "%.2f", "median"
        yield "  times bare injection", "restart", (str(n), "of bare"), "%.2f", "median"
        yield "  the kernel's own work for it, times bare injection", "restart", (str(n), "kernel of bare"), "%.2f", "median"
        yield "  apart: times bare injection", "apart", (str(n), "of bare"), "%.2f", "median"
        yield "  apart: missing, worst round", "apart", (str(n), "missing"), "%d", "worst"
    yield "resident with %d synchronised, larger end, MB" % args.counts[-1], "restart", (str(args.counts[-1]), "MB"), "%.0f", "worst"
    yield "  at most meanwhile, MB", "restart", (str(args.counts[-1]), "peak MB"), "%.0f", "worst"
    yield "20 ms, 5 % loss, 5k/s: missing, worst round", "loss", ("missing",), "%d", "worst"
    yield "  event to entry, p50, ms", "loss", ("p50",), "%.1f", "median"
    yield "  p99, ms", "loss", ("p99",), "%.1f", "median"


def show(args, figures):
    kinds = [k for k in KINDS if k in args.kinds]
    names = [{"conntrackd": "conntrackd", "masked": "c. masked", "dsaad": "dsaad"}[k] for k in kinds]
    print("\n%-58s" % "" + "".join("%20s" % n for n in names) + "%14s" % "dsaad/conntr.")
    for text, part, key, form, which in rows(args):
        line = "%-58s" % text
        for kind in kinds:
            value = getattr(figures, which)(part, kind, *key)
            spread = figures.spread(part, kind, *key)
            line += "%20s" % ("-" if value is None else form % value + (" +-%2.0f %%" % (spread * 50) if which == "median" else ""))
        ours, theirs = (getattr(figures, which)(part, k, *key) for k in ("dsaad", "conntrackd"))
        line += "%14s" % ("%.2f" % (ours / theirs) if ours is not None and theirs else "")
        print(line)
    notes = [r.get("note") for r in figures.measured.get("rate", {}).get("dsaad", []) if r.get("note")]
    if notes:
        print("dsaad's highest rate is bounded by %s in %d of %d rounds." % (notes[0], len(notes),
                                                                           len(figures.measured["rate"]["dsaad"])))


def judge(args, figures):
    """Prints each bold line with what became of it. Returns how many were missed."""
    missed = 0
    lines = []
    for part, key, words, test in MUST:
        if part == "memory":
            ours, theirs = (figures.worst("restart", k, str(args.counts[-1]), "MB") for k in ("dsaad", "conntrackd"))
        else:
            which = figures.worst if key == "missing" else figures.median
            ours, theirs = which(part, "dsaad", key), which(part, "conntrackd", key)
        if ours is not None:
            lines.append((test(ours, theirs or 0), "%s, %s: %s" % (part, key, words)))
    for n in args.counts:
        ours = figures.median("restart", "dsaad", str(n), "of bare")
        if ours is not None:
            whole = not figures.worst("restart", "dsaad", str(n), "missing")
            lines.append((whole and ours <= 3, "restart with %d: all, within 3 times bare injection" % n))
    print()
    for good, words in lines:
        print("%-8s %s" % ("reached" if good else "MISSED", words))
        missed += not good
    return missed


# ---------------------------------------------------------------- the run


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("tools")
    p.add_argument("dsaad")
    p.add_argument("--zebra", default="/usr/lib/frr/zebra")
    p.add_argument("--quick", action="store_true")
    p.add_argument("--rounds", type=int)
    p.add_argument("--only", default=",".join(PARTS))
    p.add_argument("--kinds", default=",".join(KINDS))
    p.add_argument("--keep")
    args = p.parse_args()
    args.only, args.kinds = args.only.split(","), args.kinds.split(",")
    args.rounds = args.rounds or (1 if args.quick else 3)
    args.counts = (100000,) if args.quick else (500000, 1000000)
    args.tools, args.dsaad = os.path.abspath(args.tools), os.path.abspath(args.dsaad)
    return args


def kept(args):
    try:
        with open(args.keep, encoding="ascii") as f:
            return json.load(f)
    except (TypeError, OSError, ValueError):
        return {}


def measure_all(args, measured):
    for number in range(args.rounds):
        for part in [p for p in PARTS if p in args.only]:
            for kind in [k for k in KINDS if k in args.kinds and (k == "dsaad" or part not in OURS_ALONE)]:
                rounds = measured.setdefault(part, {}).setdefault(kind, [])
                if len(rounds) > number:
                    continue
                say("round %d: %s, %s" % (number + 1, part, KINDS[kind].name))
                known = rounds[-1].get("highest rate") if rounds else None
                rounds.append(PARTS[part](args, kind, known))
                say("    %s" % json.dumps(rounds[-1]))
                if args.keep:
                    with open(args.keep, "w", encoding="ascii") as f:
                        json.dump(measured, f, indent=1)


class TableSize:
    """
    Room for both tables, which share the host's hash table: namespaces follow the host's limit. As many buckets as entries, as the
    kernel has it by itself; with fewer, each look-up of router and daemons walks a chain that this benchmark alone made. What was
    there is put back.
    """

    DIR = "/proc/sys/net/netfilter/"

    def __init__(self, wanted):
        self.wanted, self.before = wanted, {}

    def __enter__(self):
        for name in ("nf_conntrack_max", "nf_conntrack_buckets"):
            with open(self.DIR + name) as f:
                now = int(f.read())
            if now < self.wanted:
                self.before[name] = now
                self.write(name, self.wanted)

    def write(self, name, value):
        with open(self.DIR + name, "w") as f:
            f.write("%d\n" % value)

    def __exit__(self, *_):
        for name, value in self.before.items():
            self.write(name, value)


def main():
    args = arguments()
    if os.geteuid() != 0 or not shutil.which("conntrackd"):
        sys.exit("sync.py: needs root and conntrackd")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    measured = kept(args)
    noise = Noise()
    with TableSize(2 * max(args.counts)):
        measure_all(args, measured)
    figures = Figures(measured)
    print("%d rounds on %d processors, Linux %s; other processes used %.0f %% of one processor; +-: half the distance between the "
          "rounds' extremes" % (args.rounds, os.cpu_count(), os.uname().release, noise.share()))
    show(args, figures)
    sys.exit(1 if judge(args, figures) else 0)


if __name__ == "__main__":
    main()
