package kubernetes

import (
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/test/hostile"
)

func set(name, value string) corev1.EnvVar { return corev1.EnvVar{Name: name, Value: value} }

func fromResource(name, of, container, divisor string) corev1.EnvVar {
	ref := &corev1.ResourceFieldSelector{Resource: of, ContainerName: container}
	if divisor != "" {
		ref.Divisor = resource.MustParse(divisor)
	}
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: ref}}
}

// limited has limits of 400Mi and 1.5 cores, and requests of a sixth of that.
func limited(env ...corev1.EnvVar) corev1.Container {
	c := container("app")
	c.Env = env
	c.Resources.Limits = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1500m"), corev1.ResourceMemory: resource.MustParse("400Mi")}
	return c
}

func TestWhatTheRuntimeIsTold(t *testing.T) {
	secret := corev1.EnvVar{Name: "GOGC", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{Key: "k"}}}
	for name, c := range map[string]struct {
		env  []corev1.EnvVar
		want gopprof.Runtime
	}{
		"nothing":                 {nil, gopprof.Runtime{}},
		"all three":               {[]corev1.EnvVar{set("GOGC", "off"), set("GOMEMLIMIT", "360MiB"), set("GOMAXPROCS", "2"), set("TOKEN", "hush")}, gopprof.Runtime{GOGC: "off", GOMEMLIMIT: "360MiB", GOMAXPROCS: "2"}},
		"the last one counts":     {[]corev1.EnvVar{set("GOGC", "50"), set("GOGC", "200")}, gopprof.Runtime{GOGC: "200"}},
		"empty":                   {[]corev1.EnvVar{set("GOGC", "50"), set("GOGC", "")}, gopprof.Runtime{}},
		"of the limits":           {[]corev1.EnvVar{fromResource("GOMEMLIMIT", "limits.memory", "", ""), fromResource("GOMAXPROCS", "limits.cpu", "app", "")}, gopprof.Runtime{GOMEMLIMIT: "419430400", GOMAXPROCS: "2"}},
		"in other units":          {[]corev1.EnvVar{fromResource("GOMEMLIMIT", "limits.memory", "", "1Mi"), fromResource("GOMAXPROCS", "limits.cpu", "", "1m")}, gopprof.Runtime{GOMEMLIMIT: "400", GOMAXPROCS: "1500"}},
		"of the requests":         {[]corev1.EnvVar{fromResource("GOMEMLIMIT", "requests.memory", "", ""), fromResource("GOMAXPROCS", "requests.cpu", "", "")}, gopprof.Runtime{GOMEMLIMIT: "67108864", GOMAXPROCS: "1"}},
		"of another container":    {[]corev1.EnvVar{fromResource("GOMEMLIMIT", "limits.memory", "sidecar", "")}, gopprof.Runtime{}},
		"of something else":       {[]corev1.EnvVar{fromResource("GOMEMLIMIT", "limits.ephemeral-storage", "", "")}, gopprof.Runtime{}},
		"of an absurd divisor":    {[]corev1.EnvVar{fromResource("GOMEMLIMIT", "limits.memory", "", "-1")}, gopprof.Runtime{}},
		"of a Secret":             {[]corev1.EnvVar{set("GOGC", "50"), secret}, gopprof.Runtime{}},
		"put together":            {[]corev1.EnvVar{set("GOMEMLIMIT", "$(LIMIT)MiB")}, gopprof.Runtime{}},
		"absurd":                  {[]corev1.EnvVar{set("GOGC", strings.Repeat("1", 1<<20)), set("GOMAXPROCS", "\x1b[0m")}, gopprof.Runtime{}},
		"a mistake is worth it":   {[]corev1.EnvVar{set("GOMEMLIMIT", "400Mi")}, gopprof.Runtime{GOMEMLIMIT: "400Mi"}},
		"of other spelling":       {[]corev1.EnvVar{set("gogc", "50")}, gopprof.Runtime{}},
		"none that is the node's": {[]corev1.EnvVar{{Name: "GOMAXPROCS", ValueFrom: &corev1.EnvVarSource{}}}, gopprof.Runtime{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := plain().read(lean(t, web(containers(limited(c.env...)))))
			if got.target.Runtime != c.want {
				t.Errorf("%+v, want %+v", got.target.Runtime, c.want)
			}
		})
	}
}

func TestLimitThatIsNotSetIsNotTold(t *testing.T) {
	c := container("app")
	c.Env = []corev1.EnvVar{fromResource("GOMEMLIMIT", "limits.memory", "", "")}
	if got, _ := plain().read(lean(t, web(containers(c)))); got.target.Runtime != (gopprof.Runtime{}) {
		t.Errorf("%+v", got.target.Runtime)
	}
}

// The runtime of the container that is profiled is told, not that of its neighbours.
func TestRuntimeOfTheContainerThatIsMeant(t *testing.T) {
	app, sidecar := limited(set("GOGC", "50")), container("sidecar")
	sidecar.Env = []corev1.EnvVar{set("GOGC", "off")}
	got, _ := plain().read(lean(t, web(containers(sidecar, app), annotated(annotationContainer, "app"))))
	if got.target.Runtime.GOGC != "50" {
		t.Errorf("%+v", got.target.Runtime)
	}
}

// An agent keeps nothing of a pod's environment, where its secrets are, but three variables.
func TestEnvironmentIsNotKept(t *testing.T) {
	c := limited(set("PASSWORD", "hush"), set("GOGC", "50"), fromResource("GOMEMLIMIT", "limits.memory", "", ""), set("GODEBUG", "hush"))
	c.EnvFrom = []corev1.EnvFromSource{{Prefix: "hush"}}
	pod := web(containers(c))
	pod.Spec.InitContainers = []corev1.Container{c}
	kept, err := json.Marshal(lean(t, pod))
	if err != nil || strings.Contains(string(kept), "hush") || strings.Count(string(kept), "GOGC") != 2 {
		t.Errorf("%v, kept %s", err, kept)
	}
	if pod.Spec.Containers[0].Env[0].Value != "hush" {
		t.Error("the informer's own pod was changed")
	}
}

func TestBuildOfAPod(t *testing.T) {
	for name, c := range map[string]struct {
		labels map[string]string
		want   string
	}{
		"of a Deployment":   {map[string]string{labelTemplate: "5d4f8c7b9"}, "5d4f8c7b9"},
		"of a StatefulSet":  {map[string]string{labelRevision: "db-7c9d"}, "db-7c9d"},
		"of both":           {map[string]string{labelTemplate: "a", labelRevision: "b"}, "a"},
		"of nothing":        {nil, ""},
		"absurd":            {map[string]string{labelTemplate: "a b"}, ""},
		"absurd and better": {map[string]string{labelTemplate: "\x1b", labelRevision: "b"}, "b"},
	} {
		pod := web()
		pod.Labels = c.labels
		if got, _ := plain().read(lean(t, pod)); got.target.Build != c.want {
			t.Errorf("%s: %q, want %q", name, got.target.Build, c.want)
		}
	}
}

// TestHostileRuntime: whatever stands in a pod's environment and labels, what is told is
// short and may be printed.
func TestHostileRuntime(t *testing.T) {
	for _, name := range hostile.Names() {
		pod := web(containers(limited(set("GOGC", name), set("GOMEMLIMIT", name), set("GOMAXPROCS", name))))
		pod.Labels = map[string]string{labelTemplate: name, labelRevision: name}
		got, _ := plain().read(lean(t, pod))
		checkFound(t, name, got)
	}
}
