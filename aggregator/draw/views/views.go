// Package views lets people look at a profile with google/pprof's own pages: flame graph,
// top and peek, of one profile or of the difference of two.
//
// Enters: which page of which view, and the files as targets sent them. Leaves: the page.
// Each opened view is a child process of its own with limits on CPU, memory, files and
// time, which is given its profiles cleaned, by pipes; it listens nowhere and is closed
// when nobody looks at it. A profile that wedges or kills its process costs that view and
// nothing else.
//
// Must never happen: a page of the driver's that reads or writes files or runs a program; a
// child that is left when the aggregator ends. The pages hold scripts: whoever shows them
// does so in a sandbox.
package views

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/draw"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
)

// View is what somebody looks at.
type View struct {
	// Key tells views apart: requests of one key are answered by one process.
	Key  string
	Kind gopprof.Kind
	// Title stands in the browser's tab, Home is the address of the report, relative to that of
	// the pages.
	Title, Home string
	Graph       bool // the page graph, which is not made here, leads somewhere
	// Profile returns the file, and Base the one that it is compared with; nil: with none.
	Profile, Base func(ctx context.Context) ([]byte, error)
}

// Views are the views that are open. It is safe for concurrent use.
type Views struct {
	cfg     Config
	argv    []string
	log     *zap.Logger
	metrics *metrics
	now     func() time.Time
	ctx     context.Context
	cancel  context.CancelFunc

	mu     sync.Mutex
	open   map[string]*view // by key; no more than cfg.MaxOpen
	closed bool
	users  sync.WaitGroup // Add under mu
}

// New returns Views whose processes are started with the command line argv: a program that
// calls Worker on its standard input and output.
func New(cfg Config, argv []string, log *zap.Logger, reg prometheus.Registerer) (*Views, error) {
	argv, err := draw.CommandLine(argv)
	if err != nil {
		return nil, err
	}
	vs := &Views{cfg: cfg, argv: argv, log: log, metrics: newMetrics(reg), now: time.Now, open: map[string]*view{}}
	vs.ctx, vs.cancel = context.WithCancel(context.Background())
	return vs, nil
}

// Page returns a page of a view as HTML, and opens the view if it is not. page is
// flamegraph, top or peek, query its parameters as they stand in the address. Errors are
// *gopprof.Error with a detail that is fit for a page, but those that View's functions
// return and that of ctx.
func (vs *Views) Page(ctx context.Context, what View, page, query string) ([]byte, error) {
	html, err := vs.page(ctx, what, page, query)
	if err != nil {
		reason := gopprof.ReasonOf(err)
		if reason == "" {
			reason = gopprof.ReasonCancelled
			if ctx.Err() == nil {
				reason = gopprof.ReasonInternal
			}
		}
		vs.metrics.failures.WithLabelValues(string(reason)).Inc()
	}
	return html, err
}

func (vs *Views) page(ctx context.Context, what View, page, query string) ([]byte, error) {
	j, err := ask(page, query)
	if err != nil {
		return nil, err
	}
	j.Bytes = vs.cfg.PageBytes
	v, err := vs.enter(what.Key)
	if err != nil {
		return nil, err
	}
	defer vs.leave(v)
	html, err := vs.answer(ctx, v, what, j)
	if err != nil {
		return nil, err
	}
	if html, err = adjust(html, what); err != nil {
		return nil, &gopprof.Error{Reason: gopprof.ReasonViewFailed, Detail: err.Error()}
	}
	return html, nil
}

// answer asks the view's process, when it is this request's turn. A process that is gone
// before it began the page did not die of it: another one is asked.
func (vs *Views) answer(ctx context.Context, v *view, what View, j job) ([]byte, error) {
	if err := vs.await(ctx, v); err != nil {
		return nil, err
	}
	defer v.release()
	if v.child != nil && vs.now().Sub(v.opened) >= vs.cfg.MaxAge {
		vs.end(v, causeOld, nil)
	}
	html, err := vs.try(ctx, v, what, j)
	if errors.Is(err, draw.ErrGone) && ctx.Err() == nil {
		html, err = vs.try(ctx, v, what, j)
	}
	return html, err
}

// await waits for the turn of a request, no longer than a page may take.
func (vs *Views) await(ctx context.Context, v *view) error {
	ctx, cancel := context.WithTimeoutCause(ctx, vs.cfg.Timeout, &gopprof.Error{
		Reason: gopprof.ReasonTimeout, Detail: fmt.Sprintf("other pages of this view took longer than %v", vs.cfg.Timeout)})
	defer cancel()
	select {
	case v.turn <- struct{}{}:
		return nil
	case <-vs.ctx.Done():
		return errClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// try opens the view if it is not open, and asks for the page. The process that it began
// goes on when the caller leaves: others may look at the same view.
func (vs *Views) try(ctx context.Context, v *view, what View, j job) ([]byte, error) {
	var files [][]byte
	if v.child == nil {
		var err error
		if files, err = what.files(ctx); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), vs.cfg.Timeout)
	defer cancel()
	defer context.AfterFunc(vs.ctx, cancel)()
	if v.child == nil {
		if err := vs.start(ctx, v, what.Kind, files); err != nil {
			return nil, vs.named(err)
		}
	}
	html, err := vs.do(ctx, v, j)
	if err != nil {
		return nil, vs.named(err)
	}
	return html, nil
}

// start starts the view's process and gives it the files, which are not there any more then.
func (vs *Views) start(ctx context.Context, v *view, kind gopprof.Kind, files [][]byte) (err error) {
	if vs.ctx.Err() != nil {
		return errClosed
	}
	v.child, err = draw.StartChild(vs.argv, vs.cfg.limits())
	if err != nil {
		return &gopprof.Error{Reason: gopprof.ReasonViewFailed, Detail: "its process could not be started", Err: err}
	}
	v.opened = vs.now()
	vs.metrics.opened.Inc()
	vs.metrics.open.Inc()
	vs.log.Info("view opened", zap.String("view", v.key), zap.Int("pid", v.child.PID()))
	o := &opening{Kind: kind, ProfileSize: int64(len(files[0])), Difference: len(files) > 1, ResidentBytes: vs.cfg.ResidentBytes}
	if _, err = vs.do(ctx, v, job{Open: o}, files...); v.child != nil && err != nil {
		vs.end(v, causeRefused, err)
	}
	return err
}

// do gives the view's process a job, and does away with the process if it failed.
func (vs *Views) do(ctx context.Context, v *view, j job, body ...[]byte) ([]byte, error) {
	result, err := v.child.Do(ctx, j, j.Bytes, body...)
	if _, told := errors.AsType[*draw.JobError](err); err == nil || told {
		return result, err
	}
	cause := causeDied
	switch {
	case vs.ctx.Err() != nil:
		cause, err = causeClosed, errClosed
	case ctx.Err() != nil:
		cause = causeTimeout
	}
	vs.end(v, cause, err)
	return nil, err
}

var (
	errClosed = &gopprof.Error{Reason: gopprof.ReasonCancelled, Detail: "the aggregator stops"}
	errFull   = &gopprof.Error{Reason: gopprof.ReasonViewsFull, Detail: "as many pprof views are open and at work as may be: try again in a moment"}
	errQueue  = &gopprof.Error{Reason: gopprof.ReasonViewsFull, Detail: "many pages of this view are being made: try again in a moment"}
)

// named gives a failure its reason and words for a page.
func (vs *Views) named(err error) error {
	if e, ok := errors.AsType[*gopprof.Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*draw.JobError](err); ok {
		reason := e.Reason
		if reason == "" {
			reason = gopprof.ReasonViewFailed
		}
		return &gopprof.Error{Reason: reason, Detail: profile.Printable(e.Text, 500)}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &gopprof.Error{Reason: gopprof.ReasonTimeout, Err: err,
			Detail: fmt.Sprintf("the page took longer than %v and its view was closed; loading it again opens it", vs.cfg.Timeout)}
	}
	if most := vs.passed(err.Error()); most > 0 {
		return &gopprof.Error{Reason: gopprof.ReasonViewFailed, Err: err, Detail: fmt.Sprintf(
			"the page takes more memory than the %d MiB that a view may have: look at a part of the profile by Focus, or at all of it with go tool pprof", most>>20)}
	}
	return &gopprof.Error{Reason: gopprof.ReasonViewFailed, Err: err,
		Detail: "the view ended: " + profile.Printable(err.Error(), 500) + "; loading the page again opens it"}
}

// passed is the limit of memory that a process passed, as its last words tell; 0 is none.
func (vs *Views) passed(words string) int64 {
	switch {
	case strings.Contains(words, "cannot allocate memory"), strings.Contains(words, outOfData):
		return vs.cfg.MemoryBytes
	case strings.Contains(words, outOfMemory): // Go's runtime says so as well
		return vs.cfg.ResidentBytes
	}
	return 0
}

// files are what is looked at: the profile, and the base if there is one.
func (v View) files(ctx context.Context) ([][]byte, error) {
	var files [][]byte
	for _, read := range []func(context.Context) ([]byte, error){v.Profile, v.Base} {
		if read == nil {
			continue
		}
		file, err := read(ctx)
		if err != nil {
			return nil, fmt.Errorf("reading a profile: %w", err)
		}
		if most := profile.DefaultLimits().CompressedBytes; int64(len(file)) > most {
			return nil, &gopprof.Error{Reason: gopprof.ReasonTooLarge, Detail: fmt.Sprintf("the profile has %d bytes, at most %d are read", len(file), most)}
		}
		files = append(files, file)
	}
	return files, nil
}
