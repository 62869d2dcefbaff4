package gopprof

import "time"

// HistoryLength is how far back a capture's History goes.
const HistoryLength = 15 * time.Minute

// MaxHistory is how many points each witness's part of a History may have.
const MaxHistory = 400

// History is what was seen of a target in the minutes up to the end of a capture, by both
// witnesses, each oldest first. An agent sends what it has: after its start, or when no
// series are configured, that is less, or nothing.
type History struct {
	Local  []Point `json:"local,omitempty"`
	Series []Point `json:"series,omitempty"`
	// SeriesBy is who wrote the series: WitnessHeapster, or WitnessRecord, which is no second
	// witness.
	SeriesBy Witness `json:"seriesBy,omitempty"`
}

// Point is the mean use over (Start, End].
type Point struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	// HasCPU and HasMemory tell what the witness reported.
	HasCPU           bool    `json:"hasCPU,omitempty"`
	HasMemory        bool    `json:"hasMemory,omitempty"`
	CPUCores         float64 `json:"cpuCores,omitempty"`
	CPULimitCores    float64 `json:"cpuLimitCores,omitempty"`    // 0: none
	MemoryBytes      float64 `json:"memoryBytes,omitempty"`      // working set
	MemoryLimitBytes float64 `json:"memoryLimitBytes,omitempty"` // 0: none
	AnonymousBytes   float64 `json:"anonymousBytes,omitempty"`
	ThrottledRatio   float64 `json:"throttledRatio,omitempty"` // 0–1, share of the CFS periods
}

// Ratio returns the point's use of a resource against its limit (0–1 and above), false when
// there is no limit or the witness did not report it.
func (p Point) Ratio(r Resource) (float64, bool) {
	switch {
	case r == ResourceCPU && p.HasCPU && p.CPULimitCores > 0:
		return p.CPUCores / p.CPULimitCores, true
	case r == ResourceMemory && p.HasMemory && p.MemoryLimitBytes > 0:
		return p.MemoryBytes / p.MemoryLimitBytes, true
	case r == ResourceThrottled && p.HasCPU && p.CPULimitCores > 0:
		return p.ThrottledRatio, true
	}
	return 0, false
}
