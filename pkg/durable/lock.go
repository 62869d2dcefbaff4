package durable

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrLocked is returned by Lock when another holder is alive.
var ErrLocked = errors.New("another process holds the lock")

// Locked is a held lock.
type Locked struct{ f *os.File }

// Lock takes a file as a lock that ends with its holder, kill -9 included, and does not
// wait: ErrLocked says that somebody else has it. Another Lock of the same process is
// somebody else.
func Lock(path string) (*Locked, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening lock: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return &Locked{f}, nil
	}
	f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrLocked
	}
	return nil, fmt.Errorf("locking %q: %w", path, err)
}

// Unlock gives the lock back. The file stays.
func (l *Locked) Unlock() error {
	if err := l.f.Close(); err != nil {
		return fmt.Errorf("unlocking: %w", err)
	}
	return nil
}
