#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""stats_live.py STATS: watches a program that runs, and what is left of it when it is killed.

The program is aatgs_stats' own load. Each case is a hazard. Prints a count as doctest does.
"""

import csv
import io
import json
import os
import subprocess
import sys
import tempfile
import time

PATIENCE_S = 60


class Wrong(Exception):
    pass


def expect(holds, what):
    if not holds:
        raise Wrong(what)


class Scene:
    """A load on the CPU that does not end by itself, and its directory of pages."""

    def __init__(self, stats, folder):
        self.stats, self.folder = stats, folder
        self.environment = {**os.environ, "AATGS_STATS": folder}
        self.load = subprocess.Popen(
            [stats, "load", "--executor", "cpu", "--burst", "10", "--rate", "2000",
             "--run-ms", "300000"],
            env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def show(self, *arguments, status=0):
        done = subprocess.run([self.stats, *arguments], env=self.environment, capture_output=True,
                              text=True, timeout=60)
        expect(done.returncode == status, f"{arguments}: {done.returncode} {done.stderr!r}")
        return done.stdout

    def watch(self):
        return json.loads(self.show("watch", "--once", "--format", "json"))

    def wait_for(self, holds):
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            pages = self.watch()
            if pages and holds(pages[0]):
                return pages[0]
            time.sleep(0.05)
        raise Wrong(f"nothing of the kind in {PATIENCE_S} s: {self.watch()}")


def stands_still(scene):
    """A program that runs is shown without progress."""
    first = scene.wait_for(lambda page: page["completed"] > 0)
    later = scene.wait_for(lambda page: page["completed"] > first["completed"])
    expect(later["submitted"] == later["completed"] + later["failed"] + later["dropped"] +
           later["in_flight"], f"it does not add up: {later}")
    expect(later["pid"] == scene.load.pid and later["process"] == "alive", f"{later}")
    expect(later["program"] == "aatgs_stats" and later["executor"] == "cpu", f"{later}")
    expect(later["queue_to_visible"]["p50_ns"] > 0, f"no latencies: {later}")


def forms_differ(scene):
    """The forms of the output tell different things."""
    page = scene.watch()[0]
    pid = str(page["pid"])
    rows = list(csv.DictReader(io.StringIO(scene.show("watch", pid, "--once", "--format", "csv"))))
    expect(len(rows) == 1 and None not in rows[0], f"csv: {rows}")
    for key in ["name", "executor", "scope", "port", "program", "hang"]:
        expect(rows[0][key] == str(page[key]), f"{key}: {rows[0]} {page}")
    expect(int(rows[0]["completed"]) >= page["completed"], "csv went back in time")
    text = scene.show("watch", pid, "--once").splitlines()
    expect(len(text) >= 2 and text[1].startswith(f"{pid}-0") and "cpu" in text[1], f"{text}")
    for form in ["text", "csv", "json"]:
        expect(pid in scene.show("list", "--format", form), f"list as {form}")


def killed(scene):
    """What a killed program left is lost, taken for alive, or never cleaned up."""
    before = scene.watch()[0]
    scene.show("list", "--clean")
    expect(len(scene.watch()) == 1, "--clean removed the page of a program that runs")
    scene.load.kill()
    scene.load.wait()
    after = scene.watch()[0]
    expect(after["process"] == "dead", f"{after}")
    expect(after["completed"] >= before["completed"], "the last statistics are lost")
    expect("dead" in scene.show("watch", "--once"), "watch does not say that it is dead")
    expect(json.loads(scene.show("list", "--clean", "--format", "json")) == [], "not cleaned")
    scene.show("watch", str(after["pid"]), "--once", status=2)


def main(stats):
    cases = [stands_still, forms_differ, killed]
    failed = 0
    with tempfile.TemporaryDirectory(prefix="aatgs-test-") as folder:
        scene = Scene(stats, folder)
        try:
            for case in cases:
                try:
                    case(scene)
                except (Wrong, subprocess.TimeoutExpired) as error:
                    failed += 1
                    print(f"{case.__doc__}: {error}")
        finally:
            scene.load.kill()
            scene.load.wait()
    print(f"test cases: {len(cases)} | {len(cases) - failed} passed | {failed} failed | 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
