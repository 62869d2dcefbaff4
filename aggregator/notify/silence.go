package notify

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/bus"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// SilenceKV is the bucket of silences (gopprof-silences), by their IDs. It forgets them, not
// before they have ended, or by ForgetUpTo, as KV's.
type SilenceKV interface {
	Create(ctx context.Context, key string, value []byte) (revision uint64, err error)
	Delete(ctx context.Context, key string) error
	Watch(ctx context.Context, show func(key string, value []byte, revision uint64), shown func()) error
	ForgetUpTo(ctx context.Context, key string, revision uint64) error
}

// mostSilences bounds those that hold at the same time.
const mostSilences = 1000

// silentSilenced is why a report is told to nobody: somebody said so.
const silentSilenced = "silenced"

// silences are those that are known, of every replica: a bucket that is watched.
type silences struct {
	mu  sync.Mutex // guards all
	all map[string]api.Silence
}

// see notes a silence that was made, or ended. What nobody can have made is none: it would
// hold for longer than anybody may ask for.
func (s *silences) see(key string, value []byte, _ uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var silence api.Silence
	if value == nil || json.Unmarshal(value, &silence) != nil || silence.ID != key || mistaken(silence, silence.At) != "" {
		delete(s.all, key)
		return
	}
	s.all[key] = silence
}

// holding returns the silences that hold, the next to end first, and forgets the others.
func (s *silences) holding(now time.Time) []api.Silence {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []api.Silence{}
	for id, silence := range s.all {
		if !silence.Until.After(now) {
			delete(s.all, id)
			continue
		}
		all = append(all, silence)
	}
	slices.SortFunc(all, func(a, b api.Silence) int { return cmp.Or(a.Until.Compare(b.Until), cmp.Compare(a.ID, b.ID)) })
	return all
}

// silencing returns the silence under which a report falls. It holds for what is reported
// after it begins: what was before that, and waits for a receiver that cannot be told now, is
// told.
func silencing(all []api.Silence, r gopprof.Report) (api.Silence, bool) {
	t, cause := r.Capture.Target, r.Explanation.Cause().Kind
	for _, s := range all {
		if before := !r.MadeAt.IsZero() && r.MadeAt.Before(s.At); before {
			continue
		}
		if s.Namespace == t.Namespace && (s.Workload == t.Workload.Name || s.Workload == t.Workload.String()) &&
			(s.Cluster == "" || s.Cluster == t.Cluster) && (s.Cause == "" || s.Cause == cause) {
			return s, true
		}
	}
	return api.Silence{}, false
}

// silenced tells whether somebody said that nobody is to be told, and says that once more in
// the log.
func (n *Notifier) silenced(r gopprof.Report) bool {
	s, ok := silencing(n.silences.holding(n.deps.Now()), r)
	if ok {
		n.metrics.silent.WithLabelValues(silentSilenced).Inc()
		n.log.Info("report silenced", zap.String("capture", r.ID), zap.String("namespace", s.Namespace), zap.String("workload", s.Workload),
			zap.String("silence", s.ID), zap.String("who", s.Who), zap.String("why", s.Why), zap.Time("until", s.Until))
	}
	return ok
}

// Silences returns those that hold, the next to end first.
func (n *Notifier) Silences(context.Context) ([]api.Silence, error) {
	return n.silences.holding(n.deps.Now()), nil
}

// Silence makes a silence and returns it. The same one again is the one that is there.
func (n *Notifier) Silence(ctx context.Context, s api.Silence) (api.Silence, error) {
	now := n.deps.Now().UTC()
	all := n.silences.holding(now)
	if problem := mistaken(s, now); problem != "" {
		return s, &gopprof.Error{Reason: gopprof.ReasonBadInput, Detail: problem}
	}
	for _, known := range all {
		s.ID, s.At = known.ID, known.At
		if s == known {
			return known, nil
		}
	}
	if len(all) >= mostSilences {
		return s, &gopprof.Error{Reason: gopprof.ReasonBudget, Detail: fmt.Sprintf("%d silences hold already: end some", mostSilences)}
	}
	s.ID, s.At = uuid.Must(uuid.NewV7()).String(), now
	value, err := json.Marshal(s)
	if err != nil {
		return s, err
	}
	_, err = n.deps.Silences.Create(ctx, s.ID, value)
	if errors.Is(err, bus.ErrFull) {
		if err = n.forgetEnded(ctx, now); err == nil {
			_, err = n.deps.Silences.Create(ctx, s.ID, value)
		}
	}
	if err != nil {
		return s, away(err)
	}
	n.silences.see(s.ID, value, 0)
	n.log.Info("silence made", zap.String("silence", s.ID), zap.String("namespace", s.Namespace), zap.String("workload", s.Workload), zap.String("who", s.Who), zap.Time("until", s.Until))
	return s, nil
}

// endedBy is how much longer than its end a silence is kept where there is no room: clocks are
// apart, and set.
const endedBy = time.Hour

// forgetEnded makes room where silences that have ended fill the bucket.
func (n *Notifier) forgetEnded(ctx context.Context, now time.Time) error {
	_, err := forget(ctx, n.deps.Silences, func(key string, value []byte) bool {
		var s api.Silence
		return value == nil || json.Unmarshal(value, &s) == nil && s.ID == key && now.Sub(s.Until) > endedBy
	})
	return err
}

// EndSilence ends a silence before its time.
func (n *Notifier) EndSilence(ctx context.Context, id string) error {
	if err := n.deps.Silences.Delete(ctx, id); err != nil {
		return away(err)
	}
	n.silences.see(id, nil, 0)
	n.log.Info("silence ended", zap.String("silence", id))
	return nil
}

// mistaken says what is wrong with a silence.
func mistaken(s api.Silence, now time.Time) string {
	switch {
	case s.Namespace == "" || s.Workload == "":
		return "namespace and workload must be given: a silence is of one workload"
	case s.Why == "" || s.Who == "":
		return "why must be given: others will wonder"
	case s.Cause != "" && !slices.Contains(gopprof.CauseKinds(), s.Cause):
		return fmt.Sprintf("%q is no cause: one of %v", s.Cause, gopprof.CauseKinds())
	case !s.Until.After(now):
		return "until must be in the future"
	case s.Until.Sub(now) > api.LongestSilence:
		return "until may be 30 days from now at most"
	}
	return ""
}

// away names what a caller is told when the records cannot be had.
func away(err error) error {
	switch {
	case errors.Is(err, bus.ErrConflict):
		return err
	case errors.Is(err, bus.ErrFull):
		return &gopprof.Error{Reason: gopprof.ReasonBudget, Detail: "there is no room for more silences: end some", Err: err}
	}
	return &gopprof.Error{Reason: gopprof.ReasonNoAnswer, Detail: "the records cannot be written now: NATS did not answer", Err: err}
}

// Load reads the silences, so that nobody is told by a program that has just started what is
// silenced. It waits for them as long as ctx allows.
func (n *Notifier) Load(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	loaded := false
	err := n.deps.Silences.Watch(ctx, n.silences.see, func() { loaded = true; stop() })
	if !loaded {
		return fmt.Errorf("reading silences: %w", cmp.Or(err, context.Cause(ctx)))
	}
	return nil
}
