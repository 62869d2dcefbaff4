package static

import (
	"path/filepath"
	"time"
)

// Config says where the list of targets is.
type Config struct {
	// File is the targets file, described under "Targets file". Empty: no targets from a
	// file. It is read again when it changes; a file with a mistake is refused as a whole
	// and the former list stays.
	File string `yaml:"file"`
	// Interval is the time between two looks at the targets file and the PID files that
	// it names.
	Interval time.Duration `yaml:"interval"`
}

// DefaultConfig names no file, and looks at one every 2 seconds.
func DefaultConfig() Config { return Config{Interval: 2 * time.Second} }

// Check reports what makes no sense. Mistakes in the targets file are reported by New.
func (c Config) Check(report func(key, problem string)) {
	if c.File != "" && !filepath.IsAbs(c.File) {
		report("file", "must be an absolute path")
	}
	if c.Interval < 100*time.Millisecond {
		report("interval", "must be at least 100ms")
	}
}
