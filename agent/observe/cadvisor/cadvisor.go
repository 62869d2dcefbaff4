// Package cadvisor reads what targets use from their control groups through cAdvisor's
// library, on cgroup v1 and v2. A target's cgroup path, process or container enters, an
// observe.Sample leaves.
//
// It reads the cgroups of targets and, for limits, the one above each; the tree is walked
// only to find where kubelets hold their pods. What has vanished is observe.ErrGone: the library reads zeros from a cgroup that is not there,
// so each reading makes sure that the same cgroup was there before and after.
package cadvisor

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gopprof/gopprof/agent/observe"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Reader implements observe.Reader. It is safe for concurrent use.
type Reader struct {
	cfg     Config
	mounts  map[string]string // of each hierarchy, by controller
	kubelet *kubelet
	start   time.Time // origin of Sample.Clock
	node    limits    // what the node has, for targets without a limit; zero when it does not matter

	mu      sync.Mutex
	targets map[string]*target // by Target.Key
}

var _ observe.Reader = (*Reader)(nil)

// New finds the mounted hierarchies. It fails where there are none that cAdvisor's library
// can read.
func New(cfg Config) (*Reader, error) {
	mounts, err := findMounts(cfg.CgroupRoot)
	if err != nil {
		return nil, fmt.Errorf("finding control groups: %w", err)
	}
	r := &Reader{cfg: cfg, mounts: mounts, kubelet: newKubelet(cfg, mounts), start: time.Now(), targets: make(map[string]*target)}
	if cfg.WithoutLimit == withoutLimitNode {
		if r.node, err = capacity(cfg.ProcRoot); err != nil {
			return nil, fmt.Errorf("finding the node's capacity: %w", err)
		}
	}
	return r, nil
}

// Read implements observe.Reader.
func (r *Reader) Read(_ context.Context, t gopprof.Target, _ time.Time) (observe.Sample, error) {
	below, err := r.locate(t)
	if err != nil {
		return observe.Sample{}, fmt.Errorf("reading target %q: %w", t.Key(), err)
	}
	s, err := r.target(t.Key()).read(r, below)
	if err != nil {
		return observe.Sample{}, fmt.Errorf("reading target %q: %w", t.Key(), err)
	}
	instead, basis := r.instead(t)
	compare(&s, instead, basis)
	return s, nil
}

// Forget implements observe.Reader.
func (r *Reader) Forget(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.targets, key)
}

func (r *Reader) target(key string) *target {
	r.mu.Lock()
	defer r.mu.Unlock()
	t, ok := r.targets[key]
	if !ok {
		t = &target{}
		r.targets[key] = t
	}
	return t
}
