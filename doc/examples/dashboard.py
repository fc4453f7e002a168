#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Draws the dashboard of telemetry/grafana/dsaa.json as SVG, from what dsaa-exporter said in the course of time: panels, places, queries and
legends are those of the file, so the picture shows what Grafana would, in plainer lines. Debian has no Grafana to take it from.

Used by capture.py. The queries that it understands: METRIC, METRIC == N, rate(METRIC[1m]), and N * one of them; another ends it.
"""

import json
import re
import xml.sax.saxutils

UNIT_X, UNIT_Y, GAP = 40, 22, 6
WINDOW_S = 60
COLOURS = ("#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#8ab8ff", "#96d98d")
QUERY = re.compile(r"^(?:(\d+) \* )?(?:rate\((\w+)\[1m\]\)|(\w+))(?: == (\d+))?$")
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.M)


def read(text, instance):
    """{(metric, labels): value} of one answer of the exporter."""
    found = {}
    for name, labels, value in SAMPLE.findall(text):
        pairs = dict(re.findall(r'(\w+)="([^"]*)"', labels), instance=instance)
        found[name, tuple(sorted(pairs.items()))] = float(value)
    return found


def evaluate(query, samples):
    """{labels: [(time, value)]} of the query; SAMPLES: [(time, {(metric, labels): value})] in order."""
    match = QUERY.match(query)
    if not match:
        raise ValueError("not a query that can be drawn: %s" % query)
    factor, rated, plain, wanted = match.groups()
    raw = {}
    for at, values in samples:
        for (name, labels), value in values.items():
            if name == (rated or plain) and (wanted is None or value == float(wanted)):
                raw.setdefault(labels, []).append((at, value * int(factor or 1)))
    if plain:
        return raw
    return {labels: slopes(points) for labels, points in raw.items()}


def slopes(points):
    """Per second, over the last minute at each point; none before half a minute is known."""
    out = []
    for at, value in points:
        first = next(p for p in points if p[0] >= at - WINDOW_S)
        if at - first[0] >= WINDOW_S / 2:
            out.append((at, max(0, value - first[1]) / (at - first[0])))
    return out


def legend(form, labels):
    return re.sub(r"\{\{(\w+)\}\}", lambda m: dict(labels).get(m.group(1), ""), form)


def number(value, unit):
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return "%.3g %s" % (value / size, letter) + {"bps": "b/s", "pps": "p/s"}.get(unit, "")
    return ("%.3g" % value) + {"bps": " b/s", "pps": " p/s", "ms": " ms"}.get(unit, "")


def words(x, y, text, size=11, colour="#ccccdc", anchor="start"):
    return '<text x="%.1f" y="%.1f" font-size="%d" fill="%s" text-anchor="%s">%s</text>' % (
        x, y, size, colour, anchor, xml.sax.saxutils.escape(text))


def draw_numbers(box, series, unit):
    """The last value of each, one below the other."""
    x, y, _, _ = box
    out = []
    for i, (name, points) in enumerate(series):
        out.append(words(x + 12, y + 50 + 22 * i, name, 12))
        out.append(words(x + 330, y + 50 + 22 * i, number(points[-1][1], unit), 18, COLOURS[0], "end"))
    return out


def draw_lines(box, series, unit, begin, end):
    x, y, w, h = box
    left, top, right, bottom = x + 58, y + 30, x + w - 12, y + h - 50
    most = max([p[1] for _, points in series for p in points] + [0]) * 1.1 or 1
    out = []
    for i in range(3):
        at = bottom - (bottom - top) * i / 2
        out.append('<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#34363c"/>' % (left, at, right, at))
        out.append(words(left - 6, at + 4, number(most * i / 2, unit), 10, "#9fa1a8", "end"))
    for second in range(0, int(end - begin) + 1, 30):
        at = left + (right - left) * second / (end - begin)
        out.append(words(at, bottom + 14, "%d:%02d" % divmod(second, 60), 10, "#9fa1a8", "middle"))
    for i, (name, points) in enumerate(series):
        path = " ".join("%.1f,%.1f" % (left + (right - left) * (at - begin) / (end - begin), bottom - (bottom - top) * value / most)
                        for at, value in points)
        colour = COLOURS[i % len(COLOURS)]
        out.append('<polyline points="%s" fill="none" stroke="%s" stroke-width="1.5"/>' % (path, colour))
        if i < 6:
            out.append(words(x + 12 + 156 * (i % 3), bottom + 30 + 14 * (i // 3), name, 10, colour))
    return out


def draw(dashboard, samples):
    """The picture as text; DASHBOARD: the file's name."""
    with open(dashboard, encoding="utf-8") as f:
        panels = json.load(f)["panels"]
    begin, end = samples[0][0], samples[-1][0]
    height = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in panels) * UNIT_Y
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif">' % (24 * UNIT_X, height),
           "<!-- SPDX-License-Identifier: GPL-2.0-or-later; made by capture.py, do not edit -->",
           '<rect width="100%" height="100%" fill="#111217"/>']
    for p in panels:
        g = p["gridPos"]
        box = g["x"] * UNIT_X + GAP, g["y"] * UNIT_Y + GAP, g["w"] * UNIT_X - 2 * GAP, g["h"] * UNIT_Y - 2 * GAP
        out.append('<rect x="%d" y="%d" width="%d" height="%d" fill="#181b1f" stroke="#2c2f35"/>' % box)
        out.append(words(box[0] + 12, box[1] + 19, p["title"], 13))
        unit = p.get("fieldConfig", {}).get("defaults", {}).get("unit")
        series = []
        for t in p["targets"]:
            for labels, points in sorted(evaluate(t["expr"], samples).items()):
                if points:
                    series.append((legend(t["legendFormat"], labels), points))
        # of a number only what is told now counts
        if p["type"] == "stat":
            out += draw_numbers(box, [(n, pts) for n, pts in series if pts[-1][0] == end], unit)
        else:
            out += draw_lines(box, series, unit, begin, end)
    return "\n".join(out + ["</svg>", ""])
