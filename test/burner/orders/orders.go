// Package orders is the part of the burner that waits: many clerks write into one ledger
// under one lock, and hand each other slips through a channel without room.
//
// A number of clerks enters; contention leaves, to be seen in mutex and block profiles
// whose rates are set. It uses little CPU.
package orders

import (
	"context"
	"sync"
	"time"
)

// MaxClerks bounds what may be asked for.
const MaxClerks = 256

// Ledger is written by clerks.
type Ledger struct {
	desk   sync.Mutex // guards clerks and stop: who works
	clerks int
	stop   context.CancelFunc
	work   sync.WaitGroup

	mu      sync.Mutex // the contended one: guards entries
	entries int
}

// Employ makes that many clerks work from now on; 0 stops all.
func (l *Ledger) Employ(clerks int) {
	l.desk.Lock()
	defer l.desk.Unlock()
	if l.stop != nil {
		l.stop()
		l.work.Wait()
	}
	ctx, stop := context.WithCancel(context.Background())
	l.clerks, l.stop = min(max(clerks, 0), MaxClerks), stop
	slips := make(chan int)
	for i := range l.clerks {
		l.work.Go(func() { l.write(ctx, slips, i%2 == 0) })
	}
}

// Clerks is how many work.
func (l *Ledger) Clerks() int {
	l.desk.Lock()
	defer l.desk.Unlock()
	return l.clerks
}

// write is one clerk's day.
func (l *Ledger) write(ctx context.Context, slips chan int, sends bool) {
	for ctx.Err() == nil {
		l.appendEntry()
		if sends {
			select {
			case slips <- 1:
			case <-ctx.Done():
			case <-time.After(5 * time.Millisecond):
			}
			continue
		}
		select {
		case <-slips:
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// appendEntry holds the lock far too long.
//
//go:noinline
func (l *Ledger) appendEntry() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries++
	time.Sleep(200 * time.Microsecond)
}
