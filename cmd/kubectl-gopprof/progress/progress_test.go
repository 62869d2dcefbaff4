package progress

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func operation(captures ...gopprof.OperationCapture) gopprof.Operation {
	return gopprof.Operation{ID: "o", Captures: captures}
}

func capture(pod string, state gopprof.CaptureState) gopprof.OperationCapture {
	c := gopprof.OperationCapture{Capture: "c-" + pod, Target: gopprof.Target{Pod: pod}, State: state}
	switch state {
	case gopprof.CaptureProfiling:
		c.Started, c.Until, c.SecondsLeft = noon, noon.Add(40*time.Second), 30
	case gopprof.CaptureStored:
		c.Report = "01935f2a-0000-7000-8000-0000000000a1"
	case gopprof.CaptureFailed:
		c.Reason = gopprof.ReasonContended
	}
	return c
}

func TestBars(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &terminal{t: t, columns: 72, rows: 20}
		b := NewBars(s, Screen{Size: s.size, Color: true})
		time.Sleep(time.Second) // nothing to show yet
		b.Show(operation(capture("web-1", gopprof.CaptureWaiting), capture("web-2", gopprof.CaptureProfiling), capture("web-33", gopprof.CaptureWaiting)))
		want(t, s, `
web-2   profiling  [######..................] 30s left
web-1   waiting
web-33  waiting
1 profiling, 2 waiting`)
		time.Sleep(10 * time.Second)
		want(t, s, `
web-2   profiling  [############............] 20s left
web-1   waiting
web-33  waiting
1 profiling, 2 waiting`)
		time.Sleep(time.Minute)
		synctest.Wait()
		if !strings.Contains(s.text(), "[########################] 0s left") {
			t.Errorf("overdue:\n%s", s.text())
		}
		b.Show(operation(capture("web-1", gopprof.CaptureStored), capture("web-2", gopprof.CaptureFailed)))
		b.Close()
		want(t, s, `
web-2  failed     somebody else holds the program's CPU profiler (conte
web-1  stored     01935f2a-0000-7000-8000-0000000000a1
1 stored, 1 failed`)
		if !s.color || s.wrapped {
			t.Errorf("colour %v, wrapped %v", s.color, s.wrapped)
		}
	})
}

func want(t *testing.T, s *terminal, text string) {
	t.Helper()
	synctest.Wait()
	got := "\n" + s.text()
	for i, line := range strings.Split(text, "\n") {
		if lines := strings.Split(got, "\n"); i >= len(lines) || !strings.HasPrefix(lines[i], line) || strings.Count(got, "\n") != strings.Count(text, "\n") {
			t.Fatalf("got:%s\nwant:%s", got, text)
		}
	}
}

func TestManyPodsOnASmallScreen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, size := range [][2]int{{40, 8}, {10, 3}, {1, 1}, {200, 500}} {
			s := &terminal{t: t, columns: size[0], rows: max(size[1], 3)}
			var all []gopprof.OperationCapture
			for i := range 300 {
				all = append(all, capture(fmt.Sprintf("web-%s-%03d", strings.Repeat("x", 50), i), []gopprof.CaptureState{gopprof.CaptureStored, gopprof.CaptureProfiling, gopprof.CaptureWaiting}[i%3]))
			}
			b := NewBars(s, Screen{Size: func() (int, int) { return size[0], size[1] }})
			b.Show(operation(all...))
			b.Show(operation(all...))
			b.Close()
			if s.wrapped && size[0] > 1 || s.color || len(s.lines) >= s.rows {
				t.Errorf("%v: wrapped %v, coloured %v, %d lines", size, s.wrapped, s.color, len(s.lines))
			}
			if size[0] == 40 && !strings.Contains(s.text(), "... and 295 more; in all: 100 stored") {
				t.Errorf("%s", s.text())
			}
		}
	})
}

func TestHostileNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &terminal{t: t, columns: 60, rows: 10}
		b := NewBars(s, Screen{Size: s.size})
		nasty := capture("a\x1b[2J\n漢字\u202e\u009b1m", gopprof.CaptureFailed)
		nasty.Detail, nasty.Reason = "\x1b]0;x\a\r\n\t", "\x1b[1A"
		b.Show(operation(nasty, capture("web-1", gopprof.CaptureStored)))
		b.Show(operation(nasty, capture("web-1", gopprof.CaptureStored)))
		b.Close()
		if len(s.lines) != 3 || s.wrapped {
			t.Errorf("%d lines:\n%s", len(s.lines), s.text())
		}
		var out strings.Builder
		l := NewLines(&out)
		l.Show(operation(nasty))
		if strings.ContainsAny(out.String(), "\x1b\a\r\t\u202e\u009b") || strings.Count(out.String(), "\n") != 1 {
			t.Errorf("%q", out.String())
		}
	})
}

func TestLines(t *testing.T) {
	var out strings.Builder
	l := NewLines(&out)
	l.Show(operation(capture("web-2", gopprof.CaptureWaiting), capture("web-1", gopprof.CaptureProfiling)))
	l.Show(operation(capture("web-2", gopprof.CaptureWaiting), capture("web-1", gopprof.CaptureProfiling)))
	l.Show(operation(capture("web-2", gopprof.CaptureFailed), capture("web-1", gopprof.CaptureStored)))
	l.Close()
	const want = `web-1: profiling, 30s left
web-2: waiting
web-1: stored, report 01935f2a-0000-7000-8000-0000000000a1
web-2: failed: somebody else holds the program's CPU profiler (contended)
`
	if out.String() != want {
		t.Errorf("%s", out.String())
	}
}
