package siblings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gopprof/gopprof/aggregator/dispatch"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

const (
	// reuseWithin is how long the sibling of one hot pod serves those that follow.
	reuseWithin = 10 * time.Minute
	// maxHot and maxAsked bound a record: an incident goes on while captures follow.
	maxHot   = 64
	maxAsked = 64
	// maxBytes bounds it where pods have absurd names: NATS takes twice as much.
	maxBytes = 512 << 10
	// attempts bounds how often a change is tried again because another replica was faster.
	attempts = 50
	// longestWait is how long a hot capture is waited for at most: the longest profile that is asked
	// for, and the most that siblings.wait may be.
	longestWait = maxSeconds*time.Second + time.Minute
)

// record is what is known of an incident.
type record struct {
	Hot   []hot   `json:"hot"`   // oldest first
	Asked []asked `json:"asked"` // oldest first
}

// hot is a capture by a rule, with whom it is compared.
type hot struct {
	Capture  string        `json:"capture"`
	Cluster  string        `json:"cluster"`
	Node     string        `json:"node"`
	At       time.Time     `json:"at"`    // when its rule fired, by our clock
	Until    time.Time     `json:"until"` // when its report is made at the latest
	Fleet    gopprof.Fleet `json:"fleet"`
	Siblings []string      `json:"siblings"` // captures
	// By which others are chosen instead of those that come to nothing; empty in records of
	// before.
	Pod       string           `json:"pod,omitempty"`
	Resource  gopprof.Resource `json:"resource,omitempty"`
	Threshold float64          `json:"threshold,omitempty"`
}

// asked is a sibling that was asked for.
type asked struct {
	gopprof.Sibling
	For        string    `json:"for"`   // the hot capture that it was asked for first
	At         time.Time `json:"at"`    // when that was, or the one that it stands in for was asked
	Until      time.Time `json:"until"` // whoever has not begun by then does not begin
	CPUSeconds float64   `json:"cpu_seconds,omitempty"`
	Instead    string    `json:"instead,omitempty"` // of one that came to nothing: the capture that was asked for then
}

// hotOne returns a hot capture of a node, or nil.
func (r *record) hotOne(capture string, of gopprof.Target) *hot {
	for i := range r.Hot {
		if h := &r.Hot[i]; h.Capture == capture && h.Cluster == of.Cluster && h.Node == of.Node {
			return h
		}
	}
	return nil
}

// left is how much longer it may wait; no more at all when the clock was set back since, or
// when it is written down to wait for longer than anything takes.
func (h hot) left(now time.Time) time.Duration {
	if now.Before(h.At.Add(-clockMargin)) || h.Until.Sub(h.At) > longestWait {
		return 0
	}
	return max(0, h.Until.Sub(now))
}

// of returns the siblings of a hot capture, in the order in which they were chosen, and no
// more than are ever written down.
func (r *record) of(h hot) []asked {
	out := make([]asked, 0, min(len(h.Siblings), maxAsked))
	for _, capture := range h.Siblings {
		if i := r.index(capture); i >= 0 && len(out) < maxAsked {
			out = append(out, r.Asked[i])
		}
	}
	return out
}

func (r *record) index(capture string) int {
	return slices.IndexFunc(r.Asked, func(a asked) bool { return a.Capture == capture })
}

// plan is what a hot capture wants to have written down.
type plan struct {
	firing gopprof.Firing
	kinds  []gopprof.Kind
	fleet  gopprof.Fleet
	fresh  []asked // who is asked when nobody serves already
	now    time.Time
	until  time.Time
	most   int
}

// add writes a hot capture down, with the siblings that serve already or else with fresh
// ones; false when it is written down.
func (r *record) add(p plan) bool {
	if r.hotOne(p.firing.Capture, p.firing.Target) != nil {
		return false
	}
	h := hot{
		Capture: p.firing.Capture, Cluster: p.firing.Target.Cluster, Node: p.firing.Target.Node, At: p.now, Until: p.until, Fleet: p.fleet,
		Pod: p.firing.Target.Pod, Resource: p.firing.Resource, Threshold: p.firing.Threshold,
	}
	serving := r.serving(p)
	if len(serving) == 0 {
		serving = p.fresh
		r.ask(p.fresh...)
	}
	for _, a := range serving {
		h.Siblings = append(h.Siblings, a.Capture)
	}
	r.Hot = append(r.Hot, h)
	r.Hot = r.Hot[max(0, len(r.Hot)-maxHot):]
	return true
}

// ask writes down who is asked, without the oldest where they are too many.
func (r *record) ask(fresh ...asked) {
	r.Asked = append(r.Asked, fresh...)
	r.Asked = r.Asked[max(0, len(r.Asked)-maxAsked):]
}

// serving are the siblings that another capture of the incident was given lately and that
// serve this one as well.
func (r *record) serving(p plan) (out []asked) {
	t := p.firing.Target
	for _, a := range slices.Backward(r.Asked) { // the newest first
		comes := a.State == gopprof.SiblingStored || a.State == gopprof.SiblingAsked && !p.now.After(a.latest(p))
		alike := a.Target.SameBuild(t) && a.Target.Container == t.Container && a.Target.Pod != t.Pod && slices.Equal(a.Kinds, p.kinds)
		if comes && alike && p.now.Sub(a.At).Abs() < reuseWithin && len(out) < p.most {
			out = append(out, a)
		}
	}
	return out
}

// latest is when a sibling must have come to be waited for by anybody.
func (a asked) latest(p plan) time.Time { return a.At.Add(p.until.Sub(p.now)) }

// end marks the end of a sibling that was asked of that node, false when nothing changes.
// What failed may still turn out to be stored: an agent's answer can be lost on its way.
func (r *record) end(of gopprof.Capture, e ending) bool {
	i := r.index(of.ID)
	if i < 0 {
		return false
	}
	a := &r.Asked[i]
	if a.Target.Cluster != of.Target.Cluster || a.Target.Node != of.Target.Node || a.State == gopprof.SiblingStored ||
		a.State == gopprof.SiblingFailed && e.state == gopprof.SiblingFailed {
		return false
	}
	a.State, a.Reason, a.Detail = e.state, e.reason, e.detail
	return true
}

// read returns an incident's record; bus.ErrNoKey when there is none. A record that cannot
// be understood is as good as none.
func (k *Keeper) read(ctx context.Context, incident string) (record, uint64, error) {
	var r record
	if gopprof.CheckID(incident) != nil {
		return r, 0, bus.ErrNoKey
	}
	value, revision, err := k.deps.Incidents.Get(ctx, incident)
	if err != nil {
		return r, 0, fmt.Errorf("reading incident %q: %w", incident, err)
	}
	if err := json.Unmarshal(value, &r); err != nil {
		return record{}, revision, nil
	}
	return r, revision, nil
}

// change reads an incident's record, lets f change it, and writes that at the revision that
// was read, again from the start when another replica wrote meanwhile. f returns false when
// nothing changes. create tells whether a record that is not there is made.
func (k *Keeper) change(ctx context.Context, incident string, create bool, f func(*record) bool) error {
	return dispatch.Contend(attempts, k.metrics.conflicts, func() error {
		r, revision, err := k.read(ctx, incident)
		if err != nil && !(create && errors.Is(err, bus.ErrNoKey)) {
			return err
		}
		if !f(&r) {
			return nil
		}
		if err = k.write(ctx, incident, r, revision); err != nil {
			return fmt.Errorf("writing incident %q: %w", incident, err)
		}
		return nil
	})
}

// encode returns the record as it is written: without the older siblings where it is too large.
func (r record) encode() ([]byte, error) {
	for {
		value, err := json.Marshal(r)
		if err != nil || len(value) <= maxBytes || len(r.Asked) < 2 {
			return value, err
		}
		r.Asked = r.Asked[len(r.Asked)/2:]
	}
}

func (k *Keeper) write(ctx context.Context, incident string, r record, revision uint64) error {
	value, err := r.encode()
	if err != nil {
		return err
	}
	if revision == 0 {
		_, err = k.deps.Incidents.Create(ctx, incident, value)
		return err
	}
	_, err = k.deps.Incidents.Update(ctx, incident, value, revision)
	return err
}
