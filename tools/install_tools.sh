#!/bin/sh
# The cross compiler, its C++ library and QEMU: installed by apt where that is possible, else a line that says what to do.
set -eu

missing=
command -v arm-none-eabi-g++ >/dev/null 2>&1 || missing="$missing gcc-arm-none-eabi libstdc++-arm-none-eabi-newlib"
command -v qemu-system-arm >/dev/null 2>&1 || missing="$missing qemu-system-arm"
if [ -z "$missing" ] && ! printf '#include <cstdint>\n' | arm-none-eabi-g++ -x c++ -fsyntax-only - 2>/dev/null; then
  missing=" libstdc++-arm-none-eabi-newlib"
fi
"${PYTHON:-python3}" -c 'import venv, ensurepip' 2>/dev/null || missing="$missing python3-venv"
[ -n "$missing" ] || exit 0

if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
  echo "Installing$missing"
  apt-get update -qq
  # shellcheck disable=SC2086 - a list of packages
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null
  exit 0
fi
{
  echo "Missing:$missing"
  echo "Debian and Ubuntu: sudo apt-get install$missing"
  echo "macOS: brew install --cask gcc-arm-embedded; brew install qemu"
} >&2
exit 1
