// Package alertmanager writes a message for Prometheus' Alertmanager: alerts for
// POST /api/v2/alerts (https://prometheus.io/docs/alerting/latest/alerts_api,
// https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml), one for each pod
// that is told of. A letter enters, a POST leaves; it does no I/O.
//
// The labels say which alert it is and must never hold what changes from one message about
// the same pod to the next; the annotations say the rest and hold the links. An alert ends
// when its incident is over: endsAt says when that is if nothing more comes, and the
// follow-up sets it to the time of the last report. Its name must be one of gopprof's own:
// Alertmanager may send it back to us.
package alertmanager

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/gopprof/gopprof/aggregator/notify"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// path is where alerts are posted to.
const path = "/api/v2/alerts"

// alert is the API's postableAlert.
type alert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

// Channel is the channel.
type Channel struct{}

// Write implements notify.Poster.
func (Channel) Write(l notify.Letter) (notify.Post, error) {
	body, err := notify.JSON(alerts(l.Message, l.Now))
	return notify.Post{Body: body, ContentType: "application/json", Path: path}, err
}

func alerts(m notify.Message, now time.Time) []alert {
	if len(m.Parts) == 0 {
		return []alert{{
			Labels:      map[string]string{"alertname": gopprof.AlertTest},
			Annotations: map[string]string{"summary": m.Outline(0).Title, "description": m.Outline(0).Lines[0]},
			StartsAt:    now.UTC(), EndsAt: now.Add(time.Minute).UTC(),
		}}
	}
	all, at := []alert{}, map[string]int{}
	for _, p := range m.Parts {
		for _, i := range p.Items {
			a := alertOf(p, i, m.Text, now)
			id, _ := json.Marshal(a.Labels) // sorted by name
			if k, twice := at[string(id)]; twice {
				all[k] = a
				continue
			}
			at[string(id)] = len(all)
			all = append(all, a)
		}
	}
	return all
}

func alertOf(p notify.Part, i notify.Item, text string, now time.Time) alert {
	a := alert{
		Labels: labels(i), Annotations: annotations(p, i, text),
		StartsAt: p.Since.UTC(), EndsAt: p.Until.UTC(), GeneratorURL: i.Page(),
	}
	if p.Ended || p.Kind == notify.KindEnded {
		a.EndsAt = p.Last.UTC()
	} else if !a.EndsAt.After(now) { // one that is told of without a group to end
		a.EndsAt = now.Add(5 * time.Minute).UTC()
	}
	if a.StartsAt.After(a.EndsAt) || a.StartsAt.IsZero() {
		a.StartsAt = a.EndsAt
	}
	return a
}

func labels(i notify.Item) map[string]string {
	kind, name, _ := strings.Cut(i.Workload, "/")
	return filled(map[string]string{
		"alertname": gopprof.AlertHot, "cluster": i.Cluster, "namespace": i.Namespace, "workload": name, "workload_kind": kind,
		"pod": i.Pod, "container": i.Container, "owner": i.Owner, "rule": i.Rule, "trigger": i.Trigger, "cause": i.Cause().Kind, "incident": i.Incident,
	})
}

func annotations(p notify.Part, i notify.Item, text string) map[string]string {
	all := map[string]string{
		"summary": i.Title(), "description": i.Summary, "warnings": strings.Join(i.Warnings, ". "), "verdict": i.Cause().Line,
		"confidence": i.Cause().Confidence, "report": i.Report, "node": i.Node, "agreement": i.Agreement, "command": i.Command,
	}
	if text != "" {
		all["description"] = text
	}
	if p.Pods > len(p.Items) {
		all["more"] = notify.Counted(p.Pods-len(p.Items), "more pod", "more pods")
	}
	for _, l := range i.Links {
		all[linkName(l.Name)] = l.URL
	}
	return filled(all)
}

// linkName makes a link's name one of an annotation: "Call graph: cpu" is call_graph_cpu_url.
func linkName(s string) string {
	words := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	name := strings.Join(words, "_")
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		name = "link_" + name
	}
	return name + "_url"
}

// filled leaves out what is empty: to Alertmanager it is the same as absent.
func filled(all map[string]string) map[string]string {
	for name, value := range all {
		if value == "" {
			delete(all, name)
		}
	}
	return all
}

// Read implements notify.Poster.
func (Channel) Read(_ notify.Answer, said notify.Outcome) notify.Outcome { return said }

// Pace implements notify.Poster.
func (Channel) Pace() notify.Pace { return notify.Pace{} }
