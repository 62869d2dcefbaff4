package gopprof

import "fmt"

// VerdictVersion is the version of the rules that make a Verdict, raised when they say
// something else of the same capture, and of its shape.
const VerdictVersion = 1

// Verdict is why a capture was hot, as far as its profiles, those of its siblings and what
// the cgroups used can show.
type Verdict struct {
	Version int `json:"version"` // VerdictVersion of who made it
	// Scope tells whether this pod alone is hot, or its workload.
	Scope Scope `json:"scope"`
	// Causes are what holds, the one that explains most first. Empty when nothing does.
	Causes []Cause `json:"causes"`
}

// Scope is how far a trouble reaches.
type Scope string

// The scopes.
const (
	ScopePod      Scope = "pod"      // other pods of the workload are quiet
	ScopeWorkload Scope = "workload" // all pods of the workload are hot: load or a release, not this pod
	ScopeUnknown  Scope = "unknown"  // nobody knows of other pods
)

// CauseKind is the name of a cause, from a closed set.
type CauseKind string

// The causes.
const (
	CauseCodeHot    CauseKind = "code_hot"    // one function of the service, and what it calls, uses the CPU
	CauseGCBound    CauseKind = "gc_bound"    // allocating and collecting garbage uses the CPU
	CauseThrottled  CauseKind = "throttled"   // the limit is too low for the work
	CauseContention CauseKind = "contention"  // waiting for locks or channels, or spinning, uses the CPU
	CauseHeap       CauseKind = "heap_growth" // memory that is in use and not given back
	CauseGoroutines CauseKind = "goroutines"  // goroutines pile up and wait
	CauseTraffic    CauseKind = "traffic"     // more of the same work
)

// CauseKinds lists every cause.
func CauseKinds() []CauseKind {
	return []CauseKind{CauseCodeHot, CauseGCBound, CauseThrottled, CauseContention, CauseHeap, CauseGoroutines, CauseTraffic}
}

// ParseCauseKind returns the cause of that name.
func ParseCauseKind(s string) (CauseKind, error) {
	for _, c := range CauseKinds() {
		if string(c) == s {
			return c, nil
		}
	}
	return "", fmt.Errorf("cause %q: not one of %v", clip(s, 32), CauseKinds())
}

// Confidence is how sure a cause is.
type Confidence string

// The confidences.
const (
	ConfidenceSure   Confidence = "sure"   // beyond chance, and beside pods that do not have it
	ConfidenceLikely Confidence = "likely" // much of it, and nothing to compare with
	ConfidenceUnsure Confidence = "unsure" // it may be: the profile, the witnesses or the comparison are weak
)

// Cause is one thing that explains a capture.
type Cause struct {
	Kind       CauseKind  `json:"kind"`
	Confidence Confidence `json:"confidence"`
	// Line says it to a person, in plain text.
	Line string `json:"line"`
	// Function is the service's own function to look at first, if there is one, and Path how
	// the program gets there, from the outermost function inwards.
	Function string   `json:"function,omitempty"`
	Path     []string `json:"path,omitempty"`
	// Share (0–1) is how much of what the capture was made for the cause explains: of the
	// excess over the siblings where they are known, of the whole otherwise.
	Share float64 `json:"share"`
	// Proof are the figures that the cause was judged by.
	Proof []Proof `json:"proof"`
}

// Proof is one figure that a cause rests on.
type Proof struct {
	What  string  `json:"what"`           // "CPU in the garbage collector"
	Value float64 `json:"value"`          // here
	Unit  string  `json:"unit,omitempty"` // "ratio" (0–1), "cores", "bytes", "count", "seconds"
	// Typical is the same figure of the siblings; nil when there is nothing to compare with.
	Typical *float64 `json:"typical,omitempty"`
}

// Difference is how one profile of a capture differs from the same of quiet pods.
type Difference struct {
	Kind Kind         `json:"kind"`
	With []Comparator `json:"with"` // whom it was compared with
	// Unit is that of Here, Typical and Excess: "cores" for cpu (CPU seconds per second),
	// "bytes" for heap, "count" for goroutine and the like, "seconds" per second for waits.
	Unit    string  `json:"unit"`
	Here    float64 `json:"here"`    // the whole of this capture
	Typical float64 `json:"typical"` // the whole of the others: the mean
	// HereRequests and TypicalRequests are how many requests were served a second, by the
	// targets' own counters: of cpu, where both are known.
	HereRequests    float64 `json:"hereRequests,omitempty"`
	TypicalRequests float64 `json:"typicalRequests,omitempty"`
	// Significant tells whether anything differs more than chance would have it: not Here and
	// Typical alone, but any function's part.
	Significant bool `json:"significant"`
	// SameShares tells that no function's share of the whole differs by more than chance and
	// by anything that matters, and that it would be seen if one did: more, or less, of the
	// same work.
	SameShares bool `json:"sameShares"`
	// Functions are those that grew beyond chance, the one that explains most first.
	Functions []Growth `json:"functions"`
	Note      string   `json:"note,omitempty"` // what could not be compared, and why
}

// Growth is a function that takes more here than in quiet pods, what it calls included.
type Growth struct {
	Function string  `json:"function"`
	File     string  `json:"file,omitempty"`
	Here     float64 `json:"here"`    // in the Difference's unit
	Typical  float64 `json:"typical"` // likewise
	// HereShare and TypicalShare are the parts (0–1) of all that the pod spends.
	HereShare    float64 `json:"hereShare"`
	TypicalShare float64 `json:"typicalShare"`
	// HerePerRequest and TypicalPerRequest are the CPU seconds that it takes for each request,
	// where the Difference knows the requests.
	HerePerRequest    float64 `json:"herePerRequest,omitempty"`
	TypicalPerRequest float64 `json:"typicalPerRequest,omitempty"`
	// Excess is the part (0–1) of the whole excess that it explains; callers explain what
	// those explain that they call.
	Excess float64 `json:"excess"`
	// Sigma is how many standard errors the difference is.
	Sigma float64 `json:"sigma"`
	// Own tells that it is the service's, not Go's own and not a library's. Below names what
	// it spends its time in then, if that is another package: "regexp".
	Own   bool     `json:"own,omitempty"`
	Below string   `json:"below,omitempty"`
	Path  []string `json:"path,omitempty"` // how the program gets there, outermost first
}

// Comparator is one capture that another was compared with.
type Comparator struct {
	Report string `json:"report"`
	Pod    string `json:"pod"`
	// Earlier tells that it is a capture of before, not one of the same moment.
	Earlier bool `json:"earlier,omitempty"`
}

// Fleet counts the pods of a workload when a rule fired on one of them, that one included.
type Fleet struct {
	Pods  int `json:"pods"`
	Build int `json:"build"` // of the same build as the one that fired
	Hot   int `json:"hot"`   // at the threshold or above
	Quiet int `json:"quiet"` // below half of it
}

// SiblingState is what became of a sibling's capture.
type SiblingState string

// The states of siblings.
const (
	SiblingAsked  SiblingState = "asked"  // its agent was asked, and its capture is awaited; in a report: it came too late
	SiblingStored SiblingState = "stored" // its report is stored, under its capture's ID
	SiblingFailed SiblingState = "failed" // it came to nothing
)

// Sibling is a quiet pod of the same workload that was captured to compare with.
type Sibling struct {
	Capture string       `json:"capture"` // and the ID of its report
	Target  Target       `json:"target"`
	Kinds   []Kind       `json:"kinds,omitempty"`
	State   SiblingState `json:"state"`
	Reason  Reason       `json:"reason,omitempty"` // of failed
	Detail  string       `json:"detail,omitempty"`
}
