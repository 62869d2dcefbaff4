package gopprof

// Manual is what a person or program asks for by name: profile this pod now, the pods of
// this workload, or the pods whose labels match. Exactly one of Pod, Workload and Selector
// is set; the last two make a group.
type Manual struct {
	Who       string   `json:"who,omitempty"`
	Cluster   string   `json:"cluster,omitempty"` // may be left out when one cluster is known
	Namespace string   `json:"namespace"`
	Pod       string   `json:"pod,omitempty"`
	Workload  Workload `json:"workload,omitzero"`
	Selector  string   `json:"selector,omitempty"`  // as Kubernetes writes it: "app=web,tier!=cache"
	Container string   `json:"container,omitempty"` // may be left out when the pods have one target each

	Kinds      []Kind  `json:"kinds,omitempty"`      // empty: dispatch's default
	CPUSeconds float64 `json:"cpuSeconds,omitempty"` // length of timed kinds; 0: dispatch's default

	MaxPods int `json:"maxPods,omitempty"` // of a group: the most pods to profile; 0: all that match
	AtOnce  int `json:"atOnce,omitempty"`  // of a group: the most at the same time; 0: dispatch's default
	Expect  int `json:"expect,omitempty"`  // of a group: how many pods must match; 0: not said
	// AllAtOnce lets all replicas of a workload be profiled at the same time. Without it one
	// of them is always left alone.
	AllAtOnce bool `json:"allAtOnce,omitempty"`
	// Wave takes no more pods of a group than can be profiled at the same time, for callers
	// who wait no longer than for one.
	Wave bool `json:"wave,omitempty"`
	// Merge asks for one profile of the whole group beside each pod's own.
	Merge bool `json:"merge,omitempty"`
	// Alert is what asks, where no person or program does.
	Alert *Alert `json:"alert,omitempty"`
	// Key makes the request one with every other under the same key by the same caller; of
	// alerts, by whatever caller.
	Key string `json:"-"`
}

// Group tells whether several pods may be meant.
func (m Manual) Group() bool { return m.Pod == "" }
