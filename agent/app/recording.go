package app

import (
	"context"
	"time"

	"github.com/gopprof/gopprof/agent/record"
)

// recording hands record what each target used in the interval that just ended, aligned to
// the clock as Heapster's are.
func (a *App) recording(ctx context.Context) error {
	interval := a.config.Record.Resolution
	// the readings that reach over the interval's end must be in
	return eachInterval(ctx, interval, a.config.Observe.QuietInterval, func(end time.Time) {
		a.guard.do(guardedRecord, func() { a.record.Record(ctx, end, a.points(end.Add(-interval), end)) }, nil)
	})
}

// eachInterval calls f for each interval of the clock, some time after its end, until ctx
// ends. An interval may be shorter than that time. Those that are long past, after a sleep
// of the machine, are left out.
func eachInterval(ctx context.Context, interval, after time.Duration, f func(end time.Time)) error {
	end := time.Now().Truncate(interval)
	for {
		end = end.Add(interval)
		if wait := time.Until(end.Add(after)); wait < -interval || wait > 2*interval+after {
			end = time.Now().Truncate(interval).Add(interval)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(end.Add(after))):
		}
		f(end)
	}
}

func (a *App) points(start, end time.Time) []record.Point {
	var points []record.Point
	for _, t := range a.discover.Snapshot().Targets {
		w, ok := a.observe.Over(t.Key(), start, end)
		atEnd, read := a.observe.Over(t.Key(), end.Add(-end.Sub(start)/3), end)
		if !ok {
			continue
		}
		points = append(points, record.Point{
			Target: t,
			HasCPU: w.HasCPU, CPUCores: w.CPU.Mean, CPULimitCores: w.CPU.Limit,
			HasMemory: read && atEnd.HasMemory, WorkingSetBytes: atEnd.Memory.Mean, MemoryLimitBytes: atEnd.Memory.Limit,
		})
	}
	return points
}
