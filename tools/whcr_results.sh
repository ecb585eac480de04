#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# whcr_results.sh PROGRAM DIMACS_DIR OUTPUT.json: runs aatgs_whcr on the graphs of the README's table
# and joins the reports.
set -euo pipefail

[ $# -eq 3 ] || { echo "Usage: tools/whcr_results.sh AATGS_WHCR DIMACS_DIR OUTPUT.json" >&2; exit 2; }
program=$1 graphs=$2 output=$3
parts=$(mktemp -d)
trap 'rm -rf "$parts"' EXIT

number=0
run() {
  number=$((number + 1))
  "$program" "$@" --json "$parts/$(printf %02d $number).json" >&2
}

run --graph queen:8 --colors 9
run --graph "$graphs/DSJC125.5.col" --colors 18
run --graph "$graphs/DSJC250.5.col" --colors 30
run --graph "$graphs/le450_15a.col" --colors 16
run --graph "$graphs/DSJC500.5.col" --colors 50
run --graph gnp:200000:0.00005:1 --colors 6 --scope grid
run --graph "$graphs/DSJC125.5.col" --colors 18 --compare --slice 1
run --graph "$graphs/DSJC125.5.col" --colors 18 --compare --slice 1 --searches 1 --compare-iterations 2000

python3 - "$parts" >"$output.part" <<'PYTHON'
import json, pathlib, sys
parts = sorted(pathlib.Path(sys.argv[1]).glob("*.json"))
print(json.dumps([json.loads(p.read_text()) for p in parts], indent=2))
PYTHON
mv "$output.part" "$output"
