package api

import (
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// HeaderIdempotencyKey makes repeated POSTs one: the same key by the same caller gets the
// same operation, for as long as operations are kept.
const HeaderIdempotencyKey = "Idempotency-Key"

// CaptureRequest is the body of POST /api/v1/captures: profile these pods now. One of Pod,
// Workload and Selector is set.
type CaptureRequest struct {
	Cluster   string         `json:"cluster,omitempty" maxLength:"253" doc:"May be left out where the aggregator serves one cluster."`
	Namespace string         `json:"namespace" minLength:"1" maxLength:"253"`
	Pod       string         `json:"pod,omitempty" maxLength:"253" doc:"Name of the pod, or of the host outside Kubernetes."`
	Workload  string         `json:"workload,omitempty" maxLength:"320" doc:"kind/name: all pods of that Deployment, StatefulSet, DaemonSet, Job …"`
	Selector  string         `json:"selector,omitempty" maxLength:"1024" doc:"All pods of the namespace whose labels match, as kubectl -l writes it: app=web,tier!=cache."`
	Container string         `json:"container,omitempty" maxLength:"253" doc:"May be left out when each pod has one target."`
	Kinds     []gopprof.Kind `json:"kinds,omitempty" maxItems:"8" doc:"Kinds of profiles to take, in this order; cpu, heap and goroutine when left out. Any of cpu, heap, allocs, goroutine, mutex, block, threadcreate, trace."`
	Seconds   float64        `json:"seconds,omitempty" minimum:"0" maximum:"600" doc:"Length of the cpu profile and the trace; the aggregator's default when left out, and what it allows at most."`

	MaxPods   int  `json:"maxPods,omitempty" minimum:"0" maximum:"1000" doc:"Of a group: the most pods to profile, spread over the nodes; all that match when left out."`
	AtOnce    int  `json:"atOnce,omitempty" minimum:"0" maximum:"1000" doc:"Of a group: the most pods to profile at the same time; the aggregator's default when left out, and what it allows at most."`
	Expect    int  `json:"expect,omitempty" minimum:"0" maximum:"100000" doc:"Of a group: how many pods must match, or nothing is done. Large groups are refused without it."`
	AllAtOnce bool `json:"allAtOnce,omitempty" doc:"Of a workload: all replicas may be profiled at the same time; else one is always left alone."`
	Merge     bool `json:"merge,omitempty" doc:"Of a group: make one profile of all pods, beside each pod's own."`
}

// OperationList is the answer to GET /api/v1/operations, newest first.
type OperationList struct {
	Operations []gopprof.Operation `json:"operations"`
}

// Merged is the answer to GET /api/v1/operations/{id}/merged: the profiles of a group as
// one, and who of it is different.
type Merged struct {
	Operation string       `json:"operation"`
	Kinds     []MergedKind `json:"kinds"`
}

// MergedKind is one kind of profile, merged over the pods of a group.
type MergedKind struct {
	Kind     gopprof.Kind         `json:"kind"`
	Profile  string               `json:"profile,omitempty" doc:"Path of the merged profile: go tool pprof reads it."`
	Top      gopprof.TopFunctions `json:"top,omitzero"`
	Pods     []MergedPod          `json:"pods" doc:"Every pod whose profile is in the merged one."`
	Outliers []Outlier            `json:"outliers" doc:"Pods that spend differently from the others, the most different first."`
	LeftOut  []LeftOut            `json:"leftOut,omitempty" doc:"Pods whose profile could not be merged, with the reason."`
	Note     string               `json:"note,omitempty" doc:"What cannot be said of this group, and why."`
}

// MergedPod is one pod's part of a merged profile.
type MergedPod struct {
	Pod    string  `json:"pod"`
	Report string  `json:"report"`
	Total  float64 `json:"total" doc:"Sum of the kind's value in this pod's profile, in its unit; a rate per second for cpu."`
	Share  float64 `json:"share" doc:"Of the merged profile's value, 0 to 1."`
}

// Outlier is a pod that differs from the others of its group.
type Outlier struct {
	Pod       string             `json:"pod"`
	Report    string             `json:"report"`
	Total     float64            `json:"total"`
	Typical   float64            `json:"typical" doc:"Median of the total over the pods."`
	Functions []OutlyingFunction `json:"functions,omitempty" doc:"Where its share differs most."`
	Summary   string             `json:"summary" doc:"One line for a person, plain text."`
}

// OutlyingFunction is a function in which a pod spends another share than the others.
type OutlyingFunction struct {
	Function string  `json:"function"`
	Share    float64 `json:"share" doc:"Of this pod's value, 0 to 1, in the function and what it calls."`
	Typical  float64 `json:"typical" doc:"Median of that share over the pods."`
}

// LeftOut is a pod whose profile is not in a merged one.
type LeftOut struct {
	Pod    string         `json:"pod"`
	Reason gopprof.Reason `json:"reason"`
	Detail string         `json:"detail,omitempty"`
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
	Paused  bool                  `json:"paused,omitempty" doc:"The agent was told to profile nothing, and obeys."`
	Version string                `json:"version,omitempty"`
	Targets []gopprof.TargetState `json:"targets"`
	Refused []gopprof.Refusal     `json:"refused,omitempty"`
}

// PauseRequest is the body of PUT /api/v1/pause: the switch that stops all profiling, or
// lets it go on.
type PauseRequest struct {
	Paused bool   `json:"paused"`
	Why    string `json:"why,omitempty" maxLength:"500" doc:"For those who wonder."`
}

// PauseState is the answer to GET and PUT /api/v1/pause.
type PauseState struct {
	gopprof.Pause
	Agents  int `json:"agents" doc:"Agents heard of lately."`
	Obeying int `json:"obeying" doc:"Of these, how many have said that they are in this state."`
}
