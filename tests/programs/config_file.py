#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""config_file.py NAME PROGRAM EXAMPLE: runs a program with configuration files, bad and good.

Each case is a hazard. Prints a count as doctest does.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import tomllib

sys.dont_write_bytecode = True
from hostile import ESCAPE, LONG, Program, Wrong, expect, limit_files  # noqa: E402


def printed(p, *arguments, **streams):
    """What --print-config says, as another reader of TOML has it."""
    return tomllib.loads(p.works(*arguments, "--print-config", **streams).stdout.decode())


def no_toml(p, table, key):
    def refused(content, about):
        p.refuses("--config", p.put("c.toml", content), "--print-config", about=about)

    t, k = table.encode(), key.encode()
    refused(b"[" + t, "c.toml:1:")
    refused(b"[" + t + b"]\n" + k + b" =\n", "c.toml:2:")
    refused(b"[" + t + b"]\n" + k + b" = 1\n" + k + b" = 2\n", "c.toml:3:")
    refused(b"[" + t + b"]\n[" + t + b"]\n", "c.toml:2:")
    refused(bytes(range(256)), "c.toml:1:")
    refused(b"\0" * 100, "c.toml:1:")
    refused(b"# \xff\xfe", "c.toml:1:")
    refused(b"x = " + b"[" * 60000, "c.toml:1:")
    refused(b"." * 60000, "dots")
    refused(b"a" * 70000, "larger than 64 KiB")


def wrong_content(p, table, key):
    def refused(content, about):
        p.refuses("--config", p.put("c.toml", content.encode()), "--print-config", about=about)

    refused(f"[{table}]\n{key}s = 1\n", f"c.toml:2:1: [{table}] has no key '{key}s': did you mean {key}?")
    refused(f"[{table}x]\n", f"c.toml:1:2: unknown table [{table}x]: did you mean [{table}]?")
    refused(f"{key} = 1\n", f"c.toml:1:1: the key '{key}' stands in no table: it belongs in [{table}]")
    refused(f"[{table}]\n{key} = '1'\n", f"{key} in [{table}] is a string: give an integer")
    refused(f"[{table}]\n{key} = 1.5\n", "is a number with a fraction: give an integer")
    refused(f"[{table}]\n{key} = -1\n", f"c.toml:2:{len(key) + 4}: {key} in [{table}]: ")
    refused(f"[{table}]\n{key} = 9223372036854775808\n", "c.toml:2:")
    refused(f"[{table}]\n\"\\u001b[2J\\n{LONG}\" = 1\n", f"c.toml:2:1: [{table}] has no key '?[2J?aaa")


def no_file(p, table, key):
    (p.folder / "dir").mkdir(exist_ok=True)
    for path, about in {"": "cannot open", "none": "cannot open", "dir": "is a directory",
                        LONG: "cannot open", ESCAPE: "cannot open", b"\xff": "cannot open",
                        "/dev/zero": "larger than 64 KiB", "/proc/self/mem": "cannot read"}.items():
        p.refuses("--config", path, "--print-config", about=about)
    with open(p.folder / "huge", "wb") as huge:
        huge.truncate(1 << 40)
    done = p.run("--config", "huge", "--print-config")
    expect(done.returncode == 2 and b"larger than 64 KiB" in done.stderr, f"huge: {done.stderr!r}")
    os.remove(p.folder / "huge")
    with open("/dev/full", "wb") as full:
        p.refuses("--print-config", stdout=full, about="No space left on device")


def order(p, table, key):
    """A value of less weight goes before one of more, or its origin is another one's."""
    p.put("c.toml", f"[{table}]\n{key} = 40\n".encode())
    flag = "--" + key.removesuffix("_ms").replace("_", "-")
    expect(printed(p, "--config", "c.toml")[table][key] == 40, "the file does not count")
    expect(printed(p, "--config", "c.toml", flag, "80")[table][key] == 80, "the file goes first")
    text = p.works("--config", "c.toml", "--print-config").stdout.decode()
    expect(f"\n{key} = 40  # c.toml:2\n" in text, f"no origin: {text}")
    text = p.works(flag, "80", "--print-config").stdout.decode()
    expect(f"\n{key} = 80  # command line\n" in text, f"no origin: {text}")


def no_such_key(p, table, key):
    """A key of [gpu] that does nothing is taken."""
    for name in ["streams = 4", "stream_mode = 'x'"]:
        p.refuses("--config", p.put("c.toml", f"[gpu]\n{name}\n".encode()), "--print-config",
                  about=f"[gpu] has no key '{name.split()[0]}'")


def ring_order(p, table, key):
    """Of the slots of a ring, what the environment says is not between file and command line."""
    p.put("c.toml", b"[gpu]\nconfig_slots = 4\n")
    both = {"AATGS_CONFIG_SLOTS": "2"}
    for arguments, env, slots in [([], {}, 1024), ([], both, 2), (["--config", "c.toml"], {}, 4),
                                  (["--config", "c.toml"], both, 2),
                                  (["--config", "c.toml", "--config-slots", "8"], both, 8)]:
        got = printed(p, *arguments, env=env)["gpu"]["config_slots"]
        expect(got == slots, f"{arguments} {env}: {got}")
    p.refuses("--print-config", env={"AATGS_CONFIG_SLOTS": "3"}, about="AATGS_CONFIG_SLOTS")


def round_trip(p, table, key):
    """What is printed is read as something else."""
    first = p.works("--print-config").stdout
    p.put("first.toml", first)
    second = p.works("--config", "first.toml", "--print-config").stdout
    expect(tomllib.loads(first.decode()) == tomllib.loads(second.decode()), "another configuration")
    expect(b"# default" not in second, "a value that is there is not read")


def example(p, table, key):
    """The example does not run, or the program does not do what it says."""
    values = printed(p, "--config", EXAMPLE)
    for name, keys in tomllib.loads(pathlib.Path(EXAMPLE).read_text()).items():
        for k, value in keys.items():
            expect(values[name][k] == value, f"{name}.{k} is {values[name][k]}, not {value}")
    done = p.works("--config", EXAMPLE, "--executor", "cpu")
    expect(b"queen8_8: 64 vertices" in done.stdout and b"-> 0, checked" in done.stdout,
           f"{done.stdout!r}")


def place(table, key, *texts):
    """A case: values that are refused only where they are used, not where they stand."""
    def case(p, _table, _key):
        for text in texts:
            p.refuses("--config", p.put("c.toml", f"[{table}]\n{key} = {text}\n".encode()),
                      "--print-config", about=f"c.toml:2:{len(key) + 4}: {key} in [{table}]: ")
    return {f"{key} in [{table}] that cannot work": case}


WHCR = ["--graph", "queen:6", "--colors", "7", "--executor", "cpu", "--slice", "10"]


def records(p, name):
    lines = (p.folder / name).read_text().splitlines()
    return [json.loads(line) for line in lines]


def telemetry(p, table, key):
    """A slice is not recorded, or recorded as another; the manifest tells other options."""
    p.put("c.toml", b"[telemetry]\nfile = 'run.jsonl'\n")
    done = p.works(*WHCR, "--config", "c.toml", "--searches", "2", "--json", "report")
    manifest, *metrics, summary = records(p, "run.jsonl")
    expect(manifest["options"] == printed(p, *WHCR, "--config", "c.toml", "--searches", "2"),
           f"{manifest}")
    run = next(iter(json.loads((p.folder / "report").read_text())["runs"].values()))
    expect(len(metrics) == summary["written"] and summary["dropped"] == 0, f"{summary}")
    expect(f"telemetry     {len(metrics)} records in run.jsonl, 0 dropped".encode() in done.stdout,
           f"{done.stdout!r}")
    for what in ["iterations", "moves"]:
        total = sum(m["notes"][what] for m in metrics)
        expect(total == run[what], f"{total} {what} are recorded, {run[what]} made")
    for step, m in enumerate(metrics):
        expect(m["phase"] == "whcr" and m["step"] == step and m["chromatic_number"] == 7, f"{m}")
        expect(m["duration_ms"] > 0 and m["notes"]["search"] in (0, 1), f"{m}")
        expect(m["execution"] == {"mode": "cpu_fallback", "reason": "executor cpu was asked for"},
               f"{m}")
        expect(m["parameters"] == {"slice": 10, "searches": 2, "seed": 1}, f"{m}")
    expect(min(m["conflicts"] for m in metrics) == run["conflicts"] == 0, "other conflicts")


def telemetry_file(p, table, key):
    """An earlier run's file is lost, or a file that cannot be had does not stop the run."""
    p.put("old", b"old\n")
    p.refuses(*WHCR, "--telemetry", "old", about="old")
    p.works(*WHCR, "--telemetry", "old", "--telemetry-replace")
    expect(records(p, "old")[-1]["type"] == "summary", "not replaced")
    (p.folder / "dir").mkdir()
    for path in ["dir", "none/file", LONG]:
        # The graph is named before, so that only the last line is of interest.
        done = p.run(*WHCR, "--telemetry", path)
        expect(done.returncode == 2 and done.stderr.count(b"\n") == 1, f"{path}: {done}")
    p.refuses(*WHCR, "--telemetry", "new", "--compare", about="--telemetry with --compare")
    p.refuses(*WHCR, "--telemetry-rotate", "16383", about="give 0, for one file, or at least 16384")
    done = p.works(*WHCR, "--telemetry", "full.jsonl", before=limit_files(2000))
    expect(b"aatgs_whcr: telemetry: " in done.stderr and b" 0 lost" not in done.stdout, f"{done}")


def rotated(p, table, key):
    """A part is longer than it may be, or a record is lost between parts."""
    p.put("c.toml", b"[telemetry]\nfile = 'r.jsonl'\nrotate_bytes = 16384\n")
    done = p.run("--graph", "queen:9", "--colors", "3", "--executor", "cpu", "--slice", "1",
                 "--iterations", "100", "--searches", "2", "--config", "c.toml")
    expect(done.returncode == 1 and done.stderr == b"", f"{done}")
    parts = sorted(p.folder.glob("r*.jsonl"))
    expect(len(parts) > 1, f"{parts}")
    sequence = []
    for part in parts:
        expect(part.stat().st_size <= 16384, f"{part}: {part.stat().st_size}")
        sequence += [m["sequence"] for m in records(p, part.name) if m["type"] == "metric"]
    expect(sorted(sequence) == list(range(len(sequence))), "records are missing")
    expect(len(sequence) == 200, f"{len(sequence)} records")


def of_stats(p, table, key):
    """A file is taken before the command, of another command, or for a COMMAND that it does not concern."""
    p.prefix = []
    p.put("c.toml", b"[load]\nrate = 2000\nrun_ms = 200\n[gpu]\nexecutor = 'cpu'\nconfig_slots = 8\n")
    p.refuses("--config", "c.toml", "load", about="--config")
    run = json.loads(p.works("load", "--config", "c.toml", "--format", "json").stdout)
    expect(run["config_slots"] == 8, f"{run}")
    p.refuses("watch", "--once", "--config", "c.toml", about=": the tables are [watch]")
    for key, value in {"config_slots": 3, "telemetry_slots": 0, "executor": "'launch'"}.items():
        p.refuses("load", "--config", p.put("e.toml", f"[gpu]\n{key} = {value}\n".encode()),
                  about=f"e.toml:2:{len(key) + 4}: {key} in [gpu]: ")
    p.put("d.toml", b"[load]\nrate = 2000\n")
    p.refuses("sweep", "--config", "d.toml", "--", "true", about="--rate is for the built-in load")


def of_monitor(p, table, key):
    """A filter in a file is not kept, or one on the command line is not before it."""
    def record(sequence, phase, conflicts):
        return json.dumps({"type": "metric", "sequence": sequence, "run_id": "r", "phase": phase,
                           "timestamp": "2026-01-01T00:00:00.000000000Z", "monotonic_ns": 5,
                           "step": sequence, "chromatic_number": 3, "conflicts": conflicts,
                           "duration_ms": 1.0, "execution": {"mode": "disabled"},
                           "parameters": None, "notes": None}) + "\n"
    p.put("r.jsonl", "".join(record(i, phase, i % 2) for i, phase in
                             enumerate(["whcr", "whcr", "memetic", "memetic", "quantum"])).encode())
    p.put("c.toml", b"[monitor]\nphases = ['whcr', 'memetic']\nwhere = 'conflicts > 0'\n"
                    b"format = 'jsonl'\ninterval_ms = 100\n")

    def shown(*arguments):
        lines = p.works("r.jsonl", *arguments).stdout.splitlines()
        return [json.loads(line)["sequence"] for line in lines]

    expect(shown("--config", "c.toml") == [1, 3], "the file's filters")
    expect(shown("--config", "c.toml", "--phase", "quantum", "--where", "step>=0") == [4],
           "the command line's filters")
    rows = p.works("export", "csv", "r.jsonl", "--config", p.put("f.toml", b"[monitor]\nphases = ['quantum']\n"))
    expect(len(rows.stdout.splitlines()) == 2, f"{rows.stdout!r}")
    p.refuses("--config", "f.toml", "export", "csv", "r.jsonl", about="--config FILE")
    p.refuses("r.jsonl", "--config", p.put("g.toml", b"[monitor]\ninterval_ms = 1\n"),
              about="g.toml:2:15: interval_ms in [monitor]: ")
    p.refuses("plot", "r.jsonl", "--config", "c.toml", about="[monitor] has no key 'format'")
    p.refuses("plot", "r.jsonl", "--config", p.put("h.toml", b"[monitor]\nsince = 'zz'\n"),
              about="h.toml:2:9: since in [monitor]: --since 'zz'")


PHASES = ["--host-threads", "--graph", "gnp:40:0.2:1", "--sweeps", "300", "--passes", "3"]


def phases_report(p, *arguments):
    p.works(*PHASES, "--json", "report", *arguments)
    return json.loads((p.folder / "report").read_text())["runs"]


def phases_modes(p, table, key):
    """stream_mode or streams do nothing, or phases in one stream run at a time, or find other colorings."""
    found = set()
    for text, used, streams in [("stream_mode = 'sequential'", 1, 1),
                                ("stream_mode = 'sequential'\nstreams = 4", 1, 1),
                                ("stream_mode = 'parallel'", 5, 4), ("streams = 4", 4, 4),
                                ("stream_mode = 'parallel'\nstreams = 2", 2, 2)]:
        run, = phases_report(p, "--config", p.put("c.toml", f"[gpu]\n{text}\n".encode()))
        expect(run["mode"] == ("sequential" if "seq" in text else "parallel"), f"{text}: {run}")
        expect(run["streams_used"] == used, f"{text}: kernels in {run['streams_used']} streams")
        expect(len({phase["stream"] for phase in run["phases"]}) == streams, f"{text}: {run}")
        expect(used > 1 or 0 < run["at_once"] <= 1, f"{text}: {run['at_once']} phases at a time")
        found.add((run["conflicts"], *(phase["conflicts"] for phase in run["phases"])))
    expect(len(found) == 1, f"other colorings: {found}")
    both = phases_report(p, "--compare", "--streams", "4")
    expect([(run["mode"], run["streams_used"]) for run in both] == [("sequential", 1), ("parallel", 4)],
           f"{both}")


def phases_best(p, table, key):
    """What the phase that waits for the others takes is not the best, or not legal where it says so."""
    run, = phases_report(p, "--colors", "12", "--replicas", "3")
    expect(run["conflicts"] == 0 and run["replicas"] == 3, f"{run}")
    winners = set()
    for seed in range(1, 9):
        done = p.works(*PHASES[:3], "--sweeps", "1", "--passes", "1", "--colors", "3", "--replicas", "2",
                       "--seed", str(seed), "--json", "report")
        run = json.loads((p.folder / "report").read_text())["runs"][0]
        conflicts = [phase["conflicts"] for phase in run["phases"]]
        expect(0 < run["conflicts"] == min(conflicts), f"{run}")
        expect(f"best          {min(conflicts)} conflicts, checked".encode() in done.stdout, f"{done}")
        winners.add(conflicts.index(min(conflicts)))
    expect(len(winners) > 1, f"{winners}: one phase always wins, or all do the same")
    run, = phases_report(p, "--colors", "1")
    edges = p.works(*PHASES).stdout.split(b" vertices, ")[1].split(b" ")[0]
    expect(run["conflicts"] == int(edges), f"one color, {edges} edges: {run['conflicts']}")


def phases_refused(p, table, key):
    """A value of [gpu] that is none, or a key that does nothing here, is taken, or not told where."""
    for text, about in {
            "stream_mode = 'async'": "c.toml:2:15: stream_mode in [gpu]: unknown stream_mode 'async': "
                                     "choose one of sequential, parallel",
            "stream_mode = ''": "c.toml:2:15: stream_mode in [gpu]: unknown stream_mode ''",
            "stream_mode = 1": "c.toml:2:15: stream_mode in [gpu] is an integer",
            "stream_mode = ['parallel']": "c.toml:2:15: stream_mode in [gpu]",
            "streams = 65": "c.toml:2:11: streams in [gpu]: Value 65 not in range 0 to 64",
            "streams = -1": "c.toml:2:11: streams in [gpu]: ",
            "streams = '4'": "c.toml:2:11: streams in [gpu] is a string",
            "streamss = 4": "c.toml:2:1: [gpu] has no key 'streamss': did you mean streams?",
            "executor = 'cpu'": "c.toml:2:1: [gpu] has no key 'executor'"}.items():
        p.refuses(*PHASES, "--config", p.put("c.toml", f"[gpu]\n{text}\n".encode()), about=about)
    p.refuses(*PHASES, "--stream-mode", "x", about="choose one of sequential, parallel")


def phases_example(p, table, key):
    """The example does not run, or the program does not do what it says."""
    path = str(pathlib.Path(EXAMPLE).with_name("pipeline_phases.toml"))
    values = printed(p, "--config", path)
    for name, keys in tomllib.loads(pathlib.Path(path).read_text()).items():
        for k, value in keys.items():
            expect(values[name][k] == value, f"{name}.{k} is {values[name][k]}, not {value}")
    done = p.works("--config", path, *PHASES)
    expect(b"mode          parallel, kernels in 4 streams" in done.stdout, f"{done.stdout!r}")


COMMON = {
    "a text that is no TOML": no_toml,
    "a table, key or value that is wrong": wrong_content,
    "a file that is none": no_file,
    order.__doc__: order,
    round_trip.__doc__: round_trip,
}
RINGS = {ring_order.__doc__: ring_order, no_such_key.__doc__: no_such_key}
COMMANDS = {"aatgs_stats": ["tune"]}  # of programs that take files behind one
# Of each program: a key of an integer, and its own cases.
PROGRAMS = {
    "aatgs_stats": ("load", "step_us", {of_stats.__doc__: of_stats, no_such_key.__doc__: no_such_key} |
                    place("tune", "min_slots", "3", "0") | place("tune", "max_slots", "100") |
                    place("tune", "config_policies", "['x']") |
                    place("tune", "telemetry_policies", "['reject']")),
    "aatgs_monitor": ("monitor", "interval_ms", {of_monitor.__doc__: of_monitor} |
                      place("monitor", "format", "'xml'") | place("monitor", "since", "'zz'") |
                      place("monitor", "where", "'('") | place("monitor", "stall_after", "'0'")),
    "aatgs_whcr": ("iterative", "slice", RINGS | {
        f.__doc__: f for f in [example, telemetry, telemetry_file, rotated]} |
                   place("hypertune", "window_records", "0", "1048577") |
                   place("hypertune", "stall_iterations", "0") |
                   place("hypertune", "patience", "0") |
                   place("hypertune", "efficiency", "nan", "1.5", "-0.5")),
    "jacobi": ("iterative", "repetitions", RINGS),
    "aatgs_bench": ("gpu", "hot_window", RINGS | place("bench", "only", "'('")),
    "pipeline_phases": ("search", "sweeps", {
        f.__doc__: f for f in [phases_modes, phases_best, phases_refused, phases_example]}),
    "aatgs_soak": ("soak", "cycles", {no_such_key.__doc__: no_such_key} |
                   place("soak", "only", "'('") | place("gpu", "executor", "'cpu_triple_buffer'")),
}


def main(name, path):
    table, key, own = PROGRAMS[name]
    cases = COMMON | own
    failed = 0
    for hazard, case in cases.items():
        with tempfile.TemporaryDirectory(prefix="aatgs-test-") as folder:
            try:
                case(Program(os.path.abspath(path), pathlib.Path(folder), COMMANDS.get(name, ())),
                     table, key)
            except (Wrong, subprocess.TimeoutExpired) as error:
                failed += 1
                print(f"{name}: {hazard}: {error}")
    print(f"test cases: {len(cases)} | {len(cases) - failed} passed | {failed} failed | 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    EXAMPLE = os.path.abspath(sys.argv[3])
    sys.exit(main(*sys.argv[1:3]))
