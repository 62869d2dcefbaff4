package cadvisor

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gopprof/gopprof/agent/observe"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

func TestCapacity(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"stat":    "cpu  10 20 30\ncpu0 1 2 3\ncpu1 1 2 3\ncpu11 1 2 3\nintr 5\nctxt 7\n",
		"meminfo": "MemTotal:       16384 kB\nMemFree:         100 kB\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := capacity(dir)
	if want := (limits{cpuCores: 3, memoryBytes: 16 << 20}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if _, err := capacity(t.TempDir()); err == nil {
		t.Error("no error where there is nothing to read")
	}
}

func TestWithoutLimit(t *testing.T) {
	target := gopprof.Target{CPURequestCores: 0.25, MemoryRequestBytes: 64 << 20}
	for _, c := range []struct {
		name, without string
		own           limits
		target        gopprof.Target
		want          observe.Sample
	}{
		{"limits count", "node", limits{1, 2}, target, observe.Sample{CPULimitCores: 1, MemoryLimitBytes: 2}},
		{"nothing", "nothing", limits{}, target, observe.Sample{}},
		{"the node", "node", limits{}, target, observe.Sample{CPULimitCores: 4, CPUBasis: gopprof.BasisNode, MemoryLimitBytes: 1 << 30, MemoryBasis: gopprof.BasisNode}},
		{"one of both", "node", limits{cpuCores: 1}, target, observe.Sample{CPULimitCores: 1, MemoryLimitBytes: 1 << 30, MemoryBasis: gopprof.BasisNode}},
		{"the request", "request", limits{}, target, observe.Sample{CPULimitCores: 0.5, CPUBasis: gopprof.BasisRequest, MemoryLimitBytes: 128 << 20, MemoryBasis: gopprof.BasisRequest}},
		{"a limit beside a request", "request", limits{memoryBytes: 1}, target, observe.Sample{CPULimitCores: 0.5, CPUBasis: gopprof.BasisRequest, MemoryLimitBytes: 1}},
		{"no request", "request", limits{}, gopprof.Target{}, observe.Sample{}},
	} {
		r := &Reader{cfg: Config{WithoutLimit: c.without, RequestFactor: 2}, node: limits{cpuCores: 4, memoryBytes: 1 << 30}}
		got := observe.Sample{CPULimitCores: c.own.cpuCores, MemoryLimitBytes: c.own.memoryBytes}
		instead, basis := r.instead(c.target)
		if compare(&got, instead, basis); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}
