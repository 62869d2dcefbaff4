package embedded

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// watchEvery is how often the files are looked at.
const watchEvery = 5 * time.Second

// Reload replaces the users. Connections of users that are gone or may do something else
// than before are closed.
func (s *Server) Reload(u Users) error {
	var first error
	u.check(func(key, problem string) {
		if first == nil {
			first = fmt.Errorf("reloading users: %s: %s", key, problem)
		}
	})
	if first != nil {
		return first
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.kick(s.auth.replace(s.table(u))); err != nil {
		return fmt.Errorf("reloading users: %w", err)
	}
	s.log.Info("users reloaded", zap.Int("agents", len(u.Agents)), zap.Int("consumers", len(u.Consumers)))
	return nil
}

// Run reads agents file and certificate again whenever they change, and renews the
// certificate of the server's own making, until ctx ends. What cannot be used is logged,
// and what was there before stays.
func (s *Server) Run(ctx context.Context) error {
	if s.ca == nil {
		return s.watch(ctx)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.ca.Run(ctx) })
	g.Go(func() error { return s.watch(ctx) })
	return g.Wait()
}

func (s *Server) watch(ctx context.Context) error {
	seen := s.read
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if now := s.files(); now != seen {
			seen = now
			s.again()
		}
	}
}

func (s *Server) again() {
	u, err := s.cfg.load()
	if err == nil {
		err = s.Reload(u)
	}
	if err != nil {
		s.log.Error("users not reloaded, the last ones stay", zap.Error(err))
	}
	if s.cfg.CertFile == "" {
		return
	}
	if err := s.loadCertificate(); err != nil {
		s.log.Error("certificate not reloaded, the last one stays", zap.Error(err))
	}
}

// stamp is what changes when a file is written or replaced, or may be read. Its size and the time
// that it bears alone do not: keys are of one length, and times are copied with files. Nor does
// the time of its change, which before Linux 6.13 passes in steps of milliseconds.
type stamp struct {
	inode uint64
	size  int64
	at    syscall.Timespec // of the change of whatever is known of it
	err   string
}

func (s *Server) files() [3]stamp {
	return [3]stamp{look(s.cfg.AgentsFile), look(s.cfg.CertFile), look(s.cfg.KeyFile)}
}

func look(path string) stamp {
	if path == "" {
		return stamp{}
	}
	info, err := os.Stat(path)
	if err != nil {
		return stamp{err: err.Error()}
	}
	return stampOf(info)
}

func stampOf(info os.FileInfo) stamp {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return stamp{} // cannot be, on Linux
	}
	return stamp{inode: st.Ino, size: st.Size, at: st.Ctim}
}
