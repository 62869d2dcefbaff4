package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof" // what is measured
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/parts"
	"github.com/gopprof/gopprof/test/rig"
)

// The service is asked so often that it uses about half a processor, and the callers wait in
// no queue of their own: a late answer delays no later question.
const (
	askedPerSecond = 150
	captureSeconds = 30
	pairs          = 4
)

// price measures what a capture costs its target: latency at a fixed rate, and throughput of
// as many callers as processors, with and without, in turns.
func price(ctx context.Context, b *bench) error {
	group, err := parts.NewCgroup("gopprof-bench", parts.CgroupLimits{CPUCores: 2, MemoryBytes: 256 << 20})
	if err != nil {
		return err
	}
	defer func() { _ = group.Remove() }()
	r, err := b.rig("price")
	if err != nil {
		return err
	}
	defer r.Stop()
	service, err := startService(ctx, b, r, group)
	if err != nil {
		return err
	}
	b.printf("| pair | p50 without | p50 captured | p99 without | p99 captured | p99 ratio | answers/s without | captured | ratio |\n|---|---|---|---|---|---|---|---|---|\n")
	var latencies, throughputs []float64
	for i := range pairs {
		var l [2]latencyOf
		var t [2]float64
		for turn := range 2 {
			captured := (turn + i) % 2 // each goes first in half of the pairs
			if l[captured], t[captured], err = priceOnce(ctx, r, service, captured == 1); err != nil {
				return err
			}
		}
		p99, rate := l[1].p99.Seconds()/l[0].p99.Seconds(), t[1]/t[0]
		latencies, throughputs = append(latencies, p99), append(throughputs, rate)
		b.printf("| %d | %.2f ms | %.2f ms | %.2f ms | %.2f ms | %.2f | %.0f | %.0f | %.3f |\n", i+1, toMS(l[0].p50), toMS(l[1].p50), toMS(l[0].p99), toMS(l[1].p99), p99, t[0], t[1], rate)
	}
	slices.Sort(latencies)
	slices.Sort(throughputs)
	b.printf("\nmedian of the ratios: p99 %.2f, throughput %.3f\n", middle(latencies), middle(throughputs))
	return nil
}

// middle is the median of an even number of sorted values.
func middle(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

func toMS(d time.Duration) float64 { return d.Seconds() * 1000 }

// startService starts the busy service in its cgroup, the aggregator, and an agent that
// watches it. It returns the URL to ask.
func startService(ctx context.Context, b *bench, r *rig.Rig, group *parts.Cgroup) (url string, err error) {
	if err := r.StartAggregator(ctx); err != nil {
		return "", err
	}
	addrFile := filepath.Join(r.Dir, "service.addr")
	service, err := r.Start("service", b.role("service", addrFile))
	if err != nil {
		return "", err
	}
	if err := group.Add(service.PID()); err != nil {
		return "", err
	}
	var addr []byte
	if err := rig.Poll(ctx, func() (err error) { addr, err = os.ReadFile(addrFile); return err }); err != nil {
		return "", err
	}
	targets := fmt.Sprintf("- {namespace: shop, workload: checkout, pod: checkout-0, pprof: \"http://%s/debug/pprof\", cgroup: %s}\n", addr, group.Path)
	config, err := b.agentConfig(r, "targets:\n"+targets, "state_interval: 2s\n")
	if err != nil {
		return "", err
	}
	if _, err := r.Start("agent", b.agentAt(config)); err != nil {
		return "", err
	}
	return "http://" + string(addr) + "/order", r.AwaitTarget(ctx)
}

// priceOnce measures latency, then throughput, each over one capture's length.
func priceOnce(ctx context.Context, r *rig.Rig, url string, captured bool) (l latencyOf, rate float64, err error) {
	for _, measure := range []func(context.Context) error{
		func(ctx context.Context) (err error) { l, err = latencyAt(ctx, url, askedPerSecond); return err },
		func(ctx context.Context) (err error) { rate, err = throughput(ctx, url); return err },
	} {
		during := func(context.Context) error { return nil }
		if captured {
			if during, err = capture(ctx, r); err != nil {
				return l, 0, err
			}
		}
		within, cancel := context.WithTimeout(ctx, captureSeconds*time.Second)
		err = measure(within)
		cancel()
		if err == nil {
			err = during(ctx)
		}
		if err != nil {
			return l, 0, err
		}
	}
	return l, rate, nil
}

// capture begins what the default CPU rule takes, and returns what waits for its report.
func capture(ctx context.Context, r *rig.Rig) (wait func(context.Context) error, err error) {
	body, err := json.Marshal(api.CaptureRequest{Namespace: "shop", Pod: "checkout-0", Kinds: []gopprof.Kind{gopprof.KindCPU, gopprof.KindGoroutine}, Seconds: captureSeconds})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.API+api.PathCaptures, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var o gopprof.Operation
	if err := json.NewDecoder(resp.Body).Decode(&o); err != nil || resp.StatusCode >= 300 {
		return nil, fmt.Errorf("asking for a capture: %s, %w", resp.Status, err)
	}
	return func(ctx context.Context) error {
		return rig.Poll(ctx, func() error {
			var list api.ReportList
			if err := r.GetJSON(ctx, api.PathReports+"?limit=1", &list); err != nil {
				return err
			}
			if len(list.Reports) == 0 || time.Since(list.Reports[0].MadeAt) > captureSeconds*time.Second {
				return errors.New("no report of the capture yet")
			}
			return nil
		})
	}, nil
}

type latencyOf struct{ p50, p99 time.Duration }

// latencyAt asks at a fixed rate until ctx ends; a latency counts from the moment when the
// question was due, not from when it could be sent.
func latencyAt(ctx context.Context, url string, perSecond int) (latencyOf, error) {
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	var asking sync.WaitGroup
	began := time.Now()
	for i := 0; ; i++ {
		due := began.Add(time.Duration(i) * time.Second / time.Duration(perSecond))
		if wait(ctx, time.Until(due)) != nil {
			break
		}
		asking.Go(func() {
			err := ask(context.WithoutCancel(ctx), url)
			took := time.Since(due)
			mu.Lock()
			defer mu.Unlock()
			if all = append(all, took); err != nil {
				failed = err
			}
		})
	}
	asking.Wait()
	slices.Sort(all)
	if failed != nil || len(all) < 100 {
		return latencyOf{}, fmt.Errorf("%d answers, %w", len(all), failed)
	}
	return latencyOf{all[len(all)/2], all[len(all)*99/100]}, nil
}

// throughput is how many answers a second two callers get that ask again at once.
func throughput(ctx context.Context, url string) (float64, error) {
	var n atomic.Int64
	var asking sync.WaitGroup
	began := time.Now()
	for range 2 {
		asking.Go(func() {
			for ctx.Err() == nil && ask(context.WithoutCancel(ctx), url) == nil {
				n.Add(1)
			}
		})
	}
	asking.Wait()
	if n.Load() == 0 {
		return 0, errors.New("the service answered nothing")
	}
	return float64(n.Load()) / time.Since(began).Seconds(), nil
}

func ask(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the service answered %s", resp.Status)
	}
	return nil
}

// runService is the busy service: each answer is some milliseconds of work.
func runService(ctx context.Context, addrFile string) error {
	http.HandleFunc("GET /order", func(http.ResponseWriter, *http.Request) { serviceWork() })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if err := os.WriteFile(addrFile+".new", []byte(l.Addr().String()), 0o600); err != nil {
		return err
	}
	if err := os.Rename(addrFile+".new", addrFile); err != nil {
		return err
	}
	server := &http.Server{Handler: http.DefaultServeMux, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
