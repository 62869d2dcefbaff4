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

func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, kind := range gopprof.Kinds() {
			err := Validate(kind, file, fuzzLimits())
			if reason := ReasonOf(err); err != nil && reason == "" {
				t.Errorf("%s: error without a reason: %v", kind, err)
			}
		}
	})
}

func FuzzCleanTop(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, file []byte) {
		p, err := Parse(file, fuzzLimits())
		if err != nil {
			return
		}
		for _, kind := range gopprof.Kinds() {
			top := p.Top(kind, 3)
			if len(top.Functions) > 6 || top.Total < 0 {
				t.Errorf("top %+v", top)
			}
			c, err := p.Clean(kind)
			if err != nil {
				continue
			}
			checkClean(t, c)
			if got := c.Top(kind, 3); got.Total != top.Total {
				t.Errorf("total %d, cleaned %d", top.Total, got.Total)
			}
		}
	})
}
