#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test.sh: builds everything and runs all tests, those of the CPU executor also under
# ThreadSanitizer and under AddressSanitizer with UndefinedBehaviorSanitizer, and each fuzz target
# for two seconds. The last line counts the test cases.
set -euo pipefail
cd "$(dirname "$0")/.."

usage="Usage: tools/test.sh"
case ${1-} in -h | --help) echo "$usage"; exit 0 ;; esac
[ $# -eq 0 ] || { echo "$usage" >&2; exit 2; }

# With -O2 -g sanitized code takes three times as long to compile. What two sanitizers check at once
# takes more than twice as long with -O1 as with -O0, which its tests can bear (137 s, not 100).
sanitize=(-Dgpu=false -Db_lundef=false -Ddebug=false -Dcpp_args=-g1)
# Where no GPU will run it, one architecture shows that device code compiles, and nobody debugs it.
options=()
[ -f build/build.ninja ] || nvidia-smi -L >/dev/null 2>&1 || options=(-Dgpu_archs=90 -Ddebug=false)

tools/build.sh build "${options[@]}"
tools/build.sh build-asan "${sanitize[@]}" -Db_sanitize=address,undefined -Doptimization=0
tools/build.sh build-tsan "${sanitize[@]}" -Db_sanitize=thread -Doptimization=1
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
