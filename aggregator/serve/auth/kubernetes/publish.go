package kubernetes

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	core "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
)

const (
	// publishEvery is how often the ConfigMap is written though nothing changed: somebody may
	// have emptied it. The API server stores nothing when nothing differs.
	publishEvery   = time.Minute
	publishRetry   = time.Second
	publishWithin  = 10 * time.Second
	bundleKey      = "ca.crt"
	fieldManager   = "gopprof-aggregator"
	maxBundleBytes = 256 << 10 // a ConfigMap takes 1 MiB
)

// Bundle returns the certificates (PEM) that agents must trust, and a channel that is
// closed when there are others; nil when nobody tells.
type Bundle func() (certificates []byte, changed <-chan struct{}, err error)

// Publisher writes the certificates that clients must trust where these find them.
type Publisher struct {
	place  string // as the log calls it
	bundle Bundle
	write  func(ctx context.Context, certificates []byte) error
	log    *zap.Logger

	published *prometheus.CounterVec
	current   prometheus.Gauge
	every     time.Duration
}

// NewPublisher makes a publisher of what agents must trust, into a ConfigMap; the bundle is
// that of the configured file, if there is one.
func NewPublisher(c PublishConfig, bundle Bundle, rc *rest.Config, log *zap.Logger, reg prometheus.Registerer) (*Publisher, error) {
	client, err := core.NewForConfig(rc)
	if err != nil {
		return nil, fmt.Errorf("reaching kubernetes: %w", err)
	}
	return newPublisher(c, bundle, client, log, reg), nil
}

func newPublisher(c PublishConfig, bundle Bundle, client core.ConfigMapsGetter, log *zap.Logger, reg prometheus.Registerer) *Publisher {
	namespace, name, _ := strings.Cut(c.ConfigMap, "/")
	if c.File != "" {
		bundle = fileBundle(c.File)
	}
	maps := client.ConfigMaps(namespace)
	p := &Publisher{
		place: fmt.Sprintf("configmap %q", name), bundle: bundle, log: log, every: publishEvery,
		write: func(ctx context.Context, certificates []byte) error {
			patch, err := json.Marshal(map[string]any{"data": map[string]string{bundleKey: string(certificates)}})
			if err != nil {
				return err
			}
			_, err = maps.Patch(ctx, name, types.MergePatchType, patch, meta.PatchOptions{FieldManager: fieldManager})
			return err
		},
		published: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gopprof_aggregator_ca_published_total",
			Help: "Writes of the certificates that agents must trust into their ConfigMap, by result (ok, failed).",
		}, []string{"result"}),
		current: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gopprof_aggregator_ca_current",
			Help: "Whether the last write of the certificates that agents must trust succeeded (0 or 1).",
		}),
	}
	reg.MustRegister(p.published, p.current)
	return p
}

func fileBundle(path string) Bundle {
	return func() ([]byte, <-chan struct{}, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, nil, err
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, maxBundleBytes+1))
		return data, nil, err
	}
}

// Run writes the certificates now, whenever they change, and again each minute, until ctx
// ends. A failure is tried again.
func (p *Publisher) Run(ctx context.Context) error {
	wait, last := publishRetry, errors.New("not yet")
	for {
		changed, err := p.publish(ctx)
		if ctx.Err() != nil {
			return nil
		}
		p.tell(err, last)
		if last = err; err == nil {
			wait = p.every
		} else {
			wait = min(max(publishRetry, wait*2), publishEvery/2)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			wait = publishRetry
		case <-time.After(wait):
		}
	}
}

// publish writes once; the channel is closed when there is something else to write.
func (p *Publisher) publish(ctx context.Context) (<-chan struct{}, error) {
	certificates, changed, err := p.bundle()
	if err != nil {
		return changed, fmt.Errorf("reading certificates: %w", err)
	}
	certificates, err = onlyCertificates(certificates)
	if err != nil {
		return changed, fmt.Errorf("reading certificates: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, publishWithin)
	defer cancel()
	if err := p.write(ctx, certificates); err != nil {
		return changed, fmt.Errorf("patching %s: %w", p.place, err)
	}
	return changed, nil
}

// onlyCertificates keeps out of the cluster what stands in the file by mistake, such as a
// key.
func onlyCertificates(data []byte) ([]byte, error) {
	if len(data) > maxBundleBytes {
		return nil, fmt.Errorf("more than %d bytes", maxBundleBytes)
	}
	var out []byte
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("there is a %q among them", block.Type)
		}
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})...)
	}
	if len(out) == 0 {
		return nil, errors.New("there are none")
	}
	return out, nil
}

func (p *Publisher) tell(err, last error) {
	p.published.WithLabelValues(outcome(err)).Inc()
	switch {
	case err != nil:
		p.current.Set(0)
		if last == nil || last.Error() != err.Error() {
			p.log.Error("certificates not published, trying again; new clients may not trust this server", zap.Error(err))
		}
	case last != nil:
		p.log.Info("certificates published", zap.String("into", p.place))
		fallthrough
	default:
		p.current.Set(1)
	}
}
