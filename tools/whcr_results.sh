#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# whcr_results.sh PROGRAM DIMACS_DIR OUTPUT.json: runs aatgs_whcr on the graphs of the README's table
# and joins the reports. Leaves with status 2 if one of the three is wrong.
set -euo pipefail

[ $# -eq 3 ] || { echo "Usage: tools/whcr_results.sh AATGS_WHCR DIMACS_DIR OUTPUT.json" >&2; exit 2; }
program=$1 graphs=$2 output=$3

refuse() {
  echo "whcr_results: $*" >&2
  exit 2
}

# Better now than after minutes.
type -P -- "$program" >/dev/null || refuse "'$program' is not a program: name that of aatgs_whcr"
for graph in DSJC125.5 DSJC250.5 le450_15a DSJC500.5; do
  [ -f "$graphs/$graph.col" ] || refuse "there is no file $graphs/$graph.col: name the folder of the DIMACS graphs"
done
[ ! -d "$output" ] || refuse "cannot write $output: it is a folder"
{ : >"$output.part"; } 2>/dev/null || refuse "cannot write $output.part beside the output"
trap 'rm -rf "${parts-}" "$output.part"' EXIT
parts=$(mktemp -d)

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
