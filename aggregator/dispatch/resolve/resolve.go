// Package resolve finds who owns a profiled pod, and what a reader of its report wants to
// open next.
//
// Targets enter; an owner and links leave. The pod's own annotation counts first, then its
// labels, then the configured workloads, then its namespace. Pods and namespaces are read
// one by one when a report is made, and remembered for a while: nothing is watched. The API
// server never holds up a report for long: while it is away the owner is the one that the
// agent saw. What annotations say is hostile: an owner is a bounded line of text, a link an
// absolute http address, and nothing else leaves.
package resolve

import (
	"context"
	"fmt"
	"maps"
	"path"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	core "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// The annotations that are read here.
const (
	annotationOwner = "gopprof.io/owner"
	annotationLink  = "gopprof.io/link-" // and the link's name
)

// failedFor is how long the API server is left alone after it failed to tell of an object:
// reports must not wait for it one after the other.
const failedFor = 15 * time.Second

// Resolver finds owners and links.
type Resolver struct {
	cfg     Config
	cluster string
	client  getter
	now     func() time.Time
	log     *zap.Logger
	met     *metrics

	pods       *cache[podKey]
	namespaces *cache[string]
}

// getter is as much of a client as is needed here.
type getter interface {
	core.PodsGetter
	core.NamespacesGetter
}

type podKey struct{ namespace, name, uid string }

// New makes a resolver of pods of the cluster, whose API server is at rc. Nothing is asked
// yet.
func New(c Config, cluster string, rc *rest.Config, log *zap.Logger, reg prometheus.Registerer) (*Resolver, error) {
	own := rest.CopyConfig(rc)
	own.QPS, own.Burst = 20, 100
	client, err := core.NewForConfig(own)
	if err != nil {
		return nil, fmt.Errorf("reaching kubernetes: %w", err)
	}
	return newResolver(c, cluster, client, log, reg), nil
}

func newResolver(c Config, cluster string, client getter, log *zap.Logger, reg prometheus.Registerer) *Resolver {
	return &Resolver{
		cfg: c, cluster: cluster, client: client, now: time.Now, log: log, met: newMetrics(reg),
		pods: newCache[podKey](c.CachePods), namespaces: newCache[string](c.CachePods),
	}
}

// Owner returns who is told of the target's reports, empty for nobody in particular, and
// links by their names. It always answers, within about twice the configured time-out.
func (r *Resolver) Owner(ctx context.Context, t gopprof.Target) (owner string, links map[string]string) {
	var pod, namespace facts
	if t.Cluster == r.cluster && t.Namespace != "" && t.PodUID != "" { // others are no pods of this API server
		pod, namespace = r.pod(ctx, t), r.namespace(ctx, t.Namespace)
	}
	return r.owner(t, pod, namespace), r.links(t, pod, namespace)
}

// owner is the order in which they count.
func (r *Resolver) owner(t gopprof.Target, pod, namespace facts) string {
	for _, owner := range []string{pod.owner, t.Owner, pod.label, r.ofWorkload(t), namespace.owner, namespace.label} {
		if owner != "" {
			return owner
		}
	}
	return ""
}

func (r *Resolver) ofWorkload(t gopprof.Target) string {
	for _, w := range r.cfg.Workloads {
		if (w.Kind == "" || w.Kind == t.Workload.Kind) && fits(w.Namespace, t.Namespace) && fits(w.Name, t.Workload.Name) {
			return w.Owner
		}
	}
	return ""
}

func fits(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return pattern == "" || ok && err == nil
}

func (r *Resolver) links(t gopprof.Target, pod, namespace facts) map[string]string {
	out := map[string]string{}
	for _, l := range r.cfg.Links {
		if u := l.of(t); u != "" {
			out[l.Name] = u
		}
	}
	maps.Copy(out, namespace.links)
	maps.Copy(out, pod.links)
	return out
}

func (r *Resolver) pod(ctx context.Context, t gopprof.Target) facts {
	key := podKey{t.Namespace, t.Pod, t.PodUID}
	return lookUp(ctx, r, r.pods, key, "pod", func(ctx context.Context) (*meta.ObjectMeta, error) {
		p, err := r.client.Pods(t.Namespace).Get(ctx, t.Pod, meta.GetOptions{ResourceVersion: "0"})
		if err != nil || string(p.UID) != t.PodUID { // another one under its name says nothing of this one
			return nil, err
		}
		return &p.ObjectMeta, nil
	})
}

func (r *Resolver) namespace(ctx context.Context, name string) facts {
	return lookUp(ctx, r, r.namespaces, name, "namespace", func(ctx context.Context) (*meta.ObjectMeta, error) {
		n, err := r.client.Namespaces().Get(ctx, name, meta.GetOptions{ResourceVersion: "0"})
		if err != nil {
			return nil, err
		}
		return &n.ObjectMeta, nil
	})
}

// lookUp returns what is known of an object, after asking for it if that is too old. When
// asking fails, what was known before stays.
func lookUp[K comparable](ctx context.Context, r *Resolver, c *cache[K], key K, kind string, get func(ctx context.Context) (*meta.ObjectMeta, error)) facts {
	known, fresh := c.get(key, r.now())
	if fresh {
		r.met.lookups.WithLabelValues(kind, "remembered").Inc()
		return known
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	object, err := get(ctx)
	switch {
	case err != nil && !apierrors.IsNotFound(err):
		r.met.lookups.WithLabelValues(kind, "failed").Inc()
		if !c.failing.Swap(true) {
			r.log.Warn("owners cannot be looked up, what is known stays", zap.String("object", kind), zap.Error(err))
		}
		c.put(key, known, r.now().Add(failedFor))
		return known
	case object == nil || err != nil:
		r.met.lookups.WithLabelValues(kind, "absent").Inc()
		object = &meta.ObjectMeta{}
	default:
		r.met.lookups.WithLabelValues(kind, "found").Inc()
	}
	if c.failing.Swap(false) {
		r.log.Info("owners are looked up again", zap.String("object", kind))
	}
	f := r.read(object)
	c.put(key, f, r.now().Add(r.cfg.CacheFor))
	return f
}
