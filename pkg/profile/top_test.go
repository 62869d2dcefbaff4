package profile

import (
	"cmp"
	"slices"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// TestTopEqualsGoTool compares every function's flat and cum, and both orders, with the
// reference implementation on genuine profiles.
func TestTopEqualsGoTool(t *testing.T) {
	for kind, file := range genuine() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			p, err := Parse(file, DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			got := p.Top(kind, 0)
			if got.Reason != "" || got.Total == 0 || got.Samples == 0 || len(got.Functions) == 0 {
				t.Fatalf("top says nothing: %+v", got)
			}
			want := goToolTop(t, file, value{got.SampleType, got.Unit}, false)
			compare(t, got.Functions, want, func(f gopprof.Function) int64 { return f.Flat })
			slices.SortFunc(got.Functions, ByCum)
			want = goToolTop(t, file, value{got.SampleType, got.Unit}, true)
			compare(t, got.Functions, want, func(f gopprof.Function) int64 { return f.Cum })
		})
	}
}

// compare checks that both lists hold the same functions with the same numbers, and that
// the numbers they are ordered by come in the same order; ties may differ.
func compare(t *testing.T, got, want []gopprof.Function, by func(gopprof.Function) int64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d functions, go tool pprof has %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if by(got[i]) != by(want[i]) {
			t.Errorf("place %d: %+v, go tool pprof has %+v", i, got[i], want[i])
		}
	}
	byName := func(a, b gopprof.Function) int { return cmp.Or(cmp.Compare(a.Name, b.Name), ByFlat(a, b)) }
	got, want = slices.SortedFunc(slices.Values(got), byName), slices.SortedFunc(slices.Values(want), byName)
	for i := range min(len(got), len(want)) {
		g := gopprof.Function{Name: got[i].Name, Flat: got[i].Flat, Cum: got[i].Cum}
		if g != want[i] {
			t.Errorf("%+v, go tool pprof has %+v", g, want[i])
		}
	}
}
