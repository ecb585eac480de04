#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# build.sh DIRECTORY [-DOPTION=VALUE]... [TARGET]...: sets the machine up, configures DIRECTORY with
# the Meson options, and builds the targets, or all.
set -euo pipefail
cd "$(dirname "$0")/.."

usage="Usage: tools/build.sh DIRECTORY [-DOPTION=VALUE]... [TARGET]..."
case ${1-} in
  -h | --help) echo "$usage"; exit 0 ;;
  '' | -*) echo "$usage" >&2; exit 2 ;;
esac
directory=$1
shift
options=() targets=()
for argument in "$@"; do
  case $argument in
    -*) options+=("$argument") ;;
    *) targets+=("$argument") ;;
  esac
done

tools/setup.sh
if [ ! -f "$directory/build.ninja" ]; then
  .venv/bin/meson setup --native-file .venv/toolkit.ini "$directory" "${options[@]}"
elif [ ${#options[@]} -gt 0 ]; then
  .venv/bin/meson configure "$directory" "${options[@]}"
fi
.venv/bin/meson compile -C "$directory" "${targets[@]}"
