package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/gopprof/gopprof/aggregator/store"
	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/rig"
)

// index starts an aggregator on a store of 100,000 reports, all of them indexed.
func index(ctx context.Context, b *bench) error {
	const reports = 100_000
	r, err := b.rig("index")
	if err != nil {
		return err
	}
	defer r.Stop()
	bytes, err := fillStore(ctx, filepath.Join(r.Dir, "reports"), reports)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := startAggregator(ctx, b, r, fmt.Sprintf("embedded: {listen: \"127.0.0.1:0\", dir: %s/nats}\n", r.Dir)); err != nil {
		return err
	}
	line, err := r.Aggregator.Await(ctx, "index rebuilt")
	if err != nil {
		return err
	}
	filled := time.Since(began)
	if n := line.Number("reports"); n != reports {
		return fmt.Errorf("%v reports were indexed, want %d", n, reports)
	}
	used, err := treeOf(r.Aggregator.PID())
	if err != nil {
		return err
	}
	b.printf("%d reports of %d bytes each: filled %s after the start (CPU %s), memory %s (of it anonymous %s).\n\n", reports, bytes, filled.Round(100*time.Millisecond), used.cpu, mib(used.rss), mib(used.anon))
	b.printf("| list | median of 20 |\n|---|---|\n")
	for _, query := range []string{"?limit=100", "?namespace=ns-7&limit=100", "?workload=service-93&limit=100", "?pod=nobody&limit=100"} {
		took, err := medianOf(ctx, r, api.PathReports+query)
		if err != nil {
			return err
		}
		b.printf("| `%s` | %.1f ms |\n", query, took.Seconds()*1000)
	}
	return nil
}

func medianOf(ctx context.Context, r *rig.Rig, path string) (time.Duration, error) {
	var all []time.Duration
	for range 20 {
		began := time.Now()
		if _, err := r.Get(ctx, path); err != nil {
			return 0, err
		}
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}

// fillStore commits so many reports, each as large as real ones are, over thirty days. It
// returns the size of one.
func fillStore(ctx context.Context, dir string, n int) (bytes int64, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, err
	}
	c := store.DefaultConfig()
	c.URL = "file://" + dir
	s, err := store.Open(ctx, c, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		return 0, err
	}
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(16)
	began := time.Now()
	for i := range n {
		if within.Err() != nil {
			break
		}
		group.Go(func() error {
			return s.Commit(within, storedReport(i, began.Add(-time.Duration(i)*25*time.Second)))
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	return sizeOfOne(dir), s.Close()
}

func sizeOfOne(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Name() == "report.json" {
			if info, err := d.Info(); err == nil {
				bytes = info.Size()
			}
			return filepath.SkipAll
		}
		return err
	})
	return bytes
}

func storedReport(i int, at time.Time) gopprof.Report {
	c := newCapture(fmt.Sprintf("node-%d", i%500), fmt.Sprintf("service-%d", i%200))
	c.ID, c.Start, c.End, c.Trigger.At = idAt(at, i), at, at.Add(30*time.Second), at
	c.Target.Namespace = fmt.Sprintf("ns-%d", i%40)
	c.Target.Pod = fmt.Sprintf("%s-%x", c.Target.Workload.Name, i)
	var top []gopprof.Function
	for j := range 30 {
		top = append(top, gopprof.Function{Name: fmt.Sprintf("example.com/shop/pricing.(*Rules%d).discountFor%d", i%20, j), Flat: int64(1000 - j), Cum: int64(2000 - j)})
	}
	c.Profiles = []gopprof.Profile{{Kind: gopprof.KindCPU, Seconds: 30, SizeBytes: 25_000}, {Kind: gopprof.KindGoroutine, SizeBytes: 5_000}}
	return gopprof.Report{
		Version: 1, ID: c.ID, Capture: c, MadeAt: c.End,
		Explanation: gopprof.Explanation{
			Summary:  "cpu at 84 % to 100 % of its 0.5-core limit for 2 × 1 min; pricing.discountFor and what it calls use 98 % of 4.8 CPU seconds",
			Profiles: []gopprof.TopFunctions{{Kind: gopprof.KindCPU, Functions: top}, {Kind: gopprof.KindGoroutine, Functions: top}},
		},
	}
}

// idAt is the UUIDv7 of a moment (RFC 9562): its first 48 bits are milliseconds.
func idAt(at time.Time, i int) string {
	milli := at.UnixMilli()
	return fmt.Sprintf("%08x-%04x-7000-8000-%012x", milli>>16, milli&0xffff, i)
}
