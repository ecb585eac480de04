#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# consumer.sh pkg-config|cmake BUILD NVCC ARCH MESON...: installs BUILD into an empty folder, then
# builds and runs the project beside this script against it, found in the one way or the other.
set -eu

way=$1 build=$2 nvcc=$3 arch=$4
shift 4
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$@" install -C "$build" --no-rebuild --destdir "$work/root" >"$work/install.log" ||
  { cat "$work/install.log"; exit 1; }

case $way in
pkg-config)
  PKG_CONFIG_PATH=$(dirname "$(find "$work/root" -name aatgs.pc)")
  export PKG_CONFIG_PATH
  case $arch in
  native) arch_flag=-arch=native ;;
  *) arch_flag=-arch=sm_$arch ;;
  esac
  "$nvcc" "$arch_flag" $(pkg-config --variable=nvccflags aatgs) \
    -c "$here/squares.cu" -o "$work/squares.o"
  c++ -std=c++20 $(pkg-config --cflags aatgs) -c "$here/consumer.cpp" -o "$work/consumer.o"
  c++ "$work/consumer.o" "$work/squares.o" $(pkg-config --libs aatgs) -o "$work/consumer"
  "$work/consumer"
  ;;
cmake)
  prefix=$(dirname "$(find "$work/root" -type d -name include -prune)")
  cmake -S "$here" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$prefix" \
    -DCMAKE_CUDA_COMPILER="$nvcc" -DCMAKE_CUDA_ARCHITECTURES="$arch"
  cmake --build "$work/cmake"
  "$work/cmake/consumer"
  ;;
esac
