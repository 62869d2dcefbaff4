package gopprof

import "time"

// TriggerKind is the sort of cause of a capture.
type TriggerKind string

// The kinds of triggers.
const (
	TriggerRule    TriggerKind = "rule"    // a rule fired
	TriggerManual  TriggerKind = "manual"  // a person or program asked
	TriggerSibling TriggerKind = "sibling" // taken to compare with another pod's capture
	TriggerAlert   TriggerKind = "alert"   // an alerting system asked
)

// Trigger is why a capture is made.
type Trigger struct {
	Kind     TriggerKind `json:"kind"`
	At       time.Time   `json:"at"`
	Evidence *Evidence   `json:"evidence,omitempty"` // of kind rule
	Request  *Request    `json:"request,omitempty"`  // of every other kind
	Alert    *Alert      `json:"alert,omitempty"`    // of kind alert
}

// Evidence is what made a rule fire.
type Evidence struct {
	Rule          string   `json:"rule"`
	Resource      Resource `json:"resource"`
	Policy        Policy   `json:"policy"`
	Threshold     float64  `json:"threshold"` // 0–1; the one that was passed: AtOnce's when AtOnce
	AtOnce        bool     `json:"atOnce,omitempty"`
	WindowSeconds float64  `json:"windowSeconds"`
	Windows       []Window `json:"windows"` // the windows judged, oldest first
}

// Hot returns the span that the evidence says was hot.
func (e Evidence) Hot() (start, end time.Time) {
	if len(e.Windows) == 0 {
		return time.Time{}, time.Time{}
	}
	return e.Windows[0].Start, e.Windows[len(e.Windows)-1].End
}

// Newest returns the newest window of the evidence.
func (e Evidence) Newest() Window {
	if len(e.Windows) == 0 {
		return Window{}
	}
	return e.Windows[len(e.Windows)-1]
}

// Yardstick names, for a person, what the ratios of the evidence are ratios of. What stands
// in for a limit is never called one.
func (e Evidence) Yardstick() string {
	use := e.Newest().CPU
	if e.Resource == ResourceMemory {
		use = e.Newest().Memory
	}
	switch use.Basis {
	case BasisNode:
		return "its node's capacity"
	case BasisRequest:
		return "its request's allowance"
	}
	return "its limit"
}

// Request is who asked for a capture that no rule asked for.
type Request struct {
	Who       string `json:"who,omitempty"`
	Operation string `json:"operation,omitempty"` // ID of the operation it belongs to
}

// AgreementResult is what the second witness said of the first.
type AgreementResult string

// The results of comparing both witnesses.
const (
	AgreementConfirmed    AgreementResult = "confirmed"
	AgreementContradicted AgreementResult = "contradicted"
	AgreementUnavailable  AgreementResult = "unavailable"
	AgreementSingle       AgreementResult = "single"
)

// Agreement is the second witness's answer, comparing like with like.
type Agreement struct {
	Result   AgreementResult `json:"result"`
	Reason   Reason          `json:"reason,omitempty"` // of unavailable: which
	Detail   string          `json:"detail,omitempty"`
	Compared []Comparison    `json:"compared,omitempty"` // oldest first
}

// Comparison is one interval of the series beside the mean of the local readings over the
// same interval. The values are ratios of the limit (0–1 and above).
type Comparison struct {
	Start  time.Time `json:"start"`
	End    time.Time `json:"end"`
	Local  float64   `json:"local"`
	Series float64   `json:"series"`
}
