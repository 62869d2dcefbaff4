package main

import "testing"

// The ranks are those of tables of the sign test: n values, how many are left out at an end.
func TestOutside(t *testing.T) {
	for n, want := range map[int]int{1: 0, 2: 0, 5: 0, 6: 0, 9: 1, 10: 1, 12: 2, 20: 5} {
		if got := outside(n); got != want {
			t.Errorf("of %d values %d are left out at either end, want %d", n, got, want)
		}
	}
}
