package kubernetes

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// workloadOf names what a pod belongs to, from the pod alone: reading its owners' owners
// would need rights on every kind of them.
func workloadOf(pod *corev1.Pod) gopprof.Workload {
	owner := metav1.GetControllerOf(pod)
	if owner == nil {
		return gopprof.Workload{Kind: "Pod", Name: pod.Name}
	}
	switch owner.Kind {
	case "ReplicaSet":
		return ofReplicaSet(owner.Name, pod.Labels)
	case "Job":
		if name, ok := cronJobOf(owner.Name, pod.CreationTimestamp.Time); ok {
			return gopprof.Workload{Kind: "CronJob", Name: name}
		}
	case "Node": // a static pod: its name ends with the node's
		return gopprof.Workload{Kind: "Pod", Name: strings.TrimSuffix(pod.Name, "-"+owner.Name)}
	}
	return gopprof.Workload{Kind: owner.Kind, Name: owner.Name}
}

// ofReplicaSet finds what made a ReplicaSet: its name ends with the hash that its pods bear
// as a label.
func ofReplicaSet(name string, labels map[string]string) gopprof.Workload {
	for _, maker := range []struct{ label, kind string }{
		{"pod-template-hash", "Deployment"},
		{"rollouts-pod-template-hash", "Rollout"}, // Argo's
	} {
		if hash := labels[maker.label]; hash != "" {
			if made, ok := strings.CutSuffix(name, "-"+hash); ok && made != "" {
				return gopprof.Workload{Kind: maker.kind, Name: made}
			}
		}
	}
	return gopprof.Workload{Kind: "ReplicaSet", Name: name}
}

// cronJobName is the shape of a Job's name that a CronJob made: its own and the scheduled
// time, in minutes since 1970.
var cronJobName = regexp.MustCompile(`^(.+)-([0-9]{8})$`)

// cronJobOf takes a number at the end of a Job's name for a schedule only if that time
// lies within the year before the pod was made.
func cronJobOf(job string, made time.Time) (string, bool) {
	parts := cronJobName.FindStringSubmatch(job)
	if parts == nil {
		return "", false
	}
	minutes, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return "", false
	}
	after := made.Sub(time.Unix(minutes*60, 0))
	return parts[1], after > -time.Hour && after < 366*24*time.Hour
}
