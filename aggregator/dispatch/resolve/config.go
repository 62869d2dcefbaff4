package resolve

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Config says how the owner of a pod is found where its annotation gopprof.io/owner does
// not name one, and what stands beside a report.
type Config struct {
	// Labels whose value is the owner, the first that is there counts. Those of a pod are asked
	// before workloads, those of its namespace last, after its annotation gopprof.io/owner.
	// Default gopprof.io/owner.
	OwnerLabels []string `yaml:"owner_labels"`
	// Owners of workloads, the first that fits counts. Default: none.
	Workloads []WorkloadOwner `yaml:"workloads"`
	// Links that stand beside every report of a pod; its annotations gopprof.io/link-NAME, and
	// those of its namespace, add to them and go before them. Default: none.
	Links []Link `yaml:"links"`
	// How long what a pod's and a namespace's annotations said is believed. Default 5m.
	CacheFor time.Duration `yaml:"cache_for"`
	// How many pods are remembered; a thousand take about a megabyte. Default 10000.
	CachePods int `yaml:"cache_pods"`
	// How long one question to the API server may take; after it the report goes out with
	// what its agent knew. Default 2s.
	Timeout time.Duration `yaml:"timeout"`
}

// WorkloadOwner names the owner of workloads.
type WorkloadOwner struct {
	// Namespace of the workloads; "*" stands for any text. Default: any.
	Namespace string `yaml:"namespace"`
	// Kind of the workloads as Kubernetes spells it, such as Deployment. Default: any.
	Kind string `yaml:"kind"`
	// Name of the workloads; "*" stands for any text. Default: any.
	Name string `yaml:"name"`
	// Owner is who is told, a key of notify's routes.
	Owner string `yaml:"owner"`
}

// Link is an address that is made for each pod.
type Link struct {
	// Name under which the link stands, such as dashboard.
	Name string `yaml:"name"`
	// Address, in which {cluster}, {node}, {namespace}, {kind}, {workload}, {pod} and
	// {container} stand for those of the pod.
	URL string `yaml:"url"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{OwnerLabels: []string{annotationOwner}, CacheFor: 5 * time.Minute, CachePods: 10_000, Timeout: 2 * time.Second}
}

var (
	linkName    = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,38}[A-Za-z0-9])?$`)
	placeholder = regexp.MustCompile(`\{[^{}]*\}`)
)

// Check reports every mistake.
func (c Config) Check(report func(key, problem string)) {
	for i, w := range c.Workloads {
		w.check(func(key, problem string) { report(fmt.Sprintf("workloads[%d].%s", i, key), problem) })
	}
	if len(c.Links) > maxLinks {
		report("links", fmt.Sprintf("must be %d at most", maxLinks))
	}
	for i, l := range c.Links {
		l.check(func(key, problem string) { report(fmt.Sprintf("links[%d].%s", i, key), problem) })
	}
	if c.CacheFor <= 0 {
		report("cache_for", "must be more than 0")
	}
	if c.CachePods < 1 {
		report("cache_pods", "must be 1 or more")
	}
	if c.Timeout <= 0 || c.Timeout > 30*time.Second {
		report("timeout", "must be more than 0 and at most 30s: reports wait for it")
	}
}

func (w WorkloadOwner) check(report func(key, problem string)) {
	if !validOwner(w.Owner) {
		report("owner", "must be named, in at most 253 printable characters")
	}
	if _, err := path.Match(w.Namespace, ""); err != nil {
		report("namespace", "is no pattern")
	}
	if _, err := path.Match(w.Name, ""); err != nil {
		report("name", "is no pattern")
	}
}

func (l Link) check(report func(key, problem string)) {
	if !linkName.MatchString(l.Name) {
		report("name", "must be letters, digits, dots, dashes and underscores, 40 at most")
	}
	for _, p := range placeholder.FindAllString(l.URL, -1) {
		if _, known := places(gopprof.Target{})[strings.Trim(p, "{}")]; !known {
			report("url", p+" stands for nothing")
		}
	}
	if l.of(gopprof.Target{}) == "" {
		report("url", "must be an address such as https://grafana.example/d/pods?var-pod={pod}")
	}
}
