package cause

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
)

const (
	look = 10_000_000 // nanoseconds
	mib  = int64(1 << 20)
)

// Stacks as services have them, leaf first; the value is given with each use.
var (
	serve     = []string{"net/http.(*conn).serve", "runtime.goexit"}
	list      = within("shop/catalog.List", "shop/front.handle")
	pay       = within("shop/payments.Pay", "shop/front.handle")
	match     = within("regexp.(*Regexp).MatchString", "shop/search.match", "shop/search.Find", "shop/front.handle")
	collector = []string{"runtime.scanobject", "runtime.gcDrain", "runtime.gcBgMarkWorker", "runtime.goexit"}
	alloc     = within("runtime.mallocgcSmallNoscan", "runtime.newobject", "shop/quotes.newPrice", "shop/quotes.Offers", "shop/front.handle")
	lock      = within("internal/sync.(*Mutex).lockSlow", "internal/sync.(*Mutex).Lock", "sync.(*Mutex).Lock", "shop/stock.reserve", "shop/front.handle")
	locked    = within("shop/stock.reserve", "shop/front.handle")
	channel   = within("runtime.chansend", "runtime.chansend1", "shop/audit.append", "shop/front.handle")
	yielding  = []string{"runtime.schedule", "runtime.goschedImpl", "runtime.gosched_m", "runtime.mcall"}
	sched     = []string{"runtime.findRunnable", "runtime.schedule", "runtime.park_m", "runtime.mcall"}
	waiting   = within("runtime.gopark", "internal/sync.runtime_SemacquireMutex", "internal/sync.(*Mutex).lockSlow", "sync.(*Mutex).Lock", "shop/stock.reserve", "shop/front.handle")
	receiving = within("runtime.gopark", "runtime.chanrecv1", "shop/tracking.follow")
	sending   = within("runtime.gopark", "runtime.chansend1", "shop/audit.append", "shop/front.handle")
	idleConn  = []string{"runtime.gopark", "runtime.selectgo", "net/http.(*persistConn).readLoop", "runtime.goexit"}
	kept      = append([]string{"runtime.gopark", "internal/poll.runtime_pollWait"}, serve...)
	parsing   = within("github.com/lib/pq.parse /home/build/go/pkg/mod/github.com/lib/pq@v1.2.3/p.go", "main.main /src/main.go")
	sessions  = within("internal/runtime/maps.newarray", "shop/sessions.keep", "shop/front.handle")
)

func within(frames ...string) []string { return append(frames, serve...) }

func on(value int64, frames []string) profiletest.Stack { return profiletest.On(value, frames...) }

func cpu(stacks ...profiletest.Stack) []byte {
	for i := range stacks {
		stacks[i].Value *= look
	}
	return profiletest.CPU(10, stacks...)
}

func shape(t *testing.T, k gopprof.Kind, data []byte) *profile.Shape {
	t.Helper()
	p, err := profile.Parse(data, profile.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	w, err := p.Weigh(k)
	if err != nil {
		t.Fatal(err)
	}
	return w.Shape(10)
}

// quiet is a pod at its base load: 100 looks in 10 s.
func quiet() []byte { return cpu(on(55, list), on(30, pay), on(5, collector), on(10, sched)) }

// scene is what a test sets up.
type scene struct {
	resource gopprof.Resource
	here     map[gopprof.Kind][]byte
	others   []map[gopprof.Kind][]byte
	change   func(*Facts)
}

func (s scene) facts(t *testing.T) Facts {
	t.Helper()
	w := gopprof.Window{
		Witness: gopprof.WitnessCadvisor, HasCPU: true, HasMemory: true,
		CPU:    gopprof.Use{Mean: 0.45, Limit: 0.5, Ratio: 0.9},
		Memory: gopprof.Use{Mean: float64(230 * mib), Limit: float64(256 * mib), Ratio: 0.9},
	}
	f := Facts{
		Fleet: &gopprof.Fleet{Pods: 3, Build: 3, Hot: 1, Quiet: 2},
		Here:  map[gopprof.Kind]*profile.Shape{}, Others: map[gopprof.Kind][]Other{}, Differences: map[gopprof.Kind]gopprof.Difference{},
	}
	if s.resource != "" {
		f.Capture.Trigger = gopprof.Trigger{Kind: gopprof.TriggerRule, Evidence: &gopprof.Evidence{Resource: s.resource, Windows: []gopprof.Window{w}}}
	}
	for k, data := range s.here {
		f.Here[k] = shape(t, k, data)
		for _, o := range s.others {
			if o[k] != nil {
				other := shape(t, k, o[k])
				f.Others[k] = append(f.Others[k], Other{Shape: other, Capture: gopprof.Capture{
					History: gopprof.History{Local: []gopprof.Point{{HasCPU: true, CPULimitCores: 0.5}}},
				}})
			}
		}
		if len(f.Others[k]) > 0 {
			f.Differences[k] = difference(f.Here[k], f.Others[k])
		}
	}
	if s.change != nil {
		s.change(&f)
	}
	return f
}

// difference is what explain/compare makes of profiles whose every figure is far beyond
// chance, or the same.
func difference(here *profile.Shape, others []Other) gopprof.Difference {
	d := gopprof.Difference{Here: float64(here.Total) / here.Unit(), SameShares: here.Kind == gopprof.KindCPU}
	for _, o := range others {
		d.With = append(d.With, gopprof.Comparator{Pod: "quiet"})
		d.Typical += float64(o.Shape.Total) / o.Shape.Unit() / float64(len(others))
		if ratio(float64(o.Shape.Own), float64(o.Shape.Total))-ratio(float64(here.Own), float64(here.Total)) > 0.2 {
			d.SameShares = false
		}
		for name, p := range here.Parts {
			if p.Own && math.Abs(ratio(float64(p.Self), float64(here.Own))-ratio(float64(of(name, self)(o.Shape)), float64(o.Shape.Own))) > 0.1 {
				d.SameShares = false
			}
		}
	}
	d.Significant = math.Abs(d.Here-d.Typical) > 0.05*d.Here
	return d
}

// served sets how many requests a second were counted, here and in quiet pods.
func served(here, typical float64) func(*Facts) {
	return func(f *Facts) {
		d := f.Differences[gopprof.KindCPU]
		d.HereRequests, d.TypicalRequests = here, typical
		f.Differences[gopprof.KindCPU] = d
	}
}

func of1(k gopprof.Kind, data []byte) map[gopprof.Kind][]byte {
	return map[gopprof.Kind][]byte{k: data}
}

// two is two quiet pods.
func two(k gopprof.Kind, data []byte) []map[gopprof.Kind][]byte {
	return []map[gopprof.Kind][]byte{of1(k, data), of1(k, data)}
}

// base is the base load and something more, in one pod's CPU profile.
func base(more ...profiletest.Stack) []byte {
	return cpu(append(more, on(55, list), on(30, pay), on(5, collector), on(10, sched))...)
}

func heap(stacks ...profiletest.Stack) []byte {
	for i := range stacks {
		stacks[i].Value *= mib
	}
	return profiletest.Heap(stacks...)
}

func points(mebibytes ...int64) []gopprof.Point {
	var out []gopprof.Point
	at := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	for _, m := range mebibytes {
		out = append(out, gopprof.Point{Start: at, End: at.Add(10 * time.Second), HasMemory: true, MemoryBytes: float64(m * mib), MemoryLimitBytes: float64(256 * mib)})
		at = at.Add(10 * time.Second)
	}
	return out
}

// Every rule of the table: where it holds, where it does not, and what it says.
func TestRules(t *testing.T) {
	const (
		cpuKind  = gopprof.KindCPU
		heapKind = gopprof.KindHeap
		gorKind  = gopprof.KindGoroutine
	)
	pile := profiletest.Goroutine(on(4000, receiving), on(10, list))
	for name, test := range map[string]struct {
		scene
		first      gopprof.CauseKind // "" for none
		confidence gopprof.Confidence
		line       string // part of the first cause's
		function   string
		never      []gopprof.CauseKind
	}{
		"hot code": {
			scene{gopprof.ResourceCPU, of1(cpuKind, base(on(350, match))), two(cpuKind, quiet()), nil},
			gopprof.CauseCodeHot, gopprof.ConfidenceSure, "search.match, mostly in regexp.(*Regexp).MatchString, uses 78 % of the CPU, 0 % in 2 quiet pods", "shop/search.match",
			[]gopprof.CauseKind{gopprof.CauseTraffic, gopprof.CauseGCBound, gopprof.CauseContention, gopprof.CauseThrottled},
		},
		"hot code, nobody to compare with": {
			scene{gopprof.ResourceCPU, of1(cpuKind, base(on(350, match))), nil, nil},
			gopprof.CauseCodeHot, gopprof.ConfidenceLikely, "search.match, mostly in regexp.(*Regexp).MatchString, uses 78 % of the CPU", "shop/search.match", nil,
		},
		"nothing that stands out": {
			scene{gopprof.ResourceCPU, of1(cpuKind, cpu(on(20, list), on(20, pay), on(20, match), on(20, locked), on(20, parsing))), nil, nil},
			gopprof.CauseCodeHot, gopprof.ConfidenceUnsure, "front.handle uses 80 % of the CPU, spread over much of what it calls", "shop/front.handle", nil,
		},
		"what is deep carries too little, what is above it enough": {
			scene{gopprof.ResourceCPU, of1(cpuKind, base(on(115, match), on(35, within("shop/search.Find", "shop/front.handle")), on(350, []string{"runtime.memmove"}))), two(cpuKind, quiet()), nil},
			gopprof.CauseCodeHot, gopprof.ConfidenceUnsure, "search.Find uses 25 % of the CPU", "shop/search.Find", nil,
		},
		"doubted": {
			scene{gopprof.ResourceCPU, of1(cpuKind, base(on(350, match))), two(cpuKind, quiet()), func(f *Facts) { f.Doubted = true }},
			gopprof.CauseCodeHot, gopprof.ConfidenceUnsure, "", "shop/search.match", nil,
		},
		"seen too seldom": {
			scene{gopprof.ResourceCPU, of1(cpuKind, base(on(350, match))), two(cpuKind, quiet()), func(f *Facts) { f.FewLooks = true }},
			gopprof.CauseCodeHot, gopprof.ConfidenceUnsure, "", "shop/search.match", nil,
		},
		"a collector as busy in quiet pods": {
			scene{gopprof.ResourceCPU, of1(cpuKind, cpu(on(150, alloc), on(150, collector), on(300, match))), two(cpuKind, cpu(on(50, alloc), on(50, collector), on(10, list))), nil},
			gopprof.CauseCodeHot, gopprof.ConfidenceSure, "", "shop/search.match", []gopprof.CauseKind{gopprof.CauseGCBound},
		},
		"of a memory rule": {
			scene{gopprof.ResourceMemory, of1(cpuKind, base(on(350, match))), two(cpuKind, quiet()), nil},
			"", "", "", "", []gopprof.CauseKind{gopprof.CauseCodeHot},
		},
		"allocation": {
			scene{gopprof.ResourceCPU, of1(cpuKind, base(on(200, alloc), on(150, collector))), two(cpuKind, quiet()),
				func(f *Facts) { f.Capture.Target.Runtime = gopprof.Runtime{GOGC: "50", GOMEMLIMIT: "200MiB"} }},
			gopprof.CauseGCBound, gopprof.ConfidenceSure,
			"allocating and collecting garbage use 79 % of the CPU, 5 % in 2 quiet pods, most of it for what quotes.newPrice allocates, mostly in runtime.newobject (GOGC=50 GOMEMLIMIT=200MiB)", "shop/quotes.newPrice", nil,
		},
		"allocation without a collector at work": {
			scene{gopprof.ResourceCPU, of1(cpuKind, base(on(350, alloc))), two(cpuKind, quiet()), nil},
			gopprof.CauseCodeHot, gopprof.ConfidenceSure, "quotes.newPrice", "shop/quotes.newPrice", []gopprof.CauseKind{gopprof.CauseGCBound},
		},
		"locks": {
			scene{gopprof.ResourceCPU, map[gopprof.Kind][]byte{
				cpuKind: base(on(120, lock), on(80, locked), on(150, sched)), gorKind: profiletest.Goroutine(on(90, waiting), on(10, list)),
			}, two(cpuKind, quiet()), nil},
			gopprof.CauseContention, gopprof.ConfidenceSure, "taking and waiting for locks uses 27 % of the CPU, 0 % in 2 quiet pods, in stock.reserve, where 90 goroutines wait for a lock", "shop/stock.reserve", nil,
		},
		"channels": {
			scene{gopprof.ResourceCPU, of1(cpuKind, base(on(150, channel), on(200, sched))), two(cpuKind, quiet()), nil},
			gopprof.CauseContention, gopprof.ConfidenceSure, "sending and receiving on channels uses 33 % of the CPU, 0 % in 2 quiet pods, in audit.append", "shop/audit.append", nil,
		},
		"spinning": {
			scene{gopprof.ResourceCPU, of1(cpuKind, base(on(350, yielding))), two(cpuKind, quiet()), nil},
			gopprof.CauseContention, gopprof.ConfidenceSure, "giving up the CPU and taking it again uses 78 % of the CPU", "", nil,
		},
		"a scheduler at work without anything contended": {
			scene{gopprof.ResourceCPU, of1(cpuKind, base(on(350, sched))), two(cpuKind, quiet()), nil},
			"", "", "", "", []gopprof.CauseKind{gopprof.CauseContention},
		},
		"traffic": {
			scene{gopprof.ResourceCPU, of1(cpuKind, cpu(on(220, list), on(120, pay), on(20, collector), on(20, sched))), two(cpuKind, quiet()), nil},
			gopprof.CauseTraffic, gopprof.ConfidenceSure, "3.8 times the CPU of 2 quiet pods, for the same functions in the same shares: more traffic, not other code; the other pods have less of it", "",
			[]gopprof.CauseKind{gopprof.CauseCodeHot, gopprof.CauseGCBound},
		},
		"traffic that was counted": {
			scene{gopprof.ResourceCPU, of1(cpuKind, cpu(on(220, list), on(120, pay), on(20, collector), on(20, sched))), two(cpuKind, quiet()), served(380, 100)},
			gopprof.CauseTraffic, gopprof.ConfidenceSure, "3.8 times the CPU of 2 quiet pods for 3.8 times the requests, for the same functions in the same shares: more traffic", "",
			[]gopprof.CauseKind{gopprof.CauseCodeHot},
		},
		"the same work, each request dearer": {
			scene{gopprof.ResourceCPU, of1(cpuKind, cpu(on(220, list), on(120, pay), on(20, collector), on(20, sched))), two(cpuKind, quiet()), served(105, 100)},
			gopprof.CauseCodeHot, gopprof.ConfidenceLikely, "each request takes 3.6 times the CPU of 2 quiet pods, in all functions alike", "", []gopprof.CauseKind{gopprof.CauseTraffic},
		},
		"more requests, each dearer": {
			scene{gopprof.ResourceCPU, of1(cpuKind, cpu(on(220, list), on(120, pay), on(20, collector), on(20, sched))), two(cpuKind, quiet()), served(200, 100)},
			gopprof.CauseTraffic, gopprof.ConfidenceLikely, "3.8 times the CPU of 2 quiet pods for 2.0 times the requests: more traffic, and each request takes 1.9 times the CPU", "", nil,
		},
		"more requests, the profiler saw little": {
			scene{gopprof.ResourceCPU, of1(cpuKind, cpu(on(220, list), on(120, pay), on(20, collector), on(20, sched))), two(cpuKind, quiet()), func(f *Facts) {
				served(380, 100)(f)
				d := f.Differences[cpuKind]
				d.SameShares, d.Note = false, "cannot be told"
				f.Differences[cpuKind] = d
			}},
			gopprof.CauseTraffic, gopprof.ConfidenceLikely, "3.8 times the CPU of 2 quiet pods for 3.8 times the requests: more traffic, each request takes as much", "", nil,
		},
		"hot code, requests counted": {
			scene{gopprof.ResourceCPU, of1(cpuKind, base(on(350, match))), two(cpuKind, quiet()), served(100, 100)},
			gopprof.CauseCodeHot, gopprof.ConfidenceSure, "search.match", "shop/search.match", []gopprof.CauseKind{gopprof.CauseTraffic},
		},
		"a limit too low": {
			scene{gopprof.ResourceCPU, of1(cpuKind, quiet()), two(cpuKind, quiet()), func(f *Facts) {
				f.Capture.Trigger.Evidence.Windows[0].CPU = gopprof.Use{Mean: 0.1, Limit: 0.11, Ratio: 0.91}
			}},
			gopprof.CauseThrottled, gopprof.ConfidenceSure, "its limit of 0.11 cores is too low for the work: 2 quiet pods use 0.10 cores under limits of 0.5; 0.2 would do", "",
			[]gopprof.CauseKind{gopprof.CauseCodeHot, gopprof.CauseTraffic},
		},
		"a limit too low, seen too seldom": {
			scene{gopprof.ResourceCPU, of1(cpuKind, quiet()), two(cpuKind, quiet()), func(f *Facts) {
				f.FewLooks = true
				f.Capture.Trigger.Evidence.Windows[0].CPU = gopprof.Use{Mean: 0.1, Limit: 0.11, Ratio: 0.91}
			}},
			gopprof.CauseThrottled, gopprof.ConfidenceSure, "", "", nil,
		},
		"more work by the cgroup's count": {
			scene{gopprof.ResourceCPU, of1(cpuKind, quiet()), two(cpuKind, quiet()), func(f *Facts) { f.Capture.CPUSeconds = 3 }},
			gopprof.CauseTraffic, gopprof.ConfidenceSure, "3.0 times the CPU of 2 quiet pods", "", nil,
		},
		"the same limit everywhere": {
			scene{gopprof.ResourceCPU, of1(cpuKind, quiet()), two(cpuKind, quiet()), nil},
			"", "", "", "", []gopprof.CauseKind{gopprof.CauseThrottled},
		},
		"bursts": {
			scene{gopprof.ResourceThrottled, of1(cpuKind, quiet()), two(cpuKind, quiet()), func(f *Facts) {
				w := &f.Capture.Trigger.Evidence.Windows[0]
				w.CPU, w.ThrottledRatio = gopprof.Use{Mean: 0.2, Limit: 0.5, Ratio: 0.4}, 0.5
			}},
			gopprof.CauseThrottled, gopprof.ConfidenceLikely, "stopped in 50 % of its CPU periods though it uses 40 % of its limit of 0.5 cores", "", nil,
		},
		"all pods at their limit, nothing stands out": {
			scene{gopprof.ResourceThrottled, of1(cpuKind, cpu(on(20, list), on(20, pay), on(20, match), on(20, locked), on(20, parsing))), nil, func(f *Facts) {
				f.Capture.Trigger.Evidence.Windows[0].ThrottledRatio = 0.9
				f.Fleet = &gopprof.Fleet{Pods: 3, Build: 3, Hot: 3}
			}},
			gopprof.CauseThrottled, gopprof.ConfidenceLikely, "stopped in 90 % of its CPU periods: it wants more than its limit of 0.5 cores, for work of which nothing stands out", "", nil,
		},
		"all pods at their limit, seen too seldom": {
			scene{gopprof.ResourceThrottled, of1(cpuKind, cpu(on(20, list), on(20, pay), on(20, match), on(20, locked), on(20, parsing))), nil, func(f *Facts) {
				f.Capture.Trigger.Evidence.Windows[0].ThrottledRatio, f.FewLooks = 0.9, true
				f.Fleet = &gopprof.Fleet{Pods: 3, Build: 3, Hot: 3}
			}},
			gopprof.CauseThrottled, gopprof.ConfidenceUnsure, "stopped in 90 %", "", nil,
		},
		"all pods at their limit by one function": {
			scene{gopprof.ResourceThrottled, of1(cpuKind, base(on(350, match))), nil, func(f *Facts) {
				f.Capture.Trigger.Evidence.Windows[0].ThrottledRatio = 0.9
				f.Fleet = &gopprof.Fleet{Pods: 3, Build: 3, Hot: 3}
			}},
			gopprof.CauseCodeHot, gopprof.ConfidenceLikely, "search.match", "shop/search.match", []gopprof.CauseKind{gopprof.CauseThrottled},
		},
		"no limit": {
			scene{gopprof.ResourceCPU, of1(cpuKind, quiet()), two(cpuKind, quiet()), func(f *Facts) {
				f.Capture.Trigger.Evidence.Windows[0].CPU = gopprof.Use{Mean: 0.1, Limit: 0.11, Ratio: 0.91, Basis: gopprof.BasisNode}
			}},
			"", "", "", "", []gopprof.CauseKind{gopprof.CauseThrottled},
		},
		"heap": {
			scene{gopprof.ResourceMemory, of1(heapKind, heap(on(190, sessions), on(10, list))), two(heapKind, heap(on(4, sessions), on(10, list))),
				func(f *Facts) { f.Capture.History.Local = points(100, 110, 120, 130, 140, 150, 160, 170) }},
			gopprof.CauseHeap, gopprof.ConfidenceSure,
			"sessions.keep, mostly in maps.newarray, allocated 190 MiB of 200 MiB live heap, 4 MiB in 2 quiet pods; memory grows by 60 MiB a minute and reaches its limit in 86 s", "shop/sessions.keep", nil,
		},
		"a heap that fills a part of the memory": {
			scene{gopprof.ResourceMemory, of1(heapKind, heap(on(30, sessions), on(1, list))), nil, nil},
			gopprof.CauseHeap, gopprof.ConfidenceUnsure, "allocated 30 MiB of 31 MiB", "shop/sessions.keep", nil,
		},
		"a heap of many": {
			scene{gopprof.ResourceMemory, of1(heapKind, heap(on(80, sessions[:1]), on(10, sessions), on(10, list))), nil, nil},
			"", "", "", "", []gopprof.CauseKind{gopprof.CauseHeap},
		},
		"goroutines": {
			scene{gopprof.ResourceMemory, map[gopprof.Kind][]byte{gorKind: pile, heapKind: heap(on(90, list))},
				[]map[gopprof.Kind][]byte{{gorKind: profiletest.Goroutine(on(3, receiving), on(10, list)), heapKind: heap(on(5, list))}}, nil},
			gopprof.CauseGoroutines, gopprof.ConfidenceSure, "4000 of 4010 goroutines are in tracking.follow, waiting for a channel to receive from, 3 in 1 quiet pod; each would keep 21.8 KiB", "shop/tracking.follow", nil,
		},
		"goroutines that would have to keep too much": {
			scene{gopprof.ResourceMemory, map[gopprof.Kind][]byte{gorKind: profiletest.Goroutine(on(600, receiving)), heapKind: heap(on(220, sessions))}, nil, nil},
			gopprof.CauseHeap, gopprof.ConfidenceLikely, "sessions.keep", "shop/sessions.keep", nil,
		},
		"goroutines that quiet pods have too": {
			scene{gopprof.ResourceMemory, of1(gorKind, pile), two(gorKind, pile), nil},
			"", "", "", "", []gopprof.CauseKind{gopprof.CauseGoroutines},
		},
		"the deepest pile is not the highest": {
			scene{gopprof.ResourceMemory, of1(gorKind, profiletest.Goroutine(on(1000, receiving), on(800, waiting))), nil, nil},
			gopprof.CauseGoroutines, gopprof.ConfidenceLikely, "1000 of 1800 goroutines are in tracking.follow", "shop/tracking.follow", nil,
		},
		"goroutines of the standard library": {
			scene{gopprof.ResourceMemory, of1(gorKind, profiletest.Goroutine(on(2000, idleConn), on(10, list))), nil, nil},
			gopprof.CauseGoroutines, gopprof.ConfidenceLikely, "2000 of 2010 goroutines are in http.(*persistConn).readLoop, waiting for one of several channels", "", nil,
		},
		"connections that are kept open": {
			scene{gopprof.ResourceMemory, of1(gorKind, profiletest.Goroutine(on(2000, kept), on(10, list))), nil, nil},
			"", "", "", "", []gopprof.CauseKind{gopprof.CauseGoroutines},
		},
		"goroutines beside a heap as in quiet pods": {
			scene{gopprof.ResourceMemory, map[gopprof.Kind][]byte{gorKind: pile, heapKind: heap(on(90, list))},
				[]map[gopprof.Kind][]byte{{gorKind: profiletest.Goroutine(on(3, receiving), on(10, list)), heapKind: heap(on(95, list))}}, nil},
			gopprof.CauseGoroutines, gopprof.ConfidenceUnsure, "4000 of 4010 goroutines are in tracking.follow", "shop/tracking.follow", nil,
		},
		"a heap as in quiet pods": {
			scene{gopprof.ResourceMemory, of1(heapKind, heap(on(60, sessions), on(40, list))), two(heapKind, heap(on(59, sessions), on(40, list))), nil},
			"", "", "", "", []gopprof.CauseKind{gopprof.CauseHeap},
		},
		"a heap a little larger than in quiet pods": {
			scene{gopprof.ResourceMemory, of1(heapKind, heap(on(600, sessions), on(400, list))), two(heapKind, heap(on(540, sessions), on(380, list))), nil},
			"", "", "", "", []gopprof.CauseKind{gopprof.CauseHeap},
		},
		"a little more of everything": {
			scene{gopprof.ResourceCPU, of1(cpuKind, cpu(on(290, list), on(120, pay), on(30, match))), two(cpuKind, cpu(on(260, list), on(130, pay))),
				func(f *Facts) { f.Differences[cpuKind] = gopprof.Difference{Significant: true} }},
			"", "", "", "", []gopprof.CauseKind{gopprof.CauseCodeHot},
		},
		"as much CPU as in quiet pods, for something else": {
			scene{gopprof.ResourceCPU, of1(cpuKind, cpu(on(100, list), on(300, match))), two(cpuKind, cpu(on(260, list), on(130, pay))),
				func(f *Facts) { f.Differences[cpuKind] = gopprof.Difference{Significant: true} }},
			gopprof.CauseCodeHot, gopprof.ConfidenceSure, "search.match, mostly in regexp.(*Regexp).MatchString, uses 75 % of the CPU, 0 % in 2 quiet pods", "shop/search.match", nil,
		},
		"more than in quiet pods that were hardly seen": {
			scene{gopprof.ResourceCPU, of1(cpuKind, cpu(on(220, list), on(120, pay), on(20, collector), on(20, sched))), two(cpuKind, cpu(on(11, list), on(6, pay), on(1, collector), on(1, sched))),
				func(f *Facts) { f.Differences[cpuKind] = gopprof.Difference{Significant: true, Note: "cannot be told"} }},
			gopprof.CauseTraffic, gopprof.ConfidenceUnsure, "20.0 times the CPU of 2 quiet pods; the profiler saw too little to tell whether for the same work", "",
			nil,
		},
		"hot code beside quiet pods that were hardly seen": {
			scene{gopprof.ResourceCPU, of1(cpuKind, base(on(350, match))), two(cpuKind, cpu(on(11, list), on(6, pay), on(1, collector), on(1, sched))), nil},
			gopprof.CauseCodeHot, gopprof.ConfidenceSure, "search.match", "shop/search.match", nil,
		},
		"a share that chance explains": {
			scene{gopprof.ResourceCPU, of1(cpuKind, cpu(on(300, match), on(100, list))), []map[gopprof.Kind][]byte{of1(cpuKind, cpu(on(4, match), on(4, list)))}, nil},
			gopprof.CauseCodeHot, gopprof.ConfidenceUnsure, "", "shop/search.match", nil,
		},
		"waiting beside workers that wait in quiet pods too": {
			scene{gopprof.ResourceCPU, map[gopprof.Kind][]byte{cpuKind: base(on(150, channel), on(200, sched)), gorKind: profiletest.Goroutine(on(200, receiving), on(20, sending))},
				[]map[gopprof.Kind][]byte{{cpuKind: quiet(), gorKind: profiletest.Goroutine(on(200, receiving))}}, nil},
			gopprof.CauseContention, gopprof.ConfidenceSure, "in audit.append, where 20 goroutines wait for a channel to take what it sends", "shop/audit.append", nil,
		},
		"locks, with a mutex profile": {
			scene{gopprof.ResourceCPU, map[gopprof.Kind][]byte{
				cpuKind:           base(on(120, lock), on(80, locked), on(150, sched)),
				gopprof.KindMutex: profiletest.Contention(on(9e9, within("sync.(*Mutex).Unlock", "shop/stock.count", "shop/front.handle")), on(1e9, locked)),
			}, two(cpuKind, quiet()), nil},
			gopprof.CauseContention, gopprof.ConfidenceSure, "in stock.reserve; 90 % of the waiting since the program started was for locks that stock.count released", "shop/stock.reserve", nil,
		},
		"a lock that is held while a channel is sent on": {
			scene{gopprof.ResourceCPU, map[gopprof.Kind][]byte{
				cpuKind: base(on(150, channel), on(200, sched)), gorKind: profiletest.Goroutine(on(199, waiting), on(4, receiving)),
			}, two(cpuKind, quiet()), nil},
			gopprof.CauseContention, gopprof.ConfidenceSure, "in stock.reserve, where 199 goroutines wait for a lock", "shop/stock.reserve", nil,
		},
		"waiting beside workers that wait": {
			scene{gopprof.ResourceCPU, map[gopprof.Kind][]byte{cpuKind: base(on(150, channel), on(200, sched)), gorKind: profiletest.Goroutine(on(200, receiving))}, nil, nil},
			gopprof.CauseContention, gopprof.ConfidenceLikely, "in audit.append", "shop/audit.append", nil,
		},
		"a service that is woken often, nobody to compare with": {
			scene{gopprof.ResourceCPU, of1(cpuKind, cpu(on(50, channel), on(450, sched), on(300, list), on(200, pay))), nil, nil},
			gopprof.CauseContention, gopprof.ConfidenceUnsure, "uses 5 % of the CPU, in audit.append", "shop/audit.append", nil,
		},
		"beside captures of before": {
			scene{gopprof.ResourceCPU, of1(cpuKind, base(on(350, match))), two(cpuKind, quiet()), func(f *Facts) {
				d := f.Differences[cpuKind]
				d.With[0].Earlier, d.With[1].Earlier = true, true
				f.Differences[cpuKind] = d
			}},
			gopprof.CauseCodeHot, gopprof.ConfidenceSure, "uses 78 % of the CPU, 0 % in 2 quiet captures of before", "shop/search.match", nil,
		},
		"goroutines beside hot code": {
			scene{gopprof.ResourceCPU, map[gopprof.Kind][]byte{gorKind: pile, cpuKind: base(on(350, match))}, two(cpuKind, quiet()), nil},
			gopprof.CauseCodeHot, gopprof.ConfidenceSure, "search.match", "shop/search.match", nil,
		},
		"by hand": {
			scene{"", map[gopprof.Kind][]byte{cpuKind: base(on(350, match)), heapKind: heap(on(190, sessions))}, nil, nil},
			gopprof.CauseHeap, gopprof.ConfidenceLikely, "", "shop/sessions.keep", nil,
		},
		"a library": {
			scene{gopprof.ResourceCPU, of1(cpuKind, cpu(on(400, parsing), on(20, list))), nil, nil},
			gopprof.CauseCodeHot, gopprof.ConfidenceLikely, "main.main, mostly in pq.parse, uses 95 % of the CPU", "main.main", nil,
		},
		"no profiles": {scene{gopprof.ResourceCPU, nil, nil, nil}, "", "", "", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			v := Judge(test.facts(t))
			if v.Version != gopprof.VerdictVersion {
				t.Errorf("version %d", v.Version)
			}
			for _, c := range v.Causes {
				if slices.Contains(test.never, c.Kind) {
					t.Errorf("holds: %+v", c)
				}
				if c.Line == "" || len(c.Proof) == 0 || !(c.Share >= 0 && c.Share <= 1) {
					t.Errorf("%+v", c)
				}
			}
			if test.first == "" {
				if len(v.Causes) > 0 && v.Causes[0].Confidence == gopprof.ConfidenceSure {
					t.Errorf("sure of %+v", v.Causes[0])
				}
				return
			}
			if len(v.Causes) == 0 {
				t.Fatal("no cause")
			}
			c := v.Causes[0]
			if c.Kind != test.first || c.Confidence != test.confidence || !strings.Contains(c.Line, test.line) || c.Function != test.function {
				t.Errorf("%+v\nall: %+v", c, v.Causes)
			}
		})
	}
}

func TestScope(t *testing.T) {
	for want, fleets := range map[gopprof.Scope][]*gopprof.Fleet{
		gopprof.ScopeUnknown:  {nil, {Pods: 1, Hot: 1}, {Pods: 3, Hot: 1}},
		gopprof.ScopePod:      {{Pods: 6, Hot: 1, Quiet: 5}},
		gopprof.ScopeWorkload: {{Pods: 6, Hot: 6}},
	} {
		for _, f := range fleets {
			if got := Judge(Facts{Fleet: f}).Scope; got != want {
				t.Errorf("%+v: %s, want %s", f, got, want)
			}
		}
	}
}

func TestSlope(t *testing.T) {
	for name, test := range map[string]struct {
		mebibytes []int64
		want      float64 // MiB a minute; 0: it does not grow steadily
	}{
		"steady":            {[]int64{100, 110, 120, 130, 140, 150}, 60},
		"after a fall":      {[]int64{240, 250, 100, 110, 120, 130, 140, 150}, 60},
		"too short":         {[]int64{100, 110, 120, 130, 140}, 0},
		"falling":           {[]int64{150, 149, 148, 147, 146, 145}, 0},
		"level":             {[]int64{100, 100, 100, 100, 100, 100}, 0},
		"hardly":            {[]int64{1000, 1001, 1001, 1002, 1002, 1003}, 0},
		"up and down":       {[]int64{100, 108, 101, 108, 100, 108, 101, 109}, 0},
		"none":              {nil, 0},
		"fall at the end":   {[]int64{100, 110, 120, 130, 140, 150, 50}, 0},
		"in uneven strides": {[]int64{100, 112, 119, 131, 140, 150}, 60},
	} {
		got, ok := slope(points(test.mebibytes...))
		if ok != (test.want > 0) || ok && math.Abs(got*60/float64(mib)-test.want) > 1.5 {
			t.Errorf("%s: %.1f MiB a minute, %v", name, got*60/float64(mib), ok)
		}
	}
	unread := points(100, 110, 120, 130, 140, 150, 160)
	unread[3].HasMemory = false
	if got, ok := slope(unread); ok {
		t.Errorf("across a gap: %v", got)
	}
}

// The table names each cause once, and every cause has a rule.
func TestTableIsWhole(t *testing.T) {
	var kinds []gopprof.CauseKind
	for _, r := range table {
		kinds = append(kinds, r.kind)
		if r.says == "" {
			t.Errorf("%s: says nothing", r.kind)
		}
	}
	slices.Sort(kinds)
	if want := slices.Sorted(slices.Values(gopprof.CauseKinds())); !slices.Equal(kinds, want) {
		t.Errorf("%v, want %v", kinds, want)
	}
}
