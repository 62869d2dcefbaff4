package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/agent/publish"
	"github.com/gopprof/gopprof/agent/take"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
	"github.com/gopprof/gopprof/test/hostile/victim/job"
)

const (
	idHostile = "01938f00-0000-7000-8000-000000000001"
	idGood    = "01938f00-0000-7000-8000-000000000002"
	idOther   = "01938f00-0000-7000-8000-00000000001" // and a digit
)

// dialled records the connections that an agent wants to make, and refuses all that lead
// to nobody it was told of.
type dialled struct {
	allowed []string

	mu  sync.Mutex
	all []string
}

func (d *dialled) allow(address string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, address)
	if !slices.Contains(d.allowed, address) {
		return fmt.Errorf("%s is not a target", address)
	}
	return nil
}

// capture profiles both targets at once, and spools and sends what came of the hostile one,
// as an agent does.
func capture(j job.Take) (job.Taken, error) {
	cfg := take.DefaultConfig()
	cfg.Timeout, cfg.DefaultCPUSeconds, cfg.ContendedRetry, cfg.Patience = j.Timeout, time.Second, 50*time.Millisecond, cmp.Or(j.Patience, time.Second)
	cfg.ConnectTimeout = j.Timeout
	cfg.TLS.CAFile = j.CAFile
	d := &dialled{allowed: []string{address(j.Hostile), address(j.Good)}}
	for _, other := range j.Others {
		d.allowed = append(d.allowed, address(other))
	}
	t := take.New(cfg, take.Deps{Allow: d.allow}, zap.NewNop(), prometheus.NewRegistry())
	end, err := measure()
	if err != nil {
		return job.Taken{}, err
	}
	start := time.Now()
	wait, err := t.Start(context.Background(), order(idHostile, j.Hostile, j.Kinds...))
	if err != nil {
		return job.Taken{}, err
	}
	for i, other := range j.Others {
		wait, err := t.Start(context.Background(), order(fmt.Sprint(idOther, i), other, j.Kinds...))
		if err != nil {
			return job.Taken{}, err
		}
		defer wait() //nolint:errcheck // it is there to be in the way
	}
	for len(j.Others) > 0 && len(atWork(t)) <= len(j.Others) { // the good one comes after them
		time.Sleep(time.Millisecond)
	}
	_, err = t.Take(context.Background(), order(idGood, j.Good, gopprof.KindHeap))
	out := job.Taken{Good: gopprof.ReasonOf(err), GoodTook: time.Since(start).Seconds()}
	c, err := wait()
	out.Seconds = time.Since(start).Seconds()
	if err == nil {
		if err := publishOne(c); err != nil {
			return out, err
		}
	}
	out.Memory, out.Dialled = end(), d.all
	if err != nil {
		out.Reason, out.Detail = gopprof.ReasonOf(err), err.Error()
	}
	if len(c.Failures) > 0 {
		out.Reason, out.Detail = c.Failures[0].Reason, c.Failures[0].Detail
	}
	for _, p := range c.Profiles {
		out.Bytes += int64(len(p.Bytes))
	}
	return out, nil
}

// atWork are the captures that do not wait for their turn.
func atWork(t *take.Taker) []take.Running {
	return slices.DeleteFunc(t.Running(), func(r take.Running) bool { return r.Kind == "" })
}

// sent is told of what is sent, and encodes it as the bus does.
type sent chan error

func (s sent) PublishCapture(_ context.Context, c gopprof.Capture) error {
	c.Target.Node = "n"
	_, err := wire.EncodeCapture(c)
	s <- err
	return nil
}

// publishOne spools a capture and waits until it is sent.
func publishOne(c gopprof.Capture) error {
	cfg := publish.DefaultConfig()
	var err error
	if cfg.Dir, err = os.MkdirTemp("", "spool"); err != nil {
		return err
	}
	defer os.RemoveAll(cfg.Dir)
	to := make(sent, 1)
	p, err := publish.New(cfg, to, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = p.Run(ctx) }) // ends with ctx only
	err = p.Publish(ctx, c)
	if err == nil {
		err = <-to
	}
	cancel()
	running.Wait()
	return errors.Join(err, p.Close())
}

func address(e gopprof.Endpoint) string { return fmt.Sprintf("%s:%d", e.Host, e.Port) }

func order(id string, e gopprof.Endpoint, kinds ...gopprof.Kind) gopprof.Order {
	return gopprof.Order{
		Capture: id, Incident: idGood, Trigger: gopprof.Trigger{Kind: gopprof.TriggerManual}, Kinds: kinds,
		Target: gopprof.Target{Namespace: "shop", Pod: id, Container: "app", Endpoint: e},
	}
}
