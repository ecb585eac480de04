#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tune.py STATS: tunes programs that behave, and programs that do not.

Each case is a hazard. The program that is tuned is aatgs_stats' own load. Prints a count as doctest
does.
"""

import csv
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

PATIENCE_S = 60
NUMBERS = ["-1", "1e99", "nan", "", "010", "1.5", "+1", "4294967296"]


class Wrong(Exception):
    pass


def expect(holds, what):
    if not holds:
        raise Wrong(what)


def wait_until(holds, what):
    end = time.monotonic() + PATIENCE_S
    while not holds():
        expect(time.monotonic() < end, f"not within {PATIENCE_S} s: {what}")
        time.sleep(0.02)


class Stats:
    """The program, with an empty folder for temporary files."""

    def __init__(self, path, folder):
        self.path, self.folder = path, folder
        self.load = [path, "load", "--executor", "cpu", "--cpu-threads", "1",
                     "--run-ms", "200"]
        kept = {k: v for k, v in os.environ.items() if not k.startswith("AATGS_")}
        self.environment = {**kept, "TMPDIR": str(folder)}

    def start(self, *arguments, **variables):
        return subprocess.Popen([self.path, *arguments], env={**self.environment, **variables},
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def run(self, *arguments, status=0, **variables):
        process = self.start(*arguments, **variables)
        try:
            out, errors = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
        expect(process.returncode == status, f"{arguments}: {process.returncode} {errors!r}")
        expect(not list(self.folder.glob("aatgs-*")), f"{arguments}: left files behind")
        return out, errors

    def refuses(self, *arguments, about, status=2, **variables):
        """Its last line says why; there is no other but progress."""
        out, errors = self.run(*arguments, status=status, **variables)
        *progress, line = errors.splitlines()
        expect(out == "", f"{arguments}: printed {out!r}")
        expect(all(p.startswith("aatgs_stats: run ") for p in progress), f"{arguments}: {errors!r}")
        expect(line.startswith("aatgs_stats: ") and line.isprintable(), f"{arguments}: {line!r}")
        expect(about in line, f"{arguments}: {line!r} does not say {about!r}")

    def report(self, *arguments):
        return json.loads(self.run(*arguments)[0])


def not_its_figures(s):
    """The figures are not those of the child, or the child's output is among them."""
    report = s.report("sweep", "--format", "json", "--min-slots", "16", "--max-slots", "32", "--",
                      *s.load, "--step-us", "20")
    sizes = [(run["config_slots"], run["telemetry_slots"]) for run in report["runs"]]
    expect(sizes == [(a, b) for a in (16, 32) for b in (16, 32)], f"{sizes}")
    for run in report["runs"]:
        expect(run["executor"] == "cpu" and run["collected"] > 160, f"{run}")
        expect(run["per_second"] <= 51_000, f"faster than its steps: {run}")
        expect(0.001 < run["seconds"] < 30, f"not its time: {run}")
        expect(run["config_ring"]["slots"] == run["config_slots"], f"{run}")
        expect(run["p50_ns"] >= 20_000 and run["p99_ns"] >= run["p50_ns"], f"{run}")
    found = report["recommended"]
    expect((found["config_slots"], found["telemetry_slots"]) in sizes, f"{found}")
    expect(found["share_of_fastest"] >= 0.98, f"{found}")


def snippet_does_nothing(s):
    """What is recommended for pasting does not make rings of that size, or the forms differ."""
    tune = ["tune", "--max-slots", "256"]
    load = ["--burst", "48", "--rate", "100000", "--executor", "cpu", "--step-us", "1",
            "--run-ms", "200"]
    out, errors = s.run(*tune, "--format", "csv", *load)
    rows = list(csv.DictReader(io.StringIO(out)))
    expect(len(rows) == len(errors.splitlines()), f"not a line for each run: {errors}")
    expect([row["recommended"] for row in rows].count("yes") == 1, f"{rows}")
    text, _ = s.run(*tune, *load)
    for part in ["<- recommended", "options.config_slots = ", "AATGS_CONFIG_SLOTS="]:
        expect(part in text, f"no {part!r} in {text!r}")
    variables = dict(v.split("=") for v in text.splitlines()[-1].split())
    row = json.loads(s.run(*s.load[1:], "--format", "json", **variables)[0])
    expect(row["config_ring"]["slots"] == int(variables["AATGS_CONFIG_SLOTS"]), f"{row}")
    expect(row["telemetry_ring"]["slots"] == int(variables["AATGS_TELEMETRY_SLOTS"]), f"{row}")
    expect(f"options.config_slots = {variables['AATGS_CONFIG_SLOTS']};" in text, f"{text!r}")


def policies_not_tried(s):
    """Policies are not tried, or telemetry is lost under the wrong one."""
    report = s.report("sweep", "--format", "json", "--min-slots", "4", "--max-slots", "4",
                      "--telemetry-policy", "block,overwrite_oldest", "--config-policy",
                      "block,reject", "--executor", "cpu", "--cpu-threads", "1", "--step-us", "1",
                      "--reader-us", "20", "--burst", "50", "--run-ms", "200")
    runs = {(r["config_policy"], r["telemetry_policy"]): r for r in report["runs"]}
    expect(len(runs) == 4, f"{runs.keys()}")
    for (_, telemetry), run in runs.items():
        expect(telemetry != "block" or run["telemetry_overflows"] == 0, f"{run}")
    # 4 of the 50 of a burst find room, and the others are given up, or wait for one telemetry each.
    run = runs["reject", "block"]
    expect(run["config_overflows"] > 5 * run["collected"], f"{run}")
    run = runs["block", "block"]
    expect(run["config_overflows"] < 2 * run["collected"], f"{run}")
    expect(report["recommended"]["config_policy"] == "block" or
           "ConfigPolicy::reject" in report["recommended"]["code"], f"{report['recommended']}")


def child_fails(s):
    """A child that fails is measured, or its last words are lost."""
    fails = "echo first >&2; printf 'bad \\033[2J thing\\n' >&2; exit 3"
    s.refuses("tune", "--", "sh", "-c", fails, status=1, about="failed with status 3; it said: bad")
    s.refuses("sweep", "--", "sh", "-c", "kill -SEGV $$", status=1, about="ended by signal 11")
    s.refuses("tune", "--", "no-such-program", about="cannot run 'no-such-program'")
    s.refuses("tune", "--", str(s.folder), about="Permission denied")
    s.refuses("tune", "--", *s.load, "--step-us", "x", status=1, about="--step-us")


def child_without_page(s):
    """A child that publishes nothing is measured as something."""
    s.refuses("tune", "--", "true", about="published no statistics")
    s.refuses("tune", "--", "env", "AATGS_STATS=0", *s.load, about="published no statistics")
    s.refuses("tune", "--", "env", "AATGS_STATS_KEEP=", *s.load, about="published no statistics")


def child_ignores(s):
    """A child that sets its ring sizes itself is tuned in vain."""
    s.refuses("tune", "--", *s.load, "--config-slots", "512", about="its rings have 512 and 1024")
    s.refuses("tune", "--", "env", "-u", "AATGS_TELEMETRY_SLOTS", "AATGS_CONFIG_SLOTS=32", *s.load,
              about="ignores the environment")


def is_alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0] != "Z"
    except OSError:
        return False


def left_behind(s, start, number):
    """Starts a command whose child sleeps, and returns the child's pid when it does."""
    file = s.folder / f"pid{number}"
    process = start("sh", "-c", f"sleep 1000 & echo $! > {file}.new; mv {file}.new {file}; wait")
    wait_until(file.exists, "the child's child")
    return process, int(file.read_text())


def child_hangs(s):
    """A child that does not end is waited for, or goes on afterwards."""
    process, pid = left_behind(s, lambda *c: s.start("tune", "--timeout", "1", "--", *c), 1)
    errors = process.communicate(timeout=PATIENCE_S)[1]
    expect(process.returncode == 1 and "did not end within 1 s" in errors, f"{errors!r}")
    wait_until(lambda: not is_alive(pid), "its child has ended")
    expect(not list(s.folder.glob("aatgs-*")), "files are left behind")


def interrupted(s):
    """Ctrl-C leaves the child running, or files behind."""
    for number, name in enumerate([signal.SIGINT, signal.SIGTERM]):
        process, pid = left_behind(s, lambda *c: s.start("tune", "--", *c), 2 + number)
        process.send_signal(name)
        errors = process.communicate(timeout=PATIENCE_S)[1]
        expect(process.returncode == 1 and f"signal {name.value}" in errors, f"{errors!r}")
        wait_until(lambda pid=pid: not is_alive(pid), "its child has ended")
        expect(not list(s.folder.glob("aatgs-*")), "files are left behind")


def bad_environment(s):
    """A bad value in the environment is ignored."""
    for name in ["AATGS_CONFIG_SLOTS", "AATGS_TELEMETRY_SLOTS"]:
        for value in ["", "abc", "1000", "0", "-4", "64k", "99999999999"]:
            s.refuses(*s.load[1:], about=f"{name}='{value}'", **{name: value})
    out, _ = s.run(*s.load[1:], "--config-slots", "64", AATGS_CONFIG_SLOTS="abc")
    expect(out.splitlines()[-1].startswith("64 "), f"the option does not win: {out!r}")
    s.refuses("tune", "--", *s.load, about="cannot make a directory", TMPDIR="/no/such/place")


def bad_options(s):
    """An option that cannot work is taken."""
    for command in ["tune", "sweep"]:
        for option in ["--step-us", "--rate", "--burst", "--reader-us", "--run-ms", "--device",
                       "--cpu-threads", "--min-slots", "--max-slots", "--repeat", "--timeout"]:
            for number in NUMBERS:
                s.refuses(command, option, number, about=option)
        s.refuses(command, "--format", "xml", about="--format 'xml'")
        s.refuses(command, "--executor", "gpu", about="executor 'gpu'")
        s.refuses(command, "--config-policy", "block,drop", about="config policy 'drop'")
        s.refuses(command, "--telemetry-policy", "reject", about="telemetry policy 'reject'")
        s.refuses(command, "--min-slots", "128", "--max-slots", "64", about="above --max-slots")
        s.refuses(command, "--max-slots", "100", about="a ring of 100 slots")
        s.refuses(command, "--repeat", "0", about="--repeat")
        s.refuses(command, "--burst", "2", "--", "true", about="--burst is for the built-in load")
        s.refuses(command, "--", about="name one")
        s.refuses(command, "true", about="true")
        s.refuses(command, "--rate", "10", "--run-ms", "20", about="too few to judge")
    s.refuses("list", "--", "true", about="leave it out")
    s.refuses("load", "--config-slots", "3", about="config_slots = 3")


CASES = [not_its_figures, snippet_does_nothing, policies_not_tried, child_fails,
         child_without_page, child_ignores, child_hangs, interrupted, bad_environment, bad_options]


def main(path):
    failed = 0
    for case in CASES:
        with tempfile.TemporaryDirectory(prefix="aatgs-test-") as folder:
            try:
                case(Stats(path, pathlib.Path(folder)))
            except (Wrong, ValueError, KeyError, subprocess.TimeoutExpired) as error:
                failed += 1
                print(f"{case.__doc__}: {error!r}")
    print(f"test cases: {len(CASES)} | {len(CASES) - failed} passed | {failed} failed | 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
