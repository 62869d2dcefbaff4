package gopprof

import "time"

// Operation is a manual request and the state of each of its captures.
type Operation struct {
	ID        string             `json:"id"`
	Who       string             `json:"who"`
	At        time.Time          `json:"at"`
	Asked     Manual             `json:"asked"`    // completed: with the defaults that were taken
	Incident  string             `json:"incident"` // of all its captures
	Matched   int                `json:"matched"`  // pods that were meant, of which Captures may be fewer
	Captures  []OperationCapture `json:"captures"`
	Cancelled time.Time          `json:"cancelled,omitzero"` // when somebody asked to stop it
}

// Ended tells whether every capture has come to its end.
func (o Operation) Ended() bool {
	for _, c := range o.Captures {
		if !c.Ended() {
			return false
		}
	}
	return true
}

// Cluster is where all its captures are.
func (o Operation) Cluster() string {
	if len(o.Captures) > 0 {
		return o.Captures[0].Target.Cluster
	}
	return o.Asked.Cluster
}

// CaptureState is how far a capture of an operation has come.
type CaptureState string

// The states, in their order.
const (
	CaptureWaiting   CaptureState = "waiting"
	CaptureProfiling CaptureState = "profiling"
	CaptureStored    CaptureState = "stored"
	CaptureFailed    CaptureState = "failed"
)

// OperationCapture is one capture of an operation.
type OperationCapture struct {
	Capture string       `json:"capture"`
	Target  Target       `json:"target"`
	State   CaptureState `json:"state"`
	Reason  Reason       `json:"reason,omitempty"`
	Detail  string       `json:"detail,omitempty"`
	Started time.Time    `json:"started,omitzero"` // when its agent accepted it
	Until   time.Time    `json:"until,omitzero"`   // when profiling is expected to end
	Report  string       `json:"report,omitempty"` // its ID, once stored
	// SecondsLeft is Until from now, when an answer was made; it is never stored.
	SecondsLeft float64 `json:"secondsLeft,omitempty"`
}

// Ended tells whether the capture has come to its end. What failed may still turn out to be
// stored, because an agent's answer can be lost on its way.
func (c OperationCapture) Ended() bool {
	return c.State == CaptureStored || c.State == CaptureFailed
}
