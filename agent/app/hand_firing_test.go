package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/agent/judge"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// firedOrder is a firing that nobody has granted yet.
func firedOrder(id string) gopprof.Order {
	o := handOrder(gopprof.TriggerRule, id)
	o.Incident = ""
	return o
}

// lookingAsker is the aggregator, which looks what is written down while it is asked.
type lookingAsker struct {
	*fakes
	dir  string
	seen []string
}

func (l *lookingAsker) Ask(ctx context.Context, firing gopprof.Firing) gopprof.Decision {
	l.seen = incidents(l.dir)
	return l.fakes.Ask(ctx, firing)
}

// incidents returns what is written down: the captures, each with its incident.
func incidents(dir string) (found []string) {
	for _, name := range written(dir) {
		var o gopprof.Order
		data, _ := os.ReadFile(filepath.Join(dir, handDir, name))
		if err := json.Unmarshal(data, &o); err != nil {
			found = append(found, err.Error())
			continue
		}
		found = append(found, o.Capture+"/"+o.Incident)
	}
	return found
}

// slowKeeper is a disk on which nothing is written until it is told.
type slowKeeper struct {
	keeper
	goOn chan struct{}
}

func (s slowKeeper) note(gopprof.Order) { <-s.goOn }

// What is said to have fired is in hand: the agent may be killed at once after it said so.
func TestFiringIsInHandBeforeItIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakes{decision: gopprof.Decision{Go: true, Incident: "i"}}
		p, logs := newLoggedPipeline(f)
		goOn := make(chan struct{})
		p.hand = slowKeeper{f, goOn}
		p.fire(t.Context(), []judge.Fired{{Target: target, Rule: p.judge.Rules()[0]}})
		synctest.Wait()
		if logs.Len() > 0 {
			t.Errorf("said before it was written down: %v", logs.All())
		}
		close(goOn)
		if err := p.drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		checkLine(t, logs, "rule fired", "", "id")
		checkLine(t, logs, endHanded, "", "id")
	})
}

// holdPanics is publish with a defect, between take and the spool.
type holdPanics struct{ publisher }

func (holdPanics) Hold(gopprof.Capture, time.Time) error { panic("hold") }

// A firing is written down before anybody is asked, without an incident, and anew with it
// when it is taken. However it ends, and if it panics anywhere, nothing stays.
func TestFiringIsInHandFromWhenItFired(t *testing.T) {
	granted := gopprof.Decision{Go: true, Incident: "i"}
	for name, c := range map[string]struct {
		decision gopprof.Decision
		broken   func(p *pipeline)
		asked    string
		writes   int32
	}{
		"captured":              {granted, func(*pipeline) {}, "id/", 2},
		"refused":               {gopprof.Decision{Reason: gopprof.ReasonBudget}, func(*pipeline) {}, "id/", 1},
		"asking panics":         {granted, func(p *pipeline) { p.ask = panicker{} }, "", 1},
		"taking panics":         {granted, func(p *pipeline) { p.take = panicker{} }, "id/", 1},
		"panics after it took":  {granted, func(p *pipeline) { p.publish, p.agree = holdPanics{p.publish}, waitingAgreer{} }, "id/", 2},
		"panics and cannot end": {granted, func(p *pipeline) { p.publish = panicker{} }, "id/", 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakes{decision: c.decision}
				p := newTestPipeline(f)
				h, logs := newTestHand(t, t.TempDir())
				var writes atomic.Int32
				durably := h.memory.write
				h.memory.write = func(path string, v any) error { writes.Add(1); return durably(path, v) }
				l := &looking{dir: h.memory.dir, end: func() error { return nil }}
				asker := &lookingAsker{fakes: f, dir: h.memory.dir}
				p.hand, p.ask, p.take, p.publish = h, asker, handTaker{l, h}, handPublisher{f, h}
				c.broken(p)
				p.fire(t.Context(), []judge.Fired{{Target: target, Rule: p.judge.Rules()[0]}})
				if err := p.drain(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := strings.Join(asker.seen, " "); got != c.asked || writes.Load() != c.writes {
					t.Errorf("%q in hand while it was asked for, want %q; %d writes, want %d", got, c.asked, writes.Load(), c.writes)
				}
				if left := written(l.dir); len(left) > 0 || len(h.held) > 0 {
					t.Errorf("left %v, held %v", left, h.held)
				}
				if n := logs.FilterMessage("firing in hand").Len(); n != 1 {
					t.Errorf("said %d times that the firing is in hand: %v", n, logs.All())
				}
			})
		})
	}
}

// What waits for its turn on the target is in hand, until it joined what it waited for, or
// has no turn.
func TestFiringThatWaitsIsInHand(t *testing.T) {
	for end, taking := range map[string]taker{endJoined: &slowTaker{}, endNothing: stuckTaker{}} {
		t.Run(end, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, logs := newLoggedPipeline(&fakes{})
				h, _ := newTestHand(t, t.TempDir())
				n := 0
				p.newID = func() string { n++; return fmt.Sprint("id", n) }
				p.hand, p.ask, p.take = h, &countedAsker{}, taking
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				for _, rule := range p.judge.Rules() {
					p.fire(ctx, []judge.Fired{{Target: target, Rule: rule}})
					time.Sleep(time.Second)
				}
				if got := strings.Join(incidents(h.memory.dir), " "); got != "id1/ id2/" {
					t.Errorf("in hand while one waits: %s", got)
				}
				time.Sleep(triggerLifetime + time.Second)
				cancel()
				if err := p.drain(t.Context()); err != nil {
					t.Fatal(err)
				}
				if left := written(h.memory.dir); len(left) > 0 {
					t.Errorf("left %v", left)
				}
				if fired := logs.FilterMessage("rule fired").FilterField(zap.String("capture", "id2")).Len(); fired != 1 || logs.FilterMessage(end).Len() == 0 {
					t.Errorf("logged %v", logs.All())
				}
			})
		})
	}
}

// The next agent says of a firing that nobody granted that it came to nothing, once; the
// aggregator knows nothing of it and is told nothing.
func TestWhatFiredWhenTheAgentDied(t *testing.T) {
	dir, id := t.TempDir(), uuid.Must(uuid.NewV7()).String()
	killed, _ := handApp(t, dir, away{})
	killed.hand.note(firedOrder(id))
	if err := killed.publish.Close(); err != nil {
		t.Fatal(err)
	}
	next, logs := handApp(t, dir, away{})
	next.settle()
	if err := next.pipeline.drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkLine(t, logs, endNothing, gopprof.ReasonAgentDied, id)
	if since := logs.FilterMessage(endNothing).FilterField(zap.Time("since", noon)).Len(); since != 1 {
		t.Errorf("since when it was in hand is not said: %v", logs.All())
	}
	if n, _ := next.publish.Pending(); n != 0 || len(written(dir)) > 0 {
		t.Errorf("%d captures in the spool, want none; %v left", n, written(dir))
	}
}

// sender is NATS that takes everything.
type sender struct{}

func (sender) PublishCapture(context.Context, gopprof.Capture) error { return nil }

// An agent that was killed between spooling a capture and striking it out had not died with
// it. The next one says so neither when the capture has left the spool meanwhile.
func TestSpooledBeforeTheAgentDiedAndSentAtOnce(t *testing.T) {
	dir, id := t.TempDir(), uuid.Must(uuid.NewV7()).String()
	killed, _ := handApp(t, dir, away{})
	killed.hand.note(handOrder(gopprof.TriggerRule, id))
	killed.publish.Spooled = nil // killed before it was struck out
	if err := errors.Join(killed.publish.Publish(t.Context(), gopprof.Capture{ID: id}), killed.publish.Close()); err != nil {
		t.Fatal(err)
	}
	next, logs := handApp(t, dir, sender{})
	ctx, stop := context.WithCancel(t.Context())
	var sending sync.WaitGroup
	sending.Go(func() { _ = next.publish.Run(ctx) })
	next.publish.Drain(ctx)
	stop()
	sending.Wait()
	next.settle()
	if err := next.pipeline.drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, _ := next.publish.Pending(); n > 0 || logs.FilterMessage(endNothing).Len() > 0 || len(written(dir)) > 0 {
		t.Errorf("%d in the spool, %v left, logged %v", n, written(dir), logs.All())
	}
}

// What somebody asked for has an incident: without one it is none of ours.
func TestOnlyAFiringHasNoIncident(t *testing.T) {
	for kind, want := range map[gopprof.TriggerKind]bool{gopprof.TriggerRule: true, gopprof.TriggerManual: false, gopprof.TriggerSibling: false} {
		o := handOrder(kind, handID)
		o.Incident = ""
		data, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeOrder(data, handID); (err == nil) != want {
			t.Errorf("%s without an incident: %v", kind, err)
		}
	}
}

// A disk that fills between the firing and its grant leaves what is known of the firing.
func TestGrantThatCannotBeWritten(t *testing.T) {
	h, _ := newTestHand(t, t.TempDir())
	h.note(firedOrder(handID))
	h.memory.write = func(string, any) error { return errors.New("full") }
	h.note(handOrder(gopprof.TriggerRule, handID))
	if got := strings.Join(incidents(h.memory.dir), " "); got != handID+"/" {
		t.Errorf("in hand: %q", got)
	}
	if h.strike(handID); len(written(h.memory.dir)) > 0 {
		t.Error("not struck out")
	}
}
