#!/bin/sh
# The cross compiler, its C++ library, QEMU and, for the tests of the HTML report, Chromium with its driver: installed by apt where that is possible, else a line that says what to do.
set -eu

missing=
command -v arm-none-eabi-g++ >/dev/null 2>&1 || missing="$missing gcc-arm-none-eabi libstdc++-arm-none-eabi-newlib"
command -v qemu-system-arm >/dev/null 2>&1 || missing="$missing qemu-system-arm"
if [ -z "$missing" ] && ! printf '#include <cstdint>\n' | arm-none-eabi-g++ -x c++ -fsyntax-only - 2>/dev/null; then
  missing=" libstdc++-arm-none-eabi-newlib"
fi
"${PYTHON:-python3}" -c 'import venv, ensurepip' 2>/dev/null || missing="$missing python3-venv"
# Wanted, not needed: the tests that look at the HTML report in a browser are skipped without it.
wanted=
command -v chromedriver >/dev/null 2>&1 || wanted=" chromium chromium-driver"
[ -n "$missing$wanted" ] || exit 0

if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
  echo "Installing$missing$wanted"
  apt-get update -qq
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086 - a list of packages
  [ -z "$missing" ] || apt-get install -y -qq $missing >/dev/null
  # Ubuntu has Chromium as a snap only, which does not work everywhere.
  # shellcheck disable=SC2086 - a list of packages
  [ -z "$wanted" ] || apt-get install -y -qq --no-install-recommends $wanted fonts-dejavu-core >/dev/null ||
    echo "Without$wanted the tests of the HTML report in a browser are skipped"
  exit 0
fi
[ -n "$missing" ] || exit 0
{
  echo "Missing:$missing"
  echo "Debian and Ubuntu: sudo apt-get install$missing"
  echo "macOS: brew install --cask gcc-arm-embedded; brew install qemu"
} >&2
exit 1
