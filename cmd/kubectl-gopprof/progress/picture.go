package progress

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/show"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

const (
	nameMost = 48 // columns of a pod's name
	barWidth = 24
	stateMin = 9 // "profiling"
)

// picture is what decides how an operation looks.
type picture struct {
	columns, rows int
	color         bool
	since         time.Duration // since the operation's state was had
}

// of paints an operation as lines, none of them as wide as the screen and not as many as
// it has rows: what does not fit is counted.
func (p picture) of(op gopprof.Operation) []string {
	captures := byActivity(op.Captures)
	room := max(p.rows-3, 1)
	hidden := 0
	if len(captures) > room {
		captures, hidden = captures[:room], len(captures)-room
	}
	width := 0
	for _, c := range captures {
		width = max(width, len(name(c)))
	}
	var lines []string
	for _, c := range captures {
		lines = append(lines, p.row(c, width))
	}
	count := show.Progress(op)
	if hidden > 0 {
		count = fmt.Sprintf("… and %d more; in all: %s", hidden, count)
	}
	return append(lines, p.fit(count))
}

// row paints one capture.
func (p picture) row(c gopprof.OperationCapture, width int) string {
	head := fmt.Sprintf("%-*s  %-*s  ", width, name(c), stateMin, c.State)
	switch c.State {
	case gopprof.CaptureProfiling:
		seconds := max(c.SecondsLeft-p.since.Seconds(), 0)
		return p.fit(head + bar(c, seconds) + " " + left(seconds) + " left")
	case gopprof.CaptureStored:
		return p.paint(green, p.fit(head+c.Report))
	case gopprof.CaptureFailed:
		return p.paint(red, p.fit(head+show.Because(c.Reason, c.Detail)))
	}
	return p.fit(head + show.Because(c.Reason, c.Detail))
}

func bar(c gopprof.OperationCapture, secondsLeft float64) string {
	share := 0.0
	if whole := c.Until.Sub(c.Started).Seconds(); whole > 0 {
		share = 1 - secondsLeft/whole
	}
	full := int(math.Round(min(max(share, 0), 1) * barWidth))
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", barWidth-full) + "]"
}

// The colours, as SGR parameters (ECMA-48).
const (
	green = "32"
	red   = "31"
)

func (p picture) paint(color, s string) string {
	if !p.color {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

// fit makes a text one line of the screen. Characters that are not ASCII may be two columns
// wide, and a line that wraps would be painted twice.
func (p picture) fit(s string) string {
	s = strings.TrimRight(narrow(s), " ")
	if most := max(p.columns-1, 1); len(s) > most {
		return s[:most]
	}
	return s
}

func narrow(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, strings.ReplaceAll(s, "…", "..."))
}

// name is a pod's name; of a long one the end, by which replicas differ.
func name(c gopprof.OperationCapture) string {
	n := narrow(c.Target.Pod)
	if len(n) > nameMost {
		return "..." + n[len(n)-nameMost+3:]
	}
	return n
}

// byActivity puts what happens now first and what is over last.
func byActivity(captures []gopprof.OperationCapture) []gopprof.OperationCapture {
	order := []gopprof.CaptureState{gopprof.CaptureProfiling, gopprof.CaptureFailed, gopprof.CaptureWaiting, gopprof.CaptureStored}
	return slices.SortedStableFunc(slices.Values(show.Sorted(captures)), func(a, b gopprof.OperationCapture) int {
		return slices.Index(order, a.State) - slices.Index(order, b.State)
	})
}
