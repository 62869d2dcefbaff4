package group

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
)

const second = int64(time.Second)

// on is a stack, leaf first.
func on(value int64, frames ...string) profiletest.Stack { return profiletest.On(value, frames...) }

// served is a stack below a server's request.
func served(value int64, frames ...string) profiletest.Stack {
	return on(value, append(frames, "main.handle", "net/http.(*conn).serve", "runtime.goexit")...)
}

// shop is the CPU profile of a pod that uses so many seconds for its carts, beside six for
// all the rest.
func shop(cart int64) []byte { return profiletest.CPU(30, shopStacks(cart)...) }

func shopStacks(cart int64) []profiletest.Stack {
	return []profiletest.Stack{
		served(cart, "main.(*Cart).price", "shop/cart.(*Cart).Total"),
		served(2*second, "encoding/json.Marshal", "main.render"),
		served(3*second, "syscall.Syscall", "main.(*DB).Query"),
		on(second, "runtime.scanobject", "runtime.gcDrain", "runtime.gcBgMarkWorker"),
	}
}

// files makes members of profiles, web-0, web-1 and so on.
func files(data ...[]byte) []Member {
	var out []Member
	for i, d := range data {
		out = append(out, Member{Pod: fmt.Sprintf("web-%d", i), Report: fmt.Sprintf("report-%d", i), Read: func() ([]byte, error) { return d, nil }})
	}
	return out
}

func merge(t *testing.T, kind gopprof.Kind, members []Member) Result {
	t.Helper()
	r, err := Merge(kind, members, profile.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// podsOf lists the pods of outliers.
func podsOf(outliers []api.Outlier) []string {
	var out []string
	for _, o := range outliers {
		out = append(out, o.Pod)
	}
	return out
}

func TestBadPodIsNamedWithItsFunction(t *testing.T) {
	got := merge(t, gopprof.KindCPU, files(shop(second/4), shop(second/5), shop(10*second), shop(second/4))).Kind
	if !slices.Equal(podsOf(got.Outliers), []string{"web-2"}) {
		t.Fatalf("outliers %+v", got.Outliers)
	}
	o := got.Outliers[0]
	want := "pod web-2 spends 63 % in main.(*Cart).price, the others 4 %; it has 2.6 times the CPU time of the others"
	if o.Summary != want || o.Report != "report-2" {
		t.Errorf("\n got %s\nwant %s", o.Summary, want)
	}
	if len(o.Functions) != 1 {
		t.Errorf("functions %+v: all but one are explained by it", o.Functions)
	}
	if f := o.Functions[0]; f.Function != "main.(*Cart).price" || math.Abs(f.Share-10.0/16) > 1e-9 || math.Abs(f.Typical-0.25/6.25) > 1e-9 {
		t.Errorf("function %+v", f)
	}
	if o.Total != float64(16*second)/30 || math.Abs(o.Typical-float64(second)*6.25/30) > 1 {
		t.Errorf("total %v, typical %v", o.Total, o.Typical)
	}
	if got.Note != "" || got.LeftOut != nil {
		t.Errorf("note %q, left out %v", got.Note, got.LeftOut)
	}
}

func TestAlikePods(t *testing.T) {
	for _, kind := range []gopprof.Kind{gopprof.KindCPU, gopprof.KindHeap, gopprof.KindGoroutine, gopprof.KindMutex} {
		data := fileOf(kind, shopStacks(second)...)
		got := merge(t, kind, files(data, data, data, data, data)).Kind
		if len(got.Outliers) > 0 || got.Outliers == nil || got.Note != "" {
			t.Errorf("%s: outliers %+v, note %q", kind, got.Outliers, got.Note)
		}
	}
}

// fileOf makes a profile of a kind.
func fileOf(kind gopprof.Kind, stacks ...profiletest.Stack) []byte {
	switch kind {
	case gopprof.KindCPU:
		return profiletest.CPU(30, stacks...)
	case gopprof.KindHeap, gopprof.KindAllocs:
		return profiletest.Heap(stacks...)
	case gopprof.KindGoroutine:
		return profiletest.Goroutine(stacks...)
	}
	return profiletest.Contention(stacks...)
}

func TestTwiceTheTraffic(t *testing.T) {
	half := []profiletest.Stack{served(2*second, "main.f"), served(second, "main.g")}
	whole := []profiletest.Stack{served(4*second, "main.f"), served(2*second, "main.g")}
	for _, kind := range []gopprof.Kind{gopprof.KindCPU, gopprof.KindGoroutine, gopprof.KindHeap} {
		got := merge(t, kind, files(fileOf(kind, half...), fileOf(kind, whole...), fileOf(kind, half...), fileOf(kind, half...))).Kind
		if !slices.Equal(podsOf(got.Outliers), []string{"web-1"}) {
			t.Fatalf("%s: outliers %+v", kind, got.Outliers)
		}
		o := got.Outliers[0]
		if want := "pod web-1 has 2.0 times the " + wordsOf(kind).total + " of the others"; o.Summary != want || len(o.Functions) > 0 {
			t.Errorf("%s: %+v, want %s", kind, o, want)
		}
	}
	got := merge(t, gopprof.KindCPU, files(fileOf(gopprof.KindCPU, whole...), fileOf(gopprof.KindCPU, whole...), fileOf(gopprof.KindCPU, half...))).Kind
	if len(got.Outliers) != 1 || got.Outliers[0].Summary != "pod web-2 has 50 % of the CPU time of the others" {
		t.Errorf("half the traffic: %+v", got.Outliers)
	}
}

// A CPU profile of twice the length is not twice the work.
func TestTotalsAreRates(t *testing.T) {
	stacks := append(shopStacks(second), shopStacks(second)...)
	members := files(shop(second), profiletest.CPU(60, stacks...), shop(second), shop(second))
	got := merge(t, gopprof.KindCPU, members).Kind
	if p := got.Pods; p[0].Total != float64(7*second)/30 || p[1].Total != p[0].Total || p[1].Share != 0.4 || len(got.Outliers) > 0 {
		t.Errorf("pods %+v, outliers %+v", p, got.Outliers)
	}
	members[3].Seconds = 300 // and what the member says counts before what the file says
	got = merge(t, gopprof.KindCPU, members).Kind
	if got.Pods[3].Total != float64(7*second)/300 || !slices.Equal(podsOf(got.Outliers), []string{"web-3"}) {
		t.Errorf("pods %+v, outliers %+v", got.Pods, got.Outliers)
	}
}

func TestTotalsOfUnknownTime(t *testing.T) {
	timeless := profiletest.CPU(0, shopStacks(second)...)
	got := merge(t, gopprof.KindCPU, files(shop(second), timeless, shop(second), shop(second))).Kind
	if want := "totals are not compared of pods whose profile took nobody knows how long: web-1"; got.Note != want || len(got.Outliers) > 0 {
		t.Errorf("note %q, outliers %+v", got.Note, got.Outliers)
	}
	if got.Pods[1].Total != 0 || got.Pods[1].Share != 0.25 {
		t.Errorf("%+v", got.Pods[1])
	}
}

// Pods whose load differs anyway have no outlier, though some have more than twice the median.
func TestSpreadPods(t *testing.T) {
	var data [][]byte
	for _, n := range []int64{1, 2, 4, 8, 16} {
		data = append(data, profiletest.CPU(30, served(n*second, "main.f"), served(n*second, "main.g")))
	}
	if got := merge(t, gopprof.KindCPU, files(data...)).Kind; len(got.Outliers) > 0 {
		t.Errorf("by total: %+v", got.Outliers)
	}
	data = nil
	for _, n := range []int64{10, 25, 40, 55, 70} {
		data = append(data, profiletest.CPU(30, served(n*second, "main.f"), served((100-n)*second, "main.g")))
	}
	if got := merge(t, gopprof.KindCPU, files(data...)).Kind; len(got.Outliers) > 0 {
		t.Errorf("by share: %+v", got.Outliers)
	}
}

func TestTwoPods(t *testing.T) {
	got := merge(t, gopprof.KindCPU, files(shop(second/4), shop(10*second))).Kind
	want := "of two pods neither is the outlier: they differ most where web-1 spends 63 % in main.(*Cart).price, web-0 4 %"
	if got.Note != want || len(got.Outliers) > 0 || len(got.Pods) != 2 {
		t.Errorf("\n got %s\nwant %s\noutliers %+v", got.Note, want, got.Outliers)
	}
	got = merge(t, gopprof.KindCPU, files(shop(second), shop(second+second/10))).Kind
	if want := "of two pods neither is the outlier: their shares differ no more than chance would have it, or by little"; got.Note != want {
		t.Errorf("alike: %s", got.Note)
	}
}

func TestOnePodAndNone(t *testing.T) {
	got := merge(t, gopprof.KindCPU, files(shop(second)))
	if got.Kind.Note != "one pod has nobody to be compared with" || got.Kind.Pods[0].Share != 1 || got.Profile == nil {
		t.Errorf("one: %+v", got.Kind)
	}
	got = merge(t, gopprof.KindCPU, nil)
	if got.Kind.Note != "no profile could be read" || got.Kind.Pods == nil || got.Profile != nil {
		t.Errorf("none: %+v", got.Kind)
	}
}

// Idle pods hold nothing to compare; the busy one among them is found by its total.
func TestIdlePods(t *testing.T) {
	idle := profiletest.CPU(30)
	got := merge(t, gopprof.KindCPU, files(idle, shop(second), idle, idle)).Kind
	if len(got.Outliers) != 1 || got.Outliers[0].Summary != "pod web-1 has CPU time, most of the others none" {
		t.Errorf("outliers %+v", got.Outliers)
	}
	if want := "too few profiles hold anything to compare shares: 1 of 4"; got.Note != want {
		t.Errorf("note %q", got.Note)
	}
	got = merge(t, gopprof.KindCPU, files(shop(10*second), shop(second), idle, idle, idle)).Kind
	if !strings.Contains(got.Note, "neither is the outlier: they differ most where web-0 spends 63 % in main.(*Cart).price, web-1 14 %") {
		t.Errorf("note %q", got.Note)
	}
	if len(got.Outliers) != 2 || got.Outliers[0].Functions != nil {
		t.Errorf("outliers %+v", got.Outliers)
	}
}

// What a pod has less of only because it has more of something else is not told.
func TestDeficits(t *testing.T) {
	pod := func(f, g, h int64) []byte {
		return profiletest.CPU(30, served(f*second, "main.f"), served(g*second, "main.g"), served(h*second, "main.h"))
	}
	got := merge(t, gopprof.KindCPU, files(pod(5, 4, 1), pod(5, 4, 1), pod(5, 4, 1), pod(5, 4, 21))).Kind.Outliers
	if len(got) != 1 || len(got[0].Functions) != 1 || got[0].Functions[0].Function != "main.h" {
		t.Errorf("an excess, and what it leaves of the others: %+v", got)
	}
	got = merge(t, gopprof.KindCPU, files(pod(5, 4, 1), pod(5, 4, 1), pod(5, 4, 1), pod(5, 0, 21))).Kind.Outliers
	if len(got) != 1 || len(got[0].Functions) != 2 || got[0].Functions[1].Function != "main.g" || got[0].Functions[1].Share != 0 {
		t.Errorf("an excess and a deficit of its own: %+v", got)
	}
	// One function is missing and ten have a little more of it each.
	rest := func(g int64) []byte {
		stacks := []profiletest.Stack{served(g*second, "main.g")}
		for i := range 20 {
			stacks = append(stacks, served(2*second, fmt.Sprintf("main.f%d", i)))
		}
		return profiletest.CPU(30, stacks...)
	}
	got = merge(t, gopprof.KindCPU, files(rest(20), rest(20), rest(20), rest(0))).Kind.Outliers
	if len(got) != 1 || got[0].Summary != "pod web-3 spends 0 % in main.g, the others 33 %" {
		t.Errorf("a deficit alone: %+v", got)
	}
}

func TestSeparateCausesAreToldInTurn(t *testing.T) {
	pod := func(a, b int64) []byte {
		return profiletest.CPU(30,
			served(a*second, "runtime.mapaccess2_faststr", "main.a2", "main.a1"), served(second/10, "main.a1"),
			served(b*second, "main.b"), served(10*second, "main.rest"), on(second/10, "main.a2", "runtime.goexit"))
	}
	got := merge(t, gopprof.KindCPU, files(pod(1, 1), pod(1, 1), pod(20, 9), pod(1, 1), pod(1, 1))).Kind.Outliers
	if len(got) != 1 {
		t.Fatalf("%+v", got)
	}
	var functions []string
	for _, f := range got[0].Functions {
		functions = append(functions, f.Function)
	}
	if want := []string{"main.a2", "main.b"}; !slices.Equal(functions, want) {
		t.Errorf("functions %v, want %v: neither their callers nor what they call in the runtime", functions, want)
	}
}

func TestFewLooks(t *testing.T) {
	few := profiletest.CPU(30, served(second/2, "main.(*Cart).price"))
	got := merge(t, gopprof.KindCPU, files(shop(second), few, shop(second), shop(second))).Kind
	if want := "shares are not judged of pods at which the profiler looked fewer than 100 times: web-1"; got.Note != want {
		t.Errorf("note %q", got.Note)
	}
	if len(got.Outliers) != 1 || got.Outliers[0].Functions != nil || got.Outliers[0].Summary != "pod web-1 has 7 % of the CPU time of the others" {
		t.Errorf("outliers %+v", got.Outliers)
	}
}

// Three times next to nothing is chance.
func TestTotalsOfFewLooks(t *testing.T) {
	pod := func(looks int64) []byte { return profiletest.CPU(30, served(looks*10_000_000, "main.f")) }
	for looks, named := range map[int64]int{15: 0, 150: 1} {
		if got := merge(t, gopprof.KindCPU, files(pod(5), pod(5), pod(looks), pod(6))).Kind.Outliers; len(got) != named {
			t.Errorf("%d looks: %+v", looks, got)
		}
	}
}

func TestGoroutinesThatLeak(t *testing.T) {
	pod := func(stuck int64) []byte {
		return profiletest.Goroutine(on(8, "runtime.gopark", "net/http.(*conn).serve"), on(1, "main.main"), on(stuck, "runtime.gopark", "runtime.chanrecv", "main.wait"))
	}
	got := merge(t, gopprof.KindGoroutine, files(pod(1), pod(900), pod(2))).Kind.Outliers
	if len(got) != 1 || got[0].Summary != "pod web-1 has 99 % of its goroutines in main.wait, the others 18 %; it has 83 times the goroutines of the others" {
		t.Errorf("%+v", got)
	}
	if got := merge(t, gopprof.KindGoroutine, files(pod(1), pod(3), pod(1))).Kind.Outliers; len(got) > 0 {
		t.Errorf("one of a few: %+v", got)
	}
}

// However sure it is, less than a twentieth matters to nobody.
func TestSmallDifferences(t *testing.T) {
	pod := func(f int64) []byte {
		return profiletest.CPU(600, served(f*second, "main.f"), served((5000-f)*second, "main.g"))
	}
	if got := merge(t, gopprof.KindCPU, files(pod(1000), pod(1200), pod(1000), pod(1000))).Kind.Outliers; len(got) > 0 {
		t.Errorf("4 %% more: %+v", got)
	}
	if got := merge(t, gopprof.KindCPU, files(pod(1000), pod(1300), pod(1000), pod(1000))).Kind.Outliers; len(got) != 1 {
		t.Errorf("6 %% more: %+v", got)
	}
}

func TestMostDifferentComesFirst(t *testing.T) {
	normal := shop(second)
	got := merge(t, gopprof.KindCPU, files(normal, shop(3*second), normal, profiletest.CPU(3, shopStacks(second)...), normal, shop(9*second), normal, normal)).Kind
	if want := []string{"web-3", "web-5", "web-1"}; !slices.Equal(podsOf(got.Outliers), want) {
		t.Errorf("outliers %+v, want %v: ten times the total, six tenths in a function, three tenths", got.Outliers, want)
	}
}

func TestTraceIsRefused(t *testing.T) {
	for _, kind := range []gopprof.Kind{gopprof.KindTrace, "", "mystery"} {
		_, err := Merge(kind, files(shop(second)), profile.DefaultLimits())
		if gopprof.ReasonOf(err) != gopprof.ReasonBadInput {
			t.Errorf("%q: %v", kind, err)
		}
	}
}

func TestManyOutliersAreCut(t *testing.T) {
	var data [][]byte
	for i := range 100 {
		cart := second
		if i%3 == 0 {
			cart = 20 * second
		}
		data = append(data, shop(cart))
	}
	got := merge(t, gopprof.KindCPU, files(data...)).Kind
	if len(got.Outliers) != maxOutliers || got.Note != "34 pods differ, and the 20 most different are listed" {
		t.Errorf("%d outliers, note %q", len(got.Outliers), got.Note)
	}
}

func TestReadFails(t *testing.T) {
	members := files(shop(second), shop(second), shop(second), shop(second))
	members[1].Read = func() ([]byte, error) { return nil, errors.New("disk\nfull") }
	members[2].Read = func() ([]byte, error) { return nil, &gopprof.Error{Reason: gopprof.ReasonUnknown, Detail: "swept"} }
	times := 0
	members[3].Read = func() ([]byte, error) { // the second time it is gone
		if times++; times > 1 {
			return nil, errors.New("gone")
		}
		return shop(second), nil
	}
	got := merge(t, gopprof.KindCPU, members).Kind
	want := []api.LeftOut{
		{Pod: "web-1", Reason: gopprof.ReasonStoreFailed, Detail: "disk�full"},
		{Pod: "web-2", Reason: gopprof.ReasonUnknown, Detail: "unknown: swept"},
		{Pod: "web-3", Reason: gopprof.ReasonStoreFailed, Detail: "gone"},
	}
	if !slices.Equal(got.LeftOut, want) || len(got.Pods) != 1 {
		t.Errorf("left out %+v", got.LeftOut)
	}
}
