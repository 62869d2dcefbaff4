package bus_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/bus/bustest"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/poll"
)

func newID(t testing.TB) string {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return id.String()
}

func target(node string) gopprof.Target {
	return gopprof.Target{
		Cluster: bustest.Cluster, Node: node, Namespace: "shop", Workload: gopprof.Workload{Kind: "Deployment", Name: "cart"},
		Pod: "cart-5d9f.0", PodUID: "u1", Container: "cart", Owner: "team-cart",
		Endpoint: gopprof.Endpoint{Scheme: "http", Host: "10.0.0.7", Port: 6060, Path: "/debug/pprof"},
	}
}

// capture makes one with a profile for each size.
func capture(t testing.TB, node string, sizes ...int) gopprof.Capture {
	t.Helper()
	at := time.Date(2026, 11, 22, 3, 4, 5, 0, time.UTC)
	c := gopprof.Capture{
		ID: newID(t), Incident: newID(t), Target: target(node), Start: at, End: at.Add(30 * time.Second),
		Trigger: gopprof.Trigger{Kind: gopprof.TriggerManual, At: at, Request: &gopprof.Request{Who: "alice"}},
	}
	for i, size := range sizes {
		data := make([]byte, size)
		for j := range data {
			data[j] = byte(j>>10 + i + j*j)
		}
		sum := sha256.Sum256(data)
		c.Profiles = append(c.Profiles, gopprof.Profile{
			Kind: gopprof.Kinds()[i], SizeBytes: int64(size), SHA256: hex.EncodeToString(sum[:]), Bytes: data,
		})
	}
	return c
}

func report(c gopprof.Capture) gopprof.Report {
	return gopprof.Report{Version: gopprof.ReportVersion, ID: c.ID, Capture: c, MadeAt: c.End.Add(time.Second),
		Explanation: gopprof.Explanation{Summary: "cart burns in main.spin"}}
}

// receiver collects deliveries: each is handed to the test, which settles it.
type receiver struct {
	t   testing.TB
	got chan *bus.Delivery
}

// receive starts a consumer that ends with the test.
func receive(t testing.TB, a *bus.Aggregator) *receiver {
	t.Helper()
	r := &receiver{t, make(chan *bus.Delivery)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- a.Captures(ctx, 2, func(_ context.Context, d *bus.Delivery) {
			select {
			case r.got <- d:
			case <-ctx.Done():
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error("captures:", err)
		}
	})
	return r
}

func (r *receiver) next() *bus.Delivery {
	r.t.Helper()
	select {
	case d := <-r.got:
		return d
	case <-time.After(poll.Patience):
		r.t.Fatal("no capture was delivered")
		return nil
	}
}

// nothing fails the test if something is delivered although the queue is empty: it
// publishes a mark and expects that it comes first.
func (r *receiver) nothing(from *bus.Agent, node string) {
	r.t.Helper()
	mark := capture(r.t, node)
	publish(r.t, from, mark)
	d := r.next()
	if d.Capture.ID != mark.ID {
		r.t.Fatalf("delivered %s, nothing was expected", d.Capture.ID)
	}
	ack(r.t, d)
}

func publish(t testing.TB, a *bus.Agent, c gopprof.Capture) {
	t.Helper()
	if err := a.PublishCapture(within(t), c); err != nil {
		t.Fatal(err)
	}
}

func ack(t testing.TB, d *bus.Delivery) {
	t.Helper()
	if err := d.Ack(within(t)); err != nil {
		t.Fatal(err)
	}
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), poll.Patience)
	t.Cleanup(cancel)
	return ctx
}
