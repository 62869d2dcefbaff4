package gopprof

import "time"

// Resource is what a rule watches.
type Resource string

// The resources of rules.
const (
	ResourceCPU       Resource = "cpu"       // cores used over the CPU limit
	ResourceMemory    Resource = "memory"    // working set over the memory limit
	ResourceThrottled Resource = "throttled" // throttled CFS periods over all CFS periods
)

// Resources lists every resource.
func Resources() []Resource {
	return []Resource{ResourceCPU, ResourceMemory, ResourceThrottled}
}

// Rule says when a target is profiled, and with what.
type Rule struct {
	Name        string
	Resource    Resource
	Threshold   float64       // 0–1: fires when InARow disjoint windows are above
	AtOnce      float64       // 0–1: a single newest reading at or above fires at once; 0 never does
	Window      time.Duration // length of one window
	InARow      int           // windows in a row above Threshold
	Kinds       []Kind        // what to take, in this order
	CPUSeconds  time.Duration // length of the CPU profile
	Cooldown    time.Duration // least time between two captures of one target under this rule
	MaxCooldown time.Duration // the cooldown doubles up to this while the target fires again and again
	Rearm       float64       // 0–1: after firing, a window must fall below before the rule may fire again
}

// Policy says whose word a rule follows.
type Policy string

// The policies.
const (
	PolicyConfirm Policy = "confirm" // cAdvisor fires, the series confirm or contradict
	PolicyLocal   Policy = "local"   // cAdvisor alone
	PolicySeries  Policy = "series"  // InfluxDB alone, the classic behaviour
)
