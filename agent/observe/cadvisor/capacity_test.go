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
	node := limits{cpuCores: 4, memoryBytes: 1 << 30}
	for _, c := range []struct {
		name      string
		own, node limits
		want      observe.Sample
	}{
		{"limits count", limits{1, 2}, node, observe.Sample{CPULimitCores: 1, MemoryLimitBytes: 2}},
		{"nothing", limits{}, limits{}, observe.Sample{}},
		{"the node", limits{}, node, observe.Sample{CPULimitCores: 4, CPUBasis: gopprof.BasisNode, MemoryLimitBytes: 1 << 30, MemoryBasis: gopprof.BasisNode}},
		{"one of both", limits{cpuCores: 1}, node, observe.Sample{CPULimitCores: 1, MemoryLimitBytes: 1 << 30, MemoryBasis: gopprof.BasisNode}},
	} {
		var got observe.Sample
		c.own.compare(&got, c.node)
		if got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}
