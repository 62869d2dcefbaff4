package record

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/heapster"
)

// errNoDatabase is InfluxDB's answer to a write into a database that does not exist.
var errNoDatabase = errors.New("database not found")

// errImpossible is a number that no field can hold.
var errImpossible = errors.New("not a number from 0")

// write sends one batch, creating the database on the way if it must.
func (r *Recorder) write(ctx context.Context, b batch) error {
	lines, n, refused := encode(b)
	r.metrics.failures.WithLabelValues(string(gopprof.ReasonBadInput)).Add(float64(refused))
	if n == 0 {
		return nil
	}
	err := r.send(ctx, lines)
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
	if !created(answer) {
		return fmt.Errorf("creating database %q: %w", r.config.Database, refusal(answer))
	}
	return nil
}

// created tells whether the answer to a statement is that it was done: a failed one has status
// 200 too.
func created(a heapster.Answer) bool {
	var said struct {
		Results []struct{ Error string }
	}
	return a.Status == http.StatusOK && json.Unmarshal(a.Body, &said) == nil && len(said.Results) == 1 && said.Results[0].Error == ""
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
