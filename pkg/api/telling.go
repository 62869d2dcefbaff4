package api

import (
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// LongestSilence is how far ahead the end of a silence may be.
const LongestSilence = 30 * 24 * time.Hour

// SilenceRequest is the body of POST /api/v1/silences: tell nobody of this workload's reports
// until then. They are stored and listed as ever.
type SilenceRequest struct {
	Cluster   string            `json:"cluster,omitempty" maxLength:"253" doc:"Only of this cluster; of every cluster when left out."`
	Namespace string            `json:"namespace" minLength:"1" maxLength:"253"`
	Workload  string            `json:"workload" minLength:"1" maxLength:"320" doc:"kind/name, or the name alone."`
	Cause     gopprof.CauseKind `json:"cause,omitempty" maxLength:"50" doc:"Only reports of this main cause; of every cause when left out."`
	Why       string            `json:"why" minLength:"1" maxLength:"500" doc:"For those who wonder why they were not told."`
	Until     time.Time         `json:"until" doc:"When people are told again: at most 30 days from now."`
}

// Silence is a workload of whose reports nobody is told for a while.
type Silence struct {
	ID        string            `json:"id"`
	Cluster   string            `json:"cluster,omitempty" doc:"Absent: of every cluster."`
	Namespace string            `json:"namespace"`
	Workload  string            `json:"workload"`
	Cause     gopprof.CauseKind `json:"cause,omitempty" doc:"Absent: whatever the cause."`
	Who       string            `json:"who"`
	Why       string            `json:"why"`
	At        time.Time         `json:"at" doc:"When it was made."`
	Until     time.Time         `json:"until"`
}

// SilenceList is the answer to GET /api/v1/silences: those that hold, the next to end first.
type SilenceList struct {
	Silences []Silence `json:"silences"`
}

// ReceiverTest is the answer to POST /api/v1/receivers/{name}/test: what came of a test
// message.
type ReceiverTest struct {
	Receiver string         `json:"receiver"`
	Told     bool           `json:"told" doc:"The receiver took it."`
	Reason   gopprof.Reason `json:"reason,omitempty" doc:"Why it did not."`
	Detail   string         `json:"detail,omitempty" doc:"The same, for a person; it holds no secret."`
	Retry    bool           `json:"retry,omitempty" doc:"A report would be tried again; else it would be given up."`
}
