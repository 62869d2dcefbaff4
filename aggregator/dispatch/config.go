package dispatch

import (
	"strconv"
	"time"
)

// Config bounds how many captures are made and how long dispatch waits for them.
type Config struct {
	// Budget bounds the captures that rules may cause.
	Budget Budget `yaml:"budget"`
	// Siblings says which quiet pods are captured beside a hot one, to compare with.
	Siblings Siblings `yaml:"siblings"`
	// IncidentWindow is how long after its newest capture an incident goes on: within it,
	// another capture of the same workload under the same rule belongs to the same incident.
	// Longer groups more of one trouble together; at most 6h.
	IncidentWindow time.Duration `yaml:"incident_window"`
	// CaptureLifetime is how long a granted capture counts as running when nothing more is
	// heard of it. It ends earlier when its report is stored. It must be longer than the
	// longest capture takes from firing to stored, siblings.wait included.
	CaptureLifetime time.Duration `yaml:"capture_lifetime"`
	// StaleAfter is the silence after which a node is shown as stale. Agents tell their
	// state every 30s.
	StaleAfter time.Duration `yaml:"stale_after"`
	// ForgetAfter is the silence after which a node is forgotten.
	ForgetAfter time.Duration `yaml:"forget_after"`
}

// Budget bounds captures made because a rule fired. What exceeds it is refused as
// "budget": a thousand replicas in one traffic peak give a few captures.
type Budget struct {
	// PerWorkloadAtOnce is the most captures of one workload that run at the same time.
	PerWorkloadAtOnce int `yaml:"per_workload_at_once"`
	// PerWorkloadPerHour is the most captures of one workload within any hour.
	PerWorkloadPerHour int `yaml:"per_workload_per_hour"`
	// TotalAtOnce is the most captures of all workloads that run at the same time, siblings
	// included. Raise it with the number of clusters and with what the aggregator can draw and
	// store. Siblings take no more than half of the places: the other half is for hot pods.
	TotalAtOnce int `yaml:"total_at_once"`
	// TotalPerHour is the most captures of all workloads within any hour, siblings included,
	// of which they take no more than half; at most 1000.
	TotalPerHour int `yaml:"total_per_hour"`
}

// Siblings are quiet pods of a hot pod's workload and build, profiled at the same time: what
// they do not do is what makes the hot one hot.
type Siblings struct {
	// PerCapture is how many of them are captured beside one hot pod: where one refuses within
	// wait, another is asked instead. 0 is none, and reports say less about why.
	PerCapture int `yaml:"per_capture"`
	// Wait is how much longer than its profile takes a hot capture may wait for them before
	// its report is made. It ends earlier when all have arrived. An agent that cannot begin
	// within this time refuses.
	Wait time.Duration `yaml:"wait"`
}

// DefaultConfig returns the configuration of an aggregator that was told nothing.
func DefaultConfig() Config {
	return Config{
		Budget:          Budget{PerWorkloadAtOnce: 3, PerWorkloadPerHour: 12, TotalAtOnce: 20, TotalPerHour: 200},
		Siblings:        Siblings{PerCapture: 2, Wait: 15 * time.Second},
		IncidentWindow:  30 * time.Minute,
		CaptureLifetime: 5 * time.Minute,
		StaleAfter:      90 * time.Second,
		ForgetAfter:     15 * time.Minute,
	}
}

// Check reports every setting that makes no sense.
func (c Config) Check(report func(key, problem string)) {
	between(report, "incident_window", c.IncidentWindow, 0, 6*time.Hour)
	between(report, "capture_lifetime", c.CaptureLifetime, 10*time.Second, time.Hour)
	between(report, "stale_after", c.StaleAfter, time.Second, time.Hour)
	between(report, "forget_after", c.ForgetAfter, c.StaleAfter, 24*time.Hour)
}

// Check reports every bound that makes no sense.
func (b Budget) Check(report func(key, problem string)) {
	count(report, "per_workload_at_once", b.PerWorkloadAtOnce, maxPerHour)
	count(report, "per_workload_per_hour", b.PerWorkloadPerHour, maxPerHour)
	count(report, "total_at_once", b.TotalAtOnce, maxPerHour)
	count(report, "total_per_hour", b.TotalPerHour, maxPerHour)
}

// Check reports every setting that makes no sense.
func (s Siblings) Check(report func(key, problem string)) {
	if s.PerCapture < 0 || s.PerCapture > maxSiblings {
		report("per_capture", "must be from 0 to "+strconv.Itoa(maxSiblings))
	}
	between(report, "wait", s.Wait, time.Second, time.Minute)
}

// maxSiblings is the most pods that one is compared with: more make a better mean, and each
// is a service that was well and is profiled all the same.
const maxSiblings = 5

func count(report func(key, problem string), key string, n, most int) {
	if n < 1 || n > most {
		report(key, "must be from 1 to "+strconv.Itoa(most))
	}
}

func between(report func(key, problem string), key string, d, least, most time.Duration) {
	if d < least || d > most {
		report(key, "must be from "+least.String()+" to "+most.String())
	}
}
