#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# refusals.sh FILE COMPILER ARGUMENTS...: FILE must not compile, with the sentence of its REFUSED
# line among the errors; a file without that line must compile.
set -u

file=$1
shift
wanted=$(sed -n 's,^// REFUSED: ,,p' "$file")
if errors=$("$@" -fsyntax-only "$file" 2>&1); then
  [ -z "$wanted" ] && exit 0
  echo "$file compiled; it should be refused with: $wanted"
  exit 1
fi
if [ -z "$wanted" ]; then
  echo "$file should compile:"
  echo "$errors"
  exit 1
fi
echo "$errors" | grep "error: static.*AATGS: $wanted" && exit 0
echo "$file is not refused with \"$wanted\" but with:"
echo "$errors"
exit 1
