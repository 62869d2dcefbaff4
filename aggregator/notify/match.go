package notify

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Labels of a report, that routes match and groups are made by. A pod's own labels are not
// sent with its captures, so that they are not among them.
const (
	labelCluster      = "cluster"
	labelNode         = "node"
	labelNamespace    = "namespace"
	labelWorkload     = "workload"
	labelWorkloadKind = "workload_kind"
	labelPod          = "pod"
	labelContainer    = "container"
	labelOwner        = "owner"
	labelTrigger      = "trigger"
	labelRule         = "rule"
	labelAgreement    = "agreement"
	labelCause        = "cause"
	labelConfidence   = "confidence"
	labelScope        = "scope"
	labelIncident     = "incident"
	labelReport       = "report"
)

// labelNames lists every label.
func labelNames() []string {
	return []string{
		labelCluster, labelNode, labelNamespace, labelWorkload, labelWorkloadKind, labelPod, labelContainer, labelOwner,
		labelTrigger, labelRule, labelAgreement, labelCause, labelConfidence, labelScope, labelIncident, labelReport,
	}
}

// labels are a report's. The cause is the main one; what a report does not have is empty.
type labels map[string]string

func labelsOf(r gopprof.Report) labels {
	c, t := r.Capture, r.Capture.Target
	l := labels{
		labelCluster: t.Cluster, labelNode: t.Node, labelNamespace: t.Namespace, labelWorkload: t.Workload.Name, labelWorkloadKind: t.Workload.Kind,
		labelPod: t.Pod, labelContainer: t.Container, labelOwner: t.Owner, labelTrigger: string(c.Trigger.Kind),
		labelAgreement: string(c.Agreement.Result), labelIncident: c.Incident, labelReport: r.ID,
	}
	if e := c.Trigger.Evidence; e != nil {
		l[labelRule] = e.Rule
	}
	if v := r.Explanation.Verdict; v != nil {
		l[labelScope] = string(v.Scope)
		if len(v.Causes) > 0 {
			l[labelCause], l[labelConfidence] = string(v.Causes[0].Kind), string(v.Causes[0].Confidence)
		}
	}
	return l
}

// matcher is one condition on a label, as Alertmanager writes it: name="value", !=, =~ and
// !~ with an expression that must match the whole value.
type matcher struct {
	name, op, value string
	re              *regexp.Regexp // of =~ and !~
}

var matcherSyntax = regexp.MustCompile(`^\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*(.*?)\s*$`)

// parseMatcher reads a condition. Quotes around the value may be left out.
func parseMatcher(s string) (matcher, error) {
	parts := matcherSyntax.FindStringSubmatch(s)
	if parts == nil {
		return matcher{}, fmt.Errorf("must be name=\"value\", or with !=, =~ or !~")
	}
	m := matcher{name: parts[1], op: parts[2], value: parts[3]}
	if strings.HasPrefix(m.name, "label_") {
		return matcher{}, fmt.Errorf("pods' own labels are not sent with their captures: match namespace, workload or owner")
	}
	if !slices.Contains(labelNames(), m.name) {
		return matcher{}, fmt.Errorf("%q is none of %s", m.name, strings.Join(labelNames(), ", "))
	}
	if strings.HasPrefix(m.value, `"`) {
		value, err := strconv.Unquote(m.value)
		if err != nil {
			return matcher{}, fmt.Errorf("the value's quotes do not match")
		}
		m.value = value
	}
	if strings.HasSuffix(m.op, "~") {
		re, err := regexp.Compile("^(?:" + m.value + ")$")
		if err != nil {
			return matcher{}, fmt.Errorf("not a regular expression: %w", err)
		}
		m.re = re
	}
	return m, nil
}

func (m matcher) matches(l labels) bool {
	v := l[m.name]
	switch m.op {
	case "=":
		return v == m.value
	case "!=":
		return v != m.value
	case "=~":
		return m.re.MatchString(v)
	}
	return !m.re.MatchString(v)
}

func (m matcher) String() string { return m.name + m.op + strconv.Quote(m.value) }
