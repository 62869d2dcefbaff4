package kubernetes

import (
	"math"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/gopprof/gopprof/agent/discover"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// The labels that tell the builds of a workload apart: a ReplicaSet's, of Deployments, and
// that of StatefulSets and DaemonSets.
const (
	labelTemplate = "pod-template-hash"
	labelRevision = "controller-revision-hash"
)

// buildOf names the build that a pod runs, or nothing.
func buildOf(pod *corev1.Pod) string {
	for _, label := range []string{labelTemplate, labelRevision} {
		if build := pod.Labels[label]; discover.IsBuild(build) {
			return build
		}
	}
	return ""
}

// The variables that tell the Go runtime how much it may use.
const (
	variableGOGC       = "GOGC"
	variableGOMEMLIMIT = "GOMEMLIMIT"
	variableGOMAXPROCS = "GOMAXPROCS"
)

// runtimeOf is what a container's specification tells the Go runtime.
func runtimeOf(c corev1.Container) gopprof.Runtime {
	return gopprof.Runtime{
		GOGC:       variable(c, variableGOGC),
		GOMEMLIMIT: variable(c, variableGOMEMLIMIT),
		GOMAXPROCS: variable(c, variableGOMAXPROCS),
	}
}

// leanEnv keeps the three variables as they are known, and no other: a pod's environment
// holds its secrets.
func leanEnv(c corev1.Container) []corev1.EnvVar {
	var lean []corev1.EnvVar
	for _, name := range []string{variableGOGC, variableGOMEMLIMIT, variableGOMAXPROCS} {
		if value := variable(c, name); value != "" {
			lean = append(lean, corev1.EnvVar{Name: name, Value: value})
		}
	}
	return lean
}

// variable returns what a container's environment sets a variable to; nothing where that is
// not in the pod itself, or makes no sense. Of several of one name the last one counts.
func variable(c corev1.Container, name string) string {
	value := ""
	for _, v := range c.Env {
		if v.Name == name {
			value = literal(c, v)
		}
	}
	if !discover.IsRuntimeSetting(value) {
		return ""
	}
	return value
}

func literal(c corev1.Container, v corev1.EnvVar) string {
	switch {
	case v.ValueFrom == nil:
		return v.Value
	case v.ValueFrom.ResourceFieldRef == nil:
		return "" // a ConfigMap, a Secret or a field: nothing that is looked up
	}
	return ofResource(c, *v.ValueFrom.ResourceFieldRef)
}

// ofResource is what the kubelet writes for a limit or request of the container's own, in
// units of the divisor, rounded up. One that is not set depends on the node. One that was
// changed in place is told as it is now, though the process was started with another.
func ofResource(c corev1.Container, ref corev1.ResourceFieldSelector) string {
	if ref.ContainerName != "" && ref.ContainerName != c.Name {
		return ""
	}
	divisor := ref.Divisor
	if divisor.IsZero() {
		divisor = *resource.NewQuantity(1, resource.DecimalSI)
	}
	value := 0.0
	switch ref.Resource {
	case "limits.memory":
		value = float64(c.Resources.Limits.Memory().Value()) / float64(divisor.Value())
	case "requests.memory":
		value = float64(c.Resources.Requests.Memory().Value()) / float64(divisor.Value())
	case "limits.cpu":
		value = float64(c.Resources.Limits.Cpu().MilliValue()) / float64(divisor.MilliValue())
	case "requests.cpu":
		value = float64(c.Resources.Requests.Cpu().MilliValue()) / float64(divisor.MilliValue())
	}
	if !(value > 0 && value < 1<<53) { // not set, or absurd
		return ""
	}
	return strconv.FormatInt(int64(math.Ceil(value)), 10)
}
