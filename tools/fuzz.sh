#!/usr/bin/env bash
# fuzz.sh [TIME [FLAG…]]: runs every fuzz test of the tree in turn, for TIME (1m) each, with
# FLAGs of `go test`. A find does not hold up the others: it is named at the end, and its
# input lies in the package's testdata/fuzz, where it is a unit test from then on.
set -euo pipefail

time=${1:-1m}
shift $(($# > 0))
finds=()
while IFS=: read -r file test; do
	test=${test#func }
	echo "== ./${file%/*} $test"
	go test "./${file%/*}" -run='^$' -fuzz="^$test\$" -fuzztime="$time" "$@" </dev/null || finds+=("./${file%/*} $test")
done < <(grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' -- */ | sort)

if ((${#finds[@]} > 0)); then
	printf 'found something: %s\n' "${finds[@]}"
	exit 1
fi
