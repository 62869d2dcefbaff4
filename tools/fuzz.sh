#!/usr/bin/env bash
# fuzz.sh [TIME [FLAG…]]: runs every fuzz test of the tree in turn, for TIME (1m) each, with
# FLAGs of `go test`. A find does not hold up the others: it is named at the end, and its
# input lies in the package's testdata/fuzz, where it is a unit test from then on.
set -euo pipefail

time=${1:-1m}
shift $(($# > 0))
log=$(mktemp)
trap 'rm -f "$log"' EXIT
finds=()

# A minute, which is the default, for making one interesting input smaller would often be
# all the time there is.
search() { # package test
	go test "$1" -run='^$' -fuzz="^$2\$" -fuzztime="$time" -fuzzminimizetime=1s "${@:3}" </dev/null 2>&1 | tee "$log"
}

# Go before 1.27 may report the end of the time as a failure, without an input
# (https://go.dev/issue/75804).
ended() { grep -qx '    context deadline exceeded' "$log" && ! grep -q 'Failing input written' "$log"; }

while IFS=: read -r file test; do
	package=./${file%/*} test=${test#func }
	echo "== $package $test"
	search "$package" "$test" "$@" || ended || finds+=("$package $test")
done < <(grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' -- */ | sort)

if ((${#finds[@]} > 0)); then
	printf 'found something: %s\n' "${finds[@]}"
	exit 1
fi
