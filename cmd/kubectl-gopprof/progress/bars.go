package progress

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// repaint is the time between two pictures.
const repaint = 200 * time.Millisecond

// Bars paints a bar for each capture, and one line that counts them.
type Bars struct {
	w      io.Writer
	screen Screen
	stop   chan struct{}
	done   chan struct{}

	mu      sync.Mutex // guards what follows, and w
	op      gopprof.Operation
	at      time.Time // when op was shown
	painted int       // lines of the last picture, above the cursor
}

// NewBars returns a Board for a terminal.
func NewBars(w io.Writer, s Screen) *Bars {
	b := &Bars{w: w, screen: s, stop: make(chan struct{}), done: make(chan struct{})}
	go b.run()
	return b
}

func (b *Bars) run() {
	defer close(b.done)
	tick := time.NewTicker(repaint)
	defer tick.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-tick.C:
			b.mu.Lock()
			b.paint()
			b.mu.Unlock()
		}
	}
}

// Show implements Board.
func (b *Bars) Show(op gopprof.Operation) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.op, b.at = op, time.Now()
	b.paint()
}

// Close implements Board.
func (b *Bars) Close() {
	close(b.stop)
	<-b.done
	b.mu.Lock()
	defer b.mu.Unlock()
	b.paint()
}

// paint writes the picture over the last one, in one write, so that nothing flickers.
func (b *Bars) paint() {
	if b.op.ID == "" {
		return
	}
	columns, rows := b.screen.Size()
	lines := picture{columns: columns, rows: rows, color: b.screen.Color, since: time.Since(b.at)}.of(b.op)
	var out strings.Builder
	if b.painted > 0 {
		fmt.Fprintf(&out, "\r\x1b[%dA", b.painted)
	}
	for _, l := range lines {
		out.WriteString(l + "\x1b[K\n")
	}
	out.WriteString("\x1b[J")
	b.painted = len(lines)
	_, _ = io.WriteString(b.w, out.String())
}
