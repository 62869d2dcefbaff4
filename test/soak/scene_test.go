package soak

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gopprof/gopprof/test/parts"
	"github.com/gopprof/gopprof/test/rig"
)

// Windows of three seconds, profiles of one, short cooldowns and pauses: what takes an hour
// elsewhere takes a minute here. The bounds that are about the machine stay as they are.
const aggregatorYAML = `
shutdown_timeout: 15s
status: {listen: "127.0.0.1:0"}
serve: {listen: "127.0.0.1:0"}
embedded:
  listen: {{.Listen}}
  dir: {{.Dir}}/nats
  agents: [{cluster: {{.Cluster}}, node: {{.Node}}, nkey: {{.AgentKey}}}]
streams: {ack_wait: 10s}
receive: {drain_timeout: 8s, in_progress_interval: 2s, retry_delay: 1s, retry_max_delay: 5s}
dispatch:
  capture_lifetime: 30s
  budget: {per_workload_at_once: 3, per_workload_per_hour: 1000, total_at_once: 20, total_per_hour: 1000}
store: {url: "file://{{.Dir}}/store/reports"}
notify:
  retry_first: 500ms
  retry_most: 4s
  receivers: [{name: inbox, channel: webhook, url: "{{.Inbox}}"}]
  routes: [{owner: {{.Owner}}, receivers: [inbox]}]
`

const agentYAML = `
cluster: {{.Cluster}}
node: {{.Node}}
state_dir: {{.Dir}}/agent
shutdown_timeout: 5s
state_interval: 1s
aggregator_absent: {captures_per_hour: 120}
status: {listen: "127.0.0.1:0"}
static: {file: {{.Dir}}/targets.yaml, interval: 500ms}
observe: {warm_interval: {{.Warm}}, quiet_interval: {{.Quiet}}, warm_for: 15s}
{{if .InfluxDB}}heapster: {url: "{{.InfluxDB}}", resolution: {{.Window}}, jitter: 0s}{{end}}
agreement: {every: 1s, wait: 8s}
judge:
  cpu: {window: {{.Window}}, cpu_seconds: {{.CPUSeconds}}, cooldown: 5s, max_cooldown: 10s}
  memory: {window: {{.Window}}, cooldown: 5s, max_cooldown: 10s, kinds: [heap, goroutine]}
  throttled: {enabled: false}
take: {max_at_once: 4, connect_timeout: 2s, timeout: 8s}
publish: {retry_max: 2s}
nats: {url: "{{.NATS}}", nkey_file: {{.Dir}}/agent.nk, reconnect_wait: 1s}
`

// scene is gopprof at work, with what may fail of it.
type scene struct {
	*rig.Rig
	t      *testing.T
	fleet  *fleet
	disk   *disk    // under the store; nil where none can be mounted
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
		t.Skipf("no cgroup with limits on this machine: %v", err)
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
	s.mountStore()
	s.fleet = newFleet(t, s, filepath.Join(bin, "burner"))
	if _, err := parts.Binary("influxd"); err != nil {
		s.absent = append(s.absent, fmt.Sprintf("InfluxDB, the second witness: %v", err))
	} else {
		must(t, s.StartInfluxDB(ctx))
	}
	must(t, s.StartInbox())
	s.fleet.witness(ctx)
	must(t, s.startAggregator(ctx))
	must(t, s.startAgent(ctx))
	return s
}

// build builds the programs as users have them, without the race detector.
func build(ctx context.Context, t *testing.T, dir string) (bin string) {
	t.Helper()
	root, err := parts.Root()
	must(t, err)
	bin = filepath.Join(dir, "bin")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", bin+"/", "./agent", "./aggregator", "./test/burner")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the programs: %v: %s", err, out)
	}
	return bin
}

// mountStore puts the store on a disk that can be filled.
func (s *scene) mountStore() {
	store := filepath.Join(s.Dir, "store")
	d, err := newDisk(store)
	if err == nil {
		s.disk = d
		s.t.Cleanup(d.close)
		return
	}
	s.absent = append(s.absent, fmt.Sprintf("a disk that can be filled: %v", err))
	must(s.t, os.Mkdir(store, 0o755))
}

func (s *scene) startAgent(ctx context.Context) error {
	err := s.StartAgent(ctx)
	if s.Agent != nil && (len(s.lives) == 0 || s.lives[len(s.lives)-1].Process != s.Agent) {
		s.lives = append(s.lives, life{Process: s.Agent})
	}
	return err
}

func (s *scene) startAggregator(ctx context.Context) error {
	err := s.StartAggregator(ctx)
	if s.Aggregator != nil && (len(s.aggregators) == 0 || s.aggregators[len(s.aggregators)-1] != s.Aggregator) {
		s.aggregators = append(s.aggregators, s.Aggregator)
	}
	return err
}

func (s *scene) killAgent() {
	s.measure(s.Agent)
	s.lives[len(s.lives)-1].killed = time.Now()
	s.Agent.Kill()
}

func (s *scene) killAggregator() {
	s.measure(s.Aggregator)
	s.Aggregator.Kill()
}

// stop tells a program to end, which it has to do by itself and well.
func (s *scene) stop(p *rig.Process) error {
	s.measure(p)
	p.Stop()
	if code := p.ExitCode(); code != 0 {
		return fmt.Errorf("%s was told to stop and ended with code %d", p.Name, code)
	}
	return nil
}

// measure notes the most memory that a program had resident in this life.
func (s *scene) measure(p *rig.Process) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return // it has ended
	}
	s.peak[p.Name] = max(s.peak[p.Name], field(string(status), "VmHWM:"))
}

// freeze stops the aggregator in its tracks until the returned function is called.
func (s *scene) freeze() (thaw func() error, err error) {
	p := s.Aggregator
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return nil, err
	}
	return func() error { return p.Signal(syscall.SIGCONT) }, nil
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

// checkProcesses fails the test when a process of a program in bin is left; who draws for an
// aggregator that was killed may finish first.
func checkProcesses(t *testing.T, bin string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
	defer cancel()
	if err := rig.Poll(ctx, func() error {
		links, err := filepath.Glob("/proc/[0-9]*/exe")
		for _, link := range links {
			if exe, err := os.Readlink(link); err == nil && strings.HasPrefix(exe, bin) {
				return fmt.Errorf("%s is %s", filepath.Dir(link), exe)
			}
		}
		return err
	}); err != nil {
		t.Errorf("leaked: %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
