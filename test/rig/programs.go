package rig

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/gopprof/gopprof/pkg/bus/embedded"
	"github.com/gopprof/gopprof/test/parts"
	"github.com/gopprof/gopprof/test/series"
)

// AggregatorYAML is the aggregator's configuration where Config names none. It and the agent's
// differ from the defaults in their places, and in shorter windows and series, so that nobody
// has to wait.
const AggregatorYAML = `
status: {listen: "127.0.0.1:0"}
serve: {listen: "127.0.0.1:0"}
embedded:
  listen: {{.Listen}}
  dir: {{.Dir}}/nats
  agents: [{cluster: {{.Cluster}}, node: {{.Node}}, nkey: {{.AgentKey}}}]
streams: {ack_wait: 10s}
receive: {in_progress_interval: 2s, retry_delay: 1s}
store: {url: "file://{{.Dir}}/reports"}
views: {memory_bytes: 1073741824, resident_bytes: 1073741824} # the race detector multiplies memory
{{- if .Inbox}}
notify:
  receivers:
  - {name: inbox, channel: webhook, url: "{{.Inbox}}"}
{{- if .Alertmanager}}
  - {name: alerts, channel: alertmanager, url: "{{.Alertmanager}}"}
  routes: [{owner: {{.Owner}}, receivers: [inbox, alerts], group_wait: 1ms, end_after: 3s}]
alerts: {secret_file: {{.AlertSecret}}, namespaces: [{{.Namespace}}]}
operations: {cpu_duration: {{.CPUSeconds}}}
{{- else}}
  routes: [{owner: {{.Owner}}, receivers: [inbox]}]
{{- end}}
{{- end}}
`

// AgentYAML is the agent's configuration where Config names none.
const AgentYAML = `
cluster: {{.Cluster}}
node: {{.Node}}
state_dir: {{.Dir}}/agent
shutdown_timeout: 5s
state_interval: 1s
status: {listen: "127.0.0.1:0"}
static: {file: {{.Dir}}/targets.yaml}
observe: {warm_interval: {{.Warm}}, quiet_interval: {{.Quiet}}}
heapster: {url: "{{.InfluxDB}}", resolution: {{.Window}}, jitter: 0s}
agreement: {every: 1s}
judge:
  cpu: {window: {{.Window}}, cpu_seconds: {{.CPUSeconds}}}
  memory: {window: {{.Window}}}
  throttled: {enabled: false}
publish: {retry_max: 2s}
nats: {url: "{{.NATS}}", nkey_file: {{.Dir}}/agent.nk, reconnect_wait: 1s}
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
  build: "1"
{{- range .Siblings}}
- namespace: {{$.Namespace}}
  workload: {{$.Workload}}
  pod: {{.Pod}}
  container: {{$.Container}}
  owner: {{$.Owner}}
  pprof: http://{{.Burner}}/debug/pprof
  cgroup: {{.Cgroup}}
  build: "1"
{{- end}}
`

// values fills the templates.
type values struct {
	Dir, Cluster, Node, Namespace, Workload, Pod, Container, Owner string
	AgentKey, Inbox, InfluxDB, NATS, Listen, Burner, Cgroup        string
	Alertmanager, AlertSecret, Webhook                             string
	AlertmanagerHost, AgentStatus, AggregatorStatus, Rules         string
	Window, CPUSeconds, Warm, Quiet                                time.Duration
	Siblings                                                       []sibling
}

// sibling is another pod of the workload.
type sibling struct{ Pod, Burner, Cgroup string }

func (r *Rig) write(name, text string) (path string, err error) {
	path = filepath.Join(r.Dir, name)
	f, err := os.Create(path)
	if err != nil {
		return "", fmt.Errorf("writing configuration: %w", err)
	}
	defer f.Close()
	if err := template.Must(template.New(name).Parse(text)).Execute(f, r.values); err != nil {
		return "", fmt.Errorf("writing configuration %q: %w", path, err)
	}
	return path, nil
}

// StartInfluxDB starts the database of the series. Started again, it takes up its data at
// the same address.
func (r *Rig) StartInfluxDB(ctx context.Context) error {
	dir := filepath.Join(r.Dir, "influxdb")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("starting InfluxDB: %w", err)
	}
	options, first := parts.InfluxDBOptions{}, r.InfluxDB == nil
	if !first {
		options.Listen = r.InfluxDB.Listen
	}
	db, err := parts.StartInfluxDBWith(context.WithoutCancel(ctx), dir, options)
	if err != nil {
		return err
	}
	r.InfluxDB, r.values.InfluxDB = db, db.URL
	if first {
		r.later(func() { _ = r.InfluxDB.Stop() })
	}
	return nil
}

// StartBurner starts the service that will misbehave, in a cgroup with limits.
func (r *Rig) StartBurner(binary string) error {
	b, cgroup, err := r.burner(binary)
	if err != nil {
		return err
	}
	r.Burner, r.Cgroup, r.values.Cgroup, r.values.Burner = b, cgroup, cgroup, b.Addr
	_, err = r.write("targets.yaml", targetsFile)
	return err
}

// StartSibling starts one more pod of the same workload and build, which stays quiet: it has
// ordinary visitors alone.
func (r *Rig) StartSibling(binary, pod string) error {
	b, cgroup, err := r.burner(binary, "-base-cores", "0", "-load-cores", "0.05")
	if err != nil {
		return err
	}
	r.values.Siblings = append(r.values.Siblings, sibling{pod, b.Addr, cgroup})
	_, err = r.write("targets.yaml", targetsFile)
	return err
}

// burner starts one in a cgroup of its own, whose path it returns.
func (r *Rig) burner(binary string, flags ...string) (*parts.Burner, string, error) {
	cgroup, err := parts.NewCgroup("gopprof-rig", parts.CgroupLimits{CPUCores: LimitCores, MemoryBytes: LimitBytes})
	if err != nil {
		return nil, "", err
	}
	r.later(func() { _ = cgroup.Remove() })
	if err := cgroup.Prefer(); err != nil {
		return nil, "", err
	}
	b, err := parts.StartBurner(binary, cgroup, flags...)
	if err != nil {
		return nil, "", err
	}
	r.later(func() { _ = b.Stop() })
	return b, cgroup.Path, nil
}

// StartSeries starts the second witness.
func (r *Rig) StartSeries(ctx context.Context) error {
	c := r.SeriesConfig()
	if len(r.Series) > 0 {
		_, err := r.Start("series", append(r.Series, c.Flags()...))
		return err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = series.New(c).Run(ctx) // a gap, as Heapster leaves them; who needs the points sees it
	}()
	r.later(func() { cancel(); <-done })
	return nil
}

// AggregatorConfig writes the aggregator's configuration.
func (r *Rig) AggregatorConfig() (path string, err error) {
	if r.values.AgentKey == "" {
		if err := r.makeKey(); err != nil {
			return "", err
		}
	}
	return r.write("aggregator.yaml", cmp.Or(r.AggregatorYAML, AggregatorYAML))
}

// AgentConfig writes the agent's configuration.
func (r *Rig) AgentConfig() (path string, err error) {
	return r.write("agent.yaml", cmp.Or(r.AgentYAML, AgentYAML))
}

// AggregatorRuns tells the rig where the aggregator is.
func (r *Rig) AggregatorRuns(nats, api string) {
	r.values.NATS, r.API = nats, "http://"+api
	r.values.Listen = strings.TrimPrefix(nats, "nats://")
}

// StartAggregator starts the aggregator and waits until it works. Started again, it takes
// up where the last one was ended, at the same address.
func (r *Rig) StartAggregator(ctx context.Context) error {
	path, err := r.AggregatorConfig()
	if err != nil {
		return err
	}
	first := r.Aggregator == nil
	if r.Aggregator, err = start(r.Dir, "aggregator", append(r.Config.Aggregator, "--config", path)); err != nil {
		return err
	}
	if first {
		r.later(func() { r.Aggregator.Stop() })
	}
	line, err := r.Aggregator.Await(ctx, "aggregator started")
	if err != nil {
		return err
	}
	r.AggregatorRuns(line.Text("nats"), line.Text("api"))
	return nil
}

// NATS is the URL of the aggregator's NATS.
func (r *Rig) NATS() string { return r.values.NATS }

func (r *Rig) makeKey() error {
	seed, public, err := embedded.NewKey()
	if err != nil {
		return fmt.Errorf("making the agent's key: %w", err)
	}
	r.values.AgentKey = public
	return os.WriteFile(filepath.Join(r.Dir, "agent.nk"), []byte(seed), 0o600)
}

// StartAgent starts the agent and waits until it works. Started again, it finds the state
// of the one before.
func (r *Rig) StartAgent(ctx context.Context) error {
	path, err := r.AgentConfig()
	if err != nil {
		return err
	}
	first := r.Agent == nil
	if r.Agent, err = start(r.Dir, "agent", append(r.Config.Agent, "--config", path)); err != nil {
		return err
	}
	if first {
		r.later(func() { r.Agent.Stop() })
	}
	line, err := r.Agent.Await(ctx, "agent started")
	if err != nil {
		return err
	}
	r.Status = "http://" + line.Text("status") + "/status"
	return nil
}
