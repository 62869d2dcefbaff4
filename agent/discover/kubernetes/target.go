package kubernetes

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"

	"github.com/gopprof/gopprof/agent/discover"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
)

// defaultPort is where the Go community serves net/http/pprof when nothing else is said.
const defaultPort = 6060

// portName is the name of the container port that serves net/http/pprof.
const portName = "pprof"

// found is one opted-in pod: a target, or one that is refused.
type found struct {
	target gopprof.Target
	reason gopprof.Reason // empty: it may be profiled
	detail string
}

// sorted returns the pods as a list in the order of their keys.
func sorted(all map[string]found) discover.Snapshot {
	var s discover.Snapshot
	for _, key := range slices.Sorted(maps.Keys(all)) {
		f := all[key]
		if f.reason == "" {
			s.Targets = append(s.Targets, f.target)
			continue
		}
		s.Refused = append(s.Refused, gopprof.Refusal{Target: f.target, Reason: f.reason, Detail: f.detail})
	}
	return s
}

// reader says what a pod is, from the pod alone. It is pure.
type reader struct {
	node        discover.Node
	optIn       optIn
	hostNetwork bool
	peers       bool
}

// read returns the pod as a target or a refused one; false for a pod that has not opted in.
func (r reader) read(pod *corev1.Pod) (found, bool) {
	f, listed := r.look(pod)
	if !listed {
		return found{}, false
	}
	return f.sendable(), true
}

// sendable refuses a pod that cannot be told of: the name or kind of what made it, its image
// or another of its words fits into no message. What is left of it is what the API server
// checked, or made itself.
func (f found) sendable() found {
	err := wire.CheckTarget(f.target)
	if err == nil {
		return f
	}
	t := f.target
	f.target = gopprof.Target{
		Cluster: t.Cluster, Node: t.Node, Namespace: t.Namespace,
		Workload: gopprof.Workload{Kind: "Pod", Name: t.Pod}, Pod: t.Pod, PodUID: t.PodUID,
	}
	return f.refuse(gopprof.ReasonBadInput, err.Error())
}

// look takes the pod's words as they are.
func (r reader) look(pod *corev1.Pod) (found, bool) {
	a := annotations{pod.Annotations, r.peers}
	in, decided, problem := a.enabled()
	if !decided {
		in = r.optIn.holds(pod)
	}
	f := found{target: r.base(pod)}
	if problem != "" {
		return f.refuse(gopprof.ReasonBadInput, problem), true
	}
	if !in {
		return found{}, false
	}
	if len(pod.Spec.Containers) == 0 {
		return f.refuse(gopprof.ReasonBadInput, fmt.Sprintf("the pod is too large: its labels, annotations and containers take more than %d bytes", podMost)), true
	}
	for _, step := range []func(found, *corev1.Pod, annotations) found{r.choose, r.words, r.counter, r.endpoint, r.life} {
		if f = step(f, pod, a); f.reason != "" {
			return f, true
		}
	}
	return f, true
}

func (f found) refuse(reason gopprof.Reason, detail string) found {
	f.reason, f.detail = reason, detail
	return f
}

func (r reader) base(pod *corev1.Pod) gopprof.Target {
	t := gopprof.Target{
		Cluster: r.node.Cluster, Node: r.node.Name,
		Namespace: pod.Namespace, Workload: workloadOf(pod), Pod: pod.Name, PodUID: string(pod.UID),
		Build: buildOf(pod),
	}
	t.Labels, _ = gopprof.JoinLabels(pod.Labels) // of one with absurdly many none: no selector finds it
	if uid := pod.Annotations[annotationMirror]; uid != "" {
		t.Cgroup.PodUID = uid
	}
	return t
}

// choose finds the container that is meant.
func (r reader) choose(f found, pod *corev1.Pod, a annotations) found {
	c, reason, detail := containerOf(pod, a)
	if reason != "" {
		return f.refuse(reason, detail)
	}
	f.target.Container, f.target.Image, f.target.Runtime = c.Name, c.Image, runtimeOf(c)
	status := statusOf(pod, c.Name)
	f.target.ContainerID = idOf(status.ContainerID)
	requests := c.Resources.Requests
	if status.Resources != nil && status.Resources.Requests != nil { // changed in place
		requests = status.Resources.Requests
	}
	f.target.CPURequestCores = requests.Cpu().AsApproximateFloat64()
	f.target.MemoryRequestBytes = requests.Memory().AsApproximateFloat64()
	if status.State.Running != nil {
		f.target.Started = status.State.Running.StartedAt.Time
	}
	return f
}

// idOf leaves off the runtime's name: "containerd://44dd…".
func idOf(containerID string) string {
	if _, id, ok := strings.Cut(containerID, "://"); ok {
		return id
	}
	return containerID
}

// containerOf finds the container that is meant: the one that is named, the only one, the
// one that has the port, the one that kubectl would take.
func containerOf(pod *corev1.Pod, a annotations) (c corev1.Container, reason gopprof.Reason, detail string) {
	all := pod.Spec.Containers
	if s, ok := a.get(annotationContainer); ok {
		if i := indexOf(candidates(pod), s.value); i >= 0 {
			return candidates(pod)[i], "", ""
		}
		return c, gopprof.ReasonNoContainer, s.wrong("the pod has no such container")
	}
	if len(all) == 1 {
		return all[0], "", ""
	}
	if with := slices.DeleteFunc(slices.Clone(all), func(c corev1.Container) bool { return !hasPort(c, a) }); len(with) == 1 {
		return with[0], "", ""
	}
	if i := indexOf(all, a.of[annotationDefaultContainer]); i >= 0 {
		return all[i], "", ""
	}
	names := make([]string, len(all))
	for i, c := range all {
		names[i] = c.Name
	}
	return c, gopprof.ReasonAmbiguousContainer, fmt.Sprintf("annotate %s with one of %s", annotationContainer, clip(strings.Join(names, ", ")))
}

// candidates are the containers that may be named: init containers only if they run
// beside the others (sidecars).
func candidates(pod *corev1.Pod) []corev1.Container {
	all := slices.Clone(pod.Spec.Containers)
	for _, c := range pod.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			all = append(all, c)
		}
	}
	return all
}

func indexOf(containers []corev1.Container, name string) int {
	return slices.IndexFunc(containers, func(c corev1.Container) bool { return c.Name == name })
}

// hasPort tells whether a container declares the port that the pod's annotations mean.
func hasPort(c corev1.Container, a annotations) bool {
	port, numbered := a.get(annotationPort)
	name, named := a.get(annotationPortName)
	return slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool {
		switch {
		case numbered:
			return strconv.Itoa(int(p.ContainerPort)) == port.value
		case named:
			return p.Name == name.value
		}
		return p.Name == portName
	})
}

func statusOf(pod *corev1.Pod, container string) corev1.ContainerStatus {
	for _, s := range slices.Concat(pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses) {
		if s.Name == container {
			return s
		}
	}
	return corev1.ContainerStatus{}
}

// words reads what is for people and for the judge: the owner and the rules.
func (r reader) words(f found, _ *corev1.Pod, a annotations) found {
	if s, ok := a.get(annotationOwner); ok {
		if len(s.value) > 253 || !utf8.ValidString(s.value) || strings.ContainsFunc(s.value, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return f.refuse(gopprof.ReasonBadInput, s.wrong("must be at most 253 bytes that can be printed"))
		}
		f.target.Owner = s.value
	}
	s, ok := a.get(annotationRules)
	if !ok {
		return f
	}
	var rules []string
	for name := range strings.SplitSeq(s.value, ",") {
		name = strings.TrimSpace(name)
		if !slices.Contains([]gopprof.Resource{gopprof.ResourceCPU, gopprof.ResourceMemory, gopprof.ResourceThrottled}, gopprof.Resource(name)) {
			return f.refuse(gopprof.ReasonBadInput, s.wrong("must be some of cpu, memory, throttled, separated by commas"))
		}
		rules = append(rules, name)
	}
	f.target.Rules = strings.Join(rules, ",")
	return f
}

// counter says where the container counts its requests.
func (r reader) counter(f found, _ *corev1.Pod, a annotations) found {
	metric, ok := a.get(annotationRequestsMetric)
	if !ok {
		return f
	}
	c := gopprof.Counter{Metric: metric.value, Path: discover.DefaultMetricsPath}
	if s, ok := a.get(annotationMetricsPath); ok {
		c.Path = s.value
	}
	if s, ok := a.get(annotationMetricsPort); ok {
		port, err := strconv.ParseUint(s.value, 10, 16)
		if err != nil || port == 0 {
			return f.refuse(gopprof.ReasonBadInput, s.wrong("must be a number from 1 to 65535"))
		}
		c.Port = int(port)
	}
	if err := discover.CheckCounter(c); err != nil {
		return f.refuse(gopprof.ReasonBadInput, metric.wrong(oneLine(err)))
	}
	f.target.Counter = c
	return f
}

// endpoint says where the container serves net/http/pprof, on an address of its own.
func (r reader) endpoint(f found, pod *corev1.Pod, a annotations) found {
	e := gopprof.Endpoint{Scheme: "http", Path: discover.DefaultPath}
	if s, ok := a.get(annotationScheme); ok {
		e.Scheme = strings.ToLower(s.value)
	}
	if s, ok := a.get(annotationPath); ok {
		e.Path = pathOf(s)
	}
	var problem string
	if e.Port, problem = portOf(pod, f.target.Container, a); problem != "" {
		return f.refuse(gopprof.ReasonInvalidEndpoint, problem)
	}
	// What the pod's author wrote is checked also while the pod has no address.
	written := e
	written.Host = "192.0.2.1" // a documentation address (RFC 5737): only a placeholder
	if err := discover.CheckEndpoint(written); err != nil {
		return f.refuse(gopprof.ReasonInvalidEndpoint, oneLine(err))
	}
	e.Host = pod.Status.PodIP
	f.target.Endpoint = e
	return r.address(f, pod)
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// portOf reads the port from the annotations, else from the container's port named pprof.
func portOf(pod *corev1.Pod, container string, a annotations) (port int, problem string) {
	if s, ok := a.get(annotationPort); ok {
		port, err := strconv.ParseUint(s.value, 10, 16)
		if err != nil || port == 0 {
			return 0, s.wrong("must be a number from 1 to 65535")
		}
		return int(port), ""
	}
	s, ok := a.get(annotationPortName)
	if port := namedPort(pod, container, cmp.Or(s.value, portName)); port != 0 {
		return port, ""
	}
	if ok {
		return 0, s.wrong(fmt.Sprintf("container %q has no TCP port of that name", container))
	}
	return defaultPort, ""
}

func namedPort(pod *corev1.Pod, container, name string) int {
	all := candidates(pod)
	i := indexOf(all, container)
	if i < 0 {
		return 0
	}
	for _, p := range all[i].Ports {
		if p.Name == name && (p.Protocol == "" || p.Protocol == corev1.ProtocolTCP) {
			return int(p.ContainerPort)
		}
	}
	return 0
}

// address refuses a pod whose address is not its own. One that has none yet is told so
// later, if it is not simply too young or over.
func (r reader) address(f found, pod *corev1.Pod) found {
	if pod.Spec.HostNetwork && !r.hostNetwork {
		return f.refuse(gopprof.ReasonHostNetwork, "the pod shares the node's network: kubernetes.host_network of the agent's configuration would allow it")
	}
	if f.target.Endpoint.Host == "" {
		return f
	}
	if err := discover.CheckEndpoint(f.target.Endpoint); err != nil {
		return f.refuse(gopprof.ReasonInvalidEndpoint, oneLine(err))
	}
	if !pod.Spec.HostNetwork && isNodes(f.target.Endpoint.Host, pod) {
		return f.refuse(gopprof.ReasonInvalidEndpoint, "the pod's address is the node's, though it does not share the node's network")
	}
	return f
}

// isNodes tells whether an address reaches the node itself.
func isNodes(host string, pod *corev1.Pod) bool {
	ip, err := netip.ParseAddr(host)
	if err != nil || ip.Unmap().IsLoopback() {
		return true
	}
	return host == pod.Status.HostIP || slices.Contains(pod.Status.HostIPs, corev1.HostIP{IP: host})
}

// life refuses a pod that is ending or has not begun. One that is not ready is profiled:
// it is often the patient.
func (r reader) life(f found, pod *corev1.Pod, _ annotations) found {
	state := statusOf(pod, f.target.Container).State
	switch {
	case pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed:
		return f.refuse(gopprof.ReasonEnded, "pod phase "+string(pod.Status.Phase))
	case pod.DeletionTimestamp != nil:
		return f.refuse(gopprof.ReasonTerminating, "the pod is being deleted")
	case state.Terminated != nil:
		return f.refuse(gopprof.ReasonNotStarted, "container terminated: "+clip(state.Terminated.Reason))
	case state.Waiting != nil:
		return f.refuse(gopprof.ReasonNotStarted, "container waiting: "+clip(state.Waiting.Reason))
	case state.Running == nil || f.target.ContainerID == "":
		return f.refuse(gopprof.ReasonNotStarted, "the container does not run yet")
	case f.target.Endpoint.Host == "":
		return f.refuse(gopprof.ReasonNoAddress, "the pod has no IP address yet")
	}
	return f
}
