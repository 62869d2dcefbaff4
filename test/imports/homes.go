package imports

import "slices"

// home says where a dependency may be imported, itself and everything below it.
type home struct {
	dependency string
	in         []string
}

// homes lists the dependencies that have one home, the longest path of two first.
func homes() []home {
	kubernetes := []string{"agent/discover/kubernetes", "aggregator/dispatch/resolve", "aggregator/serve/auth", "cmd/kubectl-gopprof"}
	return []home{
		{"github.com/nats-io/nats-server", []string{"pkg/bus/embedded"}},
		{"github.com/nats-io/jwt", []string{"pkg/bus/embedded"}},
		{"github.com/nats-io", []string{"pkg/bus"}}, // and docs/examples, which are not shipped
		{"github.com/google/cadvisor", []string{"agent/observe/cadvisor"}},
		{"github.com/opencontainers/cgroups", []string{"agent/observe/cadvisor"}},
		{"github.com/influxdata", []string{"agent/observe/heapster", "agent/record"}},
		{"github.com/google/pprof/profile", []string{"pkg/profile"}},
		{"github.com/google/pprof", []string{"aggregator/draw"}},
		{"gocloud.dev", []string{"aggregator/store"}},
		{"github.com/aws", []string{"aggregator/store"}},
		{"github.com/Azure", []string{"aggregator/store"}},
		{"cloud.google.com", []string{"aggregator/store"}},
		{"github.com/danielgtaylor/huma", []string{"aggregator/serve/api"}},
		{"k8s.io/klog", []string{"pkg/ops"}},
		{"k8s.io/client-go", kubernetes},
		{"k8s.io/apimachinery", append(slices.Clone(kubernetes), "aggregator/serve/apiservice")}, // its types are what is answered
		{"k8s.io/api", kubernetes},
		// What the developer's command line and terminal are made of.
		{"github.com/spf13", []string{"cmd/kubectl-gopprof"}},
		{"golang.org/x/term", []string{"cmd/kubectl-gopprof"}},
		// Programs are started where their limits are understood: by draw, and by the developer's
		// command, which opens a profile with the developer's own go command and browser.
		{"os/exec", []string{"aggregator/draw", "cmd/kubectl-gopprof"}},
		// Everything is logged through the injected zap logger.
		{"log", []string{}},
	}
}

func homeless(pkg string, i Import) bool {
	if i.Own || !shipped(pkg) {
		return false
	}
	for _, h := range homes() {
		if inside(i.Path, h.dependency) {
			return !anyInside(pkg, h.in)
		}
	}
	return false
}

func anyInside(pkg string, dirs []string) bool {
	for _, dir := range dirs {
		if inside(pkg, dir) {
			return true
		}
	}
	return false
}

// unlinked lists, by program, what must not be linked into it, by whatever way.
func unlinked() map[string][]string {
	return map[string][]string{
		// Runs on every node beside other people's services: no server, no cloud SDKs, no
		// drawing, and of Kubernetes one typed client instead of them all.
		"agent": {
			"github.com/nats-io/nats-server", "gocloud.dev", "github.com/aws", "cloud.google.com",
			"github.com/google/pprof/driver", "github.com/danielgtaylor/huma", "k8s.io/client-go/kubernetes",
		},
		// Runs on people's machines and is installed by `go install`: no server, no store, no cgroups,
		// no drawing, and of Kubernetes its connections only.
		"cmd/kubectl-gopprof": {
			"github.com/nats-io", "gocloud.dev", "github.com/aws", "github.com/Azure", "cloud.google.com", "github.com/google/cadvisor",
			"github.com/opencontainers/cgroups", "github.com/influxdata", "github.com/danielgtaylor/huma", "github.com/google/pprof/driver",
			"k8s.io/client-go/kubernetes", "k8s.io/client-go/informers",
		},
		// Its start is what every look of a kubelet costs.
		"cmd/probe": {"net/http", "gopkg.in/yaml.v3", "go.uber.org/zap"},
		// Never looks at a cgroup.
		"aggregator": {"github.com/google/cadvisor", "github.com/opencontainers/cgroups", "github.com/influxdata"},
	}
}
