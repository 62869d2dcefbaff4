package receive

import (
	"context"
	"time"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Delivery is one capture handed over, as bus.Delivery is, in the parts that are used
// here. All but InProgress are called by one goroutine.
type Delivery interface {
	Message
	Settler
	Counter
}

// Message is what was delivered.
type Message interface {
	// Capture returns the capture without its bytes, or why the message is not believed
	// (bus.ErrUndecodable, bus.ErrImposter).
	Capture() (gopprof.Capture, error)
	// Fetch returns the capture with its bytes; bus.ErrBytesLost, bus.ErrBytesWrong and
	// bus.ErrTooLarge last.
	Fetch(ctx context.Context) (gopprof.Capture, error)
	RemoveBytes(ctx context.Context) error
}

// Settler ends a delivery, or keeps it alive.
type Settler interface {
	InProgress() error
	Ack(ctx context.Context) error
	Nak(delay time.Duration) error
	DeadLetter(ctx context.Context, reason gopprof.Reason, detail string) error
}

// Counter counts what outlives a worker.
type Counter interface {
	// Deliveries is how often the message was handed over, this time included.
	Deliveries() int
	// Starts returns how many workers began with this capture before and did not end.
	Starts(ctx context.Context) (int, error)
	// Started counts one more and returns how many they are, this one included; bus.ErrFull
	// is that there is no room to count.
	Started(ctx context.Context) (int, error)
	// Finished forgets them all.
	Finished(ctx context.Context) error
}

// FromBus is the source of captures that aggregators use.
func FromBus(a *bus.Aggregator) Source { return fromBus{a} }

type fromBus struct{ *bus.Aggregator }

func (b fromBus) Captures(ctx context.Context, workers int, handle func(context.Context, Delivery)) error {
	return b.Aggregator.Captures(ctx, workers, func(ctx context.Context, d *bus.Delivery) {
		handle(ctx, busDelivery{d})
	})
}

type busDelivery struct{ *bus.Delivery }

func (d busDelivery) Capture() (gopprof.Capture, error) { return d.Delivery.Capture, d.Err }

func (d busDelivery) Fetch(ctx context.Context) (gopprof.Capture, error) {
	err := d.Delivery.Fetch(ctx)
	return d.Delivery.Capture, err
}
