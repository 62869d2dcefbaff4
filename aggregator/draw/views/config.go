package views

import (
	"time"

	"github.com/gopprof/gopprof/aggregator/draw"
)

// Config bounds the interactive views of pprof.
type Config struct {
	// MaxOpen is the most views that are open at once, each in a process of its own (about
	// 10 MB beside the program, which they share; 110 MB at most with resident_bytes). One more
	// closes the one that nobody has looked at for longest. Default 8; 0 offers none.
	MaxOpen int `yaml:"max_open"`
	// Idle is how long a view stays open that nobody looks at. Default 5m.
	Idle time.Duration `yaml:"idle"`
	// MaxAge is how long one process serves a view that is looked at; then another does.
	// Default 1h.
	MaxAge time.Duration `yaml:"max_age"`
	// Timeout is the longest that one page may take, the opening of its view included, and the
	// longest that it waits for other pages of its view before that. Twice this must be shorter
	// than serve.request_timeout. Default 30s.
	Timeout time.Duration `yaml:"timeout"`
	// CPUSeconds is the CPU time that one process may use in its life. Default 300.
	CPUSeconds int `yaml:"cpu_seconds"`
	// MemoryBytes is the most data that one process may map; 140 MB are mapped, and hardly used,
	// before it reads a profile. Default 320 MiB.
	MemoryBytes int64 `yaml:"memory_bytes"`
	// ResidentBytes is the most memory that one process may have of its own, beside what it shares
	// with the program; from two thirds of it on it rather collects garbage than grows. Default
	// 92 MiB, which holds all pages of any usual profile.
	ResidentBytes int64 `yaml:"resident_bytes"`
	// PageBytes is the largest page. Default 32 MiB.
	PageBytes int64 `yaml:"page_bytes"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		MaxOpen:       8,
		Idle:          5 * time.Minute,
		MaxAge:        time.Hour,
		Timeout:       30 * time.Second,
		CPUSeconds:    300,
		MemoryBytes:   320 << 20,
		ResidentBytes: 92 << 20,
		PageBytes:     32 << 20,
	}
}

// Check reports every mistake.
func (c Config) Check(report func(key, problem string)) {
	if c.MaxOpen < 0 || c.MaxOpen > 64 {
		report("max_open", "must be from 0, which offers no views, to 64")
	}
	if c.Idle < time.Second || c.Idle > 24*time.Hour {
		report("idle", "must be from 1s to 24h")
	}
	if c.MaxAge < c.Idle || c.MaxAge > 24*time.Hour {
		report("max_age", "must be from idle to 24h")
	}
	if c.Timeout < time.Second || c.Timeout > 10*time.Minute {
		report("timeout", "must be from 1s to 10m")
	}
	if c.CPUSeconds < 1 || c.CPUSeconds > 86400 {
		report("cpu_seconds", "must be from 1 to 86400")
	}
	if c.MemoryBytes < 256<<20 {
		report("memory_bytes", "must be at least 268435456 (256 MiB): with less the largest profile allowed cannot be read")
	}
	if c.ResidentBytes < 92<<20 || c.ResidentBytes > c.MemoryBytes {
		report("resident_bytes", "must be from 96468992 (92 MiB), with less the largest profile allowed cannot be read, to memory_bytes")
	}
	if c.PageBytes < 1<<20 || c.PageBytes > 256<<20 {
		report("page_bytes", "must be from 1048576 (1 MiB) to 268435456 (256 MiB)")
	}
}

// limits are those of one process.
func (c Config) limits() draw.ChildLimits {
	return draw.ChildLimits{MemoryBytes: c.MemoryBytes, SoftBytes: c.ResidentBytes / 3 * 2, CPUSeconds: c.CPUSeconds, Shut: true}
}
