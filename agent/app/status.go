package app

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/gopprof/gopprof/agent/judge"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// shownWindows is how many windows of each witness the state of a target holds.
const shownWindows = 2

// state answers what the agent knows of its targets: for the status port and, every half
// minute, for the aggregator.
type state struct {
	cluster, node, version string

	discover discoverer
	local    judge.Source
	gone     func(key string) (detail string, gone bool)
	judge    *judge.Judge
	witness  *secondWitness
	paused   func() bool
	window   time.Duration // length of the local windows that are shown
	now      func() time.Time
}

// Now returns the state of this moment.
func (s *state) Now() gopprof.NodeState {
	snapshot := s.discover.Snapshot()
	series := s.witness.Answers()
	node := gopprof.NodeState{
		Cluster: s.cluster, Node: s.node, At: s.now(), Version: s.version, Paused: s.paused(),
		Targets: make([]gopprof.TargetState, 0, len(snapshot.Targets)), Refused: snapshot.Refused,
	}
	for _, t := range snapshot.Targets {
		detail, gone := s.gone(t.Key())
		if t.ByHand {
			detail = "profiled by hand only: nobody watches it"
		}
		node.Targets = append(node.Targets, gopprof.TargetState{
			Target: t, Gone: gone, Detail: detail, Labels: gopprof.SplitLabels(t.Labels),
			Local:  s.local.Windows(t.Key(), s.window, shownWindows),
			Series: newest(own(t, series[t.Series()]), shownWindows),
			Rules:  s.judge.States(t.Key()),
		})
	}
	return node
}

func newest(windows []gopprof.Window, n int) []gopprof.Window {
	return windows[max(0, len(windows)-n):]
}

// ServeHTTP answers GET /status with the state as JSON.
func (s *state) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(s.Now()) // the caller went away
}

// shown returns the window length that the state shows: the first rule's.
func shown(rules []gopprof.Rule) time.Duration {
	if len(rules) == 0 {
		return time.Minute
	}
	return rules[0].Window
}
