package kubernetes

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"k8s.io/client-go/rest"
)

const userAgent = "gopprof-aggregator"

// maxAnswerBytes bounds what the API server says of its keys.
const maxAnswerBytes = 1 << 20

// Connect says how the API server is reached: as the pod's own service account, or as
// configured. Nothing is sent yet.
func Connect(c ServerConfig) (*rest.Config, error) {
	if c.URL == "" {
		in, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("reaching kubernetes: %w", err)
		}
		in.UserAgent = userAgent
		return in, nil
	}
	return &rest.Config{
		Host: c.URL, BearerTokenFile: string(c.TokenFile), UserAgent: userAgent,
		TLSClientConfig: rest.TLSClientConfig{CAFile: c.CAFile},
	}, nil
}

// getter fetches a path of the API server.
func getter(c *rest.Config) (func(ctx context.Context, path string) ([]byte, error), error) {
	client, err := rest.HTTPClientFor(c)
	if err != nil {
		return nil, fmt.Errorf("reaching kubernetes: %w", err)
	}
	base, _, err := rest.DefaultServerUrlFor(c)
	if err != nil {
		return nil, fmt.Errorf("reaching kubernetes: %w", err)
	}
	return func(ctx context.Context, path string) ([]byte, error) { return get(ctx, client, base, path) }, nil
}

func get(ctx context.Context, client *http.Client, base *url.URL, path string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base.JoinPath(path).String(), nil)
	if err != nil {
		return nil, fmt.Errorf("asking for %s: %w", path, err)
	}
	answer, err := client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("asking for %s: %w", path, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswerBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("asking for %s: %w", path, err)
	case answer.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("asking for %s: status %d", path, answer.StatusCode)
	case len(body) > maxAnswerBytes:
		return nil, fmt.Errorf("asking for %s: more than %d bytes", path, maxAnswerBytes)
	}
	return body, nil
}
