package explain

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
	"github.com/gopprof/gopprof/test/hostile"
)

const (
	second = int64(time.Second)
	mib    = int64(1 << 20)
)

// on is a stack, leaf first.
func on(value int64, frames ...string) profiletest.Stack { return profiletest.On(value, frames...) }

// burner is 14.2 CPU seconds of a program that mostly burns.
func burner() []byte {
	return profiletest.CPU(30,
		on(8*second, "crypto/sha256.block", "crypto/sha256.Sum256", "main.burn", "main.handle", "main.main", "runtime.main"),
		on(4_922*second/1000, "main.burn", "main.handle", "main.main", "runtime.main"),
		on(800*second/1000, "fmt.Println", "main.log", "main.handle", "main.main", "runtime.main"),
		on(478*second/1000, "runtime.scanobject", "runtime.gcDrain", "runtime.gcBgMarkWorker"),
	)
}

// leaker is 340 MiB of live heap.
func leaker() []byte {
	return profiletest.Heap(
		on(310*mib, "main.(*Cache).fill", "main.(*Cache).Get", "net/http.HandlerFunc.ServeHTTP", "net/http.(*conn).serve"),
		on(30*mib, "bufio.NewReaderSize", "net/http.(*conn).serve"),
	)
}

func window(at int, change func(*gopprof.Window)) gopprof.Window {
	start := time.Date(2026, 11, 22, 3, at, 0, 0, time.UTC)
	w := gopprof.Window{
		Witness: gopprof.WitnessCadvisor, Start: start, End: start.Add(time.Minute), HasCPU: true, HasMemory: true,
		CPU:    gopprof.Use{Mean: 0.47, Limit: 0.5, Ratio: 0.94},
		Memory: gopprof.Use{Mean: 490 * 1 << 20, Limit: 512 << 20, Ratio: 0.957},
	}
	if change != nil {
		change(&w)
	}
	return w
}

// hot is a rule's trigger with two windows.
func hot(resource gopprof.Resource, change func(*gopprof.Evidence)) gopprof.Trigger {
	e := &gopprof.Evidence{
		Rule: "r", Resource: resource, Policy: gopprof.PolicyConfirm, Threshold: 0.8, WindowSeconds: 60,
		Windows: []gopprof.Window{window(1, nil), window(2, nil)},
	}
	if change != nil {
		change(e)
	}
	return gopprof.Trigger{Kind: gopprof.TriggerRule, Evidence: e}
}

func file(kind gopprof.Kind, data []byte) gopprof.Profile {
	return gopprof.Profile{Kind: kind, Bytes: data, SizeBytes: int64(len(data))}
}

func capture(trigger gopprof.Trigger, files ...gopprof.Profile) gopprof.Capture {
	return gopprof.Capture{Trigger: trigger, Profiles: files, Agreement: gopprof.Agreement{Result: gopprof.AgreementConfirmed}}
}

func manual(who string) gopprof.Trigger {
	return gopprof.Trigger{Kind: gopprof.TriggerManual, Request: &gopprof.Request{Who: who}}
}

const burnerSays = "main.burn and what it calls use 91 % of 14.2 CPU seconds; the heaviest single function is sha256.block (56 %)"

// burnerCause is what a rule's capture says of it, with nobody to compare with.
const burnerCause = "main.burn, mostly in sha256.Sum256, uses 91 % of the CPU"

func TestSummary(t *testing.T) {
	cpu, heap := file(gopprof.KindCPU, burner()), file(gopprof.KindHeap, leaker())
	for name, test := range map[string]struct {
		capture gopprof.Capture
		want    string
	}{
		"cpu": {
			capture(hot(gopprof.ResourceCPU, nil), cpu, heap),
			"cpu at 94 % of its 0.5-core limit for 2 × 1 m; " + burnerCause,
		},
		"cpu that rises": {
			capture(hot(gopprof.ResourceCPU, func(e *gopprof.Evidence) { e.Windows[0].CPU.Ratio, e.WindowSeconds = 0.83, 10 }), cpu),
			"cpu at 83 % to 94 % of its 0.5-core limit for 2 × 10 s; " + burnerCause,
		},
		"limit changed in place": {
			capture(hot(gopprof.ResourceCPU, func(e *gopprof.Evidence) { e.Windows[0].CPU.Limit = 0.25 }), cpu),
			"cpu at 94 % of its limit for 2 × 1 m; " + burnerCause,
		},
		"evidence without windows": {
			capture(hot(gopprof.ResourceCPU, func(e *gopprof.Evidence) { e.Windows = nil }), cpu),
			"cpu above 80 % of its limit; " + burnerCause,
		},
		"values that are none": {
			capture(hot(gopprof.ResourceCPU, func(e *gopprof.Evidence) {
				e.Windows[0].CPU.Ratio, e.Windows[1].CPU.Ratio = math.Inf(1), math.NaN()
			}), cpu),
			"cpu above 80 % of its limit; " + burnerCause,
		},
		"throttled": {
			capture(hot(gopprof.ResourceThrottled, func(e *gopprof.Evidence) {
				e.Windows[0].ThrottledRatio, e.Windows[1].ThrottledRatio = 0.45, 0.45
			}), heap, cpu),
			"throttled in 45 % of its CPU periods for 2 × 1 m under its 0.5-core limit; " + burnerCause,
		},
		"memory": {
			capture(hot(gopprof.ResourceMemory, nil), cpu, heap),
			"memory at 96 % of its 512 MiB limit for 2 × 1 m; main.(*Cache).fill allocated 310 MiB of 340 MiB live heap",
		},
		"memory at once": {
			capture(hot(gopprof.ResourceMemory, func(e *gopprof.Evidence) { e.AtOnce, e.Windows = true, e.Windows[1:] }), heap),
			"memory at 96 % of its 512 MiB limit; main.(*Cache).fill allocated 310 MiB of 340 MiB live heap",
		},
		"memory without a heap profile": {
			capture(hot(gopprof.ResourceMemory, nil), file(gopprof.KindAllocs, leaker())),
			"memory at 96 % of its 512 MiB limit for 2 × 1 m; main.(*Cache).fill itself allocated 310 MiB of 340 MiB since the program started (91 %)",
		},
		"only the profile that does not matter": {
			capture(hot(gopprof.ResourceCPU, nil), heap),
			"cpu at 94 % of its 0.5-core limit for 2 × 1 m; no profile that says more",
		},
		"cpu profile failed": {
			func() gopprof.Capture {
				c := capture(hot(gopprof.ResourceCPU, nil), heap)
				c.Failures = []gopprof.Failure{{Kind: gopprof.KindCPU, Reason: gopprof.ReasonContended}}
				return c
			}(),
			"cpu at 94 % of its 0.5-core limit for 2 × 1 m; no cpu profile could be taken (contended)",
		},
		"cpu profile empty":      {capture(hot(gopprof.ResourceCPU, nil), file(gopprof.KindCPU, profiletest.CPU(30))), "cpu at 94 % of its 0.5-core limit for 2 × 1 m; the cpu profile is empty"},
		"cpu profile nameless":   {capture(hot(gopprof.ResourceCPU, nil), file(gopprof.KindCPU, profiletest.CPU(30, on(second)))), "cpu at 94 % of its 0.5-core limit for 2 × 1 m; the cpu profile names no functions"},
		"cpu profile unreadable": {capture(hot(gopprof.ResourceCPU, nil), file(gopprof.KindCPU, []byte("<html>"))), "cpu at 94 % of its 0.5-core limit for 2 × 1 m; the cpu profile cannot be read (invalid_profile)"},
		"cpu profile impossible": {
			capture(manual(""), file(gopprof.KindCPU, profiletest.CPU(1, on(-5, "main.f"), on(7, "main.f")))),
			"asked for by hand; the cpu profile has values that cannot be true",
		},
		"manual":               {capture(manual("mia@example.com"), cpu), "asked for by mia@example.com; " + burnerSays},
		"manual by a terminal": {capture(manual("\x1b[31m<b>\nx"), cpu), "asked for by �[31m<b> x; " + burnerSays},
		"sibling":              {capture(gopprof.Trigger{Kind: gopprof.TriggerSibling}, cpu), "taken to compare with another pod; " + burnerSays},
		"alert":                {capture(gopprof.Trigger{Kind: gopprof.TriggerAlert, Request: &gopprof.Request{Who: "HighCPU"}}, cpu), "taken for an alert by HighCPU; " + burnerSays},
		"alert by name":        {capture(gopprof.Trigger{Kind: gopprof.TriggerAlert, Request: &gopprof.Request{Who: "am"}, Alert: &gopprof.Alert{Name: "Cart\nIs<b>Hot"}}, cpu), "taken for alert Cart Is<b>Hot; " + burnerSays},
		"nothing at all":       {gopprof.Capture{}, "taken; no profile that says more"},
		"goroutines": {
			capture(manual(""), file(gopprof.KindGoroutine, profiletest.Goroutine(on(4000, "runtime.gopark", "main.wait", "main.leak"), on(12, "main.main", "runtime.main")))),
			"asked for by hand; main.wait is on the stack of 4000 of 4012 goroutines",
		},
		"mutex": {
			capture(manual(""), file(gopprof.KindMutex, profiletest.Contention(on(3*second, "sync.(*Mutex).Unlock", "main.put")))),
			"asked for by hand; locks that main.put and what it calls released were waited for 3.0 s of 3.0 s",
		},
		"block": {
			capture(manual(""), file(gopprof.KindBlock, profiletest.Contention(on(3*second, "sync.(*Mutex).Lock", "main.put")))),
			"asked for by hand; main.put and what it calls waited 3.0 s of 3.0 s",
		},
		"mutex not enabled": {capture(manual(""), file(gopprof.KindMutex, profiletest.Contention())), "asked for by hand; the mutex profile is not enabled in the program"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Explain(test.capture, Around{}, profile.DefaultLimits()).Summary; got != test.want {
				t.Errorf("\n got %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestBlame(t *testing.T) {
	for name, test := range map[string]struct {
		stacks []profiletest.Stack
		want   string
	}{
		"the garbage collector": {
			[]profiletest.Stack{
				on(7*second, "runtime.scanobject", "runtime.gcDrain", "runtime.systemstack", "runtime.gcBgMarkWorker"),
				on(3*second, "main.work", "main.main", "runtime.main"),
			},
			"runtime.gcBgMarkWorker and what it calls use 70 % of 10.0 CPU seconds, outside the program's own code; the heaviest single function is runtime.scanobject (70 %)",
		},
		"many equal parts": {
			[]profiletest.Stack{
				on(second, "main.a", "main.serve", "net/http.(*conn).serve"),
				on(second, "main.b", "main.serve", "net/http.(*conn).serve"),
				on(second, "main.c", "main.serve", "net/http.(*conn).serve"),
				on(second, "main.d", "main.serve", "net/http.(*conn).serve"),
				on(second, "main.e", "main.serve", "net/http.(*conn).serve"),
				on(second, "main.f", "main.serve", "net/http.(*conn).serve"),
			},
			"main.serve and what it calls use 100 % of 6.0 CPU seconds",
		},
		"recursion": {
			[]profiletest.Stack{on(2*second, "main.fib", "main.fib", "main.fib", "main.main"), on(2*second, "main.fib", "main.main")},
			"main.fib itself uses 100 % of 4.0 CPU seconds",
		},
		"a library": {
			[]profiletest.Stack{on(2*second, "reflect.Value.Field", "github.com/acme/json/v2.(*Decoder).scan", "main.main")},
			"json.(*Decoder).scan and what it calls use 100 % of 2.0 CPU seconds; the heaviest single function is reflect.Value.Field (100 %)",
		},
		"vendored into Go": {
			[]profiletest.Stack{on(2*second, "vendor/golang.org/x/net/http2.read", "main.main")},
			"main.main and what it calls use 100 % of 2.0 CPU seconds; the heaviest single function is http2.read (100 %)",
		},
		"almost all": {
			[]profiletest.Stack{on(999*second, "main.f"), on(second, "main.g")},
			"main.f itself uses 99 % of 1000 CPU seconds",
		},
		"no names": {
			[]profiletest.Stack{on(second, "<unknown>", "[libc.so]")},
			"is there anything",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := reader{lim: profile.DefaultLimits()}
			f := r.read(file(gopprof.KindCPU, profiletest.CPU(10, test.stacks...)), func(gopprof.Kind, *profile.Profile) {})
			got := "is there anything"
			if f.blame.who.Name != "" {
				got = f.says()
			}
			if got != test.want {
				t.Errorf("\n got %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	at := time.Date(2026, 11, 22, 3, 1, 0, 0, time.UTC)
	cpu := func(c *gopprof.Capture) {}
	agreed := func(a gopprof.Agreement) func(*gopprof.Capture) {
		return func(c *gopprof.Capture) { c.Agreement = a }
	}
	used := func(s float64) func(*gopprof.Capture) { return func(c *gopprof.Capture) { c.CPUSeconds = s } }
	with := func(files ...gopprof.Profile) func(*gopprof.Capture) {
		return func(c *gopprof.Capture) { c.Profiles = files }
	}
	for name, test := range map[string]struct {
		change func(*gopprof.Capture)
		want   []string
	}{
		"none":      {cpu, nil},
		"explained": {used(14.5), nil},
		"contradicted": {
			agreed(gopprof.Agreement{Result: gopprof.AgreementContradicted, Compared: []gopprof.Comparison{
				{Start: at, End: at.Add(time.Minute), Local: 0.93, Series: 0.41}, {Start: at, End: at, Local: 0.9, Series: 0.5},
			}}),
			[]string{"contradicted: the two witnesses disagree: cAdvisor saw cpu at 93 % of its limit, the series in InfluxDB say 41 %, 03:01:00–03:02:00 UTC"},
		},
		"contradicted without values": {agreed(gopprof.Agreement{Result: gopprof.AgreementContradicted, Detail: "lost\n"}), []string{"contradicted: the two witnesses disagree on cpu (lost)"}},
		"single":                      {agreed(gopprof.Agreement{Result: gopprof.AgreementSingle}), []string{"one witness: the series in InfluxDB were written by gopprof's own agent, which looked at the same cgroup"}},
		"unavailable": {
			agreed(gopprof.Agreement{Result: gopprof.AgreementUnavailable, Reason: gopprof.ReasonSeriesStale, Detail: "newest point is 4m old"}),
			[]string{"not confirmed by a second witness: series_stale (newest point is 4m old)"},
		},
		"wrong process":         {used(60), []string{"wrong process? The CPU profile holds 24 % of the 60.0 CPU seconds that the container used meanwhile: most went to another process of the container, or to code that the profiler cannot see"}},
		"another process":       {used(25), []string{"the CPU profile holds 57 % of the 25.0 CPU seconds that the container used meanwhile: the rest went to another process, or to code that the profiler cannot see"}},
		"process of elsewhere":  {used(5), []string{"the CPU profile holds 284 % of the 5.0 CPU seconds that the container used meanwhile: the profiled process does not live in this container alone"}},
		"container almost idle": {used(0.1), nil},
		"few samples":           {with(file(gopprof.KindCPU, profiletest.CPU(30, on(second/2, "main.f")))), []string{"few samples: the CPU profiler looked 50 times, so small shares mean nothing"}},
		"one sample":            {with(file(gopprof.KindCPU, profiletest.CPU(30, on(second/100, "main.f")))), []string{"few samples: the CPU profiler looked 1 time, so small shares mean nothing"}},
		"lost looks": {
			with(file(gopprof.KindCPU, profiletest.CPU(30, on(8*second, "main.f"), on(2*second, "runtime/pprof.lostProfileEvent")))),
			[]string{"the CPU profiler lost 20 % of what it saw: shares are of less than everything"},
		},
		"a look lost": {with(file(gopprof.KindCPU, profiletest.CPU(30, on(8*second, "main.f"), on(second/100, "runtime/pprof.lostProfileEvent")))), nil},
		"small heap":  {with(file(gopprof.KindHeap, profiletest.Heap(on(3*mib, "main.f")))), []string{"few samples: the heap profiler looks once in 512 KiB, and there are 3 MiB of live heap, so shares are rough"}},
		"memory that is no heap": {
			func(c *gopprof.Capture) {
				c.Trigger = hot(gopprof.ResourceMemory, nil)
				c.Profiles = []gopprof.Profile{file(gopprof.KindHeap, profiletest.Heap(on(49*mib, "main.f")))}
			},
			[]string{"the live heap of 49 MiB is 10 % of the 490 MiB that the container used: the rest is garbage not yet collected, stacks, memory not of Go, files in memory, or another process"},
		},
		"unreadable": {
			with(file(gopprof.KindHeap, []byte("heap profile: 1: 2 [3: 4] @ heapprofile"))),
			[]string{"the heap profile cannot be read: invalid_profile (not a valid profile: not a protocol buffer (text and legacy formats are refused))"},
		},
		"of another kind": {
			with(file(gopprof.KindHeap, burner())),
			[]string{"the heap profile cannot be read: invalid_profile (not a valid profile: not a profile of kind heap: it has no inuse_space in bytes)"},
		},
		"negative":    {with(file(gopprof.KindBlock, profiletest.Contention(on(-second, "main.f")))), []string{"the block profile: 1 stacks have negative values, which cannot be true"}},
		"not enabled": {with(file(gopprof.KindMutex, profiletest.Contention()), file(gopprof.KindCPU, burner())), nil},
		"trace":       {with(file(gopprof.KindTrace, []byte("go 1.26 trace\x00\x00\x00")), file(gopprof.KindCPU, burner())), nil},
		"failures": {
			func(c *gopprof.Capture) {
				c.Failures = []gopprof.Failure{{Kind: gopprof.KindHeap, Reason: gopprof.ReasonTimeout, Detail: "after 30s"}, {Kind: gopprof.KindBlock, Reason: gopprof.ReasonTooLarge}}
			},
			[]string{"no heap profile: timeout (after 30s)", "no block profile: too_large"},
		},
		"broken off": {
			func(c *gopprof.Capture) {
				c.Failures = []gopprof.Failure{{Kind: gopprof.KindHeap, Reason: gopprof.ReasonUnreachable, Detail: "unexpected EOF"}, {Kind: gopprof.KindBlock, Reason: gopprof.ReasonTooLarge}}
			},
			[]string{
				"restarted? The connection broke while the heap profile was taken: the program may have ended then, and what was taken afterwards be of its successor",
				"no heap profile: unreachable (unexpected EOF)", "no block profile: too_large",
			},
		},
		"broken off at the end": {
			func(c *gopprof.Capture) {
				c.Failures = []gopprof.Failure{{Kind: gopprof.KindHeap, Reason: gopprof.ReasonUnreachable}, {Kind: gopprof.KindBlock, Reason: gopprof.ReasonGone}}
				c.Profiles = nil
			},
			[]string{"no heap profile: unreachable", "no block profile: gone"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := capture(hot(gopprof.ResourceCPU, nil), file(gopprof.KindCPU, burner()))
			test.change(&c)
			if got := Explain(c, Around{}, profile.DefaultLimits()).Warnings; !slices.Equal(got, test.want) {
				t.Errorf("\n got %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestExplainedRatio(t *testing.T) {
	c := capture(hot(gopprof.ResourceCPU, nil), file(gopprof.KindCPU, burner()))
	for used, want := range map[float64]float64{14.2: 1, 28.4: 0.5, 0: -1, -1: -1, math.Inf(1): -1, math.SmallestNonzeroFloat64: -1} {
		c.CPUSeconds = used
		got := -1.0
		if r := Explain(c, Around{}, profile.DefaultLimits()).ExplainedRatio; r != nil {
			got = *r
		}
		if math.Abs(got-want) > 1e-9 {
			t.Errorf("%v CPU seconds: ratio %v, want %v", used, got, want)
		}
	}
}

func TestProfilesKeepTheirOrderAndReasons(t *testing.T) {
	c := capture(manual(""), file(gopprof.KindMutex, profiletest.Contention()), file(gopprof.KindTrace, []byte("x")),
		file(gopprof.KindHeap, leaker()), file(gopprof.KindCPU, []byte("x")))
	got := Explain(c, Around{}, profile.DefaultLimits()).Profiles
	if len(got) != 3 || got[0].Reason != gopprof.ReasonNotEnabled || got[1].Total != 340*mib || got[2].Reason != gopprof.ReasonInvalidProfile {
		t.Errorf("%+v", got)
	}
}

// TestHostileNamesArePrintable: what is told goes to terminals, logs and chat.
func TestHostileNamesArePrintable(t *testing.T) {
	for _, name := range profiletest.HostileNames() {
		c := capture(manual(name), file(gopprof.KindCPU, profiletest.Hostile(name)))
		c.Failures = []gopprof.Failure{{Kind: gopprof.KindHeap, Reason: gopprof.ReasonStatus, Detail: name}}
		e := Explain(c, Around{}, profile.DefaultLimits())
		for _, s := range append(e.Warnings, e.Summary) {
			if strings.ContainsAny(s, "\x00\x1b\n\r\u202e\u2028") || len(s) > 3000 {
				t.Errorf("%.30q: %.200q", name, s)
			}
		}
		if len(e.Profiles[0].Functions) == 0 || bytes.ContainsAny([]byte(e.Profiles[0].Functions[0].Name), "\x00\x1b\n") {
			t.Errorf("%.30q: %+v", name, e.Profiles[0])
		}
	}
}

func FuzzExplain(f *testing.F) {
	f.Add(burner(), 0.94, 14.2, "mia")
	f.Add(leaker(), -1.0, 0.0, "\x1b")
	f.Add(profiletest.Contention(), math.Inf(1), math.NaN(), "")
	f.Add(profiletest.CPU(30, on(second)), 0.9, 1.0, "a stack without a frame")
	for _, name := range profiletest.HostileNames()[:5] {
		f.Add(profiletest.Hostile(name), math.NaN(), 1e300, name)
	}
	for name, data := range hostile.Files(4 << 10) {
		f.Add(data, 0.9, 1.0, name)
	}
	f.Fuzz(func(t *testing.T, data []byte, ratio, used float64, who string) {
		for _, resource := range gopprof.Resources() {
			c := capture(hot(resource, func(e *gopprof.Evidence) {
				w := &e.Windows[0]
				w.CPU.Ratio, w.Memory.Ratio, w.ThrottledRatio, w.Memory.Mean = ratio, ratio, ratio, used
			}), file(gopprof.KindCPU, data), file(gopprof.KindHeap, data), file(gopprof.KindBlock, data))
			c.CPUSeconds, c.Trigger.Request = used, &gopprof.Request{Who: who}
			beside := other(who, bytesOf(data), gopprof.KindCPU, gopprof.KindHeap)
			beside.Report.Capture.CPUSeconds = ratio
			for _, around := range []Around{{}, {Others: []Other{beside, other("q", bytesOf(quiet()), gopprof.KindCPU)}, Fleet: &gopprof.Fleet{Pods: 2, Hot: 2}}} {
				e := Explain(c, around, profile.DefaultLimits())
				if again := Explain(c, around, profile.DefaultLimits()); !reflect.DeepEqual(again, e) {
					t.Errorf("once\n%+v\nand once\n%+v", e, again)
				}
				if e.Summary == "" || strings.ContainsAny(e.Summary, "\x00\x1b\n") {
					t.Errorf("summary %q", e.Summary)
				}
				if _, err := json.Marshal(e); err != nil {
					t.Error(err)
				}
				for _, cause := range e.Verdict.Causes {
					if !(cause.Share >= 0 && cause.Share <= 1) || strings.ContainsAny(cause.Line, "\x00\x1b\n") || len(cause.Line) > 1000 {
						t.Errorf("%+v", cause)
					}
				}
			}
		}
	})
}
