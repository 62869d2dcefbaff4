// Package kubernetes finds this node's targets through the API server: it watches the pods
// of one node, and what their annotations say of net/http/pprof. Pods enter, targets leave,
// and those that may not be profiled, each with a named reason.
//
// Annotations are written by whoever may write a pod: a port, path or scheme that could
// lead away from that pod never becomes a target. While the API server is away the last
// list stays.
package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/gopprof/gopprof/agent/discover"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// patience is how long the API server may be away before readiness tells it: a rolling
// update of the control plane is no news.
const patience = time.Minute

// pods is the API server, as far as it is asked.
type pods interface {
	List(ctx context.Context, opts metav1.ListOptions) (*corev1.PodList, error)
	Watch(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error)
}

// Discoverer keeps the targets among the pods of one node. It is safe for concurrent use.
type Discoverer struct {
	reader    reader
	informer  cache.SharedIndexInformer
	log       *zap.Logger
	metrics   *metrics
	now       func() time.Time
	listedAll func() bool // whoever was in the first list is in found

	mu        sync.Mutex        // guards what follows
	found     map[string]found  // by namespace/name of the pod
	listed    bool              // the API server has answered once
	away      error             // why it does not answer now
	awaySince time.Time         // meaningful while away is set
	changed   bool              // found changed since snapshot was made
	snapshot  discover.Snapshot // of found, sorted
}

var _ discover.Discoverer = (*Discoverer)(nil)

// New makes a Discoverer that has asked nothing yet. How the API server is reached is
// taken from connect, or, when that is nil, from the configuration.
func New(cfg Config, node discover.Node, connect *rest.Config, log *zap.Logger, reg prometheus.Registerer) (*Discoverer, error) {
	if connect == nil {
		var err error
		if connect, err = connection(cfg.Kubeconfig); err != nil {
			return nil, fmt.Errorf("reaching the API server: %w", err)
		}
	}
	api, err := newClient(connect)
	if err != nil {
		return nil, fmt.Errorf("reaching the API server: %w", err)
	}
	return newDiscoverer(cfg, node, api, log, reg)
}

func newDiscoverer(cfg Config, node discover.Node, api pods, log *zap.Logger, reg prometheus.Registerer) (*Discoverer, error) {
	optIn, err := newOptIn(cfg)
	if err != nil {
		return nil, err
	}
	d := &Discoverer{
		reader: reader{node: node, optIn: optIn, hostNetwork: cfg.HostNetwork, peers: cfg.PeerAnnotations},
		log:    log, metrics: newMetrics(reg), now: time.Now, found: make(map[string]found), changed: true,
	}
	d.informer = cache.NewSharedIndexInformer(&source{api: api, node: node.Name, note: d.note}, &corev1.Pod{}, 0, cache.Indexers{})
	if err := d.informer.SetTransform(d.reader.fits); err != nil {
		return nil, err
	}
	// The reflector's errors are noted by source, once each; it logs them again and again.
	if err := d.informer.SetWatchErrorHandlerWithContext(func(context.Context, *cache.Reflector, error) {}); err != nil {
		return nil, err
	}
	handler, err := d.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { d.update(obj) },
		UpdateFunc: func(_, obj any) { d.update(obj) },
		DeleteFunc: d.remove,
	})
	if err != nil {
		return nil, err
	}
	d.listedAll = handler.HasSynced
	return d, nil
}

// Run watches the pods until ctx ends.
func (d *Discoverer) Run(ctx context.Context) error {
	d.informer.RunWithContext(ctx)
	return nil
}

// Snapshot implements discover.Discoverer.
func (d *Discoverer) Snapshot() discover.Snapshot {
	unlisted := !d.listedAll()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.changed {
		d.snapshot, d.changed = sorted(d.found), false
	}
	return discover.Snapshot{
		Targets: append([]gopprof.Target(nil), d.snapshot.Targets...),
		Refused: append([]gopprof.Refusal(nil), d.snapshot.Refused...),

		Unlisted: unlisted,
	}
}

var errNotListed = errors.New("pods not listed yet")

// Ready tells that the pods were never listed, or that the API server has been away for a
// while, or nil.
func (d *Discoverer) Ready() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case !d.listed && d.away != nil:
		return fmt.Errorf("%w: %w", errNotListed, d.away)
	case !d.listed:
		return errNotListed
	case d.away != nil && d.now().Sub(d.awaySince) >= patience:
		return fmt.Errorf("pods as of %s: %w", d.awaySince.UTC().Format(time.RFC3339), d.away)
	}
	return nil
}

// update notes a pod as it is now. A pod recreated under the same name takes the place of
// the former one.
func (d *Discoverer) update(obj any) {
	pod, ok := obj.(*corev1.Pod)
	if !ok || pod.Spec.NodeName != d.reader.node.Name {
		return
	}
	key := cache.MetaObjectToName(pod).String()
	now, listed := d.reader.read(pod)
	d.mu.Lock()
	defer d.mu.Unlock()
	before, known := d.found[key]
	if !listed {
		delete(d.found, key)
	} else {
		d.found[key] = now
	}
	if known == listed && before == now {
		return
	}
	d.told(before, now)
}

func (d *Discoverer) remove(obj any) {
	key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(obj)
	if err != nil {
		return // neither a pod nor what is left of one
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	before, known := d.found[key]
	if !known {
		return
	}
	delete(d.found, key)
	d.told(before, found{})
}

// told counts and logs a change. The caller holds mu.
func (d *Discoverer) told(before, now found) {
	d.changed = true
	d.metrics.count(d.found)
	t := now.target
	switch {
	case now == found{}:
		t = before.target
		d.log.Info("pod not watched any more", fields(t)...)
	case now.reason != "" && (now.reason != before.reason || now.detail != before.detail):
		d.log.Info("target refused", append(fields(t), zap.String("reason", string(now.reason)), zap.String("detail", now.detail))...)
	case now.reason == "" && (before == found{} || before.reason != "" || before.target.Key() != t.Key()):
		d.log.Info("target found", append(fields(t), zap.String("workload", t.Workload.String()))...)
	}
}

func fields(t gopprof.Target) []zap.Field {
	return []zap.Field{
		zap.String("namespace", t.Namespace), zap.String("pod", t.Pod), zap.String("container", t.Container),
	}
}

// note takes down whether the API server answered.
func (d *Discoverer) note(listed bool, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.listed = d.listed || listed
	switch {
	case err != nil:
		d.metrics.failures.Inc()
		if d.away == nil {
			d.awaySince = d.now()
			d.log.Warn("API server lost, list of pods kept", zap.Int("pods", len(d.found)), zap.Error(err))
		}
	case d.away != nil:
		d.log.Info("API server found again", zap.Duration("away", d.now().Sub(d.awaySince)))
	}
	d.away = err
	d.metrics.away.Set(0)
	if err != nil {
		d.metrics.away.Set(1)
	}
}
