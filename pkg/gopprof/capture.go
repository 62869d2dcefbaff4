package gopprof

import "time"

// Capture is one act of profiling one target. Its ID is made once, by whoever decided
// that it shall be made; sending and storing it again is a no-op. One without profiles is
// an attempt that came to nothing: it becomes no report, and its Failures say why.
type Capture struct {
	ID        string    `json:"id"`
	Incident  string    `json:"incident"`
	Trigger   Trigger   `json:"trigger"`
	Target    Target    `json:"target"`
	Agreement Agreement `json:"agreement,omitzero"` // of a rule's capture
	Start     time.Time `json:"start"`
	End       time.Time `json:"end"`
	Profiles  []Profile `json:"profiles"`
	Failures  []Failure `json:"failures,omitempty"`
	// CPUSeconds is what the target's cgroup used while the CPU profile ran; 0 when it is
	// not known. Beside the profile's own total it tells whether the right process was
	// profiled.
	CPUSeconds float64 `json:"cpuSeconds,omitempty"`
	// Requests is how many requests the target served while the CPU profile ran, by its own
	// counter; 0 when that is not known.
	Requests float64 `json:"requests,omitempty"`
	Agent    string  `json:"agent,omitempty"` // version of the agent that made it
	// Labels are those of the target's pod when it was taken; of one with more than can be told
	// there are none.
	Labels map[string]string `json:"labels,omitempty"`
	// History is what was seen of the target in the minutes before.
	History History `json:"history,omitzero"`
}

// SizeBytes is how large all files of the capture are together.
func (c Capture) SizeBytes() (n int64) {
	for _, p := range c.Profiles {
		n += p.SizeBytes
	}
	return n
}

// Profile returns the capture's profile of a kind, or false.
func (c Capture) Profile(k Kind) (Profile, bool) {
	for _, p := range c.Profiles {
		if p.Kind == k {
			return p, true
		}
	}
	return Profile{}, false
}

// Firing is an agent's question to the aggregator: a rule fires here, may I capture?
type Firing struct {
	Capture  string    `json:"capture"` // ID of the capture that will be made
	Target   Target    `json:"target"`
	Rule     string    `json:"rule"`
	Resource Resource  `json:"resource"`
	Ratio    float64   `json:"ratio"` // use over limit in the newest window
	At       time.Time `json:"at"`
	// Threshold (0–1), Kinds and CPUSeconds are the rule's: what is asked of siblings. Agents
	// of before do not say them, and their captures are compared with nobody.
	Threshold  float64 `json:"threshold,omitempty"`
	Kinds      []Kind  `json:"kinds,omitempty"`
	CPUSeconds float64 `json:"cpuSeconds,omitempty"`
}

// Decision is the aggregator's answer to a Firing.
type Decision struct {
	Go       bool   `json:"go"`
	Incident string `json:"incident,omitempty"`
	Reason   Reason `json:"reason,omitempty"` // of a refusal
}

// CaptureRequest asks an agent for a capture of one of its targets.
type CaptureRequest struct {
	Capture    string      `json:"capture"` // ID, made by the aggregator
	Incident   string      `json:"incident"`
	Kind       TriggerKind `json:"kind"` // manual, sibling or alert
	Request    Request     `json:"request"`
	Alert      *Alert      `json:"alert,omitempty"` // of kind alert
	Namespace  string      `json:"namespace"`
	Pod        string      `json:"pod"`
	PodUID     string      `json:"podUID,omitempty"`    // refused if the pod was recreated since
	Container  string      `json:"container,omitempty"` // may be left out when the pod has one target
	Kinds      []Kind      `json:"kinds"`
	CPUSeconds float64     `json:"cpuSeconds,omitempty"` // length of timed kinds; 0 is the agent's default
	Deadline   time.Time   `json:"deadline"`             // the work must have started before
}

// CancelRequest asks an agent to stop a capture.
type CancelRequest struct {
	Capture string `json:"capture"`
}

// CaptureReply is an agent's answer to requests about a capture: accepted means that the
// work has started, not that it is done.
type CaptureReply struct {
	Accepted bool   `json:"accepted"`
	Reason   Reason `json:"reason,omitempty"`
	Detail   string `json:"detail,omitempty"`
	// SecondsLeft is how long the capture still takes, of one that was asked after; 0 while it
	// waits for its turn, and when it has ended.
	SecondsLeft float64 `json:"secondsLeft,omitempty"`
	// Done tells that the capture has ended; its profiles are on their way.
	Done bool `json:"done,omitempty"`
}

// StatusRequest asks an agent what became of a capture. The answer is accepted while the
// capture waits, is taken or is done; else why it came to nothing, or unknown.
type StatusRequest struct {
	Capture string `json:"capture"`
}

// PauseRequest tells an agent to profile nothing any more, or again.
type PauseRequest struct {
	ID     string `json:"id"` // of this request
	Paused bool   `json:"paused"`
}

// Pause is the switch that stops everything that profiles.
type Pause struct {
	Paused bool      `json:"paused"`
	Who    string    `json:"who,omitempty"`
	Why    string    `json:"why,omitempty"`
	At     time.Time `json:"at,omitzero"`
}
