package app

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/gopprof/gopprof/aggregator/receive"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/embedded/natstest"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/poll"
)

// NATS is so slow, from the middle of a capture on, that nothing comes back in time: the log
// says that the capture is given back, and why; it is handed out meanwhile to nobody who
// hears of it, and again. When NATS is as quick as before, what was begun and what was
// published meanwhile is stored once.
func TestSlowNATS(t *testing.T) {
	for name, direction := range map[string]func(*natstest.Way) *sync.RWMutex{
		"questions": func(w *natstest.Way) *sync.RWMutex { return &w.Questions },
		"answers":   func(w *natstest.Way) *sync.RWMutex { return &w.Answers },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			way := natstest.StartWay(t, s.b.Server.URL())
			s.open = func() (*bus.Aggregator, storer) { return s.b.AggregatorOver(way.URL), s.store() }
			s.tune = func(c *receive.Config) { c.HandleTimeout, c.Workers = time.Second, 2 }
			held := direction(way)
			hold, holding := sync.OnceFunc(held.Lock), make(chan struct{})
			begun := sync.OnceFunc(func() { hold(); close(holding) })
			logs := s.troubles(func(context.Context, string) (before, after error) { begun(); return nil, nil })
			first := s.ask("a")
			s.publish(first)
			_, stop, wait := s.start("")
			<-holding
			release := sync.OnceFunc(held.Unlock)
			t.Cleanup(release) // before the aggregator is waited for
			meanwhile := s.several(2)
			poll.Until(t, "it is given back", func() bool { return givenBack(logs, first, gopprof.ReasonNoAnswer) > 0 })
			if n := s.b.Messages(bus.StreamCaptures); n != 3 {
				t.Errorf("%d captures wait, want 3", n)
			}
			release()
			s.settled()
			stop()
			wait()
			s.allOnce(t, append(meanwhile, first))
		})
	}
}
