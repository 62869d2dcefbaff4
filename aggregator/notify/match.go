package notify

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/matcher"
)

// Labels of a report, that routes match and groups are made by, beside the pod's own.
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

// prefixPod begins the names of the pod's own labels, as those that kube-state-metrics gives
// them.
const prefixPod = "label_"

// labelNames lists every label that is not the pod's own.
func labelNames() []string {
	return []string{
		labelCluster, labelNode, labelNamespace, labelWorkload, labelWorkloadKind, labelPod, labelContainer, labelOwner,
		labelTrigger, labelRule, labelAgreement, labelCause, labelConfidence, labelScope, labelIncident, labelReport,
	}
}

// podLabel is the name of a pod's label: label_app_kubernetes_io_name is that of
// app.kubernetes.io/name. What may not stand in the name of a Prometheus label becomes _.
func podLabel(key string) string {
	return prefixPod + strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		}
		return '_'
	}, key)
}

// checkLabel refuses the name of a label that no report can have.
func checkLabel(name string) error {
	key, ofPod := strings.CutPrefix(name, prefixPod)
	switch {
	case ofPod && key != "" && podLabel(key) == name:
		return nil
	case ofPod && key != "":
		return fmt.Errorf("%q must be written %s", name, podLabel(key))
	case !slices.Contains(labelNames(), name):
		return fmt.Errorf("%q is none of %s, nor %s with the name of a pod's label", name, strings.Join(labelNames(), ", "), prefixPod)
	}
	return nil
}

// labels are a report's. The cause is the main one; what a report does not have is empty. Of
// labels of a pod that are named alike the first that has a value counts.
type labels map[string]string

func labelsOf(r gopprof.Report) labels {
	c, t, cause := r.Capture, r.Capture.Target, r.Explanation.Cause()
	l := labels{
		labelCluster: t.Cluster, labelNode: t.Node, labelNamespace: t.Namespace, labelWorkload: t.Workload.Name, labelWorkloadKind: t.Workload.Kind,
		labelPod: t.Pod, labelContainer: t.Container, labelOwner: t.Owner, labelTrigger: string(c.Trigger.Kind),
		labelAgreement: string(c.Agreement.Result), labelIncident: c.Incident, labelReport: r.ID,
		labelCause: string(cause.Kind), labelConfidence: string(cause.Confidence),
	}
	if e := c.Trigger.Evidence; e != nil {
		l[labelRule] = e.Rule
	}
	if v := r.Explanation.Verdict; v != nil {
		l[labelScope] = string(v.Scope)
	}
	for _, key := range slices.Sorted(maps.Keys(c.Labels)) {
		name := podLabel(key)
		l[name] = cmp.Or(l[name], c.Labels[key])
	}
	return l
}

// parseMatcher reads a condition on a report's labels.
func parseMatcher(s string) (matcher.Matcher, error) {
	m, err := matcher.Parse(s)
	if err == nil {
		return m, checkLabel(m.Name)
	}
	if name := strings.TrimSpace(s[:max(0, strings.IndexAny(s, "=!"))]); strings.HasPrefix(name, prefixPod) {
		err = cmp.Or(checkLabel(name), err) // it may stand there as in Kubernetes
	}
	return m, err
}
