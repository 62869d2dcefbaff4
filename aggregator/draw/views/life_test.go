package views

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/sys/unix"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/poll"
)

// look asks for a page of a view that must be had.
func look(t *testing.T, vs *Views, key string) {
	t.Helper()
	if _, err := vs.Page(t.Context(), burning(key), "top", ""); err != nil {
		t.Error(err)
	}
}

// pid is that of a view's process; "" when it has none.
func (vs *Views) pid(key string) string {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	v := vs.open[key]
	if v == nil || v.child == nil {
		return ""
	}
	return strconv.Itoa(v.child.PID())
}

// busy asks for a page that does not come, and returns when its process is at work.
func busy(t *testing.T, vs *Views, key string) (failed chan error) {
	t.Helper()
	failed = make(chan error, 1)
	before := testutil.ToFloat64(vs.metrics.opened)
	go func() {
		_, err := vs.Page(context.WithoutCancel(t.Context()), burning(key), "top", "")
		failed <- err
	}()
	poll.Until(t, "the view is opened", func() bool { return testutil.ToFloat64(vs.metrics.opened) > before })
	return failed
}

func (m *metrics) causes(cause string) float64 {
	return testutil.ToFloat64(m.ended.WithLabelValues(cause))
}

func TestFirstRequestsAtOnceStartOneProcess(t *testing.T) {
	vs := newViews(t, "view-worker", nil)
	var all sync.WaitGroup
	for i := range mostUsers {
		all.Go(func() {
			if _, err := vs.Page(t.Context(), burning("a"), pages[i%len(pages)], ""); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := testutil.ToFloat64(vs.metrics.opened); got != 1 {
		t.Errorf("%v processes, want 1", got)
	}
}

// TestClosing: by a clock of the test's own.
func TestClosing(t *testing.T) {
	vs := newViews(t, "view-worker", nil)
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	vs.now = func() time.Time { return now }
	pass := func(d time.Duration) {
		now = now.Add(d)
		vs.sweep()
	}
	look(t, vs, "a")
	pass(time.Minute)
	look(t, vs, "b")
	a, b := vs.pid("a"), vs.pid("b")
	pass(vs.cfg.Idle - time.Minute - 1)
	if gone(a) || gone(b) {
		t.Error("a view was closed before its time")
	}
	pass(1)
	if vs.pid("a") != "" || !gone(a) || gone(b) || vs.metrics.causes(causeIdle) != 1 {
		t.Errorf("after the idle time: a %q, b %q, %v closed", vs.pid("a"), vs.pid("b"), vs.metrics.causes(causeIdle))
	}
	look(t, vs, "b")
	for range 11 { // b is looked at until it is 59 minutes old
		pass(5*time.Minute - 1)
		look(t, vs, "b")
	}
	if vs.pid("b") != b {
		t.Error("a view that is looked at was closed")
	}
	pass(30 * time.Second)
	if vs.pid("b") != b {
		t.Error("a view was closed before its age")
	}
	now = now.Add(time.Minute)
	look(t, vs, "b") // it is too old by now, and nobody has swept
	if vs.pid("b") == b || !gone(b) || vs.metrics.causes(causeOld) != 1 {
		t.Errorf("an old process answers: %v closed for their age", vs.metrics.causes(causeOld))
	}
	vs.cfg.Idle = 2 * time.Hour
	pass(time.Hour)
	if vs.pid("b") != "" || vs.metrics.causes(causeOld) != 2 {
		t.Error("an old view stays open")
	}
	if got := testutil.ToFloat64(vs.metrics.open); got != 0 {
		t.Errorf("%v processes run", got)
	}
}

func TestRunClosesIdleViewsAndInTheEndAll(t *testing.T) {
	vs := newViews(t, "view-worker", func(c *Config) { c.Idle = 300 * time.Millisecond })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- vs.Run(ctx) }()
	look(t, vs, "a")
	poll.Until(t, "the idle view is closed", func() bool { return vs.metrics.causes(causeIdle) == 1 })
	look(t, vs, "a")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := vs.Page(t.Context(), burning("a"), "top", ""); gopprof.ReasonOf(err) != gopprof.ReasonCancelled {
		t.Errorf("after the end: %v", err)
	}
	if got := testutil.ToFloat64(vs.metrics.open); got != 0 {
		t.Errorf("%v processes run", got)
	}
}

func TestRoom(t *testing.T) {
	vs := newViews(t, "view-worker", func(c *Config) { c.MaxOpen = 2 })
	look(t, vs, "a")
	look(t, vs, "b")
	look(t, vs, "a")
	a, b := vs.pid("a"), vs.pid("b")
	look(t, vs, "c")
	if gone(a) || !gone(b) || vs.metrics.causes(causeRoom) != 1 {
		t.Error("the view that nobody looked at for longest was not the one that was closed")
	}
	if n := len(workers("view-worker")); n != 2 {
		t.Errorf("%d processes, want 2", n)
	}
}

func TestNoRoom(t *testing.T) {
	vs := newViews(t, "worker-that-wedges", func(c *Config) { c.MaxOpen = 2 })
	a, b := busy(t, vs, "a"), busy(t, vs, "b")
	_, err := vs.Page(t.Context(), burning("c"), "top", "")
	if gopprof.ReasonOf(err) != gopprof.ReasonViewsFull {
		t.Errorf("one too many: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	for range mostUsers - 1 {
		waiting.Go(func() {
			if _, err := vs.Page(ctx, burning("a"), "top", ""); ctx.Err() == nil {
				t.Errorf("who waits: %v", err)
			}
		})
	}
	poll.Until(t, "all wait", func() bool {
		vs.mu.Lock()
		defer vs.mu.Unlock()
		return vs.open["a"].users == mostUsers
	})
	if _, err := vs.Page(t.Context(), burning("a"), "top", ""); gopprof.ReasonOf(err) != gopprof.ReasonViewsFull {
		t.Errorf("too many of one view: %v", err)
	}
	cancel() // who leaves does not end what others look at
	waiting.Wait()
	if got := testutil.ToFloat64(vs.metrics.open); got != 2 {
		t.Errorf("%v processes run, want 2", got)
	}
	left := workers("worker-that-wedges")
	if len(left) != 2 {
		t.Errorf("%d processes, want 2", len(left))
	}
	vs.Close()
	for _, failed := range []chan error{a, b} {
		if err := <-failed; gopprof.ReasonOf(err) != gopprof.ReasonCancelled {
			t.Errorf("at the end: %v", err)
		}
	}
	if left = slices.DeleteFunc(left, gone); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestViewsThatEnd: each costs its own page, in words that are fit for a page, and the next
// request opens the view again.
func TestViewsThatEnd(t *testing.T) {
	for mode, test := range map[string]struct {
		reason gopprof.Reason
		says   string
		cause  string
	}{
		"worker-that-wedges": {gopprof.ReasonTimeout, "took longer than 1s", causeTimeout},
		"worker-that-dies":   {gopprof.ReasonViewFailed, "died (exit status 2): EOF: panic: �[31mhostile", causeDied},
		"worker-that-spins":  {gopprof.ReasonViewFailed, "out of its CPU time", causeDied},
		"worker-that-leaves": {gopprof.ReasonViewFailed, "died", causeDied},
		"worker-that-eats":   {gopprof.ReasonViewFailed, eatenWords, causeDied},
		"worker-that-panics": {gopprof.ReasonUnknown, "no such page", ""},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			vs := newViews(t, mode, func(c *Config) {
				switch mode {
				case "worker-that-spins":
					c.CPUSeconds = 1
				case "worker-that-wedges":
					c.Timeout = time.Second
				}
			})
			for range 2 {
				_, err := vs.Page(t.Context(), burning("a"), "top", "")
				if gopprof.ReasonOf(err) != test.reason || !strings.Contains(err.Error(), test.says) {
					t.Errorf("error %v, want %s with %q", err, test.reason, test.says)
				}
			}
			if test.cause != "" && (vs.metrics.causes(test.cause) < 2 || len(vs.open) > 0) {
				t.Errorf("%v ended with cause %s, %d are open", vs.metrics.causes(test.cause), test.cause, len(vs.open))
			}
		})
	}
}

// TestProcessKilledBetweenTwoPages: it costs neither.
func TestProcessKilledBetweenTwoPages(t *testing.T) {
	vs := newViews(t, "view-worker", nil)
	for range 3 {
		look(t, vs, "a")
		pid, err := strconv.Atoi(vs.pid("a"))
		if err == nil {
			err = unix.Kill(pid, unix.SIGKILL)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	look(t, vs, "a")
	if got := vs.metrics.causes(causeDied); got != 3 {
		t.Errorf("%v ended so, want 3", got)
	}
}

// TestProcessIsConfined: what a view's process is given.
func TestProcessIsConfined(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
	vs := newViews(t, "view-worker", nil)
	look(t, vs, "a")
	proc := "/proc/" + vs.pid("a")
	environ, err := os.ReadFile(proc + "/environ")
	if err != nil || strings.Contains(string(environ), "very-secret") || !strings.Contains(string(environ), "HOME=/nonexistent") {
		t.Errorf("environment %q: %v", environ, err)
	}
	limits, err := os.ReadFile(proc + "/limits")
	if err != nil {
		t.Fatal(err)
	}
	for what, want := range map[string]string{
		"Max data size": strconv.FormatInt(vs.cfg.MemoryBytes, 10), "Max cpu time": "300", "Max open files": "16", "Max file size": "0", "Max core file size": "0",
	} {
		_, line, _ := strings.Cut(string(limits), "\n"+what)
		if fields := strings.Fields(line); len(fields) == 0 || fields[0] != want {
			t.Errorf("%s: %v, want %s", what, fields[:min(2, len(fields))], want)
		}
	}
	for _, fd := range []string{"0", "1", "2"} {
		if to, err := os.Readlink(proc + "/fd/" + fd); err != nil || !strings.HasPrefix(to, "pipe:") {
			t.Errorf("descriptor %s is %q: %v", fd, to, err)
		}
	}
	fds, err := os.ReadDir(proc + "/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if to, _ := os.Readlink(proc + "/fd/" + fd.Name()); strings.HasPrefix(to, "socket:") {
			t.Errorf("descriptor %s is a socket", fd.Name())
		}
	}
}

// TestKilledParentLeavesNothing: not even a process that is at work.
func TestKilledParentLeavesNothing(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "parent")
	cmd.Env = append(os.Environ(), fmt.Sprintf("GOCOVERDIR=%s", t.TempDir()))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid, err := bufio.NewReader(out).ReadString('\n')
	if pid = strings.TrimSpace(pid); err != nil || gone(pid) {
		t.Errorf("no view's process %q: %v", pid, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	cmd.Wait() //nolint:errcheck // it was killed
	poll.Until(t, "the view's process ends", func() bool { return gone(pid) })
}
