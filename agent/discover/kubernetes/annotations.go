package kubernetes

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Our own annotations.
const (
	annotationEnabled   = "gopprof.io/enabled"
	annotationPort      = "gopprof.io/port"
	annotationPortName  = "gopprof.io/port-name"
	annotationPath      = "gopprof.io/path"
	annotationScheme    = "gopprof.io/scheme"
	annotationContainer = "gopprof.io/container"
	annotationOwner     = "gopprof.io/owner"
	annotationRules     = "gopprof.io/rules"

	annotationRequestsMetric = "gopprof.io/requests-metric"
	annotationMetricsPort    = "gopprof.io/metrics-port"
	annotationMetricsPath    = "gopprof.io/metrics-path"
)

// Annotations of Kubernetes itself.
const (
	// annotationDefaultContainer names the container that kubectl means by default.
	annotationDefaultContainer = "kubectl.kubernetes.io/default-container"
	// annotationMirror is set by the kubelet on what the API shows of a static pod. Its
	// value is the UID by which the kubelet knows that pod.
	annotationMirror = "kubernetes.io/config.mirror"
)

// peers lists other profilers' annotations that mean the same as ours, those first that
// are asked first: Grafana's (Alloy, and the Pyroscope and Kubernetes Monitoring charts),
// kube-profefe's, and Pyroscope's from before it was Grafana's.
func peers(own string) []string {
	switch own {
	case annotationEnabled:
		return []string{"profiles.grafana.com/cpu.scrape", "profiles.grafana.com/memory.scrape", "profefe.com/enable", "pyroscope.io/scrape"}
	case annotationPort:
		return []string{"profiles.grafana.com/cpu.port", "profiles.grafana.com/memory.port", "profefe.com/port", "pyroscope.io/port"}
	case annotationPortName:
		return []string{"profiles.grafana.com/cpu.port_name", "profiles.grafana.com/memory.port_name"}
	case annotationPath:
		return []string{"profiles.grafana.com/cpu.path", "profiles.grafana.com/memory.path", "profefe.com/path", "pyroscope.io/profile-cpu-path", "pyroscope.io/profile-mem-path"}
	case annotationScheme:
		return []string{"profiles.grafana.com/cpu.scheme", "profiles.grafana.com/memory.scheme", "pyroscope.io/scheme"}
	}
	return nil
}

// ours keeps the annotations that are read here.
func ours(all map[string]string) map[string]string {
	var kept map[string]string
	for key, value := range all {
		prefix, _, _ := strings.Cut(key, "/")
		switch prefix {
		case "gopprof.io", "profiles.grafana.com", "profefe.com", "pyroscope.io":
		default:
			if key != annotationDefaultContainer && key != annotationMirror {
				continue
			}
		}
		if kept == nil {
			kept = make(map[string]string)
		}
		kept[key] = value
	}
	return kept
}

// said is one annotation's value and the annotation that it is from.
type said struct{ key, value string }

// wrong says what is wrong with it, with little of its value.
func (s said) wrong(problem string) string {
	return fmt.Sprintf("annotation %s is %q: %s", s.key, clip(s.value), problem)
}

func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}

// annotations are a pod's, with or without those of other profilers.
type annotations struct {
	of    map[string]string
	peers bool
}

// get returns what our annotation, or the first peer's that there is, says.
func (a annotations) get(own string) (said, bool) {
	if value, ok := a.of[own]; ok {
		return said{own, value}, true
	}
	if !a.peers {
		return said{}, false
	}
	for _, key := range peers(own) {
		if value, ok := a.of[key]; ok {
			return said{key, value}, true
		}
	}
	return said{}, false
}

// enabled tells whether the annotations opt the pod in; decided is false where they are
// silent. Of the peers' one that says true is enough: each is about one kind of profile.
func (a annotations) enabled() (in, decided bool, problem string) {
	if value, ok := a.of[annotationEnabled]; ok {
		in, err := strconv.ParseBool(value)
		if err != nil {
			return false, true, said{annotationEnabled, value}.wrong(`must be "true" or "false"`)
		}
		return in, true, ""
	}
	if a.peers {
		for _, key := range peers(annotationEnabled) {
			if a.of[key] == "true" { // all three compare with this very word
				return true, true, ""
			}
		}
	}
	return false, false, ""
}

// pathOf returns the path under which all pages lie. Peers name the page of one kind of
// profile, which is left off.
func pathOf(s said) string {
	if s.key == annotationPath {
		return strings.TrimSuffix(s.value, "/")
	}
	base := path.Base(s.value)
	if slices.Contains([]string{"profile", "heap", "allocs", "delta_heap"}, base) {
		return strings.TrimSuffix(s.value, "/"+base)
	}
	return strings.TrimSuffix(s.value, "/")
}

// optIn is what the agent's configuration says of pods without annotations.
type optIn struct {
	selector   labels.Selector
	namespaces []string
}

func newOptIn(cfg Config) (optIn, error) {
	o := optIn{selector: labels.Nothing(), namespaces: cfg.Namespaces}
	if cfg.Selector == "" && len(cfg.Namespaces) == 0 {
		return o, nil
	}
	var err error
	if o.selector, err = labels.Parse(cfg.Selector); err != nil { // an empty one selects everything
		return o, fmt.Errorf("label selector %q: %w", cfg.Selector, err)
	}
	return o, nil
}

func (o optIn) holds(pod *corev1.Pod) bool {
	return (len(o.namespaces) == 0 || slices.Contains(o.namespaces, pod.Namespace)) && o.selector.Matches(labels.Set(pod.Labels))
}
