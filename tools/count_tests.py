# SPDX-License-Identifier: Apache-2.0
"""count_tests.py BUILD...: counts the test cases of the last `meson test` in each build folder.

The last line it prints is the sum: N passed, N failed, N skipped. Leaves with status 1 if a case
failed or a folder has no result.
"""

import json
import pathlib
import re
import sys

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


def main(folders):
    total = [0, 0, 0]
    for folder in folders:
        log = pathlib.Path(folder) / "meson-logs" / "testlog.json"
        if not log.is_file():
            print(f"{folder}: no test ran, {log} is missing")
            total[1] += 1
            continue
        for line in log.read_text().splitlines():
            counts = count(json.loads(line))
            total = [a + b for a, b in zip(total, counts)]
    print("{} passed, {} failed, {} skipped".format(*total))
    return 1 if total[1] or not total[0] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
