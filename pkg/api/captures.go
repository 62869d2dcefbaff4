package api

import (
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// CaptureRequest is the body of POST /api/v1/captures: profile this target now.
type CaptureRequest struct {
	Namespace string         `json:"namespace" minLength:"1" maxLength:"253"`
	Pod       string         `json:"pod" minLength:"1" maxLength:"253" doc:"Name of the pod, or of the host outside Kubernetes."`
	Container string         `json:"container,omitempty" maxLength:"253" doc:"May be left out when the pod has one target."`
	Kinds     []gopprof.Kind `json:"kinds,omitempty" maxItems:"8" doc:"Kinds of profiles to take, in this order; cpu, heap and goroutine when left out. Any of cpu, heap, allocs, goroutine, mutex, block, threadcreate, trace."`
	Seconds   float64        `json:"seconds,omitempty" minimum:"0" maximum:"600" doc:"Length of the cpu profile and the trace; the aggregator's default when left out, and what it allows at most."`
}

// TargetList is the answer to GET /api/v1/targets.
type TargetList struct {
	Nodes []Node `json:"nodes"`
}

// Node is a node with its targets, as its agent told last.
type Node struct {
	Cluster string                `json:"cluster"`
	Node    string                `json:"node"`
	At      time.Time             `json:"at" doc:"When the agent told this."`
	Stale   bool                  `json:"stale,omitempty" doc:"The agent has been silent for longer than it should be."`
	Version string                `json:"version,omitempty"`
	Targets []gopprof.TargetState `json:"targets"`
	Refused []gopprof.Refusal     `json:"refused,omitempty"`
}
