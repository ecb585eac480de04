#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tuner_share.py AATGS_STATS [OPTION...]: how close `aatgs_stats tune` comes to a full sweep.

Tunes and then sweeps three loads of the built-in kind with the further options (such as --executor
resident) and prints, as JSON, the share of the sweep's best throughput that the sweep found at the
sizes which the tuner recommends, and how many runs each took.
"""

import json
import subprocess
import sys

LOADS = {
    "steady short steps": ["--step-us", "2"],
    "bursts": ["--step-us", "20", "--burst", "96", "--rate", "40000"],
    "slow reader of large telemetry":
        ["--step-us", "5", "--burst", "32", "--reader-us", "10", "--large-telemetry"],
}


def report(program, command, load, options):
    done = subprocess.run([program, command, "--format", "json", "--repeat", "3", *load, *options],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"tuner_share: {command} of {load}: {done.stderr.splitlines()[-1:]}")
    return json.loads(done.stdout)


def sizes(run):
    return run["config_slots"], run["telemetry_slots"]


def main(program, *options):
    results = {}
    for name, load in LOADS.items():
        tuned = report(program, "tune", load, options)
        swept = report(program, "sweep", load, options)
        best = max(swept["runs"], key=lambda run: run["per_second"])
        found = next(r for r in swept["runs"] if sizes(r) == sizes(tuned["recommended"]))
        results[name] = {
            "load": tuned["workload"],
            "executor": best["executor"],
            "recommended": sizes(found),
            "per_second": found["per_second"],
            "fastest": sizes(best),
            "fastest_per_second": best["per_second"],
            "share": found["per_second"] / best["per_second"],
            "runs_tuning": len(tuned["runs"]),
            "runs_sweeping": len(swept["runs"]),
        }
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:])
