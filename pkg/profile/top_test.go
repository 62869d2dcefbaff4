package profile

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
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

func TestTopOfValuesThatCannotBeTrue(t *testing.T) {
	for name, test := range map[string]struct {
		values []int64
		total  int64
		flat   int64
		says   string
	}{
		"negative": {[]int64{-5, 20}, 25, 15, "1 stacks have negative values"},
		"overflow": {[]int64{math.MaxInt64, math.MaxInt64}, math.MaxInt64, math.MaxInt64, "do not fit 64 bits"},
		"smallest": {[]int64{math.MinInt64, math.MinInt64}, math.MaxInt64, math.MinInt64, "do not fit 64 bits"},
		"one":      {[]int64{math.MinInt64}, math.MaxInt64, math.MinInt64, "negative"},
	} {
		t.Run(name, func(t *testing.T) {
			m := mainF()
			for _, v := range test.values {
				m = inF(m, 1, v)
			}
			p, err := Parse(m, DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			top := p.Top(gopprof.KindCPU, 5)
			if top.Total != test.total || top.Functions[0].Flat != test.flat || top.Functions[0].Cum != test.flat {
				t.Errorf("total %d, function %+v; want %d and %d", top.Total, top.Functions[0], test.total, test.flat)
			}
			if !strings.Contains(top.Detail, test.says) {
				t.Errorf("detail %q does not say %q", top.Detail, test.says)
			}
		})
	}
}

func TestTopPicksByFlatAndByCum(t *testing.T) {
	p, err := Parse(genuine()[gopprof.KindCPU], DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	all := p.Top(gopprof.KindCPU, 0).Functions
	for _, n := range []int{1, 2, 5, 20, len(all) - 1, len(all), len(all) + 1} {
		got := p.Top(gopprof.KindCPU, n).Functions
		want := slices.Clone(all[:min(n, len(all))])
		byCum := slices.SortedFunc(slices.Values(all), ByCum)
		for _, f := range byCum[:min(n, len(all))] {
			if !slices.Contains(want, f) {
				want = append(want, f)
			}
		}
		slices.SortFunc(want, ByFlat)
		if !slices.Equal(got, want) {
			t.Errorf("top %d: %d functions, want %d", n, len(got), len(want))
		}
	}
}

func TestTopOfOtherKind(t *testing.T) {
	p, err := Parse(profiletest.Gzip(small()), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if top := p.Top(gopprof.KindHeap, 5); top.Reason != gopprof.ReasonInvalidProfile || !strings.Contains(top.Detail, "inuse_space") {
		t.Errorf("%+v", top)
	}
}

// TestNotEnabled: a program that never switched the profilers on answers with an empty
// profile, which must not be read as "no contention".
func TestNotEnabled(t *testing.T) {
	p, err := Parse(profiletest.Contention(), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	for kind, says := range map[gopprof.Kind]string{gopprof.KindMutex: "SetMutexProfileFraction", gopprof.KindBlock: "SetBlockProfileRate"} {
		if top := p.Top(kind, 5); top.Reason != gopprof.ReasonNotEnabled || !strings.Contains(top.Detail, says) {
			t.Errorf("%s: %+v", kind, top)
		}
	}
}
