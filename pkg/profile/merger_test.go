package profile

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/pprof/profile"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
)

// another is the profile of another pod: the same program at another address, other values.
func another(t *testing.T, file []byte, n int64) *Profile {
	t.Helper()
	p, err := Parse(file, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	far := uint64(n) << 20
	for _, m := range p.raw.Mapping {
		m.Start, m.Limit = m.Start+far, m.Limit+far
	}
	for _, l := range p.raw.Location {
		l.Address += far
	}
	for i, s := range p.raw.Sample {
		for j := range s.Value {
			s.Value[j] *= (n + int64(i)) % 3
		}
	}
	return p
}

// TestMergerAddsAsPprof compares the sum of three pods, of every kind, with what pprof's
// own merge makes of them.
func TestMergerAddsAsPprof(t *testing.T) {
	for kind, file := range genuine() {
		m := NewMerger(DefaultLimits())
		var raws []*profile.Profile
		for n := range int64(3) {
			p := another(t, file, n)
			raws = append(raws, p.raw)
			if err := m.Add(p); err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
		}
		want, err := profile.Merge(raws)
		if err != nil {
			t.Fatal(err)
		}
		data, err := m.Profile().Bytes()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(data, DefaultLimits())
		if err != nil {
			t.Fatalf("%s: the sum cannot be read: %v", kind, err)
		}
		if len(got.raw.Sample) == 0 || got.raw.String() != want.String() {
			t.Errorf("%s: %d stacks and %d locations, pprof makes %d and %d", kind,
				len(got.raw.Sample), len(got.raw.Location), len(want.Sample), len(want.Location))
		}
	}
}

func add(t *testing.T, m *Merger, file []byte) error {
	t.Helper()
	p, err := Parse(file, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return m.Add(p)
}

func TestMergerRefuses(t *testing.T) {
	on := profiletest.On
	odd := message{}.Bytes(fieldSampleType, message{}.Varint(1, 1).Varint(2, 2)).Bytes(fieldSampleType, message{}.Varint(1, 3).Varint(2, 4))
	for _, s := range []string{"", "samples", "count", "cpu", "micro\x1bseconds"} {
		odd = odd.Text(fieldString, s)
	}
	for name, test := range map[string]struct {
		file []byte
		says string
	}{
		"another unit":    {odd, "it counts cpu in micro�seconds, the others cpu in nanoseconds"},
		"another period":  {small().Bytes(fieldPeriodType, message{}.Varint(1, 3).Varint(2, 4)), "it counts a period of cpu in nanoseconds, the others a period of nothing"},
		"other values":    {profiletest.Goroutine(on(1, "main.f")), "it counts goroutine in count, a period of nothing, the others samples in count, cpu in nanoseconds"},
		"negative values": {inF(mainF(), 1, -1), "negative values"},
		"absurd values":   {inF(mainF(), 1, math.MaxInt64-30_000_000), "does not fit 64 bits"},
	} {
		t.Run(name, func(t *testing.T) {
			m := NewMerger(DefaultLimits())
			if err := add(t, m, small()); err != nil {
				t.Fatal(err)
			}
			before := m.Profile().raw.String()
			err := add(t, m, test.file)
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want ErrInvalid with %q", err, test.says)
			}
			if after := m.Profile().raw.String(); after != before {
				t.Errorf("the sum was changed:\n%s\nwas\n%s", after, before)
			}
		})
	}
}

// program is a profile of one of many programs that have much in common: stacks over few
// functions, at few addresses in a few mappings, which start elsewhere each time.
func program(r *rand.Rand, stacks int) *Profile {
	raw := &Raw{
		SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
		PeriodType: &profile.ValueType{Type: "cpu", Unit: "nanoseconds"}, Period: r.Int64N(3),
		TimeNanos: r.Int64N(3) * 1e18, DurationNanos: r.Int64N(1e9),
	}
	for i := range 3 {
		start := uint64(r.IntN(1<<20)) << 12
		size := 1<<30 - uint64(r.IntN(0x1000))
		m := &profile.Mapping{ID: uint64(i + 1), Start: start, Limit: start + size, Offset: uint64(i % 2), File: fmt.Sprint("/lib/", r.IntN(3))}
		if r.IntN(2) == 0 {
			m.BuildID = fmt.Sprint("build", r.IntN(2))
		}
		raw.Mapping = append(raw.Mapping, m)
	}
	for i := range 20 {
		name := fmt.Sprint("main.f", r.IntN(60))
		raw.Function = append(raw.Function, &profile.Function{ID: uint64(i + 1), Name: name, SystemName: name, Filename: fmt.Sprint("f", r.IntN(2), ".go"), StartLine: r.Int64N(2)})
	}
	for i := range 60 {
		m := raw.Mapping[r.IntN(3)]
		l := &profile.Location{ID: uint64(i + 1), Mapping: m, Address: m.Start + uint64(r.IntN(3)), IsFolded: r.IntN(9) == 0}
		for range r.IntN(3) {
			l.Line = append(l.Line, profile.Line{Function: raw.Function[r.IntN(20)], Line: r.Int64N(2), Column: r.Int64N(2)})
		}
		raw.Location = append(raw.Location, l)
	}
	for range stacks {
		s := &profile.Sample{Value: []int64{r.Int64N(3) << r.IntN(50), r.Int64N(3) << 50}}
		for range 1 + r.IntN(8) {
			s.Location = append(s.Location, raw.Location[r.IntN(60)])
		}
		raw.Sample = append(raw.Sample, s)
	}
	return &Profile{raw: raw}
}

// TestMergerTellsApartAsPprof compares sums of drawn profiles with what pprof makes of them.
func TestMergerTellsApartAsPprof(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		m := NewMerger(DefaultLimits())
		var raws []*profile.Profile
		for range 1 + r.IntN(4) {
			p := program(r, r.IntN(30))
			raws = append(raws, p.raw)
			if err := m.Add(p); err != nil {
				t.Fatal(err)
			}
		}
		want, err := profile.Merge(raws)
		if err != nil {
			t.Fatal(err)
		}
		want.TimeNanos = m.out.TimeNanos // pprof takes a time of 0 for the earliest when it does not come first
		if got := m.out.String(); got != want.String() {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
	}
}

func TestMergerTakesTheEarliestTime(t *testing.T) {
	m, r := NewMerger(DefaultLimits()), rand.New(rand.NewPCG(3, 4))
	for _, at := range []int64{0, 5, -7, 3, 9, 0} {
		p := program(r, 1)
		p.raw.TimeNanos = at
		if err := m.Add(p); err != nil {
			t.Fatal(err)
		}
	}
	if m.out.TimeNanos != 3 {
		t.Errorf("time %d", m.out.TimeNanos)
	}
}

// TestMergerKeepsTheLimits: whatever the limits are, a profile is added whole or not at
// all, and the sum can be read under them.
func TestMergerKeepsTheLimits(t *testing.T) {
	tight := map[string]func(*Limits, *rand.Rand){
		"samples":   func(l *Limits, r *rand.Rand) { l.Samples = r.IntN(120) },
		"strings":   func(l *Limits, r *rand.Rand) { l.Strings = r.IntN(90) },
		"functions": func(l *Limits, r *rand.Rand) { l.Functions = r.IntN(200) },
		"frames":    func(l *Limits, r *rand.Rand) { l.Frames = r.IntN(600) },
		"memory":    func(l *Limits, r *rand.Rand) { l.MemoryBytes = r.Int64N(150_000) },
		"bytes":     func(l *Limits, r *rand.Rand) { l.DecompressedBytes = r.Int64N(20_000) },
		"gzip":      func(l *Limits, r *rand.Rand) { l.CompressedBytes = r.Int64N(20_000) },
	}
	r := rand.New(rand.NewPCG(1, 2))
	for name, tighten := range tight {
		refused, added := 0, 0
		for range 40 {
			lim := DefaultLimits()
			tighten(&lim, r)
			m, same := NewMerger(lim), NewMerger(DefaultLimits())
			for range 5 {
				p := program(r, 1+r.IntN(40))
				if err := m.Add(p); err != nil {
					if refused++; !errors.Is(err, ErrTooLarge) {
						t.Fatalf("%s: %v", name, err)
					}
					continue
				}
				added++
				if err := same.Add(p); err != nil {
					t.Fatal(err)
				}
			}
			if m.Profile().raw.String() != same.Profile().raw.String() {
				t.Fatalf("%s: what was refused left something", name)
			}
			checkReadable(t, m, lim)
		}
		if refused < 20 || added < 20 {
			t.Errorf("%s: %d added, %d refused: the test says nothing", name, added, refused)
		}
	}
}

// checkReadable checks that a sum can be read under the limits, and that its size was
// estimated neither too low nor much too high.
func checkReadable(t *testing.T, m *Merger, lim Limits) {
	t.Helper()
	if m.sums == nil {
		return
	}
	data, err := m.Profile().Bytes()
	if err != nil {
		t.Fatal(err)
	}
	p, err := Parse(data, lim)
	if err != nil {
		t.Fatalf("the sum cannot be read under its own limits: %v", err)
	}
	if got := m.size.cost + m.size.bytes; got < p.Cost() || got > 2*p.Cost() {
		t.Errorf("cost %d was estimated as %d", p.Cost(), got)
	}
	plain, err := gunzip(data, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := m.size.bytes, int64(len(plain)); got < want || got > 4*want {
		t.Errorf("%d bytes were estimated as %d", want, got)
	}
}

func TestMergerLeavesOutWhatIsForeign(t *testing.T) {
	for _, name := range profiletest.HostileNames() {
		m := NewMerger(DefaultLimits())
		if err := add(t, m, profiletest.Hostile(name)); err != nil {
			t.Fatalf("%.40q: %v", name, err)
		}
		raw := m.Profile().raw
		if len(raw.Comments) > 0 || raw.DropFrames+raw.KeepFrames+raw.DocURL != "" || raw.DurationNanos < 0 || raw.Sample[0].Label != nil {
			t.Errorf("%.40q: %+v", name, raw)
		}
	}
}

func TestMergerKeepsTheDefaultType(t *testing.T) {
	m := NewMerger(DefaultLimits())
	if err := add(t, m, genuine()[gopprof.KindAllocs]); err != nil {
		t.Fatal(err)
	}
	if got := m.Profile().raw.DefaultSampleType; got != "alloc_space" {
		t.Errorf("default %q: go tool pprof would show what is in use", got)
	}
}

func TestSums(t *testing.T) {
	p, err := Parse(inF(inF(mainF(), 1, -5), 2, math.MaxInt64-2), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Sums(); !slices.Equal(got, []int64{3, math.MaxInt64}) {
		t.Errorf("%v", got)
	}
}
