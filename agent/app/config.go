package app

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gopprof/gopprof/agent/discover/kubernetes"
	"github.com/gopprof/gopprof/agent/discover/static"
	"github.com/gopprof/gopprof/agent/judge"
	"github.com/gopprof/gopprof/agent/observe"
	"github.com/gopprof/gopprof/agent/observe/cadvisor"
	"github.com/gopprof/gopprof/agent/observe/heapster"
	"github.com/gopprof/gopprof/agent/publish"
	"github.com/gopprof/gopprof/agent/record"
	"github.com/gopprof/gopprof/agent/take"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/config"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/ops"
)

// Config is the agent's configuration file.
type Config struct {
	// Cluster is the name under which everything from here is sent and stored.
	Cluster string `yaml:"cluster"`
	// Node is this node's name; empty takes the host's name. Heapster's series must know
	// the node under the same name.
	Node string `yaml:"node"`
	// StateDir holds what must survive a restart: the spool, the cooldowns and which firings
	// and captures are in hand. One agent at a time may use it.
	StateDir string `yaml:"state_dir"`
	// AggregatorAbsent says what the agent does while the aggregator does not answer.
	AggregatorAbsent AbsentConfig `yaml:"aggregator_absent"`
	// Agreement says how the second witness is asked.
	Agreement AgreementConfig `yaml:"agreement"`
	// ShutdownTimeout is how long running captures may go on once the agent is told to
	// stop; then they are cancelled.
	ShutdownTimeout time.Duration `yaml:"shutdown_timeout"`
	// StateInterval is how often the aggregator is told what the agent sees: the targets
	// page is as old as that.
	StateInterval time.Duration `yaml:"state_interval"`
	// Log says what is logged and how.
	Log ops.LogConfig `yaml:"log"`
	// Status is the agent's own port: /livez, /readyz, /metrics, /status.
	Status ops.ServerConfig `yaml:"status"`
	// Static lists targets by hand, in a file.
	Static static.Config `yaml:"static"`
	// Kubernetes finds targets among the pods of this node, beside those of the file.
	Kubernetes kubernetes.Config `yaml:"kubernetes"`
	// Observe says how often targets are looked at.
	Observe observe.Config `yaml:"observe"`
	// Cadvisor says where the cgroups are.
	Cadvisor cadvisor.Config `yaml:"cadvisor"`
	// Heapster is the InfluxDB with Heapster's series; without a URL there is no second
	// witness.
	Heapster heapster.Config `yaml:"heapster"`
	// Record writes series where no Heapster does; without a URL it does not.
	Record record.Config `yaml:"record"`
	// Judge holds the rules.
	Judge judge.Config `yaml:"judge"`
	// Take says how profiles are taken, and how gently.
	Take take.Config `yaml:"take"`
	// Publish is the spool.
	Publish publish.Config `yaml:"publish"`
	// NATS is the way to the aggregator.
	NATS bus.Config `yaml:"nats"`
}

// AbsentConfig is the small budget of a node on its own.
type AbsentConfig struct {
	// CapturesPerHour is how many captures the node makes without having been allowed to.
	CapturesPerHour int `yaml:"captures_per_hour"`
}

// AgreementConfig says how the second witness is asked.
type AgreementConfig struct {
	// Wait is how long after firing an answer of the series is waited for; the report waits
	// as long. A Heapster minute arrives 5 to 25 seconds after its end. What fires at once
	// needs the minute of its reading, which ends up to a minute after firing: with 30s, half
	// to four fifths of those reports say unavailable, series_stale. 90s are enough for all
	// where the series' resolution is one minute.
	Wait time.Duration `yaml:"wait"`
	// Every is the time between two questions of one firing.
	Every time.Duration `yaml:"every"`
	// Audit is how often, at a moment of its own, the agent looks whether the series saw
	// heat where cAdvisor saw none; 0 never.
	Audit time.Duration `yaml:"audit"`
}

// DefaultConfig returns what an agent does that was told nothing but where it is.
func DefaultConfig() Config {
	node, _ := os.Hostname() // empty is refused by Check, with the way out
	return Config{
		Cluster:          "default",
		Node:             node,
		StateDir:         "/var/lib/gopprof/agent",
		AggregatorAbsent: AbsentConfig{CapturesPerHour: 6},
		Agreement:        AgreementConfig{Wait: 30 * time.Second, Every: 3 * time.Second, Audit: 10 * time.Minute},
		ShutdownTimeout:  40 * time.Second,
		StateInterval:    30 * time.Second,
		Log:              ops.DefaultLogConfig(),
		Status:           ops.ServerConfig{Listen: "127.0.0.1:9393"},
		Static:           static.DefaultConfig(),
		Kubernetes:       kubernetes.DefaultConfig(),
		Observe:          observe.DefaultConfig(),
		Cadvisor:         cadvisor.DefaultConfig(),
		Heapster:         heapster.DefaultConfig(),
		Record:           record.DefaultConfig(),
		Judge:            judge.DefaultConfig(),
		Take:             take.DefaultConfig(),
		Publish:          publish.DefaultConfig(),
		NATS:             bus.DefaultConfig(),
	}
}

// LoadConfig reads the file at path over the defaults; mistakes come all at once, as
// config.Errors.
func LoadConfig(path string) (Config, error) {
	c := DefaultConfig()
	if err := config.Load(path, &c); err != nil {
		return Config{}, err
	}
	if c.Publish.Dir == "" {
		c.Publish.Dir = filepath.Join(c.StateDir, "spool")
	}
	return c, nil
}

// Check reports what the stages cannot see each by itself.
func (c Config) Check(report func(key, problem string)) {
	if c.Cluster == "" {
		report("cluster", "empty: name the cluster")
	}
	if c.Node == "" {
		report("node", "empty, and the host has no name: name the node")
	}
	if c.StateDir == "" {
		report("state_dir", "empty: name a directory that survives a restart")
	}
	if c.NATS.URL == "" {
		report("nats.url", "is missing: the address of the aggregator's NATS, such as tls://gopprof.example:4222")
	}
	if c.AggregatorAbsent.CapturesPerHour < 0 {
		report("aggregator_absent.captures_per_hour", "is negative")
	}
	if c.ShutdownTimeout <= 0 {
		report("shutdown_timeout", "is not above 0")
	}
	if c.StateInterval < time.Second {
		report("state_interval", "is less than 1s")
	}
	c.checkSeries(report)
	for _, rule := range c.Judge.Rules() {
		c.checkRule(report, rule)
	}
}

// checkRule reports what other stages could never do for a rule.
func (c Config) checkRule(report func(key, problem string), rule gopprof.Rule) {
	if rule.CPUSeconds > c.Take.MaxSeconds {
		report("judge."+rule.Name+".cpu_seconds", fmt.Sprintf("%s is longer than take.max_seconds (%s): every capture would be refused", rule.CPUSeconds, c.Take.MaxSeconds))
	}
	if c.Judge.Policy == gopprof.PolicySeries {
		return // the readings are not judged
	}
	if 2*c.Observe.QuietInterval > rule.Window {
		report("observe.quiet_interval", fmt.Sprintf("%s is longer than half of judge.%s.window (%s): one reading would be two windows", c.Observe.QuietInterval, rule.Name, rule.Window))
	}
	needed := rule.Window * time.Duration(rule.InARow)
	if c.comparing() {
		needed += c.Agreement.Wait
	}
	if c.Observe.Keep < needed {
		report("observe.keep", fmt.Sprintf("%s is shorter than %s, which judge.%s looks back: its %d windows of %s, and agreement.wait if the series are asked",
			c.Observe.Keep, needed, rule.Name, rule.InARow, rule.Window))
	}
}

// comparing tells whether the series confirm or contradict what fires.
func (c Config) comparing() bool {
	return c.Heapster.Enabled() && c.Judge.Policy == gopprof.PolicyConfirm
}

func (c Config) checkSeries(report func(key, problem string)) {
	a := c.Agreement
	if a.Wait < 0 || a.Every <= 0 || a.Audit < 0 {
		report("agreement", "wait and audit must not be negative, every must be above 0")
	}
	if c.Judge.Policy == gopprof.PolicySeries && c.Heapster.URL == "" {
		report("judge.policy", `"series" needs heapster.url`)
	}
	if h, r := c.Heapster, c.Record; r.Enabled() && h.URL == r.URL && h.Database == r.Database && h.Resolution != r.Resolution {
		report("record.resolution", fmt.Sprintf("%s is not heapster.resolution (%s), with which the same series are read", r.Resolution, h.Resolution))
	}
	if c.Heapster.URL == "" || c.Judge.Policy == gopprof.PolicyLocal {
		return
	}
	for _, rule := range c.Judge.Rules() {
		c.checkIntervals(report, rule)
		if hot := rule.Window * time.Duration(rule.InARow); hot < 2*c.Heapster.Resolution {
			report("judge."+rule.Name+".window", fmt.Sprintf(
				"%d windows of %s hold no whole interval of the series for certain: make them at least %s together, twice heapster.resolution",
				rule.InARow, rule.Window, 2*c.Heapster.Resolution))
		}
	}
}

// checkIntervals reports a window that whole intervals of the series, of which it is made
// where they alone are judged, cannot fill.
func (c Config) checkIntervals(report func(key, problem string), rule gopprof.Rule) {
	resolution := c.Heapster.Resolution
	if c.Judge.Policy != gopprof.PolicySeries || resolution <= 0 || rule.Window%resolution == 0 {
		return
	}
	report("judge."+rule.Name+".window", fmt.Sprintf(
		`%s is not a multiple of heapster.resolution (%s): with judge.policy "series" a window is made of whole intervals of the series, which do not fill this one; make it a multiple, such as %s`,
		rule.Window, resolution, (rule.Window/resolution+1)*resolution))
}
