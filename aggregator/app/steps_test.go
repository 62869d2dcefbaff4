package app

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/poll"
)

// story is what contract 3 does with one kind of capture.
type story struct {
	// steps are all that are taken, in order; between any two of them the aggregator may die.
	steps []string
	begin func(t *testing.T) gopprof.Capture // it is published
	ended func(t *testing.T, c gopprof.Capture)
}

// killedAtEachStep tells a story again and again: without a death, and with one before each of
// its steps and an aggregator that takes over.
func (s *scene) killedAtEachStep(t *testing.T, o story) {
	for _, cut := range append(slices.Clone(o.steps), "") {
		t.Run("before "+cut, func(t *testing.T) {
			c := o.begin(t)
			if cut != "" {
				s.dies(t, cut, o.steps)
			}
			if i := slices.Index(o.steps, stepTerminate); i >= 0 && slices.Index(o.steps, cut) > i {
				s.leftCounted(t, c)
			}
			p, stop, wait := s.start("")
			s.settled()
			stop()
			wait()
			if got := p.ofIts(); cut == "" && !slices.Equal(got, o.steps) {
				t.Errorf("steps %v\nwant  %v", got, o.steps)
			}
			o.ended(t, c)
		})
	}
}

// dies is an aggregator that is killed before a step, when it has taken those before.
func (s *scene) dies(t *testing.T, cut string, steps []string) {
	t.Helper()
	p, _, wait := s.start(cut)
	poll.Until(t, "an aggregator dies before it would "+cut, p.dead)
	wait()
	if got, want := p.ofIts(), steps[:slices.Index(steps, cut)]; !slices.Equal(got, want) {
		t.Errorf("killed after %v\nwant  %v", got, want)
	}
}

// leftCounted checks that a capture that nobody will be given again has its starts counted
// still, and forgets them as its replay would, or a week.
func (s *scene) leftCounted(t *testing.T, c gopprof.Capture) {
	t.Helper()
	b, err := s.bus.Bucket(t.Context(), "gopprof-starts")
	if err != nil {
		t.Fatal(err)
	}
	keys := s.starts(t)
	if n := s.b.Messages(bus.StreamCaptures); n > 0 || len(keys) != 1 || !strings.Contains(keys[0], c.ID) {
		t.Fatalf("%d captures wait, starts of %v are counted", n, keys)
	}
	if err := b.Delete(t.Context(), keys[0]); err != nil {
		t.Fatal(err)
	}
}

// once checks that so many reports were announced, each once, and so many letters were left.
func (s *scene) once(t *testing.T, reports, letters int) {
	t.Helper()
	if n := s.b.Messages(bus.StreamReports); n != uint64(reports) {
		t.Errorf("%d reports in the stream, want %d: each once", n, reports)
	}
	if n := s.b.Messages(bus.StreamDead); n != uint64(letters) {
		t.Errorf("%d dead letters, want %d", n, letters)
	}
}

func TestKilledAtEachStepOfContractThree(t *testing.T) {
	s := newScene(t)
	steps := []string{
		"count start", "look for report", "fetch bytes", "put profile cpu", "put profile heap", "put drawing cpu", "put drawing heap",
		"commit", "announce", "write budget", "write operation", "remove bytes", "forget starts", "acknowledge",
	}
	s.killedAtEachStep(t, story{
		steps: steps,
		begin: func(*testing.T) gopprof.Capture { c := s.ask("x"); s.publish(c); return c },
		ended: func(t *testing.T, c gopprof.Capture) { s.reported(t, c) },
	})
	s.once(t, len(steps)+1, 0)
}

var contended = []gopprof.Failure{{Kind: gopprof.KindCPU, Reason: gopprof.ReasonContended}}

// A capture that came to nothing makes no report, and who waits for it learns why.
func TestKilledAtEachStepOfAnEmptyCapture(t *testing.T) {
	s := newScene(t)
	s.killedAtEachStep(t, story{
		steps: []string{"count start", "look for report", "fetch bytes", "write budget", "write operation", "remove bytes", "forget starts", "acknowledge"},
		begin: func(*testing.T) gopprof.Capture {
			c := s.ask("x")
			c.Profiles, c.Failures = nil, contended
			s.publish(c)
			return c
		},
		ended: func(t *testing.T, c gopprof.Capture) {
			s.nothingLeft(t, c)
			if own := s.filesOf(c); len(own) > 0 {
				t.Errorf("stored %v", own)
			}
			if oc := s.operation(t, c); oc.State != gopprof.CaptureFailed || oc.Reason != gopprof.ReasonContended {
				t.Errorf("the operation says %+v", oc)
			}
		},
	})
	s.once(t, 0, 0)
}

// spoil has the store hold other bytes under a capture's ID: it will never be stored.
func (s *scene) spoil(c gopprof.Capture) {
	s.t.Helper()
	p := c.Profiles[0]
	p.Bytes = []byte("other bytes")
	if _, err := s.store().PutProfile(s.t.Context(), c, p); err != nil {
		s.t.Fatal(err)
	}
}

// buried checks that a capture left one letter, and nothing that waits.
func (s *scene) buried(t *testing.T, c gopprof.Capture) {
	t.Helper()
	letters := 0
	err := s.bus.Letters(t.Context(), c.ID, func(l *bus.Letter) error {
		letters++
		if l.Reason != gopprof.ReasonBytesWrong || l.Detail == "" {
			t.Errorf("the letter says %s: %s", l.Reason, l.Detail)
		}
		return nil
	})
	if err != nil || letters != 1 {
		t.Errorf("%d letters, want 1: %v", letters, err)
	}
	if n := s.heard(c.ID); n > 0 || !s.placeEnded(t, c) || len(s.starts(t)) > 0 {
		t.Errorf("told of %d times; its place ended: %v; starts: %v", n, s.placeEnded(t, c), s.starts(t))
	}
}

// What can never be stored becomes one dead letter, and who waits for it learns why.
func TestKilledAtEachStepOfGivingUp(t *testing.T) {
	s := newScene(t)
	steps := []string{
		"count start", "look for report", "fetch bytes", "put profile cpu", "write budget", "write operation",
		"dead letter bytes_wrong", stepTerminate, "forget starts",
	}
	s.killedAtEachStep(t, story{
		steps: steps,
		begin: func(*testing.T) gopprof.Capture { c := s.ask("x"); s.spoil(c); s.publish(c); return c },
		ended: func(t *testing.T, c gopprof.Capture) {
			s.buried(t, c)
			if oc := s.operation(t, c); oc.State != gopprof.CaptureFailed || oc.Reason != gopprof.ReasonBytesWrong {
				t.Errorf("the operation says %+v", oc)
			}
		},
	})
	s.once(t, 0, len(steps)+1)
}

// newStories is a scene in which a pod fires, and one sibling is asked and waited for.
func newStories(t *testing.T) *hotScene {
	s := newHotScene(t, 1, 5*time.Minute, nil)
	s.explained = nil
	return s
}

// besides is what the record of a hot capture says of its siblings.
func (s *hotScene) besides(t *testing.T, hot gopprof.Capture, want string) {
	t.Helper()
	_, all := s.ends(s.bus, nil, nil).siblings.Of(t.Context(), hot)
	if got := told(gopprof.Report{Siblings: all}); got != want {
		t.Errorf("the record says %q, want %q", got, want)
	}
}

// The capture of a rule has a picture, and is compared with its sibling.
func TestKilledAtEachStepOfARulesCapture(t *testing.T) {
	s := newStories(t)
	steps := []string{
		"count start", "look for report", "fetch bytes", "put profile cpu", "put drawing cpu", "put picture",
		"commit", "announce", "write budget", "remove bytes", "forget starts", "acknowledge",
	}
	s.killedAtEachStep(t, story{
		steps: steps,
		begin: func(t *testing.T) gopprof.Capture {
			s.anew()
			hot := s.fire(1)
			s.sibling("b")
			s.work()
			s.publish(hot)
			return hot
		},
		ended: func(t *testing.T, c gopprof.Capture) {
			if r := s.reported(t, c); told(r) != "api-b stored" {
				t.Errorf("it says of its siblings %q", told(r))
			}
		},
	})
	s.once(t, 2*(len(steps)+1), 0)
}

// The capture of a sibling is closed in the record of its incident, too.
func TestKilledAtEachStepOfASibling(t *testing.T) {
	s := newStories(t)
	steps := []string{
		"count start", "look for report", "fetch bytes", "put profile cpu", "put drawing cpu", "put picture",
		"commit", "announce", "write budget", "write incident", "remove bytes", "forget starts", "acknowledge",
	}
	var hot gopprof.Capture
	s.killedAtEachStep(t, story{
		steps: steps,
		begin: func(*testing.T) gopprof.Capture { s.anew(); hot = s.fire(1); return s.sibling("b") },
		ended: func(t *testing.T, c gopprof.Capture) { s.reported(t, c); s.besides(t, hot, "api-b stored") },
	})
	s.once(t, len(steps)+1, 0)
}

// Instead of a sibling that came to nothing another pod is asked, whoever dies meanwhile.
func TestKilledAtEachStepOfAnEmptySibling(t *testing.T) {
	s := newStories(t)
	var hot gopprof.Capture
	s.killedAtEachStep(t, story{
		steps: []string{"count start", "look for report", "fetch bytes", "write budget", "write incident", "remove bytes", "forget starts", "acknowledge"},
		begin: func(t *testing.T) gopprof.Capture {
			s.anew()
			hot = s.fire(1)
			c := s.takes("b")
			c.Profiles, c.Failures = nil, contended
			if err := s.agents["b"].PublishCapture(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			return c
		},
		ended: func(t *testing.T, c gopprof.Capture) {
			s.takes("c")
			s.nothingLeft(t, c)
			s.besides(t, hot, "api-b failed contended, api-c asked")
		},
	})
	s.once(t, 0, 0)
}

// A sibling that is given up may still come: nobody is asked instead.
func TestKilledAtEachStepOfGivingUpASibling(t *testing.T) {
	s := newStories(t)
	steps := []string{
		"count start", "look for report", "fetch bytes", "put profile cpu", "write budget", "write incident",
		"dead letter bytes_wrong", stepTerminate, "forget starts",
	}
	var hot gopprof.Capture
	s.killedAtEachStep(t, story{
		steps: steps,
		begin: func(t *testing.T) gopprof.Capture {
			s.anew()
			hot = s.fire(1)
			c := s.takes("b")
			s.spoil(c)
			if err := s.agents["b"].PublishCapture(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			return c
		},
		ended: func(t *testing.T, c gopprof.Capture) {
			s.buried(t, c)
			s.besides(t, hot, "api-b failed bytes_wrong")
		},
	})
	s.once(t, 0, len(steps)+1)
}

// A capture that waits for its sibling is given back, and comes again to whoever is there.
func TestKilledAtEachStepOfWaiting(t *testing.T) {
	s := newStories(t)
	steps := []string{"count start", "look for report", "forget starts", "give back"}
	for _, cut := range steps {
		t.Run("before "+cut, func(t *testing.T) {
			s.anew()
			hot := s.fire(1)
			s.publish(hot)
			s.dies(t, cut, steps)
			s.sibling("b")
			s.work()
			if r := s.reported(t, hot); told(r) != "api-b stored" {
				t.Errorf("it says of its siblings %q", told(r))
			}
		})
	}
	s.once(t, 2*len(steps), 0)
}
