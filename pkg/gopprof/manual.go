package gopprof

// Manual is what a person or program asks for by name: profile this target now.
type Manual struct {
	Who        string  `json:"who"`
	Namespace  string  `json:"namespace"`
	Pod        string  `json:"pod"`
	Container  string  `json:"container,omitempty"`  // may be left out when the pod has one target
	Kinds      []Kind  `json:"kinds,omitempty"`      // empty: dispatch's default
	CPUSeconds float64 `json:"cpuSeconds,omitempty"` // length of timed kinds; 0: dispatch's default
}
