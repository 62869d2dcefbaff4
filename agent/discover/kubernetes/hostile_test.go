package kubernetes

import (
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/gopprof/gopprof/agent/discover"
	"github.com/gopprof/gopprof/pkg/gopprof"
	"github.com/gopprof/gopprof/pkg/wire"
	"github.com/gopprof/gopprof/test/hostile"
)

// TestHostileAnnotations: whatever a pod's author writes, what is read from it reaches the
// pod's own address and nothing else, and is fit to be printed.
func TestHostileAnnotations(t *testing.T) {
	for _, annotations := range hostile.Annotations() {
		pod := web()
		for key, value := range annotations {
			pod.Annotations[key] = value
		}
		if got, listed := plain().read(lean(t, pod)); listed {
			checkFound(t, annotations, got)
		}
	}
}

// TestHostilePods: whatever stands where a pod has words of its own, the state of its node can
// be sent.
func TestHostilePods(t *testing.T) {
	ofContainer := func(set func(*corev1.Container, *corev1.ContainerStatus, string)) func(*corev1.Pod, string) {
		return func(p *corev1.Pod, word string) { set(&p.Spec.Containers[0], &p.Status.ContainerStatuses[0], word) }
	}
	ofOwner := func(set func(*metav1.OwnerReference, string)) func(*corev1.Pod, string) {
		return func(p *corev1.Pod, word string) { set(&p.OwnerReferences[0], word) }
	}
	for place, set := range map[string]func(*corev1.Pod, string){
		"kind of the owner": ofOwner(func(o *metav1.OwnerReference, word string) { o.Kind = word }),
		"name of the owner": ofOwner(func(o *metav1.OwnerReference, word string) { o.Name = word }),
		"name of a ReplicaSet": func(p *corev1.Pod, word string) {
			p.OwnerReferences[0].Name = word + "-" + p.Labels[labelTemplate]
		},
		"name of a Job":  ofOwner(func(o *metav1.OwnerReference, word string) { o.Kind, o.Name = "Job", word+"-29847600" }),
		"owner":          func(p *corev1.Pod, word string) { p.Annotations[annotationOwner] = word },
		"label":          func(p *corev1.Pod, word string) { p.Labels["app"] = word },
		"key of a label": func(p *corev1.Pod, word string) { p.Labels[word] = "x" },
		"build":          func(p *corev1.Pod, word string) { p.Labels[labelTemplate] = word },
		"image":          ofContainer(func(c *corev1.Container, _ *corev1.ContainerStatus, word string) { c.Image = word }),
		"image, never pulled": ofContainer(func(c *corev1.Container, s *corev1.ContainerStatus, word string) {
			c.Image, s.ContainerID, s.State = word, "", corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: word}}
		}),
		"name of the container": ofContainer(func(c *corev1.Container, s *corev1.ContainerStatus, word string) { c.Name, s.Name = word, word }),
		"name of a container that is one of two": func(p *corev1.Pod, word string) {
			p.Spec.Containers = append(p.Spec.Containers, container(word))
		},
		"ID of the container": ofContainer(func(_ *corev1.Container, s *corev1.ContainerStatus, word string) { s.ContainerID = word }),
		"environment": ofContainer(func(c *corev1.Container, _ *corev1.ContainerStatus, word string) {
			c.Env = []corev1.EnvVar{{Name: variableGOGC, Value: word}}
		}),
		"why it ended": ofContainer(func(_ *corev1.Container, s *corev1.ContainerStatus, word string) {
			s.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: word}}
		}),
		"phase":   func(p *corev1.Pod, word string) { p.Status.Phase = corev1.PodPhase(word) },
		"address": func(p *corev1.Pod, word string) { p.Status.PodIP = word },
	} {
		for _, word := range append(hostile.Names(), "", strings.Repeat("A", 300), strings.Repeat("<", 253), strings.Repeat("a", 1100), strings.Repeat("ü", 1<<15)) {
			pod := web()
			set(pod, word)
			got, listed := plain().read(lean(t, pod))
			if !listed || got.target.Namespace != "shop" || got.target.Pod != pod.Name || got.target.PodUID != string(pod.UID) {
				t.Errorf("%s: %.200q: listed %v, %+v", place, word, listed, got)
			}
			checkSent(t, place+": "+word, got)
		}
	}
}

// checkSent requires that the state of a node tells of the pod, and that a firing can.
func checkSent(t *testing.T, from any, got found) {
	t.Helper()
	s := gopprof.NodeState{Cluster: here.Cluster, Node: here.Name, At: since}
	if got.reason == "" {
		s.Targets = []gopprof.TargetState{{Target: got.target, Labels: gopprof.SplitLabels(got.target.Labels)}}
	} else {
		s.Refused = []gopprof.Refusal{{Target: got.target, Reason: got.reason, Detail: got.detail}}
	}
	data, err := wire.EncodeState(s)
	var left []error
	if err == nil {
		_, left, err = wire.DecodeState(data)
	}
	if err != nil || len(left) > 0 {
		t.Errorf("%.200q: its node cannot tell its state: %v", from, err)
	}
	firing := gopprof.Firing{Capture: "0199a1b2-0000-7000-8000-000000000001", Target: got.target, Rule: "cpu", At: since}
	if _, err := wire.EncodeFiring(firing); err != nil {
		t.Errorf("%.200q: its firing cannot be sent: %v", from, err)
	}
	if len(data) > wire.MaxBytes/110 { // pods of a node, by default
		t.Errorf("%.200q: %d bytes for one pod", from, len(data))
	}
}

// checkFound holds what every pod that is listed must keep.
func checkFound(t *testing.T, from any, got found) {
	t.Helper()
	checkSent(t, from, got)
	x := got.target
	for _, s := range []string{x.Build, x.Runtime.GOGC, x.Runtime.GOMEMLIMIT, x.Runtime.GOMAXPROCS} {
		if len(s) > 63 {
			t.Errorf("%.200q: %.200q, %d bytes", from, s, len(s))
		}
	}
	for _, s := range []string{got.detail, x.Owner, x.Rules, x.Container, x.Build, x.Runtime.GOGC, x.Runtime.GOMEMLIMIT, x.Runtime.GOMAXPROCS} {
		if len(s) > 1000 || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%.200q: %.200q, %d bytes", from, s, len(s))
		}
	}
	if got.reason != "" {
		if got.detail == "" {
			t.Errorf("%.200q: %q without a detail", from, got.reason)
		}
		return
	}
	e := x.Endpoint
	u, err := url.Parse(e.URL("profile", nil).String())
	if err != nil || u.Hostname() != "10.88.0.17" || u.Path != e.Path+"/profile" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		e.Scheme != "http" && e.Scheme != "https" {
		t.Errorf("%.200q: %+v reaches %v, %v", from, e, u, err)
	}
	if x.Counter == (gopprof.Counter{}) {
		return
	}
	on := x.Counter.On(e)
	u, err = url.Parse(on.URL("", nil).String())
	if err != nil || u.Hostname() != "10.88.0.17" || strings.TrimSuffix(u.Path, "/") != on.Path || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		on.Port < 1 || on.Port > 65535 || discover.CheckCounter(x.Counter) != nil {
		t.Errorf("%.200q: %+v is read at %v, %v", from, x.Counter, u, err)
	}
}

// A pod may be as large as the API server lets it be, of labels, annotations or containers: an
// agent keeps little of it, and says why it is not profiled.
func TestPodsWithoutEnd(t *testing.T) {
	many := func(n int, each func(i int)) {
		for i := range n {
			each(i)
		}
	}
	r := reader{node: here, optIn: optIn{selector: labels.SelectorFromSet(labels.Set{"app": "web"})}, peers: true}
	for name, grow := range map[string]func(p *corev1.Pod){
		"labels": func(p *corev1.Pod) {
			many(10_000, func(i int) { p.Labels[fmt.Sprint("label-", i)] = strings.Repeat("x", 63) })
		},
		"annotations": func(p *corev1.Pod) { p.Annotations["gopprof.io/x"] = strings.Repeat("x", 256<<10) },
		"containers": func(p *corev1.Pod) {
			many(10_000, func(i int) { p.Spec.Containers = append(p.Spec.Containers, container(fmt.Sprint("c", i))) })
		},
		"ports": func(p *corev1.Pod) {
			many(65_535, func(i int) { p.Spec.Containers[0].Ports = append(p.Spec.Containers[0].Ports, port("", int32(i+1))) })
		},
		"owners": func(p *corev1.Pod) {
			many(10_000, func(i int) { p.OwnerReferences = append(p.OwnerReferences, metav1.OwnerReference{Name: fmt.Sprint(i)}) })
		},
	} {
		for enabled, want := range map[string]gopprof.Reason{"true": gopprof.ReasonBadInput, "": gopprof.ReasonBadInput, "yes": gopprof.ReasonBadInput, "false": ""} {
			p := web(grow)
			if p.Annotations[annotationEnabled] = enabled; enabled == "" {
				delete(p.Annotations, annotationEnabled) // in by its label
			}
			kept, err := r.fits(p)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := r.fits(kept); err != nil || !reflect.DeepEqual(again, kept) {
				t.Errorf("%s: stripped again: %v", name, err)
			}
			pod := kept.(*corev1.Pod)
			if pod.Size() > 1<<10 {
				t.Errorf("%s: %d bytes are kept", name, pod.Size())
			}
			got, listed := r.read(pod)
			if listed != (want != "") || got.reason != want || got.target.Pod != p.Name && listed {
				t.Errorf("%s, enabled %q: listed %v, %q (%s)", name, enabled, listed, got.reason, got.detail)
			}
			if listed {
				checkSent(t, name, got)
			}
		}
	}
	full := web(func(p *corev1.Pod) {
		many(40, func(i int) {
			p.Spec.Containers = append(p.Spec.Containers, container(fmt.Sprint("container-", i), port("http", 8080), port("metrics", 9090)))
			p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, running(fmt.Sprint("container-", i), "containerd://"+strings.Repeat("1", 64)))
		})
	}, annotated(annotationContainer, "container-7"))
	kept, err := r.fits(full)
	if err != nil {
		t.Fatal(err)
	}
	if got, listed := r.read(kept.(*corev1.Pod)); !listed || got.reason != "" {
		t.Errorf("a pod of 41 containers: %+v", got)
	}
}
