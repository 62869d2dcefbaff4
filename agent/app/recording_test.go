package app

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// Every interval is recorded once and in its order, also when it is shorter than the time
// after which its readings are in.
func TestEveryIntervalIsRecordedOnce(t *testing.T) {
	for _, interval := range []time.Duration{time.Minute, 30 * time.Second, 10 * time.Second, 7 * time.Second} {
		t.Run(interval.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				began := time.Now()
				var last time.Time
				n := 0
				err := eachInterval(ctx, interval, 30*time.Second, func(end time.Time) {
					if !end.Equal(end.Truncate(interval)) || (n > 0 && !end.Equal(last.Add(interval))) {
						t.Errorf("interval ends at %s, after %s", end, last)
					}
					if late := time.Since(end); late < 30*time.Second {
						t.Errorf("recorded %s after its end, want 30s", late)
					}
					last, n = end, n+1
					if time.Since(began) > 10*time.Minute {
						cancel()
					}
				})
				if want := int(9 * time.Minute / interval); err != nil || n < want {
					t.Errorf("%d intervals in ten minutes, want %d at least: %v", n, want, err)
				}
			})
		})
	}
}

// After a sleep of the machine, or a jump of its clock, what lies behind is left out.
func TestIntervalsLongPastAreLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		n := 0
		_ = eachInterval(ctx, 10*time.Second, 5*time.Second, func(end time.Time) {
			if late := time.Since(end); late > 20*time.Second {
				t.Errorf("recorded %s after its end", late)
			}
			if n++; n == 2 {
				time.Sleep(time.Hour)
			}
			if n == 5 {
				cancel()
			}
		})
	})
}
