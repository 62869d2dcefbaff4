package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof" // what is measured
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// latencyAt asks at a fixed rate until ctx ends and returns how long the answers took, sorted;
// a latency counts from the moment when the question was due, not from when it could be sent.
func latencyAt(ctx context.Context, url string, perSecond int) ([]time.Duration, error) {
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
		return nil, fmt.Errorf("%d answers, %w", len(all), failed)
	}
	return all, nil
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
