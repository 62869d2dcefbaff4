#!/usr/bin/env bash
# Makes sure that a program is there:
#
#   tools/install.sh PROGRAM PACKAGE…
#
# If it is missing, root on Debian gets the packages installed; anybody else is told the
# one command.
set -euo pipefail

program=${1%% *} # a compiler may come with flags
shift
if command -v "$program" >/dev/null; then
    exit 0
fi
if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
    echo "$program is missing: run \`sudo apt-get install $*\`" >&2
    exit 1
fi
echo "installing $* for $program" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get -q update >&2
apt-get -q install -y --no-install-recommends "$@" >&2
