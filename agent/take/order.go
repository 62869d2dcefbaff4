package take

import (
	"fmt"
	"slices"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// check refuses an order that makes no sense or comes too late, and fills in defaults.
func (t *Taker) check(o Order) (Order, error) {
	bad := func(format string, args ...any) (Order, error) {
		return o, &Error{Reason: gopprof.ReasonBadInput, Detail: fmt.Sprintf(format, args...)}
	}
	if err := gopprof.CheckID(o.Capture); err != nil {
		return bad("%v", err)
	}
	if o.CPUSeconds == 0 {
		o.CPUSeconds = t.cfg.DefaultCPUSeconds
	}
	if o.CPUSeconds < 0 || wholeSeconds(o.CPUSeconds) > t.cfg.MaxSeconds {
		return bad("a profile of %v: at most %v", o.CPUSeconds, t.cfg.MaxSeconds)
	}
	o.CPUSeconds = wholeSeconds(o.CPUSeconds)
	o.Kinds = distinct(o.Kinds)
	if len(o.Kinds) == 0 {
		return bad("no kind of profile asked for")
	}
	for _, k := range o.Kinds {
		if !slices.Contains(gopprof.Kinds(), k) {
			return bad("unknown kind of profile %q", clean(string(k)))
		}
	}
	return t.checkTime(o)
}

func (t *Taker) checkTime(o Order) (Order, error) {
	now := t.deps.Now()
	if o.Deadline.IsZero() {
		o.Deadline = now.Add(t.cfg.Patience)
	}
	if !now.Before(o.Deadline) {
		late := now.Sub(o.Deadline).Round(time.Millisecond)
		return o, &Error{Reason: gopprof.ReasonExpired, Detail: fmt.Sprintf("came %v after its deadline", late)}
	}
	o.Deadline = now.Add(o.Deadline.Sub(now)) // by the clock that never jumps: one out of a message knows the wall's only
	return o, nil
}

// wholeSeconds rounds up: net/http/pprof reads a fraction as a mistake, and a mistake as
// 30 seconds.
func wholeSeconds(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}

// distinct drops repeated kinds and keeps the order.
func distinct(kinds []gopprof.Kind) []gopprof.Kind {
	var out []gopprof.Kind
	for _, k := range kinds {
		if !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	return out
}
