package profile

import (
	"fmt"
	"math"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// value is the name and unit of one of the numbers that each stack carries.
type value struct {
	name string
	unit string
}

// mainValue returns what a kind is about, as net/http/pprof of Go names it.
func mainValue(kind gopprof.Kind) (value, bool) {
	switch kind {
	case gopprof.KindCPU:
		return value{"cpu", "nanoseconds"}, true
	case gopprof.KindHeap:
		return value{"inuse_space", "bytes"}, true
	case gopprof.KindAllocs:
		return value{"alloc_space", "bytes"}, true
	case gopprof.KindGoroutine:
		return value{"goroutine", "count"}, true
	case gopprof.KindMutex, gopprof.KindBlock:
		return value{"delay", "nanoseconds"}, true
	case gopprof.KindThreadcreate:
		return value{"threadcreate", "count"}, true
	}
	return value{}, false
}

// column returns the main value of a kind and its place in each sample.
func (p *Profile) column(kind gopprof.Kind) (value, int, error) {
	want, ok := mainValue(kind)
	if !ok {
		return value{}, 0, fmt.Errorf("%w: %q has no values", ErrInvalid, string(kind))
	}
	for i, st := range p.raw.SampleType {
		if st.Type == want.name && st.Unit == want.unit {
			return want, i, nil
		}
	}
	return value{}, 0, fmt.Errorf("%w: not a profile of kind %s: it has no %s in %s", ErrInvalid, kind, want.name, want.unit)
}

// sum adds without wrapping around: a hostile profile's total is absurd, not negative.
func sum(a, b int64) int64 {
	switch {
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < math.MinInt64-b:
		return math.MinInt64
	}
	return a + b
}

func abs(a int64) int64 {
	switch {
	case a == math.MinInt64:
		return math.MaxInt64
	case a < 0:
		return -a
	}
	return a
}
