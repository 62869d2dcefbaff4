package take

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// What was taken stays in memory until it is handed on, however slow the disk is that it goes
// to: others wait for their turn meanwhile, and what they wait for has a name.
func TestWhatIsNotHandedOnHoldsOthersUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.MaxAtOnce, cfg.MaxCaptureBytes = 2, 100
		tk := newTaker(cfg, Deps{})
		begin := func(id string, patience time.Duration) *job {
			o := byHand(id, gopprof.Target{Namespace: "shop", Pod: id}, gopprof.KindHeap)
			o.Deadline = time.Now().Add(patience)
			j, err := tk.begin(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			return j
		}
		took := func(id string, bytes int64) {
			j := begin(id, time.Minute)
			if err := j.enter(); err != nil {
				t.Fatal(err)
			}
			j.bytes = bytes
			j.hand()
			j.leave()
			j.end()
		}
		took(id1, 100)
		took(id2, 1)
		in := make(chan error, 1)
		patient := begin(id3, time.Hour)
		go func() { in <- patient.enter() }()
		hasty := begin("01938f00-0000-7000-8000-000000000004", time.Second)
		err := hasty.enter()
		if gopprof.ReasonOf(err) != gopprof.ReasonSpoolFailed || hasty.inside {
			t.Errorf("while 101 bytes are not handed on: %v, inside: %t", err, hasty.inside)
		}
		hasty.end()
		if synctest.Wait(); len(in) > 0 {
			t.Fatalf("entered while 101 bytes are not handed on: %v", <-in)
		}
		tk.HandedOn(id2)
		if err := <-in; err != nil || !patient.inside {
			t.Errorf("when 100 bytes are left: %v, inside: %t", err, patient.inside)
		}
		tk.HandedOn(id2)
		tk.HandedOn(id3)
		if tk.hands.sum != 100 {
			t.Errorf("%d bytes are not handed on, want 100", tk.hands.sum)
		}
		cancelled := begin(id1, time.Hour)
		patient.bytes = 1
		patient.hand()
		cancelled.cancel()
		if err := cancelled.enter(); gopprof.ReasonOf(err) != gopprof.ReasonCancelled || cancelled.inside {
			t.Errorf("cancelled: %v, inside: %t", err, cancelled.inside)
		}
	})
}
