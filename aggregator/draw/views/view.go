package views

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/aggregator/draw"
)

// view is one that is open, or about to be.
type view struct {
	key  string
	turn chan struct{} // holds a token of who talks to the process

	// Who holds the token may use these; or, where there are no users, who holds Views.mu.
	child  *draw.Child // nil: not opened, or ended
	opened time.Time

	users int       // requests that are answered or wait; guarded by Views.mu
	used  time.Time // when the last of them left; guarded by Views.mu
}

func (v *view) release() { <-v.turn }

// mostUsers is how many requests one view answers or lets wait.
const mostUsers = 16

// Why a view's process ended.
const (
	causeIdle    = "idle"
	causeOld     = "old"
	causeRoom    = "room"
	causeRefused = "refused"
	causeTimeout = "timeout"
	causeDied    = "died"
	causeClosed  = "closed"
)

// enter returns the view of a key, for one user more. Where there is no room for it, the
// view that nobody has looked at for longest is closed.
func (vs *Views) enter(key string) (*view, error) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	v := vs.open[key]
	switch {
	case vs.closed:
		return nil, errClosed
	case v != nil && v.users >= mostUsers:
		return nil, errQueue
	case v == nil:
		if len(vs.open) >= vs.cfg.MaxOpen && !vs.makeRoom() {
			return nil, errFull
		}
		v = &view{key: key, turn: make(chan struct{}, 1)}
		vs.open[key] = v
	}
	v.users++
	vs.users.Add(1)
	return v, nil
}

// makeRoom closes a view, if there is one that nobody uses.
func (vs *Views) makeRoom() bool {
	v := longestIdle(vs.open)
	if v == nil {
		return false
	}
	vs.end(v, causeRoom, nil)
	delete(vs.open, v.key)
	return true
}

// longestIdle returns the view without users that was left first, or nil.
func longestIdle(open map[string]*view) (found *view) {
	for _, v := range open {
		if v.users == 0 && (found == nil || v.used.Before(found.used)) {
			found = v
		}
	}
	return found
}

// leave ends what enter began. A view without a process is not open any more.
func (vs *Views) leave(v *view) {
	defer vs.users.Done()
	vs.mu.Lock()
	defer vs.mu.Unlock()
	v.users--
	v.used = vs.now()
	if v.users > 0 {
		return
	}
	if vs.closed {
		vs.end(v, causeClosed, nil)
	}
	if v.child == nil {
		delete(vs.open, v.key)
	}
}

// end stops a view's process, if it has one. The caller holds the token, or Views.mu while
// there are no users.
func (vs *Views) end(v *view, cause string, err error) {
	if v.child == nil {
		return
	}
	pid := v.child.PID()
	v.child.Stop() //nolint:errcheck // what ended it is in err
	v.child = nil
	vs.metrics.open.Dec()
	vs.metrics.ended.WithLabelValues(cause).Inc()
	vs.log.Info("view closed", zap.String("view", v.key), zap.Int("pid", pid), zap.String("cause", cause), zap.Error(err))
}

// due returns why a view without users is closed by now, or "".
func (c Config) due(v *view, now time.Time) string {
	switch {
	case now.Sub(v.used) >= c.Idle:
		return causeIdle
	case now.Sub(v.opened) >= c.MaxAge:
		return causeOld
	}
	return ""
}

// sweep closes the views that are due.
func (vs *Views) sweep() {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	now := vs.now()
	for key, v := range vs.open {
		if v.users > 0 {
			continue
		}
		if cause := vs.cfg.due(v, now); cause != "" {
			vs.end(v, cause, nil)
			delete(vs.open, key)
		}
	}
}

// Run closes views that nobody looks at until ctx ends, and then all of them.
func (vs *Views) Run(ctx context.Context) error {
	defer vs.Close()
	tick := time.NewTicker(max(vs.cfg.Idle/10, 100*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			vs.sweep()
		}
	}
}

// Close ends all views. Pages that are being made, or waited for, fail.
func (vs *Views) Close() {
	vs.mu.Lock()
	vs.closed = true
	vs.mu.Unlock()
	vs.cancel()
	vs.users.Wait()
	vs.mu.Lock()
	defer vs.mu.Unlock()
	for key, v := range vs.open { // nobody uses them
		vs.end(v, causeClosed, nil)
		delete(vs.open, key)
	}
}
