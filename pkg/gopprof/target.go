package gopprof

import (
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Workload is what a pod belongs to. A Deployment and a StatefulSet may share a name, so
// the kind is part of the identity.
type Workload struct {
	Kind string `json:"kind"` // as Kubernetes spells it: "Deployment", "StatefulSet", …; "Host" outside Kubernetes
	Name string `json:"name"`
}

// String returns "kind/name", the form that logs and pages use.
func (w Workload) String() string { return w.Kind + "/" + w.Name }

// Endpoint is where a target serves net/http/pprof. It is kept in parts and never as one
// string: a path pasted into a URL can change its host ("@evil:80/x").
type Endpoint struct {
	Scheme string `json:"scheme"` // "http" or "https"
	Host   string `json:"host"`   // an IP address, or a host name for static targets
	Port   int    `json:"port"`
	Path   string `json:"path"` // "/debug/pprof": absolute, no query, no trailing slash
	// BearerTokenFile is a file of the agent's own whose token the endpoint asks for. Only
	// the agent's configuration may set it, and it is never sent on.
	BearerTokenFile string `json:"-"`
}

// URL returns the address of one page below the endpoint, built from parts only.
func (e Endpoint) URL(page string, query url.Values) *url.URL {
	return &url.URL{
		Scheme:   e.Scheme,
		Host:     net.JoinHostPort(e.Host, strconv.Itoa(e.Port)),
		Path:     e.Path + "/" + page,
		RawQuery: query.Encode(),
	}
}

// Counter is a counter of the requests that a target has served, which it shows as
// Prometheus metrics on the address of its endpoint. It means something to the target's own
// node only, so it is never sent. The zero Counter is none.
type Counter struct {
	Metric string // its name: "http_requests_total"; the sum of all its labels' values counts
	Port   int    // 0: the endpoint's
	Path   string // "/metrics"
}

// On returns where the counter is shown by a target with this endpoint: its Path is the whole
// path. The endpoint's token is for its own port.
func (c Counter) On(e Endpoint) Endpoint {
	if c.Port != 0 && c.Port != e.Port {
		e.Port, e.BearerTokenFile = c.Port, ""
	}
	e.Path = c.Path
	return e
}

// Cgroup names the control group of a target: by its path below the cgroup root (the same
// path in every v1 hierarchy), by a process that lives in it, or, when both are empty, by
// the target's container ID and pod UID, under which the kubelet made it. It means
// something on the target's own node only, so it is never sent.
type Cgroup struct {
	Path string
	PID  int
	// PodUID is the UID that the kubelet knows the pod by, where it is not the target's: a
	// static pod has another one in the API.
	PodUID string
	// Instance tells the cgroup that was looked at from one made later under the same name;
	// 0 when nobody has looked.
	Instance uint64
}

// Runtime is what a container's environment tells the Go runtime, as it is written there;
// empty when it is not set, or set where nobody can see it.
type Runtime struct {
	GOGC       string `json:"gogc,omitempty"`
	GOMEMLIMIT string `json:"gomemlimit,omitempty"`
	GOMAXPROCS string `json:"gomaxprocs,omitempty"`
}

// Target is one container that may be profiled.
type Target struct {
	Cluster     string   `json:"cluster"`
	Node        string   `json:"node"`
	Namespace   string   `json:"namespace"`
	Workload    Workload `json:"workload"`
	Pod         string   `json:"pod"` // the host's name outside Kubernetes
	PodUID      string   `json:"podUID,omitempty"`
	Container   string   `json:"container"`
	ContainerID string   `json:"containerID,omitempty"`
	Image       string   `json:"image,omitempty"`
	// Build tells builds of a workload apart: the pod-template-hash or the
	// controller-revision-hash of its pod. Empty when unknown; the image tells then.
	Build string `json:"build,omitempty"`
	// Runtime is what the Go runtime was told, as far as it can be seen from outside.
	Runtime  Runtime  `json:"runtime,omitzero"`
	Owner    string   `json:"owner,omitempty"` // who is told; a key of notify's routes
	Endpoint Endpoint `json:"endpoint"`
	Cgroup   Cgroup   `json:"-"`

	// What follows is the node's own business and never sent.

	// Counter counts the target's requests, if it is known.
	Counter Counter `json:"-"`

	// Labels are the pod's, as JoinLabels writes them; they are told with the node's state
	// and with captures.
	Labels string `json:"-"`
	// ByHand is a target that nobody watches, because its cgroup is not this node's.
	ByHand bool `json:"-"`
	// Rules are the names of the rules that the target is judged by, separated by commas;
	// empty is all of them.
	Rules string `json:"-"`
	// Started is when the container started, if that is known. Series under the same name
	// from before are somebody else's.
	Started time.Time `json:"-"`
	// CPURequestCores and MemoryRequestBytes are what the container asks the scheduler for;
	// 0 is nothing.
	CPURequestCores    float64 `json:"-"`
	MemoryRequestBytes float64 `json:"-"`
}

// Follows tells whether the target is judged by the rule of that name.
func (t Target) Follows(rule string) bool {
	if t.Rules == "" {
		return true
	}
	for name := range strings.SplitSeq(t.Rules, ",") {
		if name == rule {
			return true
		}
	}
	return false
}

// Key identifies the target on its node for as long as its pod lives: a pod recreated
// under the same name has another UID and so another key.
func (t Target) Key() string {
	k := t.Namespace + "/" + t.Pod + "/" + t.Container
	if t.PodUID != "" {
		k += "@" + t.PodUID
	}
	return k
}

// SameBuild tells whether two targets of one workload run the same code, as far as can be
// seen: their builds, or where those are unknown their images, are the same and known.
func (t Target) SameBuild(o Target) bool {
	if t.Build != "" || o.Build != "" {
		return t.Build == o.Build
	}
	return t.Image != "" && t.Image == o.Image
}

// Series identifies the target in Heapster's series, which know no UID.
func (t Target) Series() SeriesKey { return SeriesKey{t.Namespace, t.Pod, t.Container} }

// SeriesKey names one container in Heapster's series.
type SeriesKey struct {
	Namespace string
	Pod       string
	Container string
}

// Refusal is a target that was found and may not be profiled, with the reason.
type Refusal struct {
	Target Target `json:"target"`
	Reason Reason `json:"reason"`
	Detail string `json:"detail,omitempty"` // what to change, for a person
}
