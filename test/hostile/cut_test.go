package hostile

import (
	"fmt"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/agent/take"
	"github.com/gopprof/gopprof/aggregator/explain"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
)

// TestCutAtAnyByte has an agent take, and an aggregator explain, a profile of which any
// number of bytes is missing at the end, from a target that says so and from one that
// hangs up.
func TestCutAtAnyByte(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	packed := profiletest.CPU(1, profiletest.On(1e9, "main.f", "main.main"), profiletest.On(2e9, "main.g", "main.main"))
	raw := []byte(sampled(located(begun("main.f"), 2, 5), 1, 1e7))
	for name, c := range map[string]struct {
		file    []byte
		length  string // what the header says
		allowed []gopprof.Reason
	}{
		"compressed, of its length": {packed, "Content-Length: %d\r\n", []gopprof.Reason{invalid}},
		"compressed, without one":   {packed, "", []gopprof.Reason{invalid}},
		"compressed, cut short":     {packed, "Content-Length: 100000\r\n", []gopprof.Reason{unreachable}},
		"plain, of its length":      {raw, "Content-Length: %d\r\n", []gopprof.Reason{invalid, harmless}}, // fields are left out
		"plain, cut short":          {raw, "Content-Length: 100000\r\n", []gopprof.Reason{unreachable}},
	} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int64 // bytes that are left
			at := p.start(below("", func(conn net.Conn) {
				readRequest(conn)
				length := c.length
				if length == "Content-Length: %d\r\n" {
					length = fmt.Sprintf(length, n.Load())
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n"+length+"\r\n"+string(c.file[:n.Load()]))
			}))
			taker := take.New(take.DefaultConfig(), take.Deps{}, zap.NewNop(), prometheus.NewRegistry())
			order := gopprof.Order{
				Capture: "01938f00-0000-7000-8000-000000000001", Trigger: gopprof.Trigger{Kind: gopprof.TriggerManual}, Kinds: []gopprof.Kind{gopprof.KindCPU},
				Target: gopprof.Target{Namespace: "shop", Pod: "web", Container: "app", Endpoint: at},
			}
			for n.Store(0); n.Load() < int64(len(c.file)); n.Add(1) {
				_, err := taker.Take(t.Context(), order)
				if r := gopprof.ReasonOf(err); !slices.Contains(c.allowed, r) {
					t.Errorf("after %d bytes of %d: reason %q (%v), want one of %q", n.Load(), len(c.file), r, err, c.allowed)
				}
				checkCut(t, c.file[:n.Load()])
			}
		})
	}
}

// checkCut explains what is left.
func checkCut(t *testing.T, data []byte) {
	t.Helper()
	said := explain.Explain(gopprof.Capture{Profiles: []gopprof.Profile{{Kind: gopprof.KindCPU, Bytes: data}}}, explain.Around{}, profile.DefaultLimits())
	if len(said.Profiles) != 1 || !slices.Contains([]gopprof.Reason{invalid, harmless}, said.Profiles[0].Reason) {
		t.Errorf("after %d bytes: %+v", len(data), said.Profiles)
	}
	checkLine(t, said.Summary)
}
