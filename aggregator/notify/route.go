package notify

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/matcher"
)

// Why a report is told to nobody: values of a metric's label.
const (
	silentContradicted = "contradicted"
	silentTrigger      = "trigger"
	silentNoReceiver   = "no_receiver"
)

// timing says when the messages of a group go out.
type timing struct {
	Wait       time.Duration `json:"wait"`     // from the first report to its message
	Interval   time.Duration `json:"interval"` // between messages about further pods
	Repeat     time.Duration `json:"repeat"`   // until the same pods are told of again
	EndAfter   time.Duration `json:"endAfter"` // without a report, until it is over
	NoFollowUp bool          `json:"noFollowUp,omitempty"`
	Renew      bool          `json:"renew,omitempty"` // what is told ends by itself, unless it is told again
}

// node is a route of the tree, with what it inherits.
type node struct {
	Route
	name     string // by its conditions: the same for as long as they are
	matchers []matcher.Matcher
	groupBy  []string
	timing   timing
	below    []*node
}

// newTree returns the root: the default route, with all others below it. The configuration
// must have passed Check.
func newTree(c Config) *node {
	root := newNode(Route{Telling: c.Default}, node{groupBy: []string{labelIncident}, timing: defaultTiming})
	for _, r := range c.Routes {
		root.below = append(root.below, newNode(r, *root))
	}
	return root
}

func newNode(r Route, parent node) *node {
	n := &node{Route: r, groupBy: r.GroupBy, timing: timing{
		Wait: cmp.Or(r.GroupWait, parent.timing.Wait), Interval: cmp.Or(r.GroupInterval, parent.timing.Interval),
		Repeat: cmp.Or(r.RepeatInterval, parent.timing.Repeat), EndAfter: cmp.Or(r.EndAfter, parent.timing.EndAfter),
		NoFollowUp: r.NoFollowUp || parent.timing.NoFollowUp,
	}}
	if len(n.groupBy) == 0 {
		n.groupBy = parent.groupBy
	}
	if r.Owner != "" {
		n.matchers = append(n.matchers, matcher.Matcher{Name: labelOwner, Op: matcher.Equal, Value: r.Owner})
	}
	for _, text := range r.Matchers {
		if m, err := parseMatcher(text); err == nil {
			n.matchers = append(n.matchers, m)
		}
	}
	n.name = parent.name + "/"
	for _, m := range n.matchers {
		n.name += m.String() + ","
	}
	for _, b := range r.Routes {
		n.below = append(n.below, newNode(b, *n))
	}
	return n
}

func (n *node) matches(l labels) bool {
	return matcher.All(n.matchers, l)
}

// find returns the routes of a report: of those that match, the first at each level, and the
// next ones for as long as the one before says continue; a route itself only where none
// below it matches.
func (n *node) find(l labels) []*node {
	if !n.matches(l) {
		return nil
	}
	var all []*node
	for _, b := range n.below {
		found := b.find(l)
		all = append(all, found...)
		if len(found) > 0 && !b.Continue {
			break
		}
	}
	if len(all) == 0 {
		all = append(all, n)
	}
	return all
}

// silence is why a route tells nobody of a report; "" when it tells.
func (n *node) silence(r gopprof.Report) string {
	switch {
	case len(n.Receivers) == 0:
		return silentNoReceiver
	case !slices.Contains(n.told(), r.Capture.Trigger.Kind):
		return silentTrigger
	case r.Capture.Agreement.Result == gopprof.AgreementContradicted && !n.Contradicted:
		return silentContradicted
	}
	return ""
}

// told are the triggers of which reports a route tells.
func (r Telling) told() []gopprof.TriggerKind {
	if len(r.Triggers) == 0 {
		return toldByDefault
	}
	return r.Triggers
}

// way is a receiver of a report, by the first route that leads there.
type way struct {
	receiver string
	route    *node
}

// route returns who is told of a report, or why nobody is.
func (n *node) route(r gopprof.Report) (ways []way, silence string) {
	for _, found := range n.find(labelsOf(r)) {
		if why := found.silence(r); why != "" {
			silence = cmp.Or(silence, why)
			continue
		}
		for _, name := range found.Receivers {
			if !slices.ContainsFunc(ways, func(w way) bool { return w.receiver == name }) {
				ways = append(ways, way{name, found})
			}
		}
	}
	if len(ways) > 0 {
		return ways, ""
	}
	return nil, silence
}

// group says what a report has in common with the others of its group. One without incident
// is an incident of its own.
func (n *node) group(l labels) string {
	var all []string
	for _, name := range n.groupBy {
		value := Clean(l[name], maxName)
		if name == labelIncident && value == "" {
			value = Clean(l[labelReport], maxName)
		}
		all = append(all, name+"="+value)
	}
	return strings.Join(all, ", ")
}
