package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// The headers by which a receiver knows that two messages are the same one.
const (
	HeaderReport      = "Gopprof-Report"  // the report's ID
	HeaderIdempotency = "Idempotency-Key" // the same
)

// maxAnswerBytes is how much of an answer is read: enough to say what was wrong.
const maxAnswerBytes = 4 << 10

// newClient follows no redirect: the URL is often a secret and the message names internal
// things, neither of which is for whomever an answer points at; and Go would turn the POST
// into a GET without body for most of them.
func newClient(timeout time.Duration) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxResponseHeaderBytes = 64 << 10
	return &http.Client{
		Transport:     t,
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// post makes one attempt. What it returns holds no secret.
func (n *Notifier) post(ctx context.Context, to *receiver, r gopprof.Report) outcome {
	body, contentType, err := to.message(r)
	if err != nil {
		return outcome{reason: gopprof.ReasonBadInput, detail: "writing the message: " + err.Error()}
	}
	address, err := to.address()
	if err != nil {
		return outcome{reason: gopprof.ReasonBadInput, detail: "the receiver's address: " + err.Error(), retry: true}
	}
	token, err := to.BearerFile.Read()
	if err != nil {
		return outcome{reason: gopprof.ReasonBadInput, detail: "the receiver's token: " + err.Error(), retry: true}
	}
	req := request(ctx, address, token, body, contentType, r.ID)
	out := n.send(req)
	out.detail = redact(out.detail, address, token)
	return out
}

func request(ctx context.Context, address *url.URL, token string, body []byte, contentType, id string) *http.Request {
	req := (&http.Request{
		Method: http.MethodPost, URL: address, Host: address.Host, Header: http.Header{},
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil },
	}).WithContext(ctx)
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", "gopprof")
	req.Header.Set(HeaderReport, id)
	req.Header.Set(HeaderIdempotency, id)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req
}

func (n *Notifier) send(req *http.Request) outcome {
	res, err := n.client.Do(req)
	if err != nil {
		// url.Error would print the URL.
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return classifyError(err)
	}
	defer res.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswerBytes))
	out := classify(res.StatusCode, res.Header, n.deps.Now())
	if out.reason != "" && len(answer) > 0 {
		out.detail += fmt.Sprintf(": %s", printable(string(answer), 200))
	}
	return out
}

// redact takes every part of an address that may be secret out of a text from elsewhere.
func redact(s string, address *url.URL, token string) string {
	for _, secret := range []string{address.String(), address.RequestURI(), address.Path, address.RawQuery, address.User.String(), token} {
		if len(secret) > 1 {
			s = strings.ReplaceAll(s, secret, "<secret>")
		}
	}
	return s
}

// printable bounds a foreign text and makes it one line.
func printable(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
