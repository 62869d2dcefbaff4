package alerts

import (
	"regexp"
	"slices"
	"strconv"

	"github.com/gopprof/gopprof/pkg/config"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/matcher"
)

// Config says what is captured when an alerting system tells of an alert.
type Config struct {
	// SecretFile holds a secret by which Alertmanager may tell of alerts: as a bearer token, or
	// as the password of basic authentication. It opens POST /api/v1/alerts and nothing else, and
	// is read again when it changes. At least 16 characters. A token of serve.tokens_file that may
	// profile will do as well.
	SecretFile config.SecretFile `yaml:"secret_file"`
	// Namespaces are those in which the secret lets pods be profiled. Empty is all.
	Namespaces []string `yaml:"namespaces"`
	// Kinds are the kinds of profiles that are taken where neither the alert's label nor a rule
	// names others.
	Kinds []gopprof.Kind `yaml:"kinds"`
	// Rules name other kinds for some alerts; the first that matches counts.
	Rules []Rule `yaml:"rules"`
	// MaxPods is the most pods that are profiled because of an alert that names a workload.
	MaxPods int `yaml:"max_pods"`
	// MaxPerNotification is the most alerts of one notification that are acted on; the rest is
	// refused as budget.
	MaxPerNotification int `yaml:"max_per_notification"`
	// Labels are the names of the labels that are looked at.
	Labels Labels `yaml:"labels"`
}

// Rule names the kinds of profiles that are taken for some alerts.
type Rule struct {
	// Matchers are conditions on the alert's labels, all of which it must meet: name="value", or
	// with !=, =~ and !~ (a regular expression of the whole value).
	Matchers []string `yaml:"matchers"`
	// Kinds are cpu, heap, allocs, goroutine, mutex, block or threadcreate.
	Kinds []gopprof.Kind `yaml:"kinds"`
}

// Labels are the names of the labels that say what is meant. Of several, the first that the
// alert has counts. The defaults are those of rules over cAdvisor and kube-state-metrics,
// whose own names go before those of whoever was scraped (exported_…).
type Labels struct {
	// Cluster is looked at where the aggregator serves several clusters under the names that it
	// knows them by. Default none.
	Cluster []string `yaml:"cluster"`
	// Namespace must be there, with a pod or a workload.
	Namespace []string `yaml:"namespace"`
	// Pod is the pod to profile; with it no workload is looked for.
	Pod []string `yaml:"pod"`
	// Container is looked at beside a pod, and may be absent.
	Container []string `yaml:"container"`
	// Deployment is a workload, of which max_pods pods are profiled.
	Deployment []string `yaml:"deployment"`
	// StatefulSet is one, too.
	StatefulSet []string `yaml:"statefulset"`
	// DaemonSet is one, too.
	DaemonSet []string `yaml:"daemonset"`
	// Workload is one, with its kind in WorkloadKind.
	Workload []string `yaml:"workload"`
	// WorkloadKind is the kind of Workload, such as deployment.
	WorkloadKind []string `yaml:"workload_kind"`
	// Kinds names the kinds of profiles to take, separated by commas: cpu,heap. Empty: no label
	// does.
	Kinds string `yaml:"kinds"`
}

// DefaultConfig returns the configuration of an aggregator that was told nothing: alerts are
// taken from who has a token that may profile.
func DefaultConfig() Config {
	return Config{
		Kinds:   []gopprof.Kind{gopprof.KindCPU, gopprof.KindHeap, gopprof.KindGoroutine},
		MaxPods: 3, MaxPerNotification: 20,
		Labels: Labels{
			Namespace: []string{"exported_namespace", "namespace"}, Pod: []string{"exported_pod", "pod"}, Container: []string{"exported_container", "container"},
			Deployment: []string{"deployment"}, StatefulSet: []string{"statefulset"}, DaemonSet: []string{"daemonset"},
			Workload: []string{"workload"}, WorkloadKind: []string{"workload_type", "workload_kind"}, Kinds: "gopprof_kinds",
		},
	}
}

// Check reports every setting that makes no sense.
func (c Config) Check(report func(key, problem string)) {
	if slices.Contains(c.Namespaces, "") || slices.Contains(c.Namespaces, "*") {
		report("namespaces", "must name namespaces; left out it is all")
	}
	if len(c.Namespaces) > 0 && c.SecretFile == "" {
		report("namespaces", "bounds what secret_file opens, and there is none")
	}
	checkKinds("kinds", c.Kinds, report)
	count(report, "max_pods", c.MaxPods, 100)
	count(report, "max_per_notification", c.MaxPerNotification, 500)
}

// Check reports every mistake of a rule.
func (r Rule) Check(report func(key, problem string)) {
	if len(r.Matchers) == 0 {
		report("matchers", "conditions must be given; what no rule matches has the kinds of alerts.kinds")
	}
	for i, text := range r.Matchers {
		if _, err := matcher.Parse(text); err != nil {
			report("matchers["+strconv.Itoa(i)+"]", err.Error())
		}
	}
	checkKinds("kinds", r.Kinds, report)
}

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// Check reports names that no label can have.
func (l Labels) Check(report func(key, problem string)) {
	for key, names := range map[string][]string{
		"cluster": l.Cluster, "namespace": l.Namespace, "pod": l.Pod, "container": l.Container, "deployment": l.Deployment,
		"statefulset": l.StatefulSet, "daemonset": l.DaemonSet, "workload": l.Workload, "workload_kind": l.WorkloadKind,
	} {
		for i, name := range names {
			if !labelName.MatchString(name) {
				report(key+"["+strconv.Itoa(i)+"]", "is no name of a label")
			}
		}
	}
	if l.Kinds != "" && !labelName.MatchString(l.Kinds) {
		report("kinds", "is no name of a label")
	}
	if len(l.Namespace) == 0 {
		report("namespace", "must name a label: pods are profiled in a namespace")
	}
}

func checkKinds(key string, kinds []gopprof.Kind, report func(key, problem string)) {
	if len(kinds) == 0 {
		report(key, "must name kinds of profiles")
	}
	for i, k := range kinds {
		if parsed, err := gopprof.ParseKind(string(k)); err != nil || parsed != k || k == gopprof.KindTrace {
			report(key+"["+strconv.Itoa(i)+"]", strconv.Quote(string(k))+" is none of cpu, heap, allocs, goroutine, mutex, block, threadcreate")
		}
	}
}

func count(report func(key, problem string), key string, n, most int) {
	if n < 1 || n > most {
		report(key, "must be from 1 to "+strconv.Itoa(most))
	}
}
