package publish

import (
	"os"
	"testing"
	"time"

	"github.com/gopprof/gopprof/pkg/bus"
)

// What waits, waits by the clock that never jumps: a wall clock that is set by an hour
// neither sends a held capture before its time nor keeps one for an hour. Such a clock
// cannot be set here; what is asked is whether the moments still know it.
func TestWaitingIsByTheClockThatNeverJumps(t *testing.T) {
	steady := func(at time.Time) bool { return at != at.Round(0) }
	n := &nats{}
	p := open(t, testConfig(t.TempDir()), n)
	interim, _ := twoForms()
	if err := p.Hold(interim, time.Now().Add(5*time.Minute)); err != nil {
		t.Fatal(err)
	}
	refused := capture(newID(), 100)
	mustPublish(t, p, refused)
	p.failed(*p.index.entries[refused.ID], bus.ErrAway)
	for _, id := range []string{interim.ID, refused.ID} {
		if e := p.index.entries[id]; !steady(e.next) || !steady(e.spooled) {
			t.Errorf("%s: waits until %s, since %s", id, e.next, e.spooled)
		}
	}
}

// Files that come from before the clock was set keep their order among themselves, are
// sent, and none is dropped for its age: a spool knows a bound of bytes only.
func TestSpoolOfAnotherTime(t *testing.T) {
	cfg, n := testConfig(t.TempDir()), &nats{}
	p := open(t, cfg, n)
	old, new := capture(newID(), 100), capture(newID(), 100)
	mustPublish(t, p, old)
	mustPublish(t, p, new)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	for id, set := range map[string]time.Duration{old.ID: time.Hour, new.ID: 61 * time.Minute} { // the clock was set back since
		at := time.Now().Add(set)
		if err := os.Chtimes(entryPath(cfg, id), at, at); err != nil {
			t.Fatal(err)
		}
	}
	cfg.Senders = 1
	p = open(t, cfg, n)
	stop := run(t, p)
	defer stop()
	poll(t, "nothing waits", empty(p))
	wantIDs(t, n.ids(), old.ID, new.ID)
}
