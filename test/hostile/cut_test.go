package hostile

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/agent/take"
	"github.com/gopprof/gopprof/aggregator/draw"
	"github.com/gopprof/gopprof/aggregator/draw/views"
	"github.com/gopprof/gopprof/aggregator/explain"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
	"github.com/gopprof/gopprof/test/parts"
)

// TestCutAtAnyByte has an agent take, and an aggregator explain, a profile of which any
// number of bytes is missing at the end, from a target that says so and from one that
// hangs up.
func TestCutAtAnyByte(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	packed, raw := wholeFiles()
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

// wholeFiles are a profile as Go writes it, and one that is not compressed.
func wholeFiles() (packed, raw []byte) {
	packed = profiletest.CPU(1, profiletest.On(1e9, "main.f", "main.main"), profiletest.On(2e9, "main.g", "main.main"))
	return packed, sampled(located(begun("main.f"), 2, 5), 1, 1e7)
}

// TestCutIsDrawn has what is left drawn, shown on pprof's pages and merged, each with the
// whole file before and after it.
func TestCutIsDrawn(t *testing.T) {
	t.Parallel()
	parts.NeedDot(t)
	reg := prometheus.NewRegistry()
	drawer, err := draw.New(draw.DefaultConfig(), []string{victim(), "draw-worker"}, zap.NewNop(), reg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(drawer.Close)
	shown, err := views.New(views.DefaultConfig(), []string{victim(), "view-worker"}, zap.NewNop(), reg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(shown.Close)
	packed, raw := wholeFiles()
	for name, file := range map[string][]byte{"compressed": packed, "plain": raw} {
		t.Run(name, func(t *testing.T) {
			for n := 0; n <= len(file); n += 1 + len(file)/24 {
				checkDrawn(t, drawer, file[:n])
				checkShown(t, shown, fmt.Sprint(name, n), file[:n])
				checkMerged(t, file, file[:n])
			}
			checkDrawn(t, drawer, file[:len(file)-1])
			if _, err := drawer.Draw(t.Context(), gopprof.KindCPU, file); err != nil {
				t.Errorf("the whole file: %v", err)
			}
		})
	}
	if n := total(t, reg, "gopprof_aggregator_draw_workers_started_total"); n != 1 {
		t.Errorf("%v workers for one drawing after the other", n)
	}
	if n := total(t, reg, "gopprof_aggregator_views_ended_total", "died", "timeout"); n != 0 {
		t.Errorf("%v views died", n)
	}
}

// checkDrawn draws what is left of a file.
func checkDrawn(t *testing.T, d *draw.Drawer, data []byte) {
	t.Helper()
	svg, err := d.Draw(t.Context(), gopprof.KindCPU, data)
	if err == nil {
		checkSVG(t, svg)
		return
	}
	checkLine(t, err.Error())
	if words := err.Error(); !strings.Contains(words, profile.ErrInvalid.Error()) && !strings.Contains(words, "is empty") {
		t.Errorf("drawing %d bytes: %v", len(data), err)
	}
}

// checkShown opens a view of what is left of a file.
func checkShown(t *testing.T, vs *views.Views, key string, data []byte) {
	t.Helper()
	html, err := vs.Page(t.Context(), views.View{
		Key: key, Kind: gopprof.KindCPU, Title: "cut", Home: "..",
		Profile: func(context.Context) ([]byte, error) { return data, nil },
	}, "top", "")
	if err == nil && len(html) == 0 || err != nil && gopprof.ReasonOf(err) != invalid {
		t.Errorf("showing %d bytes: %d bytes of page, %v", len(data), len(html), err)
	}
}

// checkMerged adds what is left of a file to the whole of it, which it changes only if it is
// a profile like it.
func checkMerged(t *testing.T, whole, data []byte) {
	t.Helper()
	m := profile.NewMerger(profile.DefaultLimits())
	for i, file := range [][]byte{whole, data, whole} {
		p, err := profile.Parse(file, profile.DefaultLimits())
		if err == nil {
			err = m.Add(p)
		}
		if err != nil && (i != 1 || profile.ReasonOf(err) != invalid) {
			t.Errorf("merging %d bytes: %v", len(file), err)
		}
	}
	sum, err := m.Profile().Bytes()
	if err == nil {
		err = profile.Validate(gopprof.KindCPU, sum, profile.DefaultLimits())
	}
	if err != nil {
		t.Errorf("the sum with %d bytes: %v", len(data), err)
	}
}

// total is the sum of a counter's values: of all, or of those of which a label has one of
// some values.
func total(t *testing.T, reg *prometheus.Registry, name string, values ...string) (sum float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			counts := f.GetName() == name && len(values) == 0
			for _, l := range m.GetLabel() {
				counts = counts || f.GetName() == name && slices.Contains(values, l.GetValue())
			}
			if counts {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}
