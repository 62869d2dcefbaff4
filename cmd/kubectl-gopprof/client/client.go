// Package client asks the aggregator's HTTP API.
//
// Calls enter and become requests; the API's answers leave, or a *Failure that says whose
// fault it is. A request that changes something is sent again when nobody can say whether
// it arrived: the server makes one of them.
//
// It must never take for the API's what something in between answered, and never read
// more than it has room for.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"time"

	"github.com/gopprof/gopprof/cmd/kubectl-gopprof/connect"
	"github.com/gopprof/gopprof/pkg/api"
)

const (
	// maxJSONBytes bounds an answer: the targets of the largest clusters are a few hundred
	// megabytes.
	maxJSONBytes = 1 << 30
	// maxProblemBytes bounds what is read of a refusal.
	maxProblemBytes = 64 << 10
	// patience bounds one request and its answer, but for profiles and events.
	patience = 60 * time.Second
)

// pauses are waited before each further try of a request that changes something.
var pauses = []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second}

// Client asks one server.
type Client struct {
	Server connect.Server
	// Namespace is what requests are about where the server's address says so; empty is all.
	Namespace string
	// Wait waits, or returns why ctx ended first.
	Wait func(ctx context.Context, d time.Duration) error
}

// request is one call of the API.
type request struct {
	method string
	path   string // "/api/v1/…"
	query  url.Values
	body   any
	key    string // idempotency key
	accept string
}

// get asks for JSON.
func (c *Client) get(ctx context.Context, path string, query url.Values, out any) error {
	return c.ask(ctx, request{method: http.MethodGet, path: path, query: query}, out)
}

// change sends a request that changes something, again if need be.
func (c *Client) change(ctx context.Context, r request, out any) error {
	for _, pause := range pauses {
		err := c.ask(ctx, r, out)
		if !again(err) {
			return err
		}
		if c.Wait(ctx, pause) != nil {
			return err
		}
	}
	return c.ask(ctx, r, out)
}

// ask sends a request once and decodes its answer.
func (c *Client) ask(ctx context.Context, r request, out any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	resp, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if !is(resp, "application/json") {
		return c.foreign(resp)
	}
	body := &io.LimitedReader{R: resp.Body, N: maxJSONBytes}
	if err := json.NewDecoder(body).Decode(out); err != nil {
		return &Failure{Sort: Unreachable, Again: true, Text: fmt.Sprintf("the answer of %s broke off or is no JSON: %v", c.Server.Name, err), Err: err}
	}
	return nil
}

// send sends a request once and returns the answer if it is a success; its body is the
// caller's to close.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	req, err := c.build(ctx, r)
	if err != nil {
		return nil, err
	}
	resp, err := c.Server.HTTP.Do(req)
	if err != nil {
		return nil, c.unreached(ctx, err)
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxProblemBytes))
	if err != nil {
		return nil, c.unreached(ctx, err)
	}
	return nil, c.refused(resp, body)
}

func (c *Client) build(ctx context.Context, r request) (*http.Request, error) {
	var body io.Reader
	if r.body != nil {
		data, err := json.Marshal(r.body)
		if err != nil {
			return nil, fmt.Errorf("writing the request: %w", err)
		}
		body = bytes.NewReader(data)
	}
	to := c.Server.URL(c.Namespace, r.path)
	to.RawQuery = r.query.Encode()
	req, err := http.NewRequestWithContext(ctx, r.method, to.String(), body)
	if err != nil {
		return nil, fmt.Errorf("writing the request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.key != "" {
		req.Header.Set(api.HeaderIdempotencyKey, r.key)
	}
	if r.accept == "" {
		r.accept = "application/json, " + api.ContentTypeProblem
	}
	req.Header.Set("Accept", r.accept)
	return req, nil
}

func is(resp *http.Response, mediaType string) bool {
	got, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return err == nil && got == mediaType
}
