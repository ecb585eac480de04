#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
cd "$(dirname "$0")/.."

all_targets=$(cd tests/fuzz/corpus && echo *)
usage="Usage: tools/fuzz.sh [SECONDS] [TARGET]...
       tools/fuzz.sh --build

Builds the fuzz targets in build-fuzz with clang, libFuzzer, AddressSanitizer and
UndefinedBehaviorSanitizer, and searches each TARGET (default: all) for SECONDS (default 60).
Leaves with status 1 if one shows a fault. --build only builds.

Targets: $all_targets
Kept inputs lie in tests/fuzz/corpus/TARGET, those found here in build-fuzz/fuzz/TARGET/corpus,
those that show a fault in build-fuzz/fuzz/TARGET/artifacts."

build() {
  CXX=clang++ tools/build.sh build-fuzz -Dgpu=false -Dfuzz=true -Doptimization=1
}

# The figure behind the last "$1" in the log, or in those of its lines that hold "$2".
figure() {
  grep -e "${2:-}" "$log" | grep -oE "$1[ :]+[0-9]+" | tail -n 1 | grep -oE '[0-9]+$' || echo '?'
}

search() {
  local target=$1 work=build-fuzz/fuzz/$1 status=0
  log=$work/log
  mkdir -p "$work"
  tests/fuzz/run.sh "build-fuzz/tests/fuzz/fuzz_$target" "tests/fuzz/corpus/$target" "$work" \
    "$seconds" >"$log" 2>&1 || status=$?
  if [ $status -eq 0 ]; then
    echo "$target: no fault in $(figure number_of_executed_units) executions;" \
      "coverage $(figure cov INITED), then $(figure cov)"
    return
  fi
  echo "$target: FAULT, status $status: $(grep -m 1 -E 'fuzz: |ERROR: |runtime error: ' "$log" || tail -n 1 "$log")"
  echo "  $log; run again: build-fuzz/tests/fuzz/fuzz_$target $(grep -oE "$work/artifacts/[^ ]*" "$log" | tail -n 1)"
  return 1
}

is_target() {
  local name
  for name in $all_targets; do
    [ "$name" != "$1" ] || return 0
  done
  return 1
}

seconds=60
case ${1:-} in
  -h | --help) echo "$usage"; exit 0 ;;
  --build) build; exit 0 ;;
  [0-9]*) seconds=$1; shift ;;
esac
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "fuzz.sh: '$seconds' is not a number of seconds" >&2; exit 2; }
targets=("$@")
[ $# -gt 0 ] || read -ra targets <<<"$all_targets"
for target in "${targets[@]}"; do
  is_target "$target" || { echo "fuzz.sh: no target '$target'; tools/fuzz.sh --help lists them" >&2; exit 2; }
done

build >/dev/null
faults=0
for target in "${targets[@]}"; do search "$target" || faults=1; done
exit $faults
