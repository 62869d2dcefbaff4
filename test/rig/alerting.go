package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/test/parts"
)

// alertSecret is what Alertmanager and the aggregator share. Both listen on loopback only.
const alertSecret = "rig-alert-secret-0123456789"

// alertmanagerConfig sends every alert on at once, each by itself, and again and again: a
// repetition comes within seconds. Without a webhook it tells nobody.
const alertmanagerConfig = `
route: {receiver: gopprof, group_by: ['...'], group_wait: 10ms, group_interval: 1s, repeat_interval: 1s}
receivers:
- name: gopprof
{{- if .Webhook}}
  webhook_configs:
  - url: {{.Webhook}}
    send_resolved: true
    http_config: {authorization: {type: Bearer, credentials_file: {{.AlertSecret}}}}
{{- end}}
`

// Alertmanager is a running Alertmanager.
type Alertmanager struct{ URL string }

// AlertmanagerAlert is an alert as its API shows and takes it.
type AlertmanagerAlert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	StartsAt     time.Time         `json:"startsAt,omitzero"`
	EndsAt       time.Time         `json:"endsAt,omitzero"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
	Fingerprint  string            `json:"fingerprint,omitempty"`
}

// StartAlertmanager starts Alertmanager, which tells nobody of its alerts yet. An aggregator
// that starts later has it as a receiver, and takes its alerts.
func (r *Rig) StartAlertmanager(ctx context.Context) error {
	r.values.AlertSecret = filepath.Join(r.Dir, "alert.secret")
	if err := os.WriteFile(r.values.AlertSecret, []byte(alertSecret+"\n"), 0o600); err != nil {
		return fmt.Errorf("starting Alertmanager: %w", err)
	}
	path, err := r.write("alertmanager.yaml", alertmanagerConfig)
	if err != nil {
		return err
	}
	address, err := r.startServer(ctx, "prometheus-alertmanager", "--config.file="+path, "--storage.path="+filepath.Join(r.Dir, "alertmanager"),
		"--cluster.listen-address=", "--web.listen-address=127.0.0.1:0", "--log.format=json")
	if err != nil {
		return err
	}
	r.Alertmanager = &Alertmanager{URL: "http://" + address}
	r.values.Alertmanager = r.Alertmanager.URL
	return nil
}

// startServer starts a program of Prometheus' family and returns where it listens.
func (r *Rig) startServer(ctx context.Context, name string, args ...string) (address string, err error) {
	binary, err := parts.Binary(name)
	if err != nil {
		return "", err
	}
	p, err := r.Start(name, append([]string{binary}, args...))
	if err != nil {
		return "", err
	}
	line, err := p.Await(ctx, "Listening on")
	return line.Text("address"), err
}

// TellAggregator makes Alertmanager tell the aggregator of its alerts from now on.
func (r *Rig) TellAggregator(ctx context.Context) error {
	r.values.Webhook = r.API + api.PathAlerts
	if _, err := r.write("alertmanager.yaml", alertmanagerConfig); err != nil {
		return err
	}
	_, err := Fetch(ctx, http.MethodPost, r.Alertmanager.URL+"/-/reload", nil)
	return err
}

// Post makes alerts known to Alertmanager, as Prometheus does.
func (a *Alertmanager) Post(ctx context.Context, alerts ...AlertmanagerAlert) error {
	_, err := Fetch(ctx, http.MethodPost, a.URL+"/api/v2/alerts", alerts)
	return err
}

// Alerts returns those that fire.
func (a *Alertmanager) Alerts(ctx context.Context) ([]AlertmanagerAlert, error) {
	body, err := Fetch(ctx, http.MethodGet, a.URL+"/api/v2/alerts", nil)
	if err != nil {
		return nil, err
	}
	var alerts []AlertmanagerAlert
	if err := json.Unmarshal(body, &alerts); err != nil {
		return nil, fmt.Errorf("reading alerts: %w", err)
	}
	return alerts, nil
}

// prometheusConfig scrapes both programs where they are, evaluates rules and tells
// Alertmanager.
const prometheusConfig = `
global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}
rule_files: [{{.Rules}}]
alerting: {alertmanagers: [{static_configs: [{targets: ["{{.AlertmanagerHost}}"]}]}]}
scrape_configs:
- {job_name: gopprof-agent, static_configs: [{targets: ["{{.AgentStatus}}"]}]}
- {job_name: gopprof-aggregator, static_configs: [{targets: ["{{.AggregatorStatus}}"]}]}
`

// PrometheusParts is what a Prometheus is to know of: host:port of the status ports, and a
// file of rules.
type PrometheusParts struct{ Agent, Aggregator, Rules string }

// StartPrometheus starts Prometheus, which tells the rig's Alertmanager, and returns its URL.
func (r *Rig) StartPrometheus(ctx context.Context, p PrometheusParts) (url string, err error) {
	r.values.AgentStatus, r.values.AggregatorStatus, r.values.Rules = p.Agent, p.Aggregator, p.Rules
	r.values.AlertmanagerHost = r.Alertmanager.URL[len("http://"):]
	path, err := r.write("prometheus.yaml", prometheusConfig)
	if err != nil {
		return "", err
	}
	address, err := r.startServer(ctx, "prometheus", "--config.file="+path, "--storage.tsdb.path="+filepath.Join(r.Dir, "prometheus"),
		"--web.listen-address=127.0.0.1:0", "--log.format=json")
	if err != nil {
		return "", err
	}
	return "http://" + address, nil
}
