package manifests

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/gopprof/gopprof/agent/discover/static"
	"github.com/gopprof/gopprof/pkg/config"
	"github.com/gopprof/gopprof/test/parts"

	agent "github.com/gopprof/gopprof/agent/app"
	aggregator "github.com/gopprof/gopprof/aggregator/app"
)

// kustomizations are all that can be built: base and overlays as they are, each component
// over the base.
func kustomizations(t *testing.T) map[string][]runtime.Object {
	t.Helper()
	root, err := Manifests()
	must(t, err)
	dirs := map[string]string{"base": filepath.Join(root, "base")}
	for _, overlay := range entries(t, filepath.Join(root, "overlays")) {
		dirs["overlays/"+overlay] = filepath.Join(root, "overlays", overlay)
	}
	for _, component := range entries(t, filepath.Join(root, "components")) {
		dirs["components/"+component] = over(t, root, component)
	}
	out := map[string][]runtime.Object{}
	for name, dir := range dirs {
		stream, err := Build(dir)
		if errors.Is(err, parts.ErrNotBuilt) {
			parts.Missing(t, "%v", err)
		}
		must(t, err)
		out[name], err = Decode(stream)
		if errors.Is(err, parts.ErrNotBuilt) {
			parts.Missing(t, "%v", err)
		}
		must(t, err)
	}
	return out
}

// over makes a kustomization of the base with components.
func over(t *testing.T, root string, components ...string) string {
	t.Helper()
	dir := t.TempDir()
	path := func(to ...string) string {
		rel, err := filepath.Rel(dir, filepath.Join(append([]string{root}, to...)...))
		must(t, err)
		return rel
	}
	text := "resources: [" + path("base") + "]\ncomponents:\n"
	for _, c := range components {
		text += "- " + path("components", c) + "\n"
	}
	must(t, os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600))
	return dir
}

func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	found, err := os.ReadDir(dir)
	must(t, err)
	for _, f := range found {
		names = append(names, f.Name())
	}
	return names
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func of[T runtime.Object](objects []runtime.Object) (out []T) {
	for _, o := range objects {
		if typed, ok := o.(T); ok {
			out = append(out, typed)
		}
	}
	return out
}

func TestEverythingBuildsAndHoldsTogether(t *testing.T) {
	for name, objects := range kustomizations(t) {
		t.Run(name, func(t *testing.T) {
			seen := map[string]bool{}
			for _, o := range objects {
				m, err := meta.Accessor(o)
				must(t, err)
				id := fmt.Sprintf("%s %s/%s", o.GetObjectKind().GroupVersionKind().Kind, m.GetNamespace(), m.GetName())
				if seen[id] {
					t.Errorf("%s stands twice", id)
				}
				seen[id] = true
			}
			for _, p := range pods(objects) {
				checkReferences(t, p, seen)
				checkSecurity(t, p)
			}
			checkRights(t, objects)
			checkConfigs(t, objects)
			checkAPIService(t, objects)
		})
	}
}

// pod is a pod's specification with where it is from.
type pod struct {
	name, namespace string
	labels          map[string]string
	spec            corev1.PodSpec
	claims          []string
}

func pods(objects []runtime.Object) (out []pod) {
	for _, d := range of[*appsv1.DaemonSet](objects) {
		out = append(out, pod{d.Name, d.Namespace, d.Spec.Template.Labels, d.Spec.Template.Spec, nil})
	}
	for _, d := range of[*appsv1.Deployment](objects) {
		out = append(out, pod{d.Name, d.Namespace, d.Spec.Template.Labels, d.Spec.Template.Spec, nil})
	}
	for _, s := range of[*appsv1.StatefulSet](objects) {
		p := pod{s.Name, s.Namespace, s.Spec.Template.Labels, s.Spec.Template.Spec, nil}
		for _, c := range s.Spec.VolumeClaimTemplates {
			p.claims = append(p.claims, c.Name)
		}
		out = append(out, p)
	}
	return out
}

// users' secrets are theirs to make: each component says how.
var secretsOfUsers = []string{"gopprof-influxdb", "gopprof-s3", "gopprof-nats", "gopprof-tokens", "gopprof-alerts"}

func checkReferences(t *testing.T, p pod, seen map[string]bool) {
	t.Helper()
	need := func(kind, name string) {
		if !seen[kind+" "+p.namespace+"/"+name] {
			t.Errorf("%s refers to a %s %q that is not there", p.name, kind, name)
		}
	}
	if p.spec.ServiceAccountName != "" {
		need("ServiceAccount", p.spec.ServiceAccountName)
	}
	if c := p.spec.PriorityClassName; c != "" && !seen["PriorityClass /"+c] {
		t.Errorf("%s refers to a priority class %q that is not there", p.name, c)
	}
	volumes := slices.Clone(p.claims)
	for _, v := range p.spec.Volumes {
		volumes = append(volumes, v.Name)
		if v.ConfigMap != nil {
			need("ConfigMap", v.ConfigMap.Name)
		}
		if v.Secret != nil && !slices.Contains(secretsOfUsers, v.Secret.SecretName) {
			need("Secret", v.Secret.SecretName)
		}
	}
	for _, c := range slices.Concat(p.spec.InitContainers, p.spec.Containers) {
		for _, m := range c.VolumeMounts {
			if !slices.Contains(volumes, m.Name) {
				t.Errorf("%s/%s mounts volume %q that is not there", p.name, c.Name, m.Name)
			}
		}
	}
}

// checkSecurity is what the text promises of every container of ours: the pod security
// level "restricted" but for the agent's volumes and its init container.
func checkSecurity(t *testing.T, p pod) {
	t.Helper()
	if p.namespace != "gopprof" {
		return // what the end-to-end test brings
	}
	s := p.spec
	if s.HostNetwork || s.HostPID || s.HostIPC {
		t.Errorf("%s shares the node's network, processes or IPC", p.name)
	}
	if s.SecurityContext == nil || s.SecurityContext.SeccompProfile == nil || s.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("%s has no seccomp profile RuntimeDefault", p.name)
	}
	for _, c := range slices.Concat(s.InitContainers, s.Containers) {
		checkContainer(t, p, c)
	}
	var hostPaths []string
	for _, v := range s.Volumes {
		if v.HostPath != nil {
			hostPaths = append(hostPaths, v.Name)
		}
	}
	slices.Sort(hostPaths)
	if want := map[string]string{"gopprof-agent": "cgroup state"}[p.name]; strings.Join(hostPaths, " ") != want {
		t.Errorf("%s has host paths %q, want %q", p.name, hostPaths, want)
	}
}

func checkContainer(t *testing.T, p pod, c corev1.Container) {
	t.Helper()
	at := p.name + "/" + c.Name
	sc := c.SecurityContext
	if sc == nil || sc.Privileged != nil || sc.AllowPrivilegeEscalation == nil || *sc.AllowPrivilegeEscalation || sc.ReadOnlyRootFilesystem == nil || !*sc.ReadOnlyRootFilesystem {
		t.Errorf("%s: security context %+v", at, sc)
		return
	}
	if sc.Capabilities == nil || !slices.Equal(sc.Capabilities.Drop, []corev1.Capability{"ALL"}) {
		t.Errorf("%s does not drop all capabilities", at)
	}
	// The containers that are root, each with why in its manifest.
	root := at == "gopprof-agent/prepare-spool" || at == "gopprof-aggregator/prepare-data"
	nonRoot := p.spec.SecurityContext.RunAsNonRoot != nil && *p.spec.SecurityContext.RunAsNonRoot && sc.RunAsNonRoot == nil && sc.RunAsUser == nil
	if nonRoot == root || root && !slices.Equal(sc.Capabilities.Add, []corev1.Capability{"CHOWN"}) || !root && len(sc.Capabilities.Add) > 0 {
		t.Errorf("%s: root %t, added capabilities %v", at, !nonRoot, sc.Capabilities.Add)
	}
	if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
		t.Errorf("%s has no bounds: %+v", at, c.Resources)
	}
	for _, m := range c.VolumeMounts {
		if !m.ReadOnly && !slices.Contains([]string{"state", "data", "tmp"}, m.Name) {
			t.Errorf("%s may write to %s", at, m.MountPath)
		}
	}
}

// rights are all that the two service accounts may do, as README tells it, and what people
// are given. Those after "+" are a component's, and there where it is.
var rights = map[string]string{
	"ClusterRole gopprof-agent":                  "pods: get list watch",
	"ClusterRole gopprof-aggregator":             "pods,namespaces: get list; tokenreviews: create; subjectaccessreviews: create",
	"Role gopprof-aggregator":                    "configmaps gopprof-ca: patch",
	"+ClusterRole gopprof-aggregator-apiservice": "apiservices v1.gopprof.io: patch",

	"ClusterRole gopprof-viewer": "reports,targets,operations: get list; gateway/proxy: get",
	"ClusterRole gopprof-profiler": "reports,targets,operations: get list; captures: create; " +
		"pods/proxy,deployments/proxy,statefulsets/proxy,daemonsets/proxy,replicasets/proxy,jobs/proxy,cronjobs/proxy: get; gateway/proxy: get create delete",
	"ClusterRole gopprof-admin": "reports,targets,operations: get list; captures: create; pauses: get update; " +
		"pods/proxy,deployments/proxy,statefulsets/proxy,daemonsets/proxy,replicasets/proxy,jobs/proxy,cronjobs/proxy: get; gateway/proxy: get create update delete",
}

// partOf are the roles of Kubernetes that ours are part of.
var partOf = map[string][]string{"gopprof-viewer": {"admin", "edit", "view"}, "gopprof-profiler": {"admin", "edit"}}

func checkRights(t *testing.T, objects []runtime.Object) {
	t.Helper()
	got := map[string]string{"Role extension-apiserver-authentication-reader": "Kubernetes' own"}
	for _, r := range of[*rbacv1.ClusterRole](objects) {
		got["ClusterRole "+r.Name] = describe(r.Rules)
		checkPeople(t, r)
	}
	for _, r := range of[*rbacv1.Role](objects) {
		got["Role "+r.Name] = describe(r.Rules)
	}
	for name, rules := range got {
		if ours := strings.HasPrefix(strings.SplitN(name, " ", 2)[1], "gopprof"); ours && rules != rights[name] && rules != rights["+"+name] {
			t.Errorf("%s: %q, want %q", name, rules, rights[name])
		}
	}
	for name := range rights {
		if got[name] == "" && !strings.HasPrefix(name, "+") {
			t.Errorf("%s is missing", name)
		}
	}
	for _, b := range of[*rbacv1.ClusterRoleBinding](objects) {
		if got[b.RoleRef.Kind+" "+b.RoleRef.Name] == "" {
			t.Errorf("binding %s refers to %s %q, which is not there", b.Name, b.RoleRef.Kind, b.RoleRef.Name)
		}
	}
	for _, b := range of[*rbacv1.RoleBinding](objects) {
		if got[b.RoleRef.Kind+" "+b.RoleRef.Name] == "" {
			t.Errorf("binding %s refers to %s %q, which is not there", b.Name, b.RoleRef.Kind, b.RoleRef.Name)
		}
	}
}

// checkPeople looks at what a role is part of, and that it gives rights on our group alone.
func checkPeople(t *testing.T, r *rbacv1.ClusterRole) {
	t.Helper()
	var parts []string
	for label := range r.Labels {
		if role, ok := strings.CutPrefix(label, "rbac.authorization.k8s.io/aggregate-to-"); ok {
			parts = append(parts, role)
		}
	}
	slices.Sort(parts)
	if !slices.Equal(parts, partOf[r.Name]) {
		t.Errorf("%s is part of %v, want %v", r.Name, parts, partOf[r.Name])
	}
	if !slices.Contains([]string{"gopprof-viewer", "gopprof-profiler", "gopprof-admin"}, r.Name) {
		return
	}
	for _, rule := range r.Rules {
		if !slices.Equal(rule.APIGroups, []string{"gopprof.io"}) {
			t.Errorf("%s gives rights on %v", r.Name, rule.APIGroups)
		}
	}
}

func describe(rules []rbacv1.PolicyRule) string {
	out := make([]string, 0, len(rules))
	for _, r := range rules {
		what := strings.Join(slices.Concat(r.Resources, r.NonResourceURLs), ",")
		if len(r.ResourceNames) > 0 {
			what += " " + strings.Join(r.ResourceNames, ",")
		}
		out = append(out, what+": "+strings.Join(r.Verbs, " "))
	}
	return strings.Join(out, "; ")
}

// checkConfigs lets the programs read their ConfigMaps.
func checkConfigs(t *testing.T, objects []runtime.Object) {
	t.Helper()
	var clusters []string
	for _, m := range of[*corev1.ConfigMap](objects) {
		dir := t.TempDir()
		for name, text := range m.Data {
			// What is read while the configuration is, and is there in the pod only.
			text = strings.ReplaceAll(text, "/etc/gopprof-apiserver/ca.crt", certificate(t))
			must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
		}
		switch {
		case strings.HasPrefix(m.Name, "gopprof-agent-"):
			c := checkAgent(t, dir, objects)
			checkProbes(t, objects, "gopprof-agent", c.Status.Listen)
			clusters = append(clusters, c.Cluster)
		case strings.HasPrefix(m.Name, "gopprof-targets-"):
			must(t, config.Load(dir, &static.File{}))
		case strings.HasPrefix(m.Name, "gopprof-aggregator-"):
			c := checkAggregator(t, dir)
			checkProbes(t, objects, "gopprof-aggregator", c.Status.Listen)
			checkService(t, objects, c.NATS.URL == "")
			clusters = append(clusters, c.Kubernetes.Cluster)
		}
	}
	if len(clusters) != 2 || clusters[0] != clusters[1] {
		t.Errorf("clusters %q, want one configuration of each program, and the same cluster in both", clusters)
	}
}

// checkProbes holds what a pod's probes ask against where its program listens.
func checkProbes(t *testing.T, objects []runtime.Object, name, listen string) {
	t.Helper()
	for _, p := range pods(objects) {
		if p.name != name {
			continue
		}
		c := p.spec.Containers[0]
		for what, probe := range map[string]*corev1.Probe{"livez": c.LivenessProbe, "readyz": c.ReadinessProbe} {
			if probe == nil || probe.Exec == nil || len(probe.Exec.Command) != 2 || probe.Exec.Command[1] != listen+"/"+what {
				t.Errorf("%s: the probe of %s is %+v, and the program listens at %s", name, what, probe, listen)
			}
		}
	}
}

// checkService holds the embedded NATS in reach of agents while the aggregator waits for its
// store: captures wait in NATS then. Beside an external NATS the Service leads callers of the
// API alone, to the replicas that are ready.
func checkService(t *testing.T, objects []runtime.Object, embedded bool) {
	t.Helper()
	for _, s := range of[*corev1.Service](objects) {
		if s.Name == "gopprof-aggregator" && s.Spec.PublishNotReadyAddresses != embedded {
			t.Errorf("the embedded NATS runs: %v; the Service leads to an aggregator that is not ready: %v", embedded, s.Spec.PublishNotReadyAddresses)
		}
	}
}

func checkAggregator(t *testing.T, dir string) aggregator.Config {
	t.Helper()
	c, err := aggregator.LoadConfig(dir)
	must(t, err)
	if k := c.Kubernetes; !k.Enabled || k.Tokens.ServiceAccount != "gopprof/gopprof-agent" || k.Tokens.Audience != "gopprof" {
		t.Errorf("kubernetes %+v does not fit the agents' DaemonSet", k)
	}
	if c.NATS.URL == "" && (c.Kubernetes.CA.ConfigMap != "gopprof/gopprof-ca" || !slices.Contains(c.Embedded.OwnCA.Names, "gopprof-aggregator.gopprof.svc")) {
		t.Errorf("agents cannot trust the server: %+v, %+v", c.Kubernetes.CA, c.Embedded.OwnCA)
	}
	return c
}

// checkAPIService follows the way from the APIService to the port that the aggregator
// listens on: it is there with the APIService, and only with it.
func checkAPIService(t *testing.T, objects []runtime.Object) {
	t.Helper()
	listen, names := "", []string(nil)
	for _, m := range of[*corev1.ConfigMap](objects) {
		if strings.HasPrefix(m.Name, "gopprof-aggregator-") {
			c := loadAggregator(t, m).Serve.APIService
			listen, names = c.Listen, c.OwnCA.Names
		}
	}
	services := of[*APIService](objects)
	if len(services) != 1 || listen == "" {
		if len(services) != 0 || listen != "" {
			t.Errorf("%d APIServices, and the aggregator listens at %q", len(services), listen)
		}
		return
	}
	to := services[0].Spec.Service
	if !slices.Contains(names, to.Name+"."+to.Namespace+".svc") {
		t.Errorf("the certificate is for %q, not for %+v", names, to)
	}
	_, port, err := net.SplitHostPort(listen)
	must(t, err)
	if got := containerPort(objects, to); got != port {
		t.Errorf("the API server comes to port %q of the pod, which listens at %q", got, listen)
	}
}

// containerPort is the port that a Service leads to.
func containerPort(objects []runtime.Object, to APIServiceBackend) string {
	for _, s := range of[*corev1.Service](objects) {
		for _, p := range s.Spec.Ports {
			if s.Namespace != to.Namespace || s.Name != to.Name || p.Port != to.Port {
				continue
			}
			for _, pod := range pods(objects) {
				for _, c := range pod.spec.Containers[0].Ports {
					if pod.name == to.Name && c.Name == p.TargetPort.String() {
						return fmt.Sprint(c.ContainerPort)
					}
				}
			}
		}
	}
	return ""
}

func loadAggregator(t *testing.T, m *corev1.ConfigMap) aggregator.Config {
	t.Helper()
	dir := t.TempDir()
	for name, text := range m.Data {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	c, err := aggregator.LoadConfig(dir)
	must(t, err)
	return c
}

// certificate returns a file with some certificate.
func certificate(t *testing.T) string {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	server.Close()
	path := filepath.Join(t.TempDir(), "ca.crt")
	must(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	return path
}

// checkAgent also holds the paths in the configuration against the mounts.
func checkAgent(t *testing.T, dir string, objects []runtime.Object) agent.Config {
	t.Helper()
	c, err := agent.LoadConfig(dir)
	must(t, err)
	mounts := map[string]string{}
	for _, d := range of[*appsv1.DaemonSet](objects) {
		if d.Name == "gopprof-agent" {
			for _, m := range d.Spec.Template.Spec.Containers[0].VolumeMounts {
				mounts[m.MountPath] = m.Name
			}
		}
	}
	for path, volume := range map[string]string{c.StateDir: "state", c.Cadvisor.CgroupRoot: "cgroup", filepath.Dir(string(c.NATS.TokenFile)): "token"} {
		if mounts[path] != volume {
			t.Errorf("%s is not where volume %s is mounted: %v", path, volume, mounts)
		}
	}
	if ca := c.NATS.CAFile; ca != "" && mounts[filepath.Dir(ca)] != "ca" {
		t.Errorf("ca_file %s is not in the volume ca", ca)
	}
	return c
}

func TestAPIServicesAreDecodedStrictly(t *testing.T) {
	const right = "apiVersion: apiregistration.k8s.io/v1\nkind: APIService\nmetadata: {name: v1.gopprof.io}\nspec: {group: gopprof.io, version: v1}\n"
	if objects, err := Decode([]byte(right)); err != nil || len(of[*APIService](objects)) != 1 {
		t.Errorf("%v, %v", objects, err)
	}
	wrong := strings.Replace(right, "version: v1}", "version: v1, insecureSkipTLSVerify: true}", 1)
	if _, err := Decode([]byte(wrong)); err == nil || !strings.Contains(err.Error(), "insecureSkipTLSVerify") {
		t.Errorf("without checking certificates: %v", err)
	}
}

// What is for the Prometheus operator is decoded as strictly.
func TestMonitorsAreDecodedStrictly(t *testing.T) {
	const right = "apiVersion: monitoring.coreos.com/v1\nkind: PodMonitor\nmetadata: {name: a}\nspec: {selector: {}, podMetricsEndpoints: [{port: metrics}]}\n"
	if _, err := Decode([]byte(right)); err != nil {
		if errors.Is(err, parts.ErrNotBuilt) {
			parts.Missing(t, "%v", err)
		}
		t.Error(err)
	}
	if _, err := Decode([]byte(strings.Replace(right, "port:", "prot:", 1))); err == nil || !strings.Contains(err.Error(), "prot") {
		t.Errorf("a field that there is not: %v", err)
	}
}

func TestWhatTheEndToEndTestBrings(t *testing.T) {
	root, err := Manifests()
	must(t, err)
	for _, name := range []string{"workloads.yaml", "volume.yaml"} {
		text, err := os.ReadFile(filepath.Join(root, "..", "test", "e2e", "kubernetes", name))
		must(t, err)
		objects, err := Decode(text)
		if err != nil || len(objects) == 0 {
			t.Errorf("%s: %d objects, %v", name, len(objects), err)
		}
	}
}

// TestOneObjectPerFile also finds files that no kustomization mentions.
func TestOneObjectPerFile(t *testing.T) {
	root, err := Manifests()
	must(t, err)
	must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" || d.Name() == "kustomization.yaml" {
			return err
		}
		data, err := os.ReadFile(path)
		must(t, err)
		if strings.Count("\n"+string(data), "\nkind: ") > 1 {
			t.Errorf("%s holds several objects", path)
		}
		dir := filepath.Dir(path)
		text, err := os.ReadFile(filepath.Join(dir, "kustomization.yaml"))
		name := d.Name()
		if err != nil { // config/ and site/ belong to the directory above
			name = filepath.Base(dir) + "/" + name
			text, err = os.ReadFile(filepath.Join(filepath.Dir(dir), "kustomization.yaml"))
		}
		if err != nil || !strings.Contains(string(text), name) {
			t.Errorf("%s is in no kustomization", path)
		}
		return nil
	}))
}
