package notify

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"
	"unicode"

	"go.uber.org/zap"

	"github.com/gopprof/gopprof/pkg/gopprof"
)

// The headers by which a receiver knows that two messages are the same one.
const (
	HeaderReport      = "Gopprof-Report"  // the report's ID, or that of a message about several
	HeaderIdempotency = "Idempotency-Key" // the same
)

// maxAnswerBytes is how much of an answer is read: enough to say what was wrong.
const maxAnswerBytes = 4 << 10

// maxDetail bounds, in bytes, what is said of a failure: it stands in logs and records.
const maxDetail = 300

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

// post makes one attempt. What it returns holds no secret. A panic, which what is told may bring
// about in a channel or a template, is a failure of this attempt only.
func (n *Notifier) post(ctx context.Context, to *receiver, l Letter) (out Outcome) {
	defer func() {
		if p := recover(); p != nil {
			n.log.Error("telling panicked", zap.String("receiver", to.Name), zap.String("message", l.Message.ID), zap.Any("error", p), zap.ByteString("stack", debug.Stack()))
			out = Outcome{Reason: gopprof.ReasonInternal, Detail: "a defect of gopprof, whose log has the stack", Retry: true}
		}
	}()
	if l.Message, out = n.worded(to, l.Message); out.Reason != "" {
		return out
	}
	l.To, l.Now = to.Receiver, n.deps.Now()
	sign, err := to.secretFile().Read()
	if err != nil {
		return Outcome{Reason: gopprof.ReasonBadInput, Detail: "the receiver's secret: " + err.Error(), Retry: true}
	}
	l.Sign = NewSecret(sign)
	to.used(l.Now)
	if s := n.deps.Channels.Senders[to.Channel]; s != nil {
		limited, stop := context.WithTimeout(ctx, n.cfg.Timeout)
		defer stop()
		out := s.Send(limited, l)
		out.Detail = printable(redact(out.Detail, &url.URL{}, sign), maxDetail)
		for k, refused := range out.Refused {
			out.Refused[k] = printable(redact(refused, &url.URL{}, sign), maxDetail)
		}
		return out
	}
	return n.postHTTP(ctx, to, l)
}

// worded completes a message with the words of the receiver's template. Where that fails,
// people are told in ours; a program would not know them, and gets fewer groups at a time: an
// outcome says what became of it.
func (n *Notifier) worded(to *receiver, m Message) (Message, Outcome) {
	written, err := to.write(m)
	if err == nil {
		return written, Outcome{}
	}
	n.metrics.template.WithLabelValues(to.Name).Inc()
	detail := "the receiver's template: " + printable(err.Error(), 200)
	if to.Channel == ChannelWebhook {
		return m, Outcome{Reason: gopprof.ReasonBadInput, Detail: detail, Retry: len(m.Parts) > 1 || errors.Is(err, errTemplateSlow)}
	}
	if to.firstUnworded() {
		n.log.Warn("template failed: told in our own words", zap.String("receiver", to.Name), zap.String("error", detail))
	}
	return m, Outcome{}
}

func (n *Notifier) postHTTP(ctx context.Context, to *receiver, l Letter) Outcome {
	channel := n.deps.Channels.Posters[to.Channel]
	p, err := channel.Write(l)
	if err != nil {
		return Outcome{Reason: gopprof.ReasonBadInput, Detail: "writing the message: " + printable(err.Error(), 200)}
	}
	base, err := to.address()
	if err != nil {
		return Outcome{Reason: gopprof.ReasonBadInput, Detail: "the receiver's address: " + err.Error(), Retry: true}
	}
	token, err := to.BearerFile.Read()
	if err != nil {
		return Outcome{Reason: gopprof.ReasonBadInput, Detail: "the receiver's token: " + err.Error(), Retry: true}
	}
	address := extended(base, p)
	return n.send(request(ctx, address, token, p, l.Message.ID), channel, token, l.Sign.Reveal(), base.RawQuery)
}

// extended is the receiver's URL with what the channel adds to it.
func extended(base *url.URL, p Post) *url.URL {
	u := *base
	if p.Path != "" && !strings.HasSuffix(u.Path, p.Path) {
		u.Path, u.RawPath = strings.TrimSuffix(u.Path, "/")+p.Path, ""
	}
	if len(p.Query) > 0 {
		if u.RawQuery != "" {
			u.RawQuery += "&"
		}
		u.RawQuery += p.Query.Encode()
	}
	return &u
}

func request(ctx context.Context, address *url.URL, token string, p Post, id string) *http.Request {
	req := (&http.Request{
		Method: http.MethodPost, URL: address, Host: address.Host, Header: http.Header{},
		Body: io.NopCloser(bytes.NewReader(p.Body)), ContentLength: int64(len(p.Body)),
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(p.Body)), nil },
	}).WithContext(ctx)
	maps.Copy(req.Header, p.Header)
	req.Header.Set("Content-Type", p.ContentType)
	req.Header.Set("User-Agent", "gopprof")
	req.Header.Set(HeaderReport, id)
	req.Header.Set(HeaderIdempotency, id)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req
}

// send posts, and reads the answer. Neither the address nor the secrets beside it are left in
// what it returns.
func (n *Notifier) send(req *http.Request, channel Poster, secrets ...string) Outcome {
	res, err := n.client.Do(req)
	if err != nil {
		// url.Error would print the URL.
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		out := ClassifyError(err)
		out.Detail = printable(redact(out.Detail, req.URL, secrets...), maxDetail) // it may repeat a header of 64 KiB
		return out
	}
	defer res.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswerBytes))
	out := channel.Read(Answer{res.StatusCode, res.Header, answer}, classify(res.StatusCode, res.Header, n.deps.Now()))
	out.After = min(out.After, maxRetryAfter)
	out.Detail = redact(out.Detail, req.URL, secrets...)
	if out.Reason != "" && len(answer) > 0 { // cut only once no secret is in it that could be cut, too
		hide := redact
		if len(answer) == maxAnswerBytes {
			hide = redactCut
		}
		out.Detail += ": " + printable(hide(string(answer), req.URL, secrets...), 200)
	}
	return out
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
