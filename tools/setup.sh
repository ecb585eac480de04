#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# setup.sh [PACKAGE]...: installs what the build needs and this Debian machine lacks, and these
# packages, and says nothing if that is nothing.
# Leaves Meson in .venv, and in .venv/toolkit.ini a Meson native file that names nvcc.
set -euo pipefail
cd "$(dirname "$0")/.."

usage="Usage: tools/setup.sh [PACKAGE]..."
for argument in "$@"; do
  case $argument in
    -h | --help) echo "$usage"; exit 0 ;;
    -*) echo "$usage" >&2; exit 2 ;;  # apt-get would take it for an option of its own
  esac
done

packages=(g++ ninja-build cmake pkg-config python3 python3-venv
          clang libclang-rt-14-dev doctest-dev libbenchmark-dev libcli11-dev libcpp-httplib-dev libncurses-dev libsimdjson-dev libtomlplusplus-dev nlohmann-json3-dev relacy-dev spin "$@")

fail() {
  echo "setup: $*" >&2
  exit 1
}

# Runs a command in silence; if it fails, shows the end of what it said.
quietly() {
  local log
  log=$(mktemp)
  if ! "$@" >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}

is_installed() {
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

install_packages() {
  local missing=() root=()
  command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
    fail "this machine has no apt; install by hand what Debian calls: ${packages[*]}."
  for package in "${packages[@]}"; do
    is_installed "$package" || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0

  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
      fail "run it as root, or install sudo: these packages are missing: ${missing[*]}."
    root=(sudo)
  fi
  echo "setup: installing ${missing[*]}"
  quietly "${root[@]}" apt-get update ||
    echo "setup: apt-get update failed; trying with the package lists at hand." >&2
  quietly "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends "${missing[@]}" ||
    fail "apt-get could not install ${missing[*]}; its last lines are above."
}

has_meson() {
  local version
  version=$(.venv/bin/meson --version 2>/dev/null) &&
    [ "$(printf '%s\n' 1.7 "$version" | sort -V | head -n 1)" = 1.7 ]
}

# Debian 12's own Meson (1.0) does not rebuild a .cu file when a header changes.
install_meson() {
  has_meson && return
  echo "setup: installing Meson in .venv"
  rm -rf .venv
  quietly python3 -m venv .venv || quietly /usr/bin/python3 -m venv --clear .venv ||
    fail "python3 -m venv could not make $PWD/.venv; its last lines are above."
  quietly .venv/bin/python -m pip install 'meson>=1.7,<2' ||
    fail "pip could not install Meson 1.7 or newer in $PWD/.venv; its last lines are above."
}

# Meson itself looks for nvcc on PATH only.
name_nvcc() {
  local toolkit
  toolkit=$(tools/toolchain/find-cuda.sh) || exit 1
  printf "[binaries]\ncuda = '%s/bin/nvcc'\n" "$toolkit" >.venv/toolkit.ini
}

install_packages
install_meson
name_nvcc
