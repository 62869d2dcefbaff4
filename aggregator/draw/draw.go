// Package draw makes a call graph (SVG) of a profile.
//
// Enters: the bytes of a profile as a target sent them. Leaves: an SVG that may be shown
// to a person. The driver of google/pprof and graphviz's dot work in child processes with
// limits on CPU, memory and time, on a cleaned copy of the profile; a profile that wedges
// them costs its own drawing and nothing else.
//
// Must never happen: a script, link, image or style of a profile's making in the SVG; a
// drawing that outlives its time limit; a secret of the aggregator's environment in a
// child.
//
// Its child package views serves pprof's own pages, in children of the same kind.
package draw

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// ErrUnavailable means that graphviz's dot is missing or does not work: there are no
// drawings until it is installed.
var ErrUnavailable = errors.New("no call graphs")

// ErrClosed means that the Drawer was closed.
var ErrClosed = errors.New("drawing has ended")

// Drawer draws profiles, a bounded number at once. It is safe for concurrent use.
type Drawer struct {
	cfg     Config
	argv    []string
	log     *zap.Logger
	metrics *metrics
	places  chan struct{} // as many as there may be workers at work
	ctx     context.Context
	cancel  context.CancelFunc
	closing sync.Once

	looking  sync.Mutex // held while graphviz is looked for
	graphviz graphviz   // the zero value until it is found

	mu   sync.Mutex
	idle []*Child // started, without a job; at most as many as there are free places
}

// New returns a Drawer whose workers are started, when first needed, with the command
// line argv: a program that calls Worker on its standard input and output. A missing dot
// is not an error here: see Available.
func New(cfg Config, argv []string, log *zap.Logger, reg prometheus.Registerer) (*Drawer, error) {
	argv, err := CommandLine(argv)
	if err != nil {
		return nil, err
	}
	d := &Drawer{
		cfg:     cfg,
		argv:    argv,
		log:     log,
		metrics: newMetrics(reg),
		places:  make(chan struct{}, cfg.Workers),
	}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d, nil
}

// CommandLine returns a worker's command line as StartChild takes it.
func CommandLine(argv []string) ([]string, error) {
	program, err := lookPath(argv[0])
	if err != nil {
		return nil, fmt.Errorf("finding the worker: %w", err)
	}
	return append([]string{program}, argv[1:]...), nil
}

// lookPath finds a program and makes its path absolute: children run in another directory.
func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}

// Available tells whether drawings can be made, by making a trivial one. The error is
// ErrUnavailable, with what to do.
func (d *Drawer) Available() error {
	g, err := d.found()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(d.ctx, d.cfg.Timeout)
	defer cancel()
	lim := limits{CPUSeconds: d.cfg.CPUSeconds, MemoryBytes: d.cfg.MemoryBytes, OutputBytes: d.cfg.SVGBytes}
	svg, err := g.run(ctx, []byte(`digraph "available" { N1 [label="works"] }`), lim)
	if err == nil {
		_, err = sanitize(svg, d.cfg.SVGBytes)
	}
	if err != nil {
		return fmt.Errorf("%w: %q does not work: %w", ErrUnavailable, g.Dot, err)
	}
	return nil
}

// lookingMost is how long graphviz may take to say what it has: some 20 ms on a free
// machine.
const lookingMost = 5 * time.Second

// found returns graphviz, which may be installed, replaced and cleaned away while we run.
func (d *Drawer) found() (graphviz, error) {
	d.looking.Lock()
	defer d.looking.Unlock()
	if d.ctx.Err() != nil {
		return graphviz{}, ErrClosed
	}
	if d.graphviz.usable() {
		return d.graphviz, nil
	}
	d.forget()
	ctx, cancel := context.WithTimeout(d.ctx, lookingMost)
	defer cancel()
	g, err := findGraphviz(ctx, d.cfg.Dot, d.log)
	if err != nil {
		return graphviz{}, err
	}
	d.graphviz = g
	return g, nil
}

// forget removes the directory of plugins.
func (d *Drawer) forget() {
	if d.graphviz.Plugins != "" {
		os.RemoveAll(d.graphviz.Plugins) //nolint:errcheck // links in the system's directory of temporary files
	}
	d.graphviz = graphviz{}
}

// Draw returns the call graph of a profile as SVG, which may be shown to a person: it
// holds shapes and text only. It waits for a free worker as long as ctx allows, then takes
// Config.Timeout at most. The error's text is fit for a page.
func (d *Drawer) Draw(ctx context.Context, kind gopprof.Kind, data []byte) ([]byte, error) {
	svg, err := d.draw(ctx, kind, data)
	if err != nil {
		d.metrics.failures.WithLabelValues(string(reasonOf(err))).Inc()
		return nil, fmt.Errorf("drawing a %s profile: %w", kind, err)
	}
	return svg, nil
}

func (d *Drawer) draw(ctx context.Context, kind gopprof.Kind, data []byte) ([]byte, error) {
	g, err := d.found()
	if err != nil {
		return nil, err
	}
	if limit := profile.DefaultLimits().CompressedBytes; int64(len(data)) > limit {
		return nil, fmt.Errorf("%w: %d bytes, at most %d allowed", profile.ErrTooLarge, len(data), limit)
	}
	select {
	case d.places <- struct{}{}:
		defer func() { <-d.places }()
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for a draw worker: %w", ctx.Err())
	case <-d.ctx.Done():
		return nil, ErrClosed
	}
	defer d.measure(time.Now())
	svg, err := d.job(ctx, drawing{
		Kind: kind, Graphviz: g, Nodes: d.cfg.Nodes, CPUSeconds: d.cfg.CPUSeconds,
		MemoryBytes: d.cfg.MemoryBytes, SVGBytes: d.cfg.SVGBytes,
	}, data)
	if err != nil {
		return nil, err
	}
	return sanitize(svg, d.cfg.SVGBytes)
}

func (d *Drawer) measure(start time.Time) {
	d.metrics.seconds.Observe(time.Since(start).Seconds())
}

// errJob is a failure of the job, not of the worker.
var errJob = errors.New("no drawing")

// job has one profile drawn by a worker, which is replaced when it overruns or dies.
func (d *Drawer) job(ctx context.Context, what drawing, data []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.cfg.Timeout, fmt.Errorf("took longer than %v: %w", d.cfg.Timeout, context.DeadlineExceeded))
	defer cancel()
	defer context.AfterFunc(d.ctx, cancel)()
	d.metrics.busy.Inc()
	defer d.metrics.busy.Dec()
	svg, err := d.try(ctx, what, data)
	if errors.Is(err, ErrGone) && ctx.Err() == nil {
		d.dismiss() // it died while it was idle, not of this job, and the others may have with it
		svg, err = d.try(ctx, what, data)
	}
	failed, told := errors.AsType[*JobError](err)
	switch {
	case told:
		return nil, fmt.Errorf("%w: %w", errJob, failed)
	case d.ctx.Err() != nil:
		return nil, ErrClosed
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	return svg, err
}

// try gives the job to a worker, and does away with the worker if it failed.
func (d *Drawer) try(ctx context.Context, what drawing, data []byte) ([]byte, error) {
	c, err := d.child()
	if err != nil {
		return nil, err
	}
	svg, err := c.Do(ctx, what, what.SVGBytes, data)
	if _, told := errors.AsType[*JobError](err); err != nil && !told {
		c.Stop() //nolint:errcheck // the job's error says it
		d.log.Warn("draw worker stopped", zap.Int("pid", c.PID()), zap.String("kind", string(what.Kind)), zap.Error(err))
		return nil, err
	}
	d.mu.Lock()
	d.idle = append(d.idle, c)
	d.mu.Unlock()
	return svg, err
}

// softBytes is where a worker begins to rather collect garbage than grow: what a large genuine
// profile takes.
const softBytes = 64 << 20

// child returns the worker that was busy last, or starts one if none is idle.
func (d *Drawer) child() (*Child, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := len(d.idle); n > 0 {
		c := d.idle[n-1]
		d.idle = d.idle[:n-1]
		return c, nil
	}
	c, err := StartChild(d.argv, ChildLimits{MemoryBytes: d.cfg.MemoryBytes, SoftBytes: softBytes})
	if err != nil {
		return nil, err
	}
	d.metrics.started.Inc()
	d.log.Info("draw worker started", zap.Int("pid", c.PID()))
	return c, nil
}

// Close ends the workers. Drawings that are being made, or waited for, fail with
// ErrClosed.
func (d *Drawer) Close() { d.closing.Do(d.close) }

func (d *Drawer) close() {
	d.cancel()
	for range d.cfg.Workers {
		d.places <- struct{}{} // taken for good
	}
	d.dismiss()
	d.looking.Lock()
	defer d.looking.Unlock()
	d.forget()
}

// dismiss ends the workers that are idle.
func (d *Drawer) dismiss() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.idle {
		c.Stop() //nolint:errcheck // killed
	}
	d.idle = nil
}

// reasonOf classes a failure for the metric.
func reasonOf(err error) gopprof.Reason {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return gopprof.ReasonTimeout
	case errors.Is(err, context.Canceled), errors.Is(err, ErrClosed):
		return gopprof.ReasonCancelled
	case errors.Is(err, profile.ErrTooLarge):
		return gopprof.ReasonTooLarge
	}
	return gopprof.ReasonDrawFailed
}
