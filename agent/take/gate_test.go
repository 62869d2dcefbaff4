package take

import (
	"context"
	"io"
	"net/http"
	"runtime/pprof"
	"runtime/trace"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/profile/profiletest"
)

// profilerFree tells whether this process's CPU profiler can be had.
func profilerFree() bool {
	if pprof.StartCPUProfile(io.Discard) != nil {
		return false
	}
	pprof.StopCPUProfile()
	return true
}

// held returns a handler that answers when it is let go.
func held(release <-chan struct{}) http.HandlerFunc {
	real := realPprof()
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
			real(w, r)
		case <-r.Context().Done():
		}
	}
}

func TestCancelGivesTheProfilerBackAtOnce(t *testing.T) {
	s := serve(t, realPprof())
	ways := map[string]func(tk *Taker, stop context.CancelFunc) bool{
		"Cancel":        func(tk *Taker, _ context.CancelFunc) bool { return tk.Cancel(id1) },
		"Pause":         func(tk *Taker, _ context.CancelFunc) bool { tk.Pause(true); return tk.Paused() },
		"context ended": func(_ *Taker, stop context.CancelFunc) bool { stop(); return true },
	}
	for name, cancel := range ways {
		t.Run(name, func(t *testing.T) {
			tk := newTaker(testConfig(), Deps{})
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			o := byHand(id1, s.target(t, "a"), gopprof.KindHeap, gopprof.KindCPU, gopprof.KindGoroutine)
			o.CPUSeconds = 50 * time.Second
			wait, err := tk.Start(ctx, o)
			if err != nil {
				t.Fatal(err)
			}
			poll(t, "the CPU profile runs", func() bool { return !profilerFree() })
			if !cancel(tk, stop) {
				t.Error("no such capture is running")
			}
			start := time.Now()
			poll(t, "the profiler is free", profilerFree)
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("free after %v, want at once", d)
			}
			c, err := wait()
			if err != nil || len(c.Profiles) != 1 {
				t.Fatalf("capture %+v, %v, want what was taken before", c, err)
			}
			wantFailure(t, c, gopprof.KindCPU, gopprof.ReasonCancelled)
			wantFailure(t, c, gopprof.KindGoroutine, gopprof.ReasonCancelled)
		})
	}
}

// While it is paused nothing starts; and Left tells how far a capture is.
func TestPausedAndLeft(t *testing.T) {
	release := make(chan struct{})
	s := serve(t, held(release))
	tk := newTaker(testConfig(), Deps{})
	tk.Pause(true)
	o := byHand(id1, s.target(t, "a"), gopprof.KindCPU)
	o.CPUSeconds = 20 * time.Second
	if _, err := tk.Start(t.Context(), o); gopprof.ReasonOf(err) != gopprof.ReasonPaused {
		t.Errorf("paused: %v", err)
	}
	if left, running := tk.Left(id1); running || left != 0 {
		t.Errorf("of nothing: %v left", left)
	}
	tk.Pause(false)
	wait, err := tk.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	poll(t, "it is being taken", func() bool {
		left, running := tk.Left(id1)
		return running && left > 0 && left <= 20*time.Second
	})
	tk.Pause(true)
	if _, err := wait(); gopprof.ReasonOf(err) != gopprof.ReasonCancelled {
		t.Errorf("ended by the pause: %v", err)
	}
}

func TestCancelOfWhatDoesNotRun(t *testing.T) {
	if newTaker(testConfig(), Deps{}).Cancel(id1) {
		t.Error("cancelled what does not run")
	}
}

func TestContentionIsWaitedOut(t *testing.T) {
	s := serve(t, realPprof())
	tk := newTaker(testConfig(), Deps{})
	if err := pprof.StartCPUProfile(io.Discard); err != nil {
		t.Fatal(err)
	}
	done := background(t, tk, byHand(id1, s.target(t, "a"), gopprof.KindCPU))
	poll(t, "two attempts", func() bool { return len(s.asked()) >= 2 })
	pprof.StopCPUProfile()
	if r := wait(t, done); r.err != nil || len(r.capture.Profiles) != 1 {
		t.Errorf("capture %+v, %v", r.capture, r.err)
	}
	if n := counted(t, tk.metrics.contended); n < 1 {
		t.Errorf("%v attempts counted as contended", n)
	}
}

func TestContendedAtTheDeadline(t *testing.T) {
	s := serve(t, realPprof())
	if err := pprof.StartCPUProfile(io.Discard); err != nil {
		t.Fatal(err)
	}
	defer pprof.StopCPUProfile()
	o := byHand(id1, s.target(t, "a"), gopprof.KindCPU, gopprof.KindHeap)
	o.Deadline = time.Now().Add(time.Second)
	c, err := newTaker(testConfig(), Deps{}).Take(t.Context(), o)
	if err != nil || len(c.Profiles) != 1 {
		t.Fatalf("capture %+v, %v, want the heap", c, err)
	}
	wantFailure(t, c, gopprof.KindCPU, gopprof.ReasonContended)
	if n := len(s.asked()); n < 3 {
		t.Errorf("%d requests, want several attempts", n)
	}
}

func TestContendedTrace(t *testing.T) {
	s := serve(t, realPprof())
	if err := trace.Start(io.Discard); err != nil {
		t.Fatal(err)
	}
	defer trace.Stop()
	o := byHand(id1, s.target(t, "a"), gopprof.KindTrace)
	o.Deadline = time.Now().Add(100 * time.Millisecond)
	_, err := newTaker(testConfig(), Deps{}).Take(t.Context(), o)
	wantReason(t, err, gopprof.ReasonContended)
}

// Any server may answer 500; only net/http/pprof's own word is waited for.
func TestOther500IsNotContention(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "already in use", http.StatusInternalServerError)
	})
	_, err := newTaker(testConfig(), Deps{}).Take(t.Context(), byHand(id1, s.target(t, "a"), gopprof.KindCPU))
	wantReason(t, err, gopprof.ReasonStatus)
}

// Nobody can hold what is not held by anyone at a time: a target that says so of its heap is not
// waited for with what was taken of it before.
func TestOnlyTheProfilerAndTheTracerAreContended(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Go-Pprof", "1")
		http.Error(w, "cpu profiling already in use", http.StatusInternalServerError)
	})
	for _, k := range gopprof.Kinds() {
		want := gopprof.ReasonStatus
		if k == gopprof.KindCPU || k == gopprof.KindTrace {
			want = gopprof.ReasonContended
		}
		o := byHand(id1, s.target(t, "a"), k)
		o.Deadline = time.Now().Add(100 * time.Millisecond)
		_, err := newTaker(testConfig(), Deps{}).Take(t.Context(), o)
		wantReason(t, err, want)
	}
}

func TestOneCaptureAtATimePerTarget(t *testing.T) {
	release := make(chan struct{})
	s := serve(t, held(release))
	tk := newTaker(testConfig(), Deps{})
	target := s.target(t, "a")
	first := background(t, tk, byHand(id1, target, gopprof.KindHeap))
	poll(t, "the first runs", func() bool { return len(s.asked()) == 1 })
	if !tk.Busy(target.Key()) {
		t.Error("not busy")
	}
	if all := tk.Running(); len(all) != 1 || all[0].Capture != id1 || all[0].Kind != gopprof.KindHeap || all[0].Target.Pod != "a" {
		t.Errorf("running %+v", all)
	}
	_, err := tk.Take(t.Context(), byHand(id2, target, gopprof.KindHeap))
	wantReason(t, err, gopprof.ReasonCapturing)
	other := background(t, tk, byHand(id3, s.target(t, "b"), gopprof.KindHeap))
	poll(t, "another target's runs", func() bool { return len(s.asked()) == 2 })
	close(release)
	for _, done := range []<-chan result{first, other} {
		if r := wait(t, done); r.err != nil {
			t.Error(r.err)
		}
	}
	if tk.Busy(target.Key()) || len(tk.Running()) != 0 {
		t.Error("busy after its end")
	}
	if _, err := tk.Take(t.Context(), byHand(id2, target, gopprof.KindHeap)); err != nil {
		t.Errorf("after the first's end: %v", err)
	}
}

func TestNodeGate(t *testing.T) {
	release := make(chan struct{})
	s := serve(t, held(release))
	cfg := testConfig()
	cfg.MaxAtOnce = 1
	tk := newTaker(cfg, Deps{})
	first := background(t, tk, byHand(id1, s.target(t, "a"), gopprof.KindHeap))
	poll(t, "the first runs", func() bool { return len(s.asked()) == 1 })
	hasty := byHand(id2, s.target(t, "b"), gopprof.KindHeap)
	hasty.Deadline = time.Now().Add(50 * time.Millisecond)
	_, err := tk.Take(t.Context(), hasty)
	wantReason(t, err, gopprof.ReasonNodeBusy)
	patient := background(t, tk, byHand(id3, s.target(t, "c"), gopprof.KindHeap))
	poll(t, "another waits", func() bool { return len(tk.Running()) == 2 })
	if n := len(s.asked()); n != 1 {
		t.Errorf("%d requests while the gate is closed, want 1", n)
	}
	close(release)
	for _, done := range []<-chan result{first, patient} {
		if r := wait(t, done); r.err != nil {
			t.Error(r.err)
		}
	}
}

func TestCancelWhileWaitingForTheNode(t *testing.T) {
	s := serve(t, held(nil))
	cfg := testConfig()
	cfg.MaxAtOnce = 1
	tk := newTaker(cfg, Deps{})
	first := background(t, tk, byHand(id1, s.target(t, "a"), gopprof.KindHeap))
	poll(t, "the first runs", func() bool { return len(s.asked()) == 1 })
	second := background(t, tk, byHand(id2, s.target(t, "b"), gopprof.KindHeap))
	poll(t, "the second waits", func() bool { return tk.Cancel(id2) })
	wantReason(t, wait(t, second).err, gopprof.ReasonCancelled)
	poll(t, "the first is cancelled", func() bool { return tk.Cancel(id1) })
	wantReason(t, wait(t, first).err, gopprof.ReasonCancelled)
}

// While somebody else holds a target's profiler, others of the node have their turn.
func TestContendedTargetDoesNotHoldTheNode(t *testing.T) {
	s := serve(t, realPprof())
	cfg := testConfig()
	cfg.MaxAtOnce = 1
	tk := newTaker(cfg, Deps{})
	if err := pprof.StartCPUProfile(io.Discard); err != nil {
		t.Fatal(err)
	}
	contended := background(t, tk, byHand(id1, s.target(t, "a"), gopprof.KindCPU, gopprof.KindHeap))
	poll(t, "the first is contended", func() bool { return counted(t, tk.metrics.contended) > 0 })
	if _, err := tk.Take(t.Context(), byHand(id2, s.target(t, "b"), gopprof.KindHeap)); err != nil {
		t.Errorf("another target: %v", err)
	}
	pprof.StopCPUProfile()
	if r := wait(t, contended); r.err != nil || len(r.capture.Profiles) != 2 {
		t.Errorf("capture %+v, %v", r.capture, r.err)
	}
}

// A target that is slow lets another one that waits have its turn between two kinds.
func TestSlowTargetGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.MaxAtOnce = 1
		tk := newTaker(cfg, Deps{})
		begun := func(id, pod string) *job {
			j, err := tk.begin(t.Context(), byHand(id, gopprof.Target{Namespace: "shop", Pod: pod}, gopprof.KindHeap))
			if err != nil {
				t.Fatal(err)
			}
			return j
		}
		slow, other := begun(id1, "a"), begun(id2, "b")
		enter := func(j *job) {
			go func() {
				if err := j.enter(); err != nil {
					t.Error(err)
				}
			}()
			synctest.Wait()
		}
		enter(slow)
		enter(other)
		slow.late = slowAfter
		if slow.giveWay(); !slow.inside {
			t.Fatal("a quick one gave its place away")
		}
		slow.late++
		slow.giveWay()
		if synctest.Wait(); slow.inside || !other.inside {
			t.Fatalf("the slow one is inside: %t, the other: %t", slow.inside, other.inside)
		}
		enter(slow)
		other.leave()
		if synctest.Wait(); !slow.inside || slow.late != 0 {
			t.Errorf("inside: %t, late by %v", slow.inside, slow.late)
		}
	})
}

// What captures hold that give way is in memory of all of them: together it is no more than one
// may have, however many targets are slow.
func TestSlowTargetsWithMuchDoNotWaitTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.MaxAtOnce, cfg.MaxCaptureBytes = 1, 100
		tk := newTaker(cfg, Deps{})
		jobs := map[string]*job{}
		for _, id := range []string{id1, id2, id3} {
			j, err := tk.begin(t.Context(), byHand(id, gopprof.Target{Namespace: "shop", Pod: id}, gopprof.KindHeap))
			if err != nil {
				t.Fatal(err)
			}
			jobs[id] = j
			go func() {
				if err := j.enter(); err != nil && gopprof.ReasonOf(err) != gopprof.ReasonCancelled {
					t.Error(err)
				}
			}()
			synctest.Wait()
		}
		slow := func(id string, bytes int64, want gopprof.Reason) {
			j := jobs[id]
			j.bytes, j.late = bytes, slowAfter+1
			err := j.giveWay()
			if synctest.Wait(); gopprof.ReasonOf(err) != want || j.inside != (want != "") {
				t.Errorf("%s with %d bytes: %v, inside: %t", id, bytes, err, j.inside)
			}
		}
		slow(id1, 60, "")
		slow(id2, 41, gopprof.ReasonNodeBusy)
		slow(id2, 40, "")
		go jobs[id1].enter() //nolint:errcheck // that it is inside says it
		synctest.Wait()
		slow(id3, 0, "")
		if !jobs[id1].inside || tk.aside != 40 {
			t.Errorf("inside again: %t, %d bytes aside", jobs[id1].inside, tk.aside)
		}
		for _, j := range jobs {
			j.end()
		}
		if tk.aside != 0 {
			t.Errorf("%d bytes aside when all have ended", tk.aside)
		}
	})
}

// A target whose profiler somebody else holds is waited for with what was taken of it before, as
// long as there is room for that beside what others wait with.
func TestContendedTargetsWithMuchDoNotWaitTogether(t *testing.T) {
	heap := profiletest.Heap(profiletest.On(1<<20, "main.f"))
	busy := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/debug/pprof/heap" {
			_, _ = w.Write(heap)
			return
		}
		w.Header().Set("X-Go-Pprof", "1")
		http.Error(w, "cpu profiling already in use", http.StatusInternalServerError)
	}
	cfg := testConfig()
	cfg.MaxBytes = int64(len(heap))
	cfg.MaxCaptureBytes = cfg.MaxBytes * 3 / 2
	tk := newTaker(cfg, Deps{})
	first, second := serve(t, busy), serve(t, busy)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	kinds := []gopprof.Kind{gopprof.KindHeap, gopprof.KindCPU}
	patient, err := tk.Start(ctx, byHand(id1, first.target(t, "a"), kinds...))
	if err != nil {
		t.Fatal(err)
	}
	poll(t, "the first waits", func() bool { return len(first.asked()) > 3 })
	o := byHand(id2, second.target(t, "b"), kinds...)
	o.Deadline = time.Now().Add(time.Second)
	c, err := tk.Take(t.Context(), o)
	if err != nil || len(c.Profiles) != 1 {
		t.Fatalf("capture %+v, %v, want the heap", c, err)
	}
	wantFailure(t, c, gopprof.KindCPU, gopprof.ReasonContended)
	if asked := second.asked(); len(asked) != 2 {
		t.Errorf("the second was asked %d times, want once for each kind", len(asked))
	}
	cancel()
	if c, err := patient(); err != nil || len(c.Profiles) != 1 {
		t.Errorf("capture %+v, %v, want the heap", c, err)
	}
	if tk.aside != 0 {
		t.Errorf("%d bytes aside when all have ended", tk.aside)
	}
}

// Late is what a target takes beyond the seconds that were asked for.
func TestLate(t *testing.T) {
	var mu sync.Mutex
	now := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	real := realPprof()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		real(w, r)
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(1500 * time.Millisecond)
	})
	clock := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	tk := newTaker(testConfig(), Deps{Now: clock})
	j, err := tk.begin(t.Context(), byHand(id1, s.target(t, "a"), gopprof.KindCPU, gopprof.KindHeap))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []time.Duration{500 * time.Millisecond, 2 * time.Second} {
		if err := j.takeKind(&gopprof.Capture{}, j.order.Kinds[i]); err != nil || j.late != want {
			t.Errorf("%s: late by %v, want %v; %v", j.order.Kinds[i], j.late, want, err)
		}
	}
}

// Two profiles are never unpacked at the same time: what they cost in memory does not add up.
func TestProfilesAreValidatedOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inside, goOn := 0, make(chan struct{})
		tk := newTaker(testConfig(), Deps{Validate: func(gopprof.Kind, []byte) error {
			inside++
			<-goOn
			return nil
		}})
		ends := make(chan error, 3)
		var last *job
		for _, id := range []string{id1, id2, id3} {
			j, err := tk.begin(t.Context(), byHand(id, gopprof.Target{Namespace: "shop", Pod: id}, gopprof.KindHeap))
			if err != nil {
				t.Fatal(err)
			}
			go func() { ends <- j.validate(gopprof.KindHeap, []byte("x")) }()
			synctest.Wait()
			last = j
		}
		if inside != 1 {
			t.Errorf("%d are validated", inside)
		}
		last.cancel()
		if err := <-ends; gopprof.ReasonOf(err) != gopprof.ReasonCancelled {
			t.Errorf("cancelled: %v", err)
		}
		close(goOn)
		for range 2 {
			if err := <-ends; err != nil {
				t.Error(err)
			}
		}
		if inside != 2 {
			t.Errorf("%d were validated", inside)
		}
	})
}
