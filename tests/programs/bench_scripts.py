#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench_scripts.py TOOLS: the scripts in tools/, with programs in the place of aatgs_bench,
aatgs_stats and aatgs_whcr that measure what a case wants. Each case is a hazard. Prints a count as
doctest does.
"""

import contextlib
import json
import os
import pathlib
import resource
import shutil
import stat
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

PATIENCE_S = 60
FAKE = """#!{python} -IS
import json, pathlib, sys
sys.stdout.reconfigure(encoding="utf-8")
counter = pathlib.Path({counter!r})
run = int(counter.read_text() or "0") if counter.exists() else 0
counter.write_text(str(run + 1))
def option(name, default=None):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default
{body}
"""


class Wrong(Exception):
    pass


def expect(holds, what):
    if not holds:
        raise Wrong(what)


def figure(median, unit="us", **more):
    return {"group": "g", "road": "r", "unit": unit, "p01": median, "p50": median, "p99": median,
            **more}


def result(figures, checks=None, **more):
    return {"format": "aatgs-bench", "version": 2, "machine": "M", "driver": "D", "date": "T",
            "settings": "", "figures": figures, "checks": checks or {}, **more}


class Scripts:
    def __init__(self, tools, folder):
        self.tools, self.folder = pathlib.Path(tools).resolve(), folder

    def fake(self, name, body):
        """A program that runs `body`, which knows how often a fake ran before: `run`."""
        path = self.folder / name
        path.write_text(FAKE.format(python=sys.executable, counter=str(self.folder / "runs"),
                                    body=body))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    def bench(self, name, figures):
        """`figures`: Python code of the figures, which may use `run` and `figure`."""
        return self.fake(name, f"""
figure = lambda p50, unit="us": {{"group": "g", "road": "r", "unit": unit, "p01": p50, "p50": p50,
                                 "p99": p50}}
result = {result({})!r}
result["figures"] = {figures}
pathlib.Path(option("--json")).write_text(json.dumps(result))
""")

    def run(self, script, *arguments, status=0, stdout=subprocess.PIPE, before=None):
        done = subprocess.run([sys.executable, self.tools / script, *map(str, arguments)],
                              cwd=self.folder, stdin=subprocess.DEVNULL, stdout=stdout,
                              stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S, check=False,
                              preexec_fn=before)
        expect(done.returncode == status,
               f"{script}: status {done.returncode}, {done.stderr[-300:]!r}")
        return done

    def shell(self, script, *arguments, commands=()):
        """Runs a copy of a shell script with none of the others beside it and these commands alone
        on its PATH, so that nothing is installed or built, whatever it goes on to do."""
        sandbox = self.folder / "sandbox"
        for folder in ("tools", "commands"):
            (sandbox / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(self.tools / script, sandbox / "tools")
        for command in ("dirname", *commands):
            if not (sandbox / "commands" / command).exists():
                (sandbox / "commands" / command).symlink_to(shutil.which(command))
        return subprocess.run([shutil.which("bash"), sandbox / "tools" / script,
                               *map(str, arguments)], cwd=self.folder,
                              env={"PATH": str(sandbox / "commands"), "TMPDIR": str(self.folder)},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S, check=False)

    def refuses(self, script, *arguments, about, status=2, **streams):
        """The last line says why, and that is all but progress."""
        done = self.run(script, *arguments, status=status, **streams)
        *progress, line = done.stderr.splitlines() or [""]
        expect(all(": round " in text for text in progress), f"{script}: {done.stderr!r}")
        name = script.removesuffix(".py")
        expect(line.startswith(name + ": ") and about in line, f"{line!r} not about {about!r}")
        expect(not done.stdout, f"{script}: printed {done.stdout!r}")

    def compare(self, old, new, *more):
        file = self.folder / "comparison.json"
        text = self.run("compare_bench.py", old, new, "--only", ".", "--json", file, *more).stdout
        return json.loads(file.read_text()), text

    def page(self, document):
        """The page that roads_page makes of a result."""
        file = self.put("result.json", json.dumps(document))
        self.run("roads_page.py", file, self.folder / "page")
        return (self.folder / "page" / "roads.md").read_text()

    def put(self, name, text):
        (self.folder / name).write_text(text)
        return self.folder / name


def near(value, wanted):
    return abs(value - wanted) < 0.005 * wanted


def drift_taken_for_a_difference(s):
    """compare_bench: a machine that slows down from run to run makes the new build look slow"""
    drifting = '{"g/r": figure(100 + 10 * run)}'
    found, text = s.compare(s.bench("old", drifting), s.bench("new", drifting), "--rounds", "2")
    expect(near(found["figures"]["g/r"]["ratio"]["p50"], 1), found)
    expect("g/r" in text and "1.000" in text, text)


def order_reversed(s):
    """compare_bench: old and new are mixed up, or a rate is taken for a time"""
    old = s.bench("old", '{"t": figure(100), "rate": figure(10, "M/s")}')
    new = s.bench("new", '{"t": figure(103), "rate": figure(9.7, "M/s")}')
    found, _ = s.compare(old, new, "--rounds", "2", "--labels", "abc", "def")
    for name in ("t", "rate"):
        expect(near(found["figures"][name]["ratio"]["p50"], 1.03), found["figures"][name])
    expect(found["old"]["label"] == "abc" and found["new"]["label"] == "def", found)
    expect(found["figures"]["t"]["old"] == 100 and found["figures"]["t"]["new"] == 103, found)


def disturbed_round(s):
    """compare_bench: one disturbed run moves the result"""
    quiet = s.bench("old", '{"g/r": figure(100)}')
    disturbed = s.bench("new", '{"g/r": figure(900 if run == 4 else 100)}')
    found, _ = s.compare(quiet, disturbed, "--rounds", "3")
    entry = found["figures"]["g/r"]
    expect(near(entry["ratio"]["p50"], 1) and entry["ratio"]["p75"] > 1, entry)
    expect(entry["rounds"] == 3, entry)


def figures_of_one_build(s):
    """compare_bench: what only one build has is compared, or forgotten"""
    old = s.bench("old", '{"both": figure(1), "gone": figure(1), "unit": figure(1, "ns")}')
    new = s.bench("new", '{"both": figure(1), "added": figure(1), "unit": figure(1, "us")}')
    found, _ = s.compare(old, new, "--rounds", "1")
    expect(list(found["figures"]) == ["both"], found)
    expect(found["left_out"] == {"old": ["gone", "unit"], "new": ["added", "unit"]}, found)
    nothing = s.bench("none", '{"other": figure(1)}')
    s.refuses("compare_bench.py", old, nothing, "--only", "x", "--rounds", "1",
              about="no figure that both")


def builds_that_fail(s):
    """compare_bench: a build that fails, hangs, lies or is not there goes unnoticed"""
    good = s.bench("good", '{"g/r": figure(1)}')
    once = ("--only", "x", "--rounds", "1")
    failing = s.fake("failing", 'sys.exit("no GPU here")')
    s.refuses("compare_bench.py", good, failing, *once, about="no GPU here", status=1)
    refusing = s.fake("refusing", 'print("what is x", file=sys.stderr); sys.exit(2)')
    s.refuses("compare_bench.py", refusing, good, *once, about="what is x")
    silent = s.fake("silent", "")
    s.refuses("compare_bench.py", good, silent, *once, about="cannot be read")
    lying = s.fake("lying", 'pathlib.Path(option("--json")).write_text("{}")')
    s.refuses("compare_bench.py", good, lying, *once, about="not a result")
    hanging = s.fake("hanging", "import time; time.sleep(600)")
    s.refuses("compare_bench.py", good, hanging, *once, "--timeout", "1", about="1 s", status=1)
    s.refuses("compare_bench.py", good, s.folder / "absent", *once, about="cannot be run")
    s.refuses("compare_bench.py", good, good, *once, "--json", "absent/x.json", about="absent")


def failed_comparison(s):
    """compare_bench: a comparison that fails leaves an empty result, or half of one in the place of an older"""
    many = s.bench("many", '{f"group/road_{i}": figure(1) for i in range(200)}')
    once = ("--only", "x", "--rounds", "1", "--json")
    small = {"before": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))}
    s.put("old.json", "old")
    (s.folder / "folder").mkdir()
    files = {path.name for path in s.folder.iterdir()} | {"runs"}
    for name in ("new.json", "old.json"):
        s.refuses("compare_bench.py", s.folder / "absent", many, *once, name, about="cannot be run")
        s.refuses("compare_bench.py", many, many, *once, name, about="File too large", **small)
    expect((s.folder / "old.json").read_text() == "old", "the older result is gone")
    expect({path.name for path in s.folder.iterdir()} == files, list(s.folder.iterdir()))
    s.refuses("compare_bench.py", many, many, *once, "folder", about="cannot write folder")


def result_to_a_link_or_device(s):
    """compare_bench: a plain file takes the place of a link or a device that the result is to go through"""
    good = s.bench("good", '{"g/r": figure(1)}')
    once = ("--only", "x", "--rounds", "1", "--json")
    (s.folder / "link").symlink_to(s.put("old.json", "old"))
    s.run("compare_bench.py", good, good, *once, "link")
    expect((s.folder / "link").is_symlink(), "the link is gone")
    expect(json.loads((s.folder / "old.json").read_text())["rounds"] == 1, "not where it points to")
    os.mkfifo(s.folder / "pipe")
    reader = os.open(s.folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    s.run("compare_bench.py", good, good, *once, "pipe")
    expect(json.loads(os.read(reader, 60_000))["rounds"] == 1, "nothing came through the pipe")
    os.close(reader)


@contextlib.contextmanager
def pipe_without_reader():
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as stream:
        yield stream


def output_that_ends_early(s):
    """plot_bench, compare_bench, tuner_share, count_tests: an output that is full, closed or no longer read ends in a trace"""
    good = s.bench("good", '{"g/r": figure(1)}')
    tuned = stats(s, recommended=16, lucky=16, rates={16: 80})
    for call in (["plot_bench.py", s.tools / "results" / "h200.json"],
                 ["compare_bench.py", good, good, "--only", "x", "--rounds", "1"],
                 ["tuner_share.py", tuned, "--seconds", "0"],
                 ["count_tests.py", tested(s, "passed", PASSED)]):
        with open("/dev/full", "wb") as full:
            s.refuses(*call, stdout=full, about="standard output: No space left on device")
        s.refuses(*call, stdout=None, before=lambda: os.close(1), about="standard output is closed")
        with pipe_without_reader() as unread:
            complaints = s.run(*call, stdout=unread).stderr.splitlines()
            expect(all(": round " in line for line in complaints), complaints)


def aims_that_a_run_missed(s):
    """plot_bench: the table hides by how little an aim was missed, or that the machine allows no more"""
    checks = {"statistics_page": 1.0117, "fed_worst": 0.93, "allocator_growth_mib": 0,
              "triple_1_1": 2.761, "triple_1_1_floor": 2.769, "triple_1_10": 1.9,
              "triple_1_10_floor": 2.1}
    file = s.put("result.json", json.dumps(result({}, checks)))
    rows = s.run("plot_bench.py", file).stdout.splitlines()
    for row in ("| check | measured | aimed at | reached |",
                "| `statistics_page` | 1.012 | <= 1.01 | no |", "| `fed_worst` | 0.93 | >= 1 | no |",
                "| `allocator_growth_mib` | 0 | <= 0 | yes |",
                "| `triple_1_1` | 2.76 | >= 2.8 | no: at best 2.77 |",
                "| `triple_1_10` | 1.9 | >= 2 | no |"):
        expect(row in rows, f"{row!r} is not in {rows}")


def road(step_us, name, median, group="closed", scope="block", step="spin"):
    return {f"{group}/{step}/{scope}/{step_us}us/{name}":
            figure(median, group=group, road=name, scope=scope, step=step, step_us=step_us)}


def wrong_winner(s):
    """roads_page: a road wins where it does not, or by less than anybody could tell"""
    figures = {}
    for length, other in ((0, 20), (10, 15), (100, 10.1), (1000, 9.9), (3000, 5)):
        figures |= road(length, "resident", 10) | road(length, "graph_mapped", other)
        figures |= road(length, "value", 30) | road(length, "automatic", 1)
    page = s.page(result(figures, {"triple_1_1": 2.5, "cg_small": 4.25}))
    row = next(line for line in page.splitlines() if line.startswith("| one at a time, one block"))
    expect(row.endswith("| up to 10 us: 1.50 to 2.00 x | 100 us to 1 ms | "
                        "from 3 ms on: CUDA graph, 2.00 x |"), row)
    expect("| 2.50 x | one stream |" in page and "| 4.25 x |" in page, page)
    expect("all SMs, one after" not in page and "allocator" not in page, page)


def managed_rows(page):
    """Of the section about ManagedGpuContext."""
    section = page.split("`ManagedGpuContext`\n", 1)[1].split("\n## ", 1)[0]
    return [line for line in section.splitlines() if line.startswith("| ")][2:]


def modes_of_other_roads(s):
    """roads_page: what one option changes is told of roads that the option does not have, or only where it pays"""
    figures = {}
    for length, sync in ((1, 40), (10, 15), (100, 10.1), (1000, 5)):
        figures |= road(length, "resident", 10) | road(length, "sync", sync)
        figures |= road(length, "graph_sync", 11) | road(length, "value", 3)
    rows = managed_rows(s.page(result(figures)))
    solver = "| the host decides each step by the last telemetry, one block | `step_mode` "
    expect(rows == [solver + "resident | up to 10 us: 1.50 to 4.00 x | sync |",
                    solver + "sync | from 1 ms on: 2.00 x | resident |"], rows)
    page = s.page(result(road(1, "resident", 10) | road(1, "value", 3)))
    expect(managed_rows(page) == [] and "no figures for it" in page, page)


def figures_of_another_run(s):
    """roads_page: a newer result with the same keys is refused, or the page keeps the old figures"""
    text = (s.tools / "results" / "h200.json").read_text()
    old, new = json.loads(text), json.loads(text)
    for factor, entries in ((3, new["figures"].values()), (7, [new["checks"]])):
        for entry in entries:
            for key in entry.keys() & ({"p01", "p50", "p99"} | new["checks"].keys()):
                entry[key] *= factor if entry.get("road") != "resident" else 1
    before, after = managed_rows(s.page(old)), managed_rows(s.page(new))
    expect(len(before) > 5 and len(after) > 5, f"{len(before)}, {len(after)} rows")
    expect(not set(before) & set(after), f"kept: {set(before) & set(after)}")
    expect(0 < len(managed_rows(s.page(old | {"checks": {}}))) < len(before), "rows without figures")


def text_that_breaks_the_picture(s):
    """roads_page: a name from the file breaks the picture"""
    figures = road(1, "resident", 1) | road(1, "<odd> & \"road\"", 2)
    s.page(result(figures, machine="<GPU> & more"))
    xml.etree.ElementTree.parse(s.folder / "page" / "roads.svg")


def part_of_a_run(s):
    """roads_page: a run of a few figures, or of none, is refused"""
    for figures in ({}, {"floor/x": figure(1)}, road(1, "resident", 1), road(1, "value", 1)):
        expect("# Which road" in s.page(result(figures)), figures)
        xml.etree.ElementTree.parse(s.folder / "page" / "roads.svg")


def malformed_results(s):
    """roads_page: a malformed result ends in a trace, or makes a page"""
    whole = road(1, "resident", 1)
    name = next(iter(whole))
    cases = {
        "": "not JSON",
        "{": "not JSON",
        "[]": "not a result",
        json.dumps(result(whole, version=3)): "version 3",
        json.dumps(result([])): "'figures'",
        json.dumps(result({name: 1})): name,
        json.dumps(result({name: whole[name] | {"p50": 0}})): "takes no time",
        json.dumps(result({name: whole[name] | {"p50": "1"}})): "'p50'",
        json.dumps(result({name: whole[name] | {"scope": "x"}})): "scope",
        json.dumps(result(whole, {"allocator": None})): "'allocator'",
        json.dumps(result(whole, {"allocator": float("nan")})): "'allocator'",
    }
    for text, about in cases.items():
        s.refuses("roads_page.py", s.put("bad.json", text), s.folder / "bad", about=about)
        expect(not (s.folder / "bad").exists(), f"a page was made of {text[:60]!r}")
    s.refuses("roads_page.py", s.folder / "absent.json", s.folder / "bad", about="cannot be read")
    (s.folder / "binary.json").write_bytes(b"\xff\xfe\x00{")
    s.refuses("roads_page.py", s.folder / "binary.json", s.folder / "bad", about="not JSON")


def stale_page(s):
    """roads_page: the committed page is not that of the committed run"""
    results = s.tools / "results"
    s.run("roads_page.py", results / "h200.json", s.folder / "made")
    for name in ("roads.md", "roads.svg"):
        expect((s.folder / "made" / name).read_bytes() == (results / name).read_bytes(),
               f"{name}: run tools/roads_page.py tools/results/h200.json tools/results")


def stats(s, recommended, lucky, rates):
    """An aatgs_stats whose sweep saw `lucky` (a size) three times as fast as it is."""
    return s.fake("stats", f"""
rates = {rates!r}
def entry(size, factor=1):
    return {{"config_slots": size, "telemetry_slots": size, "executor": "cpu",
            "per_second": factor * rates[size] * (1 + 0.2 * (run % 2))}}
if sys.argv[1] == "load":
    expected = option("--config-slots") == option("--telemetry-slots")
    print(json.dumps(entry(int(option("--config-slots"))) if expected else {{}}))
else:
    runs = [entry(size, 3 if size == {lucky} and sys.argv[1] == "sweep" else 1) for size in rates]
    print(json.dumps({{"workload": "w", "runs": runs, "recommended": entry({recommended})}}))
""")


def share_of(s, program):
    done = s.run("tuner_share.py", program, "--seconds", "0", "--executor", "cpu")
    found = json.loads(done.stdout)
    expect(len(found) == 3, found)
    return [entry["share"] for entry in found.values()]


def lucky_run_of_the_sweep(s):
    """tuner_share: a size that was fast by luck in the sweep is what the tuner is held against"""
    program = stats(s, recommended=64, lucky=16, rates={16: 50, 32: 90, 64: 100, 128: 99})
    expect(all(share == 1 for share in share_of(s, program)), "the lucky size counts")


def slow_recommendation(s):
    """tuner_share: a recommendation that is too slow passes for a good one"""
    program = stats(s, recommended=16, lucky=16, rates={16: 80, 32: 90, 64: 100, 128: 99})
    shares = share_of(s, program)
    expect(all(0.6 < share < 0.95 for share in shares), shares)


def tuner_that_fails(s):
    """tuner_share: a program that fails goes unnoticed, ends in a trace, or looks like a wrong call"""
    for body, about, status in (('print("no GPU", file=sys.stderr); sys.exit(1)', "no GPU", 1),
                                ('print("{")', "tune: not JSON", 1),
                                (r'sys.stdout.buffer.write(b"\xff")', "tune: not JSON", 1),
                                ("sys.exit(3)", "status 3: it said nothing", 1),
                                ('print("what is --x", file=sys.stderr); sys.exit(2)', "--x", 2)):
        s.refuses("tuner_share.py", s.fake("failing", body), about=about, status=status)
    s.refuses("tuner_share.py", s.folder / "absent", about="absent: cannot be run (No such file")
    s.refuses("tuner_share.py", s.folder, about="cannot be run")


PASSED = json.dumps({"result": "OK", "stdout": "test cases: 3 | 2 passed | 0 failed | 1 skipped"})


def tested(s, name, log):
    """A build folder in which `meson test` left this log."""
    logs = s.folder / name / "meson-logs"
    logs.mkdir(parents=True, exist_ok=True)
    (logs / "testlog.json").write_text(log)
    return s.folder / name


def log_that_was_cut_off(s):
    """count_tests: a log that was cut off, or is none, ends in a trace, or counts as passed"""
    good = tested(s, "good", PASSED)
    expect(s.run("count_tests.py", good, good).stdout == "4 passed, 0 failed, 2 skipped\n", "a sum")
    for log in (PASSED + "\n" + PASSED[:20], "garbage", "[]", "{}", '{"result": 1}',
                '{"result": "OK", "stdout": 1}', "\0"):
        bad = tested(s, "bad", log)
        done = s.run("count_tests.py", good, bad, status=1)
        *told, last = done.stdout.splitlines()
        expect(len(told) == 1 and f"{bad}/meson-logs/testlog.json" in told[0], f"{log!r}: {told}")
        expect(", 1 failed, " in last and not done.stderr, f"{log!r}: {last}, {done.stderr}")
    (s.folder / "bad" / "meson-logs" / "testlog.json").write_bytes(b"\xff\xfe")
    s.run("count_tests.py", s.folder / "bad", status=1)


def script_that_cannot_be_called(s):
    """Programs in tools/ cannot be called by their names, as the README does"""
    for path in s.tools.glob("*.py"):
        text = path.read_text()
        program = "__main__" in text
        expect(text.startswith("#!/usr/bin/env python3\n") == program, f"{path}: its first line")
        expect(os.access(path, os.X_OK) == program, f"{path}: its mode")


def call_for_help(s):
    """setup, build, test, demo: a call for help, or a wrong option, installs or builds"""
    for script in ("setup.sh", "build.sh", "test.sh", "demo.sh"):
        for option in ("--help", "-h"):
            done = s.shell(script, option)
            expect(done.returncode == 0 and done.stdout.startswith(f"Usage: tools/{script}")
                   and not done.stderr, f"{script} {option}: {done}")
    for call in (["setup.sh", "--yes"], ["setup.sh", "spin", "-o=Debug"], ["build.sh"],
                 ["build.sh", "--nonsense"], ["build.sh", "-Dgpu=false", "build"],
                 ["build.sh", ""], ["test.sh", "--nonsense"], ["test.sh", "build"]):
        done = s.shell(*call)
        expect(done.returncode == 2 and done.stderr.startswith(f"Usage: tools/{call[0]}")
               and not done.stdout, f"{call}: {done}")


def folder_taken_for_a_fuzz_target(s):
    """fuzz.sh: a folder that is no target, such as .., is built for and searched"""
    for name in ("dimacs", "wire"):
        (s.folder / "sandbox" / "tests" / "fuzz" / "corpus" / name).mkdir(parents=True)
    for name in ("..", ".", "", "*", "dimacs/", "dimacs/../wire", "dimacs wire", "dimacs\nwire"):
        done = s.shell("fuzz.sh", "60", "wire", name)
        expect(done.returncode == 2 and f"no target '{name}'" in done.stderr, f"{name!r}: {done}")
    absent = s.shell("fuzz.sh", "60", "dimacs", "wire")
    expect("no target" not in absent.stderr and "tools/build.sh" in absent.stderr, absent)


WHCR_GRAPHS = ("DSJC125.5", "DSJC250.5", "le450_15a", "DSJC500.5")


def whcr_results_of_nothing(s):
    """whcr_results.sh: what it was called with is found wrong after minutes, and told by the shell"""
    commands = ("mktemp", "mv", "python3", "rm")
    program = s.fake("whcr", 'pathlib.Path(option("--json")).write_text(json.dumps(sys.argv[1:3]))')
    graphs, output = s.folder / "graphs", s.folder / "out.json"
    graphs.mkdir()
    for graph in WHCR_GRAPHS[:-1]:
        (graphs / f"{graph}.col").write_text("")
    (graphs / "DSJC500.5.col").mkdir()
    wrong_graph = s.shell("whcr_results.sh", program, graphs, output, commands=commands)
    expect("DSJC500.5.col" in wrong_graph.stderr, wrong_graph)
    (graphs / "DSJC500.5.col").rmdir()
    (graphs / "DSJC500.5.col").write_text("")
    for call, about in (([s.folder / "absent", graphs, output], "absent"),
                        (["absent", graphs, output], "absent"),
                        ([graphs, graphs, output], "graphs"), (["", graphs, output], "''"),
                        ([program, s.folder / "none", output], "none/DSJC125.5.col"),
                        ([program, graphs, s.folder / "no" / "out.json"], "no/out.json"),
                        ([program, graphs, graphs], "graphs")):
        done = s.shell("whcr_results.sh", *call, commands=commands)
        line = done.stderr.removesuffix("\n")
        expect(done.returncode == 2 and line.startswith("whcr_results: ") and "\n" not in line
               and about in line, f"{call}: {done}")
    expect(not (s.folder / "runs").exists() and not output.exists(), "something ran")
    expect(not list(s.folder.rglob("*.part")), "a part is left")
    done = s.shell("whcr_results.sh", program, graphs, output, commands=commands)
    expect(done.returncode == 0 and len(json.loads(output.read_text())) == 8, done)


CASES = [
    drift_taken_for_a_difference, order_reversed, disturbed_round, figures_of_one_build,
    builds_that_fail, failed_comparison, result_to_a_link_or_device, output_that_ends_early,
    aims_that_a_run_missed, wrong_winner, modes_of_other_roads, figures_of_another_run,
    text_that_breaks_the_picture, part_of_a_run, malformed_results, stale_page,
    lucky_run_of_the_sweep, slow_recommendation, tuner_that_fails, log_that_was_cut_off,
    script_that_cannot_be_called, call_for_help, folder_taken_for_a_fuzz_target,
    whcr_results_of_nothing,
]


def main(tools):
    failed = 0
    for case in CASES:
        with tempfile.TemporaryDirectory(prefix="aatgs-test-") as folder:
            try:
                case(Scripts(tools, pathlib.Path(folder)))
            except (Wrong, ValueError, KeyError, OSError, SyntaxError,
                    subprocess.TimeoutExpired) as error:
                failed += 1
                print(f"{case.__doc__}: {error!r}")
    print(f"test cases: {len(CASES)} | {len(CASES) - failed} passed | {failed} failed | 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
