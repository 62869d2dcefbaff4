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
