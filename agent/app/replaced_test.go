package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/agent/discover"
	"github.com/gopprof/gopprof/agent/observe"
	"github.com/gopprof/gopprof/agent/observe/cadvisor"
	"github.com/gopprof/gopprof/agent/take"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/parts"
	"github.com/gopprof/gopprof/test/poll"
)

// What becomes of a capture when its target, a real burner in a real cgroup, dies under it,
// and something else runs there by the time that it is dialled again.

var program = sync.OnceValues(func() (string, error) { return parts.BuildBurner(context.Background(), burnerDir) })

// place is where burners run one after the other: one address, one name, one cgroup's path.
type place struct {
	t      *testing.T
	above  *parts.Cgroup
	cgroup *parts.Cgroup // of the burner that runs; nil: there is none
	burner *parts.Burner
	listen string

	mu      sync.Mutex // guards target
	target  gopprof.Target
	observe *observe.Observer
	app     *App
	dialled atomic.Int32
}

// newPlace starts a burner.
func newPlace(t *testing.T) *place {
	t.Helper()
	if err := parts.CgroupsAllowed(); err != nil {
		parts.Missing(t, "%v", err)
	}
	above, err := parts.NewCgroup("gopprof-replaced", parts.CgroupLimits{})
	if err != nil {
		t.Fatal(err)
	}
	reader, err := cadvisor.New(cadvisor.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	p := &place{t: t, above: above, listen: "127.0.0.1:0", observe: observe.New(observe.DefaultConfig(), reader, zap.NewNop(), prometheus.NewRegistry())}
	p.app = &App{discover: p, observe: p.observe}
	t.Cleanup(func() {
		p.die()
		if err := above.Remove(); err != nil {
			t.Error(err)
		}
	})
	p.start()
	return p
}

// Run implements discover.Discoverer.
func (p *place) Run(context.Context) error { return nil }

// Snapshot implements discover.Discoverer.
func (p *place) Snapshot() discover.Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	return discover.Snapshot{Targets: []gopprof.Target{p.target}}
}

// now is the target as it is listed.
func (p *place) now() gopprof.Target { return p.Snapshot().Targets[0] }

func (p *place) list(t gopprof.Target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = t
}

// start starts a burner where none runs, and lists it by its cgroup's path.
func (p *place) start() {
	p.t.Helper()
	var err error
	if p.cgroup, err = p.above.Child("app", parts.CgroupLimits{CPUCores: 0.5}); err != nil {
		p.t.Fatal(err)
	}
	p.run()
}

// run runs a burner in the cgroup.
func (p *place) run() {
	p.t.Helper()
	path, err := program()
	if err != nil {
		p.t.Fatal(err)
	}
	if p.burner, err = parts.StartBurner(path, p.cgroup, "-listen", p.listen); err != nil {
		p.t.Fatal(err)
	}
	p.listen = p.burner.Addr
	var port int
	if _, err := fmt.Sscanf(p.listen, "127.0.0.1:%d", &port); err != nil {
		p.t.Fatal(err)
	}
	t := target
	t.Cgroup = gopprof.Cgroup{Path: p.cgroup.Path}
	t.Endpoint = gopprof.Endpoint{Scheme: "http", Host: "127.0.0.1", Port: port, Path: "/debug/pprof"}
	p.list(t)
}

// die ends the burner and its cgroup.
func (p *place) die() {
	p.t.Helper()
	if p.burner == nil {
		return
	}
	if err := p.burner.Stop(); err != nil {
		p.t.Error(err)
	}
	if err := p.cgroup.Remove(); err != nil {
		p.t.Error(err)
	}
	p.burner, p.cgroup = nil, nil
}

// seen is the target as the observer's turn hands it to the judge.
func (p *place) seen() gopprof.Target {
	p.t.Helper()
	seen := p.observe.Observe(p.t.Context(), []gopprof.Target{p.now()}, time.Now())
	if len(seen) != 1 || seen[0].Err != nil {
		p.t.Fatalf("looked at %+v", seen)
	}
	return seen[0].Target
}

// taker takes captures as the agent does; between is called before each connection but
// the first.
func (p *place) taker(change func(*take.Config), between func()) *take.Taker {
	cfg := take.DefaultConfig()
	cfg.Timeout = 5 * time.Second
	if change != nil {
		change(&cfg)
	}
	asked := 0
	return take.New(cfg, take.Deps{
		Meter: p.observe,
		Allow: func(string) error { p.dialled.Add(1); return nil },
		Verify: func(t gopprof.Target) (gopprof.Target, gopprof.Reason) {
			if asked++; asked > 2 && between != nil { // two looks at each connection
				between()
			}
			return p.app.verify(t)
		},
	}, zap.NewNop(), prometheus.NewRegistry())
}

func orderFor(t gopprof.Target, lifetime time.Duration, kinds ...gopprof.Kind) gopprof.Order {
	return gopprof.Order{
		Capture: "01938f00-0000-7000-8000-000000000001", Incident: "i", Target: t, Kinds: kinds, CPUSeconds: time.Second,
		Trigger: gopprof.Trigger{Kind: gopprof.TriggerRule, At: time.Now()}, Deadline: time.Now().Add(lifetime),
	}
}

// profiling waits until somebody holds the burner's CPU profiler.
func (p *place) profiling() {
	p.t.Helper()
	poll.Until(p.t, "the burner is profiled", func() bool {
		resp, err := http.Get("http://" + p.listen + "/debug/pprof/goroutine?debug=1")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		goroutines, _ := io.ReadAll(resp.Body)
		return bytes.Contains(goroutines, []byte("runtime/pprof.profileWriter"))
	})
}

// A burner that dies in mid-profile leaves a capture without one, by its reason; what was
// taken before it died is kept.
func TestTargetDiesInMidProfile(t *testing.T) {
	for _, before := range []bool{false, true} {
		p := newPlace(t)
		kinds := []gopprof.Kind{gopprof.KindCPU, gopprof.KindGoroutine}
		if before {
			kinds = append([]gopprof.Kind{gopprof.KindHeap}, kinds...)
		}
		order := orderFor(p.seen(), time.Minute, kinds...)
		order.CPUSeconds = 50 * time.Second
		wait, err := p.taker(nil, nil).Start(t.Context(), order)
		if err != nil {
			t.Fatal(err)
		}
		p.profiling()
		p.die()
		c, err := wait()
		if before {
			if err != nil || len(c.Profiles) != 1 || c.Profiles[0].Kind != gopprof.KindHeap || len(c.Failures) != 2 ||
				c.Failures[0].Reason != gopprof.ReasonUnreachable || c.Failures[1].Reason == "" {
				t.Errorf("capture with %d profiles, %+v, %v; want the heap of before", len(c.Profiles), c.Failures, err)
			}
		} else if gopprof.ReasonOf(err) != gopprof.ReasonUnreachable {
			t.Errorf("%v, want unreachable", err)
		}
	}
}

// Another burner runs under the name, at the address and in a cgroup of the same path,
// before the capture's next kind is asked for: it is another one, whose profiles are not
// those of the one that was hot.
func TestTargetIsReplacedInMidProfile(t *testing.T) {
	for name, as := range map[string]func(p *place, generation int) gopprof.Target{
		"known by its cgroup": func(p *place, _ int) gopprof.Target { return p.now() },
		"known by its process": func(p *place, _ int) gopprof.Target {
			t := p.now()
			t.Cgroup = gopprof.Cgroup{PID: p.burner.PID}
			return t
		},
		"known by its container": func(p *place, generation int) gopprof.Target {
			t := p.now()
			t.PodUID, t.ContainerID = "u1", fmt.Sprint("containerd://", generation)
			return t
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.list(as(p, 1))
			order := orderFor(p.seen(), time.Minute, gopprof.KindCPU, gopprof.KindGoroutine)
			order.CPUSeconds = 50 * time.Second
			replaced := make(chan struct{})
			wait, err := p.taker(nil, func() { <-replaced }).Start(t.Context(), order)
			if err != nil {
				t.Fatal(err)
			}
			p.profiling()
			p.die()
			p.start()
			p.list(as(p, 2))
			close(replaced)
			c, err := wait()
			if err == nil {
				t.Fatalf("a capture with %d profiles of the successor", len(c.Profiles))
			}
			if gopprof.ReasonOf(err) != gopprof.ReasonUnreachable {
				t.Errorf("%v, want unreachable", err)
			}
			if n := p.dialled.Load(); n != 1 {
				t.Errorf("dialled %d times, want once", n)
			}
			next, err := p.taker(nil, nil).Take(t.Context(), orderFor(p.now(), time.Minute, gopprof.KindGoroutine))
			if err != nil || len(next.Profiles) != 1 {
				t.Errorf("the successor's own capture: %v", err)
			}
		})
	}
}

// A program that is started anew within its container, by what watches over it there, is the
// same target: nothing outside tells the two apart. That the connection broke in the middle is
// in the capture, and the report warns of it.
func TestTargetRestartsWithinItsContainer(t *testing.T) {
	p := newPlace(t)
	order := orderFor(p.seen(), time.Minute, gopprof.KindCPU, gopprof.KindGoroutine)
	order.CPUSeconds = 50 * time.Second
	restarted := make(chan struct{})
	wait, err := p.taker(nil, func() { <-restarted }).Start(t.Context(), order)
	if err != nil {
		t.Fatal(err)
	}
	p.profiling()
	if err := p.burner.Stop(); err != nil {
		t.Fatal(err)
	}
	p.run()
	close(restarted)
	c, err := wait()
	if err != nil || len(c.Profiles) != 1 || c.Profiles[0].Kind != gopprof.KindGoroutine || len(c.Failures) != 1 ||
		c.Failures[0].Kind != gopprof.KindCPU || c.Failures[0].Reason != gopprof.ReasonUnreachable {
		t.Errorf("capture with %d profiles, %+v, %v; want the goroutines, and that the connection broke", len(c.Profiles), c.Failures, err)
	}
}

// A firing whose capture waited while its target was replaced: the evidence is of the one
// that is gone.
func TestTargetIsReplacedBeforeItsCapture(t *testing.T) {
	p := newPlace(t)
	order := orderFor(p.seen(), time.Minute, gopprof.KindCPU)
	p.die()
	p.start()
	if _, err := p.taker(nil, nil).Take(t.Context(), order); gopprof.ReasonOf(err) != gopprof.ReasonGone {
		t.Errorf("%v, want gone", err)
	}
	if n := p.dialled.Load(); n != 0 {
		t.Errorf("dialled %d times", n)
	}
}
