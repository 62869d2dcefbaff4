package gopprof

import "time"

// Operation is a manual request and the state of each of its captures.
type Operation struct {
	ID       string             `json:"id"`
	Who      string             `json:"who"`
	At       time.Time          `json:"at"`
	Captures []OperationCapture `json:"captures"`
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
	Until   time.Time    `json:"until,omitzero"` // when profiling is expected to end
	Report  string       `json:"report,omitempty"`
}
