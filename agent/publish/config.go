package publish

import (
	"time"
)

// Config says where captures wait for NATS, and for how long attempts are spread.
type Config struct {
	// Dir is the spool: captures lie here from the moment they are taken until NATS has
	// acknowledged them. Empty is "spool" below the agent's state_dir. It must outlive the process (on
	// Kubernetes a hostPath), or what waits is lost with it; no two agents may share it.
	Dir string `yaml:"dir"`
	// MaxBytes bounds the spool. Default 512 MiB: hundreds of captures. Beyond it the
	// oldest captures are dropped, counted and logged. While one capture is written, the
	// spool may be above the bound by that capture.
	MaxBytes int64 `yaml:"max_bytes"`
	// Senders is how many captures are sent at once. Default 2, so that one that hangs
	// does not hold the others up.
	Senders int `yaml:"senders"`
	// SendTimeout bounds one attempt to send one capture, for every 4 MiB of it that are begun.
	// Default 1m.
	SendTimeout time.Duration `yaml:"send_timeout"`
	// RetryMin is the wait after a capture's first failed attempt. Default 1s. It doubles
	// with each further one, and is spread by half to either side.
	RetryMin time.Duration `yaml:"retry_min"`
	// RetryMax is what the wait grows to. Default 30s. It is also how often a full NATS is
	// asked whether there is room, with one capture. When NATS is back after an outage, or
	// has room, what waits is sent at once.
	RetryMax time.Duration `yaml:"retry_max"`
}

// DefaultConfig returns the spool of an agent that was told nothing.
func DefaultConfig() Config {
	return Config{
		MaxBytes: 512 << 20, Senders: 2,
		SendTimeout: time.Minute, RetryMin: time.Second, RetryMax: 30 * time.Second,
	}
}

// Check reports every mistake.
func (c Config) Check(report func(key, problem string)) {
	if c.MaxBytes < 1<<20 {
		report("max_bytes", "must be at least 1 MiB, the room of one capture")
	}
	if c.Senders < 1 {
		report("senders", "must be at least 1")
	}
	if c.SendTimeout <= 0 {
		report("send_timeout", "must be above 0")
	}
	if c.RetryMin <= 0 {
		report("retry_min", "must be above 0")
	}
	if c.RetryMax < c.RetryMin {
		report("retry_max", "is shorter than retry_min")
	}
}
