package draw

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap/zaptest"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
	"github.com/gopprof/gopprof/test/genuine"
	"github.com/gopprof/gopprof/test/parts"
)

// TestMain makes the test program its own worker, and several bad ones.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "draw-worker":
			if err := Worker(os.Stdin, os.Stdout); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		case "worker-that-wedges":
			io.Copy(io.Discard, os.Stdin) //nolint:errcheck
			select {}
		case "worker-that-dies":
			begin()
			fmt.Fprintln(os.Stderr, "panic: \x1b[31mhostile") // ends in errors and logs
			os.Exit(2)
		case "worker-that-eats":
			begin()
			for hoard := [][]byte{}; ; {
				hoard = append(hoard, bytes.Repeat([]byte{1}, 1<<20))
			}
		case "worker-that-babbles":
			os.Stdout.WriteString(strings.Repeat("babble", 100)) //nolint:errcheck
			io.Copy(io.Discard, os.Stdin)                        //nolint:errcheck
			os.Exit(0)
		case "worker-that-leaves":
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// begin takes a job.
func begin() {
	var req request
	if err := readHeader(os.Stdin, &req); err != nil {
		os.Exit(9)
	}
	if _, err := readBody(os.Stdin, req.Size, 1<<30); err != nil {
		os.Exit(9)
	}
	if err := writeFrame(os.Stdout, response{}, nil); err != nil {
		os.Exit(9)
	}
}

// newDrawer starts a Drawer whose worker is this program.
func newDrawer(t *testing.T, mode string, change func(*Config)) *Drawer {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	if change != nil {
		change(&cfg)
	}
	d, err := New(cfg, []string{self, mode}, zaptest.NewLogger(t), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func needDot(t *testing.T) {
	t.Helper()
	parts.NeedDot(t)
}

//go:noinline
func fibonacci(n int) int {
	if n < 2 {
		return n
	}
	return fibonacci(n-1) + fibonacci(n-2)
}

var sink int

// cpuProfile is a genuine CPU profile of this process, with labels.
var cpuProfile = sync.OnceValue(func() []byte {
	return genuine.CPU(300*time.Millisecond, func() { sink = fibonacci(20) })
})

func TestDraw(t *testing.T) {
	needDot(t)
	d := newDrawer(t, "draw-worker", nil)
	if err := d.Available(); err != nil {
		t.Fatal(err)
	}
	files := map[gopprof.Kind][]byte{gopprof.KindCPU: cpuProfile()}
	for _, kind := range []gopprof.Kind{gopprof.KindAllocs, gopprof.KindGoroutine, gopprof.KindThreadcreate} {
		files[kind] = genuine.Of(kind)
	}
	for kind, file := range files {
		svg, err := d.Draw(t.Context(), kind, file)
		if err != nil {
			t.Error(err)
			continue
		}
		checkHarmless(t, svg)
		for _, want := range []string{"<svg ", "Type: ", "</svg>"} {
			if !bytes.Contains(svg, []byte(want)) {
				t.Errorf("%s: the drawing has no %q", kind, want)
			}
		}
		if kind == gopprof.KindCPU && !bytes.Contains(svg, []byte(">fibonacci</text>")) {
			t.Error("the drawing does not show who burns")
		}
		if bytes.Contains(svg, []byte(genuine.Secret)) {
			t.Errorf("%s: a label is in the drawing", kind)
		}
	}
	if got := testutil.ToFloat64(d.metrics.started); got != 1 {
		t.Errorf("%v workers started for one job after the other, want 1", got)
	}
}

func TestDrawRefuses(t *testing.T) {
	needDot(t)
	d := newDrawer(t, "draw-worker", nil)
	for name, test := range map[string]struct {
		kind gopprof.Kind
		file []byte
		says string
	}{
		"text":       {gopprof.KindCPU, []byte("not a profile"), "not a valid profile"},
		"other kind": {gopprof.KindHeap, cpuProfile(), "inuse_space"},
		"trace":      {gopprof.KindTrace, []byte("go 1.26 trace\x00\x00\x00"), "not a valid profile"},
		"too large":  {gopprof.KindCPU, make([]byte, 17<<20), "too large"},
		"empty":      {gopprof.KindCPU, profiletest.CPU(1), "is empty"},
	} {
		if _, err := d.Draw(t.Context(), test.kind, test.file); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: error %v, want one with %q", name, err, test.says)
		}
	}
	if got := testutil.ToFloat64(d.metrics.started); got > 1 {
		t.Errorf("%v workers started: a refused profile cost its worker", got)
	}
}

func TestMissingDot(t *testing.T) {
	d := newDrawer(t, "draw-worker", func(c *Config) { c.Dot = "/nonexistent/dot" })
	err := d.Available()
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "install graphviz") {
		t.Errorf("Available: %v", err)
	}
	if _, err := d.Draw(t.Context(), gopprof.KindCPU, cpuProfile()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Draw: %v", err)
	}
}

func TestBrokenDot(t *testing.T) {
	d := newDrawer(t, "draw-worker", func(c *Config) { c.Dot = script(t, "echo 'Format: \"svg\" not recognized' >&2; exit 1") })
	if err := d.Available(); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "not recognized") {
		t.Errorf("Available: %v", err)
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
	if got := found(Config{}); len(got) != 7 {
		t.Errorf("mistakes found in an empty configuration: %v", got)
	}
}
