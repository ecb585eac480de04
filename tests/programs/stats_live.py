#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""stats_live.py STATS screen|plain: watches a program that runs, and what is left of it when it is killed.

The program is aatgs_stats' own load. plain: `watch` was built without ncurses. Each case is a hazard. Prints a count as doctest does.
"""

import csv
import fcntl
import io
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
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
    first = scene.wait_for(lambda page: page.get("completed", 0) > 0)  # a new page has no report
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


class Terminal:
    """`watch` on a terminal of its own."""

    def __init__(self, scene, *arguments, name="xterm", rows=24, columns=200):
        self.ours, self.theirs = pty.openpty()
        self.process = None
        self.resize(rows, columns)
        self.modes = termios.tcgetattr(self.theirs)
        self.seen = b""
        self.process = subprocess.Popen(
            [scene.stats, "watch", *arguments], env={**scene.environment, "TERM": name},
            stdin=self.theirs, stdout=self.theirs, stderr=self.theirs, start_new_session=True)

    def resize(self, rows, columns):
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if self.process is not None:  # whose controlling terminal it is not
            os.kill(self.process.pid, signal.SIGWINCH)

    def shows_resized(self, rows, columns, text):
        """Makes it draw all of it anew, and waits for that."""
        self.resize(rows, columns)
        told = time.monotonic()
        end = told + PATIENCE_S
        while text not in self.seen:
            expect(time.monotonic() < end, f"no {text!r}: {self.seen[-2000:]!r}")
            if not self.more(0.1) or time.monotonic() > told + 2:
                told = time.monotonic()  # ThreadSanitizer has been seen to lose a signal
                os.kill(self.process.pid, signal.SIGWINCH)

    def more(self, patience):
        if not select.select([self.ours], [], [], patience)[0]:
            return False
        self.seen += os.read(self.ours, 1 << 16)
        return True

    def shows(self, text):
        """Waits for it; returns what was shown before."""
        end = time.monotonic() + PATIENCE_S
        while text not in self.seen:
            expect(time.monotonic() < end and (self.more(0.1) or self.process.poll() is None),
                   f"no {text!r}: {self.seen[-2000:]!r}")
        before, _, after = self.seen.partition(text)
        self.seen = text + after
        return before

    def type(self, keys):
        os.write(self.ours, keys)

    def end(self, status):
        """What is written after the screen has been left."""
        returned = self.process.wait(PATIENCE_S)
        while self.more(0):
            pass
        modes = termios.tcgetattr(self.theirs)
        os.close(self.ours)
        os.close(self.theirs)
        expect(returned == status, f"status {returned}, not {status}: {self.seen[-500:]!r}")
        expect(modes == self.modes, "the terminal is not as it was")
        expect(LEAVES in self.seen, "the screen is not left")
        return self.seen.rpartition(LEAVES)[2]


ENTERS, LEAVES = b"\x1b[?1049h", b"\x1b[?1049l"  # the other page of an xterm
DOWN, PAGE_DOWN = b"\x1bOB", b"\x1b[6~"


def drawn(scene):
    """The live view shows nothing, does not go on, or leaves a terminal that is not as it was."""
    name = f"{scene.load.pid}-0".encode()
    terminal = Terminal(scene, "--interval", "50")
    terminal.shows(ENTERS)
    terminal.shows(b"1 context in " + scene.folder.encode())
    terminal.shows(b"CONTEXT")
    terminal.shows(name)
    terminal.seen = b""
    terminal.shows(b"\x1b[")  # it is drawn again: the ages change
    terminal.type(b"jk " + DOWN)
    terminal.seen = b""
    terminal.shows_resized(5, 30, b"CONTEXT")
    terminal.type(b"q")
    terminal.end(0)
    for how in (signal.SIGINT, signal.SIGTERM):
        terminal = Terminal(scene)
        terminal.shows(name)
        os.kill(terminal.process.pid, how)
        terminal.end(0)


def small(scene):
    """A view without room, or on a terminal that nobody knows, fails."""
    for rows, columns in ((1, 1), (2, 10), (3, 500)):
        terminal = Terminal(scene, "--interval", "20", rows=rows, columns=columns)
        terminal.shows(ENTERS)
        time.sleep(0.1)
        terminal.type(b"j" + PAGE_DOWN + b"q")
        terminal.end(0)
    terminal = Terminal(scene, "--interval", "20", name="no-such-terminal")
    for _ in range(3):
        terminal.shows(f"{scene.load.pid}-0".encode())
        terminal.seen = terminal.seen[1:]
    terminal.process.kill()
    terminal.process.wait()


def scrolled(scene):
    """Contexts that do not fit cannot be seen."""
    others = [subprocess.Popen(
        [scene.stats, "load", "--executor", "cpu", "--rate", "100", "--run-ms", "300000"],
        env=scene.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(3)]
    try:
        end = time.monotonic() + PATIENCE_S
        while len(scene.watch()) < 4:
            expect(time.monotonic() < end, "no four contexts")
        last = f"{max(page['pid'] for page in scene.watch())}-0".encode()
        terminal = Terminal(scene, "--interval", "50", rows=4)
        terminal.shows(f"{scene.load.pid}-0".encode())
        time.sleep(0.3)
        while terminal.more(0):
            pass
        expect(last not in terminal.seen, f"{terminal.seen!r}")
        terminal.type(DOWN * 3)
        time.sleep(0.3)
        terminal.shows_resized(4, 160, last)  # more is written than what has changed
        terminal.type(b"q")
        terminal.end(0)
    finally:
        for other in others:
            other.kill()
            other.wait()
    scene.show("list", "--clean")


def gone(scene):
    """The message that a process is gone is lost with the screen."""
    terminal = Terminal(scene, str(scene.load.pid), "--interval", "50")
    terminal.shows(f"{scene.load.pid}-0".encode())
    scene.load.kill()
    scene.load.wait()
    scene.show("list", "--clean")
    rest = terminal.end(2)
    expect(b"aatgs_stats: process " in rest and rest.count(b"\n") == 1, f"{rest!r}")


def run(stats, cases):
    """With a load of their own; returns how many fail."""
    failed = 0
    with tempfile.TemporaryDirectory(prefix="aatgs-test-") as folder:
        scene = Scene(stats, folder)
        try:
            scene.wait_for(lambda page: page.get("completed", 0) > 0)  # a new page has no report
            for case in cases:
                try:
                    case(scene)
                except (Wrong, subprocess.TimeoutExpired) as error:
                    failed += 1
                    print(f"{case.__doc__}: {error}")
        finally:
            scene.load.kill()
            scene.load.wait()
    return failed


def main(stats, screen):
    groups = [[stands_still, forms_differ, killed]]
    if screen == "screen":
        groups += [[drawn, small, scrolled, gone]]
    count = sum(len(group) for group in groups)
    failed = sum(run(stats, group) for group in groups)
    print(f"test cases: {count} | {count - failed} passed | {failed} failed | 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
