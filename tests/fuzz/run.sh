#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh PROGRAM CORPUS WORK SECONDS: runs a libFuzzer program on its kept inputs and on those it has
# found before, and searches on. New inputs go to WORK/corpus, those that show a fault to
# WORK/artifacts. The limits are far above what a reader of so small inputs needs. (libFuzzer's own
# status for a fault is 77, which to Meson is a skip.)
set -eu

mkdir -p "$3/corpus" "$3/artifacts"
export ASAN_OPTIONS="quarantine_size_mb=32:${ASAN_OPTIONS:-}"
exec "$1" -max_total_time="$4" -error_exitcode=1 -timeout=20 -rss_limit_mb=1024 -malloc_limit_mb=128 \
  -print_final_stats=1 -artifact_prefix="$3/artifacts/" "$3/corpus" "$2"
