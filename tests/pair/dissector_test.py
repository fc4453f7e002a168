#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""doc/protocol/dsaa.lua in tshark: the golden captures, in which every message type is, read as the text beside their bytes says;
and a real plain-text session of two daemons without anything malformed. Skipped without tshark."""

import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from pair import Pair, check, finish, need_root, skip, wait

TOP = os.environ.get("top_srcdir", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
LUA = os.path.join(TOP, "doc/protocol/dsaa.lua")
GOLDEN = os.path.join(TOP, "tests/golden")
SPEC = os.path.join(TOP, "doc/protocol/sync.rst")
# text of tests/golden/text.h -> fields, in the order of the words
WORDS = {
    "HELLO": r"version (?P<major>\d+)\.(?P<minor>\d+) from (?P<from>\d+) to (?P<to>\d+) cluster (?P<cluster>\d+) "
    r"capabilities (?P<capabilities_x>\w+) epoch (?P<epoch>\d+) digest (?P<digest_x>\w+) hold (?P<hold_time>\d+) "
    r"known (?P<known_epoch>\d+) (?P<known_seq>\d+)",
    "REFUSE": r"reason (?P<reason>\d+)",
    "GOODBYE": r"reason (?P<reason>\d+)",
    "KEEPALIVE": r"complete (?P<complete>\d) draining (?P<draining>\d)",
    "FLOWS": r"epoch (?P<epoch>\d+) records (?P<count>\d+)",
    "BULK_FLOWS": r"epoch (?P<epoch>\d+) id (?P<id>\d+) records (?P<count>\d+)",
    "AUDIT_FLOWS": r"epoch (?P<epoch>\d+) id (?P<id>\d+) records (?P<count>\d+)",
    "ACK": r"epoch (?P<epoch>\d+) seq (?P<seq>\d+) applied (?P<applied>\d+) rejected (?P<rejected>\d+)",
    "BULK_BEGIN": r"id (?P<id>\d+)",
    "BULK_END": r"id (?P<id>\d+) count (?P<count>\d+) digest (?P<digest_x>\w+)",
    "BULK_DONE": r"id (?P<id>\d+) count (?P<count>\d+) digest (?P<digest_x>\w+) rejected (?P<rejected>\d+)",
    "BULK_REQUEST": r"",
    "AUDIT_BEGIN": r"audit (?P<id>\d+)",
    "AUDIT_END": r"audit (?P<id>\d+)",
    "AUDIT_HASHES": r"audit (?P<id>\d+)",
    "AUDIT_WANT": r"audit (?P<id>\d+)",
    "AUDIT_BUSY": r"audit (?P<id>\d+)",
    "AUDIT_STATES": r"audit (?P<id>\d+)",
    "EXPECTS": r"epoch (?P<epoch>\d+) reset (?P<reset>\d+) count (?P<expects>\d+)",
    "LINES": r"kind (?P<lines_kind>\d+) cut (?P<lines_cut>\d) digest (?P<digest_x>\w+)",
    "HANDOVER": r"count (?P<handover>\d+)",
    "RESUME": r"from (?P<resume_from>\d+) to (?P<resume_to>\d+)",
}
RECORD = re.compile(r"(upsert|delete) seq (\d+) proto (\d+) zone (\d+) (\S+) (\d+) > (\S+) (\d+)(?:.* status (\w+) mark (\w+) timeout (\d+))?")


def spec_types():
    return {m[1]: int(m[0]) for m in re.findall(r"^(\d+) +([A-Z_]+) +\d+ +\d+ ", open(SPEC).read(), re.M)}


def read_golden(path):
    """[(from, type, text, [record text], bytes)]"""
    found = []
    for line in open(path):
        m = re.match(r"at \d+ (\d)>\d (\w+) ?(.*)", line)
        if m:
            found.append((int(m[1]), m[2], m[3].strip(), [], bytearray()))
        elif line.startswith(". "):
            found[-1][3].append(line[2:].strip())
        elif line.startswith("  "):
            found[-1][4].extend(bytes.fromhex(line))
    return found


def write_pcap(path, messages):
    """Each message in TCP segments of at most 1000 bytes, so that some are put together again."""
    seq = {1: 1, 2: 1}
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        for n, (sender, _, _, _, data) in enumerate(messages):
            for at in range(0, len(data), 1000):
                part = bytes(data[at : at + 1000])
                ports = (40000, 3785) if sender == 1 else (3785, 40000)
                tcp = struct.pack(">HHIIBBHHH", *ports, seq[sender], seq[3 - sender], 0x50, 0x18, 65535, 0, 0)
                seq[sender] += len(part)
                total = 20 + len(tcp) + len(part)
                ends = (bytes([172, 16, 0, sender]), bytes([172, 16, 0, 3 - sender]))
                ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, total, n, 0, 64, 6, 0, *ends)
                out.write(struct.pack("<IIII", n, at, total, total) + ip + tcp + part)


def dissect(path):
    """Each message as a list of (field, value), in order."""
    folder = os.path.dirname(path)
    script = shutil.copy(LUA, folder)
    run = ["tshark", "-X", "lua_script:" + script, "-r", path, "-2", "-Y", "dsaa", "-T", "pdml"]
    # for root, Wireshark since 4.4 reads no scripts
    who = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    done = subprocess.run(run, capture_output=True, text=True, env=dict(os.environ, HOME=folder, XDG_CONFIG_HOME=folder), **who)
    check("tshark is content", done.returncode == 0 and "Lua" not in done.stderr, done.stderr[-500:])
    found = []
    for line in done.stdout.splitlines():
        m = re.search(r'<field name="(dsaa[\w.]*)".*? show="([^"]*)"', line)
        if '<proto name="dsaa"' in line:
            found.append([])
        elif m and found:
            found[-1].append((m[1], m[2]))
        if re.search(r"_ws\.malformed|dsaa\.malformed|Lua Error|_ws\.lua\.error", line):
            check("nothing malformed", False, line)
    return found


def number(value):
    return {"True": 1, "False": 0}.get(value) if value in ("True", "False") else int(value, 0)


def same_message(golden, got):
    _, name, text, records, _ = golden
    fields = {}
    for key, value in got:
        fields.setdefault(key, []).append(value)
    wrong = []
    said = re.match(WORDS[name], text).groupdict()
    for key, value in said.items():
        base = 16 if key.endswith("_x") else 10
        key = "dsaa." + key.replace("_x", "")
        if number(fields.get(key, ["-1"])[0]) != int(value, base):
            wrong.append((key, value, fields.get(key)))
    if int(fields["dsaa.type"][0]) != spec_types()[name]:
        wrong.append(("type", name, fields["dsaa.type"]))
    if name in ("AUDIT_HASHES", "AUDIT_WANT", "AUDIT_STATES"):
        hashes = [int(w.split(":")[0], 16) for w in text.split()[2:]]
        if hashes != [number(v) for v in fields["dsaa.hash"]]:
            wrong.append("hashes")
        states = [int(w.split(":")[1], 16) for w in text.split()[2:] if ":" in w]
        if states != [number(v) for v in fields.get("dsaa.state", [])]:
            wrong.append("states")
    if len(records) != len(fields.get("dsaa.record.op", [])):
        wrong.append(("records", len(records)))
    else:
        wrong += same_records(records, got)
    return wrong


def same_records(records, got):
    parts, wrong = [], []
    for key, value in got:
        if key == "dsaa.record.op":
            parts.append({})
        if parts:
            parts[-1].setdefault(key.replace("src6", "src").replace("dst6", "dst"), value)
    for text, part in zip(records, parts):
        m = RECORD.match(text)
        op, seq, proto, zone, src, sport, dst, dport, status, mark, timeout = m.groups()
        want = {"op": 1 if op == "upsert" else 2, "seq": int(seq), "proto": int(proto), "zone": int(zone)}
        want.update(sport=int(sport), dport=int(dport))
        if status:
            want.update(status=int(status, 16), mark=int(mark, 16), timeout=int(timeout))
        bad = [k for k, v in want.items() if number(part.get("dsaa.record." + k, "-1")) != v]
        bad += [k for k, v in (("src", src), ("dst", dst)) if part.get("dsaa.record." + k) != v]
        helper = re.search(r" helper (\S+)", text)
        if helper and part.get("dsaa.attr.helper") != helper[1]:
            bad.append("helper")
        tcp = re.search(r" tcp (\d+) scale (\d+)", text)
        if tcp and (part.get("dsaa.attr.tcp_state"), part.get("dsaa.attr.tcp_scale")) != (tcp[1], tcp[2]):
            bad.append("tcp")
        if bad:
            wrong.append((text, bad, part))
    return wrong


def test_golden(folder):
    seen = set()
    for name in sorted(os.listdir(GOLDEN)):
        if not name.endswith(".txt"):
            continue
        messages = read_golden(os.path.join(GOLDEN, name))
        path = os.path.join(folder, name + ".pcap")
        write_pcap(path, messages)
        got = dissect(path)
        check("%s: all messages are found" % name, len(got) == len(messages), (len(got), len(messages)))
        for golden, found in zip(messages, got):
            seen.add(golden[1])
            wrong = same_message(golden, found)
            check("%s: %s" % (name, golden[1]), not wrong, wrong[:2])
    check("every message type of the specification", seen == set(spec_types()), set(spec_types()) ^ seen)


def test_real_session(folder):
    path = os.path.join(folder, "real.pcap")
    with Pair() as pair:
        one, two = pair.site[1], pair.site[2]
        check("up", pair.up(30))
        dump = subprocess.Popen(one.command("tcpdump", "-U", "-s0", "-i", "sync0", "-w", path, "tcp port 3785"), stderr=subprocess.DEVNULL)
        time.sleep(1)
        one.flows(0, 300, 1, 500).wait()
        one.flows(1000, 200, 1).wait()
        two.run("conntrack", "-D", "-d", "10.9.2.10", "-s", "198.18.0.15", fails=True)
        one.vty.run("dsaa audit")
        time.sleep(1)
        one.vty.run("dsaa resync")
        check("up again", wait(lambda: two.sync()["bulksReceived"] == 2 and two.sync()["state"] == "up", 15))
        check("agreed", pair.settled())
        sent = one.sync()["flowsSent"]
        two.stop()
        time.sleep(0.5)
        dump.terminate()
        dump.wait()
    got = dissect(path)
    names = {number: name for name, number in spec_types().items()}
    types = {names[int(dict(m)["dsaa.type"])] for m in got}
    want = {"HELLO", "KEEPALIVE", "FLOWS", "ACK", "BULK_BEGIN", "BULK_FLOWS", "BULK_END", "BULK_DONE", "GOODBYE", "AUDIT_BEGIN", "AUDIT_END"}
    check("the messages of a session", want <= types, want - types)
    ops = [v for m in got for k, v in m if k == "dsaa.record.op"]
    check("as many records as were sent", len(ops) >= 700 and sent <= len(ops), (sent, len(ops)))
    clients = {v for m in got for k, v in m if k == "dsaa.record.src"}
    check("connections as they were made", {"198.18.0.0", "198.18.0.15"} <= clients, sorted(clients)[:9])


def main():
    if not shutil.which("tshark"):
        skip("needs tshark")
    folder = tempfile.mkdtemp(prefix="dsaa-dissector-")
    os.chmod(folder, 0o777)
    try:
        test_golden(folder)
        need_root()
        if shutil.which("tcpdump"):
            test_real_session(folder)
    finally:
        shutil.rmtree(folder)
    finish()


main()
