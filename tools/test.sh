#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds everything and runs all tests, those of the CPU executor also under ThreadSanitizer and
# under AddressSanitizer with UndefinedBehaviorSanitizer, and each fuzz target for two seconds. The
# last line counts the test cases.
set -euo pipefail
cd "$(dirname "$0")/.."

sanitize=(-Dgpu=false -Db_lundef=false)

tools/build.sh build
tools/build.sh build-asan "${sanitize[@]}" -Db_sanitize=address,undefined
tools/build.sh build-tsan "${sanitize[@]}" -Db_sanitize=thread
directories=(build build-asan build-tsan)
if command -v clang++ >/dev/null; then
  tools/fuzz.sh --build
  directories+=(build-fuzz)
else
  echo "test: there is no clang++, so the fuzz targets are skipped" >&2
fi

# A failure is counted at the end, by the report.
for directory in "${directories[@]}"; do
  echo "== $directory"
  rm -f "$directory/meson-logs/testlog.json"
  .venv/bin/meson test -C "$directory" --no-rebuild --print-errorlogs || true
done

.venv/bin/python tools/count_tests.py "${directories[@]}"
