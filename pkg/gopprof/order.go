package gopprof

import "time"

// Order asks the agent's take stage for one capture. Judge gives it when a rule fires,
// accept when somebody asks by hand.
type Order struct {
	Capture    string // ID of the capture to make
	Incident   string
	Trigger    Trigger
	Target     Target
	Kinds      []Kind        // taken in this order
	CPUSeconds time.Duration // length of the timed kinds; 0 is the agent's default
	Deadline   time.Time     // the work must have started before; zero is the agent's default patience
}

// Nothing returns the capture of an order that came to nothing: no profiles, and a failure
// of each kind with the reason that err carries. It is sent like any other, so that who
// waits for the capture learns why there is none.
func (o Order) Nothing(err error, at time.Time) Capture {
	reason := ReasonOf(err)
	if reason == "" {
		reason = ReasonInternal
	}
	c := Capture{ID: o.Capture, Incident: o.Incident, Trigger: o.Trigger, Target: o.Target, Start: at, End: at}
	for _, k := range o.Kinds {
		c.Failures = append(c.Failures, Failure{Kind: k, Reason: reason, Detail: err.Error()})
	}
	return c
}
