#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hostile.py NAME PROGRAM: runs a command line program with wrong arguments, files and streams.

Each case is a hazard. A refusal is one plain line on the standard error stream that names the
program, status 2, and no file left behind or changed. Prints a count as doctest does.
"""

import itertools
import json
import os
import pathlib
import resource
import signal
import struct
import subprocess
import sys
import tempfile

NUMBERS = ["-1", "1e99", "nan", "inf", "x", "", "010", "0x10", "1.5", "+1", " 1",
           "99999999999999999999999", "4294967296"]
LONG = "a" * 5000
ESCAPE = "\x1b[2J\nsecond line"


class Wrong(Exception):
    pass


def expect(holds, what):
    if not holds:
        raise Wrong(what)


class Program:
    """The program in an empty folder of its own. `prefix`: begins every command line."""

    def __init__(self, path, folder, prefix=()):
        self.path, self.folder, self.prefix = path, folder, prefix

    def put(self, name, content):
        (self.folder / name).write_bytes(content)
        return name

    def files(self):
        return {p.name: p.read_bytes() for p in self.folder.iterdir() if p.is_file()}

    def run(self, *arguments, before=None, stdout=subprocess.PIPE, env=None):
        # SIGXFSZ stays ignored, so that a file over the limit is an error of `write`.
        environment = {k: v for k, v in os.environ.items() if k not in ("AATGS_DIMACS_DIR", "AATGS_STATS")}
        environment |= env or {}
        return subprocess.run([self.path, *self.prefix, *arguments], cwd=self.folder, stdout=stdout,
                              stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment,
                              preexec_fn=before, restore_signals=False, timeout=60)

    def refuses(self, *arguments, about="", status=2, **streams):
        """Runs it; it must refuse."""
        shown = [str(a)[:60] for a in arguments]
        files = self.files()
        done = self.run(*arguments, **streams)
        error = done.stderr.decode("utf-8", "replace")
        expect(done.returncode == status, f"{shown}: status {done.returncode}, {error[-300:]!r}")
        name = pathlib.Path(self.path).name
        expect("At Most" not in error, f"{shown}: an option twice")
        expect(error.startswith(name + ": ") and error.endswith("\n"), f"{shown}: {error!r}")
        line = error[:-1]
        expect(line.isascii() and line.isprintable(), f"{shown}: not one plain line: {error!r}")
        expect(len(line) < 1100, f"{shown}: a line of {len(line)} characters")
        expect(about in line, f"{shown}: {line!r} does not say {about!r}")
        expect(self.files() == files, f"{shown}: files are not as they were: {list(self.files())}")

    def works(self, *arguments, **streams):
        done = self.run(*arguments, **streams)
        expect(done.returncode == 0, f"{arguments}: status {done.returncode}, {done.stderr!r}")
        return done


def changed(arguments, option, value):
    """The arguments with another value of an option that takes one."""
    rest = list(arguments)
    if option in rest:
        at = rest.index(option)
        del rest[at:at + 2]
    return [*rest, option, value]


def opened_pipe(p, name):
    """A named pipe and its reader, for which no writer waits. (Not /dev/null: a faulty program that
    is run by root would put a file in its place.)"""
    os.mkfifo(p.folder / name)
    return open(os.open(p.folder / name, os.O_RDONLY | os.O_NONBLOCK), "rb")


def closed(stream):
    return lambda: os.close(stream)


def limit_files(size):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def limit_memory(size):
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size))


def wrong_numbers(options, allowed=()):
    """Every number option with every wrong number."""
    def case(p, good):
        for option in options:
            for number in NUMBERS:
                if (option, number) not in allowed:
                    p.refuses(*changed(good, option, number), about=option)
    return case


def unknown_arguments(p, good):
    p.refuses(*good, "--no-such-option")
    p.refuses(*good, "stray")
    p.refuses(*good, ESCAPE)
    p.refuses(*good, LONG)
    p.refuses(*good, "--" + LONG)
    p.refuses(*good, b"--\xff\xfe=1")


def streams(p, good):
    p.refuses("--help", before=closed(1), about="standard output is closed")
    with open("/dev/full", "wb") as full:
        p.refuses("--help", stdout=full, about="No space left on device")
    help_text = p.works("--help", before=closed(0)).stdout
    expect(b"Exit status" in help_text, "--help does not tell the exit status")
    expect(p.run("--no-such-option", before=closed(2)).returncode == 2, "status without a stderr")


def unwritable(*options):
    def case(p, good):
        (p.folder / "dir").mkdir(exist_ok=True)
        for option in options:
            for path in ["dir", "no/such/file", LONG, "dir/" + "b" * 300, "/proc/none"]:
                p.refuses(*good, option, path, about="cannot write")
            expect(not list((p.folder / "dir").iterdir()), "something was left in the folder")
    return case


def full_disk(*options):
    """The output file as it was before, or none, where the disk fills up on the way."""
    def case(p, good):
        for option in options:
            with_output = [*good, option, "out"]
            p.refuses(*with_output, before=limit_files(20), about="File too large")
            p.put("out", b"old\n")
            p.refuses(*with_output, before=limit_files(20), about="File too large")
            p.refuses(*good, option, "/dev/full", about="No space left on device")
            p.works(*with_output)
            expect((p.folder / "out").read_bytes() not in (b"", b"old\n"), "no output")
            (p.folder / "out").unlink()
    return case


def output_streams(p, good):
    with open("/dev/full", "wb") as full:
        p.refuses(*good, stdout=full, about="No space left on device")
    p.refuses(*good, before=closed(1), about="standard output is closed")
    p.works(*good, before=closed(0))
    p.works(*good, before=closed(2))


def closed_output_and_file(option):
    """With descriptor 1 free, a file that is opened gets it, and what is printed goes there."""
    def case(p, good):
        p.refuses(*good, option, "out", before=closed(1), about="standard output is closed")
    return case


def whcr_graphs(p, good):
    rest = good[2:]

    def graph(name, about, **streams):
        p.refuses("--graph", name, *rest, about=about, **streams)

    (p.folder / "dir").mkdir(exist_ok=True)
    graph("", "nothing named")
    graph("none.col", "no such file")
    graph("dir", "is a directory")
    graph(p.put("empty", b""), "is empty")
    graph(p.put("binary", bytes(range(256)) * 9), "binary:1: ")
    graph(p.put("nul", b"p edge 3 1\ne 1\0 2\n"), "nul:2: NUL byte")
    graph(p.put("header", b"p edge 4000000000 1\ne 1 2\n"), "header:1: vertex count 4000000000")
    graph(p.put("counts", b"p edge 3 1\ne 1 99999999999999999999\n"), "counts:2: ")
    graph("/dev/zero", "longer than 65535")
    graph("/dev/null", "is empty")
    graph(ESCAPE, "no such file")
    graph(LONG, "no such file")
    graph(b"\xff\xfe", "no such file")
    for spec in ["queen:", "queen:-1", "queen:257", "queen:1e9", "myciel:16", "gnp:9:nan:1",
                 "gnp:9:inf:1", "gnp:9:-0.5:1", "gnp:67108864:1:1", "gnp:9:0.5:-1", "gnp:1:2:3:4"]:
        graph(spec, "A graph is")
    # As many vertices as a header may declare fit, or are refused; they do not eat the machine.
    big = p.put("big", b"p edge 67108864 0\n")
    graph(big, "does not fit into the memory", before=limit_memory(450 << 20))


def whcr_names(p, good):
    """A graph's name goes to the terminal and into JSON as it is."""
    name = b"\xff\x1b[2J.col"
    (p.folder / os.fsdecode(name)).write_bytes(b"p edge 2 1\ne 1 2\n")
    done = p.works("--graph", name, "--colors", "2", "--json", "out")
    expect(done.stdout.isascii() and b"\x1b" not in done.stdout, f"printed {done.stdout!r}")
    expect((p.folder / "out").read_text("utf-8").startswith("{"), "the report is not UTF-8")


def whcr_values(p, good):
    def value(option, text, about):
        p.refuses(*changed(good, option, text), about=about)

    for limit in ["0", "-1", "nan", "inf", "1e300", "-nan"]:
        value("--time-limit", limit, "give seconds above 0")
    value("--time-limit", "x", "--time-limit")
    value("--time-limit", "", "--time-limit")
    value("--colors", "0", "not in range")
    value("--colors", "4294967295", "not in range")
    value("--slice", "4294967295", "not in range")
    value("--searches", "4294967295", "not in range")
    value("--config-slots", "3", "config_slots = 3")
    value("--telemetry-slots", "2147483648", "telemetry_slots = 2147483648")
    value("--executor", "gpu", "executor 'gpu'")
    value("--executor", ESCAPE, "executor '?[2J?")
    value("--scope", LONG, "scope 'aaa")
    for devices in ["", "x", "0,", ",0", "-1", "0 1", "0,99999999999", "ALL", ESCAPE]:
        value("--devices", devices, "give 'all', or CUDA ordinals")
    on_host = changed(good, "--executor", "cpu")
    p.refuses(*on_host, "--devices", "1,0,1", about="device 1 twice")
    p.refuses(*on_host, "--devices", "all", about="has as many as you name")
    p.refuses(*good, "--devices", "0", "--compare", about="--devices with --compare")
    p.refuses("--graph", "queen:4", about="--colors is required")
    p.refuses(about="required")
    p.refuses(*good, "--compare", "--output", "out", about="--output with --compare")
    p.refuses(*good, "--compare-iterations", "5", about="--compare-iterations without --compare")
    for mode in [[], ["--compare"], ["--devices", "0"]]:
        p.refuses(*good, "--hypertune-stall", "5", *mode, about="without --hypertune")
    no_gpu = [*good, "--device", "1000", "--compare"]
    p.refuses(*no_gpu, about="--compare needs a GPU")
    expect(p.run(*no_gpu).stdout == b"", "the refusal comes behind the head of a table")


def whcr_one_file(p, good):
    p.put("g.col", b"p edge 2 1\ne 1 2\n")
    os.symlink("g.col", p.folder / "link")
    with_graph = [*changed(good, "--graph", "g.col"), "--telemetry-replace"]
    options = ["--output", "--json", "--trace", "--telemetry"]
    for option in options:
        for path in ["g.col", "./g.col", "link"]:
            p.refuses(*with_graph, option, path, about=f"--graph and {option} are one file, '{path}'")
    for one, other in itertools.combinations(options, 2):
        for path in ["./new", str(p.folder / "new")]:
            p.refuses(*with_graph, one, "new", other, path, about=f"{one} and {other} are one file")
    with opened_pipe(p, "pipe") as pipe:
        p.works(*good, "--output", "pipe", "--json", "pipe")
        expect(b"aatgs-whcr" in pipe.read(), "a pipe for two outputs")


def whcr_refused_late(p, good):
    p.put("old.jsonl", b"old\n")
    for option, value in [("window", "0"), ("patience", "0"), ("stall", "0"), ("efficiency", "nan"),
                          ("conflicts", "-1"), ("stall", "1000000000")]:
        wrong = [*good, "--hypertune", "--hypertune-" + option, value]
        p.refuses(*wrong, "--telemetry", "old.jsonl", "--telemetry-replace", about="hypertune")
        p.refuses(*wrong, "--telemetry", "new.jsonl", about="hypertune")


def jacobi_values(p, good):
    for n in ["0", "32769", "100000", "4294967295"]:
        p.refuses(*changed(good, "--n", n), about="not in range")
    for option in ["--iterations", "--repetitions", "--slice"]:
        p.refuses(*changed(good, option, "0"), about="not in range")
        p.refuses(*changed(good, option, "1000000001"), about="not in range")
    p.refuses(*good, "--form", ESCAPE, about="--form '?[2J?")
    p.refuses(*good, "--form", "tiles", about="tiles are for GPUs")
    p.refuses(*changed(good, "--executor", ""), about="executor ''")
    for plain in [[], ["--form", "plain"]]:
        p.refuses(*good, *plain, "--shape", "garbage", about="--shape 'garbage' and --depth 0 are of tiles")
        p.refuses(*good, *plain, "--depth", "7", about="--depth 7 are of tiles")
    done = p.run(*changed(good, "--executor", "graph_queue"))
    expect(done.returncode != 0 and b"scope" not in done.stderr, f"names a scope: {done.stderr!r}")


def simple_values(p, good):
    for arguments in [["--help"], ["0"], ["8193"], ["8x"], [""], [*good, "extra"]]:
        p.refuses(*arguments, about="usage: jacobi_simple [N [EXECUTOR]]")
    p.refuses("8", "gpu", about="executor 'gpu'")
    p.works(*good)
    with open("/dev/full", "wb") as full:
        p.refuses(*good, stdout=full, status=1, about="cannot write to the standard output")


def soak_values(p, good):
    for pattern in ["(", "[", "*"]:
        p.refuses(*changed(good, "--only", pattern), about="is not a regular expression")
    for executor in ["cpu_triple_buffer", "triple_buffer", "graph_queue", "gpu"]:
        p.refuses(*changed(good, "--executor", executor), about=f"executor '{executor}'")


def soak_nothing(p, good):
    def says(arguments, about):
        done = p.run("--executor", "cpu", *arguments)
        last = done.stderr.splitlines()[-1]
        expect(done.returncode == 2 and about in last, f"{arguments}: {done}")
    says(["--only", "killed", "--kills", "0"], b"the count of killed is 0")
    says(["--only", "nothing"], b"--only 'nothing' leaves no part")


def soak_outputs(p, good):
    """A user's own file is consumed, or what is no plain file becomes one."""
    p.put("out.part", b"mine\n")
    p.put("target", b"old\n")
    os.symlink("target", p.folder / "link")
    with opened_pipe(p, "pipe") as pipe:
        for path in ["out", "link", "pipe"]:
            p.works(*good, "--json", path)
        expect((p.folder / "pipe").is_fifo() and (p.folder / "link").is_symlink(), "replaced")
        for text in [pipe.read(), p.files()["out"], p.files()["target"]]:
            expect(json.loads(text)["format"] == "aatgs-soak", f"{text!r}")
    expect(p.files()["out.part"] == b"mine\n", "another file was taken")
    p.put("out", b"old\n")
    before = p.files()
    done = p.run(*good, "--json", "out", before=limit_files(20))
    expect(done.returncode == 2 and b"cannot write out: File too large" in done.stderr, f"{done}")
    with subprocess.Popen([p.path, "--executor", "cpu", "--only", "cycles", "--json", "new"],
                          cwd=p.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as soak:
        soak.stderr.readline()
        soak.send_signal(signal.SIGINT)
    expect(p.files() == before, f"something was left behind: {list(p.files())}")


def bench_values(p, good):
    for pattern in ["(", "[", "*", "a{99999999}", "((a{999}){999}){999}"]:
        p.refuses("--only", pattern, about="--only")
    p.refuses("--only", "(" * 50_000, about="--only of 50000 characters")
    p.refuses("--only", "(" * 999 + ")", about="--only")
    p.refuses("--config-slots", "3", about="config_slots = 3")
    p.refuses("--hot-window", "0", about="hot_window = 0")
    p.refuses("--device", "1000", status=1, about="measures a GPU")
    p.refuses("--device", "1000", "--json", "out", status=1, about="measures a GPU")


def preflight_values(p, good):
    p.refuses("--bounded=perhaps", about="--bounded")
    p.refuses("--device", about="--device")
    p.refuses("--device", "0", "1", about="1")


def stats_page(version=2, magic=b"AGSTATS1", pid=os.getpid()):
    """The beginning of a page of another version, or of garbage."""
    return magic + struct.pack("<IIQQII", version, 9000, 1, 1, pid, 0) + bytes(8960)


def stats_values(p, good):
    p.refuses("list", "--format", "xml", about="--format 'xml'")
    p.refuses("watch", "--once", "--format", ESCAPE, about="--format '?[2J?")
    p.refuses(about="A subcommand is required: list, watch, tune, sweep, load;")
    p.refuses("lists", about="list, watch, tune, sweep, load")
    p.refuses(*good, "1", "2")
    for number in NUMBERS:
        p.refuses(*good, number)
    p.refuses(*good, "4000000", about="process 4000000 has no context")
    p.refuses("watch", "--interval", "9", "--once", about="--interval")
    for executor in ["triple_buffer", "launch", "cpu_triple_buffer"]:
        for command in ["load", "tune", "sweep"]:
            p.refuses(command, "--executor", executor, about="choose one of automatic, resident, cpu")
    for directory in ["none", "/dev/null", LONG, ESCAPE]:
        for command in ["list", "watch"]:
            p.refuses(command, "--directory", directory, about="cannot read the directory")


def stats_environment(p, good):
    for command in ["list", "watch"]:
        p.refuses(command, env={"AATGS_STATS": "0"}, about="AATGS_STATS is 0")
        for value in ["off", "rel", "./rel", "00", ESCAPE]:
            p.refuses(command, env={"AATGS_STATS": value}, about="give 0 for no statistics")
        p.works(*good, env={"AATGS_STATS": ""})


def stats_garbage(p, good):
    """One line for each page that cannot be read, and no crash."""
    pid = os.getpid()
    contents = {"is no statistics page": b"", "layout version 7": stats_page(version=7),
                "no statistics page": os.urandom(5000), "instead of": stats_page()[:1000],
                "page of another process": stats_page(pid=1)}
    for says, content in contents.items():
        p.put(f"aatgs-{pid}-0", content)
        for command in (["list"], ["list", "--clean"], ["watch", "--once"]):
            for form in ["text", "csv", "json"]:
                done = p.works(*command, "--directory", ".", "--format", form)
                expect(says.encode() in done.stdout, f"{command} {form}: {done.stdout!r}")
                expect(form != "json" or len(json.loads(done.stdout)) == 1, "not one entry")
        expect((p.folder / f"aatgs-{pid}-0").exists(), "--clean removed what is no page")


# Of each program: a command line that works, then its cases.
PROGRAMS = {
    "aatgs_whcr": (
        ["--graph", "queen:5", "--colors", "8", "--executor", "cpu", "--time-limit", "20"],
        {
            "a graph that is no graph": whcr_graphs,
            "a name that is no text": whcr_names,
            "a value that cannot work": whcr_values,
            "files that are one": whcr_one_file,
            "a file that is lost before a refusal": whcr_refused_late,
            "a number that is none": wrong_numbers(
                ["--colors", "--searches", "--slice", "--seed", "--compare-iterations",
                 "--config-slots", "--telemetry-slots"],
                allowed={("--seed", "4294967296"), ("--compare-iterations", "4294967296")}),
            "an output that cannot be written": unwritable("--output", "--json"),
            "a disk that fills up": full_disk("--output", "--json"),
            "a standard stream that is full or closed": output_streams,
            "a closed stream and a file": closed_output_and_file("--output"),
        },
    ),
    "jacobi": (
        ["--n", "16", "--iterations", "20", "--repetitions", "1", "--executor", "cpu"],
        {
            "a value that cannot work": jacobi_values,
            "a number that is none": wrong_numbers(
                ["--n", "--iterations", "--repetitions", "--depth", "--slice", "--device",
                 "--workers"]),
            "an output that cannot be written": unwritable("--json"),
            "a disk that fills up": full_disk("--json"),
            "a standard stream that is full or closed": output_streams,
            "a closed stream and a file": closed_output_and_file("--json"),
        },
    ),
    "jacobi_simple": (["8", "cpu"], {"a value that cannot work": simple_values}),
    "aatgs_soak": (
        ["--executor", "cpu", "--only", "cycles", "--cycles", "2"],
        {
            "a value that cannot work": soak_values,
            "a part of which there is nothing to run": soak_nothing,
            "an output that cannot be written": unwritable("--json"),
            "an output that is more than a plain file": soak_outputs,
        },
    ),
    "pipeline_phases": (
        ["--host-threads", "--graph", "queen:5", "--sweeps", "10", "--passes", "1"],
        {
            "files that are one": lambda p, good: p.refuses(
                *changed(good, "--graph", p.put("g.col", b"p edge 2 1\ne 1 2\n")), "--json", "g.col",
                about="--graph and --json are one file"),
            "a graph that is no graph": lambda p, good: p.refuses(
                *changed(good, "--graph", "gnp:0:1:1"), about="gnp:0:1:1"),
            "a number that is none": wrong_numbers(
                ["--colors", "--sweeps", "--replicas", "--seed", "--passes", "--streams", "--device"],
                allowed={("--seed", "4294967296")}),
            "an output that cannot be written": unwritable("--json"),
            "a disk that fills up": full_disk("--json"),
            "a standard stream that is full or closed": output_streams,
            "a closed stream and a file": closed_output_and_file("--json"),
        },
    ),
    "aatgs_bench": (
        [],
        {
            "a value that cannot work": bench_values,
            "a number that is none": wrong_numbers(
                ["--device", "--hot-window", "--workers", "--config-slots", "--telemetry-slots"]),
            "an output that cannot be written": unwritable("--json"),
        },
    ),
    "aatgs_stats": (
        ["watch", "--once", "--directory", "."],
        {
            "a value that cannot work": stats_values,
            "statistics that are switched off": stats_environment,
            "a page that is none": stats_garbage,
            "a number that is none": wrong_numbers(["--interval"]),
            "a standard stream that is full or closed": output_streams,
        },
    ),
    "aatgs_preflight": (
        [],
        {
            "a value that cannot work": preflight_values,
            "a number that is none": wrong_numbers(
                ["--device", "--park-after", "--leave-after"],
                allowed={("--park-after", "4294967296"), ("--leave-after", "4294967296")}),
        },
    ),
}


def main(name, path):
    good, cases = PROGRAMS[name]
    if name != "jacobi_simple":  # which has no options
        cases = {**cases, "an unknown argument": unknown_arguments, "help and streams": streams}
    failed = 0
    for hazard, case in cases.items():
        with tempfile.TemporaryDirectory(prefix="aatgs-test-") as folder:
            try:
                case(Program(os.path.abspath(path), pathlib.Path(folder)), good)
            except (Wrong, subprocess.TimeoutExpired) as error:
                failed += 1
                print(f"{name}: {hazard}: {error}")
    print(f"test cases: {len(cases)} | {len(cases) - failed} passed | {failed} failed | 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
