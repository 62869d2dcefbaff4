package cadvisor

import (
	"path"
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
	// so that no rule fires (reason no_limit), "request", a multiple of what the container
	// requests in Kubernetes, or "node", the node's own cores and memory.
	WithoutLimit string `yaml:"without_limit"`
	// RequestFactor is the multiple of the request that stands in for a limit when
	// without_limit is "request".
	RequestFactor float64 `yaml:"request_factor"`
	// KubepodsRoot is the control group in which the kubelet holds its pods, below the
	// cgroup root: /kubepods, /kubepods.slice, /kubelet.slice/kubelet-kubepods.slice. Default
	// empty: it is searched for by that name, and the pods in it by their UIDs. Set it where
	// that finds nothing, or where the search, once a start, costs too much.
	KubepodsRoot string `yaml:"kubepods_root"`
}

// The values of WithoutLimit.
const (
	withoutLimitNothing = "nothing"
	withoutLimitRequest = "request"
	withoutLimitNode    = "node"
)

// DefaultConfig reads where Linux mounts by default, and sees a limit that was changed in
// place within a minute.
func DefaultConfig() Config {
	return Config{
		CgroupRoot: "/sys/fs/cgroup", ProcRoot: "/proc",
		LimitsInterval: 50 * time.Second, WithoutLimit: withoutLimitNothing, RequestFactor: 2,
	}
}

// Check reports what makes no sense.
func (c Config) Check(report func(key, problem string)) {
	if !filepath.IsAbs(c.CgroupRoot) {
		report("cgroup_root", "must be an absolute path")
	}
	if !filepath.IsAbs(c.ProcRoot) {
		report("proc_root", "must be an absolute path")
	}
	switch c.WithoutLimit {
	case withoutLimitNothing, withoutLimitRequest, withoutLimitNode:
	default:
		report("without_limit", `must be "nothing", "request" or "node"`)
	}
	if !(c.RequestFactor > 0 && c.RequestFactor <= 1000) {
		report("request_factor", "must be above 0 and at most 1000")
	}
	if c.KubepodsRoot != "" && (!path.IsAbs(c.KubepodsRoot) || path.Clean(c.KubepodsRoot) != c.KubepodsRoot || c.KubepodsRoot == "/") {
		report("kubepods_root", `must be a path below the cgroup root, like "/kubepods.slice"`)
	}
	if c.LimitsInterval < 0 {
		report("limits_interval", "must not be negative")
	}
}
