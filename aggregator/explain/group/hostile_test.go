package group

import (
	"encoding/json"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
	"github.com/gopprof/gopprof/test/hostile"
)

func TestBrokenMember(t *testing.T) {
	for name, test := range map[string]struct {
		data   []byte
		reason gopprof.Reason
	}{
		"nothing":       {nil, gopprof.ReasonInvalidProfile},
		"text":          {[]byte("<html>404</html>"), gopprof.ReasonInvalidProfile},
		"cut short":     {shop(second)[:100], gopprof.ReasonInvalidProfile},
		"large":         {make([]byte, 17<<20), gopprof.ReasonTooLarge},
		"negative":      {profiletest.CPU(30, on(-second, "main.f")), gopprof.ReasonInvalidProfile},
		"absurd values": {profiletest.CPU(30, on(math.MaxInt64-2*second, "main.f")), gopprof.ReasonInvalidProfile},
		"overflow":      {profiletest.CPU(30, on(math.MaxInt64, "main.f"), on(math.MaxInt64, "main.g")), gopprof.ReasonInvalidProfile},
	} {
		t.Run(name, func(t *testing.T) {
			for at := range 4 {
				data := slices.Insert([][]byte{shop(second / 4), shop(second / 4), shop(10 * second), shop(second / 4)}, at, test.data)
				got := merge(t, gopprof.KindCPU, files(data...))
				if l := got.Kind.LeftOut; len(l) != 1 || l[0].Pod != fmt.Sprintf("web-%d", at) || l[0].Reason != test.reason || l[0].Detail == "" {
					t.Errorf("left out %+v", l)
				}
				checkOthers(t, got)
				if len(got.Kind.Outliers) != 1 {
					t.Errorf("outliers %+v", got.Kind.Outliers)
				}
			}
		})
	}
}

// checkOthers checks that three shops and a bad one are merged and told apart, whatever
// stood beside them.
func checkOthers(t *testing.T, got Result) {
	t.Helper()
	if len(got.Kind.Pods) < 4 || len(got.Kind.Outliers) == 0 {
		t.Fatalf("the others are not all there: %+v", got.Kind)
	}
	w := weighed(t, gopprof.KindCPU, got.Profile, profile.DefaultLimits())
	at := slices.IndexFunc(w.Functions, func(f gopprof.Function) bool { return f.Name == "main.(*DB).Query" })
	if at < 0 || w.Functions[at].Cum < 12*second {
		t.Errorf("the others' values are not in the sum")
	}
	for _, o := range got.Kind.Outliers {
		if strings.Contains(o.Summary, "in main.(*Cart).price, the others 4 %") {
			return
		}
	}
	t.Errorf("the bad pod is not named: %+v", got.Kind.Outliers)
}

// wide is a large profile: of so many stacks and functions, which no other has.
func wide(name string, n int) []byte { return wideAnd(name, n) }

// wideAnd has further stacks.
func wideAnd(name string, n int, stacks ...profiletest.Stack) []byte {
	for i := range n {
		stacks = append(stacks, on(10_000_000, fmt.Sprintf("main.%s%d", name, i)))
	}
	return profiletest.CPU(30, stacks...)
}

// TestLargestIsLeftOut: what finds no room in the sum is the largest, wherever it stands,
// and it is compared all the same.
func TestLargestIsLeftOut(t *testing.T) {
	p, err := profile.Parse(wide("f", 300), profile.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	cost := p.Cost()
	limits := map[string]func(*profile.Limits){
		"samples":   func(l *profile.Limits) { l.Samples = 303 },
		"functions": func(l *profile.Limits) { l.Functions = 305 },
		"strings":   func(l *profile.Limits) { l.Strings = 310 },
		"memory":    func(l *profile.Limits) { l.MemoryBytes = cost + 2000 },
		"bytes":     func(l *profile.Limits) { l.DecompressedBytes = 30_000 },
	}
	for name, limit := range limits {
		lim := profile.DefaultLimits()
		limit(&lim)
		for at := range 4 {
			data := slices.Insert([][]byte{shop(second), shop(second), shop(second)}, at, wide("f", 300))
			got, err := Merge(gopprof.KindCPU, files(data...), lim)
			if err != nil {
				t.Fatal(err)
			}
			large := fmt.Sprintf("web-%d", at)
			if l := got.Kind.LeftOut; len(l) != 1 || l[0].Pod != large || l[0].Reason != gopprof.ReasonTooLarge {
				t.Errorf("%s: left out %+v", name, l)
			}
			if o := got.Kind.Outliers; len(o) != 1 || o[0].Pod != large || len(got.Kind.Pods) != 3 {
				t.Errorf("%s: outliers %+v of %+v", name, o, got.Kind.Pods)
			}
			if w := weighed(t, gopprof.KindCPU, got.Profile, lim); w.Total != 21*second {
				t.Errorf("%s: total %d", name, w.Total)
			}
		}
	}
}

// TestSumAndProfileTogether: a profile that cannot be read beside the sum, within the limit of
// one profile, is left out, and compared all the same; those that can are added.
func TestSumAndProfileTogether(t *testing.T) {
	large, small := wide("f", 1000), wide("f", 100)
	cost := func(data []byte) int64 {
		p, err := profile.Parse(data, profile.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		return p.Cost()
	}
	odd := wideAnd("g", 1100, on(5*second, "main.odd"))
	for name, c := range map[string]struct {
		members [][]byte
		memory  int64 // allowed
		left    []string
		sum     []byte // one whose functions are all in the sum
	}{
		"room for both":              {[][]byte{large, large}, 2 * cost(large), nil, large},
		"no room for the second":     {[][]byte{large, large}, 2*cost(large) - 1, []string{"web-1"}, large},
		"small ones before it":       {[][]byte{large, small, small, small}, 2 * cost(large), nil, large},
		"no room for the odd one":    {[][]byte{odd, large, small, small}, 2 * cost(large), []string{"web-0"}, large},
		"no room for the larger two": {[][]byte{odd, large, small, small}, cost(large) + 2*cost(small) - 1, []string{"web-0", "web-1"}, small},
	} {
		lim := profile.DefaultLimits()
		lim.MemoryBytes = c.memory
		got, err := Merge(gopprof.KindCPU, files(c.members...), lim)
		if err != nil {
			t.Fatal(err)
		}
		var left []string
		for _, l := range got.Kind.LeftOut {
			left = append(left, l.Pod)
			if l.Reason != gopprof.ReasonTooLarge || !strings.HasPrefix(l.Detail, profile.ErrTooLarge.Error()) {
				t.Errorf("%s: %+v", name, l)
			}
		}
		if !slices.Equal(left, c.left) || len(got.Kind.Pods) != len(c.members)-len(left) {
			t.Errorf("%s: left out %q, want %q", name, left, c.left)
		}
		if has, want := len(weighed(t, gopprof.KindCPU, got.Profile, profile.DefaultLimits()).Functions), len(weighed(t, gopprof.KindCPU, c.sum, profile.DefaultLimits()).Functions); has != want {
			t.Errorf("%s: %d functions in the sum, want %d", name, has, want)
		}
		told := slices.IndexFunc(got.Kind.Outliers, func(o api.Outlier) bool {
			return len(o.Functions) > 0 && o.Functions[0].Function == "main.odd"
		})
		if isOdd := len(c.members[0]) == len(odd); isOdd != (told >= 0) {
			t.Errorf("%s: what is odd is told: %+v", name, got.Kind.Outliers)
		}
	}
}

// TestNamesAreBounded: functions that nobody else has take no more memory than is allowed
// for the names of all the pods together; whose find no room is left out.
func TestNamesAreBounded(t *testing.T) {
	g := &group{kind: gopprof.KindCPU, members: make([]Member, 1), leftOut: map[int]api.LeftOut{}}
	for i := range maxNames / 512 {
		if _, ok := g.names.number(fmt.Sprintf("%0512d", i)); !ok {
			t.Fatalf("no room for name %d", i)
		}
	}
	w := weighed(t, g.kind, shop(second), profile.DefaultLimits())
	if got := g.shares(0, w); got != nil || g.leftOut[0].Reason != gopprof.ReasonTooLarge {
		t.Errorf("%d shares, left out %+v", len(got), g.leftOut)
	}
}

// TestNamesOfARefusedPod: what finds no room takes none. A pod that is left out for its names
// has left no name behind, and those after it are kept if they fit.
func TestNamesOfARefusedPod(t *testing.T) {
	g := &group{kind: gopprof.KindCPU, members: make([]Member, 3), leftOut: map[int]api.LeftOut{}}
	for i := range maxNames/512 - 1 {
		if _, ok := g.names.number(fmt.Sprintf("%0512d", i)); !ok {
			t.Fatalf("no room for name %d", i)
		}
	}
	before := len(g.names.list)
	hostile := weighed(t, g.kind, profiletest.CPU(30, on(2*second, "main.f"), on(second, strings.Repeat("f", 512))), profile.DefaultLimits())
	for i := range 2 {
		if got := g.shares(i, hostile); got != nil || g.leftOut[i].Reason != gopprof.ReasonTooLarge {
			t.Fatalf("%d shares, left out %+v", len(got), g.leftOut)
		}
	}
	if n := len(g.names.list); n != before || len(g.names.numbers) != before {
		t.Errorf("%d names and %d numbers, %d before", n, len(g.names.numbers), before)
	}
	if got := g.shares(2, weighed(t, g.kind, shop(second), profile.DefaultLimits())); len(got) == 0 || len(g.leftOut) != 2 {
		t.Errorf("%d shares, left out %+v", len(got), g.leftOut)
	}
	for i, name := range g.names.list {
		if g.names.numbers[name] != i {
			t.Fatalf("name %d, %.40q, has number %d", i, name, g.names.numbers[name])
		}
	}
}

// TestKeptOfAPod: of however many functions, the thousand heaviest are kept.
func TestKeptOfAPod(t *testing.T) {
	var deep []string
	for i := range 1500 {
		deep = append(deep, fmt.Sprintf("main.f%d", i))
	}
	g := &group{kind: gopprof.KindCPU, members: make([]Member, 1), leftOut: map[int]api.LeftOut{}}
	file := profiletest.CPU(30, on(second, deep...), on(second, deep[1000:]...), on(second, deep[1000:]...))
	got := g.shares(0, weighed(t, g.kind, file, profile.DefaultLimits()))
	if len(got) != keptFunctions || got[499].ratio != 1 || got[500].ratio != 1.0/3 {
		t.Errorf("%d kept, the first five hundred down to %v", len(got), got[499].ratio)
	}
}

// TestNamesThatPrintTheSame stand for one function, which has no more than everything.
func TestNamesThatPrintTheSame(t *testing.T) {
	g := &group{kind: gopprof.KindCPU, members: make([]Member, 1), leftOut: map[int]api.LeftOut{}}
	w := weighed(t, g.kind, profiletest.CPU(30, on(second, "main.\x01", "main.\x02"), on(second, "main.\x03")), profile.DefaultLimits())
	if got := g.shares(0, w); len(got) != 1 || got[0].ratio != 0.5 {
		t.Errorf("%+v", got)
	}
}

// TestMemoryOfAGroup: one profile after the other, and not all of them at once.
func TestMemoryOfAGroup(t *testing.T) {
	data := wide("f", 1000)
	used := func(pods int) uint64 {
		var most uint64
		members := files(slices.Repeat([][]byte{data}, pods)...)
		for i := range members {
			members[i].Read = func() ([]byte, error) {
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
				return data, nil
			}
		}
		merge(t, gopprof.KindCPU, members)
		return most
	}
	few, many := used(3), used(23)
	if perPod := (int64(many) - int64(few)) / 20; perPod > 40<<10 {
		t.Errorf("%d bytes more for each pod: its profile takes about 500 KB", perPod)
	}
}

// TestHostileNamesArePrintable: what is told goes to terminals, logs and chat.
func TestHostileNamesArePrintable(t *testing.T) {
	for _, name := range profiletest.HostileNames() {
		foreign := profiletest.CPU(30, on(20*second, strings.ReplaceAll(name, " ", "_"), "main.f"))
		members := files(shop(second), foreign, shop(second), shop(second), profiletest.Hostile(name))
		members[1].Pod = name
		got := merge(t, gopprof.KindCPU, members).Kind
		if len(got.Outliers) == 0 || got.Outliers[0].Pod != name || len(got.LeftOut) != 1 {
			t.Fatalf("%.40q: %+v", name, got)
		}
		o := got.Outliers[0]
		for _, s := range []string{o.Summary, o.Functions[0].Function, got.Note, got.LeftOut[0].Detail} {
			if strings.ContainsAny(s, "\x00\x1b\n\r\u202e\u2028") || len(s) > 3000 {
				t.Errorf("%.40q: %.200q", name, s)
			}
		}
	}
}

// FuzzGroup puts hostile bytes beside four good pods, first, in the middle or last.
func FuzzGroup(f *testing.F) {
	f.Add(shop(second), uint8(0), 0.0)
	f.Add(profiletest.Contention(), uint8(1), math.Inf(1))
	f.Add(microseconds(), uint8(0), 1.0)
	f.Add(profiletest.CPU(30, on(math.MaxInt64-1, "main.f")), uint8(0), 1.0)
	f.Add(wide("f", 50), uint8(4), math.SmallestNonzeroFloat64)
	for _, name := range profiletest.HostileNames()[:5] {
		f.Add(profiletest.Hostile(name), uint8(2), math.NaN())
	}
	for _, data := range hostile.Files(4 << 10) {
		f.Add(data, uint8(0), -1.0)
	}
	lim := profile.DefaultLimits()
	lim.CompressedBytes, lim.DecompressedBytes, lim.MemoryBytes, lim.Frames = 1<<16, 1<<20, 4<<20, 100_000
	good := [][]byte{shop(second / 4), shop(second / 4), shop(10 * second), shop(second / 4)}
	f.Fuzz(func(t *testing.T, data []byte, at uint8, seconds float64) {
		i := int(at) % (len(good) + 1)
		members := files(slices.Insert(slices.Clone(good), i, data)...)
		members[i].Seconds = seconds
		got, err := Merge(gopprof.KindCPU, members, lim)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(got.Kind.Pods) + len(got.Kind.LeftOut); n != 5 {
			t.Errorf("%d of 5 pods are accounted for", n)
		}
		checkOthers(t, got)
		if _, err := json.Marshal(got.Kind); err != nil {
			t.Error(err)
		}
		kind := gopprof.Kinds()[at%7]
		if _, err := Merge(kind, files(data, data, data), lim); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	})
}
