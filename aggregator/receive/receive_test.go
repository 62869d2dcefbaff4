package receive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

var errAway = errors.New("the store is away")

// handling returns a handler that answers so.
func handling(err error) fakeHandler {
	return fakeHandler{handle: func(context.Context, gopprof.Capture) error { return err }}
}

func resuming(done bool, err error) fakeHandler {
	return fakeHandler{resume: func(context.Context, gopprof.Capture) (bool, error) { return done, err }}
}

// run receives deliveries until all are settled.
func run(t *testing.T, h Handler, deliveries ...*fakeDelivery) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r := New(DefaultConfig(), h, zap.NewNop(), prometheus.NewRegistry())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx, fakeSource(deliveries)) }()
		synctest.Wait()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestOrder(t *testing.T) {
	for name, c := range map[string]struct {
		handler  fakeHandler
		delivery *fakeDelivery
		want     string
	}{
		"all is well":                  {fakeHandler{}, &fakeDelivery{}, "started, fetch, remove bytes, finished, ack"},
		"committed before":             {resuming(true, nil), &fakeDelivery{}, "started, remove bytes, finished, ack"},
		"committed before, bytes gone": {resuming(true, nil), &fakeDelivery{fails: fail("fetch", bus.ErrBytesLost)}, "started, remove bytes, finished, ack"},
		"cannot be resumed":            {resuming(false, errAway), &fakeDelivery{}, "started, finished, nak 2s"},
		"resumed: poison":              {resuming(false, Poison(gopprof.ReasonStoreFailed, errAway)), &fakeDelivery{}, "started, dead letter store_failed, finished"},
		"has to wait":                  {resuming(false, Later(700*time.Millisecond)), &fakeDelivery{deliveries: 9}, "started, finished, nak 700ms"},
		"has to wait, wrapped":         {resuming(false, fmt.Errorf("siblings: %w", Later(time.Second))), &fakeDelivery{}, "started, finished, nak 1s"},
		"has to wait, a worker died":   {resuming(false, Later(time.Second)), &fakeDelivery{starts: 2}, "started, finished, nak 1s"},
		"handler fails":                {handling(errAway), &fakeDelivery{}, "started, fetch, finished, nak 2s"},
		"handler fails again":          {handling(errAway), &fakeDelivery{deliveries: 4}, "started, fetch, finished, nak 16s"},
		"handler always fails":         {handling(errAway), &fakeDelivery{deliveries: 1e9}, "started, fetch, finished, nak 5m0s"},
		"poison":                       {handling(Poison(gopprof.ReasonInvalidProfile, errAway)), &fakeDelivery{}, "started, fetch, dead letter invalid_profile, finished"},
		"poison inside": {handling(fmt.Errorf("storing: %w", Poison(gopprof.ReasonStoreFailed, errAway))), &fakeDelivery{},
			"started, fetch, dead letter store_failed, finished"},
		"undecodable":                  {fakeHandler{}, &fakeDelivery{problem: fmt.Errorf("x: %w", bus.ErrUndecodable)}, "dead letter undecodable"},
		"imposter":                     {fakeHandler{}, &fakeDelivery{problem: bus.ErrImposter}, "dead letter imposter"},
		"bytes lost":                   {fakeHandler{}, &fakeDelivery{fails: fail("fetch", fmt.Errorf("x: %w", bus.ErrBytesLost))}, "started, fetch, dead letter bytes_lost, finished"},
		"bytes wrong":                  {fakeHandler{}, &fakeDelivery{fails: fail("fetch", bus.ErrBytesWrong)}, "started, fetch, dead letter bytes_wrong, finished"},
		"too many bytes":               {fakeHandler{}, &fakeDelivery{fails: fail("fetch", bus.ErrTooLarge)}, "started, fetch, dead letter too_large, finished"},
		"bytes cannot be had now":      {fakeHandler{}, &fakeDelivery{fails: fail("fetch", bus.ErrAway)}, "started, fetch, finished, nak 2s"},
		"two workers died":             {fakeHandler{}, &fakeDelivery{starts: 2}, "started, fetch, remove bytes, finished, ack"},
		"three workers died":           {fakeHandler{}, &fakeDelivery{starts: 3}, "dead letter worker_died, finished"},
		"starts cannot be read":        {fakeHandler{}, &fakeDelivery{starts: 2, fails: fail("starts", bus.ErrAway)}, "starts, nak 2s"},
		"start cannot be counted":      {fakeHandler{}, &fakeDelivery{fails: fail("started", bus.ErrAway)}, "started, nak 2s"},
		"no room to count the start":   {fakeHandler{}, &fakeDelivery{fails: fail("started", fmt.Errorf("x: %w", bus.ErrFull))}, "started, fetch, remove bytes, finished, ack"},
		"nobody can be told of death":  {fakeHandler{giveUp: func(gopprof.Capture, gopprof.Reason, string) error { return errAway }}, &fakeDelivery{starts: 3}, "nak 2s"},
		"bytes cannot be removed":      {fakeHandler{}, &fakeDelivery{fails: fail("remove bytes", bus.ErrAway)}, "started, fetch, remove bytes, finished, ack"},
		"ack is not taken":             {fakeHandler{}, &fakeDelivery{fails: fail("ack", bus.ErrAway)}, "started, fetch, remove bytes, finished, ack"},
		"end cannot be counted":        {fakeHandler{}, &fakeDelivery{fails: fail("finished", bus.ErrAway)}, "started, fetch, remove bytes, finished, ack"},
		"dead letter is not taken":     {handling(Poison(gopprof.ReasonStoreFailed, errAway)), &fakeDelivery{fails: fail("dead letter", bus.ErrFull)}, "started, fetch, dead letter store_failed, finished, nak 2s"},
		"nobody can be told of poison": {fakeHandler{handle: handling(Poison(gopprof.ReasonStoreFailed, errAway)).handle, giveUp: func(gopprof.Capture, gopprof.Reason, string) error { return errAway }}, &fakeDelivery{}, "started, fetch, finished, nak 2s"},
		"undecodable and not taken":    {fakeHandler{}, &fakeDelivery{problem: bus.ErrUndecodable, fails: fail("dead letter", bus.ErrFull)}, "dead letter undecodable, nak 2s"},
		"panic counts as a death":      {fakeHandler{handle: func(context.Context, gopprof.Capture) error { panic("boom") }}, &fakeDelivery{}, "started, fetch, nak 2s"},
		"panic in resume, the same":    {fakeHandler{resume: func(context.Context, gopprof.Capture) (bool, error) { panic(errAway) }}, &fakeDelivery{}, "started, nak 2s"},
		"nil dereference, the same":    {fakeHandler{handle: func(context.Context, gopprof.Capture) error { var p *poison; _ = p.reason; return nil }}, &fakeDelivery{}, "started, fetch, nak 2s"},
		"nak is not taken":             {handling(errAway), &fakeDelivery{fails: fail("nak", bus.ErrAway)}, "started, fetch, finished, nak 2s"},
		"handler's context had ended":  {fakeHandler{handle: func(ctx context.Context, _ gopprof.Capture) error { return context.Canceled }}, &fakeDelivery{}, "started, fetch, finished, nak 2s"},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, c.handler, c.delivery)
			if got := strings.Join(c.delivery.log(), ", "); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}

func fail(method string, err error) map[string]error { return map[string]error{method: err} }

// A panic, a slow and a failing capture do not touch the one beside them.
func TestOneCaptureDoesNotHoldAnother(t *testing.T) {
	panics, fails, good := delivery("panics"), delivery("fails"), delivery("good")
	run(t, fakeHandler{handle: func(_ context.Context, c gopprof.Capture) error {
		switch c.ID {
		case "panics":
			panic("boom")
		case "fails":
			return errAway
		}
		return nil
	}}, panics, fails, good)
	if log := good.log(); log[len(log)-1] != "ack" {
		t.Errorf("the good one: %v", log)
	}
}

func delivery(id string) *fakeDelivery { return &fakeDelivery{capture: gopprof.Capture{ID: id}} }

// slow returns a handler that takes so long, and says whether it was cut short.
func slow(d time.Duration) fakeHandler {
	return fakeHandler{handle: func(ctx context.Context, _ gopprof.Capture) error {
		select {
		case <-ctx.Done():
			return fmt.Errorf("drawing: %w", ctx.Err())
		case <-time.After(d):
			return nil
		}
	}}
}

// Work that takes longer than NATS would wait is told to be in progress, until it ends.
func TestInProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := delivery("slow")
		d.fails = fail("in progress", bus.ErrAway) // not said in time is no reason to stop
		r := New(DefaultConfig(), slow(65*time.Second), zap.NewNop(), prometheus.NewRegistry())
		r.receive(t.Context(), t.Context(), d)
		if d.inProgress != 6 {
			t.Errorf("told %d times in 65 s, want 6 at 10 s each", d.inProgress)
		}
		if log := d.log(); log[len(log)-1] != "ack" {
			t.Errorf("ended with %v", log)
		}
		time.Sleep(time.Minute) // synctest's time: nothing waits
		if d.inProgress != 6 {
			t.Error("told after its end")
		}
	})
}

func TestHandleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := delivery("wedged")
		r := New(DefaultConfig(), slow(time.Hour), zap.NewNop(), prometheus.NewRegistry())
		start := time.Now()
		r.receive(t.Context(), t.Context(), d)
		if took := time.Since(start); took != 5*time.Minute {
			t.Errorf("given up after %s, want 5m", took)
		}
		if got := strings.Join(d.log(), ", "); got != "started, fetch, finished, nak 2s" {
			t.Error(got)
		}
	})
}

// When the aggregator stops, what ends soon is waited for, and the rest is given back at
// once, not as a death of its worker.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quick, endless := delivery("quick"), delivery("endless")
		h := fakeHandler{handle: func(ctx context.Context, c gopprof.Capture) error {
			if c.ID == "quick" {
				return slow(15*time.Second).handle(ctx, c)
			}
			return slow(time.Hour).handle(ctx, c)
		}}
		ctx, cancel := context.WithCancel(t.Context())
		r := New(DefaultConfig(), h, zap.NewNop(), prometheus.NewRegistry())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx, fakeSource{quick, endless}) }()
		time.Sleep(time.Second) // synctest's time
		cancel()
		stopped := time.Now()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if took := time.Since(stopped); took != 20*time.Second {
			t.Errorf("stopping took %s, want the 20 s of drain_timeout", took)
		}
		if got := strings.Join(quick.log(), ", "); got != "started, fetch, remove bytes, finished, ack" {
			t.Errorf("quick: %s", got)
		}
		if got := strings.Join(endless.log(), ", "); got != "started, fetch, finished, nak 0s" {
			t.Errorf("endless: %s", got)
		}
	})
}

func TestMetricsAndLog(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	r := New(DefaultConfig(), fakeHandler{handle: func(_ context.Context, c gopprof.Capture) error {
		switch c.ID {
		case "poison":
			return Poison(gopprof.ReasonInvalidProfile, errAway)
		case "fails":
			return errAway
		case "panics":
			panic("boom")
		}
		return nil
	}}, zap.New(core), prometheus.NewRegistry())
	for _, id := range []string{"good", "poison", "fails", "panics", "good"} {
		r.receive(t.Context(), t.Context(), delivery(id))
	}
	m := r.metrics
	for name, c := range map[string]struct {
		of   prometheus.Collector
		want float64
	}{
		"stored":    {m.captures.WithLabelValues("stored"), 2},
		"dead":      {m.captures.WithLabelValues("dead"), 1},
		"retried":   {m.captures.WithLabelValues("retried"), 1},
		"panicked":  {m.captures.WithLabelValues("panicked"), 1},
		"poison":    {m.dead.WithLabelValues("invalid_profile"), 1},
		"running":   {m.running, 0},
		"unsettled": {m.unsettled, 0},
	} {
		if got := testutil.ToFloat64(c.of); got != c.want {
			t.Errorf("%s is %g, want %g", name, got, c.want)
		}
	}
	var lines []string
	for _, e := range logs.All() {
		lines = append(lines, e.Message)
	}
	want := []string{"capture acknowledged", "capture given back", "handling a capture panicked", "capture given back", "capture acknowledged"}
	if !slices.Equal(lines, want) {
		t.Errorf("log: %q, want %q", lines, want)
	}
}

func TestConfigCheck(t *testing.T) {
	DefaultConfig().Check(func(key, problem string) { t.Errorf("default %s: %s", key, problem) })
	var keys []string
	(Config{Workers: 1000, DrainTimeout: -1, RetryMaxDelay: -1}).Check(func(key, _ string) { keys = append(keys, key) })
	slices.Sort(keys)
	want := []string{"drain_timeout", "handle_timeout", "in_progress_interval", "max_starts", "retry_delay", "retry_max_delay", "workers"}
	if !slices.Equal(keys, want) {
		t.Errorf("mistakes in %v, want %v", keys, want)
	}
}

// A capture that is given back says in the log why, in a word of the closed set.
func TestGivenBackSaysWhy(t *testing.T) {
	named := fmt.Errorf("storing: %w", &gopprof.Error{Reason: gopprof.ReasonStoreFailed, Err: bus.ErrAway})
	for name, c := range map[string]struct {
		handler         Handler
		fails           map[string]error
		outcome, reason string
	}{
		"named by the handler":     {handling(named), nil, "retried", "store_failed"},
		"named by its first half":  {resuming(false, named), nil, "retried", "store_failed"},
		"nats is away":             {fakeHandler{}, fail("fetch", fmt.Errorf("x: %w", bus.ErrAway)), "retried", "no_answer"},
		"nats is full":             {handling(fmt.Errorf("x: %w", bus.ErrFull)), nil, "retried", "nats_full"},
		"nats takes no letter":     {handling(Poison(gopprof.ReasonBytesWrong, errAway)), fail("dead letter", bus.ErrFull), "retried", "nats_full"},
		"starts cannot be counted": {fakeHandler{}, fail("started", bus.ErrAway), "retried", "no_answer"},
		"it takes too long":        {handling(fmt.Errorf("drawing: %w", context.DeadlineExceeded)), nil, "retried", "timeout"},
		"nobody knows":             {handling(errAway), nil, "retried", "internal"},
		"a panic":                  {fakeHandler{handle: func(context.Context, gopprof.Capture) error { panic("boom") }}, nil, "panicked", "internal"},
	} {
		core, logs := observer.New(zap.InfoLevel)
		d := delivery("c")
		d.fails = c.fails
		New(DefaultConfig(), c.handler, zap.New(core), prometheus.NewRegistry()).receive(t.Context(), t.Context(), d)
		given := logs.FilterMessage("capture given back").All()
		if len(given) != 1 || given[0].ContextMap()["reason"] != c.reason || given[0].ContextMap()["outcome"] != c.outcome {
			t.Errorf("%s: %v, want %s, %s", name, given, c.outcome, c.reason)
		}
	}
}

// What was seen through stands in the log, and what NATS did not note does not: it comes
// again.
func TestAcknowledgingIsLogged(t *testing.T) {
	for name, c := range map[string]struct {
		fails map[string]error
		want  int
	}{
		"noted":     {nil, 1},
		"not noted": {fail("ack", bus.ErrAway), 0},
	} {
		core, lines := observer.New(zap.InfoLevel)
		d := delivery("seen-through")
		d.fails = c.fails
		New(DefaultConfig(), fakeHandler{}, zap.New(core), prometheus.NewRegistry()).receive(t.Context(), t.Context(), d)
		said := lines.FilterMessage("capture acknowledged").FilterField(zap.String("capture", "seen-through")).FilterField(zap.String("outcome", "stored"))
		if said.Len() != c.want {
			t.Errorf("%s: said so %d times, want %d: %v", name, said.Len(), c.want, lines.All())
		}
	}
}

// That there is no room to count starts is told of when it begins and when it is over.
func TestNoRoomToCountStarts(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	r := New(DefaultConfig(), fakeHandler{}, zap.New(core), prometheus.NewRegistry())
	for _, full := range []bool{false, true, true, false, false, true} {
		d := delivery("x")
		if full {
			d.fails = fail("started", bus.ErrFull)
		}
		r.receive(t.Context(), t.Context(), d)
	}
	began, ended := logs.FilterMessage("no room to count that captures are begun: what kills its worker is not found out").Len(), logs.FilterMessage("captures that are begun are counted again").Len()
	if began != 2 || ended != 1 {
		t.Errorf("told of %d beginnings and %d ends, want 2 and 1: %v", began, ended, logs.All())
	}
}
