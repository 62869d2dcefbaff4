package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"github.com/gopprof/gopprof/test/burner/accounts"
	"github.com/gopprof/gopprof/test/burner/addresses"
	"github.com/gopprof/gopprof/test/burner/audit"
	"github.com/gopprof/gopprof/test/burner/carts"
	"github.com/gopprof/gopprof/test/burner/delivery"
	"github.com/gopprof/gopprof/test/burner/payments"
	"github.com/gopprof/gopprof/test/burner/quotes"
	"github.com/gopprof/gopprof/test/burner/receipts"
	"github.com/gopprof/gopprof/test/burner/search"
	"github.com/gopprof/gopprof/test/burner/sessions"
	"github.com/gopprof/gopprof/test/burner/shipping"
	"github.com/gopprof/gopprof/test/burner/statements"
	"github.com/gopprof/gopprof/test/burner/stock"
	"github.com/gopprof/gopprof/test/burner/thumbnails"
	"github.com/gopprof/gopprof/test/burner/tracking"
)

// shown is where a fault stands in a real profile.
type shown struct {
	level    float64
	kind     string // of the profile: cpu, heap, goroutine
	function string
	share    float64 // of it, what it calls included: the least
	amount   int64   // likewise: bytes, goroutines
}

func shownFaults() map[string]shown {
	return map[string]shown{
		"regexp":         {0.8, "cpu", search.HotFunction, 0.25, 1},
		"regexp-compile": {0.8, "cpu", addresses.HotFunction, 0.25, 1},
		"json":           {0.8, "cpu", receipts.HotFunction, 0.25, 1},
		"hash":           {0.8, "cpu", accounts.HotFunction, 0.25, 1},
		"sort":           {0.8, "cpu", shipping.HotFunction, 0.25, 1},
		"concat":         {0.8, "cpu", statements.HotFunction, 0.15, 1},
		"allocations":    {0.8, "cpu", quotes.HotFunction, 0.25, 1},
		"mutex":          {0.8, "cpu", stock.HotFunction, 0.1, 1},
		"log":            {0.8, "cpu", payments.HotFunction, 0.25, 1},
		"clock":          {0.8, "cpu", delivery.HotFunction, 0.25, 1},
		"channel":        {8, "goroutine", audit.WaitingFunction, 0.8, 150},
		"goroutines":     {300, "goroutine", tracking.WaitingFunction, 0.8, 250},
		"map":            {64, "heap", sessions.GrowingFunction, 0.5, 40 << 20},
		"map-deleted":    {64, "heap", carts.GrowingFunction, 0.5, 20 << 20},
		"slice":          {64, "heap", thumbnails.GrowingFunction, 0.5, 40 << 20},
	}
}

// Every fault spends its time, or leaves its memory, where its package says; and no longer
// once it has been taken back.
func TestEveryFaultIsWhereItIsSaidToBe(t *testing.T) {
	if names, tested := keys(faults()), keys(shownFaults()); !slices.Equal(names, tested) {
		t.Fatalf("faults %v, tested %v", names, tested)
	}
	for name, want := range shownFaults() {
		t.Run(name, func(t *testing.T) {
			s := openShop(t)
			post(t, s, "/load?rate=50")
			post(t, s, fmt.Sprintf("/fault?name=%s&level=%g&over=100ms", name, want.level))
			deadline := time.Now().Add(30 * time.Second)
			with, all := partOf(t, want.kind, want.function)
			for float64(with) < want.share*float64(all) || with < want.amount { // on a busy machine it takes its time
				if time.Now().After(deadline) {
					t.Fatalf("%s has %d of %d of the %s profile, want %.2f", want.function, with, all, want.kind, want.share)
				}
				with, all = partOf(t, want.kind, want.function)
			}
			post(t, s, "/fault?name=none")
			if left, _ := partOf(t, want.kind, want.function); left > with/2 {
				t.Errorf("taken back, %s still has %d of %d in the %s profile", want.function, left, with, want.kind)
			}
		})
	}
}

// partOf is how much of a profile of this process has the function on its stacks.
func partOf(t *testing.T, kind, function string) (with, all int64) {
	t.Helper()
	p, err := profile.Parse(bytes.NewReader(taken(t, kind)))
	if err != nil {
		t.Fatal(err)
	}
	value := len(p.SampleType) - 1 // cpu time, inuse_space, goroutines
	for _, s := range p.Sample {
		all += s.Value[value]
		if slices.ContainsFunc(s.Location, func(l *profile.Location) bool {
			return slices.ContainsFunc(l.Line, func(n profile.Line) bool { return n.Function.Name == function })
		}) {
			with += s.Value[value]
		}
	}
	return with, all
}

func taken(t *testing.T, kind string) []byte {
	t.Helper()
	var b bytes.Buffer
	if kind != "cpu" {
		runtime.GC() // what is in use counts from the last one on, and from the one before
		runtime.GC()
		if err := pprof.Lookup(kind).WriteTo(&b, 0); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	if err := pprof.StartCPUProfile(&b); err != nil {
		t.Fatal(err)
	}
	<-time.After(400 * time.Millisecond)
	pprof.StopCPUProfile()
	return b.Bytes()
}

func post(t *testing.T, s *shop, target string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.handler().ServeHTTP(w, httptest.NewRequest("POST", target, nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", target, w.Code, w.Body)
	}
}

func TestNonsensicalFaultsAndLoadsAreRefused(t *testing.T) {
	s := openShop(t)
	for _, target := range []string{
		"/fault", "/fault?name=fire&level=1", "/fault?name=hash", "/fault?name=hash&level=-1", "/fault?name=hash&level=NaN", "/fault?name=hash&level=65",
		"/fault?name=slice&level=2000", "/fault?name=goroutines&level=1e6", "/fault?name=slice&level=10&over=soon", "/fault?name=slice&level=10&over=2h",
		"/load", "/load?rate=-1", "/load?rate=1e9", "/load?cores=NaN", "/load?cores=100",
	} {
		w := httptest.NewRecorder()
		s.handler().ServeHTTP(w, httptest.NewRequest("POST", target, nil))
		if w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
}

// The ordinary pages must be pages, not errors.
func TestOrdinaryVisitorsAreServed(t *testing.T) {
	stands, err := newStands()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stands.close)
	for n := range 64 {
		w := httptest.NewRecorder()
		stands.routes.ServeHTTP(w, ordinary(n))
		if w.Code != http.StatusOK {
			t.Errorf("visitor %d: %s: %d %s", n, ordinary(n).URL, w.Code, w.Body)
		}
	}
}

// What the faults ask for is served by the page that is at fault, not by an error before it.
func TestFaultsAskForTheirPages(t *testing.T) {
	stands, err := newStands()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stands.close)
	for name, f := range faults() {
		w := httptest.NewRecorder()
		stands.routes.ServeHTTP(w, f.crowd(1).Visit(17))
		if refused := w.Code >= 400; refused != (name == "clock") { // whose visitors wait for what never comes
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

// Nothing in the shop may tell what is wrong with it: whoever finds it has found it in the
// profiles.
func TestNamesTellNothing(t *testing.T) {
	for name, want := range shownFaults() {
		for _, word := range []string{"leak", "hot", "slow", "burn", "fault", "waste", "bad", "storm", "convoy"} {
			own := strings.TrimPrefix(want.function, "github.com/gopprof/gopprof/test/burner/")
			if strings.Contains(strings.ToLower(own), word) {
				t.Errorf("%s: %q in %s", name, word, own)
			}
		}
	}
}

func TestOrdinaryVisitorsUseTheCPUThatWasAskedFor(t *testing.T) {
	s := openShop(t)
	post(t, s, "/load?cores=0.2")
	began, before := time.Now(), processCPU(t)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		used, passed := processCPU(t)-before, time.Since(began)
		if share := used.Seconds() / passed.Seconds(); passed > time.Second && share > 0.1 && share < 0.3 {
			return
		}
		if passed > 30*time.Second {
			t.Fatalf("used %s of CPU in %s", used, passed)
		}
	}
}

// The journal is the only file, and nobody sees it.
func TestPaymentsLeaveNoFile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	s := openShop(t)
	post(t, s, "/fault?name=log&level=0.1")
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}

func keys[V any](m map[string]V) (names []string) {
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
