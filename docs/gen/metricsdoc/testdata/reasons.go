package gopprof

type Reason string

// Why.
const (
	ReasonA Reason = "a" // the first
	ReasonB Reason = "b" // the second | third
)
