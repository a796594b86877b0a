#!/bin/sh
# Installs what a build and its tests need on Debian 12, where something is missing.
# Without root it prints the one line and stops.
set -eu
packages="gcc make pkg-config liblua5.4-dev lua5.4 libssl-dev libyaml-dev libsqlite3-dev libuv1-dev
libyajl-dev libarchive-dev libcmocka-dev lua-busted lua-check clang clang-format clang-tidy cppcheck
libclang-rt-14-dev sqlite3 gcovr"
missing=""
for package in $packages; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "ok installed" ||
    missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" -ne 0 ]; then
  echo "These packages are missing; install them, then run make again:" >&2
  echo "  sudo apt-get install -y$missing" >&2
  exit 69
fi
echo "installing:$missing"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
