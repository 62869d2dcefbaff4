package app

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gopprof/gopprof/agent/take"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/poll"
)

// continuous is a tool that profiles the burner all the time, as continuous profilers do:
// a profile, a short pause, the next one. It ends with the test, or when stop is called.
func (p *place) continuous(seconds string, pause time.Duration) (profiles *atomic.Int32, stop func()) {
	p.t.Helper()
	ctx, cancel := context.WithCancel(p.t.Context())
	profiles = new(atomic.Int32)
	var running sync.WaitGroup
	running.Go(func() {
		wait := time.NewTicker(pause)
		defer wait.Stop()
		for ctx.Err() == nil {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.listen+"/debug/pprof/profile?seconds="+seconds, nil)
			if err != nil {
				p.t.Error(err)
				return
			}
			if resp, err := http.DefaultClient.Do(req); err == nil {
				if _, err := io.Copy(io.Discard, resp.Body); err == nil && resp.StatusCode == http.StatusOK {
					profiles.Add(1)
				}
				resp.Body.Close()
			}
			wait.Reset(pause)
			select {
			case <-wait.C:
			case <-ctx.Done():
			}
		}
	})
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	p.t.Cleanup(stop)
	return profiles, stop
}

// A profiler that another tool holds for 14 seconds of every 15: here 1 of 1.07, and all of
// the agent's own times are as much shorter. The capture gets its profile or ends as
// contended, within its trigger's lifetime, with a few questions; the other tool goes on,
// and when it ends the profiler is had at once.
func TestProfilerHeldMostOfTheTime(t *testing.T) {
	const scale = 14 // of ours to theirs
	p := newPlace(t)
	theirs, stop := p.continuous("1", time.Second/scale)
	p.profiling()
	retry, lifetime := take.DefaultConfig().ContendedRetry/scale, triggerLifetime/scale
	taker := p.taker(func(c *take.Config) { c.ContendedRetry = retry }, nil)
	began := time.Now()
	c, err := taker.Take(t.Context(), orderFor(p.seen(), lifetime, gopprof.KindCPU))
	took := time.Since(began)
	if reason := gopprof.ReasonOf(err); err != nil && reason != gopprof.ReasonContended || err == nil && len(c.Profiles) != 1 {
		t.Errorf("%d profiles, %v: want one, or contended", len(c.Profiles), err)
	}
	if asked := p.dialled.Load(); err != nil && (took < lifetime-2*retry || asked < 3) {
		t.Errorf("given up after %s and %d questions: it may wait %s", took, asked, lifetime)
	}
	if most := lifetime + time.Second + 5*time.Second; took > most {
		t.Errorf("took %s, want %s at most", took, most)
	}
	if n, most := p.dialled.Load(), int32(took/(retry/2))+2; n > most {
		t.Errorf("asked %d times in %s, want %d at most", n, took, most)
	}
	before := theirs.Load()
	poll.Until(t, "the other tool goes on", func() bool { return theirs.Load() > before })
	stop()
	p.dialled.Store(0)
	if c, err := taker.Take(t.Context(), orderFor(p.now(), lifetime, gopprof.KindCPU)); err != nil || len(c.Profiles) != 1 || p.dialled.Load() > 2 {
		t.Errorf("after the other tool: %d profiles, %v, asked %d times", len(c.Profiles), err, p.dialled.Load())
	}
}

// A profiler that is never free: contended, at the deadline and no later, with no more
// questions than the pauses allow.
func TestProfilerThatIsNeverFree(t *testing.T) {
	p := newPlace(t)
	_, stop := p.continuous("60", time.Millisecond)
	defer stop()
	p.profiling()
	const retry, lifetime = 200 * time.Millisecond, 2 * time.Second
	taker := p.taker(func(c *take.Config) { c.ContendedRetry = retry }, nil)
	began := time.Now()
	_, err := taker.Take(t.Context(), orderFor(p.seen(), lifetime, gopprof.KindCPU))
	if took := time.Since(began); gopprof.ReasonOf(err) != gopprof.ReasonContended || took > lifetime+3*time.Second {
		t.Errorf("%v after %s, want contended after %s", err, took, lifetime)
	}
	if n := p.dialled.Load(); n < 2 || n > int32(lifetime/(retry/2))+2 {
		t.Errorf("asked %d times", n)
	}
}
