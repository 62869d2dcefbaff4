package notify

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/matcher"
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

// parseMatcher reads a condition on a report's labels.
func parseMatcher(s string) (matcher.Matcher, error) {
	m, err := matcher.Parse(s)
	switch {
	case err != nil:
		return m, err
	case strings.HasPrefix(m.Name, "label_"):
		return m, errors.New("pods' own labels are not sent with their captures: match namespace, workload or owner")
	case !slices.Contains(labelNames(), m.Name):
		return m, fmt.Errorf("%q is none of %s", m.Name, strings.Join(labelNames(), ", "))
	}
	return m, nil
}
