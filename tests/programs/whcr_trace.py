#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""whcr_trace.py WHCR EXECUTOR: whether the traces that aatgs_whcr writes keep the rules of
trace_rules.py, and whether those are broken where they should be.

Each case is a hazard. Prints a count as doctest does. Status 77 where there is no such executor.
"""

import collections
import copy
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import trace_rules  # noqa: E402

SEARCHES = 32  # in flight at once: more than one thread runs before the host gets its turn


class Wrong(Exception):
    pass


def expect(holds, what):
    if not holds:
        raise Wrong(what)


class Scene:
    def __init__(self, program, executor, folder):
        self.program, self.executor, self.folder = os.path.abspath(program), executor, folder
        self.block = None

    def run(self, *arguments, status=1):
        done = subprocess.run(
            [self.program, "--graph", "queen:9", "--colors", "3", "--executor", self.executor,
             *arguments], cwd=self.folder, capture_output=True, text=True, timeout=120)
        expect(status in (None, done.returncode), f"{arguments}: {done.returncode} {done.stderr!r}")
        return done

    def trace(self, *arguments):
        done = self.run("--trace", "t.json", *arguments)
        return (pathlib.Path(self.folder) / "t.json").read_text(), done.stdout

    def in_block_scope(self):
        """Searches that are queued while others run."""
        if self.block is None:
            self.block = self.trace("--searches", str(SEARCHES), "--slice", "200",
                                    "--iterations", "4000", "--cpu-threads", "1")
        return self.block


def block(scene):
    """A trace in block scope breaks a rule, lacks a slice, or shows no overlap."""
    text, said = scene.in_block_scope()
    spans = trace_rules.check(text, fed=True)
    slices = SEARCHES * 4000 // 200
    expect(len(trace_rules.by_ticket(spans, "step")) == slices, "slices are missing")
    expect(f"trace         {slices} slices in t.json, 0 later ones left out" in said, said)


def grid(scene):
    """A trace in grid scope breaks a rule, or shows two steps at once."""
    text, _ = scene.trace("--scope", "grid", "--slice", "10", "--iterations", "300",
                          "--cpu-threads", "2")
    spans = trace_rules.check(text, fed=scene.executor != "cpu")
    steps = sorted(s[3:5] for s in trace_rules.by_ticket(spans, "step").values())
    expect(all(a[1] <= b[0] + trace_rules.SLACK_US for a, b in zip(steps, steps[1:])),
           "steps overlap")


def workers(scene):
    """What single SMs or threads ran is not in the trace, or more than they ran."""
    for scope, arguments in [("block", ["--searches", "8"]), ("grid", [])]:
        text, _ = scene.trace("--scope", scope, "--slice", "20", "--iterations", "400",
                              "--cpu-threads", "2", "--event-slots", "65536", *arguments)
        spans = trace_rules.check(text, fed=False)
        left_out = json.loads(text)["otherData"]["events_left_out"]
        expect(left_out == 0, f"{left_out} events left out")
        units = collections.defaultdict(set)
        for name, pid, _, _, _, args in spans:
            if pid == 3 and name == "step":
                units[args["ticket"]].add(args["worker"])
        expect(units.keys() == trace_rules.by_ticket(spans, "step").keys(), "tickets are missing")
        least, most = (1, 1) if scope == "block" else (2, 10_000)
        expect(all(least <= len(u) <= most for u in units.values()), f"{scope}: {units}")
        launches = [s for s in spans if s[0] == "launch"]
        expect((scene.executor == "resident") == bool(launches), f"{launches}")
    spans = trace_rules.check(scene.in_block_scope()[0], fed=True)
    expect(all(s[1] != 3 for s in spans), "events that nobody asked for")


def rules_that_hold_always(scene):
    """The checker takes a trace that breaks a rule."""
    whole = json.loads(scene.in_block_scope()[0])

    def broken(rule, change, fed=True):
        trace = copy.deepcopy(whole)
        change(trace["traceEvents"], lambda name: [e for e in trace["traceEvents"]
                                                   if e["name"] == name and e["ph"] == "X"])
        try:
            trace_rules.check(json.dumps(trace), fed)
        except trace_rules.Broken as error:
            expect(str(error).startswith(rule), f"not '{rule}', but: {error}")
            return
        raise Wrong(f"'{rule}' is not seen")

    def moved(events, named):
        named("step")[7]["ts"] += 0.002

    def early(events, named):  # all of an executor, with its calls of the host's left where they are
        for event in events:
            if event["pid"] == 2 and event["ph"] == "X":
                event["ts"] -= 1e6

    def late(events, named):
        for event in events:
            if event["pid"] == 2 and event["ph"] == "X":
                event["ts"] += 1e6

    def apart(events, named):  # no step runs while the host queues
        for at, ticket in enumerate(sorted(e["args"]["ticket"] for e in named("queue"))):
            for name, begin in (("queue", 0), ("config", 10), ("step", 10), ("poll", 30)):
                for event in named(name):
                    if event["args"]["ticket"] == ticket:
                        event["ts"], event["dur"] = 100 * at + begin, 5

    broken("strict nesting", moved)
    broken("queued before taken", early)
    broken("finished before polled", late)
    broken("all complete", lambda events, named: events.remove(named("poll")[3]))
    broken("all complete", lambda events, named: events.append(named("queue")[3] | {"ts": 0, "dur": 0}))
    broken("all complete", lambda events, named: named("step")[3].update(ph="B"))
    broken("all complete", lambda events, named: named("step")[3].pop("dur"))
    broken("host and executor overlap", apart)


def refused(scene):
    """A trace that cannot be written is found out after the run, or --compare takes it."""
    for path in ["none/t.json", "."]:
        done = scene.run("--trace", path, status=2)
        expect("cannot write" in done.stderr and done.stdout == "", f"{done}")
    done = scene.run("--event-slots", "1024", status=2)
    expect("--event-slots without --trace" in done.stderr, f"{done}")
    expect("--trace with --compare" in scene.run("--trace", "t", "--compare", status=2).stderr,
           "--compare with --trace")
    done = scene.run("--trace", "t", "--event-slots", "1000", status=2)
    expect("event_slots = 1000 is neither" in done.stderr, f"{done}")


def main(program, executor):
    cases = [block, grid, workers, rules_that_hold_always, refused]
    failed = 0
    with tempfile.TemporaryDirectory(prefix="aatgs-test-") as folder:
        scene = Scene(program, executor, folder)
        if executor != "cpu" and "to run without it" in scene.run("--iterations", "1", status=None).stderr:
            return 77
        for case in cases:
            try:
                case(scene)
            except (Wrong, trace_rules.Broken, subprocess.TimeoutExpired) as error:
                failed += 1
                print(f"{case.__doc__}: {error}")
    print(f"test cases: {len(cases)} | {len(cases) - failed} passed | {failed} failed | 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
