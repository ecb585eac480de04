#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""page_live.py MONITOR WRITER STATS: the page of aatgs_monitor --serve in a headless browser,
beside a run that the library writes.

Each case is a hazard. Prints a count as doctest does; leaves with status 77, a skip, where there is
no Chromium.
"""

import json
import math
import os
import subprocess
import sys
import time

from browser import Browser, find_browser
from hostile import expect
from monitor_live import PATIENCE_S, Writer
from serve_live import SCRIPT, Scene, run_cases

PHASES = """[...document.querySelectorAll("#phases tbody tr")].map(row => Object.fromEntries(
    [...row.cells].map(cell => [cell.dataset.field, cell.textContent])))"""
RECORDS = PHASES.replace("#phases", "#records")
TEXT = """document.querySelector("{}")?.textContent ?? null"""


class PageScene(Scene):
    def __init__(self, programs, folder):
        super().__init__(programs, folder)
        self.profile = self.folder / "profile"
        self.browser = Browser(find_browser(), self.profile)

    def open(self, server):
        self.browser.open(server.url + "/")

    def text(self, selector, holds=lambda text: text is not None):
        text = self.browser.wait_for(TEXT.format(selector), holds, PATIENCE_S)
        expect(holds(text), f"{selector}: {text!r}")
        return text

    def leave(self):
        super().leave()
        self.browser.close()


class Run:
    """A run that is written by the library, and what is in its files."""

    def __init__(self, scene):
        self.base = scene.file
        self.process = subprocess.Popen([scene.writer_program, scene.file, "run-of-the-library"],
                                        stdin=subprocess.PIPE, text=True)
        while not self.base.exists():
            expect(self.process.poll() is None, "the writer has ended")
            time.sleep(0.001)

    def write(self, records):
        for record in records:
            self.process.stdin.write(" ".join(map(str, record)) + "\n")
        self.process.stdin.flush()

    def end(self):
        self.process.stdin.close()
        expect(self.process.wait(PATIENCE_S) == 0, "the writer failed")

    def records(self):
        parts = sorted(self.base.parent.glob("run*.jsonl"), key=lambda path: (len(path.name), path))
        lines = [json.loads(line) for part in parts for line in part.read_text().splitlines()]
        return [line for line in lines if line["type"] == "metric"]


def expected_phases(records):
    """The cells that are exact, from the file alone."""
    phases = {}
    for record in records:
        phases.setdefault(record["phase"], []).append(record)
    rows = []
    for phase, of_it in phases.items():
        colors = [r["chromatic_number"] for r in of_it]
        conflicts = [r["conflicts"] for r in of_it]
        best = [r["chromatic_number"] for r in of_it if r["conflicts"] == 0]
        rows.append({"phase": phase, "records": len(of_it), "best_colors": min(best, default="–"),
                     "least_colors": min(colors), "last_colors": colors[-1],
                     "least_conflicts": min(conflicts), "most_conflicts": max(conflicts),
                     "last_conflicts": conflicts[-1]})
    return [{key: str(value) for key, value in row.items()} for row in rows]


def shown_phases(browser):
    return [{key: value for key, value in row.items() if not key.endswith("_ms")}
            for row in browser.value(PHASES)]


def percentiles_agree(scene, records):
    for row in scene.browser.value(PHASES):
        times = sorted(r["duration_ms"] for r in records if r["phase"] == row["phase"])
        for key, share in [("p50_ms", 0.5), ("p90_ms", 0.9), ("p99_ms", 0.99), ("max_ms", 1)]:
            # Of an even number of times either of the two in the middle is their median.
            at = math.ceil(len(times) * share) - 1
            exact, next_one = times[at], times[min(at + (share < 1), len(times) - 1)]
            expect(exact * 0.995 - 0.01 <= float(row[key]) <= next_one * 1.037 + 0.01,
                   f"{row['phase']} {key}: {row[key]}, in the file {exact}")


def values_agree(scene, run):
    """All that the page shows of a run is what its files say."""
    records = run.records()
    # The table of records is filled last.
    last = str(records[-1]["sequence"])
    scene.text("#records tbody [data-field=sequence]", lambda text: text == last)
    expect(shown_phases(scene.browser) == expected_phases(records),
           f"{shown_phases(scene.browser)} is not {expected_phases(records)}")
    percentiles_agree(scene, records)
    shown = scene.browser.value(RECORDS)
    expect(len(shown) == min(20, len(records)), f"{len(shown)} records")
    for row, record in zip(shown, reversed(records)):
        for key in ["sequence", "phase", "step", "chromatic_number", "conflicts"]:
            expect(row[key] == str(record[key]), f"{key}: {row[key]} of {record}")
        expect(abs(float(row["duration_ms"]) - record["duration_ms"]) < 0.06, f"{row} of {record}")
        expect(row["execution"] == f"GPU ticket {record['execution']['ticket']}", f"{row}")
        notes = record["notes"]
        text = "–" if notes is None else json.dumps(notes, separators=(",", ":"))
        expect(row["notes"] == text, f"{row['notes']} is not {text}")
        expect(row["timestamp"] == record["timestamp"][11:19] + " UTC", f"{row}")
    words = scene.text("#chart-words")
    conflicts = [r["conflicts"] for r in records]
    colors = [r["chromatic_number"] for r in records]
    best = min(r["chromatic_number"] for r in records if r["conflicts"] == 0)
    for part in [f"Run {records[0]['run_id']}, {len(records)} records",
                 f"circles): {min(conflicts)} to {max(conflicts)}.",
                 f"squares): {min(colors)} to {max(colors)}.",
                 f"Best without conflicts: {best} colours"]:
        expect(part in words, f"{part!r} is not in {words!r}")


def steps(first, count, phase):
    return [(phase, step, 60 - step // 16, abs(997 * step % 400 - step), 0.1 + step % 37 / 3,
             step + 7, json.dumps({"name": SCRIPT, "n": step}, separators=(",", ":")))
            for step in range(first, first + count)]


def values(scene):
    """A value on the page is not that in the file, first or later, or is taken for HTML."""
    run = Run(scene)
    run.write(steps(0, 150, "whcr"))
    server = scene.serve()
    scene.open(server)
    scene.text("#status", lambda text: text == "Live")
    server.records(150)
    values_agree(scene, run)
    run.write(steps(150, 200, "memetic") + steps(350, 50, "own-phase"))
    server.records(400)
    values_agree(scene, run)
    expect(len(list(scene.folder.glob("run*.jsonl"))) > 1, "no rotation was tried")
    expect(scene.browser.value("document.querySelectorAll('#chart polyline').length") == 2, "lines")
    run.end()
    scene.text("#status", lambda text: text == "Live: the run has ended")
    expect("400 written, 0 dropped, 0 lost" in scene.text("#runs"), scene.text("#runs"))
    values_agree(scene, run)
    expect(scene.browser.value("document.title") == f"{scene.file} – aatgs_monitor", "injected")
    expect(scene.browser.value("document.querySelectorAll('script, img').length") == 1, "injected")
    expect(scene.browser.complaints == [], f"{scene.browser.complaints}")


def gauges(scene):
    """A gauge does not show what the statistics page says."""
    Writer(scene.file).metrics(1)
    server = scene.serve()
    scene.open(server)
    environment = {**os.environ, "AATGS_STATS": str(scene.pages)}
    with subprocess.Popen([scene.stats, "load", "--executor", "cpu", "--burst", "300", "--rate",
                           "3000", "--run-ms", "300000"], stdout=subprocess.DEVNULL,
                          env=environment) as load:
        scene.text("#contexts [data-field=counts]",
                   lambda text: text and "completed 0," not in text)
        load.kill()
    scene.text("#contexts article p", lambda text: "process dead" in text)
    theirs = json.loads(subprocess.run([scene.stats, "watch", "--once", "--format", "json"],
                                       capture_output=True, check=True, env=environment).stdout)[0]
    for ring in ["config", "telemetry"]:
        said = theirs[ring + "_ring"]
        now = scene.browser.value(f"document.querySelector('[data-field={ring}] [role=meter]')"
                                  ".getAttribute('aria-valuenow')")
        expect(float(now) == said["now"], f"{ring}: {now} is not {said}")
        words = scene.text(f"[data-field={ring}-words]").replace("\u00a0", " ")
        for key in ["now", "mean", "peak"]:
            shown = float(words.split(key + " ")[1].split(" %")[0])
            expect(abs(shown - 100 * said[key]) <= 0.5001, f"{ring} {key}: {words} is not {said}")
    counts = ", ".join(["In flight {in_flight}", "completed {completed}", "failed {failed}",
                        "dropped {dropped}"]).format(**theirs)
    expect(scene.text("[data-field=counts]") == counts, f"{scene.text('[data-field=counts]')}")
    overflows = "Overflows: config {config_overflows}, telemetry {telemetry_overflows}"
    expect(scene.text("[data-field=overflows]") == overflows.format(**theirs), "overflows")
    expect(scene.browser.complaints == [], f"{scene.browser.complaints}")


def narrow(scene):
    """A narrow window must be scrolled sideways, or a table or picture has no name for a reader."""
    writer = Writer(scene.file, run_id="a-run-" + "x" * 39)
    writer.metrics(30, phase="p" * 200, notes="n" * 500, chromatic_number=2**64 - 1)
    scene.browser.ask("Emulation.setDeviceMetricsOverride", width=360, height=700,
                      deviceScaleFactor=1, mobile=False)
    scene.open(scene.serve())
    digits = scene.text("#records [data-field=chromatic_number]")
    expect(digits == str(2**64 - 1), f"a big number: {digits}")
    width = scene.browser.value("document.documentElement.scrollWidth")
    expect(width <= 360, f"the page is {width} wide")
    for what in ["svg:not([role])", "[role=img]:not([aria-labelledby])",
                 "[role=meter]:not([aria-label])", "th:not([scope])",
                 "section:not([aria-labelledby])"]:
        count = scene.browser.value(f"document.querySelectorAll('{what}').length")
        expect(count == 0, f"{count} of {what}")


def connection_lost(scene):
    """A page whose server has gone, or ended with a problem, looks live."""
    writer = Writer(scene.file)
    writer.metrics(1)
    server = scene.serve()
    scene.open(server)
    scene.text("#status", lambda text: text == "Live")
    server.end()
    scene.text("#status", lambda text: text.startswith("Not live: the connection is lost"))
    server = scene.serve()
    scene.open(server)
    scene.text("#status", lambda text: text == "Live")
    writer.put("{oops}\n")
    scene.text("#problem", lambda text: "run.jsonl:3: is not JSON" in text)
    scene.text("#status", lambda text: text == "Ended")
    server.end(2, with_signal=None)


if __name__ == "__main__":
    if not find_browser():
        print("skipped: there is no chromium or google-chrome here (tools/setup.sh chromium)")
        sys.exit(77)
    sys.exit(run_cases([values, gauges, narrow, connection_lost], sys.argv[1:], PageScene))
