#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""count_tests.py BUILD...: counts the test cases of the last `meson test` in each build folder.

The last line it prints is the sum: N passed, N failed, N skipped. Leaves with status 1 if a case
failed or a folder has no result that can be read, which counts as one that failed; with 2 if the
sum cannot be printed.
"""

import json
import pathlib
import re
import sys

import script_output

RAN = re.compile(r"test cases:\s*\d+\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed\s*\|\s*(\d+) skipped")
LISTED = re.compile(r"unskipped test cases passing the current filters: (\d+)")


def count(program):
    """Passed, failed and skipped cases of one program; one without doctest's count is one case."""
    text, result = program.get("stdout") or "", program["result"]
    if result == "SKIP":
        listed = LISTED.search(text)
        return 0, 0, int(listed[1]) if listed else 1
    ran = RAN.search(text)
    passed, failed, skipped = map(int, ran.groups()) if ran else (int(result == "OK"), 0, 0)
    if result != "OK" and failed == 0:
        failed = 1  # a crash, a sanitizer's finding, a time-out
    return passed, failed, skipped


def read_log(log):
    """The programs of a log, a line each; ValueError if that is not what it holds."""
    programs = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    for program in programs:
        if (not isinstance(program, dict) or not isinstance(program.get("result"), str)
                or not isinstance(program.get("stdout") or "", str)):
            raise ValueError("a line tells no program's result")
    return programs


def main(folders):
    total = [0, 0, 0]
    lines = []
    for folder in folders:
        log = pathlib.Path(folder) / "meson-logs" / "testlog.json"
        try:
            counts = [count(program) for program in read_log(log)]
        except FileNotFoundError:
            lines.append(f"{folder}: no test ran, {log} is missing")
            counts = [(0, 1, 0)]
        except (OSError, ValueError) as error:
            lines.append(f"{folder}: {log} cannot be read: {error}")
            counts = [(0, 1, 0)]
        total = [sum(column) for column in zip(total, *counts)]
    lines.append("{} passed, {} failed, {} skipped".format(*total))
    try:
        script_output.print_whole("\n".join(lines))
    except OSError as error:
        print(f"count_tests: {error}", file=sys.stderr)
        return 2
    return 1 if total[1] or not total[0] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
