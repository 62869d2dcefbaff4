package receive

import "time"

// Config says how captures are worked on.
type Config struct {
	// Workers is how many captures are worked on at the same time. One holds its profiles
	// in memory (a few megabytes as a rule, max. the bus's capture_max_bytes) and may run
	// one drawing. What reading a large profile takes besides (100 MB at most), one has at a
	// time, groups that are merged included; the others wait.
	Workers int `yaml:"workers"`
	// HandleTimeout ends the work on one capture, which is then tried again later.
	HandleTimeout time.Duration `yaml:"handle_timeout"`
	// InProgressInterval is how often NATS is told that a capture is still worked on; well
	// below the stream's ack_wait, or NATS gives the capture to another worker.
	InProgressInterval time.Duration `yaml:"in_progress_interval"`
	// RetryDelay is the pause after a first failure (a store that does not answer, as a
	// rule). It doubles with each delivery of the same capture.
	RetryDelay time.Duration `yaml:"retry_delay"`
	// RetryMaxDelay is what the pause grows to.
	RetryMaxDelay time.Duration `yaml:"retry_max_delay"`
	// MaxStarts is how many workers a capture may kill (crash of the process, panic) before
	// it goes to the dead letters. The first death may be the deed of another capture that
	// was being worked on; from then on the capture is worked on alone.
	MaxStarts int `yaml:"max_starts"`
	// DrainTimeout is how long captures that are being worked on may take to end when the
	// aggregator stops; then they are given back to NATS.
	DrainTimeout time.Duration `yaml:"drain_timeout"`
}

// DefaultConfig returns the configuration of an aggregator that was told nothing.
func DefaultConfig() Config {
	return Config{
		Workers:            4,
		HandleTimeout:      5 * time.Minute,
		InProgressInterval: 10 * time.Second,
		RetryDelay:         2 * time.Second,
		RetryMaxDelay:      5 * time.Minute,
		MaxStarts:          3,
		DrainTimeout:       20 * time.Second,
	}
}

// Check reports every setting that makes no sense.
func (c Config) Check(report func(key, problem string)) {
	if c.Workers < 1 || c.Workers > 256 {
		report("workers", "must be from 1 to 256")
	}
	if c.MaxStarts < 2 {
		report("max_starts", "must be 2 or more: the first death may be another capture's deed")
	}
	for key, d := range map[string]time.Duration{
		"handle_timeout": c.HandleTimeout, "in_progress_interval": c.InProgressInterval, "retry_delay": c.RetryDelay,
	} {
		if d <= 0 {
			report(key, "must be above 0")
		}
	}
	if c.RetryMaxDelay < c.RetryDelay {
		report("retry_max_delay", "must not be below retry_delay")
	}
	if c.DrainTimeout < 0 {
		report("drain_timeout", "must not be negative")
	}
}
