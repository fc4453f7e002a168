#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# VRF devices, which the development machine's kernel has not: prefixes announced in a VRF by a real bgpd, and a UIPS on an interface of
# one.

. "$(dirname "$0")/lib.sh"

modprobe vrf || exit 1
cd "$OBJ" || exit 1
export PYTHONDONTWRITEBYTECODE=1
part vrf 600 /usr/bin/python3 "$TOP/tests/cli/test_vrf.py"
