package explain

import (
	"strings"
	"testing"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// A node's capacity that stands in for a limit is never called a limit.
func TestHeatOfAContainerWithoutLimit(t *testing.T) {
	w := gopprof.Window{HasCPU: true, CPU: gopprof.Use{Mean: 1.8, Limit: 2, Ratio: 0.9, Basis: gopprof.BasisNode}}
	got := heat(gopprof.Evidence{Resource: gopprof.ResourceCPU, Threshold: 0.8, WindowSeconds: 60, Windows: []gopprof.Window{w, w}})
	if want := "cpu at 90 % of its node's 2-core capacity (no limit) for 2 × 1 m"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if strings.Contains(got, "core limit") {
		t.Error("called a limit")
	}
	c := gopprof.Capture{
		Trigger:   gopprof.Trigger{Kind: gopprof.TriggerRule, Evidence: &gopprof.Evidence{Resource: gopprof.ResourceCPU, Windows: []gopprof.Window{w}}},
		Agreement: gopprof.Agreement{Result: gopprof.AgreementContradicted, Compared: []gopprof.Comparison{{Local: 0.9, Series: 0.4}}},
	}
	if got := agreement(c); !strings.Contains(got, "cAdvisor saw cpu at 90 % of its node's capacity, the series in InfluxDB say 40 %") {
		t.Errorf("warning %s", got)
	}
}

// Nor is what a request stands in for.
func TestHeatOfAContainerWithARequestOnly(t *testing.T) {
	w := gopprof.Window{HasCPU: true, HasMemory: true, CPU: gopprof.Use{Mean: 1.8, Limit: 2, Ratio: 0.9, Basis: gopprof.BasisRequest},
		Memory: gopprof.Use{Mean: 9 << 20, Limit: 10 << 20, Ratio: 0.9, Basis: gopprof.BasisRequest}}
	e := gopprof.Evidence{Resource: gopprof.ResourceCPU, Threshold: 0.8, WindowSeconds: 60, Windows: []gopprof.Window{w, w}}
	if got, want := heat(e), "cpu at 90 % of its request's allowance of 2 cores (no limit) for 2 × 1 m"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := e.Yardstick(), "its request's allowance"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	e.Resource = gopprof.ResourceMemory
	if got, want := heat(e), "memory at 90 % of its request's allowance of 10 MiB (no limit) for 2 × 1 m"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
