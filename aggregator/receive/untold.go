package receive

import "sync"

// untold remembers the starts that were counted and have ended here, though NATS, which counts
// them, could not be told: while it comes and goes they would look like workers that died. The
// memory ends with the process, as what it remembers would.
type untold struct {
	mu     sync.Mutex
	starts map[string]int // by capture
}

func newUntold() *untold { return &untold{starts: map[string]int{}} }

// note remembers whether NATS was told that a capture's start has ended, and with it all before.
func (u *untold) note(d Delivery, told bool) {
	c, _ := d.Capture()
	u.mu.Lock()
	defer u.mu.Unlock()
	if told {
		delete(u.starts, key(c))
		return
	}
	if len(u.starts) >= maxWaits {
		clear(u.starts)
	}
	u.starts[key(c)]++
}

// deaths are those of the starts that NATS has counted which have not ended here.
func (u *untold) deaths(d Delivery, starts int) int {
	c, _ := d.Capture()
	u.mu.Lock()
	defer u.mu.Unlock()
	return max(0, starts-u.starts[key(c)])
}
