#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line of the lab; see README.md in this folder."""

import argparse
import json
import os
import signal
import sys

sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from lab import scenarios  # noqa: E402
from lab.control import Lab, LabError, exec_in  # noqa: E402

PICTURE = """\
client --- isp1 ---+--- site1 ---+--- inside --- server
       \\-- isp2 ---+--- site2 ---+        (site1 === site2: the site-sync link)
"""


class Parser(argparse.ArgumentParser):
    """Errors are one sentence."""

    def error(self, message):
        self.exit(1, "lab: %s (see lab --help)\n" % message)


def arguments():
    parser = Parser(prog="lab", description="Two sites in namespaces.")
    parser.add_argument("--name", default="default", help="one of several labs")
    # --name may also stand behind the command's word
    name = Parser(add_help=False)
    name.add_argument("--name", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=Parser)

    def command(word, text):
        return commands.add_parser(word, help=text, parents=[name])

    start = command("start", "build it and wait until all is up")
    start.add_argument("--sites", type=int, default=2)
    start.add_argument("--family", default="both", help="4, 6 or both")
    start.add_argument("--nat", default="snat", help="none, snat, dnat or both")
    start.add_argument("--mode", default="auto", help="auto, kernel or nfqueue")
    start.add_argument("--bfd", default="4x100", help="multiplier and interval, as 4x100")
    start.add_argument("--config", metavar="FOLDER", help="site1.conf, site1.nft, ... and dsaa.conf for the sites")
    start.add_argument("--static-uips", action="store_true", help=argparse.SUPPRESS)

    run = command("exec", "run a command in a node")
    run.add_argument("node")
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")
    shell = command("vtysh", "the vtysh of a node")
    shell.add_argument("node")
    shell.add_argument("-c", action="append", default=[], metavar="COMMAND")
    path = command("path", "which site the packets of a direction take")
    path.add_argument("direction", help="forward or return")
    path.add_argument("site")
    reboot = command("reboot", "shut a router down and start it again")
    reboot.add_argument("node")
    for word, text in (("cut", "power cut of a node, sync or a link"), ("heal", "end of it")):
        cut = command(word, text)
        cut.add_argument("--oneway", action="store_true", help="only from a to b")
        cut.add_argument("what", help="NODE, sync or a link a-b")
    delay = command("delay", "delay and loss on the site-sync link")
    delay.add_argument("what", help="sync")
    delay.add_argument("msec", help="milliseconds that a packet takes longer; 0: none")
    delay.add_argument("loss", nargs="?", default="0", help="per cent of the packets that get lost")
    status = command("status", "what runs")
    status.add_argument("--json", action="store_true")
    play = command("scenario", "play what can happen to two sites, and judge it")
    play.add_argument("scenario", metavar="NAME|all|list")
    command("stop", "remove everything")
    command("help", "this text")
    args = parser.parse_args()
    if args.command == "help":
        parser.print_help()
        parser.exit()
    return args


def do_start(lab, args):
    def say(text):
        print("  %s" % text, flush=True)

    print("Lab %s starts:" % lab.name, flush=True)
    seconds = lab.start(
        say,
        sites=args.sites,
        family=args.family,
        nat=args.nat,
        mode=args.mode,
        bfd=args.bfd,
        static_uips=args.static_uips,
        config=args.config and os.path.abspath(args.config),
    )
    print("Lab %s is up after %.1f s.\n\n%s" % (lab.name, seconds, PICTURE))
    option = "" if lab.name == "default" else "--name %s " % lab.name
    print("Enter a node:")
    for node in lab.top.nodes():
        print("  ./quickstart lab %sexec %s bash" % (option, node))
    print("Talk to a router: ./quickstart lab %svtysh site1" % option)


def do_status(lab, args):
    if args.json:
        print(json.dumps(lab.status(), indent=2))
        return
    found = lab.status()
    words = ", ".join("%s %s" % (k, v) for k, v in found["options"].items())
    words = words.replace("static_uips False", "").replace("config None", "").rstrip(", ")
    print("Lab %s runs: %s" % (lab.name, words))
    for node, n in found["nodes"].items():
        dark = "  CUT" if node in found["cuts"] else ""
        print("  %-7s pid %-7d %s%s" % (node, n["pid"], " ".join(n["daemons"]), dark))
    print("Cut: %s" % (", ".join(found["cuts"]) or "nothing"))
    if found["delay"]:
        print("The site-sync link takes %g ms longer and loses %g %%." % tuple(found["delay"]))
    for node, routes in found["paths"].items():
        for prefix, site in routes.items():
            print("  %-7s %-20s -> %s" % (node, prefix, "site%d" % site if site else "nowhere"))
    for node, d in found["dsaa"].items():
        peers = ", ".join(
            "peer %s %s" % (p, v.get("state")) for p, v in d.get("peers", {}).items()
        )
        whole = "complete" if d.get("stateComplete") else "not complete"
        print("  %-7s dsaad: state %s, %s" % (node, d.get("error", whole), peers or "no peer"))


def site_number(word):
    try:
        return int(word[4:] if word.startswith("site") else word)
    except ValueError:
        raise LabError("'%s' is no site: give its number." % word)


def number(word, what):
    try:
        return float(word)
    except ValueError:
        raise LabError("'%s' is no number: give the %s." % (word, what))


def dispatch(lab, args):
    if args.command == "start":
        do_start(lab, args)
    elif args.command == "stop":
        was = lab.stop()
        print("Lab %s is removed." % lab.name if was else "No lab %s ran." % lab.name)
    elif args.command == "status":
        do_status(lab, args)
    elif args.command == "scenario":
        if args.scenario == "list":
            print("\n".join(scenarios.listed()))
        else:
            scenarios.names(args.scenario)
            scenarios.play(lab.open(), args.scenario, lambda text: print(text, flush=True))
    elif args.command == "delay":
        ms, loss = number(args.msec, "delay in ms"), number(args.loss.rstrip("%"), "loss in per cent")
        lab.delay(args.what, ms, loss)
        print("A packet on the site-sync link takes %g ms longer, %g %% get lost." % (ms, loss))
    elif args.command == "path":
        seconds = lab.path(args.direction, site_number(args.site))
        site = site_number(args.site)
        words = (args.direction.capitalize(), site, seconds)
        print("%s traffic goes through site %d (after %.1f s)." % words)
    elif args.command == "reboot":
        lab.reboot(args.node)
        print("%s has started again." % args.node)
    elif args.command in ("cut", "heal"):
        getattr(lab, args.command)(args.what, args.oneway)
        print("%s is %s." % (args.what, "cut" if args.command == "cut" else "healed"))
    else:
        enter(lab.open(), args)
    return 0


def enter(lab, args):
    """exec and vtysh: does not return."""
    if args.command == "vtysh":
        argv = ["vtysh"]
        for c in args.c:
            argv += ["-c", c]
        exec_in(lab.router(args.node), argv)
    words = args.words[1:] if args.words[:1] == ["--"] else args.words
    if not words:
        raise LabError("Say which command to run in %s." % args.node)
    exec_in(lab.node(args.node), words)


def main():
    # Being asked to end is like Ctrl-C: what was begun is taken back.
    # Both are set: a shell starts background jobs with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    args = arguments()
    try:
        return dispatch(Lab(args.name), args)
    except LabError as e:
        print("lab: %s" % e, file=sys.stderr)
    except KeyboardInterrupt:
        print("lab: interrupted.", file=sys.stderr)
    except BrokenPipeError:
        # Who read our output has gone; nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


if __name__ == "__main__":
    sys.exit(main())
