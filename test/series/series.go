// Package series is a second witness for tests and the demo: it reads one container's
// cgroup files by itself, without cAdvisor and without any code of the agent, and writes
// what Heapster would have written about it into InfluxDB.
//
// A cgroup and its names enter, points in Heapster's default schema leave, one batch at
// each interval's end. It must never share code with agent/observe or agent/record: two
// witnesses that read with the same code would agree about the same mistake.
package series

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Config is one container and the database that its series go to.
type Config struct {
	URL       string        // of InfluxDB
	Database  string        // created if missing
	Interval  time.Duration // Heapster's resolution; its default is one minute
	Node      string
	Namespace string
	Pod       string
	Container string
	Cgroup    string    // path below the cgroup root, the same in every v1 hierarchy
	Gaps      io.Writer // is told when a gap begins; nil is the standard error
}

// Register declares the flags that Flags returns.
func (c *Config) Register(flags *flag.FlagSet) {
	for name, value := range c.texts() {
		flags.StringVar(value, name, "", "of the series")
	}
	flags.DurationVar(&c.Interval, "interval", 0, "of the series")
}

// Flags returns the configuration as the flags of a process that writes these series.
func (c *Config) Flags() []string {
	flags := []string{"-interval", c.Interval.String()}
	for name, value := range c.texts() {
		flags = append(flags, "-"+name, *value)
	}
	return flags
}

func (c *Config) texts() map[string]*string {
	return map[string]*string{
		"influxdb": &c.URL, "database": &c.Database, "node": &c.Node, "namespace": &c.Namespace,
		"pod": &c.Pod, "container": &c.Container, "cgroup": &c.Cgroup,
	}
}

// Writer writes one container's series.
type Writer struct {
	config Config
	client *http.Client
	last   usage
}

// New returns a writer.
func New(config Config) *Writer {
	return &Writer{config: config, client: &http.Client{Timeout: 5 * time.Second}}
}

// Run writes one batch at the end of each interval, aligned to the clock as Heapster's
// are, until ctx ends. Like Heapster it does not retry: a failed batch is a gap. Its error
// is that of the database, which could not be made.
func (w *Writer) Run(ctx context.Context) error {
	if err := w.createDatabase(ctx); err != nil {
		return err
	}
	for gap := false; ; {
		now := time.Now()
		end := now.Truncate(w.config.Interval).Add(w.config.Interval)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(end.Sub(now)):
		}
		err := w.Batch(ctx, end)
		if err != nil && !gap && ctx.Err() == nil {
			fmt.Fprintln(w.gaps(), "a gap in the series begins:", err)
		}
		gap = err != nil
	}
}

func (w *Writer) gaps() io.Writer {
	if w.config.Gaps != nil {
		return w.config.Gaps
	}
	return os.Stderr
}

// Batch reads the cgroup and writes the points of the interval that ends now.
func (w *Writer) Batch(ctx context.Context, end time.Time) error {
	now, err := read(w.config.Cgroup)
	if err != nil {
		return err
	}
	before := w.last
	w.last = now
	lines := w.lines(before, now, end)
	return w.post(ctx, "/write?rp=default&precision=ns&db="+w.config.Database, lines)
}

func (w *Writer) lines(before, now usage, end time.Time) string {
	tags := fmt.Sprintf("type=pod_container,namespace_name=%s,pod_name=%s,container_name=%s,nodename=%s,container_base_image=burner",
		escape(w.config.Namespace), escape(w.config.Pod), escape(w.config.Container), escape(w.config.Node))
	var b strings.Builder
	point := func(measurement string, value int64) {
		fmt.Fprintf(&b, "%s,%s value=%di %d\n", measurement, tags, value, end.UnixNano())
	}
	point("cpu/limit", now.limitMillicores)
	point("memory/limit", now.memoryLimit)
	point("memory/working_set", now.workingSet)
	// After a gap there is none: a mean over two intervals is not that of one.
	if elapsed := now.at.Sub(before.at); elapsed > 0 && elapsed < w.config.Interval*3/2 {
		point("cpu/usage_rate", (now.cpu-before.cpu).Microseconds()*1000/elapsed.Microseconds())
	}
	return b.String()
}

// escape follows InfluxDB's line protocol for tag values.
func escape(s string) string {
	return strings.NewReplacer(",", `\,`, "=", `\=`, " ", `\ `).Replace(s)
}

// createDatabase makes the database with the retention policy that Heapster makes, whose
// name is "default".
func (w *Writer) createDatabase(ctx context.Context) error {
	statement := fmt.Sprintf(`CREATE DATABASE %q WITH DURATION INF NAME "default"`, w.config.Database)
	return w.post(ctx, "/query?q="+url.QueryEscape(statement), "")
}

func (w *Writer) post(ctx context.Context, path, body string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.config.URL+path, bytes.NewBufferString(body))
	if err != nil {
		return fmt.Errorf("writing series: %w", err)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return fmt.Errorf("writing series: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return fmt.Errorf("writing series: InfluxDB answered %s", resp.Status)
	}
	return nil
}
