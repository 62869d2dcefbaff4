package receive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// fakeDelivery writes down what is done with it, in order.
type fakeDelivery struct {
	capture    gopprof.Capture
	problem    error // of the message
	deliveries int
	starts     int              // before this one
	fails      map[string]error // by method

	mu         sync.Mutex
	done       []string
	inProgress int
}

func (d *fakeDelivery) do(method string, detail ...any) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	word := method
	for _, x := range detail {
		word += fmt.Sprint(" ", x)
	}
	d.done = append(d.done, word)
	return d.fails[method]
}

func (d *fakeDelivery) log() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.done)
}

func (d *fakeDelivery) Capture() (gopprof.Capture, error) { return d.capture, d.problem }

func (d *fakeDelivery) Fetch(context.Context) (gopprof.Capture, error) {
	c := d.capture
	c.Profiles = []gopprof.Profile{{Kind: gopprof.KindCPU, Bytes: []byte("bytes")}}
	return c, d.do("fetch")
}

func (d *fakeDelivery) RemoveBytes(context.Context) error { return d.do("remove bytes") }
func (d *fakeDelivery) Ack(context.Context) error         { return d.do("ack") }
func (d *fakeDelivery) Nak(delay time.Duration) error     { return d.do("nak", delay) }
func (d *fakeDelivery) Finished(context.Context) error    { return d.do("finished") }
func (d *fakeDelivery) Deliveries() int                   { return max(d.deliveries, 1) }

func (d *fakeDelivery) DeadLetter(_ context.Context, reason gopprof.Reason, _ string) error {
	return d.do("dead letter", reason)
}

// Starts is written down only where it fails.
func (d *fakeDelivery) Starts(context.Context) (int, error) {
	if d.fails["starts"] != nil {
		return 0, d.do("starts")
	}
	return d.starts, nil
}

func (d *fakeDelivery) Started(context.Context) (int, error) {
	return d.starts + 1, d.do("started")
}

func (d *fakeDelivery) InProgress() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inProgress++
	return d.fails["in progress"]
}

// fakeHandler is a Handler of two functions; without them all goes well.
type fakeHandler struct {
	resume func(context.Context, gopprof.Capture) (bool, error)
	handle func(context.Context, gopprof.Capture) error
	giveUp func(gopprof.Capture, gopprof.Reason, string) error
}

func (h fakeHandler) GiveUp(_ context.Context, c gopprof.Capture, reason gopprof.Reason, detail string) error {
	if h.giveUp == nil {
		return nil
	}
	return h.giveUp(c, reason, detail)
}

func (h fakeHandler) Resume(ctx context.Context, c gopprof.Capture) (bool, error) {
	if h.resume == nil {
		return false, nil
	}
	return h.resume(ctx, c)
}

func (h fakeHandler) Handle(ctx context.Context, c gopprof.Capture) error {
	if len(c.Profiles) != 1 || string(c.Profiles[0].Bytes) != "bytes" {
		return errors.New("the capture has no bytes")
	}
	if h.handle == nil {
		return nil
	}
	return h.handle(ctx, c)
}

// fakeSource hands over its deliveries, each to a goroutine of its own, and then waits as
// the bus does.
type fakeSource []*fakeDelivery

func (s fakeSource) Captures(ctx context.Context, _ int, handle func(context.Context, Delivery)) error {
	var all sync.WaitGroup
	for _, d := range s {
		all.Go(func() { handle(context.WithoutCancel(ctx), d) })
	}
	<-ctx.Done()
	all.Wait()
	return nil
}
