package gopprof

import "time"

// Witness names who saw a window.
type Witness string

// The witnesses. WitnessRecord is Heapster's schema written by gopprof's own record
// stage: it looked at the same cgroup files as WitnessCadvisor and confirms nothing.
const (
	WitnessCadvisor Witness = "cadvisor"
	WitnessHeapster Witness = "heapster"
	WitnessRecord   Witness = "record"
)

// Basis is what a use is compared with.
type Basis string

// The bases.
const (
	BasisLimit   Basis = ""        // the limit, the tightest of container and pod
	BasisRequest Basis = "request" // a multiple of the request, where there is no limit and the agent was told so
	BasisNode    Basis = "node"    // the node's capacity, likewise
)

// Use is the mean use of one resource over an interval.
type Use struct {
	Mean  float64 `json:"mean"`            // cores, or bytes
	Limit float64 `json:"limit,omitempty"` // same unit, the newest seen; 0 means that there is none
	Basis Basis   `json:"basis,omitempty"` // what Limit is, when it is not a limit
	// Ratio is the mean of use over limit, computed per reading because limits change in
	// place; 0 when there is no limit.
	Ratio float64 `json:"ratio"`
}

// Limited tells whether there was a limit to compare with.
func (u Use) Limited() bool { return u.Limit > 0 }

// Reading is what a target used between two looks of the local witness.
type Reading struct {
	Start          time.Time `json:"start"`
	End            time.Time `json:"end"`
	CPU            Use       `json:"cpu"`            // cores
	Memory         Use       `json:"memory"`         // working set in bytes, at End
	AnonymousBytes float64   `json:"anonymousBytes"` // at End
	ThrottledRatio float64   `json:"throttledRatio"` // 0–1, share of the CFS periods that were throttled
}

// Window is one stretch of a target's use as one witness saw it: all readings in
// (Start, End].
type Window struct {
	Witness        Witness   `json:"witness"`
	Start          time.Time `json:"start"`
	End            time.Time `json:"end"`
	CPU            Use       `json:"cpu"`    // cores
	Memory         Use       `json:"memory"` // working set in bytes
	AnonymousBytes float64   `json:"anonymousBytes,omitempty"`
	ThrottledRatio float64   `json:"throttledRatio,omitempty"` // 0–1; Heapster does not know it
	Readings       int       `json:"readings"`
	// CoveredRatio is the share (0–1) of the window that readings cover. A window under
	// MinCovered is not judged.
	CoveredRatio float64 `json:"coveredRatio"`
	// Has tells which resources this witness reported at all in the window: Heapster loses
	// single points of one measurement and keeps those of another.
	HasCPU    bool `json:"hasCPU"`
	HasMemory bool `json:"hasMemory"`
	// AbsurdPoints is how many of the series' points in the window were dropped because they
	// cannot be true: beside a missing resource it tells series_absurd from series_absent.
	AbsurdPoints int `json:"absurdPoints,omitempty"`
}

// MinCovered is the share of a window that must be covered by readings before it may be
// judged: four fifths.
const MinCovered = 0.8

// Has tells whether the witness reported what the resource is judged by.
func (w Window) Has(r Resource) bool {
	switch r {
	case ResourceCPU:
		return w.HasCPU
	case ResourceMemory:
		return w.HasMemory
	case ResourceThrottled:
		return w.HasCPU && w.Witness == WitnessCadvisor
	}
	return false
}

// Ratio returns the window's use of a resource against its limit (0–1 and above), and
// whether there is one: no limit, or a resource that the witness did not report, has none.
func (w Window) Ratio(r Resource) (float64, bool) {
	switch r {
	case ResourceCPU:
		return w.CPU.Ratio, w.Has(r) && w.CPU.Limited()
	case ResourceMemory:
		return w.Memory.Ratio, w.Has(r) && w.Memory.Limited()
	case ResourceThrottled:
		return w.ThrottledRatio, w.Has(r) && w.CPU.Limited()
	}
	return 0, false
}
