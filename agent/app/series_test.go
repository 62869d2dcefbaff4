package app

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gopprof/gopprof/agent/judge"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// minutes is an InfluxDB in which every whole minute of the span was as hot.
type minutes struct {
	ratio float64
	err   error
	asked atomic.Int32
}

func (m *minutes) Windows(_ context.Context, _ string, from, to time.Time) (map[gopprof.SeriesKey][]gopprof.Window, error) {
	m.asked.Add(1)
	var windows []gopprof.Window
	for end := from.Truncate(time.Minute).Add(2 * time.Minute); !end.After(to); end = end.Add(time.Minute) {
		windows = append(windows, minute(end, m.ratio))
	}
	return map[gopprof.SeriesKey][]gopprof.Window{target.Series(): windows}, m.err
}

// Under the policy "series" InfluxDB alone decides, and is asked once an interval.
func TestPolicySeries(t *testing.T) {
	for name, c := range map[string]struct {
		source *minutes
		want   gopprof.Reason
		taken  int
	}{
		"hot":  {&minutes{ratio: 0.9}, gopprof.ReasonNotRearmed, 1},
		"cool": {&minutes{ratio: 0.5}, gopprof.ReasonBelowThreshold, 0},
		"away": {&minutes{err: errors.New("away")}, gopprof.ReasonNoReadings, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakes{decision: gopprof.Decision{Go: true, Incident: "i"}}
				p := newTestPipeline(f)
				config := judge.DefaultConfig()
				config.Policy, config.Memory.Enabled = gopprof.PolicySeries, false
				p.judge, p.windows, p.now = judge.New(config, nil, prometheus.NewRegistry()), nil, time.Now
				ctx, cancel := context.WithCancel(t.Context())
				turns := 0
				witness := witnessOf(c.source, 0)
				go func() { _ = p.judgeSeries(ctx, ctx, witness, 5*time.Minute, func() { turns++ }) }()
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				cancel()
				if err := p.drain(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := p.judge.States(target.Key())[0].Reason; got != c.want || len(f.published) != c.taken {
					t.Errorf("reason %s, %d captures; want %s, %d", got, len(f.published), c.want, c.taken)
				}
				if n := c.source.asked.Load(); n < 9 || n > 11 || turns < int(10*time.Minute/beatEvery) {
					t.Errorf("asked %d times in ten minutes, %d signs of life", n, turns)
				}
				if len(f.published) == 1 && f.published[0].Trigger.Evidence.Policy != gopprof.PolicySeries {
					t.Errorf("evidence %+v", f.published[0].Trigger.Evidence)
				}
			})
		})
	}
}

// While InfluxDB does not answer, no rule says that what it judged was cool.
func TestSeriesThatAreAwaySaySo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPipeline(&fakes{})
		config := judge.DefaultConfig()
		config.Policy = gopprof.PolicySeries
		p.judge, p.windows, p.now = judge.New(config, nil, prometheus.NewRegistry()), nil, time.Now
		source := &minutes{ratio: 0.5}
		witness := witnessOf(source, 0)
		for _, c := range []struct {
			err  error
			want gopprof.Reason
		}{{nil, gopprof.ReasonBelowThreshold}, {errors.New("away"), gopprof.ReasonNoReadings}, {nil, gopprof.ReasonBelowThreshold}} {
			source.err = c.err
			time.Sleep(time.Minute)
			p.turnOfSeries(t.Context(), t.Context(), witness, 5*time.Minute)
			for _, state := range p.judge.States(target.Key()) {
				if state.Reason != c.want {
					t.Errorf("error %v: rule %s says %s, want %s", c.err, state.Rule, state.Reason, c.want)
				}
			}
		}
	})
}
