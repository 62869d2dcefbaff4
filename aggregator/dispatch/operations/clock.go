package operations

import (
	"sync"
	"time"
)

const (
	// leastSet is by how much the clock must be set forward at once to be called set.
	leastSet = 10 * time.Second
	// mostSets is how many times are remembered that it was.
	mostSets = 10
)

// clock knows when the wall clock was set forward in this process's life: what was written down
// before seems older than it is, and captures would end that wait for their turn or to arrive.
type clock struct {
	mu          sync.Mutex // guards what follows
	wall, alone time.Time  // when it was looked at last, by the wall and by the clock that is never set
	sets        []set      // oldest first
}

// set is that the wall clock was set forward.
type set struct {
	to time.Time
	by time.Duration
}

// look sees whether the wall clock was set since the last look; Run looks at each turn.
func (c *clock) look(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall, alone := now.Round(0), time.Now()
	if !c.wall.IsZero() {
		c.note(set{wall, wall.Sub(c.wall) - alone.Sub(c.alone)})
	}
	c.wall, c.alone = wall, alone
}

// note takes note of a change. Set back, the clock is as if it had not been set forward.
func (c *clock) note(s set) {
	switch {
	case s.by >= leastSet:
		c.sets = append(c.sets, s)
		c.sets = c.sets[max(0, len(c.sets)-mostSets):]
	case s.by <= -leastSet && len(c.sets) > 0:
		c.sets = c.sets[:len(c.sets)-1]
	}
}

// meant returns when something is due, by the wall clock as it is now, that was written down as
// due at a time.
func (c *clock) meant(due, now time.Time) time.Time {
	c.look(now)
	c.mu.Lock()
	defer c.mu.Unlock()
	due = due.Round(0)
	for _, s := range c.sets {
		if due.Before(s.to) {
			due = due.Add(s.by)
		}
	}
	return due
}
