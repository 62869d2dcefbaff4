package soak

import (
	"maps"
	"testing"
)

func TestCountersAreAddedUpByReason(t *testing.T) {
	got := sum([]byte(`# HELP refused_total x
refused_total{reason="budget",rule="cpu"} 3
refused_total{reason="budget",rule="memory"} 1e+01
refused_total{reason="gone",rule="cpu"} 2
refused_total_more{reason="gone",rule="cpu"} 9
`), "refused_total")
	if want := map[string]int{"budget": 13, "gone": 2}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWhatIsAlarming(t *testing.T) {
	for line, want := range map[string]bool{
		`{"level":"info","msg":"rule fired"}`:                                                 false,
		`{"level":"warn","msg":"nats connection lost"}`:                                       false,
		`{"level":"error","msg":"work panicked"}`:                                             true,
		`{"level":"error","msg":"budget became unreachable, firing agents are on their own"}`: false,
		"panic: runtime error":                                                                true,
		"fatal error: concurrent map writes":                                                  true,
	} {
		if got := alarming(line); got != want {
			t.Errorf("%s: %v, want %v", line, got, want)
		}
	}
}

func TestMemoryIsReadFromStatus(t *testing.T) {
	if got := field("VmPeak:\t  99 kB\nVmHWM:\t   28672 kB\n", "VmHWM:"); got != 28672 {
		t.Errorf("got %d", got)
	}
	if got := field("", "VmHWM:"); got != 0 {
		t.Errorf("got %d of nothing", got)
	}
}
