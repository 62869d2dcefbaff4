package soak

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/rig"
)

// mayBe returns the reasons that the faults can give. That one of the others comes up is a
// fault.
func mayBe() map[string]bool {
	may := map[string]bool{}
	for _, r := range []gopprof.Reason{
		gopprof.ReasonBudget, gopprof.ReasonNodeBusy, gopprof.ReasonContended, gopprof.ReasonCapturing, gopprof.ReasonCancelled,
		gopprof.ReasonUnreachable, gopprof.ReasonTimeout, gopprof.ReasonStatus, gopprof.ReasonGone, gopprof.ReasonWorkerDied, gopprof.ReasonSpoolFailed,
		gopprof.ReasonAgentDied,
	} {
		may[string(r)] = true
	}
	return may
}

// audit fails the test for each fault of the account, with what both programs said of it,
// and for what neither should ever say.
func (s *scene) audit(a Account) {
	for _, fault := range a.Faults {
		s.t.Errorf("%s%s", fault, s.about(fault))
	}
	for _, name := range []string{"agent.log", "aggregator.log"} {
		log, err := os.ReadFile(filepath.Join(s.Dir, name))
		must(s.t, err)
		for line := range strings.Lines(string(log)) {
			if alarming(line) {
				s.t.Errorf("%s: %s", name, strings.TrimSpace(line))
			}
		}
	}
	for program, most := range map[string]int{"agent": 128 << 10, "aggregator": 512 << 10} {
		if s.peak[program] > most {
			s.t.Errorf("%s had %d KiB resident, want at most %d, whatever struck", program, s.peak[program], most)
		}
	}
	if left := s.spooled(); len(left) > 0 {
		s.t.Errorf("leftover in the spool: %v", left)
	}
}

// alarming tells whether a line is of a severity that none of the faults explains, or no
// log line at all: a panic, a race, a complaint of the runtime.
func alarming(text string) bool {
	var l rig.Line
	if json.Unmarshal([]byte(text), &l) != nil {
		return true
	}
	for message, because := range explained() {
		if l.Text("msg") == message && strings.Contains(text, because) {
			return false
		}
	}
	return l.Text("level") == "error"
}

// explained are the errors that the faults give: what is said, and a part of why.
func explained() map[string]string {
	return map[string]string{
		"budget became unreachable, firing agents are on their own": "", // frozen for more than a moment
		"state not written":      "no space left on device", // the agent's disk is full
		"nats reported an error": "authentication error",    // the agent's key is unknown
	}
}

// about returns what the logs say of the capture that a fault names.
func (s *scene) about(fault string) string {
	var b strings.Builder
	for _, word := range strings.FieldsFunc(fault, func(r rune) bool { return r == ' ' || r == '(' || r == ')' || r == '"' || r == ':' }) {
		if gopprof.CheckID(word) != nil {
			continue
		}
		for _, name := range []string{"agent.log", "aggregator.log"} {
			log, _ := os.ReadFile(filepath.Join(s.Dir, name))
			for line := range strings.Lines(string(log)) {
				if strings.Contains(line, word) {
					fmt.Fprintf(&b, "\n\t%s: %s", name, strings.TrimSpace(line))
				}
			}
		}
	}
	return b.String()
}
