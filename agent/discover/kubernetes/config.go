package kubernetes

import (
	"fmt"
	"path/filepath"
	"regexp"

	"k8s.io/apimachinery/pkg/labels"
)

// Config says which pods of this node may be profiled.
//
// A pod opts in by the annotation gopprof.io/enabled: "true". Where its net/http/pprof is
// found is said by gopprof.io/port, a number, or gopprof.io/port-name, the name of a
// container port; without either it is the container port named pprof, else 6060. Further
// annotations: gopprof.io/path (default /debug/pprof), gopprof.io/scheme (http or https,
// default http), gopprof.io/container (which container it is, when several could be
// meant), gopprof.io/owner (who is told) and gopprof.io/rules (cpu, memory, throttled,
// separated by commas: the only rules by which it is judged). gopprof.io/requests-metric is
// the name of a counter of requests among the Prometheus metrics that the pod shows at
// gopprof.io/metrics-path (default /metrics) on gopprof.io/metrics-port (default that of
// net/http/pprof): it is read before and after a CPU profile, and reports tell what a request
// costs. gopprof.io/enabled: "false" keeps a pod out, whatever else says that it is in. A pod
// whose labels, containers and annotations that are read here take more than 32 KiB is not
// profiled, reason bad_input.
//
// The agent needs the rights get, list and watch on pods, and no other.
type Config struct {
	// Enabled switches it on: targets are the pods of the node that bears the agent's node
	// name.
	Enabled bool `yaml:"enabled"`
	// Kubeconfig is a file that says how to reach the API server, for development. Default
	// empty: as the service account of the agent's own pod.
	Kubeconfig string `yaml:"kubeconfig"`
	// Selector is a label selector, such as "team=shop,tier in (web, api)": pods that match
	// it are in without an annotation. Default empty: none, unless namespaces are listed.
	Selector string `yaml:"selector"`
	// Namespaces are those in which the selector holds; without a selector, all of their
	// pods are in without an annotation. Default empty: the selector holds everywhere.
	Namespaces []string `yaml:"namespaces"`
	// HostNetwork lets pods be profiled that share the node's network: then the agent dials
	// ports of the node itself, as the pod's annotations say. Default false, reason
	// host_network.
	HostNetwork bool `yaml:"host_network"`
	// PeerAnnotations reads the annotations of other profilers where a pod has none of
	// ours: profiles.grafana.com/cpu.scrape and memory.scrape with port, port_name, path and
	// scheme, profefe.com/enable, port and path, pyroscope.io/scrape, port, scheme and
	// profile-cpu-path. Default true.
	PeerAnnotations bool `yaml:"peer_annotations"`
}

// DefaultConfig is off.
func DefaultConfig() Config { return Config{PeerAnnotations: true} }

// namespaceName is what the API server accepts as one (RFC 1123).
var namespaceName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Check reports what makes no sense.
func (c Config) Check(report func(key, problem string)) {
	if c.Kubeconfig != "" && !filepath.IsAbs(c.Kubeconfig) {
		report("kubeconfig", "must be an absolute path")
	}
	if _, err := labels.Parse(c.Selector); err != nil {
		report("selector", err.Error())
	}
	for i, name := range c.Namespaces {
		if !namespaceName.MatchString(name) {
			report(fmt.Sprintf("namespaces[%d]", i), fmt.Sprintf("%q is not a namespace's name", name))
		}
	}
}
