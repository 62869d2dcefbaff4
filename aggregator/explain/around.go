package explain

import "github.com/gopprof/gopprof/pkg/gopprof"

// Around is what is known beside a capture itself.
type Around struct {
	// Fleet counts the workload's pods as they were when the rule fired; nil when nobody
	// knows.
	Fleet *gopprof.Fleet
	// Siblings are the pods that were asked for the same profiles, whatever became of them.
	Siblings []gopprof.Sibling
	// Others are quiet captures of the same workload and build to compare with: those of the
	// siblings first, then earlier ones.
	Others []Other
}

// Other is a quiet capture to compare with.
type Other struct {
	Report  gopprof.Report
	Earlier bool // it is no sibling's of the same moment
	// Read returns the bytes of its profile of a kind, as they came. It is called once for
	// each kind that both captures hold, so that they are never in memory together.
	Read func(gopprof.Kind) ([]byte, error)
}
