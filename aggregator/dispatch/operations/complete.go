package operations

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

func bad(format string, args ...any) error {
	return &gopprof.Error{Reason: gopprof.ReasonBadInput, Detail: fmt.Sprintf(format, args...)}
}

// complete fills in what a request left out and refuses what makes no sense.
func (c Config) complete(m gopprof.Manual) (gopprof.Manual, error) {
	if err := checkNamed(m); err != nil {
		return m, err
	}
	kinds, err := distinctKinds(m.Kinds)
	if err != nil {
		return m, err
	}
	if m.Kinds = kinds; len(kinds) == 0 {
		m.Kinds = []gopprof.Kind{gopprof.KindCPU, gopprof.KindHeap, gopprof.KindGoroutine}
	}
	if most := c.MaxDuration.Seconds(); !(m.CPUSeconds >= 0 && m.CPUSeconds <= most) {
		return m, bad("%v seconds: from 0 to %v", m.CPUSeconds, most)
	}
	if m.CPUSeconds == 0 {
		m.CPUSeconds = c.CPUDuration.Seconds()
	}
	return c.completeGroup(m)
}

// checkNamed refuses a request that names nothing, or several things at once.
func checkNamed(m gopprof.Manual) error {
	named := 0
	for _, given := range []bool{m.Pod != "", m.Workload != gopprof.Workload{}, m.Selector != ""} {
		if given {
			named++
		}
	}
	switch {
	case m.Namespace == "":
		return bad("a namespace must be named")
	case named == 0:
		return bad("pod, workload or selector must be named: whose profile?")
	case named > 1:
		return bad("pod, workload and selector are named together: one of them")
	case m.Workload != gopprof.Workload{} && (m.Workload.Kind == "" || m.Workload.Name == ""):
		return bad("the workload must be named with its kind: Deployment/web")
	case !m.Group() && (m.MaxPods|m.AtOnce|m.Expect != 0 || m.AllAtOnce || m.Merge):
		return bad("maxPods, atOnce, expect, allAtOnce and merge are for groups, and this is one pod")
	case m.AllAtOnce && m.Workload == gopprof.Workload{}:
		return bad("all replicas at the same time must be asked for by the name of their workload")
	}
	return nil
}

func distinctKinds(kinds []gopprof.Kind) ([]gopprof.Kind, error) {
	var out []gopprof.Kind
	for _, k := range kinds {
		parsed, err := gopprof.ParseKind(string(k))
		if err != nil {
			return nil, bad("%v", err)
		}
		if !slices.Contains(out, parsed) {
			out = append(out, parsed)
		}
	}
	return out, nil
}

func (c Config) completeGroup(m gopprof.Manual) (gopprof.Manual, error) {
	if !m.Group() {
		return m, nil
	}
	most := c.PerWorkloadAtOnce
	if m.AllAtOnce {
		most = c.AtOnce
	}
	switch {
	case m.MaxPods < 0 || m.MaxPods > c.MaxPods:
		return m, bad("at most %d pods: from 1 to %d", m.MaxPods, c.MaxPods)
	case m.AtOnce < 0 || m.AtOnce > most:
		return m, bad("%d pods at once: from 1 to %d", m.AtOnce, most)
	case m.Expect < 0:
		return m, bad("%d pods expected", m.Expect)
	case m.Merge && slices.Equal(m.Kinds, []gopprof.Kind{gopprof.KindTrace}):
		return m, bad("traces cannot be merged")
	}
	if m.AtOnce == 0 {
		m.AtOnce = min(c.GroupAtOnce, most)
		if m.AllAtOnce {
			m.AtOnce = most
		}
	}
	return m, nil
}

// duration is how long a capture takes once it has started: the timed kinds follow one
// another, the others take moments.
func duration(m gopprof.Manual) time.Duration {
	timed := 0
	for _, k := range m.Kinds {
		if k.Timed() {
			timed++
		}
	}
	return time.Duration(float64(timed)*m.CPUSeconds*float64(time.Second)) + 5*time.Second
}

// meant says in words what a request is about.
func meant(m gopprof.Manual) string {
	switch {
	case m.Pod != "" && m.Container != "":
		return fmt.Sprintf("target %q", m.Pod+"/"+m.Container)
	case m.Pod != "":
		return fmt.Sprintf("target %q", m.Pod)
	case m.Selector != "":
		return fmt.Sprintf("pods with labels %q", m.Selector)
	}
	return fmt.Sprintf("pods of %s", strings.TrimSpace(m.Workload.String()))
}
