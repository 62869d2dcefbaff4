package kubernetes

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gopprof/gopprof/agent/discover"
)

// here is the node of all tests.
var here = discover.Node{Cluster: "lab", Name: "node-1"}

// since is when the containers of all tests started.
var since = time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)

// web is a pod of a Deployment, opted in and running; changes are applied in order.
func web(changes ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "web-5d4f8c7b9-x2x4z", UID: "6b1e0c5e-0000-4000-8000-000000000001",
			Annotations: map[string]string{annotationEnabled: "true"},
			Labels:      map[string]string{"app": "web", "pod-template-hash": "5d4f8c7b9"},
			OwnerReferences: []metav1.OwnerReference{
				{Kind: "ReplicaSet", Name: "web-5d4f8c7b9", Controller: new(true)},
			},
		},
		Spec: corev1.PodSpec{NodeName: here.Name, Containers: []corev1.Container{container("app")}},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: "10.88.0.17", HostIP: "10.88.0.2",
			ContainerStatuses: []corev1.ContainerStatus{running("app", "containerd://11aa")},
		},
	}
	for _, change := range changes {
		change(p)
	}
	return p
}

func container(name string, ports ...corev1.ContainerPort) corev1.Container {
	return corev1.Container{Name: name, Image: "registry.example/" + name + ":1", Ports: ports, Resources: corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("250m"), corev1.ResourceMemory: resource.MustParse("64Mi")},
	}}
}

func running(name, id string) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: name, ContainerID: id, State: corev1.ContainerState{
		Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(since)},
	}}
}

func port(name string, number int32) corev1.ContainerPort {
	return corev1.ContainerPort{Name: name, ContainerPort: number}
}

// annotated sets annotations, by pairs of key and value.
func annotated(pairs ...string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		for i := 0; i < len(pairs); i += 2 {
			p.Annotations[pairs[i]] = pairs[i+1]
		}
	}
}

// owned says what made the pod.
func owned(kind, name string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "x/v1", Kind: kind, Name: name, Controller: new(true)}}
	}
}

func silent(p *corev1.Pod) { p.Annotations = map[string]string{} }

func named(name string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Name = name }
}

func identified(uid, ip, id string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.UID, p.Status.PodIP = types.UID(uid), ip
		p.Status.ContainerStatuses = []corev1.ContainerStatus{running("app", "containerd://"+id)}
	}
}

// containers replaces the pod's containers; all of them run.
func containers(all ...corev1.Container) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Containers, p.Status.ContainerStatuses = all, nil
		for _, c := range all {
			p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, running(c.Name, "cri-o://"+c.Name+"-id"))
		}
	}
}

func inState(state corev1.ContainerState) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Status.ContainerStatuses[0].State = state }
}

// plain reads annotations alone, of peers too.
func plain() reader {
	return reader{node: here, optIn: optIn{selector: labels.Nothing()}, peers: true}
}

// lean reads a pod as it comes out of the informer.
func lean(t *testing.T, p *corev1.Pod) *corev1.Pod {
	t.Helper()
	obj, err := strip(p)
	if err != nil {
		t.Fatal(err)
	}
	again, err := strip(obj)
	if err != nil {
		t.Fatal(err)
	}
	return again.(*corev1.Pod)
}
