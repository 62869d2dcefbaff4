package views

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/gopprof/gopprof/aggregator/draw"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
	"github.com/gopprof/gopprof/test/genuine"
)

// TestMain makes the test program its own worker, several whose pages end badly, and a
// parent that is to be killed.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 {
		os.Exit(m.Run())
	}
	switch os.Args[1] {
	case "view-worker":
		leave(Worker(os.Stdin, os.Stdout))
	case "worker-that-wedges":
		leave(badWorker(func() { select {} }))
	case "worker-that-dies":
		leave(badWorker(func() {
			fmt.Fprintln(os.Stderr, "panic: \x1b[31mhostile") // ends on a page and in the log
			os.Exit(2)
		}))
	case "worker-that-spins":
		leave(badWorker(func() {
			for {
				sink = fibonacci(20)
			}
		}))
	case "worker-that-eats":
		leave(badWorker(func() {
			for hoard := [][]byte{}; ; {
				hoard = append(hoard, bytes.Repeat([]byte{1}, 1<<20))
				time.Sleep(100 * time.Microsecond)
			}
		}))
	case "worker-that-panics":
		leave(draw.Work(os.Stdin, os.Stdout, mostBytes(), func(j job, body []byte) ([]byte, error) {
			return (&session{}).page(job{Page: "top"})
		}))
	case "worker-that-opens-never":
		leave(draw.Work(os.Stdin, os.Stdout, mostBytes(), func(job, []byte) ([]byte, error) { select {} }))
	case "worker-that-leaves":
		os.Exit(0)
	case "parent":
		parent()
	}
	os.Exit(m.Run())
}

func leave(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// badWorker opens every view as Worker does, and does something else for the pages.
func badWorker(page func()) error {
	s := &session{}
	go s.watch.run()
	return draw.Work(os.Stdin, os.Stdout, mostBytes(), func(j job, _ []byte) ([]byte, error) {
		if j.Open == nil {
			page()
		} else {
			s.watch.resident.Store(j.Open.ResidentBytes)
		}
		return nil, nil
	})
}

// parent opens a view whose page never ends, says its PID and waits to be killed.
func parent() {
	cfg := DefaultConfig()
	cfg.MemoryBytes, cfg.ResidentBytes = testMemoryBytes, testResidentBytes
	vs, err := New(cfg, []string{os.Args[0], "worker-that-wedges"}, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		leave(err)
	}
	go vs.Page(context.Background(), burning("a"), "top", "") //nolint:errcheck // it never ends
	for {
		if pids := workers("worker-that-wedges"); len(pids) > 0 {
			fmt.Println(pids[0])
			select {}
		}
		time.Sleep(time.Millisecond)
	}
}

// newViews starts Views whose worker is this program.
func newViews(t *testing.T, mode string, change func(*Config)) *Views {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.MemoryBytes, cfg.ResidentBytes = testMemoryBytes, testResidentBytes
	if change != nil {
		change(&cfg)
	}
	vs, err := New(cfg, []string{self, mode}, zaptest.NewLogger(t), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vs.Close)
	return vs
}

func file(data []byte) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) { return data, nil }
}

// of is the view of a file.
func of(key string, kind gopprof.Kind, data []byte) View {
	return View{Key: key, Kind: kind, Title: "shop/web-1: " + string(kind), Home: "../../../x", Profile: file(data)}
}

// burning is a view of a small profile.
func burning(key string) View {
	return of(key, gopprof.KindCPU, profiletest.CPU(1, profiletest.On(1e9, "main.f", "main.main"), profiletest.On(5e8, "main.g", "main.main")))
}

// own are profiles of this process, the CPU's with labels.
var own = sync.OnceValue(func() map[gopprof.Kind][]byte {
	files := map[gopprof.Kind][]byte{gopprof.KindCPU: burn(20, 300*time.Millisecond)}
	for _, kind := range []gopprof.Kind{gopprof.KindHeap, gopprof.KindAllocs, gopprof.KindGoroutine} {
		files[kind] = genuine.Of(kind)
	}
	return files
})

// burn is a CPU profile of fibonacci.
func burn(n int, used time.Duration) []byte {
	return genuine.CPU(used, func() { sink = fibonacci(n) })
}

var sink int

//go:noinline
func fibonacci(n int) int {
	if n < 2 {
		return n
	}
	return fibonacci(n-1) + fibonacci(n-2)
}

func TestPages(t *testing.T) {
	vs := newViews(t, "view-worker", nil)
	for kind, data := range own() {
		for _, page := range pages {
			html, err := vs.Page(t.Context(), of(string(kind), kind, data), page, "")
			if err != nil {
				t.Errorf("%s of %s: %v", page, kind, err)
				continue
			}
			for _, want := range []string{"<!DOCTYPE html>", "<title>shop/web-1: " + string(kind) + "</title>", `<h1><a href="../../../x">Report</a></h1>`, "display:none!important", "</html>"} {
				if !bytes.Contains(html, []byte(want)) {
					t.Errorf("%s of %s has no %q", page, kind, want)
				}
			}
			if kind == gopprof.KindCPU && !bytes.Contains(html, []byte("views.fibonacci")) {
				t.Errorf("%s does not show who burns", page)
			}
			if bytes.Contains(html, []byte(genuine.Secret)) {
				t.Errorf("%s of %s: a label is on the page", page, kind)
			}
		}
	}
	if got := testutil.ToFloat64(vs.metrics.opened); got != float64(len(own())) {
		t.Errorf("%v processes for %d views", got, len(own()))
	}
}

// TestParameters: what pprof is asked for, it does; what it does not understand, it says.
func TestParameters(t *testing.T) {
	vs := newViews(t, "view-worker", nil)
	get := func(query string) string {
		html, err := vs.Page(t.Context(), burning("a"), "top", query)
		if err != nil {
			return err.Error()
		}
		_, rows, _ := strings.Cut(string(html), "makeTopTable(")
		return rows[strings.LastIndex(rows, "makeTopTable("):]
	}
	if all := get(""); !strings.Contains(all, `"main.f"`) || !strings.Contains(all, `"main.g"`) {
		t.Errorf("all: %s", all)
	}
	if focused := get("f=main%5C.g%24"); strings.Contains(focused, `"main.f"`) || !strings.Contains(focused, `"main.g"`) {
		t.Errorf("focused: %s", focused)
	}
	if again := get(""); !strings.Contains(again, `"main.f"`) {
		t.Errorf("a parameter stays: %s", again)
	}
	for query, want := range map[string]string{
		"f=%28":         "bad_input: parsing focus regexp",
		"si=surprise":   "bad_input: ",
		"f=x%7B1001%7D": "bad_input: parsing focus regexp",
	} {
		if got := get(query); !strings.Contains(got, want) {
			t.Errorf("%s: %s", query, got)
		}
	}
	if got := testutil.ToFloat64(vs.metrics.opened); got != 1 {
		t.Errorf("%v processes: a mistake cost the view", got)
	}
}

func TestWhatCannotBeShown(t *testing.T) {
	vs := newViews(t, "view-worker", nil)
	errStore := &gopprof.Error{Reason: gopprof.ReasonStoreFailed, Detail: "the store is away"}
	noFile := burning("no file")
	noFile.Profile = func(context.Context) ([]byte, error) { return nil, errStore }
	otherKind := of("other kind of base", gopprof.KindCPU, own()[gopprof.KindCPU])
	otherKind.Base = file(own()[gopprof.KindHeap])
	for _, test := range []struct {
		view   View
		reason gopprof.Reason
		says   string
	}{
		{of("text", gopprof.KindCPU, []byte("not a profile")), gopprof.ReasonInvalidProfile, "not a valid profile"},
		{of("other kind", gopprof.KindHeap, own()[gopprof.KindCPU]), gopprof.ReasonInvalidProfile, "inuse_space"},
		{of("trace", gopprof.KindTrace, []byte("go 1.26 trace\x00\x00\x00")), gopprof.ReasonInvalidProfile, ""},
		{of("too large", gopprof.KindCPU, make([]byte, 17<<20)), gopprof.ReasonTooLarge, "17825792 bytes"},
		{of("empty", gopprof.KindCPU, profiletest.CPU(1)), gopprof.ReasonInvalidProfile, "empty"},
		{otherKind, gopprof.ReasonInvalidProfile, "the other report's: not a valid profile"},
		{noFile, gopprof.ReasonStoreFailed, "away"},
	} {
		_, err := vs.Page(t.Context(), test.view, "top", "")
		if gopprof.ReasonOf(err) != test.reason || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %s with %q", test.view.Key, err, test.reason, test.says)
		}
	}
	if n := len(vs.open); n != 0 {
		t.Errorf("%d views are open that cannot be", n)
	}
	if got := testutil.ToFloat64(vs.metrics.open); got != 0 {
		t.Errorf("%v processes run", got)
	}
}

// TestUnreadFile: why a profile cannot be read is not a page's to say, and no view ended.
func TestUnreadFile(t *testing.T) {
	vs := newViews(t, "view-worker", nil)
	for _, want := range []error{errors.New("open /var/lib/secret: permission denied"), context.DeadlineExceeded} {
		v := burning("a")
		v.Profile = func(context.Context) ([]byte, error) { return nil, want }
		if _, err := vs.Page(t.Context(), v, "top", ""); !errors.Is(err, want) || gopprof.ReasonOf(err) != "" {
			t.Errorf("error %v, want %v as it came", err, want)
		}
	}
	if got := testutil.ToFloat64(vs.metrics.failures.WithLabelValues(string(gopprof.ReasonInternal))); got != 2 {
		t.Errorf("%v failures without a name, want 2", got)
	}
}

// TestPageTooLarge: the view goes on, and a smaller part of the profile can be seen.
func TestPageTooLarge(t *testing.T) {
	vs := newViews(t, "view-worker", func(c *Config) { c.PageBytes = 31_000 })
	long := of("a", gopprof.KindCPU, profiletest.CPU(1, profiletest.On(1e9, strings.Repeat("long", 100), strings.Repeat("name", 100)), profiletest.On(1, "main.g")))
	if _, err := vs.Page(t.Context(), long, "flamegraph", ""); gopprof.ReasonOf(err) != gopprof.ReasonTooLarge {
		t.Errorf("flame graph: %v", err)
	}
	if _, err := vs.Page(t.Context(), long, "peek", ""); err != nil {
		t.Errorf("peek: %v", err)
	}
	if got := testutil.ToFloat64(vs.metrics.opened); got != 1 {
		t.Errorf("%v processes", got)
	}
}

func TestMissingWorker(t *testing.T) {
	if _, err := New(DefaultConfig(), []string{"/nonexistent/aggregator"}, zaptest.NewLogger(t), prometheus.NewRegistry()); err == nil {
		t.Error("a missing worker program is no error")
	}
}

func TestConfigCheck(t *testing.T) {
	found := func(c Config) (keys []string) {
		c.Check(func(key, _ string) { keys = append(keys, key) })
		return keys
	}
	if got := found(DefaultConfig()); got != nil {
		t.Errorf("the defaults are wrong: %v", got)
	}
	if got := found(Config{MaxOpen: -1, MaxAge: -1}); len(got) != 8 {
		t.Errorf("mistakes found in a configuration where all is wrong: %v", got)
	}
}

// workers are the PIDs of this process's children that were started in a mode and have not
// ended.
func workers(mode string) (pids []string) {
	tasks, _ := os.ReadDir("/proc/self/task")
	for _, task := range tasks {
		data, _ := os.ReadFile("/proc/self/task/" + task.Name() + "/children")
		for _, pid := range strings.Fields(string(data)) {
			line, _ := os.ReadFile("/proc/" + pid + "/cmdline")
			if strings.HasSuffix(string(line), "\x00"+mode+"\x00") && !gone(pid) {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// gone tells whether a process has ended.
func gone(pid string) bool {
	state, err := os.ReadFile("/proc/" + pid + "/stat")
	return err != nil || bytes.Contains(state, []byte(") Z "))
}

// pprofTool is the go command's pprof.
var pprofTool = sync.OnceValues(func() (string, error) {
	path, err := exec.Command("go", "tool", "-n", "pprof").Output()
	return strings.TrimSpace(string(path)), err
})

// goTool runs `go tool pprof`.
func goTool(t *testing.T, args ...string) string {
	t.Helper()
	path, err := pprofTool()
	if err != nil {
		t.Fatalf("go tool -n pprof: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), path, append([]string{"-symbolize=none"}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go tool pprof: %v: %s", err, &stderr)
	}
	return string(out)
}
