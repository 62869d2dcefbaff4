package profile

// Gate keeps those who work on profiles from having large ones in memory at the same time:
// what one of them may cost (Limits.MemoryBytes) is then what all of them may, beside the
// small ones. The others wait; who is waited for does no more than that with it.
type Gate struct{ inside chan struct{} }

// NewGate returns a Gate that nobody has passed.
func NewGate() *Gate { return &Gate{make(chan struct{}, 1)} }

// Through returns limits for one piece of work, in one goroutine: the first file under them
// that is large, or sum that becomes so, waits until nobody else has one. leave ends the work,
// when nothing of what was read is in memory any more.
func (g *Gate) Through(lim Limits) (through Limits, leave func()) {
	passed := false
	lim.large = func() {
		if !passed {
			g.inside <- struct{}{}
			passed = true
		}
	}
	return lim, func() {
		if passed {
			<-g.inside
			passed = false
		}
	}
}

// enter is called before so many bytes of memory are used.
func (l Limits) enter(cost int64) {
	if cost > largeCost && l.large != nil {
		l.large()
	}
}
