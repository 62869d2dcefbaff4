package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

// How long one turn may take before a store that does not answer is given up.
const (
	rebuildTimeout = 10 * time.Minute
	sweepTimeout   = 6 * time.Hour
)

// Ready returns nil once the index was filled; else why not yet.
func (s *Store) Ready() error { return s.ready.get() }

// Run fills the index from the store, trying again until it succeeds, then keeps it in
// step with what other aggregators store and sweeps what is too old or too much. It
// returns when ctx ends.
func (s *Store) Run(ctx context.Context) error {
	if !s.rebuild(ctx) {
		return nil
	}
	var both sync.WaitGroup // a sweep of a large store takes hours, and lists show what is new meanwhile
	both.Go(func() {
		every(ctx, s.cfg.RefreshInterval, func() { s.attempt(ctx, "refresh", rebuildTimeout, s.refresh) })
	})
	both.Go(func() {
		sweep := func() { s.attempt(ctx, "sweep", sweepTimeout, s.Sweep) }
		sweep()
		every(ctx, s.cfg.SweepInterval, sweep)
	})
	both.Wait()
	return nil
}

// every does something again and again until ctx ends.
func every(ctx context.Context, interval time.Duration, do func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do()
		}
	}
}

// patience is the pause from which on a start does without a few reports that cannot be read:
// until then it may pass.
const patience = 8 * time.Second

// rebuild fills the index; false when ctx ended first.
func (s *Store) rebuild(ctx context.Context) bool {
	for wait, left := time.Second, (*unread)(nil); ; wait = min(2*wait, time.Minute) {
		if wait >= patience {
			left = &unread{}
		}
		err := s.attempt(ctx, "rebuild", rebuildTimeout, func(ctx context.Context) error { return s.fillFirst(ctx, left) })
		s.ready.set(err)
		if err == nil {
			s.log.Info("index rebuilt", zap.Int("reports", s.index.len()))
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(wait):
		}
	}
}

// attempt runs one turn of a loop. A failure is logged when it begins and when it ends.
func (s *Store) attempt(ctx context.Context, operation string, within time.Duration, do func(context.Context) error) error {
	turn, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var err error
	defer s.timed(operation, &err)()
	if err = do(turn); ctx.Err() != nil {
		err = nil // shutting down is no failure
		return ctx.Err()
	}
	if changed, before := s.turns.set(operation, err); changed && err != nil {
		s.log.Error("store "+operation+" failed", zap.Error(err))
	} else if changed && before {
		s.log.Info("store " + operation + " works again")
	}
	s.metrics.indexed.Set(float64(s.index.len()))
	return err
}

func (s *Store) fillFirst(ctx context.Context, left *unread) error {
	stays, err := s.blobs.try(ctx)
	if ctx.Err() == nil {
		s.noteRefusal(stays)
	}
	if err != nil {
		return err
	}
	return s.fill(ctx, left)
}

// noteRefusal says, once, that the store does not let the blob of the trial be deleted.
// Reports can be stored all the same: it is a failure only for an aggregator that sweeps.
func (s *Store) noteRefusal(left error) {
	if changed, _ := s.turns.set("trial", left); !changed || left == nil {
		return
	}
	if !s.cfg.Sweep {
		s.log.Info("trial blob stays, the store refuses to delete it", zap.String("key", s.blobs.trial), zap.Error(left))
		return
	}
	s.metrics.failures.WithLabelValues("delete_trial").Inc()
	s.log.Error("the store refuses to delete: reports are stored, but those that max_age and max_bytes do not allow may stay",
		zap.String("key", s.blobs.trial), zap.Error(left))
}

// fill reads the newest reports into the index. What left takes is missing there until a sweep
// can read it.
func (s *Store) fill(ctx context.Context, left *unread) error {
	clusters, err := s.clusters(ctx, Query{})
	if err != nil {
		return err
	}
	var newest []ref
	floor := lowestID
	for d, err := range s.days(ctx, clusters, lowestID, highestID) {
		if err != nil {
			return err
		}
		refs, err := s.refs(ctx, d.paths, Query{})
		if err != nil {
			return err
		}
		newest = append(newest, slices.DeleteFunc(refs, func(r ref) bool { return !r.committed })...)
		if len(newest) > s.cfg.IndexReports {
			newest = newest[:s.cfg.IndexReports]
			floor = newest[len(newest)-1].id
			break
		}
	}
	entries, err := s.readEntries(ctx, newest, left)
	if err != nil {
		return fmt.Errorf("reading reports: %w", err)
	}
	s.index.fill(entries, floor)
	return nil
}

// refresh takes in what other aggregators stored today and yesterday. What they stored
// late, under an older day, is found by the next sweep.
func (s *Store) refresh(ctx context.Context) error {
	var errs []error
	for _, t := range []time.Time{s.now(), s.now().AddDate(0, 0, -1)} {
		refs, err := s.dayRefs(ctx, t, Query{})
		if err == nil {
			err = s.takeIn(ctx, refs)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// takeIn reads those committed reports into the index that it should hold and does not. A few
// that cannot be read keep no others out.
func (s *Store) takeIn(ctx context.Context, refs []ref) error {
	missing := slices.DeleteFunc(slices.Clone(refs), func(r ref) bool {
		return !r.committed || s.broken.has(r.id) || !s.index.lacks(r.id)
	})
	left := &unread{}
	entries, err := s.readEntries(ctx, missing, left)
	if err != nil {
		return err
	}
	for _, e := range entries {
		s.index.add(e)
	}
	return errors.Join(left.errs...)
}

// readEntries reads reports for the index: a few of them unpacked at a time.
func (s *Store) readEntries(ctx context.Context, refs []ref, left *unread) (entries []*entry, err error) {
	for batch := range slices.Chunk(refs, 4*readAtOnce) {
		reports, err := s.readRefs(ctx, batch, left)
		if err != nil {
			return nil, err
		}
		for _, r := range reports {
			e, err := newEntry(r)
			if err != nil {
				return nil, err
			}
			entries = append(entries, e)
		}
	}
	return entries, nil
}

// turns remembers how each loop's last turn ended.
type turns struct {
	mu     sync.Mutex // guards failed
	failed map[string]bool
}

// set returns whether the outcome changed, and whether there was one before.
func (t *turns) set(operation string, err error) (changed, before bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed == nil {
		t.failed = make(map[string]bool)
	}
	was, before := t.failed[operation]
	t.failed[operation] = err != nil
	return was != (err != nil) || !before, before
}
