package static

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"

	"github.com/gopprof/gopprof/agent/discover"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// File is the targets file: the Go programs of this host that may be profiled.
type File struct {
	// Targets are the programs.
	Targets []Entry `yaml:"targets"`

	node discover.Node // whose name stands in for pods that have none
}

// Entry is one program. Exactly one of cgroup, pid and pid_file says what it uses, unless it
// is profiled by hand only.
type Entry struct {
	// Namespace is the group that the program belongs to, as in Kubernetes: a team, a
	// product, an environment. Required.
	Namespace string `yaml:"namespace"`
	// Workload is the service's name, the same on every host that runs it. Required.
	Workload string `yaml:"workload"`
	// WorkloadKind is the sort of workload. Default "Host".
	WorkloadKind string `yaml:"workload_kind"`
	// Pod is the name of this one instance. Default: the agent's node.
	Pod string `yaml:"pod"`
	// Container tells apart the programs of one pod. Default: the workload's name.
	Container string `yaml:"container"`
	// Image is the program's version, as an image names a container's: "checkout:1.4". Without
	// build it tells which instances run the same code. Default: not known.
	Image string `yaml:"image"`
	// Build tells the builds of one workload apart, as a pod-template-hash does: a commit, a
	// version. Only instances of one build are compared with each other. Letters, digits and
	// . _ - up to 63. Default: the image tells.
	Build string `yaml:"build"`
	// RequestsMetric is a counter of requests among the Prometheus metrics that the program
	// shows, such as http_requests_total: it is read before and after a CPU profile, and
	// reports tell what a request costs. Default: none.
	RequestsMetric string `yaml:"requests_metric"`
	// MetricsPort is the port of those metrics. Default: that of pprof.
	MetricsPort int `yaml:"metrics_port"`
	// MetricsPath is their path. Default: /metrics.
	MetricsPath string `yaml:"metrics_path"`
	// Runtime is what the program's environment tells the Go runtime.
	Runtime Runtime `yaml:"runtime"`
	// Labels are what selectors find the program by, and routes match its reports by, as a pod's
	// are: {tier: front}. Keys and values are as in Kubernetes.
	Labels map[string]string `yaml:"labels"`
	// Owner is who is told, a key of the aggregator's routes. Default: nobody in
	// particular.
	Owner string `yaml:"owner"`
	// Pprof is the URL at which the program serves net/http/pprof: http or https, host,
	// port, path. The path may be left out when it is /debug/pprof. Required.
	Pprof string `yaml:"pprof"`
	// BearerTokenFile is a file with a token that the program asks for before it shows
	// net/http/pprof, as kube-apiserver does. It is read for each profile, and its token sent
	// by https only, with a certificate that take.tls accepts, or to a loopback address.
	BearerTokenFile string `yaml:"bearer_token_file"`
	// Cgroup is the program's control group, below the cgroup root:
	// "/system.slice/checkout.service".
	Cgroup string `yaml:"cgroup"`
	// PID is a process in the program's control group. It is worth something until the
	// process ends only; prefer one of the other two.
	PID int `yaml:"pid"`
	// PIDFile is a file that holds such a PID, read again when it changes.
	PIDFile string `yaml:"pid_file"`
	// ByHand is a program whose control group is not on this host, such as the API server of a
	// managed cluster: nobody watches it, and whoever asks for its profile gets it. Default
	// false.
	ByHand bool `yaml:"by_hand"`
}

// Runtime is what the Go runtime was told, as the variables are set: reports say it where it
// matters.
type Runtime struct {
	// GOGC is that variable's value: 100, off. Default: not known.
	GOGC string `yaml:"gogc"`
	// GOMEMLIMIT is that variable's value: 400MiB. Default: not known.
	GOMEMLIMIT string `yaml:"gomemlimit"`
	// GOMAXPROCS is that variable's value: 2. Default: not known.
	GOMAXPROCS string `yaml:"gomaxprocs"`
}

// Check reports what no such variable is set to.
func (r Runtime) Check(report func(key, problem string)) {
	for _, v := range []struct{ key, value string }{{"gogc", r.GOGC}, {"gomemlimit", r.GOMEMLIMIT}, {"gomaxprocs", r.GOMAXPROCS}} {
		if v.value != "" && !discover.IsRuntimeSetting(v.value) {
			report(v.key, "may hold up to 32 letters, digits and . + - only")
		}
	}
}

// name is what may stand in names, which become parts of file names, subjects and pages.
var name = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9._-]*[a-zA-Z0-9])?$`)

// maxPID is the kernel's highest bound of process IDs, PID_MAX_LIMIT (proc(5)).
const maxPID = 1 << 22

// Check reports what makes no sense in one entry.
func (e Entry) Check(report func(key, problem string)) {
	checkName(report, "namespace", e.Namespace, true)
	checkName(report, "workload", e.Workload, true)
	checkName(report, "workload_kind", e.WorkloadKind, false)
	checkName(report, "pod", e.Pod, false)
	checkName(report, "container", e.Container, false)
	if _, ok := gopprof.JoinLabels(e.Labels); !ok {
		report("labels", "are too many, too long, or hold a comma, an equals sign or what cannot be printed")
	}
	if err := checkText(e.Owner); err != nil {
		report("owner", err.Error())
	}
	if err := checkText(e.Image); err != nil {
		report("image", err.Error())
	}
	if e.Build != "" && !discover.IsBuild(e.Build) {
		report("build", "may hold up to 63 letters, digits and . _ - only, the latter not at its ends")
	}
	if e.Pprof == "" {
		report("pprof", "is required")
	} else if endpoint, err := parseURL(e.Pprof); err != nil {
		report("pprof", err.Error())
	} else {
		e.checkToken(report, endpoint)
	}
	e.checkCgroup(report)
	e.checkCounter(report)
}

// counter is where the program counts its requests; none without a name.
func (e Entry) counter() gopprof.Counter {
	if e.RequestsMetric == "" {
		return gopprof.Counter{}
	}
	return gopprof.Counter{Metric: e.RequestsMetric, Port: e.MetricsPort, Path: either(e.MetricsPath, discover.DefaultMetricsPath)}
}

func (e Entry) checkCounter(report func(key, problem string)) {
	c := e.counter()
	if c == (gopprof.Counter{}) {
		if e.MetricsPort != 0 || e.MetricsPath != "" {
			report("requests_metric", "is missing: metrics_port and metrics_path say where it is shown")
		}
		return
	}
	if err := discover.CheckCounter(c); err != nil {
		report("requests_metric", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
}

func (e Entry) checkToken(report func(key, problem string), endpoint gopprof.Endpoint) {
	if e.BearerTokenFile == "" {
		return
	}
	if !filepath.IsAbs(e.BearerTokenFile) {
		report("bearer_token_file", "must be an absolute path")
	}
	ip, err := netip.ParseAddr(endpoint.Host)
	if endpoint.Scheme != "https" && (err != nil || !ip.Unmap().IsLoopback()) {
		report("bearer_token_file", "needs an https URL, or a loopback address: the token could be read on its way")
	}
}

func (e Entry) checkCgroup(report func(key, problem string)) {
	named := 0
	if e.Cgroup != "" {
		named++
		if !path.IsAbs(e.Cgroup) || path.Clean(e.Cgroup) != e.Cgroup || e.Cgroup == "/" {
			report("cgroup", `must be a path below the cgroup root, like "/system.slice/checkout.service"`)
		}
	}
	if e.PID != 0 {
		named++
		if e.PID < 0 || e.PID > maxPID {
			report("pid", "is not a process ID")
		}
	}
	if e.PIDFile != "" {
		named++
		if !filepath.IsAbs(e.PIDFile) {
			report("pid_file", "must be an absolute path")
		}
	}
	switch {
	case e.ByHand && named > 0:
		report("by_hand", "goes without cgroup, pid and pid_file: leave out the one or the other")
	case e.ByHand:
	case named == 0:
		report("pid", "is missing: one of cgroup, pid and pid_file is required, or by_hand: true")
	case named > 1:
		report("", "has more than one of cgroup, pid and pid_file")
	}
}

func checkName(report func(key, problem string), key, value string, required bool) {
	switch {
	case value == "" && required:
		report(key, "is required")
	case value == "":
	case len(value) > 253:
		report(key, "is longer than 253 bytes")
	case !name.MatchString(value):
		report(key, "may hold letters, digits and . _ - only, the latter not at its ends")
	}
}

// checkText is for what is shown, and never part of a name.
func checkText(text string) error {
	if len(text) > 253 {
		return errors.New("is longer than 253 bytes")
	}
	for _, r := range text {
		if !unicode.IsPrint(r) {
			return errors.New("holds characters that cannot be printed")
		}
	}
	return nil
}

// Check reports targets that cannot be told apart: by name, or because they are the same
// process.
func (f File) Check(report func(key, problem string)) {
	names, endpoints := map[string]int{}, map[gopprof.Endpoint]int{}
	for i, e := range f.Targets {
		t, err := e.target(f.node)
		if err != nil {
			continue // reported by the entry
		}
		key := fmt.Sprintf("targets[%d]", i)
		if first, again := names[t.Key()]; again {
			report(key, fmt.Sprintf("has the same namespace, pod and container as targets[%d]", first))
		} else {
			names[t.Key()] = i
		}
		process := t.Endpoint
		process.BearerTokenFile = ""
		if first, again := endpoints[process]; again {
			report(key+".pprof", fmt.Sprintf("is the same as that of targets[%d]", first))
		} else {
			endpoints[process] = i
		}
	}
}

// target returns the entry as a target, without the process of its PID file.
func (e Entry) target(node discover.Node) (gopprof.Target, error) {
	endpoint, err := parseURL(e.Pprof)
	if err != nil {
		return gopprof.Target{}, err
	}
	endpoint.BearerTokenFile = e.BearerTokenFile
	labels, _ := gopprof.JoinLabels(e.Labels) // checked
	return gopprof.Target{
		Cluster: node.Cluster, Node: node.Name,
		Namespace: e.Namespace,
		Workload:  gopprof.Workload{Kind: either(e.WorkloadKind, "Host"), Name: e.Workload},
		Pod:       either(e.Pod, node.Name),
		Container: either(e.Container, e.Workload),
		Image:     e.Image,
		Build:     e.Build,
		Runtime:   gopprof.Runtime(e.Runtime),
		Owner:     e.Owner,
		Counter:   e.counter(),
		Labels:    labels,
		Endpoint:  endpoint,
		Cgroup:    gopprof.Cgroup{Path: e.Cgroup, PID: e.PID},
		ByHand:    e.ByHand,
	}, nil
}

func either(value, otherwise string) string {
	if value != "" {
		return value
	}
	return otherwise
}
