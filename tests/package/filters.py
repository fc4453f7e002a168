#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Is a BPF program attached at the ingress of an interface, by tcx (which older tools do not show) or by tc?

usage: filters.py INTERFACE          exit status 0: yes
       filters.py INTERFACE FILE     looks until FILE is gone; exit status 0: each time, and at least 20 times
"""

import ctypes
import os
import platform
import socket
import struct
import subprocess
import sys
import time

BPF_SYSCALL = {"x86_64": 321, "aarch64": 280}[platform.machine()]
BPF_PROG_QUERY = 16
BPF_TCX_INGRESS = 46


def tcx_programs(ifindex):
    """Their number; 0 as well where the kernel has no tcx."""
    attr = ctypes.create_string_buffer(struct.pack("=IIIIQII", ifindex, BPF_TCX_INGRESS, 0, 0, 0, 0, 0), 72)
    if ctypes.CDLL(None).syscall(BPF_SYSCALL, BPF_PROG_QUERY, attr, len(attr)) < 0:
        return 0
    return struct.unpack_from("=I", attr, 24)[0]


def attached(name):
    if tcx_programs(socket.if_nametoindex(name)):
        return True
    show = subprocess.run(["tc", "filter", "show", "dev", name, "ingress"], capture_output=True, check=False)
    return b"bpf" in show.stdout


def watch(name, path):
    looks = gaps = 0
    begin = time.monotonic()
    while os.path.exists(path):
        looks += 1
        if not attached(name):
            gaps += 1
            print("%.2f s after the first look: no filter" % (time.monotonic() - begin))
        time.sleep(0.005)
    print("%d looks in %.1f s, %d without a filter" % (looks, time.monotonic() - begin, gaps))
    return 0 if looks >= 20 and not gaps else 1


sys.exit(watch(*sys.argv[1:3]) if len(sys.argv) > 2 else not attached(sys.argv[1]))
