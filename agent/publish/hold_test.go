package publish

import (
	"errors"
	"io"
	"io/fs"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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

// amend brings a held capture into its final form, of whose bytes the caller has none.
func amend(t *testing.T, p *Publisher, final gopprof.Capture) error {
	t.Helper()
	return p.Amend(t.Context(), final.ID, func(c *gopprof.Capture) { c.Agreement = final.Agreement })
}

func TestHeldCaptureIsAmendedAndSentOnce(t *testing.T) {
	n := &nats{}
	p := open(t, testConfig(t.TempDir()), n)
	stop := run(t, p)
	defer stop()
	interim, final := twoForms()
	if err := errors.Join(p.Hold(interim, time.Now().Add(time.Hour)), amend(t, p, final)); err != nil {
		t.Fatal(err)
	}
	poll(t, "nothing waits", empty(p))
	wantIDs(t, n.ids(), final.ID)
	if got := n.got[0]; got.Agreement.Result != gopprof.AgreementConfirmed || len(got.Profiles) != len(final.Profiles) || string(got.Profiles[0].Bytes) != string(final.Profiles[0].Bytes) {
		t.Errorf("sent %+v", got)
	}
}

// The final form does not fit on the disk: it is sent at once, and the held one is not. Where
// NATS is away too, the held one goes out later: nothing is lost, and nothing sent twice.
func TestFinalFormThatCannotBeWritten(t *testing.T) {
	for _, nobody := range []bool{false, true} {
		n := &nats{}
		if nobody {
			n.refuse = away
		}
		p := open(t, testConfig(t.TempDir()), n)
		interim, final := twoForms()
		if err := p.Hold(interim, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		p.write = func(string, fs.FileMode, func(io.Writer) error) error { return unix.ENOSPC }
		if err := amend(t, p, final); err != nil {
			t.Errorf("NATS away %v: %v", nobody, err)
		}
		n.set(nil)
		stop := run(t, p)
		poll(t, "nothing waits", empty(p))
		stop()
		wantIDs(t, n.ids(), final.ID)
		want := map[bool]gopprof.AgreementResult{false: gopprof.AgreementConfirmed, true: gopprof.AgreementUnavailable}[nobody]
		if got := n.got[0].Agreement.Result; got != want {
			t.Errorf("NATS away %v: sent in the form %q", nobody, got)
		}
		if left := files(t, p.cfg.Dir); len(left) != 0 {
			t.Errorf("NATS away %v: %q is left", nobody, left)
		}
	}
}

// What went out as it was held, because the answer came too late, is not lost.
func TestAmendedTooLate(t *testing.T) {
	n := &nats{}
	p := open(t, testConfig(t.TempDir()), n)
	stop := run(t, p)
	defer stop()
	interim, final := twoForms()
	if err := p.Hold(interim, time.Now()); err != nil {
		t.Fatal(err)
	}
	poll(t, "it was sent", empty(p))
	if err := amend(t, p, final); err != nil {
		t.Error(err)
	}
	wantIDs(t, n.ids(), interim.ID)
}

// What was dropped at the spool's bound while it was held is lost, by name.
func TestAmendedAfterItWasDropped(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.MaxBytes = 3000
	p := open(t, cfg, &nats{refuse: away})
	interim, final := twoForms()
	if err := p.Hold(interim, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		mustPublish(t, p, capture(newID(), 1000))
	}
	if err := amend(t, p, final); gopprof.ReasonOf(err) != gopprof.ReasonSpoolFull {
		t.Errorf("%v", err)
	}
}

// Whoever keeps a capture until it is in the spool is told before NATS can have it: if the
// process is killed in between, it is in the spool.
func TestToldBeforeItIsSent(t *testing.T) {
	n := &nats{}
	p := open(t, testConfig(t.TempDir()), n)
	var told []string
	p.Spooled = func(capture string) {
		if told = append(told, capture); len(files(t, p.cfg.Dir)) != 1 || p.Waits(capture) {
			t.Errorf("told with %v in the spool; it may be sent: %v", files(t, p.cfg.Dir), p.Waits(capture))
		}
	}
	c := capture(newID(), 10)
	for range 2 {
		if err := p.Publish(t.Context(), c); err != nil || !p.Waits(c.ID) {
			t.Errorf("published: %v; waits: %v", err, p.Waits(c.ID))
		}
	}
	run(t, p)
	poll(t, "the spool is empty", empty(p))
	if len(told) != 1 || told[0] != c.ID || p.Waits(c.ID) {
		t.Errorf("told of %v", told)
	}
}
