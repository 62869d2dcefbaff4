package views

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
	"github.com/gopprof/gopprof/test/hostile"
)

// TestHostileNames: what a target calls its functions is text of the page or a string of its
// scripts, and never markup or code.
func TestHostileNames(t *testing.T) {
	vs := newViews(t, "view-worker", nil)
	plain := map[string][]byte{}
	for _, page := range pages {
		var err error
		if plain[page], err = vs.Page(t.Context(), of("plain", gopprof.KindCPU, profiletest.Hostile("plain")), page, ""); err != nil {
			t.Fatal(err)
		}
	}
	check := func(v View, page string, plain []byte) {
		html, err := vs.Page(t.Context(), v, page, "")
		if err != nil {
			t.Errorf("%s of %.40q: %v", page, v.Title, err)
			return
		}
		checkHarmless(t, page, html, plain)
	}
	for i, name := range profiletest.HostileNames() { // in every place of a profile
		v := of(name, gopprof.KindCPU, profiletest.Hostile(name))
		v.Title = name
		check(v, pages[i%len(pages)], plain[pages[i%len(pages)]])
	}
	var stacks, same []profiletest.Stack
	for i, name := range slices.Concat(profiletest.HostileNames(), hostile.Names()) {
		stacks, same = append(stacks, profiletest.On(1e9, name, "main.main")), append(same, profiletest.On(1e9, fmt.Sprint("main.f", i), "main.main"))
	}
	for _, page := range pages {
		ordinary, err := vs.Page(t.Context(), of("ordinary", gopprof.KindCPU, profiletest.CPU(1, same...)), page, "")
		if err != nil {
			t.Fatal(err)
		}
		check(of("all", gopprof.KindCPU, profiletest.CPU(1, stacks...)), page, ordinary)
	}
}

// calls are how the driver's pages give what a profile says to their scripts.
var calls = map[string][]string{
	"flamegraph": {"stackViewer("},
	"top":        {"viewer(new URL(window.location.href), ", "makeTopTable("},
	"peek":       {"viewer(new URL(window.location.href), "},
}

// checkHarmless holds a page against one of a plain profile: it has no more markup, and
// what its own script is called with is data.
func checkHarmless(t *testing.T, page string, html, plain []byte) {
	t.Helper()
	if got, want := bytes.Count(html, []byte("<")), bytes.Count(plain, []byte("<")); got != want {
		t.Errorf("%s has %d times <, one of a plain profile %d", page, got, want)
	}
	script := html[bytes.LastIndex(html, []byte("<script>")):]
	for _, call := range calls[page] {
		at := bytes.LastIndex(script, []byte(call))
		if at < 0 {
			t.Errorf("%s: no call of %s", page, call)
			continue
		}
		args := script[at+len(call):]
		for {
			dec := json.NewDecoder(bytes.NewReader(args))
			var arg any
			if err := dec.Decode(&arg); err != nil {
				t.Errorf("%s: an argument of %s is no data: %v: %.100s", page, call, err, args)
				break
			}
			args = bytes.TrimSpace(args[dec.InputOffset():])
			if rest, more := bytes.CutPrefix(args, []byte(",")); more {
				args = rest
				continue
			}
			if !bytes.HasPrefix(args, []byte(");")) {
				t.Errorf("%s: after the arguments of %s: %.100s", page, call, args)
			}
			break
		}
	}
}

// heavy are those of the corpus's large files that get past a parser's bounds; what those do
// to the others, pkg/profile tests.
var heavy = []string{
	"as many samples as go", "100,000 different stacks", "50,000 functions, each a stack", "1,300 stacks 4,000 deep", "function name of 20 MB", "expression without end",
}

// watchResident returns a function that ends the watching and says what the one of this
// process's children in a mode that had most had resident at once: VmHWM of proc(5).
func watchResident(mode string) (end func() int64) {
	var most int64
	stop := make(chan struct{})
	var watching sync.WaitGroup
	look := func() {
		for _, pid := range workers(mode) {
			most = max(most, resident(pid))
		}
	}
	watching.Go(func() {
		for tick := time.Tick(10 * time.Millisecond); ; {
			select {
			case <-stop:
				return
			case <-tick:
				look()
			}
		}
	})
	return func() int64 {
		close(stop)
		watching.Wait()
		look()
		return most
	}
}

// resident is the most bytes that a process had resident at once; 0 of one that has ended.
func resident(pid string) int64 {
	status, _ := os.ReadFile("/proc/" + pid + "/status")
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, _ := strconv.ParseInt(fields[0], 10, 64)
	return kib << 10
}

// TestHostileFiles: each file of the corpus ends as a page or a named refusal, in time and
// in memory, and costs no other view anything.
func TestHostileFiles(t *testing.T) {
	vs := newViews(t, "view-worker", nil)
	seen := 0
	for _, c := range hostile.Cases("127.0.0.1:1") {
		if c.Payload == nil || !c.Light && !slices.Contains(heavy, c.Name) {
			continue
		}
		seen++
		var file bytes.Buffer
		if err := c.Payload(&file); err != nil {
			t.Fatal(err)
		}
		name, data := c.Name, file.Bytes()
		for _, page := range pages {
			start := time.Now()
			end := watchResident("view-worker")
			html, err := vs.Page(t.Context(), of(name, gopprof.KindCPU, data), page, "")
			took, resident := time.Since(start), end()
			if testing.Verbose() && !c.Light {
				t.Logf("%s of %q: %.1f MB resident, %d bytes in %v: %v", page, name, float64(resident)/1e6, len(html), took, err)
			}
			switch reason := gopprof.ReasonOf(err); {
			case resident > mostResident:
				t.Errorf("%s of %q: a process had %d bytes of memory", page, name, resident)
			case took > vs.cfg.Timeout+10*time.Second:
				t.Errorf("%s of %q took %v", page, name, took)
			case err == nil && int64(len(html)) > vs.cfg.PageBytes+4096:
				t.Errorf("%s of %q has %d bytes", page, name, len(html))
			case err != nil && !slices.Contains([]gopprof.Reason{gopprof.ReasonInvalidProfile, gopprof.ReasonTooLarge, gopprof.ReasonViewFailed, gopprof.ReasonTimeout}, reason):
				t.Errorf("%s of %q: %v", page, name, err)
			}
			if gopprof.ReasonOf(err) == gopprof.ReasonInvalidProfile {
				break // the others' answer is the same
			}
		}
	}
	if seen < 80 {
		t.Errorf("only %d files", seen)
	}
	look(t, vs, "another")
	if got := testutil.ToFloat64(vs.metrics.open); got > float64(vs.cfg.MaxOpen) {
		t.Errorf("%v processes run", got)
	}
}
