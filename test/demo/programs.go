package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/gopprof/gopprof/test/parts"
)

// The configurations differ from the defaults in their places, and in windows and series
// of ten seconds instead of a minute, so that nobody has to wait.
const aggregatorConfig = `
log: {level: info}
status: {listen: "127.0.0.1:0"}
serve: {listen: "127.0.0.1:0"}
embedded:
  listen: 127.0.0.1:0
  dir: {{.Dir}}/nats
  agents: [{cluster: {{.Cluster}}, node: {{.Node}}, nkey: {{.AgentKey}}}]
store: {url: "file://{{.Dir}}/reports"}
notify:
  receivers: [{name: inbox, channel: webhook, url: "{{.Inbox}}"}]
  routes: [{owner: {{.Owner}}, receivers: [inbox]}]
`

const agentConfig = `
cluster: {{.Cluster}}
node: {{.Node}}
state_dir: {{.Dir}}/agent
shutdown_timeout: 5s
state_interval: 2s
status: {listen: "127.0.0.1:0"}
static: {file: {{.Dir}}/targets.yaml}
observe: {warm_interval: 1s, quiet_interval: 2s}
heapster: {url: "{{.InfluxDB}}", resolution: 10s, jitter: 0s}
agreement: {every: 1s}
judge:
  cpu: {window: 10s, cpu_seconds: 10s}
  memory: {window: 10s}
  throttled: {window: 10s, enabled: false}
publish: {dir: {{.Dir}}/agent/spool}
nats: {url: "{{.NATS}}", nkey_file: {{.Dir}}/agent.nk}
`

const targetsFile = `
targets:
- namespace: {{.Namespace}}
  workload: {{.Workload}}
  pod: {{.Pod}}
  container: {{.Container}}
  owner: {{.Owner}}
  pprof: http://{{.Burner}}/debug/pprof
  cgroup: {{.Cgroup}}
`

// names fills the templates.
type names struct {
	Dir, Cluster, Node, Namespace, Workload, Pod, Container, Owner string
	AgentKey, Inbox, InfluxDB, NATS, Burner, Cgroup                string
}

func (d *demo) write(name, text string) (path string, err error) {
	path = filepath.Join(d.dir, name)
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return path, template.Must(template.New(name).Parse(text)).Execute(f, d.names)
}

// program returns a program that `make build` built.
func program(name string) (string, error) {
	root, err := parts.Root()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "bin", name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is not built: run `make demo`: %w", name, err)
	}
	return path, nil
}

func (d *demo) startInfluxDB(ctx context.Context) error {
	dir := filepath.Join(d.dir, "influxdb")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	db, err := parts.StartInfluxDB(context.WithoutCancel(ctx), dir)
	if err != nil {
		return err
	}
	d.later(func() { _ = db.Stop() })
	d.names.InfluxDB = db.URL
	d.say("InfluxDB 1.8           %s", db.URL)
	return nil
}

func (d *demo) startAggregator(ctx context.Context) error {
	binary, err := program("aggregator")
	if err != nil {
		return err
	}
	public, err := exec.CommandContext(ctx, binary, "--new-key", filepath.Join(d.dir, "agent.nk")).Output()
	if err != nil {
		return fmt.Errorf("making the agent's key: %w", err)
	}
	d.names.AgentKey = strings.TrimSpace(string(public))
	path, err := d.write("aggregator.yaml", aggregatorConfig)
	if err != nil {
		return err
	}
	if d.aggregator, err = start(d.dir, "aggregator", binary, "--config", path); err != nil {
		return err
	}
	d.later(d.aggregator.stop)
	line, err := d.aggregator.await(ctx, "aggregator started")
	if err != nil {
		return err
	}
	d.names.NATS, d.api = line.text("nats"), "http://"+line.text("api")
	d.say("aggregator             NATS %s, pages %s", d.names.NATS, d.api)
	return nil
}

func (d *demo) startBurner(ctx context.Context) error {
	cgroup, err := parts.NewCgroup("gopprof-demo", parts.CgroupLimits{CPUCores: limitCores, MemoryBytes: 256 << 20})
	if err != nil {
		return fmt.Errorf("the demo needs to make a cgroup with a CPU limit (run it as root): %w", err)
	}
	d.later(func() { _ = cgroup.Remove() })
	binary, err := parts.BuildBurner(ctx, d.dir)
	if err != nil {
		return err
	}
	if d.burner, err = parts.StartBurner(binary, cgroup); err != nil {
		return err
	}
	d.later(func() { _ = d.burner.Stop() })
	d.names.Burner, d.names.Cgroup = d.burner.Addr, cgroup.Path
	d.say("%-22s pid %d in cgroup %s, limit %.1f cores", workload+" (the burner)", d.burner.PID, cgroup.Path, limitCores)
	return nil
}

// startSeries starts the second witness: a process of its own, which reads the cgroup by
// itself.
func (d *demo) startSeries(context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	p, err := start(d.dir, "series", self, "-series", "-series-url", d.names.InfluxDB, "-series-cgroup", d.names.Cgroup)
	if err != nil {
		return err
	}
	d.later(p.stop)
	d.say("Heapster's series      a process of its own reads the cgroup and writes to InfluxDB, every 10 s")
	return nil
}

func (d *demo) startAgent(ctx context.Context) error {
	binary, err := program("agent")
	if err != nil {
		return err
	}
	if _, err := d.write("targets.yaml", targetsFile); err != nil {
		return err
	}
	path, err := d.write("agent.yaml", agentConfig)
	if err != nil {
		return err
	}
	if d.agent, err = start(d.dir, "agent", binary, "--config", path); err != nil {
		return err
	}
	d.later(d.agent.stop)
	line, err := d.agent.await(ctx, "agent started")
	if err != nil {
		return err
	}
	d.say("agent                  why each target does or does not fire: http://%s/status", line.text("status"))
	return nil
}
