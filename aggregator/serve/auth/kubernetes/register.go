package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"k8s.io/client-go/rest"
)

// apiServicePath is the object by which the API server finds the aggregated API. Its types
// are those of k8s.io/kube-aggregator, which nothing else here needs.
const apiServicePath = "/apis/apiregistration.k8s.io/v1/apiservices/v1.gopprof.io"

// NewRegistrar makes a publisher of what the API server must trust to reach the aggregated
// API, into its APIService. That certificates are not checked there is not left standing.
func NewRegistrar(bundle Bundle, rc *rest.Config, log *zap.Logger, reg prometheus.Registerer) (*Publisher, error) {
	client, err := rest.HTTPClientFor(rc)
	if err != nil {
		return nil, fmt.Errorf("reaching kubernetes: %w", err)
	}
	base, _, err := rest.DefaultServerUrlFor(rc)
	if err != nil {
		return nil, fmt.Errorf("reaching kubernetes: %w", err)
	}
	address := base.JoinPath(apiServicePath)
	address.RawQuery = url.Values{"fieldManager": {fieldManager}}.Encode()
	p := &Publisher{
		place: `apiservice "v1.gopprof.io"`, bundle: bundle, log: log, every: publishEvery,
		write: func(ctx context.Context, certificates []byte) error {
			return register(ctx, client, address, certificates)
		},
		published: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gopprof_aggregator_apiservice_published_total",
			Help: "Writes of the certificates that the API server must trust into the APIService, by result (ok, failed).",
		}, []string{"result"}),
		current: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gopprof_aggregator_apiservice_current",
			Help: "Whether the last write of the certificates that the API server must trust succeeded (0 or 1).",
		}),
	}
	reg.MustRegister(p.published, p.current)
	return p, nil
}

func register(ctx context.Context, client *http.Client, address *url.URL, certificates []byte) error {
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"caBundle": certificates, "insecureSkipTLSVerify": nil}})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPatch, address.String(), bytes.NewReader(patch))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/merge-patch+json")
	r.Header.Set("Accept", "application/json")
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusOK {
		_, err = io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswerBytes))
		return err
	}
	var status struct {
		Message string `json:"message"`
	}
	_ = json.NewDecoder(io.LimitReader(answer.Body, maxAnswerBytes)).Decode(&status) // what it says, if it is a Status
	return fmt.Errorf("status %d: %.300s", answer.StatusCode, status.Message)
}
