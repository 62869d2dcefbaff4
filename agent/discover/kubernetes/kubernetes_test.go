package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/gopprof/gopprof/agent/discover"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// api is client-go's fake of the API server, whose watches can break and which can be away.
type api struct {
	*fake.Clientset

	mu      sync.Mutex // guards what follows
	away    error
	expired bool // the next watch is refused: what happened meanwhile is forgotten
	watches []watch.Interface
	lists   int
	fields  string // the last field selector
}

func (a *api) List(ctx context.Context, opts metav1.ListOptions) (*corev1.PodList, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lists, a.fields = a.lists+1, opts.FieldSelector
	if a.away != nil {
		return nil, a.away
	}
	return a.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
}

func (a *api) Watch(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fields = opts.FieldSelector
	if a.away != nil {
		return nil, a.away
	}
	if a.expired { // as after a long absence: the reflector lists again
		a.expired = false
		return nil, apierrors.NewResourceExpired("too old resource version")
	}
	w, err := a.CoreV1().Pods("").Watch(ctx, metav1.ListOptions{ResourceVersion: opts.ResourceVersion})
	if err == nil {
		a.watches = append(a.watches, w)
	}
	return w, err
}

// cut ends all watches; with an error, further questions fail by it.
func (a *api) cut(away error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range a.watches {
		w.Stop()
	}
	a.watches, a.away, a.expired = nil, away, away != nil || a.expired
}

func (a *api) put(t *testing.T, p *corev1.Pod) {
	t.Helper()
	pods := a.CoreV1().Pods(p.Namespace)
	if _, err := pods.Update(t.Context(), p, metav1.UpdateOptions{}); apierrors.IsNotFound(err) {
		_, err = pods.Create(t.Context(), p, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	} else if err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

func (a *api) remove(t *testing.T, p *corev1.Pod) {
	t.Helper()
	if err := a.CoreV1().Pods(p.Namespace).Delete(t.Context(), p.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

// discovering runs a Discoverer against the fake, in a bubble whose clock is not the
// world's.
func discovering(t *testing.T, test func(t *testing.T, d *Discoverer, a *api), objects ...runtime.Object) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{Clientset: fake.NewClientset(objects...)}
		d, err := newDiscoverer(DefaultConfig(), here, a, zap.NewNop(), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		if err := d.Ready(); err == nil {
			t.Error("ready before the first list")
		}
		go func() { done <- d.Run(ctx) }()
		time.Sleep(time.Second) // of the bubble
		synctest.Wait()
		test(t, d, a)
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// only returns the one target that there is.
func (d *Discoverer) only(t *testing.T) gopprof.Target {
	t.Helper()
	s := d.Snapshot()
	if len(s.Targets) != 1 {
		t.Fatalf("%d targets, refused %+v", len(s.Targets), s.Refused)
	}
	return s.Targets[0]
}

func TestPodsComeAndGo(t *testing.T) {
	discovering(t, func(t *testing.T, d *Discoverer, a *api) {
		if err := d.Ready(); err != nil {
			t.Error(err)
		}
		if a.fields != "spec.nodeName=node-1" {
			t.Errorf("asked for %q", a.fields)
		}
		a.put(t, web(named("silent"), silent))
		a.put(t, web(named("elsewhere"), func(p *corev1.Pod) { p.Spec.NodeName = "node-2" }))
		if s := d.Snapshot(); len(s.Targets)+len(s.Refused) != 0 {
			t.Errorf("%+v", s)
		}
		pod := web(inState(corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}))
		a.put(t, pod)
		if s := d.Snapshot(); len(s.Refused) != 1 || s.Refused[0].Reason != gopprof.ReasonNotStarted || testutil.ToFloat64(d.metrics.refused.WithLabelValues("not_started")) != 1 {
			t.Errorf("%+v", s)
		}
		a.put(t, web())
		target := d.only(t)
		if testutil.ToFloat64(d.metrics.targets) != 1 || testutil.ToFloat64(d.metrics.refused.WithLabelValues("not_started")) != 0 {
			t.Error("not counted")
		}
		a.put(t, web(func(p *corev1.Pod) {
			p.DeletionTimestamp = &metav1.Time{Time: time.Now()}
			p.Finalizers = []string{"x/y"}
		}))
		if _, reason := discover.Current(d.Snapshot(), target); reason != gopprof.ReasonTerminating {
			t.Errorf("terminating: %q", reason)
		}
		a.remove(t, web())
		if _, reason := discover.Current(d.Snapshot(), target); reason != gopprof.ReasonGone {
			t.Errorf("removed: %q", reason)
		}
	})
}

func TestSnapshotBelongsToItsCaller(t *testing.T) {
	discovering(t, func(t *testing.T, d *Discoverer, _ *api) {
		s := d.Snapshot()
		s.Targets[0].Pod = "changed"
		if d.only(t).Pod == "changed" {
			t.Error("the caller changed the list")
		}
	}, web())
}

// A pod of a StatefulSet comes back under its name: it is another one.
func TestPodRecreatedUnderItsName(t *testing.T) {
	for _, seen := range []bool{true, false} { // whether the watch saw it go
		discovering(t, func(t *testing.T, d *Discoverer, a *api) {
			old := d.only(t)
			if !seen {
				a.cut(errors.New("API server away"))
			}
			a.remove(t, web())
			a.put(t, web(identified("second", "10.88.0.99", "22bb")))
			if !seen {
				a.cut(nil)
				time.Sleep(2 * time.Minute)
				synctest.Wait()
			}
			if now := d.only(t); now.PodUID != "second" || now.Endpoint.Host != "10.88.0.99" || now.ContainerID != "22bb" {
				t.Errorf("%+v", now)
			}
			if _, reason := discover.Current(d.Snapshot(), old); reason != gopprof.ReasonGone {
				t.Errorf("the former pod: %q", reason)
			}
		}, web())
	}
}

func TestPodWhileACaptureRuns(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*corev1.Pod)
		reason gopprof.Reason
		host   string
		port   int
	}{
		"address changed":          {func(p *corev1.Pod) { p.Status.PodIP = "10.88.0.18" }, "", "10.88.0.18", 6060},
		"port changed":             {annotated(annotationPort, "7070"), "", "10.88.0.17", 7070},
		"container restarted":      {identified("6b1e0c5e-0000-4000-8000-000000000001", "10.88.0.17", "22bb"), "", "10.88.0.17", 6060},
		"port made hostile":        {annotated(annotationPort, "80@evil"), gopprof.ReasonInvalidEndpoint, "", 0},
		"path made hostile":        {annotated(annotationPath, "/../../x"), gopprof.ReasonInvalidEndpoint, "", 0},
		"opted out":                {annotated(annotationEnabled, "false"), gopprof.ReasonGone, "", 0},
		"annotations taken off":    {silent, gopprof.ReasonGone, "", 0},
		"given the node's address": {func(p *corev1.Pod) { p.Status.PodIP = p.Status.HostIP }, gopprof.ReasonInvalidEndpoint, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			discovering(t, func(t *testing.T, d *Discoverer, a *api) {
				capturing := d.only(t)
				a.put(t, web(c.change))
				now, reason := discover.Current(d.Snapshot(), capturing)
				if reason != c.reason || reason == "" && (now.Endpoint.Host != c.host || now.Endpoint.Port != c.port) {
					t.Errorf("%q, %+v", reason, now.Endpoint)
				}
			}, web())
		})
	}
}

func TestManyPods(t *testing.T) {
	var all []runtime.Object
	for i := range 250 {
		all = append(all, web(named(fmt.Sprintf("web-%03d", i)), identified(fmt.Sprint("uid-", i), fmt.Sprintf("10.88.1.%d", i+1), fmt.Sprint("id-", i))))
	}
	discovering(t, func(t *testing.T, d *Discoverer, a *api) {
		a.remove(t, web(named("web-007")))
		a.put(t, web(named("web-100"), annotated(annotationScheme, "gopher")))
		s := d.Snapshot()
		if len(s.Targets) != 248 || len(s.Refused) != 1 || s.Targets[0].Pod != "web-000" || s.Targets[247].Pod != "web-249" {
			t.Errorf("%d targets, %d refused", len(s.Targets), len(s.Refused))
		}
	}, all...)
}

func TestWatchBrokenAndResumed(t *testing.T) {
	discovering(t, func(t *testing.T, d *Discoverer, a *api) {
		for i := range 5 {
			a.cut(nil)
			time.Sleep(time.Minute)
			a.put(t, web(identified("u", fmt.Sprintf("10.88.2.%d", i+1), "11aa")))
			if got := d.only(t).Endpoint.Host; got != fmt.Sprintf("10.88.2.%d", i+1) {
				t.Errorf("after break %d: %s", i, got)
			}
		}
		if err := d.Ready(); err != nil {
			t.Error(err)
		}
	}, web())
}

func TestAPIServerAwayForFiveMinutes(t *testing.T) {
	discovering(t, func(t *testing.T, d *Discoverer, a *api) {
		a.cut(errors.New("connection refused"))
		time.Sleep(40 * time.Second)
		synctest.Wait()
		if err := d.Ready(); err != nil {
			t.Errorf("not ready at once: %v", err)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if err := d.Ready(); err == nil || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("ready: %v", err)
		}
		d.only(t)
		if n := testutil.ToFloat64(d.metrics.failures); n < 5 || n > 60 || testutil.ToFloat64(d.metrics.away) != 1 {
			t.Errorf("%v failures", n)
		}
		a.put(t, web(named("new"), identified("new", "10.88.0.3", "33")))
		a.cut(nil)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if s := d.Snapshot(); d.Ready() != nil || len(s.Targets) != 2 || testutil.ToFloat64(d.metrics.away) != 0 {
			t.Errorf("not found again: %v, %+v", d.Ready(), s)
		}
	}, web())
}

func TestAPIServerAwayAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{Clientset: fake.NewClientset(web()), away: apierrors.NewForbidden(corev1.Resource("pods"), "", errors.New("no right to list"))}
		d, err := newDiscoverer(DefaultConfig(), here, a, zap.NewNop(), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- d.Run(ctx) }()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if err := d.Ready(); err == nil || !strings.Contains(err.Error(), "no right to list") {
			t.Errorf("ready: %v", err)
		}
		a.cut(nil)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		d.only(t)
		stop()
		<-done
	})
}

// Before the first list nobody is known to be gone; after it everybody in it is there.
func TestSnapshotBeforeTheFirstList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{Clientset: fake.NewClientset(web())}
		d, err := newDiscoverer(DefaultConfig(), here, a, zap.NewNop(), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		if s := d.Snapshot(); !s.Unlisted || !discover.Join(d).Snapshot().Unlisted {
			t.Errorf("before the start: %+v", s)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- d.Run(ctx) }()
		for d.Snapshot().Unlisted {
			time.Sleep(time.Millisecond) // of the bubble
		}
		if s := d.Snapshot(); len(s.Targets) != 1 {
			t.Errorf("listed: %+v", s)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
