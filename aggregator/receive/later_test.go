package receive

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/poll"
)

// Waiting is no failure: it is counted as what it is, nobody is told of it, and the pause
// after a first real failure is as short as if there had been none.
func TestWaitingIsNoFailure(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	left := 5
	h := fakeHandler{
		resume: func(context.Context, gopprof.Capture) (bool, error) {
			if left--; left >= 0 {
				return false, Later(time.Second)
			}
			return false, nil
		},
		handle: func(context.Context, gopprof.Capture) error { return errAway },
	}
	r := New(DefaultConfig(), h, zap.New(core), prometheus.NewRegistry())
	var naks []string
	for n := range 8 {
		d := delivery("waits")
		d.deliveries = 3 + n // another aggregator had the first two
		r.receive(t.Context(), t.Context(), d)
		naks = append(naks, d.log()[len(d.log())-1])
	}
	if got := strings.Join(naks, ", "); got != "nak 1s, nak 1s, nak 1s, nak 1s, nak 1s, nak 2s, nak 4s, nak 8s" {
		t.Errorf("given back with %s", got)
	}
	for outcome, want := range map[string]float64{"waiting": 5, "retried": 3} {
		if got := testutil.ToFloat64(r.metrics.captures.WithLabelValues(outcome)); got != want {
			t.Errorf("%s is %g, want %g", outcome, got, want)
		}
	}
	if logs.Len() != 3 { // of the failures
		t.Errorf("%d lines: %v", logs.Len(), logs.All())
	}
}

// What is remembered of those that wait ends with them, and is bounded.
func TestWaitsAreForgotten(t *testing.T) {
	w := newWaits()
	for n := range 2 * maxWaits {
		w.note(delivery(fmt.Sprint(n)), verdict{outcome: waiting})
	}
	if len(w.upTo) > maxWaits {
		t.Errorf("%d remembered", len(w.upTo))
	}
	for _, end := range []outcome{stored, resumed, dead} {
		d := &fakeDelivery{capture: gopprof.Capture{ID: "c"}, deliveries: 7}
		w.note(d, verdict{outcome: waiting})
		w.note(d, verdict{outcome: retried})
		d.deliveries = 8
		if n := w.tries(d); n != 1 {
			t.Errorf("try %d, want 1", n)
		}
		w.note(d, verdict{outcome: end})
		if n := w.tries(d); n != 8 {
			t.Errorf("after %s: try %d, want 8", end, n)
		}
	}
}

// pairs lets each hot capture wait for its two siblings, which are sent after all of them.
type pairs struct {
	mu   sync.Mutex
	done map[string]bool
	wait map[string][]string // by hot capture
}

func (p *pairs) Resume(_ context.Context, c gopprof.Capture) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, sibling := range p.wait[c.ID] {
		if !p.done[sibling] {
			return false, Later(20 * time.Millisecond)
		}
	}
	return p.done[c.ID], nil
}

func (p *pairs) Handle(_ context.Context, c gopprof.Capture) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done[c.ID] {
		return fmt.Errorf("capture %s is handled twice", c.ID)
	}
	p.done[c.ID] = true
	return nil
}

func (p *pairs) GiveUp(context.Context, gopprof.Capture, gopprof.Reason, string) error { return nil }

// Eight captures wait, four workers are there, and those that are waited for come after
// them: nothing holds a worker, so all come through, though aggregators come and go.
func TestThoseThatWaitHoldNoWorker(t *testing.T) {
	b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}})
	p := &pairs{done: map[string]bool{}, wait: map[string][]string{}}
	var hot, siblings []gopprof.Capture
	for n := range 8 {
		h, s1, s2 := capture(n), capture(n), capture(n)
		h.ID, s1.ID, s2.ID = id(n, 0), id(n, 1), id(n, 2)
		p.wait[h.ID] = []string{s1.ID, s2.ID}
		hot, siblings = append(hot, h), append(siblings, s1, s2)
	}
	first, second := watch(b.Aggregator()), watch(b.Aggregator())
	agent := b.Agent("a")
	publish := func(captures []gopprof.Capture) {
		for _, c := range captures {
			if err := agent.PublishCapture(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
	}
	publish(hot)
	stop := receiveFrom(t, first, p)
	poll.Until(t, "all of them wait", func() bool {
		for _, c := range hot {
			if len(first.of(c)) < 2 {
				return false
			}
		}
		return true
	})
	stop() // what waits there comes to the next one
	receiveFrom(t, second, p)
	publish(siblings)
	for _, c := range append(hot, siblings...) {
		poll.Until(t, c.ID+" is acknowledged", func() bool {
			notes := second.of(c)
			return len(notes) > 0 && notes[len(notes)-1] == "ack"
		})
	}
	for _, c := range hot {
		if all := append(first.of(c), second.of(c)...); len(all) < 2 || slices.Index(all, "ack") != len(all)-1 {
			t.Errorf("%s: %v, then %v", c.ID, first.of(c), second.of(c))
		}
	}
	bucket, err := b.Aggregator().Bucket(t.Context(), "gopprof-starts")
	if err != nil {
		t.Fatal(err)
	}
	poll.Until(t, "no start is counted", func() bool {
		keys, err := bucket.Keys(t.Context(), "")
		return err == nil && len(keys) == 0
	})
}

func id(n, part int) string { return fmt.Sprintf("01a1d9ed-c200-7abc-8def-0123456%d%d000", part, n) }
