package record

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	client "github.com/influxdata/influxdb1-client/v2"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/heapster"
)

// errNoDatabase is InfluxDB's answer to a write into a database that does not exist.
var errNoDatabase = errors.New("database not found")

// write sends one batch, creating the database on the way if it must.
func (r *Recorder) write(ctx context.Context, b batch) error {
	lines, n, err := encode(b)
	if err != nil {
		return err
	}
	err = r.send(ctx, lines)
	if errors.Is(err, errNoDatabase) {
		if err := r.create(ctx); err != nil {
			return err
		}
		err = r.send(ctx, lines)
	}
	if err != nil {
		return fmt.Errorf("writing points: %w", err)
	}
	r.metrics.points.Add(float64(n))
	return nil
}

func (r *Recorder) send(ctx context.Context, lines string) error {
	answer, err := r.server.Write(ctx, url.Values{
		"db":        {r.config.Database},
		"rp":        {r.config.RetentionPolicy},
		"precision": {"s"},
	}, lines)
	if err != nil {
		return err
	}
	if answer.Status == http.StatusNoContent {
		return nil
	}
	return refusal(answer)
}

// create makes the database as Heapster does.
func (r *Recorder) create(ctx context.Context) error {
	statement := "CREATE DATABASE " + identifier(r.config.Database)
	if r.config.RetentionPolicy != "" {
		statement += " WITH NAME " + identifier(r.config.RetentionPolicy)
	}
	answer, err := r.server.Query(ctx, url.Values{"q": {statement}})
	if err != nil {
		return fmt.Errorf("creating database %q: %w", r.config.Database, err)
	}
	var said struct {
		Results []struct{ Error string }
	}
	if answer.Status == http.StatusOK && json.Unmarshal(answer.Body, &said) == nil && len(said.Results) == 1 && said.Results[0].Error == "" {
		return nil
	}
	return fmt.Errorf("creating database %q: %w", r.config.Database, refusal(answer))
}

// identifier quotes a name as InfluxQL wants it.
func identifier(name string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(name) + `"`
}

// refusal is what a server said in place of yes; a partial write names what was dropped.
func refusal(a heapster.Answer) error {
	const most = 200
	body := a.Body
	if len(body) > most {
		body = body[:most]
	}
	if a.Status == http.StatusNotFound && strings.Contains(string(body), errNoDatabase.Error()) {
		return fmt.Errorf("%w: %q", errNoDatabase, body)
	}
	return fmt.Errorf("status %d: %q", a.Status, body)
}

// encode returns the batch in line protocol, and how many points it has.
func encode(b batch) (string, int, error) {
	var lines strings.Builder
	n := 0
	for _, p := range b.points {
		for _, v := range values(p) {
			point, err := client.NewPoint(v.measurement, tags(p.Target), map[string]any{heapster.FieldValue: v.value}, b.at.Truncate(time.Second))
			if err != nil {
				return "", 0, fmt.Errorf("encoding point of %q: %w", p.Target.Key(), err)
			}
			lines.WriteString(point.PrecisionString("s") + "\n")
			n++
		}
	}
	return lines.String(), n, nil
}

type value struct {
	measurement string
	value       int64
}

// values are a point's numbers in Heapster's units. As with Heapster the limits go on where a
// use is not known.
func values(p Point) []value {
	var out []value
	if p.HasCPU {
		out = append(out, value{heapster.MeasurementCPUUse, whole(p.CPUCores * heapster.MillicoresPerCore)})
	}
	if p.HasMemory {
		out = append(out, value{heapster.MeasurementMemoryUse, whole(p.WorkingSetBytes)})
	}
	return append(out,
		value{heapster.MeasurementCPULimit, whole(p.CPULimitCores * heapster.MillicoresPerCore)},
		value{heapster.MeasurementMemoryLimit, whole(p.MemoryLimitBytes)})
}

func whole(v float64) int64 { return int64(math.Round(v)) }

// tags are Heapster's for a container, and the mark.
func tags(t gopprof.Target) map[string]string {
	tags := map[string]string{
		heapster.TagType:      heapster.TypeContainer,
		heapster.TagCluster:   t.Cluster,
		heapster.TagNode:      t.Node,
		heapster.TagNamespace: t.Namespace,
		heapster.TagPod:       t.Pod,
		heapster.TagContainer: t.Container,
		heapster.TagImage:     t.Image,
		heapster.TagSource:    heapster.SourceOurs,
	}
	for name, text := range tags {
		if text == "" { // InfluxDB knows no empty tags
			delete(tags, name)
		}
	}
	return tags
}
