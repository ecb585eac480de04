#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# find-cuda.sh [NVCC]: prints the root of the CUDA toolkit that NVCC belongs to; without NVCC, of
# the first of $CUDA_HOME, nvcc on PATH, /usr/local/cuda. Says where it looked if there is none.
set -eu

fail() {
  echo "$1" >&2
  exit 1
}

# Asks nvcc itself: what PATH finds may be a wrapper that lies elsewhere.
root_of() {
  top=$("$1" --dryrun -x cu /dev/null 2>&1 | sed -n 's/^#\$ TOP=//p')
  [ -d "$top" ] || fail "$1 does not say where its toolkit is (nvcc --dryrun prints no TOP)."
  cd "$top" && pwd
}

if [ $# -gt 0 ]; then
  root=$(root_of "$1")
elif [ -n "${CUDA_HOME:-}" ]; then
  [ -x "$CUDA_HOME/bin/nvcc" ] ||
    fail "CUDA_HOME is '$CUDA_HOME', but there is no $CUDA_HOME/bin/nvcc: correct or unset CUDA_HOME."
  root=$CUDA_HOME
elif command -v nvcc >/dev/null; then
  root=$(root_of nvcc)
elif [ -x /usr/local/cuda/bin/nvcc ]; then
  root=/usr/local/cuda
else
  fail "No CUDA toolkit found: CUDA_HOME is not set, nvcc is not on PATH, and there is no \
/usr/local/cuda/bin/nvcc. Install CUDA 13 or newer, or set CUDA_HOME to where it is."
fi

[ -d "$root/include/cccl" ] ||
  fail "The CUDA toolkit at $root has no include/cccl: CUDA 13 or newer is needed. Set CUDA_HOME."
echo "$root"
