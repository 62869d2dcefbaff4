package ops

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Stages starts a program's parts and stops them in the opposite order. Start the sink
// first and the source last: stopping then drains in flow order, and every part still
// finds those that it hands its work to.
//
//	stages := ops.NewStages(log, 30*time.Second)
//	stages.Closer("nats", conn.Close)      // on the line after it was made
//	stages.Go("receive", receiver.Run)
//	return stages.Wait(ctx)
//
// If making a later part fails, Stop takes down what was started so far.
type Stages struct {
	log    *zap.Logger
	within time.Duration // for all stops together

	mu      sync.Mutex // guards parts
	parts   []*part
	failed  chan error // the first part that failed by itself
	stop    sync.Once
	stopErr error
}

var errLate = errors.New("still running at the deadline")

// part is something that must be stopped.
type part struct {
	name string
	stop func(ctx context.Context) error
}

// NewStages returns Stages whose Stop takes at most within.
func NewStages(log *zap.Logger, within time.Duration) *Stages {
	return &Stages{log: log, within: within, failed: make(chan error, 1)}
}

// Go starts run at once. Its context ends when it is this part's turn to stop, not
// before; run returns when its work in hand is done. An error that run returns before
// that makes Wait stop the program; nil means that there is nothing left to do.
func (s *Stages) Go(name string, run func(ctx context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.supervise(ctx, name, run) }()
	s.push(&part{name: name, stop: func(deadline context.Context) error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-deadline.Done():
			return errLate
		}
	}})
}

// supervise returns what run says of its end once it was told to stop; what it says
// before goes to Wait.
func (s *Stages) supervise(ctx context.Context, name string, run func(ctx context.Context) error) error {
	err := run(ctx)
	switch {
	case ctx.Err() == nil && err != nil:
		s.fail(fmt.Errorf("%s: %w", name, err))
		return nil
	case errors.Is(err, context.Canceled):
		return nil
	}
	return err
}

// Closer registers what ends a part that has no loop of its own. One that does not heed
// its context is left behind at the deadline.
func (s *Stages) Closer(name string, stop func(ctx context.Context) error) {
	s.push(&part{name: name, stop: func(deadline context.Context) error {
		done := make(chan error, 1)
		go func() { done <- stop(deadline) }()
		select {
		case err := <-done:
			return err
		case <-deadline.Done():
			return errLate
		}
	}})
}

// Wait blocks until ctx ends or a part fails, stops everything, and returns what failed.
func (s *Stages) Wait(ctx context.Context) error {
	var cause error
	select {
	case <-ctx.Done():
		s.log.Info("stop requested")
	case cause = <-s.failed:
		s.log.Error("part failed, stopping", zap.Error(cause))
	}
	return errors.Join(cause, s.Stop())
}

// Stop stops all parts, the newest first, under one deadline. Only the first call does.
func (s *Stages) Stop() error {
	s.stop.Do(func() { s.stopErr = s.stopAll() })
	return s.stopErr
}

func (s *Stages) stopAll() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.within)
	defer cancel()
	var errs []error
	for p := s.pop(); p != nil; p = s.pop() {
		if err := p.stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stopping %s: %w", p.name, err))
			s.log.Warn("part did not stop cleanly", zap.String("part", p.name), zap.Error(err))
		}
	}
	return errors.Join(errs...)
}

func (s *Stages) fail(err error) {
	select {
	case s.failed <- err:
	default: // an earlier failure is already stopping the program
	}
}

func (s *Stages) push(p *part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts = append(s.parts, p)
}

func (s *Stages) pop() *part {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.parts) == 0 {
		return nil
	}
	p := s.parts[len(s.parts)-1]
	s.parts = s.parts[:len(s.parts)-1]
	return p
}
