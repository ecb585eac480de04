#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""roads_page.py RESULT.json FOLDER: writes roads.md and roads.svg, which road for which solver.

From what aatgs_bench --json wrote: how long a step may be for each road to pay, and what streams,
graphs and whole solvers gained. The same input always gives the same output. Leaves with status 2
if the input is not such a result.
"""

import argparse
import pathlib
import sys
from typing import NamedTuple
from xml.sax.saxutils import escape

import plot_bench
from plot_bench import CLASSES, OURS, SCOPES, STEPS, length_text

EVEN = 0.02  # so little nobody should choose a road for
SHORT_CLASSES = {
    "closed": "one at a time",
    "fed4": "4 in flight",
    "fed16": "16 in flight",
    "fed64": "64 in flight",
    "known": "all known before",
}
SHORT_ROADS = {
    "CUDA graph": "graph",
    "launch by value": "launch",
    "configs in one launch": "bundle",
    "one launch for all": "bundle",
    "streams and events": "streams",
    "sync mode": "sync",
    "sync mode as a graph": "sync",
}
PAGE = """\
# Which road for which solver

All figures: {machine}, driver {driver}, {date}, one run, medians, from [{source}]({source}).
This page is made by `tools/roads_page.py`.

A *road* is a way for a step to get to the GPU: the resident kernel (executor `resident`), a launch
by value that the host polls (`launch_queue`), copies, a launch and a wait (`launch`, or as a graph
`graph`), a CUDA graph of many steps (`graph_queue`), many configs in one launch (what
`execute_batch` of `automatic` may take, as it may a graph), or streams with events. The same step
runs on all of them, so measure yours: `automatic` does, and `reason()` tells what it saw.

## In short

{rules}
## How long a step may be

The best other road's time over the resident kernel's; *even* is within {even} %. Only the lengths
that were measured are told.

{crossovers}
![Best other road over the resident kernel, by length of the step](roads.svg)

## Not settled yet, or streams beside the steps: `ManagedGpuContext`

It runs the same step in sync, triple-buffered or resident, by its option `step_mode` alone, so take
it where you want to try these on your solver without another line changed, or where steps need
streams beside them: for data larger than a config, which has at most 4096 bytes, and for phases. If
the road is settled and there are no streams, take the `GpuExecutionContext` beneath it.

{managed}
`triple_buffered` has several steps on their way, so the host must not need the last telemetry for
the next config; it has no figure of its own yet, but is made of `GpuTripleBuffer`, as which
`create_triple_buffer` was measured. The figure of `phases()` is that of the same four kernels on
streams of `MultiStreamCoordinator`.

## Large transfers, many kernels, tasks

{streams}
## Whole solvers

{solvers}
"""


class Point(NamedTuple):
    """One length of step: how many times as long as `resident` the best other road takes."""
    length: float
    gain: float
    other: str

    def verdict(self):
        if self.gain >= 1 + EVEN:
            return "ours"
        return "even" if self.gain > 1 - EVEN else "other"


def points_of(result, group, step, scope, only=None):
    """Of each length where both were measured, the shortest first. `only`: label of the only other
    road that counts."""
    lines = plot_bench.lines_of(result, group, step, scope)
    others = {label: line for label, line in lines.items()
              if label not in (OURS, "automatic") and only in (None, label)}
    points = []
    for length, ours in sorted(lines.get(OURS, {}).items()):
        at = [(line[length], label) for label, line in others.items() if length in line]
        if at:
            best, label = min(at)
            points.append(Point(length, best / ours, label))
    return points


def segments(points, verdict):
    """[points in a row that have this verdict, each as (first, last) place]."""
    found = []
    for place, point in enumerate(points):
        if point.verdict() != verdict:
            continue
        if found and found[-1][1] == place - 1:
            found[-1] = (found[-1][0], place)
        else:
            found.append((place, place))
    return found


def range_text(points, first, last):
    low, high = length_text(points[first].length), length_text(points[last].length)
    if first == 0 and last == len(points) - 1:
        return f"{low} to {high}"
    if last == len(points) - 1:
        return f"from {low} on"
    if first == 0:
        return f"up to {high}"
    return low if first == last else f"{low} to {high}"


def times(gain):
    return f"{gain:.2f} x"


def span(gains):
    low, high = min(gains), max(gains)
    return times(high) if times(low) == times(high) else f"{low:.2f} to {times(high)}"


def cell(points, verdict):
    """What holds of the lengths with this verdict, for a table."""
    texts = []
    for first, last in segments(points, verdict):
        text = range_text(points, first, last)
        part = points[first:last + 1]
        if verdict == "ours":
            text += f": {span([p.gain for p in part])}"
        elif verdict == "other":
            roads = list(dict.fromkeys(p.other for p in part))
            text += f": {', '.join(roads)}, {span([1 / p.gain for p in part])}"
        texts.append(text)
    return "; ".join(texts) or "-"


def classes_of(result, step):
    """(group, scope, points) of what was measured."""
    for group in CLASSES:
        for scope in SCOPES:
            points = points_of(result, group, step, scope)
            if points:
                yield group, scope, points


STREAM_CAVEAT = (
    "What a step that streams memory takes in one block depends on how many loads the compiler keeps",
    "on their way in the kernel around it, and that may differ by road.",
    "",
)


def crossovers(result):
    for step, step_text in STEPS.items():
        rows = [[f"{SHORT_CLASSES[group]}, {SCOPES[scope]}"]
                + [cell(points, verdict) for verdict in ("ours", "even", "other")]
                for group, scope, points in classes_of(result, step)]
        if not rows:
            continue
        yield f"The step {step_text}:"
        yield ""
        yield from text_table(["configs", "resident is faster", "even", "another road is faster"],
                              rows)
        if step == "stream":
            yield from STREAM_CAVEAT


def text_table(head, rows):
    yield "| " + " | ".join(head) + " |"
    yield "|" + " --- |" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


# ---- in short -----------------------------------------------------------------------------------

class Rule(NamedTuple):
    solver: str
    road: str
    group: str
    step: str
    scope: str
    verdict: str  # which of the lengths speak for the road


RULES = (
    Rule("the host decides each step by the last telemetry, one block", "`resident`",
         "closed", "spin", "block", "ours"),
    Rule("the same, all SMs", "`resident`", "closed", "spin", "grid", "ours"),
    Rule("many independent steps, one block each, fed as they come", "`resident`",
         "fed16", "spin", "block", "ours"),
    Rule("steps on all SMs one after the other, a few queued ahead", "`resident`",
         "fed16", "spin", "grid", "ours"),
    Rule("64 steps on all SMs known ahead", "CUDA graph: `graph_queue`, or `automatic`",
         "fed64", "spin", "grid", "other"),
    Rule("all steps known before, one block each", "one launch: `execute_batch` of `automatic`",
         "known", "spin", "block", "other"),
    Rule("all steps known before, all SMs", "CUDA graph: `execute_batch` of `automatic`",
         "known", "spin", "grid", "other"),
    Rule("the host decides each step, which streams memory, one block", "`resident`",
         "closed", "stream", "block", "ours"),
    Rule("the same, all SMs", "`resident`", "closed", "stream", "grid", "ours"),
)


def rules(result):
    rows = []
    for rule in RULES:
        points = points_of(result, rule.group, rule.step, rule.scope)
        if points:
            kept = cell(points, rule.verdict)
            rows.append([rule.solver, rule.road, kept if kept != "-" else "no gain in this run"])
    return text_table(["your solver", "road", "step length, and how much it gains"], rows)


class Gain(NamedTuple):
    what: str
    with_what: str
    check: str
    against: str


STREAMS = (
    Gain("a step of 64 MiB up, a kernel as long as one transfer, 64 MiB down",
         "`GpuTripleBuffer`", "triple_1_1", "one stream"),
    Gain("the same, four slots", "`GpuTripleBuffer`", "triple_1_1_slots_4", "one stream"),
    Gain("the same, what the bus allows both ways at once", "", "triple_1_1_floor", "one stream"),
    Gain("a kernel ten times as long as a transfer", "`GpuTripleBuffer`", "triple_10_1",
         "one stream"),
    Gain("a kernel a tenth as long as a transfer", "`GpuTripleBuffer`", "triple_1_10",
         "one stream"),
    Gain("the same, what the bus allows both ways at once", "", "triple_1_10_floor", "one stream"),
    Gain("2 ms up, 5 ms kernel, 2 ms down", "`GpuTripleBuffer`", "triple_2_5_2", "one stream"),
    Gain("four phases that need a quarter of the SMs each", "`MultiStreamCoordinator`",
         "parallel_phases", "one stream"),
    Gain("ten small kernels in a fixed order, again and again", "`PipelineStageManager` as a graph",
         "graph_pipeline", "queueing them each time"),
    Gain("short jobs among long ones", "`AdvancedStreamPool`, load balanced", "load_balanced",
         "round robin, mean completion"),
    Gain("memory for each step", "`StreamOrderedAllocator`", "allocator",
         "`cudaMalloc` and `cudaFree`"),
    Gain("10,000 tasks of 2 us, layers of 500", "`TaskScheduler`", "graph_10k_wide", "CUDA graph"),
    Gain("10,000 tasks of 2 us, layers of 100", "`TaskScheduler`", "graph_10k", "CUDA graph"),
    Gain("tiled Cholesky, 4096 rows", "`TaskScheduler`", "cholesky", "streams with events"),
)
SOLVERS = (
    Gain("Jacobi, 512^2", "`resident`", "jacobi_512", "CUDA graph"),
    Gain("Jacobi, 2048^2", "`resident`", "jacobi_2048", "CUDA graph"),
    Gain("Jacobi, 4096^2", "`resident`", "jacobi_4096", "CUDA graph"),
    Gain("conjugate gradients, 2D Poisson 512^2", "`resident`", "cg_small",
         "cuSPARSE and cuBLAS in a graph"),
    Gain("conjugate gradients, 3D Poisson 192^3", "`resident`", "cg_large",
         "cuSPARSE and cuBLAS in a graph"),
    Gain("triangular solves, 2D Poisson 1000^2", "`resident`", "sptrsv", "cuSPARSE"),
    Gain("WHCR, one search, slices of one iteration", "`resident`", "whcr_launch_single",
         "`launch`"),
    Gain("WHCR, 264 searches, slices of one iteration", "`resident`", "whcr_launch", "`launch`"),
    Gain("breadth-first search, 2001 levels", "`TaskScheduler`", "bfs_mesh_graph",
         "graphs of 60 levels"),
)


def gain_rows(result, wanted):
    return [[gain.what, gain.with_what, times(result["checks"][gain.check]), gain.against]
            for gain in wanted if gain.check in result["checks"]]


def gains(result, wanted):
    return text_table(["what", "with", "gain", "over"], gain_rows(result, wanted))


# ---- ManagedGpuContext --------------------------------------------------------------------------

SYNC = "sync mode"
MANAGED_STEPS = {
    ("spin", "block"): "the host decides each step by the last telemetry, one block",
    ("spin", "grid"): "the same, all SMs",
    ("stream", "block"): "the same, one block that streams memory",
    ("stream", "grid"): "the same, all SMs stream memory",
}
MANAGED_GAINS = (
    Gain("WHCR, one search, slices of one iteration", "`step_mode` resident", "whcr_launch_single",
         "sync"),
    Gain("WHCR, 264 searches, slices of one iteration", "`step_mode` resident", "whcr_launch",
         "sync"),
    Gain("64 MiB up and down, a kernel as long as one transfer", "`create_triple_buffer`",
         "triple_1_1", "one stream"),
    Gain("the same, a kernel ten times as long", "`create_triple_buffer`", "triple_10_1",
         "one stream"),
    Gain("the same, a kernel a tenth as long", "`create_triple_buffer`", "triple_1_10",
         "one stream"),
    Gain("2 ms up, 5 ms kernel, 2 ms down", "`create_triple_buffer`", "triple_2_5_2",
         "one stream"),
    Gain("four phases that need a quarter of the SMs each", "`phases()`, `stream_mode` parallel",
         "parallel_phases", "sequential"),
    Gain("ten small kernels in a fixed order", "`create_pipeline_manager`, as a graph",
         "graph_pipeline", "queueing them each time"),
)


def managed(result):
    """When to take a ManagedGpuContext: what its option and its streams gained in this run."""
    rows = []
    for (step, scope), solver in MANAGED_STEPS.items():
        points = points_of(result, "closed", step, scope, only=SYNC)
        for mode, verdict, over in (("resident", "ours", "sync"), ("sync", "other", "resident")):
            if any(point.verdict() == verdict for point in points):
                text = cell(points, verdict).replace(f"{SYNC}, ", "")
                rows.append([solver, f"`step_mode` {mode}", text, over])
    rows += gain_rows(result, MANAGED_GAINS)
    cost = result["checks"].get("coordinator_us")
    if cost is not None:
        rows.append(["operations that wait for each other on the GPU", "`coordinator()`",
                     f"costs the host {cost:.2f} us each", "CUDA's own calls"])
    if not rows:
        return ["This run has no figures for it.", ""]
    return text_table(["your solver", "with", "gain", "over"], rows)


def page(result, source):
    def lines(texts):
        return "\n".join(texts)

    return PAGE.format(machine=result["machine"], driver=result["driver"], date=result["date"],
                       source=source, rules=lines(rules(result)), even=round(100 * EVEN),
                       crossovers=lines(crossovers(result)), managed=lines(managed(result)),
                       streams=lines(gains(result, STREAMS)),
                       solvers=lines(gains(result, SOLVERS))).rstrip() + "\n"


# ---- picture ------------------------------------------------------------------------------------

CELL_WIDTH, CELL_HEIGHT = 62, 32
LABELS = 245
TOP = 100
HATCH = ('<defs><pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" '
         'patternTransform="rotate(45)"><path d="M0 0V7" stroke="#999" stroke-width="1.6"/>'
         "</pattern></defs>")
FILLS = {"ours": "#dcdcdc", "even": "white", "other": "url(#hatch)"}
MEANING = {"ours": "resident is faster", "even": f"even, within {round(100 * EVEN)} %",
           "other": "another road is faster"}


def box(x, y, point):
    verdict = point.verdict()
    text_x, text_y = x + CELL_WIDTH / 2, y + CELL_HEIGHT / 2
    yield (f'<rect x="{x}" y="{y}" width="{CELL_WIDTH - 2}" height="{CELL_HEIGHT - 2}" '
           f'fill="{FILLS[verdict]}" stroke="#444" '
           f'stroke-width="{2.2 if verdict == "ours" else 0.8}"/>')
    weight = ' font-weight="bold"' if verdict == "ours" else ""
    halo = ' stroke="white" stroke-width="4" paint-order="stroke"' if verdict == "other" else ""
    yield (f'<text x="{text_x}" y="{text_y - 1}" text-anchor="middle"{weight}{halo}>'
           f"{point.gain:.2f}</text>")
    name = SHORT_ROADS.get(point.other, point.other)
    yield (f'<text x="{text_x}" y="{text_y + 11}" text-anchor="middle" font-size="9.5"{halo}>'
           f"{escape(name)}</text>")


def legend(y):
    x = 12
    for verdict, text in MEANING.items():
        yield (f'<rect x="{x}" y="{y - 12}" width="26" height="15" fill="{FILLS[verdict]}" '
               f'stroke="#444" stroke-width="{2.2 if verdict == "ours" else 0.8}"/>')
        yield f'<text x="{x + 33}" y="{y}">{text}</text>'
        x += 60 + 7 * len(text)


def panel(rows, top, step_text):
    lengths = sorted({point.length for _, _, points in rows for point in points})
    yield f'<text x="12" y="{top - 8}" font-weight="bold">The step {escape(step_text)}</text>'
    for column, length in enumerate(lengths):
        x = LABELS + column * CELL_WIDTH + CELL_WIDTH / 2
        yield f'<text x="{x}" y="{top - 8}" text-anchor="middle">{length_text(length)}</text>'
    for row, (group, scope, points) in enumerate(rows):
        y = top + row * CELL_HEIGHT
        label = f"{SHORT_CLASSES[group]}, {'one block' if scope == 'block' else 'all SMs'}"
        yield f'<text x="12" y="{y + CELL_HEIGHT / 2 + 4}">{label}</text>'
        for point in points:
            yield from box(LABELS + lengths.index(point.length) * CELL_WIDTH, y, point)


def picture(result):
    panels = [(step_text, rows) for step, step_text in STEPS.items()
              if (rows := list(classes_of(result, step)))]
    columns = max((len(points) for _, rows in panels for _, _, points in rows), default=1)
    height = TOP + sum(len(rows) * CELL_HEIGHT + 46 for _, rows in panels)
    frame = plot_bench.Frame(max(620, LABELS + columns * CELL_WIDTH + 12), height)

    def body():
        yield HATCH
        yield from legend(66)
        top = TOP
        for step_text, rows in panels:
            yield from panel(rows, top + 8, step_text)
            top += len(rows) * CELL_HEIGHT + 46

    title = "The best other road over the resident kernel, by length of the step"
    subtitle = f"times as long, and which road that is; medians; {result['machine']}"
    return "\n".join(plot_bench.svg(frame, title, subtitle, body())) + "\n"


def main():
    parser = argparse.ArgumentParser(
        description="Writes roads.md and roads.svg from what aatgs_bench --json wrote.")
    parser.add_argument("result", metavar="RESULT.json", type=pathlib.Path)
    parser.add_argument("folder", metavar="FOLDER", type=pathlib.Path)
    arguments = parser.parse_args()
    try:
        result = plot_bench.read_result(arguments.result)
        arguments.folder.mkdir(parents=True, exist_ok=True)
        for name, text in (("roads.md", page(result, arguments.result.name)),
                           ("roads.svg", picture(result))):
            (arguments.folder / name).write_text(text, encoding="utf-8")
    except (plot_bench.BadInput, OSError) as error:
        print(f"roads_page: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
