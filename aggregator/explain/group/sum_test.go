package group

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
)

// weighed counts a file of the test by function.
func weighed(t *testing.T, kind gopprof.Kind, data []byte, lim profile.Limits) *profile.Weighed {
	t.Helper()
	p, err := profile.Parse(data, lim)
	if err != nil {
		t.Fatal(err)
	}
	w, err := p.Weigh(kind)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// flatAndCum are a profile's numbers by function.
func flatAndCum(w *profile.Weighed, into map[string][2]int64) map[string][2]int64 {
	for _, f := range w.Functions {
		v := into[f.Name]
		into[f.Name] = [2]int64{v[0] + f.Flat, v[1] + f.Cum}
	}
	return into
}

func TestMergedIsTheSum(t *testing.T) {
	s, r := newService(), rand.New(rand.NewPCG(5, 6))
	for _, kind := range []gopprof.Kind{gopprof.KindCPU, gopprof.KindHeap, gopprof.KindGoroutine, gopprof.KindBlock} {
		var data [][]byte
		want := map[string][2]int64{}
		var total int64
		for range 6 {
			file := s.profile(kind, s.draw(r, 200), 10_000_000)
			w := weighed(t, kind, file, profile.DefaultLimits())
			flatAndCum(w, want)
			total += w.Total
			data = append(data, file)
		}
		got := merge(t, kind, files(data...))
		w := weighed(t, kind, got.Profile, profile.DefaultLimits())
		if w.Total != total || fmt.Sprint(flatAndCum(w, map[string][2]int64{})) != fmt.Sprint(want) {
			t.Errorf("%s: total %d, want %d, or functions differ", kind, w.Total, total)
		}
		if top := got.Kind.Top; top.Total != total || len(top.Functions) < topFunctions || top.Kind != kind {
			t.Errorf("%s: top of %d with %d functions, want %d", kind, top.Total, len(top.Functions), total)
		}
		shares := 0.0
		for _, p := range got.Kind.Pods {
			shares += p.Share
		}
		if len(got.Kind.Pods) != 6 || shares < 0.999999 || shares > 1.000001 {
			t.Errorf("%s: pods %+v", kind, got.Kind.Pods)
		}
	}
}

func TestOrderDoesNotMatter(t *testing.T) {
	s, r := newService(), rand.New(rand.NewPCG(9, 9))
	members := files(shop(second), shop(12*second), shop(second/2), []byte("broken"), profiletest.Goroutine(on(1, "main.f")),
		microseconds(), s.profile(gopprof.KindCPU, s.draw(r, 300), 10_000_000), shop(2*second), profiletest.CPU(30))
	lim := profile.DefaultLimits()
	lim.Functions = 40 // there is no room for the service beside the shops
	first := ""
	for range 20 {
		r.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		got, err := Merge(gopprof.KindCPU, members, lim)
		if err != nil {
			t.Fatal(err)
		}
		w := weighed(t, gopprof.KindCPU, got.Profile, lim)
		k := got.Kind
		slices.SortFunc(k.Pods, func(a, b api.MergedPod) int { return strings.Compare(a.Pod, b.Pod) })
		slices.SortFunc(k.LeftOut, func(a, b api.LeftOut) int { return strings.Compare(a.Pod, b.Pod) })
		now := fmt.Sprintf("%d %v %+v", w.Total, flatAndCum(w, map[string][2]int64{}), k)
		if first == "" {
			first = now
		}
		if now != first {
			t.Fatalf("one order:  %s\nanother one: %s", first, now)
		}
	}
}

// microseconds is a CPU profile as Go never made one.
func microseconds() []byte {
	var m profiletest.Message
	for _, s := range []string{"", "samples", "count", "cpu", "nanoseconds", "microseconds", "main.f"} {
		m = m.Text(profiletest.String, s)
	}
	m = m.Bytes(profiletest.SampleType, profiletest.Message{}.Varint(1, 1).Varint(2, 5))
	m = m.Bytes(profiletest.SampleType, profiletest.Message{}.Varint(1, 3).Varint(2, 4))
	return profiletest.Gzip(m)
}

// A pod that counts other things is left out, also when it comes first.
func TestIncompatiblePod(t *testing.T) {
	members := files(microseconds(), shop(second), shop(second), profiletest.Goroutine(on(1, "main.f")), shop(second))
	got := merge(t, gopprof.KindCPU, members).Kind
	want := []api.LeftOut{
		{Pod: "web-0", Reason: gopprof.ReasonInvalidProfile, Detail: "it counts samples in microseconds, the others samples in count"},
		{Pod: "web-3", Reason: gopprof.ReasonInvalidProfile, Detail: "not a valid profile: not a profile of kind cpu: it has no cpu in nanoseconds"},
	}
	if !slices.Equal(got.LeftOut, want) || len(got.Pods) != 3 || len(got.Outliers) > 0 {
		t.Errorf("left out %+v of %+v", got.LeftOut, got)
	}
}

func TestProfilersThatAreOff(t *testing.T) {
	got := merge(t, gopprof.KindMutex, files(profiletest.Contention(), profiletest.Contention(on(second, "main.f"))))
	if l := got.Kind.LeftOut; len(l) != 1 || l[0].Reason != gopprof.ReasonNotEnabled || l[0].Pod != "web-0" {
		t.Errorf("left out %+v", l)
	}
}
