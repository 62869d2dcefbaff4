package cadvisor

import (
	"path/filepath"
	"time"
)

// Config says where the kernel shows control groups and processes.
type Config struct {
	// CgroupRoot is where the control groups of the node are mounted. The default,
	// /sys/fs/cgroup, is right on hosts; in a container mount the host's at that path.
	CgroupRoot string `yaml:"cgroup_root"`
	// ProcRoot is where the processes of the node are shown; only targets that are named
	// by a process need it. In a container it must be the host's (host PID namespace).
	ProcRoot string `yaml:"proc_root"`
	// LimitsInterval is how old the limits that a target is compared with may be. The
	// limits of a target that is near them are read every time.
	LimitsInterval time.Duration `yaml:"limits_interval"`
	// WithoutLimit is what the use of a target without a limit is compared with: "nothing",
	// so that no rule fires (reason no_limit), or "node", the node's own cores and memory.
	WithoutLimit string `yaml:"without_limit"`
}

// The values of WithoutLimit.
const (
	withoutLimitNothing = "nothing"
	withoutLimitNode    = "node"
)

// DefaultConfig reads where Linux mounts by default, and sees a limit that was changed in
// place within a minute.
func DefaultConfig() Config {
	return Config{CgroupRoot: "/sys/fs/cgroup", ProcRoot: "/proc", LimitsInterval: 50 * time.Second, WithoutLimit: withoutLimitNothing}
}

// Check reports what makes no sense.
func (c Config) Check(report func(key, problem string)) {
	if !filepath.IsAbs(c.CgroupRoot) {
		report("cgroup_root", "must be an absolute path")
	}
	if !filepath.IsAbs(c.ProcRoot) {
		report("proc_root", "must be an absolute path")
	}
	if c.WithoutLimit != withoutLimitNothing && c.WithoutLimit != withoutLimitNode {
		report("without_limit", `must be "nothing" or "node"`)
	}
	if c.LimitsInterval < 0 {
		report("limits_interval", "must not be negative")
	}
}
