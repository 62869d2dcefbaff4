package picture

import (
	"bytes"
	"flag"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

var update = flag.Bool("update", false, "write the golden files")

// end is when the captures of these tests end: on no whole minute.
var end = time.Date(2026, 11, 22, 12, 8, 10, 0, time.UTC)

// scene is a capture of thirty seconds whose container of two cores and 512 MiB went from
// calm to hot four minutes before.
func scene() gopprof.Capture {
	c := gopprof.Capture{
		Target:    gopprof.Target{Namespace: "shop", Pod: "checkout-6d5f7c9b8-x2x4z", Container: "app"},
		Start:     end.Add(-30 * time.Second),
		End:       end,
		Agreement: gopprof.Agreement{Result: gopprof.AgreementConfirmed},
		Trigger: gopprof.Trigger{Kind: gopprof.TriggerRule, At: end.Add(-31 * time.Second),
			Evidence: &gopprof.Evidence{Rule: "cpu", Resource: gopprof.ResourceCPU, Threshold: 0.8}},
		History: gopprof.History{SeriesBy: gopprof.WitnessHeapster},
	}
	c.History.Local = points(10*time.Second, wave)
	c.History.Series = points(time.Minute, wave)
	return c
}

func points(every time.Duration, use func(before time.Duration) (cores, bytes, throttled float64)) []gopprof.Point {
	var out []gopprof.Point
	for at := end.Add(-gopprof.HistoryLength).Truncate(every); !at.Add(every).After(end); at = at.Add(every) {
		cores, bytes, throttled := use(end.Sub(at))
		out = append(out, gopprof.Point{Start: at, End: at.Add(every), HasCPU: true, HasMemory: true,
			CPUCores: cores, CPULimitCores: 2, MemoryBytes: bytes, MemoryLimitBytes: 512 << 20, ThrottledRatio: throttled})
	}
	return out
}

func wave(before time.Duration) (cores, bytes, throttled float64) {
	m := before.Minutes()
	swing := math.Sin(m * 5)
	hot := 1 / (1 + math.Exp((m-4)*4))
	return 0.5 + 0.12*swing + 1.3*hot, float64(200<<20) * (1 + 0.9*hot + 0.04*swing), 0.6 * hot
}

func change(c gopprof.Capture, to func(*gopprof.Capture)) gopprof.Capture { to(&c); return c }

func scenes() map[string]gopprof.Capture {
	return map[string]gopprof.Capture{
		"cpu": scene(),
		"memory": change(scene(), func(c *gopprof.Capture) {
			c.Trigger.Evidence = &gopprof.Evidence{Rule: "memory", Resource: gopprof.ResourceMemory, Threshold: 0.6}
			c.Agreement.Result = gopprof.AgreementSingle
			c.History.SeriesBy = gopprof.WitnessRecord
		}),
		"throttled": change(scene(), func(c *gopprof.Capture) {
			c.Trigger.Evidence = &gopprof.Evidence{Rule: "throttled", Resource: gopprof.ResourceThrottled, Threshold: 0.4}
			c.History.Series = nil
			c.Agreement.Result = gopprof.AgreementUnavailable
		}),
		"limit-changed": change(scene(), func(c *gopprof.Capture) {
			for _, seen := range [][]gopprof.Point{c.History.Local, c.History.Series} {
				for i := range seen {
					if end.Sub(seen[i].End) > 6*time.Minute {
						seen[i].CPULimitCores = 0.4
					}
				}
			}
		}),
		"no-limit-by-hand": change(scene(), func(c *gopprof.Capture) {
			c.Trigger = gopprof.Trigger{Kind: gopprof.TriggerManual, At: end.Add(-12 * time.Minute)}
			c.Start, c.Agreement = end.Add(-11*time.Minute), gopprof.Agreement{}
			c.Profiles = []gopprof.Profile{{Kind: gopprof.KindHeap}}
			for _, seen := range [][]gopprof.Point{c.History.Local, c.History.Series} {
				for i := range seen {
					seen[i].CPULimitCores, seen[i].MemoryLimitBytes = 0, 0
				}
			}
		}),
		"gaps": change(scene(), func(c *gopprof.Capture) {
			c.Agreement.Result = gopprof.AgreementContradicted
			c.History.Local = append(c.History.Local[20:35:35], c.History.Local[50:]...)
			c.History.Series = append(c.History.Series[:4:4], c.History.Series[7:9]...)
		}),
		"node-capacity": change(scene(), func(c *gopprof.Capture) {
			c.Trigger.Evidence.Windows = []gopprof.Window{{CPU: gopprof.Use{Limit: 4, Basis: gopprof.BasisNode}}}
			c.Trigger.Evidence.Threshold = 0.4
			for i := range c.History.Local {
				c.History.Local[i].CPULimitCores = 0
			}
			c.History.Series = nil
		}),
	}
}

func TestPictures(t *testing.T) {
	for name, c := range scenes() {
		t.Run(name, func(t *testing.T) {
			svg, ok := Draw(c)
			if !ok {
				t.Fatal("nothing drawn")
			}
			file := filepath.Join("testdata", name+".svg")
			if *update {
				if err := os.WriteFile(file, svg, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(svg, want) {
				t.Errorf("%s differs; -update writes it", file)
			}
		})
	}
}

func TestNothingToDraw(t *testing.T) {
	for name, c := range map[string]gopprof.Capture{
		"no history":        change(scene(), func(c *gopprof.Capture) { c.History = gopprof.History{} }),
		"no time":           change(scene(), func(c *gopprof.Capture) { c.Start, c.End = time.Time{}, time.Time{} }),
		"another day":       change(scene(), func(c *gopprof.Capture) { c.Start, c.End = end.AddDate(0, 0, 1), end.AddDate(0, 0, 1) }),
		"nothing reported":  spoil(func(p *gopprof.Point) { p.HasCPU = false }),
		"not a number":      spoil(func(p *gopprof.Point) { p.CPUCores = math.NaN() }),
		"infinite":          spoil(func(p *gopprof.Point) { p.CPUCores = math.Inf(1) }),
		"negative":          spoil(func(p *gopprof.Point) { p.CPUCores = -1 }),
		"beyond belief":     spoil(func(p *gopprof.Point) { p.CPUCores = 1e300 }),
		"of no length":      spoil(func(p *gopprof.Point) { p.End = p.Start }),
		"ends before start": spoil(func(p *gopprof.Point) { p.Start, p.End = p.End, p.Start }),
	} {
		if svg, ok := Draw(c); ok || svg != nil {
			t.Errorf("%s: drawn: %s", name, svg)
		}
	}
}

// spoil changes every point of the scene.
func spoil(how func(*gopprof.Point)) gopprof.Capture {
	c := scene()
	for _, seen := range [][]gopprof.Point{c.History.Local, c.History.Series} {
		for i := range seen {
			how(&seen[i])
		}
	}
	return c
}

func TestStretches(t *testing.T) {
	f := frame{end.Add(-gopprof.HistoryLength), end}
	at := func(from, to int, cores float64) gopprof.Point {
		return gopprof.Point{Start: end.Add(time.Duration(from) * time.Second), End: end.Add(time.Duration(to) * time.Second), HasCPU: true, CPUCores: cores}
	}
	got := stretches([]gopprof.Point{
		at(-10, 10, 4), at(-60, -30, 1), at(-40, -20, 2), at(-39, -21, 9), at(-1000, -890, 3), at(-20, -10, math.NaN()), at(20, 30, 5),
	}, f, func(p gopprof.Point) (stretch, bool) { return useOf(p, gopprof.ResourceCPU) })
	want := []struct{ from, to, cores float64 }{{-900, -890, 3}, {-60, -30, 1}, {-30, -20, 2}, {-10, 0, 4}}
	if len(got) != len(want) {
		t.Fatalf("got %+v", got)
	}
	for i, w := range want {
		if g := got[i]; g.start.Sub(end).Seconds() != w.from || g.end.Sub(end).Seconds() != w.to || g.value != w.cores {
			t.Errorf("got %v to %v: %v, want %v", g.start.Sub(end), g.end.Sub(end), g.value, w)
		}
	}
}

func TestScale(t *testing.T) {
	for _, c := range []struct {
		p    panel
		want scale
	}{
		{panel{ratios: true, local: []stretch{{value: 0.3}}}, scale{1.15, 0.25, 0.01, "%"}},
		{panel{ratios: true, local: []stretch{{value: 1.3}}}, scale{1.5, 0.5, 0.01, "%"}},
		{panel{ratios: true, local: []stretch{{value: 900}}}, scale{25, 5, 0.01, "%"}},
		{panel{series: []stretch{{value: 0.7}}}, scale{0.8, 0.2, 1, "cores"}},
		{panel{resource: gopprof.ResourceMemory, local: []stretch{{value: 300 << 20}}}, scale{400 << 20, 100 << 20, 1 << 20, "MiB"}},
		{panel{resource: gopprof.ResourceMemory, local: []stretch{{}}}, scale{1.25 * 1024, 0.25 * 1024, 1024, "KiB"}},
	} {
		got := scaleOf(c.p)
		if math.Abs(got.top-c.want.top) > 1e-9*got.top || math.Abs(got.step-c.want.step) > 1e-9*got.top || got.divisor != c.want.divisor || got.unit != c.want.unit {
			t.Errorf("%+v: %+v, want %+v", c.p, got, c.want)
		}
	}
}

func TestName(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"shop/web-1", "shop/web-1"},
		{"shop/checkout-6d5f7c9b8-x2x4z", "shop/chec…c9b8-x2x4z"},
		{"a\nb\u202ec\x00", "a b\ufffdc\ufffd"},
		{"日日日日日日日日日日日日", "日日日日…日日日日日"},
		{"", ""},
	} {
		if got := name(c.in, 20); got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
}

func TestHostileNames(t *testing.T) {
	c := scene()
	evil := `</text><script xlink:href="x">alert(1)</script>` + "\u202e\x00" + `"'&`
	c.Target.Pod, c.Target.Namespace, c.Trigger.Evidence.Rule = evil, evil, evil
	svg, ok := Draw(c)
	if !ok {
		t.Fatal("nothing drawn")
	}
	check(t, svg)
}

func TestTheFullestHistoryIsBounded(t *testing.T) {
	c := scene()
	c.Trigger, c.Profiles = gopprof.Trigger{}, []gopprof.Profile{{Kind: gopprof.KindHeap}}
	c.History.Local, c.History.Series = nil, nil
	for i := range 20_000 {
		start := end.Add(-time.Duration(i+1) * gopprof.HistoryLength / 20_000)
		p := gopprof.Point{Start: start, End: start.Add(gopprof.HistoryLength / 40_000), HasCPU: true, HasMemory: true, CPUCores: float64(i % 7), MemoryBytes: float64(i%9) * 1e8}
		c.History.Local, c.History.Series = append(c.History.Local, p), append(c.History.Series, p)
	}
	svg, ok := Draw(c)
	if !ok {
		t.Fatal("nothing drawn")
	}
	check(t, svg)
	t.Logf("%d bytes", len(svg))
}
