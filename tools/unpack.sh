#!/usr/bin/env bash
# Takes programs out of a Debian package, without installing it: what is a service of the
# system when it is installed (Prometheus, Alertmanager) would start, and listen to everybody.
#
#   tools/unpack.sh DIRECTORY PACKAGE [/FILE…] PROGRAM…
#
# A FILE is one of the package's that the programs read at its own place, and is put there
# unless it is there.
#
# Where there is no apt-get, the programs of that name in PATH are taken.
set -euo pipefail

to=$1 package=$2
shift 2
mkdir -p "$to"
if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    for program in "$@"; do
        [[ $program != /* ]] || continue # whoever installed the programs has it
        found=$(command -v "$program") || {
            echo "$program is missing: install it as your system does, so that it is in PATH" >&2
            exit 1
        }
        ln -sf "$found" "$to/$program"
    done
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=()
[[ $(id -u) != 0 ]] || root=(-o APT::Sandbox::User=root) # or it warns about the directory
echo "unpacking $package for $*" >&2
cd "$work"
if ! apt-get -q "${root[@]}" download "$package" >&2; then
    if [[ $(id -u) != 0 ]]; then
        echo "$package cannot be had: run \`sudo apt-get update\`" >&2
        exit 1
    fi
    apt-get -q update >&2
    apt-get -q "${root[@]}" download "$package" >&2
fi
dpkg-deb -x "$package"_*.deb unpacked
cd - >/dev/null
for program in "$@"; do
    if [[ $program == /* ]]; then
        [[ -e $program ]] || install -D -m 0644 "$work/unpacked$program" "$program" || {
            echo "$package needs $program: run \`sudo $0 $to $package $program\`" >&2
            exit 1
        }
        continue
    fi
    cp "$work/unpacked/usr/bin/$program" "$to/$program.new"
    mv "$to/$program.new" "$to/$program"
done
