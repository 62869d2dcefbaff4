package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"time"

	agent "github.com/gopprof/gopprof/agent/app"
	aggregator "github.com/gopprof/gopprof/aggregator/app"
	"github.com/gopprof/gopprof/aggregator/draw"
	"github.com/gopprof/gopprof/aggregator/draw/views"
	"github.com/gopprof/gopprof/pkg/ops"
	"github.com/gopprof/gopprof/pkg/profile"
	"github.com/gopprof/gopprof/test/rig"
)

// The programs serve no profiles of themselves. For these benchmarks they are run as parts of
// this program, which does, on sockets beside their configuration. Figures of CPU and memory
// are always of the programs as they are built.

// looksPerSecond is how often the profiler looks: an agent has few milliseconds a second to
// look at. Where the kernel's clock ticks more seldom, shares stay what they are.
const looksPerSecond = 250

// runAgent is the agent, with profiles of itself.
func runAgent(ctx context.Context, config string) error {
	c, err := agent.LoadConfig(config)
	if err != nil {
		return err
	}
	log, err := ops.NewLogger(c.Log)
	if err != nil {
		return err
	}
	a, err := agent.New(ctx, c, log)
	if err != nil {
		return err
	}
	return profiled(ctx, filepath.Dir(config), "agent", func() error { return a.Run(ctx) })
}

// runAggregator is the aggregator, with profiles of itself and of those that draw for it.
func runAggregator(ctx context.Context, config string) error {
	c, err := aggregator.LoadConfig(config)
	if err != nil {
		return err
	}
	log, err := ops.NewLogger(c.Log)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	worker := func(role string) []string { return []string{self, "-role", role, filepath.Dir(config)} }
	a, err := aggregator.New(ctx, c, aggregator.Workers{Draw: worker("draw-worker"), View: worker("view-worker")}, log)
	if err != nil {
		return err
	}
	return profiled(ctx, filepath.Dir(config), "aggregator", func() error { return a.Run(ctx) })
}

func runDrawWorker(ctx context.Context, dir string) error {
	return profiled(ctx, dir, "drawer", func() error { return draw.Worker(os.Stdin, os.Stdout) })
}

func runViewWorker(context.Context, string) error { return views.Worker(os.Stdin, os.Stdout) }

// profiled runs something and serves this process's CPU profile meanwhile.
func profiled(ctx context.Context, dir, name string, run func() error) error {
	l, err := net.Listen("unix", filepath.Join(dir, fmt.Sprintf("%s-%d.sock", name, os.Getpid())))
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(serveProfile), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	return run()
}

func serveProfile(w http.ResponseWriter, r *http.Request) {
	length, err := time.ParseDuration(r.URL.Query().Get("for"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	runtime.SetCPUProfileRate(looksPerSecond) // StartCPUProfile says on stderr that it leaves it so
	if err := pprof.StartCPUProfile(w); err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	_ = wait(r.Context(), length)
	pprof.StopCPUProfile()
}

// startProfiled starts a program as a part of this one.
func (b *bench) startProfiled(ctx context.Context, r *rig.Rig, name, config string) (*rig.Process, rig.Line, error) {
	p, err := r.Start(name+"-profiled", b.role(name, config))
	if err != nil {
		return nil, nil, err
	}
	line, err := p.Await(ctx, name+" started")
	return p, line, err
}

// profilesOf takes a CPU profile of every process of a name that runs now.
func profilesOf(ctx context.Context, dir, name string, length time.Duration) ([]*profile.Raw, error) {
	sockets, err := filepath.Glob(filepath.Join(dir, name+"-*.sock"))
	if err != nil || len(sockets) == 0 {
		return nil, fmt.Errorf("no %s to profile, %w", name, err)
	}
	type taken struct {
		raw *profile.Raw
		err error
	}
	all := make(chan taken, len(sockets))
	for _, socket := range sockets {
		go func() {
			raw, err := profileFrom(ctx, socket, length)
			all <- taken{raw, err}
		}()
	}
	var out []*profile.Raw
	for range sockets {
		t := <-all
		if t.err != nil {
			return nil, fmt.Errorf("profiling %s: %w", name, t.err)
		}
		out = append(out, t.raw)
	}
	return out, nil
}

func profileFrom(ctx context.Context, socket string, length time.Duration) (*profile.Raw, error) {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://profiled/?for="+length.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %.200s, %w", resp.Status, data, err)
	}
	p, err := profile.Parse(data, profile.DefaultLimits())
	if err != nil {
		return nil, err
	}
	return p.Raw(), nil
}
