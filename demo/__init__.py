# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo: a script over the commands of the lab."""
