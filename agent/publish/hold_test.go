package publish

import (
	"errors"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// interim and final are the two forms of one capture.
func twoForms() (interim, final gopprof.Capture) {
	interim = capture(newID(), 100)
	final = interim
	interim.Agreement = gopprof.Agreement{Result: gopprof.AgreementUnavailable}
	final.Agreement = gopprof.Agreement{Result: gopprof.AgreementConfirmed}
	return interim, final
}

func TestHeldCaptureIsReplacedAndSentOnce(t *testing.T) {
	n := &nats{}
	p := open(t, testConfig(t.TempDir()), n)
	stop := run(t, p)
	defer stop()
	interim, final := twoForms()
	other := capture(newID(), 100)
	if err := p.Hold(interim, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	mustPublish(t, p, other)
	poll(t, "the other one is sent", func() bool { return n.tried(other.ID) == 1 })
	if n.tried(interim.ID) != 0 {
		t.Fatal("sent while it was held")
	}
	mustPublish(t, p, final)
	poll(t, "nothing waits", empty(p))
	wantIDs(t, n.ids(), other.ID, final.ID)
	if got := n.got[1].Agreement.Result; got != gopprof.AgreementConfirmed {
		t.Errorf("sent in the form %q, want the final one", got)
	}
	different := final
	different.Agreement = gopprof.Agreement{}
	if err := p.Publish(t.Context(), different); !errors.Is(err, ErrDifferent) {
		t.Errorf("%v, want ErrDifferent: the final form was final", err)
	}
}

func TestHeldCaptureSurvivesARestart(t *testing.T) {
	cfg, n := testConfig(t.TempDir()), &nats{}
	p := open(t, cfg, n)
	interim, _ := twoForms()
	if err := p.Hold(interim, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	p = open(t, cfg, n)
	stop := run(t, p)
	defer stop()
	poll(t, "nothing waits", empty(p))
	wantIDs(t, n.ids(), interim.ID)
}

func TestHeldCaptureIsSentWhenItsTimeIsOver(t *testing.T) {
	n := &nats{}
	p := open(t, testConfig(t.TempDir()), n)
	stop := run(t, p)
	defer stop()
	interim, _ := twoForms()
	if err := p.Hold(interim, time.Now()); err != nil {
		t.Fatal(err)
	}
	poll(t, "nothing waits", empty(p))
	wantIDs(t, n.ids(), interim.ID)
}
