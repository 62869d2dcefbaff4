package gopprof

import "time"

// Alert is what an alerting system said when it asked for a capture. Whoever takes it in
// bounds and cleans its texts.
type Alert struct {
	Name         string            `json:"name"`                   // label alertname
	Fingerprint  string            `json:"fingerprint,omitempty"`  // of its labels, as the alerting system computes it
	StartsAt     time.Time         `json:"startsAt,omitzero"`      // since when it fires
	Labels       map[string]string `json:"labels,omitempty"`       // which alert it is: at most 64
	Annotations  map[string]string `json:"annotations,omitempty"`  // what else is said of it: at most 64
	GeneratorURL string            `json:"generatorURL,omitempty"` // http or https, where the alert comes from
	Receiver     string            `json:"receiver,omitempty"`     // of the alerting system, by which it came
}

// Bounds of an alert, in entries and in bytes.
const (
	MaxAlertEntries = 64   // labels, and annotations
	MaxAlertName    = 128  // name of a label or annotation
	MaxAlertText    = 1000 // value of one, and the generator's URL
	MaxAlertBytes   = 4096 // labels together, and annotations together
)

// The names of the alerts that gopprof itself sends. Whoever takes alerts in must not act on
// these: a report would ask for the next one.
const (
	AlertHot  = "GopprofHot"
	AlertTest = "GopprofTest"
)

// OwnAlert tells whether an alert of these labels is one that gopprof sent.
func OwnAlert(labels map[string]string) bool {
	name := labels["alertname"]
	return name == AlertHot || name == AlertTest
}
