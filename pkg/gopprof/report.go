package gopprof

import "time"

// ReportVersion is the version of the Report's shape, raised when a field changes its
// meaning (never for an added field).
const ReportVersion = 1

// Report is the product: a capture, its explanation and links to what was stored. Its ID
// is the capture's. It is made once and is final.
type Report struct {
	Version     int         `json:"version"`
	ID          string      `json:"id"`
	Capture     Capture     `json:"capture"`
	MadeAt      time.Time   `json:"madeAt"`
	Explanation Explanation `json:"explanation"`
	Files       []File      `json:"files"`
	// Picture is the key in the store of the picture of the evidence (SVG): what both
	// witnesses saw of the last minutes. Empty when there was nothing to draw.
	Picture string `json:"picture,omitempty"`
	// Siblings are the pods that were captured to compare with, and Fleet what was known of
	// the workload's pods when the rule fired. Of captures that a rule made.
	Siblings []Sibling `json:"siblings,omitempty"`
	Fleet    *Fleet    `json:"fleet,omitempty"`
	// Page is the absolute URL of the report's page, as a person outside would open it.
	Page string `json:"page,omitempty"`
	// Links are further places to look at, by name ("dashboard", "runbook"): http or https
	// URLs that the pod, its namespace or the aggregator's configuration gave.
	Links map[string]string `json:"links,omitempty"`
}

// File is one stored blob of a report.
type File struct {
	Kind    Kind   `json:"kind"`
	Profile string `json:"profile"` // key in the store of the bytes as they came
	// Drawing is the key of the call graph (SVG); empty when there is none, with the
	// reason in Reason and Detail.
	Drawing string `json:"drawing,omitempty"`
	Reason  Reason `json:"reason,omitempty"`
	Detail  string `json:"detail,omitempty"`
}

// File returns the report's stored files of a kind, or false.
func (r Report) File(k Kind) (File, bool) {
	for _, f := range r.Files {
		if f.Kind == k {
			return f, true
		}
	}
	return File{}, false
}

// Explanation is what the aggregator made of the profiles.
type Explanation struct {
	// Summary is the first line that a person reads, plain text.
	Summary string `json:"summary"`
	// Warnings limit how far the rest may be trusted (contradicted, one witness, wrong
	// process, too few samples): shown before everything else.
	Warnings []string `json:"warnings,omitempty"`
	// ExplainedRatio is the CPU profile's total over the CPU time that the container used
	// meanwhile (0–1, slightly above is sampling noise); nil when unknown.
	ExplainedRatio *float64 `json:"explainedRatio,omitempty"`
	// Verdict is why; nil in reports of before, and of captures that nobody asks why of: those
	// taken to compare with others.
	Verdict *Verdict `json:"verdict,omitempty"`
	// Differences are what the siblings, or else earlier quiet captures, show; one for each
	// kind that both have.
	Differences []Difference   `json:"differences,omitempty"`
	Profiles    []TopFunctions `json:"profiles"`
}

// Cause returns the main cause, the zero Cause when none is named.
func (e Explanation) Cause() Cause {
	if e.Verdict == nil || len(e.Verdict.Causes) == 0 {
		return Cause{}
	}
	return e.Verdict.Causes[0]
}

// TopFunctions is what one profile says, the heaviest functions first.
type TopFunctions struct {
	Kind            Kind       `json:"kind"`
	SampleType      string     `json:"sampleType"` // "cpu", "inuse_space", …
	Unit            string     `json:"unit"`       // "nanoseconds", "bytes", "count"
	Total           int64      `json:"total"`
	Samples         int64      `json:"samples"` // number of distinct stacks
	DurationSeconds float64    `json:"durationSeconds,omitempty"`
	Reason          Reason     `json:"reason,omitempty"` // not_enabled, invalid_profile …
	Detail          string     `json:"detail,omitempty"`
	Functions       []Function `json:"functions"` // ordered by flat, then cum, then name
}

// Function is one function's share of a profile, in the unit of its TopFunctions.
type Function struct {
	Name string `json:"name"`
	File string `json:"file,omitempty"`
	Line int64  `json:"line,omitempty"` // where the function starts, if known
	Flat int64  `json:"flat"`           // spent in the function itself
	Cum  int64  `json:"cum"`            // spent in it and what it called, counted once per stack
}
