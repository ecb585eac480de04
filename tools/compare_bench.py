#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""compare_bench.py OLD_BENCH NEW_BENCH --only REGEX [--rounds N] [--json FILE]

Runs two builds of aatgs_bench in turns (old new new old, then the other way round) with short
windows, and says for each figure that both have how much longer the new one takes: the median of
the ratios of the rounds, and their quartiles. So what drifts on the machine bears on both alike.
Above 1 the new one is slower, whether the figure is a time or a rate. Leaves with status 1 if a
build fails, with 2 if the input is wrong or the result cannot be written.
"""

import argparse
import json
import math
import pathlib
import statistics
import subprocess
import sys
import tempfile

import plot_bench
import script_output

BUILDS = ("old", "new")


class Failure(Exception):
    """A build did not do what it was asked for; the message is one sentence."""


def order_of(round_number):
    return (0, 1, 1, 0) if round_number % 2 == 0 else (1, 0, 0, 1)


def run_build(program, arguments, limit_s):
    """What the program measured, as its JSON says."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "result.json"
        command = [program, "--only", arguments.only, "--json", str(file)]
        command += [] if arguments.full else ["--quick"]
        command += ["--dimacs", arguments.dimacs] if arguments.dimacs else []
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, text=True, errors="replace",
                                  timeout=limit_s, check=False)
        except OSError as error:
            raise plot_bench.BadInput(f"{program}: cannot be run ({error.strerror})") from error
        except subprocess.TimeoutExpired as error:
            raise Failure(f"{program}: did not end within {limit_s} s") from error
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            kind = plot_bench.BadInput if done.returncode == 2 else Failure
            raise kind(f"{program}: status {done.returncode}: {last}")
        return plot_bench.read_result(file)


def time_of(figure):
    """The median as a time, so that more is worse; None where nothing was measured."""
    if figure["p50"] <= 0:
        return None
    return 1 / figure["p50"] if figure["unit"].endswith("/s") else figure["p50"]


def ratio_of(name, pairs):
    """New over old of one round; None where a run lacks the figure."""
    times = ([], [])
    for build, result in pairs:
        figure = result["figures"].get(name)
        time = time_of(figure) if figure is not None else None
        if time is None:
            return None
        times[build].append(time)
    return sum(times[1]) / sum(times[0])


def quantile(values, share):
    values = sorted(values)
    place = share * (len(values) - 1)
    low = math.floor(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (place - low) * (values[high] - values[low])


def compare(rounds):
    """{figure: what became of it}, of rounds of (build, result) pairs."""
    runs = [pair for pairs in rounds for pair in pairs]
    shared = [name for name in runs[0][1]["figures"]
              if len({result["figures"].get(name, {}).get("unit") for _, result in runs}) == 1]
    compared = {}
    for name in shared:
        ratios = [ratio for pairs in rounds if (ratio := ratio_of(name, pairs)) is not None]
        if not ratios:
            continue
        entry = {"unit": runs[0][1]["figures"][name]["unit"]}
        for index, build in enumerate(BUILDS):
            entry[build] = statistics.median(result["figures"][name]["p50"]
                                             for of, result in runs if of == index)
        entry["ratio"] = {"p25": quantile(ratios, 0.25), "p50": statistics.median(ratios),
                          "p75": quantile(ratios, 0.75)}
        entry["rounds"] = len(ratios)
        compared[name] = entry
    return compared


def left_out(rounds, compared):
    """{build: figures of it alone, or that were not measured every time}."""
    runs = [pair for pairs in rounds for pair in pairs]
    return {build: sorted({name for of, result in runs if of == index
                           for name in result["figures"]} - set(compared))
            for index, build in enumerate(BUILDS)}


def describe(build, label, rounds):
    result = next(result for pairs in rounds for of, result in pairs if of == build)
    return {"label": label, "settings": result.get("settings", "")}


def report_of(arguments, rounds):
    compared = compare(rounds)
    if not compared:
        raise plot_bench.BadInput(f"--only '{arguments.only}' matches no figure that both builds "
                                  "have")
    first = rounds[0][0][1]
    slowest = max(compared, key=lambda name: compared[name]["ratio"]["p50"])
    return {
        "format": "aatgs-bench-comparison",
        "version": 1,
        "machine": first["machine"],
        "driver": first["driver"],
        "date": first["date"],
        "only": arguments.only,
        "rounds": len(rounds),
        "old": describe(0, arguments.labels[0], rounds),
        "new": describe(1, arguments.labels[1], rounds),
        "slowest": {"figure": slowest, "ratio": compared[slowest]["ratio"]["p50"]},
        "figures": compared,
        "left_out": left_out(rounds, compared),
    }


def table_of(report):
    yield (f"{report['machine']}, driver {report['driver']}, {report['date']}; "
           f"{report['rounds']} rounds; ratio: the time of {report['new']['label']} over that of "
           f"{report['old']['label']}")
    yield ""
    yield f"{'figure':<42} {'old':>10} {'new':>10} {'unit':<5} {'p25':>7} {'ratio':>7} {'p75':>7}"
    for name, entry in report["figures"].items():
        ratio = entry["ratio"]
        yield (f"{name:<42} {plot_bench.short(entry['old']):>10} "
               f"{plot_bench.short(entry['new']):>10} {entry['unit']:<5} {ratio['p25']:>7.3f} "
               f"{ratio['p50']:>7.3f} {ratio['p75']:>7.3f}")
    yield ""
    yield f"slowest: {report['slowest']['figure']}, {report['slowest']['ratio']:.3f}"


def measure(arguments):
    programs = (arguments.old, arguments.new)
    rounds = []
    for number in range(arguments.rounds):
        rounds.append([(build, run_build(programs[build], arguments, arguments.timeout))
                       for build in order_of(number)])
        print(f"compare_bench: round {number + 1} of {arguments.rounds}", file=sys.stderr)
    return rounds


def positive(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of 1 or more")
    return int(text)


def parse_command_line():
    parser = argparse.ArgumentParser(
        description="Two builds of aatgs_bench in turns: how much longer the new one takes.")
    parser.add_argument("old", metavar="OLD_BENCH")
    parser.add_argument("new", metavar="NEW_BENCH")
    parser.add_argument("--only", metavar="REGEX", required=True,
                        help="as of aatgs_bench: the figures to compare")
    parser.add_argument("--rounds", metavar="N", type=positive, default=10,
                        help="of four runs each; default 10")
    parser.add_argument("--json", metavar="FILE", type=pathlib.Path, help="write the result here")
    parser.add_argument("--labels", metavar=("OLD", "NEW"), nargs=2, default=BUILDS,
                        help="what to call the builds, such as their commits")
    parser.add_argument("--full", action="store_true", help="windows as long as without --quick")
    parser.add_argument("--dimacs", metavar="DIR", help="handed on to both")
    parser.add_argument("--timeout", metavar="SECONDS", type=positive, default=300,
                        help="for one run of a build; default 300")
    return parser.parse_args()


def main():
    arguments = parse_command_line()
    try:
        if arguments.json is not None:
            script_output.require_replaceable(arguments.json)  # better now than after the runs
        report = report_of(arguments, measure(arguments))
        if arguments.json is not None:
            script_output.replace_file(arguments.json, json.dumps(report, indent=2) + "\n")
        script_output.print_whole("\n".join(table_of(report)))
    except (plot_bench.BadInput, OSError) as error:
        print(f"compare_bench: {error}", file=sys.stderr)
        return 2
    except Failure as error:
        print(f"compare_bench: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
