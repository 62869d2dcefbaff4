package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/rig"
)

const (
	fireTime   = 150 * time.Second // from planted to captured and reported
	settleTime = 3 * time.Second   // for what is stored late: siblings, drawings
)

// outcome is what became of one case.
type outcome struct {
	Case        string `json:"case"`
	Description string `json:"description"`
	judgement
	Summary string          `json:"summary"` // the report's first line
	Pprof   string          `json:"pprof"`   // the first line of `go tool pprof -top`
	Seconds float64         `json:"seconds"`
	Report  *gopprof.Report `json:"report,omitempty"`
}

// play runs one case. What cannot be run is an error; what is answered wrongly is not.
func (b *bench) play(ctx context.Context, c Case) (o outcome, err error) {
	began := time.Now()
	b.played++
	service := fmt.Sprintf("service-%02d", b.played)
	p, err := startPods(ctx, b, c, service)
	defer p.stop()
	if err != nil {
		return o, err
	}
	if err := b.watch(p, service); err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, b.watch(nil, "")) }()
	report, err := b.report(ctx, p)
	if err != nil {
		return o, err
	}
	o = outcome{Case: c.Name, Description: c.Description, judgement: judge(c, report), Summary: report.Explanation.Summary, Report: &report}
	if o.Pprof, err = b.pprofTop(ctx, report); err != nil {
		return o, err
	}
	o.Seconds = time.Since(began).Seconds()
	return o, b.keepAll(ctx, c, report)
}

// report plants the cause and returns the report of it.
func (b *bench) report(ctx context.Context, p *pods) (r gopprof.Report, err error) {
	if err := b.awaitQuiet(ctx, p); err != nil {
		return r, err
	}
	if err := pause(ctx, b.before); err != nil {
		return r, err
	}
	planted := time.Now()
	if err := p.plant(ctx); err != nil {
		return r, err
	}
	ctx, cancel := context.WithTimeout(ctx, fireTime)
	defer cancel()
	line, err := b.Aggregator.AwaitWhere(ctx, "report committed", func(l rig.Line) bool {
		return l.Text("namespace") == namespace && p.isBad(l.Text("pod"))
	})
	if err != nil {
		select {
		case load := <-p.failed:
			err = errors.Join(err, load)
		default:
		}
		return r, err
	}
	if err := b.GetJSON(ctx, "/api/v1/reports/"+line.Text("capture"), &r); err != nil {
		return r, err
	}
	if r.Capture.Trigger.At.Before(planted) {
		return r, fmt.Errorf("it was hot %s before anything was planted: its ordinary load is too much for its limits", planted.Sub(r.Capture.Trigger.At))
	}
	return r, nil
}

// kindOf is the profile that shows what the rule was about.
func kindOf(r gopprof.Report) gopprof.Kind {
	if e := r.Capture.Trigger.Evidence; e != nil && e.Resource == gopprof.ResourceMemory {
		return gopprof.KindHeap
	}
	return gopprof.KindCPU
}

// pprofTop is the first function that Go's own tool shows of the stored file.
func (b *bench) pprofTop(ctx context.Context, r gopprof.Report) (string, error) {
	f, ok := r.File(kindOf(r))
	if !ok {
		return "(no " + string(kindOf(r)) + " profile)", nil
	}
	cmd := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-nodecount=1", filepath.Join(b.store(), f.Profile))
	cmd.Env = append(os.Environ(), "PPROF_TMPDIR="+b.Dir)
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go tool pprof of %q: %w", f.Profile, err)
	}
	return firstRow(string(out)), nil
}

// firstRow is the line below the heads of the columns.
func firstRow(top string) string {
	_, rows, _ := strings.Cut(top, "cum%\n")
	row, _, _ := strings.Cut(rows, "\n")
	return strings.Join(strings.Fields(row), " ")
}

func (b *bench) store() string { return filepath.Join(b.Dir, "reports") }

// keepAll copies what was stored of a report and of those that it was compared with.
func (b *bench) keepAll(ctx context.Context, c Case, r gopprof.Report) error {
	if b.keep == "" {
		return nil
	}
	if err := pause(ctx, settleTime); err != nil {
		return err
	}
	if err := b.copyStored(r, filepath.Join(b.keep, c.Name, "hot")); err != nil {
		return err
	}
	for i, s := range r.Siblings {
		var sibling gopprof.Report
		if s.State != gopprof.SiblingStored || b.GetJSON(ctx, "/api/v1/reports/"+s.Capture, &sibling) != nil {
			continue
		}
		if err := b.copyStored(sibling, filepath.Join(b.keep, c.Name, fmt.Sprintf("sibling%d", i+1))); err != nil {
			return err
		}
	}
	return nil
}

// pause waits, or returns the context's error.
func pause(ctx context.Context, d time.Duration) error {
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *bench) copyStored(r gopprof.Report, to string) error {
	if len(r.Files) == 0 {
		return nil
	}
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return os.CopyFS(to, os.DirFS(filepath.Join(b.store(), filepath.Dir(r.Files[0].Profile))))
}
