#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# demo.sh [ARGUMENT]...: builds aatgs_whcr and repairs a random colouring of the queen graph of a
# chess board with 9 colours; or does what the arguments say, which go to aatgs_whcr.
set -euo pipefail
cd "$(dirname "$0")/.."

usage="Usage: tools/demo.sh [ARGUMENT]..., as build/examples/aatgs_whcr --help tells them"
case ${1-} in -h | --help) echo "$usage"; exit 0 ;; esac

[ $# -gt 0 ] || set -- --graph queen:8 --colors 9
tools/build.sh build aatgs_whcr
exec build/examples/aatgs_whcr "$@"
