package e2e

import (
	"testing"
	"time"

	agent "github.com/gopprof/gopprof/agent/app"
	aggregator "github.com/gopprof/gopprof/aggregator/app"
)

// What one program promises by default, the other one keeps by default.
func TestDefaultsOfBothProgramsFit(t *testing.T) {
	a, g := agent.DefaultConfig(), aggregator.DefaultConfig()
	by := g.Operations
	for _, c := range []struct {
		promise string
		kept    bool
	}{
		{"the longest profile that may be asked for by hand is one that agents take", by.MaxDuration <= a.Take.MaxSeconds},
		{"a capture ends within the time in which it holds its place in the budget", a.Judge.CPU.CPUSeconds+2*time.Minute <= g.Dispatch.CaptureLifetime},
		{"no more captures of a node are asked for at once than its agent takes at once", by.PerNodeAtOnce <= a.Take.MaxAtOnce},
		{"a node that tells its state is not stale", 2*a.StateInterval <= g.Dispatch.StaleAfter},
		{"the largest capture of an agent fits into NATS", a.Take.MaxCaptureBytes <= int64(g.Streams.CaptureMaxBytes)},
		{"the largest capture of an agent fits into its spool", a.Take.MaxCaptureBytes <= a.Publish.MaxBytes},
		{"an agent that stops lets the captures of its rules end", a.Judge.CPU.CPUSeconds < a.ShutdownTimeout},
		{"the series' answer is waited for as long as a CPU profile takes", a.Agreement.Wait <= a.Judge.CPU.CPUSeconds+time.Second},
	} {
		if !c.kept {
			t.Error("not kept: " + c.promise)
		}
	}
}
