package client

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gopprof/gopprof/pkg/api"
	"github.com/gopprof/gopprof/pkg/gopprof"
)

// Sort says whose fault a failure is.
type Sort string

// The sorts.
const (
	Unreachable Sort = "unreachable" // nobody answered, or somebody else did
	Refused     Sort = "refused"     // the caller is not known, or may not do this
	Limited     Sort = "limited"     // enough of it is done already
	Invalid     Sort = "invalid"     // the request makes no sense
	Missing     Sort = "missing"     // there is no such thing
	Failed      Sort = "failed"      // everything else
)

// Failure is a request that did not succeed. Its text may hold words of strangers: whoever
// shows it cleans it.
type Failure struct {
	Sort   Sort
	Again  bool // the same request may succeed in a moment
	Text   string
	Reason gopprof.Reason // of the server, if it gave one
	Err    error
}

// Error returns the text for a person.
func (f *Failure) Error() string { return f.Text }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// SortOf returns the sort of an error of this package, or "".
func SortOf(err error) Sort {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f.Sort
	}
	return ""
}

func again(err error) bool {
	f, ok := errors.AsType[*Failure](err)
	return ok && f.Again
}

// unreached is a request without an answer.
func (c *Client) unreached(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // its text repeats the URL
	}
	f := &Failure{Sort: Unreachable, Again: true, Text: fmt.Sprintf("%s does not answer: %v", c.Server.Name, err), Err: err}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		f.Again = false
		if !c.Server.Gateway {
			f.Text += "; --ca-file names the certificates that may sign the server's"
		}
	}
	return f
}

// foreign is an answer of something that is not the API.
func (c *Client) foreign(resp *http.Response) error {
	return &Failure{Sort: Unreachable, Text: fmt.Sprintf("what answers at %s is not the API of gopprof: %s, %q",
		resp.Request.URL.Redacted(), resp.Status, resp.Header.Get("Content-Type"))}
}

// refused makes a Failure of an answer that is no success: the server's own problem, the
// API server's Status, or what something in between says.
func (c *Client) refused(resp *http.Response, body []byte) error {
	f := &Failure{Sort: sortOf(resp.StatusCode), Again: resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented}
	if p, ok := problemOf(resp, body); ok {
		f.Text, f.Reason, f.Err = p.Error(), p.Reason, p
		return f
	}
	if !c.Server.Gateway {
		return c.withoutProblem(resp, f)
	}
	f.Text = statusOf(resp, body)
	switch {
	case resp.StatusCode == http.StatusNotFound:
		f.Sort = Unreachable
		f.Text += ": its APIService is not installed (kubectl get apiservice v1.gopprof.io shows it); --server reaches an aggregator without it"
	case resp.StatusCode == http.StatusForbidden:
		f.Text += "; whoever administers the cluster can let you: kubectl auth can-i --list tells what you may do"
	case resp.StatusCode >= 500:
		f.Sort = Unreachable
		f.Text += "; kubectl get apiservice v1.gopprof.io tells whether the API server reaches gopprof"
	}
	return f
}

func (c *Client) withoutProblem(resp *http.Response, f *Failure) error {
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		f.Sort, f.Text = Unreachable, fmt.Sprintf("%s sends elsewhere (%s), where credentials do not follow; is this its address?", c.Server.Name, resp.Header.Get("Location"))
		return f
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden || resp.StatusCode >= 500:
		f.Text = fmt.Sprintf("%s answers %s", c.Server.Name, resp.Status)
		return f
	}
	return c.foreign(resp)
}

// sortOf reads a status.
func sortOf(status int) Sort {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return Refused
	case http.StatusTooManyRequests:
		return Limited
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return Invalid
	case http.StatusNotFound:
		return Missing
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return Unreachable
	}
	return Failed
}

// problemOf reads an answer of the API.
func problemOf(resp *http.Response, body []byte) (api.Problem, bool) {
	var p api.Problem
	if !is(resp, api.ContentTypeProblem) || json.Unmarshal(body, &p) != nil {
		return p, false
	}
	p.Status = resp.StatusCode
	if p.Detail == "" {
		p.Detail = p.Title
	}
	return p, true
}

// statusOf reads an answer of the Kubernetes API server.
func statusOf(resp *http.Response, body []byte) string {
	var s metav1.Status
	if json.Unmarshal(body, &s) == nil && s.Kind == "Status" && s.Message != "" {
		return fmt.Sprintf("the API server answers: %s (%d)", s.Message, resp.StatusCode)
	}
	return "the API server answers " + resp.Status
}
