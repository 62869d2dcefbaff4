package draw

import (
	"time"
)

// Config says how call graphs are drawn.
type Config struct {
	// Dot is the path or name of graphviz's dot. Default "dot", found on PATH.
	Dot string `yaml:"dot"`
	// Workers is the number of drawings made at once, each in a process of its own that
	// stays (about 60 MB when idle). Default 2.
	Workers int `yaml:"workers"`
	// Nodes is the most functions that one graph shows. Default 80; 200 takes dot four
	// times as long.
	Nodes int `yaml:"nodes"`
	// Timeout is the longest that one drawing may take. Default 30s.
	Timeout time.Duration `yaml:"timeout"`
	// CPUSeconds is the CPU time that one drawing may use in the worker, and again in dot.
	// Default 15.
	CPUSeconds int `yaml:"cpu_seconds"`
	// MemoryBytes is the most memory that dot may map, and the most data that the worker
	// may hold. Default 512 MiB; dot crashes below 200 MB.
	MemoryBytes int64 `yaml:"memory_bytes"`
	// SVGBytes is the largest drawing that is kept. Default 4 MiB.
	SVGBytes int64 `yaml:"svg_bytes"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		Dot:         "dot",
		Workers:     2,
		Nodes:       80,
		Timeout:     30 * time.Second,
		CPUSeconds:  15,
		MemoryBytes: 512 << 20,
		SVGBytes:    4 << 20,
	}
}

// Check reports every mistake.
func (c Config) Check(report func(key, problem string)) {
	if c.Dot == "" {
		report("dot", "is empty: the path or name of graphviz's dot")
	}
	if c.Workers < 1 || c.Workers > 64 {
		report("workers", "must be from 1 to 64")
	}
	if c.Nodes < 1 || c.Nodes > 1000 {
		report("nodes", "must be from 1 to 1000")
	}
	if c.Timeout < time.Second || c.Timeout > 10*time.Minute {
		report("timeout", "must be from 1s to 10m")
	}
	if c.CPUSeconds < 1 || c.CPUSeconds > 600 {
		report("cpu_seconds", "must be from 1 to 600")
	}
	if c.MemoryBytes < 256<<20 {
		report("memory_bytes", "must be at least 268435456 (256 MiB): dot crashes below 200 MB")
	}
	if c.SVGBytes < 64<<10 || c.SVGBytes > 64<<20 {
		report("svg_bytes", "must be from 65536 (64 KiB) to 67108864 (64 MiB)")
	}
}
