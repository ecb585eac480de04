#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tuner_share.py AATGS_STATS [--seconds N] [OPTION...]: how close `aatgs_stats tune` comes to a full
sweep.

Tunes and then sweeps three loads of the built-in kind with the further options (such as --executor
resident). The fastest of so many sizes in a sweep is also the luckiest, so the sizes that the tuner
recommends and the sweep's fastest few are then run in turns until the time is up, and their medians
compared. Prints, as JSON, the recommended sizes' share of the fastest's throughput, and how many
runs each took. Takes some N seconds, by default 54. --executor cpu without --cpu-threads uses half
of the cores, so that the host's thread and others of the machine have theirs. Leaves with status 1
if the program fails, with 2 if it cannot be run or refuses the options, or the result cannot be
written.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import script_output

LOADS = {
    "steady short steps": ["--step-us", "2", "--run-ms", "50"],
    # Long enough for the last of its bursts, cut short, not to count.
    "bursts": ["--step-us", "20", "--burst", "96", "--rate", "40000", "--run-ms", "100"],
    "slow reader of large telemetry":
        ["--step-us", "5", "--burst", "32", "--reader-us", "10", "--large-telemetry",
         "--run-ms", "50"],
}
SMALLEST = ["--min-slots", "16"]
FINALISTS = 3
LEAST_ROUNDS = 3
PATIENCE_S = 120


class GivenUp(Exception):
    """The message is one sentence; `status`: 2 if the call was wrong, 1 if the program failed."""

    def __init__(self, message, status):
        super().__init__(message)
        self.status = status


def report(program, command, arguments):
    command_line = [program, command, "--format", "json", *arguments]
    try:
        done = subprocess.run(command_line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, errors="replace",
                              timeout=PATIENCE_S, check=False)
    except OSError as error:
        raise GivenUp(f"{program}: cannot be run ({error.strerror})", 2) from error
    except subprocess.TimeoutExpired as error:
        raise GivenUp(f"{program} {command}: did not end within {PATIENCE_S} s", 1) from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise GivenUp(f"{program} {command}: status {done.returncode}: {last}",
                      2 if done.returncode == 2 else 1)
    try:
        return json.loads(done.stdout)
    except ValueError as error:
        raise GivenUp(f"{program} {command}: not JSON ({error})", 1) from error


def sizes(run):
    return run["config_slots"], run["telemetry_slots"]


def run_once(program, load, size):
    slots = ["--config-slots", str(size[0]), "--telemetry-slots", str(size[1])]
    return report(program, "load", [*load, *slots])["per_second"]


def run_in_turns(program, load, candidates, until):
    """{size: throughputs}, to and fro, so that what drifts bears on all alike."""
    found = {size: [] for size in candidates}
    rounds = 0
    while rounds < LEAST_ROUNDS or time.monotonic() < until:
        for size in candidates if rounds % 2 == 0 else reversed(candidates):
            found[size].append(run_once(program, load, size))
        rounds += 1
    return found


def measure(program, load, seconds):
    until = time.monotonic() + seconds
    tuned = report(program, "tune", ["--repeat", "3", *SMALLEST, *load])
    swept = report(program, "sweep", [*SMALLEST, *load])
    recommended = sizes(tuned["recommended"])
    fastest_few = sorted(swept["runs"], key=lambda run: -run["per_second"])[:FINALISTS]
    candidates = list(dict.fromkeys([recommended, *map(sizes, fastest_few)]))
    found = run_in_turns(program, load, candidates, until)
    medians = {size: statistics.median(rates) for size, rates in found.items()}
    best = max(medians, key=medians.get)
    return {
        "load": tuned["workload"],
        "executor": tuned["recommended"]["executor"],
        "recommended": recommended,
        "per_second": medians[recommended],
        "fastest": best,
        "fastest_per_second": medians[best],
        "share": medians[recommended] / medians[best],
        "runs_tuning": len(tuned["runs"]),
        "runs_sweeping": len(swept["runs"]),
        "in_turns": [{"slots": size, "median": medians[size], "least": min(rates),
                      "most": max(rates), "runs": len(rates)} for size, rates in found.items()],
    }


def with_cores(options):
    on_cpu = "cpu" in options or "--executor=cpu" in options
    if not on_cpu or any(option.startswith("--cpu-threads") for option in options):
        return list(options)
    return [*options, "--cpu-threads", str(max(1, (os.cpu_count() or 1) // 2))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", metavar="AATGS_STATS")
    parser.add_argument("--seconds", type=float, default=54)
    arguments, options = parser.parse_known_args()
    seconds = arguments.seconds / len(LOADS)
    try:
        results = {name: measure(arguments.program, [*load, *with_cores(options)], seconds)
                   for name, load in LOADS.items()}
        script_output.print_whole(json.dumps(results, indent=2))
    except (GivenUp, OSError) as error:
        print(f"tuner_share: {error}", file=sys.stderr)
        return error.status if isinstance(error, GivenUp) else 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
