package explain

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/gopprof/gopprof/pkg/figures"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Bounds beyond which a profile is not to be trusted as it is.
const (
	wrongProcess  = 0.3 // of the container's CPU time: another process used the rest
	otherProcess  = 0.7 // of the container's CPU time: something else used much of it
	foreignCPU    = 1.3 // of the container's CPU time: the profiled process lives elsewhere too
	leastCPU      = 0.5 // CPU seconds of the container below which the shares above say nothing
	fewLooks      = 100 // of the CPU profiler
	fewHeapPieces = 20  // allocations that the heap profiler can have seen
	smallHeap     = 1.0 / 3
	lostLooks     = 0.05 // of all that the CPU profiler looked
)

// warnings lists what limits how far the rest may be trusted, the gravest first.
func warnings(c gopprof.Capture, found findings, ratio *float64) []string {
	var out []string
	add := func(s string) {
		if s != "" {
			out = append(out, s)
		}
	}
	add(agreement(c))
	add(process(c, ratio))
	add(broken(c))
	add(fewCPU(found))
	add(lostCPU(found))
	add(fewHeap(found))
	add(otherMemory(c, found))
	for _, kind := range gopprof.Kinds() {
		add(unreadable(kind, found))
	}
	for _, f := range c.Failures {
		add(failure(f))
	}
	return out
}

// agreement says what the second witness did not confirm.
func agreement(c gopprof.Capture) string {
	a, resource, of := c.Agreement, "use", "its limit"
	if e := c.Trigger.Evidence; e != nil {
		resource, of = string(e.Resource), e.Yardstick()
	}
	switch a.Result {
	case gopprof.AgreementContradicted:
		return contradicted(a, resource, of)
	case gopprof.AgreementSingle:
		return "one witness: the series in InfluxDB were written by gopprof's own agent, which looked at the same cgroup"
	case gopprof.AgreementUnavailable:
		return "not confirmed by a second witness: " + named(a.Reason, a.Detail)
	}
	return ""
}

// contradicted gives both values, of the interval where they differ most.
func contradicted(a gopprof.Agreement, resource, of string) string {
	const said = "contradicted: the two witnesses disagree"
	if len(a.Compared) == 0 {
		return said + " on " + resource + detail(a.Detail)
	}
	worst := slices.MaxFunc(a.Compared, func(x, y gopprof.Comparison) int {
		return cmp.Compare(math.Abs(x.Local-x.Series), math.Abs(y.Local-y.Series))
	})
	return fmt.Sprintf("%s: cAdvisor saw %s at %s of %s, the series in InfluxDB say %s, %s%s",
		said, resource, figures.Percent(worst.Local), of, figures.Percent(worst.Series), clock(worst.Start, worst.End), detail(a.Detail))
}

// process says whether the profile can be of the process that used the CPU.
func process(c gopprof.Capture, ratio *float64) string {
	if ratio == nil || c.CPUSeconds < leastCPU {
		return ""
	}
	used := figures.Digits(c.CPUSeconds) + " CPU seconds that the container used meanwhile"
	switch {
	case *ratio < wrongProcess:
		return fmt.Sprintf("wrong process? The CPU profile holds %s of the %s: most went to another process of the container, or to code that the profiler cannot see", figures.Percent(*ratio), used)
	case *ratio < otherProcess:
		return fmt.Sprintf("the CPU profile holds %s of the %s: the rest went to another process, or to code that the profiler cannot see", figures.Percent(*ratio), used)
	case *ratio > foreignCPU:
		return fmt.Sprintf("the CPU profile holds %s of the %s: the profiled process does not live in this container alone", figures.Percent(*ratio), used)
	}
	return ""
}

// broken says that what was taken after a connection broke need not be of the same process:
// a program that is started anew in its container is not told from the one before it.
func broken(c gopprof.Capture) string {
	for _, f := range c.Failures {
		if f.Reason == gopprof.ReasonUnreachable && len(c.Profiles) > 0 {
			return fmt.Sprintf("restarted? The connection broke while the %s profile was taken: the program may have ended then, and what was taken afterwards be of its successor", f.Kind)
		}
	}
	return ""
}

func fewCPU(found findings) string {
	f, ok := found[gopprof.KindCPU]
	if !ok || !f.usable() || f.looks >= fewLooks {
		return ""
	}
	return fmt.Sprintf("few samples: the CPU profiler looked %s, so small shares mean nothing", figures.Plural(f.looks, "time", "times"))
}

func lostCPU(found findings) string {
	f, ok := found[gopprof.KindCPU]
	if !ok || !f.usable() || float64(f.lost) < lostLooks*float64(f.top.Total) {
		return ""
	}
	return fmt.Sprintf("the CPU profiler lost %s of what it saw: shares are of less than everything", share100(f.lost, f.top.Total))
}

// fewHeap: the heap profiler looks at one allocation in so many bytes.
func fewHeap(found findings) string {
	f, ok := found[gopprof.KindHeap]
	if !ok || !f.usable() || f.period <= 0 || f.top.Total/f.period >= fewHeapPieces {
		return ""
	}
	return fmt.Sprintf("few samples: the heap profiler looks once in %s, and there are %s of live heap, so shares are rough",
		figures.Size(float64(f.period)), figures.Size(float64(f.top.Total)))
}

// otherMemory says that the heap profile is not about what fills the container.
func otherMemory(c gopprof.Capture, found findings) string {
	f, ok := found[gopprof.KindHeap]
	e := c.Trigger.Evidence
	if !ok || !f.usable() || e == nil || e.Resource != gopprof.ResourceMemory {
		return ""
	}
	used := e.Newest().Memory.Mean
	if !(float64(f.top.Total) < smallHeap*used) {
		return ""
	}
	return fmt.Sprintf("the live heap of %s is %s of the %s that the container used: the rest is garbage not yet collected, stacks, memory not of Go, files in memory, or another process",
		figures.Size(float64(f.top.Total)), figures.Percent(float64(f.top.Total)/used), figures.Size(used))
}

func unreadable(kind gopprof.Kind, found findings) string {
	f, ok := found[kind]
	switch {
	case !ok || f.top.Reason == gopprof.ReasonNotEnabled:
		return ""
	case f.top.Reason != "":
		return fmt.Sprintf("the %s profile cannot be read: %s", kind, named(f.top.Reason, f.top.Detail))
	case f.top.Detail != "":
		return fmt.Sprintf("the %s profile: %s", kind, quote(f.top.Detail))
	}
	return ""
}

func failure(f gopprof.Failure) string {
	return fmt.Sprintf("no %s profile: %s", f.Kind, named(f.Reason, f.Detail))
}

// named writes a reason, by its name, and its detail.
func named(r gopprof.Reason, d string) string {
	if r == "" {
		r = "no reason given"
	}
	return string(r) + detail(d)
}

func detail(d string) string {
	if d == "" {
		return ""
	}
	return " (" + quote(d) + ")"
}
