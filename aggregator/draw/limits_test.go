package draw

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/child"
	"github.com/gopprof/gopprof/test/poll"
)

// script makes a program that takes the place of dot, when it is to draw.
func script(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dot")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n[ \"$1\" = -Tsvg ] || exit 0\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// gone tells whether the process whose PID a file holds has ended.
func gone(t *testing.T, file string) bool {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(string(data), &pid); err != nil {
		t.Fatal(err)
	}
	state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || bytes.Contains(state, []byte(") Z "))
}

// TestWedgeCostsOneJob: dot that never ends, once.
func TestWedgeCostsOneJob(t *testing.T) {
	needDot(t)
	dir := t.TempDir()
	wedgeOnce := fmt.Sprintf("if [ ! -e %[1]s/pid ]; then echo $$ > %[1]s/pid; exec sleep 1000; fi\nexec dot -Tsvg", dir)
	d := newDrawer(t, "draw-worker", func(c *Config) {
		c.Dot, c.Workers, c.Timeout = script(t, wedgeOnce), 1, 5*time.Second
	})
	start := time.Now()
	_, err := d.Draw(t.Context(), gopprof.KindCPU, cpuProfile())
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "took longer than 5s") {
		t.Fatalf("error %v, want a deadline", err)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("the wedge held its worker for %v", took)
	}
	poll.Until(t, "the wedged dot ends", func() bool { return gone(t, filepath.Join(dir, "pid")) })
	d.cfg.Timeout = time.Minute
	if _, err := d.Draw(t.Context(), gopprof.KindCPU, cpuProfile()); err != nil {
		t.Errorf("the job after the wedge: %v", err)
	}
	if got := testutil.ToFloat64(d.metrics.started); got != 2 {
		t.Errorf("%v workers started, want the first and its replacement", got)
	}
	if got := testutil.ToFloat64(d.metrics.failures.WithLabelValues("timeout")); got != 1 {
		t.Errorf("%v failures by timeout, want 1", got)
	}
}

// TestDotIsReaped: in a container the aggregator is the parent of whoever has lost its own, and
// nobody else ends them for good.
func TestDotIsReaped(t *testing.T) {
	needDot(t)
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) }) //nolint:errcheck // as it was set
	file := filepath.Join(t.TempDir(), "pid")
	d := newDrawer(t, "draw-worker", func(c *Config) {
		c.Dot, c.Timeout = script(t, fmt.Sprintf("echo $$ > %s; exec sleep 1000", file)), 5*time.Second
	})
	if _, err := d.Draw(t.Context(), gopprof.KindCPU, cpuProfile()); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("error %v, want a deadline", err)
	}
	pid, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	poll.Until(t, "nothing of dot is left", func() bool {
		_, err := os.Stat("/proc/" + strings.TrimSpace(string(pid)))
		return errors.Is(err, os.ErrNotExist)
	})
}

// TestDotDiesWithItsWorker: whoever would have killed both is gone, as after the aggregator was
// killed, whose end kills its workers.
func TestDotDiesWithItsWorker(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "pid")
	worker := exec.Command(self, "draw-worker")
	in, err := worker.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	end := make(chan error, 1)
	if err := child.Start(worker, func(err error) { end <- err }); err != nil {
		t.Fatal(err)
	}
	job, err := json.Marshal(drawing{
		Kind: gopprof.KindCPU, Graphviz: graphviz{Dot: script(t, fmt.Sprintf("echo $$ > %[1]s.new; mv %[1]s.new %[1]s; exec sleep 1000", file))}, Nodes: 80,
		CPUSeconds: 15, MemoryBytes: 512 << 20, SVGBytes: 4 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	data := cpuProfile()
	if err := writeFrame(in, request{Size: int64(len(data)), Job: job}, data); err != nil {
		t.Fatal(err)
	}
	poll.Until(t, "dot runs", func() bool { _, err := os.Stat(file); return err == nil })
	t.Cleanup(func() { // what the group's own killer would do
		unix.Kill(-worker.Process.Pid, unix.SIGKILL) //nolint:errcheck // it may have ended
	})
	if err := worker.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-end
	poll.Until(t, "its dot ends", func() bool { return gone(t, file) })
}

// TestDotIsLimited: dot that takes all it can get of one thing.
func TestDotIsLimited(t *testing.T) {
	for name, test := range map[string]struct {
		body string
		says string
	}{
		"CPU":            {"while :; do :; done", "out of its CPU time"},
		"memory":         {"exec dd if=/dev/zero of=/dev/null bs=1G count=1", "memory exhausted"},
		"output":         {"exec yes", "too large"},
		"failure":        {"printf 'bad \\033[31m\\n  name' >&2; exit 3", "exit status 3: bad �[31m name"},
		"no input taken": {"exit 0", ""},
		"no SVG":         {"cat >/dev/null; echo hello", "not usable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDrawer(t, "draw-worker", func(c *Config) {
				c.Dot, c.CPUSeconds, c.Timeout = script(t, test.body), 1, time.Minute
			})
			_, err := d.Draw(t.Context(), gopprof.KindCPU, cpuProfile())
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want one with %q", err, test.says)
			}
			if got := testutil.ToFloat64(d.metrics.started); got != 1 {
				t.Errorf("%v workers started: dot's failure cost its worker", got)
			}
		})
	}
}

// TestBadWorkers: the job fails with the cause, in words that are fit for a log.
func TestBadWorkers(t *testing.T) {
	needDot(t)
	for mode, says := range map[string]string{
		"worker-that-wedges":  "took longer than 1s",
		"worker-that-dies":    "died (exit status 2): EOF: panic: �[31mhostile",
		"worker-that-eats":    "died",
		"worker-that-babbles": "answers nonsense",
		"worker-that-leaves":  "died",
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			d := newDrawer(t, mode, func(c *Config) { c.Timeout = time.Second })
			if mode != "worker-that-wedges" {
				d.cfg.Timeout = time.Minute
			}
			for range 2 {
				_, err := d.Draw(t.Context(), gopprof.KindCPU, cpuProfile())
				if err == nil || !strings.Contains(err.Error(), says) {
					t.Errorf("error %v, want one with %q", err, says)
				}
			}
		})
	}
}

// TestWorkerThatDiedIdle: a worker that the kernel killed between two jobs costs neither.
func TestWorkerThatDiedIdle(t *testing.T) {
	needDot(t)
	d := newDrawer(t, "draw-worker", func(c *Config) { c.Workers = 1 })
	for range 3 {
		if _, err := d.Draw(t.Context(), gopprof.KindCPU, cpuProfile()); err != nil {
			t.Fatal(err)
		}
		pid := d.idle[0].PID()
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAllWorkersDiedIdle: what ends one may end all, as a machine short of memory does.
func TestAllWorkersDiedIdle(t *testing.T) {
	needDot(t)
	d := newDrawer(t, "draw-worker", func(c *Config) { c.Workers = 3 })
	var all []*Child
	for range d.cfg.Workers {
		c, err := d.child()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	d.idle = all
	for _, c := range all {
		if err := unix.Kill(c.PID(), unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Draw(t.Context(), gopprof.KindCPU, cpuProfile()); err != nil {
		t.Error(err)
	}
	if n := len(d.idle); n != 1 {
		t.Errorf("%d workers are idle, want the new one", n)
	}
}

// TestDrawsAtOnce: as many as there are workers, no more.
func TestDrawsAtOnce(t *testing.T) {
	needDot(t)
	dir := t.TempDir()
	// Each run waits until two are there, so that one worker alone would never end; a third
	// at the same time would leave a mark.
	meet := fmt.Sprintf(`cd %s; touch run.$$
until [ $(ls done.* run.* 2>/dev/null | wc -l) -ge 2 ]; do sleep 0.01; done
[ $(ls run.* | wc -l) -gt 2 ] && touch toomany
mv run.$$ done.$$
exec dot -Tsvg`, dir)
	d := newDrawer(t, "draw-worker", func(c *Config) { c.Dot, c.Workers, c.Timeout = script(t, meet), 2, time.Minute })
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			if _, err := d.Draw(t.Context(), gopprof.KindCPU, cpuProfile()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if _, err := os.Stat(filepath.Join(dir, "toomany")); err == nil {
		t.Error("more than two at once")
	}
}

func TestDrawEndsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	d := newDrawer(t, "draw-worker", func(c *Config) {
		c.Dot, c.Workers, c.Timeout = script(t, fmt.Sprintf("echo $$ > %s/pid; exec sleep 1000", dir)), 1, time.Minute
	})
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 2)
	for range 2 { // one at work, one waiting for it
		go func() {
			_, err := d.Draw(ctx, gopprof.KindCPU, cpuProfile())
			failed <- err
		}()
	}
	pid := filepath.Join(dir, "pid")
	poll.Until(t, "dot runs", func() bool { data, _ := os.ReadFile(pid); return len(data) > 0 })
	cancel()
	for range 2 {
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want a cancellation", err)
		}
	}
	poll.Until(t, "dot ends", func() bool { return gone(t, pid) })
}

func TestClose(t *testing.T) {
	dir := t.TempDir()
	d := newDrawer(t, "draw-worker", func(c *Config) {
		c.Dot, c.Workers, c.Timeout = script(t, fmt.Sprintf("echo $$ > %s/pid; exec sleep 1000", dir)), 1, time.Minute
	})
	failed := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := d.Draw(t.Context(), gopprof.KindCPU, cpuProfile())
			failed <- err
		}()
	}
	pid := filepath.Join(dir, "pid")
	poll.Until(t, "dot runs", func() bool { data, _ := os.ReadFile(pid); return len(data) > 0 })
	d.Close()
	for range 2 {
		if err := <-failed; !errors.Is(err, ErrClosed) {
			t.Errorf("error %v, want ErrClosed", err)
		}
	}
	poll.Until(t, "dot ends", func() bool { return gone(t, pid) })
	if _, err := d.Draw(t.Context(), gopprof.KindCPU, cpuProfile()); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestChildrenGetNoSecrets: the aggregator's environment may hold credentials of the store.
func TestChildrenGetNoSecrets(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
	d := newDrawer(t, "draw-worker", func(c *Config) { c.Dot = script(t, "env >&2; exit 1") })
	_, err := d.Draw(t.Context(), gopprof.KindCPU, cpuProfile())
	if err == nil || !strings.Contains(err.Error(), "PATH=") || strings.Contains(err.Error(), "very-secret") {
		t.Errorf("dot's environment: %v", err)
	}
}
