package app

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	logged "go.uber.org/zap/zaptest/observer"

	"github.com/gopprof/gopprof/pkg/bus"
)

// A state that cannot be told is news when it begins and when it ends, not each time.
func TestStateThatIsNotToldIsLoggedOnce(t *testing.T) {
	core, lines := logged.New(zap.InfoLevel)
	told := newTelling(zap.New(core), newRegistry())
	away, partly := fmt.Errorf("publishing state: %w", bus.ErrAway), fmt.Errorf("publishing state: %w: 1 left out", bus.ErrPartly)
	for _, err := range []error{nil, away, errors.New("another"), away, partly, partly, nil, nil, partly, nil} {
		told.note(err)
	}
	var got []string
	for _, l := range lines.All() {
		got = append(got, l.Level.String()+" "+l.Message)
	}
	want := []string{
		"warn state not told", "warn state told without some targets", "info state told as a whole again",
		"warn state told without some targets", "info state told as a whole again",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if n := testutil.ToFloat64(told.failures); n != 6 {
		t.Errorf("%v failures counted, want 6", n)
	}
}
