package bus_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
	"github.com/gopprof/gopprof/test/poll"
)

func TestReportIsPublishedOnce(t *testing.T) {
	short := streams(func(c *bus.StreamConfig) { c.DedupeWindow = 100 * time.Millisecond })
	for name, cfg := range map[string]*bus.StreamConfig{"within the window": nil, "after the window": short} {
		t.Run(name, func(t *testing.T) {
			b := bustest.Start(t, bustest.Options{Nodes: []string{"a"}, Streams: cfg})
			agg := b.Aggregator()
			r := report(capture(t, "a", 5))
			if err := agg.PublishReport(within(t), r); err != nil {
				t.Fatal(err)
			}
			if cfg != nil {
				poll.Until(t, "the dedupe window passes", func() bool {
					m := nats.NewMsg(bus.ReportSubject(r))
					m.Header.Set(nats.MsgIdHdr, r.ID)
					m.Header.Set(nats.ExpectedLastSubjSeqHdr, "0")
					return agg.PublishRaw(within(t), m) != nil
				})
			}
			if err := agg.PublishReport(within(t), r); err != nil {
				t.Errorf("again: %v", err)
			}
			other := r
			other.Explanation.Summary = "something else"
			if err := agg.PublishReport(within(t), other); !errors.Is(err, bus.ErrDifferent) {
				t.Errorf("other content: %v, want %v", err, bus.ErrDifferent)
			}
			if n := messages(t, agg, bus.StreamReports); n != 1 {
				t.Errorf("%d reports in the stream, want 1", n)
			}
		})
	}
}

func TestReportUnderAnIDOfAnotherPod(t *testing.T) {
	b := bustest.Start(t, bustest.Options{})
	agg := b.Aggregator()
	r := report(capture(t, "a", 5))
	if err := agg.PublishReport(within(t), r); err != nil {
		t.Fatal(err)
	}
	r.Capture.Target.Pod = "other"
	if err := agg.PublishReport(within(t), r); !errors.Is(err, bus.ErrDifferent) {
		t.Errorf("%v, want %v", err, bus.ErrDifferent)
	}
}

func TestReportThatCannotBeSent(t *testing.T) {
	b := bustest.Start(t, bustest.Options{})
	agg := b.Aggregator()
	r := report(capture(t, "a", 5))
	r.Version = 99
	if err := agg.PublishReport(within(t), r); !errors.Is(err, bus.ErrInvalid) {
		t.Errorf("%v, want %v", err, bus.ErrInvalid)
	}
	r = report(capture(t, "a", 5))
	r.Explanation.Summary = string(make([]byte, 1<<20))
	if err := agg.PublishReport(within(t), r); !errors.Is(err, bus.ErrTooLarge) {
		t.Errorf("%v, want %v", err, bus.ErrTooLarge)
	}
}

// TestReportOfLongNames: names of functions come from profiled programs, and JSON makes
// some of their characters six times as long. Such a report is told with fewer functions,
// and is the same one when it is published again.
func TestReportOfLongNames(t *testing.T) {
	b := bustest.Start(t, bustest.Options{})
	agg := b.Aggregator()
	r := report(capture(t, "a", 5))
	r.Explanation.Profiles = nil
	for range 7 {
		top := gopprof.TopFunctions{Kind: gopprof.KindCPU, Total: 40}
		for range 40 {
			top.Functions = append(top.Functions, gopprof.Function{Name: strings.Repeat("<", 512), File: strings.Repeat("&", 512), Flat: 1, Cum: 1})
		}
		r.Explanation.Profiles = append(r.Explanation.Profiles, top)
	}
	for range 2 {
		if err := agg.PublishReport(within(t), r); err != nil {
			t.Fatal(err)
		}
	}
	handed := make(chan gopprof.Report, 1)
	background(t, "reports", func(ctx context.Context) error {
		return agg.Reports(ctx, "x", func(_ context.Context, r gopprof.Report) error {
			handed <- r
			return nil
		})
	})
	got := <-handed
	if len(got.Explanation.Profiles) != 7 || len(got.Explanation.Profiles[0].Functions) != 10 {
		t.Errorf("%d profiles of %d functions, want 7 of 10", len(got.Explanation.Profiles), len(got.Explanation.Profiles[0].Functions))
	}
	if len(r.Explanation.Profiles[0].Functions) != 40 {
		t.Error("the caller's report was changed")
	}
}

// TestOneReceiverThatIsAway: reports that wait for another try do not keep new ones from
// being handed over, however many they are, nor do some that are being handled slowly.
func TestOneReceiverThatIsAway(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, bustest.Options{})
	agg := b.Aggregator()
	last := report(capture(t, "b"))
	var away sync.Map
	var told atomic.Bool
	background(t, "reports", func(ctx context.Context) error {
		return agg.Reports(ctx, "x", func(ctx context.Context, r gopprof.Report) error {
			if r.ID == last.ID {
				told.Store(true)
				return nil
			}
			away.Store(r.ID, true)
			return errors.New("the receiver is away")
		})
	})
	const waiting = 600
	for range waiting {
		if err := agg.PublishReport(within(t), report(capture(t, "a"))); err != nil {
			t.Fatal(err)
		}
	}
	if err := agg.PublishReport(within(t), last); err != nil {
		t.Fatal(err)
	}
	poll.Until(t, "the last report is told", told.Load)
	poll.Until(t, "all others were handed over", func() bool {
		n := 0
		away.Range(func(any, any) bool { n++; return true })
		return n == waiting
	})
}

func TestReportsComeBackUntilHandled(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, bustest.Options{})
	agg := b.Aggregator()
	r := report(capture(t, "a", 5))
	var calls atomic.Int64
	var finished atomic.Bool
	background(t, "reports", func(ctx context.Context) error {
		return agg.Reports(ctx, "gopprof-notify", func(_ context.Context, got gopprof.Report) error {
			if got.ID != r.ID {
				t.Errorf("report %s, want %s", got.ID, r.ID)
			}
			if calls.Add(1) < 3 {
				return errors.New("the receiver is away")
			}
			finished.Store(true)
			return nil
		})
	})
	if err := agg.PublishReport(within(t), r); err != nil {
		t.Fatal(err)
	}
	poll.Until(t, "the report is handled", finished.Load)
	if n := calls.Load(); n != 3 {
		t.Errorf("handled %d times, want 3", n)
	}
}

// TestReportThatMakesItsHandlerPanic comes again like any that failed, and the others are
// handled meanwhile.
func TestReportThatMakesItsHandlerPanic(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, bustest.Options{})
	agg := b.Aggregator()
	bad, good := report(capture(t, "a")), report(capture(t, "a"))
	var tries atomic.Int64
	var told atomic.Bool
	background(t, "reports", func(ctx context.Context) error {
		return agg.Reports(ctx, "x", func(_ context.Context, r gopprof.Report) error {
			if r.ID == bad.ID {
				tries.Add(1)
				panic("a name that nobody thought of")
			}
			told.Store(true)
			return nil
		})
	})
	for _, r := range []gopprof.Report{bad, good} {
		if err := agg.PublishReport(within(t), r); err != nil {
			t.Fatal(err)
		}
	}
	poll.Until(t, "the good report is told and the bad one tried again", func() bool { return told.Load() && tries.Load() > 1 })
}

// TestReportsGoOnWhereTheyEnded: a durable consumer has seen a report once, also over a
// restart of server and aggregator; another durable sees all.
func TestReportsGoOnWhereTheyEnded(t *testing.T) {
	b := bustest.Start(t, bustest.Options{})
	agg := b.Aggregator()
	one, two := report(capture(t, "a")), report(capture(t, "a"))
	first := func(agg *bus.Aggregator, durable string) string {
		ctx, cancel := context.WithCancel(within(t))
		var id string
		err := agg.Reports(ctx, durable, func(_ context.Context, r gopprof.Report) error {
			if id == "" {
				id = r.ID
				cancel()
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	if err := agg.PublishReport(within(t), one); err != nil {
		t.Fatal(err)
	}
	if got := first(agg, "x"); got != one.ID {
		t.Errorf("first report %q, want %q", got, one.ID)
	}
	b.Stop()
	agg = b.Restart()
	if err := agg.PublishReport(within(t), two); err != nil {
		t.Fatal(err)
	}
	if got := first(agg, "x"); got != two.ID {
		t.Errorf("after the restart %q, want %q", got, two.ID)
	}
}

// TestSlowReportIsNotHandedOutTwice: a handler may take longer than AckWait.
func TestSlowReportIsNotHandedOutTwice(t *testing.T) {
	t.Parallel()
	b := bustest.Start(t, bustest.Options{Streams: streams(func(c *bus.StreamConfig) { c.AckWait = time.Second })})
	agg := b.Aggregator()
	var calls atomic.Int64
	done := make(chan struct{})
	background(t, "reports", func(ctx context.Context) error {
		return agg.Reports(ctx, "slow", func(context.Context, gopprof.Report) error {
			calls.Add(1)
			<-time.After(2500 * time.Millisecond)
			close(done)
			return nil
		})
	})
	if err := agg.PublishReport(within(t), report(capture(t, "a"))); err != nil {
		t.Fatal(err)
	}
	<-done
	if n := calls.Load(); n != 1 {
		t.Errorf("handled %d times, want once", n)
	}
}

// TestReportThatIsNone is ended, not handed over again and again.
func TestReportThatIsNone(t *testing.T) {
	b := bustest.Start(t, bustest.Options{})
	agg := b.Aggregator()
	good := report(capture(t, "a"))
	for _, subject := range []string{bus.Root + "report.test.shop.x.y.z", bus.ReportSubject(good) + "x"} {
		body := []byte("hello")
		if subject != bus.Root+"report.test.shop.x.y.z" {
			var err error
			if body, err = wire.EncodeReport(good); err != nil { // of another subject
				t.Fatal(err)
			}
		}
		if err := agg.PublishRaw(within(t), &nats.Msg{Subject: subject, Data: body}); err != nil {
			t.Fatal(err)
		}
	}
	if err := agg.PublishReport(within(t), good); err != nil {
		t.Fatal(err)
	}
	var calls atomic.Int64
	background(t, "reports", func(ctx context.Context) error {
		return agg.Reports(ctx, "x", func(_ context.Context, r gopprof.Report) error {
			calls.Add(1)
			return nil
		})
	})
	poll.Until(t, "all three are ended", func() bool {
		waiting, err := agg.Waiting(within(t), bus.StreamReports, "x")
		return err == nil && waiting == 0
	})
	if n := calls.Load(); n != 1 {
		t.Errorf("%d reports were handed over, want 1", n)
	}
}

// TestReportOfANewerVersion: while replicas are updated one after the other, an old one does
// not end what a new one has reported.
func TestReportOfANewerVersion(t *testing.T) {
	b := bustest.Start(t, bustest.Options{})
	agg := b.Aggregator()
	r := report(capture(t, "a"))
	body, err := wire.EncodeReport(r)
	if err != nil {
		t.Fatal(err)
	}
	newer := bytes.Replace(body, []byte(`"data":{"version":1,`), []byte(`"data":{"version":2,`), 1)
	if bytes.Equal(newer, body) {
		t.Fatal("not newer")
	}
	if err := agg.PublishRaw(within(t), &nats.Msg{Subject: bus.ReportSubject(r), Data: newer}); err != nil {
		t.Fatal(err)
	}
	background(t, "reports", func(ctx context.Context) error {
		return agg.Reports(ctx, "x", func(context.Context, gopprof.Report) error {
			t.Error("handed over")
			return nil
		})
	})
	poll.Until(t, "it comes again", func() bool {
		waiting, err := agg.Waiting(within(t), bus.StreamReports, "x")
		if err == nil && waiting == 0 {
			t.Fatal("ended by a replica that cannot read it")
		}
		n, err := agg.Returned(within(t), bus.StreamReports, "x")
		return err == nil && n == 1
	})
}
