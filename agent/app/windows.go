package app

import (
	"time"

	"github.com/gopprof/gopprof/agent/observe"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// localWindows are the local witness's windows as judge's source.
type localWindows struct{ observe *observe.Observer }

// Windows implements judge.Source.
func (l localWindows) Windows(key string, length time.Duration, n int) []gopprof.Window {
	return l.observe.Windows(key, length, n)
}

// Latest implements judge.Source: the newest reading alone, as a window.
func (l localWindows) Latest(key string) (gopprof.Window, bool) {
	r, ok := l.observe.Latest(key)
	if !ok {
		return gopprof.Window{}, false
	}
	return l.observe.Over(key, r.Start, r.End)
}
