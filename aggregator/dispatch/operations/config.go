package operations

import (
	"strconv"
	"time"
)

// Config bounds the captures that people ask for. They do not use up dispatch's budget.
type Config struct {
	// CPUDuration is the length of timed kinds when the request names none.
	CPUDuration time.Duration `yaml:"cpu_duration"`
	// MaxDuration is the longest that a request may name. An agent refuses what is longer
	// than its own take.max_seconds.
	MaxDuration time.Duration `yaml:"max_duration"`
	// MaxPods is the most pods of one request.
	MaxPods int `yaml:"max_pods"`
	// ExpectAbove is the size of a group above which the request must say how many pods it
	// expects.
	ExpectAbove int `yaml:"expect_above"`
	// AtOnce is the most captures that run at the same time, of all requests.
	AtOnce int `yaml:"at_once"`
	// GroupAtOnce is the most captures of one request that run at the same time when it names
	// no number. It may name a larger one, up to per_workload_at_once.
	GroupAtOnce int `yaml:"group_at_once"`
	// PerWorkloadAtOnce is the most pods of one workload that are profiled at the same time.
	// Whatever it is, one replica is left alone unless the request says otherwise.
	PerWorkloadAtOnce int `yaml:"per_workload_at_once"`
	// PerNodeAtOnce is the most captures that run at the same time on one node. An agent lets
	// those above its own take.max_at_once wait.
	PerNodeAtOnce int `yaml:"per_node_at_once"`
	// WaveAtOnce is how many pods of a workload `go tool pprof` gets when it asks for all of
	// them by one URL: they must fit into the time that it waits.
	WaveAtOnce int `yaml:"wave_at_once"`
	// QueueMax is the most captures that wait or run, of all requests. Further requests are
	// refused until there is room.
	QueueMax int `yaml:"queue_max"`
	// AlertsPerWorkloadPerHour is the most captures of one workload within any hour that alerts
	// may ask for; further ones are refused as cooldown.
	AlertsPerWorkloadPerHour int `yaml:"alerts_per_workload_per_hour"`
	// QueueTime is the longest that a capture may wait for its turn.
	QueueTime time.Duration `yaml:"queue_time"`
	// AgentTimeout is how long an agent may take to answer.
	AgentTimeout time.Duration `yaml:"agent_timeout"`
	// StartWithin is how long an accepting agent may wait for a busy target.
	StartWithin time.Duration `yaml:"start_within"`
	// ArriveWithin is how long after its expected end a capture may take to arrive before it
	// is called failed.
	ArriveWithin time.Duration `yaml:"arrive_within"`
	// GoneAfter is how long an agent may be silent about a capture that it has accepted before
	// the capture is called failed, and how long after a restart of NATS or of the aggregator
	// agents are waited for. It must be longer than their nats.reconnect_wait.
	GoneAfter time.Duration `yaml:"gone_after"`
}

// DefaultConfig returns the configuration of an aggregator that was told nothing.
func DefaultConfig() Config {
	return Config{
		CPUDuration: 30 * time.Second, MaxDuration: time.Minute,
		MaxPods: 100, ExpectAbove: 10,
		AtOnce: 20, GroupAtOnce: 3, PerWorkloadAtOnce: 10, PerNodeAtOnce: 2, WaveAtOnce: 5,
		QueueMax: 500, AlertsPerWorkloadPerHour: 12, QueueTime: 30 * time.Minute,
		AgentTimeout: 3 * time.Second, StartWithin: time.Minute, ArriveWithin: 2 * time.Minute, GoneAfter: 20 * time.Second,
	}
}

// Check reports every setting that makes no sense.
func (c Config) Check(report func(key, problem string)) {
	between(report, "max_duration", c.MaxDuration, time.Second, 10*time.Minute)
	between(report, "cpu_duration", c.CPUDuration, time.Second, c.MaxDuration)
	count(report, "max_pods", c.MaxPods, 500)
	count(report, "expect_above", c.ExpectAbove, c.MaxPods)
	count(report, "at_once", c.AtOnce, 500)
	count(report, "group_at_once", c.GroupAtOnce, 500)
	count(report, "per_workload_at_once", c.PerWorkloadAtOnce, 500)
	count(report, "per_node_at_once", c.PerNodeAtOnce, 100)
	count(report, "wave_at_once", c.WaveAtOnce, c.MaxPods)
	count(report, "queue_max", c.QueueMax, 10_000)
	if c.QueueMax < c.MaxPods {
		report("queue_max", "must be at least max_pods, or a request of that size would be refused for ever")
	}
	count(report, "alerts_per_workload_per_hour", c.AlertsPerWorkloadPerHour, 1000)
	between(report, "queue_time", c.QueueTime, time.Minute, 24*time.Hour)
	between(report, "agent_timeout", c.AgentTimeout, 100*time.Millisecond, 30*time.Second)
	between(report, "start_within", c.StartWithin, time.Second, 10*time.Minute)
	between(report, "arrive_within", c.ArriveWithin, time.Second, time.Hour)
	between(report, "gone_after", c.GoneAfter, time.Second, 10*time.Minute)
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
