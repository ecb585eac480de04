#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""monitor_live.py MONITOR: follows run files while they are written, rotated, truncated and removed.

Each case is a hazard. Prints a count as doctest does.
"""

import csv
import datetime
import json
import os
import pathlib
import pty
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree

import hostile
import trace_rules
from hostile import Wrong, expect

PATIENCE_S = 60


def utc(seconds_ago=0):
    now = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=seconds_ago)
    return now.strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


class Writer:
    """Writes a run's file as the library does."""

    def __init__(self, path, run_id="run-1", seconds_ago=0):
        self.base, self.run_id, self.seconds_ago = pathlib.Path(path), run_id, seconds_ago
        self.path, self.part, self.sequence = self.base, 0, 0
        self.begin()

    def line(self, **fields):
        self.put(json.dumps(fields, separators=(",", ":")) + "\n")

    def put(self, text, mode="a"):
        with open(self.path, mode) as file:
            file.write(text)

    def begin(self):
        self.put("", "w")
        self.line(type="manifest", format="aatgs-telemetry", format_version=1,
                  library_version="0.1.0", run_id=self.run_id, part=self.part,
                  start_time=utc(self.seconds_ago), start_monotonic_ns=1, gpu=None, options=None)

    def metrics(self, count, **fields):
        for _ in range(count):
            self.line(**({"type": "metric", "run_id": self.run_id, "sequence": self.sequence,
                          "timestamp": utc(self.seconds_ago), "monotonic_ns": 7 + self.sequence,
                          "phase": "whcr", "step": self.sequence, "chromatic_number": 9,
                          "conflicts": self.sequence % 4, "duration_ms": 1.5,
                          "execution": {"mode": "gpu", "ticket": self.sequence},
                          "parameters": None, "notes": None} | fields))
            self.sequence += 1

    def rotate(self):
        self.part += 1
        self.path = self.base.with_name(f"{self.base.stem}.{self.part}{self.base.suffix}")
        self.begin()

    def summary(self):
        self.line(type="summary", run_id=self.run_id, sequence=self.sequence, timestamp=utc(),
                  monotonic_ns=9, recorded=self.sequence, written=self.sequence, dropped=0, lost=0,
                  not_json=0, write_errors=0, parts=self.part + 1, last_error="", phases={})


class Follower:
    """A monitor that follows; its lines come as they are printed."""

    def __init__(self, monitor, *arguments):
        self.process = subprocess.Popen(
            [monitor, *map(str, arguments), "--tail", "--interval", "10"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line)

    def sequences(self, count):
        """Of the next records, which were asked for as JSON."""
        found = []
        while len(found) < count:
            try:
                found.append(json.loads(self.lines.get(timeout=PATIENCE_S))["sequence"])
            except queue.Empty:
                raise Wrong(f"{found}, and no more in {PATIENCE_S} s") from None
        return found

    def end(self, status):
        """The rest of the output, and the errors."""
        returned = self.process.wait(PATIENCE_S)
        self.thread.join()
        errors = self.process.stderr.read()
        expect(returned == status, f"status {returned}, not {status}: {errors!r}")
        return list(self.lines.queue), errors


class Scene:
    def __init__(self, monitor, folder):
        self.monitor, self.folder = monitor, pathlib.Path(folder)
        self.file = self.folder / "run.jsonl"
        self.followers = []

    def follow(self, *arguments):
        self.followers.append(Follower(self.monitor, *arguments, "--format", "jsonl"))
        return self.followers[-1]

    def leave(self):
        for follower in self.followers:
            follower.process.kill()
            follower.process.wait()

    def run(self, *arguments, status=0):
        done = subprocess.run([self.monitor, *map(str, arguments)], capture_output=True, text=True,
                              timeout=PATIENCE_S)
        expect(done.returncode == status, f"{arguments}: {done.returncode} {done.stderr!r}")
        return done

    def refused(self, *arguments, about, status=2):
        errors = self.run(*arguments, status=status).stderr
        expect(errors.startswith("aatgs_monitor: ") and errors.count("\n") == 1,
               f"{arguments}: not one line: {errors!r}")
        expect(about in errors, f"{arguments}: {errors!r} does not say {about!r}")


def rotation(scene):
    """A record is lost or doubled at a rotation, or the end of the run is missed."""
    writer = Writer(scene.file)
    monitor = scene.follow(scene.file)
    for part in range(4):
        writer.metrics(5)
        expect(monitor.sequences(5) == list(range(5 * part, 5 * part + 5)), "other records")
        if part % 2 == 0:
            writer.metrics(3)  # with those the next part comes
            writer.sequence -= 3
            writer.rotate()
            expect(monitor.sequences(3) == [5 * part + i for i in (5, 6, 7)], "before a rotation")
    writer.summary()
    rest, errors = monitor.end(0)
    expect(rest == [] and errors == "", f"more: {rest} {errors!r}")


def truncation(scene):
    """What is written after a truncation, or under the same name, is missed."""
    writer = Writer(scene.file)
    writer.metrics(4)
    monitor = scene.follow(scene.file)
    expect(monitor.sequences(4) == [0, 1, 2, 3], "at first")
    os.truncate(scene.file, 0)
    writer.metrics(1)
    expect(monitor.sequences(1) == [4], "after a truncation")
    scene.file.rename(scene.folder / "old")
    writer.metrics(2)
    expect(monitor.sequences(2) == [5, 6], "after a renaming")
    another = Writer(scene.file, "run-2")
    another.metrics(30)
    # It may be seen in the middle of its writing, but nothing twice.
    expect(monitor.sequences(30) == list(range(30)), "of a new run in the same file")
    another.summary()
    rest, errors = monitor.end(0)
    expect(rest == [], f"more: {rest}")
    expect(errors.count("reading it from its beginning") == 3, f"{errors!r}")


def disappears(scene):
    """A file that is removed is waited for without end."""
    Writer(scene.file).metrics(1)
    monitor = scene.follow(scene.file)
    expect(monitor.sequences(1) == [0], "at first")
    scene.file.unlink()
    errors = monitor.end(2)[1]
    expect(errors == f"aatgs_monitor: {scene.file}: has disappeared: removed or renamed\n", errors)


def malformed(scene):
    """A malformed line is passed over, or hides what stood before it."""
    writer = Writer(scene.file)
    writer.metrics(2)
    monitor = scene.follow(scene.file)
    expect(monitor.sequences(2) == [0, 1], "at first")
    writer.metrics(1)
    writer.put("{oops}\n")
    rest, errors = monitor.end(2)
    expect(len(rest) == 1 and json.loads(rest[0])["sequence"] == 2, f"{rest}")
    expect(errors == f"aatgs_monitor: {scene.file}:5: is not JSON: '{{oops}}'\n", errors)
    for mode in [[], ["--summary"], ["--format", "csv"], ["--once", "--tail"]]:
        scene.refused(scene.file, *mode, about="run.jsonl:5: is not JSON")
    for command in [["plot"], ["export", "csv"], ["export", "prometheus"], ["export", "chrome"]]:
        scene.refused(*command, scene.file, about="run.jsonl:5: is not JSON")
    scene.refused(scene.folder, about="run.jsonl:5: is not JSON")


def torn(scene):
    """A torn last line is an error, or is not mentioned."""
    writer = Writer(scene.file)
    writer.metrics(2)
    writer.put('{"type":"metric","run_id":"ru')
    for mode in [["--format", "jsonl"], ["--summary"], ["--tail", "--once"]]:
        done = scene.run(scene.file, *mode)
        expect("run.jsonl:4: the last line is torn and was passed over" in done.stderr,
               f"{done.stderr!r}")
    expect(len(scene.run(scene.file, "--format", "jsonl").stdout.splitlines()) == 2, "records")
    writer.put("\n")  # now it is a line
    scene.refused(scene.file, about="run.jsonl:4: is not JSON")


def stalled(scene):
    """A run that stands still, or one at its end, is taken for the other."""
    writer = Writer(scene.file, seconds_ago=965)
    writer.metrics(3)
    scene.refused(scene.file, "--once", "--summary", "--stall-after", "960", status=3,
                  about="run.jsonl: stalled: no new record for 16 min ")
    scene.run(scene.file, "--once", "--stall-after", "5000")
    scene.run(scene.file, "--once", "--stall-after", "5h")
    expect(scene.follow(scene.file, "--stall-after", "960").end(3)[0] != [], "no records")
    monitor = scene.follow(scene.folder, "--stall-after", "1200")
    monitor.sequences(3)
    writer.seconds_ago = 5000  # of the writer's clock; they are seen to come now
    writer.metrics(3)
    monitor.sequences(3)
    expect(monitor.process.poll() is None, "a run at work is stalled")
    monitor = scene.follow(scene.file, "--stall-after", "0.2", "--since", "0s")
    errors = monitor.end(3)[1]
    expect("the last was whcr, step 5, sequence 5" in errors, errors)
    writer.summary()
    scene.run(scene.file, "--stall-after", "1")
    scene.run(scene.folder, "--stall-after", "1")


def no_run(scene):
    """What is no run gets no clear line, or the wrong status."""
    scene.refused(scene.folder, about="has no run")
    scene.refused(scene.folder, "--tail", "--once", about="has no run")
    scene.refused(scene.file, about="No such file")
    scene.file.write_text("")
    scene.refused(scene.file, about="run.jsonl: is empty")
    scene.refused(scene.folder, "--summary", about="has no run")
    scene.refused("/proc/self/mem", about="cannot read")
    scene.file.write_bytes(b"\x00" * 100_000)
    scene.refused(scene.file, about="run.jsonl:1: ")
    errors = scene.follow(scene.file, "--stall-after", "0.1").end(3)[1]
    expect("no line of a run yet: waiting for one" in errors, errors)


def check_chrome(text, records):
    """Every record is a span that ends when it was written, and a point of a curve."""
    trace = json.loads(text)
    events = trace["traceEvents"]
    processes = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
    spans = trace_rules.spans_of({"traceEvents": [e for e in events if e["ph"] != "C"]})
    trace_rules.check_nesting(spans)
    began = datetime.datetime.fromisoformat(trace["otherData"]["began"][:26])

    def end_of(record):
        return (datetime.datetime.fromisoformat(record["timestamp"][:26]) - began).total_seconds()

    shown = sorted((processes[s[1]], s[5]["step"], s[4] / 1e6, (s[4] - s[3]) / 1e3) for s in spans)
    told = sorted((f"{r['phase']}, run {r['run_id']}", r["step"], end_of(r), r["duration_ms"] or 0)
                  for r in records)
    expect(len(shown) == len(told), f"chrome: {shown} {told}")
    for one, other in zip(shown, told):  # the times of `told` are whole microseconds
        expect(one[:2] == other[:2] and abs(one[2] - other[2]) < 5e-6 and
               abs(one[3] - other[3]) < 1e-5, f"chrome: {one} {other}")
    curve = [e["args"]["value"] for e in events if e["ph"] == "C" and e["name"] == "conflicts"]
    expect(sorted(curve) == sorted(r["conflicts"] for r in records), f"chrome: {curve}")


def every_filter_in_every_mode(scene):
    """A filter does not work in some mode."""
    writer = Writer(scene.file, seconds_ago=7200)
    writer.metrics(6, phase="memetic", conflicts=0)
    writer.metrics(8, phase="whcr", conflicts=1, notes={"name": "old"})
    writer.seconds_ago = 0
    writer.metrics(10, phase="whcr", conflicts=1, notes={"name": "new"})
    writer.metrics(12, phase="thermodynamic", conflicts=0, parameters={"temperature": 0.25})
    writer.summary()
    filters = {(): 36, ("--phase", "whcr", "--phase", "memetic"): 24, ("--since", "1h"): 22,
               ("--since", utc(3600), "--where", "conflicts>0"): 10,
               ("--where", "parameters.temperature<0.5 || name==old"): 20}
    source = scene.file
    for chosen, count in filters.items():
        def lines(*arguments, chosen=chosen):
            return scene.run(*arguments, *chosen).stdout.splitlines()

        for following in [[], ["--tail"]]:
            text = [line for line in lines(source, *following) if line.startswith("[")]
            expect(len(text) == count, f"text {chosen}: {len(text)}")
            records = [json.loads(line) for line in lines(source, *following, "--format", "jsonl")]
            expect(len(records) == count, f"jsonl {chosen}: {len(records)}")
            rows = list(csv.DictReader(lines(source, *following, "--format", "csv")))
            expect([int(row["sequence"]) for row in rows] ==
                   [record["sequence"] for record in records], f"csv {chosen}")
            phases = [json.loads(line)
                      for line in lines(source, *following, "--summary", "--format", "jsonl")]
            expect(sum(phase["records"] for phase in phases) == count, f"summary {chosen}")
            rows = list(csv.DictReader(lines(source, *following, "--summary", "--format", "csv")))
            expect(sum(int(row["records"]) for row in rows) == count, f"summary csv {chosen}")
            text = [line for line in lines(source, *following, "--summary")
                    if re.match(r"(memetic|whcr|thermodynamic) ", line)]
            expect(sum(int(line.split()[1]) for line in text) == count, f"summary {chosen}: {text}")
        expect(len(lines("export", "csv", source)) == count + 1, f"export csv {chosen}")
        totals = [line for line in lines("export", "prometheus", source)
                  if line.startswith("aatgs_run_records_total{")]
        expect(sum(int(line.split()[-1]) for line in totals) == count, f"prometheus {chosen}")
        check_chrome("\n".join(lines("export", "chrome", source)), records)
        svg = "\n".join(lines("plot", source))
        xml.etree.ElementTree.fromstring(svg)
        expect(f"Run run-1, {count} records" in svg, f"plot {chosen}")
    scene.refused("plot", source, "--where", "conflicts>7", about="nothing to plot")
    scene.refused("export", "chrome", source, "--where", "conflicts>7", about="nothing to show")


def unknown_phase(scene):
    """Nothing tells that a phase which is asked for does not occur."""
    writer = Writer(scene.file)
    writer.metrics(2)
    writer.metrics(1, phase="memetic")
    writer.summary()
    for mode in [[], ["--summary"], ["--format", "csv"]]:
        done = scene.run(scene.file, "--phase", "WHCR", "--phase", "memetic", *mode)
        expect(done.stderr == "aatgs_monitor: no record is of the phase 'WHCR'; there are memetic, "
               "whcr\n", f"{done.stderr!r}")
        done = scene.run(scene.file, "--phase", "whcr", "--where", "step>99", *mode)
        expect(done.stderr == "", f"{done.stderr!r}")
    writer.metrics(100, phase="\x1b[2J")
    expect(scene.run(scene.file, "--phase", "x").stderr.strip().isprintable(), "an order for the terminal")


def directories(scene):
    """A run that begins in a directory that is followed is missed."""
    first = Writer(scene.folder / "a.jsonl", "run-a")
    first.metrics(2)
    monitor = scene.follow(scene.folder)
    expect(monitor.sequences(2) == [0, 1], "at first")
    first.summary()
    second = Writer(scene.folder / "b.jsonl", "run-b")
    second.metrics(1)
    expect(monitor.sequences(1) == [0], "of a second run")
    (scene.folder / "a.jsonl").unlink()
    second.metrics(1)
    expect(monitor.sequences(1) == [1], "after the first was removed")
    (scene.folder / "other.jsonl").write_text("{}\n")
    (scene.folder / "dir.jsonl").mkdir()
    done = scene.run(scene.folder, "--summary", "--format", "jsonl")
    expect([json.loads(line)["run_id"] for line in done.stdout.splitlines()] == ["run-b"], "runs")


def pipes(scene):
    """A run that comes through a pipe is not shown as it comes, or not to its end."""
    os.mkfifo(scene.folder / "pipe")
    monitor = scene.follow(scene.folder / "pipe")
    writer = Writer(scene.file)
    with open(scene.folder / "pipe", "w") as pipe:
        writer.put = lambda text: print(text, end="", file=pipe, flush=True)
        writer.metrics(2)
        expect(monitor.sequences(2) == [0, 1], "through a pipe")
        writer.metrics(1)
    expect(len(monitor.end(0)[0]) == 1, "the last record")


def colors(scene):
    """Colour goes into a file, or a terminal takes orders from one."""
    writer = Writer(scene.file)
    writer.metrics(1, phase="a\x1b[2Jb", conflicts=3)
    writer.summary()
    expect("\x1b" not in scene.run(scene.file).stdout, "escape sequences in a file")

    def on_terminal(environment):
        ours, theirs = pty.openpty()
        subprocess.run([scene.monitor, scene.file], stdout=theirs, env=os.environ | environment,
                       timeout=PATIENCE_S, check=True)
        os.close(theirs)
        text = b""
        try:
            while chunk := os.read(ours, 65536):
                text += chunk
        except OSError:  # the terminal's end
            pass
        os.close(ours)
        return text

    shown = on_terminal({"NO_COLOR": ""})
    expect(b"\x1b[31mconflicts=3" in shown, f"no colour: {shown}")
    expect(b"[2J" in shown and b"\x1b[2J" not in shown, f"an order for the terminal: {shown}")
    expect(b"\x1b" not in on_terminal({"NO_COLOR": "1"}), "colour in spite of NO_COLOR")


def outputs(scene):
    """An output file is left half written, or a full disk is not noticed."""
    writer = Writer(scene.file)
    writer.metrics(20)
    program = hostile.Program(scene.monitor, scene.folder)
    for command in [["plot", "run.jsonl"], ["export", "prometheus", "run.jsonl"],
                    ["export", "chrome", "run.jsonl"]]:
        for case in [hostile.unwritable("--output"), hostile.full_disk("--output")]:
            case(program, command)
    with open("/dev/full", "wb") as full:
        for command in [["run.jsonl"], ["run.jsonl", "--summary"], ["run.jsonl", "--tail"],
                        ["plot", "run.jsonl"], ["export", "csv", "run.jsonl"]]:
            program.refuses(*command, stdout=full, about="No space left on device")


def output_over_a_run(scene):
    """A picture takes the place of telemetry: of the input, a part of it, or another run."""
    writer = Writer(scene.file)
    writer.metrics(3)
    writer.rotate()
    writer.metrics(3)
    Writer(scene.folder / "other", "run-2").metrics(1)
    lines = scene.file.read_bytes().splitlines(keepends=True)
    (scene.folder / "headless").write_bytes(b"".join(lines[1:]))  # shown, though it has no manifest
    os.symlink("run.jsonl", scene.folder / "link")
    program = hostile.Program(scene.monitor, scene.folder)
    for command in [["plot"], ["export", "prometheus"], ["export", "chrome"]]:
        for path in ["run.jsonl", "./run.jsonl", "link"]:
            program.refuses(*command, "run.jsonl", "--output", path, about="FILE and --output are one file")
        program.refuses(*command, "headless", "--output", "headless", about="are one file")
        for source, path in [("run.jsonl", "run.1.jsonl"), (".", "run.jsonl"), ("run.jsonl", "other")]:
            program.refuses(*command, source, "--output", path, about="is the telemetry of a run")
        program.works(*command, "run.jsonl", "--output", "picture")
        program.works(*command, "run.jsonl", "--output", "picture")


def before_a_command(scene):
    """An option before a command does nothing, or something else."""
    Writer(scene.file).metrics(1)
    program = hostile.Program(scene.monitor, scene.folder)
    for command in [["plot"], ["export", "csv"], ["export", "prometheus"], ["export", "chrome"]]:
        for option in [["--tail"], ["--summary"], ["--once"], ["--serve", "0"], ["--format", "csv"],
                       ["--interval", "20"], ["--stall-after", "9"]]:
            program.refuses(*option, *command, "run.jsonl",
                            about=f"{option[0]} before the command {command[-1]}")
        program.works("--phase", "whcr", *command, "run.jsonl")


def hostile_arguments(scene):
    """A hostile command line gets no clear line."""
    Writer(scene.file).summary()
    program = hostile.Program(scene.monitor, scene.folder)
    good = ["run.jsonl"]
    program.works(*good)
    for case in [hostile.unknown_arguments, hostile.streams, hostile.wrong_numbers(["--interval"])]:
        case(program, good)
    program.refuses(about="FILE is missing")
    program.refuses("export", about="A subcommand is required: prometheus, chrome, csv;")
    program.refuses("plot", *good, "--tail", about="--tail")
    for option in ["--since", "--where", "--format", "--stall-after"]:
        for value in ["", "x", "-1", "1e99", "nan", hostile.LONG, hostile.ESCAPE]:
            program.refuses(*hostile.changed(good, option, value), about=option)
    for path in [hostile.LONG, hostile.ESCAPE, "", "\udcff"]:
        program.refuses(path)


def main(monitor):
    cases = [rotation, truncation, disappears, malformed, torn, stalled, no_run,
             every_filter_in_every_mode, unknown_phase, directories, pipes, colors, outputs, output_over_a_run,
             before_a_command, hostile_arguments]
    failed = 0
    for case in cases:
        with tempfile.TemporaryDirectory(prefix="aatgs-test-") as folder:
            scene = Scene(os.path.abspath(monitor), folder)
            try:
                case(scene)
            except (Wrong, subprocess.TimeoutExpired) as error:
                failed += 1
                print(f"{case.__name__}: {case.__doc__}: {error}")
            finally:
                scene.leave()
    print(f"test cases: {len(cases)} | {len(cases) - failed} passed | {failed} failed | 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
