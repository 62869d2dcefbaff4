package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	logged "go.uber.org/zap/zaptest/observer"

	"github.com/gopprof/gopprof/agent/accept"
	"github.com/gopprof/gopprof/agent/judge"
	"github.com/gopprof/gopprof/agent/publish"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/smalldisk"
)

const handID = "01938f00-0000-7000-8000-000000000001"

// handOrder is what a rule, or somebody, wants taken.
func handOrder(kind gopprof.TriggerKind, id string) gopprof.Order {
	o := gopprof.Order{
		Capture: id, Incident: "01938f00-0000-7000-8000-00000000000f", Target: target, Kinds: []gopprof.Kind{gopprof.KindCPU, gopprof.KindHeap},
		Trigger: gopprof.Trigger{Kind: kind, At: noon}, CPUSeconds: 30 * time.Second, Deadline: noon.Add(time.Minute),
	}
	if kind == gopprof.TriggerRule {
		o.Trigger.Evidence = &gopprof.Evidence{
			Rule: "cpu", Resource: gopprof.ResourceCPU, Policy: gopprof.PolicyConfirm, Threshold: 0.8, WindowSeconds: 60,
			Windows: (&fakes{hot: true}).Windows("", time.Minute, 2),
		}
	} else {
		o.Trigger.Request = &gopprof.Request{Who: "ann", Operation: "01938f00-0000-7000-8000-00000000000e"}
	}
	return o
}

// looking is a taker that looks what is written down while it takes.
type looking struct {
	accept.Taker // nil
	dir          string
	end          func() error
	seen         []string
}

func (l *looking) Take(_ context.Context, o gopprof.Order) (gopprof.Capture, error) {
	l.seen = written(l.dir)
	return gopprof.Capture{ID: o.Capture, Profiles: []gopprof.Profile{{Kind: gopprof.KindHeap}}}, l.end()
}

func (l *looking) Start(ctx context.Context, o gopprof.Order) (func() (gopprof.Capture, error), error) {
	return func() (gopprof.Capture, error) { return l.Take(ctx, o) }, nil
}

func written(dir string) (names []string) {
	files, _ := os.ReadDir(filepath.Join(dir, handDir))
	for _, d := range files {
		names = append(names, d.Name())
	}
	return names
}

func newTestHand(t *testing.T, dir string) (*hand, *logged.ObservedLogs) {
	t.Helper()
	core, logs := logged.New(zap.InfoLevel)
	return newHand(newMemory(dir, zap.New(core), newRegistry())), logs
}

// A capture is written down from when it begins until its end is safe, however it ends, and
// whoever asked for it.
func TestWhatIsInHandIsWrittenDown(t *testing.T) {
	for name, c := range map[string]struct {
		end    func() error
		pubErr error
	}{
		"captured":      {func() error { return nil }, nil},
		"not taken":     {func() error { return &gopprof.Error{Reason: gopprof.ReasonStatus} }, nil},
		"not published": {func() error { return nil }, &gopprof.Error{Reason: gopprof.ReasonSpoolFailed}},
		"panicked":      {func() error { panic("x") }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakes{decision: gopprof.Decision{Go: true, Incident: "i"}, pubErr: c.pubErr}
			p := newTestPipeline(f)
			h, _ := newTestHand(t, t.TempDir())
			l := &looking{dir: h.memory.dir, end: c.end}
			p.take, p.publish, p.hand = handTaker{l, h}, handPublisher{f, h}, h
			p.fire(t.Context(), []judge.Fired{{Target: target, Rule: p.judge.Rules()[0]}})
			if err := p.drain(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(l.seen, []string{"id.json"}) || len(written(l.dir)) > 0 || len(h.held) > 0 {
				t.Errorf("while it was taken %v is written down, and %v afterwards", l.seen, written(l.dir))
			}
		})
	}
}

func TestWhatIsInHandByRequestIsWrittenDown(t *testing.T) {
	f := &fakes{}
	h, _ := newTestHand(t, t.TempDir())
	l := &looking{dir: h.memory.dir, end: func() error { return nil }}
	o := handOrder(gopprof.TriggerManual, handID)
	write := h.memory.write
	slow := make(chan struct{})
	h.memory.write = func(path string, v any) error { <-slow; return write(path, v) }
	wait, err := handTaker{l, h}.Start(t.Context(), o)
	if err != nil || len(written(l.dir)) > 0 {
		t.Fatalf("accepted, though the disk is slow: %v written down, %v", written(l.dir), err)
	}
	close(slow)
	c, _ := wait()
	if len(written(l.dir)) != 1 {
		t.Errorf("taken with %v written down", written(l.dir))
	}
	if err := (handPublisher{f, h}).Publish(t.Context(), c); err != nil || len(written(l.dir)) > 0 {
		t.Errorf("left %v, %v", written(l.dir), err)
	}
}

// away is NATS that is not there.
type away struct{}

func (away) PublishCapture(context.Context, gopprof.Capture) error { return errors.New("away") }

// handApp is what an agent needs to settle what the one before it had in hand.
func handApp(t *testing.T, dir string, to publish.Sender) (*App, *logged.ObservedLogs) {
	t.Helper()
	h, logs := newTestHand(t, dir)
	config := publish.DefaultConfig()
	config.Dir = filepath.Join(dir, "spool")
	spool, err := publish.New(config, to, h.memory.log, newRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = spool.Close() })
	spool.Spooled = h.strike
	f := &fakes{}
	p := newTestPipeline(f)
	p.log, p.publish, p.hand = h.memory.log, handPublisher{spool, h}, h
	a := &App{hand: h, publish: spool, pipeline: p, accept: accept.New(fakeAccept{}, nil, p.publish, h.memory.log, newRegistry())}
	a.look()
	return a, logs
}

type fakeAccept struct{ accept.Taker }

func (fakeAccept) Left(string) (time.Duration, bool) { return 0, false }

// The next agent says of each capture that the one before it had in hand that it came to
// nothing, and why: in the log, to whoever asks, and in a message to the aggregator. One that
// is in the spool did not come to nothing. The one after it says nothing of them.
func TestWhatTheAgentDiedWith(t *testing.T) {
	dir := t.TempDir()
	killed, _ := handApp(t, dir, away{})
	ids := make([]string, 4)
	for i, kind := range []gopprof.TriggerKind{gopprof.TriggerRule, gopprof.TriggerManual, gopprof.TriggerSibling, gopprof.TriggerRule} {
		ids[i] = uuid.Must(uuid.NewV7()).String()
		killed.hand.note(handOrder(kind, ids[i]))
	}
	killed.publish.Spooled = nil // killed before it was struck out
	if err := killed.publish.Publish(t.Context(), gopprof.Capture{ID: ids[3]}); err != nil || len(written(dir)) != 4 {
		t.Fatalf("%v written down, %v", written(dir), err)
	}
	if err := killed.publish.Close(); err != nil {
		t.Fatal(err)
	}
	next, logs := handApp(t, dir, away{})
	next.settle()
	if status := next.accept.Status(t.Context(), gopprof.StatusRequest{Capture: ids[1]}); status.Accepted || status.Reason != gopprof.ReasonAgentDied {
		t.Errorf("who asks is answered %+v", status)
	}
	if status := next.accept.Status(t.Context(), gopprof.StatusRequest{Capture: ids[3]}); !status.Done {
		t.Errorf("who asks for what is in the spool is answered %+v", status)
	}
	if err := errors.Join(next.pipeline.drain(t.Context()), next.accept.Drain(t.Context())); err != nil {
		t.Fatal(err)
	}
	checkLine(t, logs, endNothing, gopprof.ReasonAgentDied, ids[0])
	if n := logs.FilterMessage("requested capture failed").Len(); n != 2 {
		t.Errorf("%d requests failed in the log, want 2: %v", n, logs.All())
	}
	if n, _ := next.publish.Pending(); n != 4 || len(written(dir)) > 0 {
		t.Errorf("%d captures in the spool, want 4; %v left", n, written(dir))
	}
	if state := next.pipeline.judge.States(target.Key()); state[0].Reason == gopprof.ReasonCapturing {
		t.Errorf("the rule is %+v", state[0])
	}
	if left := next.hand.left(); len(left) > 0 {
		t.Errorf("left once more: %+v", left)
	}
}

// What an earlier agent left stays until somebody was told of it: a full disk and NATS that is
// away keep it for the next one.
func TestWhatCouldNotBeToldIsToldByTheNext(t *testing.T) {
	dir := t.TempDir()
	killed, _ := newTestHand(t, dir)
	killed.note(handOrder(gopprof.TriggerRule, handID))
	for _, told := range []error{&gopprof.Error{Reason: gopprof.ReasonSpoolFailed}, nil} {
		h, _ := newTestHand(t, dir)
		left := h.left()
		if len(left) != 1 {
			t.Fatalf("left %+v", left)
		}
		f := &fakes{pubErr: told}
		p := newTestPipeline(f)
		p.publish, p.hand = handPublisher{f, h}, h
		p.died(left[0], errDied(left[0]))
		if err := p.drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if stays := len(written(dir)) == 1; stays != (told != nil) {
			t.Errorf("after %v there is %v", told, written(dir))
		}
	}
}

// What lies in the directory may be damaged, or never was ours: it is told, and keeps no
// agent from starting, nor the others' end from being told.
func TestDamagedHand(t *testing.T) {
	whole, err := json.Marshal(handOrder(gopprof.TriggerRule, handID))
	if err != nil {
		t.Fatal(err)
	}
	other := "01938f00-0000-7000-8000-000000000002"
	file := func(name, content string) func(dir string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600) }
	}
	for name, make := range map[string]func(dir string) error{
		"cut":           file(other+".json", string(whole[:len(whole)/2])),
		"empty":         file(other+".json", ""),
		"another's":     file(other+".json", string(whole)),
		"another thing": file("notes.txt", "x"),
		"too large":     file(other+".json", string(whole)+strings.Repeat(" ", handBytes)),
		"a directory":   func(dir string) error { return os.Mkdir(filepath.Join(dir, other+".json"), 0o700) },
		"nobody writes": func(dir string) error { return syscall.Mkfifo(filepath.Join(dir, other+".json"), 0o600) },
		"leads away":    func(dir string) error { return os.Symlink("/dev/zero", filepath.Join(dir, other+".json")) },
	} {
		t.Run(name, func(t *testing.T) {
			before, _ := newTestHand(t, t.TempDir())
			before.note(handOrder(gopprof.TriggerRule, handID))
			if err := make(before.dir); err != nil {
				t.Fatal(err)
			}
			h, logs := newTestHand(t, before.memory.dir)
			left := h.left()
			if len(left) != 1 || left[0].Capture != handID || logs.FilterMessage("capture in hand lost, starting without").Len() != 1 ||
				testutil.ToFloat64(h.memory.lost.WithLabelValues(handDir)) != 1 {
				t.Errorf("left %+v, logged %v", left, logs.All())
			}
			if names := written(before.memory.dir); len(names) != 1 {
				t.Errorf("%v stays", names)
			}
		})
	}
}

// No more is written down than can be told at the next start.
func TestHandIsBounded(t *testing.T) {
	h, logs := newTestHand(t, t.TempDir())
	h.memory.write = func(path string, _ any) error { return os.WriteFile(path, nil, 0o600) }
	for i := range handMost + 2 {
		h.note(handOrder(gopprof.TriggerManual, fmt.Sprintf("01938f00-0000-7000-8000-%012d", i)))
	}
	h.note(handOrder(gopprof.TriggerManual, "01938f00-0000-7000-8000-000000000000")) // is in hand already
	if n := len(written(h.memory.dir)); n != handMost || logs.FilterMessage("state not written").Len() != 1 ||
		logs.FilterMessage("state written again").Len() != 1 {
		t.Errorf("%d written down, logged %v", n, logs.FilterMessage("state not written").All())
	}
}

// On a disk that is full captures go on, and that they would not be told of is said once.
func TestHandOnAFullDisk(t *testing.T) { smalldisk.Run(t, "64k", handOnAFullDisk) }

func handOnAFullDisk(t *testing.T, dir string) {
	t.Helper()
	h, logs := newTestHand(t, dir)
	l := &looking{dir: dir, end: func() error { return nil }}
	free := smalldisk.Fill(t, dir)
	for range 3 {
		if _, err := (handTaker{l, h}).Take(t.Context(), handOrder(gopprof.TriggerRule, handID)); err != nil || len(l.seen) > 0 {
			t.Errorf("took with %v written down, %v", l.seen, err)
		}
	}
	h.note(firedOrder(handID))
	checkLine(t, logs, "firing not in hand", gopprof.ReasonSpoolFailed, handID)
	free()
	h.note(handOrder(gopprof.TriggerRule, handID))
	if logs.FilterMessage("state not written").Len() != 1 || logs.FilterMessage("state written again").Len() != 1 || len(written(dir)) != 1 {
		t.Errorf("%v written down, logged %v", written(dir), logs.All())
	}
}

// Where the directory cannot be made the agent starts, and says so.
func TestHandThatCannotBeMade(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, handDir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h, logs := newTestHand(t, dir)
	left := h.left()
	h.note(handOrder(gopprof.TriggerRule, handID))
	h.strike(handID)
	if len(left) > 0 || logs.FilterMessage("state not written").Len() != 1 {
		t.Errorf("left %v, logged %v", left, logs.All())
	}
}

// FuzzOrder: whatever lies in a file of the state directory, what comes of it is the order of
// that capture, and can be told to the aggregator and written again.
func FuzzOrder(f *testing.F) {
	for _, kind := range []gopprof.TriggerKind{gopprof.TriggerRule, gopprof.TriggerManual, gopprof.TriggerSibling} {
		whole, err := json.Marshal(handOrder(kind, handID))
		if err != nil {
			f.Fatal(err)
		}
		for _, change := range []string{"", `"Incident":"01938f00-0000-7000-8000-00000000000f"|"Incident":""`, `"rule"|"alert"`, `"cpu"|"\u0000"`, `"shop"|""`, `"Kinds":[|"Kinds":[],"x":[`, `2026|99999`, `"Incident":"|"Incident":"x`} {
			old, replaced, _ := strings.Cut(change, "|")
			f.Add([]byte(strings.ReplaceAll(string(whole), old, replaced)))
		}
	}
	f.Add([]byte("null"))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := decodeOrder(data, handID)
		if err != nil {
			return
		}
		nothing := o.Nothing(errDied(o), noon)
		if nothing.ID != handID || len(nothing.Failures) == 0 || nothing.Failures[0].Reason != gopprof.ReasonAgentDied {
			t.Errorf("%+v", nothing)
		}
		if o.Trigger.Kind == gopprof.TriggerRule {
			p := newTestPipeline(&fakes{})
			p.died(o, errDied(o))
			p.captures.Wait()
		}
		again, err := json.Marshal(o)
		if err == nil {
			_, err = decodeOrder(again, handID)
		}
		if err != nil {
			t.Errorf("written again: %v", err)
		}
	})
}
