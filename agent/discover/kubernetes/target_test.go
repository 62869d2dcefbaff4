package kubernetes

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/hostile"
)

func TestTargetOfAPod(t *testing.T) {
	got, listed := plain().read(lean(t, web(annotated(annotationOwner, "team-shop", annotationRules, "cpu, memory",
		annotationRequestsMetric, "http_requests_total", annotationMetricsPort, "9090"))))
	want := gopprof.Target{
		Cluster: "lab", Node: "node-1", Namespace: "shop", Workload: gopprof.Workload{Kind: "Deployment", Name: "web"},
		Pod: "web-5d4f8c7b9-x2x4z", PodUID: "6b1e0c5e-0000-4000-8000-000000000001", Container: "app", ContainerID: "11aa",
		Image: "registry.example/app:1", Build: "5d4f8c7b9", Owner: "team-shop", Rules: "cpu,memory", Started: since,
		Counter:         gopprof.Counter{Metric: "http_requests_total", Port: 9090, Path: "/metrics"},
		Endpoint:        gopprof.Endpoint{Scheme: "http", Host: "10.88.0.17", Port: 6060, Path: "/debug/pprof"},
		Labels:          "app=web,pod-template-hash=5d4f8c7b9",
		CPURequestCores: 0.25, MemoryRequestBytes: 64 << 20,
	}
	if !listed || got.reason != "" || got.target != want {
		t.Errorf("listed %v\ngot  %+v\nwant %+v", listed, got, want)
	}
}

// Labels that no node could tell of are left out, and cost the pod nothing else.
func TestAbsurdLabels(t *testing.T) {
	pod := web(annotated())
	pod.Labels = map[string]string{"k": strings.Repeat("v", 5000)}
	if got, listed := plain().read(lean(t, pod)); !listed || got.reason != "" || got.target.Labels != "" {
		t.Errorf("%v %q, labels of %d bytes", listed, got.reason, len(got.target.Labels))
	}
}

func TestWhoIsIn(t *testing.T) {
	selected := func(selector string, namespaces ...string) reader {
		o, err := newOptIn(Config{Selector: selector, Namespaces: namespaces})
		if err != nil {
			t.Fatal(err)
		}
		return reader{node: here, optIn: o, peers: true}
	}
	alone := plain()
	alone.peers = false
	for name, c := range map[string]struct {
		reader reader
		pod    *corev1.Pod
		want   bool
	}{
		"by annotation":                      {plain(), web(), true},
		"silent":                             {plain(), web(silent), false},
		"kept out":                           {plain(), web(annotated(annotationEnabled, "false", "profefe.com/enable", "true")), false},
		"a port alone":                       {plain(), web(silent, annotated(annotationPort, "8080")), false},
		"by a peer's annotation":             {plain(), web(silent, annotated("profiles.grafana.com/memory.scrape", "true")), true},
		"by a peer's second annotation":      {plain(), web(silent, annotated("profiles.grafana.com/cpu.scrape", "false", "pyroscope.io/scrape", "true")), true},
		"by a peer that is not asked":        {alone, web(silent, annotated("profefe.com/enable", "true")), false},
		"by selector":                        {selected("app=web"), web(silent), true},
		"by selector, kept out":              {selected("app=web"), web(annotated(annotationEnabled, "false")), false},
		"another selector":                   {selected("app=api"), web(silent), false},
		"selector and namespace":             {selected("app=web", "shop"), web(silent), true},
		"selector in another namespace":      {selected("app=web", "bank"), web(silent), false},
		"by namespace":                       {selected("", "bank", "shop"), web(silent), true},
		"another namespace, but annotations": {selected("", "bank"), web(), true},
	} {
		if _, got := c.reader.read(lean(t, c.pod)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestEndpoints(t *testing.T) {
	const pprof = "/debug/pprof"
	sidecar := corev1.ContainerRestartPolicyAlways
	for name, c := range map[string]struct {
		pod       *corev1.Pod
		container string
		scheme    string
		port      int
		path      string
	}{
		"number":                {web(annotated(annotationPort, "8080")), "app", "http", 8080, pprof},
		"port named pprof":      {web(containers(container("app", port("http", 80), port("pprof", 6061)))), "app", "http", 6061, pprof},
		"number before name":    {web(containers(container("app", port("pprof", 6061))), annotated(annotationPort, "8080")), "app", "http", 8080, pprof},
		"port by name":          {web(containers(container("app", port("debug", 9000))), annotated(annotationPortName, "debug")), "app", "http", 9000, pprof},
		"path and scheme":       {web(annotated(annotationPath, "/internal/pprof/", annotationScheme, "HTTPS")), "app", "https", 6060, "/internal/pprof"},
		"container named":       {web(containers(container("app"), container("proxy")), annotated(annotationContainer, "proxy")), "proxy", "http", 6060, pprof},
		"container of the port": {web(containers(container("app", port("pprof", 6061)), container("proxy"))), "app", "http", 6061, pprof},
		"container of a number": {web(containers(container("app", port("x", 7000)), container("proxy", port("y", 7001))), annotated(annotationPort, "7001")), "proxy", "http", 7001, pprof},
		"container of a name":   {web(containers(container("app", port("x", 7000)), container("proxy", port("y", 7001))), annotated(annotationPortName, "x")), "app", "http", 7000, pprof},
		"kubectl's container":   {web(containers(container("app"), container("proxy")), annotated(annotationDefaultContainer, "app")), "app", "http", 6060, pprof},
		"a sidecar": {web(func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: "side", RestartPolicy: &sidecar}}
			p.Status.InitContainerStatuses = []corev1.ContainerStatus{running("side", "containerd://5")}
		}, annotated(annotationContainer, "side")), "side", "http", 6060, pprof},
		"Grafana's": {web(silent, containers(container("app", port("http-metrics", 4100))), annotated("profiles.grafana.com/cpu.scrape", "true",
			"profiles.grafana.com/cpu.port_name", "http-metrics", "profiles.grafana.com/cpu.path", "/x/pprof/profile", "profiles.grafana.com/cpu.scheme", "https")),
			"app", "https", 4100, "/x/pprof"},
		"Grafana's memory": {web(silent, annotated("profiles.grafana.com/memory.scrape", "true", "profiles.grafana.com/memory.port", "9001",
			"profiles.grafana.com/memory.path", "/debug/pprof/allocs")), "app", "http", 9001, pprof},
		"profefe's":    {web(silent, annotated("profefe.com/enable", "true", "profefe.com/port", "9999", "profefe.com/service", "x", "profefe.com/path", "/p")), "app", "http", 9999, "/p"},
		"Pyroscope's":  {web(silent, annotated("pyroscope.io/scrape", "true", "pyroscope.io/port", "4040", "pyroscope.io/profile-cpu-path", "/a/profile")), "app", "http", 4040, "/a"},
		"ours first":   {web(annotated("profefe.com/port", "9999", annotationPort, "1")), "app", "http", 1, pprof},
		"peers' rest":  {web(annotated("profefe.com/port", "9999")), "app", "http", 9999, pprof},
		"not ready":    {web(func(p *corev1.Pod) { p.Status.ContainerStatuses[0].Ready = false }), "app", "http", 6060, pprof},
		"IPv6 address": {web(func(p *corev1.Pod) { p.Status.PodIP = "fd00::17" }), "app", "http", 6060, pprof},
	} {
		f, listed := plain().read(lean(t, c.pod))
		want := gopprof.Endpoint{Scheme: c.scheme, Host: c.pod.Status.PodIP, Port: c.port, Path: c.path}
		if !listed || f.reason != "" || f.target.Endpoint != want || f.target.Container != c.container || f.target.ContainerID == "" {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestRefusals(t *testing.T) {
	hostNetwork := func(p *corev1.Pod) { p.Spec.HostNetwork, p.Status.PodIP = true, p.Status.HostIP }
	at := func(ip string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Status.PodIP = ip } }
	phase := func(phase corev1.PodPhase) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Status.Phase = phase }
	}
	for name, c := range map[string]struct {
		pod    *corev1.Pod
		reason gopprof.Reason
		detail string // part of it
	}{
		"neither true nor false": {web(annotated(annotationEnabled, "yes please")), gopprof.ReasonBadInput, annotationEnabled},
		"terminating":            {web(func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: since} }), gopprof.ReasonTerminating, ""},
		"succeeded":              {web(phase(corev1.PodSucceeded)), gopprof.ReasonEnded, "Succeeded"},
		"failed":                 {web(phase(corev1.PodFailed)), gopprof.ReasonEnded, "Failed"},
		"waiting":                {web(inState(corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}})), gopprof.ReasonNotStarted, "CrashLoopBackOff"},
		"terminated":             {web(inState(corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "OOMKilled"}})), gopprof.ReasonNotStarted, "OOMKilled"},
		"no state":               {web(func(p *corev1.Pod) { p.Status.ContainerStatuses = nil }), gopprof.ReasonNotStarted, ""},
		"no address":             {web(at("")), gopprof.ReasonNoAddress, ""},
		"host network":           {web(hostNetwork), gopprof.ReasonHostNetwork, "kubernetes.host_network"},
		"the node's address":     {web(at("10.88.0.2")), gopprof.ReasonInvalidEndpoint, "node"},
		"loopback":               {web(at("127.0.0.1")), gopprof.ReasonInvalidEndpoint, "node"},
		"metadata service":       {web(at("169.254.169.254")), gopprof.ReasonInvalidEndpoint, "link-local"},
		"several containers":     {web(containers(container("app"), container("proxy"))), gopprof.ReasonAmbiguousContainer, "app, proxy"},
		"two with the port":      {web(containers(container("a", port("pprof", 1)), container("b", port("pprof", 2)))), gopprof.ReasonAmbiguousContainer, "a, b"},
		"no such container":      {web(annotated(annotationContainer, "ap")), gopprof.ReasonNoContainer, "ap"},
		"an init container": {web(func(p *corev1.Pod) { p.Spec.InitContainers = []corev1.Container{{Name: "setup"}} },
			annotated(annotationContainer, "setup")), gopprof.ReasonNoContainer, "setup"},
		"port 0":               {web(annotated(annotationPort, "0")), gopprof.ReasonInvalidEndpoint, annotationPort},
		"port 65536":           {web(annotated(annotationPort, "65536")), gopprof.ReasonInvalidEndpoint, annotationPort},
		"negative port":        {web(annotated(annotationPort, "-1")), gopprof.ReasonInvalidEndpoint, annotationPort},
		"port of another host": {web(annotated(annotationPort, "80@evil:80")), gopprof.ReasonInvalidEndpoint, annotationPort},
		"port with a path":     {web(annotated(annotationPort, "80/../x")), gopprof.ReasonInvalidEndpoint, annotationPort},
		"a peer's port":        {web(annotated("profefe.com/port", "x")), gopprof.ReasonInvalidEndpoint, "profefe.com/port"},
		"no such port":         {web(annotated(annotationPortName, "debug")), gopprof.ReasonInvalidEndpoint, annotationPortName},
		"UDP port": {web(containers(container("app", corev1.ContainerPort{Name: "debug", ContainerPort: 1, Protocol: corev1.ProtocolUDP})),
			annotated(annotationPortName, "debug")), gopprof.ReasonInvalidEndpoint, "TCP"},
		"scheme":                           {web(annotated(annotationScheme, "file")), gopprof.ReasonInvalidEndpoint, "file"},
		"path to a host":                   {web(annotated(annotationPath, "@evil:80/x")), gopprof.ReasonInvalidEndpoint, "path"},
		"path upwards":                     {web(annotated(annotationPath, "/debug/../admin")), gopprof.ReasonInvalidEndpoint, "path"},
		"path with a query":                {web(annotated(annotationPath, "/admin?do=1#")), gopprof.ReasonInvalidEndpoint, "path"},
		"path with escapes":                {web(annotated(annotationPath, "/%2e%2e/x")), gopprof.ReasonInvalidEndpoint, "path"},
		"path with a header":               {web(annotated(annotationPath, "/x\r\nHost: evil")), gopprof.ReasonInvalidEndpoint, "path"},
		"empty path":                       {web(annotated(annotationPath, "/")), gopprof.ReasonInvalidEndpoint, "path"},
		"a peer's path":                    {web(annotated("profiles.grafana.com/cpu.path", "/../profile")), gopprof.ReasonInvalidEndpoint, "path"},
		"hostile while it has no address":  {web(at(""), annotated(annotationPath, "//evil")), gopprof.ReasonInvalidEndpoint, "path"},
		"owner that cannot be printed":     {web(annotated(annotationOwner, "a\nb")), gopprof.ReasonBadInput, annotationOwner},
		"a metric that is none":            {web(annotated(annotationRequestsMetric, "http requests")), gopprof.ReasonBadInput, annotationRequestsMetric},
		"metrics on another host":          {web(annotated(annotationRequestsMetric, "n", annotationMetricsPath, "@evil:80/x")), gopprof.ReasonBadInput, "path"},
		"metrics on no port":               {web(annotated(annotationRequestsMetric, "n", annotationMetricsPort, "80@evil")), gopprof.ReasonBadInput, annotationMetricsPort},
		"a controller's kind too long":     {web(owned(strings.Repeat("A", 300), "x")), gopprof.ReasonBadInput, "workload's kind"},
		"a controller's name in two lines": {web(owned("Thing", "x\ny")), gopprof.ReasonBadInput, "workload's name"},
		"an image too long":                {web(containers(corev1.Container{Name: "app", Image: strings.Repeat("a", 1100)})), gopprof.ReasonBadInput, "image"},
		"an owner that is no text":         {web(annotated(annotationOwner, "a\xff")), gopprof.ReasonBadInput, annotationOwner},
		"unknown rule":                     {web(annotated(annotationRules, "cpu,disk")), gopprof.ReasonBadInput, annotationRules},
	} {
		f, listed := plain().read(lean(t, c.pod))
		checkSent(t, name, f)
		if !listed || f.reason != c.reason || !strings.Contains(f.detail, c.detail) || f.detail == "" {
			t.Errorf("%s: listed %v, %q, %q", name, listed, f.reason, f.detail)
		}
		if f.target.Namespace != "shop" || f.target.Pod == "" || f.target.PodUID == "" || len(f.detail) > 512 {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestHostNetworkWhenAllowed(t *testing.T) {
	r := plain()
	r.hostNetwork = true
	pod := web(func(p *corev1.Pod) { p.Spec.HostNetwork, p.Status.PodIP = true, p.Status.HostIP })
	if f, _ := r.read(pod); f.reason != "" || f.target.Endpoint.Host != "10.88.0.2" {
		t.Errorf("%+v", f)
	}
}

func TestRequestsChangedInPlace(t *testing.T) {
	pod := web(func(p *corev1.Pod) {
		p.Status.ContainerStatuses[0].Resources = &corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")}}
	})
	if f, _ := plain().read(lean(t, pod)); f.target.CPURequestCores != 2 || f.target.MemoryRequestBytes != 0 {
		t.Errorf("%+v", f.target)
	}
}

func TestStaticPod(t *testing.T) {
	const hash = "0123456789abcdef0123456789abcdef"
	f, _ := plain().read(lean(t, web(named("etcd-node-1"), annotated(annotationMirror, hash), func(p *corev1.Pod) {
		p.OwnerReferences = []metav1.OwnerReference{{Kind: "Node", Name: "node-1", Controller: new(true)}}
	})))
	if f.reason != "" || f.target.Cgroup.PodUID != hash || f.target.Workload != (gopprof.Workload{Kind: "Pod", Name: "etcd"}) {
		t.Errorf("%+v", f)
	}
}

func TestWorkloads(t *testing.T) {
	made := time.Date(2026, 10, 1, 12, 0, 30, 0, time.UTC)
	for _, c := range []struct {
		kind, owner, label, hash string
		want                     string
	}{
		{"ReplicaSet", "web-5d4f8c7b9", "pod-template-hash", "5d4f8c7b9", "Deployment/web"},
		{"ReplicaSet", "web-2-5d4f8c7b9", "pod-template-hash", "5d4f8c7b9", "Deployment/web-2"},
		{"ReplicaSet", "web-5d4f8c7b9", "rollouts-pod-template-hash", "5d4f8c7b9", "Rollout/web"},
		{"ReplicaSet", "web-5d4f8c7b9", "pod-template-hash", "another", "ReplicaSet/web-5d4f8c7b9"},
		{"ReplicaSet", "web-5d4f8c7b9", "app", "web", "ReplicaSet/web-5d4f8c7b9"},
		{"ReplicaSet", "-x", "pod-template-hash", "x", "ReplicaSet/-x"},
		{"StatefulSet", "db", "", "", "StatefulSet/db"},
		{"DaemonSet", "log", "", "", "DaemonSet/log"},
		{"ReplicationController", "old", "", "", "ReplicationController/old"},
		{"Job", "import", "", "", "Job/import"},
		{"Job", "nightly-29847600", "", "", "CronJob/nightly"}, // 2026-10-01 12:00
		{"Job", "nightly-29847000", "", "", "CronJob/nightly"},
		{"Job", "invoice-20261001", "", "", "Job/invoice-20261001"}, // a date, not minutes
		{"Job", "nightly-39847600", "", "", "Job/nightly-39847600"},
		{"Job", "29847600", "", "", "Job/29847600"},
		{"", "", "", "", "Pod/alone"},
	} {
		pod := web(named("alone"), func(p *corev1.Pod) {
			p.CreationTimestamp = metav1.NewTime(made)
			p.Labels = map[string]string{c.label: c.hash}
			p.OwnerReferences = nil
			if c.kind != "" {
				p.OwnerReferences = []metav1.OwnerReference{{Kind: "Other", Name: "x"}, {Kind: c.kind, Name: c.owner, Controller: new(true)}}
			}
		})
		if got := workloadOf(lean(t, pod)).String(); got != c.want {
			t.Errorf("%s/%s: %s, want %s", c.kind, c.owner, got, c.want)
		}
	}
}

// Whatever a pod says, what becomes a target reaches the pod's own address and nothing
// else.
func FuzzAnnotations(f *testing.F) {
	keys := []string{annotationPort, annotationPortName, annotationPath, annotationScheme, annotationContainer, "profiles.grafana.com/cpu.path", annotationOwner, annotationRules, annotationRequestsMetric, annotationMetricsPort, annotationMetricsPath}
	f.Add("8080", "pprof", "/debug/pprof", "http", "app", "", "", "", "http_requests_total", "9090", "/metrics")
	f.Add("80@evil", "x", "@evil:80/x", "file", "proxy", "/../profile", "a\nb", "cpu,x", "n", "80@evil", "@evil:80/x")
	f.Add("1", "", "//evil", "HTTPS", "", "/x/heap", "cpu", "cpu, memory", "n{x=\"y\"}", "", "/../x")
	for _, annotations := range hostile.Annotations() {
		if of := func(i int) string { return annotations[keys[i]] }; len(of(0)+of(1)+of(2)+of(3)+of(4)+of(5)+of(6)+of(7)+of(8)+of(9)+of(10)) > 0 {
			f.Add(of(0), of(1), of(2), of(3), of(4), of(5), of(6), of(7), of(8), of(9), of(10))
		}
	}
	f.Fuzz(func(t *testing.T, port, name, path, scheme, container, peer, owner, rules, metric, metricsPort, metricsPath string) {
		values := []string{port, name, path, scheme, container, peer, owner, rules, metric, metricsPort, metricsPath}
		pod := web()
		for i, key := range keys {
			if delete(pod.Annotations, key); values[i] != "" {
				pod.Annotations[key] = values[i]
			}
		}
		got, listed := plain().read(pod)
		if !listed {
			t.Fatal("not listed")
		}
		checkFound(t, values, got)
	})
}
