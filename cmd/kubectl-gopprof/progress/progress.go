// Package progress shows how far an operation has come, while it goes on: a bar for each
// pod that is painted again and again on a terminal, a line for each change elsewhere.
//
// States of the operation enter; text for a person leaves, on standard error. Names are
// strangers' words: nothing that a terminal would obey is written but what this package
// means to write.
package progress

import (
	"fmt"
	"io"
	"time"

	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/show"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Board shows an operation.
type Board interface {
	// Show takes a state of the operation over.
	Show(op gopprof.Operation)
	// Close shows the last state and stops; nothing is written after it returns.
	Close()
}

// Screen is a terminal.
type Screen struct {
	Size  func() (columns, rows int)
	Color bool
}

// Lines writes one line for each capture that changes its state.
type Lines struct {
	w     io.Writer
	shown map[string]gopprof.CaptureState // by capture
}

// NewLines returns a Board for what is no terminal.
func NewLines(w io.Writer) *Lines { return &Lines{w, map[string]gopprof.CaptureState{}} }

// Show implements Board.
func (l *Lines) Show(op gopprof.Operation) {
	for _, c := range show.Sorted(op.Captures) {
		if l.shown[c.Capture] != c.State {
			l.shown[c.Capture] = c.State
			fmt.Fprintln(l.w, show.Clean(line(c)))
		}
	}
}

// Close implements Board.
func (l *Lines) Close() {}

func line(c gopprof.OperationCapture) string {
	s := c.Target.Pod + ": " + string(c.State)
	switch {
	case c.State == gopprof.CaptureProfiling && c.SecondsLeft > 0:
		s += ", " + left(c.SecondsLeft) + " left"
	case c.State == gopprof.CaptureStored:
		s += ", report " + c.Report
	case c.Reason != "" || c.Detail != "":
		s += ": " + show.Because(c.Reason, c.Detail)
	}
	return s
}

func left(seconds float64) string {
	return show.Length(time.Duration(max(seconds, 0) * float64(time.Second)).Round(time.Second))
}
