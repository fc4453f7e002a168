#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes ./configure from configure.ac; needed once after a clone, and after a change of configure.ac.
set -e
cd "$(dirname "$0")"
exec autoreconf -fi
