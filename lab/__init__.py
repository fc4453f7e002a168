# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab: two sites between two providers and a server, in namespaces."""
