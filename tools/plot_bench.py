#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""plot_bench.py RESULT.json [--svg FOLDER]: tables and plots of what aatgs_bench --json wrote.

Prints Markdown tables, the first of what the project aims at and whether this run reached it; with
--svg also draws, for each class of roads, the time per config over the step length, and each sweep
of a size or a count. Shows what the file holds, which may be a part of all figures only. The same input always gives the same output. Leaves with status 2 if the input is
not such a result or the output cannot be written.
"""

import argparse
import json
import math
import pathlib
import re
import sys
from typing import NamedTuple
from xml.sax.saxutils import escape

import script_output

OURS = "resident"
CLASSES = {
    "closed": "Closed loop: the next config depends on the last telemetry",
    "fed4": "Fed, depth 4: a config may depend on telemetry 4 steps old",
    "fed16": "Fed, depth 16: a config may depend on telemetry 16 steps old",
    "fed64": "Fed, depth 64: a config may depend on telemetry 64 steps old",
    "known": "Known batch: all configs are known beforehand",
}
SCOPES = {"block": "one block a config", "grid": "all blocks a config"}
STEPS = {"spin": "spins on the GPU's timer", "stream": "streams memory"}
# Roads by the beginning of their names, the longest first: label, marker, dashes. Of roads with the
# same label the fastest at each length is shown.
FAMILIES = (
    ("resident", "resident", "disc", ""),
    ("graph_sync", "sync mode as a graph", "cross", "2 3"),
    ("graph", "CUDA graph", "square", "8 3"),
    ("value", "launch by value", "up", "5 3"),
    ("streams", "streams and events", "diamond", "8 3 2 3"),
    ("bundle", "configs in one launch", "circle", "10 2 2 2 2 2"),
    ("one_launch", "one launch for all", "circle", "10 2 2 2 2 2"),
    ("sync", "sync mode", "down", "1 3"),
)
# What the numbers of a sweep count; the name itself where it is not here.
SWEPT = {
    "size": "bytes of a config",
    "slots": "slots of each ring",
    "threads": "host threads",
    "workers": "worker blocks",
}
# What the project aims at in each check: at most or at least. A run may miss some of it;
# `triple_1_1` and `triple_1_10` ask for more than the bus of an H200 allowed (`triple_..._floor`).
AIMS = {
    "roundtrip_block": ("<=", 1.20),
    "roundtrip_block_p99": ("<=", 1.6),
    "roundtrip_grid": ("<=", 1.9),
    "grid_step": ("<=", 1.25),
    "configs_per_s_1": (">=", 20e6),
    "configs_per_s_4": (">=", 35e6),
    "bytes_4k": (">=", 0.6),
    "try_queue_ns": ("<=", 60),
    "poll_ns": ("<=", 40),
    "closed_loop_block": (">=", 2.4),
    "closed_loop_grid": (">=", 1.5),
    "fed16_grid": (">=", 2.5),
    "fed16_block": (">=", 1.5),
    "fed_worst": (">=", 1.0),
    "long_worst": (">=", 0.99),
    "known_batch_grid_0us": (">=", 0.6),
    "known_batch_grid_10us": (">=", 0.95),
    "automatic_worst": (">=", 0.98),
    "jacobi_512": (">=", 1.5),
    "jacobi_2048": (">=", 1.5),
    "jacobi_4096": (">=", 1.5),
    "cg_small": (">=", 3),
    "cg_large": (">=", 1.2),
    "whcr_launch": (">=", 6),
    "whcr_graph": (">=", 3.5),
    "defaults": (">=", 0.9),
    "park_first_config": ("<=", 3),
    "park_wait_ms": ("<=", 20),
    "triple_1_1": (">=", 2.8),
    "triple_10_1": (">=", 1.18),
    "triple_1_10": (">=", 2.0),
    "triple_2_5_2": (">=", 1.75),
    "coordinator_us": ("<=", 1),
    "parallel_phases": (">=", 3.5),
    "load_balanced": (">=", 1.3),
    "graph_pipeline": (">=", 2),
    "allocator": (">=", 20),
    "allocator_growth_mib": ("<=", 0),
    "telemetry_on": ("<=", 1.01),
    "statistics_page": ("<=", 1.01),
}


class BadInput(Exception):
    """The input is not a result of aatgs_bench; the message is one sentence."""


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def read_result(path):
    try:
        result = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise BadInput(f"{path}: not JSON ({error})") from error
    if not isinstance(result, dict) or result.get("format") != "aatgs-bench":
        raise BadInput(f"{path}: not a result of aatgs_bench --json")
    if result.get("version") != 2:
        raise BadInput(f"{path}: version {result.get('version')!r} of the format, this reads 2")
    for key, kind in (("machine", str), ("driver", str), ("date", str), ("figures", dict),
                      ("checks", dict)):
        if not isinstance(result.get(key), kind):
            raise BadInput(f"{path}: '{key}' is missing or of the wrong kind")
    for name, figure in result["figures"].items():
        check_figure(path, name, figure)
    for key, value in result["checks"].items():
        if not is_number(value):
            raise BadInput(f"{path}: check '{key}' is not a number")
    return result


def check_figure(path, name, figure):
    if not isinstance(figure, dict):
        raise BadInput(f"{path}: figure '{name}' is not an object")
    for key in ("group", "road", "unit"):
        if not isinstance(figure.get(key), str):
            raise BadInput(f"{path}: figure '{name}' has no '{key}'")
    for key in ("p01", "p50", "p99"):
        if not is_number(figure.get(key)) or figure[key] < 0:
            raise BadInput(f"{path}: figure '{name}' has no '{key}' of 0 or more")
    if figure["group"] in CLASSES:
        if figure.get("scope") not in SCOPES or figure.get("step") not in STEPS:
            raise BadInput(f"{path}: figure '{name}' has no known scope and step")
        if not is_number(figure.get("step_us")) or figure["step_us"] < 0 or figure["p50"] <= 0:
            raise BadInput(f"{path}: figure '{name}' has no step length, or takes no time")


def family_of(road):
    for prefix, label, _, _ in FAMILIES:
        if road.startswith(prefix):
            return label
    return road


def lines_of(result, group, step, scope):
    """{label: {step length: median}} of one class, the fastest road of each label."""
    lines = {}
    for figure in result["figures"].values():
        if (figure["group"], figure.get("step"), figure.get("scope")) != (group, step, scope):
            continue
        line = lines.setdefault(family_of(figure["road"]), {})
        length = figure["step_us"]
        line[length] = min(figure["p50"], line.get(length, math.inf))
    order = [family[1] for family in FAMILIES]
    rank = {label: i for i, label in enumerate(order)}
    return dict(sorted(lines.items(), key=lambda item: (rank.get(item[0], len(order)), item[0])))


def short(value, digits=3):
    """So many digits that count, without an exponent."""
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def length_text(us):
    return f"{short(us / 1000)} ms" if us >= 1000 else f"{short(us)} us"


# ---- tables -------------------------------------------------------------------------------------

def table(head, rows):
    yield "| " + " | ".join(head) + " |"
    yield "| " + " | ".join(["---"] + ["---:"] * (len(head) - 1)) + " |"
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def check_rows(checks):
    for key, value in sorted(checks.items(), key=lambda item: place(list(AIMS), item[0])):
        sign, bound = AIMS.get(key, ("", None))
        if bound is None:
            yield [f"`{key}`", number(value), "", ""]
            continue
        measured, aim = told_apart(value, bound)
        reached = value <= bound if sign == "<=" else value >= bound
        missed = missed_text(sign, bound, checks.get(f"{key}_floor"))
        yield [f"`{key}`", measured, f"{sign} {aim}", "yes" if reached else missed]


def missed_text(sign, bound, at_best):
    """`at_best`: what the machine of this run allows, where that was measured."""
    if sign == ">=" and at_best is not None and at_best < bound:
        return f"no: at best {number(at_best)}"
    return "no"


def told_apart(value, bound):
    """Both, with as many digits as show which is greater."""
    texts = number(value), number(bound)
    digits = 4
    while value != bound and texts[0] == texts[1] and digits <= 17:
        texts = number(value, digits), number(bound, digits)
        digits += 1
    return texts


def place(order, key):
    return (order.index(key) if key in order else len(order), key)


def number(value, digits=3):
    return f"{value / 1e6:.{digits - 2}f} M" if abs(value) >= 1e6 else short(value, digits)


def class_tables(result):
    for step, step_text in STEPS.items():
        for group, title in CLASSES.items():
            for scope, scope_text in SCOPES.items():
                lines = lines_of(result, group, step, scope)
                if not lines:
                    continue
                lengths = sorted({length for line in lines.values() for length in line})
                yield f"**{title}** ({scope_text}; the step {step_text}). Medians, us per config."
                yield ""
                head = ["step length"] + [length_text(length) for length in lengths]
                yield from table(head, class_rows(lines, lengths))


def class_rows(lines, lengths):
    for label, line in lines.items():
        yield [label] + [short(line[length]) if length in line else "" for length in lengths]
    ours = lines.get(OURS, {})
    ratios = []
    for length in lengths:
        others = [line[length] for label, line in lines.items()
                  if label not in (OURS, "automatic") and length in line]
        known = others and length in ours
        ratios.append(f"{min(others) / ours[length]:.2f}" if known else "")
    if any(ratios):
        yield ["best other / resident"] + ratios


def other_groups(result):
    """{group: {label within it: figure}} of all that is not in a class of roads."""
    groups = {}
    for name, figure in result["figures"].items():
        group = figure["group"]
        if group not in CLASSES:
            groups.setdefault(group, {})[name.removeprefix(group + "/")] = figure
    return groups


def other_tables(result):
    for group, figures in other_groups(result).items():
        ours = figures.get(OURS)
        compared = ours is not None and ours["p50"] > 0 and len(figures) > 1
        what = {figure.get("what") for figure in figures.values()}
        if len(figures) > 1 and len(what) == 1 and isinstance(text := what.pop(), str):
            yield f"**{group.replace('_', ' ')}**: {text}."
            yield ""
        head = [group.replace("_", " "), "p01", "p50", "p99", "unit"]
        rows = [[label.replace("_", " "), short(f["p01"]), short(f["p50"]), short(f["p99"]),
                 f["unit"]] + ([advantage(ours, f)] if compared else [])
                for label, f in figures.items()]
        yield from table(head + (["resident is faster"] if compared else []), rows)


def advantage(ours, other):
    """How many times faster ours is: of times the smaller is the better, of rates the greater."""
    if other is ours or other["unit"] != ours["unit"] or other["p50"] <= 0:
        return ""
    ratio = other["p50"] / ours["p50"]
    return f"{1 / ratio if ours['unit'].endswith('/s') else ratio:.2f} x"


def markdown(result):
    yield f"{result['machine']}, driver {result['driver']}, {result['date']}."
    yield ""
    if result["checks"]:
        yield from table(["check", "measured", "aimed at", "reached"], check_rows(result["checks"]))
    yield from other_tables(result)
    yield from class_tables(result)


# ---- plots --------------------------------------------------------------------------------------

class Frame(NamedTuple):
    """Where the axes of a plot lie; `labels`: room for the lines' names before the first point."""
    width: int
    height: int
    left: int = 60
    right: int = 20
    top: int = 56
    bottom: int = 52
    labels: int = 0

    def end(self):
        return self.width - self.right

    def floor(self):
        return self.height - self.bottom


ROADS = Frame(760, 500, labels=190)
SWEEP = Frame(460, 300, labels=25)


def marker(shape, x, y):
    """A mark; hollow ones are filled white, so that lines behind them do not show through."""
    r = 4.5
    corners = {
        "square": [(-r, -r), (r, -r), (r, r), (-r, r)],
        "up": [(-r, r), (0, -r - 1), (r, r)],
        "down": [(-r, -r), (0, r + 1), (r, -r)],
        "diamond": [(-r - 1, 0), (0, -r - 1), (r + 1, 0), (0, r + 1)],
    }
    if shape in corners:
        points = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners[shape])
        return f'<polygon points="{points}" fill="white" stroke="#444"/>'
    if shape == "cross":
        return (f'<path d="M{x - r:.1f} {y - r:.1f}L{x + r:.1f} {y + r:.1f}M{x - r:.1f} {y + r:.1f}'
                f'L{x + r:.1f} {y - r:.1f}" stroke="#444" stroke-width="1.6"/>')
    fill = "black" if shape == "disc" else "white"
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}" fill="{fill}" stroke="black"/>'


def spread(wanted, gap, low, high):
    """Heights near the wanted ones, at least `gap` apart, from `low` to `high`."""
    order = sorted(range(len(wanted)), key=lambda i: (wanted[i], i))
    got = [0.0] * len(wanted)
    floor = low
    for i in order:
        got[i] = max(wanted[i], floor)
        floor = got[i] + gap
    ceiling = high
    for i in reversed(order):
        got[i] = min(got[i], ceiling)
        ceiling = got[i] - gap
    return got


class Axes:
    """Lengths, sizes or counts side by side, logarithmic values upwards."""

    def __init__(self, frame, places, values, title, text_of):
        self.frame = frame
        self.places = places
        self.title = title
        self.text_of = text_of
        self.low = math.log10(min(values)) - 0.15
        self.high = math.log10(max(values)) + 0.1

    def x(self, place):
        first, last = self.frame.left + self.frame.labels, self.frame.end() - 20
        count = max(1, len(self.places) - 1)
        return first + (last - first) * self.places.index(place) / count

    def y(self, value):
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.frame.floor() - share * (self.frame.floor() - self.frame.top)

    def ticks(self):
        steps = (1, 2, 5) if self.high - self.low < 4.5 else (1,)
        if self.high - self.low < 0.5:
            steps = (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)
        for power in range(math.floor(self.low), math.ceil(self.high)):
            for step in steps:
                value = step * 10.0 ** power
                if self.low <= math.log10(value) <= self.high:
                    yield value

    def draw(self):
        left, end, floor = self.frame.left, self.frame.end(), self.frame.floor()
        for value in self.ticks():
            y = self.y(value)
            yield f'<path d="M{left} {y:.1f}H{end}" stroke="#ccc"/>'
            yield f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{short(value)}</text>'
        for place in self.places:
            x = self.x(place)
            yield f'<path d="M{x:.1f} {floor}v5" stroke="#444"/>'
            yield (f'<text x="{x:.1f}" y="{floor + 19}" text-anchor="middle">'
                   f"{self.text_of(place)}</text>")
        yield f'<path d="M{left} {self.frame.top}V{floor}H{end}" stroke="#444" fill="none"/>'
        yield (f'<text x="{self.x(self.places[0]):.1f}" y="{self.frame.height - 10}">'
               f"{escape(self.title)}</text>")


def style_of(label):
    for _, name, shape, dashes in FAMILIES:
        if name == label:
            return shape, dashes
    return "circle", "3 2"


def draw_line(axes, label, line, label_y):
    shape, dashes = style_of(label)
    ours = label == OURS
    points = [(axes.x(length), axes.y(line[length])) for length in sorted(line)]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    dash = f' stroke-dasharray="{dashes}"' if dashes else ""
    yield (f'<path d="{path}" fill="none" stroke="{"black" if ours else "#444"}" '
           f'stroke-width="{2.6 if ours else 1.4}"{dash}/>')
    x, y = points[0]
    text_end = axes.frame.left + axes.frame.labels - 38
    yield (f'<path d="M{text_end + 4} {label_y:.1f}L{x - 8:.1f} {y:.1f}" stroke="#999" '
           'stroke-width="0.8"/>')
    for point in points:
        yield marker(shape, *point)
    yield (f'<text x="{text_end}" y="{label_y + 4:.1f}" text-anchor="end"'
           f'{" font-weight=" + chr(34) + "bold" + chr(34) if ours else ""}>{escape(label)}</text>')


def svg(frame, title, subtitle, body):
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {frame.width} {frame.height}" '
           f'width="{frame.width}" height="{frame.height}" font-family="sans-serif" '
           'font-size="12">')
    yield f"<title>{escape(title)}</title>"
    yield f'<rect width="{frame.width}" height="{frame.height}" fill="white"/>'
    yield f'<text x="12" y="22" font-size="15" font-weight="bold">{escape(title)}</text>'
    yield f'<text x="12" y="42">{escape(subtitle)}</text>'
    yield from body
    yield "</svg>"


def roads_plot(lines):
    lengths = sorted({length for line in lines.values() for length in line})
    values = [value for line in lines.values() for value in line.values()]
    axes = Axes(ROADS, lengths, values, "length of the step", length_text)
    starts = [axes.y(line[min(line)]) for line in lines.values()]
    heights = spread(starts, 15, ROADS.top + 8, ROADS.floor() - 8)
    yield from axes.draw()
    # The resident line last, above the others.
    for label, height in sorted(zip(lines, heights), key=lambda item: item[0] == OURS):
        yield from draw_line(axes, label, lines[label], height)


def sweeps_of(result):
    """(group, what is swept, {number: figure}, the figure as given) of at least three points: roads
    named 16, 64, ... or slots_4, slots_16, ..."""
    for group, figures in other_groups(result).items():
        sweeps = {}
        for label, figure in figures.items():
            match = re.fullmatch(r"(?:([a-z_]+)_)?(\d+)", label)
            if match and min(figure["p01"], figure["p50"], figure["p99"]) > 0:
                sweeps.setdefault((match[1] or "", figure["unit"]), {})[int(match[2])] = figure
        for (swept, unit), points in sweeps.items():
            given = figures.get("default")
            if given is not None and (given["unit"] != unit or given["p50"] <= 0):
                given = None
            if len(points) >= 3:
                yield group, swept, dict(sorted(points.items())), given


def sweep_plot(swept, points, given):
    values = [figure[key] for figure in points.values() for key in ("p01", "p50", "p99")]
    values += [given["p50"]] if given else []
    axes = Axes(SWEEP, list(points), values, swept, str)
    yield from axes.draw()
    if given:
        y = axes.y(given["p50"])
        yield (f'<path d="M{SWEEP.left} {y:.1f}H{SWEEP.end()}" stroke="black" '
               'stroke-dasharray="2 3"/>')
        yield (f'<text x="{SWEEP.end()}" y="{y - 5:.1f}" text-anchor="end" font-style="italic">'
               "as given</text>")
    path = "L".join(f"{axes.x(n):.1f} {axes.y(f['p50']):.1f}" for n, f in points.items())
    yield f'<path d="M{path}" fill="none" stroke="black" stroke-width="2"/>'
    for n, figure in points.items():
        x = axes.x(n)
        yield (f'<path d="M{x:.1f} {axes.y(figure["p01"]):.1f}V{axes.y(figure["p99"]):.1f}" '
               'stroke="#444"/>')
        yield marker("disc", x, axes.y(figure["p50"]))


def write_plots(result, folder):
    folder.mkdir(parents=True, exist_ok=True)

    def write(name, frame, title, subtitle, body):
        text = "\n".join(svg(frame, title, subtitle, body)) + "\n"
        (folder / f"{re.sub('[^A-Za-z0-9._-]', '_', name)}.svg").write_text(text, encoding="utf-8")

    for step, step_text in STEPS.items():
        for group, title in CLASSES.items():
            for scope, scope_text in SCOPES.items():
                lines = lines_of(result, group, step, scope)
                if not lines:
                    continue
                subtitle = (f"us per config, medians; {scope_text}; the step {step_text}; "
                            f"{result['machine']}")
                write(f"{group}-{step}-{scope}", ROADS, title, subtitle, roads_plot(lines))
    for group, swept, points, given in sweeps_of(result):
        unit = next(iter(points.values()))["unit"]
        name = f"{group}-{swept}" if swept else group
        title = group.replace("_", " ") + (f", {swept.replace('_', ' ')}" if swept else "")
        subtitle = f"{unit}, medians with p01 to p99; {result['machine']}"
        axis = swept or group.split("_")[0]
        axis = SWEPT.get(axis, axis.replace("_", " "))
        write(name, SWEEP, title, subtitle, sweep_plot(axis, points, given))


def main():
    parser = argparse.ArgumentParser(
        description="Markdown tables, and plots, of what aatgs_bench --json wrote.")
    parser.add_argument("result", metavar="RESULT.json")
    parser.add_argument("--svg", metavar="FOLDER", type=pathlib.Path, help="also draw plots here")
    arguments = parser.parse_args()
    try:
        result = read_result(arguments.result)
        if arguments.svg is not None:
            write_plots(result, arguments.svg)
        script_output.print_whole("\n".join(markdown(result)).rstrip())
    except (BadInput, OSError) as error:
        print(f"plot_bench: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
