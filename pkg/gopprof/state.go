package gopprof

import "time"

// NodeState is what an agent knows of its node's targets, sent every 30 seconds.
type NodeState struct {
	Cluster string        `json:"cluster"`
	Node    string        `json:"node"`
	At      time.Time     `json:"at"`
	Version string        `json:"version"`
	Targets []TargetState `json:"targets"`
	Refused []Refusal     `json:"refused,omitempty"`
	Paused  bool          `json:"paused,omitempty"` // told to profile nothing
}

// TargetState is one target with what was seen of it last and why it did or did not fire.
type TargetState struct {
	Target Target `json:"target"`
	Gone   bool   `json:"gone,omitempty"` // its cgroup vanished
	// Labels are the pod's own, for selectors. Those of a pod that has absurdly many are left
	// out, and no selector finds it.
	Labels map[string]string `json:"labels,omitempty"`
	Detail string            `json:"detail,omitempty"`
	Local  []Window          `json:"local,omitempty"`  // newest last
	Series []Window          `json:"series,omitempty"` // newest last
	Rules  []RuleState       `json:"rules"`
}

// RuleState is the state of one rule on one target.
type RuleState struct {
	Rule          string    `json:"rule"`
	Resource      Resource  `json:"resource"`
	Reason        Reason    `json:"reason"`
	Armed         bool      `json:"armed"`
	FiredAt       time.Time `json:"firedAt,omitzero"`
	CooldownUntil time.Time `json:"cooldownUntil,omitzero"`
	LastCapture   string    `json:"lastCapture,omitempty"`
	LastAgreement Agreement `json:"lastAgreement,omitzero"`
}
