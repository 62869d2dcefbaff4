package compare

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gopprof/gopprof/pkg/chance"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

const look = 10_000_000 // nanoseconds

// shape is a CPU profile of 10 s with that many looks at each of the service's functions.
func shape(looks map[string]int64) *profile.Shape {
	s := &profile.Shape{Kind: gopprof.KindCPU, Seconds: 10, Quantum: look, Parts: map[string]*profile.Part{}}
	for name, n := range looks {
		s.Parts[name] = &profile.Part{Name: name, Own: true, Self: n * look, Cum: n * look}
		s.Total += n * look
	}
	s.Own = s.Total
	return s
}

func sides(shapes ...*profile.Shape) []Side {
	var out []Side
	for i, s := range shapes {
		out = append(out, Side{Who: gopprof.Comparator{Pod: fmt.Sprintf("quiet-%d", i)}, Shape: s})
	}
	return out
}

// poisson draws the number of looks that a function gets that uses so many on average.
func poisson(r *rand.Rand, mean float64) int64 {
	n, p := int64(0), math.Exp(-mean/16)
	for range 16 { // a sum of small ones: exp(-mean) of a large one is nothing
		for q := r.Float64(); q > p; q *= r.Float64() {
			n++
		}
	}
	return n
}

// drawn is a profile of a service whose functions use so many looks on average.
func drawn(r *rand.Rand, means map[string]float64) *profile.Shape {
	looks := map[string]int64{}
	for name, m := range means {
		looks[name] = poisson(r, m)
	}
	return shape(looks)
}

func service() map[string]float64 {
	means := map[string]float64{}
	for i := range 40 {
		means[fmt.Sprintf("shop.f%d", i)] = 400 / float64(i+1)
	}
	return means
}

// Two profiles of the same differ in nothing, but as seldom as the test says.
func TestSameDiffersSeldom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const trials = 1000
	wrong, shares := 0, 0
	for range trials {
		d, ok := Compare(Side{Shape: drawn(r, service())}, sides(drawn(r, service()), drawn(r, service())))
		if !ok {
			t.Fatal("not compared")
		}
		if d.Significant {
			wrong++
		}
		if !d.SameShares {
			shares++
		}
	}
	if most := 2 * chance.FalseRate * trials; float64(wrong) > most || float64(shares) > most {
		t.Errorf("of %d pairs of the same %d differ and %d have other shares, want at most %.0f", trials, wrong, shares, most)
	}
}

// What differs by several standard errors is found nearly always, and named first.
func TestDifferenceIsFound(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const trials = 200
	found := 0
	for range trials {
		hot := service()
		hot["shop.f7"] += 400
		d, _ := Compare(Side{Shape: drawn(r, hot)}, sides(drawn(r, service()), drawn(r, service())))
		if d.Significant && !d.SameShares && len(d.Functions) > 0 && d.Functions[0].Function == "shop.f7" {
			found++
		}
	}
	if found < trials*99/100 {
		t.Errorf("found in %d of %d", found, trials)
	}
}

// sigma of what is drawn from one distribution is spread as a standard normal.
func TestSigmaIsStandardNormal(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const trials = 20000
	draw := func(seconds, looks float64) amount {
		return amount{float64(poisson(r, looks)) * 0.01 / seconds, 0.01 / seconds}
	}
	beyond, sum := 0, 0.0
	for range trials {
		s := pair{draw(10, 200), []amount{draw(30, 600)}}.sigma() // the same cores, seen for longer
		sum += s * s
		if math.Abs(s) > 2.576 {
			beyond++
		}
	}
	if v := sum / trials; v < 0.9 || v > 1.1 {
		t.Errorf("variance %.3f, want 1", v)
	}
	if share := float64(beyond) / trials; share > 0.015 || share < 0.005 {
		t.Errorf("%.4f beyond 2.576 standard errors, want 0.01", share)
	}
}

func TestCompare(t *testing.T) {
	quiet := map[string]int64{"shop.list": 60, "shop.pay": 40}
	for name, test := range map[string]struct {
		here        map[string]int64
		others      []map[string]int64
		significant bool
		same        bool
		first       string // function that grew most
		excess      float64
	}{
		"the same":                {quiet, []map[string]int64{quiet, quiet}, false, true, "", 0},
		"one function":            {map[string]int64{"shop.list": 60, "shop.pay": 40, "shop.rank": 300}, []map[string]int64{quiet, quiet}, true, false, "shop.rank", 1},
		"two functions":           {map[string]int64{"shop.list": 60, "shop.pay": 140, "shop.rank": 300}, []map[string]int64{quiet, quiet}, true, false, "shop.rank", 0.75},
		"three times the traffic": {map[string]int64{"shop.list": 180, "shop.pay": 120}, []map[string]int64{quiet, quiet}, true, true, "shop.list", 0.6},
		"of one other":            {map[string]int64{"shop.list": 60, "shop.pay": 40, "shop.rank": 300}, []map[string]int64{quiet}, true, false, "shop.rank", 1},
		"a little more":           {map[string]int64{"shop.list": 66, "shop.pay": 44}, []map[string]int64{quiet, quiet}, false, true, "", 0},
		// The others differ as much among each other.
		"others that differ too": {map[string]int64{"shop.list": 300, "shop.pay": 40}, []map[string]int64{{"shop.list": 60, "shop.pay": 40}, {"shop.list": 290, "shop.pay": 40}}, false, true, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			var others []*profile.Shape
			for _, o := range test.others {
				others = append(others, shape(o))
			}
			d, ok := Compare(Side{Shape: shape(test.here)}, sides(others...))
			if !ok || d.Significant != test.significant || d.SameShares != test.same || len(d.With) != len(others) || d.Unit != "cores" {
				t.Fatalf("%v %+v", ok, d)
			}
			if test.first == "" {
				if len(d.Functions) != 0 {
					t.Errorf("%+v grew", d.Functions)
				}
				return
			}
			if g := d.Functions[0]; g.Function != test.first || math.Abs(g.Excess-test.excess) > 0.001 || g.Sigma < 3 {
				t.Errorf("%+v", d.Functions)
			}
		})
	}
}

// Whether the same work is done can be told only of what was looked at often enough: that no
// difference is beyond chance says nothing where chance reaches far.
func TestTheSameWorkMustBeSeen(t *testing.T) {
	for name, test := range map[string]struct {
		here, other map[string]int64 // looks at each function
		same, told  bool
	}{
		"often, the same":        {map[string]int64{"shop.list": 600, "shop.pay": 400}, map[string]int64{"shop.list": 150, "shop.pay": 100}, true, true},
		"often, another":         {map[string]int64{"shop.list": 900, "shop.pay": 100}, map[string]int64{"shop.list": 100, "shop.pay": 100}, false, true},
		"seldom, the same":       {map[string]int64{"shop.list": 60, "shop.pay": 40}, map[string]int64{"shop.list": 24, "shop.pay": 16}, false, false},
		"seldom, rather another": {map[string]int64{"shop.list": 55, "shop.pay": 25}, map[string]int64{"shop.list": 30, "shop.pay": 30}, false, false},
		"seldom, quite another":  {map[string]int64{"shop.rank": 300, "shop.pay": 40}, map[string]int64{"shop.list": 15, "shop.pay": 10}, false, true},
	} {
		d, _ := Compare(Side{Shape: shape(test.here)}, sides(shape(test.other)))
		if d.SameShares != test.same || (d.Note == "") != test.told {
			t.Errorf("%s: same %v, note %q", name, d.SameShares, d.Note)
		}
	}
}

// Work that is spread over many functions is another where what leads to it is: no single
// function shows it.
func TestSpreadWorkIsNotTheSame(t *testing.T) {
	spread := func(each int64) *profile.Shape {
		looks := map[string]int64{"shop.list": 300}
		for i := range 20 {
			looks[fmt.Sprintf("shop/rank.step%d", i)] = each
		}
		s := shape(looks)
		s.Parts["shop/rank.All"] = &profile.Part{Name: "shop/rank.All", Own: true, Cum: 20 * each * look}
		return s
	}
	if d, _ := Compare(Side{Shape: spread(20)}, sides(spread(3), spread(3))); d.SameShares {
		t.Errorf("%+v", d)
	}
	if d, _ := Compare(Side{Shape: spread(20)}, sides(spread(20), spread(20))); !d.SameShares {
		t.Errorf("%+v", d)
	}
}

// However large the values are that a target claims, they are not added beyond what fits.
func TestSharesOfAbsurdValues(t *testing.T) {
	absurd := func() *profile.Shape {
		s := shape(map[string]int64{"shop.list": 1, "shop.pay": 1})
		s.Quantum, s.Total, s.Own = 1, math.MaxInt64-2, math.MaxInt64-2
		s.Parts["shop.list"].Self, s.Parts["shop.pay"].Self = math.MaxInt64/3*2, math.MaxInt64/3
		return s
	}
	if d, _ := Compare(Side{Shape: absurd()}, sides(absurd(), absurd(), absurd())); !d.SameShares {
		t.Errorf("%+v", d)
	}
}

// Where the runtime takes much more, it is not the same work.
func TestTheRuntimesPartIsNotTheSameWork(t *testing.T) {
	quiet := map[string]int64{"shop.list": 60, "shop.pay": 40}
	here := shape(quiet)
	here.Parts["runtime.gcBgMarkWorker"] = &profile.Part{Self: 300 * look, Cum: 300 * look}
	here.Total += 300 * look
	d, _ := Compare(Side{Shape: here}, sides(shape(quiet)))
	if d.SameShares || !d.Significant || d.Functions[0].Function != "runtime.gcBgMarkWorker" || d.Functions[0].Own {
		t.Errorf("%+v", d)
	}
}

// Where both sides count their requests, what each takes is told, too.
func TestPerRequest(t *testing.T) {
	here, quiet := shape(map[string]int64{"shop.list": 60, "shop.rank": 300}), shape(map[string]int64{"shop.list": 60})
	with := func(a, b float64) []Side { return []Side{{Shape: quiet, Requests: a}, {Shape: quiet, Requests: b}} }
	d, _ := Compare(Side{Shape: here, Requests: 20}, with(10, 30))
	if d.HereRequests != 20 || d.TypicalRequests != 20 || d.Functions[0].HerePerRequest != 0.015 || d.Functions[0].TypicalPerRequest != 0 {
		t.Errorf("%+v", d)
	}
	for name, unknown := range map[string]struct {
		here   Side
		others []Side
	}{
		"here":              {Side{Shape: here}, with(10, 30)},
		"of one of them":    {Side{Shape: here, Requests: 20}, with(10, 0)},
		"of nobody":         {Side{Shape: here}, with(0, 0)},
		"what is no number": {Side{Shape: here, Requests: 20}, with(10, math.NaN())},
		"another kind's":    {Side{Shape: goroutines(5), Requests: 20}, []Side{{Shape: goroutines(6), Requests: 20}}},
	} {
		d, ok := Compare(unknown.here, unknown.others)
		if !ok || d.HereRequests != 0 || d.TypicalRequests != 0 {
			t.Errorf("unknown %s: %+v", name, d)
		}
	}
}

func goroutines(n int64) *profile.Shape {
	return &profile.Shape{Kind: gopprof.KindGoroutine, Quantum: 1, Total: n, Parts: map[string]*profile.Part{"f": {Name: "f", Own: true, Self: n, Cum: n}}}
}

// What cannot be compared is not.
func TestNothingToCompareWith(t *testing.T) {
	mutex, timeless := shape(map[string]int64{"f": 1}), shape(map[string]int64{"f": 100})
	mutex.Kind, timeless.Seconds = gopprof.KindMutex, 0
	whole := shape(map[string]int64{"f": 100})
	for name, test := range map[string]struct {
		here   *profile.Shape
		others []*profile.Shape
	}{
		"nobody":          {whole, nil},
		"another kind":    {mutex, []*profile.Shape{mutex}},
		"of no length":    {timeless, []*profile.Shape{whole}},
		"with no length":  {whole, []*profile.Shape{timeless}},
		"nothing in them": {whole, []*profile.Shape{nil}},
	} {
		if d, ok := Compare(Side{Shape: test.here}, sides(test.others...)); ok {
			t.Errorf("%s: %+v", name, d)
		}
	}
	few, _ := Compare(Side{Shape: shape(map[string]int64{"f": 10})}, sides(shape(map[string]int64{"f": 10})))
	if few.SameShares || few.Note == "" {
		t.Errorf("of a few looks: %+v", few)
	}
}

// A library's and the runtime's part is told as the service's that leads to it.
func TestGrowthIsToldInTheServicesFunctions(t *testing.T) {
	here, there := shape(map[string]int64{"shop/search.match": 500}), shape(map[string]int64{"shop/search.match": 20})
	p := here.Parts["shop/search.match"]
	p.Below, p.Path, p.File = "regexp.(*Regexp).MatchString", []string{"net/http.(*conn).serve", "shop/search.Find"}, "search/match.go"
	d, _ := Compare(Side{Shape: here}, sides(there))
	if g := d.Functions[0]; !g.Own || g.Below != p.Below || len(g.Path) != 2 || g.File != p.File {
		t.Errorf("%+v", g)
	}
	p.Below = "shop/search.fold" // its own package: says nothing more
	if d, _ := Compare(Side{Shape: here}, sides(there)); d.Functions[0].Below != "" {
		t.Errorf("%+v", d.Functions[0])
	}
}
