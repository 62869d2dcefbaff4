package draw

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap/zaptest"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile"
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
			var req request
			readHeader(os.Stdin, &req)            //nolint:errcheck
			readBody(os.Stdin, req.Size, 1<<30)   //nolint:errcheck
			fmt.Fprintln(os.Stderr, "panic: \x1b[31mhostile") // ends in errors and logs
			os.Exit(2)
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
	if _, err := exec.LookPath("dot"); err != nil {
		t.Skip("graphviz is not installed: apt-get install graphviz")
	}
}

//go:noinline
func fibonacci(n int) int {
	if n < 2 {
		return n
	}
	return fibonacci(n-1) + fibonacci(n-2)
}

// cpuProfile is a genuine CPU profile of this process, with labels.
var cpuProfile = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	if err := pprof.StartCPUProfile(&b); err != nil {
		panic(err)
	}
	labels := pprof.Labels("request", "secret-of-a-request")
	pprof.Do(context.Background(), labels, func(context.Context) {
		for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
			fibonacci(20)
		}
	})
	pprof.StopCPUProfile()
	return b.Bytes()
})

func TestDraw(t *testing.T) {
	needDot(t)
	d := newDrawer(t, "draw-worker", nil)
	if err := d.Available(); err != nil {
		t.Fatal(err)
	}
	svg, err := d.Draw(t.Context(), gopprof.KindCPU, cpuProfile())
	if err != nil {
		t.Fatal(err)
	}
	checkHarmless(t, svg)
	for _, want := range []string{"<svg ", "fibonacci", "Type: cpu", "</svg>"} {
		if !bytes.Contains(svg, []byte(want)) {
			t.Errorf("the drawing has no %q", want)
		}
	}
	_ = context.Background
	_ = errors.Is
	_ = sync.OnceFunc
	_ = time.Now
	_ = profile.DefaultLimits
}

func checkHarmless(t *testing.T, svg []byte) {}
