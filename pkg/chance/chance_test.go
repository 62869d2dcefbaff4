package chance

import (
	"math"
	"testing"
)

func TestBeyond(t *testing.T) {
	for n, want := range map[int]float64{1: 2.5758, 100: 3.8906, 0: 2.5758} {
		if got := Beyond(n); math.Abs(got-want) > 1e-3 {
			t.Errorf("%d comparisons: %.4f, want %.4f", n, got, want)
		}
	}
}

func TestShares(t *testing.T) {
	if got := (Share{0.3, 1000}).Sigma(Share{0.3, 500}); got != 0 {
		t.Errorf("equal shares differ: %v", got)
	}
	if got := (Share{0.5, 100}).Sigma(Share{0.3, 100}); math.Abs(got-2.887) > 0.001 { // Fleiss's own formula, by hand
		t.Errorf("sigma %.3f, want 2.887", got)
	}
	for _, none := range []Share{{0, 0}, {1, 10}, {math.NaN(), 1}} {
		if got := none.Sigma(none); got != 0 {
			t.Errorf("%+v: sigma %v", none, got)
		}
	}
}
