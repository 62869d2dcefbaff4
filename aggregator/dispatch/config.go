package dispatch

import (
	"strconv"
	"time"
)

// Config bounds how many captures are made and how long dispatch waits for them.
type Config struct {
	// Budget bounds the captures that rules may cause.
	Budget Budget `yaml:"budget"`
	// IncidentWindow is how long after its newest capture an incident goes on: within it,
	// another capture of the same workload under the same rule belongs to the same incident.
	// Longer groups more of one trouble together; at most 6h.
	IncidentWindow time.Duration `yaml:"incident_window"`
	// CaptureLifetime is how long a granted capture counts as running when nothing more is
	// heard of it. It ends earlier when its report is stored. It must be longer than the
	// longest capture takes from firing to stored.
	CaptureLifetime time.Duration `yaml:"capture_lifetime"`
	// Manual is about captures that people ask for.
	Manual ManualConfig `yaml:"manual"`
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
	// TotalAtOnce is the most captures of all workloads that run at the same time. Raise it
	// with the number of clusters and with what the aggregator can draw and store.
	TotalAtOnce int `yaml:"total_at_once"`
	// TotalPerHour is the most captures of all workloads within any hour; at most 1000.
	TotalPerHour int `yaml:"total_per_hour"`
}

// ManualConfig bounds captures that people ask for. They do not use up Budget.
type ManualConfig struct {
	// AtOnce is the most manual captures that run at the same time, of all callers.
	AtOnce int `yaml:"at_once"`
	// CPUDuration is the length of timed kinds when the request names none.
	CPUDuration time.Duration `yaml:"cpu_duration"`
	// MaxDuration is the longest that a request may name. An agent refuses what is longer
	// than its own take.max_seconds.
	MaxDuration time.Duration `yaml:"max_duration"`
	// AgentTimeout is how long an agent may take to say whether it accepts.
	AgentTimeout time.Duration `yaml:"agent_timeout"`
	// StartWithin is how long an accepting agent may wait for a busy target.
	StartWithin time.Duration `yaml:"start_within"`
	// ArriveWithin is how long after its expected end a capture may take to arrive before it
	// is called failed.
	ArriveWithin time.Duration `yaml:"arrive_within"`
}

// lifetime is how long the longest capture that may be asked for counts as running when
// nothing more is heard of it: both timed kinds follow one another.
func (c ManualConfig) lifetime() time.Duration {
	return c.StartWithin + 2*c.MaxDuration + c.ArriveWithin
}

// DefaultConfig returns the configuration of an aggregator that was told nothing.
func DefaultConfig() Config {
	return Config{
		Budget:          Budget{PerWorkloadAtOnce: 3, PerWorkloadPerHour: 12, TotalAtOnce: 20, TotalPerHour: 200},
		IncidentWindow:  30 * time.Minute,
		CaptureLifetime: 5 * time.Minute,
		Manual: ManualConfig{
			AtOnce: 20, CPUDuration: 30 * time.Second, MaxDuration: time.Minute,
			AgentTimeout: 3 * time.Second, StartWithin: time.Minute, ArriveWithin: 2 * time.Minute,
		},
		StaleAfter:  90 * time.Second,
		ForgetAfter: 15 * time.Minute,
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
func (c ManualConfig) Check(report func(key, problem string)) {
	count(report, "at_once", c.AtOnce, 500)
	between(report, "max_duration", c.MaxDuration, time.Second, 10*time.Minute)
	between(report, "cpu_duration", c.CPUDuration, time.Second, c.MaxDuration)
	between(report, "agent_timeout", c.AgentTimeout, 100*time.Millisecond, 30*time.Second)
	between(report, "start_within", c.StartWithin, time.Second, 10*time.Minute)
	between(report, "arrive_within", c.ArriveWithin, time.Second, time.Hour)
}

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
