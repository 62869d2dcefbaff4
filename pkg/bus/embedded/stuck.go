package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/zap"
)

// ErrStuck is of a server that takes no writes any more, whatever becomes of its disk. The
// next start does.
var ErrStuck = errors.New("embedded nats takes no writes any more")

// roomBytes is what must fit on the disk before a new start is worth while: the largest
// message.
const roomBytes = 1 << 20

// Stuck returns nil when ctx ends, and ErrStuck when the server refuses writes for good and
// its disk takes them again: after one write that the disk refused, because it was full
// for a moment, nats-server keeps that stream's error in memory and answers nobody who
// writes to it, or switches JetStream off. The caller should end and start again, which
// heals it. For as long as the disk refuses, a new start would come to nothing: Ready says
// why, and what is there can be read.
func (s *Server) Stuck(ctx context.Context) error {
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		first := s.stuck.Load() == nil
		err := s.look()
		if err == nil {
			continue
		}
		disk := s.room()
		if disk == nil {
			return fmt.Errorf("%w; its disk has room again, and a new start heals it", err)
		}
		if first {
			s.log.Error("embedded nats is stuck, waiting for its disk", zap.Error(err), zap.NamedError("disk", disk))
		}
	}
}

// look says why the server takes no writes; once it did not, it never will.
func (s *Server) look() error {
	s.looks.Add(1)
	if known := s.stuck.Load(); known != nil {
		return *known
	}
	cause := s.refused()
	if cause == nil {
		return nil
	}
	err := fmt.Errorf("%w: %w", ErrStuck, cause)
	s.stuck.Store(&err)
	return err
}

// writeError is in what Healthz says of a stream that keeps an error, and of no other.
const writeError = " write error: "

// refused asks the server itself. It may take as long as the disk does.
func (s *Server) refused() error {
	if !s.srv.JetStreamEnabled() {
		return s.rec.switchedOff()
	}
	for _, e := range s.srv.Healthz(&server.HealthzOptions{Details: true}).Errors {
		if e.Type == server.HealthzErrorStream && strings.Contains(e.Error, writeError) {
			return errors.New(e.Error)
		}
	}
	return nil
}

// room says why the disk takes nothing.
func (s *Server) room() error {
	path := filepath.Join(s.cfg.Dir, "room")
	defer os.Remove(path) //nolint:errcheck // the next one replaces it
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("looking for room: %w", err)
	}
	_, err = f.Write(make([]byte, roomBytes))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("looking for room: %w", err)
	}
	return nil
}
