package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/agent/take"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
	"github.com/gopprof/gopprof/test/poll"
)

// slowDisk is publish on a disk that takes nothing until it is told, and nothing of one.
type slowDisk struct {
	publisher
	goOn    chan struct{}
	failing string
	waiting atomic.Int32
}

func (s *slowDisk) Publish(_ context.Context, c gopprof.Capture) error {
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	<-s.goOn
	if c.ID == s.failing {
		return errors.New("lost")
	}
	return nil
}

// However many targets are hot while the disk is slow, no more is taken than there is memory
// for; and all are taken when the disk goes on, also after one that it lost.
func TestSlowDiskHoldsCapturesUp(t *testing.T) {
	const hot, most = 6, 1 // one that waits for the disk leaves room for one that is taken
	heap := profiletest.Heap(profiletest.On(1<<20, "main.f"))
	disk := &slowDisk{goOn: make(chan struct{}), failing: handID}
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		if n := disk.waiting.Load(); n > most {
			t.Errorf("asked while %d captures wait for the disk", n)
		}
		_, _ = w.Write(heap)
	}))
	defer server.Close()
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	host := netip.MustParseAddrPort(at.Host)
	cfg := take.DefaultConfig()
	cfg.MaxAtOnce, cfg.MaxBytes = 1, int64(len(heap))
	cfg.MaxCaptureBytes = cfg.MaxBytes
	h, _ := newTestHand(t, t.TempDir())
	taking := newHandTaker(take.New(cfg, take.Deps{}, zap.NewNop(), newRegistry()), h)
	publishing := handPublisher{disk, h}
	var captures sync.WaitGroup
	for i := range hot {
		captures.Go(func() {
			o := handOrder(gopprof.TriggerManual, fmt.Sprintf("01938f00-0000-7000-8000-%012d", i+1))
			o.Kinds, o.Deadline = []gopprof.Kind{gopprof.KindHeap}, time.Now().Add(time.Hour)
			o.Target.Pod = fmt.Sprint("api-", i)
			o.Target.Endpoint = gopprof.Endpoint{Scheme: "http", Host: host.Addr().String(), Port: int(host.Port()), Path: "/debug/pprof"}
			c, err := taking.Take(t.Context(), o)
			if err == nil {
				err = publishing.Publish(t.Context(), c)
			}
			if (err != nil) != (o.Capture == disk.failing) {
				t.Errorf("%s: %v", o.Capture, err)
			}
		})
	}
	for range hot {
		poll.Until(t, "a capture waits for the disk", func() bool { return disk.waiting.Load() > 0 })
		disk.goOn <- struct{}{}
	}
	captures.Wait()
	if asked.Load() != hot {
		t.Errorf("asked %d times, want %d", asked.Load(), hot)
	}
}

// What cannot be written down as in hand, because of a disk that is slow and then fails, is in
// memory until it is handed on all the same.
func TestCaptureThatIsNotNotedIsInMemory(t *testing.T) {
	h, _ := newTestHand(t, t.TempDir())
	h.memory.write = func(string, any) error { return errors.New("disk") }
	var told []string
	h.handedOn = func(capture string) { told = append(told, capture) }
	take := &looking{end: func() error { return nil }}
	wait, err := handTaker{take, h}.Start(t.Context(), handOrder(gopprof.TriggerManual, handID))
	if err != nil {
		t.Fatal(err)
	}
	c, err := wait()
	if err != nil || len(told) > 0 {
		t.Fatalf("taken and not handed on: %v, told of as handed on: %v", err, told)
	}
	if err := (handPublisher{&fakes{}, h}).Publish(t.Context(), c); err != nil || len(told) != 1 {
		t.Errorf("handed on: %v, told of: %v", err, told)
	}
}
