package observe

import "time"

// Config says how often targets are read and how much is remembered of them.
type Config struct {
	// WarmInterval is the time between two readings of a target that is near one of its
	// limits, or new. Raise it to spend less CPU; it bounds how fast a rule can fire.
	WarmInterval time.Duration `yaml:"warm_interval"`
	// QuietInterval is the time between two readings of every other target. It must not
	// be longer than half a rule's window.
	QuietInterval time.Duration `yaml:"quiet_interval"`
	// WarmRatio is the share of the CPU or memory limit (0–1) from which on a target is
	// warm.
	WarmRatio float64 `yaml:"warm_ratio"`
	// WarmThrottledRatio is the share of throttled CFS periods (0–1) from which on a
	// target is warm.
	WarmThrottledRatio float64 `yaml:"warm_throttled_ratio"`
	// WarmFor is how long a target stays warm after the last reading that made it so, and
	// how long a new target is warm.
	WarmFor time.Duration `yaml:"warm_for"`
	// Keep is how long readings are remembered: at least all windows of a rule together,
	// and the few minutes after it fired in which the series are compared. Captures tell the
	// readings of the last 15 minutes, as far as they are remembered. One target costs 80
	// bytes per reading, so about 10 KB when it is always warm.
	Keep time.Duration `yaml:"keep"`
}

// DefaultConfig reads warm targets every 10 seconds, the others every 30, and remembers
// 20 minutes.
func DefaultConfig() Config {
	return Config{
		WarmInterval: 10 * time.Second, QuietInterval: 30 * time.Second,
		WarmRatio: 0.5, WarmThrottledRatio: 0.1, WarmFor: time.Minute,
		Keep: 20 * time.Minute,
	}
}

// maxReadings bounds what is kept of one target.
const maxReadings = 4096

// Check reports what makes no sense.
func (c Config) Check(report func(key, problem string)) {
	if c.WarmInterval < 100*time.Millisecond {
		report("warm_interval", "must be at least 100ms")
	}
	if c.QuietInterval < c.WarmInterval {
		report("quiet_interval", "must not be shorter than warm_interval")
	}
	checkRatio(report, "warm_ratio", c.WarmRatio)
	checkRatio(report, "warm_throttled_ratio", c.WarmThrottledRatio)
	if c.WarmFor < 0 {
		report("warm_for", "must not be negative")
	}
	if c.Keep < 2*c.QuietInterval {
		report("keep", "must be at least twice quiet_interval")
	}
	if c.WarmInterval > 0 && c.Keep/c.WarmInterval > maxReadings {
		report("keep", "must not hold more than 4096 readings of warm_interval")
	}
}

func checkRatio(report func(key, problem string), key string, v float64) {
	if !(v >= 0 && v <= 1) {
		report(key, "must be between 0 and 1")
	}
}
