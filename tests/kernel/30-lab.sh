#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The lab with FRR and dsaad: asymmetric traffic and the death of a site, in the kernel's path and in the queue's; the protocols that this
# kernel tracks, or not.

. "$(dirname "$0")/lib.sh"

export PYTHONDONTWRITEBYTECODE=1
part lab-auto 1200 /usr/bin/python3 "$TOP/tests/kernel/lab.py" auto
part lab-nfqueue 1200 /usr/bin/python3 "$TOP/tests/kernel/lab.py" nfqueue
part lab-protocols 1200 /usr/bin/python3 "$TOP/tests/kernel/lab.py" protocols
