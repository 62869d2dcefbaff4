package discover_test

import (
	"context"
	"errors"
	"testing"

	"github.com/gopprof/gopprof/agent/discover"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// fixed always finds the same, and runs until it is told to end or to fail.
type fixed struct {
	found discover.Snapshot
	fail  chan error
}

func (f fixed) Snapshot() discover.Snapshot { return f.found }

func (f fixed) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-f.fail:
		return err
	}
}

func TestJoin(t *testing.T) {
	first := fixed{found: discover.Snapshot{Targets: []gopprof.Target{{Pod: "a"}, {Pod: "b"}}}}
	second := fixed{fail: make(chan error), found: discover.Snapshot{
		Targets: []gopprof.Target{{Pod: "c"}}, Refused: []gopprof.Refusal{{Reason: gopprof.ReasonEnded}},
	}}
	both := discover.Join(first, second)
	for range 2 { // what the caller gets is its own
		s := both.Snapshot()
		if len(s.Targets) != 3 || s.Targets[0].Pod != "a" || s.Targets[2].Pod != "c" || len(s.Refused) != 1 {
			t.Errorf("%+v", s)
		}
		s.Targets[0].Pod = "changed"
	}

	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- both.Run(ctx) }()
	stop()
	if err := <-done; err != nil {
		t.Errorf("told to end: %v", err)
	}

	go func() { done <- both.Run(t.Context()) }()
	failure := errors.New("broken")
	second.fail <- failure
	if err := <-done; !errors.Is(err, failure) {
		t.Errorf("one failed: %v", err)
	}
}
