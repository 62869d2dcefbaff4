// Command explain plants one cause after the other in real processes under real limits, and
// compares what gopprof's report says first with what was planted.
//
// Cases enter, one file of cases/ each, and the built programs (bin/, .cache/bin); a table
// leaves, and a status that is 0 only if the reports are right often enough and never surely
// wrong. It must never tell gopprof anything of what was planted: names of services are
// numbers, and nothing but the targets file, the profiles and the cgroups is shared.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/gopprof/gopprof/test/parts"
)

type options struct {
	only, cases, bin, json, keep string
	before                       time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.only, "case", "", "regular expression that the names of the cases to run match as a whole; empty is all")
	flag.StringVar(&o.cases, "cases", "", "directory of the cases; empty is test/explain/cases")
	flag.StringVar(&o.bin, "bin", "", "directory of agent and aggregator; empty is bin")
	flag.StringVar(&o.json, "json", "", "file that gets all outcomes, the whole reports included")
	flag.StringVar(&o.keep, "keep", "", "directory that gets what was stored of every case: reports, profiles, pictures")
	flag.DurationVar(&o.before, "before", 0, "how long the pods do their ordinary work before anything is planted, so that pictures show it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "explain:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	root, err := parts.Root()
	if err != nil {
		return err
	}
	if o.cases == "" {
		o.cases = filepath.Join(root, "test", "explain", "cases")
	}
	if o.bin == "" {
		o.bin = filepath.Join(root, "bin")
	}
	cases, err := chosen(o)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "gopprof-explain-")
	if err != nil {
		return err
	}
	b := &bench{Rig: newRig(dir, o.bin), root: root, keep: o.keep, before: o.before, out: os.Stdout}
	defer func() {
		b.Stop()
		if err == nil {
			_ = os.RemoveAll(dir)
		} else {
			err = fmt.Errorf("%w (the logs stay in %s)", err, dir)
		}
	}()
	if err := b.start(ctx); err != nil {
		return err
	}
	return b.playAll(ctx, cases, o.json)
}

func chosen(o options) (some []Case, err error) {
	all, err := readCases(o.cases)
	if err != nil {
		return nil, err
	}
	wanted, err := regexp.Compile("^(" + o.only + ")$")
	if err != nil {
		return nil, fmt.Errorf("flag -case: %w", err)
	}
	for _, c := range all {
		if o.only == "" || wanted.MatchString(c.Name) {
			some = append(some, c)
		}
	}
	if len(some) == 0 {
		return nil, fmt.Errorf("flag -case: no case is called %q", o.only)
	}
	return some, nil
}

// playAll plays the cases in turn: the machine is small, and one must not disturb the other.
func (b *bench) playAll(ctx context.Context, cases []Case, file string) error {
	var outcomes []outcome
	var failed []error
	for i, c := range cases {
		o, err := b.play(ctx, c)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("case %q: %w", c.Name, err))
			fmt.Fprintf(b.out, "%2d/%d %s: could not be run: %v\n", i+1, len(cases), c.Name, err)
			continue
		}
		outcomes = append(outcomes, o)
		fmt.Fprintf(b.out, "%2d/%d %s (%.0f s): %s\n      report: %s\n      pprof:  %s\n", i+1, len(cases), c.Name, o.Seconds, o.verdict(), o.Summary, o.Pprof)
	}
	fmt.Fprintln(b.out)
	printTable(b.out, outcomes)
	s := scoreOf(outcomes, len(failed))
	printScore(b.out, s)
	if err := writeJSON(file, s, outcomes); err != nil {
		return err
	}
	if !s.Reached {
		failed = append(failed, errors.New("the aim was not reached"))
	}
	return errors.Join(failed...)
}

func writeJSON(file string, s score, outcomes []outcome) error {
	if file == "" {
		return nil
	}
	text, err := json.MarshalIndent(struct {
		Score    score     `json:"score"`
		Outcomes []outcome `json:"outcomes"`
	}{s, outcomes}, "", "  ")
	if err != nil {
		return fmt.Errorf("writing outcomes: %w", err)
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
