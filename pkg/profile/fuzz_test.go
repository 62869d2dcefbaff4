package profile

import (
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
	corpus "github.com/gopprof/gopprof/test/hostile"
)

// fuzzLimits are small, so that the fuzzer's time goes into shapes and not into sizes.
func fuzzLimits() Limits {
	lim := DefaultLimits()
	lim.CompressedBytes, lim.DecompressedBytes, lim.MemoryBytes, lim.Frames = 1<<16, 1<<20, 4<<20, 100_000
	return lim
}

func seeds(f *testing.F) {
	f.Helper()
	f.Add([]byte(small()))
	f.Add(profiletest.Gzip(small()))
	f.Add(profiletest.Gzip(profiletest.Gzip(small())))
	f.Add([]byte(inF(inF(inF(mainF(), 1, -1), 1, 1<<62), 1, 1<<62)))
	f.Add([]byte("heap profile: 1: 2 [3: 4] @ heapprofile\n"))
	f.Add([]byte("go 1.26 trace\x00\x00\x00"))
	f.Add(profiletest.CPU(1, profiletest.On(look, "a", "b")))
	for _, name := range profiletest.HostileNames() {
		f.Add(profiletest.Hostile(name))
	}
	for _, data := range corpus.Files(8 << 10) {
		f.Add(data)
	}
	for _, piece := range hostile {
		f.Add([]byte(append(small(), piece(2)[:min(500, len(piece(2)))]...)))
	}
}

// FuzzProfile: whatever a target sends is refused with a reason, or everything that is made
// of it is bounded and adds up.
func FuzzProfile(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, kind := range gopprof.Kinds() {
			err := Validate(kind, file, fuzzLimits())
			if reason := ReasonOf(err); err != nil && reason == "" {
				t.Errorf("%s: error without a reason: %v", kind, err)
			}
		}
		p, err := Parse(file, fuzzLimits())
		if err != nil {
			return
		}
		for _, kind := range gopprof.Kinds() {
			checkTop(t, p, kind)
			checkShape(t, p, kind)
		}
		checkTwice(t, p)
	})
}

// checkTop checks that the hottest functions are bounded, and the same of the cleaned profile.
func checkTop(t *testing.T, p *Profile, kind gopprof.Kind) {
	t.Helper()
	top := p.Top(kind, 3)
	if len(top.Functions) > 6 || top.Total < 0 {
		t.Errorf("top %+v", top)
	}
	c, err := p.Clean(kind)
	if err != nil {
		return
	}
	checkClean(t, c)
	if got := c.Top(kind, 3); got.Total != top.Total {
		t.Errorf("total %d, cleaned %d", top.Total, got.Total)
	}
}

// checkShape checks that a shape is bounded and adds up.
func checkShape(t *testing.T, p *Profile, kind gopprof.Kind) {
	t.Helper()
	w, err := p.Weigh(kind)
	if err != nil || w.Saturated || w.Negative > 0 {
		return
	}
	s := w.Shape(1)
	sum := int64(0)
	for _, part := range s.Parts {
		if len(part.Path) > maxPath || part.Self > part.Cum || part.Cum > s.Total {
			t.Errorf("%+v of %d", part, s.Total)
		}
		sum += part.Self
	}
	if len(s.Parts) > maxParts || sum > s.Total {
		t.Errorf("%d parts with %d of %d", len(s.Parts), sum, s.Total)
	}
}

// checkTwice checks that the sum of a profile with itself, unless it is refused with a
// reason, can be read and is twice it.
func checkTwice(t *testing.T, p *Profile) {
	t.Helper()
	m := NewMerger(fuzzLimits())
	for range 2 {
		if err := m.Add(p); err != nil {
			if ReasonOf(err) == "" {
				t.Errorf("error without a reason: %v", err)
			}
			return
		}
	}
	data, err := m.Profile().Bytes()
	if err != nil {
		t.Fatal(err)
	}
	twice, err := Parse(data, fuzzLimits())
	if err != nil {
		t.Fatalf("the sum cannot be read: %v", err)
	}
	for i, v := range p.Sums() {
		if got := twice.Sums()[i]; got != 2*v {
			t.Errorf("value %d: once %d, twice %d", i, v, got)
		}
	}
}
