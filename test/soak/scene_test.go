package soak

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/test/parts"
	"github.com/gopprof/gopprof/test/rig"
)

// scene is gopprof at work, with what may fail of it.
type scene struct {
	*rig.Rig
	t      *testing.T
	fleet  *fleet
	store  *disk    // under the store; nil where none can be mounted
	state  *disk    // under what the agent writes, likewise
	influx *influx  // between the agent and InfluxDB; nil where there is none
	absent []string // parts that this machine does not have

	lives       []life         // of the agent
	aggregators []*rig.Process // the aggregator's lives
	peak        map[string]int // most resident memory, in KiB, by program
}

// life is one life of the agent.
type life struct {
	*rig.Process
	killed time.Time // zero: it was not
}

// newScene starts all parts. The directory of a soak that failed stays.
func newScene(ctx context.Context, t *testing.T) *scene {
	t.Helper()
	if err := parts.CgroupsAllowed(); err != nil {
		parts.Missing(t, "no cgroup with limits on this machine: %v", err)
	}
	dir, err := os.MkdirTemp("", "gopprof-soak-")
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what was written lies in %s", dir)
			return
		}
		_ = os.RemoveAll(dir)
	})
	bin := build(ctx, t, dir)
	s := &scene{t: t, peak: map[string]int{}, Rig: rig.New(rig.Config{
		Dir: dir, Window: 3 * time.Second, CPUSeconds: time.Second, Warm: 500 * time.Millisecond, Quiet: time.Second,
		Agent: []string{filepath.Join(bin, "agent")}, Aggregator: []string{filepath.Join(bin, "aggregator")},
		AgentYAML: agentYAML, AggregatorYAML: aggregatorYAML,
	})}
	t.Cleanup(func() { checkProcesses(t, bin) })
	t.Cleanup(s.Stop)
	s.store = s.mount("store", storeBytes)
	s.state = s.mount("agent", stateBytes)
	s.fleet = newFleet(t, s, filepath.Join(bin, "burner"))
	if _, err := parts.Binary("influxd"); err != nil {
		s.absent = append(s.absent, fmt.Sprintf("InfluxDB, the second witness: %v", err))
	} else {
		must(t, s.StartInfluxDB(ctx))
		s.influx = newInflux(t, s.InfluxDB.URL)
		s.AgentYAML = strings.ReplaceAll(agentYAML, `url: "{{.InfluxDB}}"`, `url: "`+s.influx.URL+`"`)
	}
	must(t, s.StartInbox())
	s.fleet.witness(ctx)
	must(t, s.startAggregator(ctx))
	must(t, s.startAgent(ctx))
	return s
}

// mount puts a directory of the rig on a disk that can be filled, where that can be had.
func (s *scene) mount(name string, bytes int) *disk {
	path := filepath.Join(s.Dir, name)
	d, err := newDisk(path, bytes)
	if err != nil {
		s.absent = append(s.absent, fmt.Sprintf("a disk that can be filled: %v", err))
		must(s.t, os.Mkdir(path, 0o755))
		return nil
	}
	s.t.Cleanup(d.close)
	return d
}

// books are what both programs have said so far, and what the owner knows.
func (s *scene) books() Books {
	b := Books{Told: s.Inbox.Told(), Silent: map[string]bool{}, Dead: map[string]string{}}
	for _, l := range s.lives {
		lines, _ := l.Lines()
		b.Agent = append(b.Agent, Life{lines, l.killed})
	}
	for _, p := range s.aggregators {
		lines, _ := p.Lines()
		b.Aggregator = append(b.Aggregator, lines...)
	}
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
